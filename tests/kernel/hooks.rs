//! Commit hooks: what is asked when everything was found as wanted, and before it holds.

use crate::support::{PATIENCE, ip, quiesce_and_compare, resync_and_compare};
use netlinkdb::{Bridge, Db, Ending, Object, Snapshot, Veth};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

crate::cases![
    commit_hook_positive,
    commit_hook_negative,
    callback_positive,
    callback_negative,
    hooks_are_asked_in_order_and_once,
    nobody_is_asked_after_a_refusal_and_never_in_a_rollback,
    a_hook_sees_the_new_state_and_what_has_changed,
    a_panic_of_a_hook_rolls_back,
    a_hook_that_does_not_end_rolls_back_and_is_named,
    the_deadline_is_of_the_transaction_before_that_of_the_database,
    a_hook_may_read_and_wait_and_run_commands,
    a_hook_may_not_commit_on_the_same_database,
    a_hook_may_commit_on_another_database_but_not_around_a_corner,
    a_thread_of_a_hook_that_commits_gets_its_turn_after_the_deadline,
    a_hook_that_is_taken_out_is_asked_no_more,
    a_hook_takes_itself_out,
    a_mended_transaction_asks_its_hooks_again,
    an_empty_transaction_asks_its_hooks,
    what_a_hook_has_done_by_commands_survives_the_rollback,
    hooks_leave_no_thread_behind,
];

type Told = Arc<Mutex<Vec<&'static str>>>;

/// A hook that says that it was asked, and is content.
fn tell(
    told: &Told,
    what: &'static str,
) -> impl Fn(&Snapshot, &netlinkdb::Diff) -> Result<(), String> + use<> {
    let told = Arc::clone(told);
    move |_, _| {
        told.lock().unwrap().push(what);
        Ok(())
    }
}

fn never(_: &Snapshot, _: &netlinkdb::Diff) -> Result<(), &'static str> {
    Err("never")
}

fn is_up(db: &Db) -> bool {
    db.sync().unwrap().link("lo").unwrap().is_up()
}

/// The hook adds a second address by a request of its own; both are there.
fn commit_hook_positive() {
    let db = Db::open().unwrap();
    let _hook = db.on_commit(|now, _| {
        let added = now.addresses().any(|address| address.prefix() == "172.16.22.1/24");
        ip(&["address", "add", "172.16.21.1/24", "dev", "lo"]);
        added.then_some(()).ok_or("the address is not there yet")
    });
    db.interface("lo").unwrap().add_ip("172.16.22.1/24").unwrap().commit().unwrap();
    let now = quiesce_and_compare(&db);
    let ours: Vec<_> = now.addresses().map(|address| address.prefix().to_string()).collect();
    assert_eq!(ours, ["172.16.21.1/24", "172.16.22.1/24"]);
}

/// The hook fails, and nothing is left.
fn commit_hook_negative() {
    let db = Db::open().unwrap();
    let before = db.snapshot();
    let _hook = db.on_commit(never);
    let mut tx = db.begin();
    let v0 = tx.create(Veth::new("v0", "v1")).unwrap();
    tx.interface(&v0).add_ip("172.16.22.1/24").unwrap().up();
    let error = tx.commit().unwrap_err();
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}");
    assert!(error.is_hook() && error.to_string().contains("never"), "{error}");
    assert!(error.step().unwrap().starts_with("commit hook 1 of the database ("), "{error}");
    assert!(error.step().unwrap().contains("hooks.rs:"), "{error}");
    assert!(before.diff(&resync_and_compare(&db)).is_empty());
}

/// The same of a hook of one transaction.
fn callback_positive() {
    let db = Db::open().unwrap();
    let told = Told::default();
    let lo = db.interface("lo").unwrap();
    lo.up().on_commit(tell(&told, "asked")).commit().unwrap();
    assert!(is_up(&db));
    lo.set_mtu(1400).commit().unwrap();
    assert_eq!(*told.lock().unwrap(), ["asked"]);
}

fn callback_negative() {
    let db = Db::open().unwrap();
    let error = db.interface("lo").unwrap().up().on_commit(never).commit().unwrap_err();
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    assert!(error.step().unwrap().starts_with("commit hook 1 of the transaction ("), "{error}");
    assert!(!is_up(&db));
    quiesce_and_compare(&db);
}

fn hooks_are_asked_in_order_and_once() {
    let db = Db::open().unwrap();
    let told = Told::default();
    let _guards = ["first", "second"].map(|name| db.on_commit(tell(&told, name)));
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(tell(&told, "third")).on_commit(tell(&told, "fourth"));
    tx.commit().unwrap();
    assert_eq!(*told.lock().unwrap(), ["first", "second", "third", "fourth"]);
}

/// The ancestor asked its hooks in the rollback too: one that always fails made the rollback fail, and the cause was
/// lost.
fn nobody_is_asked_after_a_refusal_and_never_in_a_rollback() {
    let db = Db::open().unwrap();
    let told = Told::default();
    let _first = db.on_commit(tell(&told, "first"));
    let refusing = Arc::clone(&told);
    let _second = db.on_commit(move |_, _| {
        refusing.lock().unwrap().push("second");
        Err("no")
    });
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(tell(&told, "third"));
    let error = tx.commit().unwrap_err();
    assert!(error.step().unwrap().starts_with("commit hook 2 of the database ("), "{error}");
    assert_eq!(*told.lock().unwrap(), ["first", "second"]);
    assert!(!is_up(&db));
    // Nor when the kernel refuses.
    told.lock().unwrap().clear();
    let mut tx = db.begin();
    tx.interface("lo").set_address("01:00:5e:00:00:01".parse().unwrap());
    assert!(!tx.commit().unwrap_err().is_hook());
    assert!(told.lock().unwrap().is_empty());
}

fn a_hook_sees_the_new_state_and_what_has_changed() {
    let db = Db::open().unwrap();
    let (say, seen) = mpsc::channel();
    let mut tx = db.begin();
    tx.create(Bridge::new("br0")).unwrap();
    tx.interface("lo").up();
    tx.on_commit(move |now, delta| {
        let came = |change: &netlinkdb::Change| match change.after() {
            Some(Object::Link(link)) => Some((link.name().to_owned(), change.before().is_none())),
            _ => None,
        };
        let links: Vec<_> = delta.changes().iter().filter_map(came).collect();
        say.send((now.revision(), links)).map_err(|_| "nobody listens")
    });
    let base = tx.base().revision();
    let done = tx.commit().unwrap();
    let (revision, links) = seen.recv().unwrap();
    assert!(revision > base && revision <= done.snapshot().revision());
    assert_eq!(links, [("lo".to_owned(), false), ("br0".to_owned(), true)]);
}

fn a_panic_of_a_hook_rolls_back() {
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(|_, _| -> Result<(), String> { panic!("{} words", 2) });
    let error = tx.commit().unwrap_err();
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    assert!(error.to_string().contains("it panicked: 2 words"), "{error}");
    assert!(!is_up(&db));
    // The next one is as good as any.
    db.interface("lo").unwrap().up().commit().unwrap();
    quiesce_and_compare(&db);
}

fn a_hook_that_does_not_end_rolls_back_and_is_named() {
    let db = Db::builder().hook_deadline(Duration::from_millis(30)).open().unwrap();
    let (end, until) = mpsc::channel::<()>();
    let until = Mutex::new(until);
    let (say, ended) = mpsc::channel();
    let asked = Told::default();
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(move |_, _| -> Result<(), String> {
        let end = until.lock().unwrap().recv();
        say.send(end.is_err()).unwrap();
        Ok(())
    });
    tx.on_commit(tell(&asked, "after it"));
    let error = tx.commit().unwrap_err();
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    assert!(error.to_string().contains("did not end within 0.03 s"), "{error}");
    assert!(error.step().unwrap().starts_with("commit hook 1 of the transaction ("));
    assert!(!is_up(&db));
    // It still runs, and others commit meanwhile.
    db.interface("lo").unwrap().up().commit().unwrap();
    drop(end);
    assert!(ended.recv_timeout(PATIENCE).unwrap());
    assert!(asked.lock().unwrap().is_empty());
    quiesce_and_compare(&db);
}

fn the_deadline_is_of_the_transaction_before_that_of_the_database() {
    let db = Db::builder().hook_deadline(Duration::MAX).open().unwrap();
    let (end, until) = mpsc::channel::<()>();
    let until = Mutex::new(until);
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.hook_deadline(Duration::ZERO);
    tx.on_commit(move |_, _| -> Result<(), String> {
        until.lock().unwrap().recv().unwrap_err();
        Ok(())
    });
    assert!(tx.commit().unwrap_err().is_hook());
    drop(end);
    let lo = db.interface("lo").unwrap();
    lo.up().on_commit(|_, _| Ok::<(), String>(())).commit().unwrap();
}

fn a_hook_may_read_and_wait_and_run_commands() {
    let db = Db::open().unwrap();
    let inside = db.clone();
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(move |now, _| -> netlinkdb::Result<()> {
        assert!(now.link("lo").unwrap().is_up());
        ip(&["link", "set", "dev", "lo", "mtu", "1234"]);
        assert_eq!(inside.sync()?.link("lo").unwrap().mtu(), 1234);
        inside.refresh(["lo"])?;
        inside.resync()?;
        let wide = |now: &Snapshot| now.link("lo").unwrap().mtu() == 1234;
        assert!(inside.wait_until(PATIENCE, wide)?.is_some());
        Ok(())
    });
    tx.commit().unwrap();
    quiesce_and_compare(&db);
}

/// Refused, never a deadlock: and the hook may live with it.
fn a_hook_may_not_commit_on_the_same_database() {
    let db = Db::open().unwrap();
    let inside = db.clone();
    let start = Instant::now();
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(move |_, _| {
        let error = inside.interface("lo").unwrap().set_mtu(1400).commit().unwrap_err();
        assert!(error.is_refused() && matches!(error.ending(), Ending::Refused), "{error}");
        assert!(error.to_string().contains("a commit from a commit hook"), "{error}");
        Ok::<(), String>(())
    });
    tx.commit().unwrap();
    assert!(start.elapsed() < PATIENCE);
    assert!(is_up(&db));
}

fn a_hook_may_commit_on_another_database_but_not_around_a_corner() {
    let (one, other) = (Db::open().unwrap(), Db::open().unwrap());
    let corner = one.clone();
    let _around =
        other.on_commit(move |_, _| match corner.interface("lo").unwrap().up().commit() {
            Err(error) if error.is_refused() => Ok(()),
            ended => Err(format!("{ended:?}")),
        });
    let mut tx = one.begin();
    tx.interface("lo").set_mtu(1300);
    tx.on_commit(move |_, _| other.interface("lo").unwrap().set_txqlen(77).commit().map(drop));
    tx.commit().unwrap();
    let now = quiesce_and_compare(&one);
    let lo = now.link("lo").unwrap();
    assert_eq!((lo.mtu(), lo.txqlen(), lo.is_up()), (1300, 77, false));
}

/// It is not told from anybody else's commit, and so waits; and the hook waits for it, but not for ever.
fn a_thread_of_a_hook_that_commits_gets_its_turn_after_the_deadline() {
    let db = Db::builder().hook_deadline(Duration::from_millis(50)).open().unwrap();
    let (inside, (say, ended)) = (db.clone(), mpsc::channel());
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(move |_, _| -> Result<(), String> {
        let other = inside.clone();
        let commit = move || other.interface("lo").unwrap().set_mtu(1400).commit().map(drop);
        let committed = thread::spawn(commit).join().unwrap();
        say.send(committed.is_ok()).unwrap();
        Ok(())
    });
    let error = tx.commit().unwrap_err();
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    assert!(ended.recv_timeout(PATIENCE).unwrap());
    let now = quiesce_and_compare(&db);
    let lo = now.link("lo").unwrap();
    assert_eq!((lo.mtu(), lo.is_up()), (1400, false));
}

fn a_hook_that_is_taken_out_is_asked_no_more() {
    let db = Db::open().unwrap();
    let told = Told::default();
    let first = db.on_commit(tell(&told, "first"));
    db.on_commit(tell(&told, "kept")).keep();
    let lo = db.interface("lo").unwrap();
    lo.up().commit().unwrap();
    drop(first);
    lo.down().commit().unwrap();
    assert_eq!(*told.lock().unwrap(), ["first", "kept", "kept"]);
}

fn a_hook_takes_itself_out() {
    let db = Db::open().unwrap();
    let own = Arc::new(Mutex::new(None));
    let (inside, asked) = (Arc::clone(&own), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&asked);
    let registration = db.on_commit(move |_, _| {
        count.fetch_add(1, SeqCst);
        drop(inside.lock().unwrap().take());
        Ok::<(), String>(())
    });
    *own.lock().unwrap() = Some(registration);
    let lo = db.interface("lo").unwrap();
    lo.up().commit().unwrap();
    lo.down().commit().unwrap();
    assert_eq!(asked.load(SeqCst), 1);
}

fn a_mended_transaction_asks_its_hooks_again() {
    let db = Db::open().unwrap();
    let narrow = |now: &Snapshot, _: &netlinkdb::Diff| match now.link("lo").unwrap().mtu() {
        mtu if mtu < 1500 => Ok(()),
        mtu => Err(format!("{mtu} is too much")),
    };
    let mut tx = db.begin();
    tx.interface("lo").set_mtu(1600).up();
    tx.on_commit(narrow);
    let error = tx.commit().unwrap_err();
    assert!(error.is_hook(), "{error}");
    let mut tx = error.into_transaction();
    tx.interface("lo").set_mtu(1400);
    tx.commit().unwrap();
    assert_eq!(quiesce_and_compare(&db).link("lo").unwrap().mtu(), 1400);
}

fn an_empty_transaction_asks_its_hooks() {
    let db = Db::open().unwrap();
    let told = Told::default();
    let mut tx = db.begin();
    tx.on_commit(tell(&told, "asked"));
    tx.commit().unwrap();
    let mut tx = db.begin();
    tx.on_commit(never);
    assert!(tx.commit().unwrap_err().is_rolled_back());
    assert_eq!(*told.lock().unwrap(), ["asked"]);
}

/// P4: a rollback undoes what the transaction did, and a hook's commands are another program's.
fn what_a_hook_has_done_by_commands_survives_the_rollback() {
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    tx.interface("lo").up();
    tx.on_commit(|_, _| {
        ip(&["link", "set", "dev", "lo", "mtu", "1234"]);
        Err("no")
    });
    assert!(tx.commit().unwrap_err().is_rolled_back());
    let now = quiesce_and_compare(&db);
    let lo = now.link("lo").unwrap();
    assert_eq!((lo.mtu(), lo.is_up()), (1234, false));
}

fn hooks_leave_no_thread_behind() {
    let db = Db::open().unwrap();
    let _hook = db.on_commit(|_, _| Ok::<(), String>(()));
    let (say, threads) = mpsc::channel();
    let say = Mutex::new(say);
    let _other = db.on_commit(move |_, _| say.lock().unwrap().send(this_thread()));
    let lo = db.interface("lo").unwrap();
    for mtu in 1400..1450 {
        lo.set_mtu(mtu).commit().unwrap();
        let thread = threads.recv().unwrap();
        // A thread that has been joined may still be ending.
        let (own, start) = (std::path::Path::new("/proc/self/task").join(thread), Instant::now());
        while own.exists() {
            assert!(start.elapsed() < PATIENCE, "{own:?}");
            thread::yield_now();
        }
    }
}

/// Its number, as in `/proc/self/task`.
fn this_thread() -> String {
    let own = std::fs::read_link("/proc/thread-self").expect("/proc");
    own.file_name().expect("a number").to_string_lossy().into_owned()
}
