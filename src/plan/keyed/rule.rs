//! Rules under their keys.
//!
//! A priority holds rules in the order in which they were added, and a new one comes last. No request changes or moves
//! one: a rule that is to be otherwise is added anew before the old one is deleted.

use super::Op;
use crate::object::route::RouteProtocol;
use crate::object::rule::row;
use crate::object::{RULE, Record, Rule, RuleFlags, RuleSpec, Value};
use crate::plan::Refusal;
use crate::state::{RuleKey, Snapshot};
use crate::wire::{Builder, flags, kind};

/// Flags that a request may carry.
const SETTABLE: u32 = RuleFlags::INVERT.0 | RuleFlags::FIND_SADDR.0;

/// The highest priority that the kernel would choose: before the rule of the main table.
const BEFORE_MAIN: u32 = 32_765;

/// A request for a rule. Without `NLM_F_EXCL` the kernel makes a second one that is the same, and with it refuses some
/// that are not (`RuleSpec::is_refused_beside`, K37).
pub(super) fn encode(rule: &Rule, op: Op) -> Vec<u8> {
    let (kind, how) = match op {
        Op::Add => (kind::RTM_NEWRULE, flags::CREATE | flags::EXCL),
        Op::Append | Op::Prepend | Op::Replace => (kind::RTM_NEWRULE, flags::CREATE),
        Op::Delete => (kind::RTM_DELRULE, 0),
    };
    let mut record = rule.record().clone();
    let number = record.number(row::FLAGS) as u32 & SETTABLE;
    record.set(row::FLAGS, Value::Number(number.into()));
    let mut message =
        Builder::new(kind, flags::REQUEST | flags::ACK | how).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}

/// Whether the kernel takes both for the same rule.
pub(super) fn is_same_rule(a: &Rule, b: &Rule) -> bool {
    a.identity() == b.identity()
}

/// Whether what the kernel says is what was wished: all that it compares, and what it does not.
pub(super) fn agrees(wish: &Rule, have: &Rule) -> bool {
    let rest = |rule: &Rule| {
        let record: &Record = rule.record();
        (record.number(row::FLAGS) as u32 & SETTABLE, record.number(row::GOTO))
    };
    is_same_rule(wish, have) && rest(wish) == rest(have)
}

/// The rule with a priority: where none was said, the one that the kernel would choose (`fib_default_rule_pref`), below
/// all but the first.
pub(super) fn with_priority(spec: RuleSpec, taken: impl Iterator<Item = u32>) -> RuleSpec {
    if spec.priority_said() {
        return spec;
    }
    let least = taken.filter(|priority| *priority != 0).min();
    spec.priority(least.map_or(BEFORE_MAIN, |least| least.saturating_sub(1).min(BEFORE_MAIN)))
}

/// The priorities of the rules of a family.
pub(super) fn priorities(key: &RuleKey, now: &Snapshot) -> Vec<u32> {
    now.rules().family(key.family).iter().map(Rule::priority).collect()
}

/// What is wrong with a rule before anything is sent.
pub(super) fn check(spec: &RuleSpec) -> Result<(), Refusal> {
    spec.check().map_err(|error| Refusal::Invalid {
        what: RULE.name,
        value: error.text,
        why: error.why,
    })
}

/// Whether the kernel makes the rule when it is needed: that of the first VRF (`vrf_add_fib_rules`).
pub(super) fn is_kernels(rule: &Rule) -> bool {
    let is_l3mdev = rule.record().number(row::L3MDEV) != 0;
    is_l3mdev && rule.record().number(row::PROTOCOL) == u64::from(RouteProtocol::KERNEL.0)
}
