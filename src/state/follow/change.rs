//! Following proper: what one event changes, and what the kernel changes with it without a word (K4 to K8).
//!
//! What can be worked out goes in the same state as the event; what only the kernel knows is asked for (`ask`), or read
//! anew with everything else. Not here: events that came while everything was read (`replay`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::ask::Query;
use super::{AF_INET6, Follower, IPV6_MIN_MTU};
use crate::object::kinds::gets_mtu_of_lower;
use crate::object::route::{RouteKey, RouteKey6, RouteProtocol, TABLE_LOCAL, split};
use crate::object::{Address, AddressFlags, Link, LinkFlags};
use crate::state::altered::{with_link_mtu, without_source};
use crate::state::apply::Doubt;
use crate::state::holes::Sort;
use crate::state::routes::{Body, Held};
use crate::state::view::Judged;
use crate::state::{Event, LinkEvent, NeighbourKey, NeighbourTarget, Snapshot};
use crate::wire::{Message, flags, kind};

impl Follower {
    /// Key and body of a route; `None` for what is no route of a table.
    fn route(&mut self, message: &Message<'_>) -> Option<(RouteKey, Arc<Held>)> {
        let key = split(message.payload, &mut self.scratch)?;
        Some((key, self.bodies.intern(key.family(), &self.scratch)))
    }

    pub(super) fn route_message(&mut self, message: &Message<'_>) {
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
    pub(super) fn follow_routes(&mut self, doubt: Doubt, index: u32) {
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

    pub(super) fn apply(&mut self, event: Event) {
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
                let doubt = self.shown.apply(event, self.stamp);
                self.settle(index, doubt);
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
        let addressed = matches!(&event, Event::AddressNew(address) if address.local().is_ipv4());
        let going = match &event {
            Event::AddressGone(address) => Some((self.why_gone(address), address.local())),
            _ => None,
        };
        let before = self.shown.shared_link(index);
        let own_entry = self.shown.own_entry(index);
        if matches!(event, Event::Link(_, LinkEvent::Gone { .. })) {
            self.silently(|follower| follower.shown.remove_what_is_on(index));
        }
        let doubt = self.shown.apply(event, self.stamp);
        let after = self.shown.shared_link(index);
        if let Some((why, source)) = going {
            self.lose_source(why, source);
        }
        if let (Some(before), Some(after)) = (&before, &after) {
            self.follow_mtu(index, before.mtu(), after.mtu());
            if before.mtu() != after.mtu() {
                self.rings_over(index).into_iter().for_each(|ring| self.ask(Query::Link(ring)));
                self.ask_narrowed(index);
            }
        }
        let is_up = |link: &Option<Arc<Link>>| link.as_ref().is_some_and(|link| link.is_up());
        if addressed || !is_up(&before) && is_up(&after) {
            self.unaddressed.remove(&index);
        }
        self.unmarked |=
            before.as_ref().map(|link| link.name()) != after.as_ref().map(|link| link.name());
        self.follow_routes(doubt, index);
        if is_link {
            self.follow_nexthops(index);
        }
        if has_tunnels(&before) && !has_tunnels(&after) {
            self.silently(|follower| follower.shown.forget_tunnels(index));
        }
        if own_entry != self.shown.own_entry(index) {
            self.ask_heirs(index, own_entry);
        }
        self.settle(index, doubt);
    }

    /// What the kernel may have changed besides: at once where it is known, asked for where it is not.
    fn settle(&mut self, index: u32, doubt: Doubt) {
        match doubt {
            Doubt::None => {}
            // `fib_disable_ip`
            Doubt::Unaddressed => self.lose_proxies(index, IpAddr::is_ipv4),
            Doubt::Repvid => self.ask(Query::Vlans(index)),
            Doubt::Inherited => self.ask_heirs(index, self.shown.own_entry(index)),
            Doubt::Inet6 => {
                // `rt6_disable_ip`
                if self.shown.link_by_index(index).is_some_and(|link| link.mtu() < IPV6_MIN_MTU) {
                    self.lose_proxies(index, IpAddr::is_ipv6);
                }
                self.ask(Query::Link(index));
            }
            Doubt::Left => self.ask(Query::Link(index)),
            Doubt::Moved(from, to) => {
                self.ask_released(index, from);
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
                self.leave_rings(index);
                let lost = |link: &&Link| link.link() == Some(index) && link.index() != index;
                let left: Vec<_> = self.shown.links().filter(lost).map(Link::index).collect();
                left.into_iter().for_each(|index| self.ask(Query::Link(index)));
            }
            Doubt::WentDown => {
                self.lose_proxies(index, |_| true);
                self.ask(Query::Addresses(index));
            }
        }
    }

    /// HSR and PRP interfaces with such a port. It does not have them for its masters.
    fn rings_over(&self, port: u32) -> Vec<u32> {
        let has = |link: &&Link| link.hsr().is_some_and(|hsr| hsr.ports().any(|own| own == port));
        self.shown.links().filter(has).map(Link::index).collect()
    }

    /// They lose a port that is gone, which is not announced (`hsr_netdev_notify`).
    fn leave_rings(&mut self, port: u32) {
        let rings = self.rings_over(port);
        if !rings.is_empty() {
            self.silently(|follower| {
                rings.iter().for_each(|ring| follower.shown.leave_ring(*ring, port));
            });
        }
    }

    /// Proxies go with what IPv4 or IPv6 has on an interface (`pneigh_ifdown`), and are never announced.
    fn lose_proxies(&mut self, index: u32, is_lost: fn(&IpAddr) -> bool) {
        let is_gone = |key: &NeighbourKey| match &key.target {
            NeighbourTarget::Proxy(address) => is_lost(address),
            _ => false,
        };
        self.silently(|follower| follower.shown.neighbours.evict(index, is_gone));
    }

    /// The metrics of routes over an interface follow its mtu.
    fn follow_mtu(&mut self, index: u32, was: u32, is: u32) {
        if was != is && self.views.routes {
            self.silently(|follower| {
                let change = |body: &Body| with_link_mtu(body, index, (was, is));
                follower.shown.routes.alter(&mut follower.bodies, change);
            });
        }
    }

    /// IPVLANs have the mtu of the interface below from when that changes, and are not announced (`ipvlan_adjust_mtu`).
    fn ask_narrowed(&mut self, lower: u32) {
        let over = |link: &&Link| link.link() == Some(lower) && gets_mtu_of_lower(link.kind());
        let over: Vec<_> = self.shown.links().filter(over).map(Link::index).collect();
        over.into_iter().for_each(|index| self.ask(Query::Link(index)));
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
            // Its local route may not be made yet: `addrconf_dad_completed` makes it, from a work queue. Where nothing is to
            // be checked the address is never said to be tentative.
            true if address.is_tentative() || address.flags().contains(AddressFlags::NODAD) => {
                Gone::Unknown
            }
            true => Gone::WithInet6,
        }
    }

    /// An address has gone that routes may prefer as their source.
    fn lose_source(&mut self, why: Gone, source: IpAddr) {
        match why {
            _ if !self.bodies.any_with_source(source) => {}
            Gone::ByItself => self.silently(|follower| follower.follow_source(source)),
            // Only the kernel knows which routes prefer it still.
            Gone::Unknown => self.resync(),
            Gone::WithInet6 => {}
        }
    }

    /// What of IPv4 preferred this address goes (K6), of IPv6 it stays without it.
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

    /// Which interfaces and rules are there has changed: rules that name them are marked anew, once for a whole batch.
    pub(super) fn mark_rules(&mut self) {
        if std::mem::take(&mut self.unmarked) && !self.shown.rules.map.is_empty() {
            self.silently(|follower| {
                let mut rules = std::mem::take(&mut follower.shown.rules);
                rules.mark(|name| follower.shown.link_by_name(name).is_some());
                follower.shown.rules = rules;
            });
        }
    }

    /// Does what the kernel has not said: it is told apart from what it has.
    pub(super) fn silently<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        if std::mem::replace(&mut self.turns.is_silent, true) {
            return act(self);
        }
        let told = self.shown.clone();
        let done = act(self);
        self.turns.is_silent = false;
        self.turns.note(told, &self.shown);
        done
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

/// Whether no other interface that this route leads over is up.
fn others_dead(shown: &Snapshot, body: &Body, index: u32) -> bool {
    let up = |index: u32| shown.link_by_index(index).is_some_and(Link::is_up);
    body.links().iter().all(|leg| *leg == index || !up(*leg))
}

/// Whether a route goes when this interface goes down. MPLS routes stay, dead, until it is gone (`mpls_ifdown`).
pub(super) fn goes_down(shown: &Snapshot, body: &Body, index: u32) -> bool {
    body.is_over(index) && !body.is_host() && !body.is_mpls() && others_dead(shown, body, index)
}

/// Whether a port has tunnels for VLANs.
fn has_tunnels(link: &Option<Arc<Link>>) -> bool {
    let port = link.as_ref().and_then(|link| link.bridge_port());
    port.and_then(|port| port.vlan_tunnel()) == Some(true)
}
