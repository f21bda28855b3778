//! Holding objects fast: what others change of them is made again what it was.
//!
//! One thread enforces all freezes of a database, from the first to the last. It sleeps until a state is shown, finds by
//! comparing with each freeze's target whether something differs that the freeze speaks of, and commits the way back.
//! It does so under the lock that keeps commits apart, and a commit of the database moves the targets before it gives
//! that lock back: so there is no moment at which a commit that holds is taken for somebody else's change.
//!
//! A target is a whole snapshot, but of what its freeze does not speak of it is kept as new as the state itself. So the
//! comparison costs what differs, not what there is.
//!
//! Where several freezes speak of the same object the youngest has it; the others get it back when that one ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::Error;
use super::commit::{Start, Terms};
use super::hooks::panic_text;
use super::requests::Requests;
use super::shared::{Engine, Shared};
use crate::object::Link;
use crate::plan::{Draft, Failure, Outcome, Residue, Selection, renumbered};
use crate::state::{Ask, Change, ObjectKey, Snapshot};
use crate::sys::Waker;

/// How often an object is made again what it was before there is a pause.
pub const FREE: u32 = 5;
/// The first pause; each is twice as long as the one before.
pub const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Left alone for so long, and for two pauses, an object counts as undisputed again.
pub const CALM: Duration = Duration::from_secs(10);

/// How many reports wait to be read, at most.
const REPORTS: usize = 1024;
/// How often a way back is planned anew because the state has changed while it was planned.
const REPLANS: u32 = 4;
/// Numbers of interfaces that are made again: never shown to anybody.
const FIRST_NEW: u64 = 1 << 63;

/// Every freeze of a database.
#[derive(Default)]
pub(super) struct Freezes {
    state: Mutex<State>,
    /// Counts what the enforcing thread is to look at besides new states.
    kicks: AtomicU64,
    rested: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order of their beginning.
    entries: BTreeMap<u64, Entry>,
    next: u64,
    is_enforcing: bool,
    thread: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

struct Entry {
    selection: Selection,
    target: Snapshot,
    /// Whether it is enforced yet.
    is_active: bool,
    fights: BTreeMap<ObjectKey, Fight>,
    /// Changes that nothing can be done about, or that the selection leaves alone: in which only the kernel's own
    /// part differs.
    quiet: BTreeMap<ObjectKey, String>,
    inbox: Arc<Inbox>,
}

/// An object that others change again and again.
#[derive(Clone, Debug, Default)]
struct Fight {
    times: u32,
    last: Option<Instant>,
    until: Option<Instant>,
    pause: Duration,
    failure: String,
}

/// What the enforcing thread tells of a freeze.
#[derive(Clone, Debug)]
pub enum Note {
    /// Changes of others were undone: each as they had made it.
    Reverted {
        /// From how it was held to how they had made it.
        changes: Vec<Change>,
        /// From when it was noticed to when it was found undone.
        took: Duration,
    },
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
    Failed(Trouble),
}

/// Why something could not be undone.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It cannot come back, or the kernel could not be reached.
    Start(Start),
    /// The way back failed, and was itself undone.
    RolledBack(Failure, Snapshot),
    /// Some of the way back could not be undone.
    Torn(Failure, Vec<Residue>, Snapshot),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Start(Start::Refused(refusal)) => write!(f, "{refusal}"),
            Trouble::Start(Start::Unreached(error) | Start::CutOff(error)) => write!(f, "{error}"),
            Trouble::RolledBack(failure, _) | Trouble::Torn(failure, ..) => write!(f, "{failure}"),
        }
    }
}

/// What was told of a freeze, until it is read.
pub struct Inbox {
    inside: Mutex<Inside>,
    told: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct Inside {
    notes: VecDeque<Note>,
    tally: Tally,
}

/// What came of a freeze in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes that were undone.
    pub reverted: u64,
    /// Commits that it took.
    pub commits: u64,
    /// How often an object was found contested.
    pub contested: u64,
    /// How often something could not be undone.
    pub failed: u64,
    /// Reports that were thrown away because nobody had read them.
    pub missed: u64,
}

impl Inbox {
    fn new() -> Result<Arc<Self>, Error> {
        let waker = Waker::new().map_err(Error::system("open an eventfd"))?;
        Ok(Arc::new(Inbox { inside: Mutex::default(), told: Condvar::new(), waker }))
    }

    fn tell(&self, note: Note) {
        let mut inside = self.inside.lock();
        match &note {
            Note::Reverted { changes, .. } => {
                inside.tally.reverted += changes.len() as u64;
                inside.tally.commits += 1;
            }
            Note::Contested { .. } => inside.tally.contested += 1,
            Note::Failed(_) => inside.tally.failed += 1,
        }
        if inside.notes.len() >= REPORTS {
            inside.notes.pop_front();
            inside.tally.missed += 1;
        }
        inside.notes.push_back(note);
        // Neither can fail but for a closed descriptor, and it is ours.
        let _ = self.waker.wake();
        drop(inside);
        self.told.notify_all();
    }

    /// The next report, or `None` when there is none in this time.
    pub fn next_within(&self, time: Duration) -> Option<Note> {
        let deadline = Instant::now().checked_add(time);
        let mut inside = self.inside.lock();
        loop {
            if let Some(note) = inside.notes.pop_front() {
                return Some(note);
            }
            let _ = self.waker.drain();
            match deadline {
                Some(at) if at <= Instant::now() => return None,
                Some(at) => drop(self.told.wait_until(&mut inside, at)),
                None => self.told.wait(&mut inside),
            }
        }
    }

    /// What came of it in all.
    pub fn tally(&self) -> Tally {
        self.inside.lock().tally
    }

    /// Readable while there are reports.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

/// A freeze that has begun.
pub struct Hold {
    id: u64,
    inbox: Arc<Inbox>,
}

impl Hold {
    /// What is told of it.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}

/// What there is to do of one freeze.
struct Work {
    selection: Selection,
    target: Snapshot,
    /// What differs, and by which objects it is undone.
    open: Vec<(Change, BTreeSet<ObjectKey>)>,
    /// Whether something differs that has a pause.
    is_paused: bool,
    inbox: Arc<Inbox>,
}

impl Work {
    /// What differs, to see whether it still does.
    fn words(&self) -> Vec<String> {
        self.open.iter().map(|(change, _)| change.to_string()).collect()
    }
}

impl Engine {
    /// Begins to hold what `selection` speaks of, as it is now or in `target`; enforced from [`Engine::enforce_from`] on.
    ///
    /// # Errors
    /// When the kernel does not answer, the thread is one of a commit's, or the selection names what is not there.
    pub fn freeze(&self, selection: Selection, target: Option<Snapshot>) -> Result<Hold, Start> {
        if let Some(error) = self.bars_commit() {
            return Err(Start::Unreached(error));
        }
        let inbox = Inbox::new().map_err(Start::Unreached)?;
        // Never the state in the middle of a commit.
        let _requests = self.requests.lock();
        let silent: Vec<_> =
            selection.links(&self.snapshot()).map(|link| Ask::Link(link.index())).collect();
        let now = self.observe(&silent).map_err(Start::Unreached)?;
        let target = target.unwrap_or_else(|| now.clone());
        let mut draft = Draft::new(target.clone(), FIRST_NEW);
        if let Some(refusal) = draft.revert_to(&target, &selection).into_iter().next() {
            return Err(Start::Refused(refusal));
        }
        let mut state = self.shared.freezes.state.lock();
        let id = state.next;
        state.next += 1;
        let entry = Entry {
            selection,
            target,
            is_active: false,
            fights: BTreeMap::new(),
            quiet: BTreeMap::new(),
            inbox: Arc::clone(&inbox),
        };
        state.entries.insert(id, entry);
        Ok(Hold { id, inbox })
    }

    /// Enforces a freeze from now on. `spawn` starts the thread that calls [`Engine::enforce`], if there is none yet.
    ///
    /// # Errors
    /// When the thread cannot be had.
    pub fn enforce_from(
        &self,
        hold: &Hold,
        spawn: impl FnOnce(Arc<AtomicBool>) -> std::io::Result<JoinHandle<()>>,
    ) -> Result<(), Error> {
        let mut state = self.shared.freezes.state.lock();
        if state.thread.as_ref().is_none_or(|(_, thread)| thread.is_finished()) {
            let stop = Arc::new(AtomicBool::new(false));
            let thread =
                spawn(Arc::clone(&stop)).map_err(|error| Error::Thread(error.to_string()))?;
            state.thread = Some((stop, thread));
        }
        if let Some(entry) = state.entries.get_mut(&hold.id) {
            entry.is_active = true;
        }
        drop(state);
        self.kick();
        Ok(())
    }

    /// Ends a freeze: what is undone of others' changes is undone when this returns, and nothing is from then on. On a
    /// thread that a commit waits for it does not wait for what is being undone just now.
    pub fn thaw(&self, hold: &Hold) {
        let mut state = self.shared.freezes.state.lock();
        state.entries.remove(&hold.id);
        let thread = if state.entries.is_empty() { state.thread.take() } else { None };
        if let Some((stop, _)) = &thread {
            stop.store(true, Ordering::SeqCst);
        }
        let may_wait = self.bars_commit().is_none();
        while may_wait && state.is_enforcing && !is_own(&state, &thread) {
            self.shared.freezes.rested.wait(&mut state);
        }
        drop(state);
        self.kick();
        if let Some((_, thread)) = thread.filter(|_| may_wait) {
            if thread.thread().id() != std::thread::current().id() {
                // A panic in it was told.
                drop(thread.join());
            }
        }
    }

    /// Has the enforcing thread look, whether or not a new state is shown.
    fn kick(&self) {
        self.shared.freezes.kicks.fetch_add(1, Ordering::SeqCst);
        // Whoever is about to sleep has either seen the count or is asleep by now.
        drop(self.shared.published.lock());
        self.shared.changed.notify_all();
    }

    /// Enforces all freezes until the last has ended: the body of the enforcing thread.
    pub fn enforce(&self, stop: &AtomicBool) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.enforce_until(stop)));
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(payload) => {
                Error::Thread(format!("the enforcing thread panicked: {}", panic_text(&*payload)))
            }
        };
        let mut state = self.shared.freezes.state.lock();
        state.is_enforcing = false;
        for entry in state.entries.values_mut() {
            entry.is_active = false;
            entry.inbox.tell(Note::Failed(Trouble::Start(Start::Unreached(error.clone()))));
        }
        drop(state);
        self.shared.freezes.rested.notify_all();
    }

    fn enforce_until(&self, stop: &AtomicBool) -> Result<(), Error> {
        let (mut revision, mut kicks, mut due) = (None, 0, None);
        while !stop.load(Ordering::SeqCst) {
            let counted = self.shared.freezes.kicks.load(Ordering::SeqCst);
            let now = self.await_state(revision.filter(|_| counted == kicks), counted, due)?;
            (revision, kicks) = (Some(now.revision()), counted);
            let began = Instant::now();
            if self.look(&now) {
                self.enforce_once(began, stop);
                // What the commits have led to is looked at once more.
                revision = None;
            } else {
                due = self.next_due(&now, began);
            }
        }
        Ok(())
    }

    /// Waits for a state that is newer than `seen`, for a kick, or until something is due.
    fn await_state(
        &self,
        seen: Option<u64>,
        kicks: u64,
        due: Option<Instant>,
    ) -> Result<Snapshot, Error> {
        let Shared { published, changed, freezes, .. } = &*self.shared;
        let mut published = published.lock();
        loop {
            if let Some(error) = &published.ended {
                return Err(Error::Broken(Box::new(error.clone())));
            }
            let is_wanted = seen != Some(published.revision)
                || kicks != freezes.kicks.load(Ordering::SeqCst)
                || due.is_some_and(|due| due <= Instant::now());
            if is_wanted && published.live && !published.lent {
                return Ok(published.snapshot.clone());
            }
            published.hurried += usize::from(is_wanted);
            published.waiting += 1;
            match due.filter(|_| !is_wanted) {
                Some(due) => drop(changed.wait_until(&mut published, due)),
                None => changed.wait(&mut published),
            }
            published.waiting -= 1;
            published.hurried -= usize::from(is_wanted);
        }
    }

    /// Whether there is anything to do; what there is not to do is settled.
    fn look(&self, now: &Snapshot) -> bool {
        let mut state = self.shared.freezes.state.lock();
        let ids: Vec<u64> = state.entries.keys().rev().copied().collect();
        ids.into_iter().any(|id| {
            let work = state.work(id, now, &BTreeSet::new());
            let is_open = work.as_ref().is_some_and(|work| !work.open.is_empty());
            if !is_open {
                state.settle(id, now);
            }
            is_open
        })
    }

    /// When there is more to do. `looked` is from before the look that found nothing: a pause that has ended since then
    /// was still one for it.
    fn next_due(&self, now: &Snapshot, looked: Instant) -> Option<Instant> {
        let state = self.shared.freezes.state.lock();
        let ids = state.entries.keys().copied();
        ids.filter_map(|id| state.due(id, now, looked)).min()
    }

    /// Undoes what there is to be undone.
    fn enforce_once(&self, began: Instant, stop: &AtomicBool) {
        let mut requests = self.requests.lock();
        let _enforcing = Enforcing::new(self);
        let ids: Vec<u64> = {
            let state = self.shared.freezes.state.lock();
            state.entries.keys().rev().copied().collect()
        };
        for id in ids {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            self.enforce_one(id, began, &mut requests);
        }
    }

    fn enforce_one(&self, id: u64, began: Instant, requests: &mut Requests) {
        // Halves of what could not be undone at once, so that one thing does not stand in the way of the others.
        let mut tried: BTreeSet<ObjectKey> = BTreeSet::new();
        let mut portions: Vec<BTreeSet<ObjectKey>> = Vec::new();
        let mut replans = 0;
        loop {
            let now = self.snapshot();
            let work = self.shared.freezes.state.lock().work(id, &now, &tried);
            let Some(mut work) = work else { return };
            let all = work.words();
            if let Some(portion) = portions.last() {
                work.open.retain(|(_, keys)| !keys.is_disjoint(portion));
            } else if work.open.is_empty() {
                break;
            }
            let mut keys: BTreeSet<ObjectKey> =
                work.open.iter().flat_map(|(_, keys)| keys.iter().cloned()).collect();
            if let Some(portion) = portions.pop() {
                keys.retain(|key| portion.contains(key));
            }
            if keys.is_empty() {
                if portions.is_empty() {
                    break;
                }
                continue;
            }
            match self.undo(&work, &keys, &now, requests) {
                Undone::Done { touched, now: after } if touched.is_empty() => {
                    self.shared.freezes.state.lock().quieten(id, &keys, &after);
                    tried.extend(keys);
                }
                Undone::Done { touched, .. } => {
                    self.tell_undone(id, &work, &touched, began);
                    tried.extend(keys);
                }
                Undone::Outdated(_) if replans < REPLANS => {
                    replans += 1;
                    // All that differs by now.
                    portions.clear();
                    continue;
                }
                // In the middle of something that another program does: of a deletion the first message.
                Undone::Failed(_) if replans < REPLANS && self.is_outdated(id, &all, &tried) => {
                    replans += 1;
                    portions.clear();
                    continue;
                }
                Undone::Failed(_) if keys.len() > 1 => {
                    let keys: Vec<_> = keys.into_iter().collect();
                    let (first, second) = keys.split_at(keys.len() / 2);
                    portions.push(second.iter().cloned().collect());
                    portions.push(first.iter().cloned().collect());
                }
                Undone::Failed(trouble) | Undone::Outdated(trouble) => {
                    self.shared.freezes.state.lock().failed(id, &keys, trouble, work.is_paused);
                    tried.extend(keys);
                }
            }
            if portions.is_empty() {
                break;
            }
        }
        let now = self.snapshot();
        self.shared.freezes.state.lock().settle(id, &now);
    }

    /// Commits the way back of these objects.
    fn undo(
        &self,
        work: &Work,
        keys: &BTreeSet<ObjectKey>,
        now: &Snapshot,
        requests: &mut Requests,
    ) -> Undone {
        let mut draft = Draft::new(now.clone(), FIRST_NEW);
        let left = draft.revert_these(&work.target, &work.selection, keys);
        let touched = match draft.touched(&work.target, now) {
            Ok(touched) => touched,
            Err(refusal) => return Undone::Failed(Trouble::Start(Start::Refused(refusal))),
        };
        if touched.is_empty() {
            return match left.into_iter().next() {
                None => Undone::Done { touched, now: now.clone() },
                Some(refusal) => Undone::Failed(Trouble::Start(Start::Refused(refusal))),
            };
        }
        let terms = Terms { id: Uuid::new_v4(), hooks: &[], deadline: None, watcher: None };
        let trouble = match self.commit_with(&draft, &terms, requests) {
            Ok(Outcome::Committed { snapshot, created }) => {
                let now = self.adopt_restored(work, now, snapshot, created.into_values());
                return Undone::Done { touched, now };
            }
            Ok(Outcome::RolledBack { cause, snapshot }) => Trouble::RolledBack(cause, snapshot),
            Ok(Outcome::Torn { cause, residue, snapshot }) => {
                Trouble::Torn(cause, residue, snapshot)
            }
            Err(start) => {
                let is_outdated = self.snapshot().revision() != now.revision();
                let trouble = Trouble::Start(start);
                return match &trouble {
                    Trouble::Start(Start::Refused(_)) if is_outdated => Undone::Outdated(trouble),
                    _ => Undone::Failed(trouble),
                };
            }
        };
        Undone::Failed(trouble)
    }

    /// Handles on interfaces that were brought back hold again, where they have the index that they had.
    fn adopt_restored(
        &self,
        work: &Work,
        before: &Snapshot,
        after: Snapshot,
        created: impl Iterator<Item = u32>,
    ) -> Snapshot {
        let created: BTreeSet<u32> = created.collect();
        let came = |link: &&Link| {
            let there = after.link_by_index(link.index());
            before.link_by_index(link.index()).is_none()
                && created.contains(&link.index())
                && there.is_some_and(|there| there.kind() == link.kind())
        };
        let back: Vec<_> = work
            .target
            .links()
            .filter(came)
            .map(|link| (link.index(), link.generation()))
            .collect();
        if back.is_empty() {
            return after;
        }
        self.adopt(back).unwrap_or(after)
    }

    /// Whether what differs is not what differed when it was looked at.
    fn is_outdated(&self, id: u64, seen: &[String], tried: &BTreeSet<ObjectKey>) -> bool {
        let now = self.snapshot();
        let work = self.shared.freezes.state.lock().work(id, &now, tried);
        work.is_some_and(|work| work.words() != seen)
    }

    fn tell_undone(&self, id: u64, work: &Work, touched: &BTreeSet<ObjectKey>, began: Instant) {
        let undone = work.open.iter().filter(|(_, keys)| !keys.is_disjoint(touched));
        let changes: Vec<Change> = undone.map(|(change, _)| change.clone()).collect();
        work.inbox.tell(Note::Reverted { changes, took: began.elapsed() });
        self.shared.freezes.state.lock().fought(id, touched, &work.open);
    }

    /// A commit of this database holds, and moves what is held. Whoever calls has the lock that keeps commits apart.
    pub(super) fn move_frozen(
        &self,
        draft: &Draft,
        before: &Snapshot,
        after: &Snapshot,
        created: &BTreeMap<u64, u32>,
    ) {
        let mut state = self.shared.freezes.state.lock();
        for entry in state.entries.values_mut() {
            entry.relink(before);
            entry.target = draft.moves(&entry.target, before, after, created);
        }
    }
}

/// What came of a way back.
enum Undone {
    /// Whatever could be done is done: by changing these objects.
    Done {
        touched: BTreeSet<ObjectKey>,
        now: Snapshot,
    },
    /// Somebody has changed something meanwhile.
    Outdated(Trouble),
    Failed(Trouble),
}

/// While it is there something is being undone.
struct Enforcing<'a>(&'a Engine);

impl<'a> Enforcing<'a> {
    fn new(engine: &'a Engine) -> Self {
        engine.shared.freezes.state.lock().is_enforcing = true;
        Enforcing(engine)
    }
}

impl Drop for Enforcing<'_> {
    fn drop(&mut self) {
        self.0.shared.freezes.state.lock().is_enforcing = false;
        self.0.shared.freezes.rested.notify_all();
    }
}

/// Whether this is the enforcing thread, which must not wait for itself.
fn is_own(state: &State, ending: &Option<(Arc<AtomicBool>, JoinHandle<()>)>) -> bool {
    let threads = state.thread.iter().chain(ending);
    let mut ids = threads.map(|(_, thread)| thread.thread().id());
    ids.any(|id| id == std::thread::current().id())
}

impl State {
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
    fn work(&mut self, id: u64, now: &Snapshot, tried: &BTreeSet<ObjectKey>) -> Option<Work> {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.relink(now);
        }
        let entry = self.entries.get(&id).filter(|entry| entry.is_active)?;
        let moment = Instant::now();
        let is_paused =
            |key: &ObjectKey| entry.fights.get(key).is_some_and(|fight| fight.is_paused(moment));
        let mut paused = false;
        let mut open = Vec::new();
        for (change, mut keys) in self.differing(id, now) {
            let is_new = change.before().is_none();
            paused |= keys.iter().any(is_paused);
            keys.retain(|key| !tried.contains(key) && !is_paused(key));
            let is_left = is_new && entry.selection.leaves_new() || entry.is_quiet(&change);
            if !keys.is_empty() && !is_left {
                open.push((change, keys));
            }
        }
        Some(Work {
            selection: entry.selection.clone(),
            target: entry.target.clone(),
            open,
            is_paused: paused,
            inbox: Arc::clone(&entry.inbox),
        })
    }

    /// When the first pause of something that differs is over, of those that were not over at this moment.
    fn due(&self, id: u64, now: &Snapshot, moment: Instant) -> Option<Instant> {
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
        let left = differing.into_iter().filter(|(_, own)| own.is_subset(keys));
        entry.quiet.extend(left.filter_map(|(change, _)| {
            let key = change.before().or(change.after())?.key()?;
            Some((key, change.to_string()))
        }));
    }

    /// What a freeze does not hold is in its target as it is now.
    fn settle(&mut self, id: u64, now: &Snapshot) {
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
        let moment = Instant::now();
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.target = target;
            entry.quiet.retain(|key, _| held.contains(key));
            entry.fights.retain(|_, fight| !fight.is_over(moment));
        }
    }

    /// Objects were made again what they were.
    fn fought(
        &mut self,
        id: u64,
        touched: &BTreeSet<ObjectKey>,
        open: &[(Change, BTreeSet<ObjectKey>)],
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let moment = Instant::now();
        for key in touched {
            let fight = entry.fights.entry(key.clone()).or_default();
            if fight.strike(moment, 0) {
                let change = open.iter().find(|(_, keys)| keys.contains(key));
                let Some((change, _)) = change else { continue };
                let (times, pause) = (fight.times, fight.pause);
                entry.inbox.tell(Note::Contested { change: change.clone(), times, pause });
            }
        }
    }

    /// Objects could not be made again what they were.
    fn failed(&mut self, id: u64, keys: &BTreeSet<ObjectKey>, trouble: Trouble, is_paused: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (moment, words) = (Instant::now(), trouble.to_string());
        let mut is_news = false;
        for key in keys {
            let fight = entry.fights.entry(key.clone()).or_default();
            is_news |= fight.strike(moment, FREE) | (fight.failure != words);
            fight.failure.clone_from(&words);
        }
        // What is missing may be missing because of a pause.
        let is_refused = matches!(trouble, Trouble::Start(Start::Refused(_)));
        if is_news && !(is_paused && is_refused) {
            entry.inbox.tell(Note::Failed(trouble));
        }
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

    fn is_quiet(&self, change: &Change) -> bool {
        let key = change.before().or(change.after()).and_then(|object| object.key());
        let words = key.and_then(|key| self.quiet.get(&key));
        words.is_some_and(|words| *words == change.to_string())
    }
}

impl Fight {
    fn is_paused(&self, moment: Instant) -> bool {
        self.until.is_some_and(|until| moment < until)
    }

    /// Whether it has been left alone for long enough.
    fn is_over(&self, moment: Instant) -> bool {
        let calm = CALM.max(2 * self.pause);
        self.last.is_none_or(|last| moment.saturating_duration_since(last) > calm)
    }

    /// Once more; counts from `least` on. Whether that is to be told: the first pause, and each that is longer, and now
    /// and then when they are no longer.
    fn strike(&mut self, moment: Instant, least: u32) -> bool {
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
        let (mut freezes, looked) = (State::default(), Instant::now());
        let until = Some(looked + Duration::from_nanos(1));
        let fight = Fight { times: 6, last: Some(looked), until, ..Fight::default() };
        let entry = Entry {
            selection: Selection::interface(7),
            target: state(1500),
            is_active: true,
            fights: [(ObjectKey::Link(7), fight)].into(),
            quiet: BTreeMap::new(),
            inbox: Inbox::new().expect("an eventfd"),
        };
        freezes.entries.insert(0, entry);
        while Some(Instant::now()) <= until {}
        assert_eq!(freezes.due(0, &state(1400), looked), until);
        // Nothing is due for what does not differ, nor again for whoever has looked since.
        assert_eq!(freezes.due(0, &state(1500), looked), None);
        assert_eq!(freezes.due(0, &state(1400), Instant::now()), None);
        let work = freezes.work(0, &state(1400), &BTreeSet::new());
        assert_eq!(work.map(|work| work.open.len()), Some(1));
    }
}
