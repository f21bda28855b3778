//! What the reader and everybody else share: the snapshot, the fences, the event socket.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use super::Error;
use super::callbacks::Post;
use super::freeze::Freezes;
use super::hooks::{self, Hook};
use super::journal::Journal;
use super::log::{History, Log};
use super::reader::{self, Reader};
use super::registry::{Registration, Registry};
use super::requests::Requests;
use super::sieve::Sieve;
use crate::state::{Ask, Losses, RouteView, Snapshot, Views, fence_request, is_later, next_fence};
use crate::sys::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::sync::thread::{self, JoinHandle, ThreadId};
use crate::sys::sync::{Condvar, Mutex, MutexGuard, clock};
use crate::sys::{Namespace, Socket, Waker, wait};

/// As long as the reader takes with a few notifications, or a thread to be woken.
const SHORT: Duration = Duration::from_micros(20);

/// What a database is opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace; `None` is that of the calling thread.
    pub namespace: Option<Namespace>,
    /// What is left out.
    pub views: Views,
    /// Which routes are followed.
    pub routes: RouteView,
    /// Bytes of receive buffer to ask for on the event socket.
    pub receive_buffer: usize,
    /// How long an answer of the kernel is waited for before it counts as lost.
    pub patience: Duration,
    /// What each commit hook may take, unless its transaction says otherwise.
    pub hook_deadline: Duration,
    /// How much of the past is remembered.
    pub history: Option<History>,
    /// The file from which a commit can be undone that is cut off.
    pub journal: Option<PathBuf>,
}

/// What the reader shows.
pub(super) struct Published {
    /// Nothing to be seen while it is [`lent`](Published::lent).
    pub(super) snapshot: Snapshot,
    /// That of the snapshot, also while it is lent.
    pub(super) revision: u64,
    /// In a flood of routes the reader takes the snapshot back, so that it changes the tables in place: whoever holds
    /// a snapshot makes it copy every node that changes. It is back when the flood is over, or at once for whoever asks:
    /// who would ask on the reader's own thread must be called only after it was shown.
    pub(super) lent: bool,
    /// How many wait for the snapshot itself to be back, which there is.
    pub(super) hurried: usize,
    /// How many wait for a newer state.
    pub(super) waiting: usize,
    pub(super) passed: u32,
    /// Links that appeared by our own requests, newest last: port, sequence number, index.
    pub(super) created: Vec<(u32, u32, u32)>,
    pub(super) losses: Losses,
    pub(super) live: bool,
    pub(super) log: Log,
    /// The transaction that is being carried out.
    pub(super) running: Option<Uuid>,
    /// Why the reader has ended.
    pub(super) ended: Option<Error>,
}

/// What the reader and everybody else share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) event: Socket,
    pub(super) waker: Waker,
    pub(super) published: Mutex<Published>,
    pub(super) changed: Condvar,
    pub(super) fence: AtomicU32,
    pub(super) stop: AtomicBool,
    pub(super) resync: AtomicBool,
    /// Whether the reader sleeps, and all that it has taken out of the event socket is in the snapshot.
    pub(super) idle: AtomicBool,
    /// Links that a rollback has brought back: index and generation. The reader takes them.
    pub(super) restored: Mutex<Vec<(u32, u64)>>,
    /// Whether all proxies are to be asked for.
    pub(super) proxies: AtomicBool,
    /// Which database this is, among all of this process.
    pub(super) id: u64,
    pub(super) hooks: Registry<Hook>,
    pub(super) sieves: Registry<Sieve>,
    pub(super) posts: Registry<Post>,
    pub(super) freezes: Freezes,
    /// How often callbacks have panicked.
    pub(super) panics: Arc<AtomicU64>,
}

impl Shared {
    /// What is shown, with the snapshot in it.
    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        let mut published = self.published.lock();
        while published.lent {
            published.hurried += 1;
            self.changed.wait(&mut published);
            published.hurried -= 1;
        }
        published
    }
}

/// A database that follows the kernel, until it is dropped.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    /// Held during a commit: commits of one database are serialized.
    pub(super) requests: Mutex<Requests>,
    /// Locked for a moment at a time, also while the requests are.
    pub(super) journal: Option<Mutex<Journal>>,
    reader: Arc<Mutex<Reader>>,
    thread: Option<JoinHandle<()>>,
    reader_id: ThreadId,
    /// The thread of the callbacks, once there is one.
    pub(super) callbacks: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the sockets, starts the reader and waits for the first snapshot.
    ///
    /// # Errors
    /// When a socket or the thread cannot be had, the namespace cannot be entered, or the kernel cannot be read.
    pub fn open(config: Config) -> Result<Self, Error> {
        let patience = config.patience;
        let open = |path: &PathBuf| Journal::open(path, config.namespace.as_ref());
        let journal = config.journal.as_ref().map(open).transpose()?.map(Mutex::new);
        let ((shared, reader, requests), thread) = reader::start(config)?;
        let reader_id = thread.thread().id();
        let engine = Engine {
            shared,
            requests: Mutex::new(requests),
            journal,
            reader,
            thread: Some(thread),
            reader_id,
            callbacks: Mutex::new(None),
        };
        engine.wait_for(patience, "the first snapshot", |published| published.live)?;
        Ok(engine)
    }

    /// The newest snapshot. In a flood of routes, that after the next few hundred of them.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.published().snapshot.clone()
    }

    /// The state that was the newest one when this was the newest revision, if it is remembered.
    pub fn at(&self, revision: u64) -> Option<Snapshot> {
        let published = self.shared.published();
        match published.revision {
            newest if newest <= revision => {
                (newest == revision).then(|| published.snapshot.clone())
            }
            _ => published.log.at(revision),
        }
    }

    /// The state that was the newest one at a moment, if it is remembered.
    pub fn before(&self, moment: Instant) -> Option<Snapshot> {
        self.shared.published.lock().log.before(moment)
    }

    /// The same by the system's clock.
    pub fn before_time(&self, moment: SystemTime) -> Option<Snapshot> {
        self.shared.published.lock().log.before_time(moment)
    }

    /// What is seen from now on is put down to this transaction, or to none.
    pub(super) fn put_down_to(&self, transaction: Option<Uuid>) {
        self.shared.published.lock().running = transaction;
    }

    /// What was lost and repaired so far.
    pub fn losses(&self) -> Losses {
        self.shared.published.lock().losses
    }

    /// Bytes of receive buffer that the event socket really has.
    pub fn receive_buffer(&self) -> usize {
        self.shared.event.receive_buffer()
    }

    /// How long an answer of the kernel is waited for.
    pub fn patience(&self) -> Duration {
        self.shared.config.patience
    }

    /// Whether this is the reader thread, which must not wait for itself.
    pub(super) fn is_reader(&self) -> bool {
        thread::current().id() == self.reader_id
    }

    /// Whether a commit on this thread would wait for itself.
    pub fn bars_commit(&self) -> Option<Error> {
        match (self.is_reader(), hooks::is_awaited_by(self.shared.id)) {
            (true, _) => Some(Error::FromReader),
            (false, true) => Some(Error::FromHook),
            (false, false) => None,
        }
    }

    /// Has this asked by every commit, until the registration is dropped.
    pub fn on_commit(&self, hook: Hook) -> Registration {
        self.shared.hooks.add(hook)
    }

    /// A snapshot that holds everything that the kernel has done before this call.
    ///
    /// # Errors
    /// When the reader has ended, or the kernel does not answer in time.
    pub fn fence(&self) -> Result<Snapshot, Error> {
        self.observe(&[])
    }

    /// As [`Engine::fence`], without one where it would tell nothing: the reader sleeps, and nothing waits for it in the
    /// event socket, where the kernel has put all that it has to say of what it has done (K2).
    ///
    /// # Errors
    /// As [`Engine::fence`].
    pub fn current(&self) -> Result<Snapshot, Error> {
        if self.is_reader() {
            return Err(Error::FromReader);
        }
        let waits = wait([self.shared.event.as_fd()], Some(Duration::ZERO));
        let [waits] = waits.map_err(Error::system("look whether notifications wait"))?;
        // In this order: the reader says that it is awake before it takes anything out.
        fence(Ordering::SeqCst);
        if !waits && self.shared.idle.load(Ordering::SeqCst) {
            let published = self.shared.published.lock();
            if published.live && !published.lent && published.ended.is_none() {
                return Ok(published.snapshot.clone());
            }
        }
        self.fence()
    }

    /// As [`Engine::fence`], and these objects are asked for: their silent changes are in it too.
    ///
    /// # Errors
    /// As [`Engine::fence`].
    pub fn observe(&self, refresh: &[Ask]) -> Result<Snapshot, Error> {
        if self.is_reader() {
            return Err(Error::FromReader);
        }
        if refresh.contains(&Ask::Proxies) {
            self.shared.proxies.store(true, Ordering::SeqCst);
            self.shared.waker.wake().map_err(Error::system("wake the reader"))?;
        }
        let requests: Vec<_> = refresh.iter().filter_map(|ask| ask.request()).collect();
        for some in requests.chunks(64) {
            let bytes = some.concat();
            self.shared
                .event
                .send(&bytes)
                .map_err(Error::system("ask for interfaces and addresses"))?;
        }
        let fence = self.ask_fence()?;
        self.stand_in();
        self.await_fence(fence)
    }

    /// Shows what the event socket holds without the reader, which takes longer to wake than that takes. The reader wakes
    /// from its own part of every notification: where this comes too late, or is not enough, it does the rest.
    fn stand_in(&self) {
        let deadline = clock() + SHORT;
        while self.shared.sieves.is_empty() {
            if let Some(mut reader) = self.reader.try_lock() {
                return reader.stand_in();
            }
            if clock() >= deadline {
                return;
            }
            thread::yield_now();
        }
    }

    /// Sends a fence, and gives its number.
    pub(super) fn ask_fence(&self) -> Result<u32, Error> {
        let advance = |fence| Some(next_fence(fence));
        let old = self.shared.fence.fetch_update(Ordering::SeqCst, Ordering::SeqCst, advance);
        let fence = next_fence(old.unwrap_or_else(|old| old));
        self.shared.event.send(&fence_request(fence)).map_err(Error::system("send a fence"))?;
        Ok(fence)
    }

    /// Waits until the reader has passed a fence, and gives the snapshot then.
    pub(super) fn await_fence(&self, fence: u32) -> Result<Snapshot, Error> {
        let passed = |published: &Published| published.live && !is_later(fence, published.passed);
        self.wait_for(self.shared.config.patience, "the kernel's answer to a fence", passed)
    }

    /// Gives links that a rollback has brought back the generation that they had, and shows that.
    ///
    /// # Errors
    /// As [`Engine::fence`].
    pub(super) fn adopt(
        &self,
        restored: impl IntoIterator<Item = (u32, u64)>,
    ) -> Result<Snapshot, Error> {
        self.shared.restored.lock().extend(restored);
        self.shared.waker.wake().map_err(Error::system("wake the reader"))?;
        self.fence()
    }

    /// Reads everything anew, and gives the snapshot after it.
    ///
    /// # Errors
    /// As [`Engine::fence`].
    pub fn resync(&self) -> Result<Snapshot, Error> {
        if self.is_reader() {
            return Err(Error::FromReader);
        }
        let before = self.losses().resyncs;
        self.shared.resync.store(true, Ordering::SeqCst);
        self.shared.waker.wake().map_err(Error::system("wake the reader"))?;
        let done = |published: &Published| published.live && published.losses.resyncs > before;
        self.wait_for(self.shared.config.patience, "a new reading of everything", done)
    }

    /// Waits until there is a snapshot for which `wanted` holds; `None` when the time is over first.
    ///
    /// # Errors
    /// When the reader has ended.
    pub fn wait_until(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Option<Snapshot>, Error> {
        if self.is_reader() {
            return Err(Error::FromReader);
        }
        let deadline = clock().checked_add(within);
        let mut seen = None;
        loop {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(clock()));
            let newer = |published: &Published| published.live && seen != Some(published.revision);
            let snapshot = match self.wait_for(left, "", newer) {
                Ok(snapshot) => snapshot,
                Err(Error::Late { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            // Outside the lock: what is asked may use the database.
            if wanted(&snapshot) {
                return Ok(Some(snapshot));
            }
            seen = Some(snapshot.revision());
        }
    }

    fn wait_for(
        &self,
        within: Duration,
        what: &'static str,
        mut wanted: impl FnMut(&Published) -> bool,
    ) -> Result<Snapshot, Error> {
        // A time beyond what the clock can tell is for ever.
        let deadline = clock().checked_add(within);
        let mut published = self.shared.published.lock();
        let mut late = false;
        loop {
            if let Some(error) = &published.ended {
                return Err(Error::Broken(Box::new(error.clone())));
            }
            let wanted = wanted(&published);
            if wanted && !published.lent {
                return Ok(published.snapshot.clone());
            }
            if late {
                return Err(Error::Late { what, within });
            }
            published.hurried += usize::from(wanted);
            published.waiting += 1;
            match deadline {
                Some(deadline) => {
                    late = self.shared.changed.wait_until(&mut published, deadline).timed_out()
                }
                None => self.shared.changed.wait(&mut published),
            }
            published.hurried -= usize::from(wanted);
            published.waiting -= 1;
        }
    }
}

impl Drop for Engine {
    /// Ends the reader and waits until it has ended.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The waker cannot fail but for a closed descriptor, and it is ours until here.
        let woken = self.shared.waker.wake().is_ok();
        if let Some(reader) = self.thread.take().filter(|_| woken && !self.is_reader()) {
            // A panic of the reader has been shown to every waiter; there is nobody to show it to here.
            drop(reader.join());
        }
        // It ends with the reader. A callback that runs holds the database, so that none does, unless this is its thread.
        let callbacks = self.callbacks.get_mut().take();
        let current = thread::current().id();
        if let Some(thread) = callbacks.filter(|thread| woken && thread.thread().id() != current) {
            drop(thread.join());
        }
    }
}
