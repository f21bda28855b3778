//! Edits of one interface, as methods in three places: on a handle (begins a transaction), on a transaction of one
//! interface (a chain), and on the editor that a transaction of many gives. Each is written once, in `edits!`.

use std::time::Duration;

use super::{CommitError, Committed, Edit, Interface, Result, Transaction};
use crate::object::kinds::{
    self, BondOptions, BondPortOptions, BridgeOptions, IpvlanOptions, MacvlanOptions, VlanOptions,
    VxlanOptions,
};
use crate::object::link::{AddrGenMode, LinkFlags, row};
use crate::object::port::BridgePortOptions;
use crate::object::{BridgeVlanSpec, LinkRef, Named, Value};
use crate::plan::{AddressSpec, Draft, Refusal, Review, Target};
use crate::state::{Diff, Snapshot};
use crate::wire::HardwareAddress;

/// Edits one interface of a transaction.
#[derive(Debug)]
pub struct Editor<'a> {
    tx: &'a mut Transaction,
    target: Result<Target, Refusal>,
}

impl<'a> Editor<'a> {
    pub(super) fn new(tx: &'a mut Transaction, target: Result<Target, Refusal>) -> Self {
        Editor { tx, target }
    }

    fn edit(
        &mut self,
        edit: impl FnOnce(&mut Draft, Target) -> Result<(), Refusal>,
    ) -> Result<&mut Self> {
        let target = self.target.clone()?;
        edit(self.tx.draft(), target)?;
        Ok(self)
    }

    /// An edit without a result of its own: what is wrong is found by the commit.
    fn edit_later(
        &mut self,
        edit: impl FnOnce(&mut Draft, Target) -> Result<(), Refusal>,
    ) -> &mut Self {
        if let Ok(target) = self.target.clone() {
            if let Err(refusal) = edit(self.tx.draft(), target) {
                self.tx.refuse(refusal);
            }
        }
        self
    }
}

/// A transaction on one interface: edits in a chain, then [`commit`](InterfaceTransaction::commit).
#[derive(Clone, Debug)]
pub struct InterfaceTransaction {
    tx: Transaction,
    which: LinkRef,
}

impl InterfaceTransaction {
    pub(super) fn new(tx: Transaction, which: LinkRef) -> Self {
        InterfaceTransaction { tx, which }
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.tx.refuse(refusal);
    }

    /// See [`Transaction::review`].
    pub fn review(&self) -> Review {
        self.tx.review()
    }

    /// See [`Transaction::on_commit`].
    #[track_caller]
    #[must_use = "a transaction that is dropped is forgotten"]
    pub fn on_commit<E: std::fmt::Display>(
        mut self,
        check: impl Fn(&Snapshot, &Diff) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.tx.on_commit(check);
        self
    }

    /// See [`Transaction::hook_deadline`].
    #[must_use = "a transaction that is dropped is forgotten"]
    pub fn hook_deadline(mut self, deadline: Duration) -> Self {
        self.tx.hook_deadline(deadline);
        self
    }

    /// See [`Transaction::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn commit(self) -> Result<Committed, CommitError> {
        self.tx.commit()
    }

    /// The same as a transaction on many interfaces.
    pub fn into_transaction(self) -> Transaction {
        self.tx
    }
}

/// Writes each edit for [`Editor`], [`InterfaceTransaction`] and [`Interface`].
macro_rules! edits {
    () => {};
    ($(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $type:ty),*) $edit:expr; $($rest:tt)*) => {
        impl Editor<'_> {
            $(#[doc = $doc])*
            pub fn $name(&mut self, $($arg: $type),*) -> &mut Self {
                self.edit_later($edit)
            }
        }

        impl InterfaceTransaction {
            $(#[doc = $doc])*
            #[must_use = "a transaction that is dropped is forgotten"]
            pub fn $name(mut self, $($arg: $type),*) -> Self {
                self.tx.interface(self.which.clone()).$name($($arg),*);
                self
            }
        }

        impl Interface<Edit> {
            $(#[doc = $doc])*
            #[doc = "\n\nBegins a transaction."]
            #[must_use = "a transaction that is dropped is forgotten"]
            pub fn $name(&self, $($arg: $type),*) -> InterfaceTransaction {
                self.begin_implicit().$name($($arg),*)
            }
        }

        edits! { $($rest)* }
    };
    ($(#[doc = $doc:literal])* try $name:ident($($arg:ident: $type:ty),*) $edit:expr; $($rest:tt)*) => {
        impl Editor<'_> {
            $(#[doc = $doc])*
            pub fn $name(&mut self, $($arg: $type),*) -> Result<&mut Self> {
                let edit: Result<_> = $edit;
                self.edit(edit?)
            }
        }

        impl InterfaceTransaction {
            $(#[doc = $doc])*
            pub fn $name(mut self, $($arg: $type),*) -> Result<Self> {
                self.tx.interface(self.which.clone()).$name($($arg),*)?;
                Ok(self)
            }
        }

        impl Interface<Edit> {
            $(#[doc = $doc])*
            #[doc = "\n\nBegins a transaction."]
            pub fn $name(&self, $($arg: $type),*) -> Result<InterfaceTransaction> {
                self.begin_implicit().$name($($arg),*)
            }
        }

        edits! { $($rest)* }
    };
}

/// A flag to be set or cleared.
fn flag(flag: LinkFlags, on: bool) -> impl FnOnce(&mut Draft, Target) -> Result<(), Refusal> {
    move |draft, target| {
        draft.set_flags(target, flag, on);
        Ok(())
    }
}

/// An attribute to be set.
fn set(id: u16, value: Value) -> impl FnOnce(&mut Draft, Target) -> Result<(), Refusal> {
    move |draft, target| draft.set(target, id, value)
}

edits! {
    /// Brings it up.
    fn up() flag(LinkFlags::UP, true);
    /// Takes it down. Its IPv6 addresses go, and its IPv4 routes.
    fn down() flag(LinkFlags::UP, false);
    /// Whether neighbours are found by ARP (clears or sets `IFF_NOARP`).
    fn arp(on: bool) flag(LinkFlags::NOARP, !on);
    /// Whether it takes part in multicast.
    fn multicast(on: bool) flag(LinkFlags::MULTICAST, on);
    /// Whether it receives all multicast packets.
    fn allmulti(on: bool) flag(LinkFlags::ALLMULTI, on);
    /// Whether it receives all packets.
    fn promisc(on: bool) flag(LinkFlags::PROMISC, on);
    /// Whether its addresses are lost when it goes down (`IFF_DYNAMIC`).
    fn dynamic(on: bool) flag(LinkFlags::DYNAMIC, on);
    /// The largest packet without the link-layer header, in bytes; between the interface's own bounds.
    fn set_mtu(bytes: u32) |draft: &mut Draft, target| draft.set_mtu(target, bytes);
    /// The length of the transmit queue, in packets.
    fn set_txqlen(packets: u32) set(row::TXQLEN, Value::Number(packets.into()));
    /// The hardware address.
    fn set_address(address: HardwareAddress) set(row::ADDRESS, Value::Hardware(address));
    /// The hardware address of a broadcast.
    fn set_broadcast(address: HardwareAddress) set(row::BROADCAST, Value::Hardware(address));
    /// The alias, a text of up to 255 bytes for people; empty for none.
    fn set_alias(alias: &str) set(row::ALIAS, alias.into());
    /// The group, a number; 0 is the default one.
    fn set_group(group: u32) set(row::GROUP, Value::Number(group.into()));
    /// How the kernel makes IPv6 addresses by itself.
    fn set_addr_gen_mode(mode: AddrGenMode) set(row::ADDR_GEN_MODE, Value::Number(mode.number()));
    /// Deletes the interface, and what cannot be without it: its veth peer, macvlans on it.
    fn remove() |draft: &mut Draft, target| draft.remove(target);
    /// Renames it: 1 to 15 bytes, no slash, colon or white space. Kernels before 6.2 refuse it while the interface is
    /// up.
    ///
    /// # Errors
    /// When it cannot be a name, or is taken.
    try set_name(name: &str) Ok(|draft: &mut Draft, target| draft.rename(target, name));
    /// Adds an alternative name of 1 to 127 bytes.
    ///
    /// # Errors
    /// When it cannot be one, or is taken.
    try add_altname(name: &str) Ok(|draft: &mut Draft, target| draft.altname(target, name, true));
    /// Takes an alternative name away.
    ///
    /// # Errors
    /// When it does not have it.
    try del_altname(name: &str) Ok(|draft: &mut Draft, target| draft.altname(target, name, false));
    /// Adds an address: `"10.0.0.1/24"`, an address and a prefix length, an `ipnet`, or an [`AddressSpec`] with peer,
    /// label, scope, lifetimes.
    ///
    /// # Errors
    /// When it is no address, or there already.
    try add_ip(address: impl TryInto<AddressSpec, Error: Into<super::Error>>) match address.try_into() {
        Ok(spec) => Ok(|draft: &mut Draft, target| draft.add_ip(target, spec)),
        Err(error) => Err(error.into()),
    };
    /// Deletes an address.
    ///
    /// # Errors
    /// When it is no address, or not there.
    try del_ip(address: impl TryInto<AddressSpec, Error: Into<super::Error>>) match address.try_into() {
        Ok(spec) => Ok(|draft: &mut Draft, target| draft.del_ip(target, spec)),
        Err(error) => Err(error.into()),
    };
    /// Makes an interface (by name, handle or index) a port of this one: of a bridge, bond, team or VRF.
    ///
    /// A port of a bond or team must be down when it joins, and comes up by that: one that is up is taken down before,
    /// with what that costs (its IPv6 addresses, its routes). It is up afterwards, unless it is named to be down.
    /// IPv6 addresses that a VRF takes from what joins it are put back; its routes go to the VRF's table. A port may have
    /// addresses of its own, before and after it joins: the kernel takes them, though packets that a bridge or bond
    /// takes from its port never reach them.
    ///
    /// # Errors
    /// When it is unknown, its port already, itself, or this one takes no ports.
    try add_port(port: impl Into<LinkRef>) Ok(|draft: &mut Draft, target| {
        let port = draft.resolve(&port.into())?;
        draft.add_port(target, port)
    });
    /// Releases a port. A bond or team takes it down with that, and gives it its own address and mtu back.
    ///
    /// # Errors
    /// When it is unknown, or not its port.
    try del_port(port: impl Into<LinkRef>) Ok(|draft: &mut Draft, target| {
        let port = draft.resolve(&port.into())?;
        draft.del_port(target, port)
    });
    /// Adds VLANs to a bridge or a port of one, or changes those that are there: a number, a range of numbers, or a
    /// [`BridgeVlanSpec`] that says more. The VLAN that was that of untagged frames before one that is told to be
    /// stays, as one that is not.
    ///
    /// ```
    /// use netlinkdb::{Bridge, BridgeVlan, Db, NetNs, Veth};
    ///
    /// NetNs::enter_private()?;
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0").vlan_filtering(true))?;
    /// let v0 = tx.create(Veth::new("v0", "v1"))?;
    /// tx.interface(&br0).add_port(&v0)?.add_vlan(10)?;
    /// tx.interface(&v0).add_vlan(BridgeVlan::new(10).pvid().untagged())?.add_vlan(20..=25)?.del_vlan(1)?;
    /// let Ok(done) = tx.commit() else {
    ///     println!("skipped: this kernel's bridges have no VLANs");
    ///     return Ok(());
    /// };
    /// let now = done.snapshot();
    /// let vlans: Vec<_> = now.vlans_of(now.link("v0").unwrap().index()).map(|vlan| vlan.vid()).collect();
    /// assert_eq!(vlans, [10, 20, 21, 22, 23, 24, 25]);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a number is outside 1 to 4094, two VLANs are to be that of untagged frames, the interface is neither a bridge
    /// nor a port of one, or the kernel has no VLANs for bridges.
    try add_vlan(vlans: impl Into<BridgeVlanSpec>) Ok(|draft: &mut Draft, target| draft.add_vlan(target, vlans.into()));
    /// Deletes VLANs of a bridge or a port of one.
    ///
    /// # Errors
    /// As for adding, and when none of them is there.
    try del_vlan(vlans: impl Into<BridgeVlanSpec>) Ok(|draft: &mut Draft, target| draft.del_vlan(target, vlans.into()));
    /// Has a bridge, or a port of one, have these VLANs and no others, by these tunnels and no others.
    ///
    /// # Errors
    /// As for adding.
    try set_vlans(vlans: impl IntoIterator<Item = impl Into<BridgeVlanSpec>>) {
        let all: Vec<BridgeVlanSpec> = vlans.into_iter().map(Into::into).collect();
        Ok(move |draft: &mut Draft, target| draft.set_vlans(target, &all))
    };
    /// Sets options of a bridge.
    ///
    /// # Errors
    /// When it is no bridge, or a value is out of range.
    try bridge(options: BridgeOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets options of a VXLAN.
    ///
    /// # Errors
    /// When it is none, or a value is out of range.
    try vxlan(options: VxlanOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets options of a macvlan or macvtap.
    ///
    /// # Errors
    /// When it is none, or a value is out of range.
    try macvlan(options: MacvlanOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets options of a VLAN.
    ///
    /// # Errors
    /// When it is none, or a value is out of range.
    try vlan(options: VlanOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets options of a bond.
    ///
    /// # Errors
    /// When it is none, or a value is out of range.
    try bond(options: BondOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets options of an ipvlan or ipvtap.
    ///
    /// # Errors
    /// When it is none, or a value is out of range.
    try ipvlan(options: IpvlanOptions) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
    /// Sets its options as a port of a bond.
    ///
    /// # Errors
    /// When it is no port of a bond and does not become one in this transaction, or a value is out of range.
    try bond_port(options: BondPortOptions) Ok(|draft: &mut Draft, target| draft.set_port(target, options.record()));
    /// Sets its options as a port of a bridge.
    ///
    /// # Errors
    /// When it is no port of a bridge and does not become one in this transaction, or a value is out of range.
    try bridge_port(options: BridgePortOptions) Ok(|draft: &mut Draft, target| draft.set_port(target, options.record()));
}

/// One edit for each kind that has options.
macro_rules! kind_options {
    ($($(#[doc = $doc:literal])* $name:ident $options:ident;)*) => {
        edits! {$(
            $(#[doc = $doc])*
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = "When it is of another kind, or a value is out of range."]
            try $name(options: kinds::$options) Ok(|draft: &mut Draft, target| draft.set_data(target, options.record()));
        )*}
    };
}

kind_options! {
    /// Sets options of a GRE tunnel over IPv4.
    gre GreOptions;
    /// Sets options of a GRE tunnel of Ethernet frames over IPv4.
    gretap GretapOptions;
    /// Sets options of an ERSPAN tunnel over IPv4.
    erspan ErspanOptions;
    /// Sets options of a GRE tunnel over IPv6.
    ip6gre Ip6greOptions;
    /// Sets options of a GRE tunnel of Ethernet frames over IPv6.
    ip6gretap Ip6gretapOptions;
    /// Sets options of an ERSPAN tunnel over IPv6.
    ip6erspan Ip6erspanOptions;
    /// Sets options of a tunnel of IPv4 or MPLS in IPv4.
    ipip IpipOptions;
    /// Sets options of a tunnel of IPv6, IPv4 or MPLS in IPv4.
    sit SitOptions;
    /// Sets options of a tunnel of IPv4 or IPv6 in IPv6.
    ip6tnl Ip6tnlOptions;
    /// Sets options of an IPsec tunnel over IPv4.
    vti VtiOptions;
    /// Sets options of an IPsec tunnel over IPv6.
    vti6 Vti6Options;
    /// Sets options of a Geneve tunnel.
    geneve GeneveOptions;
    /// Sets options of an xfrm interface.
    xfrm XfrmOptions;
    /// Sets options of a MACsec interface.
    macsec MacsecOptions;
    /// Sets options of a netkit pair, at its primary end.
    netkit NetkitOptions;
}
