//! A netlink socket to the kernel.

use super::batch::Batch;
use super::error::{Error, check, retry};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a [`Socket`] is opened with. The default: no groups, the system's buffer, no strict checks.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The multicast groups to hear, as RTNLGRP_* numbers.
    pub groups: Vec<u32>,
    /// The same; one that the kernel is too old for is passed over.
    pub newer_groups: Vec<u32>,
    /// Bytes of receive buffer to ask for. The kernel doubles the number, to pay for its own bookkeeping, and
    /// without CAP_NET_ADMIN in the initial user namespace holds it to `net.core.rmem_max` (K16).
    pub receive_buffer: Option<usize>,
    /// Let the kernel check and filter dump requests (NETLINK_GET_STRICT_CHK, 4.20 and later; K42).
    pub strict: bool,
}

/// What one [`Socket::receive`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// At least one datagram is in the batch.
    Datagrams,
    /// The queue is empty.
    Empty,
    /// Notifications were lost (ENOBUFS). Until the queue has been drained to [`Empty`](Received::Empty), more are
    /// lost without another word, and those that are still to be read are from before the loss (K1).
    Overrun,
}

/// A NETLINK_ROUTE socket: never blocks, closed on exec, bound to a port of its own.
///
/// NETLINK_NO_ENOBUFS is never set: a loss must be heard of (K17).
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    port: u32,
    strict: bool,
    receive_buffer: usize,
}

impl Socket {
    /// Opens, sizes, binds and subscribes, in this order: the first notification finds the large buffer.
    ///
    /// Extended acknowledgements (4.12), capped ones (4.3) and strict checks (4.20) are done without where the
    /// kernel is too old to know them.
    pub fn open(options: &Options) -> Result<Socket, Error> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        let fd = check("socket(AF_NETLINK, NETLINK_ROUTE)", fd)?;
        // SAFETY: `fd` is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if let Some(bytes) = options.receive_buffer {
            set_receive_buffer(&fd, bytes)?;
        }
        set_if_known(&fd, "setsockopt(NETLINK_EXT_ACK)", libc::NETLINK_EXT_ACK)?;
        set_if_known(&fd, "setsockopt(NETLINK_CAP_ACK)", libc::NETLINK_CAP_ACK)?;
        let strict = options.strict
            && set_if_known(
                &fd,
                "setsockopt(NETLINK_GET_STRICT_CHK)",
                libc::NETLINK_GET_STRICT_CHK,
            )?;
        let port = bind(&fd)?;
        for &group in &options.groups {
            join(&fd, group)?;
        }
        for &group in &options.newer_groups {
            let joined = join(&fd, group);
            joined
                .or_else(|error| if error.errno() == libc::EINVAL { Ok(()) } else { Err(error) })?;
        }
        let receive_buffer = receive_buffer(&fd)?;
        Ok(Socket { fd, port, strict, receive_buffer })
    }

    /// The number that the kernel gave this socket (nl_pid).
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Whether strict checks were asked for and the kernel knows them.
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// The size of the receive buffer in bytes, as the kernel tells it, after doubling and capping.
    pub fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Sends one datagram, of one message or many, to the kernel.
    ///
    /// # Errors
    /// EMSGSIZE when it is larger than the send buffer; ENOBUFS when the kernel has no memory for it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.send_to(0, bytes)
    }

    /// Sends one datagram to the socket with this port; 0 is the kernel.
    pub fn send_to(&self, port: u32, bytes: &[u8]) -> Result<(), Error> {
        let to = address(port);
        // SAFETY: the pointers and lengths are those of a live slice and of a live sockaddr_nl.
        let send = || unsafe {
            let (data, length) = (bytes.as_ptr().cast(), bytes.len());
            libc::sendto(
                self.fd.as_raw_fd(),
                data,
                length,
                0,
                (&raw const to).cast(),
                ADDRESS_BYTES,
            )
        };
        match retry("sendto", send)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(Error { what: "sendto: a datagram was cut short", errno: libc::EIO }),
        }
    }

    /// Takes as many waiting datagrams as the batch has room for, in one system call; does not wait.
    ///
    /// An overrun that happens after the first datagram is reported by the next call.
    pub fn receive(&self, batch: &mut Batch) -> Result<Received, Error> {
        match batch.fill(self.fd.as_fd()) {
            Ok(()) => Ok(Received::Datagrams),
            Err(error) if error.errno == libc::EAGAIN => Ok(Received::Empty),
            Err(error) if error.errno == libc::ENOBUFS => Ok(Received::Overrun),
            Err(error) => Err(error),
        }
    }

    /// How many datagrams the kernel has dropped for want of room, since the socket was opened; it wraps
    /// around. `None` before 4.12.
    pub fn drops(&self) -> Result<Option<u32>, Error> {
        const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
        let mut counters = [0u32; DROPS + 1];
        match get(&self.fd, "getsockopt(SO_MEMINFO)", libc::SO_MEMINFO, &mut counters) {
            Ok(length) if length < size_of_val(&counters) => Ok(None),
            Ok(_) => Ok(Some(counters[DROPS])),
            Err(error) if error.errno == libc::ENOPROTOOPT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A number that no other network namespace of this boot has or will have; `None` before 5.14.
    pub fn namespace_cookie(&self) -> Result<Option<u64>, Error> {
        const SO_NETNS_COOKIE: libc::c_int = 71;
        let mut halves = [0u32; 2];
        match get(&self.fd, "getsockopt(SO_NETNS_COOKIE)", SO_NETNS_COOKIE, &mut halves) {
            Ok(_) => Ok(Some(u64::from(halves[0]) << 32 | u64::from(halves[1]))),
            Err(error) if error.errno == libc::ENOPROTOOPT => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_nl>() as libc::socklen_t;

fn address(port: u32) -> libc::sockaddr_nl {
    // SAFETY: a sockaddr_nl is plain numbers, for which zero is valid.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_pid = port;
    address
}

/// Hears a multicast group; EINVAL for one that the kernel does not have.
fn join(fd: &OwnedFd, group: u32) -> Result<(), Error> {
    let group = libc::c_int::try_from(group).unwrap_or(libc::c_int::MAX);
    set(
        fd,
        "setsockopt(NETLINK_ADD_MEMBERSHIP)",
        libc::SOL_NETLINK,
        libc::NETLINK_ADD_MEMBERSHIP,
        group,
    )
}

/// Binds to a port of the kernel's choice, and tells which.
fn bind(fd: &OwnedFd) -> Result<u32, Error> {
    let mut local = address(0);
    let mut length = ADDRESS_BYTES;
    // SAFETY: the address is a live sockaddr_nl of the length given.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const local).cast(), length) };
    check("bind(AF_NETLINK)", result)?;
    // SAFETY: the kernel writes at most `length` bytes, the size of `local`.
    let result = unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut local).cast(), &mut length) };
    check("getsockname(AF_NETLINK)", result)?;
    Ok(local.nl_pid)
}

/// As large as asked for with the privilege, or as large as the system allows without (K16).
fn set_receive_buffer(fd: &OwnedFd, bytes: usize) -> Result<(), Error> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    match set(fd, "setsockopt(SO_RCVBUFFORCE)", libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes) {
        Err(error) if error.errno == libc::EPERM => {
            set(fd, "setsockopt(SO_RCVBUF)", libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
        }
        result => result,
    }
}

fn receive_buffer(fd: &OwnedFd) -> Result<usize, Error> {
    let mut bytes = [0u32];
    get(fd, "getsockopt(SO_RCVBUF)", libc::SO_RCVBUF, &mut bytes)?;
    Ok(bytes[0] as usize)
}

/// Switches a netlink option on; `false` when this kernel has never heard of it.
fn set_if_known(fd: &OwnedFd, what: &'static str, option: libc::c_int) -> Result<bool, Error> {
    match set(fd, what, libc::SOL_NETLINK, option, 1) {
        Ok(()) => Ok(true),
        Err(error) if error.errno == libc::ENOPROTOOPT => Ok(false),
        Err(error) => Err(error),
    }
}

fn set(
    fd: &OwnedFd,
    what: &'static str,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<(), Error> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `value`.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    check(what, result).map(drop)
}

/// Reads a SOL_SOCKET option of 32-bit numbers, and returns how many bytes the kernel has filled.
fn get(
    fd: &OwnedFd,
    what: &'static str,
    option: libc::c_int,
    into: &mut [u32],
) -> Result<usize, Error> {
    let mut length = size_of_val(into) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `into`.
    let result = unsafe {
        let into = into.as_mut_ptr().cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, into, &mut length)
    };
    check(what, result)?;
    Ok(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Datagram, wait};
    use std::time::Duration;

    /// `RTM_GETLINK` for the interface with index 1, the loopback, which every namespace has and anyone may
    /// ask for: one request, one datagram back.
    #[allow(clippy::host_endian_bytes)]
    fn get_loopback() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(32u32.to_ne_bytes());
        bytes.extend(libc::RTM_GETLINK.to_ne_bytes());
        bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([0; 4]);
        bytes.extend(1i32.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    fn open() -> Socket {
        Socket::open(&Options::default()).unwrap()
    }

    #[test]
    fn two_sockets_have_ports_of_their_own() {
        let (one, other) = (open(), open());
        assert_ne!(one.port(), 0);
        assert_ne!(one.port(), other.port());
        assert_eq!(one.drops().unwrap().unwrap_or(0), 0);
    }

    #[test]
    fn strict_is_what_was_asked_for_and_known() {
        assert!(!open().strict());
        let asked = Options { strict: true, ..Options::default() };
        println!("strict: {}", Socket::open(&asked).unwrap().strict());
    }

    #[test]
    fn groups_beyond_31_are_joined_and_unknown_ones_refused() {
        let rtnlgrp_nsid = 28;
        let rtnlgrp_nexthop = 32;
        let groups = vec![1, rtnlgrp_nsid, rtnlgrp_nexthop];
        Socket::open(&Options { groups, ..Options::default() }).unwrap();
        let error =
            Socket::open(&Options { groups: vec![u32::MAX], ..Options::default() }).unwrap_err();
        assert_eq!(error.what, "setsockopt(NETLINK_ADD_MEMBERSHIP)");
        assert_eq!(error.errno(), libc::EINVAL);
        Socket::open(&Options { newer_groups: vec![1, u32::MAX], ..Options::default() }).unwrap();
    }

    #[test]
    fn an_idle_socket_is_empty_and_not_ready() {
        let (socket, mut batch) = (open(), Batch::new());
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Empty);
        assert_eq!(batch.iter().count(), 0);
        assert_eq!(wait([socket.as_fd()], Some(Duration::ZERO)).unwrap(), [false]);
    }

    #[test]
    fn one_call_takes_as_many_datagrams_as_there_are_slots() {
        let (socket, mut batch) = (open(), Batch::with_slots(8, 64 * 1024));
        for _ in 0..10 {
            socket.send(&get_loopback()).unwrap();
        }
        assert_eq!(wait([socket.as_fd()], None).unwrap(), [true]);
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Datagrams);
        assert!(batch.is_full());
        assert_eq!(batch.iter().count(), 8);
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Datagrams);
        assert!(!batch.is_full());
        assert_eq!(batch.iter().count(), 2);
        assert!(
            batch
                .iter()
                .all(|datagram| matches!(datagram, Datagram::Data(bytes) if bytes.len() > 32))
        );
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Empty);
        assert_eq!(batch.iter().count(), 0);
    }

    #[test]
    fn a_truncated_datagram_is_reported_and_the_next_one_fits() {
        let (socket, mut batch) = (open(), Batch::with_slots(1, 64));
        socket.send(&get_loopback()).unwrap();
        socket.send(&get_loopback()).unwrap();
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Datagrams);
        let Some(Datagram::Truncated { had: 64, real }) = batch.iter().next() else {
            panic!("not truncated: {batch:?}");
        };
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Datagrams);
        assert!(batch.slot_bytes() >= real);
        assert!(matches!(batch.iter().next(), Some(Datagram::Data(bytes)) if bytes.len() == real));
    }

    /// Replies overflow the queue as notifications do.
    #[test]
    fn an_overrun_is_reported_once_and_what_came_before_it_is_received() {
        let tiny = Options { receive_buffer: Some(1), ..Options::default() };
        let socket = Socket::open(&tiny).unwrap();
        let mut batch = Batch::new();
        for _ in 0..50 {
            socket.send(&get_loopback()).unwrap();
        }
        let mut met = Vec::new();
        loop {
            match socket.receive(&mut batch).unwrap() {
                Received::Empty => break,
                other => met.push(other),
            }
        }
        assert_eq!(met.iter().filter(|&&met| met == Received::Overrun).count(), 1, "{met:?}");
        assert!(met.contains(&Received::Datagrams), "{met:?}");
        assert_ne!(socket.drops().unwrap(), Some(0));
    }

    #[test]
    fn a_datagram_larger_than_the_send_buffer_is_refused() {
        let error = open().send(&vec![0; 64 << 20]).unwrap_err();
        assert_eq!(error.errno(), libc::EMSGSIZE);
        assert_eq!(error.to_string(), "sendto: Message too long (os error 90)");
    }

    #[test]
    fn a_foreign_sender_is_reported() {
        let (socket, stranger, mut batch) = (open(), open(), Batch::new());
        if let Err(error) = stranger.send_to(socket.port(), b"pretend") {
            // Only CAP_NET_ADMIN lets a program speak to another one here.
            println!("skipped: {error}");
            return;
        }
        assert_eq!(socket.receive(&mut batch).unwrap(), Received::Datagrams);
        let seen: Vec<_> = batch.iter().collect();
        assert_eq!(seen, [Datagram::Foreign { port: stranger.port() }]);
    }
}
