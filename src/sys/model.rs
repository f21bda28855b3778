//! Sockets and wakers for the checker: of the simulated kernel of `tests/support/sim`, and scheduled by shuttle.
//!
//! What the engine asks of the real ones: a request is worked off as it is sent, one at a time, its notifications are
//! queued before its answer, a socket that overruns is deaf until it is empty, and a wait ends when something is
//! readable, never by the clock. Every call is a point at which another thread may come next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shuttle::sync::{Condvar, Mutex, MutexGuard};

use super::{Batch, Error};
use sim::{Kernel, Receive, SocketId};

#[path = "../../tests/support/sim/mod.rs"]
pub(crate) mod sim;

std::thread_local! {
    // All threads of a schedule run on one thread of the system.
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// A kernel, and those who wait for it.
#[derive(Clone)]
pub(crate) struct Host(Arc<Inside>);

struct Inside {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    kernel: Kernel,
    /// Sockets, and whether an overrun was met behind datagrams, which is told next.
    sockets: BTreeMap<RawFd, (SocketId, bool)>,
    wakers: BTreeMap<RawFd, bool>,
    /// Whether every socket fails.
    is_broken: bool,
}

// SAFETY: what is not `Send` in it are what a test lets happen between requests; all threads of a schedule run on one
// thread of the system.
unsafe impl Send for State {}

impl Host {
    /// A new kernel, on which every socket is opened from now on.
    pub(crate) fn boot(seed: u64) -> Host {
        let mut kernel = Kernel::new(seed);
        kernel.set_prompt(true);
        let (sockets, wakers) = (BTreeMap::new(), BTreeMap::new());
        let state = Mutex::new(State { kernel, sockets, wakers, is_broken: false });
        let host = Host(Arc::new(Inside { state, changed: Condvar::new() }));
        HOST.set(Some(host.clone()));
        host
    }

    fn here() -> Host {
        HOST.with_borrow(Clone::clone).expect("a host was booted")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something in the kernel, and wakes those for whom there is something to read then.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Kernel) -> T) -> T {
        let result = call(&mut self.lock().kernel);
        self.0.changed.notify_all();
        result
    }

    /// Makes every socket overrun that hears notifications.
    pub(crate) fn overrun(&self) {
        let mut state = self.lock();
        let State { kernel, sockets, .. } = &mut *state;
        for (socket, _) in sockets.values() {
            if kernel.hears(*socket) {
                kernel.force_overrun(*socket);
            }
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Makes every socket fail from now on.
    pub(crate) fn break_down(&self) {
        self.lock().is_broken = true;
        self.0.changed.notify_all();
    }

    /// Waits until every socket and every waker is closed.
    pub(crate) fn await_closed(&self) {
        let mut state = self.lock();
        while !(state.sockets.is_empty() && state.wakers.is_empty()) {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A descriptor of its own by which a waiter knows it.
fn descriptor() -> Result<OwnedFd, Error> {
    let file = File::open("/dev/null").map_err(|error| Error::from_io("open", &error))?;
    Ok(file.into())
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) groups: Vec<u32>,
    pub(crate) newer_groups: Vec<u32>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Datagrams,
    Empty,
    Overrun,
}

pub(crate) struct Socket {
    host: Host,
    fd: OwnedFd,
    id: SocketId,
    port: u32,
    receive_buffer: usize,
}

impl Socket {
    pub(crate) fn open(options: &Options) -> Result<Socket, Error> {
        let (host, fd) = (Host::here(), descriptor()?);
        let receive_buffer = options.receive_buffer.unwrap_or(106_496) * 2;
        let mut state = host.lock();
        let id = state.kernel.socket(&options.groups, receive_buffer);
        let port = state.kernel.port(id);
        state.sockets.insert(fd.as_raw_fd(), (id, false));
        drop(state);
        Ok(Socket { host, fd, id, port, receive_buffer })
    }

    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    pub(crate) fn namespace_cookie(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        for message in sim::wire::messages(bytes) {
            let mut state = self.host.lock();
            if state.is_broken {
                return Err(Error { what: "sendto", errno: libc::EIO });
            }
            state.kernel.send(self.id, &[message.header, message.payload].concat());
            drop(state);
            self.host.0.changed.notify_all();
        }
        Ok(())
    }

    pub(crate) fn receive(&self, batch: &mut Batch) -> Result<Received, Error> {
        let mut state = self.host.lock();
        if state.is_broken {
            return Err(Error { what: "recvmmsg", errno: libc::EIO });
        }
        let State { kernel, sockets, .. } = &mut *state;
        let Some((_, has_overrun)) = sockets.get_mut(&self.fd.as_raw_fd()) else {
            return Err(Error { what: "recvmmsg", errno: libc::EBADF });
        };
        if std::mem::take(has_overrun) {
            return Ok(Received::Overrun);
        }
        let mut received = Received::Empty;
        batch.fill_with(|| match kernel.receive(self.id) {
            Receive::Datagram(bytes) => {
                received = Received::Datagrams;
                let real = bytes.len();
                Some((bytes, real))
            }
            Receive::Truncated(bytes) => {
                received = Received::Datagrams;
                let real = 2 * bytes.len() + 1;
                Some((bytes, real))
            }
            Receive::Overrun => {
                match received {
                    Received::Datagrams => *has_overrun = true,
                    _ => received = Received::Overrun,
                }
                None
            }
            Receive::Empty => None,
        });
        Ok(received)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.host.lock();
        state.sockets.remove(&self.fd.as_raw_fd());
        state.kernel.close(self.id);
        drop(state);
        self.host.0.changed.notify_all();
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) struct Waker {
    host: Host,
    fd: OwnedFd,
}

impl Waker {
    pub(crate) fn new() -> Result<Waker, Error> {
        let (host, fd) = (Host::here(), descriptor()?);
        host.lock().wakers.insert(fd.as_raw_fd(), false);
        Ok(Waker { host, fd })
    }

    pub(crate) fn wake(&self) -> Result<(), Error> {
        self.set(true);
        self.host.0.changed.notify_all();
        Ok(())
    }

    pub(crate) fn drain(&self) -> Result<(), Error> {
        self.set(false);
        Ok(())
    }

    fn set(&self, is_awake: bool) {
        self.host.lock().wakers.insert(self.fd.as_raw_fd(), is_awake);
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.host.lock().wakers.remove(&self.fd.as_raw_fd());
        self.host.0.changed.notify_all();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) fn wait<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> Result<[bool; N], Error> {
    let host = Host::here();
    let mut state = host.lock();
    loop {
        let ready = fds.map(|fd| state.is_readable(fd.as_raw_fd()));
        if timeout == Some(Duration::ZERO) || ready.contains(&true) {
            return Ok(ready);
        }
        state = host.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

impl State {
    fn is_readable(&self, fd: RawFd) -> bool {
        match self.sockets.get(&fd) {
            Some((id, has_overrun)) => {
                self.is_broken || *has_overrun || self.kernel.is_readable(*id)
            }
            None => self.wakers.get(&fd).is_some_and(|is_awake| *is_awake),
        }
    }
}
