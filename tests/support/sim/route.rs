//! Requests about routes, and routes as messages: what both families share.

use std::collections::BTreeMap;

use super::Kernel;
use super::fib4::{Alias4, Key4};
use super::fib6::{Leg6, Node};
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, Message, Policy, Refusal, Writer, u16_at, u32_at};

/// RTN_BLACKHOLE, _UNREACHABLE, _PROHIBIT, _THROW: routes that give an error.
pub const ERROR_TYPES: std::ops::RangeInclusive<u8> = 6..=9;

/// `fib_props`
pub fn error_of(kind: u8) -> Option<i32> {
    Some(match kind {
        6 => libc::EINVAL,
        7 => libc::EHOSTUNREACH,
        8 => libc::EACCES,
        9 => libc::EAGAIN,
        _ => return None,
    })
}

/// `struct fib_nh_common`: one way. An empty gateway is none, an index of 0 no interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    pub oif: i32,
    pub gateway: Vec<u8>,
    /// One less than the weight, as on the wire.
    pub hops: u8,
    /// RTNH_F_ONLINK, _DEAD, _LINKDOWN
    pub flags: u32,
    pub scope: u8,
}

impl Way {
    /// `nh_comp`: marks of state aside.
    pub fn same(&self, other: &Way) -> bool {
        let flags = |way: &Way| way.flags & RTNH_F_ONLINK;
        (self.oif, &self.gateway, self.hops, self.scope, flags(self))
            == (other.oif, &other.gateway, other.hops, other.scope, flags(other))
    }

    /// `rt6_duplicate_nexthop`
    pub fn same_way(&self, other: &Way) -> bool {
        (self.oif, &self.gateway) == (other.oif, &other.gateway)
    }
}

/// A request, or what the kernel asks of itself: `struct fib_config`, `struct fib6_config`.
#[derive(Clone, Debug, Default)]
pub struct RouteRequest {
    pub family: u8,
    /// NLM_F_*
    pub flags: u16,
    pub table: u32,
    pub dst: Vec<u8>,
    pub len: u8,
    pub tos: u8,
    pub kind: u8,
    pub scope: u8,
    pub protocol: u8,
    pub priority: u32,
    /// Empty for none.
    pub prefsrc: Vec<u8>,
    pub metrics: BTreeMap<u16, u32>,
    pub oif: i32,
    pub gateway: Vec<u8>,
    /// RTA_MULTIPATH was there: `ways` are its legs. Else the one way of `oif` and `gateway`.
    pub multipath: bool,
    pub ways: Vec<Way>,
    pub preference: u8,
    pub expires: Option<u32>,
    /// 0 for none.
    pub nexthop: u32,
}

const POLICY: &[(u16, Policy)] = &[
    (RTA_OIF, Policy::AtLeast(4)),
    (RTA_PRIORITY, Policy::AtLeast(4)),
    (RTA_TABLE, Policy::AtLeast(4)),
    (RTA_PREF, Policy::AtLeast(1)),
    (RTA_EXPIRES, Policy::AtLeast(4)),
];

impl RouteRequest {
    pub fn key4(&self) -> Key4 {
        let dst = self.dst.get(..4).map_or([0; 4], |b| [b[0], b[1], b[2], b[3]]);
        Key4 {
            table: self.table,
            dst: u32::from_be_bytes(dst),
            len: self.len,
            tos: self.tos,
            priority: self.priority,
        }
    }

    /// `rtm_to_fib_config`, `rtm_to_fib6_config`
    fn parse(message: Message<'_>) -> Answer<RouteRequest> {
        let head = message.payload;
        if head.len() < 12 {
            return Err(Refusal::said(libc::EINVAL, "Invalid header length"));
        }
        let tb = Attributes::parse(&head[12..], 28);
        tb.check(POLICY)?;
        let said = |words| Refusal::said(libc::EINVAL, words);
        let six = head[0] == AF_INET6;
        let size = if six { 16 } else { 4 };
        let flags = u32_at(head, 8) & RTNH_F_ONLINK;
        let mut request = RouteRequest {
            family: head[0],
            flags: message.flags,
            table: tb.u32(RTA_TABLE)?.unwrap_or(head[4].into()),
            len: head[1],
            tos: head[3],
            protocol: head[5],
            scope: head[6],
            kind: head[7],
            priority: tb.u32(RTA_PRIORITY)?.unwrap_or(0),
            oif: tb.u32(RTA_OIF)?.unwrap_or(0) as i32,
            expires: tb.u32(RTA_EXPIRES)?.filter(|seconds| *seconds != 0),
            ..RouteRequest::default()
        };
        if request.table == 0 {
            request.table = 254;
        }
        if !six && request.tos & 3 != 0 {
            return Err(said("Invalid dsfield (tos): ECN bits must be 0"));
        }
        if six && request.tos != 0 {
            return Err(said("Invalid dsfield (tos): option not available for IPv6"));
        }
        request.tos *= u8::from(!six);
        let address = |id| -> Answer<Vec<u8>> {
            let Some(attribute) = tb.get(id) else { return Ok(Vec::new()) };
            let bytes = attribute.value.get(..size).ok_or_else(|| attribute.too_short())?;
            Ok(bytes.to_vec())
        };
        request.dst = address(RTA_DST)?;
        request.dst.resize(size, 0);
        let unset = |bytes: Vec<u8>| if bytes.iter().all(|b| *b == 0) { Vec::new() } else { bytes };
        request.prefsrc = unset(address(RTA_PREFSRC)?);
        request.gateway = if six { address(RTA_GATEWAY)? } else { unset(address(RTA_GATEWAY)?) };
        if let Some(attribute) = tb.get(RTA_PREF) {
            request.preference = Some(attribute.u8()?).filter(|p| matches!(p, 1 | 3)).unwrap_or(0);
        }
        if let Some(attribute) = tb.get(RTA_METRICS) {
            for metric in attribute.nested().0.iter().filter(|metric| metric.id != 0) {
                if metric.id > 17 {
                    return Err(said("Invalid metric type"));
                }
                if metric.u32()? != 0 {
                    request.metrics.insert(metric.id, metric.u32()?);
                }
            }
        }
        request.nexthop = tb.u32(RTA_NH_ID)?.unwrap_or(0);
        if request.nexthop != 0
            && [RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH].iter().any(|id| tb.get(*id).is_some())
        {
            return Err(said("Nexthop specification and nexthop id are mutually exclusive"));
        }
        if tb.get(RTA_VIA).is_some() || tb.get(RTA_ENCAP_TYPE).is_some() {
            return Err(libc::EOPNOTSUPP.into());
        }
        if six && request.len > 128 {
            return Err(libc::EINVAL.into());
        }
        if !six && request.len > 32 {
            return Err(said("Invalid prefix length"));
        }
        if !six {
            let key = request.key4();
            if key.len < 32 && key.dst << key.len != 0 {
                return Err(said("Invalid prefix for given prefix length"));
            }
        }
        match tb.get(RTA_MULTIPATH).filter(|attribute| !attribute.value.is_empty()) {
            None => {
                let (oif, gateway) = (request.oif, request.gateway.clone());
                request.ways = vec![Way { oif, gateway, flags, ..Way::default() }];
            }
            Some(attribute) => {
                request.multipath = true;
                request.ways = legs(attribute.value, flags, size)?;
            }
        }
        Ok(request)
    }
}

/// `struct rtnexthop`, one after the other.
fn legs(mut bytes: &[u8], flags: u32, size: usize) -> Answer<Vec<Way>> {
    let said = |words| Refusal::said(libc::EINVAL, words);
    let mut ways = Vec::new();
    while bytes.len() >= 8 {
        let length = usize::from(u16_at(bytes, 0));
        if length < 8 || length > bytes.len() {
            return Err(said("Invalid nexthop configuration - extra data after nexthop"));
        }
        let tb = Attributes::parse(&bytes[8..length], 0);
        let gateway = match tb.get(RTA_GATEWAY) {
            Some(attribute) => {
                attribute.value.get(..size).ok_or_else(|| attribute.too_short())?.to_vec()
            }
            None => Vec::new(),
        };
        if u32::from(bytes[2]) & (RTNH_F_DEAD | RTNH_F_LINKDOWN) != 0 {
            return Err(said("Invalid flags for nexthop - can not contain DEAD or LINKDOWN"));
        }
        ways.push(Way {
            oif: u32_at(bytes, 4) as i32,
            gateway,
            hops: bytes[3],
            flags: flags | u32::from(bytes[2]) & RTNH_F_ONLINK,
            scope: 0,
        });
        bytes = &bytes[wire::align(length).min(bytes.len())..];
    }
    if ways.is_empty() {
        return Err(said("Invalid nexthop configuration - no valid nexthops"));
    }
    Ok(ways)
}

impl Kernel {
    pub(super) fn new_route_request(&mut self, message: Message<'_>) -> Answer {
        match message.payload[0] {
            AF_INET => {
                let request = RouteRequest::parse(message)?;
                self.insert_route4(&request, true)
            }
            AF_INET6 => {
                let request = RouteRequest::parse(message)?;
                self.new_route6(request)
            }
            _ => Err(libc::EOPNOTSUPP.into()),
        }
    }

    pub(super) fn del_route_request(&mut self, message: Message<'_>) -> Answer {
        match message.payload[0] {
            AF_INET => {
                let request = RouteRequest::parse(message)?;
                if !self.fib4.tables.contains(&request.table) {
                    return Err(Refusal::said(libc::ESRCH, "FIB table does not exist"));
                }
                self.delete_route4(&request, true)
            }
            AF_INET6 => self.del_route6(&RouteRequest::parse(message)?),
            _ => Err(libc::EOPNOTSUPP.into()),
        }
    }

    /// `rtmsg_fib`: a user's request is named in the message (K11).
    pub(super) fn say_route4(
        &mut self,
        kind: u16,
        key: Key4,
        alias: &Alias4,
        how: u16,
        asked: bool,
    ) {
        self.say_asked(kind, RTNLGRP_IPV4_ROUTE, how, asked, &route4_body(key, alias));
    }

    /// `inet6_rt_notify`
    pub(super) fn say_legs6(
        &mut self,
        kind: u16,
        node: Node,
        legs: &[&Leg6],
        how: u16,
        asked: bool,
    ) {
        self.say_asked(kind, RTNLGRP_IPV6_ROUTE, how, asked, &route6_body(node, legs));
    }

    /// `rtnl_notify` of what a user may have asked for: then it is named in the message (K11).
    pub(super) fn say_asked(&mut self, kind: u16, group: u32, how: u16, asked: bool, body: &[u8]) {
        let current = self.current.filter(|_| asked);
        let (seq, port) = current.map_or((0, 0), |current| (current.seq, current.port));
        let echo = current.filter(|current| current.echo).map(|current| current.socket);
        let bytes = wire::message(kind, how, seq, port, body);
        self.multicast(group, &bytes, echo);
        if let Some(socket) = echo {
            self.unicast(socket, bytes);
        }
    }
}

struct Head {
    family: u8,
    len: u8,
    tos: u8,
    table: u32,
    protocol: u8,
    scope: u8,
    kind: u8,
    flags: u32,
}

impl Head {
    fn emit(&self) -> Writer {
        let table = u8::try_from(self.table).unwrap_or(252);
        let mut bytes =
            vec![self.family, self.len, 0, self.tos, table, self.protocol, self.scope, self.kind];
        bytes.extend_from_slice(&self.flags.to_ne_bytes());
        let mut to = Writer(bytes);
        to.u32(RTA_TABLE, self.table);
        to
    }
}

fn put_metrics(to: &mut Writer, metrics: &BTreeMap<u16, u32>) {
    if !metrics.is_empty() {
        to.nest(RTA_METRICS, |to| {
            for (id, value) in metrics {
                to.u32(*id, *value);
            }
        });
    }
}

pub fn put_legs<'a>(to: &mut Writer, ways: impl Iterator<Item = &'a Way>) {
    let mut all = Vec::new();
    for way in ways {
        let mut gateway = Writer::default();
        if !way.gateway.is_empty() {
            gateway.bytes(RTA_GATEWAY, &way.gateway);
        }
        all.extend_from_slice(&((8 + gateway.0.len()) as u16).to_ne_bytes());
        all.extend_from_slice(&[way.flags as u8, way.hops]);
        all.extend_from_slice(&way.oif.to_ne_bytes());
        all.extend_from_slice(&gateway.0);
    }
    to.bytes(RTA_MULTIPATH, &all);
}

pub fn put_way(to: &mut Writer, way: &Way) {
    if !way.gateway.is_empty() {
        to.bytes(RTA_GATEWAY, &way.gateway);
    }
    if way.oif != 0 {
        to.u32(RTA_OIF, way.oif as u32);
    }
}

/// `fib_dump_info`
pub fn route4_body(key: Key4, alias: &Alias4) -> Vec<u8> {
    let flags = match &alias.ways[..] {
        [way] => way.flags,
        _ => alias.flags,
    };
    let mut to = Head {
        family: AF_INET,
        len: key.len,
        tos: key.tos,
        table: key.table,
        protocol: alias.protocol,
        scope: alias.scope,
        kind: if alias.blackhole { 6 } else { alias.kind },
        flags,
    }
    .emit();
    if key.len != 0 {
        to.bytes(RTA_DST, &key.dst.to_be_bytes());
    }
    if key.priority != 0 {
        to.u32(RTA_PRIORITY, key.priority);
    }
    put_metrics(&mut to, &alias.metrics);
    if alias.prefsrc != [0; 4] {
        to.bytes(RTA_PREFSRC, &alias.prefsrc);
    }
    if let Some(id) = alias.nexthop {
        to.u32(RTA_NH_ID, id);
    }
    match &alias.ways[..] {
        [way] => put_way(&mut to, way),
        ways => put_legs(&mut to, ways.iter()),
    }
    to.0
}

/// `rt6_fill_node`: the first leg says everything but the ways.
pub fn route6_body(node: Node, legs: &[&Leg6]) -> Vec<u8> {
    let (table, dst, len) = node;
    let first = legs[0];
    let mut to = Head {
        family: AF_INET6,
        len,
        tos: 0,
        table,
        protocol: first.protocol,
        scope: 0,
        kind: if first.blackhole { 6 } else { first.kind },
        flags: if legs.len() > 1 { 0 } else { first.way.flags },
    }
    .emit();
    if len != 0 {
        to.bytes(RTA_DST, &dst);
    }
    if first.prefsrc != [0; 16] {
        to.bytes(RTA_PREFSRC, &first.prefsrc);
    }
    put_metrics(&mut to, &first.metrics);
    to.u32(RTA_PRIORITY, first.metric);
    if let Some(id) = first.nexthop {
        to.u32(RTA_NH_ID, id);
    }
    match legs {
        [leg] if leg.others.is_empty() => put_way(&mut to, &leg.way),
        [leg] => put_legs(&mut to, std::iter::once(&leg.way).chain(&leg.others)),
        legs => put_legs(&mut to, legs.iter().map(|leg| &leg.way)),
    }
    let mut info = [0; 32];
    info[8..12].copy_from_slice(&(first.expires.unwrap_or(0) * 100).to_ne_bytes());
    to.bytes(RTA_CACHEINFO, &info);
    to.u8(RTA_PREF, first.preference);
    to.0
}
