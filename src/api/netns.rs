//! Network namespaces.

use std::path::Path;

use super::{Error, Result};
use crate::sys::{self, Namespace};

/// A network namespace, held open: it lives at least as long as this.
#[derive(Clone, Debug)]
pub struct NetNs(pub(super) Namespace);

impl NetNs {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn current() -> Result<Self> {
        Namespace::current()
            .map(NetNs)
            .map_err(|error| Error::system("find the network namespace", error))
    }

    /// The one that `ip netns add NAME` has made: `/run/netns/NAME`.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        NetNs::open(Path::new("/run/netns").join(name))
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// When there is no such process, or it is not ours to see.
    pub fn of_pid(pid: u32) -> Result<Self> {
        NetNs::open(format!("/proc/{pid}/ns/net"))
    }

    /// The one that a file stands for, such as `/proc/1/ns/net`.
    ///
    /// # Errors
    /// When the file cannot be opened. That it stands for no network namespace is found when it is entered.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Namespace::open(path.as_ref())
            .map(NetNs)
            .map_err(|error| Error::system("open the network namespace", error))
    }

    /// Runs `f` in the namespace, on a thread of its own; a panic in it goes on here.
    ///
    /// # Errors
    /// When the namespace may not be entered: that takes `CAP_SYS_ADMIN`, unless it is the caller's own.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        self.0.run(f).map_err(|error| Error::system("enter the network namespace", error))
    }

    /// Moves the whole process into a new user namespace, in which it is root, with an empty network namespace of
    /// its own. For test beds, examples and experiments: no privilege is needed, and nothing that happens there
    /// touches the machine.
    ///
    /// # Errors
    /// When the process has more than one thread already, or the system forbids user namespaces.
    ///
    /// ```
    /// netlinkdb::NetNs::enter_private()?;
    /// let db = netlinkdb::Db::open()?;
    /// assert_eq!(db.snapshot().links().map(|link| link.name()).collect::<Vec<_>>(), ["lo"]);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn enter_private() -> Result<()> {
        sys::enter_private()
            .map_err(|error| Error::system("make a private network namespace", error))
    }
}
