//! Rules: `net/core/fib_rules.c`, `net/ipv4/fib_rules.c`, `net/ipv6/fib6_rules.c`.

use super::Kernel;
use super::device::Event;
use super::wire::uapi::*;
use super::wire::{
    self, Answer, Attribute, Attributes, Message, Policy, Refusal, Writer, u16_at, u32_at,
};

/// `struct fib_rule`, with what each family adds to it.
#[derive(Clone, Debug)]
pub struct Rule {
    pub family: u8,
    pub priority: u32,
    pub table: u32,
    pub action: u8,
    pub flags: u32,
    pub protocol: u8,
    pub tos: u8,
    /// Empty without a length.
    pub src: Vec<u8>,
    pub src_len: u8,
    pub dst: Vec<u8>,
    pub dst_len: u8,
    pub iif: Port,
    pub oif: Port,
    pub mark: u32,
    pub mask: u32,
    /// Of a `goto`; 0 for none.
    pub target: u32,
    pub tun_id: [u8; 8],
    pub l3mdev: u8,
    pub suppress_prefixlen: i32,
    pub suppress_ifgroup: i32,
    pub users: Option<(u32, u32)>,
    pub ip_proto: u8,
    /// Start, end and mask.
    pub sport: Option<(u16, u16, u16)>,
    pub dport: Option<(u16, u16, u16)>,
    /// Realms, IPv4 only.
    pub flow: u32,
}

/// An interface that a rule names, and the one that it means: none while there is none of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub index: Option<i32>,
}

/// FR_ACT_*
const TO_TABLE: u8 = 1;
const GOTO: u8 = 2;
const NOP: u8 = 3;
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

/// FIB_RULE_*
const INVERT: u32 = 2;
const UNRESOLVED: u32 = 4;
const IIF_DETACHED: u32 = 8;
const OIF_DETACHED: u32 = 16;

/// Rules of both families: each in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Rules {
    pub four: Vec<Rule>,
    pub six: Vec<Rule>,
    /// `fib_has_custom_rules`: from the first request on, a lookup asks the rules; before, it asks the tables.
    pub custom4: bool,
    pub custom6: bool,
}

impl Default for Rules {
    /// `fib_default_rules_init`, `fib6_rules_net_init`
    fn default() -> Rules {
        let list = |family, all: &[(u32, u32)]| -> Vec<Rule> {
            all.iter().map(|&(priority, table)| Rule::plain(family, priority, table)).collect()
        };
        Rules {
            four: list(AF_INET, &[(0, 255), (32766, 254), (32767, 253)]),
            six: list(AF_INET6, &[(0, 255), (32766, 254)]),
            custom4: false,
            custom6: false,
        }
    }
}

impl Rules {
    pub fn of(&self, family: u8) -> &Vec<Rule> {
        if family == AF_INET { &self.four } else { &self.six }
    }

    fn of_mut(&mut self, family: u8) -> &mut Vec<Rule> {
        if family == AF_INET { &mut self.four } else { &mut self.six }
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Rule> {
        self.four.iter_mut().chain(&mut self.six)
    }
}

const POLICY: &[(u16, Policy)] = &[
    (FRA_IIFNAME, Policy::Text(15)),
    (FRA_OIFNAME, Policy::Text(15)),
    (FRA_PRIORITY, Policy::AtLeast(4)),
    (FRA_FWMARK, Policy::AtLeast(4)),
    (FRA_FWMASK, Policy::AtLeast(4)),
    (FRA_TABLE, Policy::AtLeast(4)),
    (FRA_GOTO, Policy::AtLeast(4)),
    (FRA_FLOW, Policy::AtLeast(4)),
    (FRA_TUN_ID, Policy::AtLeast(8)),
    (FRA_UID_RANGE, Policy::AtLeast(8)),
    (FRA_SPORT_RANGE, Policy::AtLeast(4)),
    (FRA_DPORT_RANGE, Policy::AtLeast(4)),
];

impl Rule {
    fn plain(family: u8, priority: u32, table: u32) -> Rule {
        Rule {
            family,
            priority,
            table,
            action: TO_TABLE,
            flags: 0,
            protocol: RTPROT_KERNEL,
            tos: 0,
            src: Vec::new(),
            src_len: 0,
            dst: Vec::new(),
            dst_len: 0,
            iif: Port::default(),
            oif: Port::default(),
            mark: 0,
            mask: 0,
            target: 0,
            tun_id: [0; 8],
            l3mdev: 0,
            suppress_prefixlen: -1,
            suppress_ifgroup: -1,
            users: None,
            ip_proto: 0,
            sport: None,
            dport: None,
            flow: 0,
        }
    }

    /// `rule_exists`: what a request does not say of prefixes, TOS and realms is not compared, so that it is there
    /// already when one that says more is.
    fn is_there_as(&self, new: &Rule) -> bool {
        (self.action, self.table, self.priority) == (new.action, new.table, new.priority)
            && self.iif.name == new.iif.name
            && self.oif.name == new.oif.name
            && (self.mark, self.mask, self.tun_id) == (new.mark, new.mask, new.tun_id)
            && (self.suppress_prefixlen, self.suppress_ifgroup)
                == (new.suppress_prefixlen, new.suppress_ifgroup)
            && (self.l3mdev, self.users, self.ip_proto) == (new.l3mdev, new.users, new.ip_proto)
            && (self.sport, self.dport) == (new.sport, new.dport)
            && self.compares(new)
    }

    /// `fib4_rule_compare`, `fib6_rule_compare`
    fn compares(&self, asked: &Rule) -> bool {
        (asked.src_len == 0 || (self.src_len, &self.src) == (asked.src_len, &asked.src))
            && (asked.dst_len == 0 || (self.dst_len, &self.dst) == (asked.dst_len, &asked.dst))
            && (asked.tos == 0 || self.tos == asked.tos)
            && (asked.flow == 0 || self.flow == asked.flow)
    }

    /// `rule_find`: whatever is not said is not compared.
    fn is_meant_by(&self, asked: &Rule, by_priority: bool) -> bool {
        let named = |own: &Port, asked: &Port| asked.name.is_empty() || own.name == asked.name;
        (asked.action == 0 || self.action == asked.action)
            && (asked.table == 0 || self.table == asked.table)
            && (!by_priority || self.priority == asked.priority)
            && named(&self.iif, &asked.iif)
            && named(&self.oif, &asked.oif)
            && (asked.mark == 0 || self.mark == asked.mark)
            && (asked.mask == 0 || self.mask == asked.mask)
            && (asked.suppress_ifgroup == -1 || self.suppress_ifgroup == asked.suppress_ifgroup)
            && (asked.suppress_prefixlen == -1
                || self.suppress_prefixlen == asked.suppress_prefixlen)
            && (asked.tun_id == [0; 8] || self.tun_id == asked.tun_id)
            && (asked.l3mdev == 0 || self.l3mdev == asked.l3mdev)
            && (asked.users.is_none() || self.users == asked.users)
            && (asked.ip_proto == 0 || self.ip_proto == asked.ip_proto)
            && (asked.protocol == 0 || self.protocol == asked.protocol)
            && (asked.sport.is_none() || self.sport == asked.sport)
            && (asked.dport.is_none() || self.dport == asked.dport)
            && self.compares(asked)
    }

    /// `fib_rule_match` of a packet that this machine sends to `to` by `oif`, of which nothing else is known; `iif` is
    /// the loopback or none, as the family has it.
    fn fits(&self, to: &[u8], oif: i32, iif: i32) -> bool {
        let port = |port: &Port, index: i32| port.name.is_empty() || port.index == Some(index);
        let prefix = |net: &[u8], len: u8, of: &[u8]| -> bool {
            let bit = |bytes: &[u8], at: u8| {
                bytes.get(usize::from(at / 8)).copied().unwrap_or(0) >> (7 - at % 8) & 1
            };
            (0..len).all(|at| bit(net, at) == bit(of, at))
        };
        let none = [0; 16];
        let fits = port(&self.iif, iif)
            && port(&self.oif, oif)
            && self.mark & self.mask == 0
            && self.tun_id == [0; 8]
            && self.l3mdev == 0
            && self.users.is_none_or(|(first, _)| first == 0)
            && prefix(&self.dst, self.dst_len, to)
            && prefix(&self.src, self.src_len, &none)
            && self.tos == 0
            && self.ip_proto == 0
            && self.sport.is_none()
            && self.dport.is_none();
        fits != (self.flags & INVERT != 0)
    }
}

/// What a rule says of where to look.
pub enum Step {
    /// In this table; of what is found the prefix has to be longer than so many bits, and the interface of another
    /// group.
    Table(u32, i32, i32),
    Refuse(i32),
}

impl Kernel {
    /// `fib_rules_lookup`: what is to be done one after the other, until something is found.
    pub(super) fn rule_steps(&self, family: u8, to: &[u8], oif: i32) -> Vec<Step> {
        let iif = i32::from(family == AF_INET);
        let list = self.rules.of(family);
        let (mut steps, mut at) = (Vec::new(), 0);
        while let Some(rule) = list.get(at) {
            at += 1;
            if !rule.fits(to, oif, iif) {
                continue;
            }
            match rule.action {
                GOTO => {
                    let target = list.iter().position(|other| other.priority == rule.target);
                    at = target.unwrap_or(at);
                }
                NOP => {}
                TO_TABLE => {
                    let (bits, group) = (rule.suppress_prefixlen, rule.suppress_ifgroup);
                    steps.push(Step::Table(rule.table, bits, group));
                }
                UNREACHABLE => steps.push(Step::Refuse(libc::ENETUNREACH)),
                PROHIBIT => steps.push(Step::Refuse(libc::EACCES)),
                _ => steps.push(Step::Refuse(libc::EINVAL)),
            }
        }
        steps
    }

    /// `fib_newrule`
    pub(super) fn new_rule_request(&mut self, message: Message<'_>) -> Answer {
        let (mut rule, _) = self.parse_rule(message)?;
        let list = self.rules.of(rule.family);
        if message.flags & NLM_F_EXCL != 0 && list.iter().any(|own| own.is_there_as(&rule)) {
            return Err(libc::EEXIST.into());
        }
        self.configure_rule(&mut rule)?;
        let list = self.rules.of_mut(rule.family);
        let behind = list.iter().position(|own| own.priority > rule.priority);
        list.insert(behind.unwrap_or(list.len()), rule.clone());
        self.say_rule(RTM_NEWRULE, &rule);
        Ok(())
    }

    /// `fib_delrule`: the first that fits what is said (K37).
    pub(super) fn del_rule_request(&mut self, message: Message<'_>) -> Answer {
        let (asked, by_priority) = self.parse_rule(message)?;
        let list = self.rules.of_mut(asked.family);
        let found = list.iter().position(|own| own.is_meant_by(&asked, by_priority));
        let gone = list.remove(found.ok_or(libc::ENOENT)?);
        match gone.family {
            AF_INET => self.rules.custom4 = true,
            _ => self.rules.custom6 = true,
        }
        self.say_rule(RTM_DELRULE, &gone);
        Ok(())
    }

    /// `fib_nl2rule` and what it does under the lock; whether the request says a priority.
    fn parse_rule(&self, message: Message<'_>) -> Answer<(Rule, bool)> {
        let head = message.payload;
        let said = |words| Refusal::said(libc::EINVAL, words);
        if head.len() < 12 {
            return Err(said("Invalid msg length"));
        }
        let family = head[0];
        if !matches!(family, AF_INET | AF_INET6) {
            return Err(Refusal::said(libc::EAFNOSUPPORT, "Rule family not supported"));
        }
        let tb = Attributes::parse(&head[12..], 28);
        tb.check(POLICY)?;
        let bits = if family == AF_INET { 32 } else { 128 };
        let prefix = |id, len: u8, words| -> Answer<Vec<u8>> {
            let value = tb.get(id).map(|part| part.value).unwrap_or_default();
            if len != 0 && (len > bits || value.len() != usize::from(bits / 8)) {
                return Err(said(words));
            }
            Ok(if len == 0 { Vec::new() } else { value.to_vec() })
        };
        let number = |id| -> Answer<u32> { Ok(tb.u32(id)?.unwrap_or(0)) };
        let byte = |id| -> Answer<u8> { tb.get(id).map_or(Ok(0), |part| part.u8()) };
        let signed = |id| -> Answer<i32> { Ok(tb.u32(id)?.map_or(-1, |n| n as i32)) };
        let mut rule = Rule {
            flags: u32_at(head, 8),
            action: head[7],
            tos: head[3],
            dst_len: head[1],
            src_len: head[2],
            src: prefix(FRA_SRC, head[2], "Invalid source address")?,
            dst: prefix(FRA_DST, head[1], "Invalid dst address")?,
            protocol: byte(FRA_PROTOCOL)?,
            mark: number(FRA_FWMARK)?,
            target: number(FRA_GOTO)?,
            l3mdev: byte(FRA_L3MDEV)?,
            suppress_prefixlen: signed(FRA_SUPPRESS_PREFIXLEN)?,
            suppress_ifgroup: signed(FRA_SUPPRESS_IFGROUP)?,
            ip_proto: byte(FRA_IP_PROTO)?,
            flow: number(FRA_FLOW)?,
            ..Rule::plain(family, number(FRA_PRIORITY)?, number(FRA_TABLE)?)
        };
        if rule.table == 0 {
            rule.table = head[4].into();
        }
        rule.mask = tb.u32(FRA_FWMASK)?.unwrap_or(if rule.mark == 0 { 0 } else { u32::MAX });
        if let Some(part) = tb.get(FRA_TUN_ID) {
            rule.tun_id = part.array()?;
        }
        match (tb.get(FRA_GOTO).is_some(), rule.action == GOTO) {
            (true, false) => return Err(said("Unexpected goto")),
            (false, true) => return Err(said("Missing goto target for action goto")),
            _ => {}
        }
        if rule.l3mdev != 0 && rule.table != 0 {
            return Err(said("l3mdev and table are mutually exclusive"));
        }
        if let Some(part) = tb.get(FRA_UID_RANGE) {
            let (first, last) = (u32_at(part.value, 0), u32_at(part.value, 4));
            if first > last {
                return Err(said("Invalid uid range"));
            }
            rule.users = Some((first, last));
        }
        rule.sport = ports(&tb, FRA_SPORT_RANGE).map_err(|()| said("Invalid sport range"))?;
        rule.dport = ports(&tb, FRA_DPORT_RANGE).map_err(|()| said("Invalid dport range"))?;
        let by_priority = tb.get(FRA_PRIORITY).is_some();
        if !by_priority {
            // `fib_default_rule_pref`: before the second, if that is not 0.
            let second = self.rules.of(family).get(1).map_or(0, |rule| rule.priority);
            rule.priority = second.saturating_sub(1);
        }
        if rule.action == GOTO && rule.target <= rule.priority {
            return Err(said("Backward goto not supported"));
        }
        for (id, port) in [(FRA_IIFNAME, &mut rule.iif), (FRA_OIFNAME, &mut rule.oif)] {
            let name = tb.get(id).map(|part| part.text()).unwrap_or_default();
            *port = Port { index: self.index_of(&name), name };
        }
        Ok((rule, by_priority))
    }

    /// `fib4_rule_configure`, `fib6_rule_configure`
    fn configure_rule(&mut self, rule: &mut Rule) -> Answer {
        let said = |words| Err(Refusal::said(libc::EINVAL, words));
        if rule.tos & 3 != 0 {
            return said("Invalid dsfield (tos): ECN bits must be 0");
        }
        if rule.family == AF_INET {
            if rule.tos & !0x1e != 0 {
                return said("Invalid tos");
            }
            if rule.table == 0 && rule.l3mdev == 0 && rule.action == TO_TABLE {
                // `fib_empty_table`
                let free = (1..=255).find(|table| !self.fib4.tables.contains(table));
                rule.table = free.ok_or(libc::ENOBUFS)?;
                self.fib4.tables.push(rule.table);
            }
            self.rules.custom4 = true;
            return Ok(());
        }
        if rule.action == TO_TABLE && rule.l3mdev == 0 {
            if rule.table == 0 {
                return said("Invalid table");
            }
            if !self.fib6.tables.contains(&rule.table) {
                self.fib6.tables.push(rule.table);
            }
        }
        self.rules.custom6 = true;
        Ok(())
    }

    /// `notify_rule_change`: a request is named in it (K11).
    fn say_rule(&mut self, kind: u16, rule: &Rule) {
        let group = if rule.family == AF_INET { RTNLGRP_IPV4_RULE } else { RTNLGRP_IPV6_RULE };
        let body = self.rule_body(rule);
        self.say_asked(kind, group, 0, true, &body);
    }

    /// `fib_nl_fill_rule`
    pub(super) fn rule_body(&self, rule: &Rule) -> Vec<u8> {
        let resolved = || self.rules.of(rule.family).iter().any(|o| o.priority == rule.target);
        let mut flags = rule.flags;
        for (bit, on) in [
            (UNRESOLVED, rule.action == GOTO && !resolved()),
            (IIF_DETACHED, !rule.iif.name.is_empty() && rule.iif.index.is_none()),
            (OIF_DETACHED, !rule.oif.name.is_empty() && rule.oif.index.is_none()),
        ] {
            flags |= if on { bit } else { 0 };
        }
        let table = u8::try_from(rule.table).unwrap_or(252);
        let mut bytes =
            vec![rule.family, rule.dst_len, rule.src_len, rule.tos, table, 0, 0, rule.action];
        bytes.extend_from_slice(&flags.to_ne_bytes());
        let mut to = Writer(bytes);
        to.u32(FRA_TABLE, rule.table);
        to.u32(FRA_SUPPRESS_PREFIXLEN, rule.suppress_prefixlen as u32);
        to.u8(FRA_PROTOCOL, rule.protocol);
        if !rule.iif.name.is_empty() {
            to.text(FRA_IIFNAME, &rule.iif.name);
        }
        if !rule.oif.name.is_empty() {
            to.text(FRA_OIFNAME, &rule.oif.name);
        }
        let mut number = |id, value, also: bool| {
            if value != 0 || also {
                to.u32(id, value);
            }
        };
        number(FRA_PRIORITY, rule.priority, false);
        number(FRA_FWMARK, rule.mark, false);
        number(FRA_FWMASK, rule.mask, rule.mark != 0);
        number(FRA_GOTO, rule.target, false);
        if rule.tun_id != [0; 8] {
            to.bytes(FRA_TUN_ID, &rule.tun_id);
        }
        if rule.l3mdev != 0 {
            to.u8(FRA_L3MDEV, rule.l3mdev);
        }
        if let Some((first, last)) = rule.users {
            to.bytes(FRA_UID_RANGE, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
        for (id, mask_id, ports) in [
            (FRA_SPORT_RANGE, FRA_SPORT_MASK, rule.sport),
            (FRA_DPORT_RANGE, FRA_DPORT_MASK, rule.dport),
        ] {
            if let Some((first, last, mask)) = ports {
                to.bytes(id, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
                if mask != 0 {
                    to.u16(mask_id, mask);
                }
            }
        }
        if rule.ip_proto != 0 {
            to.u8(FRA_IP_PROTO, rule.ip_proto);
        }
        if rule.suppress_ifgroup != -1 {
            to.u32(FRA_SUPPRESS_IFGROUP, rule.suppress_ifgroup as u32);
        }
        if rule.dst_len != 0 {
            to.bytes(FRA_DST, &rule.dst);
        }
        if rule.src_len != 0 {
            to.bytes(FRA_SRC, &rule.src);
        }
        if rule.flow != 0 {
            to.u32(FRA_FLOW, rule.flow);
        }
        to.0
    }

    /// `fib_rules_event`: in silence.
    pub(super) fn rules_event(&mut self, index: i32, event: Event) {
        if matches!(event, Event::ChangeName | Event::Unregister) {
            for port in self.rules.all_mut().flat_map(|rule| [&mut rule.iif, &mut rule.oif]) {
                port.index = port.index.filter(|own| *own != index);
            }
        }
        if event == Event::ChangeName {
            self.attach_rules(index);
        }
    }

    /// `attach_rules`: by its name, not by another one.
    pub(super) fn attach_rules(&mut self, index: i32) {
        let name = self.link(index).name.clone();
        for port in self.rules.all_mut().flat_map(|rule| [&mut rule.iif, &mut rule.oif]) {
            if port.name == name && port.index.is_none() {
                port.index = Some(index);
            }
        }
    }
}

/// `nla_get_port_range`; no range is one from 0 to 0.
fn ports(tb: &Attributes<'_>, id: u16) -> Result<Option<(u16, u16, u16)>, ()> {
    let Some(part) = tb.get(id) else { return Ok(None) };
    let (first, last) = (u16_at(part.value, 0), u16_at(part.value, 2));
    if first == 0 || last == u16::MAX || first > last {
        return Err(());
    }
    Ok(Some((first, last, if first == last { u16::MAX } else { 0 })))
}
