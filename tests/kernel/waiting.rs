//! Waiting for a state, from threads that use the database meanwhile.

use crate::support::ip;
use netlinkdb::{Db, Veth};
use std::time::Duration;

crate::cases![
    what_is_waited_for_may_use_the_database,
    a_wait_ends_with_the_change_that_another_program_makes,
    a_wait_that_is_in_vain_ends_in_time,
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
