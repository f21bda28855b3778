//! How the rows of a route are shown: as `ip -json -details route show table all` shows them.

use super::super::encap::{labels_text, show_encap};
use super::super::shape::{Labels, Named, Typed};
use super::super::{Names, Record, Tree, Value};
use super::{AF_MPLS, RouteFlags, RouteProtocol, RouteScope, USER_HZ, hop_row, row};

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn push(object: Object<'_>, key: &str, tree: impl Into<Tree>) {
    object.push((key.to_owned(), tree.into()));
}

fn number(value: &Value) -> u64 {
    value.number().unwrap_or(0)
}

/// Bits of a whole address.
fn most(family: u64) -> u64 {
    match family {
        2 => 32,
        10 => 128,
        28 => 20,
        _ => u64::MAX,
    }
}

fn prefix(record: &Record, address: u16, length: u64) -> Option<String> {
    let family = record.number(row::FAMILY);
    let address = match record.value(address)? {
        Value::V4(entry) if family == u64::from(AF_MPLS) => (entry.to_bits() >> 12).to_string(),
        address => address.to_string(),
    };
    Some(if length == most(family) { address } else { format!("{address}/{length}") })
}

pub fn destination(length: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let length = number(length);
    let none = || if length == 0 { "default".to_owned() } else { format!("0/{length}") };
    push(object, "dst", prefix(record, row::DST, length).unwrap_or_else(none));
}

pub fn source(length: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let length = number(length);
    match prefix(record, row::SRC, length) {
        Some(text) => push(object, "from", text),
        None if length != 0 => push(object, "from", format!("0/{length}")),
        None => {}
    }
}

pub fn new_labels(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "to", labels_text(Labels::read(value).unwrap_or_default()));
}

pub fn encap(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    show_encap(record.number(row::ENCAP_TYPE), value, names, object);
}

pub fn hop_encap(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    show_encap(record.number(hop_row::ENCAP_TYPE), value, names, object);
}

/// The names of `/etc/iproute2/rt_dsfield`.
pub const DSFIELDS: &[(u64, &str)] = &[
    (0x28, "AF11"),
    (0x30, "AF12"),
    (0x38, "AF13"),
    (0x48, "AF21"),
    (0x50, "AF22"),
    (0x58, "AF23"),
    (0x68, "AF31"),
    (0x70, "AF32"),
    (0x78, "AF33"),
    (0x88, "AF41"),
    (0x90, "AF42"),
    (0x98, "AF43"),
    (0x20, "CS1"),
    (0x40, "CS2"),
    (0x60, "CS3"),
    (0x80, "CS4"),
    (0xa0, "CS5"),
    (0xc0, "CS6"),
    (0xe0, "CS7"),
    (0xb8, "EF"),
];

/// A type of service as `ip` writes it.
pub fn tos_text(tos: u64) -> String {
    let name = DSFIELDS.iter().find(|(number, _)| *number == tos);
    name.map_or_else(|| format!("{tos:#04x}"), |(_, name)| (*name).to_owned())
}

pub fn tos(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != 0 {
        push(object, "tos", tos_text(number(value)));
    }
}

pub fn via(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let (family, host) = match value {
        Value::V4(_) => ("inet".to_owned(), value.to_string()),
        Value::V6(_) => ("inet6".to_owned(), value.to_string()),
        Value::Bytes(bytes) => via_bytes(bytes),
        _ => return,
    };
    let inside = [("family", family), ("host", host)];
    let inside = inside.into_iter().map(|(key, text)| (key.to_owned(), Tree::Text(text)));
    push(object, "via", Tree::Map(inside.collect()));
}

/// A gateway that is no IP address: `AF_PACKET`, by its link-layer address.
fn via_bytes(bytes: &[u8]) -> (String, String) {
    let family = crate::wire::ne_u16(bytes).unwrap_or(0);
    let host = crate::wire::HardwareAddress::new(bytes.get(2..).unwrap_or_default());
    let family = if family == 17 { "link".to_owned() } else { family.to_string() };
    (family, host.map(|host| host.to_string()).unwrap_or_default())
}

/// The name of a table, as `/etc/iproute2/rt_tables` has it; else its number.
pub fn table_text(table: u64) -> String {
    match table {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        number => number.to_string(),
    }
}

/// What is in the routing cache is in no table.
fn cached(record: &Record) -> bool {
    record.number(row::FLAGS) & u64::from(RouteFlags::CLONED.0) != 0
}

pub fn table(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if !cached(record) {
        push(object, "table", table_text(number(value)));
    }
}

pub fn protocol(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if !cached(record) {
        push(object, "protocol", RouteProtocol::from_number(number(value)).to_string());
    }
}

pub fn scope(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if !cached(record) {
        push(object, "scope", RouteScope::from_number(number(value)).to_string());
    }
}

pub fn flags(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let flags = RouteFlags::from_number(number(value));
    push(object, "flags", Tree::List(flags.names().map(Tree::from).collect()));
}

pub fn realms(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let (from, to) = (number(value) >> 16, number(value) & 0xffff);
    let mut inside = Vec::new();
    if from != 0 {
        push(&mut inside, "from", realm(from));
    }
    push(&mut inside, "to", realm(to));
    push(object, "flow", Tree::Map(inside));
}

/// `/etc/iproute2/rt_realms` names 0 only.
fn realm(number: u64) -> String {
    if number == 0 { "cosmos".to_owned() } else { number.to_string() }
}

pub fn cache_info(value: &Value, _: &Record, names: &dyn Names, object: Object<'_>) {
    object.extend(value.nested().map(|info| info.tree(names)).unwrap_or_default());
}

pub fn expires(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let Value::Signed(ticks) = value else { return };
    if *ticks != 0 {
        let seconds = ticks / i64::from(USER_HZ);
        let tree = u64::try_from(seconds).map_or(Tree::Signed(seconds), Tree::Number);
        push(object, "expires", tree);
    }
}

/// A list with one object in it.
pub fn metrics(value: &Value, _: &Record, names: &dyn Names, object: Object<'_>) {
    let inside = value.nested().map(|metrics| metrics.tree(names)).unwrap_or_default();
    push(object, "metrics", Tree::List(vec![Tree::Map(inside)]));
}

pub fn rtt(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "rtt", Tree::Number(number(value) / 8));
}

pub fn rttvar(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "rttvar", Tree::Number(number(value) / 4));
}

pub fn hop_limit(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != u64::from(u32::MAX) {
        push(object, "hoplimit", Tree::Number(number(value)));
    }
}

pub fn features(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let all = number(value);
    if all & 1 != 0 {
        push(object, "ecn", Tree::Null);
    }
    if all & !1 != 0 {
        push(object, "features", format!("{all:#x}"));
    }
}

pub fn is_mpls(record: &Record) -> bool {
    record.table() == &super::ROUTE && record.number(row::FAMILY) == u64::from(AF_MPLS)
}

/// The legs. Packets of an MPLS route are not spread by weight; `ip` says none there.
pub fn legs(value: &Value, record: &Record, names: &dyn Names, object: Object<'_>) {
    let leg = |hop: &Record| {
        let mut inside = hop.tree(names);
        inside.retain(|(key, _)| key != "weight" || !is_mpls(record));
        Tree::Map(inside)
    };
    push(object, "nexthops", Tree::List(value.records().iter().map(leg).collect()));
}

pub fn weight(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    push(object, "weight", Tree::Number(number(value) + 1));
}
