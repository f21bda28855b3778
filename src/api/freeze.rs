//! Freezes, for users.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::{Db, Edit, Error, Interface, Result, RouteHandle, RuleHandle};
use crate::engine::{Hold, Note, Tally, Trouble};
use crate::object::LinkRef;
use crate::plan::{Selection, untold_of};
use crate::state::{Change, Object, Snapshot};
use crate::sys::sync::thread::Builder;

/// Objects that are held as they are: what other programs change of them is undone until this is dropped, or
/// [thawed](Frozen::thaw).
///
/// What is held is what a [`Selection`] speaks of: attributes that a program can set, and objects that programs make. A
/// freeze by [`Selection::exactly`] also takes away what others add; that of an interface or a route is exact.
///
/// - **Own transactions move it.** A commit of the same database holds as ever, and from then on what it has changed is
///   held as it has left it, with all that the kernel has changed along with it. Of the interfaces that a commit edits,
///   what another program changes in the very time of that commit may be taken for a part of it. Another [`Db`] of the
///   same process is another program.
/// - **It acts on the event.** A thread that all freezes of a database share sleeps until a state is shown that differs,
///   and commits the way back: all that differs at that moment in one transaction, verified and if need be rolled back
///   like any other. The database's commit hooks are asked. With nothing to be undone it does not wake up.
/// - **It does not fight for ever.** An object that others change again is made again what it was 5 times at once, and
///   then after pauses of 10 ms, 20 ms and so on up to 5 s: [`FreezeReport::Contested`]. Left alone for 10 s, and for
///   two pauses, it counts as undisputed again. So it is with what cannot be undone: [`FreezeReport::Failed`], and
///   another try after a pause.
/// - **An interface that others delete** comes back with its index, if nobody has that by then, its addresses, its master
///   and ports and, where they are held, the routes over it; handles on it hold again. With another index they do not.
///   What rtnetlink does not tell of it, such as WireGuard's keys, does not: [`Reversion::untold`].
///   Hardware that is gone, or in another namespace, is reported.
/// - **What the kernel does not announce** (see [the list](crate#what-the-kernel-changes-without-a-word)) is undone when
///   it is next seen: by [`Db::refresh`], [`Db::resync`], or with any announced change of the same interface. After a
///   loss of notifications everything is read anew, and what differs then is undone.
/// - **Several freezes may speak of the same object.** The youngest has it; when that ends, the one before has it again,
///   with the state that it holds.
///
/// It keeps the database open.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, FreezeReport};
/// use std::time::Duration;
///
/// let db = Db::open()?;
/// let lo = db.interface("lo")?;
/// lo.set_mtu(1400).add_ip("10.0.0.1/32")?.up().commit()?;
/// let frozen = lo.freeze()?;
///
/// // Another program. It may find that what it has changed does not hold.
/// drop(Db::open()?.interface("lo")?.set_mtu(9000).commit());
/// let Some(FreezeReport::Reverted(undone)) = frozen.next_within(Duration::from_secs(9)) else {
///     panic!("it is undone");
/// };
/// assert_eq!(undone.changes()[0].to_string(), "~ link lo  mtu 1400 -> 9000");
/// assert_eq!(db.sync()?.link("lo").map(|lo| lo.mtu()), Some(1400));
///
/// lo.set_mtu(1500).commit()?; // our own
/// assert!(frozen.thaw().reverted() >= 1);
/// assert_eq!(lo.link()?.mtu(), 1500);
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[must_use = "what is frozen is let go when this is dropped"]
pub struct Frozen {
    db: Db,
    hold: Hold,
}

impl Frozen {
    /// The next report, if there is one in this time. The first 1,024 that nobody has read wait; then the oldest are
    /// thrown away, and [counted](Thawed::missed).
    pub fn next_within(&self, time: Duration) -> Option<FreezeReport> {
        self.hold.inbox().next_within(time).map(FreezeReport::of)
    }

    /// The reports that wait.
    pub fn reports(&self) -> impl Iterator<Item = FreezeReport> + '_ {
        std::iter::from_fn(|| self.next_within(Duration::ZERO))
    }

    /// Lets go, and says what came of it. Nothing is undone from the return of this on, which waits for what is being
    /// undone just now; but not in a commit hook, which that may be waiting for.
    pub fn thaw(self) -> Thawed {
        self.db.engine().thaw(&self.hold);
        let tally = self.hold.inbox().tally();
        let reports = self.reports().collect();
        Thawed { tally, reports }
    }
}

/// Lets go, as [`Frozen::thaw`].
impl Drop for Frozen {
    fn drop(&mut self) {
        self.db.engine().thaw(&self.hold);
    }
}

/// Readable while there are reports to be read.
impl AsFd for Frozen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hold.inbox().waker().as_fd()
    }
}

impl AsRawFd for Frozen {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen").field("tally", &self.hold.inbox().tally()).finish()
    }
}

/// What a freeze has to tell.
#[non_exhaustive]
pub enum FreezeReport {
    /// Changes of others were undone.
    Reverted(Reversion),
    /// Somebody changes an object again and again; there is a pause now.
    Contested(Contest),
    /// Something could not be undone; there will be another try.
    Failed(Error),
}

impl FreezeReport {
    fn of(note: Note) -> Self {
        match note {
            Note::Reverted { changes, took } => FreezeReport::Reverted(Reversion { changes, took }),
            Note::Contested { change, times, pause } => {
                FreezeReport::Contested(Contest { change, times, pause })
            }
            Note::Failed(trouble) => FreezeReport::Failed(match *trouble {
                Trouble::Start(start) => start.into(),
                Trouble::RolledBack(cause, untold, snapshot) => {
                    Error::rolled_back(cause, untold, snapshot)
                }
                Trouble::Torn(cause, residue, untold, snapshot) => {
                    Error::torn(cause, residue, untold, snapshot)
                }
            }),
        }
    }
}

/// On a line.
impl fmt::Display for FreezeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FreezeReport::Reverted(reversion) => reversion.fmt(f),
            FreezeReport::Contested(contest) => contest.fmt(f),
            FreezeReport::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// Changes of others that were undone together.
#[derive(Clone)]
pub struct Reversion {
    changes: Vec<Change>,
    took: Duration,
}

impl Reversion {
    /// What the others had changed, and is as it was again: a change leads from how it is held to how they wanted it.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What interfaces had that others deleted and that were made anew, and that no one can give back who has it not, as
    /// rtnetlink does not tell of it: keys and peers of a WireGuard interface. See
    /// [`Transaction::remove`](super::Transaction::remove).
    pub fn untold(&self) -> Vec<String> {
        let gone = self.changes.iter().filter(|change| change.after().is_none());
        let links = gone.filter_map(|change| match change.before() {
            Some(Object::Link(link)) => untold_of(link),
            _ => None,
        });
        links.collect()
    }

    /// How long it took, from when it was noticed to when it was read back and found undone.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for Reversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reverted:")?;
        for (at, change) in self.changes.iter().enumerate() {
            write!(f, "{} {change}", if at == 0 { "" } else { ";" })?;
        }
        match &*self.untold() {
            [] => Ok(()),
            all => write!(f, "; not given back: {}", all.join(", ")),
        }
    }
}

/// An object that is changed again and again.
#[derive(Clone)]
pub struct Contest {
    change: Change,
    times: u32,
    pause: Duration,
}

impl Contest {
    /// What the others want: from how it is held to how they make it.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// How often it has been undone since it was last left alone.
    pub fn times(&self) -> u32 {
        self.times
    }

    /// How long the others have their way, if they change it once more.
    pub fn pause(&self) -> Duration {
        self.pause
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contest { change, times, pause } = self;
        write!(f, "contested: {change}; undone {times} times, next after {pause:?}")
    }
}

/// What came of a freeze that has ended.
#[derive(Debug)]
pub struct Thawed {
    tally: Tally,
    reports: Vec<FreezeReport>,
}

impl Thawed {
    /// How many changes of others were undone.
    pub fn reverted(&self) -> u64 {
        self.tally.reverted
    }

    /// How many commits that took.
    pub fn commits(&self) -> u64 {
        self.tally.commits
    }

    /// How often an object was reported contested.
    pub fn contested(&self) -> u64 {
        self.tally.contested
    }

    /// How often it was reported that something could not be undone.
    pub fn failed(&self) -> u64 {
        self.tally.failed
    }

    /// How many reports were thrown away because nobody read them in time.
    pub fn missed(&self) -> u64 {
        self.tally.missed
    }

    /// The reports that nobody has read.
    pub fn reports(&self) -> &[FreezeReport] {
        &self.reports
    }
}

impl fmt::Display for Thawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { reverted, commits, contested, failed, .. } = self.tally;
        write!(
            f,
            "{reverted} changes reverted in {commits} commits, {contested} times contested, {failed} failures"
        )
    }
}

macro_rules! debug_as_display {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

debug_as_display! { FreezeReport Reversion Contest }

impl Db {
    /// Holds what a selection speaks of as it is now, until the guard is dropped: an interface, routes, a table, rules,
    /// or everything. See [`Frozen`].
    ///
    /// # Errors
    /// When the selection names what is not there or not followed, the kernel does not answer, or a thread or a
    /// descriptor cannot be had. In a commit hook and on the thread that follows the kernel it is refused.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, FreezeReport, Route, RouteFilter, Selection};
    /// use std::time::Duration;
    ///
    /// let db = Db::open()?;
    /// let frozen = db.freeze(Selection::routes(RouteFilter::table(100)).exactly())?;
    /// let mut tx = Db::open()?.begin(); // another program
    /// tx.add_route(Route::to("10.2.0.0/16").blackhole().table(100))?;
    /// drop(tx.commit()); // it may find that this does not hold
    /// let undone = frozen.next_within(Duration::from_secs(9)).expect("it is undone");
    /// assert_eq!(undone.to_string(), "reverted: + route blackhole 10.2.0.0/16 table 100 proto static");
    /// assert!(db.sync()?.routes().table(100).is_empty());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn freeze(&self, selection: impl Into<Selection>) -> Result<Frozen> {
        let hold = self.engine().freeze(selection.into(), None)?;
        self.enforce(hold)
    }

    /// Makes what a selection speaks of what it was in an earlier snapshot, and holds it so. See [`Frozen`] and
    /// [`Transaction::revert_to`](super::Transaction::revert_to).
    ///
    /// # Errors
    /// As [`Db::freeze`]; and when it cannot be made so: nothing is changed or held then.
    pub fn freeze_at(&self, selection: impl Into<Selection>, target: &Snapshot) -> Result<Frozen> {
        let selection = selection.into();
        let hold = self.engine().freeze(selection.clone(), Some(target.clone()))?;
        let frozen = Frozen { db: self.clone(), hold };
        let mut tx = self.begin();
        tx.revert_to(target, selection)?;
        tx.commit()?;
        frozen.begin()
    }

    fn enforce(&self, hold: Hold) -> Result<Frozen> {
        Frozen { db: self.clone(), hold }.begin()
    }
}

impl Frozen {
    fn begin(self) -> Result<Self> {
        let db = self.db.clone();
        let spawn = move |stop: std::sync::Arc<_>| {
            let body = move || db.engine().enforce(&stop);
            Builder::new().name("netlinkdb-hold".to_owned()).spawn(body)
        };
        self.db.engine().enforce_from(&self.hold, spawn)?;
        Ok(self)
    }
}

impl Interface<Edit> {
    /// Holds it as it is now, exactly, until the guard is dropped: that it is there, its attributes, flags, options, name,
    /// master, ports and addresses. See [`Frozen`].
    ///
    /// # Errors
    /// When it is gone, and as [`Db::freeze`].
    pub fn freeze(&self) -> Result<Frozen> {
        self.link()?;
        self.db().freeze(Selection::interface(LinkRef::from(self)).exactly())
    }
}

impl RouteHandle {
    /// Holds it as it is now, with all routes that share its place (table, prefix, TOS, priority), until the guard is
    /// dropped. See [`Frozen`].
    ///
    /// # Errors
    /// When it is gone, and as [`Db::freeze`].
    pub fn freeze(&self) -> Result<Frozen> {
        let route = self.route()?;
        self.db().freeze(Selection::nothing().and_route(&route).exactly())
    }
}

impl RuleHandle {
    /// Holds it until the guard is dropped: it comes back when it is gone. Others' rules beside it stay. See [`Frozen`].
    ///
    /// # Errors
    /// When it is gone, and as [`Db::freeze`].
    pub fn freeze(&self) -> Result<Frozen> {
        let rule = self.rule()?;
        self.db().freeze(Selection::nothing().and_rule(&*rule).exactly())
    }
}
