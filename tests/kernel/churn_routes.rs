//! P1 under a storm of routes: other programs and our own transactions at once, thousands of steps, and then the snapshot
//! is what `ip` and a database that has just been opened say.
//!
//! `NETLINKDB_TEST_CHURN=20` tries twenty times as many seeds, `NETLINKDB_SEED=x` that one alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crate::support::oracle::to_json;
use crate::support::{batch, ip, ip_json, need_kind, try_batch};
use netlinkdb::{Db, Hop, Route, RouteFilter, RouteProtocol, RouteSpec, Snapshot, Transaction};
use serde_json::Value;

crate::cases![
    routes_from_all_sides_end_in_the_kernels_state,
    routes_from_all_sides_and_a_tiny_buffer_end_in_the_kernels_state,
];

/// splitmix64: the same seed gives the same lines.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const LINKS: u64 = 3;

/// Links that have a carrier at once, each with a network of both families.
fn furnish() {
    need_kind("ifb");
    let lines = (0..LINKS).map(|n| {
        format!(
            "link add c{n} type ifb\nlink set c{n} up\naddr add 10.{n}.0.1/24 dev c{n}\n\
             addr add 10.{n}.0.9/24 dev c{n}\naddr add fd0{n}::1/64 dev c{n} nodad\n"
        )
    });
    batch(&lines.collect::<String>());
    batch(
        "link set lo up\nnexthop add id 7 via 10.0.0.7 dev c0\nnexthop add id 8 via fd01::7 dev c1\n",
    );
}

/// What another program does.
fn line(random: &mut Random) -> String {
    let (net, last, prefix) = (random.below(LINKS), 2 + random.below(4), random.below(6));
    let other = random.below(LINKS);
    let metric = random.below(3) * 10;
    let verb = random.of(&["add", "replace", "append", "prepend", "del", "del", "change"]);
    let table = random.of(&["", " table 100", " table 1000"]);
    let (four, six) = (format!("10.5{prefix}.0.0/16"), format!("fd5{prefix}::/64"));
    let (verb6, mtu) = (verb.replace("prepend", "append"), random.of(&["", "", " mtu 1300"]));
    match random.below(32) {
        0..=6 => format!("route {verb} {four} via 10.{net}.0.{last} metric {metric}{table}{mtu}"),
        7 => format!("route {verb} {four} dev c{net} src 10.{other}.0.9{table}"),
        8 | 9 => format!(
            "route {verb} {four} nexthop via 10.{net}.0.{last} weight {last} nexthop via 10.{other}.0.{last}{table}"
        ),
        10..=14 => format!("-6 route {verb6} {six} via fd0{net}::{last}{table}"),
        15 | 16 => format!(
            "-6 route {verb6} {six} nexthop via fd0{net}::{last} nexthop via fd0{other}::{last} weight 2{table}"
        ),
        // Of one prefix only these: a dump of IPv6 leaves out what stands between two legs of a group.
        17 => format!("-6 route {verb6} fd6{prefix}::/64 dev c{net} metric {}{table}", 5 + metric),
        18 => format!(
            "route {verb} {} 10.6{prefix}.0.0/16{table}",
            random.of(&["blackhole", "unreachable"])
        ),
        19 => format!("-6 route {verb6} unreachable fd7{prefix}::/64{table}"),
        20 => format!("link set c{net} {}", random.of(&["up", "up", "down"])),
        21 => format!("link set c{net} up"),
        22 => format!(
            "addr {} 10.{net}.0.{}/24 dev c{net}",
            random.of(&["add", "del"]),
            random.of(&["1", "9"])
        ),
        23 => format!("addr add 10.{net}.0.1/24 dev c{net}"),
        24 => {
            format!("-6 addr {} fd0{net}::1/64 dev c{net} nodad", random.of(&["add", "add", "del"]))
        }
        25 => format!(
            "nexthop {}",
            random.of(&["del id 7", "del id 8", "replace id 7 via 10.0.0.8 dev c0"])
        ),
        26 => "nexthop add id 7 via 10.0.0.7 dev c0".to_owned(),
        27 => "nexthop add id 8 via fd01::7 dev c1".to_owned(),
        28 => format!("route {verb} 10.7{prefix}.0.0/16 nhid 7"),
        29 => format!("-6 route {verb6} fd8{prefix}::/64 nhid 8"),
        30 if prefix == 0 => format!("route flush table {}", random.of(&["100", "1000"])),
        _ => format!("route {verb} 10.8{prefix}.0.0/16 via 10.{net}.0.{last} onlink dev c{net}"),
    }
}

/// What a transaction of ours names; what cannot be is refused, and that is fine.
fn edit(tx: &mut Transaction, random: &mut Random) -> netlinkdb::Result<()> {
    let (net, last, prefix) = (random.below(LINKS), 2 + random.below(4), random.below(6));
    let gateway = format!("10.{net}.0.{last}");
    let four = Route::to(format!("10.5{prefix}.0.0/16"));
    let six = || Route::to(format!("fd5{prefix}::/64"));
    match random.below(12) {
        0 => drop(tx.add_route(four.via(gateway))?),
        1 => drop(tx.append_route(four.via(gateway).protocol(RouteProtocol::BIRD))?),
        2 => drop(tx.replace_route(four.via(gateway).priority(10))?),
        3 => drop(tx.remove_route(four)?),
        4 => drop(tx.change_route(four, |route| route.mtu(1200 + last as u32))?),
        5 => drop(tx.append_route(six().via(format!("fd0{net}::{last}")))?),
        6 => drop(tx.remove_route(six())?),
        7 => {
            let hop = |n: u64| Hop::via(format!("fd0{n}::{last}"));
            tx.replace_route(six().nexthop(hop(net)).nexthop(hop((net + 1) % LINKS)))?;
        }
        8 => drop(tx.interface(format!("c{net}").as_str()).set_mtu(1300 + last as u32)),
        9 => drop(tx.interface(format!("c{net}").as_str()).up()),
        10 => drop(tx.interface(format!("c{net}").as_str()).add_ip("10.99.0.1/24")?),
        _ => {
            let wanted = (0..20 + last)
                .map(|n| Route::to(format!("10.200.{n}.0/24")).via(gateway.as_str()).table(2000));
            tx.sync_routes(RouteFilter::table(2000), wanted.collect::<Vec<RouteSpec>>())?;
        }
    }
    Ok(())
}

/// Transactions until the other programs have ended.
fn commits(db: &Db, seed: u64, end: &AtomicBool) -> (usize, usize) {
    let mut random = Random(seed ^ 0xdead_beef);
    let (mut committed, mut all) = (0, 0);
    while !end.load(SeqCst) || all == 0 {
        let mut tx = db.begin();
        for _ in 0..1 + random.below(4) {
            // Refused while planning: the rest goes on without it.
            let _ = edit(&mut tx, &mut random);
        }
        all += 1;
        committed += usize::from(tx.commit().is_ok());
    }
    (committed, all)
}

fn lines_of(now: &Snapshot) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in now.routes().all().iter() {
        all.entry(format!("{:?}", route.key())).or_default().push(route.line(now));
    }
    // IPv6 routes of a key are in no order.
    all.iter_mut().filter(|(key, _)| key.contains("V6")).for_each(|(_, lines)| lines.sort());
    all
}

/// Destination, table, metric, gateways and interfaces, as `ip` prints them.
fn briefs(routes: &Value) -> Vec<String> {
    let way = |way: &Value| format!("{} {}", way["gateway"], way["dev"]);
    let brief = |route: &Value| {
        let mut hops: Vec<String> =
            route["nexthops"].as_array().into_iter().flatten().map(way).collect();
        hops.sort();
        let table = route["table"].as_str().unwrap_or("main");
        let metric = route["metric"].as_u64().unwrap_or(0);
        format!("{} {table} {metric} {} {} {hops:?}", route["dst"], way(route), route["protocol"])
    };
    let mut all: Vec<_> = routes.as_array().into_iter().flatten().map(brief).collect();
    all.sort();
    all
}

fn shown(now: &Snapshot) -> Vec<String> {
    briefs(&to_json(&now.routes().all().tree()))
}

fn by_ip() -> Vec<String> {
    let mut all = briefs(&ip_json(&["-4", "route", "show", "table", "all"]));
    all.extend(briefs(&ip_json(&["-6", "route", "show", "table", "all"])));
    all.sort();
    all
}

/// Panics unless the database shows what there is. What IPv6 does by itself may fall between two readings.
fn compare(db: &Db, seed: u64) {
    for attempt in 0.. {
        let fresh = Db::open().unwrap().snapshot();
        let theirs = by_ip();
        let now = db.sync().unwrap();
        now.check();
        let (ours, truth) = (lines_of(&now), lines_of(&fresh));
        if ours == truth && shown(&now) == theirs {
            return;
        }
        if attempt < 5 {
            continue;
        }
        let changes: Vec<_> = now.diff(&fresh).changes().iter().map(ToString::to_string).collect();
        let missing = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|line| !b.contains(line)).cloned().collect()
        };
        let own = shown(&now);
        panic!(
            "NETLINKDB_SEED={seed}: {changes:#?}\nonly ours: {:#?}\nonly ip's: {:#?}",
            missing(&own, &theirs),
            missing(&theirs, &own)
        );
    }
}

fn play(seed: u64, buffer: usize, rounds: usize) -> u64 {
    furnish();
    let db = Db::builder().receive_buffer(buffer).open().unwrap();
    let mut random = Random(seed);
    for _ in 0..rounds {
        let end = AtomicBool::new(false);
        let counted = thread::scope(|scope| {
            let own = scope.spawn(|| commits(&db, seed, &end));
            for _ in 0..5 {
                let lines: String = (0..60).map(|_| line(&mut random) + "\n").collect();
                // Many are refused, as they should be.
                try_batch(&lines);
            }
            end.store(true, SeqCst);
            own.join().unwrap()
        });
        println!("seed {seed}: {counted:?} committed, {:?}", db.losses());
        compare(&db, seed);
        // So that every round has something to lose.
        for n in 0..LINKS {
            ip(&["link", "set", &format!("c{n}"), "up"]);
        }
    }
    let overruns = db.losses().overruns;
    drop(db);
    try_batch(&(0..LINKS).map(|n| format!("link del c{n}\n")).collect::<String>());
    overruns
}

fn seeds(first: u64, count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("NETLINKDB_SEED"), number("NETLINKDB_TEST_CHURN")) {
        (Some(one), _) => vec![one],
        (None, more) => (first..first + count * more.unwrap_or(1)).collect(),
    }
}

fn routes_from_all_sides_end_in_the_kernels_state() {
    for seed in seeds(1, 2) {
        play(seed, 8 << 20, 10);
    }
}

fn routes_from_all_sides_and_a_tiny_buffer_end_in_the_kernels_state() {
    let overruns: u64 = seeds(500, 2).into_iter().map(|seed| play(seed, 0, 10)).sum();
    assert!(overruns > 20, "{overruns} overruns: nothing was lost");
}
