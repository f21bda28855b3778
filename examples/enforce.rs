//! Holds what its arguments name as it is, against every other program, until SIGTERM or SIGINT; then leaves things as
//! they are. One line for each reversion.
//!
//! ```text
//! enforce [--private] [--seconds N] (link NAME | route-table N | route PREFIX | rule PRIORITY | rules | everything)...
//! enforce --bench
//! ```
//!
//! `--private` shows it in a namespace of its own, where a part of it plays the other program. `--bench` measures there
//! how fast it is.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netlinkdb::{
    Db, Error, FreezeReport, Ifb, NetNs, Result, Route, RouteFilter, Rule, Selection, Snapshot,
};

const USAGE: &str = "enforce [--private] [--seconds N] \
    (link NAME | route-table N | route PREFIX | rule PRIORITY | rules | everything)...";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("enforce: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--bench") {
        return bench();
    }
    let is_private = words.iter().any(|word| word == "--private");
    words.retain(|word| word != "--private");
    let seconds = match words.iter().position(|word| word == "--seconds") {
        Some(at) => {
            let own: Vec<String> = words.drain(at..words.len().min(at + 2)).collect();
            Some(own.get(1).map_or_else(|| usage("--seconds"), |n| number(n))?)
        }
        None => None,
    };
    if is_private {
        NetNs::enter_private()?;
        return demonstration(words);
    }
    // Before any thread is started, so that all of them inherit the mask.
    let signals = Signals::new();
    let db = Db::open()?;
    enforce(&db, &words, &signals, seconds.map(Duration::from_secs))
}

/// Holds, and tells, until a signal comes or the time is over.
fn enforce(db: &Db, words: &[String], signals: &Signals, most: Option<Duration>) -> Result<()> {
    let frozen = db.freeze(selection(words)?)?;
    println!("holding {}", words.join(" "));
    let end = most.map(|most| Instant::now() + most);
    loop {
        for report in frozen.reports() {
            println!("{report}");
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if signals.wait(&frozen, left) || left.is_some_and(|left| left.is_zero()) {
            break;
        }
    }
    let thawed = frozen.thaw();
    thawed.reports().iter().for_each(|report| println!("{report}"));
    println!("let go: {thawed}");
    Ok(())
}

fn selection(words: &[String]) -> Result<Selection> {
    let mut selection = Selection::nothing().exactly();
    let mut words = words.iter().map(String::as_str);
    let mut is_empty = true;
    while let Some(word) = words.next() {
        is_empty = false;
        let mut next = || words.next().map_or_else(|| usage(word), Ok);
        selection = match word {
            "link" => selection.and_interface(next()?),
            "route-table" => selection.and_routes(RouteFilter::table(number(next()?)? as u32)),
            "route" => selection.and_route(Route::to(next()?)),
            "rule" => selection.and_rule(Rule::new().priority(number(next()?)? as u32)),
            "rules" => selection.and_rules(),
            "everything" => Selection::everything().exactly(),
            other => return usage(other),
        };
    }
    if is_empty { usage("nothing") } else { Ok(selection) }
}

fn usage<T>(at: &str) -> Result<T> {
    Err(Error::other(format!("at `{at}`: {USAGE}")))
}

fn number(word: &str) -> Result<u64> {
    word.parse().map_err(|_| Error::other(format!("`{word}` is no number")))
}

/// SIGTERM and SIGINT as a descriptor.
struct Signals(OwnedFd);

impl Signals {
    #[allow(unsafe_code)]
    fn new() -> Self {
        // SAFETY: the set is initialised by `sigemptyset` before it is used, and signalfd gives a descriptor of our own.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            OwnedFd::from_raw_fd(libc::signalfd(-1, &set, libc::SFD_CLOEXEC))
        };
        Signals(fd)
    }

    /// Sleeps until there is a report or a signal, which it was.
    #[allow(unsafe_code)]
    fn wait(&self, reports: &impl AsRawFd, within: Option<Duration>) -> bool {
        let of = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [of(self.0.as_raw_fd()), of(reports.as_raw_fd())];
        let within = within.map_or(-1, |within| within.as_millis().min(1 << 30) as i32 + 1);
        // SAFETY: the array has two entries.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, within) };
        fds[0].revents != 0
    }
}

/// The same in a private namespace, with a part of this that plays the other program and ends it by SIGTERM.
fn demonstration(mut words: Vec<String>) -> Result<()> {
    let signals = Signals::new();
    let db = Db::open()?;
    let mut tx = db.begin();
    tx.create(Ifb::new("eth0"))?;
    tx.interface("eth0").set_mtu(1400).add_ip("10.0.0.1/24")?.up();
    tx.add_route(Route::to("default").via("10.0.0.9").table(100))?;
    tx.add_rule(Rule::new().priority(500).table(100))?;
    tx.commit()?;
    if words.is_empty() {
        let all = ["link", "eth0", "route-table", "100", "rule", "500"];
        words = all.map(str::to_owned).to_vec();
    }
    let done = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&done);
    let other = thread::spawn(move || -> Result<()> {
        let ended = interfere();
        told.store(true, Ordering::SeqCst);
        // To this process, as its service manager would.
        #[allow(unsafe_code)]
        // SAFETY: no pointers are involved.
        unsafe {
            libc::kill(libc::getpid(), libc::SIGTERM)
        };
        ended
    });
    enforce(&db, &words, &signals, None)?;
    other.join().map_err(|_| Error::other("the other program panicked"))??;
    let eth0 = db.interface("eth0")?;
    println!("eth0: mtu {}, {} addresses", eth0.link()?.mtu(), eth0.addresses()?.len());
    Ok(())
}

/// What another program, iproute2, does: one thing after the other, each when the one before is undone.
fn interfere() -> Result<()> {
    let eyes = Db::open()?;
    let ip = |arguments: &str| {
        let ran = Command::new("ip").args(arguments.split(' ')).status().map_err(Error::other)?;
        if ran.success() { Ok(()) } else { Err(Error::other(format!("ip {arguments}: {ran}"))) }
    };
    let undone = |what: &str, held: &dyn Fn(&Snapshot) -> bool| {
        eyes.sync()?;
        let seen = eyes.wait_until(Duration::from_secs(20), |now| held(now))?;
        seen.map(drop).ok_or_else(|| Error::other(format!("{what} was never undone")))
    };
    // Until the freeze has begun nothing is undone.
    thread::sleep(Duration::from_millis(200));
    ip("link set eth0 mtu 1300")?;
    undone("the mtu", &|now| now.link("eth0").is_some_and(|eth0| eth0.mtu() == 1400))?;
    ip("link del eth0")?;
    let has_route = |now: &Snapshot| now.routes().table(100).iter().count() == 1;
    undone("the deletion", &|now| now.link("eth0").is_some() && has_route(now))?;
    ip("rule del pref 500")?;
    undone("the deletion of the rule", &|now| now.rules().at(500).len() == 1)
}

/// How fast it is, and what it costs: one tab-separated line each, in microseconds, medians of 300.
fn bench() -> Result<()> {
    NetNs::enter_private()?;
    let db = Db::open()?;
    let mut tx = db.begin();
    tx.create(Ifb::new("eth0"))?;
    tx.create(Ifb::new("eth1"))?;
    tx.commit()?;
    let theirs = Db::open()?;
    let (eth0, eth1) = (db.interface("eth0")?, db.interface("eth1")?);
    let other = theirs.interface("eth1")?;
    let commit = |n: u32| other.set_mtu(1300 + n % 100).commit().map(drop);
    let alone = median(|n| timed(|| Ok(commit(n)?)))?;
    db.sync()?;
    let own = median(|n| timed(|| Ok(eth1.set_mtu(1300 + n % 100).commit().map(drop)?)))?;
    let idle = db.freeze(Selection::everything().and_interface("eth0"))?;
    let with_idle = median(|n| timed(|| Ok(eth1.set_mtu(1300 + n % 100).commit().map(drop)?)))?;
    drop(idle);
    let round_trip = median(|_| timed(|| db.refresh(["eth0"]).map(drop)))?;
    let mut reactions = Vec::new();
    for _ in 0..300 {
        // A new freeze each time: the same object for ever would have pauses.
        let frozen = eth0.freeze()?;
        theirs.sync()?;
        // It may find that it does not hold.
        drop(theirs.interface("eth0")?.set_mtu(1300).commit());
        match frozen.next_within(Duration::from_secs(9)) {
            Some(FreezeReport::Reverted(done)) => reactions.push(done.took()),
            other => return Err(Error::other(format!("{other:?}"))),
        }
    }
    reactions.sort();
    println!("round trip (one interface asked for)\t{:.0}", micros(round_trip));
    println!("one-change commit, another database\t{:.0}", micros(alone));
    println!("one-change commit, own, no freeze\t{:.0}", micros(own));
    println!("one-change commit, own, everything frozen\t{:.0}", micros(with_idle));
    println!("reversion, from seen to found undone\t{:.0}", micros(reactions[150]));
    println!("reversion against a one-change commit\t{:.2}", micros(reactions[150]) / micros(own));
    Ok(())
}

fn timed(what: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    what()?;
    Ok(start.elapsed())
}

fn median(mut one: impl FnMut(u32) -> Result<Duration>) -> Result<Duration> {
    let mut all = (0..300).map(&mut one).collect::<Result<Vec<_>>>()?;
    all.sort();
    Ok(all[150])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
