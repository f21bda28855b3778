//! The real kernel, in a network namespace of this thread's own.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::sim::wire;
use super::super::sim::wire::uapi::*;
use super::split;

/// One socket that both asks and listens, so that the order of everything is seen (K48).
pub struct Real {
    socket: OwnedFd,
    dumps: OwnedFd,
    patience: u32,
}

/// Whether this thread may make a network namespace; it makes one to find out.
pub fn is_allowed() -> bool {
    let tried = std::thread::spawn(|| {
        // SAFETY: plain system call without pointers; it changes the calling thread only.
        unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
    });
    tried.join().unwrap_or(false)
}

/// Runs one test of this binary again as root of a user namespace.
pub fn run_again(name: &str) -> Result<(), String> {
    const AGAIN: &str = "SIM_CONFORMANCE_AGAIN";
    if std::env::var_os(AGAIN).is_some() {
        return Err("no network namespace, not even in a user namespace".to_owned());
    }
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    // SAFETY: plain system call without pointers.
    let user = unsafe { libc::getuid() };
    let map = format!("0 {user} 1\n");
    let mut command = Command::new(binary);
    command.args(["--exact", name, "--nocapture"]).env(AGAIN, "1");
    // SAFETY: between fork and exec only system calls are made, on memory made before.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWUSER) != 0 {
                return Err(io::Error::last_os_error());
            }
            let file = libc::open(c"/proc/self/uid_map".as_ptr(), libc::O_WRONLY);
            if file < 0 || libc::write(file, map.as_ptr().cast(), map.len()) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::close(file);
            Ok(())
        });
    }
    let status = command.status().map_err(|error| format!("no user namespace: {error}"))?;
    assert!(status.success(), "{name} failed in a user namespace, see above");
    Ok(())
}

const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_GET_STRICT_CHK: i32 = 12;

impl Real {
    /// Moves the calling thread into a new network namespace. `patience` is how many times longer than on an idle machine
    /// it waits for what may not come.
    pub fn new(groups: &[u32], patience: u32) -> Result<Real, String> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        if !release.starts_with("6.18.") {
            return Err(format!("the simulation is of 6.18, and this is {}", release.trim()));
        }
        // SAFETY: plain system call without pointers; it changes the calling thread only.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(format!("no network namespace: {}", io::Error::last_os_error()));
        }
        // Duplicate address detection at once; where this cannot be written the test is only slower.
        for (file, value) in [("dad_transmits", "0"), ("router_solicitation_delay", "0")] {
            for scope in ["default", "lo"] {
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{file}"), value);
            }
        }
        let socket = open(groups).map_err(|error| format!("no netlink socket: {error}"))?;
        let dumps = open(&[]).map_err(|error| format!("no netlink socket: {error}"))?;
        Ok(Real { socket, dumps, patience })
    }

    pub fn promote_secondaries(&self) -> Result<(), String> {
        std::fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "1")
            .map_err(|error| format!("promote_secondaries cannot be set: {error}"))
    }

    /// Everything up to the last of so many ACKs.
    pub fn exchange(&mut self, requests: &[u8], answers: usize) -> Vec<Vec<u8>> {
        send(&self.socket, requests);
        let mut messages = Vec::new();
        let mut seen = 0;
        while seen < answers {
            let some = self
                .receive(&self.socket, Duration::from_secs(5))
                .expect("every request is answered");
            seen += some.iter().filter(|message| wire::u16_at(message, 4) == NLMSG_ERROR).count();
            messages.extend(some);
        }
        messages
    }

    /// What comes by itself: so many messages, at most six seconds, and whatever else comes with them. link_watch
    /// takes up to a second for a link that is down and then says nothing: only time can tell that it is over.
    pub fn later(&mut self, slow: bool, expected: usize) -> Vec<Vec<u8>> {
        if slow {
            std::thread::sleep(Duration::from_millis(1050) * self.patience);
        }
        let end = Instant::now() + Duration::from_secs(6);
        let mut messages = Vec::new();
        while messages.len() < expected {
            let left = end.saturating_duration_since(Instant::now());
            let Some(some) = self.receive(&self.socket, left) else {
                break;
            };
            messages.extend(some);
        }
        let quiet = Duration::from_millis(if expected > 0 { 20 } else { 2 }) * self.patience;
        while let Some(some) = self.receive(&self.socket, quiet) {
            messages.extend(some);
        }
        messages
    }

    pub fn dump(&mut self, request: &[u8]) -> Vec<Vec<u8>> {
        send(&self.dumps, request);
        let mut messages = Vec::new();
        while !messages.last().is_some_and(|message: &Vec<u8>| {
            matches!(wire::u16_at(message, 4), NLMSG_DONE | NLMSG_ERROR)
        }) {
            messages
                .extend(self.receive(&self.dumps, Duration::from_secs(5)).expect("a dump ends"));
        }
        messages
    }

    fn receive(&self, socket: &OwnedFd, patience: Duration) -> Option<Vec<Vec<u8>>> {
        let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one valid pollfd that outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, patience.as_millis() as i32) };
        if ready <= 0 {
            return None;
        }
        let mut buffer = vec![0u8; 1 << 16];
        // SAFETY: the buffer is valid for writes of its length.
        let length =
            unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let length = usize::try_from(length)
            .unwrap_or_else(|_| panic!("recv: {}", io::Error::last_os_error()));
        buffer.truncate(length);
        Some(split(&buffer))
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    // SAFETY: the pointer is valid for reads of that length.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
    assert_eq!(sent, bytes.len() as isize, "send: {}", io::Error::last_os_error());
}

fn open(groups: &[u32]) -> io::Result<OwnedFd> {
    // SAFETY: plain system call; a result that is not negative is a descriptor that nobody else owns.
    let socket = unsafe {
        let fd = libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::NETLINK_ROUTE,
        );
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    for group in groups {
        set(&socket, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, *group as i32)?;
    }
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
        set(&socket, libc::SOL_NETLINK, option, 1)?;
    }
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 8 << 20)?;
    Ok(socket)
}

fn set(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value is valid for reads of its size.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), 4) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
