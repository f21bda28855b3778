//! Loading: what a text in the words of `ip -json -details` describes is to be so.
//!
//! It is the way back to an earlier state, with the description over the present one as that state: what the text does
//! not say stays as it is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::load_keyed::{neighbour, nexthop, route, rule};
use super::{AddressSpec, Draft, Ensure, Refusal, Selection, bridge_vlans};
use crate::object::kinds::{KINDS, PORT_KINDS};
use crate::object::link::{LINK, LinkFlags, row};
use crate::object::parse::{Unread, read};
use crate::object::{AddressFlags, Named, Names, Record, Scope, Table, Tree, Value};
use crate::state::{Event, LinkEvent, Snapshot};

pub(super) type Entries = [(String, Tree)];

/// The lists of a description, in the order in which what is in them is named.
const LISTS: [&str; 5] = ["links", "nexthops", "neighbours", "routes", "rules"];

impl Draft {
    /// Names what makes everything be so that `tree` describes: a list of links with their addresses, or an object with
    /// the lists `links`, `nexthops`, `neighbours`, `routes`, `rules`.
    ///
    /// # Errors
    /// When a key is unknown or a value none of its values, with its place; when what is described cannot be.
    pub fn load(&mut self, tree: &Tree) -> Result<(), Refusal> {
        let lists = match tree {
            Tree::List(_) => vec![("links", tree)],
            Tree::Map(entries) if tree.key("ifname").is_none() => {
                entries.iter().map(|(key, tree)| (&**key, tree)).collect()
            }
            Tree::Map(_) => return self.load_links(&[tree]),
            other => return Err(bad("description", other, "a list or an object is expected")),
        };
        for (key, list) in &lists {
            if !LISTS.contains(key) {
                let why = format!("only {} are read", LISTS.join(", "));
                return Err(bad("key", &Tree::from(*key), &why));
            }
            if !matches!(list, Tree::List(_)) {
                return Err(bad("description", list, "a list is expected"));
            }
        }
        let of = |wanted: &str| {
            let lists = lists.iter().filter(|(key, _)| *key == wanted);
            lists.flat_map(|(_, list)| items(list)).collect::<Vec<_>>()
        };
        self.load_links(&of("links"))?;
        for (list, what) in LISTS.iter().zip(["link", "nexthop", "neighbour", "route", "rule"]) {
            for (at, tree) in of(list).into_iter().enumerate().filter(|_| *list != "links") {
                let spec = keyed(list, entries(tree, what)?);
                let spec = spec.map_err(|error| error.at(&format!("{list}[{at}]")))?;
                spec.map_or(Ok(()), |spec| self.ensure(spec))?;
            }
        }
        Ok(())
    }

    fn load_links(&mut self, links: &[&Tree]) -> Result<(), Refusal> {
        let base = self.base().clone();
        let described = Described::of(links, &base)?;
        let mut target = base.clone();
        let mut selection = Selection::nothing();
        for tree in links {
            let entries = entries(tree, "link")?;
            let name = text(tree.key("ifname")).unwrap_or_default();
            let index = described.0[name];
            let there = base.link_by_index(index).filter(|link| link.name() == name);
            let record = link(entries, there.map(|link| link.record()), &described, &base)
                .map_err(|error| error.at(name))?;
            let is = LinkEvent::Is(Box::new(record));
            target = target.saying(Event::Link(index, is));
            selection = selection.and_link(index);
        }
        if let Some(refusal) = self.revert_to(&target, &selection).into_iter().next() {
            return Err(refusal);
        }
        for tree in links {
            let name = text(tree.key("ifname")).unwrap_or_default();
            if let Some(all) = tree.key("vlans") {
                let all = bridge_vlans::read(all).map_err(|error| error.at(name))?;
                self.set_vlans(self.resolve(&name.into())?, &all)?;
            }
            for one in tree.key("addr_info").map(items).unwrap_or_default() {
                let spec = address(entries(one, "address")?)
                    .map_err(|error| error.at(&format!("{name}: addr_info")))?;
                if let Some(spec) = spec {
                    self.ensure(Ensure::address(name, spec).adopt())?;
                }
            }
        }
        Ok(())
    }
}

/// What an element of a list describes; `None` for what no program keeps.
fn keyed(list: &str, entries: &Entries) -> Result<Option<Ensure>, Wrong> {
    Ok(match list {
        "nexthops" => Some(Ensure::from(nexthop(entries)?).adopt()),
        "neighbours" => neighbour(entries)?.map(|spec| Ensure::from(spec).adopt()),
        "routes" => Some(Ensure::from(route(entries)?).adopt()),
        _ => Some(rule(entries)?.into()),
    })
}

/// What is wrong, before it is known where.
pub(super) struct Wrong(pub(super) Unread);

impl Wrong {
    pub(super) fn new(key: &str, why: impl Into<String>) -> Self {
        Wrong(Unread { key: key.to_owned(), why: why.into() })
    }

    fn at(self, place: &str) -> Refusal {
        Refusal::Invalid { what: "key", value: format!("{place}: {}", self.0.key), why: self.0.why }
    }
}

fn bad(what: &'static str, value: &Tree, why: &str) -> Refusal {
    Refusal::Invalid { what, value: value.to_string(), why: why.to_owned() }
}

pub(super) fn items(tree: &Tree) -> Vec<&Tree> {
    match tree {
        Tree::List(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

fn entries<'a>(tree: &'a Tree, what: &'static str) -> Result<&'a Entries, Refusal> {
    match tree {
        Tree::Map(entries) => Ok(entries),
        other => Err(bad(what, other, "an object is expected")),
    }
}

pub(super) fn text(tree: Option<&Tree>) -> Option<&str> {
    match tree {
        Some(Tree::Text(text)) => Some(text),
        _ => None,
    }
}

/// The indexes of what is described: its own where it is there, the one that it had where that is free.
struct Described(BTreeMap<String, u32>);

impl Described {
    fn of(links: &[&Tree], base: &Snapshot) -> Result<Self, Refusal> {
        let mut all = BTreeMap::new();
        let mut next = base.links().map(|link| link.index()).max().unwrap_or(0);
        for tree in links {
            let Some(name) = text(tree.key("ifname")) else {
                return Err(bad("link", tree, "it has no `ifname`"));
            };
            let had = match tree.key("ifindex") {
                Some(Tree::Number(index)) => u32::try_from(*index).ok(),
                _ => None,
            };
            let taken = |all: &BTreeMap<String, u32>, index| {
                base.link_by_index(index).is_some() || all.values().any(|own| *own == index)
            };
            let there = base.link_by_name(name).filter(|link| link.name() == name);
            let index = match (there, had.filter(|index| *index != 0 && !taken(&all, *index))) {
                (Some(link), _) => link.index(),
                (None, Some(index)) => index,
                (None, None) => {
                    next += 1;
                    while taken(&all, next) {
                        next += 1;
                    }
                    next
                }
            };
            all.insert(name.to_owned(), index);
        }
        Ok(Described(all))
    }
}

/// The names of what is there and of what is described.
struct Known<'a>(&'a Described, &'a Snapshot);

impl Names for Known<'_> {
    fn name_of(&self, index: u32) -> Option<&str> {
        let own = self.0.0.iter().find(|(_, own)| **own == index).map(|(name, _)| &**name);
        own.or_else(|| self.1.name_of(index))
    }
}

/// A link over what it is now.
fn link(
    entries: &Entries,
    is: Option<&Record>,
    described: &Described,
    base: &Snapshot,
) -> Result<Record, Wrong> {
    let names = Known(described, base);
    let indexes = |name: &str| {
        let own = described.0.get(name).copied();
        own.or_else(|| base.link_by_name(name).map(|link| link.index()))
    };
    let index_of = |key: &str, tree: &Tree| match text(Some(tree)) {
        Some(name) => {
            indexes(name).ok_or_else(|| Wrong::new(key, format!("there is no interface `{name}`")))
        }
        None => Err(Wrong::new(key, "the name of an interface is expected")),
    };
    let mut record = is.cloned().unwrap_or_else(|| Record::new(&LINK));
    let fresh = LinkFlags::BROADCAST.0 | LinkFlags::MULTICAST.0;
    if is.is_none() {
        record.set(row::FLAGS, Value::Number(fresh.into()));
    }
    let info = entries.iter().find(|(key, _)| key == "linkinfo");
    let kind = info.and_then(|(_, info)| text(info.key("info_kind")));
    if let Some(kind) = kind {
        let own = is.map(|is| is.value(row::KIND).and_then(Value::text).unwrap_or("none"));
        if let Some(own) = own.filter(|own| *own != kind) {
            return Err(Wrong::new("info_kind", format!("it is {own}, and {kind} is described")));
        }
        record.set(row::KIND, kind.into());
    }
    for (key, tree) in entries {
        match key.as_str() {
            "addr_info" | "vlans" | "linkmode_index" | "operstate" | "ifindex" | "link_type"
            | "link_pointtopoint" | "stats" | "stats64" | "link_index" => {}
            "ifname" => {
                let name = text(Some(tree)).unwrap_or_default();
                record.set(row::NAME, name.into());
                record.set(row::INDEX, Value::Number(described.0[name].into()));
            }
            "flags" => {
                let named: Vec<_> =
                    items(tree).into_iter().filter_map(|one| text(Some(one))).collect();
                let bits = LinkFlags::NAMES.iter().filter(|(_, name)| named.contains(name));
                let number = bits.fold(0, |all, (bit, _)| all | bit);
                record.set(row::FLAGS, Value::Number(number));
            }
            "master" => {
                record.set(row::MASTER, Value::Number(index_of(key, tree)?.into()));
            }
            "link" if *tree == Tree::Null => {}
            "link" => record.set(row::LINK, Value::Number(index_of(key, tree)?.into())),
            "linkinfo" => linkinfo(tree, &mut record, &names, &indexes)?,
            "address" | "broadcast" if is_end_of_tunnel(tree, &record) => {}
            _ => read(&LINK, key, tree, &names, &indexes, &mut record).map_err(Wrong)?,
        }
    }
    Ok(record)
}

/// The link-layer addresses of a tunnel of IP packets are those of its ends, printed as what they are: its options say them.
fn is_end_of_tunnel(tree: &Tree, record: &Record) -> bool {
    const TUNNELS: &[&str] = &["gre", "ip6gre", "ip6tnl", "ipip", "sit", "vti", "vti6"];
    let kind = record.value(row::KIND).and_then(Value::text);
    kind.is_some_and(|kind| TUNNELS.contains(&kind))
        && text(Some(tree)).is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

fn linkinfo(
    info: &Tree,
    record: &mut Record,
    names: &dyn Names,
    indexes: &dyn Fn(&str) -> Option<u32>,
) -> Result<(), Wrong> {
    let Tree::Map(entries) = info else {
        return Err(Wrong::new("linkinfo", "an object is expected"));
    };
    for (key, tree) in entries {
        let kind = record.value(row::KIND).and_then(Value::text).unwrap_or_default();
        let (id, table) = match key.as_str() {
            "info_kind" | "info_slave_kind" | "info_xstats" => continue,
            "info_data" => {
                let table = KINDS.iter().find(|(own, _)| *own == kind).map(|(_, table)| *table);
                let why = || Wrong::new(key, format!("options of a {kind} are not known"));
                (row::DATA, table.ok_or_else(why)?)
            }
            "info_slave_data" => (row::PORT, port_table(info, record)?),
            _ => return Err(Wrong::new(key, "no such key of linkinfo")),
        };
        let Tree::Map(options) = tree else {
            return Err(Wrong::new(key, "an object is expected"));
        };
        let is = record.value(id).and_then(Value::nested).filter(|is| is.table() == table);
        let mut own = is.cloned().unwrap_or_else(|| Record::new(table));
        for (key, tree) in options {
            read(table, key, tree, names, indexes, &mut own).map_err(Wrong)?;
        }
        if !own.is_empty() {
            record.set(id, Value::Nested(Box::new(own)));
        }
    }
    Ok(())
}

/// The options that it has as a port: by the kind of its master, described or as it is; a bridge's where nobody says.
fn port_table(info: &Tree, record: &Record) -> Result<&'static Table, Wrong> {
    let kind = match info.key("info_slave_kind") {
        Some(Tree::Text(kind)) => kind.as_ref(),
        _ => record.value(row::PORT_KIND).and_then(Value::text).unwrap_or("bridge"),
    };
    let table = PORT_KINDS.iter().find(|(own, _)| *own == kind).map(|(_, table)| *table);
    let why =
        || Wrong::new("info_slave_data", format!("options of a port of a {kind} are not known"));
    table.ok_or_else(why)
}

/// `None` for one that the kernel makes by itself.
fn address(entries: &Entries) -> Result<Option<AddressSpec>, Wrong> {
    let tree = Tree::Map(entries.to_vec());
    let number = |key: &str| match tree.key(key) {
        Some(Tree::Number(number)) => Some(*number as u32),
        _ => None,
    };
    let wrong = |key: &str| Wrong::new(key, "it cannot be so");
    let local = text(tree.key("local")).and_then(|local| local.parse().ok());
    let length = number("prefixlen").and_then(|length| u8::try_from(length).ok());
    let (Some(local), Some(length)) = (local, length) else {
        return Err(Wrong::new("local", "`local` and `prefixlen` are expected"));
    };
    let mut spec =
        AddressSpec::new(local, length).map_err(|e| Wrong::new("local", e.to_string()))?;
    let mut flags = AddressFlags(0);
    let mut by_kernel = false;
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("family" | "local" | "prefixlen" | "valid_life_time" | "preferred_life_time", _) => {}
            ("address", Tree::Text(peer)) => {
                let peer = peer.parse().map_err(|_| wrong(key))?;
                spec = spec.peer(peer).map_err(|error| Wrong::new(key, error.to_string()))?;
            }
            ("broadcast", Tree::Text(text)) => {
                spec = spec.broadcast(text.parse().map_err(|_| wrong(key))?);
            }
            ("label", Tree::Text(text)) => spec = spec.label(text),
            ("metric", Tree::Number(metric)) => spec = spec.priority(*metric as u32),
            ("scope", Tree::Text(name)) => {
                let found = Scope::NAMES.iter().find(|(_, own)| own == name).map(|(n, _)| *n);
                let number = found.or_else(|| name.parse().ok()).ok_or_else(|| wrong(key))?;
                spec = spec.scope(Scope(number as u8));
            }
            ("protocol", Tree::Text(name)) => by_kernel = name.starts_with("kernel"),
            ("protocol", Tree::Number(number)) => spec = spec.proto(*number as u8),
            (
                "permanent" | "dynamic" | "tentative" | "secondary" | "deprecated" | "temporary"
                | "dadfailed" | "stable-privacy",
                _,
            ) => {}
            (_, Tree::Bool(true)) => {
                let bit = AddressFlags::NAMES.iter().find(|(_, name)| name == key);
                let (bit, _) = bit.ok_or_else(|| Wrong::new(key, "no such key of an address"))?;
                flags = flags | AddressFlags(*bit as u32);
            }
            _ => return Err(Wrong::new(key, "no such key of an address")),
        }
    }
    if flags.0 != 0 {
        spec = spec.flags(flags);
    }
    let forever = u32::MAX;
    let times = (number("preferred_life_time"), number("valid_life_time"));
    if let (Some(preferred), Some(valid)) = times {
        if (preferred, valid) != (forever, forever) {
            spec = spec.lifetimes(preferred, valid);
        }
    }
    Ok((!by_kernel).then_some(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(kind: &str, address: &str) -> Result<(), Refusal> {
        let entry = |key: &str, tree| (key.to_owned(), tree);
        let info = Tree::Map(vec![entry("info_kind", Tree::from(kind))]);
        let link = Tree::Map(vec![
            entry("ifname", Tree::from("x0")),
            entry("address", Tree::from(address)),
            entry("linkinfo", info),
        ]);
        Draft::new(Snapshot::default(), 0).load(&link)
    }

    /// `ip` prints that of `gre0` as 0.0.0.0.
    #[test]
    fn the_ends_of_a_tunnel_are_no_link_layer_addresses_to_be_set() {
        loaded("gre", "0.0.0.0").unwrap();
        loaded("ip6tnl", "fd00::1").unwrap();
        loaded("dummy", "02:00:00:00:00:01").unwrap();
        assert!(loaded("dummy", "0.0.0.0").is_err());
        assert!(loaded("gre", "nowhere").is_err());
    }
}
