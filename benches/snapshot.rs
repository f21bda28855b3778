//! What a snapshot and a difference cost, among 10,000 addresses.
//!
//! `cargo bench --bench snapshot`; a private namespace, no root.

mod support;

use std::hint::black_box;

use netlinkdb::{Db, Ifb, NetNs, Result};
use support::{Table, median_of};

const ADDRESSES: u32 = 10_000;

fn main() -> Result<()> {
    NetNs::enter_private()?;
    let db = Db::open()?;
    let mut tx = db.begin();
    let new = tx.create(Ifb::new("ifb0"))?;
    let ifb0 = tx.commit()?.interface(&new)?;
    add(&ifb0, 0..ADDRESSES)?;
    let before = db.sync()?;
    assert_eq!(before.address_count(), ADDRESSES as usize);

    let mut table = Table::new();
    let taken = median_of(100, || {
        for _ in 0..1000 {
            black_box(db.snapshot());
        }
    });
    table.row("snapshot", taken / 1000.0 * 1e6, "us", None);
    let none = median_of(1000, || drop(black_box(before.diff(&before))));
    table.row("difference, no change", none * 1e6, "us", None);
    add(&ifb0, ADDRESSES..ADDRESSES + 1)?;
    let one = db.sync()?;
    assert_eq!(before.diff(&one).len(), 1);
    let taken = median_of(1000, || drop(black_box(before.diff(&one))));
    table.row("difference, 1 change", taken * 1e6, "us", None);
    add(&ifb0, ADDRESSES + 1..ADDRESSES + 1000)?;
    let thousand = db.sync()?;
    assert_eq!(before.diff(&thousand).len(), 1000);
    let taken = median_of(1000, || drop(black_box(before.diff(&thousand))));
    table.row("difference, 1,000 changes", taken * 1e6, "us", None);
    table.print();
    Ok(())
}

/// Each is its own network: secondaries would make the kernel slow.
fn add(to: &netlinkdb::Interface, numbers: std::ops::Range<u32>) -> Result<()> {
    let mut tx = to.begin();
    for number in numbers {
        tx = tx.add_ip(format!("10.{}.{}.1/32", number / 256, number % 256).as_str())?;
    }
    tx.commit()?;
    Ok(())
}
