//! Callbacks: on the reader thread before a message is applied, and on a thread of their own after a state is shown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::events::{Event, EventOptions, Filter, Reading, Subscription};
use super::hooks::panic_text;
use super::log::{Cause, Entry};
use super::registry::Registration;
use super::shared::{Engine, Shared};
use super::sieve::{Notification, Sieve};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::sync::thread::{Builder, JoinHandle};

/// Counts the panics of a database's callbacks, and remembers whether this one has panicked before.
#[derive(Clone)]
pub struct Panics {
    total: Arc<AtomicU64>,
    has_panicked: Arc<AtomicBool>,
}

/// A panic of a callback.
#[derive(Debug)]
pub(super) struct Caught {
    /// Its words, if it is the callback's first.
    pub(super) first: Option<String>,
}

impl Panics {
    /// Of one callback, to be counted with those of all.
    pub fn new(total: &Arc<AtomicU64>) -> Self {
        Panics { total: Arc::clone(total), has_panicked: Arc::default() }
    }

    /// Calls; `None` when it ended as it should.
    pub(super) fn catch(&self, call: impl FnOnce()) -> Option<Caught> {
        let payload = catch_unwind(AssertUnwindSafe(call)).err()?;
        self.total.fetch_add(1, Ordering::SeqCst);
        let is_first = !self.has_panicked.swap(true, Ordering::SeqCst);
        let words = panic_text(&*payload).to_owned();
        // What was thrown may itself panic when it is dropped.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
        Some(Caught { first: is_first.then_some(words) })
    }
}

type Call = dyn FnMut(&Event) + Send;

/// A callback that sees what has changed.
#[derive(Clone)]
pub struct Post {
    filter: Filter,
    /// The revision that it begins after.
    since: u64,
    call: Arc<Mutex<Call>>,
    panics: Panics,
}

impl Post {
    /// From what it wants to see, the revision that it begins after, and what it does.
    pub fn new(
        filter: Filter,
        since: u64,
        call: impl FnMut(&Event) + Send + 'static,
        panics: Panics,
    ) -> Self {
        Post { filter, since, call: Arc::new(Mutex::new(call)), panics }
    }

    /// Calls it with what it wants to see of the event that was read last. The words of a panic, if it is its first.
    pub fn tell(&self, reading: &Reading, event: &Event) -> Option<String> {
        let event = reading.filtered(event, &self.filter)?;
        if event.revision() <= self.since && event.panic().is_none() {
            return None;
        }
        self.panics.catch(|| (*self.call.lock())(&event))?.first
    }
}

impl Shared {
    /// Tells every queue that a callback has panicked.
    pub(super) fn tell_panic(&self, words: &str) {
        let mut published = self.published();
        let snapshot = published.snapshot.clone();
        let entry = || Entry { note: Some(words.into()), ..Entry::new(snapshot, Cause::Callback) };
        let unwanted = published.log.push(entry);
        drop(published);
        self.changed.notify_all();
        drop(unwanted);
    }

    fn panics(&self) -> Panics {
        Panics::new(&self.panics)
    }
}

impl Engine {
    /// Calls this on the reader thread with every message about an object, before it is applied.
    pub fn on_notification(
        &self,
        filter: Filter,
        call: impl FnMut(&mut Notification) + Send + 'static,
    ) -> Registration {
        self.shared.sieves.add(Sieve::new(filter, call, self.shared.panics()))
    }

    /// Calls this with every change, in order, on the thread of all such callbacks.
    ///
    /// # Errors
    /// When the thread or a descriptor cannot be had.
    pub fn on_event(
        &self,
        filter: Filter,
        call: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Registration, Error> {
        let mut thread = self.callbacks.lock();
        if thread.is_none() {
            *thread = Some(self.start_callbacks()?);
        }
        let since = self.shared.published.lock().revision;
        Ok(self.shared.posts.add(Post::new(filter, since, call, self.shared.panics())))
    }

    fn start_callbacks(&self) -> Result<JoinHandle<()>, Error> {
        let queue = self.subscribe(EventOptions::default())?;
        let body = move || run(queue);
        let thread = Builder::new().name("netlinkdb-calls".to_owned()).spawn(body);
        thread.map_err(|error| Error::Thread(error.to_string()))
    }

    /// How often callbacks have panicked.
    pub fn callback_panics(&self) -> u64 {
        self.shared.panics.load(Ordering::SeqCst)
    }
}

/// Until the reader has ended.
fn run(mut queue: Subscription) {
    while let Ok(Some(event)) = queue.next_within(Duration::MAX) {
        for post in queue.shared().posts.all() {
            // It may use the database, and so wait: no lock is held but its own.
            if let Some(words) = post.tell(queue.reading(), &event) {
                queue.shared().tell_panic(&words);
            }
        }
    }
}
