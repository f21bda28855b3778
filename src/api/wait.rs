//! Waits for what the kernel does late: duplicate address detection, carrier, operational state (K2, K26).
//!
//! All of them look at states as they come; nothing is asked for again and again.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::db::find;
use super::{Db, Error, Result};
use crate::object::{Address, AddressFlags, Link, LinkRef, OperState};
use crate::plan::Refusal;
use crate::state::{Ask, Snapshot};

/// What is found in a state.
enum Look<T> {
    Found(T),
    Failed(Error),
    /// How it is instead.
    NotYet(String),
}

impl Db {
    /// Waits until an address of an interface is there and can be used: IPv6's duplicate address detection has ended, or
    /// the address is optimistic. Gives the address.
    ///
    /// # Errors
    /// When another host has the address ([`Error::is_duplicate`]); when the interface is not there or goes away; when
    /// the time is over ([`Error::is_timeout`]), with how it was then.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use std::time::Duration;
    ///
    /// let db = netlinkdb::Db::open()?;
    /// db.interface("lo")?.up().add_ip("fd00::1/128")?.commit()?;
    /// let address = db.wait_usable("lo", "fd00::1".parse().unwrap(), Duration::from_secs(9))?;
    /// assert!(!address.is_tentative());
    /// let vain = db.wait_usable("lo", "fd00::2".parse().unwrap(), Duration::from_millis(1));
    /// assert!(vain.unwrap_err().is_timeout());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn wait_usable(
        &self,
        interface: impl Into<LinkRef>,
        address: IpAddr,
        within: Duration,
    ) -> Result<Address> {
        let which = self.handle(interface)?;
        if let (IpAddr::V6(address), LinkRef::Handle { index, .. }) = (address, &which) {
            self.engine().observe(&[Ask::Address(*index, address)])?;
        }
        self.wait_on(&which, within, &format!("{address} to be usable"), |now, link| {
            let own = now.addresses_of(link.index());
            let Some(found) = own.into_iter().find(|own| own.local() == address) else {
                return Look::NotYet("it is not there".to_owned());
            };
            if found.is_duplicate() {
                let name = link.name();
                return Look::Failed(Error::duplicate(format!("{address} of {name}")));
            }
            match found.is_tentative() && !found.flags().contains(AddressFlags::OPTIMISTIC) {
                true => Look::NotYet("duplicate address detection has not ended".to_owned()),
                false => Look::Found(found.clone()),
            }
        })
    }

    /// Waits until an interface has a carrier, or has none. Gives the state in which it was so.
    ///
    /// # Errors
    /// When the interface is not there or goes away; when the time is over ([`Error::is_timeout`]).
    pub fn wait_carrier(
        &self,
        interface: impl Into<LinkRef>,
        carrier: bool,
        within: Duration,
    ) -> Result<Snapshot> {
        let which = self.handle(interface)?;
        self.refresh([which.clone()])?;
        let what = if carrier { "a carrier" } else { "no carrier" };
        self.wait_on(&which, within, what, |now, link| match link.carrier() == Some(carrier) {
            true => Look::Found(now.clone()),
            false => Look::NotYet(if carrier { "it has none" } else { "it has one" }.to_owned()),
        })
    }

    /// Waits until an interface has this operational state. Gives the state of everything in which it was so.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, OperState, Veth};
    /// use std::time::Duration;
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let pair = tx.create(Veth::new("v0", "v1"))?;
    /// tx.interface(&pair).up();
    /// tx.interface("v1").up();
    /// tx.commit()?;
    /// db.wait_operstate("v0", OperState::UP, Duration::from_secs(9))?;
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the interface is not there or goes away; when the time is over ([`Error::is_timeout`]).
    pub fn wait_operstate(
        &self,
        interface: impl Into<LinkRef>,
        state: OperState,
        within: Duration,
    ) -> Result<Snapshot> {
        let which = self.handle(interface)?;
        self.refresh([which.clone()])?;
        self.wait_on(&which, within, &format!("operational state {state}"), |now, link| match link
            .operstate()
        {
            Some(found) if found == state => Look::Found(now.clone()),
            Some(found) => Look::NotYet(format!("it is {found}")),
            None => Look::NotYet("it has none".to_owned()),
        })
    }

    /// Waits until some interface has an address in this network, usable or not. Gives the first one. A single address is
    /// a network of its own: `10.0.0.1/32`.
    ///
    /// # Errors
    /// When the time is over ([`Error::is_timeout`]), or the reader has ended.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use std::time::Duration;
    ///
    /// let db = netlinkdb::Db::open()?;
    /// db.interface("lo")?.up().commit()?;
    /// let address = db.wait_ip("127.0.0.0/8".parse().unwrap(), Duration::from_secs(9))?;
    /// assert_eq!(address.prefix().to_string(), "127.0.0.1/8");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn wait_ip(&self, network: IpNet, within: Duration) -> Result<Address> {
        let inside = |address: &&Address| network.contains(&address.local());
        let found = self.wait_until(within, |now| now.addresses().any(|own| inside(&own)))?;
        let found = found.as_ref().and_then(|now| now.addresses().find(inside));
        let vain = || Error::vain(format!("an address in {network}"), String::new(), within);
        found.cloned().ok_or_else(vain)
    }

    /// What is meant, from now on never another one.
    fn handle(&self, which: impl Into<LinkRef>) -> Result<LinkRef> {
        let (index, generation) = find(&self.snapshot(), &which.into())?;
        Ok(LinkRef::Handle { index, generation })
    }

    fn wait_on<T>(
        &self,
        which: &LinkRef,
        within: Duration,
        what: &str,
        look: impl Fn(&Snapshot, &Link) -> Look<T>,
    ) -> Result<T> {
        let mut seen = Look::NotYet(String::new());
        let mut name = String::new();
        let found = self.wait_until(within, |now| {
            let Some(link) = now.link(which.clone()) else {
                let gone = find(now, which).err();
                let unknown = || Refusal::Unknown(which.to_string()).into();
                seen = Look::Failed(gone.unwrap_or_else(unknown));
                return true;
            };
            link.name().clone_into(&mut name);
            seen = look(now, link);
            !matches!(seen, Look::NotYet(_))
        });
        found?;
        match seen {
            Look::Found(found) => Ok(found),
            Look::Failed(error) => Err(error),
            Look::NotYet(instead) => Err(Error::vain(format!("{what} ({name})"), instead, within)),
        }
    }
}
