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

gre4_kind! {
    "erspan" ERSPAN erspan_row Erspan ErspanData ErspanOptions "an ERSPAN tunnel over IPv4";
    /// Version 1: the number of the port that is mirrored, 0 to 1048575.
    ERSPAN_INDEX erspan_index: U32 = Path(&[21]), "IFLA_GRE_ERSPAN_INDEX", Set, keyword: "erspan", range: 0..=1_048_575, silent: WhileDown;
    /// The version of the header, 0 to 2.
    ERSPAN_VER erspan_ver: U8 = Path(&[22]), "IFLA_GRE_ERSPAN_VER", Set, keyword: "erspan_ver", range: 0..=2, silent: WhileDown;
    /// Version 2: which traffic is mirrored.
    ERSPAN_DIR erspan_dir: OneOf<ErspanDirection> = Path(&[23]), "IFLA_GRE_ERSPAN_DIR", Set, keyword: "erspan_dir", range: 0..=1, silent: WhileDown;
    /// Version 2: the number of the mirroring engine, 0 to 63.
    ERSPAN_HWID erspan_hwid: U16 = Path(&[24]), "IFLA_GRE_ERSPAN_HWID", Set, keyword: "erspan_hwid", range: 0..=63, form: Hex, silent: WhileDown;
}
