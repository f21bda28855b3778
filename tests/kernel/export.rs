//! Saving in the words of `ip -json -details`, and loading again.

use crate::scene::{agrees, before, exactly_as_before, open, scene};
use crate::support::{ip, ip_json};
use netlinkdb::{Db, Neighbour, NeighbourState, RouteFilter, Selection, Tree};
use serde_json::Value;

crate::cases![
    what_is_exported_is_what_ip_prints,
    what_was_exported_is_loaded_again,
    what_ip_prints_is_loaded,
    nothing_is_named_where_it_is_so,
    what_a_description_does_not_say_stays,
    what_is_written_by_hand_is_created,
    unknown_keys_and_values_are_named,
    everything_comes_back_from_a_file,
    what_is_learned_is_not_loaded,
];

const SCENE: &str = "link set lo up
    link add br0 type bridge stp_state 0 ageing_time 12000
    link add v0 address 02:00:00:00:01:00 type veth peer name v1 address 02:00:00:00:01:01
    link add mv0 link v1 address 02:00:00:00:03:00 type macvlan mode bridge
    link add vx0 address 02:00:00:00:04:00 type vxlan id 42 dstport 4789 local 10.0.0.1
    link set v0 master br0
    link set dev v0 type bridge_slave cost 77 hairpin on
    link set v1 mtu 1400
    link set v1 alias upstream
    link property add dev v1 altname wan
    link set br0 group 7
    link set br0 up
    link set v0 up
    link set v1 up
    address add 10.0.0.1/24 brd + dev br0
    address add 10.0.0.2/24 dev br0
    address add 2001:db8::1/64 dev br0 nodad
    address add 10.9.0.1/24 dev v1 metric 500
    route add 10.2.0.0/16 via 10.0.0.9 mtu 1300
    route add 10.3.0.0/16 nexthop via 10.0.0.9 weight 2 nexthop via 10.9.0.9
    route add default dev v1 table 100
    route add blackhole 10.99.0.0/16 table 100
    -6 route add 2001:db8:1::/48 via 2001:db8::9
    rule add pref 500 from 10.2.0.0/16 table 100
    rule add pref 501 fwmark 7 table 100
    -6 rule add pref 600 iif v0 table 100";

/// A database of this scene.
pub fn on(lines: &str) -> Db {
    let db = open();
    scene(lines);
    before();
    db.resync().expect("a snapshot");
    db
}

/// As text can hold it.
pub fn json(tree: &Tree) -> Value {
    crate::support::oracle::to_json(tree)
}

/// As it comes from a text.
pub fn tree(value: &Value) -> Tree {
    match value {
        Value::Null => Tree::Null,
        Value::Bool(on) => Tree::Bool(*on),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Tree::Number(number),
            (None, Some(number)) => Tree::Signed(number),
            _ => Tree::Decimal(number.as_f64().expect("a number")),
        },
        Value::String(text) => Tree::from(&**text),
        Value::Array(items) => Tree::List(items.iter().map(tree).collect()),
        Value::Object(entries) => {
            Tree::Map(entries.iter().map(|(key, value)| (key.clone(), tree(value))).collect())
        }
    }
}

/// What `ip` tells of routes and rules.
fn tables() -> Vec<String> {
    let all: [&[&str]; 4] = [
        &["route", "show", "table", "all"],
        &["-6", "route", "show", "table", "all"],
        &["rule", "show"],
        &["-6", "rule", "show"],
    ];
    let shown = all.iter().map(|one| String::from_utf8_lossy(&ip(one).stdout).into_owned());
    let mut lines: Vec<String> = shown
        .flat_map(|text| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .filter(|line| !line.contains("fe80:") && !line.contains("ff00::"))
        .map(|line| line.replace(" linkdown", ""))
        .collect();
    lines.sort();
    lines
}

pub fn load(db: &Db, saved: &Tree) {
    let mut tx = db.begin();
    tx.load(saved).expect("a description");
    let review = tx.review().to_string();
    if let Err(error) = tx.commit() {
        panic!("{error}\n{review}");
    }
}

#[track_caller]
pub fn is_so(db: &Db, saved: &Tree) {
    db.resync().expect("a snapshot");
    let mut tx = db.begin();
    tx.load(saved).expect("a description");
    assert!(tx.review().is_empty(), "{}", tx.review());
}

fn what_is_exported_is_what_ip_prints() {
    let db = on(SCENE);
    let saved = json(&Selection::everything().export(&db.snapshot()));
    let links = saved["links"].as_array().expect("a list");
    let shown = ip_json(&["-details", "address", "show", "dev", "br0"]);
    let own = links.iter().find(|link| link["ifname"] == "br0").expect("it");
    for key in ["mtu", "group", "flags", "address"] {
        assert_eq!(own[key], shown[0][key], "{key}");
    }
    assert_eq!(own["linkinfo"]["info_kind"], "bridge");
    assert_eq!(own["addr_info"].as_array().map(Vec::len), Some(3), "{}", own["addr_info"]);
    assert!(saved["routes"].as_array().is_some_and(|routes| routes.len() == 5), "{saved}");
    assert_eq!(saved["rules"].as_array().map(Vec::len), Some(8));
}

fn nothing_is_named_where_it_is_so() {
    let db = on(SCENE);
    let saved = Selection::everything().export(&db.snapshot());
    is_so(&db, &saved);
    is_so(&db, &tree(&json(&saved)));
}

fn what_was_exported_is_loaded_again() {
    let db = on(SCENE);
    let (was, tables_were) = (before(), tables());
    let saved = Selection::everything().export(&db.snapshot());
    scene(
        "link del br0
        link del mv0
        link del v0
        link del vx0
        rule del pref 500
        rule del pref 501
        -6 rule del pref 600
        route flush table 100",
    );
    db.resync().expect("a snapshot");
    load(&db, &saved);
    exactly_as_before(&db, &was);
    assert_eq!(tables(), tables_were);
    is_so(&db, &saved);
}

fn what_ip_prints_is_loaded() {
    let db = on(SCENE);
    let was = before();
    let printed = tree(&ip_json(&["-details", "address", "show"]));
    scene("link del br0\nlink del v0");
    db.resync().expect("a snapshot");
    load(&db, &printed);
    exactly_as_before(&db, &was);
}

fn what_a_description_does_not_say_stays() {
    let db = on(SCENE);
    let few: Value = serde_json::json!([{ "ifname": "v1", "mtu": 1300 }]);
    load(&db, &tree(&few));
    let now = db.snapshot();
    let v1 = now.link("v1").expect("it");
    assert_eq!((v1.mtu(), v1.alias(), v1.is_up()), (1300, Some("upstream"), true));
    assert_eq!(v1.altnames().len(), 1);
    assert_eq!(now.link("v0").and_then(|v0| v0.master()), now.link("br0").map(|br0| br0.index()));
    // Only routes, nothing else of what there is.
    let routes = Selection::routes(RouteFilter::table(100)).export(&now);
    ip(&["route", "flush", "table", "100"]);
    db.sync().expect("a snapshot");
    load(&db, &routes);
    assert_eq!(db.snapshot().routes().table(100).len(), 2);
    agrees(&db);
}

fn what_is_written_by_hand_is_created() {
    let db = on("link set lo up");
    let text = serde_json::json!({
        "links": [
            { "ifname": "a0", "linkinfo": { "info_kind": "veth" }, "link": "a1", "flags": ["UP"] },
            { "ifname": "a1", "linkinfo": { "info_kind": "veth" }, "link": "a0", "master": "br7" },
            {
                "ifname": "br7", "mtu": 1400, "flags": ["UP", "BROADCAST", "MULTICAST"],
                "linkinfo": { "info_kind": "bridge", "info_data": { "ageing_time": 7000 } },
                "addr_info": [{ "local": "10.7.0.1", "prefixlen": 24 }]
            }
        ],
        "routes": [{ "dst": "10.8.0.0/16", "gateway": "10.7.0.2", "protocol": "static" }],
        "rules": [{ "priority": 700, "src": "10.8.0.0", "srclen": 16, "table": "100" }]
    });
    load(&db, &tree(&text));
    let now = db.snapshot();
    let br7 = now.link("br7").expect("it");
    assert_eq!((br7.mtu(), br7.is_up()), (1400, true));
    assert_eq!(br7.bridge().and_then(|bridge| bridge.ageing_time()), Some(7000));
    assert_eq!(now.link("a1").and_then(|a1| a1.master()), Some(br7.index()));
    assert_eq!(now.routes().get("10.8.0.0/16".parse().expect("a prefix")).len(), 1);
    assert_eq!(now.rules().at(700).len(), 1);
    agrees(&db);
    is_so(&db, &tree(&text));
}

fn unknown_keys_and_values_are_named() {
    let db = on("link add br0 type bridge");
    let bad = [
        (serde_json::json!([{ "ifname": "br0", "mtoo": 1400 }]), "br0: mtoo"),
        (serde_json::json!([{ "mtu": 1400 }]), "ifname"),
        (serde_json::json!([{ "ifname": "br0", "mtu": "wide" }]), "br0: mtu"),
        (serde_json::json!([{ "ifname": "br0", "master": "nobody" }]), "`nobody`"),
        (
            serde_json::json!([{ "ifname": "br0", "linkinfo": { "info_kind": "bridge",
                "info_data": { "agein_time": 1 } } }]),
            "br0: agein_time",
        ),
        (
            serde_json::json!([{ "ifname": "br0", "addr_info": [{ "local": "10.0.0.1",
                "prefixlen": 24, "color": "red" }] }]),
            "addr_info: color",
        ),
        (serde_json::json!({ "links": [], "bridges": [] }), "bridges"),
        (
            serde_json::json!({ "routes": [{ "dst": "10.0.0.0/8", "colour": 1 }] }),
            "routes[0]: colour",
        ),
        (serde_json::json!({ "nexthops": [{ "id": 1, "colour": 1 }] }), "nexthops[0]: colour"),
        (
            serde_json::json!({ "neighbours": [{ "dst": "10.0.0.2", "dev": "br0", "colour": 1 }] }),
            "neighbours[0]: colour",
        ),
        (serde_json::json!({ "rules": [{ "priority": 1, "colour": 1 }] }), "rules[0]: colour"),
        (serde_json::json!(7), "a list or an object"),
    ];
    for (text, expected) in bad {
        let mut tx = db.begin();
        let error = tx.load(&tree(&text)).expect_err("a bad description");
        assert!(error.is_refused() && error.to_string().contains(expected), "{error}: {expected}");
        assert!(tx.review().is_empty());
    }
    // Another kind is never taken for the one that is meant.
    let other = serde_json::json!([{ "ifname": "br0", "linkinfo": { "info_kind": "ifb" } }]);
    let error = db.begin().load(&tree(&other)).expect_err("another kind").to_string();
    assert!(error.contains("br0: info_kind") && error.contains("bridge"), "{error}");
}

/// Of everything that stands under a key, something with whatever `ip` can say of it.
/// A nexthop object needs a carrier, which an interface that is made anew has only later: theirs stays.
const KEYED: &str = "link add n0 type veth peer name n1
    link set n0 up
    link set n1 up
    address add 10.77.0.1/24 dev n0
    nexthop add id 1 via 10.77.0.9 dev n0
    nexthop add id 2 via 10.78.0.9 dev n0 onlink
    nexthop add id 3 group 1,3/2
    nexthop add id 4 blackhole proto 66
    -6 nexthop add id 5 dev n0
    nexthop add id 6 group 1/2 type resilient buckets 8 idle_timer 5 unbalanced_timer 0
    neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
    neigh add proxy 10.0.0.77 dev br0
    -6 neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev br0 nud permanent router
    route add 10.30.0.0/16 nhid 3
    route add 10.31.0.0/16 nhid 6
    route add 10.32.0.0/16 via 10.0.0.9 rtt 100 rttvar 40 features ecn congctl reno initcwnd 12 realms 3/4 quickack 1
    route add tos 0x10 10.33.0.0/16 via 10.0.0.9 rto_min 30 ssthresh 7 cwnd 8 reordering 9 initrwnd 10
    route add 10.34.0.0/16 nexthop via 10.88.0.9 dev br0 onlink weight 3 nexthop via 10.9.0.9 realms 5
    route add unreachable 10.35.0.0/16 metric 9
    -6 route add 2001:db8:2::/48 via 2001:db8::9 expires 6000 pref high
    -6 route add 2001:db8:3::/48 nhid 5
    -6 route add default dev v1 metric 77
    rule add pref 510 ipproto tcp dport 80-90 sport 1000 table 100
    rule add pref 511 table main suppress_prefixlength 0
    rule add pref 512 not from 10.0.0.0/8 uidrange 0-0 goto 513
    rule add pref 513 tos 0x10 table 100 realms 1/2
    rule add pref 514 ipproto 77 fwmark 0x10/0xf0 suppress_ifgroup 7 table 100
    rule add pref 515 blackhole
    -6 rule add pref 610 to 2001:db8::/32 oif v0 dport 53 prohibit";

/// What an export says, without what goes on by itself: the time that is left of a route.
fn saved(db: &Db) -> (Tree, Value) {
    let tree = Selection::everything().export(&db.resync().expect("a snapshot"));
    let mut value = json(&tree);
    for route in value["routes"].as_array_mut().expect("a list") {
        if let Some(left) = route.as_object_mut().and_then(|route| route.remove("expires")) {
            assert!((5000..=6000).contains(&left.as_u64().expect("seconds")), "{left}");
            route["expires"] = "some time".into();
        }
    }
    (tree, value)
}

fn everything_comes_back_from_a_file() {
    drop(on(SCENE));
    scene(KEYED);
    let db = Db::builder().neighbours(true).open().expect("a database");
    let mut tx = db.begin();
    let by_tunnel = Neighbour::fdb("02:00:00:00:00:09", "vx0").dst("10.0.0.7").vni(7).port(4790);
    let by_tunnel = by_tunnel.via("v1");
    tx.add_neighbour(by_tunnel).expect("an entry");
    let by_port = Neighbour::fdb("02:00:00:00:00:0a", "v0").master().sticky();
    let by_port = by_port.state(NeighbourState::NOARP);
    tx.add_neighbour(by_port).expect("an entry");
    tx.commit().expect("forwarding entries");
    before();
    let was = before();
    let (tree, first) = saved(&db);
    for (list, least) in [("nexthops", 6), ("neighbours", 5), ("routes", 13), ("rules", 14)] {
        assert!(first[list].as_array().is_some_and(|all| all.len() >= least), "{list}");
    }
    let text = serde_json::to_string_pretty(&first).expect("text");
    is_so(&db, &tree);

    scene(
        "nexthop flush
        route flush table 100
        -6 route del default dev v1 metric 77
        link del br0
        link del mv0
        link del v0
        link del vx0
        rule flush
        -6 rule flush
        rule add pref 32766 table main protocol kernel
        rule add pref 32767 table default protocol kernel",
    );
    let gone = saved(&db).1;
    assert!(gone["nexthops"].as_array().is_some_and(Vec::is_empty), "{gone}");
    // As from a file: in the words, and in numbers of seconds.
    let text = text.replace("\"some time\"", "6000");
    load(&db, &self::tree(&serde_json::from_str(&text).expect("JSON")));
    exactly_as_before(&db, &was);
    let second = saved(&db).1;
    for list in ["nexthops", "neighbours", "routes", "rules"] {
        let sorted = |from: &Value| {
            let all = from[list].as_array().expect("a list");
            let mut all: Vec<_> = all.iter().map(Value::to_string).collect();
            all.sort();
            all
        };
        let (first, second) = (sorted(&first), sorted(&second));
        let lost: Vec<_> = first.iter().filter(|one| !second.contains(one)).collect();
        let new: Vec<_> = second.iter().filter(|one| !first.contains(one)).collect();
        assert!(lost.is_empty() && new.is_empty(), "{list}: - {lost:#?}\n+ {new:#?}");
    }
    is_so(&db, &tree);
}

fn what_is_learned_is_not_loaded() {
    drop(on(SCENE));
    let db = Db::builder().neighbours(true).open().expect("a database");
    let text = serde_json::json!({ "neighbours": [
        { "dst": "10.0.0.5", "dev": "br0", "lladdr": "02:00:00:00:00:05", "state": ["REACHABLE"] },
        { "dst": "10.0.0.6", "dev": "br0", "state": ["FAILED"] },
        { "mac": "02:00:00:00:00:07", "ifname": "v0", "flags": [], "master": "br0", "state": "" },
    ]});
    is_so(&db, &tree(&text));
    let wrong = serde_json::json!({ "neighbours": [{ "dst": "10.0.0.5", "dev": "br0", "state": ["GOOD"] }] });
    let error = db.begin().load(&tree(&wrong)).expect_err("no such state").to_string();
    assert!(error.contains("neighbours[0]: state"), "{error}");
    // A database that does not follow them cannot tell what is so.
    let blind = Db::open().expect("a database");
    let exported = json(&Selection::everything().export(&blind.snapshot()));
    assert!(
        exported.get("neighbours").is_none() && exported.get("nexthops").is_some(),
        "{exported}"
    );
    let kept = serde_json::json!({ "neighbours": [
        { "dst": "10.0.0.5", "dev": "br0", "lladdr": "02:00:00:00:00:05", "state": ["PERMANENT"] },
    ]});
    assert!(blind.begin().load(&tree(&kept)).expect_err("not followed").is_refused());
    load(&db, &tree(&kept));
    is_so(&db, &tree(&kept));
}
