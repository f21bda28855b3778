//! The lowest floor against the real kernel: what happens when a socket is too slow, too small or spoken to by a
//! stranger, and that namespaces are entered and left as promised.

use crate::support::namespaces::{elsewhere, receive_one};
use crate::support::request::acknowledged;
use crate::support::{Request, skip};
use netlinkdb::internals::sys::{
    self, Batch, Datagram, Namespace, Options, Received, Socket, Waker,
};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

crate::cases![
    an_overrun_leaves_the_socket_deaf_until_it_is_drained,
    every_event_is_received_or_known_to_be_lost,
    a_truncated_notification_is_reported_and_the_next_one_fits,
    a_stranger_is_told_from_the_kernel,
    only_the_groups_that_were_joined_are_heard,
    groups_beyond_31_are_heard,
    a_namespace_is_run_in_and_left,
    a_panic_inside_of_a_namespace_goes_on_outside,
    a_file_that_is_no_namespace_is_refused,
    the_receive_buffer_is_forced_or_held_to_the_limit,
    a_waker_ends_the_wait_for_a_silent_socket,
    nothing_is_left_open,
    this_process_may_change_its_network,
];

const LOOPBACK: i32 = 1;
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_NEXTHOP: u32 = 32;

/// K1. What a program must know that wants to resynchronize after ENOBUFS: room in the queue is not enough.
fn an_overrun_leaves_the_socket_deaf_until_it_is_drained() {
    let listener =
        Socket::open(&Options { receive_buffer: Some(16 * 1024), ..hearing(&[RTNLGRP_LINK]) })
            .unwrap();
    let mut link = Loopback::new();
    let mut one = Batch::with_slots(1, 64 * 1024);
    let mut events = 0;
    while listener.drops().unwrap() == Some(0) {
        link.toggle();
        events += 1;
        assert!(events < 1000, "the queue of 32 KiB is never full");
    }
    assert!(events > 2, "room for {events} events only");

    assert_eq!(sys::wait([listener.as_fd()], None).unwrap(), [true]);
    assert_eq!(listener.receive(&mut one).unwrap(), Received::Overrun);
    // There is room for one more now, but the queue is not empty: lost, and without a second warning.
    assert_eq!(listener.receive(&mut one).unwrap(), Received::Datagrams);
    let dropped = listener.drops().unwrap();
    link.toggle();
    assert_ne!(listener.drops().unwrap(), dropped);
    let stale = drain(&listener);
    assert!(stale.overruns == 0, "a second warning");
    assert!(
        stale.datagrams < events - 1,
        "{} of {events} events, and none was lost",
        stale.datagrams
    );

    link.toggle();
    let heard = drain(&listener);
    assert_eq!((heard.datagrams, heard.overruns), (1, 0));
}

/// An overrun in the middle of a batch must come out of the next receive: with a reader that races a writer, the
/// kernel's own count of what it dropped is the judge.
fn every_event_is_received_or_known_to_be_lost() {
    const EVENTS: usize = 4000;
    let small = Options { receive_buffer: Some(8 * 1024), ..hearing(&[RTNLGRP_LINK]) };
    let listener = Socket::open(&small).unwrap();
    let mut seen = Drained::default();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut link = Loopback::new();
            (0..EVENTS).for_each(|_| link.toggle());
        });
        while !writer.is_finished() {
            seen += drain(&listener);
            std::thread::yield_now();
        }
        writer.join().unwrap();
    });
    seen += drain(&listener);
    let Some(dropped) = listener.drops().unwrap() else {
        skip("this kernel does not count drops (4.12)");
    };
    println!(
        "{EVENTS} events: {} received, {dropped} dropped, {} overruns",
        seen.datagrams, seen.overruns
    );
    assert_eq!(seen.datagrams + dropped as usize, EVENTS);
    assert_eq!(seen.overruns > 0, dropped > 0);
}

fn a_truncated_notification_is_reported_and_the_next_one_fits() {
    let listener = Socket::open(&hearing(&[RTNLGRP_LINK])).unwrap();
    let mut link = Loopback::new();
    let mut batch = Batch::with_slots(4, 128);
    link.toggle();
    assert_eq!(listener.receive(&mut batch).unwrap(), Received::Datagrams);
    let Some(Datagram::Truncated { had: 128, real }) = batch.iter().next() else {
        panic!("not truncated: {batch:?}");
    };
    link.toggle();
    assert_eq!(listener.receive(&mut batch).unwrap(), Received::Datagrams);
    assert!(batch.slot_bytes() >= real);
    assert!(
        matches!(batch.iter().next(), Some(Datagram::Data(bytes)) if bytes.len() > 128),
        "{batch:?}"
    );
}

/// K19. The same bytes that the kernel would send, from a program's socket.
fn a_stranger_is_told_from_the_kernel() {
    let listener = Socket::open(&hearing(&[RTNLGRP_LINK])).unwrap();
    let stranger = Socket::open(&Options::default()).unwrap();
    let mut batch = Batch::new();
    let mut link = Loopback::new();
    link.toggle();
    stranger.send_to(listener.port(), &Request::set_up(LOOPBACK, false).finish()).unwrap();
    assert_eq!(listener.receive(&mut batch).unwrap(), Received::Datagrams);
    let seen: Vec<_> = batch.iter().collect();
    assert!(
        matches!(seen[..], [Datagram::Data(_), Datagram::Foreign { port }] if port == stranger.port()),
        "{seen:?}"
    );
}

fn only_the_groups_that_were_joined_are_heard() {
    let links = Socket::open(&hearing(&[RTNLGRP_LINK])).unwrap();
    let addresses = Socket::open(&hearing(&[RTNLGRP_IPV4_IFADDR])).unwrap();
    let nothing = Socket::open(&Options::default()).unwrap();
    request(
        Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE)
            .bytes(&[libc::AF_INET as u8, 24, 0, 0])
            .bytes(&index_bytes(LOOPBACK))
            .attribute(libc::IFA_LOCAL, &[192, 0, 2, 1]),
    );
    assert_eq!(drain(&links).datagrams, 0);
    assert_eq!(drain(&addresses).datagrams, 1);
    Loopback::new().toggle();
    assert_eq!(drain(&links).datagrams, 1);
    assert_eq!(drain(&nothing).datagrams, 0);
}

/// K46: a bitmask at bind(2) holds groups 1 to 32 and nothing later, so all are joined one by one.
fn groups_beyond_31_are_heard() {
    const RTM_NEWNEXTHOP: u16 = 104;
    const NHA_ID: u16 = 1;
    const NHA_BLACKHOLE: u16 = 4;
    let nexthops = Socket::open(&hearing(&[RTNLGRP_NEXTHOP])).unwrap();
    Loopback::new().toggle();
    let errno = try_request(
        Request::new(RTM_NEWNEXTHOP, libc::NLM_F_CREATE)
            .bytes(&[libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0])
            .attribute(NHA_ID, &index_bytes(1))
            .attribute(NHA_BLACKHOLE, &[]),
    );
    match errno {
        0 => assert_eq!(drain(&nexthops).datagrams, 1),
        libc::EOPNOTSUPP => skip("this kernel has no nexthop objects (5.3)"),
        errno => panic!("a blackhole nexthop: errno {errno}"),
    }
}

fn a_namespace_is_run_in_and_left() {
    let here = Namespace::current().unwrap();
    let other = elsewhere(|| Namespace::current().unwrap());
    assert_ne!(other.identity(), here.identity());
    let inside = other.run(|| Namespace::current().unwrap().identity()).unwrap();
    assert_eq!(inside, other.identity());
    assert_eq!(Namespace::current().unwrap().identity(), here.identity());

    // A socket belongs to where it was opened: what happens there is heard here, and nothing of here.
    let listener = other.run(|| Socket::open(&hearing(&[RTNLGRP_LINK])).unwrap()).unwrap();
    Loopback::new().toggle();
    assert_eq!(drain(&listener).datagrams, 0);
    other.clone().run(|| Loopback::new().toggle()).unwrap();
    assert_eq!(drain(&listener).datagrams, 1);
}

fn a_panic_inside_of_a_namespace_goes_on_outside() {
    let other = elsewhere(|| Namespace::current().unwrap());
    // Past the panic hook: this panic is wanted and nobody needs to read of it.
    let run = || other.run(|| panic::resume_unwind(Box::new("as wanted")));
    let payload = panic::catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"as wanted"));
}

fn a_file_that_is_no_namespace_is_refused() {
    let error = Namespace::open(Path::new("/proc/self/status")).unwrap_err();
    assert_eq!(error.to_string(), "the file is no namespace: Invalid argument (os error 22)");
}

/// K16. Without the privilege the answer is net.core.rmem_max, twice, whatever was asked for beyond it.
fn the_receive_buffer_is_forced_or_held_to_the_limit() {
    let size = |bytes| {
        let options = Options { receive_buffer: Some(bytes), ..Options::default() };
        Socket::open(&options).unwrap().receive_buffer()
    };
    let initial = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    let large = size(256 << 20);
    if initial {
        assert_eq!(large, 512 << 20);
    } else {
        assert_eq!(large, size(usize::MAX));
        assert_eq!(size(large / 2), large);
    }
    assert_eq!(size(32 << 10), 64 << 10);
}

fn a_waker_ends_the_wait_for_a_silent_socket() {
    let listener = Socket::open(&hearing(&[RTNLGRP_LINK])).unwrap();
    let waker = Waker::new().unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| sys::wait([listener.as_fd(), waker.as_fd()], None).unwrap());
        waker.wake().unwrap();
        assert_eq!(sleeper.join().unwrap(), [false, true]);
    });
    Loopback::new().toggle();
    waker.drain().unwrap();
    assert_eq!(sys::wait([listener.as_fd(), waker.as_fd()], None).unwrap(), [true, false]);
}

/// Tests run next to this one, so that counting descriptors tells nothing; but the lowest free one is always the
/// next, and a thousand that leak would leave no low one.
fn nothing_is_left_open() {
    let next = || Waker::new().unwrap().as_fd().as_raw_fd();
    let before = next();
    for _ in 0..1000 {
        Socket::open(&Options { strict: true, ..hearing(&[RTNLGRP_LINK, RTNLGRP_NEXTHOP]) })
            .unwrap();
        // Fails after the socket is made.
        Socket::open(&hearing(&[u32::MAX])).unwrap_err();
        Waker::new().unwrap();
        Namespace::current().unwrap();
    }
    assert!(next() < before + 500, "descriptor {before} at first and {} now", next());
}

fn this_process_may_change_its_network() {
    assert!(sys::has_net_admin().unwrap());
}

/// The loopback, which every namespace has, and which is down at first.
struct Loopback {
    up: bool,
}

impl Loopback {
    fn new() -> Loopback {
        Loopback { up: false }
    }

    /// Up or down: one notification to RTNLGRP_LINK, of more than a kilobyte.
    fn toggle(&mut self) {
        self.up = !self.up;
        request(Request::set_up(LOOPBACK, self.up));
    }
}

#[derive(Default)]
struct Drained {
    datagrams: usize,
    overruns: usize,
}

impl std::ops::AddAssign for Drained {
    fn add_assign(&mut self, more: Drained) {
        self.datagrams += more.datagrams;
        self.overruns += more.overruns;
    }
}

/// Reads until the queue is empty. What our own requests caused is in it as soon as they are acknowledged (K2).
fn drain(socket: &Socket) -> Drained {
    let mut batch = Batch::with_slots(4, 64 * 1024);
    let mut drained = Drained::default();
    loop {
        match socket.receive(&mut batch).unwrap() {
            Received::Datagrams => drained.datagrams += batch.iter().count(),
            Received::Overrun => drained.overruns += 1,
            Received::Empty => return drained,
        }
    }
}

fn request(request: Request) {
    assert_eq!(try_request(request), 0);
}

/// Sends a request from a socket of its own, and returns the errno of its acknowledgement.
fn try_request(request: Request) -> i32 {
    let socket = Socket::open(&Options::default()).unwrap();
    socket.send(&request.finish()).unwrap();
    acknowledged(&receive_one(&socket)).expect("an acknowledgement")
}

fn hearing(groups: &[u32]) -> Options {
    Options { groups: groups.to_vec(), ..Options::default() }
}

#[allow(clippy::host_endian_bytes)]
fn index_bytes(index: i32) -> [u8; 4] {
    index.to_ne_bytes()
}
