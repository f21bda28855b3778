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
//! A module each has what reads everything (`dump`), what came meanwhile (`replay`), what one event changes (`change`) and
//! what is asked for (`ask`); here is what they share: which of them has its turn, what comes in and what goes out.
//!
//! Not here: when to poll, which socket is which, who waits. A state is shown only while nothing is lost.

mod ask;
mod change;
mod dump;
mod replay;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

pub use ask::Ask;
use ask::{Asked, Query};
use dump::Dump;

use crate::object::Link;
use crate::object::route::{RouteKey, RouteKey6};
use crate::state::event::decode;
use crate::state::holes::{Holes, Sort};
use crate::state::routes::{Bodies, Load};
use crate::state::silence::{Silence, Turns};
use crate::state::view::RouteView;
use crate::state::{Event, LinkEvent, Snapshot};
use crate::wire::{Ack, Builder, Message, Messages, flags, kind, u16_at};

/// IPv6 has nothing on an interface whose packets are smaller.
const IPV6_MIN_MTU: u32 = 1280;

const AF_INET: u8 = 2;

const AF_INET6: u8 = 10;

const AF_BRIDGE: u8 = 7;

/// Our own sequence numbers on the event and dump sockets; those of committers have this bit clear.
const OWN: u32 = 0x8000_0000;

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

    /// The next request to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.asked.is_none() && self.is_live() {
            self.send_query();
        }
        self.out.pop_front()
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

/// The request whose answer is a fence: it queues behind every notification so far.
pub fn fence_request(seq: u32) -> Vec<u8> {
    let mut bytes = Builder::new(kind::NLMSG_NOOP, flags::REQUEST | flags::ACK).finish();
    Builder::stamp(&mut bytes, seq);
    bytes
}

/// Whether it is a bridge of a kernel that has VLANs for bridges: only that one tells of the default.
fn has_vlans(link: &Link) -> bool {
    link.bridge().is_some_and(|bridge| bridge.vlan_default_pvid().is_some())
}

#[cfg(test)]
mod tests;
