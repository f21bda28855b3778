//! `ifb`: intermediate functional blocks, without options.

use super::new::{NewLink, new_links};

new_links! {
    /// An ifb to be created: a device to which traffic is redirected for shaping.
    Ifb;
}

impl Ifb {
    /// An ifb of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Ifb(NewLink::with_kind(name, "ifb"))
    }
}
