//! What the kernel announces after it has answered: K2 has exceptions.

use crate::support::need_kind;
use netlinkdb::{AddressFlags, AddressSpec, Db, Veth};

crate::cases![an_address_without_duplicate_detection_is_announced_late];

/// Every seventh commit of `fd00::1/64 nodad` was rolled back as without effect: an IPv6 address with `nodad` or
/// `optimistic` is announced by a work queue, and the fence had passed by then.
fn an_address_without_duplicate_detection_is_announced_late() {
    need_kind("veth");
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    let pair = tx.create(Veth::new("late0", "late1")).unwrap();
    tx.interface(&pair).up();
    tx.interface("late1").up();
    tx.commit().unwrap();
    let late0 = db.interface("late0").unwrap();
    for number in 1..100 {
        let flags = [AddressFlags::NODAD, AddressFlags::OPTIMISTIC][number % 2];
        let spec: AddressSpec = format!("fd00::{number:x}/64").parse().unwrap();
        late0.add_ip(spec.flags(flags)).unwrap().commit().unwrap();
    }
    let ours = late0.ipv6().unwrap();
    let added = ours.iter().filter(|address| address.local().to_string().starts_with("fd00:"));
    assert_eq!(added.count(), 99);
}
