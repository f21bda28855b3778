//! Nexthop objects: `net/ipv4/nexthop.c`. Not in it: tunnels, forwarding entries, resilient groups, counters.

use std::collections::BTreeMap;

use super::Kernel;
use super::device::Event;
use super::fib6::{Leg6, Node, Of6};
use super::route::{RouteRequest, Way};
use super::socket::SocketId;
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, Message, Refusal, Writer, u16_at, u32_at};

/// `struct nexthop`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nexthop {
    pub id: u32,
    pub protocol: u8,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Family and way; a black hole is a way by the loopback.
    Single { family: u8, way: Way, blackhole: bool },
    /// Numbers and weights.
    Group(Vec<(u32, u16)>),
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Nexthops {
    pub all: BTreeMap<u32, Nexthop>,
    /// `net->nexthop.seq`: what makes a dump of them inconsistent (K14).
    pub generation: u32,
    last: u32,
}

/// How routes by one leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pub ways: Vec<Way>,
    pub blackhole: bool,
    families: Vec<u8>,
}

fn said(words: &'static str) -> Refusal {
    Refusal::said(libc::EINVAL, words)
}

impl Nexthops {
    /// What a route by it is: the ways of all members, with the weights that they have in the group.
    pub fn resolve(&self, id: u32) -> Option<Resolved> {
        let mut found = Resolved::default();
        let members = match &self.all.get(&id)?.what {
            What::Single { .. } => vec![(id, 1)],
            What::Group(members) => members.clone(),
        };
        for (id, weight) in members {
            if let What::Single { family, way, blackhole } = &self.all.get(&id)?.what {
                found.ways.push(Way { hops: (weight - 1) as u8, ..way.clone() });
                found.families.push(*family);
                found.blackhole |= *blackhole;
            }
        }
        Some(found)
    }

    fn groups_of(&self, id: u32) -> Vec<u32> {
        let has = |nexthop: &&Nexthop| match &nexthop.what {
            What::Group(members) => members.iter().any(|(member, _)| *member == id),
            What::Single { .. } => false,
        };
        self.all.values().filter(has).map(|nexthop| nexthop.id).collect()
    }
}

impl Resolved {
    /// `fib6_check_nexthop`
    pub fn check6(&self) -> Answer {
        match self.families.contains(&AF_INET) {
            true => Err(said("IPv6 routes can not use an IPv4 nexthop")),
            false => Ok(()),
        }
    }
}

impl Kernel {
    /// `rtm_new_nexthop`
    pub(super) fn new_nexthop_request(&mut self, message: Message<'_>) -> Answer {
        let mut new = self.parse_nexthop(message)?;
        let (replace, create) =
            (message.flags & NLM_F_REPLACE != 0, message.flags & NLM_F_CREATE != 0);
        if replace && new.id == 0 {
            return Err(said("Replace requires nexthop id"));
        }
        if new.id == 0 {
            // nh_find_unused_id
            self.nexthops.last += 1;
            while self.nexthops.all.contains_key(&self.nexthops.last) {
                self.nexthops.last += 1;
            }
            new.id = self.nexthops.last;
        }
        let Some(old) = self.nexthops.all.get(&new.id) else {
            if replace && !create {
                return Err(Refusal::said(
                    libc::ENOENT,
                    "Replace specified without create and no entry exists",
                ));
            }
            self.nexthops.all.insert(new.id, new.clone());
            self.nexthops.generation += 1;
            self.say_nexthop(RTM_NEWNEXTHOP, &new, Some(message.flags));
            return Ok(());
        };
        if !replace {
            return Err(libc::EEXIST.into());
        }
        self.check_replace(old, &new)?;
        let id = new.id;
        self.nexthops.all.insert(id, new.clone());
        self.nexthops.generation += 1;
        self.say_nexthop(RTM_NEWNEXTHOP, &new, Some(message.flags));
        for id in std::iter::once(id).chain(self.nexthops.groups_of(id)) {
            self.resolve_routes(id);
            self.say_routes_by(id);
        }
        Ok(())
    }

    /// `replace_nexthop`
    fn check_replace(&self, old: &Nexthop, new: &Nexthop) -> Answer {
        match (&old.what, &new.what) {
            (What::Group(_), What::Single { .. }) => {
                return Err(said("Can not replace a nexthop group with a nexthop."));
            }
            (What::Single { .. }, What::Group(_)) => {
                return Err(said("Can not replace a nexthop with a nexthop group."));
            }
            _ => {}
        }
        let mut changed = self.nexthops.clone();
        changed.all.insert(new.id, new.clone());
        for id in std::iter::once(new.id).chain(self.nexthops.groups_of(new.id)) {
            let resolved = changed.resolve(id).unwrap_or_default();
            if resolved.blackhole && resolved.ways.len() > 1 {
                return Err(said(
                    "Blackhole nexthop can not be a member of a group with more than one path",
                ));
            }
            if self.fib6.nodes.values().flatten().any(|leg| leg.nexthop == Some(id)) {
                resolved.check6()?;
            }
        }
        Ok(())
    }

    /// `rtm_del_nexthop`
    pub(super) fn del_nexthop_request(&mut self, message: Message<'_>) -> Answer {
        let id = self.wanted_nexthop(message)?;
        self.remove_nexthop(id, Some(message.flags));
        Ok(())
    }

    /// `rtm_get_nexthop`
    pub(super) fn get_nexthop_request(&mut self, socket: SocketId, message: Message<'_>) -> Answer {
        let id = self.wanted_nexthop(message)?;
        let body = nexthop_body(&self.nexthops.all[&id]);
        let port = self.port(socket);
        self.unicast(socket, wire::message(RTM_NEWNEXTHOP, 0, message.seq, port, &body));
        Ok(())
    }

    /// `nh_valid_get_del_req`
    fn wanted_nexthop(&self, message: Message<'_>) -> Answer<u32> {
        let head = message.payload;
        if head.len() < 8 || head[1..8].iter().any(|byte| *byte != 0) {
            return Err(said("Invalid values in header"));
        }
        let tb = Attributes::parse(&head[8..], 24);
        match tb.u32(NHA_ID)? {
            None => Err(said("Nexthop id is missing")),
            Some(0) => Err(said("Invalid nexthop id")),
            Some(id) if self.nexthops.all.contains_key(&id) => Ok(id),
            Some(_) => Err(libc::ENOENT.into()),
        }
    }

    /// `remove_nexthop`: first it is told, if somebody has asked, then its routes go, then it leaves its groups.
    fn remove_nexthop(&mut self, id: u32, asked: Option<u16>) {
        let groups = self.nexthops.groups_of(id);
        let Some(gone) = self.nexthops.all.remove(&id) else { return };
        if asked.is_some() {
            self.say_nexthop(RTM_DELNEXTHOP, &gone, asked);
        }
        self.flush_routes_by(id);
        for group in groups {
            let Some(Nexthop { what: What::Group(members), .. }) =
                self.nexthops.all.get_mut(&group)
            else {
                continue;
            };
            if members.len() == 1 {
                self.remove_nexthop(group, asked);
                continue;
            }
            members.retain(|(member, _)| *member != id);
            self.resolve_routes(group);
            if asked.is_some() {
                let shown = self.nexthops.all[&group].clone();
                self.say_nexthop(RTM_NEWNEXTHOP, &shown, asked);
            }
        }
        self.nexthops.generation += 1;
    }

    /// `__remove_nexthop_fib`: IPv4 routes in silence (K7).
    fn flush_routes_by(&mut self, id: u32) {
        self.fib4.routes.retain(|_, list| {
            list.retain(|alias| alias.nexthop != Some(id));
            !list.is_empty()
        });
        // A list of a nexthop's routes is in the order in which they came, the newest first.
        let mut gone: Vec<(Node, u64)> = Vec::new();
        for (node, list) in &self.fib6.nodes {
            let by = list.iter().filter(|leg| leg.nexthop == Some(id));
            gone.extend(by.map(|leg| (*node, leg.id())));
        }
        gone.sort_by_key(|(_, id)| std::cmp::Reverse(*id));
        for (node, leg) in gone {
            self.remove_leg6(node, leg, true, false);
        }
    }

    /// Routes by a nexthop leave as it says now.
    fn resolve_routes(&mut self, id: u32) {
        let Some(resolved) = self.nexthops.resolve(id) else { return };
        let Resolved { ways, blackhole, .. } = &resolved;
        for alias in self.fib4.routes.values_mut().flatten().filter(|a| a.nexthop == Some(id)) {
            (alias.ways, alias.blackhole) = (ways.clone(), *blackhole);
        }
        for leg in self.fib6.nodes.values_mut().flatten().filter(|leg| leg.nexthop == Some(id)) {
            leg.take(&resolved);
        }
    }

    /// `__nexthop_replace_notify`, in the compatible mode that is the usual one (K39).
    fn say_routes_by(&mut self, id: u32) {
        let mut four = Vec::new();
        for (key, list) in &self.fib4.routes {
            let by = list.iter().filter(|alias| alias.nexthop == Some(id));
            four.extend(by.map(|alias| (*key, alias.clone())));
        }
        for (key, alias) in four {
            self.say_route4(RTM_NEWROUTE, key, &alias, NLM_F_REPLACE, true);
        }
        let mut six: Vec<(Node, Leg6)> = Vec::new();
        for (node, list) in &self.fib6.nodes {
            let by = list.iter().filter(|leg| leg.nexthop == Some(id));
            six.extend(by.map(|leg| (*node, leg.clone())));
        }
        six.sort_by_key(|(_, leg)| std::cmp::Reverse(leg.id()));
        for (node, leg) in six {
            self.say_legs6(RTM_NEWROUTE, node, &[&leg], NLM_F_REPLACE, true);
        }
    }

    /// `nexthop_notify`: with the flags of the request (K39).
    fn say_nexthop(&mut self, kind: u16, nexthop: &Nexthop, asked: Option<u16>) {
        self.say_asked(kind, RTNLGRP_NEXTHOP, asked.unwrap_or(0), true, &nexthop_body(nexthop));
    }

    /// `nexthop_netdev_event`: in silence, with all that stands on them (K7).
    pub(super) fn nexthops_event(&mut self, index: i32, event: Event) {
        let link = self.link(index);
        let dead = link.shown_flags() & (IFF_RUNNING | IFF_LOWER_UP) == 0;
        let goes = match event {
            Event::Down | Event::Unregister => true,
            Event::Change => dead,
            _ => false,
        };
        if !goes {
            return;
        }
        let over = |nexthop: &&Nexthop| match &nexthop.what {
            What::Single { way, blackhole, .. } => {
                way.oif == index && (!blackhole || event == Event::Unregister)
            }
            What::Group(_) => false,
        };
        let over: Vec<u32> = self.nexthops.all.values().filter(over).map(|own| own.id).collect();
        for id in over {
            self.remove_nexthop(id, None);
        }
    }

    /// `rtm_to_nh_config` and `nexthop_create`
    fn parse_nexthop(&self, message: Message<'_>) -> Answer<Nexthop> {
        let head = message.payload;
        if head.len() < 8 {
            return Err(said("Invalid header length"));
        }
        let tb = Attributes::parse(&head[8..], 24);
        if head[1] != 0 || head[3] != 0 {
            return Err(said("Invalid values in ancillary header"));
        }
        let flags = u32_at(head, 4);
        if flags & !RTNH_F_ONLINK != 0 {
            return Err(said("Invalid nexthop flags in ancillary header"));
        }
        let (family, protocol) = (head[0], head[2]);
        let group = tb.get(NHA_GROUP);
        if !(matches!(family, AF_INET | AF_INET6) || family == AF_UNSPEC && group.is_some()) {
            return Err(said("Invalid address family"));
        }
        if tb.get(NHA_FDB).is_some() || tb.get(NHA_ENCAP_TYPE).is_some() {
            return Err(libc::EOPNOTSUPP.into());
        }
        let id = tb.u32(NHA_ID)?.unwrap_or(0);
        if let Some(group) = group {
            if family != AF_UNSPEC {
                return Err(said("Invalid family for group"));
            }
            return Ok(Nexthop { id, protocol, what: self.parse_group(group.value)? });
        }
        let (gateway, oif) = (tb.get(NHA_GATEWAY), tb.u32(NHA_OIF)?);
        if tb.get(NHA_BLACKHOLE).is_some() {
            if gateway.is_some() || oif.is_some() {
                return Err(said(
                    "Blackhole attribute can not be used with gateway, oif, encap or fdb",
                ));
            }
            let way = self.check_nexthop(family, Way { oif: 1, ..Way::default() })?;
            return Ok(Nexthop {
                id,
                protocol,
                what: What::Single { family, way, blackhole: true },
            });
        }
        let Some(oif) = oif else {
            return Err(said("Device attribute required for non-blackhole and non-fdb nexthops"));
        };
        let down = |words| Refusal::said(libc::ENETDOWN, words);
        let link = self.links.get(&(oif as i32)).ok_or_else(|| said("Invalid device index"))?;
        if !link.is_up() {
            return Err(down("Nexthop device is not up"));
        }
        if !link.carrier {
            return Err(down("Carrier for nexthop device is down"));
        }
        let gateway = match gateway {
            None if flags & RTNH_F_ONLINK != 0 => {
                return Err(said("ONLINK flag can not be set for nexthop without a gateway"));
            }
            None => Vec::new(),
            Some(part) if part.value.len() != if family == AF_INET { 4 } else { 16 } => {
                return Err(said("Invalid gateway"));
            }
            Some(part) => part.value.to_vec(),
        };
        let way = Way { oif: oif as i32, gateway, flags, ..Way::default() };
        let way = self.check_nexthop(family, way)?;
        Ok(Nexthop { id, protocol, what: What::Single { family, way, blackhole: false } })
    }

    /// `nh_create_ipv4`, `nh_create_ipv6`
    fn check_nexthop(&self, family: u8, mut way: Way) -> Answer<Way> {
        let request =
            RouteRequest { family, table: 0, kind: RTN_UNICAST, ..RouteRequest::default() };
        match family {
            AF_INET => self.check_way4(&mut way, &request)?,
            _ => {
                self.check_way6(&mut way, &request, Of6::Other)?;
                // RT_SCOPE_LINK
                way.scope = 253;
            }
        }
        Ok(way)
    }

    /// `nh_check_attr_group`
    fn parse_group(&self, bytes: &[u8]) -> Answer<What> {
        if bytes.is_empty() || bytes.len() % 8 != 0 {
            return Err(said("Invalid length for nexthop group attribute"));
        }
        let members: Vec<(u32, u16)> =
            bytes.chunks(8).map(|entry| (u32_at(entry, 0), u16::from(entry[4]) + 1)).collect();
        for (at, (id, _)) in members.iter().enumerate() {
            if members[at + 1..].iter().any(|(other, _)| other == id) {
                return Err(said("Nexthop id can not be used twice in a group"));
            }
        }
        for (id, _) in &members {
            match self.nexthops.all.get(id).map(|nexthop| &nexthop.what) {
                None => return Err(said("Invalid nexthop id")),
                Some(What::Group(_)) => {
                    return Err(said("Hash-threshold group can not be a nexthop within a group"));
                }
                Some(What::Single { blackhole: true, .. }) if members.len() > 1 => {
                    return Err(said(
                        "Blackhole nexthop can not be used in a group with more than 1 path",
                    ));
                }
                Some(What::Single { .. }) => {}
            }
        }
        Ok(What::Group(members))
    }
}

/// `nh_fill_node`
pub fn nexthop_body(of: &Nexthop) -> Vec<u8> {
    let (family, scope, flags) = match &of.what {
        What::Group(_) => (AF_UNSPEC, 0, 0),
        What::Single { family, blackhole: true, .. } => (*family, 0, 0),
        What::Single { family, way, .. } => (*family, way.scope, way.flags),
    };
    let mut bytes = vec![family, scope, of.protocol, 0];
    bytes.extend_from_slice(&flags.to_ne_bytes());
    let mut to = Writer(bytes);
    to.u32(NHA_ID, of.id);
    match &of.what {
        What::Group(members) => {
            to.u16(NHA_GROUP_TYPE, 0);
            let entry = |(id, weight): &(u32, u16)| {
                [&id.to_ne_bytes()[..], &[(weight - 1) as u8, 0, 0, 0]].concat()
            };
            to.bytes(NHA_GROUP, &members.iter().flat_map(entry).collect::<Vec<u8>>());
            to.u32(NHA_OP_FLAGS, 0x8000_0000);
        }
        What::Single { blackhole: true, .. } => drop(to.bytes(NHA_BLACKHOLE, &[])),
        What::Single { way, .. } => {
            to.u32(NHA_OIF, way.oif as u32);
            if !way.gateway.is_empty() {
                to.bytes(NHA_GATEWAY, &way.gateway);
            }
        }
    }
    to.0
}
