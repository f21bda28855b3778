//! A file that one process at a time has for itself, and writes so that it is on disk; and which boot this is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{Error, check};

/// A file that is held against everybody else who holds files so, until this is dropped or its process ends.
#[derive(Debug)]
pub struct HeldFile {
    file: File,
    path: PathBuf,
}

/// How often a file may be exchanged for another while it is being opened.
const ATTEMPTS: u32 = 8;

impl HeldFile {
    /// Opens and holds a file; where it is not there it is made, readable for its owner alone.
    ///
    /// # Errors
    /// EWOULDBLOCK when it is held already, here or by another process; EISDIR or EINVAL for what is no plain file; what
    /// open(2), flock(2) and fsync(2) say.
    pub fn make(path: &Path) -> Result<HeldFile, Error> {
        Ok(HeldFile { file: hold(path, true)?, path: path.to_owned() })
    }

    /// The same; `None` where it is not there.
    ///
    /// # Errors
    /// As [`HeldFile::make`].
    pub fn open(path: &Path) -> Result<Option<HeldFile>, Error> {
        match hold(path, false) {
            Ok(file) => Ok(Some(HeldFile { file, path: path.to_owned() })),
            Err(error) if error.errno == libc::ENOENT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is still found where it was opened.
    pub fn is_in_place(&self) -> bool {
        is_at(&self.file, &self.path).unwrap_or(false)
    }

    /// Everything in it.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&self.file).read_to_end(&mut bytes);
        read.map_err(|error| Error::from_io("read a file", &error))?;
        Ok(bytes)
    }

    /// Writes at a place.
    ///
    /// # Errors
    /// What pwrite(2) says.
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|error| Error::from_io("write a file", &error))
    }

    /// Cuts it off, or fills it up with zeros.
    ///
    /// # Errors
    /// What ftruncate(2) says.
    pub fn set_length(&self, bytes: u64) -> Result<(), Error> {
        self.file.set_len(bytes).map_err(|error| Error::from_io("cut a file", &error))
    }

    /// Waits until what was written is on disk.
    ///
    /// # Errors
    /// What fsync(2) says.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(|error| Error::from_io("fsync", &error))
    }
}

impl Drop for HeldFile {
    /// Not by closing alone: a process that another thread is just starting has a copy of the descriptor until it
    /// executes its program.
    fn drop(&mut self) {
        // SAFETY: no pointers are involved, and the descriptor is open. Where it fails, closing does the same.
        unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_UN) };
    }
}

fn hold(path: &Path, create: bool) -> Result<File, Error> {
    for _ in 0..ATTEMPTS {
        let mut options = OpenOptions::new();
        // Not to wait for the other end of what is no file.
        options.read(true).write(true).create(create).mode(0o600).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| Error::from_io("open a file", &error))?;
        let about = file.metadata().map_err(|error| Error::from_io("fstat", &error))?;
        if !about.is_file() {
            return Err(Error { what: "open a file: it is no plain file", errno: libc::EINVAL });
        }
        lock(&file)?;
        if !is_at(&file, path).map_err(|error| Error::from_io("stat", &error))? {
            continue;
        }
        if create && about.len() == 0 {
            sync_directory(path).map_err(|error| Error::from_io("fsync a directory", &error))?;
        }
        return Ok(file);
    }
    Err(Error { what: "hold a file: others put new ones in its place", errno: libc::EAGAIN })
}

fn lock(file: &File) -> Result<(), Error> {
    // SAFETY: no pointers are involved, and the descriptor is open.
    let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    check("flock", result).map(drop)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new file is found after a crash when its directory is on disk too.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// A number that the kernel draws anew at each boot, as a text: `/proc/sys/kernel/random/boot_id`.
pub fn boot_id() -> Result<String, Error> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let text = text.map_err(|error| Error::from_io("read /proc/sys/kernel/random/boot_id", &error));
    Ok(text?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("netlinkdb-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_is_held_once_until_it_is_let_go() {
        let path = scratch("held");
        assert!(HeldFile::open(&path).unwrap().is_none());
        let held = HeldFile::make(&path).unwrap();
        assert_eq!(HeldFile::open(&path).unwrap_err().errno(), libc::EWOULDBLOCK);
        held.write(b"here", 0).unwrap();
        held.sync().unwrap();
        assert!(held.is_in_place());
        drop(held);
        let held = HeldFile::open(&path).unwrap().unwrap();
        assert_eq!(held.read().unwrap(), b"here");
        fs::remove_file(&path).unwrap();
        assert!(!held.is_in_place());
    }

    #[test]
    fn what_is_no_plain_file_is_refused() {
        assert!(HeldFile::make(Path::new("/dev/null")).is_err());
        assert!(HeldFile::make(Path::new("/proc")).is_err());
    }

    #[test]
    fn a_boot_has_a_number() {
        assert_eq!(boot_id().unwrap().len(), 36);
        assert_eq!(boot_id(), boot_id());
    }
}
