//! Commits in several namespaces that hold together or not at all.
//!
//! Each member is a [`Commit`] of its own, in its own namespace. Forward they take turns by the order of what they do, as if
//! it were one namespace: what one makes or sends to another is there before that edits it. Everything is verified before
//! any of them holds. Backward each undoes its own, the last one first, and again for as long as another has undone something
//! since: what one sends back the other may have to mend.

use super::commit::Together;
use super::{Action, Commit, Draft, Failure, Outcome, Poll, Progress, Refusal};
use crate::state::Snapshot;

/// What the group wants done next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Joint {
    /// A member wants this done: to send, or to look.
    Member(usize, Poll),
    /// Everything is as wanted in every namespace: run the hooks, then [`Group::accept`] or [`Group::fail`].
    Verified(Vec<Snapshot>),
    /// It has ended: how each has, and who failed first.
    Finished(Vec<Outcome>, Option<usize>),
}

/// Running commits that hold together. See the module's head.
#[derive(Debug)]
pub struct Group {
    members: Vec<Commit>,
    /// Who failed first.
    culprit: Option<usize>,
    /// Whose turn it is to undo.
    at: usize,
    /// Whether it has sent anything in this turn.
    busy: bool,
    /// How many in a row had nothing left to undo.
    quiet: usize,
}

impl Group {
    /// Plans the commits of these drafts, each on the state of its namespace.
    ///
    /// # Errors
    /// When one is refused, which is said; nothing is to be sent then.
    pub fn new<'a>(
        drafts: impl IntoIterator<Item = (&'a Draft, Snapshot)>,
    ) -> Result<Self, (usize, Refusal)> {
        let member = |(at, (draft, now)): (usize, (&Draft, Snapshot))| {
            Commit::new(draft, now).map_err(|refusal| (at, refusal))
        };
        let members = drafts.into_iter().enumerate().map(member);
        let members = members.collect::<Result<Vec<_>, _>>()?;
        Ok(Group { at: 0, members, culprit: None, busy: false, quiet: 0 })
    }

    /// One of them, to be told what came of what it wanted done.
    pub fn member(&mut self, at: usize) -> &mut Commit {
        &mut self.members[at]
    }

    /// How far they are together.
    pub fn progress(&self) -> Progress {
        let none = Progress { done: 0, total: 0, undoing: false };
        self.members.iter().map(Commit::progress).fold(none, |sum, one| Progress {
            done: sum.done + one.done,
            total: sum.total + one.total,
            undoing: sum.undoing || one.undoing,
        })
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Joint {
        self.turn_back();
        if self.culprit.is_some() { self.back() } else { self.forward() }
    }

    fn forward(&mut self) -> Joint {
        let turns = self.members.iter().map(Commit::turn).enumerate();
        match turns.min_by_key(|(_, turn)| *turn) {
            Some((at, turn)) if turn != Together::Verified => {
                Joint::Member(at, self.members[at].poll())
            }
            _ => self.verified(),
        }
    }

    fn verified(&mut self) -> Joint {
        let mut found = Vec::new();
        let mut ended = Vec::new();
        for member in &mut self.members {
            match member.poll() {
                Poll::Verified(snapshot) => found.push(snapshot),
                Poll::Finished(outcome) => ended.push(outcome),
                Poll::Send(_) | Poll::Observe { .. } => {}
            }
        }
        match ended.len() == self.members.len() {
            true => Joint::Finished(ended, None),
            false => Joint::Verified(found),
        }
    }

    /// When one has failed, all turn back, the last one first: what is made or sent elsewhere is named after what it comes
    /// from.
    fn turn_back(&mut self) {
        let failed = |(at, member): (usize, &Commit)| Some((at, member.cause()?.clone()));
        if self.culprit.is_some() {
            return;
        }
        let Some((at, cause)) = self.members.iter().enumerate().find_map(failed) else { return };
        self.culprit = Some(at);
        let drain = self.members.iter_mut().map(Commit::take_arrivals);
        let awaited: Vec<_> = drain.collect();
        for (at, arrivals) in awaited.into_iter().enumerate() {
            let sent = arrivals.into_iter().filter(|arrival| self.is_sent(arrival));
            let sent = sent.collect();
            self.members[at].expect(sent);
        }
        self.members.iter_mut().for_each(|member| member.turn_back(&cause));
        self.at = self.members.len() - 1;
    }

    /// Whether what was to arrive has been sent, or made, where it comes from.
    fn is_sent(&self, arrival: &Action) -> bool {
        let Action::Arrive { origin, name, .. } = arrival else { return false };
        self.members.iter().any(|member| member.has_sent(origin.to(), name))
    }

    fn back(&mut self) -> Joint {
        loop {
            let poll = self.members[self.at].poll();
            let Poll::Finished(_) = poll else {
                self.busy |= matches!(&poll, Poll::Send(requests) if !requests.is_empty());
                return Joint::Member(self.at, poll);
            };
            self.quiet = if std::mem::take(&mut self.busy) { 0 } else { self.quiet + 1 };
            if self.quiet >= self.members.len() {
                return Joint::Finished(self.outcomes(), self.culprit);
            }
            self.at = self.at.checked_sub(1).unwrap_or(self.members.len() - 1);
            self.members[self.at].look_again();
        }
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        let ended = |member: &mut Commit| match member.poll() {
            Poll::Finished(outcome) => Some(outcome),
            _ => None,
        };
        self.members.iter_mut().filter_map(ended).collect()
    }

    /// The hooks are content.
    pub fn accept(&mut self) {
        self.members.iter_mut().for_each(Commit::accept);
    }

    /// A hook of one is not content: everything is undone.
    pub fn fail(&mut self, at: usize, cause: Failure) {
        self.members[at].fail(cause);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Origin, Why};
    use super::*;
    use crate::object::kinds::{NewLink, Place, Veth};
    use crate::object::link::row;
    use crate::object::{LINK, LinkFlags, Record, Value};
    use crate::state::{Event, LinkEvent};
    use crate::wire::Ack;

    /// A pair with its ends in two namespaces, each to be up.
    fn pair() -> Group {
        let place = Place { fd: 9, title: "blue".into() };
        let mut new = NewLink::from(Veth::new("v0", "v1"));
        new.peer_place = Some(place.clone());
        let mut drafts = [0, 1 << 24].map(|first| Draft::new(Snapshot::default(), first));
        let v0 = drafts[0].create(new).unwrap();
        let peer = Box::new(NewLink::with_kind("v1", "veth"));
        let origin = Origin::Made { to: place, new: peer, called: "v1".into(), height: 0 };
        let v1 = drafts[1].arrive(origin, "v1").unwrap();
        drafts[0].set_flags(v0, LinkFlags::UP, true);
        drafts[1].set_flags(v1, LinkFlags::UP, true);
        Group::new(drafts.iter().map(|draft| (draft, Snapshot::default()))).unwrap()
    }

    fn answered(group: &mut Group, errno: i32) {
        let ack = Some(Ack { errno, ..Ack::default() });
        let answer = Answer { seq: 1, ack, created: (errno == 0).then_some((7, None)) };
        group.member(0).handle_answers(&[answer]);
    }

    /// Every look until the end; the kernel shows nothing but an empty namespace.
    fn looks(group: &mut Group) -> (Vec<usize>, Option<usize>) {
        let mut looks = Vec::new();
        loop {
            match group.poll() {
                Joint::Member(at, Poll::Observe { .. }) => {
                    looks.push(at);
                    group.member(at).handle_snapshot(Snapshot::default(), &Default::default());
                }
                Joint::Finished(outcomes, culprit) => {
                    let is_back = |one: &Outcome| matches!(one, Outcome::RolledBack { .. });
                    assert!(outcomes.len() == 2 && outcomes.iter().all(is_back), "{outcomes:?}");
                    return (looks, culprit);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_made_there_is_looked_for_there_before_anything_is_edited() {
        let mut group = pair();
        assert!(matches!(group.poll(), Joint::Member(0, Poll::Send(all)) if all.len() == 1));
        answered(&mut group, 0);
        // It is not there: the second looks for it and fails, then both look for what is to be undone.
        assert_eq!(looks(&mut group), (vec![1, 1, 0], Some(1)));
    }

    #[test]
    fn what_was_refused_is_looked_for_by_all_the_last_one_first() {
        let mut group = pair();
        assert!(matches!(group.poll(), Joint::Member(0, Poll::Send(_))));
        answered(&mut group, libc::EPERM);
        assert_eq!(looks(&mut group), (vec![1, 0], Some(0)));
    }

    fn with_v1(index: u32) -> Snapshot {
        let mut record = Record::new(&LINK);
        record.set(row::INDEX, Value::Number(index.into()));
        record.set(row::NAME, "v1".into());
        record.set(row::KIND, "veth".into());
        Snapshot::default().saying(Event::Link(index, LinkEvent::Is(Box::new(record))))
    }

    /// Before Linux 5.13 it may come back with another index, and was said to be gone. Here its own namespace sees it.
    #[test]
    fn what_comes_back_with_another_index_has_come_back() {
        let before = with_v1(3);
        let mut draft = Draft::new(before.clone(), 0);
        let v1 = draft.resolve(&"v1".into()).unwrap();
        draft.move_away(v1, Place { fd: 9, title: "blue".into() }, None).unwrap();
        let mut group = Group::new([(&draft, before)]).unwrap();
        let mut now = with_v1(3);
        loop {
            match group.poll() {
                Joint::Member(0, Poll::Send(all)) if all.len() == 1 => {
                    answered(&mut group, 0);
                    now = Snapshot::default();
                }
                Joint::Member(0, Poll::Observe { .. }) => {
                    group.member(0).handle_snapshot(now.clone(), &Default::default());
                }
                Joint::Verified(_) => {
                    now = with_v1(5);
                    let why = Why::Unanswered;
                    group.fail(0, Failure { step: "a hook".into(), why });
                }
                Joint::Finished(outcomes, _) => {
                    assert!(matches!(&outcomes[..], [Outcome::RolledBack { .. }]), "{outcomes:?}");
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
