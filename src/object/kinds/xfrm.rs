//! `xfrm`: interfaces whose packets IPsec policies and states with the same number protect.

use super::super::shape::*;
use super::super::table::table;
use super::super::{LinkRef, Names, Record, Value};
use super::new::{NewLink, new_links, options};
use super::tunnel::{Object, hex};

new_links! {
    /// An xfrm interface to be created.
    Xfrm;
}

impl Xfrm {
    /// One of this name, 1 to 15 bytes, for the policies and states of this number, 1 to 4294967295.
    pub fn new(name: &str, if_id: u32) -> Self {
        Xfrm(NewLink::with_kind(name, "xfrm")).if_id(if_id)
    }

    /// One whose number routes and flow rules choose packet by packet (Linux 6.1).
    pub fn with_metadata(name: &str) -> Self {
        Xfrm(NewLink::with_kind(name, "xfrm")).external(true)
    }

    /// The interface that its packets leave by, by name, index or handle.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.0.link = Some(link.into());
        self
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&XFRM))
    }
}

options! {
    XFRM;
    /// The options of an xfrm interface, as the kernel reports them.
    XfrmData;
    /// Options of an xfrm interface to be set.
    XfrmOptions;
}

table! {
    /// `IFLA_XFRM_*` in `include/uapi/linux/if_link.h`.
    pub static XFRM: "xfrm", header 0;
    fields row;
    view ['a] XfrmData<'a>;
    setters [Xfrm XfrmOptions];
    rows {
        /// Whether routes and flow rules choose the number packet by packet (Linux 6.1).
        COLLECT_METADATA external: Present = Path(&[3]), "IFLA_XFRM_COLLECT_METADATA", Create, keyword: "external", argument: NoWord;
        /// The interface that packets leave by, by its index; 0 for any.
        LINK link: Interface = Path(&[1]), "IFLA_XFRM_LINK", Create, keyword: "dev", form: Hidden;
        /// The number of the policies and states, 1 to 4294967295.
        IF_ID if_id: U32 = Path(&[2]), "IFLA_XFRM_IF_ID", Set, keyword: "if_id", form: Custom(show_if_id), range: 1..=4_294_967_295, silent: WhileDown;
    }
}

fn show_if_id(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    hex("if_id", value, object);
}
