//! Reading everything: which dumps there are, in which order they are asked for, and what is made of their answers.
//!
//! Also when the kernel says that a dump is not of one moment, and when it has none of something. Not here: what was
//! announced meanwhile (`replay`), and what a dump of a table passes over that changes meanwhile (`state::holes`).

use super::{
    AF_BRIDGE, AF_INET, AF_INET6, Follower, Outlet, Phase, Transmit, Views, fence_request,
    has_vlans,
};
use crate::object::address::ADDRESS;
use crate::object::link::{LINK, row as link_row};
use crate::object::route::{ROUTE, split};
use crate::object::{Link, NEIGHBOUR, NEXTHOP, NeighbourFlags, RULE, Record, bridge_vlan};
use crate::state::event::decode;
use crate::state::holes::{Holes, Sort};
use crate::state::routes::Load;
use crate::state::view::{AF_MPLS, Judged, RouteView};
use crate::state::{Event, LinkEvent, Snapshot};
use crate::wire::{Ack, Builder, Message, Messages, flags, kind, put_ne_u32};

/// How often a dump that the kernel marks as inconsistent is repeated before the replay must do.
pub(super) const DUMP_TRIES: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dump {
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
    pub(super) fn request(self) -> (u16, Vec<u8>) {
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

impl Follower {
    /// What was dumped was lost on its way.
    pub fn handle_dump_loss(&mut self) {
        if matches!(self.phase, Phase::Dumping { .. }) {
            self.forget_dump();
            self.start_dump(Dump::Links, 0, Outlet::FreshDump);
        }
    }

    pub(super) fn forget_dump(&mut self) {
        self.rebuilt = Snapshot::default();
        self.load = Load::default();
        self.holes = Holes::default();
        self.mixed.clear();
        self.last = None;
    }

    pub(super) fn start_dump(&mut self, what: Dump, tries: u32, outlet: Outlet) {
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
}

/// Whether what a dump shows under an index is the link that was there before a loss. The kernel does not
/// say; the kind must be the same, and the name or the hardware address.
fn is_same_link(old: &Link, new: &Record) -> bool {
    let same = |id| old.record().value(id) == new.value(id);
    same(link_row::KIND) && (same(link_row::NAME) || same(link_row::ADDRESS))
}

/// The routes of a family and a table; of all where it is 0. A kernel that does not know strict checks dumps all (K42).
pub(super) fn routes_request(family: u8, table: u32) -> Vec<u8> {
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
