//! Namespaces for tests, and what this kernel is able to create in them.

use super::{Request, skip};
use netlinkdb::internals::sys::{self, Batch, Datagram, Options, Received, Socket};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use std::{env, thread};

/// Takes this process, which has one thread so far, out of the machine's network; or says why it cannot.
///
/// A user namespace with a network namespace in it needs no privilege. Root does without the user namespace
/// where that is forbidden, or where `NETLINKDB_TEST_NAMESPACE=network` asks for it: then the tests have the
/// privileges of the initial user namespace, such as SO_RCVBUFFORCE.
pub fn enter() -> Result<(), String> {
    let network = || sys::unshare_network().map_err(|error| error.to_string());
    if env::var_os("NETLINKDB_TEST_NAMESPACE").is_some_and(|kind| kind == "network") {
        return network();
    }
    sys::enter_private().or_else(|error| {
        network().map_err(|network| format!("no private namespace here ({error}; {network})"))
    })
}

/// Runs `f` in one more new network namespace, and leaves this thread where it is.
pub fn elsewhere<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let isolated = || {
        sys::unshare_network().expect("a second network namespace");
        f()
    };
    thread::scope(|scope| scope.spawn(isolated).join())
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Skips the test when this kernel has no such link kind, not even as a module that can be loaded.
pub fn need_kind(kind: &str) {
    if !kind_available(kind) {
        skip(format!("this kernel has no link kind {kind:?}"));
    }
}

/// Whether the kernel knows a link kind: `veth`, `bridge`, `vxlan` ... Asked once per kind.
pub fn kind_available(kind: &str) -> bool {
    static KNOWN: LazyLock<Mutex<HashMap<String, bool>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    *known.entry(kind.to_owned()).or_insert_with(|| elsewhere(|| !is_unknown_kind(kind)))
}

/// Asks for a link of that kind with no further word. Most kinds refuse that; only the reason matters.
fn is_unknown_kind(kind: &str) -> bool {
    let socket = Socket::open(&Options::default()).expect("a netlink socket");
    socket.send(&Request::new_link("probe", kind).finish()).expect("sending a request");
    let answer = receive_one(&socket);
    let text = b"Unknown device type";
    answer.windows(text.len()).any(|window| window == text)
}

/// The next datagram from the kernel; fails after ten seconds.
pub fn receive_one(socket: &Socket) -> Vec<u8> {
    let mut batch = Batch::with_slots(1, 64 * 1024);
    let ready = sys::wait([socket.as_fd()], Some(Duration::from_secs(10))).expect("poll");
    assert_eq!(ready, [true], "no answer from the kernel");
    assert_eq!(socket.receive(&mut batch).expect("recvmmsg"), Received::Datagrams);
    match batch.iter().next() {
        Some(Datagram::Data(bytes)) => bytes.to_vec(),
        other => panic!("not a datagram from the kernel: {other:?}"),
    }
}
