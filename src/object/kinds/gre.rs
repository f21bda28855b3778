//! `gre`, `gretap`, `erspan`: GRE over IPv4, of packets, of Ethernet frames, and of mirrored traffic.

use super::super::shape::*;
use super::tunnel::*;

/// The rows that every GRE tunnel over IPv4 has besides those of [`gre_kind`].
macro_rules! gre4_kind {
    ($kind:literal $table:ident $fields:ident $new:ident $data:ident $options:ident $title:literal; $($own:tt)*) => {
        gre_kind! {
            $kind $table $fields $new $data $options $title Ip4;
            /// The type of service of tunnel packets, 0 to 255; 1 to take it from the packet inside.
            TOS tos: U8 = Path(&[9]), "IFLA_GRE_TOS", Set, keyword: "tos", form: Custom(show_tos), argument: By(tos_words), silent: WhileDown;
            /// Whether the path's MTU is found out (tunnel packets are not to be fragmented). Off only with a `ttl` of 0.
            PMTUDISC pmtudisc: Switch<U8> = Path(&[10]), "IFLA_GRE_PMTUDISC", Set, keyword: "pmtudisc", argument: NoWord, silent: WhileDown;
            /// Whether the don't-fragment bit of packets inside is ignored; only without `pmtudisc`.
            IGNORE_DF ignore_df: Switch<U8> = Path(&[19]), "IFLA_GRE_IGNORE_DF", Set, keyword: "ignore-df", form: OnlyTrue, argument: NoWord, silent: WhileDown;
            $($own)*
        }
    };
}

gre4_kind! {
    "gre" GRE gre_row Gre GreData GreOptions "a GRE tunnel over IPv4";
}

gre4_kind! {
    "gretap" GRETAP gretap_row Gretap GretapData GretapOptions "a GRE tunnel of Ethernet frames over IPv4";
}

erspan_kind! {
    gre4_kind 0..=2;
    "erspan" ERSPAN erspan_row Erspan ErspanData ErspanOptions "an ERSPAN tunnel over IPv4";
}
