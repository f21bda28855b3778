//! The database.

use std::fmt;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::{
    Committed, Edit, Error, EventQueue, Interface, JointTransaction, NetNs, ReadOnly, Recovery,
    Result, RouteHandle, RuleHandle, Transaction,
};
use crate::engine::{
    Config, Engine, Event, EventOptions, Filter, History, Hook, Notification, Registration,
};
use crate::object::route::RouteSpec;
use crate::object::{Family, LinkRef, RouteProtocol, RuleSpec};
use crate::plan::{Draft, Ensure, Refusal};
use crate::state::{Ask, Diff, Losses, RouteView, Snapshot, Views};
use crate::sys::{self, Namespace};

/// The network stack of one namespace as a database that follows the kernel.
///
/// A reader thread applies the kernel's notifications; [`Db::snapshot`] gives the newest state in constant time. A
/// clone is another handle on the same database; the thread ends, and is waited for, when the last one is dropped.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, Veth};
///
/// let db = Db::open()?;
/// let mut tx = db.begin();
/// let veth = tx.create(Veth::new("veth0", "veth1"))?;
/// tx.interface(&veth).add_ip("10.0.0.1/24")?.set_mtu(1400).up();
/// tx.commit()?;
///
/// let veth0 = db.interface("veth0")?;
/// assert_eq!(veth0.link()?.mtu(), 1400);
/// assert_eq!(veth0.addresses()?[0].to_string(), "inet 10.0.0.1/24 scope global veth0");
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    explicit: bool,
    /// Its namespace, as far as that can be had.
    namespace: std::result::Result<Namespace, sys::Error>,
}

/// Counts the transactions of this process: what one creates is never taken for what another one does.
static TRANSACTIONS: AtomicU64 = AtomicU64::new(0);

impl Db {
    /// Opens the database of the calling thread's namespace. Reading needs no privilege.
    ///
    /// # Errors
    /// When a socket or a thread cannot be had, or the kernel refuses to be read.
    pub fn open() -> Result<Self> {
        Db::builder().open()
    }

    /// Opens it otherwise than by default.
    pub fn builder() -> DbBuilder {
        DbBuilder::default()
    }

    /// Undoes what a process that was killed in the middle of a commit has left, or before it confirmed one
    /// ([`Transaction::commit_confirmed`]), from its journal ([`DbBuilder::journal`]), in the namespace of the calling
    /// thread.
    ///
    /// It ends as any rollback does: everything that the commit had changed is as before, read back and found so, or the
    /// error says what could not be undone ([`Error::is_torn`]). What other programs, and commits that have ended, have
    /// changed since stays. The commit is undone also when it was complete and its process was killed before it knew
    /// that. Of several, the newest is undone first. Then the journal is free for new commits.
    ///
    /// Call it when the program starts, before the database is opened:
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Recovery};
    ///
    /// let journal = std::env::temp_dir().join(format!("example-{}.journal", std::process::id()));
    /// match Db::recover(&journal)? {
    ///     Recovery::NoJournal | Recovery::NothingToDo => {}
    ///     undone => eprintln!("{undone}"),
    /// }
    /// let db = Db::builder().journal(&journal).open()?;
    /// let mut tx = db.begin();
    /// tx.create(Bridge::new("br0"))?;
    /// tx.commit()?; // killed here, the next `recover` brings back what was
    ///
    /// // While the database is open, the journal is its own.
    /// assert!(Db::recover(&journal).unwrap_err().is_journal());
    /// drop(db);
    /// assert!(matches!(Db::recover(&journal)?, Recovery::NothingToDo));
    /// # std::fs::remove_file(&journal).unwrap();
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the journal is in use, truncated, corrupt, of another version, from another boot or about another namespace
    /// ([`Error::is_journal`]): then nothing is changed. When the file may not be read and written; when the kernel
    /// cannot be reached; when something could not be undone. Only after the last of these the journal is free.
    pub fn recover(journal: impl AsRef<Path>) -> Result<Recovery> {
        Db::builder().recover(journal)
    }

    /// The newest state. Constant time; nothing that happens later shows in it.
    ///
    /// It may lag behind the kernel by what the reader has not read yet; [`Db::sync`] waits for that.
    pub fn snapshot(&self) -> Snapshot {
        self.inner.engine.snapshot()
    }

    /// The state with everything in it that the kernel has done before this call.
    ///
    /// Not by waiting for a time: by a question whose answer queues behind all notifications.
    ///
    /// # Errors
    /// When the reader has ended, or the kernel does not answer.
    pub fn sync(&self) -> Result<Snapshot> {
        Ok(self.inner.engine.current()?)
    }

    /// As [`Db::sync`], and asks for some interfaces anew: what other programs changed in silence is in it too.
    ///
    /// The kernel announces no change of an alias, a group or a bridge option while the interface is down, and never
    /// one of the fields that `netlinkdb`'s documentation lists as silent.
    ///
    /// # Errors
    /// As [`Db::sync`]; and when an interface is not there.
    pub fn refresh<R: Into<LinkRef>>(
        &self,
        interfaces: impl IntoIterator<Item = R>,
    ) -> Result<Snapshot> {
        let now = self.snapshot();
        let ask = |which: R| find(&now, &which.into()).map(|(index, _)| Ask::Link(index));
        let asked = interfaces.into_iter().map(ask).collect::<Result<Vec<_>>>()?;
        Ok(self.inner.engine.observe(&asked)?)
    }

    /// Reads everything anew. Handles and snapshots stay valid.
    ///
    /// # Errors
    /// As [`Db::sync`].
    pub fn resync(&self) -> Result<Snapshot> {
        Ok(self.inner.engine.resync()?)
    }

    /// A handle on the interface that a name, an alternative name or an index means.
    ///
    /// # Errors
    /// When there is none.
    pub fn interface(&self, which: impl Into<LinkRef>) -> Result<Interface<Edit>> {
        let (index, generation) = find(&self.snapshot(), &which.into())?;
        Ok(Interface::new(self.clone(), index, generation))
    }

    /// Handles on all interfaces, in the order of their indexes.
    pub fn interfaces(&self) -> Vec<Interface<Edit>> {
        let handle = |link: &crate::object::Link| {
            Interface::new(self.clone(), link.index(), link.generation())
        };
        self.snapshot().links().map(handle).collect()
    }

    /// A handle on the rule that the words mean: what they do not name does not count.
    ///
    /// # Errors
    /// When there is none, or several fit.
    pub fn rule(&self, which: impl Into<RuleSpec>) -> Result<RuleHandle> {
        let found = Draft::new(self.snapshot(), 0).find_rule(which.into())?;
        Ok(RuleHandle::new(self.clone(), found))
    }

    /// A handle on the route that the words mean: what they do not name does not count, but for the table, which is the
    /// main one.
    ///
    /// # Errors
    /// When there is none, or several fit.
    pub fn route(&self, which: impl Into<RouteSpec>) -> Result<RouteHandle> {
        let found = Draft::new(self.snapshot(), 0).find_route(which.into())?;
        Ok(RouteHandle::new(self.clone(), found))
    }

    /// Begins a transaction on the newest state. Several may be open at once.
    pub fn begin(&self) -> Transaction {
        let number = TRANSACTIONS.fetch_add(1, Ordering::Relaxed);
        // Room for 2^24 new interfaces in each transaction before numbers could meet.
        Transaction::new(self.clone(), number << 24)
    }

    /// A transaction that has one thing be there: see [`Transaction::ensure`].
    ///
    /// # Errors
    /// As there, and as [`Transaction::commit`].
    pub fn ensure(&self, what: impl Into<Ensure>) -> Result<Committed> {
        let mut tx = self.begin();
        tx.ensure(what)?;
        Ok(tx.commit()?)
    }

    /// Has `hook` asked by every commit of this database, before the transaction's own hooks, until the registration
    /// is dropped. See [`Transaction::on_commit`].
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// let db = netlinkdb::Db::open()?;
    /// let guard = db.on_commit(|now, _| match now.link("lo") {
    ///     Some(lo) if lo.is_up() => Ok(()),
    ///     _ => Err("the loopback stays up"),
    /// });
    /// let lo = db.interface("lo")?;
    /// lo.up().commit()?;
    /// assert!(lo.down().commit().unwrap_err().is_hook());
    /// assert!(lo.link()?.is_up());
    /// drop(guard);
    /// lo.down().commit()?;
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    #[track_caller]
    pub fn on_commit<E: fmt::Display>(
        &self,
        check: impl Fn(&Snapshot, &Diff) -> Result<(), E> + Send + Sync + 'static,
    ) -> Registration {
        self.inner.engine.on_commit(hook(Location::caller(), check))
    }

    /// Begins one transaction over several databases, each of another namespace: it holds in all of them or in none. See
    /// [`JointTransaction`].
    ///
    /// # Errors
    /// When two of them are of one namespace.
    pub fn transaction_over<'a>(
        databases: impl IntoIterator<Item = &'a Db>,
    ) -> Result<JointTransaction> {
        JointTransaction::new(databases.into_iter().map(Db::begin).collect())
    }

    /// The namespace that it follows.
    ///
    /// # Errors
    /// When it was opened where there is no `/proc` to tell.
    pub fn netns(&self) -> Result<NetNs> {
        let namespace = self.inner.namespace.clone().map(NetNs);
        namespace.map_err(|error| Error::system("find the network namespace", error))
    }

    /// The same database, from which nothing can be changed.
    pub fn read_only(&self) -> ReadOnlyDb {
        ReadOnlyDb(self.clone())
    }

    /// Waits until there is a state for which `wanted` holds, and gives it; `None` when the time is over first.
    ///
    /// `wanted` is asked for the present state and for every new one.
    ///
    /// # Errors
    /// When the reader has ended.
    pub fn wait_until(
        &self,
        within: Duration,
        wanted: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Option<Snapshot>> {
        Ok(self.inner.engine.wait_until(within, wanted)?)
    }

    /// A queue of every change from the present state on.
    ///
    /// # Errors
    /// When a descriptor cannot be had.
    pub fn events(&self) -> Result<EventQueue> {
        self.events_with(EventOptions::default())
    }

    /// The same with a filter, another capacity, or gathered until it is quiet.
    ///
    /// # Errors
    /// As [`Db::events`].
    pub fn events_with(&self, options: EventOptions) -> Result<EventQueue> {
        Ok(EventQueue::new(self.clone(), self.inner.engine.subscribe(options)?))
    }

    /// Calls `call` with every change from now on that the filter lets through, in order, until the registration is
    /// dropped. The state that the change leads to is shown by then, and perhaps newer ones.
    ///
    /// All such callbacks of a database are called on one thread of their own, one after the other in the order of
    /// registration: one that takes its time delays the others, and when 8,192 states wait they get one event with
    /// everything ([`Event::is_lagged`]). They may use the database freely, also commit. The database that they are
    /// given is better used than one that they bring along: that would be kept open until the registration is dropped.
    /// A panic is caught, counted in [`Db::callback_panics`], and told to every queue and callback once
    /// ([`Event::panic`]); the callback is called again for the next change.
    ///
    /// # Errors
    /// When the thread or a descriptor cannot be had.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, Filter};
    /// use std::sync::mpsc;
    ///
    /// let db = Db::open()?;
    /// let (say, told) = mpsc::channel();
    /// let guard = db.on_event(Filter::default(), move |_, event| drop(say.send(event.to_string())))?;
    /// db.interface("lo")?.set_mtu(1400).commit()?;
    /// assert_eq!(told.recv().unwrap(), "~ link lo  mtu 65536 -> 1400");
    /// drop(guard);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn on_event(
        &self,
        filter: Filter,
        mut call: impl FnMut(&Db, &Event) + Send + 'static,
    ) -> Result<Registration> {
        let inner = Arc::downgrade(&self.inner);
        let call = move |event: &Event| {
            if let Some(inner) = inner.upgrade() {
                call(&Db { inner }, event);
            }
        };
        Ok(self.inner.engine.on_event(filter, call)?)
    }

    /// Calls `call` with every message of the kernel that the filter lets through, before it is applied, until the
    /// registration is dropped. It may change the message or discard it, and the database then follows that instead of
    /// the kernel: a commit that wants what a callback hides is rolled back.
    ///
    /// It is called on the thread that follows the kernel, which waits for it: it should be quick. It can read
    /// snapshots, and can neither commit nor wait for a state: both are refused. It must not wait for another thread
    /// that does, nor for an [`EventQueue`]. What was read before the registration is not seen; [`Db::resync`] reads
    /// everything anew. A filter for a kind of interface knows that of messages about interfaces only. A panic is caught
    /// as in [`Db::on_event`], and the message passes as if this callback had not been called.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, Filter, ObjectKind};
    ///
    /// let db = Db::open()?;
    /// let filter = Filter::default().objects([ObjectKind::Address]);
    /// let guard = db.on_notification(filter, |message| {
    ///     if message.number("prefixlen") == Some(128) {
    ///         message.discard();
    ///     }
    /// });
    /// db.interface("lo")?.up().commit()?;
    /// let addresses = db.interface("lo")?.addresses()?;
    /// assert!(addresses.iter().all(|address| address.local().is_ipv4()));
    /// drop(guard);
    /// assert_eq!(db.resync()?.address_count(), addresses.len() + 1);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn on_notification(
        &self,
        filter: Filter,
        call: impl FnMut(&mut Notification) + Send + 'static,
    ) -> Registration {
        self.inner.engine.on_notification(filter, call)
    }

    /// How often callbacks have panicked since the database was opened.
    pub fn callback_panics(&self) -> u64 {
        self.inner.engine.callback_panics()
    }

    /// The state as it was when `revision` was the newest; `None` when it is not remembered, or is yet to come.
    ///
    /// What is remembered is said when the database is opened: [`DbBuilder::history`], [`DbBuilder::history_age`]. By
    /// default that is nothing but the present.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::Db;
    /// use std::time::Instant;
    ///
    /// let db = Db::builder().history(1000).open()?;
    /// let (start, first) = (Instant::now(), db.snapshot().revision());
    /// db.interface("lo")?.set_mtu(1400).commit()?;
    /// let before = db.before(start).expect("remembered");
    /// assert_eq!(before.link("lo").map(|lo| lo.mtu()), Some(65536));
    /// assert_eq!(db.at(first).map(|then| then.revision()), Some(first));
    /// let diff = before.diff(&db.snapshot());
    /// assert_eq!(diff.changes()[0].to_string(), "~ link lo  mtu 65536 -> 1400");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn at(&self, revision: u64) -> Option<Snapshot> {
        self.inner.engine.at(revision)
    }

    /// The state as this database knew it at a moment; `None` when it is not remembered. See [`Db::at`].
    pub fn before(&self, moment: Instant) -> Option<Snapshot> {
        self.inner.engine.before(moment)
    }

    /// As [`Db::before`] by the system's clock; where that has been set back meanwhile, the newest state that fits.
    pub fn before_time(&self, moment: SystemTime) -> Option<Snapshot> {
        self.inner.engine.before_time(moment)
    }

    /// What was lost and repaired since the database was opened.
    pub fn losses(&self) -> Losses {
        self.inner.engine.losses()
    }

    /// Bytes of receive buffer that the event socket really has: the kernel doubles what was asked for, and without
    /// `CAP_NET_ADMIN` in the initial user namespace holds it to `net.core.rmem_max` (K16).
    pub fn receive_buffer(&self) -> usize {
        self.inner.engine.receive_buffer()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Whether both are handles on one database.
    pub(super) fn is(&self, other: &Db) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn patience(&self) -> Duration {
        self.inner.engine.patience()
    }

    pub(super) fn is_explicit(&self) -> bool {
        self.inner.explicit
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db")
            .field("snapshot", &self.snapshot())
            .field("losses", &self.losses())
            .finish()
    }
}

/// A hook as the engine asks it: what it says in an error is what is told.
pub(super) fn hook<E: fmt::Display>(
    place: &'static Location<'static>,
    check: impl Fn(&Snapshot, &Diff) -> Result<(), E> + Send + Sync + 'static,
) -> Hook {
    Hook::new(place, move |now, delta| check(now, delta).map_err(|error| error.to_string()))
}

/// Index and generation of the interface that is meant.
pub(super) fn find(now: &Snapshot, which: &LinkRef) -> Result<(u32, u64)> {
    match now.link(which.clone()) {
        Some(link) => Ok((link.index(), link.generation())),
        None => Err(match which {
            LinkRef::Handle { index, .. } => {
                let by = now.link_by_index(*index).map(|link| link.name().to_owned());
                Refusal::Stale { index: *index, by }.into()
            }
            which => Refusal::Unknown(which.to_string()).into(),
        }),
    }
}

/// A database that can be read, and from which nothing can be changed: what it gives has no method that edits.
///
/// ```compile_fail
/// # fn main() -> Result<(), netlinkdb::Error> {
/// let db = netlinkdb::Db::open()?.read_only();
/// db.interface("lo")?.up();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReadOnlyDb(Db);

impl ReadOnlyDb {
    /// See [`Db::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// See [`Db::sync`].
    ///
    /// # Errors
    /// As there.
    pub fn sync(&self) -> Result<Snapshot> {
        self.0.sync()
    }

    /// See [`Db::interface`].
    ///
    /// # Errors
    /// As there.
    pub fn interface(&self, which: impl Into<LinkRef>) -> Result<Interface<ReadOnly>> {
        Ok(self.0.interface(which)?.read_only())
    }

    /// See [`Db::events_with`].
    ///
    /// # Errors
    /// As there.
    pub fn events_with(&self, options: EventOptions) -> Result<EventQueue> {
        self.0.events_with(options)
    }

    /// See [`Db::events`].
    ///
    /// # Errors
    /// As there.
    pub fn events(&self) -> Result<EventQueue> {
        self.0.events()
    }

    /// See [`Db::losses`].
    pub fn losses(&self) -> Losses {
        self.0.losses()
    }
}

/// How a database is opened otherwise than by default.
#[derive(Clone, Debug)]
pub struct DbBuilder {
    config: Config,
    explicit: bool,
}

impl Default for DbBuilder {
    fn default() -> Self {
        let config = Config {
            namespace: None,
            views: Views::default(),
            routes: RouteView::default(),
            receive_buffer: 32 << 20,
            patience: Duration::from_secs(30),
            hook_deadline: Duration::from_secs(30),
            history: None,
            journal: None,
        };
        DbBuilder { config, explicit: false }
    }
}

impl DbBuilder {
    /// The namespace; by default that of the calling thread. Entering another takes `CAP_SYS_ADMIN`.
    pub fn netns(mut self, namespace: &NetNs) -> Self {
        self.config.namespace = Some(namespace.0.clone());
        self
    }

    /// Whether addresses are followed; by default they are. Without addresses, routes are not followed either.
    pub fn addresses(mut self, followed: bool) -> Self {
        self.config.views.addresses = followed;
        self
    }

    /// Whether routes are followed; by default they are. Without addresses they are not: the kernel takes
    /// routes away together with addresses, without a word.
    pub fn routes(mut self, followed: bool) -> Self {
        self.config.views.routes = followed;
        self
    }

    /// Leaves out the routes of these tables, 1 to 4294967295: 255 is local, 254 main. The kernel's routes to this
    /// machine's own addresses and broadcasts are in `local`.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// let db = netlinkdb::Db::builder().ignore_tables([255]).open()?;
    /// db.interface("lo")?.up().commit()?;
    /// let now = db.sync()?;
    /// assert!(now.tables().is_empty());
    /// assert!(now.follows_table(254) && !now.follows_table(255) && !now.follows_routes());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn ignore_tables(mut self, tables: impl IntoIterator<Item = u32>) -> Self {
        self.config.routes.without_tables.extend(tables);
        self
    }

    /// Leaves out the routes of all other tables. The kernel is asked for these alone, so that opening costs nothing for
    /// the others.
    pub fn only_tables(mut self, tables: impl IntoIterator<Item = u32>) -> Self {
        let mut tables: Vec<_> = tables.into_iter().filter(|table| *table != 0).collect();
        tables.sort_unstable();
        tables.dedup();
        self.config.routes.only_tables = Some(tables);
        self
    }

    /// Leaves out the routes that these protocols have made.
    ///
    /// Routes of several protocols may share a prefix and a priority. Where one of those that are left out takes the place
    /// of another by `ip route replace`, everything is read anew.
    pub fn ignore_protocols(mut self, protocols: impl IntoIterator<Item = RouteProtocol>) -> Self {
        self.config.routes.without_protocols.extend(protocols);
        self
    }

    /// Leaves out the routes that other protocols have made; see [`DbBuilder::ignore_protocols`].
    pub fn only_protocols(mut self, protocols: impl IntoIterator<Item = RouteProtocol>) -> Self {
        self.config.routes.only_protocols = Some(protocols.into_iter().collect());
        self
    }

    /// Leaves out the routes of the other families (IPv4, IPv6, [`Family::MPLS`]); the kernel is not asked for them.
    pub fn route_family(mut self, family: Family) -> Self {
        self.config.routes.family = Some(family);
        self
    }

    /// Whether rules are followed; by default they are.
    pub fn rules(mut self, followed: bool) -> Self {
        self.config.views.rules = followed;
        self
    }

    /// Whether nexthop objects are followed; by default they are.
    pub fn nexthops(mut self, followed: bool) -> Self {
        self.config.views.nexthops = followed;
        self
    }

    /// Whether neighbours, proxies and forwarding entries are followed; by default they are not: they change all the
    /// time.
    pub fn neighbours(mut self, followed: bool) -> Self {
        self.config.views.neighbours = followed;
        self
    }

    /// Bytes of receive buffer to ask for on the event socket; by default 32 MiB. [`Db::receive_buffer`] says what was
    /// had. A notification takes 1 to 5 KiB of it until it is read; what does not fit is lost and repaired by reading
    /// everything anew.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.config.receive_buffer = bytes;
        self
    }

    /// Edits on a handle are refused: every transaction is begun by [`Db::begin`] or
    /// [`Interface::begin`](super::Interface::begin).
    pub fn explicit(mut self) -> Self {
        self.explicit = true;
        self
    }

    /// How long an answer of the kernel is waited for before it counts as lost; by default 30 s. Nothing is waited
    /// for by the clock otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.config.patience = patience;
        self
    }

    /// Remembers past states, so many with the present one: [`Db::at`], [`Db::before`]. They share what is the same in
    /// them. By default nothing is remembered.
    pub fn history(mut self, states: usize) -> Self {
        let age = self.config.history.map_or(Duration::MAX, |history| history.age);
        self.config.history = Some(History { states, age });
        self
    }

    /// Remembers the states of this time back from the present; with [`DbBuilder::history`] no more of them than it
    /// says.
    pub fn history_age(mut self, age: Duration) -> Self {
        let states = self.config.history.map_or(usize::MAX, |history| history.states);
        self.config.history = Some(History { states, age });
        self
    }

    /// What each commit hook may take; by default 30 s. Then the commit is rolled back.
    pub fn hook_deadline(mut self, deadline: Duration) -> Self {
        self.config.hook_deadline = deadline;
        self
    }

    /// Keeps the undo of every running commit in this file: on disk before the first request is sent, and void when the
    /// commit has ended; of one that is to be confirmed ([`Transaction::commit_confirmed`]), when it is. When the process
    /// is killed before that, [`Db::recover`] rolls it back.
    ///
    /// The file is made where it is not there, readable for its owner alone, and stays; its directory must be there. It
    /// is this database's own as long as that is open. It is about one boot of the machine, and so belongs where nothing
    /// outlives a boot, such as `/run`: on a file system in memory a commit of one change costs 30 to 90 us more, on a disk
    /// what that takes to write (here 0.4 ms); 100,000 routes cost 1.1 times to add and 1.3 times to take away.
    ///
    /// A commit whose requests can be sent but not written down is rolled back. One that ends torn has ended: its error
    /// says what is left.
    pub fn journal(mut self, path: impl AsRef<Path>) -> Self {
        self.config.journal = Some(path.as_ref().to_owned());
        self
    }

    /// As [`Db::recover`], in the namespace of this builder. What is followed is what the database followed that wrote
    /// the journal.
    ///
    /// # Errors
    /// As there.
    pub fn recover(self, journal: impl AsRef<Path>) -> Result<Recovery> {
        Recovery::of(Engine::recover(self.config, journal.as_ref())?)
    }

    /// Opens the database.
    ///
    /// # Errors
    /// When its journal holds a commit that was cut off ([`Error::is_unfinished`]), or is in use or none
    /// ([`Error::is_journal`]). When a socket or a thread cannot be had, the namespace cannot be entered, or the kernel refuses to be read.
    pub fn open(self) -> Result<Db> {
        let mut config = self.config;
        config.views.routes &= config.views.addresses;
        let namespace = config.namespace.clone().map_or_else(Namespace::current, Ok);
        let engine = Engine::open(config).map_err(Error::from)?;
        let inner = Inner { engine, explicit: self.explicit, namespace };
        Ok(Db { inner: Arc::new(inner) })
    }
}
