//! A synthetic internet table, and what it costs: `cargo run --release --example million -- 1000000`. A second word
//! `follow` leaves out all but the following of another writer, `commit` all but commits of the whole table, `one` all but
//! commits of one change.
//!
//! In a namespace of its own, no root. One tab-separated line per figure: name, value, unit, ratio to the limit, budget,
//! `ok` or `over`. A limit is what bare sockets take for the same in this very run; `-` where there is none.
//!
//! Following: the reader takes 2.4 us of its own time a change, half of it the kernel's copying out of single datagrams;
//! a writer alone makes 4 us of one. So it keeps up where it has a core, and lags by what it is kept from running. It loses
//! notifications where that is longer than the buffer lasts: 8 MiB, the most without privilege, are 10,000 routes or 40 ms.

#![allow(unsafe_code)] // malloc_trim(3)

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netlinkdb::internals::state::fence_request;
use netlinkdb::internals::sys::{Batch, Datagram, Options, Received, Socket, wait};
use netlinkdb::internals::wire::{Ack, Builder, Messages, flags, kind, put_be32, put_ne_u32};
use netlinkdb::{Db, DbBuilder, Family, NetNs, Route, RouteProtocol, RouteSpec, Rule, Veth};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const BUFFER: usize = 8 << 20;
const GATEWAYS: u64 = 8;

fn main() -> Result {
    let count = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    NetNs::enter_private()?;
    println!("name\tvalue\tunit\tratio\tbudget\tverdict");
    scene()?;
    let few = one_change("one-change commit, no table", f64::INFINITY)?;
    let table = table(count);
    if std::env::args().nth(2).as_deref() == Some("commit") {
        return whole_table(&table);
    }
    one_route("one-route commit, 10 routes", &table[..10.min(count)])?;
    flush()?;
    if std::env::args().nth(2).as_deref() == Some("one") {
        return Ok(());
    }
    follow(&table)?;
    if std::env::args().nth(2).as_deref() == Some("follow") {
        return Ok(());
    }
    open(count)?;
    views(count)?;
    read(&table)?;
    let many = one_change(&format!("one-change commit, {count} routes"), 3.0)?;
    row("the same, to that without a table", many / few, "", Some(many / few), 1.25);
    one_route(&format!("one-route commit, {count} routes"), &table)?;
    link_down(count)?;
    flush()?;
    whole_table(&table)
}

/// `name value unit ratio budget verdict`: the budget is for the ratio, or for the value where there is none.
fn row(name: &str, value: f64, unit: &str, ratio: Option<f64>, budget: f64) {
    let verdict = if ratio.unwrap_or(value) <= budget { "ok" } else { "over" };
    let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let budget = if budget.is_finite() { budget.to_string() } else { "-".to_owned() };
    println!("{name}\t{value:.3}\t{unit}\t{ratio}\t{budget}\t{verdict}");
}

/// A pair of which one end has eight gateways on its link.
fn scene() -> Result {
    let db = Db::open()?;
    let mut tx = db.begin();
    let pair = tx.create(Veth::new("up0", "up1"))?;
    tx.interface(&pair).add_ip("10.0.0.254/24")?.up();
    tx.commit()?;
    db.interface("up1")?.up().commit()?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Entry {
    dst: u32,
    len: u8,
    gateway: u8,
}

/// Lengths of prefixes per thousand, as the routers of the default-free zone see them.
const MIX: [(u8, u64); 9] =
    [(16, 14), (17, 9), (18, 15), (19, 27), (20, 46), (21, 53), (22, 112), (23, 104), (24, 620)];

/// In no order: whoever learns routes from peers writes them as they come.
fn table(count: usize) -> Vec<Entry> {
    let (mut random, mut seen) = (Random(0x6e65_746c_696e_6b64), HashSet::new());
    let mut table = Vec::with_capacity(count);
    while table.len() < count {
        let mut at = random.next() % 1000;
        let len = MIX.iter().find(|(_, share)| {
            let found = at < *share;
            at = at.saturating_sub(*share);
            found
        });
        let len = len.map_or(24, |(len, _)| *len);
        let dst = random.next() as u32 & (u32::MAX << (32 - len));
        let usable = matches!(dst >> 24, 1..=9 | 11..=126 | 128..=223);
        if usable && seen.insert((dst, len)) {
            table.push(Entry { dst, len, gateway: 1 + (random.next() % GATEWAYS) as u8 });
        }
    }
    table
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

// Bare sockets: the limits, and the other program.

struct Bare {
    socket: Socket,
    batch: Batch,
}

impl Bare {
    fn new(groups: &[u32]) -> Result<Self> {
        let options = Options {
            groups: groups.to_vec(),
            receive_buffer: Some(BUFFER),
            strict: true,
            ..Options::default()
        };
        Ok(Bare { socket: Socket::open(&options)?, batch: Batch::with_slots(32, 1 << 16) })
    }

    /// Sends requests of which the last asks for an answer, and waits for it: the kernel works them off in order.
    fn carry_out(&mut self, bytes: &[u8]) -> Result {
        self.socket.send(bytes)?;
        loop {
            if self.socket.receive(&mut self.batch)? == Received::Empty {
                wait([self.socket.as_fd()], None)?;
            }
            for datagram in self.batch.iter() {
                let Datagram::Data(bytes) = datagram else { return Err("a bad datagram".into()) };
                for message in Messages::new(bytes) {
                    match Ack::parse(&message?) {
                        Some(Ok(ack)) if ack.is_ok() => return Ok(()),
                        Some(Ok(ack)) => return Err(format!("refused: {ack:?}").into()),
                        _ => {}
                    }
                }
            }
        }
    }

    fn write(&mut self, table: &[Entry], how: u16) -> Result {
        for some in table.chunks(64) {
            let mut bytes = Vec::with_capacity(64 * 52);
            for (at, entry) in some.iter().enumerate() {
                let ack = if at + 1 == some.len() { flags::ACK } else { 0 };
                bytes.extend(route(entry, how | flags::REQUEST | ack));
            }
            self.carry_out(&bytes)?;
        }
        Ok(())
    }

    /// Writes a table with an answer for each route, many in one datagram.
    fn write_answered(&mut self, table: &[Entry]) -> Result {
        let how = flags::REQUEST | flags::ACK | flags::CREATE | flags::EXCL;
        for entries in table.chunks(64) {
            let bytes: Vec<u8> = entries.iter().flat_map(|entry| route(entry, how)).collect();
            self.socket.send(&bytes)?;
            let mut left = entries.len();
            while left > 0 {
                if self.socket.receive(&mut self.batch)? == Received::Empty {
                    wait([self.socket.as_fd()], None)?;
                    continue;
                }
                for datagram in self.batch.iter() {
                    let Datagram::Data(bytes) = datagram else {
                        return Err("a bad datagram".into());
                    };
                    for message in Messages::new(bytes) {
                        match Ack::parse(&message?) {
                            Some(Ok(ack)) if ack.is_ok() => left -= 1,
                            other => return Err(format!("refused: {other:?}").into()),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Dumps without decoding; gives how many messages there were.
    fn drain_dump(&mut self) -> Result<usize> {
        let mut fixed = [0; 12];
        fixed[0] = 2;
        let dump = Builder::new(kind::RTM_GETROUTE, flags::REQUEST | flags::DUMP).fixed(&fixed);
        self.socket.send(&dump.finish())?;
        let mut bytes_read = 0;
        loop {
            if self.socket.receive(&mut self.batch)? == Received::Empty {
                wait([self.socket.as_fd()], None)?;
            }
            for datagram in self.batch.iter() {
                let Datagram::Data(bytes) = datagram else { return Err("a bad datagram".into()) };
                bytes_read += bytes.len();
                // `nlmsg_type` of the first message: DONE comes in a datagram of its own, or ends one.
                let is_last = bytes.len() < 2048
                    && Messages::new(bytes)
                        .flatten()
                        .any(|message| message.kind == kind::NLMSG_DONE);
                if is_last {
                    return Ok(bytes_read);
                }
            }
        }
    }
}

fn route(entry: &Entry, how: u16) -> Vec<u8> {
    // AF_INET, main table, RTPROT_BGP, universe, unicast.
    let fixed = [2, entry.len, 0, 0, 254, 186, 0, 1, 0, 0, 0, 0];
    let mut message = Builder::new(kind::RTM_NEWROUTE, how).fixed(&fixed);
    let mut dst = Vec::with_capacity(4);
    put_be32(&mut dst, entry.dst);
    message.attribute(1, &dst);
    message.attribute(5, &[10, 0, 0, entry.gateway]);
    message.finish()
}

/// `RTM_SETLINK` of an interface's flags or mtu.
fn set_link(index: u32, up: Option<bool>, mtu: Option<u32>) -> Vec<u8> {
    let mut fixed = vec![0; 4];
    put_ne_u32(&mut fixed, index);
    put_ne_u32(&mut fixed, u32::from(up == Some(true)));
    put_ne_u32(&mut fixed, u32::from(up.is_some()));
    let mut message = Builder::new(kind::RTM_NEWLINK, flags::REQUEST | flags::ACK).fixed(&fixed);
    if let Some(mtu) = mtu {
        let mut bytes = Vec::new();
        put_ne_u32(&mut bytes, mtu);
        message.attribute(4, &bytes);
    }
    message.finish()
}

/// Everything that is routed over the interface goes with its link.
fn flush() -> Result {
    let index = Db::builder().routes(false).open()?.interface("up0")?.index();
    let mut bare = Bare::new(&[])?;
    bare.carry_out(&set_link(index, Some(false), None))?;
    bare.carry_out(&set_link(index, Some(true), None))
}

// The figures.

/// Another program writes the table: with a thread that only drains its notifications, then with a database.
fn follow(table: &[Entry]) -> Result {
    let stop = AtomicBool::new(false);
    let (limit, lost) = std::thread::scope(|scope| -> Result<(f64, bool)> {
        let drain = scope.spawn(|| drain_notifications(&stop).map_err(|error| error.to_string()));
        let start = Instant::now();
        let written = Bare::new(&[])?.write(table, flags::CREATE | flags::EXCL);
        let took = start.elapsed().as_secs_f64();
        stop.store(true, Ordering::SeqCst);
        written?;
        Ok((took, drain.join().map_err(|_| "the drain panicked")??))
    })?;
    row("writer with a bare drain", limit, "s", None, f64::INFINITY);
    if lost {
        println!("# the bare drain overran");
    }
    flush()?;
    let before = resident()?;
    let db = Db::builder().receive_buffer(BUFFER).open()?;
    let (start, worked) = (Instant::now(), reader_work()?);
    // As another program: in a thread of its own.
    let write =
        || Bare::new(&[]).and_then(|mut bare| bare.write(table, flags::CREATE | flags::EXCL));
    let written = std::thread::scope(|scope| {
        scope.spawn(|| write().map_err(|error| error.to_string())).join()
    });
    written.map_err(|_| "the writer panicked")??;
    let (took, last) = (start.elapsed().as_secs_f64(), Instant::now());
    let snapshot = db.sync()?;
    let lag = last.elapsed().as_secs_f64();
    row("following a writer", took, "s", Some(took / limit), 1.25);
    row("lag after its last change", lag * 1e3, "ms", None, 50.0);
    row("overruns", db.losses().overruns as f64, "", None, 0.0);
    let work = (reader_work()? - worked) / 1e3 / table.len() as f64;
    row("the reader's own time per change", work, "us", None, f64::INFINITY);
    println!("# receive buffer {} bytes", db.receive_buffer());
    // Others come and go by themselves: IPv6's link-local ones.
    let written = snapshot.routes().iter().filter(|route| route.protocol() == RouteProtocol::BGP);
    check(written.count(), table.len())?;
    drop(snapshot);
    let per_route = (resident()? - before) / table.len() as f64;
    row("memory per route, followed", per_route, "bytes", None, 64.0);
    drop(db);
    Ok(())
}

/// Nanoseconds that the database's reader has run: what depends on nobody else's load.
fn reader_work() -> Result<f64> {
    let mut all = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == "netlinkdb" {
            let times = std::fs::read_to_string(task.join("schedstat"))?;
            all += times.split(' ').next().ok_or("no schedstat")?.parse::<f64>()?;
        }
    }
    Ok(all)
}

fn drain_notifications(stop: &AtomicBool) -> Result<bool> {
    let mut bare = Bare::new(&[1, 5, 7])?;
    let mut lost = false;
    loop {
        match bare.socket.receive(&mut bare.batch)? {
            Received::Datagrams => {}
            Received::Overrun => lost = true,
            Received::Empty if stop.load(Ordering::SeqCst) => return Ok(lost),
            Received::Empty => {
                wait([bare.socket.as_fd()], Some(Duration::from_millis(20)))?;
            }
        }
    }
}

fn open(count: usize) -> Result {
    let before = resident()?;
    let (mut limits, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let start = Instant::now();
        Bare::new(&[])?.drain_dump()?;
        limits.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let db = Db::open()?;
        ours.push(start.elapsed().as_secs_f64());
        assert!(db.snapshot().routes().len() > count);
    }
    let (limit, took) = (median(limits), median(ours));
    row("raw drain of the dump", limit, "s", None, f64::INFINITY);
    row("open", took, "s", Some(took / limit), 1.5);
    let after = resident()?;
    let back = (after - before) / count as f64;
    row("memory kept after dropping", back, "bytes/route", None, 2.0);
    let db = Db::open()?;
    row("memory per route", (resident()? - after) / count as f64, "bytes", None, 64.0);
    drop(db);
    Ok(())
}

/// What a database saves that leaves the table out, and what it takes to open it.
fn views(count: usize) -> Result {
    let views: [(&str, DbBuilder); 6] = [
        ("all routes", Db::builder()),
        ("only_tables([255])", Db::builder().only_tables([255])),
        ("ignore_tables([254])", Db::builder().ignore_tables([254])),
        ("ignore_protocols([BGP])", Db::builder().ignore_protocols([RouteProtocol::BGP])),
        ("route_family(Inet6)", Db::builder().route_family(Family::Inet6)),
        ("routes(false)", Db::builder().routes(false)),
    ];
    for (name, view) in views {
        let (before, start) = (resident()?, Instant::now());
        let db = view.open()?;
        let took = start.elapsed().as_secs_f64();
        let memory = (resident()? - before) / count as f64;
        row(&format!("memory per route, {name}"), memory, "bytes", None, 64.0);
        row(&format!("opened with {name}"), took, "s", None, f64::INFINITY);
        drop(db);
    }
    Ok(())
}

fn read(table: &[Entry]) -> Result {
    let db = Db::open()?;
    let rounds = 100_000;
    let start = Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(db.snapshot());
    }
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds);
    row("snapshot", nanoseconds, "ns", None, 1000.0);

    let before = db.sync()?;
    let step = (table.len() / 1000).max(1);
    let other = |entry: &Entry| Entry { gateway: entry.gateway % GATEWAYS as u8 + 1, ..*entry };
    let changed: Vec<_> = table.iter().step_by(step).take(1000).map(other).collect();
    Bare::new(&[])?.write(&changed, flags::CREATE | flags::REPLACE)?;
    let after = db.sync()?;
    let mut times = Vec::new();
    for _ in 0..11 {
        let start = Instant::now();
        let diff = before.diff(&after);
        times.push(start.elapsed().as_secs_f64());
        check(diff.len(), changed.len())?;
    }
    row("diff of 1,000 changes", median(times) * 1e3, "ms", None, 3.0);

    let mut random = Random(7);
    let asked: Vec<_> = (0..500_000).map(|_| Ipv4Addr::from(random.next() as u32)).collect();
    let start = Instant::now();
    let found = asked.iter().filter(|a| after.routes().lookup(IpAddr::V4(**a)).is_some()).count();
    let rate = asked.len() as f64 / start.elapsed().as_secs_f64();
    row("longest-prefix matches", rate, "per second", None, f64::INFINITY);
    println!("# {found} of {} addresses found", asked.len());
    for address in asked.iter().filter(|a| matches!(a.octets()[0], 11..=126)).take(20) {
        let ip = std::process::Command::new("ip")
            .args(["route", "get", &address.to_string()])
            .output()?;
        let text = String::from_utf8_lossy(&ip.stdout).into_owned();
        let theirs = text.split("via ").nth(1).and_then(|rest| rest.split(' ').next());
        let ours = after.routes().lookup((*address).into());
        let ours = ours.and_then(|route| route.gateway()).map(|gateway| gateway.to_string());
        if ours.as_deref() != theirs {
            return Err(format!("{address}: {ours:?}, and the kernel says {text}").into());
        }
    }
    Ok(())
}

/// An mtu, by bare sockets (request, ACK, fence behind the notifications) and by a commit, in turns.
fn one_change(name: &str, budget: f64) -> Result<f64> {
    let db = Db::open()?;
    let one = db.interface("up1")?;
    let (mut bare, mut listener) = (Bare::new(&[])?, Bare::new(&[1, 5, 7])?);
    let (mut limits, mut ours) = (Vec::new(), Vec::new());
    for turn in 0..200u32 {
        let start = Instant::now();
        bare.carry_out(&set_link(one.index(), None, Some(1300 + turn % 2)))?;
        listener.carry_out(&fence_request(turn + 1))?;
        limits.push(start.elapsed().as_secs_f64());
        db.sync()?;
        let start = Instant::now();
        one.set_mtu(1400 + turn % 2).commit()?;
        ours.push(start.elapsed().as_secs_f64());
        while listener.socket.receive(&mut listener.batch)? != Received::Empty {}
    }
    let (limit, took) = (median(limits), median(ours));
    row(name, took * 1e6, "us", Some(took / limit), budget);
    Ok(took)
}

/// Another gateway for one route: by bare sockets, and by a commit, in turns.
fn one_route(name: &str, table: &[Entry]) -> Result {
    let db = Db::open()?;
    if db.snapshot().routes().len() < table.len() {
        Bare::new(&[])?.write(table, flags::CREATE | flags::EXCL)?;
    }
    let (mut bare, mut listener) = (Bare::new(&[])?, Bare::new(&[1, 5, 7])?);
    let (mut limits, mut ours) = (Vec::new(), Vec::new());
    for turn in 0..200usize {
        let entry = table[turn % table.len()];
        let other = Entry { gateway: entry.gateway % GATEWAYS as u8 + 1, ..entry };
        db.sync()?;
        let start = Instant::now();
        bare.carry_out(&route(
            &other,
            flags::REQUEST | flags::ACK | flags::CREATE | flags::REPLACE,
        ))?;
        listener.carry_out(&fence_request(turn as u32 + 1))?;
        limits.push(start.elapsed().as_secs_f64());
        while listener.socket.receive(&mut listener.batch)? != Received::Empty {}
        db.sync()?;
        let start = Instant::now();
        let mut tx = db.begin();
        tx.replace_route(spec(&entry))?;
        tx.commit()?;
        ours.push(start.elapsed().as_secs_f64());
        while listener.socket.receive(&mut listener.batch)? != Received::Empty {}
    }
    let (limit, took) = (median(limits), median(ours));
    row(name, took * 1e6, "us", Some(took / limit), 3.0);
    Ok(())
}

fn spec(entry: &Entry) -> RouteSpec {
    let net = ipnet::Ipv4Net::new(entry.dst.into(), entry.len).unwrap_or_default();
    Route::to(net).via(Ipv4Addr::new(10, 0, 0, entry.gateway)).protocol(RouteProtocol::BGP)
}

/// The whole table by bare requests while a database follows, with an answer for each and with one for every 64 (the
/// limit); then in one transaction; then one that fails after its last route and is rolled back.
fn whole_table(table: &[Entry]) -> Result {
    let followed = |write: &dyn Fn(&mut Bare) -> Result| -> Result<f64> {
        let db = Db::builder().receive_buffer(BUFFER).open()?;
        let start = Instant::now();
        write(&mut Bare::new(&[])?)?;
        db.sync()?;
        let took = start.elapsed().as_secs_f64();
        drop(db);
        flush()?;
        Ok(took)
    };
    let answered = followed(&|bare| bare.write_answered(table))?;
    row("whole table, bare, an answer for each", answered, "s", None, f64::INFINITY);
    let limit = followed(&|bare| bare.write(table, flags::CREATE | flags::EXCL))?;
    row("whole table, bare", limit, "s", None, f64::INFINITY);

    let db = Db::builder().receive_buffer(BUFFER).patience(Duration::from_secs(60)).open()?;
    let before = resident()?;
    let start = Instant::now();
    let mut tx = db.begin();
    tx.replace_table(254, table.iter().map(spec))?;
    row("drafting the whole table", start.elapsed().as_secs_f64(), "s", None, f64::INFINITY);
    let start = Instant::now();
    let done = tx.commit()?;
    let forward = start.elapsed().as_secs_f64();
    row("commit of the whole table", forward, "s", Some(forward / limit), 1.25);
    let made =
        done.snapshot().routes().iter().filter(|route| route.protocol() == RouteProtocol::BGP);
    check(made.count(), table.len())?;
    drop(done);
    row(
        "memory per route, committed",
        (resident()? - before) / table.len() as f64,
        "bytes",
        None,
        64.0,
    );

    let start = Instant::now();
    let mut tx = db.begin();
    tx.replace_table(254, table.iter().map(spec))?;
    let same = tx.commit()?;
    row(
        "the same again, drafted and committed",
        start.elapsed().as_secs_f64(),
        "s",
        None,
        f64::INFINITY,
    );
    drop(same);
    let start = Instant::now();
    let mut tx = db.begin();
    tx.replace_table(254, std::iter::empty::<RouteSpec>())?;
    tx.commit()?;
    row("commit of the empty table", start.elapsed().as_secs_f64(), "s", None, f64::INFINITY);

    let mut tx = db.begin();
    tx.replace_table(254, table.iter().map(spec))?;
    // Comes after the routes; the kernel takes no such type of service.
    tx.add_rule(Rule::new().table(254).tos(3))?;
    let start = Instant::now();
    let error = tx.commit().err().ok_or("a rule that cannot be was taken")?;
    let took = start.elapsed().as_secs_f64();
    row("rollback of the whole table", took - forward, "s", Some((took - forward) / limit), 1.25);
    println!("# {error}");
    check(
        db.sync()?.routes().iter().filter(|route| route.protocol() == RouteProtocol::BGP).count(),
        0,
    )?;
    println!("# {:?}", db.losses());
    Ok(())
}

fn link_down(count: usize) -> Result {
    let db = Db::open()?;
    let index = db.interface("up0")?.index();
    assert!(db.snapshot().routes().len() > count);
    let mut bare = Bare::new(&[])?;
    let start = Instant::now();
    bare.carry_out(&set_link(index, Some(false), None))?;
    let limit = start.elapsed().as_secs_f64();
    let snapshot = db.sync()?;
    let took = start.elapsed().as_secs_f64();
    row("link down, the kernel", limit * 1e3, "ms", None, f64::INFINITY);
    row("link down, until it shows", took * 1e3, "ms", Some(took / limit), 2.0);
    let fresh = Db::open()?.snapshot();
    check(snapshot.routes().all().len(), fresh.routes().all().len())?;
    // What is left is the other end's link-local prefix.
    assert!(fresh.routes().len() < 4);
    check(db.losses().resyncs as usize, 1)?;
    drop((snapshot, fresh));
    let before = resident()?;
    drop(db);
    println!("# {:.0} bytes given back by dropping the emptied database", before - resident()?);
    Ok(())
}

fn check(ours: usize, expected: usize) -> Result {
    match ours == expected {
        true => Ok(()),
        false => Err(format!("{ours}, not {expected}").into()),
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Bytes of resident memory, with what the allocator keeps for later given back.
fn resident() -> Result<f64> {
    // SAFETY: it takes no pointers and may be called at any time.
    unsafe { libc::malloc_trim(0) };
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = text.split(' ').nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4096.0)
}
