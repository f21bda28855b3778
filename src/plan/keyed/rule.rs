//! Rules under their keys.
//!
//! A priority holds rules in the order in which they were added, and a new one comes last. No request changes or moves
//! one: a rule that is to be otherwise is added anew before the old one is deleted.
//!
//! A deletion takes the first rule that has what the request says, and what the request does not say any rule has
//! (`rule_find`, K37): after `from 10.0.0.0/8 lookup 5` a deletion of `from all lookup 5` takes that one. So what
//! requests do to a priority is played through first, and where one would take another rule, those from there on are
//! made anew behind, in their order, before the old ones go.

use super::{Content, Key, Op, Step};
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
    if record.value(row::PRIORITY).is_none() {
        // What the kernel leaves out is 0; what a request leaves out is any.
        record.set(row::PRIORITY, Value::Number(0));
    }
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

/// What makes the rules of a priority into others: what comes is there before anything goes.
pub(super) fn transform(key: &Key, is: &[Content], target: &[Content]) -> Vec<Step> {
    let step = |op, content: &Content| Step { key: key.clone(), content: content.clone(), op };
    let common = is.iter().zip(target).take_while(|(a, b)| a.same(b)).count();
    let kept = kept(is, target);
    let stay = kept.iter().filter(|kept| **kept).count();
    let gone: Vec<&Content> =
        is.iter().zip(&kept).filter(|(_, kept)| !**kept).map(|(one, _)| one).collect();
    let plain = (gone, &target[stay..]);
    let anew = (0..=common).rev().map(|from| (is[from..].iter().collect(), &target[from..]));
    for (gone, new) in std::iter::once(plain).chain(anew) {
        if is_made(is, &gone, new, target) {
            let new = new.iter().enumerate();
            let new = new.map(|(at, one)| step(adding(one, is, &target[..at]), one));
            return new.chain(gone.into_iter().map(|one| step(Op::Delete, one))).collect();
        }
    }
    // Without anything kept every deletion takes the first of all, which is the one that it says.
    Vec::new()
}

/// Which of those that are there are at the head of the target, in their order.
fn kept(is: &[Content], target: &[Content]) -> Vec<bool> {
    let mut left = target;
    let keep = |one: &Content| match left {
        [first, rest @ ..] if first.same(one) => {
            left = rest;
            true
        }
        _ => false,
    };
    is.iter().map(keep).collect()
}

/// Whether these additions and then these deletions lead to the target.
fn is_made(is: &[Content], gone: &[&Content], new: &[Content], target: &[Content]) -> bool {
    let mut all: Vec<&Content> = is.iter().chain(new).collect();
    for one in gone {
        let Some(at) = all.iter().position(|other| takes(one, other)) else { return false };
        all.remove(at);
    }
    all.len() == target.len() && all.iter().zip(target).all(|(a, b)| a.same(b))
}

fn takes(deleted: &Content, other: &Content) -> bool {
    match (deleted, other) {
        (Content::Rule(deleted), Content::Rule(other)) => deleted.deletion_takes(other),
        _ => false,
    }
}

/// With `NLM_F_EXCL`, so that there are not two when another program was faster; but the kernel would refuse it beside a
/// rule that has more to say, and beside its like that is to go.
fn adding(one: &Content, is: &[Content], new: &[Content]) -> Op {
    let Content::Rule(rule) = one else { return Op::Append };
    let spec: RuleSpec = (&**rule).into();
    let refused = |other: &Content| match other {
        Content::Rule(other) => spec.is_refused_beside(other),
        _ => false,
    };
    if is.iter().chain(new).any(refused) { Op::Append } else { Op::Add }
}

/// Whether the kernel makes the rule when it is needed: that of the first VRF (`vrf_add_fib_rules`).
pub(super) fn is_kernels(rule: &Rule) -> bool {
    let is_l3mdev = rule.record().number(row::L3MDEV) != 0;
    is_l3mdev && rule.record().number(row::PROTOCOL) == u64::from(RouteProtocol::KERNEL.0)
}
