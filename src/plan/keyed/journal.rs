//! What was sent, what came of it, whether it holds, and what is left to undo.
//!
//! As for interfaces (`plan::undo`), what is left to undo is found by looking: at each key that this commit has touched,
//! what stands there is compared with what stood there before and with what was wished. What another program has put
//! there since stays (P4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::order::turn_of;
use super::{Content, Key, Matcher, Op, Planned, Step, neighbour, route};
use crate::object::Names;
use crate::object::route::RouteKey;
use crate::plan::action::Indexes;
use crate::plan::commit::{Answer, Residue};
use crate::plan::{Failure, Why};
use crate::state::{Bodies, Held, Snapshot};
use crate::wire::{Ack, locate};

/// Steps that are asked for at once: their notifications must fit the event socket's buffer twice, with 832 bytes of it
/// for a route (K16).
const TOGETHER: usize = 2048;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// No answer arrived, or it is not sent yet.
    Lost,
    /// The kernel has acknowledged it, or it is seen to be so.
    Done,
    /// The kernel has refused it because it may be so already: it is not ours (K44).
    Doubtful,
    /// The kernel has refused it.
    Refused,
}

/// What a commit has changed of interfaces, with which routes go in silence (K4 to K8).
#[derive(Clone, Debug, Default)]
pub(in crate::plan) struct Causes {
    /// Interfaces that went down or away, changed their master, or lost an address.
    pub(in crate::plan) links: BTreeSet<u32>,
    /// Addresses that were taken away.
    pub(in crate::plan) sources: BTreeSet<IpAddr>,
    /// Nexthop objects that were taken away.
    pub(super) nexthops: BTreeSet<u32>,
}

impl Causes {
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.nexthops.is_empty()
    }
}

/// What was sent, and what came of it.
#[derive(Debug, Default)]
pub(in crate::plan) struct Journal {
    pub(super) steps: Vec<Step>,
    pub(super) sent: Vec<Sent>,
    failures: BTreeMap<usize, Failure>,
    /// Steps that the kernel has refused, and that are not noted yet.
    pub(super) refused: Vec<usize>,
    in_flight: Range<usize>,
    pub(super) bodies: Bodies,
    undoing: VecDeque<Step>,
    undo_in_flight: usize,
}

impl Journal {
    /// The next requests of a wave.
    pub(in crate::plan) fn send(
        &mut self,
        wave: &mut VecDeque<Planned>,
        indexes: &Indexes,
    ) -> Vec<Vec<u8>> {
        let start = self.steps.len();
        let now = wave.len().min(TOGETHER);
        for planned in wave.drain(..now) {
            // Without an index the creation has failed, and then nothing more is sent.
            let Some(step) = planned.resolve(indexes, &mut self.bodies) else { continue };
            self.steps.push(step);
            self.sent.push(Sent::Lost);
        }
        self.in_flight = start..self.steps.len();
        self.steps[start..].iter().map(Step::encode).collect()
    }

    /// Takes the answers, in the order of the requests; gives why the commit fails, if it does, and the steps that were
    /// not sent because one before them was refused.
    pub(in crate::plan) fn handle_answers(
        &mut self,
        answers: &[Answer],
        names: &dyn Names,
    ) -> (Option<Failure>, Vec<Planned>) {
        let mut cause = None;
        for (at, answer) in self.in_flight.clone().zip(answers) {
            let Some(ack) = &answer.ack else { continue };
            if ack.is_ok() {
                self.sent[at] = Sent::Done;
                continue;
            }
            let failure = failure(&self.steps[at], ack, names);
            self.refused.push(at);
            if self.steps[at].is_tolerable(ack.errno) {
                self.sent[at] = Sent::Doubtful;
                self.failures.insert(at, failure);
            } else {
                self.sent[at] = Sent::Refused;
                cause.get_or_insert(failure);
            }
        }
        let unsent = self.in_flight.start + answers.len().min(self.in_flight.len());
        self.sent.truncate(unsent);
        self.in_flight.end = unsent;
        let unsent = self.steps.split_off(unsent);
        (cause, unsent.into_iter().map(Planned::Ready).collect())
    }

    /// Whether an answer was lost.
    pub(in crate::plan) fn is_lost(&self) -> bool {
        self.sent[self.in_flight.clone()].contains(&Sent::Lost)
    }

    /// An answer was lost: what is so was done (K12).
    pub(in crate::plan) fn decide(&mut self, now: &Snapshot) -> Option<Failure> {
        let mut matcher = Matcher::default();
        let mut cause = None;
        for at in self.in_flight.clone() {
            if self.sent[at] != Sent::Lost {
                continue;
            }
            match holds(&self.steps[at], now, &mut self.bodies, &mut matcher) {
                true => self.sent[at] = Sent::Done,
                false => {
                    let step = self.steps[at].command(now);
                    cause.get_or_insert(Failure { step, why: Why::Unanswered });
                }
            }
        }
        cause
    }

    /// The first step that did not take effect.
    pub(in crate::plan) fn unmet(&mut self, now: &Snapshot) -> Option<Failure> {
        let mut matcher = Matcher::default();
        for (at, step) in self.steps.iter().enumerate() {
            if holds(step, now, &mut self.bodies, &mut matcher) {
                continue;
            }
            return Some(self.failures.get(&at).cloned().unwrap_or_else(|| {
                let there = step.key.elements(now, &mut self.bodies);
                let there: Vec<_> =
                    there.iter().map(|one| super::text(&step.key, one, now)).collect();
                let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
                let instead = format!("there is {there}");
                Failure { step: step.command(now), why: Why::Ignored { instead } }
            }));
        }
        None
    }

    /// What is left to undo: what is to be taken away, and what is to be put back, each in order.
    pub(in crate::plan) fn undo(
        &mut self,
        before: &Snapshot,
        now: &Snapshot,
        causes: &Causes,
    ) -> (Vec<Step>, Vec<Step>) {
        let own = (0..self.steps.len())
            .filter(|at| matches!(self.sent[*at], Sent::Done | Sent::Lost))
            .collect::<Vec<_>>();
        let mut touched: Vec<(Key, usize)> =
            own.iter().map(|at| (self.steps[*at].key.clone(), *at)).collect();
        touched.sort_unstable();
        let (mut removals, mut restores) = (Vec::new(), Vec::new());
        let mut matcher = Matcher::default();
        for of_key in touched.chunk_by(|a, b| a.0 == b.0) {
            let key = of_key[0].0.clone();
            let steps: Vec<Step> = of_key.iter().map(|(_, at)| self.steps[*at].clone()).collect();
            let Some(steps) = self.undo_key(key, &steps, before, now, &mut matcher) else {
                continue;
            };
            let all = if steps.iter().all(|step| step.op == Op::Delete) {
                &mut removals
            } else {
                &mut restores
            };
            all.extend(steps);
        }
        removals.sort_by_key(turn_of);
        let mut causes = causes.clone();
        for step in own.iter().map(|at| &self.steps[*at]) {
            if let (Key::Nexthop(id), Op::Delete | Op::Replace) = (&step.key, step.op) {
                causes.nexthops.insert(*id);
            }
        }
        let known: BTreeSet<Key> = match causes.is_empty() {
            true => BTreeSet::new(),
            false => touched.iter().map(|(key, _)| key.clone()).collect(),
        };
        restores.extend(lost_along(before, now, &causes, &known, &mut self.bodies));
        restores.sort_by_key(turn_of);
        (removals, restores)
    }

    /// What makes a key as it was, but for what others have put there since; `None` when it is so.
    fn undo_key(
        &mut self,
        key: Key,
        steps: &[Step],
        before: &Snapshot,
        now: &Snapshot,
        matcher: &mut Matcher,
    ) -> Option<Vec<Step>> {
        let bodies = &mut self.bodies;
        let (was, is) = (key.elements(before, bodies), key.elements(now, bodies));
        let among = |all: &[Content], one: &Content| all.iter().any(|other| other.same(one));
        let mut put = Vec::new();
        let mut taken = Vec::new();
        for step in steps {
            let parts = key.parts(&step.content, bodies);
            match step.op {
                Op::Delete => taken.extend(parts),
                Op::Replace => {
                    let all =
                        if key.is_ordered() { was.get(..1).unwrap_or_default() } else { &was };
                    taken.extend(
                        all.iter().filter(|one| !among(&taken, one)).cloned().collect::<Vec<_>>(),
                    );
                    put.extend(parts);
                }
                Op::Add | Op::Append | Op::Prepend => put.extend(parts),
            }
        }
        let mut ours = |one: &Content| put.iter().any(|wish| matcher.agrees(wish, one));
        let ours: Vec<bool> = is.iter().map(|one| !among(&was, one) && ours(one)).collect();
        let replaced = steps.iter().any(|step| step.op == Op::Replace);
        // What was to be in their place is not there, but something else is: another program's.
        let foreign = replaced && !is.is_empty() && !ours.contains(&true);
        let foreign = foreign && !is.iter().any(|one| among(&was, one));
        let mut target: Vec<_> =
            is.iter().zip(&ours).filter(|(_, ours)| !**ours).map(|(one, _)| one.clone()).collect();
        for (at, one) in was.iter().enumerate() {
            if foreign || among(&is, one) || !among(&taken, one) {
                continue;
            }
            put_back(&mut target, &was[..at], one);
        }
        // An empty key takes what was there in one piece.
        let steps = match is.is_empty() && target.len() == was.len() {
            true => key.transform(&is, &key.whole(before)),
            false => key.transform(&is, &target),
        };
        (!steps.is_empty()).then_some(steps)
    }

    /// How many steps have been sent.
    pub(in crate::plan) fn len(&self) -> usize {
        self.steps.len()
    }

    /// How many steps that undo are still to be answered.
    pub(in crate::plan) fn left_to_undo(&self) -> usize {
        self.undoing.len()
    }

    /// Takes the steps that undo, to be sent in pieces.
    pub(in crate::plan) fn begin_undo(&mut self, steps: Vec<Step>) {
        self.undoing = steps.into();
        self.undo_in_flight = 0;
    }

    /// The next requests that undo; none when all are sent.
    pub(in crate::plan) fn send_undo(&mut self) -> Vec<Vec<u8>> {
        let now = self.undoing.len().min(TOGETHER);
        self.undo_in_flight = now;
        self.undoing.iter().take(now).map(Step::encode).collect()
    }

    /// Takes the answers to them; gives what was refused, and whether an answer was lost.
    pub(in crate::plan) fn handle_undo_answers(
        &mut self,
        answers: &[Answer],
        names: &dyn Names,
    ) -> (Vec<(Step, Failure)>, bool) {
        // Those that were not sent, because one before them was refused, are the next.
        let count = answers.len().min(self.undo_in_flight);
        let mut refused = Vec::new();
        let mut lost = count == 0;
        for (step, answer) in self.undoing.drain(..count).zip(answers) {
            match &answer.ack {
                None => lost = true,
                Some(ack) if ack.is_ok() => {}
                Some(ack) => {
                    let failure = failure(&step, ack, names);
                    refused.push((step, failure));
                }
            }
        }
        if lost {
            self.undoing.clear();
        }
        (refused, lost)
    }
}

/// What could not be undone.
pub(in crate::plan) fn residue(
    steps: &[Step],
    failures: &[(Step, Failure)],
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<Residue> {
    let of = |step: &Step| {
        let failed = |(own, _): &&(Step, Failure)| own.key == step.key && own.op == step.op;
        let (was, is, names) = match step.op {
            Op::Delete => ("none", "there", now),
            _ => ("there", "none", before),
        };
        Residue {
            what: format!("{} {}", step.key.noun(), step.text(names)),
            was: was.to_owned(),
            is: is.to_owned(),
            failure: failures.iter().find(failed).map(|(_, failure)| failure.clone()),
        }
    };
    steps.iter().map(of).collect()
}

/// Whether a step is in effect.
fn holds(step: &Step, now: &Snapshot, bodies: &mut Bodies, matcher: &mut Matcher) -> bool {
    // A table of a million: one route at a key, by one way.
    if let (Key::Route(key), Content::Route(wish)) = (&step.key, &step.content) {
        match (now.routes_at(key), step.op) {
            ([], op) => return op == Op::Delete,
            ([held], op) if op != Op::Delete && is_plain(key, wish) => {
                let held = Content::Route(held.clone());
                return matcher.agrees(&step.content, &held);
            }
            _ => {}
        }
    }
    let there = step.key.elements(now, bodies);
    let parts = step.key.parts(&step.content, bodies);
    match step.op {
        Op::Delete => !parts.iter().any(|part| there.iter().any(|one| one.same(part))),
        Op::Replace if !step.key.is_ordered() && there.len() != parts.len() => false,
        Op::Replace if step.key.is_ordered() => {
            there.first().is_some_and(|first| matcher.agrees(&step.content, first))
        }
        _ => parts.iter().all(|part| there.iter().any(|one| matcher.agrees(part, one))),
    }
}

fn is_plain(key: &RouteKey, held: &Held) -> bool {
    matches!(key, RouteKey::V4(_)) || held.body().is_some_and(|body| body.links().len() < 2)
}

/// What the kernel took away along with what this commit did to interfaces and nexthop objects, and nobody named (K4 to
/// K8). What it makes by itself comes back by itself.
fn lost_along(
    before: &Snapshot,
    now: &Snapshot,
    causes: &Causes,
    known: &BTreeSet<Key>,
    bodies: &mut Bodies,
) -> Vec<Step> {
    if causes.is_empty() {
        return Vec::new();
    }
    let (mut steps, nexthops) = nexthops_lost(before, now, causes, known);
    for neighbour in before.neighbours_over(&causes.links) {
        let (key, old) = neighbour;
        let key = Key::Neighbour(Arc::new(*key));
        let gone = key.whole(now).is_empty() && neighbour::is_kept(old);
        if gone && !known.contains(&key) {
            steps.push(Step { key, content: Content::Neighbour(old.clone()), op: Op::Add });
        }
    }
    let lost = |held: &Arc<Held>| goes_along(held, causes, &nexthops);
    for (key, held) in before.routes_changed(now) {
        let key = Key::Route(key);
        if known.contains(&key) || !held.iter().any(lost) {
            continue;
        }
        let (was, is) = (key.elements(before, bodies), key.elements(now, bodies));
        let mut target = is.clone();
        for (at, one) in was.iter().enumerate() {
            let is_lost = matches!(one, Content::Route(held) if lost(held));
            if is_lost && !is.iter().any(|other| other.same(one)) {
                put_back(&mut target, &was[..at], one);
            }
        }
        let whole = is.is_empty() && target.len() == was.len();
        let target = if whole { key.whole(before) } else { target };
        steps.extend(key.transform(&is, &target));
    }
    steps
}

/// Whether a route goes with what is done to interfaces, addresses and nexthop objects, and nobody makes it again.
pub(super) fn goes_along(held: &Arc<Held>, causes: &Causes, nexthops: &BTreeSet<u32>) -> bool {
    let went = held.body().is_some_and(|body| {
        body.links().iter().any(|index| causes.links.contains(index))
            || body.prefsrc().is_some_and(|source| causes.sources.contains(&source))
            || body.nexthop().is_some_and(|id| nexthops.contains(&id))
    });
    went && !route::is_kernels(held)
}

/// Behind the nearest of those before it that are there.
fn put_back(target: &mut Vec<Content>, before: &[Content], one: &Content) {
    let place = before.iter().rev().find_map(|b| target.iter().position(|t| t.same(b)));
    target.insert(place.map_or(0, |at| at + 1), one.clone());
}

/// Nexthop objects that went with their interface, and groups that lost a member (K7); and the numbers of all that are
/// not as they were, by which routes may have gone.
fn nexthops_lost(
    before: &Snapshot,
    now: &Snapshot,
    causes: &Causes,
    known: &BTreeSet<Key>,
) -> (Vec<Step>, BTreeSet<u32>) {
    let gone = nexthops_touched(before, causes);
    let mut steps = Vec::new();
    for id in &gone {
        let key = Key::Nexthop(*id);
        let (was, is) = (key.whole(before), key.whole(now));
        if !known.contains(&key) {
            steps.extend(key.transform(&is, &was).into_iter().filter(|step| step.op != Op::Delete));
        }
    }
    (steps, gone)
}

/// The numbers of nexthop objects that go or lose a member with what is done to interfaces and other objects.
pub(super) fn nexthops_touched(before: &Snapshot, causes: &Causes) -> BTreeSet<u32> {
    let mut gone = causes.nexthops.clone();
    let over = before.nexthops().iter();
    gone.extend(
        over.filter(|own| own.oif().is_some_and(|index| causes.links.contains(&index)))
            .map(|own| own.id()),
    );
    let groups = before.nexthops().iter();
    let groups: Vec<_> = groups
        .filter(|own| own.group().any(|(member, _)| gone.contains(&member)))
        .map(|own| own.id())
        .collect();
    gone.extend(groups);
    gone
}

fn failure(step: &Step, ack: &Ack, names: &dyn Names) -> Failure {
    let request = step.encode();
    let path = ack.offset.map(|offset| locate(&request, step.header(), offset)).unwrap_or_default();
    let attribute = if path.is_empty() { None } else { step.attribute_name(&path) };
    Failure { step: step.command(names), why: Why::Refused { ack: ack.clone(), attribute } }
}
