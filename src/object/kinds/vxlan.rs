//! `vxlan`.
use super::super::Record;
use super::super::shape::*;
use super::super::table::table;

/// Options as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct VxlanData<'a>(pub(crate) &'a Record);

impl VxlanData<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `vxlan`.
    pub static VXLAN: "vxlan", header 0;
    fields row;
    view ['a] VxlanData<'a>;
    setters [];
    rows {
        /// First.
        ID id: U32 = Path(&[1]), "IFLA_VXLAN_ID", Create, keyword: "id";
    }
}
