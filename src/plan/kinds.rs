//! The manners of link kinds that come with options of their own: what the kernel takes as a whole, what it refuses, what
//! goes with them.

use crate::object::kinds::macvlan::row as macvlan;
use crate::object::kinds::{HsrProtocol, MacaddrMode, MacvlanMode, NewLink};
use crate::object::link::row;
use crate::object::{Link, Record, Row, Table, Value};
use crate::state::Snapshot;

use super::action::{Action, Indexes};
use super::fact::Field;
use super::rules;
use super::{Hint, Refusal};

/// Kinds whose options the kernel takes as a whole: a request for a change begins with an empty set of parameters
/// (`ipgre_netlink_parms`, `ipip_netlink_parms`, `ip6_tnl_netlink_parms` ...), so that what it does not say becomes zero.
/// Tunnels of GRE and IP in IP keep their firewall mark and their encapsulation when neither is named, and lose all of
/// the encapsulation when some of it is.
const TAKEN_WHOLE: &[&str] = &[
    "gre",
    "gretap",
    "erspan",
    "ip6gre",
    "ip6gretap",
    "ip6erspan",
    "ipip",
    "sit",
    "ip6tnl",
    "vti",
    "vti6",
    "xfrm",
];

/// Whether the kernel takes the options of this table as a whole.
pub(super) fn takes_whole(table: &Table) -> bool {
    TAKEN_WHOLE.contains(&table.name)
}

/// Whether an interface stays when the one that it names as below it goes: its packets only leave by it.
pub(super) fn outlives_lower(link: &Link) -> bool {
    link.kind().is_some_and(|kind| TAKEN_WHOLE.contains(&kind))
}

/// An action with all that its request must say: of options that the kernel takes as a whole, those that nobody named as
/// they are now.
pub(super) fn whole(action: &Action, indexes: &Indexes, now: &Snapshot) -> Action {
    let Action::Data { target, options } = action else { return action.clone() };
    let link = indexes.of(*target).and_then(|index| now.link_by_index(index));
    let present = link.and_then(|link| link.record().value(row::DATA)?.nested());
    match present
        .filter(|present| takes_whole(options.table()) && present.table() == options.table())
    {
        Some(present) => Action::Data { target: *target, options: over(present, options) },
        None => action.clone(),
    }
}

/// What is there, with what is named over it.
fn over(present: &Record, named: &Record) -> Record {
    let mut all = Record::new(named.table());
    for (id, _, value) in present.fields().filter(|(_, row, _)| row.settable()) {
        all.set(id, value.clone());
    }
    for (id, _, value) in named.fields() {
        all.set(id, value.clone());
    }
    without_nothing(all)
}

/// What a bond tells only to those who have CAP_NET_ADMIN in the initial user namespace (`bond_fill_info`): for others it
/// cannot be read back, and so it cannot be committed.
pub(super) fn is_for_root(field: &Field) -> bool {
    const UNTOLD: &[&str] = &["ad_actor_sys_prio", "ad_user_port_key", "ad_actor_system"];
    match field {
        Field::Option(row::DATA, table, id) if table.name == "bond" => {
            UNTOLD.contains(&table.rows[usize::from(*id)].name)
        }
        _ => false,
    }
}

/// The same options as several requests, where the kernel does not take them in one: a Geneve tunnel passes a time to live
/// over beside whether to inherit it, and one that is set ends inheriting (`geneve_nl2info`).
pub(super) fn requests(mut options: Record) -> Vec<Record> {
    let rows = (options.table().row("ttl"), options.table().row("ttl_inherit"));
    let (Some((ttl, _)), Some((inherit, _)), "geneve") = (rows.0, rows.1, options.table().name)
    else {
        return vec![options];
    };
    if options.value(ttl).is_none() {
        return vec![options];
    }
    let Some(inherited) = options.remove(inherit) else { return vec![options] };
    let mut second = Record::new(options.table());
    second.set(inherit, inherited);
    vec![options, second]
}

/// What of a Geneve tunnel's time to live its creation says: that it is inherited, or what it is.
pub(super) fn one_ttl(mut options: Record) -> Record {
    if options.table().name == "geneve" {
        let (ttl, inherit) = (options.table().row("ttl"), options.table().row("ttl_inherit"));
        if let (Some((ttl, _)), Some((inherit, _))) = (ttl, inherit) {
            if options.value(ttl).is_some() && options.value(inherit).is_some() {
                let other = if is_off(&options, "ttl_inherit") { inherit } else { ttl };
                options.remove(other);
            }
        }
    }
    options
}

/// A tunnel without a remote says so by leaving it out: of Ethernet frames, the kernel refuses an address of zeros
/// (`ipgre_tap_validate`, `ip6gre_tap_validate`).
pub(super) fn without_nothing(mut options: Record) -> Record {
    if takes_whole(options.table()) {
        let nothing = options.fields().filter(|(_, _, value)| is_unspecified(value));
        let ids: Vec<u16> = nothing.map(|(id, ..)| id).collect();
        ids.into_iter().for_each(|id| drop(options.remove(id)));
    }
    options
}

fn is_unspecified(value: &Value) -> bool {
    match value {
        Value::V4(address) => address.is_unspecified(),
        Value::V6(address) => address.is_unspecified(),
        _ => false,
    }
}

/// Options as a user names them, with what follows from them: a key is one that packets carry, and a replay window goes with
/// the protection.
pub(super) fn completed(mut options: Record) -> Record {
    for [key, switch] in [["ikey", "use_ikey"], ["okey", "use_okey"]] {
        if Options::of(&options, key).is_some() && Options::of(&options, switch).is_none() {
            set(&mut options, switch, 1);
        }
    }
    if options.table().name == "macsec" && is_off(&options, "replay_protect") {
        set(&mut options, "window", 0);
    }
    options
}

/// A macvlan's list of source addresses as it is to be, where what is asked for is to add to `have` or take from it: the
/// kernel takes a list too (`macvlan_changelink_sources`), and a list is what is compared, read back and undone.
pub(super) fn with_sources(mut options: Record, have: Option<&Value>) -> Record {
    if !rules::is_macvlan(options.table()) {
        return options;
    }
    let Some(order) = options.value(macvlan::MACADDR_MODE).and_then(Value::number) else {
        return options;
    };
    let list = |value: Option<&Value>| match value {
        Some(Value::Hardwares(all)) => all.to_vec(),
        Some(Value::Hardware(one)) => vec![*one],
        _ => Vec::new(),
    };
    let mut named = list(options.value(macvlan::MACADDR_DATA));
    named.extend(list(options.remove(macvlan::MACADDR).as_ref()));
    let mut sources = match MacaddrMode(order as u32) {
        MacaddrMode::ADD => [list(have), named].concat(),
        MacaddrMode::DEL => list(have).into_iter().filter(|own| !named.contains(own)).collect(),
        MacaddrMode::FLUSH => Vec::new(),
        _ => named,
    };
    sources.sort();
    sources.dedup();
    options.set(macvlan::MACADDR_DATA, Value::Hardwares(sources.into()));
    rules::with_order(options)
}

fn is_off(options: &Record, name: &str) -> bool {
    Options::of(options, name).is_some_and(|value| value.number() == Some(0))
}

fn set(options: &mut Record, name: &str, number: u64) {
    if let Some((id, _)) = options.table().row(name) {
        options.set(id, Value::Number(number));
    }
}

/// What of the options of a kind the kernel refuses, or takes otherwise than it was said, without a word of why: `named`
/// over what there is, if there is anything yet.
///
/// # Errors
/// Names the option.
pub(super) fn check(named: &Record, present: Option<&Record>) -> Result<(), Refusal> {
    let options = Options { named, present };
    match named.table().name {
        "gre" => {
            options.check_fixed_remote()?;
            options.check_ignore_df()?;
            options.check_group()
        }
        "gretap" => options.check_ignore_df(),
        "erspan" | "ip6erspan" => {
            options.check_ignore_df()?;
            options.check_session()
        }
        "ipip" => {
            options.check_not_external()?;
            options.check_fixed_remote()?;
            options.check_pmtudisc()
        }
        "sit" => {
            options.check_fixed_remote()?;
            options.check_pmtudisc()?;
            options.check_sixrd()
        }
        "vti" => options.check_fixed_remote(),
        "ip6tnl" | "xfrm" => options.check_not_external(),
        "geneve" => {
            options.check_not_external()?;
            options.check_source_ports()?;
            options.check_family()
        }
        "macsec" => {
            options.check_replay()?;
            options.check_identifier()
        }
        "netkit" => options.check_primary(),
        "macvlan" | "macvtap" => options.check_sources(),
        "vxlan" => options.check_source_ports(),
        _ => Ok(()),
    }
}

/// Options that are named, and those that there are.
struct Options<'a> {
    named: &'a Record,
    present: Option<&'a Record>,
}

impl Options<'_> {
    fn of<'a>(record: &'a Record, name: &str) -> Option<&'a Value> {
        record.value(record.table().row(name)?.0)
    }

    /// As it will be.
    fn value(&self, name: &str) -> Option<&Value> {
        let before = || self.present.and_then(|present| Self::of(present, name));
        Self::of(self.named, name).or_else(before)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(Value::number)
    }

    fn is_on(&self, name: &str) -> bool {
        let on = |value: &Value| !matches!(value.number(), None | Some(0));
        self.value(name).is_some_and(|value| matches!(value, Value::Present) || on(value))
    }

    fn is_named(&self, name: &str) -> bool {
        Self::of(self.named, name).is_some()
    }

    fn refuse(&self, what: &'static str, why: &str) -> Result<(), Refusal> {
        let value = Self::of(self.named, what).map_or("none".to_owned(), Value::to_string);
        Err(Refusal::Invalid { what, value, why: why.to_owned() })
    }

    /// Tunnels that have an IP address for a link-layer address are point-to-point with a remote, for ever
    /// (`ip_tunnel_changelink`, `ipip_changelink`, `ipip6_changelink`).
    fn check_fixed_remote(&self) -> Result<(), Refusal> {
        let Some(present) = self.present else { return Ok(()) };
        let is_there = |value: Option<&Value>| value.is_some_and(|value| !is_unspecified(value));
        match (is_there(Self::of(present, "remote")), is_there(self.value("remote"))) {
            (true, false) => {
                self.refuse("remote", "a tunnel that was made with a remote keeps one")
            }
            (false, true) => {
                self.refuse("remote", "a tunnel that was made without a remote gets none")
            }
            _ => Ok(()),
        }
    }

    fn check_not_external(&self) -> Result<(), Refusal> {
        match self.present.is_some_and(|present| Self::of(present, "external").is_some()) {
            true => self.refuse("external", "the options of such a tunnel cannot be changed"),
            false => Ok(()),
        }
    }

    /// `ipgre_netlink_parms`.
    fn check_ignore_df(&self) -> Result<(), Refusal> {
        match self.is_on("ignore_df") && self.number("pmtudisc") != Some(0) {
            true => self.refuse("ignore_df", "it goes with `pmtudisc` off only"),
            false => Ok(()),
        }
    }

    /// `ipip_netlink_parms` and `ipip6_netlink_parms` set it again with a `ttl`.
    fn check_pmtudisc(&self) -> Result<(), Refusal> {
        match self.is_on("ttl") && self.number("pmtudisc") == Some(0) {
            true => self.refuse("pmtudisc", "it is always on with a `ttl` other than 0"),
            false => Ok(()),
        }
    }

    /// `ipgre_tunnel_init`.
    fn check_group(&self) -> Result<(), Refusal> {
        let is_group = matches!(self.value("remote"), Some(Value::V4(to)) if to.is_multicast());
        let is_local = self.value("local").is_some_and(|value| !is_unspecified(value));
        match is_group && !is_local {
            true => self.refuse("local", "a tunnel to a multicast group has one"),
            false => Ok(()),
        }
    }

    /// `erspan_validate`.
    fn check_session(&self) -> Result<(), Refusal> {
        if self.value("external").is_some() {
            return Ok(());
        }
        let either = |names: [&str; 2]| names.into_iter().any(|name| self.is_on(name));
        if !either(["use_ikey", "use_okey"]) {
            return self.refuse("ikey", "an ERSPAN tunnel has a key, its session");
        }
        if !either(["iseq", "oseq"]) {
            return self.refuse("oseq", "an ERSPAN tunnel numbers its packets");
        }
        if either(["icsum", "ocsum"]) {
            return self.refuse("ocsum", "an ERSPAN tunnel has no checksums");
        }
        match ["ikey", "okey"].into_iter().find(|key| self.number(key) > Some(1023)) {
            Some(key) => self.refuse(key, "a session has a number of 0 to 1023"),
            None => Ok(()),
        }
    }

    /// `ipip6_tunnel_update_6rd`.
    fn check_sixrd(&self) -> Result<(), Refusal> {
        let length = |name| self.number(name).unwrap_or(0);
        match length("prefixlen") + 32 > 64 + length("relay_prefixlen") {
            true => self.refuse(
                "prefixlen",
                "with the bits of an IPv4 address behind it, it is longer than 64",
            ),
            false => Ok(()),
        }
    }

    /// `geneve_nl2info`: one remote, whose family stays, and a flow label over IPv6 only.
    fn check_family(&self) -> Result<(), Refusal> {
        let other = |name| self.present.is_some_and(|present| Self::of(present, name).is_some());
        match (self.is_named("remote"), self.is_named("remote6")) {
            (true, true) => self.refuse("remote6", "a tunnel has one remote"),
            (true, _) if other("remote6") => {
                self.refuse("remote", "the remote stays an IPv6 address")
            }
            (_, true) if other("remote") => {
                self.refuse("remote6", "the remote stays an IPv4 address")
            }
            _ if self.is_named("label")
                && self.is_on("label")
                && self.value("remote6").is_none() =>
            {
                self.refuse("label", "it is for a tunnel over IPv6")
            }
            _ => Ok(()),
        }
    }

    /// `macsec_validate_attr`.
    fn check_replay(&self) -> Result<(), Refusal> {
        let on = Self::of(self.named, "replay_protect").is_some() && self.is_on("replay_protect");
        if on && !self.is_named("window") {
            return self.refuse("window", "`replay_protect` goes with one");
        }
        match self.is_named("window") && !self.is_on("replay_protect") && self.is_on("window") {
            true => self.refuse("window", "it goes with `replay_protect` only"),
            false => Ok(()),
        }
    }

    fn check_identifier(&self) -> Result<(), Refusal> {
        let named =
            |name: &&str| Self::of(self.named, name).is_some_and(|value| value.number() != Some(0));
        let count = ["inc_sci", "es", "scb"].iter().filter(|name| named(name)).count();
        match count > 1 {
            true => self.refuse("inc_sci", "it is one of `inc_sci`, `es` and `scb`"),
            false => Ok(()),
        }
    }

    /// `vxlan_validate`, `geneve_validate`.
    fn check_source_ports(&self) -> Result<(), Refusal> {
        let range = Self::of(self.named, "port_range").and_then(Value::nested);
        let number = |range: &Record, name| Self::of(range, name).and_then(Value::number);
        match range.is_some_and(|range| number(range, "low") > number(range, "high")) {
            true => self.refuse("port_range", "the lowest port comes first"),
            false => Ok(()),
        }
    }

    /// `macvlan_common_newlink`, `macvlan_changelink`: a bare EINVAL.
    fn check_sources(&self) -> Result<(), Refusal> {
        let is_source = self.number("mode") == Some(MacvlanMode::SOURCE.0.into());
        match self.is_named("macaddr_data") && !is_source {
            true => self.refuse("macaddr_data", "a macvlan has sources in mode `source` only"),
            false => Ok(()),
        }
    }

    /// `netkit_change_link`.
    fn check_primary(&self) -> Result<(), Refusal> {
        let primary = self.present.and_then(|present| Self::of(present, "primary")?.number());
        match self.named.fields().next() {
            Some((_, row, value)) if primary == Some(0) => Err(Refusal::Invalid {
                what: row.name,
                value: row.text(value),
                why: "the options of a pair are set at its primary end".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// The kernel computes the MTU of a tunnel anew when its options change (`ip6gre_tnl_link_config_route`,
/// `ip6_tnl_link_config`, `ipgre_link_update`): undoing gives back the one that it had.
pub(super) fn moves_mtu(options: &Record) -> bool {
    takes_whole(options.table())
}

/// Kinds of which the kernel makes one without endpoints in each namespace, when it loads the driver, and takes no second
/// such one (`ip_tunnel_init_net`, `ip_tunnel_find`, `ip6gre_init_net` ...): a bare EEXIST.
const FALLBACKS: &[(&str, &str)] = &[
    ("gre", "gre0"),
    ("gretap", "gretap0"),
    ("erspan", "erspan0"),
    ("ipip", "tunl0"),
    ("sit", "sit0"),
    ("vti", "ip_vti0"),
    ("ip6gre", "ip6gre0"),
    ("ip6tnl", "ip6tnl0"),
    ("vti6", "ip6_vti0"),
];

/// Why a tunnel is there already that nobody has made.
pub(super) fn fallback_hint(new: &NewLink) -> Option<Hint> {
    let (_, fallback) = FALLBACKS.iter().find(|(kind, _)| *kind == new.kind())?;
    let none = Record::new(&crate::object::LINK);
    let options = new.data.as_ref().unwrap_or(&none);
    let is_there = |name| Options::of(options, name).is_some_and(|value| !is_unspecified(value));
    let has_ends = ["remote", "local"].into_iter().any(is_there);
    (!has_ends).then_some(Hint::Fallback(fallback))
}

/// What an interface has that is told neither of links nor of what a snapshot keeps, and that is not made with it: keys and
/// peers of WireGuard, the channels of a MACsec interface and what a team does are generic netlink's; the identifiers that a
/// VXLAN with `vnifilter` receives are messages of their own (`RTM_NEWTUNNEL`); the version of HSR is told nowhere
/// (`hsr_fill_info`). PRP has one version.
pub(super) fn untold(link: &Link) -> Option<&'static str> {
    match link.kind()? {
        "wireguard" => Some("keys and peers"),
        "macsec" => Some("channels, associations and keys"),
        "team" => Some("mode and options"),
        "hsr" if link.hsr()?.protocol() != Some(HsrProtocol::PRP) => Some("version"),
        "vxlan" if link.vxlan()?.vnifilter() == Some(true) => Some("network identifiers"),
        _ => None,
    }
}

/// The same, of one that has been made anew, in words.
pub(crate) fn untold_of(link: &Link) -> Option<String> {
    Some(format!("the {} of `{}`", untold(link)?, link.name()))
}

/// Whether a kind comes in pairs, of which each end is the link of the other.
pub(super) fn is_pair(kind: Option<&str>) -> bool {
    matches!(kind, Some("veth" | "netkit"))
}

/// Where 0 is a choice like any other, and not a switch that is off: user and group 0, a netkit's mode `l2`.
pub(super) fn is_choice(row: &Row) -> bool {
    const CHOICES: [&str; 5] = [
        "IFLA_TUN_OWNER",
        "IFLA_TUN_GROUP",
        "IFLA_NETKIT_MODE",
        "IFLA_NETKIT_SCRUB",
        "IFLA_NETKIT_PEER_SCRUB",
    ];
    CHOICES.contains(&row.constant)
}

/// Not every kind is made in another namespace than the request is sent in.
pub(super) fn check_made_elsewhere(new: &NewLink) -> Result<(), Refusal> {
    let why = match new.kind() {
        "tun" => "it is made by calls on a device, in its own namespace only",
        "bond" if names_links(new) => "its ports are where it is, and not yet",
        kind if is_pair(Some(kind)) => {
            "of a pair one end is made elsewhere (`create_with_peer_in`)"
        }
        _ => return Ok(()),
    };
    let (value, why) = (new.name().to_owned(), why.to_owned());
    Err(Refusal::Invalid { what: "interface in another namespace", value, why })
}

fn names_links(new: &NewLink) -> bool {
    let mut named = new.data.iter().flat_map(Record::fields);
    named.any(|(_, _, value)| matches!(value, Value::Link(_)))
}

/// A tun or tap interface is made with a name, an index and its options only, and an HSR interface has the mtu of its ports
/// (`hsr_add_port`): what else is said of it is set afterwards.
pub(super) fn set_later(mut new: NewLink) -> (NewLink, Vec<(u16, Value)>) {
    let mut later = Vec::new();
    let unheard: &[u16] = match new.kind() {
        "tun" => &[row::ADDRESS, row::MTU, row::TXQLEN],
        "hsr" => &[row::MTU],
        _ => &[],
    };
    for id in unheard {
        later.extend(new.record.remove(*id).map(|value| (*id, value)));
    }
    (new, later)
}

/// The two ends of a pair, the primary one first: only it can say the options of both (`netkit_new_link`).
pub(super) fn primary_first<'a>(
    link: &'a Link,
    peer: Option<&'a Link>,
) -> (&'a Link, Option<&'a Link>) {
    match peer {
        Some(peer) if link.netkit().is_some_and(|data| data.primary() == Some(false)) => {
            (peer, Some(link))
        }
        peer => (link, peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds::{Gre, Ip6tnl, Vxlan};
    use std::net::Ipv4Addr;

    #[test]
    fn a_tunnel_without_ends_is_the_kernels_own() {
        let hint = |new: NewLink| fallback_hint(&new);
        assert_eq!(hint(Gre::new("g0").into()), Some(Hint::Fallback("gre0")));
        assert_eq!(hint(Ip6tnl::new("t0").into()), Some(Hint::Fallback("ip6tnl0")));
        assert!(Hint::Fallback("gre0").to_string().contains("own `gre0`"));
        assert_eq!(hint(Gre::new("g0").remote(Ipv4Addr::new(10, 0, 0, 1)).into()), None);
        assert_eq!(hint(Vxlan::new("x0", 5).into()), None);
    }
}
