//! The tests against the real kernel, each in a network namespace of its own.
//!
//! `cargo test --test kernel` needs no root: the process enters a user namespace first, which must happen while
//! it has a single thread, so this binary has its own `main`. libtest's arguments work: a filter, `--list`,
//! `--test-threads`. Where namespaces are forbidden every test is skipped, and says why.

#![allow(unreachable_pub)] // Nothing of a test binary is reachable.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bridge_vlans;
mod callbacks;
mod churn_routes;
mod commit;
mod confirmed;
mod conflicts;
mod conformance;
mod ensure;
mod events;
mod export;
mod faults;
mod following;
mod following_rules;
mod freeze;
mod harness;
mod hooks;
mod inet6_routes;
mod joint;
mod journal;
mod kinds;
mod late;
mod made_elsewhere;
mod mpls;
mod neighbour_commit;
mod netns;
mod nexthop_commit;
mod object;
mod random_stacks;
mod reading;
mod revert;
mod rings;
mod rollback;
mod route;
mod route_bad_input;
mod route_commit;
mod route_rollback;
mod route_scene;
mod routes;
mod rule_commit;
mod rules;
mod scene;
mod stacks;
mod stress;
mod sys;
mod tables;
mod trace;
mod tunnels;
mod views;
mod waiting;
mod witness;

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = journal::child() {
        return ended;
    }
    let arguments = Arguments::from_args();
    let entered = support::namespaces::enter();
    if let Err(why) = &entered {
        eprintln!("skipped: all of the kernel tests: {why}");
    }
    let mut cases = Vec::new();
    cases.extend(bad_input::cases());
    cases.extend(bridge_vlans::cases());
    cases.extend(callbacks::cases());
    cases.extend(churn_routes::cases());
    cases.extend(commit::cases());
    cases.extend(confirmed::cases());
    cases.extend(conflicts::cases());
    cases.extend(conformance::cases());
    cases.extend(ensure::cases());
    cases.extend(events::cases());
    cases.extend(export::cases());
    cases.extend(faults::cases());
    cases.extend(following::cases());
    cases.extend(following_rules::cases());
    cases.extend(freeze::cases());
    cases.extend(harness::cases());
    cases.extend(hooks::cases());
    cases.extend(inet6_routes::cases());
    cases.extend(joint::cases());
    cases.extend(journal::cases());
    cases.extend(kinds::cases());
    cases.extend(late::cases());
    cases.extend(made_elsewhere::cases());
    cases.extend(mpls::cases());
    cases.extend(neighbour_commit::cases());
    cases.extend(netns::cases());
    cases.extend(nexthop_commit::cases());
    cases.extend(object::cases());
    cases.extend(random_stacks::cases());
    cases.extend(reading::cases());
    cases.extend(revert::cases());
    cases.extend(rings::cases());
    cases.extend(rollback::cases());
    cases.extend(route::cases());
    cases.extend(route_bad_input::cases());
    cases.extend(route_commit::cases());
    cases.extend(route_rollback::cases());
    cases.extend(routes::cases());
    cases.extend(rule_commit::cases());
    cases.extend(rules::cases());
    cases.extend(stacks::cases());
    cases.extend(stress::cases());
    cases.extend(sys::cases());
    cases.extend(views::cases());
    cases.extend(trace::cases());
    cases.extend(tunnels::cases());
    cases.extend(waiting::cases());
    let trials = cases.into_iter().map(|case| case.into_trial(&entered)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
