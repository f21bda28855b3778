//! One table per kind of object, one row per attribute.
//!
//! A row says everything about an attribute: its number, its bytes, who may change it, how the kernel spells
//! "none", how `ip` shows it, what it is. Decoding, encoding, comparing, JSON, review text and the typed
//! accessor all come from the row, so a new attribute is one row and a new link kind is one file and one line
//! in [`kinds::KINDS`]. Pure: what an object does *over time* is `state`.

pub mod address;
pub mod bridge_vlan;
pub mod encap;
pub mod kinds;
pub mod link;
pub mod neighbour;
pub mod nexthop;
mod pack;
pub mod parse;
pub mod port;
mod record;
mod reference;
pub mod route;
pub mod rule;
pub mod shape;
pub(crate) mod show;
pub mod spec;
pub mod table;
mod tree;
mod value;

pub use address::{ADDRESS, Address, AddressFlags, AddressProtocol, Family, Lifetime, Scope};
pub use bridge_vlan::{BRIDGE_VLAN, BridgeVlan, BridgeVlanSpec};
pub use encap::{Encap, EncapType};
pub use kinds::{
    Bond, BondData, BondMode, BondOptions, BondPortData, BondPortOptions, Bridge, BridgeData,
    BridgeId, BridgeOptions, Dummy, Hsr, HsrData, Ifb, Ipvlan, IpvlanData, IpvlanFlags, IpvlanMode,
    IpvlanOptions, Ipvtap, MacaddrMode, Macvlan, MacvlanData, MacvlanFlags, MacvlanMode,
    MacvlanOptions, Macvtap, NewLink, Nlmon, Team, Veth, Vlan, VlanData, VlanOptions, VlanProtocol,
    Vrf, VrfData, VrfPortData, Vxlan, VxlanData, VxlanDf, VxlanOptions,
};
pub use link::{
    AddrGenMode, LINK, Link, LinkEvent, LinkFlags, LinkMode, LinkType, OperState, Statistics,
};
pub use neighbour::{
    NEIGHBOUR, Neighbour, NeighbourExtFlags, NeighbourFlags, NeighbourSpec, NeighbourState,
};
pub use nexthop::{NEXTHOP, Nexthop, NexthopSpec};
pub use pack::{TABLES, fingerprint};
pub use port::{BRIDGE_PORT, BridgePortData, BridgePortOptions, PortState};
pub use record::{FieldChange, Record};
pub use reference::LinkRef;
pub use route::{
    HOP, Hop, METRICS, Preference, ROUTE, Route, RouteFlags, RouteHop, RouteKey, RouteKey4,
    RouteKey6, RouteMetrics, RouteProtocol, RouteScope, RouteSpec, RouteType,
};
pub use rule::{RULE, Rule, RuleAction, RuleFlags, RuleSpec};
pub use shape::{Named, Shape, Typed, UnknownName, Width};
pub use spec::SpecError;
pub use table::{Argument, Form, Names, Place, Role, Row, Silent, Table};
pub use tree::Tree;
pub use value::Value;
