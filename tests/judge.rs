//! The judge: schedules from a seed that mix, on one simulated kernel, everything that can happen to a database.
//!
//! Several databases commit, also in the middle of each other's commits; their hooks refuse, panic and are late; their
//! callbacks panic, before what they see is applied and after; they hold things fast, and other programs change them;
//! requests are refused, answers and notifications lost, sockets overrun; processes are killed at any request and another
//! one recovers, itself killed too; interfaces vanish; clocks jump. For every seed:
//!
//! - P1: at rest each database shows what a new one reads.
//! - P2: a commit that ends *committed* has made of the kernel what the same commit makes of a twin of it without any
//!   fault; one that is *rolled back* has left it as it was; a *torn* one tells exactly what it has left.
//! - P3: what is refused has sent nothing.
//! - P4: interfaces of others, changed in the middle of a commit, are as these others have left them.
//! - P5: no step waits by a clock: there is none. P6: every loss is counted, and repaired by reading everything anew.
//! - Of hooks each is asked once, none behind one that is not content, and that one is the cause by name. A callback that
//!   panics is told of once, and leaves no trace in what is shown: that is what others of its kind make of it.
//! - A freeze gives what it holds back, or says why not, and comes to rest: it neither spins nor sleeps over a pause.
//! - No machine asks for ever (deadlock), and no socket or question is left over (leak).
//!
//! `NETLINKDB_SEEDS=n` plays so many seeds, `NETLINKDB_SEED=x` that one alone, exactly as it was.

#[path = "support/drive/mod.rs"]
mod drive;
#[path = "support/sim/mod.rs"]
mod sim;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drive::callers::{Callers, throw};
use drive::judge::{self, Difference, Truth};
use drive::scenario::{SCENARIOS, Scenario, at, furnished};
use drive::{Driver, ROOMY, announced};
use netlinkdb::internals::engine::Hook;
use netlinkdb::internals::plan::{Holds, Outcome, Refusal, Round, Trouble, Undone, Why, Word};
use netlinkdb::{Notification, Selection};
use sim::rng::Rng;
use sim::{Kernel, Op};

/// Seeds that are played unless something else is said.
const SEEDS: u64 = 2_000;

/// What befalls the databases in one schedule.
const STEPS: usize = 3;

/// Interfaces that only other programs change, and one that only the second database does.
const OTHERS: &str = "w0";
const SECONDS: &str = "z0";

/// Errors that the kernel gives without having done anything, and that no commit takes for success.
const ERRNOS: &[i32] = &[libc::EPERM, libc::EBUSY, libc::EINVAL, libc::ENOBUFS];

#[test]
fn every_schedule_keeps_the_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("NETLINKDB_SEED") {
        println!("{:?}", Schedule::new(seed).play());
        return;
    }
    let seeds = number("NETLINKDB_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seen = std::thread::scope(|scope| {
        let play = || {
            let mut seen = Seen::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return seen;
                }
                seen.add(&Schedule::new(seed).play());
            }
        };
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        let mut all = Seen::default();
        players.into_iter().for_each(|player| all.add(&player.join().expect("a seed failed")));
        all
    });
    println!("{seeds} seeds: {seen:?}");
    // A judge before whom nothing is brought proves nothing.
    if seeds >= SEEDS {
        let lacks: Vec<_> = seen.0.iter().filter(|(_, times)| **times < 10).collect();
        assert!(lacks.is_empty() && seen.0.len() == Seen::WORDS.len(), "too seldom: {seen:?}");
    }
}

/// How often what has happened.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    const WORDS: &[&str] = &[
        "committed",
        "rolled back",
        "torn",
        "refused",
        "twin",
        "killed",
        "killed again",
        "nested",
        "others",
        "reverted",
        "contested",
        "not reverted",
        "held",
        "overrun",
        "jump",
        "vanished",
        "hook refused",
        "hook panicked",
        "hook late",
        "callback panicked",
    ];

    fn note(&mut self, what: &'static str) {
        assert!(Seen::WORDS.contains(&what), "{what}");
        *self.0.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: &Seen) {
        other.0.iter().for_each(|(what, times)| *self.0.entry(what).or_default() += times);
    }
}

/// One of the databases on the kernel, and what it holds fast.
struct Database {
    driver: Rc<RefCell<Driver>>,
    holds: Holds,
    /// What the mtus of the interfaces of others were to each freeze of everything.
    held: BTreeMap<u64, [u32; 2]>,
    /// Callbacks, some of which panic.
    guests: Option<Guests>,
}

impl Database {
    fn open(kernel: &mut Kernel, rng: &mut Rng) -> Database {
        let capacity = [30_000, 212_992, ROOMY][rng.below(3)];
        let guests = (rng.below(8) == 0).then(|| Guests::new(rng));
        let callers = guests.as_ref().map(Guests::callers).unwrap_or_default();
        let mut driver = Driver::open_with(kernel, capacity, callers);
        driver.together = [1, 4, 32][rng.below(3)];
        driver.pace = rng.below(4);
        Database {
            driver: Rc::new(RefCell::new(driver)),
            holds: Holds::default(),
            held: BTreeMap::new(),
            guests,
        }
    }
}

/// Callbacks of a database. What those do that panic must not show, and must keep nothing from the others.
struct Guests {
    /// Every how many messages, and every how many events, one panics.
    every: [u64; 2],
    thrown: Arc<AtomicU64>,
    /// What the one has been told that sees every event.
    seen: Arc<AtomicU64>,
    panics_seen: Arc<AtomicU64>,
}

impl Guests {
    const BEFORE: &str = "before it is applied";
    const AFTER: &str = "after it is shown";

    fn new(rng: &mut Rng) -> Guests {
        let every = [1 + rng.below(5) as u64, 1 + rng.below(5) as u64];
        let (thrown, seen, panics_seen) = (Arc::default(), Arc::default(), Arc::default());
        Guests { every, thrown, seen, panics_seen }
    }

    fn callers(&self) -> Callers {
        let mut callers = Callers::default();
        // What is changed stays changed, whoever panics before it and behind it.
        callers.on_notification(true, |message| regroup(message, 77));
        let (every, thrown, mut nth) = (self.every[0], Arc::clone(&self.thrown), 0);
        callers.on_notification(false, move |message| {
            nth += 1;
            if nth % every == 0 {
                mess_up(message, nth % 2 == 0);
                thrown.fetch_add(1, Ordering::SeqCst);
                throw(Guests::BEFORE);
            }
        });
        callers.on_notification(true, |message| {
            let group = message.number("group").unwrap_or(0);
            regroup(message, group + 1);
        });
        let (every, thrown, mut nth) = (self.every[1], Arc::clone(&self.thrown), 0);
        callers.on_event(move |_| {
            nth += 1;
            if nth % every == 0 {
                thrown.fetch_add(1, Ordering::SeqCst);
                throw(Guests::AFTER);
            }
        });
        let (seen, panics) = (Arc::clone(&self.seen), Arc::clone(&self.panics_seen));
        callers.on_event(move |event| {
            seen.fetch_add(1, Ordering::SeqCst);
            panics.fetch_add(u64::from(event.panic().is_some()), Ordering::SeqCst);
        });
        callers
    }

    /// P6: each panic is counted, and told once for each callback; nobody else has missed anything.
    fn judge(&self, driver: &mut Driver, seen: &mut Seen) {
        driver.callers.call_posts();
        let callers = &driver.callers;
        let count = |of: &Arc<AtomicU64>| of.load(Ordering::SeqCst);
        assert_eq!(count(&callers.panics), count(&self.thrown), "panics, counted and thrown");
        let told: BTreeSet<_> = callers.told.iter().collect();
        assert_eq!(told.len(), callers.told.len(), "told more than once: {:?}", callers.told);
        assert_eq!(told.is_empty(), count(&self.thrown) == 0, "{told:?}");
        assert_eq!(count(&self.seen), callers.given(), "events, seen and given");
        assert_eq!(count(&self.panics_seen), told.len() as u64, "panics, told and seen");
        let w0 = driver.snapshot().link(OTHERS).map(netlinkdb::Link::group);
        assert_eq!(w0, Some(78), "what other callbacks have changed");
        let events_lead_to = callers.seen().map(|state| state.diff(driver.snapshot()).len());
        assert_eq!(events_lead_to, Some(0), "what the events lead to, and what is shown");
        if !told.is_empty() {
            seen.note("callback panicked");
        }
    }
}

/// Others than databases look at this interface alone, and at everything of it but this.
fn regroup(message: &mut Notification, group: u64) {
    if message.text("ifname") == Some(OTHERS) {
        message.set_number("group", group).expect("an attribute of an interface");
    }
}

/// All that can be done to a message by whoever panics then.
fn mess_up(message: &mut Notification, discards: bool) {
    for attribute in
        ["index", "mtu", "group", "flags", "prefixlen", "oif", "priority", "table", "id"]
    {
        // Not every message has every one of them.
        drop(message.set_number(attribute, 3));
    }
    for attribute in ["ifname", "ifalias", "label"] {
        drop(message.set_text(attribute, "never"));
    }
    if discards {
        message.discard();
    }
}

/// The hooks of one commit, of which one may not be content.
struct Hooked {
    /// How many there are: those of the database, and of the transaction.
    many: [usize; 2],
    /// Which is not content, and how it says so.
    bad: Option<(usize, Manner)>,
    calls: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    Refuses,
    Panics,
    /// It is content, but too late.
    Late,
}

impl Hooked {
    fn new(rng: &mut Rng) -> Hooked {
        let many = [rng.below(3), rng.below(3)];
        let all = many[0] + many[1];
        let manner = [Manner::Refuses, Manner::Panics, Manner::Late][rng.below(3)];
        let bad = (all > 0 && rng.below(2) == 0).then(|| (rng.below(all), manner));
        Hooked { many, bad, calls: Arc::default() }
    }

    fn bring_to(&self, driver: &mut Driver) {
        let callers = &mut driver.callers;
        let too_long = u64::try_from(callers.deadline.as_micros()).expect("not for ever") + 1;
        let hook = |nth: usize| {
            let (calls, clock) = (Arc::clone(&self.calls), Arc::clone(&callers.clock));
            let manner = self.bad.filter(|(bad, _)| *bad == nth).map(|(_, manner)| manner);
            Hook::new(Location::caller(), move |_, _| {
                calls.lock().expect("nobody panics with it").push(nth);
                let takes =
                    if matches!(manner, Some(Manner::Late)) { too_long } else { too_long - 1 };
                clock.fetch_add(takes, Ordering::SeqCst);
                match manner {
                    Some(Manner::Refuses) => Err("no".to_owned()),
                    Some(Manner::Panics) => throw("of a hook"),
                    Some(Manner::Late) | None => Ok(()),
                }
            })
        };
        let all: Vec<_> = (0..self.many[0] + self.many[1]).map(hook).collect();
        let (database, own) = all.split_at(self.many[0]);
        (callers.database, callers.own) = (database.to_vec(), own.to_vec());
    }

    fn leave(&self, driver: &mut Driver) {
        driver.callers.database.clear();
        driver.callers.own.clear();
    }

    /// Each is asked once and in order, none behind one that is not content, and that one is the cause by name.
    fn judge(&self, outcome: &Result<Outcome, Refusal>, is_same: bool, seen: &mut Seen) {
        let calls = self.calls.lock().expect("nobody panics with it");
        assert!(calls.iter().copied().eq(0..calls.len()), "asked: {calls:?}");
        let Some((at, manner)) = self.bad.filter(|(at, _)| *at < calls.len()) else {
            let committed = matches!(outcome, Ok(Outcome::Committed { .. }));
            let all = calls.len() == self.many[0] + self.many[1];
            assert!(!committed || all || calls.is_empty() && is_same, "not asked: {calls:?}");
            return;
        };
        assert_eq!(calls.len(), at + 1, "asked after one was not content");
        let Ok(Outcome::RolledBack { cause, .. } | Outcome::Torn { cause, .. }) = outcome else {
            panic!("{} although a hook was not content", brief(outcome));
        };
        let name = match at.checked_sub(self.many[0]) {
            None => format!("commit hook {} of the database", at + 1),
            Some(own) => format!("commit hook {} of the transaction", own + 1),
        };
        let (words, told) = match manner {
            Manner::Refuses => ("no", "hook refused"),
            Manner::Panics => ("it panicked: of a hook", "hook panicked"),
            Manner::Late => ("it did not end within 0.5 s, and may still run", "hook late"),
        };
        assert!(cause.step.starts_with(&name), "{name}: {cause}");
        assert!(matches!(&cause.why, Why::Hook(own) if own == words), "{words}: {cause}");
        seen.note(told);
    }
}

/// What has been done, for the one who reads of a failure.
struct Story {
    seed: u64,
    lines: Vec<String>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("NETLINKDB_SEED={} fails:\n  {}", self.seed, self.lines.join("\n  "));
        }
    }
}

struct Schedule {
    story: Story,
    seen: Seen,
    rng: Rng,
    kernel: Kernel,
    databases: Vec<Database>,
    clock: Duration,
    /// What is to be so of the interfaces that only others change.
    mtu: Rc<Cell<u32>>,
    seconds_mtu: u32,
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37).wrapping_add(7));
        let mut kernel = furnished(seed, rng.below(2) == 0);
        kernel.sysctl().keep_addr_on_down = rng.below(4) == 0;
        for name in [OTHERS, SECONDS] {
            let op = Op::Create { name: name.to_owned(), kind: "ifb" };
            kernel.perform(&op).expect("a name that is free");
        }
        let databases = (0..2).map(|_| Database::open(&mut kernel, &mut rng)).collect();
        let story = Story { seed, lines: Vec::new() };
        let (seen, mtu) = (Seen::default(), Rc::new(Cell::new(1500)));
        let clock = Duration::from_secs(1);
        Schedule { story, seen, rng, kernel, databases, clock, mtu, seconds_mtu: 1500 }
    }

    fn tell(&mut self, line: impl fmt::Display) {
        self.story.lines.push(line.to_string());
    }

    fn play(mut self) -> Seen {
        for _ in 0..STEPS {
            match self.rng.below(8) {
                0..=2 => self.commit(),
                3 => self.crash(),
                4 | 5 => self.freeze(),
                _ => self.others(),
            }
            if self.rng.below(3) == 0 {
                self.jump();
            }
        }
        self.end();
        self.seen
    }

    fn scenario(&mut self) -> &'static Scenario {
        &SCENARIOS[self.rng.below(SCENARIOS.len())]
    }

    /// Things to go wrong from now on, counted in requests of a database.
    fn plan_faults(&mut self, which: usize) {
        let driver = self.databases[which].driver.borrow();
        let (socket, event) = (driver.request_socket(), driver.event_socket());
        drop(driver);
        self.kernel.faults().reset();
        for _ in 0..self.rng.below(4) {
            let nth = 1 + self.rng.below(24);
            let errno = ERRNOS[self.rng.below(ERRNOS.len())];
            let fault = self.rng.below(7);
            let later = 1 + self.rng.below(80);
            let faults = self.kernel.faults();
            match fault {
                0 | 1 => faults.refuse_on(socket, nth, errno),
                2 => faults.lose_ack_on(socket, nth),
                3 => faults.lose_notification(later),
                4 => faults.truncate(later),
                5 => faults.interrupt_dumps(1 + nth % 3),
                _ => self.kernel.force_overrun(event),
            }
            let words = ["refused", "refused", "ACK lost", "notification lost", "truncated"];
            let word = words.get(fault).unwrap_or(&"interrupted or overrun");
            self.tell(format!("  fault: {word}, {nth} or {later}, {errno}"));
        }
    }

    /// Other programs change their own interface between any two requests.
    fn invite_others(&mut self, which: usize) {
        let socket = self.databases[which].driver.borrow().request_socket();
        let (nth, mtu) = (1 + self.rng.below(12), 1300 + self.rng.below(200) as u32);
        let now = Rc::clone(&self.mtu);
        self.tell(format!("  others: mtu {mtu} before request {nth}"));
        self.kernel.faults().before_each(move |kernel| {
            if kernel.faults().requests_on(socket) == nth && now.get() != mtu {
                let op = Op::SetMtu { name: OTHERS.to_owned(), mtu };
                kernel.perform(&op).expect("it is their own");
                now.set(mtu);
            }
        });
    }

    /// The other database commits in the middle of the next commit of this one.
    fn nest(&mut self, which: usize) -> Rc<Cell<bool>> {
        let done = Rc::new(Cell::new(false));
        let (wait, mtu) = (self.rng.below(6), 1300 + self.rng.below(200) as u32);
        self.tell(format!("  the other database commits mtu {mtu} after {wait} of its turns"));
        let other = Rc::clone(&self.databases[1 - which].driver);
        let (said, mut turns) = (Rc::clone(&done), 0);
        let between = move |kernel: &mut Kernel| {
            turns += 1;
            if turns <= wait || said.get() {
                return;
            }
            let mut other = other.borrow_mut();
            other.observe(kernel, &[]);
            let mut draft = other.draft();
            let z0 = at(&draft, SECONDS).expect("it is its own");
            draft.set_mtu(z0, mtu).expect("an mtu that is in order");
            let outcome = other.commit(kernel, &draft).expect("nothing to refuse");
            if matches!(outcome, Outcome::Committed { .. }) {
                said.set(true);
            }
        };
        self.databases[which].driver.borrow_mut().between = Some(Box::new(between));
        self.seconds_mtu = mtu;
        done
    }

    fn commit(&mut self) {
        let which = self.rng.below(2);
        let scenario = self.scenario();
        self.tell(format!("database {which} commits: {}", scenario.name));
        self.plan_faults(which);
        let driver = Rc::clone(&self.databases[which].driver);
        let hooked = Hooked::new(&mut self.rng);
        hooked.bring_to(&mut driver.borrow_mut());
        let has_others = self.rng.below(2) == 0;
        if has_others {
            self.invite_others(which);
        }
        let was = self.seconds_mtu;
        let nested = (self.rng.below(3) == 0).then(|| self.nest(which));
        let mut draft = driver.borrow_mut().draft();
        if (scenario.edit)(&mut draft).is_err() {
            self.seconds_mtu = was;
            hooked.leave(&mut driver.borrow_mut());
            return self.rest(which);
        }
        let disturbed = self.rng.below(4) == 0;
        if disturbed {
            // What was named may be gone, or another value, when it is committed.
            (0..1 + self.rng.below(4)).for_each(|_| self.disturb());
            self.kernel.settle();
        }
        let twin = (self.rng.below(3) == 0).then(|| self.kernel.twin());
        let before = Truth::of(&self.kernel);
        let base = draft_base(&driver);
        let outcome = driver.borrow_mut().commit(&mut self.kernel, &draft);
        self.kernel.settle();
        let changes = judge::lines(&self.differences(&before));
        hooked.judge(&outcome, changes.is_empty(), &mut self.seen);
        hooked.leave(&mut driver.borrow_mut());
        if nested.is_some_and(|done| done.get()) {
            self.seen.note("nested");
        } else {
            self.seconds_mtu = was;
        }
        self.judge_ending(which, &before, &outcome);
        if let Ok(Outcome::Committed { snapshot, created }) = &outcome {
            let holds = &mut self.databases[which].holds;
            holds.handle_commit(&draft, &base, snapshot, created);
            if let Some(twin) = twin {
                self.judge_twin(twin, (scenario, disturbed), &before);
            }
        }
        if has_others {
            self.seen.note("others");
        }
        self.rest(which);
    }

    /// P2, P3.
    fn judge_ending(&mut self, which: usize, before: &Truth, outcome: &Result<Outcome, Refusal>) {
        let differences = self.differences(before);
        let lines = judge::lines(&differences);
        match outcome {
            Ok(Outcome::Committed { .. }) => self.seen.note("committed"),
            Ok(Outcome::RolledBack { cause, .. }) => {
                let back = |one: &&Difference| !judge::is_of_no_one(one);
                let lines =
                    judge::lines(&differences.iter().filter(back).cloned().collect::<Vec<_>>());
                assert!(lines.is_empty(), "rolled back: {cause}: {lines:#?}");
                self.seen.note("rolled back");
            }
            Ok(Outcome::Torn { residue, .. }) => {
                judge::check_residue(residue, &differences);
                self.seen.note("torn");
            }
            Err(refusal) => {
                let socket = self.databases[which].driver.borrow().request_socket();
                assert_eq!(self.kernel.faults().requests_on(socket), 0, "{refusal}");
                assert!(lines.is_empty(), "refused: {refusal}: {lines:#?}");
                self.seen.note("refused");
            }
        }
        self.tell(format!("  ends: {}", brief(outcome)));
    }

    /// The same commit without any fault has made the same. What others have done since the draft can only be that it
    /// names something that is not there under this name any more.
    fn judge_twin(
        &mut self,
        mut twin: Kernel,
        (scenario, disturbed): (&Scenario, bool),
        before: &Truth,
    ) {
        let mut driver = Driver::open(&mut twin, ROOMY);
        let mut draft = driver.draft();
        if let Err(refusal) = (scenario.edit)(&mut draft) {
            assert!(disturbed, "it was in order: {refusal}");
            return;
        }
        let Ok(Outcome::Committed { .. }) = driver.commit(&mut twin, &draft) else {
            panic!("with faults it was committed, and not without");
        };
        twin.settle();
        let theirs = own(before.diff(&Truth::of(&twin)));
        let ours = judge::lines(&self.differences(before));
        assert_eq!(ours, judge::lines(&theirs), "committed, with faults and without");
        self.seen.note("twin");
    }

    /// What is different, but for the interfaces of others.
    fn differences(&self, before: &Truth) -> Vec<Difference> {
        own(before.diff(&Truth::of(&self.kernel)))
    }

    /// A process is killed in the middle of a commit, and the one that recovers is too; the next one undoes the commit.
    fn crash(&mut self) {
        let which = self.rng.below(2);
        let scenario = self.scenario();
        let killed_at = self.rng.below(30);
        self.tell(format!("database {which} is killed after {killed_at}: {}", scenario.name));
        self.kernel.faults().reset();
        let driver = Rc::clone(&self.databases[which].driver);
        let mut draft = driver.borrow_mut().draft();
        if (scenario.edit)(&mut draft).is_err() {
            return;
        }
        let base = draft_base(&driver);
        let before = Truth::of(&self.kernel);
        let left = driver.borrow_mut().commit_and_die(&mut self.kernel, &draft, killed_at);
        let mut kept = match left {
            Ok(Some(kept)) => kept,
            Err(_) => {
                assert!(self.differences(&before).is_empty());
                return;
            }
            // It ended before, one way or the other: what it holds has moved if it was committed.
            Ok(None) => {
                let now = driver.borrow().snapshot().clone();
                let holds = &mut self.databases[which].holds;
                holds.handle_commit(&draft, &base, &now, &BTreeMap::new());
                return self.rest(which);
            }
        };
        drop(driver);
        for again in 0..=self.rng.below(3) {
            self.reopen(which);
            if again > 0 {
                let requests = self.rng.below(12);
                self.tell(format!("  and who recovers after {requests}"));
                let driver = Rc::clone(&self.databases[which].driver);
                driver.borrow_mut().recover_and_die(&mut self.kernel, &mut kept, requests);
                self.seen.note("killed again");
            }
        }
        self.reopen(which);
        let driver = Rc::clone(&self.databases[which].driver);
        let outcome = Ok(driver.borrow_mut().recover(&mut self.kernel, &kept));
        self.kernel.settle();
        self.seen.note("killed");
        self.judge_ending(which, &before, &outcome);
        self.rest(which);
    }

    /// Another process has the database from now on; what the old one held is held no longer.
    fn reopen(&mut self, which: usize) {
        let new = Database::open(&mut self.kernel, &mut self.rng);
        let old = std::mem::replace(&mut self.databases[which], new);
        let driver = Rc::try_unwrap(old.driver).ok().expect("nobody else has it").into_inner();
        driver.close(&mut self.kernel);
    }

    /// A database holds something fast, and others change it.
    fn freeze(&mut self) {
        let which = self.rng.below(2);
        let kind = self.rng.below(8);
        let selection = match kind {
            0 => Selection::everything(),
            1 => Selection::routes(netlinkdb::RouteFilter::table(254)).exactly(),
            2 => Selection::rules().exactly(),
            3 => Selection::nothing().and_nexthops().and_rules(),
            4 => Selection::interface("v0").and_neighbours_of("v0"),
            _ => Selection::interface(["br0", "v0", "d0", "mv0"][self.rng.below(4)]),
        };
        self.kernel.faults().reset();
        let driver = Rc::clone(&self.databases[which].driver);
        driver.borrow_mut().resync(&mut self.kernel);
        let now = driver.borrow().snapshot().clone();
        let holds = &mut self.databases[which].holds;
        let Ok(id) = holds.add(selection, now) else { return };
        holds.activate(id, true);
        if kind == 0 {
            self.databases[which].held.insert(id, [self.mtu.get(), self.seconds_mtu]);
        }
        self.tell(format!("database {which} freezes {id}"));
        // Who fights changes the same thing again and again.
        let fights = self.rng.below(3) == 0;
        for turn in 0..1 + self.rng.below(8) + 8 * usize::from(fights) {
            match fights {
                true => {
                    let op = Op::SetMtu { name: "v0".to_owned(), mtu: 1280 + turn as u32 };
                    // It may be gone.
                    drop(self.kernel.perform(&op));
                }
                false => self.disturb(),
            }
            if !fights && self.rng.below(3) == 0 {
                self.jump();
            }
            self.enforce(which);
        }
        if self.rng.below(2) == 0 {
            self.tell(format!("database {which} thaws {id}"));
            self.databases[which].holds.remove(id);
        }
        self.rest(which);
    }

    /// What the enforcing thread does until it sleeps.
    fn enforce(&mut self, which: usize) {
        self.kernel.settle();
        let driver = Rc::clone(&self.databases[which].driver);
        let mut driver = driver.borrow_mut();
        driver.quiesce(&mut self.kernel);
        let mut rounds = 0;
        let mut told = 0;
        while self.databases[which].holds.look(&driver.snapshot().clone(), self.clock) {
            rounds += 1;
            assert!(rounds < 100, "it spins");
            for id in self.databases[which].holds.ids() {
                told += self.round(which, id, &mut driver);
            }
            // Each look costs time, without which a pause would never end.
            self.clock += Duration::from_micros(300);
        }
        let holds = &self.databases[which].holds;
        if rounds > 0 && told == 0 && holds.due(driver.snapshot(), self.clock).is_none() {
            self.seen.note("held");
        }
        self.take_held_mtus(which);
    }

    /// A freeze of everything may put back what others have made of theirs: to what they were when it began, and to
    /// nothing else.
    fn take_held_mtus(&mut self, which: usize) {
        let Database { holds, held, .. } = &self.databases[which];
        let mtu = |name: &str| self.kernel.link_named(name).map(|link| link.mtu);
        for [others, seconds] in holds.ids().iter().filter_map(|id| held.get(id)) {
            if mtu(OTHERS) == Some(*others) {
                self.mtu.set(*others);
            }
            if mtu(SECONDS) == Some(*seconds) {
                self.seconds_mtu = *seconds;
            }
        }
    }

    /// One freeze undoes what it can. How many troubles it tells of.
    fn round(&mut self, which: usize, id: u64, driver: &mut Driver) -> usize {
        let mut round = Round::new(id);
        let mut told = 0;
        for _ in 0..1000 {
            let now = driver.snapshot().clone();
            let holds = &mut self.databases[which].holds;
            let Some(way) = round.poll(holds, &now, self.clock) else { return told };
            let (undone, now) = match way.draft() {
                Err(refusal) => (Undone::Failed(Words(refusal.to_string(), true)), now),
                Ok((_, touched)) if touched.is_empty() => (Undone::Done(touched), now),
                Ok((draft, touched)) => {
                    let outcome = driver.commit(&mut self.kernel, &draft);
                    let undone = undone(driver, &mut self.kernel, &way, outcome, touched);
                    (undone, driver.snapshot().clone())
                }
            };
            self.story.lines.push(format!("  {id}: {way}: {undone:?}"));
            for word in round.handle(holds, way, undone, &now, self.clock) {
                self.story.lines.push(format!("  {id}: {}", line(&word)));
                self.seen.note(match word {
                    Word::Reverted(_) => "reverted",
                    Word::Contested { .. } => "contested",
                    Word::Failed(_) => "not reverted",
                });
                told += usize::from(!matches!(word, Word::Reverted(_)));
            }
        }
        panic!("a round never ends");
    }

    /// Others do whatever they like; nobody is in the middle of anything.
    fn others(&mut self) {
        for _ in 0..1 + self.rng.below(4) {
            self.disturb();
        }
        if self.rng.below(4) == 0 {
            let which = self.rng.below(2);
            self.tell(format!("database {which} is overrun"));
            let event = self.databases[which].driver.borrow().event_socket();
            self.kernel.force_overrun(event);
            self.seen.note("overrun");
        }
        for which in 0..2 {
            for _ in 0..self.rng.below(4) {
                self.databases[which].driver.borrow_mut().step(&mut self.kernel);
            }
        }
        self.rest(0);
    }

    fn disturb(&mut self) {
        let links = self.kernel.links();
        let name = links[self.rng.below(links.len())].name.clone();
        let op = match self.rng.below(16) {
            0 => Op::MoveOut { name },
            1 => Op::Delete { name },
            2 => Op::SetMtu { name: "v0".to_owned(), mtu: 1300 + self.rng.below(100) as u32 },
            3 => Op::Down { name: "v0".to_owned() },
            _ => Op::random(&mut self.kernel),
        };
        if format!("{op:?}").contains(OTHERS) || format!("{op:?}").contains(SECONDS) {
            return;
        }
        let vanishes = matches!(op, Op::MoveOut { .. } | Op::Delete { .. });
        let done = self.kernel.perform(&op);
        self.tell(format!("others: {op:?}: {}", done.is_ok()));
        if vanishes && done.is_ok() {
            self.seen.note("vanished");
        }
    }

    /// From nothing to an hour, as when a machine has slept.
    fn jump(&mut self) {
        let seconds = [0.0, 0.001, 0.02, 1.0, 15.0, 3600.0][self.rng.below(6)];
        self.clock += Duration::from_secs_f64(seconds);
        self.tell(format!("the clock jumps by {seconds} s"));
        self.seen.note("jump");
    }

    /// P1, P4, P6: at rest each database shows what a new one reads, and others have what they made.
    fn rest(&mut self, which: usize) {
        self.kernel.settle();
        let both = [Rc::clone(&self.databases[0].driver), Rc::clone(&self.databases[1].driver)];
        let mut driver = both[which].borrow_mut();
        driver.between = None;
        driver.quiesce(&mut self.kernel);
        self.kernel.faults().reset();
        announced::judge_announced(&mut self.kernel, &mut driver);
        assert!(driver.follower().is_settled(), "something is asked for, and never answered");
        if let Some(guests) = &self.databases[which].guests {
            guests.judge(&mut driver, &mut self.seen);
        }
        drop(driver);
        both[1 - which].borrow_mut().quiesce(&mut self.kernel);
        let mtu = |name: &str| self.kernel.link_named(name).map(|link| link.mtu);
        assert_eq!(mtu(OTHERS), Some(self.mtu.get()), "what others have made of theirs");
        assert_eq!(mtu(SECONDS), Some(self.seconds_mtu), "what the other database has committed");
    }

    /// All is put away.
    fn end(&mut self) {
        for Database { holds, .. } in &mut self.databases {
            holds.ids().into_iter().for_each(|id| holds.remove(id));
            assert!(holds.is_empty());
        }
        // What others have changed in silence is found by reading anew.
        let anew = self.rng.below(2);
        self.databases[anew].driver.borrow_mut().resync(&mut self.kernel);
        let driver = |which: usize| self.databases[which].driver.borrow_mut();
        announced::judge_snapshot(&mut self.kernel, &mut driver(anew));
        announced::judge_announced(&mut self.kernel, &mut driver(1 - anew));
        for database in self.databases.drain(..) {
            let driver = Rc::try_unwrap(database.driver).ok().expect("nobody else has it");
            driver.into_inner().close(&mut self.kernel);
        }
        assert_eq!(self.kernel.open_sockets(), 0, "a socket is left over");
    }
}

/// The state that a commit begins at, as its own database has it.
fn draft_base(driver: &Rc<RefCell<Driver>>) -> netlinkdb::Snapshot {
    driver.borrow().snapshot().clone()
}

fn own(mut differences: Vec<Difference>) -> Vec<Difference> {
    differences.retain(|difference| ![OTHERS, SECONDS].contains(&&*difference.on));
    differences
}

fn undone(
    driver: &mut Driver,
    kernel: &mut Kernel,
    way: &netlinkdb::internals::plan::Way,
    outcome: Result<Outcome, Refusal>,
    touched: BTreeSet<netlinkdb::internals::state::ObjectKey>,
) -> Undone<Words> {
    match outcome {
        Ok(Outcome::Committed { snapshot, created }) => {
            let back = way.restored(&snapshot, created.into_values());
            driver.adopt(kernel, &back);
            Undone::Done(touched)
        }
        Ok(Outcome::RolledBack { cause, .. } | Outcome::Torn { cause, .. }) => {
            Undone::Failed(Words(cause.to_string(), false))
        }
        Err(refusal) if driver.snapshot().revision() != way.now().revision() => {
            Undone::Outdated(Words(refusal.to_string(), true))
        }
        Err(refusal) => Undone::Failed(Words(refusal.to_string(), true)),
    }
}

/// Why something could not be undone, and whether that was refused.
#[derive(Debug)]
struct Words(String, bool);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Trouble for Words {
    fn is_refusal(&self) -> bool {
        self.1
    }
}

fn line(word: &Word<Words>) -> String {
    match word {
        Word::Reverted(changes) => format!("reverted {}", changes.len()),
        Word::Contested { change, times, pause } => {
            format!("contested {times} times, pause {pause:?}: {change}")
        }
        Word::Failed(words) => format!("not reverted: {words}"),
    }
}

fn brief(outcome: &Result<Outcome, Refusal>) -> String {
    match outcome {
        Ok(Outcome::Committed { .. }) => "committed".to_owned(),
        Ok(Outcome::RolledBack { cause, .. }) => format!("rolled back: {cause}"),
        Ok(Outcome::Torn { cause, residue, .. }) => format!("torn: {cause}: {}", residue.len()),
        Err(refusal) => format!("refused: {refusal}"),
    }
}
