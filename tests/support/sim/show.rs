//! Links and addresses as messages: what 6.18 puts into them and in which order.

use super::bridge_options;
use super::inet::Address4;
use super::inet6::Address6;
use super::link::{Data, Link};
use super::wire::uapi::*;
use super::wire::{self, IfAddr, IfInfo, Writer};
use super::{Kernel, SocketId};

/// RTEXT_FILTER_SKIP_STATS
pub const SKIP_STATS: u32 = 8;

impl Kernel {
    /// RTM_NEWLINK to RTNLGRP_LINK, with the link as it is at this moment.
    pub(super) fn say_link(&mut self, index: i32, change: u32, event: u32) {
        let link = self.link(index);
        if !link.registered || (!link.announced && change != u32::MAX) {
            return;
        }
        let bytes = wire::message(RTM_NEWLINK, 0, 0, 0, &self.link_body(index, change, event, 0));
        self.multicast(RTNLGRP_LINK, &bytes, None);
    }

    /// The first RTM_NEWLINK: only with NLM_F_ECHO it carries the request's sequence number and port, and then
    /// the sender gets its own copy (K11).
    pub(super) fn say_link_new(&mut self, index: i32, echo: bool) {
        self.link_mut(index).announced = true;
        self.say_to_all(RTM_NEWLINK, RTNLGRP_LINK, self.link_body(index, u32::MAX, 0, 0), echo);
    }

    pub(super) fn say_link_gone(&mut self, index: i32, echo: bool) {
        if self.link(index).announced {
            self.say_to_all(RTM_DELLINK, RTNLGRP_LINK, self.link_body(index, u32::MAX, 0, 0), echo);
        }
    }

    /// `rtmsg_ifinfo_newnet`
    pub(super) fn say_link_moved(&mut self, index: i32, to: i32) {
        let mut body = Writer(self.link_body(index, u32::MAX, 0, 0));
        body.bytes(IFLA_NEW_NETNSID, &0i32.to_ne_bytes());
        body.bytes(IFLA_NEW_IFINDEX, &to.to_ne_bytes());
        self.say_to_all(RTM_DELLINK, RTNLGRP_LINK, body.0, false);
    }

    /// The AF_BRIDGE messages of a port (K29): a part only, and RTM_DELLINK means that it left the bridge.
    pub(super) fn say_port(&mut self, kind: u16, index: i32) {
        let Some(body) = self.port_body(index, kind == RTM_NEWLINK) else {
            return;
        };
        let bytes = wire::message(kind, 0, 0, 0, &body);
        self.multicast(RTNLGRP_LINK, &bytes, None);
    }

    /// `asked`: the request is about this very address; its sequence number and port are in the message.
    pub(super) fn say_address4(&mut self, kind: u16, index: i32, address: &Address4, asked: bool) {
        let (seq, port, echo) = match self.current {
            Some(current) if asked => {
                (current.seq, current.port, current.echo.then_some(current.socket))
            }
            _ => (0, 0, None),
        };
        let bytes = wire::message(kind, 0, seq, port, &address4_body(index, address));
        self.multicast(RTNLGRP_IPV4_IFADDR, &bytes, echo);
        if let Some(socket) = echo {
            self.unicast(socket, bytes);
        }
    }

    /// IPv6 never says whose request it was (K11).
    pub(super) fn say_address6(&mut self, kind: u16, index: i32, address: &Address6) {
        let bytes = wire::message(kind, 0, 0, 0, &address6_body(index, address));
        self.multicast(RTNLGRP_IPV6_IFADDR, &bytes, None);
    }

    fn say_to_all(&mut self, kind: u16, group: u32, body: Vec<u8>, echo: bool) {
        let current = self.current.filter(|current| echo && current.echo);
        let (seq, port) = current.map_or((0, 0), |current| (current.seq, current.port));
        let bytes = wire::message(kind, 0, seq, port, &body);
        let to: Option<SocketId> = current.map(|current| current.socket);
        self.multicast(group, &bytes, to);
        if let Some(socket) = to {
            self.unicast(socket, bytes);
        }
    }

    /// `rtnl_fill_ifinfo`
    pub(super) fn link_body(&self, index: i32, change: u32, event: u32, filter: u32) -> Vec<u8> {
        let link = self.link(index);
        let mut to = Writer(head(link, AF_UNSPEC, change));
        to.text(IFLA_IFNAME, &link.name);
        to.u32(IFLA_TXQLEN, link.txqlen);
        to.u8(IFLA_OPERSTATE, link.shown_operstate());
        to.u8(IFLA_LINKMODE, link.linkmode);
        to.u8(
            IFLA_NETNS_IMMUTABLE,
            u8::from(matches!(link.data, Data::Loopback | Data::Bridge(_))),
        );
        to.u32(IFLA_MTU, link.mtu);
        to.u32(IFLA_MIN_MTU, link.min_mtu);
        to.u32(IFLA_MAX_MTU, link.max_mtu);
        to.u32(IFLA_GROUP, link.group);
        to.u32(IFLA_PROMISCUITY, link.promiscuity as u32);
        to.u32(IFLA_ALLMULTI, link.allmulti as u32);
        let queues = if matches!(link.data, Data::Veth { .. }) { 2 } else { 1 };
        to.u32(IFLA_NUM_TX_QUEUES, queues);
        to.u32(IFLA_GSO_MAX_SEGS, 65535);
        to.u32(IFLA_GSO_MAX_SIZE, 65536);
        to.u32(IFLA_GRO_MAX_SIZE, 65536);
        to.u32(IFLA_GSO_IPV4_MAX_SIZE, 65536);
        to.u32(IFLA_GRO_IPV4_MAX_SIZE, 65536);
        to.u32(IFLA_TSO_MAX_SIZE, link.tso_max_size);
        to.u32(IFLA_TSO_MAX_SEGS, 65535);
        to.bytes(IFLA_MAX_PACING_OFFLOAD_HORIZON, &[0; 4]);
        to.u32(IFLA_NUM_RX_QUEUES, queues);
        if let Some(master) = link.master {
            to.u32(IFLA_MASTER, master as u32);
        }
        to.u8(IFLA_CARRIER, u8::from(link.carrier));
        if let Some(alias) = &link.alias {
            to.text(IFLA_IFALIAS, alias);
        }
        to.u32(IFLA_CARRIER_CHANGES, link.carrier_up + link.carrier_down);
        to.u32(IFLA_CARRIER_UP_COUNT, link.carrier_up);
        to.u32(IFLA_CARRIER_DOWN_COUNT, link.carrier_down);
        to.u16(IFLA_HEADROOM, if matches!(link.data, Data::Vxlan(_)) { 64 } else { 0 });
        to.u16(IFLA_TAILROOM, 0);
        to.u8(IFLA_PROTO_DOWN, u8::from(link.proto_down));
        if event != 0 {
            to.u32(IFLA_EVENT, event);
        }
        to.bytes(IFLA_ADDRESS, &link.address);
        to.bytes(IFLA_BROADCAST, &link.broadcast);
        if filter & SKIP_STATS == 0 {
            to.bytes(IFLA_STATS64, &[0; 200]);
            to.bytes(IFLA_STATS, &[0; 96]);
        }
        to.nest(IFLA_XDP, |to| {
            to.u8(2, 0);
        });
        self.write_linkinfo(link, &mut to);
        if link.iflink() != link.index {
            to.u32(IFLA_LINK, link.iflink() as u32);
            if matches!(link.data, Data::Veth { away: Some(_), .. }) {
                to.u32(37, 0); // IFLA_LINK_NETNSID
            }
        }
        to.text(IFLA_QDISC, link.qdisc);
        to.nest(IFLA_AF_SPEC, |to| self.write_af_spec(link, to));
        to.bytes(IFLA_MAP, &[0; 32]);
        if !link.altnames.is_empty() {
            to.nest(IFLA_PROP_LIST | 0x8000, |to| {
                for altname in &link.altnames {
                    to.text(IFLA_ALT_IFNAME, altname);
                }
            });
        }
        to.bytes(IFLA_DEVLINK_PORT | 0x8000, &[]);
        to.bytes(IFLA_DPLL_PIN | 0x8000, &[]);
        to.0
    }

    fn write_linkinfo(&self, link: &Link, to: &mut Writer) {
        let Some(kind) = link.data.kind() else { return };
        to.nest(IFLA_LINKINFO, |to| {
            to.text(IFLA_INFO_KIND, kind);
            self.write_data(&link.data, to);
            let master =
                link.master.and_then(|master| self.links.get(&master)).and_then(Link::bridge);
            if let (Some(port), Some(bridge)) = (&link.port, master) {
                to.text(IFLA_INFO_SLAVE_KIND, "bridge");
                to.nest(IFLA_INFO_SLAVE_DATA, |to| bridge_options::write_port(bridge, port, to));
            }
        });
    }

    /// `inet_fill_link_af`, `inet6_fill_link_af`: as long as the real ones, mostly with the default values.
    fn write_af_spec(&self, link: &Link, to: &mut Writer) {
        if link.inet.is_some() {
            to.nest(AF_INET.into(), |to| {
                let mut conf = [0u8; 132];
                for (at, value) in [(3, 1u32), (4, 1), (5, 1), (6, 1), (8, 1), (13, 1)] {
                    conf[at * 4..at * 4 + 4].copy_from_slice(&value.to_ne_bytes());
                }
                to.bytes(1, &conf);
            });
        }
        if let Some(inet6) = &link.inet6 {
            to.nest(AF_INET6.into(), |to| {
                to.u32(1, if inet6.ready { 0x8000_0000 } else { 0 });
                to.bytes(5, &[0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x30, 0x75, 0, 0, 0xe8, 3, 0, 0]);
                let mut conf = [0u8; 240];
                conf[4..8].copy_from_slice(&64u32.to_ne_bytes());
                conf[8..12].copy_from_slice(&link.mtu.to_ne_bytes());
                to.bytes(2, &conf);
                let mut counters = [0u8; 304];
                counters[0] = 38;
                to.bytes(3, &counters);
                let mut icmp = [0u8; 56];
                icmp[0] = 7;
                to.bytes(6, &icmp);
                to.bytes(7, &[0; 16]);
                to.u8(8, inet6.addr_gen_mode);
            });
        }
    }

    /// `br_fill_ifinfo`
    pub(super) fn port_body(&self, index: i32, with_options: bool) -> Option<Vec<u8>> {
        let link = self.links.get(&index)?;
        let master = link.master?;
        let mut to = Writer(head(link, AF_BRIDGE, 0));
        to.text(IFLA_IFNAME, &link.name);
        to.u32(IFLA_MASTER, master as u32);
        to.u32(IFLA_MTU, link.mtu);
        to.u8(IFLA_OPERSTATE, link.shown_operstate());
        to.bytes(IFLA_ADDRESS, &link.address);
        if link.iflink() != link.index {
            to.u32(IFLA_LINK, link.iflink() as u32);
        }
        if let (true, Some(port), Some(bridge)) =
            (with_options, &link.port, self.link(master).bridge())
        {
            to.nest(IFLA_PROTINFO | 0x8000, |to| bridge_options::write_port(bridge, port, to));
        }
        Some(to.0)
    }
}

fn head(link: &Link, family: u8, change: u32) -> Vec<u8> {
    let hardware = if link.is_loopback() { 772 } else { 1 };
    IfInfo { family, hardware, index: link.index, flags: link.shown_flags(), change }.emit()
}

/// `inet_fill_ifaddr`
pub fn address4_body(index: i32, address: &Address4) -> Vec<u8> {
    let mut to = Writer(
        IfAddr {
            family: AF_INET,
            prefix: address.prefix,
            flags: address.flags as u8,
            scope: address.scope,
            index,
        }
        .emit(),
    );
    if address.address != [0; 4] {
        to.bytes(IFA_ADDRESS, &address.address);
    }
    to.bytes(IFA_LOCAL, &address.local);
    if let Some(broadcast) = address.broadcast {
        to.bytes(IFA_BROADCAST, &broadcast);
    }
    if !address.label.is_empty() {
        to.text(IFA_LABEL, &address.label);
    }
    if address.protocol != 0 {
        to.u8(IFA_PROTO, address.protocol);
    }
    to.u32(IFA_FLAGS, address.flags);
    if address.priority != 0 {
        to.u32(IFA_RT_PRIORITY, address.priority);
    }
    to.bytes(IFA_CACHEINFO, &cacheinfo(address.preferred, address.valid));
    to.0
}

/// `inet6_fill_ifaddr`
pub fn address6_body(index: i32, address: &Address6) -> Vec<u8> {
    let mut to = Writer(
        IfAddr {
            family: AF_INET6,
            prefix: address.prefix,
            flags: address.flags as u8,
            scope: address.scope(),
            index,
        }
        .emit(),
    );
    match address.peer {
        Some(peer) => to.bytes(IFA_LOCAL, &address.address).bytes(IFA_ADDRESS, &peer),
        None => to.bytes(IFA_ADDRESS, &address.address),
    };
    if address.priority != 0 {
        to.u32(IFA_RT_PRIORITY, address.priority);
    }
    to.bytes(IFA_CACHEINFO, &cacheinfo(address.preferred, address.valid));
    to.u32(IFA_FLAGS, address.flags);
    if address.protocol != 0 {
        to.u8(IFA_PROTO, address.protocol);
    }
    to.0
}

/// `struct ifa_cacheinfo`; the time stamps are zero.
fn cacheinfo(preferred: u32, valid: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&preferred.to_ne_bytes());
    bytes[4..8].copy_from_slice(&valid.to_ne_bytes());
    bytes
}
