//! The machine that keeps a snapshot equal to the kernel.
//!
//! Order of things (K1, K14): the event socket is subscribed before anything is read. After a loss it is
//! drained until it is empty (until then it is deaf), then everything is dumped on another socket while events
//! pile up, then a fence is sent on the event socket, and when it has come back the events are replayed on what
//! was dumped and one new state is shown. Events are upserts, so that replaying one that the dump already knew
//! changes nothing.
//!
//! Routes that the kernel takes away without a word (K4 to K8) go in the same state as the change that took them;
//! where only the kernel can know, everything is read anew.
//!
//! Not here: when to poll, which socket is which, who waits. A state is shown only while nothing is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::altered::{with_link_mtu, without_source};
use super::apply::Doubt;
use super::event::decode;
use super::holes::{Holes, Sort};
use super::routes::{Bodies, Body, Held, Load, is_same};
use super::silence::{Silence, Turns};
use super::view::{AF_MPLS, Judged, RouteView};
use super::{AddressKey, Event, LinkEvent, NeighbourKey, Snapshot};
use crate::object::Value;
use crate::object::address::{ADDRESS, row as address_row};
use crate::object::bridge_vlan;
use crate::object::link::{LINK, row as link_row};
use crate::object::neighbour::row as neighbour_row;
use crate::object::route::{ROUTE, RouteKey, RouteKey6, RouteProtocol, split};
use crate::object::shape::{Ip, Typed};
use crate::object::{
    Address, BridgeVlan, Family, Link, LinkFlags, NEIGHBOUR, NEXTHOP, NeighbourFlags, RULE, Record,
    Rule,
};
use crate::wire::{Ack, Builder, Message, Messages, flags, kind, put_ne_u32, u16_at};

/// What a database leaves out, to save memory and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views {
    /// Whether addresses are followed. Routes go with them in silence, so that they are not followed without.
    pub addresses: bool,
    /// Whether routes are followed.
    pub routes: bool,
    /// Whether rules are followed.
    pub rules: bool,
    /// Whether nexthop objects are followed.
    pub nexthops: bool,
    /// Whether neighbours, proxies and forwarding entries are followed.
    pub neighbours: bool,
}

impl Views {
    /// Everything.
    pub const ALL: Views =
        Views { addresses: true, routes: true, rules: true, nexthops: true, neighbours: true };
    /// Only interfaces.
    pub const NONE: Views =
        Views { addresses: false, routes: false, rules: false, nexthops: false, neighbours: false };
}

/// What is followed unless something else is said: all but neighbours.
impl Default for Views {
    fn default() -> Self {
        Views { neighbours: false, ..Views::ALL }
    }
}

/// Which socket a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlet {
    /// The event socket: the answer queues behind the notifications.
    Event,
    /// The dump socket, which must be a new one: an abandoned dump leaves the old one busy (K13).
    FreshDump,
    /// The dump socket that is in use.
    Dump,
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Which socket it is for.
    pub outlet: Outlet,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A state to be shown.
#[derive(Clone, Debug)]
pub struct Update {
    /// The state.
    pub snapshot: Snapshot,
    /// The newest fence whose effects it holds.
    pub passed: u32,
    /// Links that have appeared by a request of ours: port, sequence number, index (K11).
    pub created: Vec<(u32, u32, u32)>,
    /// What of it the kernel has not said.
    pub silence: Silence,
}

/// What was lost and repaired since the database was opened. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// The event socket's queue was full and the kernel dropped notifications (`ENOBUFS`).
    pub overruns: u64,
    /// A notification was longer than the buffer.
    pub truncated: u64,
    /// Bytes that are no netlink message.
    pub malformed: u64,
    /// Datagrams that did not come from the kernel, passed over (K19).
    pub foreign: u64,
    /// Dumps that were repeated because the kernel marked them as inconsistent, or because what they show has changed
    /// while they came in parts (K14).
    pub interrupted: u64,
    /// Times that everything was read anew; the first is the opening.
    pub resyncs: u64,
}

enum Phase {
    /// Throwing away what is queued, until the socket is empty and hears again (K1).
    Draining,
    Dumping {
        what: Dump,
        seq: u32,
        tries: u32,
    },
    /// All is dumped; the fence with this number has not come back yet.
    Settling {
        fence: u32,
    },
    Live,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dump {
    Links,
    /// VLANs of bridges and of their ports.
    Vlans,
    Addresses,
    Nexthops,
    /// The one with this number among those that the view needs.
    Routes(usize),
    Rules(u8),
    /// Neighbours of IPv4 and IPv6.
    Neighbours,
    Proxies,
    Fdb,
}

impl Dump {
    /// What is dumped, in this order: interfaces first, what is behind them last.
    const ORDER: [Dump; 10] = [
        Dump::Links,
        Dump::Vlans,
        Dump::Addresses,
        Dump::Nexthops,
        Dump::Routes(0),
        Dump::Rules(AF_INET),
        Dump::Rules(AF_INET6),
        Dump::Neighbours,
        Dump::Proxies,
        Dump::Fdb,
    ];

    fn is_in(self, views: Views) -> bool {
        match self {
            Dump::Links | Dump::Vlans => true,
            Dump::Addresses => views.addresses,
            Dump::Nexthops => views.nexthops,
            Dump::Routes(_) => views.addresses && views.routes,
            Dump::Rules(_) => views.rules,
            Dump::Neighbours | Dump::Proxies | Dump::Fdb => views.neighbours,
        }
    }

    /// `routes` is how many dumps of routes there are.
    fn after(self, views: Views, routes: usize) -> Option<Dump> {
        let here = match self {
            Dump::Routes(at) if at + 1 < routes => return Some(Dump::Routes(at + 1)),
            Dump::Routes(_) => Dump::Routes(0),
            other => other,
        };
        let mut rest = Dump::ORDER.into_iter().skip_while(|own| *own != here).skip(1);
        rest.find(|dump| dump.is_in(views) && (*dump != Dump::Routes(0) || routes > 0))
    }

    /// The request: its type, and its fixed struct with what the kernel filters by.
    fn request(self) -> (u16, Vec<u8>) {
        const NDM_FLAGS: usize = 10;
        let (kind, header, family) = match self {
            Dump::Links | Dump::Vlans => (kind::RTM_GETLINK, LINK.header, 0),
            Dump::Addresses => (kind::RTM_GETADDR, ADDRESS.header, 0),
            Dump::Nexthops => (kind::RTM_GETNEXTHOP, NEXTHOP.header, 0),
            Dump::Routes(_) => (kind::RTM_GETROUTE, ROUTE.header, 0),
            Dump::Rules(family) => (kind::RTM_GETRULE, RULE.header, family),
            Dump::Neighbours | Dump::Proxies => (kind::RTM_GETNEIGH, NEIGHBOUR.header, 0),
            Dump::Fdb => (kind::RTM_GETNEIGH, NEIGHBOUR.header, AF_BRIDGE),
        };
        let mut fixed = vec![0; header];
        fixed[0] = family;
        if self == Dump::Proxies {
            fixed[NDM_FLAGS] = NeighbourFlags::PROXY.0;
        }
        (kind, fixed)
    }

    /// What it shows, where the kernel may pass over some of it and not say so.
    fn sort(self, view: &RouteView) -> Option<Sort> {
        match self {
            Dump::Routes(at) => match view.dumps().get(at)?.0 {
                AF_INET6 => Some(Sort::Routes6),
                // By their labels, of which none is passed over (`mpls_dump_routes`).
                AF_MPLS => None,
                _ => Some(Sort::Routes4),
            },
            Dump::Neighbours | Dump::Proxies | Dump::Fdb => Some(Sort::Neighbours),
            Dump::Links | Dump::Vlans | Dump::Addresses | Dump::Nexthops | Dump::Rules(_) => None,
        }
    }

    /// Whether this refusal says that the kernel has none of it: nexthop objects are of Linux 5.3, IPv6 may be off, bridges
    /// may be without VLANs, a table that is asked for is not there (K42).
    fn is_lacking(self, errno: i32) -> bool {
        match self {
            Dump::Links | Dump::Addresses => false,
            Dump::Routes(_) => errno == libc::ENOENT,
            _ => matches!(errno, libc::EOPNOTSUPP | libc::EAFNOSUPPORT),
        }
    }
}

const TABLE_LOCAL: u32 = 255;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_BRIDGE: u8 = 7;

/// One object that is asked for on the event socket, because the kernel may have changed it in silence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Query {
    Link(u32),
    Addresses(u32),
    /// The VLANs of this bridge port or bridge.
    Vlans(u32),
    /// All rules of a family.
    Rules(Family),
    /// The forwarding entries at this port, bridge or tunnel.
    Fdb(u32),
    /// All proxies.
    Proxies,
    /// The groups of IPv6 routes in this table whose first leg has gone.
    Legs(u32),
}

/// A question, what its answer has shown so far, and what was announced meanwhile: that is newer.
struct Asked {
    query: Query,
    seq: u32,
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
    fn touch(&mut self, event: &Event) {
        match event {
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

/// How often a dump that the kernel marks as inconsistent is repeated before the replay must do.
const DUMP_TRIES: u32 = 5;

/// Our own sequence numbers on the event and dump sockets; those of committers have this bit clear.
const OWN: u32 = 0x8000_0000;

/// Follows the kernel. See the module's head.
pub struct Follower {
    views: Views,
    view: Arc<RouteView>,
    /// Keys that may also hold routes whose protocol is left out.
    mixed: BTreeSet<RouteKey>,
    /// The last route of a dump, and whether its protocol is left out.
    last: Option<(RouteKey, bool)>,
    phase: Phase,
    shown: Snapshot,
    rebuilt: Snapshot,
    load: Load,
    holes: Holes<Dump>,
    bodies: Bodies,
    /// Keys of IPv6 groups that have lost their first leg, and are asked for.
    headless: BTreeSet<RouteKey6>,
    /// How often in a row everything was read anew because a replay could not tell which routes went in silence.
    unsure: u32,
    /// Interfaces that have lost their last IPv4 address, and since then neither got one nor went up.
    unaddressed: BTreeSet<u32>,
    scratch: Vec<u8>,
    backlog: Vec<Event>,
    stamp: u64,
    seq: u32,
    out: VecDeque<Transmit>,
    queries: VecDeque<Query>,
    asked: Option<Asked>,
    asked_total: u64,
    answered_total: u64,
    held: Vec<(u32, u64)>,
    passed: u32,
    sent_at_drain: u32,
    created: Vec<(u32, u32, u32)>,
    dirty: bool,
    turns: Turns,
    /// Interfaces or rules have come, gone or been renamed since rules were marked.
    unmarked: bool,
    losses: Losses,
    failure: Option<Ack>,
}

impl Follower {
    /// A follower that knows nothing yet. It starts to dump when the event socket has been found empty.
    pub fn new(views: Views) -> Self {
        Follower {
            views,
            view: Arc::default(),
            mixed: BTreeSet::new(),
            last: None,
            phase: Phase::Draining,
            shown: Snapshot::default(),
            rebuilt: Snapshot::default(),
            load: Load::default(),
            holes: Holes::default(),
            bodies: Bodies::default(),
            headless: BTreeSet::new(),
            unsure: 0,
            unaddressed: BTreeSet::new(),
            scratch: Vec::new(),
            backlog: Vec::new(),
            stamp: 0,
            seq: OWN,
            out: VecDeque::new(),
            queries: VecDeque::new(),
            asked: None,
            asked_total: 0,
            answered_total: 0,
            held: Vec::new(),
            passed: 0,
            sent_at_drain: 0,
            created: Vec::new(),
            dirty: false,
            turns: Turns::default(),
            unmarked: false,
            losses: Losses::default(),
            failure: None,
        }
    }

    /// Follows only these routes.
    pub fn with_routes(self, view: RouteView) -> Self {
        Follower { view: Arc::new(view), ..self }
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// Why the kernel refused to be read, if it did: nothing can be known then.
    pub fn failure(&self) -> Option<&Ack> {
        self.failure.as_ref()
    }

    /// Whether all that it was told is in the state that it has shown, and nothing is asked for.
    pub fn is_settled(&self) -> bool {
        self.is_live() && !self.dirty && !self.is_asking() && self.held.is_empty()
    }

    /// Whether something is asked for, or is to be.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some() || !self.queries.is_empty() || !self.out.is_empty()
    }

    /// Whether a state can be shown.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// Whether the event socket is to be emptied, and what is in it thrown away.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining)
    }

    /// Whether a dump is running.
    pub fn is_dumping(&self) -> bool {
        matches!(self.phase, Phase::Dumping { .. })
    }

    /// Notifications were dropped.
    pub fn handle_overrun(&mut self) {
        self.losses.overruns += 1;
        self.resync();
    }

    /// A notification did not fit.
    pub fn handle_truncated(&mut self) {
        self.losses.truncated += 1;
        self.resync();
    }

    /// A datagram came from someone else than the kernel.
    pub fn handle_foreign(&mut self) {
        self.losses.foreign += 1;
    }

    /// Reads everything anew.
    pub fn resync(&mut self) {
        self.phase = Phase::Draining;
        self.backlog.clear();
        self.queries.clear();
        self.headless.clear();
        self.asked = None;
        self.answered_total = self.asked_total;
    }

    /// The event socket was found empty. `sent` is the newest fence that any committer has taken a number for.
    pub fn handle_drained(&mut self, sent: u32) {
        if !matches!(self.phase, Phase::Draining) {
            return;
        }
        self.losses.resyncs += 1;
        self.sent_at_drain = sent;
        self.held.clear();
        self.forget_dump();
        self.start_dump(Dump::Links, 0, Outlet::FreshDump);
    }

    /// What was dumped was lost on its way.
    pub fn handle_dump_loss(&mut self) {
        if matches!(self.phase, Phase::Dumping { .. }) {
            self.forget_dump();
            self.start_dump(Dump::Links, 0, Outlet::FreshDump);
        }
    }

    fn forget_dump(&mut self) {
        self.rebuilt = Snapshot::default();
        self.load = Load::default();
        self.holes = Holes::default();
        self.mixed.clear();
        self.last = None;
    }

    fn start_dump(&mut self, what: Dump, tries: u32, outlet: Outlet) {
        let seq = self.next_seq();
        let mut bytes = match what {
            Dump::Routes(at) => {
                let (family, table) = self.view.dumps().get(at).copied().unwrap_or_default();
                routes_request(family, table)
            }
            Dump::Vlans => bridge_vlan::dump_request(0).finish(),
            _ => {
                let (kind, fixed) = what.request();
                Builder::new(kind, flags::REQUEST | flags::DUMP).fixed(&fixed).finish()
            }
        };
        Builder::stamp(&mut bytes, seq);
        self.out.push_back(Transmit { outlet, bytes });
        self.holes.begin(what, what.sort(&self.view));
        self.last = None;
        self.phase = Phase::Dumping { what, seq, tries };
    }

    fn next_seq(&mut self) -> u32 {
        self.seq = OWN | self.seq.wrapping_add(1);
        self.seq
    }

    /// The link with this index is again the one of this generation: a rollback has brought it back.
    pub fn adopt(&mut self, index: u32, generation: u64) {
        let Some(link) = self.shown.link_by_index(index) else { return };
        let link = Link::new(link.record().clone(), generation);
        self.shown.put_link(link);
        self.dirty = true;
    }

    /// A datagram of the dump socket.
    pub fn handle_dump(&mut self, datagram: &[u8]) {
        self.holes.part();
        for message in Messages::new(datagram) {
            let Phase::Dumping { what, seq, tries } = self.phase else { return };
            match message {
                Ok(message) if message.seq != seq => {}
                Ok(message) => self.dump_message(&message, what, tries),
                Err(_) => {
                    self.losses.malformed += 1;
                    return self.handle_dump_loss();
                }
            }
        }
    }

    fn dump_message(&mut self, message: &Message<'_>, what: Dump, tries: u32) {
        if message.flags & flags::DUMP_INTR != 0 && tries < DUMP_TRIES {
            // Reading on to DONE would keep this socket; a new one starts again at once (K13, K14).
            self.losses.interrupted += 1;
            self.forget_dump();
            return self.start_dump(Dump::Links, tries + 1, Outlet::FreshDump);
        }
        match Ack::parse(message) {
            Some(Ok(ack)) if ack.is_ok() || what.is_lacking(ack.errno) => {
                self.dump_done(what, tries, Outlet::Dump);
            }
            Some(Ok(ack)) => self.failure = Some(ack),
            Some(Err(_)) => self.handle_dump_loss(),
            None if self.is_astray(message, what) => self.dump_done(what, tries, Outlet::FreshDump),
            None => self.gather(message),
        }
    }

    /// A kernel without MPLS answers the question for its routes with those of all families (`rtnl_dump_all`). Then there
    /// are none, and the rest is not waited for.
    fn is_astray(&self, message: &Message<'_>, what: Dump) -> bool {
        let Dump::Routes(at) = what else { return false };
        let asked = self.view.dumps().get(at).map(|(family, _)| *family);
        asked == Some(AF_MPLS) && message.payload.first() != Some(&AF_MPLS)
    }

    fn gather(&mut self, message: &Message<'_>) {
        if message.kind == kind::RTM_NEWROUTE {
            return self.gather_route(message);
        }
        match decode(message) {
            Ok(Some(Event::Link(index, LinkEvent::Is(record)))) => {
                self.stamp += 1;
                let generation =
                    self.shown.link_by_index(index).filter(|old| is_same_link(old, &record));
                let generation = generation.map_or(self.stamp, Link::generation);
                self.rebuilt.put_link(Link::new(*record, generation));
            }
            Ok(Some(event)) => {
                self.stamp += u64::from(event.index() != 0);
                self.rebuilt.apply(event, self.stamp);
            }
            Ok(None) => {}
            Err(_) => self.losses.malformed += 1,
        }
    }

    /// The routes of a key come one behind the other.
    fn gather_route(&mut self, message: &Message<'_>) {
        let is_beside = match self.view.judge(message.payload) {
            Judged::Elsewhere => return,
            judged => judged == Judged::Beside,
        };
        let Some(key) = split(message.payload, &mut self.scratch) else { return };
        self.holes.shows(&key);
        if self.last.replace((key, is_beside)) == Some((key, !is_beside)) {
            self.mixed.insert(key);
        }
        if !is_beside {
            let held = self.bodies.intern(key.family(), &self.scratch);
            self.load.push(key, held, &mut self.rebuilt.routes, &mut self.bodies);
        }
    }

    /// Where there is no bridge, or the kernel has none for it, nothing has VLANs.
    fn dump_after(&self, what: Dump) -> Option<Dump> {
        let next = what.after(self.views, self.view.dumps().len());
        match next {
            Some(Dump::Vlans) if !self.rebuilt.links().any(has_vlans) => {
                self.dump_after(Dump::Vlans)
            }
            next => next,
        }
    }

    /// `outlet` is where the next one is asked for.
    fn dump_done(&mut self, what: Dump, tries: u32, outlet: Outlet) {
        self.holes.end();
        let again = self.holes.next();
        if let Some(next) = again.unwrap_or_else(|| self.dump_after(what)) {
            return self.start_dump(next, tries, outlet);
        }
        self.load.finish(&mut self.rebuilt.routes, &mut self.bodies);
        let fence = self.next_seq();
        self.out.push_back(Transmit { outlet: Outlet::Event, bytes: fence_request(fence) });
        self.phase = Phase::Settling { fence };
    }

    /// A datagram of the event socket.
    pub fn handle_event(&mut self, datagram: &[u8]) {
        for message in Messages::new(datagram) {
            match message {
                Ok(message) if self.is_draining() => self.note_created(&message),
                Ok(message) => self.event_message(&message),
                Err(_) if self.is_draining() => return,
                Err(_) => {
                    self.losses.malformed += 1;
                    return self.resync();
                }
            }
        }
    }

    fn event_message(&mut self, message: &Message<'_>) {
        match message.kind {
            kind::NLMSG_ERROR | kind::NLMSG_DONE => self.answer(message),
            kind::NLMSG_OVERRUN => self.handle_overrun(),
            kind::RTM_NEWROUTE | kind::RTM_DELROUTE => self.route_message(message),
            _ => match decode(message) {
                Ok(Some(event)) => self.handle_decoded(message, event),
                Ok(None) => {}
                Err(_) => {
                    self.losses.malformed += 1;
                    self.resync();
                }
            },
        }
    }

    /// Key and body of a route; `None` for what is no route of a table.
    fn route(&mut self, message: &Message<'_>) -> Option<(RouteKey, Arc<Held>)> {
        let key = split(message.payload, &mut self.scratch)?;
        Some((key, self.bodies.intern(key.family(), &self.scratch)))
    }

    fn route_message(&mut self, message: &Message<'_>) {
        if self.is_live() && self.is_answer(message) {
            return self.gather_legs(message);
        }
        let gone = message.kind == kind::RTM_DELROUTE;
        if !self.is_live() && message.payload.first() == Some(&AF_INET6) {
            // Also one that is left out: the kernel walks past it.
            self.holes.stir(Sort::Routes6);
        }
        match self.view.judge(message.payload) {
            Judged::Followed => {}
            // Alone at its key, or gone from it: that changes nothing for those that are followed.
            Judged::Beside if !gone && message.flags & flags::EXCL == 0 => {}
            Judged::Beside | Judged::Elsewhere => return,
        }
        let Some((key, held)) = self.route(message).filter(|_| self.views.routes) else { return };
        let event = Event::Route { key, held, how: message.flags, gone };
        if !self.is_live() {
            return self.backlog.push(event);
        }
        if let Some(asked) = &mut self.asked {
            asked.touch(&event);
        }
        self.apply(event);
    }

    /// An IPv6 group has lost its first leg. The kernel keeps protocol and metrics for each leg and says those of the
    /// first: what the next one says stands in a dump only.
    fn ask_legs(&mut self, key: RouteKey) {
        if let RouteKey::V6(key) = key {
            self.headless.insert(key);
            self.ask(Query::Legs(key.table));
        }
    }

    fn gather_legs(&mut self, message: &Message<'_>) {
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

    /// Whether a new route is to be put: yes, unless its protocol is left out. Routes of several protocols may share a
    /// key, and REPLACE takes the place of the first of all of them (K20). Which one that was is known where the key held
    /// nothing else; otherwise everything is read anew.
    fn is_among_followed(&mut self, key: RouteKey, held: &Arc<Held>, how: u16) -> bool {
        if !self.view.cuts_protocols() {
            return true;
        }
        let protocol = held.body().map_or(RouteProtocol::UNSPEC, Body::protocol);
        let ours = self.view.has_protocol(protocol);
        let first = self.shown.routes_at(&key).first().cloned();
        let replaces = how & flags::REPLACE != 0;
        if how & flags::EXCL != 0 {
            // The kernel has found nothing else at the key.
            self.mixed.remove(&key);
            return ours;
        }
        match first {
            Some(_) if replaces && self.mixed.contains(&key) => self.resync(),
            Some(_) if ours => return true,
            Some(_) if replaces && !matches!(key, RouteKey::V4(_)) => self.resync(),
            Some(first) => {
                if replaces {
                    self.shown.routes.take(key, &first, &mut self.bodies);
                }
                self.mixed.insert(key);
            }
            None if ours => {
                self.mixed.insert(key);
                return true;
            }
            None => {}
        }
        false
    }

    /// Routes that the kernel takes away without a word (K4 to K8), after a change of this interface.
    fn follow_routes(&mut self, doubt: Doubt, index: u32) {
        if !self.views.routes {
            return;
        }
        match doubt {
            Doubt::Unaddressed => drop(self.unaddressed.insert(index)),
            Doubt::Gone(_) => drop(self.unaddressed.remove(&index)),
            _ => {}
        }
        let shown = &self.shown;
        let up = |index: u32| shown.link_by_index(index).is_some_and(Link::is_up);
        let others_dead = |body: &Body| others_dead(shown, body, index);
        let is_vrf =
            |master: u32| shown.link_by_index(master).is_none_or(|link| link.kind() == Some("vrf"));
        let mut routes = shown.routes.clone();
        let changed = match doubt {
            Doubt::WentDown => routes.evict(&self.bodies, |body| goes_down(shown, body, index)),
            Doubt::Gone(_) => {
                let gone = |body: &Body| {
                    let is_ip = body.is_v4() || body.is_v6() && others_dead(body);
                    body.is_over(index) && is_ip
                };
                routes.evict(&self.bodies, gone) | routes.evict_legs(index, &mut self.bodies)
            }
            Doubt::Unaddressed => routes.evict(&self.bodies, |body| {
                body.is_v4()
                    && body.is_over(index)
                    && !body.outlives_addresses()
                    && others_dead(body)
            }),
            // A VRF takes the routes of its ports to its own table (K8).
            Doubt::Moved(from, to) if [from, to].into_iter().flatten().any(is_vrf) => {
                return self.resync();
            }
            _ => return,
        };
        // A leg over an interface that has lost its last address is dead, unless it was made after that; then only
        // the kernel knows whether the route lives.
        let unsure = |body: &Body| {
            let doubtful = |leg: &u32| *leg != index && up(*leg) && self.unaddressed.contains(leg);
            body.is_v4() && body.is_over(index) && body.links().iter().any(doubtful)
        };
        let unsure = self.bodies.any(unsure);
        if changed {
            self.silently(|follower| follower.shown.routes = routes);
        }
        if unsure {
            self.resync();
        }
    }

    fn handle_decoded(&mut self, message: &Message<'_>, event: Event) {
        if !self.is_followed(&event) {
            return;
        }
        self.note_created(message);
        if !self.is_live() {
            match &event {
                Event::NeighbourNew(_) | Event::NeighbourGone(_) => {
                    self.holes.stir(Sort::Neighbours);
                }
                // With it routes and neighbours may have gone in silence.
                Event::Link(..) => {
                    self.holes.stir(Sort::Routes6);
                    self.holes.stir(Sort::Neighbours);
                }
                _ => {}
            }
            return self.backlog.push(event);
        }
        if self.is_answer(message) {
            return self.finding(|follower| follower.handle_answer_part(event));
        }
        if let Some(asked) = &mut self.asked {
            asked.touch(&event);
        }
        self.apply(event);
    }

    /// Does what the kernel has not said: it is told apart from what it has.
    fn silently<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        if std::mem::replace(&mut self.turns.is_silent, true) {
            return act(self);
        }
        let told = self.shown.clone();
        let done = act(self);
        self.turns.is_silent = false;
        self.turns.note(told, &self.shown);
        done
    }

    /// Takes an answer: what it shows was not announced. But who wants to know of proxies asks for them.
    fn finding<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        match self.asked.as_ref().map(|asked| asked.query) {
            Some(Query::Proxies) => act(self),
            _ => self.silently(act),
        }
    }

    fn is_followed(&self, event: &Event) -> bool {
        match event {
            Event::Link(..)
            | Event::NexthopGone(_)
            | Event::VlansNew(..)
            | Event::VlansGone(..) => true,
            Event::AddressNew(_) | Event::AddressGone(_) => self.views.addresses,
            Event::Route { .. } => self.views.routes,
            Event::NexthopNew(_) => self.views.nexthops,
            Event::RuleNew(_) | Event::RuleGone(_) => self.views.rules,
            Event::NeighbourNew(_) | Event::NeighbourGone(_) => self.views.neighbours,
        }
    }

    /// Which request has made a link is said once, in the notification (K11): it counts also when it is thrown away
    /// otherwise.
    fn note_created(&mut self, message: &Message<'_>) {
        if message.port == 0 || message.kind != kind::RTM_NEWLINK {
            return;
        }
        if let Ok(Some(Event::Link(index, LinkEvent::Is(_)))) = decode(message) {
            if self.shown.link_by_index(index).is_none() {
                self.created.push((message.port, message.seq, index));
            }
        }
    }

    fn apply(&mut self, event: Event) {
        self.stamp += 1;
        match event {
            Event::Route { key, held, how, gone } => {
                self.dirty = true;
                match gone {
                    false if !self.is_among_followed(key, &held, how) => {}
                    false => self.shown.routes.put(key, held, how, &mut self.bodies),
                    // One that is not known has been taken out before its announcement (K22).
                    true if self.shown.routes.take(key, &held, &mut self.bodies) => {}
                    true => self.ask_legs(key),
                }
            }
            Event::NexthopNew(nexthop) => self.dirty |= self.shown.nexthops.put(nexthop),
            Event::NexthopGone(id) => {
                self.shown.nexthops.map.remove(&id);
                self.nexthops_gone([id].into());
            }
            Event::RuleNew(_) | Event::RuleGone(_) => {
                (self.dirty, self.unmarked) = (true, true);
                self.shown.apply(event, self.stamp);
            }
            Event::NeighbourNew(neighbour) => self.dirty |= self.shown.neighbour_is(neighbour),
            Event::NeighbourGone(neighbour) => self.dirty |= self.shown.neighbour_gone(&neighbour),
            Event::VlansNew(index, _) | Event::VlansGone(index, _) => {
                self.dirty = true;
                if self.shown.apply(event, self.stamp) == Doubt::Repvid {
                    self.ask(Query::Vlans(index));
                }
            }
            Event::Link(..) | Event::AddressNew(_) | Event::AddressGone(_) => {
                self.apply_to_link(event);
            }
        }
    }

    /// Nexthop objects are gone, and with them, without a word, IPv4 routes by them (K7), forwarding entries by them,
    /// and their places in groups. Routes by a group that has lost a member have lost a way: which, only the kernel
    /// knows.
    fn nexthops_gone(&mut self, gone: BTreeSet<u32>) {
        self.dirty = true;
        let by =
            |body: &Body, ids: &BTreeSet<u32>| body.nexthop().is_some_and(|id| ids.contains(&id));
        let lost = self.silently(|follower| {
            let lost = follower.shown.nexthops.remove(gone);
            follower.shown.routes.evict(&follower.bodies, |body| by(body, &lost.gone));
            lost.gone.iter().for_each(|id| follower.shown.neighbours.evict_nexthop(*id));
            lost
        });
        if self.bodies.any(|body| by(body, &lost.shrunk)) {
            self.resync();
        }
    }

    /// A nexthop object lives as long as its interface is up and has a carrier (`nexthop_netdev_event`).
    fn follow_nexthops(&mut self, index: u32) {
        let carries = |link: &Link| {
            let flags = link.flags();
            let running = flags.contains(LinkFlags::RUNNING) || flags.contains(LinkFlags::LOWER_UP);
            link.is_up() && running
        };
        if self.shown.nexthops.map.is_empty()
            || self.shown.link_by_index(index).is_some_and(carries)
        {
            return;
        }
        let over = self.shown.nexthops.over(index);
        if !over.is_empty() {
            self.nexthops_gone(over);
        }
    }

    fn apply_to_link(&mut self, event: Event) {
        self.dirty = true;
        let index = event.index();
        let is_link = matches!(event, Event::Link(..));
        let name = |shown: &Snapshot| shown.link_by_index(index).map(|link| link.name().to_owned());
        let named = is_link.then(|| name(&self.shown));
        let is_up = |shown: &Snapshot| shown.link_by_index(index).is_some_and(Link::is_up);
        let was_up = is_up(&self.shown);
        let addressed = matches!(&event, Event::AddressNew(address) if address.local().is_ipv4());
        let going = match &event {
            Event::AddressGone(address) => Some((self.why_gone(address), address.local())),
            _ => None,
        };
        let mtu = |shown: &Snapshot| shown.link_by_index(index).map(Link::mtu);
        let mtu_was = mtu(&self.shown);
        let has_tunnels = is_link && self.has_tunnels(index);
        if matches!(event, Event::Link(_, LinkEvent::Gone { .. })) {
            self.silently(|follower| follower.shown.remove_what_is_on(index));
        }
        let doubt = self.shown.apply(event, self.stamp);
        match going.filter(|(_, source)| self.bodies.any_with_source(*source)) {
            Some((Gone::ByItself, source)) => {
                self.silently(|follower| follower.follow_source(source));
            }
            // Only the kernel knows which routes prefer it still.
            Some((Gone::Unknown, _)) => self.resync(),
            Some((Gone::WithInet6, _)) | None => {}
        }
        let changed = mtu_was.zip(mtu(&self.shown)).filter(|(was, is)| was != is);
        if let Some(mtus) = changed.filter(|_| self.views.routes) {
            self.silently(|follower| {
                let change = |body: &Body| with_link_mtu(body, index, mtus);
                follower.shown.routes.alter(&mut follower.bodies, change);
            });
        }
        if addressed || !was_up && is_up(&self.shown) {
            self.unaddressed.remove(&index);
        }
        self.unmarked |= is_link && named != Some(name(&self.shown));
        self.follow_routes(doubt, index);
        if is_link {
            self.follow_nexthops(index);
        }
        if has_tunnels && !self.has_tunnels(index) {
            self.silently(|follower| follower.shown.forget_tunnels(index));
        }
        match doubt {
            Doubt::None | Doubt::Unaddressed | Doubt::Repvid => {}
            Doubt::Inet6 | Doubt::Left => self.ask(Query::Link(index)),
            Doubt::Moved(from, to) => {
                self.ask_bridge(index, from);
                to.into_iter().for_each(|to| self.ask(Query::Link(to)));
            }
            Doubt::Appeared => {
                self.ask(Query::Link(index));
                self.ask_other_end(index);
                // A bridge announces its own entry, and its own VLANs, before itself.
                self.ask(Query::Fdb(index));
                self.ask(Query::Vlans(index));
            }
            Doubt::Gone(master) => {
                self.ask_bridge(index, master);
                let lost = |link: &&Link| link.link() == Some(index) && link.index() != index;
                let left: Vec<_> = self.shown.links().filter(lost).map(Link::index).collect();
                left.into_iter().for_each(|index| self.ask(Query::Link(index)));
            }
            Doubt::WentDown => {
                // `pneigh_ifdown`: proxies are never announced.
                self.silently(|follower| {
                    follower.shown.neighbours.evict(index, NeighbourKey::is_proxy);
                });
                self.ask(Query::Addresses(index));
            }
        }
    }

    /// Whether a port has tunnels for VLANs.
    fn has_tunnels(&self, index: u32) -> bool {
        let port = self.shown.link_by_index(index).and_then(Link::bridge_port);
        port.and_then(|port| port.vlan_tunnel()) == Some(true)
    }

    /// Why an address goes, told before it is taken out. The local route of an IPv6 address goes before it when it goes with
    /// IPv6 (`addrconf_ifdown`), and after it when it goes by itself (`ipv6_del_addr`).
    fn why_gone(&self, address: &Address) -> Gone {
        let IpAddr::V6(own) = address.local() else { return Gone::ByItself };
        let shown = &self.shown;
        let up = shown.link_by_index(address.index()).is_some_and(Link::is_up);
        let key =
            RouteKey6 { table: TABLE_LOCAL, dst: own.octets(), len: 128, tos: 0, priority: 0 };
        let mut local = shown.keyed_routes_to(RouteKey::V6(key));
        match !up || shown.follows_table(TABLE_LOCAL) && local.next().is_none() {
            false => Gone::ByItself,
            // Its local route is not made yet (`addrconf_dad_completed` makes it, also where nothing is checked, from a
            // work queue).
            true if address.is_tentative() => Gone::Unknown,
            true => Gone::WithInet6,
        }
    }

    /// An address has gone that routes may prefer as their source: of IPv4 they go (K6), of IPv6 they stay without it.
    fn follow_source(&mut self, source: IpAddr) {
        if self.shown.addresses().any(|own| own.local() == source) {
            return;
        }
        match source.is_ipv4() {
            true => self.shown.routes.evict_source(&self.bodies, source),
            false => {
                let change = |body: &Body| without_source(body, source);
                self.shown.routes.alter(&mut self.bodies, change);
            }
        }
    }

    /// A port has left: its master, and the ports that it was the backup of.
    fn ask_bridge(&mut self, port: u32, master: Option<u32>) {
        let Some(master) = master else { return };
        let backed = |link: &&Link| {
            link.bridge_port().and_then(|options| options.backup_port()) == Some(port)
        };
        let backed: Vec<_> = self.shown.ports_of(master).filter(backed).map(Link::index).collect();
        backed.into_iter().chain([master]).for_each(|index| self.ask(Query::Link(index)));
    }

    /// A veth that comes back from another namespace: the end that has stayed is not announced, and still says
    /// that its other end is elsewhere (K32).
    fn ask_other_end(&mut self, index: u32) {
        let other = self.shown.link_by_index(index).and_then(Link::link).unwrap_or(0);
        let is_elsewhere =
            |other: &Link| other.link() == Some(index) && other.link_netnsid().is_some();
        if self.shown.link_by_index(other).is_some_and(is_elsewhere) {
            self.ask(Query::Link(other));
        }
    }

    /// A question that is still to be sent will be answered with all that has happened until then.
    fn ask(&mut self, query: Query) {
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

    fn is_answer(&self, message: &Message<'_>) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.seq == message.seq && message.seq & OWN != 0)
    }

    fn handle_answer_part(&mut self, event: Event) {
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
    fn answer(&mut self, message: &Message<'_>) {
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
        if matches!(asked.query, Query::Link(_)) {
            return;
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

    /// All that was announced while everything was dumped has been heard.
    fn heard_all(&mut self) {
        if let Some(again) = self.holes.repeat() {
            self.losses.interrupted += 1;
            // A new socket: the last dump may have been left before its end (K13).
            return self.start_dump(again, DUMP_TRIES, Outlet::FreshDump);
        }
        if self.holes.is_beside_an_edge(&self.backlog) && self.unsure < DUMP_TRIES {
            self.unsure += 1;
            return self.resync();
        }
        self.go_live();
    }

    fn go_live(&mut self) {
        let mut next = std::mem::take(&mut self.rebuilt);
        next.revision = self.shown.revision;
        next.routes.followed = self.views.routes;
        next.routes.view = self.view.clone();
        next.rules.followed = self.views.rules;
        next.nexthops.followed = self.views.nexthops;
        next.neighbours.followed = self.views.neighbours;
        self.shown = next;
        self.phase = Phase::Live;
        self.dirty = true;
        drop(self.turns.take());
        // What came before the dump may be older than it: of a new link the incomplete first notification (K34), of
        // any the fields that change in silence. So these links are asked for.
        let mut replayed = BTreeSet::new();
        let mut families = BTreeSet::new();
        let backlog = std::mem::take(&mut self.backlog);
        let mut coming = Coming::of(&backlog);
        for event in backlog {
            match &event {
                Event::Link(index, LinkEvent::Is(_)) => drop(replayed.insert(*index)),
                // A rule that is there already may be this one, or another one like it (K37).
                Event::RuleNew(rule) => {
                    families.insert(rule.family());
                    if self.shown.rules.has(rule) {
                        continue;
                    }
                }
                Event::RuleGone(rule) => drop(families.insert(rule.family())),
                _ => {}
            }
            let is_sure = self.replay(event, &mut coming) || self.unsure >= DUMP_TRIES;
            if !is_sure {
                self.unsure += 1;
                self.resync();
            }
            if !self.is_live() {
                return;
            }
        }
        self.unsure = 0;
        families.into_iter().for_each(|family| self.ask(Query::Rules(family)));
        replayed.into_iter().for_each(|index| self.ask(Query::Link(index)));
        self.held.push((self.sent_at_drain, 0));
    }

    /// Applies an event that came while everything was read. The dump may know already what it says, so that nothing
    /// is seen to change; what was announced before it and went with it in silence (K4, K5, K27) goes all the same.
    /// Whether it is sure what went.
    fn replay(&mut self, event: Event, coming: &mut Coming) -> bool {
        let index = event.index();
        coming.passes(&event);
        self.note_fresh(&event, coming);
        let (mut says_down, mut is_sure) = (false, true);
        if let Event::Link(_, LinkEvent::Is(link)) = &event {
            says_down = !LinkFlags(link.number(link_row::FLAGS) as u32).contains(LinkFlags::UP);
            let is_first = coming.told.insert(index);
            is_sure = !(says_down && is_first) || self.is_sure_of_down(index, coming);
            is_sure &= !self.takes_routes_along(index, link.number(link_row::MTU) as u32);
        }
        let loses_v4 = matches!(&event, Event::AddressGone(address) if address.local().is_ipv4());
        self.apply(event);
        if says_down {
            self.was_down(index, coming);
            self.ask(Query::Addresses(index));
        }
        if !loses_v4 {
            return is_sure;
        }
        let of_v4 =
            self.shown.placed_of(index).map(|(key, _)| key).filter(|key| key.local.is_ipv4());
        let left: Vec<_> = of_v4.collect();
        if left.is_empty() {
            self.follow_routes(Doubt::Unaddressed, index);
            return true;
        }
        // Those that are left may all have come later: then this was the last, and took the routes along.
        let may_be_later =
            |key: &&AddressKey| coming.addresses.get(*key).is_some_and(|count| *count > 0);
        let goes = |body: &Body| body.is_v4() && !body.is_host() && !body.outlives_addresses();
        let is_route = |body: &Body| goes(body) && body.is_over(index);
        !(left.iter().all(may_be_later) && self.bodies.any(is_route))
    }

    /// Whether IPv6 routes would follow the interface to this mtu. What is replayed says what it was at that moment, and not
    /// what it had been before: whether the routes of the dump have followed it already only another look can tell.
    fn takes_routes_along(&self, index: u32, mtu: u32) -> bool {
        let was = self.shown.link_by_index(index).map(Link::mtu).filter(|was| *was != mtu);
        let follows =
            |was| self.bodies.any(|body| with_link_mtu(body, index, (was, mtu)).is_some());
        self.views.routes && was.is_some_and(follows)
    }

    /// A replayed route of IPv6 that the dump did not have.
    fn note_fresh(&self, event: &Event, coming: &mut Coming) {
        if let Event::Route { key: key @ RouteKey::V6(_), held, gone: false, .. } = event {
            if !self.shown.routes_at(key).iter().any(|own| is_same(own, held)) {
                coming.fresh.push((*key, held.clone()));
            }
        }
    }

    /// The first that is heard of an interface is that it is down, while the dump says that it is up. It went down then,
    /// or it had been down all along and was changed otherwise. The kernel took its IPv6 routes if it went down; if not,
    /// those of addresses that were given to it while it was down are still there. Sure it is where each of these is
    /// announced to go, as the kernel does unless `skip_notify_on_dev_down` is set, or where there is none.
    fn is_sure_of_down(&self, index: u32, coming: &Coming) -> bool {
        let over = |body: &Body| !body.is_v4() && goes_down(&self.shown, body, index);
        let is_up = self.shown.link_by_index(index).is_some_and(Link::is_up);
        if !is_up || !self.views.routes || !self.bodies.any(over) {
            return true;
        }
        let stays = |key: &RouteKey, held: &Arc<Held>| {
            held.body().is_some_and(over) && !coming.gone.contains(key)
        };
        let mut all = self.shown.all_keyed_routes();
        !all.any(|(key, all)| all.iter().any(|held| stays(&key, held)))
    }

    /// This interface was down at that moment, and the dump is younger. What it has of IPv6 over the interface is there:
    /// while it is down, it can be given addresses, and each has its route. What was announced before that moment and
    /// is not in the dump has gone in silence.
    fn was_down(&mut self, index: u32, coming: &mut Coming) {
        let shown = &self.shown;
        let dies = |body: &Body| goes_down(shown, body, index);
        let is_gone = |held: &Arc<Held>| held.body().is_some_and(dies);
        let (gone, fresh) =
            std::mem::take(&mut coming.fresh).into_iter().partition(|(_, h)| is_gone(h));
        coming.fresh = fresh;
        let mut routes = shown.routes.clone();
        if routes.evict(&self.bodies, |body| body.is_v4() && dies(body)) {
            self.shown.routes = routes;
        }
        for (key, held) in gone {
            if !self.shown.routes.take(key, &held, &mut self.bodies) {
                self.ask_legs(key);
            }
        }
    }

    /// The next request to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.asked.is_none() && self.is_live() {
            self.send_query();
        }
        self.out.pop_front()
    }

    fn send_query(&mut self) {
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
            Query::Fdb(index) => {
                let kind = self.shown.link_by_index(index).and_then(Link::kind);
                kind == Some("bridge")
            }
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

    /// The last state that holds, also after a loss.
    pub fn last(&mut self) -> Snapshot {
        self.mark_rules();
        self.shown.revision += u64::from(std::mem::take(&mut self.dirty));
        self.shown.clone()
    }

    /// The state to be shown now, when there is a new one or a fence has been passed.
    pub fn poll_update(&mut self) -> Option<Update> {
        if !self.is_live() {
            return None;
        }
        let before = self.passed;
        let answered = self.answered_total;
        let ready = self.held.iter().filter(|(_, asked)| *asked <= answered);
        self.passed = ready.fold(
            before,
            |passed, (fence, _)| if is_later(*fence, passed) { *fence } else { passed },
        );
        self.held.retain(|(_, asked)| *asked > answered);
        if !self.dirty && self.passed == before {
            return None;
        }
        let created = std::mem::take(&mut self.created);
        let snapshot = self.last();
        Some(Update { snapshot, passed: self.passed, created, silence: self.turns.take() })
    }
}

/// Why an address goes.
#[derive(Clone, Copy)]
enum Gone {
    /// Alone: no route may prefer it as its source any more.
    ByItself,
    /// Its interface goes down or has no IPv6 any more: then other interfaces' routes keep preferring it
    /// (`addrconf_ifdown`, which does not ask them).
    WithInet6,
    /// One or the other.
    Unknown,
}

/// What is known while events are replayed of those that follow.
struct Coming {
    /// The addresses that are still to be announced, and how often.
    addresses: BTreeMap<AddressKey, u32>,
    /// IPv6 routes that are announced to go.
    gone: BTreeSet<RouteKey>,
    /// Interfaces of which something has been replayed.
    told: BTreeSet<u32>,
    /// IPv6 routes that were replayed, and that the dump did not have.
    fresh: Vec<(RouteKey, Arc<Held>)>,
}

impl Coming {
    fn of(events: &[Event]) -> Self {
        let (mut addresses, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for event in events {
            match event {
                Event::AddressNew(address) => AddressKey::of(address)
                    .into_iter()
                    .for_each(|key| *addresses.entry(key).or_insert(0) += 1),
                Event::Route { key: key @ RouteKey::V6(_), gone: true, .. } => {
                    gone.insert(*key);
                }
                _ => {}
            }
        }
        Coming { addresses, gone, told: BTreeSet::new(), fresh: Vec::new() }
    }

    fn passes(&mut self, event: &Event) {
        if let Event::AddressNew(address) = event {
            let count = AddressKey::of(address).and_then(|key| self.addresses.get_mut(&key));
            count.into_iter().for_each(|count| *count -= 1);
        }
    }
}

/// Whether no other interface that this route leads over is up.
fn others_dead(shown: &Snapshot, body: &Body, index: u32) -> bool {
    let up = |index: u32| shown.link_by_index(index).is_some_and(Link::is_up);
    body.links().iter().all(|leg| *leg == index || !up(*leg))
}

/// Whether a route goes when this interface goes down. MPLS routes stay, dead, until it is gone (`mpls_ifdown`).
fn goes_down(shown: &Snapshot, body: &Body, index: u32) -> bool {
    body.is_over(index) && !body.is_host() && !body.is_mpls() && others_dead(shown, body, index)
}

impl Follower {
    /// Which interfaces and rules are there has changed: rules that name them are marked anew, once for a whole batch.
    fn mark_rules(&mut self) {
        if std::mem::take(&mut self.unmarked) && !self.shown.rules.map.is_empty() {
            self.silently(|follower| {
                let mut rules = std::mem::take(&mut follower.shown.rules);
                rules.mark(|name| follower.shown.link_by_name(name).is_some());
                follower.shown.rules = rules;
            });
        }
    }
}

/// Whether a datagram of the event socket is a route's, whose going or coming takes nothing else along.
pub fn is_brief(datagram: &[u8]) -> bool {
    matches!(u16_at(datagram, 4), Some(kind::RTM_NEWROUTE | kind::RTM_DELROUTE))
}

/// Whether fence `a` is newer than fence `b`; numbers have 31 bits and wrap.
pub fn is_later(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b) & !OWN;
    ahead != 0 && ahead < OWN / 2
}

/// The number of the fence after `fence`.
pub fn next_fence(fence: u32) -> u32 {
    fence.wrapping_add(1) & !OWN
}

/// Whether what a dump shows under an index is the link that was there before a loss. The kernel does not
/// say; the kind must be the same, and the name or the hardware address.
fn is_same_link(old: &Link, new: &Record) -> bool {
    let same = |id| old.record().value(id) == new.value(id);
    same(link_row::KIND) && (same(link_row::NAME) || same(link_row::ADDRESS))
}

/// The request whose answer is a fence: it queues behind every notification so far.
pub fn fence_request(seq: u32) -> Vec<u8> {
    let mut bytes = Builder::new(kind::NLMSG_NOOP, flags::REQUEST | flags::ACK).finish();
    Builder::stamp(&mut bytes, seq);
    bytes
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

/// Whether it is a bridge of a kernel that has VLANs for bridges: only that one tells of the default.
fn has_vlans(link: &Link) -> bool {
    link.bridge().is_some_and(|bridge| bridge.vlan_default_pvid().is_some())
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

/// The routes of a family and a table; of all where it is 0. A kernel that does not know strict checks dumps all (K42).
fn routes_request(family: u8, table: u32) -> Vec<u8> {
    let (kind, mut fixed) = Dump::Routes(0).request();
    fixed[0] = family;
    let mut request = Builder::new(kind, flags::REQUEST | flags::DUMP).fixed(&fixed);
    if table != 0 {
        const RTA_TABLE: u16 = 15;
        let mut number = Vec::new();
        put_ne_u32(&mut number, table);
        request.attribute(RTA_TABLE, &number);
    }
    request.finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::AddressFlags;
    use crate::object::route::{hop_row, row};
    use crate::object::rule::row as rule_row;
    use crate::wire::put_ne_u32;
    use std::slice;

    /// A message of the kernel's own, or an answer to `seq`.
    fn message(kind: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Builder::new(kind, 0).fixed(payload).finish();
        Builder::stamp(&mut bytes, seq);
        bytes
    }

    fn ack(errno: i32, seq: u32, request: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        put_ne_u32(&mut payload, errno.wrapping_neg() as u32);
        payload.extend(&request[..16]);
        message(kind::NLMSG_ERROR, seq, &payload)
    }

    fn link(index: u32, up: bool, below: u32) -> Vec<u8> {
        link_with(index, up, below, |_| ())
    }

    fn link_with(index: u32, up: bool, below: u32, more: impl Fn(&mut Record)) -> Vec<u8> {
        let mut record = Record::new(&LINK);
        record.set(link_row::INDEX, Value::Number(index.into()));
        record.set(link_row::FLAGS, Value::Number(up.into()));
        record.set(link_row::NAME, format!("if{index}").as_str().into());
        record.set(link_row::LINK, Value::Number(below.into()));
        more(&mut record);
        let mut builder = Builder::new(kind::RTM_NEWLINK, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    fn address(index: u32) -> Vec<u8> {
        let mut record = Record::new(&ADDRESS);
        record.set(address_row::FAMILY, Value::Number(10));
        record.set(address_row::INDEX, Value::Number(index.into()));
        record.set(address_row::ADDRESS, Value::V6(std::net::Ipv6Addr::LOCALHOST));
        let mut builder = Builder::new(kind::RTM_NEWADDR, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    /// A follower that has dumped nothing and is live.
    fn live() -> Follower {
        let mut follower = Follower::new(Views { addresses: true, routes: true, ..Views::NONE });
        follower.handle_drained(0);
        while let Some(transmit) = follower.poll_transmit() {
            let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
            match transmit.outlet {
                Outlet::Event => follower.handle_event(&ack(0, sent.seq, &transmit.bytes)),
                _ => follower.handle_dump(&message(kind::NLMSG_DONE, sent.seq, &[0; 4])),
            }
        }
        assert!(follower.is_live());
        follower
    }

    /// The next question on the event socket: its message.
    fn question(follower: &mut Follower) -> Option<Vec<u8>> {
        follower.poll_transmit().map(|transmit| transmit.bytes)
    }

    fn answer(follower: &mut Follower, errno: i32) {
        let question = question(follower).expect("a question");
        let seq = Messages::new(&question).next().unwrap().unwrap().seq;
        follower.handle_event(&ack(errno, seq, &question));
    }

    /// Kept IPv6 addresses are asked for when a link goes down. It was gone when the question came, and everything
    /// was read anew for it.
    #[test]
    fn a_link_that_is_gone_when_it_is_asked_for_is_no_reason_to_read_everything() {
        let mut follower = live();
        follower.handle_event(&link(7, true, 0));
        answer(&mut follower, libc::ENODEV);
        follower.handle_event(&address(7));
        follower.handle_event(&link(7, false, 0));
        answer(&mut follower, libc::ENODEV);
        assert!(follower.is_live());
        assert_eq!(question(&mut follower), None);
        assert_eq!(follower.losses().resyncs, 1);
    }

    fn route(oif: u32) -> Vec<u8> {
        let mut record = Record::new(&ROUTE);
        let numbers = [(row::FAMILY, 2), (row::DST_LEN, 8), (row::TABLE, 254), (row::TYPE, 1)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        record.set(row::OIF, Value::Number(oif.into()));
        record.set(row::DST, Value::V4([10, 0, 0, 0].into()));
        let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    fn address4(kind: u16, index: u32, last: u8) -> Vec<u8> {
        let mut record = Record::new(&ADDRESS);
        record.set(address_row::FAMILY, Value::Number(2));
        record.set(address_row::INDEX, Value::Number(index.into()));
        record.set(address_row::PREFIX_LENGTH, Value::Number(32));
        record.set(address_row::LOCAL, Value::V4([10, 0, 0, last].into()));
        let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    /// The state after everything was read anew: `events` came while it was, and the dumps say what was so after them.
    fn read_anew(events: &[Vec<u8>], dumps: &[Vec<u8>]) -> Snapshot {
        let mut follower = live();
        follower.resync();
        follower.handle_drained(0);
        events.iter().for_each(|event| follower.handle_event(event));
        while let Some(transmit) = follower.poll_transmit() {
            let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
            if transmit.outlet == Outlet::Event {
                follower.handle_event(&ack(0, sent.seq, &transmit.bytes));
                continue;
            }
            for dump in dumps.iter().filter(|dump| dump[4] == (sent.kind - 2) as u8) {
                let mut dump = dump.clone();
                Builder::stamp(&mut dump, sent.seq);
                follower.handle_dump(&dump);
            }
            follower.handle_dump(&message(kind::NLMSG_DONE, sent.seq, &[0; 4]));
        }
        if follower.is_draining() {
            return read_anew(&[], dumps);
        }
        assert!(follower.is_live());
        follower.poll_update().unwrap().snapshot
    }

    /// While everything was read anew a route was made, and its interface went down, or lost its last address: the
    /// kernel took the route away without a word (K4, K5). The dump knew all of that, so the replay saw no change of
    /// the interface, and the announcement of the route stood.
    #[test]
    fn routes_that_went_in_silence_while_everything_was_read_anew() {
        let (up, down) = (link(7, true, 0), link(7, false, 0));
        let now = read_anew(&[route(7), down.clone()], &[down]);
        assert_eq!(now.routes().all().len(), 0);
        let now =
            read_anew(&[route(7), address4(kind::RTM_DELADDR, 7, 1)], std::slice::from_ref(&up));
        assert_eq!(now.routes().all().len(), 0);
        // Another address came after that, which only another look can tell from one that was there.
        let (last, next) = (address4(kind::RTM_DELADDR, 7, 1), address4(kind::RTM_NEWADDR, 7, 2));
        let now = read_anew(&[route(7), last, next.clone()], &[up.clone(), next]);
        assert_eq!(now.routes().all().len(), 0);
        // What was made after that stays.
        let last = address4(kind::RTM_DELADDR, 7, 1);
        let now = read_anew(&[link(7, false, 0), up.clone(), last, route(7)], &[up, route(7)]);
        assert_eq!(now.routes().all().len(), 1);
    }

    fn route6(kind: u16, oif: u32) -> Vec<u8> {
        let mut record = Record::new(&ROUTE);
        let numbers = [(row::FAMILY, 10), (row::DST_LEN, 128), (row::TABLE, 255), (row::TYPE, 2)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        record.set(row::OIF, Value::Number(oif.into()));
        record.set(row::DST, Value::V6(Ipv6Addr::from_bits(0xfd << 120 | 1)));
        let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    /// Deleted before the kernel had made its local route, an address was taken for one that goes with its interface: other
    /// interfaces' routes kept it as their source in the snapshot.
    #[test]
    fn why_an_address_goes_that_is_still_checked_is_left_to_the_kernel() {
        let own = Ipv6Addr::from_bits(0xfd << 120 | 5);
        let address = |kind: u16, flags: u64| {
            let mut record = Record::new(&ADDRESS);
            record.set(address_row::FAMILY, Value::Number(10));
            record.set(address_row::INDEX, Value::Number(7));
            record.set(address_row::FLAGS, Value::Number(flags));
            record.set(address_row::ADDRESS, Value::V6(own));
            let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
            record.encode(&mut builder);
            builder.finish()
        };
        let mut record = Record::new(&ROUTE);
        let numbers = [(row::FAMILY, 10), (row::TABLE, 254), (row::TYPE, 1), (row::OIF, 8)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        record.set(row::PREFSRC, Value::V6(own));
        let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        let route = builder.finish();
        for (flags, is_live) in
            [(AddressFlags::TENTATIVE.0, false), (AddressFlags::PERMANENT.0, true)]
        {
            let mut follower = live();
            let new = address(kind::RTM_NEWADDR, flags.into());
            let gone = address(kind::RTM_DELADDR, flags.into());
            for event in [link(7, true, 0), link(8, true, 0), new, route.clone(), gone] {
                assert!(follower.is_live());
                follower.handle_event(&event);
            }
            assert_eq!(follower.is_live(), is_live, "{flags:#x}");
        }
    }

    /// An interface that is down can be given IPv6 addresses, and has their routes. It was changed while everything was
    /// read anew, which says again that it is down, and its routes were taken for gone.
    #[test]
    fn routes_of_an_interface_that_is_down_stay_when_it_is_announced_again() {
        let (up, down) = (link(7, true, 0), link(7, false, 0));
        let (comes, goes) = (route6(kind::RTM_NEWROUTE, 7), route6(kind::RTM_DELROUTE, 7));
        let count =
            |events: &[Vec<u8>], dumps: &[Vec<u8>]| read_anew(events, dumps).routes().all().len();
        assert_eq!(count(slice::from_ref(&down), &[down.clone(), comes.clone()]), 1);
        // Up since: whether it had been up before, only another look can tell.
        let since = [down.clone(), up.clone()];
        assert_eq!(count(&since, &[up.clone(), comes.clone()]), 1);
        // Announced, and gone in silence before the dump.
        assert_eq!(count(&[comes.clone(), down.clone()], slice::from_ref(&down)), 0);
        // Gone since, in silence or not.
        let since = [up.clone(), down.clone()];
        assert_eq!(count(&since, &[up.clone(), comes.clone()]), 0);
        assert_eq!(count(&[down, goes], &[up, comes]), 0);
    }

    fn rule(kind: u16, seq: u32) -> Vec<u8> {
        let mut record = Record::new(&RULE);
        let numbers = [(rule_row::FAMILY, 2), (rule_row::PRIORITY, 100), (rule_row::ACTION, 1)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        let mut bytes = builder.finish();
        Builder::stamp(&mut bytes, seq);
        bytes
    }

    /// A kernel before 5.3 knows no nexthop objects, one without IPv6 no rules of it; neither is a reason not to follow
    /// the rest.
    #[test]
    fn what_the_kernel_does_not_have_is_nothing_to_follow() {
        let mut follower = Follower::new(Views::ALL);
        follower.handle_drained(0);
        let mut refused = 0;
        while let Some(transmit) = follower.poll_transmit() {
            let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
            let errno = match (sent.kind, sent.payload.first()) {
                (kind::RTM_GETNEXTHOP, _) => libc::EOPNOTSUPP,
                (kind::RTM_GETRULE, Some(&AF_INET6)) => libc::EAFNOSUPPORT,
                _ => 0,
            };
            refused += u32::from(errno != 0);
            let answer = ack(errno, sent.seq, &transmit.bytes);
            match transmit.outlet {
                Outlet::Event => follower.handle_event(&answer),
                _ => follower.handle_dump(&answer),
            }
        }
        assert_eq!(refused, 2);
        assert!(follower.is_live() && follower.failure().is_none());
    }

    /// A kernel without MPLS answers the question for its routes with those of all families, a million of IPv4 again:
    /// they are not waited for.
    #[test]
    fn an_answer_with_routes_of_other_families_says_that_there_is_no_mpls() {
        let mut follower = Follower::new(Views::ALL);
        follower.handle_drained(0);
        let (mut asked, mut strayed) = (Vec::new(), false);
        while let Some(transmit) = follower.poll_transmit() {
            let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
            if transmit.outlet == Outlet::Event {
                follower.handle_event(&ack(0, sent.seq, &transmit.bytes));
                continue;
            }
            asked.push((sent.kind, sent.payload[0], transmit.outlet));
            let mut answer = message(kind::NLMSG_DONE, sent.seq, &[0; 4]);
            let family = sent.payload[0];
            if sent.kind == kind::RTM_GETROUTE && family != AF_INET6 {
                let mut one = route(7);
                Builder::stamp(&mut one, sent.seq);
                strayed |= family == AF_MPLS;
                // Of what is not asked for no end comes.
                answer = if family == AF_MPLS { one } else { [one, answer].concat() };
            }
            follower.handle_dump(&answer);
        }
        assert!(strayed && follower.is_live());
        let behind = asked.iter().position(|(_, family, _)| *family == AF_MPLS).unwrap() + 1;
        // Its socket is busy.
        assert_eq!(asked[behind], (kind::RTM_GETRULE, AF_INET, Outlet::FreshDump));
        let now = follower.poll_update().unwrap().snapshot;
        assert_eq!((now.routes().len(), now.routes().mpls().len()), (1, 0));
    }

    fn label(legs: &[u32]) -> Vec<u8> {
        let mut record = Record::new(&ROUTE);
        let numbers = [(row::FAMILY, 28), (row::DST_LEN, 20), (row::TABLE, 254), (row::TYPE, 1)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        record.set(row::DST, Value::V4((100 << 12 | 1 << 8).into()));
        let leg = |oif: &u32| {
            let mut leg = Record::new(&crate::object::HOP);
            let numbers = [(hop_row::OIF, *oif), (hop_row::HOPS, 0), (hop_row::FLAGS, 0)];
            numbers.into_iter().for_each(|(id, number)| leg.set(id, Value::Number(number.into())));
            leg
        };
        record.set(row::MULTIPATH, Value::Records(legs.iter().map(leg).collect()));
        let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    }

    /// Before Linux 5.13 nobody says that a label has lost a leg; a later kernel says it before it says that the
    /// interface is gone, and both must come to the same.
    #[test]
    fn a_label_loses_its_legs_with_their_interfaces() {
        let legs = |follower: &mut Follower| -> Option<Vec<u32>> {
            let now = follower.last();
            Some(now.routes().mpls().label(100)?.hops().filter_map(|hop| hop.oif()).collect())
        };
        for announced in [false, true] {
            let mut follower = live();
            for index in [7, 8] {
                follower.handle_event(&link(index, true, 0));
                answer(&mut follower, libc::ENODEV);
            }
            follower.handle_event(&label(&[7, 8]));
            follower.handle_event(&link(7, false, 0));
            assert_eq!(legs(&mut follower), Some(vec![7, 8]));
            if announced {
                follower.handle_event(&label(&[8]));
            }
            let mut gone = link(7, false, 0);
            gone[4] = kind::RTM_DELLINK as u8;
            follower.handle_event(&gone);
            assert_eq!(legs(&mut follower), Some(vec![8]));
            let known = follower.last();
            follower.handle_event(&label(&[8]));
            assert!(known.diff(&follower.last()).is_empty());
            let mut gone = link(8, true, 0);
            gone[4] = kind::RTM_DELLINK as u8;
            follower.handle_event(&gone);
            assert_eq!(legs(&mut follower), None);
        }
    }

    /// Of rules that are alike, an announcement that came during the dump may be of one that the dump had, or of
    /// another one (K37): only the kernel knows.
    #[test]
    fn rules_announced_while_they_were_read_are_counted_by_the_kernel() {
        for count in 1..=2 {
            let mut follower = Follower::new(Views { rules: true, ..Views::NONE });
            follower.handle_drained(0);
            follower.handle_event(&rule(kind::RTM_NEWRULE, 0));
            let mut asked = 0;
            while let Some(transmit) = follower.poll_transmit() {
                let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
                let is_mine = sent.kind == kind::RTM_GETRULE && sent.payload[0] == AF_INET;
                let answers = match (transmit.outlet, is_mine) {
                    (Outlet::Event, true) => count,
                    (_, mine) => usize::from(mine),
                };
                let rules: Vec<u8> =
                    (0..answers).flat_map(|_| rule(kind::RTM_NEWRULE, sent.seq)).collect();
                let end = ack(0, sent.seq, &transmit.bytes);
                match transmit.outlet {
                    Outlet::Event => {
                        asked += usize::from(is_mine);
                        follower.handle_event(&rules);
                        // Meanwhile one is deleted and made again: the answer may be older, and is asked for anew.
                        if asked == 1 && is_mine {
                            follower.handle_event(&rule(kind::RTM_DELRULE, 0));
                            follower.handle_event(&rule(kind::RTM_NEWRULE, 0));
                        }
                        follower.handle_event(&end);
                    }
                    _ => {
                        follower.handle_dump(&rules);
                        follower.handle_dump(&end);
                    }
                }
            }
            assert_eq!(asked, 2);
            assert_eq!(follower.poll_update().unwrap().snapshot.rules().len(), count);
        }
    }

    /// The end of a veth that stays is told neither that the other one has left nor that it is back (K32): it said
    /// for ever that its other end was elsewhere.
    #[test]
    fn an_end_of_a_veth_that_comes_back_makes_the_other_one_be_asked_for() {
        let mut follower = live();
        let elsewhere = |record: &mut Record| record.set(link_row::LINK_NETNSID, Value::Signed(0));
        follower.handle_event(&link_with(7, true, 8, elsewhere));
        answer(&mut follower, 0);
        assert_eq!(question(&mut follower), None);
        follower.handle_event(&link(8, true, 7));
        answer(&mut follower, 0);
        let bytes = question(&mut follower).expect("a question");
        let asked = Messages::new(&bytes).next().unwrap().unwrap();
        let asked = Record::decode(&LINK, asked.payload).unwrap();
        assert_eq!(asked.number(link_row::INDEX), 7);
    }
}
