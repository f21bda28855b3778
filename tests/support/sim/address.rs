//! Requests about addresses: `inet_rtm_*addr`, `inet6_rtm_*addr`.

use super::Kernel;
use super::inet::Address4;
use super::inet6::Address6;
use super::wire::uapi::*;
use super::wire::{Answer, Attributes, IfAddr, Message, Policy, Refusal, u32_at};

const POLICY4: &[(u16, Policy)] = &[
    (IFA_LOCAL, Policy::AtLeast(4)),
    (IFA_ADDRESS, Policy::AtLeast(4)),
    (IFA_BROADCAST, Policy::AtLeast(4)),
    (IFA_LABEL, Policy::Text(15)),
    (IFA_CACHEINFO, Policy::AtLeast(16)),
    (IFA_FLAGS, Policy::AtLeast(4)),
    (IFA_RT_PRIORITY, Policy::AtLeast(4)),
    (IFA_PROTO, Policy::AtLeast(1)),
];

const POLICY6: &[(u16, Policy)] = &[
    (IFA_LOCAL, Policy::AtLeast(16)),
    (IFA_ADDRESS, Policy::AtLeast(16)),
    (IFA_CACHEINFO, Policy::AtLeast(16)),
    (IFA_FLAGS, Policy::AtLeast(4)),
    (IFA_RT_PRIORITY, Policy::AtLeast(4)),
    (IFA_PROTO, Policy::AtLeast(1)),
];

impl Kernel {
    pub(super) fn new_address_request(&mut self, message: Message<'_>) -> Answer {
        match message.payload[0] {
            AF_INET => self.new_address4(message),
            AF_INET6 => self.new_address6(message),
            _ => Err(libc::EOPNOTSUPP.into()),
        }
    }

    pub(super) fn del_address_request(&mut self, message: Message<'_>) -> Answer {
        match message.payload[0] {
            AF_INET => self.del_address4(message),
            AF_INET6 => self.del_address6(message),
            _ => Err(libc::EOPNOTSUPP.into()),
        }
    }

    /// `inet_rtm_newaddr`. Neither CREATE nor EXCL decides: only REPLACE accepts what is there already.
    fn new_address4(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message, POLICY4)?;
        if info.prefix > 32 {
            return Err(Refusal::said(libc::EINVAL, "ipv4: Invalid prefix length"));
        }
        let Some(local) = tb.get(IFA_LOCAL) else {
            return Err(Refusal::said(libc::EINVAL, "ipv4: Local address is not supplied"));
        };
        let (valid, preferred) = lifetimes(&tb, "ipv4: address lifetime invalid")?;
        let Some(link) = self.links.get(&info.index) else {
            return Err(Refusal::said(libc::ENODEV, "ipv4: Device not found"));
        };
        let Some(list) = &link.inet else {
            return Err(libc::ENOBUFS.into());
        };
        let local: [u8; 4] = local.array()?;
        let mut new = Address4 {
            local,
            address: tb.get(IFA_ADDRESS).map_or(Ok(local), |attribute| attribute.array())?,
            prefix: info.prefix,
            broadcast: tb
                .get(IFA_BROADCAST)
                .map(|attribute| attribute.array())
                .transpose()?
                .filter(|b| *b != [0; 4]),
            label: tb.get(IFA_LABEL).map_or(link.name.clone(), |attribute| attribute.text()),
            scope: info.scope,
            flags: flags(&info, &tb)?,
            protocol: protocol(&tb)?,
            priority: tb.u32(IFA_RT_PRIORITY)?.unwrap_or(0),
            valid,
            preferred,
        };
        let known = list.iter().position(|other| {
            other.prefix == new.prefix && other.local == new.local && other.covers(new.address)
        });
        let Some(at) = known else {
            new.set_lifetime(valid, preferred);
            return self.insert_address4(info.index, new, true);
        };
        if message.flags & NLM_F_EXCL != 0 || message.flags & NLM_F_REPLACE == 0 {
            return Err(Refusal::said(libc::EEXIST, "ipv4: Address already assigned"));
        }
        let old = list[at].clone();
        if old.priority != new.priority {
            self.change_priority4(info.index, &old, new.priority);
        }
        let Some(old) = self.link_mut(info.index).inet.as_mut().and_then(|list| list.get_mut(at))
        else {
            return Ok(());
        };
        old.priority = new.priority;
        old.protocol = new.protocol;
        old.set_lifetime(valid, preferred);
        let shown = old.clone();
        self.say_address4(RTM_NEWADDR, info.index, &shown, true);
        Ok(())
    }

    /// `inet_rtm_deladdr`: the first that fits what the request names.
    fn del_address4(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message, POLICY4)?;
        let Some(list) = self.links.get(&info.index).and_then(|link| link.inet.as_ref()) else {
            return Err(Refusal::said(libc::ENODEV, "ipv4: Device not found"));
        };
        let local: Option<[u8; 4]> =
            tb.get(IFA_LOCAL).map(|attribute| attribute.array()).transpose()?;
        let address: Option<[u8; 4]> =
            tb.get(IFA_ADDRESS).map(|attribute| attribute.array()).transpose()?;
        let label = tb.get(IFA_LABEL).map(|attribute| attribute.text());
        let found = list.iter().position(|other| {
            local.is_none_or(|local| other.local == local)
                && label.as_ref().is_none_or(|label| other.label == *label)
                && address
                    .is_none_or(|address| other.prefix == info.prefix && other.covers(address))
        });
        match found {
            Some(at) => {
                self.delete_address4(info.index, at);
                Ok(())
            }
            None => Err(Refusal::said(libc::EADDRNOTAVAIL, "ipv4: Address not found")),
        }
    }

    /// `inet6_rtm_newaddr`
    fn new_address6(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message, POLICY6)?;
        let (address, peer) = both(&tb)?;
        let (valid, preferred) = lifetimes(&tb, "ipv6: address lifetime invalid")?;
        if !self.links.contains_key(&info.index) {
            return Err(Refusal::said(libc::ENODEV, "ipv6: Unable to find the interface"));
        }
        if self.link(info.index).inet6.is_none() {
            // Too small an MTU.
            return Err(libc::EINVAL.into());
        }
        let settable = IFA_F_NODAD
            | IFA_F_HOMEADDRESS
            | IFA_F_MANAGETEMPADDR
            | IFA_F_NOPREFIXROUTE
            | IFA_F_MCAUTOJOIN;
        let mut flags = flags(&info, &tb)? & settable;
        let known = self
            .link(info.index)
            .inet6
            .iter()
            .flat_map(|inet6| &inet6.addresses)
            .any(|a| a.address == address);
        if known && (message.flags & NLM_F_EXCL != 0 || message.flags & NLM_F_REPLACE == 0) {
            return Err(Refusal::said(libc::EEXIST, "ipv6: address already assigned"));
        }
        if !known && info.prefix > 128 {
            return Err(Refusal::said(libc::EINVAL, "ipv6: Invalid prefix length"));
        }
        if flags & IFA_F_MANAGETEMPADDR != 0 && info.prefix != 64 {
            return Err(Refusal::said(
                libc::EINVAL,
                "ipv6: address with \"mngtmpaddr\" flag must have a prefix length of 64",
            ));
        }
        if valid == u32::MAX {
            flags |= IFA_F_PERMANENT;
        }
        if preferred == 0 {
            flags |= IFA_F_DEPRECATED;
        }
        let (protocol, priority) = (protocol(&tb)?, tb.u32(IFA_RT_PRIORITY)?.unwrap_or(0));
        if !known {
            let new = Address6 {
                address,
                peer,
                prefix: info.prefix,
                flags,
                protocol,
                priority,
                valid,
                preferred,
            };
            return self.insert_address6(info.index, new);
        }
        let Some(old) =
            self.link_mut(info.index).inet6.as_mut().and_then(|inet6| {
                inet6.addresses.iter_mut().find(|other| other.address == address)
            })
        else {
            return Ok(());
        };
        // inet6_addr_modify: the prefix length stays what it was.
        let had = old.flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE) == IFA_F_PERMANENT;
        let kept = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC | IFA_F_MCAUTOJOIN;
        old.flags = (old.flags & kept) | flags;
        (old.valid, old.preferred, old.protocol) = (valid, preferred, protocol);
        if priority != 0 {
            old.priority = priority;
        }
        if peer.is_some() {
            old.peer = peer;
        }
        let shown = old.clone();
        if shown.flags & IFA_F_TENTATIVE == 0 {
            self.say_address6(RTM_NEWADDR, info.index, &shown);
        }
        if shown.flags & IFA_F_NOPREFIXROUTE == 0 {
            self.change_prefix_route6(info.index, &shown, had);
        } else if had {
            // As if it had gone.
            let mut gone = shown;
            gone.flags = (gone.flags & !IFA_F_NOPREFIXROUTE) | IFA_F_PERMANENT;
            self.withdraw_prefix_route6(info.index, &gone);
        }
        Ok(())
    }

    /// `inet6_rtm_deladdr`
    fn del_address6(&mut self, message: Message<'_>) -> Answer {
        let (info, tb) = parse(message, POLICY6)?;
        let (address, _) = both(&tb)?;
        if info.prefix > 128 {
            return Err(Refusal::said(libc::EINVAL, "ipv6: Invalid prefix length"));
        }
        let Some(link) = self.links.get(&info.index) else {
            return Err(Refusal::said(libc::ENODEV, "ipv6: Unable to find the interface"));
        };
        let Some(inet6) = &link.inet6 else {
            return Err(Refusal::said(libc::ENXIO, "ipv6: IPv6 is disabled on this device"));
        };
        if !inet6
            .addresses
            .iter()
            .any(|other| other.address == address && other.prefix == info.prefix)
        {
            return Err(Refusal::said(libc::EADDRNOTAVAIL, "ipv6: address not found"));
        }
        self.delete_address6(info.index, address);
        Ok(())
    }
}

fn parse<'a>(message: Message<'a>, policy: &[(u16, Policy)]) -> Answer<(IfAddr, Attributes<'a>)> {
    let info = IfAddr::parse(message.payload)?;
    let tb = Attributes::parse(&message.payload[IfAddr::LENGTH..], 16 + IfAddr::LENGTH as u32);
    tb.check(policy)?;
    Ok((info, tb))
}

/// `extract_addr`: the address, and the peer when there is one.
fn both(tb: &Attributes<'_>) -> Answer<([u8; 16], Option<[u8; 16]>)> {
    let address = tb.get(IFA_ADDRESS).map(|attribute| attribute.array::<16>()).transpose()?;
    let local = tb.get(IFA_LOCAL).map(|attribute| attribute.array::<16>()).transpose()?;
    match (local, address) {
        (Some(local), address) => Ok((local, address.filter(|address| *address != local))),
        (None, Some(address)) => Ok((address, None)),
        (None, None) => Err(libc::EINVAL.into()),
    }
}

/// The 32-bit attribute overrides the 8 bits of the header (K28).
fn flags(info: &IfAddr, tb: &Attributes<'_>) -> Answer<u32> {
    Ok(tb.u32(IFA_FLAGS)?.unwrap_or(info.flags.into()))
}

fn protocol(tb: &Attributes<'_>) -> Answer<u8> {
    tb.get(IFA_PROTO).map_or(Ok(0), |attribute| attribute.u8())
}

/// Valid and preferred, in seconds.
fn lifetimes(tb: &Attributes<'_>, words: &'static str) -> Answer<(u32, u32)> {
    let Some(attribute) = tb.get(IFA_CACHEINFO) else {
        return Ok((u32::MAX, u32::MAX));
    };
    let (preferred, valid) = (u32_at(attribute.value, 0), u32_at(attribute.value, 4));
    if valid == 0 || preferred > valid {
        return Err(Refusal::said(libc::EINVAL, words));
    }
    Ok((valid, preferred))
}
