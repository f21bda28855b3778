//! `veth`: pairs of interfaces, each of which receives what the other sends.

use super::super::link::{LINK, row as link_row};
use super::super::shape::*;
use super::super::table::table;
use super::super::{Record, Value};
use super::new::{NewLink, new_links};

new_links! {
    /// A veth pair to be created.
    Veth;
}

impl Veth {
    /// A pair with these names, 1 to 15 bytes each.
    pub fn new(name: &str, peer: &str) -> Self {
        let mut new = NewLink::with_kind(name, "veth");
        let mut other = Record::new(&LINK);
        other.set(link_row::NAME, peer.into());
        new.peer = Some(other);
        Veth(new)
    }

    /// The index of the other end, 1 to 2147483647; the kernel chooses when it is not given.
    pub fn peer_index(self, index: u32) -> Self {
        self.set_peer(link_row::INDEX, Value::Number(index.into()))
    }

    /// The link-layer address of the other end; the kernel makes one up when it is not given.
    pub fn peer_address(self, address: impl Into<crate::wire::HardwareAddress>) -> Self {
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
}

/// What a request says of the other end; the kernel never reports it (`IFLA_LINK` leads there).
#[derive(Clone, Copy, Debug)]
pub struct VethData<'a>(pub(crate) &'a Record);

impl VethData<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

/// A link.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a>(pub(crate) &'a Record);

impl<'a> Peer<'a> {
    /// What it says.
    pub fn record(self) -> &'a Record {
        self.0
    }
}

/// A message about a link.
#[derive(Debug)]
pub struct PeerOf;

impl Typed for PeerOf {
    type Out<'a> = Peer<'a>;
    type In = Record;
    const SHAPE: Shape = Shape::Message(|| &LINK);
    fn read(value: &Value) -> Option<Peer<'_>> {
        value.nested().map(Peer)
    }
    fn write(value: Record) -> Value {
        Value::Nested(Box::new(value))
    }
}

table! {
    /// `VETH_INFO_*` in `include/uapi/linux/veth.h`.
    pub static VETH: "veth", header 0;
    fields row;
    view ['a] VethData<'a>;
    setters [];
    rows {
        /// The other end.
        PEER peer: PeerOf = Path(&[1]), "VETH_INFO_PEER", Action, form: Hidden;
    }
}
