//! The replay: what was announced while everything was read goes on top of it.
//!
//! The dump is younger than some of it, and may know already what an event says: then nothing is seen to change, and what
//! went in silence with it has to be told otherwise, or another look has to tell. Not here: what an event does when it is
//! heard in its turn (`change`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ask::Query;
use super::change::goes_down;
use super::dump::DUMP_TRIES;
use super::{Follower, IPV6_MIN_MTU, Outlet, Phase};
use crate::object::link::row as link_row;
use crate::object::route::RouteKey;
use crate::object::{Link, LinkFlags};
use crate::state::altered::with_link_mtu;
use crate::state::apply::Doubt;
use crate::state::routes::{Body, Held, is_same};
use crate::state::{AddressKey, Event, LinkEvent};

impl Follower {
    /// All that was announced while everything was dumped has been heard.
    pub(super) fn heard_all(&mut self) {
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
        let loses_v6 = matches!(&event, Event::Link(_, LinkEvent::Is(link))
            if link.number(link_row::MTU) < IPV6_MIN_MTU.into());
        // Its proxies go in silence, and after what takes them is announced (`__dev_notify_flags`): a dump may know the one
        // and not the other, and later ones.
        if (says_down || loses_v4 || loses_v6)
            && self.shown.neighbours.of(index).any(|(key, _)| key.is_proxy())
        {
            self.ask(Query::Proxies);
        }
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
