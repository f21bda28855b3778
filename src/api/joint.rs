//! One transaction over several namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use super::error::Identified;
use super::transaction::number;
use super::{CommitError, Committed, Db, Error, NetNs, NewInterface, Result, Transaction};
use crate::engine::{Member, Terms, commit_together};
use crate::object::LinkRef;
use crate::object::kinds::{NewLink, Pair};
use crate::plan::{Departure, Draft, Outcome, Refusal, Residue, Review, Target};
use crate::state::Snapshot;

/// Changes in several network namespaces that hold together or not at all: from [`Db::transaction_over`].
///
/// In each it is a [`Transaction`] with all that one can do. They are carried out in one order: what one makes in another,
/// or sends to it, is there before it is edited there. Everything is read back and found as wanted in every namespace, and
/// every hook is asked, before any of it holds; when anything fails everything is undone everywhere. It ends in the same
/// three ways as other commits.
///
/// It is kept in no journal, and cannot be confirmed later. Databases that have a journal are refused by the commit.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, NetNs, Veth};
/// # let sleep = std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
/// # let Ok(mut container) = sleep else { return Ok(()) };
/// # while NetNs::of_pid(container.id())? == NetNs::current()? { std::thread::yield_now(); }
///
/// let host = Db::open()?;
/// let guest = Db::builder().netns(&NetNs::of_pid(container.id())?).open()?;
///
/// let mut tx = Db::transaction_over([&host, &guest])?;
/// let (veth0, eth0) = tx.create_pair(&host, Veth::new("veth0", "eth0"), &guest)?;
/// tx.at(&host)?.interface(&veth0).add_ip("10.0.0.1/24")?.up();
/// tx.at(&guest)?.interface(&eth0).add_ip("10.0.0.2/24")?.up();
/// tx.at(&guest)?.add_route(netlinkdb::Route::to("default").via("10.0.0.1"))?;
/// println!("{}", tx.review()?);
/// let done = tx.commit()?;
///
/// assert_eq!(done.at(&guest)?.interface(&eth0)?.addresses()?[0].to_string(), "inet 10.0.0.2/24 scope global eth0");
/// # container.kill().ok();
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
pub struct JointTransaction {
    members: Vec<Transaction>,
    id: Uuid,
}

impl JointTransaction {
    pub(super) fn new(mut members: Vec<Transaction>) -> Result<Self> {
        let id = Uuid::new_v4();
        members.iter_mut().for_each(|member| member.id = id);
        for (at, member) in members.iter().enumerate() {
            let netns = member.db.netns()?;
            for other in &members[..at] {
                if other.db.netns()? == netns {
                    let (what, value) = ("databases of one transaction", netns.to_string());
                    let why = "two of them are of this namespace".to_owned();
                    return Err(Refusal::Invalid { what, value, why }.into());
                }
            }
        }
        Ok(JointTransaction { members, id })
    }

    /// Which transaction it is, in every namespace.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What it does in the namespace of a database. It is committed with the others, and not alone.
    ///
    /// # Errors
    /// When the transaction is not over that database.
    pub fn at(&mut self, db: &Db) -> Result<&mut Transaction> {
        let at = self.position(db)?;
        Ok(&mut self.members[at])
    }

    /// Creates a pair, [`Veth`](crate::Veth) or [`Netkit`](crate::Netkit), with one end in each of two namespaces. Gives
    /// both, each to be edited at its own.
    ///
    /// # Errors
    /// When a name cannot be a name or is taken, or the transaction is not over one of the databases, or they are one.
    pub fn create_pair(
        &mut self,
        first: &Db,
        pair: impl Into<Pair>,
        second: &Db,
    ) -> Result<(NewInterface, NewInterface)> {
        let (before, netns) = (self.at(first)?.clone(), second.netns()?);
        let own = self.at(first)?.create_with_peer_in(pair, &netns)?;
        let made = self.arrived(first, second, Target::New(own.number));
        self.kept(made, before).map(|peer| (own, peer))
    }

    /// Creates an interface in one namespace, on an interface of another if it stands on one: see
    /// [`Transaction::create_in`]. Gives it as it is there, to be edited.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, Macvlan, NetNs, Route, Veth};
    /// # let sleep = std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    /// # let Ok(mut container) = sleep else { return Ok(()) };
    /// # while NetNs::of_pid(container.id())? == NetNs::current()? { std::thread::yield_now(); }
    ///
    /// let host = Db::open()?;
    /// # let mut tx = host.begin();
    /// # tx.create(Veth::new("ens3", "ens4"))?;
    /// # tx.commit()?;
    /// let guest = Db::builder().netns(&NetNs::of_pid(container.id())?).open()?;
    /// let mut tx = Db::transaction_over([&host, &guest])?;
    /// tx.at(&host)?.interface("ens3").up();
    /// let eth0 = tx.create_in(&host, Macvlan::new("eth0", "ens3"), &guest)?;
    /// tx.at(&guest)?.interface(&eth0).add_ip("10.0.0.2/24")?.up();
    /// tx.at(&guest)?.add_route(Route::to("default").via("10.0.0.1"))?;
    /// let done = tx.commit()?;
    /// assert!(done.at(&guest)?.interface(&eth0)?.link()?.is_up());
    /// # container.kill().ok();
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; when its name is taken there, or the transaction is not over one of the databases.
    pub fn create_in(
        &mut self,
        from: &Db,
        new: impl Into<NewLink>,
        to: &Db,
    ) -> Result<NewInterface> {
        let (before, netns) = (self.at(from)?.clone(), to.netns()?);
        let target = self.at(from)?.make_in(new.into(), &netns)?;
        let made = self.arrived(from, to, target);
        self.kept(made, before)
    }

    /// Moves an interface from one namespace to another: see [`Transaction::move_to`]. Gives it as it is there, to be
    /// edited.
    ///
    /// # Errors
    /// As there; when its name is taken there, or the transaction is not over one of the databases.
    pub fn move_to(
        &mut self,
        from: &Db,
        which: impl Into<LinkRef>,
        to: &Db,
    ) -> Result<NewInterface> {
        let (before, netns) = (self.at(from)?.clone(), to.netns()?);
        let target = self.at(from)?.send(which.into(), &netns, None)?;
        let made = self.arrived(from, to, target);
        self.kept(made, before)
    }

    /// As [`JointTransaction::move_to`], under a name that it has there.
    ///
    /// # Errors
    /// As there; when the name cannot be a name.
    pub fn move_as(
        &mut self,
        from: &Db,
        which: impl Into<LinkRef>,
        to: &Db,
        name: &str,
    ) -> Result<NewInterface> {
        let (before, netns) = (self.at(from)?.clone(), to.netns()?);
        let target = self.at(from)?.send(which.into(), &netns, Some(name))?;
        let made = self.arrived(from, to, target);
        self.kept(made, before)
    }

    /// What goes from one to the other is known there too.
    fn arrived(&mut self, from: &Db, to: &Db, target: Target) -> Result<NewInterface> {
        let (from, to) = (self.position(from)?, self.position(to)?);
        let here = self.members[from].db.netns()?.place();
        let own = &self.members[from].draft;
        let departures = own.departures(&here, own.base());
        let Some(new) = departures.into_iter().find(|departure| departure.target == target) else {
            return Err(Error::other("what goes to another namespace is not named"));
        };
        let there = &mut self.members[to];
        let arrived = there.draft.arrive(new.origin, &new.name);
        let title = there.db.netns()?.to_string();
        let target = arrived.map_err(|refusal| refusal.in_namespace(&title))?;
        Ok(NewInterface { number: number(target), peer: None })
    }

    /// What would change if it were committed now, in each namespace: see [`Transaction::review`].
    ///
    /// # Errors
    /// When a database of it cannot say which namespace it follows.
    pub fn review(&self) -> Result<JointReview> {
        let reviewed = |member: &Transaction| Ok((member.db.netns()?.to_string(), member.review()));
        let members = self.members.iter().map(reviewed).collect::<Result<_>>()?;
        Ok(JointReview { members })
    }

    /// What is refused leaves nothing in the transaction.
    fn kept<T>(&mut self, made: Result<T>, before: Transaction) -> Result<T> {
        if made.is_err() {
            let at = self.position(&before.db)?;
            self.members[at] = before;
        }
        made
    }

    fn position(&self, db: &Db) -> Result<usize> {
        let found = self.members.iter().position(|member| member.db.is(db));
        found.ok_or_else(|| Error::other("this transaction is not over that database"))
    }

    /// Carries it out in every namespace: see [`Transaction::commit`].
    ///
    /// Of several such transactions, and others on the same databases, one is carried out after the other.
    ///
    /// # Errors
    /// As there.
    pub fn commit(self) -> Result<JointlyCommitted, CommitError<JointTransaction>> {
        let members: Vec<_> = self.members.iter().collect();
        match carry_out_jointly(&members) {
            Err(error) => Err(CommitError(Box::new((error, self)))),
            Ok(ended) => {
                let members =
                    self.members.into_iter().zip(ended).map(|(tx, (snapshot, created))| {
                        tx.follows.iter().for_each(|follow| follow.committed(&snapshot));
                        Committed { db: tx.db, id: tx.id, snapshot, created }
                    });
                Ok(JointlyCommitted { members: members.collect() })
            }
        }
    }
}

impl Identified for JointTransaction {
    fn id(&self) -> Uuid {
        self.id
    }
}

impl fmt::Debug for JointTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "JointTransaction {}", self.id)?;
        f.debug_list().entries(&self.members).finish()
    }
}

/// What a transaction over several namespaces would change: from [`JointTransaction::review`].
///
/// `Display` prints the review of each namespace under its name.
#[derive(Clone, Debug)]
pub struct JointReview {
    members: Vec<(String, Review)>,
}

impl JointReview {
    /// The reviews, each with the name of its namespace, in the order in which the databases were named.
    pub fn reviews(&self) -> impl Iterator<Item = (&str, &Review)> {
        self.members.iter().map(|(title, review)| (&**title, review))
    }

    /// Why a commit would be refused, if it would be.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.members.iter().find_map(|(_, review)| review.refusal())
    }

    /// Whether nothing would change anywhere.
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(|(_, review)| review.refusal().is_none() && review.is_empty())
    }
}

impl fmt::Display for JointReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (title, review)) in self.members.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}in namespace {title}")?;
            review.to_string().lines().try_for_each(|line| write!(f, "\n  {line}"))?;
        }
        Ok(())
    }
}

/// A transaction over several namespaces that holds.
#[derive(Clone, Debug)]
pub struct JointlyCommitted {
    members: Vec<Committed>,
}

impl JointlyCommitted {
    /// What holds in the namespace of a database.
    ///
    /// # Errors
    /// When the transaction was not over it.
    pub fn at(&self, db: &Db) -> Result<&Committed> {
        let found = self.members.iter().find(|member| member.db.is(db));
        found.ok_or_else(|| Error::other("this transaction was not over that database"))
    }
}

/// A namespace that something is sent to and that no database of the transaction follows: one is opened for the commit.
struct Guest {
    db: Db,
    netns: NetNs,
    draft: Draft,
    received: BTreeSet<Target>,
}

impl Guest {
    fn receive(&mut self, departure: Departure) -> Result<(), Refusal> {
        self.draft.receive(departure, &mut self.received)
    }
}

/// Commits transactions together, with the namespaces that they send something to. Gives what [`Transaction::commit`] gives
/// of each.
pub(super) fn carry_out_jointly(
    transactions: &[&Transaction],
) -> Result<Vec<(Snapshot, BTreeMap<u64, u32>)>> {
    if let Some(refusal) = transactions.iter().find_map(|tx| tx.wrong.as_ref()) {
        return Err(refusal.clone().into());
    }
    let mut drafts: Vec<_> = transactions.iter().map(|tx| tx.draft.clone()).collect();
    let mut guests: Vec<Guest> = Vec::new();
    let titles = transactions.iter().map(|tx| tx.db.netns().map(|netns| netns.to_string()));
    let mut titles = titles.collect::<Result<Vec<_>>>()?;
    let mut received = vec![BTreeSet::new(); transactions.len()];
    for (from, tx) in transactions.iter().enumerate() {
        let here = tx.db.netns()?.place();
        let now = tx.db.snapshot();
        drafts[from].evade_names(&now, tx.id.as_u128() as u64);
        for departure in drafts[from].departures(&here, &now) {
            let is_there = |netns: &&NetNs| netns.place() == *departure.origin.to();
            let Some(netns) = tx.abroad.iter().find(is_there) else {
                return Err(Error::other("where an interface goes is not known any more"));
            };
            let title = netns.to_string();
            let said = |refusal: Refusal| refusal.in_namespace(&title);
            match member(transactions, netns)? {
                Some(at) => drafts[at].receive(departure, &mut received[at]).map_err(said)?,
                None => guest(&mut guests, netns, tx)?.receive(departure).map_err(said)?,
            }
        }
    }
    for (at, (draft, received)) in drafts.iter().zip(&received).enumerate() {
        draft.check_arrivals(received).map_err(|refusal| refusal.in_namespace(&titles[at]))?;
    }
    let is_one = transactions.len() == 1;
    titles.extend(guests.iter().map(|guest| guest.netns.to_string()));
    let own = transactions.iter().zip(&drafts).zip(&titles).map(|((tx, draft), title)| Member {
        engine: tx.db.engine(),
        draft,
        terms: tx.terms(),
        title: (!is_one).then_some(&**title),
    });
    let id = transactions.first().map_or_else(Uuid::new_v4, |tx| tx.id);
    let others = guests.iter().zip(&titles[transactions.len()..]).map(|(guest, title)| Member {
        engine: guest.db.engine(),
        draft: &guest.draft,
        terms: Terms { id, hooks: &[], deadline: None, watcher: None },
        title: Some(&**title),
    });
    let members: Vec<_> = own.chain(others).collect();
    let (outcomes, culprit) = commit_together(&members)?;
    match culprit {
        Some(culprit) => Err(failed(outcomes, culprit, &titles)),
        None => outcomes.into_iter().take(transactions.len()).map(Transaction::ended).collect(),
    }
}

/// Which transaction is the one of a namespace.
fn member(transactions: &[&Transaction], netns: &NetNs) -> Result<Option<usize>> {
    for (at, tx) in transactions.iter().enumerate() {
        if tx.db.netns()? == *netns {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn guest<'a>(guests: &'a mut Vec<Guest>, netns: &NetNs, tx: &Transaction) -> Result<&'a mut Guest> {
    let at = match guests.iter().position(|guest| guest.netns == *netns) {
        Some(at) => at,
        None => {
            let builder = Db::builder().netns(netns).patience(tx.db.patience());
            let builder = builder.addresses(false).rules(false).nexthops(false);
            let db = builder.open()?;
            let draft = db.begin().draft;
            guests.push(Guest { db, netns: netns.clone(), draft, received: BTreeSet::new() });
            guests.len() - 1
        }
    };
    Ok(&mut guests[at])
}

/// The cause, and what is left in every namespace.
fn failed(outcomes: Vec<Outcome>, culprit: usize, titles: &[String]) -> Error {
    let mut cause = None;
    let (mut left, mut besides) = (Vec::new(), Vec::new());
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let title = &titles[at];
        let (why, residue, untold, snapshot) = match outcome {
            Outcome::RolledBack { cause, untold, snapshot } => {
                (cause, Vec::new(), untold, snapshot)
            }
            Outcome::Torn { cause, residue, untold, snapshot } => {
                (cause, residue, untold, snapshot)
            }
            Outcome::Committed { .. } => continue,
        };
        besides.extend(untold.into_iter().map(|what| format!("{what} in namespace {title}")));
        left.extend(
            residue
                .into_iter()
                .map(|one| Residue { what: format!("{} in namespace {title}", one.what), ..one }),
        );
        if at == culprit {
            cause = Some((why, snapshot));
        }
    }
    match cause {
        None => Error::other("it is not known how the commit ended"),
        Some((mut cause, snapshot)) => {
            cause.step = format!("{} (in namespace {})", cause.step, titles[culprit]);
            match left.is_empty() {
                true => Error::rolled_back(cause, besides, snapshot),
                false => Error::torn(cause, left, besides, snapshot),
            }
        }
    }
}
