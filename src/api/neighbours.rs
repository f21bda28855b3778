//! Neighbours, proxies and forwarding entries in transactions.

use super::{Result, Transaction};
use crate::object::NeighbourSpec;
use crate::plan::{Op, Which};

impl Transaction {
    /// Adds a neighbour, a proxy ([`NeighbourSpec::proxy`]) or a forwarding entry of a bridge or tunnel
    /// ([`Neighbour::fdb`](crate::Neighbour::fdb)).
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or is there; when the database does not follow neighbours
    /// (`Db::builder().neighbours(true)`).
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Neighbour};
    ///
    /// let db = Db::builder().neighbours(true).open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0"))?;
    /// tx.interface(&br0).add_ip("10.0.0.1/24")?.up();
    /// tx.add_neighbour(Neighbour::new("10.0.0.2", &br0).lladdr("02:00:00:00:00:02"))?;
    /// let done = tx.commit()?;
    /// let index = done.interface(&br0)?.link()?.index();
    /// let neighbour = done.snapshot().neighbours().get(index, "10.0.0.2".parse().unwrap()).unwrap();
    /// assert_eq!(neighbour.lladdr().unwrap().to_string(), "02:00:00:00:00:02");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn add_neighbour(&mut self, neighbour: impl Into<NeighbourSpec>) -> Result<&mut Self> {
        self.draft().put_neighbour(neighbour.into(), Op::Add)?;
        Ok(self)
    }

    /// Adds a neighbour, or puts it in the place of the one with its address.
    ///
    /// # Errors
    /// As [`Transaction::add_neighbour`], but for one that is there.
    pub fn replace_neighbour(&mut self, neighbour: impl Into<NeighbourSpec>) -> Result<&mut Self> {
        self.draft().put_neighbour(neighbour.into(), Op::Replace)?;
        Ok(self)
    }

    /// Takes a neighbour away: the one with this address behind this interface.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove_neighbour(&mut self, which: impl Into<NeighbourSpec>) -> Result<&mut Self> {
        self.draft().take(&Which::Neighbour(which.into()))?;
        Ok(self)
    }
}
