//! Keys and bodies: a route cut in two without decoding it, for tables of a million.
//!
//! The key is what the kernel looks a route up by. The body is all the rest in a canonical form: two routes that
//! differ in nothing but their key have the same bytes there, so that a table keeps each body once.

use super::super::Record;
use super::{AF_INET, AF_INET6, AF_MPLS, ROUTE, RouteFlags, STABLE_FLAGS, TABLE_MAIN, row};
use crate::object::Value;
use crate::wire::kind::RTM_DELROUTE;
use crate::wire::{Attributes, Builder, put_ne_u16, put_ne_u32, u16_at, u32_at};

use ipnet::IpNet;

/// What tells IPv4 routes apart, short of those that share it (K9): in the order of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey4 {
    /// The table.
    pub table: u32,
    /// The destination, in the machine's order; 0 for the default route.
    pub dst: u32,
    /// Bits of the destination, 0 to 32.
    pub len: u8,
    /// The type of service; 0 for any.
    pub tos: u8,
    /// The priority; the least is taken.
    pub priority: u32,
}

/// What tells IPv6 routes apart, short of the legs that share it (K10): in the order of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey6 {
    /// The table.
    pub table: u32,
    /// The destination; zeros for the default route.
    pub dst: [u8; 16],
    /// Bits of the destination, 0 to 128.
    pub len: u8,
    /// The type of service; the kernel's IPv6 has none and says 0.
    pub tos: u8,
    /// The priority; the least is taken. The kernel says 1024 where the request said 0 (K24).
    pub priority: u32,
}

/// The key of a route of any family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKey {
    /// IPv4.
    V4(RouteKey4),
    /// IPv6.
    V6(RouteKey6),
    /// MPLS: the label, 16 to 1048575. The kernel keeps one route for each, in one table, which it calls main.
    Mpls(u32),
}

/// Bits of a label, `rtm_dst_len` of an MPLS route.
pub(super) const LABEL_BITS: u8 = 20;

/// The entry of a label stack that the kernel says of a route's label (`mpls_entry_encode`): the label, and that it is
/// the last one.
pub(super) fn label_entry(label: u32) -> u32 {
    label << 12 | 1 << 8
}

/// Bytes of `struct rtmsg`.
const FIXED: usize = 12;

/// Bytes before the attributes of a body: protocol, scope, type, length of the source prefix, flags.
const BODY_FIXED: usize = 8;

// The attributes that are told apart here. A test holds them against the table.
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;
const RTA_EXPIRES: u16 = 23;

const RTA_NH_ID: u16 = 30;

/// `RTA_OIF`, `RTA_GATEWAY`, `RTA_MULTIPATH`, `RTA_VIA`, `RTA_ENCAP_TYPE`, `RTA_ENCAP`.
const WAYS: [u16; 6] = [4, 5, 9, 18, 21, 22];

/// `NLA_F_NESTED | NLA_F_NET_BYTEORDER`.
const FLAG_BITS: u16 = 0xc000;

/// More attributes than this and the message is none of ours: the kernel knows 31 types and sends each once.
const MOST: usize = 48;

/// Cuts the payload of an `RTM_NEWROUTE` or `RTM_DELROUTE` in two: gives the key, and writes the canonical body over
/// whatever `body` held.
///
/// Not in the body: the key, volatile flags (K8), here and in the legs of a multipath route, and cache information
/// other than when the route ends and what error it gives.
///
/// `None` for what is no route of a table of IPv4, IPv6 or MPLS: another family, an entry of the routing cache
/// (`RTM_F_CLONED`), or bytes that do not parse.
pub fn split(payload: &[u8], body: &mut Vec<u8>) -> Option<RouteKey> {
    body.clear();
    let fixed: &[u8; FIXED] = payload.first_chunk()?;
    let flags = u32_at(fixed, 8)?;
    if flags & RouteFlags::CLONED.0 != 0 {
        return None;
    }
    let mut parts = Parts { table: fixed[4].into(), ..Parts::default() };
    parts.read(payload);
    body.extend_from_slice(&[fixed[5], fixed[6], fixed[7], fixed[2]]);
    put_ne_u32(body, flags & STABLE_FLAGS);
    parts.write(payload, body);
    parts.key(fixed)
}

/// One pass over the attributes.
struct Parts<'a> {
    table: u32,
    priority: u32,
    dst: &'a [u8],
    /// Type and place of each attribute of the body, sorted by type.
    rest: [Place; MOST],
    count: usize,
    seen: u32,
}

#[derive(Clone, Copy, Default)]
struct Place {
    kind: u16,
    start: u16,
    length: u16,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Parts { table: 0, priority: 0, dst: &[], rest: [Place::default(); MOST], count: 0, seen: 0 }
    }
}

impl<'a> Parts<'a> {
    fn read(&mut self, payload: &'a [u8]) {
        let mut at = FIXED;
        while let (Some(length), Some(kind)) = (u16_at(payload, at), u16_at(payload, at + 2)) {
            let Some(own) = payload.get(at + 4..at + usize::from(length)) else { break };
            self.attribute(kind & !FLAG_BITS, at + 4, own);
            at += usize::from(length).next_multiple_of(4);
        }
    }

    /// The first of a type counts, as where the whole message is decoded.
    fn attribute(&mut self, kind: u16, start: usize, own: &'a [u8]) {
        let bit = 1u32.checked_shl(kind.into()).unwrap_or(0);
        if self.seen & bit != 0 {
            return;
        }
        self.seen |= bit;
        match (kind, u32_at(own, 0)) {
            (RTA_DST, _) => self.dst = own,
            (RTA_TABLE, Some(table)) => self.table = table,
            (RTA_PRIORITY, Some(priority)) => self.priority = priority,
            (RTA_CACHEINFO, _) if is_idle(own) => {}
            _ => self.keep(kind, start, own.len()),
        }
    }

    fn keep(&mut self, kind: u16, start: usize, length: usize) {
        let (Ok(start), Ok(length)) = (u16::try_from(start), u16::try_from(length)) else { return };
        if self.count == MOST {
            return;
        }
        let mut at = self.count;
        while at > 0 && self.rest[at - 1].kind > kind {
            self.rest[at] = self.rest[at - 1];
            at -= 1;
        }
        self.rest[at] = Place { kind, start, length };
        self.count += 1;
    }

    fn write(&self, payload: &[u8], body: &mut Vec<u8>) {
        for place in &self.rest[..self.count] {
            let start = usize::from(place.start);
            let Some(own) = payload.get(start..start + usize::from(place.length)) else { continue };
            put_ne_u16(body, place.length + 4);
            put_ne_u16(body, place.kind);
            let written = body.len();
            body.extend_from_slice(own);
            body.resize(body.len().next_multiple_of(4), 0);
            match place.kind {
                RTA_MULTIPATH => mask_hops(&mut body[written..]),
                RTA_CACHEINFO => mask_cache_info(&mut body[written..]),
                _ => {}
            }
        }
    }

    fn key(&self, fixed: &[u8; FIXED]) -> Option<RouteKey> {
        let (table, priority, len, tos) = (self.table, self.priority, fixed[1], fixed[3]);
        match fixed[0] {
            AF_INET => {
                let dst = if self.dst.is_empty() {
                    0
                } else {
                    u32::from_be_bytes(self.dst.try_into().ok()?)
                };
                (len <= 32).then_some(RouteKey::V4(RouteKey4 { table, dst, len, tos, priority }))
            }
            AF_INET6 => {
                let dst = if self.dst.is_empty() { [0; 16] } else { self.dst.try_into().ok()? };
                (len <= 128).then_some(RouteKey::V6(RouteKey6 { table, dst, len, tos, priority }))
            }
            AF_MPLS => Some(RouteKey::Mpls(u32::from_be_bytes(self.dst.try_into().ok()?) >> 12)),
            _ => None,
        }
    }
}

/// `rta_expires` and `rta_error` in `struct rta_cacheinfo`.
const KEPT_CACHE_INFO: std::ops::Range<usize> = 8..16;

fn is_idle(info: &[u8]) -> bool {
    info.get(KEPT_CACHE_INFO).is_none_or(|kept| kept.iter().all(|byte| *byte == 0))
}

fn mask_cache_info(info: &mut [u8]) {
    for (at, byte) in info.iter_mut().enumerate() {
        if !KEPT_CACHE_INFO.contains(&at) {
            *byte = 0;
        }
    }
}

/// `struct rtnexthop`: its length in two bytes, flags in one.
fn mask_hops(hops: &mut [u8]) {
    let mut at = 0;
    while let (Some(length), Some(flags)) = (u16_at(hops, at), hops.get_mut(at + 2)) {
        *flags &= STABLE_FLAGS as u8;
        if length < 8 {
            break;
        }
        at += usize::from(length).next_multiple_of(4);
    }
}

/// The request that adds or deletes the route with this key and body: what [`split`] cut in two, put together.
///
/// Left out is what the kernel says and nobody can ask for: cache information, but for when an IPv6 route ends; and where
/// a nexthop object says the way, the way.
pub fn request(kind: u16, flags: u16, key: &RouteKey, body: &[u8]) -> Vec<u8> {
    let (fixed, attributes) = body.split_at_checked(BODY_FIXED).unwrap_or((&[0; BODY_FIXED], &[]));
    let (family, table, len, tos, priority) = match key {
        RouteKey::V4(k) => (AF_INET, k.table, k.len, k.tos, k.priority),
        RouteKey::V6(k) => (AF_INET6, k.table, k.len, k.tos, k.priority),
        RouteKey::Mpls(_) => (AF_MPLS, TABLE_MAIN, LABEL_BITS, 0, 0),
    };
    let all = || Attributes::new(attributes).map_while(Result::ok);
    let has = |own: u16| all().any(|attribute| attribute.kind == own);
    let by_object = has(RTA_NH_ID);
    // An IPv6 deletion takes the first route that fits what it says (`ip6_route_del`). A leg is known by its way; the
    // protocol that is said of it may be another leg's. Of a route without a gateway it must be said that it has none.
    let is_deletion_v6 = kind == RTM_DELROUTE && family == AF_INET6 && !by_object;
    let has_gateway = has(RTA_GATEWAY) || has(RTA_MULTIPATH);
    let protocol = if is_deletion_v6 && has_gateway { 0 } else { fixed[0] };
    let narrow = u8::try_from(table).unwrap_or(0);
    let mut header = [family, len, fixed[3], tos, narrow, protocol, fixed[1], fixed[2], 0, 0, 0, 0];
    header[8..].copy_from_slice(&fixed[4..]);
    let mut message = Builder::new(kind, flags).fixed(&header);
    match key {
        _ if len == 0 => {}
        RouteKey::V4(key) => message.attribute(RTA_DST, &key.dst.to_be_bytes()),
        RouteKey::V6(key) => message.attribute(RTA_DST, &key.dst),
        RouteKey::Mpls(label) => message.attribute(RTA_DST, &label_entry(*label).to_be_bytes()),
    }
    // `rtm_to_route_config` refuses the attribute.
    if family != AF_MPLS {
        message.number(RTA_TABLE, table);
    }
    if priority != 0 {
        message.number(RTA_PRIORITY, priority);
    }
    if is_deletion_v6 && !has_gateway {
        message.attribute(RTA_GATEWAY, &[0; 16]);
    }
    for attribute in all() {
        if attribute.kind == RTA_CACHEINFO && family == AF_INET6 {
            if let Some(seconds) = seconds_left(attribute.payload) {
                message.number(RTA_EXPIRES, seconds);
            }
        }
        let is_way = by_object && WAYS.contains(&attribute.kind);
        if attribute.kind != RTA_CACHEINFO && !is_way {
            message.attribute(attribute.kind, attribute.payload);
        }
    }
    message.finish()
}

/// In how many seconds a route ends that came with this cache information: `rta_expires`, in 1/100 s.
fn seconds_left(info: &[u8]) -> Option<u32> {
    let ticks = u32_at(info, KEPT_CACHE_INFO.start)? as i32;
    (ticks > 0).then(|| (ticks as u32).div_ceil(100))
}

/// Decodes a body: everything that [`split`] did not put in the key, as the rows of a route.
pub fn body(bytes: &[u8], family: u8) -> Record {
    let (fixed, attributes) = bytes.split_at_checked(BODY_FIXED).unwrap_or((&[0; BODY_FIXED], &[]));
    let mut record = Record::decode_attributes(&ROUTE, attributes);
    let mut set = |id, number: u32| record.set(id, Value::Number(number.into()));
    set(row::FAMILY, family.into());
    set(row::PROTOCOL, fixed[0].into());
    set(row::SCOPE, fixed[1].into());
    set(row::TYPE, fixed[2].into());
    set(row::SRC_LEN, fixed[3].into());
    set(row::FLAGS, u32_at(fixed, 4).unwrap_or(0));
    record
}

impl RouteKey {
    /// The key of a decoded route.
    pub fn of(record: &Record) -> Option<RouteKey> {
        let number = |id| record.number(id) as u32;
        let (table, priority) = (number(row::TABLE), number(row::PRIORITY));
        let (len, tos) = (number(row::DST_LEN) as u8, number(row::TOS) as u8);
        match (number(row::FAMILY) as u8, record.value(row::DST)) {
            (AF_INET, Some(Value::V4(dst))) => {
                Some(RouteKey::V4(RouteKey4 { table, dst: dst.to_bits(), len, tos, priority }))
            }
            (AF_INET, None) => Some(RouteKey::V4(RouteKey4 { table, dst: 0, len, tos, priority })),
            (AF_INET6, Some(Value::V6(dst))) => {
                Some(RouteKey::V6(RouteKey6 { table, dst: dst.octets(), len, tos, priority }))
            }
            (AF_INET6, None) => {
                Some(RouteKey::V6(RouteKey6 { table, dst: [0; 16], len, tos, priority }))
            }
            (AF_MPLS, Some(Value::V4(entry))) => Some(RouteKey::Mpls(entry.to_bits() >> 12)),
            _ => None,
        }
    }

    /// The first key of a prefix in a table. Bits of the address beyond the prefix do not count.
    pub fn first_of(table: u32, prefix: IpNet) -> RouteKey {
        match prefix.trunc() {
            IpNet::V4(net) => {
                let (dst, len) = (net.addr().to_bits(), net.prefix_len());
                RouteKey::V4(RouteKey4 { table, dst, len, ..RouteKey4::default() })
            }
            IpNet::V6(net) => {
                let (dst, len) = (net.addr().octets(), net.prefix_len());
                RouteKey::V6(RouteKey6 { table, dst, len, ..RouteKey6::default() })
            }
        }
    }

    /// `AF_INET` 2, `AF_INET6` 10 or `AF_MPLS` 28.
    pub fn family(&self) -> u8 {
        match self {
            RouteKey::V4(_) => AF_INET,
            RouteKey::V6(_) => AF_INET6,
            RouteKey::Mpls(_) => AF_MPLS,
        }
    }

    /// The first and the last key of the same table and prefix, or the key of a label.
    pub fn of_prefix(&self) -> (RouteKey, RouteKey) {
        match *self {
            RouteKey::V4(key) => (
                RouteKey::V4(RouteKey4 { tos: 0, priority: 0, ..key }),
                RouteKey::V4(RouteKey4 { tos: u8::MAX, priority: u32::MAX, ..key }),
            ),
            RouteKey::V6(key) => (
                RouteKey::V6(RouteKey6 { tos: 0, priority: 0, ..key }),
                RouteKey::V6(RouteKey6 { tos: u8::MAX, priority: u32::MAX, ..key }),
            ),
            RouteKey::Mpls(_) => (*self, *self),
        }
    }

    /// The table.
    pub fn table(&self) -> u32 {
        match self {
            RouteKey::V4(key) => key.table,
            RouteKey::V6(key) => key.table,
            RouteKey::Mpls(_) => TABLE_MAIN,
        }
    }

    /// The whole route: this key and a body.
    pub fn record(&self, bytes: &[u8]) -> Record {
        self.complete(body(bytes, self.family()))
    }

    /// The whole route: this key and a decoded body.
    pub fn complete(&self, mut record: Record) -> Record {
        let (table, len, tos, priority, dst) = match *self {
            RouteKey::V4(k) => (k.table, k.len, k.tos, k.priority, Value::V4(k.dst.into())),
            RouteKey::V6(k) => (k.table, k.len, k.tos, k.priority, Value::V6(k.dst.into())),
            RouteKey::Mpls(label) => {
                (TABLE_MAIN, LABEL_BITS, 0, 0, Value::V4(label_entry(label).into()))
            }
        };
        let mut set = |id, number: u32| record.set(id, Value::Number(number.into()));
        set(row::DST_LEN, len.into());
        set(row::TOS, tos.into());
        set(row::TABLE, table);
        // The kernel says 0 only in IPv6.
        if priority != 0 || self.family() == AF_INET6 {
            set(row::PRIORITY, priority);
        }
        if len != 0 {
            record.set(row::DST, dst);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HOP, METRICS, ROUTE_CACHE_INFO, cache_row, hop_row, metric_row};
    use super::*;
    use crate::object::{Place, Shape, Table};
    use crate::wire::HEADER;

    fn payload(record: &Record) -> Vec<u8> {
        let mut message = Builder::new(0, 0).fixed(&record.encode_header());
        record.encode(&mut message);
        message.finish().split_off(HEADER)
    }

    fn nested(table: &'static Table, id: u16, value: Value) -> Value {
        let mut record = Record::new(table);
        record.set(id, value);
        Value::Nested(Box::new(record))
    }

    /// Some value for a row.
    fn sample(shape: Shape, inet6: bool) -> Value {
        match shape {
            Shape::Ip if inet6 => Value::V6("2001:db8::".parse().unwrap()),
            Shape::Ip => Value::V4([10, 2, 0, 0].into()),
            Shape::Via => Value::V6("fd00::1".parse().unwrap()),
            Shape::Nest(_) => nested(&METRICS, metric_row::MTU, 1400.into()),
            Shape::Struct(_) => nested(&ROUTE_CACHE_INFO, cache_row::EXPIRES, Value::Signed(77)),
            Shape::Structs(_) => {
                let mut hop = Record::new(&HOP);
                hop.set(hop_row::FLAGS, (0x4 | 0x10 | 0x8).into());
                hop.set(hop_row::HOPS, 3.into());
                hop.set(hop_row::OIF, 7.into());
                hop.set(hop_row::GATEWAY, Value::V4([10, 0, 0, 2].into()));
                Value::Records(vec![hop.clone(), hop].into())
            }
            Shape::Labels => Value::Numbers([100, 200].into()),
            Shape::Bytes | Shape::ByNumber { .. } => Value::Bytes([1, 2, 3].into()),
            _ => 4.into(),
        }
    }

    fn whole(inet6: bool) -> Record {
        let mut record = Record::new(&ROUTE);
        for (id, row) in ROUTE.rows.iter().enumerate() {
            record.set(id as u16, sample(row.shape, inet6));
        }
        record.set(row::FAMILY, if inet6 { 10 } else { 2 }.into());
        record.set(row::DST_LEN, if inet6 { 64 } else { 16 }.into());
        record.set(row::ENCAP_TYPE, 99.into());
        record.set(row::TABLE, 70_000.into());
        record
    }

    #[test]
    fn key_and_body_say_what_the_whole_message_says() {
        for inet6 in [false, true] {
            let record = whole(inet6);
            let mut bytes = vec![1, 2, 3];
            let key = split(&payload(&record), &mut bytes).unwrap();
            let record = Record::decode(&ROUTE, &payload(&record)).unwrap();
            assert_eq!(RouteKey::of(&record), Some(key));
            let again = key.record(&bytes);
            for (id, row) in ROUTE.rows.iter().enumerate() {
                let (ours, theirs) = (again.value(id as u16), record.value(id as u16));
                if id as u16 == row::MULTIPATH {
                    assert!(ours.is_some());
                } else {
                    assert_eq!(ours, theirs, "{}", row.constant);
                }
            }
            assert!(again.same(&record), "{again:?}\n{record:?}");
            let hop = &again.value(row::MULTIPATH).unwrap().records()[1];
            assert_eq!(hop.number(hop_row::FLAGS), 4);
        }
    }

    #[test]
    fn an_mpls_route_is_asked_for_as_it_is_said() {
        let mut record = Record::new(&ROUTE);
        let numbers = [(row::FAMILY, 28), (row::DST_LEN, 20), (row::TABLE, 254), (row::TYPE, 1)];
        numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
        record.set(row::DST, Value::V4(label_entry(1_048_575).into()));
        record.set(row::NEWDST, Value::Numbers([100, 200].into()));
        record.set(row::VIA, Value::V4([10, 0, 0, 2].into()));
        record.set(row::OIF, 7.into());
        let mut body = Vec::new();
        let key = split(&payload(&record), &mut body).unwrap();
        assert_eq!(key, RouteKey::Mpls(1_048_575));
        assert_eq!(RouteKey::of(&record), Some(key));
        assert!(key.record(&body).same(&Record::decode(&ROUTE, &payload(&record)).unwrap()));
        let asked = request(24, 0, &key, &body);
        let asked = &asked[HEADER..];
        assert_eq!(split(asked, &mut Vec::new()), Some(key));
        // The kernel takes no other attributes: a table, a priority.
        let kinds: Vec<_> =
            Attributes::new(&asked[FIXED..]).map(|attribute| attribute.unwrap().kind).collect();
        assert_eq!(kinds, [RTA_DST, 4, 18, 19]);
    }

    #[test]
    fn each_row_alone_agrees_with_the_table() {
        for (id, field) in ROUTE.rows.iter().enumerate() {
            let mut record = Record::new(&ROUTE);
            record.set(row::FAMILY, 2.into());
            record.set(row::DST_LEN, 16.into());
            record.set(row::DST, Value::V4([10, 2, 0, 0].into()));
            if id as u16 != row::FAMILY && id as u16 != row::DST_LEN {
                record.set(id as u16, sample(field.shape, false));
            }
            let bytes = payload(&record);
            let mut body = Vec::new();
            let key = split(&bytes, &mut body).unwrap();
            let decoded = Record::decode(&ROUTE, &bytes).unwrap();
            assert!(key.record(&body).same(&decoded), "{}", field.constant);
        }
    }

    #[test]
    fn what_flips_by_itself_is_not_in_the_body() {
        let split_of = |record: &Record| {
            let mut body = Vec::new();
            (split(&payload(record), &mut body), body)
        };
        let plain = |flags: u64, used: u64| {
            let mut record = Record::new(&ROUTE);
            record.set(row::FAMILY, 2.into());
            record.set(row::FLAGS, flags.into());
            record.set(row::CACHEINFO, nested(&ROUTE_CACHE_INFO, cache_row::USED, used.into()));
            record
        };
        assert_eq!(split_of(&plain(4, 1)), split_of(&plain(4 | 0x11 | 0x4008, 9)));
        assert_ne!(split_of(&plain(4, 1)), split_of(&plain(0, 1)));
        assert!(plain(4, 1).same(&plain(0x15, 2)));
        assert_eq!(split_of(&plain(0x200, 0)).0, None);
    }

    #[test]
    fn the_order_of_attributes_is_no_difference() {
        let message = |kinds: &[u16]| {
            let mut message = Builder::new(0, 0).fixed(&[2, 8, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
            kinds.iter().for_each(|kind| message.attribute(*kind, &[*kind as u8, 0, 0, 0]));
            message.finish().split_off(HEADER)
        };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let keys = (
            split(&message(&[1, 4, 5, 15, 7, 200, 6]), &mut one),
            split(&message(&[200, 6, 15, 7, 5, 4, 1]), &mut other),
        );
        assert_eq!(keys.0, keys.1);
        assert_eq!(one, other);
        assert_eq!(Record::decode_attributes(&ROUTE, &one[BODY_FIXED..]).unknown().count(), 1);
    }

    #[test]
    fn the_numbers_are_those_of_the_table() {
        let number = |id: u16| match ROUTE.rows[usize::from(id)].place {
            Place::Path([number]) => *number,
            _ => 0,
        };
        assert_eq!(number(row::DST), RTA_DST);
        assert_eq!(number(row::PRIORITY), RTA_PRIORITY);
        assert_eq!(number(row::MULTIPATH), RTA_MULTIPATH);
        assert_eq!(number(row::CACHEINFO), RTA_CACHEINFO);
        assert_eq!(number(row::TABLE), RTA_TABLE);
        assert_eq!(ROUTE.header, FIXED);
    }

    #[test]
    fn keys_are_in_the_order_of_a_table() {
        let key = |table, dst, len, priority| RouteKey4 { table, dst, len, tos: 0, priority };
        let sorted =
            [key(1, 9, 32, 9), key(2, 0, 0, 0), key(2, 1, 8, 0), key(2, 1, 9, 0), key(2, 1, 9, 5)];
        assert!(sorted.is_sorted());
        assert_eq!(size_of::<RouteKey4>(), 16);
    }
}
