//! `ipip`, `sit`, `ip6tnl`: IP in IP.

use super::super::shape::*;
use super::super::{Names, Record, Tree, Value};
use super::tunnel::*;

iptunnel_kind! {
    "ipip" IPIP ipip_row Ipip IpipData IpipOptions "a tunnel of IPv4 or MPLS in IPv4" Ip4 TunnelProtocol;
    /// The type of service of tunnel packets, 0 to 255; 1 to take it from the packet inside.
    TOS tos: U8 = Path(&[5]), "IFLA_IPTUN_TOS", Set, keyword: "tos", form: Custom(show_tos), argument: By(tos_words), silent: WhileDown;
    /// Whether the path's MTU is found out (tunnel packets are not to be fragmented); always with a `ttl` other than 0.
    PMTUDISC pmtudisc: Switch<U8> = Path(&[10]), "IFLA_IPTUN_PMTUDISC", Set, keyword: "pmtudisc", argument: NoWord, silent: WhileDown;
}

iptunnel_kind! {
    "sit" SIT sit_row Sit SitData SitOptions "a tunnel of IPv6, IPv4 or MPLS in IPv4" Ip4 TunnelProtocol;
    /// The type of service of tunnel packets, 0 to 255; 1 to take it from the packet inside.
    TOS tos: U8 = Path(&[5]), "IFLA_IPTUN_TOS", Set, keyword: "tos", form: Custom(show_tos), argument: By(tos_words), silent: WhileDown;
    /// Whether the path's MTU is found out (tunnel packets are not to be fragmented); always with a `ttl` other than 0.
    PMTUDISC pmtudisc: Switch<U8> = Path(&[10]), "IFLA_IPTUN_PMTUDISC", Set, keyword: "pmtudisc", argument: NoWord, silent: WhileDown;
    /// Whether it finds its routers by ISATAP.
    ISATAP isatap: Bit<1, U16> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, keyword: "isatap", argument: NoWord, silent: WhileDown;
    /// 6rd: the IPv6 prefix that IPv4 addresses are written into; `2002::` for 6to4.
    PREFIX6RD prefix: Ip6 = Path(&[11]), "IFLA_IPTUN_6RD_PREFIX", Set, form: Custom(show_prefix), argument: By(no_words), silent: WhileDown;
    /// 6rd: the length of that prefix, 0 to 64 less the bits of the IPv4 address that follow it.
    PREFIXLEN6RD prefixlen: U16 = Path(&[13]), "IFLA_IPTUN_6RD_PREFIXLEN", Set, form: NotZero, range: 0..=64, silent: WhileDown;
    /// 6rd: the IPv4 prefix that all machines share and that is left out.
    RELAY_PREFIX6RD relay_prefix: Ip4 = Path(&[12]), "IFLA_IPTUN_6RD_RELAY_PREFIX", Set, form: Custom(show_relay_prefix), argument: By(no_words), silent: WhileDown;
    /// 6rd: the length of that prefix, 0 to 32.
    RELAY_PREFIXLEN6RD relay_prefixlen: U16 = Path(&[14]), "IFLA_IPTUN_6RD_RELAY_PREFIXLEN", Set, form: Custom(show_relay_prefixlen), argument: By(no_words), range: 0..=32, silent: WhileDown;
}

iptunnel_kind! {
    "ip6tnl" IP6TNL ip6tnl_row Ip6tnl Ip6tnlData Ip6tnlOptions "a tunnel of IPv4 or IPv6 in IPv6" Ip6 Ip6TunnelProtocol;
    /// How often a tunnel packet may be put in another tunnel, 0 to 255.
    ENCAP_LIMIT encap_limit: U8 = Path(&[6]), "IFLA_IPTUN_ENCAP_LIMIT", Set, keyword: "encaplimit", form: Custom(show_encap_limit), argument: Argument::Number, silent: WhileDown;
    /// Whether tunnel packets say nothing of how often they may be put in another tunnel.
    IGN_ENCAP_LIMIT ign_encap_limit: Bit<0x1, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_ign_encap_limit", argument: By(encaplimit_words), silent: WhileDown;
    /// The traffic class of tunnel packets, 0 to 255.
    TCLASS tclass: Part<0x0ff0_0000, Be32> = Path(&[7]), "IFLA_IPTUN_FLOWINFO", Set, keyword: "tclass", range: 0..=255, form: Custom(show_tclass), argument: Argument::Number, silent: WhileDown;
    /// Whether the traffic class is taken from the packet inside.
    USE_ORIG_TCLASS use_orig_tclass: Bit<0x2, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_use_orig_tclass", argument: By(tclass_words), silent: WhileDown;
    /// The flow label of tunnel packets, 0 to 1048575.
    FLOWLABEL flowlabel: Part<0x000f_ffff, Be32> = Path(&[7]), "IFLA_IPTUN_FLOWINFO", Set, keyword: "flowlabel", range: 0..=1_048_575, form: Custom(show_flowlabel), argument: Argument::Number, silent: WhileDown;
    /// Whether the flow label is taken from the packet inside.
    USE_ORIG_FLOWLABEL use_orig_flowlabel: Bit<0x4, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_use_orig_flowlabel", argument: By(flowlabel_words), silent: WhileDown;
    /// Whether the traffic class of tunnel packets is given to the packet inside.
    RCV_DSCP_COPY rcv_dscp_copy: Bit<0x10, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_rcv_dscp_copy", argument: By(dscp_words), silent: WhileDown;
    /// Whether it is used for Mobile IPv6.
    MIP6_DEV mip6_dev: Bit<0x8, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_mip6_dev", silent: WhileDown;
    /// Whether both ends may be on this machine.
    ALLOW_LOCAL_REMOTE allow_local_remote: Bit<0x40, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_allow_local_remote", keyword: "allow-localremote", argument: NoWord, silent: WhileDown;
    /// Whether the firewall mark is taken from the packet inside.
    USE_ORIG_FWMARK use_orig_fwmark: Bit<0x20, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Set, name: "ip6_tnl_f_use_orig_fwmark", argument: By(fwmark_words), silent: WhileDown;
    /// Other flags: bits 0x10000 to 0x40000 say what the kernel found the tunnel able to do with its addresses.
    FLAGS flags: Part<0xffff_ff80, U32> = Path(&[8]), "IFLA_IPTUN_FLAGS", Status, form: Hidden, silent: Always;
}

macro_rules! prefixes {
    ($($name:ident)*) => {$(
        impl $name {
            /// 6rd: the IPv6 prefix that IPv4 addresses are written into, and the IPv4 prefix that is left out of them.
            pub fn sixrd(self, prefix: ipnet::Ipv6Net, relay: ipnet::Ipv4Net) -> Self {
                self.prefix(prefix.network())
                    .prefixlen(prefix.prefix_len())
                    .relay_prefix(relay.network())
                    .relay_prefixlen(relay.prefix_len())
            }
        }
    )*};
}

prefixes!(Sit SitOptions);

fn number_of(record: &Record, id: u16) -> Option<u64> {
    record.value(id).and_then(Value::number)
}

fn show_prefix(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if number_of(record, sit_row::PREFIXLEN6RD) != Some(0) {
        object.push(("prefix".to_owned(), Tree::Text(value.to_string())));
    }
}

/// Not shown where all of the IPv4 address is written into the prefix.
fn show_relay_prefix(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if Ip4::read(value).is_some_and(|prefix| !prefix.is_unspecified()) {
        object.push(("relay_prefix".to_owned(), Tree::Text(value.to_string())));
    }
}

fn show_relay_prefixlen(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let prefix = record.value(sit_row::RELAY_PREFIX6RD).and_then(Ip4::read);
    if prefix.is_none_or(|prefix| !prefix.is_unspecified()) {
        let length = value.number().unwrap_or(0);
        object.push(("relay_prefixlen".to_owned(), Tree::Number(length)));
    }
}

/// `ip` sets 6rd by `ip tunnel 6rd`.
fn no_words(_: &Value) -> String {
    String::new()
}
