//! `vti`, `vti6`: tunnels whose packets IPsec policies with their keys as a mark protect.

use super::super::shape::*;
use super::super::table::table;
use super::super::{Names, Record, Value};
use super::tunnel::*;

/// One kind with the attributes `IFLA_VTI_*`.
macro_rules! vti_kind {
    ($kind:literal $table:ident $fields:ident $new:ident $data:ident $options:ident $title:literal $ip:ident) => {
        tunnel_types!($table $kind $new $data $options $title);

        impl $new {
            /// The same key in both directions.
            pub fn key(self, key: u32) -> Self {
                self.ikey(key).okey(key)
            }
        }

        table! {
            /// `IFLA_VTI_*` in `include/uapi/linux/if_tunnel.h`.
            pub static $table: $kind, header 0;
            fields $fields;
            view ['a] $data<'a>;
            setters [$new $options];
            rows {
                /// The other end; unspecified for any.
                REMOTE remote: $ip = Path(&[5]), "IFLA_VTI_REMOTE", Set, keyword: "remote", form: Custom(show_remote), argument: By(remote_words), silent: WhileDown;
                /// The source address of tunnel packets; unspecified for any.
                LOCAL local: $ip = Path(&[4]), "IFLA_VTI_LOCAL", Set, keyword: "local", form: Custom(show_local), argument: By(local_words), silent: WhileDown;
                /// The interface that tunnel packets leave by, by its index; 0 for any.
                LINK link: Interface = Path(&[1]), "IFLA_VTI_LINK", Set, keyword: "dev", silent: WhileDown;
                /// The key of packets received, 0 to 4294967295: the mark that IPsec policies look for.
                IKEY ikey: Be32 = Path(&[2]), "IFLA_VTI_IKEY", Set, keyword: "ikey", form: Custom(show_vti_ikey), argument: Argument::Number, silent: WhileDown;
                /// The key of packets sent, 0 to 4294967295: the mark that IPsec policies look for.
                OKEY okey: Be32 = Path(&[3]), "IFLA_VTI_OKEY", Set, keyword: "okey", form: Custom(show_vti_okey), argument: Argument::Number, silent: WhileDown;
                /// The firewall mark of tunnel packets; 0 for none.
                FWMARK fwmark: U32 = Path(&[6]), "IFLA_VTI_FWMARK", Set, keyword: "fwmark", form: Custom(show_fwmark), silent: WhileDown;
            }
        }
    };
}

vti_kind!("vti" VTI vti_row Vti VtiData VtiOptions "an IPsec tunnel over IPv4" Ip4);
vti_kind!("vti6" VTI6 vti6_row Vti6 Vti6Data Vti6Options "an IPsec tunnel over IPv6" Ip6);

fn show_vti_ikey(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    if value.number() != Some(0) {
        show_ikey(value, record, names, object);
    }
}

fn show_vti_okey(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    if value.number() != Some(0) {
        show_okey(value, record, names, object);
    }
}
