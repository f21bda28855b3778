//! The ancestor's faults, by their numbers, and the new cases that it failed: none may come back.
//!
//! What time things take as a namespace grows (fault 2) is measured by `benches/snapshot.rs`, not here.

use crate::scene::{
    Count, agrees, before, exactly_as_before, open, refused, rolled_back, scene, sysctl,
};
use crate::support::iproute2::batch;
use crate::support::namespaces::Elsewhere;
use crate::support::{ip, ip_json};
use netlinkdb::{Bridge, BridgeOptions, Db, Ifb, Macvlan, MacvlanMode, NetNs, Transaction, Veth};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

crate::cases![
    fault_1_eight_thousand_addresses_cost_a_few_megabytes,
    fault_2_a_commit_asks_as_much_of_a_full_namespace_as_of_an_empty_one,
    fault_3_another_programs_change_to_another_field_survives_a_commit,
    fault_3_changes_from_a_second_thread_survive_hundred_commits,
    fault_3_the_same_field_is_a_conflict_and_nothing_is_sent,
    fault_6_a_wait_is_bounded,
    fault_7_the_link_local_address_is_neither_deleted_nor_required,
    fault_7_secondaries_stay_when_the_primary_goes,
    fault_8_an_address_is_refreshed_by_every_notification,
    fault_13_nothing_is_lost_between_the_dump_and_the_first_event,
    fault_14_a_handle_survives_a_loss,
    fault_15_a_transaction_belongs_to_no_thread,
    fault_19_an_interface_that_others_deleted_is_stale_and_never_made_again,
    fault_20_a_race_for_a_name_never_deletes_the_other_ones_interface,
    fault_22_what_the_kernel_makes_is_not_given_back,
    fault_23_what_the_kernel_sets_is_neither_compared_nor_sent,
    fault_25_the_order_comes_from_what_depends_on_what,
    fault_26_a_database_of_another_namespace_has_no_process_of_its_own,
];

/// Ends what runs beside a test with it, also when it fails: nobody waits for ever then.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `body` in a process that runs nothing else: memory and children are those of a process.
fn alone(body: fn()) {
    const ALONE: &str = "NETLINKDB_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let thread = thread::current();
    let test = thread.name().expect("the name of this test");
    let binary = std::env::current_exe().expect("this binary");
    let run = Command::new(binary).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output();
    let run = run.expect("this binary, once more");
    let text = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let text = text.join("\n");
    match text.lines().find(|line| line.starts_with("skipped: ")) {
        Some(why) => crate::support::skip(why),
        None => assert!(run.status.success() && text.contains("1 passed"), "{text}"),
    }
}

/// 8,000 addresses took the ancestor 350 MB.
fn fault_1_eight_thousand_addresses_cost_a_few_megabytes() {
    alone(|| {
        scene("link add i0 type ifb");
        // What a first database takes once for all is taken before.
        drop(open());
        let before = resident();
        let db = open();
        let lines = |n: u32| format!("addr add 10.0.{}.{}/32 dev i0\n", n / 250, n % 250 + 1);
        batch(&(0..8000).map(lines).collect::<String>());
        let now = db.sync().expect("a snapshot");
        assert_eq!(now.address_count(), 8000);
        let cost = resident().saturating_sub(before);
        println!("8,000 addresses and their routes: {cost} KiB");
        assert!(cost < 32 << 10, "{cost} KiB");
    });
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    number.expect("VmRSS")
}

/// A commit of the ancestor looked through everything there was, and asked for all routes.
fn fault_2_a_commit_asks_as_much_of_a_full_namespace_as_of_an_empty_one() {
    let db = open();
    scene("link add i0 type ifb\n link add i1 type ifb");
    db.sync().expect("a snapshot");
    let mut count = Count::new(&db);
    let mut change = |mtu: u32, address: &str| {
        let tx = db.interface("i0").expect("i0").set_mtu(mtu).add_ip(address);
        tx.expect("an address").up().commit().expect("a commit");
        let tx = db.interface("i0").expect("i0").down().del_ip(address);
        tx.expect("an address").commit().expect("a commit");
        count.sent()
    };
    let empty = change(1400, "10.1.0.1/24");
    let lines = |n: u32| format!("addr add 10.0.{}.{}/32 dev i1\n", n / 250, n % 250 + 1);
    batch(&(0..2000).map(lines).collect::<String>());
    db.sync().expect("a snapshot");
    assert_eq!(change(1300, "10.1.0.1/24"), empty);
}

/// The ancestor wrote back every field that it remembered.
fn fault_3_another_programs_change_to_another_field_survives_a_commit() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let tx = v0.set_mtu(1400).add_ip("10.0.0.1/24").expect("an address");
    scene(
        "link set v0 txqueuelen 77\n link set v0 name w0\n link set w0 up alias theirs\n addr add 10.0.1.1/24 dev w0",
    );
    tx.commit().expect("a commit");
    let link = v0.link().expect("w0");
    assert_eq!((link.name(), link.txqlen(), link.mtu(), link.is_up()), ("w0", 77, 1400, true));
    assert_eq!(v0.ipv4().expect("w0").len(), 2);
    agrees(&db);
}

fn fault_3_changes_from_a_second_thread_survive_hundred_commits() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let other = Db::open().expect("another program's database");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = Ends(&done);
        scope.spawn(|| {
            let theirs = other.interface("v0").expect("v0");
            let mut round = 0;
            while !done.load(Ordering::Relaxed) || round == 0 {
                round += 1;
                theirs.set_txqlen(2000 + round).commit().expect("their commit");
                other.sync().expect("a snapshot");
                assert_eq!(theirs.link().expect("v0").txqlen(), 2000 + round);
            }
        });
        for round in 0..100u32 {
            v0.set_mtu(1300 + round % 2).commit().expect("our commit");
            let poisoned =
                v0.set_mtu(1200).set_address("01:00:00:00:00:01".parse().expect("an address"));
            rolled_back(poisoned.commit());
            assert_eq!(v0.link().expect("v0").mtu(), 1300 + round % 2);
        }
    });
    assert!(db.sync().expect("a snapshot").link_by_name("v0").expect("v0").txqlen() > 2000);
    agrees(&db);
}

fn fault_3_the_same_field_is_a_conflict_and_nothing_is_sent() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let tx = db.interface("v0").expect("v0").set_mtu(1400).set_txqlen(5);
    ip(&["link", "set", "v0", "mtu", "1450"]);
    let before = before();
    let mut count = Count::new(&db);
    let error = refused(tx.commit());
    assert!(error.is_conflict(), "{error}");
    let text = error.to_string();
    assert!(
        ["mtu of `v0`", "1500", "1450", "1400"].iter().all(|word| text.contains(word)),
        "{text}"
    );
    assert_eq!(count.sent(), 0);
    exactly_as_before(&db, &before);
}

fn fault_6_a_wait_is_bounded() {
    let db = open();
    let start = Instant::now();
    let seen = db.wait_until(Duration::from_millis(50), |_| false).expect("a snapshot");
    assert!(seen.is_none() && start.elapsed() < Duration::from_secs(5));
}

/// The ancestor deleted the link-local address that appeared during a commit, six times of six.
fn fault_7_the_link_local_address_is_neither_deleted_nor_required() {
    let db = open();
    let mut tx = db.begin();
    let veth = tx.create(Veth::new("v0", "v1")).expect("a pair");
    let peer = veth.peer().expect("a pair");
    let ifb = tx.create(Ifb::new("i0")).expect("an ifb");
    tx.interface(&veth).add_ip("fd00::1/64").expect("an address").up();
    tx.interface(&peer).up();
    tx.interface(&ifb)
        .add_ip("fd01::1/64")
        .expect("an address")
        .add_ip("10.0.0.1/24")
        .expect("an address")
        .up();
    let done = tx.commit().expect("a commit");
    for new in [&veth, &ifb] {
        let index = done.interface(new).expect("an interface").index();
        let local =
            |now: &netlinkdb::Snapshot| now.addresses_of(index).iter().any(|a| a.is_link_local());
        db.wait_until(Duration::from_secs(10), local)
            .expect("a snapshot")
            .expect("a link-local address");
    }
    let ifb = done.interface(&ifb).expect("i0");
    ifb.del_ip("fd01::1/64").expect("an address").set_mtu(1400).commit().expect("a second commit");
    assert_eq!(ifb.ipv6().expect("i0").len(), 1);
    rolled_back(
        ifb.add_ip("fd02::1/64")
            .expect("an address")
            .set_address("02:00:00:00:00:01".parse().expect("a MAC"))
            .commit(),
    );
    assert_eq!(ifb.ipv6().expect("i0").len(), 1);
    agrees(&db);
}

/// The kernel deletes the secondaries with their primary unless it is told otherwise (K25); the ancestor took that
/// for the user's wish.
fn fault_7_secondaries_stay_when_the_primary_goes() {
    for promote in ["0", "1"] {
        crate::support::namespaces::elsewhere(|| {
            sysctl("ipv4/conf/all/promote_secondaries", promote);
            scene(
                "link add i0 type ifb\n addr add 10.0.0.1/24 dev i0\n addr add 10.0.0.2/24 dev i0\n addr add 10.0.0.3/24 dev i0",
            );
            let db = open();
            let i0 = db.interface("i0").expect("i0");
            i0.del_ip("10.0.0.1/24").expect("an address").commit().expect("a commit");
            let left: Vec<_> =
                i0.ipv4().expect("i0").iter().map(|a| a.local().to_string()).collect();
            assert_eq!(left, ["10.0.0.2", "10.0.0.3"], "promote_secondaries={promote}");
            agrees(&db);
        });
    }
}

fn fault_8_an_address_is_refreshed_by_every_notification() {
    let db = open();
    sysctl("ipv4/conf/all/promote_secondaries", "1");
    scene("link add i0 type ifb\n addr add 10.0.0.1/24 dev i0\n addr add 10.0.0.2/24 dev i0");
    db.sync().expect("a snapshot");
    let i0 = db.interface("i0").expect("i0");
    assert!(i0.ipv4().expect("i0")[1].is_secondary());
    ip(&["addr", "del", "10.0.0.1/24", "dev", "i0"]);
    db.sync().expect("a snapshot");
    assert!(!i0.ipv4().expect("i0")[0].is_secondary());
    ip(&["addr", "change", "10.0.0.2/24", "dev", "i0", "valid_lft", "500", "preferred_lft", "400"]);
    agrees(&db);
}

fn fault_13_nothing_is_lost_between_the_dump_and_the_first_event() {
    scene("link add i0 type ifb");
    let done = AtomicBool::new(false);
    let writer = open();
    thread::scope(|scope| {
        let _ends = Ends(&done);
        scope.spawn(|| {
            let i0 = writer.interface("i0").expect("i0");
            for n in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let address = format!("10.{}.{}.1/32", n / 200 % 200, n % 200);
                i0.add_ip(&address).expect("an address").commit().expect("a commit");
            }
        });
        (0..20).map(|_| Db::open().expect("a database")).collect::<Vec<_>>()
    })
    .iter()
    .for_each(agrees);
}

/// A loss of notifications made every object that the user held useless.
fn fault_14_a_handle_survives_a_loss() {
    scene("link add i0 type ifb");
    let db = Db::builder().receive_buffer(1).open().expect("a database");
    let i0 = db.interface("i0").expect("i0");
    let tx = i0.set_mtu(1400);
    let add: String = (0..2000)
        .map(|n| format!("addr add 10.0.{}.{}/32 dev i0\n", n / 250, n % 250 + 1))
        .collect();
    let batch = std::env::temp_dir().join(format!("netlinkdb-batch-{}", std::process::id()));
    std::fs::write(&batch, add).expect("a batch file");
    ip(&["-batch", batch.to_str().expect("a path")]);
    std::fs::remove_file(&batch).expect("the batch file");
    db.resync().expect("a snapshot");
    assert!(!i0.is_stale());
    assert_eq!(i0.ipv4().expect("i0").len(), 2000);
    tx.commit().expect("a transaction from before");
    assert!(db.losses().resyncs > 0);
}

fn fault_15_a_transaction_belongs_to_no_thread() {
    fn is_send<T: Send + 'static>(_: &T) {}
    let db = open();
    scene("link add i0 type ifb");
    db.sync().expect("a snapshot");
    let mut tx: Transaction = db.begin();
    is_send(&tx);
    tx.interface("i0").set_mtu(1300);
    let moved = thread::spawn(move || tx.commit().map(|done| done.id()));
    moved.join().expect("a thread").expect("a commit");
    assert_eq!(db.interface("i0").expect("i0").link().expect("i0").mtu(), 1300);
}

/// The ancestor made a deleted interface again when a held object was committed.
fn fault_19_an_interface_that_others_deleted_is_stale_and_never_made_again() {
    let db = open();
    scene("link add i0 index 50 type ifb\n link add i1 type ifb");
    db.sync().expect("a snapshot");
    let i0 = db.interface("i0").expect("i0");
    let (gone, replaced) = (i0.set_mtu(1400), i0.set_mtu(1400));
    ip(&["link", "del", "i0"]);
    let error = refused(gone.commit());
    assert!(error.is_stale() && error.to_string().contains("50"), "{error}");
    scene("link add i0 index 50 type ifb");
    let before = before();
    let error = refused(replaced.commit());
    assert!(error.is_stale() && error.to_string().contains("`i0` has that index now"), "{error}");
    assert!(i0.is_stale() && i0.link().is_err());
    exactly_as_before(&db, &before);
}

/// Two make an interface of one name: EEXIST was taken for success, and the rollback deleted the other's.
fn fault_20_a_race_for_a_name_never_deletes_the_other_ones_interface() {
    let db = open();
    scene("link add bb type bridge");
    db.sync().expect("a snapshot");
    for round in 0..30 {
        let name = format!("race{round}");
        let winner = thread::scope(|scope| {
            let theirs = scope.spawn(|| {
                crate::support::iproute2::try_ip(&["link", "add", &name, "type", "ifb"])
                    .status
                    .success()
            });
            let mut tx = db.begin();
            let made = tx.create(Ifb::new(&name)).is_ok();
            // Fails at its end, so that everything is undone.
            tx.interface("bb")
                .bridge(BridgeOptions::new().mcast_hash_elasticity(20u32))
                .expect("an option");
            let ended = if made {
                tx.commit().map(drop).map_err(|error| error.error().clone())
            } else {
                Ok(())
            };
            assert!(
                !made || ended.clone().expect_err("never holds").residue().is_empty(),
                "{ended:?}"
            );
            theirs.join().expect("their thread")
        });
        let there = db.sync().expect("a snapshot").link_by_name(&name).is_some();
        assert_eq!(there, winner, "round {round}: theirs is there exactly when they made it");
    }
    agrees(&db);
}

/// The ancestor remembered what the kernel had made by itself, and gave it back as its own, with flags of a moment.
fn fault_22_what_the_kernel_makes_is_not_given_back() {
    let db = open();
    scene(
        "link add v0 type veth peer name v1\n link set v0 up\n link set v1 up\n link add bb type bridge",
    );
    scene("addr add fd00::1/64 dev v0 nodad\n addr add 10.0.0.1/24 dev v0");
    let before = before();
    let made = local_addresses();
    assert_eq!(made.len(), 2);
    let down = |tx: &mut Transaction| {
        tx.interface("v0").down();
    };
    let away = |tx: &mut Transaction| tx.remove("v0").expect("an interface");
    for edit in [down as fn(&mut Transaction), away] {
        let mut tx = db.begin();
        edit(&mut tx);
        ignored(&mut tx);
        rolled_back(tx.commit());
        exactly_as_before(&db, &before);
        // `protocol kernel_ll`: one that a program adds has none.
        assert_eq!(local_addresses(), made);
    }
}

/// Acknowledged by the kernel and without any effect: everything else has been sent by then.
fn ignored(tx: &mut Transaction) {
    let option = BridgeOptions::new().mcast_hash_elasticity(20u32);
    tx.interface("bb").bridge(option).expect("an option");
}

/// The link-local addresses of all interfaces, and who made them.
fn local_addresses() -> Vec<(String, String)> {
    let all = ip_json(&["-6", "addr", "show", "scope", "link"]);
    let all = all.as_array().expect("a list").iter();
    let infos = all.filter_map(|link| link["addr_info"].as_array()).flatten();
    // Some versions list an empty object for each that the scope leaves out.
    let infos = infos.filter(|info| info.get("local").is_some());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    infos.map(|info| (text(&info["local"]), text(&info["protocol"]))).collect()
}

/// Operational state, carrier, counters and promiscuity were compared with what was remembered, and sent.
fn fault_23_what_the_kernel_sets_is_neither_compared_nor_sent() {
    let db = open();
    scene("link add v0 type veth peer name v1\n link add m0 link v0 type macvlan mode bridge");
    scene("link set v0 up\n link set m0 up");
    db.sync().expect("a snapshot");
    let mut count = Count::new(&db);
    db.interface("v0").expect("v0").set_mtu(1450).commit().expect("a commit");
    let quiet = count.sent();
    let tx = db.interface("v0").expect("v0").set_mtu(1400);
    let old = db.snapshot();
    // The carrier and the operational state come, with them the counters; and somebody listens to everything.
    scene("link set v1 up\n link set m0 promisc on");
    let changed = |now: &netlinkdb::Snapshot| {
        let state = |now: &netlinkdb::Snapshot| now.link_by_name("v0").map(|link| link.operstate());
        state(now) != state(&old)
    };
    db.wait_until(Duration::from_secs(10), changed).expect("a state").expect("another state");
    let lines: Vec<_> = tx.review().lines().iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["~ mtu 1450 -> 1400"]);
    tx.commit().expect("a commit");
    assert_eq!(count.sent(), quiet);
    agrees(&db);
}

fn fault_25_the_order_comes_from_what_depends_on_what() {
    let db = open();
    let mut tx = db.begin();
    // The bridge first, though its port stands on something that comes later.
    let bridge = tx.create(Bridge::new("b0")).expect("a bridge");
    let veth = tx.create(Veth::new("v0", "v1")).expect("a pair");
    let first = tx.create(Macvlan::new("m0", &veth).mode(MacvlanMode::BRIDGE)).expect("a macvlan");
    tx.interface(&bridge).add_port(&first).expect("a port").up();
    tx.interface(&first).set_mtu(1800).up();
    tx.interface(&veth).set_mtu(2000).up();
    tx.commit().expect("an order that the kernel takes");
    agrees(&db);
    // Down again, the upper one first; and all of it away, in any order of naming.
    let mut tx = db.begin();
    tx.interface("v0").set_mtu(1400);
    tx.interface("m0").set_mtu(1400);
    tx.commit().expect("an order that the kernel takes");
    let mut tx = db.begin();
    ["v0", "b0", "m0"].into_iter().for_each(|name| tx.remove(name).expect("an interface"));
    tx.commit().expect("a removal");
    assert_eq!(db.sync().expect("a snapshot").link_count(), 1);
}

/// A process that passed messages on, without a reader of its own, lost them.
fn fault_26_a_database_of_another_namespace_has_no_process_of_its_own() {
    alone(|| {
        let elsewhere = Elsewhere::new();
        let namespace = NetNs::from_path(&elsewhere.path).expect("a namespace");
        let db = Db::builder().netns(&namespace).open().expect("a database");
        let mut tx = db.begin();
        tx.create(Ifb::new("there")).expect("an ifb");
        tx.commit().expect("a commit");
        assert!(children().is_empty(), "{:?}", children());
        // This thread has stayed where it was.
        assert!(Db::open().expect("a database").interface("there").is_err());
        elsewhere.run(|| ip(&["link", "show", "there"]));
    });
}

/// The processes whose parent is this one.
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let is_child = |stat: &String| {
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        behind_name.split_whitespace().nth(1) == Some(&own)
    };
    stats.filter(is_child).collect()
}
