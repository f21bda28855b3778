//! `bridge`.

use super::super::Record;
use super::super::shape::*;
use super::super::table::table;

/// The options of a bridge, as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct BridgeData<'a>(pub(crate) &'a Record);

impl BridgeData<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

/// Options of a bridge to be set.
#[derive(Clone, Debug)]
pub struct BridgeOptions(pub(crate) Record);

impl BridgeOptions {
    fn record_mut(&mut self) -> &mut Record {
        &mut self.0
    }
}

/// A bridge to be created.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub(crate) name: String,
    pub(crate) data: Record,
}

impl Bridge {
    fn record_mut(&mut self) -> &mut Record {
        &mut self.data
    }
}

table! {
    /// `IFLA_BR_*` in `include/uapi/linux/if_link.h`.
    pub static BRIDGE: "bridge", header 0;
    fields row;
    view ['a] BridgeData<'a>;
    setters [Bridge BridgeOptions];
    rows {
        /// How long a port listens and learns before it forwards, in 1/100 s (200 to 3000 with STP on).
        FORWARD_DELAY forward_delay: U32 = Path(&[1]), "IFLA_BR_FORWARD_DELAY", Set, keyword: "forward_delay", unit: "1/100 s", silent: WhileDown;
        /// Whether the spanning tree protocol runs.
        STP_STATE stp_state: U32 = Path(&[5]), "IFLA_BR_STP_STATE", Set, keyword: "stp_state", silent: WhileDown;
    }
}
