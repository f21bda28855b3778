//! Following rules, nexthop objects and neighbours: what the kernel does with them in silence, against iproute2 and a
//! second database that has just read everything.

use crate::support::oracle::{compare_neighbours, compare_nexthops, compare_rules, to_json};
use crate::support::{Request, bridge_json, ip, ip_json, namespaces, need_kind, try_batch, try_ip};
use netlinkdb::internals::sys::{Options, Socket};
use netlinkdb::{Db, Family, NeighbourKey, Object, Rule, RuleKey, Snapshot};
use serde_json::Value;
use std::collections::BTreeSet;

crate::cases![
    rules_come_and_go_in_their_order,
    rules_that_are_alike_are_counted,
    a_rule_knows_whether_its_interface_and_its_target_are_there,
    rules_are_found_by_what_they_say,
    nexthops_go_with_their_interface,
    nexthops_go_with_the_carrier,
    a_group_that_loses_a_member_takes_the_way_out_of_its_routes,
    neighbours_come_and_go_with_their_interface,
    forwarding_entries_follow_their_port,
    the_entry_for_an_address_of_two_ports_goes_to_the_other,
    forwarding_entries_go_with_their_nexthop_object,
    a_database_follows_only_what_it_was_asked_to,
    changes_of_rules_nexthops_and_neighbours_read_as_ip_prints_them,
    churn_ends_in_the_kernels_state,
    churn_with_a_tiny_buffer_ends_in_the_kernels_state,
];

/// A database that follows neighbours too.
fn open() -> Db {
    Db::builder().neighbours(true).open().unwrap()
}

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

/// In what a snapshot differs from a fresh database and from iproute2.
fn differences_now(db: &Db) -> Vec<String> {
    let now = db.sync().unwrap();
    now.check();
    let fresh = open().snapshot();
    let mut found: Vec<String> = Vec::new();
    let diff = now.diff(&fresh);
    let meant = |object: Option<&Object>| {
        matches!(object, Some(Object::Route(_) | Object::Rule(_) | Object::Nexthop(_)))
    };
    let changes = diff.changes().iter().filter(|c| meant(c.before()) || meant(c.after()));
    found.extend(changes.map(ToString::to_string));
    found.extend(differences_to_ip(&now));
    found
}

fn differences_to_ip(now: &Snapshot) -> Vec<String> {
    let list = |value: Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for (option, family) in [("-4", Family::Inet), ("-6", Family::Inet6)] {
        let ours = list(to_json(&now.rules().family(family).tree()));
        found.extend(compare_rules(&ours, &list(ip_json(&[option, "rule", "show"]))));
    }
    let ours = list(to_json(&now.nexthops().tree()));
    found.extend(compare_nexthops(&ours, &list(ip_json(&["nexthop", "show"]))));
    let ours = list(to_json(&now.neighbours().tree()));
    found.extend(compare_neighbours(&ours, &list(ip_json(&["neigh", "show"]))));
    if let Some(theirs) = bridge_json(&["fdb", "show"]) {
        let ours = list(to_json(&now.neighbours().fdb().tree()));
        found.extend(compare_neighbours(&ours, &list(theirs)));
    }
    found
}

/// The same, when what IPv6 and the carrier do by themselves has not fallen between the readings.
fn differences(db: &Db) -> Vec<String> {
    for _ in 0..5 {
        if differences_now(db).is_empty() {
            return Vec::new();
        }
    }
    differences_now(db)
}

/// Runs commands, each of which must succeed, and compares after each.
fn play(db: &Db, commands: &[&str]) {
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        match words[0] {
            "bridge" => crate::support::bridge(&words[1..]),
            _ => drop(ip(&words)),
        }
        assert_eq!(differences(db), Vec::<String>::new(), "after `{command}`");
    }
}

fn at(now: &Snapshot, priority: u32) -> Vec<String> {
    let all = now.rules().family(Family::Inet).at(priority);
    all.iter().map(|rule| rule.line(now).replace('\t', " ")).collect()
}

fn rules_come_and_go_in_their_order() {
    let db = open();
    play(
        &db,
        &[
            "rule add pref 100 from 10.0.0.0/8 lookup 7",
            "rule add pref 100 to 10.0.0.0/8 lookup 7",
            "rule add pref 100 to 10.0.0.0/9 lookup 7",
            "rule add pref 50 fwmark 1/0xff lookup 8",
            "rule add pref 0 iif lo blackhole",
            "-6 rule add pref 100 from fd00::/8 lookup 7",
            "-6 rule add not from fd00::/16 sport 5-6 prohibit",
            "rule del pref 100 to 10.0.0.0/8 lookup 7",
        ],
    );
    let now = db.snapshot();
    let ways = ["100: from 10.0.0.0/8 lookup 7", "100: from all to 10.0.0.0/9 lookup 7"];
    assert_eq!(at(&now, 100), ways);
    let priorities: Vec<_> = now.rules().family(Family::Inet).iter().map(Rule::priority).collect();
    assert!(priorities.is_sorted(), "{priorities:?}");
    assert_eq!(now.rules().at(100).len(), 3);
    play(&db, &["rule flush", "-6 rule flush"]);
    // Those of priority 0 stay.
    assert_eq!(db.snapshot().rules().len(), 3);
}

/// `ip rule add pref 100 from 10.0.0.0/8 lookup 7`, without the `NLM_F_EXCL` that iproute2 gives.
#[allow(clippy::host_endian_bytes)] // Netlink is in the machine's own byte order.
fn add_rule_once_more() {
    const RTM_NEWRULE: u16 = 32;
    const SRC: u16 = 2;
    const PRIORITY: u16 = 6;
    let request = Request::new(RTM_NEWRULE, libc::NLM_F_CREATE)
        .bytes(&[2, 0, 8, 0, 7, 0, 0, 1, 0, 0, 0, 0])
        .attribute(SRC, &[10, 0, 0, 0])
        .attribute(PRIORITY, &100u32.to_ne_bytes());
    let socket = Socket::open(&Options::default()).unwrap();
    socket.send(&request.finish()).unwrap();
    assert_eq!(crate::support::request::acknowledged(&namespaces::receive_one(&socket)), Some(0));
}

/// K37: a request without `NLM_F_EXCL` makes a second rule that is the same, and one deletion takes one of them. A set
/// would have lost the other.
fn rules_that_are_alike_are_counted() {
    let db = open();
    let rule = Rule::new().priority(100).from("10.0.0.0/8").table(7);
    for count in 1..=3 {
        add_rule_once_more();
        assert_eq!(db.sync().unwrap().rules().at(100).len(), count);
        assert_eq!(differences(&db), [""; 0]);
    }
    assert_eq!(db.resync().unwrap().rules().at(100).len(), 3);
    let line = "rule del pref 100 from 10.0.0.0/8 lookup 7";
    play(&db, &[line, line]);
    let now = db.snapshot();
    assert_eq!(now.rules_at(&RuleKey { family: Family::Inet, priority: 100 }).len(), 1);
    play(&db, &[line]);
    assert!(db.snapshot().rules().find(&rule).is_none());
}

/// The kernel flips these marks without a word.
fn a_rule_knows_whether_its_interface_and_its_target_are_there() {
    need_kind("veth");
    let db = open();
    play(&db, &["rule add pref 100 iif ra0 lookup 5", "rule add pref 101 goto 200"]);
    assert_eq!(at(&db.snapshot(), 100), ["100: from all iif ra0 [detached] lookup 5"]);
    play(&db, &["link add ra0 type veth peer name rb0"]);
    assert_eq!(at(&db.snapshot(), 100), ["100: from all iif ra0 lookup 5"]);
    play(
        &db,
        &[
            "link set ra0 name rx0",
            "link set rx0 name ra0",
            "rule add pref 200 lookup 7",
            "rule del pref 200",
            "link del ra0",
        ],
    );
    assert_eq!(at(&db.snapshot(), 101), ["101: from all goto 200 [unresolved]"]);
}

fn rules_are_found_by_what_they_say() {
    let db = open();
    play(&db, &["rule add pref 100 lookup 7", "rule add pref 100 to 10.0.0.0/9 lookup 7"]);
    let now = db.snapshot();
    let spec = Rule::new().priority(100).to("10.0.0.0/9").table(7);
    // iproute2 gives no protocol.
    let spec = spec.protocol(netlinkdb::RouteProtocol(0));
    let found = now.rules().find(&spec).expect("the rule");
    assert_eq!(found.to(), Some("10.0.0.0/9".parse().unwrap()));
    let by = |name: &str, value: &str| now.rules().filter(name, value).unwrap().count();
    assert_eq!(by("table", "7"), 2);
    assert_eq!(by("dst", "10.0.0.0"), 1);
    assert!(by("protocol", "kernel") >= 3);
    let error = now.rules().filter("mtu", "1").map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "`mtu` is no attribute of a rule");
    assert_eq!(now.routes().all().filter("protocol", "static").unwrap().count(), 0);
}

/// K7: without a word, and so do groups that are left empty, and IPv4 routes by them.
fn nexthops_go_with_their_interface() {
    two_links();
    let db = open();
    let setup = [
        "nexthop add id 1 via 10.0.0.2 dev ra0",
        "nexthop add id 2 via 10.1.0.2 dev ra1",
        "nexthop add id 3 via fd00::2 dev ra0",
        "link set lo up",
        "nexthop add id 4 blackhole",
        "nexthop add id 10 group 1/2",
        "nexthop add id 11 group 1",
        "nexthop add id 12 group 3",
        "route add 10.9.0.0/16 nhid 11",
        "route add 10.8.0.0/16 nhid 1",
        "-6 route add fd09::/64 nhid 12",
        "nexthop replace id 2 via 10.1.0.3 dev ra1",
    ];
    play(&db, &setup);
    play(&db, &["link set ra0 down"]);
    let left: Vec<_> = db.snapshot().nexthops().iter().map(|nexthop| nexthop.id()).collect();
    assert_eq!(left, [2, 4, 10]);
    assert!(db.snapshot().routes().get("10.9.0.0/16".parse().unwrap()).is_empty());
    play(&db, &["link set ra0 up", setup[0], setup[6], "link set lo down", "link del ra0"]);
    assert!(db.snapshot().nexthop(11).is_none());
    play(&db, &["nexthop flush"]);
    assert!(db.snapshot().nexthops().is_empty());
    assert_eq!(db.losses().resyncs, 1, "nothing of this needs a second reading");
}

fn nexthops_go_with_the_carrier() {
    two_links();
    let db = open();
    play(
        &db,
        &[
            "nexthop add id 1 via 10.0.0.2 dev ra0",
            "nexthop add id 11 group 1",
            "route add 10.9.0.0/16 nhid 11",
            "link set rb0 down",
        ],
    );
    assert!(db.snapshot().nexthops().is_empty());
    play(&db, &["link set rb0 up"]);
}

/// `ip route show` has one way less, and no message says so: neither when the member is deleted nor when it goes with
/// its interface.
fn a_group_that_loses_a_member_takes_the_way_out_of_its_routes() {
    two_links();
    let db = open();
    let setup = [
        "nexthop add id 1 via 10.0.0.2 dev ra0",
        "nexthop add id 2 via 10.1.0.2 dev ra1",
        "nexthop add id 10 group 1/2",
        "route add 10.9.0.0/16 nhid 10",
        "nexthop add id 3 via fd00::2 dev ra0",
        "nexthop add id 4 via fd01::2 dev ra1",
        "nexthop add id 12 group 3/4",
        "-6 route add fd09::/64 nhid 12",
    ];
    play(&db, &setup);
    play(&db, &["nexthop del id 1", "nexthop del id 4"]);
    let now = db.snapshot();
    let route = &now.routes().get("10.9.0.0/16".parse().unwrap())[0];
    assert_eq!(route.line(&now), "10.9.0.0/16 nhid 10 via 10.1.0.2 dev ra1");
    play(&db, &[setup[0], "nexthop replace id 10 group 1/2", "link set ra0 down"]);
    let now = db.snapshot();
    let route = &now.routes().get("10.9.0.0/16".parse().unwrap())[0];
    assert_eq!(route.gateway(), Some("10.1.0.2".parse().unwrap()));
}

fn neighbours_come_and_go_with_their_interface() {
    two_links();
    let db = open();
    play(
        &db,
        &[
            "neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev ra0",
            "neigh add 10.0.0.5 lladdr 02:00:00:00:00:06 dev ra1",
            "neigh add fd00::5 lladdr 02:00:00:00:00:05 dev ra0 nud stale",
            "neigh add 10.0.0.6 lladdr 02:00:00:00:00:06 dev ra0 nud reachable",
            "neigh replace 10.0.0.5 lladdr 02:00:00:00:00:07 dev ra0",
            "neigh del 10.0.0.6 dev ra0",
        ],
    );
    let now = db.snapshot();
    let [a, b] = ["ra0", "ra1"].map(|name| now.link(name).unwrap().index());
    let address = "10.0.0.5".parse().unwrap();
    let lladdr = |index| now.neighbours().get(index, address).unwrap().lladdr().unwrap();
    assert_eq!(lladdr(a).to_string(), "02:00:00:00:00:07");
    assert_eq!(lladdr(b).to_string(), "02:00:00:00:00:06");
    assert!(now.neighbour(&NeighbourKey::address(a, address)).is_some());
    assert_eq!(now.neighbours().of(b).len(), 1);
    assert_eq!(now.neighbours().filter("dev", "ra1").unwrap().count(), 1);
    play(&db, &["link set ra0 down", "link set ra0 up", "link del ra1"]);
    assert!(db.snapshot().neighbours().is_empty());
    // Proxies are never announced, and go with the interface when it goes down.
    ip(&["neigh", "add", "proxy", "10.0.0.7", "dev", "ra0"]);
    let proxy = "10.0.0.7".parse().unwrap();
    let now = db.resync().unwrap();
    assert!(now.neighbours().proxies().get(a, proxy).is_some_and(|one| one.is_proxy()));
    // Those of IPv4 with the last address too (`fib_disable_ip`), those of IPv6 where packets are too small for it.
    play(&db, &["addr del 10.0.0.1/24 dev ra0"]);
    assert!(db.snapshot().neighbours().proxies().of(a).is_empty());
    ip(&["neigh", "add", "proxy", "fd00::7", "dev", "ra0"]);
    assert_eq!(db.resync().unwrap().neighbours().proxies().of(a).len(), 1);
    play(&db, &["link set ra0 mtu 1200"]);
    assert!(db.snapshot().neighbours().proxies().of(a).is_empty());
    ip(&["neigh", "add", "proxy", "10.0.0.7", "dev", "ra0"]);
    assert_eq!(db.resync().unwrap().neighbours().proxies().of(a).len(), 1);
    play(&db, &["link set ra0 down"]);
    // Not all: those of no interface outlive their namespace, and are those of a later one at the same place in memory.
    assert!(db.snapshot().neighbours().proxies().of(a).is_empty());
}

/// A bridge that sees an address at another port says where it is, and not where it no longer is.
fn forwarding_entries_follow_their_port() {
    two_links();
    need_kind("bridge");
    need_kind("vxlan");
    let Some(_) = bridge_json(&["fdb", "show"]) else { crate::support::skip("no `bridge`") };
    let db = open();
    play(
        &db,
        &[
            "link add br0 type bridge",
            "link set br0 address 02:00:00:00:00:01",
            "link set ra0 master br0",
            "link set ra1 master br0",
            "bridge fdb add 02:00:00:00:00:77 dev ra0 master static",
            "bridge fdb replace 02:00:00:00:00:77 dev ra1 master static",
        ],
    );
    let now = db.snapshot();
    let port = now.link("ra1").map(|link| link.index());
    let entries = now.neighbours().fdb().filter("mac", "02:00:00:00:00:77").unwrap();
    let ports: Vec<_> = entries.map(|entry| entry.index()).collect();
    // A bridge that knows VLANs has one for each.
    assert!(!ports.is_empty() && ports.iter().all(|own| *own == port), "{ports:?}");
    play(
        &db,
        &[
            "link set ra0 down",
            "link set ra1 nomaster",
            "link add vx0 type vxlan id 5 dstport 4789 remote 10.0.0.3",
            "bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.9",
            "bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.9 vni 9",
            "bridge fdb add 02:00:00:00:00:79 dev vx0 dst 10.0.0.10",
            "bridge fdb replace 02:00:00:00:00:79 dev vx0 dst 10.0.0.11",
            "link set vx0 up",
            "link set vx0 down",
        ],
    );
    let vx0 = db.snapshot().link("vx0").unwrap().index();
    let lines: Vec<_> =
        db.snapshot().neighbours().fdb().of(vx0).iter().map(|entry| entry.to_string()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("00:79")).count(), 1, "{lines:#?}");
    play(&db, &["link del vx0", "link del br0"]);
    assert!(db.snapshot().neighbours().fdb().is_empty());
}

/// `fdb_delete_local` gives the entry for a port's own address to another port that has it too, or to the bridge, and says
/// nothing.
fn the_entry_for_an_address_of_two_ports_goes_to_the_other() {
    const MAC: &str = "02:00:00:00:00:01";
    two_links();
    need_kind("bridge");
    let Some(_) = bridge_json(&["fdb", "show"]) else { crate::support::skip("no `bridge`") };
    let db = open();
    let holders = || {
        let now = db.snapshot();
        let own = now.neighbours().fdb().filter("mac", MAC).unwrap();
        let ports: BTreeSet<_> = own.filter_map(|entry| entry.index()).collect();
        let name = |index: &u32| now.link_by_index(*index).map(|link| link.name().to_owned());
        ports.iter().filter_map(name).collect::<Vec<_>>()
    };
    let alike = |names: &[&str]| {
        names.iter().map(|name| format!("link set {name} address {MAC}")).collect::<Vec<_>>()
    };
    let steps = |steps: &[String]| play(&db, &steps.iter().map(String::as_str).collect::<Vec<_>>());
    steps(&alike(&["ra0", "ra1"]));
    play(
        &db,
        &[
            "link add br0 type bridge",
            "link set br0 address 02:00:00:00:00:09",
            "link set ra0 master br0",
            "link set ra1 master br0",
            "link set rb1 master br0",
        ],
    );
    assert_eq!(holders(), ["ra0"]);
    play(&db, &["link set ra0 address 02:00:00:00:00:02"]);
    assert_eq!(holders(), ["ra1"]);
    steps(&alike(&["ra0"]));
    play(&db, &["link set ra1 nomaster"]);
    assert_eq!(holders(), ["ra0"]);
    play(&db, &["link set ra1 master br0", "link del ra0"]);
    assert_eq!(holders(), ["ra1"]);
    steps(&alike(&["br0"]));
    play(&db, &["link set ra1 address 02:00:00:00:00:03"]);
    assert_eq!(holders(), ["br0"]);
    steps(&alike(&["rb1"]));
    play(&db, &["link set br0 address 02:00:00:00:00:04"]);
    assert_eq!(holders(), ["rb1"]);
}

/// `vxlan_fdb_nh_flush` says nothing.
fn forwarding_entries_go_with_their_nexthop_object() {
    need_kind("vxlan");
    let Some(_) = bridge_json(&["fdb", "show"]) else { crate::support::skip("no `bridge`") };
    let db = open();
    play(
        &db,
        &[
            "link add vx0 type vxlan id 5 dstport 4789 nolearning",
            "nexthop add id 30 via 10.0.0.1 fdb",
            "nexthop add id 31 group 30 fdb",
            "bridge fdb add 02:00:00:00:00:80 dev vx0 nhid 31",
        ],
    );
    assert_eq!(db.snapshot().neighbours().fdb().len(), 1);
    play(&db, &["nexthop del id 30"]);
    assert!(db.snapshot().neighbours().fdb().is_empty());
}

fn a_database_follows_only_what_it_was_asked_to() {
    two_links();
    let db = Db::builder().rules(false).nexthops(false).open().unwrap();
    let all = open();
    for line in [
        "rule add pref 100 lookup 7",
        "nexthop add id 1 via 10.0.0.2 dev ra0",
        "route add 10.9.0.0/16 nhid 1",
        "neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev ra0",
    ] {
        ip(&line.split(' ').collect::<Vec<_>>());
    }
    for now in [db.sync().unwrap(), db.resync().unwrap()] {
        assert!(!now.follows_rules() && !now.follows_nexthops() && !now.follows_neighbours());
        assert!(now.rules().is_empty() && now.nexthops().is_empty());
        assert!(now.neighbours().is_empty() && now.neighbours().fdb().is_empty());
    }
    let now = all.sync().unwrap();
    assert!(now.follows_rules() && now.follows_nexthops() && now.follows_neighbours());
    assert_eq!((now.nexthops().len(), now.neighbours().len()), (1, 1));
    // K7 does not need nexthop objects to be followed.
    ip(&["nexthop", "del", "id", "1"]);
    assert!(db.sync().unwrap().routes().get("10.9.0.0/16".parse().unwrap()).is_empty());
}

fn changes_of_rules_nexthops_and_neighbours_read_as_ip_prints_them() {
    two_links();
    let db = open();
    let step = |arguments: &str, about: &str| -> Vec<String> {
        let before = db.sync().unwrap();
        ip(&arguments.split(' ').collect::<Vec<_>>());
        let diff = before.diff(&db.sync().unwrap());
        let all = diff.changes().iter().map(ToString::to_string);
        all.filter(|line| line.split(' ').nth(1) == Some(about)).collect()
    };
    let lines = step("rule add pref 100 from 10.0.0.0/8 lookup 7", "rule");
    assert_eq!(lines, ["+ rule 100: from 10.0.0.0/8 lookup 7"]);
    let lines = step("rule del pref 100", "rule");
    assert_eq!(lines, ["- rule 100: from 10.0.0.0/8 lookup 7"]);
    let lines = step("nexthop add id 1 via 10.0.0.2 dev ra0", "nexthop");
    assert_eq!(lines, ["+ nexthop id 1 via 10.0.0.2 dev ra0 scope link"]);
    let lines = step("nexthop replace id 1 via 10.0.0.3 dev ra0", "nexthop");
    assert_eq!(lines, ["~ nexthop id 1  gateway 10.0.0.2 -> 10.0.0.3"]);
    let lines = step("neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev ra0", "neigh");
    assert_eq!(lines, ["+ neigh 10.0.0.5 dev ra0 lladdr 02:00:00:00:00:05 PERMANENT"]);
    let lines = step("link set ra0 down", "nexthop");
    assert_eq!(lines, ["- nexthop id 1 via 10.0.0.3 dev ra0 scope link"]);
}

fn churn(db: &Db, seeds: std::ops::Range<u64>, steps: usize) {
    for seed in seeds {
        let mut churn = crate::support::churn::Churn::new(seed);
        let lines: Vec<_> = (0..steps).map(|_| churn.policy_line()).collect();
        // `ip -batch` ends at some errors, whatever it was told: few lines in each.
        lines.chunks(6).for_each(|some| {
            try_batch(&some.join("\n"));
        });
        (0..2).for_each(|net| {
            drop(try_ip(&["link", "set", &format!("rx{net}"), "name", &format!("ra{net}")]))
        });
        assert_eq!(differences(db), Vec::<String>::new(), "seed {seed}: {lines:#?}");
        for link in ["ra0", "ra1"] {
            drop(try_ip(&["link", "set", link, "up"]));
        }
    }
}

fn churn_ends_in_the_kernels_state() {
    two_links();
    let db = open();
    churn(&db, 0..30, 60);
    assert_eq!(db.losses().overruns, 0);
}

fn churn_with_a_tiny_buffer_ends_in_the_kernels_state() {
    two_links();
    let db = Db::builder().neighbours(true).receive_buffer(4096).open().unwrap();
    churn(&db, 100..115, 60);
    assert!(db.losses().overruns > 0, "the buffer was not too small: {:?}", db.losses());
}
