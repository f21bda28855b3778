//! Link kinds: one file each, one line here.

pub mod bridge;

pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeOptions};

use super::Table;

/// `IFLA_INFO_KIND` and the table of its `IFLA_INFO_DATA`.
pub static KINDS: &[(&str, &Table)] = &[("bridge", &BRIDGE)];

/// `IFLA_INFO_SLAVE_KIND` and the table of its `IFLA_INFO_SLAVE_DATA`.
pub static PORT_KINDS: &[(&str, &Table)] = &[];
