//! Whether what a database shows is what a new one reads.

use std::collections::BTreeMap;

use netlinkdb::{Address, FieldChange, Link, Snapshot};

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
    judge_links(driver.snapshot(), fresh.snapshot(), |_, change| is_silent(change));
    judge_routes(driver.snapshot(), fresh.snapshot());
    judge_rest(driver.snapshot(), fresh.snapshot(), true);
}

/// Every interface but for changes that are let pass, and its addresses in their order.
fn judge_links(ours: &Snapshot, truth: &Snapshot, passes: fn(&Link, &FieldChange) -> bool) {
    let indexes = |of: &Snapshot| of.links().map(Link::index).collect::<Vec<_>>();
    assert_eq!(indexes(ours), indexes(truth), "interfaces: ours, and the kernel's");
    for (own, link) in ours.links().zip(truth.links()) {
        if own.record() != link.record() {
            let changes = own.record().changes(link.record());
            let changes = changes.iter().filter(|change| !passes(link, change));
            let changes: Vec<_> = changes.map(ToString::to_string).collect();
            assert!(changes.is_empty(), "{own} for {link}: {changes:#?}\n{truth}");
        }
        judge_addresses(ours.addresses_of(link.index()), truth.addresses_of(link.index()), link);
    }
}

/// Written out only where they are not alike, here and below: that takes longer than all the rest of a judge's work.
fn judge_addresses(ours: Vec<&Address>, truth: Vec<&Address>, of: &Link) {
    if ours != truth {
        let shown = |all: Vec<&Address>| -> Vec<String> {
            all.iter().map(|one| format!("{one} {:#x}", one.flags().0)).collect()
        };
        assert_eq!(shown(ours), shown(truth), "addresses of {}, and their order", of.name());
    }
}

/// Rules in their order, nexthop objects and neighbours; proxies, of which the kernel tells nothing, when all has been
/// read anew.
fn judge_rest(ours: &Snapshot, truth: &Snapshot, with_proxies: bool) {
    let same_proxies =
        || ours.neighbours().proxies().iter().eq(truth.neighbours().proxies().iter());
    if ours.rules().iter().eq(truth.rules().iter())
        && ours.nexthops().iter().eq(truth.nexthops().iter())
        && ours.neighbours().iter().eq(truth.neighbours().iter())
        && (!with_proxies || same_proxies())
    {
        return;
    }
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
    if ours.routes().all().iter().eq(truth.routes().all().iter()) {
        return;
    }
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
    judge_announced_against(driver, &fresh);
    fresh.close(kernel);
}

/// Likewise, of a new one that is there already.
pub fn judge_announced_against(driver: &Driver, fresh: &Driver) {
    // link_watch tells of the carrier of an interface that is up.
    let passes = |link: &Link, change: &FieldChange| {
        is_unannounced(change) || !link.is_up() && change.name == "carrier"
    };
    judge_links(driver.snapshot(), fresh.snapshot(), passes);
    judge_routes(driver.snapshot(), fresh.snapshot());
    judge_rest(driver.snapshot(), fresh.snapshot(), false);
}

/// Fields whose change another program can make without a word while the link is down.
fn is_unannounced(change: &FieldChange) -> bool {
    is_silent(change)
        || matches!(change.name, "ifalias" | "group" | "altnames")
        || change.table == "bridge"
        || change.table == "bridge_port"
}
