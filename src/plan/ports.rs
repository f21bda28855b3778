//! The manners of ports and their masters, and of interfaces that stand on another: bonds, teams, VRFs, VLANs. One named
//! function each, seen on 5.10 and 6.1.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::object::kinds::bareudp::row as bareudp;
use crate::object::kinds::bond::{BondMode, MiiStatus, row as bond};
use crate::object::kinds::bridge::row as bridge;
use crate::object::kinds::hsr::{row as hsr, with_supervision};
use crate::object::kinds::ipvlan::row as ipvlan;
use crate::object::kinds::vlan::{QosMapping, mapping, row as vlan};
use crate::object::kinds::{BOND, HSR, NewLink, VLAN};
use crate::object::link::{LinkType, row};
use crate::object::port::row as bridge_port;
use crate::object::shape::elements;
use crate::object::{Link, LinkFlags, Record, Role, Row, Table, Value};
use crate::state::Snapshot;

use super::action::Action;
use super::fact::{Fact, Field};
use super::{AddressSpec, Refusal, Target, rings, rules};

/// `bond_enslave`, `team_port_add`: a port must be down when it joins (`Device can not be enslaved while up`, EPERM; EBUSY
/// of a team); joining raises it, and leaving takes it down.
pub(super) fn raises_ports(master: Option<&str>) -> bool {
    matches!(master, Some("bond" | "team"))
}

/// A bond takes the hardware address of its first port, and makes one up when the last has left, unless one was set on
/// it. (A team takes one from its ports only in a mode, which a program sets.)
pub(super) fn takes_address(master: &Link) -> bool {
    master.kind() == Some("bond")
}

/// The hardware address with which a port has joined its bond. It has the bond's since, and this one again when it leaves
/// (`bond_enslave`, `__bond_release_one`): no request tells a port of it.
pub(super) fn address_at_joining(port: &Link) -> Option<Value> {
    port.bond_port()?.perm_hwaddr().map(Value::Hardware)
}

/// `bond_setup_by_slave`, `team_setup_by_port`: a bond or team of what is no Ethernet (tunnels) has become of the kind of its
/// first port, and has its address.
pub(super) fn is_of_its_ports(master: &Link) -> bool {
    raises_ports(master.kind()) && master.link_type() != LinkType::ETHER
}

/// `bond_slave_netdev_event`, `bond_release_and_destroy`: such a bond goes when the last of its ports does. The bond that goes
/// with a port, when those go too that are `going`.
pub(super) fn falls_with_ports<'a>(
    port: u32,
    going: &BTreeSet<u32>,
    now: &'a Snapshot,
) -> Option<&'a Link> {
    let bond = now.link_by_index(now.link_by_index(port)?.master()?)?;
    let falls = bond.kind() == Some("bond")
        && is_of_its_ports(bond)
        && now.ports_of(bond.index()).all(|port| going.contains(&port.index()));
    falls.then_some(bond)
}

/// A bond or team that was of Ethernet, has had ports of another kind (`bond_setup_by_slave`, `team_setup_by_port`), and has
/// stayed of that kind when they left: only a port of Ethernet would change that, or being made anew.
pub(super) fn has_lost_its_type(old: &Link, before: &Snapshot, now: &Snapshot) -> bool {
    let index = old.index();
    let new = now.link_by_index(index).filter(|new| new.generation() == old.generation());
    may_lose_its_type(old)
        && new.is_some_and(|new| new.link_type() != LinkType::ETHER)
        && [before, now].iter().all(|state| state.ports_of(index).next().is_none())
}

/// Whether that can happen to it.
pub(super) fn may_lose_its_type(link: &Link) -> bool {
    raises_ports(link.kind()) && link.link_type() == LinkType::ETHER
}

/// What a bond or team has done before it refuses a port (K31; `bond_enslave`, `team_port_add`): it has taken the port's
/// address and mtu where it was the first, and been of its kind; a bond that has none is then as a new one, down and with an
/// address by chance (`bond_ether_setup`).
pub(super) fn refused_facts(
    [port, master]: [u32; 2],
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<Fact> {
    const MADE_WITH: u64 = 1500;
    let link = |index| Some((before.link_by_index(index)?, now.link_by_index(index)?));
    let Some((old, new)) = link(master) else { return Vec::new() };
    let of_port = |id: u16| now.link_by_index(port)?.record().value(id);
    let is_its = |id: u16| new.record().value(id).is_some_and(|is| Some(is) == of_port(id));
    let mtu = u64::from(new.mtu()) == MADE_WITH || is_its(row::MTU);
    let address = if takes_address(new) { bond_chose(new, now) } else { is_its(row::ADDRESS) };
    let moved = [(row::MTU, mtu), (row::ADDRESS, address)].into_iter().filter(|(_, moved)| *moved);
    let facts = moved.map(|(id, _)| Fact {
        index: master,
        field: Field::Link(id),
        want: old.record().value(id).cloned(),
    });
    let up = Some(Value::Number(old.is_up().into()));
    let up = Fact { index: master, field: Field::Flag(LinkFlags::UP.0), want: up };
    facts.chain([up]).filter(|fact| !fact.holds(now)).collect()
}

/// Whether a bond's address is what the kernel would choose: then no program set it.
pub(super) fn bond_chose(bond: &Link, now: &Snapshot) -> bool {
    let mut ports = now.ports_of(bond.index()).peekable();
    ports.peek().is_none() || ports.any(|port| port.address() == bond.address())
}

/// An interface that is to become a port of what takes ports only while they are down: taken down first, where it is up.
pub(super) fn lowered(action: Action, now: &Snapshot) -> Vec<Action> {
    let live = |target: Target| match target {
        Target::Live { index, .. } => now.link_by_index(index),
        Target::New(_) => None,
    };
    let target = action.target();
    let joins = match &action {
        Action::Master { master: Some(master), .. } => {
            raises_ports(live(*master).and_then(Link::kind))
        }
        _ => false,
    };
    if joins && live(target).is_some_and(Link::is_up) {
        return vec![raised(target, false), action];
    }
    vec![action]
}

/// `bond_opt_check_deps`: a bond takes its mode only while it has no ports. Where it and its ports come back together, what
/// it is comes before them.
pub(super) fn options_before_ports(actions: Vec<Action>) -> Vec<Action> {
    let index = |target: Target| match target {
        Target::Live { index, .. } => Some(index),
        Target::New(_) => None,
    };
    let joined: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Master { master, .. } => index((*master)?),
            _ => None,
        })
        .collect();
    let is_first = |action: &Action| match action {
        Action::Data { target, options } => {
            options.table() == &BOND
                && !needs_ports(action)
                && index(*target).is_some_and(|own| joined.contains(&own))
        }
        _ => false,
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_first);
    first.extend(rest);
    first
}

/// Whether a fact about a port of a bond or team is what that gives to what joins it: its address, its mtu.
pub(super) fn given_by_master(port: &Link, fact: &Fact, of: &Snapshot) -> bool {
    let master = port.master().and_then(|master| of.link_by_index(master));
    let Some(master) = master.filter(|master| raises_ports(master.kind())) else { return false };
    match fact.field {
        Field::Link(id @ (row::ADDRESS | row::MTU)) => {
            master.record().value(id) == fact.want.as_ref()
        }
        _ => false,
    }
}

/// Up, or down.
pub(super) fn raised(target: Target, up: bool) -> Action {
    let flags = LinkFlags(if up { LinkFlags::UP.0 } else { 0 });
    Action::Flags { target, flags, mask: LinkFlags::UP }
}

/// What a bond or team has done to a port that joined or left, where leaving or joining again did not undo it: up or
/// down, and while it is a port the mtu and the address.
pub(super) fn port_facts(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<Fact> {
    let (Some(old), Some(new)) = (before.link_by_index(index), now.link_by_index(index)) else {
        return Vec::new();
    };
    let up = Field::Flag(LinkFlags::UP.0);
    let mut facts = vec![Fact { index, field: up, want: Some(Value::Number(old.is_up().into())) }];
    if old.master().is_some() && old.master() == new.master() {
        let own = [row::MTU, row::ADDRESS].into_iter();
        facts.extend(own.map(|id| {
            let want = old.record().value(id).cloned();
            Fact { index, field: Field::Link(id), want }
        }));
    }
    facts.retain(|fact| !fact.holds(now));
    facts
}

/// `vrf_add_slave`, `vrf_del_slave`: a VRF takes what joins or leaves it down and up again (`cycle_netdev`), and with that
/// its IPv6 addresses go, where `keep_addr_on_down` is not set. Those that nobody named are to be there afterwards.
pub(super) fn fell_with_vrf(
    index: u32,
    master: Option<u32>,
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<AddressSpec> {
    let is_vrf = |index: u32| {
        let link = now.link_by_index(index).or_else(|| before.link_by_index(index));
        link.and_then(Link::kind) == Some("vrf")
    };
    let was = before.link_by_index(index).and_then(Link::master);
    let stays_up = [before, now].iter().all(|state| {
        let link = state.link_by_index(index);
        link.is_some_and(Link::is_up)
    });
    match [was, master].into_iter().flatten().any(is_vrf) && stays_up {
        true => rules::ipv6_that_fell(index, before, now),
        false => Vec::new(),
    }
}

/// What the kernel does not make an interface without.
pub(super) fn check_new(new: &NewLink) -> Result<(), Refusal> {
    let missing = |what: &'static str, why: &str| {
        Err(Refusal::Invalid { what, value: new.name().to_owned(), why: why.to_owned() })
    };
    const STAND: [&str; 6] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"];
    let stands = STAND.contains(&new.kind());
    let named = |id| new.data.as_ref().is_some_and(|data| data.value(id).is_some());
    // What is given as bytes is the kernel's to judge.
    let raw = new.record.value(row::DATA).is_some();
    match new.kind() {
        _ if stands && new.lower().is_none() => missing("link", "it stands on another interface"),
        "vlan" if !raw && !named(vlan::ID) => missing("id", "a VLAN has an identifier"),
        "vrf" if !raw && new.data.is_none() => missing("table", "a VRF has a routing table"),
        // `vxlan_validate`, `geneve_validate`, `bareudp2info`, `xfrmi_newlink`.
        "vxlan" | "geneve" if !raw && new.data.is_none() => {
            missing("id", "a tunnel of this kind has a network identifier")
        }
        "bareudp" if !(raw || named(bareudp::PORT) && named(bareudp::ETHERTYPE)) => {
            missing("dstport", "it has a UDP port and an Ethernet type")
        }
        "xfrm" if !raw && new.data.is_none() => missing("if_id", "it has an identifier"),
        "hsr" if !raw => check_hsr(new),
        "bond" => new.data.as_ref().map_or(Ok(()), |named| check_bond(named, None, false, false)),
        _ => Ok(()),
    }
}

/// `hsr_newlink`: two different interfaces.
fn check_hsr(new: &NewLink) -> Result<(), Refusal> {
    let slave = |id| new.data.as_ref().and_then(|data| data.value(id));
    let why = match (slave(hsr::SLAVE1), slave(hsr::SLAVE2)) {
        (Some(one), Some(two)) if one != two => return Ok(()),
        (Some(_), Some(_)) => "its ports are two different interfaces",
        _ => "it has two ports",
    };
    let value = new.name().to_owned();
    Err(Refusal::Invalid { what: "slave2", value, why: why.to_owned() })
}

/// `vlan_changelink` takes no notice of what only a creation says; a VRF is not changed at all (EOPNOTSUPP).
pub(super) fn check_fixed(named: &Record, present: &Record) -> Result<(), Refusal> {
    for (id, row, value) in named.fields().filter(|(_, row, _)| row.role == Role::Create) {
        if named.table() == present.table() && present.value(id) != Some(value) {
            return invalid(row, value, "it is said when the interface is created".to_owned());
        }
    }
    Ok(())
}

/// Modes in which a bond takes an option.
fn modes(id: u16) -> &'static [BondMode] {
    use BondMode as Mode;
    match id {
        bond::ACTIVE_SLAVE | bond::PRIMARY => {
            &[Mode::ACTIVE_BACKUP, Mode::BALANCE_TLB, Mode::BALANCE_ALB]
        }
        bond::ARP_INTERVAL | bond::ARP_VALIDATE => {
            &[Mode::BALANCE_RR, Mode::ACTIVE_BACKUP, Mode::BALANCE_XOR, Mode::BROADCAST]
        }
        bond::PACKETS_PER_SLAVE => &[Mode::BALANCE_RR],
        bond::TLB_DYNAMIC_LB => &[Mode::BALANCE_TLB, Mode::BALANCE_ALB],
        bond::AD_LACP_RATE
        | bond::AD_LACP_ACTIVE
        | bond::AD_ACTOR_SYS_PRIO
        | bond::AD_USER_PORT_KEY
        | bond::AD_ACTOR_SYSTEM
        | bond::COUPLED_CONTROL
        | bond::BROADCAST_NEIGH => &[Mode::AD],
        _ => &[],
    }
}

/// Whether a bond has an option in its mode: what a former mode has left cannot be set in this one.
pub(super) fn is_had(options: &Record, id: u16) -> bool {
    let mode = BondMode(options.number(bond::MODE) as u8);
    options.table() != &BOND || modes(id).is_empty() || modes(id).contains(&mode)
}

/// Options that a bond takes only while it is down (EBUSY otherwise).
const WHILE_DOWN: [u16; 7] = [
    bond::MODE,
    bond::AD_LACP_RATE,
    bond::AD_LACP_ACTIVE,
    bond::AD_SELECT,
    bond::AD_USER_PORT_KEY,
    bond::TLB_DYNAMIC_LB,
    bond::COUPLED_CONTROL,
];

/// Options that a bond takes only while it has no ports (ENOTEMPTY otherwise).
const WITHOUT_PORTS: [u16; 2] = [bond::MODE, bond::FAIL_OVER_MAC];

/// `bond_opt_check_deps`: what a bond refuses in its mode, while it is up, or while it has ports; and what cannot be said
/// together. Where it asks for nothing new, nothing is refused.
pub(super) fn check_bond(
    named: &Record,
    present: Option<&Record>,
    up: bool,
    has_ports: bool,
) -> Result<(), Refusal> {
    let of = |id| named.value(id).or_else(|| present?.value(id));
    let number = |id| of(id).and_then(Value::number).unwrap_or(0);
    let mode = BondMode(number(bond::MODE) as u8);
    for (id, row, value) in named.fields() {
        if present.is_some_and(|present| present.value(id) == Some(value)) {
            continue;
        }
        let modes = modes(id);
        let why = if !modes.is_empty() && !modes.contains(&mode) {
            let modes: Vec<_> = modes.iter().map(BondMode::to_string).collect();
            format!("a bond takes it in mode {}; it is in mode {mode}", modes.join(", "))
        } else if has_ports && WITHOUT_PORTS.contains(&id) {
            "a bond takes it while it has no ports".to_owned()
        } else if up && WHILE_DOWN.contains(&id) {
            "a bond takes it while it is down".to_owned()
        } else {
            continue;
        };
        return invalid(row, value, why);
    }
    check_monitoring(named, present, mode)
}

/// A bond looks at the carriers or asks by ARP, not both, and its delays are multiples of the time between two looks.
fn check_monitoring(
    named: &Record,
    present: Option<&Record>,
    mode: BondMode,
) -> Result<(), Refusal> {
    if named.number(bond::MIIMON) != 0 && named.number(bond::ARP_INTERVAL) != 0 {
        let row = &BOND.rows[usize::from(bond::ARP_INTERVAL)];
        let value = Value::Number(named.number(bond::ARP_INTERVAL));
        return invalid(row, &value, "ARP monitoring cannot be used with miimon".to_owned());
    }
    let arp = named.number(bond::ARP_INTERVAL) != 0;
    let was = present.map_or(0, |present| present.number(bond::MIIMON));
    // `bond_option_mode_set`: in a mode without ARP monitoring there is always the other.
    let without_arp = matches!(mode, BondMode::AD | BondMode::BALANCE_TLB | BondMode::BALANCE_ALB);
    let miimon = match named.value(bond::MIIMON).and_then(Value::number) {
        Some(miimon) => miimon,
        None if arp => 0,
        None if was == 0 && without_arp => 100,
        None => was,
    };
    for id in [bond::UPDELAY, bond::DOWNDELAY, bond::PEER_NOTIF_DELAY] {
        let Some(delay) = named.value(id).and_then(Value::number).filter(|delay| *delay != 0)
        else {
            continue;
        };
        let (row, value) = (&BOND.rows[usize::from(id)], Value::Number(delay));
        match delay.checked_rem(miimon) {
            None => return invalid(row, &value, "there is none without miimon".to_owned()),
            Some(0) => {}
            Some(_) => return invalid(row, &value, format!("a multiple of miimon, {miimon}")),
        }
    }
    Ok(())
}

fn invalid(row: &'static Row, value: &Value, why: String) -> Result<(), Refusal> {
    Err(Refusal::Invalid { what: row.name, value: row.text(value), why })
}

/// A bond refuses also to be told what it is, where it would refuse to be told otherwise.
pub(super) fn is_told_only_news(table: &Table) -> bool {
    table == &BOND
}

/// Options that need the ports: the one in use is a port. They are set when those are there.
pub(super) fn needs_ports(action: &Action) -> bool {
    match action {
        Action::Data { options, .. } => {
            options.table() == &BOND && options.value(bond::ACTIVE_SLAVE).is_some()
        }
        _ => false,
    }
}

/// A new bond, and what of its options needs its ports.
pub(super) fn without_active(mut new: NewLink) -> (NewLink, Option<Record>) {
    let options = new.data.as_mut().filter(|options| options.table() == &BOND);
    let active = options.and_then(|options| options.remove(bond::ACTIVE_SLAVE));
    let active = active.map(|active| {
        let mut options = Record::new(&BOND);
        options.set(bond::ACTIVE_SLAVE, active);
        options
    });
    (new, active)
}

/// The options in one request, those that need the ports in another behind it, and those that the new mode does not have
/// in one before it: the mode is the first thing that the kernel takes out of a request.
pub(super) fn with_ports_last(mut options: Record) -> Vec<Record> {
    let first = former_modes(&mut options);
    let active = (options.table() == &BOND).then(|| options.remove(bond::ACTIVE_SLAVE)).flatten();
    let last = active.map(|active| {
        let mut last = Record::new(options.table());
        last.set(bond::ACTIVE_SLAVE, active);
        last
    });
    [first, Some(options), last]
        .into_iter()
        .flatten()
        .filter(|options| !options.is_empty())
        .collect()
}

fn former_modes(options: &mut Record) -> Option<Record> {
    if options.table() != &BOND {
        return None;
    }
    let mode = BondMode(options.value(bond::MODE).and_then(Value::number)? as u8);
    let foreign = |id: &u16| !modes(*id).is_empty() && !modes(*id).contains(&mode);
    let foreign: Vec<_> = options.fields().map(|(id, ..)| id).filter(foreign).collect();
    let mut first = Record::new(options.table());
    for id in foreign {
        options.remove(id).into_iter().for_each(|value| first.set(id, value));
    }
    Some(first)
}

/// The active port changes by itself, with the carriers. Where a commit has moved it, by taking the port away or by
/// another primary, it goes back if the bond can use it; a port with an `updelay` it cannot yet.
pub(super) fn active_fact(index: u32, before: &Snapshot, now: &Snapshot) -> Option<Fact> {
    let (old, new) = (before.link_by_index(index)?.bond()?, now.link_by_index(index)?.bond()?);
    let active = old.active_slave().filter(|active| new.active_slave() != Some(*active))?;
    let port = now.link_by_index(active).filter(|port| port.master() == Some(index))?;
    let is_usable = port.is_up() && port.bond_port()?.mii_status() == Some(MiiStatus::UP);
    let field = Field::Option(row::DATA, &BOND, bond::ACTIVE_SLAVE);
    is_usable.then_some(Fact { index, field, want: Some(Value::Number(active.into())) })
}

/// `bond_enslave`: a bond in mode active-backup takes a first port whose address cannot be set, such as an ifb, and has
/// `fail_over_mac active` from then on. While it has that, it takes no address, and says that it did
/// (`bond_set_mac_address`).
pub(super) fn fail_over_fact(index: u32, before: &Snapshot, now: &Snapshot) -> Option<Fact> {
    const ACTIVE: u64 = 1;
    let has_ports = |of: &Snapshot| of.ports_of(index).next().is_some();
    let field = Field::Option(row::DATA, &BOND, bond::FAIL_OVER_MAC);
    let fact = Fact { index, field, want: None };
    let (was, is) = (fact.state(before)?, fact.state(now)?);
    let moved = was != is && is.number() == Some(ACTIVE) && !has_ports(before) && !has_ports(now);
    moved.then_some(Fact { want: Some(was), ..fact })
}

/// The active port changes by itself, with the carriers.
pub(super) fn moves_by_itself(row: &Row) -> bool {
    row.constant == "IFLA_BOND_ACTIVE_SLAVE"
}

/// What a bond changes by itself when its mode or the way it looks after its ports changes (`bond_option_mode_set`,
/// `bond_option_miimon_set`, `bond_option_arp_interval_set`): one way of looking ends the other, delays follow `miimon`,
/// a new mode forgets `arp_validate`. Of these, what was not named.
pub(super) fn moved_along(index: u32, named: &Record, before: &Snapshot) -> Vec<Fact> {
    let moves = [bond::MODE, bond::MIIMON, bond::ARP_INTERVAL];
    if named.table() != &BOND || !moves.iter().any(|id| named.value(*id).is_some()) {
        return Vec::new();
    }
    let moved = [
        bond::MIIMON,
        bond::UPDELAY,
        bond::DOWNDELAY,
        bond::PEER_NOTIF_DELAY,
        bond::ARP_INTERVAL,
        bond::ARP_VALIDATE,
        bond::TLB_DYNAMIC_LB,
    ];
    let was = |id: u16| {
        let fact = Fact { index, field: Field::Option(row::DATA, &BOND, id), want: None };
        let want = fact.state(before)?;
        Some(Fact { want: Some(want), ..fact })
    };
    moved.into_iter().filter(|id| named.value(*id).is_none()).filter_map(was).collect()
}

/// A bond takes every option later too, and at creation refuses even the default of those that its mode does not have.
pub(super) fn takes_all_later(table: &Table) -> bool {
    table == &BOND
}

/// What a creation says beside what the kernel tells.
pub(super) fn untold(options: Record, was: &Record) -> Record {
    if was.table() == &HSR { with_supervision(options, was) } else { options }
}

/// A QoS map of a VLAN is a set to which a request adds: what is there and is not to be is taken away by name, as going
/// to 0.
pub(super) fn whole_maps(action: Action, now: &Snapshot) -> Action {
    match action {
        Action::Data { target: target @ Target::Live { index, .. }, mut options }
            if options.table() == &VLAN =>
        {
            let link = now.link_by_index(index);
            if let Some(present) = link.and_then(|link| link.record().value(row::DATA)?.nested()) {
                MAPS.into_iter().for_each(|id| whole_map(&mut options, present, id));
            }
            Action::Data { target, options }
        }
        other => other,
    }
}

const MAPS: [u16; 2] = [vlan::INGRESS_QOS, vlan::EGRESS_QOS];

fn whole_map(options: &mut Record, present: &Record, id: u16) {
    let Some(named) = options.value(id) else { return };
    let mut all = named.records().to_vec();
    let is_gone =
        |old: &&Record| !all.iter().any(|new| QosMapping(new).from() == QosMapping(old).from());
    let present = present.value(id).map(Value::records).unwrap_or_default();
    let gone: Vec<_> = present.iter().filter(is_gone).collect();
    all.extend(gone.into_iter().map(|old| mapping(QosMapping(old).from(), 0)));
    options.set(id, elements(all.into()));
}

/// What of a wanted QoS map is seen afterwards: what goes to 0 is not.
pub(super) fn seen(table: &Table, id: u16, want: &Value) -> Option<Value> {
    if table != &VLAN || !MAPS.contains(&id) {
        return None;
    }
    let kept = want.records().iter().filter(|entry| QosMapping(entry).to() != 0);
    Some(Value::Records(kept.cloned().collect()))
}

/// Values that no interface of their kind takes, and that no range of a number can say.
pub(super) fn check_values(options: &Record) -> Result<(), Refusal> {
    for (id, row, value) in options.fields() {
        let why = match (options.table().name, id, value) {
            ("bond", bond::AD_ACTOR_SYSTEM, Value::Hardware(address)) => {
                let group = address.as_bytes().first().is_some_and(|byte| byte & 1 != 0);
                group.then_some("a system has no group address")
            }
            ("bond", bond::ARP_IP_TARGET, Value::Ips(all)) => {
                let bad = all.len() > 16 || !all.iter().all(IpAddr::is_ipv4);
                bad.then_some("up to 16 IPv4 addresses")
            }
            ("bond", bond::NS_IP6_TARGET, Value::Ips(all)) => {
                let bad = all.len() > 16 || !all.iter().all(IpAddr::is_ipv6);
                bad.then_some("up to 16 IPv6 addresses")
            }
            // `BR_GROUPFWD_RESTRICTED`; of a port `br_setport` refuses pause frames only.
            ("bridge", bridge::GROUP_FWD_MASK, Value::Number(mask)) => (mask & 0b111 != 0)
                .then_some(
                    "bits 0 to 2, spanning tree, pause frames and LACP, are never forwarded",
                ),
            ("bridge_port", bridge_port::GROUP_FWD_MASK, Value::Number(mask)) => {
                (mask & 0b10 != 0).then_some("bit 1, pause frames, is never forwarded")
            }
            ("ipvlan" | "ipvtap", ipvlan::FLAGS, Value::Number(3)) => {
                Some("private and vepa exclude each other")
            }
            _ => None,
        };
        if let Some(why) = why {
            return invalid(row, value, why.to_owned());
        }
    }
    check_maps(options)
}

/// VLAN priorities have three bits; of larger numbers the kernel takes the lowest (`vlan_dev_set_ingress_priority`,
/// `vlan_dev_set_egress_priority`).
fn check_maps(options: &Record) -> Result<(), Refusal> {
    let bad = |id, record: &Record| {
        let entry = QosMapping(record);
        let priority = if id == vlan::INGRESS_QOS { entry.from() } else { entry.to() };
        priority > 7
    };
    for (id, row, value) in options.fields().filter(|_| options.table() == &VLAN) {
        if MAPS.contains(&id) && value.records().iter().any(|record| bad(id, record)) {
            return invalid(row, value, "a VLAN priority is 0 to 7".to_owned());
        }
    }
    Ok(())
}

/// How a request says "none" of an option that was absent.
pub(super) fn none(table: &Table, id: u16) -> Option<Value> {
    match table.name {
        "vlan" if MAPS.contains(&id) => Some(Value::Records(Box::new([]))),
        "bond" if [bond::ARP_IP_TARGET, bond::NS_IP6_TARGET].contains(&id) => {
            Some(Value::Ips(Box::new([])))
        }
        _ => None,
    }
}

/// `vlan_device_event`: a VLAN goes down with the interface below, and comes up with it, also one that was down; not
/// with loose binding. One that is to be down is taken down when that is up.
pub(super) fn rises_with_lower(link: &Link) -> bool {
    link.vlan().is_some_and(|vlan| vlan.loose_binding() != Some(true))
}

/// What has changed of interfaces because something has changed of the one below them: an mtu that was larger than the
/// new one is made smaller (`vlan_device_event`, `macvlan_device_event`), and does not become larger again; VLANs go up
/// and down with it. The lowest first: none gets a larger mtu than what it stands on.
pub(super) fn upper_facts(lower: u32, before: &Snapshot, now: &Snapshot) -> Vec<Fact> {
    let mut facts = Vec::new();
    let rings = rings::over(&BTreeSet::from([lower]), before);
    for index in rules::goes_with(lower, before).into_iter().rev().chain(rings) {
        let Some(old) =
            before.link_by_index(index).filter(|old| !super::kinds::is_pair(old.kind()))
        else {
            continue;
        };
        if rules::is_replaced(index, before, now) {
            continue;
        }
        let want = old.record().value(row::MTU).cloned();
        facts.push(Fact { index, field: Field::Link(row::MTU), want });
        if rises_with_lower(old) {
            let want = Some(Value::Number(old.is_up().into()));
            facts.push(Fact { index, field: Field::Flag(LinkFlags::UP.0), want });
        }
    }
    facts.retain(|fact| !fact.holds(now));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds::{BondOptions, LacpRate};

    #[test]
    fn what_a_mode_does_not_have_is_said_before_it_and_what_needs_ports_last() {
        let options = BondOptions::new()
            .mode(BondMode::ACTIVE_BACKUP)
            .ad_lacp_rate(LacpRate::SLOW)
            .miimon(50u32)
            .active_slave(3u32);
        let all = with_ports_last(options.record().clone()).into_iter();
        let words: Vec<_> = all.map(|record| record.words(&()).join(" ")).collect();
        assert_eq!(words, ["lacp_rate slow", "mode active-backup miimon 50", "active_slave if3"]);
    }

    #[test]
    fn a_map_takes_away_by_name_what_is_not_to_be() {
        let map = |pairs: &[(u32, u32)]| {
            let mut record = Record::new(&VLAN);
            let all = pairs.iter().map(|(from, to)| mapping(*from, *to)).collect();
            record.set(vlan::EGRESS_QOS, elements(all));
            record
        };
        let mut named = map(&[(5, 6), (9, 3)]);
        whole_map(&mut named, &map(&[(0, 7), (5, 1)]), vlan::EGRESS_QOS);
        assert_eq!(named, map(&[(0, 0), (5, 6), (9, 3)]));
        let seen = seen(&VLAN, vlan::EGRESS_QOS, named.value(vlan::EGRESS_QOS).unwrap());
        assert_eq!(seen.as_ref(), map(&[(5, 6), (9, 3)]).value(vlan::EGRESS_QOS));
    }
}
