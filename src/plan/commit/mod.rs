//! The commit as a machine: `poll` says what is to be done, `handle_*` takes what came of it.
//!
//! Forward: wave after wave is sent, each one's answers awaited; then the state is observed behind a fence and
//! every fact is checked. Backward, on any failure, in `back`: the state is observed, what this commit changed and
//! nobody else changed since is undone, newest first, until a look finds nothing left to undo.
//!
//! Not here: what is to be sent and in which order (`order`), and what undoes it (`undo`).

mod back;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use back::Residue;

use super::action::{Action, Indexes, Origin};
use super::fact::Field;
use super::keyed::{Causes, Journal, Step};
use super::order::{Phase, Wave, deleted_addresses, plan};
use super::resume::{Noted, Resumed};
use super::undo::{Entry, Outcome as Sent, Withdrawn, without_collateral};
use super::{
    Draft, Failure, Hint, Refusal, Target, Why, bridge_vlans, kinds, ports, review, rules,
};
use crate::object::kinds::Place;
use crate::object::link::{LINK, row};
use crate::object::{Link, LinkRef, Names, Silent};
use crate::state::{AddressKey, Ask, Snapshot};
use crate::wire::{Ack, locate};

/// What the machine wants done next.
#[derive(Debug)]
pub enum Poll {
    /// Send these requests, in this order, and hand every answer to [`Commit::handle_answers`].
    Send(Vec<Vec<u8>>),
    /// Look: ask for these objects on the event socket (they may have changed in silence), pass a fence, and hand
    /// the snapshot to [`Commit::handle_snapshot`].
    Observe {
        /// What may have changed in silence.
        refresh: Vec<Ask>,
        /// Whether everything is to be read anew, because an answer was lost.
        resync: bool,
    },
    /// Everything is as wanted: run the commit hooks, then [`Commit::accept`] or [`Commit::fail`].
    Verified(Snapshot),
    /// It has ended.
    Finished(Outcome),
}

/// How far a commit is. Requests are counted; looking at what came of them comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Requests that have been answered.
    pub done: usize,
    /// Requests in all.
    pub total: usize,
    /// Whether it is being undone: what is counted then are the requests that undo.
    pub undoing: bool,
}

/// What came of one request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its sequence number.
    pub seq: u32,
    /// The kernel's answer; `None` when it was lost (K12).
    pub ack: Option<Ack>,
    /// The index that the kernel's echo of a creation shows, and its `IFLA_LINK` (the peer of a veth).
    pub created: Option<(u32, Option<u32>)>,
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything is as wanted: read back and found so.
    Committed {
        /// The state in which it was found so.
        snapshot: Snapshot,
        /// The indexes of the interfaces that it created.
        created: BTreeMap<u64, u32>,
    },
    /// Everything that it had changed is as before: read back and found so.
    RolledBack {
        /// Why.
        cause: Failure,
        /// What of interfaces that were made anew is told elsewhere, and is not known to be as before.
        untold: Vec<String>,
        /// The state in which it was found so.
        snapshot: Snapshot,
    },
    /// Some of it could not be undone.
    Torn {
        /// Why it was to be undone.
        cause: Failure,
        /// What is left.
        residue: Vec<Residue>,
        /// What of interfaces that were made anew is told elsewhere, and is not known to be as before.
        untold: Vec<String>,
        /// The state now.
        snapshot: Snapshot,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next wave is to be sent.
    Send,
    /// Answers to a wave are awaited.
    Sent,
    /// An index of a created interface is to be found by a look.
    Locate,
    /// What is about to be deleted is to be seen as it is now, with what others have changed in it meanwhile.
    Farewell,
    /// What has been made again is to be seen: what of its former state it has by itself need not be set.
    Arrival,
    /// An answer was lost; a look decides.
    Decide,
    /// The facts are to be checked by a look.
    Check,
    /// They were found; the hooks run.
    Verified,
    /// What is left to undo is to be found by a look.
    Look,
    /// Undoing is to be sent.
    UndoSend,
    /// Answers to undoing are awaited.
    Undoing,
    Finished,
}

/// What a commit would do next; the least of several has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Together {
    /// It goes on with what it does.
    Busy,
    Wave(Phase),
    Check,
    Verified,
}

/// How often addresses that fell with a primary are put back before that counts as a failure.
const MEND_ROUNDS: u32 = 3;

/// A running commit. See the module's head.
#[derive(Debug)]
pub struct Commit {
    pub(super) before: Snapshot,
    pub(super) seen: Snapshot,
    pub(super) names: BTreeMap<u64, String>,
    pub(super) waves: VecDeque<(Phase, Wave)>,
    /// The turn of the wave that was sent last.
    phase: Phase,
    pub(super) indexes: Indexes,
    /// By which its new interfaces are told from others that get their index when they are gone (K33).
    generations: BTreeMap<u64, u64>,
    pub(super) journal: Vec<Entry>,
    in_flight: Vec<usize>,
    pub(super) keyed: Journal,
    /// Whether steps are in flight, and not actions.
    steps_sent: bool,
    pub(super) undoing: Vec<Action>,
    undo_failures: Vec<Failure>,
    step_failures: Vec<(Step, Failure)>,
    /// Whether an answer to undoing was lost.
    undo_lost: bool,
    /// How many requests that undo have been answered.
    undone: usize,
    restored: BTreeMap<u32, u64>,
    /// The state just before the first deletion.
    pub(super) last_seen: Option<Snapshot>,
    /// The state in which undoing began.
    pub(super) found: Option<Snapshot>,
    /// The new interfaces that are to be as former ones were.
    as_they_were: BTreeSet<Target>,
    /// The state in which those have just been made.
    arrived: Option<Snapshot>,
    pub(super) stage: Stage,
    rounds: u32,
    mended: u32,
    /// Addresses that fell with a primary and were put back: routes have gone with them (K5).
    fallen: Causes,
    pub(super) cause: Option<Failure>,
    outcome: Option<Outcome>,
    /// Actions that the kernel has refused, and that are not noted yet.
    pub(super) refused: Vec<usize>,
    /// Addresses that undoing has taken away, or is about to, and that are not known to be back.
    pub(super) withdrawn: Vec<Withdrawn>,
    pub(super) noted: Noted,
    /// Whether a note is missing.
    pub(super) unwritten: bool,
    /// When it is another process's.
    pub(super) resumed: Option<Resumed>,
}

impl Commit {
    /// Plans a commit of `draft` on the state `now`.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing is to be sent then.
    pub fn new(draft: &Draft, now: Snapshot) -> Result<Self, Refusal> {
        let waves: VecDeque<_> = plan(draft, &now)?.into();
        let names = draft.links().iter().filter_map(|link| match link.target {
            Target::New(number) => Some((number, draft.name_of(link.target))),
            Target::Live { .. } => None,
        });
        let restored = draft.links().iter().filter(|link| link.as_it_was);
        let mut commit = Commit {
            as_they_were: restored.map(|link| link.target).collect(),
            names: names.collect(),
            waves,
            ..Commit::of(now)
        };
        if commit.waves.is_empty() {
            commit.stage = Stage::Verified;
        }
        Ok(commit)
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        if self.cause.is_some() {
            let (done, left) = (self.undone, self.undoing.len() + self.keyed.left_to_undo());
            return Progress { done, total: done + left, undoing: true };
        }
        let left: usize = self.waves.iter().map(|(_, wave)| wave.len()).sum();
        let done = self.journal.len() + self.keyed.len();
        Progress { done, total: done + left, undoing: false }
    }

    /// One that has nothing to do.
    pub(super) fn of(before: Snapshot) -> Self {
        Commit {
            as_they_were: BTreeSet::new(),
            arrived: None,
            names: BTreeMap::new(),
            seen: before.clone(),
            before,
            waves: VecDeque::new(),
            phase: Phase::Mend,
            indexes: Indexes::default(),
            generations: BTreeMap::new(),
            journal: Vec::new(),
            in_flight: Vec::new(),
            keyed: Journal::default(),
            steps_sent: false,
            undoing: Vec::new(),
            undo_failures: Vec::new(),
            step_failures: Vec::new(),
            undo_lost: false,
            undone: 0,
            restored: BTreeMap::new(),
            last_seen: None,
            found: None,
            stage: Stage::Send,
            rounds: 0,
            mended: 0,
            fallen: Causes::default(),
            cause: None,
            outcome: None,
            refused: Vec::new(),
            withdrawn: Vec::new(),
            noted: Noted::default(),
            unwritten: false,
            resumed: None,
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Poll {
        match self.stage {
            Stage::Send => self.send_wave(),
            Stage::UndoSend => self.send_undo(),
            Stage::Sent | Stage::Undoing => Poll::Send(Vec::new()),
            Stage::Locate => Poll::Observe { refresh: Vec::new(), resync: false },
            Stage::Farewell => {
                let refresh = self.doomed().into_iter().map(Ask::Link).collect();
                Poll::Observe { refresh, resync: false }
            }
            Stage::Arrival => {
                let made = self.as_they_were.iter().filter_map(|target| self.indexes.of(*target));
                Poll::Observe { refresh: made.map(Ask::Link).collect(), resync: false }
            }
            Stage::Decide => Poll::Observe { refresh: Vec::new(), resync: true },
            Stage::Check | Stage::Look => Poll::Observe { refresh: self.silent(), resync: false },
            Stage::Verified => Poll::Verified(self.seen.clone()),
            Stage::Finished => match &self.outcome {
                Some(outcome) => Poll::Finished(outcome.clone()),
                None => Poll::Finished(self.committed()),
            },
        }
    }

    fn send_wave(&mut self) -> Poll {
        if self.last_seen.is_none() && self.takes_leave() {
            self.stage = Stage::Farewell;
            return self.poll();
        }
        if self.arrived.is_none() && self.edits_restored() {
            self.stage = Stage::Arrival;
            return self.poll();
        }
        let Some((phase, wave)) = self.waves.pop_front() else {
            self.stage = Stage::Check;
            return self.poll();
        };
        self.phase = phase;
        let wave = match wave {
            Wave::Steps(mut steps) => {
                let requests = self.keyed.send(&mut steps, &self.indexes);
                if !steps.is_empty() {
                    self.waves.push_front((phase, Wave::Steps(steps)));
                }
                (self.stage, self.steps_sent) = (Stage::Sent, true);
                return Poll::Send(requests);
            }
            Wave::Actions(wave) => wave,
        };
        self.steps_sent = false;
        self.in_flight.clear();
        if matches!(wave.first(), Some(Action::Arrive { .. })) {
            self.expect(wave);
            self.stage = Stage::Locate;
            return self.poll();
        }
        let mut requests = Vec::with_capacity(wave.len());
        for action in wave {
            let Some(action) = self.still_needed(action) else { continue };
            // Without an index the creation has failed, and then no further wave is sent.
            let whole = kinds::whole(&action, &self.indexes, &self.seen);
            let Some(request) = whole.encode(&self.indexes) else { continue };
            self.in_flight.push(self.journal.len());
            self.journal.push(Entry { action, request: request.clone(), seq: 0, sent: Sent::Lost });
            requests.push(request);
        }
        self.stage = Stage::Sent;
        Poll::Send(requests)
    }

    /// Whether the next wave is the first that edits what has been made again. What is to be down is named before it is
    /// made: then there is nothing to be seen yet.
    fn edits_restored(&self) -> bool {
        let edits = |action: &Action| {
            !matches!(action, Action::Create { .. })
                && self.as_they_were.contains(&action.target())
                && self.indexes.of(action.target()).is_some()
        };
        matches!(self.waves.front(), Some((_, Wave::Actions(wave))) if wave.iter().any(edits))
    }

    /// What is left to do of an action on an interface that has been made again: what it has by itself is not set, of
    /// which the kernel may refuse even the default.
    fn still_needed(&self, action: Action) -> Option<Action> {
        match &self.arrived {
            // A bridge has an mtu of its own from when it is told one, also the one that it has.
            Some(_) if matches!(action, Action::Set { id: row::MTU, .. }) => Some(action),
            Some(now) if self.as_they_were.contains(&action.target()) => {
                action.lacking(now, &self.indexes)
            }
            _ => Some(action),
        }
    }

    /// Whether the next wave is the first that deletes or moves away something.
    fn takes_leave(&self) -> bool {
        let next = self.waves.front().map(|(_, wave)| wave);
        next.is_some_and(|wave| self.leaving(wave).next().is_some())
    }

    /// The interfaces that a wave deletes or moves away.
    fn leaving(&self, wave: &Wave) -> impl Iterator<Item = u32> {
        let wave: &[Action] = match wave {
            Wave::Actions(wave) => wave,
            Wave::Steps(_) => &[],
        };
        wave.iter().filter_map(|action| match action {
            Action::Delete { target } | Action::Move { target, .. } => self.indexes.of(*target),
            _ => None,
        })
    }

    /// The interfaces that are deleted or moved away from here on, in whichever wave, what goes with them, and their ports.
    fn doomed(&self) -> Vec<u32> {
        let deleted = self.waves.iter().flat_map(|(_, wave)| self.leaving(wave));
        let deleted: BTreeSet<u32> = deleted.collect();
        let ports = deleted.iter().flat_map(|index| self.before.ports_of(*index).map(Link::index));
        let ports: Vec<_> = ports.collect();
        rules::all_touched_with(deleted, &self.before).into_iter().chain(ports).collect()
    }

    /// What came of the requests of the last [`Poll::Send`], in their order.
    pub fn handle_answers(&mut self, answers: &[Answer]) {
        match (self.stage, self.steps_sent) {
            (Stage::Undoing, true) => return self.handle_undo_steps(answers),
            (Stage::Undoing, false) => return self.handle_undo_answers(answers),
            (_, true) => return self.handle_step_answers(answers),
            (_, false) => {}
        }
        for (at, answer) in self.in_flight.clone().into_iter().zip(answers) {
            self.handle_answer(at, answer);
        }
        self.take_back(answers.len());
        let sent = || self.in_flight.iter().map(|at| &self.journal[*at].sent);
        self.stage = if self.cause.is_some() {
            Stage::Look
        } else if sent().any(|sent| matches!(sent, Sent::Lost)) {
            Stage::Decide
        } else if self.names.keys().any(|number| self.is_due(*number)) {
            Stage::Locate
        } else {
            Stage::Send
        };
    }

    fn handle_step_answers(&mut self, answers: &[Answer]) {
        let names = Known { before: &self.before, names: &self.names, indexes: &self.indexes };
        let (cause, unsent) = self.keyed.handle_answers(answers, &names);
        if !unsent.is_empty() {
            match self.waves.front_mut() {
                Some((_, Wave::Steps(rest))) => {
                    unsent.into_iter().rev().for_each(|one| rest.push_front(one))
                }
                _ => self.waves.push_front((self.phase, Wave::Steps(unsent.into()))),
            }
        }
        self.stage = match (&cause, self.keyed.is_lost()) {
            (Some(_), _) => Stage::Look,
            (None, true) => Stage::Decide,
            (None, false) => Stage::Send,
        };
        self.cause = self.cause.take().or(cause);
    }

    /// Requests that were not sent, because one before them was refused, are not in the journal. If that refusal
    /// turns out to be none, they are the next wave.
    fn take_back(&mut self, sent: usize) {
        let unsent = self.in_flight.split_off(sent.min(self.in_flight.len()));
        let unsent = self.journal.split_off(unsent.first().copied().unwrap_or(self.journal.len()));
        if !unsent.is_empty() {
            let wave = unsent.into_iter().map(|entry| entry.action).collect();
            self.waves.push_front((self.phase, Wave::Actions(wave)));
        }
    }

    /// Whether a new interface has been created and its index is not known.
    fn is_due(&self, number: u64) -> bool {
        let creates = |action: &Action| match action {
            Action::Create { target, peer, .. } => {
                *target == Target::New(number) || *peer == Some(Target::New(number))
            }
            _ => false,
        };
        let done = |entry: &&Entry| matches!(entry.sent, Sent::Done) && creates(&entry.action);
        self.indexes.of(Target::New(number)).is_none()
            && self.journal.iter().any(|entry| done(&entry))
    }

    fn handle_answer(&mut self, at: usize, answer: &Answer) {
        let entry = &mut self.journal[at];
        entry.seq = answer.seq;
        let Some(ack) = &answer.ack else { return };
        if ack.is_ok() {
            entry.sent = Sent::Done;
            if let (Action::Create { target, peer, .. }, Some((index, link))) =
                (&entry.action, answer.created)
            {
                let pair = [(Some(*target), Some(index)), (*peer, link)];
                for (target, index) in pair {
                    if let (Some(Target::New(number)), Some(index)) = (target, index) {
                        self.indexes.known.insert(number, index);
                    }
                }
            }
            return;
        }
        let failure = self.refusal(at, ack);
        self.refused.push(at);
        let entry = &mut self.journal[at];
        if rules::is_tolerable(&entry.action, ack.errno) {
            entry.sent = Sent::Doubtful(failure);
        } else {
            entry.sent = Sent::Refused;
            self.cause.get_or_insert(failure);
        }
    }

    fn refusal(&self, at: usize, ack: &Ack) -> Failure {
        let entry = &self.journal[at];
        failure(&entry.action, &entry.request, ack, self.step(&entry.action))
    }

    fn step(&self, action: &Action) -> String {
        let is_renamed = matches!(action, Action::Set { id: row::NAME, .. });
        let name = |target| match target {
            Target::Live { index, .. } => rules::name(index, &self.before),
            Target::New(number) => {
                let first = self.called_first(target).filter(|_| is_renamed);
                first.or(self.names.get(&number).cloned()).unwrap_or_default()
            }
        };
        review::command(action, &name)
    }

    /// What an interface from another namespace was called when it arrived.
    fn called_first(&self, target: Target) -> Option<String> {
        self.journal.iter().find_map(|entry| match &entry.action {
            Action::Arrive { target: own, name, .. } => (*own == target).then(|| name.to_string()),
            _ => None,
        })
    }

    /// The state behind the fence. `created` are links that have appeared by requests of this database: sequence
    /// number to index.
    pub fn handle_snapshot(&mut self, now: Snapshot, created: &BTreeMap<u32, u32>) {
        self.match_with(&now);
        self.locate(&now, created);
        match self.stage {
            Stage::Locate => self.await_arrivals(&now),
            Stage::Farewell => {
                let seen = without_collateral(&self.journal, &self.before, now, &self.indexes);
                self.last_seen = Some(seen);
                self.stage = Stage::Send;
            }
            Stage::Arrival => {
                self.arrived = Some(now);
                self.stage = Stage::Send;
            }
            Stage::Decide => self.decide(&now),
            Stage::Check => self.check(now),
            Stage::Look => self.look(now),
            _ => {}
        }
    }

    /// Finds the indexes of created interfaces: by the kernel's own word where it gives one, otherwise by the name
    /// that the kernel has acknowledged as newly made (kernels before 6.2 echo nothing).
    fn locate(&mut self, now: &Snapshot, created: &BTreeMap<u32, u32>) {
        self.find_indexes(now, created);
        for (number, index) in &self.indexes.known {
            let there = now.link_by_index(*index).map(Link::generation);
            there.map(|generation| *self.generations.entry(*number).or_insert(generation));
        }
    }

    fn find_indexes(&mut self, now: &Snapshot, created: &BTreeMap<u32, u32>) {
        for entry in &self.journal {
            let (number, peer, arrival) = match &entry.action {
                Action::Create { target: Target::New(number), peer, .. } => (number, peer, None),
                Action::Arrive { target: Target::New(number), name, origin } => {
                    (number, &None, Some((name, origin)))
                }
                _ => continue,
            };
            if self.indexes.gone.contains(number) {
                continue;
            }
            if let (Some(index), None) = (created.get(&entry.seq), self.indexes.known.get(number)) {
                self.indexes.known.insert(*number, *index);
            }
            let made = matches!(entry.sent, Sent::Done) || self.indexes.known.contains_key(number);
            for target in [Some(Target::New(*number)), *peer].into_iter().flatten().filter(|_| made)
            {
                let Target::New(number) = target else { continue };
                let link = match arrival {
                    Some((name, origin)) => {
                        now.link_by_name(name).filter(|link| link.kind() == origin.kind())
                    }
                    None => self.names.get(&number).and_then(|name| now.link_by_name(name)),
                };
                let fresh = link.filter(|link| {
                    self.before
                        .link(LinkRef::Handle {
                            index: link.index(),
                            generation: link.generation(),
                        })
                        .is_none()
                });
                let fresh = fresh.filter(|_| !self.indexes.gone.contains(&number));
                if let (Some(link), None) = (fresh, self.indexes.known.get(&number)) {
                    self.indexes.known.insert(number, link.index());
                }
            }
        }
    }

    /// What was asked for in another namespace is here by now: the kernel has said so before it answered there (K2).
    fn await_arrivals(&mut self, now: &Snapshot) {
        let arrivals = self.journal.iter().filter(|entry| {
            matches!(entry.action, Action::Arrive { .. })
                && self.indexes.of(entry.action.target()).is_none()
        });
        let missing = arrivals.map(|entry| self.step(&entry.action)).next();
        self.stage = if missing.is_some() { Stage::Look } else { Stage::Send };
        self.seen = now.clone();
        if let Some(step) = missing {
            let instead = "it did not arrive from the other namespace".to_owned();
            self.cause.get_or_insert(Failure { step, why: Why::Ignored { instead } });
        }
    }

    /// An answer was lost: what is so was done (K12).
    fn decide(&mut self, now: &Snapshot) {
        if self.rounds > 0 {
            return self.look(now.clone());
        }
        if self.steps_sent {
            self.cause = self.keyed.decide(&self.before, now);
            self.stage = if self.cause.is_some() { Stage::Look } else { Stage::Send };
            return;
        }
        for at in self.in_flight.clone() {
            let entry = &self.journal[at];
            if !matches!(entry.sent, Sent::Lost) {
                continue;
            }
            let facts = entry.action.facts(&self.indexes);
            if !facts.is_empty() && facts.iter().all(|fact| fact.holds(now)) {
                self.journal[at].sent = Sent::Done;
            } else {
                let step = self.step(&entry.action);
                self.cause.get_or_insert(Failure { step, why: Why::Unanswered });
            }
        }
        self.stage = if self.cause.is_some() { Stage::Look } else { Stage::Send };
    }

    fn check(&mut self, now: Snapshot) {
        let ipv6 = self.mend_vrf(&now);
        if !ipv6.is_empty() && self.mended < MEND_ROUNDS {
            self.mended += 1;
            self.waves.push_back((Phase::Mend, Wave::Actions(ipv6)));
            self.stage = Stage::Send;
            return;
        }
        let mend = self.mend(&now);
        if !mend.is_empty() && self.mended < MEND_ROUNDS {
            self.mended += 1;
            for key in self.address_keys(&mend).collect::<Vec<_>>() {
                self.fallen.links.insert(key.index);
                self.fallen.sources.insert(key.local);
            }
            self.waves.push_back((Phase::Mend, Wave::Actions(mend)));
            self.stage = Stage::Send;
            return;
        }
        let fallen = std::mem::take(&mut self.fallen);
        let steps = self.keyed.mend(&self.before, &now, &fallen);
        if !steps.is_empty() {
            self.waves.push_back((Phase::Mend, Wave::Steps(steps)));
            self.stage = Stage::Send;
            return;
        }
        if let Some(failure) = self.unmet(&now).or_else(|| self.keyed.unmet(&self.before, &now)) {
            self.cause = Some(failure);
            return self.look(now);
        }
        self.seen = now;
        self.stage = Stage::Verified;
    }

    /// The first fact that is not so. What a later step has set to something else is not to last: a name that is
    /// given up on the way to another, an mtu that an interface was created with, the absence of an address that
    /// comes back with other attributes.
    fn unmet(&self, now: &Snapshot) -> Option<Failure> {
        let mut superseded = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        let mut first = None;
        for entry in self.journal.iter().rev() {
            for fact in entry.action.facts(&self.indexes) {
                let id = match fact.field {
                    Field::Flag(bit) => Some((fact.index, row::FLAGS, bit.trailing_zeros() as u16)),
                    Field::Link(id) => Some((fact.index, row::NAME, id)),
                    Field::Option(part, _, id) => Some((fact.index, part, id)),
                    Field::Vlan(_, vid) => Some((fact.index, u16::MAX, vid)),
                    Field::Tunnel(vid) => Some((fact.index, u16::MAX - 1, vid)),
                    _ => None,
                };
                let again = match &fact.field {
                    Field::Address(spec) => !addresses.insert(spec.key(fact.index)),
                    _ => false,
                };
                let old = again || id.is_some_and(|id| !superseded.insert(id));
                if matches!(fact.field, Field::Exists) && fact.want.is_none() {
                    superseded.insert((fact.index, row::NAME, row::NAME));
                }
                if old || fact.holds(now) {
                    continue;
                }
                let state = fact.state(now);
                let mut instead = format!("{} is {}", fact.title(now), fact.text(state.as_ref()));
                if state.is_none() && kinds::is_for_root(&fact.field) {
                    instead.push_str(
                        " (the kernel tells it with CAP_NET_ADMIN in the initial user namespace only)",
                    );
                }
                first = Some(match &entry.sent {
                    Sent::Doubtful(failure) => failure.clone(),
                    _ => Failure { step: self.step(&entry.action), why: Why::Ignored { instead } },
                });
            }
        }
        first
    }

    /// Addresses that the kernel deleted together with a primary (K25) and that nobody asked to be deleted: those
    /// that were there before, in their order, then those that this commit added.
    fn mend(&self, now: &Snapshot) -> Vec<Action> {
        let actions: Vec<_> = self.journal.iter().map(|entry| entry.action.clone()).collect();
        let deleted = deleted_addresses(&actions, &self.indexes);
        let indexes: BTreeSet<_> = deleted.iter().map(|key| key.index).collect();
        let fell = indexes.into_iter().flat_map(|index| {
            let deleted: Vec<_> =
                deleted.iter().filter(|key| key.index == index).copied().collect();
            let target = Target::Live { index, generation: 0 };
            let specs = rules::secondaries_that_fell(index, &deleted, &self.before, now);
            specs.into_iter().map(move |spec| Action::AddAddress { target, spec })
        });
        let mut wave: Vec<_> = fell.collect();
        let mut known: BTreeSet<_> = self.address_keys(&wave).collect();
        let added = self.journal.iter().filter(|entry| matches!(entry.sent, Sent::Done));
        let added: Vec<_> = added.map(|entry| entry.action.clone()).collect();
        for action in added.into_iter().filter(|action| matches!(action, Action::AddAddress { .. }))
        {
            let key = self.address_keys(std::slice::from_ref(&action)).next();
            let fell = |key: &AddressKey| {
                now.address(key).is_none() && rules::goes_with_primary(key, &deleted)
            };
            if key.is_some_and(|key| fell(&key) && known.insert(key)) {
                wave.push(action);
            }
        }
        wave
    }

    /// IPv6 addresses that fell because a VRF took its new or former port down and up again.
    fn mend_vrf(&self, now: &Snapshot) -> Vec<Action> {
        let done = self.journal.iter().filter(|entry| matches!(entry.sent, Sent::Done));
        let deleted = self.journal.iter().filter_map(|entry| match &entry.action {
            Action::DelAddress { target, spec, .. } => Some(spec.key(self.indexes.of(*target)?)),
            _ => None,
        });
        let deleted: BTreeSet<_> = deleted.collect();
        let fell = done.flat_map(|entry| {
            let Some(index) = self.indexes.of(entry.action.target()) else { return Vec::new() };
            match &entry.action {
                Action::Master { master, .. } => {
                    vec![(index, master.and_then(|master| self.indexes.of(master)))]
                }
                Action::Delete { .. } => {
                    self.before.ports_of(index).map(|port| (port.index(), None)).collect()
                }
                _ => Vec::new(),
            }
        });
        let fell = fell.flat_map(|(index, master)| {
            let target = Target::Live { index, generation: 0 };
            let specs = ports::fell_with_vrf(index, master, &self.before, now).into_iter();
            let unnamed = specs.filter(|spec| !deleted.contains(&spec.key(index)));
            let unnamed = unnamed.collect::<Vec<_>>().into_iter();
            unnamed.map(move |spec| Action::AddAddress { target, spec })
        });
        fell.collect()
    }

    fn address_keys<'a>(&'a self, actions: &'a [Action]) -> impl Iterator<Item = AddressKey> + 'a {
        actions.iter().filter_map(|action| match action {
            Action::AddAddress { target, spec } => Some(spec.key(self.indexes.of(*target)?)),
            _ => None,
        })
    }

    /// The hooks are content.
    pub fn accept(&mut self) {
        if self.stage == Stage::Verified {
            self.stage = Stage::Finished;
        }
    }

    /// A hook is not content: everything is undone.
    pub fn fail(&mut self, cause: Failure) {
        if self.stage == Stage::Verified {
            self.cause = Some(cause);
            self.stage = Stage::Look;
        }
    }

    /// A commit that this one holds or falls with has failed: everything is undone.
    pub(super) fn turn_back(&mut self, cause: &Failure) {
        if self.cause.is_none() {
            self.cause = Some(cause.clone());
            self.stage = Stage::Look;
        }
    }

    /// What was to arrive from other namespaces, and is not awaited any more.
    pub(super) fn take_arrivals(&mut self) -> Vec<Action> {
        let mut arrivals = Vec::new();
        self.waves.retain_mut(|(_, wave)| match wave {
            Wave::Actions(all) if matches!(all.first(), Some(Action::Arrive { .. })) => {
                arrivals.append(all);
                false
            }
            _ => true,
        });
        arrivals
    }

    /// These have arrived, whether they were awaited or not: they go back too.
    pub(super) fn expect(&mut self, arrivals: Vec<Action>) {
        let arrival = |action| Entry { action, request: Vec::new(), seq: 0, sent: Sent::Done };
        self.journal.extend(arrivals.into_iter().map(arrival));
    }

    /// Whether an interface of this name was sent to, or made in, another namespace.
    pub(super) fn has_sent(&self, to: &Place, name: &str) -> bool {
        let is_done = |entry: &&Entry| matches!(entry.sent, Sent::Done | Sent::Lost);
        self.journal.iter().filter(is_done).any(|entry| entry.action.sends(to, name))
    }

    /// Whether it is being undone, or has been.
    pub(super) fn cause(&self) -> Option<&Failure> {
        self.cause.as_ref()
    }

    /// What it would do next, compared with others that are carried out together.
    pub(super) fn turn(&self) -> Together {
        match (self.stage, self.waves.front()) {
            (Stage::Send, Some((phase, _))) => Together::Wave(*phase),
            (Stage::Send, None) => Together::Check,
            (Stage::Verified | Stage::Finished, _) => Together::Verified,
            _ => Together::Busy,
        }
    }

    /// The end of the rollback was too early: others have undone something since.
    pub(super) fn look_again(&mut self) {
        if self.stage == Stage::Finished && self.outcome.take().is_some() {
            self.stage = Stage::Look;
        }
    }

    /// A [note](Commit::note) could not be written. `true` when the requests of the last [`Poll::Send`] must not be sent:
    /// everything is undone instead. What undoes is sent without.
    pub fn stop(&mut self, cause: Failure) -> bool {
        self.unwritten = true;
        match self.stage {
            Stage::UndoSend | Stage::Undoing | Stage::Finished => return false,
            Stage::Sent => self.handle_answers(&[]),
            _ => {}
        }
        self.cause.get_or_insert(cause);
        self.stage = Stage::Look;
        true
    }

    /// The ending, when everything was found as wanted.
    pub fn committed(&self) -> Outcome {
        Outcome::Committed { snapshot: self.seen.clone(), created: self.indexes.known.clone() }
    }

    /// What was set and the kernel may have set in silence (K51, KERNEL 3I), or announces late: it is asked for.
    fn silent(&self) -> Vec<Ask> {
        let actions = self.journal.iter().map(|entry| &entry.action).chain(&self.undoing);
        let asks = actions
            .filter_map(|action| {
                let index = self.indexes.of(action.target())?;
                match action {
                    Action::AddAddress { spec, .. } => {
                        spec.announced_late().map(|address| Ask::Address(index, address))
                    }
                    _ => is_silent(action).then_some(Ask::Link(index)),
                }
            })
            .collect();
        let mut asks: BTreeSet<_> = asks;
        asks.extend(self.tied().into_iter().chain(self.bonds()).map(Ask::Link));
        asks.extend(self.below_others().into_iter().map(Ask::Link));
        asks.extend(self.doubtful().into_iter().map(Ask::Link));
        asks.into_iter().chain(self.keyed.silent()).collect()
    }

    /// Interfaces on which something was made in another namespace: when that comes up and goes, they may become promiscuous,
    /// and are not any more, in silence (KERNEL 3I).
    fn below_others(&self) -> Vec<u32> {
        let lowers = self.journal.iter().filter_map(|entry| match &entry.action {
            Action::CreateIn { lower, .. } => self.indexes.of((*lower)?),
            _ => None,
        });
        lowers.collect()
    }

    /// Bonds that a port joins or leaves: that changes what they use.
    fn bonds(&self) -> Vec<u32> {
        let masters = self.journal.iter().filter_map(|entry| match &entry.action {
            Action::Master { target, master } => {
                let former = self.before.link_by_index(self.indexes.of(*target)?)?.master();
                Some([former, master.and_then(|master| self.indexes.of(master))])
            }
            _ => None,
        });
        let is_bond =
            |index: &u32| self.before.link_by_index(*index).and_then(Link::kind) == Some("bond");
        masters.flatten().flatten().filter(is_bond).collect()
    }

    /// The interfaces that are tied to one that has moved.
    fn tied(&self) -> Vec<u32> {
        let moved = self.journal.iter().filter_map(|entry| match &entry.action {
            Action::Move { target, .. } => self.indexes.of(*target),
            Action::Arrive { origin: Origin::Moved { index, .. }, .. } => Some(*index),
            _ => None,
        });
        let is_there = |index: &u32| self.seen.link_by_index(*index).is_some();
        moved.flat_map(|index| rules::tied_to(index, &self.before)).filter(is_there).collect()
    }
}

/// The names of interfaces: those that were there, and those that this commit has made.
struct Known<'a> {
    before: &'a Snapshot,
    names: &'a BTreeMap<u64, String>,
    indexes: &'a Indexes,
}

impl Names for Known<'_> {
    fn name_of(&self, index: u32) -> Option<&str> {
        let new = || {
            let mut new = self.indexes.known.iter();
            let number = new.find(|(_, own)| **own == index).map(|(number, _)| number)?;
            self.names.get(number).map(String::as_str)
        };
        self.before.name_of(index).or_else(new)
    }
}

fn is_silent(action: &Action) -> bool {
    match action {
        Action::Set { id, .. } => LINK.rows[usize::from(*id)].silent != Silent::Never,
        Action::Data { options, .. } | Action::Port { options, .. } => {
            options.fields().any(|(_, row, _)| row.silent != Silent::Never)
        }
        // Some of what a creation says is set when the kernel has told of the interface already (K34).
        Action::Create { new, .. } | Action::Arrive { origin: Origin::Made { new, .. }, .. } => {
            new.data.as_ref().is_some_and(|options| {
                options.fields().any(|(_, row, _)| row.silent == Silent::Always)
            })
        }
        // The list of alternative names is told like other fields: not of a link that is down.
        Action::Master { .. } | Action::Altname { .. } => true,
        _ => false,
    }
}

fn failure(action: &Action, request: &[u8], ack: &Ack, step: String) -> Failure {
    let path =
        ack.offset.map(|offset| locate(request, action.header(), offset)).unwrap_or_default();
    let attribute = if path.is_empty() { None } else { action.attribute_name(&path) };
    // A port that is one answers so where its bridge has no VLANs (`nbp_vlan_add`).
    let is_vlan = matches!(action, Action::Vlans { .. });
    let lacks = is_vlan && ack.errno == libc::EOPNOTSUPP;
    let hint = match action {
        Action::Create { new, .. } | Action::CreateIn { new, .. } if ack.errno == libc::EEXIST => {
            kinds::fallback_hint(new)
        }
        _ if lacks => Some(Hint::Lacks(bridge_vlans::FEATURE)),
        _ => None,
    };
    Failure { step, why: Why::Refused { ack: ack.clone(), attribute, hint } }
}
