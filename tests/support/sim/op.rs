//! What other programs do: a handful of operations, typed, performed as requests of their own.

use super::Kernel;
use super::link::Data;
use super::neigh::NTF_EXT_LEARNED;
use super::route::Way;
use super::wire::uapi::*;
use super::wire::{self, Answer, IfAddr, IfInfo, Writer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A kind of which the name and index suffice: bridge, ifb, veth (its peer gets `name` with a `p`).
    Create {
        name: String,
        kind: &'static str,
    },
    Delete {
        name: String,
    },
    Rename {
        name: String,
        to: String,
    },
    Up {
        name: String,
    },
    Down {
        name: String,
    },
    SetMtu {
        name: String,
        mtu: u32,
    },
    SetMac {
        name: String,
        mac: [u8; 6],
    },
    /// An empty one clears.
    SetAlias {
        name: String,
        alias: String,
    },
    SetGroup {
        name: String,
        group: u32,
    },
    /// `None` releases.
    SetMaster {
        name: String,
        master: Option<String>,
    },
    AddAltname {
        name: String,
        altname: String,
    },
    DelAltname {
        name: String,
        altname: String,
    },
    /// 4 or 16 bytes.
    AddAddress {
        name: String,
        local: Vec<u8>,
        prefix: u8,
    },
    DelAddress {
        name: String,
        local: Vec<u8>,
        prefix: u8,
    },
    /// IFLA_BR_*, a number of so many bytes.
    SetBridgeOption {
        name: String,
        id: u16,
        value: Vec<u8>,
    },
    MoveOut {
        name: String,
    },
    /// About a route, a rule, a neighbour or a nexthop object.
    Keyed {
        text: String,
        bytes: Vec<u8>,
    },
}

impl Kernel {
    /// Performs `op` as another program.
    pub fn perform(&mut self, op: &Op) -> Answer {
        let Some(bytes) = op.request(self) else {
            return Err(libc::ENODEV.into());
        };
        self.foreign(&bytes).pop().unwrap_or(Ok(()))
    }
}

impl Op {
    /// The request; `None` when it names a link that is not there.
    pub fn request(&self, kernel: &Kernel) -> Option<Vec<u8>> {
        let index = |name: &str| kernel.index_of(name);
        let text = |value: &str| value.to_owned();
        Some(match self {
            Op::Create { name, kind } => {
                link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, IfInfo::default(), |to| {
                    to.text(IFLA_IFNAME, name);
                    to.nest(IFLA_LINKINFO, |to| {
                        to.text(IFLA_INFO_KIND, kind);
                        if *kind == "veth" {
                            to.nest(IFLA_INFO_DATA, |to| {
                                let mut peer = Writer(IfInfo::default().emit());
                                peer.text(IFLA_IFNAME, &format!("{name}p"));
                                to.bytes(VETH_INFO_PEER, &peer.0);
                            });
                        }
                    });
                })
            }
            Op::Delete { name } => link(RTM_DELLINK, 0, at(index(name)?), |_| {}),
            Op::Rename { name, to: new } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.text(IFLA_IFNAME, new);
            }),
            Op::Up { name } => {
                let info = IfInfo { flags: IFF_UP, change: IFF_UP, ..at(index(name)?) };
                link(RTM_NEWLINK, 0, info, |_| {})
            }
            Op::Down { name } => {
                link(RTM_NEWLINK, 0, IfInfo { change: IFF_UP, ..at(index(name)?) }, |_| {})
            }
            Op::SetMtu { name, mtu } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.u32(IFLA_MTU, *mtu);
            }),
            Op::SetMac { name, mac } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.bytes(IFLA_ADDRESS, mac);
            }),
            Op::SetAlias { name, alias } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.bytes(IFLA_IFALIAS, alias.as_bytes());
            }),
            Op::SetGroup { name, group } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.u32(IFLA_GROUP, *group);
            }),
            Op::SetMaster { name, master } => {
                let master = match master {
                    Some(master) => index(master)?,
                    None => 0,
                };
                link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                    to.u32(IFLA_MASTER, master as u32);
                })
            }
            Op::AddAltname { name, altname } => {
                property(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL, index(name)?, text(altname))
            }
            Op::DelAltname { name, altname } => {
                property(RTM_DELLINKPROP, 0, index(name)?, text(altname))
            }
            Op::AddAddress { name, local, prefix } => {
                address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index(name)?, local, *prefix)
            }
            Op::DelAddress { name, local, prefix } => {
                address(RTM_DELADDR, 0, index(name)?, local, *prefix)
            }
            Op::SetBridgeOption { name, id, value } => {
                link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                    to.nest(IFLA_LINKINFO, |to| {
                        to.text(IFLA_INFO_KIND, "bridge");
                        to.nest(IFLA_INFO_DATA, |to| {
                            to.bytes(*id, value);
                        });
                    });
                })
            }
            Op::Keyed { bytes, .. } => bytes.clone(),
            Op::MoveOut { name } => link(RTM_NEWLINK, 0, at(index(name)?), |to| {
                to.u32(IFLA_NET_NS_FD, 3);
            }),
        })
    }

    /// Something that another program might do to what is there, chosen by the kernel's own seed.
    pub fn random(kernel: &mut Kernel) -> Op {
        let names: Vec<String> = kernel.links.values().map(|link| link.name.clone()).collect();
        let bridges: Vec<String> = kernel
            .links
            .values()
            .filter(|link| matches!(link.data, Data::Bridge(_)))
            .map(|link| link.name.clone())
            .collect();
        let rng = &mut kernel.rng;
        let name = names[rng.below(names.len())].clone();
        let number = rng.below(200) as u8;
        let local = vec![10, 77, number % 4, 1 + number];
        match rng.below(28) {
            0 => Op::Create {
                name: format!("other{number}"),
                kind: ["bridge", "ifb", "veth"][rng.below(3)],
            },
            1 if name != "lo" => Op::Delete { name },
            2 if name != "lo" => Op::Rename { name, to: format!("moved{number}") },
            3 | 4 => Op::Up { name },
            5 => Op::Down { name },
            6 => Op::SetMtu { name, mtu: 1300 + u32::from(number) },
            7 => Op::SetAlias { name, alias: format!("alias {number}") },
            8 => Op::SetGroup { name, group: u32::from(number) },
            9 | 10 if !bridges.is_empty() => {
                let master = bridges[rng.below(bridges.len())].clone();
                Op::SetMaster { name, master: (number % 3 != 0).then_some(master) }
            }
            11 => Op::DelAddress { name, local, prefix: 24 },
            12 => Op::AddAltname { name, altname: format!("a-rather-long-name-{number}") },
            13 => Op::AddAddress { name, local, prefix: 24 },
            20..=22 => Op::random_rule(kernel, name),
            23..=24 => Op::random_neighbour(kernel, &name),
            25..=27 => Op::random_nexthop(kernel, &name),
            _ => Op::random_route(kernel),
        }
    }

    /// Priorities and selectors are few, so that they meet.
    fn random_rule(kernel: &mut Kernel, name: String) -> Op {
        let rng = &mut kernel.rng;
        let six = rng.below(3) == 0;
        let add = rng.below(3) > 0;
        let mut body = Writer(vec![if six { AF_INET6 } else { AF_INET }, 0, 0, 0, 0, 0, 0, 0]);
        body.0.extend_from_slice(&[0; 4]);
        body.0[7] = if add { [1, 1, 1, 6, 7][rng.below(5)] } else { 0 };
        body.u32(FRA_PRIORITY, [100, 200, 201, 202][rng.below(4)]);
        if add && body.0[7] == 1 {
            body.u32(FRA_TABLE, [100, 254][rng.below(2)]);
        }
        match rng.below(4) {
            0 => {
                let net: &[u8] = if six { &[0x20, 1, 0xd, 0xb8] } else { &[10, 5, 0, 0] };
                body.0[2] = 16;
                let mut net = net.to_vec();
                net.resize(if six { 16 } else { 4 }, 0);
                body.bytes(FRA_SRC, &net);
            }
            1 => drop(body.text(FRA_IIFNAME, &name)),
            2 => drop(body.u32(FRA_FWMARK, 7)),
            _ => {}
        }
        let (kind, flags) = match add {
            true => (RTM_NEWRULE, NLM_F_CREATE | [NLM_F_EXCL, NLM_F_EXCL, 0][rng.below(3)]),
            false => (RTM_DELRULE, 0),
        };
        let bytes = wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0);
        Op::Keyed { text: format!("rule {kind} {flags:#x} {:?}", body.0), bytes }
    }

    fn random_neighbour(kernel: &mut Kernel, name: &str) -> Op {
        // Those of the loopback are all one.
        let index = kernel.index_of(name).filter(|index| *index != 1).unwrap_or(2);
        let rng = &mut kernel.rng;
        let state: u16 = [128, 128, 2, 4][rng.below(4)];
        let proxy = if rng.below(5) == 0 { NTF_PROXY } else { 0 };
        // What somebody keeps there who need not be asked again goes with the carrier all the same.
        let learned = if proxy == 0 && state == 4 { NTF_EXT_LEARNED } else { 0 };
        let mut body = Writer(vec![AF_INET, 0, 0, 0]);
        body.0.extend_from_slice(&index.to_ne_bytes());
        body.0.extend_from_slice(&state.to_ne_bytes());
        body.0.extend_from_slice(&[proxy | learned, 0]);
        body.bytes(NDA_DST, &[10, 0, 0, 250 + rng.below(5) as u8]);
        if proxy == 0 {
            body.bytes(NDA_LLADDR, &[2, 0, 0, 0, 2, rng.below(3) as u8]);
        }
        let (kind, flags) = match rng.below(3) {
            0 => (RTM_DELNEIGH, 0),
            1 => (RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL),
            _ => (RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE),
        };
        let bytes = wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0);
        Op::Keyed { text: format!("neighbour {name} {kind} {flags:#x} {:?}", body.0), bytes }
    }

    fn random_nexthop(kernel: &mut Kernel, name: &str) -> Op {
        let index = kernel.index_of(name).unwrap_or(1);
        let rng = &mut kernel.rng;
        let group = rng.below(3) == 0;
        let family = if group { 0 } else { [AF_INET, AF_INET, AF_INET6][rng.below(3)] };
        let id: u32 = if group { 10 } else { 1 } + rng.below(4) as u32;
        let mut body = Writer(vec![family, 0, 0, 0, 0, 0, 0, 0]);
        body.u32(NHA_ID, id);
        let (kind, flags) = match rng.below(3) {
            0 => (RTM_DELNEXTHOP, 0),
            1 => (RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL),
            _ => (RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE),
        };
        match (kind, group) {
            (RTM_DELNEXTHOP, _) => body.0[0] = 0,
            (_, true) => {
                let first = 1 + rng.below(4) as u8;
                let mut members = vec![first, 0, 0, 0, rng.below(3) as u8, 0, 0, 0];
                if rng.below(2) == 0 {
                    members.extend([1 + first % 4, 0, 0, 0, 0, 0, 0, 0]);
                }
                body.bytes(NHA_GROUP, &members);
            }
            _ => drop(body.u32(NHA_OIF, index as u32)),
        }
        let bytes = wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0);
        Op::Keyed { text: format!("nexthop {id} {name} {kind} {flags:#x} {:?}", body.0), bytes }
    }

    /// Prefixes and ways are few, so that they meet.
    fn random_route(kernel: &mut Kernel) -> Op {
        let indexes: Vec<i32> = kernel.links.keys().copied().collect();
        let mut sources: Vec<[u8; 4]> = Vec::new();
        for list in kernel.links.values().filter_map(|link| link.inet.as_ref()) {
            sources.extend(list.iter().map(|address| address.local));
        }
        let rng = &mut kernel.rng;
        let six = rng.below(2) == 0;
        let mut way = || {
            let oif = indexes[rng.below(indexes.len())];
            let last = 2 + rng.below(4) as u8;
            let gateway = match (rng.below(3), six) {
                (0, _) => Vec::new(),
                (_, true) => [&[0xfe, 0x80][..], &[0; 13], &[last]].concat(),
                _ if sources.is_empty() => vec![10, 77, 0, last],
                _ => {
                    let [a, b, c, d] = sources[rng.below(sources.len())];
                    vec![a, b, c, d ^ last]
                }
            };
            let oif = if six || gateway.is_empty() || last > 3 { oif } else { 0 };
            Way { oif, gateway, hops: last % 3, ..Way::default() }
        };
        let ways: Vec<Way> = [way(), way(), way()].into();
        let count = [1, 1, 1, 2, 3, 0][rng.below(6)];
        let (kind, flags, count) = match rng.below(8) {
            0..=2 => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, count.max(1)),
            3 => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, count.max(1)),
            4 => (RTM_NEWROUTE, NLM_F_CREATE, count.max(1)),
            5 => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, count.max(1)),
            _ => (RTM_DELROUTE, 0, count),
        };
        let net = rng.below(5) as u8;
        let dst = if six { [&[0xfd, 9, net][..], &[0; 13]].concat() } else { vec![10, 90, net, 0] };
        let metric = [0, 0, 5][rng.below(3)];
        let table = [254, 254, 100][rng.below(3)];
        let bytes = route(kind, flags, &dst, 24, &ways[..count], (table, metric, 0));
        Op::Keyed { text: format!("{kind} {flags:#x} {dst:?} {:?}", &ways[..count]), bytes }
    }
}

fn at(index: i32) -> IfInfo {
    IfInfo { index, ..IfInfo::default() }
}

/// A request about a link, sequence number 0.
pub fn link(kind: u16, flags: u16, info: IfInfo, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut body = Writer(info.emit());
    fill(&mut body);
    wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0)
}

fn property(kind: u16, flags: u16, index: i32, altname: String) -> Vec<u8> {
    link(kind, flags, at(index), |to| {
        to.nest(IFLA_PROP_LIST | 0x8000, |to| {
            to.text(IFLA_ALT_IFNAME, &altname);
        });
    })
}

/// A request about an IPv6 route of the main table by one way; an mtu of 0 is none.
pub fn route6(kind: u16, flags: u16, dst: [u8; 6], len: u8, way: &Way, mtu: u32) -> Vec<u8> {
    let mut to = [0; 16];
    to[..6].copy_from_slice(&dst);
    route(kind, flags, &to, len, std::slice::from_ref(way), (254, 0, mtu))
}

/// A request about a route; the family follows from the length of the destination. Table, metric, and mtu, of which 0 is
/// none.
pub fn route(
    kind: u16,
    flags: u16,
    dst: &[u8],
    len: u8,
    ways: &[Way],
    (table, metric, mtu): (u8, u32, u32),
) -> Vec<u8> {
    let six = dst.len() == 16;
    let direct = !six && ways.iter().all(|way| way.gateway.is_empty());
    let scope = match kind {
        RTM_DELROUTE => 255,
        _ if direct => 253,
        _ => 0,
    };
    let family = if six { AF_INET6 } else { AF_INET };
    let protocol = if kind == RTM_DELROUTE { 0 } else { 4 };
    let mut body = Writer(vec![family, len, 0, 0, table, protocol, scope, 1, 0, 0, 0, 0]);
    body.bytes(RTA_DST, dst);
    if metric != 0 {
        body.u32(RTA_PRIORITY, metric);
    }
    if mtu != 0 {
        body.nest(RTA_METRICS, |to| {
            to.u32(2, mtu);
        });
    }
    match ways {
        [] => {}
        [way] => super::route::put_way(&mut body, way),
        ways => super::route::put_legs(&mut body, ways.iter()),
    }
    wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0)
}

/// A request about an address, sequence number 0; the family follows from its length.
pub fn address(kind: u16, flags: u16, index: i32, local: &[u8], prefix: u8) -> Vec<u8> {
    let family = if local.len() == 4 { AF_INET } else { AF_INET6 };
    let mut body = Writer(IfAddr { family, prefix, index, ..IfAddr::default() }.emit());
    body.bytes(IFA_LOCAL, local).bytes(IFA_ADDRESS, local);
    wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0)
}
