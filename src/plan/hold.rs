//! What is held fast: what differs from it, what is undone of that and when, and who is left alone for a while.
//!
//! [`Holds`] knows every freeze of a database; a [`Round`] is what one of them does when a state is shown: it says what
//! to undo next ([`Round::poll`]), is told what came of it ([`Round::handle`]), and says what there is to tell. Pure: the
//! moment, as the time since any beginning, is said by whoever calls, and the commits are theirs.
//!
//! A target is a whole snapshot, but of what its freeze does not speak of it is kept as new as the state itself. So the
//! comparison costs what differs, not what there is.
//!
//! Where several freezes speak of the same object the youngest has it; the others get it back when that one ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::time::Duration;

use super::focus::renumbered;
use super::{Draft, Refusal, Selection};
use crate::object::Link;
use crate::state::{Change, ObjectKey, Snapshot};

/// How often an object is made again what it was before there is a pause.
pub const FREE: u32 = 5;
/// The first pause; each is twice as long as the one before.
pub const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Left alone for so long, and for two pauses, an object counts as undisputed again.
pub const CALM: Duration = Duration::from_secs(10);

/// How often a way back is planned anew because the state has changed while it was planned.
const REPLANS: u32 = 4;
/// Numbers of interfaces that are made again: never shown to anybody.
const FIRST_NEW: u64 = 1 << 63;

/// Every freeze of a database, in the order of their beginning.
#[derive(Debug, Default)]
pub struct Holds {
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    selection: Selection,
    target: Snapshot,
    /// Whether it is enforced yet.
    is_active: bool,
    fights: BTreeMap<ObjectKey, Fight>,
    /// Changes that nothing can be done about, or that the selection leaves alone: in which only the kernel's own
    /// part differs. By their object, of which there may be several (routes of all interfaces to `fe80::/64`), and by
    /// their words: the objects that do not undo them.
    quiet: BTreeMap<ObjectKey, BTreeMap<String, BTreeSet<ObjectKey>>>,
}

/// An object that others change again and again.
#[derive(Clone, Debug, Default)]
struct Fight {
    times: u32,
    last: Option<Duration>,
    until: Option<Duration>,
    pause: Duration,
    failure: String,
}

/// What there is to do of one freeze.
#[derive(Clone, Debug)]
struct Work {
    selection: Selection,
    target: Snapshot,
    /// What differs, and by which objects it is undone.
    open: Vec<(Change, BTreeSet<ObjectKey>)>,
    /// Whether something differs that has a pause.
    is_paused: bool,
}

impl Work {
    /// What differs, to see whether it still does.
    fn words(&self) -> Vec<String> {
        self.open.iter().map(|(change, _)| change.to_string()).collect()
    }
}

/// What there is to tell of a freeze. `T` is why something could not be undone.
#[derive(Clone, Debug)]
pub enum Word<T> {
    /// Changes of others were undone: each as they had made it.
    Reverted(Vec<Change>),
    /// An object is changed again and again.
    Contested {
        /// From how it is held to how the others want it.
        change: Change,
        /// How often it has been made again what it was.
        times: u32,
        /// How long the others have their way until the next time.
        pause: Duration,
    },
    /// Something could not be undone.
    Failed(T),
}

/// Why something could not be undone: its words are compared.
pub trait Trouble: Display {
    /// Whether it was refused before anything was sent.
    fn is_refusal(&self) -> bool;
}

/// What came of a way back.
#[derive(Debug)]
pub enum Undone<T> {
    /// Whatever could be done is done: by changing these objects.
    Done(BTreeSet<ObjectKey>),
    /// Somebody has changed something meanwhile.
    Outdated(T),
    /// It could not be gone.
    Failed(T),
}

/// A way back that is to be gone.
#[derive(Debug)]
pub struct Way {
    work: Work,
    /// All that differed when it was planned.
    all: Vec<String>,
    keys: BTreeSet<ObjectKey>,
    now: Snapshot,
}

impl Way {
    /// The state that it was planned on.
    pub fn now(&self) -> &Snapshot {
        &self.now
    }

    /// What is to be committed, and which objects that changes; none where nothing is to be done.
    ///
    /// # Errors
    /// When it cannot be brought back.
    pub fn draft(&self) -> Result<(Draft, BTreeSet<ObjectKey>), Refusal> {
        let mut draft = Draft::new(self.now.clone(), FIRST_NEW);
        let left = draft.revert_these(&self.work.target, &self.work.selection, &self.keys);
        let touched = draft.touched(&self.work.target, &self.now)?;
        match left.into_iter().next().filter(|_| touched.is_empty()) {
            Some(refusal) => Err(refusal),
            None => Ok((draft, touched)),
        }
    }

    /// Interfaces that were made again where they were: their indexes and the generations that they had.
    pub fn restored(
        &self,
        after: &Snapshot,
        created: impl IntoIterator<Item = u32>,
    ) -> Vec<(u32, u64)> {
        let created: BTreeSet<u32> = created.into_iter().collect();
        let came = |link: &&Link| {
            let there = after.link_by_index(link.index());
            self.now.link_by_index(link.index()).is_none()
                && created.contains(&link.index())
                && there.is_some_and(|there| there.kind() == link.kind())
        };
        let back = self.work.target.links().filter(came);
        back.map(|link| (link.index(), link.generation())).collect()
    }
}

/// What differs, in words.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.work.words().join("; "))
    }
}

/// What a freeze does about one state.
#[derive(Debug)]
pub struct Round {
    id: u64,
    tried: BTreeSet<ObjectKey>,
    /// Halves of what could not be undone at once, so that one thing does not stand in the way of the others.
    portions: Vec<BTreeSet<ObjectKey>>,
    replans: u32,
    is_over: bool,
}

impl Round {
    /// A round of this freeze.
    pub fn new(id: u64) -> Self {
        Round { id, tried: BTreeSet::new(), portions: Vec::new(), replans: 0, is_over: false }
    }

    /// What to undo next; when there is nothing left, what differs is settled.
    pub fn poll(&mut self, holds: &mut Holds, now: &Snapshot, moment: Duration) -> Option<Way> {
        if self.is_over {
            holds.settle(self.id, now, moment);
            return None;
        }
        loop {
            let mut work = holds.work(self.id, now, &self.tried, moment)?;
            let all = work.words();
            if let Some(portion) = self.portions.last() {
                work.open.retain(|(_, keys)| !keys.is_disjoint(portion));
            } else if work.open.is_empty() {
                holds.settle(self.id, now, moment);
                return None;
            }
            let mut keys: BTreeSet<ObjectKey> =
                work.open.iter().flat_map(|(_, keys)| keys.iter().cloned()).collect();
            if let Some(portion) = self.portions.pop() {
                keys.retain(|key| portion.contains(key));
            }
            if !keys.is_empty() {
                return Some(Way { work, all, keys, now: now.clone() });
            }
            if self.portions.is_empty() {
                holds.settle(self.id, now, moment);
                return None;
            }
        }
    }

    /// What came of it, and the state after it. What there is to tell comes back.
    pub fn handle<T: Trouble>(
        &mut self,
        holds: &mut Holds,
        way: Way,
        undone: Undone<T>,
        now: &Snapshot,
        moment: Duration,
    ) -> Vec<Word<T>> {
        let Way { work, all, keys, .. } = way;
        let may_replan = self.replans < REPLANS;
        let told = match undone {
            Undone::Done(touched) if touched.is_empty() => {
                holds.quieten(self.id, &keys, now);
                self.tried.extend(keys);
                Vec::new()
            }
            Undone::Done(touched) => {
                let undone = work.open.iter().filter(|(_, keys)| !keys.is_disjoint(&touched));
                let changes = undone.map(|(change, _)| change.clone()).collect();
                let contested = holds.fought(self.id, &touched, &work.open, moment);
                self.tried.extend(keys);
                std::iter::once(Word::Reverted(changes)).chain(contested).collect()
            }
            // All that differs by now.
            Undone::Outdated(_) if may_replan => return self.replan(),
            // In the middle of something that another program does: of a deletion the first message.
            Undone::Failed(_) if may_replan && self.is_outdated(holds, now, &all, moment) => {
                return self.replan();
            }
            Undone::Failed(_) if keys.len() > 1 => {
                let keys: Vec<_> = keys.into_iter().collect();
                let (first, second) = keys.split_at(keys.len() / 2);
                self.portions.push(second.iter().cloned().collect());
                self.portions.push(first.iter().cloned().collect());
                Vec::new()
            }
            Undone::Failed(trouble) | Undone::Outdated(trouble) => {
                let told = holds.failed(self.id, &keys, &trouble, work.is_paused, moment);
                self.tried.extend(keys);
                told.then_some(Word::Failed(trouble)).into_iter().collect()
            }
        };
        self.is_over = self.portions.is_empty();
        told
    }

    fn replan<T>(&mut self) -> Vec<Word<T>> {
        self.replans += 1;
        self.portions.clear();
        Vec::new()
    }

    /// Whether what differs is not what differed when it was looked at.
    fn is_outdated(
        &self,
        holds: &mut Holds,
        now: &Snapshot,
        seen: &[String],
        moment: Duration,
    ) -> bool {
        let work = holds.work(self.id, now, &self.tried, moment);
        work.is_some_and(|work| work.words() != seen)
    }
}

impl Holds {
    /// Begins to hold what `selection` speaks of as it is in `target`; enforced when it is [activated](Holds::activate).
    ///
    /// # Errors
    /// When the selection names what is not there.
    pub fn add(&mut self, selection: Selection, target: Snapshot) -> Result<u64, Refusal> {
        let mut draft = Draft::new(target.clone(), FIRST_NEW);
        if let Some(refusal) = draft.revert_to(&target, &selection).into_iter().next() {
            return Err(refusal);
        }
        let id = self.next;
        self.next += 1;
        let (fights, quiet) = (BTreeMap::new(), BTreeMap::new());
        self.entries.insert(id, Entry { selection, target, is_active: false, fights, quiet });
        Ok(id)
    }

    /// Enforces a freeze from now on, or no longer.
    pub fn activate(&mut self, id: u64, active: bool) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.is_active = active;
        }
    }

    /// Ends a freeze.
    pub fn remove(&mut self, id: u64) {
        self.entries.remove(&id);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, the youngest first.
    pub fn ids(&self) -> Vec<u64> {
        self.entries.keys().rev().copied().collect()
    }

    /// Whether there is anything to do; what there is not to do is settled.
    pub fn look(&mut self, now: &Snapshot, moment: Duration) -> bool {
        self.ids().into_iter().any(|id| {
            let work = self.work(id, now, &BTreeSet::new(), moment);
            let is_open = work.as_ref().is_some_and(|work| !work.open.is_empty());
            if !is_open {
                self.settle(id, now, moment);
            }
            is_open
        })
    }

    /// When the first pause of something that differs is over. `looked` is from before the look that found nothing: a
    /// pause that has ended since then was still one for it.
    pub fn due(&self, now: &Snapshot, looked: Duration) -> Option<Duration> {
        self.entries.keys().filter_map(|id| self.due_of(*id, now, looked)).min()
    }

    /// A commit of this database holds, and moves what is held.
    pub fn handle_commit(
        &mut self,
        draft: &Draft,
        before: &Snapshot,
        after: &Snapshot,
        created: &BTreeMap<u64, u32>,
    ) {
        for entry in self.entries.values_mut() {
            entry.relink(before);
            entry.target = draft.moves(&entry.target, before, after, created);
        }
    }

    /// How a freeze holds what it speaks of.
    pub fn target(&self, id: u64) -> Option<&Snapshot> {
        self.entries.get(&id).map(|entry| &entry.target)
    }

    /// What differs from how a freeze holds it, and is its own to hold.
    fn differing(&self, id: u64, now: &Snapshot) -> Vec<(Change, BTreeSet<ObjectKey>)> {
        let Some(entry) = self.entries.get(&id) else { return Vec::new() };
        let younger: Vec<&Entry> =
            self.entries.range(id + 1..).map(|(_, entry)| entry).filter(|e| e.is_active).collect();
        let diff = entry.target.diff(now);
        let mut found = Vec::new();
        for change in diff.into_changes() {
            let mut keys = entry.selection.focus(&change, &entry.target, now);
            for other in &younger {
                if keys.is_empty() {
                    break;
                }
                let theirs = other.selection.focus(&change, &other.target, now);
                keys.retain(|key| !theirs.contains(key));
            }
            if !keys.is_empty() {
                found.push((change, keys));
            }
        }
        found
    }

    /// What there is to do now of a freeze, without what was tried.
    fn work(
        &mut self,
        id: u64,
        now: &Snapshot,
        tried: &BTreeSet<ObjectKey>,
        moment: Duration,
    ) -> Option<Work> {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.relink(now);
        }
        let entry = self.entries.get(&id).filter(|entry| entry.is_active)?;
        let is_paused =
            |key: &ObjectKey| entry.fights.get(key).is_some_and(|fight| fight.is_paused(moment));
        let mut paused = false;
        let mut open = Vec::new();
        for (change, mut keys) in self.differing(id, now) {
            let is_new = change.before().is_none();
            paused |= keys.iter().any(is_paused);
            let idle = entry.idle(&change);
            let is_idle = |key: &ObjectKey| idle.is_some_and(|idle| idle.contains(key));
            keys.retain(|key| !tried.contains(key) && !is_paused(key) && !is_idle(key));
            let is_left = is_new && entry.selection.leaves_new();
            if !keys.is_empty() && !is_left {
                open.push((change, keys));
            }
        }
        let (selection, target) = (entry.selection.clone(), entry.target.clone());
        Some(Work { selection, target, open, is_paused: paused })
    }

    /// When the first pause of something that differs is over, of those that were not over at this moment.
    fn due_of(&self, id: u64, now: &Snapshot, moment: Duration) -> Option<Duration> {
        let entry = self.entries.get(&id).filter(|entry| entry.is_active)?;
        if !entry.fights.values().any(|fight| fight.is_paused(moment)) {
            return None;
        }
        let keys = self.differing(id, now).into_iter().flat_map(|(_, keys)| keys);
        let until = |key| entry.fights.get(&key).and_then(|fight| fight.until);
        keys.filter_map(until).filter(|until| *until > moment).min()
    }

    /// What still differs of these objects is not for anybody to change back.
    fn quieten(&mut self, id: u64, keys: &BTreeSet<ObjectKey>, now: &Snapshot) {
        let differing = self.differing(id, now);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let mut quiet: BTreeMap<ObjectKey, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
        for (change, own) in differing {
            let Some(key) = change.key() else { continue };
            let words = change.to_string();
            let known = entry.quiet.get(&key).and_then(|all| all.get(&words)).into_iter().flatten();
            let idle: BTreeSet<_> = own.intersection(keys).chain(known).cloned().collect();
            if !idle.is_empty() {
                quiet.entry(key).or_default().insert(words, idle);
            }
        }
        entry.quiet = quiet;
    }

    /// What a freeze does not hold is in its target as it is now.
    fn settle(&mut self, id: u64, now: &Snapshot, moment: Duration) {
        let Some(entry) = self.entries.get(&id) else { return };
        let mut target = now.clone();
        let mut held = BTreeSet::new();
        let diff = entry.target.diff(now);
        for change in diff.changes() {
            let object = change.before().or(change.after());
            let is_held = !entry.selection.focus(change, &entry.target, now).is_empty();
            if let Some(key) = object.filter(|_| is_held).and_then(|object| object.key()) {
                target.copy(&entry.target, &key);
                held.insert(key);
            }
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.target = target;
            entry.quiet.retain(|key, _| held.contains(key));
            entry.fights.retain(|_, fight| !fight.is_over(moment));
        }
    }

    /// Objects were made again what they were. Which are contested.
    fn fought<T>(
        &mut self,
        id: u64,
        touched: &BTreeSet<ObjectKey>,
        open: &[(Change, BTreeSet<ObjectKey>)],
        moment: Duration,
    ) -> Vec<Word<T>> {
        let Some(entry) = self.entries.get_mut(&id) else { return Vec::new() };
        let mut contested = Vec::new();
        for key in touched {
            let fight = entry.fights.entry(key.clone()).or_default();
            if fight.strike(moment, 0) {
                let change = open.iter().find(|(_, keys)| keys.contains(key));
                let Some((change, _)) = change else { continue };
                let (times, pause) = (fight.times, fight.pause);
                contested.push(Word::Contested { change: change.clone(), times, pause });
            }
        }
        contested
    }

    /// Objects could not be made again what they were. Whether that is to be told.
    fn failed(
        &mut self,
        id: u64,
        keys: &BTreeSet<ObjectKey>,
        trouble: &impl Trouble,
        is_paused: bool,
        moment: Duration,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let words = trouble.to_string();
        let mut is_news = false;
        for key in keys {
            let fight = entry.fights.entry(key.clone()).or_default();
            is_news |= fight.strike(moment, FREE) | (fight.failure != words);
            fight.failure.clone_from(&words);
        }
        // What is missing may be missing because of a pause.
        is_news && !(is_paused && trouble.is_refusal())
    }
}

impl Entry {
    /// Interfaces that came back with another index, or as somebody else's, are held under that.
    fn relink(&mut self, now: &Snapshot) {
        let heirs = self.selection.heirs(&self.target, now);
        for (old, new) in heirs {
            self.selection.relink(&old, &new);
            self.target = renumbered(&self.target, &old, &new);
        }
    }

    /// The objects that do not undo a change.
    fn idle(&self, change: &Change) -> Option<&BTreeSet<ObjectKey>> {
        let all = self.quiet.get(&change.key()?)?;
        all.get(&change.to_string())
    }
}

impl Fight {
    fn is_paused(&self, moment: Duration) -> bool {
        self.until.is_some_and(|until| moment < until)
    }

    /// Whether it has been left alone for long enough.
    fn is_over(&self, moment: Duration) -> bool {
        let calm = CALM.max(2 * self.pause);
        self.last.is_none_or(|last| moment.saturating_sub(last) > calm)
    }

    /// Once more; counts from `least` on. Whether that is to be told: the first pause, and each that is longer, and now
    /// and then when they are no longer.
    fn strike(&mut self, moment: Duration, least: u32) -> bool {
        if self.is_over(moment) {
            *self = Fight::default();
        }
        self.times = self.times.max(least).saturating_add(1);
        self.last = Some(moment);
        let Some(doubled) = self.times.checked_sub(FREE + 1) else { return false };
        self.pause = FIRST_PAUSE.saturating_mul(1 << doubled.min(20)).min(LONGEST_PAUSE);
        self.until = Some(moment + self.pause);
        (doubled + 1).is_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{LINK, Record, link};
    use crate::state::{Event, LinkEvent};

    fn state(mtu: u64) -> Snapshot {
        let mut record = Record::new(&LINK);
        record.set(link::row::INDEX, crate::object::Value::Number(7));
        record.set(link::row::NAME, "v0".into());
        record.set(link::row::MTU, crate::object::Value::Number(mtu));
        Snapshot::default().saying(Event::Link(7, LinkEvent::Is(Box::new(record))))
    }

    /// A pause ended after the look that it held back and before it was asked for when the next one is due: nobody looked
    /// again until something else changed.
    #[test]
    fn a_pause_that_ends_behind_a_look_is_due() {
        let (mut holds, looked) = (Holds::default(), Duration::from_secs(1));
        let until = looked + Duration::from_nanos(1);
        let fight = Fight { times: 6, last: Some(looked), until: Some(until), ..Fight::default() };
        let entry = Entry {
            selection: Selection::interface(7),
            target: state(1500),
            is_active: true,
            fights: [(ObjectKey::Link(7), fight)].into(),
            quiet: BTreeMap::new(),
        };
        holds.entries.insert(0, entry);
        assert_eq!(holds.due(&state(1400), looked), Some(until));
        // Nothing is due for what does not differ, nor again for whoever has looked since.
        assert_eq!(holds.due(&state(1500), looked), None);
        assert_eq!(holds.due(&state(1400), until), None);
        let work = holds.work(0, &state(1400), &BTreeSet::new(), until);
        assert_eq!(work.map(|work| work.open.len()), Some(1));
    }
}
