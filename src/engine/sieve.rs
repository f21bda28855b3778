//! Callbacks that see what the kernel says before it is applied, and may change or discard it.
//!
//! They work on the bytes between the socket and the follower, so that what they let through is followed like anything
//! else. A message that none of them changes passes as it came.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::callbacks::Panics;
use super::events::Filter;
use super::registry::Registry;
use crate::object::address::ADDRESS;
use crate::object::link::LINK;
use crate::object::neighbour::NEIGHBOUR;
use crate::object::nexthop::NEXTHOP;
use crate::object::route::ROUTE;
use crate::object::rule::RULE;
use crate::object::{BridgeVlan, Place, Record, Table, Value, bridge_vlan};
use crate::state::ObjectKind;
use crate::sys::sync::Mutex;
use crate::wire::{
    Attributes, Builder, HEADER, Message, Messages, flags, kind, put_ne_u16, put_ne_u32,
};

/// What the kernel says about one object, before it is applied.
///
/// Attributes have the names of `ip -json -details`, or of the accessors of [`Link`](crate::Link),
/// [`Address`](crate::Address) and so on. What a message is about ([`Notification::index`], addresses, keys) is better
/// left alone: the database follows what it is told. The VLANs of a bridge port come one by one, also where the kernel tells
/// of several at once, with `vlan`, `flags` and `tunnel`, and without what is not kept of them.
pub struct Notification {
    object: ObjectKind,
    kind: u16,
    record: Record,
    /// What was set, in order, and the value before.
    changed: Vec<(u16, Option<Value>)>,
    is_discarded: bool,
}

impl Notification {
    fn new(object: ObjectKind, kind: u16, record: Record) -> Self {
        Notification { object, kind, record, changed: Vec::new(), is_discarded: false }
    }

    /// What kind of object it is about.
    pub fn object(&self) -> ObjectKind {
        self.object
    }

    /// Whether it says that the object is gone.
    pub fn is_removal(&self) -> bool {
        self.kind & 3 == 1
    }

    /// The index of the interface that it is about, or that the object is on; 0 when it names none.
    pub fn index(&self) -> u32 {
        let table = self.record.table();
        let row = table.row("index").or_else(|| table.row("oif"));
        row.map_or(0, |(id, _)| self.record.number(id) as u32)
    }

    /// The number in an attribute.
    pub fn number(&self, attribute: &str) -> Option<u64> {
        let (id, _) = self.record.table().row(attribute)?;
        self.record.value(id)?.number()
    }

    /// The text in an attribute.
    pub fn text(&self, attribute: &str) -> Option<&str> {
        let (id, _) = self.record.table().row(attribute)?;
        self.record.value(id)?.text()
    }

    /// Makes it say this number.
    ///
    /// # Errors
    /// When there is no such attribute, it has no number, it stands inside another one, or it is the interface of a VLAN.
    pub fn set_number(&mut self, attribute: &str, number: u64) -> Result<(), NotChangeable> {
        self.set(attribute, Value::Number(number))
    }

    /// Makes it say this text.
    ///
    /// # Errors
    /// As [`Notification::set_number`], for a text.
    pub fn set_text(&mut self, attribute: &str, text: &str) -> Result<(), NotChangeable> {
        self.set(attribute, text.into())
    }

    fn set(&mut self, attribute: &str, value: Value) -> Result<(), NotChangeable> {
        let refused = || NotChangeable(attribute.to_owned());
        let (id, row) = self.record.table().row(attribute).ok_or_else(refused)?;
        let stands_alone = !matches!(row.place, Place::Path(path) if path.len() != 1);
        // One message tells of all VLANs of an interface.
        let is_shared = self.object == ObjectKind::BridgeVlan && id == bridge_vlan::row::INDEX;
        // What the value would be read as is what it must be.
        let mut bytes = Vec::new();
        row.shape.write(&value, &mut bytes);
        let read = row.shape.read(&bytes, &Attributes::new(&[]));
        if !stands_alone || is_shared || read.as_ref() != Some(&value) {
            return Err(refused());
        }
        self.changed.push((id, self.record.value(id).cloned()));
        self.record.set(id, value);
        Ok(())
    }

    /// Takes back what was done to it since so many changes, as if nobody had been asked since.
    fn take_back(&mut self, changes: usize) {
        self.is_discarded = false;
        for (id, before) in self.changed.drain(changes..).rev() {
            match before {
                Some(value) => self.record.set(id, value),
                None => drop(self.record.remove(id)),
            }
        }
    }

    /// Has it thrown away: the state is as if it had never come.
    pub fn discard(&mut self) {
        self.is_discarded = true;
    }
}

/// Its attributes, as `ip -details` prints them.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_removal() { '-' } else { '+' };
        write!(f, "{sign} {} {}", self.record.table().name, self.record.words(&()).join(" "))
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notification({self})")
    }
}

/// An attribute that a callback cannot change: unknown, inside of another one, or of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no attribute of this kind of object that can be set to such a value")]
pub struct NotChangeable(pub String);

type Call = dyn FnMut(&mut Notification) + Send;

/// A callback that sees messages before they are applied.
#[derive(Clone)]
pub struct Sieve {
    filter: Filter,
    call: Arc<Mutex<Call>>,
    panics: Panics,
}

impl Sieve {
    /// From what it wants to see, and what it does.
    pub fn new(
        filter: Filter,
        call: impl FnMut(&mut Notification) + Send + 'static,
        panics: Panics,
    ) -> Self {
        Sieve { filter, call: Arc::new(Mutex::new(call)), panics }
    }

    /// Calls it, if the message is one of those that it wants to see. The words of a panic, if it is its first: what it
    /// did to the message before is taken back.
    fn ask(&self, notification: &mut Notification) -> Option<String> {
        if !self.wants(notification) {
            return None;
        }
        let changes = notification.changed.len();
        let caught = self.panics.catch(|| (*self.call.lock())(notification))?;
        notification.take_back(changes);
        caught.first
    }

    fn wants(&self, notification: &Notification) -> bool {
        let kind = match notification.object {
            ObjectKind::Link => notification.text("info_kind").unwrap_or_default(),
            _ => "",
        };
        self.filter.has_object(notification.object)
            && self.filter.has_link(notification.index(), kind)
    }
}

/// What the callbacks leave of a datagram. The words of panics come out beside it.
pub fn sift<'a>(
    sieves: &Registry<Sieve>,
    datagram: &'a [u8],
    told: &mut Vec<String>,
) -> Cow<'a, [u8]> {
    let sieves = sieves.all();
    let mut out = Vec::with_capacity(datagram.len());
    let mut is_same = true;
    for message in Messages::new(datagram) {
        // The follower is to see what is malformed.
        let Ok(message) = message else { return Cow::Borrowed(datagram) };
        match sift_message(&sieves, &message, told) {
            Sifted::Same => copy(&message, message.payload, &mut out),
            Sifted::Changed(payload) => {
                is_same = false;
                copy(&message, &payload, &mut out);
            }
            Sifted::Gone => {
                is_same = false;
                stand_in(&message, &mut out);
            }
        }
    }
    if is_same { Cow::Borrowed(datagram) } else { Cow::Owned(out) }
}

enum Sifted {
    Same,
    Changed(Vec<u8>),
    Gone,
}

fn sift_message(sieves: &[Sieve], message: &Message<'_>, told: &mut Vec<String>) -> Sifted {
    if matches!(message.kind, kind::RTM_NEWVLAN | kind::RTM_DELVLAN) {
        return sift_vlans(sieves, message, told);
    }
    let Some((object, table)) = table_of(message) else { return Sifted::Same };
    let Ok(record) = Record::decode(table, message.payload) else { return Sifted::Same };
    let mut notification = Notification::new(object, message.kind, record);
    offer(sieves, &mut notification, told);
    match (notification.is_discarded, notification.changed.is_empty()) {
        (true, _) => Sifted::Gone,
        (false, true) => Sifted::Same,
        (false, false) => Sifted::Changed(rewritten(message, &notification)),
    }
}

/// A message tells of many VLANs, and each is a notification of its own.
fn sift_vlans(sieves: &[Sieve], message: &Message<'_>, told: &mut Vec<String>) -> Sifted {
    let Ok((_, all)) = bridge_vlan::decode(message.payload) else { return Sifted::Same };
    let (mut kept, mut is_same) = (Vec::new(), true);
    for vlan in all {
        let mut notification =
            Notification::new(ObjectKind::BridgeVlan, message.kind, vlan.record());
        offer(sieves, &mut notification, told);
        is_same &= !notification.is_discarded && notification.changed.is_empty();
        if !notification.is_discarded {
            kept.push(BridgeVlan::of(&notification.record));
        }
    }
    match (is_same, kept.is_empty()) {
        (true, _) => Sifted::Same,
        (false, true) => Sifted::Gone,
        (false, false) => Sifted::Changed(bridge_vlan::retold(message.payload, &kept)),
    }
}

/// Calls every callback that wants it, until one discards it.
fn offer(sieves: &[Sieve], notification: &mut Notification, told: &mut Vec<String>) {
    for sieve in sieves {
        told.extend(sieve.ask(notification));
        if notification.is_discarded {
            return;
        }
    }
}

fn table_of(message: &Message<'_>) -> Option<(ObjectKind, &'static Table)> {
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    let is_inet = matches!(message.payload.first(), Some(&(AF_INET | AF_INET6)));
    Some(match message.kind {
        kind::RTM_NEWLINK | kind::RTM_DELLINK => (ObjectKind::Link, &LINK),
        kind::RTM_NEWADDR | kind::RTM_DELADDR => (ObjectKind::Address, &ADDRESS),
        kind::RTM_NEWROUTE | kind::RTM_DELROUTE if is_inet => (ObjectKind::Route, &ROUTE),
        kind::RTM_NEWRULE | kind::RTM_DELRULE => (ObjectKind::Rule, &RULE),
        kind::RTM_NEWNEXTHOP | kind::RTM_DELNEXTHOP => (ObjectKind::Nexthop, &NEXTHOP),
        kind::RTM_NEWNEIGH | kind::RTM_DELNEIGH => (ObjectKind::Neighbour, &NEIGHBOUR),
        _ => return None,
    })
}

/// The payload with what was changed; every other attribute as it came, also those that no row knows.
fn rewritten(message: &Message<'_>, notification: &Notification) -> Vec<u8> {
    let table = notification.record.table();
    let mut edited = Record::new(table);
    let mut replaced = Vec::new();
    let mut header = message.payload[..table.header].to_vec();
    for (id, _) in &notification.changed {
        match table.rows[usize::from(*id)].place {
            Place::Header(_) => header = notification.record.encode_header(),
            Place::Path(path) => {
                replaced.extend(path.first());
                notification.record.value(*id).into_iter().for_each(|v| edited.set(*id, v.clone()));
            }
        }
    }
    let mut builder = Builder::new(message.kind, message.flags).fixed(&header);
    let attributes = Attributes::new(&message.payload[table.header..]).map_while(Result::ok);
    for attribute in attributes.filter(|attribute| !replaced.contains(&attribute.kind)) {
        builder.attribute(attribute.kind, attribute.payload);
    }
    edited.encode(&mut builder);
    builder.finish().split_off(HEADER)
}

/// Appends a message with another payload.
fn copy(message: &Message<'_>, payload: &[u8], out: &mut Vec<u8>) {
    put_ne_u32(out, (HEADER + payload.len()) as u32);
    put_ne_u16(out, message.kind);
    put_ne_u16(out, message.flags);
    put_ne_u32(out, message.seq);
    put_ne_u32(out, message.port);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A question of the follower's own must be answered, by an acknowledgement if not by what was thrown away.
fn stand_in(message: &Message<'_>, out: &mut Vec<u8>) {
    if message.seq == 0 || message.flags & flags::MULTI != 0 {
        return;
    }
    let mut request = Builder::new(kind::RTM_GETLINK, flags::REQUEST).finish();
    Builder::stamp(&mut request, message.seq);
    let payload = [&[0; 4][..], &request].concat();
    copy(&Message { kind: kind::NLMSG_ERROR, flags: 0, ..*message }, &payload, out);
}
