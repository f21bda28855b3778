//! Tun and tap interfaces, which only calls on `/dev/net/tun` make.

use super::Namespace;
use super::error::{Error, check};
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};

/// A persistent interface to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTun {
    /// The name, 1 to 15 bytes.
    pub name: String,
    /// The index; 0 for the kernel's choice.
    pub index: u32,
    /// `IFF_TUN` 0x1 or `IFF_TAP` 0x2, with `IFF_NO_PI` 0x1000, `IFF_VNET_HDR` 0x4000, `IFF_MULTI_QUEUE` 0x100.
    pub flags: u16,
    /// The user who may open it.
    pub owner: Option<u32>,
    /// The group whose members may open it.
    pub group: Option<u32>,
}

impl NewTun {
    /// Makes it in a namespace: it belongs to that of the thread which opens the device. Until it is made persistent at the
    /// end it goes with the descriptor: what fails leaves nothing behind.
    ///
    /// # Errors
    /// With EBUSY when the name is taken, EPERM without `CAP_NET_ADMIN`, ENOENT without `/dev/net/tun`.
    pub fn create(&self, namespace: &Namespace) -> Result<(), Error> {
        namespace.run(|| self.create_here())?
    }

    fn create_here(&self) -> Result<(), Error> {
        const IFF_TUN_EXCL: u16 = 0x8000;
        let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        let device = device.map_err(|error| Error::from_io("open(/dev/net/tun)", &error))?;
        let device = OwnedFd::from(device);
        if self.index != 0 {
            let index = libc::c_uint::from(self.index);
            // SAFETY: the kernel reads one number from the pointer, which is valid for the call.
            let result = unsafe { libc::ioctl(device.as_raw_fd(), request(218), &raw const index) };
            check("ioctl(TUNSETIFINDEX)", result)?;
        }
        let mut ifreq = self.ifreq(IFF_TUN_EXCL)?;
        // SAFETY: the kernel reads and writes one `struct ifreq`, whose 40 bytes the array has.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), request(202), ifreq.as_mut_ptr()) };
        check("ioctl(TUNSETIFF)", result)?;
        let settings = [
            ("ioctl(TUNSETOWNER)", 204, self.owner),
            ("ioctl(TUNSETGROUP)", 206, self.group),
            ("ioctl(TUNSETPERSIST)", 203, Some(1)),
        ];
        for (what, number, value) in settings {
            let Some(value) = value else { continue };
            let value = libc::c_ulong::from(value);
            // SAFETY: these calls take a number, no pointer.
            check(what, unsafe { libc::ioctl(device.as_raw_fd(), request(number), value) })?;
        }
        Ok(())
    }

    /// `struct ifreq`: 16 bytes of name, ended by NUL, then the flags.
    #[allow(clippy::host_endian_bytes)] // A C struct of this machine.
    fn ifreq(&self, more: u16) -> Result<[u8; 40], Error> {
        let mut bytes = [0; 40];
        let name = self.name.as_bytes();
        let Some(place) = bytes.get_mut(..name.len()).filter(|place| place.len() < 16) else {
            return Err(Error { what: "ioctl(TUNSETIFF)", errno: libc::EINVAL });
        };
        place.copy_from_slice(name);
        bytes[16..18].copy_from_slice(&(self.flags | more).to_ne_bytes());
        Ok(bytes)
    }
}

/// `_IOW('T', number, int)` of `include/uapi/linux/if_tun.h`.
const fn request(number: u32) -> libc::Ioctl {
    let write: u32 = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc64"
    )) {
        0x8000_0000
    } else {
        0x4000_0000
    };
    (write | 4 << 16 | 0x54 << 8 | number) as libc::Ioctl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::host_endian_bytes)]
    fn a_name_that_is_too_long_is_refused_before_the_kernel_sees_it() {
        let new = |name: &str| NewTun { name: name.to_owned(), flags: 1, ..NewTun::default() };
        assert_eq!(new("0123456789abcdef").ifreq(0).unwrap_err().errno(), libc::EINVAL);
        let bytes = new("tun0").ifreq(0x1000).unwrap();
        assert_eq!((&bytes[..5], &bytes[16..18]), (&b"tun0\0"[..], &0x1001u16.to_ne_bytes()[..]));
    }
}
