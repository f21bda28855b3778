//! IPv4 routes: `net/ipv4/fib_trie.c`, `fib_semantics.c`, `fib_frontend.c`.

use std::collections::BTreeMap;

use super::Kernel;
use super::device::Event;
use super::inet::Address4;
use super::link::Link;
use super::route::{ERROR_TYPES, RouteRequest, Way, error_of};
use super::rules::Step;
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};

/// What a route is looked up by, in the order of a leaf: table, destination, length, TOS, priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key4 {
    pub table: u32,
    pub dst: u32,
    pub len: u8,
    pub tos: u8,
    pub priority: u32,
}

/// `struct fib_alias` with its `fib_info`.
#[derive(Clone, Debug)]
pub struct Alias4 {
    pub kind: u8,
    pub scope: u8,
    pub protocol: u8,
    pub prefsrc: [u8; 4],
    pub metrics: BTreeMap<u16, u32>,
    pub ways: Vec<Way>,
    /// RTNH_F_DEAD and RTNH_F_LINKDOWN of the whole.
    pub flags: u32,
    /// `pfsrc_removed`: its going is announced (K6).
    pub source_gone: bool,
    /// The nexthop object whose ways these are, and whether it is a black hole.
    pub nexthop: Option<u32>,
    pub blackhole: bool,
}

impl Alias4 {
    /// `fib_find_info`: what is compared.
    fn same(&self, other: &Alias4) -> bool {
        (self.kind, self.scope, self.protocol, self.prefsrc, self.nexthop)
            == (other.kind, other.scope, other.protocol, other.prefsrc, other.nexthop)
            && self.metrics == other.metrics
            && self.ways.len() == other.ways.len()
            && self.ways.iter().zip(&other.ways).all(|(a, b)| a.same(b))
    }
}

/// Every table. A table stays when its last route has gone.
#[derive(Clone, Debug, Default)]
pub struct Fib4 {
    pub routes: BTreeMap<Key4, Vec<Alias4>>,
    pub tables: Vec<u32>,
}

/// `struct fib_config` of the kernel's own routes.
struct Magic {
    kind: u8,
    dst: [u8; 4],
    len: u8,
    prefsrc: [u8; 4],
    priority: u32,
    index: i32,
}

/// `struct fib_result`: type, scope and interface of a route, and the bits of its prefix.
pub(super) struct Found {
    pub(super) kind: u8,
    scope: u8,
    pub(super) oif: i32,
    len: u8,
}

const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
const SCOPE_NOWHERE: u8 = 255;

fn mask(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

impl Kernel {
    /// `fib_table_insert`; `from` is the request when it is a user's.
    pub(super) fn insert_route4(&mut self, request: &RouteRequest, asked: bool) -> Answer {
        let key = request.key4();
        if !self.fib4.tables.contains(&key.table) {
            self.fib4.tables.push(key.table);
        }
        let mut new = self.alias4(request)?;
        let mut all = self.fib4.routes.values().flatten();
        // fib_create_info: the same information is shared, and with it the marks of its nexthops.
        if let Some(known) = all.find(|known| known.same(&new) && known.flags & RTNH_F_DEAD == 0) {
            (new.ways, new.flags) = (known.ways.clone(), known.flags);
        }
        let list = self.fib4.routes.entry(key).or_default();
        let found = list.iter().position(|known| known.same(&new));
        let (mut flags, mut at) = (NLM_F_EXCL, 0);
        if !list.is_empty() {
            if request.flags & NLM_F_EXCL != 0 {
                return Err(libc::EEXIST.into());
            }
            flags = 0;
            if request.flags & NLM_F_REPLACE != 0 {
                return match found {
                    Some(0) => Ok(()),
                    Some(_) => Err(libc::EEXIST.into()),
                    None => {
                        list[0] = new.clone();
                        self.say_route4(RTM_NEWROUTE, key, &new, NLM_F_REPLACE, asked);
                        Ok(())
                    }
                };
            }
            if found.is_some() {
                return Err(libc::EEXIST.into());
            }
            if request.flags & NLM_F_APPEND != 0 {
                (flags, at) = (NLM_F_APPEND, list.len());
            }
        }
        if request.flags & NLM_F_CREATE == 0 {
            if list.is_empty() {
                self.fib4.routes.remove(&key);
            }
            return Err(libc::ENOENT.into());
        }
        list.insert(at, new.clone());
        self.say_route4(RTM_NEWROUTE, key, &new, flags | NLM_F_CREATE, asked);
        Ok(())
    }

    /// `fib_create_info`
    fn alias4(&self, request: &RouteRequest) -> Answer<Alias4> {
        let said = |words| Refusal::said(libc::EINVAL, words);
        let least = match request.kind {
            RTN_UNICAST => 0,
            RTN_LOCAL => SCOPE_HOST,
            RTN_BROADCAST | RTN_ANYCAST => SCOPE_LINK,
            _ => 0,
        };
        if request.kind > RTN_MAX {
            return Err(said("Invalid route type"));
        }
        if least > request.scope {
            return Err(said("Invalid scope"));
        }
        let mut alias = Alias4 {
            kind: request.kind,
            scope: request.scope,
            protocol: request.protocol,
            prefsrc: request.prefsrc.get(..4).map_or([0; 4], |b| [b[0], b[1], b[2], b[3]]),
            metrics: request.metrics.clone(),
            ways: request.ways.clone(),
            flags: 0,
            source_gone: false,
            nexthop: (request.nexthop != 0).then_some(request.nexthop),
            blackhole: false,
        };
        if let Some(id) = alias.nexthop {
            let found = self.nexthops.resolve(id);
            let found = found.ok_or_else(|| said("Nexthop id does not exist"))?;
            (alias.ways, alias.blackhole) = (found.ways, found.blackhole);
            self.check_source4(&alias, request)?;
            return Ok(alias);
        }
        if ERROR_TYPES.contains(&request.kind) {
            if alias.ways.len() > 1
                || alias.ways.iter().any(|way| way.oif != 0 || !way.gateway.is_empty())
            {
                return Err(said(
                    "Gateway, device and multipath can not be specified for this route type",
                ));
            }
        } else if !(RTN_UNICAST..=RTN_MULTICAST).contains(&request.kind) {
            return Err(said("Invalid route type"));
        } else if request.scope > SCOPE_HOST {
            return Err(said("Invalid scope"));
        } else if request.scope == SCOPE_HOST {
            let [way] = &mut alias.ways[..] else {
                return Err(said("Route with host scope can not have multiple nexthops"));
            };
            if !way.gateway.is_empty() {
                return Err(said("Route with host scope can not have a gateway"));
            }
            way.scope = SCOPE_NOWHERE;
            if !self.links.contains_key(&way.oif) {
                return Err(libc::ENODEV.into());
            }
        } else {
            for way in &mut alias.ways {
                self.check_way4(way, request)?;
            }
            if alias.ways.iter().all(|way| way.flags & RTNH_F_LINKDOWN != 0) {
                alias.flags |= RTNH_F_LINKDOWN;
            }
        }
        self.check_source4(&alias, request)?;
        Ok(alias)
    }

    /// `fib_valid_prefsrc`
    fn check_source4(&self, alias: &Alias4, request: &RouteRequest) -> Answer {
        let own = request.kind == RTN_LOCAL && request.dst.get(..4) == Some(&alias.prefsrc[..]);
        if alias.prefsrc != [0; 4] && !own && !self.is_local4(alias.prefsrc) {
            return Err(Refusal::said(libc::EINVAL, "Invalid prefsrc address"));
        }
        Ok(())
    }

    /// `fib_check_nh`
    pub(super) fn check_way4(&self, way: &mut Way, request: &RouteRequest) -> Answer {
        let said = |errno, words| Refusal::said(errno, words);
        let down = |link: &Link| if link.carrier { 0 } else { RTNH_F_LINKDOWN };
        let Ok(gateway) = <[u8; 4]>::try_from(&way.gateway[..]) else {
            if way.flags & RTNH_F_ONLINK != 0 {
                return Err(said(
                    libc::EINVAL,
                    "Invalid flags for nexthop - PERVASIVE and ONLINK can not be set",
                ));
            }
            let link = self.links.get(&way.oif).filter(|link| link.inet.is_some());
            let link = link.ok_or(libc::ENODEV)?;
            if !link.is_up() {
                return Err(said(libc::ENETDOWN, "Device for nexthop is not up"));
            }
            way.scope = SCOPE_HOST;
            way.flags |= down(link);
            return Ok(());
        };
        if way.flags & RTNH_F_ONLINK != 0 {
            if request.scope >= SCOPE_LINK {
                return Err(said(libc::EINVAL, "Nexthop has invalid scope"));
            }
            let link = self.links.get(&way.oif);
            let link =
                link.ok_or_else(|| said(libc::ENODEV, "Nexthop device required for onlink"))?;
            if !link.is_up() {
                return Err(said(libc::ENETDOWN, "Nexthop device is not up"));
            }
            if self.is_local4(gateway) {
                return Err(said(libc::EINVAL, "Nexthop has invalid gateway"));
            }
            way.scope = SCOPE_LINK;
            way.flags |= down(link);
            return Ok(());
        }
        let scope = request.scope.saturating_add(1).max(SCOPE_LINK);
        let own = Some(request.table).filter(|table| !matches!(table, 0 | 254));
        let own = own.filter(|table| self.fib4.tables.contains(table));
        let own = own.and_then(|table| self.lookup4(&[table], gateway, scope, way.oif)?.ok());
        let found = own.map_or_else(|| self.lookup_all4(gateway, scope, way.oif), Ok);
        let Found { kind, scope, oif, .. } =
            found.map_err(|errno| said(errno, "Nexthop has invalid gateway"))?;
        if !matches!(kind, RTN_UNICAST | RTN_LOCAL) {
            return Err(said(libc::EINVAL, "Nexthop has invalid gateway"));
        }
        let link = self.links.get(&oif).ok_or(libc::EINVAL)?;
        (way.scope, way.oif) = (scope, oif);
        way.flags |= down(link);
        if link.is_up() { Ok(()) } else { Err(libc::ENETDOWN.into()) }
    }

    /// `fib_lookup`: as the rules say; without any but the kernel's own, which are not asked, the local and the main
    /// table are one.
    fn lookup_all4(&self, to: [u8; 4], scope: u8, oif: i32) -> Result<Found, i32> {
        if !self.rules.custom4 {
            let main = self.lookup4(&[255, 254], to, scope, oif);
            return match main.unwrap_or(Err(libc::ENETUNREACH)) {
                Ok(found) => Ok(found),
                Err(errno) => self.lookup4(&[253], to, scope, oif).unwrap_or(Err(errno)),
            };
        }
        for step in self.rule_steps(AF_INET, &to, oif) {
            let (table, bits, group) = match step {
                Step::Table(table, bits, group) => (table, bits, group),
                Step::Refuse(errno) => return Err(errno),
            };
            match self.lookup4(&[table], to, scope, oif) {
                None => {}
                Some(Err(errno)) => return Err(errno),
                Some(Ok(found)) => {
                    // fib4_rule_suppress
                    let of = self.links.get(&found.oif).map(|link| link.group as i32);
                    if i32::from(found.len) > bits && (group == -1 || of != Some(group)) {
                        return Ok(found);
                    }
                }
            }
        }
        Err(libc::ENETUNREACH)
    }

    /// `fib_table_lookup`: the longest prefix; `None` when there is none.
    pub(super) fn lookup4(
        &self,
        tables: &[u32],
        to: [u8; 4],
        scope: u8,
        oif: i32,
    ) -> Option<Result<Found, i32>> {
        let to = u32::from_be_bytes(to);
        for len in (0..=32).rev() {
            for &table in tables {
                let first = Key4 { table, dst: to & mask(len), len, tos: 0, priority: 0 };
                let last = Key4 { priority: u32::MAX, ..first };
                for alias in self.fib4.routes.range(first..=last).flat_map(|(_, list)| list) {
                    if alias.scope < scope {
                        continue;
                    }
                    let kind = if alias.blackhole { 6 } else { alias.kind };
                    if let Some(errno) = error_of(kind) {
                        return (errno != libc::EAGAIN).then_some(Err(errno));
                    }
                    if alias.flags & RTNH_F_DEAD != 0 {
                        continue;
                    }
                    let alive =
                        |way: &&Way| way.flags & RTNH_F_DEAD == 0 && (oif == 0 || way.oif == oif);
                    if let Some(way) = alias.ways.iter().find(alive) {
                        let (kind, scope, oif) = (alias.kind, alias.scope, way.oif);
                        return Some(Ok(Found { kind, scope, oif, len }));
                    }
                }
            }
        }
        None
    }

    /// Whether an address is of this machine.
    fn is_local4(&self, address: [u8; 4]) -> bool {
        // inet_addr_type: neither 0.0.0.0/8 nor a multicast address is anybody's.
        let nobodys = address[0] == 0 || (224..240).contains(&address[0]) || address == [0xff; 4];
        !nobodys
            && matches!(
                self.lookup4(&[255], address, 0, 0),
                Some(Ok(Found { kind: RTN_LOCAL, .. }))
            )
    }

    /// `fib_table_delete`: the first that fits what is given (K21).
    pub(super) fn delete_route4(&mut self, request: &RouteRequest, asked: bool) -> Answer {
        let first = Key4 { priority: 0, ..request.key4() };
        let fits = |key: &Key4, alias: &Alias4| {
            (request.kind == 0 || alias.kind == request.kind)
                && (request.scope == SCOPE_NOWHERE || alias.scope == request.scope)
                && (request.prefsrc.is_empty() || alias.prefsrc == request.prefsrc[..])
                && (request.protocol == 0 || alias.protocol == request.protocol)
                && (request.priority == 0 || key.priority == request.priority)
                && ways_match(request, alias)
                && request
                    .metrics
                    .iter()
                    .all(|(id, value)| alias.metrics.get(id).copied().unwrap_or(0) == *value)
        };
        let last = Key4 { priority: u32::MAX, ..first };
        let found =
            self.fib4.routes.range(first..=last).find_map(|(key, list)| {
                Some((*key, list.iter().position(|alias| fits(key, alias))?))
            });
        let (key, at) = found.ok_or(libc::ESRCH)?;
        let list = self.fib4.routes.get_mut(&key).ok_or(libc::ESRCH)?;
        let gone = list.remove(at);
        if list.is_empty() {
            self.fib4.routes.remove(&key);
        }
        self.say_route4(RTM_DELROUTE, key, &gone, 0, asked);
        Ok(())
    }

    /// `fib_magic`
    fn magic(&mut self, add: bool, magic: Magic) {
        let local = magic.kind == RTN_LOCAL;
        let request = RouteRequest {
            family: AF_INET,
            flags: NLM_F_CREATE | NLM_F_APPEND,
            table: if magic.kind == RTN_UNICAST { 254 } else { 255 },
            dst: magic.dst.to_vec(),
            len: magic.len,
            kind: magic.kind,
            scope: if local { SCOPE_HOST } else { SCOPE_LINK },
            protocol: RTPROT_KERNEL,
            priority: magic.priority,
            prefsrc: if magic.prefsrc == [0; 4] { Vec::new() } else { magic.prefsrc.to_vec() },
            oif: magic.index,
            ways: vec![Way { oif: magic.index, ..Way::default() }],
            ..RouteRequest::default()
        };
        // What is there already, or no more, is fine.
        let _ = match add {
            true => self.insert_route4(&request, false),
            false => self.delete_route4(&request, false),
        };
    }

    /// `fib_add_ifaddr`
    fn add_routes_of4(&mut self, index: i32, address: &Address4) {
        let link = self.link(index);
        let (up, loopback) = (link.is_up(), link.is_loopback());
        let Some(list) = &link.inet else { return };
        let Some(first) =
            by_prefix(list, address).filter(|_| address.is_secondary()).or(Some(address))
        else {
            return;
        };
        let prefsrc = first.local;
        let magic = |kind, dst: u32, len, priority| Magic {
            kind,
            dst: dst.to_be_bytes(),
            len,
            prefsrc,
            priority,
            index,
        };
        let own = u32::from_be_bytes(address.local);
        let (prefix, len) = (network(address), address.prefix);
        self.magic(true, magic(RTN_LOCAL, own, 32, 0));
        if !up {
            return;
        }
        if let Some(broadcast) = address.broadcast.filter(|b| *b != [0xff; 4]) {
            self.magic(true, magic(RTN_BROADCAST, u32::from_be_bytes(broadcast), 32, 0));
        }
        if prefix >> 24 == 0 || address.is_secondary() || (prefix == own && len == 32) {
            return;
        }
        if address.flags & IFA_F_NOPREFIXROUTE == 0 {
            let kind = if loopback { RTN_LOCAL } else { RTN_UNICAST };
            self.magic(true, magic(kind, prefix, len, address.priority));
        }
        if len < 31 {
            self.magic(true, magic(RTN_BROADCAST, prefix | !mask(len), 32, 0));
        }
    }

    /// `fib_modify_prefix_metric`, before the address gets its new one.
    pub(super) fn change_priority4(&mut self, index: i32, address: &Address4, new: u32) {
        let (prefix, len) = (network(address), address.prefix);
        let own = u32::from_be_bytes(address.local);
        let link = self.link(index);
        if !link.is_up()
            || address.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE) != 0
            || prefix >> 24 == 0
            || (prefix == own && len == 32)
        {
            return;
        }
        let kind = if link.is_loopback() { RTN_LOCAL } else { RTN_UNICAST };
        let magic = |priority| Magic {
            kind,
            dst: prefix.to_be_bytes(),
            len,
            prefsrc: address.local,
            priority,
            index,
        };
        self.magic(true, magic(new));
        self.magic(false, magic(address.priority));
    }

    /// `fib_del_ifaddr`; `primary` is the one whose going makes the secondaries move.
    pub(super) fn del_routes_of4(
        &mut self,
        index: i32,
        address: &Address4,
        primary: Option<&Address4>,
    ) {
        let link = self.link(index);
        let loopback = link.is_loopback();
        let Some(list) = link.inet.clone() else { return };
        let (any, len) = (network(address), address.prefix);
        let own = u32::from_be_bytes(address.local);
        let broadcast = |of: &Address4| u32::from_be_bytes(of.broadcast.unwrap_or([0; 4]));
        let brd = any | !mask(len);
        let mut subnet = false;
        let first = match address.is_secondary() {
            true => match by_prefix(&list, address) {
                Some(first) => first.clone(),
                None => return,
            },
            false => address.clone(),
        };
        let magic = |kind, dst: u32, len| Magic {
            kind,
            dst: dst.to_be_bytes(),
            len,
            prefsrc: first.local,
            priority: 0,
            index,
        };
        if !address.is_secondary() && any >> 24 != 0 && (any != own || len < 32) {
            if address.flags & IFA_F_NOPREFIXROUTE == 0 {
                let kind = if loopback { RTN_LOCAL } else { RTN_UNICAST };
                self.magic(false, magic(kind, any, len));
            }
            subnet = true;
        }
        let (mut local_ok, mut brd_ok, mut brd1_ok, mut brd0_ok) = (false, false, false, false);
        let (mut gone, mut same_source) = (true, false);
        // Of a link that goes for good nobody looks what else it has.
        let dead = !self.link(index).registered;
        for other in list.iter().filter(|_| !dead) {
            if other == address {
                gone = false;
                continue;
            }
            if primary.is_some_and(|p| p.prefix == other.prefix && p.covers(other.address)) {
                continue;
            }
            let leads = if other.is_secondary() {
                if other.prefix == first.prefix && first.covers(other.address) {
                    false
                } else {
                    let own = by_prefix(&list, other).filter(|_| same_source);
                    if own.is_none_or(|own| own.local != first.local) {
                        continue;
                    }
                    false
                }
            } else {
                if first.local != other.local {
                    continue;
                }
                same_source |= *other != first;
                true
            };
            local_ok |= address.local == other.local;
            brd_ok |= broadcast(address) == broadcast(other);
            brd1_ok |= brd == broadcast(other);
            brd0_ok |= any == broadcast(other);
            if leads && other.prefix < 31 {
                let (any1, brd1) = (network(other), network(other) | !mask(other.prefix));
                if any1 >> 24 != 0 {
                    brd_ok |= [any1, brd1].contains(&broadcast(address));
                    brd1_ok |= [any1, brd1].contains(&brd);
                    brd0_ok |= [any1, brd1].contains(&any);
                }
            }
        }
        if !brd_ok {
            self.magic(false, magic(RTN_BROADCAST, broadcast(address), 32));
        }
        if subnet && len < 31 {
            if !brd1_ok {
                self.magic(false, magic(RTN_BROADCAST, brd, 32));
            }
            if !brd0_ok {
                self.magic(false, magic(RTN_BROADCAST, any, 32));
            }
        }
        if !local_ok {
            self.magic(false, magic(RTN_LOCAL, own, 32));
            if gone && !self.is_local4(address.local) && self.drop_source(address.local) {
                self.flush_dead();
            }
        }
    }

    /// `fib_inetaddr_event`: an address has come.
    pub(super) fn address4_came(&mut self, index: i32, address: &Address4) {
        self.add_routes_of4(index, address);
        self.revive4(index, RTNH_F_DEAD);
    }

    /// `fib_inetaddr_event`: an address has gone; with the last one IPv4 goes from the link (K5).
    pub(super) fn address4_went(&mut self, index: i32, address: &Address4) {
        self.del_routes_of4(index, address, None);
        if self.link(index).inet.as_ref().is_none_or(Vec::is_empty) {
            self.disable4(index, Event::Down, true);
        }
    }

    /// `fib_add_ifaddr` alone, of a secondary whose primary has changed.
    pub(super) fn restore_routes_of4(&mut self, index: i32, address: &Address4) {
        self.add_routes_of4(index, address);
    }

    /// `fib_netdev_event`
    pub(super) fn fib4_event(&mut self, index: i32, event: Event) {
        if event == Event::Unregister {
            return self.disable4(index, event, true);
        }
        let Some(addresses) = self.link(index).inet.clone() else { return };
        match event {
            Event::Up => {
                for address in &addresses {
                    self.add_routes_of4(index, address);
                }
                self.revive4(index, RTNH_F_DEAD);
            }
            Event::Down => self.disable4(index, event, false),
            Event::Change => match self.link(index).shown_flags() & (IFF_RUNNING | IFF_LOWER_UP) {
                0 => drop(self.kill4(index, event, false)),
                _ => self.revive4(index, RTNH_F_LINKDOWN),
            },
            _ => {}
        }
    }

    /// `fib_disable_ip`
    fn disable4(&mut self, index: i32, event: Event, force: bool) {
        if self.kill4(index, event, force) {
            self.flush_dead();
        }
        self.neighbours_down(index, AF_INET);
    }

    /// `fib_sync_down_dev`: marks ways dead; whether a whole route is.
    fn kill4(&mut self, index: i32, event: Event, force: bool) -> bool {
        let mark = match event {
            Event::Change => RTNH_F_LINKDOWN,
            _ => RTNH_F_DEAD | RTNH_F_LINKDOWN,
        };
        let mut any = false;
        for alias in self.fib4.routes.values_mut().flatten() {
            if alias.nexthop.is_some() || !alias.ways.iter().any(|way| way.oif == index) {
                continue;
            }
            let mut dead = 0;
            let count = alias.ways.len();
            for way in &mut alias.ways {
                if way.flags & RTNH_F_DEAD != 0 {
                    dead += 1;
                } else if way.oif == index && (force || way.scope != SCOPE_NOWHERE) {
                    way.flags |= mark;
                    dead += 1;
                }
                if event == Event::Unregister && way.oif == index {
                    dead = count;
                    break;
                }
            }
            if dead == count {
                alias.flags |= mark;
                any = true;
            }
        }
        any
    }

    /// `fib_sync_up`
    fn revive4(&mut self, index: i32, mut mark: u32) {
        let link = self.link(index);
        if !link.is_up() {
            return;
        }
        if mark & RTNH_F_DEAD != 0 && link.shown_flags() & (IFF_RUNNING | IFF_LOWER_UP) != 0 {
            mark |= RTNH_F_LINKDOWN;
        }
        let has_inet = link.inet.is_some();
        for alias in self.fib4.routes.values_mut().flatten() {
            if alias.nexthop.is_some() || !alias.ways.iter().any(|way| way.oif == index) {
                continue;
            }
            let mut alive = 0;
            for way in &mut alias.ways {
                if way.flags & mark == 0 {
                    alive += 1;
                } else if way.oif == index && has_inet {
                    alive += 1;
                    way.flags &= !mark;
                }
            }
            if alive > 0 {
                alias.flags &= !mark;
            }
        }
    }

    /// `fib_sync_down_addr`: the main table's routes that prefer this source (K6).
    fn drop_source(&mut self, source: [u8; 4]) -> bool {
        let mut any = false;
        for (_, list) in self.fib4.routes.iter_mut().filter(|(key, _)| key.table == 254) {
            for alias in list.iter_mut().filter(|alias| alias.prefsrc == source) {
                alias.flags |= RTNH_F_DEAD;
                alias.source_gone = true;
                any = true;
            }
        }
        any
    }

    /// `fib_flush`: in silence, but for routes that lose their preferred source (K4, K6).
    fn flush_dead(&mut self) {
        let mut told = Vec::new();
        self.fib4.routes.retain(|key, list| {
            list.retain(|alias| {
                let stays = alias.flags & RTNH_F_DEAD == 0 || ERROR_TYPES.contains(&alias.kind);
                if !stays && alias.source_gone {
                    told.push((*key, alias.clone()));
                }
                stays
            });
            !list.is_empty()
        });
        for (key, alias) in told {
            self.say_route4(RTM_DELROUTE, key, &alias, 0, false);
        }
    }
}

/// `fib_nh_match`
fn ways_match(request: &RouteRequest, alias: &Alias4) -> bool {
    if request.nexthop != 0 {
        return alias.nexthop == Some(request.nexthop);
    }
    if alias.nexthop.is_some() {
        return request.oif == 0 && request.gateway.is_empty() && !request.multipath;
    }
    if request.oif != 0 || !request.gateway.is_empty() {
        let way = &alias.ways[0];
        return (request.oif == 0 || way.oif == request.oif)
            && (request.gateway.is_empty() || way.gateway == request.gateway);
    }
    if !request.multipath {
        return true;
    }
    request.ways.len() >= alias.ways.len()
        && alias.ways.iter().zip(&request.ways).all(|(own, wanted)| {
            (wanted.oif == 0 || wanted.oif == own.oif)
                && (wanted.gateway.is_empty() || wanted.gateway == own.gateway)
        })
}

fn network(address: &Address4) -> u32 {
    u32::from_be_bytes(address.address) & mask(address.prefix)
}

/// `inet_ifa_byprefix`
fn by_prefix<'a>(list: &'a [Address4], of: &Address4) -> Option<&'a Address4> {
    list.iter().find(|other| other.prefix == of.prefix && network(other) == network(of))
}
