//! Requests about links: `net/core/rtnetlink.c`.

use super::device::Event;
use super::kind;
use super::link::Data;
use super::show;
use super::socket::SocketId;
use super::wire::uapi::*;
use super::wire::{self, Answer, Attributes, IfAddr, IfInfo, Message, Policy, Refusal};
use super::{Done, Kernel};

/// `ifla_policy`, as far as it goes here.
pub const POLICY: &[(u16, Policy)] = &[
    (IFLA_IFNAME, Policy::Text(15)),
    (IFLA_ADDRESS, Policy::AtMost(32)),
    (IFLA_BROADCAST, Policy::AtMost(32)),
    (IFLA_MTU, Policy::AtLeast(4)),
    (IFLA_LINK, Policy::AtLeast(4)),
    (IFLA_MASTER, Policy::AtLeast(4)),
    (IFLA_CARRIER, Policy::AtLeast(1)),
    (IFLA_TXQLEN, Policy::AtLeast(4)),
    (IFLA_OPERSTATE, Policy::AtLeast(1)),
    (IFLA_LINKMODE, Policy::AtLeast(1)),
    (IFLA_NET_NS_PID, Policy::AtLeast(4)),
    (IFLA_NET_NS_FD, Policy::AtLeast(4)),
    (IFLA_IFALIAS, Policy::AtMost(256)),
    (IFLA_GROUP, Policy::AtLeast(4)),
    (IFLA_EXT_MASK, Policy::AtLeast(4)),
    (IFLA_PROTO_DOWN, Policy::AtLeast(1)),
    (IFLA_ALT_IFNAME, Policy::Text(127)),
];

impl Kernel {
    /// `rtnetlink_rcv_msg`
    pub(super) fn dispatch(&mut self, socket: SocketId, message: Message<'_>) -> Answer<Done> {
        if message.kind > 127 {
            return Err(libc::EOPNOTSUPP.into());
        }
        if message.payload.is_empty() {
            return Ok(Done::Ack);
        }
        let is_get = message.kind & 3 == 2;
        if is_get && message.flags & NLM_F_DUMP != 0 {
            return self.start_dump(socket, message);
        }
        if message.kind & 3 == 1
            && message.flags & NLM_F_BULK != 0
            && message.kind != RTM_DELLINKPROP
        {
            return Err(Refusal::said(libc::EOPNOTSUPP, "Bulk delete is not supported"));
        }
        match message.kind {
            RTM_NEWLINK => self.new_link_request(message),
            RTM_SETLINK => self.set_link_request(message),
            RTM_DELLINK => self.del_link_request(message),
            RTM_GETLINK => self.get_link_request(socket, message),
            RTM_NEWLINKPROP => self.property_request(message, true),
            RTM_DELLINKPROP => self.property_request(message, false),
            RTM_NEWADDR => self.new_address_request(message),
            RTM_DELADDR => self.del_address_request(message),
            RTM_GETADDR => self.get_address_request(socket, message),
            RTM_NEWROUTE => self.new_route_request(message),
            RTM_DELROUTE => self.del_route_request(message),
            RTM_NEWNEXTHOP => self.new_nexthop_request(message),
            RTM_DELNEXTHOP => self.del_nexthop_request(message),
            RTM_GETNEXTHOP => self.get_nexthop_request(socket, message),
            RTM_NEWNEIGH => self.new_neighbour_request(message),
            RTM_DELNEIGH => self.del_neighbour_request(message),
            RTM_GETNEIGH => self.get_neighbour_request(socket, message),
            RTM_NEWRULE => self.new_rule_request(message),
            RTM_DELRULE => self.del_rule_request(message),
            _ => Err(libc::EOPNOTSUPP.into()),
        }?;
        Ok(Done::Ack)
    }

    /// By index, or by name or altname when the index is 0; `None` when the request names nothing.
    fn named(&self, info: &IfInfo, tb: &Attributes<'_>) -> Option<Option<i32>> {
        if info.index > 0 {
            return Some(self.links.contains_key(&info.index).then_some(info.index));
        }
        let name = tb.get(IFLA_IFNAME).or(tb.get(IFLA_ALT_IFNAME))?;
        Some(self.index_of(&name.text()))
    }

    /// `rtnl_newlink`
    fn new_link_request(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message)?;
        let linkinfo =
            tb.get(IFLA_LINKINFO).map(|attribute| attribute.nested()).unwrap_or_default();
        let kind = linkinfo.get(IFLA_INFO_KIND).map(|attribute| attribute.text());
        let known = kind.as_deref().filter(|kind| kind::KINDS.contains(kind));
        let data = linkinfo.get(IFLA_INFO_DATA).map(|attribute| attribute.nested());
        if let Some(kind) = known {
            kind::check_address(&tb)?;
            kind::check_options(kind, data.as_ref())?;
        }
        if info.index < 0 {
            return Err(Refusal::said(libc::EINVAL, "ifindex can't be negative"));
        }
        let named = self.named(&info, &tb);
        if let Some(Some(index)) = named {
            if message.flags & NLM_F_EXCL != 0 {
                return Err(libc::EEXIST.into());
            }
            if message.flags & NLM_F_REPLACE != 0 {
                return Err(libc::EOPNOTSUPP.into());
            }
            let mut status = Status::Nothing;
            if let Some(data) = &data {
                if self.link(index).data.kind() != known {
                    return Err(libc::EOPNOTSUPP.into());
                }
                self.change_kind(index, data)?;
                status = Status::Notify;
            }
            if let Some(slave) = linkinfo.get(IFLA_INFO_SLAVE_DATA) {
                if self.link(index).port.is_none() {
                    return Err(libc::EOPNOTSUPP.into());
                }
                self.set_port_options(index, &slave.nested())?;
                status = Status::Notify;
            }
            return self.set_link(index, &info, &tb, status);
        }
        if message.flags & NLM_F_CREATE == 0 {
            return Err(libc::ENODEV.into());
        }
        if tb.get(IFLA_MAP).is_some() || tb.get(IFLA_PROTINFO).is_some() {
            return Err(libc::EOPNOTSUPP.into());
        }
        let Some(kind) = known else {
            return Err(Refusal::said(libc::EOPNOTSUPP, "Unknown device type"));
        };
        let index = self.create(kind, &info, &tb, data.as_ref())?;
        let configured = self.configure(index, &info, true);
        let done = configured.and_then(|()| match tb.u32(IFLA_MASTER)? {
            Some(master) => self.set_master(index, master as i32),
            None => Ok(()),
        });
        if done.is_err() {
            let _ = self.delete_link(index, false);
        }
        done
    }

    /// `rtnl_configure_link`: the flags, then the first message.
    pub(super) fn configure(&mut self, index: i32, info: &IfInfo, echo: bool) -> Answer {
        let (mut old, mut changed) = (self.link(index).flags, 0);
        if info.flags != 0 || info.change != 0 {
            (old, changed) = self.set_flags(index, self.combine(index, info))?;
        }
        if self.link(index).announced {
            self.notify_flags(index, old, changed);
        } else {
            self.say_link_new(index, echo);
            self.notify_flag_events(index, old);
        }
        Ok(())
    }

    /// `rtnl_dev_combine_flags`: a mask of 0 means every flag.
    fn combine(&self, index: i32, info: &IfInfo) -> u32 {
        let link = self.link(index);
        let now = (link.flags & !(IFF_PROMISC | IFF_ALLMULTI)) | link.user_flags;
        if info.change == 0 {
            info.flags
        } else {
            (info.flags & info.change) | (now & !info.change)
        }
    }

    fn set_link_request(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message)?;
        match self.named(&info, &tb) {
            None => Err(libc::EINVAL.into()),
            Some(None) => Err(libc::ENODEV.into()),
            Some(Some(index)) => self.set_link(index, &info, &tb, Status::Nothing),
        }
    }

    /// `do_setlink`: one field after the other; what is done when one is refused stays done (K31).
    fn set_link(
        &mut self,
        index: i32,
        info: &IfInfo,
        tb: &Attributes<'_>,
        mut status: Status,
    ) -> Answer {
        let done = self.set_fields(index, info, tb, &mut status);
        if status == Status::Notify && self.links.contains_key(&index) {
            self.state_change(index);
        }
        done
    }

    fn set_fields(
        &mut self,
        index: i32,
        info: &IfInfo,
        tb: &Attributes<'_>,
        status: &mut Status,
    ) -> Answer {
        for id in [IFLA_ADDRESS, IFLA_BROADCAST] {
            if tb.get(id).is_some_and(|attribute| attribute.value.len() < 6) {
                return Err(libc::EINVAL.into());
            }
        }
        if tb.get(IFLA_NET_NS_FD).is_some() || tb.get(IFLA_NET_NS_PID).is_some() {
            return self.move_out(index);
        }
        if let Some(attribute) = tb.get(IFLA_ADDRESS) {
            self.faults.spend_field()?;
            self.set_mac(index, attribute.array()?)?;
        }
        if let Some(mtu) = tb.u32(IFLA_MTU)? {
            self.faults.spend_field()?;
            self.set_mtu(index, mtu)?;
        }
        if let Some(group) = tb.u32(IFLA_GROUP)? {
            self.faults.spend_field()?;
            self.link_mut(index).group = group;
            *status = Status::Notify;
        }
        if let Some(attribute) =
            tb.get(IFLA_IFNAME).filter(|name| info.index > 0 && !name.text().is_empty())
        {
            self.faults.spend_field()?;
            self.rename(index, attribute.text())?;
        }
        if let Some(attribute) = tb.get(IFLA_IFALIAS) {
            self.faults.spend_field()?;
            let alias = attribute.text();
            self.link_mut(index).alias =
                (!attribute.value.is_empty() && !alias.is_empty()).then_some(alias);
            *status = Status::Notify;
        }
        if let Some(attribute) = tb.get(IFLA_BROADCAST) {
            self.link_mut(index).broadcast = attribute.array()?;
            self.notify(index, Event::ChangeAddress);
        }
        if info.flags != 0 || info.change != 0 {
            self.faults.spend_field()?;
            self.change_flags(index, self.combine(index, info))?;
        }
        if let Some(master) = tb.u32(IFLA_MASTER)? {
            self.faults.spend_field()?;
            self.set_master(index, master as i32)?;
        }
        if let Some(attribute) = tb.get(IFLA_CARRIER) {
            if !matches!(self.link(index).data, Data::Bridge(_) | Data::Macvlan(_)) {
                return Err(libc::EOPNOTSUPP.into());
            }
            self.carrier(index, attribute.u8()? != 0);
        }
        if let Some(length) = tb.u32(IFLA_TXQLEN)? {
            self.faults.spend_field()?;
            if self.link(index).txqlen != length {
                self.link_mut(index).txqlen = length;
                self.notify(index, Event::ChangeTxQueueLength);
            }
        }
        if let Some(attribute) = tb.get(IFLA_LINKMODE) {
            let mode = attribute.u8()?;
            if self.link(index).linkmode != mode {
                self.link_mut(index).linkmode = mode;
                *status = Status::Notify;
            }
        }
        if tb.get(IFLA_AF_SPEC).is_some() {
            *status = Status::Notify;
        }
        Ok(())
    }

    /// `dev_change_name`
    fn rename(&mut self, index: i32, name: String) -> Answer {
        if self.link(index).name == name {
            return Ok(());
        }
        super::device::check_name(&name)?;
        if self.index_of(&name).is_some() {
            return Err(libc::EEXIST.into());
        }
        self.link_mut(index).name = name;
        self.notify(index, Event::ChangeName);
        Ok(())
    }

    /// `__dev_change_net_namespace`: out of sight; the peer of a veth stays connected (K32).
    fn move_out(&mut self, index: i32) -> Answer {
        if matches!(self.link(index).data, Data::Loopback | Data::Bridge(_)) {
            return Err(Refusal::said(libc::EINVAL, "The interface netns is immutable"));
        }
        if self.link(index).is_up() {
            self.close_device(index);
            self.say_link(index, IFF_UP | IFF_RUNNING, 0);
            self.notify(index, Event::Down);
        }
        self.links_generation += 1;
        self.link_mut(index).qdisc = "noop";
        self.notify(index, Event::Unregister);
        self.say_link_moved(index, index);
        if let Data::Veth { peer: Some(peer), .. } = self.link(index).data {
            self.link_mut(peer).data = Data::Veth { peer: None, away: Some(index) };
        }
        self.links.remove(&index);
        Ok(())
    }

    /// `rtnl_dellink`
    fn del_link_request(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message)?;
        match self.named(&info, &tb) {
            Some(Some(index)) => self.delete_link(index, true),
            Some(None) => Err(libc::ENODEV.into()),
            None => Err(libc::EINVAL.into()),
        }
    }

    /// `rtnl_getlink`
    fn get_link_request(&mut self, socket: SocketId, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message)?;
        let index = match self.named(&info, &tb) {
            Some(Some(index)) => index,
            Some(None) => return Err(libc::ENODEV.into()),
            None => return Err(libc::EINVAL.into()),
        };
        let filter = tb.u32(IFLA_EXT_MASK)?.unwrap_or(0);
        let body = self.link_body(index, 0, 0, filter);
        let port = self.port(socket);
        self.unicast(socket, wire::message(RTM_NEWLINK, 0, message.seq, port, &body));
        Ok(())
    }

    /// `inet6_rtm_getaddr`; IPv4 has no such request.
    fn get_address_request(&mut self, socket: SocketId, message: Message<'_>) -> Answer {
        let info = IfAddr::parse(message.payload)?;
        if info.family != AF_INET6 {
            return Err(libc::EOPNOTSUPP.into());
        }
        let tb = Attributes::parse(&message.payload[IfAddr::LENGTH..], 0);
        let wanted = tb.get(IFA_LOCAL).or(tb.get(IFA_ADDRESS)).ok_or(libc::EINVAL)?;
        let link = self.links.get(&info.index).ok_or(libc::ENODEV)?;
        let mut addresses = link.inet6.iter().flat_map(|inet6| &inet6.addresses);
        let found = addresses.find(|found| found.address[..] == *wanted.value);
        let body = show::address6_body(info.index, found.ok_or(libc::EADDRNOTAVAIL)?);
        let port = self.port(socket);
        self.unicast(socket, wire::message(RTM_NEWADDR, 0, message.seq, port, &body));
        Ok(())
    }

    /// `rtnl_linkprop`: several names in one request are worked off one by one.
    fn property_request(&mut self, message: Message<'_>, add: bool) -> Answer {
        let (info, tb) = parse(message)?;
        let index = match self.named(&info, &tb) {
            Some(Some(index)) => index,
            Some(None) => return Err(libc::ENODEV.into()),
            None => return Err(libc::EINVAL.into()),
        };
        let Some(list) = tb.get(IFLA_PROP_LIST) else {
            return Ok(());
        };
        let mut changed = false;
        for attribute in
            list.nested().0.into_iter().filter(|attribute| attribute.id == IFLA_ALT_IFNAME)
        {
            let name = attribute.text();
            if name.is_empty() {
                return Err(libc::EINVAL.into());
            }
            match (add, self.index_of(&name)) {
                (true, Some(_)) => return Err(libc::EEXIST.into()),
                (true, None) => self.link_mut(index).altnames.push(name),
                (false, None) => return Err(libc::ENOENT.into()),
                (false, Some(owner)) if owner != index || self.link(index).name == name => {
                    return Err(libc::EINVAL.into());
                }
                (false, Some(_)) => {
                    self.link_mut(index).altnames.retain(|altname| *altname != name)
                }
            }
            changed = true;
        }
        if changed {
            self.state_change(index);
        }
        Ok(())
    }
}

/// Whether `do_setlink` ends with `netdev_state_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Nothing,
    Notify,
}

pub(super) fn parse(message: Message<'_>) -> Answer<(IfInfo, Attributes<'_>)> {
    let info = IfInfo::parse(message.payload)?;
    let tb = Attributes::parse(&message.payload[IfInfo::LENGTH..], 16 + IfInfo::LENGTH as u32);
    tb.check(POLICY)?;
    Ok((info, tb))
}
