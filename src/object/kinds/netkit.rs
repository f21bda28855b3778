//! `netkit`: pairs of interfaces between which BPF programs decide (Linux 6.7).

use super::super::link::{LINK, row as link_row};
use super::super::shape::*;
use super::super::table::table;
use super::super::{Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use super::veth::PeerOf;
use crate::wire::HardwareAddress;

new_links! {
    /// A netkit pair to be created.
    ///
    /// The kernel's default mode is `L3`.
    Netkit;
}

impl Netkit {
    /// A pair with these names, 1 to 15 bytes each; the first is the primary one.
    pub fn new(name: &str, peer: &str) -> Self {
        let mut new = NewLink::with_kind(name, "netkit");
        let mut other = Record::new(&LINK);
        other.set(link_row::NAME, peer.into());
        new.peer = Some(other);
        Netkit(new)
    }

    /// The index of the other end, 1 to 2147483647; the kernel chooses when it is not given.
    pub fn peer_index(self, index: u32) -> Self {
        self.set_peer(link_row::INDEX, Value::Number(index.into()))
    }

    /// The link-layer address of the other end; the kernel makes one up when it is not given. In mode `L3` a pair has none.
    pub fn peer_address(self, address: impl Into<HardwareAddress>) -> Self {
        self.set_peer(link_row::ADDRESS, Value::Hardware(address.into()))
    }

    /// The MTU of the other end, 68 to 65535 bytes.
    pub fn peer_mtu(self, bytes: u32) -> Self {
        self.set_peer(link_row::MTU, Value::Number(bytes.into()))
    }

    fn set_peer(mut self, id: u16, value: Value) -> Self {
        self.0.peer.get_or_insert_with(|| Record::new(&LINK)).set(id, value);
        self
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&NETKIT))
    }
}

options! {
    NETKIT;
    /// The options of one end of a netkit pair, as the kernel reports them.
    NetkitData;
    /// Options of a netkit pair to be set, at its primary end.
    NetkitOptions;
}

names! {
    /// `IFLA_NETKIT_MODE`: what goes through the pair.
    enum NetkitMode: u32 as U32 {
        L2 = 0 "l2",
        L3 = 1 "l3",
    }
}

names! {
    /// `IFLA_NETKIT_POLICY`: what becomes of a packet when no program says so.
    enum NetkitPolicy: u32 as U32 {
        FORWARD = 0 "forward",
        BLACKHOLE = 2 "blackhole",
    }
}

names! {
    /// `IFLA_NETKIT_SCRUB`: whether marks and priorities of a packet are cleared on its way (Linux 6.13).
    enum NetkitScrub: u32 as U32 {
        NONE = 0 "none",
        DEFAULT = 1 "default",
    }
}

table! {
    /// `IFLA_NETKIT_*` in `include/uapi/linux/if_link.h`.
    pub static NETKIT: "netkit", header 0;
    fields row;
    view ['a] NetkitData<'a>;
    setters [Netkit NetkitOptions];
    rows {
        /// The other end, in a request.
        PEER_INFO peer_info: PeerOf = Path(&[1]), "IFLA_NETKIT_PEER_INFO", Action, form: Hidden;
        /// What goes through the pair.
        MODE mode: OneOf<NetkitMode> = Path(&[5]), "IFLA_NETKIT_MODE", Create, keyword: "mode", range: 0..=1;
        /// Whether this is the primary end: the one that was named first, and through which options are set.
        PRIMARY primary: Switch<U8> = Path(&[2]), "IFLA_NETKIT_PRIMARY", Status, name: "type", form: Custom(show_type);
        /// What becomes of a packet sent here when no program says so.
        POLICY policy: OneOf<NetkitPolicy> = Path(&[3]), "IFLA_NETKIT_POLICY", Set, keyword: "policy", silent: WhileDown;
        /// What becomes of a packet sent at the other end when no program says so.
        PEER_POLICY peer_policy: OneOf<NetkitPolicy> = Path(&[4]), "IFLA_NETKIT_PEER_POLICY", Set, keyword: "peer policy", silent: WhileDown;
        /// Whether marks and priorities of packets received here are cleared (Linux 6.13).
        SCRUB scrub: OneOf<NetkitScrub> = Path(&[6]), "IFLA_NETKIT_SCRUB", Create, keyword: "scrub", range: 0..=1;
        /// The same at the other end (Linux 6.13).
        PEER_SCRUB peer_scrub: OneOf<NetkitScrub> = Path(&[7]), "IFLA_NETKIT_PEER_SCRUB", Create, keyword: "peer scrub", range: 0..=1;
        /// Bytes left free before a packet, for programs (Linux 6.14).
        HEADROOM headroom: U16 = Path(&[8]), "IFLA_NETKIT_HEADROOM", Create, keyword: "headroom", unit: "bytes";
        /// Bytes left free behind a packet, for programs (Linux 6.14).
        TAILROOM tailroom: U16 = Path(&[9]), "IFLA_NETKIT_TAILROOM", Create, keyword: "tailroom", unit: "bytes";
    }
}

fn show_type(value: &Value, _: &Record, _: &dyn Names, object: &mut Vec<(String, Tree)>) {
    let text = if value.number() == Some(0) { "peer" } else { "primary" };
    object.push(("type".to_owned(), text.into()));
}
