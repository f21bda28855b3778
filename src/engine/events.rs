//! Event queues: every change of the state, in order, on the thread of whoever reads them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Error;
use super::log::{Cause, Entry, Gather, Taken};
use super::shared::{Engine, Shared};
use crate::state::{Change, Diff, Object, ObjectKind, Snapshot};
use crate::sys::Waker;
use crate::sys::sync::clock;

/// One change; or, when the queue's reader was too slow, all that it has missed in one piece.
#[derive(Clone, Debug)]
pub struct Event {
    revision: u64,
    cause: Cause,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Changed(Box<Change>),
    Lagged(Diff),
    Panicked(Arc<str>),
}

impl Event {
    /// The revision of the state that it leads to. Several events may share one.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whom it is put down to.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The change. Of an event that says that its reader has lagged, all changes from the state that was seen last,
    /// possibly none; nothing is missing in them but what has changed back.
    pub fn changes(&self) -> &[Change] {
        match &self.what {
            What::Changed(change) => std::slice::from_ref(change),
            What::Lagged(diff) => diff.changes(),
            What::Panicked(_) => &[],
        }
    }

    /// The object before; `None` when it was not there, or when this is not one change.
    pub fn before(&self) -> Option<&Object> {
        match &self.what {
            What::Changed(change) => change.before(),
            _ => None,
        }
    }

    /// The object after; `None` when it is gone, or when this is not one change.
    pub fn after(&self) -> Option<&Object> {
        match &self.what {
            What::Changed(change) => change.after(),
            _ => None,
        }
    }

    /// Whether the reader was too slow: more states were waiting than the queue holds. The changes are complete, the
    /// states between are not seen.
    pub fn is_lagged(&self) -> bool {
        matches!(self.what, What::Lagged(_))
    }

    /// The words of a callback's panic, of which this tells. It has no changes.
    pub fn panic(&self) -> Option<&str> {
        match &self.what {
            What::Panicked(words) => Some(words),
            _ => None,
        }
    }
}

/// The change, as [`Change`] prints it; of several, each on a line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Changed(change) => change.fmt(f),
            What::Panicked(words) => write!(f, "a callback has panicked: {words}"),
            What::Lagged(diff) => {
                write!(f, "too slow: {} changes in one piece", diff.len())?;
                diff.into_iter().try_for_each(|change| write!(f, "\n{change}"))
            }
        }
    }
}

/// Which changes are wanted. What is not said is not asked for: the default is all of them.
///
/// ```
/// use netlinkdb::{Filter, ObjectKind};
///
/// // Bridges, what is on them, and no routes.
/// let filter = Filter::default().objects([ObjectKind::Link, ObjectKind::Address]).link_kind("bridge");
/// # drop(filter);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    objects: Option<Vec<ObjectKind>>,
    link_kinds: Option<Vec<String>>,
    indexes: Option<Vec<u32>>,
}

impl Filter {
    /// Objects of these kinds only.
    pub fn objects(mut self, kinds: impl IntoIterator<Item = ObjectKind>) -> Self {
        self.objects.get_or_insert_default().extend(kinds);
        self
    }

    /// Interfaces of this kind (`bridge`, `veth`; empty for those without one, such as `lo`), and addresses, routes, nexthops and neighbours on
    /// such interfaces, only. Called again, of that kind too.
    pub fn link_kind(mut self, kind: impl Into<String>) -> Self {
        self.link_kinds.get_or_insert_default().push(kind.into());
        self
    }

    /// The interface with this index, and addresses and routes on it, only. Called again, that one too.
    pub fn index(mut self, index: u32) -> Self {
        self.indexes.get_or_insert_default().push(index);
        self
    }

    /// Whether the kind of object is wanted.
    pub(super) fn has_object(&self, kind: ObjectKind) -> bool {
        self.objects.as_ref().is_none_or(|wanted| wanted.contains(&kind))
    }

    /// Whether the interface is; `kind` is its kind.
    pub(super) fn has_link(&self, index: u32, kind: &str) -> bool {
        self.indexes.as_ref().is_none_or(|wanted| wanted.contains(&index))
            && self.link_kinds.as_ref().is_none_or(|wanted| wanted.iter().any(|own| own == kind))
    }

    fn is_everything(&self) -> bool {
        *self == Filter::default()
    }

    fn has(&self, change: &Change, before: &Snapshot, after: &Snapshot) -> bool {
        let sides = [(change.before(), before), (change.after(), after)];
        sides.into_iter().any(|(object, state)| object.is_some_and(|o| self.has_in(o, state)))
    }

    fn has_in(&self, object: &Object, state: &Snapshot) -> bool {
        let kind = |index| state.link_by_index(index).and_then(|l| l.kind()).unwrap_or_default();
        let anywhere = self.link_kinds.is_none() && self.indexes.is_none();
        self.has_object(object.kind())
            && (anywhere || object.indexes().into_iter().any(|i| self.has_link(i, kind(i))))
    }
}

/// What an event queue gives, and how much it holds.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, EventOptions, Filter, ObjectKind};
/// use std::time::Duration;
///
/// let db = Db::open()?;
/// let options = EventOptions::default()
///     .filter(Filter::default().objects([ObjectKind::Link]))
///     .debounce(Duration::from_millis(5), Duration::from_secs(1));
/// let mut queue = db.events_with(options)?;
/// let lo = db.interface("lo")?;
/// lo.up().add_ip("10.0.0.1/32")?.commit()?;
/// lo.set_mtu(1400).commit()?;
/// let event = queue.next_within(Duration::from_secs(9))?.expect("one change");
/// assert!(event.to_string().contains("mtu 65536 -> 1400")); // and that it is up: both commits in one
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct EventOptions {
    filter: Filter,
    capacity: usize,
    gather: Gather,
}

impl Default for EventOptions {
    fn default() -> Self {
        EventOptions { filter: Filter::default(), capacity: 8192, gather: Gather::Each }
    }
}

impl EventOptions {
    /// Changes that the filter lets through; by default all.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// How many states may wait to be read, 1 at least; by default 8,192. A state holds all changes that the kernel's
    /// messages in one go have made. Who has more of them waiting gets one event with all changes since.
    pub fn capacity(mut self, states: usize) -> Self {
        self.capacity = states;
        self
    }

    /// Gives changes only when nothing has changed for the time `quiet`, or the first that waits has waited for the
    /// time `most`; then all of them as if they were of one state. What has changed back meanwhile is not seen.
    pub fn debounce(mut self, quiet: Duration, most: Duration) -> Self {
        self.gather = Gather::Quiet(quiet, most);
        self
    }
}

/// A place in the log of states, and the state that was read last.
pub struct Subscription {
    shared: Arc<Shared>,
    id: u64,
    reading: Reading,
    gather: Gather,
    waker: Arc<Waker>,
}

/// Makes events of the states that a queue takes out of the log, each from the one before.
pub struct Reading {
    seen: Snapshot,
    /// The state before that, where the newest events begin.
    before: Snapshot,
    filter: Filter,
    ready: VecDeque<Event>,
}

impl Engine {
    /// A queue of every change from now on: it begins at the newest state, and nothing is between.
    ///
    /// # Errors
    /// When a descriptor cannot be had.
    pub fn subscribe(&self, options: EventOptions) -> Result<Subscription, Error> {
        let EventOptions { filter, capacity, gather } = options;
        let waker = Arc::new(Waker::new().map_err(Error::system("open an eventfd"))?);
        let shared = Arc::clone(&self.shared);
        let mut published = shared.published();
        let id = published.log.subscribe(capacity, Arc::clone(&waker));
        let seen = published.snapshot.clone();
        drop(published);
        Ok(Subscription { shared, id, reading: Reading::new(seen, filter), gather, waker })
    }
}

impl Subscription {
    /// The state that the event given last led to; at first the one that the queue begins at.
    pub fn snapshot(&self) -> &Snapshot {
        &self.reading.seen
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The next event; `None` when there is none in this time.
    ///
    /// # Errors
    /// When the reader has ended and everything has been given.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Event>, Error> {
        let deadline = clock().checked_add(time);
        while self.reading.ready.is_empty() {
            let Some(taken) = self.take(self.gather, deadline)? else { return Ok(None) };
            self.reading.read(taken);
        }
        Ok(self.reading.next())
    }

    /// Everything that has changed since what was given last, when there is something, in one difference; of a state
    /// that was given in part, first the rest.
    ///
    /// # Errors
    /// As [`Subscription::next_within`].
    pub fn diff_within(&mut self, time: Duration) -> Result<Option<Diff>, Error> {
        let deadline = clock().checked_add(time);
        loop {
            let ready = self.reading.ready.drain(..);
            let ready: Vec<_> = ready.flat_map(Event::into_changes).collect();
            if !ready.is_empty() {
                return Ok(Some(Diff::of(ready)));
            }
            let Some(taken) = self.take(Gather::All, deadline)? else { return Ok(None) };
            self.reading.read(taken);
        }
    }

    /// Waits for something to read, until the deadline; `None` is for ever.
    fn take(&self, gather: Gather, deadline: Option<Instant>) -> Result<Option<Taken>, Error> {
        let mut published = self.shared.published.lock();
        let mut is_late = false;
        loop {
            let (taken, unwanted) = published.log.take(self.id, gather, clock());
            let until = match taken {
                Taken::State(_) | Taken::Lagged(_) => {
                    drop(published);
                    drop(unwanted);
                    return Ok(Some(taken));
                }
                Taken::Due(due) => Some(deadline.map_or(due, |deadline| deadline.min(due))),
                Taken::Nothing => deadline,
            };
            published.log.rest(self.id);
            if let (Taken::Nothing, Some(error)) = (&taken, &published.ended) {
                return Err(Error::Broken(Box::new(error.clone())));
            }
            if is_late || deadline.is_some_and(|deadline| deadline <= clock()) {
                return Ok(None);
            }
            published.waiting += 1;
            match until {
                Some(until) => {
                    let timed_out =
                        self.shared.changed.wait_until(&mut published, until).timed_out();
                    is_late = timed_out && Some(until) == deadline;
                }
                None => self.shared.changed.wait(&mut published),
            }
            published.waiting -= 1;
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// When to ask again, where changes wait for a quiet time.
    pub fn due(&self) -> Option<Instant> {
        let now = clock();
        if !self.reading.ready.is_empty() {
            return Some(now);
        }
        self.shared.published.lock().log.due(self.id, self.gather, now)
    }
}

impl Reading {
    /// Begins at a state.
    pub fn new(seen: Snapshot, filter: Filter) -> Self {
        Reading { before: seen.clone(), seen, filter, ready: VecDeque::new() }
    }

    /// The state that the event given last led to.
    pub fn seen(&self) -> &Snapshot {
        &self.seen
    }

    /// The next event of what was taken in.
    #[allow(clippy::should_implement_trait, reason = "there may be more after there was none")]
    pub fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Takes in what was taken out of the log.
    pub fn read(&mut self, taken: Taken) {
        let (entry, has_lagged) = match taken {
            Taken::State(entry) => (entry, false),
            Taken::Lagged(entry) => (entry, true),
            Taken::Nothing | Taken::Due(_) => return,
        };
        let Entry { snapshot, cause, silence, note, .. } = entry;
        let revision = snapshot.revision();
        if let Some(words) = note.filter(|_| !has_lagged) {
            return self.ready.push_back(Event { revision, cause, what: What::Panicked(words) });
        }
        self.before = std::mem::replace(&mut self.seen, snapshot);
        let mut changes = self.before.diff(&self.seen).into_changes();
        if !self.filter.is_everything() {
            changes.retain(|change| self.filter.has(change, &self.before, &self.seen));
        }
        if has_lagged {
            let what = What::Lagged(Diff::of(changes));
            return self.ready.push_back(Event { revision, cause: Cause::Several, what });
        }
        let silent = silence.between(&self.before, &self.seen);
        let event = |change| {
            let cause = match silent.has(&change) {
                true => Cause::Silence(cause.transaction()),
                false => cause,
            };
            Event { revision, cause, what: What::Changed(Box::new(change)) }
        };
        self.ready.extend(changes.into_iter().map(event));
    }

    /// What a filter leaves of the event given last.
    pub(super) fn filtered<'a>(&self, event: &'a Event, filter: &Filter) -> Option<Cow<'a, Event>> {
        let has = |change: &Change| filter.has(change, &self.before, &self.seen);
        match &event.what {
            What::Changed(change) => has(change).then_some(Cow::Borrowed(event)),
            What::Lagged(diff) if !filter.is_everything() => {
                let left = diff.into_iter().filter(|change| has(change)).cloned();
                let what = What::Lagged(Diff::of(left.collect()));
                Some(Cow::Owned(Event { what, ..event.clone() }))
            }
            _ => Some(Cow::Borrowed(event)),
        }
    }
}

impl Event {
    fn into_changes(self) -> Vec<Change> {
        match self.what {
            What::Changed(change) => vec![*change],
            What::Lagged(diff) => diff.into_changes(),
            What::Panicked(_) => Vec::new(),
        }
    }
}

/// Readable while there is something to read.
impl AsFd for Subscription {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let mut published = self.shared.published.lock();
        let is_ready = !self.reading.ready.is_empty() || published.ended.is_some();
        published.log.poll(self.id, is_ready);
        drop(published);
        (*self.waker).as_fd()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let unwanted = self.shared.published.lock().log.unsubscribe(self.id);
        drop(unwanted);
    }
}
