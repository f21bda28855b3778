//! Exporting: what is spoken of, in the words of `ip -json -details`.

use super::selection::Parts;
use super::{Selection, rules};
use crate::object::route::RouteKey;
use crate::object::{Family, Link, LinkRef, Tree};
use crate::state::{Held, RouteFilter, Snapshot};

impl Selection {
    /// What a state has of it, as `ip -json -details` prints it: an object with the lists `links` (each with its
    /// addresses in `addr_info`), `routes` and `rules`. [`Transaction::load`](crate::Transaction::load) reads it.
    ///
    /// What the kernel makes by itself is left out: its addresses and routes. Neighbours and nexthop objects are not
    /// exported.
    pub fn export(&self, of: &Snapshot) -> Tree {
        let links = of.links().filter_map(|link| self.link_tree(link, of)).collect();
        let mut entries = vec![("links".to_owned(), Tree::List(links))];
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
                trees.extend(held.body().map(|body| body.at(key).tree(of)));
            }
        }
        trees
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
