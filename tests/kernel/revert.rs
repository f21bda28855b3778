//! Going back to an earlier snapshot, with iproute2 as the witness of what was and what is.

use crate::scene::{agrees, before, exactly_as_before, open, scene};
use crate::support::{ip, renames_what_is_up};
use netlinkdb::{
    Db, Family, Refusal, RouteFilter, RouteProtocol, Rule, RuleSpec, Selection, Snapshot,
};

crate::cases![
    everything_comes_back,
    nothing_is_named_where_nothing_has_changed,
    a_deleted_bridge_comes_back_with_its_ports,
    a_deleted_pair_comes_back_from_either_end,
    a_deleted_pair_of_which_one_end_was_down_comes_back,
    what_stands_on_another_comes_back_on_it,
    what_is_new_stays_unless_exactness_is_asked_for,
    only_what_is_spoken_of_goes_back,
    names_that_were_exchanged_go_back,
    an_heir_of_the_name_is_made_into_what_was_there,
    a_stranger_with_the_name_is_in_the_way_or_goes,
    routes_by_filter_by_words_and_by_interface_that_has_another_index,
    what_cannot_come_back_is_said_and_nothing_is_named,
    addresses_go_back_with_all_that_they_were,
    a_failed_way_back_is_rolled_back,
    what_was_down_comes_back_down,
    rules_of_one_priority_are_in_their_order_again,
];

const SCENE: &str = "link set lo up
    link add br0 type bridge stp_state 0 ageing_time 12000
    link add v0 address 02:00:00:00:01:00 type veth peer name v1 address 02:00:00:00:01:01
    link add w0 address 02:00:00:00:02:00 type veth peer name w1 address 02:00:00:00:02:01
    link set v0 master br0
    link set dev v0 type bridge_slave cost 77 hairpin on
    link add mv0 link w0 address 02:00:00:00:03:00 type macvlan mode bridge
    link add vx0 address 02:00:00:00:04:00 type vxlan id 42 dstport 4789 local 10.0.0.1
    link set w0 mtu 1400
    link set w0 alias upstream
    link property add dev w0 altname wan
    link set br0 group 7
    link set br0 up
    link set v0 up
    link set v1 up
    link set w0 up
    link set w1 up
    link set mv0 up
    address add 10.0.0.1/24 brd + dev br0
    address add 10.0.0.2/24 dev br0
    address add 2001:db8::1/64 dev br0 nodad
    address add 10.9.0.1/24 dev w0 metric 500
    route add 10.2.0.0/16 via 10.0.0.9
    route add 10.3.0.0/16 nexthop via 10.0.0.9 weight 2 nexthop via 10.9.0.9
    route add default dev w0 table 100
    route add blackhole 10.99.0.0/16 table 100
    -6 route add 2001:db8:1::/48 via 2001:db8::9
    rule add pref 500 from 10.2.0.0/16 table 100
    rule add pref 500 fwmark 7 table 100
    -6 rule add pref 600 iif w0 table 100
    neigh add 10.0.0.9 lladdr 02:00:00:00:09:09 dev br0 nud permanent";

/// Everything that `ip` tells of routes, rules and neighbours, sorted.
fn tables() -> Vec<String> {
    let lines = |arguments: &[&str]| -> Vec<String> {
        let shown = String::from_utf8(ip(arguments).stdout).expect("text");
        let tidy = |line: &str| {
            let words = line.split_whitespace();
            let words = words.filter(|word| !matches!(*word, "linkdown" | "dead"));
            words.collect::<Vec<_>>().join(" ")
        };
        shown.lines().map(tidy).collect()
    };
    let mut all = lines(&["-d", "route", "show", "table", "all"]);
    all.extend(lines(&["-d", "-6", "route", "show", "table", "all"]));
    all.extend(lines(&["rule", "show"]));
    all.extend(lines(&["-6", "rule", "show"]));
    all.extend(lines(&["nexthop", "show"]));
    all.extend(lines(&["neigh", "show", "nud", "permanent"]));
    // Link-local ones come with the carrier, when the kernel has looked at it.
    all.retain(|line| !line.contains("fe80:") && !line.contains("ff00::"));
    all.sort();
    all
}

fn open_with_neighbours() -> Db {
    drop(open());
    Db::builder().neighbours(true).open().expect("a database")
}

fn back(db: &Db, to: &Snapshot, selection: impl Into<Selection>) -> Snapshot {
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.revert_to(to, selection).expect("a way back");
    let review = tx.review().to_string();
    match tx.commit() {
        Ok(done) => done.snapshot().clone(),
        Err(error) => panic!("{error}\n{review}"),
    }
}

/// Nothing is left to be done.
#[track_caller]
fn is_back(db: &Db, to: &Snapshot, selection: impl Into<Selection>) {
    db.resync().expect("a snapshot");
    let mut tx = db.begin();
    tx.revert_to(to, selection).expect("a way back");
    assert!(tx.review().is_empty(), "{}", tx.review());
}

fn everything_comes_back() {
    let db = open_with_neighbours();
    scene(SCENE);
    let (was, tables_were) = (before(), tables());
    let good = db.resync().expect("a snapshot");
    scene(
        "link del br0
        link del mv0
        link del v1
        link set w0 down
        link set w0 name other
        link set other mtu 1300 alias downstream
        link property del dev other altname wan
        link property add dev other altname lan
        link set vx0 type vxlan ageing 77
        address flush dev other
        address add 10.9.0.77/24 dev other
        rule del pref 500 fwmark 7 table 100
        -6 rule del pref 600
        rule add pref 700 table 200
        link add new0 type ifb
        route add blackhole 10.5.0.0/16 table 100
        route add blackhole 10.6.0.0/16 table 300",
    );
    // What was changed in silence is not known before it is asked for.
    db.resync().expect("a snapshot");
    back(&db, &good, Selection::everything().exactly());
    exactly_as_before(&db, &was);
    assert_eq!(tables(), tables_were);
    is_back(&db, &good, Selection::everything().exactly());
}

fn nothing_is_named_where_nothing_has_changed() {
    let db = open_with_neighbours();
    scene(SCENE);
    before();
    let good = db.resync().expect("a snapshot");
    is_back(&db, &good, Selection::everything().exactly());
}

fn a_deleted_bridge_comes_back_with_its_ports() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    ip(&["link", "del", "br0"]);
    back(&db, &good, "br0");
    exactly_as_before(&db, &was);
    agrees(&db);
}

fn a_deleted_pair_comes_back_from_either_end() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    for end in ["v0", "v1"] {
        ip(&["link", "del", "v0"]);
        back(&db, &good, end);
        exactly_as_before(&db, &was);
    }
}

/// What was down was to be taken down before it was made; that was taken for the moment at which to look what it has by
/// itself, and the kernel refused to be told of that (`protodown off`, EOPNOTSUPP).
fn a_deleted_pair_of_which_one_end_was_down_comes_back() {
    let db = open();
    scene("link add v0 type veth peer name v1\n link set v0 up");
    let was = before();
    let good = db.resync().expect("a snapshot");
    for (end, spoken_of) in [("v0", "v1"), ("v1", "v0"), ("v0", "v0")] {
        scene(&format!("link del {end}"));
        back(&db, &good, Selection::interface(spoken_of).exactly());
        exactly_as_before(&db, &was);
    }
}

fn what_stands_on_another_comes_back_on_it() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    ip(&["link", "del", "w0"]);
    db.sync().expect("a snapshot");
    // Without what it stands on it cannot.
    let error = db.begin().revert_to(&good, "mv0").expect_err("no lower").to_string();
    assert!(error.contains("`w0`"), "{error}");
    back(&db, &good, Selection::interface("mv0").and_interface("w0"));
    exactly_as_before(&db, &was);
}

fn what_is_new_stays_unless_exactness_is_asked_for() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    scene(
        "address add 10.7.0.1/24 dev br0
        link set w1 master br0
        link property add dev br0 altname bridge
        link add new0 type ifb
        link set v0 nomaster",
    );
    let now = back(&db, &good, Selection::interface("br0").and_interface("new0"));
    let br0 = now.link("br0").expect("it").clone();
    assert_eq!(br0.altnames().len(), 1);
    assert_eq!(now.ports_of(br0.index()).map(|port| port.name()).collect::<Vec<_>>(), ["v0", "w1"]);
    assert!(now.link("new0").is_some());
    assert_eq!(now.addresses_of(br0.index()).iter().filter(|a| a.local().is_ipv4()).count(), 3);
    let exactly = Selection::interface("br0").and_interface("new0").and_interface("v0").exactly();
    back(&db, &good, exactly);
    exactly_as_before(&db, &was);
}

fn only_what_is_spoken_of_goes_back() {
    let db = open();
    scene(SCENE);
    let good = db.resync().expect("a snapshot");
    scene(
        "address del 10.0.0.2/24 dev br0
        address del 10.9.0.1/24 dev w0
        link set w0 mtu 1300
        link set br0 group 9
        rule del pref 500 fwmark 7 table 100",
    );
    let now = back(&db, &good, Selection::nothing().and_addresses_of("w0"));
    let w0 = now.link("w0").expect("it");
    assert_eq!(
        (w0.mtu(), now.addresses_of(w0.index())[0].prefix().to_string()),
        (1300, "10.9.0.1/24".to_owned())
    );
    let now = back(&db, &good, Selection::nothing().and_link("br0"));
    let br0 = now.link("br0").expect("it");
    assert_eq!(br0.group(), 7);
    assert_eq!(now.addresses_of(br0.index()).iter().filter(|a| a.local().is_ipv4()).count(), 1);
    assert_eq!(now.rules().at(500).len(), 1);
    let words: RuleSpec = Rule::new().priority(500);
    let now = back(&db, &good, Selection::nothing().and_rule(words));
    assert_eq!(now.rules().at(500).len(), 2);
}

fn names_that_were_exchanged_go_back() {
    let db = open();
    scene(SCENE);
    if !renames_what_is_up() {
        scene("link set v1 down\n link set w1 down");
    }
    let was = before();
    let good = db.resync().expect("a snapshot");
    scene(
        "link set v1 name x
        link set w1 name v1
        link set x name w1",
    );
    back(&db, &good, Selection::interface("v1").and_interface("w1"));
    exactly_as_before(&db, &was);
}

fn an_heir_of_the_name_is_made_into_what_was_there() {
    let db = open();
    scene(SCENE);
    let good = db.resync().expect("a snapshot");
    scene(
        "link del br0
        link add br0 type bridge
        address add 10.0.0.2/24 dev br0
        route add 10.8.0.0/16 dev w0",
    );
    let heir = db.sync().expect("a snapshot").link("br0").expect("it").index();
    let now = back(&db, &good, Selection::interface("br0").and_routes(RouteFilter::table(254)));
    let br0 = now.link("br0").expect("it");
    assert_eq!((br0.index(), br0.group(), br0.is_up()), (heir, 7, true));
    assert_eq!(now.ports_of(heir).count(), 1);
    let routes = now.routes().get("10.2.0.0/16".parse().expect("a prefix"));
    assert_eq!(routes.len(), 1, "{routes:?}");
    assert_eq!(routes[0].oif(), Some(heir));
    assert_eq!(now.routes().get("10.8.0.0/16".parse().expect("a prefix")).len(), 1, "not exactly");
    agrees(&db);
}

fn a_stranger_with_the_name_is_in_the_way_or_goes() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    scene("link del vx0\nlink add vx0 type ifb");
    db.sync().expect("a snapshot");
    let error = db.begin().revert_to(&good, "vx0").expect_err("in the way").to_string();
    assert!(error.contains("interface `vx0` is there already"), "{error}");
    back(&db, &good, Selection::interface("vx0").exactly());
    exactly_as_before(&db, &was);
}

fn routes_by_filter_by_words_and_by_interface_that_has_another_index() {
    let db = open();
    scene(SCENE);
    before();
    let (good, were) = (db.resync().expect("a snapshot"), tables());
    scene(
        "route del 10.2.0.0/16
        route change 10.3.0.0/16 via 10.9.0.8
        route flush table 100
        route add 10.44.0.0/16 via 10.0.0.9 proto bird
        -6 route del 2001:db8:1::/48",
    );
    // Only IPv6.
    let now = back(&db, &good, RouteFilter::table(254).family(Family::Inet6));
    assert_eq!(now.routes().get("2001:db8:1::/48".parse().expect("a prefix")).len(), 1);
    assert!(now.routes().get("10.2.0.0/16".parse().expect("a prefix")).is_empty());
    // One.
    let now = back(&db, &good, Selection::nothing().and_route(netlinkdb::Route::to("10.3.0.0/16")));
    assert_eq!(now.routes().get("10.3.0.0/16".parse().expect("a prefix"))[0].hops().count(), 2);
    // What one program has made; it had made nothing.
    let bird = RouteFilter::table(254).protocol(RouteProtocol(12));
    let now = back(&db, &good, bird);
    assert_eq!(now.routes().get("10.44.0.0/16".parse().expect("a prefix")).len(), 1);
    let now = back(&db, &good, Selection::routes(bird).exactly());
    assert!(now.routes().get("10.44.0.0/16".parse().expect("a prefix")).is_empty());
    back(&db, &good, Selection::nothing().and_all_routes().exactly());
    assert_eq!(tables(), were);
}

fn what_cannot_come_back_is_said_and_nothing_is_named() {
    let db = open();
    scene(SCENE);
    let mut tx = db.begin();
    let nobody = tx.revert_to(&db.snapshot(), "nobody").expect_err("nobody");
    assert!(nobody.to_string().contains("there is no interface `nobody`"), "{nobody}");
    let good = db.resync().expect("a snapshot");
    ip(&["link", "del", "br0"]);
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    let error =
        tx.revert_to(&good, Selection::interface("v0").and_link("w0")).expect_err("no bridge");
    assert!(error.is_refused(), "{error}");
    assert!(error.to_string().contains("`br0`"), "{error}");
    assert!(tx.review().is_empty(), "{}", tx.review());
    let routes = tx.revert_to(&good, RouteFilter::table(254)).expect_err("no bridge").to_string();
    assert!(routes.contains("`br0`"), "{routes}");
    let neighbours = tx.revert_to(&good, Selection::nothing().and_neighbours_of("w0"));
    let refusal = neighbours.expect_err("not followed");
    let expected = Refusal::NotFollowed { what: "neighbours".to_owned() }.to_string();
    assert!(refusal.to_string().contains(&expected), "{refusal}");
}

fn addresses_go_back_with_all_that_they_were() {
    let db = open();
    scene(SCENE);
    let was = before();
    let good = db.resync().expect("a snapshot");
    scene(
        "address del 10.9.0.1/24 dev w0
        address add 10.9.0.1/24 dev w0 metric 700 label w0:x
        address del 2001:db8::1/64 dev br0
        address add 2001:db8::1/80 dev br0 nodad",
    );
    // Without detection of duplicates an address is announced late.
    db.resync().expect("a snapshot");
    back(&db, &good, Selection::nothing().and_addresses_of("w0").and_addresses_of("br0"));
    exactly_as_before(&db, &was);
}

fn a_failed_way_back_is_rolled_back() {
    let db = open();
    scene(SCENE);
    let good = db.resync().expect("a snapshot");
    scene("link del br0\nlink set w0 mtu 1300");
    let was = before();
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.revert_to(&good, Selection::everything().exactly()).expect("a way back");
    tx.on_commit(|_, _| Err::<(), _>("no"));
    let error = tx.commit().expect_err("a hook");
    assert!(error.is_rolled_back() && error.is_hook(), "{error}");
    exactly_as_before(&db, &was);
}

fn what_was_down_comes_back_down() {
    // A link that was to be down was taken down before it was made, and so was told every default: some are refused.
    let db = open();
    scene(SCENE);
    scene("link set br0 down\nlink set vx0 mtu 1300");
    let was = before();
    let good = db.resync().expect("a snapshot");
    scene("link del br0\nlink del vx0");
    // Of the interfaces only: no request makes a route again that had a dead leg.
    back(&db, &good, Selection::nothing().and_interfaces());
    exactly_as_before(&db, &was);
}

/// The first of a priority is asked first. What was missing came back behind the others, and stayed there.
fn rules_of_one_priority_are_in_their_order_again() {
    let db = open();
    scene(
        "rule add pref 500 from 10.1.0.0/16 table 100
        rule add pref 500 fwmark 7 table 101
        rule add pref 500 from 10.3.0.0/16 table 102
        rule add pref 600 table 103",
    );
    let was = db.resync().expect("a snapshot");
    let tables =
        |of: &Snapshot| of.rules().at(500).iter().map(|rule| rule.table()).collect::<Vec<_>>();
    assert_eq!(tables(&was), [100, 101, 102]);
    let back = |expected: &[u32], exactly: bool| {
        db.sync().expect("a snapshot");
        let selection = Selection::everything();
        let selection = if exactly { selection.exactly() } else { selection };
        let mut tx = db.begin();
        tx.revert_to(&was, selection).expect("it can be");
        let now = tx.commit().expect("a commit").snapshot().clone();
        assert_eq!(tables(&now), expected);
        agrees(&db);
        // And nothing is left to name.
        let mut tx = db.begin();
        tx.revert_to(&was, Selection::everything()).expect("it can be");
        assert!(tx.review().is_empty(), "{}", tx.review());
    };
    ip(&["rule", "del", "pref", "500", "from", "10.1.0.0/16"]);
    back(&[100, 101, 102], false);
    // The same rules in another order.
    scene("rule del pref 500 fwmark 7\nrule add pref 500 fwmark 7 table 101");
    back(&[100, 101, 102], true);
    // What others have added since stays, behind.
    scene(
        "rule add pref 500 from 10.4.0.0/16 table 104
        rule del pref 500 from 10.1.0.0/16",
    );
    back(&[100, 101, 102, 104], false);
    back(&[100, 101, 102], true);
}
