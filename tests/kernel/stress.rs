//! Loss, load and lifetime: the snapshot is right after whatever happened, and nothing is left behind.

use crate::support::churn::Churn;
use crate::support::namespaces::{Elsewhere, with_loopback_toggling};
use crate::support::request::acknowledged;
use crate::support::{
    PATIENCE, Request, batch, need_kinds, quiesce_and_compare, resync_and_compare, scene, sysctl,
    try_batch,
};
use netlinkdb::internals::sys::{Batch, Datagram, Options, Received, Socket, wait};
use netlinkdb::{Db, Filter, Object, Snapshot};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

crate::cases![
    an_overflow_while_another_program_works_is_repaired,
    a_watch_that_was_overflown_sees_the_whole_difference,
    nothing_is_lost_with_room_enough,
    readers_are_never_in_the_way,
    a_flood_of_routes_is_whole_for_whoever_looks,
    syncs_and_resyncs_from_many_threads,
    several_databases_of_one_namespace_agree,
    ten_thousand_databases_leave_nothing_behind,
    the_reader_is_named_and_ends_with_its_database,
    a_clone_keeps_the_reader_alive,
    an_idle_reader_sleeps,
    who_waits_for_a_fence_takes_it_in,
    differences_add_up_to_the_state,
    churn_with_a_large_buffer,
    churn_with_a_tiny_buffer,
    churn_with_duplicate_address_detection,
    churn_with_kept_addresses_and_promotion,
];

/// 1,200 addresses come and 1,200 go, of which a thousand by one request, while the queue has room for two.
fn an_overflow_while_another_program_works_is_repaired() {
    need_kinds("veth bridge");
    sysctl("ipv6.conf.default.accept_dad", 0);
    scene("link add v0 type veth peer name v1\n link add br0 type bridge\n link set v0 master br0");
    sysctl("ipv4.conf.v0.promote_secondaries", 0);
    let db = Db::builder().receive_buffer(0).open().unwrap();
    let handles = db.interfaces();
    let mut tries = 0;
    while db.losses().overruns == 0 {
        tries += 1;
        assert!(tries <= 20, "the queue is never full: {:?}", db.losses());
        thread::scope(|scope| {
            scope.spawn(|| batch(&addresses("add", 0..1200)));
            while db.losses().overruns == 0 && db.sync().unwrap().address_count() < 1200 {}
        });
        quiesce_and_compare(&db);
        batch(&addresses("del", 1000..1200));
        // The primary takes the others with it.
        batch("address del 10.0.0.1/16 dev v0");
        let now = quiesce_and_compare(&db);
        assert_eq!(now.address_count(), 0, "{now}");
    }
    println!("{tries} rounds: {:?}", db.losses());
    assert!(handles.iter().all(|handle| !handle.is_stale()));
    let losses = db.losses();
    assert!(losses.resyncs >= 2 && losses.malformed == 0 && losses.foreign == 0, "{losses:?}");
    // It follows as before.
    scene("link set v0 nomaster\n address add 10.0.0.1/24 dev v1");
    quiesce_and_compare(&db);
}

fn addresses(verb: &str, numbers: std::ops::Range<u32>) -> String {
    numbers
        .map(|n| format!("address {verb} 10.0.{}.{}/16 dev v0\n", n / 250, n % 250 + 1))
        .collect()
}

fn a_watch_that_was_overflown_sees_the_whole_difference() {
    need_kinds("ifb");
    scene("link add i0 type ifb\n link add i1 type ifb");
    let db = Db::builder().receive_buffer(0).open().unwrap();
    let i0 = db.interface("i0").unwrap();
    let mut watch = db.events().unwrap();
    let mut round = 0;
    while db.losses().overruns == 0 {
        round += 1;
        assert!(round <= 20, "the queue is never full");
        batch(&(0..500).map(|i| format!("link set i1 mtu {}\n", 1000 + i)).collect::<String>());
        db.sync().unwrap();
    }
    scene("link set i0 mtu 1234\n link del i1\n link add i2 type ifb");
    quiesce_and_compare(&db);
    let diff = watch.diff_within(PATIENCE).unwrap().expect("a difference");
    let titles: Vec<_> = diff
        .changes()
        .iter()
        .map(|c| (c.before().map(Object::title), c.after().map(Object::title)))
        .collect();
    let link = |name: &str| Some(format!("link {name}"));
    for expect in [(link("i0"), link("i0")), (link("i1"), None), (None, link("i2"))] {
        assert!(titles.contains(&expect), "{titles:?}");
    }
    assert_eq!(i0.link().unwrap().mtu(), 1234);
    assert!(watch.diff_within(Duration::ZERO).unwrap().is_none());
}

fn nothing_is_lost_with_room_enough() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1");
    let db = Db::open().unwrap();
    let before = db.snapshot().revision();
    batch(&addresses("add", 0..1000));
    assert_eq!(db.sync().unwrap().address_count(), 1000);
    assert_eq!((db.losses().overruns, db.losses().resyncs), (0, 1));
    assert!(db.snapshot().revision() - before <= 1000);
    quiesce_and_compare(&db);
}

fn readers_are_never_in_the_way() {
    need_kinds("veth bridge vxlan macvlan ifb");
    sysctl("ipv6.conf.default.accept_dad", 0);
    let db = Db::builder().receive_buffer(64 << 10).open().unwrap();
    let end = AtomicBool::new(false);
    let read = || {
        let mut last = db.snapshot();
        let mut count = 0u64;
        while !end.load(SeqCst) || count == 0 {
            let now = db.snapshot();
            assert!(now.revision() >= last.revision());
            now.check();
            for link in now.links() {
                assert_eq!(now.link(link.name()).map(|l| l.index()), Some(link.index()));
                now.addresses_of(link.index());
                now.ports_of(link.index()).count();
            }
            for change in &last.diff(&now) {
                assert!(!change.to_string().is_empty());
            }
            last = now;
            count += 1;
        }
        count
    };
    let reads: Vec<u64> = thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        let churn = scope.spawn(|| Churn::new(17).run(1200));
        let churned = churn.join();
        end.store(true, SeqCst);
        churned.unwrap();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    println!("{reads:?} reads, {:?}", db.losses());
    quiesce_and_compare(&db);
}

/// In a flood the reader takes the shown state back, to change it in place. Whoever asks gets it at once, and what
/// somebody holds does not change.
fn a_flood_of_routes_is_whole_for_whoever_looks() {
    const ROUTES: u32 = 40_000;
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n link set v0 up\n link set v1 up");
    scene("address add 10.0.0.1/24 dev v0");
    let db = Db::open().unwrap();
    let end = AtomicBool::new(false);
    let written = |now: &Snapshot| now.routes().iter().filter(|r| r.protocol().0 == 186).count();
    let look = || {
        let (mut last, mut count) = (db.snapshot(), 0u64);
        let mut held = (last.clone(), written(&last));
        while !end.load(SeqCst) || count == 0 {
            let now = db.snapshot();
            assert!(now.revision() >= last.revision());
            if count % 64 == 0 {
                assert_eq!(written(&held.0), held.1);
                held = (now.clone(), written(&now));
            }
            last = now;
            count += 1;
        }
        count
    };
    let sync = || {
        let mut count = 0u64;
        while !end.load(SeqCst) || count == 0 {
            db.sync().unwrap();
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let looker = scope.spawn(look);
        let syncer = scope.spawn(sync);
        let waiter = scope.spawn(|| {
            let all = |now: &Snapshot| written(now) == ROUTES as usize;
            db.wait_until(PATIENCE, all).unwrap().is_some()
        });
        let writer = scope.spawn(|| flood(ROUTES, libc::RTM_NEWROUTE));
        let result = writer.join().and_then(|()| waiter.join());
        end.store(true, SeqCst);
        assert!(result.unwrap(), "never seen whole");
        println!("{} looks, {} syncs", looker.join().unwrap(), syncer.join().unwrap());
        println!("{:?}", db.losses());
    });
    quiesce_and_compare(&db);
    // Now with nobody who looks.
    flood(ROUTES, libc::RTM_DELROUTE);
    assert_eq!(written(&db.sync().unwrap()), 0);
    quiesce_and_compare(&db);
}

/// Adds or takes away routes to 20.x.y.z, many a datagram, and waits until the kernel has done it.
fn flood(count: u32, kind: u16) {
    let socket = Socket::open(&Options::default()).unwrap();
    let mut answers = Batch::new();
    for numbers in (0..count).collect::<Vec<_>>().chunks(100) {
        let route = |number: &u32| {
            let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
            let flags = if kind == libc::RTM_NEWROUTE { flags } else { 0 };
            let [_, x, y, z] = number.to_be_bytes();
            // AF_INET, /32, main table, protocol bgp, universe, unicast.
            Request::new(kind, flags)
                .bytes(&[2, 32, 0, 0, 254, 186, 0, 1, 0, 0, 0, 0])
                .attribute(1, &[20, x, y, z])
                .attribute(5, &[10, 0, 0, 2])
                .finish()
        };
        socket.send(&numbers.iter().map(route).collect::<Vec<_>>().concat()).unwrap();
        let mut left = numbers.len();
        while left > 0 {
            wait([socket.as_fd()], None).unwrap();
            if socket.receive(&mut answers).unwrap() != Received::Datagrams {
                continue;
            }
            for datagram in answers.iter() {
                let Datagram::Data(bytes) = datagram else { panic!("{datagram:?}") };
                assert_eq!(acknowledged(bytes), Some(0));
                left -= 1;
            }
        }
    }
}

fn syncs_and_resyncs_from_many_threads() {
    need_kinds("veth bridge vxlan macvlan ifb");
    sysctl("ipv6.conf.default.accept_dad", 0);
    let db = Db::builder().receive_buffer(16 << 10).open().unwrap();
    let end = AtomicBool::new(false);
    let repeat = |what: &(dyn Fn() + Sync)| {
        while !end.load(SeqCst) {
            what();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| repeat(&|| drop(db.sync().unwrap())));
        scope.spawn(|| repeat(&|| drop(db.resync().unwrap())));
        scope.spawn(|| {
            repeat(&|| {
                let all = db.snapshot().links().map(|link| link.index()).collect::<Vec<_>>();
                // One may be gone meanwhile: then that is said.
                if let Err(error) = db.refresh(all) {
                    assert!(error.is_not_found(), "{error}");
                }
            })
        });
        // A sync holds what this thread has done: read your own writes, whatever the others do.
        let own = scope.spawn(|| {
            repeat(&|| {
                scene("link add own type ifb");
                assert!(db.sync().unwrap().link("own").is_some());
                scene("link del own");
                assert!(db.sync().unwrap().link("own").is_none());
            })
        });
        let churn = scope.spawn(|| Churn::new(18).run(800)).join();
        end.store(true, SeqCst);
        churn.and(own.join()).unwrap();
    });
    quiesce_and_compare(&db);
    println!("{:?}", db.losses());
}

fn several_databases_of_one_namespace_agree() {
    need_kinds("veth bridge vxlan macvlan ifb");
    sysctl("ipv6.conf.default.accept_dad", 0);
    let all: Vec<_> =
        (0..6).map(|i| Db::builder().receive_buffer(i * (8 << 10)).open().unwrap()).collect();
    let mut churn = Churn::new(19);
    for _ in 0..3 {
        churn.run(200);
        all.iter().for_each(|db| drop(quiesce_and_compare(db)));
    }
}

/// Descriptors and threads of this process. Other tests run next to this one, so that they are not exact; but ten
/// thousand that leak would show.
fn ten_thousand_databases_leave_nothing_behind() {
    let count = |of: &str| fs::read_dir(Path::new("/proc/self").join(of)).unwrap().count();
    drop(Db::open().unwrap());
    let before = (count("fd"), count("task"));
    let start = Instant::now();
    for i in 0..10_000 {
        let db = Db::open().unwrap();
        match i % 4 {
            0 => drop(db),
            1 => drop(db.clone().events().unwrap()),
            2 => assert!(db.interface("lo").is_ok()),
            _ => drop(db.sync().unwrap()),
        }
    }
    let after = (count("fd"), count("task"));
    println!("10,000 in {:?}; descriptors and threads {before:?}, then {after:?}", start.elapsed());
    assert!(after.0 < before.0 + 1000 && after.1 < before.1 + 200, "{before:?}, then {after:?}");
    // Two sockets were seen once just behind the last close, on a busy machine: what is left behind stays.
    let deadline = Instant::now() + PATIENCE;
    while (sockets(), readers().len()) != (0, 0) {
        assert!(Instant::now() < deadline, "{} sockets, {:?}", sockets(), readers());
        thread::yield_now();
    }
}

/// Threads named `netlinkdb` in this thread's namespace: those of this test.
fn readers() -> Vec<u32> {
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let is_ours = |task: &Path| {
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        // A thread that has ended is in no namespace.
        name.trim() == "netlinkdb" && fs::read_link(task.join("ns/net")).is_ok_and(|ns| ns == own)
    };
    let all = fs::read_dir("/proc/self/task").unwrap().map_while(Result::ok);
    all.filter(|task| is_ours(&task.path()))
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

/// The only reader of this thread's namespace. While other threads of the process end, a listing of them may miss
/// some: it is made until it has one.
fn reader() -> u32 {
    let start = Instant::now();
    loop {
        match readers()[..] {
            [] => assert!(start.elapsed() < PATIENCE, "no reader"),
            [one] => return one,
            ref many => panic!("{} readers", many.len()),
        }
        thread::yield_now();
    }
}

/// Netlink sockets of this thread's namespace that belong to some process.
fn sockets() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let owned = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some("0") && words.next() != Some("0")
    };
    table.lines().filter(owned).count()
}

fn the_reader_is_named_and_ends_with_its_database() {
    assert_eq!((readers().len(), sockets()), (0, 0));
    for _ in 0..200 {
        let db = Db::open().unwrap();
        reader();
        assert!(sockets() >= 2);
        drop(db);
        // The thread closes what it held before it ends, and has ended when drop is over.
        assert_eq!(sockets(), 0);
    }
    // The kernel may still be clearing the thread away, but no further than it has to.
    let start = Instant::now();
    while !readers().is_empty() {
        assert!(start.elapsed() < PATIENCE, "a reader that does not end");
        thread::yield_now();
    }
}

fn a_clone_keeps_the_reader_alive() {
    let db = Db::open().unwrap();
    let (clone, handle, watch) = (db.clone(), db.interface("lo").unwrap(), db.events().unwrap());
    drop(db);
    scene("link set lo up");
    assert!(clone.sync().unwrap().link("lo").unwrap().is_up());
    drop(clone);
    assert!(handle.link().unwrap().is_up());
    drop(handle);
    reader();
    drop(watch);
    assert_eq!(sockets(), 0);
}

fn an_idle_reader_sleeps() {
    let db = Db::open().unwrap();
    scene("link set lo up");
    db.sync().unwrap();
    let reader = reader();
    let before = asleep(reader);
    // Much happens, but not in this namespace, and everybody reads.
    let other = Elsewhere::new();
    other.run(|| {
        batch(&(0..500).map(|i| format!("link set lo mtu {}\n", 2000 + i)).collect::<String>())
    });
    for _ in 0..100_000 {
        assert_eq!(db.snapshot().link_count(), db.snapshot().links().count());
    }
    assert!(db.wait_until(Duration::from_millis(1), |_| false).unwrap().is_none());
    let after = asleep(reader);
    assert_eq!(before, after, "the idle reader was woken");
    // And that this would be seen: one event wakes it.
    scene("link set lo down");
    db.sync().unwrap();
    assert!(asleep(reader) > after);
}

/// To have a sleeping reader do it takes three times as long: a commit was 3.6 times the bare round trip.
fn who_waits_for_a_fence_takes_it_in() {
    let db = Db::open().unwrap();
    let slept = || {
        let text = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = slept();
    for _ in 0..400 {
        db.sync().unwrap();
        // A fence of its own, also where the reader is awake.
        db.refresh(["lo"]).unwrap();
    }
    let slept = slept() - before;
    assert!(slept < 200, "it has slept {slept} times over 400 fences");
    // What the reader alone may do is left to it: a callback is called on its thread.
    let (say, told) = std::sync::mpsc::channel();
    let _guard = db.on_notification(Filter::default(), move |_| {
        say.send(thread::current().name().map(str::to_owned)).unwrap();
    });
    scene("link set lo up");
    db.sync().unwrap();
    assert_eq!(told.try_recv().unwrap().as_deref(), Some("netlinkdb"));
}

/// How often the thread has gone to sleep, once it sleeps.
fn asleep(thread: u32) -> u64 {
    let look = || {
        let text = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let count = value("voluntary_ctxt_switches:").unwrap().parse().unwrap();
        value("State:").unwrap().starts_with('S').then_some(count)
    };
    let start = Instant::now();
    loop {
        // It says that it sleeps a moment before it is counted.
        if let (Some(one), Some(two)) = (look(), {
            thread::yield_now();
            look()
        }) {
            if one == two {
                return one;
            }
        }
        assert!(start.elapsed() < PATIENCE, "the reader does not sleep");
        thread::yield_now();
    }
}

/// Who applies each difference to what there was has what there is.
fn differences_add_up_to_the_state() {
    need_kinds("veth bridge vxlan macvlan ifb");
    sysctl("ipv6.conf.default.accept_dad", 0);
    for buffer in [0, 8 << 20] {
        let db = Db::builder().receive_buffer(buffer).routes(false).open().unwrap();
        let mut watch = db.events().unwrap();
        let mut copy = titles(watch.snapshot());
        thread::scope(|scope| {
            let churn = scope.spawn(|| Churn::new(20).run(800));
            while !churn.is_finished() {
                apply(&mut watch, &mut copy);
            }
            churn.join().unwrap();
        });
        let now = quiesce_and_compare(&db);
        apply(&mut watch, &mut copy);
        assert_eq!(copy, titles(&now));
        scene("link add last type ifb\n link del last");
        // What has come and gone is no difference.
        db.sync().unwrap();
        apply(&mut watch, &mut copy);
        assert_eq!(copy, titles(&db.snapshot()));
        try_batch(&(0..14).map(|i| format!("link del n{i}\n")).collect::<String>());
    }
}

/// What an object is known by, and all of it.
fn titles(of: &Snapshot) -> BTreeMap<String, String> {
    let link = |link: &netlinkdb::Link| (format!("link {}", link.index()), link.name().to_owned());
    let address = |a: &netlinkdb::Address| (address_key(a), a.flags().to_string());
    of.links().map(link).chain(of.addresses().map(address)).collect()
}

fn address_key(address: &netlinkdb::Address) -> String {
    format!("{:?}", netlinkdb::AddressKey::of(address))
}

fn apply(watch: &mut netlinkdb::EventQueue, copy: &mut BTreeMap<String, String>) {
    let Some(diff) = watch.diff_within(Duration::from_millis(1)).unwrap() else { return };
    for change in &diff {
        let entry = |object: &Object| match object {
            Object::Link(link) => (format!("link {}", link.index()), link.name().to_owned()),
            Object::Address(a, _) => (address_key(a), a.flags().to_string()),
            other => panic!("{other}"),
        };
        if let Some((key, value)) = change.before().map(entry) {
            assert_eq!(copy.remove(&key), Some(value), "{change}");
        }
        if let Some((key, value)) = change.after().map(entry) {
            assert_eq!(copy.insert(key, value), None, "{change}");
        }
    }
}

/// Random changes by another program; the seeds differ, the end is always the same: the snapshot is the kernel.
///
/// `NETLINKDB_TEST_CHURN=20` tries twenty times as many seeds.
fn churn(first: u64, seeds: u64, buffer: usize, steps: usize) {
    need_kinds("veth bridge vxlan macvlan ifb");
    let more = std::env::var("NETLINKDB_TEST_CHURN").ok().and_then(|text| text.parse().ok());
    for seed in (first..).take((seeds * more.unwrap_or(1)) as usize) {
        let told = TellSeed(seed);
        churn_once(seed, buffer, steps);
        drop(told);
    }
}

/// Says which seed it was that failed.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was seed {}", self.0);
        }
    }
}

fn churn_once(seed: u64, buffer: usize, steps: usize) {
    let other = Elsewhere::new();
    let db = Db::builder().receive_buffer(buffer).open().unwrap();
    let mut churn = Churn::new(seed);
    churn.elsewhere = Some(other.path.clone());
    for _ in 0..steps.div_ceil(200) {
        churn.run(200);
        quiesce_and_compare(&db);
    }
    let before = db.losses();
    resync_and_compare(&db);
    let (lines, failed) = (churn.lines, churn.failed);
    println!("seed {seed}: {failed} of {lines} failed, {:?}, {before:?}", db.snapshot());
    assert!(failed < lines * 2 / 3, "{failed} of {lines} lines failed: too little has happened");
    drop(other);
    try_batch(&(0..14).map(|i| format!("link del n{i}\n")).collect::<String>());
    quiesce_and_compare(&db);
}

fn churn_with_a_large_buffer() {
    sysctl("ipv6.conf.default.accept_dad", 0);
    churn(1000, 2, 8 << 20, 2000);
}

fn churn_with_a_tiny_buffer() {
    sysctl("ipv6.conf.default.accept_dad", 0);
    churn(2000, 2, 0, 2000);
}

fn churn_with_duplicate_address_detection() {
    churn(3000, 1, 64 << 10, 400);
}

fn churn_with_kept_addresses_and_promotion() {
    sysctl("ipv6.conf.default.accept_dad", 0);
    sysctl("ipv6.conf.all.keep_addr_on_down", 1);
    sysctl("ipv6.conf.default.keep_addr_on_down", 1);
    sysctl("ipv4.conf.all.promote_secondaries", 1);
    sysctl("ipv4.conf.default.promote_secondaries", 1);
    churn(4000, 1, 0, 1000);
    churn(5000, 1, 8 << 20, 1000);
    let end = AtomicBool::new(false);
    let db = Db::builder().receive_buffer(0).open().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| with_loopback_toggling(&end));
        Churn::new(404).run(400);
        end.store(true, SeqCst);
    });
    quiesce_and_compare(&db);
}
