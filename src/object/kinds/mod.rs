//! Link kinds: one file each, one line here.

pub mod bareudp;
pub mod bond;
pub mod bridge;
pub mod dummy;
pub mod geneve;
pub mod gre;
pub mod hsr;
pub mod ifb;
pub mod ip6gre;
pub mod iptunnel;
pub mod ipvlan;
pub mod macsec;
pub mod macvlan;
pub mod netkit;
pub(super) mod new;
pub mod nlmon;
pub mod team;
pub mod tun;
pub mod tunnel;
pub mod veth;
pub mod vlan;
pub mod vrf;
pub mod vti;
pub mod vxlan;
pub mod wireguard;
pub mod xfrm;

pub use bareudp::{BAREUDP, Bareudp, BareudpData};
pub use bond::{
    AD_INFO, AdInfo, AdSelect, ArpAllTargets, ArpValidate, BOND, BOND_PORT, Bond, BondData,
    BondMode, BondOptions, BondPortData, BondPortOptions, BondPortState, FailOverMac, LacpActive,
    LacpRate, LacpState, MiiStatus, PrimaryReselect, XmitHashPolicy,
};
pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeId, BridgeOptions, VlanProtocol};
pub use dummy::Dummy;
pub use geneve::{GENEVE, Geneve, GeneveData, GeneveDf, GeneveOptions};
pub use gre::{
    ERSPAN, Erspan, ErspanData, ErspanOptions, GRE, GRETAP, Gre, GreData, GreOptions, Gretap,
    GretapData, GretapOptions,
};
pub use hsr::{HSR, Hsr, HsrData, HsrProtocol};
pub use ifb::Ifb;
pub use ip6gre::{
    IP6ERSPAN, IP6GRE, IP6GRETAP, Ip6erspan, Ip6erspanData, Ip6erspanOptions, Ip6gre, Ip6greData,
    Ip6greOptions, Ip6gretap, Ip6gretapData, Ip6gretapOptions,
};
pub use iptunnel::{
    IP6TNL, IPIP, Ip6tnl, Ip6tnlData, Ip6tnlOptions, Ipip, IpipData, IpipOptions, SIT, Sit,
    SitData, SitOptions,
};
pub(crate) use ipvlan::gets_mtu_of_lower;
pub use ipvlan::{
    IPVLAN, IPVTAP, Ipvlan, IpvlanData, IpvlanFlags, IpvlanMode, IpvlanOptions, Ipvtap,
};
pub use macsec::{
    MACSEC, Macsec, MacsecCipher, MacsecData, MacsecOffload, MacsecOptions, MacsecValidation,
};
pub use macvlan::{
    MACVLAN, MACVTAP, MacaddrMode, Macvlan, MacvlanData, MacvlanFlags, MacvlanMode, MacvlanOptions,
    Macvtap,
};
pub use netkit::{
    NETKIT, Netkit, NetkitData, NetkitMode, NetkitOptions, NetkitPolicy, NetkitScrub,
};
pub use new::{NewLink, Pair, Place, RawAttributes};
pub use nlmon::Nlmon;
pub use team::Team;
pub use tun::{TUN, Tun, TunData, TunMode};
pub use tunnel::{ErspanDirection, Ip6TunnelProtocol, TunnelEncap, TunnelProtocol};
pub use veth::{VETH, Veth};
pub use vlan::{QOS_MAPPING, VLAN, Vlan, VlanData, VlanOptions};
pub use vrf::{VRF, VRF_PORT, Vrf, VrfData, VrfPortData};
pub use vti::{VTI, VTI6, Vti, Vti6, Vti6Data, Vti6Options, VtiData, VtiOptions};
pub use vxlan::{UdpPorts, VXLAN, Vxlan, VxlanData, VxlanDf, VxlanOptions};
pub use wireguard::Wireguard;
pub use xfrm::{XFRM, Xfrm, XfrmData, XfrmOptions};

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
    ("gre", &GRE),
    ("gretap", &GRETAP),
    ("erspan", &ERSPAN),
    ("ip6gre", &IP6GRE),
    ("ip6gretap", &IP6GRETAP),
    ("ip6erspan", &IP6ERSPAN),
    ("ipip", &IPIP),
    ("sit", &SIT),
    ("ip6tnl", &IP6TNL),
    ("vti", &VTI),
    ("vti6", &VTI6),
    ("geneve", &GENEVE),
    ("xfrm", &XFRM),
    ("bareudp", &BAREUDP),
    ("macsec", &MACSEC),
    ("netkit", &NETKIT),
    ("tun", &TUN),
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
