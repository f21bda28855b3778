//! Link kinds: one file each, one line here.

pub mod bridge;
pub mod ifb;
pub mod macvlan;
pub(super) mod new;
pub mod veth;
pub mod vxlan;

pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeId, BridgeOptions, VlanProtocol};
pub use ifb::Ifb;
pub use macvlan::{
    MACVLAN, MacaddrMode, Macvlan, MacvlanData, MacvlanFlags, MacvlanMode, MacvlanOptions,
};
pub use new::{NewLink, Place};
pub use veth::{VETH, Veth};
pub use vxlan::{VXLAN, Vxlan, VxlanData, VxlanDf, VxlanOptions};

use super::Table;

/// `IFLA_INFO_KIND` and the table of its `IFLA_INFO_DATA`. A kind without options (ifb) needs no line.
pub static KINDS: &[(&str, &Table)] =
    &[("bridge", &BRIDGE), ("veth", &VETH), ("vxlan", &VXLAN), ("macvlan", &MACVLAN)];

/// `IFLA_INFO_SLAVE_KIND` and the table of its `IFLA_INFO_SLAVE_DATA`.
pub static PORT_KINDS: &[(&str, &Table)] = &[("bridge", &super::port::BRIDGE_PORT)];
