//! netlinkdb: the Linux network stack as an in-memory transactional database.
//!
//! Floors, lowest first; a module names only floors below its own (tests/floors.rs keeps it so):
//! `sys` (sockets, namespaces, every system call), `wire` (netlink as bytes), `object` (one table per
//! kind of object), `state` (snapshots and how they follow the kernel), `plan` (what a transaction
//! sends and how it is undone), `engine` (threads), `api` (what users name).
#![cfg(target_os = "linux")]
// The floors' items are `pub` so that `internals` can open them; without that feature most are not reachable.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unused_imports))]

mod api;
mod engine;
mod object;
mod plan;
mod state;
#[allow(unsafe_code)]
mod sys;
mod wire;

pub use api::{
    CommitError, Committed, Db, DbBuilder, Edit, Editor, Ending, Error, Interface,
    InterfaceTransaction, NetNs, NewInterface, ReadOnly, ReadOnlyDb, Result, Transaction, Watch,
};
pub use object::kinds::{
    Bridge, BridgeData, BridgeOptions, Ifb, Macvlan, MacvlanData, MacvlanMode, MacvlanOptions,
    NewLink, Veth, Vxlan, VxlanData, VxlanOptions,
};
pub use object::port::{BridgePortData, BridgePortOptions};
pub use object::{
    AddrGenMode, Address, AddressFlags, AddressProtocol, Family, FieldChange, Lifetime, Link,
    LinkFlags, LinkMode, LinkRef, LinkType, OperState, Scope, Statistics, Tree, UnknownName,
};
pub use plan::{
    AddressSpec, Failure, ParseAddressError, Refusal, Residue, Review, ReviewLine, Sign, Why,
};
pub use state::{AddressKey, Change, Diff, Losses, Object, Snapshot, UnknownAttribute};
pub use wire::{HardwareAddress, ParseHardwareAddressError};

/// The floors, for this project's own tests, benches and fuzz targets; no promise of any kind.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// Sockets, namespaces, every system call.
    pub mod sys {
        pub use crate::sys::*;
    }
    /// Netlink as bytes.
    pub mod wire {
        pub use crate::wire::*;
    }
    /// One table per kind of object.
    pub mod object {
        pub use crate::object::*;
    }
    /// The kernel's state as a value.
    pub mod state {
        pub use crate::state::*;
    }
    /// What a transaction sends, and how it is undone.
    pub mod plan {
        pub use crate::plan::*;
    }
}
