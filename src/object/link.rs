//! Links: `RTM_NEWLINK` with `struct ifinfomsg`, which iproute2 and users call interfaces.
//!
//! # What the kernel changes without a notification
//!
//! Measured on 6.18, 2026-11: after each single change the link as last announced (`AF_UNSPEC`, with
//! `AF_BRIDGE` merged into the port options, K29) was compared with a fresh dump, for bridge, veth, vxlan,
//! macvlan, ifb and bridge ports; of tunnels it is read in the kernel's source. `silent:` in the rows says the same.
//!
//! **While the link is down, also after our own request** (`WhileDown`): `IFLA_IFALIAS`, `IFLA_GROUP`,
//! `IFLA_PROP_LIST`, `IFLA_LINKMODE`, `IFLA_PROTO_DOWN` and its reason, `IFLA_CARRIER`; every option of a
//! bridge, of a vxlan, of a macvlan (its source addresses and their number too), of a tunnel and of a macsec; every bridge port option
//! set through `IFLA_INFO_SLAVE_DATA` (the same set through `AF_BRIDGE` is announced, as `AF_BRIDGE`).
//! Up, all of these are announced.
//!
//! **Up or down, also after our own request** (`Always`): `gso_max_size`, `gso_max_segs`, `gro_max_size` and
//! their IPv4 siblings; `tso_max_size` of a bridge that gains a port.
//!
//! **By a change of something else** (`Always`): the queueing discipline (`tc`); promiscuity and allmulti
//! beyond the first user, and of the interface below a macvlan; `IFLA_LINK` of the end of a veth that is
//! announced first, before it has its peer; headroom and tailroom, by what is enslaved; `IFLA_LINK_NETNSID` when
//! the peer moves (K32); all of `IFLA_AF_SPEC`: the settings of IPv4 and IPv6 and `addr_gen_mode` by sysctl, IPv6's MTU with the link's, and
//! its whole block, which vanishes below 1280 bytes; `bc_queue_len_used` of a macvlan by its siblings; of a
//! bridge: root, root port, path cost, topology change, querier, and `ageing_time`, which is shortened while
//! the topology changes; of a bridge port: root, designated bridge, port and cost, acknowledgement, pending;
//! of an HSR or PRP interface its ports, when one of them goes (`hsr_del_port`), and its MTU, when that of a port changes
//! (`hsr_netdev_notify`).
//!
//! On 6.1 the same for VLANs, bonds, VRFs, ipvlans, macvtaps and ports of bonds. By something else change: mode and flags
//! of an ipvlan, which all of one lower interface share, and its MTU, which is the new one of that; of a bond its active port and its aggregator, of its ports the
//! state, the carrier as the bond sees it, and LACP.
//!
//! Announced always: name, MTU, queue length, addresses, master, flags, operational state. Late, when the
//! kernel has looked at the carrier, and without a request: carrier, `LOWER_UP`, `RUNNING`.

use std::fmt;

use super::kinds::{
    self, BondData, BondPortData, BridgeData, HsrData, IpvlanData, KINDS, MacvlanData, PORT_KINDS,
    VlanData, VrfData, VrfPortData, VxlanData,
};
use super::shape::*;
use super::show::serialized;
use super::table::table;
use super::{BridgePortData, Named, Names, Record, Shape, Tree, Value};

/// One interface, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    record: Record,
    generation: u64,
}

impl Link {
    /// From what the kernel said, and how many interfaces had its index before it (K33).
    #[doc(hidden)]
    pub fn new(record: Record, generation: u64) -> Self {
        Link { record, generation }
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Tells this interface from an earlier one with the same index: the larger is the later.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it is administratively up (`IFF_UP`).
    pub fn is_up(&self) -> bool {
        self.flags().contains(LinkFlags::UP)
    }

    /// Its options, if it is a bridge.
    pub fn bridge(&self) -> Option<BridgeData<'_>> {
        self.nested(row::DATA, &kinds::BRIDGE).map(BridgeData)
    }

    /// Its options, if it is a VXLAN tunnel.
    pub fn vxlan(&self) -> Option<VxlanData<'_>> {
        self.nested(row::DATA, &kinds::VXLAN).map(VxlanData)
    }

    /// Its options, if it is a macvlan or macvtap.
    pub fn macvlan(&self) -> Option<MacvlanData<'_>> {
        let macvtap = || self.nested(row::DATA, &kinds::MACVTAP);
        self.nested(row::DATA, &kinds::MACVLAN).or_else(macvtap).map(MacvlanData)
    }

    /// Its options, if it is a VLAN.
    pub fn vlan(&self) -> Option<VlanData<'_>> {
        self.nested(row::DATA, &kinds::VLAN).map(VlanData)
    }

    /// Its options, if it is a bond.
    pub fn bond(&self) -> Option<BondData<'_>> {
        self.nested(row::DATA, &kinds::BOND).map(BondData)
    }

    /// Its options, if it is a VRF.
    pub fn vrf(&self) -> Option<VrfData<'_>> {
        self.nested(row::DATA, &kinds::VRF).map(VrfData)
    }

    /// Its options, if it is an ipvlan or ipvtap.
    pub fn ipvlan(&self) -> Option<IpvlanData<'_>> {
        let ipvtap = || self.nested(row::DATA, &kinds::IPVTAP);
        self.nested(row::DATA, &kinds::IPVLAN).or_else(ipvtap).map(IpvlanData)
    }

    /// Its options, if it is an HSR or PRP interface.
    pub fn hsr(&self) -> Option<HsrData<'_>> {
        self.nested(row::DATA, &kinds::HSR).map(HsrData)
    }

    /// What it is as a port, if its master is a bond.
    pub fn bond_port(&self) -> Option<BondPortData<'_>> {
        self.nested(row::PORT, &kinds::BOND_PORT).map(BondPortData)
    }

    /// What it is as a port, if its master is a VRF.
    pub fn vrf_port(&self) -> Option<VrfPortData<'_>> {
        self.nested(row::PORT, &kinds::VRF_PORT).map(VrfPortData)
    }

    /// Its options as a port, if its master is a bridge.
    pub fn bridge_port(&self) -> Option<BridgePortData<'_>> {
        self.nested(row::PORT, &super::BRIDGE_PORT).map(BridgePortData)
    }

    /// Its counters. They are as of the message that brought this description, which may be old: the kernel
    /// announces no counter.
    pub fn statistics(&self) -> Option<Statistics<'_>> {
        self.nested(row::STATS64, &STATISTICS).map(Statistics)
    }

    /// What `ip -json -details link show` prints of it.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        Tree::Map(self.record.tree(names))
    }

    fn nested(&self, id: u16, table: &'static super::Table) -> Option<&Record> {
        let record = self.record.value(id)?.nested()?;
        std::ptr::eq(record.table(), table).then_some(record)
    }
}

/// One accessor for each kind that has options.
macro_rules! kind_data {
    ($($(#[$meta:meta])* $name:ident $table:ident $data:ident;)*) => {
        impl Link {$(
            $(#[$meta])*
            pub fn $name(&self) -> Option<kinds::$data<'_>> {
                self.nested(row::DATA, &kinds::$table).map(kinds::$data)
            }
        )*}
    };
}

kind_data! {
    /// Its options, if it is a GRE tunnel over IPv4.
    gre GRE GreData;
    /// Its options, if it is a GRE tunnel of Ethernet frames over IPv4.
    gretap GRETAP GretapData;
    /// Its options, if it is an ERSPAN tunnel over IPv4.
    erspan ERSPAN ErspanData;
    /// Its options, if it is a GRE tunnel over IPv6.
    ip6gre IP6GRE Ip6greData;
    /// Its options, if it is a GRE tunnel of Ethernet frames over IPv6.
    ip6gretap IP6GRETAP Ip6gretapData;
    /// Its options, if it is an ERSPAN tunnel over IPv6.
    ip6erspan IP6ERSPAN Ip6erspanData;
    /// Its options, if it is a tunnel of IPv4 or MPLS in IPv4.
    ipip IPIP IpipData;
    /// Its options, if it is a tunnel of IPv6, IPv4 or MPLS in IPv4.
    sit SIT SitData;
    /// Its options, if it is a tunnel of IPv4 or IPv6 in IPv6.
    ip6tnl IP6TNL Ip6tnlData;
    /// Its options, if it is an IPsec tunnel over IPv4.
    vti VTI VtiData;
    /// Its options, if it is an IPsec tunnel over IPv6.
    vti6 VTI6 Vti6Data;
    /// Its options, if it is a Geneve tunnel.
    geneve GENEVE GeneveData;
    /// Its options, if it is an xfrm interface.
    xfrm XFRM XfrmData;
    /// Its options, if it is a bare UDP tunnel.
    bareudp BAREUDP BareudpData;
    /// Its options, if it is a MACsec interface.
    macsec MACSEC MacsecData;
    /// Its options, if it is an end of a netkit pair.
    netkit NETKIT NetkitData;
    /// Its options, if it is a tun or tap interface.
    tun TUN TunData;
}

impl Link {
    /// One line, as `ip -o link` prints it, with the names of other interfaces.
    pub fn line(&self, names: &dyn Names) -> String {
        let tree = self.tree(names);
        let text = |key: &str| tree.key(key).map(Tree::to_string).unwrap_or_default();
        let mut line = format!("{}: {}", self.index(), self.name());
        match tree.key("link").or(tree.key("link_index")) {
            Some(Tree::Null) => line += "@NONE",
            Some(Tree::Text(below)) => line += &format!("@{below}"),
            Some(below) => line += &format!("@if{below}"),
            None => {}
        }
        line += &format!(": <{}> mtu {}", text("flags"), self.mtu());
        for (key, word) in WORDS {
            if let Some(value) = tree.key(key) {
                line += &format!(" {word} {value}");
            }
        }
        line += &format!(" link/{}", text("link_type"));
        let address = self.address().filter(|address| !address.as_bytes().is_empty());
        line.extend(address.map(|address| format!(" {address}")));
        line.extend(self.kind().map(|kind| format!(" {kind}")));
        line
    }
}

/// As [`Link::line`], other interfaces by their index.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&()))
    }
}

const WORDS: &[(&str, &str)] = &[
    ("qdisc", "qdisc"),
    ("master", "master"),
    ("operstate", "state"),
    ("group", "group"),
    ("txqlen", "qlen"),
];

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} (generation {})", self.record, self.generation)
    }
}

serialized!(Link, (&()));

names! {
    /// `ifi_flags`: the flags of an interface, in the order in which `ip` prints them.
    bits LinkFlags: u32 as U32 {
        LOOPBACK = 0x8 "LOOPBACK",
        BROADCAST = 0x2 "BROADCAST",
        POINTOPOINT = 0x10 "POINTOPOINT",
        MULTICAST = 0x1000 "MULTICAST",
        NOARP = 0x80 "NOARP",
        ALLMULTI = 0x200 "ALLMULTI",
        PROMISC = 0x100 "PROMISC",
        MASTER = 0x400 "MASTER",
        SLAVE = 0x800 "SLAVE",
        DEBUG = 0x4 "DEBUG",
        DYNAMIC = 0x8000 "DYNAMIC",
        AUTOMEDIA = 0x4000 "AUTOMEDIA",
        PORTSEL = 0x2000 "PORTSEL",
        NOTRAILERS = 0x20 "NOTRAILERS",
        UP = 0x1 "UP",
        LOWER_UP = 0x10000 "LOWER_UP",
        DORMANT = 0x20000 "DORMANT",
        ECHO = 0x40000 "ECHO",
        RUNNING = 0x40 "RUNNING",
    }
}

names! {
    /// `ifi_type`: the link layer (`ARPHRD_*`).
    enum LinkType: u16 as U16 {
        NETROM = 0 "netrom",
        ETHER = 1 "ether",
        INFINIBAND = 32 "infiniband",
        PPP = 512 "ppp",
        TUNNEL = 768 "ipip",
        TUNNEL6 = 769 "tunnel6",
        LOOPBACK = 772 "loopback",
        SIT = 776 "sit",
        IPGRE = 778 "gre",
        IEEE80211 = 801 "ieee802.11",
        NETLINK = 824 "netlink",
        VSOCKMON = 826 "vsockmon",
        IP6GRE = 823 "gre6",
        RAWIP = 519 "rawip",
        CAN = 280 "can",
        VOID = 0xffff "void",
        NONE = 0xfffe "none",
    }
}

names! {
    /// `IFLA_OPERSTATE`: the operational state of RFC 2863.
    enum OperState: u8 as U8 {
        UNKNOWN = 0 "UNKNOWN",
        NOTPRESENT = 1 "NOTPRESENT",
        DOWN = 2 "DOWN",
        LOWERLAYERDOWN = 3 "LOWERLAYERDOWN",
        TESTING = 4 "TESTING",
        DORMANT = 5 "DORMANT",
        UP = 6 "UP",
    }
}

names! {
    /// `IFLA_LINKMODE`: who decides that the operational state is up.
    enum LinkMode: u8 as U8 {
        DEFAULT = 0 "DEFAULT",
        DORMANT = 1 "DORMANT",
    }
}

names! {
    /// `IFLA_INET6_ADDR_GEN_MODE`: how the kernel makes IPv6 interface identifiers.
    enum AddrGenMode: u8 as U8 {
        EUI64 = 0 "eui64",
        NONE = 1 "none",
        STABLE_PRIVACY = 2 "stable_secret",
        RANDOM = 3 "random",
    }
}

names! {
    /// `IFLA_EVENT`: why a notification was sent.
    enum LinkEvent: u32 as U32 {
        REBOOT = 1 "REBOOT",
        FEATURES = 2 "FEATURE CHANGE",
        BONDING_FAILOVER = 3 "BONDING FAILOVER",
        NOTIFY_PEERS = 4 "NOTIFY PEERS",
        IGMP_RESEND = 5 "RESEND IGMP",
        BONDING_OPTIONS = 6 "BONDING OPTION",
    }
}

macro_rules! by_kind {
    ($($(#[$meta:meta])* $name:ident: $kind:literal, $tables:path;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;
        impl Typed for $name {
            type Out<'a> = &'a Value;
            type In = Record;
            const SHAPE: Shape = Shape::ByKind { kind: $kind, tables: $tables };
            fn read(value: &Value) -> Option<&Value> {
                Some(value)
            }
            fn write(value: Record) -> Value {
                Value::Nested(Box::new(value))
            }
        }
    )*};
}

by_kind! {
    /// Options of a kind: a nested table chosen by the kind's name; bytes where no table has that name.
    KindData: 1, KINDS;
    /// Options of a port: a nested table chosen by the kind of its master.
    PortData: 4, PORT_KINDS;
}

records! {
    /// Counters.
    StatisticsOf: Struct STATISTICS, Statistics;
    /// Counters of 32 bits.
    Statistics32Of: Struct STATISTICS32, Statistics32;
    /// Hardware parameters.
    MapOf: Struct MAP, Map;
}

table! {
    /// `struct ifinfomsg` and `IFLA_*` in `include/uapi/linux/if_link.h`.
    pub static LINK: "link", header 16;
    fields row;
    view [] Link;
    setters [];
    rows {
        /// The address family of the message: 0 describes the interface, 7 (`AF_BRIDGE`) only what it is as a bridge port (K29).
        FAMILY family or 0: U8 = Header(0), "ifi_family", Identity, form: Hidden;
        /// The index, 1 to 2147483647, unique in the namespace; it may be given again once its interface is gone (K33).
        INDEX index or 0: U32 = Header(4), "ifi_index", Identity, name: "ifindex";
        /// The interface below: the other end of a veth, the lower interface of a macvlan or VLAN.
        LINK link: Index = Path(&[5]), "IFLA_LINK", Create, keyword: "link", form: Custom(show_link), silent: Always;
        /// The name, 1 to 15 bytes.
        NAME name or "": Text = Path(&[3]), "IFLA_IFNAME", Set, name: "ifname", keyword: "name";
        /// The flags.
        FLAGS flags or (LinkFlags(0)): BitsOf<LinkFlags> = Header(8), "ifi_flags", Set, form: Custom(show_flags);
        /// In a notification the flags that changed, in a request those that are to change.
        CHANGE change_mask: U32 = Header(12), "ifi_change", Statistic, form: Hidden;
        /// The largest packet that is sent, without the link-layer header, in bytes.
        MTU mtu or 0: U32 = Path(&[4]), "IFLA_MTU", Set, keyword: "mtu", unit: "bytes";
        /// The queueing discipline at the root.
        QDISC qdisc: Text = Path(&[6]), "IFLA_QDISC", Status, silent: Always;
        /// The master: the bridge or bond that it is a port of.
        MASTER master: Index = Path(&[10]), "IFLA_MASTER", Set, keyword: "master", none: Some(0);
        /// The operational state.
        OPERSTATE operstate: OneOf<OperState> = Path(&[16]), "IFLA_OPERSTATE", Status, form: Custom(show_operstate);
        /// Who decides that the operational state is up: the carrier alone, or a program too.
        LINKMODE linkmode: OneOf<LinkMode> = Path(&[17]), "IFLA_LINKMODE", Set, keyword: "mode", form: Custom(show_linkmode), silent: WhileDown;
        /// The group, for commands that address many interfaces at once.
        GROUP group or 0: U32 = Path(&[27]), "IFLA_GROUP", Set, keyword: "group", form: Custom(show_group), silent: WhileDown;
        /// Why this notification was sent.
        EVENT event: OneOf<LinkEvent> = Path(&[44]), "IFLA_EVENT", Statistic, form: Custom(show_event);
        /// The length of the transmit queue, in packets.
        TXQLEN txqlen or 0: U32 = Path(&[13]), "IFLA_TXQLEN", Set, keyword: "txqueuelen", unit: "packets", form: NotZero;
        /// The link layer.
        TYPE link_type or (LinkType(0)): OneOf<LinkType> = Header(2), "ifi_type", Status, form: Custom(show_type);
        /// The link-layer address.
        ADDRESS address: Hardware = Path(&[1]), "IFLA_ADDRESS", Set, keyword: "address", form: Custom(show_address);
        /// The link-layer broadcast address; with `POINTOPOINT` the other end's.
        BROADCAST broadcast: Hardware = Path(&[2]), "IFLA_BROADCAST", Set, keyword: "broadcast", form: Custom(show_broadcast);
        /// The link-layer address that the hardware came with.
        PERM_ADDRESS perm_address: Hardware = Path(&[54]), "IFLA_PERM_ADDRESS", Status, name: "permaddr", form: Custom(show_perm_address);
        /// The namespace of `link`, by the number it has in this one; -1 when it has none.
        LINK_NETNSID link_netnsid: I32 = Path(&[37]), "IFLA_LINK_NETNSID", Create, silent: Always;
        /// In the farewell of an interface that moves: the namespace that it went to (K32).
        NEW_NETNSID new_netnsid: I32 = Path(&[45]), "IFLA_NEW_NETNSID", Statistic;
        /// In the farewell of an interface that moves: its index there (K32).
        NEW_IFINDEX new_ifindex: U32 = Path(&[49]), "IFLA_NEW_IFINDEX", Statistic;
        /// Whether a program holds the protocols above down.
        PROTO_DOWN proto_down: Switch<U8> = Path(&[39]), "IFLA_PROTO_DOWN", Set, keyword: "protodown", argument: OnOff, form: OnlyTrue, silent: WhileDown;
        /// Why the protocols above are held down: bits whose meaning programs agree on.
        PROTO_DOWN_REASON proto_down_reason: U32 = Path(&[55, 2]), "IFLA_PROTO_DOWN_REASON_VALUE", Status, form: Custom(show_reason), silent: WhileDown;
        /// How many users want every frame: above 0 the interface is promiscuous.
        PROMISCUITY promiscuity: U32 = Path(&[30]), "IFLA_PROMISCUITY", Status, silent: Always;
        /// How many users want every multicast frame.
        ALLMULTI allmulti: U32 = Path(&[61]), "IFLA_ALLMULTI", Status, silent: Always;
        /// The smallest MTU that the driver takes, in bytes.
        MIN_MTU min_mtu: U32 = Path(&[50]), "IFLA_MIN_MTU", Status, unit: "bytes";
        /// The largest MTU that the driver takes, in bytes; 0 for no limit.
        MAX_MTU max_mtu: U32 = Path(&[51]), "IFLA_MAX_MTU", Status, unit: "bytes";
        /// The kind of a virtual interface.
        KIND kind: Text = Path(&[18, 1]), "IFLA_INFO_KIND", Create, name: "info_kind", keyword: "type", form: Custom(show_kind);
        /// Options of the kind; [`Link::bridge`] and its siblings read them.
        DATA kind_data: KindData = Path(&[18, 2]), "IFLA_INFO_DATA", Set, name: "info_data", form: Hidden;
        /// Counters of the kind.
        XSTATS kind_statistics: Bytes = Path(&[18, 3]), "IFLA_INFO_XSTATS", Statistic, form: Hidden;
        /// The kind of its master, which decides what options it has as a port.
        PORT_KIND port_kind: Text = Path(&[18, 4]), "IFLA_INFO_SLAVE_KIND", Status, name: "info_slave_kind", form: Custom(show_port_kind);
        /// Options as a port of its master; [`Link::bridge_port`] reads them.
        PORT port_data: PortData = Path(&[18, 5]), "IFLA_INFO_SLAVE_DATA", Set, name: "info_slave_data", form: Hidden;
        /// The IPv4 settings of the interface, one number each, in the kernel's order (`IPV4_DEVCONF_*` less 1).
        INET_CONF inet_conf: U32s = Path(&[26, 2, 1]), "IFLA_INET_CONF", Status, form: Hidden, silent: Always;
        /// Internal flags of IPv6 on this interface (`IF_READY` 0x80000000 and others).
        INET6_FLAGS inet6_flags: U32 = Path(&[26, 10, 1]), "IFLA_INET6_FLAGS", Status, form: Hidden, silent: Always;
        /// The IPv6 settings of the interface, one number each, in the kernel's order (`DEVCONF_*`).
        INET6_CONF inet6_conf: U32s = Path(&[26, 10, 2]), "IFLA_INET6_CONF", Status, form: Hidden, silent: Always;
        /// Counters of IPv6.
        INET6_STATS inet6_statistics: Bytes = Path(&[26, 10, 3]), "IFLA_INET6_STATS", Statistic, form: Hidden;
        /// IPv6: the largest reassembled packet, and neighbour discovery's timers.
        INET6_CACHEINFO inet6_cacheinfo: Bytes = Path(&[26, 10, 5]), "IFLA_INET6_CACHEINFO", Statistic, form: Hidden;
        /// Counters of ICMPv6.
        INET6_ICMP6STATS inet6_icmp_statistics: Bytes = Path(&[26, 10, 6]), "IFLA_INET6_ICMP6STATS", Statistic, form: Hidden;
        /// The interface identifier that a program chose for IPv6 autoconfiguration; `::` for none.
        INET6_TOKEN inet6_token: Ip = Path(&[26, 10, 7]), "IFLA_INET6_TOKEN", Set, form: Hidden, silent: Always;
        /// How the kernel makes IPv6 interface identifiers.
        ADDR_GEN_MODE addr_gen_mode: OneOf<AddrGenMode> = Path(&[26, 10, 8]), "IFLA_INET6_ADDR_GEN_MODE", Set, name: "inet6_addr_gen_mode", keyword: "addrgenmode", form: Custom(show_addr_gen_mode), silent: Always;
        /// The MTU in the last router advertisement, in bytes; 0 for none.
        INET6_RA_MTU inet6_ra_mtu: U32 = Path(&[26, 10, 9]), "IFLA_INET6_RA_MTU", Status, unit: "bytes", form: Hidden, silent: Always;
        /// Transmit queues, 1 to 4096.
        NUM_TX_QUEUES num_tx_queues: U32 = Path(&[31]), "IFLA_NUM_TX_QUEUES", Create, keyword: "numtxqueues";
        /// Receive queues, 1 to 4096.
        NUM_RX_QUEUES num_rx_queues: U32 = Path(&[32]), "IFLA_NUM_RX_QUEUES", Create, keyword: "numrxqueues";
        /// The largest packet handed to the driver for segmentation, in bytes.
        GSO_MAX_SIZE gso_max_size: U32 = Path(&[41]), "IFLA_GSO_MAX_SIZE", Set, keyword: "gso_max_size", unit: "bytes", silent: Always;
        /// The most segments of such a packet, 1 to 65535.
        GSO_MAX_SEGS gso_max_segs: U32 = Path(&[40]), "IFLA_GSO_MAX_SEGS", Set, keyword: "gso_max_segs", silent: Always;
        /// What the driver can take for segmentation, in bytes.
        TSO_MAX_SIZE tso_max_size: U32 = Path(&[59]), "IFLA_TSO_MAX_SIZE", Status, unit: "bytes", silent: Always;
        /// The most segments that the driver can take.
        TSO_MAX_SEGS tso_max_segs: U32 = Path(&[60]), "IFLA_TSO_MAX_SEGS", Status, silent: Always;
        /// The largest packet that receive offload puts together, in bytes.
        GRO_MAX_SIZE gro_max_size: U32 = Path(&[58]), "IFLA_GRO_MAX_SIZE", Set, keyword: "gro_max_size", unit: "bytes", silent: Always;
        /// `gso_max_size` for IPv4, in bytes (Linux 6.3).
        GSO_IPV4_MAX_SIZE gso_ipv4_max_size: U32 = Path(&[63]), "IFLA_GSO_IPV4_MAX_SIZE", Set, keyword: "gso_ipv4_max_size", unit: "bytes", silent: Always;
        /// `gro_max_size` for IPv4, in bytes (Linux 6.3).
        GRO_IPV4_MAX_SIZE gro_ipv4_max_size: U32 = Path(&[64]), "IFLA_GRO_IPV4_MAX_SIZE", Set, keyword: "gro_ipv4_max_size", unit: "bytes", silent: Always;
        /// The name of the port on the hardware.
        PHYS_PORT_NAME phys_port_name: Text = Path(&[38]), "IFLA_PHYS_PORT_NAME", Status;
        /// The identifier of the port on the hardware.
        PHYS_PORT_ID phys_port_id: Bytes = Path(&[34]), "IFLA_PHYS_PORT_ID", Status;
        /// The identifier of the switch that the port belongs to.
        PHYS_SWITCH_ID phys_switch_id: Bytes = Path(&[36]), "IFLA_PHYS_SWITCH_ID", Status;
        /// The bus of the device that the interface belongs to.
        PARENT_BUS parent_bus: Text = Path(&[57]), "IFLA_PARENT_DEV_BUS_NAME", Status, name: "parentbus";
        /// The device that the interface belongs to.
        PARENT_DEV parent_dev: Text = Path(&[56]), "IFLA_PARENT_DEV_NAME", Status, name: "parentdev";
        /// How far into the future the hardware can be told to send, in nanoseconds (Linux 6.13).
        MAX_PACING_OFFLOAD_HORIZON max_pacing_offload_horizon: Uint = Path(&[66]), "IFLA_MAX_PACING_OFFLOAD_HORIZON", Status, unit: "ns", form: Hidden;
        /// The port of a network card that it belongs to, as devlink names it (Linux 6.2).
        DEVLINK_PORT devlink_port: Bytes = Path(&[62]), "IFLA_DEVLINK_PORT", Status, form: Hidden;
        /// The pin by which its clock is synchronized (Linux 6.7).
        DPLL_PIN dpll_pin: Bytes = Path(&[65]), "IFLA_DPLL_PIN", Status, form: Hidden;
        /// Whether it can never leave its namespace (Linux 6.15).
        NETNS_IMMUTABLE netns_immutable: Switch<U8> = Path(&[67]), "IFLA_NETNS_IMMUTABLE", Status, name: "netns-immutable", form: OnlyTrue;
        /// Bytes left free before a packet (Linux 6.16).
        HEADROOM headroom: U16 = Path(&[68]), "IFLA_HEADROOM", Status, unit: "bytes", form: Hidden, silent: Always;
        /// Bytes left free behind a packet (Linux 6.16).
        TAILROOM tailroom: U16 = Path(&[69]), "IFLA_TAILROOM", Status, unit: "bytes", form: Hidden, silent: Always;
        /// Free text for people, at most 255 bytes.
        ALIAS alias: Text = Path(&[20]), "IFLA_IFALIAS", Set, name: "ifalias", keyword: "alias", silent: WhileDown;
        /// Alternative names, 1 to 127 bytes each.
        ALTNAMES altnames or (&[]): Texts<53> = Path(&[52]), "IFLA_PROP_LIST", Set, keyword: "altname", silent: WhileDown;
        /// Whether there is a carrier.
        CARRIER carrier: Switch<U8> = Path(&[33]), "IFLA_CARRIER", Status, form: Hidden, silent: WhileDown;
        /// How often the carrier came or went.
        CARRIER_CHANGES carrier_changes: U32 = Path(&[35]), "IFLA_CARRIER_CHANGES", Statistic, form: Hidden;
        /// How often the carrier came.
        CARRIER_UP_COUNT carrier_up_count: U32 = Path(&[47]), "IFLA_CARRIER_UP_COUNT", Statistic, form: Hidden;
        /// How often the carrier went.
        CARRIER_DOWN_COUNT carrier_down_count: U32 = Path(&[48]), "IFLA_CARRIER_DOWN_COUNT", Statistic, form: Hidden;
        /// Whether an XDP program is attached: 0 none, 1 driver, 2 generic, 3 hardware, 4 several.
        XDP_ATTACHED xdp_attached: U8 = Path(&[43, 2]), "IFLA_XDP_ATTACHED", Status, form: Hidden;
        /// The number of the attached XDP program.
        XDP_PROG_ID xdp_program: U32 = Path(&[43, 4]), "IFLA_XDP_PROG_ID", Status, form: Hidden;
        /// Counters of 32 bits, for old programs.
        STATS statistics32: Statistics32Of = Path(&[7]), "IFLA_STATS", Statistic, form: Hidden;
        /// Counters; [`Link::statistics`] reads them.
        STATS64 statistics64: StatisticsOf = Path(&[23]), "IFLA_STATS64", Statistic, form: Hidden;
        /// Hardware parameters of old cards.
        MAP hardware_map: MapOf = Path(&[14]), "IFLA_MAP", Status, form: Hidden;
        /// Virtual functions of the device.
        NUM_VF num_vf: U32 = Path(&[21]), "IFLA_NUM_VF", Status, form: Hidden;
        /// What this message was asked to contain.
        EXT_MASK ext_mask: U32 = Path(&[29]), "IFLA_EXT_MASK", Statistic, form: Hidden;
        /// An event of a wireless driver.
        WIRELESS wireless: Bytes = Path(&[11]), "IFLA_WIRELESS", Statistic, form: Hidden;
        /// What another protocol says of it; with family `AF_BRIDGE` its options as a bridge port (K29).
        PROTINFO protinfo: Bytes = Path(&[12]), "IFLA_PROTINFO", Statistic, form: Hidden;
        /// The namespace that an interface is to be in: a descriptor of the process that asks.
        NET_NS_FD net_ns_fd: U32 = Path(&[28]), "IFLA_NET_NS_FD", Action, form: Hidden;
        /// The namespace that a request was about, by its number.
        TARGET_NETNSID target_netnsid: I32 = Path(&[46]), "IFLA_TARGET_NETNSID", Statistic, form: Hidden;
    }
}

/// Counters, as of the message that brought them.
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'a>(pub(crate) &'a Record);

impl Statistics<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

/// Counters of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Statistics32<'a>(pub(crate) &'a Record);

impl Statistics32<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

macro_rules! counters {
    ($($(#[$meta:meta])* $table:ident $name:literal $view:ident $fields:ident $shape:ident $width:literal;)*) => {$(
        table! {
            $(#[$meta])*
            pub static $table: $name, header 24 * $width;
            fields $fields;
            view ['a] $view<'a>;
            setters [];
            rows {
                /// Packets received.
                RX_PACKETS rx_packets or 0: $shape = Header(0), "rtnl_link_stats64.rx_packets", Statistic;
                /// Packets sent.
                TX_PACKETS tx_packets or 0: $shape = Header($width), "rtnl_link_stats64.tx_packets", Statistic;
                /// Bytes received.
                RX_BYTES rx_bytes or 0: $shape = Header(2 * $width), "rtnl_link_stats64.rx_bytes", Statistic, unit: "bytes";
                /// Bytes sent.
                TX_BYTES tx_bytes or 0: $shape = Header(3 * $width), "rtnl_link_stats64.tx_bytes", Statistic, unit: "bytes";
                /// Bad packets received.
                RX_ERRORS rx_errors or 0: $shape = Header(4 * $width), "rtnl_link_stats64.rx_errors", Statistic;
                /// Packets that could not be sent.
                TX_ERRORS tx_errors or 0: $shape = Header(5 * $width), "rtnl_link_stats64.tx_errors", Statistic;
                /// Packets received and dropped for want of room.
                RX_DROPPED rx_dropped or 0: $shape = Header(6 * $width), "rtnl_link_stats64.rx_dropped", Statistic;
                /// Packets dropped on their way out.
                TX_DROPPED tx_dropped or 0: $shape = Header(7 * $width), "rtnl_link_stats64.tx_dropped", Statistic;
                /// Multicast packets received.
                MULTICAST multicast or 0: $shape = Header(8 * $width), "rtnl_link_stats64.multicast", Statistic;
                /// Collisions while sending.
                COLLISIONS collisions or 0: $shape = Header(9 * $width), "rtnl_link_stats64.collisions", Statistic;
                /// Packets of a bad length.
                RX_LENGTH_ERRORS rx_length_errors or 0: $shape = Header(10 * $width), "rtnl_link_stats64.rx_length_errors", Statistic;
                /// Packets lost to a full receive ring.
                RX_OVER_ERRORS rx_over_errors or 0: $shape = Header(11 * $width), "rtnl_link_stats64.rx_over_errors", Statistic;
                /// Packets with a bad checksum.
                RX_CRC_ERRORS rx_crc_errors or 0: $shape = Header(12 * $width), "rtnl_link_stats64.rx_crc_errors", Statistic;
                /// Packets with a bad frame.
                RX_FRAME_ERRORS rx_frame_errors or 0: $shape = Header(13 * $width), "rtnl_link_stats64.rx_frame_errors", Statistic;
                /// Receive FIFO overruns.
                RX_FIFO_ERRORS rx_fifo_errors or 0: $shape = Header(14 * $width), "rtnl_link_stats64.rx_fifo_errors", Statistic;
                /// Packets that the receiver missed.
                RX_MISSED_ERRORS rx_missed_errors or 0: $shape = Header(15 * $width), "rtnl_link_stats64.rx_missed_errors", Statistic;
                /// Packets whose sending was aborted.
                TX_ABORTED_ERRORS tx_aborted_errors or 0: $shape = Header(16 * $width), "rtnl_link_stats64.tx_aborted_errors", Statistic;
                /// Packets lost for want of a carrier.
                TX_CARRIER_ERRORS tx_carrier_errors or 0: $shape = Header(17 * $width), "rtnl_link_stats64.tx_carrier_errors", Statistic;
                /// Transmit FIFO overruns.
                TX_FIFO_ERRORS tx_fifo_errors or 0: $shape = Header(18 * $width), "rtnl_link_stats64.tx_fifo_errors", Statistic;
                /// Heartbeat errors.
                TX_HEARTBEAT_ERRORS tx_heartbeat_errors or 0: $shape = Header(19 * $width), "rtnl_link_stats64.tx_heartbeat_errors", Statistic;
                /// Late collisions.
                TX_WINDOW_ERRORS tx_window_errors or 0: $shape = Header(20 * $width), "rtnl_link_stats64.tx_window_errors", Statistic;
                /// Compressed packets received.
                RX_COMPRESSED rx_compressed or 0: $shape = Header(21 * $width), "rtnl_link_stats64.rx_compressed", Statistic;
                /// Compressed packets sent.
                TX_COMPRESSED tx_compressed or 0: $shape = Header(22 * $width), "rtnl_link_stats64.tx_compressed", Statistic;
                /// Packets that nobody wanted.
                RX_NOHANDLER rx_nohandler or 0: $shape = Header(23 * $width), "rtnl_link_stats64.rx_nohandler", Statistic;
            }
        }
    )*};
}

counters! {
    /// `struct rtnl_link_stats64`, all but what came after `rx_nohandler`.
    STATISTICS "statistics" Statistics statistics_row U64 8;
    /// `struct rtnl_link_stats`.
    STATISTICS32 "statistics32" Statistics32 statistics32_row U32 4;
}

/// Hardware parameters of old cards.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a>(pub(crate) &'a Record);

impl Map<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct rtnl_link_ifmap`.
    pub static MAP: "map", header 32;
    fields map_row;
    view ['a] Map<'a>;
    setters [];
    rows {
        /// Where its memory starts.
        MEM_START mem_start or 0: U64 = Header(0), "rtnl_link_ifmap.mem_start", Status;
        /// Where its memory ends.
        MEM_END mem_end or 0: U64 = Header(8), "rtnl_link_ifmap.mem_end", Status;
        /// Its I/O address.
        BASE_ADDR base_addr or 0: U64 = Header(16), "rtnl_link_ifmap.base_addr", Status;
        /// Its interrupt.
        IRQ irq or 0: U16 = Header(24), "rtnl_link_ifmap.irq", Status;
        /// Its DMA channel.
        DMA dma or 0: U8 = Header(26), "rtnl_link_ifmap.dma", Status;
        /// Its port, on cards that have several.
        PORT port or 0: U8 = Header(27), "rtnl_link_ifmap.port", Status;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn show_link(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    let index = value.number().unwrap_or(0) as u32;
    let (key, tree) = match record.value(row::LINK_NETNSID) {
        _ if index == 0 => ("link", Tree::Null),
        Some(_) => ("link_index", Tree::Number(index.into())),
        None => ("link", super::show::link_name(index, names)),
    };
    object.push((key.to_owned(), tree));
}

/// As `ip` derives it: `NO-CARRIER` for up and not running, `M-DOWN` where the interface below is down, and
/// `RUNNING` itself never.
fn show_flags(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    let flags = LinkFlags::from_number(value.number().unwrap_or(0));
    let rest = LinkFlags(flags.0 & !LinkFlags::RUNNING.0);
    let mut list: Vec<Tree> = Vec::new();
    if flags.contains(LinkFlags::UP) && !flags.contains(LinkFlags::RUNNING) {
        list.push("NO-CARRIER".into());
    }
    list.extend(
        bit_names(rest.0.into(), LinkFlags::NAMES)
            .split(',')
            .filter(|s| !s.is_empty())
            .map(Tree::from),
    );
    let below = record.number(row::LINK) as u32;
    let here = record.value(row::LINK_NETNSID).is_none();
    if below != 0 && here && names.is_up(below) == Some(false) {
        list.push("M-DOWN".into());
    }
    object.push(("flags".to_owned(), Tree::List(list)));
}

/// A number by its name under one key, without a name as a number under another.
fn named<N: Named>(value: &Value, key: &str, otherwise: &str, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    let entry = match N::NAMES.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => (key.to_owned(), Tree::from(*name)),
        None => (otherwise.to_owned(), Tree::Number(number)),
    };
    object.push(entry);
}

fn show_operstate(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    named::<OperState>(value, "operstate", "operstate_index", object);
}

fn show_linkmode(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    named::<LinkMode>(value, "linkmode", "linkmode_index", object);
}

fn show_event(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if value.number() != Some(0) {
        named::<LinkEvent>(value, "event", "event", object);
    }
}

fn show_type(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    let name = LinkType::NAMES.iter().find(|(n, _)| *n == number);
    let text = name.map_or_else(|| format!("[{number}]"), |(_, name)| (*name).to_owned());
    object.push(("link_type".to_owned(), Tree::Text(text)));
}

/// The numbers of the bits; iproute2 knows their names from a file.
fn show_reason(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let reason = value.number().unwrap_or(0);
    let bits = (0..32).filter(|bit| reason & (1 << bit) != 0);
    let list: Vec<_> = bits.map(|bit: u32| Tree::Text(bit.to_string())).collect();
    if !list.is_empty() {
        object.push(("proto_down_reason".to_owned(), Tree::List(list)));
    }
}

fn show_group(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let text = match value.number().unwrap_or(0) {
        0 => "default".to_owned(),
        number => number.to_string(),
    };
    object.push(("group".to_owned(), Tree::Text(text)));
}

fn show_addr_gen_mode(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    let name = AddrGenMode::NAMES.iter().find(|(n, _)| *n == number);
    let text = name.map_or_else(|| format!("{number:#04x}"), |(_, name)| (*name).to_owned());
    object.push(("inet6_addr_gen_mode".to_owned(), Tree::Text(text)));
}

/// A link-layer address of a tunnel is its IP address.
fn hardware(value: &Value, record: &Record) -> Tree {
    let Value::Hardware(address) = value else { return Tree::Text(value.to_string()) };
    let tunnel = matches!(record.number(row::TYPE), 768 | 769 | 776 | 778 | 823);
    Tree::Text(match (tunnel, ip_value(address.as_bytes())) {
        (true, Some(ip)) => ip.to_string(),
        _ => address.to_string(),
    })
}

fn show_address(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("address".to_owned(), hardware(value, record)));
}

fn show_broadcast(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if LinkFlags::from_number(record.number(row::FLAGS)).contains(LinkFlags::POINTOPOINT) {
        object.push(("link_pointtopoint".to_owned(), Tree::Bool(true)));
    }
    object.push(("broadcast".to_owned(), hardware(value, record)));
}

/// Only where it differs from the address in use.
fn show_perm_address(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if record.value(row::ADDRESS) != Some(value) {
        object.push(("permaddr".to_owned(), hardware(value, record)));
    }
}

fn show_kind(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    link_info(["info_kind", "info_data"], value, record.value(row::DATA), names, object);
}

fn show_port_kind(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    link_info(
        ["info_slave_kind", "info_slave_data"],
        value,
        record.value(row::PORT),
        names,
        object,
    );
}

/// Kind and options, both inside `linkinfo`.
fn link_info(
    keys: [&str; 2],
    kind: &Value,
    data: Option<&Value>,
    names: &dyn Names,
    object: Object<'_>,
) {
    let mut info = vec![(keys[0].to_owned(), Tree::Text(kind.to_string()))];
    if let Some(data) = data.and_then(Value::nested).filter(|data| !data.is_empty()) {
        info.push((keys[1].to_owned(), Tree::Map(data.tree(names))));
    }
    match object.iter_mut().find(|(key, _)| key == "linkinfo") {
        Some((_, Tree::Map(entries))) => entries.extend(info),
        _ => object.push(("linkinfo".to_owned(), Tree::Map(info))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Below(bool);

    impl Names for Below {
        fn name_of(&self, index: u32) -> Option<&str> {
            (index == 4).then_some("v1")
        }
        fn is_up(&self, _: u32) -> Option<bool> {
            Some(self.0)
        }
    }

    fn link(flags: u32, below: u64) -> Link {
        let mut record = Record::new(&LINK);
        record.set(row::FLAGS, Value::Number(flags.into()));
        record.set(row::LINK, Value::Number(below));
        Link::new(record, 0)
    }

    #[test]
    fn flags_are_derived_as_iproute2_does() {
        let check = |flags, below, up, expect: &str| {
            let tree = link(flags, below).tree(&Below(up));
            assert_eq!(tree.key("flags").map(Tree::to_string).as_deref(), Some(expect));
        };
        check(0x11043, 0, true, "BROADCAST,MULTICAST,UP,LOWER_UP");
        check(0x1003, 0, true, "NO-CARRIER,BROADCAST,MULTICAST,UP");
        check(0x1003, 4, false, "NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN");
        check(0x8000_0000, 4, true, "0x80000000");
    }

    #[test]
    fn the_interface_below_has_a_name_an_index_or_nothing() {
        let key = |link: &Link, key| link.tree(&Below(true)).key(key).cloned();
        assert_eq!(key(&link(0, 4), "link"), Some("v1".into()));
        assert_eq!(key(&link(0, 5), "link"), Some("if5".into()));
        assert_eq!(key(&link(0, 0), "link"), Some(Tree::Null));
        let mut abroad = link(0, 4);
        abroad.record.set(row::LINK_NETNSID, Value::Signed(0));
        assert_eq!(key(&abroad, "link_index"), Some(Tree::Number(4)));
        assert_eq!((abroad.link(), link(0, 0).link()), (Some(4), None));
    }

    #[test]
    fn a_link_of_an_unknown_kind_keeps_its_options() {
        let mut record = Record::new(&LINK);
        record.set(row::KIND, "wireguard".into());
        record.set(row::DATA, Value::Bytes([1, 2, 3].into()));
        let link = Link::new(record, 0);
        assert_eq!((link.kind(), link.bridge().is_none()), (Some("wireguard"), true));
        assert_eq!(link.kind_data(), Some(&Value::Bytes([1, 2, 3].into())));
    }
}
