//! Scripts of requests, one step a line, in words near to iproute2's.
//!
//!     add NAME KIND [fields]      RTM_NEWLINK with CREATE and EXCL
//!     set NAME [fields]           RTM_NEWLINK of a link by its index (NAME or #INDEX)
//!     byname NAME [fields]        the same with index 0 and IFLA_IFNAME
//!     byalt NAME [fields]         the same with index 0 and IFLA_ALT_IFNAME
//!     setlink NAME [fields]       RTM_SETLINK
//!     del NAME, get NAME          RTM_DELLINK, RTM_GETLINK
//!     altadd NAME A.., altdel NAME A..
//!     addr NAME LOCAL/PREFIX [fields], deladdr NAME LOCAL/PREFIX [fields]
//!     route VERB DST/LEN [fields]  RTM_NEWROUTE with the flags of add, append, prepend, replace, change, create
//!     delroute DST/LEN [fields]    RTM_DELROUTE; fields as iproute2's, and `type`, `scope`, `proto` in numbers
//!     rule VERB FAMILY [fields]    RTM_NEWRULE: `add` with CREATE and EXCL, `dup` with CREATE; FAMILY is 4 or 6
//!     delrule FAMILY [fields]      RTM_DELRULE; fields as iproute2's, `from` and `to` as ADDRESS/LEN, in numbers
//!     neigh VERB NAME ADDRESS [fields]  RTM_NEWNEIGH with the flags of add, replace, change, create (without EXCL)
//!     delneigh NAME ADDRESS [fields], getneigh NAME ADDRESS [fields]
//!     nexthop VERB ID FAMILY [fields]   RTM_NEWNEXTHOP with the flags of add, replace, change; FAMILY is 4, 6 or 0, an
//!                                       ID of 0 is none; fields: dev, via, onlink, blackhole, group ID,WEIGHT/..
//!     delnexthop ID, getnexthop ID
//!     noop, unknown, short
//!
//! Several requests for one datagram stand on one line, with ` ; ` between. A line `promote` turns
//! promote_secondaries on, a line `topology` leaves a bridge's passing topology change out of the comparison.

use std::net::IpAddr;

use super::super::sim::Kernel;
use super::super::sim::wire::uapi::*;
use super::super::sim::wire::{self, IfAddr, IfInfo, Writer};

pub struct Script {
    pub lines: Vec<String>,
    /// Every hardware address the script names: any other is random.
    pub macs: Vec<[u8; 6]>,
    pub promotes_secondaries: bool,
    /// Not to compare what a topology change does to a bridge for a while.
    pub topology: bool,
}

impl Script {
    pub fn parse(text: &str) -> Script {
        let all = text.lines().map(str::trim);
        let lines: Vec<&str> =
            all.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        Script {
            macs: lines.iter().flat_map(|line| line.split_whitespace()).filter_map(mac).collect(),
            promotes_secondaries: lines.contains(&"promote"),
            topology: lines.contains(&"topology"),
            lines: lines
                .into_iter()
                .filter(|line| !matches!(*line, "promote" | "topology"))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// The datagram of one line. Indexes are looked up in the simulation: both kernels must give out the same.
pub fn requests(kernel: &Kernel, line: &str, seq: u32) -> Vec<u8> {
    line.split(" ; ").flat_map(|one| request(kernel, one.trim(), seq)).collect()
}

fn request(kernel: &Kernel, line: &str, seq: u32) -> Vec<u8> {
    let mut words = line.split_whitespace();
    let (verb, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let rest: Vec<&str> = words.collect();
    let ask = NLM_F_REQUEST | NLM_F_ACK;
    let index = index(kernel, name);
    match verb {
        "add" => {
            let body = link(kernel, IfInfo::default(), Some(name), Some(rest[0]), &rest[1..]);
            wire::message(RTM_NEWLINK, ask | NLM_F_CREATE | NLM_F_EXCL | echo(&rest), seq, 0, &body)
        }
        "set" | "setlink" | "get" | "del" => {
            let kind = match verb {
                "set" => RTM_NEWLINK,
                "setlink" => RTM_SETLINK,
                "get" => RTM_GETLINK,
                _ => RTM_DELLINK,
            };
            let body = link(kernel, IfInfo { index, ..IfInfo::default() }, None, None, &rest);
            wire::message(kind, ask | echo(&rest), seq, 0, &body)
        }
        "byname" => wire::message(
            RTM_NEWLINK,
            ask,
            seq,
            0,
            &link(kernel, IfInfo::default(), Some(name), None, &rest),
        ),
        "byalt" => {
            let mut body = Writer(link(kernel, IfInfo::default(), None, None, &rest));
            body.text(IFLA_ALT_IFNAME, name);
            wire::message(RTM_NEWLINK, ask, seq, 0, &body.0)
        }
        "altadd" | "altdel" => {
            let mut body = Writer(IfInfo { index, ..IfInfo::default() }.emit());
            body.nest(IFLA_PROP_LIST | 0x8000, |to| {
                for altname in &rest {
                    to.text(IFLA_ALT_IFNAME, altname);
                }
            });
            let (kind, flags) = if verb == "altadd" {
                (RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL)
            } else {
                (RTM_DELLINKPROP, 0)
            };
            wire::message(kind, ask | flags, seq, 0, &body.0)
        }
        "addr" => {
            let mode = if rest.contains(&"replace") {
                NLM_F_CREATE | NLM_F_REPLACE
            } else {
                NLM_F_CREATE | NLM_F_EXCL
            };
            wire::message(
                RTM_NEWADDR,
                ask | mode | echo(&rest),
                seq,
                0,
                &address(index, rest[0], &rest[1..]),
            )
        }
        "deladdr" => wire::message(
            RTM_DELADDR,
            ask | echo(&rest),
            seq,
            0,
            &address(index, rest[0], &rest[1..]),
        ),
        "route" => {
            let mode = match name {
                "add" => NLM_F_CREATE | NLM_F_EXCL,
                "append" => NLM_F_CREATE | NLM_F_APPEND,
                "prepend" => NLM_F_CREATE,
                "replace" => NLM_F_CREATE | NLM_F_REPLACE,
                "change" => NLM_F_REPLACE,
                "bare" => 0,
                _ => panic!("no such verb: {line}"),
            };
            let body = route(kernel, rest[0], &rest[1..], false);
            wire::message(RTM_NEWROUTE, ask | mode | echo(&rest), seq, 0, &body)
        }
        "delroute" => wire::message(
            RTM_DELROUTE,
            ask | echo(&rest),
            seq,
            0,
            &route(kernel, name, &rest, true),
        ),
        "rule" => {
            let mode = match name {
                "add" => NLM_F_CREATE | NLM_F_EXCL,
                "dup" => NLM_F_CREATE,
                _ => panic!("no such verb: {line}"),
            };
            let body = rule(rest[0], &rest[1..], false);
            wire::message(RTM_NEWRULE, ask | mode | echo(&rest), seq, 0, &body)
        }
        "delrule" => {
            wire::message(RTM_DELRULE, ask | echo(&rest), seq, 0, &rule(name, &rest, true))
        }
        "neigh" => {
            let mode = match name {
                "add" => NLM_F_CREATE | NLM_F_EXCL,
                "create" => NLM_F_CREATE,
                "replace" => NLM_F_CREATE | NLM_F_REPLACE,
                "change" => NLM_F_REPLACE,
                _ => panic!("no such verb: {line}"),
            };
            let body = neighbour(kernel, rest[0], rest[1], &rest[2..]);
            wire::message(RTM_NEWNEIGH, ask | mode | echo(&rest), seq, 0, &body)
        }
        "delneigh" | "getneigh" => {
            let kind = if verb == "delneigh" { RTM_DELNEIGH } else { RTM_GETNEIGH };
            wire::message(kind, ask, seq, 0, &neighbour(kernel, name, rest[0], &rest[1..]))
        }
        "nexthop" => {
            let mode = match name {
                "add" => NLM_F_CREATE | NLM_F_EXCL,
                "replace" => NLM_F_CREATE | NLM_F_REPLACE,
                "change" => NLM_F_REPLACE,
                _ => panic!("no such verb: {line}"),
            };
            let body = nexthop(kernel, rest[0], rest[1], &rest[2..]);
            wire::message(RTM_NEWNEXTHOP, ask | mode | echo(&rest), seq, 0, &body)
        }
        "delnexthop" | "getnexthop" => {
            let kind = if verb == "delnexthop" { RTM_DELNEXTHOP } else { RTM_GETNEXTHOP };
            wire::message(kind, ask | echo(&rest), seq, 0, &nexthop(kernel, name, "0", &[]))
        }
        "noop" => wire::message(NLMSG_NOOP, ask, seq, 0, &[]),
        "unknown" => wire::message(name.parse().unwrap_or(999), ask, seq, 0, &[0; 16]),
        "short" => wire::message(RTM_NEWLINK, ask, seq, 0, &[0; 4]),
        _ => panic!("no such verb: {line}"),
    }
}

fn link(
    kernel: &Kernel,
    mut info: IfInfo,
    name: Option<&str>,
    kind: Option<&str>,
    words: &[&str],
) -> Vec<u8> {
    let mut to = Writer::default();
    let (mut data, mut port, mut kind) = (Writer::default(), Writer::default(), kind);
    if let Some(name) = name {
        to.text(IFLA_IFNAME, name);
    }
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (on, flag) = word.strip_prefix('-').map_or((true, word), |flag| (false, flag));
        let bit = match flag {
            "up" => IFF_UP,
            "promisc" => IFF_PROMISC,
            "allmulti" => IFF_ALLMULTI,
            "noarp" => IFF_NOARP,
            "multicast" => IFF_MULTICAST,
            _ => 0,
        };
        if bit != 0 {
            info.change |= bit;
            info.flags |= if on { bit } else { 0 };
            continue;
        }
        if word == "echo" {
            continue;
        }
        let value = words.next().unwrap_or("");
        let number = value.parse().unwrap_or(0);
        match word {
            "index" => info.index = number as i32,
            "mtu" => drop(to.u32(IFLA_MTU, number)),
            "qlen" => drop(to.u32(IFLA_TXQLEN, number)),
            "group" => drop(to.u32(IFLA_GROUP, number)),
            "linkmode" => drop(to.u8(IFLA_LINKMODE, number as u8)),
            "mac" => drop(to.bytes(IFLA_ADDRESS, &mac(value).expect("a MAC"))),
            "brd" => drop(to.bytes(IFLA_BROADCAST, &mac(value).expect("a MAC"))),
            "rawmac" => drop(to.bytes(IFLA_ADDRESS, &hex(value))),
            "alias" => {
                let alias: &[u8] = if value == "none" { &[] } else { value.as_bytes() };
                to.bytes(IFLA_IFALIAS, alias);
            }
            "name" => drop(to.text(IFLA_IFNAME, value)),
            "master" => drop(to.u32(IFLA_MASTER, index(kernel, value) as u32)),
            "link" => drop(to.u32(IFLA_LINK, index(kernel, value) as u32)),
            "kind" => kind = Some(value),
            "peer" => {
                let (name, address) = value.split_once('/').unwrap_or((value, ""));
                let mut peer = Writer(IfInfo::default().emit());
                peer.text(IFLA_IFNAME, name);
                if let Some(address) = mac(address) {
                    peer.bytes(IFLA_ADDRESS, &address);
                }
                data.bytes(VETH_INFO_PEER, &peer.0);
            }
            "data" | "port" => {
                let (id, value) = value.split_once('=').expect("ID=HEX");
                let nest = if word == "data" { &mut data } else { &mut port };
                nest.bytes(id.parse().expect("a number"), &hex(value));
            }
            "on" => drop(data.u32(3, index(kernel, value) as u32)), // IFLA_VXLAN_LINK
            _ => panic!("no such field: {word}"),
        }
    }
    if kind.is_some() || !port.0.is_empty() {
        to.nest(IFLA_LINKINFO, |to| {
            if let Some(kind) = kind {
                to.text(IFLA_INFO_KIND, kind);
            }
            if !data.0.is_empty() {
                to.bytes(IFLA_INFO_DATA, &data.0);
            }
            if !port.0.is_empty() {
                to.text(IFLA_INFO_SLAVE_KIND, "bridge");
                to.bytes(IFLA_INFO_SLAVE_DATA, &port.0);
            }
        });
    }
    [info.emit(), to.0].concat()
}

fn address(index: i32, local: &str, words: &[&str]) -> Vec<u8> {
    let (local, prefix) = local.split_once('/').expect("LOCAL/PREFIX");
    let local: IpAddr = local.parse().expect("an address");
    let mut info = IfAddr { prefix: prefix.parse().expect("a number"), index, ..IfAddr::default() };
    info.family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut to = Writer::default();
    to.bytes(IFA_LOCAL, &octets(local));
    let mut peer = local;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if matches!(word, "replace" | "echo") {
            continue;
        }
        let value = words.next().unwrap_or("");
        let number: u32 = value.parse().unwrap_or(0);
        match word {
            "peer" => peer = value.parse().expect("an address"),
            "brd" => drop(to.bytes(IFA_BROADCAST, &octets(value.parse().expect("an address")))),
            "label" => drop(to.text(IFA_LABEL, value)),
            "scope" => info.scope = number as u8,
            "flags" => drop(to.u32(IFA_FLAGS, number)),
            "proto" => drop(to.u8(IFA_PROTO, number as u8)),
            "metric" => drop(to.u32(IFA_RT_PRIORITY, number)),
            "life" => {
                let (preferred, valid) = value.split_once('/').expect("PREFERRED/VALID");
                let mut info = [0; 16];
                info[..4]
                    .copy_from_slice(&preferred.parse::<u32>().expect("seconds").to_ne_bytes());
                info[4..8].copy_from_slice(&valid.parse::<u32>().expect("seconds").to_ne_bytes());
                to.bytes(IFA_CACHEINFO, &info);
            }
            _ => panic!("no such field: {word}"),
        }
    }
    to.bytes(IFA_ADDRESS, &octets(peer));
    [info.emit(), to.0].concat()
}

/// As iproute2 makes it: the scope follows from what is given, unless it is said.
fn route(kernel: &Kernel, to: &str, words: &[&str], gone: bool) -> Vec<u8> {
    let (dst, len) = to.split_once('/').expect("DST/LEN");
    let dst: IpAddr = dst.parse().expect("an address");
    let mut head = [0u8; 12];
    head[0] = if dst.is_ipv4() { AF_INET } else { AF_INET6 };
    head[1] = len.parse().expect("a number");
    head[4] = 254;
    (head[5], head[7]) = if gone { (0, 0) } else { (3, RTN_UNICAST) };
    let (mut to, mut metrics, mut legs) = (Writer::default(), Writer::default(), Vec::new());
    if head[1] > 0 {
        to.bytes(RTA_DST, &octets(dst));
    }
    let (mut scope, mut via) = (None, false);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "echo" => continue,
            "onlink" => {
                head[8..].copy_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
                continue;
            }
            _ => {}
        }
        let value = words.next().unwrap_or("");
        let number: u32 = value.parse().unwrap_or(0);
        match word {
            "dev" => drop(to.u32(RTA_OIF, index(kernel, value) as u32)),
            "via" => {
                via = true;
                to.bytes(RTA_GATEWAY, &octets(value.parse().expect("an address")));
            }
            "src" => drop(to.bytes(RTA_PREFSRC, &octets(value.parse().expect("an address")))),
            "metric" => drop(to.u32(RTA_PRIORITY, number)),
            "table" => {
                head[4] = u8::try_from(number).unwrap_or(0);
                to.u32(RTA_TABLE, number);
            }
            "tos" => head[3] = number as u8,
            "proto" => head[5] = number as u8,
            "type" => head[7] = number as u8,
            "scope" => scope = Some(number as u8),
            "mtu" => drop(metrics.u32(2, number)),
            "hoplimit" => drop(metrics.u32(10, number)),
            "pref" => drop(to.u8(RTA_PREF, number as u8)),
            "expires" => drop(to.u32(RTA_EXPIRES, number)),
            "nh" => legs.extend(leg(kernel, value)),
            "nhid" => {
                via = true;
                to.u32(RTA_NH_ID, number);
            }
            _ => panic!("no such field: {word}"),
        }
    }
    if !metrics.0.is_empty() {
        to.bytes(RTA_METRICS, &metrics.0);
    }
    if !legs.is_empty() {
        to.bytes(RTA_MULTIPATH, &legs);
    }
    let usual = match (dst.is_ipv4(), head[7]) {
        (true, _) if gone => 255,
        (true, RTN_LOCAL) => 254,
        (true, RTN_BROADCAST..=RTN_MULTICAST) => 253,
        (true, RTN_UNICAST) if !via && legs.is_empty() => 253,
        _ => 0,
    };
    head[6] = scope.unwrap_or(usual);
    [head.to_vec(), to.0].concat()
}

/// `state` in numbers, and `proxy`, `router`, `learned`.
fn neighbour(kernel: &Kernel, name: &str, address: &str, words: &[&str]) -> Vec<u8> {
    let address: IpAddr = address.parse().expect("an address");
    let mut head = [0u8; 12];
    head[0] = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    head[4..8].copy_from_slice(&index(kernel, name).to_ne_bytes());
    let mut to = Writer::default();
    to.bytes(NDA_DST, &octets(address));
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let flag = match word {
            "proxy" => NTF_PROXY,
            "learned" => 0x10,
            "router" => 0x80,
            _ => 0,
        };
        head[10] |= flag;
        if flag != 0 || word == "echo" {
            continue;
        }
        let value = words.next().unwrap_or("");
        let number: u16 = value.parse().unwrap_or(0);
        match word {
            "lladdr" => drop(to.bytes(NDA_LLADDR, &mac(value).expect("a MAC"))),
            "short" => drop(to.bytes(NDA_LLADDR, &hex(value))),
            "state" => head[8..10].copy_from_slice(&number.to_ne_bytes()),
            "proto" => drop(to.u8(NDA_PROTOCOL, number as u8)),
            _ => panic!("no such field: {word}"),
        }
    }
    [head.to_vec(), to.0].concat()
}

fn nexthop(kernel: &Kernel, id: &str, family: &str, words: &[&str]) -> Vec<u8> {
    let mut head = [0u8; 8];
    head[0] = match family {
        "4" => AF_INET,
        "6" => AF_INET6,
        _ => AF_UNSPEC,
    };
    let mut to = Writer::default();
    if id != "0" {
        to.u32(NHA_ID, id.parse().expect("a number"));
    }
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "echo" => continue,
            "onlink" => {
                head[4] = RTNH_F_ONLINK as u8;
                continue;
            }
            "blackhole" => {
                to.bytes(NHA_BLACKHOLE, &[]);
                continue;
            }
            _ => {}
        }
        let value = words.next().unwrap_or("");
        match word {
            "dev" => drop(to.u32(NHA_OIF, index(kernel, value) as u32)),
            "via" => drop(to.bytes(NHA_GATEWAY, &octets(value.parse().expect("an address")))),
            "proto" => head[2] = value.parse().expect("a number"),
            "group" => {
                let members = value.split('/').flat_map(|member| {
                    let (id, weight) = member.split_once(',').expect("ID,WEIGHT");
                    let id: u32 = id.parse().expect("a number");
                    let weight: u8 = weight.parse().expect("a number");
                    [&id.to_ne_bytes()[..], &[weight - 1, 0, 0, 0]].concat()
                });
                to.bytes(NHA_GROUP, &members.collect::<Vec<u8>>());
            }
            _ => panic!("no such field: {word}"),
        }
    }
    [head.to_vec(), to.0].concat()
}

/// As iproute2 makes it: a rule leads to a table unless it is said what else it does.
fn rule(family: &str, words: &[&str], gone: bool) -> Vec<u8> {
    let mut head = [0u8; 12];
    head[0] = if family == "4" { AF_INET } else { AF_INET6 };
    head[7] = u8::from(!gone);
    let (mut to, mut flags) = (Writer::default(), 0u32);
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "echo" => continue,
            "not" => {
                flags |= 2;
                continue;
            }
            _ => {}
        }
        let value = words.next().unwrap_or("");
        let number: u32 = value.parse().unwrap_or(0);
        match word {
            "from" | "to" => {
                let (address, len) = value.split_once('/').expect("ADDRESS/LEN");
                let (at, id) = if word == "from" { (2, FRA_SRC) } else { (1, FRA_DST) };
                head[at] = len.parse().expect("a number");
                to.bytes(id, &octets(address.parse().expect("an address")));
            }
            "pref" => drop(to.u32(FRA_PRIORITY, number)),
            "table" => {
                head[4] = u8::try_from(number).unwrap_or(0);
                to.u32(FRA_TABLE, number);
                head[7] = 1;
            }
            "action" => head[7] = number as u8,
            "goto" => {
                head[7] = 2;
                to.u32(FRA_GOTO, number);
            }
            "iif" => drop(to.text(FRA_IIFNAME, value)),
            "oif" => drop(to.text(FRA_OIFNAME, value)),
            "tos" => head[3] = number as u8,
            "mark" => drop(to.u32(FRA_FWMARK, number)),
            "mask" => drop(to.u32(FRA_FWMASK, number)),
            "tun" => drop(to.bytes(FRA_TUN_ID, &u64::from(number).to_be_bytes())),
            "l3mdev" => drop(to.u8(FRA_L3MDEV, number as u8)),
            "bits" => drop(to.u32(FRA_SUPPRESS_PREFIXLEN, number)),
            "group" => drop(to.u32(FRA_SUPPRESS_IFGROUP, number)),
            "ipproto" => drop(to.u8(FRA_IP_PROTO, number as u8)),
            "proto" => drop(to.u8(FRA_PROTOCOL, number as u8)),
            "flow" => drop(to.u32(FRA_FLOW, number)),
            "uid" | "sport" | "dport" => {
                let (first, last) = value.split_once('-').expect("FIRST-LAST");
                let all = [first, last].map(|end| end.parse::<u32>().expect("a number"));
                match word {
                    "uid" => drop(to.bytes(FRA_UID_RANGE, &all.map(u32::to_ne_bytes).concat())),
                    _ => {
                        let id = if word == "sport" { FRA_SPORT_RANGE } else { FRA_DPORT_RANGE };
                        to.bytes(id, &all.map(|end| (end as u16).to_ne_bytes()).concat());
                    }
                }
            }
            _ => panic!("no such field: {word}"),
        }
    }
    head[8..].copy_from_slice(&flags.to_ne_bytes());
    [head.to_vec(), to.0].concat()
}

/// A leg of a multipath route: `GATEWAY,DEV,HOPS` of which each may be `-`.
fn leg(kernel: &Kernel, text: &str) -> Vec<u8> {
    let mut parts = text.split(',');
    let mut next = || parts.next().filter(|part| *part != "-");
    let (gateway, dev, hops) = (next(), next(), next());
    let mut to = Writer::default();
    if let Some(gateway) = gateway {
        to.bytes(RTA_GATEWAY, &octets(gateway.parse().expect("an address")));
    }
    let mut bytes = ((8 + to.0.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&[0, hops.map_or(0, |hops| hops.parse().expect("a number"))]);
    bytes.extend_from_slice(&dev.map_or(0, |dev| index(kernel, dev)).to_ne_bytes());
    bytes.extend_from_slice(&to.0);
    bytes
}

fn echo(words: &[&str]) -> u16 {
    if words.contains(&"echo") { NLM_F_ECHO } else { 0 }
}

/// Of a link by name, of `#7` as it stands; 0 for `none`, 99 for what is not there.
fn index(kernel: &Kernel, name: &str) -> i32 {
    if name == "none" {
        return 0;
    }
    let number = name.strip_prefix('#').and_then(|number| number.parse().ok());
    number.or_else(|| kernel.link_named(name).map(|link| link.index)).unwrap_or(99)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let text = text.rsplit('/').next()?;
    let bytes: Vec<u8> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex"))
        .collect()
}
