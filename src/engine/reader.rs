//! The reader thread: drives the follower with what the sockets bring, and shows what it makes.
//!
//! Idle means asleep: the wait has no timeout, and nothing wakes it but a datagram or the waker.
//!
//! While it sleeps or wakes, whoever waits for a fence may take in what the event socket holds, and show it: to have a
//! sleeping thread do it takes longer than the work. That is all they do: what is to be asked, dumped, called or thrown
//! away is left to the reader, and so are floods.
//!
//! The event socket comes first: while more notifications wait than one system call brings, they are all taken out of
//! the kernel's buffer before the next few are applied, because there the kernel drops what does not fit.

use std::borrow::Cow;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::freeze::Freezes;
use super::log::{Cause, Entry, Log};
use super::registry::Registry;
use super::requests::Requests;
use super::shared::{Config, Published, Shared};
use super::sieve;
use super::trace::tell;
use super::waiting::Waiting;
use crate::object::Family;
use crate::state::{Follower, Losses, Outlet, Silence, Snapshot, Transmit, Update};
use crate::sys::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sys::sync::thread::{Builder, JoinHandle, panicking};
use crate::sys::sync::{Condvar, Mutex, MutexGuard, bounded};
use crate::sys::{Batch, Datagram, Namespace, Options, Received, Socket, Waker, wait};

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_ROUTE: u32 = 11;
const RTNLGRP_NEIGH: u32 = 3;
const RTNLGRP_IPV4_RULE: u32 = 8;
const RTNLGRP_IPV6_RULE: u32 = 19;
const RTNLGRP_MPLS_ROUTE: u32 = 27;
const RTNLGRP_NEXTHOP: u32 = 32;
const RTNLGRP_BRVLAN: u32 = 33;

/// How many creations of our own are remembered until their committer looks: far more than one wave has.
const REMEMBERED: usize = 65_536;

/// Pieces of what waits that are applied before a state is shown at the latest: some 10 ms of routes.
const BURST: u32 = 16;

/// Counts the databases of this process.
static DATABASES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

type Opened = (Arc<Shared>, Arc<Mutex<Reader>>, Requests);

/// Starts the reader. The thread enters the namespace and opens every socket there, so that no other thread ever
/// leaves its own.
pub(super) fn start(config: Config) -> Result<(Opened, JoinHandle<()>), Error> {
    let (to_opener, from_reader) = bounded(1);
    let body = move || match open(config) {
        Ok((shared, requests)) => {
            let reader = Arc::new(Mutex::new(Reader::new(Arc::clone(&shared))));
            if to_opener.send(Ok((shared, Arc::clone(&reader), requests))).is_ok() {
                Reader::run(reader.lock());
            }
        }
        // Nobody left to tell: the opener has gone.
        Err(error) => drop(to_opener.send(Err(error))),
    };
    let thread = Builder::new().name("netlinkdb".to_owned()).spawn(body);
    let thread = thread.map_err(|error| Error::Thread(error.to_string()))?;
    match from_reader.recv() {
        Ok(Ok(opened)) => Ok((opened, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Thread("it ended before it began".to_owned())),
    }
}

fn open(config: Config) -> Result<(Arc<Shared>, Requests), Error> {
    if let Some(namespace) = &config.namespace {
        namespace.enter().map_err(Error::system("enter the network namespace"))?;
    }
    let mut groups = vec![RTNLGRP_LINK];
    if config.views.addresses {
        groups.extend([RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]);
    }
    if config.views.routes {
        let families = [
            (Family::Inet, RTNLGRP_IPV4_ROUTE),
            (Family::Inet6, RTNLGRP_IPV6_ROUTE),
            // A group of every kernel, also of one without MPLS.
            (Family::MPLS, RTNLGRP_MPLS_ROUTE),
        ];
        let followed = families.into_iter().filter(|(family, _)| config.routes.has_family(*family));
        groups.extend(followed.map(|(_, group)| group));
    }
    if config.views.rules {
        groups.extend([RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE]);
    }
    if config.views.neighbours {
        groups.push(RTNLGRP_NEIGH);
    }
    // Routes and forwarding entries go with nexthop objects in silence.
    if config.views.routes || config.views.nexthops || config.views.neighbours {
        groups.push(RTNLGRP_NEXTHOP);
    }
    let newer_groups = vec![RTNLGRP_BRVLAN];
    let options =
        Options { groups, newer_groups, receive_buffer: Some(config.receive_buffer), strict: true };
    let event = Socket::open(&options).map_err(Error::system("open the event socket"))?;
    let request = open_plain("open the request socket")?;
    let here = Namespace::current().map_err(Error::system("find the network namespace"))?;
    let shared = Shared {
        event,
        waker: Waker::new().map_err(Error::system("open the waker"))?,
        published: Mutex::new(Published {
            snapshot: Snapshot::default(),
            revision: 0,
            lent: false,
            hurried: 0,
            waiting: 0,
            passed: 0,
            created: Vec::new(),
            losses: Losses::default(),
            live: false,
            log: Log::new(config.history),
            running: None,
            ended: None,
        }),
        changed: Condvar::new(),
        fence: AtomicU32::new(0),
        stop: AtomicBool::new(false),
        resync: AtomicBool::new(false),
        idle: AtomicBool::new(false),
        restored: Mutex::new(Vec::new()),
        proxies: AtomicBool::new(false),
        id: DATABASES.fetch_add(1, Ordering::Relaxed),
        hooks: Registry::default(),
        sieves: Registry::default(),
        posts: Registry::default(),
        freezes: Freezes::default(),
        panics: Arc::default(),
        config,
    };
    let requests = Requests::new(request, shared.config.patience, here);
    Ok((Arc::new(shared), requests))
}

/// A socket that hears no notifications.
fn open_plain(doing: &'static str) -> Result<Socket, Error> {
    let options = Options { strict: true, ..Options::default() };
    Socket::open(&options).map_err(Error::system(doing))
}

/// What the reader thread works with. Locked but while that sleeps and all is shown that it has taken in.
pub(super) struct Reader {
    shared: Arc<Shared>,
    follower: Follower,
    batch: Batch,
    waiting: Waiting,
    /// Pieces that have been applied since a state was shown.
    unshown: u32,
    /// Whether the snapshot that was shown has been taken back.
    lent: bool,
    dump: Option<(Socket, Batch)>,
    /// Whether somebody else does its work.
    has_stand_in: bool,
    /// How often everything had been read when a state was shown last.
    resyncs: u64,
}

impl Reader {
    fn new(shared: Arc<Shared>) -> Self {
        let follower = Follower::new(shared.config.views).with_routes(shared.config.routes.clone());
        let (batch, waiting) = (Batch::new(), Waiting::default());
        let (unshown, resyncs, dump) = (0, 0, None);
        let (lent, has_stand_in) = (false, false);
        Reader { shared, follower, batch, waiting, unshown, lent, dump, has_stand_in, resyncs }
    }

    /// Follows until it is told to stop or cannot go on; a panic is shown to waiters like any other end.
    fn run(reader: MutexGuard<'_, Self>) {
        let mut end = ShowEnd(reader);
        if let Err(error) = Self::follow(&mut end.0) {
            end.0.shared.published.lock().ended.get_or_insert(error);
        }
    }

    fn follow(reader: &mut MutexGuard<'_, Self>) -> Result<(), Error> {
        while !reader.shared.stop.load(Ordering::SeqCst) {
            reader.catch_up()?;
            Self::sleep(reader)?;
            reader.apply_some();
        }
        Ok(())
    }

    /// Sends what is to be asked, and shows what has come of it.
    fn catch_up(&mut self) -> Result<(), Error> {
        if self.shared.resync.swap(false, Ordering::SeqCst) {
            self.follower.resync();
        }
        if self.follower.is_draining() {
            self.drain()?;
        }
        // Wanted before the fence was sent that waits for it, and so seen before that is passed.
        if self.follower.is_live() && self.shared.proxies.swap(false, Ordering::SeqCst) {
            self.follower.ask_proxies();
        }
        while let Some(transmit) = self.follower.poll_transmit() {
            self.transmit(&transmit)?;
        }
        if let Some(ack) = self.follower.failure() {
            return Err(Error::Unreadable(ack.clone()));
        }
        if !self.follower.is_dumping() {
            self.dump = None;
        }
        self.adopt();
        if self.is_due() {
            self.publish();
        }
        Ok(())
    }

    /// Takes in what the event socket holds, and shows it, on the thread of somebody who waits for that. Where there is
    /// more to do, or there are callbacks, the reader is woken to do it. An error and a panic end the database, as on the
    /// reader's own thread.
    pub(super) fn stand_in(&mut self) {
        if !self.shared.idle.swap(false, Ordering::SeqCst) {
            return;
        }
        self.has_stand_in = true;
        let done = catch_unwind(AssertUnwindSafe(|| self.take_in()));
        self.has_stand_in = false;
        let error = match done {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => Error::Thread("it panicked".to_owned()),
        };
        self.shared.published.lock().ended.get_or_insert(error);
        self.shared.stop.store(true, Ordering::SeqCst);
        // The waker cannot fail but for a closed descriptor, and it is open as long as this is there.
        let _ = self.shared.waker.wake();
    }

    fn take_in(&mut self) -> Result<(), Error> {
        self.receive_event()?;
        if self.is_wanted_awake() {
            return self.shared.waker.wake().map_err(Error::system("wake the reader"));
        }
        self.publish();
        self.shared.idle.store(self.is_idle(), Ordering::SeqCst);
        Ok(())
    }

    /// Whether there is more to do before a state is shown. What is wanted together with a fence was wanted before it was
    /// sent, and so is seen here behind its answer.
    fn is_wanted_awake(&self) -> bool {
        let shared = &self.shared;
        !self.waiting.is_empty()
            || !self.follower.is_live()
            || self.follower.is_asking()
            || shared.resync.load(Ordering::SeqCst)
            || shared.proxies.load(Ordering::SeqCst)
            || !shared.restored.lock().is_empty()
    }

    /// Whether all that was taken in is shown, and nothing is asked for.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.unshown == 0
            && !self.lent
            && self.dump.is_none()
            && self.follower.is_settled()
    }

    /// Empties the event socket: until then it is deaf, and what is in it is older than what is dumped next (K1).
    fn drain(&mut self) -> Result<(), Error> {
        while !self.waiting.is_empty() {
            self.apply_some();
        }
        while self.receive_event()? != Received::Empty {}
        self.follower.handle_drained(self.shared.fence.load(Ordering::SeqCst));
        Ok(())
    }

    /// Before the next state is shown, and so before the fence of whoever asked for it is passed.
    fn adopt(&mut self) {
        if self.follower.is_live() {
            for (index, generation) in self.shared.restored.lock().drain(..) {
                self.follower.adopt(index, generation);
            }
        }
    }

    fn transmit(&mut self, transmit: &Transmit) -> Result<(), Error> {
        if transmit.outlet == Outlet::FreshDump {
            self.dump = Some((open_plain("open the dump socket")?, Batch::with_slots(4, 1 << 16)));
        }
        let socket = match (transmit.outlet, &self.dump) {
            (Outlet::Event, _) | (_, None) => &self.shared.event,
            (_, Some((socket, _))) => socket,
        };
        socket.send(&transmit.bytes).map_err(Error::system("ask the kernel for its state"))
    }

    /// Until something is to be read; does not sleep while notifications wait to be applied.
    fn sleep(reader: &mut MutexGuard<'_, Self>) -> Result<(), Error> {
        let shared = Arc::clone(&reader.shared);
        let (event, waker) = (shared.event.as_fd(), shared.waker.as_fd());
        let within = (!reader.waiting.is_empty()).then_some(Duration::ZERO);
        let is_idle = reader.is_idle();
        shared.idle.store(is_idle, Ordering::SeqCst);
        let dump = reader.dump.as_ref().map(|(dump, _)| dump);
        let ready = match dump {
            Some(dump) => wait([event, waker, dump.as_fd()], within),
            None if is_idle => {
                let ready = MutexGuard::unlocked(reader, || wait([event, waker], None));
                ready.map(|[heard, woken]| [heard, woken, false])
            }
            None => wait([event, waker], within).map(|[heard, woken]| [heard, woken, false]),
        };
        let [heard, woken, dumped] = ready.map_err(Error::system("wait for the kernel"))?;
        // Before anything is taken out of the socket: see `Engine::current`.
        shared.idle.store(false, Ordering::SeqCst);
        reader.receive(heard, woken, dumped)
    }

    fn receive(&mut self, heard: bool, woken: bool, dumped: bool) -> Result<(), Error> {
        if woken {
            self.shared.waker.drain().map_err(Error::system("reset the waker"))?;
        }
        if heard {
            self.receive_events()?;
        }
        if dumped {
            self.receive_dump()?;
        }
        Ok(())
    }

    /// Empties the kernel's buffer, as far as there is room for it here.
    fn receive_events(&mut self) -> Result<(), Error> {
        while !self.waiting.is_full() {
            self.receive_event()?;
            if !self.batch.is_full() || self.follower.is_draining() {
                break;
            }
        }
        Ok(())
    }

    fn receive_event(&mut self) -> Result<Received, Error> {
        let received = self
            .shared
            .event
            .receive(&mut self.batch)
            .map_err(Error::system("read notifications"))?;
        match received {
            // While draining, the loss is known and a further one changes nothing.
            Received::Overrun if self.follower.is_draining() => {}
            Received::Overrun => {
                tell!(warn, "the event socket overran: everything is read anew");
                self.follower.handle_overrun();
            }
            Received::Empty => {}
            Received::Datagrams => {
                // Callbacks are called on the reader thread. One that was registered after this look was so after the
                // kernel has said what is here.
                let for_reader = self.has_stand_in && !self.shared.sieves.is_empty();
                // Few, and none before them: they are applied from where they are.
                let few = self.waiting.is_empty() && !self.batch.is_full();
                let at_once = few && !for_reader || self.follower.is_draining();
                let unsifted = self.lent || self.has_stand_in;
                for datagram in self.batch.iter() {
                    match datagram {
                        Datagram::Data(bytes) if at_once => {
                            let bytes = sift(&self.shared, &self.follower, unsifted, bytes);
                            self.follower.handle_event(&bytes);
                        }
                        Datagram::Data(bytes) => self.waiting.push(bytes),
                        Datagram::Truncated { .. } => self.follower.handle_truncated(),
                        Datagram::Foreign { .. } => self.follower.handle_foreign(),
                    }
                }
            }
        }
        Ok(received)
    }

    /// Applies the first of what waits. After a loss that only throws it away, but for what is told once.
    fn apply_some(&mut self) {
        let Some(piece) = self.waiting.pop() else { return };
        match piece.is_brief() && self.follower.is_live() {
            true => self.take_back(),
            false if self.lent => self.publish(),
            false => {}
        }
        self.lend_nothing_to_callbacks();
        for datagram in piece.iter() {
            let datagram = sift(&self.shared, &self.follower, self.lent, datagram);
            self.follower.handle_event(&datagram);
        }
        self.waiting.recycle(piece);
        self.unshown += 1;
    }

    fn receive_dump(&mut self) -> Result<(), Error> {
        let Some((socket, batch)) = &mut self.dump else { return Ok(()) };
        match socket.receive(batch).map_err(Error::system("read the kernel's state"))? {
            Received::Empty => {}
            Received::Overrun => self.follower.handle_dump_loss(),
            Received::Datagrams => {
                for datagram in batch.iter() {
                    match datagram {
                        Datagram::Data(bytes) => {
                            let bytes = sift(&self.shared, &self.follower, self.lent, bytes);
                            self.follower.handle_dump(&bytes);
                        }
                        Datagram::Truncated { .. } => self.follower.handle_dump_loss(),
                        Datagram::Foreign { .. } => self.follower.handle_foreign(),
                    }
                }
            }
        }
        Ok(())
    }

    /// A callback on this thread may look at the snapshot: it must be there, for nobody else could give it back.
    fn lend_nothing_to_callbacks(&mut self) {
        if self.lent && !self.shared.sieves.is_empty() {
            self.publish();
        }
    }

    /// So that nobody holds the state that changes, unless a user does; not from under somebody who waits for it.
    fn take_back(&mut self) {
        if self.lent || !self.shared.sieves.is_empty() {
            return;
        }
        let mut published = self.shared.published.lock();
        if published.hurried == 0 && published.live {
            (self.lent, published.lent) = (true, true);
            published.snapshot = Snapshot::default();
        }
    }

    /// Whether a state is to be shown now: when nothing waits to be applied, and otherwise for those who wait for it.
    /// Each state that is shown costs a copy of every node that changes after it.
    fn is_due(&self) -> bool {
        if self.waiting.is_empty() || !self.follower.is_live() {
            return true;
        }
        let published = self.shared.published.lock();
        let is_stale = self.unshown >= BURST
            && (published.waiting > 0 || published.log.is_polled() || !self.lent);
        published.hurried > 0 || is_stale
    }

    /// Swaps, then notifies.
    fn publish(&mut self) {
        let update = self.follower.poll_update();
        let back = std::mem::take(&mut self.lent).then(|| self.follower.last());
        self.unshown = 0;
        let live = self.follower.is_live();
        let losses = self.follower.losses();
        let mut published = self.shared.published.lock();
        let turned = published.live != live || published.losses != losses;
        (published.live, published.losses) = (live, losses);
        if update.is_none() && back.is_none() && !turned {
            return;
        }
        // While it was lent, what was shown last kept its revision.
        let before = published.revision;
        if let Some(snapshot) = back {
            published.revision = snapshot.revision();
            (published.snapshot, published.lent) = (snapshot, false);
        }
        let mut unwanted = Vec::new();
        if let Some(Update { snapshot, passed, created, silence }) = update {
            let is_anew = std::mem::replace(&mut self.resyncs, losses.resyncs) != losses.resyncs;
            if is_anew {
                tell!(info, resyncs = losses.resyncs, "everything was read");
            }
            let own = published.running.map_or(Cause::Foreign, Cause::Transaction);
            let cause = if is_anew { Cause::Resync } else { own };
            if snapshot.revision() != before {
                let silence = if is_anew { Silence::default() } else { silence };
                let entry = || Entry { silence, ..Entry::new(snapshot.clone(), cause) };
                unwanted = published.log.push(entry);
            }
            published.revision = snapshot.revision();
            published.snapshot = snapshot;
            published.passed = passed;
            published.created.extend(created);
            let excess = published.created.len().saturating_sub(REMEMBERED);
            published.created.drain(..excess);
        }
        drop(published);
        self.shared.changed.notify_all();
        drop(unwanted);
    }
}

/// What callbacks leave of a datagram; all of it where it is thrown away anyhow.
fn sift<'a>(
    shared: &Shared,
    follower: &Follower,
    unsifted: bool,
    datagram: &'a [u8],
) -> Cow<'a, [u8]> {
    // A callback that was registered since the snapshot was taken back sees what comes when that is there again.
    if unsifted || shared.sieves.is_empty() || follower.is_draining() {
        return Cow::Borrowed(datagram);
    }
    let mut told = Vec::new();
    let left = sieve::sift(&shared.sieves, datagram, &mut told);
    told.iter().for_each(|words| shared.tell_panic(words));
    left
}

/// Tells every waiter that the reader has ended, also when it ends in a panic, and leaves the last state to be seen.
struct ShowEnd<'a>(MutexGuard<'a, Reader>);

impl Drop for ShowEnd<'_> {
    fn drop(&mut self) {
        let panicked = panicking();
        let end = if panicked { Error::Thread("it panicked".to_owned()) } else { Error::Closed };
        let back = self.0.lent.then(|| self.0.follower.last());
        let mut published = self.0.shared.published.lock();
        published.ended.get_or_insert(end);
        if let Some(snapshot) = back {
            (published.snapshot, published.lent) = (snapshot, false);
        }
        published.log.signal();
        drop(published);
        self.0.shared.changed.notify_all();
    }
}
