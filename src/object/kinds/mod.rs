//! Link kinds: one file each, one line here.

pub mod bareudp;
pub mod bridge;
pub mod geneve;
pub mod gre;
pub mod ifb;
pub mod ip6gre;
pub mod iptunnel;
pub mod macsec;
pub mod macvlan;
pub mod netkit;
pub(super) mod new;
pub mod tun;
pub mod tunnel;
pub mod veth;
pub mod vti;
pub mod vxlan;
pub mod wireguard;
pub mod xfrm;

pub use bareudp::{BAREUDP, Bareudp, BareudpData};
pub use bridge::{BRIDGE, Bridge, BridgeData, BridgeId, BridgeOptions, VlanProtocol};
pub use geneve::{GENEVE, Geneve, GeneveData, GeneveDf, GeneveOptions};
pub use gre::{
    ERSPAN, Erspan, ErspanData, ErspanOptions, GRE, GRETAP, Gre, GreData, GreOptions, Gretap,
    GretapData, GretapOptions,
};
pub use ifb::Ifb;
pub use ip6gre::{
    IP6ERSPAN, IP6GRE, IP6GRETAP, Ip6erspan, Ip6erspanData, Ip6erspanOptions, Ip6gre, Ip6greData,
    Ip6greOptions, Ip6gretap, Ip6gretapData, Ip6gretapOptions,
};
pub use iptunnel::{
    IP6TNL, IPIP, Ip6tnl, Ip6tnlData, Ip6tnlOptions, Ipip, IpipData, IpipOptions, SIT, Sit,
    SitData, SitOptions,
};
pub use macsec::{
    MACSEC, Macsec, MacsecCipher, MacsecData, MacsecOffload, MacsecOptions, MacsecValidation,
};
pub use macvlan::{
    MACVLAN, MacaddrMode, Macvlan, MacvlanData, MacvlanFlags, MacvlanMode, MacvlanOptions,
};
pub use netkit::{
    NETKIT, Netkit, NetkitData, NetkitMode, NetkitOptions, NetkitPolicy, NetkitScrub,
};
pub use new::{NewLink, Place};
pub use tun::{TUN, Tun, TunData, TunMode};
pub use tunnel::{ErspanDirection, Ip6TunnelProtocol, TunnelEncap, TunnelProtocol};
pub use veth::{VETH, Veth};
pub use vti::{VTI, VTI6, Vti, Vti6, Vti6Data, Vti6Options, VtiData, VtiOptions};
pub use vxlan::{VXLAN, Vxlan, VxlanData, VxlanDf, VxlanOptions};
pub use wireguard::Wireguard;
pub use xfrm::{XFRM, Xfrm, XfrmData, XfrmOptions};

use super::Table;

/// `IFLA_INFO_KIND` and the table of its `IFLA_INFO_DATA`. A kind without options (ifb) needs no line.
pub static KINDS: &[(&str, &Table)] = &[
    ("bridge", &BRIDGE),
    ("veth", &VETH),
    ("vxlan", &VXLAN),
    ("macvlan", &MACVLAN),
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
pub static PORT_KINDS: &[(&str, &Table)] = &[("bridge", &super::port::BRIDGE_PORT)];
