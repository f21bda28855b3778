//! What is to be there, whether it is there already or not.

use crate::scene::{agrees, before, exactly_as_before, open, scene};
use netlinkdb::{
    Bridge, Db, Ensure, Macvlan, MacvlanMode, NewLink, Nexthop, Route, Rule, Snapshot, Veth, Vxlan,
};

crate::cases![
    what_is_not_there_is_made_and_a_second_time_nothing_is_done,
    what_is_there_otherwise_is_changed_on_request_only,
    another_kind_is_never_taken_for_the_one_that_is_meant,
    what_only_creation_can_say_is_refused_by_its_name,
    an_address_that_is_there_otherwise,
    routes_rules_and_nexthops,
    what_is_taken_away_before_the_commit_is_there_afterwards,
];

fn on(lines: &str) -> Db {
    let db = open();
    scene(lines);
    db.sync().expect("a snapshot");
    db
}

/// Ensures it, and finds the second time that nothing is to be done.
fn twice(db: &Db, what: impl Into<Ensure>) -> Snapshot {
    let what: Ensure = what.into();
    let now = db.ensure(what.clone()).expect("it").snapshot().clone();
    let mut tx = db.begin();
    tx.ensure(what).expect("it is there");
    assert!(tx.review().is_empty(), "{}", tx.review());
    now
}

fn what_is_not_there_is_made_and_a_second_time_nothing_is_done() {
    let db = on("link add w0 type veth peer name w1");
    twice(&db, Bridge::new("br0").stp_state(false).ageing_time(7000u32).mtu(1400));
    twice(&db, Veth::new("v0", "v1").mtu(1300));
    twice(&db, Macvlan::new("mv0", "w0").mode(MacvlanMode::BRIDGE));
    twice(&db, Vxlan::new("vx0", 42).dev("w0"));
    twice(&db, NewLink::with_kind("i0", "ifb"));
    let now = twice(&db, Ensure::address("br0", "10.0.0.1/24".parse().expect("an address")));
    assert_eq!(now.link("br0").map(|br0| br0.mtu()), Some(1400));
    agrees(&db);
}

fn what_is_there_otherwise_is_changed_on_request_only() {
    let db = on("link add br0 mtu 1300 type bridge");
    let was = before();
    let wanted = Bridge::new("br0").mtu(1400).ageing_time(7000u32);
    let error = db.ensure(wanted.clone()).expect_err("otherwise");
    assert!(error.is_exists() && error.is_refused(), "{error}");
    exactly_as_before(&db, &was);
    let index = db.snapshot().link("br0").expect("it").index();
    let now = twice(&db, Ensure::from(wanted).adopt());
    let br0 = now.link("br0").expect("it");
    assert_eq!((br0.index(), br0.mtu()), (index, 1400));
    assert_eq!(br0.bridge().and_then(|bridge| bridge.ageing_time()), Some(7000));
}

fn another_kind_is_never_taken_for_the_one_that_is_meant() {
    let db = on("link add br0 type ifb");
    let was = before();
    for what in [Ensure::from(Bridge::new("br0")), Ensure::from(Bridge::new("br0")).adopt()] {
        let error = db.ensure(what).expect_err("another kind");
        assert!(error.is_refused(), "{error}");
        assert!(error.to_string().contains("it is a ifb, and a bridge"), "{error}");
    }
    assert!(db.ensure(Bridge::new("lo")).expect_err("of no kind").is_refused());
    exactly_as_before(&db, &was);
}

fn what_only_creation_can_say_is_refused_by_its_name() {
    let db = on("link add w0 type veth peer name w1
        link add vx0 type vxlan id 42 dstport 4789
        link add mv0 link w0 type macvlan mode bridge");
    let error = |what: Ensure| db.ensure(what.adopt()).expect_err("not so").to_string();
    let vni = error(Vxlan::new("vx0", 43).into());
    assert!(vni.contains("id `43`") && vni.contains("has 42"), "{vni}");
    let lower = error(Macvlan::new("mv0", "w1").mode(MacvlanMode::BRIDGE).into());
    assert!(lower.contains("link `w1`") && lower.contains("has w0"), "{lower}");
    let peer = error(Veth::new("w0", "other").into());
    assert!(peer.contains("peer `other`") && peer.contains("has w1"), "{peer}");
}

fn an_address_that_is_there_otherwise() {
    let db = on("link add br0 type bridge\naddress add 10.0.0.1/24 metric 700 dev br0");
    let wanted = || {
        let spec: netlinkdb::AddressSpec = "10.0.0.1/24".parse().expect("an address");
        Ensure::address("br0", spec.priority(500))
    };
    assert!(db.ensure(wanted()).expect_err("otherwise").is_exists());
    let now = twice(&db, wanted().adopt());
    let br0 = now.link("br0").expect("it").index();
    assert_eq!(now.addresses_of(br0)[0].priority(), Some(500));
}

fn routes_rules_and_nexthops() {
    let db = on("link add br0 type bridge\nlink set br0 up\naddress add 10.0.0.1/24 dev br0
        route add 10.9.0.0/16 via 10.0.0.3");
    let wanted = || Ensure::from(Route::to("10.9.0.0/16").via("10.0.0.2"));
    assert!(db.ensure(wanted()).expect_err("otherwise").is_exists());
    let now = twice(&db, wanted().adopt());
    let routes = now.routes().get("10.9.0.0/16".parse().expect("a prefix"));
    assert_eq!((routes.len(), routes[0].gateway()), (1, Some([10, 0, 0, 2].into())));
    twice(&db, Route::to("10.8.0.0/16").via("10.0.0.2"));
    twice(&db, Rule::new().priority(500).from("10.0.0.0/8").table(100));
    twice(&db, Rule::new().from("10.7.0.0/16").table(100));
    twice(&db, Nexthop::new(7).via("10.0.0.2").dev("br0"));
    let other = || Ensure::from(Nexthop::new(7).via("10.0.0.4").dev("br0"));
    assert!(db.ensure(other()).expect_err("otherwise").is_exists());
    twice(&db, other().adopt());
}

fn what_is_taken_away_before_the_commit_is_there_afterwards() {
    let db = on("link add br0 type bridge\nlink set br0 up\naddress add 10.0.0.1/24 dev br0
        route add 10.9.0.0/16 via 10.0.0.3 proto static");
    let mut tx = db.begin();
    tx.ensure(Route::to("10.9.0.0/16").via("10.0.0.3")).expect("it is there");
    scene("route del 10.9.0.0/16");
    db.sync().expect("a snapshot");
    let now = tx.commit().expect("a commit").snapshot().clone();
    assert_eq!(now.routes().get("10.9.0.0/16".parse().expect("a prefix")).len(), 1);
}
