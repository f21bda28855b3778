//! The states that were shown, as long as somebody wants them: readers of event queues, and the history.
//!
//! The reader thread appends a state, which costs the same for one queue as for a hundred; each queue has a place in the
//! log, and finds differences by itself on its own thread. Nothing is kept that no queue has still to read and that is
//! not to be remembered. A queue that is behind by more states than its capacity holds none of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use crate::state::{Silence, Snapshot};
use crate::sys::Waker;
use crate::sys::sync::clock;

/// Whom a change is put down to.
///
/// The kernel does not say who changes an interface or an IPv6 address (K11). What is certain is when: a change is a
/// transaction's if it was seen between the transaction's first request and the moment when everything that it had
/// caused was seen. Another program's change in just that time is put down to the transaction too; a change that is
/// foreign is certainly none of a transaction's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Seen while this transaction of the same database was carried out, or rolled back.
    Transaction(Uuid),
    /// Seen while none was: another program's, or the kernel's own, also in late consequence of a transaction (the end
    /// of duplicate address detection, a carrier that comes up).
    Foreign,
    /// Never told, or only later: what follows from a change that was, as the kernel takes away routes over an interface
    /// that goes down, and what was found by asking for an object of which it does not say everything. With the
    /// transaction that the other change is put down to, if it is one's.
    Silence(Option<Uuid>),
    /// Found when everything was read anew, after a loss or on request: made by whomever.
    Resync,
    /// Of several changes in one piece, made by more than one of these.
    Several,
    /// None: a callback has panicked, which is told to every queue once for each callback.
    Callback,
}

impl Cause {
    /// The transaction that it is put down to, also where it follows from that in silence.
    pub fn transaction(self) -> Option<Uuid> {
        match self {
            Cause::Transaction(id) => Some(id),
            Cause::Silence(of) => of,
            _ => None,
        }
    }
}

/// How much of the past is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// So many states, the newest among them.
    pub states: usize,
    /// Those that were the newest at some moment within this time.
    pub age: Duration,
}

/// A state, and how it came about.
#[derive(Clone)]
pub struct Entry {
    /// The state.
    pub snapshot: Snapshot,
    /// Whom its changes are put down to.
    pub cause: Cause,
    /// What of it the kernel has not said.
    pub silence: Silence,
    /// When it was shown.
    pub at: Instant,
    /// The same by the system's clock.
    pub time: SystemTime,
    /// The words of a callback that has panicked.
    pub note: Option<Arc<str>>,
}

impl Entry {
    /// Shown now.
    pub fn new(snapshot: Snapshot, cause: Cause) -> Self {
        let (at, time) = (clock(), SystemTime::now());
        Entry { snapshot, cause, silence: Silence::default(), at, time, note: None }
    }
}

/// How a queue gathers what is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// State by state.
    Each,
    /// All that is waiting, in one piece.
    All,
    /// All in one piece, when nothing has come for the first time, or something has waited for the second.
    Quiet(Duration, Duration),
}

/// What a queue gets.
pub enum Taken {
    /// Nothing is waiting.
    Nothing,
    /// There is something; it is due then.
    Due(Instant),
    /// The next state, or the newest where all is gathered.
    State(Entry),
    /// The newest state; those before it are gone.
    Lagged(Entry),
}

struct Place {
    /// The number of the entry that it reads next.
    next: u64,
    capacity: u64,
    /// When the first of those that it has not read came.
    waiting_since: Option<Instant>,
    waker: Arc<Waker>,
    /// Whether anybody looks at the waker's descriptor.
    is_polled: bool,
    is_signalled: bool,
}

impl Place {
    fn signal(&mut self) {
        if self.is_polled && !self.is_signalled {
            // It cannot fail but for a closed descriptor, and it is open as long as this is there.
            self.is_signalled = self.waker.wake().is_ok();
        }
    }
}

/// See the module's head.
pub struct Log {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    history: Option<History>,
    /// The number of the first entry that is remembered.
    remembered: u64,
    places: BTreeMap<u64, Place>,
    next_place: u64,
}

impl Log {
    /// An empty one.
    pub fn new(history: Option<History>) -> Self {
        Log {
            entries: VecDeque::new(),
            first: 0,
            history,
            remembered: 0,
            places: BTreeMap::new(),
            next_place: 0,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Appends what `entry` makes, if anybody wants it. What nobody wants any more comes back, to be dropped where that
    /// holds up nobody.
    #[must_use]
    pub fn push(&mut self, entry: impl FnOnce() -> Entry) -> Vec<Entry> {
        if self.places.is_empty() && self.history.is_none() {
            return Vec::new();
        }
        let entry = entry();
        for place in self.places.values_mut() {
            place.waiting_since.get_or_insert(entry.at);
        }
        self.entries.push_back(entry);
        self.signal();
        self.trim()
    }

    /// Makes every descriptor readable that somebody looks at.
    pub(super) fn signal(&mut self) {
        self.places.values_mut().for_each(Place::signal);
    }

    #[must_use]
    fn trim(&mut self) -> Vec<Entry> {
        let end = self.end();
        let of = |place: &Place| place.next.max(end.saturating_sub(place.capacity));
        let unread = self.places.values().map(of).min().unwrap_or(end);
        let wanted = unread.min(self.remember());
        let excess = usize::try_from(wanted.saturating_sub(self.first)).unwrap_or(0);
        self.first += excess as u64;
        self.entries.drain(..excess).collect()
    }

    /// The number of the first entry that is to be remembered.
    fn remember(&mut self) -> u64 {
        let end = self.end();
        let Some(History { states, age }) = self.history else { return end };
        let states = u64::try_from(states.max(1)).unwrap_or(u64::MAX);
        self.remembered = self.remembered.max(end.saturating_sub(states));
        if let Some(since) = clock().checked_sub(age) {
            // The newest state before that moment was the state at that moment.
            while self.entry(self.remembered + 1).is_some_and(|next| next.at <= since) {
                self.remembered += 1;
            }
        }
        self.remembered
    }

    /// A new queue, which begins after the newest state.
    pub fn subscribe(&mut self, capacity: usize, waker: Arc<Waker>) -> u64 {
        let id = self.next_place;
        self.next_place += 1;
        let place = Place {
            next: self.end(),
            capacity: u64::try_from(capacity.max(1)).unwrap_or(u64::MAX),
            waiting_since: None,
            waker,
            is_polled: false,
            is_signalled: false,
        };
        self.places.insert(id, place);
        id
    }

    #[must_use]
    pub(super) fn unsubscribe(&mut self, id: u64) -> Vec<Entry> {
        self.places.remove(&id);
        self.trim()
    }

    /// What the queue gets now, and what nobody wants any more.
    #[must_use]
    pub fn take(&mut self, id: u64, gather: Gather, now: Instant) -> (Taken, Vec<Entry>) {
        let (end, first) = (self.end(), self.first);
        let Some(place) = self.places.get(&id) else { return (Taken::Nothing, Vec::new()) };
        let next = place.next;
        let waiting = end - next;
        if waiting == 0 {
            return (Taken::Nothing, Vec::new());
        }
        let has_lagged = waiting > place.capacity || next < first;
        if let Some(due) = self.due(id, gather, now).filter(|due| now < *due) {
            return (Taken::Due(due), Vec::new());
        }
        let taken = match (gather, has_lagged) {
            (Gather::Each, false) => self.entry(next).cloned().map(Taken::State),
            (Gather::Each, true) => self.entries.back().cloned().map(Taken::Lagged),
            _ => self.gathered(next).map(Taken::State),
        };
        let read = if gather == Gather::Each && !has_lagged { next + 1 } else { end };
        let since = self.entry(read).map(|entry| entry.at);
        if let Some(place) = self.places.get_mut(&id) {
            (place.next, place.waiting_since) = (read, since);
        }
        (taken.unwrap_or(Taken::Nothing), self.trim())
    }

    /// When what waits for this queue is to be given; `None` when nothing waits.
    pub(super) fn due(&self, id: u64, gather: Gather, now: Instant) -> Option<Instant> {
        let since = self.places.get(&id)?.waiting_since?;
        let last = self.entries.back()?.at;
        match gather {
            Gather::Quiet(quiet, most) => Some(later(last, quiet).min(later(since, most))),
            _ => Some(now),
        }
    }

    /// The newest state, as all that has come since an entry.
    fn gathered(&self, from: u64) -> Option<Entry> {
        let mut newest = self.entries.back()?.clone();
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(0);
        let mut causes = self.entries.range(skipped..).filter(|entry| entry.note.is_none());
        let first = causes.next().map(|entry| entry.cause);
        let is_one = causes.all(|entry| Some(entry.cause) == first);
        newest.cause = first.filter(|_| is_one).unwrap_or(Cause::Several);
        let all = self.entries.range(skipped..).map(|entry| &entry.silence);
        newest.silence = Silence::default().and(all.filter(|silence| !silence.is_empty()));
        newest.note = None;
        Some(newest)
    }

    /// Nothing is left for this queue: its descriptor is unreadable until something comes.
    pub(super) fn rest(&mut self, id: u64) {
        if let Some(place) = self.places.get_mut(&id).filter(|place| place.is_signalled) {
            place.is_signalled = place.waker.drain().is_err();
        }
    }

    /// Somebody looks at the queue's descriptor from now on; `is_ready` makes it readable at once.
    pub(super) fn poll(&mut self, id: u64, is_ready: bool) {
        let end = self.end();
        if let Some(place) = self.places.get_mut(&id) {
            place.is_polled = true;
            if is_ready || place.next < end {
                place.signal();
            }
        }
    }

    /// Whether anybody looks at a descriptor to learn of a state.
    pub(super) fn is_polled(&self) -> bool {
        self.places.values().any(|place| place.is_polled)
    }

    /// The states that are remembered, oldest first.
    fn past(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let from = usize::try_from(self.remembered.saturating_sub(self.first)).unwrap_or(0);
        let of = self.history.map_or(self.entries.len(), |_| from.min(self.entries.len()));
        self.entries.range(of..)
    }

    /// The state that was the newest one when this was the newest revision.
    pub(super) fn at(&self, revision: u64) -> Option<Snapshot> {
        let found = self.past().rev().find(|entry| entry.snapshot.revision() <= revision);
        found.map(|entry| entry.snapshot.clone())
    }

    /// The state that was the newest one at a moment.
    pub(super) fn before(&self, moment: Instant) -> Option<Snapshot> {
        let found = self.past().rev().find(|entry| entry.at <= moment);
        found.map(|entry| entry.snapshot.clone())
    }

    /// The same by the system's clock, which may have been set meanwhile.
    pub(super) fn before_time(&self, moment: SystemTime) -> Option<Snapshot> {
        let found = self.past().rev().find(|entry| entry.time <= moment);
        found.map(|entry| entry.snapshot.clone())
    }
}

/// Beyond what the clock can tell is in a century.
fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or_else(|| from + Duration::from_secs(100 * 365 * 86_400))
}
