//! Records as bytes for a file of our own: by the rows of their tables, whatever the kernel would make of them.
//!
//! The numbers of tables and rows are those of this build. [`fingerprint`] tells whether two builds mean the same by
//! them.

use super::address::CACHE_INFO;
use super::bridge_vlan::{BRIDGE_VLAN, VLAN_ENTRY, VLAN_INFO, VLAN_MESSAGE};
use super::encap::{ENCAP_IP, ENCAP_IP6, ENCAP_MPLS, ENCAP_SEG6};
use super::kinds::bridge::{BRIDGE_ID, QUERIER};
use super::kinds::{
    AD_INFO, BAREUDP, BOND, BOND_PORT, BRIDGE, ERSPAN, GENEVE, GRE, GRETAP, HSR, IP6ERSPAN, IP6GRE,
    IP6GRETAP, IP6TNL, IPIP, IPVLAN, IPVTAP, MACSEC, MACVLAN, MACVTAP, NETKIT, NewLink, Place,
    QOS_MAPPING, SIT, TUN, VETH, VLAN, VRF, VRF_PORT, VTI, VTI6, VXLAN, XFRM, vxlan,
};
use super::link::{LINK, LinkFlags, MAP, STATISTICS, STATISTICS32};
use super::neighbour::{NEIGHBOUR, NEIGHBOUR_CACHE_INFO};
use super::nexthop::{MEMBER, NEXTHOP, RESILIENT};
use super::route::{HOP, METRICS, ROUTE, ROUTE_CACHE_INFO, RouteProtocol};
use super::rule::{self, RULE, UID_RANGE};
use super::{
    ADDRESS, BRIDGE_PORT, Family, LinkRef, Record, RouteKey, RouteKey4, RouteKey6, Table, Value,
};
use crate::wire::{Pack, Unpackable, crc32, pack_enum, pack_struct};

/// Every table. A record is packed with the place of its own in this list.
pub static TABLES: &[&Table] = &[
    &LINK,
    &ADDRESS,
    &ROUTE,
    &RULE,
    &NEIGHBOUR,
    &NEXTHOP,
    &BRIDGE,
    &BRIDGE_PORT,
    &VETH,
    &VXLAN,
    &MACVLAN,
    &STATISTICS,
    &STATISTICS32,
    &MAP,
    &CACHE_INFO,
    &BRIDGE_ID,
    &QUERIER,
    &vxlan::PORT_RANGE,
    &HOP,
    &METRICS,
    &ROUTE_CACHE_INFO,
    &ENCAP_MPLS,
    &ENCAP_IP,
    &ENCAP_IP6,
    &ENCAP_SEG6,
    &UID_RANGE,
    &rule::PORT_RANGE,
    &NEIGHBOUR_CACHE_INFO,
    &MEMBER,
    &RESILIENT,
    &VLAN,
    &QOS_MAPPING,
    &BOND,
    &BOND_PORT,
    &AD_INFO,
    &VRF,
    &VRF_PORT,
    &IPVLAN,
    &IPVTAP,
    &MACVTAP,
    &HSR,
    &GRE,
    &GRETAP,
    &ERSPAN,
    &IP6GRE,
    &IP6GRETAP,
    &IP6ERSPAN,
    &IPIP,
    &SIT,
    &IP6TNL,
    &VTI,
    &VTI6,
    &GENEVE,
    &XFRM,
    &BAREUDP,
    &MACSEC,
    &NETKIT,
    &TUN,
    &BRIDGE_VLAN,
    &VLAN_INFO,
    &VLAN_ENTRY,
    &VLAN_MESSAGE,
];

/// Changes with the tables: two builds with the same number read each other's records.
pub fn fingerprint() -> u32 {
    let rows = |table: &&Table| {
        let rows = table.rows.iter().map(|row| row.accessor);
        [table.name].into_iter().chain(rows).collect::<Vec<_>>().join(" ")
    };
    crc32(TABLES.iter().map(rows).collect::<Vec<_>>().join("\n").as_bytes())
}

impl Pack for &'static Table {
    fn pack(&self, to: &mut Vec<u8>) {
        // One that is not in the list would be read as no table: tests/object.rs finds it.
        let place = TABLES.iter().position(|own| std::ptr::eq(*own, *self));
        to.push(place.map_or(u8::MAX, |place| place as u8));
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let place = usize::from(u8::unpack(from)?);
        TABLES.get(place).copied().ok_or(Unpackable("table"))
    }
}

impl Pack for Record {
    fn pack(&self, to: &mut Vec<u8>) {
        self.table.pack(to);
        self.fields.pack(to);
        (self.unknown.len() as u32).pack(to);
        for (path, payload) in &self.unknown {
            list(path, to);
            payload.pack(to);
        }
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let mut record = Record::new(<&Table>::unpack(from)?);
        record.fields = Pack::unpack(from)?;
        if record.fields.iter().any(|(id, _)| usize::from(*id) >= record.table.rows.len()) {
            return Err(Unpackable("attribute"));
        }
        for _ in 0..u32::unpack(from)? {
            record.unknown.push((boxed(from)?, Pack::unpack(from)?));
        }
        Ok(record)
    }
}

/// The elements of a boxed list.
fn boxed<T: Pack>(from: &mut &[u8]) -> Result<Box<[T]>, Unpackable> {
    Vec::unpack(from).map(Into::into)
}

fn list<T: Pack>(all: &[T], to: &mut Vec<u8>) {
    (all.len() as u32).pack(to);
    all.iter().for_each(|one| one.pack(to));
}

impl Pack for Value {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Value::Number(number) => (0u8, *number).pack(to),
            Value::Signed(number) => (1u8, *number).pack(to),
            Value::Text(text) => {
                to.push(2);
                text.pack(to);
            }
            Value::Hardware(address) => (3u8, *address).pack(to),
            Value::V4(address) => (4u8, *address).pack(to),
            Value::V6(address) => (5u8, *address).pack(to),
            Value::Bytes(bytes) => {
                to.push(6);
                bytes.pack(to);
            }
            Value::Present => to.push(7),
            Value::Nested(record) => {
                to.push(8);
                record.pack(to);
            }
            Value::Texts(all) => {
                to.push(9);
                list(all, to);
            }
            Value::Hardwares(all) => {
                to.push(10);
                list(all, to);
            }
            Value::Numbers(all) => {
                to.push(11);
                list(all, to);
            }
            Value::Records(all) => {
                to.push(12);
                list(all, to);
            }
            Value::Ips(all) => {
                to.push(13);
                list(all, to);
            }
            Value::Link(which) => {
                to.push(14);
                which.pack(to);
            }
        }
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        Ok(match u8::unpack(from)? {
            0 => Value::Number(Pack::unpack(from)?),
            1 => Value::Signed(Pack::unpack(from)?),
            2 => Value::Text(Pack::unpack(from)?),
            3 => Value::Hardware(Pack::unpack(from)?),
            4 => Value::V4(Pack::unpack(from)?),
            5 => Value::V6(Pack::unpack(from)?),
            6 => Value::Bytes(Pack::unpack(from)?),
            7 => Value::Present,
            8 => Value::Nested(Pack::unpack(from)?),
            9 => Value::Texts(boxed(from)?),
            10 => Value::Hardwares(boxed(from)?),
            11 => Value::Numbers(boxed(from)?),
            12 => Value::Records(boxed(from)?),
            13 => Value::Ips(boxed(from)?),
            14 => Value::Link(Pack::unpack(from)?),
            _ => return Err(Unpackable("kind of value")),
        })
    }
}

pack_enum!(LinkRef, "reference to an interface" {
    0 Name(name),
    1 Index(index),
    2 Handle { index, generation },
    3 New(number),
});

pack_enum!(Family, "family" {
    0 Inet,
    1 Inet6,
    2 Other(number),
});

pack_enum!(RouteKey, "family of a route" {
    4 V4(key),
    6 V6(key),
    28 Mpls(label),
});

pack_struct! {
    RouteKey4 { table, dst, len, tos, priority }
    RouteKey6 { table, dst, len, tos, priority }
    NewLink { record, data, link, peer, peer_place }
    Place { fd, title }
}

impl Pack for LinkFlags {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        u32::unpack(from).map(LinkFlags)
    }
}

impl Pack for RouteProtocol {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        u8::unpack(from).map(RouteProtocol)
    }
}
