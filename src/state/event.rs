//! What one message of the kernel says has happened.

use crate::object::address::{ADDRESS, row as address_row};
use crate::object::link::{LINK, row as link_row};
use crate::object::port::BRIDGE_PORT;
use crate::object::{Address, Record};
use crate::wire::{Attributes, Malformed, Message, kind};

/// What one message says has happened. Applied in order, each makes the next state; applied twice, the second
/// time changes nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Of a link.
    Link(u32, LinkEvent),
    /// This address is there, with all of its attributes.
    AddressNew(Address),
    /// This address is gone.
    AddressGone(Address),
}

/// What has happened to the link with an index.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// It is there, with all of its attributes: what is absent is none (K49).
    Is(Box<Record>),
    /// It is gone; `moved` when it went to another namespace (K32).
    Gone {
        /// It lives on in another namespace.
        moved: bool,
    },
    /// A part: its attributes as a port of a bridge (`AF_BRIDGE`, K29).
    PortIs(Box<Record>),
    /// It is no longer a port of a bridge; the device lives on (K29).
    PortGone,
}

const AF_UNSPEC: u64 = 0;
const AF_BRIDGE: u64 = 7;
const IFLA_PROTINFO: u16 = 12;

/// Reads one message. `None` for a type or family that says nothing about this state.
///
/// # Errors
/// When the message is shorter than its fixed struct.
pub fn decode(message: &Message<'_>) -> Result<Option<Event>, Malformed> {
    Ok(match message.kind {
        kind::RTM_NEWLINK | kind::RTM_DELLINK => link(message)?,
        kind::RTM_NEWADDR => Some(Event::AddressNew(address(message)?)),
        kind::RTM_DELADDR => Some(Event::AddressGone(address(message)?)),
        _ => None,
    })
}

fn address(message: &Message<'_>) -> Result<Address, Malformed> {
    Ok(Address::new(Record::decode(&ADDRESS, message.payload)?))
}

fn link(message: &Message<'_>) -> Result<Option<Event>, Malformed> {
    let mut record = Record::decode(&LINK, message.payload)?;
    // Why this one message was sent is no state of the interface.
    record.remove(link_row::EVENT);
    let index = record.number(link_row::INDEX) as u32;
    let gone = message.kind == kind::RTM_DELLINK;
    let event = match (record.number(link_row::FAMILY), gone) {
        (AF_UNSPEC, true) => {
            LinkEvent::Gone { moved: record.value(link_row::NEW_NETNSID).is_some() }
        }
        (AF_UNSPEC, false) => LinkEvent::Is(Box::new(record)),
        (AF_BRIDGE, true) => LinkEvent::PortGone,
        (AF_BRIDGE, false) => {
            let attributes =
                Attributes::new(message.payload.get(LINK.header..).unwrap_or_default());
            match attributes.find(IFLA_PROTINFO) {
                Some(info) => LinkEvent::PortIs(Box::new(Record::decode_attributes(
                    &BRIDGE_PORT,
                    info.payload,
                ))),
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    Ok((index != 0).then_some(Event::Link(index, event)))
}

impl Event {
    /// The index of the interface that it is about.
    pub fn index(&self) -> u32 {
        match self {
            Event::Link(index, _) => *index,
            Event::AddressNew(address) | Event::AddressGone(address) => {
                address.record().number(address_row::INDEX) as u32
            }
        }
    }
}
