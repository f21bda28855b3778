//! Routes: `RTM_NEWROUTE` with `struct rtmsg`.
//!
//! A million routes are not decoded: [`split`] cuts a message into its key and a canonical body, which are many
//! fewer. A [`Route`] is what a key and a body say together, decoded.

mod key;
mod line;
pub(crate) mod show;
mod spec;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::encap::{EncapOf, EncapType};
use super::shape::*;
use super::show::printed;
use super::table::table;
use super::{Family, Named, Names, Record, Tree, Value};
pub use key::{RouteKey, RouteKey4, RouteKey6, body, request, split};
pub use spec::{Hop, RouteSpec};

/// One route, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    record: Record,
}

/// `RT_TABLE_MAIN`: the table where routes are unless someone says otherwise.
pub const TABLE_MAIN: u32 = 254;

/// `RT_TABLE_LOCAL`: the table of what the machine itself has.
pub(crate) const TABLE_LOCAL: u32 = 255;

/// The priority that the kernel gives an IPv6 route without one, `IP6_RT_PRIO_USER` (K24).
pub const PRIORITY_INET6: u32 = 1024;

/// The address families of routes, `AF_*`.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_MPLS: u8 = 28;

impl Route {
    /// From what the kernel said.
    #[doc(hidden)]
    pub fn new(record: Record) -> Self {
        Route { record }
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The address family: of MPLS routes [`Family::MPLS`].
    pub fn family(&self) -> Family {
        match self.family_number() {
            AF_INET => Family::Inet,
            AF_INET6 => Family::Inet6,
            other => Family::Other(other),
        }
    }

    /// The destination; `0.0.0.0/0` or `::/0` for the default route, and `None` for an MPLS route.
    pub fn destination(&self) -> Option<IpNet> {
        self.net(self.dst(), self.dst_len())
    }

    /// The prefix that the packet's source must be in (IPv6 with `CONFIG_IPV6_SUBTREES`).
    pub fn source(&self) -> Option<IpNet> {
        self.net(self.src(), self.src_len()).filter(|net| net.prefix_len() > 0)
    }

    /// The label of the packets that an MPLS route forwards, 16 to 1048575.
    pub fn label(&self) -> Option<u32> {
        match (self.family_number(), self.record.value(row::DST)?) {
            (AF_MPLS, Value::V4(entry)) => Some(entry.to_bits() >> 12),
            _ => None,
        }
    }

    fn net(&self, address: Option<IpAddr>, length: u8) -> Option<IpNet> {
        let unspecified: IpAddr = match self.family_number() {
            AF_INET => Ipv4Addr::UNSPECIFIED.into(),
            AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let address = address.filter(|a| a.is_ipv4() == unspecified.is_ipv4());
        IpNet::new(address.unwrap_or(unspecified), length).ok()
    }

    /// The priority, which `ip` calls metric: the route with the least is taken. An IPv6 route asked for with 0
    /// gets 1024 from the kernel (K24), and that is what it says.
    pub fn priority(&self) -> u32 {
        self.priority_attribute().unwrap_or(0)
    }

    /// The gateway, of whichever family: `RTA_GATEWAY`, or `RTA_VIA` where it is not of the route's family.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway_attribute().or(self.via())
    }

    /// The legs of a multipath route, in the kernel's order; none where the route has a single way.
    pub fn hops(&self) -> impl ExactSizeIterator<Item = RouteHop<'_>> {
        self.hop_records().iter().map(RouteHop)
    }

    /// In how many seconds it ends, as of the message that brought this description; `None` for never.
    ///
    /// The kernel counts in `USER_HZ`, 100 a second on every architecture that Rust's std runs on.
    pub fn expires(&self) -> Option<i32> {
        let ticks = self.cache_info()?.expires();
        (ticks != 0).then_some(ticks / USER_HZ)
    }

    /// The realms that the route puts traffic in: source and destination, 0 for none.
    pub fn realms(&self) -> Option<(u16, u16)> {
        self.flow().map(|flow| ((flow >> 16) as u16, flow as u16))
    }
}

const USER_HZ: i32 = 100;

names! {
    /// `rtm_type`: what becomes of a packet that takes the route.
    enum RouteType: u8 as U8 {
        UNSPEC = 0 "none",
        UNICAST = 1 "unicast",
        LOCAL = 2 "local",
        BROADCAST = 3 "broadcast",
        ANYCAST = 4 "anycast",
        MULTICAST = 5 "multicast",
        BLACKHOLE = 6 "blackhole",
        UNREACHABLE = 7 "unreachable",
        PROHIBIT = 8 "prohibit",
        THROW = 9 "throw",
        NAT = 10 "nat",
        XRESOLVE = 11 "xresolve",
    }
}

names! {
    /// `rtm_protocol`: who made the route. The names are those of `/etc/iproute2/rt_protos`.
    enum RouteProtocol: u8 as U8 {
        UNSPEC = 0 "unspec",
        REDIRECT = 1 "redirect",
        KERNEL = 2 "kernel",
        BOOT = 3 "boot",
        STATIC = 4 "static",
        GATED = 8 "gated",
        RA = 9 "ra",
        MRT = 10 "mrt",
        ZEBRA = 11 "zebra",
        BIRD = 12 "bird",
        DNROUTED = 13 "dnrouted",
        XORP = 14 "xorp",
        NTK = 15 "ntk",
        DHCP = 16 "dhcp",
        KEEPALIVED = 18 "keepalived",
        BABEL = 42 "babel",
        OPENR = 99 "openr",
        BGP = 186 "bgp",
        ISIS = 187 "isis",
        OSPF = 188 "ospf",
        RIP = 189 "rip",
        EIGRP = 192 "eigrp",
    }
}

names! {
    /// `rtm_scope`: how far away the destination is (IPv4; IPv6 routes are all `global`).
    enum RouteScope: u8 as U8 {
        GLOBAL = 0 "global",
        SITE = 200 "site",
        LINK = 253 "link",
        HOST = 254 "host",
        NOWHERE = 255 "nowhere",
    }
}

names! {
    /// `RTA_PREF`: the preference of a router among others (IPv6, RFC 4191).
    enum Preference: u8 as U8 {
        MEDIUM = 0 "medium",
        HIGH = 1 "high",
        LOW = 3 "low",
    }
}

names! {
    /// `rtm_flags` and `rtnh_flags`, in the order in which `ip` prints them.
    bits RouteFlags: u32 as U32 {
        DEAD = 0x1 "dead",
        ONLINK = 0x4 "onlink",
        PERVASIVE = 0x2 "pervasive",
        OFFLOAD = 0x8 "offload",
        TRAP = 0x40 "trap",
        NOTIFY = 0x100 "notify",
        LINKDOWN = 0x10 "linkdown",
        UNRESOLVED = 0x20 "unresolved",
        RT_OFFLOAD = 0x4000 "rt_offload",
        RT_TRAP = 0x8000 "rt_trap",
        RT_OFFLOAD_FAILED = 0x2000_0000 "rt_offload_failed",
    }
}

impl RouteFlags {
    /// `RTM_F_CLONED`: an entry of the routing cache, or the answer to a lookup; no route of a table.
    pub const CLONED: Self = Self(0x200);

    /// Without what the kernel flips by itself, often without a word: dead, linkdown, offload and the like (K8).
    /// What is left can be compared and sent.
    pub fn stable(self) -> Self {
        Self(self.0 & STABLE_FLAGS)
    }
}

/// `RTNH_F_ONLINK` and `RTNH_F_PERVASIVE`: what a program may ask for. Every other bit the kernel sets as links,
/// hardware and lookups go (K8).
const STABLE_FLAGS: u32 = 0x4 | 0x2;

records! {
    /// Metrics.
    MetricsOf: Nest METRICS, RouteMetrics;
    /// Timers.
    RouteCacheInfoOf: Struct ROUTE_CACHE_INFO, RouteCacheInfo;
}

lists! {
    /// Legs of a multipath route.
    HopsOf: Structs HOP;
}

table! {
    /// `struct rtmsg` and `RTA_*` in `include/uapi/linux/rtnetlink.h`.
    pub static ROUTE: "route", header 12;
    fields row;
    view [] Route;
    setters [];
    rows {
        /// The address family: 2 for IPv4, 10 for IPv6, 28 for MPLS.
        FAMILY family_number or 0: U8 = Header(0), "rtm_family", Identity, name: "family", form: Hidden;
        /// What becomes of a packet that takes the route.
        TYPE kind or (RouteType(0)): OneOf<RouteType> = Header(7), "rtm_type", Create, name: "type", form: Words(RouteType::NAMES);
        /// Bits of the destination, 0 to 32 or 128, 20 for MPLS; 0 is the default route.
        DST_LEN dst_len or 0: U8 = Header(1), "rtm_dst_len", Identity, unit: "bits", form: Custom(show::destination);
        /// The destination, absent from the default route; for MPLS the entry of the label, as four bytes.
        DST dst: Ip = Path(&[1]), "RTA_DST", Identity, form: Hidden;
        /// Bits of the source prefix, 0 to 128 (IPv6 with `CONFIG_IPV6_SUBTREES`).
        SRC_LEN src_len or 0: U8 = Header(2), "rtm_src_len", Identity, unit: "bits", form: Custom(show::source);
        /// The prefix that the packet's source must be in (IPv6).
        SRC src: Ip = Path(&[2]), "RTA_SRC", Identity, keyword: "from", form: Hidden;
        /// The labels that replace an MPLS packet's own, the outermost first.
        NEWDST newdst: Labels = Path(&[19]), "RTA_NEWDST", Set, name: "to", keyword: "as", form: Custom(show::new_labels);
        /// The kind of the tunnel that packets are put in.
        ENCAP_TYPE encap_type: OneOf<EncapType> = Path(&[21]), "RTA_ENCAP_TYPE", Set, form: Hidden;
        /// What that tunnel adds; a table chosen by the kind, bytes where there is none for it.
        ENCAP encap: EncapOf<21> = Path(&[22]), "RTA_ENCAP", Set, keyword: "encap", form: Custom(show::encap);
        /// The type of service that a packet must have (IPv4); 0 for any.
        TOS tos or 0: U8 = Header(3), "rtm_tos", Identity, keyword: "tos", form: Custom(show::tos);
        /// The nexthop object that says the way.
        NH_ID nh_id: U32 = Path(&[30]), "RTA_NH_ID", Set, name: "nhid", keyword: "nhid";
        /// The gateway, of the route's own family; [`Route::gateway`] knows the other too.
        GATEWAY gateway_attribute: Ip = Path(&[5]), "RTA_GATEWAY", Set, name: "gateway", keyword: "via";
        /// The gateway where it is of another family than the route.
        VIA via: Via = Path(&[18]), "RTA_VIA", Set, keyword: "via", form: Custom(show::via);
        /// The interface that packets leave by.
        OIF oif: Index = Path(&[4]), "RTA_OIF", Set, name: "dev", keyword: "dev";
        /// The table, 1 to 4294967295: 254 is main, 255 local, 253 default.
        TABLE table or 0: U32 = Path(&[15]), "RTA_TABLE", Identity, keyword: "table", narrow: Some(4), form: Custom(show::table);
        /// Who made the route.
        PROTOCOL protocol or (RouteProtocol(0)): OneOf<RouteProtocol> = Header(5), "rtm_protocol", Create, keyword: "proto", form: Custom(show::protocol);
        /// How far away the destination is (IPv4).
        SCOPE scope or (RouteScope(0)): OneOf<RouteScope> = Header(6), "rtm_scope", Create, keyword: "scope", form: Custom(show::scope);
        /// The source address for packets that have none yet.
        PREFSRC prefsrc: Ip = Path(&[7]), "RTA_PREFSRC", Set, keyword: "src";
        /// The priority, as the kernel gave it: none is 0 for IPv4.
        PRIORITY priority_attribute: U32 = Path(&[6]), "RTA_PRIORITY", Identity, name: "metric", keyword: "metric";
        /// The flags; [`RouteFlags::stable`] are those that a program set.
        FLAGS flags or (RouteFlags(0)): BitsOf<RouteFlags> = Header(8), "rtm_flags", Set, volatile: !(STABLE_FLAGS as u64), form: Custom(show::flags);
        /// The mark of the packet that was looked up.
        MARK mark: U32 = Path(&[16]), "RTA_MARK", Status, keyword: "mark", form: NotZero;
        /// The realms: the source's in the upper 16 bits, the destination's in the lower; [`Route::realms`] reads it.
        FLOW flow: U32 = Path(&[11]), "RTA_FLOW", Set, keyword: "realms", form: Custom(show::realms);
        /// The user whose packet was looked up.
        UID uid: U32 = Path(&[25]), "RTA_UID", Status;
        /// Timers and counters; [`Route::expires`] reads the one that counts.
        CACHEINFO cache_info: RouteCacheInfoOf = Path(&[12]), "RTA_CACHEINFO", Statistic, form: Custom(show::cache_info);
        /// In a request: how long the route shall last, in seconds (IPv6).
        EXPIRES expires_in: U32 = Path(&[23]), "RTA_EXPIRES", Action, keyword: "expires", unit: "s", form: Hidden;
        /// What the transport protocols shall know of the way: MTU, window, round trip time and more.
        METRICS metrics: MetricsOf = Path(&[8]), "RTA_METRICS", Set, form: Custom(show::metrics);
        /// The interface that the packet came in by, in the answer to a lookup and in multicast routes.
        IIF iif: Index = Path(&[3]), "RTA_IIF", Status, keyword: "iif";
        /// The preference of the router among others (IPv6).
        PREF pref: OneOf<Preference> = Path(&[20]), "RTA_PREF", Set, keyword: "pref", form: Words(Preference::NAMES);
        /// Whether the time to live goes into the labels and comes back from them (MPLS).
        TTL_PROPAGATE ttl_propagate: Switch<U8> = Path(&[26]), "RTA_TTL_PROPAGATE", Set, name: "ttl-propogate", keyword: "ttl-propagate";
        /// The legs of a multipath route; [`Route::hops`] reads them.
        MULTIPATH hop_records or (&[]): HopsOf = Path(&[9]), "RTA_MULTIPATH", Set, name: "nexthops", keyword: "nexthop", form: Custom(show::legs);
        /// In a lookup: the transport protocol of the packet.
        IP_PROTO ip_proto: U8 = Path(&[27]), "RTA_IP_PROTO", Status, form: Hidden;
        /// In a lookup: the source port of the packet.
        SPORT sport: Be16 = Path(&[28]), "RTA_SPORT", Status, form: Hidden;
        /// In a lookup: the destination port of the packet.
        DPORT dport: Be16 = Path(&[29]), "RTA_DPORT", Status, form: Hidden;
        /// In a lookup: the flow label of the packet (Linux 6.14).
        FLOWLABEL flowlabel: Be32 = Path(&[31]), "RTA_FLOWLABEL", Status, form: Hidden;
        /// Counters of a multicast route.
        MFC_STATS multicast_statistics: Bytes = Path(&[17]), "RTA_MFC_STATS", Statistic, form: Hidden;
    }
}

/// One leg of a multipath route.
#[derive(Clone, Copy, Debug)]
pub struct RouteHop<'a>(pub(crate) &'a Record);

impl<'a> RouteHop<'a> {
    /// Everything that the kernel said of it.
    pub fn record(&self) -> &'a Record {
        self.0
    }

    /// The gateway, of whichever family.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway_attribute().or(self.via())
    }

    /// Its share of the traffic, 1 to 256.
    pub fn weight(&self) -> u16 {
        u16::from(self.hops()) + 1
    }
}

table! {
    /// `struct rtnexthop` and the `RTA_*` behind it.
    pub static HOP: "nexthop", header 8;
    fields hop_row;
    view ['a] RouteHop<'a>;
    setters [];
    rows {
        /// The kind of the tunnel that packets are put in.
        ENCAP_TYPE encap_type: OneOf<EncapType> = Path(&[21]), "RTA_ENCAP_TYPE", Set, form: Hidden;
        /// What that tunnel adds.
        ENCAP encap: EncapOf<21> = Path(&[22]), "RTA_ENCAP", Set, keyword: "encap", form: Custom(show::hop_encap);
        /// The labels that replace an MPLS packet's own, the outermost first.
        NEWDST newdst: Labels = Path(&[19]), "RTA_NEWDST", Set, name: "to", keyword: "as", form: Custom(show::new_labels);
        /// The gateway, of the route's own family; [`RouteHop::gateway`] knows the other too.
        GATEWAY gateway_attribute: Ip = Path(&[5]), "RTA_GATEWAY", Set, name: "gateway", keyword: "via";
        /// The gateway where it is of another family than the route.
        VIA via: Via = Path(&[18]), "RTA_VIA", Set, keyword: "via", form: Custom(show::via);
        /// The realms: the source's in the upper 16 bits, the destination's in the lower.
        FLOW flow: U32 = Path(&[11]), "RTA_FLOW", Set, keyword: "realms", form: Custom(show::realms);
        /// The interface that packets leave by.
        OIF oif: Index = Header(4), "rtnh_ifindex", Set, name: "dev", keyword: "dev";
        /// Its share of the traffic, less one; [`RouteHop::weight`] is the share.
        HOPS hops or 0: U8 = Header(3), "rtnh_hops", Set, name: "weight", keyword: "weight", form: Custom(show::weight);
        /// The flags.
        FLAGS flags or (RouteFlags(0)): HopFlags = Header(2), "rtnh_flags", Set, volatile: !(STABLE_FLAGS as u64), form: Custom(show::flags);
    }
}

/// Route flags of one byte.
#[derive(Debug)]
pub struct HopFlags;

impl Typed for HopFlags {
    type Out<'a> = RouteFlags;
    type In = RouteFlags;
    const SHAPE: super::Shape = super::Shape::U8;
    fn read(value: &Value) -> Option<RouteFlags> {
        value.number().map(RouteFlags::from_number)
    }
    fn write(value: RouteFlags) -> Value {
        Value::Number((value.0 & 0xff).into())
    }
}

/// The metrics of a route.
#[derive(Clone, Copy, Debug)]
pub struct RouteMetrics<'a>(pub(crate) &'a Record);

impl<'a> RouteMetrics<'a> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &'a Record {
        self.0
    }
}

table! {
    /// `RTAX_*` in `include/uapi/linux/rtnetlink.h`.
    pub static METRICS: "metrics", header 0;
    fields metric_row;
    view ['a] RouteMetrics<'a>;
    setters [];
    rows {
        /// Which metrics the transport protocols may not change: a bit each, by the metric's own number.
        LOCK lock or 0: U32 = Path(&[1]), "RTAX_LOCK", Set, form: Hidden;
        /// The MTU of the path, in bytes.
        MTU mtu: U32 = Path(&[2]), "RTAX_MTU", Set, keyword: "mtu", unit: "bytes";
        /// The largest window that TCP advertises, in bytes.
        WINDOW window: U32 = Path(&[3]), "RTAX_WINDOW", Set, keyword: "window", unit: "bytes";
        /// The initial round trip time, in 1/8 ms.
        RTT rtt: U32 = Path(&[4]), "RTAX_RTT", Set, keyword: "rtt", unit: "1/8 ms", form: Custom(show::rtt);
        /// The initial variance of the round trip time, in 1/4 ms.
        RTTVAR rttvar: U32 = Path(&[5]), "RTAX_RTTVAR", Set, keyword: "rttvar", unit: "1/4 ms", form: Custom(show::rttvar);
        /// The initial slow start threshold, in segments.
        SSTHRESH ssthresh: U32 = Path(&[6]), "RTAX_SSTHRESH", Set, keyword: "ssthresh", unit: "segments";
        /// The largest congestion window, in segments; counts only when locked.
        CWND cwnd: U32 = Path(&[7]), "RTAX_CWND", Set, keyword: "cwnd", unit: "segments";
        /// The maximum segment size that TCP advertises, in bytes.
        ADVMSS advmss: U32 = Path(&[8]), "RTAX_ADVMSS", Set, keyword: "advmss", unit: "bytes";
        /// How many segments may be out of order before one counts as lost.
        REORDERING reordering: U32 = Path(&[9]), "RTAX_REORDERING", Set, keyword: "reordering", unit: "segments";
        /// The hop limit of packets, 1 to 255; 4294967295 for the interface's own.
        HOPLIMIT hoplimit: U32 = Path(&[10]), "RTAX_HOPLIMIT", Set, keyword: "hoplimit", form: Custom(show::hop_limit);
        /// The initial congestion window, in segments.
        INITCWND initcwnd: U32 = Path(&[11]), "RTAX_INITCWND", Set, keyword: "initcwnd", unit: "segments";
        /// Features: 1 is explicit congestion notification, 16 microsecond time stamps of TCP.
        FEATURES features: U32 = Path(&[12]), "RTAX_FEATURES", Set, keyword: "features", form: Custom(show::features);
        /// The least retransmission timeout, in milliseconds.
        RTO_MIN rto_min: U32 = Path(&[13]), "RTAX_RTO_MIN", Set, keyword: "rto_min", unit: "ms";
        /// The initial receive window, in segments.
        INITRWND initrwnd: U32 = Path(&[14]), "RTAX_INITRWND", Set, keyword: "initrwnd", unit: "segments";
        /// Whether TCP acknowledges at once.
        QUICKACK quickack: U32 = Path(&[15]), "RTAX_QUICKACK", Set, keyword: "quickack";
        /// The congestion control algorithm of TCP.
        CC_ALGO congestion_control: Text = Path(&[16]), "RTAX_CC_ALGO", Set, name: "congestion", keyword: "congctl";
        /// Whether TCP fast open works without a cookie.
        FASTOPEN_NO_COOKIE fastopen_no_cookie: U32 = Path(&[17]), "RTAX_FASTOPEN_NO_COOKIE", Set, keyword: "fastopen_no_cookie";
    }
}

/// What a route with a single way says of it, and where a leg says the same.
pub const LEG_ROWS: [(u16, u16); 7] = [
    (row::OIF, hop_row::OIF),
    (row::GATEWAY, hop_row::GATEWAY),
    (row::VIA, hop_row::VIA),
    (row::ENCAP_TYPE, hop_row::ENCAP_TYPE),
    (row::ENCAP, hop_row::ENCAP),
    (row::NEWDST, hop_row::NEWDST),
    (row::FLOW, hop_row::FLOW),
];

/// Timers and counters of a route.
#[derive(Clone, Copy, Debug)]
pub struct RouteCacheInfo<'a>(pub(crate) &'a Record);

impl<'a> RouteCacheInfo<'a> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &'a Record {
        self.0
    }
}

table! {
    /// `struct rta_cacheinfo`.
    pub static ROUTE_CACHE_INFO: "cacheinfo", header 32;
    fields cache_row;
    view ['a] RouteCacheInfo<'a>;
    setters [];
    rows {
        /// How many use it.
        CLNTREF clients or 0: U32 = Header(0), "rta_clntref", Statistic, form: Hidden;
        /// How long ago it was used, in 1/100 s.
        LASTUSE last_use or 0: U32 = Header(4), "rta_lastuse", Statistic, unit: "1/100 s", form: Hidden;
        /// When it ends, in 1/100 s from the message; 0 for never. Negative when it has ended and is still to be removed.
        EXPIRES expires or 0: I32 = Header(8), "rta_expires", Statistic, unit: "1/100 s", form: Custom(show::expires);
        /// The error that a packet which takes it gets: an errno, negative, as 32 bits.
        ERROR error or 0: U32 = Header(12), "rta_error", Statistic, form: NotZero;
        /// How often it was used.
        USED used or 0: U32 = Header(16), "rta_used", Statistic, form: Hidden;
        /// No longer used.
        ID id or 0: U32 = Header(20), "rta_id", Statistic, form: Hidden;
        /// No longer used.
        TS time_stamp or 0: U32 = Header(24), "rta_ts", Statistic, form: Hidden;
        /// No longer used.
        TSAGE time_stamp_age or 0: U32 = Header(28), "rta_tsage", Statistic, form: Hidden;
    }
}

impl Route {
    /// What `ip -json -details route show table all` prints of it.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        Tree::Map(self.record.tree(names))
    }

    /// The line that `ip route show` prints of it, without the space at its end; a multipath route has a further line
    /// for each leg. The table is in it unless it is the main one.
    pub fn line(&self, names: &dyn Names) -> String {
        line::line(&self.record, names)
    }

    /// The same, not saying in which table it is.
    pub(crate) fn without_table(mut self) -> Self {
        self.record.remove(row::TABLE);
        self
    }

    /// The key by which the kernel looks it up; `None` for what is neither IPv4 nor IPv6 nor MPLS.
    #[doc(hidden)]
    pub fn key(&self) -> Option<RouteKey> {
        RouteKey::of(&self.record)
    }
}

printed!(Route);
