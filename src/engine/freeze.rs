//! Holding objects fast: what others change of them is made again what it was.
//!
//! One thread enforces all freezes of a database, from the first to the last. It sleeps until a state is shown, finds by
//! comparing with each freeze's target whether something differs that the freeze speaks of, and commits the way back.
//! It does so under the lock that keeps commits apart, and a commit of the database moves the targets before it gives
//! that lock back: so there is no moment at which a commit that holds is taken for somebody else's change.
//! What differs, what is done about it and when is said by [`Holds`].

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Error;
use super::commit::{Start, Terms};
use super::hooks::panic_text;
use super::requests::Requests;
use super::shared::{Engine, Shared};
use crate::plan::{Draft, Failure, Holds, Outcome, Residue, Round, Selection, Undone, Way, Word};
use crate::state::{Ask, Change, Snapshot};
use crate::sys::Waker;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::sync::{Condvar, Mutex, clock};

/// How many reports wait to be read, at most.
const REPORTS: usize = 1024;
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
    holds: Holds,
    inboxes: BTreeMap<u64, Arc<Inbox>>,
    is_enforcing: bool,
    thread: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
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
    Failed(Box<Trouble>),
}

/// Why something could not be undone.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It cannot come back, or the kernel could not be reached.
    Start(Start),
    /// The way back failed, and was itself undone; what interfaces had that were made anew for that.
    RolledBack(Failure, Vec<String>, Snapshot),
    /// Some of the way back could not be undone; the same.
    Torn(Failure, Vec<Residue>, Vec<String>, Snapshot),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Start(Start::Refused(refusal)) => write!(f, "{refusal}"),
            Trouble::Start(Start::Unreached(error) | Start::CutOff(error)) => write!(f, "{error}"),
            Trouble::RolledBack(failure, ..) | Trouble::Torn(failure, ..) => write!(f, "{failure}"),
        }
    }
}

impl crate::plan::Trouble for Trouble {
    fn is_refusal(&self) -> bool {
        matches!(self, Trouble::Start(Start::Refused(_)))
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
        let deadline = clock().checked_add(time);
        let mut inside = self.inside.lock();
        loop {
            if let Some(note) = inside.notes.pop_front() {
                return Some(note);
            }
            let _ = self.waker.drain();
            match deadline {
                Some(at) if at <= clock() => return None,
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
        let mut state = self.shared.freezes.state.lock();
        let id = state.holds.add(selection, target).map_err(Start::Refused)?;
        state.inboxes.insert(id, Arc::clone(&inbox));
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
        state.holds.activate(hold.id, true);
        drop(state);
        self.kick();
        Ok(())
    }

    /// Ends a freeze: what is undone of others' changes is undone when this returns, and nothing is from then on. On a
    /// thread that a commit waits for it does not wait for what is being undone just now.
    pub fn thaw(&self, hold: &Hold) {
        let mut state = self.shared.freezes.state.lock();
        state.holds.remove(hold.id);
        state.inboxes.remove(&hold.id);
        let thread = if state.holds.is_empty() { state.thread.take() } else { None };
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
            if thread.thread().id() != thread::current().id() {
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
        for id in state.holds.ids() {
            state.holds.activate(id, false);
        }
        for inbox in state.inboxes.values() {
            let trouble = Trouble::Start(Start::Unreached(error.clone()));
            inbox.tell(Note::Failed(Box::new(trouble)));
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
            let began = clock();
            if self.look(&now, began) {
                self.enforce_once(began, stop);
                // What the commits have led to is looked at once more.
                revision = None;
            } else {
                let next = self.shared.freezes.state.lock().holds.due(&now, since(began));
                due = next.map(|next| beginning() + next);
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
                || due.is_some_and(|due| due <= clock());
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
    fn look(&self, now: &Snapshot, moment: Instant) -> bool {
        self.shared.freezes.state.lock().holds.look(now, since(moment))
    }

    /// Undoes what there is to be undone.
    fn enforce_once(&self, began: Instant, stop: &AtomicBool) {
        let mut requests = self.requests.lock();
        let _enforcing = Enforcing::new(self);
        let ids = self.shared.freezes.state.lock().holds.ids();
        for id in ids {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            self.enforce_one(id, began, &mut requests);
        }
    }

    fn enforce_one(&self, id: u64, began: Instant, requests: &mut Requests) {
        let mut round = Round::new(id);
        loop {
            let now = self.snapshot();
            let way = {
                let mut state = self.shared.freezes.state.lock();
                round.poll(&mut state.holds, &now, since(clock()))
            };
            let Some(way) = way else { return };
            let (undone, now) = self.undo(&way, requests);
            let mut state = self.shared.freezes.state.lock();
            let told = round.handle(&mut state.holds, way, undone, &now, since(clock()));
            if let Some(inbox) = state.inboxes.get(&id) {
                told.into_iter().for_each(|word| inbox.tell(Note::of(word, began)));
            }
        }
    }

    /// Commits a way back. With the state after it.
    fn undo(&self, way: &Way, requests: &mut Requests) -> (Undone<Trouble>, Snapshot) {
        let refused = |refusal| Trouble::Start(Start::Refused(refusal));
        let (draft, touched) = match way.draft() {
            Ok((_, touched)) if touched.is_empty() => {
                return (Undone::Done(touched), way.now().clone());
            }
            Ok(found) => found,
            Err(refusal) => return (Undone::Failed(refused(refusal)), self.snapshot()),
        };
        let terms = Terms { id: Uuid::new_v4(), hooks: &[], deadline: None, watcher: None };
        let trouble = match self.commit_with(&draft, &terms, requests) {
            Ok(Outcome::Committed { snapshot, created }) => {
                // Handles on interfaces that were brought back hold again, where they have the index that they had.
                let back = way.restored(&snapshot, created.into_values());
                let adopted = (!back.is_empty()).then(|| self.adopt(back));
                let now = adopted.and_then(Result::ok).unwrap_or(snapshot);
                return (Undone::Done(touched), now);
            }
            Ok(Outcome::RolledBack { cause, untold, snapshot }) => {
                Trouble::RolledBack(cause, untold, snapshot)
            }
            Ok(Outcome::Torn { cause, residue, untold, snapshot }) => {
                Trouble::Torn(cause, residue, untold, snapshot)
            }
            Err(start) => Trouble::Start(start),
        };
        let now = self.snapshot();
        let is_outdated = now.revision() != way.now().revision();
        let undone = match &trouble {
            Trouble::Start(Start::Refused(_)) if is_outdated => Undone::Outdated(trouble),
            _ => Undone::Failed(trouble),
        };
        (undone, now)
    }

    /// A commit of this database holds, and moves what is held. Whoever calls has the lock that keeps commits apart.
    pub(super) fn move_frozen(
        &self,
        draft: &Draft,
        before: &Snapshot,
        after: &Snapshot,
        created: &BTreeMap<u64, u32>,
    ) {
        self.shared.freezes.state.lock().holds.handle_commit(draft, before, after, created);
    }
}

/// From when on moments are counted.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(clock)
}

fn since(moment: Instant) -> Duration {
    moment.saturating_duration_since(beginning())
}

impl Note {
    fn of(word: Word<Trouble>, began: Instant) -> Self {
        match word {
            Word::Reverted(changes) => Note::Reverted { changes, took: began.elapsed() },
            Word::Contested { change, times, pause } => Note::Contested { change, times, pause },
            Word::Failed(trouble) => Note::Failed(Box::new(trouble)),
        }
    }
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
    ids.any(|id| id == thread::current().id())
}
