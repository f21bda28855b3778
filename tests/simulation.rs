//! The promises P1 to P4 and P6, judged on the simulated kernel: whole commits in which every request is refused
//! in its turn, every answer and notification lost, others interfere between any two requests, and the ending
//! that is told is compared with the truth.
//!
//! `NETLINKDB_SEEDS=n` plays so many random runs, `NETLINKDB_SEED=x` that one alone.

#[path = "support/drive/mod.rs"]
mod drive;
#[path = "support/sim/mod.rs"]
mod sim;

use drive::judge::{self, Difference, Truth};
use drive::scenario::{SCENARIOS, Scenario, furnish};
use drive::{Driver, ROOMY};
use netlinkdb::internals::plan::{Outcome, Refusal};
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
}

impl Stage {
    fn new(scenario: &Scenario) -> Stage {
        let mut kernel = Kernel::new(1);
        furnish(&mut kernel, scenario.promote);
        let driver = Driver::open(&mut kernel, ROOMY);
        kernel.faults().reset();
        let before = Truth::of(&kernel);
        Stage { kernel, driver, before }
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
        let outcome = stage.commit(scenario);
        stage.kernel.settle();
        stage.judge(scenario, &outcome);
        stage.judge_snapshot();
        stage
    }

    fn judge(&mut self, scenario: &Scenario, outcome: &Result<Outcome, Refusal>) {
        let differences = self.differences();
        let lines = judge::lines(&differences);
        match outcome {
            Ok(Outcome::Committed { .. }) => {
                assert_eq!(lines, scenario.expect, "committed");
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
    let diff = driver.snapshot().diff(fresh.snapshot());
    let lines: Vec<_> = diff.changes().iter().filter(|change| !is_silent(change)).collect();
    assert!(
        lines.is_empty(),
        "the snapshot is not the kernel: {}",
        lines.iter().map(|change| format!("\n{change}")).collect::<String>()
    );
    for link in fresh.snapshot().links() {
        let keys = |of: &Driver| -> Vec<String> {
            let all = of.snapshot().addresses_of(link.index()).into_iter();
            all.map(|address| address.to_string()).collect()
        };
        assert_eq!(keys(driver), keys(&fresh), "order of addresses of {}", link.name());
    }
    fresh.close(kernel);
}

/// A change that only fields tell which the kernel moves without a word, and that is documented to be so.
fn is_silent(_change: &netlinkdb::Change) -> bool {
    false
}

fn is_committed(outcome: &Result<Outcome, Refusal>) -> bool {
    matches!(outcome, Ok(Outcome::Committed { .. }))
}

#[test]
fn every_scenario_commits_what_it_names_and_nothing_else() {
    for scenario in SCENARIOS {
        let mut stage = Stage::new(scenario);
        let outcome = stage.commit(scenario);
        stage.kernel.settle();
        println!("// {}: {:?}", scenario.name, brief(&outcome));
        println!("{:#?}", judge::lines(&stage.differences()));
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
