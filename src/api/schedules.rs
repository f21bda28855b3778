//! The whole database in many orders of its threads, on the simulated kernel: see `sys::sync` and `sys::model`.
//!
//! Each scenario is run under a scheduler that takes a random thread at every lock, wait, atomic and socket, and under
//! one that runs a thread until it is made to stop at a few random moments, which finds what needs few but well-placed
//! ones. Both from a fixed seed. A wake-up that is lost is found as a deadlock: no wait ends by the clock.
//! `NETLINKDB_TEST_SCHEDULES=20` runs twenty times as many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, FailurePersistence, Runner};

use super::{Db, EventQueue, FreezeReport};
use crate::engine::{Event, EventOptions, Filter};
use crate::sys::model::Host;
use crate::sys::model::sim::{Op, op, route::Way};
use crate::sys::sync::{Mutex, reset_clock};

const FOR_EVER: Duration = Duration::MAX;

/// Runs a scenario in so many orders of its threads under each scheduler.
fn check(orders: usize, scenario: fn(&Host)) {
    let times = std::env::var("NETLINKDB_TEST_SCHEDULES").ok();
    let orders = orders * times.and_then(|times| times.parse().ok()).unwrap_or(1);
    let run = move || {
        reset_clock();
        let host = Host::boot(1);
        scenario(&host);
        // The last handle may have been dropped on any thread: one that never ends, or keeps a socket, is a deadlock.
        host.await_closed();
    };
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::None; // The same seed fails again.
    Runner::new(RandomScheduler::new_from_seed(1, orders), config.clone()).run(run);
    Runner::new(PctScheduler::new_from_seed(2, 3, orders), config).run(run);
}

fn open() -> Db {
    Db::builder().rules(false).nexthops(false).open().unwrap()
}

/// What another program does.
fn foreign_mtu(host: &Host, name: &str, mtu: u32) {
    let op = Op::SetMtu { name: name.to_owned(), mtu };
    host.with(|kernel| kernel.perform(&op)).unwrap();
}

fn truth(host: &Host, name: &str) -> u32 {
    host.with(|kernel| kernel.link_named(name)).map_or(0, |link| link.mtu)
}

fn mtu(now: &crate::state::Snapshot, name: &str) -> u32 {
    now.link(name).map_or(0, |link| link.mtu())
}

fn set_mtu(db: &Db, name: &str, mtu: u32) {
    let done = db.interface(name).unwrap().set_mtu(mtu).commit().unwrap();
    assert_eq!(self::mtu(done.snapshot(), name), mtu);
}

fn make(host: &Host, name: &str) {
    let op = Op::Create { name: name.to_owned(), kind: "ifb" };
    host.with(|kernel| kernel.perform(&op)).unwrap();
}

/// Follows a queue until it has told of this mtu of `lo`; what each event says was before must be what there was.
fn follow(mut queue: EventQueue, last: u32) -> JoinHandle<()> {
    let mut own = mtu(queue.snapshot(), "lo");
    thread::spawn(move || {
        while own != last {
            let event = queue.next_within(FOR_EVER).unwrap().unwrap();
            own = followed(&event, own);
            assert!(event.revision() <= queue.snapshot().revision());
        }
        assert_eq!(own, mtu(queue.snapshot(), "lo"));
    })
}

fn followed(event: &Event, mut own: u32) -> u32 {
    for change in event.changes() {
        let side = |object: Option<&crate::state::Object>| match object {
            Some(crate::state::Object::Link(link)) if link.name() == "lo" => Some(link.mtu()),
            _ => None,
        };
        if let (Some(before), Some(after)) = (side(change.before()), side(change.after())) {
            assert_eq!(before, own, "{event}");
            own = after;
        }
    }
    own
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn every_state_wakes_who_waits_for_it() {
    check(600, |host| {
        let db = open();
        let queue = follow(db.events().unwrap(), 1403);
        let waiter = {
            let db = db.clone();
            thread::spawn(move || {
                let found = db.wait_until(FOR_EVER, |now| mtu(now, "lo") == 1403).unwrap();
                assert!(found.is_some());
            })
        };
        (1401..=1403).for_each(|mtu| foreign_mtu(host, "lo", mtu));
        join([queue, waiter]);
    });
}

#[test]
fn what_was_done_before_a_fence_is_behind_it() {
    check(600, |host| {
        let db = open();
        let told = Arc::new(AtomicU32::new(0));
        let ask = |db: Db| {
            let told = Arc::clone(&told);
            thread::spawn(move || {
                for _ in 0..3 {
                    let before = told.load(Ordering::SeqCst);
                    let found = mtu(&db.sync().unwrap(), "lo");
                    assert!(found >= before, "{found} after {before}");
                }
            })
        };
        foreign_mtu(host, "lo", 1000);
        told.store(1000, Ordering::SeqCst);
        let askers = [ask(db.clone()), ask(db.clone())];
        for mtu in 1001..=1003 {
            foreign_mtu(host, "lo", mtu);
            told.store(mtu, Ordering::SeqCst);
        }
        join(askers);
        assert_eq!(mtu(&db.sync().unwrap(), "lo"), 1003);
    });
}

/// Who waits for a fence shows the state in the reader's place, and says that nothing waits only when it is shown: whoever
/// asks then is given it without a fence. Said before that, what they were given was older than their question.
#[test]
fn that_nothing_waits_is_said_when_all_is_shown() {
    check(1000, |host| {
        let db = open();
        let told = Arc::new(AtomicU32::new(0));
        let asker = {
            let (db, told) = (db.clone(), Arc::clone(&told));
            thread::spawn(move || {
                for _ in 0..12 {
                    let before = told.load(Ordering::SeqCst);
                    let found = mtu(&db.sync().unwrap(), "lo");
                    assert!(found >= before, "{found} after {before}");
                }
            })
        };
        for mtu in 1001..=1006 {
            foreign_mtu(host, "lo", mtu);
            told.store(mtu, Ordering::SeqCst);
            assert_eq!(self::mtu(&db.sync().unwrap(), "lo"), mtu);
        }
        join([asker]);
    });
}

#[test]
fn commits_of_many_threads_hold_and_are_told_in_order() {
    check(250, |host| {
        make(host, "one");
        make(host, "two");
        let db = open();
        let hook = db.on_commit(|now, _| match now.link("lo") {
            Some(_) => Ok(()),
            None => Err("there is a loopback"),
        });
        let queue = follow(db.events().unwrap(), 1402);
        let committers = ["one", "two"].map(|name| {
            let db = db.clone();
            thread::spawn(move || (1300..1302).for_each(|mtu| set_mtu(&db, name, mtu)))
        });
        (1401..=1402).for_each(|mtu| foreign_mtu(host, "lo", mtu));
        join(committers);
        join([queue]);
        drop(hook);
        let now = db.sync().unwrap();
        for name in ["one", "two", "lo"] {
            assert_eq!(mtu(&now, name), truth(host, name));
        }
    });
}

#[test]
fn a_loss_is_repaired_under_everybodys_feet() {
    check(300, |host| {
        make(host, "one");
        let db = open();
        let queue = follow(db.events_with(EventOptions::default().capacity(1)).unwrap(), 1403);
        let committer = {
            let db = db.clone();
            thread::spawn(move || set_mtu(&db, "one", 1300))
        };
        foreign_mtu(host, "lo", 1401);
        host.overrun();
        foreign_mtu(host, "lo", 1402);
        foreign_mtu(host, "lo", 1403);
        assert_eq!(mtu(&db.resync().unwrap(), "lo"), 1403);
        join([queue, committer]);
        assert_eq!(mtu(&db.sync().unwrap(), "one"), 1300);
        assert!(db.losses().resyncs >= 2);
    });
}

/// Routes come in floods, in which the reader takes the snapshot back: who wants it meanwhile gets it, also on the
/// reader's own thread.
#[test]
fn a_state_that_was_taken_back_is_there_for_whoever_asks() {
    check(200, |host| {
        let up = Op::Up { name: "lo".to_owned() };
        host.with(|kernel| kernel.perform(&up)).unwrap();
        let db = open();
        let flood = |first: u8, last: u8| {
            host.with(|kernel| {
                for n in first..last {
                    let way = Way { oif: 1, ..Way::default() };
                    let wanted = op::route(24, 0x600, &[10, n, 0, 0], 16, &[way], (254, 0, 0));
                    kernel.foreign(&wanted).pop().unwrap().unwrap();
                }
            });
        };
        let count = |now: &crate::state::Snapshot| now.routes().iter().count();
        let first = count(&db.sync().unwrap());
        let asker = {
            let db = db.clone();
            thread::spawn(move || {
                let mut seen = 0;
                while seen < first + 40 {
                    let now = db.snapshot();
                    assert!(count(&now) >= seen && now.link("lo").is_some());
                    seen = count(&now);
                    if seen < first + 40 {
                        let newer = |now: &crate::state::Snapshot| count(now) > seen;
                        assert!(db.wait_until(FOR_EVER, newer).unwrap().is_some());
                    }
                }
            })
        };
        flood(0, 20);
        let (own, seen) = (db.clone(), Arc::new(AtomicU32::new(0)));
        let told = Arc::clone(&seen);
        let sieve = db.on_notification(Filter::default(), move |_| {
            assert!(own.snapshot().link("lo").is_some());
            told.fetch_add(1, Ordering::SeqCst);
        });
        flood(20, 40);
        assert_eq!(count(&db.sync().unwrap()), first + 40);
        join([asker]);
        drop(sieve);
        assert!(seen.load(Ordering::SeqCst) >= 20, "each that came after it was registered");
        assert_eq!(db.callback_panics(), 0);
    });
}

#[test]
fn a_freeze_undoes_and_ends_while_others_go_on() {
    check(150, |host| {
        make(host, "one");
        make(host, "two");
        let db = open();
        set_mtu(&db, "one", 1300);
        let frozen = db.interface("one").unwrap().freeze().unwrap();
        let other = db.interface("two").unwrap().freeze().unwrap();
        let committer = {
            let db = db.clone();
            thread::spawn(move || set_mtu(&db, "two", 1310))
        };
        foreign_mtu(host, "one", 1400);
        let told = frozen.next_within(FOR_EVER).unwrap();
        assert!(matches!(told, FreezeReport::Reverted(_)), "{told}");
        assert_eq!(truth(host, "one"), 1300);
        let thawing = thread::spawn(move || drop(frozen.thaw()));
        foreign_mtu(host, "one", 1401);
        join([thawing, committer]);
        foreign_mtu(host, "one", 1402);
        assert_eq!(mtu(&db.sync().unwrap(), "one"), 1402);
        assert_eq!(truth(host, "two"), 1310);
        assert_eq!(other.thaw().failed(), 0);
    });
}

/// The last handle goes on the thread of whoever reads the kernel's messages, or on that which has opened it.
#[test]
fn the_end_comes_on_the_readers_own_thread() {
    check(300, |host| {
        let db = open();
        let last = Arc::new(Mutex::new(Some(db.clone())));
        db.on_notification(Filter::default(), move |_| drop(last.lock().take())).keep();
        foreign_mtu(host, "lo", 1401);
        drop(db);
    });
}

/// The last handle goes while a commit is under way, on its thread or on that of the callbacks.
#[test]
fn the_end_comes_on_any_thread() {
    check(300, |host| {
        make(host, "one");
        make(host, "two");
        let db = open();
        db.on_event(Filter::default(), |db, event| {
            if event.to_string().contains("1401") {
                set_mtu(db, "two", 1300);
            }
        })
        .unwrap()
        .keep();
        let mut queue = db.events().unwrap();
        let reader = thread::spawn(move || drop(queue.next_within(FOR_EVER).unwrap()));
        let committer = {
            let db = db.clone();
            thread::spawn(move || set_mtu(&db, "one", 1301))
        };
        let frozen = db.interface("lo").unwrap().freeze().unwrap();
        foreign_mtu(host, "lo", 1401);
        drop(db);
        drop(frozen);
        join([committer, reader]);
    });
}

/// The kernel cannot be reached any more: everybody who waits is told, and the end comes as ever.
#[test]
fn nobody_waits_for_what_is_broken() {
    check(300, |host| {
        make(host, "one");
        let db = open();
        let mut queue = db.events().unwrap();
        db.on_event(Filter::default(), |_, _| {}).unwrap().keep();
        let frozen = db.interface("one").unwrap().freeze().unwrap();
        let waiting = [
            thread::spawn(move || while queue.next_within(FOR_EVER).is_ok() {}),
            {
                let db = db.clone();
                thread::spawn(move || assert!(db.wait_until(FOR_EVER, |_| false).is_err()))
            },
            {
                let db = db.clone();
                thread::spawn(move || {
                    while db.sync().is_ok() {
                        thread::yield_now()
                    }
                })
            },
            {
                let db = db.clone();
                thread::spawn(move || drop(db.interface("lo").unwrap().set_mtu(1400).commit()))
            },
        ];
        foreign_mtu(host, "one", 1400);
        host.break_down();
        join(waiting);
        drop(frozen);
        assert!(db.sync().is_err());
        assert!(db.snapshot().link("lo").is_some());
    });
}

#[test]
fn a_commit_is_confirmed_or_taken_back_whoever_speaks_first() {
    check(150, |host| {
        make(host, "one");
        make(host, "two");
        let db = open();
        let pending = |name: &str, mtu: u32| {
            let tx = db.interface(name).unwrap().set_mtu(mtu).into_transaction();
            tx.commit_confirmed(FOR_EVER).unwrap()
        };
        let (one, two) = (pending("one", 1300), pending("two", 1310));
        let confirming = thread::spawn(move || drop(one.confirm().unwrap()));
        let dropping = thread::spawn(move || drop(two));
        foreign_mtu(host, "lo", 1401);
        join([confirming, dropping]);
        let now = db.sync().unwrap();
        assert_eq!((mtu(&now, "one"), mtu(&now, "two"), mtu(&now, "lo")), (1300, 1500, 1401));
    });
}
