//! Holding objects fast against other programs: iproute2 is the other program, and the witness.

use crate::rollback::more_than_is_told;
use crate::scene::{before, exactly_as_before};
use crate::support::{batch, ip, ip_json, need_kinds, quiesce_and_compare, scene, try_ip};
use netlinkdb::{Bridge, Db, FreezeReport, Frozen, Ifb, Route, RouteFilter, Rule, Selection, Veth};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

crate::cases![
    test_freeze,
    test_freeze_del,
    attributes_flags_and_names_are_held,
    an_address_of_many_comes_back_as_it_was,
    ports_and_masters_are_held,
    a_deleted_pair_comes_back,
    a_deleted_interface_comes_back_but_for_what_nobody_tells,
    a_route_is_held_by_its_handle,
    a_rule_is_held_and_others_beside_it_stay,
    a_table_is_held_exactly,
    what_is_new_stays_without_exactness,
    own_commits_move_what_is_held,
    own_commits_name_what_is_so_already,
    own_deletion_is_no_foreign_one,
    what_is_taken_back_is_no_foreign_change,
    commits_in_a_row_are_never_undone,
    a_state_that_is_given_is_brought_about_and_held,
    a_younger_freeze_goes_before_an_older_one,
    what_is_let_go_stays_changed,
    what_cannot_come_back_is_told,
    one_failure_does_not_stand_in_the_way_of_others,
    what_is_contested_is_told_and_pauses,
    another_program_fights,
    what_changes_in_silence_is_undone_when_it_is_seen,
    after_a_loss_what_differs_is_undone,
    an_interface_whose_index_is_taken_comes_back_with_another,
    others_objects_are_left_alone,
    a_hundred_freezes,
    freezes_are_refused_where_they_would_wait_for_themselves,
    an_idle_freeze_sleeps,
    the_thread_ends_with_the_last_freeze,
    unknown_objects_are_refused,
];

const WHILE: Duration = Duration::from_secs(20);

/// The next report, which is a reversion.
#[track_caller]
fn reverted(frozen: &Frozen) -> String {
    loop {
        match frozen.next_within(WHILE) {
            Some(FreezeReport::Reverted(done)) => return done.to_string(),
            // The same again and again: a pause.
            Some(FreezeReport::Contested(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until a state is seen that is as wanted.
#[track_caller]
fn until(db: &Db, frozen: &Frozen, wanted: impl FnMut(&netlinkdb::Snapshot) -> bool) {
    db.sync().expect("a snapshot");
    let seen = db.wait_until(WHILE, wanted).expect("states");
    let told = || frozen.reports().collect::<Vec<_>>();
    assert!(seen.is_some(), "never came about:\n{}\n{:#?}", db.snapshot(), told());
}

/// Nothing is undone although something could have been: what is done now has been looked at.
#[track_caller]
fn nothing_more(db: &Db, frozen: &Frozen) {
    settled(db);
    let reports: Vec<_> = frozen.reports().collect();
    assert!(reports.is_empty(), "{reports:?}");
}

/// What has been done until now has been looked at, and undone.
fn settled(db: &Db) {
    db.sync().expect("a snapshot");
    // A freeze that begins or ends waits for what is being undone.
    drop(db.freeze(Selection::nothing()).expect("a freeze"));
}

fn open() -> Db {
    Db::open().expect("a database")
}

fn mtu(name: &str) -> u64 {
    ip_json(&["link", "show", "dev", name])[0]["mtu"].as_u64().expect("an mtu")
}

fn addresses(name: &str) -> Vec<String> {
    let shown = ip_json(&["-4", "addr", "show", "dev", name]);
    let list = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
    list.iter().map(|one| one["local"].as_str().expect("an address").to_owned()).collect()
}

fn shown(arguments: &[&str]) -> String {
    String::from_utf8_lossy(&ip(arguments).stdout).trim().to_owned()
}

/// IPDB's `_test_freeze`: addresses and the mtu of a frozen interface come back; after unfreeze they stay away.
fn test_freeze() {
    need_kinds("ifb");
    let db = open();
    let mut tx = db.begin();
    tx.create(Ifb::new("if0")).unwrap();
    tx.interface("if0").add_ip("172.16.0.1/24").unwrap().add_ip("172.16.1.1/24").unwrap();
    tx.interface("if0").set_mtu(1400).up();
    tx.commit().unwrap();
    let if0 = db.interface("if0").unwrap();
    let frozen = if0.freeze().unwrap();

    ip(&["addr", "del", "172.16.0.1/24", "dev", "if0"]);
    assert_eq!(reverted(&frozen), "reverted: - addr inet 172.16.0.1/24 scope global if0 dev if0");
    ip(&["addr", "del", "172.16.1.1/24", "dev", "if0"]);
    reverted(&frozen);
    let mut found = addresses("if0");
    found.sort();
    assert_eq!(found, ["172.16.0.1", "172.16.1.1"]);
    ip(&["addr", "add", "172.16.9.1/24", "dev", "if0"]);
    assert!(reverted(&frozen).contains("+ addr inet 172.16.9.1/24"));
    assert_eq!(addresses("if0").len(), 2);
    ip(&["link", "set", "if0", "mtu", "1300"]);
    assert!(reverted(&frozen).contains("mtu 1400 -> 1300"));
    assert_eq!(mtu("if0"), 1400);

    let thawed = frozen.thaw();
    assert!(thawed.reverted() >= 4 && thawed.commits() >= 4, "{thawed}");
    ip(&["addr", "flush", "dev", "if0"]);
    db.sync().unwrap();
    assert_eq!(addresses("if0").len(), 0);
    quiesce_and_compare(&db);
}

/// IPDB's `_test_freeze_del`: a frozen interface that is deleted comes back, and its handle holds.
fn test_freeze_del() {
    need_kinds("bridge veth");
    let db = open();
    let mut tx = db.begin();
    tx.create(Bridge::new("br0").stp_state(true)).unwrap();
    tx.create(Veth::new("v0", "v1")).unwrap();
    let mut br0 = tx.interface("br0");
    br0.add_port("v0").unwrap().add_ip("10.0.0.1/24").unwrap().add_ip("10.0.0.2/24").unwrap();
    br0.set_mtu(1400).up();
    tx.interface("v0").up();
    tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.9").table(100)).unwrap();
    tx.commit().unwrap();
    let br0 = db.interface("br0").unwrap();
    let held = Selection::interface(&br0).and_routes(RouteFilter::table(100)).exactly();
    let (index, was) = (br0.index(), before());
    let frozen = db.freeze(held).unwrap();
    for _ in 0..3 {
        ip(&["link", "del", "br0"]);
        reverted(&frozen);
        assert_eq!(br0.link().unwrap().index(), index);
        assert_eq!(br0.ports().unwrap().len(), 1);
        exactly_as_before(&db, &was);
        assert!(
            shown(&["route", "show", "table", "100"])
                .starts_with("10.2.0.0/16 via 10.0.0.9 dev br0")
        );
    }
    // And a handle of before still edits it.
    br0.set_mtu(1300).commit().unwrap();
    nothing_more(&db, &frozen);
    assert_eq!(mtu("br0"), 1300);
    drop(frozen);
    ip(&["link", "del", "br0"]);
    db.sync().unwrap();
    assert!(br0.is_stale());
    quiesce_and_compare(&db);
}

fn attributes_flags_and_names_are_held() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n link set v0 up\n link set v0 alias upstream");
    let db = open();
    let v0 = db.interface("v0").unwrap();
    let was = before();
    let frozen = v0.freeze().unwrap();
    for change in [
        "link set v0 mtu 1300",
        "link set v0 promisc on",
        "link set v0 down",
        "link set v0 txqueuelen 77",
        "link set v0 alias downstream",
        "link set v0 group 5",
        "link set v0 address 02:00:00:00:00:99",
        "link property add dev v0 altname other",
        "link set v0 name w0",
    ] {
        scene(change);
        reverted(&frozen);
        exactly_as_before(&db, &was);
    }
    // Several at once are undone at once, or one by one.
    batch("link set v0 mtu 1200\n link set v0 txqueuelen 66\n link set v0 alias x");
    until(&db, &frozen, |now| {
        now.link("v0").is_some_and(|v0| v0.mtu() == 1500 && v0.alias() == Some("upstream"))
    });
    frozen.thaw();
    exactly_as_before(&db, &was);
}

fn an_address_of_many_comes_back_as_it_was() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up");
    let lines: String = (1..100).map(|n| format!("addr add 10.0.{n}.1/24 dev if0\n")).collect();
    batch(&lines);
    let db = open();
    let was = before();
    let frozen = db.interface("if0").unwrap().freeze().unwrap();
    ip(&["addr", "flush", "dev", "if0"]);
    until(&db, &frozen, |now| now.addresses().filter(|a| a.local().is_ipv4()).count() == 99);
    drop(frozen);
    let mut found = addresses("if0");
    found.sort();
    assert_eq!(found.len(), 99);
    drop(was);
    quiesce_and_compare(&db);
}

fn ports_and_masters_are_held() {
    need_kinds("veth bridge");
    scene(
        "link add br0 type bridge
        link add br1 type bridge
        link add v0 type veth peer name v1
        link add w0 type veth peer name w1
        link set v0 master br0",
    );
    let db = open();
    let frozen = db.interface("br0").unwrap().freeze().unwrap();
    ip(&["link", "set", "v0", "nomaster"]);
    reverted(&frozen);
    ip(&["link", "set", "v0", "master", "br1"]);
    reverted(&frozen);
    ip(&["link", "set", "w0", "master", "br0"]);
    reverted(&frozen);
    let now = db.sync().unwrap();
    let br0 = now.link("br0").unwrap().index();
    let ports: Vec<_> = now.ports_of(br0).map(|port| port.name().to_owned()).collect();
    assert_eq!(ports, ["v0"]);
    assert_eq!(now.link("w0").unwrap().master(), None);
    // What is not the bridge's is the port's own affair.
    ip(&["link", "set", "v0", "mtu", "1300"]);
    ip(&["link", "set", "w0", "master", "br1"]);
    until(&db, &frozen, |now| now.link("v0").is_some_and(|v0| v0.mtu() == 1300));
    drop(frozen);
    assert_eq!(db.sync().unwrap().link("w0").unwrap().master(), now.link("br1").map(|l| l.index()));
    assert_eq!(mtu("v0"), 1300);
}

fn a_deleted_pair_comes_back() {
    need_kinds("veth");
    scene(
        "link add v0 type veth peer name v1
        link set v0 up
        link set v1 up
        addr add 10.0.0.1/24 dev v0
        addr add 10.0.0.2/24 dev v1",
    );
    let db = open();
    let was = before();
    let held = Selection::interface("v0").and_interface("v1").exactly();
    let (v0, v1) = (db.interface("v0").unwrap(), db.interface("v1").unwrap());
    let frozen = db.freeze(held).unwrap();
    ip(&["link", "del", "v1"]);
    reverted(&frozen);
    assert!(!v0.is_stale() && !v1.is_stale());
    frozen.thaw();
    exactly_as_before(&db, &was);
}

/// As a rollback says it.
fn a_deleted_interface_comes_back_but_for_what_nobody_tells() {
    let db = more_than_is_told();
    let frozen = db.interface("x0").unwrap().freeze().unwrap();
    ip(&["link", "del", "x0"]);
    let Some(FreezeReport::Reverted(done)) = frozen.next_within(WHILE) else { panic!("nothing") };
    assert_eq!(done.untold(), ["the network identifiers of `x0`"]);
    assert!(done.to_string().ends_with("not given back: the network identifiers of `x0`"));
    ip(&["link", "set", "x0", "mtu", "1300"]);
    let Some(FreezeReport::Reverted(done)) = frozen.next_within(WHILE) else { panic!("nothing") };
    assert_eq!(done.untold(), [""; 0]);
}

fn a_route_is_held_by_its_handle() {
    need_kinds("ifb");
    scene(
        "link add if0 type ifb
        link set if0 up
        addr add 10.0.0.1/24 dev if0
        route add 10.2.0.0/16 via 10.0.0.9 mtu 1400
        route add 10.3.0.0/16 via 10.0.0.9",
    );
    let db = open();
    let route = db.route(Route::to("10.2.0.0/16")).unwrap();
    let frozen = route.freeze().unwrap();
    let own = || shown(&["route", "show", "10.2.0.0/16"]);
    let was = own();
    ip(&["route", "del", "10.2.0.0/16"]);
    reverted(&frozen);
    assert_eq!(own(), was);
    ip(&["route", "replace", "10.2.0.0/16", "via", "10.0.0.8"]);
    reverted(&frozen);
    assert_eq!(own(), was);
    ip(&["route", "append", "10.2.0.0/16", "via", "10.0.0.7"]);
    reverted(&frozen);
    assert_eq!(own(), was);
    assert!(!route.is_stale());
    // Others go as they please.
    ip(&["route", "del", "10.3.0.0/16"]);
    nothing_more(&db, &frozen);
    frozen.thaw();
    ip(&["route", "del", "10.2.0.0/16"]);
    quiesce_and_compare(&db);
    assert!(route.is_stale());
}

fn a_rule_is_held_and_others_beside_it_stay() {
    scene("rule add pref 500 from 10.0.0.0/8 table 100");
    let db = open();
    let rule = db.rule(Rule::new().priority(500)).unwrap();
    let frozen = rule.freeze().unwrap();
    ip(&["rule", "del", "pref", "500"]);
    reverted(&frozen);
    scene("rule add pref 500 from 10.0.0.0/8 fwmark 7 table 100\n rule add pref 501 table 7");
    nothing_more(&db, &frozen);
    ip(&["rule", "del", "pref", "500", "from", "10.0.0.0/8", "table", "100"]);
    until(&db, &frozen, |now| now.rules().at(500).len() == 2);
    frozen.thaw();
    assert_eq!(shown(&["rule", "show", "pref", "500"]).lines().count(), 2);
    quiesce_and_compare(&db);
}

fn a_table_is_held_exactly() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up\n addr add 10.0.0.1/24 dev if0");
    let lines = |verb: &str| -> String {
        (0..200).map(|n| format!("route {verb} 10.9.{n}.0/24 via 10.0.0.9 table 100\n")).collect()
    };
    batch(&lines("add"));
    let db = open();
    let all = || shown(&["route", "show", "table", "100"]);
    let was = all();
    let frozen = db.freeze(Selection::routes(RouteFilter::table(100)).exactly()).unwrap();
    ip(&["route", "flush", "table", "100"]);
    until(&db, &frozen, |now| now.routes().table(100).iter().count() == 200);
    batch(
        "route add blackhole 10.10.0.0/16 table 100\n route replace 10.9.7.0/24 via 10.0.0.7 table 100",
    );
    ip(&["route", "add", "blackhole", "10.10.0.0/16", "table", "101"]);
    until(&db, &frozen, |now| {
        let table = now.routes().table(100);
        now.routes().table(101).iter().count() == 1
            && table.iter().count() == 200
            && table.filter("gateway", "10.0.0.7").unwrap().count() == 0
    });
    frozen.thaw();
    assert_eq!(all(), was);
    assert_eq!(shown(&["route", "show", "table", "101"]).lines().count(), 1);
    // The kernel takes them in silence; they come back with the interface.
    let both = Selection::interface("if0").and_routes(RouteFilter::table(100)).exactly();
    let frozen = db.freeze(both).unwrap();
    ip(&["link", "set", "if0", "down"]);
    reverted(&frozen);
    drop(frozen);
    assert_eq!(all(), was);
    quiesce_and_compare(&db);
}

fn what_is_new_stays_without_exactness() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up\n addr add 10.0.0.1/24 dev if0");
    let db = open();
    let frozen = db.freeze(Selection::everything()).unwrap();
    scene(
        "addr add 10.0.0.2/24 dev if0
        link add new0 type ifb
        route add blackhole 10.5.0.0/16
        rule add pref 700 table 7",
    );
    nothing_more(&db, &frozen);
    ip(&["addr", "del", "10.0.0.1/24", "dev", "if0"]);
    reverted(&frozen);
    scene("link del new0\n rule del pref 700\n route del 10.5.0.0/16");
    nothing_more(&db, &frozen);
    frozen.thaw();
    let now = quiesce_and_compare(&db);
    assert!(now.link("new0").is_none() && now.rules().at(700).is_empty());
    assert!(addresses("if0").contains(&"10.0.0.1".to_owned()));
}

fn own_commits_move_what_is_held() {
    need_kinds("ifb veth");
    scene("link add if0 type ifb\n link set if0 up\n addr add 10.0.0.1/24 dev if0");
    let db = open();
    let frozen = db.freeze(Selection::everything().exactly()).unwrap();
    let if0 = db.interface("if0").unwrap();
    if0.set_mtu(1400)
        .add_ip("10.7.0.1/24")
        .unwrap()
        .del_ip("10.0.0.1/24")
        .unwrap()
        .commit()
        .unwrap();
    let mut tx = db.begin();
    tx.create(Veth::new("v0", "v1")).unwrap();
    tx.interface("v0").up();
    tx.add_route(Route::to("10.8.0.0/16").via("10.7.0.9")).unwrap();
    tx.add_rule(Rule::new().priority(500).table(100)).unwrap();
    tx.replace_table(100, [Route::to("10.9.0.0/16").blackhole().table(100)]).unwrap();
    tx.commit().unwrap();
    nothing_more(&db, &frozen);
    // And what they have made is held from now on.
    scene("link del v0\n addr del 10.7.0.1/24 dev if0\n rule del pref 500\n route flush table 100");
    until(&db, &frozen, |now| {
        now.link("v0").is_some_and(|v0| v0.is_up())
            && now.addresses().any(|a| a.local().to_string() == "10.7.0.1")
            && now.rules().at(500).len() == 1
            && now.routes().table(100).iter().count() == 1
            && now.routes().get("10.8.0.0/16".parse().unwrap()).len() == 1
    });
    // A failed commit moves nothing.
    let mut tx = db.begin();
    tx.interface("if0").set_mtu(1300);
    tx.on_commit(|_, _| Err::<(), _>("no"));
    tx.commit().unwrap_err();
    ip(&["link", "set", "if0", "mtu", "1200"]);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1400));
    // A link that we take down keeps the routes away that went with it.
    if0.down().commit().unwrap();
    settled(&db);
    frozen.reports().for_each(drop);
    nothing_more(&db, &frozen);
    assert!(!if0.link().unwrap().is_up());
    frozen.thaw();
    quiesce_and_compare(&db);
}

/// What others have changed and was not undone yet when a commit wanted just that: the commit holds.
fn own_commits_name_what_is_so_already() {
    need_kinds("ifb");
    scene("link add if0 type ifb");
    let db = open();
    let if0 = db.interface("if0").unwrap();
    let frozen = if0.freeze().unwrap();
    // A hook holds up everybody else's commit, the one that undoes among them.
    let mut tx = db.begin();
    tx.interface("lo").up();
    let (entered, wait) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    tx.on_commit(move |_, _| {
        entered.send(()).unwrap();
        let _ = gone.lock().unwrap().recv();
        Ok::<(), &str>(())
    });
    let ours = thread::spawn(move || tx.commit().map(drop));
    wait.recv().unwrap();
    ip(&["link", "set", "if0", "mtu", "1300"]);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1300));
    go.send(()).unwrap();
    ours.join().unwrap().unwrap();
    // Either it was undone before, or it is so already: in the end it holds.
    while let Err(error) = if0.set_mtu(1300).commit() {
        // It was undone since this began.
        assert!(error.is_conflict(), "{error}");
    }
    drop(db.freeze(Selection::nothing()).unwrap());
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1300));
    ip(&["link", "set", "if0", "mtu", "1250"]);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1300));
    drop(frozen);
    assert_eq!(mtu("if0"), 1300);
}

fn own_deletion_is_no_foreign_one() {
    need_kinds("bridge veth");
    scene("link add br0 type bridge\n link add v0 type veth peer name v1\n link set v0 master br0");
    let db = open();
    let frozen = db.freeze(Selection::everything().exactly()).unwrap();
    let mut tx = db.begin();
    tx.remove("br0").unwrap();
    tx.commit().unwrap();
    let mut tx = db.begin();
    tx.remove("v0").unwrap();
    tx.commit().unwrap();
    nothing_more(&db, &frozen);
    assert_eq!(db.snapshot().links().count(), 1);
}

/// A commit that nobody confirms is undone: that is our own doing too.
fn what_is_taken_back_is_no_foreign_change() {
    need_kinds("ifb veth");
    scene("link add if0 type ifb\n link set if0 mtu 1400\n addr add 10.0.0.1/24 dev if0");
    let db = open();
    let was = before();
    let frozen = db.freeze(Selection::everything().exactly()).unwrap();
    let mut tx = db.begin();
    tx.create(Veth::new("v0", "v1")).unwrap();
    let mut if0 = tx.interface("if0");
    if0.set_mtu(1300).del_ip("10.0.0.1/24").unwrap().add_ip("10.1.0.1/24").unwrap();
    let unconfirmed = tx.commit_confirmed(Duration::from_secs(60)).unwrap();
    nothing_more(&db, &frozen);
    assert_eq!(mtu("if0"), 1300);
    drop(unconfirmed);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1400));
    nothing_more(&db, &frozen);
    frozen.thaw();
    exactly_as_before(&db, &was);
}

/// Commits in a row while the freeze looks at every state: not one is taken for another program's change.
fn commits_in_a_row_are_never_undone() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up");
    let db = open();
    let frozen = db.freeze(Selection::everything().exactly()).unwrap();
    let if0 = db.interface("if0").unwrap();
    for n in 0..300u32 {
        if0.set_mtu(1300 + n % 100).commit().unwrap();
        let address = format!("10.{}.{}.1/32", n / 200, n % 200);
        if0.add_ip(address.as_str()).unwrap().commit().unwrap();
    }
    nothing_more(&db, &frozen);
    let thawed = frozen.thaw();
    assert_eq!((thawed.reverted(), thawed.failed()), (0, 0), "{thawed:?}");
    assert_eq!(addresses("if0").len(), 300);
}

fn a_state_that_is_given_is_brought_about_and_held() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400\n addr add 10.0.0.1/24 dev if0");
    let db = open();
    let good = db.snapshot();
    scene("addr del 10.0.0.1/24 dev if0\n link set if0 mtu 1300\n rule add pref 77 table 7");
    db.sync().unwrap();
    let frozen = db.freeze_at(Selection::interface("if0").exactly(), &good).unwrap();
    assert_eq!((mtu("if0"), addresses("if0").len()), (1400, 1));
    ip(&["link", "set", "if0", "mtu", "1200"]);
    reverted(&frozen);
    assert_eq!(mtu("if0"), 1400);
    frozen.thaw();
    assert_eq!(db.snapshot().rules().at(77).len(), 1);
    // What cannot be brought about is not held.
    ip(&["link", "del", "if0"]);
    db.sync().unwrap();
    scene("link add if0 index 4000 type bridge");
    db.sync().unwrap();
    let error = db.freeze_at(Selection::interface("if0"), &good).unwrap_err();
    assert!(error.is_refused() || error.is_exists(), "{error}");
}

fn a_younger_freeze_goes_before_an_older_one() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400");
    let db = open();
    let if0 = db.interface("if0").unwrap();
    let first = db.snapshot();
    let older = if0.freeze().unwrap();
    // The same thing twice is no error.
    let twin = if0.freeze().unwrap();
    ip(&["link", "set", "if0", "mtu", "1300"]);
    reverted(&twin);
    drop(twin);
    assert!(older.reports().next().is_none());
    // Each holds another state: the last word counts.
    drop(older);
    if0.set_mtu(1500).commit().unwrap();
    let older = if0.freeze().unwrap();
    let younger = db.freeze_at(Selection::interface("if0").exactly(), &first).unwrap();
    assert_eq!(mtu("if0"), 1400);
    ip(&["link", "set", "if0", "mtu", "1300"]);
    reverted(&younger);
    assert_eq!(mtu("if0"), 1400);
    drop((younger, older));
}

fn what_is_let_go_stays_changed() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400");
    let db = open();
    for round in 0..50 {
        let frozen = db.interface("if0").unwrap().freeze().unwrap();
        if round % 2 == 0 {
            ip(&["link", "set", "if0", "mtu", "1200"]);
        }
        drop(frozen);
        ip(&["link", "set", "if0", "mtu", "1300"]);
        db.sync().unwrap();
        drop(db.freeze(Selection::nothing()).unwrap());
        assert_eq!(mtu("if0"), 1300);
        ip(&["link", "set", "if0", "mtu", "1400"]);
        db.sync().unwrap();
    }
}

fn what_cannot_come_back_is_told() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400");
    let db = open();
    let frozen = db.interface("if0").unwrap().freeze().unwrap();
    // A hook that is not content stands in the way.
    let guard = db.on_commit(|now, _| match now.link("if0") {
        Some(if0) if if0.mtu() == 1400 => Err("not now"),
        _ => Ok(()),
    });
    ip(&["link", "set", "if0", "mtu", "1300"]);
    match frozen.next_within(WHILE) {
        Some(FreezeReport::Failed(error)) => {
            assert!(error.is_hook() && error.is_rolled_back(), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // It may be tried again at this moment, and is rolled back then.
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1300));
    // And is tried again by itself when the pause is over.
    drop(guard);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1400));
    let thawed = frozen.thaw();
    assert!(thawed.failed() >= 1, "{thawed:?}");
}

fn one_failure_does_not_stand_in_the_way_of_others() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link add if1 type ifb\n link add if2 type ifb");
    let db = open();
    let held = Selection::interface("if0").and_interface("if1").and_interface("if2").exactly();
    let frozen = db.freeze(held).unwrap();
    let normal = mtu("if1") as u32;
    let guard = db.on_commit(move |now, _| match now.link("if1") {
        Some(if1) if if1.mtu() == normal => Err("not if1"),
        _ => Ok(()),
    });
    batch("link set if1 mtu 1301\n link set if0 mtu 1300\n link set if2 mtu 1302");
    until(&db, &frozen, |now| {
        let mtu = |name: &str| now.link(name).map(|link| link.mtu());
        (mtu("if0"), mtu("if1"), mtu("if2")) == (Some(normal), Some(1301), Some(normal))
    });
    drop(guard);
    until(&db, &frozen, |now| now.link("if1").is_some_and(|if1| if1.mtu() == normal));
    drop(frozen);
}

fn what_is_contested_is_told_and_pauses() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400\n link add if1 type ifb");
    let db = open();
    let held = Selection::interface("if0").and_interface("if1").exactly();
    let frozen = db.freeze(held).unwrap();
    let normal = mtu("if1");
    let contest = loop {
        ip(&["link", "set", "if0", "mtu", "1300"]);
        match frozen.next_within(WHILE).expect("a report") {
            FreezeReport::Reverted(_) => {}
            FreezeReport::Contested(contest) => break contest,
            other => panic!("{other}"),
        }
    };
    assert_eq!(contest.times(), 6, "{contest}");
    assert_eq!(contest.change().to_string(), "~ link if0  mtu 1400 -> 1300");
    // The other interface has no pause.
    ip(&["link", "set", "if1", "mtu", "1300"]);
    until(&db, &frozen, |now| now.link("if1").is_some_and(|if1| u64::from(if1.mtu()) == normal));
    // When the pause is over it is undone, although nobody says anything any more.
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1400));
    drop(frozen);
}

/// Another program that sets it back as fast as it can: for a second, or for ten with `NETLINKDB_FIGHT=10`.
fn another_program_fights() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 mtu 1400\n link set if0 up");
    let db = open();
    let seconds = std::env::var("NETLINKDB_FIGHT").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let frozen = db.interface("if0").unwrap().freeze().unwrap();
    let busy = || enforcing().0;
    let (start, spent) = (Instant::now(), busy());
    let mut fought = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        ip(&["link", "set", "if0", "mtu", "1300"]);
        ip(&["addr", "add", "10.0.0.1/24", "dev", "if0"]);
        try_ip(&["addr", "del", "10.0.0.1/24", "dev", "if0"]);
        fought += 1;
    }
    let spent = busy().saturating_sub(spent);
    let thawed = frozen.thaw();
    println!(
        "{fought} rounds of fight in {seconds} s: {thawed}; the enforcing thread took {spent:?}"
    );
    // 5 at once, and then one in 10 ms, 20 ms ... for each of two objects.
    assert!(thawed.commits() <= 2 * (5 + 12 + seconds), "{thawed:?}");
    // A way back that the other overtakes is found not to hold: that counts as a failure, and has a pause too.
    assert!(thawed.contested() >= 1 && thawed.failed() <= 10, "{thawed:?}");
    assert!(spent < Duration::from_millis(100 * seconds + 100), "{spent:?}");
    quiesce_and_compare(&db);
}

/// The enforcing thread, which gives itself its name when it begins.
fn enforcing() -> (Duration, u64) {
    let start = Instant::now();
    loop {
        if let Some(found) = thread_of("netlinkdb-hold") {
            return found;
        }
        assert!(start.elapsed() < WHILE, "no thread");
        thread::yield_now();
    }
}

/// What a thread of this process in our namespace has done: processor time in ticks of 10 ms, and how often it has gone
/// to sleep.
fn thread_of(name: &str) -> Option<(Duration, u64)> {
    let own = fs::read_link("/proc/thread-self/ns/net").ok()?;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let path = task.path();
        let is_named = fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
        if is_named && fs::read_link(path.join("ns/net")).is_ok_and(|net| net == own) {
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
            let ticks: u64 =
                fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            let status = fs::read_to_string(path.join("status")).ok()?;
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            return Some((Duration::from_millis(10 * ticks), line.trim().parse().ok()?));
        }
    }
    None
}

fn what_changes_in_silence_is_undone_when_it_is_seen() {
    need_kinds("veth");
    // Down: the kernel does not announce an alias.
    scene("link add v0 type veth peer name v1\n link set v0 alias ours");
    let db = open();
    let frozen = db.interface("v0").unwrap().freeze().unwrap();
    ip(&["link", "set", "v0", "alias", "theirs"]);
    nothing_more(&db, &frozen);
    db.refresh(["v0"]).unwrap();
    assert!(reverted(&frozen).contains("ours"));
    drop(frozen);
    let shown = ip_json(&["link", "show", "dev", "v0"]);
    assert_eq!(shown[0]["ifalias"], "ours");
}

fn after_a_loss_what_differs_is_undone() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up");
    let lines = |verb: &str| -> String {
        (0..2000u32)
            .map(|n| format!("addr {verb} 10.{}.{}.1/32 dev if0\n", n / 250, n % 250))
            .collect()
    };
    batch(&lines("add"));
    let db = Db::builder().receive_buffer(0).open().unwrap();
    let frozen = db.interface("if0").unwrap().freeze().unwrap();
    let before = db.losses().resyncs;
    ip(&["addr", "flush", "dev", "if0"]);
    db.resync().unwrap();
    until(&db, &frozen, |now| now.addresses().filter(|a| a.local().is_ipv4()).count() == 2000);
    assert!(db.losses().resyncs > before);
    drop(frozen);
    assert_eq!(addresses("if0").len(), 2000);
}

fn an_interface_whose_index_is_taken_comes_back_with_another() {
    need_kinds("ifb bridge");
    scene(
        "link add if0 index 4000 type ifb\n link set if0 mtu 1400\n addr add 10.0.0.1/24 dev if0\n link set if0 up",
    );
    scene("route add 10.2.0.0/16 via 10.0.0.9 table 100");
    let db = open();
    let held = Selection::interface("if0").and_routes(RouteFilter::table(100)).exactly();
    let old = db.interface("if0").unwrap();
    let frozen = db.freeze(held).unwrap();
    // In one go, so that the index is taken before anybody can act; or it is free for a moment, and ours.
    let taken = batch_may_fail("link del if0\nlink add thief index 4000 type bridge\n");
    until(&db, &frozen, |now| {
        let if0 = now.link("if0");
        if0.is_some_and(|if0| {
            if0.mtu() == 1400
                && if0.is_up()
                && now.addresses_of(if0.index()).iter().any(|a| a.local().is_ipv4())
        }) && now.routes().table(100).iter().count() == 1
    });
    settled(&db);
    frozen.reports().for_each(drop);
    let if0 = db.interface("if0").unwrap();
    println!("the index was {}", if taken { "taken" } else { "free again" });
    assert_eq!(old.is_stale(), taken);
    // It is held as before, and own commits still move it.
    if0.set_mtu(1350).commit().unwrap();
    nothing_more(&db, &frozen);
    scene("addr del 10.0.0.1/24 dev if0");
    until(&db, &frozen, |now| now.addresses_of(if0.index()).iter().any(|a| a.local().is_ipv4()));
    ip(&["link", "set", "if0", "mtu", "1300"]);
    until(&db, &frozen, |now| now.link("if0").is_some_and(|if0| if0.mtu() == 1350));
    frozen.thaw();
    quiesce_and_compare(&db);
}

fn batch_may_fail(lines: &str) -> bool {
    crate::support::try_batch(lines) == 0
}

/// P4.
fn others_objects_are_left_alone() {
    need_kinds("ifb veth");
    scene(
        "link add if0 type ifb
        link add if1 type ifb
        link set if0 up
        addr add 10.0.0.1/24 dev if0
        addr add 10.1.0.1/24 dev if1",
    );
    let db = open();
    let frozen = db.interface("if0").unwrap().freeze().unwrap();
    scene(
        "link set if1 mtu 1300
        addr del 10.1.0.1/24 dev if1
        addr add 10.1.0.2/24 dev if1
        route add blackhole 10.7.0.0/16
        route add 10.8.0.0/16 via 10.0.0.9
        rule add pref 700 table 7
        link set if0 mtu 1200
        link add v0 type veth peer name v1",
    );
    reverted(&frozen);
    assert_ne!(mtu("if0"), 1200);
    assert_eq!((mtu("if1"), addresses("if1")), (1300, vec!["10.1.0.2".to_owned()]));
    drop(frozen);
    let now = quiesce_and_compare(&db);
    assert!(now.link("v0").is_some() && now.rules().at(700).len() == 1);
    assert_eq!(now.routes().iter().filter(|r| r.priority() == 0).count(), 3, "{}", now.routes());
}

fn a_hundred_freezes() {
    need_kinds("ifb");
    let lines: String = (0..100).map(|n| format!("link add if{n} type ifb\n")).collect();
    batch(&lines);
    let db = open();
    let all: Vec<_> = db
        .interfaces()
        .into_iter()
        .filter(|link| link.name().is_ok_and(|name| name.starts_with("if")))
        .map(|link| link.freeze().unwrap())
        .collect();
    assert_eq!(all.len(), 100);
    let lines: String = (0..100).map(|n| format!("link set if{n} mtu 1300\n")).collect();
    batch(&lines);
    until(&db, &all[0], |now| now.links().all(|link| link.mtu() != 1300));
    let own = db.interface("if7").unwrap();
    own.set_mtu(1350).commit().unwrap();
    drop(db.freeze(Selection::nothing()).unwrap());
    assert_eq!(mtu("if7"), 1350);
    let reverted: u64 = all.into_iter().map(|frozen| frozen.thaw().reverted()).sum();
    assert!(reverted >= 100, "{reverted}");
    quiesce_and_compare(&db);
}

fn freezes_are_refused_where_they_would_wait_for_themselves() {
    let db = open();
    let frozen = std::sync::Arc::new(std::sync::Mutex::new(Some(
        db.interface("lo").unwrap().freeze().unwrap(),
    )));
    let (inner, guard) = (db.clone(), frozen.clone());
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(move |_, _| {
        let error = inner.freeze(Selection::everything()).unwrap_err();
        assert!(error.is_refused(), "{error}");
        // To let go is always possible.
        drop(guard.lock().unwrap().take());
        Ok::<(), &str>(())
    });
    tx.commit().unwrap();
    assert!(frozen.lock().unwrap().is_none());
}

/// Asleep: neither the processor nor a switch of context for half a second of nothing.
fn an_idle_freeze_sleeps() {
    need_kinds("ifb");
    scene("link add if0 type ifb\n link set if0 up");
    let db = open();
    let _frozen = db.freeze(Selection::everything().exactly()).unwrap();
    drop(db.freeze(Selection::nothing()).unwrap());
    quiesce_and_compare(&db);
    let mut before = enforcing();
    // Router solicitations of the kernel and the like may come once more: then a quiet time later.
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(500));
        let after = enforcing();
        if after == before {
            return;
        }
        before = after;
    }
    panic!("it never sleeps");
}

fn the_thread_ends_with_the_last_freeze() {
    let db = open();
    for _ in 0..20 {
        let first = db.interface("lo").unwrap().freeze().unwrap();
        let second = db.freeze(Selection::rules()).unwrap();
        drop(first);
        enforcing();
        drop(second);
        assert!(thread_of("netlinkdb-hold").is_none());
    }
    // The guard keeps the database open, and nothing else does.
    let frozen = db.interface("lo").unwrap().freeze().unwrap();
    drop(db);
    drop(frozen);
    assert!(thread_of("netlinkdb").is_none());
}

fn unknown_objects_are_refused() {
    let db = Db::builder().neighbours(false).open().unwrap();
    assert!(db.freeze("nosuch0").unwrap_err().is_not_found());
    let neighbours = Selection::nothing().and_neighbours_of("lo");
    assert!(db.freeze(neighbours).unwrap_err().is_refused());
    let lo = db.interface("lo").unwrap();
    drop(lo.freeze().unwrap());
    assert!(thread_of("netlinkdb-hold").is_none());
}
