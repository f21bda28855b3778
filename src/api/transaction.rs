//! Transactions.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::db::hook;
use super::handles::Follow;
use super::joint::carry_out_jointly;
use super::{CommitError, Db, Edit, Editor, Error, Interface, NetNs, Result};
use crate::engine::{Hook, Terms};
use crate::object::kinds::{NewLink, Pair, Place};
use crate::object::{LinkRef, Tree};
use crate::plan::{
    Conflicts, Draft, Ensure, Outcome, Progress, Refusal, Review, Selection, Target,
};
use crate::state::{Diff, Snapshot};

/// A set of changes to any number of interfaces that hold together or not at all.
///
/// It holds what was named and nothing else, on the state that it began with. Dropping it forgets it; nothing was
/// sent then.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Bridge, Db, Veth};
///
/// let db = Db::open()?;
/// let mut tx = db.begin();
/// let br0 = tx.create(Bridge::new("br0").stp_state(true))?;
/// let veth = tx.create(Veth::new("veth0", "veth1"))?;
/// tx.interface(&br0).add_port(&veth)?.add_ip("10.0.0.1/24")?.up();
/// tx.interface("veth0").up();
/// println!("{}", tx.review());
/// let done = tx.commit()?;
/// assert_eq!(done.interface(&br0)?.ports()?.len(), 1);
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
pub struct Transaction {
    pub(super) db: Db,
    pub(super) id: Uuid,
    pub(super) draft: Draft,
    /// The first thing that was wrong in an edit that gives no result of its own.
    pub(super) wrong: Option<Refusal>,
    pub(super) hooks: Vec<Hook>,
    pub(super) hook_deadline: Option<Duration>,
    watcher: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    /// Handles whose rule or route becomes another one.
    pub(super) follows: Vec<Follow>,
    /// Namespaces that it sends something to, held open.
    pub(super) abroad: Vec<NetNs>,
}

/// An interface that a transaction creates: to be edited in the same transaction, and found after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInterface {
    pub(super) number: u64,
    pub(super) peer: Option<u64>,
}

impl NewInterface {
    /// The other end, when it is one end of a pair and both are made in one namespace.
    pub fn peer(&self) -> Option<NewInterface> {
        self.peer.map(|number| NewInterface { number, peer: Some(self.number) })
    }
}

/// The number that means a target which is new.
pub(super) fn number(target: Target) -> u64 {
    match target {
        Target::New(number) => number,
        Target::Live { index, .. } => index.into(),
    }
}

impl From<&NewInterface> for LinkRef {
    fn from(new: &NewInterface) -> Self {
        LinkRef::New(new.number)
    }
}

impl Transaction {
    pub(super) fn new(db: Db, first: u64) -> Self {
        let draft = Draft::new(db.snapshot(), first);
        Transaction {
            db,
            id: Uuid::new_v4(),
            draft,
            wrong: None,
            hooks: Vec::new(),
            hook_deadline: None,
            watcher: None,
            follows: Vec::new(),
            abroad: Vec::new(),
        }
    }

    /// Which transaction it is.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The state that it began with.
    pub fn base(&self) -> &Snapshot {
        self.draft.base()
    }

    /// Edits an interface: one that is there, or one that this transaction creates.
    ///
    /// When it is unknown, the edits give that error, and so does the commit.
    pub fn interface(&mut self, which: impl Into<LinkRef>) -> Editor<'_> {
        let target = self.draft.resolve(&which.into());
        if let Err(refusal) = &target {
            self.refuse(refusal.clone());
        }
        Editor::new(self, target)
    }

    /// Creates an interface: [`Bridge`](crate::Bridge), [`Bond`](crate::Bond), [`Vlan`](crate::Vlan) and so on, or any
    /// kind by [`NewLink::with_kind`].
    ///
    /// # Errors
    /// When the name cannot be a name or is taken, an option is out of range, or the interface below is unknown.
    pub fn create(&mut self, new: impl Into<NewLink>) -> Result<NewInterface> {
        let target = self.draft.create(new.into())?;
        let peer = self.draft.peer_of(target).map(number);
        Ok(NewInterface { number: number(target), peer })
    }

    /// Creates a pair, [`Veth`](crate::Veth) or [`Netkit`](crate::Netkit), whose other end is in another namespace. That end
    /// is seen there before this transaction holds; to have it edited in the same transaction, see
    /// [`JointTransaction::create_pair`](super::JointTransaction::create_pair).
    ///
    /// # Errors
    /// As [`Transaction::create`]; when the namespace is the one of this database.
    pub fn create_with_peer_in(
        &mut self,
        pair: impl Into<Pair>,
        netns: &NetNs,
    ) -> Result<NewInterface> {
        let new = pair.into().with_peer_in(self.place(netns)?);
        let target = self.draft.create(new)?;
        self.abroad.push(netns.clone());
        Ok(NewInterface { number: number(target), peer: None })
    }

    /// Creates an interface in another namespace, on an interface of this one if it stands on one: a
    /// [`Macvlan`](crate::Macvlan), [`Ipvlan`](crate::Ipvlan) or [`Vlan`](crate::Vlan) for a container, a tunnel whose
    /// packets go out here, or any kind that stands alone. Only there its name must be free. It is read back there, with
    /// everything that was named of it, before this transaction holds, and a rollback deletes it there. To have it edited
    /// in the same transaction, see [`JointTransaction::create_in`](super::JointTransaction::create_in).
    ///
    /// Before Linux 6.15 the kernel refuses a name that an interface of this namespace has. Where one has it, the new one
    /// is made under another name, and renamed there. An index of choice must be free in both namespaces.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, Macvlan, MacvlanMode, NetNs};
    /// # let sleep = std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    /// # let Ok(mut container) = sleep else { return Ok(()) };
    /// # while NetNs::of_pid(container.id())? == NetNs::current()? { std::thread::yield_now(); }
    ///
    /// let db = Db::open()?;
    /// # let mut tx = db.begin();
    /// # tx.create(netlinkdb::Veth::new("ens3", "ens4"))?;
    /// # tx.commit()?;
    /// let there = NetNs::of_pid(container.id())?;
    /// let mut tx = db.begin();
    /// tx.interface("ens3").up();
    /// tx.create_in(Macvlan::new("eth0", "ens3").mode(MacvlanMode::BRIDGE), &there)?;
    /// println!("{}", tx.review()); // ip link add link ens3 name eth0 netns 4711 type macvlan ...
    /// tx.commit()?;
    /// let guest = Db::builder().netns(&there).open()?;
    /// assert_eq!(guest.interface("eth0")?.link()?.kind(), Some("macvlan"));
    /// # container.kill().ok();
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the name cannot be a name, an option is out of range, the interface below is unknown here, the namespace is
    /// the one of this database, or it is a pair, a tun or tap interface, or a bond with ports. The commit is refused when
    /// the name is taken there.
    pub fn create_in(&mut self, new: impl Into<NewLink>, netns: &NetNs) -> Result<()> {
        self.make_in(new.into(), netns).map(drop)
    }

    pub(super) fn make_in(&mut self, new: NewLink, netns: &NetNs) -> Result<Target> {
        let place = self.place(netns)?;
        let target = self.draft.create_in(new, place)?;
        self.abroad.push(netns.clone());
        Ok(target)
    }

    /// Moves an interface to another namespace. It arrives there down, without addresses, routes and master, and with
    /// everything else that it was, also its index if nobody there has that. A rollback moves it back and gives it again what
    /// the kernel took from it. To have it edited there in the same transaction, see
    /// [`JointTransaction`](super::JointTransaction).
    ///
    /// Before Linux 5.13 an interface that moves cannot be given an index (`IFLA_NEW_IFINDEX`): one whose index was taken
    /// there comes back with another one, and with everything else. Handles on it are stale then, and so is a transaction
    /// that speaks of it.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, NetNs, Veth};
    /// # let sleep = std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    /// # let Ok(mut container) = sleep else { return Ok(()) };
    /// # while NetNs::of_pid(container.id())? == NetNs::current()? { std::thread::yield_now(); }
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.create(Veth::new("veth0", "eth0"))?;
    /// tx.commit()?;
    ///
    /// let there = NetNs::of_pid(container.id())?;
    /// let mut tx = db.begin();
    /// tx.move_to("eth0", &there)?;
    /// tx.interface("veth0").up();
    /// println!("{}", tx.review()); // ip link set dev eth0 netns 4711 ...
    /// tx.commit()?;
    /// assert!(Db::builder().netns(&there).open()?.interface("eth0").is_ok());
    /// # container.kill().ok();
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is unknown, there already, or one that this transaction creates: that is created there
    /// ([`Transaction::create_in`]).
    pub fn move_to(&mut self, which: impl Into<LinkRef>, netns: &NetNs) -> Result<()> {
        self.send(which.into(), netns, None).map(drop)
    }

    /// As [`Transaction::move_to`], under a name that it has there.
    ///
    /// # Errors
    /// As there; when the name cannot be a name.
    pub fn move_as(&mut self, which: impl Into<LinkRef>, netns: &NetNs, name: &str) -> Result<()> {
        self.send(which.into(), netns, Some(name)).map(drop)
    }

    pub(super) fn send(
        &mut self,
        which: LinkRef,
        netns: &NetNs,
        name: Option<&str>,
    ) -> Result<Target> {
        let place = self.place(netns)?;
        let target = self.draft.resolve(&which)?;
        self.draft.move_away(target, place, name)?;
        self.abroad.push(netns.clone());
        Ok(target)
    }

    /// Another namespace, as a request names it.
    fn place(&self, netns: &NetNs) -> Result<Place> {
        match self.db.netns()? == *netns {
            true => {
                let why = "it is the one of this database".to_owned();
                let (what, value) = ("other namespace", netns.to_string());
                Err(Refusal::Invalid { what, value, why }.into())
            }
            false => Ok(netns.place()),
        }
    }

    /// Deletes an interface, and what cannot be without it: its veth peer, macvlans on it. The review names them.
    ///
    /// A rollback makes it anew with everything that a [`Snapshot`] knows of it. Not with what other interfaces of the kernel
    /// tell: keys and peers of WireGuard, the channels, associations and keys of a MACsec interface, mode and options of a
    /// team, the identifiers that a VXLAN with `vnifilter` receives, the version of HSR: the review says so, and so does the
    /// error, as does [`Error::untold`]. Nor, of any interface, with queueing disciplines and filters, what was set with `sysctl` or `ethtool`,
    /// programs that were attached to it, multicast groups that were joined by it, or the multicast database and the spanning
    /// trees by VLAN of a bridge. What is in use is better taken down, or [moved](Transaction::move_to), than removed.
    ///
    /// # Errors
    /// When it is unknown, or no virtual interface; when another namespace's part of the same transaction makes or sends it.
    pub fn remove(&mut self, which: impl Into<LinkRef>) -> Result<()> {
        let target = self.draft.resolve(&which.into())?;
        Ok(self.draft.remove(target)?)
    }

    /// Names everything that makes the present state into an earlier one, as far as `selection` speaks of it: a snapshot
    /// of this database, from [`Db::snapshot`], [`Db::at`] or a commit.
    ///
    /// What is gone comes back, with the index and the link-layer address that it had, if nobody has them now; what
    /// differs and can be set is set; what was not there then stays, unless the selection says
    /// [`exactly`](Selection::exactly). Nothing is named that the kernel does by itself, nor what is as it was. The
    /// [review](Transaction::review) shows what that is, and the commit holds or is rolled back like any other.
    ///
    /// Rules of one priority stand in their order again. The addresses of an interface do not: one that comes back comes
    /// behind the others, since taking the others away too would take the routes over them along; a rollback, which knows
    /// what went, does keep that order. Neighbours that the kernel has learned are nobody's to bring back: it learns them
    /// again. Nor does an interface come back with more than a snapshot knows of it: see [`Transaction::remove`].
    ///
    /// Both states are what the database has heard. Where other programs may have changed something in silence (see
    /// [the list](crate#what-the-kernel-changes-without-a-word)), [`Db::refresh`] comes before [`Db::begin`].
    ///
    /// # Errors
    /// When something cannot come back: hardware that is gone, a veth whose other end was elsewhere, a port or an upper
    /// interface of one that is gone and not spoken of. Nothing of it is named then.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Selection};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.create(Bridge::new("br0").stp_state(true))?;
    /// tx.interface("br0").add_ip("10.0.0.1/24")?.set_mtu(1400).up();
    /// let good = tx.commit()?.snapshot().clone();
    ///
    /// let mut tx = db.begin();
    /// tx.remove("br0")?;
    /// tx.commit()?;
    ///
    /// let mut tx = db.begin();
    /// tx.revert_to(&good, Selection::everything().exactly())?;
    /// println!("{}", tx.review());
    /// let now = tx.commit()?.snapshot().clone();
    /// let br0 = now.link("br0").expect("it is back");
    /// assert_eq!((br0.mtu(), Some(br0.index())), (1400, good.link("br0").map(|br0| br0.index())));
    /// assert_eq!(now.addresses_of(br0.index())[0].to_string(), "inet 10.0.0.1/24 scope global br0");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn revert_to(
        &mut self,
        target: &Snapshot,
        selection: impl Into<Selection>,
    ) -> Result<&mut Self> {
        let mut draft = self.draft.clone();
        match draft.revert_to(target, &selection.into()).into_iter().next() {
            Some(refusal) => Err(refusal.into()),
            None => {
                self.draft = draft;
                Ok(self)
            }
        }
    }

    /// Has something be there: an interface, an address, a route, a rule, a neighbour, a nexthop object. Where it is
    /// there already as it is to be, nothing is done; where it is there otherwise, it is changed only with
    /// [`Ensure::adopt`]. An interface of another kind is never taken for the one that is meant.
    ///
    /// # Errors
    /// When it cannot be; when it is there otherwise and is not to be adopted ([`Error::is_exists`]); when an interface
    /// is of another kind, or differs in what only its creation can say.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Ensure};
    ///
    /// let db = Db::open()?;
    /// for _ in 0..2 {
    ///     let mut tx = db.begin();
    ///     tx.ensure(Bridge::new("br0").mtu(1400))?;
    ///     tx.ensure(Ensure::address("br0", "10.0.0.1/24".parse()?))?;
    ///     tx.commit()?;
    /// }
    /// let wider = Bridge::new("br0").mtu(1450);
    /// assert!(db.ensure(wider.clone()).unwrap_err().is_exists());
    /// let done = db.ensure(Ensure::from(wider).adopt())?;
    /// assert_eq!(done.snapshot().link("br0").map(|br0| br0.mtu()), Some(1450));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn ensure(&mut self, what: impl Into<Ensure>) -> Result<&mut Self> {
        self.draft.ensure(what.into())?;
        Ok(self)
    }

    /// Has everything be so that a description in the words of `ip -json -details` says: interfaces, with their addresses
    /// in `addr_info`, nexthop objects, neighbours, routes and rules. What is not there is created, what is there otherwise is changed, and what the
    /// description does not say stays. It is a list of links as `ip -json -details addr` prints it, or an object with the
    /// lists `links`, `nexthops`, `neighbours`, `routes` and `rules`, as [`Selection::export`] gives it. Attributes that
    /// only the kernel sets are passed over, and so are neighbours that it has learned. A route that expires has the time
    /// again that was left of it when it was described. With the feature `serde` a [`Tree`] can be read from any text.
    ///
    /// # Errors
    /// When a key is unknown, or a value is none of its values, with its place; when what is described cannot be. Nothing
    /// of it is named then.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Selection};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.create(Bridge::new("br0").stp_state(true))?;
    /// tx.interface("br0").set_mtu(1400).add_ip("10.0.0.1/24")?;
    /// let saved = Selection::interface("br0").export(tx.commit()?.snapshot());
    ///
    /// let mut tx = db.begin();
    /// tx.remove("br0")?;
    /// tx.commit()?;
    ///
    /// let mut tx = db.begin();
    /// tx.load(&saved)?;
    /// let now = tx.commit()?.snapshot().clone();
    /// let br0 = now.link("br0").expect("it is back");
    /// assert_eq!((br0.mtu(), now.addresses_of(br0.index()).len()), (1400, 1));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn load(&mut self, tree: &Tree) -> Result<&mut Self> {
        let mut draft = self.draft.clone();
        draft.load(tree)?;
        self.draft = draft;
        Ok(self)
    }

    /// Has `hook` asked by the commit, when everything was found as wanted and before it holds: with that state, and
    /// what has changed since just before the first request (by others too). An `Err`, a panic, or more time than
    /// [`Transaction::hook_deadline`] rolls the commit back, and is the cause that the error names.
    ///
    /// The hooks of the database ([`Db::on_commit`]) are asked first, then these in the order in which they were added,
    /// one after the other; after the first that is not content no other one. Each is asked once in a commit, and
    /// never in a rollback. They run on a thread of their own, in the network namespace of the thread that commits. A
    /// hook may read the database, wait for states of it, and run commands; of what it changes by those nothing is
    /// rolled back.
    ///
    /// It may not commit on the same database: that is refused ([`Error::is_refused`]), also on the thread of a hook of
    /// another database whose commit it waits for. A commit on a thread that the hook itself has started is not told
    /// from anybody else's: it waits for its turn. When the hook waits for that thread both wait until the hook's
    /// deadline; then this commit is rolled back, and the other one carried out.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// let db = netlinkdb::Db::open()?;
    /// let mut tx = db.begin();
    /// tx.interface("lo").set_mtu(1400).up();
    /// tx.on_commit(|now, delta| match now.link("lo") {
    ///     Some(lo) if lo.mtu() >= 1500 => Ok(()),
    ///     _ => Err(format!("{} changes, and lo is too narrow", delta.len())),
    /// });
    /// let error = tx.commit().unwrap_err();
    /// assert!(error.is_rolled_back() && error.is_hook());
    /// assert!(error.to_string().contains("lo is too narrow"));
    /// assert_eq!(db.interface("lo")?.link()?.mtu(), 65536);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    #[track_caller]
    pub fn on_commit<E: fmt::Display>(
        &mut self,
        check: impl Fn(&Snapshot, &Diff) -> Result<(), E> + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.push(hook(Location::caller(), check));
        self
    }

    /// Tells how far the commit is, on the thread that commits: after each lot of requests, of which a whole table takes
    /// many. It should be quick; one that panics hears no more.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// # let db = netlinkdb::Db::open()?;
    /// # use netlinkdb::Route;
    /// let mut tx = db.begin();
    /// tx.interface("lo").up();
    /// tx.replace_table(100, (0..10_000u32).map(|n| Route::to(std::net::Ipv4Addr::from(0x0a00_0000 + n)).blackhole().table(100)))?;
    /// let (to, progress) = std::sync::mpsc::channel();
    /// tx.on_progress(move |progress| drop(to.send(progress)));
    /// tx.commit()?;
    /// let last = progress.iter().last().unwrap();
    /// assert_eq!((last.done, last.total, last.undoing), (10_001, 10_001, false));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn on_progress(&mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> &mut Self {
        self.watcher = Some(Arc::new(tell));
        self
    }

    /// What the commit does where another program has changed the same since the transaction began; by default it
    /// refuses. The [review](Transaction::review) shows what that comes to.
    ///
    /// Sets of routes ([`Transaction::sync_routes`]) say what all are to be, and are never contested.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Conflicts, Db};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.interface("lo").set_mtu(1400).up();
    /// db.interface("lo")?.set_mtu(1300).commit()?; // or another program
    ///
    /// let error = tx.commit().unwrap_err();
    /// assert!(error.is_conflict());
    /// let mut tx = error.into_transaction();
    /// tx.on_conflict(Conflicts::KeepTheirs);
    /// let now = tx.commit()?.snapshot().clone();
    /// assert!(now.link("lo").is_some_and(|lo| lo.mtu() == 1300 && lo.is_up()));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn on_conflict(&mut self, conflicts: Conflicts) -> &mut Self {
        self.draft.on_conflict(conflicts);
        self
    }

    /// What each hook may take when this transaction is committed; by default what the database says
    /// ([`DbBuilder::hook_deadline`](super::DbBuilder::hook_deadline)).
    ///
    /// A hook that takes longer cannot be stopped: it runs on until it ends by itself.
    pub fn hook_deadline(&mut self, deadline: Duration) -> &mut Self {
        self.hook_deadline = Some(deadline);
        self
    }

    /// What would change if it were committed now, as sets and as iproute2 commands.
    pub fn review(&self) -> Review {
        match &self.wrong {
            Some(refusal) => Review::refused(refusal.clone()),
            None => Review::new(&self.draft, &self.db.snapshot()).unwrap_or_else(Review::refused),
        }
    }

    /// Carries it out, in one of three ways:
    ///
    /// - *committed*: everything that it named is so, read back from the kernel and found so;
    /// - *rolled back*: something failed, and everything that it had changed is as before, read back and found so;
    /// - *torn*: something failed and not everything could be undone; the error says what is left.
    ///
    /// A refusal sends nothing. Fields that it does not name, and what other programs change meanwhile, are not
    /// touched. What is so already is not sent. Commits of one database are carried out one after the other.
    ///
    /// # Errors
    /// See [`CommitError::ending`]. The error gives the transaction back, to be mended and committed again.
    pub fn commit(self) -> Result<Committed, CommitError> {
        match self.carry_out() {
            Ok((snapshot, created)) => {
                self.follows.iter().for_each(|follow| follow.committed(&snapshot));
                Ok(Committed { db: self.db, id: self.id, snapshot, created })
            }
            Err(error) => Err(CommitError(Box::new((error, self)))),
        }
    }

    fn carry_out(&self) -> Result<(Snapshot, BTreeMap<u64, u32>)> {
        if let Some(refusal) = &self.wrong {
            return Err(refusal.clone().into());
        }
        if !self.abroad.is_empty() {
            let mut ended = carry_out_jointly(&[self])?;
            return Ok(ended.swap_remove(0));
        }
        let outcome = self.db.engine().commit(&self.draft, &self.terms())?;
        Transaction::ended(outcome)
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            id: self.id,
            hooks: &self.hooks,
            deadline: self.hook_deadline,
            watcher: self.watcher.as_deref(),
        }
    }

    pub(super) fn ended(outcome: Outcome) -> Result<(Snapshot, BTreeMap<u64, u32>)> {
        match outcome {
            Outcome::Committed { snapshot, created } => Ok((snapshot, created)),
            Outcome::RolledBack { cause, untold, snapshot } => {
                Err(Error::rolled_back(cause, untold, snapshot))
            }
            Outcome::Torn { cause, residue, untold, snapshot } => {
                Err(Error::torn(cause, residue, untold, snapshot))
            }
        }
    }

    pub(super) fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    pub(super) fn follow(&mut self, follow: Follow) {
        self.follows.push(follow);
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.wrong.get_or_insert(refusal);
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Transaction {}", self.id)?;
        fmt::Display::fmt(&self.review(), f)
    }
}

/// A transaction that holds.
#[derive(Clone, Debug)]
pub struct Committed {
    pub(super) db: Db,
    pub(super) id: Uuid,
    pub(super) snapshot: Snapshot,
    pub(super) created: BTreeMap<u64, u32>,
}

impl Committed {
    /// Which transaction it was.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The state in which everything was found as wanted.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// A handle on an interface that it created.
    ///
    /// # Errors
    /// When another transaction was to create it.
    pub fn interface(&self, new: &NewInterface) -> Result<Interface<Edit>> {
        let index =
            self.created.get(&new.number).and_then(|index| self.snapshot.link_by_index(*index));
        let link = index.ok_or_else(|| Refusal::Unknown(LinkRef::from(new).to_string()))?;
        Ok(Interface::new(self.db.clone(), link.index(), link.generation()))
    }
}
