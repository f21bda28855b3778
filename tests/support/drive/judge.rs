//! The judge: the simulated kernel's own truth before and after, as one line per difference.
//!
//! Left out, because nobody names them and the kernel moves them by itself: operstate, carrier and the flags that
//! follow them, promiscuity, what a bridge and its ports only report (identifiers, timers, spanning tree state),
//! addresses that the kernel makes (link-local IPv6), and whether an IPv6 address is still tentative.
//!
//! Routes, rules and nexthop objects are under an interface 0, one field a key: an IPv4 key's routes in their order, an IPv6 key's legs in none. Those
//! that the kernel makes follow addresses and links, and are told apart. The weight of an IPv6 leg that is left alone is
//! left out: the kernel tells it to nobody, so that nobody can bring it back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlinkdb::internals::plan::{Failure, Residue, Why};

use crate::sim::{AddressTruth, Kernel, LinkTruth, bridge_options};

/// Flags that a request can set: UP, NOARP, PROMISC, ALLMULTI, MULTICAST, DYNAMIC.
const SETTABLE: u32 = 0x1 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x8000;

/// IFA_F_SECONDARY, and what else of an address' flags counts: TENTATIVE, DADFAILED and OPTIMISTIC move by
/// themselves.
const ADDRESS_FLAGS: u32 = !(0x40 | 0x08 | 0x04 | 0x20);

/// IFLA_BR_* that the kernel only tells: identifiers, root, timers, counts.
const BRIDGE_STATUS: &[u16] = &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 26, 47, 48];

/// IFLA_BRPORT_* that the kernel only tells: state, identifiers, designated, timers, counts.
const PORT_STATUS: &[u16] = &[1, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 35, 36, 38, 41];

/// Everything that counts, by interface index: field to value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth(BTreeMap<i32, BTreeMap<String, String>>);

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The interface's name before, or after when it is new.
    pub on: String,
    /// Its index.
    pub index: i32,
    /// `mtu`, `address 10.0.0.1/24`, `interface`.
    pub field: String,
    /// Empty for none.
    pub was: String,
    pub is: String,
}

impl Difference {
    /// Whether both are about the same, whatever it was and is.
    pub fn is_of(&self, other: &Difference) -> bool {
        (self.index, &self.field) == (other.index, &other.field)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let what =
            if self.on.is_empty() { &self.field } else { &format!("{} {}", self.on, self.field) };
        write!(f, "{what} {} -> {}", none(&self.was), none(&self.is))
    }
}

impl Truth {
    /// What is so now.
    pub fn of(kernel: &Kernel) -> Truth {
        let mut links: BTreeMap<_, _> =
            kernel.links().iter().map(|link| (link.index, link_fields(link))).collect();
        // A secondary's place counts within its network, a primary's on its interface.
        let mut places: BTreeMap<(i32, Option<(u32, u8)>), usize> = BTreeMap::new();
        for address in kernel.addresses().iter().filter(|address| !made_by_kernel(address)) {
            let secondary = address.flags & 1 != 0 && address.local.is_ipv4();
            let place =
                places.entry((address.index, secondary.then(|| network(address)))).or_default();
            *place += 1;
            let fields = links.entry(address.index).or_default();
            let name = fields.get("name").cloned().unwrap_or_default();
            let (field, value) = address_field(address, *place, &name);
            fields.insert(field, value);
        }
        for one in kernel.neighbours().iter().filter(|one| one.is_kept) {
            let title = if one.proxy { "proxy" } else { "neighbour" };
            let fields = links.entry(one.index).or_default();
            fields.insert(format!("{title} {}", one.address), one.value.clone());
        }
        let mut others = route_fields(kernel);
        for rule in kernel.rules() {
            let list = others.entry(format!("rule {} {}", rule.family, rule.priority));
            let list = list.or_default();
            let separator = if list.is_empty() { "" } else { "; " };
            *list += &format!("{separator}{}", rule.value);
        }
        for (id, value) in kernel.nexthops() {
            others.insert(format!("nexthop {id}"), value);
        }
        links.insert(0, others);
        Truth(links)
    }

    /// What is different in `after`.
    pub fn diff(&self, after: &Truth) -> Vec<Difference> {
        let indexes: BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let mut differences = Vec::new();
        for index in indexes {
            let (old, new) = (self.0.get(index), after.0.get(index));
            let on = old.or(new).and_then(|fields| fields.get("name")).cloned();
            let on = on.unwrap_or_default();
            let there = |side: Option<_>| if side.is_some() { "there" } else { "" }.to_owned();
            let mut push = |field: &str, was: String, is: String| {
                let (on, field) = (on.clone(), field.to_owned());
                differences.push(Difference { on, index: *index, field, was, is });
            };
            let kind = |side: Option<&BTreeMap<String, String>>| side?.get("kind").cloned();
            if old.is_none() || new.is_none() || kind(old) != kind(new) {
                push("interface", there(old), there(new));
                if new.is_none() {
                    continue;
                }
            }
            let empty = BTreeMap::new();
            let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
            for field in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let value = |of: &BTreeMap<_, _>| of.get(field).cloned().unwrap_or_default();
                if value(old) != value(new) {
                    push(field, value(old), value(new));
                }
            }
        }
        differences
    }
}

/// RTPROT_KERNEL
const BY_KERNEL: u8 = 2;

fn route_fields(kernel: &Kernel) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in kernel.routes() {
        let whose = if route.protocol == BY_KERNEL { "kernel-route" } else { "route" };
        let (dst, len, table) = (route.dst, route.len, route.table);
        let (_, rest) = route.key.split_once(&format!("{dst}/{len}")).unwrap_or_default();
        let rest = rest.replace(" tos 0", "");
        let rest = rest.strip_suffix(" metric 0").unwrap_or(&rest);
        let field = format!("{whose} {dst}/{len} table {table}{rest}");
        all.entry(field).or_default().push(route.value);
    }
    let in_order = |field: &str| field.starts_with("route ") && !field.contains(':');
    let fields = all.into_iter().map(|(field, mut values)| {
        if !in_order(&field) {
            values.sort();
        }
        if let (true, [alone]) = (field.contains(':'), &mut values[..]) {
            let words: Vec<_> = alone.split(' ').collect();
            if let [kept @ .., "hops", _] = &words[..] {
                *alone = kept.join(" ");
            }
        }
        (field, values.join("; "))
    });
    fields.collect()
}

/// Whether it is about a route that the kernel makes.
pub fn is_kernels(difference: &Difference) -> bool {
    difference.field.starts_with("kernel-route ")
}

/// Whether it is about a hardware address of zeros, as a bridge has that lost its last port: no request can say it
/// (`is_valid_ether_addr`), and a bridge that is made again has one by chance until it has ports.
pub fn is_of_no_one(difference: &Difference) -> bool {
    let was = &difference.was;
    difference.field == "mac" && !was.is_empty() && was.bytes().all(|digit| digit == b'0')
}

fn link_fields(link: &LinkTruth) -> BTreeMap<String, String> {
    let number = |n: Option<i32>| n.map(|n| n.to_string()).unwrap_or_default();
    let mut fields = BTreeMap::new();
    let mut set = |field: &str, value: String| {
        if !value.is_empty() {
            fields.insert(field.to_owned(), value);
        }
    };
    set("name", link.name.clone());
    set("kind", link.kind.unwrap_or("none").to_owned());
    set("alias", link.alias.clone().unwrap_or_default());
    set("mtu", link.mtu.to_string());
    set("txqlen", link.txqlen.to_string());
    set("group", link.group.to_string());
    set("mac", hex(&link.address));
    set("broadcast", hex(&link.broadcast));
    set("master", number(link.master));
    set("lower", number(link.lower));
    for bit in (0..32).map(|bit| 1u32 << bit).filter(|bit| SETTABLE & bit != 0) {
        let on = if bit == 1 { link.up } else { link.flags & bit != 0 };
        set(&format!("flag {bit:#x}"), if on { "on" } else { "" }.to_owned());
    }
    for altname in &link.altnames {
        set(&format!("altname {altname}"), "there".to_owned());
    }
    let bridge = link.kind == Some("bridge");
    for (id, value) in &link.options {
        if !(bridge && BRIDGE_STATUS.contains(id)) {
            set(&format!("option {id}"), hex(value));
        }
    }
    for (id, value) in link.port_options.iter().filter(|(id, _)| !PORT_STATUS.contains(id)) {
        set(&format!("port {id}"), hex(value));
    }
    fields
}

fn address_field(address: &AddressTruth, place: usize, name: &str) -> (String, String) {
    let mut value = format!("flags {:#x}", address.flags & ADDRESS_FLAGS);
    if address.local.is_ipv4() {
        value += &format!(" place {place}");
    }
    if address.scope != 0 {
        value += &format!(" scope {}", address.scope);
    }
    if let Some(broadcast) = address.broadcast {
        value += &format!(" brd {broadcast}");
    }
    // A label that only repeats the name moves with it.
    if let Some(label) = address.label.as_ref().filter(|label| *label != name) {
        value += &format!(" label {label}");
    }
    let peer = address.peer.map(|peer| format!(" peer {peer}")).unwrap_or_default();
    if (address.protocol, address.priority) != (0, 0) {
        value += &format!(" proto {} metric {}", address.protocol, address.priority);
    }
    if (address.valid, address.preferred) != (u32::MAX, u32::MAX) {
        value += &format!(" valid {} preferred {}", address.valid, address.preferred);
    }
    (format!("address {}{peer}/{}", address.local, address.prefix), value)
}

/// IFAPROT_KERNEL_LO, _RA, _LL.
fn made_by_kernel(address: &AddressTruth) -> bool {
    (1..=3).contains(&address.protocol)
}

fn network(address: &AddressTruth) -> (u32, u8) {
    match address.peer.unwrap_or(address.local) {
        IpAddr::V4(far) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(address.prefix)).unwrap_or(0);
            (u32::from(far) & mask, address.prefix)
        }
        IpAddr::V6(_) => (0, address.prefix),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As lines, for comparing with what a scenario says. What is as it always is on a new interface or a new port is
/// left out, and so are random hardware addresses.
pub fn lines(differences: &[Difference]) -> Vec<String> {
    let fresh: BTreeSet<i32> =
        differences.iter().filter(|d| d.field == "interface").map(|d| d.index).collect();
    let telling = |d: &&Difference| {
        if is_kernels(d) {
            return false;
        }
        let new = fresh.contains(&d.index) || d.field.starts_with("port ");
        !(new
            && (is_usual(&d.field, &d.is) && d.was.is_empty()
                || d.is.is_empty() && is_usual(&d.field, &d.was)))
    };
    differences.iter().filter(telling).map(ToString::to_string).collect()
}

fn is_usual(field: &str, value: &str) -> bool {
    // The simulated kernel's numbers are those of a little-endian machine.
    let default = |default: u64| {
        let bytes: Vec<u8> = (0..8).map(|nth| (default >> (8 * nth)) as u8).collect();
        bytes.get(..value.len() / 2).is_some_and(|bytes| hex(bytes) == value)
    };
    match field.split_once(' ') {
        Some(("option", id)) => {
            let id = id.parse().unwrap_or(0);
            default(bridge_options::bridge_default(id)) || !matches!(id, 1 | 5 | 15)
        }
        Some(("port", id)) => default(bridge_options::port_default(id.parse().unwrap_or(0))),
        Some(("flag", "0x1000")) => true,
        _ => match field {
            "name" | "mac" | "broadcast" | "txqlen" => true,
            "group" => value == "0",
            "mtu" => value == "1500",
            _ => false,
        },
    }
}

/// Panics unless the residue tells every difference, and nothing that is none.
pub fn check_residue(residue: &[Residue], differences: &[Difference]) {
    check_residue_with(residue, differences, &[]);
}

/// Likewise; what is told may also be another program's doing.
pub fn check_residue_with(residue: &[Residue], differences: &[Difference], others: &[Difference]) {
    for difference in differences.iter().filter(|d| !is_kernels(d) && !is_of_no_one(d)) {
        let told =
            residue.iter().any(|residue| tells(residue, difference) || moves(residue, difference));
        assert!(told, "not told: {difference}\nresidue: {}", list(residue));
    }
    for residue in residue {
        let so = differences.iter().chain(others).any(|difference| tells(residue, difference));
        assert!(so, "told, but not so: {residue:?}\nso: {:#?}", lines(differences));
    }
}

/// Whether an address has only another place, because one before it is not what it was.
fn moves(residue: &Residue, difference: &Difference) -> bool {
    let unplaced = |value: &str| -> Vec<String> {
        let words: Vec<_> = value.split(' ').map(str::to_owned).collect();
        let at = words.iter().position(|word| word == "place").unwrap_or(words.len());
        [&words[..at], words.get(at + 2..).unwrap_or_default()].concat()
    };
    residue.what.starts_with("address ")
        && residue.what.contains(&format!("`{}`", difference.on))
        && difference.field.starts_with("address ")
        && unplaced(&difference.was) == unplaced(&difference.is)
}

/// Residues, one a line.
pub fn list(residue: &[Residue]) -> String {
    let line = |residue: &Residue| {
        let why = residue.failure.as_ref().map(|failure| format!("{:?}", failure.errno()));
        format!("\n{} was {} is {} {why:?}", residue.what, residue.was, residue.is)
    };
    residue.iter().map(line).collect()
}

fn tells(residue: &Residue, difference: &Difference) -> bool {
    let what = &residue.what;
    if let Some(field) = difference.field.strip_prefix("route ") {
        let (dst, rest) = field.split_once(' ').unwrap_or((field, ""));
        let table = rest.split(' ').nth(1).unwrap_or("");
        return tells_route(what, dst, table);
    }
    let fields: Vec<&str> = difference.field.split(' ').collect();
    match fields[..] {
        ["rule", _, priority] => return what.starts_with(&format!("rule {priority}:")),
        ["nexthop", id] => return what.starts_with(&format!("nexthop id {id} ")),
        // What was on an interface that is gone.
        ["interface"] if what.starts_with("neighbour ") => {
            return difference.is.is_empty() && what.contains(&format!(" dev {} ", difference.on));
        }
        ["neighbour" | "proxy", address] if what.starts_with("neighbour ") => {
            return what.starts_with(&format!("neighbour {address} "));
        }
        _ => {}
    }
    let named = what.contains(&format!("`{}`", difference.on))
        || what.contains(&format!("`if{}`", difference.index));
    if !named {
        return false;
    }
    if what.starts_with("interface ") {
        return true;
    }
    let words: Vec<&str> = difference.field.split(' ').collect();
    if what.starts_with("order of the addresses") || what.starts_with("label of address") {
        return words[0] == "address";
    }
    match words[0] {
        "name" => what.starts_with("ifname"),
        "mac" => what.starts_with("address of"),
        "alias" => what.starts_with("ifalias"),
        "altname" => what.starts_with(&format!("altname `{}`", words[1])),
        "address" => {
            what.starts_with(&format!("address {}", words[1].split('/').next().unwrap_or("")))
        }
        "flag" => what.starts_with("flag "),
        "option" | "port" => !what.starts_with("address ") && !what.starts_with("altname"),
        other => what.starts_with(other),
    }
}

/// `route unreachable default via 10.1.0.254 dev br0 table 100`
fn tells_route(what: &str, dst: &str, table: &str) -> bool {
    let Some(line) = what.strip_prefix("route ") else { return false };
    let words: Vec<&str> = line.split(' ').collect();
    let plain = dst.strip_suffix("/32").or(dst.strip_suffix("/128")).unwrap_or(dst);
    let default = matches!(dst, "0.0.0.0/0" | "::/0");
    let to = words
        .iter()
        .take(2)
        .any(|word| [dst, plain].contains(word) || default && *word == "default");
    let own = words.iter().position(|word| *word == "table").map_or("main", |at| words[at + 1]);
    to && (own == table || own == "main" && table == "254")
}

/// What a commit hook says that refuses.
pub fn hook_failure() -> Failure {
    Failure { step: "commit hook".to_owned(), why: Why::Hook("no".to_owned()) }
}
