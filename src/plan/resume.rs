//! What of a commit must outlive its process, so that another one can undo it; and the undoing.
//!
//! First, before anything is sent: the part of the state that an undo can need ([`Commit::testament`]). Then, before
//! each wave: what is about to be sent, and after it what the kernel has refused and which indexes new interfaces have
//! ([`Commit::note`]). A commit that is [resumed](Commit::resume) from these takes everything that was noted and not
//! refused for sent and unanswered, looks, and undoes what is so and was not so before, as any rollback does.
//!
//! Undoing a list takes some of it away that comes back behind something else; putting addresses in order does so too.
//! Were the process to end in between, nobody could tell that from another program's deletion: so this too is noted before
//! it is sent, also by one that was resumed. So is what it deletes to make it anew.

use std::collections::BTreeSet;

use super::action::{Action, Indexes, Origin};
use super::commit::{Commit, Stage};
use super::keyed::scope;
use super::order::Wave;
use super::undo::{Entry, Outcome as Sent, Withdrawn, causes_of, reached, taken};
use super::{AddressSpec, Failure, Target, VlanEdit, Why, ports, rings, rules};
use crate::object::link::row;
use crate::object::{BridgeVlan, Link};
use crate::state::{Bodies, Part, Snapshot};
use crate::wire::{Pack, Unpackable, pack_enum};

/// How far what outlives the process has been told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    actions: usize,
    steps: usize,
    indexes: usize,
    last_seen: bool,
    withdrawn: Vec<Withdrawn>,
    remaking: usize,
}

impl Noted {
    /// The actions are others than those that it was told of.
    pub(super) fn forget_actions(&mut self) {
        (self.actions, self.last_seen) = (0, false);
    }
}

/// What a resumed commit knows besides.
#[derive(Debug)]
pub(super) struct Resumed {
    /// The indexes of all interfaces that were there before.
    indexes: BTreeSet<u32>,
    /// Whether the state now has been compared with them.
    matched: bool,
}

impl Commit {
    /// Whether it sends anything.
    pub fn sends(&self) -> bool {
        !self.waves.is_empty()
    }

    /// Whether it is another process's, to be undone.
    pub fn is_resumed(&self) -> bool {
        self.resumed.is_some()
    }

    /// What must be kept before the first request is sent.
    pub fn testament(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.names.pack(&mut bytes);
        self.before.links().map(Link::index).collect::<Vec<_>>().pack(&mut bytes);
        self.before.pack_part(&self.part(), &mut bytes);
        bytes
    }

    /// What has come to be known since the last note, and must be kept before anything more is sent; `None` for
    /// nothing.
    pub fn note(&mut self) -> Option<Vec<u8>> {
        if self.unwritten {
            return None;
        }
        let refused = !self.refused.is_empty() || self.keyed.has_refusals();
        if self.noted == self.known() && !refused && !self.keyed.is_withdrawing() {
            return None;
        }
        let mut bytes = Vec::new();
        let last_seen = self.last_seen.as_ref().filter(|_| !self.noted.last_seen);
        last_seen.is_some().pack(&mut bytes);
        if let Some(last_seen) = last_seen {
            let links = links_in_reach(self.actions(), last_seen);
            last_seen.pack_part(&Part { links, ..Part::default() }, &mut bytes);
        }
        // What was not sent, because something before it was refused, has been taken back.
        let kept = self.noted.actions.min(self.journal.len());
        (kept as u32).pack(&mut bytes);
        let new = self.journal[kept..].iter().map(|entry| entry.action.clone());
        // What is deleted on the way back, to be made anew, is gone between: whoever finds it so has to know by whom.
        new.chain(self.remaking().cloned()).collect::<Vec<_>>().pack(&mut bytes);
        let doubtful = |at: &usize| matches!(self.journal[*at].sent, Sent::Doubtful(_));
        let is_refused = |sent: &Sent| matches!(sent, Sent::Refused | Sent::Doubtful(_));
        let again = (0..kept).filter(|at| self.refused.contains(at));
        let new = (kept..self.journal.len()).filter(|at| is_refused(&self.journal[*at].sent));
        let refused: Vec<_> = again.chain(new).collect();
        self.refused.clear();
        refused
            .into_iter()
            .map(|at| (at as u32, doubtful(&at)))
            .collect::<Vec<_>>()
            .pack(&mut bytes);
        self.indexes.known.pack(&mut bytes);
        self.keyed.note(self.noted.steps, &mut bytes);
        self.withdrawn.pack(&mut bytes);
        self.noted = self.known();
        Some(bytes)
    }

    /// What a note tells of.
    fn known(&self) -> Noted {
        Noted {
            actions: self.journal.len(),
            steps: self.keyed.sent_count(),
            indexes: self.indexes.known.len(),
            last_seen: self.last_seen.is_some(),
            withdrawn: self.withdrawn.clone(),
            remaking: self.remaking().count(),
        }
    }

    /// What is about to be deleted although it was there before.
    fn remaking(&self) -> impl Iterator<Item = &Action> {
        let sent = if matches!(self.stage, Stage::Undoing) { self.undoing.as_slice() } else { &[] };
        sent.iter().filter(|action| self.is_remade(action).is_some())
    }

    /// The commit that was carried out by a process that has ended, to be undone: from what it has kept. `cause` is why.
    ///
    /// # Errors
    /// When these are not what a commit has kept.
    pub fn resume(testament: &[u8], notes: &[&[u8]], cause: Failure) -> Result<Self, Unpackable> {
        let mut from = testament;
        let names = Pack::unpack(&mut from)?;
        let indexes: Vec<u32> = Pack::unpack(&mut from)?;
        let mut commit = Commit::of(Snapshot::default());
        commit.before = Snapshot::unpack_part(&mut from, commit.keyed.bodies())?;
        if !from.is_empty() {
            return Err(Unpackable("end"));
        }
        commit.names = names;
        for note in notes {
            commit.take_note(note)?;
        }
        commit.noted = commit.known();
        commit.resumed = Some(Resumed { indexes: indexes.into_iter().collect(), matched: false });
        commit.cause = Some(cause);
        commit.stage = Stage::Look;
        Ok(commit)
    }

    fn take_note(&mut self, mut from: &[u8]) -> Result<(), Unpackable> {
        let from = &mut from;
        if bool::unpack(from)? {
            self.last_seen = Some(Snapshot::unpack_part(from, &mut Bodies::default())?);
        }
        self.journal.truncate(u32::unpack(from)? as usize);
        let entry = |action| Entry { action, request: Vec::new(), seq: 0, sent: Sent::Lost };
        self.journal.extend(Vec::unpack(from)?.into_iter().map(entry));
        for (at, doubtful) in Vec::<(u32, bool)>::unpack(from)? {
            // One that was taken back with those behind it has been sent again since.
            let Some(entry) = self.journal.get_mut(at as usize) else { continue };
            let failure = Failure { step: String::new(), why: Why::Unanswered };
            entry.sent = if doubtful { Sent::Doubtful(failure) } else { Sent::Refused };
        }
        self.indexes = Indexes { known: Pack::unpack(from)?, ..Indexes::default() };
        self.keyed.take_note(from)?;
        self.withdrawn = Pack::unpack(from)?;
        if from.is_empty() { Ok(()) } else { Err(Unpackable("end")) }
    }

    /// Everything that it has done or is to do to interfaces.
    fn actions(&self) -> impl Iterator<Item = &Action> {
        let planned = self.waves.iter().flat_map(|(_, wave)| match wave {
            Wave::Actions(all) => all.as_slice(),
            Wave::Steps(_) => &[],
        });
        self.journal.iter().map(|entry| &entry.action).chain(planned)
    }

    /// What an undo can need of the state before.
    fn part(&self) -> Part {
        let remade = may_be_remade(self.actions(), &self.before, &self.indexes);
        let actions = || self.actions().chain(&remade);
        let mut links = links_in_reach(actions(), &self.before);
        let causes = causes_of(actions(), &self.before, &self.indexes);
        links.extend(&causes.carriers);
        let steps = self.waves.iter().flat_map(|(_, wave)| match wave {
            Wave::Steps(all) => Some(all.iter()),
            Wave::Actions(_) => None,
        });
        scope(&self.before, causes, steps.flatten(), Part { links, ..Part::default() })
    }

    /// Interfaces have other generations in this process than in the one that has ended; and the indexes of those that
    /// it created last may not be known.
    pub(super) fn match_with(&mut self, now: &Snapshot) {
        let Some(resumed) = self.resumed.as_mut().filter(|resumed| !resumed.matched) else {
            return;
        };
        resumed.matched = true;
        let entries = &self.journal;
        let generation = |old: &Link| match now.link_by_index(old.index()) {
            Some(new) if is_it(old, new, entries) => new.generation(),
            _ => u64::MAX,
        };
        self.before = std::mem::take(&mut self.before).with_generations(generation);
        self.last_seen = self.last_seen.take().map(|seen| seen.with_generations(generation));
        self.find_created(now);
    }

    /// An interface that was to be created when the process ended, under a name that was free then, and that is there
    /// with everything that was asked for.
    fn find_created(&mut self, now: &Snapshot) {
        let Some(resumed) = &self.resumed else { return };
        for entry in &self.journal {
            let Action::Create { target: Target::New(number), new, peer, .. } = &entry.action
            else {
                continue;
            };
            if self.indexes.known.contains_key(number) || !matches!(entry.sent, Sent::Lost) {
                continue;
            }
            let by_name = |name: Option<&str>| {
                let link = now.link_by_name(name?)?;
                let is_new = !resumed.indexes.contains(&link.index());
                (is_new && link.kind() == Some(new.kind())).then_some(link.index())
            };
            let mut found = Indexes::default();
            found.known.extend(by_name(Some(new.name())).map(|index| (*number, index)));
            if let Some(Target::New(peer)) = peer {
                found.known.extend(by_name(new.peer_name()).map(|index| (*peer, index)));
            }
            if !found.known.is_empty()
                && entry.action.facts(&found).iter().all(|fact| fact.holds(now))
            {
                self.indexes.known.extend(found.known);
            }
        }
    }
}

/// The interfaces of which an undo of these actions may ask how they were.
fn links_in_reach<'a>(
    actions: impl Iterator<Item = &'a Action>,
    before: &Snapshot,
) -> BTreeSet<u32> {
    let mut links = BTreeSet::new();
    let (mut deleted, mut touched) = (BTreeSet::new(), BTreeSet::new());
    for action in actions {
        let named = match action {
            Action::Create { lower, peer, .. } => [*lower, *peer],
            Action::CreateIn { lower, .. } => [*lower, None],
            Action::Master { master, .. } => [*master, None],
            _ => [None, None],
        };
        let live = |target| match target {
            Target::Live { index, .. } => Some(index),
            Target::New(_) => None,
        };
        links.extend(named.into_iter().flatten().chain([action.target()]).filter_map(live));
        match (action, live(action.target())) {
            (Action::Delete { .. }, Some(index)) => drop(deleted.insert(index)),
            (
                Action::Set { id: row::MTU | row::ADDRESS, .. }
                | Action::Flags { .. }
                | Action::Master { .. },
                Some(index),
            ) => touched.extend(before.ports_of(index).map(Link::index).chain([index])),
            _ => {}
        }
    }
    links.extend(reached(touched, before, before));
    links.extend(rules::all_touched_with(deleted, before));
    let near = |index: &u32| {
        let link = before.link_by_index(*index);
        let ports = before.ports_of(*index).map(Link::index).collect::<Vec<_>>();
        let master = link.and_then(Link::master);
        let backed = master.into_iter().flat_map(|master| before.ports_of(master));
        let backed = backed.filter(|other| rules::is_backup(*index, other)).map(Link::index);
        let lower = link.and_then(|link| rules::lower_of(link).or(link.link()));
        let lower = lower.into_iter().chain(link.into_iter().flat_map(rings::ports_of));
        ports.into_iter().chain(master).chain(lower).chain(backed).collect::<Vec<_>>()
    };
    let near: Vec<_> = links.iter().flat_map(near).collect();
    links.extend(near);
    links
}

/// What an undo of these may delete to make it anew (`remakes`).
fn may_be_remade<'a>(
    actions: impl Iterator<Item = &'a Action>,
    before: &Snapshot,
    indexes: &Indexes,
) -> Vec<Action> {
    let actions: Vec<_> = actions.collect();
    let masters = actions.iter().filter_map(|action| match action {
        Action::Master { master: Some(master), .. } => {
            before.link_by_index(indexes.of(*master)?).filter(|link| ports::may_lose_its_type(link))
        }
        _ => None,
    });
    let taken = rules::all_gone_with(taken(actions.iter().copied(), indexes), before);
    let rings = rings::over(&taken, before).into_iter();
    let rings = rings.filter_map(|index| before.link_by_index(index));
    masters.chain(rings).map(|link| Action::Delete { target: Target::of(link) }).collect()
}

/// Whether an interface still is the one that it was, as far as can be told: what the commit itself may have changed
/// does not make it another.
fn is_it(old: &Link, new: &Link, entries: &[Entry]) -> bool {
    let made = |id: u16| {
        entries.iter().any(|entry| match &entry.action {
            Action::Set { target: Target::Live { index, .. }, id: own, value } => {
                *index == old.index() && *own == id && new.record().value(id) == Some(value)
            }
            _ => false,
        })
    };
    let same = |id: u16| {
        old.record().value(id) == new.record().value(id) && new.record().value(id).is_some()
    };
    old.kind() == new.kind() && [row::NAME, row::ADDRESS].into_iter().any(|id| same(id) || made(id))
}

pack_enum!(Target, "target" {
    0 Live { index, generation },
    1 New(number),
});

pack_enum!(Action, "action" {
    0 Create { target, new, lower, peer },
    1 Delete { target },
    2 Set { target, id, value },
    3 Flags { target, flags, mask },
    4 Data { target, options },
    5 Port { target, options },
    6 Master { target, master },
    7 Altname { target, name, add },
    8 AddAddress { target, spec },
    9 DelAddress { target, spec, secondary },
    10 Move { target, to, name },
    11 Arrive { target, origin, name },
    12 Return { target, to, index, name },
    13 Vlans { target, own, edit, vlans },
    14 CreateIn { target, new, lower, to },
});

pack_enum!(Origin, "origin" {
    0 Made { to, new, called, height },
    1 Moved { to, from, index, name, kind },
});

impl Pack for VlanEdit {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(*self as u8);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let all = [VlanEdit::Add, VlanEdit::Delete, VlanEdit::AddTunnels, VlanEdit::DeleteTunnels];
        all.get(usize::from(u8::unpack(from)?)).copied().ok_or(Unpackable("what is done to VLANs"))
    }
}

impl Pack for BridgeVlan {
    fn pack(&self, to: &mut Vec<u8>) {
        self.record().pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        Ok(BridgeVlan::of(&Pack::unpack(from)?))
    }
}

impl Pack for AddressSpec {
    fn pack(&self, to: &mut Vec<u8>) {
        self.named().pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        AddressSpec::from_named(Pack::unpack(from)?).ok_or(Unpackable("address"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Draft, Outcome, Poll};
    use super::*;
    use crate::object::kinds::{BRIDGE, NewLink, Place};
    use crate::object::{BRIDGE_PORT, Bridge, LinkFlags, Record, Value};

    fn place() -> Place {
        Place { fd: 9, title: "blue".into() }
    }

    fn moved() -> Origin {
        let (name, kind) = ("eth0".into(), Some("veth".into()));
        Origin::Moved { to: place(), from: place(), index: 7, name, kind }
    }

    fn actions() -> Vec<Action> {
        let (live, new) = (Target::Live { index: 7, generation: 1 << 40 }, Target::New(3 << 24));
        let spec: AddressSpec = "10.0.0.1/24".parse().unwrap();
        let mut options = Record::new(&BRIDGE);
        options.set(0, Value::Number(u64::MAX));
        let created = NewLink::from(Bridge::new("br0").forward_delay(400u32));
        vec![
            Action::Create {
                target: new,
                new: Box::new(created.clone()),
                lower: Some(live),
                peer: None,
            },
            Action::Delete { target: live },
            Action::Set { target: live, id: row::NAME, value: "eth0".into() },
            Action::Flags { target: live, flags: LinkFlags::UP, mask: LinkFlags(u32::MAX) },
            Action::Data { target: live, options },
            Action::Port { target: new, options: Record::new(&BRIDGE_PORT) },
            Action::Master { target: live, master: Some(new) },
            Action::Altname { target: live, name: "other".into(), add: true },
            Action::AddAddress { target: new, spec: spec.clone().label("eth0:1") },
            Action::DelAddress { target: live, spec, secondary: true },
            Action::Move { target: live, to: place(), name: "eth0".into() },
            Action::Arrive { target: new, origin: moved(), name: "eth1".into() },
            Action::Return { target: new, to: place(), index: 7, name: "eth0".into() },
            Action::Vlans {
                target: new,
                own: true,
                edit: VlanEdit::AddTunnels,
                vlans: BridgeVlan::range(10..=11).untagged().tunnel(7).each(0).collect(),
            },
            Action::CreateIn {
                target: new,
                new: Box::new(created),
                lower: Some(live),
                to: place(),
            },
        ]
    }

    #[test]
    fn what_is_made_elsewhere_is_read_as_it_was_written() {
        let new = Box::new(NewLink::from(Bridge::new("br0")));
        let made = Origin::Made { to: place(), new, called: "nl7".into(), height: 3 };
        let read = Origin::whole(&made.packed()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
    }

    #[test]
    fn every_action_is_read_as_it_was_written() {
        for (number, action) in actions().iter().enumerate() {
            let bytes = action.packed();
            assert_eq!(usize::from(bytes[0]), number);
            let read = Action::whole(&bytes).unwrap();
            assert_eq!(format!("{read:?}"), format!("{action:?}"));
            assert!((0..bytes.len()).all(|length| Action::whole(&bytes[..length]).is_err()));
        }
        assert!(Action::whole(&[actions().len() as u8]).is_err(), "one that is not tried here");
    }

    fn cut_off() -> Failure {
        Failure { step: "it".to_owned(), why: Why::CutOff }
    }

    /// A commit that has sent its first wave, as it outlives its process.
    fn kept() -> (Vec<u8>, Vec<u8>) {
        let mut draft = Draft::new(Snapshot::default(), 0);
        draft.create(Bridge::new("br0").into()).unwrap();
        let mut commit = Commit::new(&draft, Snapshot::default()).unwrap();
        assert!(commit.sends() && commit.note().is_none());
        let testament = commit.testament();
        assert!(matches!(commit.poll(), Poll::Send(wave) if wave.len() == 1));
        let note = commit.note().unwrap();
        assert!(commit.note().is_none(), "told once");
        (testament, note)
    }

    #[test]
    fn a_commit_is_resumed_with_a_look() {
        let (testament, note) = kept();
        let mut commit = Commit::resume(&testament, &[&note], cut_off()).unwrap();
        assert!(commit.is_resumed());
        assert!(matches!(commit.poll(), Poll::Observe { resync: false, .. }));
    }

    /// The disk is full: what was about to be sent is not, and what undoes is sent without a note.
    #[test]
    fn a_commit_without_its_note_turns_back() {
        let mut draft = Draft::new(Snapshot::default(), 0);
        draft.create(Bridge::new("br0").into()).unwrap();
        let mut commit = Commit::new(&draft, Snapshot::default()).unwrap();
        assert!(matches!(commit.poll(), Poll::Send(_)));
        let why = Why::Unwritten("full".to_owned());
        assert!(commit.stop(Failure { step: "it".to_owned(), why: why.clone() }));
        assert!(commit.note().is_none());
        assert!(matches!(commit.poll(), Poll::Observe { .. }));
        commit.handle_snapshot(Snapshot::default(), &Default::default());
        match commit.poll() {
            Poll::Finished(Outcome::RolledBack { cause, .. }) => assert_eq!(cause.why, why),
            other => panic!("{other:?}"),
        }
    }

    /// A process that was killed between left it to nobody.
    #[test]
    fn what_is_deleted_to_be_made_anew_is_noted_before() {
        let mut record = Record::new(&crate::object::LINK);
        record.set(row::INDEX, Value::Number(7));
        record.set(row::NAME, "b0".into());
        record.set(row::KIND, "bond".into());
        let before = Snapshot::default().with_links(vec![Link::new(record, 1)]);
        let mut draft = Draft::new(before.clone(), 0);
        draft
            .set(Target::of(before.link_by_index(7).unwrap()), row::MTU, Value::Number(1400))
            .unwrap();
        let mut commit = Commit::new(&draft, before.clone()).unwrap();
        let testament = commit.testament();
        assert!(matches!(commit.poll(), Poll::Send(_)));
        let mut notes = vec![commit.note().unwrap()];
        let delete = Action::Delete { target: Target::of(before.link_by_index(7).unwrap()) };
        (commit.stage, commit.seen, commit.undoing) =
            (Stage::Undoing, before, vec![delete.clone()]);
        notes.push(commit.note().expect("a note"));
        assert!(commit.note().is_none(), "told once");
        let actions = |notes: &[Vec<u8>]| {
            let notes: Vec<_> = notes.iter().map(Vec::as_slice).collect();
            let resumed = Commit::resume(&testament, &notes, cut_off()).unwrap();
            resumed.actions().map(|action| format!("{action:?}")).collect::<Vec<_>>()
        };
        let known: Vec<_> = commit.actions().map(|action| format!("{action:?}")).collect();
        assert_eq!(actions(&notes), [known.clone(), vec![format!("{delete:?}")]].concat());
        // Refused, it is as before.
        (commit.stage, commit.undoing) = (Stage::UndoSend, Vec::new());
        notes.push(commit.note().expect("a note"));
        assert_eq!(actions(&notes), known);
        // Done, nothing else counts of it.
        (commit.stage, commit.undoing) = (Stage::Undoing, vec![delete.clone()]);
        let answer = Answer { seq: 1, ack: Some(Default::default()), created: None };
        commit.handle_answers(&[answer]);
        notes.push(commit.note().expect("a note"));
        assert_eq!(actions(&notes), [format!("{delete:?}")]);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let (testament, note) = kept();
        for length in 0..testament.len() {
            assert!(Commit::resume(&testament[..length], &[&note], cut_off()).is_err());
        }
        for length in 0..note.len() {
            assert!(Commit::resume(&testament, &[&note[..length]], cut_off()).is_err());
        }
    }
}
