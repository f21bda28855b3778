//! What a transaction names of the kernel's tables, and nothing else.

use std::collections::BTreeSet;

use super::{Content, Key, Matcher, Op, Pending, Planned, Step, Wish, route};
use crate::object::route::{Route, RouteKey, RouteProtocol, RouteSpec, row};
use crate::object::{Family, LinkRef, Names};
use crate::plan::{Draft, Refusal, Target};
use crate::state::{Bodies, Held, RouteFilter};

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
}

/// What all routes of a scope are to be.
#[derive(Clone, Debug)]
pub(super) struct RouteSync {
    /// Which routes are spoken of.
    pub(super) scope: RouteFilter,
    /// What they are to be, in the order of the keys.
    pub(super) wanted: Vec<(RouteKey, Arc<Held>)>,
    /// Those over interfaces that are still to be created.
    pub(super) pending: Vec<(RouteKey, Pending)>,
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

    fn push(&mut self, key: Option<Key>, edit: Edit) {
        self.at.extend(key.map(|key| (key, self.all.len())));
        self.all.push(Some(edit));
    }

    /// What is named at a key.
    fn named(&self, key: &Key) -> Vec<usize> {
        let range = self.at.range((*key, 0)..=(*key, usize::MAX));
        range.map(|(_, at)| *at).filter(|at| self.all[*at].is_some()).collect()
    }

    fn takes(&self, key: &Key, content: &Content) -> bool {
        self.named(key).into_iter().any(|at| match &self.all[at] {
            Some(Edit::Take(_, own) | Edit::Change(_, own, _)) => own.same(content),
            _ => false,
        })
    }
}

impl Draft {
    /// Puts a route where nothing is ([`Op::Add`]), beside what is there, or in its place.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or is to be added where a route is.
    pub fn put_route(&mut self, spec: RouteSpec, op: Op) -> Result<(), Refusal> {
        self.put(Wish::Route(spec), op)
    }

    fn put(&mut self, wish: Wish, op: Op) -> Result<(), Refusal> {
        let planned = self.planned(wish, op)?;
        let Some(key) = planned.key() else {
            self.keyed.push(None, Edit::Put(planned));
            return Ok(());
        };
        self.check_followed(&key)?;
        let named = self.keyed.named(&key);
        let there = key.elements(self.base(), &mut Bodies::default());
        let taken = |own: &Content| self.keyed.takes(&key, own);
        let left = there.iter().filter(|own| !taken(own)).count();
        let put = |at: &usize| !matches!(self.keyed.all[*at], Some(Edit::Take(..)));
        let occupied = left > 0 || named.iter().any(put);
        let same = |own: &Content| match &planned {
            Planned::Ready(step) => {
                Matcher::default().agrees(&step.content, own) && !self.keyed.takes(&key, own)
            }
            Planned::Pending(_) => false,
        };
        if op == Op::Add && occupied || op != Op::Replace && there.iter().any(same) {
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
            named.into_iter().for_each(|at| self.keyed.all[at] = None);
        }
        self.keyed.push(Some(key), Edit::Put(planned));
        Ok(())
    }

    /// Takes the route away that the words mean.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn remove_route(&mut self, which: &RouteSpec) -> Result<(), Refusal> {
        if let Some(at) = self.drafted(which)? {
            self.keyed.all[at] = None;
            return Ok(());
        }
        let (key, content, _) = self.select_route(which)?;
        self.keyed.push(Some(key), Edit::Take(key, content));
        Ok(())
    }

    /// Changes the route that the words mean, and gives the key by which it will be found.
    ///
    /// # Errors
    /// When there is none, or more than one; when what it becomes cannot be, or stands in the way of another.
    pub fn change_route(
        &mut self,
        which: &RouteSpec,
        change: impl FnOnce(RouteSpec) -> RouteSpec,
    ) -> Result<RouteKey, Refusal> {
        let (key, old, route) = self.select_route(which)?;
        let wish = Wish::Route(change((&route).into()));
        let planned = self.planned(wish, Op::Replace)?;
        let new = planned.key().unwrap_or(key);
        if new != key && !new.elements(self.base(), &mut Bodies::default()).is_empty() {
            let what = format!("{} {}", new.noun(), planned.text(self.base()));
            return Err(Refusal::Exists { what });
        }
        self.keyed.push(Some(key), Edit::Change(key, old, planned));
        let Key::Route(new) = new;
        Ok(new)
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
        let mut sync = RouteSync { scope, wanted: Vec::new(), pending: Vec::new() };
        for spec in routes {
            match self.planned(Wish::Route(spec), Op::Append)? {
                Planned::Ready(Step {
                    key: Key::Route(key),
                    content: Content::Route(held),
                    ..
                }) => {
                    if !sync.scope.holds(&key, &held) {
                        return Err(out_of_scope(&key, &held, self.base()));
                    }
                    sync.wanted.push((key, held));
                }
                Planned::Pending(pending) => {
                    let Some(Key::Route(key)) = pending.wish.key() else { continue };
                    sync.pending.push((key, *pending));
                }
            }
        }
        if !self.base().follows_routes() {
            return Err(Refusal::NotFollowed { what: "routes".to_owned() });
        }
        // Stable: routes that share a key stay in the order in which they were given.
        sync.wanted.sort_by_key(|(key, _)| *key);
        self.keyed.push(None, Edit::Sync(Arc::new(sync)));
        Ok(())
    }

    fn check_followed(&self, key: &Key) -> Result<(), Refusal> {
        let (followed, what) = match key {
            Key::Route(_) => (self.base().follows_routes(), "routes"),
        };
        if followed { Ok(()) } else { Err(Refusal::NotFollowed { what: what.to_owned() }) }
    }

    /// The step that a wish is, ready to be sent if every interface that it names is there.
    fn planned(&mut self, wish: Wish, op: Op) -> Result<Planned, Refusal> {
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
            None => Planned::Pending(Box::new(Pending { op, wish, links })),
        })
    }

    /// A route of this transaction's own that the words mean.
    fn drafted(&self, which: &RouteSpec) -> Result<Option<usize>, Refusal> {
        let index = |link: &LinkRef| self.base().link(link.clone()).map(|link| link.index());
        let mine = |edit: &Option<Edit>| match edit {
            Some(Edit::Put(Planned::Ready(Step { key: Key::Route(key), content, .. }))) => {
                let Content::Route(held) = content;
                held.body().is_some_and(|body| which.selects(&body.at(*key), index))
            }
            Some(Edit::Put(Planned::Pending(pending))) => {
                let Wish::Route(spec) = &pending.wish;
                spec == which || spec.place().is_some() && spec.place() == which.place()
            }
            _ => false,
        };
        which.check().map_err(invalid)?;
        let near = match which.key().map(Key::Route) {
            Some(key) => self.keyed.named(&key),
            None => Vec::new(),
        };
        Ok(near.into_iter().find(|at| mine(&self.keyed.all[*at])))
    }

    /// The one route of the base that the words mean: of an IPv6 group the whole, or the leg that is named.
    pub(super) fn select_route(&self, which: &RouteSpec) -> Result<(Key, Content, Route), Refusal> {
        which.check().map_err(invalid)?;
        let missing = || Refusal::Missing { what: format!("route {which}") };
        let (table, net) = which.place().ok_or_else(missing)?;
        if !self.base().follows_routes() {
            return Err(Refusal::NotFollowed { what: "routes".to_owned() });
        }
        which.links().try_for_each(|link| self.resolve(&link).map(drop))?;
        let index = |link: &LinkRef| self.base().link(link.clone()).map(|link| link.index());
        let mut bodies = Bodies::default();
        let mut found: Vec<(Key, Content, Route)> = Vec::new();
        for (key, all) in self.base().keyed_routes_to(table, net) {
            for held in all {
                let whole = [Content::Route(held.clone())];
                let legs = route::ways(&key, held, &mut bodies);
                for content in whole.into_iter().chain(legs) {
                    let Content::Route(held) = &content;
                    let Some(route) = held.body().map(|body| body.at(key)) else { continue };
                    let known = |one: &(Key, Content, Route)| {
                        one.0 == Key::Route(key) && one.1.same(&content)
                    };
                    let taken = self.keyed.takes(&Key::Route(key), &content);
                    if which.selects(&route, index) && !taken && !found.iter().any(known) {
                        found.push((Key::Route(key), content, route));
                        break;
                    }
                }
            }
        }
        match found.len() {
            0 => Err(missing()),
            1 => Ok(found.remove(0)),
            _ => {
                let found = found.iter().map(|(_, _, route)| route.line(self.base())).collect();
                Err(Refusal::Ambiguous { what: format!("route {which}"), found })
            }
        }
    }
}

fn invalid(error: crate::object::SpecError) -> Refusal {
    Refusal::Invalid { what: "route", value: error.text, why: error.why }
}

fn out_of_scope(key: &RouteKey, held: &Arc<Held>, names: &dyn Names) -> Refusal {
    let value = route::text(key, held, names);
    let why = "it is not in the scope that is to be brought in line".to_owned();
    Refusal::Invalid { what: "route", value, why }
}

impl RouteFilter {
    /// Whether a route is spoken of: never one that the kernel or a router makes by itself.
    pub(super) fn holds(&self, key: &RouteKey, held: &Held) -> bool {
        let (table, family) = match key {
            RouteKey::V4(key) => (key.table, Family::Inet),
            RouteKey::V6(key) => (key.table, Family::Inet6),
        };
        let protocol = held.body().map(|body| body.record().number(row::PROTOCOL) as u8);
        !route::is_kernels(held)
            && self.matches(table, family, RouteProtocol(protocol.unwrap_or(0)))
    }
}
