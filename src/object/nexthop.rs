//! Nexthop objects: `RTM_NEWNEXTHOP` with `struct nhmsg`: a way by itself, or a group of them, that routes refer to by
//! its number.

use std::fmt;
use std::net::IpAddr;

use super::encap::{Encap, EncapOf, EncapType, encap_line, show_encap};
use super::route::{RouteFlags, RouteProtocol, RouteScope};
use super::shape::*;
use super::show::{debug_as_display, printed, show};
use super::spec::{Draft, SpecError, address, family_of};
use super::table::table;
use super::{LinkRef, Named, Names, Record, Tree, Value};

/// One nexthop object, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Nexthop {
    record: Record,
}

impl Nexthop {
    /// From what the kernel said.
    #[doc(hidden)]
    pub fn of(record: Record) -> Self {
        Nexthop { record }
    }

    /// A nexthop object to be added, by its number, 1 to 4294967295.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(id: u32) -> NexthopSpec {
        let mut draft = Draft::new(&NEXTHOP);
        draft.number(row::ID, id);
        if id == 0 {
            draft.fail(SpecError::new("id 0", "a nexthop has a number above 0"));
        }
        NexthopSpec { draft, dev: None, gateway: None, inet6: false, members: Vec::new() }
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The members of a group: number and weight, 1 to 65535; none where it is no group.
    pub fn group(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        self.members().iter().map(|member| (member.number(member_row::ID) as u32, weight(member)))
    }

    /// Whether packets that take it are dropped.
    pub fn is_blackhole(&self) -> bool {
        self.record.value(row::BLACKHOLE).is_some()
    }

    /// Whether it is for forwarding entries of VXLAN tunnels, not for routes.
    pub fn is_fdb(&self) -> bool {
        self.record.value(row::FDB).is_some()
    }

    /// What `ip -json -details nexthop show` prints of it.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        Tree::Map(self.record.tree(names))
    }

    /// The line that `ip nexthop show` prints of it.
    pub fn line(&self, names: &dyn Names) -> String {
        line(&self.record, names)
    }
}

printed!(Nexthop);

names! {
    /// `NHA_GROUP_TYPE`: how a group spreads traffic.
    enum GroupType: u16 as U16 {
        MPATH = 0 "mpath",
        RESILIENT = 1 "resilient",
    }
}

records! {
    /// Settings of a resilient group.
    ResilientOf: Nest RESILIENT, Resilient;
}

lists! {
    /// Members of a group.
    MembersOf: Array MEMBER;
}

/// `RTNH_F_ONLINK` and `RTNH_F_PERVASIVE`: what a program may ask for (K8).
const STABLE_FLAGS: u64 = 0x4 | 0x2;

table! {
    /// `struct nhmsg` and `NHA_*` in `include/uapi/linux/nexthop.h`.
    pub static NEXTHOP: "nexthop object", header 8;
    fields row;
    view [] Nexthop;
    setters [];
    rows {
        /// The address family: that of the gateway, 0 for a group.
        FAMILY family_number or 0: U8 = Header(0), "nh_family", Create, name: "family", form: Hidden;
        /// The number, 1 to 4294967295, by which routes refer to it.
        ID id or 0: U32 = Path(&[1]), "NHA_ID", Identity, keyword: "id";
        /// The members of a group; [`Nexthop::group`] reads them.
        GROUP members or (&[]): MembersOf = Path(&[2]), "NHA_GROUP", Set, name: "group", keyword: "group";
        /// How a group spreads traffic.
        GROUP_TYPE group_type: OneOf<GroupType> = Path(&[3]), "NHA_GROUP_TYPE", Set, name: "type", keyword: "type", form: Custom(show_group_type);
        /// The settings of a resilient group.
        RES_GROUP resilient: ResilientOf = Path(&[12]), "NHA_RES_GROUP", Set, name: "resilient_args";
        /// The kind of the tunnel that packets are put in.
        ENCAP_TYPE encap_type: OneOf<EncapType> = Path(&[7]), "NHA_ENCAP_TYPE", Set, form: Hidden;
        /// What that tunnel adds.
        ENCAP encap: EncapOf<7> = Path(&[8]), "NHA_ENCAP", Set, keyword: "encap", form: Custom(show_tunnel);
        /// The gateway.
        GATEWAY gateway: Ip = Path(&[6]), "NHA_GATEWAY", Set, keyword: "via";
        /// The interface that packets leave by.
        OIF oif: Index = Path(&[5]), "NHA_OIF", Set, name: "dev", keyword: "dev";
        /// How far away the gateway is.
        SCOPE scope or (RouteScope(0)): OneOf<RouteScope> = Header(1), "nh_scope", Status, form: Words(RouteScope::NAMES);
        /// There when packets that take it are dropped.
        BLACKHOLE blackhole or false: Present = Path(&[4]), "NHA_BLACKHOLE", Set, keyword: "blackhole", form: Custom(show_blackhole);
        /// Who made it.
        PROTOCOL protocol or (RouteProtocol(0)): OneOf<RouteProtocol> = Header(2), "nh_protocol", Set, keyword: "proto", form: Words(RouteProtocol::NAMES);
        /// The flags.
        FLAGS flags or (RouteFlags(0)): BitsOf<RouteFlags> = Header(4), "nh_flags", Set, volatile: !STABLE_FLAGS, form: Custom(super::route::show::flags);
        /// There when it is for forwarding entries of VXLAN tunnels.
        FDB fdb or false: Present = Path(&[11]), "NHA_FDB", Create, keyword: "fdb", form: Custom(show_fdb);
        /// In a dump's request: only groups.
        GROUPS only_groups or false: Present = Path(&[9]), "NHA_GROUPS", Action, form: Hidden;
        /// In a dump's request: only those out of a port of this interface.
        MASTER only_master: Index = Path(&[10]), "NHA_MASTER", Action, form: Hidden;
        /// In a bucket's message: the bucket.
        RES_BUCKET bucket: Bytes = Path(&[13]), "NHA_RES_BUCKET", Statistic, form: Hidden;
        /// In a request: what else is wanted, 1 counters, 2 the hardware's counters too (Linux 6.9).
        OP_FLAGS op_flags: U32 = Path(&[14]), "NHA_OP_FLAGS", Action, form: Hidden;
        /// Counters of a group's members (Linux 6.9).
        GROUP_STATS group_statistics: Bytes = Path(&[15]), "NHA_GROUP_STATS", Statistic, form: Hidden;
        /// Whether the hardware counts (Linux 6.9).
        HW_STATS_ENABLE hw_stats_enable: U32 = Path(&[16]), "NHA_HW_STATS_ENABLE", Set, form: Hidden;
        /// Whether the hardware's counters are in use (Linux 6.9).
        HW_STATS_USED hw_stats_used: U32 = Path(&[17]), "NHA_HW_STATS_USED", Status, form: Hidden;
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
    /// One member of a group.
    Member;
    /// The settings of a resilient group.
    Resilient;
}

table! {
    /// `struct nexthop_grp`.
    pub static MEMBER: "member", header 8;
    fields member_row;
    view ['a] Member<'a>;
    setters [];
    rows {
        /// The number of the nexthop.
        ID id or 0: U32 = Header(0), "nexthop_grp.id", Identity;
        /// Its share of the traffic less one, the low eight bits.
        WEIGHT weight_low or 0: U8 = Header(4), "nexthop_grp.weight", Set, name: "weight", form: Custom(show_weight);
        /// The high eight bits; a reserved field of older kernels (5.10, 6.1).
        WEIGHT_HIGH weight_high or 0: U8 = Header(5), "nexthop_grp.weight_high", Set, form: Hidden;
    }
}

table! {
    /// `NHA_RES_GROUP_*`.
    pub static RESILIENT: "resilient", header 0;
    fields resilient_row;
    view ['a] Resilient<'a>;
    setters [];
    rows {
        /// How many buckets flows are spread over, 1 to 65535.
        BUCKETS buckets: U16 = Path(&[1]), "NHA_RES_GROUP_BUCKETS", Set, keyword: "buckets";
        /// After how long without traffic a bucket may move, in 1/100 s.
        IDLE_TIMER idle_timer: U32 = Path(&[2]), "NHA_RES_GROUP_IDLE_TIMER", Set, keyword: "idle_timer", unit: "1/100 s", form: Custom(show_idle_timer);
        /// After how long out of balance buckets move even with traffic, in 1/100 s; 0 for never.
        UNBALANCED_TIMER unbalanced_timer: U32 = Path(&[3]), "NHA_RES_GROUP_UNBALANCED_TIMER", Set, keyword: "unbalanced_timer", unit: "1/100 s", form: Custom(show_unbalanced_timer);
        /// For how long it has been out of balance, in 1/100 s.
        UNBALANCED_TIME unbalanced_time: U64 = Path(&[4]), "NHA_RES_GROUP_UNBALANCED_TIME", Statistic, unit: "1/100 s", form: Custom(show_unbalanced_time);
    }
}

fn weight(member: &Record) -> u32 {
    let byte = |id| member.number(id) as u32 & 0xff;
    (byte(member_row::WEIGHT_HIGH) << 8 | byte(member_row::WEIGHT)) + 1
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn push(object: Object<'_>, key: &str, tree: impl Into<Tree>) {
    object.push((key.to_owned(), tree.into()));
}

fn show_weight(_: &Value, member: &Record, _: &dyn Names, object: Object<'_>) {
    if weight(member) > 1 {
        push(object, "weight", Tree::Number(weight(member).into()));
    }
}

fn show_group_type(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    match GroupType::from_number(value.number().unwrap_or(0)) {
        GroupType::MPATH => {}
        other => push(object, "type", other.to_string()),
    }
}

fn show_tunnel(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    show_encap(record.number(row::ENCAP_TYPE), value, names, object);
}

fn show_blackhole(_: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "blackhole", Tree::Null);
}

fn show_fdb(_: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "fdb", Tree::Null);
}

/// Seconds, without decimals where there are none.
fn seconds(value: &Value) -> Tree {
    let hundredths = value.number().unwrap_or(0);
    match hundredths % 100 {
        0 => Tree::Number(hundredths / 100),
        _ => Tree::Decimal(hundredths as f64 / 100.0),
    }
}

fn show_idle_timer(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "idle_timer", seconds(value));
}

fn show_unbalanced_timer(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "unbalanced_timer", seconds(value));
}

fn show_unbalanced_time(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "unbalanced_time", seconds(value));
}

fn line(record: &Record, names: &dyn Names) -> String {
    let mut words = Vec::new();
    for (id, own, value) in record.fields() {
        match id {
            row::ENCAP => words.push(encap_line(record.number(row::ENCAP_TYPE), value, names)),
            row::GROUP => words.push(format!("group {}", members_text(value.records()))),
            _ => {
                let mut object = Vec::new();
                show(own, value, record, names, &mut object);
                words.extend(object.iter().filter_map(|(key, tree)| word(key, tree)));
            }
        }
    }
    words.join(" ")
}

fn members_text(members: &[Record]) -> String {
    let one = |member: &Record| match (member.number(member_row::ID), weight(member)) {
        (id, 1) => id.to_string(),
        (id, weight) => format!("{id},{weight}"),
    };
    members.iter().map(one).collect::<Vec<_>>().join("/")
}

fn word(key: &str, tree: &Tree) -> Option<String> {
    let text = tree.to_string();
    Some(match (key, text.as_str()) {
        ("scope", "global") | ("protocol", "unspec") | ("flags", "") => return None,
        ("flags", _) => text.replace(',', " "),
        ("blackhole" | "fdb", _) => key.to_owned(),
        ("gateway", _) => format!("via {text}"),
        ("protocol", _) => format!("proto {text}"),
        ("resilient_args", _) => text,
        _ => format!("{key} {text}"),
    })
}

/// A nexthop object to be added, changed or removed.
///
/// ```text
/// Nexthop::new(1).via("10.0.0.2").dev("eth0")
/// Nexthop::new(3).member(1, 1).member(2, 10)
/// ```
///
/// Texts are read at once; what is wrong with them is said by [`NexthopSpec::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct NexthopSpec {
    draft: Draft,
    dev: Option<LinkRef>,
    gateway: Option<IpAddr>,
    inet6: bool,
    members: Vec<Record>,
}

/// The nexthop object as it is, to be changed.
impl From<&Nexthop> for NexthopSpec {
    fn from(nexthop: &Nexthop) -> Self {
        let mut record = nexthop.record.clone();
        let members = record.value(row::GROUP).map(Value::records).unwrap_or_default().to_vec();
        let dev = nexthop.oif().map(LinkRef::Index);
        let gateway = nexthop.gateway();
        let inet6 = nexthop.family_number() == 10;
        for id in [row::GROUP, row::OIF, row::GATEWAY] {
            record.remove(id);
        }
        let flags = record.number(row::FLAGS) & STABLE_FLAGS;
        record.set(row::FLAGS, Value::Number(flags));
        let draft = Draft { record, error: None };
        NexthopSpec { draft, dev, gateway, inet6, members }
    }
}

impl NexthopSpec {
    /// The number.
    pub fn id(&self) -> u32 {
        self.draft.record.number(row::ID) as u32
    }

    /// Takes a member out of a group.
    pub fn without_member(mut self, id: u32) -> Self {
        let before = self.members.len();
        self.members.retain(|member| member.number(member_row::ID) != u64::from(id));
        if self.members.len() == before {
            self.draft.fail(SpecError::new(format!("member {id}"), "the group has no such member"));
        }
        self
    }

    /// The gateway.
    pub fn via(mut self, gateway: impl fmt::Display) -> Self {
        self.gateway = self.draft.accept(address(&gateway.to_string()));
        self
    }

    /// The interface that packets leave by.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.dev = Some(link.into());
        self
    }

    /// For IPv6, where no gateway tells the family.
    pub fn inet6(mut self) -> Self {
        self.inet6 = true;
        self
    }

    /// Packets that take it are dropped.
    pub fn blackhole(mut self) -> Self {
        self.draft.record.set(row::BLACKHOLE, Value::Present);
        self
    }

    /// The gateway is taken to be on the link.
    pub fn onlink(mut self) -> Self {
        self.draft.number(row::FLAGS, RouteFlags::ONLINK.0);
        self
    }

    /// It is for forwarding entries of VXLAN tunnels.
    pub fn fdb(mut self) -> Self {
        self.draft.record.set(row::FDB, Value::Present);
        self
    }

    /// One more member: it becomes a group. The weight is 1 to 65535. Older kernels (5.10, 6.1) refuse what is above 255, and
    /// the commit is rolled back.
    pub fn member(mut self, id: u32, weight: u32) -> Self {
        if !(1..=65535).contains(&weight) || id == 0 {
            let text = format!("member {id} weight {weight}");
            self.draft.fail(SpecError::new(text, "a number above 0 and a weight of 1 to 65535"));
        }
        let less = weight.saturating_sub(1);
        let mut member = Record::new(&MEMBER);
        member.set(member_row::ID, Value::Number(id.into()));
        member.set(member_row::WEIGHT, Value::Number((less & 0xff).into()));
        member.set(member_row::WEIGHT_HIGH, Value::Number((less >> 8 & 0xff).into()));
        self.members.push(member);
        self
    }

    /// Flows stay with their member when others come and go: buckets, and two times in 1/100 s.
    pub fn resilient(mut self, buckets: u16, idle_timer: u32, unbalanced_timer: u32) -> Self {
        let mut settings = Record::new(&RESILIENT);
        settings.set(resilient_row::BUCKETS, Value::Number(buckets.into()));
        settings.set(resilient_row::IDLE_TIMER, Value::Number(idle_timer.into()));
        settings.set(resilient_row::UNBALANCED_TIMER, Value::Number(unbalanced_timer.into()));
        self.draft.record.set(row::RES_GROUP, Value::Nested(Box::new(settings)));
        self.draft.number(row::GROUP_TYPE, GroupType::RESILIENT.0);
        self
    }

    /// Who makes it; [`RouteProtocol::STATIC`] when it is not given.
    pub fn protocol(mut self, protocol: RouteProtocol) -> Self {
        self.draft.number(row::PROTOCOL, protocol.0);
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
    /// When a text is no address, a number is out of its range, a group has a way of its own or a member twice, or what
    /// drops packets has a way.
    pub fn check(&self) -> Result<(), SpecError> {
        self.draft.check()?;
        let fail = |why: &str| Err(SpecError::new(self, why));
        let way = self.gateway.is_some() || self.dev.is_some();
        let group = !self.members.is_empty();
        let blackhole = self.draft.record.value(row::BLACKHOLE).is_some();
        let mut ids: Vec<_> = self.members.iter().map(|m| m.number(member_row::ID)).collect();
        ids.sort_unstable();
        if group && (way || blackhole) {
            return fail("a group has no way of its own");
        }
        if blackhole && way {
            return fail("what drops packets has no way");
        }
        if !ids.is_sorted_by(|a, b| a < b) {
            return fail("a member is there twice");
        }
        if !group && !way && !blackhole {
            return fail("neither a way nor a group");
        }
        Ok(())
    }

    /// The interface that it names.
    pub fn link(&self) -> Option<&LinkRef> {
        self.dev.as_ref()
    }

    /// The nexthop as a request carries it, with the index of the interface that it names.
    pub fn record(&self, index: Option<u32>) -> Record {
        let mut record = self.draft.record.clone();
        let own = if self.inet6 { 10 } else { 2 };
        let family = self.gateway.map_or(own, family_of);
        let family = if self.members.is_empty() { family } else { 0 };
        record.set(row::FAMILY, Value::Number(family.into()));
        record.set(row::SCOPE, Value::Number(0));
        let defaults = [(row::PROTOCOL, RouteProtocol::STATIC.0.into()), (row::FLAGS, 0)];
        for (id, number) in defaults {
            if record.value(id).is_none() {
                record.set(id, Value::Number(number));
            }
        }
        if let Some(gateway) = self.gateway {
            record.set(row::GATEWAY, Ip::write(gateway));
        }
        if let Some(index) = index {
            record.set(row::OIF, Value::Number(index.into()));
        }
        if !self.members.is_empty() {
            record.set(row::GROUP, Value::Records(self.members.clone().into()));
        }
        record
    }
}

/// In the words of `ip nexthop`, the interface as the user named it.
impl fmt::Display for NexthopSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.record(None), &()))?;
        self.dev.iter().try_for_each(|dev| write!(f, " dev {dev}"))
    }
}

debug_as_display!(NexthopSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_reads_as_ip_prints_it() {
        for (spec, text) in [
            (
                Nexthop::new(1).via("10.0.0.2").dev("v0").onlink(),
                "id 1 via 10.0.0.2 proto static onlink dev v0",
            ),
            (Nexthop::new(3).member(1, 5).member(2, 300), "id 3 group 1,5/2,300 proto static"),
            (Nexthop::new(5).blackhole(), "id 5 blackhole proto static"),
            (
                Nexthop::new(9).member(1, 1).resilient(32, 6000, 30_000),
                "id 9 group 1 type resilient buckets 32 idle_timer 60 unbalanced_timer 300 proto static",
            ),
        ] {
            spec.check().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_is_said_when_asked() {
        for (spec, why) in [
            (Nexthop::new(0).blackhole(), "above 0"),
            (Nexthop::new(1), "neither a way nor a group"),
            (Nexthop::new(1).via("x"), "no IP address"),
            (Nexthop::new(1).member(2, 1).member(2, 2), "twice"),
            (Nexthop::new(1).member(2, 0), "1 to 65535"),
            // 6.18 keeps the last number that 16 bits can say for itself: "Invalid value for weight".
            (Nexthop::new(1).member(2, 65_536), "1 to 65535"),
            (Nexthop::new(1).member(2, 1).dev("v0"), "no way of its own"),
            (Nexthop::new(1).blackhole().dev("v0"), "no way"),
        ] {
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
