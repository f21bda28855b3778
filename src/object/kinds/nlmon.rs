//! `nlmon`: monitors of netlink, without options.

use super::new::{NewLink, new_links};

new_links! {
    /// A netlink monitor to be created: while it is up, it shows a packet sniffer every netlink message of its namespace.
    Nlmon;
}

impl Nlmon {
    /// A netlink monitor of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Nlmon(NewLink::with_kind(name, "nlmon"))
    }
}
