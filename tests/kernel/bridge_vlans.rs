//! VLANs of bridge ports and of bridges themselves. The witness is `bridge -json vlan show` and `tunnelshow`.
//!
//! The development kernel's bridges have none; tests/vm runs these on kernels whose bridges do.

use crate::journal;
use crate::scene::{Count, before, exactly_as_before, refused, rolled_back};
use crate::support::judge::plain_vlans as plain;
use crate::support::oracle::{compare_neighbours, to_json};
use crate::support::{Request, bridge_json, ip, need_kinds, quiesce_and_compare, scene, try_ip};
use netlinkdb::internals::sys::{Options, Socket};
use netlinkdb::{
    Bridge, BridgeOptions, BridgePortOptions, BridgeVlan, Conflicts, Db, Filter, Neighbour,
    NeighbourState, Object, ObjectKind, Result, Selection, Snapshot, Transaction, Veth,
};
use serde_json::json;
use std::process::Command;
use std::sync::mpsc;

crate::cases![
    vlans_read_as_bridge_prints_them,
    vlans_are_followed,
    the_default_vlan_moves_without_a_word,
    tunnels_go_with_their_switch,
    random_vlans_of_others_are_followed,
    a_vlan_that_goes_is_no_port_that_leaves,
    changes_of_vlans_are_told,
    callbacks_see_vlans_before_they_are_followed,
    bridges_without_vlans_are_read_all_the_same,
    vlans_are_added_changed_and_deleted,
    vlans_come_with_what_is_made_in_the_same_transaction,
    what_is_undone_has_its_vlans_again,
    what_is_deleted_has_its_vlans_again,
    another_program_keeps_what_it_made,
    killed_at_every_step_vlans_are_as_before,
    wherever_a_request_is_refused_all_is_as_before,
    tunnels_are_set_and_undone,
    a_review_is_what_is_sent,
    going_back_brings_vlans_back,
    vlans_are_held_against_others,
    vlans_are_saved_and_loaded,
    many_vlans_are_told_at_once,
    forwarding_entries_are_of_vlans,
    vlans_that_cannot_be_are_refused,
    a_kernel_without_vlans_is_named,
];

/// Skips the test where bridges have no VLANs, or nobody bears witness.
pub fn need_vlans() {
    need_kinds("bridge veth");
    if !try_ip(&["link", "add", "vlans", "type", "bridge", "vlan_filtering", "1"]).status.success()
    {
        crate::support::skip("this kernel's bridges have no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)");
    }
    ip(&["link", "del", "vlans"]);
    if bridge_json(&["vlan", "show"]).is_none() {
        crate::support::skip("no `bridge`");
    }
}

/// A bridge, two ports of it, and a third interface.
fn ports() -> Db {
    need_vlans();
    scene(
        "link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link add v4 type veth peer name v5
         link add br0 type bridge vlan_filtering 1
         link set v0 master br0
         link set v2 master br0",
    );
    Db::open().expect("a database")
}

/// Runs lines as `ip` and `bridge` commands, whether they succeed or not.
fn run(lines: &[String]) {
    let script = lines.join("\n");
    let ended = Command::new("sh").args(["-c", &script]).output().expect("starting sh");
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(!words.contains("not found"), "{words}");
}

fn commands(lines: &[&str]) {
    for line in lines {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[0] {
            "bridge" => crate::support::bridge(&words[1..]),
            _ => drop(ip(&words[1..])),
        }
    }
}

fn vlans(now: &Snapshot, name: &str) -> Vec<String> {
    let index = now.link(name).unwrap_or_else(|| panic!("{name} is there")).index();
    now.vlans_of(index).map(BridgeVlan::to_string).collect()
}

/// What is there is what `bridge` prints, and what a fresh database reads.
#[track_caller]
fn agrees(db: &Db) -> Snapshot {
    quiesce_and_compare(db)
}

fn vlans_read_as_bridge_prints_them() {
    let db = ports();
    assert_eq!(vlans(&db.snapshot(), "v0"), ["1 PVID Egress Untagged"]);
    assert_eq!(vlans(&db.snapshot(), "br0"), ["1 PVID Egress Untagged"]);
    assert!(vlans(&db.snapshot(), "v4").is_empty());
    commands(&[
        "bridge vlan add dev v0 vid 10",
        "bridge vlan add dev v0 vid 20-25 untagged",
        "bridge vlan add dev v0 vid 26 pvid untagged",
        "bridge vlan add dev v0 vid 27 untagged",
        "bridge vlan add dev br0 vid 30-31 self",
        "bridge link set dev v2 vlan_tunnel on",
        "bridge vlan add dev v2 vid 100-103",
        "bridge vlan add dev v2 vid 100-103 tunnel_info id 1000-1003",
    ]);
    let now = agrees(&Db::open().expect("a database"));
    let mine = plain(&to_json(&now.vlans_tree()));
    assert_eq!(mine, plain(&bridge_json(&["vlan", "show"]).expect("`bridge`")));
    let v0 = now.link("v0").expect("v0").index();
    assert_eq!(now.vlans_of(v0).filter(|vlan| vlan.is_pvid()).count(), 1);
    assert_eq!(now.vlan(v0, 23).map(BridgeVlan::is_untagged), Some(true));
    assert_eq!(now.vlan(v0, 28), None);
    let v2 = now.link("v2").expect("v2").index();
    assert_eq!(now.vlan(v2, 103).and_then(BridgeVlan::tunnel_id), Some(1003));
    assert_eq!(now.vlan_count(), 10 + 5 + 3);
    let tunnels = json!([{"ifname": "v2", "tunnels": [
        {"vlan": 100, "vlanEnd": 103, "tunid": 1000, "tunidEnd": 1003},
    ]}]);
    assert_eq!(to_json(&now.tunnels_tree()), tunnels);
    assert_eq!(plain(&bridge_json(&["vlan", "tunnelshow"]).expect("`bridge`")), tunnels);
}

fn vlans_are_followed() {
    let db = ports();
    commands(&["bridge vlan add dev v0 vid 10-12", "bridge vlan add dev br0 vid 30 self pvid"]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0"), ["1 PVID Egress Untagged", "10", "11", "12"]);
    assert_eq!(vlans(&now, "br0"), ["1 Egress Untagged", "30 PVID"]);
    commands(&["bridge vlan add dev v0 vid 11 pvid untagged", "bridge vlan del dev v0 vid 12"]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0"), ["1 Egress Untagged", "10", "11 PVID Egress Untagged"]);
    // A port that leaves has none, and one that joins has the default one.
    commands(&["ip link set v0 nomaster", "ip link set v4 master br0"]);
    let now = agrees(&db);
    assert!(vlans(&now, "v0").is_empty());
    assert_eq!(vlans(&now, "v4"), ["1 PVID Egress Untagged"]);
    commands(&["ip link add br1 type bridge vlan_default_pvid 0", "ip link set v2 master br1"]);
    let now = agrees(&db);
    assert!(vlans(&now, "v2").is_empty() && vlans(&now, "br1").is_empty());
    commands(&["ip link del br0"]);
    assert_eq!(agrees(&db).vlan_count(), 0);
}

/// `__br_vlan_set_default_pvid` tells of the new VLAN only, also while the bridge is down.
fn the_default_vlan_moves_without_a_word() {
    let db = ports();
    commands(&["bridge vlan add dev v2 vid 1", "bridge vlan add dev v0 vid 9"]);
    commands(&["ip link set br0 type bridge vlan_default_pvid 7"]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0"), ["7 PVID Egress Untagged", "9"]);
    assert_eq!(vlans(&now, "br0"), ["7 PVID Egress Untagged"]);
    assert_eq!(vlans(&now, "v2"), ["1"], "a VLAN of somebody's own stays");
    commands(&[
        "ip link set br0 type bridge vlan_default_pvid 8",
        "ip link set br0 type bridge vlan_default_pvid 9",
    ]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "br0"), ["9 PVID Egress Untagged"]);
    assert_eq!(vlans(&now, "v0"), ["8 PVID Egress Untagged", "9"]);
    commands(&["ip link set br0 type bridge vlan_default_pvid 0"]);
    assert!(vlans(&agrees(&db), "br0").is_empty());
    commands(&["ip link set br0 type bridge vlan_filtering 0 vlan_default_pvid 5"]);
    assert_eq!(vlans(&agrees(&db), "br0"), ["5 PVID Egress Untagged"]);
}

fn tunnels_go_with_their_switch() {
    let db = ports();
    commands(&[
        "bridge link set dev v0 vlan_tunnel on",
        "bridge vlan add dev v0 vid 100-101",
        "bridge vlan add dev v0 vid 100 tunnel_info id 16777215",
        "bridge vlan add dev v0 vid 101 tunnel_info id 7",
    ]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0")[1..], ["100 tunnel 16777215", "101 tunnel 7"]);
    commands(&["bridge vlan del dev v0 vid 100 tunnel_info id 16777215"]);
    assert_eq!(vlans(&agrees(&db), "v0")[1..], ["100", "101 tunnel 7"]);
    commands(&["bridge link set dev v0 vlan_tunnel off"]);
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0")[1..], ["100", "101"]);
    assert_eq!(to_json(&now.tunnels_tree()), json!([]));
}

/// A line of another program: VLANs, tunnels, defaults, and ports that come and go.
fn random_line(next: &mut impl FnMut(u64) -> u64) -> String {
    let port = ["v0", "v2", "v4"][next(3) as usize];
    let of = ["br0", "br1"][next(2) as usize];
    let (first, more) = (1 + next(12), next(3));
    let last = first + more;
    let flags = ["", "", "untagged", "pvid untagged", "pvid"][next(5) as usize];
    let several = flags.contains("pvid") || more == 0;
    let range = if several { first.to_string() } else { format!("{first}-{last}") };
    match next(16) {
        0..=3 => format!("bridge vlan add dev {port} vid {range} {flags}"),
        4 | 5 => format!("bridge vlan del dev {port} vid {range}"),
        6 => format!("bridge vlan add dev {of} vid {range} {flags} self"),
        7 => format!("bridge vlan del dev {of} vid {range} self"),
        8 | 9 => format!("ip link set {of} type bridge vlan_default_pvid {}", next(6)),
        10 => format!("ip link set {of} type bridge vlan_filtering {}", next(2)),
        11 => format!("ip link set {port} master {of}"),
        12 => format!("ip link set {port} nomaster"),
        13 => format!("bridge link set dev {port} vlan_tunnel {}", ["on", "off"][next(2) as usize]),
        14 => match several {
            true => {
                format!("bridge vlan add dev {port} vid {first} tunnel_info id {}", 100 + first)
            }
            false => {
                let ids = format!("{}-{}", 100 + first, 100 + last);
                format!("bridge vlan add dev {port} vid {range} tunnel_info id {ids}")
            }
        },
        _ => match next(3) {
            0 => format!("ip link del {of}"),
            1 => format!("ip link add {of} type bridge"),
            _ => format!("ip link set {of} {}", ["up", "down"][next(2) as usize]),
        },
    }
}

/// P1: after random changes from outside the snapshot is what `bridge` prints and a fresh database reads.
fn random_vlans_of_others_are_followed() {
    let db = ports();
    run(&["ip link add br1 type bridge vlan_filtering 1".to_owned()]);
    let seeds =
        std::env::var("NETLINKDB_TEST_CHURN").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in 0..6 * seeds {
        let mut state: u64 = seed ^ 0x5eed_b41d;
        let mut next = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        let lines: Vec<_> = (0..30).map(|_| random_line(&mut next)).collect();
        run(&lines);
        println!("seed {seed}:\n{}", lines.join("\n"));
        agrees(&db);
    }
}

/// A program that deletes a VLAN by `RTM_DELVLAN` has the kernel say `RTM_DELLINK` of the bridge's family, as of a port that
/// leaves: the port was once out of its bridge then, until something else was told of it.
#[allow(clippy::host_endian_bytes)] // Netlink is in the machine's own byte order.
fn a_vlan_that_goes_is_no_port_that_leaves() {
    let db = ports();
    commands(&["bridge vlan add dev v0 vid 10"]);
    let mut now = db.sync().expect("a snapshot");
    let mut events = db.events().expect("a queue");
    let v0 = now.link("v0").expect("v0").index();
    let info = [0u16.to_ne_bytes(), 10u16.to_ne_bytes()].concat();
    let entry = Request::entry(&info);
    let request = Request::new(113, 0).bytes(&[7, 0, 0, 0]).bytes(&v0.to_ne_bytes());
    let request = request.attribute(1 | 0x8000, &entry).finish();
    let socket = Socket::open(&Options::default()).expect("a netlink socket");
    socket.send(&request).expect("a request");
    let gone = |now: &Snapshot| now.vlan(v0, 10).is_none();
    now = db.wait_until(crate::support::PATIENCE, gone).expect("a database").expect("none");
    assert!(now.link_by_index(v0).and_then(|link| link.master()).is_some());
    agrees(&db);
    while let Some(event) = events.try_next().expect("a database that follows") {
        assert!(!event.to_string().contains("master"), "{event}");
    }
}

fn changes_of_vlans_are_told() {
    let db = ports();
    let mut events = db.events().expect("a queue");
    let before = db.snapshot();
    commands(&["bridge vlan add dev v0 vid 10", "bridge vlan add dev v0 vid 10 untagged"]);
    commands(&["bridge vlan del dev v0 vid 10", "bridge vlan add dev v0 vid 11 pvid"]);
    let after = db.sync().expect("a snapshot");
    let diff: Vec<_> = before.diff(&after).changes().iter().map(ToString::to_string).collect();
    assert_eq!(
        diff,
        ["~ vlan 1 dev v0  flags PVID,Egress Untagged -> Egress Untagged", "+ vlan 11 PVID dev v0",]
    );
    let mut told = Vec::new();
    while let Some(event) = events.try_next().expect("a database that follows") {
        let Some(object) = event.after().or(event.before()) else { continue };
        if object.kind() == ObjectKind::BridgeVlan {
            assert!(matches!(object, Object::BridgeVlan(_, name) if **name == *"v0"));
            told.push(event.to_string());
        }
    }
    assert!(!told.is_empty());
}

/// Callbacks on what the kernel says did not see VLANs: what was to be hidden was followed. Of many in one message each is
/// seen by itself.
fn callbacks_see_vlans_before_they_are_followed() {
    let db = ports();
    let v0 = db.snapshot().link("v0").expect("v0").index();
    let (say, told) = mpsc::channel();
    let filter = Filter::default().objects([ObjectKind::BridgeVlan]).index(v0);
    let guard = db.on_notification(filter, move |message| {
        let vid = message.number("vlan").expect("a number");
        assert_eq!((message.object(), message.index()), (ObjectKind::BridgeVlan, v0));
        assert!(message.set_number("dev", 1).is_err());
        match vid {
            11 => message.discard(),
            12 => message.set_number("tunnel", 1012).expect("a tunnel"),
            _ => {}
        }
        say.send((vid, message.is_removal())).expect("a test that listens");
    });
    commands(&["bridge vlan add dev v0 vid 10-12", "bridge vlan add dev v2 vid 10-12"]);
    commands(&["bridge vlan del dev v0 vid 10"]);
    let now = db.sync().expect("a snapshot");
    assert_eq!(vlans(&now, "v0"), ["1 PVID Egress Untagged", "12 tunnel 1012"]);
    assert_eq!(vlans(&now, "v2"), ["1 PVID Egress Untagged", "10", "11", "12"]);
    assert_eq!(
        told.try_iter().collect::<Vec<_>>(),
        [(10, false), (11, false), (12, false), (10, true)]
    );
    // It is not to be had from a dump either, and a commit that wants it does not find it.
    assert_eq!(vlans(&db.resync().expect("a snapshot"), "v0")[1..], ["12 tunnel 1012"]);
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(11).expect("a VLAN");
    drop(tx.commit().expect_err("what is hidden is not found"));
    assert_eq!(db.callback_panics(), 0);
    drop(guard);
    db.resync().expect("a snapshot");
    assert_eq!(vlans(&agrees(&db), "v0"), ["1 PVID Egress Untagged", "11", "12"]);
}

/// A database on a kernel without them opens without complaint; so does one before there is any bridge.
fn bridges_without_vlans_are_read_all_the_same() {
    need_kinds("bridge veth");
    let db = Db::open().expect("a database");
    scene("link add br0 type bridge\nlink add v0 type veth peer name v1\nlink set v0 master br0");
    let now = agrees(&db);
    assert_eq!(now.ports_of(now.link("br0").expect("br0").index()).count(), 1);
    assert_eq!(Db::open().expect("a second one").snapshot().vlan_count(), now.vlan_count());
}

#[track_caller]
fn commit(tx: Transaction) -> Snapshot {
    tx.commit().unwrap_or_else(|error| panic!("{error}")).snapshot().clone()
}

/// Does it and fails at the end: all is as before. Then does it.
#[track_caller]
fn undone_and_done(db: &Db, edit: impl Fn(&mut Transaction) -> Result<()>) -> Snapshot {
    db.sync().expect("a snapshot");
    let was = before();
    let begin = || {
        let mut tx = db.begin();
        edit(&mut tx).expect("an edit");
        tx
    };
    let mut tx = begin();
    tx.on_commit(|_, _| Err::<(), _>("never"));
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    exactly_as_before(db, &was);
    commit(begin());
    agrees(db)
}

fn vlans_are_added_changed_and_deleted() {
    let db = ports();
    let now = undone_and_done(&db, |tx| {
        tx.interface("v0").add_vlan(10)?.add_vlan(20..=25)?;
        tx.interface("br0").add_vlan(10)?;
        Ok(())
    });
    assert_eq!(vlans(&now, "v0").len(), 8);
    assert_eq!(vlans(&now, "br0"), ["1 PVID Egress Untagged", "10"]);
    let now = undone_and_done(&db, |tx| {
        let mut v0 = tx.interface("v0");
        v0.add_vlan(BridgeVlan::new(10).pvid().untagged())?.del_vlan(20..=30)?;
        Ok(())
    });
    assert_eq!(vlans(&now, "v0"), ["1 Egress Untagged", "10 PVID Egress Untagged"]);
    let now = undone_and_done(&db, |tx| {
        let mut v0 = tx.interface("v0");
        v0.set_vlans([BridgeVlan::new(11).pvid(), BridgeVlan::range(30..=31)])?;
        tx.interface("br0").set_vlans([40])?;
        Ok(())
    });
    assert_eq!(vlans(&now, "v0"), ["11 PVID", "30", "31"]);
    assert_eq!(vlans(&now, "br0"), ["40"]);
    // What is so already is not sent.
    let mut count = Count::new(&db);
    let mut tx = db.begin();
    tx.interface("v0")
        .add_vlan(BridgeVlan::new(11).pvid())
        .expect("a VLAN")
        .add_vlan(30)
        .expect("one");
    commit(tx);
    assert_eq!(count.sent(), 0);
    // One that is taken back, and one that never was.
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(77).expect("a VLAN").del_vlan(77).expect("the same");
    assert!(tx.interface("v0").del_vlan(77).is_err());
    assert!(tx.review().is_empty(), "{}", tx.review());
}

fn vlans_come_with_what_is_made_in_the_same_transaction() {
    need_vlans();
    let db = Db::open().expect("a database");
    let now = undone_and_done(&db, |tx| {
        let br1 = tx.create(Bridge::new("br1").vlan_filtering(true).vlan_default_pvid(7u16))?;
        let p0 = tx.create(Veth::new("p0", "p1"))?;
        tx.interface(&br1).add_port(&p0)?.add_vlan(30)?.del_vlan(7)?;
        let mut p0 = tx.interface(&p0);
        p0.del_vlan(7)?.add_vlan(BridgeVlan::new(9).pvid().untagged())?.add_vlan(10..=12)?.up();
        Ok(())
    });
    assert_eq!(vlans(&now, "br1"), ["30"]);
    assert_eq!(vlans(&now, "p0"), ["9 PVID Egress Untagged", "10", "11", "12"]);
    let now = undone_and_done(&db, |tx| {
        let p2 = tx.create(Veth::new("p2", "p3"))?;
        tx.interface("br1").add_port(&p2)?.bridge(BridgeOptions::new().vlan_default_pvid(8u16))?;
        tx.interface(&p2).set_vlans([50, 51])?;
        Ok(())
    });
    assert_eq!(vlans(&now, "p2"), ["50", "51"]);
}

/// A port that leaves or moves, a default that changes, a switch that goes off: each takes VLANs or tunnels along.
fn what_is_undone_has_its_vlans_again() {
    let db = ports();
    commands(&[
        "ip link add br1 type bridge vlan_default_pvid 3",
        "bridge vlan add dev v0 vid 10-12 untagged",
        "bridge vlan add dev v0 vid 11 pvid",
        "bridge vlan del dev v2 vid 1",
        "bridge vlan add dev br0 vid 30 self",
        "bridge link set dev v2 vlan_tunnel on",
        "bridge vlan add dev v2 vid 100-101",
        "bridge vlan add dev v2 vid 100-101 tunnel_info id 1000-1001",
    ]);
    agrees(&db);
    let was = before();
    type Edit = fn(&mut Transaction) -> Result<()>;
    let edits: [(&str, Edit); 6] = [
        ("leaves", |tx| tx.interface("br0").del_port("v0").map(drop)),
        ("moves", |tx| tx.interface("br1").add_port("v2").map(drop)),
        ("another default", |tx| {
            tx.interface("br0").bridge(BridgeOptions::new().vlan_default_pvid(30u16)).map(drop)
        }),
        ("no default", |tx| {
            tx.interface("br0").bridge(BridgeOptions::new().vlan_default_pvid(0u16)).map(drop)
        }),
        ("tunnels off", |tx| {
            tx.interface("v2").bridge_port(BridgePortOptions::new().vlan_tunnel(false)).map(drop)
        }),
        ("everything", |tx| {
            tx.interface("br0").bridge(BridgeOptions::new().vlan_default_pvid(5u16))?;
            tx.interface("v0").set_vlans([BridgeVlan::new(2).pvid()])?;
            tx.interface("br0").set_vlans([5])?;
            tx.interface("br1").add_port("v2").map(drop)
        }),
    ];
    for (what, edit) in edits {
        println!("{what}");
        let mut tx = db.begin();
        edit(&mut tx).expect("an edit");
        tx.on_commit(|_, _| Err::<(), _>("never"));
        rolled_back(tx.commit());
        exactly_as_before(&db, &was);
    }
}

fn what_is_deleted_has_its_vlans_again() {
    let db = ports();
    commands(&[
        "bridge vlan add dev v0 vid 10-12 untagged",
        "bridge vlan add dev v0 vid 11 pvid",
        "bridge vlan del dev v2 vid 1",
        "bridge vlan add dev br0 vid 30 self pvid",
        "bridge vlan del dev br0 vid 1 self",
        "ip link set br0 type bridge vlan_default_pvid 4",
        "bridge link set dev v0 vlan_tunnel on",
        "bridge vlan add dev v0 vid 12 tunnel_info id 12",
    ]);
    agrees(&db);
    let was = before();
    for gone in [&["br0"][..], &["v0"], &["v0", "br0"]] {
        let mut tx = db.begin();
        gone.iter().for_each(|name| tx.remove(*name).expect("an interface"));
        tx.on_commit(|_, _| Err::<(), _>("never"));
        rolled_back(tx.commit());
        exactly_as_before(&db, &was);
    }
}

/// What a process that is killed does to the ports of [`ports`]: changes them, takes them out and in, moves the default.
pub fn some_vlans(tx: &mut Transaction) -> Result<()> {
    tx.interface("v0").add_vlan(10..=12)?.add_vlan(BridgeVlan::new(13).pvid().untagged())?;
    tx.interface("v0").del_vlan(20)?.del_vlan(21)?;
    tx.interface("v2").bridge_port(BridgePortOptions::new().vlan_tunnel(false))?;
    tx.interface("br0").add_vlan(30)?.add_port("v4")?;
    tx.interface("v4").add_vlan(40..=49)?;
    tx.interface("br0").bridge(BridgeOptions::new().vlan_default_pvid(7u16))?;
    Ok(())
}

/// Of the journal of a process that was killed, VLANs were only looked at as bytes.
fn killed_at_every_step_vlans_are_as_before() {
    drop(ports());
    commands(&[
        "bridge vlan add dev v0 vid 20-25 untagged",
        "bridge vlan add dev v0 vid 26 pvid",
        "bridge link set dev v2 vlan_tunnel on",
        "bridge vlan add dev v2 vid 100-103",
        "bridge vlan add dev v2 vid 100-103 tunnel_info id 1000-1003",
        "bridge vlan add dev br0 vid 31 self",
    ]);
    let now = || Db::open().expect("a database").snapshot();
    let is_committed = || vlans(&now(), "v4").len() == 11;
    let step = journal::stride(13);
    let undone = journal::killed_everywhere("vlans traced", 1, step, is_committed);
    assert!(undone > 3, "{undone}");
}

/// P4: what others do meanwhile to VLANs that are not named stays, also that of untagged frames.
fn another_program_keeps_what_it_made() {
    let db = ports();
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(BridgeVlan::new(10).pvid().untagged()).expect("a VLAN");
    tx.on_commit(|_, _| {
        commands(&["bridge vlan add dev v0 vid 33 pvid", "bridge vlan add dev v0 vid 40"]);
        Err::<(), _>("never")
    });
    rolled_back(tx.commit());
    let now = agrees(&db);
    assert_eq!(vlans(&now, "v0"), ["1 Egress Untagged", "33 PVID", "40"]);
    // The same VLAN in another way: a conflict.
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(41).expect("a VLAN").add_vlan(42).expect("another");
    commands(&["bridge vlan add dev v0 vid 41 untagged"]);
    db.sync().expect("a snapshot");
    assert!(refused(tx.clone().commit()).error().is_conflict());
    tx.on_conflict(Conflicts::KeepTheirs);
    assert_eq!(vlans(&commit(tx), "v0")[3..], ["41 Egress Untagged", "42"]);
}

/// Each request in turn meets an interface that is no port any more.
fn wherever_a_request_is_refused_all_is_as_before() {
    let db = ports();
    commands(&["bridge vlan add dev v2 vid 60-70", "bridge vlan add dev v0 vid 50"]);
    let was = before();
    let mut tx = db.begin();
    tx.interface("v0").set_vlans([10, 11]).expect("VLANs");
    tx.interface("br0").add_vlan(90).expect("a VLAN");
    tx.interface("v2").del_vlan(60..=65).expect("VLANs").add_vlan(80).expect("a VLAN");
    // The master of v4 is not one that takes it: the last request of all.
    tx.interface("br0").add_port("v4").expect("a port");
    tx.interface("v4").add_vlan(5).expect("a VLAN");
    tx.add_route(netlinkdb::Route::to("10.9.0.0/16").via("192.0.2.1")).expect("a route");
    rolled_back(tx.commit());
    exactly_as_before(&db, &was);
}

fn tunnels_are_set_and_undone() {
    let db = ports();
    let on = || BridgePortOptions::new().vlan_tunnel(true);
    let now = undone_and_done(&db, |tx| {
        let mut v0 = tx.interface("v0");
        v0.bridge_port(on())?.add_vlan(BridgeVlan::range(100..=103).tunnel(1000))?;
        Ok(())
    });
    assert_eq!(vlans(&now, "v0")[1..3], ["100 tunnel 1000", "101 tunnel 1001"]);
    // Another tunnel, and none.
    let now = undone_and_done(&db, |tx| {
        let mut v0 = tx.interface("v0");
        v0.add_vlan(BridgeVlan::new(100).tunnel(7))?;
        Ok(())
    });
    assert_eq!(vlans(&now, "v0")[1..3], ["100 tunnel 7", "101 tunnel 1001"]);
    let now = undone_and_done(&db, |tx| {
        let all = [BridgeVlan::new(100), BridgeVlan::new(101).tunnel(101)];
        tx.interface("v0").set_vlans(all).map(drop)
    });
    assert_eq!(vlans(&now, "v0"), ["100", "101 tunnel 101"]);
    let mut tx = db.begin();
    tx.interface("v2").add_vlan(BridgeVlan::new(9).tunnel(9)).expect("a VLAN");
    assert!(refused(tx.commit()).to_string().contains("`v2` has no tunnels (`vlan_tunnel`)"));
}

fn a_review_is_what_is_sent() {
    let db = ports();
    let mut tx = db.begin();
    tx.interface("v0")
        .add_vlan(BridgeVlan::new(10).pvid())
        .expect("a VLAN")
        .add_vlan(20..=22)
        .expect("more");
    tx.interface("br0").del_vlan(1).expect("a VLAN");
    let review = tx.review();
    let lines: Vec<_> = review.lines().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "+ vlan 10 PVID",
            "+ vlan 20-22",
            "~ vlan 1 PVID Egress Untagged -> Egress Untagged",
            "- vlan 1",
        ]
    );
    let commands = review.commands().join(" && ");
    run(std::slice::from_ref(&commands));
    let by_hand = agrees(&db);
    assert_eq!(
        vlans(&by_hand, "v0"),
        ["1 Egress Untagged", "10 PVID", "20", "21", "22"],
        "{commands}"
    );
    assert!(vlans(&by_hand, "br0").is_empty());
}

fn going_back_brings_vlans_back() {
    let db = ports();
    commands(&[
        "bridge vlan add dev v0 vid 10-12 untagged",
        "bridge vlan add dev v0 vid 11 pvid",
        "bridge vlan add dev br0 vid 30 self",
    ]);
    let then = db.sync().expect("a snapshot");
    let was = before();
    let changes: [&[&str]; 3] = [
        &[
            "bridge vlan del dev v0 vid 11",
            "bridge vlan add dev v0 vid 60 pvid",
            "bridge vlan del dev br0 vid 1 self",
        ],
        &["ip link set v0 nomaster"],
        &["ip link del br0"],
    ];
    for lines in changes {
        commands(lines);
        db.sync().expect("a snapshot");
        let mut tx = db.begin();
        tx.revert_to(&then, Selection::everything().exactly()).expect("a way back");
        commit(tx);
        exactly_as_before(&db, &was);
    }
}

fn vlans_are_held_against_others() {
    let db = ports();
    commands(&["bridge vlan add dev v0 vid 10", "bridge vlan add dev br0 vid 30 self"]);
    db.sync().expect("a snapshot");
    let was = before();
    let held = Selection::interface("br0").and_interface("v0").exactly();
    let frozen = db.freeze(held).expect("a freeze");
    for line in [
        "bridge vlan del dev v0 vid 10",
        "bridge vlan add dev v0 vid 11 pvid untagged",
        "bridge vlan add dev br0 vid 31 self",
        "ip link set v0 nomaster",
    ] {
        commands(&[line]);
        exactly_as_before(&db, &was);
    }
    // An own commit moves what is held.
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(20).expect("a VLAN");
    commit(tx);
    commands(&["bridge vlan del dev v0 vid 20"]);
    let back = |now: &Snapshot| now.vlan(now.link("v0").expect("v0").index(), 20).is_some();
    assert!(db.wait_until(crate::support::PATIENCE, back).expect("a database").is_some());
    drop(frozen);
    agrees(&db);
}

fn many_vlans_are_told_at_once() {
    let db = ports();
    let now = undone_and_done(&db, |tx| {
        tx.interface("v0").set_vlans([1..=4094])?;
        let every_other = (1..=4094).filter(|vid| vid % 2 == 0);
        tx.interface("v2").set_vlans(every_other.map(|vid| BridgeVlan::new(vid).untagged()))?;
        Ok(())
    });
    assert_eq!((vlans(&now, "v0").len(), vlans(&now, "v2").len()), (4094, 2047));
}

fn vlans_that_cannot_be_are_refused() {
    let db = ports();
    let was = before();
    let mut count = Count::new(&db);
    let backwards = std::ops::RangeInclusive::new(20, 10);
    let bad = [
        (BridgeVlan::new(0), "`0`: a VLAN is 1 to 4094"),
        (BridgeVlan::new(4095), "`4095`: a VLAN is 1 to 4094"),
        (BridgeVlan::range(4000..=4095), "`4000-4095`: a VLAN is 1 to 4094"),
        (BridgeVlan::range(backwards), "`20-10`: the last VLAN is before the first"),
        (BridgeVlan::range(2..=3).pvid(), "one VLAN only can be that of untagged frames"),
        (BridgeVlan::new(2).tunnel(1 << 24), "the number of a tunnel is 0 to 16777215"),
    ];
    for (spec, words) in bad {
        let mut tx = db.begin();
        let error = tx.interface("v0").add_vlan(spec).expect_err("a refusal").to_string();
        assert!(error.contains(words), "{error}");
        assert!(tx.review().is_empty());
    }
    let mut tx = db.begin();
    tx.interface("v0").add_vlan(BridgeVlan::new(2).pvid()).expect("a VLAN");
    let error = tx.interface("v0").add_vlan(BridgeVlan::new(3).pvid()).expect_err("a second one");
    assert!(error.to_string().contains("2 is named for that already"), "{error}");
    let error = tx.interface("v4").add_vlan(3).expect_err("no port").to_string();
    assert!(error.contains("`v4` is no port"), "{error}");
    let error = tx.interface("v0").del_vlan(99).expect_err("none").to_string();
    assert!(error.contains("VLAN 99 of `v0` is not there"), "{error}");
    let error = tx.interface("br0").add_vlan(BridgeVlan::new(2).tunnel(2)).expect_err("none");
    assert!(error.to_string().contains("only those of ports go by tunnels"), "{error}");
    drop(tx);
    assert_eq!(count.sent(), 0);
    exactly_as_before(&db, &was);
}

/// Found at run time, before anything is sent where there is a bridge to be seen, by the kernel's word where there is none.
fn a_kernel_without_vlans_is_named() {
    need_kinds("bridge veth");
    let db = Db::open().expect("a database");
    scene("link add br0 type bridge\nlink add v0 type veth peer name v1\nlink set v0 master br0");
    let now = db.sync().expect("a snapshot");
    let bridge = now.link("br0").and_then(|link| link.bridge()).expect("a bridge");
    if bridge.vlan_default_pvid().is_some() {
        crate::support::skip("this kernel's bridges have VLANs");
    }
    let feature = "this kernel has no VLANs for bridges (CONFIG_BRIDGE_VLAN_FILTERING)";
    for name in ["br0", "v0"] {
        let mut tx = db.begin();
        let error = tx.interface(name).add_vlan(10).expect_err("a refusal").to_string();
        assert!(error.contains(feature), "{error}");
    }
    let was = before();
    let mut tx = db.begin();
    let br1 = tx.create(Bridge::new("br1")).expect("a bridge");
    tx.interface(&br1).add_vlan(10).expect("nobody knows yet");
    let error = rolled_back(tx.commit()).to_string();
    assert!(error.contains(feature), "{error}");
    exactly_as_before(&db, &was);
}

fn vlans_are_saved_and_loaded() {
    let db = ports();
    commands(&[
        "bridge vlan add dev v0 vid 10-12 untagged",
        "bridge vlan add dev v0 vid 11 pvid",
        "bridge link set dev v0 vlan_tunnel on",
        "bridge vlan add dev v0 vid 10 tunnel_info id 7",
        "bridge vlan del dev v2 vid 1",
    ]);
    let was = before();
    let saved = Selection::interface("br0").and_interface("v0").and_interface("v2");
    let saved = saved.export(&db.sync().expect("a snapshot"));
    commands(&[
        "bridge vlan add dev v0 vid 60",
        "ip link set v2 nomaster",
        "bridge vlan del dev v0 vid 10",
    ]);
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.load(&saved).expect("what was saved");
    commit(tx);
    exactly_as_before(&db, &was);
    let mut tx = db.begin();
    tx.load(&saved).expect("what was saved");
    assert!(tx.review().is_empty(), "{}", tx.review());
}

/// Every VLAN of a port brings an entry for the port's own address, and takes away what was learned in it. Where the bridge
/// has that address too, which depended on chance here, it is the bridge's then without a word: it stood at the port for ever.
fn forwarding_entries_are_of_vlans() {
    drop(ports());
    commands(&[
        "ip link set v0 address 02:00:00:00:00:01",
        "ip link set v2 address 02:00:00:00:00:02",
    ]);
    let db = Db::builder().neighbours(true).open().expect("a database");
    let agree = |now: &Snapshot| {
        let theirs = bridge_json(&["fdb", "show"]).expect("`bridge`");
        let ours = to_json(&now.neighbours().fdb().tree());
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let found = compare_neighbours(&list(&ours), &list(&theirs));
        assert!(found.is_empty(), "{}", found.join("\n"));
    };
    let mac = "02:00:00:00:00:77";
    let entry = || Neighbour::fdb(mac, "v0").vlan(10).master().state(NeighbourState::NOARP);
    let make = |tx: &mut Transaction| {
        tx.interface("v0").add_vlan(10..=12)?;
        tx.add_neighbour(entry()).map(drop)
    };
    let mut tx = db.begin();
    make(&mut tx).expect("an edit");
    tx.on_commit(|_, _| Err::<(), _>("never"));
    rolled_back(tx.commit());
    agree(&db.sync().expect("a snapshot"));
    let mut tx = db.begin();
    make(&mut tx).expect("an edit");
    commit(tx);
    let now = db.sync().expect("a snapshot");
    agree(&now);
    let found = now.neighbours().fdb().filter("mac", mac).expect("a key");
    let found: Vec<_> = found.map(|entry| (entry.vlan(), entry.line(&now))).collect();
    assert_eq!(found, [(Some(10), format!("{mac} dev v0 vlan 10 master br0 static"))]);
    let mut tx = db.begin();
    tx.remove_neighbour(entry()).expect("an entry");
    tx.interface("v0").del_vlan(10..=12).expect("VLANs");
    commit(tx);
    agree(&db.sync().expect("a snapshot"));
    commands(&["bridge vlan del dev v0 vid 1"]);
    agree(&db.sync().expect("a snapshot"));
    commands(&["ip link set br0 type bridge vlan_default_pvid 9", "ip link set v0 nomaster"]);
    agree(&db.sync().expect("a snapshot"));
}
