//! Handles on interfaces.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{CommitError, Committed, Db, Editor, InterfaceTransaction, Result};
use crate::object::{Address, BridgeVlan, Link, LinkRef};
use crate::plan::Refusal;
use crate::state::Snapshot;

/// Marks a handle that can edit.
#[derive(Clone, Copy, Debug)]
pub struct Edit;

/// Marks a handle that can only read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

/// A handle on one interface: its index and generation, and where to look.
///
/// It follows renames, and outlives a loss of notifications. When the interface is gone the handle is stale, also if
/// another one gets the same name or index: it never means another interface.
///
/// Edits on a handle begin a transaction, which is changed further and committed:
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// let db = netlinkdb::Db::open()?;
/// let lo = db.interface("lo")?;
/// lo.add_ip("10.0.0.2/32")?.set_mtu(1460).up().commit()?;
/// assert!(lo.link()?.is_up());
/// # Ok::<(), netlinkdb::Error>(())
/// ```
pub struct Interface<A = Edit> {
    db: Db,
    index: u32,
    generation: u64,
    access: PhantomData<A>,
}

impl<A> Interface<A> {
    pub(super) fn new(db: Db, index: u32, generation: u64) -> Self {
        Interface { db, index, generation, access: PhantomData }
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// The index, which it keeps as long as it is there.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Everything about it, as of now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn link(&self) -> Result<Arc<Link>> {
        self.link_in(&self.db.snapshot())
    }

    /// Everything about it, as of a snapshot of the same database.
    ///
    /// # Errors
    /// When it is not there.
    pub fn link_in(&self, snapshot: &Snapshot) -> Result<Arc<Link>> {
        let link =
            snapshot.shared_link(self.index).filter(|link| link.generation() == self.generation);
        link.ok_or_else(|| {
            let by = snapshot.link_by_index(self.index).map(|link| link.name().to_owned());
            Refusal::Stale { index: self.index, by }.into()
        })
    }

    /// Whether it is gone.
    pub fn is_stale(&self) -> bool {
        self.link().is_err()
    }

    /// Its name now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn name(&self) -> Result<String> {
        Ok(self.link()?.name().to_owned())
    }

    /// Its addresses, in the kernel's order.
    ///
    /// # Errors
    /// When it is gone.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        let now = self.db.snapshot();
        self.link_in(&now)?;
        Ok(now.addresses_of(self.index).into_iter().cloned().collect())
    }

    /// Its IPv4 addresses, in the kernel's order.
    ///
    /// # Errors
    /// When it is gone.
    pub fn ipv4(&self) -> Result<Vec<Address>> {
        Ok(self.addresses()?.into_iter().filter(|address| address.local().is_ipv4()).collect())
    }

    /// Its IPv6 addresses.
    ///
    /// # Errors
    /// When it is gone.
    pub fn ipv6(&self) -> Result<Vec<Address>> {
        Ok(self.addresses()?.into_iter().filter(|address| address.local().is_ipv6()).collect())
    }

    /// Its ports, in the order of their indexes; none for an interface that is no master.
    ///
    /// # Errors
    /// When it is gone.
    pub fn ports(&self) -> Result<Vec<Interface<A>>> {
        let now = self.db.snapshot();
        self.link_in(&now)?;
        let handle = |link: &Link| Interface::new(self.db.clone(), link.index(), link.generation());
        Ok(now.ports_of(self.index).map(handle).collect())
    }

    /// Its VLANs as a bridge or a port of one, in the order of their numbers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn vlans(&self) -> Result<Vec<BridgeVlan>> {
        let now = self.db.snapshot();
        self.link_in(&now)?;
        Ok(now.vlans_of(self.index).copied().collect())
    }

    /// Its master.
    ///
    /// # Errors
    /// When it is gone.
    pub fn master(&self) -> Result<Option<Interface<A>>> {
        let now = self.db.snapshot();
        let master = self.link_in(&now)?.master().and_then(|index| now.link_by_index(index));
        Ok(master.map(|link| Interface::new(self.db.clone(), link.index(), link.generation())))
    }

    /// The same interface, as a handle that cannot edit.
    pub fn read_only(&self) -> Interface<ReadOnly> {
        Interface::new(self.db.clone(), self.index, self.generation)
    }
}

impl Interface<Edit> {
    /// Begins a transaction on this interface.
    pub fn begin(&self) -> InterfaceTransaction {
        InterfaceTransaction::new(self.db.begin(), self.into())
    }

    /// A transaction that an edit begins, which an explicit database refuses.
    pub(super) fn begin_implicit(&self) -> InterfaceTransaction {
        let mut tx = self.begin();
        if self.db.is_explicit() {
            tx.refuse(Refusal::Explicit);
        }
        tx
    }

    /// Begins a transaction, lets `edit` fill it, and commits. When `edit` gives an error the transaction is
    /// forgotten: nothing was sent, and the error comes back.
    ///
    /// # Errors
    /// That of `edit`, or the commit's.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// let db = netlinkdb::Db::open()?;
    /// db.interface("lo")?.with(|tx| {
    ///     tx.up();
    ///     tx.set_mtu(1400);
    ///     tx.add_ip("10.0.0.1/24")?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn with(
        &self,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<()>,
    ) -> Result<Committed, CommitError> {
        let mut tx = self.db.begin();
        match edit(&mut tx.interface(self)) {
            Ok(()) => tx.commit(),
            Err(error) => Err(CommitError(Box::new((error, tx)))),
        }
    }
}

impl<A> Clone for Interface<A> {
    fn clone(&self) -> Self {
        Interface::new(self.db.clone(), self.index, self.generation)
    }
}

/// The same interface of the same database.
impl<A> PartialEq for Interface<A> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

impl<A> fmt::Display for Interface<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link() {
            Ok(link) => f.write_str(link.name()),
            Err(_) => write!(f, "if{} (gone)", self.index),
        }
    }
}

impl<A> fmt::Debug for Interface<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interface({self}, index {}, generation {})", self.index, self.generation)
    }
}

impl<A> From<&Interface<A>> for LinkRef {
    fn from(interface: &Interface<A>) -> Self {
        LinkRef::Handle { index: interface.index, generation: interface.generation }
    }
}

impl<A> From<Interface<A>> for LinkRef {
    fn from(interface: Interface<A>) -> Self {
        LinkRef::from(&interface)
    }
}
