//! The Linux network stack as an in-memory transactional database.
//!
//! A [`Db`] follows one network namespace over rtnetlink: a reader thread keeps a [`Snapshot`] of its interfaces,
//! addresses, routes, rules, nexthop objects and neighbours that is always the kernel's own state. A [`Transaction`] changes any number of
//! them, and holds as a whole or leaves nothing behind.
//!
//! ```
//! use netlinkdb::{Bridge, Db, NetNs, Veth};
//!
//! NetNs::enter_private()?; // a namespace of our own, to try things in
//! let db = Db::open()?;
//!
//! let mut tx = db.begin();
//! let br0 = tx.create(Bridge::new("br0"))?;
//! let pair = tx.create(Veth::new("port0", "host0"))?;
//! tx.interface(&br0).add_port(&pair)?.add_ip("10.0.0.1/24")?.up();
//! assert!(tx.review().commands().contains(&"ip addr add 10.0.0.1/24 dev br0".to_owned()));
//! let done = tx.commit()?;
//!
//! let before = done.snapshot();
//! db.interface("host0")?.set_mtu(1400).up().commit()?;
//! let after = db.sync()?;
//! assert_eq!(after.link("host0").map(|link| link.mtu()), Some(1400));
//! assert!(before.diff(&after).changes().iter().any(|change| change.to_string().contains("mtu 1500 -> 1400")));
//! # Ok::<(), netlinkdb::Error>(())
//! ```
//!
//! # Where to begin
//!
//! - Reading: [`Db::snapshot`], [`Snapshot::links`], [`Snapshot::addresses_of`], [`Snapshot::lookup`],
//!   [`Snapshot::diff`]; a handle on one interface is an [`Interface`], from [`Db::interface`].
//! - Routes: [`Snapshot::routes`] is the main table, a [`RouteTable`] with exact and longest-prefix lookups;
//!   [`Route::to`] begins what a transaction adds.
//! - Rules, nexthop objects, neighbours: [`Snapshot::rules`], [`Snapshot::nexthops`], [`Snapshot::neighbours`].
//! - VLANs of bridges and their ports: [`Snapshot::vlans_of`], [`Editor::add_vlan`], [`Editor::set_vlans`].
//! - Changing: [`Db::begin`] for many interfaces, the edits of an [`Interface`] for one; [`Transaction::review`] shows
//!   what would happen, [`Transaction::commit`] says how it ended, [`Error`] why.
//! - Rules, nexthop objects, neighbours: [`Transaction::add_rule`], [`Transaction::add_nexthop`],
//!   [`Transaction::add_neighbour`]; [`Db::rule`] and [`Db::route`] give handles.
//! - Creating: [`Bridge`], [`Bond`], [`Vlan`], [`Vrf`], [`Team`], [`Veth`], [`Vxlan`], [`Macvlan`], [`Macvtap`],
//!   [`Ipvlan`], [`Ipvtap`], [`Hsr`], [`Dummy`], [`Ifb`], [`Nlmon`]; tunnels ([`Gre`], [`Gretap`], [`Erspan`], [`Ip6gre`],
//!   [`Ip6gretap`], [`Ip6erspan`], [`Ipip`], [`Sit`], [`Ip6tnl`], [`Vti`], [`Vti6`], [`Xfrm`], [`Geneve`], [`Bareudp`],
//!   [`Wireguard`]); [`Macsec`], [`Netkit`], [`Tun`]; any other kind by [`NewLink::with_kind`].
//! - Following: [`Db::events`], [`Db::on_event`], [`Db::wait_until`], [`Db::wait_usable`], [`Db::sync`]; [`Db::losses`]
//!   counts what had to be repaired.
//! - Guarding: [`Transaction::on_commit`], [`Db::on_commit`]; [`Db::on_notification`].
//! - Holding: [`Db::freeze`], [`Interface::freeze`], [`RouteHandle::freeze`], [`RuleHandle::freeze`], [`Db::freeze_at`]:
//!   see [`Frozen`].
//! - Looking back: [`DbBuilder::history`], [`Db::at`], [`Db::before`].
//! - Crash safety: [`DbBuilder::journal`], [`Db::recover`].
//! - Namespaces: [`NetNs`], [`DbBuilder::netns`]; [`Transaction::move_to`] sends an interface to another one,
//!   [`Transaction::create_in`] makes one there on an interface of here; [`Db::transaction_over`] changes several
//!   together, see [`JointTransaction`].
//!
//! # Routes
//!
//! Routes of IPv4 and IPv6 are read and followed, in every table. The kernel takes many away in silence, and so does the
//! snapshot: with an interface that goes down or is deleted, with the last IPv4 address of an interface, with a preferred
//! source address, with a nexthop object. Where memory cannot tell what became of them, they are read again.
//!
//! In transactions: [`Transaction::add_route`] and its neighbours, [`Transaction::change_route`],
//! [`Transaction::replace_table`], [`Transaction::sync_routes`]. What went with an interface, an address or a nexthop
//! object that a commit took away is brought back by its rollback, but for what the kernel makes by itself. Another
//! program's deletion of a route over the same interface in the same moment cannot be told from that.
//!
//! MPLS routes ([`Route::mpls`]) are read, followed and written in the same way where the kernel has them (`mpls_router`).
//! They are a table of their own, by label: [`RouteTable::mpls`], and [`RouteFilter::mpls`] in scopes.
//!
//! Never kept: multicast routes, the routing cache, and the marks that the kernel flips by itself (`dead`, `linkdown`,
//! `offload`, how long a route still lasts).
//!
//! A database may leave routes out, by table, protocol or family ([`DbBuilder::ignore_tables`] and its neighbours): then
//! [`Snapshot::follows_table`] says of which tables everything is known.
//!
//! # Rules, nexthop objects, neighbours
//!
//! Rules of IPv4 and IPv6 and nexthop objects are read and followed like routes; neighbours, proxies and the forwarding
//! entries of bridges and tunnels where the database is opened so ([`DbBuilder::neighbours`]). Nexthop objects go with
//! their interface, with its carrier and out of their groups, in silence, and the snapshot knows. In transactions:
//! [`Transaction::add_rule`], [`Transaction::change_rule`], [`Transaction::add_nexthop`], [`Transaction::add_neighbour`]
//! and their neighbours.
//!
//! Never kept: rules of multicast routing; neighbours in the states `NONE` and `NOARP`, which `ip neigh` does not show
//! either and the kernel makes and forgets without a word; the receive filters of devices among forwarding entries; the
//! buckets of resilient groups.
//!
//! # VLANs of bridges
//!
//! VLANs of bridge ports and of bridges themselves are read and followed like addresses, where the kernel has them. They go
//! with their port's bridge and come with it, the default one moves when a bridge is told another, and the tunnels by which
//! those of a port go end with `vlan_tunnel`: all that shows in the snapshot, and goes back in a rollback. Not kept: what
//! else a VLAN has by port or by bridge (its state in the spanning tree, options of multicast), and counters.
//!
//! # Going back, and being careful
//!
//! [`Transaction::revert_to`] goes back to an earlier snapshot, as far as a [`Selection`] speaks of it;
//! [`Transaction::savepoint`] and [`Transaction::rollback_to`] within a transaction. [`Transaction::on_conflict`] says what
//! is done about what another program changes too. [`Transaction::commit_confirmed`] takes a commit back that nobody
//! confirms. [`Transaction::ensure`] has something be there; [`Selection::export`] and [`Transaction::load`] save and load
//! in the words of `ip -json -details`.
//!
//! # What the kernel changes without a word
//!
//! A snapshot is what the kernel said. It does not say everything: of these fields a change by *another program* shows
//! only after [`Db::refresh`] of the interface, [`Db::resync`], or any announced change of the same interface. What a
//! commit of this database changes is always read back. The attributes are those of `rtnetlink`; the list is measured,
//! and a test against the running kernel keeps it complete.
//!
//! While the interface is down:
//!
//! - alias (`IFLA_IFALIAS`), group (`IFLA_GROUP`), alternative names (`IFLA_PROP_LIST`), link mode, protocol down and its
//!   reasons, carrier;
//! - every option of a bridge, a bond, a VLAN, a VXLAN, a macvlan, a tunnel and a MACsec interface, and every option of a
//!   port of a bridge or bond that is set as `ip link set dev PORT type bridge_slave` does.
//!
//! Up or down:
//!
//! - `gso_max_size`, `gso_max_segs`, `gro_max_size` and their IPv4 siblings; `tso_max_size` of a bridge that gains a port;
//! - the queueing discipline; promiscuity and allmulti beyond the first user, and of the interface below a macvlan;
//! - the IPv4 and IPv6 settings of the interface (`IFLA_AF_SPEC`, with `addr_gen_mode` set by sysctl);
//! - where the other end of a veth has moved to another namespace, the link to it;
//! - of a bridge, root, root port, path cost, topology change, querier, and `ageing_time` while the topology changes; of a
//!   port, the designated bridge, port and cost, acknowledgement and pending; `bc_queue_len_used` of a macvlan; mode and
//!   flags of an ipvlan, which all of one interface have in common;
//! - of a bond, the active port and the aggregator; of its ports, whether they are used, what the bond thinks of their
//!   carrier, and their state in LACP.
//!
//! Of neighbours: proxies are announced neither when they are made nor when they are deleted; the states `INCOMPLETE` and
//! `DELAY`, and that a forwarding entry has become `stale`, are not either. [`Db::resync`] reads them.
//!
//! Of IPv6 routes two things change in silence and are followed: the preferred source that goes with its address, and the
//! mtu that changes with that of the interface. Where router advertisements gave the interface an IPv6 mtu of its own, and
//! where before Linux 6.5 an address is that of several interfaces, only [`Db::resync`] reads what became of them.
//!
//! Counters ([`Link::statistics`]) are as of the last message about the interface, and never make a difference between
//! two snapshots.
//!
//! # Privileges
//!
//! Reading needs none. A commit needs `CAP_NET_ADMIN` in the user namespace that owns the network namespace: otherwise it
//! ends rolled back, with [`Error::is_permission`]. An interface moves only with that in both. To enter another namespace,
//! also to open its database, takes `CAP_SYS_ADMIN`.
//!
//! # Features
//!
//! - `serde`: `Deserialize` for [`Tree`], for [`Transaction::load`]; `Serialize` for [`Link`], [`Address`], [`Route`], [`Rule`], [`Nexthop`], [`Neighbour`], the lists of them,
//!   [`Snapshot`] and [`Tree`], in the words of `ip -json -details`.
//! - `tracing`: a span `commit` with the transaction's UUID around all that a commit does; events of the target `netlinkdb`
//!   for what is sent and looked at, how it ended, overflows and what is read anew.
#![cfg(target_os = "linux")]
// The floors' items are `pub` so that `internals` can open them; without that feature most are not reachable.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unused_imports))]
// The checker has sockets of its own.
#![cfg_attr(all(test, shuttle), allow(dead_code))]

// Floors, lowest first; a module names only floors below its own (tests/floors.rs keeps it so): `sys` (sockets,
// namespaces, every system call), `wire` (netlink as bytes), `object` (one table per kind of object), `state` (snapshots
// and how they follow the kernel), `plan` (what a transaction sends and how it is undone), `engine` (threads), `api`
// (what users name).
mod api;
mod engine;
mod object;
mod plan;
mod state;
#[allow(unsafe_code)]
mod sys;
mod wire;

pub use api::{
    CommitError, Committed, Contest, Db, DbBuilder, Edit, Editor, Ending, Error, EventQueue,
    FreezeReport, Frozen, Interface, InterfaceTransaction, JointReview, JointTransaction,
    JointlyCommitted, NetNs, NewInterface, ReadOnly, ReadOnlyDb, RecoveredCommit, Recovery, Result,
    Reversion, RouteHandle, RouteRef, RuleHandle, RuleRef, Savepoint, Thawed, Transaction,
    Unconfirmed,
};
pub use engine::{Cause, Event, EventOptions, Filter, NotChangeable, Notification, Registration};
pub use object::bridge_vlan::{BridgeVlan, BridgeVlanSpec};
pub use object::encap::{Encap, EncapType};
pub use object::kinds::{
    AdInfo, AdSelect, ArpAllTargets, ArpValidate, Bareudp, BareudpData, Bond, BondData, BondMode,
    BondOptions, BondPortData, BondPortOptions, BondPortState, Bridge, BridgeData, BridgeId,
    BridgeOptions, Dummy, Erspan, ErspanData, ErspanDirection, ErspanOptions, FailOverMac, Geneve,
    GeneveData, GeneveDf, GeneveOptions, Gre, GreData, GreOptions, Gretap, GretapData,
    GretapOptions, Hsr, HsrData, HsrProtocol, Ifb, Ip6TunnelProtocol, Ip6erspan, Ip6erspanData,
    Ip6erspanOptions, Ip6gre, Ip6greData, Ip6greOptions, Ip6gretap, Ip6gretapData,
    Ip6gretapOptions, Ip6tnl, Ip6tnlData, Ip6tnlOptions, Ipip, IpipData, IpipOptions, Ipvlan,
    IpvlanData, IpvlanFlags, IpvlanMode, IpvlanOptions, Ipvtap, LacpActive, LacpRate, LacpState,
    MacaddrMode, Macsec, MacsecCipher, MacsecData, MacsecOffload, MacsecOptions, MacsecValidation,
    Macvlan, MacvlanData, MacvlanFlags, MacvlanMode, MacvlanOptions, Macvtap, MiiStatus, Netkit,
    NetkitData, NetkitMode, NetkitOptions, NetkitPolicy, NetkitScrub, NewLink, Nlmon, Pair,
    PrimaryReselect, RawAttributes, Sit, SitData, SitOptions, Team, Tun, TunData, TunMode,
    TunnelEncap, TunnelProtocol, UdpPorts, Veth, Vlan, VlanData, VlanOptions, VlanProtocol, Vrf,
    VrfData, VrfPortData, Vti, Vti6, Vti6Data, Vti6Options, VtiData, VtiOptions, Vxlan, VxlanData,
    VxlanDf, VxlanOptions, Wireguard, Xfrm, XfrmData, XfrmOptions, XmitHashPolicy,
};
pub use object::port::{BridgePortData, BridgePortOptions, PortState};
pub use object::route::{
    Hop, Preference, Route, RouteCacheInfo, RouteFlags, RouteHop, RouteMetrics, RouteProtocol,
    RouteScope, RouteSpec, RouteType,
};
pub use object::spec::SpecError;
pub use object::{
    AddrGenMode, Address, AddressFlags, AddressProtocol, Family, FieldChange, Lifetime, Link,
    LinkFlags, LinkMode, LinkRef, LinkType, Names, Neighbour, NeighbourExtFlags, NeighbourFlags,
    NeighbourSpec, NeighbourState, Nexthop, NexthopSpec, OperState, Record, Rule, RuleAction,
    RuleFlags, RuleSpec, Scope, Statistics, Tree, UnknownName, Value,
};
pub use plan::{
    AddressSpec, Conflicts, Ensure, Failure, Hint, ParseAddressError, Progress, Refusal, Residue,
    Review, ReviewLine, Selection, Sign, Why,
};
pub use state::{
    AddressKey, Change, Diff, Losses, NeighbourKey, NeighbourList, NeighbourTarget, NexthopList,
    Object, ObjectKind, Remote, RouteFilter, RouteTable, RuleKey, RuleList, Snapshot,
    UnknownAttribute,
};
pub use wire::{Ack, HardwareAddress, ParseHardwareAddressError};

/// The types of attributes, by which accessors and setters are declared.
///
/// Where an accessor gives `<U32 as Typed>::Out`, that is the `u32` of which [`attribute::U32`] tells, and a setter that takes
/// `impl Into<<U32 as Typed>::In>` takes one. Here are also the views of what stands inside an attribute. Nothing of it needs
/// to be named to be used.
pub mod attribute {
    pub use crate::object::address::{CacheInfo, CacheInfoOf};
    pub use crate::object::encap::{EncapOf, Ip6Encap, IpEncap, MplsEncap, Seg6Encap};
    pub use crate::object::kinds::bond::AdInfoOf;
    pub use crate::object::kinds::bridge::{BridgeIdOf, Querier, QuerierOf};
    pub use crate::object::kinds::veth::{Peer, PeerOf};
    pub use crate::object::kinds::vlan::{QosMap, QosMapping};
    pub use crate::object::kinds::vxlan::{
        PortRange as UdpPortRange, PortRangeOf as UdpPortRangeOf,
    };
    pub use crate::object::link::{
        KindData, LinkEvent, Map, MapOf, PortData, Statistics32, Statistics32Of, StatisticsOf,
    };
    pub use crate::object::neighbour::{NeighbourCacheInfo, NeighbourCacheInfoOf};
    pub use crate::object::nexthop::{GroupType, Member, MembersOf, Resilient, ResilientOf};
    pub use crate::object::route::{HopFlags, HopsOf, MetricsOf, RouteCacheInfoOf};
    pub use crate::object::rule::{PortRange, PortRangeOf, UidRange, UidRangeOf};
    pub use crate::object::shape::{
        Be16, Be32, Be64, Bit, BitsOf, Bytes, Flag, Hardware, Hardwares, I32, Index, Ip, Ip4, Ip6,
        Ips, Labels, Mac, Named, OneOf, OptionBit, Part, Present, Switch, Text, Texts, Typed, U8,
        U16, U32, U32s, U64, Uint, Via,
    };
}

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The floors, for this project's own tests, benches and fuzz targets; no promise of any kind.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    /// Sockets, namespaces, every system call.
    pub mod sys {
        pub use crate::sys::*;
    }
    /// Netlink as bytes.
    pub mod wire {
        pub use crate::wire::*;
    }
    /// One table per kind of object.
    pub mod object {
        pub use crate::object::*;
    }
    /// The kernel's state as a value.
    pub mod state {
        pub use crate::state::*;
    }
    /// What a transaction sends, and how it is undone.
    pub mod plan {
        pub use crate::plan::*;
    }
    /// What the engine does without threads: asks hooks, calls callbacks, and makes events of states.
    pub mod engine {
        pub use crate::engine::{
            Answer, Asking, Entry, Gather, Hook, Hooks, Log, Panics, Post, Reading, Registry,
            Sieve, Taken, sift,
        };
    }
}
