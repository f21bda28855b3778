//! IPv6 routes: `net/ipv6/ip6_fib.c`, `route.c`, and those of addresses in `addrconf.c`.

use std::collections::BTreeMap;

use super::Kernel;
use super::device::Event;
use super::inet6::Address6;
use super::nexthop::Resolved;
use super::route::{ERROR_TYPES, RouteRequest, Way};
use super::rules::Step;
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};

/// Table, destination, length.
pub type Node = (u32, [u8; 16], u8);

/// `struct fib6_info`: one leg. Those by a gateway with one metric are siblings.
#[derive(Clone, Debug)]
pub struct Leg6 {
    pub kind: u8,
    pub protocol: u8,
    pub metric: u32,
    pub prefsrc: [u8; 16],
    pub metrics: BTreeMap<u16, u32>,
    pub way: Way,
    pub reject: bool,
    /// ICMPv6 router preference: 0 medium, 1 high, 3 low.
    pub preference: u8,
    /// Seconds; `None` for ever.
    pub expires: Option<u32>,
    /// The nexthop object whose ways these are, all but the first, and whether it is a black hole.
    pub nexthop: Option<u32>,
    pub others: Vec<Way>,
    pub blackhole: bool,
    id: u64,
}

impl Leg6 {
    /// `rt6_qualify_for_ecmp`
    fn is_ecmp(&self) -> bool {
        self.nexthop.is_none() && !self.way.gateway.is_empty()
    }

    /// By a nexthop object it leaves as that one says.
    pub fn take(&mut self, by: &Resolved) {
        let mut ways = by.ways.iter().cloned();
        self.way = ways.next().unwrap_or_default();
        self.others = ways.collect();
        self.blackhole = by.blackhole;
    }

    /// `rt6_duplicate_nexthop`
    fn same_way(&self, other: &Leg6) -> bool {
        match (self.nexthop, other.nexthop) {
            (None, None) => self.way.same_way(&other.way),
            (one, other) => one == other,
        }
    }
}

/// What sort of route a way is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of6 {
    Reject,
    /// Of an address, made by the kernel.
    Address,
    /// Of type local, made by somebody else.
    Local,
    Other,
}

/// Every table.
#[derive(Clone, Debug, Default)]
pub struct Fib6 {
    pub nodes: BTreeMap<Node, Vec<Leg6>>,
    pub tables: Vec<u32>,
    pub next: u64,
}

const METRIC_ADDRCONF: u32 = 256;
const METRIC_USER: u32 = 1024;

/// The address without the bits behind the prefix.
pub fn truncated(address: [u8; 16], len: u8) -> [u8; 16] {
    let mask = u128::MAX.checked_shl(128u32.saturating_sub(len.into())).unwrap_or(0);
    (u128::from_be_bytes(address) & mask).to_be_bytes()
}

impl Fib6 {
    /// The legs of the route that one is of, beginning with it: itself alone, or the ring of siblings.
    pub fn ring(&self, node: Node, id: u64) -> Vec<&Leg6> {
        let Some(list) = self.nodes.get(&node) else { return Vec::new() };
        let Some(at) = list.iter().position(|leg| leg.id == id) else { return Vec::new() };
        let own = &list[at];
        if !own.is_ecmp() {
            return vec![own];
        }
        let siblings = |leg: &&Leg6| leg.is_ecmp() && leg.metric == own.metric;
        list[at..].iter().chain(&list[..at]).filter(siblings).collect()
    }

    /// The nth route of a node as a dump goes over it: behind a group it goes on after the last sibling, so that what
    /// stands between is not shown.
    pub fn nth_shown(&self, node: Node, nth: usize) -> Option<u64> {
        let list = self.nodes.get(&node)?;
        let mut at = 0;
        for _ in 0..nth {
            at = self.behind(list, at)?;
        }
        list.get(at).map(|leg| leg.id)
    }

    fn behind(&self, list: &[Leg6], at: usize) -> Option<usize> {
        let own = list.get(at)?;
        if !own.is_ecmp() {
            return Some(at + 1);
        }
        let last = list.iter().rposition(|leg| leg.is_ecmp() && leg.metric == own.metric);
        last.map(|last| last + 1)
    }
}

impl Kernel {
    /// `inet6_rtm_newroute`
    pub(super) fn new_route6(&mut self, mut request: RouteRequest) -> Answer {
        if request.priority == 0 {
            request.priority = METRIC_USER;
        }
        if request.multipath {
            return self.new_multipath6(request);
        }
        let leg = self.leg6(&request, request.ways[0].clone())?;
        self.insert_leg6(node_of(&request), leg, Some(request.flags), true, true).map(drop)
    }

    /// `ip6_route_multipath_add`: leg by leg (K24).
    fn new_multipath6(&mut self, request: RouteRequest) -> Answer {
        let mut legs: Vec<Leg6> = Vec::new();
        for way in &request.ways {
            let leg = self.leg6(&request, way.clone())?;
            if !leg.is_ecmp() {
                return Err(Refusal::said(
                    libc::EINVAL,
                    "Device only routes can not be added for IPv6 using the multipath API.",
                ));
            }
            if legs.iter().any(|other| other.same_way(&leg)) {
                return Err(libc::EEXIST.into());
            }
            legs.push(leg);
        }
        let node = node_of(&request);
        let (mut flags, mut done) = (request.flags, Vec::new());
        let replace = request.flags & NLM_F_REPLACE != 0;
        let how = if replace { NLM_F_REPLACE } else { NLM_F_CREATE } | request.flags & NLM_F_APPEND;
        let mut failed = None;
        for leg in legs {
            match self.insert_leg6(node, leg, Some(flags), false, true) {
                Ok(id) => done.push(id),
                Err(mut refusal) => {
                    if replace && !done.is_empty() {
                        refusal.words = Some(
                            "multipath route replace failed (check consistency of installed routes)",
                        );
                    }
                    failed = Some(refusal);
                    break;
                }
            }
            flags = flags & !(NLM_F_EXCL | NLM_F_REPLACE) | NLM_F_CREATE;
        }
        if let (Some(first), Some(last)) = (done.first(), done.last()) {
            let mut shown = *first;
            if how & NLM_F_APPEND != 0 {
                // The first sibling of the last one.
                let ring = self.fib6.ring(node, *last);
                shown = ring.get(1).or(ring.first()).map_or(*first, |leg| leg.id);
            }
            self.say_route6(RTM_NEWROUTE, node, shown, how, true);
        }
        let Some(refusal) = failed else { return Ok(()) };
        for id in done {
            self.remove_leg6(node, id, true, true);
        }
        Err(refusal)
    }

    /// `ip6_route_info_create`
    fn leg6(&mut self, request: &RouteRequest, way: Way) -> Answer<Leg6> {
        let said = |errno, words| Refusal::said(errno, words);
        if request.kind > RTN_MAX {
            return Err(said(libc::EINVAL, "Invalid route type"));
        }
        if request.len > 128 {
            return Err(said(libc::EINVAL, "Invalid prefix length"));
        }
        if !self.fib6.tables.contains(&request.table) {
            self.fib6.tables.push(request.table);
        }
        let reject = ERROR_TYPES.contains(&request.kind);
        let mut leg = Leg6 {
            kind: if request.kind == 0 { RTN_UNICAST } else { request.kind },
            protocol: if request.protocol == 0 { 3 } else { request.protocol },
            metric: request.priority,
            prefsrc: [0; 16],
            metrics: request.metrics.clone(),
            way,
            reject,
            preference: request.preference,
            expires: request.expires,
            nexthop: (request.nexthop != 0).then_some(request.nexthop),
            others: Vec::new(),
            blackhole: false,
            id: self.fib6.next,
        };
        self.fib6.next += 1;
        match leg.nexthop {
            Some(id) => {
                let found = self.nexthops.resolve(id);
                let found = found.ok_or_else(|| said(libc::EINVAL, "Nexthop id does not exist"))?;
                found.check6()?;
                leg.take(&found);
            }
            None => {
                let of = match (leg.kind == RTN_LOCAL, leg.protocol == RTPROT_KERNEL) {
                    _ if reject => Of6::Reject,
                    (true, true) => Of6::Address,
                    (true, false) => Of6::Local,
                    _ => Of6::Other,
                };
                self.check_way6(&mut leg.way, request, of)?;
            }
        }
        if let Ok(source) = <[u8; 16]>::try_from(&request.prefsrc[..]) {
            if !self.has_address6(source, leg.way.oif, IFA_F_TENTATIVE) {
                return Err(said(libc::EINVAL, "Invalid source address"));
            }
            leg.prefsrc = source;
        }
        Ok(leg)
    }

    /// `fib6_nh_init`
    pub(super) fn check_way6(&self, way: &mut Way, request: &RouteRequest, of: Of6) -> Answer {
        let said = |errno, words| Refusal::said(errno, words);
        let mut index = way.oif;
        if index != 0 {
            let link = self.links.get(&index).ok_or(libc::ENODEV)?;
            if link.inet6.is_none() {
                return Err(libc::ENODEV.into());
            }
        }
        if way.flags & RTNH_F_ONLINK != 0 {
            let link = self.links.get(&index);
            let link =
                link.ok_or_else(|| said(libc::ENODEV, "Nexthop device required for onlink"))?;
            if !link.is_up() {
                return Err(said(libc::ENETDOWN, "Nexthop device is not up"));
            }
        }
        if of == Of6::Reject {
            *way = Way { oif: 1, ..Way::default() };
            return Ok(());
        }
        if let Ok(gateway) = <[u8; 16]>::try_from(&way.gateway[..]) {
            let link_local = gateway[0] == 0xfe && gateway[1] & 0xc0 == 0x80;
            let skip = !link_local;
            let local = |index: i32| self.has_address6_on(gateway, if skip { 0 } else { index });
            if index != 0 && local(index) {
                return Err(said(libc::EINVAL, "Gateway can not be a local address"));
            }
            if !link_local {
                if gateway[0] == 0xff || gateway == [0; 16] {
                    return Err(said(libc::EINVAL, "Invalid gateway address"));
                }
                if way.flags & RTNH_F_ONLINK == 0 {
                    index = self.gateway_link6(request.table, gateway, index)?;
                }
            }
            let link = self.links.get(&index);
            let link = link.ok_or_else(|| said(libc::EINVAL, "Egress device not specified"))?;
            if link.is_loopback() {
                return Err(said(
                    libc::EINVAL,
                    "Egress device can not be loopback device for this route",
                ));
            }
            if way.oif == 0 && local(index) {
                return Err(said(libc::EINVAL, "Gateway can not be a local address"));
            }
        }
        let link = self.links.get(&index).ok_or(libc::ENODEV)?;
        if link.inet6.is_none() {
            return Err(said(libc::EACCES, "IPv6 is disabled on nexthop device"));
        }
        // fc_ignore_dev_down
        if !link.is_up() && of != Of6::Address {
            return Err(said(libc::ENETDOWN, "Nexthop device is not up"));
        }
        if !matches!(of, Of6::Local | Of6::Address) && !link.carrier {
            way.flags |= RTNH_F_LINKDOWN;
        }
        way.oif = index;
        Ok(())
    }

    /// `ip6_route_check_nh`: the link by which the gateway is reached.
    fn gateway_link6(&self, table: u32, gateway: [u8; 16], oif: i32) -> Answer<i32> {
        let direct = |found: Option<&Leg6>| {
            found.filter(|leg| !leg.reject && leg.way.gateway.is_empty()).map(|leg| leg.way.oif)
        };
        let own = direct(self.lookup6(table, gateway, oif));
        if let Some(index) = own.filter(|index| oif == 0 || *index == oif) {
            return Ok(index);
        }
        match direct(self.lookup_all6(gateway, oif)) {
            Some(index) if oif == 0 || index == oif => Ok(index),
            _ => Err(libc::EHOSTUNREACH.into()),
        }
    }

    /// `fib6_lookup`
    fn lookup_all6(&self, to: [u8; 16], oif: i32) -> Option<&Leg6> {
        if !self.rules.custom6 {
            return self.lookup6(255, to, oif).or_else(|| self.lookup6(254, to, oif));
        }
        for step in self.rule_steps(AF_INET6, &to, oif) {
            let Step::Table(table, bits, group) = step else { return None };
            let Some((len, leg)) = self.lookup6_with(table, to, oif) else { continue };
            // fib6_rule_suppress
            let of = self.links.get(&leg.way.oif).map(|link| link.group as i32);
            if i32::from(len) > bits && (group == -1 || of != Some(group)) {
                return Some(leg);
            }
        }
        None
    }

    fn lookup6(&self, table: u32, to: [u8; 16], oif: i32) -> Option<&Leg6> {
        self.lookup6_with(table, to, oif).map(|(_, leg)| leg)
    }

    /// Likewise, with the length of the prefix that is found.
    fn lookup6_with(&self, table: u32, to: [u8; 16], oif: i32) -> Option<(u8, &Leg6)> {
        (0..=128).rev().find_map(|len| {
            let list = self.fib6.nodes.get(&(table, truncated(to, len), len))?;
            list.iter()
                .find(|leg| leg.way.flags & RTNH_F_DEAD == 0 && (oif == 0 || leg.way.oif == oif))
                .map(|leg| (len, leg))
        })
    }

    /// `ipv6_chk_addr_and_flags`: on any link when it is a global one.
    fn has_address6(&self, address: [u8; 16], index: i32, banned: u32) -> bool {
        self.links.values().any(|link| {
            link.inet6.iter().flat_map(|inet6| &inet6.addresses).any(|own| {
                own.address == address
                    && own.flags & banned == 0
                    && (link.index == index || own.scope() == 0)
            })
        })
    }

    fn has_address6_on(&self, address: [u8; 16], index: i32) -> bool {
        self.links.values().any(|link| {
            (index == 0 || link.index == index)
                && link
                    .inet6
                    .iter()
                    .flat_map(|inet6| &inet6.addresses)
                    .any(|own| own.address == address)
        })
    }

    /// `fib6_add_rt2node`; `flags` are those of the request, if there is one.
    fn insert_leg6(
        &mut self,
        node: Node,
        leg: Leg6,
        flags: Option<u16>,
        tell: bool,
        asked: bool,
    ) -> Answer<u64> {
        let asks = |flag| flags.is_some_and(|flags| flags & flag != 0);
        let (replace, create) = (asks(NLM_F_REPLACE), flags.is_none() || asks(NLM_F_CREATE));
        if !self.fib6.nodes.contains_key(&node) && !create && replace {
            return Err(Refusal::said(libc::ENOENT, "Can not replace route - no match found"));
        }
        let list = self.fib6.nodes.entry(node).or_default();
        let mut how = NLM_F_EXCL | flags.unwrap_or(0) & NLM_F_APPEND;
        let (mut at, mut found, mut fallback) = (0, None, None);
        let mut refused = None;
        for (nth, other) in list.iter_mut().enumerate() {
            if other.metric > leg.metric {
                break;
            }
            at = nth + 1;
            if other.metric != leg.metric {
                continue;
            }
            if asks(NLM_F_EXCL) {
                refused = Some(libc::EEXIST);
                break;
            }
            how &= !NLM_F_EXCL;
            if replace {
                if other.is_ecmp() == leg.is_ecmp() {
                    found = Some(nth);
                    break;
                }
                fallback = fallback.or(Some(nth));
                continue;
            }
            if other.same_way(&leg) {
                // rt6_duplicate_nexthop: only its end is taken over.
                if other.expires.is_some() {
                    other.expires = leg.expires;
                }
                refused = Some(libc::EEXIST);
                break;
            }
        }
        let found = found.or(fallback);
        if replace && found.is_none() && !create {
            refused = refused.or(Some(libc::ENOENT));
        }
        if let Some(errno) = refused {
            if list.is_empty() {
                self.fib6.nodes.remove(&node);
            }
            return Err(errno.into());
        }
        let (id, metric) = (leg.id, leg.metric);
        match found {
            Some(nth) => {
                let old = std::mem::replace(&mut list[nth], leg);
                how = NLM_F_REPLACE;
                if old.is_ecmp() {
                    let siblings =
                        |other: &Leg6| other.id != id && other.metric == metric && other.is_ecmp();
                    // What is told is told before its siblings go, but shows none of them.
                    list.retain(|other| !siblings(other));
                }
            }
            None => {
                list.insert(at, leg);
                how |= NLM_F_CREATE;
            }
        }
        if tell {
            self.say_route6(RTM_NEWROUTE, node, id, how, asked && flags.is_some());
        }
        Ok(id)
    }

    /// `fib6_del_route`: what is told shows the leg alone.
    pub(super) fn remove_leg6(&mut self, node: Node, id: u64, tell: bool, asked: bool) {
        let Some(list) = self.fib6.nodes.get_mut(&node) else { return };
        let Some(at) = list.iter().position(|leg| leg.id == id) else { return };
        let mut gone = list.remove(at);
        // Its end is forgotten before it is told.
        gone.expires = None;
        if list.is_empty() {
            self.fib6.nodes.remove(&node);
        }
        if tell {
            self.say_legs6(RTM_DELROUTE, node, &[&gone], 0, asked);
        }
    }

    /// `inet6_rtm_delroute`
    pub(super) fn del_route6(&mut self, request: &RouteRequest) -> Answer {
        if !self.fib6.tables.contains(&request.table) {
            return Err(Refusal::said(libc::ESRCH, "FIB table does not exist"));
        }
        if !request.multipath {
            return self.del_way6(request, &request.ways[0], true);
        }
        let mut last = Ok(());
        for way in &request.ways {
            if let Err(refusal) = self.del_way6(request, way, false) {
                last = Err(refusal);
            }
        }
        last
    }

    /// `ip6_route_del`
    fn del_way6(&mut self, request: &RouteRequest, way: &Way, all: bool) -> Answer {
        let node = node_of(request);
        let list = self.fib6.nodes.get(&node).ok_or(libc::ESRCH)?;
        // `fib_nh_gw6` of a way without a gateway is all zeros, and so a request may say it.
        let same_gateway = |leg: &Leg6| match leg.way.gateway.is_empty() {
            true => way.gateway == [0; 16],
            false => leg.way.gateway == way.gateway,
        };
        let fits = |leg: &&Leg6| {
            let asked = (request.priority == 0 || leg.metric == request.priority)
                && (request.protocol == 0 || leg.protocol == request.protocol);
            if let Some(id) = leg.nexthop {
                return asked && (request.nexthop == 0 || id == request.nexthop);
            }
            asked
                && request.nexthop == 0
                && (way.oif == 0 || leg.way.oif == way.oif)
                && (way.gateway.is_empty() || same_gateway(leg))
        };
        let id = list.iter().find(fits).ok_or(libc::ESRCH)?.id;
        let ring: Vec<Leg6> = self.fib6.ring(node, id).into_iter().cloned().collect();
        if !way.gateway.is_empty() || !all || ring.len() < 2 {
            self.remove_leg6(node, id, true, true);
            return Ok(());
        }
        for leg in &ring {
            self.remove_leg6(node, leg.id, false, true);
        }
        self.say_legs6(RTM_DELROUTE, node, &ring.iter().collect::<Vec<_>>(), 0, true);
        Ok(())
    }

    fn say_route6(&mut self, kind: u16, node: Node, id: u64, how: u16, asked: bool) {
        let ring: Vec<Leg6> = self.fib6.ring(node, id).into_iter().cloned().collect();
        self.say_legs6(kind, node, &ring.iter().collect::<Vec<_>>(), how, asked);
    }

    /// The kernel's own route: `ip6_route_add` without a request.
    fn own_route6(&mut self, request: RouteRequest) {
        let Ok(leg) = self.leg6(&request, request.ways[0].clone()) else { return };
        // It may be there already.
        let _ = self.insert_leg6(node_of(&request), leg, None, true, false);
    }

    /// `addrconf_prefix_route`
    pub(super) fn add_prefix_route6(
        &mut self,
        index: i32,
        address: [u8; 16],
        len: u8,
        priority: u32,
        expires: Option<u32>,
    ) {
        self.own_route6(RouteRequest {
            table: 254,
            kind: RTN_UNICAST,
            priority: if priority == 0 { METRIC_ADDRCONF } else { priority },
            expires,
            ..own(index, address, len)
        });
    }

    /// `addrconf_add_mroute`
    pub(super) fn add_multicast_route6(&mut self, index: i32) {
        let mut ff = [0; 16];
        ff[0] = 0xff;
        self.own_route6(RouteRequest {
            table: 255,
            kind: RTN_MULTICAST,
            priority: METRIC_ADDRCONF,
            ..own(index, ff, 8)
        });
    }

    /// `ip6_ins_rt` of the address' own route.
    pub(super) fn add_local_route6(&mut self, index: i32, address: [u8; 16]) {
        self.own_route6(RouteRequest { table: 255, kind: RTN_LOCAL, ..own(index, address, 128) });
    }

    pub(super) fn del_local_route6(&mut self, index: i32, address: [u8; 16]) {
        let node = (255, address, 128);
        let list = self.fib6.nodes.get(&node).map(Vec::as_slice).unwrap_or_default();
        let own = |leg: &&Leg6| {
            leg.way.oif == index
                && leg.kind == RTN_LOCAL
                && leg.metric == 0
                && leg.protocol == RTPROT_KERNEL
        };
        if let Some(id) = list.iter().find(own).map(|leg| leg.id) {
            self.remove_leg6(node, id, true, false);
        }
    }

    /// `addrconf_get_prefix_route`
    fn prefix_route6(&self, index: i32, address: [u8; 16], len: u8) -> Option<(Node, u64, u32)> {
        let node = (254, truncated(address, len), len);
        let list = self.fib6.nodes.get(&node)?;
        let leg = list.iter().find(|leg| leg.way.oif == index && leg.way.gateway.is_empty())?;
        Some((node, leg.id, leg.metric))
    }

    /// The route to the other end of a point-to-point address.
    pub(super) fn del_peer_route6(&mut self, index: i32, peer: [u8; 16]) {
        if let Some((node, id, _)) = self.prefix_route6(index, peer, 128) {
            self.remove_leg6(node, id, true, false);
        }
    }

    /// `check_cleanup_prefix_route` and `cleanup_prefix_route`, for an address that is no more in the list.
    pub(super) fn cleanup_prefix_route6(&mut self, index: i32, gone: &Address6) {
        if gone.flags & IFA_F_PERMANENT == 0 || gone.flags & IFA_F_NOPREFIXROUTE != 0 {
            return;
        }
        let Some(inet6) = &self.link(index).inet6 else { return };
        let mut left = inet6.addresses.iter().filter(|other| {
            other.prefix == gone.prefix
                && truncated(other.address, gone.prefix) == truncated(gone.address, gone.prefix)
        });
        let mut expires = None;
        if left.any(|other| {
            expires = expires.max(Some(other.valid));
            other.flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE) != 0
        }) {
            return;
        }
        let Some((node, id, _)) = self.prefix_route6(index, gone.address, gone.prefix) else {
            return;
        };
        match expires {
            None => self.remove_leg6(node, id, true, false),
            Some(seconds) => self.with_leg6(node, id, |leg| {
                leg.expires.get_or_insert(seconds);
            }),
        }
    }

    /// `modify_prefix_route`, or a new one where there is none.
    pub(super) fn change_prefix_route6(&mut self, index: i32, address: &Address6, had: bool) {
        let expires = Some(address.valid).filter(|valid| *valid != u32::MAX);
        let wanted = if address.priority == 0 { METRIC_ADDRCONF } else { address.priority };
        let add = |kernel: &mut Kernel| {
            let (of, len) = (address.address, address.prefix);
            kernel.add_prefix_route6(index, of, len, address.priority, expires);
        };
        match self.prefix_route6(index, address.address, address.prefix).filter(|_| had) {
            None => add(self),
            Some((node, id, metric)) if metric != wanted => {
                self.remove_leg6(node, id, true, false);
                add(self);
            }
            Some((node, id, _)) => self.with_leg6(node, id, |leg| leg.expires = expires),
        }
    }

    fn with_leg6(&mut self, node: Node, id: u64, change: impl FnOnce(&mut Leg6)) {
        let list = self.fib6.nodes.get_mut(&node).into_iter().flatten();
        if let Some(leg) = list.into_iter().find(|leg| leg.id == id) {
            change(leg);
        }
    }

    /// `rt6_remove_prefsrc`: in silence.
    pub(super) fn remove_source6(&mut self, index: i32, address: [u8; 16]) {
        let still = |kernel: &Kernel, oif| kernel.has_address6(address, oif, IFA_F_TENTATIVE);
        let here = still(self, index);
        for leg in self.fib6.nodes.values_mut().flatten() {
            if leg.way.oif == index && leg.prefsrc == address && !here {
                leg.prefsrc = [0; 16];
            }
        }
    }

    /// `rt6_sync_down_dev`
    pub(super) fn sync_down6(&mut self, index: i32, event: Event) {
        if event == Event::Change {
            for leg in self.fib6.nodes.values_mut().flatten() {
                if leg.way.oif == index && leg.kind != RTN_LOCAL && leg.nexthop.is_none() {
                    leg.way.flags |= RTNH_F_LINKDOWN;
                }
            }
            return;
        }
        let tell = !self.sysctl.skip_notify_on_dev_down;
        let nodes: Vec<Node> = self.fib6.nodes.keys().copied().collect();
        for node in nodes {
            self.sync_down_node6(node, index, event, tell);
        }
    }

    /// `fib6_ifdown` for each route of a node.
    fn sync_down_node6(&mut self, node: Node, index: i32, event: Event, tell: bool) {
        let list = self.fib6.nodes.get(&node).cloned().unwrap_or_default();
        let mut at = 0;
        while let Some(leg) = list.get(at) {
            at += 1;
            if leg.nexthop.is_some() {
                continue;
            }
            let siblings: Vec<&Leg6> =
                list.iter().filter(|o| o.is_ecmp() && o.metric == leg.metric).collect();
            let uses = leg.way.oif == index
                || leg.is_ecmp() && siblings.iter().any(|o| o.way.oif == index);
            // A sibling that went before in this walk has left the group.
            let left = self.fib6.ring(node, leg.id).len();
            let dies = match event {
                Event::Unregister => leg.way.oif == index,
                _ if !leg.is_ecmp() || siblings.len() < 2 => leg.way.oif == index,
                _ => {
                    let dead = |o: &&&Leg6| o.way.oif == index || o.way.flags & RTNH_F_DEAD != 0;
                    uses && siblings.iter().filter(dead).count() == siblings.len()
                }
            };
            if dies {
                self.remove_leg6(node, leg.id, tell, false);
                continue;
            }
            if event != Event::Unregister && leg.is_ecmp() && left > 1 {
                let (metric, mark) = (leg.metric, RTNH_F_DEAD | RTNH_F_LINKDOWN);
                for own in self.fib6.nodes.get_mut(&node).into_iter().flatten() {
                    if own.is_ecmp() && own.metric == metric && own.way.oif == index {
                        own.way.flags |= mark;
                    }
                }
                let last = list.iter().rposition(|o| o.is_ecmp() && o.metric == metric);
                at = last.map_or(at, |last| last + 1);
            }
        }
    }

    /// `rt6_sync_up`
    pub(super) fn sync_up6(&mut self, index: i32, mut mark: u32) {
        if mark & RTNH_F_DEAD != 0 && self.link(index).carrier {
            mark |= RTNH_F_LINKDOWN;
        }
        for leg in self.fib6.nodes.values_mut().flatten() {
            if leg.way.oif == index && leg.nexthop.is_none() {
                leg.way.flags &= !mark;
            }
        }
    }

    /// `rt6_mtu_change`: a route's own MTU that was, or is beyond, the link's follows it, in silence.
    pub(super) fn mtu_changed6(&mut self, index: i32, old: u32, new: u32) {
        const RTAX_MTU: u16 = 2;
        for leg in self.fib6.nodes.values_mut().flatten().filter(|leg| leg.way.oif == index) {
            if let Some(mtu) = leg.metrics.get_mut(&RTAX_MTU) {
                if *mtu >= new || *mtu == old {
                    *mtu = new;
                }
            }
        }
    }
}

fn own(index: i32, address: [u8; 16], len: u8) -> RouteRequest {
    RouteRequest {
        family: AF_INET6,
        dst: truncated(address, len).to_vec(),
        len,
        protocol: RTPROT_KERNEL,
        oif: index,
        ways: vec![Way { oif: index, ..Way::default() }],
        ..RouteRequest::default()
    }
}

fn node_of(request: &RouteRequest) -> Node {
    let mut dst = [0; 16];
    dst[..request.dst.len().min(16)].copy_from_slice(&request.dst[..request.dst.len().min(16)]);
    (request.table, truncated(dst, request.len), request.len)
}

/// For `Dump` and `truth`.
impl Leg6 {
    pub fn id(&self) -> u64 {
        self.id
    }
}
