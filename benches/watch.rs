//! What it costs to watch: an idle freeze, a hundred subscribers, the reaction of a freeze, an hour of history.
//!
//! `cargo bench --bench watch`; a private namespace, no root. Limits are measured in the same run by bare sockets.

#![allow(unsafe_code)] // getrusage(2), malloc_trim(3)

mod support;

use std::time::Duration;

use netlinkdb::{Db, EventQueue, NetNs, Result, Route, Selection, Veth};
use support::bare::{Bare, mtu};
use support::{Table, median, time};

/// How often each is measured.
const TIMES: u32 = 500;

fn main() -> Result<()> {
    NetNs::enter_private()?;
    let db = Db::open()?;
    let mut tx = db.begin();
    tx.create(Veth::new("one", "two"))?;
    tx.commit()?;
    drop(db);
    support::fill(1000)?;
    let mut table = Table::new();
    idle_freeze(&mut table)?;
    subscribers(&mut table)?;
    reaction(&mut table)?;
    hour_of_history(&mut table)?;
    table.print();
    Ok(())
}

/// Another program changes an interface, and the database has seen it.
fn seen(db: &Db, bare: &mut Bare, index: u32, times: u32, mut behind: impl FnMut()) -> f64 {
    let one = |n: u32| {
        let seen = time(&mut || {
            bare.carry_out(mtu(index, 1400 + n % 2));
            db.sync().map(drop).unwrap();
        });
        behind();
        seen
    };
    median((0..times).map(one).collect())
}

/// A freeze of everything but one interface, among 1,000, while nothing happens to what it holds.
fn idle_freeze(table: &mut Table) -> Result<()> {
    let db = Db::open()?;
    let index = db.interface("one")?.index();
    let mut bare = Bare::new();
    let without = seen(&db, &mut bare, index, TIMES, || {});
    let names = db.snapshot().links().map(|link| link.name().to_owned()).collect::<Vec<_>>();
    let others = names
        .into_iter()
        .filter(|name| name != "one")
        .fold(Selection::nothing().and_all_routes().and_rules(), |all, name| {
            all.and_interface(name)
        });
    let guard = db.freeze(others)?;
    let with = seen(&db, &mut bare, index, TIMES, || {});
    table.row("foreign change seen, without a freeze", without * 1e6, "us", None);
    table.row("the same beside a freeze of all else", with * 1e6, "us", Some(with / without));
    // The freeze still looks at the changes of before while the first of two is measured.
    let idle = || {
        let before = cpu();
        std::thread::sleep(Duration::from_secs(2));
        let after = cpu();
        (after.0 - before.0, after.1 - before.1)
    };
    idle();
    let (used, woken) = idle();
    table.row("an idle freeze, processor", used / 2.0 * 1e6, "us/s", None);
    table.row("an idle freeze, wake-ups but for the clock's", (woken - 1.0).max(0.0), "", None);
    drop(guard.thaw());
    Ok(())
}

/// Until the snapshot has it, and until the last of 100 queues has handed it out.
fn subscribers(table: &mut Table) -> Result<()> {
    let db = Db::open()?;
    let index = db.interface("one")?.index();
    let mut bare = Bare::new();
    let without = seen(&db, &mut bare, index, TIMES, || {});
    let mut queues: Vec<EventQueue> = (0..100).map(|_| db.events()).collect::<Result<_>>()?;
    let drain = |queues: &mut Vec<EventQueue>| {
        for queue in queues {
            while queue.try_next().unwrap().is_some() {}
        }
    };
    let with = seen(&db, &mut bare, index, TIMES, || drain(&mut queues));
    table.row("foreign change seen, no subscriber", without * 1e6, "us", None);
    table.row("the same with 100 subscribers", with * 1e6, "us", Some(with / without));
    let each = |n: u32| {
        time(&mut || {
            bare.carry_out(mtu(index, 1400 + n % 2));
            for queue in &mut queues {
                queue.next_within(Duration::from_secs(10)).unwrap().expect("an event");
            }
        })
    };
    let handed = median((0..TIMES).map(each).collect());
    table.row("until 100 have been handed it", handed * 1e6, "us", Some(handed / without));
    Ok(())
}

/// From another program's request until the notification that it is undone: against two round trips of a program that
/// does both itself.
fn reaction(table: &mut Table) -> Result<()> {
    let db = Db::open()?;
    let one = db.interface("one")?;
    let index = one.index();
    let mut bare = Bare::new();
    bare.carry_out(mtu(index, 1500));
    let twice = |_| {
        time(&mut || {
            bare.carry_out(mtu(index, 1400));
            bare.carry_out(mtu(index, 1500));
        })
    };
    let limit = median((0..TIMES).map(twice).collect());
    db.sync()?;
    // Each with a guard of its own: one that is challenged again and again gives way for a while.
    let mut reactions = Vec::new();
    for _ in 0..100 {
        let guard = one.freeze()?;
        reactions.push(time(&mut || {
            bare.send(mtu(index, 1400));
            bare.hear_mtus(index, &[1400, 1500]);
        }));
        drop(guard.thaw());
        db.sync()?;
    }
    let reaction = median(reactions);
    table.row("change and back, bare", limit * 1e6, "us", None);
    table.row("change, and back by a freeze", reaction * 1e6, "us", Some(reaction / limit));
    Ok(())
}

/// A change each second among 1,000 interfaces and 100,000 routes.
fn hour_of_history(table: &mut Table) -> Result<()> {
    const STATES: usize = 3600;
    let db = Db::builder().history_age(Duration::from_secs(3600)).open()?;
    let mut tx = db.begin();
    let route = |n| Route::to(std::net::Ipv4Addr::from(0x0a00_0000 + n)).blackhole().table(77);
    tx.replace_table(77, (0..100_000u32).map(route))?;
    tx.commit()?;
    let indexes: Vec<u32> = db.snapshot().links().map(|link| link.index()).collect();
    let indexes: Vec<u32> = indexes.into_iter().filter(|index| *index != 1).collect();
    let mut bare = Bare::new();
    let first = db.sync()?.revision();
    let before = resident();
    for n in 0..STATES {
        let index = indexes[n * 7 % indexes.len()];
        bare.carry_out(mtu(index, 1300 + n as u32 % 90));
        db.sync()?;
    }
    let grown = resident() - before;
    assert!(db.at(first).is_some(), "all of it is there");
    let each = grown / STATES as f64;
    table.row("an hour of history, a change a second", grown / 1e6, "MB", None);
    table.row("of it a state", each, "B", None);
    Ok(())
}

/// Seconds of the processor and voluntary switches of this process, all of its threads.
fn cpu() -> (f64, f64) {
    // SAFETY: all zeros is a valid value, and the call writes into it only.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_nvcsw as f64)
}

/// Bytes in memory, without what is free and only not given back.
fn resident() -> f64 {
    // SAFETY: gives memory back that nobody uses.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages: f64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096.0
}
