//! A link: what `struct net_device` holds, as far as messages tell of it.

use super::bridge::{Bridge, Port};
use super::inet::Address4;
use super::inet6::Inet6;
use super::kind::Macvlan;
use super::vxlan::Vxlan;
use super::wire::uapi::*;

pub type Mac = [u8; 6];

pub const OPER_UNKNOWN: u8 = 0;
pub const OPER_DOWN: u8 = 2;
pub const OPER_LOWERLAYERDOWN: u8 = 3;
pub const OPER_UP: u8 = 6;

#[derive(Clone, Debug)]
pub struct Link {
    pub index: i32,
    pub name: String,
    pub altnames: Vec<String>,
    pub alias: Option<String>,
    pub data: Data,
    /// IFF_*, without those that are computed (RUNNING, LOWER_UP).
    pub flags: u32,
    /// PROMISC and ALLMULTI as the user asked for them.
    pub user_flags: u32,
    pub promiscuity: i32,
    pub allmulti: i32,
    /// Promiscuous because a macvlan above wants more unicast addresses than the device can filter.
    pub unicast_promisc: bool,
    pub mtu: u32,
    pub min_mtu: u32,
    pub max_mtu: u32,
    pub txqlen: u32,
    pub group: u32,
    pub address: Mac,
    pub broadcast: Mac,
    /// NET_ADDR_SET: the user chose the address.
    pub address_set: bool,
    pub master: Option<i32>,
    pub port: Option<Port>,
    pub carrier: bool,
    pub carrier_up: u32,
    pub carrier_down: u32,
    pub operstate: u8,
    pub linkmode: u8,
    pub proto_down: bool,
    pub qdisc: &'static str,
    pub tso_max_size: u32,
    pub inet: Option<Vec<Address4>>,
    pub inet6: Option<Inet6>,
    /// False while a link comes or goes: then nothing is said about it but RTM_DELLINK.
    pub registered: bool,
    /// Whether its first RTM_NEWLINK is out; before that not even RTM_DELLINK is sent.
    pub announced: bool,
}

/// What the kinds differ in.
#[derive(Clone, Debug)]
pub enum Data {
    Loopback,
    Bridge(Box<Bridge>),
    /// `away`: the peer's index when it lives in another namespace (id 0).
    Veth {
        peer: Option<i32>,
        away: Option<i32>,
    },
    Vxlan(Box<Vxlan>),
    Macvlan(Box<Macvlan>),
    Ifb,
}

impl Data {
    /// IFLA_INFO_KIND.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Data::Loopback => None,
            Data::Bridge(_) => Some("bridge"),
            Data::Veth { .. } => Some("veth"),
            Data::Vxlan(_) => Some("vxlan"),
            Data::Macvlan(_) => Some("macvlan"),
            Data::Ifb => Some("ifb"),
        }
    }
}

impl Link {
    pub fn ethernet(name: String, data: Data, address: Mac) -> Link {
        let noarp = matches!(data, Data::Ifb);
        Link {
            index: 0,
            name,
            altnames: Vec::new(),
            alias: None,
            flags: if noarp { IFF_BROADCAST | IFF_NOARP } else { IFF_BROADCAST | IFF_MULTICAST },
            user_flags: 0,
            promiscuity: 0,
            allmulti: 0,
            unicast_promisc: false,
            mtu: 1500,
            min_mtu: if noarp { 0 } else { 68 },
            max_mtu: if noarp { 0 } else { 65535 },
            txqlen: if noarp { 32 } else { 1000 },
            group: 0,
            address,
            broadcast: [0xff; 6],
            address_set: false,
            master: None,
            port: None,
            carrier: true,
            carrier_up: 0,
            carrier_down: 0,
            operstate: OPER_UNKNOWN,
            linkmode: 0,
            proto_down: false,
            qdisc: "noop",
            tso_max_size: if matches!(data, Data::Bridge(_) | Data::Vxlan(_)) {
                65536
            } else {
                524_280
            },
            data,
            inet: None,
            inet6: None,
            registered: false,
            announced: false,
        }
    }

    pub fn loopback() -> Link {
        let mut link = Link::ethernet("lo".to_owned(), Data::Loopback, [0; 6]);
        link.index = 1;
        link.flags = IFF_LOOPBACK;
        link.mtu = 65536;
        link.min_mtu = 0;
        link.max_mtu = 0;
        link.broadcast = [0; 6];
        link.inet = Some(Vec::new());
        link.inet6 = Some(Inet6::default());
        link.registered = true;
        link.announced = true;
        link
    }

    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    pub fn is_loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    /// `netif_oper_up`
    pub fn oper_up(&self) -> bool {
        matches!(self.operstate, OPER_UNKNOWN | OPER_UP)
    }

    /// `dev_get_flags`: what messages show.
    pub fn shown_flags(&self) -> u32 {
        let mut flags = (self.flags & !(IFF_PROMISC | IFF_ALLMULTI)) | self.user_flags;
        if self.is_up() {
            if self.oper_up() {
                flags |= IFF_RUNNING;
            }
            if self.carrier {
                flags |= IFF_LOWER_UP;
            }
        }
        flags
    }

    /// The operstate as messages show it: DOWN whenever the link is not up.
    pub fn shown_operstate(&self) -> u8 {
        if self.is_up() { self.operstate } else { OPER_DOWN }
    }

    /// `dev_get_iflink`: the index below, or the peer's; 0 for a veth whose peer is elsewhere or gone.
    pub fn iflink(&self) -> i32 {
        match &self.data {
            Data::Veth { peer, away } => peer.or(*away).unwrap_or(0),
            Data::Macvlan(macvlan) => macvlan.lower,
            _ => self.index,
        }
    }

    /// The link this one stands on, so that it goes with it.
    pub fn lower(&self) -> Option<i32> {
        match &self.data {
            Data::Vxlan(vxlan) => vxlan.lower,
            Data::Macvlan(macvlan) => Some(macvlan.lower),
            _ => None,
        }
    }

    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.altnames.iter().any(|altname| altname == name)
    }

    pub fn bridge(&self) -> Option<&Bridge> {
        if let Data::Bridge(bridge) = &self.data { Some(bridge) } else { None }
    }

    pub fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        if let Data::Bridge(bridge) = &mut self.data { Some(bridge) } else { None }
    }
}
