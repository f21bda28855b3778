//! What stands in the kernel's tables under a key: routes, rules, neighbours, nexthop objects.
//!
//! An interface is *edited*; what stands under a key is put there, replaced or taken away, whole. So a transaction
//! says of it what is to be at a key and what is not, a [`Step`] is one request, and whether it holds, what undoes it
//! and what was lost along the way all come from comparing what a key holds before, now and by wish.
//!
//! A key may hold several (K9, K10): IPv4 routes as a list whose first is used, IPv6 routes as legs in no order, rules
//! of a priority in the order of their making. They are compared one by one, so that what other programs have under the same key stays (P4). A table of a million is a
//! million steps: a step is a key and a shared pointer, and its request is made when it is sent.

mod edits;
mod ensure;
mod fading;
mod journal;
mod neighbour;
mod nexthop;
mod note;
mod order;
mod revert;
mod route;
mod rule;

use std::collections::HashMap;
use std::fmt;

use super::action::Indexes;
use super::{Refusal, Target};
use crate::object::route::{RouteKey, RouteSpec};
use crate::object::{
    Family, LinkRef, NEIGHBOUR, NEXTHOP, Names, Neighbour, NeighbourSpec, Nexthop, NexthopSpec,
    ROUTE, RULE, Rule, RuleSpec, SpecError, Table,
};
use crate::state::{Ask, Bodies, Held, NeighbourKey, NeighbourTarget, RuleKey, Snapshot};

pub(super) use edits::Scope;
pub use edits::{Edits, Which};
pub(super) use fading::{doubtful, fading};
pub(super) use journal::{Causes, Journal, residue};
pub(super) use note::scope;
pub(super) use order::{Turn, steps};
pub(super) use revert::relinked;

use std::sync::Arc;

/// What the kernel finds an object by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// Routes.
    Route(RouteKey),
    /// Rules.
    Rule(RuleKey),
    /// A neighbour, a proxy or a forwarding entry.
    Neighbour(Arc<NeighbourKey>),
    /// A nexthop object, by its number.
    Nexthop(u32),
}

/// One of the objects that stand at a key: all that is not in the key.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A route; one leg of it where the kernel keeps legs (K10).
    Route(Arc<Held>),
    /// A rule.
    Rule(Arc<Rule>),
    /// A neighbour, a proxy or a forwarding entry.
    Neighbour(Arc<Neighbour>),
    /// A nexthop object.
    Nexthop(Arc<Nexthop>),
}

/// How a step puts or takes what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Adds it where nothing is yet.
    Add,
    /// Adds it behind what is there.
    Append,
    /// Adds it before what is there.
    Prepend,
    /// Puts it in the place of what is there: of the first of several IPv4 routes, of all IPv6 legs.
    Replace,
    /// Takes it away.
    Delete,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Where.
    pub(super) key: Key,
    /// What.
    pub(super) content: Content,
    /// How.
    pub(super) op: Op,
}

/// A step, or one that waits for the index of an interface that the same transaction creates.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    /// It can be sent.
    Ready(Step),
    /// It cannot yet.
    Pending(Box<Pending>),
}

/// A step whose content names interfaces that are still to be created.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) op: Op,
    pub(super) wish: Wish,
    pub(super) links: Vec<(LinkRef, Target)>,
    /// The wish, with the names that the interfaces will have.
    pub(super) text: String,
    /// The same as a command has it, where that differs.
    pub(super) arguments: Option<String>,
}

impl Pending {
    fn over(&self, new: &[Target]) -> Option<Target> {
        let mut targets = self.links.iter().map(|(_, target)| *target);
        targets.find(|target| new.contains(target))
    }
}

/// What a user wishes to be there.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// A route.
    Route(RouteSpec),
    /// A rule.
    Rule(RuleSpec),
    /// A neighbour, a proxy or a forwarding entry.
    Neighbour(NeighbourSpec),
    /// A nexthop object.
    Nexthop(NexthopSpec),
}

impl Key {
    /// What stands there, one by one.
    pub(super) fn elements(&self, now: &Snapshot, bodies: &mut Bodies) -> Vec<Content> {
        match self {
            Key::Route(key) => route::elements(key, now, bodies),
            _ => self.whole(now),
        }
    }

    /// A content one by one, as [`Key::elements`] gives them.
    fn parts(&self, content: &Content, bodies: &mut Bodies) -> Vec<Content> {
        match (self, content) {
            (Key::Route(key), Content::Route(held)) => route::ways(key, held, bodies),
            _ => vec![content.clone()],
        }
    }

    /// What stands there, as the kernel groups it.
    fn whole(&self, now: &Snapshot) -> Vec<Content> {
        let one = |content: Option<Content>| content.into_iter().collect();
        match self {
            Key::Route(key) => now.routes_at(key).iter().cloned().map(Content::Route).collect(),
            Key::Rule(key) => now.rules_at(key).iter().cloned().map(Content::Rule).collect(),
            Key::Neighbour(key) => one(now.neighbour(key).cloned().map(Content::Neighbour)),
            Key::Nexthop(id) => one(now.nexthop(*id).cloned().map(Content::Nexthop)),
        }
    }

    /// What is there, in a word, and the table that names its attributes.
    fn table(&self) -> (&'static str, &'static Table) {
        match self {
            Key::Route(_) => ("route", &ROUTE),
            Key::Rule(_) => ("rule", &RULE),
            Key::Neighbour(key) if key.is_fdb() => ("forwarding entry", &NEIGHBOUR),
            Key::Neighbour(_) => ("neighbour", &NEIGHBOUR),
            Key::Nexthop(_) => ("nexthop", &NEXTHOP),
        }
    }

    /// What is there, in a word.
    fn noun(&self) -> &'static str {
        self.table().0
    }

    /// Whether the kernel announces neither that it comes nor that it goes (`pneigh_lookup`).
    fn is_silent(&self) -> bool {
        matches!(self, Key::Neighbour(key) if key.is_proxy())
    }

    /// Whether several that are the same may stand there (K37).
    fn is_counted(&self) -> bool {
        matches!(self, Key::Rule(_))
    }

    /// Whether only one route can be there: of a label (`mpls_route_add`).
    fn is_single(&self) -> bool {
        matches!(self, Key::Route(RouteKey::Mpls(_)))
    }

    /// Whether those that stand there have an order.
    fn is_ordered(&self) -> bool {
        !matches!(self, Key::Route(RouteKey::V6(_)))
    }

    /// Whether one may be put before the others, or in the place of the first.
    fn takes_first(&self) -> bool {
        !matches!(self, Key::Rule(_))
    }

    /// Whether of two that are wished or there only one can be at this key.
    fn excludes(&self, wish: &Content, there: &Content) -> bool {
        match (wish, there) {
            (Content::Rule(wish), Content::Rule(there)) => rule::is_same_rule(wish, there),
            _ => true,
        }
    }

    /// Whether the database follows what stands there.
    fn is_followed(&self, now: &Snapshot) -> bool {
        match self {
            Key::Route(RouteKey::Mpls(_)) => now.follows_mpls(),
            Key::Route(key) => now.follows_table(key.table()),
            Key::Rule(_) => now.follows_rules(),
            Key::Neighbour(_) => now.follows_neighbours(),
            Key::Nexthop(_) => now.follows_nexthops(),
        }
    }

    /// What makes `is` into `target`, one request after the other.
    fn transform(&self, is: &[Content], target: &[Content]) -> Vec<Step> {
        if let Key::Rule(_) = self {
            return rule::transform(self, is, target);
        }
        let step = |op, content: &Content| Step { key: self.clone(), content: content.clone(), op };
        let lacks = |all: &[Content], one: &Content| !all.iter().any(|other| other.same(one));
        if !self.is_ordered() {
            let (gone, new): (Vec<_>, Vec<_>) = (
                is.iter().filter(|one| lacks(target, one)).collect(),
                target.iter().filter(|one| lacks(is, one)).collect(),
            );
            // Of two legs by the same way only one can be there: the old one goes first.
            let clash = |one: &&&Content| new.iter().any(|other| other.is_same_way(one));
            let (first, last): (Vec<&Content>, Vec<&Content>) = gone.iter().partition(clash);
            let deletions = |all: Vec<&Content>| -> Vec<Step> {
                all.into_iter().map(|one| step(Op::Delete, one)).collect()
            };
            let additions = new.iter().map(|one| step(Op::Append, one));
            return [deletions(first), additions.collect(), deletions(last)].concat();
        }
        let same = |a: &[Content], b: &[Content]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
        };
        let append = |all: &[Content]| all.iter().map(|one| step(Op::Append, one)).collect();
        let delete = |all: &[Content]| -> Vec<Step> {
            all.iter().map(|one| step(Op::Delete, one)).collect()
        };
        let (n, m) = (is.len(), target.len());
        let left: Vec<_> = is.iter().filter(|one| !lacks(target, one)).cloned().collect();
        match (is, target) {
            _ if same(is, target) => Vec::new(),
            ([], _) => append(target),
            ([_, rest @ ..], [first, others @ ..]) if self.takes_first() && same(rest, others) => {
                vec![step(Op::Replace, first)]
            }
            _ if same(&left, target) => is
                .iter()
                .filter(|one| lacks(target, one))
                .map(|one| step(Op::Delete, one))
                .collect(),
            _ if self.takes_first() && m > n && same(&target[m - n..], is) => {
                target[..m - n].iter().rev().map(|one| step(Op::Prepend, one)).collect()
            }
            _ => {
                let common = is.iter().zip(target).take_while(|(a, b)| a.same(b)).count();
                let added: Vec<Step> = append(&target[common..]);
                [delete(&is[common..]), added].concat()
            }
        }
    }
}

impl Content {
    /// Whether both are the same, as the kernel has said them.
    pub(super) fn same(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Route(a), Content::Route(b)) => crate::state::is_same(a, b),
            (Content::Rule(a), Content::Rule(b)) => Arc::ptr_eq(a, b) || rule::agrees(a, b),
            (Content::Neighbour(a), Content::Neighbour(b)) => {
                Arc::ptr_eq(a, b) || neighbour::agrees(a, b) && neighbour::agrees(b, a)
            }
            (Content::Nexthop(a), Content::Nexthop(b)) => {
                Arc::ptr_eq(a, b) || nexthop::agrees(a, b) && nexthop::agrees(b, a)
            }
            _ => false,
        }
    }

    /// An interface that is down and that a route leaves by. The kernel lets the other legs of an IPv4 route live when one
    /// dies, and makes none with a dead one (`fib_check_nh`).
    fn dead_leg(&self, now: &Snapshot) -> Option<u32> {
        let Content::Route(held) = self else { return None };
        let down = |index: &&u32| now.link_by_index(**index).is_some_and(|link| !link.is_up());
        held.body()?.links().iter().find(down).copied()
    }

    /// Whether it is what the kernel has made in silence of another one: an IPv6 route without its preferred source, or
    /// with another mtu.
    fn is_left_of(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Route(own), Content::Route(other)) => route::is_left_of(own, other),
            _ => false,
        }
    }

    /// Whether it is a leg of an IPv6 group with a weight.
    fn is_weighted(&self) -> bool {
        matches!(self, Content::Route(held) if route::is_multipath(held))
    }

    /// Whether what is there leaves by the gateway that is wished, whatever else is said of it.
    fn leads_as(&self, there: &Content) -> bool {
        match (self, there) {
            (Content::Route(wish), Content::Route(there)) => route::leads_as(wish, there),
            _ => false,
        }
    }

    /// Whether it is the same route with fewer legs.
    fn is_rest_of(&self, before: &Content) -> bool {
        match (self, before) {
            (Content::Route(left), Content::Route(before)) => route::is_rest_of(left, before),
            _ => false,
        }
    }

    /// The members that a group of nexthops lacks, when it is what is left of another one.
    fn lost_members(&self, before: &Content) -> Option<Vec<u32>> {
        match (self, before) {
            (Content::Nexthop(left), Content::Nexthop(before)) => {
                nexthop::lost_members(left, before)
            }
            _ => None,
        }
    }

    /// Whether both cannot be at one key, where those of a key have no order.
    fn is_same_way(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Route(a), Content::Route(b)) => route::is_same_way(a, b),
            _ => true,
        }
    }
}

impl Step {
    /// The request.
    pub(super) fn encode(&self) -> Vec<u8> {
        match (&self.key, &self.content) {
            (Key::Route(key), Content::Route(held)) => route::encode(key, held, self.op),
            (Key::Neighbour(key), Content::Neighbour(one)) => neighbour::encode(key, one, self.op),
            (_, Content::Rule(rule)) => rule::encode(rule, self.op),
            (_, Content::Nexthop(nexthop)) => nexthop::encode(nexthop, self.op),
            // A key and a content are always made together.
            (_, Content::Route(_) | Content::Neighbour(_)) => Vec::new(),
        }
    }

    /// The length of the fixed struct in its request.
    pub(super) fn header(&self) -> usize {
        self.key.table().1.header
    }

    /// The kernel's name of the attribute at a path in its request.
    pub(super) fn attribute_name(&self, path: &[u16]) -> Option<&'static str> {
        self.key.table().1.name_path(path)
    }

    /// What it is about, as a text.
    pub(super) fn text(&self, names: &dyn Names) -> String {
        text(&self.key, &self.content, names)
    }

    /// A neighbour that the kernel looks for, and announces when it has found it or not.
    fn announced_late(&self) -> Option<Ask> {
        match (&self.key, &self.content) {
            (Key::Neighbour(key), Content::Neighbour(one)) if self.op != Op::Delete => {
                let NeighbourTarget::Address(address) = key.target else { return None };
                neighbour::is_looked_for(one).then_some(Ask::Neighbour(key.index, address))
            }
            _ => None,
        }
    }

    /// The same as an iproute2 command.
    pub(super) fn command(&self, names: &dyn Names) -> String {
        match &self.content {
            Content::Neighbour(neighbour) => {
                let index = neighbour.index();
                let dev =
                    index.map(|index| crate::object::show::link_name(index, names).to_string());
                let arguments = neighbour.arguments(dev.as_deref(), names);
                neighbour_command(neighbour.is_fdb(), self.op, &arguments)
            }
            _ => command(&self.key, self.op, &self.text(names)),
        }
    }

    /// K44: errors that mean "it may be so already", after which the state decides.
    fn is_tolerable(&self, errno: i32) -> bool {
        match self.op {
            Op::Delete => matches!(errno, libc::ESRCH | libc::ENOENT | libc::ENODEV),
            _ => errno == libc::EEXIST,
        }
    }
}

/// What stands at a key, as a text.
pub(super) fn text(key: &Key, content: &Content, names: &dyn Names) -> String {
    match (key, content) {
        (Key::Route(key), Content::Route(held)) => route::text(key, held, names),
        (_, Content::Rule(rule)) => rule.line(names),
        (_, Content::Neighbour(neighbour)) => neighbour.line(names),
        (_, Content::Nexthop(nexthop)) => nexthop.line(names),
        (_, Content::Route(_)) => String::new(),
    }
}

fn neighbour_command(is_fdb: bool, op: Op, arguments: &str) -> String {
    let program = if is_fdb { "bridge fdb" } else { "ip neigh" };
    format!("{program} {} {arguments}", verb(op))
}

fn verb(op: Op) -> &'static str {
    match op {
        Op::Add => "add",
        Op::Append => "append",
        Op::Prepend => "prepend",
        Op::Replace => "replace",
        Op::Delete => "del",
    }
}

fn command(key: &Key, op: Op, text: &str) -> String {
    let verb = verb(op);
    match key {
        Key::Route(RouteKey::V4(_)) => format!("ip route {verb} {text}"),
        Key::Route(RouteKey::V6(_)) => format!("ip -6 route {verb} {}", route::asked(text)),
        Key::Route(RouteKey::Mpls(_)) => {
            let verb = if matches!(op, Op::Append | Op::Prepend) { "add" } else { verb };
            format!("ip -f mpls route {verb} {}", route::asked(text))
        }
        Key::Rule(key) => {
            let verb = if op == Op::Delete { "del" } else { "add" };
            let family = if key.family == Family::Inet6 { "-6 " } else { "" };
            let (_, words) = text.split_once(":\t").unwrap_or(("", text));
            format!("ip {family}rule {verb} priority {} {words}", key.priority)
        }
        Key::Neighbour(key) if key.is_fdb() => format!("bridge fdb {verb} {text}"),
        Key::Neighbour(_) => format!("ip neigh {verb} {text}"),
        Key::Nexthop(id) if op == Op::Delete => format!("ip nexthop del id {id}"),
        Key::Nexthop(_) => format!("ip nexthop {verb} {text}"),
    }
}

impl Planned {
    /// The step, when every interface that it names has an index.
    pub(super) fn resolve(self, indexes: &Indexes, bodies: &mut Bodies) -> Option<Step> {
        match self {
            Planned::Ready(step) => Some(step),
            Planned::Pending(pending) => {
                let index = |link: &LinkRef| {
                    let target = pending.links.iter().find(|(own, _)| own == link)?.1;
                    indexes.of(target)
                };
                let (key, content) = pending.wish.content(index, bodies)?;
                Some(Step { key, content, op: pending.op })
            }
        }
    }

    /// The same as an iproute2 command.
    pub(super) fn command(&self, names: &dyn Names) -> String {
        match self {
            Planned::Ready(step) => step.command(names),
            Planned::Pending(pending) => match (&pending.wish, &pending.arguments) {
                (Wish::Neighbour(spec), Some(arguments)) => {
                    neighbour_command(spec.is_fdb(), pending.op, arguments)
                }
                (wish, _) => match wish.key() {
                    Some(key) => command(&key, pending.op, &pending.text),
                    None => pending.text.clone(),
                },
            },
        }
    }

    /// What it is about, as a text.
    pub(super) fn text(&self, names: &dyn Names) -> String {
        match self {
            Planned::Ready(step) => step.text(names),
            Planned::Pending(pending) => pending.text.clone(),
        }
    }

    /// What it is of.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Planned::Ready(step) => step.key.noun(),
            Planned::Pending(pending) => pending.wish.noun(),
        }
    }

    /// What stands in the place that it takes, as a text.
    pub(super) fn replaced(&self, now: &Snapshot) -> Option<String> {
        let key = self.key()?;
        let there = key.whole(now);
        let there = if key.is_ordered() { there.get(..1)? } else { &there[..] };
        let all: Vec<_> = there.iter().map(|one| text(&key, one, now)).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The interfaces that it goes over and that are there.
    pub(super) fn live_links(&self) -> Vec<u32> {
        match self {
            Planned::Ready(step) => match &step.content {
                Content::Route(held) => {
                    held.body().map(|body| body.links().to_vec()).unwrap_or_default()
                }
                Content::Neighbour(one) => one.index().into_iter().collect(),
                Content::Nexthop(one) => one.oif().into_iter().collect(),
                Content::Rule(_) => Vec::new(),
            },
            Planned::Pending(pending) => {
                let live = pending.links.iter().filter_map(|(_, target)| match target {
                    Target::Live { index, .. } => Some(*index),
                    Target::New(_) => None,
                });
                live.collect()
            }
        }
    }

    /// Which of these interfaces, still to be created, it goes over.
    pub(super) fn over(&self, new: &[Target]) -> Option<Target> {
        let Planned::Pending(pending) = self else { return None };
        pending.over(new)
    }

    fn with_op(mut self, new: Op) -> Self {
        match &mut self {
            Planned::Ready(step) => step.op = new,
            Planned::Pending(pending) => pending.op = new,
        }
        self
    }

    pub(super) fn op(&self) -> Op {
        match self {
            Planned::Ready(step) => step.op,
            Planned::Pending(pending) => pending.op,
        }
    }

    pub(super) fn key(&self) -> Option<Key> {
        match self {
            Planned::Ready(step) => Some(step.key.clone()),
            Planned::Pending(pending) => pending.wish.key(),
        }
    }
}

impl Wish {
    /// Whether what was said can be.
    fn check(&self) -> Result<(), Refusal> {
        let checked = match self {
            Wish::Route(spec) => spec.check(),
            Wish::Rule(spec) => spec.check(),
            Wish::Neighbour(spec) => spec.check(),
            Wish::Nexthop(spec) => spec.check(),
        };
        checked.map_err(|error| invalid(self.noun(), error))
    }

    /// What it is of, in a word.
    fn noun(&self) -> &'static str {
        match self {
            Wish::Route(_) => "route",
            Wish::Rule(_) => "rule",
            Wish::Neighbour(_) => "neighbour",
            Wish::Nexthop(_) => "nexthop",
        }
    }

    /// The interfaces that it names by more than their names.
    fn links(&self) -> Vec<LinkRef> {
        match self {
            Wish::Route(spec) => spec.links().collect(),
            Wish::Rule(_) => Vec::new(),
            Wish::Neighbour(spec) => spec.links().cloned().collect(),
            Wish::Nexthop(spec) => spec.link().into_iter().cloned().collect(),
        }
    }

    /// Where it will stand, where that does not depend on an interface.
    fn key(&self) -> Option<Key> {
        match self {
            Wish::Route(spec) => spec.key().map(Key::Route),
            Wish::Rule(spec) => Some(Key::Rule(RuleKey::of(&spec.record()))),
            Wish::Neighbour(_) => None,
            Wish::Nexthop(spec) => Some(Key::Nexthop(Nexthop::of(spec.record(None)).id())),
        }
    }

    fn content(
        &self,
        index: impl Fn(&LinkRef) -> Option<u32>,
        bodies: &mut Bodies,
    ) -> Option<(Key, Content)> {
        match self {
            Wish::Route(spec) => {
                let (key, held) = route::content(spec, index, bodies)?;
                Some((Key::Route(key), Content::Route(held)))
            }
            Wish::Rule(spec) => {
                let rule = Rule::of(spec.record());
                Some((Key::Rule(RuleKey::of(rule.record())), Content::Rule(Arc::new(rule))))
            }
            Wish::Neighbour(spec) => {
                let neighbour = Neighbour::of(spec.record(index)?);
                let key = NeighbourKey::of(neighbour.record())?;
                Some((Key::Neighbour(Arc::new(key)), Content::Neighbour(Arc::new(neighbour))))
            }
            Wish::Nexthop(spec) => {
                let index = match spec.link() {
                    Some(link) => Some(index(link)?),
                    None => None,
                };
                let nexthop = Nexthop::of(spec.record(index));
                Some((Key::Nexthop(nexthop.id()), Content::Nexthop(Arc::new(nexthop))))
            }
        }
    }
}

fn invalid(what: &'static str, error: SpecError) -> Refusal {
    Refusal::Invalid { what, value: error.text, why: error.why }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Route(spec) => spec.fmt(f),
            Wish::Rule(spec) => spec.fmt(f),
            Wish::Neighbour(spec) => spec.fmt(f),
            Wish::Nexthop(spec) => spec.fmt(f),
        }
    }
}

/// Compares what is wished with what the kernel says: it fills in what was not said. A million routes share a handful of
/// bodies, so each pair is compared once.
#[derive(Debug, Default)]
pub(super) struct Matcher(HashMap<(*const Held, *const Held), Compared>);

/// What came of it, and what was compared.
type Compared = (bool, [Arc<Held>; 2]);

impl Matcher {
    /// Whether what is there is what was wished. Both are kept, so that nothing else gets their addresses.
    pub(super) fn agrees(&mut self, wish: &Content, have: &Content) -> bool {
        match (wish, have) {
            (Content::Route(wish), Content::Route(have)) => {
                let pair = (Arc::as_ptr(wish), Arc::as_ptr(have));
                let kept = || (route::agrees(wish, have), [wish.clone(), have.clone()]);
                self.0.entry(pair).or_insert_with(kept).0
            }
            (Content::Rule(wish), Content::Rule(have)) => rule::agrees(wish, have),
            (Content::Neighbour(wish), Content::Neighbour(have)) => neighbour::agrees(wish, have),
            (Content::Nexthop(wish), Content::Nexthop(have)) => nexthop::agrees(wish, have),
            _ => false,
        }
    }

    /// Whether one of those that are there is what was wished.
    pub(super) fn agrees_with_any(&mut self, wish: &Content, there: &[Content]) -> bool {
        match there {
            [alone] => self.agrees_alone(wish, alone),
            all => all.iter().any(|one| self.agrees(wish, one)),
        }
    }

    /// The same of what stands alone at its key: the kernel keeps the weight of a single IPv6 leg and does not say it.
    pub(super) fn agrees_alone(&mut self, wish: &Content, have: &Content) -> bool {
        self.agrees(wish, have)
            || matches!((wish, have), (Content::Route(wish), Content::Route(have))
                if route::agrees_but_for_weight(wish, have))
    }
}
