//! `ipvlan` and `ipvtap`: interfaces that share a lower one and its hardware address.

use super::super::shape::*;
use super::super::table::{Table, table};
use super::super::{LinkRef, Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};

new_links! {
    /// An ipvlan to be created.
    ///
    /// The kernel's default mode is `L3`, `ip`'s as well. All of one lower interface have the same mode and flags.
    Ipvlan;
    /// An ipvtap to be created: an ipvlan whose frames a program reads and writes at `/dev/tap` and its index.
    Ipvtap;
}

macro_rules! constructors {
    ($($name:ident $kind:literal $table:ident;)*) => {$(
        impl $name {
            #[doc = concat!("An ", $kind, " of this name, 1 to 15 bytes, above `link`.")]
            pub fn new(name: &str, link: impl Into<LinkRef>) -> Self {
                $name(NewLink::with_kind(name, $kind).dev(link))
            }

            fn record_mut(&mut self) -> &mut Record {
                self.0.data.get_or_insert_with(|| Record::new(&$table))
            }
        }
    )*};
}

constructors! { Ipvlan "ipvlan" IPVLAN; Ipvtap "ipvtap" IPVTAP; }

options! {
    IPVLAN;
    /// The options of an ipvlan or ipvtap, as the kernel reports them.
    IpvlanData;
    /// Options of an ipvlan or ipvtap to be set.
    IpvlanOptions;
}

/// Whether interfaces of a kind get each new mtu of the one below, larger or smaller and whatever their own is
/// (`ipvlan_adjust_mtu`).
pub(crate) fn gets_mtu_of_lower(kind: Option<&str>) -> bool {
    matches!(kind, Some("ipvlan" | "ipvtap"))
}

names! {
    /// `IFLA_IPVLAN_MODE`: on which layer packets are told apart.
    enum IpvlanMode: u16 as U16 {
        L2 = 0 "l2",
        L3 = 1 "l3",
        L3S = 2 "l3s",
    }
}

names! {
    /// `IFLA_IPVLAN_FLAGS`; none of them is `bridge`: all of one lower interface reach each other.
    bits IpvlanFlags: u16 as U16 {
        PRIVATE = 1 "private",
        VEPA = 2 "vepa",
    }
}

table! {
    /// `IFLA_IPVLAN_*` in `include/uapi/linux/if_link.h`.
    pub static IPVLAN: "ipvlan", header 0;
    fields row;
    view ['a] IpvlanData<'a>;
    setters [Ipvlan Ipvtap IpvlanOptions];
    rows {
        /// On which layer packets are told apart, of all ipvlans of the lower interface.
        MODE mode: OneOf<IpvlanMode> = Path(&[1]), "IFLA_IPVLAN_MODE", Set, keyword: "mode", silent: Always;
        /// Whether ipvlans of the lower interface reach each other: not with `PRIVATE`, by way of the switch with `VEPA`; not both.
        FLAGS flags: BitsOf<IpvlanFlags> = Path(&[2]), "IFLA_IPVLAN_FLAGS", Set, form: Custom(show_flags), argument: By(flag_words), silent: Always;
    }
}

/// The options of an ipvtap: those of an ipvlan.
pub static IPVTAP: Table =
    Table { name: "ipvtap", header: 0, rows: IPVLAN.rows, index: IPVLAN.index };

fn word(value: &Value) -> &'static str {
    let flags = IpvlanFlags(value.number().unwrap_or(0) as u16);
    flags.names().next().unwrap_or("bridge")
}

fn show_flags(value: &Value, _: &Record, _: &dyn Names, object: &mut Vec<(String, Tree)>) {
    object.push((word(value).to_owned(), Tree::Bool(true)));
}

fn flag_words(value: &Value) -> String {
    word(value).to_owned()
}
