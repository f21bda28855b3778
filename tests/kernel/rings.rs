//! HSR and PRP interfaces, which stand on two ports that they are made with: they lose one that goes, go with the last one,
//! and take none later (`hsr_netdev_notify`). The kernel announces neither the loss nor the mtu that they get from a port.
//!
//! Of the kernels of tests/vm only 6.12 has them.

use crate::scene::agrees_unasked;
use crate::stacks::not_done;
use crate::support::{need_kinds, scene};
use crate::witness::{is_the_kernel, quiet};
use netlinkdb::{Db, Result, Transaction};

crate::cases![
    a_port_that_comes_back_is_a_port_again,
    what_went_with_both_its_ports_comes_back_with_them,
    what_is_removed_with_its_ports_comes_back_with_them,
    a_port_that_goes_is_lost,
    the_mtu_of_a_port_moves_that_of_what_stands_on_it,
];

const RING: &str = "link add d1 type dummy
     link add d2 type dummy
     link add h1 type hsr slave1 d1 slave2 d2 supervision 45 proto 0
     link set d1 up
     link set d2 up
     link set h1 up";

/// With what has to come back when it is made anew.
const LADEN: &str = "link set h1 mtu 1400
     addr add 10.7.0.1/24 dev h1
     addr add fd07::1/64 dev h1
     route add 10.8.0.0/16 via 10.7.0.9
     link add m1 link h1 type macvlan mode bridge
     link set m1 up
     addr add 10.9.0.1/24 dev m1
     route add 10.10.0.0/16 via 10.9.0.9";

/// A ring, and an edit that the last step refuses: all is as before.
#[track_caller]
fn undone(edit: impl Fn(&mut Transaction) -> Result<()>) {
    need_kinds("dummy hsr macvlan");
    let error = not_done(&format!("{RING}\n{LADEN}"), edit);
    assert!(error.is_hook(), "{error}");
}

/// It was told to be as before, and had one port: nothing gives it another one.
fn a_port_that_comes_back_is_a_port_again() {
    undone(|tx| tx.remove("d1"));
    scene("link del d1\n link del d2");
    undone(|tx| tx.remove("d2"));
}

/// It was gone, and told to be there.
fn what_went_with_both_its_ports_comes_back_with_them() {
    undone(|tx| {
        tx.remove("d1")?;
        tx.remove("d2")
    });
}

fn what_is_removed_with_its_ports_comes_back_with_them() {
    undone(|tx| ["d2", "h1", "d1"].iter().try_for_each(|name| tx.remove(*name)));
    scene("link del d1\n link del d2");
    undone(|tx| tx.remove("h1"));
}

fn a_port_that_goes_is_lost() {
    need_kinds("dummy hsr macvlan");
    quiet();
    scene(RING);
    let db = Db::open().expect("a database");
    let ports = || {
        let now = db.sync().expect("a snapshot");
        let ring = now.link("h1")?.hsr().map(|hsr| (hsr.slave1(), hsr.slave2()));
        let index = |name: &str| now.link(name).map(|link| link.index());
        Some((ring?, (index("d1"), index("d2"))))
    };
    let (ring, both) = ports().expect("a ring");
    assert_eq!(ring, both);
    // By others, and by a transaction.
    scene("link del d1");
    agrees_unasked(&db);
    let (ring, both) = ports().expect("a ring");
    assert_eq!((ring, both.0), (both, None));
    is_the_kernel(&db);
    let mut tx = db.begin();
    tx.remove("d2").expect("an edit");
    tx.commit().expect("no port");
    assert_eq!(ports(), None);
    agrees_unasked(&db);
}

fn the_mtu_of_a_port_moves_that_of_what_stands_on_it() {
    undone(|tx| {
        tx.interface("d2").set_mtu(1300);
        Ok(())
    });
    let db = Db::open().expect("a database");
    let mtu = || db.sync().expect("a snapshot").link("h1").map(|link| link.mtu());
    for (port, wide) in [("d1", 1350), ("d2", 1330), ("d2", 1500)] {
        scene(&format!("link set {port} mtu {wide}"));
        agrees_unasked(&db);
        let least = wide.min(1350);
        assert_eq!(mtu(), Some(least - 6), "{port} {wide}");
    }
}
