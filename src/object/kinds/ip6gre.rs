//! `ip6gre`, `ip6gretap`, `ip6erspan`: GRE over IPv6, of packets, of Ethernet frames, and of mirrored traffic.

use super::super::shape::*;
use super::tunnel::*;

/// The rows that every GRE tunnel over IPv6 has besides those of [`gre_kind`].
macro_rules! ip6gre_kind {
    ($kind:literal $table:ident $fields:ident $new:ident $data:ident $options:ident $title:literal; $($own:tt)*) => {
        gre_kind! {
            $kind $table $fields $new $data $options $title Ip6;
            /// How often a tunnel packet may be put in another tunnel, 0 to 255.
            ENCAP_LIMIT encap_limit: U8 = Path(&[11]), "IFLA_GRE_ENCAP_LIMIT", Set, keyword: "encaplimit", form: Custom(show_encap_limit), argument: Argument::Number, silent: WhileDown;
            /// Whether tunnel packets say nothing of how often they may be put in another tunnel.
            IGN_ENCAP_LIMIT ign_encap_limit: Bit<0x1, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Set, name: "ip6_tnl_f_ign_encap_limit", argument: By(encaplimit_words), silent: WhileDown;
            /// The traffic class of tunnel packets, 0 to 255.
            TCLASS tclass: Part<0x0ff0_0000, Be32> = Path(&[12]), "IFLA_GRE_FLOWINFO", Set, keyword: "tclass", range: 0..=255, form: Custom(show_tclass), argument: Argument::Number, silent: WhileDown;
            /// Whether the traffic class is taken from the packet inside.
            USE_ORIG_TCLASS use_orig_tclass: Bit<0x2, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Set, name: "ip6_tnl_f_use_orig_tclass", argument: By(tclass_words), silent: WhileDown;
            /// The flow label of tunnel packets, 0 to 1048575.
            FLOWLABEL flowlabel: Part<0x000f_ffff, Be32> = Path(&[12]), "IFLA_GRE_FLOWINFO", Set, keyword: "flowlabel", range: 0..=1_048_575, form: Custom(show_flowlabel), argument: Argument::Number, silent: WhileDown;
            /// Whether the flow label is taken from the packet inside.
            USE_ORIG_FLOWLABEL use_orig_flowlabel: Bit<0x4, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Set, name: "ip6_tnl_f_use_orig_flowlabel", argument: By(flowlabel_words), silent: WhileDown;
            /// Whether the traffic class of tunnel packets is given to the packet inside.
            RCV_DSCP_COPY rcv_dscp_copy: Bit<0x10, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Set, name: "ip6_tnl_f_rcv_dscp_copy", argument: By(dscp_words), silent: WhileDown;
            /// Whether the firewall mark is taken from the packet inside.
            USE_ORIG_FWMARK use_orig_fwmark: Bit<0x20, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Set, name: "ip6_tnl_f_use_orig_fwmark", argument: By(fwmark_words), silent: WhileDown;
            /// Other flags: bits 0x10000 to 0x40000 say what the kernel found the tunnel able to do with its addresses.
            FLAGS flags: Part<0xffff_ffc8, U32> = Path(&[13]), "IFLA_GRE_FLAGS", Status, form: Hidden, silent: Always;
            $($own)*
        }
    };
}

ip6gre_kind! {
    "ip6gre" IP6GRE ip6gre_row Ip6gre Ip6greData Ip6greOptions "a GRE tunnel over IPv6";
}

ip6gre_kind! {
    "ip6gretap" IP6GRETAP ip6gretap_row Ip6gretap Ip6gretapData Ip6gretapOptions "a GRE tunnel of Ethernet frames over IPv6";
}

erspan_kind! {
    ip6gre_kind 1..=2;
    "ip6erspan" IP6ERSPAN ip6erspan_row Ip6erspan Ip6erspanData Ip6erspanOptions "an ERSPAN tunnel over IPv6";
}
