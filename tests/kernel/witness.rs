//! A whole namespace as a database reads it that is opened for this look alone: quicker than `ip`, so that thousands of
//! transactions can be judged in one boot. What `ip` says of the same is what `scene` and `support::judge` compare.

use crate::support::judge::{Difference, differences, fresh, is_settled, others_that_differ};
use crate::support::namespaces::with_capabilities;
use crate::support::{kind_available, sysctl};
use netlinkdb::internals::object::{Role, TABLES};
use netlinkdb::{
    AddressKey, BondMode, CommitError, Committed, Db, FieldChange, Link, Object, Result, Route,
    RouteType, Snapshot, Transaction, Vrf,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The kernel looks at the carrier once a second; a busy machine is given its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// From now on this namespace does nothing of its own: no duplicate address detection, no link-local addresses.
pub fn quiet() {
    for which in ["all", "default"] {
        sysctl(&format!("ipv6.conf.{which}.accept_dad"), 0);
        sysctl(&format!("ipv6.conf.{which}.router_solicitations"), 0);
    }
    sysctl("ipv6.conf.default.addr_gen_mode", 1);
    sysctl("ipv6.conf.all.addr_gen_mode", 1);
    // With the first VRF of a namespace come rules that stay (`vrf_newlink`).
    if kind_available("vrf") {
        let db = Db::open().expect("a database");
        let mut tx = db.begin();
        tx.create(Vrf::new("vrf0", 10)).expect("a free name");
        tx.commit().expect("a VRF");
        let mut tx = db.begin();
        tx.remove("vrf0").expect("the VRF");
        tx.commit().expect("no VRF");
    }
}

/// P1: the snapshot is what a new database reads.
#[track_caller]
pub fn is_the_kernel(db: &Db) -> Snapshot {
    let mut seen = fresh();
    let found = at_last(|| {
        let ours = db.sync().expect("a snapshot");
        seen = fresh();
        ours.check();
        let kept = |found: &Difference| !found.silent && !found.late;
        let all = differences(&ours, &seen, true);
        let texts = all.into_iter().filter(kept).map(|found| found.text);
        // The kernel adds the routes of an address when it has it.
        let waits = (!is_settled(&seen)).then(|| "an address that stays tentative".to_owned());
        let lacks = (!is_routed(&seen)).then(|| "an address that has no local route".to_owned());
        texts.chain(others_that_differ(&ours, &seen)).chain(waits).chain(lacks).collect()
    });
    assert!(found.is_empty(), "the snapshot is not the kernel:\n{}", found.join("\n"));
    seen
}

/// Whether each IPv6 address has its local route, which a work queue makes: in a [`quiet`] namespace without a carrier too.
fn is_routed(now: &Snapshot) -> bool {
    let is_up = |index| now.link_by_index(index).is_some_and(Link::is_up);
    let routes = now.routes().all();
    let local = routes.iter().filter(|route| route.kind() == RouteType::LOCAL);
    let local: BTreeSet<_> = local.filter_map(|route| Some(route.destination()?.addr())).collect();
    let mut inet6 = now.addresses().filter(|own| own.local().is_ipv6());
    inet6.all(|own| !is_up(own.index()) || local.contains(&own.local()))
}

/// P2 and P3: nothing is left of what has failed, and nothing is missing. Everything is compared that somebody can set.
#[track_caller]
pub fn is_as_before(was: &Snapshot) {
    let found = at_last(|| not_as_before(was, &fresh()));
    assert!(found.is_empty(), "not as before:\n{}", found.join("\n"));
}

/// What is wrong, if it is still so when what comes late has come.
fn at_last(mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = look();
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn not_as_before(was: &Snapshot, now: &Snapshot) -> Vec<String> {
    let mut found = Vec::new();
    for link in was.links() {
        match now.link_by_index(link.index()) {
            None => found.push(format!("- {link}")),
            Some(new) => {
                let changes = link.record().changes(new.record()).into_iter();
                let changes = changes.filter(|change| is_ours(change) && !is_nobodys(change));
                found.extend(changes.map(|change| format!("{}: {change}", link.name())));
            }
        }
    }
    let is_new = |index: u32| was.link_by_index(index).is_none();
    found.extend(now.links().filter(|link| is_new(link.index())).map(|link| format!("+ {link}")));
    addresses(was, now, &mut found);
    let diff = was.diff(now);
    let ours = |object: Option<&Object>| match object {
        Some(Object::Route(route)) => !is_for_groups(route),
        Some(Object::Rule(_) | Object::Nexthop(_)) => true,
        _ => false,
    };
    let others = diff.changes().iter().filter(|c| ours(c.before().or(c.after())));
    found.extend(others.map(ToString::to_string));
    found
}

fn addresses(was: &Snapshot, now: &Snapshot, found: &mut Vec<String>) {
    let missing = |of: &Snapshot, than: &Snapshot, sign: &str| -> Vec<String> {
        let lacks = |key: Option<AddressKey>| key.is_some_and(|key| than.address(&key).is_none());
        let all = of.addresses().filter(|address| lacks(AddressKey::of(address)));
        all.map(|address| format!("{sign} {address} of {}", address.index())).collect()
    };
    found.extend(missing(was, now, "-"));
    found.extend(missing(now, was, "+"));
    for address in was.addresses() {
        let new = AddressKey::of(address).and_then(|key| now.address(&key));
        let Some(new) = new.filter(|_| !address.is_tentative()) else { continue };
        let changes = address.record().changes(new.record()).into_iter();
        let kept = changes.filter(|change| !(change.name == "flags" && new.is_tentative()));
        found.extend(kept.map(|change| format!("{address}: {change}")));
    }
}

/// The kernel adds these to an interface when it has a carrier.
fn is_for_groups(route: &Route) -> bool {
    route.destination().is_some_and(|to| to.addr().is_multicast())
}

/// Whether it can be set, and nobody but those who set it changes it.
fn is_ours(change: &FieldChange) -> bool {
    // A bridge takes the least of these from its ports, and nobody can give it back. The others run by themselves.
    const FOREIGN: &[&str] = &["gso_max_size", "gso_max_segs", "active_slave", "state"];
    const CARRIER: u64 = 0x10000 | 0x40 | 0x20000;
    let row = TABLES.iter().find(|table| table.name == change.table);
    let row = row.and_then(|table| table.row(change.name));
    let number = |value: &Option<netlinkdb::internals::object::Value>| {
        value.as_ref().and_then(|value| value.number()).unwrap_or(0)
    };
    match (change.table, change.name) {
        ("link", "flags") => (number(&change.before) ^ number(&change.after)) & !CARRIER != 0,
        (_, name) if FOREIGN.contains(&name) => false,
        _ => row.is_none_or(|(_, row)| matches!(row.role, Role::Set | Role::Create)),
    }
}

/// The hardware address that a bridge has when its last port has left: when it is made again it gets one by chance.
fn is_nobodys(change: &FieldChange) -> bool {
    let was = change.before.as_ref().map(ToString::to_string);
    change.name == "address" && was.as_deref() == Some("00:00:00:00:00:00")
}

/// Commits while the kernel refuses every request of the lot after so many answers; `None` refuses none.
pub fn commit_refused_at(
    db: &Db,
    mut tx: Transaction,
    lot: Option<u32>,
) -> std::result::Result<Committed, CommitError> {
    let answered = Arc::new(AtomicU32::new(0));
    // On this thread: without its capabilities the requests of one lot are refused, and the next ones are not.
    tx.on_progress(move |_| {
        let now = answered.fetch_add(1, Ordering::Relaxed) + 1;
        with_capabilities(Some(now) != lot);
    });
    with_capabilities(lot != Some(0));
    let ended = tx.commit();
    with_capabilities(true);
    // Who lacks the capability is not told everything of such a bond (`bond_fill_info`): what the commit has asked for
    // without it is asked for again.
    let now = db.snapshot();
    let is_told_less = |link: &&Link| link.bond().is_some_and(|b| b.mode() == Some(BondMode::AD));
    db.refresh(now.links().filter(is_told_less).map(Link::index)).expect("bonds");
    ended
}

/// Commits with each lot of requests refused in turn, and at last with a hook that refuses: each time nothing is left of
/// it, and the snapshot is the kernel. Then for good. Tells how many lots there were.
#[track_caller]
pub fn refused_at_every_step(db: &Db, edit: impl Fn(&mut Transaction) -> Result<()>) -> u32 {
    let was = is_the_kernel(db);
    let begin = || {
        let mut tx = db.begin();
        edit(&mut tx).expect("an edit");
        tx
    };
    let mut lot = 0;
    loop {
        let mut tx = begin();
        tx.on_commit(|_, _| Err::<(), _>("the last step"));
        let error = commit_refused_at(db, tx, Some(lot)).expect_err("a refusal");
        assert!(error.is_rolled_back(), "lot {lot}: {error}");
        assert!(error.is_permission() || error.is_hook(), "lot {lot}: {error}");
        is_as_before(&was);
        is_the_kernel(db);
        if error.is_hook() {
            break;
        }
        lot += 1;
    }
    begin().commit().unwrap_or_else(|error| panic!("{error}"));
    is_the_kernel(db);
    lot
}
