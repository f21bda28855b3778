//! The promises P1 to P4 and P6, judged on the simulated kernel: whole commits in which every request is refused
//! in its turn, every answer and notification lost, others interfere between any two requests, and the ending
//! that is told is compared with the truth.
//!
//! `NETLINKDB_SEEDS=n` plays so many random runs, `NETLINKDB_SEED=x` that one alone.

#[path = "support/drive/mod.rs"]
mod drive;
#[path = "support/sim/mod.rs"]
mod sim;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use drive::announced::{judge_announced, judge_snapshot};
use drive::judge::{self, Difference, Truth};
use drive::scenario::{SCENARIOS, Scenario, at, furnished};
use drive::{Driver, Kept, ROOMY};
use netlinkdb::internals::plan::{Outcome, Refusal, Which};
use netlinkdb::internals::state::{Object, Snapshot};
use netlinkdb::{BridgeOptions, Link, Neighbour};
use sim::rng::Rng;
use sim::wire::IfInfo;
use sim::wire::uapi::{
    IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, NLM_F_CREATE, NLM_F_EXCL, RTM_NEWLINK,
};
use sim::{Kernel, Op, op};

/// Says which run it was, when it fails.
struct Label(String);

impl Drop for Label {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in: {}", self.0);
        }
    }
}

/// A database on a furnished kernel, before a scenario.
struct Stage {
    kernel: Kernel,
    driver: Driver,
    before: Truth,
    committed: bool,
    /// Whether the kernel gives errors that it would not give.
    lies: bool,
}

impl Stage {
    fn new(scenario: &Scenario) -> Stage {
        let mut kernel = furnished(1, scenario.promote);
        let driver = Driver::open(&mut kernel, ROOMY);
        kernel.faults().reset();
        let before = Truth::of(&kernel);
        Stage { kernel, driver, before, committed: false, lies: false }
    }

    /// Another process undoes what was left, as it is to be. Whether there was something to undo.
    fn recovers(&mut self, scenario: &Scenario, kept: &Kept) -> bool {
        self.reopen();
        let outcome = Ok(self.driver.recover(&mut self.kernel, kept));
        self.judge(scenario, &outcome);
        self.judge_snapshot();
        matches!(outcome, Ok(Outcome::RolledBack { .. }))
    }

    fn commit(&mut self, scenario: &Scenario) -> Result<Outcome, Refusal> {
        let mut draft = self.driver.draft();
        (scenario.edit)(&mut draft)?;
        self.driver.commit(&mut self.kernel, &draft)
    }

    /// Another process has the database from now on.
    fn reopen(&mut self) {
        let new = Driver::open(&mut self.kernel, ROOMY);
        std::mem::replace(&mut self.driver, new).close(&mut self.kernel);
    }

    fn differences(&self) -> Vec<Difference> {
        self.before.diff(&Truth::of(&self.kernel))
    }

    /// Requests on the request socket so far.
    fn sent(&mut self) -> usize {
        let socket = self.driver.request_socket();
        self.kernel.faults().requests_on(socket)
    }

    /// Plays a scenario with faults and judges how it ended.
    fn play(scenario: &Scenario, label: &str, fault: impl FnOnce(&mut Kernel, &Driver)) -> Stage {
        let _label = Label(format!("{}: {label}", scenario.name));
        let mut stage = Stage::new(scenario);
        fault(&mut stage.kernel, &stage.driver);
        stage.lies = label.ends_with(&format!("gets {}", libc::EEXIST));
        let outcome = stage.commit(scenario);
        stage.judge(scenario, &outcome);
        stage.judge_snapshot();
        stage
    }

    /// What is told is told of the moment: what the kernel does a second later, because an interface that could not be
    /// restored has no carrier, need not be.
    fn judge(&mut self, scenario: &Scenario, outcome: &Result<Outcome, Refusal>) {
        let at_once = self.differences();
        self.kernel.settle();
        let differences = self.differences();
        let lines = judge::lines(&differences);
        self.committed = is_committed(outcome);
        match outcome {
            Ok(Outcome::Committed { .. }) => {
                let expect = scenario.expect.iter().map(|line| (*line).to_owned()).collect();
                assert_eq!(self.view(lines), self.view(expect), "committed");
            }
            Ok(Outcome::RolledBack { cause, .. }) => {
                assert!(lines.is_empty(), "rolled back because {cause}, but {lines:#?}");
                let kernels: Vec<_> = differences.iter().filter(|d| judge::is_kernels(d)).collect();
                assert!(kernels.is_empty(), "rolled back because {cause}, but {kernels:#?}");
            }
            Ok(Outcome::Torn { residue, .. }) => {
                assert!(!residue.is_empty());
                let known = |one: &&Difference| at_once.iter().any(|other| one.is_of(other));
                let known: Vec<_> = differences.iter().filter(known).cloned().collect();
                let others: Vec<_> = differences.into_iter().chain(at_once).collect();
                judge::check_residue_with(residue, &known, &others);
            }
            Err(refusal) => {
                assert_eq!(self.sent(), 0, "refused: {refusal}");
                assert!(lines.is_empty(), "refused: {refusal}, but {lines:#?}");
            }
        }
    }

    /// A kernel that says "there already" of an address that is not there makes it come back later than it should:
    /// then only that it is there counts, not its place.
    fn view(&self, lines: Vec<String>) -> Vec<String> {
        if !self.lies {
            return lines;
        }
        let brief = |line: String| match line.split_once(" flags ") {
            Some((what, how)) if what.contains(" address ") => {
                (how.ends_with("-> -") || what.ends_with("- ->")).then(|| what.to_owned())
            }
            _ => Some(line),
        };
        lines.into_iter().filter_map(brief).collect()
    }

    /// P1: what the database shows is what a new one shows, faults or not.
    fn judge_snapshot(&mut self) {
        self.driver.quiesce(&mut self.kernel);
        self.kernel.faults().reset();
        judge_snapshot(&mut self.kernel, &mut self.driver);
    }
}

impl Stage {
    fn is_committed(&self) -> bool {
        self.committed
    }
}

fn is_committed(outcome: &Result<Outcome, Refusal>) -> bool {
    matches!(outcome, Ok(Outcome::Committed { .. }))
}

#[test]
fn every_scenario_commits_what_it_names_and_nothing_else() {
    for scenario in SCENARIOS {
        let _label = Label(scenario.name.to_owned());
        let mut stage = Stage::new(scenario);
        let outcome = stage.commit(scenario);
        assert!(is_committed(&outcome), "{}", brief(&outcome));
        stage.judge(scenario, &outcome);
        stage.judge_snapshot();
    }
}

/// Counts of one fault-free run.
struct Counts {
    requests: usize,
    all_requests: usize,
    notifications: usize,
    datagrams: usize,
}

fn counts(scenario: &Scenario) -> Counts {
    let mut stage = Stage::new(scenario);
    let outcome = stage.commit(scenario);
    assert!(is_committed(&outcome), "{}", brief(&outcome));
    Counts {
        requests: stage.sent(),
        all_requests: stage.kernel.faults().requests(),
        notifications: stage.kernel.faults().notifications(),
        datagrams: stage.kernel.faults().datagrams(),
    }
}

const ERRNOS: &[i32] =
    &[libc::EPERM, libc::EEXIST, libc::ENODEV, libc::EBUSY, libc::EADDRNOTAVAIL, libc::ENOENT];

#[test]
fn every_request_refused() {
    for scenario in SCENARIOS {
        for nth in 1..=counts(scenario).requests {
            for errno in [&ERRNOS[0], &ERRNOS[1 + nth % (ERRNOS.len() - 1)]] {
                let fault = |kernel: &mut Kernel, driver: &Driver| {
                    kernel.faults().refuse_on(driver.request_socket(), nth, *errno);
                };
                let stage = Stage::play(scenario, &format!("request {nth} gets {errno}"), fault);
                // The kernel would not say this of a request that is in order: it may be so already.
                let tolerable =
                    [libc::EEXIST, libc::ENODEV, libc::EADDRNOTAVAIL, libc::ENOENT].contains(errno);
                assert!(tolerable || !stage.is_committed(), "committed although refused");
            }
        }
    }
}

#[test]
fn a_commit_hook_that_refuses() {
    for scenario in SCENARIOS {
        let _label = Label(scenario.name.to_owned());
        let mut stage = Stage::new(scenario);
        stage.driver.hook_fails = true;
        let outcome = stage.commit(scenario);
        assert!(!is_committed(&outcome));
        stage.judge(scenario, &outcome);
        stage.judge_snapshot();
    }
}

/// Requests of the run in which the hook refuses: forward and backward.
fn requests_with_rollback(scenario: &Scenario) -> usize {
    let mut stage = Stage::new(scenario);
    stage.driver.hook_fails = true;
    drop(stage.commit(scenario));
    stage.sent()
}

#[test]
fn every_request_of_a_rollback_refused_once_and_from_then_on() {
    for scenario in SCENARIOS {
        let forward = counts(scenario).requests;
        for nth in forward + 1..=requests_with_rollback(scenario) {
            for times in [[1, 2, 400][nth % 3]] {
                let label = format!("requests {nth} and {times} on are refused after the hook");
                let _label = Label(format!("{}: {label}", scenario.name));
                let mut stage = Stage::new(scenario);
                stage.driver.hook_fails = true;
                let socket = stage.driver.request_socket();
                for nth in nth..nth + times {
                    stage.kernel.faults().refuse_on(socket, nth, libc::EPERM);
                }
                let outcome = stage.commit(scenario);
                assert!(!is_committed(&outcome));
                stage.judge(scenario, &outcome);
                stage.judge_snapshot();
            }
        }
    }
}

#[test]
fn a_refusal_in_the_middle_and_another_on_the_way_back() {
    for scenario in SCENARIOS {
        let forward = counts(scenario).requests;
        for nth in 1..=forward {
            // Of long commits some pairs, other ones for each first.
            let step = 1 + forward / 8;
            for second in (nth + 1 + nth % step..nth + forward + 4).step_by(step) {
                let fault = |kernel: &mut Kernel, driver: &Driver| {
                    let socket = driver.request_socket();
                    kernel.faults().refuse_on(socket, nth, libc::EPERM);
                    kernel.faults().refuse_on(socket, second, libc::EPERM);
                };
                Stage::play(scenario, &format!("requests {nth} and {second} are refused"), fault);
            }
        }
    }
}

/// A process with a journal is killed after each request, and when everything is done but not told yet: another one
/// brings back what was.
#[test]
fn killed_after_every_request() {
    let mut rolled_back = 0;
    for scenario in SCENARIOS {
        for requests in 0.. {
            let _label = Label(format!("{}: killed after {requests}", scenario.name));
            let mut stage = Stage::new(scenario);
            let mut draft = stage.driver.draft();
            if (scenario.edit)(&mut draft).is_err() {
                break;
            }
            let Ok(left) = stage.driver.commit_and_die(&mut stage.kernel, &draft, requests) else {
                break;
            };
            let all = stage.sent() < requests;
            let Some(kept) = left else { break };
            rolled_back += u32::from(stage.recovers(scenario, &kept));
            if all {
                break;
            }
        }
    }
    println!("rolled back {rolled_back} times");
    assert!(rolled_back > 100, "{rolled_back}");
}

/// A process is killed when everything is done, and the kernel goes on before the next one comes to undo it: a bridge that
/// has lost its last port loses its carrier, and with that the nexthop objects over it.
#[test]
fn the_kernel_goes_on_before_a_recovery() {
    let mut rolled_back = 0;
    for scenario in SCENARIOS {
        let _label = Label(format!("{}: recovered later", scenario.name));
        let mut stage = Stage::new(scenario);
        let mut draft = stage.driver.draft();
        if (scenario.edit)(&mut draft).is_err() {
            continue;
        }
        let everything = counts(scenario).requests;
        let left = stage.driver.commit_and_die(&mut stage.kernel, &draft, everything);
        let Ok(Some(kept)) = left else { continue };
        stage.kernel.settle();
        rolled_back += u32::from(stage.recovers(scenario, &kept));
    }
    println!("rolled back {rolled_back} times");
    assert!(rolled_back > 20, "{rolled_back}");
}

/// A process is killed when everything is done, and the one that undoes it after each request; the next one ends it.
#[test]
fn every_recovery_killed() {
    let mut rolled_back = 0;
    for scenario in SCENARIOS {
        let everything = counts(scenario).requests;
        for requests in 0..requests_with_rollback(scenario) - everything {
            let _label = Label(format!("{}: recovery killed after {requests}", scenario.name));
            let mut stage = Stage::new(scenario);
            let mut draft = stage.driver.draft();
            if (scenario.edit)(&mut draft).is_err() {
                break;
            }
            let left = stage.driver.commit_and_die(&mut stage.kernel, &draft, everything);
            let Ok(Some(mut kept)) = left else { break };
            stage.reopen();
            stage.driver.recover_and_die(&mut stage.kernel, &mut kept, requests);
            rolled_back += u32::from(stage.recovers(scenario, &kept));
        }
    }
    println!("rolled back {rolled_back} times");
    assert!(rolled_back > 100, "{rolled_back}");
}

#[test]
fn every_answer_lost() {
    for scenario in SCENARIOS {
        for nth in 1..=counts(scenario).requests {
            let fault = |kernel: &mut Kernel, driver: &Driver| {
                kernel.faults().lose_ack_on(driver.request_socket(), nth);
            };
            Stage::play(scenario, &format!("answer {nth} is lost"), fault);
            let fault = |kernel: &mut Kernel, driver: &Driver| {
                let socket = driver.request_socket();
                kernel.faults().refuse_on(socket, nth, libc::EPERM);
                kernel.faults().lose_ack_on(socket, nth);
            };
            Stage::play(scenario, &format!("refusal {nth} is lost"), fault);
        }
        let all = requests_with_rollback(scenario);
        for nth in counts(scenario).requests + 1..=all {
            let _label = Label(format!("{}: answer {nth} is lost after the hook", scenario.name));
            let mut stage = Stage::new(scenario);
            stage.driver.hook_fails = true;
            let socket = stage.driver.request_socket();
            stage.kernel.faults().lose_ack_on(socket, nth);
            let outcome = stage.commit(scenario);
            stage.judge(scenario, &outcome);
            stage.judge_snapshot();
        }
    }
}

#[test]
fn every_notification_lost_and_every_datagram_truncated() {
    for scenario in SCENARIOS {
        let counts = counts(scenario);
        for nth in 1..=counts.notifications {
            let fault = |kernel: &mut Kernel, driver: &Driver| {
                kernel.faults().lose_notification_on(driver.event_socket(), nth);
            };
            let stage = Stage::play(scenario, &format!("notification {nth} is lost"), fault);
            assert!(stage.is_committed(), "a loss is repaired, not a failure");
        }
        for nth in 1..=counts.datagrams {
            let fault = |kernel: &mut Kernel, _: &Driver| kernel.faults().truncate(nth);
            Stage::play(scenario, &format!("datagram {nth} is truncated"), fault);
        }
    }
}

#[test]
fn every_request_done_in_part() {
    for scenario in SCENARIOS {
        for nth in 1..=counts(scenario).all_requests {
            let fields = nth % 3;
            let fault = |kernel: &mut Kernel, _: &Driver| {
                kernel.faults().cut_short(nth, fields, libc::EINVAL);
            };
            Stage::play(scenario, &format!("request {nth} does {fields} fields"), fault);
        }
    }
}

fn brief(outcome: &Result<Outcome, Refusal>) -> String {
    match outcome {
        Ok(Outcome::Committed { .. }) => "committed".to_owned(),
        Ok(Outcome::RolledBack { cause, .. }) => format!("rolled back: {cause}"),
        Ok(Outcome::Torn { cause, residue, .. }) => format!("torn: {cause}: {residue:#?}"),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

/// What another program does between two requests.
struct Interference {
    name: String,
    act: Rc<dyn Fn(&mut Kernel) -> bool>,
}

impl Interference {
    fn ops(ops: Vec<Op>) -> Interference {
        let name = format!("{ops:?}");
        let all = move |kernel: &mut Kernel| ops.iter().all(|op| kernel.perform(op).is_ok());
        Interference { name, act: Rc::new(all) }
    }
}

/// A run with another program in it.
struct Interfered {
    stage: Stage,
    outcome: Result<Outcome, Refusal>,
    /// The state before, and what the other program alone would have made of it.
    alone: Truth,
    /// Whether the other program came to its turn and was not refused.
    acted: bool,
}

impl Interfered {
    /// `nth` counts requests of the committing database; the other program comes just before it.
    fn play(scenario: &Scenario, nth: usize, fails: bool, other: &Interference) -> Interfered {
        let mut stage = Stage::new(scenario);
        stage.driver.hook_fails = fails;
        stage.lies = true;
        let acted = Rc::new(Cell::new(None));
        let (act, said) = (Rc::clone(&other.act), Rc::clone(&acted));
        let socket = stage.driver.request_socket();
        stage.kernel.faults().before_each(move |kernel| {
            if said.get().is_none() && kernel.faults().requests_on(socket) == nth {
                said.set(Some(false));
                said.set(Some(act(kernel)));
            }
        });
        let outcome = stage.commit(scenario);
        stage.kernel.settle();
        let acted = acted.get() == Some(true);
        let mut twin = Stage::new(scenario);
        if acted {
            (other.act)(&mut twin.kernel);
            twin.kernel.settle();
        }
        Interfered { stage, outcome, alone: Truth::of(&twin.kernel), acted }
    }

    /// The differences from what the other program alone would have made. A neighbour that is as it was before may have gone
    /// with what the commit did, before the other program's doing would have taken it: it is brought back.
    fn differences(&self) -> Vec<Difference> {
        let mut all = self.alone.diff(&Truth::of(&self.stage.kernel));
        let since = self.stage.differences();
        let is_back = |one: &Difference| {
            let is_new = one.field.starts_with("neighbour ") && one.was.is_empty();
            is_new && !since.iter().any(|other| one.is_of(other))
        };
        all.retain(|one| !is_back(one));
        all
    }

    fn lines(&self) -> Vec<String> {
        self.stage.view(judge::lines(&self.differences()))
    }

    /// P2 and P4: the ending is true, and what the other program did is there.
    fn judge(&mut self) {
        match &self.outcome {
            Ok(Outcome::RolledBack { cause, .. }) => {
                let lines = self.lines();
                assert!(lines.is_empty(), "rolled back because {cause}, but {lines:#?}");
            }
            Ok(Outcome::Torn { residue, .. }) => {
                let others = self.stage.differences();
                judge::check_residue_with(residue, &self.differences(), &others);
            }
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(self.stage.sent(), 0, "refused: {refusal}");
            }
        }
        self.judge_snapshot();
    }

    /// What another program changes in silence is found by reading anew.
    fn judge_snapshot(&mut self) {
        self.stage.driver.resync(&mut self.stage.kernel);
        self.stage.judge_snapshot();
    }
}

const NAMES: &[&str] = &["v0", "v0p", "br0", "p0", "br1", "d0", "d1", "mv0", "p0p"];

fn deletes(scenario: &Scenario, name: &str) -> bool {
    scenario.expect.contains(&format!("{name} interface there -> -").as_str())
}

fn renames(scenario: &Scenario, name: &str) -> bool {
    scenario.expect.iter().any(|line| line.starts_with(&format!("{name} name ")))
}

#[test]
fn another_program_changes_another_field() {
    for scenario in SCENARIOS {
        let all = requests_with_rollback(scenario);
        for nth in 1..=all {
            for name in [NAMES[nth % NAMES.len()]] {
                // What another program does to an interface just before it is deleted goes with it; names that
                // change mean another interface in between.
                if deletes(scenario, name) || renames(scenario, name) {
                    continue;
                }
                let altname = "a-name-of-another-program".to_owned();
                let other = Interference::ops(vec![
                    Op::AddAltname { name: name.to_owned(), altname },
                    Op::AddAddress {
                        name: name.to_owned(),
                        local: vec![10, 200, 0, 1],
                        prefix: 24,
                    },
                ]);
                let fails = nth % 2 == 0;
                let label =
                    format!("{}: before {nth}, hook {fails}: {}", scenario.name, other.name);
                let _label = Label(label);
                let mut run = Interfered::play(scenario, nth, fails, &other);
                if is_committed(&run.outcome) {
                    let expect = scenario.expect.iter().map(|line| (*line).to_owned());
                    assert_eq!(run.lines(), run.stage.view(expect.collect()), "committed");
                }
                assert_eq!(is_committed(&run.outcome), !fails, "{}", brief(&run.outcome));
                run.judge();
            }
        }
    }
}

#[test]
fn another_program_deletes_an_interface_in_the_middle() {
    for scenario in SCENARIOS {
        let forward = counts(scenario).requests;
        for nth in 1..=requests_with_rollback(scenario) {
            for name in [NAMES[nth % NAMES.len()], "v0"] {
                // A name that changes means another interface in between.
                let created = format!("{name} interface - -> there");
                // A bridge that is brought back keeps the hardware address that it had, whatever its ports.
                let follows = name.starts_with("p0") && deletes(scenario, "br0");
                // What is being brought back and is deleted again comes back again.
                let again = nth > forward && deletes(scenario, name);
                if follows
                    || again
                    || renames(scenario, name)
                    || scenario.expect.contains(&created.as_str())
                {
                    continue;
                }
                let other = Interference::ops(vec![Op::Delete { name: name.to_owned() }]);
                let fails = nth % 2 == 0;
                let label =
                    format!("{}: before {nth}, hook {fails}: {}", scenario.name, other.name);
                let _label = Label(label);
                let mut run = Interfered::play(scenario, nth, fails, &other);
                let named = scenario
                    .expect
                    .iter()
                    .any(|line| line.starts_with(&format!("{name} ")) && !line.ends_with("-> -"));
                if run.acted && named && !deletes(scenario, name) && nth <= forward {
                    assert!(!is_committed(&run.outcome), "what is named is gone");
                }
                run.judge();
            }
        }
    }
}

#[test]
fn another_program_makes_an_interface_of_the_name_just_before() {
    for scenario in SCENARIOS {
        let fresh =
            scenario.expect.iter().filter_map(|line| line.strip_suffix(" interface - -> there"));
        for name in fresh {
            for nth in 1..=counts(scenario).requests {
                let name = name.to_owned();
                let other = Interference::ops(vec![Op::Create { name: name.clone(), kind: "ifb" }]);
                let _label = Label(format!("{}: before {nth}: {}", scenario.name, other.name));
                let mut run = Interfered::play(scenario, nth, false, &other);
                if !run.acted {
                    continue;
                }
                assert!(!is_committed(&run.outcome), "{}", brief(&run.outcome));
                let link = run.stage.kernel.link_named(&name).expect("another program's interface");
                assert_eq!(link.kind, Some("ifb"), "it is another program's");
                let differences = run.stage.differences();
                let ours: Vec<_> =
                    differences.into_iter().filter(|d| d.index != link.index).collect();
                match &run.outcome {
                    Ok(Outcome::Torn { residue, .. }) => judge::check_residue(residue, &ours),
                    _ => assert_eq!(run.stage.view(judge::lines(&ours)), [""; 0]),
                }
                run.judge_snapshot();
            }
        }
    }
}

#[test]
fn another_program_adds_the_same_address() {
    // Just before a deletion it is too late: what another program adds then goes along.
    let too_late = |scenario: &&Scenario| renames(scenario, "v0") || deletes(scenario, "v0");
    for scenario in SCENARIOS.iter().filter(|scenario| !too_late(scenario)) {
        for nth in 1..=counts(scenario).requests {
            let same =
                Op::AddAddress { name: "v0".to_owned(), local: vec![10, 0, 0, 9], prefix: 24 };
            let other = Interference::ops(vec![same]);
            let _label = Label(format!("{}: before {nth}: {}", scenario.name, other.name));
            let mut run = Interfered::play(scenario, nth, true, &other);
            run.judge();
        }
    }
}

/// A commit deletes an interface; before it is brought back, another program takes its index.
#[test]
fn another_program_takes_the_index() {
    for name in ["a bridge with a port goes", "a veth with a macvlan on it goes", "several go"] {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
        let forward = counts(scenario).requests;
        for (index, kind) in [(2, "bridge"), (7, "ifb")] {
            for nth in forward + 1..=requests_with_rollback(scenario) {
                let act = move |kernel: &mut Kernel| {
                    let flags = NLM_F_CREATE | NLM_F_EXCL;
                    let info = IfInfo { index, ..IfInfo::default() };
                    let request = op::link(RTM_NEWLINK, flags, info, |to| {
                        to.text(IFLA_IFNAME, "thief");
                        to.nest(IFLA_LINKINFO, |to| {
                            to.text(IFLA_INFO_KIND, kind);
                        });
                    });
                    kernel.foreign(&request).iter().all(Result::is_ok)
                };
                let other = Interference { name: format!("{kind} {index}"), act: Rc::new(act) };
                let _label = Label(format!("{name}: before {nth}: {}", other.name));
                let mut run = Interfered::play(scenario, nth, true, &other);
                if run.acted {
                    let thief = run.stage.kernel.link_named("thief").expect("it is not ours");
                    assert_eq!((thief.index, thief.up, thief.mtu), (index, false, 1500));
                    let Ok(Outcome::Torn { residue, .. }) = &run.outcome else {
                        panic!("not torn: {}", brief(&run.outcome));
                    };
                    let differences = run.stage.differences().into_iter();
                    let ours: Vec<_> =
                        differences.filter(|d| !["thief", "veth0"].contains(&&*d.on)).collect();
                    judge::check_residue(residue, &ours);
                }
                run.judge_snapshot();
            }
        }
    }
}

fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("NETLINKDB_SEED"), number("NETLINKDB_SEEDS")) {
        (Some(one), _) => vec![one],
        (None, many) => (0..many.unwrap_or(default)).collect(),
    }
}

/// What happens to an interface that is deleted and whose index another one gets at once (K33).
fn reuse_an_index(kernel: &mut Kernel, rng: &mut Rng) {
    let links: Vec<_> = kernel.links().into_iter().filter(|link| link.kind.is_some()).collect();
    if links.is_empty() {
        return;
    }
    let old = &links[rng.below(links.len())];
    let index = old.index;
    if kernel.perform(&Op::Delete { name: old.name.clone() }).is_err() {
        return;
    }
    let name = format!("again{}", rng.below(1000));
    let kind = ["ifb", "bridge", "veth"][rng.below(3)];
    let info = IfInfo { index, ..IfInfo::default() };
    let request = op::link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, info, |to| {
        to.text(IFLA_IFNAME, &name);
        to.nest(IFLA_LINKINFO, |to| {
            to.text(IFLA_INFO_KIND, kind);
        });
    });
    kernel.foreign(&request);
}

/// One thing that another program does.
fn disturb(kernel: &mut Kernel, rng: &mut Rng) {
    match rng.below(20) {
        0 => reuse_an_index(kernel, rng),
        1 => {
            let links = kernel.links();
            let name = links[rng.below(links.len())].name.clone();
            // It may be the loopback, which stays.
            let _ = kernel.perform(&Op::MoveOut { name });
        }
        2 | 3 => {
            kernel.tick();
        }
        _ => {
            let op = Op::random(kernel);
            let _ = kernel.perform(&op);
        }
    }
}

/// P1: changes that the kernel announces, in any order and with any loss, and the snapshot is the kernel.
#[test]
fn a_follower_alone() {
    let (mut overruns, mut concluded) = (0, 0);
    for seed in seeds(100) {
        let _label = Label(format!("NETLINKDB_SEED={seed}"));
        let mut rng = Rng::new(seed);
        let mut kernel = Kernel::new(seed);
        kernel.sysctl().promote_secondaries = rng.below(2) == 0;
        kernel.sysctl().keep_addr_on_down = rng.below(3) == 0;
        if rng.below(2) == 0 {
            kernel.faults().dump_chunk = 600;
        }
        let capacity = [6_000, 20_000, 100_000, ROOMY][rng.below(4)];
        let mut driver = Driver::open(&mut kernel, capacity);
        let mut handles: BTreeMap<(u32, u64), String> = BTreeMap::new();
        for _ in 0..150 {
            disturb(&mut kernel, &mut rng);
            match rng.below(40) {
                0 => kernel.faults().interrupt_dumps(1 + rng.below(3)),
                1 => {
                    let nth = kernel.faults().datagrams() + 1 + rng.below(6);
                    kernel.faults().truncate(nth);
                }
                2 => {
                    let nth = kernel.faults().notifications() + 1 + rng.below(6);
                    kernel.faults().lose_notification(nth);
                }
                3 => driver.quiesce(&mut kernel),
                _ => {}
            }
            let before = driver.snapshot().clone();
            for _ in 0..rng.below(4) {
                driver.step(&mut kernel);
            }
            judge_step(&before, driver.snapshot(), &mut handles);
        }
        kernel.settle();
        kernel.faults().reset();
        driver.quiesce(&mut kernel);
        overruns += driver.follower().losses().overruns;
        concluded += driver.concluded;
        driver.snapshot().check();
        // What is documented to change without a word: on links that were down, and `Op`s of that sort.
        judge_announced(&mut kernel, &mut driver);
        driver.resync(&mut kernel);
        judge_snapshot(&mut kernel, &mut driver);
    }
    assert!(
        overruns > 0 && concluded > 0 || std::env::var("NETLINKDB_SEED").is_ok(),
        "nothing was lost, or nothing went in silence: no test of that"
    );
}

/// The kernel shows of an IPv6 group what its first leg says, and announces a new leg as if that were the first: its
/// metrics were shown for all, until everything was read anew.
#[test]
fn a_leg_with_other_metrics_than_its_group() {
    let mut kernel = furnished(1, false);
    let mut driver = Driver::open(&mut kernel, ROOMY);
    let v0 = kernel.link_named("v0").expect("a link").index;
    let leg = |kind, flags, last: u8, mtu: u32| {
        let mut way = sim::route::Way { oif: v0, ..Default::default() };
        way.gateway =
            std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).octets().into();
        op::route6(kind, flags, [0x20, 1, 0xd, 0xb8, 0, 0x99], 48, &way, mtu)
    };
    use sim::wire::uapi::{NLM_F_APPEND, RTM_DELROUTE, RTM_NEWROUTE};
    for (last, mtu) in [(0xfe, 1400), (0xfd, 1300), (0xfc, 1300)] {
        let request = leg(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, last, mtu);
        assert!(kernel.foreign(&request).iter().all(Result::is_ok));
        driver.quiesce(&mut kernel);
        judge_snapshot(&mut kernel, &mut driver);
    }
    for last in [0xfd, 0xfe] {
        assert!(kernel.foreign(&leg(RTM_DELROUTE, 0, last, 0)).iter().all(Result::is_ok));
        driver.quiesce(&mut kernel);
        judge_snapshot(&mut kernel, &mut driver);
    }
}

/// A bridge with a spanning tree has no carrier until the port that came back has learned: a second later the kernel took
/// nexthop objects by it, and all that led over them, of a commit that had ended as rolled back.
#[test]
fn what_goes_with_a_carrier_that_does_not_come_back_is_told() {
    let leaves = SCENARIOS.iter().find(|one| one.name == "a port leaves").expect("a scenario");
    let mut stage = Stage::new(leaves);
    let mut draft = stage.driver.draft();
    let br0 = at(&draft, "br0").expect("a bridge");
    draft.set_data(br0, BridgeOptions::new().stp_state(true).record()).expect("an option");
    let tree = stage.driver.commit(&mut stage.kernel, &draft);
    assert!(is_committed(&tree), "{}", brief(&tree));
    stage.kernel.settle();
    stage.before = Truth::of(&stage.kernel);
    stage.driver.hook_fails = true;
    let outcome = stage.commit(leaves);
    stage.kernel.settle();
    let Ok(Outcome::Torn { residue, .. }) = &outcome else { panic!("{}", brief(&outcome)) };
    let differences = stage.differences();
    judge::check_residue(residue, &differences);
    for what in ["nexthop 2", "nexthop 10", "route 10.31.0.0/16 table 254"] {
        assert!(differences.iter().any(|one| one.field == what), "{what}: {differences:#?}");
    }
}

/// What is deleted was looked at once more before the first deletion, but only what went with that one: what others had changed
/// in silence of the next ones was lost in a rollback.
#[test]
fn what_is_deleted_last_comes_back_as_it_was_too() {
    let several = SCENARIOS.iter().find(|one| one.name == "several go").expect("a scenario");
    let mut stage = Stage::new(several);
    let silent = Op::SetAlias { name: "d1".to_owned(), alias: "of another".to_owned() };
    stage.kernel.perform(&silent).expect("it is there");
    stage.before = Truth::of(&stage.kernel);
    stage.driver.hook_fails = true;
    let outcome = stage.commit(several);
    stage.judge(several, &outcome);
    assert!(matches!(outcome, Ok(Outcome::RolledBack { .. })), "{}", brief(&outcome));
}

/// Others had taken a proxy away, which the kernel tells nobody: a rollback put it back.
#[test]
fn a_proxy_that_others_have_taken_away_does_not_come_back() {
    let smaller = "what a macvlan is on gets smaller";
    let smaller = SCENARIOS.iter().find(|one| one.name == smaller).expect("a scenario");
    let mut stage = Stage::new(smaller);
    let mut other = Driver::open(&mut stage.kernel, ROOMY);
    let mut draft = other.draft();
    let proxy = Neighbour::new("10.0.0.77", "v0").proxy();
    draft.take(&Which::Neighbour(proxy)).expect("it is there");
    assert!(is_committed(&other.commit(&mut stage.kernel, &draft)));
    other.close(&mut stage.kernel);
    stage.before = Truth::of(&stage.kernel);
    let mut draft = stage.driver.draft();
    (smaller.edit)(&mut draft).expect("in order");
    let kept = stage.driver.commit_and_die(&mut stage.kernel, &draft, 64).expect("no refusal");
    assert!(stage.recovers(smaller, &kept.expect("it was killed")), "it is rolled back");
}

/// The kernel does not say of a proxy that it is permanent: one that a rollback brought back was not, and went without a word
/// as soon as its interface had no carrier.
#[test]
fn a_proxy_that_was_brought_back_outlives_the_carrier() {
    let down = SCENARIOS.iter().find(|one| one.name == "down").expect("a scenario");
    let proxies = |kernel: &Kernel| kernel.neighbours().iter().filter(|own| own.proxy).count();
    let mut stage = Stage::new(down);
    let there = proxies(&stage.kernel);
    stage.driver.hook_fails = true;
    let outcome = stage.commit(down);
    assert!(matches!(outcome, Ok(Outcome::RolledBack { .. })), "{outcome:?}");
    let other_end = Op::Down { name: "v0p".to_owned() };
    stage.kernel.perform(&other_end).expect("it is there");
    stage.kernel.settle();
    assert_eq!((there, proxies(&stage.kernel)), (1, 1), "proxies before and after");
}

/// A handle never means another interface, and the differences lead from one snapshot to the other.
fn judge_step(before: &Snapshot, now: &Snapshot, handles: &mut BTreeMap<(u32, u64), String>) {
    now.check();
    for link in now.links() {
        let kind = link.kind().unwrap_or("none").to_owned();
        let known =
            handles.entry((link.index(), link.generation())).or_insert_with(|| kind.clone());
        assert_eq!(*known, kind, "handle {} {}", link.index(), link.generation());
    }
    let mut links: BTreeMap<u32, &Link> = before.links().map(|link| (link.index(), link)).collect();
    let diff = before.diff(now);
    for change in diff.changes() {
        if let Some(Object::Link(old)) = change.before() {
            assert!(links.remove(&old.index()).is_some(), "gone, and was not there: {old}");
        }
        if let Some(Object::Link(new)) = change.after() {
            assert!(links.insert(new.index(), new).is_none(), "came twice: {new}");
        }
    }
    let led: Vec<_> = links.values().map(|link| (link.index(), link.generation())).collect();
    let truth: Vec<_> = now.links().map(|link| (link.index(), link.generation())).collect();
    assert_eq!(led, truth, "the differences do not lead there");
    for link in now.links() {
        assert!(links[&link.index()].record().same(link.record()), "{}", link.name());
    }
    let count = |of: &Snapshot| of.addresses().count();
    let moved = diff.changes().iter().map(|change| match (change.before(), change.after()) {
        (None, Some(Object::Address(..))) => 1,
        (Some(Object::Address(..)), None) => -1,
        _ => 0,
    });
    assert_eq!(count(before) as i64 + moved.sum::<i64>(), count(now) as i64, "addresses");
}

/// Whole runs: drafts of the scenarios, other programs, small buffers and every fault, from a seed.
#[test]
fn random_runs() {
    let errnos = [libc::EPERM, libc::EBUSY, libc::EINVAL, libc::ENOBUFS];
    for seed in seeds(60) {
        let _label = Label(format!("NETLINKDB_SEED={seed}"));
        let mut rng = Rng::new(seed.wrapping_mul(31));
        let mut kernel = furnished(seed, rng.below(2) == 0);
        let mut driver = Driver::open(&mut kernel, [30_000, 212_992, ROOMY][rng.below(3)]);
        driver.together = [1, 4, 32][rng.below(3)];
        driver.pace = rng.below(4);
        for _ in 0..3 {
            kernel.faults().reset();
            let socket = driver.request_socket();
            for _ in 0..rng.below(4) {
                let (nth, errno) = (1 + rng.below(20), errnos[rng.below(errnos.len())]);
                match rng.below(5) {
                    0 => kernel.faults().refuse_on(socket, nth, errno),
                    1 => kernel.faults().lose_ack_on(socket, nth),
                    2 => kernel.faults().lose_notification(1 + rng.below(80)),
                    3 => kernel.faults().truncate(1 + rng.below(80)),
                    _ => kernel.faults().interrupt_dumps(1),
                }
            }
            driver.hook_fails = rng.below(3) == 0;
            let scenario = &SCENARIOS[rng.below(SCENARIOS.len())];
            let before = Truth::of(&kernel);
            let mut draft = driver.draft();
            if (scenario.edit)(&mut draft).is_err() {
                continue;
            }
            let outcome = driver.commit(&mut kernel, &draft);
            kernel.settle();
            let differences = before.diff(&Truth::of(&kernel));
            let lines = judge::lines(&differences);
            match &outcome {
                Ok(Outcome::Committed { .. }) => assert!(!driver.hook_fails || lines.is_empty()),
                Ok(Outcome::RolledBack { cause, .. }) => {
                    assert!(lines.is_empty(), "{}: {cause}: {lines:#?}", scenario.name);
                }
                Ok(Outcome::Torn { residue, .. }) => judge::check_residue(residue, &differences),
                Err(refusal) => {
                    assert_eq!(kernel.faults().requests_on(socket), 0, "{refusal}");
                    assert!(lines.is_empty());
                }
            }
            driver.quiesce(&mut kernel);
            kernel.faults().reset();
            judge_snapshot(&mut kernel, &mut driver);
            // Between commits others have their turn; what they do in silence is found by reading anew.
            for _ in 0..rng.below(3) {
                disturb(&mut kernel, &mut rng);
            }
            kernel.settle();
            driver.resync(&mut kernel);
            judge_snapshot(&mut kernel, &mut driver);
        }
    }
}
