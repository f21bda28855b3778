//! Carrying out a commit: does what the machine wants done, and tells it what came of it.

use std::collections::BTreeMap;

use super::Error;
use super::requests::Requests;
use super::shared::Engine;
use crate::plan::{Commit, Draft, Outcome, Poll, Refusal};

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

impl Engine {
    /// Commits a draft: one of three endings, or nothing sent.
    ///
    /// # Errors
    /// See [`Start`].
    pub fn commit(&self, draft: &Draft) -> Result<Outcome, Start> {
        if self.is_reader() {
            return Err(Start::Unreached(Error::FromReader));
        }
        let mut requests = self.requests.lock();
        let now = self.observe(&draft.silent()).map_err(Start::Unreached)?;
        let mut commit = Commit::new(draft, now).map_err(Start::Refused)?;
        self.drive(&mut commit, &mut requests).map_err(Start::CutOff)
    }

    fn drive(&self, commit: &mut Commit, requests: &mut Requests) -> Result<Outcome, Error> {
        loop {
            match commit.poll() {
                Poll::Send(wave) => commit.handle_answers(&requests.exchange(wave)?),
                Poll::Observe { refresh, resync } => {
                    if resync {
                        self.resync()?;
                    }
                    let snapshot = self.observe(&refresh)?;
                    commit.handle_snapshot(snapshot, &self.created(requests.port()));
                }
                Poll::Verified(_) => commit.accept(),
                Poll::Finished(outcome) => return self.finish(commit, outcome),
            }
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
