//! Carrying out commits in several namespaces that hold together.
//!
//! The locks that keep commits apart are taken in the order of the databases' ids, which every group agrees on: two groups
//! that share databases wait for each other, and never both.

use std::collections::BTreeMap;

use super::Error;
use super::commit::{Running, Start, Terms, tell_end, tell_progress};
use super::requests::Requests;
use super::shared::Engine;
use super::trace::Span;
use crate::plan::{Draft, Failure, Group, Joint, Outcome, Poll, Refusal};
use crate::state::Snapshot;
use crate::sys::sync::MutexGuard;

/// One of the commits that hold together.
pub struct Member<'a> {
    /// Its database.
    pub engine: &'a Engine,
    /// What it is to change.
    pub draft: &'a Draft,
    /// What its transaction says besides.
    pub terms: Terms<'a>,
    /// Its namespace, where a refusal is to say that.
    pub title: Option<&'a str>,
}

/// While a group is carried out: a place for each member in the order in which they are named.
struct Together<'a> {
    members: &'a [Member<'a>],
    requests: Vec<MutexGuard<'a, Requests>>,
    before: Vec<Snapshot>,
}

/// Commits all of these, or none. Gives how each ended, and whose step failed first; they are committed when none did.
///
/// # Errors
/// See [`Start`].
pub fn commit_together(members: &[Member<'_>]) -> Result<(Vec<Outcome>, Option<usize>), Start> {
    if let Some(error) = members.iter().find_map(|member| member.engine.bars_commit()) {
        return Err(Start::Unreached(error));
    }
    members.iter().try_for_each(refuse_journal).map_err(Start::Refused)?;
    let requests = lock(members);
    let _spans: Vec<_> = members.iter().map(|member| Span::commit(member.terms.id)).collect();
    let before = members.iter().map(|member| member.engine.state_for(member.draft));
    let before = before.collect::<Result<Vec<_>, _>>().map_err(Start::Unreached)?;
    let drafts = members.iter().map(|member| member.draft).zip(before.iter().cloned());
    let refused = |(at, refusal): (usize, Refusal)| match members[at].title {
        Some(title) => Start::Refused(refusal.in_namespace(title)),
        None => Start::Refused(refusal),
    };
    let mut group = Group::new(drafts).map_err(refused)?;
    let mut running = Together { members, requests, before };
    running.drive(&mut group).map_err(Start::CutOff)
}

/// What is written down names descriptors of this process, and half of what an undo takes.
fn refuse_journal(member: &Member<'_>) -> Result<(), Refusal> {
    match member.engine.journal {
        None => Ok(()),
        Some(_) => Err(Refusal::NotJournalled),
    }
}

/// Each member's lock, taken in the order that all groups agree on.
fn lock<'a>(members: &'a [Member<'_>]) -> Vec<MutexGuard<'a, Requests>> {
    let mut order: Vec<_> = (0..members.len()).collect();
    order.sort_by_key(|at| members[*at].engine.shared.id);
    let locked: BTreeMap<_, _> =
        order.into_iter().map(|at| (at, members[at].engine.requests.lock())).collect();
    locked.into_values().collect()
}

impl Together<'_> {
    fn drive(&mut self, group: &mut Group) -> Result<(Vec<Outcome>, Option<usize>), Error> {
        let marks = self.members.iter().map(|one| Running::new(one.engine, one.terms.id));
        let _marks: Vec<_> = marks.collect();
        let mut watchers: Vec<_> = self.members.iter().map(|one| one.terms.watcher).collect();
        let mut fences = vec![None; self.members.len()];
        loop {
            match group.poll() {
                Joint::Member(at, Poll::Send(wave)) => {
                    let (engine, requests) = (self.members[at].engine, &mut self.requests[at]);
                    engine.send(group.member(at), requests, wave, &mut fences[at])?;
                    let progress = group.progress();
                    watchers.iter_mut().for_each(|watcher| tell_progress(watcher, progress));
                }
                Joint::Member(at, Poll::Observe { refresh, resync }) => {
                    let engine = self.members[at].engine;
                    engine.show(group.member(at), &self.requests[at], &refresh, resync)?;
                }
                // Those are shown by the other two.
                Joint::Member(_, Poll::Verified(_) | Poll::Finished(_)) => {}
                Joint::Verified(found) => match self.ask_hooks(found) {
                    Ok(()) => group.accept(),
                    Err((at, failure)) => group.fail(at, failure),
                },
                Joint::Finished(outcomes, culprit) => {
                    return Ok((self.finish(group, outcomes)?, culprit));
                }
            }
        }
    }

    /// The hooks of every member, in the order of the members; the first that is not content is the last.
    fn ask_hooks(&self, found: Vec<Snapshot>) -> Result<(), (usize, Failure)> {
        let awaiting: Vec<_> = self.members.iter().map(|one| one.engine.shared.id).collect();
        // What changes while they are asked is not done by these transactions.
        self.members.iter().for_each(|one| one.engine.put_down_to(None));
        for (at, (one, now)) in self.members.iter().zip(found).enumerate() {
            if let Err(failure) = one.engine.ask_hooks(&one.terms, &self.before[at], now, &awaiting)
            {
                self.members.iter().for_each(|one| one.engine.put_down_to(Some(one.terms.id)));
                return Err((at, failure));
            }
        }
        Ok(())
    }

    fn finish(&self, group: &mut Group, outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, Error> {
        let ended = self.members.iter().zip(outcomes).enumerate().map(|(at, (one, outcome))| {
            tell_end(&outcome);
            let outcome = one.engine.finish(group.member(at), outcome)?;
            if let Outcome::Committed { snapshot, created } = &outcome {
                one.engine.move_frozen(one.draft, &self.before[at], snapshot, created);
            }
            Ok(outcome)
        });
        ended.collect()
    }
}
