//! Whether what a database shows is what a new one reads.

use std::collections::BTreeMap;

use netlinkdb::{FieldChange, Link, Snapshot};

use super::{Driver, ROOMY};
use crate::sim::Kernel;

/// P1: what a database shows is what a new one shows.
pub fn judge_snapshot(kernel: &mut Kernel, driver: &mut Driver) {
    let fresh = Driver::open(kernel, ROOMY);
    judge_against(driver, &fresh);
    fresh.close(kernel);
}

/// Likewise, of a new one that is there already.
pub fn judge_against(driver: &Driver, fresh: &Driver) {
    driver.snapshot().check();
    let (ours, truth) = (shown(driver.snapshot()), shown(fresh.snapshot()));
    for (index, link) in &truth {
        let own = ours.get(index).unwrap_or_else(|| panic!("lacks {link:?}"));
        let changes = own.0.record().changes(link.0.record());
        let changes: Vec<_> = changes.iter().filter(|change| !is_silent(change)).collect();
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert!(changes.is_empty(), "{}: {changes:#?}", link.0.name());
        assert_eq!(own.1, link.1, "addresses of {}, and their order", link.0.name());
    }
    assert_eq!(ours.len(), truth.len(), "a link that is not there");
    judge_routes(driver.snapshot(), fresh.snapshot());
    judge_rest(driver.snapshot(), fresh.snapshot(), true);
}

/// Rules in their order, nexthop objects and neighbours; proxies, of which the kernel tells nothing, when all has been
/// read anew.
fn judge_rest(ours: &Snapshot, truth: &Snapshot, with_proxies: bool) {
    let all = |of: &Snapshot| -> Vec<String> {
        let rules = of.rules().iter().map(|rule| format!("{:?} {}", rule.family(), rule.line(of)));
        let nexthops = of.nexthops().iter().map(|nexthop| nexthop.line(of));
        let neighbours = of.neighbours().iter().map(|one| one.line(of));
        let proxies = of.neighbours().proxies().iter().map(|one| one.line(of));
        let proxies = proxies.filter(|_| with_proxies);
        rules.chain(nexthops).chain(neighbours).chain(proxies).collect()
    };
    assert_eq!(all(ours), all(truth), "rules, nexthops and neighbours: ours, and the kernel's");
}

/// Every route, and those of an IPv4 key in their order.
fn judge_routes(ours: &Snapshot, truth: &Snapshot) {
    let all = |of: &Snapshot| -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for route in of.routes().all().iter() {
            all.entry(format!("{:?}", route.key())).or_default().push(route.line(of));
        }
        // IPv6 routes of a key have no order: a dump that runs while they change may bring another one.
        let six = |key: &String| key.contains("V6");
        all.iter_mut().filter(|(key, _)| six(key)).for_each(|(_, lines)| lines.sort());
        all
    };
    let (ours, truth) = (all(ours), all(truth));
    for key in ours.keys().chain(truth.keys()) {
        assert_eq!(ours.get(key), truth.get(key), "routes at {key}: ours, and the kernel's");
    }
}

type Shown<'a> = BTreeMap<u32, (&'a Link, Vec<String>)>;

fn shown(snapshot: &Snapshot) -> Shown<'_> {
    let addresses = |index| -> Vec<String> {
        let all = snapshot.addresses_of(index).into_iter();
        all.map(|address| format!("{address} {:#x}", address.flags().0)).collect()
    };
    let links = snapshot.links();
    links.map(|link| (link.index(), (link, addresses(link.index())))).collect()
}

/// What the kernel changes without a word, by something else than a request about it (see `object::link`).
fn is_silent(change: &FieldChange) -> bool {
    change.name.starts_with("inet")
        || change.table == "bridge_id"
        || matches!(
            change.name,
            "tso_max_size"
                | "promiscuity"
                | "allmulti"
                | "qdisc"
                | "af_spec"
                | "root_id"
                | "root_port"
                | "ageing_time"
                | "topology_change"
        )
}

/// As [`judge_snapshot`], but for what the kernel does not announce.
pub fn judge_announced(kernel: &mut Kernel, driver: &mut Driver) {
    let fresh = Driver::open(kernel, ROOMY);
    let (ours, truth) = (shown(driver.snapshot()), shown(fresh.snapshot()));
    assert_eq!(ours.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (index, link) in &truth {
        let own = &ours[index];
        let changes = own.0.record().changes(link.0.record());
        let told: Vec<_> = changes
            .iter()
            .filter(|change| !is_unannounced(change))
            // link_watch tells of the carrier of an interface that is up.
            .filter(|change| link.0.is_up() || change.name != "carrier")
            .map(ToString::to_string)
            .collect();
        assert!(told.is_empty(), "{} for {}: {told:#?}\n{}", own.0, link.0, kernel.text());
        assert_eq!(own.1, link.1, "addresses of {}, and their order", link.0.name());
    }
    judge_routes(driver.snapshot(), fresh.snapshot());
    judge_rest(driver.snapshot(), fresh.snapshot(), false);
    fresh.close(kernel);
}

/// Fields whose change another program can make without a word while the link is down.
fn is_unannounced(change: &FieldChange) -> bool {
    is_silent(change)
        || matches!(change.name, "ifalias" | "group" | "altnames")
        || change.table == "bridge"
        || change.table == "bridge_port"
}
