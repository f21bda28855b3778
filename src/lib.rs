//! netlinkdb: the Linux network stack as an in-memory transactional database.
//!
//! Floors, lowest first; a module names only floors below its own (tests/floors.rs keeps it so):
//! `sys` (sockets, namespaces, every system call), `wire` (netlink as bytes), `object` (one table per
//! kind of object), `state` (snapshots and how they follow the kernel), `plan` (what a transaction
//! sends and how it is undone), `engine` (threads), `api` (what users name).
#![cfg(target_os = "linux")]

#[allow(dead_code)]
mod object;
#[allow(unsafe_code)]
mod sys;
#[allow(dead_code)]
mod wire;

/// The pure floors, for this project's own tests, benches and fuzz targets; not part of the public interface.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    #[allow(missing_docs)]
    pub mod object {
        pub use crate::object::*;
    }
    #[allow(missing_docs)]
    pub mod wire {
        pub use crate::wire::*;
    }
}

pub use wire::{HardwareAddress, ParseHardwareAddressError};
