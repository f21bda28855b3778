//! Network namespaces: naming one, running in one, making one.

use super::error::{Error, check};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::{panic, thread};

/// A network namespace that is held open: it lives at least as long as this. Clones share one descriptor.
#[derive(Debug, Clone)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
    identity: (u64, u64),
}

impl Namespace {
    /// The namespace that this thread is in.
    pub fn current() -> Result<Namespace, Error> {
        Namespace::named("open(/proc/thread-self/ns/net)", Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace that a file stands for, such as `/run/netns/blue` or `/proc/1/ns/net`.
    ///
    /// That the file is no namespace at all is found by [`run`](Namespace::run), with EINVAL.
    pub fn open(path: &Path) -> Result<Namespace, Error> {
        Namespace::named("open a namespace file", path)
    }

    /// The device and inode numbers, by which two descriptors are seen to be one namespace.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
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
        Ok(Namespace { fd: Arc::new(file.into()), identity })
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
