//! Neighbours, proxies and forwarding entries, by what the kernel tells them apart by; and their reading.
//!
//! Never here: one without its interface, whose removal its own may follow (K38); what the kernel makes and removes
//! without a word and `ip neigh show` leaves out (states `NONE` and `NOARP`: mappings of multicast addresses, the
//! loopback's); the receive filters of devices, which a dump of `AF_BRIDGE` mixes with forwarding entries and which are
//! as silent; two ports of a bridge for one address of one VLAN.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use im::OrdMap;

use super::Snapshot;
use super::filter::{UnknownAttribute, filter};
use crate::object::neighbour::row;
use crate::object::show::printed_list;
use crate::object::{
    BridgeVlan, Link, NEIGHBOUR, Names, Neighbour, NeighbourFlags, Record, Tree, Value,
};
use crate::wire::HardwareAddress;

/// What makes a neighbour, a proxy or a forwarding entry this one and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// The interface behind which it is; 0 for a proxy on every interface.
    pub index: u32,
    /// The address.
    pub target: NeighbourTarget,
}

/// What a neighbour is looked up by on its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NeighbourTarget {
    /// The IP address of a neighbour.
    Address(IpAddr),
    /// An IP address that this machine answers for.
    Proxy(IpAddr),
    /// An entry of a forwarding table.
    Fdb {
        /// The link-layer address.
        lladdr: HardwareAddress,
        /// The VLAN, 1 to 4094; 0 for none.
        vlan: u16,
        /// The network identifier that packets come from, of a tunnel that has several; 0 for none.
        src_vni: u32,
        /// Whether it stands in the table of the bridge that the interface is a port of, and not in the interface's own: a
        /// tunnel that is a port has entries in both.
        in_master: bool,
        /// Where the tunnel leads: only of multicast addresses and of zero there can be several.
        remote: Option<Remote>,
    },
}

/// Where a tunnel's forwarding entry leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote {
    /// The other end.
    pub dst: Option<IpAddr>,
    /// Its UDP port; 0 for the tunnel's own.
    pub port: u16,
    /// Its network identifier; 0 for the tunnel's own.
    pub vni: u32,
    /// The interface by which it is reached; 0 for any.
    pub via: u32,
}

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_BRIDGE: u64 = 7;

impl NeighbourKey {
    /// The key of a neighbour, or of a request for one; `None` for one without an address.
    pub fn of(neighbour: &Record) -> Option<Self> {
        let index = neighbour.number(row::INDEX) as u32;
        let proxy = neighbour.number(row::FLAGS) & u64::from(NeighbourFlags::PROXY.0) != 0;
        let target = match neighbour.number(row::FAMILY) {
            AF_INET | AF_INET6 if proxy => NeighbourTarget::Proxy(destination(neighbour)?),
            AF_INET | AF_INET6 => NeighbourTarget::Address(destination(neighbour)?),
            AF_BRIDGE => fdb_target(neighbour)?,
            _ => return None,
        };
        Some(NeighbourKey { index, target })
    }

    /// The key of a neighbour of IPv4 or IPv6.
    pub fn address(index: u32, address: IpAddr) -> Self {
        NeighbourKey { index, target: NeighbourTarget::Address(address) }
    }

    /// The key of the same forwarding entry at another port of its bridge, or of the bridge itself.
    fn at(&self, index: u32, is_port: bool) -> Self {
        let mut other = NeighbourKey { index, ..*self };
        if let NeighbourTarget::Fdb { in_master, .. } = &mut other.target {
            *in_master = is_port;
        }
        other
    }

    /// The least key that a neighbour of this interface can have.
    fn first_of(index: u32) -> Self {
        NeighbourKey::address(index, Ipv4Addr::UNSPECIFIED.into())
    }

    /// Whether it is a forwarding entry.
    pub fn is_fdb(&self) -> bool {
        matches!(self.target, NeighbourTarget::Fdb { .. })
    }

    /// Whether it is a proxy.
    pub fn is_proxy(&self) -> bool {
        matches!(self.target, NeighbourTarget::Proxy(_))
    }
}

fn destination(neighbour: &Record) -> Option<IpAddr> {
    match neighbour.value(row::DST)? {
        Value::V4(address) => Some((*address).into()),
        Value::V6(address) => Some((*address).into()),
        _ => None,
    }
}

/// `vxlan_fdb_append` takes a second remote only for multicast addresses and zero, `vxlan_fdb_replace` and learning
/// move the one of any other without a word of the old one; a bridge knows one port for each.
fn fdb_target(entry: &Record) -> Option<NeighbourTarget> {
    let Value::Hardware(lladdr) = entry.value(row::LLADDR)? else { return None };
    let number = |id| entry.number(id) as u32;
    let bytes = lladdr.as_bytes();
    let several =
        bytes.first().is_some_and(|first| first & 1 != 0) || bytes.iter().all(|b| *b == 0);
    let remote = Remote {
        dst: destination(entry),
        port: number(row::PORT) as u16,
        vni: number(row::VNI),
        via: number(row::IFINDEX),
    };
    let nowhere = Remote { dst: None, port: 0, vni: 0, via: 0 };
    Some(NeighbourTarget::Fdb {
        lladdr: *lladdr,
        vlan: number(row::VLAN) as u16,
        src_vni: number(row::SRC_VNI),
        in_master: match number(row::MASTER) {
            // A request says it by a flag, and so does what stands elsewhere than in a bridge.
            0 => number(row::FLAGS) & u32::from(NeighbourFlags::MASTER.0) != 0,
            // A bridge's own entries say that it is their master.
            master => master != number(row::INDEX),
        },
        remote: (several && remote != nowhere).then_some(remote),
    })
}

/// Whether the kernel announces such a one: see the module's head. A receive filter has no times.
fn is_kept(neighbour: &Neighbour) -> bool {
    match neighbour.is_fdb() {
        true => neighbour.record().value(row::CACHEINFO).is_some(),
        false => is_shown(neighbour),
    }
}

/// Whether `ip neigh show` shows such a neighbour or proxy.
pub fn is_shown(neighbour: &Neighbour) -> bool {
    const NOARP: u16 = 0x40;
    let flags = neighbour.flags();
    neighbour.state().0 & !NOARP != 0
        || flags.contains(NeighbourFlags::PROXY)
        || flags.contains(NeighbourFlags::EXT_LEARNED)
}

/// Every neighbour of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours {
    /// Whether they are followed at all.
    pub(super) followed: bool,
    pub(super) map: OrdMap<NeighbourKey, Arc<Neighbour>>,
}

impl Neighbours {
    pub(super) fn of(&self, index: u32) -> impl Iterator<Item = (&NeighbourKey, &Arc<Neighbour>)> {
        let from = NeighbourKey::first_of(index);
        self.map.range(from..).take_while(move |(key, _)| key.index == index)
    }

    /// Takes out those of an interface for which `gone` holds; `false` when there was none.
    pub(super) fn evict(&mut self, index: u32, gone: impl Fn(&NeighbourKey) -> bool) -> bool {
        let keys: Vec<_> = self.of(index).map(|(key, _)| *key).filter(gone).collect();
        keys.iter().for_each(|key| drop(self.map.remove(key)));
        !keys.is_empty()
    }

    /// Forwarding entries by a nexthop object go with it without a word (`vxlan_fdb_nh_flush`).
    pub(super) fn evict_nexthop(&mut self, id: u32) {
        let by = self.map.iter().filter(|(_, entry)| entry.nh_id() == Some(id));
        let keys: Vec<_> = by.map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| drop(self.map.remove(key)));
    }
}

impl Snapshot {
    /// A neighbour is there. `false` when it was, with the same attributes, or is none that is kept.
    pub(super) fn neighbour_is(&mut self, neighbour: Neighbour) -> bool {
        let Some(key) = NeighbourKey::of(neighbour.record()) else { return false };
        let everywhere = key.index == 0 && key.is_proxy();
        if !everywhere && !self.links.contains_key(&key.index) {
            return false;
        }
        if !is_kept(&neighbour) {
            // One that has become `NOARP` has left what `ip neigh show` shows.
            return !key.is_fdb() && self.neighbours.map.remove(&key).is_some();
        }
        let known = self.neighbours.map.get(&key);
        if known.is_some_and(|old| old.record().same(neighbour.record())) {
            return false;
        }
        if known.is_none() {
            self.forget_at_other_ports(&key, &neighbour);
        }
        self.neighbours.map.insert(key, Arc::new(neighbour));
        true
    }

    /// An address that a bridge sees at another port is announced there, and not taken back where it was
    /// (`br_fdb_update`).
    fn forget_at_other_ports(&mut self, key: &NeighbourKey, entry: &Neighbour) {
        let Some(bridge) = entry.master().filter(|_| key.is_fdb()) else { return };
        let ports: Vec<_> = self.ports_of(bridge).map(crate::object::Link::index).collect();
        for index in ports.into_iter().chain([bridge]).filter(|index| *index != key.index) {
            let other = key.at(index, index != bridge);
            let own = |old: &Arc<Neighbour>| old.master() == Some(bridge);
            if self.neighbours.map.get(&other).is_some_and(own) {
                self.neighbours.map.remove(&other);
            }
        }
    }

    /// A neighbour is gone. `false` when it was not known.
    pub(super) fn neighbour_gone(&mut self, neighbour: &Neighbour) -> bool {
        if neighbour.is_fdb() && !is_kept(neighbour) {
            return false;
        }
        let key = NeighbourKey::of(neighbour.record());
        key.is_some_and(|key| self.neighbours.map.remove(&key).is_some())
    }

    /// A port has left this bridge, which keeps no entry for it. That for the port's own address may be another's now, see
    /// [`Snapshot::own_entry`].
    pub(super) fn forget_entries(&mut self, port: u32, bridge: u32) {
        let its = |entry: &Neighbour| entry.is_fdb() && entry.master() == Some(bridge);
        let own = self.neighbours.of(port).filter(|(_, entry)| its(entry));
        let keys: Vec<_> = own.map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| drop(self.neighbours.map.remove(key)));
    }

    /// Whether an entry for a port's own address stands here still in one of these VLANs, which the port has no more: then
    /// it is another's, see [`Snapshot::own_entry`].
    pub(super) fn keeps_own_entry(&self, port: u32, vlans: &[BridgeVlan]) -> bool {
        let own = self.link_by_index(port).and_then(Link::address);
        let is_own = |key: &NeighbourKey| match key.target {
            NeighbourTarget::Fdb { lladdr, vlan, .. } => {
                own == Some(lladdr) && vlans.iter().any(|gone| gone.vid() == vlan)
            }
            _ => false,
        };
        self.neighbours.of(port).any(|(key, _)| is_own(key))
    }

    /// The bridge that has entries for the own address of this port, or of itself, and the address. The kernel gives such
    /// an entry that would go to another port with that address, or to the bridge, and does not say so
    /// (`fdb_delete_local`).
    pub(super) fn own_entry(&self, index: u32) -> Option<(u32, HardwareAddress)> {
        let link = self.link_by_index(index)?;
        let is_bridge = |index: &u32| {
            self.link_by_index(*index).is_some_and(|link| link.kind() == Some("bridge"))
        };
        let bridge = [Some(index), link.master()].into_iter().flatten().find(is_bridge)?;
        Some((bridge, link.address()?))
    }

    /// The neighbours of IPv4 and IPv6; [`NeighbourList::fdb`] and [`NeighbourList::proxies`] lead to the others.
    ///
    /// None where they are not followed: they are when a database is opened so, see [`Snapshot::follows_neighbours`].
    pub fn neighbours(&self) -> NeighbourList<'_> {
        NeighbourList { snapshot: self, kind: Kind::Address, index: None }
    }

    /// Whether neighbours are followed: a database does when it is opened so (`Db::builder().neighbours(true)`).
    pub fn follows_neighbours(&self) -> bool {
        self.neighbours.followed
    }

    /// What is behind some interfaces, by its keys.
    pub fn neighbours_over(
        &self,
        links: &BTreeSet<u32>,
    ) -> impl Iterator<Item = (&NeighbourKey, &Arc<Neighbour>)> {
        links.iter().flat_map(|index| self.neighbours.of(*index))
    }

    /// Forwarding entries that a nexthop object leads on, by their keys.
    pub fn neighbours_by_nexthop(&self) -> impl Iterator<Item = (&NeighbourKey, &Arc<Neighbour>)> {
        self.neighbours.map.iter().filter(|(_, entry)| entry.nh_id().is_some())
    }

    /// The neighbour, proxy or forwarding entry with this key.
    pub fn neighbour(&self, key: &NeighbourKey) -> Option<&Arc<Neighbour>> {
        self.neighbours.map.get(key)
    }
}

/// The neighbours, the proxies or the forwarding entries of one namespace, or of one interface, at one moment; from
/// [`Snapshot::neighbours`].
///
/// They come in the order of interfaces and addresses. The states `INCOMPLETE` and `DELAY`, and that a forwarding entry
/// is `stale`, the kernel does not announce; proxies it announces neither when they are made nor when they are removed:
/// these are as when they were last read.
///
/// ```
/// use netlinkdb::{Db, NetNs};
///
/// NetNs::enter_private()?;
/// let db = Db::builder().neighbours(true).open()?;
/// let now = db.snapshot();
/// assert!(now.follows_neighbours() && now.neighbours().is_empty());
/// assert!(now.neighbours().get(1, "10.0.0.1".parse().unwrap()).is_none());
/// assert_eq!(now.neighbours().fdb().of(1).iter().count(), 0);
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NeighbourList<'a> {
    snapshot: &'a Snapshot,
    kind: Kind,
    index: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Address,
    Proxy,
    Fdb,
}

impl<'a> NeighbourList<'a> {
    /// Only those behind the interface with this index.
    pub fn of(self, index: u32) -> Self {
        NeighbourList { index: Some(index), ..self }
    }

    /// The addresses that this machine answers for.
    pub fn proxies(self) -> Self {
        NeighbourList { kind: Kind::Proxy, ..self }
    }

    /// The forwarding entries of bridges and tunnels.
    pub fn fdb(self) -> Self {
        NeighbourList { kind: Kind::Fdb, ..self }
    }

    /// All of this kind.
    pub fn iter(self) -> impl Iterator<Item = &'a Neighbour> + use<'a> {
        let first = NeighbourKey::first_of(self.index.unwrap_or(0));
        let last = self.index.unwrap_or(u32::MAX);
        let all = self.snapshot.neighbours.map.range(first..);
        let all = all.take_while(move |(key, _)| key.index <= last);
        all.filter(move |(key, _)| self.kind == Kind::of(key)).map(|(_, neighbour)| &**neighbour)
    }

    /// The neighbour, or of [`NeighbourList::proxies`] the proxy, with this address behind the interface with this
    /// index.
    pub fn get(self, index: u32, address: IpAddr) -> Option<&'a Neighbour> {
        let target = match self.kind {
            Kind::Address => NeighbourTarget::Address(address),
            Kind::Proxy => NeighbourTarget::Proxy(address),
            Kind::Fdb => return None,
        };
        self.snapshot.neighbour(&NeighbourKey { index, target }).map(|neighbour| &**neighbour)
    }

    /// Those whose attribute has this value, as in `ip -json neigh` and `bridge -json fdb`: `("lladdr",
    /// "02:00:00:00:00:01")`, `("state", "REACHABLE")`, `("dev", "eth0")`, of forwarding entries `("mac", ...)`.
    ///
    /// # Errors
    /// When no attribute of neighbours has this name.
    pub fn filter(
        self,
        attribute: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = &'a Neighbour> + use<'a>, UnknownAttribute> {
        let names = self.snapshot;
        filter(self.iter(), &NEIGHBOUR, DERIVED_KEYS, attribute, value, |one| one.tree(names))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// What `ip -json neigh show` prints, `ip -json neigh show proxy` of proxies, `bridge -json fdb show` of forwarding
    /// entries.
    pub fn tree(self) -> Tree {
        let names: &dyn Names = self.snapshot;
        Tree::List(self.iter().map(|neighbour| neighbour.tree(names)).collect())
    }
}

impl Kind {
    fn of(key: &NeighbourKey) -> Kind {
        match key.target {
            NeighbourTarget::Address(_) => Kind::Address,
            NeighbourTarget::Proxy(_) => Kind::Proxy,
            NeighbourTarget::Fdb { .. } => Kind::Fdb,
        }
    }
}

/// Keys of `ip -json neigh` and `bridge -json fdb` that no row of the table bears as its name.
const DERIVED_KEYS: &[&str] =
    &["mac", "ifname", "router", "proxy", "extern_learn", "offload", "managed", "extern_valid"];

printed_list! {
    /// As `ip neigh show` and `bridge fdb show` read: a line for each.
    NeighbourList of iter
}
