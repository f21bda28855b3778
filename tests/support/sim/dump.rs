//! Dumps: answered piece by piece while the receiver reads, so that changes in between show (K13, K14).

use super::fib4::Key4;
use super::fib6::Node;
use super::link::{Data, Link};
use super::neigh;
use super::nexthop;
use super::route;
use super::show;
use super::socket::SocketId;
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, IfAddr, IfInfo, Message};
use super::{Done, Kernel};

/// Where to go on.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The next family, link index and nth of the link to look at.
    Link(u8, i32, usize),
    /// The next IPv4 route, and the nth of its key.
    Route4(Key4, usize),
    /// The next IPv6 route, and the nth of its prefix.
    Route6(Node, usize),
    /// The next family of rules, and the nth of it.
    Rule(u8, usize),
    /// The next family of neighbours or proxies, and the nth of it.
    Neighbour(u8, usize),
    /// The next number of a nexthop object.
    Nexthop(u32),
}

const FIRST4: Key4 = Key4 { table: 0, dst: 0, len: 0, tos: 0, priority: 0 };
const FIRST6: Node = (0, [0; 16], 0);

/// A dump under way: the place it has come to, not what it will say.
#[derive(Clone, Debug)]
pub struct Dump {
    kind: u16,
    family: u8,
    seq: u32,
    generation: u32,
    next: Place,
    only: i32,
    /// Routes of this table, or of all.
    table: u32,
    master: Option<i32>,
    link_kind: Option<String>,
    filter: u32,
    flags: u16,
    proxies: bool,
}

impl Kernel {
    /// `__netlink_dump_start`: one dump on a socket at a time.
    pub(super) fn start_dump(&mut self, socket: SocketId, message: Message<'_>) -> Answer<Done> {
        let mut dump = Dump {
            kind: message.kind,
            family: message.payload[0],
            seq: message.seq,
            generation: 0,
            next: Place::Link(0, 0, 0),
            table: 0,
            only: 0,
            master: None,
            link_kind: None,
            filter: 0,
            flags: NLM_F_MULTI,
            proxies: false,
        };
        match message.kind {
            RTM_GETLINK => dump.want_links(message)?,
            RTM_GETADDR => {
                if !matches!(dump.family, AF_UNSPEC | AF_INET | AF_INET6) {
                    return Err(libc::EOPNOTSUPP.into());
                }
                dump.only = IfAddr::parse(message.payload)?.index;
                if dump.only != 0 {
                    if !self.links.contains_key(&dump.only) {
                        return Err(libc::ENODEV.into());
                    }
                    dump.flags |= NLM_F_DUMP_FILTERED;
                }
            }
            RTM_GETROUTE => {
                // `rtnl_get_link`, `rtnl_dump_all`: of a family that nobody has said to be his, those of all.
                if !matches!(dump.family, AF_INET | AF_INET6) {
                    dump.family = AF_UNSPEC;
                }
                dump.want_routes(message)?;
                let tables = match dump.family {
                    AF_INET6 => &self.fib6.tables,
                    _ => &self.fib4.tables,
                };
                if dump.table != 0 && dump.family != AF_UNSPEC && !tables.contains(&dump.table) {
                    return Err(libc::ENOENT.into());
                }
            }
            RTM_GETRULE => {
                // fib_valid_dumprule_req
                if message.payload.get(1..12).is_none_or(|rest| rest.iter().any(|b| *b != 0)) {
                    return Err(libc::EINVAL.into());
                }
                if !matches!(dump.family, AF_UNSPEC | AF_INET | AF_INET6) {
                    return Err(libc::EAFNOSUPPORT.into());
                }
                dump.next = Place::Rule(AF_INET, 0);
            }
            RTM_GETNEXTHOP => {
                if message.payload.get(..8).is_none_or(|head| head[1..].iter().any(|b| *b != 0)) {
                    return Err(libc::EINVAL.into());
                }
                dump.next = Place::Nexthop(0);
            }
            RTM_GETNEIGH => {
                dump.want_neighbours(message)?;
                let only = dump.only;
                if dump.family == AF_BRIDGE && only != 0 && !self.links.contains_key(&only) {
                    return Err(libc::ENODEV.into());
                }
            }
            _ => return Err(libc::EOPNOTSUPP.into()),
        }
        if self.sockets[socket.0].dump.is_some() {
            return Err(libc::EBUSY.into());
        }
        dump.generation = self.generation(&dump);
        self.sockets[socket.0].dump = Some(dump);
        self.continue_dump(socket);
        Ok(Done::Quiet)
    }

    /// `cb->seq`: what must not change for the dump to be consistent. Changes of a link's fields do not count.
    fn generation(&self, dump: &Dump) -> u32 {
        match dump.kind {
            RTM_GETLINK => self.links_generation,
            // Of routes the kernel never says that they have changed meanwhile (K14).
            RTM_GETROUTE | RTM_GETRULE | RTM_GETNEIGH => 0,
            RTM_GETNEXTHOP => self.nexthops.generation,
            _ => self.links_generation + self.addresses_generation,
        }
    }

    /// The next datagram of a dump; the last one ends with NLMSG_DONE.
    pub(super) fn continue_dump(&mut self, socket: SocketId) {
        let Some(mut dump) = self.sockets[socket.0].dump.take() else {
            return;
        };
        let port = self.port(socket);
        let room = self.faults.dump_chunk;
        let checked = matches!(dump.kind, RTM_GETLINK | RTM_GETADDR | RTM_GETNEXTHOP);
        if checked && (self.generation(&dump) != dump.generation || self.faults.interrupts_dump()) {
            dump.flags |= NLM_F_DUMP_INTR;
        }
        let mut datagram = Vec::new();
        loop {
            let Some((next, kind, body)) = self.next_of(&dump) else {
                datagram.extend(wire::message(
                    NLMSG_DONE,
                    dump.flags,
                    dump.seq,
                    port,
                    &0i32.to_ne_bytes(),
                ));
                break;
            };
            if !datagram.is_empty() && datagram.len() + body.len() + 16 > room {
                self.sockets[socket.0].dump = Some(dump);
                break;
            }
            dump.next = next;
            // Under strict checking a dump of routes always counts as filtered, but its end does not.
            let filtered = if kind == RTM_NEWROUTE { NLM_F_DUMP_FILTERED } else { 0 };
            datagram.extend(wire::message(kind, dump.flags | filtered, dump.seq, port, &body));
        }
        self.unicast(socket, datagram);
    }

    /// The first object at or behind the dump's place, and the place behind it.
    fn next_of(&self, dump: &Dump) -> Option<(Place, u16, Vec<u8>)> {
        let (family, index, nth) = match dump.next {
            Place::Link(..) if dump.kind == RTM_GETROUTE && dump.family == AF_INET6 => {
                return self.next_route6(dump, FIRST6, 0);
            }
            Place::Link(..) if dump.kind == RTM_GETROUTE => {
                return self.next_route4(dump, FIRST4, 0);
            }
            Place::Link(family, index, nth) => (family, index, nth),
            Place::Route4(key, nth) => return self.next_route4(dump, key, nth),
            Place::Route6(node, nth) => return self.next_route6(dump, node, nth),
            Place::Rule(family, nth) => return self.next_rule(dump, family, nth),
            Place::Nexthop(id) => {
                let (id, nexthop) = self.nexthops.all.range(id..).next()?;
                let body = nexthop::nexthop_body(nexthop);
                return Some((Place::Nexthop(id + 1), RTM_NEWNEXTHOP, body));
            }
            Place::Neighbour(family, nth) => return self.next_neighbour(dump, family, nth),
        };
        if dump.kind == RTM_GETLINK {
            return self.links.range(index..).find_map(|(&index, link)| {
                let body = match dump.family {
                    AF_BRIDGE => self.port_body(index, true)?,
                    _ if dump.wants(link) => self.link_body(index, 0, 0, dump.filter),
                    _ => return None,
                };
                Some((Place::Link(0, index + 1, 0), RTM_NEWLINK, body))
            });
        }
        for own in [AF_INET, AF_INET6] {
            if (dump.family != AF_UNSPEC && dump.family != own) || own < family {
                continue;
            }
            let (from, skip) = if own == family { (index, nth) } else { (0, 0) };
            for (&index, link) in self.links.range(from..) {
                if dump.only != 0 && dump.only != index {
                    continue;
                }
                let nth = if index == from { skip } else { 0 };
                if let Some(body) = address_body(link, own, nth) {
                    return Some((Place::Link(own, index, nth + 1), RTM_NEWADDR, body));
                }
            }
        }
        None
    }

    fn next_route4(&self, dump: &Dump, from: Key4, nth: usize) -> Option<(Place, u16, Vec<u8>)> {
        for (key, list) in self.fib4.routes.range(from..).filter(|(key, _)| dump.has(key.table)) {
            let nth = if *key == from { nth } else { 0 };
            if let Some(alias) = list.get(nth) {
                let body = route::route4_body(*key, alias);
                return Some((Place::Route4(*key, nth + 1), RTM_NEWROUTE, body));
            }
        }
        if dump.family == AF_UNSPEC { self.next_route6(dump, FIRST6, 0) } else { None }
    }

    fn next_rule(&self, dump: &Dump, from: u8, nth: usize) -> Option<(Place, u16, Vec<u8>)> {
        for family in [AF_INET, AF_INET6] {
            if family < from || !matches!(dump.family, AF_UNSPEC) && dump.family != family {
                continue;
            }
            let nth = if family == from { nth } else { 0 };
            if let Some(rule) = self.rules.of(family).get(nth) {
                let body = self.rule_body(rule);
                return Some((Place::Rule(family, nth + 1), RTM_NEWRULE, body));
            }
        }
        None
    }

    fn next_neighbour(&self, dump: &Dump, from: u8, nth: usize) -> Option<(Place, u16, Vec<u8>)> {
        for family in [AF_INET, AF_INET6] {
            if family < from || dump.family != AF_UNSPEC && dump.family != family {
                continue;
            }
            let nth = if family == from { nth } else { 0 };
            let body = match dump.proxies {
                true => {
                    let mut own = self.neighbours.proxies.iter().filter(|own| own.family == family);
                    own.nth(nth).map(neigh::proxy_body)
                }
                false => {
                    let mut own = self.neighbours.all.iter().filter(|own| own.family == family);
                    own.nth(nth).map(neigh::neighbour_body)
                }
            };
            if let Some(body) = body {
                return Some((Place::Neighbour(family, nth + 1), RTM_NEWNEIGH, body));
            }
        }
        None
    }

    fn next_route6(&self, dump: &Dump, from: Node, nth: usize) -> Option<(Place, u16, Vec<u8>)> {
        for node in self.fib6.nodes.range(from..).map(|(node, _)| *node) {
            let nth = if node == from { nth } else { 0 };
            if let Some(id) = self.fib6.nth_shown(node, nth).filter(|_| dump.has(node.0)) {
                let body = route::route6_body(node, &self.fib6.ring(node, id));
                return Some((Place::Route6(node, nth + 1), RTM_NEWROUTE, body));
            }
        }
        None
    }
}

impl Dump {
    /// `rtnl_valid_dump_ifinfo_req` under strict checking.
    fn want_links(&mut self, message: Message<'_>) -> Answer {
        let info = IfInfo::parse(message.payload)?;
        if info.hardware != 0 || info.flags != 0 || info.change != 0 || info.index != 0 {
            return Err(libc::EINVAL.into());
        }
        let tb = Attributes::parse(&message.payload[IfInfo::LENGTH..], 16 + IfInfo::LENGTH as u32);
        for attribute in &tb.0 {
            match attribute.id {
                IFLA_MASTER => self.master = Some(attribute.u32()? as i32),
                IFLA_LINKINFO => {
                    self.link_kind = attribute.nested().get(IFLA_INFO_KIND).map(|kind| kind.text())
                }
                IFLA_EXT_MASK => self.filter = attribute.u32()?,
                _ => return Err(libc::EINVAL.into()),
            }
        }
        if self.master.is_some() || self.link_kind.is_some() {
            self.flags |= NLM_F_DUMP_FILTERED;
        }
        Ok(())
    }

    /// `neigh_valid_dump_req`, `valid_fdb_dump_strict`
    fn want_neighbours(&mut self, message: Message<'_>) -> Answer {
        let head = message.payload;
        if head.len() < 12 || [1, 2, 3, 8, 9, 11].iter().any(|at| head[*at] != 0) {
            return Err(libc::EINVAL.into());
        }
        self.only = wire::u32_at(head, 4) as i32;
        if self.family != AF_BRIDGE && self.only != 0 {
            return Err(libc::EINVAL.into());
        }
        self.proxies = head[10] == 8;
        self.next = Place::Neighbour(AF_INET, 0);
        Ok(())
    }

    /// `ip_valid_fib_dump_req`
    fn want_routes(&mut self, message: Message<'_>) -> Answer {
        let head = message.payload;
        if head.len() < 12 || head[1..4].iter().any(|byte| *byte != 0) || head[6] != 0 {
            return Err(libc::EINVAL.into());
        }
        let tb = Attributes::parse(&head[12..], 28);
        self.table = tb.u32(RTA_TABLE)?.unwrap_or(head[4].into());
        Ok(())
    }

    fn has(&self, table: u32) -> bool {
        self.table == 0 || self.table == table
    }

    fn wants(&self, link: &Link) -> bool {
        self.master.is_none_or(|master| link.master.unwrap_or(0) == master)
            && self.link_kind.as_ref().is_none_or(|kind| Data::kind(&link.data) == Some(kind))
    }
}

fn address_body(link: &Link, family: u8, nth: usize) -> Option<Vec<u8>> {
    if family == AF_INET {
        return Some(show::address4_body(link.index, link.inet.as_ref()?.get(nth)?));
    }
    Some(show::address6_body(link.index, link.inet6.as_ref()?.addresses.get(nth)?))
}
