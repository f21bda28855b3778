//! Going back: what stands under keys is named as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edits::{Edit, RouteSync};
use super::{Content, Key, Op, Planned, Step, neighbour, rule};
use crate::object::{Family, Link, LinkRef, Neighbour, Nexthop, Route, RouteSpec, Rule};
use crate::object::{Value, route::RouteKey};
use crate::object::{neighbour as neighbours, nexthop as nexthops};
use crate::plan::focus::Focus;
use crate::plan::{Draft, Refusal, Selection};
use crate::state::{Bodies, Held, NeighbourKey, RouteFilter, RuleKey, Snapshot};

/// The index that an interface of the target state will have.
pub(in crate::plan) type Future<'a> = &'a dyn Fn(u32) -> Option<u32>;

impl Draft {
    /// Names what makes routes, rules, nexthop objects and neighbours of the base into those of `target`. What is of an
    /// interface that is not there and does not come back is left.
    pub(in crate::plan) fn revert_keyed(
        &mut self,
        target: &Snapshot,
        selection: &Selection,
        focus: Focus<'_>,
        future: Future<'_>,
        left: &mut Vec<Refusal>,
    ) {
        let exactly = selection.exactly;
        let now = self.base().clone();
        let mut keyed = Keyed { target, now: &now, focus, future, exactly, draft: self, left };
        keyed.nexthops(selection);
        keyed.neighbours(selection);
        keyed.routes(selection);
        keyed.rules(selection);
    }
}

struct Keyed<'a> {
    target: &'a Snapshot,
    now: &'a Snapshot,
    focus: Focus<'a>,
    future: Future<'a>,
    exactly: bool,
    draft: &'a mut Draft,
    left: &'a mut Vec<Refusal>,
}

impl Keyed<'_> {
    fn push(&mut self, key: Key, content: Content, op: Op) {
        let step = Step { key: key.clone(), content, op };
        self.draft.keyed.push(Some(key), Edit::Put(Planned::Ready(step)));
    }

    fn take(&mut self, key: Key, content: Content) {
        self.draft.keyed.push(Some(key.clone()), Edit::Take(key, content));
    }

    /// Whether both states know what is spoken of. `named` is whether it is spoken of by name: then not to follow it is
    /// an error.
    fn is_followed(&mut self, follows: fn(&Snapshot) -> bool, named: bool, what: &str) -> bool {
        let both = follows(self.target) && follows(self.now);
        if !both && named {
            self.left.push(Refusal::NotFollowed { what: what.to_owned() });
        }
        both
    }

    fn unknown(&mut self, index: u32) {
        let refusal = Refusal::Unknown(crate::plan::rules::name(index, self.target));
        if !self.left.contains(&refusal) {
            self.left.push(refusal);
        }
    }

    fn routes(&mut self, selection: &Selection) {
        let named = !selection.routes.is_empty() || !selection.single_routes.is_empty();
        if !(named || selection.all_routes)
            || !self.is_followed(Snapshot::follows_routes, named, "routes")
        {
            return;
        }
        if let Some(keys) = self.focus.routes() {
            return self.these_routes(selection, &keys);
        }
        let mut filters = Vec::new();
        if selection.all_routes {
            let tables: BTreeSet<u32> =
                self.target.tables().into_iter().chain(self.now.tables()).collect();
            filters.extend(tables.into_iter().map(RouteFilter::table));
            filters.push(RouteFilter::mpls());
        }
        for filter in &selection.routes {
            let covered = selection.all_routes || filters.contains(filter);
            filters.extend((!covered).then_some(*filter));
        }
        for scope in filters {
            let all = self.target.keyed_routes(scope.table_number());
            let wanted =
                all.flat_map(|(key, held)| held.iter().map(move |held| (key, held.clone())));
            let wanted = wanted.filter(|(key, held)| scope.holds(key, held)).collect();
            self.sync(scope, None, wanted);
        }
        for which in selection.single_routes.iter().filter(|_| !selection.all_routes) {
            self.single_route(which);
        }
    }

    /// Of the routes that are spoken of those at these keys.
    fn these_routes(&mut self, selection: &Selection, keys: &BTreeSet<RouteKey>) {
        let is_in = |key: &RouteKey, scope: &RouteFilter| {
            key.table() == scope.table_number()
                && matches!(key, RouteKey::Mpls(_)) == scope.is_mpls()
        };
        let scopes: Vec<RouteFilter> = match selection.all_routes {
            true => {
                let tables: BTreeSet<u32> = keys.iter().map(RouteKey::table).collect();
                let whole = tables.into_iter().map(RouteFilter::table);
                whole.chain([RouteFilter::mpls()]).collect()
            }
            false => selection.routes.clone(),
        };
        for scope in scopes {
            let only: BTreeSet<_> = keys.iter().filter(|key| is_in(key, &scope)).copied().collect();
            if !only.is_empty() {
                self.routes_at(scope, only);
            }
        }
        for which in selection.single_routes.iter().filter(|_| !selection.all_routes) {
            if which.place().is_some_and(|place| keys.iter().any(|key| key.of_prefix().0 == place))
            {
                self.single_route(which);
            }
        }
    }

    /// The routes of a scope at these keys.
    fn routes_at(&mut self, scope: RouteFilter, only: BTreeSet<RouteKey>) {
        let at =
            only.iter().flat_map(|key| self.target.routes_at(key).iter().map(|held| (*key, held)));
        let wanted = at.map(|(key, held)| (key, held.clone()));
        let wanted = wanted.filter(|(key, held)| scope.holds(key, held)).collect();
        self.sync(scope, Some(only), wanted);
    }

    /// The routes that the words mean, and all that shares their keys.
    fn single_route(&mut self, which: &RouteSpec) {
        let Some(place) = which.place() else {
            let refused = which.check().err().map(|error| super::invalid("route", error));
            return self.left.extend(refused);
        };
        let keys = |of: &Snapshot| -> Vec<RouteKey> {
            let index = |link: &LinkRef| of.link(link.clone()).map(|link| link.index());
            let is_meant = |key: RouteKey, held: &Arc<Held>| {
                held.body().is_some_and(|body| which.selects(&body.at(key), index))
            };
            let all = of.keyed_routes_to(place);
            let meant = all.filter(|(key, held)| held.iter().any(|held| is_meant(*key, held)));
            meant.map(|(key, _)| key).collect()
        };
        let only: BTreeSet<RouteKey> =
            keys(self.target).into_iter().chain(keys(self.now)).collect();
        let scope = match place {
            RouteKey::Mpls(_) => RouteFilter::mpls(),
            ip => RouteFilter::table(ip.table()),
        };
        self.routes_at(scope, only);
    }

    fn sync(
        &mut self,
        scope: RouteFilter,
        only: Option<BTreeSet<RouteKey>>,
        wanted: Vec<(RouteKey, Arc<Held>)>,
    ) {
        let mut bodies = Bodies::default();
        let mut found = Vec::with_capacity(wanted.len());
        for (key, held) in wanted {
            match relinked(&key, &held, self.future, &mut bodies) {
                Ok(held) => found.push((key, held)),
                Err(index) => self.unknown(index),
            }
        }
        let sync =
            RouteSync { scope, wanted: found, pending: Vec::new(), only, exactly: self.exactly };
        self.draft.keyed.push(None, Edit::Sync(Arc::new(sync)));
    }

    fn rules(&mut self, selection: &Selection) {
        let named = !selection.rules.is_empty();
        if !(named || selection.all_rules)
            || !self.is_followed(Snapshot::follows_rules, named, "rules")
        {
            return;
        }
        let focus = self.focus;
        let is_meant = |one: &&Rule| {
            let all = selection.all_rules;
            (all || selection.rules.iter().any(|which| which.selects(one)))
                && focus.rule(RuleKey::of(one.record()))
                && !rule::is_kernels(one)
        };
        for family in [Family::Inet, Family::Inet6] {
            let all = |of: &Snapshot| -> Vec<(Key, Content)> {
                let meant = of.rules().family(family).iter().filter(is_meant);
                let keyed = meant.map(|one| {
                    let key = Key::Rule(RuleKey::of(one.record()));
                    (key, Content::Rule(Arc::new(one.clone())))
                });
                keyed.collect()
            };
            let (was, is) = (all(self.target), all(self.now));
            let (missing, extra) = (without(&was, &is), without(&is, &was));
            for (key, order) in out_of_order(&was, &is) {
                self.draft.keyed.push(Some(key.clone()), Edit::Order(key, order));
            }
            missing.into_iter().for_each(|(key, one)| self.push(key, one, Op::Append));
            for (key, one) in extra.into_iter().filter(|_| self.exactly).collect::<Vec<_>>() {
                self.take(key, one);
            }
        }
    }

    fn nexthops(&mut self, selection: &Selection) {
        let named = !selection.nexthops.is_empty();
        if !(named || selection.all_nexthops)
            || !self.is_followed(Snapshot::follows_nexthops, named, "nexthops")
        {
            return;
        }
        let focus = self.focus;
        let is_meant = |one: &&Nexthop| {
            (selection.all_nexthops || selection.nexthops.contains(&one.id()))
                && focus.nexthop(one.id())
        };
        for old in self.target.nexthops().iter().filter(is_meant) {
            let mut spec = old.record().clone();
            if let Some(index) = old.oif() {
                match (self.future)(index) {
                    Some(new) => spec.set(nexthops::row::OIF, Value::Number(new.into())),
                    None => {
                        self.unknown(index);
                        continue;
                    }
                }
            }
            let wish = Content::Nexthop(Arc::new(Nexthop::of(spec)));
            let there = self.now.nexthop(old.id()).cloned().map(Content::Nexthop);
            match there {
                Some(there) if there.same(&wish) => {}
                Some(_) => self.push(Key::Nexthop(old.id()), wish, Op::Replace),
                None => self.push(Key::Nexthop(old.id()), wish, Op::Add),
            }
        }
        let extra = self.now.nexthops().iter().filter(is_meant);
        let extra = extra.filter(|new| self.exactly && self.target.nexthop(new.id()).is_none());
        let extra: Vec<_> = extra.cloned().collect();
        for new in extra {
            self.take(Key::Nexthop(new.id()), Content::Nexthop(Arc::new(new)));
        }
    }

    fn neighbours(&mut self, selection: &Selection) {
        let named = !selection.neighbours_of.is_empty() || !selection.neighbours.is_empty();
        if !selection.speaks_of_neighbours()
            || !self.is_followed(Snapshot::follows_neighbours, named, "neighbours")
        {
            return;
        }
        let focus = self.focus;
        let programs = |of: &Snapshot| -> Vec<Neighbour> {
            let all = selection.neighbours_in(of).into_iter();
            all.filter(|one| focus.neighbour(NeighbourKey::of(one.record()))).collect()
        };
        let (was, is) = (programs(self.target), programs(self.now));
        let mut known = BTreeSet::new();
        for old in was {
            let was = old.record().number(neighbours::row::INDEX) as u32;
            let Some(index) = (self.future)(was) else {
                self.unknown(was);
                continue;
            };
            let mut record = old.record().clone();
            record.set(neighbours::row::INDEX, Value::Number(index.into()));
            let wish = Neighbour::of(record);
            let Some(key) = NeighbourKey::of(wish.record()) else { continue };
            known.insert(key);
            let there = self.now.neighbour(&key).cloned().map(Content::Neighbour);
            let wish = Content::Neighbour(Arc::new(wish));
            let key = Key::Neighbour(Arc::new(key));
            match there {
                Some(there) if there.same(&wish) => {}
                Some(_) => self.push(key, wish, Op::Replace),
                None => self.push(key, wish, Op::Add),
            }
        }
        for new in is.into_iter().filter(|_| self.exactly).collect::<Vec<_>>() {
            if let Some(key) = NeighbourKey::of(new.record()).filter(|key| !known.contains(key)) {
                self.take(Key::Neighbour(Arc::new(key)), Content::Neighbour(Arc::new(new)));
            }
        }
    }
}

impl Selection {
    /// Those that a program has made and keeps, as far as they are spoken of.
    pub(in crate::plan) fn neighbours_in(&self, of: &Snapshot) -> Vec<Neighbour> {
        let index = |which: &LinkRef| of.link(which.clone()).map(|link| link.index());
        let links: Vec<_> = self.neighbours_of.iter().filter_map(index).collect();
        let specs = self.neighbours.iter();
        let keys: Vec<_> =
            specs.filter_map(|spec| NeighbourKey::of(&spec.record(index)?)).collect();
        let is_meant = |one: &Neighbour| {
            self.all_neighbours
                || one.index().is_some_and(|index| links.contains(&index))
                || NeighbourKey::of(one.record()).is_some_and(|key| keys.contains(&key))
        };
        let over: BTreeSet<u32> = of.links().map(Link::index).collect();
        let all = of.neighbours_over(&over).map(|(_, one)| &**one);
        let kept = all.filter(|one| neighbour::is_kept(one) && is_meant(one));
        kept.filter(|one| !neighbour::made_by_kernel(one, of)).cloned().collect()
    }

    pub(in crate::plan) fn speaks_of_neighbours(&self) -> bool {
        self.all_neighbours || !self.neighbours_of.is_empty() || !self.neighbours.is_empty()
    }
}

/// The priorities whose rules would not stand in their order when what is missing has been added behind the others: the
/// kernel asks those of one priority in the order in which they were added.
fn out_of_order(was: &[(Key, Content)], is: &[(Key, Content)]) -> Vec<(Key, Vec<Content>)> {
    let of = |all: &[(Key, Content)], key: &Key| -> Vec<Content> {
        all.iter().filter(|(own, _)| own == key).map(|(_, one)| one.clone()).collect()
    };
    let among = |all: &[Content], one: &Content| all.iter().any(|other| other.same(one));
    let keys: BTreeSet<Key> = was.iter().map(|(key, _)| key.clone()).collect();
    let orders = keys.into_iter().map(|key| (of(was, &key), of(is, &key), key));
    let wrong = orders.filter(|(was, is, _)| {
        let there = is.iter().filter(|one| among(was, one));
        let missing = was.iter().filter(|one| !among(is, one));
        !there.chain(missing).zip(was).all(|(a, b)| a.same(b))
    });
    wrong.map(|(was, _, key)| (key, was)).collect()
}

/// Those of `all` that have no equal among `others`; of equal ones as many as there are more.
fn without(all: &[(Key, Content)], others: &[(Key, Content)]) -> Vec<(Key, Content)> {
    let mut left: Vec<_> = others.iter().collect();
    let mut found = Vec::new();
    for (key, one) in all {
        match left.iter().position(|(own, other)| own == key && other.same(one)) {
            Some(at) => drop(left.swap_remove(at)),
            None => found.push((key.clone(), one.clone())),
        }
    }
    found
}

/// A route over the interfaces as they are numbered now.
///
/// # Errors
/// The interface that is not there and does not come back.
pub(in crate::plan) fn relinked(
    key: &RouteKey,
    held: &Arc<Held>,
    future: Future<'_>,
    bodies: &mut Bodies,
) -> Result<Arc<Held>, u32> {
    let Some(body) = held.body() else { return Ok(held.clone()) };
    let own = if body.nexthop().is_some() { &[] } else { body.links() };
    let mut same = true;
    for index in own {
        same &= future(*index).ok_or(*index)? == *index;
    }
    if same {
        return Ok(held.clone());
    }
    let spec = <RouteSpec as From<&Route>>::from(&body.at(*key));
    let index = |link: &LinkRef| match link {
        LinkRef::Index(index) => future(*index),
        _ => None,
    };
    let content = super::route::content(&spec, index, bodies);
    content.map(|(_, held)| held).ok_or_else(|| own.first().copied().unwrap_or(0))
}
