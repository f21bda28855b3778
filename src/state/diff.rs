//! Differences between two snapshots, as before and after.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use im::OrdMap;
use im::ordmap::DiffItem;

use super::routes::{Held, each, is_same};
use super::snapshot::Placed;
use super::{AddressKey, Snapshot};
use crate::object::route::{Route, RouteKey};
use crate::object::{
    Address, BridgeVlan, FieldChange, Link, Names, Neighbour, Nexthop, Record, Rule,
};

/// What changed between two snapshots, removals before additions, interfaces before addresses where they
/// appear and after them where they go.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    changes: Vec<Change>,
}

/// An object of some kind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Object {
    /// An interface.
    Link(Arc<Link>),
    /// An address, and the name of its interface.
    Address(Address, Box<str>),
    /// A route; by itself it prints its interfaces by their indexes, a [`Change`] prints them by name.
    Route(Route),
    /// A rule.
    Rule(Arc<Rule>),
    /// A nexthop object; by itself it prints its interface by its index, a [`Change`] prints it by name.
    Nexthop(Arc<Nexthop>),
    /// A neighbour, proxy or forwarding entry; by itself it prints its interface by its index, a [`Change`] prints it by
    /// name.
    Neighbour(Arc<Neighbour>),
    /// A VLAN of a bridge port or of a bridge itself, and the name of its interface.
    BridgeVlan(BridgeVlan, Box<str>),
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// Interfaces.
    Link,
    /// Addresses.
    Address,
    /// Routes.
    Route,
    /// Rules.
    Rule,
    /// Nexthop objects.
    Nexthop,
    /// Neighbours, proxies and forwarding entries.
    Neighbour,
    /// VLANs of bridge ports and of bridges themselves.
    BridgeVlan,
}

/// One object before and after; one of them is `None` when it came or went.
#[derive(Clone, Debug)]
pub struct Change {
    before: Option<Object>,
    after: Option<Object>,
    /// Where interfaces have their names from; empty for interfaces and addresses, which have them.
    names: Interfaces,
}

/// The interfaces of a snapshot: shared with it, not copied.
#[derive(Clone, Default)]
struct Interfaces(OrdMap<u32, Arc<Link>>);

impl fmt::Debug for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.values().map(|link| link.name())).finish()
    }
}

impl Names for Interfaces {
    fn name_of(&self, index: u32) -> Option<&str> {
        self.0.get(&index).map(|link| link.name())
    }
}

impl Diff {
    pub(super) fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let mut diff = Diff::default();
        let mut added = Vec::new();
        let mut gone = Vec::new();
        for item in old.links.diff(&new.links) {
            match item {
                DiffItem::Add(_, link) => added.push(link),
                DiffItem::Remove(_, link) => gone.push(link),
                DiffItem::Update { old: (_, a), new: (_, b) }
                    if a.generation() != b.generation() =>
                {
                    gone.push(a);
                    added.push(b);
                }
                DiffItem::Update { old: (_, a), new: (_, b) } if !a.record().same(b.record()) => {
                    diff.push(Some(Object::Link(a.clone())), Some(Object::Link(b.clone())));
                }
                DiffItem::Update { .. } => {}
            }
        }
        // The addresses of an interface that gave way to another one went with it, also where the other has the same.
        let replaced = gone.iter().map(|link| link.index()).collect();
        let (mut fresh, mut stale) = diff.addresses(old, new, &replaced);
        diff.vlans(old, new, &replaced, &mut fresh, &mut stale);
        let names = [Interfaces(old.links.clone()), Interfaces(new.links.clone())];
        diff.routes(&old.routes.v4, &new.routes.v4, &names, RouteKey::V4);
        diff.routes(&old.routes.v6, &new.routes.v6, &names, RouteKey::V6);
        diff.routes(&old.routes.mpls, &new.routes.mpls, &names, RouteKey::Mpls);
        diff.by_key(&old.nexthops.map, &new.nexthops.map, &names, Nexthop::record, Object::Nexthop);
        diff.rules(old, new, &names);
        let (old, new) = (&old.neighbours.map, &new.neighbours.map);
        diff.by_key(old, new, &names, Neighbour::record, Object::Neighbour);
        stale.into_iter().for_each(|object| diff.push(Some(object), None));
        gone.into_iter().for_each(|link| diff.push(Some(Object::Link(link.clone())), None));
        added.into_iter().for_each(|link| diff.push(None, Some(Object::Link(link.clone()))));
        fresh.into_iter().for_each(|object| diff.push(None, Some(object)));
        diff
    }

    fn addresses(
        &mut self,
        old: &Snapshot,
        new: &Snapshot,
        replaced: &BTreeSet<u32>,
    ) -> (Vec<Object>, Vec<Object>) {
        let all = |of: &Snapshot| -> Vec<Object> {
            let placed = replaced.iter().flat_map(|index| of.placed_of(*index));
            placed.map(|(key, placed)| object(of, key, placed)).collect()
        };
        let (mut fresh, mut stale) = (all(new), all(old));
        for item in old.addresses.diff(&new.addresses) {
            match item {
                DiffItem::Add(key, _)
                | DiffItem::Remove(key, _)
                | DiffItem::Update { old: (key, _), .. }
                    if replaced.contains(&key.index) => {}
                DiffItem::Add(key, placed) => fresh.push(object(new, key, placed)),
                DiffItem::Remove(key, placed) => stale.push(object(old, key, placed)),
                DiffItem::Update { old: (key, a), new: (_, b) } => {
                    if !a.address.record().same(b.address.record()) {
                        self.push(Some(object(old, key, a)), Some(object(new, key, b)));
                    }
                }
            }
        }
        (fresh, stale)
    }

    /// As addresses: they come behind their interface and go before it.
    fn vlans(
        &mut self,
        old: &Snapshot,
        new: &Snapshot,
        replaced: &BTreeSet<u32>,
        fresh: &mut Vec<Object>,
        stale: &mut Vec<Object>,
    ) {
        let object =
            |of: &Snapshot, vlan: &BridgeVlan| Object::BridgeVlan(*vlan, name_of(of, vlan.index()));
        let all = |of: &Snapshot| -> Vec<Object> {
            let vlans = replaced.iter().flat_map(|index| of.vlans_of(*index));
            vlans.map(|vlan| object(of, vlan)).collect()
        };
        fresh.extend(all(new));
        stale.extend(all(old));
        for item in old.vlans.diff(&new.vlans) {
            match item {
                DiffItem::Add((index, _), _)
                | DiffItem::Remove((index, _), _)
                | DiffItem::Update { old: ((index, _), _), .. }
                    if replaced.contains(index) => {}
                DiffItem::Add(_, vlan) => fresh.push(object(new, vlan)),
                DiffItem::Remove(_, vlan) => stale.push(object(old, vlan)),
                DiffItem::Update { old: (_, a), new: (_, b) } if a != b => {
                    self.push(Some(object(old, a)), Some(object(new, b)));
                }
                DiffItem::Update { .. } => {}
            }
        }
    }

    fn routes<K: Ord + Copy>(
        &mut self,
        old: &OrdMap<K, Arc<Held>>,
        new: &OrdMap<K, Arc<Held>>,
        names: &[Interfaces; 2],
        key_of: fn(K) -> RouteKey,
    ) {
        for item in old.diff(new) {
            let (key, before, after) = match item {
                DiffItem::Add(key, held) => (key, &[][..], each(held)),
                DiffItem::Remove(key, held) => (key, each(held), &[][..]),
                DiffItem::Update { old: (key, a), new: (_, b) } => (key, each(a), each(b)),
            };
            self.routes_at(key_of(*key), before, after, names);
        }
    }

    /// Routes that share a key: what is on one side only comes or goes; one for one is a change.
    fn routes_at(
        &mut self,
        key: RouteKey,
        before: &[Arc<Held>],
        after: &[Arc<Held>],
        names: &[Interfaces; 2],
    ) {
        let only = |these: &[Arc<Held>], those: &[Arc<Held>]| -> Vec<Object> {
            let own = these.iter().filter(|one| !those.iter().any(|other| is_same(one, other)));
            own.filter_map(|held| Some(Object::Route(held.body()?.at(key)))).collect()
        };
        self.pairs(only(before, after), only(after, before), names);
    }

    /// One that goes for one that comes is a change.
    fn pairs(&mut self, gone: Vec<Object>, come: Vec<Object>, names: &[Interfaces; 2]) {
        let (mut gone, mut come) = (gone.into_iter(), come.into_iter());
        loop {
            match (gone.next(), come.next()) {
                (None, None) => return,
                (before, after) => self.named(before, after, names),
            }
        }
    }

    fn named(
        &mut self,
        before: Option<Object>,
        after: Option<Object>,
        [old, new]: &[Interfaces; 2],
    ) {
        let names = if after.is_some() { new.clone() } else { old.clone() };
        self.changes.push(Change { before, after, names });
    }

    /// Objects of which a key has one at the most.
    fn by_key<K: Ord + Clone, T: PartialEq>(
        &mut self,
        old: &OrdMap<K, Arc<T>>,
        new: &OrdMap<K, Arc<T>>,
        names: &[Interfaces; 2],
        record: fn(&T) -> &Record,
        object: fn(Arc<T>) -> Object,
    ) {
        for item in old.diff(new) {
            let (before, after) = match item {
                DiffItem::Add(_, one) => (None, Some(one)),
                DiffItem::Remove(_, one) => (Some(one), None),
                DiffItem::Update { old: (_, a), new: (_, b) } if record(a).same(record(b)) => {
                    continue;
                }
                DiffItem::Update { old: (_, a), new: (_, b) } => (Some(a), Some(b)),
            };
            let of = |one: Option<&Arc<T>>| one.cloned().map(object);
            self.named(of(before), of(after), names);
        }
    }

    /// Rules of one priority, of which several may be alike: what is on one side more often comes or goes.
    fn rules(&mut self, old: &Snapshot, new: &Snapshot, names: &[Interfaces; 2]) {
        for item in old.rules.map.diff(&new.rules.map) {
            let (before, after) = match item {
                DiffItem::Add(_, held) => (&[][..], &held[..]),
                DiffItem::Remove(_, held) => (&held[..], &[][..]),
                DiffItem::Update { old: (_, a), new: (_, b) } => (&a[..], &b[..]),
            };
            let only = |these: &[Arc<Rule>], those: &[Arc<Rule>]| -> Vec<Object> {
                let mut those = those.to_vec();
                let mut own = these.to_vec();
                own.retain(|rule| {
                    let same = |other: &Arc<Rule>| other.record().same(rule.record());
                    let found = those.iter().position(same);
                    found.map(|at| those.remove(at)).is_none()
                });
                own.into_iter().map(Object::Rule).collect()
            };
            self.pairs(only(before, after), only(after, before), names);
        }
    }

    fn push(&mut self, before: Option<Object>, after: Option<Object>) {
        self.changes.push(Change { before, after, names: Interfaces::default() });
    }

    /// These changes.
    pub(crate) fn of(changes: Vec<Change>) -> Self {
        Diff { changes }
    }

    /// The changes, to be kept.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// The changes.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many objects changed.
    pub fn len(&self) -> usize {
        self.changes.len()
    }
}

impl<'a> IntoIterator for &'a Diff {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;
    fn into_iter(self) -> Self::IntoIter {
        self.changes.iter()
    }
}

fn object(of: &Snapshot, key: &AddressKey, placed: &Placed) -> Object {
    Object::Address(placed.address.clone(), name_of(of, key.index))
}

fn name_of(of: &Snapshot, index: u32) -> Box<str> {
    of.link_by_index(index).map_or_else(|| format!("if{index}").into(), |link| link.name().into())
}

impl Change {
    /// The object before; `None` when it was not there.
    pub fn before(&self) -> Option<&Object> {
        self.before.as_ref()
    }

    /// The object after; `None` when it is gone.
    pub fn after(&self) -> Option<&Object> {
        self.after.as_ref()
    }

    /// The attributes that differ; empty when the object came or went.
    pub fn fields(&self) -> Vec<FieldChange> {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.record().changes(&after.record()),
            _ => Vec::new(),
        }
    }
}

/// `+` and the object, `-` and the object, or `~`, its name, and each attribute as `before -> after`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (None, Some(object)) => write!(f, "+ {}", object.line(&self.names)),
            (Some(object), None) => write!(f, "- {}", object.line(&self.names)),
            (Some(before), Some(_)) => {
                write!(f, "~ {}", before.name(&self.names))?;
                self.fields().iter().try_for_each(|change| write!(f, "  {change}"))
            }
            (None, None) => Ok(()),
        }
    }
}

impl Object {
    /// What kind of object it is.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Object::Link(_) => ObjectKind::Link,
            Object::Address(..) => ObjectKind::Address,
            Object::Route(_) => ObjectKind::Route,
            Object::Rule(_) => ObjectKind::Rule,
            Object::Nexthop(_) => ObjectKind::Nexthop,
            Object::Neighbour(_) => ObjectKind::Neighbour,
            Object::BridgeVlan(..) => ObjectKind::BridgeVlan,
        }
    }

    /// The indexes of the interfaces that it is, or is on.
    pub(crate) fn indexes(&self) -> Vec<u32> {
        match self {
            Object::Link(link) => vec![link.index()],
            Object::Address(address, _) => vec![address.index()],
            Object::Route(route) => {
                let hops = route.hops().filter_map(|hop| hop.oif());
                hops.chain(route.oif()).collect()
            }
            Object::Rule(_) => Vec::new(),
            Object::Nexthop(nexthop) => nexthop.oif().into_iter().collect(),
            Object::Neighbour(neighbour) => neighbour.index().into_iter().collect(),
            Object::BridgeVlan(vlan, _) => vec![vlan.index()],
        }
    }

    /// What it is, in a few words: `link eth0`, `addr 10.0.0.1/24 dev eth0`.
    pub fn title(&self) -> String {
        self.name(&())
    }

    /// An interface and an address by what tells them apart; others have no shorter name than all that they are.
    fn name(&self, names: &dyn Names) -> String {
        match self {
            Object::Link(link) => format!("link {}", link.name()),
            Object::Address(address, name) => format!("addr {} dev {name}", address.prefix()),
            Object::Nexthop(nexthop) => format!("nexthop id {}", nexthop.id()),
            Object::BridgeVlan(vlan, name) => format!("vlan {} dev {name}", vlan.vid()),
            other => other.line(names),
        }
    }

    fn line(&self, names: &dyn Names) -> String {
        match self {
            Object::Link(link) => format!("link {link}"),
            Object::Address(address, name) => format!("addr {address} dev {name}"),
            Object::Route(route) => format!("route {}", route.line(names)),
            Object::Rule(rule) => format!("rule {}", rule.line(names).replacen('\t', " ", 1)),
            Object::Nexthop(nexthop) => format!("nexthop {}", nexthop.line(names)),
            Object::Neighbour(entry) if entry.is_fdb() => format!("fdb {}", entry.line(names)),
            Object::Neighbour(neighbour) => format!("neigh {}", neighbour.line(names)),
            Object::BridgeVlan(vlan, name) => format!("vlan {vlan} dev {name}"),
        }
    }

    fn record(&self) -> Cow<'_, Record> {
        Cow::Borrowed(match self {
            Object::Link(link) => link.record(),
            Object::Address(address, _) => address.record(),
            Object::Route(route) => route.record(),
            Object::Rule(rule) => rule.record(),
            Object::Nexthop(nexthop) => nexthop.record(),
            Object::Neighbour(neighbour) => neighbour.record(),
            Object::BridgeVlan(vlan, _) => return Cow::Owned(vlan.record()),
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(&()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, LinkEvent};
    use super::*;
    use crate::object::Value;
    use crate::object::address::{ADDRESS, row as address_row};
    use crate::object::link::{LINK, row};

    /// Found by fuzzing: an interface that gave way to another one with the same index and address kept its
    /// address in the difference, and who applied it had an address of an interface that was gone.
    #[test]
    fn addresses_go_and_come_with_their_interface() {
        let mut link = Record::new(&LINK);
        link.set(row::INDEX, Value::Number(7));
        link.set(row::NAME, "eth0".into());
        let mut address = Record::new(&ADDRESS);
        address.set(address_row::INDEX, Value::Number(7));
        address.set(address_row::FAMILY, Value::Number(2));
        address.set(address_row::LOCAL, Value::V4([10, 0, 0, 1].into()));
        let world = |stamp| {
            let mut world = Snapshot::default();
            world.apply(Event::Link(7, LinkEvent::Is(Box::new(link.clone()))), stamp);
            world.apply(Event::AddressNew(Address::new(address.clone())), stamp + 1);
            world
        };
        let diff = world(1).diff(&world(5));
        let came = |change: &Change| change.before().is_none();
        let is_link =
            |change: &Change| matches!(change.before().or(change.after()), Some(Object::Link(_)));
        let shape: Vec<_> = diff.changes().iter().map(|c| (came(c), is_link(c))).collect();
        assert_eq!(shape, [(false, false), (false, true), (true, true), (true, false)]);
        assert!(world(1).diff(&world(1)).is_empty());
    }
}
