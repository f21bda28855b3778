//! Callbacks: on the reader thread before a message is applied, and on a thread of their own after a state is shown.

use crate::support::{PATIENCE, batch, ip, need_kind, quiesce_and_compare, scene, sysctl};
use netlinkdb::{Bridge, Db, Filter, Object, ObjectKind, Registration, Veth};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

crate::cases![
    generic_callback,
    generic_pre_callback,
    callbacks_are_called_in_order_on_one_thread,
    a_callback_commits_on_the_same_database,
    a_callback_takes_itself_out,
    a_callback_sees_what_comes_after_its_registration,
    callbacks_are_filtered,
    a_panic_of_a_callback_is_told_once_and_harms_nothing,
    a_callback_that_drops_the_last_handle_ends_the_database,
    the_thread_of_callbacks_ends_with_its_database,
    what_is_discarded_has_never_come,
    what_is_discarded_is_missing_in_a_dump_too,
    a_discarded_answer_holds_up_nobody,
    a_message_keeps_what_is_not_changed,
    what_cannot_be_changed_is_refused,
    a_pre_callback_reads_and_can_neither_commit_nor_wait,
    a_panic_before_a_message_is_applied_lets_it_pass,
    a_pre_callback_takes_itself_out,
    every_kind_of_object_is_seen_before_it_is_applied,
    a_hidden_change_rolls_its_commit_back,
    callbacks_read_the_snapshot_in_a_flood_of_routes,
];

/// Post-callbacks by name: each sees what the kernel says, after it is in the state.
fn generic_callback() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let _guard = db.on_event(Filter::default(), move |db, event| {
        if let (None, Some(Object::Link(link))) = (event.before(), event.after()) {
            let is_there = db.snapshot().link(link.name()).is_some();
            say.send((link.name().to_owned(), is_there)).unwrap();
        }
    });
    for name in ["br0", "br1"] {
        ip(&["link", "add", name, "type", "bridge"]);
    }
    for name in ["br0", "br1"] {
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (name.to_owned(), true));
    }
}

/// The callback edits the message that makes an interface, and the edit is in the database.
fn generic_pre_callback() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let filter = Filter::default().objects([ObjectKind::Link]).link_kind("bridge");
    let guard = db.on_notification(filter, |message| {
        message.set_text("ifalias", "edited").unwrap();
        message.set_number("txqlen", 77).unwrap();
    });
    scene("link add br0 type bridge\n link add br1 type bridge");
    let now = db.sync().unwrap();
    for name in ["br0", "br1"] {
        let link = now.link(name).unwrap();
        assert_eq!((link.alias(), link.txqlen()), (Some("edited"), 77));
    }
    assert_eq!(now.link("lo").unwrap().alias(), None);
    // The kernel has never heard of it.
    drop(guard);
    let now = db.resync().unwrap();
    assert_eq!(now.link("br0").unwrap().alias(), None);
    quiesce_and_compare(&db);
}

fn this_thread() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

fn callbacks_are_called_in_order_on_one_thread() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let listen = |name: &'static str| {
        let say = say.clone();
        let filter = Filter::default().objects([ObjectKind::Link]);
        db.on_event(filter, move |_, event| {
            say.send((name, event.revision(), this_thread())).unwrap();
        })
    };
    let _guards = [listen("first").unwrap(), listen("second").unwrap()];
    for mtu in 1400..1420 {
        db.interface("lo").unwrap().set_mtu(mtu).commit().unwrap();
    }
    let mut last = 0;
    for _ in 0..20 {
        let first = told.recv_timeout(PATIENCE).unwrap();
        let second = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!((first.0, second.0), ("first", "second"));
        assert_eq!((first.2.as_str(), second.2.as_str()), ("netlinkdb-calls", "netlinkdb-calls"));
        assert!(first.1 == second.1 && first.1 > last);
        last = first.1;
    }
}

fn a_callback_commits_on_the_same_database() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let _guard = db.on_event(Filter::default().objects([ObjectKind::Link]), move |db, event| {
        let Some(Object::Link(link)) = event.after() else { return };
        if link.mtu() != 1500 {
            let done = db.interface("lo").unwrap().set_mtu(1500).commit();
            assert_eq!(db.sync().unwrap().link("lo").unwrap().mtu(), 1500);
            say.send(done.is_ok()).unwrap();
        }
    });
    ip(&["link", "set", "lo", "mtu", "1300"]);
    assert!(told.recv_timeout(PATIENCE).unwrap());
    assert_eq!(quiesce_and_compare(&db).link("lo").unwrap().mtu(), 1500);
}

type Own = Arc<Mutex<Option<Registration>>>;

fn a_callback_takes_itself_out() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let own = Own::default();
    let inside = Arc::clone(&own);
    let guard = db.on_event(Filter::default(), move |_, event| {
        drop(inside.lock().unwrap().take());
        say.send(event.revision()).unwrap();
    });
    *own.lock().unwrap() = Some(guard.unwrap());
    for mtu in [1400, 1300] {
        db.interface("lo").unwrap().set_mtu(mtu).commit().unwrap();
    }
    told.recv_timeout(PATIENCE).unwrap();
    // It has gone, and what it had captured too.
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

fn a_callback_sees_what_comes_after_its_registration() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    // The first one is held up, so that the thread is behind when the second one is registered.
    let _first =
        db.on_event(Filter::default(), move |_, _| wait.recv().unwrap_or_default()).unwrap();
    db.interface("lo").unwrap().set_mtu(1400).commit().unwrap();
    let _second = db.on_event(Filter::default(), move |_, event| {
        say.send(event.to_string()).unwrap();
    });
    db.interface("lo").unwrap().set_txqlen(77).commit().unwrap();
    drop(go);
    let seen = told.recv_timeout(PATIENCE).unwrap();
    assert!(seen.contains("txqlen") && !seen.contains(" mtu "), "{seen}");
}

fn callbacks_are_filtered() {
    need_kind("veth");
    sysctl("ipv6.conf.default.disable_ipv6", 1);
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    tx.create(Veth::new("v0", "v1")).unwrap();
    tx.commit().unwrap();
    let (say, told) = mpsc::channel();
    let filter = Filter::default().objects([ObjectKind::Address]).link_kind("veth");
    let _guard = db.on_event(filter, move |_, event| say.send(event.to_string()).unwrap());
    let mut tx = db.begin();
    tx.interface("lo").add_ip("10.0.0.1/32").unwrap();
    tx.interface("v0").set_mtu(1400).add_ip("10.0.0.2/32").unwrap();
    tx.commit().unwrap();
    tx = db.begin();
    tx.interface("v1").add_ip("10.0.0.3/32").unwrap();
    tx.commit().unwrap();
    for address in ["10.0.0.2", "10.0.0.3"] {
        let seen = told.recv_timeout(PATIENCE).unwrap();
        assert!(seen.starts_with(&format!("+ addr inet {address}/32")), "{seen}");
    }
}

fn a_panic_of_a_callback_is_told_once_and_harms_nothing() {
    let db = Db::open().unwrap();
    let mut queue = db.events().unwrap();
    let (say, told) = mpsc::channel();
    let changes = |event: &netlinkdb::Event| event.panic().is_none();
    let _bad = db.on_event(Filter::default(), move |_, event| {
        if changes(event) {
            panic!("in a callback");
        }
    });
    let _good = db.on_event(Filter::default(), move |_, event| {
        say.send(event.panic().map(str::to_owned)).unwrap();
    });
    db.interface("lo").unwrap().set_txqlen(1).commit().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), None);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().as_deref(), Some("in a callback"));
    assert_eq!(db.callback_panics(), 1);
    db.interface("lo").unwrap().set_txqlen(2).commit().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), None);
    db.interface("lo").unwrap().set_txqlen(3).commit().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), None);
    assert!(db.callback_panics() >= 2, "the second was counted before the third change was told");
    let mut panics = 0;
    while let Some(event) = queue.try_next().unwrap() {
        if let Some(words) = event.panic() {
            assert_eq!((words, event.changes().len()), ("in a callback", 0));
            assert_eq!(event.cause(), netlinkdb::Cause::Callback);
            panics += 1;
        }
    }
    assert_eq!(panics, 1);
    quiesce_and_compare(&db);
}

fn a_callback_that_drops_the_last_handle_ends_the_database() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    db.on_event(Filter::default(), move |_, _| {
        say.send(()).unwrap();
        wait.recv().unwrap_or_default();
    })
    .unwrap()
    .keep();
    ip(&["link", "set", "lo", "mtu", "1400"]);
    // It runs: from here on its handle is the last one.
    told.recv_timeout(PATIENCE).unwrap();
    drop(db);
    drop(go);
    // All threads end, and with them what the callback had captured.
    while told.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

fn the_thread_of_callbacks_ends_with_its_database() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let guard =
        db.on_event(Filter::default(), move |_, _| say.send(()).unwrap_or_default()).unwrap();
    drop(db);
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    drop(guard);
}

fn what_is_discarded_has_never_come() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let filter = Filter::default().objects([ObjectKind::Link]).link_kind("bridge");
    let guard = db.on_notification(filter, |message| message.discard());
    scene("link add br0 type bridge\n link set br0 up\n address add 10.0.0.1/24 dev br0");
    scene("link set lo mtu 1300");
    let now = db.sync().unwrap();
    assert!(now.link("br0").is_none());
    assert!(now.addresses().all(|address| address.prefix() != "10.0.0.1/24"));
    assert_eq!(now.link("lo").unwrap().mtu(), 1300);
    drop(guard);
    db.resync().unwrap();
    quiesce_and_compare(&db);
}

fn what_is_discarded_is_missing_in_a_dump_too() {
    need_kind("bridge");
    scene("link add br0 type bridge\n link add br1 type bridge");
    let db = Db::open().unwrap();
    let index = db.interface("br0").unwrap().index();
    let _guard = db.on_notification(Filter::default().index(index), |message| message.discard());
    let now = db.resync().unwrap();
    assert!(now.link("br0").is_none() && now.link("br1").is_some());
    assert!(db.sync().unwrap().link("br0").is_none());
}

/// The database asks for what the kernel may have changed in silence, and waits for the answer before it passes a
/// fence.
fn a_discarded_answer_holds_up_nobody() {
    need_kind("veth");
    sysctl("ipv6.conf.default.accept_dad", 0);
    let db = Db::open().unwrap();
    let seen = Arc::new(Mutex::new(false));
    let inside = Arc::clone(&seen);
    let _guard = db.on_notification(Filter::default(), move |message| {
        // The first message about a new link makes it be asked for; that is thrown away.
        if message.text("ifname") == Some("v0") {
            let mut seen = inside.lock().unwrap();
            if *seen {
                message.discard();
            }
            *seen = true;
        }
    });
    scene("link add v0 type veth peer name v1\n link set v0 up\n link set v1 up");
    scene("address add fd00::1/64 dev v0\n link set v0 down\n link set v0 up");
    assert!(db.sync().unwrap().link("v0").is_some());
    assert!(db.refresh(["v0"]).is_ok());
    assert!(*seen.lock().unwrap());
}

fn a_message_keeps_what_is_not_changed() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let _guard = db.on_notification(Filter::default().link_kind("bridge"), |message| {
        message.set_number("mtu", 1234).unwrap();
    });
    let before = Db::open().unwrap();
    scene("link add br0 type bridge ageing_time 4200\n link property add dev br0 altname bridge0");
    // Of a link that is down, an alternative name is not announced.
    let fresh = |db: &Db| {
        db.sync().unwrap();
        db.refresh(["br0"]).unwrap()
    };
    let (edited, plain) = (fresh(&db), fresh(&before));
    let texts = |now: &netlinkdb::Snapshot| now.link("bridge0").unwrap().to_string();
    assert_eq!(texts(&edited), texts(&plain).replace("mtu 1500", "mtu 1234"));
    assert_eq!(
        edited.link("br0").unwrap().bridge().unwrap().ageing_time(),
        plain.link("br0").unwrap().bridge().unwrap().ageing_time()
    );
}

fn what_cannot_be_changed_is_refused() {
    let db = Db::open().unwrap();
    let (say, told) = mpsc::channel();
    let _guard = db.on_notification(Filter::default(), move |message| {
        let results = [
            message.set_number("no such thing", 1).is_err(),
            message.set_number("ifalias", 1).is_err(),
            message.set_text("mtu", "words").is_err(),
            message.set_number("mtu", 1 << 40).is_err(),
            message.set_text("info_kind", "bridge").is_err(),
        ];
        say.send((results, message.index(), message.to_string())).unwrap();
    });
    ip(&["link", "set", "lo", "mtu", "1300"]);
    db.sync().unwrap();
    let (results, index, text) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((results, index), ([true; 5], 1));
    assert!(text.starts_with("+ link ") && text.contains("mtu 1300"), "{text}");
    quiesce_and_compare(&db);
}

fn a_pre_callback_reads_and_can_neither_commit_nor_wait() {
    let db = Db::open().unwrap();
    let inside = db.clone();
    let (say, told) = mpsc::channel();
    let guard = db.on_notification(Filter::default(), move |_| {
        let before = inside.snapshot().link("lo").unwrap().mtu();
        let commit = inside.interface("lo").unwrap().up().commit().unwrap_err();
        let wait = inside.wait_until(PATIENCE, |_| false).is_err();
        let sync = inside.sync().is_err() && inside.resync().is_err();
        say.send((before, commit.is_refused(), wait, sync)).unwrap();
    });
    ip(&["link", "set", "lo", "mtu", "1300"]);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (65536, true, true, true));
    drop(guard);
    quiesce_and_compare(&db);
}

/// What it had done to the message before its panic stayed done.
fn a_panic_before_a_message_is_applied_lets_it_pass() {
    let db = Db::open().unwrap();
    let mut queue = db.events().unwrap();
    let _guard = db.on_notification(Filter::default(), |message| {
        // Not every message has one.
        drop(message.set_number("mtu", 1));
        message.discard();
        panic!("before")
    });
    for mtu in ["1300", "1400"] {
        ip(&["link", "set", "lo", "mtu", mtu]);
    }
    assert_eq!(db.sync().unwrap().link("lo").unwrap().mtu(), 1400);
    assert!(db.callback_panics() >= 2);
    let mut panics = Vec::new();
    while let Some(event) = queue.try_next().unwrap() {
        panics.extend(event.panic().map(str::to_owned));
    }
    assert_eq!(panics, ["before"]);
    quiesce_and_compare(&db);
}

fn a_pre_callback_takes_itself_out() {
    let db = Db::open().unwrap();
    let (own, (say, told)) = (Own::default(), mpsc::channel());
    let inside = Arc::clone(&own);
    let guard = db.on_notification(Filter::default(), move |_| {
        drop(inside.lock().unwrap().take());
        say.send(()).unwrap();
    });
    *own.lock().unwrap() = Some(guard);
    for mtu in ["1300", "1400"] {
        ip(&["link", "set", "lo", "mtu", mtu]);
        db.sync().unwrap();
    }
    told.recv_timeout(PATIENCE).unwrap();
    while told.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    quiesce_and_compare(&db);
}

fn every_kind_of_object_is_seen_before_it_is_applied() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let inside = Arc::clone(&seen);
    let _guard = db.on_notification(Filter::default(), move |message| {
        inside.lock().unwrap().insert((message.object(), message.is_removal()));
    });
    scene("link add br0 type bridge\n link set br0 up\n address add 10.0.0.1/24 dev br0");
    scene("route add 10.9.0.0/24 via 10.0.0.2\n route del 10.9.0.0/24");
    scene("address del 10.0.0.1/24 dev br0\n link del br0");
    db.sync().unwrap();
    let seen = seen.lock().unwrap();
    for kind in [ObjectKind::Link, ObjectKind::Address, ObjectKind::Route] {
        for is_removal in [false, true] {
            assert!(seen.contains(&(kind, is_removal)), "{kind:?} {is_removal}");
        }
    }
}

/// A commit is judged by the state that the database has: what is hidden has not come.
fn a_hidden_change_rolls_its_commit_back() {
    need_kind("bridge");
    let db = Db::open().unwrap();
    let lo = db.interface("lo").unwrap();
    let guard = db.on_notification(Filter::default().index(1), |message| {
        message.set_number("mtu", 65536).unwrap_or_default();
    });
    let error = lo.set_mtu(1400).commit().unwrap_err();
    assert!(!error.is_refused(), "{error}");
    drop(guard);
    db.resync().unwrap();
    let mut tx = db.begin();
    tx.create(Bridge::new("br0")).unwrap();
    tx.commit().unwrap();
    quiesce_and_compare(&db);
}

/// In a flood the reader takes the snapshot back, so that it changes the tables in place; a callback on its thread that
/// reads the snapshot then would wait for itself.
fn callbacks_read_the_snapshot_in_a_flood_of_routes() {
    const ROUTES: u32 = 40_000;
    scene("link set lo up");
    let db = Db::open().unwrap();
    let prefix = |at: u32| format!("10.{}.{}.{}/32", at >> 16, at >> 8 & 255, at & 255);
    let lines: String =
        (0..ROUTES).map(|at| format!("route add {} dev lo\n", prefix(at))).collect();
    let routes = Filter::default().objects([ObjectKind::Route]);
    let total = Arc::new(Mutex::new(0usize));
    thread::scope(|scope| {
        let writer = scope.spawn(|| batch(&lines));
        // Registered and taken out in the middle of it, again and again.
        while !writer.is_finished() {
            let (inside, total) = (db.clone(), Arc::clone(&total));
            let guard = db.on_notification(routes.clone(), move |_| {
                *total.lock().unwrap() += usize::from(inside.snapshot().link("lo").is_some());
            });
            let (say, told) = mpsc::channel();
            let after = db.on_event(routes.clone(), move |db, event| {
                let is_there = db.snapshot().revision() >= event.revision();
                say.send(is_there).unwrap_or_default();
            });
            let seen = told.recv_timeout(std::time::Duration::from_millis(20));
            assert!(seen.unwrap_or(true));
            drop((guard, after));
        }
        writer.join().unwrap();
    });
    let now = db.sync().unwrap();
    assert_eq!(now.routes().iter().count(), ROUTES as usize);
    assert!(*total.lock().unwrap() > 0, "no callback was there when a route came");
}
