//! What one message of the kernel says has happened.

use std::sync::Arc;

use super::routes::Held;
use super::rules::RuleKey;
use crate::object::address::{ADDRESS, row as address_row};
use crate::object::bridge_vlan;
use crate::object::link::{LINK, row as link_row};
use crate::object::port::BRIDGE_PORT;
use crate::object::route::RouteKey;
use crate::object::{
    Address, BridgeVlan, NEIGHBOUR, NEXTHOP, Neighbour, Nexthop, RULE, Record, Rule,
};
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
    /// A nexthop object is there, with all of its attributes.
    NexthopNew(Nexthop),
    /// The nexthop object with this number is gone.
    NexthopGone(u32),
    /// One more rule like this is there.
    RuleNew(Arc<Rule>),
    /// One rule like this is gone.
    RuleGone(Arc<Rule>),
    /// A neighbour, proxy or forwarding entry is there, with all of its attributes.
    NeighbourNew(Neighbour),
    /// A neighbour, proxy or forwarding entry is gone.
    NeighbourGone(Neighbour),
    /// These VLANs of a bridge port, or of a bridge itself, are there.
    VlansNew(u32, Vec<BridgeVlan>),
    /// VLANs with these numbers are gone.
    VlansGone(u32, Vec<BridgeVlan>),
    /// A route is there, or gone.
    Route {
        /// What the kernel looks it up by.
        key: RouteKey,
        /// The rest of it.
        held: Arc<Held>,
        /// The flags of the message: where among those of its key it stands.
        how: u16,
        /// Whether it is gone.
        gone: bool,
    },
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
    /// It may be no longer a port of a bridge; the device lives on (K29). What is true is what the link tells next.
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
        kind::RTM_NEWNEXTHOP => nexthop(message)?.map(Event::NexthopNew),
        kind::RTM_DELNEXTHOP => nexthop(message)?.map(|nexthop| Event::NexthopGone(nexthop.id())),
        kind::RTM_NEWRULE => rule(message)?.map(Event::RuleNew),
        kind::RTM_DELRULE => rule(message)?.map(Event::RuleGone),
        kind::RTM_NEWNEIGH => Some(Event::NeighbourNew(neighbour(message)?)),
        kind::RTM_DELNEIGH => Some(Event::NeighbourGone(neighbour(message)?)),
        kind::RTM_NEWVLAN => vlans(message)?.map(|(index, all)| Event::VlansNew(index, all)),
        kind::RTM_DELVLAN => vlans(message)?.map(|(index, all)| Event::VlansGone(index, all)),
        _ => None,
    })
}

/// The kernel tells that VLAN 0 is gone when there was none before the default one (`__br_vlan_set_default_pvid`), and
/// what `bridge vlan global` shows: then none is left to be told of.
fn vlans(message: &Message<'_>) -> Result<Option<(u32, Vec<BridgeVlan>)>, Malformed> {
    let (index, all) = bridge_vlan::decode(message.payload)?;
    Ok((index != 0 && !all.is_empty()).then_some((index, all)))
}

fn nexthop(message: &Message<'_>) -> Result<Option<Nexthop>, Malformed> {
    let nexthop = Nexthop::of(Record::decode(&NEXTHOP, message.payload)?);
    Ok((nexthop.id() != 0).then_some(nexthop))
}

fn rule(message: &Message<'_>) -> Result<Option<Arc<Rule>>, Malformed> {
    let rule = Rule::of(Record::decode(&RULE, message.payload)?);
    Ok(RuleKey::of(rule.record()).is_followed().then(|| Arc::new(rule)))
}

fn neighbour(message: &Message<'_>) -> Result<Neighbour, Malformed> {
    Ok(Neighbour::of(Record::decode(&NEIGHBOUR, message.payload)?))
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
    /// The index of the interface that it is about; 0 where it is about none.
    pub fn index(&self) -> u32 {
        match self {
            Event::Link(index, _) | Event::VlansNew(index, _) | Event::VlansGone(index, _) => {
                *index
            }
            Event::NeighbourNew(neighbour) | Event::NeighbourGone(neighbour) => {
                neighbour.index().unwrap_or(0)
            }
            Event::Route { .. }
            | Event::NexthopNew(_)
            | Event::NexthopGone(_)
            | Event::RuleNew(_)
            | Event::RuleGone(_) => 0,
            Event::AddressNew(address) | Event::AddressGone(address) => {
                address.record().number(address_row::INDEX) as u32
            }
        }
    }
}
