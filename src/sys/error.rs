//! The error of this floor: the call that was tried, and what the kernel answered.

use std::io;

/// A system call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {}", io::Error::from_raw_os_error(*.errno))]
pub struct Error {
    /// The call and the option, such as `socket(AF_NETLINK, NETLINK_ROUTE)`.
    pub what: &'static str,
    /// The kernel's error number, positive.
    pub errno: i32,
}

impl Error {
    /// What the last system call of this thread left in `errno`.
    pub fn last(what: &'static str) -> Error {
        Error::from_io(what, &io::Error::last_os_error())
    }

    /// The number inside of an error of the standard library; EIO when it has none.
    pub fn from_io(what: &'static str, error: &io::Error) -> Error {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Error { what, errno }
    }

    /// The kernel's error number, positive.
    pub fn errno(&self) -> i32 {
        self.errno
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::from_raw_os_error(error.errno)
    }
}

/// Turns the `-1` of a system call into the [`Error`] that `errno` tells.
pub(super) fn check(what: &'static str, result: libc::c_int) -> Result<libc::c_int, Error> {
    if result < 0 { Err(Error::last(what)) } else { Ok(result) }
}

/// Repeats a system call for as long as a signal interrupts it.
pub(super) fn retry(
    what: &'static str,
    mut call: impl FnMut() -> libc::ssize_t,
) -> Result<usize, Error> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => match Error::last(what) {
                error if error.errno == libc::EINTR => continue,
                error => return Err(error),
            },
        }
    }
}
