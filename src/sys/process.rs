//! What this thread may do, and what time it is.

use super::Error;
use super::error::check;
use std::time::Duration;

/// Whether this thread may change the network: the effective CAP_NET_ADMIN of its user namespace.
///
/// The kernel has the last word: it asks for the capability in the user namespace that owns the *network*
/// namespace, which may be another one.
pub fn has_net_admin() -> Result<bool, Error> {
    const CAP_NET_ADMIN: u32 = 12;
    Ok(effective_capabilities()? >> CAP_NET_ADMIN & 1 != 0)
}

/// The time since some fixed point in the past; never steps back, stands still while suspended.
pub fn monotonic() -> Duration {
    // SAFETY: a timespec is plain numbers, for which zero is valid (some platforms add padding fields).
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is a timespec that outlives the call. The call fails only for an unknown clock or a bad
    // pointer; then `now` stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Bits 0 to 31 of the effective set of this thread, which is where CAP_NET_ADMIN (12) lives.
fn effective_capabilities() -> Result<u32, Error> {
    /// `struct __user_cap_header_struct` of linux/capability.h.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    /// `struct __user_cap_data_struct`; version 3 takes two of them.
    #[repr(C)]
    #[derive(Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;

    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(), Data::default()];
    // SAFETY: both pointers are to live values of the layout that version 3 asks for (one header, two data).
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    check("capget", result as libc::c_int)?;
    Ok(data[0].effective)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_does_not_step_back() {
        let before = monotonic();
        assert!(before > Duration::ZERO);
        assert!(monotonic() >= before);
    }

    #[test]
    fn the_capability_is_the_one_that_proc_shows() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let effective = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(has_net_admin().unwrap(), effective & (1 << 12) != 0);
    }
}
