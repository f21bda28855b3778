//! Network namespaces: naming one, running in one, making one.

use super::error::{Error, check};
use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{panic, thread};

/// Where `ip netns` keeps the names of namespaces, each a file on which a namespace is mounted: ip-netns(8).
pub const NAMES: &str = "/run/netns";

/// A network namespace that is held open: it lives at least as long as this. Clones share one descriptor.
#[derive(Debug, Clone)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
    identity: (u64, u64),
    path: Arc<Path>,
}

/// `_IO(0xb7, 3)`; "no data" is a bit of its own in the numbers of some machines.
const NS_GET_NSTYPE: libc::Ioctl = match cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64",
)) {
    true => 0x2000_b703,
    false => 0xb703,
};

impl Namespace {
    /// The namespace that this thread is in.
    pub fn current() -> Result<Namespace, Error> {
        Namespace::named("open(/proc/thread-self/ns/net)", Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace that a file stands for, such as `/run/netns/blue` or `/proc/1/ns/net`.
    ///
    /// # Errors
    /// With EINVAL when it stands for nothing of that kind.
    pub fn open(path: &Path) -> Result<Namespace, Error> {
        let namespace = Namespace::named("open", path)?;
        match namespace.kind() {
            Ok(libc::CLONE_NEWNET) => Ok(namespace),
            Ok(_) => Err(Error { what: "a namespace, but not of networks", errno: libc::EINVAL }),
            Err(error) if error.errno == libc::ENOTTY => {
                Err(Error { what: "the file is no namespace", errno: libc::EINVAL })
            }
            Err(error) => Err(error),
        }
    }

    /// Of what it is a namespace, as the flags of clone(2) say it: ioctl_ns(2).
    fn kind(&self) -> Result<libc::c_int, Error> {
        // SAFETY: the call takes nothing but the descriptor, which is open for as long as `self` lives.
        let kind = unsafe { libc::ioctl(self.fd.as_raw_fd(), NS_GET_NSTYPE) };
        check("ioctl(NS_GET_NSTYPE)", kind)
    }

    /// The device and inode numbers, by which two descriptors are seen to be one namespace.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// The descriptor by which a request can name it (`IFLA_NET_NS_FD`), for as long as this lives.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// What `ip link set ... netns` calls it where it can: its name, or the process; otherwise its file, and of one that
    /// was had from a thread its inode number.
    pub fn title(&self) -> String {
        let text = self.path.to_string_lossy();
        let within = |text: &str, before: &str, after: &str| {
            let inner = text.strip_prefix(before)?.strip_suffix(after)?;
            (!inner.contains('/')).then(|| inner.to_owned())
        };
        if text.starts_with("/proc/thread-self/") || text.starts_with("/proc/self/") {
            return format!("net:[{}]", self.identity.1);
        }
        let named = within(&text, "/run/netns/", "").or(within(&text, "/var/run/netns/", ""));
        named.or(within(&text, "/proc/", "/ns/net")).unwrap_or_else(|| text.into_owned())
    }

    /// Runs `f` in this namespace; a panic in `f` goes on in the caller.
    ///
    /// On a thread of its own, because a thread that entered a namespace may lack the right to go back. Where
    /// the caller is in the namespace already, `f` runs right here: that needs no privilege, while setns(2)
    /// asks for CAP_SYS_ADMIN even then. Sockets that `f` opens stay in the namespace wherever they are used.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
        if Namespace::current()?.identity == self.identity {
            return Ok(f());
        }
        thread::scope(|scope| {
            let inside = || self.enter().map(|()| f());
            let thread = thread::Builder::new()
                .name("netlinkdb-netns".to_owned())
                .spawn_scoped(scope, inside)
                .map_err(|error| Error::from_io("start a thread for setns", &error))?;
            thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        })
    }

    fn named(what: &'static str, path: &Path) -> Result<Namespace, Error> {
        let open = || {
            let file = File::open(path)?;
            let about = file.metadata()?;
            Ok((file, (about.dev(), about.ino())))
        };
        let (file, identity) = open().map_err(|error: io::Error| Error::from_io(what, &error))?;
        Ok(Namespace { fd: Arc::new(file.into()), identity, path: path.into() })
    }

    /// Has the program that `command` starts begin in this namespace.
    pub fn begin_in(&self, command: &mut Command) {
        let namespace = self.clone();
        let enter = move || enter_in_child(namespace.fd.as_raw_fd(), namespace.identity);
        // SAFETY: what runs between fork and exec makes two system calls with values that were made before the fork, and
        // allocates nothing.
        unsafe { command.pre_exec(enter) };
    }

    /// Moves this thread, and no other, into the namespace. Where it is already, nothing is asked of the kernel:
    /// setns(2) wants CAP_SYS_ADMIN even then.
    pub fn enter(&self) -> Result<(), Error> {
        if Namespace::current()?.identity == self.identity {
            return Ok(());
        }
        // SAFETY: no pointers are involved, and the descriptor is open for as long as `self` lives.
        let result = unsafe { libc::setns(self.fd.as_raw_fd(), libc::CLONE_NEWNET) };
        check("setns(CLONE_NEWNET)", result).map(drop)
    }
}

/// As [`Namespace::enter`], between fork and exec: nothing may be allocated there.
fn enter_in_child(namespace: RawFd, identity: (u64, u64)) -> io::Result<()> {
    // SAFETY: a struct of plain numbers, for which zero is valid.
    let mut own: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string and `own` a stat that outlives the call.
    let seen = unsafe { libc::stat(c"/proc/self/ns/net".as_ptr(), &raw mut own) };
    if seen == 0 && (own.st_dev, own.st_ino) == identity {
        return Ok(());
    }
    // SAFETY: no pointers; the descriptor is open in the child too.
    match unsafe { libc::setns(namespace, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a new namespace of this name, as `ip netns add` does. What has been made of it is taken away again when a step
/// fails.
pub fn create(name: &str) -> Result<Namespace, Error> {
    share_names()?;
    let path = path_of(name)?;
    let mut exclusive = OpenOptions::new();
    let made = exclusive.write(true).create_new(true).mode(0o000).open(&path);
    made.map_err(|error| Error::from_io("make its file in /run/netns", &error))?;
    let mounted = thread::scope(|scope| {
        let inside = || {
            unshare_network()?;
            bind(c"/proc/thread-self/ns/net", &c_path(&path)?)
        };
        let thread = thread::Builder::new().spawn_scoped(scope, inside);
        let thread = thread.map_err(|error| Error::from_io("start a thread", &error))?;
        thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    });
    let opened = mounted.and_then(|()| Namespace::open(&path));
    if opened.is_err() {
        // What it failed of is told; that the name could not be freed is seen by the next who wants it.
        let _ = remove(name);
    }
    opened
}

/// Takes a name away, as `ip netns del` does. The namespace lives on for as long as something else holds it.
pub fn remove(name: &str) -> Result<(), Error> {
    let path = path_of(name)?;
    let file = c_path(&path)?;
    // SAFETY: the path is a C string that outlives the call.
    let unmounted = unsafe { libc::umount2(file.as_ptr(), libc::MNT_DETACH) };
    match check("umount2(/run/netns/...)", unmounted) {
        // Nothing is mounted on it: something was cut off while it made the name.
        Err(error) if error.errno != libc::EINVAL => return Err(error),
        _ => {}
    }
    fs::remove_file(&path).map_err(|error| Error::from_io("unlink /run/netns/...", &error))
}

/// The names that are there, sorted.
pub fn names() -> Result<Vec<String>, Error> {
    let listed = match fs::read_dir(NAMES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|all| all.collect::<io::Result<Vec<_>>>()),
    };
    let listed = listed.map_err(|error| Error::from_io("list /run/netns", &error))?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = listed.into_iter().map(name).collect();
    names.sort();
    Ok(names)
}

/// `/run/netns/NAME`. A name is a file name: neither empty nor `.` nor `..`, and without a slash.
pub fn path_of(name: &str) -> Result<PathBuf, Error> {
    let path = Path::new(NAMES).join(name);
    match path.file_name() == Some(OsStr::new(name)) && !name.contains('\0') {
        true => Ok(path),
        false => Err(Error { what: "a name of a namespace is a file name", errno: libc::EINVAL }),
    }
}

/// Makes `/run/netns` a mount point whose mounts other mount namespaces see, also those that are there already: a
/// namespace that is removed would otherwise be held by them.
fn share_names() -> Result<(), Error> {
    let made = DirBuilder::new().mode(0o755).create(NAMES);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::from_io("make /run/netns", &error));
        }
        _ => {}
    }
    match share() {
        // It is no mount point yet.
        Err(error) if error.errno == libc::EINVAL => {
            bind(c"/run/netns", c"/run/netns")?;
            share()
        }
        shared => shared,
    }
}

fn share() -> Result<(), Error> {
    mount("mount --make-shared /run/netns", c"none", c"/run/netns", libc::MS_SHARED | libc::MS_REC)
}

fn bind(what: &CStr, to: &CStr) -> Result<(), Error> {
    mount("mount --bind in /run/netns", what, to, libc::MS_BIND | libc::MS_REC)
}

fn mount(what: &'static str, source: &CStr, to: &CStr, flags: libc::c_ulong) -> Result<(), Error> {
    let (kind, data) = (c"none".as_ptr(), std::ptr::null());
    // SAFETY: all strings outlive the call; without data there is none to be read.
    let result = unsafe { libc::mount(source.as_ptr(), to.as_ptr(), kind, flags, data) };
    check(what, result).map(drop)
}

fn c_path(path: &Path) -> Result<CString, Error> {
    let nul = |_| Error { what: "a path with a zero byte", errno: libc::EINVAL };
    CString::new(path.as_os_str().as_bytes()).map_err(nul)
}

/// Moves this thread, and no other, into a new and empty network namespace.
pub fn unshare_network() -> Result<(), Error> {
    unshare("unshare(CLONE_NEWNET)", libc::CLONE_NEWNET)
}

/// Moves this process into a new user namespace, where it is root, with an empty network namespace in it.
///
/// For test programs: needs no privilege, cannot be undone, and must come before the first thread starts.
/// When a step after unshare(2) fails, the process is left inside, without a user of its own.
pub fn enter_private() -> Result<(), Error> {
    if thread_count() > 1 {
        let what =
            "unshare(CLONE_NEWUSER), which must come before this process starts its second thread";
        return Err(Error { what, errno: libc::EINVAL });
    }
    // SAFETY: these calls take nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    unshare("unshare(CLONE_NEWUSER | CLONE_NEWNET)", libc::CLONE_NEWUSER | libc::CLONE_NEWNET)?;
    // Without "deny" an ordinary user may not write gid_map: user_namespaces(7).
    write("write /proc/self/setgroups", "/proc/self/setgroups", "deny")?;
    write("write /proc/self/uid_map", "/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("write /proc/self/gid_map", "/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn unshare(what: &'static str, flags: libc::c_int) -> Result<(), Error> {
    // SAFETY: no pointers are involved; the flags used here change what this thread sees, not its memory.
    check(what, unsafe { libc::unshare(flags) }).map(drop)
}

/// The number of threads; 1 when /proc cannot be read, so that the kernel decides.
fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

fn write(what: &'static str, path: &str, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::from_io(what, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_namespace_is_one_and_the_same() {
        let here = Namespace::current().unwrap();
        let by_path = Namespace::open(Path::new("/proc/thread-self/ns/net")).unwrap();
        assert_eq!(here.identity(), by_path.identity());
        let inside = here.run(|| Namespace::current().unwrap().identity()).unwrap();
        assert_eq!(inside, here.identity());
    }

    #[test]
    fn a_file_that_is_not_there_is_refused() {
        let error = Namespace::open(Path::new("/proc/self/ns/no-such")).unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT);
    }

    #[test]
    fn a_process_with_threads_is_told_why_it_cannot_become_private() {
        thread::scope(|scope| {
            let error = scope.spawn(|| enter_private().unwrap_err()).join().unwrap();
            assert_eq!(error.errno(), libc::EINVAL);
            assert!(error.to_string().contains("second thread"), "{error}");
        });
    }
}
