//! `macvlan`.
use super::super::Record;
use super::super::shape::*;
use super::super::table::table;

/// Options as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct MacvlanData<'a>(pub(crate) &'a Record);

impl MacvlanData<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `macvlan`.
    pub static MACVLAN: "macvlan", header 0;
    fields row;
    view ['a] MacvlanData<'a>;
    setters [];
    rows {
        /// First.
        MODE mode: U32 = Path(&[1]), "IFLA_MACVLAN_MODE", Set, keyword: "mode";
    }
}
