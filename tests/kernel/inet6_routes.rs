//! IPv6 routes that the kernel changes without a word: without their preferred source when its address goes, with another
//! mtu when that of their interface changes. And what of a route a rollback cannot bring back.

use crate::scene::{open, scene};
use crate::support::{ip, ip_json, quiesce_and_compare, skip};
use netlinkdb::{Db, Hop, Nexthop, Route};
use std::net::IpAddr;

crate::cases![
    a_preferred_source_goes_with_its_address,
    a_preferred_source_of_another_interface_goes_too,
    a_preferred_source_that_was_never_checked_goes_too,
    a_preferred_source_stays_when_its_interface_goes_down,
    a_preferred_source_stays_while_another_interface_has_it,
    the_mtu_of_routes_follows_their_interface,
    a_rollback_gives_back_what_changed_in_silence,
    a_dead_leg_is_named_when_its_route_cannot_come_back,
];

const LINKS: &str = "link set lo up
    link add v0 type veth peer name v1
    link add w0 type veth peer name w1
    link set v0 up
    link set v1 up
    link set w0 up
    link set w1 up
    addr add 2001:db8::1/64 dev v0 nodad
    addr add 2001:db8::5/64 dev v0 nodad
    addr add 2001:db8:1::1/64 dev w0 nodad";

fn on(lines: &str) -> Db {
    drop(open());
    scene(LINKS);
    scene(lines);
    Db::open().expect("a database")
}

fn route(db: &Db, prefix: &str) -> Route {
    let now = db.sync().expect("a snapshot");
    let all = now.routes().get(prefix.parse().expect("a prefix"));
    assert_eq!(all.len(), 1, "{prefix}");
    all[0].clone()
}

fn source(db: &Db, prefix: &str) -> Option<IpAddr> {
    route(db, prefix).prefsrc()
}

fn mtu(db: &Db, prefix: &str) -> Option<u32> {
    route(db, prefix).metrics().and_then(|metrics| metrics.mtu())
}

const FIVE: &str = "2001:db8::5";

fn five() -> Option<IpAddr> {
    FIVE.parse().ok()
}

/// A route kept its `src` in the snapshot when the kernel had taken it from it without a notification.
fn a_preferred_source_goes_with_its_address() {
    let db = on("-6 route add fd01::/32 via 2001:db8::9 src 2001:db8::5
        -6 route add fd02::/32 nexthop via 2001:db8::9 nexthop via 2001:db8::8
        -6 route add fd03::/32 via 2001:db8::9 src 2001:db8::1
        -6 nexthop add id 5 dev v0
        -6 route add fd04::/32 nhid 5 src 2001:db8::5");
    assert_eq!(source(&db, "fd01::/32"), five());
    ip(&["addr", "del", "2001:db8::5/64", "dev", "v0"]);
    assert_eq!(source(&db, "fd01::/32"), None);
    assert!(source(&db, "fd03::/32").is_some());
    assert_eq!(source(&db, "fd04::/32"), five(), "by a nexthop object");
    quiesce_and_compare(&db);
}

/// From Linux 6.5 on (`ipv6: do not match device when remove source route`).
fn a_preferred_source_of_another_interface_goes_too() {
    let db = on("-6 route add fd01::/32 dev w0 src 2001:db8::5");
    ip(&["addr", "del", "2001:db8::5/64", "dev", "v0"]);
    let shown = ip_json(&["-6", "route", "show", "fd01::/32"]);
    if shown[0].get("prefsrc").is_some() {
        skip("this kernel takes a source only from the routes of its interface");
    }
    assert_eq!(source(&db, "fd01::/32"), None);
    quiesce_and_compare(&db);
}

/// An address with `nodad` has no local route before a work queue has made it, on an interface that is down none at all, and
/// is not said to be tentative: the route kept its `src` in the snapshot.
fn a_preferred_source_that_was_never_checked_goes_too() {
    let db = on("link set v0 down
        addr add 2001:db8::5/64 dev v0 nodad
        -6 route add fd01::/32 dev w0 src 2001:db8::5");
    assert_eq!(source(&db, "fd01::/32"), five());
    ip(&["addr", "del", "2001:db8::5/64", "dev", "v0"]);
    let shown = ip_json(&["-6", "route", "show", "fd01::/32"]);
    let theirs = shown[0].get("prefsrc").map(|_| ()).and_then(|()| five());
    assert_eq!(source(&db, "fd01::/32"), theirs);
    quiesce_and_compare(&db);
}

fn a_preferred_source_stays_when_its_interface_goes_down() {
    let db = on("-6 route add fd01::/32 dev w0 src 2001:db8::5");
    ip(&["link", "set", "v0", "down"]);
    assert_eq!(source(&db, "fd01::/32"), five());
    quiesce_and_compare(&db);
    scene("link set v0 up\naddr add 2001:db8::5/64 dev v0 nodad");
    std::fs::write("/proc/sys/net/ipv6/conf/v0/disable_ipv6", "1").expect("a sysctl");
    assert_eq!(source(&db, "fd01::/32"), five());
    quiesce_and_compare(&db);
}

fn a_preferred_source_stays_while_another_interface_has_it() {
    let db = on("addr add 2001:db8::5/64 dev w0 nodad
        -6 route add fd01::/32 dev w0 src 2001:db8::5");
    ip(&["addr", "del", "2001:db8::5/64", "dev", "v0"]);
    assert_eq!(source(&db, "fd01::/32"), five());
    quiesce_and_compare(&db);
}

fn the_mtu_of_routes_follows_their_interface() {
    let db = on("-6 route add fd01::/32 via 2001:db8::9 mtu 1500
        -6 route add fd02::/32 via 2001:db8::9 mtu 1400
        -6 route add fd03::/32 via 2001:db8::9 mtu lock 1500
        -6 route add fd04::/32 via 2001:db8::9
        -6 route add fd05::/32 dev w0 mtu 1500
        -6 nexthop add id 5 via 2001:db8::9 dev v0
        -6 route add fd06::/32 nhid 5 mtu 1450
        route add 10.0.0.0/8 dev v0 mtu 1500");
    let all = ["fd01::/32", "fd02::/32", "fd03::/32", "fd04::/32", "fd05::/32", "fd06::/32"];
    let follows = [
        (1450, [1450, 1400, 1500, 0, 1500, 1450]),
        (1300, [1300, 1300, 1500, 0, 1500, 1300]),
        (1500, [1500, 1500, 1500, 0, 1500, 1500]),
        (2000, [2000, 2000, 1500, 0, 1500, 2000]),
        (1999, [1999, 1999, 1500, 0, 1500, 1999]),
    ];
    for (link, routes) in follows {
        ip(&["link", "set", "v0", "mtu", &link.to_string()]);
        let is = all.map(|prefix| mtu(&db, prefix).unwrap_or(0));
        assert_eq!(is, routes, "{link}");
        quiesce_and_compare(&db);
    }
    assert_eq!(mtu(&db, "10.0.0.0/8"), Some(1500), "of IPv4 they stay");
}

/// Undone was only what the commit had named: the routes stayed as the kernel had left them.
fn a_rollback_gives_back_what_changed_in_silence() {
    let db = on("-6 route add fd01::/32 via 2001:db8::9 src 2001:db8::5 mtu 1400
        -6 route add fd02::/32 via 2001:db8::9 mtu 1450
        -6 route add fd03::/32 nexthop via 2001:db8::9 nexthop via 2001:db8::8
        -6 nexthop add id 5 via 2001:db8::9 dev v0
        -6 route add fd06::/32 nhid 5 mtu 1450");
    let shown = || ip_json(&["-6", "route", "show"]).to_string();
    let before = shown();
    let mut tx = db.begin();
    tx.interface("v0").set_mtu(1300).del_ip("2001:db8::5/64").expect("it");
    tx.on_commit(|_, _| Err::<(), _>("no"));
    let error = tx.commit().expect_err("a hook");
    assert!(error.is_rolled_back(), "{error}");
    assert_eq!(shown(), before);
    quiesce_and_compare(&db);
    // And forward they are as the kernel makes them.
    db.interface("v0").expect("it").set_mtu(1300).commit().expect("a commit");
    assert_eq!(mtu(&db, "fd02::/32"), Some(1300));
    quiesce_and_compare(&db);
}

/// No request makes a route over an interface that is down: the report names the leg.
fn a_dead_leg_is_named_when_its_route_cannot_come_back() {
    let db = on("addr add 10.0.0.1/24 dev v0
        addr add 10.0.1.1/24 dev w0
        route add 10.9.0.0/16 nexthop via 10.0.0.9 dev v0 nexthop via 10.0.1.9 dev w0
        link set w0 down");
    let mut tx = db.begin();
    tx.remove_route(Route::to("10.9.0.0/16")).expect("it");
    tx.on_commit(|_, _| Err::<(), _>("no"));
    let error = tx.commit().expect_err("a hook");
    assert!(error.is_torn(), "{error}");
    let text = error.to_string();
    assert!(text.contains("10.9.0.0/16") && text.contains("`w0` is down"), "{text}");
    quiesce_and_compare(&db);
    // The same for a snapshot: what was so then is refused in the kernel's words, and nothing is changed.
    let mut tx = db.begin();
    let legs = [Hop::via("10.0.0.9").dev("v0"), Hop::via("10.0.1.9").dev("w0")];
    let both = legs.into_iter().fold(Route::to("10.9.0.0/16"), |route, leg| route.nexthop(leg));
    tx.add_route(both).expect("a route").add_nexthop(Nexthop::new(7).blackhole()).expect("one");
    let error = tx.commit().expect_err("a dead leg");
    assert!(error.is_rolled_back(), "{error}");
}
