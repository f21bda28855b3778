//! What a transaction names of the kernel's tables, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Content, Key, Matcher, Op, Pending, Planned, Step, Wish, invalid, route, rule};
use crate::object::neighbour::row as neighbour_row;
use crate::object::route::{Route, RouteKey, RouteProtocol, RouteSpec, row};
use crate::object::{
    Family, LinkFlags, LinkRef, NEIGHBOUR, Names, Neighbour, NeighbourFlags, NeighbourSpec,
    Nexthop, NexthopSpec, Record, Rule, RuleSpec,
};
use crate::plan::{Draft, Refusal, Target};
use crate::state::{
    Ask, Bodies, Held, NeighbourKey, NeighbourTarget, RouteFilter, RuleKey, Snapshot, is_same,
    is_shown,
};

use std::sync::Arc;

/// Everything that is named, in the order of naming.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    all: Vec<Option<Edit>>,
    /// Where each key is named.
    at: BTreeSet<(Key, usize)>,
    bodies: Bodies,
}

/// One thing that is named.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// It is to be there.
    Put(Planned),
    /// It is not to be there.
    Take(Key, Content),
    /// The one is to be there instead of the other.
    Change(Key, Content, Planned),
    /// All routes of a scope.
    Sync(Arc<RouteSync>),
    /// Those of a key that has an order of its own stand in this one.
    Order(Key, Vec<Content>),
}

/// What all routes of a scope are to be.
#[derive(Clone, Debug)]
pub(super) struct RouteSync {
    /// Which routes are spoken of.
    pub(super) scope: RouteFilter,
    /// What they are to be, in the order of the keys.
    pub(super) wanted: Vec<(RouteKey, Arc<Held>)>,
    /// Those over interfaces that are still to be created, in the same order.
    pub(super) pending: Vec<Waiting>,
    /// Nothing but these keys, where not all of the scope is spoken of.
    pub(super) only: Option<BTreeSet<RouteKey>>,
    /// Whether keys at which nothing is wanted are to be empty.
    pub(super) exactly: bool,
}

/// A route that waits for its interface.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) key: RouteKey,
    /// How many of those that do not wait come before it at its key.
    pub(super) behind: usize,
    pub(super) step: Pending,
}

/// A scope whose routes are named whole.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Scope(Arc<RouteSync>);

impl Scope {
    /// Whether it speaks of a route that is at this key.
    pub(in crate::plan) fn has(&self, key: &RouteKey, of: &Snapshot) -> bool {
        let is_meant = self.0.only.as_ref().is_none_or(|only| only.contains(key));
        is_meant && of.routes_at(key).iter().any(|held| self.0.scope.holds(key, held))
    }
}

impl Edits {
    /// Everything that is named, in the order of naming.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.all.iter().flatten()
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What goes over one of these interfaces, which are still to be created: over which, and what it is.
    pub(in crate::plan) fn over(&self, new: &[Target]) -> Option<(Target, String)> {
        let named = |planned: &Planned| {
            Some((planned.over(new)?, format!("{} {}", planned.noun(), planned.text(&()))))
        };
        self.iter().find_map(|edit| match edit {
            Edit::Put(planned) | Edit::Change(_, _, planned) => named(planned),
            Edit::Sync(sync) => {
                let mut pending = sync.pending.iter();
                pending.find_map(|one| named(&Planned::Pending(Box::new(one.step.clone()))))
            }
            Edit::Take(..) | Edit::Order(..) => None,
        })
    }

    /// What is named and may have changed in silence.
    pub(in crate::plan) fn silent(&self) -> Option<Ask> {
        let named = self.at.iter().any(|(key, _)| key.is_silent());
        named.then_some(Ask::Proxies)
    }

    /// The keys that are named one by one, and the scopes that are named whole.
    pub(in crate::plan) fn named(&self) -> (Vec<Key>, Vec<Scope>) {
        let (mut keys, mut scopes) = (Vec::new(), Vec::new());
        for edit in self.iter() {
            match edit {
                Edit::Put(planned) => keys.extend(planned.key()),
                Edit::Take(key, _) | Edit::Order(key, _) => keys.push(key.clone()),
                Edit::Change(key, _, planned) => {
                    keys.push(key.clone());
                    keys.extend(planned.key());
                }
                Edit::Sync(sync) => scopes.push(Scope(Arc::clone(sync))),
            }
        }
        (keys, scopes)
    }

    pub(super) fn push(&mut self, key: Option<Key>, edit: Edit) {
        let new = match &edit {
            Edit::Change(_, _, new) => new.key(),
            _ => None,
        };
        self.at.extend(key.into_iter().chain(new).map(|key| (key, self.all.len())));
        self.all.push(Some(edit));
    }

    /// What is named at a key.
    fn named_at(&self, key: &Key) -> Vec<usize> {
        let range = self.at.range((key.clone(), 0)..=(key.clone(), usize::MAX));
        range.map(|(_, at)| *at).filter(|at| self.all[*at].is_some()).collect()
    }

    /// What is named at the keys of a prefix.
    fn named_to(&self, key: &RouteKey) -> Vec<usize> {
        let (first, last) = key.of_prefix();
        let range = self.at.range((Key::Route(first), 0)..=(Key::Route(last), usize::MAX));
        let mut all: Vec<_> =
            range.map(|(_, at)| *at).filter(|at| self.all[*at].is_some()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn takes(&self, key: &Key, content: &Content) -> bool {
        self.named_at(key).into_iter().any(|at| match &self.all[at] {
            Some(Edit::Take(_, own) | Edit::Change(_, own, _)) => own.same(content),
            _ => false,
        })
    }
}

/// Which of the objects that are there a user means.
#[derive(Clone, Debug)]
pub enum Which {
    /// The route that the words mean: of an IPv6 group the whole, or the leg that is named.
    Route(RouteSpec),
    /// The rule that the words mean.
    Rule(RuleSpec),
    /// The neighbour with this address behind this interface.
    Neighbour(NeighbourSpec),
    /// The nexthop object with this number.
    Nexthop(u32),
}

impl Draft {
    /// Puts a route where nothing is ([`Op::Add`]), beside what is there, or in its place.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or is to be added where a route is.
    pub fn put_route(&mut self, spec: RouteSpec, op: Op) -> Result<(), Refusal> {
        self.put(Wish::Route(spec), op)
    }

    /// Adds a rule. Where it says no priority it gets the one that the kernel would choose.
    ///
    /// # Errors
    /// When it cannot be, or is there.
    pub fn add_rule(&mut self, spec: RuleSpec) -> Result<(), Refusal> {
        rule::check(&spec)?;
        let key = RuleKey::of(&spec.record());
        let drafted = self.keyed.at.iter().filter_map(|(own, at)| match own {
            Key::Rule(own) if self.keyed.all[*at].is_some() => Some(*own),
            _ => None,
        });
        let drafted = drafted.filter(|own| own.family == key.family).map(|own| own.priority);
        let taken: Vec<_> =
            rule::priorities(&key, self.base()).into_iter().chain(drafted).collect();
        let spec = rule::with_priority(spec, taken.into_iter());
        self.put(Wish::Rule(spec), Op::Add)
    }

    /// Adds a neighbour, a proxy or a forwarding entry, or puts it in the place of what is there.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or is to be added where one is.
    pub fn put_neighbour(&mut self, spec: NeighbourSpec, op: Op) -> Result<(), Refusal> {
        let all = spec.each();
        all.iter().try_for_each(|spec| self.check_neighbour(spec))?;
        all.into_iter().try_for_each(|spec| self.put(Wish::Neighbour(spec), op))
    }

    fn check_neighbour(&self, spec: &NeighbourSpec) -> Result<(), Refusal> {
        if !self.base().follows_neighbours() {
            return Err(Refusal::NotFollowed { what: "neighbours".to_owned() });
        }
        let link = self.base().link(spec.link().clone());
        let record = self.neighbour_record(spec);
        let refuse = |why: &str| {
            Err(Refusal::Invalid {
                what: "neighbour",
                value: spec.to_string(),
                why: why.to_owned(),
            })
        };
        let one_for_all = LinkFlags::LOOPBACK.0 | LinkFlags::POINTOPOINT.0;
        let own = record.number(neighbour_row::FLAGS) & u64::from(NeighbourFlags::MASTER.0) == 0;
        let kind = self.kind_of(self.resolve(spec.link())?);
        let has_table = kind.as_deref().is_some_and(|kind| matches!(kind, "bridge" | "vxlan"));
        let leads = [neighbour_row::DST, neighbour_row::NH_ID];
        let leads = leads.into_iter().any(|id| record.value(id).is_some());
        match NeighbourKey::of(&record).map(|key| key.target) {
            // `ndo_dflt_fdb_add`.
            Some(NeighbourTarget::Fdb { .. }) if own && !has_table => refuse(
                "in this interface itself it is a receive filter, which the kernel does not announce; in its bridge it \
                 stands by `master`",
            ),
            // `vxlan_fdb_add`: without one the kernel's answer is a bare EINVAL.
            Some(NeighbourTarget::Fdb { .. })
                if own && !leads && kind.as_deref() == Some("vxlan") =>
            {
                refuse("a tunnel's entry says where it leads: `dst`, or `nexthop_id`")
            }
            // `arp_constructor`: it would be that of 0.0.0.0, whoever is named.
            Some(NeighbourTarget::Address(IpAddr::V4(_)))
                if link.is_some_and(|link| link.flags().0 & one_for_all != 0) =>
            {
                refuse("on this interface the kernel keeps one neighbour for all IPv4 addresses")
            }
            Some(NeighbourTarget::Address(_))
                if !spec.is_managed() && !is_shown(&Neighbour::of(record)) =>
            {
                refuse("the kernel keeps such a one to itself: its state is NOARP or none")
            }
            _ => Ok(()),
        }
    }

    /// Adds a nexthop object, or puts it in the place of the one with its number.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface or member, or is to be added where one is.
    pub fn put_nexthop(&mut self, spec: NexthopSpec, op: Op) -> Result<(), Refusal> {
        for (id, _) in Nexthop::of(spec.record(None)).group() {
            let drafted = !self.keyed.named_at(&Key::Nexthop(id)).is_empty();
            if self.base().follows_nexthops() && self.base().nexthop(id).is_none() && !drafted {
                return Err(Refusal::Missing {
                    what: format!("nexthop {id}, of which `{spec}` is to be made,"),
                });
            }
        }
        self.put(Wish::Nexthop(spec), op)
    }

    pub(super) fn put(&mut self, wish: Wish, op: Op) -> Result<(), Refusal> {
        let planned = self.planned(wish, op)?;
        let Some(key) = planned.key() else {
            self.keyed.push(None, Edit::Put(planned));
            return Ok(());
        };
        self.check_followed(&key)?;
        let excluded = |there: &Content| match &planned {
            Planned::Ready(step) => key.excludes(&step.content, there),
            Planned::Pending(_) => true,
        };
        let named = self.keyed.named_at(&key);
        let there = key.elements(self.base(), &mut Bodies::default());
        let taken = |own: &Content| self.keyed.takes(&key, own);
        let left = there.iter().filter(|own| excluded(own) && !taken(own)).count();
        let put = |at: &usize| match &self.keyed.all[*at] {
            Some(Edit::Put(own) | Edit::Change(_, _, own)) if own.key().as_ref() == Some(&key) => {
                match own {
                    Planned::Ready(step) => excluded(&step.content),
                    Planned::Pending(_) => true,
                }
            }
            _ => false,
        };
        let occupied = left > 0 || named.iter().any(put);
        let same = |own: &Content| match &planned {
            Planned::Ready(step) => {
                Matcher::default().agrees(&step.content, own) && !self.keyed.takes(&key, own)
            }
            Planned::Pending(_) => false,
        };
        let adds = op == Op::Add || key.is_single() && op != Op::Replace;
        if adds && occupied || op != Op::Replace && there.iter().any(same) {
            let what = format!("{} {}", key.noun(), planned.text(self.base()));
            return Err(Refusal::Exists { what });
        }
        // What is taken away and put at the same place is changed.
        let first = named.first().map(|at| (*at, self.keyed.all[*at].clone()));
        if let (Some((at, Some(Edit::Take(_, old)))), true) = (first, op == Op::Add) {
            self.keyed.all[at] = Some(Edit::Change(key, old, planned));
            return Ok(());
        }
        if op == Op::Replace {
            self.supersede(&key, named, there.first());
        }
        self.keyed.push(Some(key), Edit::Put(planned));
        Ok(())
    }

    /// What is named at a key gives way to what is put in the place of all that is there; of a list, in the place of the
    /// `first`.
    fn supersede(&mut self, key: &Key, named: Vec<usize>, first: Option<&Content>) {
        let further = |old: &Content| {
            key.is_ordered() && key.takes_first() && first.is_none_or(|first| !first.same(old))
        };
        for at in named {
            let next = match self.keyed.all[at].take() {
                Some(Edit::Take(own, old)) if further(&old) => Some(Edit::Take(own, old)),
                Some(Edit::Change(own, old, _)) if own != *key => Some(Edit::Take(own, old)),
                Some(Edit::Change(own, old, new)) if further(&old) => {
                    Some(Edit::Change(own, old, new))
                }
                _ => None,
            };
            self.keyed.all[at] = next;
        }
    }

    /// Takes away what is meant.
    ///
    /// # Errors
    /// When there is no such thing, or more than one.
    pub fn take(&mut self, which: &Which) -> Result<(), Refusal> {
        if let Which::Neighbour(spec) = which {
            if let [own, inside] = &spec.clone().each()[..] {
                self.take(&Which::Neighbour(own.clone()))?;
                return self.take(&Which::Neighbour(inside.clone()));
            }
        }
        let Some(at) = self.drafted(which)? else {
            let (key, content) = self.select(which)?;
            self.keyed.push(Some(key.clone()), Edit::Take(key, content));
            return Ok(());
        };
        match self.keyed.all[at].take() {
            Some(Edit::Change(key, old, _)) => self.keyed.all[at] = Some(Edit::Take(key, old)),
            Some(Edit::Put(planned)) if planned.op() == Op::Replace => {
                for (key, content) in self.replaced(&planned) {
                    self.keyed.push(Some(key.clone()), Edit::Take(key, content));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is there in the place that this takes.
    fn replaced(&self, planned: &Planned) -> Vec<(Key, Content)> {
        let Some(key) = planned.key() else { return Vec::new() };
        let mut there = key.whole(self.base());
        there.truncate(if key.is_ordered() { 1 } else { usize::MAX });
        there.into_iter().map(|content| (key.clone(), content)).collect()
    }

    /// Changes the route that the words mean.
    ///
    /// # Errors
    /// When there is none, or more than one; when what it becomes cannot be, or stands in the way of another.
    pub fn change_route(
        &mut self,
        which: RouteSpec,
        change: impl FnOnce(RouteSpec) -> RouteSpec,
    ) -> Result<RouteSpec, Refusal> {
        let missing = Refusal::Missing { what: format!("route {which}") };
        let which = Which::Route(which);
        if let Some(at) = self.drafted(&which)? {
            return self.change_drafted(at, change, missing);
        }
        let (key, old) = self.select(&which)?;
        let (Key::Route(at), Content::Route(held)) = (&key, &old) else { return Err(missing) };
        let Some(spec) = self.spec(at, held) else { return Err(missing) };
        let is_leg = !key.whole(self.base()).iter().any(|whole| whole.same(&old));
        let spec = change(if is_leg { spec.into_leg() } else { spec });
        self.change(key, old, Wish::Route(spec.clone()))?;
        Ok(spec)
    }

    /// A route in the words of a user, its interfaces by their names too.
    fn spec(&self, key: &RouteKey, held: &Arc<Held>) -> Option<RouteSpec> {
        let spec: RouteSpec = (&held.body()?.at(*key)).into();
        Some(spec.with_names(|index| match self.base().link_by_index(index) {
            Some(link) => {
                let names = std::iter::once(link.name().into());
                names.chain(link.altnames().iter().cloned()).collect()
            }
            None => Vec::new(),
        }))
    }

    /// Changes what this transaction itself puts there.
    fn change_drafted(
        &mut self,
        at: usize,
        change: impl FnOnce(RouteSpec) -> RouteSpec,
        missing: Refusal,
    ) -> Result<RouteSpec, Refusal> {
        let Some(edit) = self.keyed.all[at].take() else { return Err(missing) };
        let (Edit::Put(planned) | Edit::Change(_, _, planned)) = &edit else { return Err(missing) };
        let spec = match planned {
            Planned::Ready(Step {
                key: Key::Route(key), content: Content::Route(held), ..
            }) => self.spec(key, held),
            Planned::Pending(pending) => match &pending.wish {
                Wish::Route(spec) => Some(spec.clone()),
                _ => None,
            },
            Planned::Ready(_) => None,
        };
        let spec = spec.map(change).ok_or(missing)?;
        let wish = Wish::Route(spec.clone());
        let changed = match &edit {
            Edit::Change(key, old, _) => self.change(key.clone(), old.clone(), wish),
            _ => self.put(wish, planned.op()),
        };
        if changed.is_err() {
            self.keyed.all[at] = Some(edit);
        }
        changed.map(|()| spec)
    }

    /// The one route of the base that the words mean.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find_route(&self, which: RouteSpec) -> Result<Route, Refusal> {
        let missing = Refusal::Missing { what: format!("route {which}") };
        let (key, content) = self.select(&Which::Route(which))?;
        route_of(&key, &content).ok_or(missing)
    }

    /// The one rule of the base that the words mean.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find_rule(&self, which: RuleSpec) -> Result<Arc<Rule>, Refusal> {
        let missing = Refusal::Missing { what: format!("rule {which}") };
        match self.select(&Which::Rule(which))?.1 {
            Content::Rule(rule) => Ok(rule),
            _ => Err(missing),
        }
    }

    /// Changes the rule that the words mean: the new one is added before the old one is deleted.
    ///
    /// # Errors
    /// As [`Draft::change_route`].
    pub fn change_rule(
        &mut self,
        which: RuleSpec,
        change: impl FnOnce(RuleSpec) -> RuleSpec,
    ) -> Result<RuleSpec, Refusal> {
        let missing = Refusal::Missing { what: format!("rule {which}") };
        let (key, old) = self.select(&Which::Rule(which))?;
        let Content::Rule(rule) = &old else { return Err(missing) };
        let wish = change((&**rule).into());
        self.change(key, old, Wish::Rule(wish.clone()))?;
        Ok(wish)
    }

    /// Changes the nexthop object with this number.
    ///
    /// # Errors
    /// As [`Draft::change_route`].
    pub fn change_nexthop(
        &mut self,
        id: u32,
        change: impl FnOnce(NexthopSpec) -> NexthopSpec,
    ) -> Result<(), Refusal> {
        let (key, old) = self.select(&Which::Nexthop(id))?;
        let Content::Nexthop(nexthop) = &old else { return Ok(()) };
        let wish = Wish::Nexthop(change((&**nexthop).into()));
        self.change(key, old, wish)
    }

    fn change(&mut self, key: Key, old: Content, wish: Wish) -> Result<(), Refusal> {
        let planned = self.planned(wish, Op::Replace)?;
        let new = planned.key().unwrap_or_else(|| key.clone());
        self.check_leg(&key, &old, &planned)?;
        let others = new.elements(self.base(), &mut Bodies::default());
        let excluded = |there: &&Content| match &planned {
            Planned::Ready(step) => new.excludes(&step.content, there),
            Planned::Pending(_) => true,
        };
        let stays = |own: &Content| !own.same(&old) && !self.keyed.takes(&new, own);
        let in_the_way = others.iter().filter(excluded).any(stays);
        if (new != key || !new.takes_first()) && in_the_way {
            let what = format!("{} {}", new.noun(), planned.text(self.base()));
            return Err(Refusal::Exists { what });
        }
        let mut takes = self.keyed.named_at(&new).into_iter();
        let takes = takes.find_map(|at| match &self.keyed.all[at] {
            Some(Edit::Take(_, other)) if new != key => Some((at, other.clone())),
            _ => None,
        });
        match takes {
            // It comes in the place of what is taken away there.
            Some((at, other)) => {
                self.keyed.all[at] = Some(Edit::Change(new, other, planned));
                self.keyed.push(Some(key.clone()), Edit::Take(key, old));
            }
            None => self.keyed.push(Some(key.clone()), Edit::Change(key, old, planned)),
        }
        Ok(())
    }

    /// The kernel keeps what is not the way of an IPv6 leg for each, and tells it of one for all of them: that another
    /// one differs cannot be seen.
    fn check_leg(&self, key: &Key, old: &Content, new: &Planned) -> Result<(), Refusal> {
        let Planned::Ready(step) = new else { return Ok(()) };
        let (Content::Route(old), Content::Route(wish)) = (old, &step.content) else {
            return Ok(());
        };
        let whole = key.whole(self.base());
        let is_leg = !whole.iter().any(|one| one.same(&Content::Route(old.clone())));
        if key.is_ordered() || step.key != *key || !is_leg || route::agree_but_for_ways(wish, old) {
            return Ok(());
        }
        let value = new.text(self.base());
        let why = "a leg of an IPv6 route differs from the others in its way only".to_owned();
        Err(Refusal::Invalid { what: "route", value, why })
    }

    /// All routes of a scope are to be these.
    ///
    /// # Errors
    /// When one of them cannot be, names an unknown interface, or is not in the scope.
    pub fn sync_routes(
        &mut self,
        scope: RouteFilter,
        routes: impl IntoIterator<Item = RouteSpec>,
    ) -> Result<(), Refusal> {
        if scope.table_number() == 0 {
            let (value, why) = (scope.to_string(), "there is no table 0".to_owned());
            return Err(Refusal::Invalid { what: "scope", value, why });
        }
        self.check_scope(&scope)?;
        let (mut wanted, mut pending) = (Vec::new(), Vec::new());
        for spec in routes {
            match self.planned(Wish::Route(spec), Op::Append)? {
                Planned::Ready(Step {
                    key: Key::Route(key),
                    content: Content::Route(held),
                    ..
                }) => {
                    if !scope.holds(&key, &held) {
                        return Err(out_of_scope(&key, &held, self.base()));
                    }
                    wanted.push((key, held));
                }
                Planned::Pending(one) => {
                    // Which index its interface will have does not matter for the scope.
                    let content = one.wish.content(|_| Some(0), &mut self.keyed.bodies);
                    let Some((Key::Route(key), Content::Route(held))) = content else { continue };
                    if !scope.holds(&key, &held) {
                        return Err(out_of_scope(&key, &held, self.base()));
                    }
                    pending.push(Waiting { key, behind: wanted.len(), step: *one });
                }
                // A wish for a route makes a step for a route.
                Planned::Ready(_) => {}
            }
        }
        count_before(&wanted, &mut pending);
        // Stable: routes that share a key stay in the order in which they were given.
        wanted.sort_by_key(|(key, _)| *key);
        pending.sort_by_key(|one| one.key);
        let wanted = without_doubles(wanted);
        let sync = RouteSync { scope, wanted, pending, only: None, exactly: true };
        self.keyed.push(None, Edit::Sync(Arc::new(sync)));
        Ok(())
    }

    fn check_scope(&self, scope: &RouteFilter) -> Result<(), Refusal> {
        let (table, base) = (scope.table_number(), self.base());
        let (is_followed, what) = match scope.is_mpls() {
            true => (base.follows_mpls(), "every MPLS route".to_owned()),
            false => (base.follows_table(table), format!("every route of table {table}")),
        };
        if is_followed { Ok(()) } else { Err(Refusal::NotFollowed { what }) }
    }

    pub(super) fn check_followed(&self, key: &Key) -> Result<(), Refusal> {
        match key {
            Key::Route(RouteKey::Mpls(_)) => self.check_scope(&RouteFilter::mpls()),
            Key::Route(key) => self.check_scope(&RouteFilter::table(key.table())),
            _ if key.is_followed(self.base()) => Ok(()),
            _ => Err(Refusal::NotFollowed { what: format!("{}s", key.noun()) }),
        }
    }

    /// The step that a wish is, ready to be sent if every interface that it names is there.
    pub(super) fn planned(&mut self, wish: Wish, op: Op) -> Result<Planned, Refusal> {
        wish.check()?;
        let links = wish.links().into_iter().map(|link| {
            let target = self.resolve(&link)?;
            Ok((link, target))
        });
        let links = links.collect::<Result<Vec<(LinkRef, Target)>, Refusal>>()?;
        let live = |link: &LinkRef| {
            let found = links.iter().find(|(own, _)| own == link)?;
            match found.1 {
                Target::Live { index, .. } => Some(index),
                Target::New(_) => None,
            }
        };
        Ok(match wish.content(live, &mut self.keyed.bodies) {
            Some((key, content)) => Planned::Ready(Step { key, content, op }),
            None => {
                let text = self.text(&wish, &links);
                let arguments = self.arguments(&wish, &links);
                Planned::Pending(Box::new(Pending { op, wish, links, text, arguments }))
            }
        })
    }

    fn text(&self, wish: &Wish, links: &[(LinkRef, Target)]) -> String {
        let name = |link: &LinkRef| self.named(link, links);
        match wish {
            Wish::Route(spec) => spec.text(name),
            Wish::Neighbour(spec) => spec.text(name),
            other => other.to_string(),
        }
    }

    fn named(&self, link: &LinkRef, links: &[(LinkRef, Target)]) -> String {
        match links.iter().find(|(own, _)| own == link) {
            Some((_, target)) => self.name_of(*target),
            None => link.to_string(),
        }
    }

    /// What a command says of a neighbour.
    fn arguments(&self, wish: &Wish, links: &[(LinkRef, Target)]) -> Option<String> {
        let Wish::Neighbour(spec) = wish else { return None };
        Some(spec.arguments(|link| self.named(link, links)))
    }

    /// What this transaction itself puts there, if that is meant.
    ///
    /// # Errors
    /// When several fit the words, or one that is there does too.
    fn drafted(&self, which: &Which) -> Result<Option<usize>, Refusal> {
        let index = |link: &LinkRef| self.base().link(link.clone()).map(|link| link.index());
        let is_meant = |edit: &Edit| match (edit, which) {
            (
                Edit::Put(Planned::Ready(Step { key, content, .. }))
                | Edit::Change(_, _, Planned::Ready(Step { key, content, .. })),
                which,
            ) => match (which, key, content) {
                (Which::Route(which), Key::Route(key), Content::Route(held)) => {
                    held.body().is_some_and(|body| which.selects(&body.at(*key), index))
                }
                (Which::Rule(which), _, Content::Rule(rule)) => which.selects(rule),
                (Which::Nexthop(id), Key::Nexthop(own), _) => id == own,
                (Which::Neighbour(which), Key::Neighbour(own), _) => {
                    self.neighbour_key(which).ok().as_ref() == Some(own)
                }
                _ => false,
            },
            (
                Edit::Put(Planned::Pending(pending))
                | Edit::Change(_, _, Planned::Pending(pending)),
                which,
            ) => match (&pending.wish, which) {
                (Wish::Route(own), Which::Route(which)) => {
                    own == which || own.place().is_some() && own.place() == which.place()
                }
                (Wish::Nexthop(own), Which::Nexthop(id)) => own.id() == *id,
                (Wish::Neighbour(own), Which::Neighbour(which)) => own == which,
                _ => false,
            },
            _ => false,
        };
        let near = match which {
            // A table of a million: by the key.
            Which::Route(which) => which.key().map(|key| self.keyed.named_to(&key)),
            _ => Some((0..self.keyed.all.len()).collect()),
        };
        let meant = |at: &usize| self.keyed.all[*at].as_ref().is_some_and(is_meant);
        let found: Vec<_> = near.unwrap_or_default().into_iter().filter(meant).collect();
        let (Which::Route(spec), [first, ..]) = (which, &found[..]) else {
            return Ok(found.first().copied());
        };
        // Words that say everything mean the one at their own key.
        let named = spec.key().map(|key| self.keyed.named_at(&Key::Route(key))).unwrap_or_default();
        let mut exact = found.iter().filter(|at| named.contains(at));
        if let (Some(only), None) = (exact.next(), exact.next()) {
            return Ok(Some(*only));
        }
        let mut there = self.routes_meant(spec)?;
        there.retain(|(key, content)| {
            let is_replaced = |at: usize| {
                matches!(&self.keyed.all[at], Some(Edit::Put(own)) if own.op() == Op::Replace)
            };
            !self.keyed.takes(key, content) && !self.keyed.named_at(key).into_iter().any(is_replaced)
        });
        if found.len() == 1 && there.is_empty() {
            return Ok(Some(*first));
        }
        let text = |(key, content): &(Key, Content)| super::text(key, content, self.base());
        let drafted = found.iter().filter_map(|at| match &self.keyed.all[*at] {
            Some(Edit::Put(own) | Edit::Change(_, _, own)) => Some(own.text(self.base())),
            _ => None,
        });
        let found = there.iter().map(text).chain(drafted).collect();
        Err(Refusal::Ambiguous { what: format!("route {spec}"), found })
    }

    /// The one of the base that is meant.
    fn select(&self, which: &Which) -> Result<(Key, Content), Refusal> {
        let (what, mut found) = match which {
            Which::Route(which) => (format!("route {which}"), self.routes_meant(which)?),
            Which::Rule(which) => (format!("rule {which}"), self.rules_meant(which)?),
            Which::Neighbour(which) => {
                let key = Key::Neighbour(self.neighbour_key(which)?);
                (format!("{} {which}", key.noun()), self.meant(key)?)
            }
            Which::Nexthop(id) => (format!("nexthop {id}"), self.meant(Key::Nexthop(*id))?),
        };
        found.retain(|(key, content)| !self.keyed.takes(key, content));
        match found.len() {
            0 => Err(Refusal::Missing { what }),
            1 => Ok(found.remove(0)),
            _ => {
                let text = |(key, content): &(Key, Content)| super::text(key, content, self.base());
                Err(Refusal::Ambiguous { what, found: found.iter().map(text).collect() })
            }
        }
    }

    fn meant(&self, key: Key) -> Result<Vec<(Key, Content)>, Refusal> {
        self.check_followed(&key)?;
        Ok(key.whole(self.base()).into_iter().map(|content| (key.clone(), content)).collect())
    }

    fn neighbour_key(&self, which: &NeighbourSpec) -> Result<Arc<NeighbourKey>, Refusal> {
        self.resolve(which.link())?;
        let key = NeighbourKey::of(&self.neighbour_record(which)).map(Arc::new);
        key.ok_or_else(|| Refusal::Missing { what: format!("neighbour {which}") })
    }

    /// With 0 for the interfaces that are not there yet.
    fn neighbour_record(&self, spec: &NeighbourSpec) -> Record {
        let index = |link: &LinkRef| match self.resolve(link) {
            Ok(Target::Live { index, .. }) => Some(index),
            _ => Some(0),
        };
        spec.record(index).unwrap_or_else(|| Record::new(&NEIGHBOUR))
    }

    fn rules_meant(&self, which: &RuleSpec) -> Result<Vec<(Key, Content)>, Refusal> {
        rule::check(which)?;
        let family = RuleKey::of(&which.record()).family;
        let key = |rule: &Rule| RuleKey::of(rule.record());
        self.check_followed(&Key::Rule(RuleKey { family, priority: 0 }))?;
        let all = self.base().rules().family(family).iter().filter(|rule| which.selects(rule));
        let mut keys: Vec<_> = all.map(key).collect();
        keys.dedup();
        let mut found: Vec<(Key, Content)> = Vec::new();
        for key in keys {
            for rule in self.base().rules_at(&key).iter().filter(|rule| which.selects(rule)) {
                let (key, content) = (Key::Rule(key), Content::Rule(rule.clone()));
                // Of duplicates one is as good as the other.
                if !found.iter().any(|(own, known)| *own == key && known.same(&content)) {
                    found.push((key, content));
                }
            }
        }
        Ok(found)
    }

    fn routes_meant(&self, which: &RouteSpec) -> Result<Vec<(Key, Content)>, Refusal> {
        which.check().map_err(|error| invalid("route", error))?;
        let Some(place) = which.place() else { return Ok(Vec::new()) };
        self.check_followed(&Key::Route(place))?;
        which.links().try_for_each(|link| self.resolve(&link).map(drop))?;
        let index = |link: &LinkRef| self.base().link(link.clone()).map(|link| link.index());
        let mut bodies = Bodies::default();
        let mut found: Vec<(Key, Content)> = Vec::new();
        for (key, all) in self.base().keyed_routes_to(place) {
            for held in all {
                let fits = |content: &Content| {
                    let Content::Route(held) = content else { return false };
                    held.body().is_some_and(|body| which.selects(&body.at(key), index))
                };
                let whole = Content::Route(held.clone());
                let legs = if fits(&whole) {
                    vec![whole]
                } else {
                    route::ways(&key, held, &mut bodies).into_iter().filter(fits).collect()
                };
                for content in legs {
                    let known =
                        |(own, one): &(Key, Content)| *own == Key::Route(key) && one.same(&content);
                    if !found.iter().any(known) {
                        found.push((Key::Route(key), content));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// From how many were given before it to how many of them share its key.
fn count_before(wanted: &[(RouteKey, Arc<Held>)], pending: &mut [Waiting]) {
    let mut places: BTreeMap<RouteKey, Vec<usize>> =
        pending.iter().map(|one| (one.key, Vec::new())).collect();
    if places.is_empty() {
        return;
    }
    for (at, (key, _)) in wanted.iter().enumerate() {
        if let Some(places) = places.get_mut(key) {
            places.push(at);
        }
    }
    for one in pending {
        let before = places.get(&one.key).map(|all| all.iter().filter(|at| **at < one.behind));
        one.behind = before.map_or(0, Iterator::count);
    }
}

/// A route that is given twice is there once.
fn without_doubles(wanted: Vec<(RouteKey, Arc<Held>)>) -> Vec<(RouteKey, Arc<Held>)> {
    let mut kept: Vec<(RouteKey, Arc<Held>)> = Vec::with_capacity(wanted.len());
    for (key, held) in wanted {
        let same_key = kept.iter().rev().take_while(|(own, _)| *own == key);
        if !same_key.into_iter().any(|(_, own)| is_same(own, &held)) {
            kept.push((key, held));
        }
    }
    kept
}

fn route_of(key: &Key, content: &Content) -> Option<Route> {
    match (key, content) {
        (Key::Route(key), Content::Route(held)) => Some(held.body()?.at(*key)),
        _ => None,
    }
}

fn out_of_scope(key: &RouteKey, held: &Arc<Held>, names: &dyn Names) -> Refusal {
    let value = route::text(key, held, names);
    let why = "it is not in the scope that is to be brought in line".to_owned();
    Refusal::Invalid { what: "route", value, why }
}

impl RouteFilter {
    /// Whether a route is spoken of: never one that the kernel or a router makes by itself.
    pub(in crate::plan) fn holds(&self, key: &RouteKey, held: &Held) -> bool {
        let family = match key {
            RouteKey::V4(_) => Family::Inet,
            RouteKey::V6(_) => Family::Inet6,
            RouteKey::Mpls(_) => Family::MPLS,
        };
        let protocol = held.body().map(|body| body.record().number(row::PROTOCOL) as u8);
        !route::is_kernels(held)
            && self.matches(key.table(), family, RouteProtocol(protocol.unwrap_or(0)))
    }
}
