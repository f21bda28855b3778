//! Nexthop objects and their groups in transactions.

use super::{Result, Transaction};
use crate::object::NexthopSpec;
use crate::plan::{Op, Which};

impl Transaction {
    /// Adds a nexthop object or a group of them. Members come before the groups that they are in, and groups before the
    /// routes that go by them.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface or member, or one with its number is there.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Nexthop, Route};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0"))?;
    /// tx.interface(&br0).add_ip("10.0.0.1/24")?.up();
    /// tx.add_nexthop(Nexthop::new(1).via("10.0.0.2").dev(&br0))?;
    /// tx.add_nexthop(Nexthop::new(2).via("10.0.0.3").dev(&br0))?;
    /// tx.add_nexthop(Nexthop::new(10).member(1, 1).member(2, 3))?;
    /// tx.add_route(Route::to("10.2.0.0/16").nexthop_id(10))?;
    /// let done = tx.commit()?;
    /// assert_eq!(done.snapshot().routes().get("10.2.0.0/16".parse().unwrap())[0].nh_id(), Some(10));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn add_nexthop(&mut self, nexthop: impl Into<NexthopSpec>) -> Result<&mut Self> {
        self.draft().put_nexthop(nexthop.into(), Op::Add)?;
        Ok(self)
    }

    /// Adds a nexthop object, or puts it in the place of the one with its number: the routes that go by it stay.
    ///
    /// # Errors
    /// As [`Transaction::add_nexthop`], but for one that is there.
    pub fn replace_nexthop(&mut self, nexthop: impl Into<NexthopSpec>) -> Result<&mut Self> {
        self.draft().put_nexthop(nexthop.into(), Op::Replace)?;
        Ok(self)
    }

    /// Changes the nexthop object with this number: `change` gets it as it is.
    ///
    /// # Errors
    /// When there is none, or what it becomes cannot be.
    pub fn change_nexthop(
        &mut self,
        id: u32,
        change: impl FnOnce(NexthopSpec) -> NexthopSpec,
    ) -> Result<&mut Self> {
        self.draft().change_nexthop(id, change)?;
        Ok(self)
    }

    /// Takes away the nexthop object with this number.
    ///
    /// The kernel would take the routes that go by it along, and take it out of its groups, without a word. So that is
    /// refused at the commit, unless this transaction takes those routes away, or changes them, and the groups too.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove_nexthop(&mut self, id: u32) -> Result<&mut Self> {
        self.draft().take(&Which::Nexthop(id))?;
        Ok(self)
    }
}
