//! VLANs of bridge ports and of bridges themselves. The witness is `bridge -json vlan show` and `tunnelshow`.
//!
//! The development kernel's bridges have none; tests/vm runs these on kernels whose bridges do.

use crate::support::judge::plain_vlans as plain;
use crate::support::oracle::to_json;
use crate::support::{Request, bridge_json, ip, need_kinds, quiesce_and_compare, scene, try_ip};
use netlinkdb::internals::sys::{Options, Socket};
use netlinkdb::{BridgeVlan, Db, Object, ObjectKind, Snapshot};
use serde_json::json;
use std::process::Command;

crate::cases![
    vlans_read_as_bridge_prints_them,
    vlans_are_followed,
    the_default_vlan_moves_without_a_word,
    tunnels_go_with_their_switch,
    random_vlans_of_others_are_followed,
    a_vlan_that_goes_is_no_port_that_leaves,
    changes_of_vlans_are_told,
    bridges_without_vlans_are_read_all_the_same,
];

/// Skips the test where bridges have no VLANs, or nobody bears witness.
fn need_vlans() {
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

/// A database on a kernel without them opens without complaint; so does one before there is any bridge.
fn bridges_without_vlans_are_read_all_the_same() {
    need_kinds("bridge veth");
    let db = Db::open().expect("a database");
    scene("link add br0 type bridge\nlink add v0 type veth peer name v1\nlink set v0 master br0");
    let now = agrees(&db);
    assert_eq!(now.ports_of(now.link("br0").expect("br0").index()).count(), 1);
    assert_eq!(Db::open().expect("a second one").snapshot().vlan_count(), now.vlan_count());
}
