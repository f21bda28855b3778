//! Reading routes: tables of a snapshot, exact and longest-prefix lookups.

use std::net::IpAddr;
use std::sync::Arc;

use im::OrdMap;
use ipnet::IpNet;

use super::Snapshot;
use super::filter::{UnknownAttribute, filter};
use super::routes::{Held, each};
use crate::object::route::{ROUTE, Route, RouteKey, RouteKey4, RouteKey6, RouteSpec, TABLE_MAIN};
use crate::object::show::printed_list;
use crate::object::{Family, Link, LinkRef, Tree};

/// The routes of one table, or of all, or those of MPLS, at one moment; from [`Snapshot::routes`].
///
/// Routes come in the order of their tables, prefixes, TOS and priorities, IPv4 before IPv6; those that share all of
/// these in the kernel's order, of which the first is used. What the kernel flips by itself (the flags `dead`,
/// `linkdown` and `offload`, how long a route still lasts) is not kept.
///
/// ```
/// use netlinkdb::{Db, NetNs};
///
/// NetNs::enter_private()?;
/// let db = Db::open()?;
/// assert!(db.snapshot().routes().all().is_empty());
/// db.interface("lo")?.up().commit()?;
///
/// // The kernel's own routes to this machine are in the table `local`.
/// let now = db.sync()?;
/// assert!(now.routes().is_empty() && now.tables().contains(&255));
/// let local = now.routes().table(255);
/// let route = local.lookup("127.1.2.3".parse().unwrap()).expect("lo is up");
/// assert_eq!(route.destination(), Some("127.0.0.0/8".parse().unwrap()));
/// assert_eq!(route.line(&now), "local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1");
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RouteTable<'a> {
    snapshot: &'a Snapshot,
    table: Which,
}

/// Which routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those of IPv4 and IPv6 in this table.
    Table(u32),
    /// Those of IPv4 and IPv6 in every table.
    All,
    Mpls,
}

impl Snapshot {
    /// The routes of the main table (254); [`RouteTable::table`] and [`RouteTable::all`] lead to the others,
    /// [`RouteTable::mpls`] to those of MPLS.
    ///
    /// None where routes are not followed, see [`Snapshot::follows_routes`].
    pub fn routes(&self) -> RouteTable<'_> {
        RouteTable { snapshot: self, table: Which::Table(TABLE_MAIN) }
    }

    /// Whether every route is followed, in every table, and of MPLS. A database may leave out all (`Db::builder().routes(false)`)
    /// or some (`ignore_tables`, `only_tables`, `ignore_protocols`, `only_protocols`, `route_family`): then what is not
    /// here may still be there. Of a single table [`Snapshot::follows_table`] says more.
    pub fn follows_routes(&self) -> bool {
        self.routes.followed && self.routes.view.is_all()
    }

    /// Whether every route of a table is followed, of both families and all protocols: only then a route that is not
    /// here is not there.
    pub fn follows_table(&self, table: u32) -> bool {
        self.routes.followed && self.routes.view.is_whole(table)
    }

    /// Whether every MPLS route is followed. On a kernel without MPLS (`CONFIG_MPLS_ROUTING`, the module `mpls_router`)
    /// there are none.
    pub fn follows_mpls(&self) -> bool {
        self.routes.followed && self.routes.view.has_all_mpls()
    }

    /// The routing tables that have routes of either family, by number, 1 to 4294967295.
    pub fn tables(&self) -> Vec<u32> {
        let mut tables = tables_of(
            &self.routes.v4,
            |key| key.table,
            |table| RouteKey4 { table, ..RouteKey4::default() },
        );
        tables.extend(tables_of(
            &self.routes.v6,
            |key| key.table,
            |table| RouteKey6 { table, ..RouteKey6::default() },
        ));
        tables.sort_unstable();
        tables.dedup();
        tables
    }
}

/// Jumps from table to table.
fn tables_of<K: Ord + Clone>(
    map: &OrdMap<K, Arc<Held>>,
    table: fn(&K) -> u32,
    first: fn(u32) -> K,
) -> Vec<u32> {
    let mut tables = Vec::new();
    let mut from = Some(0u32);
    while let Some((key, _)) = from.and_then(|from| map.range(first(from)..).next()) {
        tables.push(table(key));
        from = table(key).checked_add(1);
    }
    tables
}

impl<'a> RouteTable<'a> {
    /// Another table, 1 to 4294967295: 254 is main, 255 local, 253 default.
    pub fn table(self, table: u32) -> Self {
        RouteTable { table: Which::Table(table), ..self }
    }

    /// Every table of IPv4 and IPv6.
    pub fn all(self) -> Self {
        RouteTable { table: Which::All, ..self }
    }

    /// The MPLS routes, in the order of their labels. They are in a table of their own, although the kernel calls it main
    /// too: none of them is in [`RouteTable::all`].
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// # let db = netlinkdb::Db::open()?;
    /// let now = db.snapshot();
    /// for route in now.routes().mpls().iter() {
    ///     println!("{:?}: {}", route.label(), route.line(&now)); // 100 as to 200 via inet 10.0.0.2 dev eth0
    /// }
    /// assert!(now.routes().mpls().label(100).is_none() && now.follows_mpls());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn mpls(self) -> Self {
        RouteTable { table: Which::Mpls, ..self }
    }

    /// The MPLS route of a label.
    pub fn label(self, label: u32) -> Option<Route> {
        let key = RouteKey::Mpls(label);
        self.snapshot.routes.mpls.get(&label).and_then(|held| routes(key, held).next())
    }

    /// The routes, decoded one by one as they are taken.
    pub fn iter(self) -> impl Iterator<Item = Route> + use<'a> {
        let (from, to) = match self.table {
            Which::Table(table) => (table, table),
            Which::All => (0, u32::MAX),
            Which::Mpls => (1, 0),
        };
        let labels = (self.table == Which::Mpls).then_some(&self.snapshot.routes.mpls);
        let labels = labels.into_iter().flatten();
        let first4 = RouteKey4 { table: from, ..RouteKey4::default() };
        let first6 = RouteKey6 { table: from, ..RouteKey6::default() };
        let v4 =
            self.snapshot.routes.v4.range(first4..).take_while(move |(key, _)| key.table <= to);
        let v6 =
            self.snapshot.routes.v6.range(first6..).take_while(move |(key, _)| key.table <= to);
        let v4 = v4.flat_map(|(key, held)| routes(RouteKey::V4(*key), held));
        let v6 = v6.flat_map(|(key, held)| routes(RouteKey::V6(*key), held));
        v4.chain(v6).chain(labels.flat_map(|(label, held)| routes(RouteKey::Mpls(*label), held)))
    }

    /// The routes of which a way leaves by the interface with this index. It looks at every route.
    pub fn over(self, index: u32) -> impl Iterator<Item = Route> + use<'a> {
        self.iter().filter(move |route| {
            route.oif() == Some(index) || route.hops().any(|hop| hop.oif() == Some(index))
        })
    }

    /// The routes whose attribute has this value, as in `ip -json -details route`: `("gateway", "10.0.0.2")`,
    /// `("dev", "eth0")`, `("protocol", "static")`, `("dst", "10.2.0.0/16")`. It looks at every route.
    ///
    /// # Errors
    /// When no attribute of routes has this name.
    pub fn filter(
        self,
        attribute: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = Route> + use<'a>, UnknownAttribute> {
        let names = self.snapshot;
        filter(self.iter(), &ROUTE, DERIVED_KEYS, attribute, value, |route| route.tree(names))
    }

    /// How many routes there are.
    pub fn len(self) -> usize {
        match self.table {
            Which::All => self.snapshot.routes.count(),
            Which::Mpls => self.snapshot.routes.mpls.len(),
            Which::Table(_) => self.iter().count(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// The routes to exactly this prefix, every TOS and priority of it, the least first. Bits of the address beyond the
    /// prefix do not count. Of [`RouteTable::all`] those of the main table; none of [`RouteTable::mpls`].
    ///
    /// ```
    /// # use netlinkdb::{Bridge, Db, NetNs};
    /// # NetNs::enter_private()?;
    /// # let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0"))?;
    /// tx.interface(&br0).add_ip("192.0.2.1/24")?.up();
    /// tx.commit()?;
    /// let now = db.sync()?;
    /// let routes = now.routes().get("192.0.2.0/24".parse().unwrap());
    /// assert_eq!(routes.len(), 1);
    /// assert_eq!(routes[0].prefsrc(), Some("192.0.2.1".parse().unwrap()));
    /// assert!(now.routes().get("192.0.2.0/25".parse().unwrap()).is_empty());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn get(self, prefix: IpNet) -> Vec<Route> {
        let Some(table) = self.ip_table() else { return Vec::new() };
        self.to(RouteKey::first_of(table, prefix)).collect()
    }

    /// The route that the words mean: what they do not name does not count, but for the destination. Of several that
    /// fit, the one with the least TOS and priority, and of those the one that the kernel uses. In this table, or in the
    /// first one that has it of [`RouteTable::all`]; words that name another table find none.
    ///
    /// ```
    /// # use netlinkdb::{Db, NetNs};
    /// use netlinkdb::Route;
    /// # NetNs::enter_private()?;
    /// # let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.interface("lo").up();
    /// tx.add_route(Route::to("10.2.0.0/16").blackhole().priority(20))?;
    /// tx.add_route(Route::to("10.2.0.0/16").dev("lo").priority(30).tos(4).table(100))?;
    /// tx.commit()?;
    /// let now = db.sync()?;
    /// let (main, all) = (now.routes(), now.routes().all());
    /// assert_eq!(main.find(&Route::to("10.2.0.0/16")).unwrap().priority(), 20);
    /// assert!(main.find(&Route::to("10.2.0.0/16").priority(30)).is_none());
    /// assert_eq!(all.find(&Route::to("10.2.0.0/16").dev("lo").tos(4)).unwrap().table(), 100);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn find(self, spec: &RouteSpec) -> Option<Route> {
        let index = |link: &LinkRef| self.snapshot.link(link.clone()).map(Link::index);
        let in_table = |table: u32| {
            let spec = spec.clone().table(table);
            let found = self.to(spec.place()?).find(|route| spec.selects(route, index));
            found.filter(|route| (route.family() == Family::MPLS) == (self.table == Which::Mpls))
        };
        match (self.table, spec.table_number()) {
            (Which::Mpls, _) => in_table(TABLE_MAIN),
            (Which::All, Some(table)) => in_table(table),
            (Which::All, None) => self.snapshot.tables().into_iter().find_map(in_table),
            (Which::Table(own), table) if table.is_none_or(|table| table == own) => in_table(own),
            (Which::Table(_), _) => None,
        }
    }

    /// The routes that are at the keys of a place.
    fn to(self, place: RouteKey) -> impl Iterator<Item = Route> + use<'a> {
        let all = self.snapshot.keyed_routes_to(place);
        let each = all.flat_map(|(key, held)| held.iter().map(move |held| (key, held)));
        each.filter_map(|(key, held)| Some(held.body()?.at(key)))
    }

    /// The table to look up in: of all the main one.
    fn ip_table(self) -> Option<u32> {
        match self.table {
            Which::Table(table) => Some(table),
            Which::All => Some(TABLE_MAIN),
            Which::Mpls => None,
        }
    }

    /// The routes to `0.0.0.0/0` and `::/0`, as [`RouteTable::get`] finds them.
    pub fn default(self) -> Vec<Route> {
        let mut all = self.get(IpNet::V4(Default::default()));
        all.extend(self.get(IpNet::V6(Default::default())));
        all
    }

    /// The route with the longest prefix that an address is in: of several the one with the least TOS and priority,
    /// and of those the one that the kernel uses. In memory, by one table alone, of [`RouteTable::all`] the main one:
    /// rules, TOS and the state of links are the kernel's business. `None` when no route, nor a default one, covers the
    /// address.
    ///
    /// ```
    /// # use netlinkdb::{Bridge, Db, NetNs};
    /// # NetNs::enter_private()?;
    /// # let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0"))?;
    /// tx.interface(&br0).add_ip("192.0.2.1/24")?.add_ip("192.0.2.129/25")?.up();
    /// tx.commit()?;
    /// let now = db.sync()?;
    /// let to = |address: &str| now.routes().lookup(address.parse().unwrap())?.destination();
    /// assert_eq!(to("192.0.2.7"), Some("192.0.2.0/24".parse().unwrap()));
    /// assert_eq!(to("192.0.2.200"), Some("192.0.2.128/25".parse().unwrap()));
    /// assert_eq!(to("198.51.100.1"), None);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn lookup(self, address: IpAddr) -> Option<Route> {
        let table = self.ip_table()?;
        match address {
            IpAddr::V4(address) => {
                let (key, held) = longest_v4(&self.snapshot.routes.v4, table, address.into())?;
                routes(RouteKey::V4(key), held).next()
            }
            IpAddr::V6(address) => {
                let (key, held) = longest_v6(&self.snapshot.routes.v6, table, address.into())?;
                routes(RouteKey::V6(key), held).next()
            }
        }
    }
}

impl RouteTable<'_> {
    /// What `ip -json -details route show` prints, IPv4 before IPv6. The table is in each route where it is of
    /// [`RouteTable::all`].
    pub fn tree(self) -> Tree {
        Tree::List(self.shown().map(|route| route.tree(self.snapshot)).collect())
    }

    /// As `ip` shows one table, without saying of each route which.
    fn shown(self) -> impl Iterator<Item = Route> {
        self.iter().map(move |route| match self.table {
            Which::Table(_) | Which::Mpls => route.without_table(),
            Which::All => route,
        })
    }
}

printed_list! {
    /// As `ip route show` and `ip -6 route show` read, or `ip -f mpls route show`: a line for each route.
    RouteTable of shown
}

/// Keys of `ip -json route` that no row of the table bears as its name.
const DERIVED_KEYS: &[&str] = &["dst", "from", "type", "metric"];

fn routes(key: RouteKey, held: &Arc<Held>) -> impl Iterator<Item = Route> + use<'_> {
    each(held).iter().filter_map(Held::body_of).map(move |body| body.at(key))
}

/// Keys are in the order of (prefix, length): the greatest that is not beyond the address either covers it, or shows
/// how many bits the longest prefix that does can have at the most.
fn longest_v4(
    map: &OrdMap<RouteKey4, Arc<Held>>,
    table: u32,
    address: u32,
) -> Option<(RouteKey4, &Arc<Held>)> {
    let mut most = 32u8;
    loop {
        let dst = address & mask4(most);
        let last = RouteKey4 { table, dst, len: most, tos: u8::MAX, priority: u32::MAX };
        let (key, _) = map.get_prev(&last).filter(|(key, _)| key.table == table)?;
        let common = (key.dst ^ address).leading_zeros().min(32) as u8;
        if common >= key.len {
            let first = RouteKey4 { tos: 0, priority: 0, ..*key };
            return map.range(first..).next().map(|(key, held)| (*key, held));
        }
        most = common.min(most.checked_sub(1)?);
    }
}

fn mask4(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

fn longest_v6(
    map: &OrdMap<RouteKey6, Arc<Held>>,
    table: u32,
    address: u128,
) -> Option<(RouteKey6, &Arc<Held>)> {
    let mut most = 128u8;
    loop {
        let mask = u128::MAX.checked_shl(128 - u32::from(most)).unwrap_or(0);
        let dst = (address & mask).to_be_bytes();
        let last = RouteKey6 { table, dst, len: most, tos: u8::MAX, priority: u32::MAX };
        let (key, _) = map.get_prev(&last).filter(|(key, _)| key.table == table)?;
        let common = (u128::from_be_bytes(key.dst) ^ address).leading_zeros().min(128) as u8;
        if common >= key.len {
            let first = RouteKey6 { tos: 0, priority: 0, ..*key };
            return map.range(first..).next().map(|(key, held)| (*key, held));
        }
        most = common.min(most.checked_sub(1)?);
    }
}
