//! Sleeping until something is readable, and waking the sleeper from another thread.

use super::error::{Error, check, retry};
use super::monotonic;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Sleeps until one of `fds` is readable or `timeout` is over, and says which are ready.
///
/// An error or a hang-up counts as ready: the next read will tell it. All `false` means that the time is
/// over; `None` waits without end. A signal does not shorten the sleep.
pub fn wait<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> Result<[bool; N], Error> {
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // A deadline beyond the clock's range is no deadline.
    let deadline = timeout.and_then(|timeout| monotonic().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| timespec(deadline.saturating_sub(monotonic())));
        let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `polled` has N entries and `left` is null or points to a timespec that outlives the call; a
        // null signal mask leaves the mask alone.
        let result =
            unsafe { libc::ppoll(polled.as_mut_ptr(), N as libc::nfds_t, left, std::ptr::null()) };
        match check("ppoll", result) {
            Ok(_) => return Ok(polled.map(|fd| fd.revents != 0)),
            Err(error) if error.errno == libc::EINTR => continue,
            Err(error) => return Err(error),
        }
    }
}

/// Makes a [`wait`] on another thread return: an eventfd.
#[derive(Debug)]
pub struct Waker {
    fd: OwnedFd,
}

impl Waker {
    /// A waker that nobody has woken yet.
    pub fn new() -> Result<Waker, Error> {
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        let fd = check("eventfd", fd)?;
        // SAFETY: `fd` is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Waker { fd })
    }

    /// Makes it readable, until [`drain`](Waker::drain). Waking twice is waking once.
    pub fn wake(&self) -> Result<(), Error> {
        let one = 1u64;
        // SAFETY: an eventfd reads exactly eight bytes, which `one` has.
        let write = || unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8) };
        // A full counter is as readable as can be.
        unless_would_block(retry("write(eventfd)", write))
    }

    /// Makes it unreadable again; what was to be looked at must be looked at *after* this.
    pub fn drain(&self) -> Result<(), Error> {
        let mut count = 0u64;
        // SAFETY: an eventfd writes exactly eight bytes, which `count` has room for.
        let read = || unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8) };
        unless_would_block(retry("read(eventfd)", read))
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn unless_would_block(result: Result<usize, Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.errno != libc::EAGAIN => Err(error),
        _ => Ok(()),
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: a timespec is plain numbers, for which zero is valid (some platforms add padding fields).
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = duration.subsec_nanos() as _;
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_passes_and_reports_nothing_ready() {
        let waker = Waker::new().unwrap();
        let before = monotonic();
        assert_eq!(wait([waker.as_fd()], Some(Duration::from_millis(20))).unwrap(), [false]);
        assert!(monotonic() - before >= Duration::from_millis(20));
        assert_eq!(wait([], Some(Duration::ZERO)).unwrap(), []);
    }

    #[test]
    fn the_one_that_was_woken_is_ready_until_drained() {
        let (left, right) = (Waker::new().unwrap(), Waker::new().unwrap());
        let ready = || wait([left.as_fd(), right.as_fd()], Some(Duration::ZERO)).unwrap();
        right.wake().unwrap();
        right.wake().unwrap();
        assert_eq!(ready(), [false, true]);
        right.drain().unwrap();
        assert_eq!(ready(), [false, false]);
        right.drain().unwrap();
        assert_eq!(ready(), [false, false]);
    }

    #[test]
    fn another_thread_wakes_a_wait_without_end() {
        let waker = Waker::new().unwrap();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait([waker.as_fd()], Some(Duration::MAX)));
            waker.wake().unwrap();
            assert_eq!(sleeper.join().unwrap().unwrap(), [true]);
        });
    }

    #[test]
    fn a_hang_up_counts_as_ready() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(writer);
        assert_eq!(wait([reader.as_fd()], None).unwrap(), [true]);
    }
}
