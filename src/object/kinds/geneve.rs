//! `geneve`: Ethernet, or any protocol, in UDP.

use std::net::IpAddr;

use super::super::shape::*;
use super::super::table::table;
use super::super::{Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use super::tunnel::{Object, hex, show_tos, tos_words};
use super::vxlan::{PortRangeOf, port_words};

new_links! {
    /// A Geneve tunnel to be created.
    Geneve;
}

impl Geneve {
    /// A tunnel of this name, 1 to 15 bytes, with this network identifier (VNI), 0 to 16777215.
    pub fn new(name: &str, vni: u32) -> Self {
        Geneve(NewLink::with_kind(name, "geneve")).id(vni)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&GENEVE))
    }
}

options! {
    GENEVE;
    /// The options of a Geneve tunnel, as the kernel reports them.
    GeneveData;
    /// Options of a Geneve tunnel to be set.
    GeneveOptions;
}

impl GeneveData<'_> {
    /// The other end, of either family.
    pub fn remote(&self) -> Option<IpAddr> {
        self.remote4().map(IpAddr::from).or(self.remote6().map(IpAddr::from))
    }
}

macro_rules! either_family {
    ($($name:ident)*) => {$(
        impl $name {
            /// The other end, of either family, which cannot be changed later.
            pub fn remote(mut self, address: impl Into<IpAddr>) -> Self {
                let (own, other, value) = match address.into() {
                    IpAddr::V4(address) => (row::REMOTE, row::REMOTE6, Value::V4(address)),
                    IpAddr::V6(address) => (row::REMOTE6, row::REMOTE, Value::V6(address)),
                };
                self.record_mut().remove(other);
                self.record_mut().set(own, value);
                self
            }
        }
    )*};
}

either_family!(Geneve GeneveOptions);

names! {
    /// `IFLA_GENEVE_DF`: the don't-fragment bit of tunnel packets.
    enum GeneveDf: u8 as U8 {
        UNSET = 0 "unset",
        SET = 1 "set",
        INHERIT = 2 "inherit",
    }
}

table! {
    /// `IFLA_GENEVE_*` in `include/uapi/linux/if_link.h`. What is not among the [`GeneveOptions`] the kernel refuses to change
    /// (`geneve_nl2info`).
    pub static GENEVE: "geneve", header 0;
    fields row;
    view ['a] GeneveData<'a>;
    setters [Geneve GeneveOptions];
    rows {
        /// Whether flow rules and routes choose the tunnel packet by packet.
        COLLECT_METADATA external: Present = Path(&[6]), "IFLA_GENEVE_COLLECT_METADATA", Create, keyword: "external", argument: NoWord;
        /// The network identifier (VNI), 0 to 16777215.
        ID id: U32 = Path(&[1]), "IFLA_GENEVE_ID", Create, keyword: "id", range: 0..=16_777_215;
        /// The other end, where it is an IPv4 address. [`GeneveData::remote`] is of either family.
        REMOTE remote4: Ip4 = Path(&[2]), "IFLA_GENEVE_REMOTE", Set, name: "remote", keyword: "remote", form: Custom(show_remote), silent: WhileDown;
        /// The other end, where it is an IPv6 address.
        REMOTE6 remote6: Ip6 = Path(&[7]), "IFLA_GENEVE_REMOTE6", Set, keyword: "remote", form: Custom(show_remote6), silent: WhileDown;
        /// The time to live of tunnel packets, 1 to 255; 0 for the kernel's choice.
        TTL ttl: U8 = Path(&[3]), "IFLA_GENEVE_TTL", Set, keyword: "ttl", form: Custom(show_ttl), argument: By(ttl_words), silent: WhileDown;
        /// Whether the time to live is taken from the packet inside. Setting `ttl` ends it.
        TTL_INHERIT ttl_inherit: Switch<U8> = Path(&[12]), "IFLA_GENEVE_TTL_INHERIT", Set, form: Hidden, argument: By(inherit_words), silent: WhileDown;
        /// The type of service of tunnel packets, 0 to 255; 1 to take it from the packet inside.
        TOS tos: U8 = Path(&[4]), "IFLA_GENEVE_TOS", Set, keyword: "tos", form: Custom(show_tos), argument: By(tos_words), silent: WhileDown;
        /// The don't-fragment bit of tunnel packets.
        DF df: OneOf<GeneveDf> = Path(&[13]), "IFLA_GENEVE_DF", Set, keyword: "df", range: 0..=2, silent: WhileDown;
        /// The flow label of IPv6 tunnel packets, 0 to 1048575.
        LABEL label: Be32 = Path(&[11]), "IFLA_GENEVE_LABEL", Set, keyword: "flowlabel", form: Custom(show_label), range: 0..=1_048_575, silent: WhileDown;
        /// The UDP destination port, 1 to 65535; 6081 when not given.
        PORT port: Be16 = Path(&[5]), "IFLA_GENEVE_PORT", Create, keyword: "dstport", range: 1..=65_535;
        /// The lowest and the highest UDP source port, `1000..=2000` or `(1000, 2000)`; both 0 for the kernel's choice (Linux 6.16).
        PORT_RANGE port_range: PortRangeOf = Path(&[15]), "IFLA_GENEVE_PORT_RANGE", Create, form: Hidden, keyword: "srcport", argument: By(port_words);
        /// Whether UDP checksums are computed over IPv4.
        UDP_CSUM udp_csum: Switch<U8> = Path(&[8]), "IFLA_GENEVE_UDP_CSUM", Create, keyword: "udpcsum", argument: NoWord;
        /// Whether UDP checksums are left out over IPv6.
        UDP_ZERO_CSUM6_TX udp_zero_csum6_tx: Switch<U8> = Path(&[9]), "IFLA_GENEVE_UDP_ZERO_CSUM6_TX", Create, keyword: "udp6zerocsumtx", argument: NoWord;
        /// Whether a UDP checksum of 0 is accepted over IPv6.
        UDP_ZERO_CSUM6_RX udp_zero_csum6_rx: Switch<U8> = Path(&[10]), "IFLA_GENEVE_UDP_ZERO_CSUM6_RX", Create, keyword: "udp6zerocsumrx", argument: NoWord;
        /// With `external`: whether packets are not Ethernet frames, but of the protocol that the outer header names (Linux 5.18).
        INNER_PROTO_INHERIT inner_proto_inherit: Present = Path(&[14]), "IFLA_GENEVE_INNER_PROTO_INHERIT", Create, keyword: "innerprotoinherit", argument: NoWord;
    }
}

fn show_ip(key: &str, value: &Value, object: Object<'_>) {
    if Ip::read(value).is_some_and(|address| !address.is_unspecified()) {
        object.push((key.to_owned(), Tree::Text(value.to_string())));
    }
}

fn show_remote(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip("remote", value, object);
}

fn show_remote6(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ip("remote6", value, object);
}

fn show_ttl(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if record.number(row::TTL_INHERIT) == 0 {
        object.push(("ttl".to_owned(), Tree::Number(value.number().unwrap_or(0))));
    }
}

fn show_label(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    hex("label", value, object);
}

fn ttl_words(value: &Value) -> String {
    match value.number() {
        Some(0) | None => "ttl auto".to_owned(),
        Some(ttl) => format!("ttl {ttl}"),
    }
}

fn inherit_words(value: &Value) -> String {
    if value.number() == Some(0) { String::new() } else { "ttl inherit".to_owned() }
}
