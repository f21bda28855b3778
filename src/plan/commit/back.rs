//! The way back of a commit that failed: what is left to undo is found by a look, undone, and looked for again.
//!
//! Nothing of what has been asked for is known here, only what was done and what is there; which action undoes which one
//! is in `undo`, and what stands under keys (routes, rules) undoes itself in
//! `keyed`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Commit, Known, Outcome, Poll, Stage, failure};
use crate::object::Link;
use crate::plan::action::Action;
use crate::plan::fact::{Fact, Field};
use crate::plan::focus::renumbered;
use crate::plan::keyed::{Causes, Step, doubtful, fading, residue};
use crate::plan::undo::{
    Entry, Outcome as Sent, added, all_taken, causes, orphans, undo, withdrawn_by,
};
use crate::plan::{Failure, Target, Why, kinds, rings, rules};
use crate::state::Snapshot;

/// How often a rollback looks and undoes before it is torn: restoring a deleted interface takes three.
const UNDO_ROUNDS: u32 = 8;

/// After so many it is not waited any longer for one thing to be undone before another.
const STUCK_ROUNDS: u32 = 5;

/// Something that a rollback could not bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residue {
    /// What it is about.
    pub what: String,
    /// How it was before.
    pub was: String,
    /// How it is now.
    pub is: String,
    /// What the kernel said when it was to be undone.
    pub failure: Option<Failure>,
}

impl Commit {
    /// Backward: what is left to undo, and if nothing is, the end.
    pub(super) fn look(&mut self, now: Snapshot) {
        self.forget_gone(&now);
        self.follow_returned(&now);
        self.note_fallen(&now);
        let last = self.rounds >= UNDO_ROUNDS;
        let last_seen = self.last_seen.as_ref().unwrap_or(&self.before);
        // What cannot be undone must not keep everything that comes after it from being tried.
        let stuck = self.rounds >= STUCK_ROUNDS;
        self.withdrawn.retain(|(index, spec)| {
            now.address(&spec.key(*index)).is_none()
                && !rules::is_replaced(*index, &self.before, &now)
        });
        let known = (&self.indexes, self.withdrawn.as_slice());
        let mut undo = undo(&self.journal, &self.before, last_seen, &now, known, stuck);
        if undo.actions.is_empty() {
            undo.actions = self.others_that_fell(&now);
        }
        self.found.get_or_insert_with(|| now.clone());
        self.note_returned(&now);
        let causes = causes(&self.journal, &self.before, &self.indexes);
        let steps =
            self.steps_left(&now, &causes, undo.actions.is_empty() && !undo.abroad || stuck);
        if undo.actions.is_empty() && steps.is_empty() || last {
            let mut residue = undo.residue;
            residue.extend(self::residue(&steps, &self.step_failures, &self.before, &now));
            residue.extend(fading(&self.before, &now, &causes));
            return self.finish_undo(&undo.actions, residue, now);
        }
        self.rounds += 1;
        self.undoing = undo.actions;
        self.withdrawn.extend(withdrawn_by(&self.undoing, &self.indexes));
        self.undo_failures.clear();
        self.step_failures.clear();
        self.undo_lost = false;
        self.keyed.begin_undo(steps);
        self.seen = now;
        self.stage = Stage::UndoSend;
    }

    /// Interfaces of which it counts, when all is undone, whether they have their carrier again.
    pub(super) fn doubtful(&self) -> BTreeSet<u32> {
        match self.cause {
            Some(_) => doubtful(&self.before, &causes(&self.journal, &self.before, &self.indexes)),
            None => BTreeSet::new(),
        }
    }

    /// Addresses that another program has added behind a primary of this commit, and that the kernel has taken with it
    /// (K25).
    fn others_that_fell(&self, now: &Snapshot) -> Vec<Action> {
        let Some(found) = &self.found else { return Vec::new() };
        let actions: Vec<_> = self.journal.iter().map(|entry| entry.action.clone()).collect();
        let added: BTreeSet<_> = self.address_keys(&actions).collect();
        let indexes: BTreeSet<_> = added.iter().map(|key| key.index).collect();
        let indexes = indexes.into_iter().filter(|index| !rules::is_replaced(*index, found, now));
        let fell = indexes.flat_map(|index| {
            let target = Target::Live { index, generation: 0 };
            let specs = rules::ipv4_that_fell(index, found, now).into_iter();
            let theirs = specs.filter(|spec| !added.contains(&spec.key(index)));
            theirs.map(move |spec| Action::AddAddress { target, spec }).collect::<Vec<_>>()
        });
        fell.collect()
    }

    /// What stands under keys and is to go, goes first; what is to come back comes when the interfaces and addresses are
    /// back that it needs.
    fn steps_left(&mut self, now: &Snapshot, causes: &Causes, ready: bool) -> Vec<Step> {
        let (mut steps, restores) = self.keyed.undo(&self.before, now, causes);
        if ready {
            steps.extend(restores);
        }
        steps
    }

    pub(super) fn send_undo(&mut self) -> Poll {
        self.stage = Stage::Undoing;
        let steps = self.keyed.send_undo();
        self.steps_sent = !steps.is_empty();
        if self.steps_sent {
            return Poll::Send(steps);
        }
        self.note_restored();
        Poll::Send(self.undoing.iter().map(|action| self.undo_request(action)).collect())
    }

    fn undo_request(&self, action: &Action) -> Vec<u8> {
        let whole = kinds::whole(action, &self.indexes, &self.seen);
        whole.encode(&self.indexes).unwrap_or_default()
    }

    pub(super) fn handle_undo_steps(&mut self, answers: &[Answer]) {
        let names = Known { before: &self.before, names: &self.names, indexes: &self.indexes };
        let (refused, lost) = self.keyed.handle_undo_answers(answers, &names);
        self.undone += answers.len();
        self.step_failures.extend(refused);
        self.undo_lost |= lost;
        self.stage = Stage::UndoSend;
    }

    /// An interface that is brought back is the one that it was: handles on it are to hold. Of another process's there
    /// are none.
    fn note_restored(&mut self) {
        if self.resumed.is_some() {
            return;
        }
        for action in &self.undoing {
            let Action::Create { target, peer, .. } = action else { continue };
            for target in [Some(*target), *peer].into_iter().flatten() {
                let old =
                    self.indexes.of(target).and_then(|index| self.before.link_by_index(index));
                self.restored.extend(old.map(|old| (old.index(), old.generation())));
            }
        }
    }

    /// New interfaces that are gone are nobody's by now. Another one may have their index, such as one that has come back
    /// from another namespace: that is not theirs to be undone (K33).
    pub(super) fn forget_gone(&mut self, now: &Snapshot) {
        let is_there = |number: &u64, index: u32| {
            let there = now.link_by_index(index).map(Link::generation);
            there.is_some() && there == self.generations.get(number).copied()
        };
        let gone = self.indexes.known.iter().filter(|(number, index)| !is_there(number, **index));
        let gone: Vec<_> = gone.map(|(number, _)| *number).collect();
        for number in gone {
            self.indexes.forget(number);
        }
    }

    /// Before Linux 5.13 an interface that moves to another namespace is given no index of choice there (what asks for it,
    /// `IFLA_NEW_IFINDEX`, goes unheard): one that got another index abroad, because its own was taken there, comes back
    /// with that (`dev_change_net_namespace`). From here on what was known of it is known under that index.
    fn follow_returned(&mut self, now: &Snapshot) {
        while let Some((at, old, new)) = self.returned_elsewhere(now) {
            // It is not known again yet: it gets back what it had.
            let new = Link::new(new.record().clone(), old.generation());
            self.before = renumbered(&self.before, &old, &new);
            if let Some(seen) = &mut self.last_seen {
                if let Some(old) = seen.link_by_index(old.index()).cloned() {
                    *seen = renumbered(seen, &old, &new);
                }
            }
            if let Action::Move { target, .. } = &mut self.journal[at].action {
                *target = Target::Live { index: new.index(), generation: new.generation() };
            }
        }
    }

    fn returned_elsewhere(&self, now: &Snapshot) -> Option<(usize, Link, Link)> {
        self.journal.iter().enumerate().find_map(|(at, entry)| {
            let Action::Move { target, .. } = &entry.action else { return None };
            let index = self.indexes.of(*target)?;
            let (old, new) = rules::returned_elsewhere(index, &self.before, now)?;
            Some((at, old.clone(), new.clone()))
        })
    }

    /// The same for one that has come back from another namespace.
    fn note_returned(&mut self, now: &Snapshot) {
        let moved = self.journal.iter().filter_map(|entry| match &entry.action {
            Action::Move { target, .. } => self.indexes.of(*target),
            _ => None,
        });
        let returned = moved.filter_map(|index| {
            let (old, new) = (self.before.link_by_index(index)?, now.link_by_index(index)?);
            let is_it = rules::is_brought_back(old, new) && old.generation() != new.generation();
            is_it.then_some((index, old.generation()))
        });
        self.restored.extend(returned.collect::<Vec<_>>());
    }

    /// Interfaces that the rollback has brought back: index, and the generation that they had.
    pub fn restored(&self) -> &BTreeMap<u32, u64> {
        &self.restored
    }

    pub(super) fn handle_undo_answers(&mut self, answers: &[Answer]) {
        let mut remade = Vec::new();
        for (action, answer) in self.undoing.iter().zip(answers) {
            let Some(ack) = answer.ack.as_ref() else { continue };
            if ack.is_ok() {
                let back = added(action, &self.indexes);
                self.withdrawn.retain(|away| Some(away) != back.as_ref());
                remade.extend(self.is_remade(action));
                continue;
            }
            let request = self.undo_request(action);
            self.undo_failures.push(failure(action, &request, ack, self.step(action)));
        }
        remade.into_iter().for_each(|link| self.note_remade(&link));
        self.undone += answers.len();
        let lost = self.undo_lost
            || answers.len() < self.undoing.len()
            || answers.iter().any(|answer| answer.ack.is_none());
        self.stage = if lost { Stage::Decide } else { Stage::Look };
    }

    /// What was there before, and is deleted on the way back to be made anew.
    pub(in super::super) fn is_remade(&self, action: &Action) -> Option<Link> {
        let Action::Delete { target } = action else { return None };
        let index = self.indexes.of(*target)?;
        // A new interface may have the index of one that is in another namespace.
        let is_it = !rules::is_replaced(index, &self.before, &self.seen);
        self.before.link_by_index(index).filter(|_| is_it).cloned()
    }

    /// What has gone with its ports is undone as if it had been asked for.
    fn note_fallen(&mut self, now: &Snapshot) {
        let Some(seen) = &self.last_seen else { return };
        let taken = all_taken(&self.journal, &self.before, &self.indexes);
        let is_noted = |link: &&Link| {
            self.journal.iter().any(|entry| match &entry.action {
                Action::Delete { target } => self.indexes.of(*target) == Some(link.index()),
                _ => false,
            })
        };
        let fallen = rings::fallen(&taken, seen, now).into_iter();
        let fallen: Vec<_> = fallen.filter(|link| !is_noted(link)).map(Target::of).collect();
        fallen.into_iter().for_each(|target| self.note_deleted(target));
    }

    fn note_deleted(&mut self, target: Target) {
        let action = Action::Delete { target };
        self.journal.push(Entry { action, request: Vec::new(), seq: 0, sent: Sent::Done });
    }

    /// That is undone as if it had been asked for, and comes back as it was before: without ports, and without what this
    /// commit had set on it.
    fn note_remade(&mut self, link: &Link) {
        let indexes = &self.indexes;
        self.journal.retain(|entry| indexes.of(entry.action.target()) != Some(link.index()));
        self.note_deleted(Target::of(link));
        self.noted.forget_actions();
        let Some(seen) = self.last_seen.take() else { return };
        let ports = seen.ports_of(link.index());
        let as_before = ports.filter_map(|port| self.before.link_by_index(port.index())).cloned();
        let whole: Vec<_> = as_before.chain([link.clone()]).collect();
        self.last_seen = Some(seen.with_links(whole));
    }

    fn finish_undo(&mut self, left: &[Action], mut residue: Vec<Residue>, snapshot: Snapshot) {
        for found in left.iter().flat_map(|action| self.left_over(action, &snapshot)) {
            if !residue.contains(&found) {
                residue.push(found);
            }
        }
        let cause =
            self.cause.clone().unwrap_or(Failure { step: String::new(), why: Why::Unanswered });
        let untold = self.untold();
        self.outcome = Some(match residue.is_empty() {
            true => Outcome::RolledBack { cause, untold, snapshot },
            false => Outcome::Torn { cause, residue, untold, snapshot },
        });
        self.stage = Stage::Finished;
    }

    /// What interfaces that were there before, and have been made anew, had besides what a snapshot knows.
    fn untold(&self) -> Vec<String> {
        let made = self.restored.keys().filter_map(|index| self.before.link_by_index(*index));
        // One that has come back from another namespace has all that it had.
        let moved = |link: &Link| {
            self.journal.iter().any(|entry| {
                matches!(entry.action, Action::Move { target, .. } if target == Target::of(link))
            })
        };
        let told = |link: &Link| Some(format!("the {} of `{}`", kinds::untold(link)?, link.name()));
        made.filter(|link| !moved(link)).filter_map(told).collect()
    }

    fn left_over(&self, action: &Action, now: &Snapshot) -> Vec<Residue> {
        let step = self.step(action);
        let failure = self.undo_failures.iter().find(|failure| failure.step == step);
        let mut facts = action.facts(&self.indexes);
        if let (Action::Delete { .. }, Some(index)) = (action, self.indexes.of(action.target())) {
            let with = rules::goes_with(index, now).into_iter();
            let with = with.filter(|index| self.before.link_by_index(*index).is_none());
            facts.extend(with.map(|index| Fact { index, field: Field::Exists, want: None }));
        }
        // Of an interface that is not there, that it is not there says all; but its ports are there without it.
        facts.retain(|fact| {
            matches!(fact.field, Field::Exists) || now.link_by_index(fact.index).is_some()
        });
        let residue = facts.into_iter().filter(|fact| !fact.holds(now)).map(|fact| Residue {
            what: fact.title(self.names_for(fact.index, now)),
            was: fact.text(fact.want.as_ref()),
            is: fact.text(fact.state(now).as_ref()),
            failure: failure.cloned(),
        });
        let orphans = match (action, self.indexes.of(action.target())) {
            (Action::Create { .. }, Some(index)) => orphans(index, &self.before, now),
            _ => Vec::new(),
        };
        residue.chain(orphans).collect()
    }

    /// Where the name of an interface is known: from before, or since it is there.
    fn names_for<'a>(&'a self, index: u32, now: &'a Snapshot) -> &'a Snapshot {
        if self.before.link_by_index(index).is_some() { &self.before } else { now }
    }
}

impl std::fmt::Display for Residue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was {} and is {}", self.what, self.was, self.is)?;
        match &self.failure {
            Some(failure) => write!(f, " ({failure})"),
            None => Ok(()),
        }
    }
}
