//! Commits that are cut off: a process with a journal is killed, at every system call of a commit and at any moment, and
//! another one brings back what was.
//!
//! The process is this test binary again, in the test's own namespace.

use crate::scene::{Before, before, open, scene};
use crate::support::namespaces::{drop_capabilities, elsewhere};
use crate::support::{ip, ip_json, need_kinds, skip};
use netlinkdb::internals::sys::HeldFile;
use netlinkdb::internals::wire::{Pack, crc32};
use netlinkdb::{
    Bridge, BridgeOptions, Db, Error, Ifb, Neighbour, Nexthop, Recovery, Result, Route, Rule,
    Transaction, Veth,
};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

crate::cases![
    killed_at_every_step_of_a_commit_nothing_is_left,
    killed_at_every_step_of_a_rollback_nothing_is_left,
    killed_at_random_moments_nothing_is_left,
    killed_in_a_hook_what_others_have_done_since_stays,
    killed_in_the_middle_of_many_routes_nothing_is_left,
    killed_when_a_port_was_narrower_what_is_above_is_whole_again,
    a_recovery_that_is_killed_is_taken_up_by_the_next,
    what_cannot_be_undone_is_told,
    a_journal_that_is_not_whole_is_refused,
    a_journal_from_elsewhere_is_refused,
    a_file_that_is_no_journal_is_left_alone,
    a_journal_has_one_owner_at_a_time,
    a_commit_that_ends_leaves_nothing_to_recover,
    a_commit_that_cannot_be_written_down_is_not_begun,
    a_commit_that_cannot_be_written_down_any_more_is_rolled_back,
    killed_before_it_is_confirmed_nothing_is_left,
    killed_while_it_is_taken_back_nothing_is_left,
    killed_after_it_is_confirmed_it_stays,
    several_without_a_word_are_undone_the_newest_first,
    what_cannot_be_written_down_as_confirmed_is_taken_back,
    what_is_committed_while_another_waits_for_its_word_takes_no_room,
];

const LONG: Duration = Duration::from_secs(600);

/// The variable by which this binary knows that it is to be killed: what to do, and the journal.
const VARIABLE: &str = "NETLINKDB_TEST_JOURNAL";

/// Carries out the commit of a process that is to be killed, if this is one.
pub fn child() -> Option<ExitCode> {
    let what = std::env::var(VARIABLE).ok()?;
    let (what, path) = what.rsplit_once(' ').expect("what to do, and the journal");
    match commit_and_die(what, Path::new(path)) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) if what.contains("poison") && error.is_rolled_back() => Some(ExitCode::SUCCESS),
        Err(error) if what.contains("full") && error.is_rolled_back() => {
            let told = error.to_string().contains("could not be written to the journal");
            Some(if told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            eprintln!("{what}: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn commit_and_die(what: &str, path: &Path) -> Result<()> {
    if what == "recover traced" {
        be_traced();
        return Db::recover(path).map(drop);
    }
    let db = Db::builder().neighbours(true).journal(path).open()?;
    if what == "several" {
        return several(&db);
    }
    if what == "unwritable" {
        return unwritable(&db, path);
    }
    let mut tx = db.begin();
    if what.contains("routes") {
        let route = |n| Route::to(std::net::Ipv4Addr::from(0x0b00_0000 + n));
        let routes = (0..20_000u32).map(|n| route(n).via("10.1.0.9").table(77));
        tx.sync_routes(netlinkdb::RouteFilter::table(77), routes)?;
    } else if what.contains("narrow") {
        tx.interface("p0").set_mtu(1400);
    } else if what.contains("vlans") {
        crate::bridge_vlans::some_vlans(&mut tx)?;
    } else {
        everything(&mut tx)?;
    }
    if what.contains("poison") {
        // Acknowledged and without effect: found when everything has been sent.
        tx.interface("old0").bridge(BridgeOptions::new().mcast_hash_elasticity(20u32))?;
    }
    if what.contains("hook") {
        tx.on_commit(|_, _| -> Result<(), String> { die() });
    }
    if what.contains("middle") {
        let told = AtomicU32::new(0);
        tx.on_progress(move |_| {
            if told.fetch_add(1, SeqCst) == 4 {
                die()
            }
        });
    }
    if what.contains("full") {
        let path = path.to_owned();
        tx.on_progress(move |_| let_no_file_grow_beyond(fs::metadata(&path).unwrap().len()));
    }
    if what.contains("traced") {
        be_traced();
    }
    if what.contains("confirm") {
        let pending = tx.commit_confirmed(LONG)?;
        match what {
            "everything confirmed" => drop(pending.confirm()?),
            "everything unconfirmed" => {}
            _ => return Ok(()),
        }
        die()
    }
    tx.commit()?;
    Ok(())
}

/// Two that wait for a word, one that is confirmed, one for good between them, and one that is cut off.
fn several(db: &Db) -> Result<()> {
    let mut tx = db.begin();
    tx.create(Bridge::new("br8"))?;
    tx.interface("p1").set_mtu(1400).set_alias("one");
    let _one = tx.commit_confirmed(LONG)?;
    let mut tx = db.begin();
    tx.interface("p1").set_alias("good");
    tx.interface("w1").set_group(5);
    tx.commit()?;
    let confirmed = db.interface("w0")?.set_group(6).into_transaction().commit_confirmed(LONG)?;
    let mut tx = db.begin();
    tx.interface("p1").set_mtu(1300);
    tx.add_route(Route::to("10.21.0.0/16").via("10.1.0.7"))?;
    let _two = tx.commit_confirmed(LONG)?;
    confirmed.confirm()?;
    let mut tx = db.begin();
    tx.interface("p1").set_mtu(1200);
    tx.on_commit(|_, _| -> Result<(), String> { die() });
    tx.commit()?;
    Ok(())
}

/// The disk is full when the first of two is confirmed, which needs room: the other one stands behind it.
fn unwritable(db: &Db, path: &Path) -> Result<()> {
    let group = |name: &str, group| {
        db.interface(name)?
            .set_group(group)
            .into_transaction()
            .commit_confirmed(LONG)
            .map_err(Error::from)
    };
    let (one, two) = (group("w0", 5)?, group("w1", 6)?);
    let_no_file_grow_beyond(fs::metadata(path).expect("the journal").len());
    let error = one.confirm().expect_err("not written");
    assert!(error.is_unconfirmed() && error.is_rolled_back(), "{error}");
    assert!(error.to_string().contains("write the journal"), "{error}");
    assert_eq!((db.interface("w0")?.link()?.group(), db.interface("w1")?.link()?.group()), (0, 6));
    // Nothing stands behind the last one: that its record has ended takes no room.
    drop(two);
    assert_eq!(db.interface("w1")?.link()?.group(), 0);
    Ok(())
}

/// Something of everything.
fn everything(tx: &mut Transaction) -> Result<()> {
    let br0 = tx.create(Bridge::new("br0").forward_delay(400u32))?;
    let pair = tx.create(Veth::new("a0", "a1").mtu(1600))?;
    let ifb = tx.create(Ifb::new("ifb0"))?;
    tx.interface(&br0).add_port(&pair)?.add_port("p0")?.add_ip("10.9.0.1/24")?.up();
    tx.interface(&pair).up();
    tx.interface(&ifb).add_ip("10.9.2.1/32")?.up();
    tx.interface("p1").set_mtu(1400).set_alias("after").del_altname("other")?;
    tx.interface("p1").add_ip("10.4.0.1/24")?.del_ip("10.1.0.1/24")?.add_ip("10.1.0.4/24")?;
    tx.interface("old0").bridge(BridgeOptions::new().ageing_time(100u32))?;
    tx.interface("w0").set_group(7).down();
    tx.interface("w1").set_name("x1")?.set_address("02:00:00:00:00:77".parse()?);
    tx.remove("gone0")?;
    tx.remove("gone2")?;
    tx.add_nexthop(Nexthop::new(9).via("10.9.0.9").dev(&br0))?;
    tx.remove_route(Route::to("10.26.0.0/16"))?.remove_nexthop(5)?;
    tx.add_rule(Rule::new().from("10.9.0.0/16").table(77).priority(500))?;
    tx.remove_rule(Rule::new().from("10.8.0.0/16").table(78).priority(400))?;
    tx.add_route(Route::to("10.21.0.0/16").via("10.9.0.7"))?;
    tx.replace_route(Route::to("10.20.0.0/16").via("10.4.0.9"))?;
    tx.remove_route(Route::to("10.22.0.0/16"))?;
    tx.add_neighbour(Neighbour::new("10.9.0.9", &br0).lladdr("02:00:00:00:00:09"))?;
    Ok(())
}

fn machine() {
    drop(open());
    scene(
        "link set lo up
         link add old0 type bridge forward_delay 300 mcast_snooping 0
         link add p0 type veth peer name p1
         link set p0 addrgenmode none
         link set p1 addrgenmode none
         link set p0 master old0
         link set p0 type bridge_slave cost 77 hairpin on
         link set p1 alias before group 3
         link property add dev p1 altname other
         link add w0 type veth peer name w1
         link set w0 addrgenmode none
         link set w1 addrgenmode none
         link add gone0 type ifb
         link add gone2 type bridge
         link set gone0 addrgenmode none
         link set gone2 addrgenmode none
         link set old0 addrgenmode none
         addr add 10.1.0.1/24 dev p1
         addr add 10.1.0.2/24 dev p1
         addr add 10.3.0.1/24 dev gone2
         addr add 10.5.0.1/24 dev w0
         addr add fd01::1/64 dev p1 nodad
         link set old0 up
         link set p0 up
         link set p1 up
         link set w0 up
         link set w1 up
         link set gone0 up
         link set gone2 up
         route add 10.20.0.0/16 via 10.1.0.9
         route add 10.22.0.0/16 via 10.1.0.9 metric 7
         route add 10.23.0.0/16 via 10.3.0.9 dev gone2 onlink
         route add 10.24.0.0/16 via 10.5.0.9 dev w0 onlink
         route add 10.25.0.0/16 dev gone0
         -6 route add fd05::/64 via fd01::9
         nexthop add id 5 via 10.1.0.9 dev p1
         route add 10.26.0.0/16 nhid 5
         neigh add 10.3.0.9 lladdr 02:00:00:00:00:03 dev gone2 nud permanent
         rule add from 10.8.0.0/16 table 78 priority 400",
    );
}

/// The whole namespace, as iproute2 tells it.
struct World {
    links: Before,
    rest: Vec<String>,
}

fn world() -> World {
    World { links: before(), rest: rest() }
}

/// What stands under a key. The marks of what has no carrier are no state of ours.
fn rest() -> Vec<String> {
    let asked: [&[&str]; 6] = [
        &["route", "show", "table", "all"],
        &["-6", "route", "show", "table", "all"],
        &["rule", "show"],
        &["-6", "rule", "show"],
        &["nexthop", "show"],
        &["neigh", "show", "nud", "permanent"],
    ];
    let mut all = Vec::new();
    for arguments in asked {
        let list = ip_json(arguments);
        for mut one in list.as_array().cloned().unwrap_or_default() {
            // IPv6 makes it when it sees an interface before it has seen that there is no carrier.
            if one["dst"] == "ff00::/8" {
                continue;
            }
            if let Some(one) = one.as_object_mut() {
                one.remove("flags");
            }
            all.push(format!("{}: {one}", arguments.join(" ")));
        }
    }
    all.sort();
    all
}

/// Where the rest differs when everything that the kernel does later is done.
fn other_rest(before: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..60 {
        let now = rest();
        let gone = before.iter().filter(|one| !now.contains(one)).map(|one| format!("- {one}"));
        let new = now.iter().filter(|one| !before.contains(one)).map(|one| format!("+ {one}"));
        found = gone.chain(new).collect();
        if found.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    found
}

/// Everything is as it was, and a database knows it.
#[track_caller]
fn exactly(world: &World, when: &str) {
    let found = other_rest(&world.rest);
    assert!(found.is_empty(), "{when}: not as before:\n{}", found.join("\n"));
    crate::scene::exactly_as_before(&Db::open().unwrap(), &world.links);
}

/// A journal of this test, deleted with it.
struct Journal(PathBuf);

impl Journal {
    fn new() -> Journal {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, SeqCst);
        let name = format!("netlinkdb-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_file(&path));
        Journal(path)
    }

    fn recover(&self) -> Result<Recovery> {
        Db::recover(&self.0)
    }

    /// Starts a process that is to be killed.
    fn child(&self, what: &str) -> Child {
        let mut command = Command::new("/proc/self/exe");
        command.env(VARIABLE, format!("{what} {}", self.0.display())).arg0(what);
        command.spawn().expect("this binary again")
    }

    /// Runs a process that kills itself.
    #[track_caller]
    fn killed(&self, what: &str) {
        use std::os::unix::process::ExitStatusExt;
        let ended = self.child(what).wait().expect("the child");
        assert_eq!(ended.signal(), Some(libc::SIGKILL), "{what}: {ended}");
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[allow(unsafe_code)]
fn die() -> ! {
    // SAFETY: no pointers; the process does not survive it.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("killed")
}

/// As on a disk that is full.
#[allow(unsafe_code)]
fn let_no_file_grow_beyond(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the calls; a signal that is ignored runs nothing.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0, "setrlimit");
    }
}

/// From here on the parent sees every system call of this thread.
#[allow(unsafe_code)]
fn be_traced() {
    // SAFETY: no memory is read or written by it.
    let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    if traced != 0 {
        std::process::exit(77);
    }
    // SAFETY: no pointers; the parent waits for this.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Lets a traced process go on until it enters or leaves its `last`-th system call, and kills it there; `false` when it
/// ends before.
#[allow(unsafe_code)]
fn kill_at(child: &Child, last: usize) -> bool {
    let pid = child.id() as libc::pid_t;
    let wait = || {
        let mut status = 0;
        // SAFETY: the status outlives the call.
        let waited = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
        assert_eq!(waited, pid, "waitpid");
        status
    };
    let ended = |status: i32| {
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 77 {
            skip("no process may be traced here");
        }
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}");
        false
    };
    let status = wait();
    if !libc::WIFSTOPPED(status) {
        return ended(status);
    }
    for _ in 0..last {
        // SAFETY: no memory of this process is read or written by it.
        let on = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
        assert_eq!(on, 0, "ptrace");
        let status = wait();
        if !libc::WIFSTOPPED(status) {
            return ended(status);
        }
    }
    // SAFETY: no pointers; it is our child, and not waited for yet.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert!(libc::WIFSIGNALED(wait()), "killed");
    true
}

/// How many system calls are left out between two at which it is killed: `NETLINKDB_JOURNAL_STRIDE=1` leaves out none.
pub fn stride(usual: usize) -> usize {
    let asked = std::env::var("NETLINKDB_JOURNAL_STRIDE").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn kill_everywhere(what: &str, first: usize, step: usize) -> u32 {
    machine();
    killed_everywhere(what, first, step, is_committed)
}

/// Kills at one step after the other, recovers, and compares; gives how often there was something to undo.
pub fn killed_everywhere(
    what: &str,
    first: usize,
    step: usize,
    is_committed: impl Fn() -> bool,
) -> u32 {
    let world = world();
    let journal = Journal::new();
    let mut undone = 0;
    for last in (first..).step_by(step) {
        let killed = kill_at(&journal.child(what), last);
        let at = format!("killed at {last}");
        if !killed {
            println!("{what}: {last} steps, {undone} times something was to be undone");
            assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo), "{at}");
            break;
        }
        match journal.recover().unwrap_or_else(|error| panic!("{at}: {error}")) {
            Recovery::RolledBack { .. } => undone += 1,
            // Nothing was sent yet, or everything was done.
            Recovery::NothingToDo if last > first && is_committed() => break,
            Recovery::NothingToDo | Recovery::NoJournal => {}
            other => panic!("{at}: {other}"),
        }
        exactly(&world, &at);
        assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo | Recovery::NoJournal));
    }
    undone
}

fn is_committed() -> bool {
    Db::open().unwrap().interface("x1").is_ok()
}

fn killed_at_every_step_of_a_commit_nothing_is_left() {
    let undone = kill_everywhere("everything traced", 1, stride(13));
    assert!(undone > 3, "{undone}");
}

fn killed_at_every_step_of_a_rollback_nothing_is_left() {
    let undone = kill_everywhere("everything poison traced", 5, stride(23));
    assert!(undone > 3, "{undone}");
}

fn killed_at_random_moments_nothing_is_left() {
    kill_at_random("everything poison");
}

/// Its own rollback, in a thread that waited for the word.
fn killed_while_it_is_taken_back_nothing_is_left() {
    kill_at_random("everything confirm in vain");
}

fn kill_at_random(what: &str) {
    machine();
    let world = world();
    let journal = Journal::new();
    let mut seed = 0x9e37_79b9_u64;
    for round in 0..12 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = journal.child(what);
        thread::sleep(Duration::from_micros(5000 + (seed >> 33) % 60_000));
        child.kill().expect("to kill it");
        child.wait().expect("the child");
        let undone = journal.recover().unwrap_or_else(|error| panic!("{round}: {error}"));
        println!("{round}: {}", if undone.is_rolled_back() { "undone" } else { "nothing to do" });
        exactly(&world, &format!("round {round}"));
    }
}

fn killed_in_a_hook_what_others_have_done_since_stays() {
    machine();
    let world = world();
    let journal = Journal::new();
    journal.killed("everything hook");
    assert!(is_committed());
    let kept = fs::read(&journal.0).unwrap();
    let error = Db::builder().journal(&journal.0).open().unwrap_err();
    assert!(error.is_unfinished() && error.is_journal(), "{error}");
    assert!(error.to_string().contains("recover it first"), "{error}");
    assert_eq!(fs::read(&journal.0).unwrap(), kept, "left as it was");
    // Another program: new things, and other values for what the commit had set.
    scene(
        "link add foreign0 type bridge
         addr add 10.77.0.1/24 dev p1
         link set p1 alias theirs
         link set w0 group 9
         route add 10.78.0.0/16 via 10.4.0.3
         rule add from 10.79.0.0/16 table 79 priority 410",
    );
    let Recovery::RolledBack { undone, snapshot, .. } = journal.recover().unwrap() else {
        panic!("nothing was undone")
    };
    assert!(!undone.is_empty());
    let p1 = snapshot.link("p1").unwrap();
    assert_eq!((p1.alias(), p1.mtu()), (Some("theirs"), 1500));
    assert_eq!(snapshot.link("w0").unwrap().group(), 9);
    assert!(snapshot.link("foreign0").is_some() && snapshot.link("br0").is_none());
    let has = |prefix: &str| snapshot.addresses().any(|own| own.prefix() == prefix);
    assert!(has("10.77.0.1/24") && has("10.1.0.1/24") && !has("10.4.0.1/24"));
    assert!(snapshot.rules().iter().any(|rule| rule.priority() == 410));
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
    scene(
        "link del foreign0
         addr del 10.77.0.1/24 dev p1
         link set p1 alias before
         link set w0 group default
         route del 10.78.0.0/16
         rule del priority 410",
    );
    exactly(&world, "when theirs is gone");
}

fn killed_in_the_middle_of_many_routes_nothing_is_left() {
    machine();
    let world = world();
    let journal = Journal::new();
    journal.killed("routes middle");
    let there = Db::open().unwrap().snapshot().routes().table(77).len();
    assert!((1..20_000).contains(&there), "{there}");
    ip(&["route", "add", "12.0.0.0/8", "via", "10.1.0.3", "table", "77"]);
    let Recovery::RolledBack { undone, snapshot, .. } = journal.recover().unwrap() else {
        panic!("nothing was undone")
    };
    assert_eq!((undone.len(), snapshot.routes().table(77).len()), (there, 1));
    ip(&["route", "del", "12.0.0.0/8", "table", "77"]);
    exactly(&world, "when theirs is gone");
}

/// The journal had the bridge of the port, and not what stands on that.
fn killed_when_a_port_was_narrower_what_is_above_is_whole_again() {
    need_kinds("bridge macvlan veth");
    machine();
    scene("link add m0 link old0 type macvlan mode bridge\n link set m0 addrgenmode none");
    let world = world();
    let journal = Journal::new();
    journal.killed("narrow hook");
    let mtu = || Db::open().unwrap().snapshot().link("m0").unwrap().mtu();
    assert_eq!(mtu(), 1400);
    assert!(journal.recover().unwrap().is_rolled_back());
    assert_eq!(mtu(), 1500);
    exactly(&world, "when it is undone");
    ip(&["link", "del", "m0"]);
}

fn a_recovery_that_is_killed_is_taken_up_by_the_next() {
    machine();
    let world = world();
    let journal = Journal::new();
    let mut taken_up = 0;
    for last in (40..).step_by(stride(61)) {
        journal.killed("everything hook");
        let killed = kill_at(&journal.child("recover traced"), last);
        let next = journal.recover().unwrap_or_else(|error| panic!("{last}: {error}"));
        taken_up += u32::from(next.is_rolled_back());
        exactly(&world, &format!("recovery killed at {last}"));
        if !killed || !next.is_rolled_back() {
            break;
        }
    }
    assert!(taken_up > 1, "{taken_up}");
}

fn what_cannot_be_undone_is_told() {
    machine();
    let journal = Journal::new();
    journal.killed("everything hook");
    // Another program has taken the place of what is to come back.
    ip(&["link", "add", "gone0", "type", "bridge"]);
    let error = journal.recover().unwrap_err();
    assert!(error.is_torn() && !error.is_journal(), "{error}");
    assert!(error.to_string().contains("was cut off"), "{error}");
    // And nothing else but the route over it: one thing that cannot be undone does not keep the others from it.
    let left: Vec<_> = error.residue().iter().map(|left| &left.what).collect();
    assert!(left.len() == 2 && left.iter().all(|what| what.contains("gone0")), "{error}");
    let now = Db::open().unwrap().snapshot();
    let routes = now.routes().get("10.20.0.0/16".parse().unwrap());
    let gateways: Vec<_> = routes.iter().filter_map(Route::gateway).collect();
    assert_eq!(gateways, ["10.1.0.9".parse::<std::net::IpAddr>().unwrap()]);
    // It was told, and has ended.
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
}

/// The journal is not taken, and nothing is changed.
#[track_caller]
fn is_refused(journal: &Journal, bytes: &[u8], word: &str) -> Error {
    fs::write(&journal.0, bytes).unwrap();
    let names = || {
        let links = ip_json(&["link", "show"]);
        let links = links.as_array().cloned().unwrap_or_default();
        links.iter().map(|link| link["ifname"].to_string()).collect::<Vec<_>>()
    };
    let before = names();
    let error = journal.recover().unwrap_err();
    assert!(error.is_journal() && error.is_refused(), "{error}");
    assert!(error.to_string().contains(word), "{error}");
    let opened = Db::builder().journal(&journal.0).open().unwrap_err();
    assert!(opened.is_journal(), "{opened}");
    assert_eq!(fs::read(&journal.0).unwrap(), bytes);
    assert_eq!(names(), before);
    error
}

fn a_journal_that_is_not_whole_is_refused() {
    machine();
    let world = world();
    let journal = Journal::new();
    journal.killed("everything hook");
    let whole = fs::read(&journal.0).unwrap();
    for length in [1, 20, 60, 92, 100, whole.len() / 2, whole.len() - 1] {
        is_refused(&journal, &whole[..length], "is truncated");
    }
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        is_refused(&journal, &bytes, "");
    }
    let mut bytes = whole.clone();
    bytes[200] ^= 1;
    is_refused(&journal, &bytes, "is corrupt");
    fs::write(&journal.0, &whole).unwrap();
    assert!(journal.recover().unwrap().is_rolled_back());
    exactly(&world, "at last");
}

/// A header with other bytes in it, and the checksum that belongs to them.
fn with_header(journal: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = journal.to_vec();
    change(&mut bytes[24..88]);
    let checksum = crc32(&bytes[24..88]).packed();
    bytes[88..92].copy_from_slice(&checksum);
    bytes
}

fn a_journal_from_elsewhere_is_refused() {
    machine();
    let world = world();
    let journal = Journal::new();
    journal.killed("everything hook");
    let whole = fs::read(&journal.0).unwrap();
    is_refused(&journal, &with_header(&whole, |header| header[3] ^= 2), "another version");
    is_refused(&journal, &with_header(&whole, |header| header[7] ^= 1), "another version");
    is_refused(&journal, &with_header(&whole, |header| header[8] ^= 1), "another boot");
    is_refused(
        &journal,
        &with_header(&whole, |header| header[36] ^= 1),
        "another network namespace",
    );
    fs::write(&journal.0, &whole).unwrap();
    let error = elsewhere(|| journal.recover().unwrap_err());
    assert!(error.is_journal() && error.to_string().contains("another network namespace"));
    assert!(journal.recover().unwrap().is_rolled_back());
    exactly(&world, "at home");
}

fn a_file_that_is_no_journal_is_left_alone() {
    let journal = Journal::new();
    assert!(matches!(journal.recover().unwrap(), Recovery::NoJournal));
    assert!(!journal.0.exists());
    is_refused(&journal, b"auto lo\niface lo inet loopback\n", "is no journal");
    fs::write(&journal.0, b"").unwrap();
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
    let error = Db::recover("/proc/self").unwrap_err();
    assert!(!error.is_journal() && error.to_string().contains("open the journal"), "{error}");
    let error = Db::builder().journal("/nowhere/journal").open().unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");

    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&journal.0, fs::Permissions::from_mode(0o0)).unwrap();
    let recover = || {
        drop_capabilities();
        journal.recover().unwrap_err()
    };
    let error = thread::scope(|scope| scope.spawn(recover).join()).unwrap();
    assert!(error.is_permission(), "{error}");
}

fn a_journal_has_one_owner_at_a_time() {
    machine();
    let journal = Journal::new();
    let db = Db::builder().journal(&journal.0).open().unwrap();
    for error in
        [Db::builder().journal(&journal.0).open().unwrap_err(), journal.recover().unwrap_err()]
    {
        assert!(error.is_journal() && error.to_string().contains("is in use"), "{error}");
    }
    drop(db);
    journal.killed("everything hook");
    let held = HeldFile::open(&journal.0).unwrap().unwrap();
    let error = journal.recover().unwrap_err();
    assert!(error.is_journal() && error.to_string().contains("is in use"), "{error}");
    drop(held);
    // Two at once: one undoes, the other is refused, or comes later and has nothing to do.
    let ends = thread::scope(|scope| {
        let both = [(); 2].map(|()| {
            let namespace = netlinkdb::NetNs::current().unwrap();
            let journal = &journal;
            scope.spawn(move || Db::builder().netns(&namespace).recover(&journal.0))
        });
        both.map(|thread| thread.join().unwrap())
    });
    let undone = ends.iter().filter(|end| matches!(end, Ok(end) if end.is_rolled_back())).count();
    assert_eq!(undone, 1, "{ends:?}");
    for end in ends {
        match end {
            Ok(_) => {}
            Err(error) => assert!(error.to_string().contains("is in use"), "{error}"),
        }
    }
}

fn a_commit_that_ends_leaves_nothing_to_recover() {
    machine();
    let journal = Journal::new();
    let db = Db::builder().journal(&journal.0).open().unwrap();
    db.interface("w0").unwrap().set_mtu(1400).commit().unwrap();
    let before = fs::read(&journal.0).unwrap();
    // What is so already sends nothing, and writes nothing.
    db.interface("w0").unwrap().set_mtu(1400).commit().unwrap();
    assert_eq!(fs::read(&journal.0).unwrap(), before);
    let refused = db.interface("w0").unwrap().set_address("01:00:00:00:00:01".parse().unwrap());
    assert!(refused.commit().unwrap_err().is_rolled_back());
    assert_ne!(fs::read(&journal.0).unwrap(), before);
    drop(db);
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
    assert_eq!(Db::open().unwrap().interface("w0").unwrap().link().unwrap().mtu(), 1400);
}

fn a_commit_that_cannot_be_written_down_is_not_begun() {
    machine();
    let world = world();
    let journal = Journal::new();
    let db = Db::builder().journal(&journal.0).open().unwrap();
    fs::remove_file(&journal.0).unwrap();
    let error = db.interface("w0").unwrap().set_mtu(1400).commit().unwrap_err();
    assert!(error.is_journal() && error.is_refused(), "{error}");
    assert!(error.to_string().contains("deleted or replaced"), "{error}");
    exactly(&world, "nothing was sent");
}

fn a_commit_that_cannot_be_written_down_any_more_is_rolled_back() {
    machine();
    let world = world();
    let journal = Journal::new();
    let ended = journal.child("everything full").wait().expect("the child");
    assert!(ended.success(), "{ended}");
    exactly(&world, "rolled back");
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
}

fn killed_before_it_is_confirmed_nothing_is_left() {
    machine();
    let world = world();
    let journal = Journal::new();
    journal.killed("everything unconfirmed");
    assert!(is_committed());
    let error = Db::builder().journal(&journal.0).open().unwrap_err();
    assert!(error.is_unfinished() && error.to_string().contains("never confirmed"), "{error}");
    let recovery = journal.recover().unwrap();
    assert!(recovery.to_string().contains("was never confirmed, and is rolled back"), "{recovery}");
    let Recovery::RolledBack { commits, undone, .. } = recovery else { panic!("{recovery}") };
    assert_eq!(commits.iter().map(|one| one.unconfirmed).collect::<Vec<_>>(), [true]);
    assert!(!undone.is_empty());
    exactly(&world, "recovered");
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
}

fn killed_after_it_is_confirmed_it_stays() {
    machine();
    let journal = Journal::new();
    journal.killed("everything confirmed");
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
    assert!(is_committed());
}

fn several_without_a_word_are_undone_the_newest_first() {
    machine();
    let journal = Journal::new();
    journal.killed("several");
    let now = Db::open().unwrap().snapshot();
    assert_eq!(now.link("p1").map(|p1| p1.mtu()), Some(1200));
    let recovery = journal.recover().unwrap();
    let Recovery::RolledBack { commits, snapshot, .. } = &recovery else { panic!("{recovery}") };
    let unconfirmed: Vec<_> = commits.iter().map(|one| one.unconfirmed).collect();
    assert_eq!(unconfirmed, [false, true, true], "{recovery}");
    let p1 = snapshot.link("p1").unwrap();
    assert_eq!((p1.mtu(), p1.alias()), (1500, Some("good")));
    assert!(snapshot.link("br8").is_none());
    assert!(snapshot.routes().get("10.21.0.0/16".parse().unwrap()).is_empty());
    let group = |name: &str| snapshot.link(name).unwrap().group();
    assert_eq!((group("w0"), group("w1")), (6, 5), "confirmed, and for good");
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
}

fn what_cannot_be_written_down_as_confirmed_is_taken_back() {
    machine();
    let world = world();
    let journal = Journal::new();
    let ended = journal.child("unwritable").wait().expect("the child");
    assert!(ended.success(), "{ended}");
    exactly(&world, "taken back");
}

fn what_is_committed_while_another_waits_for_its_word_takes_no_room() {
    machine();
    let journal = Journal::new();
    let db = Db::builder().journal(&journal.0).open().unwrap();
    let group = |name: &str, group| db.interface(name).unwrap().set_group(group).into_transaction();
    let pending = group("w0", 5).commit_confirmed(LONG).unwrap();
    let mut lengths = Vec::new();
    for number in 1..6 {
        group("w1", number).commit().unwrap();
        lengths.push(fs::metadata(&journal.0).unwrap().len());
    }
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    pending.confirm().unwrap();
    drop(db);
    assert!(matches!(journal.recover().unwrap(), Recovery::NothingToDo));
}
