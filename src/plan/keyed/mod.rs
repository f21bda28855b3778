//! What stands in the kernel's tables under a key: routes.
//!
//! An interface is *edited*; what stands under a key is put there, replaced or taken away, whole. So a transaction
//! says of it what is to be at a key and what is not, a [`Step`] is one request, and whether it holds, what undoes it
//! and what was lost along the way all come from comparing what a key holds before, now and by wish.
//!
//! A key may hold several (K9, K10): IPv4 routes as a list whose first is used, IPv6 routes as legs in no order. They
//! are compared one by one, so that what other programs have under the same key stays (P4). A table of a million is a
//! million steps: a step is a key and a shared pointer, and its request is made when it is sent.

mod edits;
mod journal;
mod order;
mod route;

use std::collections::HashMap;
use std::fmt;

use super::action::Indexes;
use super::{Refusal, Target};
use crate::object::route::{RouteKey, RouteSpec};
use crate::object::{LinkRef, Names, ROUTE};
use crate::state::{Bodies, Held, Snapshot};

pub use edits::Edits;
pub(super) use journal::{Causes, Journal, residue};
pub(super) use order::{Turn, steps};

use std::sync::Arc;

/// What the kernel finds an object by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// Routes.
    Route(RouteKey),
}

/// One of the objects that stand at a key: all that is not in the key.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A route; one leg of it where the kernel keeps legs (K10).
    Route(Arc<Held>),
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
}

/// What a user wishes to be there.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// A route.
    Route(RouteSpec),
}

impl Key {
    /// What stands there, one by one.
    pub(super) fn elements(&self, now: &Snapshot, bodies: &mut Bodies) -> Vec<Content> {
        match self {
            Key::Route(key) => route::elements(key, now, bodies),
        }
    }

    /// A content one by one, as [`Key::elements`] gives them.
    fn parts(&self, content: &Content, bodies: &mut Bodies) -> Vec<Content> {
        match (self, content) {
            (Key::Route(key), Content::Route(held)) => route::ways(key, held, bodies),
        }
    }

    /// What is there, in a word.
    fn noun(&self) -> &'static str {
        match self {
            Key::Route(_) => "route",
        }
    }

    /// What stands there, as the kernel groups it.
    fn whole(&self, now: &Snapshot) -> Vec<Content> {
        match self {
            Key::Route(key) => now.routes_at(key).iter().cloned().map(Content::Route).collect(),
        }
    }

    /// Whether those that stand there have an order.
    fn is_ordered(&self) -> bool {
        match self {
            Key::Route(key) => matches!(key, RouteKey::V4(_)),
        }
    }

    /// What makes `is` into `target`, one request after the other.
    fn transform(&self, is: &[Content], target: &[Content]) -> Vec<Step> {
        let step = |op, content: &Content| Step { key: *self, content: content.clone(), op };
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
            ([_, rest @ ..], [first, others @ ..]) if same(rest, others) => {
                vec![step(Op::Replace, first)]
            }
            _ if same(&left, target) => is
                .iter()
                .filter(|one| lacks(target, one))
                .map(|one| step(Op::Delete, one))
                .collect(),
            _ if m > n && same(&target[m - n..], is) => {
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
        }
    }

    /// Whether both cannot be at one key, where those of a key have no order.
    fn is_same_way(&self, other: &Content) -> bool {
        match (self, other) {
            (Content::Route(a), Content::Route(b)) => route::is_same_way(a, b),
        }
    }
}

impl Step {
    /// The request.
    pub(super) fn encode(&self) -> Vec<u8> {
        match (&self.key, &self.content) {
            (Key::Route(key), Content::Route(held)) => route::encode(key, held, self.op),
        }
    }

    /// The length of the fixed struct in its request.
    pub(super) fn header(&self) -> usize {
        match self.key {
            Key::Route(_) => ROUTE.header,
        }
    }

    /// The kernel's name of the attribute at a path in its request.
    pub(super) fn attribute_name(&self, path: &[u16]) -> Option<&'static str> {
        match self.key {
            Key::Route(_) => ROUTE.name_path(path),
        }
    }

    /// What it is about, as a text.
    pub(super) fn text(&self, names: &dyn Names) -> String {
        text(&self.key, &self.content, names)
    }

    /// The same as an iproute2 command.
    pub(super) fn command(&self, names: &dyn Names) -> String {
        command(&self.key, self.op, &self.text(names))
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
    }
}

fn command(key: &Key, op: Op, text: &str) -> String {
    let verb = match op {
        Op::Add => "add",
        Op::Append => "append",
        Op::Prepend => "prepend",
        Op::Replace => "replace",
        Op::Delete => "del",
    };
    match key {
        Key::Route(RouteKey::V4(_)) => format!("ip route {verb} {text}"),
        Key::Route(RouteKey::V6(_)) => format!("ip -6 route {verb} {text}"),
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
            Planned::Pending(pending) => match pending.wish.key() {
                Some(key) => command(&key, pending.op, &pending.wish.to_string()),
                None => pending.wish.to_string(),
            },
        }
    }

    /// What it is about, as a text.
    pub(super) fn text(&self, names: &dyn Names) -> String {
        match self {
            Planned::Ready(step) => step.text(names),
            Planned::Pending(pending) => pending.wish.to_string(),
        }
    }

    /// What it is of.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Planned::Ready(step) => step.key.noun(),
            Planned::Pending(pending) => match &pending.wish {
                Wish::Route(_) => "route",
            },
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
            Planned::Ready(step) => Some(step.key),
            Planned::Pending(pending) => pending.wish.key(),
        }
    }
}

impl Wish {
    /// Whether what was said can be.
    fn check(&self) -> Result<(), Refusal> {
        match self {
            Wish::Route(spec) => spec.check().map_err(|error| Refusal::Invalid {
                what: "route",
                value: error.text,
                why: error.why,
            }),
        }
    }

    /// The interfaces that it names.
    fn links(&self) -> Vec<LinkRef> {
        match self {
            Wish::Route(spec) => spec.links().collect(),
        }
    }

    /// Where it will stand.
    fn key(&self) -> Option<Key> {
        match self {
            Wish::Route(spec) => spec.key().map(Key::Route),
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
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Route(spec) => spec.fmt(f),
        }
    }
}

/// Compares what is wished with what the kernel says: it fills in what was not said. A million routes share a handful of
/// bodies, so each pair is compared once.
#[derive(Debug, Default)]
pub(super) struct Matcher(HashMap<(*const Held, *const Held), bool>);

impl Matcher {
    /// Whether what is there is what was wished. Both must live as long as this.
    pub(super) fn agrees(&mut self, wish: &Content, have: &Content) -> bool {
        match (wish, have) {
            (Content::Route(wish), Content::Route(have)) => {
                let pair = (Arc::as_ptr(wish), Arc::as_ptr(have));
                *self.0.entry(pair).or_insert_with(|| route::agrees(wish, have))
            }
        }
    }
}
