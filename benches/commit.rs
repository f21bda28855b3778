//! Commits of one change, against the least that can tell that a change holds: request, ACK, and a fence on a socket
//! that hears the notifications. Both in this run, on the ends of one veth, in turns.
//!
//! `cargo bench --bench commit`; a private namespace, no root.

mod support;

use std::path::Path;
use std::time::Instant;

use netlinkdb::internals::wire::kind;
use netlinkdb::{Db, NetNs, Result, Route, Veth};
use support::bare::{Bare, address, mtu, route};
use support::{Table, in_turns};

fn main() -> Result<()> {
    NetNs::enter_private()?;
    let mut table = Table::new();
    one_change(&mut table, "among 2 interfaces")?;
    with_journal(&mut table, "among 2 interfaces")?;
    support::fill(1000)?;
    one_change(&mut table, "among 1,000 interfaces")?;
    with_journal(&mut table, "among 1,000 interfaces")?;
    journal_of_many(&mut table)?;
    table.print();
    Ok(())
}

fn one_change(table: &mut Table, among: &str) -> Result<()> {
    let db = Db::open()?;
    if db.interface("one").is_err() {
        let mut tx = db.begin();
        tx.create(Veth::new("one", "two"))?;
        tx.commit()?;
    }
    // Each side has an end of its own: what the other changes meanwhile would be a conflict.
    let (index, one) = (db.interface("one")?.index(), db.interface("two")?);
    let mut bare = Bare::new();
    let mut flip = false;
    let [theirs, ours] = in_turns(
        || {
            flip = !flip;
            bare.carry_out(mtu(index, 1400 + u32::from(flip)));
        },
        || {
            let now = one.link().map_or(1500, |link| link.mtu());
            one.set_mtu(if now == 1300 { 1301 } else { 1300 }).commit().map(drop).unwrap();
        },
    );
    table.row(&format!("mtu, bare, {among}"), theirs * 1e6, "us", None);
    table.row(&format!("mtu, commit, {among}"), ours * 1e6, "us", Some(ours / theirs));
    let [theirs, ours] = in_turns(
        || {
            bare.carry_out(address(index, kind::RTM_NEWADDR));
            bare.carry_out(address(index, kind::RTM_DELADDR));
        },
        || {
            one.add_ip("10.1.0.1/24").unwrap().commit().map(drop).unwrap();
            one.del_ip("10.1.0.1/24").unwrap().commit().map(drop).unwrap();
        },
    );
    table.row(&format!("address add and del, bare, {among}"), theirs * 1e6, "us", None);
    let name = format!("address add and del, 2 commits, {among}");
    table.row(&name, ours * 1e6, "us", Some(ours / theirs));
    one_route(table, &db, among)
}

/// A route that drops packets, so that no interface is in the way.
fn one_route(table: &mut Table, db: &Db, among: &str) -> Result<()> {
    let mut bare = Bare::new();
    let [theirs, ours] = in_turns(
        || {
            bare.carry_out(route(kind::RTM_NEWROUTE));
            bare.carry_out(route(kind::RTM_DELROUTE));
        },
        || {
            let mut tx = db.begin();
            tx.add_route(Route::to("10.8.0.0/16").blackhole()).unwrap();
            tx.commit().map(drop).unwrap();
            let mut tx = db.begin();
            tx.remove_route(Route::to("10.8.0.0/16")).unwrap();
            tx.commit().map(drop).unwrap();
        },
    );
    table.row(&format!("route add and del, bare, {among}"), theirs * 1e6, "us", None);
    let name = format!("route add and del, 2 commits, {among}");
    table.row(&name, ours * 1e6, "us", Some(ours / theirs));
    let [theirs, ours] = in_turns(|| drop(db.snapshot()), || drop(db.sync().unwrap()));
    table.row(&format!("snapshot, {among}"), theirs * 1e6, "us", None);
    table.row(&format!("sync where nothing happens, {among}"), ours * 1e6, "us", None);
    Ok(())
}

/// The same commit without and with a journal: in memory (`/dev/shm`), and on the disk that has the build.
fn with_journal(table: &mut Table, among: &str) -> Result<()> {
    let target = std::env::current_exe().expect("/proc");
    let disk = target.parent().expect("a directory");
    for (place, directory) in [("memory", Path::new("/dev/shm")), ("disk", disk)] {
        let path = directory.join(format!("netlinkdb-bench-{}", std::process::id()));
        let (plain, journalled) = (Db::open()?, Db::builder().journal(&path).open()?);
        let (one, two) = (plain.interface("one")?, journalled.interface("two")?);
        let mut flip = 0;
        let [without, with] = in_turns(
            || {
                flip = 1 - flip;
                one.set_mtu(1400 + flip).commit().map(drop).unwrap();
            },
            || {
                let now = two.link().map_or(1500, |link| link.mtu());
                two.set_mtu(if now == 1300 { 1301 } else { 1300 }).commit().map(drop).unwrap();
            },
        );
        table.row(&format!("mtu, commit without journal, {among}"), without * 1e6, "us", None);
        let name = format!("mtu, commit with journal in {place}, {among}");
        table.row(&name, with * 1e6, "us", Some(with / without));
        std::fs::remove_file(&path).expect("to delete the journal");
    }
    Ok(())
}

/// 100,000 routes in one commit, without and with a journal in memory; the second half takes them away again.
fn journal_of_many(table: &mut Table) -> Result<()> {
    let path = Path::new("/dev/shm").join(format!("netlinkdb-bench-{}", std::process::id()));
    let routes = |count: u32| {
        let route = |n| Route::to(std::net::Ipv4Addr::from(0x0a00_0000 + n)).blackhole().table(77);
        (0..count).map(route)
    };
    let mut limits = [0.0; 2];
    for journal in [false, true] {
        let db = match journal {
            true => Db::builder().journal(&path).open()?,
            false => Db::open()?,
        };
        for (at, count) in [100_000, 0].into_iter().enumerate() {
            let mut tx = db.begin();
            tx.replace_table(77, routes(count))?;
            let start = Instant::now();
            tx.commit()?;
            let seconds = start.elapsed().as_secs_f64();
            let what = ["add 100,000 routes", "take 100,000 routes away"][at];
            if journal {
                let name = format!("{what}, with journal in memory");
                table.row(&name, seconds, "s", Some(seconds / limits[at]));
            } else {
                table.row(&format!("{what}, without journal"), seconds, "s", None);
                limits[at] = seconds;
            }
        }
    }
    std::fs::remove_file(&path).expect("to delete the journal");
    Ok(())
}
