//! Event queues, for users.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::{Db, Result};
use crate::engine::{Event, Subscription};
use crate::state::{Diff, Snapshot};
use crate::sys::sync::clock;

/// Every change, in order, from a state on that is known: nothing between that state and the first event is lost or
/// doubled, and who applies each change to what there was has what there is.
///
/// States wait in it until they are read, 8,192 of them unless [`EventOptions`](crate::EventOptions) say otherwise. Who
/// is too slow loses no state: there is one event then, of which [`Event::is_lagged`] holds, with all changes from the
/// state that was read last to the newest. Changes are found on the thread that reads the queue; any number of queues
/// costs the thread that follows the kernel nothing but a wake-up. It keeps the database open.
///
/// As an iterator it gives events for ever, and an error when the database can no longer follow the kernel. For
/// `poll`, `epoll` and the like its descriptor is readable while there is something to read:
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// let db = netlinkdb::Db::open()?;
/// let mut queue = db.events()?;
/// assert!(queue.try_next()?.is_none());
/// let done = db.interface("lo")?.set_mtu(1400).commit()?;
/// let event = queue.try_next()?.expect("a change");
/// assert_eq!(event.cause(), netlinkdb::Cause::Transaction(done.id()));
/// assert_eq!(event.to_string(), "~ link lo  mtu 65536 -> 1400");
/// assert_eq!(queue.snapshot().revision(), event.revision());
/// # Ok::<(), netlinkdb::Error>(())
/// ```
pub struct EventQueue {
    db: Db,
    queue: Subscription,
    has_ended: bool,
}

impl EventQueue {
    pub(super) fn new(db: Db, queue: Subscription) -> Self {
        EventQueue { db, queue, has_ended: false }
    }

    /// The state that the event given last led to, or a part of; at first the one that the queue begins at.
    pub fn snapshot(&self) -> &Snapshot {
        self.queue.snapshot()
    }

    /// The next event; `None` when there is none in this time.
    ///
    /// # Errors
    /// When the reader has ended and everything has been given.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Event>> {
        Ok(self.queue.next_within(time)?)
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// As [`EventQueue::next_within`].
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        self.next_within(Duration::ZERO)
    }

    /// Everything that has changed since the event given last, in one difference; `None` when nothing changes in this
    /// time. What changed and changed back is not in it.
    ///
    /// Of a state of which some changes were given as events, first the others.
    ///
    /// # Errors
    /// As [`EventQueue::next_within`].
    pub fn diff_within(&mut self, time: Duration) -> Result<Option<Diff>> {
        Ok(self.queue.diff_within(time)?)
    }

    /// How long until what waits is to be given: zero when there is an event now, `None` when nothing waits.
    ///
    /// With [`EventOptions::debounce`](crate::EventOptions::debounce) the descriptor is readable when something comes,
    /// and not again when it has waited long enough: this is the timeout for `poll` then.
    pub fn due_within(&self) -> Option<Duration> {
        self.queue.due().map(|due| due.saturating_duration_since(clock()))
    }
}

/// Events for ever; an error, and then nothing, when the reader has ended.
impl Iterator for EventQueue {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.has_ended {
            return None;
        }
        let next = self.next_within(Duration::MAX).transpose();
        self.has_ended = next.as_ref().is_none_or(Result::is_err);
        next
    }
}

/// Readable while there is something to read, and when the reader has ended.
impl AsFd for EventQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl AsRawFd for EventQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue")
            .field("db", &self.db)
            .field("snapshot", self.snapshot())
            .finish()
    }
}
