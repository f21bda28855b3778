//! What other programs do: a handful of operations, typed, performed as requests of their own.

use super::Kernel;
use super::link::Data;
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
        match rng.below(14) {
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
            _ => Op::AddAddress { name, local, prefix: 24 },
        }
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

/// A request about an address, sequence number 0; the family follows from its length.
pub fn address(kind: u16, flags: u16, index: i32, local: &[u8], prefix: u8) -> Vec<u8> {
    let family = if local.len() == 4 { AF_INET } else { AF_INET6 };
    let mut body = Writer(IfAddr { family, prefix, index, ..IfAddr::default() }.emit());
    body.bytes(IFA_LOCAL, local).bytes(IFA_ADDRESS, local);
    wire::message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, 0, 0, &body.0)
}
