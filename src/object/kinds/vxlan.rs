//! `vxlan`: Ethernet in UDP.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::super::shape::*;
use super::super::table::table;
use super::super::{LinkRef, Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};

new_links! {
    /// A VXLAN tunnel to be created.
    ///
    /// The kernel's default destination port is 8472, not 4789 (IANA's).
    Vxlan;
}

impl Vxlan {
    /// A tunnel of this name, 1 to 15 bytes, with this network identifier (VNI), 0 to 16777215.
    pub fn new(name: &str, vni: u32) -> Self {
        Vxlan(NewLink::with_kind(name, "vxlan")).id(vni)
    }

    /// The interface that the tunnel uses, by name, index or handle.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.0.link = Some(link.into());
        self
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&VXLAN))
    }
}

options! {
    VXLAN;
    /// The options of a VXLAN tunnel, as the kernel reports them.
    VxlanData;
    /// Options of a VXLAN tunnel to be set.
    VxlanOptions;
}

impl VxlanData<'_> {
    /// Where frames for unknown addresses go: a multicast group or one machine, of either family.
    pub fn remote(&self) -> Option<IpAddr> {
        self.group().map(IpAddr::from).or(self.group6().map(IpAddr::from))
    }

    /// The source address of tunnel packets, of either family.
    pub fn source(&self) -> Option<IpAddr> {
        self.local().map(IpAddr::from).or(self.local6().map(IpAddr::from))
    }
}

macro_rules! either_family {
    ($($name:ident)*) => {$(
        impl $name {
            /// Where frames for unknown addresses go: a multicast group or one machine, of either family.
            pub fn remote(self, address: impl Into<IpAddr>) -> Self {
                match address.into() {
                    IpAddr::V4(address) => self.group(address),
                    IpAddr::V6(address) => self.group6(address),
                }
            }

            /// The source address of tunnel packets, of either family.
            pub fn source(self, address: impl Into<IpAddr>) -> Self {
                match address.into() {
                    IpAddr::V4(address) => self.local(address),
                    IpAddr::V6(address) => self.local6(address),
                }
            }
        }
    )*};
}

either_family!(Vxlan VxlanOptions);

names! {
    /// `IFLA_VXLAN_DF`: the don't-fragment bit of tunnel packets.
    enum VxlanDf: u8 as U8 {
        UNSET = 0 "unset",
        SET = 1 "set",
        INHERIT = 2 "inherit",
    }
}

/// UDP source ports, as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct PortRange<'a>(pub(crate) &'a Record);

/// UDP source ports to be set, from the lowest to the highest: `1000..=2000` or `(1000, 2000)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPorts {
    /// The lowest, 0 to 65535.
    pub low: u16,
    /// The highest, 0 to 65535.
    pub high: u16,
}

impl From<(u16, u16)> for UdpPorts {
    fn from((low, high): (u16, u16)) -> Self {
        UdpPorts { low, high }
    }
}

impl From<RangeInclusive<u16>> for UdpPorts {
    fn from(ports: RangeInclusive<u16>) -> Self {
        UdpPorts { low: *ports.start(), high: *ports.end() }
    }
}

impl PortRange<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct ifla_vxlan_port_range`.
    pub static PORT_RANGE: "port_range", header 4;
    fields range_row;
    view ['a] PortRange<'a>;
    setters [];
    rows {
        /// The lowest.
        LOW low or 0: Be16 = Header(0), "ifla_vxlan_port_range.low", Create;
        /// The highest.
        HIGH high or 0: Be16 = Header(2), "ifla_vxlan_port_range.high", Create;
    }
}

/// UDP source ports.
#[derive(Debug)]
pub struct PortRangeOf;

impl Typed for PortRangeOf {
    type Out<'a> = PortRange<'a>;
    type In = UdpPorts;
    const SHAPE: Shape = Shape::Struct(&PORT_RANGE);
    fn read(value: &Value) -> Option<PortRange<'_>> {
        value.nested().map(PortRange)
    }
    fn write(ports: UdpPorts) -> Value {
        let mut range = Record::new(&PORT_RANGE);
        range.set(range_row::LOW, Value::Number(ports.low.into()));
        range.set(range_row::HIGH, Value::Number(ports.high.into()));
        Value::Nested(Box::new(range))
    }
}

table! {
    /// `IFLA_VXLAN_*` in `include/uapi/linux/if_link.h`.
    pub static VXLAN: "vxlan", header 0;
    fields row;
    view ['a] VxlanData<'a>;
    setters [Vxlan VxlanOptions];
    rows {
        /// Whether flow rules and routes choose the tunnel packet by packet.
        COLLECT_METADATA external: Switch<U8> = Path(&[25]), "IFLA_VXLAN_COLLECT_METADATA", Create, form: OnlyTrue, keyword: "external", argument: NoWord;
        /// With `external`: whether only listed network identifiers are received (Linux 5.18).
        VNIFILTER vnifilter: Switch<U8> = Path(&[30]), "IFLA_VXLAN_VNIFILTER", Create, form: OnlyTrue, keyword: "vnifilter", argument: NoWord;
        /// The network identifier (VNI), 0 to 16777215.
        ID id: U32 = Path(&[1]), "IFLA_VXLAN_ID", Create, keyword: "id", range: 0..=16_777_215;
        /// Where frames for unknown addresses go: an IPv4 multicast group or machine. [`VxlanData::remote`] is of either family.
        GROUP group: Ip4 = Path(&[2]), "IFLA_VXLAN_GROUP", Set, keyword: "group", form: Custom(show_group), argument: By(group_words), silent: WhileDown;
        /// Where frames for unknown addresses go: an IPv6 multicast group or machine.
        GROUP6 group6: Ip6 = Path(&[16]), "IFLA_VXLAN_GROUP6", Set, keyword: "group", form: Custom(show_group6), argument: By(group_words), silent: WhileDown;
        /// The IPv4 source address of tunnel packets. [`VxlanData::source`] is of either family.
        LOCAL local: Ip4 = Path(&[4]), "IFLA_VXLAN_LOCAL", Set, keyword: "local", form: Custom(show_local), silent: WhileDown;
        /// The IPv6 source address of tunnel packets.
        LOCAL6 local6: Ip6 = Path(&[17]), "IFLA_VXLAN_LOCAL6", Set, keyword: "local", form: Custom(show_local6), silent: WhileDown;
        /// The interface that the tunnel uses, by its index.
        LINK link: Interface = Path(&[3]), "IFLA_VXLAN_LINK", Set, keyword: "dev", silent: WhileDown;
        /// The lowest and the highest UDP source port, `1000..=2000` or `(1000, 2000)`; both 0 for the kernel's choice.
        PORT_RANGE port_range: PortRangeOf = Path(&[10]), "IFLA_VXLAN_PORT_RANGE", Create, keyword: "srcport", argument: By(port_words);
        /// The UDP destination port, 1 to 65535; 8472 when not given.
        PORT port: Be16 = Path(&[15]), "IFLA_VXLAN_PORT", Create, keyword: "dstport", range: 1..=65_535;
        /// Whether source addresses are learned from what arrives.
        LEARNING learning: Switch<U8> = Path(&[7]), "IFLA_VXLAN_LEARNING", Set, keyword: "learning", argument: NoWord, silent: WhileDown;
        /// Whether ARP requests are answered here.
        PROXY proxy: Switch<U8> = Path(&[11]), "IFLA_VXLAN_PROXY", Create, form: OnlyTrue, keyword: "proxy", argument: NoWord;
        /// Whether packets for a router are routed here.
        RSC rsc: Switch<U8> = Path(&[12]), "IFLA_VXLAN_RSC", Create, form: OnlyTrue, keyword: "rsc", argument: NoWord;
        /// Whether an unknown link-layer destination is announced.
        L2MISS l2miss: Switch<U8> = Path(&[13]), "IFLA_VXLAN_L2MISS", Create, form: OnlyTrue, keyword: "l2miss", argument: NoWord;
        /// Whether an unknown IP destination is announced.
        L3MISS l3miss: Switch<U8> = Path(&[14]), "IFLA_VXLAN_L3MISS", Create, form: OnlyTrue, keyword: "l3miss", argument: NoWord;
        /// The type of service of tunnel packets, 0 to 255; 1 to take it from the packet inside.
        TOS tos: U8 = Path(&[6]), "IFLA_VXLAN_TOS", Set, form: Custom(show_tos), keyword: "tos", silent: WhileDown;
        /// The time to live of tunnel packets, 1 to 255; 0 for the kernel's choice.
        TTL ttl: U8 = Path(&[5]), "IFLA_VXLAN_TTL", Set, form: Custom(show_ttl), keyword: "ttl", argument: By(ttl_words), silent: WhileDown;
        /// Whether the time to live is taken from the packet inside.
        TTL_INHERIT ttl_inherit: Switch<Flag> = Path(&[28]), "IFLA_VXLAN_TTL_INHERIT", Create, form: Hidden, keyword: "ttl", argument: By(ttl_inherit_words);
        /// The don't-fragment bit of tunnel packets.
        DF df: OneOf<VxlanDf> = Path(&[29]), "IFLA_VXLAN_DF", Set, keyword: "df", silent: WhileDown;
        /// The flow label of IPv6 tunnel packets, 0 to 1048575.
        LABEL label: Be32 = Path(&[26]), "IFLA_VXLAN_LABEL", Set, form: Custom(show_label), keyword: "flowlabel", range: 0..=1_048_575, silent: WhileDown;
        /// Where the flow label comes from: 0 fixed, 1 from the packet inside (Linux 6.8).
        LABEL_POLICY label_policy: U32 = Path(&[32]), "IFLA_VXLAN_LABEL_POLICY", Set, form: Hidden, silent: WhileDown;
        /// How long a learned address is kept, in seconds; 0 for ever, 300 when not given.
        AGEING ageing: U32 = Path(&[8]), "IFLA_VXLAN_AGEING", Set, keyword: "ageing", unit: "s", silent: WhileDown;
        /// How many addresses may be learned; 0 for any number.
        LIMIT limit: U32 = Path(&[9]), "IFLA_VXLAN_LIMIT", Create, form: NotZero, keyword: "maxaddress";
        /// Whether tunnel packets carry a group policy.
        GBP gbp: Present = Path(&[23]), "IFLA_VXLAN_GBP", Create, keyword: "gbp", argument: NoWord;
        /// Whether the generic protocol extension is spoken.
        GPE gpe: Present = Path(&[27]), "IFLA_VXLAN_GPE", Create, keyword: "gpe", argument: NoWord;
        /// Whether UDP checksums are computed over IPv4.
        UDP_CSUM udp_csum: Switch<U8> = Path(&[18]), "IFLA_VXLAN_UDP_CSUM", Create, keyword: "udpcsum", argument: NoWord;
        /// Whether UDP checksums are left out over IPv6.
        UDP_ZERO_CSUM6_TX udp_zero_csum6_tx: Switch<U8> = Path(&[19]), "IFLA_VXLAN_UDP_ZERO_CSUM6_TX", Create, keyword: "udp6zerocsumtx", argument: NoWord;
        /// Whether a UDP checksum of 0 is accepted over IPv6.
        UDP_ZERO_CSUM6_RX udp_zero_csum6_rx: Switch<U8> = Path(&[20]), "IFLA_VXLAN_UDP_ZERO_CSUM6_RX", Create, keyword: "udp6zerocsumrx", argument: NoWord;
        /// Whether checksums inside are left to the other end.
        REMCSUM_TX remcsum_tx: Switch<U8> = Path(&[21]), "IFLA_VXLAN_REMCSUM_TX", Create, form: OnlyTrue, keyword: "remcsumtx", argument: NoWord;
        /// Whether checksums that the other end left out are filled in.
        REMCSUM_RX remcsum_rx: Switch<U8> = Path(&[22]), "IFLA_VXLAN_REMCSUM_RX", Create, form: OnlyTrue, keyword: "remcsumrx", argument: NoWord;
        /// Whether those checksums are filled in wholly.
        REMCSUM_NOPARTIAL remcsum_nopartial: Present = Path(&[24]), "IFLA_VXLAN_REMCSUM_NOPARTIAL", Create, form: Hidden;
        /// Whether packets between tunnels of one machine skip the UDP socket (Linux 6.5).
        LOCALBYPASS localbypass: Switch<U8> = Path(&[31]), "IFLA_VXLAN_LOCALBYPASS", Set, keyword: "localbypass", argument: NoWord, silent: WhileDown;
        /// Which of the 64 bits of the header must be zero in what arrives, the first one the highest (Linux 6.14).
        RESERVED_BITS reserved_bits: Be64 = Path(&[33]), "IFLA_VXLAN_RESERVED_BITS", Create, form: Hex, keyword: "reserved_bits";
        /// Whether multicast tunnel packets are routed (Linux 6.16).
        MC_ROUTE mc_route: Switch<U8> = Path(&[34]), "IFLA_VXLAN_MC_ROUTE", Set, name: "mcroute", form: OnlyTrue, keyword: "mcroute", argument: NoWord, silent: WhileDown;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn ip(value: &Value) -> Option<IpAddr> {
    Ip::read(value).filter(|address| !address.is_unspecified())
}

/// One address under the key that says what it is; `::` and `0.0.0.0` not at all.
fn show_ip(value: &Value, [group, machine]: [&str; 2], object: Object<'_>) {
    if let Some(address) = ip(value) {
        let key = if address.is_multicast() { group } else { machine };
        object.push((key.to_owned(), Tree::Text(address.to_string())));
    }
}

fn show_group(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip(value, ["group", "remote"], object);
}

fn show_group6(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip(value, ["group6", "remote6"], object);
}

fn show_local(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip(value, ["local", "local"], object);
}

fn show_local6(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip(value, ["local6", "local6"], object);
}

fn group_words(value: &Value) -> String {
    let multicast = ip(value).is_some_and(|address| address.is_multicast());
    format!("{} {value}", if multicast { "group" } else { "remote" })
}

pub(super) fn port_words(value: &Value) -> String {
    let number = |id| value.nested().map_or(0, |range| range.number(id));
    format!("srcport {} {}", number(range_row::LOW), number(range_row::HIGH))
}

fn hex(key: &str, value: &Value, object: Object<'_>) {
    if let Some(number) = value.number().filter(|number| *number != 0) {
        object.push((key.to_owned(), Tree::Text(format!("{number:#x}"))));
    }
}

fn show_tos(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    hex("tos", value, object);
}

fn show_label(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    hex("label", value, object);
}

fn show_ttl(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if record.number(row::TTL_INHERIT) == 0 {
        object.push(("ttl".to_owned(), Tree::Number(value.number().unwrap_or(0))));
    }
}

fn ttl_words(value: &Value) -> String {
    match value.number() {
        Some(0) | None => "ttl auto".to_owned(),
        Some(ttl) => format!("ttl {ttl}"),
    }
}

fn ttl_inherit_words(value: &Value) -> String {
    if value.number() == Some(0) { String::new() } else { "ttl inherit".to_owned() }
}
