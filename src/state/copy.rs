//! One object of a snapshot made as it is in another: what is held fast is put together from two states.
//!
//! What comes out need not be a state that the kernel has ever had: an interface of one and a port of another. It is
//! something to be compared with and to go back to, never something that is shown.

use std::sync::Arc;

use super::routes::several;
use super::snapshot::Placed;
use super::{AddressKey, Change, Held, NeighbourKey, Object, RuleKey, Snapshot};
use crate::object::address::row as address_row;
use crate::object::link::row;
use crate::object::neighbour::row as neighbour_row;
use crate::object::nexthop::row as nexthop_row;
use crate::object::route::RouteKey;
use crate::object::{Address, Link, Neighbour, Nexthop, Record, Value};

/// What tells an object from all others of a snapshot. Of routes and rules that share a key it is all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKey {
    /// The interface with this index.
    Link(u32),
    /// An address.
    Address(AddressKey),
    /// The nexthop object with this number.
    Nexthop(u32),
    /// The routes at a key.
    Route(RouteKey),
    /// The rules of a priority.
    Rule(RuleKey),
    /// A neighbour, proxy or forwarding entry.
    Neighbour(NeighbourKey),
    /// A VLAN: the index of its interface, and its number.
    BridgeVlan(u32, u16),
}

/// Attributes of an interface by what they are: rows of the table of interfaces, flags, options.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Rows.
    pub rows: Vec<u16>,
    /// Flags.
    pub flags: u64,
    /// Options of its kind, and as a port: the row that holds them, and their row.
    pub options: Vec<(u16, u16)>,
}

impl Object {
    /// What tells it from all others; `None` for what has nothing that does.
    #[doc(hidden)]
    pub fn key(&self) -> Option<ObjectKey> {
        Some(match self {
            Object::Link(link) => ObjectKey::Link(link.index()),
            Object::Address(address, _) => ObjectKey::Address(AddressKey::of(address)?),
            Object::Nexthop(nexthop) => ObjectKey::Nexthop(nexthop.id()),
            Object::Route(route) => ObjectKey::Route(RouteKey::of(route.record())?),
            Object::Rule(rule) => ObjectKey::Rule(RuleKey::of(rule.record())),
            Object::Neighbour(entry) => ObjectKey::Neighbour(NeighbourKey::of(entry.record())?),
            Object::BridgeVlan(vlan, _) => ObjectKey::BridgeVlan(vlan.index(), vlan.vid()),
        })
    }
}

impl Change {
    /// What tells its object from all others.
    #[doc(hidden)]
    pub fn key(&self) -> Option<ObjectKey> {
        self.after().or(self.before())?.key()
    }
}

impl Snapshot {
    /// Makes one object as it is in another snapshot: there or not, and how. An interface that is not there takes its
    /// addresses, neighbours and VLANs along.
    #[doc(hidden)]
    pub fn copy(&mut self, from: &Snapshot, key: &ObjectKey) {
        match key {
            ObjectKey::Link(index) => match from.link_by_index(*index) {
                Some(link) => self.put_link(link.clone()),
                None => self.remove_link(*index),
            },
            ObjectKey::Address(key) => put(&mut self.addresses, &from.addresses, key),
            ObjectKey::Nexthop(id) => put(&mut self.nexthops.map, &from.nexthops.map, id),
            ObjectKey::Route(RouteKey::V4(key)) => put(&mut self.routes.v4, &from.routes.v4, key),
            ObjectKey::Route(RouteKey::V6(key)) => put(&mut self.routes.v6, &from.routes.v6, key),
            ObjectKey::Route(RouteKey::Mpls(label)) => {
                put(&mut self.routes.mpls, &from.routes.mpls, label)
            }
            ObjectKey::Rule(key) => put(&mut self.rules.map, &from.rules.map, key),
            ObjectKey::Neighbour(key) => put(&mut self.neighbours.map, &from.neighbours.map, key),
            ObjectKey::BridgeVlan(index, vid) => put(&mut self.vlans, &from.vlans, &(*index, *vid)),
        }
    }

    /// Makes an interface as it is in `after`, in what is named and in what has changed since `before`; where it was
    /// not there in one of them, in everything.
    #[doc(hidden)]
    pub fn copy_changes(
        &mut self,
        before: &Snapshot,
        after: &Snapshot,
        index: u32,
        named: &Fields,
    ) {
        let of = |state: &Snapshot| state.link_by_index(index).cloned();
        let (own, Some(old), Some(new)) = (of(self), of(before), of(after)) else {
            return self.copy(after, &ObjectKey::Link(index));
        };
        let same = |link: &Link| link.generation() == new.generation();
        match own.filter(|own| same(own) && same(&old)) {
            None => self.put_link(new),
            Some(own) => {
                let mut record = own.record().clone();
                merge(&mut record, old.record(), new.record(), named);
                self.put_link(Link::new(record, own.generation()));
            }
        }
    }
}

impl Snapshot {
    /// An interface has the index and generation of another one from now on, with all that is on it but routes.
    pub fn renumber(&mut self, old: &Link, new: &Link) {
        let (from, to) = (old.index(), Value::Number(new.index().into()));
        let addresses: Vec<_> =
            self.placed_of(from).map(|(key, placed)| (*key, Placed::clone(placed))).collect();
        let neighbours: Vec<_> = self.neighbours.of(from).map(|(_, one)| one.clone()).collect();
        let vlans: Vec<_> = self.vlans_of(from).map(|vlan| vlan.on(new.index())).collect();
        self.remove_link(from);
        let mut record = old.record().clone();
        record.set(row::INDEX, to.clone());
        self.put_link(Link::new(record, new.generation()));
        for (key, Placed { address, order }) in addresses {
            let mut record = address.record().clone();
            record.set(address_row::INDEX, to.clone());
            let placed = Placed { address: Address::new(record), order };
            self.addresses.insert(AddressKey { index: new.index(), ..key }, Arc::new(placed));
        }
        self.vlans.extend(vlans.into_iter().map(|vlan| ((vlan.index(), vlan.vid()), vlan)));
        for one in neighbours {
            let mut record = one.record().clone();
            record.set(neighbour_row::INDEX, to.clone());
            if let Some(key) = NeighbourKey::of(&record) {
                self.neighbours.map.insert(key, Arc::new(Neighbour::of(record)));
            }
        }
        for id in self.nexthops.over(from) {
            let Some(mut record) = self.nexthop(id).map(|one| one.record().clone()) else {
                continue;
            };
            record.set(nexthop_row::OIF, to.clone());
            self.nexthops.put(Nexthop::of(record));
        }
        // What stands on one of another namespace says that one's index there.
        let below =
            |link: &Link| link.link().filter(|_| link.record().value(row::LINK_NETNSID).is_none());
        let refers = |link: &&Link| [link.master(), below(link)].contains(&Some(from));
        let others: Vec<Link> = self.links().filter(refers).cloned().collect();
        for other in others {
            let mut record = other.record().clone();
            let names = [(row::MASTER, other.master()), (row::LINK, below(&other))];
            for (id, _) in names.into_iter().filter(|(_, index)| *index == Some(from)) {
                record.set(id, to.clone());
            }
            self.put_link(Link::new(record, other.generation()));
        }
    }

    /// Puts routes in the place of those at a key.
    #[doc(hidden)]
    pub fn put_routes(&mut self, key: RouteKey, held: Vec<Arc<Held>>) {
        let Some(held) = several(held) else { return };
        match key {
            RouteKey::V4(key) => drop(self.routes.v4.insert(key, held)),
            RouteKey::V6(key) => drop(self.routes.v6.insert(key, held)),
            RouteKey::Mpls(label) => drop(self.routes.mpls.insert(label, held)),
        }
    }
}

/// As much of a map as is said of one key in another.
fn put<K: Ord + Clone, V: Clone>(map: &mut im::OrdMap<K, V>, from: &im::OrdMap<K, V>, key: &K) {
    match from.get(key) {
        Some(value) => drop(map.insert(key.clone(), value.clone())),
        None => drop(map.remove(key)),
    }
}

fn merge(to: &mut Record, before: &Record, after: &Record, named: &Fields) {
    let rows = 0..to.table().rows.len() as u16;
    for id in rows {
        let (old, new) = (before.value(id), after.value(id));
        if id == row::FLAGS {
            let number = |of: &Record| of.number(id);
            let bits = number(before) ^ number(after) | named.flags;
            let flags = number(to) & !bits | number(after) & bits;
            to.set(id, Value::Number(flags));
            continue;
        }
        let options: Vec<u16> =
            named.options.iter().filter(|(part, _)| *part == id).map(|(_, own)| *own).collect();
        if let (Some(Value::Nested(was)), Some(Value::Nested(is))) = (old, new) {
            if let Some(Value::Nested(mut own)) = to.value(id).cloned() {
                let inner = Fields { rows: options, ..Fields::default() };
                merge_rows(&mut own, was, is, &inner.rows);
                to.set(id, Value::Nested(own));
                continue;
            }
        }
        if old != new || named.rows.contains(&id) || !options.is_empty() {
            assign(to, id, new);
        }
    }
}

fn merge_rows(to: &mut Record, before: &Record, after: &Record, named: &[u16]) {
    let is_same_kind = std::ptr::eq(to.table(), after.table());
    let rows = 0..to.table().rows.len() as u16;
    for id in rows.filter(|_| is_same_kind) {
        if before.value(id) != after.value(id) || named.contains(&id) {
            assign(to, id, after.value(id));
        }
    }
}

fn assign(to: &mut Record, id: u16, value: Option<&Value>) {
    match value {
        Some(value) => to.set(id, value.clone()),
        None => drop(to.remove(id)),
    }
}
