//! Waiting for a state, from threads that use the database meanwhile.

use crate::support::{PATIENCE, ip, need_kind, scene, sysctl};
use netlinkdb::{AddressFlags, AddressSpec, Db, OperState, Veth};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

crate::cases![
    what_is_waited_for_may_use_the_database,
    a_wait_ends_with_the_change_that_another_program_makes,
    a_wait_that_is_in_vain_ends_in_time,
    k26_an_address_is_usable_when_duplicate_detection_has_ended,
    k26_a_duplicate_is_an_error_and_no_timeout,
    an_optimistic_address_is_usable_at_once,
    an_address_that_comes_later_is_waited_for,
    an_interface_that_goes_away_ends_its_waits,
    carrier_and_operational_state_are_waited_for,
    what_is_waited_for_in_vain_is_told_with_how_it_is,
    an_address_in_a_network_is_waited_for,
];

/// The predicate was once asked under the lock that `snapshot` takes: a database that was used in it hung.
fn what_is_waited_for_may_use_the_database() {
    let db = Db::open().unwrap();
    let inside = db.clone();
    let asked = db.wait_until(Duration::from_secs(60), |now| {
        let committed = inside.interface("lo").unwrap().up().commit().is_ok();
        committed && inside.snapshot().revision() >= now.revision()
    });
    assert!(asked.unwrap().is_some());
    assert!(db.interface("lo").unwrap().link().unwrap().is_up());
}

fn a_wait_ends_with_the_change_that_another_program_makes() {
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    tx.create(Veth::new("v0", "v1")).unwrap();
    tx.commit().unwrap();
    ip(&["link", "set", "dev", "v0", "mtu", "1234"]);
    let found = db.wait_until(Duration::from_secs(60), |now| now.link("v0").unwrap().mtu() == 1234);
    assert_eq!(found.unwrap().unwrap().link("v0").unwrap().mtu(), 1234);
}

fn a_wait_that_is_in_vain_ends_in_time() {
    let db = Db::open().unwrap();
    let found = db.wait_until(Duration::from_millis(1), |now| now.link("never").is_some());
    assert!(found.unwrap().is_none());
}

fn a_pair(up: bool) -> Db {
    need_kind("veth");
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    let pair = tx.create(Veth::new("v0", "v1")).unwrap();
    if up {
        tx.interface(&pair).up();
        tx.interface("v1").up();
    }
    tx.commit().unwrap();
    db
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn k26_an_address_is_usable_when_duplicate_detection_has_ended() {
    let db = a_pair(true);
    let done = db.interface("v0").unwrap().add_ip("fd00::1/64").unwrap().commit().unwrap();
    let at_first = done.snapshot().addresses().find(|own| own.local() == address("fd00::1"));
    assert!(at_first.unwrap().is_tentative());
    let usable = db.wait_usable("v0", address("fd00::1"), PATIENCE).unwrap();
    assert!(!usable.is_tentative() && !usable.is_duplicate());
    // As what it was waited for: the source of a route.
    ip(&["-6", "route", "add", "fd01::/64", "dev", "v0", "src", "fd00::1"]);
    db.interface("v0").unwrap().add_ip("10.0.0.1/24").unwrap().commit().unwrap();
    db.wait_usable("v0", address("10.0.0.1"), Duration::ZERO).unwrap();
}

fn k26_a_duplicate_is_an_error_and_no_timeout() {
    let db = a_pair(true);
    db.interface("v1").unwrap().add_ip("fd00::1/64").unwrap().commit().unwrap();
    db.wait_usable("v1", address("fd00::1"), PATIENCE).unwrap();
    let v0 = db.interface("v0").unwrap();
    v0.add_ip("fd00::1/64").unwrap().commit().unwrap();
    let error = db.wait_usable(&v0, address("fd00::1"), PATIENCE).unwrap_err();
    assert!(error.is_duplicate() && !error.is_timeout(), "{error}");
    assert!(error.to_string().starts_with("fd00::1 of v0 is a duplicate"), "{error}");
}

fn an_optimistic_address_is_usable_at_once() {
    sysctl("ipv6.conf.default.optimistic_dad", 1);
    let db = a_pair(true);
    let spec: AddressSpec = "fd00::1/64".parse().unwrap();
    let spec = spec.flags(AddressFlags::OPTIMISTIC);
    db.interface("v0").unwrap().add_ip(spec).unwrap().commit().unwrap();
    let usable = db.wait_usable("v0", address("fd00::1"), Duration::from_millis(500)).unwrap();
    assert!(usable.flags().contains(AddressFlags::OPTIMISTIC), "{usable}");
}

fn an_address_that_comes_later_is_waited_for() {
    let db = a_pair(true);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| db.wait_usable("v0", address("10.0.0.9"), PATIENCE));
        scene("address add 10.0.0.8/24 dev v0\n address add 10.0.0.9/24 dev v0");
        assert_eq!(waiting.join().unwrap().unwrap().prefix(), "10.0.0.9/24");
    });
}

fn an_interface_that_goes_away_ends_its_waits() {
    let db = a_pair(false);
    let v0 = db.interface("v0").unwrap();
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| db.wait_usable(&v0, address("10.0.0.9"), PATIENCE).map(drop)),
            scope.spawn(|| db.wait_operstate(&v0, OperState::UP, PATIENCE).map(drop)),
        ];
        ip(&["link", "del", "v0"]);
        for wait in waits {
            let error = wait.join().unwrap().unwrap_err();
            assert!(error.is_stale(), "{error}");
        }
    });
    assert!(db.wait_carrier("v0", true, PATIENCE).unwrap_err().is_not_found());
    assert!(db.wait_carrier(&v0, true, PATIENCE).unwrap_err().is_stale());
}

fn carrier_and_operational_state_are_waited_for() {
    let db = a_pair(false);
    thread::scope(|scope| {
        let carrier = scope.spawn(|| db.wait_carrier("v0", true, PATIENCE));
        let up = scope.spawn(|| db.wait_operstate("v0", OperState::UP, PATIENCE));
        scene("link set v0 up\n link set v1 up");
        let now = carrier.join().unwrap().unwrap();
        assert_eq!(now.link("v0").unwrap().carrier(), Some(true));
        let now = up.join().unwrap().unwrap();
        assert_eq!(now.link("v0").unwrap().operstate(), Some(OperState::UP));
    });
    ip(&["link", "set", "v1", "down"]);
    db.wait_carrier("v0", false, PATIENCE).unwrap();
    let now = db.wait_operstate("v0", OperState::LOWERLAYERDOWN, PATIENCE).unwrap();
    assert_eq!(now.link("v0").unwrap().carrier(), Some(false));
}

fn what_is_waited_for_in_vain_is_told_with_how_it_is() {
    let db = a_pair(false);
    let vain = Duration::from_millis(1);
    let error = db.wait_operstate("v0", OperState::UP, vain).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let expected = "operational state UP (v0) did not come within 0.001 s: it is DOWN";
    assert_eq!(error.to_string(), expected);
    let error = db.wait_usable("v0", address("10.0.0.1"), vain).unwrap_err();
    assert!(error.is_timeout() && error.to_string().ends_with("it is not there"), "{error}");
    let error = db.wait_carrier("v0", true, vain).unwrap_err();
    assert!(error.is_timeout() && error.to_string().ends_with("it has none"), "{error}");
    assert!(db.wait_ip("10.0.0.0/8".parse().unwrap(), vain).unwrap_err().is_timeout());
}

fn an_address_in_a_network_is_waited_for() {
    let db = a_pair(false);
    thread::scope(|scope| {
        let inside = scope.spawn(|| db.wait_ip("10.0.0.0/8".parse().unwrap(), PATIENCE));
        let exact = scope.spawn(|| db.wait_ip("10.1.2.3/32".parse().unwrap(), PATIENCE));
        scene("address add 11.1.2.3/24 dev v0\n address add 10.1.2.3/24 dev v0");
        for wait in [inside, exact] {
            assert_eq!(wait.join().unwrap().unwrap().prefix(), "10.1.2.3/24");
        }
    });
}
