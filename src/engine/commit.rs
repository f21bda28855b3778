//! Carrying out a commit: does what the machine wants done, and tells it what came of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::Error;
use super::hooks::{Hook, Hooks};
use super::journal::{Found, Journal, Unfinished, Unusable};
use super::requests::Requests;
use super::shared::{Config, Engine};
use super::trace::{Span, tell};
use crate::plan::{Commit, Draft, Failure, Outcome, Poll, Progress, Refusal, Why};
use crate::state::{Ask, Snapshot};
use crate::sys::sync::Mutex;
use crate::wire::Unpackable;
use uuid::Uuid;

/// So many requests at once are many.
const MANY: usize = 256;

/// Who is told how far a commit is.
pub type Watcher = dyn Fn(Progress) + Send + Sync;

/// What a transaction says of its commit besides its draft.
pub struct Terms<'a> {
    /// The transaction.
    pub id: Uuid,
    /// Its hooks.
    pub hooks: &'a [Hook],
    /// What each hook may take, if it is not what the database says.
    pub deadline: Option<Duration>,
    /// Who is told how far it is.
    pub watcher: Option<&'a Watcher>,
}

/// How a commit did not even begin, or was cut off.
#[derive(Clone, Debug)]
pub enum Start {
    /// Refused: nothing was sent.
    Refused(Refusal),
    /// The kernel could not be reached before anything was sent.
    Unreached(Error),
    /// The kernel could not be reached any more in the middle: what state things are in is not known.
    CutOff(Error),
}

/// A commit that holds, and can still be taken back.
#[derive(Debug)]
pub struct Provisional {
    commit: Commit,
    id: Uuid,
    draft: Draft,
    created: BTreeMap<u64, u32>,
}

/// Whether a commit that is found as wanted has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    ForGood,
    Provisionally,
}

pub(super) fn tell_end(outcome: &Outcome) {
    match outcome {
        Outcome::Committed { .. } => {
            tell!(info, "committed");
        }
        Outcome::RolledBack { cause, .. } => {
            tell!(warn, %cause, "rolled back");
            let _ = cause;
        }
        Outcome::Torn { cause, residue, .. } => {
            tell!(error, %cause, residue = residue.len(), "torn");
            let _ = (cause, residue);
        }
    }
}

/// One who panics hears no more; the commit goes on.
pub(super) fn tell_progress(watcher: &mut Option<&Watcher>, progress: Progress) {
    let tell = |watcher: &&Watcher| catch_unwind(AssertUnwindSafe(|| watcher(progress))).is_ok();
    *watcher = watcher.take().filter(tell);
}

/// While it is there, what is seen is put down to the transaction.
pub(super) struct Running<'a>(&'a Engine);

impl<'a> Running<'a> {
    pub(super) fn new(engine: &'a Engine, id: Uuid) -> Self {
        engine.put_down_to(Some(id));
        Running(engine)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.put_down_to(None);
    }
}

/// Writes down what the journal must hold before anything more is sent. `false` when that cannot be, and the requests
/// that the commit wanted sent must not be: it turns back.
fn write_down(commit: &mut Commit, record: Option<Record<'_>>) -> bool {
    let Some(record) = record else { return true };
    let Some(note) = commit.note() else { return true };
    let Err(error) = record.journal.lock().note(record.id, &note) else { return true };
    let why = Why::Unwritten(error.to_string());
    !commit.stop(Failure { step: "the next requests".to_owned(), why })
}

/// Writes down that the commit is as wanted and waits for a confirmation. `false` when that cannot be: it turns back.
fn write_held(commit: &mut Commit, record: Option<Record<'_>>) -> bool {
    // Where the new interfaces are it may have learnt since the last requests.
    if !write_down(commit, record) {
        return false;
    }
    let held = record.map(|record| record.journal.lock().hold(record.id));
    let Some(Err(error)) = held else { return true };
    let why = Why::Unwritten(error.to_string());
    !commit.stop(Failure { step: "that it waits for a confirmation".to_owned(), why })
}

/// The record of a commit in the journal. That is locked for each piece alone: a confirmation does not wait for a commit
/// that is under way.
#[derive(Clone, Copy)]
struct Record<'a> {
    journal: &'a Mutex<Journal>,
    id: Uuid,
}

impl Record<'_> {
    fn end(self) -> Result<(), Error> {
        self.journal.lock().end(self.id)
    }
}

/// What came of a recovery.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in the life of a process")]
pub enum Recovered {
    /// There is no journal.
    NoJournal,
    /// Every commit in it has ended.
    Nothing,
    /// Commits were undone: rolled back, or torn.
    Undone {
        /// Which, in the order in which they were: the newest first.
        commits: Vec<Undone>,
        /// The state that was found.
        found: Snapshot,
    },
}

/// A commit of a process that has ended, and was undone.
#[derive(Clone, Debug)]
pub struct Undone {
    /// Which transaction.
    pub id: Uuid,
    /// Whether it had been carried out, and was never confirmed.
    pub unconfirmed: bool,
    /// How it ended.
    pub outcome: Outcome,
}

fn resume(unfinished: &Unfinished) -> Result<Commit, Unpackable> {
    let why = match unfinished.held {
        true => Why::Unconfirmed("the process that was to confirm it has ended".to_owned()),
        false => Why::CutOff,
    };
    let cause = Failure { step: format!("commit {}", unfinished.id), why };
    let notes: Vec<_> = unfinished.notes.iter().map(Vec::as_slice).collect();
    Commit::resume(&unfinished.testament, &notes, cause)
}

impl Engine {
    /// Commits a draft: one of three endings, or nothing sent. When everything is as wanted the hooks of the database
    /// are asked, and then the transaction's own.
    ///
    /// # Errors
    /// See [`Start`].
    pub fn commit(&self, draft: &Draft, terms: &Terms<'_>) -> Result<Outcome, Start> {
        Ok(self.run(draft, terms, Hold::ForGood)?.0)
    }

    /// The same; when it is committed it can be taken back as if a hook had not been content.
    ///
    /// # Errors
    /// See [`Start`].
    pub fn commit_provisionally(
        &self,
        draft: &Draft,
        terms: &Terms<'_>,
    ) -> Result<(Outcome, Provisional), Start> {
        let (outcome, commit) = self.run(draft, terms, Hold::Provisionally)?;
        let created = match &outcome {
            Outcome::Committed { created, .. } => created.clone(),
            _ => BTreeMap::new(),
        };
        Ok((outcome, Provisional { commit, id: terms.id, draft: draft.clone(), created }))
    }

    /// Undoes a commit that held: what it changed and nobody else changed since.
    ///
    /// # Errors
    /// When the kernel cannot be reached: what state things are in is not known.
    pub fn take_back(&self, provisional: Provisional, why: Failure) -> Result<Outcome, Error> {
        let Provisional { mut commit, id, draft, created } = provisional;
        let mut requests = self.requests.lock();
        let _running = Running::new(self, id);
        let before = self.fence()?;
        commit.fail(why);
        let record = self.record(id);
        if let Some(record) = record {
            record.journal.lock().taking_back(id);
        }
        let content = |_| Ok(());
        let ended = self.drive(&mut commit, &mut requests, content, None, record, Hold::ForGood)?;
        if let Outcome::RolledBack { snapshot, .. } | Outcome::Torn { snapshot, .. } = &ended {
            self.move_frozen(&draft, &before, snapshot, &created);
        }
        Ok(ended)
    }

    /// A commit that held provisionally holds for good: the journal undoes it no more.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn confirm(&self, id: Uuid) -> Result<(), Error> {
        self.record(id).map_or(Ok(()), Record::end)
    }

    fn record(&self, id: Uuid) -> Option<Record<'_>> {
        self.journal.as_ref().map(|journal| Record { journal, id })
    }

    fn run(
        &self,
        draft: &Draft,
        terms: &Terms<'_>,
        hold: Hold,
    ) -> Result<(Outcome, Commit), Start> {
        if let Some(error) = self.bars_commit() {
            return Err(Start::Unreached(error));
        }
        let mut requests = self.requests.lock();
        let (before, outcome, commit) = self.run_with(draft, terms, hold, &mut requests)?;
        if let Outcome::Committed { snapshot, created } = &outcome {
            // Before the lock is given back: there is no moment at which this is somebody else's change.
            self.move_frozen(draft, &before, snapshot, created);
        }
        Ok((outcome, commit))
    }

    /// As [`Engine::commit`] by whoever has the lock that keeps commits apart, and moves nothing that is held.
    pub(super) fn commit_with(
        &self,
        draft: &Draft,
        terms: &Terms<'_>,
        requests: &mut Requests,
    ) -> Result<Outcome, Start> {
        Ok(self.run_with(draft, terms, Hold::ForGood, requests)?.1)
    }

    fn run_with(
        &self,
        draft: &Draft,
        terms: &Terms<'_>,
        hold: Hold,
        requests: &mut Requests,
    ) -> Result<(Snapshot, Outcome, Commit), Start> {
        let id = terms.id;
        let _span = Span::commit(id);
        let now = self.state_for(draft).map_err(Start::Unreached)?;
        let mut commit = Commit::new(draft, now.clone()).map_err(Start::Refused)?;
        let record = self.record(id).filter(|_| commit.sends());
        if let Some(Record { journal, .. }) = record {
            let config = &self.shared.config;
            let testament = commit.testament();
            let begun = journal.lock().begin(id, &config.views, &config.routes, &testament);
            begun.map_err(Start::Unreached)?;
        }
        let _running = Running::new(self, id);
        let ask = |found: Snapshot| {
            // What changes while they are asked is not done by this transaction.
            self.put_down_to(None);
            let asked = self.ask_hooks(terms, &now, found, &[self.shared.id]);
            self.put_down_to(asked.is_err().then_some(id));
            asked
        };
        let ended = self.drive(&mut commit, requests, ask, terms.watcher, record, hold);
        Ok((now.clone(), ended.map_err(Start::CutOff)?, commit))
    }

    /// The state now, with everything in it that a commit of this draft has to know.
    pub(super) fn state_for(&self, draft: &Draft) -> Result<Snapshot, Error> {
        let mut silent = draft.silent();
        silent.retain(|ask| *ask != Ask::Proxies || self.shared.config.views.neighbours);
        if silent.is_empty() { self.current() } else { self.observe(&silent) }
    }

    /// Undoes the commits of a process that has ended, from its journal; opens a database for it, and closes it.
    ///
    /// # Errors
    /// When the journal cannot be used, see [`Unusable`], or the kernel cannot be reached.
    pub fn recover(mut config: Config, path: &Path) -> Result<Recovered, Error> {
        let (journal, unfinished) = match Journal::find(path, config.namespace.as_ref())? {
            Found::NoJournal => return Ok(Recovered::NoJournal),
            Found::Ended => return Ok(Recovered::Nothing),
            Found::Unfinished(found) => *found,
        };
        // Those of one database, which follows the same for all of them.
        if let Some(last) = unfinished.last() {
            (config.views, config.routes) = (last.views, last.routes.clone());
        }
        // All of them are read before anything is changed.
        let resumed: Vec<_> = unfinished
            .into_iter()
            .map(|unfinished| Ok((resume(&unfinished)?, unfinished)))
            .collect::<Result<_, Unpackable>>()
            .map_err(|what| journal.unusable(Unusable::Corrupt(what.to_string())))?;
        config.journal = None;
        let engine = Engine::open(config)?;
        let journal = Mutex::new(journal);
        let found = engine.fence()?;
        let undo = |(commit, unfinished): (Commit, Unfinished)| {
            let (id, unconfirmed) = (unfinished.id, unfinished.held);
            let outcome = engine.undo_resumed(commit, Record { journal: &journal, id })?;
            Ok(Undone { id, unconfirmed, outcome })
        };
        let commits = resumed.into_iter().rev().map(undo).collect::<Result<_, Error>>()?;
        Ok(Recovered::Undone { commits, found })
    }

    fn undo_resumed(&self, mut commit: Commit, record: Record<'_>) -> Result<Outcome, Error> {
        let mut requests = self.requests.lock();
        let _running = Running::new(self, record.id);
        let content = |_| Ok(());
        self.drive(&mut commit, &mut requests, content, None, Some(record), Hold::ForGood)
    }

    /// Asks the hooks of a commit; while they run, `awaiting` wait for them.
    pub(super) fn ask_hooks(
        &self,
        terms: &Terms<'_>,
        before: &Snapshot,
        now: Snapshot,
        awaiting: &[u64],
    ) -> Result<(), Failure> {
        let hooks = Hooks {
            database: self.shared.hooks.all(),
            own: terms.hooks.to_vec(),
            deadline: terms.deadline.unwrap_or(self.shared.config.hook_deadline),
        };
        if hooks.is_empty() {
            return Ok(());
        }
        let delta = before.diff(&now);
        hooks.ask(awaiting, now, delta)
    }

    fn drive(
        &self,
        commit: &mut Commit,
        requests: &mut Requests,
        ask: impl Fn(Snapshot) -> Result<(), Failure>,
        mut watcher: Option<&Watcher>,
        record: Option<Record<'_>>,
        hold: Hold,
    ) -> Result<Outcome, Error> {
        let mut fence = None;
        loop {
            match commit.poll() {
                Poll::Send(wave) => {
                    if !write_down(commit, record) {
                        continue;
                    }
                    self.send(commit, requests, wave, &mut fence)?;
                    write_down(commit, record);
                    tell_progress(&mut watcher, commit.progress());
                }
                Poll::Observe { refresh, resync } => {
                    self.show(commit, requests, &refresh, resync)?
                }
                Poll::Verified(found) => match ask(found) {
                    Ok(()) if hold == Hold::Provisionally => {
                        if !write_held(commit, record) {
                            continue;
                        }
                        let outcome = commit.committed();
                        tell_end(&outcome);
                        return Ok(outcome);
                    }
                    Ok(()) => commit.accept(),
                    Err(failure) => commit.fail(failure),
                },
                Poll::Finished(outcome) => {
                    tell_end(&outcome);
                    let outcome = self.finish(commit, outcome)?;
                    let ended = record.map_or(Ok(()), Record::end);
                    // Of one that is rolled back a recovery would find nothing left to undo.
                    if !matches!(outcome, Outcome::RolledBack { .. }) {
                        ended?;
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// Sends what a commit wants sent, and tells it what came of that.
    pub(super) fn send(
        &self,
        commit: &mut Commit,
        requests: &mut Requests,
        wave: Vec<Vec<u8>>,
        fence: &mut Option<u32>,
    ) -> Result<(), Error> {
        let many = wave.len() >= MANY;
        tell!(debug, requests = wave.len(), "sends");
        commit.handle_answers(&requests.exchange(wave)?);
        if many { self.keep_pace(fence) } else { Ok(()) }
    }

    /// Shows a commit the state behind a fence, with these objects as they are now.
    pub(super) fn show(
        &self,
        commit: &mut Commit,
        requests: &Requests,
        refresh: &[Ask],
        resync: bool,
    ) -> Result<(), Error> {
        tell!(trace, asked = refresh.len(), resync, "looks");
        if resync {
            self.resync()?;
        }
        let snapshot = self.observe(refresh)?;
        commit.handle_snapshot(snapshot, &self.created(requests.port()));
        Ok(())
    }

    /// Of many requests the notifications would overrun the event socket: before the next ones are sent the reader has
    /// passed those before these, so that at most two lots of them wait.
    fn keep_pace(&self, fence: &mut Option<u32>) -> Result<(), Error> {
        let next = self.ask_fence()?;
        match fence.replace(next) {
            Some(last) => self.await_fence(last).map(drop),
            None => Ok(()),
        }
    }

    /// Handles on interfaces that the rollback has brought back hold again.
    pub(super) fn finish(&self, commit: &Commit, mut outcome: Outcome) -> Result<Outcome, Error> {
        if !commit.restored().is_empty() {
            let restored =
                commit.restored().iter().map(|(index, generation)| (*index, *generation));
            let now = self.adopt(restored)?;
            if let Outcome::RolledBack { snapshot, .. } | Outcome::Torn { snapshot, .. } =
                &mut outcome
            {
                *snapshot = now;
            }
        }
        Ok(outcome)
    }

    /// Links that have appeared by requests from this port: sequence number to index.
    fn created(&self, port: u32) -> BTreeMap<u32, u32> {
        let published = self.shared.published.lock();
        let own = published.created.iter().filter(|(own, ..)| *own == port);
        own.map(|(_, seq, index)| (*seq, *index)).collect()
    }
}
