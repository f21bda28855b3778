//! Snapshots: every interface, address, route, rule, nexthop object and neighbour of one namespace at one moment.
//!
//! Invariants, as sentences about what is absent: no address without its interface; no name in `names` that
//! no interface has; no pair in `ports` that no `IFLA_MASTER` says; no interface with index 0; no neighbour and no
//! VLAN without its interface; no two VLANs of one interface that are that of untagged frames.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use im::{OrdMap, OrdSet};

use super::diff::Diff;
use super::filter::{UnknownAttribute, filter};
use super::neighbours::Neighbours;
use super::nexthops::Nexthops;
use super::routes::Routes;
use super::rules::Rules;
use crate::object::{Address, BridgeVlan, LINK, Link, LinkRef, Names, Tree};

/// What makes an address this one and no other (K28): for IPv4 the interface, the local address, the prefix
/// length and the network of the peer; for IPv6 the interface and the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// The interface's index.
    pub index: u32,
    /// The local address.
    pub local: IpAddr,
    /// The prefix length; 0 for IPv6, where it does not count.
    pub prefix_length: u8,
    /// The network that `IFA_ADDRESS` is in; 0 for IPv6.
    pub network: u32,
}

impl AddressKey {
    /// The key of an address; `None` for one without an IP address.
    pub fn of(address: &Address) -> Option<Self> {
        let local = Some(address.local()).filter(|local| !local.is_unspecified())?;
        let far = address.peer().unwrap_or(local);
        Some(AddressKey::new(address.index(), local, address.prefix_length(), far))
    }

    /// From its parts; `far` is the peer, or the address itself where there is none.
    pub fn new(index: u32, local: IpAddr, prefix_length: u8, far: IpAddr) -> Self {
        match (local, far) {
            (IpAddr::V4(_), IpAddr::V4(far)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length.min(32))).unwrap_or(0);
                AddressKey { index, local, prefix_length, network: u32::from(far) & mask }
            }
            _ => AddressKey { index, local, prefix_length: 0, network: 0 },
        }
    }

    /// The least key that an address of this interface can have.
    fn first_of(index: u32) -> Self {
        AddressKey { index, local: Ipv4Addr::UNSPECIFIED.into(), prefix_length: 0, network: 0 }
    }
}

/// An address and its place among those of its interface.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) address: Address,
    pub(super) order: u64,
}

/// Every interface, address, route, rule, nexthop object and neighbour of one network namespace at one moment.
///
/// A value: taking one is a few pointers, holding one costs what has changed since, and nothing that happens
/// later shows in it. Lookups take no lock.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub(super) revision: u64,
    pub(super) links: OrdMap<u32, Arc<Link>>,
    pub(super) names: OrdSet<(Arc<str>, u32)>,
    pub(super) ports: OrdSet<(u32, u32)>,
    pub(super) addresses: OrdMap<AddressKey, Arc<Placed>>,
    pub(super) routes: Routes,
    pub(super) rules: Rules,
    pub(super) nexthops: Nexthops,
    pub(super) neighbours: Neighbours,
    /// By interface and number.
    pub(super) vlans: OrdMap<(u32, u16), BridgeVlan>,
}

impl Snapshot {
    /// Counts the snapshots of one database: 1 is the first, a later one has a larger number.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The interfaces in the order of their indexes.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(|link| &**link)
    }

    /// How many interfaces there are.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The interface that a name, an alternative name, an index or a handle means.
    pub fn link(&self, which: impl Into<LinkRef>) -> Option<&Link> {
        match which.into() {
            LinkRef::Name(name) => self.link_by_name(&name),
            LinkRef::Index(index) => self.link_by_index(index),
            LinkRef::Handle { index, generation } => {
                self.link_by_index(index).filter(|link| link.generation() == generation)
            }
            LinkRef::New(_) => None,
        }
    }

    /// The interface with this index.
    pub fn link_by_index(&self, index: u32) -> Option<&Link> {
        self.links.get(&index).map(|link| &**link)
    }

    /// The interface with this index, to be kept.
    pub(crate) fn shared_link(&self, index: u32) -> Option<Arc<Link>> {
        self.links.get(&index).cloned()
    }

    /// The interface with this name or alternative name.
    pub fn link_by_name(&self, name: &str) -> Option<&Link> {
        let from: (Arc<str>, u32) = (name.into(), 0);
        let (found, index) = self.names.range(from..).next()?;
        (**found == *name).then(|| self.link_by_index(*index)).flatten()
    }

    /// The interfaces whose attribute has this value, as in `ip -json -details link`: `("info_kind", "bridge")`,
    /// `("operstate", "UP")`, `("mtu", "1500")`. A flag is looked up as `("flags", "UP")`.
    ///
    /// # Errors
    /// When no interface attribute has this name.
    pub fn lookup<'a>(
        &'a self,
        attribute: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = &'a Link> + use<'a>, UnknownAttribute> {
        filter(self.links(), &LINK, DERIVED_KEYS, attribute, value, |link| link.tree(self))
    }

    /// The ports of a bridge, bond, VRF or team, in the order of their indexes.
    pub fn ports_of(&self, master: u32) -> impl Iterator<Item = &Link> {
        let pairs = self.ports.range((master, 0)..=(master, u32::MAX));
        pairs.filter_map(|(_, port)| self.link_by_index(*port))
    }

    /// Every address: by interface, IPv4 first, then by value.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.values().map(|placed| &placed.address)
    }

    /// How many addresses there are.
    pub fn address_count(&self) -> usize {
        self.addresses.len()
    }

    /// The addresses of an interface, as the kernel orders them: IPv4 primaries by scope and age, then the
    /// secondaries; then IPv6 by value.
    pub fn addresses_of(&self, index: u32) -> Vec<&Address> {
        let mut placed: Vec<_> = self.placed_of(index).map(|(_, placed)| placed).collect();
        placed.sort_by_key(|placed| kernel_order(placed));
        placed.into_iter().map(|placed| &placed.address).collect()
    }

    /// The address with this key.
    pub fn address(&self, key: &AddressKey) -> Option<&Address> {
        self.addresses.get(key).map(|placed| &placed.address)
    }

    /// What changed from here to `later`, at the cost of what changed.
    pub fn diff(&self, later: &Snapshot) -> Diff {
        Diff::between(self, later)
    }

    pub(super) fn placed_of(
        &self,
        index: u32,
    ) -> impl Iterator<Item = (&AddressKey, &Arc<Placed>)> {
        let from = AddressKey::first_of(index);
        self.addresses.range(from..).take_while(move |(key, _)| key.index == index)
    }

    /// What `ip -json -details addr` prints: one object per interface, with its addresses in `addr_info`. Routes are not
    /// in it; [`RouteTable::tree`](super::RouteTable::tree) has them.
    pub fn tree(&self) -> Tree {
        Tree::List(self.links().map(|link| self.link_tree(link)).collect())
    }

    fn link_tree(&self, link: &Link) -> Tree {
        let addresses = self.addresses_of(link.index()).into_iter().map(|a| a.tree(self));
        let info = ("addr_info".to_owned(), Tree::List(addresses.collect()));
        match link.tree(self) {
            Tree::Map(mut entries) => {
                entries.push(info);
                Tree::Map(entries)
            }
            other => other,
        }
    }
}

/// Keys of `ip -json` that no row of the table bears as its name.
const DERIVED_KEYS: &[&str] = &["info_kind", "info_slave_kind", "link", "link_index", "flags"];

/// `__inet_insert_ifa` keeps primaries by falling scope, then age, and secondaries behind them by age alone; IPv6
/// follows by value.
fn kernel_order(placed: &Placed) -> (bool, bool, u8, u64, Option<IpAddr>) {
    let address = &placed.address;
    match address.local() {
        IpAddr::V4(_) if address.is_secondary() => (false, true, 0, placed.order, None),
        IpAddr::V4(_) => (false, false, u8::MAX - address.scope().0, placed.order, None),
        other => (true, false, 0, 0, Some(other)),
    }
}

impl Names for Snapshot {
    fn name_of(&self, index: u32) -> Option<&str> {
        self.link_by_index(index).map(Link::name)
    }

    fn is_up(&self, index: u32) -> Option<bool> {
        self.link_by_index(index).map(Link::is_up)
    }
}

/// As `ip addr` reads: each interface on a line, its addresses indented under it. Routes are not in it; a
/// [`RouteTable`](super::RouteTable) prints them.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for link in self.links() {
            writeln!(f, "{}", link.line(self))?;
            for address in self.addresses_of(link.index()) {
                writeln!(f, "    {address}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("links", &self.links().map(Link::name).collect::<Vec<_>>())
            .field("addresses", &self.addresses.len())
            .field("routes", &self.routes.count())
            .finish()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Snapshot {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.tree().serialize(to)
    }
}
