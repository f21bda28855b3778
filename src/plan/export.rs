//! Exporting: what is spoken of, in the words of `ip -json -details`.

use super::selection::Parts;
use super::{Selection, bridge_vlans, rules};
use crate::object::route::RouteKey;
use crate::object::{Family, Link, LinkRef, Nexthop, Route, Tree};
use crate::state::{Held, RouteFilter, Snapshot};

impl Selection {
    /// What a state has of it, as `ip -json -details` prints it: an object with the lists `links` (each with its
    /// addresses in `addr_info`, and in `vlans` those that it has as a bridge or a port of one, as `bridge -json
    /// -compressvlans vlan show` prints them, with `tunid` where they go by tunnels), `nexthops`, `neighbours` (forwarding entries as `bridge -json fdb` prints them),
    /// `routes` and `rules`. [`Transaction::load`](crate::Transaction::load) reads it.
    ///
    /// What the kernel makes or learns by itself is left out, and what the database does not follow: neighbours, if it
    /// was not opened with them. Beside what `ip` prints stands `family` where nothing else tells it, and
    /// among metrics `lock`, a bit for each that is locked. Of a route that
    /// expires it says what is left of its time.
    pub fn export(&self, of: &Snapshot) -> Tree {
        let links = of.links().filter_map(|link| self.link_tree(link, of)).collect();
        let mut entries = vec![("links".to_owned(), Tree::List(links))];
        if (self.all_nexthops || !self.nexthops.is_empty()) && of.follows_nexthops() {
            entries.push(("nexthops".to_owned(), Tree::List(self.nexthop_trees(of))));
        }
        if self.speaks_of_neighbours() && of.follows_neighbours() {
            entries.push(("neighbours".to_owned(), Tree::List(self.neighbour_trees(of))));
        }
        if self.all_routes || !self.routes.is_empty() || !self.single_routes.is_empty() {
            entries.push(("routes".to_owned(), Tree::List(self.route_trees(of))));
        }
        if self.all_rules || !self.rules.is_empty() {
            entries.push(("rules".to_owned(), Tree::List(self.rule_trees(of))));
        }
        Tree::Map(entries)
    }

    fn link_tree(&self, link: &Link, of: &Snapshot) -> Option<Tree> {
        let parts = self.parts_of(link);
        let mut entries = match link.tree(of) {
            _ if parts == Parts::default() => return None,
            Tree::Map(entries) if parts.link => entries,
            _ => vec![("ifname".to_owned(), Tree::from(link.name()))],
        };
        if parts.addresses {
            let own = of.addresses_of(link.index()).into_iter();
            let own = own.filter(|address| !rules::made_by_kernel(address));
            let trees = own.map(|address| address.tree(of)).collect();
            entries.push(("addr_info".to_owned(), Tree::List(trees)));
        }
        if parts.link && bridge_vlans::has_some(link, of) {
            entries.push(("vlans".to_owned(), bridge_vlans::tree(link.index(), of)));
        }
        Some(Tree::Map(entries))
    }

    fn route_trees(&self, of: &Snapshot) -> Vec<Tree> {
        let mut filters = self.routes.clone();
        if self.all_routes {
            filters = of.tables().into_iter().map(RouteFilter::table).collect();
            filters.push(RouteFilter::mpls());
        }
        let index = |link: &LinkRef| of.link(link.clone()).map(|link| link.index());
        let is_meant = |key: &RouteKey, held: &Held| {
            let body = || held.body();
            filters.iter().any(|filter| filter.holds(key, held))
                || self
                    .single_routes
                    .iter()
                    .any(|which| body().is_some_and(|body| which.selects(&body.at(*key), index)))
        };
        let mut trees = Vec::new();
        for (key, all) in of.all_keyed_routes() {
            for held in all.iter().filter(|held| is_meant(&key, held)) {
                let Some(body) = held.body() else { continue };
                let route = body.at(key);
                let tree = with_metrics(route.tree(of), &route);
                trees.push(told(tree, matches!(key, RouteKey::V6(_))));
            }
        }
        trees
    }

    fn nexthop_trees(&self, of: &Snapshot) -> Vec<Tree> {
        let is_meant = |one: &&Nexthop| self.all_nexthops || self.nexthops.contains(&one.id());
        let meant: Vec<_> = of.nexthops().iter().filter(is_meant).collect();
        // A group comes after its members.
        let (groups, ways): (Vec<_>, Vec<_>) =
            meant.into_iter().partition(|one| one.group().len() > 0);
        let tree = |one: &Nexthop| told(one.tree(of), one.family_number() == 10);
        ways.into_iter().chain(groups).map(tree).collect()
    }

    fn neighbour_trees(&self, of: &Snapshot) -> Vec<Tree> {
        self.neighbours_in(of).iter().map(|one| one.tree(of)).collect()
    }

    fn rule_trees(&self, of: &Snapshot) -> Vec<Tree> {
        let families = [(Family::Inet, "inet"), (Family::Inet6, "inet6")];
        let mut trees = Vec::new();
        for (family, name) in families {
            for rule in of.rules().family(family).iter() {
                if !self.all_rules && !self.rules.iter().any(|which| which.selects(rule)) {
                    continue;
                }
                if let Tree::Map(mut entries) = rule.tree(of) {
                    // `ip` says it by its own argument.
                    entries.insert(0, ("family".to_owned(), Tree::from(name)));
                    trees.push(Tree::Map(entries));
                }
            }
        }
        trees
    }
}

/// With what `ip` leaves out of the metrics: which of them are locked, and parts of a millisecond.
fn with_metrics(mut tree: Tree, route: &Route) -> Tree {
    let Some(metrics) = route.metrics() else { return tree };
    let Tree::Map(entries) = &mut tree else { return tree };
    let shown = entries.iter_mut().find(|(key, _)| key == "metrics");
    let Some((_, Tree::List(list))) = shown else { return tree };
    let Some(Tree::Map(shown)) = list.first_mut() else { return tree };
    for (key, raw, parts) in [("rtt", metrics.rtt(), 8), ("rttvar", metrics.rttvar(), 4)] {
        let own = shown.iter_mut().find(|(own, _)| own == key);
        if let (Some((_, own)), Some(raw)) = (own, raw.filter(|raw| raw % parts != 0)) {
            *own = Tree::Decimal(f64::from(raw) / f64::from(parts));
        }
    }
    if metrics.lock() != 0 {
        shown.push(("lock".to_owned(), Tree::Number(metrics.lock().into())));
    }
    tree
}

/// With the word for IPv6, where no address in it tells.
fn told(tree: Tree, inet6: bool) -> Tree {
    match tree {
        Tree::Map(mut entries) if inet6 && !entries.iter().any(|(_, own)| is_inet6(own)) => {
            entries.insert(0, ("family".to_owned(), Tree::from("inet6")));
            Tree::Map(entries)
        }
        tree => tree,
    }
}

fn is_inet6(tree: &Tree) -> bool {
    matches!(tree, Tree::Text(text) if text.contains(':'))
}
