//! From what is named and the state now to steps, and when each has its turn.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Peekable;

use super::edits::{Edit, RouteSync, Waiting};
use super::{Content, Key, Matcher, Op, Planned, Step, Wish, nexthop, route};
use crate::object::route::RouteKey;
use crate::plan::{Conflicts, Draft, Refusal, Target, rules};
use crate::state::{Bodies, Held, NeighbourKey, NeighbourTarget, Snapshot};
use crate::wire::HardwareAddress;

use std::sync::Arc;

/// When a step has its turn, among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan) enum Turn {
    /// Forwarding entries that move to another port.
    FreeAddress,
    AddNeighbour,
    /// Routes straight out of an interface, before what has a gateway that they lead to.
    AddDirect,
    /// Before the groups that they are in, and the routes that go by them.
    AddNexthop,
    AddGroup,
    /// Forwarding entries that a group leads on.
    AddEntryByGroup,
    AddByGateway,
    /// When the table that it leads to is filled.
    AddRule,
    /// Before the table that it leads to is emptied.
    DeleteRule,
    DeleteRoute,
    DeleteEntryByGroup,
    DeleteGroup,
    DeleteNexthop,
    DeleteNeighbour,
}

/// The steps of a draft, what already holds left out.
///
/// # Errors
/// When another program has changed what stands at a key that is named since the transaction began.
pub(in crate::plan) fn steps(
    draft: &Draft,
    now: &Snapshot,
) -> Result<Vec<(Turn, Planned)>, Refusal> {
    let mut planner = Planner {
        base: draft.base(),
        now,
        conflicts: draft.conflicts,
        edited: edited(draft),
        bodies: Bodies::default(),
        matcher: Matcher::default(),
        steps: Vec::new(),
    };
    for edit in draft.keyed().iter() {
        match edit {
            Edit::Put(planned) => planner.put(planned)?,
            Edit::Take(key, content) => planner.take(key, content)?,
            Edit::Change(key, old, new) => planner.change(key, old, new)?,
            Edit::Sync(sync) => planner.sync(sync),
            Edit::Order(..) => {}
        }
    }
    planner.settle_rules(draft);
    planner.check_in_use()?;
    let mut steps = planner.steps;
    check_links(draft, now, &steps)?;
    keep_lists(&mut steps);
    free_addresses(&mut steps);
    // Stable: what shares a turn stays in the order of naming.
    steps.sort_by_key(|(turn, _)| *turn);
    spread(&mut steps);
    Ok(steps)
}

/// What is put beside others at the key of an IPv4 route is put there in the order of naming: in the turn of the last.
fn keep_lists(steps: &mut [(Turn, Planned)]) {
    let list = |planned: &Planned| match planned.key() {
        Some(Key::Route(key @ RouteKey::V4(_)))
            if matches!(planned.op(), Op::Append | Op::Prepend) =>
        {
            Some(key)
        }
        _ => None,
    };
    // A whole table mostly has one turn: then nothing has to be looked up for each of a million.
    let mut turns = steps.iter().filter(|(_, planned)| list(planned).is_some()).map(|one| one.0);
    let first = turns.next();
    if turns.all(|turn| Some(turn) == first) {
        return;
    }
    let mut last: BTreeMap<RouteKey, Turn> = BTreeMap::new();
    for (turn, planned) in steps.iter() {
        if let Some(key) = list(planned) {
            let own = last.entry(key).or_insert(*turn);
            *own = (*own).max(*turn);
        }
    }
    for (turn, planned) in steps {
        if let Some(last) = list(planned).and_then(|key| last.get(&key)) {
            *turn = *last;
        }
    }
}

/// A bridge has one port for each address: an entry that moves to another port goes first.
fn free_addresses(steps: &mut [(Turn, Planned)]) {
    let entry = |planned: &Planned| match planned.key() {
        Some(Key::Neighbour(key)) if key.is_fdb() => Some(key),
        _ => None,
    };
    let adds = steps.iter().filter(|(_, planned)| planned.op() != Op::Delete);
    let added: Vec<_> = adds.filter_map(|(_, planned)| entry(planned)).collect();
    for (turn, planned) in steps.iter_mut().filter(|(_, planned)| planned.op() == Op::Delete) {
        let moves = |own: Arc<NeighbourKey>| {
            added.iter().any(|new| fdb_address(new) == fdb_address(&own) && new.index != own.index)
        };
        if entry(planned).is_some_and(moves) {
            *turn = Turn::FreeAddress;
        }
    }
}

/// What a bridge has one entry for, be it at a port or its own.
fn fdb_address(key: &NeighbourKey) -> Option<(HardwareAddress, u16)> {
    match key.target {
        NeighbourTarget::Fdb { lladdr, vlan, .. } => Some((lladdr, vlan)),
        _ => None,
    }
}

/// Interfaces that this draft edits: what goes over them may be gone in silence before its turn comes (K4, K5).
fn edited(draft: &Draft) -> BTreeSet<u32> {
    let live = draft.links().iter().filter_map(|link| match link.target {
        Target::Live { index, .. } => Some(index),
        Target::New(_) => None,
    });
    live.collect()
}

/// What is put over an interface needs it: it is the one that was meant, and this draft does not remove it.
fn check_links(draft: &Draft, now: &Snapshot, steps: &[(Turn, Planned)]) -> Result<(), Refusal> {
    let removed = draft.links().iter().filter(|link| link.remove);
    let removed = removed.filter_map(|link| match link.target {
        Target::Live { index, .. } => Some(index),
        Target::New(_) => None,
    });
    let removed: BTreeSet<u32> = rules::all_gone_with(removed, now);
    let mut seen = BTreeSet::new();
    for (_, planned) in steps.iter().filter(|(_, planned)| planned.op() != Op::Delete) {
        for index in planned.live_links() {
            if removed.contains(&index) {
                let used = format!("{} {} goes out of it", planned.noun(), planned.text(now));
                return Err(Refusal::Removed { name: rules::name(index, now), used });
            }
            let was = draft.base().link_by_index(index).filter(|_| seen.insert(index));
            if let Some(was) = was {
                rules::live(index, was.generation(), now)?;
            }
        }
    }
    Ok(())
}

/// So many steps in a row may come in another order.
const RUN: usize = 4096;

fn spread(steps: &mut [(Turn, Planned)]) {
    let routes = [Turn::AddDirect, Turn::AddByGateway, Turn::DeleteRoute];
    let runs = steps.chunk_by_mut(|a, b| a.0 == b.0);
    runs.filter(|run| routes.contains(&run[0].0))
        .for_each(|run| scatter(run, |(_, planned)| planned.key()));
}

/// A table that is written or emptied in the order of its keys costs the kernel a third more: its trie is made larger
/// and smaller over and over again (`fib_trie.c`, `resize`). And written so it leaves every node of the tree that
/// follows it half empty. So many routes come as if by chance. What shares a key stays in its order.
pub(super) fn scatter<T, K: Hash>(run: &mut [T], key: impl Fn(&T) -> K) {
    if run.len() >= RUN {
        run.sort_by_cached_key(|one| {
            let mut hasher = DefaultHasher::new();
            key(one).hash(&mut hasher);
            hasher.finish()
        });
    }
}

struct Planner<'a> {
    base: &'a Snapshot,
    now: &'a Snapshot,
    conflicts: Conflicts,
    /// Interfaces that are edited too.
    edited: BTreeSet<u32>,
    bodies: Bodies,
    matcher: Matcher,
    steps: Vec<(Turn, Planned)>,
}

impl Planner<'_> {
    fn push(&mut self, planned: Planned) {
        self.steps.push((turn(&planned), planned));
    }

    fn step(&mut self, key: &Key, op: Op, content: &Content) {
        self.push(Planned::Ready(Step { key: key.clone(), content: content.clone(), op }));
    }

    fn elements(&mut self, key: &Key) -> (Vec<Content>, Vec<Content>) {
        (key.elements(self.base, &mut self.bodies), key.elements(self.now, &mut self.bodies))
    }

    /// Whether all of a content stands among others: of IPv6 routes every leg.
    fn stands(&mut self, key: &Key, content: &Content, among: &[Content]) -> bool {
        let parts = key.parts(content, &mut self.bodies);
        parts.iter().all(|part| self.matcher.agrees_with_any(part, among))
    }

    fn put(&mut self, planned: &Planned) -> Result<(), Refusal> {
        let Some(key) = planned.key() else {
            self.push(planned.clone());
            return Ok(());
        };
        let (base, now) = self.elements(&key);
        let stands = match planned {
            Planned::Ready(step) => self.stands(&key, &step.content, &now),
            Planned::Pending(_) => false,
        };
        let alone = match (planned.op(), key.is_ordered()) {
            // The one that is replaced is the first; of legs all.
            (Op::Replace, true) => {
                let first = now.get(..1).unwrap_or_default();
                matches!(planned, Planned::Ready(step) if self.stands(&key, &step.content, first))
            }
            (Op::Replace, false) => {
                matches!(planned, Planned::Ready(step) if key.parts(&step.content, &mut self.bodies).len() == now.len())
            }
            _ => true,
        };
        if stands && alone {
            return Ok(());
        }
        let relevant = |all: &[Content]| -> Vec<Content> {
            let excluded = |one: &&Content| match planned {
                Planned::Ready(step) => key.excludes(&step.content, one),
                Planned::Pending(_) => true,
            };
            all.iter().filter(excluded).cloned().collect()
        };
        let untouched = same_list(&relevant(&base), &relevant(&now));
        let mut planned = &planned.clone();
        let instead = planned.clone().with_op(Op::Replace);
        if matches!(planned.op(), Op::Add | Op::Replace) && !untouched {
            match self.conflicts {
                Conflicts::Refuse => {
                    return Err(self.conflict(&key, &base, &now, planned.text(self.now)));
                }
                Conflicts::KeepTheirs => return Ok(()),
                Conflicts::Overwrite if key.takes_first() => planned = &instead,
                Conflicts::Overwrite => {
                    let theirs = relevant(&now);
                    self.push(planned.clone().with_op(Op::Append));
                    theirs.iter().for_each(|one| self.step(&key, Op::Delete, one));
                    return Ok(());
                }
            }
        }
        let several = !key.is_ordered() && key.whole(self.now).len() > 1;
        match (planned.op(), &now[..]) {
            // The kernel replaces one group, or one of those without a gateway (K23).
            (Op::Replace, _) if several => self.replace_all(&key, now, planned),
            (Op::Replace, [first, _, ..]) if self.may_be_gone(&key, first) => {
                self.replace_by_two(&key, first, planned)
            }
            _ => self.push(planned.clone()),
        }
        Ok(())
    }

    fn replace_all(&mut self, key: &Key, all: Vec<Content>, new: &Planned) {
        let turn = turn(new);
        let step = |content| Step { key: key.clone(), content, op: Op::Delete };
        let gone = all.into_iter().map(|one| (turn, Planned::Ready(step(one))));
        self.steps.extend(gone);
        self.steps.push((turn, new.clone().with_op(Op::Add)));
    }

    /// Whether the first of a list may be gone in silence when its turn comes: its replacement would take the place of
    /// the next one, which is nobody's.
    fn may_be_gone(&self, key: &Key, first: &Content) -> bool {
        let over = |index: &u32| self.edited.contains(index);
        match (key, first) {
            (Key::Route(RouteKey::V4(_)), Content::Route(held)) => {
                held.body().is_some_and(|body| body.links().iter().any(over))
            }
            _ => false,
        }
    }

    fn replace_by_two(&mut self, key: &Key, old: &Content, new: &Planned) {
        self.push(new.clone().with_op(Op::Prepend));
        self.step(key, Op::Delete, old);
    }

    fn take(&mut self, key: &Key, content: &Content) -> Result<(), Refusal> {
        let (base, now) = self.elements(key);
        let parts = key.parts(content, &mut self.bodies);
        let left: Vec<_> =
            parts.iter().filter(|part| now.iter().any(|own| own.same(part))).collect();
        match left.len() {
            // Under this key there is but one, and it is another one now.
            0 if matches!(key, Key::Nexthop(_) | Key::Neighbour(_)) && !now.is_empty() => {
                match self.conflicts {
                    Conflicts::Refuse => {
                        return Err(self.conflict(key, &base, &now, "none".to_owned()));
                    }
                    Conflicts::KeepTheirs => {}
                    Conflicts::Overwrite => {
                        now.iter().for_each(|one| self.step(key, Op::Delete, one))
                    }
                }
            }
            0 => {}
            all if all == parts.len() => self.step(key, Op::Delete, content),
            _ => left.into_iter().for_each(|part| self.step(key, Op::Delete, part)),
        }
        Ok(())
    }

    fn change(&mut self, key: &Key, old: &Content, new: &Planned) -> Result<(), Refusal> {
        let (base, now) = self.elements(key);
        let old_parts = key.parts(old, &mut self.bodies);
        let old_stands = old_parts.iter().all(|part| now.iter().any(|own| own.same(part)));
        let target = new.key().unwrap_or_else(|| key.clone());
        if let Planned::Ready(step) = new {
            let there = target.elements(self.now, &mut self.bodies);
            let parts = key.parts(&step.content, &mut self.bodies);
            if self.stands(&target, &step.content, &there)
                && (target != *key && !old_stands || target == *key && there.len() == parts.len())
            {
                return Ok(());
            }
        }
        if !old_stands {
            match self.conflicts {
                Conflicts::Refuse => {
                    return Err(self.conflict(key, &base, &now, new.text(self.now)));
                }
                Conflicts::KeepTheirs => return Ok(()),
                Conflicts::Overwrite => {
                    let op = match key.takes_first() && target == *key && !now.is_empty() {
                        true => Op::Replace,
                        false => Op::Append,
                    };
                    self.push(new.clone().with_op(op));
                    return Ok(());
                }
            }
        }
        let whole = match key.is_ordered() {
            true if !key.takes_first() => false,
            true => now.first().is_some_and(|first| old_parts[0].same(first)),
            false => now.len() == old_parts.len(),
        };
        if target == *key && whole {
            match key.is_ordered() && now.len() > 1 && self.may_be_gone(key, old) {
                true => self.replace_by_two(key, old, new),
                false => self.push(new.clone().with_op(Op::Replace)),
            }
            return Ok(());
        }
        if let (Planned::Ready(step), true) = (new, target == *key && !key.is_ordered()) {
            let content = step.content.clone();
            self.change_legs(key, &now, &old_parts, &content);
            return Ok(());
        }
        // Beside a rule that is to go the kernel may refuse the new one as the same, or nearly (K37).
        let op = if target == *key { Op::Append } else { Op::Add };
        self.push(new.clone().with_op(op));
        // Legs that the new content has too stay; a leg by the same way cannot be there beside the old one.
        let parts = match new {
            Planned::Ready(step) => key.parts(&step.content, &mut self.bodies),
            Planned::Pending(_) => Vec::new(),
        };
        for part in old_parts {
            let stays = target == *key && parts.iter().any(|own| self.matcher.agrees(own, &part));
            if !stays {
                self.step(key, Op::Delete, &part);
            }
        }
        Ok(())
    }

    /// Some legs of an IPv6 route become others. One that leaves by the same way as before cannot be there beside it.
    fn change_legs(&mut self, key: &Key, now: &[Content], old: &[Content], new: &Content) {
        let stays = |one: &&Content| !old.iter().any(|part| part.same(one));
        let mut target: Vec<_> = now.iter().filter(stays).cloned().collect();
        for wish in key.parts(new, &mut self.bodies) {
            let there = now.iter().find(|own| self.matcher.agrees(&wish, own)).cloned();
            target.push(there.unwrap_or(wish));
        }
        let steps = key.transform(now, &target);
        self.push_together(steps);
    }

    /// Steps of one key stay in their order, in the turn of the last of them that adds.
    fn push_together(&mut self, steps: Vec<Step>) {
        let turn = turn_together(&steps);
        self.steps.extend(steps.into_iter().map(|step| (turn, Planned::Ready(step))));
    }

    /// Both in the order of the keys, hand in hand.
    fn sync(&mut self, sync: &RouteSync) {
        let now = self.now;
        if let Some(only) = &sync.only {
            for key in only {
                let own = sync.wanted.iter().filter(|(own, _)| own == key).cloned();
                self.sync_key(sync, *key, now.routes_at(key), &own.collect::<Vec<_>>());
            }
            return;
        }
        let waits = |key: &RouteKey| sync.pending.binary_search_by_key(key, |one| one.key).is_ok();
        let mut there = now.keyed_routes(sync.scope.table_number()).peekable();
        let mut wanted = sync.wanted.as_slice();
        loop {
            let next = wanted.first().map(|(key, _)| *key);
            let key = match (there.peek().map(|(key, _)| *key), next) {
                (None, None) => break,
                (Some(a), Some(b)) => a.min(b),
                (a, b) => match a.or(b) {
                    Some(key) => key,
                    None => break,
                },
            };
            let own = wanted.iter().take_while(|(own, _)| *own == key).count();
            let (here, rest) = wanted.split_at(own);
            wanted = rest;
            let is = take_at(&mut there, &key);
            if !waits(&key) {
                self.sync_key(sync, key, is, here);
            }
        }
        drop(there);
        for waiting in sync.pending.chunk_by(|a, b| a.key == b.key) {
            let start = sync.wanted.partition_point(|(key, _)| *key < waiting[0].key);
            let end = sync.wanted.partition_point(|(key, _)| *key <= waiting[0].key);
            self.sync_waiting(sync, &sync.wanted[start..end], waiting);
        }
    }

    /// A key where some wait for their interfaces: what is there and wanted stays as far as it is in order.
    fn sync_waiting(
        &mut self,
        sync: &RouteSync,
        wanted: &[(RouteKey, Arc<Held>)],
        waiting: &[Waiting],
    ) {
        let key = waiting[0].key;
        let place = Key::Route(key);
        let all = place.elements(self.now, &mut self.bodies).into_iter();
        let own: Vec<_> = all
            .filter(|one| matches!(one, Content::Route(held) if sync.scope.holds(&key, held)))
            .collect();
        let ready = wanted.iter().map(|(_, held)| Content::Route(held.clone()));
        let mut steps: Vec<Planned> = Vec::new();
        let mut kept = 0;
        let mut waiting = waiting.iter().peekable();
        for (at, wish) in ready.map(Some).chain([None]).enumerate() {
            while let Some(one) = waiting.next_if(|one| one.behind <= at) {
                steps.push(Planned::Pending(Box::new(one.step.clone())));
            }
            let Some(wish) = wish else { break };
            let in_order = steps.is_empty() || !place.is_ordered();
            let there = own.get(kept).filter(|_| in_order);
            if there.is_some_and(|there| self.matcher.agrees(&wish, there)) {
                kept += 1;
                continue;
            }
            steps.push(Planned::Ready(Step { key: place.clone(), content: wish, op: Op::Append }));
        }
        // A single one is replaced without a gap.
        if let (0, [_], Some(first)) = (kept, &own[..], steps.first_mut()) {
            *first = first.clone().with_op(Op::Replace);
            kept = 1;
        }
        let step =
            |one: &Content| Step { key: place.clone(), content: one.clone(), op: Op::Delete };
        let gone = own[kept..].iter().map(|one| Planned::Ready(step(one)));
        let all = gone.chain(steps).map(|planned| (Turn::AddByGateway, planned));
        self.steps.extend(all);
    }

    fn sync_key(
        &mut self,
        sync: &RouteSync,
        key: RouteKey,
        is: &[Arc<Held>],
        wanted: &[(RouteKey, Arc<Held>)],
    ) {
        if wanted.is_empty() && !sync.exactly {
            return;
        }
        // Most of a table is as it was, or is not there yet.
        if let ([held], [(_, wish)]) = (is, wanted) {
            let (held, wish) = (Content::Route(held.clone()), Content::Route(wish.clone()));
            if self.matcher.agrees_alone(&wish, &held) {
                return;
            }
        }
        let place = Key::Route(key);
        if let ([], [(_, wish)]) = (is, wanted) {
            return self.step(&place, Op::Append, &Content::Route(wish.clone()));
        }
        let all = place.elements(self.now, &mut self.bodies);
        let spoken = |content: &Content| match content {
            Content::Route(held) => sync.scope.holds(&key, held),
            _ => false,
        };
        let (own, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(spoken);
        if own.is_empty() && wanted.is_empty() {
            return;
        }
        let wishes: Vec<_> = wanted
            .iter()
            .flat_map(|(_, wish)| place.parts(&Content::Route(wish.clone()), &mut self.bodies))
            .collect();
        // A wish that is fulfilled is what fulfils it.
        let target: Vec<_> = wishes
            .into_iter()
            .map(|wish| {
                let found = own.iter().find(|own| self.matcher.agrees(&wish, own)).cloned();
                found.unwrap_or(wish)
            })
            .collect();
        let steps = match others.is_empty() || !place.is_ordered() {
            true => place.transform(&own, &target),
            // The routes of others keep their place: what is ours goes behind.
            false => {
                let gone = own.iter().filter(|one| !target.iter().any(|other| other.same(one)));
                let new = target.iter().filter(|one| !own.iter().any(|other| other.same(one)));
                let step = |op, content: &Content| Step {
                    key: place.clone(),
                    content: content.clone(),
                    op,
                };
                let new: Vec<_> = new.map(|one| step(Op::Append, one)).collect();
                new.into_iter().chain(gone.map(|one| step(Op::Delete, one))).collect()
            }
        };
        self.push_together(steps);
    }

    /// What is named of a priority's rules, as requests that do that and nothing else.
    fn settle_rules(&mut self, draft: &Draft) {
        let is_rule = |planned: &Planned| match planned {
            Planned::Ready(Step { key: Key::Rule(key), .. }) => Some(*key),
            _ => None,
        };
        let keys: BTreeSet<_> = self.steps.iter().filter_map(|(_, one)| is_rule(one)).collect();
        let (rules, mut others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.steps)
            .into_iter()
            .partition(|(_, one)| is_rule(one).is_some());
        let orders: Vec<_> = draft
            .keyed()
            .iter()
            .filter_map(|edit| match edit {
                Edit::Order(key, order) => Some((key, order)),
                _ => None,
            })
            .collect();
        let mut keys: BTreeSet<Key> = keys.into_iter().map(Key::Rule).collect();
        keys.extend(orders.iter().map(|(key, _)| (*key).clone()));
        for key in keys {
            let is = key.whole(self.now);
            let mut target = is.clone();
            for (_, planned) in &rules {
                let Planned::Ready(Step { key: own, content, op }) = planned else { continue };
                match op {
                    _ if *own != key => {}
                    // Of duplicates none is to be left.
                    Op::Delete => target.retain(|one| !one.same(content)),
                    _ => target.push(content.clone()),
                }
            }
            for (_, order) in orders.iter().filter(|(own, _)| **own == key) {
                let place = |one: &Content| order.iter().position(|other| other.same(one));
                target.sort_by_key(|one| place(one).unwrap_or(usize::MAX));
            }
            let steps = key.transform(&is, &target).into_iter();
            others.extend(steps.map(|step| (turn_of(&step), Planned::Ready(step))));
        }
        self.steps = others;
    }

    /// With a nexthop object that is deleted the kernel takes what goes by it, without a word (K7): refused, unless all
    /// of it is deleted or replaced here too.
    fn check_in_use(&mut self) -> Result<(), Refusal> {
        let ready = |planned: &Planned| match planned {
            Planned::Ready(step) => Some(step.clone()),
            Planned::Pending(_) => None,
        };
        let deleted: Vec<u32> = self
            .steps
            .iter()
            .filter_map(|(_, planned)| match planned {
                Planned::Ready(Step { key: Key::Nexthop(id), op: Op::Delete, .. }) => Some(*id),
                _ => None,
            })
            .collect();
        if deleted.is_empty() {
            return Ok(());
        }
        let touched: BTreeSet<Key> = self
            .steps
            .iter()
            .filter_map(|(_, planned)| ready(planned))
            .filter(|step| matches!(step.op, Op::Delete | Op::Replace))
            .map(|step| step.key)
            .collect();
        let refuse =
            |id: u32, by: String| Err(Refusal::InUse { what: format!("nexthop {id}"), by });
        for group in self.now.nexthops().iter() {
            let member = group.group().map(|(id, _)| id).find(|id| deleted.contains(id));
            if let Some(id) = member.filter(|_| !touched.contains(&Key::Nexthop(group.id()))) {
                return refuse(id, format!("the group {}", group.id()));
            }
        }
        for (key, entry) in self.now.neighbours_by_nexthop() {
            let id = entry.nh_id().filter(|id| deleted.contains(id));
            let key = Key::Neighbour(Arc::new(*key));
            if let Some(id) = id.filter(|_| !touched.contains(&key)) {
                return refuse(id, format!("the forwarding entry {}", entry.line(self.now)));
            }
        }
        for (key, held) in self.now.all_keyed_routes() {
            for held in held {
                let by = held.body().and_then(|body| body.nexthop());
                if let Some(id) = by.filter(|id| deleted.contains(id)) {
                    if !touched.contains(&Key::Route(key)) {
                        return refuse(
                            id,
                            format!("the route {}", route::text(&key, held, self.now)),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn conflict(&self, key: &Key, base: &[Content], now: &[Content], want: String) -> Refusal {
        let words = |all: &[Content], names: &Snapshot| match all {
            [] => "none".to_owned(),
            all => {
                let all: Vec<_> = all.iter().map(|one| super::text(key, one, names)).collect();
                all.join(", ")
            }
        };
        Refusal::Conflict {
            what: key.noun().to_owned(),
            base: words(base, self.base),
            now: words(now, self.now),
            want,
        }
    }
}

/// What the table holds at a key, when that is where it is.
fn take_at<'a, I>(there: &mut Peekable<I>, key: &RouteKey) -> &'a [Arc<Held>]
where
    I: Iterator<Item = (RouteKey, &'a [Arc<Held>])>,
{
    there.next_if(|(own, _)| own == key).map(|(_, held)| held).unwrap_or_default()
}

fn same_list(a: &[Content], b: &[Content]) -> bool {
    a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| other.same(one)))
}

fn turn(planned: &Planned) -> Turn {
    match planned {
        Planned::Ready(step) => turn_of(step),
        Planned::Pending(pending) => match &pending.wish {
            Wish::Route(spec) if spec.has_gateway() => Turn::AddByGateway,
            Wish::Route(_) => Turn::AddDirect,
            Wish::Rule(_) => Turn::AddRule,
            Wish::Neighbour(spec) if spec.is_by_nexthop() => Turn::AddEntryByGroup,
            Wish::Neighbour(_) => Turn::AddNeighbour,
            Wish::Nexthop(_) => Turn::AddNexthop,
        },
    }
}

/// The turn of steps of one key that stay in their order: of the last of them that adds.
pub(super) fn turn_together(steps: &[Step]) -> Turn {
    let adds = steps.iter().filter(|step| step.op != Op::Delete).map(turn_of).max();
    adds.or_else(|| steps.iter().map(turn_of).max()).unwrap_or(Turn::DeleteRoute)
}

pub(super) fn turn_of(step: &Step) -> Turn {
    match (&step.content, step.op) {
        (Content::Rule(_), Op::Delete) => Turn::DeleteRule,
        (Content::Route(_), Op::Delete) => Turn::DeleteRoute,
        (Content::Nexthop(one), Op::Delete) if nexthop::is_group(one) => Turn::DeleteGroup,
        (Content::Nexthop(_), Op::Delete) => Turn::DeleteNexthop,
        (Content::Neighbour(one), op) if one.nh_id().is_some() => match op {
            Op::Delete => Turn::DeleteEntryByGroup,
            _ => Turn::AddEntryByGroup,
        },
        (Content::Neighbour(_), Op::Delete) => Turn::DeleteNeighbour,
        (Content::Neighbour(_), _) => Turn::AddNeighbour,
        (Content::Nexthop(one), _) if nexthop::is_group(one) => Turn::AddGroup,
        (Content::Nexthop(_), _) => Turn::AddNexthop,
        (Content::Route(held), _) if route::has_gateway(held) => Turn::AddByGateway,
        (Content::Route(_), _) => Turn::AddDirect,
        (Content::Rule(_), _) => Turn::AddRule,
    }
}
