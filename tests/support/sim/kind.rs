//! What the link kinds do at birth and when their options change: veth, vxlan, macvlan, ifb, bridge.

use super::Kernel;
use super::device::{self, Event};
use super::link::{Data, Link, Mac};
use super::request;
use super::vxlan::{self, VXLAN_ID, VXLAN_PORT, Vxlan};
use super::wire::uapi::*;
use super::wire::{Answer, Attributes, IfInfo, Policy, Refusal, Writer};

#[derive(Clone, Debug)]
pub struct Macvlan {
    pub lower: i32,
    pub mode: u32,
    pub flags: u16,
    pub broadcast_queue: u32,
}

impl Macvlan {
    /// `in_use`: the longest queue that any macvlan on the same link asks for.
    pub fn write(&self, in_use: u32, to: &mut Writer) {
        to.u32(1, self.mode)
            .u16(2, self.flags)
            .u32(6, 0)
            .u32(7, self.broadcast_queue)
            .u32(8, in_use);
    }
}

impl Kernel {
    /// `ops->newlink`: registers the link, announces nothing but the peer of a veth. Gives its index.
    pub(super) fn create(
        &mut self,
        kind: &str,
        info: &IfInfo,
        tb: &Attributes<'_>,
        data: Option<&Attributes<'_>>,
    ) -> Answer<i32> {
        let name = tb.get(IFLA_IFNAME).map_or(format!("{kind}%d"), |attribute| attribute.text());
        let empty = Attributes::default();
        let data = data.unwrap_or(&empty);
        match kind {
            "bridge" => {
                let link = self.new_link(name, Data::Bridge(Box::default()), tb)?;
                let index = self.register(link, info.index)?;
                if tb.get(IFLA_ADDRESS).is_some() {
                    let address = self.link(index).address;
                    self.change_bridge_id(index, address);
                }
                if let Err(refusal) = self.set_bridge_options(index, data) {
                    self.unregister(&[index], false);
                    return Err(refusal);
                }
                Ok(index)
            }
            "ifb" => {
                let link = self.new_link(name, Data::Ifb, tb)?;
                self.register(link, info.index)
            }
            "veth" => self.create_veth(name, info, tb, data),
            "vxlan" => self.create_vxlan(name, info, tb, data),
            _ => self.create_macvlan(name, info, tb, data),
        }
    }

    /// `rtnl_create_link`
    fn new_link(&mut self, name: String, data: Data, tb: &Attributes<'_>) -> Answer<Link> {
        let mut link = Link::ethernet(name, data, self.rng.mac());
        if let Some(mtu) = tb.u32(IFLA_MTU)? {
            device::check_mtu(&link, mtu)?;
            link.mtu = mtu;
        }
        if let Some(attribute) = tb.get(IFLA_ADDRESS) {
            link.address = attribute.array()?;
            link.address_set = true;
        }
        if let Some(attribute) = tb.get(IFLA_BROADCAST) {
            link.broadcast = attribute.array()?;
        }
        link.txqlen = tb.u32(IFLA_TXQLEN)?.unwrap_or(link.txqlen);
        link.group = tb.u32(IFLA_GROUP)?.unwrap_or(0);
        if let Some(attribute) = tb.get(IFLA_LINKMODE) {
            link.linkmode = attribute.u8()?;
        }
        Ok(link)
    }

    fn create_veth(
        &mut self,
        name: String,
        info: &IfInfo,
        tb: &Attributes<'_>,
        data: &Attributes<'_>,
    ) -> Answer<i32> {
        let mut peer_info = IfInfo::default();
        let mut peer_tb = Attributes(
            tb.0.iter().filter(|a| !matches!(a.id, IFLA_IFNAME | IFLA_ADDRESS)).copied().collect(),
        );
        if let Some(attribute) = data.get(VETH_INFO_PEER) {
            peer_info = IfInfo::parse(attribute.value)?;
            peer_tb = Attributes::parse(&attribute.value[IfInfo::LENGTH..], attribute.offset + 20);
            peer_tb.check(request::POLICY)?;
            check_address(&peer_tb)?;
        }
        let peer_name =
            peer_tb.get(IFLA_IFNAME).map_or("veth%d".to_owned(), |attribute| attribute.text());
        let peer = self.new_link(peer_name, Data::Veth { peer: None, away: None }, &peer_tb)?;
        let link = self.new_link(name, Data::Veth { peer: None, away: None }, tb)?;
        let peer = self.register_veth(peer, peer_info.index)?;
        self.configure(peer, &peer_info, false)?;
        let index = match self.register_veth(link, info.index) {
            Ok(index) => index,
            Err(refusal) => {
                self.unregister(&[peer], false);
                return Err(refusal);
            }
        };
        self.link_mut(peer).data = Data::Veth { peer: Some(index), away: None };
        self.link_mut(index).data = Data::Veth { peer: Some(peer), away: None };
        Ok(index)
    }

    /// Registered with carrier, which it loses at once.
    fn register_veth(&mut self, link: Link, wanted: i32) -> Answer<i32> {
        let index = self.register(link, wanted)?;
        self.carrier(index, false);
        Ok(index)
    }

    fn create_vxlan(
        &mut self,
        name: String,
        info: &IfInfo,
        tb: &Attributes<'_>,
        data: &Attributes<'_>,
    ) -> Answer<i32> {
        let mut vxlan = Vxlan::default();
        vxlan.configure(data, false)?;
        let mut link = self.new_link(name, Data::Vxlan(Box::default()), tb)?;
        let key =
            |vxlan: &Vxlan| (vxlan.option(VXLAN_ID).to_vec(), vxlan.option(VXLAN_PORT).to_vec());
        let taken = self
            .links
            .values()
            .any(|link| matches!(&link.data, Data::Vxlan(other) if key(other) == key(&vxlan)));
        if taken {
            return Err(Refusal::said(
                libc::EEXIST,
                "A VXLAN device with the specified VNI already exists",
            ));
        }
        let mut most = 65535 - vxlan.overhead();
        if let Some(lower) = vxlan.lower {
            let Some(lower) = self.links.get(&lower) else {
                return Err(vxlan::no_lower());
            };
            most = lower.mtu.saturating_sub(vxlan.overhead());
            link.tso_max_size = lower.tso_max_size;
            if tb.get(IFLA_MTU).is_none() {
                link.mtu = most;
            }
        }
        link.mtu = link.mtu.min(most);
        let lower = vxlan.lower;
        link.data = Data::Vxlan(Box::new(vxlan));
        let index = self.register(link, info.index)?;
        if let Some(lower) = lower {
            self.notify(lower, Event::ChangeUpper);
        }
        // Announced by itself, before it is configured, and so never echoed.
        self.say_link_new(index, false);
        Ok(index)
    }

    fn create_macvlan(
        &mut self,
        name: String,
        info: &IfInfo,
        tb: &Attributes<'_>,
        data: &Attributes<'_>,
    ) -> Answer<i32> {
        let Some(lower) = tb.u32(IFLA_LINK)? else {
            return Err(libc::EINVAL.into());
        };
        let Some(mut lower) = self.links.get(&(lower as i32)) else {
            return Err(libc::ENODEV.into());
        };
        if let Data::Macvlan(macvlan) = &lower.data {
            lower = self.link(macvlan.lower);
        }
        let lower = lower.clone();
        if lower.is_loopback() {
            return Err(libc::EINVAL.into());
        }
        if lower.port.is_some() {
            return Err(libc::EBUSY.into());
        }
        let mode = data.u32(1)?.unwrap_or(2);
        let siblings: Vec<u32> = self
            .links
            .values()
            .filter_map(|link| match &link.data {
                Data::Macvlan(macvlan) if macvlan.lower == lower.index => Some(macvlan.mode),
                _ => None,
            })
            .collect();
        if (mode == 8 && !siblings.is_empty()) || siblings.contains(&8) {
            return Err(libc::EINVAL.into());
        }
        let macvlan = Macvlan {
            lower: lower.index,
            mode,
            flags: data.get(2).map(|attribute| attribute.u16()).transpose()?.unwrap_or(0),
            broadcast_queue: data.u32(7)?.unwrap_or(1000),
        };
        let mut link = self.new_link(name, Data::Macvlan(Box::new(macvlan)), tb)?;
        if tb.get(IFLA_MTU).is_none() {
            link.mtu = lower.mtu;
        } else if link.mtu > lower.mtu {
            return Err(libc::EINVAL.into());
        }
        (link.min_mtu, link.max_mtu) = (68, lower.max_mtu);
        link.tso_max_size = lower.tso_max_size;
        if mode == 8 {
            link.address = lower.address;
        }
        link.carrier = lower.carrier;
        let index = self.register(link, info.index)?;
        self.notify(lower.index, Event::ChangeUpper);
        self.fire_link_watch(index);
        Ok(index)
    }

    /// `ops->changelink`
    pub(super) fn change_kind(&mut self, index: i32, data: &Attributes<'_>) -> Answer {
        match &mut self.link_mut(index).data {
            Data::Bridge(_) => self.set_bridge_options(index, data),
            Data::Vxlan(vxlan) => {
                let mut new = vxlan.clone();
                new.configure(data, true)?;
                if let Some(lower) = new.lower {
                    if !self.links.contains_key(&lower) {
                        return Err(vxlan::no_lower());
                    }
                    if lower == index || self.stands_on(lower, index) {
                        return Err(libc::EBUSY.into());
                    }
                }
                self.link_mut(index).data = Data::Vxlan(new);
                Ok(())
            }
            Data::Macvlan(macvlan) => {
                if let Some(mode) = data.u32(1)? {
                    if (mode == 8) != (macvlan.mode == 8) {
                        return Err(libc::EINVAL.into());
                    }
                    macvlan.mode = mode;
                }
                if let Some(flags) = data.get(2) {
                    macvlan.flags = flags.u16()?;
                }
                macvlan.broadcast_queue = data.u32(7)?.unwrap_or(macvlan.broadcast_queue);
                Ok(())
            }
            _ => Err(libc::EOPNOTSUPP.into()),
        }
    }

    /// `ops->dellink`: the links that go together.
    pub(super) fn delete_link(&mut self, index: i32, echo: bool) -> Answer {
        let mut together = vec![index];
        match &self.link(index).data {
            Data::Loopback => return Err(libc::EOPNOTSUPP.into()),
            Data::Veth { peer: Some(peer), .. } => {
                let peer = *peer;
                together.push(peer);
                // They part first, so the last messages know no peer.
                for end in [index, peer] {
                    self.link_mut(end).data = Data::Veth { peer: None, away: None };
                }
            }
            Data::Bridge(bridge) => {
                for port in bridge.ports.clone() {
                    self.release_port(index, port);
                }
            }
            Data::Macvlan(_) | Data::Vxlan(_) => {
                if let Some(lower) = self.link(index).lower() {
                    self.notify(lower, Event::ChangeUpper);
                }
            }
            Data::Ifb | Data::Veth { .. } => {}
        }
        self.unregister(&together, echo);
        Ok(())
    }

    /// IFLA_INFO_DATA.
    pub(super) fn write_data(&self, data: &Data, to: &mut Writer) {
        match data {
            Data::Bridge(bridge) => {
                to.nest(IFLA_INFO_DATA, |to| super::bridge_options::write_bridge(bridge, to));
            }
            Data::Vxlan(vxlan) => {
                to.nest(IFLA_INFO_DATA, |to| vxlan.write(to));
            }
            Data::Macvlan(macvlan) => {
                let queue = |link: &Link| match &link.data {
                    Data::Macvlan(other) if other.lower == macvlan.lower && link.registered => {
                        Some(other.broadcast_queue)
                    }
                    _ => None,
                };
                let in_use = self.links.values().filter_map(queue).max().unwrap_or(0);
                to.nest(IFLA_INFO_DATA, |to| macvlan.write(in_use, to));
            }
            _ => {}
        }
    }

    pub(super) fn kind_accepts_mtu(&self, index: i32, mtu: u32) -> Answer {
        let most = match &self.link(index).data {
            Data::Vxlan(vxlan) => {
                vxlan.lower.map(|lower| self.link(lower).mtu.saturating_sub(vxlan.overhead()))
            }
            Data::Macvlan(macvlan) => Some(self.link(macvlan.lower).mtu),
            _ => None,
        };
        if most.is_some_and(|most| mtu > most) { Err(libc::EINVAL.into()) } else { Ok(()) }
    }

    pub(super) fn kind_accepts_mac(&self, index: i32, address: Mac) -> Answer {
        if address == [0; 6] || address[0] & 1 != 0 {
            return Err(libc::EADDRNOTAVAIL.into());
        }
        self.address_is_free(index, address)
    }

    /// `macvlan_addr_busy`: neither the lower link's nor a sibling's address.
    fn address_is_free(&self, index: i32, address: Mac) -> Answer {
        let Data::Macvlan(macvlan) = &self.link(index).data else {
            return Ok(());
        };
        let sibling = |link: &Link| {
            link.index != index
                && link.is_up()
                && link.address == address
                && matches!(&link.data, Data::Macvlan(other) if other.lower == macvlan.lower)
        };
        let busy = macvlan.mode != 8 && self.link(macvlan.lower).address == address;
        if busy || self.links.values().any(sibling) { Err(libc::EADDRINUSE.into()) } else { Ok(()) }
    }

    /// `ndo_open`, where it can refuse.
    pub(super) fn may_open(&self, index: i32) -> Answer {
        self.address_is_free(index, self.link(index).address)
    }
}

/// `ops->validate`, the same in every kind here.
pub fn check_address(tb: &Attributes<'_>) -> Answer {
    let Some(attribute) = tb.get(IFLA_ADDRESS) else {
        return Ok(());
    };
    if attribute.value.len() != 6 {
        return Err(libc::EINVAL.into());
    }
    if attribute.value == [0; 6] || attribute.value[0] & 1 != 0 {
        return Err(libc::EADDRNOTAVAIL.into());
    }
    Ok(())
}

pub const KINDS: &[&str] = &["bridge", "veth", "vxlan", "macvlan", "ifb"];

/// `ops->validate`, where it looks at the options.
pub fn check_options(kind: &str, data: Option<&Attributes<'_>>) -> Answer {
    match (kind, data) {
        ("vxlan", None) => Err(Refusal::said(
            libc::EINVAL,
            "Required attributes not provided to perform the operation",
        )),
        ("vxlan", Some(data)) => match data.get(VXLAN_ID) {
            Some(id) if id.u32()? >= 1 << 24 => {
                Err(Refusal::said(libc::ERANGE, "VXLAN ID must be lower than 16777216").at(&id))
            }
            _ => Ok(()),
        },
        ("macvlan", Some(data)) => {
            data.check(&[
                (1, Policy::AtLeast(4)),
                (2, Policy::AtLeast(2)),
                (7, Policy::AtLeast(4)),
            ])?;
            match data.u32(1)? {
                None | Some(1 | 2 | 4 | 8 | 16) => Ok(()),
                Some(_) => Err(libc::EINVAL.into()),
            }
        }
        _ => Ok(()),
    }
}
