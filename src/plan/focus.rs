//! What of a difference between two states a selection speaks of, and what a draft touches: by object, so that each is
//! held fast, left alone or let go by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::action::Action;
use super::keyed::{Key, Scope, relinked};
use super::order::{Wave, plan};
use super::revert::heir;
use super::selection::{Parts, Selection};
use super::{Draft, Refusal, Target, kinds, rules};
use crate::object::link::row;
use crate::object::route::{RouteKey, row as route_row};
use crate::object::{Link, LinkRef, NeighbourSpec, RouteProtocol, RouteSpec, Value};
use crate::state::{
    AddressKey, Bodies, Change, Fields, Held, NeighbourKey, Object, ObjectKey, RouteFilter,
    RuleKey, Snapshot,
};

impl Selection {
    /// The objects that are to be made again what they were in `target`, if this change since then is to be undone; none
    /// when the selection does not speak of it. A port that comes or goes is also a change of its master.
    #[doc(hidden)]
    pub fn focus(&self, change: &Change, target: &Snapshot, now: &Snapshot) -> BTreeSet<ObjectKey> {
        let sides = [change.before(), change.after()];
        let sides: Vec<&Object> = sides.into_iter().flatten().collect();
        let mut focus: BTreeSet<ObjectKey> = sides
            .iter()
            .filter(|object| self.has(object, target, now))
            .filter_map(|o| o.key())
            .collect();
        let master = |object: Option<&Object>| match object {
            Some(Object::Link(link)) => link.master(),
            _ => None,
        };
        let (was, is) = (master(change.before()), master(change.after()));
        if was != is {
            let masters = was.into_iter().chain(is);
            let held = masters.filter(|master| self.parts_at(*master, target, now).link);
            focus.extend(held.map(ObjectKey::Link));
        }
        focus
    }

    /// Whether something that was not there is left alone.
    pub fn leaves_new(&self) -> bool {
        !self.exactly
    }

    /// An interface has another index and generation from now on.
    pub fn relink(&mut self, old: &Link, new: &Link) {
        for (which, _) in &mut self.links {
            let handle = |link: &Link| LinkRef::Handle {
                index: link.index(),
                generation: link.generation(),
            };
            if *which == handle(old) || *which == LinkRef::Index(old.index()) {
                *which = handle(new);
            }
        }
    }

    /// The interfaces that are gone and have an heir: one with their name that can be made into them.
    pub fn heirs(&self, target: &Snapshot, now: &Snapshot) -> Vec<(Link, Link)> {
        let heir = |old: &Link| heir(old, target, now).cloned().map(|new| (old.clone(), new));
        self.links(target).filter_map(heir).collect()
    }

    /// The interfaces that it speaks of.
    pub fn links<'a>(&'a self, of: &'a Snapshot) -> impl Iterator<Item = &'a Link> + 'a {
        of.links().filter(|link| self.parts_of(link) != Parts::default())
    }

    fn has(&self, object: &Object, target: &Snapshot, now: &Snapshot) -> bool {
        match object {
            Object::Link(link) => self.parts_at(link.index(), target, now).link,
            Object::Address(address, _) => self.parts_at(address.index(), target, now).addresses,
            Object::BridgeVlan(vlan, _) => self.parts_at(vlan.index(), target, now).link,
            Object::Route(route) => {
                let table = route.record().number(route_row::TABLE) as u32;
                let protocol = RouteProtocol(route.record().number(route_row::PROTOCOL) as u8);
                let of = |filter: &RouteFilter| filter.matches(table, route.family(), protocol);
                let place = route.key().map(|key| key.of_prefix().0);
                let single = |spec: &RouteSpec| place.is_some() && spec.place() == place;
                self.all_routes
                    || self.routes.iter().any(of)
                    || self.single_routes.iter().any(single)
            }
            Object::Rule(rule) => {
                self.all_rules || self.rules.iter().any(|which| which.selects(rule))
            }
            Object::Nexthop(nexthop) => self.all_nexthops || self.nexthops.contains(&nexthop.id()),
            Object::Neighbour(entry) => {
                let index = |which: &LinkRef| {
                    let there = target.link(which.clone()).or_else(|| now.link(which.clone()));
                    there.map(Link::index)
                };
                let key = NeighbourKey::of(entry.record());
                let named = |spec: &NeighbourSpec| {
                    let record = spec.record(index);
                    key.is_some() && record.and_then(|record| NeighbourKey::of(&record)) == key
                };
                self.all_neighbours
                    || self.neighbours_of.iter().any(|which| index(which) == entry.index())
                    || self.neighbours.iter().any(named)
            }
        }
    }

    /// What of the interface with an index is spoken of: of the one that is held, or of the one that has its name.
    fn parts_at(&self, index: u32, target: &Snapshot, now: &Snapshot) -> Parts {
        let held = target.link_by_index(index);
        let there = now.link_by_index(index);
        let heir = || there.and_then(|link| target.link_by_name(link.name()));
        let link = held.or_else(heir).or(there);
        link.map(|link| self.parts_of(link)).unwrap_or_default()
    }
}

/// A state in which an interface has the index and generation of another one, with all that is on it.
pub fn renumbered(held: &Snapshot, old: &Link, new: &Link) -> Snapshot {
    let mut next = held.clone();
    next.renumber(old, new);
    let mut bodies = Bodies::default();
    let index = |own| Some(if own == old.index() { new.index() } else { own });
    let is_over = |one: &Arc<Held>| one.body().is_some_and(|b| b.links().contains(&old.index()));
    for (key, all) in held.all_keyed_routes().filter(|(_, all)| all.iter().any(is_over)) {
        let moved = all.iter().filter_map(|one| relinked(&key, one, &index, &mut bodies).ok());
        next.put_routes(key, moved.collect());
    }
    next
}

impl Draft {
    /// The objects that a commit of this on the state `now` would change, by their keys in `target`.
    ///
    /// # Errors
    /// What a commit would refuse.
    pub fn touched(
        &self,
        target: &Snapshot,
        now: &Snapshot,
    ) -> Result<BTreeSet<ObjectKey>, Refusal> {
        let mut touched = BTreeSet::new();
        let index = |at: Target| match at {
            Target::Live { index, .. } => index,
            new => target.link_by_name(&self.name_of(new)).map_or(0, Link::index),
        };
        for (_, wave) in plan(self, now)? {
            match wave {
                Wave::Actions(actions) => {
                    actions.iter().for_each(|action| objects(action, &index, now, &mut touched));
                }
                Wave::Steps(steps) => {
                    touched.extend(steps.iter().filter_map(|step| step.key()).map(object_key));
                }
            }
        }
        Ok(touched)
    }

    /// A state that is held fast, moved by a commit of this draft that led from `before` to `after`: what it names is as
    /// it is now, and so is what the kernel has changed along with it. What others have changed elsewhere meanwhile is
    /// not in it.
    pub fn moves(
        &self,
        held: &Snapshot,
        before: &Snapshot,
        after: &Snapshot,
        created: &BTreeMap<u64, u32>,
    ) -> Snapshot {
        let mut next = held.clone();
        let named = self.named_links(created);
        let near = near(named.keys().copied(), before, after);
        let (keys, scopes) = self.keyed().named();
        let keys: BTreeSet<ObjectKey> = keys.into_iter().map(object_key).collect();
        for index in &near {
            let fields = named.get(index).map(|(fields, _)| fields.clone()).unwrap_or_default();
            if before.link_by_index(*index).is_some() || after.link_by_index(*index).is_some() {
                next.copy_changes(before, after, *index, &fields);
            }
        }
        let addresses = named.values().flat_map(|(_, addresses)| addresses);
        addresses.for_each(|key| next.copy(after, &ObjectKey::Address(*key)));
        keys.iter().for_each(|key| next.copy(after, key));
        for change in before.diff(after).changes() {
            if let Some(key) = follows(change, &near, &keys) {
                next.copy(after, &key);
            }
        }
        for change in held.diff(after).changes() {
            let object = change.before().or(change.after());
            let key = object.and_then(Object::key);
            if let Some(ObjectKey::Route(key)) = key {
                let meant = |scope: &Scope| scope.has(&key, held) || scope.has(&key, after);
                if scopes.iter().any(meant) {
                    next.copy(after, &ObjectKey::Route(key));
                }
            }
        }
        next
    }

    /// What is named of each interface, and its addresses.
    fn named_links(
        &self,
        created: &BTreeMap<u64, u32>,
    ) -> BTreeMap<u32, (Fields, Vec<AddressKey>)> {
        let index = |target: Target| match target {
            Target::Live { index, .. } => Some(index),
            Target::New(number) => created.get(&number).copied(),
        };
        let mut named: BTreeMap<u32, (Fields, Vec<AddressKey>)> = BTreeMap::new();
        for link in self.links() {
            let Some(own) = index(link.target) else { continue };
            let mut fields = Fields { flags: u64::from(link.mask.0), ..Fields::default() };
            fields.rows.extend(link.set.fields().map(|(id, ..)| id));
            if link.master.is_some() {
                fields.rows.extend([row::MASTER, row::PORT_KIND, row::PORT]);
            }
            if !link.altnames.is_empty() {
                fields.rows.push(row::ALTNAMES);
            }
            for (part, options) in [(row::DATA, &link.data), (row::PORT, &link.port)] {
                let options = options.iter().flat_map(|options| options.fields());
                fields.options.extend(options.map(|(id, ..)| (part, id)));
            }
            let addresses = link.addresses.iter().map(|(spec, _)| spec.key(own)).collect();
            named.insert(own, (fields, addresses));
            if let Some(master) = link.master.flatten().and_then(index) {
                named.entry(master).or_default();
            }
        }
        named
    }
}

/// The interfaces that a change of these may change too: what stands on them, their ports and masters, their peers.
fn near(named: impl Iterator<Item = u32>, before: &Snapshot, after: &Snapshot) -> BTreeSet<u32> {
    let mut near = BTreeSet::new();
    for index in named {
        for state in [before, after] {
            near.insert(index);
            near.extend(rules::all_touched_with([index], state));
            near.extend(state.ports_of(index).map(Link::index));
            let own = state.link_by_index(index);
            near.extend(own.and_then(Link::master));
            near.extend(
                own.filter(|link| kinds::is_pair(link.kind())).and_then(|link| link.link()),
            );
        }
    }
    near
}

/// What of the changes during a commit comes of it, although it does not name it: addresses, routes, neighbours and
/// nexthop objects of the interfaces that it has changed, and what refers to the nexthop objects that it has.
fn follows(
    change: &Change,
    near: &BTreeSet<u32>,
    named: &BTreeSet<ObjectKey>,
) -> Option<ObjectKey> {
    let object = change.before().or(change.after())?;
    let key = object.key()?;
    let is_near = |object: &Object| object.indexes().iter().any(|index| near.contains(index));
    let sides = [change.before(), change.after()];
    let over = sides.into_iter().flatten().any(is_near);
    let by_nexthop = || match object {
        Object::Route(route) => {
            let id = route.record().value(route_row::NH_ID).and_then(Value::number);
            id.is_some_and(|id| named.contains(&ObjectKey::Nexthop(id as u32)))
        }
        Object::Nexthop(nexthop) => {
            let mut members = nexthop.group();
            members.any(|(id, _)| named.contains(&ObjectKey::Nexthop(id)))
        }
        _ => false,
    };
    // Interfaces field by field, by whoever calls.
    let is_link = matches!(key, ObjectKey::Link(_));
    (!is_link && (over || by_nexthop())).then_some(key)
}

fn objects(
    action: &Action,
    index: &dyn Fn(Target) -> u32,
    now: &Snapshot,
    to: &mut BTreeSet<ObjectKey>,
) {
    let own = index(action.target());
    match action {
        Action::AddAddress { spec, .. } | Action::DelAddress { spec, .. } => {
            to.insert(ObjectKey::Address(spec.key(own)));
        }
        Action::Vlans { vlans, .. } => {
            to.extend(vlans.iter().map(|vlan| ObjectKey::BridgeVlan(own, vlan.vid())));
        }
        Action::Master { master, .. } => {
            let was = now.link_by_index(own).and_then(Link::master);
            let masters = master.map(index).into_iter().chain(was);
            to.extend(masters.chain([own]).map(ObjectKey::Link));
        }
        Action::Create { peer, .. } => {
            to.extend(peer.map(index).into_iter().chain([own]).map(ObjectKey::Link));
        }
        _ => drop(to.insert(ObjectKey::Link(own))),
    }
}

fn object_key(key: Key) -> ObjectKey {
    match key {
        Key::Route(key) => ObjectKey::Route(key),
        Key::Rule(key) => ObjectKey::Rule(key),
        Key::Neighbour(key) => ObjectKey::Neighbour(*key),
        Key::Nexthop(id) => ObjectKey::Nexthop(id),
    }
}

/// What a way back is held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Focus<'a>(pub(super) Option<&'a BTreeSet<ObjectKey>>);

impl Focus<'_> {
    fn has(&self, key: &ObjectKey) -> bool {
        self.0.is_none_or(|only| only.contains(key))
    }

    pub(super) fn link(&self, index: u32) -> bool {
        self.has(&ObjectKey::Link(index))
    }

    /// An address by its key without an index, of an interface of then or of now.
    pub(super) fn address(&self, key: AddressKey, indexes: [Option<u32>; 2]) -> bool {
        let at = |index| self.has(&ObjectKey::Address(AddressKey { index, ..key }));
        indexes.into_iter().flatten().any(at)
    }

    /// A VLAN by its number, of an interface of then or of now.
    pub(super) fn vlan(&self, vid: u16, indexes: [Option<u32>; 2]) -> bool {
        let at = |index| self.has(&ObjectKey::BridgeVlan(index, vid));
        indexes.into_iter().flatten().any(at)
    }

    pub(super) fn rule(&self, key: RuleKey) -> bool {
        self.has(&ObjectKey::Rule(key))
    }

    pub(super) fn nexthop(&self, id: u32) -> bool {
        self.has(&ObjectKey::Nexthop(id))
    }

    pub(super) fn neighbour(&self, key: Option<NeighbourKey>) -> bool {
        key.is_some_and(|key| self.has(&ObjectKey::Neighbour(key)))
    }

    /// The keys of routes; `None` is all.
    pub(super) fn routes(&self) -> Option<BTreeSet<RouteKey>> {
        let of = |key: &ObjectKey| match key {
            ObjectKey::Route(key) => Some(*key),
            _ => None,
        };
        self.0.map(|only| only.iter().filter_map(of).collect())
    }
}
