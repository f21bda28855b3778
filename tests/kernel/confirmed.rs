//! Commits that hold only when they are confirmed.

use crate::scene::{agrees, before, exactly_as_before, open, scene};
use crate::support::ip_json;
use netlinkdb::{Bridge, Db, Route, Unconfirmed};
use std::time::Duration;

crate::cases![
    confirmed_it_holds,
    not_confirmed_in_time_it_is_taken_back,
    dropped_it_is_taken_back_at_once,
    taken_back_on_request_it_says_how,
    what_others_have_done_since_stays,
    a_panic_takes_it_back,
    what_does_not_hold_at_all_is_an_error_as_ever,
    many_at_once_are_taken_back_each,
];

const LONG: Duration = Duration::from_secs(600);

fn open_on_scene() -> Db {
    let db = open();
    scene(
        "link add br0 type bridge
        link add v0 type veth peer name v1
        link set v0 up
        address add 10.0.0.1/24 dev v0",
    );
    db.sync().expect("a snapshot");
    db
}

/// Everything of everything: a new interface, attributes, a master, an address, a route.
fn commit(db: &Db, within: Duration) -> Unconfirmed {
    let mut tx = db.begin();
    tx.create(Bridge::new("br1")).expect("a bridge");
    tx.interface("v1").set_mtu(1400).up();
    tx.interface("br0").add_port("v1").expect("a port").add_ip("10.1.0.1/24").expect("new").up();
    tx.interface("v0").del_ip("10.0.0.1/24").expect("it").add_ip("10.0.0.2/24").expect("new");
    tx.add_route(Route::to("10.9.0.0/16").dev("br0")).expect("a route");
    tx.commit_confirmed(within).expect("a commit")
}

fn confirmed_it_holds() {
    let db = open_on_scene();
    let pending = commit(&db, LONG);
    assert!(pending.taken_back().is_none());
    let id = pending.committed().id();
    assert_eq!(pending.confirm().expect("in time").id(), id);
    assert!(db.sync().expect("a snapshot").link("br1").is_some());
    agrees(&db);
}

fn not_confirmed_in_time_it_is_taken_back() {
    let db = open_on_scene();
    let was = before();
    let pending = commit(&db, Duration::from_millis(300));
    assert!(db.snapshot().link("br1").is_some());
    // The committing thread does nothing meanwhile.
    let ended = pending.wait_taken_back(Duration::from_secs(60)).expect("taken back");
    assert!(ended.is_rolled_back() && ended.is_unconfirmed() && !ended.is_torn(), "{ended}");
    assert!(ended.to_string().contains("0.3 s were given for it"), "{ended}");
    let error = pending.confirm().expect_err("too late");
    assert!(error.is_rolled_back() && error.is_unconfirmed(), "{error}");
    exactly_as_before(&db, &was);
}

fn dropped_it_is_taken_back_at_once() {
    let db = open_on_scene();
    let was = before();
    drop(commit(&db, LONG));
    // At once: no wait.
    assert!(db.snapshot().link("br1").is_none());
    exactly_as_before(&db, &was);
}

fn taken_back_on_request_it_says_how() {
    let db = open_on_scene();
    let was = before();
    let error = commit(&db, LONG).roll_back();
    assert!(error.is_rolled_back() && error.is_unconfirmed(), "{error}");
    exactly_as_before(&db, &was);
}

fn what_others_have_done_since_stays() {
    let db = open_on_scene();
    let pending = commit(&db, LONG);
    scene("link set v1 mtu 1300\nlink set br0 group 7\naddress add 10.1.0.9/24 dev br0");
    db.interface("v0").expect("it").set_txqlen(7).commit().expect("another transaction");
    let error = pending.roll_back();
    assert!(error.is_rolled_back(), "{error}");
    let now = db.sync().expect("a snapshot");
    let link = |name: &str| now.link(name).expect("it");
    assert_eq!((link("v1").mtu(), link("v1").master()), (1300, None));
    assert_eq!((link("br0").group(), link("v0").txqlen()), (7, 7));
    let shown = ip_json(&["-4", "address", "show", "dev", "br0"]);
    assert_eq!(shown[0]["addr_info"][0]["local"], "10.1.0.9");
    agrees(&db);
}

fn a_panic_takes_it_back() {
    let db = open_on_scene();
    let was = before();
    let other = db.clone();
    let ended = std::thread::spawn(move || {
        let _pending = commit(&other, LONG);
        std::panic::resume_unwind(Box::new("what follows the commit"));
    });
    assert!(ended.join().is_err());
    exactly_as_before(&db, &was);
}

fn what_does_not_hold_at_all_is_an_error_as_ever() {
    let db = open_on_scene();
    let was = before();
    let mut tx = db.begin();
    tx.interface("v1").set_mtu(1400);
    tx.on_commit(|_, _| Err::<(), _>("no"));
    let error = tx.commit_confirmed(LONG).expect_err("a hook");
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    let mut tx = db.begin();
    tx.interface("nobody").up();
    assert!(tx.commit_confirmed(LONG).expect_err("unknown").is_refused());
    exactly_as_before(&db, &was);
}

fn many_at_once_are_taken_back_each() {
    let db = open_on_scene();
    let was = before();
    let pending: Vec<_> = (0..4)
        .map(|n| {
            let mut tx = db.begin();
            tx.create(Bridge::new(&format!("b{n}"))).expect("a bridge");
            tx.interface("v0").add_ip(format!("10.5.{n}.1/24")).expect("an address");
            tx.commit_confirmed(if n % 2 == 0 { LONG } else { Duration::ZERO }).expect("a commit")
        })
        .collect();
    for (n, pending) in pending.into_iter().enumerate() {
        let error = match n % 2 {
            0 => pending.roll_back(),
            _ => pending.wait_taken_back(Duration::from_secs(60)).expect("taken back"),
        };
        assert!(error.is_rolled_back(), "{error}");
    }
    exactly_as_before(&db, &was);
}
