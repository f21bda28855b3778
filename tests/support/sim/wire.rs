//! Netlink as bytes, the small way: just enough to read requests and write answers.
//!
//! Deliberately not the crate's codec: whatever that gets wrong must be seen here.

/// Message types, flags and attribute numbers, under the kernel's own names (uapi/linux/netlink.h,
/// rtnetlink.h, if_link.h, if_addr.h).
pub mod uapi {
    pub const NLMSG_NOOP: u16 = 1;
    pub const NLMSG_ERROR: u16 = 2;
    pub const NLMSG_DONE: u16 = 3;
    pub const NLMSG_MIN_TYPE: u16 = 16;
    pub const RTM_NEWLINK: u16 = 16;
    pub const RTM_DELLINK: u16 = 17;
    pub const RTM_GETLINK: u16 = 18;
    pub const RTM_SETLINK: u16 = 19;
    pub const RTM_NEWADDR: u16 = 20;
    pub const RTM_DELADDR: u16 = 21;
    pub const RTM_GETADDR: u16 = 22;
    pub const RTM_NEWROUTE: u16 = 24;
    pub const RTM_DELROUTE: u16 = 25;
    pub const RTM_GETROUTE: u16 = 26;
    pub const RTM_NEWNEIGH: u16 = 28;
    pub const RTM_DELNEIGH: u16 = 29;
    pub const RTM_GETNEIGH: u16 = 30;
    pub const RTM_NEWRULE: u16 = 32;
    pub const RTM_DELRULE: u16 = 33;
    pub const RTM_GETRULE: u16 = 34;
    pub const RTM_NEWNEXTHOP: u16 = 104;
    pub const RTM_DELNEXTHOP: u16 = 105;
    pub const RTM_GETNEXTHOP: u16 = 106;
    pub const RTM_NEWLINKPROP: u16 = 108;
    pub const RTM_DELLINKPROP: u16 = 109;

    pub const NLM_F_REQUEST: u16 = 0x1;
    pub const NLM_F_MULTI: u16 = 0x2;
    pub const NLM_F_ACK: u16 = 0x4;
    pub const NLM_F_ECHO: u16 = 0x8;
    pub const NLM_F_DUMP_INTR: u16 = 0x10;
    pub const NLM_F_DUMP_FILTERED: u16 = 0x20;
    pub const NLM_F_DUMP: u16 = 0x300;
    pub const NLM_F_REPLACE: u16 = 0x100;
    pub const NLM_F_EXCL: u16 = 0x200;
    pub const NLM_F_BULK: u16 = 0x200;
    pub const NLM_F_CREATE: u16 = 0x400;
    pub const NLM_F_APPEND: u16 = 0x800;
    pub const NLM_F_CAPPED: u16 = 0x100;
    pub const NLM_F_ACK_TLVS: u16 = 0x200;

    pub const NLMSGERR_ATTR_MSG: u16 = 1;
    pub const NLMSGERR_ATTR_OFFS: u16 = 2;

    pub const RTNLGRP_LINK: u32 = 1;
    pub const RTNLGRP_NEIGH: u32 = 3;
    pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
    pub const RTNLGRP_IPV4_ROUTE: u32 = 7;
    pub const RTNLGRP_IPV4_RULE: u32 = 8;
    pub const RTNLGRP_IPV6_IFADDR: u32 = 9;
    pub const RTNLGRP_IPV6_ROUTE: u32 = 11;
    pub const RTNLGRP_IPV6_RULE: u32 = 19;
    pub const RTNLGRP_NEXTHOP: u32 = 32;

    pub const AF_UNSPEC: u8 = 0;
    pub const AF_INET: u8 = 2;
    pub const AF_BRIDGE: u8 = 7;
    pub const AF_INET6: u8 = 10;

    pub const IFF_UP: u32 = 0x1;
    pub const IFF_BROADCAST: u32 = 0x2;
    pub const IFF_LOOPBACK: u32 = 0x8;
    pub const IFF_RUNNING: u32 = 0x40;
    pub const IFF_NOARP: u32 = 0x80;
    pub const IFF_PROMISC: u32 = 0x100;
    pub const IFF_ALLMULTI: u32 = 0x200;
    pub const IFF_MULTICAST: u32 = 0x1000;
    pub const IFF_LOWER_UP: u32 = 0x10000;

    pub const IFLA_ADDRESS: u16 = 1;
    pub const IFLA_BROADCAST: u16 = 2;
    pub const IFLA_IFNAME: u16 = 3;
    pub const IFLA_MTU: u16 = 4;
    pub const IFLA_LINK: u16 = 5;
    pub const IFLA_QDISC: u16 = 6;
    pub const IFLA_STATS: u16 = 7;
    pub const IFLA_MASTER: u16 = 10;
    pub const IFLA_PROTINFO: u16 = 12;
    pub const IFLA_TXQLEN: u16 = 13;
    pub const IFLA_MAP: u16 = 14;
    pub const IFLA_OPERSTATE: u16 = 16;
    pub const IFLA_LINKMODE: u16 = 17;
    pub const IFLA_LINKINFO: u16 = 18;
    pub const IFLA_NET_NS_PID: u16 = 19;
    pub const IFLA_IFALIAS: u16 = 20;
    pub const IFLA_STATS64: u16 = 23;
    pub const IFLA_AF_SPEC: u16 = 26;
    pub const IFLA_GROUP: u16 = 27;
    pub const IFLA_NET_NS_FD: u16 = 28;
    pub const IFLA_EXT_MASK: u16 = 29;
    pub const IFLA_PROMISCUITY: u16 = 30;
    pub const IFLA_NUM_TX_QUEUES: u16 = 31;
    pub const IFLA_NUM_RX_QUEUES: u16 = 32;
    pub const IFLA_CARRIER: u16 = 33;
    pub const IFLA_CARRIER_CHANGES: u16 = 35;
    pub const IFLA_PROTO_DOWN: u16 = 39;
    pub const IFLA_GSO_MAX_SEGS: u16 = 40;
    pub const IFLA_GSO_MAX_SIZE: u16 = 41;
    pub const IFLA_XDP: u16 = 43;
    pub const IFLA_EVENT: u16 = 44;
    pub const IFLA_NEW_NETNSID: u16 = 45;
    pub const IFLA_CARRIER_UP_COUNT: u16 = 47;
    pub const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
    pub const IFLA_NEW_IFINDEX: u16 = 49;
    pub const IFLA_MIN_MTU: u16 = 50;
    pub const IFLA_MAX_MTU: u16 = 51;
    pub const IFLA_PROP_LIST: u16 = 52;
    pub const IFLA_ALT_IFNAME: u16 = 53;
    pub const IFLA_GRO_MAX_SIZE: u16 = 58;
    pub const IFLA_TSO_MAX_SIZE: u16 = 59;
    pub const IFLA_TSO_MAX_SEGS: u16 = 60;
    pub const IFLA_ALLMULTI: u16 = 61;
    pub const IFLA_DEVLINK_PORT: u16 = 62;
    pub const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;
    pub const IFLA_GRO_IPV4_MAX_SIZE: u16 = 64;
    pub const IFLA_DPLL_PIN: u16 = 65;
    pub const IFLA_MAX_PACING_OFFLOAD_HORIZON: u16 = 66;
    pub const IFLA_NETNS_IMMUTABLE: u16 = 67;
    pub const IFLA_HEADROOM: u16 = 68;
    pub const IFLA_TAILROOM: u16 = 69;

    pub const IFLA_INFO_KIND: u16 = 1;
    pub const IFLA_INFO_DATA: u16 = 2;
    pub const IFLA_INFO_SLAVE_KIND: u16 = 4;
    pub const IFLA_INFO_SLAVE_DATA: u16 = 5;
    pub const VETH_INFO_PEER: u16 = 1;

    pub const IFA_ADDRESS: u16 = 1;
    pub const IFA_LOCAL: u16 = 2;
    pub const IFA_LABEL: u16 = 3;
    pub const IFA_BROADCAST: u16 = 4;
    pub const IFA_CACHEINFO: u16 = 6;
    pub const IFA_FLAGS: u16 = 8;
    pub const IFA_RT_PRIORITY: u16 = 9;
    pub const IFA_PROTO: u16 = 11;

    pub const RTA_DST: u16 = 1;
    pub const RTA_OIF: u16 = 4;
    pub const RTA_GATEWAY: u16 = 5;
    pub const RTA_PRIORITY: u16 = 6;
    pub const RTA_PREFSRC: u16 = 7;
    pub const RTA_METRICS: u16 = 8;
    pub const RTA_MULTIPATH: u16 = 9;
    pub const RTA_CACHEINFO: u16 = 12;
    pub const RTA_TABLE: u16 = 15;
    pub const RTA_VIA: u16 = 18;
    pub const RTA_PREF: u16 = 20;
    pub const RTA_ENCAP_TYPE: u16 = 21;
    pub const RTA_EXPIRES: u16 = 23;
    pub const RTA_NH_ID: u16 = 30;

    pub const NHA_ID: u16 = 1;
    pub const NHA_GROUP: u16 = 2;
    pub const NHA_GROUP_TYPE: u16 = 3;
    pub const NHA_BLACKHOLE: u16 = 4;
    pub const NHA_OIF: u16 = 5;
    pub const NHA_GATEWAY: u16 = 6;
    pub const NHA_ENCAP_TYPE: u16 = 7;
    pub const NHA_FDB: u16 = 11;
    pub const NHA_OP_FLAGS: u16 = 14;

    pub const NDA_DST: u16 = 1;
    pub const NDA_LLADDR: u16 = 2;
    pub const NDA_CACHEINFO: u16 = 3;
    pub const NDA_PROBES: u16 = 4;
    pub const NDA_IFINDEX: u16 = 8;
    pub const NDA_PROTOCOL: u16 = 12;
    pub const NDA_FLAGS_EXT: u16 = 15;

    pub const NTF_PROXY: u8 = 8;

    pub const FRA_DST: u16 = 1;
    pub const FRA_SRC: u16 = 2;
    pub const FRA_IIFNAME: u16 = 3;
    pub const FRA_GOTO: u16 = 4;
    pub const FRA_PRIORITY: u16 = 6;
    pub const FRA_FWMARK: u16 = 10;
    pub const FRA_FLOW: u16 = 11;
    pub const FRA_TUN_ID: u16 = 12;
    pub const FRA_SUPPRESS_IFGROUP: u16 = 13;
    pub const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
    pub const FRA_TABLE: u16 = 15;
    pub const FRA_FWMASK: u16 = 16;
    pub const FRA_OIFNAME: u16 = 17;
    pub const FRA_L3MDEV: u16 = 19;
    pub const FRA_UID_RANGE: u16 = 20;
    pub const FRA_PROTOCOL: u16 = 21;
    pub const FRA_IP_PROTO: u16 = 22;
    pub const FRA_SPORT_RANGE: u16 = 23;
    pub const FRA_DPORT_RANGE: u16 = 24;
    pub const FRA_SPORT_MASK: u16 = 28;
    pub const FRA_DPORT_MASK: u16 = 29;

    pub const RTN_UNICAST: u8 = 1;
    pub const RTN_LOCAL: u8 = 2;
    pub const RTN_BROADCAST: u8 = 3;
    pub const RTN_ANYCAST: u8 = 4;
    pub const RTN_MULTICAST: u8 = 5;
    pub const RTN_MAX: u8 = 11;
    pub const RTPROT_KERNEL: u8 = 2;

    pub const RTNH_F_DEAD: u32 = 1;
    pub const RTNH_F_ONLINK: u32 = 4;
    pub const RTNH_F_LINKDOWN: u32 = 16;

    pub const IFA_F_SECONDARY: u32 = 0x01;
    pub const IFA_F_NODAD: u32 = 0x02;
    pub const IFA_F_OPTIMISTIC: u32 = 0x04;
    pub const IFA_F_DADFAILED: u32 = 0x08;
    pub const IFA_F_HOMEADDRESS: u32 = 0x10;
    pub const IFA_F_DEPRECATED: u32 = 0x20;
    pub const IFA_F_TENTATIVE: u32 = 0x40;
    pub const IFA_F_PERMANENT: u32 = 0x80;
    pub const IFA_F_MANAGETEMPADDR: u32 = 0x100;
    pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
    pub const IFA_F_MCAUTOJOIN: u32 = 0x400;
}

/// Why the kernel says no: the errno, its own words (`NLMSGERR_ATTR_MSG`), and the attribute it points at
/// (`NLMSGERR_ATTR_OFFS`, counted from the start of the request's header).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub errno: i32,
    pub words: Option<&'static str>,
    pub offset: Option<u32>,
}

impl Refusal {
    pub fn said(errno: i32, words: &'static str) -> Refusal {
        Refusal { errno, words: Some(words), offset: None }
    }

    pub fn at(mut self, attribute: &Attribute<'_>) -> Refusal {
        self.offset = Some(attribute.offset);
        self
    }
}

impl From<i32> for Refusal {
    fn from(errno: i32) -> Refusal {
        Refusal { errno, words: None, offset: None }
    }
}

pub type Answer<T = ()> = Result<T, Refusal>;

/// One message inside a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    pub port: u32,
    pub payload: &'a [u8],
    /// The 16 bytes an ACK quotes.
    pub header: &'a [u8],
}

/// The messages of a datagram; a bad length silently ends it, as in `netlink_rcv_skb` (K19).
pub fn messages(mut bytes: &[u8]) -> Vec<Message<'_>> {
    let mut found = Vec::new();
    while bytes.len() >= 16 {
        let length = u32_at(bytes, 0) as usize;
        if length < 16 || length > bytes.len() {
            break;
        }
        found.push(Message {
            kind: u16_at(bytes, 4),
            flags: u16_at(bytes, 6),
            seq: u32_at(bytes, 8),
            port: u32_at(bytes, 12),
            payload: &bytes[16..length],
            header: &bytes[..16],
        });
        bytes = &bytes[align(length).min(bytes.len())..];
    }
    found
}

/// One attribute of a request.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Without the NLA_F_NESTED and byte order bits.
    pub id: u16,
    pub value: &'a [u8],
    /// From the start of the message's header.
    pub offset: u32,
}

impl<'a> Attribute<'a> {
    pub fn u8(&self) -> Answer<u8> {
        self.value.first().copied().ok_or_else(|| self.too_short())
    }

    pub fn u16(&self) -> Answer<u16> {
        if self.value.len() < 2 { Err(self.too_short()) } else { Ok(u16_at(self.value, 0)) }
    }

    pub fn u32(&self) -> Answer<u32> {
        if self.value.len() < 4 { Err(self.too_short()) } else { Ok(u32_at(self.value, 0)) }
    }

    /// The text up to the first NUL.
    pub fn text(&self) -> String {
        let end = self.value.iter().position(|&byte| byte == 0).unwrap_or(self.value.len());
        String::from_utf8_lossy(&self.value[..end]).into_owned()
    }

    pub fn array<const N: usize>(&self) -> Answer<[u8; N]> {
        self.value.get(..N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| self.too_short())
    }

    pub fn nested(&self) -> Attributes<'a> {
        Attributes::parse(self.value, self.offset + 4)
    }

    pub fn too_short(&self) -> Refusal {
        Refusal::said(libc::ERANGE, "Attribute failed policy validation").at(self)
    }
}

/// The attributes of one level, in their order; of several with one number the last counts.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a>(pub Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    pub fn parse(bytes: &'a [u8], offset: u32) -> Attributes<'a> {
        let mut found = Vec::new();
        let mut at = 0;
        while at + 4 <= bytes.len() {
            let length = u16_at(bytes, at) as usize;
            if length < 4 || at + length > bytes.len() {
                break;
            }
            found.push(Attribute {
                id: u16_at(bytes, at + 2) & 0x3fff,
                value: &bytes[at + 4..at + length],
                offset: offset + at as u32,
            });
            at += align(length);
        }
        Attributes(found)
    }

    pub fn get(&self, id: u16) -> Option<Attribute<'a>> {
        self.0.iter().rev().find(|attribute| attribute.id == id).copied()
    }

    pub fn u32(&self, id: u16) -> Answer<Option<u32>> {
        self.get(id).map(|attribute| attribute.u32()).transpose()
    }

    /// Checks lengths as `nla_policy` does: everything is looked at before anything is done.
    pub fn check(&self, policy: &[(u16, Policy)]) -> Answer {
        for attribute in &self.0 {
            let Some((_, policy)) = policy.iter().find(|(id, _)| *id == attribute.id) else {
                continue;
            };
            let length = attribute.value.len();
            let fits = match *policy {
                Policy::AtLeast(least) => length >= least,
                Policy::AtMost(most) => length <= most,
                Policy::Text(most) => {
                    length >= 1
                        && attribute.value.len() - usize::from(attribute.value.ends_with(&[0]))
                            <= most
                }
            };
            if !fits {
                return Err(attribute.too_short());
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Policy {
    AtLeast(usize),
    AtMost(usize),
    /// NLA_STRING: at least one byte, at most so many without the NUL.
    Text(usize),
}

/// Writes attributes.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn bytes(&mut self, id: u16, value: &[u8]) -> &mut Writer {
        let ([a, b], [c, d]) = (((value.len() + 4) as u16).to_ne_bytes(), id.to_ne_bytes());
        self.0.extend_from_slice(&[a, b, c, d]);
        self.0.extend_from_slice(value);
        if value.len() % 4 != 0 {
            self.0.resize(align(self.0.len()), 0);
        }
        self
    }

    pub fn u8(&mut self, id: u16, value: u8) -> &mut Writer {
        self.bytes(id, &[value])
    }

    pub fn u16(&mut self, id: u16, value: u16) -> &mut Writer {
        self.bytes(id, &value.to_ne_bytes())
    }

    pub fn u32(&mut self, id: u16, value: u32) -> &mut Writer {
        self.bytes(id, &value.to_ne_bytes())
    }

    pub fn text(&mut self, id: u16, value: &str) -> &mut Writer {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(id, &bytes)
    }

    pub fn nest(&mut self, id: u16, fill: impl FnOnce(&mut Writer)) -> &mut Writer {
        let mut inner = Writer::default();
        fill(&mut inner);
        self.bytes(id, &inner.0)
    }
}

/// A whole message around a body (header of the family plus attributes).
pub fn message(kind: u16, flags: u16, seq: u32, port: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(align(16 + body.len()));
    bytes.extend_from_slice(&((16 + body.len()) as u32).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    bytes.extend_from_slice(&port.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(align(bytes.len()), 0);
    bytes
}

/// `struct ifinfomsg`.
#[derive(Clone, Copy, Debug, Default)]
pub struct IfInfo {
    pub family: u8,
    pub hardware: u16,
    pub index: i32,
    pub flags: u32,
    pub change: u32,
}

impl IfInfo {
    pub const LENGTH: usize = 16;

    pub fn parse(payload: &[u8]) -> Answer<IfInfo> {
        if payload.len() < IfInfo::LENGTH {
            return Err(Refusal::said(libc::EINVAL, "Invalid header length"));
        }
        Ok(IfInfo {
            family: payload[0],
            hardware: u16_at(payload, 2),
            index: u32_at(payload, 4) as i32,
            flags: u32_at(payload, 8),
            change: u32_at(payload, 12),
        })
    }

    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![self.family, 0];
        bytes.extend_from_slice(&self.hardware.to_ne_bytes());
        bytes.extend_from_slice(&self.index.to_ne_bytes());
        bytes.extend_from_slice(&self.flags.to_ne_bytes());
        bytes.extend_from_slice(&self.change.to_ne_bytes());
        bytes
    }
}

/// `struct ifaddrmsg`.
#[derive(Clone, Copy, Debug, Default)]
pub struct IfAddr {
    pub family: u8,
    pub prefix: u8,
    pub flags: u8,
    pub scope: u8,
    pub index: i32,
}

impl IfAddr {
    pub const LENGTH: usize = 8;

    pub fn parse(payload: &[u8]) -> Answer<IfAddr> {
        if payload.len() < IfAddr::LENGTH {
            return Err(Refusal::said(libc::EINVAL, "Invalid header length"));
        }
        Ok(IfAddr {
            family: payload[0],
            prefix: payload[1],
            flags: payload[2],
            scope: payload[3],
            index: u32_at(payload, 4) as i32,
        })
    }

    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![self.family, self.prefix, self.flags, self.scope];
        bytes.extend_from_slice(&self.index.to_ne_bytes());
        bytes
    }
}

pub fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// The caller has checked the length.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

/// The caller has checked the length.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
