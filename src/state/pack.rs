//! A part of a snapshot as bytes for a file of our own: what an undo of one transaction can need of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::routes::{each, several};
use super::snapshot::Placed;
use super::{
    AddressKey, Bodies, Held, NeighbourKey, NeighbourTarget, Remote, RouteView, RuleKey, Snapshot,
    Views,
};
use crate::object::route::RouteKey;
use crate::object::{Address, BridgeVlan, Link, Neighbour, Nexthop, Record, Role, Rule};
use crate::wire::{Pack, Unpackable, pack_enum, pack_struct};

/// Which part of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Interfaces, with their addresses and VLANs.
    pub links: BTreeSet<u32>,
    /// Everything that stands at these keys.
    pub routes: BTreeSet<RouteKey>,
    /// Everything that stands at these keys.
    pub rules: BTreeSet<RuleKey>,
    /// Neighbours, proxies and forwarding entries.
    pub neighbours: BTreeSet<NeighbourKey>,
    /// Nexthop objects.
    pub nexthops: BTreeSet<u32>,
}

/// Bodies on their way into a file: each once, by its number.
#[derive(Debug, Default)]
pub struct BodyList {
    numbers: HashMap<*const Held, u32>,
    /// They live as long as their addresses are known here.
    bodies: Vec<Arc<Held>>,
}

impl BodyList {
    /// The number of a route's body.
    pub fn number(&mut self, held: &Arc<Held>) -> u32 {
        let next = self.bodies.len() as u32;
        *self.numbers.entry(Arc::as_ptr(held)).or_insert_with(|| {
            self.bodies.push(held.clone());
            next
        })
    }

    /// Writes all of them.
    pub fn pack(&self, to: &mut Vec<u8>) {
        (self.bodies.len() as u32).pack(to);
        for body in self.bodies.iter().filter_map(|held| held.body()) {
            packed_family(body.family()).pack(to);
            (body.bytes().len() as u32).pack(to);
            to.extend_from_slice(body.bytes());
        }
    }

    /// Reads what [`BodyList::pack`] wrote.
    ///
    /// # Errors
    /// When something else is there.
    pub fn unpack(from: &mut &[u8], bodies: &mut Bodies) -> Result<Vec<Arc<Held>>, Unpackable> {
        let all: Vec<(u8, Box<[u8]>)> = Pack::unpack(from)?;
        let family = |packed: u8| FAMILIES.iter().find(|(own, _)| *own == packed).map(|own| own.1);
        let body = |(packed, bytes): &(u8, Box<[u8]>)| {
            Ok(bodies.intern(family(*packed).ok_or(Unpackable("family of a body"))?, bytes))
        };
        all.iter().map(body).collect()
    }
}

/// The families of bodies: as they are written, and as the kernel numbers them.
const FAMILIES: [(u8, u8); 3] = [(1, 2), (0, 10), (2, 28)];

fn packed_family(family: u8) -> u8 {
    FAMILIES.iter().find(|(_, own)| *own == family).map_or(u8::MAX, |(packed, _)| *packed)
}

impl Snapshot {
    /// Writes a part of it.
    #[doc(hidden)]
    pub fn pack_part(&self, part: &Part, to: &mut Vec<u8>) {
        let links: Vec<&Link> =
            part.links.iter().filter_map(|index| self.link_by_index(*index)).collect();
        (links.len() as u32).pack(to);
        for link in links {
            link.generation().pack(to);
            without_counters(link.record()).pack(to);
            let addresses: Vec<_> = self.placed_of(link.index()).collect();
            (addresses.len() as u32).pack(to);
            for (_, placed) in addresses {
                placed.order.pack(to);
                placed.address.record().pack(to);
            }
            self.vlans_of(link.index()).map(BridgeVlan::record).collect::<Vec<_>>().pack(to);
        }
        self.follows().pack(to);
        self.pack_rest(part, to);
        let mut bodies = BodyList::default();
        let mut routes = Vec::new();
        for (key, held) in part.routes.iter().map(|key| (key, self.routes_at(key))) {
            if !held.is_empty() {
                key.pack(&mut routes);
                held.iter().map(|held| bodies.number(held)).collect::<Vec<_>>().pack(&mut routes);
            }
        }
        bodies.pack(to);
        (routes.len() as u32).pack(to);
        to.extend(routes);
    }

    /// What stands under a key, but for routes.
    fn pack_rest(&self, part: &Part, to: &mut Vec<u8>) {
        let rules = part.rules.iter().flat_map(|key| self.rules_at(key));
        rules.map(|rule| rule.record().clone()).collect::<Vec<_>>().pack(to);
        let nexthops = part.nexthops.iter().filter_map(|id| self.nexthop(*id));
        nexthops.map(|nexthop| nexthop.record().clone()).collect::<Vec<_>>().pack(to);
        let neighbours = part.neighbours.iter().filter_map(|key| self.neighbour(key));
        neighbours.map(|neighbour| neighbour.record().clone()).collect::<Vec<_>>().pack(to);
    }

    /// Reads what [`Snapshot::pack_part`] wrote.
    ///
    /// # Errors
    /// When something else is there.
    #[doc(hidden)]
    pub fn unpack_part(from: &mut &[u8], bodies: &mut Bodies) -> Result<Snapshot, Unpackable> {
        let mut snapshot = Snapshot::default();
        for _ in 0..u32::unpack(from)? {
            let generation = Pack::unpack(from)?;
            snapshot.put_link(Link::new(Pack::unpack(from)?, generation));
            for _ in 0..u32::unpack(from)? {
                let order = Pack::unpack(from)?;
                let address = Address::new(Pack::unpack(from)?);
                let key = AddressKey::of(&address).ok_or(Unpackable("address"))?;
                snapshot.addresses.insert(key, Arc::new(Placed { address, order }));
            }
            for record in Vec::<Record>::unpack(from)? {
                let vlan = BridgeVlan::of(&record);
                snapshot.vlans.insert((vlan.index(), vlan.vid()), vlan);
            }
        }
        let views = Views::unpack(from)?;
        snapshot.routes.followed = views.routes;
        snapshot.rules.followed = views.rules;
        snapshot.nexthops.followed = views.nexthops;
        snapshot.neighbours.followed = views.neighbours;
        for rule in Vec::<Record>::unpack(from)? {
            snapshot.rules.add(Arc::new(Rule::of(rule)));
        }
        for nexthop in Vec::<Record>::unpack(from)? {
            snapshot.nexthops.put(Nexthop::of(nexthop));
        }
        for neighbour in Vec::<Record>::unpack(from)? {
            let key = NeighbourKey::of(&neighbour).ok_or(Unpackable("neighbour"))?;
            snapshot.neighbours.map.insert(key, Arc::new(Neighbour::of(neighbour)));
        }
        snapshot.unpack_routes(from, bodies)?;
        Ok(snapshot)
    }

    fn unpack_routes(&mut self, from: &mut &[u8], bodies: &mut Bodies) -> Result<(), Unpackable> {
        let bodies = BodyList::unpack(from, bodies)?;
        let length = u32::unpack(from)? as usize;
        let mut routes = crate::wire::take(from, length)?;
        while !routes.is_empty() {
            let key = Pack::unpack(&mut routes)?;
            let numbers: Vec<u32> = Pack::unpack(&mut routes)?;
            let held = numbers.iter().map(|number| bodies.get(*number as usize).cloned());
            let held = held.collect::<Option<_>>().and_then(several).ok_or(Unpackable("body"))?;
            match key {
                RouteKey::V4(key) => drop(self.routes.v4.insert(key, held)),
                RouteKey::V6(key) => drop(self.routes.v6.insert(key, held)),
                RouteKey::Mpls(label) => drop(self.routes.mpls.insert(label, held)),
            }
        }
        Ok(())
    }

    /// What it follows; addresses are followed where routes are.
    fn follows(&self) -> Views {
        Views {
            addresses: true,
            routes: self.routes.followed,
            rules: self.rules.followed,
            nexthops: self.nexthops.followed,
            neighbours: self.neighbours.followed,
        }
    }

    /// Gives its interfaces other generations.
    pub fn with_generations(self, generation: impl Fn(&Link) -> u64) -> Snapshot {
        let anew = |link: &Link| Link::new(link.record().clone(), generation(link));
        let links: Vec<_> = self.links().map(anew).collect();
        self.with_links(links)
    }

    /// With these interfaces in the place of those with their indexes.
    pub fn with_links(mut self, links: Vec<Link>) -> Snapshot {
        links.into_iter().for_each(|link| self.put_link(link));
        self
    }

    /// The keys of all routes for which `wanted` holds.
    #[doc(hidden)]
    pub fn route_keys(&self, wanted: impl Fn(&Arc<Held>) -> bool) -> Vec<RouteKey> {
        let hit = |held: &Arc<Held>| each(held).iter().any(&wanted);
        let v4 = self.routes.v4.iter().filter(|(_, held)| hit(held));
        let v6 = self.routes.v6.iter().filter(|(_, held)| hit(held));
        let v4 = v4.map(|(key, _)| RouteKey::V4(*key));
        let mpls = self.routes.mpls.iter().filter(|(_, held)| hit(held));
        let ip = v4.chain(v6.map(|(key, _)| RouteKey::V6(*key)));
        ip.chain(mpls.map(|(label, _)| RouteKey::Mpls(*label))).collect()
    }
}

/// No undo asks for counters, and they are the larger half of an interface.
fn without_counters(link: &Record) -> Record {
    let mut record = link.clone();
    let counters = link.fields().filter(|(_, row, _)| row.role == Role::Statistic);
    counters.for_each(|(id, ..)| drop(record.remove(id)));
    record
}

pack_struct! {
    Views { addresses, routes, rules, nexthops, neighbours }
    RouteView { only_tables, without_tables, only_protocols, without_protocols, family }
    RuleKey { family, priority }
    NeighbourKey { index, target }
    Remote { dst, port, vni, via }
}

pack_enum!(NeighbourTarget, "kind of neighbour" {
    0 Address(address),
    1 Proxy(address),
    2 Fdb { lladdr, vlan, src_vni, in_master, remote },
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_those_of_their_families() {
        let mut bodies = Bodies::default();
        let families = [2, 10, 28];
        let all = families.map(|family| bodies.intern(family, &[4, 0, 1, 0, 0, 0, 0, 0]));
        let mut list = BodyList::default();
        assert_eq!(all.each_ref().map(|held| list.number(held)), [0, 1, 2]);
        let mut bytes = Vec::new();
        list.pack(&mut bytes);
        let again = BodyList::unpack(&mut &bytes[..], &mut Bodies::default()).unwrap();
        let read: Vec<_> = again.iter().map(|held| held.body().unwrap().family()).collect();
        assert_eq!(read, families);
        assert!(again.iter().zip(&all).all(|(a, b)| a == b));
    }
}
