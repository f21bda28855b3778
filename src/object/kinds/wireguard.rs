//! `wireguard`: the interface. Keys and peers are told by a generic netlink family of its own, not by rtnetlink.

use super::new::{NewLink, new_links};

new_links! {
    /// A WireGuard interface to be created, without key and peers.
    Wireguard;
}

impl Wireguard {
    /// One of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Wireguard(NewLink::with_kind(name, "wireguard"))
    }
}
