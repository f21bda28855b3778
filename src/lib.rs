//! netlinkdb: the Linux network stack as an in-memory transactional database.
//!
//! Floors, lowest first; a module names only floors below its own (tests/floors.rs keeps it so):
//! `sys` (sockets, namespaces, every system call), `wire` (netlink as bytes), `object` (one table per
//! kind of object), `state` (snapshots and how they follow the kernel), `plan` (what a transaction
//! sends and how it is undone), `engine` (threads), `api` (what users name).
#![cfg(target_os = "linux")]
// The floors' items are `pub` so that `internals` can open them; without that feature most are not reachable.
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub))]

#[allow(unsafe_code)]
#[allow(dead_code, unused_imports)] // Until the engine uses all of it.
mod sys;

/// The floors, for this project's own tests, benches and fuzz targets; no promise of any kind.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// Sockets, namespaces, every system call.
    pub mod sys {
        pub use crate::sys::*;
    }
}
