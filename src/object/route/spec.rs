//! Routes as a user names them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::encap::Encap;
use super::super::shape::{Ip, Typed, Via};
use super::super::spec::{Draft, SpecError, address, family_of, prefix};
use super::super::{LinkRef, Record, Value};
use super::{
    AF_INET, AF_INET6, HOP, METRICS, PRIORITY_INET6, Preference, ROUTE, Route, RouteFlags,
    RouteKey, RouteProtocol, RouteScope, RouteType, TABLE_MAIN, hop_row, line, metric_row, row,
};

/// A route to be added, changed or removed: at least its destination, and what else the user names.
///
/// ```text
/// Route::to("10.2.0.0/16").via("10.0.0.2").mtu(1400)
/// Route::to("default").dev("eth0").table(100)
/// Route::to("10.3.0.0/16").nexthop(Hop::via("10.0.0.2").weight(10)).nexthop(Hop::via("10.0.1.2"))
/// ```
///
/// Texts are read at once; what is wrong with them is said by [`RouteSpec::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct RouteSpec {
    draft: Draft,
    metrics: Record,
    dev: Option<LinkRef>,
    gateway: Option<IpAddr>,
    hops: Vec<Hop>,
}

/// A leg of a multipath route to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    draft: Draft,
    dev: Option<LinkRef>,
    gateway: Option<IpAddr>,
}

impl Route {
    /// A route to a prefix (`10.2.0.0/16`), a single address, or `default`.
    ///
    /// `default` is IPv4's, unless a gateway, a source or a leg is IPv6's; `::/0` is always IPv6's.
    pub fn to(destination: impl fmt::Display) -> RouteSpec {
        let mut spec = RouteSpec {
            draft: Draft::new(&ROUTE),
            metrics: Record::new(&METRICS),
            dev: None,
            gateway: None,
            hops: Vec::new(),
        };
        match destination.to_string().as_str() {
            "default" => spec.draft.number(row::DST_LEN, 0u8),
            text => spec.destination(text),
        }
        spec
    }
}

macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident($type:ty) $row:ident;)*) => {
        impl RouteSpec {$(
            $(#[$meta])*
            pub fn $name(mut self, value: $type) -> Self {
                self.draft.number(row::$row, value);
                self
            }
        )*}
    };
}

numbers! {
    /// The table, 1 to 4294967295; 254, the main one, when it is not given.
    table(u32) TABLE;
    /// The priority: of two routes to the same prefix the one with the least is taken. When it is not given, or 0, it
    /// is 0 for IPv4 and 1024 for IPv6 (K24).
    priority(u32) PRIORITY;
    /// The type of service that a packet must have (IPv4).
    tos(u8) TOS;
    /// The nexthop object that says the way.
    nexthop_id(u32) NH_ID;
    /// How long the route shall last, in seconds (IPv6).
    expires(u32) EXPIRES;
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $name:ident $row:ident;)*) => {
        impl RouteSpec {$(
            $(#[$meta])*
            pub fn $name(mut self, value: u32) -> Self {
                self.metrics.set(metric_row::$row, Value::Number(value.into()));
                self
            }
        )*}
    };
}

metrics! {
    /// The MTU of the path, in bytes.
    mtu MTU;
    /// The largest window that TCP advertises, in bytes.
    window WINDOW;
    /// The initial round trip time, in 1/8 ms.
    rtt RTT;
    /// The initial variance of the round trip time, in 1/4 ms.
    rttvar RTTVAR;
    /// The initial slow start threshold, in segments.
    ssthresh SSTHRESH;
    /// The largest congestion window, in segments.
    cwnd CWND;
    /// The maximum segment size that TCP advertises, in bytes.
    advmss ADVMSS;
    /// How many segments may be out of order before one counts as lost.
    reordering REORDERING;
    /// The hop limit of packets, 1 to 255.
    hoplimit HOPLIMIT;
    /// The initial congestion window, in segments.
    initcwnd INITCWND;
    /// Features: 1 is explicit congestion notification.
    features FEATURES;
    /// The least retransmission timeout, in milliseconds.
    rto_min RTO_MIN;
    /// The initial receive window, in segments.
    initrwnd INITRWND;
    /// Whether TCP acknowledges at once: 0 or 1.
    quickack QUICKACK;
    /// Whether TCP fast open works without a cookie: 0 or 1.
    fastopen_no_cookie FASTOPEN_NO_COOKIE;
    /// Which metrics the transport protocols may not change: a bit each, by the number of `RTAX_*`.
    lock LOCK;
}

impl RouteSpec {
    /// The gateway: an IP address, of the route's family or, for an IPv4 route, of IPv6.
    pub fn via(mut self, gateway: impl fmt::Display) -> Self {
        self.gateway = self.draft.accept(address(&gateway.to_string()));
        self
    }

    /// The interface that packets leave by: by name, index or handle.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.dev = Some(link.into());
        self
    }

    /// The source address for packets that have none yet.
    pub fn src(mut self, source: impl fmt::Display) -> Self {
        self.draft.address(row::PREFSRC, &source.to_string());
        self
    }

    /// The prefix that the packet's source must be in (IPv6).
    pub fn from(mut self, source: impl fmt::Display) -> Self {
        if let Some(net) = self.draft.accept(prefix(&source.to_string())) {
            self.draft.record.set(row::SRC, Ip::write(net.addr()));
            self.draft.number(row::SRC_LEN, net.prefix_len());
        }
        self
    }

    /// Who makes the route; [`RouteProtocol::STATIC`] when it is not given.
    pub fn protocol(mut self, protocol: RouteProtocol) -> Self {
        self.draft.number(row::PROTOCOL, protocol.0);
        self
    }

    /// How far away the destination is (IPv4). When it is not given: `host` for a local route, `link` for one without a
    /// gateway, `global` for the others, as `ip` has it.
    pub fn scope(mut self, scope: RouteScope) -> Self {
        self.draft.number(row::SCOPE, scope.0);
        self
    }

    /// What becomes of a packet; [`RouteType::UNICAST`] when it is not given.
    pub fn kind(mut self, kind: RouteType) -> Self {
        self.draft.number(row::TYPE, kind.0);
        self
    }

    /// Packets are dropped.
    pub fn blackhole(self) -> Self {
        self.kind(RouteType::BLACKHOLE)
    }

    /// Packets are dropped, the sender hears that the host is unreachable.
    pub fn unreachable(self) -> Self {
        self.kind(RouteType::UNREACHABLE)
    }

    /// Packets are dropped, the sender hears that it is prohibited.
    pub fn prohibit(self) -> Self {
        self.kind(RouteType::PROHIBIT)
    }

    /// The lookup goes on with the next rule.
    pub fn throw(self) -> Self {
        self.kind(RouteType::THROW)
    }

    /// The gateway is taken to be on the link, although no address there says so.
    pub fn onlink(mut self) -> Self {
        self.draft.number(row::FLAGS, RouteFlags::ONLINK.0);
        self
    }

    /// One more leg: the route becomes a multipath route.
    pub fn nexthop(mut self, hop: Hop) -> Self {
        self.hops.push(hop);
        self
    }

    /// The realms that the route puts traffic in: source and destination, 0 for none.
    pub fn realms(mut self, from: u16, to: u16) -> Self {
        self.draft.number(row::FLOW, u32::from(from) << 16 | u32::from(to));
        self
    }

    /// The preference of the router among others (IPv6).
    pub fn pref(mut self, preference: Preference) -> Self {
        self.draft.number(row::PREF, preference.0);
        self
    }

    /// The congestion control algorithm of TCP.
    pub fn congestion_control(mut self, name: &str) -> Self {
        self.metrics.set(metric_row::CC_ALGO, name.into());
        self
    }

    /// The tunnel that packets are put in.
    pub fn encap(mut self, encap: Encap) -> Self {
        self.draft.number(row::ENCAP_TYPE, encap.kind.0);
        self.draft.record.set(row::ENCAP, encap.value);
        self
    }

    /// Whether all that was said can be.
    ///
    /// # Errors
    /// When a text is no address or prefix, bits of the host are set in the destination, families are mixed where the
    /// kernel takes none, a route that drops packets has a gateway, or a number is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        self.draft.check()?;
        self.hops.iter().try_for_each(|hop| hop.draft.check())?;
        self.check_families()?;
        let kind = self.draft.record.number(row::TYPE) as u8;
        let way = self.gateway.is_some() || !self.hops.is_empty();
        let drops = (RouteType::BLACKHOLE.0..=RouteType::THROW.0).contains(&kind);
        let fail = |why: &str| Err(SpecError::new(self, why));
        if drops && way {
            return fail("a route that drops packets has no gateway");
        }
        if self.gateway.is_some() && !self.hops.is_empty() {
            return fail("a multipath route has its gateways in its legs");
        }
        if self.draft.record.value(row::TABLE).is_some_and(|table| table.number() == Some(0)) {
            return fail("there is no table 0");
        }
        if self.metrics.number(metric_row::HOPLIMIT) > 255 {
            return fail("the hop limit is at most 255");
        }
        Ok(())
    }

    fn check_families(&self) -> Result<(), SpecError> {
        let family = self.family();
        let fail = |text: IpAddr, why: &str| Err(SpecError::new(text, why));
        let gateways = self.hops.iter().map(|hop| hop.gateway).chain([self.gateway]).flatten();
        for gateway in gateways {
            if family == AF_INET6 && gateway.is_ipv4() {
                return fail(gateway, "an IPv6 route has no IPv4 gateway");
            }
        }
        for id in [row::PREFSRC, row::SRC] {
            let other = |address: &IpAddr| family_of(*address) != family;
            if let Some(address) = self.draft.record.value(id).and_then(Ip::read).filter(other) {
                return fail(address, "of another family than the destination");
            }
        }
        if family == AF_INET6 && self.draft.record.number(row::TOS) != 0 {
            return Err(SpecError::new(self, "an IPv6 route has no type of service"));
        }
        Ok(())
    }

    /// The interfaces that it names: its own, then those of its legs.
    pub fn links(&self) -> impl Iterator<Item = &LinkRef> {
        self.dev.iter().chain(self.hops.iter().filter_map(|hop| hop.dev.as_ref()))
    }

    /// The route as a request carries it, with the indexes of the interfaces that it names; `None` when `index` knows one
    /// of them not.
    pub fn record(&self, index: impl Fn(&LinkRef) -> Option<u32>) -> Option<Record> {
        let mut record = self.draft.record.clone();
        let mut number = |id, number: u32| record.set(id, Value::Number(number.into()));
        let family = self.family();
        number(row::FAMILY, family.into());
        if let Some(dev) = &self.dev {
            number(row::OIF, index(dev)?);
        }
        for (id, default) in self.defaults() {
            if self.draft.record.value(id).is_none() {
                number(id, default);
            }
        }
        if family == AF_INET6 && self.draft.record.number(row::PRIORITY) == 0 {
            number(row::PRIORITY, PRIORITY_INET6);
        }
        if let Some(gateway) = self.gateway {
            set_gateway(&mut record, (row::GATEWAY, row::VIA), gateway, family);
        }
        if !self.metrics.is_empty() {
            record.set(row::METRICS, Value::Nested(Box::new(self.metrics.clone())));
        }
        if !self.hops.is_empty() {
            let hops: Option<_> = self.hops.iter().map(|hop| hop.record(family, &index)).collect();
            record.set(row::MULTIPATH, Value::Records(hops?));
        }
        Some(record)
    }

    /// The key by which the kernel looks it up.
    pub fn key(&self) -> Option<RouteKey> {
        RouteKey::of(&self.record(|_| Some(0))?)
    }

    fn defaults(&self) -> [(u16, u32); 6] {
        [
            (row::DST_LEN, 0),
            (row::TABLE, TABLE_MAIN),
            (row::TYPE, RouteType::UNICAST.0.into()),
            (row::PROTOCOL, RouteProtocol::STATIC.0.into()),
            (row::SCOPE, self.default_scope().0.into()),
            (row::FLAGS, 0),
        ]
    }

    fn default_scope(&self) -> RouteScope {
        let kind = RouteType(self.draft.record.number(row::TYPE) as u8);
        let direct = self.gateway.is_none()
            && self.hops.iter().all(|hop| hop.gateway.is_none())
            && self.draft.record.value(row::NH_ID).is_none();
        match kind {
            _ if self.family() == AF_INET6 => RouteScope::GLOBAL,
            RouteType::LOCAL | RouteType::NAT => RouteScope::HOST,
            RouteType::BROADCAST | RouteType::MULTICAST | RouteType::ANYCAST => RouteScope::LINK,
            RouteType::UNSPEC | RouteType::UNICAST if direct => RouteScope::LINK,
            _ => RouteScope::GLOBAL,
        }
    }

    /// Of the destination; of `default`, IPv6 when anything else that it says is.
    fn family(&self) -> u8 {
        let said = |id| self.draft.record.value(id).and_then(Ip::read);
        let gateways = self.hops.iter().filter_map(|hop| hop.gateway).chain(self.gateway);
        let rest = gateways.chain(said(row::PREFSRC)).chain(said(row::SRC));
        match self.draft.record.number(row::FAMILY) as u8 {
            0 if rest.into_iter().any(|address| address.is_ipv6()) => AF_INET6,
            0 => AF_INET,
            family => family,
        }
    }

    fn destination(&mut self, text: &str) {
        if let Some(net) = self.draft.accept(prefix(text)) {
            self.set_destination(net);
        }
    }

    fn set_destination(&mut self, net: IpNet) {
        self.draft.number(row::FAMILY, family_of(net.addr()));
        self.draft.number(row::DST_LEN, net.prefix_len());
        if net.prefix_len() > 0 {
            self.draft.record.set(row::DST, Ip::write(net.addr()));
        }
    }
}

/// In the words of `ip route`, interfaces as the user named them where there is one.
impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.draft.error {
            return write!(f, "{}", error.text);
        }
        let record = self.record(|_| Some(0)).unwrap_or_else(|| Record::new(&ROUTE));
        f.write_str(&line::line(&record, &()))?;
        self.dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))
    }
}

impl fmt::Debug for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn set_gateway(record: &mut Record, (own, other): (u16, u16), gateway: IpAddr, family: u8) {
    match family_of(gateway) == family {
        true => record.set(own, Ip::write(gateway)),
        false => record.set(other, Via::write(gateway)),
    }
}

impl Hop {
    /// By a gateway.
    pub fn via(gateway: impl fmt::Display) -> Self {
        let mut hop = Hop { draft: Draft::new(&HOP), dev: None, gateway: None };
        hop.gateway = hop.draft.accept(address(&gateway.to_string()));
        hop
    }

    /// Straight out of an interface.
    pub fn direct(link: impl Into<LinkRef>) -> Self {
        Hop { draft: Draft::new(&HOP), dev: Some(link.into()), gateway: None }
    }

    /// The interface that packets leave by.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.dev = Some(link.into());
        self
    }

    /// Its share of the traffic, 1 to 256; 1 when it is not given.
    pub fn weight(mut self, weight: u16) -> Self {
        match weight {
            1..=256 => self.draft.number(hop_row::HOPS, weight - 1),
            _ => self.draft.fail(SpecError::new(format!("weight {weight}"), "1 to 256")),
        }
        self
    }

    /// The gateway is taken to be on the link.
    pub fn onlink(mut self) -> Self {
        self.draft.number(hop_row::FLAGS, RouteFlags::ONLINK.0);
        self
    }

    /// The realms that it puts traffic in: source and destination, 0 for none.
    pub fn realms(mut self, from: u16, to: u16) -> Self {
        self.draft.number(hop_row::FLOW, u32::from(from) << 16 | u32::from(to));
        self
    }

    /// The tunnel that packets are put in.
    pub fn encap(mut self, encap: Encap) -> Self {
        self.draft.number(hop_row::ENCAP_TYPE, encap.kind.0);
        self.draft.record.set(hop_row::ENCAP, encap.value);
        self
    }

    fn record(&self, family: u8, index: impl Fn(&LinkRef) -> Option<u32>) -> Option<Record> {
        let mut record = self.draft.record.clone();
        if let Some(gateway) = self.gateway {
            set_gateway(&mut record, (hop_row::GATEWAY, hop_row::VIA), gateway, family);
        }
        for id in [hop_row::HOPS, hop_row::FLAGS] {
            if record.value(id).is_none() {
                record.set(id, Value::Number(0));
            }
        }
        let index = self.dev.as_ref().map_or(Some(0), index)?;
        record.set(hop_row::OIF, Value::Number(index.into()));
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(spec: RouteSpec, text: &str) {
        spec.check().unwrap();
        let index = |_: &LinkRef| Some(7);
        assert_eq!(line::line(&spec.record(index).unwrap(), &()), text);
    }

    #[test]
    fn a_specification_is_what_ip_would_send() {
        says(
            Route::to("10.2.0.0/16").via("10.0.0.2").mtu(1400),
            "10.2.0.0/16 via 10.0.0.2 proto static mtu 1400",
        );
        says(Route::to("default").dev("eth0"), "default dev if7 proto static scope link");
        says(
            Route::to("default").via("fd00::1").table(70_000),
            "default via fd00::1 table 70000 proto static metric 1024",
        );
        says(
            Route::to("10.4.0.0/16").via("fd00::2").dev(3).tos(0x10).onlink(),
            "10.4.0.0/16 tos 0x10 via inet6 fd00::2 dev if7 proto static onlink",
        );
        says(
            Route::to("10.5.0.1").blackhole().priority(9).protocol(RouteProtocol::BIRD),
            "blackhole 10.5.0.1 proto bird metric 9",
        );
        says(
            Route::to("10.3.0.0/16")
                .nexthop(Hop::via("10.0.0.2").weight(10))
                .nexthop(Hop::via("10.0.1.2").dev("v2").onlink()),
            "10.3.0.0/16 proto static\n\tnexthop via 10.0.0.2 weight 10\n\tnexthop via 10.0.1.2 dev if7 weight 1 onlink",
        );
        says(
            Route::to("10.6.0.0/16").encap(Encap::mpls(&[100, 200]).ttl(3)).dev("v0"),
            "10.6.0.0/16 encap mpls 100/200 ttl 3 dev if7 proto static scope link",
        );
    }

    #[test]
    fn what_cannot_be_is_said_when_asked() {
        for (spec, why) in [
            (Route::to("10.2.0.1/16"), "the prefix is 10.2.0.0/16"),
            (Route::to("10.2.0.0/33"), "no prefix"),
            (Route::to("nowhere"), "no IP address"),
            (Route::to("10.0.0.0/8").via("gw"), "no IP address"),
            (Route::to("fd00::/8").via("10.0.0.1"), "no IPv4 gateway"),
            (Route::to("fd00::/8").tos(4), "no type of service"),
            (Route::to("10.0.0.0/8").src("fd00::1"), "another family"),
            (Route::to("10.0.0.0/8").table(0), "no table 0"),
            (Route::to("10.0.0.0/8").blackhole().via("10.0.0.1"), "no gateway"),
            (Route::to("10.0.0.0/8").nexthop(Hop::via("10.0.0.1").weight(257)), "1 to 256"),
            (Route::to("10.0.0.0/8").nexthop(Hop::via("x")), "no IP address"),
            (Route::to("10.0.0.0/8").hoplimit(256), "at most 255"),
        ] {
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
