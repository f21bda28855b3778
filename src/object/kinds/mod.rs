//! Link kinds: one file each, one line here.

pub mod bond;
pub mod bridge;
pub mod dummy;
pub mod hsr;
pub mod ifb;
pub mod ipvlan;
pub mod macvlan;
pub(super) mod new;
pub mod nlmon;
pub mod team;
pub mod veth;
pub mod vlan;
pub mod vrf;
pub mod vxlan;

pub use bond::{
    AD_INFO, AdInfo, AdSelect, ArpAllTargets, ArpValidate, BOND, BOND_PORT, Bond, BondData,
    BondMode, BondOptions, BondPortData, BondPortOptions, BondPortState, FailOverMac, LacpActive,
    LacpRate, LacpState, MiiStatus, PrimaryReselect, XmitHashPolicy,
};
pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeId, BridgeOptions, VlanProtocol};
pub use dummy::Dummy;
pub use hsr::{HSR, Hsr, HsrData, HsrProtocol};
pub use ifb::Ifb;
pub use ipvlan::{
    IPVLAN, IPVTAP, Ipvlan, IpvlanData, IpvlanFlags, IpvlanMode, IpvlanOptions, Ipvtap,
};
pub use macvlan::{
    MACVLAN, MACVTAP, MacaddrMode, Macvlan, MacvlanData, MacvlanFlags, MacvlanMode, MacvlanOptions,
    Macvtap,
};
pub use new::NewLink;
pub use nlmon::Nlmon;
pub use team::Team;
pub use veth::{VETH, Veth};
pub use vlan::{QOS_MAPPING, VLAN, Vlan, VlanData, VlanOptions};
pub use vrf::{VRF, VRF_PORT, Vrf, VrfData, VrfPortData};
pub use vxlan::{VXLAN, Vxlan, VxlanData, VxlanDf, VxlanOptions};

use super::Table;

/// `IFLA_INFO_KIND` and the table of its `IFLA_INFO_DATA`. A kind without options (ifb) needs no line.
pub static KINDS: &[(&str, &Table)] = &[
    ("bridge", &BRIDGE),
    ("veth", &VETH),
    ("vxlan", &VXLAN),
    ("macvlan", &MACVLAN),
    ("macvtap", &MACVTAP),
    ("vlan", &VLAN),
    ("bond", &BOND),
    ("vrf", &VRF),
    ("ipvlan", &IPVLAN),
    ("ipvtap", &IPVTAP),
    ("hsr", &HSR),
];

/// `IFLA_INFO_SLAVE_KIND` and the table of its `IFLA_INFO_SLAVE_DATA`.
pub static PORT_KINDS: &[(&str, &Table)] =
    &[("bridge", &super::port::BRIDGE_PORT), ("bond", &BOND_PORT), ("vrf", &VRF_PORT)];

/// Kinds whose options are those of another: the kind, the other's table, its own.
const ALIKE: &[(&str, &Table, &Table)] =
    &[("macvtap", &MACVLAN, &MACVTAP), ("ipvtap", &IPVLAN, &IPVTAP)];

/// The table in which options said by `table` are those of `kind`.
pub(crate) fn table_for(kind: &str, table: &'static Table) -> &'static Table {
    let alike = ALIKE.iter().find(|(own, other, _)| *own == kind && *other == table);
    alike.map_or(table, |(.., own)| own)
}

/// The kind of the master whose ports have the options of `table`.
pub(crate) fn master_of(table: &Table) -> &'static str {
    PORT_KINDS.iter().find(|(_, own)| *own == table).map_or("", |(kind, _)| kind)
}
