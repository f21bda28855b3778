//! The next state from one event: upserts and removals, with the indexes kept right.

use std::sync::Arc;

use super::snapshot::Placed;
use super::{AddressKey, Event, LinkEvent, NeighbourKey, Snapshot};
use crate::object::kinds::hsr::without_port;
use crate::object::link::row;
use crate::object::{Address, Link, Record, Value};

/// What applying an event has shown besides the new state: where the kernel may have changed more than it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing is in doubt.
    None,
    /// The link is new, and its first notification may lack what was set up after it: the other end of a veth,
    /// the parameters of a tun (K34).
    Appeared,
    /// The link is gone, and was a port of this master; who refers to it by `IFLA_LINK` gets no event (K32, K36).
    Gone(Option<u32>),
    /// The link may have left its bridge: the kernel says the same of a port of which a VLAN is deleted by `RTM_DELVLAN`
    /// (`br_vlan_rtm_process_one`). Of one that leaves, the link itself tells right behind it (K30).
    Left,
    /// The link has changed its master. A bridge takes limits from its ports, and ports stop being backed by one
    /// that leaves, in silence.
    Moved(Option<u32>, Option<u32>),
    /// The mtu has crossed 1280 bytes: IPv6 leaves the link or comes back after the notification.
    Inet6,
    /// The interface has lost its last IPv4 address, and with it every IPv4 route over it (K5).
    Unaddressed,
    /// Untagged frames are of another VLAN now. That of before may be gone: a bridge that is told another default takes
    /// the former one away without a word (`__br_vlan_set_default_pvid`).
    Repvid,
    /// VLANs of a port are gone, and the entry for its own address in one of them may be another's now, without a word
    /// (`fdb_delete_local`).
    Inherited,
    /// The link went down; IPv6 addresses that stay (keep_addr_on_down) become tentative in silence (K27).
    WentDown,
}

impl Snapshot {
    /// The same after `event`: a state that is wished for, and not one that the kernel has told.
    #[doc(hidden)]
    pub fn saying(&self, event: Event) -> Snapshot {
        let mut wished = self.clone();
        wished.apply(event, u64::MAX);
        wished
    }

    /// Makes this the state after `event`. `stamp` is a number that grows with every event.
    pub(super) fn apply(&mut self, event: Event, stamp: u64) -> Doubt {
        match event {
            Event::Link(index, LinkEvent::Is(record)) => {
                return self.link_is(index, *record, stamp);
            }
            Event::Link(index, LinkEvent::Gone { .. }) => {
                let master = self.link_by_index(index).and_then(Link::master);
                self.remove_link(index);
                return Doubt::Gone(master);
            }
            Event::Link(index, LinkEvent::PortIs(port)) => self.port_is(index, *port),
            Event::Link(_, LinkEvent::PortGone) => return Doubt::Left,
            Event::AddressNew(address) => self.address_is(address, stamp),
            // Routes are put by the follower, which has their bodies.
            Event::Route { .. } => {}
            Event::NexthopNew(nexthop) => drop(self.nexthops.put(nexthop)),
            Event::NexthopGone(id) => drop(self.nexthops.remove([id].into())),
            Event::RuleNew(rule) => self.rules.add(rule),
            Event::RuleGone(rule) => drop(self.rules.take(&rule)),
            Event::NeighbourNew(neighbour) => drop(self.neighbour_is(neighbour)),
            Event::NeighbourGone(neighbour) => drop(self.neighbour_gone(&neighbour)),
            Event::VlansNew(index, all) => return self.vlans_are(index, &all),
            Event::VlansGone(index, all) => {
                self.vlans_gone(index, &all);
                if self.keeps_own_entry(index, &all) {
                    return Doubt::Inherited;
                }
            }
            Event::AddressGone(address) => {
                let key = AddressKey::of(&address);
                let gone = key.is_some_and(|key| self.addresses.remove(&key).is_some());
                if let Some(key) = key.filter(|key| gone && key.local.is_ipv4()) {
                    let mut left = self.placed_of(key.index);
                    if !left.any(|(key, _)| key.local.is_ipv4()) {
                        return Doubt::Unaddressed;
                    }
                }
            }
        }
        Doubt::None
    }

    fn link_is(&mut self, index: u32, record: Record, stamp: u64) -> Doubt {
        let old = self.links.get(&index).cloned();
        let generation = old.as_ref().map_or(stamp, |link| link.generation());
        let link = Link::new(record, generation);
        let down = old.as_ref().is_some_and(|old| old.is_up() && !link.is_up());
        let crossed = old.as_ref().is_some_and(|old| (old.mtu() < 1280) != (link.mtu() < 1280));
        let masters = (old.as_ref().and_then(|old| old.master()), link.master());
        if let (Some(former), true) = (masters.0, masters.0 != masters.1) {
            self.leave_bridge(index);
            self.forget_entries(index, former);
        }
        self.put_link(link);
        match old {
            None => Doubt::Appeared,
            Some(_) if down => Doubt::WentDown,
            Some(_) if crossed => Doubt::Inet6,
            Some(_) if masters.0 != masters.1 => Doubt::Moved(masters.0, masters.1),
            Some(_) => Doubt::None,
        }
    }

    /// Puts a link in the place of the one with its index, and mends what is looked up by.
    pub(super) fn put_link(&mut self, link: Link) {
        let index = link.index();
        match self.links.get(&index).cloned() {
            Some(old) if old.name() == link.name() && old.altnames() == link.altnames() => {
                self.move_port(index, old.master(), link.master());
            }
            Some(old) => {
                self.forget_names(&old);
                self.learn_names(&link);
                self.move_port(index, old.master(), link.master());
            }
            None => {
                self.learn_names(&link);
                self.move_port(index, None, link.master());
            }
        }
        self.links.insert(index, Arc::new(link));
    }

    pub(super) fn remove_link(&mut self, index: u32) {
        let Some(old) = self.links.remove(&index) else { return };
        self.forget_names(&old);
        self.move_port(index, old.master(), None);
        self.remove_what_is_on(index);
    }

    /// Addresses, neighbours and VLANs of an interface, which go with it.
    pub(super) fn remove_what_is_on(&mut self, index: u32) {
        let keys: Vec<_> = self.placed_of(index).map(|(key, _)| *key).collect();
        for key in keys {
            self.addresses.remove(&key);
        }
        self.neighbours.evict(index, |_| true);
        self.evict_vlans(index);
    }

    fn port_is(&mut self, index: u32, port: Record) {
        self.change_link(index, |record| {
            // A port message that overtakes nothing: the link itself already says that it has a master.
            if record.number(row::MASTER) != 0 {
                record.set(row::PORT_KIND, "bridge".into());
                record.set(row::PORT, Value::Nested(Box::new(port)));
            }
        });
    }

    /// An HSR or PRP interface loses a port that is gone.
    pub(super) fn leave_ring(&mut self, ring: u32, port: u32) {
        self.change_link(ring, |record| {
            let left = record.value(row::DATA).and_then(Value::nested);
            if let Some(left) = left.map(|options| without_port(options, port)) {
                record.set(row::DATA, Value::Nested(Box::new(left)));
            }
        });
    }

    fn change_link(&mut self, index: u32, change: impl FnOnce(&mut Record)) {
        let Some(old) = self.links.get(&index) else { return };
        let mut record = old.record().clone();
        change(&mut record);
        let link = Link::new(record, old.generation());
        self.put_link(link);
    }

    fn address_is(&mut self, address: Address, stamp: u64) {
        let Some(key) = AddressKey::of(&address) else { return };
        // IPv6's timers may still speak of an address whose interface is gone: it is not there (as K38 for
        // neighbours).
        if !self.links.contains_key(&key.index) {
            return;
        }
        // A secondary that becomes primary moves behind the primaries (`__inet_del_ifa`).
        let order = match self.addresses.get(&key) {
            Some(old) if old.address.is_secondary() == address.is_secondary() => old.order,
            _ => stamp,
        };
        self.addresses.insert(key, Arc::new(Placed { address, order }));
    }

    fn learn_names(&mut self, link: &Link) {
        for name in std::iter::once(link.name()).chain(link.altnames().iter().map(|n| &**n)) {
            self.names.insert((name.into(), link.index()));
        }
    }

    fn forget_names(&mut self, link: &Link) {
        for name in std::iter::once(link.name()).chain(link.altnames().iter().map(|n| &**n)) {
            self.names.remove(&(std::sync::Arc::<str>::from(name), link.index()));
        }
    }

    fn move_port(&mut self, port: u32, from: Option<u32>, to: Option<u32>) {
        if from == to {
            return;
        }
        if let Some(master) = from {
            self.ports.remove(&(master, port));
        }
        if let Some(master) = to {
            self.ports.insert((master, port));
        }
    }

    /// Panics unless the indexes say what the objects say. For tests and fuzzing.
    #[doc(hidden)]
    pub fn check(&self) {
        let names: usize = self.links().map(distinct_names).sum();
        assert_eq!(names, self.names.len(), "names");
        for link in self.links() {
            assert_ne!(link.index(), 0);
            assert!(self.names.contains(&(link.name().into(), link.index())), "name of {link:?}");
            if let Some(master) = link.master() {
                assert!(self.ports.contains(&(master, link.index())), "port {link:?}");
            }
        }
        let ports = self.links().filter(|link| link.master().is_some()).count();
        assert_eq!(ports, self.ports.len(), "ports");
        for (key, placed) in &self.addresses {
            assert_eq!(AddressKey::of(&placed.address), Some(*key));
            assert!(self.links.contains_key(&key.index), "address without interface: {key:?}");
        }
        self.rules.check();
        self.nexthops.check(|index| self.links.contains_key(&index));
        for (key, neighbour) in &self.neighbours.map {
            assert_eq!(NeighbourKey::of(neighbour.record()), Some(*key));
            let everywhere = key.index == 0 && key.is_proxy();
            let there = everywhere || self.links.contains_key(&key.index);
            assert!(there, "neighbour without interface: {key:?}");
        }
        self.check_vlans();
    }
}

fn distinct_names(link: &Link) -> usize {
    let all = std::iter::once(link.name()).chain(link.altnames().iter().map(|n| &**n));
    all.collect::<std::collections::BTreeSet<_>>().len()
}
