//! Following routes: K4 to K10 and K20 to K24, against a second database that has just read everything.

use crate::support::{batch, ip, need_kind, try_ip};
use netlinkdb::{Db, Hop, Object, Route, RouteProtocol, Snapshot};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

crate::cases![
    a_route_key_keeps_its_list_in_the_kernels_order,
    ipv6_legs_come_and_go_one_by_one,
    ipv6_legs_have_attributes_of_their_own,
    the_first_ipv6_leg_goes_from_a_group_that_was_there_before,
    the_same_ipv6_prefix_on_two_links_is_two_routes,
    routes_of_a_downed_link_are_gone_with_the_notification,
    routes_go_with_the_last_address,
    routes_by_a_nexthop_object_outlive_the_last_address,
    routes_go_with_their_nexthop_object,
    a_multipath_route_lives_as_long_as_a_leg,
    lookups_find_the_longest_prefix,
    routes_are_found_by_words,
    a_database_without_routes_has_none,
    changes_of_routes_name_their_interfaces,
    no_route_falls_into_a_hole_of_the_dump,
    churn_with_routes_ends_in_the_kernels_state,
    churn_with_routes_and_a_tiny_buffer_ends_in_the_kernels_state,
];

/// Two veth pairs with addresses of both families.
fn two_links() {
    need_kind("veth");
    for (pair, other, net) in [("ra0", "rb0", 0), ("ra1", "rb1", 1)] {
        ip(&["link", "add", pair, "type", "veth", "peer", "name", other]);
        ip(&["link", "set", pair, "up"]);
        ip(&["link", "set", other, "up"]);
        ip(&["addr", "add", &format!("10.{net}.0.1/24"), "dev", pair]);
        ip(&["addr", "add", &format!("fd0{net}::1/64"), "dev", pair, "nodad"]);
    }
}

/// The kernel's dump of an IPv6 table that changes meanwhile passes over as many routes that it has not shown yet as have
/// gone of those that it has, and says nothing of it (K14): they were missing for good.
fn no_route_falls_into_a_hole_of_the_dump() {
    const ROUTES: u32 = 8_000;
    two_links();
    let lines = |verb: &str, numbers: std::ops::Range<u32>| -> String {
        numbers.map(|n| format!("route {verb} 2001:{n:x}::/32 dev ra0 proto 99\n")).collect()
    };
    batch(&lines("add", 1..ROUTES));
    let db = Db::open().unwrap();
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        // Always the first ones, which each dump has shown soon.
        let other = scope.spawn(|| {
            while !end.load(SeqCst) {
                batch(&lines("del", 1..600));
                batch(&lines("add", 1..600));
            }
        });
        for _ in 0..6 {
            db.resync().unwrap();
            let missing = || {
                let now = db.snapshot();
                let there = |n: u32| count(&now, &format!("2001:{n:x}::/32")) == 1;
                (600..ROUTES).filter(|n| !there(*n)).count()
            };
            if missing() > 0 {
                end.store(true, SeqCst);
            }
            assert_eq!(missing(), 0);
        }
        end.store(true, SeqCst);
        other.join().unwrap();
    });
    assert_eq!(differences(&db), Vec::<String>::new());
}

/// The routes in which a database differs from one that has just been opened.
fn differences_now(db: &Db) -> Vec<String> {
    let now = db.sync().unwrap();
    let fresh = Db::open().unwrap().snapshot();
    let of_route = |object: Option<&Object>| matches!(object, Some(Object::Route(_)));
    let diff = now.diff(&fresh);
    let routes = diff.changes().iter().filter(|c| of_route(c.before()) || of_route(c.after()));
    routes.map(|change| format!("{change}")).collect()
}

/// The same, when what IPv6 does by itself after a link went up (routes come with the carrier, up to a second later)
/// has not fallen between the two readings. What was missed stays missed.
fn differences(db: &Db) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = differences_now(db);
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
    }
}

/// Runs commands, each of which must succeed, and compares after each.
fn play(db: &Db, commands: &[&str]) {
    for command in commands {
        ip(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(differences(db), Vec::<String>::new(), "after `ip {command}`");
    }
}

fn count(now: &Snapshot, prefix: &str) -> usize {
    now.routes().get(prefix.parse().unwrap()).len()
}

fn a_route_key_keeps_its_list_in_the_kernels_order() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add 10.5.0.0/16 via 10.0.0.2",
            "route append 10.5.0.0/16 via 10.0.0.3",
            "route prepend 10.5.0.0/16 via 10.0.0.4",
            "route add 10.5.0.0/16 via 10.1.0.2 metric 10",
            "route replace 10.5.0.0/16 via 10.0.0.5",
            "route del 10.5.0.0/16 via 10.0.0.3",
            "route change 10.5.0.0/16 via 10.0.0.6",
            "route add 10.5.0.0/16 via 10.1.0.9 table 1000000",
        ],
    );
    let now = db.snapshot();
    let gateways: Vec<_> = now.routes().get("10.5.0.0/16".parse().unwrap());
    let gateways: Vec<_> = gateways.iter().map(|r| r.gateway().unwrap().to_string()).collect();
    assert_eq!(gateways, ["10.0.0.6", "10.0.0.2", "10.1.0.2"]);
    assert!(now.tables().contains(&1_000_000));
    assert_eq!(now.routes().table(1_000_000).len(), 1);
}

fn routes_are_found_by_words() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add 10.5.0.0/16 via 10.0.0.2",
            "route append 10.5.0.0/16 via 10.0.0.3",
            "route add 10.5.0.0/16 via 10.1.0.2 metric 10 proto bird",
            "route add 10.5.0.0/16 tos 0x10 via 10.1.0.2 mtu 1400",
            "route add 10.6.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2 weight 2",
            "route add blackhole default table 100",
            "-6 route add fd05::/64 via fd00::2",
            "-6 route add blackhole default metric 7 table 100",
        ],
    );
    let now = db.snapshot();
    let main = now.routes();
    let to = || Route::to("10.5.0.0/16");
    let gateway = |of: Option<Route>| of.map(|route| route.gateway().unwrap().to_string());
    // What is not named does not count; of several it is the one that the kernel takes.
    assert_eq!(gateway(main.find(&to())).as_deref(), Some("10.0.0.2"));
    assert_eq!(gateway(main.find(&to().via("10.0.0.3"))).as_deref(), Some("10.0.0.3"));
    assert_eq!(gateway(main.find(&to().priority(10))).as_deref(), Some("10.1.0.2"));
    assert_eq!(main.find(&to().protocol(RouteProtocol::BIRD)).unwrap().priority(), 10);
    assert_eq!(main.find(&to().dev("ra1").tos(0x10)).unwrap().tos(), 0x10);
    assert_eq!(main.find(&to().mtu(1400)).unwrap().tos(), 0x10);
    assert_eq!(main.find(&to().priority(0)).unwrap().priority(), 0);
    let legs = Route::to("10.6.0.0/16").nexthop(Hop::via("10.1.0.2")).nexthop(Hop::via("10.0.0.2"));
    assert_eq!(main.find(&legs).unwrap().hops().len(), 2);
    for other in [
        to().via("10.0.0.9"),
        to().priority(11),
        to().dev("nobody"),
        to().table(100),
        Route::to("10.5.0.0/17"),
        Route::to("fd05::/64").priority(7),
        Route::to("default"),
        Route::to("nonsense"),
        Route::mpls(100),
    ] {
        assert_eq!(main.find(&other), None, "{other}");
    }
    // An IPv6 route without a priority has 1024 (K24).
    assert!(main.find(&Route::to("fd05::/64").priority(0)).is_some());
    // In a table, and in all.
    let default = Route::to("::/0");
    assert_eq!(main.table(100).find(&default).unwrap().priority(), 7);
    assert_eq!(main.table(100).find(&default.clone().table(254)), None);
    assert_eq!(main.all().find(&default).unwrap().table(), 100);
    assert_eq!(main.all().find(&default.table(254)), None);
    assert_eq!(main.all().find(&to()).unwrap().table(), 254);
    // What it finds, it finds again by all that it says.
    for route in main.all().iter().filter(|route| route.destination().is_some()) {
        let again = main.table(route.table()).find(&(&route).into());
        assert!(again.is_some_and(|again| again.record().same(route.record())), "{route}");
    }
}

/// IPDB dropped the whole route when one leg of it was deleted: the message has the same key.
fn ipv6_legs_come_and_go_one_by_one() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "-6 route add fd05::/64 via fd00::2",
            "-6 route append fd05::/64 via fd01::2",
            "-6 route append fd05::/64 via fd01::3",
            "-6 route del fd05::/64 via fd01::2",
        ],
    );
    let now = db.snapshot();
    let routes = now.routes().get("fd05::/64".parse().unwrap());
    assert_eq!(routes.iter().map(|route| route.hops().len()).collect::<Vec<_>>(), [2]);
    play(
        &db,
        &[
            "-6 route del fd05::/64 via fd00::2",
            "-6 route replace fd05::/64 via fd00::7",
            "-6 route add fd06::/64 nexthop via fd00::2 nexthop via fd01::2 weight 3",
            "-6 route replace fd06::/64 nexthop via fd00::3 nexthop via fd01::3",
            "-6 route del fd06::/64",
        ],
    );
    assert_eq!(count(&db.snapshot(), "fd05::/64"), 1);
    assert_eq!(count(&db.snapshot(), "fd06::/64"), 0);
}

/// The kernel keeps protocol and metrics for each leg and shows those of the first; a notification shows those of the leg
/// that it is about. These were taken for the group's.
fn ipv6_legs_have_attributes_of_their_own() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "-6 route add fd05::/64 via fd00::2",
            "-6 route append fd05::/64 via fd01::2 proto bird mtu 1300",
            "-6 route append fd05::/64 via fd01::3 proto babel",
            "-6 route del fd05::/64 via fd01::2",
            "-6 route append fd05::/64 via fd01::2 proto bird mtu 1300",
            "-6 route del fd05::/64 via fd00::2",
            "-6 route del fd05::/64 via fd01::3",
            "-6 route append fd05::/64 nexthop via fd00::2 weight 3 nexthop via fd00::3",
            "-6 route del fd05::/64 via fd01::2",
            "-6 route append fd05::/64 via fd01::2 onlink dev ra1 proto bird",
            "-6 route del fd05::/64 via fd00::2",
            "-6 route del fd05::/64 via fd00::3",
            "-6 route replace fd05::/64 nexthop via fd01::5 nexthop via fd01::6",
            "-6 route append fd05::/64 via fd00::2 proto bird table 100",
            "-6 route append fd05::/64 via fd00::3 proto babel table 100",
            "-6 route del fd05::/64 via fd00::2 table 100",
        ],
    );
    assert_eq!(db.losses().resyncs, 1);
}

/// What the other legs say cannot be known then.
fn the_first_ipv6_leg_goes_from_a_group_that_was_there_before() {
    two_links();
    for number in 5..8 {
        let to = format!("fd0{number}::/64");
        ip(&["-6", "route", "add", &to, "via", "fd00::2"]);
        ip(&["-6", "route", "append", &to, "via", "fd01::2", "proto", "bird", "mtu", "1300"]);
        ip(&["-6", "route", "append", &to, "via", "fd00::3", "proto", "babel"]);
    }
    let db = Db::open().unwrap();
    for number in 5..8 {
        ip(&["-6", "route", "del", &format!("fd0{number}::/64"), "via", "fd00::2"]);
    }
    assert_eq!(differences(&db), Vec::<String>::new());
    play(&db, &["-6 route del fd05::/64 via fd00::3", "link set ra1 down", "link del ra0"]);
    let now = db.snapshot();
    assert_eq!(count(&now, "fd06::/64"), 0);
}

/// IPDB collapsed them into one.
fn the_same_ipv6_prefix_on_two_links_is_two_routes() {
    two_links();
    let db = Db::open().unwrap();
    play(&db, &["-6 route add fd07::/64 dev ra0", "-6 route append fd07::/64 dev ra1"]);
    assert_eq!(count(&db.snapshot(), "fd07::/64"), 2);
    play(&db, &["-6 route del fd07::/64 dev ra0"]);
    assert_eq!(count(&db.snapshot(), "fd07::/64"), 1);
}

/// K4: no word of the kernel, and no snapshot in which the link is down and its routes are there.
fn routes_of_a_downed_link_are_gone_with_the_notification() {
    two_links();
    let db = Db::open().unwrap();
    play(&db, &["route add 10.5.0.0/16 via 10.1.0.2", "route add 10.6.0.0/16 dev ra1 table 77"]);
    let mut watch = db.events().unwrap();
    ip(&["link", "set", "ra1", "down"]);
    db.sync().unwrap();
    while watch.snapshot().link("ra1").is_none_or(|link| link.is_up()) {
        watch.diff_within(std::time::Duration::from_secs(30)).unwrap().expect("the link goes down");
    }
    let index = watch.snapshot().link("ra1").unwrap().index();
    let over = |route: &netlinkdb::Route| route.oif() == Some(index) && route.scope().0 != 254;
    let left: Vec<_> = watch.snapshot().routes().all().iter().filter(over).collect();
    assert!(left.iter().all(|route| route.family() != netlinkdb::Family::Inet), "{left:?}");
    play(&db, &["link set ra1 up", "link set ra1 down", "link set ra1 up"]);
}

/// K5.
/// They were taken for gone, as those by a gateway of their own are (K5).
fn routes_by_a_nexthop_object_outlive_the_last_address() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "nexthop add id 7 via 10.0.0.7 dev ra0",
            "route add 10.5.0.0/16 nhid 7",
            "route add 10.6.0.0/16 via 10.0.0.7",
            "addr del 10.0.0.1/24 dev ra0",
        ],
    );
    let now = db.snapshot();
    assert_eq!((count(&now, "10.5.0.0/16"), count(&now, "10.6.0.0/16")), (1, 0));
}

fn routes_go_with_the_last_address() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add 10.5.0.0/16 via 10.1.0.2",
            "route add 10.6.0.0/16 dev ra1 scope link",
            "addr add 10.2.0.1/24 dev ra1",
            "route add 10.7.0.0/16 via 10.0.0.2 src 10.2.0.1",
            "addr del 10.1.0.1/24 dev ra1",
            "addr del 10.2.0.1/24 dev ra1",
            "addr add 10.1.0.1/24 dev ra1",
        ],
    );
    assert_eq!(count(&db.snapshot(), "10.6.0.0/16"), 0);
}

/// K7.
fn routes_go_with_their_nexthop_object() {
    two_links();
    ip(&["nexthop", "add", "id", "5", "via", "10.0.0.2", "dev", "ra0"]);
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add 10.11.0.0/16 nhid 5",
            "-6 route add fd11::/64 via fd00::2",
            "nexthop del id 5",
        ],
    );
    assert_eq!(count(&db.snapshot(), "10.11.0.0/16"), 0);
}

/// K8: dead legs are no news; a route is gone when its last leg is, or when the device of one is deleted.
fn a_multipath_route_lives_as_long_as_a_leg() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add 10.6.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2 weight 5",
            "-6 route add fd06::/64 nexthop via fd00::2 nexthop via fd01::2",
            "link set rb1 down",
            "link set rb1 up",
            "link set ra1 down",
        ],
    );
    assert_eq!(count(&db.snapshot(), "10.6.0.0/16"), 1);
    play(&db, &["link set ra1 up", "link set ra0 down", "link set ra1 down"]);
    assert_eq!(count(&db.snapshot(), "10.6.0.0/16"), 0);
    play(
        &db,
        &[
            "link set ra0 up",
            "link set ra1 up",
            "route add 10.6.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2",
        ],
    );
    play(&db, &["link del ra1"]);
    assert_eq!(count(&db.snapshot(), "10.6.0.0/16"), 0);
}

fn lookups_find_the_longest_prefix() {
    two_links();
    let db = Db::open().unwrap();
    play(
        &db,
        &[
            "route add default via 10.0.0.9",
            "route add 10.0.0.0/8 via 10.0.0.8",
            "route add 10.128.0.0/9 via 10.0.0.7",
            "route add 10.128.5.0/24 via 10.0.0.6",
            "route add 10.128.5.7/32 via 10.0.0.5",
            "-6 route add default via fd00::9",
            "-6 route add fd80::/16 via fd00::8",
            "-6 route add fd80:1::/32 via fd00::7",
        ],
    );
    let now = db.snapshot();
    let by = |address: &str| {
        let found = now.routes().lookup(address.parse().unwrap());
        found
            .and_then(|route| route.gateway())
            .map(|gateway| gateway.to_string())
            .unwrap_or_default()
    };
    for (address, gateway) in [
        ("10.128.5.7", "10.0.0.5"),
        ("10.128.5.8", "10.0.0.6"),
        ("10.128.6.1", "10.0.0.7"),
        ("10.3.0.1", "10.0.0.8"),
        ("192.0.2.1", "10.0.0.9"),
        ("10.0.0.77", ""),
        ("fd80:1::1", "fd00::7"),
        ("fd80:2::1", "fd00::8"),
        ("2001:db8::1", "fd00::9"),
    ] {
        assert_eq!(by(address), gateway, "{address}");
        let asked = String::from_utf8(ip(&["route", "get", address]).stdout).unwrap();
        assert!(
            asked.contains(&format!("via {gateway} ")) || gateway.is_empty(),
            "{address}: {asked}"
        );
    }
    assert_eq!(now.routes().default().len(), 2);
}

fn a_database_without_routes_has_none() {
    two_links();
    let db = Db::builder().routes(false).open().unwrap();
    ip(&["route", "add", "10.5.0.0/16", "via", "10.0.0.2"]);
    assert!(db.sync().unwrap().routes().all().is_empty());
}

/// They were printed with `dev if7`.
fn changes_of_routes_name_their_interfaces() {
    two_links();
    let db = Db::open().unwrap();
    let step = |arguments: &str| -> Vec<String> {
        let before = db.sync().unwrap();
        ip(&arguments.split(' ').collect::<Vec<_>>());
        let diff = before.diff(&db.sync().unwrap());
        let all = diff.changes().iter().map(ToString::to_string);
        all.filter(|line| line.contains("10.5.0.0")).collect()
    };
    let way = "route 10.5.0.0/16 via 10.0.0.2 dev ra0";
    assert_eq!(step("route add 10.5.0.0/16 via 10.0.0.2"), [format!("+ {way}")]);
    let change = step("route replace 10.5.0.0/16 via 10.0.0.3");
    assert_eq!(change, [format!("~ {way}  gateway 10.0.0.2 -> 10.0.0.3")]);
    let way = "route 10.5.0.0/16 via 10.0.0.3 dev ra0";
    assert_eq!(step("link del ra0"), [format!("- {way}")]);
}

/// A small generator of our own: the same seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}

fn command(random: &mut Random) -> String {
    let net = random.below(2);
    let (last, prefix, metric) = (2 + random.below(3), random.below(4), random.below(3) * 10);
    let verb = ["add", "replace", "append", "prepend", "del", "change"][random.below(6) as usize];
    let table = ["", " table 100"][random.below(2) as usize];
    let six = format!("fd5{prefix}::/64");
    match random.below(12) {
        0..=4 => {
            format!("route {verb} 10.5{prefix}.0.0/16 via 10.{net}.0.{last} metric {metric}{table}")
        }
        5 => format!(
            "route {verb} 10.5{prefix}.0.0/16 nexthop via 10.0.0.{last} nexthop via 10.1.0.{last}{table}"
        ),
        6 | 7 => format!(
            "-6 route {} {six} via fd0{net}::{last}{table}{}",
            verb.replace("prepend", "append"),
            ["", " proto bird", " proto babel mtu 1300"][random.below(3) as usize]
        ),
        8 => format!(
            "-6 route {} {six} nexthop via fd00::{last} nexthop via fd01::{last}",
            verb.replace("prepend", "add")
        ),
        9 => format!("link set ra{net} {}", ["up", "down"][random.below(2) as usize]),
        10 => {
            format!("addr {} 10.{net}.0.1/24 dev ra{net}", ["add", "del"][random.below(2) as usize])
        }
        _ => format!("route {verb} blackhole 10.6{prefix}.0.0/16{table}"),
    }
}

fn churn(db: &Db, seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        let mut random = Random(seed);
        let batch: Vec<_> = (0..steps).map(|_| command(&mut random)).collect();
        for line in &batch {
            // Many are refused, as they should be: what is deleted is often not there.
            drop(try_ip(&line.split(' ').collect::<Vec<_>>()));
        }
        assert_eq!(differences(db), Vec::<String>::new(), "seed {seed}: {batch:#?}");
        for link in ["ra0", "ra1"] {
            ip(&["link", "set", link, "up"]);
        }
    }
}

fn churn_with_routes_ends_in_the_kernels_state() {
    two_links();
    let db = Db::open().unwrap();
    churn(&db, 0..30, 25);
    assert_eq!(db.losses().overruns, 0);
}

fn churn_with_routes_and_a_tiny_buffer_ends_in_the_kernels_state() {
    two_links();
    let db = Db::builder().receive_buffer(4096).open().unwrap();
    churn(&db, 100..110, 25);
}
