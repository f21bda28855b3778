//! `port`.
use super::Record;
use super::shape::*;
use super::table::table;

/// Options as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct BridgePortData<'a>(pub(crate) &'a Record);

impl BridgePortData<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `port`.
    pub static BRIDGE_PORT: "port", header 0;
    fields row;
    view ['a] BridgePortData<'a>;
    setters [];
    rows {
        /// First.
        STATE state: U8 = Path(&[1]), "IFLA_BRPORT_STATE", Set, keyword: "state";
    }
}
