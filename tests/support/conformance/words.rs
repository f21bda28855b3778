//! Messages in words, without what no two runs have in common.
//!
//! Left out on purpose: counters (learned addresses and multicast groups among them), seconds of a lifetime, time stamps and running timers, hardware addresses nobody chose (and what is
//! derived from them), numbers of queues (they follow the processors), IFLA_HEADROOM (which bridges
//! hand around among ports), most of IFLA_AF_SPEC.

use super::super::sim::wire::uapi::*;
use super::super::sim::wire::{self, Attribute, Attributes, IfAddr, IfInfo};
use super::script::Script;

/// For sorting.
pub fn key(message: &[u8]) -> (u16, Vec<u8>) {
    let kind = wire::u16_at(message, 4);
    let length = if matches!(kind, RTM_NEWADDR | RTM_DELADDR | RTM_NEWROUTE | RTM_DELROUTE) {
        message.len().min(if kind >= RTM_NEWROUTE { 96 } else { 48 })
    } else {
        message.len().min(28)
    };
    (kind, message[16..length].to_vec())
}

/// Without what the simulation does not have: forwarding entries, and neighbours of multicast addresses, which come with
/// packets; and proxies on every interface, which outlive their namespace (6.18): they are another test's, long gone.
pub fn without_unknown(mut messages: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    messages.retain(|message| {
        let is_neighbour = matches!(wire::u16_at(message, 4), RTM_NEWNEIGH | RTM_DELNEIGH);
        let is_anywhere = is_neighbour && message[20..24] == [0; 4];
        !is_neighbour || message[16] != AF_BRIDGE && message[27] != RTN_MULTICAST && !is_anywhere
    });
    messages
}

/// Table, destination, TOS and priority of a route; nothing of other messages, which come first or last.
pub fn route_key(message: &[u8]) -> (bool, Vec<u8>, Vec<Vec<u8>>) {
    let kind = wire::u16_at(message, 4);
    if !matches!(kind, RTM_NEWROUTE | RTM_DELROUTE) {
        return (true, Vec::new(), Vec::new());
    }
    let head = &message[16..28];
    let tb = Attributes::parse(&message[28..], 0);
    let bytes = |id| tb.get(id).map(|part| part.value.to_vec()).unwrap_or_default();
    let number = |id| tb.get(id).map_or(0, |part| part.u32().unwrap_or(0)).to_be_bytes().to_vec();
    // What IPv6 makes by itself when links come up is in the order in which they did.
    let made = head[0] == AF_INET6 && head[5] == RTPROT_KERNEL;
    let oif = if made { number(RTA_OIF) } else { Vec::new() };
    let place = vec![number(RTA_TABLE), bytes(RTA_DST), number(RTA_PRIORITY), oif];
    (false, vec![head[0], head[1], head[3]], place)
}

/// A line of its head, then a line for each attribute.
pub fn tell(message: &[u8], script: &Script) -> String {
    let kind = wire::u16_at(message, 4);
    let flags = wire::u16_at(message, 6);
    let seq = wire::u32_at(message, 8);
    let whose = if wire::u32_at(message, 12) == 0 { "kernel" } else { "mine" };
    let payload = &message[16..];
    match kind {
        RTM_NEWLINK | RTM_DELLINK => {
            let info = IfInfo::parse(payload).expect("the kernel's messages are whole");
            let name = if kind == RTM_NEWLINK { "NEWLINK" } else { "DELLINK" };
            let mut text = format!(
                "{name} family {} index {} type {} flags {:#x} change {:#x} / {flags:#x} {seq} {whose}",
                info.family, info.index, info.hardware, info.flags, info.change
            );
            for attribute in Attributes::parse(&payload[16..], 0).0 {
                text += &format!("\n    {} {}", attribute.id, link_attribute(&attribute, script));
            }
            text
        }
        RTM_NEWADDR | RTM_DELADDR => {
            let info = IfAddr::parse(payload).expect("the kernel's messages are whole");
            let name = if kind == RTM_NEWADDR { "NEWADDR" } else { "DELADDR" };
            let mut text = format!(
                "{name} family {} index {} prefix {} flags {:#x} scope {} / {flags:#x} {seq} {whose}",
                info.family, info.index, info.prefix, info.flags, info.scope
            );
            for attribute in Attributes::parse(&payload[8..], 0).0 {
                let value = match attribute.id {
                    IFA_CACHEINFO => {
                        format!("{} {}", seconds(attribute.value, 0), seconds(attribute.value, 4))
                    }
                    _ => unless_random(attribute.value, script),
                };
                text += &format!("\n    {} {value}", attribute.id);
            }
            text
        }
        RTM_NEWROUTE | RTM_DELROUTE => {
            let name = if kind == RTM_NEWROUTE { "NEWROUTE" } else { "DELROUTE" };
            let mut text = format!("{name} {} / {flags:#x} {seq} {whose}", hex(&payload[..12]));
            for attribute in Attributes::parse(&payload[12..], 0).0 {
                let value = match attribute.id {
                    // Whether it ends (when, 6.18 gets wrong for the route of an address whose lifetime changes), and
                    // the error that it gives; the rest are counters.
                    RTA_CACHEINFO => {
                        let ends = wire::u32_at(attribute.value, 8) != 0;
                        format!("ends {ends}, {}", wire::u32_at(attribute.value, 12))
                    }
                    _ => unless_random(attribute.value, script),
                };
                text += &format!("\n    {} {value}", attribute.id);
            }
            text
        }
        RTM_NEWNEIGH | RTM_DELNEIGH => {
            let name = if kind == RTM_NEWNEIGH { "NEWNEIGH" } else { "DELNEIGH" };
            let mut text = format!("{name} {} / {flags:#x} {seq} {whose}", hex(&payload[..12]));
            for attribute in Attributes::parse(&payload[12..], 0).0 {
                let value = match attribute.id {
                    NDA_CACHEINFO => "times".to_owned(),
                    _ => hex(attribute.value),
                };
                text += &format!("\n    {} {value}", attribute.id);
            }
            text
        }
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
            let name = if kind == RTM_NEWNEXTHOP { "NEWNEXTHOP" } else { "DELNEXTHOP" };
            let mut text = format!("{name} {} / {flags:#x} {seq} {whose}", hex(&payload[..8]));
            for attribute in Attributes::parse(&payload[8..], 0).0 {
                text += &format!("\n    {} {}", attribute.id, hex(attribute.value));
            }
            text
        }
        RTM_NEWRULE | RTM_DELRULE => {
            let name = if kind == RTM_NEWRULE { "NEWRULE" } else { "DELRULE" };
            let mut text = format!("{name} {} / {flags:#x} {seq} {whose}", hex(&payload[..12]));
            for attribute in Attributes::parse(&payload[12..], 0).0 {
                text += &format!("\n    {} {}", attribute.id, hex(attribute.value));
            }
            text
        }
        NLMSG_ERROR => {
            let errno = -(wire::u32_at(payload, 0) as i32);
            let words = Attributes::parse(payload.get(20..).unwrap_or_default(), 0);
            let said = words.get(NLMSGERR_ATTR_MSG).map(|words| words.text()).unwrap_or_default();
            let offset = words.get(NLMSGERR_ATTR_OFFS).and_then(|offset| offset.u32().ok());
            format!("ERROR {errno} {said:?} {offset:?} / {flags:#x} {seq} {whose}")
        }
        NLMSG_DONE => format!("DONE / {flags:#x}"),
        _ => format!("type {kind}"),
    }
}

fn link_attribute(attribute: &Attribute<'_>, script: &Script) -> String {
    match attribute.id {
        IFLA_HEADROOM | IFLA_STATS | IFLA_STATS64 | IFLA_NUM_TX_QUEUES | IFLA_NUM_RX_QUEUES => {
            "(not compared)".to_owned()
        }
        IFLA_ADDRESS => unless_random(attribute.value, script),
        IFLA_PROTINFO => nest(attribute, &[21, 22, 23, 38, 41], script),
        IFLA_LINKINFO => attribute
            .nested()
            .0
            .iter()
            .map(|part| match part.id {
                IFLA_INFO_DATA if script.topology => {
                    format!("\n      data{}", nest(part, &[16, 17, 18, 19, 48, 4, 14, 15], script))
                }
                IFLA_INFO_DATA => {
                    format!("\n      data{}", nest(part, &[16, 17, 18, 19, 48], script))
                }
                IFLA_INFO_SLAVE_DATA => {
                    format!("\n      port{}", nest(part, &[21, 22, 23, 38, 41], script))
                }
                _ => format!("\n      {} {}", part.id, part.text()),
            })
            .collect(),
        IFLA_AF_SPEC => attribute
            .nested()
            .0
            .iter()
            .map(|family| {
                let ids: Vec<u16> = family.nested().0.iter().map(|part| part.id).collect();
                format!("\n      family {} {ids:?} of {} bytes", family.id, family.value.len())
            })
            .collect(),
        IFLA_IFNAME | IFLA_QDISC | IFLA_IFALIAS => format!("{:?}", attribute.text()),
        _ if attribute.value.len() == 4 => wire::u32_at(attribute.value, 0).to_string(),
        _ => hex(attribute.value),
    }
}

fn nest(attribute: &Attribute<'_>, skipped: &[u16], script: &Script) -> String {
    let tell = |part: &Attribute<'_>| match skipped.contains(&part.id) {
        true => format!("\n        {} (not compared)", part.id),
        false => format!("\n        {} {}", part.id, unless_random(part.value, script)),
    };
    attribute.nested().0.iter().map(tell).collect()
}

/// In hex; `random` when it is, ends in, or is made from a hardware address that the script did not choose.
fn unless_random(value: &[u8], script: &Script) -> String {
    let mac: Option<[u8; 6]> = match *value {
        [a, b, c, d, e, f] => Some([a, b, c, d, e, f]),
        [_, _, a, b, c, d, e, f] => Some([a, b, c, d, e, f]),
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] => {
            Some([a ^ 2, b, c, d, e, f])
        }
        _ => None,
    };
    match mac {
        Some(mac) if mac[0] & 2 != 0 && mac != [0xff; 6] && !script.macs.contains(&mac) => {
            "random".to_owned()
        }
        _ => hex(value),
    }
}

/// Scripts use lifetimes of whole fifties, and take less than fifty seconds.
fn seconds(value: &[u8], at: usize) -> u32 {
    match wire::u32_at(value, at) {
        u32::MAX => u32::MAX,
        left => left.div_ceil(50) * 50,
    }
}

fn hex(value: &[u8]) -> String {
    value.iter().map(|byte| format!("{byte:02x}")).collect()
}
