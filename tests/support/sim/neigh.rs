//! Neighbours and proxies: `net/core/neighbour.c`, `net/ipv4/arp.c`, `net/ipv6/ndisc.c`.
//!
//! Forwarding entries of bridges and tunnels are not in it (a dump of them is empty), nor what takes time or traffic:
//! states that a timer moves on, and the flags that make the kernel look for somebody (`NTF_USE`, `NTF_MANAGED`).

use super::Kernel;
use super::device::Event;
use super::fib4::Found;
use super::socket::SocketId;
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, Message, Refusal, Writer, u16_at, u32_at};

/// `struct neighbour`
#[derive(Clone, Debug)]
pub struct Neighbour {
    pub family: u8,
    pub index: i32,
    pub dst: Vec<u8>,
    /// NUD_*
    pub state: u16,
    pub lladdr: [u8; 6],
    /// NTF_ROUTER and NTF_EXT_LEARNED
    pub flags: u8,
    pub protocol: u8,
    /// RTN_*
    pub kind: u8,
}

/// `struct pneigh_entry`
#[derive(Clone, Debug)]
pub struct Proxy {
    pub family: u8,
    pub index: i32,
    pub dst: Vec<u8>,
    pub flags: u8,
    pub protocol: u8,
    permanent: bool,
}

/// Both, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    pub all: Vec<Neighbour>,
    pub proxies: Vec<Proxy>,
}

const REACHABLE: u16 = 0x02;
const STALE: u16 = 0x04;
const FAILED: u16 = 0x20;
const NOARP: u16 = 0x40;
const PERMANENT: u16 = 0x80;
const VALID: u16 = PERMANENT | NOARP | REACHABLE | STALE | 0x18;

const NTF_USE: u8 = 0x01;
pub(super) const NTF_EXT_LEARNED: u8 = 0x10;
const NTF_ROUTER: u8 = 0x80;

/// `struct ndmsg` and what is common to requests.
struct Asked<'a> {
    family: u8,
    index: i32,
    state: u16,
    flags: u8,
    dst: Vec<u8>,
    tb: Attributes<'a>,
}

impl Kernel {
    fn asked<'a>(&self, message: Message<'a>) -> Answer<Asked<'a>> {
        let head = message.payload;
        let said = |errno, words| Refusal::said(errno, words);
        if head.len() < 12 {
            return Err(said(libc::EINVAL, "Invalid header length"));
        }
        let tb = Attributes::parse(&head[12..], 28);
        let dst = tb.get(NDA_DST);
        let dst = dst.ok_or_else(|| said(libc::EINVAL, "Network address not specified"))?;
        let index = u32_at(head, 4) as i32;
        if index != 0 && !self.links.contains_key(&index) {
            return Err(libc::ENODEV.into());
        }
        if tb.get(NDA_LLADDR).is_some_and(|lladdr| index != 0 && lladdr.value.len() < 6) {
            return Err(said(libc::EINVAL, "Invalid link address"));
        }
        let length = match head[0] {
            AF_INET => 4,
            AF_INET6 => 16,
            _ => return Err(libc::EAFNOSUPPORT.into()),
        };
        let short = || said(libc::EINVAL, "Invalid network address");
        let dst = dst.value.get(..length).ok_or_else(short)?.to_vec();
        Ok(Asked { family: head[0], index, state: u16_at(head, 8), flags: head[10], dst, tb })
    }

    /// `neigh_add`
    pub(super) fn new_neighbour_request(&mut self, message: Message<'_>) -> Answer {
        let asked = self.asked(message)?;
        let said = |words| Refusal::said(libc::EINVAL, words);
        let protocol = asked.tb.get(NDA_PROTOCOL).map_or(Ok(0), |part| part.u8())?;
        if asked.flags & NTF_PROXY != 0 {
            return self.new_proxy(&asked, protocol);
        }
        if asked.flags & NTF_USE != 0 || asked.tb.get(NDA_FLAGS_EXT).is_some() {
            return Err(libc::EOPNOTSUPP.into());
        }
        if asked.index == 0 {
            return Err(said("Device not specified"));
        }
        if asked.family == AF_INET6 && self.link(asked.index).inet6.is_none() {
            return Err(said("IPv6 is disabled on this device"));
        }
        let mut overrides = true;
        let at = match self.neighbour_at(&asked) {
            Some(_) if message.flags & NLM_F_EXCL != 0 => return Err(libc::EEXIST.into()),
            Some(at) => {
                overrides = message.flags & NLM_F_REPLACE != 0;
                at
            }
            None if message.flags & NLM_F_CREATE == 0 => return Err(libc::ENOENT.into()),
            None => self.create_neighbour(&asked)?,
        };
        if protocol != 0 {
            self.neighbours.all[at].protocol = protocol;
        }
        let lladdr = asked.tb.get(NDA_LLADDR).map(|part| part.array()).transpose()?;
        self.update_neighbour(at, lladdr, asked.state, asked.flags, overrides)
    }

    /// `neigh_delete`: first it fails, then it goes (K38).
    pub(super) fn del_neighbour_request(&mut self, message: Message<'_>) -> Answer {
        let asked = self.asked(message)?;
        if asked.flags & NTF_PROXY != 0 {
            let proxies = &mut self.neighbours.proxies;
            let found = proxies.iter().position(|own| own.is(&asked)).ok_or(libc::ENOENT)?;
            proxies.remove(found);
            return Ok(());
        }
        if asked.index == 0 {
            return Err(libc::EINVAL.into());
        }
        let at = self.neighbour_at(&asked).ok_or(libc::ENOENT)?;
        self.update_neighbour(at, None, FAILED, 0, true)?;
        let gone = self.neighbours.all.remove(at);
        self.say_neighbour(RTM_DELNEIGH, &gone, false);
        Ok(())
    }

    /// `neigh_get`
    pub(super) fn get_neighbour_request(
        &mut self,
        socket: SocketId,
        message: Message<'_>,
    ) -> Answer {
        let said = |errno, words| Refusal::said(errno, words);
        let asked = self.asked(message).map_err(|refusal| match refusal.errno {
            libc::ENODEV => said(libc::ENODEV, "Unknown device ifindex"),
            _ => refusal,
        })?;
        let body = if asked.flags & NTF_PROXY != 0 {
            let found = self.neighbours.proxies.iter().find(|own| own.is(&asked));
            let found =
                found.ok_or_else(|| said(libc::ENOENT, "Proxy neighbour entry not found"))?;
            proxy_body(found)
        } else {
            if asked.index == 0 {
                return Err(said(libc::EINVAL, "No device specified"));
            }
            let at = self.neighbour_at(&asked);
            let at = at.ok_or_else(|| said(libc::ENOENT, "Neighbour entry not found"))?;
            neighbour_body(&self.neighbours.all[at])
        };
        let port = self.port(socket);
        self.unicast(socket, wire::message(RTM_NEWNEIGH, 0, message.seq, port, &body));
        Ok(())
    }

    fn neighbour_at(&self, asked: &Asked<'_>) -> Option<usize> {
        self.neighbours.all.iter().position(|own| own.index == asked.index && own.dst == asked.dst)
    }

    /// `pneigh_create`: one that is there is changed, whatever the flags say.
    fn new_proxy(&mut self, asked: &Asked<'_>, protocol: u8) -> Answer {
        if asked.index == 0 {
            // One on every interface outlives its namespace (6.18), and is of the next one that is at the same place in
            // memory: no script may leave one behind.
            return Err(libc::EOPNOTSUPP.into());
        }
        let permanent = asked.state & PERMANENT != 0;
        if let Some(own) = self.neighbours.proxies.iter_mut().find(|own| own.is(asked)) {
            (own.flags, own.protocol, own.permanent) = (asked.flags, protocol, permanent);
            return Ok(());
        }
        // pndisc_constructor
        let inet6 = self.links.get(&asked.index).is_some_and(|link| link.inet6.is_some());
        if asked.family == AF_INET6 && !inet6 {
            return Err(libc::ENOBUFS.into());
        }
        let Asked { family, index, flags, .. } = *asked;
        let dst = asked.dst.clone();
        self.neighbours.proxies.push(Proxy { family, index, dst, flags, protocol, permanent });
        Ok(())
    }

    /// `___neigh_create`, `arp_constructor`, `ndisc_constructor`
    fn create_neighbour(&mut self, asked: &Asked<'_>) -> Answer<usize> {
        let link = self.link(asked.index);
        let Asked { family, index, .. } = *asked;
        if family == AF_INET && link.inet.is_none() {
            return Err(libc::EINVAL.into());
        }
        let kind = match <[u8; 4]>::try_from(&asked.dst[..]) {
            Ok(to) => match self.lookup4(&[255], to, 0, 0) {
                Some(Ok(Found { kind, oif, .. })) if oif == index => kind,
                _ => RTN_UNICAST,
            },
            Err(_) => RTN_UNICAST,
        };
        let (state, lladdr) = match link.flags & (IFF_NOARP | IFF_LOOPBACK) {
            0 => (0, [0; 6]),
            _ => (NOARP, link.address),
        };
        let dst = asked.dst.clone();
        let flags = asked.flags & NTF_EXT_LEARNED;
        let new = Neighbour { family, index, dst, state, lladdr, flags, protocol: 0, kind };
        self.neighbours.all.push(new);
        Ok(self.neighbours.all.len() - 1)
    }

    /// `__neigh_update`, asked for by a user.
    fn update_neighbour(
        &mut self,
        at: usize,
        lladdr: Option<[u8; 6]>,
        new: u16,
        flags: u8,
        overrides: bool,
    ) -> Answer {
        let own = &mut self.neighbours.all[at];
        let old = own.state;
        let mut notify = (own.flags ^ flags) & NTF_EXT_LEARNED != 0;
        own.flags = own.flags & !NTF_EXT_LEARNED | flags & NTF_EXT_LEARNED;
        if new & VALID == 0 {
            own.state = new;
            // Whatever else has changed.
            notify = old & VALID != 0;
        } else {
            let known = old & VALID != 0;
            let Some(lladdr) = lladdr.or(known.then_some(own.lladdr)) else {
                return Err(Refusal::said(libc::EINVAL, "No link layer address given"));
            };
            let same = known && lladdr == own.lladdr;
            if !known || same || overrides {
                notify |= new != old || !same;
                (own.state, own.lladdr) = (new, lladdr);
                if overrides && (own.flags ^ flags) & NTF_ROUTER != 0 {
                    own.flags ^= NTF_ROUTER;
                    notify = true;
                }
            }
        }
        if notify {
            let shown = own.clone();
            self.say_neighbour(RTM_NEWNEIGH, &shown, true);
        }
        Ok(())
    }

    /// `__neigh_notify`: what a user changes bears his port, but no sequence number; what goes bears neither (K11).
    fn say_neighbour(&mut self, kind: u16, neighbour: &Neighbour, asked: bool) {
        let port = self.current.filter(|_| asked).map_or(0, |current| current.port);
        let bytes = wire::message(kind, 0, 0, port, &neighbour_body(neighbour));
        self.multicast(RTNLGRP_NEIGH, &bytes, None);
    }

    /// `neigh_ifdown`: all of one family, and the proxies, of which nothing is said.
    pub(super) fn neighbours_down(&mut self, index: i32, family: u8) {
        self.flush_neighbours(index, family, false);
        let gone = |own: &Proxy| own.index == index && own.family == family;
        self.neighbours.proxies.retain(|own| !gone(own));
    }

    /// `neigh_flush_dev`: the newest first.
    fn flush_neighbours(&mut self, index: i32, family: u8, skip_permanent: bool) {
        let stays = |own: &Neighbour| {
            own.index != index
                || own.family != family
                || skip_permanent && own.state & PERMANENT != 0
        };
        let all = std::mem::take(&mut self.neighbours.all);
        let (stay, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(stays);
        self.neighbours.all = stay;
        for gone in gone.iter().rev() {
            self.say_neighbour(RTM_DELNEIGH, gone, false);
        }
    }

    /// `arp_netdev_event`, `ndisc_netdev_event`
    pub(super) fn neighbours_event(&mut self, index: i32, event: Event, family: u8) {
        match event {
            Event::ChangeAddress => self.flush_neighbours(index, family, false),
            Event::Change => {
                if self.noarp_changes {
                    self.flush_neighbours(index, family, false);
                }
                // neigh_carrier_down
                if !self.link(index).carrier {
                    self.flush_neighbours(index, family, true);
                    let gone =
                        |own: &Proxy| own.index == index && own.family == family && !own.permanent;
                    self.neighbours.proxies.retain(|own| !gone(own));
                }
            }
            _ => {}
        }
    }
}

impl Proxy {
    fn is(&self, asked: &Asked<'_>) -> bool {
        self.index == asked.index && self.dst == asked.dst
    }
}

fn head(family: u8, index: i32, state: u16, flags: u8, kind: u8) -> Writer {
    let mut bytes = vec![family, 0, 0, 0];
    bytes.extend_from_slice(&index.to_ne_bytes());
    bytes.extend_from_slice(&state.to_ne_bytes());
    bytes.extend_from_slice(&[flags, kind]);
    Writer(bytes)
}

/// `neigh_fill_info`
pub fn neighbour_body(of: &Neighbour) -> Vec<u8> {
    let mut to = head(of.family, of.index, of.state, of.flags, of.kind);
    to.bytes(NDA_DST, &of.dst);
    if of.state & VALID != 0 {
        to.bytes(NDA_LLADDR, &of.lladdr);
    }
    to.u32(NDA_PROBES, 0);
    to.bytes(NDA_CACHEINFO, &[0; 16]);
    if of.protocol != 0 {
        to.u8(NDA_PROTOCOL, of.protocol);
    }
    to.0
}

/// `pneigh_fill_info`
pub fn proxy_body(of: &Proxy) -> Vec<u8> {
    let mut to = head(of.family, of.index, 0, of.flags | NTF_PROXY, RTN_UNICAST);
    to.bytes(NDA_DST, &of.dst);
    if of.protocol != 0 {
        to.u8(NDA_PROTOCOL, of.protocol);
    }
    to.0
}
