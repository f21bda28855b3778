//! What the tunnels of IPv4 and IPv6 have in common, as a mould for each family of attributes: `IFLA_GRE_*`, `IFLA_IPTUN_*`
//! and `IFLA_VTI_*`.
//!
//! A change takes the whole set of parameters: what a request leaves out the kernel sets to zero (`ipgre_netlink_parms`,
//! `ipip_netlink_parms` and their siblings begin with an empty set). The planner sends what is there along.

use super::super::shape::*;
use super::super::{Named, Names, Record, Tree, Value};

names! {
    /// `IFLA_GRE_ENCAP_TYPE`, `IFLA_IPTUN_ENCAP_TYPE`: what a tunnel's packets are put in.
    enum TunnelEncap: u16 as U16 {
        NONE = 0 "none",
        FOU = 1 "fou",
        GUE = 2 "gue",
        MPLS = 3 "mpls",
    }
}

names! {
    /// `IFLA_IPTUN_PROTO`: what may be in a tunnel of IPv4.
    enum TunnelProtocol: u8 as U8 {
        ANY = 0 "any",
        IPIP = 4 "ipip",
        IPV6 = 41 "ip6ip",
        MPLS = 137 "mplsip",
    }
}

names! {
    /// `IFLA_IPTUN_PROTO` of `ip6tnl`: what may be in a tunnel of IPv6.
    enum Ip6TunnelProtocol: u8 as U8 {
        ANY = 0 "any",
        IPIP6 = 4 "ipip6",
        IP6IP6 = 41 "ip6ip6",
    }
}

names! {
    /// `IFLA_GRE_ERSPAN_DIR`: which traffic is mirrored (version 2).
    enum ErspanDirection: u8 as U8 {
        INGRESS = 0 "ingress",
        EGRESS = 1 "egress",
    }
}

pub(super) type Object<'a> = &'a mut Vec<(String, Tree)>;

/// An address, `any` where there is none.
pub(super) fn endpoint(key: &str, value: &Value, object: Object<'_>) {
    let any = Ip::read(value).is_none_or(|address| address.is_unspecified());
    let text = if any { "any".to_owned() } else { value.to_string() };
    object.push((key.to_owned(), Tree::Text(text)));
}

pub(super) fn show_remote(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    endpoint("remote", value, object);
}

pub(super) fn show_local(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    endpoint("local", value, object);
}

fn address_words(keyword: &str, value: &Value) -> String {
    let any = Ip::read(value).is_none_or(|address| address.is_unspecified());
    if any { format!("{keyword} any") } else { format!("{keyword} {value}") }
}

pub(super) fn remote_words(value: &Value) -> String {
    address_words("remote", value)
}

pub(super) fn local_words(value: &Value) -> String {
    address_words("local", value)
}

/// Hexadecimal with `0x`, left out when zero.
pub(super) fn hex(key: &str, value: &Value, object: Object<'_>) {
    if let Some(number) = value.number().filter(|number| *number != 0) {
        object.push((key.to_owned(), Tree::Text(format!("{number:#x}"))));
    }
}

pub(super) fn show_tos(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    hex("tos", value, object);
}

pub(super) fn tos_words(value: &Value) -> String {
    match value.number() {
        Some(1) => "tos inherit".to_owned(),
        number => format!("tos {:#x}", number.unwrap_or(0)),
    }
}

pub(super) fn ttl_words(value: &Value) -> String {
    match value.number() {
        Some(0) | None => "ttl inherit".to_owned(),
        Some(ttl) => format!("ttl {ttl}"),
    }
}

/// Whether a switch of the same table is on.
fn is_on(record: &Record, accessor: &str) -> Option<bool> {
    let (id, _) = record.table().row(accessor)?;
    record.value(id).map(|value| value.number() != Some(0))
}

/// A key as an address, as `ip` writes it; not at all where packets carry none.
fn dotted_key(keys: [&str; 2], value: &Value, record: &Record, object: Object<'_>) {
    if is_on(record, keys[1]) != Some(false) {
        let key = std::net::Ipv4Addr::from(value.number().unwrap_or(0) as u32);
        object.push((keys[0].to_owned(), Tree::Text(key.to_string())));
    }
}

pub(super) fn show_ikey(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    dotted_key(["ikey", "use_ikey"], value, record, object);
}

pub(super) fn show_okey(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    dotted_key(["okey", "use_okey"], value, record, object);
}

/// Only where it says that there is none: a key's word says that there is one.
pub(super) fn use_ikey_words(value: &Value) -> String {
    if value.number() == Some(0) { "noikey".to_owned() } else { String::new() }
}

pub(super) fn use_okey_words(value: &Value) -> String {
    if value.number() == Some(0) { "nookey".to_owned() } else { String::new() }
}

pub(super) fn show_fwmark(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if is_on(record, "use_orig_fwmark") != Some(true) {
        hex("fwmark", value, object);
    }
}

pub(super) fn show_encap_limit(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if is_on(record, "ign_encap_limit") != Some(true) {
        object.push(("encap_limit".to_owned(), Tree::Number(value.number().unwrap_or(0))));
    }
}

pub(super) fn show_tclass(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if is_on(record, "use_orig_tclass") != Some(true) {
        let text = format!("{:#04x}", value.number().unwrap_or(0));
        object.push(("tclass".to_owned(), Tree::Text(text)));
    }
}

pub(super) fn show_flowlabel(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if is_on(record, "use_orig_flowlabel") != Some(true) {
        let text = format!("{:#07x}", value.number().unwrap_or(0));
        object.push(("flowlabel".to_owned(), Tree::Text(text)));
    }
}

/// `word` where a switch is on; off is what the number beside it says.
fn when_on(value: &Value, word: &str) -> String {
    if value.number() == Some(0) { String::new() } else { word.to_owned() }
}

pub(super) fn encaplimit_words(value: &Value) -> String {
    when_on(value, "encaplimit none")
}

pub(super) fn tclass_words(value: &Value) -> String {
    when_on(value, "tclass inherit")
}

pub(super) fn flowlabel_words(value: &Value) -> String {
    when_on(value, "flowlabel inherit")
}

pub(super) fn dscp_words(value: &Value) -> String {
    when_on(value, "dscp inherit")
}

pub(super) fn fwmark_words(value: &Value) -> String {
    when_on(value, "fwmark inherit")
}

/// Everything about the encapsulation stands in an object of its own, where there is any.
fn in_encap(record: &Record, key: &str, tree: Tree, object: Object<'_>) {
    let named = record.table().row("encap_type").map(|(id, _)| record.number(id));
    if named == Some(0) {
        return;
    }
    let entry = (key.to_owned(), tree);
    match object.iter_mut().find(|(key, _)| key == "encap") {
        Some((_, Tree::Map(entries))) => entries.push(entry),
        _ => object.push(("encap".to_owned(), Tree::Map(vec![entry]))),
    }
}

pub(super) fn show_encap_type(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    let name = TunnelEncap::NAMES.iter().find(|(n, _)| *n == number && (1..=2).contains(n));
    in_encap(record, "type", name.map_or("unknown", |(_, name)| *name).into(), object);
}

pub(super) fn show_encap_sport(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    in_encap(record, "sport", Tree::Number(value.number().unwrap_or(0)), object);
}

pub(super) fn show_encap_dport(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    in_encap(record, "dport", Tree::Number(value.number().unwrap_or(0)), object);
}

fn encap_switch(key: &str, value: &Value, record: &Record, object: Object<'_>) {
    in_encap(record, key, Tree::Bool(value.number() != Some(0)), object);
}

pub(super) fn show_encap_csum(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    encap_switch("csum", value, record, object);
}

pub(super) fn show_encap_csum6(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    encap_switch("csum6", value, record, object);
}

pub(super) fn show_encap_remcsum(
    value: &Value,
    record: &Record,
    _: &dyn Names,
    object: Object<'_>,
) {
    encap_switch("remcsum", value, record, object);
}

pub(super) fn encap_words(value: &Value) -> String {
    let number = value.number().unwrap_or(0);
    format!("encap {}", TunnelEncap::from_number(number))
}

/// The types of one kind of tunnel: what is created, what is read, what is set.
macro_rules! tunnel_types {
    ($table:ident $kind:literal $new:ident $data:ident $options:ident $title:literal) => {
        super::new::new_links! {
            #[doc = concat!($title, " to be created.")]
            $new;
        }

        impl $new {
            /// One of this name, 1 to 15 bytes.
            pub fn new(name: &str) -> Self {
                $new(super::new::NewLink::with_kind(name, $kind))
            }

            /// The interface that its packets leave by, by name, index or handle.
            pub fn dev(mut self, link: impl Into<super::super::LinkRef>) -> Self {
                self.0.link = Some(link.into());
                self
            }

            fn record_mut(&mut self) -> &mut super::super::Record {
                self.0.data.get_or_insert_with(|| super::super::Record::new(&$table))
            }
        }

        super::new::options! {
            $table;
            #[doc = concat!("The options of ", $title, ", as the kernel reports them.")]
            $data;
            #[doc = concat!("Options of ", $title, " to be set. The others stay as they are.")]
            $options;
        }
    };
}
pub(super) use tunnel_types;

/// One kind with the attributes `IFLA_GRE_*`, and rows of its own behind them.
macro_rules! gre_kind {
    ($kind:literal $table:ident $fields:ident $new:ident $data:ident $options:ident $title:literal $ip:ident; $($own:tt)*) => {
        crate::object::kinds::tunnel::tunnel_types!($table $kind $new $data $options $title);

        impl $new {
            /// The same key in both directions.
            pub fn key(self, key: u32) -> Self {
                self.ikey(key).okey(key)
            }
        }

        crate::object::table::table! {
            /// `IFLA_GRE_*` in `include/uapi/linux/if_tunnel.h`.
            pub static $table: $kind, header 0;
            fields $fields;
            view ['a] $data<'a>;
            setters [$new $options];
            rows {
                /// Whether flow rules and routes choose the tunnel packet by packet.
                COLLECT_METADATA external: Present = Path(&[18]), "IFLA_GRE_COLLECT_METADATA", Create, keyword: "external", argument: NoWord;
                /// The other end; unspecified for any.
                REMOTE remote: $ip = Path(&[7]), "IFLA_GRE_REMOTE", Set, keyword: "remote", form: Custom(show_remote), argument: By(remote_words), silent: WhileDown;
                /// The source address of tunnel packets; unspecified for any.
                LOCAL local: $ip = Path(&[6]), "IFLA_GRE_LOCAL", Set, keyword: "local", form: Custom(show_local), argument: By(local_words), silent: WhileDown;
                /// The interface that tunnel packets leave by, by its index; 0 for any.
                LINK link: Interface = Path(&[1]), "IFLA_GRE_LINK", Set, keyword: "dev", silent: WhileDown;
                /// The time to live (IPv6: hop limit) of tunnel packets, 1 to 255; 0 to take it from the packet inside.
                TTL ttl: U8 = Path(&[8]), "IFLA_GRE_TTL", Set, keyword: "ttl", argument: By(ttl_words), silent: WhileDown;
                /// The key of packets received, 0 to 4294967295.
                IKEY ikey: Be32 = Path(&[4]), "IFLA_GRE_IKEY", Set, keyword: "ikey", form: Custom(show_ikey), argument: Argument::Number, silent: WhileDown;
                /// The key of packets sent, 0 to 4294967295.
                OKEY okey: Be32 = Path(&[5]), "IFLA_GRE_OKEY", Set, keyword: "okey", form: Custom(show_okey), argument: Argument::Number, silent: WhileDown;
                /// Whether packets received carry a key. Naming `ikey` says so too.
                USE_IKEY use_ikey: Bit<0x2000, Be16> = Path(&[2]), "IFLA_GRE_IFLAGS", Set, form: Hidden, argument: By(use_ikey_words), silent: WhileDown;
                /// Whether packets sent carry a key. Naming `okey` says so too.
                USE_OKEY use_okey: Bit<0x2000, Be16> = Path(&[3]), "IFLA_GRE_OFLAGS", Set, form: Hidden, argument: By(use_okey_words), silent: WhileDown;
                /// Whether packets received must be in order.
                ISEQ iseq: Bit<0x1000, Be16> = Path(&[2]), "IFLA_GRE_IFLAGS", Set, keyword: "iseq", argument: NoWord, silent: WhileDown;
                /// Whether packets sent are numbered.
                OSEQ oseq: Bit<0x1000, Be16> = Path(&[3]), "IFLA_GRE_OFLAGS", Set, keyword: "oseq", argument: NoWord, silent: WhileDown;
                /// Whether packets received must have a checksum.
                ICSUM icsum: Bit<0x8000, Be16> = Path(&[2]), "IFLA_GRE_IFLAGS", Set, keyword: "icsum", argument: NoWord, silent: WhileDown;
                /// Whether packets sent have a checksum.
                OCSUM ocsum: Bit<0x8000, Be16> = Path(&[3]), "IFLA_GRE_OFLAGS", Set, keyword: "ocsum", argument: NoWord, silent: WhileDown;
                /// The firewall mark of tunnel packets; 0 for none.
                FWMARK fwmark: U32 = Path(&[20]), "IFLA_GRE_FWMARK", Set, keyword: "fwmark", form: Custom(show_fwmark), silent: WhileDown;
                $($own)*
                /// What tunnel packets are put in.
                ENCAP_TYPE encap_type: OneOf<TunnelEncap> = Path(&[14]), "IFLA_GRE_ENCAP_TYPE", Set, name: "encap.type", keyword: "encap", form: Custom(show_encap_type), argument: By(encap_words), silent: WhileDown;
                /// The UDP source port of the encapsulation; 0 for one that follows the flow.
                ENCAP_SPORT encap_sport: Be16 = Path(&[16]), "IFLA_GRE_ENCAP_SPORT", Set, name: "encap.sport", keyword: "encap-sport", form: Custom(show_encap_sport), argument: Argument::Number, silent: WhileDown;
                /// The UDP destination port of the encapsulation.
                ENCAP_DPORT encap_dport: Be16 = Path(&[17]), "IFLA_GRE_ENCAP_DPORT", Set, name: "encap.dport", keyword: "encap-dport", form: Custom(show_encap_dport), argument: Argument::Number, silent: WhileDown;
                /// Whether the encapsulation has UDP checksums over IPv4.
                ENCAP_CSUM encap_csum: Bit<1, U16> = Path(&[15]), "IFLA_GRE_ENCAP_FLAGS", Set, name: "encap.csum", keyword: "encap-csum", form: Custom(show_encap_csum), argument: NoWord, silent: WhileDown;
                /// Whether the encapsulation has UDP checksums over IPv6.
                ENCAP_CSUM6 encap_csum6: Bit<2, U16> = Path(&[15]), "IFLA_GRE_ENCAP_FLAGS", Set, name: "encap.csum6", keyword: "encap-udp6-csum", form: Custom(show_encap_csum6), argument: NoWord, silent: WhileDown;
                /// Whether checksums inside are left to the other end.
                ENCAP_REMCSUM encap_remcsum: Bit<4, U16> = Path(&[15]), "IFLA_GRE_ENCAP_FLAGS", Set, name: "encap.remcsum", keyword: "encap-remcsum", form: Custom(show_encap_remcsum), argument: NoWord, silent: WhileDown;
            }
        }
    };
}
pub(super) use gre_kind;

/// A kind of GRE tunnel, declared by another macro, with the rows of mirrored traffic; with these versions of the header.
macro_rules! erspan_kind {
    ($base:ident $versions:expr; $($head:tt)*) => {
        $base! {
            $($head)*
            /// Version 1: the number of the port that is mirrored, 0 to 1048575.
            ERSPAN_INDEX erspan_index: U32 = Path(&[21]), "IFLA_GRE_ERSPAN_INDEX", Set, keyword: "erspan", range: 0..=1_048_575, silent: WhileDown;
            /// The version of the header, up to 2; 0, which has no index, over IPv4 only.
            ERSPAN_VER erspan_ver: U8 = Path(&[22]), "IFLA_GRE_ERSPAN_VER", Set, keyword: "erspan_ver", range: $versions, silent: WhileDown;
            /// Version 2: which traffic is mirrored.
            ERSPAN_DIR erspan_dir: OneOf<ErspanDirection> = Path(&[23]), "IFLA_GRE_ERSPAN_DIR", Set, keyword: "erspan_dir", range: 0..=1, silent: WhileDown;
            /// Version 2: the number of the mirroring engine, 0 to 63.
            ERSPAN_HWID erspan_hwid: U16 = Path(&[24]), "IFLA_GRE_ERSPAN_HWID", Set, keyword: "erspan_hwid", range: 0..=63, form: Hex, silent: WhileDown;
        }
    };
}
pub(super) use erspan_kind;

/// One kind with the attributes `IFLA_IPTUN_*`, and rows of its own behind them.
macro_rules! iptunnel_kind {
    ($kind:literal $table:ident $fields:ident $new:ident $data:ident $options:ident $title:literal $ip:ident $protocol:ident; $($own:tt)*) => {
        crate::object::kinds::tunnel::tunnel_types!($table $kind $new $data $options $title);

        crate::object::table::table! {
            /// `IFLA_IPTUN_*` in `include/uapi/linux/if_tunnel.h`.
            pub static $table: $kind, header 0;
            fields $fields;
            view ['a] $data<'a>;
            setters [$new $options];
            rows {
                /// Whether flow rules and routes choose the tunnel packet by packet.
                COLLECT_METADATA external: Present = Path(&[19]), "IFLA_IPTUN_COLLECT_METADATA", Create, keyword: "external", argument: NoWord;
                /// What may be inside.
                PROTO proto: OneOf<$protocol> = Path(&[9]), "IFLA_IPTUN_PROTO", Set, keyword: "mode", silent: WhileDown;
                /// The other end; unspecified for any.
                REMOTE remote: $ip = Path(&[3]), "IFLA_IPTUN_REMOTE", Set, keyword: "remote", form: Custom(show_remote), argument: By(remote_words), silent: WhileDown;
                /// The source address of tunnel packets; unspecified for any.
                LOCAL local: $ip = Path(&[2]), "IFLA_IPTUN_LOCAL", Set, keyword: "local", form: Custom(show_local), argument: By(local_words), silent: WhileDown;
                /// The interface that tunnel packets leave by, by its index; 0 for any.
                LINK link: Interface = Path(&[1]), "IFLA_IPTUN_LINK", Set, keyword: "dev", silent: WhileDown;
                /// The time to live (IPv6: hop limit) of tunnel packets, 1 to 255; 0 to take it from the packet inside.
                TTL ttl: U8 = Path(&[4]), "IFLA_IPTUN_TTL", Set, keyword: "ttl", argument: By(ttl_words), silent: WhileDown;
                /// The firewall mark of tunnel packets; 0 for none.
                FWMARK fwmark: U32 = Path(&[20]), "IFLA_IPTUN_FWMARK", Set, keyword: "fwmark", form: Custom(show_fwmark), silent: WhileDown;
                $($own)*
                /// What tunnel packets are put in.
                ENCAP_TYPE encap_type: OneOf<TunnelEncap> = Path(&[15]), "IFLA_IPTUN_ENCAP_TYPE", Set, name: "encap.type", keyword: "encap", form: Custom(show_encap_type), argument: By(encap_words), silent: WhileDown;
                /// The UDP source port of the encapsulation; 0 for one that follows the flow.
                ENCAP_SPORT encap_sport: Be16 = Path(&[17]), "IFLA_IPTUN_ENCAP_SPORT", Set, name: "encap.sport", keyword: "encap-sport", form: Custom(show_encap_sport), argument: Argument::Number, silent: WhileDown;
                /// The UDP destination port of the encapsulation.
                ENCAP_DPORT encap_dport: Be16 = Path(&[18]), "IFLA_IPTUN_ENCAP_DPORT", Set, name: "encap.dport", keyword: "encap-dport", form: Custom(show_encap_dport), argument: Argument::Number, silent: WhileDown;
                /// Whether the encapsulation has UDP checksums over IPv4.
                ENCAP_CSUM encap_csum: Bit<1, U16> = Path(&[16]), "IFLA_IPTUN_ENCAP_FLAGS", Set, name: "encap.csum", keyword: "encap-csum", form: Custom(show_encap_csum), argument: NoWord, silent: WhileDown;
                /// Whether the encapsulation has UDP checksums over IPv6.
                ENCAP_CSUM6 encap_csum6: Bit<2, U16> = Path(&[16]), "IFLA_IPTUN_ENCAP_FLAGS", Set, name: "encap.csum6", keyword: "encap-udp6-csum", form: Custom(show_encap_csum6), argument: NoWord, silent: WhileDown;
                /// Whether checksums inside are left to the other end.
                ENCAP_REMCSUM encap_remcsum: Bit<4, U16> = Path(&[16]), "IFLA_IPTUN_ENCAP_FLAGS", Set, name: "encap.remcsum", keyword: "encap-remcsum", form: Custom(show_encap_remcsum), argument: NoWord, silent: WhileDown;
            }
        }
    };
}
pub(super) use iptunnel_kind;
