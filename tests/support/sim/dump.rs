//! Dumps: answered piece by piece while the receiver reads, so that changes in between show (K13, K14).

use super::link::{Data, Link};
use super::show;
use super::socket::SocketId;
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, IfAddr, IfInfo, Message};
use super::{Done, Kernel};

/// The next family, link index and nth of the link to look at.
type Place = (u8, i32, usize);

/// A dump under way: the place it has come to, not what it will say.
#[derive(Clone, Debug)]
pub struct Dump {
    kind: u16,
    family: u8,
    seq: u32,
    generation: u32,
    next: Place,
    only: i32,
    master: Option<i32>,
    link_kind: Option<String>,
    filter: u32,
    flags: u16,
}

impl Kernel {
    /// `__netlink_dump_start`: one dump on a socket at a time.
    pub(super) fn start_dump(&mut self, socket: SocketId, message: Message<'_>) -> Answer<Done> {
        let mut dump = Dump {
            kind: message.kind,
            family: message.payload[0],
            seq: message.seq,
            generation: 0,
            next: (0, 0, 0),
            only: 0,
            master: None,
            link_kind: None,
            filter: 0,
            flags: NLM_F_MULTI,
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
        if dump.kind == RTM_GETLINK {
            self.links_generation
        } else {
            self.links_generation + self.addresses_generation
        }
    }

    /// The next datagram of a dump; the last one ends with NLMSG_DONE.
    pub(super) fn continue_dump(&mut self, socket: SocketId) {
        let Some(mut dump) = self.sockets[socket.0].dump.take() else {
            return;
        };
        let port = self.port(socket);
        let room = self.faults.dump_chunk;
        if self.generation(&dump) != dump.generation || self.faults.interrupts_dump() {
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
            datagram.extend(wire::message(kind, dump.flags, dump.seq, port, &body));
        }
        self.unicast(socket, datagram);
    }

    /// The first object at or behind the dump's place, and the place behind it.
    fn next_of(&self, dump: &Dump) -> Option<(Place, u16, Vec<u8>)> {
        if dump.kind == RTM_GETLINK {
            return self.links.range(dump.next.1..).find_map(|(&index, link)| {
                let body = match dump.family {
                    AF_BRIDGE => self.port_body(index, true)?,
                    _ if dump.wants(link) => self.link_body(index, 0, 0, dump.filter),
                    _ => return None,
                };
                Some(((0, index + 1, 0), RTM_NEWLINK, body))
            });
        }
        for family in [AF_INET, AF_INET6] {
            if (dump.family != AF_UNSPEC && dump.family != family) || family < dump.next.0 {
                continue;
            }
            let (from, skip) =
                if family == dump.next.0 { (dump.next.1, dump.next.2) } else { (0, 0) };
            for (&index, link) in self.links.range(from..) {
                if dump.only != 0 && dump.only != index {
                    continue;
                }
                let nth = if index == from { skip } else { 0 };
                if let Some(body) = address_body(link, family, nth) {
                    return Some(((family, index, nth + 1), RTM_NEWADDR, body));
                }
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
