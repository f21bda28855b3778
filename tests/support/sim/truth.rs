//! The truth, for judges: what is there, as plain values that can be compared and printed.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Kernel;
use super::bridge_options;
use super::link::Link;
use super::nexthop::{Nexthop, What};
use super::rules::Rule;
use super::wire::Writer;
use super::wire::uapi::AF_INET6;

fn expiry(leg: &super::fib6::Leg6) -> String {
    match (leg.preference, leg.expires) {
        (0, None) => String::new(),
        (preference, expires) => format!(" pref {preference} expires {}", expires.unwrap_or(0)),
    }
}

/// A link as it is. Options are in their wire form, in the kernel's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTruth {
    pub index: i32,
    pub name: String,
    /// Sorted.
    pub altnames: Vec<String>,
    pub alias: Option<String>,
    /// `None` for the loopback.
    pub kind: Option<&'static str>,
    /// As messages show them.
    pub flags: u32,
    pub up: bool,
    pub mtu: u32,
    pub txqlen: u32,
    pub group: u32,
    pub address: [u8; 6],
    pub broadcast: [u8; 6],
    pub master: Option<i32>,
    /// The link below, or the peer.
    pub lower: Option<i32>,
    pub operstate: u8,
    pub carrier: bool,
    pub promiscuity: u32,
    /// IFLA_INFO_DATA: number and bytes.
    pub options: Vec<(u16, Vec<u8>)>,
    /// IFLA_INFO_SLAVE_DATA of a bridge port.
    pub port_options: Vec<(u16, Vec<u8>)>,
}

/// An address as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressTruth {
    pub index: i32,
    pub local: IpAddr,
    pub peer: Option<IpAddr>,
    pub prefix: u8,
    pub broadcast: Option<IpAddr>,
    pub label: Option<String>,
    pub scope: u8,
    pub flags: u32,
    pub protocol: u8,
    pub priority: u32,
    /// Seconds, `u32::MAX` for ever.
    pub valid: u32,
    pub preferred: u32,
}

/// A route as it is: what it is looked up by, and what it says. IPv4 routes of one key are in the kernel's order; of an
/// IPv6 group each leg is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTruth {
    /// `4 table 254 10.0.0.0/8 tos 0 metric 0`
    pub key: String,
    /// Everything else, marks of state (dead, linkdown) aside.
    pub value: String,
    pub table: u32,
    pub dst: IpAddr,
    pub len: u8,
    pub protocol: u8,
    /// Interfaces of its ways.
    pub links: Vec<i32>,
}

/// A neighbour or a proxy as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourTruth {
    pub index: i32,
    pub address: IpAddr,
    pub proxy: bool,
    /// Whether a program has made it and keeps it; what is learned comes and goes by itself.
    pub is_kept: bool,
    /// `lladdr 02:... state 0x80 flags 0x0`
    pub value: String,
}

/// A rule as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTruth {
    /// 4 or 6.
    pub family: u8,
    pub priority: u32,
    /// Everything else that was asked for.
    pub value: String,
}

impl Kernel {
    /// All nexthop objects: number and all that was asked for.
    pub fn nexthops(&self) -> Vec<(u32, String)> {
        let value = |nexthop: &Nexthop| {
            let what = match &nexthop.what {
                What::Group(members) => format!("group {members:?}"),
                What::Single { family, blackhole: true, .. } => format!("blackhole {family}"),
                What::Single { family, way, .. } => {
                    let ways = std::slice::from_ref(way);
                    let none = Default::default();
                    format!("{family} {}", route_value((1, 4, 0), &[], &none, ways))
                }
            };
            format!("{what} proto {}", nexthop.protocol)
        };
        self.nexthops.all.values().map(|nexthop| (nexthop.id, value(nexthop))).collect()
    }

    /// All neighbours but those that have failed or are unknown, and all proxies.
    pub fn neighbours(&self) -> Vec<NeighbourTruth> {
        let address = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
            Ok(four) => IpAddr::from(four),
            Err(_) => <[u8; 16]>::try_from(bytes).map_or(Ipv6Addr::UNSPECIFIED, Into::into).into(),
        };
        let known = self.neighbours.all.iter().filter(|own| own.state & !0x20 != 0);
        let all = known.map(|own| NeighbourTruth {
            index: own.index,
            address: address(&own.dst),
            proxy: false,
            is_kept: own.state & 0xc0 != 0 || own.flags != 0,
            value: format!(
                "lladdr {} state {:#x} flags {:#x} proto {}",
                own.lladdr.map(|byte| format!("{byte:02x}")).concat(),
                own.state & 0xc0,
                own.flags,
                own.protocol
            ),
        });
        let proxies = self.neighbours.proxies.iter().map(|own| NeighbourTruth {
            index: own.index,
            address: address(&own.dst),
            proxy: true,
            is_kept: true,
            value: format!("flags {:#x} proto {}", own.flags, own.protocol),
        });
        all.chain(proxies).collect()
    }

    /// All rules, in the order in which they are asked.
    pub fn rules(&self) -> Vec<RuleTruth> {
        let truth = |rule: &Rule| RuleTruth {
            family: if rule.family == AF_INET6 { 6 } else { 4 },
            priority: rule.priority,
            value: rule_value(rule),
        };
        self.rules.four.iter().chain(&self.rules.six).map(truth).collect()
    }

    /// All routes, by key.
    pub fn routes(&self) -> Vec<RouteTruth> {
        let four = self.fib4.routes.iter().flat_map(|(key, list)| {
            list.iter().map(|alias| RouteTruth {
                key: format!(
                    "4 table {} {}/{} tos {} metric {}",
                    key.table,
                    Ipv4Addr::from(key.dst),
                    key.len,
                    key.tos,
                    key.priority
                ),
                value: route_value(
                    (alias.kind, alias.protocol, alias.scope),
                    &alias.prefsrc,
                    &alias.metrics,
                    &alias.ways,
                ) + &by_nexthop(alias.nexthop),
                table: key.table,
                dst: Ipv4Addr::from(key.dst).into(),
                len: key.len,
                protocol: alias.protocol,
                links: alias.ways.iter().map(|way| way.oif).collect(),
            })
        });
        let six = self.fib6.nodes.iter().flat_map(|((table, dst, len), list)| {
            list.iter().map(move |leg| RouteTruth {
                key: format!(
                    "6 table {table} {}/{len} metric {}",
                    Ipv6Addr::from(*dst),
                    leg.metric
                ),
                value: route_value(
                    (leg.kind, leg.protocol, 0),
                    &leg.prefsrc,
                    &leg.metrics,
                    &std::iter::once(&leg.way).chain(&leg.others).cloned().collect::<Vec<_>>(),
                ) + &expiry(leg)
                    + &by_nexthop(leg.nexthop),
                table: *table,
                dst: Ipv6Addr::from(*dst).into(),
                len: *len,
                protocol: leg.protocol,
                links: std::iter::once(&leg.way).chain(&leg.others).map(|way| way.oif).collect(),
            })
        });
        four.chain(six).collect()
    }

    /// All links by index.
    pub fn links(&self) -> Vec<LinkTruth> {
        self.links.values().map(|link| self.link_truth(link)).collect()
    }

    pub fn link_named(&self, name: &str) -> Option<LinkTruth> {
        let link = self.links.values().find(|link| link.answers_to(name))?;
        Some(self.link_truth(link))
    }

    /// All addresses by link, IPv4 before IPv6, in the kernel's own order, which counts (K25).
    pub fn addresses(&self) -> Vec<AddressTruth> {
        self.links.values().flat_map(addresses_of).collect()
    }

    /// Everything, one line each.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for link in self.links() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{link}");
            for address in self.addresses().iter().filter(|address| address.index == link.index) {
                let _ = writeln!(text, "    {address}");
            }
        }
        for route in self.routes() {
            let _ = writeln!(text, "{} {}", route.key, route.value);
        }
        for (id, value) in self.nexthops() {
            let _ = writeln!(text, "nexthop {id} {value}");
        }
        for one in self.neighbours() {
            let title = if one.proxy { "proxy" } else { "neighbour" };
            let _ = writeln!(text, "{title} {} dev {} {}", one.address, one.index, one.value);
        }
        for rule in self.rules() {
            let _ = writeln!(text, "rule {} {}: {}", rule.family, rule.priority, rule.value);
        }
        text
    }

    fn link_truth(&self, link: &Link) -> LinkTruth {
        let mut altnames = link.altnames.clone();
        altnames.sort();
        let mut options = Writer::default();
        self.write_data(&link.data, &mut options);
        let mut port_options = Writer::default();
        let master = link.master.and_then(|master| self.links.get(&master)).and_then(Link::bridge);
        if let (Some(port), Some(bridge)) = (&link.port, master) {
            bridge_options::write_port(bridge, port, &mut port_options);
        }
        let inner = options.0.get(4..).unwrap_or_default();
        LinkTruth {
            index: link.index,
            name: link.name.clone(),
            altnames,
            alias: link.alias.clone(),
            kind: link.data.kind(),
            flags: link.shown_flags(),
            up: link.is_up(),
            mtu: link.mtu,
            txqlen: link.txqlen,
            group: link.group,
            address: link.address,
            broadcast: link.broadcast,
            master: link.master,
            lower: (link.iflink() != link.index).then(|| link.iflink()),
            operstate: link.shown_operstate(),
            carrier: link.carrier,
            promiscuity: link.promiscuity as u32,
            options: list(inner),
            port_options: list(&port_options.0),
        }
    }
}

fn by_nexthop(id: Option<u32>) -> String {
    id.map(|id| format!(" nhid {id}")).unwrap_or_default()
}

fn rule_value(rule: &Rule) -> String {
    let mut words = Vec::new();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut push = |title: &str, value: String, usual: &str| {
        if value != usual {
            words.push(format!("{title} {value}"));
        }
    };
    push("not", (rule.flags & 2 != 0).to_string(), "false");
    push("from", format!("{}/{}", hex(&rule.src), rule.src_len), "/0");
    push("to", format!("{}/{}", hex(&rule.dst), rule.dst_len), "/0");
    push("iif", rule.iif.name.clone(), "");
    push("oif", rule.oif.name.clone(), "");
    push("tos", rule.tos.to_string(), "0");
    push("mark", format!("{:#x}/{:#x}", rule.mark, rule.mask), "0x0/0x0");
    push("tun", hex(&rule.tun_id), &hex(&[0; 8]));
    push("users", format!("{:?}", rule.users), "None");
    push("ipproto", rule.ip_proto.to_string(), "0");
    push("sport", format!("{:?}", rule.sport), "None");
    push("dport", format!("{:?}", rule.dport), "None");
    push("l3mdev", rule.l3mdev.to_string(), "0");
    push("action", rule.action.to_string(), "1");
    push("goto", rule.target.to_string(), "0");
    push("lookup", rule.table.to_string(), "0");
    push("bits", rule.suppress_prefixlen.to_string(), "-1");
    push("group", rule.suppress_ifgroup.to_string(), "-1");
    push("flow", rule.flow.to_string(), "0");
    push("proto", rule.protocol.to_string(), "0");
    words.join(" ")
}

fn route_value(
    (kind, protocol, scope): (u8, u8, u8),
    prefsrc: &[u8],
    metrics: &std::collections::BTreeMap<u16, u32>,
    ways: &[super::route::Way],
) -> String {
    let address = |bytes: &[u8]| match *bytes {
        [] => "-".to_owned(),
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| "?".to_owned(), |b| Ipv6Addr::from(b).to_string()),
    };
    let mut words = Vec::new();
    for (title, value, usual) in [("type", kind, 1), ("proto", protocol, 4), ("scope", scope, 0)] {
        if value != usual {
            words.push(format!("{title} {value}"));
        }
    }
    if prefsrc.iter().any(|byte| *byte != 0) {
        words.push(format!("src {}", address(prefsrc)));
    }
    for (id, value) in metrics {
        words.push(format!("metric {id}={value}"));
    }
    for way in ways {
        let mut parts = Vec::new();
        if !way.gateway.is_empty() {
            parts.push(format!("via {}", address(&way.gateway)));
        }
        parts.push(format!("dev {}", way.oif));
        if way.hops != 0 {
            parts.push(format!("hops {}", way.hops));
        }
        if way.flags & super::wire::uapi::RTNH_F_ONLINK != 0 {
            parts.push("onlink".to_owned());
        }
        words.push(parts.join(" "));
    }
    words.join(" ")
}

fn list(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let parsed = super::wire::Attributes::parse(bytes, 0);
    parsed.0.iter().map(|attribute| (attribute.id, attribute.value.to_vec())).collect()
}

fn addresses_of(link: &Link) -> Vec<AddressTruth> {
    let four = link.inet.iter().flatten().map(|a| AddressTruth {
        index: link.index,
        local: Ipv4Addr::from(a.local).into(),
        peer: (a.address != a.local).then(|| Ipv4Addr::from(a.address).into()),
        prefix: a.prefix,
        broadcast: a.broadcast.map(|broadcast| Ipv4Addr::from(broadcast).into()),
        label: Some(a.label.clone()),
        scope: a.scope,
        flags: a.flags,
        protocol: a.protocol,
        priority: a.priority,
        valid: a.valid,
        preferred: a.preferred,
    });
    let six = link.inet6.iter().flat_map(|inet6| &inet6.addresses).map(|a| AddressTruth {
        index: link.index,
        local: Ipv6Addr::from(a.address).into(),
        peer: a.peer.map(|peer| Ipv6Addr::from(peer).into()),
        prefix: a.prefix,
        broadcast: None,
        label: None,
        scope: a.scope(),
        flags: a.flags,
        protocol: a.protocol,
        priority: a.priority,
        valid: a.valid,
        preferred: a.preferred,
    });
    four.chain(six).collect()
}

impl fmt::Display for LinkTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = |mac: &[u8; 6]| {
            mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        };
        write!(f, "{}: {}", self.index, self.name)?;
        for altname in &self.altnames {
            write!(f, " altname {altname}")?;
        }
        write!(f, " {} flags {:#x} mtu {}", self.kind.unwrap_or("loopback"), self.flags, self.mtu)?;
        write!(
            f,
            " qlen {} group {} mac {} brd {}",
            self.txqlen,
            self.group,
            mac(&self.address),
            mac(&self.broadcast)
        )?;
        write!(f, " operstate {} carrier {}", self.operstate, u8::from(self.carrier))?;
        if let Some(master) = self.master {
            write!(f, " master {master}")?;
        }
        if let Some(lower) = self.lower {
            write!(f, " link {lower}")?;
        }
        if let Some(alias) = &self.alias {
            write!(f, " alias {alias:?}")?;
        }
        for (title, options) in [("options", &self.options), ("port", &self.port_options)] {
            if !options.is_empty() {
                write!(f, " {title}")?;
            }
            for (id, value) in options {
                write!(f, " {id}=")?;
                for byte in value {
                    write!(f, "{byte:02x}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for AddressTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.local)?;
        if let Some(peer) = self.peer {
            write!(f, " peer {peer}")?;
        }
        write!(f, "/{} scope {} flags {:#x}", self.prefix, self.scope, self.flags)?;
        if let Some(broadcast) = self.broadcast {
            write!(f, " brd {broadcast}")?;
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        if (self.protocol, self.priority) != (0, 0) {
            write!(f, " proto {} metric {}", self.protocol, self.priority)?;
        }
        if self.valid != u32::MAX {
            write!(f, " valid {} preferred {}", self.valid, self.preferred)?;
        }
        Ok(())
    }
}
