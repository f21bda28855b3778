//! Carrying out a commit: does what the machine wants done, and tells it what came of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::Error;
use super::hooks::{Hook, Hooks};
use super::journal::{Found, Journal, Unusable};
use super::requests::Requests;
use super::shared::{Config, Engine};
use super::trace::{Span, tell};
use crate::plan::{Commit, Draft, Failure, Outcome, Poll, Progress, Refusal, Why};
use crate::state::{Ask, Snapshot};
use parking_lot::Mutex;
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
fn write_down(commit: &mut Commit, journal: Option<&mut Journal>) -> bool {
    let Some(journal) = journal.filter(|_| !commit.is_resumed()) else { return true };
    let Some(note) = commit.note() else { return true };
    let Err(error) = journal.note(&note) else { return true };
    let why = Why::Unwritten(error.to_string());
    !commit.stop(Failure { step: "the next requests".to_owned(), why })
}

/// What came of a recovery.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in the life of a process")]
pub enum Recovered {
    /// There is no journal.
    NoJournal,
    /// Every commit in it has ended.
    Nothing,
    /// A commit was undone: rolled back, or torn.
    Undone {
        /// Which transaction.
        id: Uuid,
        /// The state that was found.
        found: Snapshot,
        /// How it ended.
        outcome: Outcome,
    },
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
        let ended =
            self.drive(&mut commit, &mut requests, |_| Ok(()), None, None, Hold::ForGood)?;
        if let Outcome::RolledBack { snapshot, .. } | Outcome::Torn { snapshot, .. } = &ended {
            self.move_frozen(&draft, &before, snapshot, &created);
        }
        Ok(ended)
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
        let mut journal = self.journal.as_ref().filter(|_| commit.sends()).map(Mutex::lock);
        if let Some(journal) = journal.as_deref_mut() {
            let config = &self.shared.config;
            let begun = journal.begin(id, &config.views, &config.routes, &commit.testament());
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
        let journal = journal.as_deref_mut();
        let ended = self.drive(&mut commit, requests, ask, terms.watcher, journal, hold);
        Ok((now.clone(), ended.map_err(Start::CutOff)?, commit))
    }

    /// The state now, with everything in it that a commit of this draft has to know.
    pub(super) fn state_for(&self, draft: &Draft) -> Result<Snapshot, Error> {
        let silent = draft.silent();
        if silent.is_empty() { self.current() } else { self.observe(&silent) }
    }

    /// Undoes the commit of a process that has ended, from its journal; opens a database for it, and closes it.
    ///
    /// # Errors
    /// When the journal cannot be used, see [`Unusable`], or the kernel cannot be reached.
    pub fn recover(mut config: Config, path: &Path) -> Result<Recovered, Error> {
        let (mut journal, unfinished) = match Journal::find(path, config.namespace.as_ref())? {
            Found::NoJournal => return Ok(Recovered::NoJournal),
            Found::Ended => return Ok(Recovered::Nothing),
            Found::Unfinished(found) => *found,
        };
        let (testament, notes) = unfinished.pieces();
        let resumed = Commit::resume(testament, &notes, &format!("commit {}", unfinished.id));
        let mut commit =
            resumed.map_err(|what| journal.unusable(Unusable::Corrupt(what.to_string())))?;
        (config.views, config.routes) = (unfinished.views, unfinished.routes.clone());
        config.journal = None;
        let engine = Engine::open(config)?;
        let mut requests = engine.requests.lock();
        let found = engine.fence()?;
        let _running = Running::new(&engine, unfinished.id);
        let content = |_| Ok(());
        let journal = Some(&mut journal);
        let outcome =
            engine.drive(&mut commit, &mut requests, content, None, journal, Hold::ForGood)?;
        Ok(Recovered::Undone { id: unfinished.id, found, outcome })
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
        mut journal: Option<&mut Journal>,
        hold: Hold,
    ) -> Result<Outcome, Error> {
        let mut fence = None;
        loop {
            match commit.poll() {
                Poll::Send(wave) => {
                    if !write_down(commit, journal.as_deref_mut()) {
                        continue;
                    }
                    self.send(commit, requests, wave, &mut fence)?;
                    write_down(commit, journal.as_deref_mut());
                    tell_progress(&mut watcher, commit.progress());
                }
                Poll::Observe { refresh, resync } => {
                    self.show(commit, requests, &refresh, resync)?
                }
                Poll::Verified(found) => match ask(found) {
                    Ok(()) if hold == Hold::Provisionally => {
                        let outcome = commit.committed();
                        tell_end(&outcome);
                        if let Some(journal) = journal.as_deref_mut() {
                            journal.end()?;
                        }
                        return Ok(outcome);
                    }
                    Ok(()) => commit.accept(),
                    Err(failure) => commit.fail(failure),
                },
                Poll::Finished(outcome) => {
                    tell_end(&outcome);
                    let outcome = self.finish(commit, outcome)?;
                    if let Some(journal) = journal.as_deref_mut() {
                        journal.end()?;
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
