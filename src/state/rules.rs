//! Rules: what each priority holds, in the order in which the kernel asks them; and their reading.
//!
//! A rule has no number of its own: it is told apart by all that the kernel compares (`Rule::identity`), and a request
//! without `NLM_F_EXCL` makes a second one that is the same (K37). So a priority holds a list, and a deletion takes the
//! first that is like it.
//!
//! Never here: rules of other families than IPv4 and IPv6 (multicast routing announces none of its own); a priority
//! that holds nothing; the marks `detached` and `unresolved` as the kernel once sent them: they follow from which
//! interfaces and rules there are, which is known.

use std::sync::Arc;

use im::OrdMap;

use super::Snapshot;
use super::filter::{UnknownAttribute, filter};
use crate::object::rule::row;
use crate::object::show::printed_list;
use crate::object::{
    Family, Names, RULE, Record, Rule, RuleAction, RuleFlags, RuleSpec, Tree, Value,
};

/// Where a rule stands: rules of one family are asked from the least priority on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey {
    /// The family: IPv4 or IPv6.
    pub family: Family,
    /// The priority, 0 to 4294967295.
    pub priority: u32,
}

impl RuleKey {
    /// The key of a rule, or of a request for one.
    pub fn of(rule: &Record) -> Self {
        let family = match rule.number(row::FAMILY) as u8 {
            2 => Family::Inet,
            10 => Family::Inet6,
            other => Family::Other(other),
        };
        RuleKey { family, priority: rule.number(row::PRIORITY) as u32 }
    }

    /// Whether rules of this family are followed.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self.family, Family::Inet | Family::Inet6)
    }
}

/// Every rule of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Whether they are followed at all.
    pub(super) followed: bool,
    pub(super) map: OrdMap<RuleKey, Arc<[Arc<Rule>]>>,
}

impl Rules {
    pub(super) fn at(&self, key: &RuleKey) -> &[Arc<Rule>] {
        self.map.get(key).map_or(&[], |held| held)
    }

    /// A rule is there: behind those of its priority (`fib_nl_newrule`).
    pub(super) fn add(&mut self, rule: Arc<Rule>) {
        let key = RuleKey::of(rule.record());
        let all = self.at(&key).iter().cloned().chain([rule]).collect();
        self.map.insert(key, all);
    }

    /// Whether one like it is there.
    pub(super) fn has(&self, rule: &Rule) -> bool {
        self.position(rule).is_some()
    }

    /// A rule is gone. `false` when none like it was known.
    pub(super) fn take(&mut self, rule: &Rule) -> bool {
        let Some(at) = self.position(rule) else { return false };
        let key = RuleKey::of(rule.record());
        let mut left = self.at(&key).to_vec();
        left.remove(at);
        self.put(key, left);
        true
    }

    /// The first that is as this one in everything; or else the first that the kernel takes for it.
    fn position(&self, rule: &Rule) -> Option<usize> {
        let all = self.at(&RuleKey::of(rule.record()));
        let same = all.iter().position(|own| own.record().same(rule.record()));
        same.or_else(|| {
            let identity = rule.identity();
            all.iter().position(|own| own.identity() == identity)
        })
    }

    fn put(&mut self, key: RuleKey, rules: Vec<Arc<Rule>>) {
        match rules.is_empty() {
            true => drop(self.map.remove(&key)),
            false => drop(self.map.insert(key, rules.into())),
        }
    }

    /// All rules of one family anew. `false` when they are those that were known.
    pub(super) fn replace(&mut self, family: Family, rules: Vec<Arc<Rule>>) -> bool {
        let mut next = self.clone();
        let keys: Vec<_> = next.map.keys().filter(|key| key.family == family).copied().collect();
        keys.iter().for_each(|key| drop(next.map.remove(key)));
        rules.into_iter().for_each(|rule| next.add(rule));
        let lists = |of: &Rules| -> Vec<Arc<[Arc<Rule>]>> { of.map.values().cloned().collect() };
        let (old, new) = (lists(self), lists(&next));
        let changed = old.len() != new.len() || old.iter().zip(&new).any(|(a, b)| !same_list(a, b));
        if changed {
            self.map = next.map;
        }
        changed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.map.values().flat_map(|held| held.iter())
    }

    /// Sets the marks that the kernel flips in silence as interfaces and rules come and go.
    pub(super) fn mark(&mut self, is_there: impl Fn(&str) -> bool) {
        let stale: Vec<(RuleKey, Vec<Arc<Rule>>)> = self
            .map
            .iter()
            .filter_map(|(key, held)| {
                let marked: Vec<_> = held.iter().map(|rule| self.marked(rule, &is_there)).collect();
                marked.iter().any(Option::is_some).then(|| {
                    let next = marked.into_iter().zip(held.iter());
                    (*key, next.map(|(new, old)| new.unwrap_or_else(|| old.clone())).collect())
                })
            })
            .collect();
        stale.into_iter().for_each(|(key, rules)| self.put(key, rules));
    }

    /// The rule with the marks that it should have; `None` when it has them.
    fn marked(&self, rule: &Arc<Rule>, is_there: &impl Fn(&str) -> bool) -> Option<Arc<Rule>> {
        let record = rule.record();
        let gone = |id| record.value(id).and_then(Value::text).is_some_and(|name| !is_there(name));
        let unresolved = rule.action() == RuleAction::GOTO && {
            let priority = record.number(row::GOTO) as u32;
            self.at(&RuleKey { priority, ..RuleKey::of(record) }).is_empty()
        };
        let marks = [
            (RuleFlags::IIF_DETACHED, gone(row::IIFNAME)),
            (RuleFlags::OIF_DETACHED, gone(row::OIFNAME)),
            (RuleFlags::UNRESOLVED, unresolved),
        ];
        let own = rule.flags().0;
        let flags = marks.iter().fold(own, |flags, (bit, on)| match on {
            true => flags | bit.0,
            false => flags & !bit.0,
        });
        (flags != own).then(|| {
            let mut record = record.clone();
            record.set(row::FLAGS, Value::Number(flags.into()));
            Arc::new(Rule::of(record))
        })
    }
}

impl Rules {
    /// Panics unless every rule stands where it says. For tests and fuzzing.
    pub(super) fn check(&self) {
        for (key, held) in &self.map {
            assert!(!held.is_empty() && key.is_followed(), "{key:?}");
            assert!(held.iter().all(|rule| RuleKey::of(rule.record()) == *key), "{held:?}");
        }
    }
}

/// The same rules in the same order.
pub(super) fn same_list(a: &Arc<[Arc<Rule>]>, b: &Arc<[Arc<Rule>]>) -> bool {
    let same = |(a, b): (&Arc<Rule>, &Arc<Rule>)| a.record().same(b.record());
    Arc::ptr_eq(a, b) || a.len() == b.len() && a.iter().zip(b.iter()).all(same)
}

impl Snapshot {
    /// The rules of IPv4 and IPv6; [`RuleList::family`] leads to those of one.
    ///
    /// None where rules are not followed, see [`Snapshot::follows_rules`].
    pub fn rules(&self) -> RuleList<'_> {
        RuleList { snapshot: self, family: None }
    }

    /// Whether rules are followed: a database may leave them out (`Db::builder().rules(false)`).
    pub fn follows_rules(&self) -> bool {
        self.rules.followed
    }

    /// The rules of one family and priority, in the order in which the kernel asks them.
    pub fn rules_at(&self, key: &RuleKey) -> &[Arc<Rule>] {
        self.rules.at(key)
    }
}

/// The rules of one namespace, or of one family, at one moment; from [`Snapshot::rules`].
///
/// They come in the order in which the kernel asks them, IPv4 before IPv6. Whether the interface that a rule names is
/// there (`detached`), and whether the target of a `goto` is, is as of the snapshot, and no difference between two.
///
/// ```
/// use netlinkdb::{Db, Family, NetNs, Rule};
///
/// NetNs::enter_private()?;
/// let db = Db::open()?;
/// let now = db.snapshot();
/// let lines: Vec<_> = now.rules().family(Family::Inet).iter().map(|rule| rule.to_string()).collect();
/// assert_eq!(lines[0], "0:\tfrom all lookup local");
/// assert_eq!(now.rules().at(32766)[0].table(), 254);
/// assert!(now.rules().filter("table", "main")?.count() > 0);
/// assert!(now.rules().find(&Rule::new().priority(5).from("10.0.0.0/8").table(9)).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RuleList<'a> {
    snapshot: &'a Snapshot,
    family: Option<Family>,
}

impl<'a> RuleList<'a> {
    /// Only those of one family.
    pub fn family(self, family: Family) -> Self {
        RuleList { family: Some(family), ..self }
    }

    /// The rules, in the order in which the kernel asks them.
    pub fn iter(self) -> impl Iterator<Item = &'a Rule> + use<'a> {
        let mine = move |rule: &&'a Arc<Rule>| self.family.is_none_or(|own| rule.family() == own);
        self.snapshot.rules.iter().filter(mine).map(|rule| &**rule)
    }

    /// Those of one priority, in their order.
    pub fn at(self, priority: u32) -> Vec<&'a Rule> {
        let families = [Family::Inet, Family::Inet6].into_iter();
        let families = families.filter(|own| self.family.is_none_or(|family| family == *own));
        let keys = families.map(|family| RuleKey { family, priority });
        keys.flat_map(|key| self.snapshot.rules_at(&key)).map(|rule| &**rule).collect()
    }

    /// The rule that is the same as this one to the kernel: by all that it compares, above all priority, prefixes,
    /// interfaces, mark, table and action. What a specification does not say counts too.
    pub fn find(self, spec: &RuleSpec) -> Option<&'a Rule> {
        let identity = spec.identity();
        let all = self.snapshot.rules_at(&RuleKey::of(&spec.record()));
        let found = all.iter().find(|rule| *rule.identity() == *identity);
        found.map(|rule| &**rule).filter(|rule| self.family.is_none_or(|own| rule.family() == own))
    }

    /// The rules whose attribute has this value, as in `ip -json -details rule`: `("table", "main")`,
    /// `("src", "10.0.0.0")`, `("protocol", "static")`, `("iif", "eth0")`.
    ///
    /// # Errors
    /// When no attribute of rules has this name.
    pub fn filter(
        self,
        attribute: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = &'a Rule> + use<'a>, UnknownAttribute> {
        let names = self.snapshot;
        filter(self.iter(), &RULE, DERIVED_KEYS, attribute, value, |rule| rule.tree(names))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// What `ip -json -details rule show` prints, IPv4 before IPv6.
    pub fn tree(self) -> Tree {
        let names: &dyn Names = self.snapshot;
        Tree::List(self.iter().map(|rule| rule.tree(names)).collect())
    }
}

/// Keys of `ip -json rule` that no row of the table bears as its name.
const DERIVED_KEYS: &[&str] = &[
    "srclen",
    "dstlen",
    "not",
    "iif_detached",
    "oif_detached",
    "uid_start",
    "uid_end",
    "sport_start",
    "sport_end",
    "dport_start",
    "dport_end",
    "flow_from",
    "flow_to",
    "unresolved",
    "nop",
];

printed_list! {
    /// As `ip rule show` and `ip -6 rule show` read: a line for each rule.
    RuleList of iter
}
