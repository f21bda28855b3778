//! `vrf`: virtual routing and forwarding. What arrives at a port of it, or is sent by it, is routed by its table.

use super::super::Record;
use super::super::shape::*;
use super::super::table::table;
use super::new::{NewLink, new_links};

new_links! {
    /// A VRF to be created.
    ///
    /// With the first of a namespace the kernel makes the rule `1000: from all lookup [l3mdev-table]`, of each family,
    /// once and for all (`vrf_newlink`). Those rules stay when the VRF goes, also when its creation is rolled back: the
    /// kernel would not make them again, and no later VRF of the namespace would be used.
    Vrf;
}

impl Vrf {
    /// A VRF of this name, 1 to 15 bytes, with this routing table, 1 to 4294967295. Two VRFs may have the same table.
    pub fn new(name: &str, table: u32) -> Self {
        Vrf(NewLink::with_kind(name, "vrf")).table(table)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&VRF))
    }
}

/// The options of a VRF, as the kernel reports them. None can be changed later.
#[derive(Clone, Copy, Debug)]
pub struct VrfData<'a>(pub(crate) &'a Record);

impl VrfData<'_> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `IFLA_VRF_*` in `include/uapi/linux/if_link.h`.
    pub static VRF: "vrf", header 0;
    fields row;
    view ['a] VrfData<'a>;
    setters [Vrf];
    rows {
        /// The routing table, 1 to 4294967295.
        TABLE table: U32 = Path(&[1]), "IFLA_VRF_TABLE", Create, keyword: "table", range: 1..=4_294_967_295;
    }
}

/// What the kernel reports of a port of a VRF.
#[derive(Clone, Copy, Debug)]
pub struct VrfPortData<'a>(pub(crate) &'a Record);

impl VrfPortData<'_> {
    /// Everything that the kernel said of it.
    pub fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `IFLA_VRF_PORT_*` in `include/uapi/linux/if_link.h`.
    pub static VRF_PORT: "vrf_port", header 0;
    fields port_row;
    view ['a] VrfPortData<'a>;
    setters [];
    rows {
        /// The routing table of the VRF.
        TABLE table: U32 = Path(&[1]), "IFLA_VRF_PORT_TABLE", Status;
    }
}
