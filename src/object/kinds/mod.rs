//! Link kinds: one file each, one line here.

pub mod bridge;
pub mod macvlan;
pub mod vxlan;

pub use super::port::BridgePortData;
pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeOptions};
pub use macvlan::{MACVLAN, MacvlanData};
pub use vxlan::{VXLAN, VxlanData};

use super::Table;

/// `IFLA_INFO_KIND` and the table of its `IFLA_INFO_DATA`.
pub static KINDS: &[(&str, &Table)] =
    &[("bridge", &BRIDGE), ("vxlan", &VXLAN), ("macvlan", &MACVLAN)];

/// `IFLA_INFO_SLAVE_KIND` and the table of its `IFLA_INFO_SLAVE_DATA`.
pub static PORT_KINDS: &[(&str, &Table)] = &[("bridge", &super::port::BRIDGE_PORT)];
