//! The kernel's manners: one named function each, with its fact's number in KERNEL.md where it has one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::object::kinds::NewLink;
use crate::object::kinds::bridge::row as bridge;
use crate::object::kinds::macvlan::{MacaddrMode, row as macvlan};
use crate::object::kinds::vxlan::row as vxlan;
use crate::object::kinds::{BRIDGE, MACVLAN, MACVTAP};
use crate::object::link::row;
use crate::object::port::row as port_row;
use crate::object::route::RouteProtocol;
use crate::object::{
    Address, AddressFlags, BRIDGE_PORT, Family, Form, Link, LinkFlags, LinkRef, Neighbour, Record,
    Role, Row, Table, Value,
};
use crate::state::{AddressKey, Snapshot};

use super::fact::{Fact, Field};
use super::{Action, AddressSpec, Refusal, Target, VlanEdit, kinds, ports, rings};

/// `dev_valid_name`: 1 to 15 bytes, not `.` or `..`, no slash, colon or white space.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let why = match name {
        "" => "a name has at least one byte",
        "." | ".." => "the kernel keeps this name",
        _ if name.contains('%') => {
            "the kernel takes a name with `%` as a pattern and makes one of its own"
        }
        _ if name.len() > 15 => "a name has at most 15 bytes",
        _ => return check_characters("interface name", name),
    };
    Err(Refusal::Invalid { what: "interface name", value: name.to_owned(), why: why.to_owned() })
}

/// `IFALIASNAMSIZ`'s sibling `ALTIFNAMSIZ`: 1 to 127 bytes, otherwise as a name.
pub(super) fn check_altname(name: &str) -> Result<(), Refusal> {
    let why = match name.len() {
        0 => "a name has at least one byte",
        1..=127 => return check_characters("alternative name", name),
        _ => "an alternative name has at most 127 bytes",
    };
    Err(Refusal::Invalid { what: "alternative name", value: name.to_owned(), why: why.to_owned() })
}

fn check_characters(what: &'static str, name: &str) -> Result<(), Refusal> {
    // The kernel's isspace() is the one of latin1: 0xa0 counts, which UTF-8 names may contain as a byte.
    let space = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r' | 0xa0);
    match name.as_bytes().iter().find(|b| matches!(b, b'/' | b':' | 0) || space(b)) {
        None => Ok(()),
        Some(bad) => {
            let why = format!("{:?} cannot be in a name", char::from(*bad));
            Err(Refusal::Invalid { what, value: name.to_owned(), why })
        }
    }
}

/// The range that the interface itself gives; 0 as the largest is no limit.
pub(super) fn check_mtu(link: &Link, mtu: u32) -> Result<(), Refusal> {
    let (least, most) = (link.min_mtu().unwrap_or(0), link.max_mtu().unwrap_or(0));
    if mtu >= least && (most == 0 || mtu <= most) {
        return Ok(());
    }
    let most = if most == 0 { "4294967295".to_owned() } else { most.to_string() };
    let why = format!("`{}` takes {least} to {most}", link.name());
    Err(Refusal::Invalid { what: "mtu", value: mtu.to_string(), why })
}

/// Only interfaces that have a kind were made by a request and can be deleted by one.
pub(super) fn check_removable(link: &Link) -> Result<(), Refusal> {
    match link.kind() {
        Some(_) => Ok(()),
        None => Err(Refusal::WrongKind {
            what: "remove",
            needs: "virtual interface",
            name: link.name().to_owned(),
            is: "a device of its own".to_owned(),
        }),
    }
}

/// A VXLAN goes with the interface that it stands on when that leaves the namespace (`vxlan_netdevice_event`), which
/// nobody asked for.
pub(super) fn check_movable(index: u32, now: &Snapshot) -> Result<(), Refusal> {
    let falls = |link: &&Link| link.kind() == Some("vxlan") && lower_of(link) == Some(index);
    match now.links().find(falls) {
        None => Ok(()),
        Some(upper) => Err(Refusal::InUse {
            what: format!("interface `{}`, which is to leave the namespace", name(index, now)),
            by: format!("`{}`", upper.name()),
        }),
    }
}

/// What the kernel does not tell of when an interface moves (K32): that the interfaces on top of it, and the other end of a
/// veth pair, have it elsewhere now, or here again.
pub(super) fn tied_to(index: u32, in_state: &Snapshot) -> Vec<u32> {
    in_state.links().filter(|link| link.link() == Some(index)).map(Link::index).collect()
}

/// An option that only the kernel sets cannot be named.
pub(super) fn check_settable(options: &Record) -> Result<(), Refusal> {
    match options.fields().find(|(_, row, _)| !row.settable()) {
        None => options
            .fields()
            .try_for_each(|(_, row, value)| check_range(row, value))
            .and_then(|()| ports::check_values(options)),
        Some((_, row, value)) => Err(Refusal::Invalid {
            what: row.name,
            value: row.text(value),
            why: "the kernel sets it, nobody else".to_owned(),
        }),
    }
}

/// The range that the attribute's row gives.
pub(super) fn check_range(row: &'static Row, value: &Value) -> Result<(), Refusal> {
    match value.number() {
        Some(number) if !row.range.contains(&number) => {
            let why = format!("it takes {} to {}", row.range.start(), row.range.end());
            Err(Refusal::Invalid { what: row.name, value: number.to_string(), why })
        }
        _ => Ok(()),
    }
}

/// The interface below a link: the one that it cannot exist without (macvlan, vxlan, vlan ...). For a veth it is
/// the other end.
pub(super) fn lower_of(link: &Link) -> Option<u32> {
    let record = link.record();
    let by_option = || {
        let options = record.value(row::DATA)?.nested()?;
        let index = options.value(options.table().row("link")?.0)?.number()?;
        (index != 0).then_some(index as u32)
    };
    match record.value(row::LINK_NETNSID) {
        None => link.link().filter(|lower| *lower != link.index()).or_else(by_option),
        Some(_) => None,
    }
}

/// Everything that an interface is made on: the one below it, or the ports of an HSR or PRP interface.
pub(super) fn lowers_of(link: &Link) -> impl Iterator<Item = u32> {
    lower_of(link).into_iter().chain(rings::ports_of(link))
}

/// Whether the interface with an index is gone, or is not the one any more that it was (K33): nothing of it is ours.
/// One that was not there before is not replaced.
pub(super) fn is_replaced(index: u32, before: &Snapshot, now: &Snapshot) -> bool {
    match (before.link_by_index(index), now.link_by_index(index)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => {
            old.generation() != new.generation() && !is_brought_back(old, new)
        }
    }
}

/// The state of a bridge port can be set, but the kernel moves it by itself, with the carrier and the spanning tree,
/// and refuses to be told while it does (`br_set_port_state`): undoing leaves it alone.
pub(super) fn runs_by_itself(table: &Table, row: &Row) -> bool {
    table.name == BRIDGE_PORT.name && row.constant == "IFLA_BRPORT_STATE"
        || ports::moves_by_itself(row)
}

/// Whether what has the index of a deleted interface is what this commit has made in its place, and not another
/// program's (K33).
pub(super) fn is_brought_back(old: &Link, new: &Link) -> bool {
    let hardware = old.address().is_some() && old.address() == new.address();
    old.kind() == new.kind() && (old.name() == new.name() || hardware)
}

/// An interface that was there before, and the one that it is now: it has come back from another namespace with another
/// index, under its name and with its hardware address.
pub(super) fn returned_elsewhere<'a>(
    index: u32,
    before: &'a Snapshot,
    now: &'a Snapshot,
) -> Option<(&'a Link, &'a Link)> {
    let old = before.link_by_index(index).filter(|_| is_replaced(index, before, now))?;
    let new = now.link_by_name(old.name()).filter(|new| new.name() == old.name())?;
    let is_new = before.link_by_index(new.index()).is_none();
    let is_it = old.kind() == new.kind() && old.address() == new.address();
    (is_new && is_it).then_some((old, new))
}

/// Kinds to which ports can be added. (An HSR interface has the ports that it is made with, see [`rings`].)
pub(super) fn takes_ports(kind: &str) -> bool {
    matches!(kind, "bridge" | "bond" | "team" | "vrf" | "openvswitch" | "batadv")
}

/// A handle outlives its interface, and never means another one (K33).
pub(super) fn stale(index: u32, now: &Snapshot) -> Refusal {
    Refusal::Stale { index, by: now.link_by_index(index).map(|link| link.name().to_owned()) }
}

/// The name of the interface with an index, or its number.
pub(super) fn name(index: u32, now: &Snapshot) -> String {
    now.link_by_index(index).map_or_else(|| format!("if{index}"), |link| link.name().to_owned())
}

/// A link that is deleted, and what goes with it.
pub(super) fn gone_with(index: u32, now: &Snapshot) -> BTreeSet<u32> {
    all_gone_with([index], now)
}

/// Links that are deleted, and what goes when all of them do.
pub(super) fn all_gone_with(
    indexes: impl IntoIterator<Item = u32>,
    now: &Snapshot,
) -> BTreeSet<u32> {
    let mut gone: BTreeSet<u32> = indexes.into_iter().collect();
    for index in gone.clone() {
        collect_with(index, now, &mut gone, &mut Vec::new());
    }
    gone
}

/// Links that are deleted, what goes when all of them do, and the HSR and PRP interfaces that lose a port by it, which are made
/// anew when it comes back; with what goes with those.
pub(super) fn all_touched_with(
    indexes: impl IntoIterator<Item = u32>,
    now: &Snapshot,
) -> BTreeSet<u32> {
    let gone = all_gone_with(indexes, now);
    match rings::over(&gone, now) {
        rings if rings.is_empty() => gone,
        rings => all_touched_with(gone.into_iter().chain(rings), now),
    }
}

/// What goes with a link when it is deleted: its veth peer, what is stacked on it (macvlan, vxlan, vlan ...), and a bond of
/// tunnels, or an HSR or PRP interface, whose last port it is.
/// In the order of deletion by dependence: uppers first.
pub(super) fn goes_with(index: u32, now: &Snapshot) -> Vec<u32> {
    let mut all = Vec::new();
    collect_with(index, now, &mut BTreeSet::from([index]), &mut all);
    all
}

/// What is stacked on a link; the lowest first.
pub(super) fn stacked_on(index: u32, now: &Snapshot) -> Vec<u32> {
    let mut all = vec![index];
    let mut at = 0;
    while let Some(lower) = all.get(at).copied() {
        let on_top =
            |link: &&Link| !kinds::is_pair(link.kind()) && lowers_of(link).any(|own| own == lower);
        let uppers: Vec<_> = now.links().filter(on_top).map(Link::index).collect();
        all.extend(uppers.into_iter().filter(|upper| !all.contains(upper)).collect::<Vec<_>>());
        at += 1;
    }
    all.split_off(1)
}

/// Whether an interface has its carrier from the one that it stands on (`netif_stacked_transfer_operstate`).
pub(super) fn has_carrier_of_lower(link: &Link) -> bool {
    const KINDS: &[&str] = &["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"];
    link.kind().is_some_and(|kind| KINDS.contains(&kind))
}

fn collect_with(index: u32, now: &Snapshot, seen: &mut BTreeSet<u32>, all: &mut Vec<u32>) {
    let on_top = |link: &&Link| {
        lower_of(link) == Some(index) && !kinds::outlives_lower(link)
            || rings::falls_with(link, index, seen)
    };
    let on_top: Vec<_> = now.links().filter(on_top).collect();
    let bond = ports::falls_with_ports(index, seen, now);
    for link in on_top.into_iter().chain(bond) {
        if seen.insert(link.index()) {
            collect_with(link.index(), now, seen, all);
            all.push(link.index());
        }
    }
}

/// How many interfaces are below this one, by the longest way: what is below is made, and raised, first.
pub(super) fn height(index: u32, now: &Snapshot) -> u8 {
    const HIGHEST: u8 = 32;
    let below = |index: u32| {
        let link = now.link_by_index(index).filter(|link| !kinds::is_pair(link.kind()));
        link.into_iter().flat_map(lowers_of)
    };
    let mut floor = BTreeSet::from([index]);
    for height in 0..HIGHEST {
        floor = floor.into_iter().flat_map(below).collect();
        if floor.is_empty() {
            return height;
        }
    }
    HIGHEST
}

/// K25: deleting a primary address deletes its secondaries too, unless promote_secondaries is set. Those that the
/// transaction did not name are to be there afterwards: the secondaries of `before` in the network of an address
/// that was deleted, which `now` lacks.
pub(super) fn secondaries_that_fell(
    index: u32,
    deleted: &[AddressKey],
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<AddressSpec> {
    let fell = before.addresses_of(index).into_iter().filter(|address| {
        let key = AddressKey::of(address);
        let went = |key| goes_with_primary(&key, deleted) && now.address(&key).is_none();
        address.is_secondary() && key.is_some_and(went)
    });
    fell.filter_map(AddressSpec::of).collect()
}

/// K25: whether an address is in the network of one that was deleted, and not itself deleted.
pub(super) fn goes_with_primary(key: &AddressKey, deleted: &[AddressKey]) -> bool {
    let same = |d: &AddressKey| {
        d.index == key.index
            && d.local.is_ipv4()
            && key.local.is_ipv4()
            && d.prefix_length == key.prefix_length
            && d.network == key.network
    };
    deleted.iter().any(same) && !deleted.contains(key)
}

/// K27: taking a link down, or an mtu below 1280, deletes its IPv6 addresses. Undoing it gives back those that no
/// kernel process makes again by itself.
pub(super) fn ipv6_that_fell(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<AddressSpec> {
    let fell = before.addresses_of(index).into_iter().filter(|address| {
        let key = AddressKey::of(address);
        address.local().is_ipv6()
            && !made_by_kernel(address)
            && key.is_some_and(|key| now.address(&key).is_none())
    });
    fell.filter_map(AddressSpec::of).collect()
}

/// Addresses that the kernel makes by itself: link-local ones when a link goes up, autoconfigured ones. They are
/// never added, deleted or compared. Before `IFA_PROTO` (5.18) the link-local ones are known by what they are.
pub(super) fn made_by_kernel(address: &Address) -> bool {
    let autoconfigured = !address.flags().contains(AddressFlags::PERMANENT);
    let local = address.local().is_ipv6() && address.is_link_local();
    match address.proto() {
        Some(proto) if proto.0 != 0 => (1..=3).contains(&proto.0),
        _ => local && !autoconfigured,
    }
}

/// A bridge takes the least hardware address of its ports, and the least mtu, unless they were set on it: both may
/// change when a port comes, goes or changes. Undoing that gives them back. (A bridge whose last port leaves has
/// the address 00:00:00:00:00:00, not the one it had before its first port; setting it back makes it fixed.)
pub(super) const FOLLOWS_PORTS: [u16; 2] = [row::ADDRESS, row::MTU];

/// Whether the master of a port is one that follows its ports.
pub(super) fn follows_ports(master: &Link) -> bool {
    master.kind() == Some("bridge")
}

/// A new bridge follows the mtu of its ports even if its creation says one: only an mtu that is set on it, and that it does
/// not have already, is its own (`br_change_mtu`, which `dev_set_mtu` does not ask for the same value). So it is made
/// without, and told after it; where that is what it is made with, by way of another. `set` is what is set on it besides.
pub(super) fn told_mtu_later(new: &NewLink, set: Option<&Value>) -> (NewLink, Vec<Value>) {
    const MADE_WITH: u64 = 1500;
    let mut new = new.clone();
    if new.kind() != "bridge" {
        return (new, Vec::new());
    }
    let said = new.record.remove(row::MTU);
    let wanted = set.or(said.as_ref()).and_then(Value::number);
    let detour = wanted.filter(|mtu| *mtu == MADE_WITH).map(|mtu| Value::Number(mtu - 1));
    (new, detour.into_iter().chain(said.filter(|_| set.is_none())).collect())
}

/// A name that nobody has, for an interface between two names.
pub(super) fn parked_name(index: u32, now: &Snapshot) -> Value {
    let taken = |name: &String| now.link(LinkRef::from(name.as_str())).is_some();
    let name =
        (0..).map(|n| format!("nl{index}_{n}")).find(|name| name.len() <= 15 && !taken(name));
    Value::Text(name.unwrap_or_default().into())
}

/// A name that nobody here has, for an interface that is made elsewhere; of a number that nobody else has.
pub(super) fn passing_name(number: u64, now: &Snapshot) -> String {
    const WITHIN_15_BYTES: u64 = (1 << 48) - 1;
    let name = |number: u64| format!("nl{:x}", number & WITHIN_15_BYTES);
    let mut number = number;
    while now.link(LinkRef::from(name(number).as_str())).is_some() {
        number = number.wrapping_add(1 << 24);
    }
    name(number)
}

/// Whether a state of a fact about a name is one that [`parked_name`] has given.
pub(super) fn is_parked(fact: &Fact, state: Option<&Value>) -> bool {
    matches!(fact.field, Field::Link(row::NAME))
        && state
            .and_then(Value::text)
            .is_some_and(|name| name.starts_with(&format!("nl{}_", fact.index)))
}

/// K44: errors that mean "it may be so already", after which the state decides.
pub(super) fn is_tolerable(action: &Action, errno: i32) -> bool {
    match action {
        Action::AddAddress { .. } | Action::Altname { add: true, .. } => errno == libc::EEXIST,
        Action::DelAddress { .. } => matches!(errno, libc::EADDRNOTAVAIL | libc::ENODEV),
        Action::Altname { add: false, .. } => matches!(errno, libc::ENOENT | libc::ENODEV),
        Action::Delete { .. } => errno == libc::ENODEV,
        Action::Vlans { edit: VlanEdit::AddTunnels, .. } => errno == libc::EEXIST,
        _ => false,
    }
}

/// The kernel takes the options of a bridge in an order of its own, the forward delay before the protocol, and
/// while the spanning tree protocol runs it refuses delays outside 2 to 30 s. So the protocol ends in a request of
/// its own, before the delay.
pub(super) fn requests(options: Record) -> Vec<Record> {
    ports::with_ports_last(options).into_iter().flat_map(in_order).collect()
}

fn in_order(options: Record) -> Vec<Record> {
    let ends = options.table() == &BRIDGE && options.value(bridge::STP_STATE).is_some_and(is_zero);
    if !ends || options.value(bridge::FORWARD_DELAY).is_none() {
        return kinds::requests(options);
    }
    let (mut first, mut second) = (Record::new(options.table()), options);
    second.remove(bridge::STP_STATE).into_iter().for_each(|off| first.set(bridge::STP_STATE, off));
    vec![first, second]
}

fn is_zero(value: &Value) -> bool {
    value.number() == Some(0)
}

/// Starting the spanning tree protocol moves a forward delay that is outside 2 to 30 s to the nearer end, in
/// silence. Whether this is what became of a delay that nobody named.
pub(super) fn stp_moved_delay(named: &Record, before: u64, now: u64) -> bool {
    let starts = named.table() == &BRIDGE && named.value(bridge::STP_STATE).is_some();
    starts
        && named.value(bridge::FORWARD_DELAY).is_none()
        && before != now
        && before.clamp(200, 3000).abs_diff(now) <= 1
}

/// What a creation must say of the options. A bridge takes all of them later too, and at creation refuses even the
/// default of those for which it was not built (VLANs). Of the switches that can be set at creation only, a VXLAN
/// takes naming one for use of the header bits that go with it, also as off.
pub(super) fn needed_at_creation(options: &Record) -> Record {
    let mut needed = Record::new(options.table());
    let later = options.table() == &BRIDGE || ports::takes_all_later(options.table());
    let off = |id: u16, row: &Row, value: &Value| {
        row.role == Role::Create
            && matches!(row.form, Form::Bool | Form::OnlyTrue)
            && is_zero(value)
            && (row.name, id) != ("udp_csum", vxlan::UDP_CSUM)
            && !kinds::is_choice(row)
    };
    for (id, row, value) in options.fields().filter(|(_, row, _)| row.settable()) {
        if !(later && row.role == Role::Set || off(id, row, value)) {
            needed.set(id, value.clone());
        }
    }
    let needed = with_order(kinds::one_ttl(kinds::without_nothing(needed)));
    ports::untold(needed, options)
}

/// The source addresses of a macvlan are taken with an order only: what is to be done with them.
pub(super) fn with_order(mut options: Record) -> Record {
    if is_macvlan(options.table()) {
        if let Some(Value::Hardwares(all)) = options.value(macvlan::MACADDR_DATA) {
            let order = if all.is_empty() { MacaddrMode::FLUSH } else { MacaddrMode::SET };
            options.set(macvlan::MACADDR_MODE, Value::Number(order.0.into()));
        }
    }
    options
}

pub(super) fn is_macvlan(table: &Table) -> bool {
    table == &MACVLAN || table == &MACVTAP
}

/// How a request says "none" of an option that was absent.
pub(super) fn none(table: &Table, id: u16) -> Option<Value> {
    let row = table.rows.get(usize::from(id))?;
    match (table.name, id) {
        ("vxlan", vxlan::GROUP | vxlan::LOCAL) => Some(Value::V4(Ipv4Addr::UNSPECIFIED)),
        ("vxlan", vxlan::GROUP6 | vxlan::LOCAL6) => Some(Value::V6(Ipv6Addr::UNSPECIFIED)),
        ("vxlan", vxlan::LINK) => Some(Value::Number(0)),
        ("macvlan" | "macvtap", macvlan::MACADDR_DATA) => Some(Value::Hardwares(Box::new([]))),
        _ => ports::none(table, id).or(row.none.map(Value::Number)),
    }
}

/// A port that leaves a bridge forgets its options, and is no more the backup of others.
pub(super) fn forgotten_by_ports(port: u32, before: &Snapshot) -> Vec<Fact> {
    let Some(link) = before.link_by_index(port) else { return Vec::new() };
    let others = link.master().into_iter().flat_map(|master| before.ports_of(master));
    let backed = others.filter(|other| is_backup(port, other)).flat_map(|other| {
        let is_backup =
            |fact: &Fact| matches!(fact.field, Field::Option(_, _, port_row::BACKUP_PORT));
        option_facts(other, row::PORT).into_iter().filter(is_backup)
    });
    option_facts(link, row::PORT).into_iter().chain(backed).collect()
}

/// Whether `port` takes over when `other` has no carrier.
pub(super) fn is_backup(port: u32, other: &Link) -> bool {
    let options = other.record().value(row::PORT).and_then(Value::nested);
    options.is_some_and(|options| {
        options.table() == &BRIDGE_PORT
            && options.value(port_row::BACKUP_PORT) == Some(&Value::Number(port.into()))
    })
}

/// The options that can be set at any time, as they are.
pub(super) fn option_facts(link: &Link, part: u16) -> Vec<Fact> {
    let Some(options) = link.record().value(part).and_then(Value::nested) else {
        return Vec::new();
    };
    let kept = |row: &Row| row.role == Role::Set && !runs_by_itself(options.table(), row);
    let had = |id: u16| ports::is_had(options, id);
    let set = options.fields().filter(|(id, row, _)| kept(row) && had(*id));
    set.map(|(id, _, value)| Fact {
        index: link.index(),
        field: Field::Option(part, options.table(), id),
        want: Some(value.clone()),
    })
    .collect()
}

/// The link that a handle means, or why there is none.
pub(super) fn live(index: u32, generation: u64, now: &Snapshot) -> Result<&Link, Refusal> {
    now.link(LinkRef::Handle { index, generation }).ok_or_else(|| stale(index, now))
}

/// K25 in a rollback: a primary that this commit added has become the primary of another program's address, or one
/// that it deleted took secondaries with it. What was there before and is not now comes back.
pub(super) fn ipv4_that_fell(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<AddressSpec> {
    let fell = before.addresses_of(index).into_iter().filter(|address| {
        address.is_secondary()
            && AddressKey::of(address).is_some_and(|key| now.address(&key).is_none())
    });
    fell.filter_map(AddressSpec::of).collect()
}

/// The address that a loopback interface without it gets from the kernel when it comes up, before some version only where it
/// has none of IPv4 (`inetdev_event`), and keeps when it goes down: the way to be without it again.
pub(super) fn got_by_loopback(index: u32, before: &Snapshot, now: &Snapshot) -> Option<Action> {
    let (old, new) = (before.link_by_index(index)?, now.link_by_index(index)?);
    let localhost = (IpAddr::from(Ipv4Addr::LOCALHOST), 8);
    let own = |of: &Snapshot| {
        let all = of.addresses_of(index).into_iter();
        let mut own = all.filter(|own| (own.local(), own.prefix_length()) == localhost);
        own.next().and_then(AddressSpec::of)
    };
    let is_given =
        old.flags().contains(LinkFlags::LOOPBACK) && !old.is_up() && own(before).is_none();
    let spec = own(now).filter(|_| is_given)?;
    Some(Action::DelAddress { target: Target::of(new), spec, secondary: false })
}

/// K25 in a rollback: an address that comes back is behind those that stayed. Where the addresses of a network are not
/// in the order in which they were, its primary first, those from the first that is out of place are taken away,
/// secondaries first, and put back as they were.
///
/// The same for the order of the networks, and for the labels that a renamed interface has given its addresses
/// (`inetdev_changename`: `eth0:2`), but only where no route but the kernel's own leads over the interface: taking
/// addresses away that nobody named would take such routes along (K5).
pub(super) fn misplaced(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<Action> {
    let whole = !carries_routes(index, now)
        && (order_lost(index, before, now).is_some()
            || !labels_lost(index, before, now).is_empty());
    if whole {
        return put_back(index, None, before, now);
    }
    let (old, new) = (known_order(index, before, now), known_order(index, now, before));
    let of = |keys: &[AddressKey], wanted| -> Vec<AddressKey> {
        keys.iter().copied().filter(|key| (key.prefix_length, key.network) == wanted).collect()
    };
    let all: BTreeSet<_> = old.iter().map(|key| (key.prefix_length, key.network)).collect();
    let disordered = all.into_iter().filter(|network| of(&old, *network) != of(&new, *network));
    disordered.flat_map(|network| put_back(index, Some(network), before, now)).collect()
}

/// Whether an IPv4 route that the kernel did not make itself leads over an interface. Unknown, and taken for so,
/// where routes are not followed.
fn carries_routes(index: u32, now: &Snapshot) -> bool {
    !now.follows_routes()
        || now.routes().all().over(index).any(|route| {
            route.family() == Family::Inet && route.protocol() != RouteProtocol::KERNEL
        })
}

fn is_same_place(old: &Address, new: &Address) -> bool {
    AddressKey::of(old) == AddressKey::of(new)
        && old.is_secondary() == new.is_secondary()
        && old.label() == new.label()
}

fn network_of(address: &Address) -> Option<(u8, u32)> {
    let key = AddressKey::of(address).filter(|key| key.local.is_ipv4())?;
    Some((key.prefix_length, key.network))
}

/// Takes the addresses of a network, or of all, away from the first that is out of place on, and puts them back.
fn put_back(
    index: u32,
    network: Option<(u8, u32)>,
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<Action> {
    let target = super::Target::Live { index, generation: 0 };
    let within = |address: &&Address| {
        network_of(address).is_some_and(|own| network.is_none_or(|network| network == own))
    };
    let is_in = |snapshot: &Snapshot, address: &Address| {
        AddressKey::of(address).is_some_and(|key| snapshot.address(&key).is_some())
    };
    let present: Vec<_> = now.addresses_of(index).into_iter().filter(within).collect();
    let old = before.addresses_of(index).into_iter().filter(within);
    let foreign = present.iter().copied().filter(|address| !is_in(before, address));
    let wanted: Vec<_> = old.filter(|address| is_in(now, address)).chain(foreign).collect();
    let right =
        wanted.iter().zip(&present).take_while(|(old, new)| is_same_place(old, new)).count();
    let delete = present[right..].iter().rev().filter_map(|address| {
        let secondary = address.is_secondary();
        Some(Action::DelAddress { target, spec: AddressSpec::of(address)?, secondary })
    });
    let add = wanted[right..]
        .iter()
        .filter_map(|address| Some(Action::AddAddress { target, spec: AddressSpec::of(address)? }));
    delete.chain(add).collect()
}

/// The IPv4 addresses of an interface in the order of one state, those that the other state knows too.
fn known_order(index: u32, of: &Snapshot, other: &Snapshot) -> Vec<AddressKey> {
    let keys = of.addresses_of(index).into_iter().filter_map(AddressKey::of);
    keys.filter(|key| key.local.is_ipv4() && other.address(key).is_some()).collect()
}

/// The order of the primary addresses, where it is not as it was: the first is the source of what an interface sends
/// when nobody says another.
pub(super) fn order_lost(index: u32, before: &Snapshot, now: &Snapshot) -> Option<[String; 2]> {
    let primaries = |of: &Snapshot, other: &Snapshot| -> Vec<AddressKey> {
        let primary = |key: &AddressKey| of.address(key).is_some_and(|a| !a.is_secondary());
        known_order(index, of, other).into_iter().filter(primary).collect()
    };
    let (old, new) = (primaries(before, now), primaries(now, before));
    let words = |keys: &[AddressKey]| -> String {
        let words: Vec<_> =
            keys.iter().map(|key| format!("{}/{}", key.local, key.prefix_length)).collect();
        words.join(", ")
    };
    (old != new).then(|| [words(&old), words(&new)])
}

/// Labels of IPv4 addresses that the kernel has made new because the interface was renamed (`inetdev_changename`):
/// it numbers those that only repeat the name. No request changes a label, and taking the address away would
/// take its routes along (K5).
pub(super) fn labels_lost(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<[String; 3]> {
    let changed = |new: &Address| {
        let old = before.address(&AddressKey::of(new)?)?;
        let text = |label: Option<&str>| label.unwrap_or("none").to_owned();
        (old.label() != new.label())
            .then(|| [new.prefix().to_string(), text(old.label()), text(new.label())])
    };
    now.addresses_of(index).into_iter().filter_map(changed).collect()
}

/// Whether a bridge has the address that it takes from its ports, and forwarding entries for it stand at a port: one that is
/// made with it keeps it against them, and has the entry itself (`br_stp_recalculate_bridge_id`, `fdb_add_local`).
pub(super) fn has_address_of_ports(bridge: &Link, now: &Snapshot) -> bool {
    let index = bridge.index();
    let own = bridge.address();
    let is_own = |entry: &Neighbour| {
        entry.is_fdb() && entry.lladdr() == own && entry.master() == Some(index)
    };
    follows_ports(bridge)
        && now.ports_of(index).next().is_some()
        && kernel_chose(bridge, row::ADDRESS, now)
        && !now.neighbours_over(&BTreeSet::from([index])).any(|(_, entry)| is_own(entry))
}

/// Whether a master that is there again does not have all of its ports yet.
pub(super) fn lacks_ports(master: &Link, before: &Snapshot, now: &Snapshot) -> bool {
    before.ports_of(master.index()).any(|port| {
        let now = now.link_by_index(port.index());
        now.is_some_and(|port| port.master() != Some(master.index()))
    })
}

/// Whether the address or mtu of a master is what the kernel would choose from its ports: then no program set it.
pub(super) fn kernel_chose(bridge: &Link, id: u16, now: &Snapshot) -> bool {
    if ports::takes_address(bridge) {
        return id == row::ADDRESS && ports::bond_chose(bridge, now);
    }
    let ports = || now.ports_of(bridge.index());
    match id {
        row::MTU => {
            u64::from(bridge.mtu())
                == ports().map(|port| u64::from(port.mtu())).min().unwrap_or(1500)
        }
        row::ADDRESS => match ports().filter_map(Link::address).min() {
            Some(least) => bridge.address() == Some(least),
            None => {
                bridge.address().is_some_and(|own| own.as_bytes().iter().all(|byte| *byte == 0))
            }
        },
        _ => false,
    }
}
