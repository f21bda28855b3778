//! Routes, rules, neighbours and nexthops against the real kernel: what the tables read from a dump is what iproute2
//! reads from it, what a specification says is what the kernel takes, and the kernel's idea of "the same" is ours.

use super::object::{Links, dump, dump_with};
use crate::route_scene::without_expiry;
use crate::support::iproute2::try_ip;
use crate::support::namespaces::receive_one;
use crate::support::oracle::to_json;
use crate::support::{ip, ip_json, need_kind, scene};
use netlinkdb::internals::object::{
    Encap, Hop, LinkRef, NEIGHBOUR, NEXTHOP, Names, Neighbour, NeighbourSpec, Nexthop, Preference,
    ROUTE, RULE, Record, Route, RouteProtocol, RouteSpec, Rule, RuleSpec, route,
};
use netlinkdb::internals::sys::{Options, Socket};
use netlinkdb::internals::wire::{Ack, Builder, Messages, flags, kind};
use netlinkdb::{Db, Snapshot, Tree};
use serde_json::Value;
use std::process::Command;

crate::cases![
    routes_read_as_iproute2_prints_them,
    routes_of_a_snapshot_read_as_iproute2_prints_them,
    routes_cut_in_two_are_those_of_the_dump,
    rules_read_as_iproute2_prints_them,
    neighbours_read_as_iproute2_prints_them,
    forwarding_entries_read_as_bridge_prints_them,
    nexthops_read_as_iproute2_prints_them,
    routes_that_are_specified_are_made,
    rules_neighbours_and_nexthops_that_are_specified_are_made,
    rules_are_the_same_to_us_where_they_are_to_the_kernel,
];

/// Without link-local addresses, whose routes come when the kernel finds the time.
const WIRES: &str = "link set lo up
    link add v0 type veth peer name v1
    link add v2 type veth peer name v3
    link set v0 addrgenmode none
    link set v1 addrgenmode none
    link set v2 addrgenmode none
    link set v3 addrgenmode none
    link set v0 up
    link set v1 up
    link set v2 up
    link set v3 up
    address add 10.0.0.1/24 dev v0
    address add 10.0.1.1/24 dev v2
    address add fd00::1/64 dev v0 nodad
    address add fd01::1/64 dev v2 nodad";

/// Kernels differ in what they can do; what they cannot is said.
fn attempt(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let output = try_ip(&line.split_whitespace().collect::<Vec<_>>());
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            eprintln!("skipped: ip {line}: {}", why.trim());
        }
    }
}

fn routes_scene() {
    need_kind("veth");
    scene(WIRES);
    scene(
        "route add default via 10.0.0.2
         route add 10.1.0.0/16 via 10.0.0.2 dev v0 metric 50 proto bird table 100
         route add 10.2.0.0/16 nexthop via 10.0.0.2 dev v0 weight 10 nexthop via 10.0.1.2 dev v2 weight 256
         route add 10.3.0.0/16 via 172.16.0.1 dev v0 onlink mtu lock 1400 advmss 1300 rtt 300ms rttvar 2s hoplimit 7 features ecn congctl reno initcwnd 10 quickack 1 window 5000 rto_min 200ms
         route add blackhole 10.5.0.0/16
         route add unreachable 10.6.0.0/16 metric 9
         route add prohibit 10.7.0.0/16
         route add throw 10.8.0.0/16 table 200
         route add 10.9.0.0/16 dev v0 scope link src 10.0.0.1 proto static
         route add 10.10.0.0/16 dev v0 tos 0x10 table 70000
         route add 10.10.0.0/16 dev v0 tos 0x28
         route add multicast 224.5.0.0/16 dev v0
         -6 route add 2001:db8:1::/48 via fd00::2
         -6 route add 2001:db8:2::/48 via fd00::2 expires 3000 pref high mtu 1300 metric 7
         -6 route add 2001:db8:3::/48 nexthop via fd00::2 dev v0 weight 3 nexthop via fd01::2 dev v2
         -6 route add unreachable 2001:db8:4::/48
         -6 route add blackhole default metric 4000
         -6 route add 2001:db8:9::1 dev v0 pref low",
    );
    attempt(
        "route add 10.4.0.0/16 via inet6 fd00::2 dev v0
         route add 10.11.0.0/16 via 10.0.0.2 realms 3/4
         route add 10.11.1.0/24 via 10.0.0.2 realms 5
         nexthop add id 1 via 10.0.0.2 dev v0
         nexthop add id 2 via 10.0.1.2 dev v2
         nexthop add id 3 group 1,5/2
         route add 10.12.0.0/16 nhid 1
         route add 10.13.0.0/16 nhid 3
         route add 10.14.0.0/16 encap mpls 100/200 via 10.0.0.2 dev v0
         route add 10.15.0.0/16 encap ip id 5 dst 1.2.3.4 ttl 3 via 10.0.0.2 dev v0
         route add 10.16.0.0/16 encap ip6 id 5 dst fd00::5 via 10.0.0.2 dev v0
         route add 10.17.0.0/16 nexthop via 10.0.0.2 dev v0 nexthop via inet6 fd01::2 dev v2 onlink
         -6 route add 2001:db8:6::/48 encap seg6 mode encap segs fc00::1,fc00::2 dev v0
         -6 route add 2001:db8:7::/48 from fd05::/64 via fd00::2
         -f mpls route add 100 via inet 10.0.0.2",
    );
}

fn all_routes() -> Vec<Route> {
    let all = dump(kind::RTM_GETROUTE, 12, &ROUTE, kind::RTM_NEWROUTE);
    all.into_iter().map(Route::new).collect()
}

fn of_family(routes: &[Route], family: u8) -> impl Iterator<Item = &Route> {
    routes.iter().filter(move |route| route.family_number() == family)
}

/// Both lists in the kernel's order, but for what differs between two dumps or is asked for elsewhere.
#[track_caller]
fn same_lists(ours: Vec<Value>, theirs: Value, differs: &[&str]) {
    let without = |list: Vec<Value>| -> Vec<String> {
        let each = list.into_iter().map(|mut value| {
            if let Some(object) = value.as_object_mut() {
                differs.iter().for_each(|key| drop(object.remove(*key)));
            }
            value.to_string()
        });
        let mut all: Vec<String> = each.collect();
        all.sort();
        all
    };
    let theirs = theirs.as_array().expect("a list").clone();
    assert!(!theirs.is_empty());
    let (ours, theirs) = (without(ours), without(theirs));
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|one| !b.contains(one)).cloned().collect()
    };
    let (we, they) = (only(&ours, &theirs), only(&theirs, &ours));
    assert!(
        we.is_empty() && they.is_empty(),
        "\nonly we:\n{}\nonly they:\n{}",
        we.join("\n"),
        they.join("\n")
    );
    assert_eq!(ours.len(), theirs.len());
}

/// Lines as sets of lines of words.
#[track_caller]
fn same_lines(ours: &str, theirs: &str) {
    let lines = |text: &str| -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut all: Vec<_> = text.lines().map(words).filter(|line| !line.is_empty()).collect();
        all.sort();
        all
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
    assert_eq!(ours, theirs);
}

fn text_of(arguments: &[&str]) -> String {
    String::from_utf8(ip(arguments).stdout).expect("text")
}

fn routes_read_as_iproute2_prints_them() {
    routes_scene();
    let (links, routes) = (Links::dump(), all_routes());
    for (family, word) in [(2, "-4"), (10, "-6")] {
        let own = || of_family(&routes, family);
        let trees = own().map(|route| to_json(&route.tree(&links))).collect();
        let theirs = ip_json(&[word, "route", "show", "table", "all"]);
        same_lists(trees, theirs, &["expires", "nh_info", "error"]);
        let lines: Vec<_> = own().map(|route| route.line(&links)).collect();
        let text = text_of(&[word, "route", "show", "table", "all"]);
        let plain = |text: &str| match text.split_once("expires ") {
            Some((before, rest)) => before.to_owned() + rest.split_once(' ').map_or("", |r| r.1),
            None => text.to_owned(),
        };
        same_lines(&plain(&lines.join("\n")), &plain(&text));
    }
    let expiring = routes.iter().filter_map(Route::expires).collect::<Vec<_>>();
    assert!(matches!(expiring[..], [2900..=3000]), "{expiring:?}");
    let mpls: Vec<_> = of_family(&routes, 28).map(Route::label).collect();
    assert!(mpls.iter().all(|label| *label == Some(100)), "{mpls:?}");
}

/// All of one family, in all tables or in one, as `ip` prints them; `differs` are the keys that say what runs by itself.
#[track_caller]
fn compare_routes(now: &Snapshot, word: &str, table: &str) {
    let all = now.routes();
    let all = table.parse().map_or(all.all(), |number| all.table(number));
    let Tree::List(trees) = all.tree() else { panic!("a list") };
    // Of the keys of a route only IPv6 has this one.
    let is_inet6 = |tree: &&Tree| tree.key("pref").is_some();
    let own = trees.iter().filter(|tree| is_inet6(tree) == (word == "-6"));
    let arguments = [word, "route", "show", "table", table];
    same_lists(own.map(to_json).collect(), ip_json(&arguments), &["expires", "nh_info", "error"]);

    let theirs = text_of(&["-4", "route", "show", "table", table])
        + &text_of(&["-6", "route", "show", "table", table]);
    same_lines(&without_expiry(&all.to_string()), &without_expiry(&theirs));
}

fn routes_of_a_snapshot_read_as_iproute2_prints_them() {
    routes_scene();
    attempt("-6 route add fd77::/64 dev v0 table 100");
    let db = Db::open().unwrap();
    let printed = || {
        text_of(&["-4", "route", "show", "table", "all"])
            + &text_of(&["-6", "route", "show", "table", "all"])
    };
    // What is compared is read where nothing moved.
    let now = (0..200).find_map(|_| {
        let before = printed();
        let now = db.sync().unwrap();
        (without_expiry(&before) == without_expiry(&printed())).then_some(now)
    });
    let now = now.expect("the kernel comes to rest");
    for table in ["all", "254", "100"] {
        compare_routes(&now, "-4", table);
        compare_routes(&now, "-6", table);
    }
    assert!(now.routes().all().len() > 40, "{}", now.routes().all());
}

fn routes_cut_in_two_are_those_of_the_dump() {
    routes_scene();
    let mut count = 0;
    for route in all_routes().iter().filter(|route| route.family_number() != 28) {
        let mut body = Vec::new();
        let mut message = Builder::new(0, 0).fixed(&route.record().encode_header());
        route.record().encode(&mut message);
        let bytes = message.finish().split_off(netlinkdb::internals::wire::HEADER);
        let key = route::split(&bytes, &mut body).expect("a route of a table");
        assert_eq!(route.key(), Some(key));
        let again = key.record(&body);
        assert!(again.same(route.record()), "{again:?}\n{route:?}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

fn rules_scene() {
    scene(
        "rule add prio 100 from 10.0.0.0/8 to 10.1.0.0/16 iif v0 oif v2 fwmark 0x1/0xff tos 0x10 table 100
         rule add prio 101 not from 10.0.0.1 lookup 200 suppress_prefixlength 3
         rule add prio 102 ipproto tcp sport 100-200 dport 80 goto 200
         rule add prio 200 blackhole
         rule add prio 201 from all iif lo prohibit
         rule add prio 203 fwmark 5 table 70000 suppress_ifgroup 4 proto static
         rule add prio 204 goto 30000
         rule add prio 205 iif nope table 5
         rule add prio 207 fwmark 0x10 unreachable
         -6 rule add prio 100 from fd00::/8 tos 0x08 table 100",
    );
    attempt(
        "rule add prio 202 l3mdev
         rule add prio 206 to 10.2.0.0/16 nop
         rule add prio 208 tun_id 7 table 9
         rule add prio 209 table 5 realms 3/4
         rule add prio 210 table 5 realms 4
         rule add prio 211 uidrange 0-0 table 7
         rule add prio 212 ipproto 99 table 7",
    );
}

fn all_rules() -> Vec<Rule> {
    dump(kind::RTM_GETRULE, 12, &RULE, kind::RTM_NEWRULE).into_iter().map(Rule::of).collect()
}

fn rules_read_as_iproute2_prints_them() {
    need_kind("veth");
    scene(WIRES);
    rules_scene();
    let rules = all_rules();
    for (family, word) in [(2, "-4"), (10, "-6")] {
        let own = || rules.iter().filter(move |rule| rule.family_number() == family);
        let trees = own().map(|rule| to_json(&rule.tree(&()))).collect();
        same_lists(trees, ip_json(&[word, "rule", "show"]), &[]);
        let lines: Vec<_> = own().map(Rule::to_string).collect();
        same_lines(&lines.join("\n"), &text_of(&[word, "rule", "show"]));
    }
}

/// `family` and `flags` are those of the request's `struct ndmsg`.
fn all_neighbours(family: u8, flags: u8) -> Vec<Neighbour> {
    let mut fixed = vec![0; 12];
    (fixed[0], fixed[10]) = (family, flags);
    let all = dump_with(kind::RTM_GETNEIGH, &fixed, &NEIGHBOUR, kind::RTM_NEWNEIGH);
    all.into_iter().map(Neighbour::of).collect()
}

fn neighbours_read_as_iproute2_prints_them() {
    need_kind("veth");
    scene(WIRES);
    scene(
        "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0
         neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev v0 nud stale
         neigh add 10.0.0.4 lladdr 02:00:00:00:00:04 dev v0 nud noarp
         neigh add fd00::5 lladdr 02:00:00:00:00:05 dev v0 router nud reachable
         neigh add proxy 10.0.0.9 dev v0",
    );
    attempt(
        "neigh add 10.0.0.5 lladdr 02:00:00:00:00:05 dev v0 protocol static
         neigh add 10.0.0.6 lladdr 02:00:00:00:00:06 dev v0 nud permanent extern_learn",
    );
    let links = Links::dump();
    for (shown, flags) in [("all", 0), ("proxy", 8)] {
        // The kernel's own multicast neighbours come with the first packet, whenever that is.
        let arguments = if shown == "all" {
            vec!["neigh", "show", "nud", "all"]
        } else {
            vec!["neigh", "show", "proxy"]
        };
        let (mut ours, mut theirs) = at_rest(|| ip_json(&arguments), || all_neighbours(0, flags));
        ours.retain(|neighbour| neighbour.dst().is_some_and(|dst| !dst.is_multicast()));
        let trees = ours.iter().map(|n| to_json(&n.tree(&links))).collect();
        let list = theirs.as_array_mut().expect("a list");
        list.retain(|one| one["dst"].as_str().is_some_and(|dst| !dst.starts_with("ff0")));
        same_lists(trees, theirs, &[]);
        let lines: Vec<_> = ours.iter().map(|n| n.line(&links)).collect();
        let text = text_of(&arguments);
        let text: Vec<_> = text.lines().filter(|line| !line.starts_with("ff0")).collect();
        same_lines(&lines.join("\n"), &text.join("\n"));
    }
}

/// The command `bridge` comes with iproute2.
fn bridge(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("bridge").args(arguments).output().expect("starting bridge");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bridge {}: {words}", arguments.join(" "));
    output.stdout
}

fn forwarding_entries_read_as_bridge_prints_them() {
    ["veth", "bridge", "vxlan"].into_iter().for_each(need_kind);
    scene(WIRES);
    scene(
        "link add br0 type bridge
         link set v1 master br0
         link set v1 type bridge_slave learning off
         link set br0 up
         link add vx0 type vxlan id 42 dstport 4789",
    );
    for words in [
        "02:00:00:00:00:09 dev v1 master static",
        "02:00:00:00:00:0c dev v1 master dynamic",
        "02:00:00:00:00:0a dev vx0 dst 10.0.0.9 via v0",
        "02:00:00:00:00:0b dev vx0 dst 10.0.0.10 port 5 vni 7 self permanent",
    ] {
        bridge(&[&["fdb", "add"][..], &words.split(' ').collect::<Vec<_>>()].concat());
    }
    let links = Links::dump();
    let (ours, theirs) = at_rest(|| bridge(&["-json", "fdb", "show"]), || all_neighbours(7, 0));
    let trees = ours.iter().map(|n| to_json(&n.tree(&links))).collect();
    same_lists(trees, serde_json::from_slice(&theirs).expect("JSON"), &[]);
    let lines: Vec<_> = ours.iter().map(|n| n.line(&links)).collect();
    same_lines(&lines.join("\n"), &String::from_utf8_lossy(&bridge(&["fdb", "show"])));
}

/// What is read while what is printed stays the same: the kernel learns, joins and ages entries when it likes.
fn at_rest<P: PartialEq, T>(print: impl Fn() -> P, read: impl Fn() -> T) -> (T, P) {
    let tries = (0..200).find_map(|_| {
        let before = print();
        let own = read();
        (print() == before).then_some((own, before))
    });
    tries.expect("the kernel comes to rest")
}

fn all_nexthops() -> Vec<Nexthop> {
    let all = dump(kind::RTM_GETNEXTHOP, 8, &NEXTHOP, kind::RTM_NEWNEXTHOP);
    all.into_iter().map(Nexthop::of).collect()
}

/// The weight of a group's member that this kernel knows as its largest, up to 256: before Linux 6.12 it is 255.
fn large_weight() -> u32 {
    for line in ["nexthop add id 91 blackhole", "nexthop add id 92 group 91,256"] {
        let told = try_ip(&line.split_whitespace().collect::<Vec<_>>());
        if !told.status.success() {
            println!(
                "skipped: a member of a nexthop group that weighs 256: this kernel knows none"
            );
            ip(&["nexthop", "del", "id", "91"]);
            return 255;
        }
    }
    ip(&["nexthop", "del", "id", "91"]);
    256
}

fn nexthops_read_as_iproute2_prints_them() {
    need_kind("veth");
    scene(WIRES);
    let weight = large_weight();
    scene(&format!(
        "nexthop add id 1 via 10.0.0.2 dev v0
         nexthop add id 2 via 10.0.1.2 dev v2
         nexthop add id 3 group 1,5/2,{weight}"
    ));
    scene(
        "nexthop add id 4 group 1/2
         nexthop add id 5 blackhole
         nexthop add id 6 via fd00::2 dev v0 proto static
         nexthop add id 7 dev v0
         nexthop add id 8 via 10.9.0.3 dev v0 onlink",
    );
    attempt(
        "nexthop add id 9 group 1/2 type resilient buckets 32 idle_timer 60 unbalanced_timer 300
         nexthop add id 10 via 10.0.0.9 fdb
         nexthop add id 11 group 10 fdb
         nexthop add id 12 encap mpls 100/200 via 10.0.0.2 dev v0
         nexthop add id 13 encap ip id 5 dst 1.2.3.4 via 10.0.0.2 dev v0",
    );
    let (links, ours) = (Links::dump(), all_nexthops());
    let trees = ours.iter().map(|n| to_json(&n.tree(&links))).collect();
    same_lists(trees, ip_json(&["nexthop", "show"]), &[]);
    let lines: Vec<_> = ours.iter().map(|n| n.line(&links)).collect();
    same_lines(&lines.join("\n"), &text_of(&["nexthop", "show"]));
    let group: Vec<_> = ours.iter().find(|n| n.id() == 3).expect("the group").group().collect();
    assert_eq!(group, [(1, 5), (2, weight)]);
}

/// Sends a request, and gives the kernel's error, 0 for none.
fn send(record: &Record, kind: u16) -> i32 {
    send_with(record, kind, flags::CREATE | flags::EXCL)
}

fn send_delete(rule: &Record) -> i32 {
    send_with(rule, kind::RTM_DELRULE, 0)
}

fn send_with(record: &Record, kind: u16, more: u16) -> i32 {
    let all = flags::REQUEST | flags::ACK | more;
    let mut message = Builder::new(kind, all).fixed(&record.encode_header());
    record.encode(&mut message);
    let socket = Socket::open(&Options { strict: true, ..Options::default() }).expect("a socket");
    socket.send(&message.finish()).expect("sending a request");
    let answer = receive_one(&socket);
    let message = Messages::new(&answer).next().expect("a message").expect("a whole message");
    let ack = Ack::parse(&message).expect("an ACK").expect("a whole ACK");
    if !ack.is_ok() {
        eprintln!("{record}: {ack:?}");
    }
    i32::from(!ack.is_ok())
}

/// Everything that was asked for is in what was made.
#[track_caller]
fn is_in(wanted: &Record, found: &Record) {
    for (id, row, value) in wanted.fields().filter(|(_, row, _)| row.compared()) {
        match (value.nested(), found.value(id).and_then(|value| value.nested())) {
            (Some(wanted), Some(found)) => is_in(wanted, found),
            _ if row.volatile != 0 => {
                let stable = |record: &Record| record.number(id) & !row.volatile;
                assert_eq!(stable(wanted), stable(found), "{}: {wanted}", row.constant);
            }
            _ => assert_eq!(Some(value), found.value(id), "{}: {wanted}", row.constant),
        }
    }
}

fn routes_that_are_specified_are_made() {
    need_kind("veth");
    scene(WIRES);
    let links = Links::dump();
    let index = |link: &LinkRef| match link {
        LinkRef::Name(name) => (1..99).find(|index| links.name_of(*index) == Some(name)),
        _ => None,
    };
    let specs: Vec<RouteSpec> = vec![
        Route::to("default").via("10.0.0.2"),
        Route::to("10.2.0.0/16").via("10.0.0.2").dev("v0").table(70_000).priority(50).mtu(1400),
        Route::to("10.3.0.0/16").via("10.77.0.1").dev("v0").onlink().tos(0x10).initcwnd(10),
        Route::to("10.4.0.0/16").dev("v0").src("10.0.0.1").protocol(RouteProtocol::BIRD),
        Route::to("10.5.0.0/16").blackhole(),
        Route::to("10.6.0.0/16").unreachable().priority(7),
        Route::to("10.7.0.0/16").prohibit(),
        Route::to("10.8.0.0/16").throw().table(5),
        Route::to("10.9.0.0/16").via("fd00::2").dev("v0"),
        Route::to("10.10.0.0/16").congestion_control("reno").via("10.0.0.2"),
        Route::to("10.11.0.0/16")
            .nexthop(Hop::via("10.0.0.2").dev("v0").weight(10))
            .nexthop(Hop::via("10.0.1.2").dev("v2").weight(256)),
        Route::to("2001:db8:1::/48").via("fd00::2").dev("v0").pref(Preference::HIGH),
        Route::to("2001:db8:2::/48").via("fd00::2").dev("v0").priority(9).mtu(1300),
        Route::to("2001:db8:4::/48").blackhole(),
        Route::to("default").via("fd00::2").dev("v0"),
    ];
    for spec in &specs {
        spec.check().expect("a good specification");
        let mut wanted = spec.record(index).expect("the interfaces");
        assert_eq!(send(&wanted, kind::RTM_NEWROUTE), 0, "{spec}");
        let made = all_routes().into_iter().find(|route| route.key() == spec.key());
        let made = made.unwrap_or_else(|| panic!("{spec} is not there"));
        if wanted.value(route::row::OIF).is_none() {
            wanted.remove(route::row::OIF);
        }
        is_in(&wanted, made.record());
    }
    if try_ip(&[
        "route",
        "add",
        "1.1.1.1/32",
        "encap",
        "ip",
        "id",
        "1",
        "dst",
        "1.2.3.4",
        "dev",
        "v0",
    ])
    .status
    .success()
    {
        let tunnel = Encap::ip([1, 2, 3, 4].into()).id(5).ttl(9);
        let spec = Route::to("10.15.0.0/16").encap(tunnel).via("10.0.0.2").dev("v0");
        let wanted = spec.record(index).expect("the interface");
        assert_eq!(send(&wanted, kind::RTM_NEWROUTE), 0);
        let made = all_routes().into_iter().find(|route| route.key() == spec.key());
        is_in(&wanted, made.expect("the route").record());
    } else {
        eprintln!("skipped: a route with a tunnel: this kernel has none");
    }
}

fn rules_neighbours_and_nexthops_that_are_specified_are_made() {
    need_kind("veth");
    scene(WIRES);
    let weight = large_weight();
    let v0 = (1..99).find(|index| Links::dump().name_of(*index) == Some("v0")).expect("v0");
    let spec = Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00:00:00:02");
    let made = |spec: NeighbourSpec| {
        let record = spec.record(|_| Some(v0)).expect("a neighbour");
        assert_eq!(send(&record, kind::RTM_NEWNEIGH), 0);
    };
    made(spec);
    let text: Vec<_> = all_neighbours(0, 0).iter().map(Neighbour::to_string).collect();
    let own = format!("10.0.0.2 dev if{v0} lladdr 02:00:00:00:00:02 PERMANENT");
    assert!(text.contains(&own), "{text:?}");
    made(Neighbour::new("10.0.0.9", "v0").proxy());
    for (spec, link) in [
        (Nexthop::new(1).via("10.0.0.2").dev("v0"), Some(v0)),
        (Nexthop::new(2).via("10.0.0.3").dev("v0").onlink(), Some(v0)),
        (Nexthop::new(3).member(1, 5).member(2, weight), None),
        (Nexthop::new(5).blackhole().inet6(), None),
        (Nexthop::new(6).via("fd00::2").dev("v0"), Some(v0)),
    ] {
        spec.check().expect("a good specification");
        let mut wanted = spec.record(link);
        assert_eq!(send(&wanted, kind::RTM_NEWNEXTHOP), 0, "{spec}");
        let id = wanted.number(netlinkdb::internals::object::nexthop::row::ID) as u32;
        let made = all_nexthops().into_iter().find(|nexthop| nexthop.id() == id);
        wanted.remove(netlinkdb::internals::object::nexthop::row::SCOPE);
        is_in(&wanted, made.expect("the nexthop").record());
    }
    // Last: one of them drops every packet, and the check of a gateway with it.
    for spec in [
        Rule::new()
            .priority(100)
            .from("10.0.0.0/8")
            .to("10.1.0.0/16")
            .iif("v0")
            .oif("v2")
            .table(70_000),
        Rule::new().priority(101).not(true).from("10.0.0.1").fwmark(1, 0xff).tos(0x10).table(5),
        Rule::new().priority(102).ip_proto(6).sport(100..=200).dport(80..=80).goto(200),
        Rule::new().priority(200).blackhole(),
        Rule::new().priority(201).table(9).suppress_prefixlength(3).suppress_ifgroup(4),
        Rule::new().priority(100).from("fd00::/8").table(5),
        Rule::new().priority(101).inet6().prohibit(),
    ] {
        spec.check().expect("a good specification");
        assert_eq!(send(&spec.record(), kind::RTM_NEWRULE), 0, "{spec}");
        let made = all_rules().into_iter().find(|rule| *rule.identity() == *spec.identity());
        is_in(&spec.record(), made.unwrap_or_else(|| panic!("{spec} is not there")).record());
        assert_ne!(send(&spec.record(), kind::RTM_NEWRULE), 0, "{spec} a second time");
    }
}

/// K37: of each pair either both or one can be there, and that is what the identities say.
fn rules_are_the_same_to_us_where_they_are_to_the_kernel() {
    let base = || Rule::new().priority(100).from("10.0.0.0/8").table(5);
    let variants: Vec<RuleSpec> = vec![
        base().not(true),
        base().protocol(RouteProtocol::BIRD),
        base().fwmark(0, 0),
        base().fwmark(0, 0xff),
        base().fwmark(5, u32::MAX),
        base().suppress_prefixlength(3),
        base().suppress_ifgroup(4),
        base().tos(0x10),
        base().uidrange(0..=0),
        base().ip_proto(6),
        base().to("10.1.0.0/16"),
        base().to("10.1.0.0/17"),
        base().iif("v0"),
        base().oif("v0"),
        base().tun_id(7),
        base().ip_proto(6).dport(80..=80),
        base().table(6),
        base().priority(101),
        base().blackhole(),
        Rule::new().priority(100).table(5),
    ];
    assert_eq!(send(&base().record(), kind::RTM_NEWRULE), 0);
    let first = all_rules().into_iter().find(|rule| *rule.identity() == *base().identity());
    let first = first.expect("the first rule");
    for variant in variants {
        let refused = send(&variant.record(), kind::RTM_NEWRULE) != 0;
        assert_eq!(refused, variant.is_refused_beside(&first), "{variant}");
        if refused {
            continue;
        }
        assert_ne!(*variant.identity(), *first.identity(), "{variant}");
        let ours = variant.identity();
        let made = all_rules().into_iter().find(|rule| *rule.identity() == *ours);
        // One at a time: it might be in the way of the next.
        let made = made.unwrap_or_else(|| panic!("{variant} is not there"));
        assert_eq!(send_delete(made.record()), 0);
    }
    let goto = |target| Rule::new().priority(9).goto(target);
    assert_eq!(send(&goto(10).record(), kind::RTM_NEWRULE), 0);
    assert_ne!(send(&goto(11).record(), kind::RTM_NEWRULE), 0);
    assert_eq!(goto(10).identity(), goto(11).identity());
}
