//! IPv4 addresses of a device: `net/ipv4/devinet.c`.

use super::device::Event;
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};
use super::{Kernel, Work};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address4 {
    pub local: [u8; 4],
    /// The peer's on a point-to-point address, otherwise the same as `local`.
    pub address: [u8; 4],
    pub prefix: u8,
    pub broadcast: Option<[u8; 4]>,
    pub label: String,
    pub scope: u8,
    pub flags: u32,
    pub protocol: u8,
    pub priority: u32,
    pub valid: u32,
    pub preferred: u32,
}

impl Address4 {
    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// `inet_ifa_match`
    pub fn covers(&self, other: [u8; 4]) -> bool {
        (u32::from_be_bytes(self.address) ^ u32::from_be_bytes(other)) & self.mask() == 0
    }

    fn same_subnet(&self, other: &Address4) -> bool {
        self.prefix == other.prefix && self.covers(other.address)
    }

    pub fn is_secondary(&self) -> bool {
        self.flags & IFA_F_SECONDARY != 0
    }

    /// `set_ifa_lifetime`
    pub fn set_lifetime(&mut self, valid: u32, preferred: u32) {
        self.flags &= !(IFA_F_PERMANENT | IFA_F_DEPRECATED);
        if valid == u32::MAX {
            self.flags |= IFA_F_PERMANENT;
        }
        if preferred == 0 {
            self.flags |= IFA_F_DEPRECATED;
        }
        (self.valid, self.preferred) = (valid, preferred);
    }
}

impl Kernel {
    /// `inetdev_init`: nothing to hold addresses below an MTU of 68.
    pub(super) fn inet_start(&mut self, index: i32) {
        let link = self.link_mut(index);
        link.inet = (link.mtu >= 68).then(Vec::new);
    }

    /// `inetdev_event`
    pub(super) fn inet_event(&mut self, index: i32, event: Event) {
        match event {
            Event::Up => self.inet_up(index),
            Event::ChangeMtu => match (self.link(index).mtu >= 68, self.link(index).inet.is_some())
            {
                (false, true) => self.inet_destroy(index),
                (true, false) => self.inet_start(index),
                _ => {}
            },
            Event::ChangeName => self.rename_labels(index),
            Event::Unregister => self.inet_destroy(index),
            _ => {}
        }
    }

    fn inet_up(&mut self, index: i32) {
        let link = self.link_mut(index);
        if !link.is_loopback() {
            return;
        }
        let local = [127, 0, 0, 1];
        let address = Address4 {
            local,
            address: local,
            prefix: 8,
            broadcast: None,
            label: link.name.clone(),
            scope: 254,
            flags: IFA_F_PERMANENT,
            protocol: 0,
            priority: 0,
            valid: u32::MAX,
            preferred: u32::MAX,
        };
        // It may be there already.
        let _ = self.insert_address4(index, address, false);
    }

    fn inet_destroy(&mut self, index: i32) {
        while let Some(address) =
            self.link(index).inet.as_ref().and_then(|list| list.first().cloned())
        {
            if let Some(list) = &mut self.link_mut(index).inet {
                list.remove(0);
            }
            self.addresses_generation += 1;
            self.say_address4(RTM_DELADDR, index, &address, false);
            self.address4_went(index, &address);
        }
        self.link_mut(index).inet = None;
        self.neighbours_down(index, AF_INET);
    }

    /// `inetdev_changename`: the first address takes the new name for its label; later ones keep what follows a
    /// colon, or get their number.
    fn rename_labels(&mut self, index: i32) {
        let name = self.link(index).name.clone();
        let count = self.link(index).inet.as_ref().map_or(0, Vec::len);
        for at in 0..count {
            let Some(list) = &mut self.link_mut(index).inet else {
                return;
            };
            let old = std::mem::replace(&mut list[at].label, name.clone());
            if at > 0 {
                let suffix = match old.find(':') {
                    Some(colon) => old[colon..].to_owned(),
                    None => format!(":{}", at + 1),
                };
                let room = 15 - suffix.len();
                list[at].label = format!("{}{suffix}", &name[..name.len().min(room)]);
            }
            let address = list[at].clone();
            self.say_address4(RTM_NEWADDR, index, &address, false);
        }
    }

    /// `__inet_insert_ifa`: behind the primaries of its scope, or last as a secondary.
    pub(super) fn insert_address4(
        &mut self,
        index: i32,
        mut address: Address4,
        asked: bool,
    ) -> Answer {
        let Some(list) = &mut self.link_mut(index).inet else {
            return Err(libc::ENOBUFS.into());
        };
        if address.local == [0; 4] {
            // Accepted, and nothing happens.
            return Ok(());
        }
        address.flags &= !IFA_F_SECONDARY;
        let mut place = 0;
        for (at, other) in list.iter().enumerate() {
            if !other.is_secondary() && address.scope <= other.scope {
                place = at + 1;
            }
            if other.same_subnet(&address) {
                if other.local == address.local {
                    return Err(Refusal::said(libc::EEXIST, "ipv4: Address already assigned"));
                }
                if other.scope != address.scope {
                    return Err(Refusal::said(libc::EINVAL, "ipv4: Invalid scope value"));
                }
                address.flags |= IFA_F_SECONDARY;
            }
        }
        if address.is_secondary() {
            place = list.len();
        }
        list.insert(place, address.clone());
        self.addresses_generation += 1;
        self.say_address4(RTM_NEWADDR, index, &address, asked);
        self.address4_came(index, &address);
        Ok(())
    }

    /// `__inet_del_ifa`: with its secondaries, or promoting the first of them (K25).
    pub(super) fn delete_address4(&mut self, index: i32, at: usize) {
        let promotes = self.sysctl.promote_secondaries;
        let Some(list) = &mut self.link_mut(index).inet else {
            return;
        };
        let gone = list[at].clone();
        let (mut promoted, mut moved) = (None, Vec::new());
        if !gone.is_secondary() {
            let members: Vec<Address4> = list[at + 1..]
                .iter()
                .filter(|other| other.is_secondary() && gone.same_subnet(other))
                .cloned()
                .collect();
            if promotes {
                promoted = members.first().cloned();
                for member in &members {
                    self.del_routes_of4(index, member, Some(&gone));
                }
                moved = members.into_iter().skip(1).collect();
            } else {
                for member in members {
                    if let Some(list) = &mut self.link_mut(index).inet {
                        list.retain(|other| *other != member);
                    }
                    self.say_address4(RTM_DELADDR, index, &member, true);
                    self.address4_went(index, &member);
                }
            }
        }
        if let Some(list) = &mut self.link_mut(index).inet {
            list.retain(|other| *other != gone);
        }
        self.addresses_generation += 1;
        self.say_address4(RTM_DELADDR, index, &gone, true);
        self.address4_went(index, &gone);
        if let Some(old) = promoted {
            let mut new = old.clone();
            new.flags &= !IFA_F_SECONDARY;
            if let Some(list) = &mut self.link_mut(index).inet {
                list.retain(|other| *other != old);
                let primaries = list
                    .iter()
                    .rposition(|other| !other.is_secondary() && gone.scope <= other.scope);
                list.insert(primaries.map_or(0, |last| last + 1).min(list.len()), new.clone());
            }
            self.say_address4(RTM_NEWADDR, index, &new, true);
            self.address4_came(index, &new);
            for member in &moved {
                self.restore_routes_of4(index, member);
            }
        }
    }

    /// The end of a lifetime, when a test says it has come.
    pub fn expire(&mut self, index: i32, local: &[u8]) {
        let Some(link) = self.links.get(&index) else {
            return;
        };
        if let Some(at) = link.inet.iter().flatten().position(|address| address.local == local) {
            self.delete_address4(index, at);
        } else if let Ok(address) = <[u8; 16]>::try_from(local) {
            self.delete_address6(index, address);
            self.forget_jobs(|work| matches!(work, Work::DadDone(i, a) | Work::DadStart(i, a) if *i == index && *a == address));
        }
    }
}
