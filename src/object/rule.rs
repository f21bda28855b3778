//! Rules: `RTM_NEWRULE` with `struct fib_rule_hdr`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use ipnet::IpNet;

use super::route::show::{table_text, tos_text};
use super::route::{RouteProtocol, RouteType};
use super::shape::*;
use super::show::{debug_as_display, printed};
use super::spec::{Draft, SpecError, family_of, prefix};
use super::table::table;
use super::{Family, Named, Names, Record, Tree, Value};
use crate::wire::Builder;

/// One rule, as the kernel last described it.
#[derive(Clone)]
pub struct Rule {
    record: Record,
    /// See [`Rule::identity`]: rules are compared often.
    identity: OnceLock<Box<[u8]>>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for Rule {}

impl Rule {
    /// From what the kernel said.
    #[doc(hidden)]
    pub fn of(record: Record) -> Self {
        Rule { record, identity: OnceLock::new() }
    }

    /// A rule to be added: every packet, until something else is said.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> RuleSpec {
        RuleSpec { draft: Draft::new(&RULE), whole: false }
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The address family.
    pub fn family(&self) -> Family {
        match self.family_number() {
            2 => Family::Inet,
            10 => Family::Inet6,
            other => Family::Other(other),
        }
    }

    /// The prefix that the packet's source must be in; `None` for any.
    pub fn from(&self) -> Option<IpNet> {
        self.net(self.src(), self.src_len())
    }

    /// The prefix that the packet's destination must be in; `None` for any.
    pub fn to(&self) -> Option<IpNet> {
        self.net(self.dst(), self.dst_len())
    }

    fn net(&self, address: Option<IpAddr>, length: u8) -> Option<IpNet> {
        let zero: IpAddr = match self.family() {
            Family::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        IpNet::new(address.unwrap_or(zero), length).ok().filter(|net| net.prefix_len() > 0)
    }

    /// Whether it is for the packets that do not fit what it says.
    pub fn is_inverted(&self) -> bool {
        self.flags().contains(RuleFlags::INVERT)
    }

    /// All that the kernel compares to tell two rules apart (K37), as bytes, which are in the order of family, then
    /// priority. Of rules with equal bytes there can be one only; [`RuleSpec::is_refused_beside`] knows when the kernel
    /// refuses another one too.
    ///
    /// Not compared, measured on 6.18: `not`, the target of a goto, whether an interface is there.
    pub fn identity(&self) -> &[u8] {
        self.identity.get_or_init(|| identity(&self.record))
    }

    /// Whether a deletion that says all of this rule takes the other one, when that comes first: what is 0 here fits
    /// any that the other one has (`rule_find`, K37).
    pub(crate) fn deletion_takes(&self, other: &Rule) -> bool {
        if self.identity() == other.identity() {
            return true;
        }
        let at = |rule: &Rule| (rule.family_number(), rule.priority());
        let same_place = at(self) == at(other);
        let (own, other) = (identified(&self.record), identified(&other.record));
        let mut said = own.fields().filter(|(id, _, value)| match *id {
            row::FAMILY => false,
            _ => *value != &Value::Number(0),
        });
        same_place && said.all(|(id, _, value)| other.value(id) == Some(value))
    }

    /// What `ip -json -details rule show` prints of it.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        Tree::Map(self.record.tree(names))
    }

    /// The line that `ip rule show` prints of it.
    pub fn line(&self, names: &dyn Names) -> String {
        line(&self.record, names)
    }
}

printed!(Rule);

names! {
    /// `fib_rule_hdr.action`: what is done with a packet that the rule is for.
    enum RuleAction: u8 as U8 {
        UNSPEC = 0 "unspec",
        TABLE = 1 "table",
        GOTO = 2 "goto",
        NOP = 3 "nop",
        BLACKHOLE = 6 "blackhole",
        UNREACHABLE = 7 "unreachable",
        PROHIBIT = 8 "prohibit",
    }
}

names! {
    /// `fib_rule_hdr.flags`.
    bits RuleFlags: u32 as U32 {
        PERMANENT = 0x1 "permanent",
        INVERT = 0x2 "not",
        UNRESOLVED = 0x4 "unresolved",
        IIF_DETACHED = 0x8 "iif_detached",
        OIF_DETACHED = 0x10 "oif_detached",
        FIND_SADDR = 0x10000 "find_saddr",
    }
}

/// Flags that the kernel sets as interfaces and rules come and go (and `permanent`, which no request can set): all but
/// `INVERT` and `FIND_SADDR`.
const VOLATILE_FLAGS: u64 = 0x1 | 0x4 | 0x8 | 0x10;

records! {
    /// Users.
    UidRangeOf: Struct UID_RANGE, UidRange;
    /// Ports.
    PortRangeOf: Struct PORT_RANGE, PortRange;
}

table! {
    /// `struct fib_rule_hdr` and `FRA_*` in `include/uapi/linux/fib_rules.h`.
    pub static RULE: "rule", header 12;
    fields row;
    view [] Rule;
    setters [];
    rows {
        /// The address family: 2 for IPv4, 10 for IPv6.
        FAMILY family_number or 0: U8 = Header(0), "fib_rule_hdr.family", Identity, name: "family", form: Hidden;
        /// The priority, 0 to 4294967295: rules are asked from the least on. The kernel leaves 0 out.
        PRIORITY priority or 0: U32 = Path(&[6]), "FRA_PRIORITY", Identity, keyword: "priority", form: Hidden;
        /// The flags.
        FLAGS flags or (RuleFlags(0)): BitsOf<RuleFlags> = Header(8), "fib_rule_hdr.flags", Set, volatile: VOLATILE_FLAGS, form: Custom(show_first);
        /// Bits of the source prefix, 0 to 32 or 128; 0 for any source.
        SRC_LEN src_len or 0: U8 = Header(2), "fib_rule_hdr.src_len", Identity, unit: "bits", form: Custom(show_from);
        /// The source prefix.
        SRC src: Ip = Path(&[2]), "FRA_SRC", Identity, keyword: "from", form: Hidden;
        /// Bits of the destination prefix, 0 to 32 or 128; 0 for any destination.
        DST_LEN dst_len or 0: U8 = Header(1), "fib_rule_hdr.dst_len", Identity, unit: "bits", form: Custom(show_to);
        /// The destination prefix.
        DST dst: Ip = Path(&[1]), "FRA_DST", Identity, keyword: "to", form: Hidden;
        /// The type of service that the packet must have; 0 for any.
        TOS tos or 0: U8 = Header(3), "fib_rule_hdr.tos", Identity, keyword: "tos", form: Custom(show_tos);
        /// The code point that the packet must have, 0 to 63 (Linux 6.14).
        DSCP dscp: U8 = Path(&[25]), "FRA_DSCP", Identity, keyword: "dscp";
        /// Which bits of the code point count (Linux 6.15).
        DSCP_MASK dscp_mask: U8 = Path(&[30]), "FRA_DSCP_MASK", Identity, form: Hidden;
        /// The mark that the packet must have.
        FWMARK fwmark: U32 = Path(&[10]), "FRA_FWMARK", Identity, keyword: "fwmark", form: Hex;
        /// Which bits of the mark count; all when there is a mark and nothing is said.
        FWMASK fwmask: U32 = Path(&[16]), "FRA_FWMASK", Identity, form: Custom(show_mask);
        /// The name of the interface that the packet came in by.
        IIFNAME iif: Text = Path(&[3]), "FRA_IIFNAME", Identity, keyword: "iif", form: Custom(show_iif);
        /// The name of the interface that the packet's socket is bound to.
        OIFNAME oif: Text = Path(&[17]), "FRA_OIFNAME", Identity, keyword: "oif", form: Custom(show_oif);
        /// Whether the table is that of the VRF whose interface the packet belongs to.
        L3MDEV l3mdev or false: Switch<U8> = Path(&[19]), "FRA_L3MDEV", Identity, keyword: "l3mdev", form: Custom(show_l3mdev);
        /// The users whose packets it is for, first and last.
        UID_RANGE uid_range: UidRangeOf = Path(&[20]), "FRA_UID_RANGE", Identity, keyword: "uidrange", form: Custom(show_users);
        /// The transport protocol.
        IP_PROTO ip_proto: U8 = Path(&[22]), "FRA_IP_PROTO", Identity, name: "ipproto", keyword: "ipproto", form: Custom(show_ip_proto);
        /// The source ports, first and last.
        SPORT_RANGE sport: PortRangeOf = Path(&[23]), "FRA_SPORT_RANGE", Identity, keyword: "sport", form: Custom(show_sport);
        /// Which bits of the source port count (Linux 6.15).
        SPORT_MASK sport_mask: U16 = Path(&[28]), "FRA_SPORT_MASK", Identity, form: Hidden;
        /// The destination ports, first and last.
        DPORT_RANGE dport: PortRangeOf = Path(&[24]), "FRA_DPORT_RANGE", Identity, keyword: "dport", form: Custom(show_dport);
        /// Which bits of the destination port count (Linux 6.15).
        DPORT_MASK dport_mask: U16 = Path(&[29]), "FRA_DPORT_MASK", Identity, form: Hidden;
        /// The identifier of the tunnel that the packet came out of.
        TUN_ID tun_id: Be64 = Path(&[12]), "FRA_TUN_ID", Identity, keyword: "tun_id";
        /// The flow label of the packet (IPv6, Linux 6.14).
        FLOWLABEL flowlabel: Be32 = Path(&[26]), "FRA_FLOWLABEL", Identity, keyword: "flowlabel", form: Hex;
        /// Which bits of the flow label count (Linux 6.14).
        FLOWLABEL_MASK flowlabel_mask: Be32 = Path(&[27]), "FRA_FLOWLABEL_MASK", Identity, form: Hidden;
        /// The table that is looked in, 1 to 4294967295; 0 for a rule that looks in none.
        TABLE table or 0: U32 = Path(&[15]), "FRA_TABLE", Identity, keyword: "lookup", narrow: Some(4), form: Custom(show_table);
        /// Routes with a prefix of at most this many bits do not count; -1 for all count.
        SUPPRESS_PREFIXLEN suppress_prefixlength: I32 = Path(&[14]), "FRA_SUPPRESS_PREFIXLEN", Identity, name: "suppress_prefixlen", keyword: "suppress_prefixlength", form: Custom(show_suppress_prefixlength);
        /// Routes out of an interface of this group do not count; -1 for all count.
        SUPPRESS_IFGROUP suppress_ifgroup: I32 = Path(&[13]), "FRA_SUPPRESS_IFGROUP", Identity, keyword: "suppress_ifgroup", form: Custom(show_suppress_ifgroup);
        /// The realms that it puts traffic in: the source's in the upper 16 bits, the destination's in the lower (IPv4).
        FLOW flow: U32 = Path(&[11]), "FRA_FLOW", Identity, keyword: "realms", form: Custom(show_realms);
        /// What is done with the packet.
        ACTION action or (RuleAction(0)): OneOf<RuleAction> = Header(7), "fib_rule_hdr.action", Identity, form: Custom(show_action);
        /// The priority of the rule to go on with.
        GOTO goto: U32 = Path(&[4]), "FRA_GOTO", Create, keyword: "goto", form: Hidden;
        /// Who made the rule.
        PROTOCOL protocol or (RouteProtocol(0)): OneOf<RouteProtocol> = Path(&[21]), "FRA_PROTOCOL", Identity, keyword: "proto", form: Words(RouteProtocol::NAMES);
    }
}

macro_rules! views {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(pub(crate) &'a Record);
        impl $name<'_> {
            fn record(&self) -> &Record {
                self.0
            }
        }
    )*};
}

views! {
    /// A range of users.
    UidRange;
    /// A range of ports.
    PortRange;
}

table! {
    /// `struct fib_rule_uid_range`.
    pub static UID_RANGE: "uidrange", header 8;
    fields uid_row;
    view ['a] UidRange<'a>;
    setters [];
    rows {
        /// The first.
        START start or 0: U32 = Header(0), "fib_rule_uid_range.start", Identity, name: "uid_start";
        /// The last.
        END end or 0: U32 = Header(4), "fib_rule_uid_range.end", Identity, name: "uid_end";
    }
}

table! {
    /// `struct fib_rule_port_range`.
    pub static PORT_RANGE: "portrange", header 4;
    fields port_row;
    view ['a] PortRange<'a>;
    setters [];
    rows {
        /// The first.
        START start or 0: U16 = Header(0), "fib_rule_port_range.start", Identity;
        /// The last.
        END end or 0: U16 = Header(2), "fib_rule_port_range.end", Identity;
    }
}

/// Rows that go together, and that a request which does not have them compares with any.
const WILDCARDS: &[&[u16]] = &[
    &[row::SRC_LEN, row::SRC],
    &[row::DST_LEN, row::DST],
    &[row::TOS],
    &[row::DSCP, row::DSCP_MASK],
    &[row::FLOW],
    &[row::FLOWLABEL, row::FLOWLABEL_MASK],
];

fn identity(record: &Record) -> Box<[u8]> {
    let priority = record.number(row::PRIORITY) as u32;
    let own = identified(record);
    let mut message = Builder::new(0, 0);
    own.encode(&mut message);
    let attributes = message.finish().split_off(crate::wire::HEADER);
    let family = own.number(row::FAMILY) as u8;
    let parts = [&[family][..], &priority.to_be_bytes(), &own.encode_header(), &attributes];
    parts.concat().into()
}

/// All that the kernel compares, but for the priority, each thing said in one way only.
fn identified(record: &Record) -> Record {
    let mut own = record.clone();
    [row::PRIORITY, row::FLAGS, row::GOTO].into_iter().for_each(|id| drop(own.remove(id)));
    let whole = if own.number(row::FWMARK) == 0 { 0 } else { u32::MAX };
    let mask = own.value(row::FWMASK).and_then(Value::number).unwrap_or(whole.into());
    own.set(row::FWMASK, Value::Number(mask));
    // What the kernel reports and what it leaves out mean the same for these.
    let empty = [
        (row::FWMARK, Value::Number(0)),
        (row::FWMASK, Value::Number(0)),
        (row::L3MDEV, Value::Number(0)),
        (row::SUPPRESS_PREFIXLEN, Value::Signed(-1)),
        (row::SUPPRESS_IFGROUP, Value::Signed(-1)),
        (row::FLOW, Value::Number(0)),
        (row::TUN_ID, Value::Number(0)),
        (row::IP_PROTO, Value::Number(0)),
        (row::PROTOCOL, Value::Number(0)),
        (row::SPORT_MASK, Value::Number(0)),
        (row::SPORT_MASK, Value::Number(0xffff)),
        (row::DPORT_MASK, Value::Number(0)),
        (row::DPORT_MASK, Value::Number(0xffff)),
        (row::DSCP_MASK, Value::Number(0x3f)),
    ];
    for (id, none) in empty {
        if own.value(id) == Some(&none) {
            own.remove(id);
        }
    }
    own
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn push(object: Object<'_>, key: &str, tree: impl Into<Tree>) {
    object.push((key.to_owned(), tree.into()));
}

fn number(value: &Value) -> u64 {
    value.number().unwrap_or(0)
}

fn has(record: &Record, flag: RuleFlags) -> bool {
    record.number(row::FLAGS) & u64::from(flag.0) != 0
}

/// The priority, which the kernel leaves out when it is 0, and `not`.
fn show_first(_: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "priority", Tree::Number(record.number(row::PRIORITY)));
    if has(record, RuleFlags::INVERT) {
        push(object, "not", Tree::Null);
    }
}

fn show_from(length: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    match (record.value(row::SRC), number(length)) {
        (None, 0) => push(object, "src", "all"),
        (address, length) => show_prefix(("src", "srclen"), address, length, record, object),
    }
}

fn show_to(length: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    match (record.value(row::DST), number(length)) {
        (None, 0) => {}
        (address, length) => show_prefix(("dst", "dstlen"), address, length, record, object),
    }
}

fn show_prefix(
    (key, length_key): (&str, &str),
    address: Option<&Value>,
    length: u64,
    record: &Record,
    object: Object<'_>,
) {
    let most = if record.number(row::FAMILY) == 10 { 128 } else { 32 };
    push(object, key, address.map_or_else(|| "0".to_owned(), Value::to_string));
    if address.is_none() || length != most {
        push(object, length_key, Tree::Number(length));
    }
}

fn show_tos(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != 0 {
        push(object, "tos", tos_text(number(value)));
    }
}

fn show_mask(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != u64::from(u32::MAX) {
        if record.value(row::FWMARK).is_none() {
            push(object, "fwmark", "0");
        }
        push(object, "fwmask", format!("{:#x}", number(value)));
    }
}

fn show_iif(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "iif", value.to_string());
    if has(record, RuleFlags::IIF_DETACHED) {
        push(object, "iif_detached", Tree::Null);
    }
}

fn show_oif(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "oif", value.to_string());
    if has(record, RuleFlags::OIF_DETACHED) {
        push(object, "oif_detached", Tree::Null);
    }
}

fn show_l3mdev(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != 0 {
        push(object, "l3mdev", Tree::Null);
    }
}

fn show_users(value: &Value, _: &Record, names: &dyn Names, object: Object<'_>) {
    object.extend(value.nested().map(|range| range.tree(names)).unwrap_or_default());
}

/// The names of `/etc/protocols` that are used in rules.
pub(crate) const IP_PROTOCOLS: &[(u64, &str)] = &[
    (1, "icmp"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (132, "sctp"),
    (136, "udplite"),
];

fn show_ip_proto(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let name = IP_PROTOCOLS.iter().find(|(own, _)| *own == number(value));
    let text = name.map_or_else(|| format!("ipproto-{}", number(value)), |(_, n)| (*n).to_owned());
    push(object, "ipproto", text);
}

fn show_sport(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ports("sport", value, object);
}

fn show_dport(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_ports("dport", value, object);
}

fn show_ports(key: &str, value: &Value, object: Object<'_>) {
    let Some(range) = value.nested().map(PortRange) else { return };
    let (start, end) = (range.start().into(), range.end().into());
    if start == end {
        return push(object, key, Tree::Number(start));
    }
    push(object, &format!("{key}_start"), Tree::Number(start));
    push(object, &format!("{key}_end"), Tree::Number(end));
}

fn show_table(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != 0 {
        push(object, "table", table_text(number(value)));
    }
}

fn suppressor(value: &Value) -> Option<i64> {
    match value {
        Value::Signed(-1) => None,
        Value::Signed(n) => Some(*n),
        _ => None,
    }
}

fn show_suppress_prefixlength(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if let Some(bits) = suppressor(value) {
        let tree = u64::try_from(bits).map_or(Tree::Signed(bits), Tree::Number);
        push(object, "suppress_prefixlen", tree);
    }
}

fn show_suppress_ifgroup(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    match suppressor(value) {
        Some(0) => push(object, "suppress_ifgroup", "default"),
        Some(group) => push(object, "suppress_ifgroup", group.to_string()),
        None => {}
    }
}

fn show_realms(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let (from, to) = (number(value) >> 16, number(value) & 0xffff);
    if from != 0 {
        push(object, "flow_from", from.to_string());
    }
    push(object, "flow_to", if to == 0 { "cosmos".to_owned() } else { to.to_string() });
}

fn show_action(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let action = RuleAction::from_number(number(value));
    match action {
        RuleAction::TABLE => {}
        RuleAction::GOTO => {
            match record.value(row::GOTO) {
                Some(target) => push(object, "goto", Tree::Number(number(target))),
                None => push(object, "goto", "none"),
            }
            if has(record, RuleFlags::UNRESOLVED) {
                push(object, "unresolved", Tree::Null);
            }
        }
        RuleAction::NOP => push(object, "nop", Tree::Null),
        other => push(object, "action", RouteType(other.0).to_string()),
    }
}

fn line(record: &Record, names: &dyn Names) -> String {
    let tree = Tree::Map(record.tree(names));
    let entries = if let Tree::Map(entries) = &tree { &entries[..] } else { &[] };
    let words = entries.iter().filter_map(|(key, value)| word(key, value, &tree));
    words.collect::<Vec<_>>().join(" ").replacen(": ", ":\t", 1)
}

fn word(key: &str, value: &Tree, all: &Tree) -> Option<String> {
    let part = |key: &str, before: &str| {
        all.key(key).map(|value| format!("{before}{value}")).unwrap_or_default()
    };
    Some(match key {
        "priority" => format!("{value}:"),
        "src" => format!("from {value}{}", part("srclen", "/")),
        "dst" => format!("to {value}{}", part("dstlen", "/")),
        "fwmark" => format!("fwmark {value}{}", part("fwmask", "/")),
        "uid_start" => format!("uidrange {value}{}", part("uid_end", "-")),
        "sport_start" => format!("sport {value}{}", part("sport_end", "-")),
        "dport_start" => format!("dport {value}{}", part("dport_end", "-")),
        "flow_from" => format!("realms {value}{}", part("flow_to", "/")),
        "flow_to" if all.key("flow_from").is_none() => format!("realms {value}"),
        "srclen" | "dstlen" | "fwmask" | "uid_end" | "sport_end" | "dport_end" | "flow_to" => {
            return None;
        }
        "iif_detached" | "oif_detached" => "[detached]".to_owned(),
        "unresolved" => "[unresolved]".to_owned(),
        "l3mdev" => "lookup [l3mdev-table]".to_owned(),
        "table" => format!("lookup {value}"),
        "suppress_prefixlen" => format!("suppress_prefixlength {value}"),
        "action" => value.to_string(),
        "not" | "nop" => key.to_owned(),
        "protocol" => match value.to_string().as_str() {
            "unspec" | "kernel" => return None,
            other => format!("proto {other}"),
        },
        _ => format!("{key} {value}"),
    })
}

/// A rule to be added or removed.
///
/// ```text
/// Rule::new().priority(100).from("10.0.0.0/8").table(100)
/// ```
///
/// Texts are read at once; what is wrong with them is said by [`RuleSpec::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct RuleSpec {
    draft: Draft,
    /// Whether it was made from a rule: then it says all, also by what it does not say.
    whole: bool,
}

/// The rule as it is, to be changed or added elsewhere, or to be removed: it and no other.
impl From<&Rule> for RuleSpec {
    fn from(rule: &Rule) -> Self {
        let mut record = rule.record.clone();
        let own = RuleFlags::INVERT.0 | RuleFlags::FIND_SADDR.0;
        record.set(row::FLAGS, Value::Number((rule.flags().0 & own).into()));
        if record.value(row::PRIORITY).is_none() {
            record.set(row::PRIORITY, Value::Number(0));
        }
        RuleSpec { draft: Draft { record, error: None }, whole: true }
    }
}

impl From<Rule> for RuleSpec {
    fn from(rule: Rule) -> Self {
        (&rule).into()
    }
}

macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident($type:ty) $row:ident;)*) => {
        impl RuleSpec {$(
            $(#[$meta])*
            pub fn $name(mut self, value: $type) -> Self {
                self.draft.number(row::$row, value);
                self
            }
        )*}
    };
}

numbers! {
    /// The priority, 0 to 4294967295: rules are asked from the least on.
    priority(u32) PRIORITY;
    /// The type of service that the packet must have.
    tos(u8) TOS;
    /// The code point that the packet must have, 0 to 63 (Linux 6.14).
    dscp(u8) DSCP;
    /// The transport protocol: 6 for TCP, 17 for UDP.
    ip_proto(u8) IP_PROTO;
    /// The identifier of the tunnel that the packet came out of.
    tun_id(u64) TUN_ID;
}

impl RuleSpec {
    /// For IPv6, where nothing else that it says tells the family.
    pub fn inet6(mut self) -> Self {
        self.draft.number(row::FAMILY, 10u8);
        self
    }

    /// The prefix that the packet's source must be in, or `all`.
    pub fn from(self, source: impl fmt::Display) -> Self {
        self.prefix(&source.to_string(), row::SRC, row::SRC_LEN)
    }

    /// The prefix that the packet's destination must be in, or `all`.
    pub fn to(self, destination: impl fmt::Display) -> Self {
        self.prefix(&destination.to_string(), row::DST, row::DST_LEN)
    }

    /// The name of the interface that the packet comes in by, 1 to 15 bytes; it need not be there.
    pub fn iif(mut self, name: &str) -> Self {
        self.name(row::IIFNAME, name);
        self
    }

    /// The name of the interface that the packet's socket is bound to, 1 to 15 bytes; it need not be there.
    pub fn oif(mut self, name: &str) -> Self {
        self.name(row::OIFNAME, name);
        self
    }

    /// The mark that the packet must have in the bits of the mask.
    pub fn fwmark(mut self, mark: u32, mask: u32) -> Self {
        self.draft.number(row::FWMARK, mark);
        self.draft.number(row::FWMASK, mask);
        self
    }

    /// For packets that do not fit what it says.
    pub fn not(mut self, not: bool) -> Self {
        self.draft.number(row::FLAGS, if not { RuleFlags::INVERT.0 } else { 0 });
        self
    }

    /// The source ports, first and last.
    pub fn sport(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports(row::SPORT_RANGE, ports);
        self
    }

    /// The destination ports, first and last.
    pub fn dport(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports(row::DPORT_RANGE, ports);
        self
    }

    /// The users whose packets it is for, first and last.
    pub fn uidrange(mut self, users: RangeInclusive<u32>) -> Self {
        if users.is_empty() {
            self.draft.fail(SpecError::new(format!("uidrange {users:?}"), "an empty range"));
        }
        let mut range = Record::new(&UID_RANGE);
        range.set(uid_row::START, Value::Number((*users.start()).into()));
        range.set(uid_row::END, Value::Number((*users.end()).into()));
        self.draft.record.set(row::UID_RANGE, Value::Nested(Box::new(range)));
        self
    }

    /// The table that is looked in, 1 to 4294967295.
    pub fn table(mut self, table: u32) -> Self {
        if table == 0 {
            self.draft.fail(SpecError::new("table 0", "there is no table 0"));
        }
        self.draft.number(row::TABLE, table);
        self.action(RuleAction::TABLE)
    }

    /// The table is that of the VRF whose interface the packet belongs to.
    pub fn l3mdev(mut self) -> Self {
        self.draft.number(row::L3MDEV, 1u8);
        self.action(RuleAction::TABLE)
    }

    /// Routes with a prefix of at most this many bits do not count.
    pub fn suppress_prefixlength(mut self, bits: u8) -> Self {
        self.draft.record.set(row::SUPPRESS_PREFIXLEN, Value::Signed(bits.into()));
        self
    }

    /// Routes out of an interface of this group do not count.
    pub fn suppress_ifgroup(mut self, group: i32) -> Self {
        self.draft.record.set(row::SUPPRESS_IFGROUP, Value::Signed(group.into()));
        self
    }

    /// The realms that it puts traffic in: source and destination, 0 for none (IPv4).
    pub fn realms(mut self, from: u16, to: u16) -> Self {
        self.draft.number(row::FLOW, u32::from(from) << 16 | u32::from(to));
        self
    }

    /// Go on with the rule of this priority, which must be larger than this rule's own.
    pub fn goto(mut self, priority: u32) -> Self {
        self.draft.number(row::GOTO, priority);
        self.action(RuleAction::GOTO)
    }

    /// Nothing: go on with the next rule.
    pub fn nop(self) -> Self {
        self.action(RuleAction::NOP)
    }

    /// The packet is dropped.
    pub fn blackhole(self) -> Self {
        self.action(RuleAction::BLACKHOLE)
    }

    /// The packet is dropped, its sender hears that the network is unreachable.
    pub fn unreachable(self) -> Self {
        self.action(RuleAction::UNREACHABLE)
    }

    /// The packet is dropped, its sender hears that it is prohibited.
    pub fn prohibit(self) -> Self {
        self.action(RuleAction::PROHIBIT)
    }

    /// Who makes the rule; [`RouteProtocol::STATIC`] when it is not given.
    pub fn protocol(mut self, protocol: RouteProtocol) -> Self {
        self.draft.number(row::PROTOCOL, protocol.0);
        self
    }

    fn action(mut self, action: RuleAction) -> Self {
        self.draft.number(row::ACTION, action.0);
        self
    }

    fn prefix(mut self, text: &str, address: u16, length: u16) -> Self {
        if text == "all" {
            return self;
        }
        let Some(net) = self.draft.accept(prefix(text)) else { return self };
        let family = family_of(net.addr());
        let other = self.draft.record.value(row::FAMILY).and_then(Value::number);
        if other.is_some_and(|other| other != family.into()) {
            self.draft.fail(SpecError::new(net, "of another family than the rest of the rule"));
        }
        self.draft.number(row::FAMILY, family);
        self.draft.number(length, net.prefix_len());
        if net.prefix_len() > 0 {
            self.draft.record.set(address, Ip::write(net.addr()));
        }
        self
    }

    fn name(&mut self, id: u16, name: &str) {
        if !(1..16).contains(&name.len()) {
            self.draft.fail(SpecError::new(name, "a name of an interface has 1 to 15 bytes"));
        }
        self.draft.record.set(id, name.into());
    }

    fn ports(&mut self, id: u16, ports: RangeInclusive<u16>) {
        if ports.is_empty() || *ports.start() == 0 || *ports.end() == u16::MAX {
            let text = format!("ports {}-{}", ports.start(), ports.end());
            self.draft.fail(SpecError::new(
                text,
                "the kernel takes 1 to 65534, the first not above the last",
            ));
        }
        let mut range = Record::new(&PORT_RANGE);
        range.set(port_row::START, Value::Number((*ports.start()).into()));
        range.set(port_row::END, Value::Number((*ports.end()).into()));
        self.draft.record.set(id, Value::Nested(Box::new(range)));
    }

    /// Whether all that was said can be.
    ///
    /// # Errors
    /// When a text is no prefix, families are mixed, a goto does not lead forward, or a number is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        self.draft.check()?;
        let record = &self.draft.record;
        let fail = |why: &str| Err(SpecError::new(self, why));
        let target = record.value(row::GOTO).and_then(Value::number);
        if target.is_some_and(|target| target <= record.number(row::PRIORITY)) {
            return fail("a goto leads to a larger priority");
        }
        if record.number(row::L3MDEV) == 1 && record.number(row::TABLE) != 0 {
            return fail("with l3mdev there is no table");
        }
        if record.number(row::DSCP) > 63 {
            return fail("a code point is at most 63");
        }
        Ok(())
    }

    /// The rule as a request carries it. When no action was given, the main table is looked in.
    pub fn record(&self) -> Record {
        let mut record = self.draft.record.clone();
        let none = |record: &Record, id| record.value(id).is_none();
        let bare = none(&record, row::ACTION);
        let mut default = |id, number: u32| {
            if record.value(id).is_none() {
                record.set(id, Value::Number(number.into()));
            }
        };
        default(row::FAMILY, 2);
        default(row::ACTION, RuleAction::TABLE.0.into());
        default(row::TABLE, if bare { super::route::TABLE_MAIN } else { 0 });
        default(row::PROTOCOL, RouteProtocol::STATIC.0.into());
        for id in [row::DST_LEN, row::SRC_LEN, row::TOS, row::FLAGS] {
            default(id, 0);
        }
        record
    }

    /// Whether a priority was given.
    pub fn priority_said(&self) -> bool {
        self.draft.record.value(row::PRIORITY).is_some()
    }

    /// Whether this is a rule that the words mean: what they do not name does not count, unless they were made from a
    /// rule.
    pub fn selects(&self, rule: &Rule) -> bool {
        if self.whole && *self.identity() != *rule.identity() {
            return false;
        }
        let volatile = |id| id == row::FLAGS;
        let priority = |id| id == row::PRIORITY;
        self.draft.record.fields().all(|(id, _, value)| {
            let own = rule.record.value(id);
            let mask = if volatile(id) { u64::from(RuleFlags::INVERT.0) } else { u64::MAX };
            let same = |a: &Value, b: Option<&Value>| match (a.number(), b) {
                (Some(a), Some(b)) => b.number().is_some_and(|b| a & mask == b & mask),
                (Some(a), None) => a & mask == 0 || id == row::FWMASK && a == u64::from(u32::MAX),
                _ => Some(a) == b,
            };
            if priority(id) {
                value.number() == Some(rule.priority().into())
            } else {
                same(value, own)
            }
        })
    }

    /// All that the kernel compares, as [`Rule::identity`] has it.
    pub fn identity(&self) -> Box<[u8]> {
        identity(&self.record())
    }

    /// Whether the kernel refuses it with `EEXIST` while this rule is there. That is more than being the same: what a
    /// request does not say of prefixes, type of service and realms fits any that the other rule has (measured on
    /// 6.18; `fib4_rule_compare`). After `from 10.0.0.0/8 lookup 5` no `from all lookup 5` of the same priority can be
    /// added; the other way round both can.
    pub fn is_refused_beside(&self, other: &Rule) -> bool {
        let differs = |id: &u16| self.draft.record.number(*id) != other.record.number(*id);
        if [row::PRIORITY, row::FWMARK].iter().any(differs) {
            return false;
        }
        let mut own = self.record();
        for ids in WILDCARDS {
            if ids.iter().all(|id| {
                own.number(*id) == 0 && own.value(*id).is_none_or(|v| v.number().is_some())
            }) {
                for id in *ids {
                    match other.record.value(*id) {
                        Some(value) => own.set(*id, value.clone()),
                        None => drop(own.remove(*id)),
                    }
                }
            }
        }
        *identity(&own) == *other.identity()
    }
}

/// In the words of `ip rule`.
impl fmt::Display for RuleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.record(), &()))
    }
}

debug_as_display!(RuleSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_reads_as_ip_prints_the_rule() {
        let all = Rule::new()
            .priority(100)
            .from("10.0.0.0/8")
            .to("10.1.0.1")
            .iif("v0")
            .oif("v2")
            .fwmark(1, 0xff)
            .tos(0x10)
            .not(true)
            .ip_proto(6)
            .sport(100..=200)
            .dport(80..=80)
            .uidrange(1..=2)
            .suppress_prefixlength(3)
            .table(100);
        all.check().unwrap();
        assert_eq!(
            all.to_string(),
            "100:\tnot from 10.0.0.0/8 to 10.1.0.1 tos 0x10 fwmark 0x1/0xff iif v0 oif v2 uidrange 1-2 ipproto tcp \
             sport 100-200 dport 80 lookup 100 suppress_prefixlength 3 proto static"
        );
        assert_eq!(Rule::new().to_string(), "0:\tfrom all lookup main proto static");
        let goto = Rule::new().priority(1).goto(9).inet6();
        assert_eq!(goto.to_string(), "1:\tfrom all goto 9 proto static");
    }

    #[test]
    fn what_cannot_be_is_said_when_asked() {
        for (spec, why) in [
            (Rule::new().from("10.0.0.1/8"), "the prefix is 10.0.0.0/8"),
            (Rule::new().from("10.0.0.0/8").to("fd00::/8"), "another family"),
            (Rule::new().priority(9).goto(9), "larger priority"),
            (Rule::new().iif("a-name-of-sixteen"), "1 to 15 bytes"),
            (Rule::new().table(0), "no table 0"),
            (Rule::new().sport(RangeInclusive::new(9, 8)), "1 to 65534"),
            (Rule::new().table(5).l3mdev(), "there is no table"),
        ] {
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    /// Two rules that differ only in their destination were one rule to the ancestor.
    #[test]
    fn rules_that_differ_only_in_dst_are_two() {
        let rule = |to: &str| Rule::new().priority(5).to(to).table(9);
        assert_ne!(rule("10.0.0.0/8").identity(), rule("10.0.0.0/9").identity());
        assert_ne!(rule("10.0.0.0/8").identity(), rule("11.0.0.0/8").identity());
        assert_eq!(rule("10.0.0.0/8").identity(), rule("10.0.0.0/8").not(true).identity());
    }

    #[test]
    fn identities_are_in_the_order_of_rules() {
        let of = |priority| Rule::new().priority(priority).table(9).identity();
        assert!(of(0) < of(1) && of(255) < of(256) && of(256) < of(70_000));
    }
}
