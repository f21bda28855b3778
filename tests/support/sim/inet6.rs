//! IPv6 addresses of a device: `net/ipv6/addrconf.c`.

use super::device::Event;
use super::link::Data;
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};
use super::{Kernel, Work};

#[derive(Clone, Debug, Default)]
pub struct Inet6 {
    /// IF_READY
    pub ready: bool,
    /// By falling scope, the newest first within one.
    pub addresses: Vec<Address6>,
    pub addr_gen_mode: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address6 {
    pub address: [u8; 16],
    pub peer: Option<[u8; 16]>,
    pub prefix: u8,
    pub flags: u32,
    pub protocol: u8,
    pub priority: u32,
    pub valid: u32,
    pub preferred: u32,
}

pub(super) const MIN_MTU: u32 = 1280;
const LOOPBACK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

impl Address6 {
    /// `rt_scope`
    pub fn scope(&self) -> u8 {
        match self.address {
            LOOPBACK => 254,
            [0xfe, second, ..] if second & 0xc0 == 0x80 => 253,
            [0xfe, second, ..] if second & 0xc0 == 0xc0 => 200,
            _ => 0,
        }
    }
}

impl Kernel {
    /// `ipv6_add_dev`
    pub(super) fn inet6_start(&mut self, index: i32) {
        let link = self.link_mut(index);
        let ready = link.is_up() && link.oper_up() && link.carrier;
        link.inet6 = (link.mtu >= MIN_MTU).then(|| Inet6 { ready, ..Inet6::default() });
    }

    /// `addrconf_notify`
    pub(super) fn inet6_event(&mut self, index: i32, event: Event) {
        match event {
            Event::ChangeMtu => {
                if self.link(index).mtu < MIN_MTU {
                    self.inet6_down(index, !self.link(index).is_loopback());
                } else if self.link(index).inet6.is_none() {
                    self.inet6_start(index);
                    if self.link(index).inet6.as_ref().is_some_and(|inet6| inet6.ready) {
                        self.inet6_ready(index);
                    }
                }
            }
            Event::Up | Event::Change => {
                if event == Event::Up {
                    self.restore_prefix_routes6(index);
                }
                let noarp_changes = self.noarp_changes;
                let link = self.link(index);
                // addrconf_link_ready: without carrier the queue is not active yet.
                if !link.oper_up() || !link.is_up() || !link.carrier {
                    if event == Event::Change {
                        self.sync_down6(index, event);
                    }
                    return;
                }
                if link.inet6.is_none() && link.mtu >= MIN_MTU {
                    self.inet6_start(index);
                }
                match &mut self.link_mut(index).inet6 {
                    Some(inet6) if event == Event::Up || !inet6.ready => inet6.ready = true,
                    Some(inet6) => {
                        // addrconf_dad_run, once more
                        let all = if noarp_changes { inet6.addresses.clone() } else { Vec::new() };
                        for own in all {
                            self.later(0, Work::DadStart(index, own.address));
                        }
                        return self.sync_up6(index, RTNH_F_LINKDOWN);
                    }
                    None => return,
                }
                self.inet6_ready(index);
                self.sync_up6(index, RTNH_F_DEAD);
            }
            Event::Down => self.inet6_down(index, false),
            Event::Unregister => self.inet6_down(index, true),
            _ => {}
        }
    }

    /// `addrconf_dev_config`, then DAD for what waited for the link.
    fn inet6_ready(&mut self, index: i32) {
        let link = self.link(index);
        if link.is_loopback() {
            self.configure_loopback(index);
        } else if link.address != [0; 6] {
            self.add_multicast_route6(index);
            let link = self.link(index);
            let mac = link.address;
            let mut local = [
                0xfe,
                0x80,
                0,
                0,
                0,
                0,
                0,
                0,
                mac[0] ^ 2,
                mac[1],
                mac[2],
                0xff,
                0xfe,
                mac[3],
                mac[4],
                mac[5],
            ];
            if matches!(self.link(index).data, Data::Loopback) {
                local = LOOPBACK;
            }
            let known = self
                .link(index)
                .inet6
                .iter()
                .flat_map(|inet6| &inet6.addresses)
                .any(|a| a.address == local);
            if !known {
                self.link_address6(
                    index,
                    Address6 {
                        address: local,
                        peer: None,
                        prefix: 64,
                        flags: IFA_F_PERMANENT | IFA_F_TENTATIVE,
                        protocol: 3,
                        priority: 0,
                        valid: u32::MAX,
                        preferred: u32::MAX,
                    },
                );
                self.add_prefix_route6(index, local, 64, 0, None);
                // Said only when DAD is over.
                self.later(0, Work::DadStart(index, local));
            }
        }
        let waiting: Vec<[u8; 16]> = self
            .link(index)
            .inet6
            .iter()
            .flat_map(|inet6| &inet6.addresses)
            .filter(|address| address.flags & IFA_F_TENTATIVE != 0)
            .map(|address| address.address)
            .collect();
        for address in waiting {
            self.later(0, Work::DadStart(index, address));
        }
    }

    /// `addrconf_permanent_addr`: prefix routes of addresses that stayed, or were added while the link was down.
    fn restore_prefix_routes6(&mut self, index: i32) {
        let Some(inet6) = &self.link(index).inet6 else { return };
        let wanted = |address: &&Address6| {
            address.flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE) == IFA_F_PERMANENT
        };
        let all: Vec<_> = inet6.addresses.iter().filter(wanted).cloned().collect();
        for address in all {
            let (of, len) = (address.address, address.prefix);
            self.add_prefix_route6(index, of, len, address.priority, None);
        }
    }

    /// The address has given up its prefix route.
    pub(super) fn withdraw_prefix_route6(&mut self, index: i32, address: &Address6) {
        let Some(inet6) = &mut self.link_mut(index).inet6 else { return };
        let place = inet6.addresses.iter().position(|other| other.address == address.address);
        let Some(at) = place else { return };
        let own = inet6.addresses.remove(at);
        self.cleanup_prefix_route6(index, address);
        if let Some(inet6) = &mut self.link_mut(index).inet6 {
            inet6.addresses.insert(at, own);
        }
    }

    fn configure_loopback(&mut self, index: i32) {
        let known = self
            .link(index)
            .inet6
            .iter()
            .flat_map(|inet6| &inet6.addresses)
            .any(|a| a.address == LOOPBACK);
        if known {
            return;
        }
        let address = Address6 {
            address: LOOPBACK,
            peer: None,
            prefix: 128,
            flags: IFA_F_PERMANENT,
            protocol: 1,
            priority: 0,
            valid: u32::MAX,
            preferred: u32::MAX,
        };
        self.link_address6(index, address.clone());
        self.say_address6(RTM_NEWADDR, index, &address);
        self.add_local_route6(index, LOOPBACK);
    }

    /// `addrconf_ifdown`: every address is announced as deleted, even one that never was announced (K27).
    fn inet6_down(&mut self, index: i32, for_good: bool) {
        let keeps = self.sysctl.keep_addr_on_down && !for_good;
        // rt6_disable_ip
        self.sync_down6(index, if for_good { Event::Unregister } else { Event::Down });
        self.neighbours_down(index, AF_INET6);
        let Some(inet6) = &mut self.link_mut(index).inet6 else {
            return;
        };
        inet6.ready = false;
        let all = std::mem::take(&mut inet6.addresses);
        for mut address in all {
            if keeps && address.flags & IFA_F_PERMANENT != 0 && address.scope() == 0 {
                address.flags |= IFA_F_TENTATIVE;
                address.flags &= !IFA_F_DADFAILED;
                if let Some(inet6) = &mut self.link_mut(index).inet6 {
                    inet6.addresses.push(address);
                }
                continue;
            }
            self.addresses_generation += 1;
            self.say_address6(RTM_DELADDR, index, &address);
        }
        self.forget_jobs(
            |work| matches!(work, Work::DadStart(at, _) | Work::DadDone(at, _) if *at == index),
        );
        if for_good {
            self.link_mut(index).inet6 = None;
        }
    }

    /// `ipv6_link_dev_addr`
    fn link_address6(&mut self, index: i32, address: Address6) {
        self.addresses_generation += 1;
        let Some(inet6) = &mut self.link_mut(index).inet6 else {
            return;
        };
        // Scopes fall in the order global (0), site (200), link (253), host (254).
        let place = inet6.addresses.iter().position(|other| other.scope() >= address.scope());
        inet6.addresses.insert(place.unwrap_or(inet6.addresses.len()), address);
    }

    /// `inet6_addr_add`, the part after the checks.
    pub(super) fn insert_address6(&mut self, index: i32, mut address: Address6) -> Answer {
        let link = self.link(index);
        match address.address {
            [0xff, ..] if address.flags & IFA_F_MCAUTOJOIN == 0 => {
                return Err(Refusal::said(
                    libc::EADDRNOTAVAIL,
                    "ipv6: Cannot assign multicast address without \"IFA_F_MCAUTOJOIN\" flag",
                ));
            }
            LOOPBACK if !link.is_loopback() => {
                return Err(Refusal::said(
                    libc::EADDRNOTAVAIL,
                    "ipv6: Cannot assign loopback address on this device",
                ));
            }
            bytes if bytes == [0; 16] => {
                return Err(Refusal::said(libc::EADDRNOTAVAIL, "ipv6: Invalid address"));
            }
            _ => {}
        }
        if address.flags & IFA_F_NODAD == 0 {
            address.flags |= IFA_F_TENTATIVE;
        }
        self.link_address6(index, address.clone());
        if address.flags & IFA_F_NOPREFIXROUTE == 0 {
            let expires = Some(address.valid).filter(|valid| *valid != u32::MAX);
            let (of, len) = (address.address, address.prefix);
            self.add_prefix_route6(index, of, len, address.priority, expires);
        }
        if address.flags & (IFA_F_OPTIMISTIC | IFA_F_NODAD) == 0 {
            self.say_address6(RTM_NEWADDR, index, &address);
        }
        self.later(0, Work::DadStart(index, address.address));
        Ok(())
    }

    pub(super) fn delete_address6(&mut self, index: i32, address: [u8; 16]) {
        let Some(inet6) = &mut self.link_mut(index).inet6 else {
            return;
        };
        let Some(at) = inet6.addresses.iter().position(|other| other.address == address) else {
            return;
        };
        let gone = inet6.addresses.remove(at);
        self.addresses_generation += 1;
        self.forget_jobs(|work| {
            matches!(work, Work::DadStart(i, a) | Work::DadDone(i, a) if *i == index && *a == address)
        });
        self.say_address6(RTM_DELADDR, index, &gone);
        if let Some(peer) = gone.peer {
            self.del_peer_route6(index, peer);
        }
        self.del_local_route6(index, gone.address);
        self.cleanup_prefix_route6(index, &gone);
        self.remove_source6(index, gone.address);
    }

    /// `addrconf_dad_begin`: on a link that is not ready the address stays tentative.
    pub(super) fn start_dad(&mut self, index: i32, address: [u8; 16]) {
        let Some(link) = self.links.get(&index) else {
            return;
        };
        let exempt = link.flags & (IFF_NOARP | IFF_LOOPBACK) != 0;
        let Some(inet6) = &link.inet6 else { return };
        let Some(found) = inet6.addresses.iter().find(|other| other.address == address) else {
            return;
        };
        if exempt || found.flags & IFA_F_TENTATIVE == 0 || found.flags & IFA_F_NODAD != 0 {
            self.finish_dad(index, address);
        } else if inet6.ready {
            let delay = 1000 + self.rng.below(1000) as u64;
            self.later(delay, Work::DadDone(index, address));
        }
    }

    /// `addrconf_dad_completed`, or its failure when a test said so.
    pub(super) fn finish_dad(&mut self, index: i32, address: [u8; 16]) {
        let fails = self.faults.dad_fails(&address);
        let Some(inet6) = self.links.get_mut(&index).and_then(|link| link.inet6.as_mut()) else {
            return;
        };
        let Some(found) = inet6.addresses.iter_mut().find(|other| other.address == address) else {
            return;
        };
        if fails && found.flags & IFA_F_TENTATIVE != 0 {
            found.flags |= IFA_F_DADFAILED;
        } else {
            found.flags &= !(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED);
        }
        let shown = found.clone();
        self.say_address6(RTM_NEWADDR, index, &shown);
        if shown.flags & IFA_F_TENTATIVE == 0 {
            self.add_local_route6(index, shown.address);
            if let Some(peer) = shown.peer {
                self.add_prefix_route6(index, peer, 128, shown.priority, None);
            }
        }
    }
}
