//! The promises P1 to P4 and P6, judged on the simulated kernel: whole commits in which every request is refused
//! in its turn, every answer and notification lost, others interfere between any two requests, and the ending
//! that is told is compared with the truth.
//!
//! `NETLINKDB_SEEDS=n` plays so many random runs, `NETLINKDB_SEED=x` that one alone.

#[path = "support/drive/mod.rs"]
mod drive;
#[path = "support/sim/mod.rs"]
mod sim;

use std::collections::BTreeMap;

use drive::judge::{self, Difference, Truth};
use drive::scenario::{SCENARIOS, Scenario, furnish};
use drive::{Driver, ROOMY};
use netlinkdb::internals::plan::{Outcome, Refusal};
use netlinkdb::internals::state::Snapshot;
use netlinkdb::{FieldChange, Link};
use sim::Kernel;

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
        let mut kernel = Kernel::new(1);
        furnish(&mut kernel, scenario.promote);
        let driver = Driver::open(&mut kernel, ROOMY);
        kernel.faults().reset();
        let before = Truth::of(&kernel);
        Stage { kernel, driver, before, committed: false, lies: false }
    }

    fn commit(&mut self, scenario: &Scenario) -> Result<Outcome, Refusal> {
        let mut draft = self.driver.draft();
        (scenario.edit)(&mut draft)?;
        self.driver.commit(&mut self.kernel, &draft)
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
        stage.kernel.settle();
        stage.judge(scenario, &outcome);
        stage.judge_snapshot();
        stage
    }

    fn judge(&mut self, scenario: &Scenario, outcome: &Result<Outcome, Refusal>) {
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
            }
            Ok(Outcome::Torn { residue, .. }) => {
                assert!(!residue.is_empty());
                judge::check_residue(residue, &differences);
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

/// P1: what a database shows is what a new one shows.
fn judge_snapshot(kernel: &mut Kernel, driver: &mut Driver) {
    driver.snapshot().check();
    let fresh = Driver::open(kernel, ROOMY);
    let (ours, truth) = (shown(driver.snapshot()), shown(fresh.snapshot()));
    for (index, link) in &truth {
        let own = ours.get(index).unwrap_or_else(|| panic!("lacks {link:?}"));
        let changes = own.0.record().changes(link.0.record());
        let changes: Vec<_> = changes.iter().filter(|change| !is_silent(change)).collect();
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert!(changes.is_empty(), "{}: {changes:#?}", link.0.name());
        assert_eq!(own.1, link.1, "addresses of {}, and their order", link.0.name());
    }
    assert_eq!(ours.len(), truth.len(), "a link that is not there");
    fresh.close(kernel);
}

type Shown<'a> = BTreeMap<u32, (&'a Link, Vec<String>)>;

fn shown(snapshot: &Snapshot) -> Shown<'_> {
    let addresses = |index| -> Vec<String> {
        let all = snapshot.addresses_of(index).into_iter();
        all.map(|address| format!("{address} {:#x}", address.flags().0)).collect()
    };
    let links = snapshot.links();
    links.map(|link| (link.index(), (link, addresses(link.index())))).collect()
}

/// What the kernel changes without a word, by something else than a request about it (see `object::link`).
fn is_silent(change: &FieldChange) -> bool {
    change.name.starts_with("inet")
        || matches!(
            change.name,
            "tso_max_size"
                | "promiscuity"
                | "allmulti"
                | "qdisc"
                | "af_spec"
                | "root_id"
                | "root_port"
                | "ageing_time"
                | "topology_change"
        )
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
        stage.kernel.settle();
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
            for errno in ERRNOS {
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
        stage.kernel.settle();
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
            for times in [1, 2, 400] {
                let label = format!("requests {nth} and {times} on are refused after the hook");
                let _label = Label(format!("{}: {label}", scenario.name));
                let mut stage = Stage::new(scenario);
                stage.driver.hook_fails = true;
                let socket = stage.driver.request_socket();
                for nth in nth..nth + times {
                    stage.kernel.faults().refuse_on(socket, nth, libc::EPERM);
                }
                let outcome = stage.commit(scenario);
                stage.kernel.settle();
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
            for second in nth + 1..nth + forward + 4 {
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
            stage.kernel.settle();
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
            for fields in 0..4 {
                let fault = |kernel: &mut Kernel, _: &Driver| {
                    kernel.faults().cut_short(nth, fields, libc::EINVAL);
                };
                Stage::play(scenario, &format!("request {nth} does {fields} fields"), fault);
            }
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
