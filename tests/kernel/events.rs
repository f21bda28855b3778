//! Event queues: what changes, in order, from a state that is known; and states that are remembered.

use crate::support::churn::Churn;
use crate::support::judge::settle;
use crate::support::{PATIENCE, batch, ip, need_kinds, quiesce_and_compare, scene, sysctl};
use netlinkdb::internals::sys;
use netlinkdb::{
    AddressKey, Bridge, Cause, Db, Event, EventOptions, EventQueue, Filter, Object, ObjectKind,
    Route, Snapshot, Veth,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

crate::cases![
    eventqueue,
    a_queue_begins_where_its_snapshot_ends,
    an_event_has_before_and_after_and_its_cause,
    a_rollback_is_put_down_to_its_transaction,
    what_is_read_anew_is_put_down_to_that,
    a_flood_of_routes_is_told_to_its_end,
    what_goes_in_silence_is_put_down_to_that,
    what_a_nexthop_takes_along_goes_in_silence,
    silence_is_told_apart_in_one_piece_too,
    what_a_hook_does_is_foreign,
    who_is_too_slow_gets_one_event_with_everything,
    a_queue_holds_as_many_states_as_it_says,
    every_queue_has_a_place_of_its_own,
    objects_are_filtered_by_kind,
    interfaces_are_filtered_by_kind_and_index,
    an_interface_that_changes_out_of_a_filter_is_seen_going,
    debounced_changes_come_in_one_piece,
    what_never_becomes_quiet_comes_after_the_longest_time,
    the_rest_of_a_state_comes_before_the_next,
    the_descriptor_is_readable_while_there_is_something,
    a_descriptor_wakes_a_poll,
    a_queue_on_another_thread_is_woken,
    a_queue_keeps_its_database_open,
    a_storm_of_100_000_changes_loses_no_state,
    queues_of_every_kind_add_up_to_the_state,
    the_past_is_remembered_by_revision_and_time,
    the_past_is_bounded,
    the_past_is_bounded_by_time,
    without_a_history_there_is_only_the_present,
];

const NOW: Duration = Duration::ZERO;

fn pair(db: &Db) {
    need_kinds("veth");
    let mut tx = db.begin();
    tx.create(Veth::new("v0", "v1")).unwrap();
    tx.commit().unwrap();
}

fn set_mtu(db: &Db, name: &str, mtu: u32) {
    db.interface(name).unwrap().set_mtu(mtu).commit().unwrap();
}

fn set_txqlen(db: &Db, packets: u32) {
    db.interface("v0").unwrap().set_txqlen(packets).commit().unwrap();
}

/// All that waits, as lines.
fn lines(queue: &mut EventQueue) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = queue.try_next().unwrap() {
        lines.push(brief(&event.to_string()));
    }
    lines
}

/// Without what the kernel tells late: it announces an mtu before IPv6 has taken it over.
fn brief(line: &str) -> String {
    line.split("  inet6").next().unwrap_or_default().to_owned()
}

/// A queue in one database sees, once, what another one creates.
fn eventqueue() {
    need_kinds("bridge");
    let (one, other) = (Db::open().unwrap(), Db::open().unwrap());
    let mut queue = one.events().unwrap();
    let mut tx = other.begin();
    tx.create(Bridge::new("br0")).unwrap();
    tx.commit().unwrap();
    one.sync().unwrap();
    let mut seen = Vec::new();
    while let Some(event) = queue.try_next().unwrap() {
        // Of the VLANs of a bridge, on kernels that have them, nobody is told.
        let is_vlan = matches!(event.after(), Some(Object::BridgeVlan(..)));
        assert_eq!(event.cause(), if is_vlan { Cause::Silence(None) } else { Cause::Foreign });
        if let (None, Some(Object::Link(link))) = (event.before(), event.after()) {
            seen.push(link.name().to_owned());
        }
    }
    assert_eq!(seen, ["br0"]);
}

/// Nothing is lost between the state that a queue begins at and its first event, and nothing is doubled, however many
/// begin while everything changes.
fn a_queue_begins_where_its_snapshot_ends() {
    let db = Db::open().unwrap();
    pair(&db);
    let lines: String = (0..2000).fold(String::new(), |mut lines, at| {
        writeln!(lines, "link set v0 mtu {}", 1300 + at % 200).unwrap();
        lines
    });
    thread::scope(|scope| {
        let writer = scope.spawn(|| batch(&lines));
        let mut queues = Vec::new();
        while !writer.is_finished() && queues.len() < 500 {
            queues.push(db.events().unwrap());
        }
        writer.join().unwrap();
        let now = db.sync().unwrap();
        for mut queue in queues {
            let mut copy = titles(queue.snapshot());
            let mut revision = queue.snapshot().revision();
            while let Some(event) = queue.try_next().unwrap() {
                assert!(event.revision() > revision, "{event} after {revision}");
                revision = event.revision();
                apply(&event, &mut copy);
            }
            assert_eq!(copy, titles(&now));
        }
    });
}

fn an_event_has_before_and_after_and_its_cause() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events().unwrap();
    assert_eq!(queue.snapshot().revision(), db.snapshot().revision());
    let done = db.interface("v0").unwrap().set_mtu(1400).commit().unwrap();
    let event = queue.try_next().unwrap().unwrap();
    let mtu = |object: Option<&Object>| match object {
        Some(Object::Link(link)) => link.mtu(),
        other => panic!("{other:?}"),
    };
    assert_eq!((mtu(event.before()), mtu(event.after())), (1500, 1400));
    assert_eq!(event.cause(), Cause::Transaction(done.id()));
    assert_eq!(event.changes().len(), 1);
    assert!(!event.is_lagged() && event.panic().is_none());
    assert_eq!(queue.snapshot().revision(), event.revision());
    assert!(queue.try_next().unwrap().is_none());
    ip(&["link", "set", "v0", "mtu", "1300"]);
    db.sync().unwrap();
    let event = queue.try_next().unwrap().unwrap();
    assert_eq!(event.cause(), Cause::Foreign);
    assert_eq!(brief(&event.to_string()), "~ link v0  mtu 1400 -> 1300");
}

fn a_rollback_is_put_down_to_its_transaction() {
    let db = Db::open().unwrap();
    let mut queue = db.events().unwrap();
    let mut tx = db.begin();
    tx.interface("lo").set_mtu(1400);
    tx.on_commit(|_, _| Err("no"));
    let own = Cause::Transaction(tx.id());
    tx.commit().unwrap_err();
    for expected in ["~ link lo  mtu 65536 -> 1400", "~ link lo  mtu 1400 -> 65536"] {
        let event = queue.try_next().unwrap().unwrap();
        assert_eq!((brief(&event.to_string()).as_str(), event.cause()), (expected, own));
    }
    assert!(queue.try_next().unwrap().is_none());
    ip(&["link", "set", "lo", "mtu", "1300"]);
    db.sync().unwrap();
    assert_eq!(queue.try_next().unwrap().unwrap().cause(), Cause::Foreign);
}

fn what_is_read_anew_is_put_down_to_that() {
    let db = Db::open().unwrap();
    let mut queue = db.events().unwrap();
    // Never announced: found when everything is read anew.
    ip(&["link", "set", "lo", "gso_max_segs", "77"]);
    db.resync().unwrap();
    let event = queue.try_next().unwrap().unwrap();
    assert_eq!(event.cause(), Cause::Resync);
    assert!(event.to_string().contains("gso_max_segs"), "{event}");
    assert!(queue.try_next().unwrap().is_none());
    set_mtu(&db, "lo", 1400);
    assert!(matches!(queue.try_next().unwrap().unwrap().cause(), Cause::Transaction(_)));
}

/// `v0` is up, with an address and 200 routes.
fn furnish_with_routes(db: &Db) {
    pair(db);
    let mut tx = db.begin();
    tx.interface("v1").up();
    tx.interface("v0").up().add_ip("10.0.0.1/24").unwrap();
    for net in 0..200 {
        tx.add_route(Route::to(format!("10.9.{net}.0/24")).via("10.0.0.2")).unwrap();
    }
    tx.commit().unwrap();
    settle(db);
}

/// What waits: how many routes have gone by which cause, and the causes of everything else.
fn routes_gone(queue: &mut EventQueue) -> (BTreeMap<String, usize>, Vec<(Cause, String)>) {
    let (mut gone, mut others) = (BTreeMap::new(), Vec::new());
    while let Some(event) = queue.try_next().unwrap() {
        match (event.before(), event.after()) {
            (Some(Object::Route(route)), None) if route.to_string().starts_with("10.9.") => {
                *gone.entry(format!("{:?}", event.cause())).or_default() += 1;
            }
            _ => others.push((event.cause(), event.to_string())),
        }
    }
    (gone, others)
}

/// In a flood the shown state is taken back. The one after it was shown and not told, until something else changed.
fn a_flood_of_routes_is_told_to_its_end() {
    const ROUTES: usize = 3_000;
    let db = Db::open().unwrap();
    furnish_with_routes(&db);
    let mut queue = db.events().unwrap();
    let line = |n: usize| format!("route add 10.8.{}.{}/32 via 10.0.0.2\n", n / 250, n % 250);
    batch(&(0..ROUTES).map(line).collect::<String>());
    db.sync().unwrap();
    let mut told = 0;
    while let Some(event) = queue.try_next().unwrap() {
        told += usize::from(event.to_string().contains("10.8."));
    }
    assert_eq!(told, ROUTES);
}

/// K4: a link goes down, and the kernel says nothing of 200 routes.
fn what_goes_in_silence_is_put_down_to_that() {
    let db = Db::open().unwrap();
    furnish_with_routes(&db);
    let mut queue = db.events().unwrap();
    ip(&["link", "set", "v0", "down"]);
    db.sync().unwrap();
    let (gone, others) = routes_gone(&mut queue);
    assert_eq!(gone, [("Silence(None)".to_owned(), 200)].into());
    let of = |line: &str| others.iter().find(|(_, text)| text.starts_with(line)).unwrap().0;
    assert_eq!(
        (of("~ link v0"), of("- route 10.0.0.0/24")),
        (Cause::Foreign, Cause::Silence(None))
    );
    // A transaction's: it is told which.
    furnish_again(&db);
    while queue.try_next().unwrap().is_some() {}
    let done = db.interface("v0").unwrap().down().commit().unwrap();
    let (gone, others) = routes_gone(&mut queue);
    let silent = Cause::Silence(Some(done.id()));
    assert_eq!(gone, [(format!("{silent:?}"), 200)].into());
    assert_eq!(silent.transaction(), Some(done.id()));
    let link = others.iter().find(|(_, text)| text.starts_with("~ link v0")).unwrap();
    assert_eq!(link.0, Cause::Transaction(done.id()));
}

fn furnish_again(db: &Db) {
    db.interface("v0").unwrap().up().commit().unwrap();
    let mut tx = db.begin();
    for net in 0..200 {
        tx.add_route(Route::to(format!("10.9.{net}.0/24")).via("10.0.0.2")).unwrap();
    }
    tx.commit().unwrap();
    settle(db);
}

/// K7: the kernel tells of the nexthop object, and not of the IPv4 routes by it.
fn what_a_nexthop_takes_along_goes_in_silence() {
    let db = Db::open().unwrap();
    pair(&db);
    scene(
        "link set v1 up
        link set v0 up
        address add 10.0.0.1/24 dev v0
        nexthop add id 7 via 10.0.0.2 dev v0
        route add 10.9.1.0/24 nhid 7
        route add 10.9.2.0/24 nhid 7",
    );
    settle(&db);
    let mut queue = db.events().unwrap();
    ip(&["nexthop", "del", "id", "7"]);
    db.sync().unwrap();
    let (gone, others) = routes_gone(&mut queue);
    assert_eq!(gone, [("Silence(None)".to_owned(), 2)].into());
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!((others[0].0, &others[0].1[..12]), (Cause::Foreign, "- nexthop id"));
}

/// Changes of several states in one piece.
fn silence_is_told_apart_in_one_piece_too() {
    let db = Db::open().unwrap();
    furnish_with_routes(&db);
    let mut queue = db.events_with(EventOptions::default().debounce(NOW, NOW)).unwrap();
    ip(&["link", "set", "v0", "mtu", "1400"]);
    db.sync().unwrap();
    ip(&["link", "set", "v0", "down"]);
    db.sync().unwrap();
    let (gone, others) = routes_gone(&mut queue);
    assert_eq!(gone, [("Silence(None)".to_owned(), 200)].into());
    let link = others.iter().find(|(_, text)| text.starts_with("~ link v0")).unwrap();
    assert_eq!(link.0, Cause::Foreign, "{}", link.1);
}

fn what_a_hook_does_is_foreign() {
    let db = Db::open().unwrap();
    let mut queue = db.events().unwrap();
    let inside = db.clone();
    let mut tx = db.begin();
    tx.interface("lo").set_mtu(1400);
    tx.on_commit(move |_, _| {
        ip(&["link", "set", "lo", "txqueuelen", "77"]);
        inside.sync().map(drop)
    });
    let own = Cause::Transaction(tx.id());
    tx.commit().unwrap();
    assert_eq!(queue.try_next().unwrap().unwrap().cause(), own);
    let event = queue.try_next().unwrap().unwrap();
    assert!(event.to_string().contains("txqlen"), "{event}");
    assert_eq!(event.cause(), Cause::Foreign);
}

fn who_is_too_slow_gets_one_event_with_everything() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events_with(EventOptions::default().capacity(3)).unwrap();
    let mut copy = titles(queue.snapshot());
    for mtu in 1400..1404 {
        set_mtu(&db, "v0", mtu);
    }
    let event = queue.try_next().unwrap().unwrap();
    assert!(event.is_lagged(), "{event}");
    assert_eq!(event.cause(), Cause::Several);
    assert_eq!((event.before().is_none(), event.after().is_none()), (true, true));
    assert_eq!(brief(&event.changes()[0].to_string()), "~ link v0  mtu 1500 -> 1403");
    apply(&event, &mut copy);
    assert!(queue.try_next().unwrap().is_none());
    assert_eq!(copy, titles(&db.snapshot()));
    // From then on it is one by one again; what comes to nothing is told too.
    set_mtu(&db, "v0", 1404);
    assert_eq!(lines(&mut queue), ["~ link v0  mtu 1403 -> 1404"]);
    set_txqlen(&db, 77);
    assert_eq!(lines(&mut queue), ["~ link v0  txqlen 1000 -> 77"]);
    [1, 2, 3, 77].iter().for_each(|packets| set_txqlen(&db, *packets));
    let event = queue.try_next().unwrap().unwrap();
    assert!(event.is_lagged() && event.changes().is_empty(), "{event}");
}

fn a_queue_holds_as_many_states_as_it_says() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events_with(EventOptions::default().capacity(3)).unwrap();
    for mtu in 1400..1403 {
        set_mtu(&db, "v0", mtu);
    }
    let mut previous = 1500;
    for mtu in 1400..1403 {
        let line = brief(&queue.try_next().unwrap().unwrap().to_string());
        assert_eq!(line, format!("~ link v0  mtu {previous} -> {mtu}"));
        previous = mtu;
    }
    assert!(queue.try_next().unwrap().is_none());
}

fn every_queue_has_a_place_of_its_own() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queues: Vec<_> = (0..100).map(|_| db.events().unwrap()).collect();
    set_mtu(&db, "v0", 1400);
    let (early, late) = queues.split_at_mut(50);
    for queue in early.iter_mut() {
        assert_eq!(lines(queue), ["~ link v0  mtu 1500 -> 1400"]);
    }
    set_mtu(&db, "v0", 1300);
    for queue in early {
        assert_eq!(lines(queue), ["~ link v0  mtu 1400 -> 1300"]);
    }
    for queue in late {
        assert_eq!(lines(queue), ["~ link v0  mtu 1500 -> 1400", "~ link v0  mtu 1400 -> 1300"]);
    }
}

fn objects_are_filtered_by_kind() {
    sysctl("ipv6.conf.all.disable_ipv6", 1);
    let db = Db::open().unwrap();
    let only = |kinds: &[ObjectKind]| {
        let filter = Filter::default().objects(kinds.iter().copied());
        db.events_with(EventOptions::default().filter(filter)).unwrap()
    };
    use ObjectKind::{Address, Link, Route};
    let mut queues = [only(&[Link]), only(&[Address]), only(&[Route]), only(&[Link, Route])];
    db.interface("lo").unwrap().up().add_ip("10.0.0.1/32").unwrap().commit().unwrap();
    let heads = |queue: &mut EventQueue| -> Vec<String> {
        let of = |line: String| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let mut heads: Vec<_> = lines(queue).into_iter().map(of).collect();
        heads.sort();
        heads.dedup();
        heads
    };
    let [links, addresses, routes, both] = &mut queues;
    assert_eq!(heads(links), ["~ link"]);
    assert_eq!(heads(addresses), ["+ addr"]);
    assert_eq!(heads(routes), ["+ route"]);
    assert_eq!(heads(both), ["+ route", "~ link"]);
}

fn interfaces_are_filtered_by_kind_and_index() {
    need_kinds("veth bridge");
    sysctl("ipv6.conf.default.disable_ipv6", 1);
    let db = Db::open().unwrap();
    pair(&db);
    let index = db.interface("v1").unwrap().index();
    let with = |filter| db.events_with(EventOptions::default().filter(filter)).unwrap();
    let mut bridges = with(Filter::default().link_kind("bridge"));
    let mut one = with(Filter::default().index(index));
    let mut neither = with(Filter::default().index(index).link_kind("bridge"));
    let mut unkind = with(Filter::default().link_kind(""));
    let mut tx = db.begin();
    let br0 = tx.create(Bridge::new("br0")).unwrap();
    tx.interface(&br0).add_ip("10.0.0.1/24").unwrap();
    tx.interface("v0").set_mtu(1400);
    tx.interface("v1").set_mtu(1300);
    tx.interface("lo").set_mtu(1200);
    tx.commit().unwrap();
    let seen = lines(&mut bridges);
    assert!(seen.iter().all(|line| line.contains("br0")), "{seen:?}");
    assert!(seen.iter().any(|line| line.starts_with("+ addr inet 10.0.0.1/24")), "{seen:?}");
    assert_eq!(lines(&mut one), ["~ link v1  mtu 1500 -> 1300"]);
    assert_eq!(lines(&mut neither), [""; 0]);
    assert_eq!(lines(&mut unkind), ["~ link lo  mtu 65536 -> 1200"]);
}

/// What belongs to a filter before or after a change is told.
fn an_interface_that_changes_out_of_a_filter_is_seen_going() {
    need_kinds("bridge ifb");
    let db = Db::open().unwrap();
    scene("link add same index 77 type bridge");
    db.sync().unwrap();
    let options = EventOptions::default().filter(Filter::default().link_kind("bridge"));
    let mut queue = db.events_with(options.debounce(NOW, NOW)).unwrap();
    scene("link del same\n link add same index 77 type ifb");
    db.sync().unwrap();
    let mut seen = lines(&mut queue);
    // On kernels whose bridges have VLANs those go with it.
    seen.retain(|line| !line.starts_with("- vlan"));
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with("- link"), "{seen:?}");
}

fn debounced_changes_come_in_one_piece() {
    let db = Db::open().unwrap();
    pair(&db);
    let quiet = Duration::from_millis(200);
    let options = EventOptions::default().debounce(quiet, PATIENCE);
    let mut queue = db.events_with(options).unwrap();
    assert_eq!(queue.due_within(), None);
    let start = Instant::now();
    for mtu in 1400..1410 {
        set_mtu(&db, "v0", mtu);
    }
    ip(&["link", "set", "v1", "mtu", "1300"]);
    db.sync().unwrap();
    assert!(queue.try_next().unwrap().is_none());
    assert!(queue.due_within().unwrap() <= quiet);
    let first = queue.next_within(PATIENCE).unwrap().unwrap();
    assert!(start.elapsed() >= quiet);
    let second = queue.try_next().unwrap().unwrap();
    let piece = (Cause::Several, false);
    assert_eq!([&first, &second].map(|event| (event.cause(), event.is_lagged())), [piece; 2]);
    let mut seen = [first, second].each_ref().map(|event| brief(&event.to_string()));
    seen.sort();
    assert_eq!(seen, ["~ link v0  mtu 1500 -> 1409", "~ link v1  mtu 1500 -> 1300"]);
    assert!(queue.try_next().unwrap().is_none());
    assert_eq!(queue.due_within(), None);
    // What has changed back is nothing.
    set_txqlen(&db, 77);
    set_txqlen(&db, 1000);
    let rest = queue.next_within(2 * quiet).unwrap();
    assert!(rest.is_none_or(|event| !event.to_string().contains("txqlen")));
    assert!(queue.next_within(2 * quiet).unwrap().is_none());
}

fn what_never_becomes_quiet_comes_after_the_longest_time() {
    let db = Db::open().unwrap();
    pair(&db);
    let start = Instant::now();
    (1400..1405).for_each(|mtu| set_mtu(&db, "v0", mtu));
    // Long enough for several changes, however busy the machine is.
    let most = Duration::from_millis(100).max(start.elapsed() * 4);
    let options = EventOptions::default().debounce(Duration::MAX, most).capacity(2);
    let mut queue = db.events_with(options).unwrap();
    let (start, mut changes) = (Instant::now(), 0);
    let event = loop {
        set_mtu(&db, "v0", 1300 + changes % 100);
        changes += 1;
        if let Some(event) = queue.try_next().unwrap() {
            break event;
        }
        assert!(start.elapsed() < PATIENCE, "it never comes");
    };
    assert!(start.elapsed() >= most && changes > 2, "{changes}");
    assert!(!event.is_lagged() && matches!(event.cause(), Cause::Several));
}

fn the_rest_of_a_state_comes_before_the_next() {
    let db = Db::open().unwrap();
    let mut queue = db.events_with(EventOptions::default().debounce(NOW, NOW)).unwrap();
    db.interface("lo").unwrap().up().commit().unwrap();
    let seen = lines(&mut queue).len();
    assert!(seen > 1, "lo comes up with addresses and routes");
    db.interface("lo").unwrap().down().commit().unwrap();
    queue.try_next().unwrap().expect("a part of it");
    db.interface("lo").unwrap().set_mtu(1400).commit().unwrap();
    let rest = queue.diff_within(NOW).unwrap().unwrap();
    assert!(rest.changes().iter().all(|change| !change.to_string().contains("mtu")));
    let next = queue.diff_within(NOW).unwrap().unwrap();
    assert_eq!(brief(&next.changes()[0].to_string()), "~ link lo  mtu 65536 -> 1400");
    assert!(queue.diff_within(NOW).unwrap().is_none());
}

fn is_readable(queue: &EventQueue) -> bool {
    sys::wait([queue.as_fd()], Some(NOW)).unwrap() == [true]
}

fn the_descriptor_is_readable_while_there_is_something() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events().unwrap();
    assert!(!is_readable(&queue));
    set_mtu(&db, "v0", 1400);
    set_mtu(&db, "v0", 1300);
    assert!(is_readable(&queue));
    queue.try_next().unwrap().unwrap();
    assert!(is_readable(&queue), "there is another one");
    queue.try_next().unwrap().unwrap();
    assert!(queue.try_next().unwrap().is_none());
    assert!(!is_readable(&queue));
    set_mtu(&db, "v0", 1400);
    assert!(is_readable(&queue));
    // Nobody has looked at this one's descriptor before.
    let mut other = db.events().unwrap();
    set_mtu(&db, "v0", 1300);
    assert!(is_readable(&other));
    assert_eq!(lines(&mut other).len(), 1);
    assert!(!is_readable(&other));
    // A change that the filter does not let through wakes, and leaves nothing.
    let nothing = Filter::default().index(99);
    let mut none = db.events_with(EventOptions::default().filter(nothing)).unwrap();
    assert!(!is_readable(&none));
    set_mtu(&db, "v0", 1400);
    assert!(none.try_next().unwrap().is_none());
    assert!(!is_readable(&none));
}

fn a_descriptor_wakes_a_poll() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events().unwrap();
    let (say, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let fd = queue.as_fd();
            say.send(()).unwrap();
            assert_eq!(sys::wait([fd], Some(PATIENCE)).unwrap(), [true]);
        });
        told.recv().unwrap();
        set_mtu(&db, "v0", 1400);
    });
    assert_eq!(lines(&mut queue), ["~ link v0  mtu 1500 -> 1400"]);
}

fn a_queue_on_another_thread_is_woken() {
    let db = Db::open().unwrap();
    pair(&db);
    let mut queue = db.events().unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(move || queue.next().unwrap().unwrap().to_string());
        set_mtu(&db, "v0", 1400);
        assert_eq!(reader.join().unwrap(), "~ link v0  mtu 1500 -> 1400");
    });
}

fn a_queue_keeps_its_database_open() {
    let mut queue = Db::open().unwrap().events().unwrap();
    ip(&["link", "set", "lo", "mtu", "1400"]);
    let event = queue.next_within(PATIENCE).unwrap().unwrap();
    assert_eq!(event.to_string(), "~ link lo  mtu 65536 -> 1400");
}

/// A reader that reads nothing while 100,000 changes happen, one that reads as it can, and one that gathers: the state
/// rebuilt from each queue is the snapshot.
fn a_storm_of_100_000_changes_loses_no_state() {
    const CHANGES: u32 = 100_000;
    sysctl("ipv6.conf.all.disable_ipv6", 1);
    scene("link set lo up");
    let db = Db::open().unwrap();
    let small = || EventOptions::default().capacity(16);
    let (mut asleep, mut awake) = (db.events_with(small()).unwrap(), db.events().unwrap());
    let gathering = EventOptions::default().debounce(NOW, Duration::from_millis(10));
    let mut gathering = db.events_with(gathering).unwrap();
    let mut lines = String::new();
    for at in 0..CHANGES / 4 {
        // Each makes and takes an address and a route.
        let place = format!("10.{}.{}.{}", at >> 14 & 127, at >> 7 & 127, at & 127);
        writeln!(lines, "address add {place}/32 dev lo").unwrap();
        if at % 50 != 0 {
            writeln!(lines, "address del {place}/32 dev lo").unwrap();
        } else {
            writeln!(lines, "link set lo mtu {}", 1300 + at % 5000).unwrap();
        }
    }
    let (wake, sleep) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            let mut copy = titles(asleep.snapshot());
            let end = sleep.recv();
            assert!(end.is_err());
            let mut lagged = 0;
            while let Some(event) = asleep.try_next().unwrap() {
                lagged += u32::from(event.is_lagged());
                apply(&event, &mut copy);
            }
            (copy, lagged)
        });
        let readers = [&mut awake, &mut gathering].map(|queue| {
            scope.spawn(move || {
                let mut copy = titles(queue.snapshot());
                let (mut events, mut changes, mut patience) = (0u32, 0, PATIENCE);
                while let Some(event) = queue.next_within(patience).unwrap() {
                    (events, changes) = (events + 1, changes + event.changes().len());
                    apply(&event, &mut copy);
                    // The last line; the rest of its state may follow.
                    if copy.get("link 1").is_some_and(|link| link.ends_with("mtu 77")) {
                        patience = Duration::from_millis(50);
                    }
                }
                (copy, events, changes)
            })
        });
        batch(&lines);
        scene("link set lo mtu 77");
        let now = titles(&db.sync().unwrap());
        drop(wake);
        let (copy, lagged) = sleeper.join().unwrap();
        assert_eq!(copy, now);
        // What a database misses of it, as on a busy machine with a small buffer, is one change more: few enough to wait.
        let few = lagged == 0 && db.losses().overruns > 0;
        assert!(lagged == 1 || few, "one event tells that it was too slow, and not {lagged}");
        for (at, reader) in readers.into_iter().enumerate() {
            let (copy, events, changes) = reader.join().unwrap();
            assert_eq!(copy, now);
            println!("reader {at}: {changes} changes in {events} events, {:?}", db.losses());
        }
    });
    quiesce_and_compare(&db);
}

/// Random changes with overflows in between, and queues of every kind: each adds up to the state.
fn queues_of_every_kind_add_up_to_the_state() {
    need_kinds("veth bridge vxlan macvlan ifb");
    sysctl("ipv6.conf.default.accept_dad", 0);
    for buffer in [0, 8 << 20] {
        let db = Db::builder().receive_buffer(buffer).open().unwrap();
        let options = [
            EventOptions::default(),
            EventOptions::default().capacity(1),
            EventOptions::default().capacity(4),
            EventOptions::default().debounce(Duration::from_millis(1), Duration::from_millis(20)),
        ];
        let queue = |options| {
            let queue = db.events_with(options).unwrap();
            let copy = titles(queue.snapshot());
            (queue, copy)
        };
        let mut queues: Vec<_> = options.into_iter().map(queue).collect();
        let mut read = || {
            for (queue, copy) in &mut queues {
                while let Some(event) = queue.try_next().unwrap() {
                    apply(&event, copy);
                }
            }
        };
        thread::scope(|scope| {
            let churn = scope.spawn(|| Churn::new(21).run(800));
            while !churn.is_finished() {
                read();
                thread::yield_now();
            }
            churn.join().unwrap();
        });
        let now = quiesce_and_compare(&db);
        for (queue, copy) in &mut queues {
            while queue.due_within().is_some() {
                // What waits may come to nothing.
                if let Some(event) = queue.next_within(Duration::from_millis(30)).unwrap() {
                    apply(&event, copy);
                }
            }
            assert_eq!(*copy, titles(&now));
        }
        crate::support::try_batch(
            &(0..14).map(|at| format!("link del n{at}\n")).collect::<String>(),
        );
    }
}

/// What an object is known by, and what of it changes here.
fn entry(object: &Object) -> (String, String) {
    match object {
        Object::Link(link) => {
            (format!("link {}", link.index()), format!("{} mtu {}", link.name(), link.mtu()))
        }
        Object::Address(address, _) => {
            (format!("{:?}", AddressKey::of(address)), address.flags().to_string())
        }
        Object::BridgeVlan(vlan, _) => {
            (format!("vlan {} of {}", vlan.vid(), vlan.index()), vlan.to_string())
        }
        // Several may share all that they show.
        other => (String::new(), other.to_string()),
    }
}

/// Every interface, address and VLAN, and each route with how often it is there.
fn titles(of: &Snapshot) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let links = of.links().map(|link| of.interface_object(link));
    let addresses = of.addresses().map(|address| Object::Address(address.clone(), "".into()));
    let routes = of.routes().all().iter().map(|route| Object::Route(route.clone()));
    let vlans = of.links().flat_map(|link| of.vlans_of(link.index()));
    let vlans = vlans.map(|vlan| Object::BridgeVlan(*vlan, "".into()));
    links.chain(addresses).chain(vlans).chain(routes).for_each(|object| put(&object, &mut all));
    all
}

trait InterfaceObject {
    fn interface_object(&self, link: &netlinkdb::Link) -> Object;
}

impl InterfaceObject for Snapshot {
    fn interface_object(&self, link: &netlinkdb::Link) -> Object {
        Object::Link(std::sync::Arc::new(link.clone()))
    }
}

fn put(object: &Object, copy: &mut BTreeMap<String, String>) {
    match entry(object) {
        (key, route) if key.is_empty() => {
            let count = copy.get(&route).map_or(0, |count| count.parse::<u32>().unwrap());
            copy.insert(route, (count + 1).to_string());
        }
        (key, value) => assert_eq!(copy.insert(key, value), None, "{object}"),
    }
}

fn take(object: &Object, copy: &mut BTreeMap<String, String>) {
    match entry(object) {
        (key, route) if key.is_empty() => match copy.remove(&route).expect(&route).parse::<u32>() {
            Ok(1) => {}
            Ok(count) => drop(copy.insert(route, (count - 1).to_string())),
            Err(error) => panic!("{error}"),
        },
        (key, value) => assert_eq!(copy.remove(&key), Some(value), "{object}"),
    }
}

fn apply(event: &Event, copy: &mut BTreeMap<String, String>) {
    for change in event.changes() {
        change.before().into_iter().for_each(|object| take(object, copy));
        change.after().into_iter().for_each(|object| put(object, copy));
    }
}

fn mtu(of: &Snapshot) -> u32 {
    of.link("lo").unwrap().mtu()
}

fn the_past_is_remembered_by_revision_and_time() {
    let db = Db::builder().history(1000).open().unwrap();
    let (start, start_time) = (Instant::now(), SystemTime::now());
    let mut past = vec![(db.snapshot(), start)];
    for mtu in 1400..1450 {
        let done = db.interface("lo").unwrap().set_mtu(mtu).commit().unwrap();
        past.push((done.snapshot().clone(), Instant::now()));
    }
    for (then, at) in &past {
        let found = db.at(then.revision()).unwrap();
        assert_eq!((found.revision(), mtu(&found)), (then.revision(), mtu(then)));
        assert_eq!(mtu(&db.before(*at).unwrap()), mtu(then));
    }
    assert_eq!(mtu(&db.before_time(SystemTime::now()).unwrap()), 1449);
    assert_eq!(mtu(&db.before_time(start_time).unwrap()), 65536);
    assert!(db.before_time(SystemTime::UNIX_EPOCH).is_none());
    assert!(db.at(0).is_none(), "before the first");
    assert!(db.at(db.snapshot().revision() + 1).is_none(), "yet to come");
    // A queue that reads does not take the past away.
    let mut queue = db.events().unwrap();
    set_mtu(&db, "lo", 1500);
    assert_eq!(lines(&mut queue).len(), 1);
    assert_eq!(mtu(&db.at(past[0].0.revision()).unwrap()), 65536);
}

fn the_past_is_bounded() {
    let db = Db::builder().history(3).open().unwrap();
    let first = db.snapshot().revision();
    let revisions: Vec<_> = (1400..1410)
        .map(|mtu| {
            let done = db.interface("lo").unwrap().set_mtu(mtu).commit().unwrap();
            done.snapshot().revision()
        })
        .collect();
    assert!(db.at(first).is_none());
    let (gone, left) = revisions.split_at(7);
    assert!(gone.iter().all(|revision| db.at(*revision).is_none()));
    assert!(left.iter().all(|revision| db.at(*revision).is_some()));
    // Also when a queue that does not read holds more of them.
    let queue = db.events().unwrap();
    set_mtu(&db, "lo", 1500);
    (1400..1410).for_each(|mtu| set_mtu(&db, "lo", mtu));
    assert!(db.at(left[2]).is_none());
    drop(queue);
    assert!(db.at(db.snapshot().revision() - 2).is_some());
    assert!(db.at(db.snapshot().revision() - 3).is_none());
}

fn the_past_is_bounded_by_time() {
    let db = Db::builder().history_age(NOW).open().unwrap();
    let first = db.snapshot().revision();
    set_mtu(&db, "lo", 1400);
    set_mtu(&db, "lo", 1300);
    assert!(db.at(first).is_none());
    assert_eq!(mtu(&db.before(Instant::now()).unwrap()), 1300);
    let db = Db::builder().history_age(PATIENCE).open().unwrap();
    let first = db.snapshot().revision();
    set_mtu(&db, "lo", 1400);
    assert!(db.at(first).is_some());
    let db = Db::builder().history_age(PATIENCE).history(1).open().unwrap();
    let first = db.snapshot().revision();
    set_mtu(&db, "lo", 1300);
    assert!(db.at(first).is_none());
}

fn without_a_history_there_is_only_the_present() {
    let db = Db::open().unwrap();
    let first = db.snapshot().revision();
    let queue = db.events().unwrap();
    set_mtu(&db, "lo", 1400);
    assert!(db.before(Instant::now()).is_none());
    assert!(db.at(first).is_none());
    assert_eq!(mtu(&db.at(db.snapshot().revision()).unwrap()), 1400);
    drop(queue);
}
