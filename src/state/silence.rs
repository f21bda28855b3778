//! What of a new state the kernel has not said, but what was concluded from what it said, or found by asking.
//!
//! A state is made by turns: what is told, then what follows from it in silence, then what is told next. Of each silent
//! turn the states before and after it are kept; being persistent they cost what is different in them. Which changes it
//! made is found when somebody wants to know, on his own thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Change, ObjectKey, Snapshot};

/// So many turns of a state are kept apart; what comes later in silence counts as told.
const TURNS: usize = 1024;

/// The silent turns by which a state was made.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    turns: Arc<[(Snapshot, Snapshot)]>,
}

impl Silence {
    /// Whether all was told.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// These, and then those of later states.
    pub fn and<'a>(&self, later: impl Iterator<Item = &'a Silence>) -> Silence {
        let turns = later.flat_map(|silence| silence.turns.iter());
        Silence { turns: self.turns.iter().chain(turns).cloned().collect() }
    }

    /// What happened in silence on the way from one state to the other.
    pub fn between(&self, before: &Snapshot, after: &Snapshot) -> Silent {
        let mut silent = Silent::default();
        let kept = |old: &Snapshot, new: &Snapshot| {
            let changes = old.diff(new).into_changes().into_iter();
            changes.filter_map(|change| change.key()).collect::<Vec<_>>()
        };
        for key in self.turns.iter().flat_map(|(told, concluded)| kept(told, concluded)) {
            silent.0.insert(key, Touched::default());
        }
        let mut at = before;
        for (told, concluded) in &*self.turns {
            kept(at, told).iter().for_each(|key| silent.touch(key, true));
            kept(told, concluded).iter().for_each(|key| silent.touch(key, false));
            at = concluded;
        }
        if !silent.0.is_empty() {
            kept(at, after).iter().for_each(|key| silent.touch(key, true));
        }
        silent
    }
}

/// The objects that have changed in silence. Routes and rules that share a key are told apart by nothing.
#[derive(Debug, Default)]
pub struct Silent(BTreeMap<ObjectKey, Touched>);

#[derive(Debug, Default)]
struct Touched {
    was_told: bool,
    is_silent: bool,
}

impl Silent {
    fn touch(&mut self, key: &ObjectKey, told: bool) {
        if let Some(touched) = self.0.get_mut(key) {
            touched.was_told |= told;
            touched.is_silent = !told;
        }
    }

    /// Whether a change was made in silence: of what is gone, whether it went so; of what is there, whether the kernel
    /// has said nothing of it at all.
    pub fn has(&self, change: &Change) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let touched = change.key().and_then(|key| self.0.get(&key));
        touched.is_some_and(|touched| match change.after() {
            None => touched.is_silent,
            Some(_) => !touched.was_told,
        })
    }
}

/// The silent turns of a state that is being made.
#[derive(Debug, Default)]
pub(super) struct Turns {
    kept: Vec<(Snapshot, Snapshot)>,
    /// Whether what happens now does so in silence.
    pub(super) is_silent: bool,
}

impl Turns {
    /// What came of a turn.
    pub(super) fn note(&mut self, told: Snapshot, now: &Snapshot) {
        if !told.is(now) && self.kept.len() < TURNS {
            self.kept.push((told, now.clone()));
        }
    }

    /// A state is shown, or given up.
    pub(super) fn take(&mut self) -> Silence {
        match self.kept.is_empty() {
            true => Silence::default(),
            false => Silence { turns: std::mem::take(&mut self.kept).into() },
        }
    }
}

impl Snapshot {
    /// Whether nothing was written since one was made from the other.
    fn is(&self, other: &Snapshot) -> bool {
        self.links.ptr_eq(&other.links)
            && self.addresses.ptr_eq(&other.addresses)
            && self.routes.v4.ptr_eq(&other.routes.v4)
            && self.routes.v6.ptr_eq(&other.routes.v6)
            && self.routes.mpls.ptr_eq(&other.routes.mpls)
            && self.rules.map.ptr_eq(&other.rules.map)
            && self.nexthops.map.ptr_eq(&other.nexthops.map)
            && self.neighbours.map.ptr_eq(&other.neighbours.map)
            && self.vlans.ptr_eq(&other.vlans)
    }
}
