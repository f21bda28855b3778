//! Devices and what befalls them: `net/core/dev.c`, its chain of listeners, and link_watch.

use super::link::{Data, Link, Mac, OPER_DOWN, OPER_LOWERLAYERDOWN, OPER_UP};
use super::wire::uapi::*;
use super::wire::{Answer, Refusal};
use super::{Kernel, Work};

/// NETDEV_*: what the listeners are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Up,
    Down,
    Change,
    ChangeMtu,
    ChangeAddress,
    ChangeName,
    ChangeUpper,
    ChangeTxQueueLength,
    Features,
    Unregister,
}

impl Kernel {
    /// The link, which the caller knows to exist.
    pub(super) fn link(&self, index: i32) -> &Link {
        &self.links[&index]
    }

    pub(super) fn link_mut(&mut self, index: i32) -> &mut Link {
        self.links.get_mut(&index).expect("the caller has looked the link up")
    }

    pub(super) fn index_of(&self, name: &str) -> Option<i32> {
        self.links.values().find(|link| link.answers_to(name)).map(|link| link.index)
    }

    /// Tells every listener, in the order in which the real ones registered.
    pub(super) fn notify(&mut self, index: i32, event: Event) {
        match event {
            Event::ChangeMtu
            | Event::ChangeAddress
            | Event::ChangeName
            | Event::ChangeUpper
            | Event::ChangeTxQueueLength => self.say_link(index, 0, 0),
            Event::Features => self.say_link(index, 0, 2),
            Event::Up | Event::Down | Event::Change | Event::Unregister => {}
        }
        self.rules_event(index, event);
        self.nexthops_event(index, event);
        self.neighbours_event(index, event, AF_INET);
        self.inet_event(index, event);
        self.fib4_event(index, event);
        self.inet6_event(index, event);
        self.neighbours_event(index, event, AF_INET6);
        self.bridge_event(index, event);
        self.stacked_event(index, event);
    }

    /// `netdev_state_change`: says something only when the link is up. That is why a link that is down keeps
    /// changes of alias, group and kind options to itself (3I).
    pub(super) fn state_change(&mut self, index: i32) {
        if self.link(index).is_up() {
            self.notify(index, Event::Change);
            self.say_link(index, 0, 0);
        }
    }

    /// `__dev_notify_flags`
    pub(super) fn notify_flags(&mut self, index: i32, old: u32, mask: u32) {
        if mask != 0 {
            self.say_link(index, mask, 0);
        }
        self.notify_flag_events(index, old);
    }

    pub(super) fn notify_flag_events(&mut self, index: i32, old: u32) {
        let now = self.link(index).flags;
        let changed = old ^ now;
        if changed & IFF_UP != 0 {
            self.notify(index, if now & IFF_UP != 0 { Event::Up } else { Event::Down });
        }
        if now & IFF_UP != 0 && changed & !(IFF_UP | IFF_PROMISC | IFF_ALLMULTI) != 0 {
            self.noarp_changes = changed & IFF_NOARP != 0;
            self.notify(index, Event::Change);
            self.noarp_changes = false;
        }
    }

    /// `__dev_change_flags`, silent; gives the old flags and what changed.
    pub(super) fn set_flags(&mut self, index: i32, wanted: u32) -> Answer<(u32, u32)> {
        let link = self.link_mut(index);
        let (old, old_user) = (link.flags, link.user_flags);
        let settable = IFF_NOARP | IFF_MULTICAST | 0x4 | 0x20 | 0x2000 | 0x4000 | 0x8000;
        link.flags = (wanted & settable) | (old & !settable);
        if (old ^ wanted) & IFF_UP != 0 {
            if old & IFF_UP != 0 { self.close_device(index) } else { self.open_device(index)? }
        }
        let link = self.link_mut(index);
        if (wanted ^ link.user_flags) & IFF_PROMISC != 0 {
            link.user_flags ^= IFF_PROMISC;
            let step = if wanted & IFF_PROMISC != 0 { 1 } else { -1 };
            self.promiscuity_silently(index, step);
        }
        let link = self.link_mut(index);
        if (wanted ^ link.user_flags) & IFF_ALLMULTI != 0 {
            link.user_flags ^= IFF_ALLMULTI;
            let step = if wanted & IFF_ALLMULTI != 0 { 1 } else { -1 };
            self.allmulti(index, step);
        }
        let link = self.link(index);
        Ok((old, (old ^ link.flags) | (old_user ^ link.user_flags)))
    }

    /// `netif_change_flags`
    pub(super) fn change_flags(&mut self, index: i32, wanted: u32) -> Answer {
        let (old, changed) = self.set_flags(index, wanted)?;
        self.notify_flags(index, old, changed);
        Ok(())
    }

    pub(super) fn promiscuity_silently(&mut self, index: i32, step: i32) {
        let link = self.link_mut(index);
        link.promiscuity += step;
        if link.promiscuity > 0 { link.flags |= IFF_PROMISC } else { link.flags &= !IFF_PROMISC }
    }

    /// `dev_set_promiscuity`: a port of a bridge gains or loses it, with a message of its own (change 0x100)
    /// even when somebody else keeps it promiscuous.
    pub(super) fn promiscuity(&mut self, index: i32, step: i32) {
        let old = self.link(index).flags;
        self.promiscuity_silently(index, step);
        self.notify_flags(index, old, IFF_PROMISC);
    }

    pub(super) fn allmulti(&mut self, index: i32, step: i32) {
        let link = self.link_mut(index);
        link.allmulti += step;
        if link.allmulti > 0 { link.flags |= IFF_ALLMULTI } else { link.flags &= !IFF_ALLMULTI }
    }

    /// `__dev_open`
    fn open_device(&mut self, index: i32) -> Answer {
        self.may_open(index)?;
        let link = self.link_mut(index);
        link.flags |= IFF_UP;
        match link.data {
            Data::Veth { peer: None, away: None } => {
                link.flags &= !IFF_UP;
                return Err(libc::ENOTCONN.into());
            }
            Data::Veth { peer: Some(peer), .. } => {
                if self.links.get(&peer).is_some_and(Link::is_up) {
                    self.carrier(index, true);
                    self.carrier(peer, true);
                }
            }
            Data::Bridge(_) => self.open_bridge(index),
            Data::Macvlan(_) => self.sync_unicast_filter_below(index),
            _ => {}
        }
        self.sync_unicast_filter(index);
        let link = self.link_mut(index);
        if link.qdisc == "noop" {
            link.qdisc = if matches!(link.data, Data::Ifb) { "pfifo_fast" } else { "noqueue" };
        }
        Ok(())
    }

    /// `__dev_close`: the driver's part, before anybody is told.
    pub(super) fn close_device(&mut self, index: i32) {
        let link = self.link_mut(index);
        link.flags &= !IFF_UP;
        match link.data {
            Data::Veth { peer, .. } => {
                self.carrier(index, false);
                if let Some(peer) = peer {
                    self.carrier(peer, false);
                }
            }
            Data::Bridge(_) => self.close_bridge(index),
            Data::Macvlan(_) => self.sync_unicast_filter_below(index),
            _ => {}
        }
    }

    /// `netif_carrier_on`, `netif_carrier_off`: the operstate follows later, by link_watch.
    pub(super) fn carrier(&mut self, index: i32, on: bool) {
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        if link.carrier == on {
            return;
        }
        link.carrier = on;
        if on {
            link.carrier_up += 1
        } else {
            link.carrier_down += 1
        }
        self.fire_link_watch(index);
    }

    /// `linkwatch_fire_event`: at once for a link that is up and has another below; else within a second.
    pub(super) fn fire_link_watch(&mut self, index: i32) {
        let link = self.link(index);
        let urgent = link.is_up() && link.iflink() != index;
        self.later(if urgent { 0 } else { 900 }, Work::LinkWatch(index));
    }

    /// `rfc2863_policy`
    fn operstate_of(&self, link: &Link) -> u8 {
        let below = self.links.get(&link.iflink()).filter(|below| below.index != link.index);
        match (link.carrier, below) {
            (true, _) => OPER_UP,
            (false, Some(below)) if !below.carrier => OPER_LOWERLAYERDOWN,
            (false, _) => OPER_DOWN,
        }
    }

    /// `linkwatch_do_dev`
    pub(super) fn watch_link(&mut self, index: i32) {
        let Some(link) = self.links.get(&index).filter(|link| link.registered) else {
            return;
        };
        let operstate = self.operstate_of(link);
        self.link_mut(index).operstate = operstate;
        self.state_change(index);
    }

    /// macvlan follows the carrier and the MTU of what is below it, and goes with it; vxlan only goes.
    fn stacked_event(&mut self, lower: i32, event: Event) {
        let above: Vec<i32> = self
            .links
            .values()
            .filter(|link| link.lower() == Some(lower))
            .map(|link| link.index)
            .collect();
        if event == Event::Unregister {
            // Each driver takes all of its own down together.
            let of = |index: &i32| matches!(self.link(*index).data, Data::Macvlan(_));
            let (macvlans, vxlans): (Vec<i32>, Vec<i32>) = above.into_iter().partition(of);
            self.unregister(&macvlans, false);
            self.unregister(&vxlans, false);
            return;
        }
        for index in above {
            let macvlan = matches!(self.link(index).data, Data::Macvlan(_));
            match event {
                Event::Up | Event::Down | Event::Change if macvlan => {
                    let on = self.link(lower).carrier;
                    self.carrier(index, on);
                }
                Event::ChangeMtu if macvlan && self.link(index).mtu > self.link(lower).mtu => {
                    let mtu = self.link(lower).mtu;
                    // The lower link's own limits are within the upper's.
                    let _ = self.set_mtu(index, mtu);
                }
                _ => {}
            }
        }
    }

    /// The devices below a macvlan filter one address for each of those that are up; when they cannot, they
    /// become promiscuous, without a message.
    fn sync_unicast_filter_below(&mut self, index: i32) {
        if let Some(lower) = self.link(index).lower() {
            self.sync_unicast_filter(lower);
        }
    }

    pub(super) fn sync_unicast_filter(&mut self, index: i32) {
        let wanted = self.links.values().any(|link| {
            matches!(link.data, Data::Macvlan(_)) && link.is_up() && link.lower() == Some(index)
        });
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        if !link.is_up()
            || matches!(link.data, Data::Macvlan(_) | Data::Loopback)
            || link.unicast_promisc == wanted
        {
            return;
        }
        link.unicast_promisc = wanted;
        self.promiscuity_silently(index, if wanted { 1 } else { -1 });
    }

    /// `netif_set_mtu`
    pub(super) fn set_mtu(&mut self, index: i32, mtu: u32) -> Answer {
        let link = self.link(index);
        if link.mtu == mtu {
            return Ok(());
        }
        check_mtu(link, mtu)?;
        self.kind_accepts_mtu(index, mtu)?;
        let link = self.link_mut(index);
        let old = std::mem::replace(&mut link.mtu, mtu);
        if let Some(bridge) = link.bridge_mut() {
            bridge.mtu_set_by_user = true;
        }
        if link.inet6.is_some() && mtu >= super::inet6::MIN_MTU {
            self.mtu_changed6(index, old, mtu);
        }
        self.notify(index, Event::ChangeMtu);
        Ok(())
    }

    /// `netif_set_mac_address`: tells even when nothing changes.
    pub(super) fn set_mac(&mut self, index: i32, address: Mac) -> Answer {
        if matches!(self.link(index).data, Data::Ifb) {
            return Err(libc::EOPNOTSUPP.into());
        }
        if self.link(index).address != address {
            self.kind_accepts_mac(index, address)?;
            if self.link(index).bridge().is_some() {
                self.change_bridge_id(index, address);
            }
            self.link_mut(index).address = address;
        }
        self.link_mut(index).address_set = true;
        self.notify(index, Event::ChangeAddress);
        Ok(())
    }

    /// `register_netdevice`: from here on the link exists, though nothing has been said of it.
    pub(super) fn register(&mut self, mut link: Link, wanted: i32) -> Answer<i32> {
        if link.name.contains("%d") {
            let template = link.name.clone();
            let name = (0..)
                .map(|n| template.replace("%d", &n.to_string()))
                .find(|name| self.index_of(name).is_none());
            link.name = name.unwrap_or_default();
        }
        check_name(&link.name)?;
        if self.index_of(&link.name).is_some() {
            return Err(libc::EEXIST.into());
        }
        if wanted > 0 && self.links.contains_key(&wanted) {
            // 6.18: the index is reserved after the name was found free.
            return Err(libc::EBUSY.into());
        }
        link.index = if wanted > 0 { wanted } else { self.free_index() };
        let index = link.index;
        if !link.carrier {
            link.operstate = self.operstate_of(&link);
        }
        link.registered = true;
        self.links.insert(index, link);
        self.links_generation += 1;
        self.attach_rules(index);
        self.inet_start(index);
        self.inet6_start(index);
        Ok(index)
    }

    /// `dev_index_reserve`: always the next free one after the last, as `xa_alloc_cyclic` does.
    fn free_index(&mut self) -> i32 {
        while self.links.contains_key(&(self.last_index + 1)) {
            self.last_index += 1;
        }
        self.last_index += 1;
        self.last_index
    }

    /// `unregister_netdevice_many`: closes all, then lets each go. `echo` when the request's sender wants to
    /// see it.
    pub(super) fn unregister(&mut self, indexes: &[i32], echo: bool) {
        let up: Vec<i32> =
            indexes.iter().copied().filter(|&index| self.link(index).is_up()).collect();
        for &index in &up {
            self.close_device(index);
        }
        for &index in &up {
            self.say_link(index, IFF_UP | IFF_RUNNING, 0);
            self.notify(index, Event::Down);
        }
        for &index in indexes {
            self.link_mut(index).registered = false;
            self.links_generation += 1;
        }
        for &index in indexes {
            // dev_shutdown
            self.link_mut(index).qdisc = "noop";
            self.notify(index, Event::Unregister);
            self.say_link_gone(index, echo);
            let lower = self.link(index).lower();
            self.links.remove(&index);
            if let Some(lower) = lower {
                self.sync_unicast_filter(lower);
            }
            self.forget_jobs(|work| match work {
                Work::LinkWatch(at)
                | Work::DadStart(at, _)
                | Work::DadDone(at, _)
                | Work::Forward(at) => *at == index,
            });
        }
    }
}

/// `dev_validate_mtu`
pub fn check_mtu(link: &Link, mtu: u32) -> Answer {
    if (mtu as i32) < 0 || mtu < link.min_mtu {
        return Err(Refusal::said(libc::EINVAL, "mtu less than device minimum"));
    }
    if link.max_mtu > 0 && mtu > link.max_mtu {
        return Err(Refusal::said(libc::EINVAL, "mtu greater than device maximum"));
    }
    Ok(())
}

/// `dev_valid_name`
pub fn check_name(name: &str) -> Answer {
    let bad = |c: char| c == '/' || c == ':' || c.is_ascii_whitespace() || c == '\x0b';
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(bad) {
        return Err(libc::EINVAL.into());
    }
    Ok(())
}
