//! Namespaces for tests, and what this kernel is able to create in them.

use super::{Request, skip};
use netlinkdb::internals::sys::{self, Batch, Datagram, Options, Received, Socket};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
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

/// Skips the test when this kernel lacks one of these link kinds, separated by blanks.
pub fn need_kinds(kinds: &str) {
    kinds.split_whitespace().for_each(need_kind);
}

/// Skips the test when this kernel has no MPLS routes, not even as a module that can be loaded.
pub fn need_mpls() {
    if !has_mpls() {
        skip("this kernel has no MPLS routes (`mpls_router`)");
    }
}

/// Whether this kernel renames an interface that is up (Linux 6.2; before it says EBUSY, K55).
pub fn renames_what_is_up() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        elsewhere(|| {
            super::ip(&["link", "add", "p0", "type", "veth", "peer", "name", "p1"]);
            super::ip(&["link", "set", "p0", "up"]);
            super::try_ip(&["link", "set", "p0", "name", "q0"]).status.success()
        })
    });
    *KNOWN
}

/// Whether this kernel has MPLS routes. Nothing but `modprobe` loads their module.
pub fn has_mpls() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        let loaded = || std::path::Path::new("/proc/sys/net/mpls/platform_labels").exists();
        if !loaded() {
            // Where it cannot be loaded, or there is no such command, there is none.
            drop(std::process::Command::new("modprobe").args(["-q", "mpls_router"]).output());
        }
        loaded()
    });
    *KNOWN
}

/// Sets `/proc/sys/net/KEY` of this thread's namespace: `sysctl("ipv6.conf.all.keep_addr_on_down", 1)`.
#[track_caller]
pub fn sysctl(key: &str, value: u32) {
    let path = format!("/proc/sys/net/{}", key.replace('.', "/"));
    if let Err(error) = std::fs::write(&path, value.to_string()) {
        skip(format!("{path} cannot be set here: {error}"));
    }
}

/// A second network namespace, kept by a thread of its own until this is dropped.
pub struct Elsewhere {
    /// A file by which `ip link set ... netns` and others find it.
    pub path: String,
    end: Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>,
}

impl Elsewhere {
    /// A new one.
    pub fn new() -> Elsewhere {
        let (told, tell) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let body = move || {
            sys::unshare_network().expect("a second network namespace");
            let own = std::fs::read_link("/proc/thread-self").expect("/proc");
            told.send(format!("/proc/{}/ns/net", own.display())).expect("a listener");
            ended.recv().unwrap_err();
        };
        let thread = thread::spawn(body);
        Elsewhere { path: tell.recv().expect("a namespace"), end: Some((end, thread)) }
    }

    /// Runs `f` in it.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        netlinkdb::NetNs::from_path(&self.path).expect("the namespace").run(f).expect("to enter it")
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let Some((end, thread)) = self.end.take() else { return };
        drop(end);
        thread.join().expect("the thread that keeps a namespace");
    }
}

/// Runs `f` on a thread with mounts of its own and nothing in `/run`.
#[allow(unsafe_code)]
pub fn with_own_run(f: impl FnOnce() + Send) {
    let mount = |kind: &std::ffi::CStr, to: &std::ffi::CStr, flags| {
        // SAFETY: the strings outlive the call, and there are no data.
        let result = unsafe {
            libc::mount(kind.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
        };
        if result != 0 {
            skip(format!("mount on {to:?}: {}", std::io::Error::last_os_error()));
        }
    };
    let isolated = || {
        // SAFETY: no pointers; the flag changes what this thread sees.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            skip(format!("no mount namespace here: {}", std::io::Error::last_os_error()));
        }
        mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE);
        mount(c"tmpfs", c"/run", 0);
        f();
    };
    thread::scope(|scope| scope.spawn(isolated).join())
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
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

/// Takes every capability from this thread; threads and programs that it starts from now on have none either.
#[allow(unsafe_code)]
pub fn drop_capabilities() {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0u32; 6];
    // Root's programs would get them back.
    // SAFETY: no pointers; the flags are plain numbers.
    let kept = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(kept, 0, "prctl");
    const SECBIT_NOROOT: libc::c_ulong = 1;
    // SAFETY: as above.
    let rootless = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0) };
    assert_eq!(rootless, 0, "prctl");
    // SAFETY: version 3 takes a header of two and data of six numbers; both outlive the call.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(set, 0, "capset");
}

/// Gives this thread the capabilities that it may have, or takes them from it until they are given back.
#[allow(unsafe_code)]
pub fn with_capabilities(given: bool) {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    // Twice effective, permitted, inheritable.
    let mut sets = [0u32; 6];
    // SAFETY: version 3 takes a header of two and data of six numbers; both outlive the call.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    assert_eq!(got, 0, "capget");
    for half in [0, 3] {
        sets[half] = if given { sets[half + 1] } else { 0 };
    }
    // SAFETY: as above.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    assert_eq!(set, 0, "capset");
}

/// Takes the loopback up and down until told to stop.
pub fn with_loopback_toggling(end: &AtomicBool) {
    const LOOPBACK: i32 = 1;
    let socket = Socket::open(&Options::default()).expect("a netlink socket");
    let mut up = false;
    while !end.load(Ordering::SeqCst) {
        up = !up;
        socket.send(&Request::set_up(LOOPBACK, up).finish()).expect("sending a request");
        receive_one(&socket);
    }
}
