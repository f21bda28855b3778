//! The rules of `src/plan/rules.rs` against the kernel whose manners they are, each under its name.
//!
//! Those that other files show are not shown again: names, ranges and what can be set (`bad_input`), hardware
//! addresses, options and ports that are given back, names in a circle (`rollback`), orders of macvlans and
//! backups of ports (`commit`), handles and heights (`faults`).

use crate::scene::{Count, agrees, before, exactly_as_before, open, refused, rolled_back, scene};
use crate::support::{ip, ip_json};
use netlinkdb::{BridgeOptions, Db, Ending, Interface, Transaction, Vxlan};

crate::cases![
    check_mtu,
    check_removable,
    takes_ports,
    lower_of_and_goes_with,
    height,
    goes_with_primary,
    ipv6_that_fell,
    follows_ports,
    kernel_chose,
    is_tolerable,
    requests,
    stp_moved_delay,
    needed_at_creation,
    runs_by_itself,
    ipv4_that_fell,
    misplaced,
    misplaced_under_a_route,
    order_lost_under_a_route,
    labels_lost,
];

/// A database of a scene, which has a bridge `bb` for [`ignored`].
fn open_on(lines: &str) -> Db {
    let db = open();
    scene("link add bb type bridge");
    scene(lines);
    db.sync().expect("a snapshot");
    db
}

/// Acknowledged by the kernel and without any effect: found only when everything has been sent.
fn ignored(tx: &mut Transaction) {
    let option = BridgeOptions::new().mcast_hash_elasticity(20u32);
    tx.interface("bb").bridge(option).expect("an option");
}

fn interface(db: &Db, name: &str) -> Interface {
    db.interface(name).expect("an interface")
}

/// The IPv4 addresses of an interface in the kernel's order, with their labels.
fn addresses(name: &str) -> Vec<String> {
    let shown = ip_json(&["-4", "addr", "show", "dev", name]);
    let infos = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    infos.iter().map(|info| text(&info["local"]) + " " + &text(&info["label"])).collect()
}

/// The routes that a program has made.
fn routes() -> String {
    let shown = ip(&["route", "show", "proto", "static"]);
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

fn check_mtu() {
    let db = open_on("link add v0 type veth peer name v1");
    for (bytes, holds) in [(67, false), (68, true), (65_535, true), (65_536, false)] {
        let ended = interface(&db, "v0").set_mtu(bytes).commit();
        assert_eq!(ended.is_ok(), holds, "{bytes}");
        // The kernel thinks so too.
        let theirs =
            crate::support::iproute2::try_ip(&["link", "set", "v1", "mtu", &bytes.to_string()]);
        assert_eq!(theirs.status.success(), holds, "{bytes}");
    }
}

fn check_removable() {
    let db = open_on("");
    let error = db.begin().remove("lo").expect_err("the loopback");
    assert!(error.is_refused() && error.to_string().contains("`lo`"), "{error}");
    assert!(!crate::support::iproute2::try_ip(&["link", "del", "lo"]).status.success());
}

fn takes_ports() {
    let db = open_on(
        "link add v0 type veth peer name v1\n link add i0 type ifb\n link add m0 link v1 type macvlan",
    );
    for name in ["lo", "v1", "i0", "m0"] {
        let error = interface(&db, name).add_port("v0").expect_err("no master");
        assert!(error.is_refused(), "{error}");
        let theirs = ["link", "set", "v0", "master", name];
        assert!(!crate::support::iproute2::try_ip(&theirs).status.success(), "{name}");
    }
    interface(&db, "bb").add_port("v0").expect("a port").commit().expect("a commit");
}

fn lower_of_and_goes_with() {
    let db = open_on(
        "link add v0 type veth peer name v1\n link add m0 link v0 type macvlan
         link add x0 type vxlan id 5 dstport 4789 dev v1\n link add w0 type veth peer name w1",
    );
    let mut tx = db.begin();
    tx.remove("v0").expect("an interface");
    let review = tx.review().to_string();
    for name in ["v1", "m0", "x0"] {
        assert!(review.contains(&format!("- interface {name}, which goes with it")), "{review}");
    }
    assert!(!review.contains("w0") && !review.contains("bb"), "{review}");
    tx.commit().expect("a removal");
    let left: Vec<_> = db.snapshot().links().map(|link| link.name().to_owned()).collect();
    assert_eq!(left, ["lo", "bb", "w1", "w0"]);
    agrees(&db);
}

/// What is below is raised first: above, the kernel refuses a larger mtu, and a macvlan to be up.
fn height() {
    let db = open_on("link add v0 type veth peer name v1\n link add m0 link v0 type macvlan");
    for (mtu, up) in [(2000, true), (1400, false), (9000, true)] {
        let mut tx = db.begin();
        for name in ["m0", "v0"] {
            let mut edit = tx.interface(name);
            edit.set_mtu(mtu);
            if up {
                edit.up()
            } else {
                edit.down()
            };
        }
        tx.commit().expect("an order that the kernel takes");
    }
    agrees(&db);
}

/// An address that this commit adds goes with the primary that it deletes (K25), and is added again.
fn goes_with_primary() {
    let db = open_on("link add i0 type ifb\n addr add 10.0.0.1/24 dev i0");
    let i0 = interface(&db, "i0");
    let tx = i0.add_ip("10.0.0.2/24").and_then(|tx| tx.del_ip("10.0.0.1/24"));
    tx.expect("addresses").commit().expect("a commit");
    assert_eq!(addresses("i0"), ["10.0.0.2 i0"]);
    agrees(&db);
}

/// Those that a program had added come back with the link (K27), by this commit or at once by the next.
fn ipv6_that_fell() {
    let db = open_on("addr add fd00::1/64 dev bb nodad\n link set bb up");
    let before = before();
    for edit in ["down", "mtu"] {
        let mut tx = db.begin();
        match edit {
            "down" => tx.interface("bb").down(),
            _ => tx.interface("bb").set_mtu(1000),
        };
        ignored(&mut tx);
        rolled_back(tx.commit());
        exactly_as_before(&db, &before);
    }
}

/// A bridge takes the least mtu and hardware address of its ports, and gives them back.
fn follows_ports() {
    let db = open_on("link add v0 address 02:00:00:00:00:01 mtu 1300 type veth peer name v1");
    interface(&db, "bb").add_port("v0").expect("a port").commit().expect("a commit");
    let link = interface(&db, "bb").link().expect("bb");
    assert_eq!(link.mtu(), 1300);
    assert_eq!(link.address().map(|own| own.to_string()).as_deref(), Some("02:00:00:00:00:01"));
    interface(&db, "bb").del_port("v0").expect("a port").commit().expect("a commit");
    let before = before();
    let mut tx = db.begin();
    tx.interface("bb").add_port("v0").expect("a port");
    ignored(&mut tx);
    rolled_back(tx.commit());
    exactly_as_before(&db, &before);
}

/// What a program has set on the bridge is not the kernel's choice, and stays through commit and rollback.
fn kernel_chose() {
    let db = open_on(
        "link add v0 address 02:00:00:00:00:01 mtu 1300 type veth peer name v1
         link set bb mtu 1450 address 02:00:00:00:00:0b",
    );
    let before = before();
    let mut tx = db.begin();
    tx.interface("bb").add_port("v0").expect("a port");
    ignored(&mut tx);
    rolled_back(tx.commit());
    exactly_as_before(&db, &before);
    interface(&db, "bb").add_port("v0").expect("a port").commit().expect("a commit");
    assert_eq!(interface(&db, "bb").link().expect("bb").mtu(), 1450);
    agrees(&db);
}

/// "There already" and "not there" are no failures where the state is the wanted one (K44).
fn is_tolerable() {
    let db = open_on("addr add 10.0.0.1/24 dev bb\n link property add dev bb altname old");
    db.refresh(["bb"]).expect("a snapshot");
    let b = interface(&db, "bb");
    let tx = b.add_ip("10.0.1.1/24").and_then(|tx| tx.del_ip("10.0.0.1/24"));
    let tx = tx.and_then(|tx| tx.add_altname("new")).and_then(|tx| tx.del_altname("old"));
    scene(
        "addr add 10.0.1.1/24 dev bb\n addr del 10.0.0.1/24 dev bb
         link property add dev bb altname new\n link property del dev bb altname old",
    );
    tx.expect("edits").commit().expect("what another program has done meanwhile");
    assert_eq!(addresses("bb"), ["10.0.1.1 bb"]);
    agrees(&db);
}

/// With the spanning tree the kernel refuses 1 s, and without it takes it: so the protocol ends first.
fn requests() {
    let db = open_on("link set bb type bridge stp_state 1");
    // While it is down nobody hears of it.
    db.refresh(["bb"]).expect("a snapshot");
    let options = BridgeOptions::new().stp_state(false).forward_delay(100u32);
    let tx = interface(&db, "bb").bridge(options).expect("options");
    let mut count = Count::new(&db);
    tx.commit().expect("a commit");
    assert!(count.sent() >= 2, "one request would be refused");
    agrees(&db);
}

/// The kernel moves a delay of 1 s to 2 s as the protocol begins; nobody named the delay, so it comes back.
fn stp_moved_delay() {
    let db = open_on("link set bb type bridge stp_state 0 forward_delay 100");
    db.refresh(["bb"]).expect("a snapshot");
    let before = before();
    let mut tx = db.begin();
    let options = BridgeOptions::new().stp_state(true).mcast_hash_elasticity(20u32);
    tx.interface("bb").bridge(options).expect("options");
    rolled_back(tx.commit());
    exactly_as_before(&db, &before);
    let options = BridgeOptions::new().stp_state(true);
    interface(&db, "bb").bridge(options).expect("an option").commit().expect("a commit");
    let link = interface(&db, "bb").link().expect("bb");
    assert_eq!(link.bridge().and_then(|bridge| bridge.forward_delay()), Some(200));
}

/// A VXLAN that reports a switch as off may not be given it as off at creation: it would begin to use its bits.
fn needed_at_creation() {
    let db = open_on("link add v0 type veth peer name v1");
    let mut tx = db.begin();
    tx.create(Vxlan::new("x0", 7).dev("v0").port(4789u16).udp_csum(false)).expect("a vxlan");
    tx.commit().expect("a commit");
    let before = before();
    let mut tx = db.begin();
    tx.remove("x0").expect("an interface");
    ignored(&mut tx);
    rolled_back(tx.commit());
    exactly_as_before(&db, &before);
}

/// The state of a port moves with the spanning tree while the port is brought back; that is no residue.
fn runs_by_itself() {
    let db = open_on(
        "link set bb type bridge stp_state 1 forward_delay 200\n link set bb up
         link add v0 type veth peer name v1\n link set v0 up\n link set v1 up\n link set v0 master bb",
    );
    for _ in 0..3 {
        let mut tx = db.begin();
        tx.interface("bb").del_port("v0").expect("a port");
        ignored(&mut tx);
        rolled_back(tx.commit());
    }
    assert_eq!(interface(&db, "v0").master().expect("v0"), Some(interface(&db, "bb")));
    agrees(&db);
}

/// A primary goes, its secondaries with it (K25), and all come back as they were.
fn ipv4_that_fell() {
    let db = open_on(
        "addr add 10.0.0.1/24 dev bb\n addr add 10.0.0.2/24 dev bb\n addr add 10.0.0.3/24 dev bb",
    );
    let before = addresses("bb");
    let mut tx = db.begin();
    tx.interface("bb").del_ip("10.0.0.1/24").expect("an address");
    ignored(&mut tx);
    rolled_back(tx.commit());
    assert_eq!(addresses("bb"), before);
    agrees(&db);
}

const TWO_NETWORKS: &str =
    "link set bb up\n addr add 10.0.0.1/24 dev bb\n addr add 10.1.0.1/24 dev bb";

/// Deletes the first of two addresses and is rolled back.
fn first_address_comes_back(db: &Db) -> netlinkdb::CommitError {
    let mut tx = db.begin();
    tx.interface("bb").del_ip("10.0.0.1/24").expect("an address");
    ignored(&mut tx);
    tx.commit().expect_err("an option without effect")
}

/// An address that comes back is behind those that stayed: they are put in order, where no route goes with them.
fn misplaced() {
    let db = open_on(TWO_NETWORKS);
    let before = addresses("bb");
    let error = first_address_comes_back(&db);
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}");
    assert_eq!(addresses("bb"), before);
    agrees(&db);
}

/// Putting the addresses in order would take a program's route along (K5).
fn misplaced_under_a_route() {
    let db = open_on(TWO_NETWORKS);
    scene("route add 10.9.0.0/16 via 10.1.0.2 proto static");
    db.sync().expect("a snapshot");
    let before = routes();
    first_address_comes_back(&db);
    assert_eq!(routes(), before);
    assert_eq!(addresses("bb").len(), 2);
    agrees(&db);
}

/// Where it cannot be put in order it is told.
fn order_lost_under_a_route() {
    let db = open_on(TWO_NETWORKS);
    scene("route add 10.9.0.0/16 via 10.1.0.2 proto static");
    db.sync().expect("a snapshot");
    let error = first_address_comes_back(&db);
    assert!(matches!(error.ending(), Ending::Torn { .. }), "{error}");
    let residue: Vec<_> = error.error().residue().iter().map(|left| left.what.clone()).collect();
    assert_eq!(residue, ["order of the addresses of `bb`"]);
    assert_eq!(addresses("bb"), ["10.1.0.1 bb", "10.0.0.1 bb"]);
}

/// A rename numbers the labels that only repeat the name. They come back where no route would go with them.
fn labels_lost() {
    let db =
        open_on("link add i0 type ifb\n addr add 10.0.0.1/24 dev i0\n addr add 10.1.0.1/24 dev i0");
    let before = addresses("i0");
    let mut tx = db.begin();
    tx.interface("i0").set_name("j0").expect("a name");
    ignored(&mut tx);
    rolled_back(tx.commit());
    assert_eq!(addresses("i0"), before);
    let stale = interface(&db, "i0").set_name("j0").expect("a name");
    scene("link set i0 name k0");
    refused(stale.commit());
    agrees(&db);
}
