//! Questions: what the kernel may have changed in silence is asked for on the event socket, one at a time.
//!
//! The answer queues behind the notifications, so that what was announced while it came is newer than it. Not here: when
//! something is to be asked (`change`, `replay`), and the dumps on a socket of their own (`dump`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::dump::{Dump, routes_request};
use super::{AF_BRIDGE, AF_INET, AF_INET6, Follower, OWN, Outlet, Phase, Transmit, has_vlans};
use crate::object::address::{ADDRESS, row as address_row};
use crate::object::link::{LINK, row as link_row};
use crate::object::neighbour::row as neighbour_row;
use crate::object::route::{RouteKey, RouteKey6, split};
use crate::object::shape::{Ip, Typed};
use crate::object::{BridgeVlan, Family, Link, NEIGHBOUR, Record, Rule, Value, bridge_vlan};
use crate::state::routes::Held;
use crate::state::view::Judged;
use crate::state::{AddressKey, Event, LinkEvent, NeighbourKey};
use crate::wire::{Ack, Builder, HardwareAddress, Message, flags, kind, u16_at};

/// One object that is asked for on the event socket, because the kernel may have changed it in silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Query {
    Link(u32),
    Addresses(u32),
    /// The VLANs of this bridge port or bridge.
    Vlans(u32),
    /// All rules of a family.
    Rules(Family),
    /// The forwarding entries at this bridge port or bridge.
    Fdb(u32),
    /// All proxies.
    Proxies,
    /// The groups of IPv6 routes in this table whose first leg has gone.
    Legs(u32),
}

/// A question, what its answer has shown so far, and what was announced meanwhile: that is newer.
pub(super) struct Asked {
    query: Query,
    seq: u32,
    link_touched: bool,
    seen: BTreeSet<AddressKey>,
    touched: BTreeSet<AddressKey>,
    vlans: Vec<BridgeVlan>,
    vlans_touched: bool,
    rules: Vec<Arc<Rule>>,
    rules_touched: bool,
    neighbours_touched: BTreeSet<NeighbourKey>,
    proxies: BTreeSet<NeighbourKey>,
    routes: BTreeMap<RouteKey6, Vec<Arc<Held>>>,
    routes_touched: BTreeSet<RouteKey6>,
}

impl Asked {
    fn new(query: Query, seq: u32) -> Self {
        let (seen, touched) = (BTreeSet::new(), BTreeSet::new());
        Asked {
            query,
            seq,
            link_touched: false,
            seen,
            touched,
            vlans: Vec::new(),
            vlans_touched: false,
            rules: Vec::new(),
            rules_touched: false,
            neighbours_touched: BTreeSet::new(),
            proxies: BTreeSet::new(),
            routes: BTreeMap::new(),
            routes_touched: BTreeSet::new(),
        }
    }

    /// Something was announced while the answer is on its way.
    pub(super) fn touch(&mut self, event: &Event) {
        match event {
            Event::Link(index, _) => self.link_touched |= self.query == Query::Link(*index),
            Event::AddressNew(address) | Event::AddressGone(address) => {
                self.touched.extend(AddressKey::of(address));
            }
            Event::VlansNew(index, _) | Event::VlansGone(index, _) => {
                self.vlans_touched |= self.query == Query::Vlans(*index);
            }
            Event::RuleNew(rule) | Event::RuleGone(rule) => {
                self.rules_touched |= self.query == Query::Rules(rule.family());
            }
            Event::NeighbourNew(neighbour) | Event::NeighbourGone(neighbour) => {
                self.neighbours_touched.extend(NeighbourKey::of(neighbour.record()));
            }
            Event::Route { key: RouteKey::V6(key), .. } => {
                self.routes_touched.insert(*key);
            }
            _ => {}
        }
    }
}

impl Follower {
    /// An IPv6 group has lost its first leg. The kernel keeps protocol and metrics for each leg and says those of the
    /// first: what the next one says stands in a dump only.
    pub(super) fn ask_legs(&mut self, key: RouteKey) {
        if let RouteKey::V6(key) = key {
            self.headless.insert(key);
            self.ask(Query::Legs(key.table));
        }
    }

    pub(super) fn gather_legs(&mut self, message: &Message<'_>) {
        if message.kind != kind::RTM_NEWROUTE
            || self.view.judge(message.payload) != Judged::Followed
        {
            return;
        }
        let Some(key) = split(message.payload, &mut self.scratch) else { return };
        let (RouteKey::V6(key), Some(asked)) = (key, &mut self.asked) else { return };
        if self.headless.contains(&key) {
            let held = self.bodies.intern(AF_INET6, &self.scratch);
            asked.routes.entry(key).or_default().push(held);
        }
    }

    /// The groups of a table that were asked for are as the answer says, but for those that have changed meanwhile.
    fn legs_are(&mut self, table: u32, mut asked: Asked) {
        let own: Vec<_> = self.headless.iter().filter(|key| key.table == table).copied().collect();
        for key in own.into_iter().filter(|key| !asked.routes_touched.contains(key)) {
            let all = asked.routes.remove(&key).unwrap_or_default();
            // Passed over, as in any dump of a table that changes meanwhile (K14).
            if all.is_empty() && !asked.routes_touched.is_empty() {
                continue;
            }
            self.headless.remove(&key);
            self.dirty |= self.shown.routes.replace(key, all);
        }
        let shown = &self.shown;
        self.headless.retain(|key| !shown.routes_at(&RouteKey::V6(*key)).is_empty());
        if self.headless.iter().any(|key| key.table == table) {
            self.ask(Query::Legs(table));
        }
    }

    /// A port has left: its master, and the ports that it was the backup of.
    pub(super) fn ask_bridge(&mut self, port: u32, master: Option<u32>) {
        let Some(master) = master else { return };
        let backed = |link: &&Link| {
            link.bridge_port().and_then(|options| options.backup_port()) == Some(port)
        };
        let backed: Vec<_> = self.shown.ports_of(master).filter(backed).map(Link::index).collect();
        backed.into_iter().chain([master]).for_each(|index| self.ask(Query::Link(index)));
    }

    /// The entry of a bridge for an interface's own address is no longer that one's, see [`Snapshot::own_entry`]: whose it
    /// is now, they know themselves. The bridge is always asked, because it takes an address from its ports after that.
    pub(super) fn ask_heirs(&mut self, index: u32, entry: Option<(u32, HardwareAddress)>) {
        let is_there = |entry: &(u32, _)| self.shown.link_by_index(entry.0).is_some();
        let Some((bridge, address)) = entry.filter(is_there) else { return };
        let alike = |link: &&Link| link.index() != index && link.address() == Some(address);
        let ports: Vec<_> = self.shown.ports_of(bridge).filter(alike).map(Link::index).collect();
        ports.into_iter().chain([bridge]).for_each(|index| self.ask(Query::Fdb(index)));
    }

    /// A port has left its master: a bond that goes gives its ports their mtu back after that, and without a word
    /// (`__bond_release_one`, `__dev_set_mtu`).
    pub(super) fn ask_released(&mut self, port: u32, master: Option<u32>) {
        let Some(master) = master else { return };
        if self.shown.link_by_index(master).is_none_or(|link| link.kind() == Some("bond")) {
            self.ask(Query::Link(port));
        }
    }

    /// A veth that comes back from another namespace: the end that has stayed is not announced, and still says
    /// that its other end is elsewhere (K32).
    pub(super) fn ask_other_end(&mut self, index: u32) {
        let other = self.shown.link_by_index(index).and_then(Link::link).unwrap_or(0);
        let is_elsewhere =
            |other: &Link| other.link() == Some(index) && other.link_netnsid().is_some();
        if self.shown.link_by_index(other).is_some_and(is_elsewhere) {
            self.ask(Query::Link(other));
        }
    }

    /// A question that is still to be sent will be answered with all that has happened until then.
    pub(super) fn ask(&mut self, query: Query) {
        if self.queries.contains(&query) {
            return;
        }
        let followed = match query {
            Query::Link(_) | Query::Vlans(_) => true,
            Query::Addresses(_) => self.views.addresses,
            Query::Rules(_) => self.views.rules,
            Query::Fdb(_) | Query::Proxies => self.views.neighbours,
            Query::Legs(_) => self.views.routes,
        };
        if followed {
            self.queries.push_back(query);
            self.asked_total += 1;
        }
    }

    pub(super) fn is_answer(&self, message: &Message<'_>) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.seq == message.seq && message.seq & OWN != 0)
    }

    pub(super) fn handle_answer_part(&mut self, event: Event) {
        let Some(asked) = &mut self.asked else { return };
        match (&event, asked.query) {
            (Event::AddressNew(address), Query::Addresses(index)) => {
                let Some(key) = AddressKey::of(address).filter(|key| key.index == index) else {
                    return;
                };
                asked.seen.insert(key);
                if !asked.touched.contains(&key) {
                    self.apply(event);
                }
            }
            (Event::Link(..), Query::Link(_)) => {
                self.apply(event);
                self.answered();
            }
            (Event::RuleNew(rule), Query::Rules(_)) => asked.rules.push(rule.clone()),
            (Event::VlansNew(index, all), Query::Vlans(own)) if *index == own => {
                asked.vlans.extend(all);
            }
            (Event::NeighbourNew(neighbour), Query::Fdb(_)) => {
                let key = NeighbourKey::of(neighbour.record());
                if key.is_some_and(|key| !asked.neighbours_touched.contains(&key)) {
                    self.apply(event);
                }
            }
            (Event::NeighbourNew(neighbour), Query::Proxies) => {
                asked.proxies.extend(NeighbourKey::of(neighbour.record()));
                self.apply(event);
            }
            _ => {}
        }
    }

    /// Asks for all proxies. Who sends a fence after this was wanted waits for the answer too.
    pub fn ask_proxies(&mut self) {
        self.ask(Query::Proxies);
        self.held.iter_mut().for_each(|(_, asked)| *asked = self.asked_total);
    }

    fn answered(&mut self) {
        self.asked = None;
        self.answered_total += 1;
    }

    /// An ACK or the end of a dump, on the event socket.
    pub(super) fn answer(&mut self, message: &Message<'_>) {
        if self.is_answer(message) {
            return self.finding(|follower| follower.end_of_answer(message));
        }
        let inner = message.payload.get(4..).and_then(|request| u16_at(request, 4));
        if message.kind != kind::NLMSG_ERROR || inner != Some(kind::NLMSG_NOOP) {
            return;
        }
        match self.phase {
            Phase::Settling { fence } if fence == message.seq => self.heard_all(),
            _ if message.seq & OWN == 0 => self.held.push((message.seq, self.asked_total)),
            _ => {}
        }
    }

    fn end_of_answer(&mut self, message: &Message<'_>) {
        let ack = Ack::parse(message).and_then(Result::ok).unwrap_or_default();
        let Some(asked) = self.asked.take() else { return };
        self.answered_total += 1;
        if let Query::Link(index) = asked.query {
            return self.never_made(index, &asked, ack.errno);
        }
        if message.flags & flags::DUMP_INTR != 0 {
            return self.ask(asked.query);
        }
        if ack.errno == libc::ENODEV {
            // The interface has gone meanwhile; its DELLINK says so.
            return;
        }
        let is_lacking = match asked.query {
            Query::Legs(_) => ack.errno == libc::ENOENT,
            // No bridge port any more (`br_vlan_dump_dev`); a kernel whose bridges have no VLANs.
            Query::Vlans(_) => matches!(ack.errno, libc::EINVAL | libc::EOPNOTSUPP),
            _ => false,
        };
        if !ack.is_ok() && !is_lacking {
            // Not to be had this way: then everything is read anew, rather than guessed.
            return self.resync();
        }
        match asked.query {
            Query::Legs(table) => self.legs_are(table, asked),
            Query::Addresses(index) => self.addresses_are(index, &asked),
            Query::Vlans(index) if asked.vlans_touched => self.ask(Query::Vlans(index)),
            Query::Vlans(index) => self.dirty |= self.shown.replace_vlans(index, &asked.vlans),
            // The answer may be older than what was announced while it came.
            Query::Rules(family) if asked.rules_touched => self.ask(Query::Rules(family)),
            Query::Rules(family) => {
                let changed = self.shown.rules.replace(family, asked.rules);
                (self.dirty, self.unmarked) = (self.dirty | changed, self.unmarked | changed);
            }
            Query::Proxies => {
                let all = self.shown.neighbours.map.keys().filter(|key| key.is_proxy());
                let gone: Vec<_> =
                    all.filter(|key| !asked.proxies.contains(key)).copied().collect();
                self.dirty |= !gone.is_empty();
                gone.iter().for_each(|key| drop(self.shown.neighbours.map.remove(key)));
            }
            Query::Fdb(_) | Query::Link(_) => {}
        }
    }

    /// The kernel announces no end of an interface that was still being made (`rtnl_newlink_create`): an HSR interface is
    /// announced with its first port, and goes in silence when it cannot have the second (`hsr_dev_finalize`).
    fn never_made(&mut self, index: u32, asked: &Asked, errno: i32) {
        if errno != libc::ENODEV || self.shown.link_by_index(index).is_none() {
            return;
        }
        match asked.link_touched {
            true => self.ask(Query::Link(index)),
            false => self.apply(Event::Link(index, LinkEvent::Gone { moved: false })),
        }
    }

    /// The IPv6 addresses of an interface are those that an answer has shown, and those announced meanwhile.
    fn addresses_are(&mut self, index: u32, asked: &Asked) {
        let gone: Vec<_> = self
            .shown
            .placed_of(index)
            .map(|(key, _)| *key)
            .filter(|key| {
                key.local.is_ipv6() && !asked.seen.contains(key) && !asked.touched.contains(key)
            })
            .collect();
        self.dirty |= !gone.is_empty();
        for key in gone {
            self.shown.addresses.remove(&key);
        }
    }

    pub(super) fn send_query(&mut self) {
        while let Some(query) = self.queries.pop_front() {
            if !self.is_needed(query) {
                self.answered_total += 1;
                continue;
            }
            let seq = self.next_seq();
            let mut bytes = match query {
                Query::Link(index) => link_request(index),
                Query::Addresses(index) => addresses_request(index),
                Query::Vlans(index) => vlans_request(index),
                Query::Rules(family) => rules_request(family),
                Query::Fdb(index) => fdb_request(index),
                Query::Proxies => proxies_request(),
                Query::Legs(table) => routes_request(AF_INET6, table),
            };
            Builder::stamp(&mut bytes, seq);
            self.out.push_back(Transmit { outlet: Outlet::Event, bytes });
            self.asked = Some(Asked::new(query, seq));
            return;
        }
    }

    fn is_needed(&self, query: Query) -> bool {
        match query {
            Query::Link(index) => self.shown.link_by_index(index).is_some(),
            Query::Rules(_) | Query::Proxies => true,
            Query::Legs(table) => self.headless.iter().any(|key| key.table == table),
            Query::Vlans(index) => self.may_have_vlans(index),
            Query::Fdb(index) => self.shown.own_entry(index).is_some(),
            Query::Addresses(index) => {
                self.shown.placed_of(index).any(|(key, _)| key.local.is_ipv6())
            }
        }
    }

    /// Whether it is a bridge, or a port of one.
    fn may_have_vlans(&self, index: u32) -> bool {
        let link = self.shown.link_by_index(index);
        let master = link.and_then(Link::master).and_then(|index| self.shown.link_by_index(index));
        [link, master].into_iter().flatten().any(has_vlans)
    }

    /// Takes an answer: what it shows was not announced. But who wants to know of proxies asks for them.
    pub(super) fn finding<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        match self.asked.as_ref().map(|asked| asked.query) {
            Some(Query::Proxies) => act(self),
            _ => self.silently(act),
        }
    }
}

/// One object that is asked for on the event socket, because the kernel says nothing of it, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// The link with this index.
    Link(u32),
    /// An IPv6 address of the interface with this index.
    Address(u32, Ipv6Addr),
    /// A neighbour of the interface with this index: the kernel does not announce one that it looks for.
    Neighbour(u32, IpAddr),
    /// All proxies: the kernel announces neither that one is made nor that it is removed (`pneigh_lookup`), and one by
    /// one they can be asked for but their absence has no answer of its own.
    Proxies,
}

impl Ask {
    /// The request for it; the answer queues behind every notification so far. `None` where only a follower can take the
    /// answer, as a whole ([`Follower::ask_proxies`]).
    pub fn request(self) -> Option<Vec<u8>> {
        match self {
            Ask::Link(index) => Some(link_request(index)),
            Ask::Address(index, address) => Some(address_request(index, address)),
            Ask::Neighbour(index, address) => Some(neighbour_request(index, address)),
            Ask::Proxies => None,
        }
    }
}

/// The request for the VLANs of one bridge port or bridge.
fn vlans_request(index: u32) -> Vec<u8> {
    bridge_vlan::dump_request(index).finish()
}

/// The request for one link.
fn link_request(index: u32) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(link_row::INDEX, Value::Number(index.into()));
    Builder::new(kind::RTM_GETLINK, flags::REQUEST).fixed(&record.encode_header()).finish()
}

/// IPv6 only: IPv4 addresses cannot be asked for one by one.
fn address_request(index: u32, address: Ipv6Addr) -> Vec<u8> {
    let mut record = Record::new(&ADDRESS);
    record.set(address_row::FAMILY, Value::Number(AF_INET6.into()));
    record.set(address_row::INDEX, Value::Number(index.into()));
    record.set(address_row::LOCAL, Value::V6(address));
    let mut request =
        Builder::new(kind::RTM_GETADDR, flags::REQUEST).fixed(&record.encode_header());
    record.encode(&mut request);
    request.finish()
}

fn neighbour_request(index: u32, address: IpAddr) -> Vec<u8> {
    let mut record = Record::new(&NEIGHBOUR);
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    record.set(neighbour_row::FAMILY, Value::Number(family.into()));
    record.set(neighbour_row::INDEX, Value::Number(index.into()));
    record.set(neighbour_row::DST, Ip::write(address));
    let mut request =
        Builder::new(kind::RTM_GETNEIGH, flags::REQUEST).fixed(&record.encode_header());
    record.encode(&mut request);
    request.finish()
}

fn addresses_request(index: u32) -> Vec<u8> {
    let mut record = Record::new(&ADDRESS);
    record.set(address_row::FAMILY, Value::Number(AF_INET6.into()));
    record.set(address_row::INDEX, Value::Number(index.into()));
    Builder::new(kind::RTM_GETADDR, flags::REQUEST | flags::DUMP)
        .fixed(&record.encode_header())
        .finish()
}

fn rules_request(family: Family) -> Vec<u8> {
    let family = if family == Family::Inet6 { AF_INET6 } else { AF_INET };
    let (kind, fixed) = Dump::Rules(family).request();
    Builder::new(kind, flags::REQUEST | flags::DUMP).fixed(&fixed).finish()
}

fn proxies_request() -> Vec<u8> {
    let (kind, fixed) = Dump::Proxies.request();
    Builder::new(kind, flags::REQUEST | flags::DUMP).fixed(&fixed).finish()
}

fn fdb_request(index: u32) -> Vec<u8> {
    let mut record = Record::new(&NEIGHBOUR);
    record.set(neighbour_row::FAMILY, Value::Number(AF_BRIDGE.into()));
    record.set(neighbour_row::INDEX, Value::Number(index.into()));
    Builder::new(kind::RTM_GETNEIGH, flags::REQUEST | flags::DUMP)
        .fixed(&record.encode_header())
        .finish()
}
