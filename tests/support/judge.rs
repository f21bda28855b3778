//! The judge of a whole database: at rest, its snapshot is what a second, fresh database has read, and what
//! iproute2 prints.

use super::oracle::{compare_addresses, compare_links, to_json};
use super::{bridge_json, ip_json};
use netlinkdb::internals::object::kinds::KINDS;
use netlinkdb::internals::object::{Row, Silent, TABLES, Table};
use netlinkdb::{AddressKey, Db, FieldChange, Link, Object, Snapshot};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longer than duplicate address detection (up to 2 s) and a look at the carrier (up to 1 s) take on any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a comparison is repeated because the kernel changed something while it was made.
const ATTEMPTS: usize = 100;

/// Syncs, waits for what comes late by its nature (DAD, carrier), and requires the snapshot to equal a fresh second
/// database, apart from the rows that the kernel is documented to change in silence, and the fresh one to equal
/// `ip -json -details` without any exception.
#[track_caller]
pub fn quiesce_and_compare(db: &Db) -> Snapshot {
    compare(db, Extent::All, Db::sync, |found| !found.silent)
}

/// The same after a [`Db::refresh`] or [`Db::resync`]: then no row is excepted.
#[track_caller]
pub fn compare_to_the_last_row(db: &Db) -> Snapshot {
    compare(db, Extent::All, Db::sync, |_| true)
}

/// After a [`Db::resync`], repeated while the kernel changes something: then no row is excepted.
#[track_caller]
pub fn resync_and_compare(db: &Db) -> Snapshot {
    compare(db, Extent::All, Db::resync, |_| true)
}

/// As [`quiesce_and_compare`], for a database that was opened without addresses.
#[track_caller]
pub fn quiesce_and_compare_links(db: &Db) -> Snapshot {
    compare(db, Extent::Links, Db::sync, |found| !found.silent)
}

/// As [`quiesce_and_compare`], where there are kinds whose options iproute2 prints and this crate keeps raw.
#[track_caller]
pub fn quiesce_and_compare_raw(db: &Db) -> Snapshot {
    compare(db, Extent::Fresh, Db::sync, |found| !found.silent)
}

#[derive(Clone, Copy, PartialEq)]
enum Extent {
    All,
    /// The database was opened without addresses.
    Links,
    /// Only with the fresh database, not with iproute2.
    Fresh,
}

#[track_caller]
fn compare(
    db: &Db,
    extent: Extent,
    look: impl Fn(&Db) -> netlinkdb::Result<Snapshot>,
    counts: impl Fn(&Difference) -> bool,
) -> Snapshot {
    for _ in 0..ATTEMPTS {
        settle(db);
        let before = fresh();
        let ours = look(db).expect("a fence");
        let theirs = [ip_json(&["link", "show"]), ip_json(&["address", "show"])];
        let vlans = vlans_of_bridges(&ours);
        let after = fresh();
        ours.check();
        // What moved while it was looked at cannot be compared.
        let moving = !others_that_differ(&before, &after).is_empty();
        if moving || !differences(&before, &after, true).is_empty() {
            continue;
        }
        let found = differences(&ours, &after, extent != Extent::Links);
        let bad: Vec<_> = found.iter().filter(|found| counts(found)).collect();
        let others = others_that_differ(&ours, &after);
        if bad.is_empty() && others.is_empty() {
            if let Some(vlans) = &vlans {
                assert_eq!(&plain_vlans(&to_json(&ours.vlans_tree())), vlans, "`bridge vlan show`");
            }
            if extent != Extent::Fresh {
                compare_with_ip(&after, &theirs, &BTreeSet::new());
            }
            if extent == Extent::All {
                compare_with_ip(&ours, &theirs, &silent_keys());
            }
            return ours;
        }
        let now = db.sync().expect("a fence");
        let moved = now.revision() != ours.revision();
        if moved
            || others.is_empty() && bad.iter().all(|found| found.late) && next_revision(db, &now)
        {
            continue;
        }
        let bad: Vec<_> =
            bad.iter().map(|found| &*found.text).chain(others.iter().map(|r| &**r)).collect();
        panic!("the snapshot is not what a fresh database has read:\n{}", bad.join("\n"));
    }
    panic!("the kernel does not come to rest");
}

/// What `bridge -json vlan show` prints, where there are bridges and that command.
fn vlans_of_bridges(now: &Snapshot) -> Option<Value> {
    let is_bridge = |link: &Link| link.kind() == Some("bridge");
    let list = now.links().any(is_bridge).then(|| bridge_json(&["vlan", "show"]))?;
    list.as_ref().map(plain_vlans)
}

/// As `bridge -json vlan show` of any version prints: by name, without interfaces that have none.
pub fn plain_vlans(list: &Value) -> Value {
    let mut interfaces: Vec<Value> = list.as_array().cloned().unwrap_or_default();
    interfaces.retain(|one| one.as_object().is_some_and(|one| !one.is_empty()));
    let lists = interfaces.iter_mut().filter_map(|one| one.get_mut("vlans")?.as_array_mut());
    for vlan in lists.flatten() {
        let Some(vlan) = vlan.as_object_mut() else { continue };
        if vlan.get("flags").is_some_and(|flags| flags.as_array().is_some_and(Vec::is_empty)) {
            vlan.remove("flags");
        }
    }
    interfaces.sort_by_key(|one| one["ifname"].to_string());
    interfaces.into()
}

/// Routes, rules, nexthop objects and VLANs in which they differ, as far as the first was opened with them.
pub fn others_that_differ(ours: &Snapshot, theirs: &Snapshot) -> Vec<String> {
    let of_other = |object: Option<&Object>| match object {
        Some(Object::Route(_)) => !ours.routes().all().is_empty(),
        Some(Object::Rule(_)) => ours.follows_rules(),
        Some(Object::Nexthop(_)) => ours.follows_nexthops(),
        _ => false,
    };
    let diff = ours.diff(theirs);
    let others = diff.changes().iter().filter(|c| of_other(c.before()) || of_other(c.after()));
    others.map(ToString::to_string).chain(vlans_that_differ(ours, theirs)).collect()
}

/// Generations of interfaces, by which a difference goes, are each database's own.
fn vlans_that_differ(ours: &Snapshot, theirs: &Snapshot) -> Vec<String> {
    let all = |of: &Snapshot| -> BTreeSet<(u32, String)> {
        let vlans = of.links().flat_map(|link| of.vlans_of(link.index()));
        vlans.map(|vlan| (vlan.index(), vlan.to_string())).collect()
    };
    let (ours, theirs) = (all(ours), all(theirs));
    let differ = ours.symmetric_difference(&theirs);
    let words = |(index, vlan): &(u32, String)| {
        let whose =
            if ours.contains(&(*index, vlan.clone())) { "only we have it" } else { "missing" };
        format!("VLAN {vlan} of interface {index}: {whose}")
    };
    differ.map(words).collect()
}

/// A database opened for this look alone.
pub fn fresh() -> Snapshot {
    Db::open().expect("a second database").snapshot()
}

/// Waits until no address is tentative that will not stay so, and gives up where one does.
#[track_caller]
pub fn settle(db: &Db) {
    db.sync().expect("a fence");
    let settled = db.wait_until(PATIENCE, is_settled).expect("a database that follows");
    assert!(settled.is_some(), "duplicate address detection does not end:\n{}", db.snapshot());
}

/// Whether duplicate address detection has ended wherever it runs.
pub fn is_settled(now: &Snapshot) -> bool {
    let running = |index| {
        now.link_by_index(index).is_some_and(|link| {
            let flags = link.flags();
            use netlinkdb::LinkFlags as F;
            flags.contains(F::UP) && flags.contains(F::LOWER_UP) && flags.contains(F::RUNNING)
        })
    };
    now.addresses().all(|a| !a.is_tentative() || a.is_duplicate() || !running(a.index()))
}

/// The carrier is looked at once a second; its notification brings a new revision.
fn next_revision(db: &Db, now: &Snapshot) -> bool {
    let newer = |snapshot: &Snapshot| snapshot.revision() > now.revision();
    db.wait_until(PATIENCE, newer).expect("a database that follows").is_some()
}

/// One thing in which two snapshots differ.
#[derive(Debug)]
pub struct Difference {
    /// What.
    pub text: String,
    /// The kernel is documented to change this in silence.
    pub silent: bool,
    /// The kernel announces this, but later: the carrier.
    pub late: bool,
}

impl Difference {
    fn hard(text: String) -> Difference {
        Difference { text, silent: false, late: false }
    }
}

/// Everything compared in which two snapshots of two databases differ. Generations and counters are not compared.
pub fn differences(ours: &Snapshot, theirs: &Snapshot, addresses: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    let links = |of: &Snapshot| of.links().map(Link::index).collect::<BTreeSet<_>>();
    for index in links(ours).symmetric_difference(&links(theirs)) {
        let here = ours.link_by_index(*index).is_some();
        let text = format!("link {index}: {}", if here { "only we have it" } else { "missing" });
        found.push(Difference::hard(text));
    }
    for link in theirs.links() {
        if let Some(our) = ours.link_by_index(link.index()) {
            let up = our.is_up() && link.is_up();
            let changes = our.record().changes(link.record());
            found.extend(changes.into_iter().map(|change| {
                let late = is_late(&change);
                let silent = is_silent(&change, up);
                Difference { text: format!("link {}: {change}", link.name()), silent, late }
            }));
        }
        for name in std::iter::once(link.name()).chain(link.altnames().iter().map(|n| &**n)) {
            let meant = |of: &Snapshot| of.link(name).map(Link::index);
            // Names themselves are compared as rows; this is the index of names.
            if meant(ours) != meant(theirs) && ours.links().any(|l| l.name() == name) {
                found.push(Difference::hard(format!("the name {name} means {:?}", meant(ours))));
            }
        }
        let ports = |of: &Snapshot| of.ports_of(link.index()).map(Link::index).collect::<Vec<_>>();
        if ports(ours) != ports(theirs) {
            found.push(Difference::hard(format!("ports of {}: {:?}", link.name(), ports(ours))));
        }
    }
    if addresses {
        address_differences(ours, theirs, &mut found);
    }
    found
}

fn address_differences(ours: &Snapshot, theirs: &Snapshot, found: &mut Vec<Difference>) {
    let all = |of: &Snapshot| -> BTreeMap<AddressKey, netlinkdb::Address> {
        of.addresses().filter_map(|a| Some((AddressKey::of(a)?, a.clone()))).collect()
    };
    let (our, their) = (all(ours), all(theirs));
    for (key, address) in &their {
        match our.get(key) {
            // IPv6 announces from a work queue: the kernel's own link-local address when its DAD has ended.
            None => found.push(Difference {
                late: address.local().is_ipv6(),
                ..Difference::hard(format!("address {address}: missing"))
            }),
            Some(own) => {
                let changes = own.record().changes(address.record());
                found.extend(changes.into_iter().map(|change| Difference {
                    late: address.local().is_ipv6() && own.is_tentative(),
                    ..Difference::hard(format!("address {address}: {change}"))
                }));
            }
        }
    }
    for (_, address) in our.iter().filter(|(key, _)| !their.contains_key(key)) {
        found.push(Difference::hard(format!("address {address}: only we have it")));
    }
    for link in theirs.links() {
        let order = |of: &Snapshot| ipv4_order(of, link.index());
        if order(ours) != order(theirs) {
            let (ours, theirs) = (order(ours), order(theirs));
            let text = format!("IPv4 order of {}: {ours:?}, fresh {theirs:?}", link.name());
            found.push(Difference::hard(text));
        }
    }
}

/// The IPv4 addresses of an interface in the snapshot's order.
pub fn ipv4_order(of: &Snapshot, index: u32) -> Vec<String> {
    let all = of.addresses_of(index).into_iter().filter(|a| a.local().is_ipv4());
    all.map(netlinkdb::Address::prefix).collect()
}

fn is_late(change: &FieldChange) -> bool {
    const CARRIER: u64 = 0x10000 | 0x40 | 0x20000;
    let number = |value: &Option<netlinkdb::internals::object::Value>| {
        value.as_ref().and_then(|value| value.number()).unwrap_or(0)
    };
    match (change.table, change.name) {
        ("link", "flags") => (number(&change.before) ^ number(&change.after)) & !CARRIER == 0,
        ("link", "operstate" | "carrier") => true,
        // A port is given its state when its carrier is looked at.
        ("bridge_port", "state") => true,
        _ => false,
    }
}

fn is_silent(change: &FieldChange, up: bool) -> bool {
    let row = tables().into_iter().find(|table| table.name == change.table);
    let row = row.and_then(|table| table.row(change.name));
    match row.map_or(Silent::Never, |(_, row)| row.silent) {
        Silent::Always => true,
        Silent::WhileDown => !up,
        Silent::Never => false,
    }
}

fn tables() -> Vec<&'static Table> {
    TABLES.to_vec()
}

/// Keys of `ip -json` that a database may have as they were, for want of a notification.
fn silent_keys() -> BTreeSet<&'static str> {
    let rows = tables().into_iter().flat_map(|table: &'static Table| table.rows.iter());
    let silent = rows.filter(|row: &&Row| row.silent != Silent::Never).map(|row| row.name);
    silent.chain(["encap", "link_index", "inet6_addr_gen_mode", "altnames", "max_age"]).collect()
}

#[track_caller]
fn compare_with_ip(snapshot: &Snapshot, theirs: &[Value; 2], except: &BTreeSet<&str>) {
    let ours = to_json(&snapshot.tree());
    let [links, addresses] = theirs.each_ref().map(|list| list.as_array().expect("a list"));
    let links: Vec<Value> = links.iter().map(without_foreign_options).collect();
    let bare: Vec<Value> = ours.as_array().expect("a list").iter().map(without_addresses).collect();
    let mut found = compare_links(&bare, &links);
    for link in addresses.iter().filter(|link| link["ifindex"].is_number()) {
        let name = &link["ifname"];
        let own = ours.as_array().into_iter().flatten().find(|o| o["ifindex"] == link["ifindex"]);
        let Some(own) = own else { continue };
        let list = |of: &Value| of["addr_info"].as_array().expect("a list").clone();
        let differ = compare_addresses(&list(own), &list(link));
        found.extend(differ.into_iter().map(|text| format!("{name}: address {text}")));
        if ipv4(&list(own)) != ipv4(&list(link)) {
            let (ours, theirs) = (ipv4(&list(own)), ipv4(&list(link)));
            found.push(format!("{name}: IPv4 order: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    found.retain(|text| !is_excepted(text, except));
    assert!(found.is_empty(), "not what `ip` prints:\n{}", found.join("\n"));
}

/// `NAME: path.of.keys: ours ..., theirs ...`: whether the last key is one of these.
fn is_excepted(text: &str, except: &BTreeSet<&str>) -> bool {
    let mut parts = text.split(": ");
    let path = parts.nth(1).unwrap_or_default();
    path.split('.').any(|key| except.contains(key))
}

/// Without the options of kinds that this crate keeps raw. Such links are in every namespace where a module makes
/// them: `tunl0`, `sit0` and their like.
fn without_foreign_options(link: &Value) -> Value {
    let mut link = link.clone();
    if let Some(info) = link.get_mut("linkinfo").and_then(Value::as_object_mut) {
        for (kind, data) in [("info_kind", "info_data"), ("info_slave_kind", "info_slave_data")] {
            let known = info.get(kind).and_then(Value::as_str).is_some_and(is_known);
            if !known {
                info.remove(data);
            }
        }
    }
    link
}

fn is_known(kind: &str) -> bool {
    kind == "ifb" || KINDS.iter().any(|(own, _)| *own == kind)
}

fn without_addresses(link: &Value) -> Value {
    let mut link = link.clone();
    link.as_object_mut().map(|link| link.remove("addr_info"));
    link
}

fn ipv4(list: &[Value]) -> Vec<String> {
    let all = list.iter().filter(|address| address["family"] == "inet");
    all.map(|a| format!("{} {} {}", a["local"], a["address"], a["prefixlen"])).collect()
}
