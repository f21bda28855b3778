//! The database.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{
    Edit, Error, Interface, NetNs, ReadOnly, Result, RouteHandle, RuleHandle, Transaction, Watch,
};
use crate::engine::{Config, Engine, Hook, Registration};
use crate::object::route::RouteSpec;
use crate::object::{LinkRef, RuleSpec};
use crate::plan::{Draft, Refusal};
use crate::state::{Ask, Diff, Losses, Snapshot, Views};

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
    transactions: AtomicU64,
}

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
        Ok(self.inner.engine.fence()?)
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
        let number = self.inner.transactions.fetch_add(1, Ordering::Relaxed);
        // Room for 2^24 new interfaces in each transaction before numbers could meet.
        Transaction::new(self.clone(), number << 24)
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

    /// Watches changes from the present state on.
    pub fn watch(&self) -> Watch {
        Watch::new(self.clone())
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
fn find(now: &Snapshot, which: &LinkRef) -> Result<(u32, u64)> {
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

    /// See [`Db::watch`].
    pub fn watch(&self) -> Watch {
        self.0.watch()
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
            receive_buffer: 8 << 20,
            patience: Duration::from_secs(30),
            hook_deadline: Duration::from_secs(30),
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

    /// Bytes of receive buffer to ask for on the event socket; by default 8 MiB. [`Db::receive_buffer`] says what was
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

    /// What each commit hook may take; by default 30 s. Then the commit is rolled back.
    pub fn hook_deadline(mut self, deadline: Duration) -> Self {
        self.config.hook_deadline = deadline;
        self
    }

    /// Opens the database.
    ///
    /// # Errors
    /// When a socket or a thread cannot be had, the namespace cannot be entered, or the kernel refuses to be read.
    pub fn open(self) -> Result<Db> {
        let mut config = self.config;
        config.views.routes &= config.views.addresses;
        let engine = Engine::open(config).map_err(Error::from)?;
        let inner = Inner { engine, explicit: self.explicit, transactions: AtomicU64::new(0) };
        Ok(Db { inner: Arc::new(inner) })
    }
}
