//! Databases that leave routes out: what they follow is what the kernel has of it, whatever happens to the rest.

use crate::support::oracle::to_json;
use crate::support::{ip, need_kind, scene, try_ip};
use netlinkdb::{Db, DbBuilder, Family, Route, RouteProtocol, Snapshot};
use serde_json::Value;

crate::cases![
    ignore_rtables_int,
    ignore_rtables_list,
    only_tables_asks_for_a_table_that_comes_later,
    one_family,
    routes_that_share_a_key_with_others_of_another_protocol,
    other_protocols_alone_cost_no_reading,
    what_goes_in_silence_goes_under_every_view,
];

/// Two links with addresses of both families, and routes of several tables and protocols.
fn two_links() {
    need_kind("veth");
    for (pair, other, net) in [("ra0", "rb0", 0), ("ra1", "rb1", 1)] {
        ip(&["link", "add", pair, "type", "veth", "peer", "name", other]);
        ip(&["link", "set", pair, "up"]);
        ip(&["link", "set", other, "up"]);
        ip(&["addr", "add", &format!("10.{net}.0.1/24"), "dev", pair]);
        ip(&["addr", "add", &format!("fd0{net}::1/64"), "dev", pair, "nodad"]);
    }
    scene(
        "route add 10.9.0.0/16 via 10.0.0.2
        route add 10.8.0.0/16 via 10.0.0.2 proto bird
        route add 10.9.0.0/16 via 10.1.0.2 table 1000
        route add fd99::/64 via fd00::2
        route add fd99::/64 via fd01::2 table 1000",
    );
}

/// What `ip` is asked for, and which routes of a full reading are meant by it.
type Wanted = (&'static [&'static str], fn(&Route) -> bool);

/// Compares a database with `ip`, and with a full one that has just been opened.
#[track_caller]
fn compare(db: &Db, (arguments, wanted): Wanted) -> Snapshot {
    let mut found = Vec::new();
    // What IPv6 does by itself after a link went up may fall between two readings.
    for _ in 0..5 {
        let now = db.sync().unwrap();
        let full = Db::open().unwrap().snapshot();
        let theirs = full.routes().all().iter().filter(wanted).map(|route| route.line(&full));
        let ours = now.routes().all().iter().map(|route| route.line(&now));
        found = vec![ours.collect::<Vec<_>>(), theirs.collect()];
        let same = found[0] == found[1];
        let mut ip: Vec<Value> = Vec::new();
        for family in ["-4", "-6"] {
            let arguments = [&["-json", "-details", family, "route", "show"], arguments].concat();
            // A table that is not there is an error with nothing printed, or less.
            let said = try_ip(&arguments).stdout;
            ip.extend(serde_json::from_slice::<Vec<Value>>(&said).unwrap_or_default());
        }
        let tree = to_json(&now.routes().all().tree());
        let own = tree.as_array().into_iter().flatten().cloned();
        let (own, ip) = (told(own), told(ip.into_iter()));
        if same && own == ip {
            return now;
        }
        found.extend([own, ip]);
    }
    panic!("{found:#?}");
}

/// What matters here of routes as `ip -json` prints them, which leaves out what it was asked for.
fn told(all: impl Iterator<Item = Value>) -> Vec<String> {
    let keys = ["type", "dst", "gateway", "dev", "metric", "nexthops"];
    let one = |route: Value| {
        let told = keys.map(|key| match (key, &route[key]) {
            ("nexthops", Value::Array(legs)) => legs.len().to_string(),
            (_, value) => value.to_string(),
        });
        told.join(" ")
    };
    let mut all: Vec<_> = all.map(one).collect();
    all.sort();
    all
}

fn steps(db: &Db, wanted: Wanted, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        println!("{line}");
        scene(line);
        compare(db, wanted);
    }
}

/// IPDB's test of the same name: `ignore_rtables=255`.
fn ignore_rtables_int() {
    two_links();
    let db = Db::builder().ignore_tables([255]).open().unwrap();
    let now = db.snapshot();
    assert!(now.tables().contains(&254) && !now.tables().contains(&255), "{:?}", now.tables());
    ip(&["address", "add", "10.2.0.1/24", "dev", "ra0"]);
    let now = db.sync().unwrap();
    assert!(!now.tables().contains(&255));
    assert!(now.routes().lookup("10.2.0.9".parse().unwrap()).is_some());
    assert!(now.follows_table(254) && !now.follows_table(255) && !now.follows_routes());
}

/// IPDB's test of the same name: `ignore_rtables=[0, 255]`.
fn ignore_rtables_list() {
    two_links();
    let db = Db::builder().ignore_tables([0, 255]).open().unwrap();
    assert_eq!(db.snapshot().tables(), [254, 1000]);
    db.resync().unwrap();
    assert_eq!(db.snapshot().tables(), [254, 1000]);
}

fn only_tables_asks_for_a_table_that_comes_later() {
    two_links();
    let wanted: Wanted = (&["table", "70000"], |route| route.table() == 70_000);
    let db = Db::builder().only_tables([70_000]).open().unwrap();
    assert!(compare(&db, wanted).tables().is_empty());
    steps(
        &db,
        wanted,
        "route add 10.9.0.0/16 via 10.0.0.2 table 70000
        route add 10.9.0.0/16 via 10.0.0.2 table 70001
        route add fd99:1::/64 via fd00::2 table 70000
        route append fd99:1::/64 via fd01::2 table 70000",
    );
    db.resync().unwrap();
    assert_eq!(compare(&db, wanted).routes().all().len(), 2);
    assert_eq!((db.losses().resyncs, db.losses().malformed), (2, 0));
    assert!(db.snapshot().follows_table(70_000) && !db.snapshot().follows_table(254));
}

fn one_family() {
    two_links();
    // A link-local address is in a dump before it is announced (K26).
    drop(crate::scene::before());
    let wanted: Wanted = (&["table", "1000"], |route| route.table() == 1000);
    let both = Db::builder().only_tables([1000]).open().unwrap();
    assert_eq!(compare(&both, wanted).routes().all().len(), 2);
    for (family, dst) in [(Family::Inet, "10.9.0.0/16"), (Family::Inet6, "fd99::/64")] {
        let db = Db::builder().route_family(family).ignore_tables([255]).open().unwrap();
        let change = ["route", "replace", dst, "dev", "ra1", "table", "1000"];
        for _ in 0..2 {
            let now = db.sync().unwrap();
            assert!(now.routes().all().iter().all(|route| route.family() == family));
            assert_eq!(now.routes().table(1000).len(), 1);
            ip(&change);
        }
        // Links and addresses are those of both families all the same.
        let all = Db::open().unwrap().snapshot();
        assert_eq!(db.sync().unwrap().address_count(), all.address_count());
    }
}

fn static_only() -> DbBuilder {
    Db::builder().only_protocols([RouteProtocol::STATIC])
}

const STATIC: Wanted =
    (&["table", "all", "proto", "static"], |route| route.protocol() == RouteProtocol::STATIC);

/// REPLACE takes the place of the first route of a key, whoever made it (K20): a route that is followed goes by the
/// announcement of one that is not, or stays though one that is followed seems to replace it.
fn routes_that_share_a_key_with_others_of_another_protocol() {
    two_links();
    let db = static_only().open().unwrap();
    for dst in ["10.7.0.0/16", "fd77::/64"] {
        let (family, a, b) = match dst.contains(':') {
            true => ("-6", "dev ra0", "dev ra1"),
            false => ("-4", "via 10.0.0.2", "via 10.1.0.2"),
        };
        for script in [
            "add A bird, append B static, replace A static, replace B bird, del B bird",
            "add A static, append B bird, replace B static, del B static",
            "add A static, replace B bird, replace A static, replace B static",
            "add A bird, prepend B static, replace A zebra, append A static, replace B bird",
            "add A static, append B static, replace A bird, append A static, replace B zebra",
        ] {
            for step in script.split(", ") {
                let words: Vec<_> = step.split(' ').collect();
                let via = if words[1] == "A" { a } else { b };
                let line = format!("route {} {dst} {via} proto {}", words[0], words[2]);
                // What the kernel refuses (IPv6 lacks some of it) changes nothing.
                let done = crate::support::try_batch(&line) == 0;
                println!("{line}: {done}");
                compare(&db, STATIC);
            }
            db.resync().unwrap();
            compare(&db, STATIC);
            ip(&[family, "route", "flush", dst]);
            compare(&db, STATIC);
        }
    }
    println!("{:?}", db.losses());
}

fn other_protocols_alone_cost_no_reading() {
    two_links();
    let db = static_only().open().unwrap();
    steps(
        &db,
        STATIC,
        "route add 10.6.0.0/16 via 10.0.0.2 proto bird
        route replace 10.6.0.0/16 via 10.1.0.2 proto bird
        route del 10.6.0.0/16
        route add 10.6.0.0/16 via 10.0.0.2 proto static
        route replace 10.6.0.0/16 via 10.1.0.2 proto static
        route replace 10.6.0.0/16 via 10.0.0.2 proto bird",
    );
    assert_eq!(db.losses().resyncs, 1);
    assert!(!db.snapshot().follows_table(254));
}

/// K4 to K8: with what is left out the causes of silence are seen all the same.
fn what_goes_in_silence_goes_under_every_view() {
    two_links();
    let table: Wanted = (&["table", "1000"], |route| route.table() == 1000);
    let only = Db::builder().only_tables([1000]).open().unwrap();
    let statics = static_only().open().unwrap();
    let no_bird =
        Db::builder().ignore_protocols([RouteProtocol::BIRD]).ignore_tables([255]).open().unwrap();
    let mut compared = 0;
    for line in [
        "nexthop add id 7 via 10.0.0.2 dev ra0",
        "route add 10.5.0.0/16 nhid 7 table 1000 proto static",
        "route add 10.4.0.0/16 via 10.0.0.2 table 1000 proto bird",
        "route add 10.3.0.0/16 table 1000 proto static nexthop via 10.0.0.2 nexthop via 10.1.0.2",
        "nexthop del id 7",
        "link set ra0 down",
        "link set ra0 up",
        "route add 10.4.0.0/16 via 10.0.0.2 table 1000 proto static",
        "addr del 10.0.0.1/24 dev ra0",
        "addr add 10.0.0.1/24 dev ra0",
        "route add 10.4.0.0/16 via 10.1.0.2 table 1000 proto static src 10.0.0.1",
        "link del ra1",
        "link del ra0",
    ] {
        println!("{line}");
        scene(line);
        compare(&only, table);
        compare(&statics, STATIC);
        let now = no_bird.sync().unwrap();
        assert!(now.routes().all().iter().all(|route| route.protocol() != RouteProtocol::BIRD));
        compared += now.routes().all().len();
    }
    assert_ne!(compared, 0);
    assert_eq!(only.losses().resyncs, 1);
}
