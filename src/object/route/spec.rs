//! Routes as a user names them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::encap::Encap;
use super::super::shape::{Ip, Labels, Typed, Via};
use super::super::show::debug_as_display;
use super::super::spec::{Draft, Places, SpecError, address, family_of, prefix};
use super::super::{LinkRef, Record, Role, Value};
use super::key::{LABEL_BITS, label_entry};
use super::{
    AF_INET, AF_INET6, AF_MPLS, HOP, LEG_ROWS, METRICS, PRIORITY_INET6, Preference, ROUTE, Route,
    RouteFlags, RouteKey, RouteProtocol, RouteScope, RouteType, TABLE_MAIN, hop_row, line,
    metric_row, row,
};
use crate::wire::{HardwareAddress, put_ne_u16};

/// A route to be added, changed or removed: at least its destination, and what else the user names.
///
/// ```
/// use netlinkdb::{Hop, Route};
/// let plain = Route::to("10.2.0.0/16").via("10.0.0.2").mtu(1400);
/// let out = Route::to("default").dev("eth0").table(100);
/// let legs = Route::to("10.3.0.0/16").nexthop(Hop::via("10.0.0.2").weight(10)).nexthop(Hop::via("10.0.1.2"));
/// assert_eq!(plain.to_string(), "10.2.0.0/16 via 10.0.0.2 proto static mtu 1400");
/// # assert!(plain.check().is_ok() && out.check().is_ok() && legs.check().is_ok());
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
    /// The interface that the kernel says for this gateway: it holds while the gateway does.
    found: Option<(Option<IpAddr>, u32)>,
    /// The scope that the kernel says, where it is the usual one of such a route: it holds while the way does.
    usual: Option<RouteScope>,
    /// The names of the interface that the kernel says.
    names: Vec<Box<str>>,
    /// Whether it is said of a leg among others, whose weight counts.
    is_leg: bool,
}

/// A leg of a multipath route to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    draft: Draft,
    dev: Option<LinkRef>,
    gateway: Option<IpAddr>,
    /// The names of the interface that the kernel says: by these too the leg can be found.
    names: Vec<Box<str>>,
}

impl Route {
    /// A route to a prefix (`10.2.0.0/16`), a single address, or `default`.
    ///
    /// `default` is IPv4's, unless a gateway, a source or a leg is IPv6's; `::/0` is always IPv6's.
    pub fn to(destination: impl fmt::Display) -> RouteSpec {
        let mut spec = RouteSpec::new();
        match destination.to_string().as_str() {
            "default" => spec.draft.number(row::DST_LEN, 0u8),
            text => spec.destination(text),
        }
        spec
    }

    /// An MPLS route, for packets with this label: 16 to 1048575, below `net.mpls.platform_labels`. It takes the label off
    /// and puts [`newdst`](RouteSpec::newdst) in its place, if there is any, before it sends the packet to its gateway or
    /// out of its interface.
    ///
    /// ```
    /// use netlinkdb::{Hop, Route};
    /// let swap = Route::mpls(100).newdst(&[200, 300]).via("10.0.0.2").dev("eth0");
    /// assert_eq!(swap.to_string(), "100 as to 200/300 via inet 10.0.0.2 dev eth0 proto static");
    /// let pop = Route::mpls(101).dev("lo").ttl_propagate(false);
    /// let legs = Route::mpls(102).nexthop(Hop::via("10.0.0.2").newdst(&[200])).nexthop(Hop::via("fd00::2"));
    /// # assert!(swap.check().is_ok() && pop.check().is_ok() && legs.check().is_ok());
    /// ```
    pub fn mpls(label: u32) -> RouteSpec {
        let mut spec = RouteSpec::new();
        spec.draft.number(row::FAMILY, AF_MPLS);
        spec.draft.number(row::DST_LEN, LABEL_BITS);
        match label {
            16..=MAX_LABEL => {
                spec.draft.record.set(row::DST, Value::V4(label_entry(label).into()));
            }
            _ => spec.draft.fail(SpecError::new(label, "a label is 16 to 1048575")),
        }
        spec
    }
}

/// Of 20 bits.
const MAX_LABEL: u32 = (1 << LABEL_BITS) - 1;

/// `MPLS_LABEL_IMPLNULL`: the label that is never in a packet.
const IMPLICIT_NULL: u32 = 3;

/// What is said of a way and is no gateway or interface of IP: in the route, and in a leg.
const WAY_ROWS: [(u16, u16); 5] = [
    (row::ENCAP_TYPE, hop_row::ENCAP_TYPE),
    (row::ENCAP, hop_row::ENCAP),
    (row::FLOW, hop_row::FLOW),
    (row::NEWDST, hop_row::NEWDST),
    (row::VIA, hop_row::VIA),
];

/// The route as it is, to be changed or added elsewhere.
impl From<&Route> for RouteSpec {
    fn from(route: &Route) -> Self {
        let mut record = route.record.clone();
        let hops = route.hops().map(|hop| Hop::of(hop.record())).collect();
        let by_object = record.value(row::NH_ID).is_some();
        let found = (!by_object).then(|| Some((route.gateway(), route.oif()?))).flatten();
        let gateway = route.gateway().filter(|_| !by_object);
        let metrics = match record.remove(row::METRICS) {
            Some(Value::Nested(metrics)) if metrics.table() == &METRICS => *metrics,
            _ => Record::new(&METRICS),
        };
        if by_object {
            [row::ENCAP_TYPE, row::ENCAP].into_iter().for_each(|id| drop(record.remove(id)));
        }
        if let Some(seconds) = route.expires().and_then(|seconds| u32::try_from(seconds).ok()) {
            record.set(row::EXPIRES, Value::Number(seconds.into()));
        }
        for id in [row::GATEWAY, row::OIF, row::MULTIPATH, row::CACHEINFO] {
            record.remove(id);
        }
        if route.via().is_some() {
            record.remove(row::VIA);
        }
        record.set(row::FLAGS, Value::Number(route.flags().stable().0.into()));
        let draft = Draft { record, error: None };
        let mut spec = RouteSpec {
            draft,
            metrics,
            dev: None,
            gateway,
            hops,
            found,
            usual: None,
            names: Vec::new(),
            is_leg: false,
        };
        let usual = spec.default_scope();
        spec.usual = (spec.draft.record.number(row::SCOPE) == u64::from(usual.0)).then_some(usual);
        spec
    }
}

impl From<Route> for RouteSpec {
    fn from(route: Route) -> Self {
        (&route).into()
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
    /// Nothing yet.
    fn new() -> Self {
        RouteSpec {
            draft: Draft::new(&ROUTE),
            metrics: Record::new(&METRICS),
            dev: None,
            gateway: None,
            hops: Vec::new(),
            found: None,
            usual: None,
            names: Vec::new(),
            is_leg: false,
        }
    }

    /// The gateway: an IP address, of the route's family or, for an IPv4 route, of IPv6; for an MPLS route of either.
    pub fn via(mut self, gateway: impl fmt::Display) -> Self {
        let gateway = self.draft.accept(address(&gateway.to_string()));
        self.draft.record.remove(row::VIA);
        match &mut self.hops[..] {
            // Of a leg that has a weight.
            [leg] if self.is_leg => {
                let said = leg.dev.take_if(|dev| matches!(dev, LinkRef::Index(_)));
                leg.dev = said.filter(|_| leg.gateway == gateway).or(leg.dev.take());
                leg.gateway = gateway;
            }
            _ => self.gateway = gateway,
        }
        self
    }

    /// The interface that packets leave by: by name, index or handle.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        match &mut self.hops[..] {
            [leg] if self.is_leg => leg.dev = Some(link.into()),
            _ => self.dev = Some(link.into()),
        }
        self
    }

    /// The gateway of an MPLS route, by its hardware address: the interface must be said too.
    pub fn via_link(mut self, address: HardwareAddress) -> Self {
        self.gateway = None;
        self.draft.record.set(row::VIA, link_via(address));
        self
    }

    /// The labels that an MPLS route puts in the place of the packet's own, the outermost first: 0 to 1048575, but not 3.
    /// None takes the label off and no more. In `ip`'s words `as`.
    pub fn newdst(mut self, labels: &[u32]) -> Self {
        set_labels(&mut self.draft, row::NEWDST, labels);
        self
    }

    /// Whether an MPLS route writes the time to live of the label that it takes off into what is under it, when it was the
    /// last one. When it is not given `net.mpls.ip_ttl_propagate` says.
    pub fn ttl_propagate(mut self, on: bool) -> Self {
        self.draft.number(row::TTL_PROPAGATE, on);
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
        self.usual = None;
        self
    }

    /// What becomes of a packet; [`RouteType::UNICAST`] when it is not given. Where it is dropped, the way is forgotten
    /// that the kernel said of the route.
    pub fn kind(mut self, kind: RouteType) -> Self {
        let was = self.draft.record.number(row::TYPE) as u8;
        let said = self.draft.record.value(row::TYPE).is_some();
        if said && is_drop(was) != is_drop(kind.0) {
            self.forget_way();
            self.hops.clear();
            self.draft.record.remove(row::NH_ID);
        }
        self.draft.number(row::TYPE, kind.0);
        self
    }

    /// What names of the interfaces of its legs there are: by these too they are found.
    pub(crate) fn with_names(mut self, names: impl Fn(u32) -> Vec<Box<str>>) -> Self {
        for hop in &mut self.hops {
            if let Some(LinkRef::Index(index)) = hop.dev {
                hop.names = names(index);
            }
        }
        self.names = self.found.map(|(_, index)| names(index)).unwrap_or_default();
        self
    }

    /// Said of a leg among others: its weight counts.
    pub(crate) fn into_leg(mut self) -> Self {
        self.is_leg = true;
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

    /// One more leg beside those that it has: the way of a plain route becomes the first.
    pub fn add_nexthop(mut self, hop: Hop) -> Self {
        if let Some(first) = self.single_way() {
            self.hops.push(first);
            self.forget_way();
        }
        if self.hops.iter().any(|own| own.is_same_way(&hop)) {
            self.draft.fail(SpecError::new(&hop, "the route has this leg already"));
        }
        self.hops.push(hop);
        self
    }

    /// One leg less; what is not named of it does not count. The route becomes a plain one when a single leg is left.
    pub fn del_nexthop(mut self, hop: Hop) -> Self {
        match self.hops.iter().position(|own| own.is_selected_by(&hop)) {
            None => self.draft.fail(SpecError::new(&hop, "the route has no such leg")),
            Some(at) => drop(self.hops.remove(at)),
        }
        if let [last] = &self.hops[..] {
            (self.gateway, self.dev) = (last.gateway, last.dev.clone());
            self.names = last.names.clone();
            for (own, of_leg) in WAY_ROWS {
                if let Some(value) = last.draft.record.value(of_leg) {
                    self.draft.record.set(own, value.clone());
                }
            }
            self.draft.number(row::FLAGS, last.draft.record.number(hop_row::FLAGS));
            self.hops.clear();
        }
        self
    }

    /// The way of a plain route, as a leg.
    fn single_way(&self) -> Option<Hop> {
        let dev = self.way_out();
        if !self.hops.is_empty() || (dev.is_none() && self.gateway.is_none()) {
            return None;
        }
        let names = if self.dev.is_none() { self.names.clone() } else { Vec::new() };
        let mut hop = Hop { draft: Draft::new(&HOP), dev, gateway: self.gateway, names };
        for (own, of_leg) in WAY_ROWS {
            if let Some(value) = self.draft.record.value(own) {
                hop.draft.record.set(of_leg, value.clone());
            }
        }
        hop.draft.number(hop_row::FLAGS, self.draft.record.number(row::FLAGS));
        Some(hop)
    }

    fn forget_way(&mut self) {
        (self.dev, self.gateway, self.found) = (None, None, None);
        for (id, _) in WAY_ROWS {
            self.draft.record.remove(id);
        }
        self.draft.number(row::FLAGS, 0u8);
    }

    /// The interface that packets leave by, as far as it is known.
    fn way_out(&self) -> Option<LinkRef> {
        let found = self.found.filter(|(gateway, _)| *gateway == self.gateway);
        self.dev.clone().or(found.map(|(_, index)| LinkRef::Index(index)))
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
        self.check_mpls()?;
        let kind = self.draft.record.number(row::TYPE) as u8;
        let way = self.gateway.is_some() || !self.hops.is_empty();
        let drops = is_drop(kind);
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
        // `ip_metrics_convert` takes more for the most, without a word.
        for (id, most, why) in [
            (metric_row::HOPLIMIT, 255, "the hop limit is at most 255"),
            (metric_row::MTU, 65_520, "the mtu is at most 65520"),
            (metric_row::ADVMSS, 65_495, "the advmss is at most 65495"),
        ] {
            if self.metrics.number(id) > most {
                return fail(why);
            }
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

    /// What an MPLS route cannot be (`rtm_to_route_config`, `mpls_nh_build_multi`), and what only such a one can.
    fn check_mpls(&self) -> Result<(), SpecError> {
        let fail = |why: String| Err(SpecError::new(self, why));
        let is_link = |via: Option<&Value>| matches!(via, Some(Value::Bytes(_)));
        let own = |id| self.draft.record.value(id);
        if self.family() != AF_MPLS {
            let labelled = |hop: &Hop| hop.draft.record.value(hop_row::NEWDST).is_some();
            return match own(row::NEWDST).is_some()
                || own(row::TTL_PROPAGATE).is_some()
                || self.hops.iter().any(labelled)
            {
                true => {
                    fail("only an MPLS route has labels to be put on, and ttl-propagate".into())
                }
                false => Ok(()),
            };
        }
        if !self.metrics.is_empty() {
            return fail("an MPLS route has no metrics".into());
        }
        let rows = self.draft.record.fields().map(|(id, row, value)| {
            let is_usual = MPLS_ROWS.contains(&id)
                || (id, value.number()) == (row::TYPE, Some(RouteType::UNICAST.0.into()))
                || (id, value.number()) == (row::TABLE, Some(TABLE_MAIN.into()));
            (row, value, is_usual)
        });
        let of_legs = self.hops.iter().flat_map(|hop| hop.draft.record.fields());
        let of_legs = of_legs
            .map(|(id, row, value)| (row, value, [hop_row::NEWDST, hop_row::VIA].contains(&id)));
        for (row, value, is_usual) in rows.chain(of_legs) {
            let is_said =
                matches!(row.role, Role::Set | Role::Create | Role::Identity | Role::Action);
            if is_said && !is_usual && value.number() != Some(0) {
                return fail(format!("an MPLS route has no {}, or no other", row.name));
            }
        }
        if !self.hops.is_empty() && (own(row::NEWDST).is_some() || is_link(own(row::VIA))) {
            return fail("of a multipath route each leg has its labels and its gateway".into());
        }
        Ok(())
    }

    /// The interfaces that it names: its own, then those of its legs.
    pub fn links(&self) -> impl Iterator<Item = LinkRef> {
        self.way_out().into_iter().chain(self.hops.iter().filter_map(|hop| hop.dev.clone()))
    }

    /// The route as a request carries it, with the indexes of the interfaces that it names; `None` when `index` knows one
    /// of them not.
    pub fn record(&self, index: impl Fn(&LinkRef) -> Option<u32>) -> Option<Record> {
        let mut record = self.draft.record.clone();
        let mut number = |id, number: u32| record.set(id, Value::Number(number.into()));
        let family = self.family();
        number(row::FAMILY, family.into());
        if let Some(dev) = self.way_out() {
            number(row::OIF, index(&dev)?);
        }
        for (id, default) in self.defaults() {
            let follows_way = id == row::SCOPE && self.usual.is_some();
            if self.draft.record.value(id).is_none() || follows_way {
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
        // Of IPv6 it may become one among others: then its weight counts.
        let counts = |hop: &Hop| family == AF_INET6 && hop.draft.record.number(hop_row::HOPS) != 0;
        if let Some(hop) = self.hops.first().filter(|hop| self.hops.len() == 1 && !counts(hop)) {
            // The kernel takes a single leg for a plain route.
            let hop = hop.record(family, &index)?;
            for (own, of_leg) in LEG_ROWS {
                if let Some(value) = hop.value(of_leg).filter(|value| value.number() != Some(0)) {
                    record.set(own, value.clone());
                }
            }
            let flags = record.number(row::FLAGS) | hop.number(hop_row::FLAGS);
            record.set(row::FLAGS, Value::Number(flags));
        } else if !self.hops.is_empty() {
            let hops: Option<_> = self.hops.iter().map(|hop| hop.record(family, &index)).collect();
            record.set(row::MULTIPATH, Value::Records(hops?));
        }
        Some(record)
    }

    /// Whether this is a route that the words mean: what they do not name does not count, but for the destination and
    /// the table.
    pub fn selects(&self, route: &Route, index: impl Fn(&LinkRef) -> Option<u32>) -> bool {
        let own = |id| self.draft.record.value(id);
        let table = own(row::TABLE).and_then(Value::number).unwrap_or(TABLE_MAIN.into());
        let same_place = u64::from(route.table()) == table
            && route.record.value(row::DST) == own(row::DST)
            && u64::from(route.dst_len()) == self.draft.record.number(row::DST_LEN)
            && route.family_number() == self.family();
        let named = self.draft.record.fields().all(|(id, row, value)| {
            let other = route.record.value(id);
            let place = [row::FAMILY, row::TABLE, row::FLAGS, row::EXPIRES].contains(&id);
            let usual =
                id == row::PRIORITY && self.family() == AF_INET6 && value.number() == Some(0);
            place
                || !row.compared()
                || other == Some(value)
                || (usual && route.priority() == PRIORITY_INET6)
                || (other.is_none() && value.number() == Some(0))
        });
        let metrics = route.metrics();
        let metrics = self.metrics.fields().all(|(id, _, value)| {
            let other = metrics.as_ref().and_then(|metrics| metrics.record().value(id));
            other == Some(value) || (other.is_none() && value.number() == Some(0))
        });
        let legs: Vec<_> = route.hops().map(|hop| Hop::of(hop.record())).collect();
        // A leg whose weight is not 1 is a list of one leg.
        let (own_dev, own_gateway) = match &legs[..] {
            [leg] => (leg.dev.as_ref().and_then(&index), leg.gateway),
            _ => (route.oif(), route.gateway()),
        };
        let dev = self.way_out();
        let dev = dev.is_none_or(|dev| own_dev.is_some() && own_dev == index(&dev));
        // Of a route from the kernel it is said that it has none.
        let straight = self.gateway.is_none() && matches!(self.found, Some((None, _)));
        let gateway = match straight {
            true => own_gateway.is_none(),
            false => self.gateway.is_none_or(|gateway| own_gateway == Some(gateway)),
        };
        let live = |hop: &Hop| {
            let dev = hop.dev.as_ref().map(|dev| index(dev).map_or(dev.clone(), LinkRef::Index));
            Hop { dev, ..hop.clone() }
        };
        let hops = self.hops.is_empty() || {
            let all = || self.hops.iter().map(live);
            legs.len() == self.hops.len()
                && all().all(|hop| legs.iter().any(|leg| leg.is_selected_by(&hop)))
        };
        same_place && named && metrics && dev && gateway && hops
    }

    /// The first key of the table and the prefix that it is for, or the key of its label; `None` where the destination
    /// does not parse.
    #[doc(hidden)]
    pub fn place(&self) -> Option<RouteKey> {
        self.draft.check().ok()?;
        Some(self.key()?.of_prefix().0)
    }

    /// The table that it names.
    pub fn table_number(&self) -> Option<u32> {
        Some(self.draft.record.value(row::TABLE)?.number()? as u32)
    }

    /// Whether a route with a gateway: it needs another one that leads to the gateway.
    pub fn has_gateway(&self) -> bool {
        self.gateway.is_some()
            || self.hops.iter().any(|hop| hop.gateway.is_some())
            || self.draft.record.value(row::NH_ID).is_some()
    }

    /// The key by which the kernel looks it up.
    #[doc(hidden)]
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
        let direct = !self.has_gateway();
        match kind {
            _ if self.family() != AF_INET => RouteScope::GLOBAL,
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

impl RouteSpec {
    /// In the words of `ip route`, interfaces by the names that `name` has for them.
    pub(crate) fn text(&self, name: impl Fn(&LinkRef) -> String) -> String {
        if let Some(error) = &self.draft.error {
            return error.text.clone();
        }
        let links: Vec<LinkRef> = self.links().collect();
        let record =
            self.record(|link| Places::place(&links, link)).unwrap_or_else(|| Record::new(&ROUTE));
        let names = Places(links.iter().map(name).collect());
        line::line(&record, &names).replace("\n\t", " ")
    }
}

/// In the words of `ip route`, interfaces as the user named them.
impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|link| match link {
            LinkRef::Index(index) | LinkRef::Handle { index, .. } => format!("if{index}"),
            other => other.to_string(),
        }))
    }
}

debug_as_display!(RouteSpec);

/// The rows that may say of an MPLS route what they like.
const MPLS_ROWS: [u16; 8] = [
    row::FAMILY,
    row::DST_LEN,
    row::DST,
    row::NEWDST,
    row::VIA,
    row::OIF,
    row::PROTOCOL,
    row::TTL_PROPAGATE,
];

fn set_labels(draft: &mut Draft, id: u16, labels: &[u32]) {
    let cannot_be = |label: &&u32| **label > MAX_LABEL || **label == IMPLICIT_NULL;
    if let Some(label) = labels.iter().find(cannot_be) {
        return draft
            .fail(SpecError::new(label, "a label to be put on is 0 to 1048575, and not 3"));
    }
    match labels {
        [] => drop(draft.record.remove(id)),
        _ => draft.record.set(id, Labels::write(labels.into())),
    }
}

/// `struct rtvia` with an address of `AF_PACKET`.
fn link_via(address: HardwareAddress) -> Value {
    const AF_PACKET: u16 = 17;
    let mut bytes = Vec::new();
    put_ne_u16(&mut bytes, AF_PACKET);
    bytes.extend_from_slice(address.as_bytes());
    Value::Bytes(bytes.into())
}

/// Whether packets that take a route of this type are dropped.
fn is_drop(kind: u8) -> bool {
    (RouteType::BLACKHOLE.0..=RouteType::THROW.0).contains(&kind)
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
        let names = Vec::new();
        let mut hop = Hop { draft: Draft::new(&HOP), dev: None, gateway: None, names };
        hop.gateway = hop.draft.accept(address(&gateway.to_string()));
        hop
    }

    /// By a gateway of an MPLS route, out of an interface to a hardware address.
    pub fn via_link(address: HardwareAddress, link: impl Into<LinkRef>) -> Self {
        let mut hop = Hop::direct(link);
        hop.draft.record.set(hop_row::VIA, link_via(address));
        hop
    }

    /// The labels that a leg of an MPLS route puts in the place of the packet's own: see [`RouteSpec::newdst`].
    pub fn newdst(mut self, labels: &[u32]) -> Self {
        set_labels(&mut self.draft, hop_row::NEWDST, labels);
        self
    }

    /// Straight out of an interface.
    pub fn direct(link: impl Into<LinkRef>) -> Self {
        Hop { draft: Draft::new(&HOP), dev: Some(link.into()), gateway: None, names: Vec::new() }
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

    /// A leg as the kernel says it.
    fn of(leg: &Record) -> Hop {
        let mut record = leg.clone();
        let hop = super::RouteHop(leg);
        let gateway = hop.gateway();
        let dev = hop.oif().filter(|index| *index != 0).map(LinkRef::Index);
        for id in [hop_row::GATEWAY, hop_row::OIF] {
            record.remove(id);
        }
        if hop.via().is_some() {
            record.remove(hop_row::VIA);
        }
        let flags = hop.flags().stable();
        record.set(hop_row::FLAGS, Value::Number(flags.0.into()));
        Hop { draft: Draft { record, error: None }, dev, gateway, names: Vec::new() }
    }

    /// A gateway is one way, unless it is behind two interfaces that are named.
    fn is_same_way(&self, other: &Hop) -> bool {
        self.gateway == other.gateway
            && match (&self.dev, &other.dev) {
                (Some(_), Some(dev)) => self.is_over(dev),
                _ => self.gateway.is_some(),
            }
    }

    fn is_over(&self, dev: &LinkRef) -> bool {
        self.dev.as_ref() == Some(dev)
            || matches!(dev, LinkRef::Name(name) if self.names.contains(name))
    }

    /// Whether these words mean this leg: what they do not name does not count.
    fn is_selected_by(&self, other: &Hop) -> bool {
        let named = |id: u16, value: &Value| {
            let own = self.draft.record.value(id);
            own == Some(value) || (own.is_none() && value.number() == Some(0))
        };
        other.dev.as_ref().is_none_or(|dev| self.is_over(dev))
            && (other.gateway.is_none() || self.gateway == other.gateway)
            && other.draft.record.fields().all(|(id, _, value)| named(id, value))
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

/// In the words of `ip route`: `via 10.0.0.2 dev eth0 weight 10`.
impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = self.gateway.map(|gateway| format!("via {gateway}"));
        let dev = self.dev.as_ref().map(|dev| format!("dev {dev}"));
        let weight = self.draft.record.number(hop_row::HOPS) + 1;
        let weight = (weight > 1).then(|| format!("weight {weight}"));
        let words: Vec<_> = [gateway, dev, weight].into_iter().flatten().collect();
        f.write_str(&words.join(" "))
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
    fn an_mpls_route_is_what_ip_would_send() {
        says(
            Route::mpls(100).newdst(&[200, 300]).via("10.0.0.2").dev(3),
            "100 as to 200/300 via inet 10.0.0.2 dev if7 proto static",
        );
        says(
            Route::mpls(1_048_575).via("fd00::2").ttl_propagate(false).protocol(RouteProtocol::BGP),
            "1048575 via inet6 fd00::2 proto bgp ttl-propogate disabled",
        );
        says(
            Route::mpls(16).via_link("02:00:00:00:00:01".parse().unwrap()).dev("v0"),
            "16 via link 02:00:00:00:00:01 dev if7 proto static",
        );
        says(
            Route::mpls(17)
                .nexthop(Hop::via("10.0.0.2").newdst(&[200]))
                .nexthop(Hop::direct("v1").newdst(&[300, 0])),
            "17 proto static\n\tnexthop as to 200 via inet 10.0.0.2\n\tnexthop as to 300/0 dev if7",
        );
    }

    #[test]
    fn an_mpls_route_from_the_kernel_can_be_said_again() {
        let index = |_: &LinkRef| Some(7);
        for spec in [
            Route::mpls(100).newdst(&[200]).via("10.0.0.2").dev(7).ttl_propagate(true),
            Route::mpls(100).via_link("02:00:00:00:00:01".parse().unwrap()).dev(7),
            Route::mpls(100)
                .nexthop(Hop::via("10.0.0.2").newdst(&[200]).dev(7))
                .nexthop(Hop::via_link("02:00:00:00:00:01".parse().unwrap(), 7)),
        ] {
            let route = Route::new(spec.record(index).unwrap());
            let again: RouteSpec = (&route).into();
            again.check().unwrap();
            assert_eq!(again.record(index), spec.record(index));
            assert!(again.selects(&route, index) && Route::mpls(100).selects(&route, index));
            assert!(!Route::mpls(101).selects(&route, index));
            assert_eq!(again.key(), Some(RouteKey::Mpls(100)));
            assert_eq!(again.place(), again.key());
        }
    }

    #[test]
    fn what_cannot_be_is_said_when_asked() {
        for (spec, why) in [
            (Route::mpls(15), "16 to 1048575"),
            (Route::mpls(1 << 20), "16 to 1048575"),
            (Route::mpls(100).newdst(&[3]), "not 3"),
            (Route::mpls(100).table(100), "no table, or no other"),
            (Route::mpls(100).priority(1), "no metric"),
            (Route::mpls(100).blackhole(), "no type, or no other"),
            (Route::mpls(100).mtu(1400), "no metrics"),
            (Route::mpls(100).src("10.0.0.1"), "another family"),
            (Route::mpls(100).encap(Encap::mpls(&[200])), "no "),
            (Route::mpls(100).onlink(), "no flags"),
            (Route::mpls(100).nexthop_id(7), "no nhid"),
            (Route::mpls(100).nexthop(Hop::via("10.0.0.1").weight(2)), "no weight"),
            (Route::mpls(100).newdst(&[200]).nexthop(Hop::via("10.0.0.1")), "each leg"),
            (Route::to("10.0.0.0/8").newdst(&[200]), "only an MPLS route"),
            (Route::to("10.0.0.0/8").ttl_propagate(true), "only an MPLS route"),
            (Route::to("10.0.0.0/8").nexthop(Hop::via("10.0.0.1").newdst(&[16])), "only an MPLS"),
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
