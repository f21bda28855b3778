//! Bridges and their ports: `net/bridge/br_if.c`, `br_stp*.c`, `br_netlink.c`.

use super::bridge_options::{self, BRPORT_COST, FORWARD_DELAY, PRIORITY, STP_STATE};
use super::device::Event;
use super::link::{Data, Link, Mac};
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};
use super::{Kernel, Work};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Bridge {
    /// IFLA_BR_* that were set; what is absent has its default.
    pub options: BTreeMap<u16, u64>,
    pub group_address: Option<Mac>,
    /// The MAC part of the bridge id; zero until a port or the user gave one.
    pub id: Mac,
    pub mtu_set_by_user: bool,
    /// Newest first, as the kernel walks them.
    pub ports: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Disabled = 0,
    Listening = 1,
    Learning = 2,
    Forwarding = 3,
    Blocking = 4,
}

#[derive(Clone, Debug)]
pub struct Port {
    pub number: u16,
    pub state: State,
    /// IFLA_BRPORT_* that were set.
    pub options: BTreeMap<u16, u64>,
    pub promiscuous: bool,
}

impl Bridge {
    pub fn option(&self, id: u16) -> u64 {
        self.options.get(&id).copied().unwrap_or_else(|| bridge_options::bridge_default(id))
    }

    pub fn has_stp(&self) -> bool {
        self.option(STP_STATE) != 0
    }

    /// `struct br_ifla_bridge_id`: priority in network order, then the MAC.
    pub fn bridge_id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id[..2].copy_from_slice(&(self.option(PRIORITY) as u16).to_be_bytes());
        id[2..].copy_from_slice(&self.id);
        id
    }
}

impl Port {
    pub fn option(&self, id: u16) -> u64 {
        self.options.get(&id).copied().unwrap_or_else(|| bridge_options::port_default(id))
    }

    /// `br_make_port_id`
    pub fn id(&self) -> u16 {
        ((self.option(bridge_options::BRPORT_PRIORITY) as u16) << 10) | self.number
    }
}

impl Kernel {
    fn bridge_of(&self, index: i32) -> &Bridge {
        self.link(index).bridge().expect("the caller knows it for a bridge")
    }

    fn bridge_of_mut(&mut self, index: i32) -> &mut Bridge {
        self.link_mut(index).bridge_mut().expect("the caller knows it for a bridge")
    }

    fn port_of_mut(&mut self, port: i32) -> &mut Port {
        self.link_mut(port).port.as_mut().expect("the caller knows it for a port")
    }

    /// `do_set_master`
    pub(super) fn set_master(&mut self, index: i32, master: i32) -> Answer {
        if let Some(old) = self.link(index).master {
            if old == master {
                return Ok(());
            }
            self.del_port(old, index);
        }
        if master == 0 {
            return Ok(());
        }
        match self.links.get(&master) {
            None => Err(libc::EINVAL.into()),
            Some(link) if link.bridge().is_none() => Err(libc::EOPNOTSUPP.into()),
            Some(_) => self.add_port(master, index),
        }
    }

    /// `br_add_if`
    fn add_port(&mut self, bridge: i32, index: i32) -> Answer {
        let link = self.link(index);
        if link.is_loopback() || link.address == [0; 6] || link.address[0] & 1 != 0 {
            return Err(libc::EINVAL.into());
        }
        if link.bridge().is_some() {
            return Err(Refusal::said(libc::ELOOP, "Can not enslave a bridge to a bridge"));
        }
        if self.has_macvlan(index) || self.stands_on(bridge, index) || self.stands_on(index, bridge)
        {
            return Err(libc::EBUSY.into());
        }
        self.allmulti(index, 1);
        let used: Vec<u16> = self
            .bridge_of(bridge)
            .ports
            .iter()
            .filter_map(|&at| Some(self.link(at).port.as_ref()?.number))
            .collect();
        let number = (1..).find(|number| !used.contains(number)).unwrap_or(1);
        let mut options = BTreeMap::new();
        options.insert(BRPORT_COST, self.path_cost(index));
        let link = self.link_mut(index);
        link.port = Some(Port { number, state: State::Disabled, options, promiscuous: false });
        link.master = Some(bridge);
        self.notify(index, Event::ChangeUpper);
        let features = self.features(bridge);
        self.bridge_of_mut(bridge).ports.insert(0, index);
        self.port_of_mut(index).promiscuous = true;
        self.promiscuity(index, 1);
        if self.features(bridge) != features {
            self.notify(bridge, Event::Features);
        }
        let changed = self.recalculate_bridge_id(bridge);
        let port = self.link(index);
        if port.is_up() && port.oper_up() && self.link(bridge).is_up() {
            self.enable_port(index);
        }
        self.say_port(RTM_NEWLINK, index);
        if changed {
            self.notify(bridge, Event::ChangeAddress);
        }
        self.adjust_bridge_mtu(bridge);
        self.adjust_segmentation(bridge);
        Ok(())
    }

    /// `br_del_if`
    pub(super) fn del_port(&mut self, bridge: i32, index: i32) {
        let features = self.features(bridge);
        self.release_port(bridge, index);
        self.adjust_bridge_mtu(bridge);
        self.adjust_segmentation(bridge);
        if self.recalculate_bridge_id(bridge) {
            self.notify(bridge, Event::ChangeAddress);
        }
        if self.features(bridge) != features {
            self.notify(bridge, Event::Features);
        }
    }

    /// `del_nbp`: the first message still shows the old master (K30).
    pub(super) fn release_port(&mut self, bridge: i32, index: i32) {
        self.allmulti(index, -1);
        if std::mem::take(&mut self.port_of_mut(index).promiscuous) {
            self.promiscuity(index, -1);
        }
        self.disable_port(index);
        self.say_port(RTM_DELLINK, index);
        self.bridge_of_mut(bridge).ports.retain(|&port| port != index);
        let link = self.link_mut(index);
        link.port = None;
        link.master = None;
        self.notify(index, Event::ChangeUpper);
        self.forget_jobs(|work| *work == Work::Forward(index));
    }

    fn has_macvlan(&self, index: i32) -> bool {
        self.links.values().any(|link| matches!(&link.data, Data::Macvlan(m) if m.lower == index))
    }

    /// Whether `lower` is somewhere under `upper`.
    pub(super) fn stands_on(&self, upper: i32, lower: i32) -> bool {
        let below = |index: i32| -> Vec<i32> {
            let Some(link) = self.links.get(&index) else {
                return Vec::new();
            };
            link.lower()
                .into_iter()
                .chain(link.bridge().map(|bridge| bridge.ports.clone()).unwrap_or_default())
                .collect()
        };
        let mut open = below(upper);
        let mut seen = Vec::new();
        while let Some(index) = open.pop() {
            if index == lower {
                return true;
            }
            if !seen.contains(&index) {
                seen.push(index);
                open.extend(below(index));
            }
        }
        false
    }

    /// `port_cost`: only veth tells a speed (10 Gbit/s), and what stands on one.
    fn path_cost(&self, index: i32) -> u64 {
        match &self.link(index).data {
            Data::Veth { .. } => 2,
            _ => self.link(index).lower().map_or(100, |lower| self.path_cost(lower)),
        }
    }

    /// A stand-in for `dev->features`: enough to know when the bridge's own change.
    fn features(&self, bridge: i32) -> u8 {
        let of = |index: &i32| match self.link(*index).data {
            Data::Veth { .. } => 0b0111,
            Data::Macvlan(_) => 0b0011,
            Data::Vxlan(_) => 0b1011,
            _ => 0b0110,
        };
        self.bridge_of(bridge).ports.iter().map(of).fold(0b1111, |all, one| all & one)
    }

    /// `br_stp_recalculate_bridge_id`: the lowest MAC of the ports, none at all without a port.
    fn recalculate_bridge_id(&mut self, bridge: i32) -> bool {
        let link = self.link(bridge);
        if link.address_set {
            return false;
        }
        let lowest = self.bridge_of(bridge).ports.iter().map(|&port| self.link(port).address).min();
        let address = lowest.unwrap_or_default();
        if self.bridge_of(bridge).id == address {
            return false;
        }
        self.change_bridge_id(bridge, address);
        true
    }

    /// `br_stp_change_bridge_id`
    pub(super) fn change_bridge_id(&mut self, bridge: i32, address: Mac) {
        self.link_mut(bridge).address = address;
        self.bridge_of_mut(bridge).id = address;
        self.select_states(bridge);
    }

    /// `br_mtu_auto_adjust`
    fn adjust_bridge_mtu(&mut self, bridge: i32) {
        if self.bridge_of(bridge).mtu_set_by_user {
            return;
        }
        let smallest = self.bridge_of(bridge).ports.iter().map(|&port| self.link(port).mtu).min();
        // A port with an MTU that no bridge may have leaves the bridge as it is.
        let _ = self.set_mtu(bridge, smallest.unwrap_or(1500));
        self.bridge_of_mut(bridge).mtu_set_by_user = false;
    }

    /// `br_set_gso_limits`
    fn adjust_segmentation(&mut self, bridge: i32) {
        let smallest =
            self.bridge_of(bridge).ports.iter().map(|&port| self.link(port).tso_max_size).min();
        self.link_mut(bridge).tso_max_size = smallest.unwrap_or(524_280);
    }

    /// `br_stp_enable_bridge`
    pub(super) fn open_bridge(&mut self, bridge: i32) {
        for port in self.bridge_of(bridge).ports.clone() {
            if self.link(port).is_up() && self.link(port).oper_up() {
                self.enable_port(port);
            }
        }
    }

    /// `br_stp_disable_bridge`
    pub(super) fn close_bridge(&mut self, bridge: i32) {
        for port in self.bridge_of(bridge).ports.clone() {
            if self.port_of_mut(port).state != State::Disabled {
                self.disable_port(port);
            }
        }
    }

    /// `br_stp_enable_port`
    fn enable_port(&mut self, port: i32) {
        self.port_of_mut(port).state = State::Blocking;
        if let Some(bridge) = self.link(port).master {
            self.select_states(bridge);
        }
        self.say_port(RTM_NEWLINK, port);
    }

    /// `br_stp_disable_port`
    fn disable_port(&mut self, port: i32) {
        self.port_of_mut(port).state = State::Disabled;
        self.say_port(RTM_NEWLINK, port);
        self.forget_jobs(|work| *work == Work::Forward(port));
        if let Some(bridge) = self.link(port).master {
            self.select_states(bridge);
        }
    }

    /// `br_port_state_selection`: no other bridge is ever heard of, so every port is designated.
    pub(super) fn select_states(&mut self, bridge: i32) {
        let (stp, delay) =
            (self.bridge_of(bridge).has_stp(), self.bridge_of(bridge).option(FORWARD_DELAY));
        let mut live = false;
        for port in self.bridge_of(bridge).ports.clone() {
            if self.port_of_mut(port).state == State::Blocking {
                self.port_of_mut(port).state = match (stp, delay) {
                    (false, _) | (_, 0) => State::Forwarding,
                    (true, _) => State::Listening,
                };
                self.say_port(RTM_NEWLINK, port);
                if delay != 0 && stp {
                    self.later(delay * 10, Work::Forward(port));
                }
            }
            live |= self.port_of_mut(port).state == State::Forwarding;
        }
        self.carrier(bridge, live);
    }

    /// `br_forward_delay_timer_expired`
    pub(super) fn forward_delay_over(&mut self, port: i32) {
        let Some((master, state)) =
            self.links.get(&port).and_then(|link| Some((link.master?, link.port.as_ref()?.state)))
        else {
            return;
        };
        match state {
            State::Listening => {
                self.port_of_mut(port).state = State::Learning;
                let delay = self.bridge_of(master).option(FORWARD_DELAY);
                self.later(delay * 10, Work::Forward(port));
            }
            State::Learning => {
                self.port_of_mut(port).state = State::Forwarding;
                self.carrier(master, true);
            }
            _ => {}
        }
        self.say_port(RTM_NEWLINK, port);
    }

    /// `br_device_event`: what a port's own events do to its bridge.
    pub(super) fn bridge_event(&mut self, index: i32, event: Event) {
        let Some(bridge) = self.link(index).master else {
            return;
        };
        let mut told = false;
        match event {
            Event::ChangeMtu => self.adjust_bridge_mtu(bridge),
            Event::ChangeAddress => {
                if self.recalculate_bridge_id(bridge) {
                    self.notify(bridge, Event::ChangeAddress);
                }
            }
            Event::Change => told = self.check_port_carrier(bridge, index),
            Event::Down if self.link(bridge).is_up() => {
                self.disable_port(index);
                told = true;
            }
            Event::Up if self.link(bridge).is_up() && self.link(index).oper_up() => {
                self.enable_port(index);
                told = true;
            }
            Event::Unregister => self.del_port(bridge, index),
            _ => {}
        }
        if !told && matches!(event, Event::ChangeAddress | Event::Up | Event::Change | Event::Down)
        {
            self.say_port(RTM_NEWLINK, index);
        }
    }

    /// `br_port_carrier_check`
    fn check_port_carrier(&mut self, bridge: i32, index: i32) -> bool {
        if !self.link(bridge).is_up() {
            return false;
        }
        let runs = self.link(index).is_up() && self.link(index).oper_up();
        let disabled = self.port_of_mut(index).state == State::Disabled;
        match (runs, disabled) {
            (true, true) => self.enable_port(index),
            (false, false) => self.disable_port(index),
            _ => return false,
        }
        true
    }
}
