//! Carrying out a commit: does what the machine wants done, and tells it what came of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::Error;
use super::hooks::{Hook, Hooks};
use super::requests::Requests;
use super::shared::Engine;
use crate::plan::{Commit, Draft, Failure, Outcome, Poll, Progress, Refusal};
use crate::state::Snapshot;
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

/// While it is there, what is seen is put down to the transaction.
struct Running<'a>(&'a Engine);

impl<'a> Running<'a> {
    fn new(engine: &'a Engine, id: Uuid) -> Self {
        engine.put_down_to(Some(id));
        Running(engine)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.put_down_to(None);
    }
}

impl Engine {
    /// Commits a draft: one of three endings, or nothing sent. When everything is as wanted the hooks of the database
    /// are asked, and then the transaction's own.
    ///
    /// # Errors
    /// See [`Start`].
    pub fn commit(&self, draft: &Draft, terms: &Terms<'_>) -> Result<Outcome, Start> {
        if let Some(error) = self.bars_commit() {
            return Err(Start::Unreached(error));
        }
        let mut requests = self.requests.lock();
        let (before, outcome) = self.commit_with(draft, terms, &mut requests)?;
        if let Outcome::Committed { snapshot, created } = &outcome {
            // Before the lock is given back: there is no moment at which this is somebody else's change.
            self.move_frozen(draft, &before, snapshot, created);
        }
        Ok(outcome)
    }

    /// As [`Engine::commit`] by whoever has the lock that keeps commits apart; and the state just before it.
    pub(super) fn commit_with(
        &self,
        draft: &Draft,
        terms: &Terms<'_>,
        requests: &mut Requests,
    ) -> Result<(Snapshot, Outcome), Start> {
        let id = terms.id;
        let now = self.observe(&draft.silent()).map_err(Start::Unreached)?;
        let mut commit = Commit::new(draft, now.clone()).map_err(Start::Refused)?;
        let _running = Running::new(self, id);
        let ask = |found: Snapshot| {
            // What changes while they are asked is not done by this transaction.
            self.put_down_to(None);
            let asked = self.ask_hooks(terms, &now, found);
            self.put_down_to(asked.is_err().then_some(id));
            asked
        };
        let outcome = self.drive(&mut commit, requests, ask, terms.watcher);
        Ok((now.clone(), outcome.map_err(Start::CutOff)?))
    }

    fn ask_hooks(
        &self,
        terms: &Terms<'_>,
        before: &Snapshot,
        now: Snapshot,
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
        hooks.ask(self.shared.id, now, delta)
    }

    fn drive(
        &self,
        commit: &mut Commit,
        requests: &mut Requests,
        ask: impl Fn(Snapshot) -> Result<(), Failure>,
        mut watcher: Option<&Watcher>,
    ) -> Result<Outcome, Error> {
        let mut fence = None;
        loop {
            match commit.poll() {
                Poll::Send(wave) => {
                    let many = wave.len() >= MANY;
                    commit.handle_answers(&requests.exchange(wave)?);
                    if many {
                        self.keep_pace(&mut fence)?;
                    }
                    let progress = commit.progress();
                    // One that panics hears no more; the commit goes on.
                    let tell = |watcher: &&Watcher| {
                        catch_unwind(AssertUnwindSafe(|| watcher(progress))).is_ok()
                    };
                    watcher = watcher.filter(tell);
                }
                Poll::Observe { refresh, resync } => {
                    if resync {
                        self.resync()?;
                    }
                    let snapshot = self.observe(&refresh)?;
                    commit.handle_snapshot(snapshot, &self.created(requests.port()));
                }
                Poll::Verified(found) => match ask(found) {
                    Ok(()) => commit.accept(),
                    Err(failure) => commit.fail(failure),
                },
                Poll::Finished(outcome) => return self.finish(commit, outcome),
            }
        }
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
    fn finish(&self, commit: &Commit, mut outcome: Outcome) -> Result<Outcome, Error> {
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
