//! What was sent, what came of it, whether it holds, and what is left to undo.
//!
//! As for interfaces (`plan::undo`), what is left to undo is found by looking: at each key that this commit has touched,
//! what stands there is compared with what stood there before and with what was wished. What another program has put
//! there since stays (P4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::order::{Turn, scatter, turn_of, turn_together};
use super::{Content, Key, Matcher, Op, Planned, Step, neighbour, route};
use crate::object::route::{RouteKey, RouteKey4, TABLE_LOCAL};
use crate::object::{Names, Neighbour};
use crate::plan::action::Indexes;
use crate::plan::commit::{Answer, Residue};
use crate::plan::{Failure, Hint, Why};
use crate::state::{Ask, Bodies, Held, NeighbourKey, Snapshot};
use crate::wire::{Ack, locate};

/// Steps that are asked for at once: their notifications must fit the event socket's buffer twice, with 832 bytes of it
/// for a route (K16).
const TOGETHER: usize = 2048;

/// Steps that are a whole table.
const MANY: usize = 4096;

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
    /// Interfaces whose neighbours went, permanent ones too, and nothing else of theirs: they got another hardware address,
    /// or another `NOARP` (`neigh_changeaddr`).
    pub(in crate::plan) readdressed: BTreeSet<u32>,
    /// Interfaces that may have lost their carrier: nexthop objects go with that (`nexthop_netdev_event`), neighbours that
    /// are not permanent (`neigh_carrier_down`), and nothing else.
    pub(in crate::plan) carriers: BTreeSet<u32>,
    /// Addresses that were taken away.
    pub(in crate::plan) sources: BTreeSet<IpAddr>,
    /// Nexthop objects that were taken away.
    pub(super) nexthops: BTreeSet<u32>,
}

impl Causes {
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.nexthops.is_empty() && self.readdressed.is_empty()
    }

    /// Interfaces whose neighbours went, all or some of them.
    pub(super) fn neighbourless(&self) -> BTreeSet<u32> {
        let all = self.links.iter().chain(&self.readdressed).chain(&self.carriers);
        all.copied().collect()
    }

    /// Whether the kernel takes a neighbour along, and does not learn it again by itself. What went with an interface that
    /// another program has deleted is that one's doing.
    fn takes_neighbour(&self, old: &Neighbour, now: &Snapshot) -> bool {
        let index = old.index().unwrap_or(0);
        let over = self.links.contains(&index);
        let is_there = || now.link_by_index(index).is_some();
        let by = || old.nh_id().is_some_and(|id| self.nexthops.contains(&id));
        let starved = || self.carriers.contains(&index) && neighbour::goes_with_carrier(old);
        neighbour::is_kept(old)
            && (over || is_there() && (self.readdressed.contains(&index) || by() || starved()))
    }

    /// Whether the kernel takes a route along, and does not make it again by itself.
    pub(super) fn takes(&self, content: &Content) -> bool {
        let Content::Route(held) = content else { return false };
        let went = held.body().is_some_and(|body| {
            body.links().iter().any(|index| self.links.contains(index))
                || body.prefsrc().is_some_and(|source| self.sources.contains(&source))
                || body.nexthop().is_some_and(|id| self.nexthops.contains(&id))
        });
        went && !route::is_kernels(held)
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
    /// Whether undoing has put back what the kernel does not announce.
    undone_in_silence: bool,
    /// What undoing has taken away, or may have: what was there before, or another program's, comes back behind it. Where
    /// several that are the same may stand, what it has added too.
    withdrawn: BTreeMap<Key, Vec<Content>>,
    /// Where undoing has taken more than one request: cut short, it may have left another order.
    reordered: BTreeSet<Key>,
    /// What undoing is about to take away where it takes more than one request, and is not noted yet.
    withdrawing: Vec<Step>,
    /// Where several that are the same may stand, and undoing has taken more than one request: what it leads to. Cut short,
    /// it may have left one twice or not at all, and how many there were is not to be seen any more.
    aims: BTreeMap<Key, Vec<Content>>,
    /// What the requests that were found last lead to, should they be sent.
    next_aims: BTreeMap<Key, Vec<Content>>,
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

    /// What was done in silence, or may have been, and is to be asked for.
    pub(in crate::plan) fn silent(&self) -> Vec<Ask> {
        let mut asks: Vec<_> = self.steps.iter().filter_map(Step::announced_late).collect();
        if self.undone_in_silence || self.steps.iter().any(|step| step.key.is_silent()) {
            asks.push(Ask::Proxies);
        }
        asks
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
    pub(in crate::plan) fn decide(&mut self, before: &Snapshot, now: &Snapshot) -> Option<Failure> {
        let mut matcher = Matcher::default();
        let mut cause = None;
        for at in self.in_flight.clone() {
            if self.sent[at] != Sent::Lost {
                continue;
            }
            match self.holds(at, before, now, &mut matcher) {
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
    pub(in crate::plan) fn unmet(&mut self, before: &Snapshot, now: &Snapshot) -> Option<Failure> {
        let mut matcher = Matcher::default();
        let mut open = self.near_each_other();
        open.retain(|at| !self.holds(*at, before, now, &mut matcher));
        open.sort_unstable();
        for at in open {
            if self.is_superseded(at, &mut matcher) {
                continue;
            }
            let step = &self.steps[at];
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

    /// All steps, those of a whole table so that each is looked up beside the one before it: in the order in which they
    /// were sent, which is none, most of the time goes into fetching the tree's nodes over and over again.
    fn near_each_other(&self) -> Vec<usize> {
        if self.steps.len() < MANY {
            return (0..self.steps.len()).collect();
        }
        let place = |step: &Step| match &step.key {
            Key::Route(RouteKey::V4(key)) => u64::from(key.dst),
            Key::Route(RouteKey::V6(key)) => {
                key.dst.first_chunk().map_or(0, |b| u64::from_be_bytes(*b))
            }
            _ => 0,
        };
        let mut all: Vec<_> = self.steps.iter().map(place).zip(0..).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, at)| at).collect()
    }

    /// Whether it takes away what a later step puts back: elsewhere in its list.
    fn is_superseded(&self, at: usize, matcher: &mut Matcher) -> bool {
        let own = &self.steps[at];
        own.op == Op::Delete
            && self.steps[at + 1..].iter().any(|later| {
                later.op != Op::Delete
                    && later.key == own.key
                    && matcher.agrees(&later.content, &own.content)
            })
    }

    fn holds(
        &mut self,
        at: usize,
        before: &Snapshot,
        now: &Snapshot,
        matcher: &mut Matcher,
    ) -> bool {
        let step = &self.steps[at];
        match step.key.is_counted() {
            true => self.is_counted_right(step, before, now),
            false => holds(step, now, &mut self.bodies, matcher),
        }
    }

    /// Of those that may be there several times: whether there are as many as this commit leaves. What it adds may be
    /// what it takes away, at another place.
    fn is_counted_right(&self, step: &Step, before: &Snapshot, now: &Snapshot) -> bool {
        let count = |all: Vec<Content>| all.iter().filter(|one| one.same(&step.content)).count();
        let own = self.steps.iter().filter(|own| own.key == step.key);
        let own: Vec<_> = own.filter(|own| own.content.same(&step.content)).collect();
        let taken = own.iter().filter(|own| own.op == Op::Delete).count();
        let left = (count(step.key.whole(before)) + own.len() - taken).saturating_sub(taken);
        let there = count(step.key.whole(now));
        if step.op == Op::Delete { there <= left } else { there > 0 || left == 0 }
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
        let (nexthops, numbers) = nexthops_lost(before, now, &causes, &known);
        causes.nexthops.extend(numbers);
        self.next_aims.clear();
        let (mut removals, mut restores) = (Vec::new(), Vec::new());
        let mut restore = |steps: Vec<Step>| {
            let turn = turn_together(&steps);
            restores.extend(steps.into_iter().map(|step| (turn, step)));
        };
        let mut matcher = Matcher::default();
        for of_key in touched.chunk_by(|a, b| a.0 == b.0) {
            let key = of_key[0].0.clone();
            let steps: Vec<Step> = of_key.iter().map(|(_, at)| self.steps[*at].clone()).collect();
            let steps = match key.is_counted() {
                true => self.undo_counted(key, &steps, before, now),
                false => self.undo_key(key, &steps, (before, now), &causes, &mut matcher),
            };
            match steps {
                steps if steps.iter().all(|step| step.op == Op::Delete) => removals.extend(steps),
                steps => restore(steps),
            }
        }
        for step in self.local_routes_moved(before, now, &causes) {
            match step.op {
                Op::Delete => removals.push(step),
                _ => restore(vec![step]),
            }
        }
        nexthops.into_iter().for_each(|step| restore(vec![step]));
        let lost = self.lost_along((before, now), &causes, &known);
        lost.into_iter().for_each(restore);
        removals.sort_by_key(turn_of);
        let turns = removals.chunk_by_mut(|a, b| turn_of(a) == turn_of(b));
        turns.for_each(|run| scatter(run, |step| step.key.clone()));
        // Stable: those of one key stay in their order.
        restores.sort_by_key(|(turn, _)| *turn);
        (removals, restores.into_iter().map(|(_, step)| step).collect())
    }

    /// What the kernel took along with addresses that fell, and are there again, although it was to stay (K5, K25): what
    /// nobody named, and what this commit had put there.
    pub(in crate::plan) fn mend(
        &mut self,
        before: &Snapshot,
        now: &Snapshot,
        causes: &Causes,
    ) -> VecDeque<Planned> {
        let known: BTreeSet<Key> = self.steps.iter().map(|step| step.key.clone()).collect();
        let lost = self.lost_along((before, now), causes, &known);
        let mut all: Vec<(Turn, Step)> = Vec::new();
        for steps in lost {
            let turn = turn_together(&steps);
            all.extend(steps.into_iter().map(|step| (turn, step)));
        }
        // One that prefers a source address which is not there any more went for good.
        let has_source = |step: &Step| match &step.content {
            Content::Route(held) => held
                .body()
                .and_then(|body| body.prefsrc())
                .is_none_or(|source| now.addresses().any(|own| own.local() == source)),
            _ => true,
        };
        all.retain(|(_, step)| has_source(step));
        let mut matcher = Matcher::default();
        let own = if causes.is_empty() { &[][..] } else { &self.steps };
        for step in own.iter().filter(|step| step.op != Op::Delete) {
            if !holds(step, now, &mut self.bodies, &mut matcher) {
                all.push((turn_of(step), step.clone()));
            }
        }
        all.sort_by_key(|(turn, _)| *turn);
        all.into_iter().map(|(_, step)| Planned::Ready(step)).collect()
    }

    /// The local routes of IPv4 addresses on interfaces that are down: the kernel makes one with the address
    /// (`fib_add_ifaddr`), and takes those of all when the interface joins or leaves a VRF (`fib_disable_ip`). When it comes
    /// up it makes them anew, and only then. Here those that are not as they were: too many, and too few.
    fn local_routes_moved(
        &mut self,
        before: &Snapshot,
        now: &Snapshot,
        causes: &Causes,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for index in &causes.links {
            let links = [before, now].map(|state| state.link_by_index(*index));
            let [Some(old), Some(new)] = links else { continue };
            if old.is_up() || new.is_up() || old.master() != new.master() {
                continue;
            }
            let vrf = new.master().and_then(|master| now.link_by_index(master)?.vrf()?.table());
            let is_its = |one: &Content| match one {
                Content::Route(held) => {
                    route::is_kernels(held)
                        && held.body().is_some_and(|own| own.links().contains(index))
                }
                _ => false,
            };
            for address in now.addresses_of(*index) {
                let IpAddr::V4(local) = address.local() else { continue };
                let (table, dst) = (vrf.unwrap_or(TABLE_LOCAL), local.to_bits());
                let key = RouteKey4 { table, dst, len: 32, tos: 0, priority: 0 };
                let key = Key::Route(RouteKey::V4(key));
                let mut of = |state| key.elements(state, &mut self.bodies);
                let (was, is) = (of(before), of(now));
                let step = |op, one: &Content| Step { key: key.clone(), content: one.clone(), op };
                let lacks = |all: &[Content], one: &Content| !all.iter().any(|own| own.same(one));
                let more = is.iter().filter(|one| is_its(one) && lacks(&was, one));
                let less = was.iter().filter(|one| is_its(one) && lacks(&is, one));
                steps.extend(more.map(|one| step(Op::Delete, one)));
                steps.extend(less.map(|one| step(Op::Append, one)));
            }
        }
        steps
    }

    /// What makes a key as it was, but for what others have put there since; nothing when it is so.
    fn undo_key(
        &mut self,
        key: Key,
        steps: &[Step],
        (before, now): (&Snapshot, &Snapshot),
        causes: &Causes,
        matcher: &mut Matcher,
    ) -> Vec<Step> {
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
        let withdrawn = self.withdrawn.get(&key).cloned().unwrap_or_default();
        taken.extend(withdrawn.iter().cloned());
        // Of a leg that is left alone the kernel does not say the weight, of one in a group not its own metrics.
        let by_way = |wish: &Content, one: &Content| !key.is_ordered() && wish.leads_as(one);
        let is_left = |wish: &Content, one: &Content| {
            let lost = one.lost_members(wish).unwrap_or_default();
            let went = |id: &u32| now.nexthop(*id).is_none() || causes.nexthops.contains(id);
            !lost.is_empty() && lost.iter().all(went)
        };
        let mut wished = |one: &Content| {
            let is = |wish: &Content| by_way(wish, one) || is_left(wish, one);
            put.iter().any(|wish| matcher.agrees(wish, one) || is(wish))
        };
        let ours: Vec<bool> = is.iter().map(|one| !among(&was, one) && wished(one)).collect();
        // A leg that had a weight and is left alone is there, although the kernel does not say so.
        let unweighted =
            |one: &Content| one.is_weighted() && is.len() == 1 && !ours[0] && by_way(one, &is[0]);
        let there = |one: &Content| among(&is, one) || unweighted(one);
        let replaced = steps.iter().any(|step| step.op == Op::Replace);
        // What was to be in their place is not there, but something new is: another program's.
        let foreign = replaced && !ours.contains(&true);
        let is_new = |one: &Content| !among(&was, one) && !was.iter().any(|old| by_way(old, one));
        let foreign = foreign && is.iter().any(is_new);
        let mut target: Vec<_> =
            is.iter().zip(&ours).filter(|(_, ours)| !**ours).map(|(one, _)| one.clone()).collect();
        for (at, one) in was.iter().enumerate() {
            let with_ours = match one {
                Content::Neighbour(old) => causes.takes_neighbour(old, now),
                one => causes.takes(one),
            };
            let ours_to_restore = !foreign && among(&taken, one) || with_ours;
            if ours_to_restore && !there(one) {
                put_back(&mut target, &was[..at], one);
            }
        }
        let others = withdrawn.into_iter();
        target.extend(others.filter(|one| !among(&was, one) && !there(one) && !wished(one)));
        if key.is_ordered() && self.reordered.contains(&key) {
            put_in_order(&mut target, &was);
        }
        // An empty key takes what was there in one piece.
        match is.is_empty() && target.len() == was.len() {
            true => key.transform(&is, &key.whole(before)),
            false => key.transform(&is, &target),
        }
    }

    /// As [`Journal::undo_key`], where several that are the same may stand.
    fn undo_counted(
        &mut self,
        key: Key,
        steps: &[Step],
        before: &Snapshot,
        now: &Snapshot,
    ) -> Vec<Step> {
        let is = key.whole(now);
        let target = match self.aims.get(&key) {
            Some(aim) => {
                let withdrawn = self.withdrawn.get(&key).into_iter().flatten();
                let ours: Vec<_> =
                    steps.iter().map(|step| &step.content).chain(withdrawn).collect();
                aimed(aim, &ours, &is)
            }
            None => counted(steps, &key.whole(before), &is),
        };
        let steps = key.transform(&is, &target);
        self.next_aims.insert(key, target);
        steps
    }

    /// What the kernel took away along with what this commit did to interfaces and nexthop objects, and nobody named (K4 to
    /// K8), one list of steps for each key. What it makes by itself comes back by itself.
    fn lost_along(
        &mut self,
        (before, now): (&Snapshot, &Snapshot),
        causes: &Causes,
        known: &BTreeSet<Key>,
    ) -> Vec<Vec<Step>> {
        if causes.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        let links = causes.neighbourless();
        let over = |index: &u32| links.contains(index);
        let is_lost = |entry: &&(&NeighbourKey, &Arc<Neighbour>)| {
            !over(&entry.0.index) && entry.1.nh_id().is_some_and(|id| causes.nexthops.contains(&id))
        };
        let by: Vec<_> = before.neighbours_by_nexthop().collect();
        let by = by.iter().filter(is_lost).copied();
        for (key, old) in before.neighbours_over(&links).chain(by) {
            let key = Key::Neighbour(Arc::new(*key));
            let gone = key.whole(now).is_empty() && causes.takes_neighbour(old, now);
            if gone && !known.contains(&key) {
                all.push(vec![Step { key, content: Content::Neighbour(old.clone()), op: Op::Add }]);
            }
        }
        for (key, held) in before.routes_changed(now) {
            let key = Key::Route(key);
            let lost = |held: &Arc<Held>| causes.takes(&Content::Route(held.clone()));
            if known.contains(&key) || !held.iter().any(lost) {
                continue;
            }
            let (was, is) =
                (key.elements(before, &mut self.bodies), key.elements(now, &mut self.bodies));
            if key.is_single() {
                // What is left of it gives way; what another program has put there does not.
                if is.iter().all(|one| was.iter().any(|old| one.is_rest_of(old))) {
                    all.push(key.transform(&is, &was));
                }
                continue;
            }
            let withdrawn = self.withdrawn.get(&key).map(Vec::as_slice).unwrap_or_default();
            let among = |all: &[Content], one: &Content| all.iter().any(|other| other.same(one));
            let mut target = is.clone();
            for (at, one) in was.iter().enumerate() {
                if (causes.takes(one) || among(withdrawn, one)) && !among(&is, one) {
                    put_back(&mut target, &was[..at], one);
                }
            }
            let others = withdrawn.iter().filter(|one| !among(&was, one) && !among(&is, one));
            target.extend(others.cloned());
            if key.is_ordered() && self.reordered.contains(&key) {
                put_in_order(&mut target, &was);
            }
            let whole = is.is_empty() && target.len() == was.len();
            let target = if whole { key.whole(before) } else { target };
            all.push(key.transform(&is, &target));
        }
        all
    }

    /// What is about to be taken away to come back behind something else, and is not noted yet.
    pub(super) fn take_withdrawing(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.withdrawing)
    }

    /// Whether there is something of that.
    pub(in crate::plan) fn is_withdrawing(&self) -> bool {
        !self.withdrawing.is_empty()
    }

    /// What undoing leads to at the keys of these steps, as steps that would make it.
    pub(super) fn aims_of(&self, steps: &[Step]) -> Vec<Step> {
        let keys: BTreeSet<&Key> = steps.iter().map(|step| &step.key).collect();
        let aims = keys.into_iter().filter_map(|key| self.aims.get_key_value(key));
        let step = |key: &Key, one: &Content| {
            let (key, content) = (key.clone(), one.clone());
            Step { key, content, op: Op::Append }
        };
        aims.flat_map(|(key, aim)| aim.iter().map(move |one| step(key, one))).collect()
    }

    /// A process that has ended was about to do this, and may have; and what it was to lead to.
    pub(super) fn note_withdrawn(&mut self, withdrawn: Vec<Step>, aims: Vec<Step>) {
        for step in withdrawn {
            self.reordered.insert(step.key.clone());
            if step.key.is_counted() {
                self.aims.insert(step.key.clone(), Vec::new());
            }
            self.withdrawn.entry(step.key).or_default().push(step.content);
        }
        for step in aims {
            self.aims.entry(step.key).or_default().push(step.content);
        }
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
        self.undone_in_silence |= steps.iter().any(|step| step.key.is_silent());
        for of_key in steps.chunk_by(|a, b| a.key == b.key).filter(|of_key| of_key.len() > 1) {
            let key = &of_key[0].key;
            self.reordered.insert(key.clone());
            self.withdrawing.extend(of_key.iter().filter(|step| withdraws(step)).cloned());
            self.aims.extend(self.next_aims.remove_entry(key));
        }
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
            // A single deletion at a key takes away what this commit has put there, and nothing comes back behind it.
            let may_be_done = answer.ack.as_ref().is_none_or(Ack::is_ok);
            if may_be_done && withdraws(&step) && self.reordered.contains(&step.key) {
                self.withdrawn.entry(step.key.clone()).or_default().push(step.content.clone());
            }
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

/// Whether it is to be remembered that undoing has done it.
fn withdraws(step: &Step) -> bool {
    step.op == Op::Delete || step.key.is_counted()
}

/// Where several that are the same may stand: what was added goes, from behind, as far as there are more than before; what
/// was taken away comes back to its place.
fn counted(steps: &[Step], was: &[Content], is: &[Content]) -> Vec<Content> {
    let count = |all: &[Content], one: &Content| all.iter().filter(|other| other.same(one)).count();
    let is_taken =
        |one: &Content| steps.iter().any(|step| step.op == Op::Delete && step.content.same(one));
    let mut target = is.to_vec();
    for step in steps.iter().filter(|step| step.op != Op::Delete) {
        let one = &step.content;
        // What was moved is taken out wherever it is, and put back below.
        let moved = is_taken(one);
        let last = target.iter().rposition(|other| other.same(one));
        if let Some(at) = last.filter(|_| moved || count(&target, one) > count(was, one)) {
            target.remove(at);
        }
    }
    for (at, one) in was.iter().enumerate() {
        if is_taken(one) && count(&target, one) < count(&was[..=at], one) {
            put_back(&mut target, &was[..at], one);
        }
    }
    target
}

/// Likewise, when undoing was cut short: all that it or this commit has touched is as it was to be then, and what others
/// have done besides stays.
fn aimed(aim: &[Content], ours: &[&Content], is: &[Content]) -> Vec<Content> {
    let is_ours = |one: &Content| ours.iter().any(|other| other.same(one));
    let mut target: Vec<_> = is.iter().filter(|one| !is_ours(one)).cloned().collect();
    for (at, one) in aim.iter().enumerate().filter(|(_, one)| is_ours(one)) {
        let mut nearest = aim[..at].iter().rev();
        let place = nearest.find_map(|b| target.iter().rposition(|there| there.same(b)));
        target.insert(place.map_or(0, |at| at + 1), one.clone());
    }
    target
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
        let dead = step.content.dead_leg(now).filter(|_| step.op != Op::Delete);
        let why = dead.map(|index| format!(", because `{}` is down", name_in(index, now)));
        Residue {
            what: format!("{} {}", step.key.noun(), step.text(names)),
            was: was.to_owned(),
            is: format!("{is}{}", why.unwrap_or_default()),
            failure: failures.iter().find(failed).map(|(_, failure)| failure.clone()),
        }
    };
    steps.iter().map(of).collect()
}

fn name_in(index: u32, names: &dyn Names) -> String {
    names.name_of(index).map_or_else(|| format!("if{index}"), str::to_owned)
}

/// Whether a step is in effect.
fn holds(step: &Step, now: &Snapshot, bodies: &mut Bodies, matcher: &mut Matcher) -> bool {
    // A table of a million: one route at a key, by one way.
    if let (Key::Route(key), Content::Route(wish)) = (&step.key, &step.content) {
        match (now.routes_at(key), step.op) {
            ([], op) => return op == Op::Delete,
            ([held], op) if op != Op::Delete && is_plain(key, wish) && is_plain(key, held) => {
                let held = Content::Route(held.clone());
                return matcher.agrees_alone(&step.content, &held);
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
        _ => parts.iter().all(|part| matcher.agrees_with_any(part, &there)),
    }
}

fn is_plain(key: &RouteKey, held: &Held) -> bool {
    !matches!(key, RouteKey::V6(_)) || held.body().is_some_and(|body| body.links().len() < 2)
}

/// What came back behind others goes where it was.
fn put_in_order(target: &mut [Content], was: &[Content]) {
    let place = |one: &Content| was.iter().position(|other| other.same(one));
    target.sort_by_key(|one| place(one).unwrap_or(usize::MAX));
}

/// Behind the nearest of those before it that are there; in the place of what the kernel has made of it.
fn put_back(target: &mut Vec<Content>, before: &[Content], one: &Content) {
    target.retain(|own| before.iter().any(|other| other.same(own)) || !own.is_left_of(one));
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
    let is_touched = |index: u32| causes.links.contains(&index) || causes.carriers.contains(&index);
    let over = before.nexthops().iter().filter(|own| own.oif().is_some_and(is_touched));
    gone.extend(over.map(|own| own.id()));
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
    let attribute = attribute.or_else(|| reserved(ack));
    // Without MPLS nobody takes the request (`rtnetlink_rcv_msg`).
    let is_mpls = matches!(step.key, Key::Route(RouteKey::Mpls(_)));
    let lacks = (is_mpls && ack.errno == libc::EOPNOTSUPP && ack.message.is_none())
        .then_some("MPLS routes (CONFIG_MPLS_ROUTING, the module mpls_router)");
    let why = Why::Refused { ack: ack.clone(), attribute, hint: lacks.map(Hint::Lacks) };
    Failure { step: step.command(names), why }
}

/// What a kernel means that knows a member's weight up to 255 only (5.10, 6.1): "Reserved fields in nexthop_grp must be 0".
fn reserved(ack: &Ack) -> Option<&'static str> {
    let words = ack.message.as_deref()?;
    words.contains("fields in nexthop_grp").then_some("nexthop_grp.weight_high")
}
