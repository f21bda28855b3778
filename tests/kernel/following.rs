//! What other programs do, and what the kernel does by itself, arrives: after each scenario the snapshot is what a
//! fresh database reads and what iproute2 prints.

use crate::support::judge::{ipv4_order, quiesce_and_compare_raw};
use crate::support::namespaces::Elsewhere;
use crate::support::{
    PATIENCE, batch, compare_to_the_last_row, ip, kind_available, need_kind, need_kinds,
    quiesce_and_compare, scene, skip, sysctl,
};
use netlinkdb::{Address, Db, Interface, LinkFlags, Object, Snapshot};
use std::time::Duration;

crate::cases![
    k4_a_link_goes_down_and_up,
    k5_the_last_address_goes,
    k25_without_promotion_the_secondaries_go_with_the_primary,
    k25_with_promotion_a_secondary_becomes_primary,
    k26_an_address_is_tentative_and_then_final,
    k26_a_duplicate_address_is_told_from_a_tentative_one,
    k27_ipv6_addresses_go_with_the_link,
    k27_ipv6_addresses_that_are_kept_become_tentative_in_silence,
    k27_a_link_that_goes_down_and_away_is_no_loss,
    k29_a_port_leaves_by_nomaster,
    k29_ports_leave_when_their_bridge_is_deleted,
    k29_options_of_a_port_come_by_both_families,
    k30_a_storm_of_ports,
    k32_a_link_moves_to_another_namespace_and_back,
    k32_a_port_with_addresses_moves_away,
    k33_an_index_is_given_again_to_another_kind,
    k33_an_index_is_given_again_while_nothing_is_heard,
    k34_both_ends_of_a_veth_know_each_other,
    k35_alternative_names_come_and_go,
    names_move_between_interfaces,
    a_rename_changes_the_labels_that_are_the_name,
    lifetimes_run_out,
    addresses_with_a_peer,
    the_same_address_on_two_interfaces_and_with_two_prefix_lengths,
    addresses_keep_the_order_of_the_kernel,
    the_carrier_comes_and_goes_with_the_peer,
    what_changes_in_silence_is_found_by_refresh,
    what_changes_in_silence_is_found_by_resync,
    an_interface_takes_others_with_it,
    a_queue_shows_before_and_after,
    wait_until_ends_at_once_later_or_not_at_all,
    a_wait_is_over_when_its_time_is,
    kinds_without_a_table_are_followed_too,
];

fn prefixes<'a>(all: impl IntoIterator<Item = &'a Address>) -> Vec<String> {
    all.into_iter().map(Address::prefix).collect()
}

fn on(now: &Snapshot, name: &str) -> Vec<String> {
    let index = now.link(name).unwrap_or_else(|| panic!("no {name}")).index();
    prefixes(now.addresses_of(index))
}

/// No address is tentative: tests that do not ask about DAD do not wait for it.
fn without_dad() {
    sysctl("ipv6.conf.default.accept_dad", 0);
}

fn a_veth() {
    need_kind("veth");
    scene("link add v0 type veth peer name v1");
}

/// The kernel gives it one when it has looked at the carrier, which it does once a second.
fn has_link_local(db: &Db) {
    let is = |now: &Snapshot| on(now, "v0").iter().any(|a| a.starts_with("fe80"));
    assert!(db.wait_until(PATIENCE, is).unwrap().is_some(), "{}", db.snapshot());
}

fn up(names: &str) {
    names.split_whitespace().for_each(|name| drop(ip(&["link", "set", name, "up"])));
}

fn k4_a_link_goes_down_and_up() {
    without_dad();
    a_veth();
    let db = Db::open().unwrap();
    scene("address add 10.0.0.1/24 dev v0\n address add 10.0.0.2/24 dev v0");
    for _ in 0..3 {
        up("v0 v1");
        has_link_local(&db);
        quiesce_and_compare(&db);
        scene("link set v0 down");
        let now = quiesce_and_compare(&db);
        assert_eq!(on(&now, "v0"), ["10.0.0.1/24", "10.0.0.2/24"]);
        assert!(!now.link("v0").unwrap().is_up());
    }
}

fn k5_the_last_address_goes() {
    without_dad();
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    for _ in 0..3 {
        scene("address add 10.0.0.1/24 dev v0");
        quiesce_and_compare(&db);
        scene("address del 10.0.0.1/24 dev v0");
        let now = quiesce_and_compare(&db);
        assert!(on(&now, "v0").iter().all(|a| a.starts_with("fe80")), "{now}");
    }
    scene("address add 10.0.0.1/24 dev v0\n address flush dev v0");
    assert!(on(&quiesce_and_compare(&db), "v0").is_empty());
}

const FIVE: &str = "address add 10.0.0.1/24 dev v0
    address add 10.0.0.2/24 dev v0
    address add 10.9.0.1/24 dev v0
    address add 10.0.0.3/24 dev v0
    address add 10.9.0.2/24 dev v0";

fn k25_without_promotion_the_secondaries_go_with_the_primary() {
    a_veth();
    sysctl("ipv4.conf.all.promote_secondaries", 0);
    sysctl("ipv4.conf.v0.promote_secondaries", 0);
    scene(FIVE);
    let db = Db::open().unwrap();
    let of_snapshot = |db: &Db| on(&quiesce_and_compare(db), "v0");
    assert_eq!(
        of_snapshot(&db),
        ["10.0.0.1/24", "10.9.0.1/24", "10.0.0.2/24", "10.0.0.3/24", "10.9.0.2/24"]
    );
    scene("address del 10.0.0.1/24 dev v0");
    assert_eq!(of_snapshot(&db), ["10.9.0.1/24", "10.9.0.2/24"]);
    scene("address add 10.0.0.3/24 dev v0\n address del 10.9.0.2/24 dev v0");
    assert_eq!(of_snapshot(&db), ["10.9.0.1/24", "10.0.0.3/24"]);
}

fn k25_with_promotion_a_secondary_becomes_primary() {
    a_veth();
    sysctl("ipv4.conf.v0.promote_secondaries", 1);
    scene(FIVE);
    let db = Db::open().unwrap();
    let flags = |now: &Snapshot| -> Vec<(String, bool)> {
        let index = now.link("v0").unwrap().index();
        now.addresses_of(index).iter().map(|a| (a.prefix(), a.is_secondary())).collect()
    };
    let entry = |text: &str, secondary| (text.to_owned(), secondary);
    scene("address del 10.0.0.1/24 dev v0");
    assert_eq!(
        flags(&quiesce_and_compare(&db)),
        [
            entry("10.9.0.1/24", false),
            entry("10.0.0.2/24", false),
            entry("10.0.0.3/24", true),
            entry("10.9.0.2/24", true)
        ]
    );
    scene("address del 10.9.0.1/24 dev v0");
    scene("address del 10.0.0.2/24 dev v0");
    assert_eq!(
        flags(&quiesce_and_compare(&db)),
        [entry("10.9.0.2/24", false), entry("10.0.0.3/24", false)]
    );
    scene("address add 10.9.0.1/24 dev v0\n address del 10.9.0.2/24 dev v0");
    quiesce_and_compare(&db);
}

fn k26_an_address_is_tentative_and_then_final() {
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    let mut watch = db.events().unwrap();
    scene("address add fd00::1/64 dev v0");
    let is = |now: &Snapshot, tentative| {
        let own = now.addresses().find(|a| a.prefix() == "fd00::1/64");
        own.is_some_and(|a| a.is_tentative() == tentative)
    };
    // Both are states of the kernel, and each is shown.
    let mut seen = Vec::new();
    while !is(watch.snapshot(), false) {
        watch.diff_within(PATIENCE).unwrap().expect("an end of DAD");
        seen.push(is(watch.snapshot(), true));
    }
    assert!(seen.contains(&true), "{seen:?}");
    quiesce_and_compare(&db);
}

fn k26_a_duplicate_address_is_told_from_a_tentative_one() {
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    scene("address add fd00::1/64 dev v1");
    crate::support::judge::settle(&db);
    scene("address add fd00::1/64 dev v0");
    let failed = |now: &Snapshot| {
        let v0 = now.link("v0").unwrap().index();
        now.addresses().any(|a| a.index() == v0 && a.is_duplicate())
    };
    assert!(db.wait_until(PATIENCE, failed).unwrap().is_some(), "{}", db.snapshot());
    quiesce_and_compare(&db);
}

fn k27_ipv6_addresses_go_with_the_link() {
    without_dad();
    a_veth();
    up("v0 v1");
    scene("address add fd00::1/64 dev v0\n address add 10.0.0.1/24 dev v0");
    let db = Db::open().unwrap();
    quiesce_and_compare(&db);
    scene("link set v0 down");
    assert_eq!(on(&quiesce_and_compare(&db), "v0"), ["10.0.0.1/24"]);
    up("v0");
    has_link_local(&db);
    assert_eq!(on(&quiesce_and_compare(&db), "v0").len(), 2);
}

fn k27_ipv6_addresses_that_are_kept_become_tentative_in_silence() {
    a_veth();
    sysctl("ipv6.conf.v0.keep_addr_on_down", 1);
    sysctl("ipv6.conf.all.keep_addr_on_down", 1);
    up("v0 v1");
    scene("address add fd00::1/64 dev v0\n address add fd00::2/64 dev v0 nodad");
    let db = Db::open().unwrap();
    quiesce_and_compare(&db);
    for _ in 0..2 {
        scene("link set v0 down");
        // Without any help: what the kernel did in silence is in the snapshot that the fence gives.
        let now = db.sync().unwrap();
        let kept = now.addresses().find(|a| a.prefix() == "fd00::1/64").expect("the address");
        assert!(kept.is_tentative(), "{now}");
        quiesce_and_compare(&db);
        up("v0");
        let is_final = |now: &Snapshot| {
            now.addresses().any(|a| a.prefix() == "fd00::1/64" && !a.is_tentative())
        };
        assert!(db.wait_until(PATIENCE, is_final).unwrap().is_some());
        quiesce_and_compare(&db);
    }
}

/// Its kept addresses are asked for when it goes down, and when they are it may be gone: once a reason to read
/// everything anew.
fn k27_a_link_that_goes_down_and_away_is_no_loss() {
    need_kind("veth");
    without_dad();
    sysctl("ipv6.conf.all.keep_addr_on_down", 1);
    sysctl("ipv6.conf.default.keep_addr_on_down", 1);
    let db = Db::open().unwrap();
    for _ in 0..50 {
        batch(
            "link add v0 index 90 type veth peer name v1 index 91
             link set v0 up
             link set v1 up
             address add fd00::1/64 dev v0
             address add fd00::2/64 dev v1
             link set v0 down
             link set v1 down
             link del v0",
        );
        assert_eq!(db.sync().unwrap().address_count(), 0);
    }
    quiesce_and_compare(&db);
    assert_eq!(db.losses().resyncs, 1, "{:?}", db.losses());
}

fn with_two_ports() -> (Db, [Interface; 3]) {
    need_kinds("veth bridge");
    without_dad();
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link set v0 master br0",
    );
    up("v0 v1 v2 v3 br0");
    let db = Db::open().unwrap();
    scene("link set v2 master br0\n address add 10.0.0.1/24 dev v2");
    quiesce_and_compare(&db);
    let handles = ["br0", "v0", "v2"].map(|name| db.interface(name).unwrap());
    assert_eq!(handles[0].ports().unwrap(), handles[1..]);
    (db, handles)
}

fn k29_a_port_leaves_by_nomaster() {
    let (db, [br0, v0, v2]) = with_two_ports();
    for _ in 0..3 {
        scene("link set v2 nomaster");
        quiesce_and_compare(&db);
        assert_eq!(br0.ports().unwrap(), std::slice::from_ref(&v0));
        let link = v2.link().unwrap();
        assert!(link.master().is_none() && link.bridge_port().is_none() && link.is_up());
        assert!(prefixes(&v2.addresses().unwrap()).contains(&"10.0.0.1/24".to_owned()));
        scene("link set v2 master br0");
        quiesce_and_compare(&db);
        assert_eq!(v2.master().unwrap(), Some(br0.clone()));
    }
}

fn k29_ports_leave_when_their_bridge_is_deleted() {
    let (db, [br0, v0, v2]) = with_two_ports();
    scene("link del br0");
    let now = quiesce_and_compare(&db);
    assert!(br0.is_stale() && now.link("br0").is_none());
    for port in [&v0, &v2] {
        let link = port.link().unwrap();
        assert!(
            link.master().is_none() && link.bridge_port().is_none() && link.port_kind().is_none()
        );
    }
    // And a bridge is deleted by deleting its port's peer's other users: a new one, at once full.
    scene(
        "link add br0 type bridge\n link set v0 master br0\n link set v2 master br0\n link del v1",
    );
    let now = quiesce_and_compare(&db);
    assert!(v0.is_stale() && now.link("v1").is_none());
    assert_eq!(db.interface("br0").unwrap().ports().unwrap(), [v2]);
}

fn k29_options_of_a_port_come_by_both_families() {
    let (db, [_, v0, _]) = with_two_ports();
    scene("link set v0 type bridge_slave cost 77 priority 5 hairpin on");
    quiesce_and_compare(&db);
    let link = v0.link().unwrap();
    let port = link.bridge_port().unwrap();
    assert_eq!((port.cost(), port.hairpin()), (Some(77), Some(true)));
    // The bridge family's own way, which is announced as such and in part.
    let bridge = std::process::Command::new("bridge")
        .args("link set dev v0 cost 78 learning off".split(' '))
        .output();
    match bridge {
        Ok(done) if done.status.success() => {}
        _ => skip("no command `bridge`"),
    }
    quiesce_and_compare(&db);
    let link = v0.link().unwrap();
    assert_eq!(link.bridge_port().unwrap().cost(), Some(78));
    assert_eq!(link.master(), Some(db.interface("br0").unwrap().index()));
}

fn k30_a_storm_of_ports() {
    need_kinds("veth bridge");
    without_dad();
    let all =
        |line: &str| (0..20).map(|i| line.replace('#', &i.to_string()) + "\n").collect::<String>();
    batch(&format!("link add br0 up type bridge\n{}", all("link add v# type veth peer name p#")));
    batch(&(all("link set v# up") + &all("link set p# up")));
    let db = Db::open().unwrap();
    quiesce_and_compare(&db);
    let br0 = db.interface("br0").unwrap();
    for _ in 0..3 {
        let mut watch = db.events().unwrap();
        batch(&all("link set v# master br0"));
        quiesce_and_compare(&db);
        assert_eq!(br0.ports().unwrap().len(), 20);
        let diff = watch.diff_within(PATIENCE).unwrap().expect("a difference");
        // However many messages there were, each interface is in it once.
        let mut titles: Vec<_> =
            diff.changes().iter().filter_map(|c| Some(c.after()?.title())).collect();
        let length = titles.len();
        titles.sort();
        titles.dedup();
        assert_eq!(titles.len(), length, "{titles:?}");
        assert!(titles.contains(&"link v19".to_owned()), "{titles:?}");
        batch(&all("link set v# nomaster"));
        quiesce_and_compare(&db);
        assert!(br0.ports().unwrap().is_empty());
    }
    batch(&all("link del v#"));
    let now = quiesce_and_compare(&db);
    assert!(now.link("p19").is_none() && now.link("br0").is_some());
}

fn k32_a_link_moves_to_another_namespace_and_back() {
    a_veth();
    let other = Elsewhere::new();
    let db = Db::open().unwrap();
    let there = other.run(|| Db::open().unwrap());
    let v1 = db.interface("v1").unwrap();
    for _ in 0..3 {
        let v0 = db.interface("v0").unwrap();
        ip(&["link", "set", "v0", "netns", &other.path]);
        db.sync().unwrap();
        assert!(v0.is_stale());
        // The peer that stays gets no notification, and its other end is elsewhere now.
        assert!(v1.link().unwrap().link_netnsid().is_some(), "{:?}", v1.link());
        quiesce_and_compare(&db);
        other.run(|| quiesce_and_compare(&there));
        assert_eq!(there.snapshot().link("v0").unwrap().link(), Some(v1.index()));
        let back = std::fs::read_link("/proc/thread-self").unwrap();
        let back = format!("/proc/{}/ns/net", back.display());
        other.run(|| ip(&["link", "set", "v0", "netns", &back]));
        let now = db.sync().unwrap();
        assert!(v0.is_stale() && there.sync().unwrap().link("v0").is_none());
        // Its other end is here again, in the words of both.
        let link = now.link("v1").unwrap();
        let expect = (now.link("v0").map(|link| link.index()), None);
        assert_eq!((link.link(), link.link_netnsid()), expect);
        compare_to_the_last_row(&db);
    }
}

fn k32_a_port_with_addresses_moves_away() {
    let (db, [br0, v0, v2]) = with_two_ports();
    let other = Elsewhere::new();
    ip(&["link", "set", "v2", "netns", &other.path]);
    let now = quiesce_and_compare(&db);
    assert!(v2.is_stale() && now.addresses().all(|a| a.index() != v2.index()));
    assert_eq!(br0.ports().unwrap(), [v0]);
    // A namespace that ends takes its veth, and the end that stayed here goes with it.
    drop(other);
    assert!(db.wait_until(PATIENCE, |now| now.link("v3").is_none()).unwrap().is_some());
    quiesce_and_compare(&db);
}

fn k33_an_index_is_given_again_to_another_kind() {
    need_kinds("ifb bridge veth");
    scene("link add i0 index 90 type ifb\n address add 10.0.0.1/24 dev i0");
    let db = Db::open().unwrap();
    let mut before = db.interface(90).unwrap();
    let mut watch = db.events().unwrap();
    for (kind, name) in
        [("bridge", "b0"), ("ifb", "i0"), ("ifb", "i0"), ("bridge", "i0"), ("veth", "w0")]
    {
        ip(&["link", "del", &before.name().unwrap()]);
        ip(&["link", "add", name, "index", "90", "type", kind]);
        let now = quiesce_and_compare(&db);
        assert!(before.is_stale() && before.link().is_err() && before.addresses().is_err());
        let error = before.link().unwrap_err();
        assert!(error.is_stale() && error.to_string().contains(name), "{error}");
        let error = before.set_mtu(1400).commit().unwrap_err();
        assert!(error.error().is_stale(), "{error}");
        assert_eq!(now.link(90).unwrap().kind(), Some(kind));
        assert!(now.addresses().all(|a| a.index() != 90 || a.local().is_ipv6()));
        // One that goes and another that comes, never one that changed.
        let diff = watch.diff_within(PATIENCE).unwrap().unwrap();
        let both = |c: &&netlinkdb::Change| matches!((c.before(), c.after()), (Some(Object::Link(a)), Some(Object::Link(_))) if a.index() == 90);
        assert_eq!(diff.changes().iter().filter(both).count(), 0, "{diff:?}");
        before = db.interface(90).unwrap();
        assert_eq!(before.name().unwrap(), name);
    }
}

/// With a resync between the two, which sees only the second interface.
fn k33_an_index_is_given_again_while_nothing_is_heard() {
    need_kinds("ifb bridge");
    scene("link add i0 index 90 type ifb");
    let db = Db::builder().receive_buffer(0).open().unwrap();
    let lo = db.interface("lo").unwrap();
    let before = db.interface(90).unwrap();
    let noise: String = (0..300).map(|i| format!("link set lo mtu {}\n", 2000 + i)).collect();
    batch(&format!("{noise}link del i0\nlink add b0 index 90 type bridge\n{noise}"));
    let now = quiesce_and_compare(&db);
    assert_eq!(now.link(90).unwrap().kind(), Some("bridge"));
    assert!(before.is_stale(), "{:?}", db.losses());
    assert!(!lo.is_stale());
}

fn k34_both_ends_of_a_veth_know_each_other() {
    need_kind("veth");
    let db = Db::open().unwrap();
    for i in 0..10 {
        ip(&["link", "add", &format!("a{i}"), "type", "veth", "peer", "name", &format!("b{i}")]);
        let now = db.sync().unwrap();
        let [a, b] = ["a", "b"].map(|end| now.link(format!("{end}{i}")).expect("an end"));
        assert_eq!((a.link(), b.link()), (Some(b.index()), Some(a.index())), "{now}");
    }
    // Nothing at all is excepted.
    compare_to_the_last_row(&db);
}

fn k35_alternative_names_come_and_go() {
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    let v0 = db.interface("v0").unwrap();
    scene("link property add dev v0 altname first altname second");
    quiesce_and_compare(&db);
    assert_eq!(db.interface("second").unwrap(), v0);
    scene("link property del dev v0 altname first\n link property add dev v1 altname first");
    quiesce_and_compare(&db);
    assert_eq!(db.interface("first").unwrap().name().unwrap(), "v1");
    assert_eq!(v0.link().unwrap().altnames().iter().map(|n| &**n).collect::<Vec<_>>(), ["second"]);
    scene("link del v0");
    quiesce_and_compare(&db);
    assert!(db.interface("second").is_err() && db.interface("first").is_err());
}

fn names_move_between_interfaces() {
    need_kind("ifb");
    let db = Db::open().unwrap();
    scene("link add i0 type ifb\n link add i1 type ifb");
    db.sync().unwrap();
    let [i0, i1] = ["i0", "i1"].map(|name| db.interface(name).unwrap());
    scene("link set i0 name x\n link set i1 name i0\n link set x name i1");
    quiesce_and_compare(&db);
    assert_eq!((i0.name().unwrap(), i1.name().unwrap()), ("i1".to_owned(), "i0".to_owned()));
    assert_eq!(db.interface("i0").unwrap(), i1);
    let before = db.snapshot();
    scene("link set i0 name y\n link set y name i0");
    let now = quiesce_and_compare(&db);
    assert!(before.diff(&now).is_empty(), "{:?}", before.diff(&now));
    // A name of one that is gone, taken by another.
    scene("link del i0\n link set i1 name i0");
    quiesce_and_compare(&db);
    assert!(i1.is_stale());
    assert_eq!(db.interface("i0").unwrap(), i0);
}

fn a_rename_changes_the_labels_that_are_the_name() {
    a_veth();
    scene(
        "address add 10.0.0.1/24 dev v0\n address add 10.0.0.2/24 dev v0 label v0:x\n address add 10.1.0.1/24 dev v0",
    );
    let db = Db::open().unwrap();
    let labels = |now: &Snapshot| -> Vec<String> {
        now.addresses().map(|a| a.label().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(labels(&db.snapshot()), ["v0", "v0:x", "v0"]);
    // The kernel numbers all but the first whose label was the name.
    scene("link set v0 name w0");
    assert_eq!(labels(&quiesce_and_compare(&db)), ["w0", "w0:x", "w0:2"]);
    scene("link set w0 name v0");
    assert_eq!(labels(&quiesce_and_compare(&db)), ["v0", "v0:x", "v0:2"]);
}

fn lifetimes_run_out() {
    without_dad();
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    scene(
        "address add 10.0.0.1/24 dev v0 valid_lft 1 preferred_lft 1
         address add fd00::1/64 dev v0 valid_lft 1 preferred_lft 1
         address add 10.1.0.1/24 dev v0 valid_lft 1000 preferred_lft 1
         address add fd01::1/64 dev v0 valid_lft 1000 preferred_lft 1",
    );
    let over = |now: &Snapshot| {
        let all =
            now.addresses().map(|a| (a.prefix(), a.flags().names().any(|f| f == "deprecated")));
        let all: Vec<_> = all.filter(|(text, _)| !text.starts_with("fe80")).collect();
        all == [("10.1.0.1/24".to_owned(), true), ("fd01::1/64".to_owned(), true)]
    };
    assert!(db.wait_until(PATIENCE, over).unwrap().is_some(), "{}", db.snapshot());
    quiesce_and_compare(&db);
}

fn addresses_with_a_peer() {
    without_dad();
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    scene(
        "address add 10.0.0.1 peer 10.0.0.2 dev v0
         address add 10.0.0.1 peer 10.0.1.2/24 dev v0
         address add 10.0.0.1 peer 10.0.2.2/24 dev v0
         address add 10.0.0.1 peer 10.0.2.3/25 dev v0
         address add fd00::1 peer fd00::2/64 dev v0",
    );
    let now = quiesce_and_compare(&db);
    assert_eq!(now.addresses().filter(|a| a.peer().is_some()).count(), 5);
    // Changed in place: IPv6 addresses have no other identity than themselves (K28).
    scene("address change fd00::1 peer fd00::3/64 dev v0 valid_lft 1000 preferred_lft 500");
    quiesce_and_compare(&db);
    scene("address del 10.0.0.1 peer 10.0.1.2/24 dev v0\n address del fd00::1/64 dev v0");
    let now = quiesce_and_compare(&db);
    assert_eq!(now.addresses().filter(|a| a.peer().is_some()).count(), 3);
}

fn the_same_address_on_two_interfaces_and_with_two_prefix_lengths() {
    without_dad();
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    scene(
        "address add 10.0.0.1/24 dev v0
         address add 10.0.0.1/24 dev v1
         address add 10.0.0.1/25 dev v0
         address add 10.0.0.1/16 dev v0
         address add fd00::1/64 dev v0 nodad
         address add fd00::1/64 dev v1 nodad",
    );
    let now = quiesce_and_compare(&db);
    assert_eq!(now.addresses().filter(|a| !a.is_link_local()).count(), 6);
    scene("address del 10.0.0.1/24 dev v0\n address del fd00::1/64 dev v1");
    let now = quiesce_and_compare(&db);
    assert_eq!(now.addresses().filter(|a| !a.is_link_local()).count(), 4);
    assert!(on(&now, "v1").contains(&"10.0.0.1/24".to_owned()));
}

/// The ancestor's `test_addr_ordering`: 5 networks, 3 hosts, 2 masks; then taken away in another order.
fn addresses_keep_the_order_of_the_kernel() {
    a_veth();
    sysctl("ipv4.conf.v0.promote_secondaries", 1);
    let db = Db::open().unwrap();
    let mut all = Vec::new();
    for mask in [24, 25] {
        for net in [3, 1, 4, 5, 2] {
            all.extend([2, 1, 3].map(|host| format!("172.16.{net}.{host}/{mask}")));
        }
    }
    for (i, address) in all.iter().enumerate() {
        // Addresses of one network have one scope.
        let scope = ["link", "global", "host"][usize::from(address.as_bytes()[7] - b'0') % 3];
        ip(&["address", "add", address, "dev", "v0", "scope", scope]);
        if i % 7 == 0 {
            quiesce_and_compare(&db);
        }
    }
    let now = quiesce_and_compare(&db);
    assert_eq!(ipv4_order(&now, now.link("v0").unwrap().index()).len(), 30);
    // 11 and 30 have no common divisor: each once, far from its neighbours.
    for i in 0..30 {
        ip(&["address", "del", &all[i * 11 % 30], "dev", "v0"]);
        quiesce_and_compare(&db);
    }
    assert_eq!(db.snapshot().address_count(), 0);
    // The order that a resync finds is the same that the notifications tell.
    batch(&all.iter().map(|a| format!("address add {a} dev v0\n")).collect::<String>());
    let heard = quiesce_and_compare(&db);
    let read = db.resync().unwrap();
    let v0 = read.link("v0").unwrap().index();
    assert_eq!(ipv4_order(&heard, v0), ipv4_order(&read, v0));
}

fn the_carrier_comes_and_goes_with_the_peer() {
    without_dad();
    a_veth();
    up("v0 v1");
    let db = Db::open().unwrap();
    let carrier = |wanted: bool| {
        move |now: &Snapshot| {
            let flags = now.link("v0").unwrap().flags();
            flags.contains(LinkFlags::LOWER_UP) == wanted
                && flags.contains(LinkFlags::RUNNING) == wanted
        }
    };
    for _ in 0..2 {
        assert!(db.wait_until(PATIENCE, carrier(true)).unwrap().is_some(), "{}", db.snapshot());
        quiesce_and_compare(&db);
        scene("link set v1 down");
        assert!(db.wait_until(PATIENCE, carrier(false)).unwrap().is_some(), "{}", db.snapshot());
        quiesce_and_compare(&db);
        scene("link set v1 up");
    }
}

fn silent_changes() -> Db {
    need_kinds("veth bridge");
    scene("link add br0 type bridge\n link add v0 type veth peer name v1\n link set v0 master br0");
    let db = Db::open().unwrap();
    scene(
        "link set br0 alias words
         link set br0 group 7
         link set br0 type bridge forward_delay 400 stp_state 1
         link property add dev br0 altname other
         link set v0 type bridge_slave cost 77",
    );
    let now = quiesce_and_compare(&db);
    // That the kernel says nothing is the reason for all of this.
    let br0 = now.link("br0").unwrap();
    assert_eq!((br0.alias(), br0.group(), now.link("other").is_some()), (None, 0, false));
    db
}

fn are_found(now: &Snapshot) {
    let br0 = now.link("br0").unwrap();
    assert_eq!((br0.alias(), br0.group()), (Some("words"), 7));
    assert_eq!(br0.bridge().unwrap().forward_delay(), Some(400));
    assert_eq!(now.link("other").map(|link| link.index()), Some(br0.index()));
}

fn what_changes_in_silence_is_found_by_refresh() {
    let db = silent_changes();
    let mut watch = db.events().unwrap();
    let now = db.refresh(["br0", "v0"]).unwrap();
    are_found(&now);
    assert_eq!(now.link("v0").unwrap().bridge_port().unwrap().cost(), Some(77));
    let diff = watch.diff_within(PATIENCE).unwrap().unwrap();
    assert_eq!(diff.len(), 2, "{diff:?}");
    compare_to_the_last_row(&db);
    // Asking again changes nothing, and many are asked in one.
    let all: Vec<_> = db.interfaces().iter().map(Interface::index).cycle().take(500).collect();
    let again = db.refresh(all).unwrap();
    assert!(now.diff(&again).is_empty());
    scene("link del br0");
    assert!(db.refresh(["v0"]).unwrap().link("br0").is_none());
}

fn what_changes_in_silence_is_found_by_resync() {
    let db = silent_changes();
    let br0 = db.interface("br0").unwrap();
    are_found(&db.resync().unwrap());
    compare_to_the_last_row(&db);
    assert_eq!((br0.is_stale(), db.losses().resyncs), (false, 2));
}

fn an_interface_takes_others_with_it() {
    need_kinds("veth macvlan vxlan bridge");
    without_dad();
    scene(
        "link add v0 type veth peer name v1
         link add m0 link v0 type macvlan
         link add m1 link v0 type macvlan mode bridge
         link add x0 type vxlan id 7 dev v0 dstport 4789 group 239.0.0.1
         link add br0 type bridge
         link set m1 master br0
         address add 10.0.0.1/24 dev m0",
    );
    up("v0 v1 m0 m1 br0");
    let db = Db::open().unwrap();
    let now = quiesce_and_compare(&db);
    let v0 = now.link("v0").unwrap().index();
    assert_eq!(now.link("m0").unwrap().link(), Some(v0));
    scene("link set v0 mtu 1400");
    let now = quiesce_and_compare(&db);
    assert_eq!(now.link("m0").unwrap().mtu(), 1400);
    scene("link del v1");
    let now = quiesce_and_compare(&db);
    for name in ["v0", "v1", "m0", "m1"] {
        assert!(now.link(name).is_none(), "{name}");
    }
    assert!(db.interface("br0").unwrap().ports().unwrap().is_empty());
}

fn a_queue_shows_before_and_after() {
    a_veth();
    let db = Db::builder().routes(false).open().unwrap();
    let mut watch = db.events().unwrap();
    let mut next = |what: &str| -> Vec<String> {
        scene(what);
        db.sync().unwrap();
        let diff = watch.diff_within(PATIENCE).unwrap().expect("a difference");
        diff.changes().iter().map(ToString::to_string).collect()
    };
    assert_eq!(next("link set v0 mtu 1400"), ["~ link v0  mtu 1500 -> 1400"]);
    // IPv6's copy of the MTU, which has changed in silence, may come with it.
    let name = next("link set v0 name w0");
    assert!(name.len() == 1 && name[0].starts_with("~ link v0  ifname v0 -> w0"), "{name:?}");
    let added = next("address add 10.0.0.1/24 dev w0");
    assert_eq!(added, ["+ addr inet 10.0.0.1/24 scope global w0 dev w0"]);
    let gone = next("link del w0");
    assert_eq!(gone.len(), 3, "{gone:?}");
    assert!(
        gone[0].starts_with("- addr ") && gone[1..].iter().all(|c| c.starts_with("- link ")),
        "{gone:?}"
    );
    let came = next("link add v0 type veth peer name v1");
    assert!(came.len() == 2 && came.iter().all(|c| c.starts_with("+ link ")), "{came:?}");
    // Nothing happens: nothing is seen.
    assert!(watch.diff_within(Duration::ZERO).unwrap().is_none());
    db.refresh(["lo"]).unwrap();
    assert!(watch.diff_within(Duration::ZERO).unwrap().is_none());
    // What came and went is not seen, and as an iterator it is.
    scene("link set v0 mtu 1300\n link set v0 mtu 1500\n link set v1 mtu 1300");
    db.sync().unwrap();
    let diff = watch.diff_within(Duration::ZERO).unwrap().unwrap();
    let seen: Vec<_> = diff.changes().iter().map(ToString::to_string).collect();
    assert!(seen.iter().any(|line| line.starts_with("~ link v1  mtu 1500 -> 1300")), "{seen:?}");
    assert!(!seen.iter().any(|line| line.starts_with("~ link v0  mtu")), "{seen:?}");
    scene("link set v1 mtu 1400");
    let event = watch.next().unwrap().unwrap();
    assert!(event.to_string().starts_with("~ link v1  mtu 1300 -> 1400"), "{event}");
}

fn wait_until_ends_at_once_later_or_not_at_all() {
    need_kind("ifb");
    let db = Db::open().unwrap();
    let there = |name: &'static str| move |now: &Snapshot| now.link(name).is_some();
    assert!(db.wait_until(Duration::ZERO, there("lo")).unwrap().is_some());
    assert!(db.wait_until(Duration::ZERO, there("i0")).unwrap().is_none());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| db.wait_until(Duration::MAX, there("i0")).unwrap().unwrap());
        scene("link add i0 type ifb");
        assert!(waiter.join().unwrap().link("i0").is_some());
    });
}

fn a_wait_is_over_when_its_time_is() {
    let db = Db::open().unwrap();
    let before = std::time::Instant::now();
    let time = Duration::from_millis(30);
    assert!(db.wait_until(time, |_| false).unwrap().is_none());
    assert!(before.elapsed() >= time);
    // Also while there is always something new.
    let end = std::sync::atomic::AtomicBool::new(false);
    let busy = || {
        while !end.load(std::sync::atomic::Ordering::SeqCst) {
            db.resync().unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| crate::support::namespaces::with_loopback_toggling(&end));
        scope.spawn(busy);
        assert!(db.wait_until(time, |_| false).unwrap().is_none());
        end.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

fn kinds_without_a_table_are_followed_too() {
    need_kind("veth");
    without_dad();
    // A device has one kind of rider only: macvlans, ipvlans or macsecs.
    scene("link add v0 type veth peer name v1\n link add w0 type veth peer name w1");
    let kinds = [
        ("dummy", ""),
        ("vlan", "link v0 # id 5"),
        ("bond", ""),
        ("vrf", "# table 10"),
        ("team", ""),
        ("ipvlan", "link w0 #"),
        ("macvtap", "link w1 #"),
        ("gre", "# local 10.0.0.1 remote 10.0.0.2"),
        ("gretap", "# local 10.0.0.1 remote 10.0.0.3"),
        ("ip6gre", "# local fd00::1 remote fd00::2"),
        ("ipip", "# local 10.0.0.1 remote 10.0.0.4"),
        ("sit", "# local 10.0.0.1 remote 10.0.0.5"),
        ("ip6tnl", "# local fd00::1 remote fd00::3"),
        ("vti", "# local 10.0.0.1 remote 10.0.0.6 key 1"),
        ("geneve", "# id 1 remote 10.0.0.7"),
        ("xfrm", "# dev v0 if_id 3"),
        ("wireguard", ""),
        ("macsec", "link v1 #"),
        ("nlmon", ""),
        ("vcan", ""),
    ];
    let db = Db::open().unwrap();
    let mut tried = Vec::new();
    for (kind, words) in kinds.into_iter().filter(|(kind, _)| kind_available(kind)) {
        let words = if words.is_empty() { "#" } else { words };
        let name = format!("k-{kind}");
        let line = format!("link add {name} {}", words.replace('#', &format!("type {kind}")));
        println!("{line}");
        scene(&line);
        quiesce_and_compare_raw(&db);
        for words in ["up", "down"] {
            crate::support::try_batch(&format!(
                "link set {name} mtu 1300\nlink set {name} {words}"
            ));
            quiesce_and_compare_raw(&db);
        }
        tried.push(kind);
    }
    if tried.contains(&"bond") {
        scene(
            "link add v2 type veth peer name v3\n link set v2 master k-bond\n link set k-bond up",
        );
        quiesce_and_compare_raw(&db);
        assert_eq!(db.interface("k-bond").unwrap().ports().unwrap().len(), 1);
    }
    if tried.contains(&"vrf") {
        scene("link set v1 master k-vrf\n address add 10.0.0.1/24 dev v1\n link set k-vrf up");
        quiesce_and_compare_raw(&db);
        scene("link set v1 nomaster");
        quiesce_and_compare_raw(&db);
    }
    scene("link del v0");
    quiesce_and_compare_raw(&db);
    println!("followed: {}", tried.join(" "));
    if tried.is_empty() {
        skip("this kernel has no other link kind");
    }
}
