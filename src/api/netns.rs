//! Network namespaces.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::Command;

use super::{Error, Result};
use crate::object::kinds::Place;
use crate::sys::{self, Namespace, netns};

/// A network namespace, held open: it lives at least as long as this. Two are equal when they are the same namespace.
///
/// Names are those of `ip netns`: what one makes, the other finds.
///
/// ```no_run
/// use netlinkdb::{Db, NetNs};
///
/// let blue = NetNs::create("blue")?; // as `ip netns add blue`
/// let db = Db::builder().netns(&blue).open()?;
/// db.interface("lo")?.up().commit()?;
/// let status = blue.command("ping").args(["-c1", "127.0.0.1"]).status();
/// assert!(status.is_ok_and(|status| status.success()));
/// NetNs::remove("blue")?;
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
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
        let opened = netns::path_of(name).and_then(|path| Namespace::open(&path));
        opened.map(NetNs).map_err(|error| failed("open", name, error, ""))
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// When there is no such process, or it is not ours to see.
    pub fn of_pid(pid: u32) -> Result<Self> {
        let opened = Namespace::open(Path::new(&format!("/proc/{pid}/ns/net")));
        opened.map(NetNs).map_err(|error| {
            let why = match error.errno {
                libc::ENOENT => "; there is no such process",
                libc::EPERM | libc::EACCES => {
                    " (it takes the right to trace the process: ptrace(2))"
                }
                _ => "",
            };
            let doing = format!("open the network namespace of process {pid}");
            Error::namespace(doing, error, why.to_owned())
        })
    }

    /// The one that a file stands for, such as `/proc/1/ns/net`.
    ///
    /// # Errors
    /// When the file cannot be opened, or stands for no network namespace. The path is in the message.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Namespace::open(path).map(NetNs).map_err(|error| {
            let doing = format!("open the network namespace at {}", path.display());
            Error::namespace(doing, error, String::new())
        })
    }

    /// Makes a new one under a name, as `ip netns add` does: with a loopback that is down, and mounted where every mount
    /// namespace sees it. It stays until it is [removed](NetNs::remove).
    ///
    /// # Errors
    /// When the name is taken ([`Error::is_exists`]) or none for a file; when a privilege is missing
    /// ([`Error::is_permission`]): it takes `CAP_SYS_ADMIN`, and the right to write in `/run/netns`. Nothing is left of it
    /// then.
    pub fn create(name: &str) -> Result<Self> {
        let left = "; there is no new namespace";
        netns::create(name).map(NetNs).map_err(|error| failed("create", name, error, left))
    }

    /// Takes a name away, as `ip netns del` does. The namespace lives on for as long as a process, an open file such as a
    /// `NetNs`, or a database is in it; then what is in it goes, virtual interfaces too.
    ///
    /// # Errors
    /// When there is none of that name, or a privilege is missing ([`Error::is_permission`]): it is there as before.
    pub fn remove(name: &str) -> Result<()> {
        let left = "; the name is there as before";
        let left = |error: &sys::Error| if error.errno == libc::ENOENT { "" } else { left };
        netns::remove(name).map_err(|error| failed("remove", name, error, left(&error)))
    }

    /// The names that there are, sorted: what `ip netns list` shows.
    ///
    /// # Errors
    /// When `/run/netns` is there and cannot be read.
    pub fn list() -> Result<Vec<String>> {
        netns::names().map_err(|error| Error::system("list the network namespaces", error))
    }

    /// Runs `f` in the namespace, on a thread of its own; a panic in it goes on here.
    ///
    /// # Errors
    /// When the namespace may not be entered: that takes `CAP_SYS_ADMIN`, unless it is the caller's own.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        self.0.run(f).map_err(|error| Error::system("enter the network namespace", error))
    }

    /// A program that will run in the namespace. Unlike `ip netns exec` this changes nothing else for it: it sees the
    /// machine's `/sys` and `/etc/resolv.conf`.
    ///
    /// That the namespace may not be entered is an error of [`Command::spawn`], with the words of the kernel.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        self.0.begin_in(&mut command);
        command
    }

    /// As a request names it, while this is held.
    pub(super) fn place(&self) -> Place {
        Place { fd: self.0.number() as u32, title: self.0.title().into() }
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

impl PartialEq for NetNs {
    fn eq(&self, other: &NetNs) -> bool {
        self.0.identity() == other.0.identity()
    }
}

impl Eq for NetNs {}

/// As iproute2 would call it: by its name or a process in it; otherwise by its file.
impl fmt::Display for NetNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.title())
    }
}

impl fmt::Debug for NetNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, inode) = self.0.identity();
        write!(f, "NetNs({self}, net:[{inode}])")
    }
}

fn failed(what: &str, name: &str, error: sys::Error, left: &str) -> Error {
    let hint = match error.errno {
        libc::EPERM | libc::EACCES => {
            " (it takes CAP_SYS_ADMIN in the user namespace that owns the mount namespace)"
        }
        _ => "",
    };
    Error::namespace(
        format!("{what} the network namespace `{name}`"),
        error,
        format!("{hint}{left}"),
    )
}
