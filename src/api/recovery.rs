//! Undoing what a process that has ended had begun.

use std::fmt;

use uuid::Uuid;

use super::{Error, Result};
use crate::engine::{Recovered, Undone};
use crate::plan::Outcome;
use crate::state::{Diff, Snapshot};

/// What a recovery has done: see [`Db::recover`](super::Db::recover).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there is one in the life of a process")]
pub enum Recovery {
    /// Nothing: there is no such file.
    NoJournal,
    /// Nothing: every commit in the journal has ended, in whatever way.
    NothingToDo,
    /// What the process had left has been rolled back: everything that its commits had changed is as before, read back
    /// and found so.
    RolledBack {
        /// Which commits, in the order in which they were rolled back: the newest first.
        commits: Vec<RecoveredCommit>,
        /// What the recovery has changed, and what others have meanwhile; empty when nothing was left to undo.
        undone: Diff,
        /// What interfaces had that were made anew, and that rtnetlink does not tell of: see [`Error::untold`].
        untold: Vec<String>,
        /// The state in which everything was found as before.
        snapshot: Snapshot,
    },
}

/// A commit of a process that has ended, as a recovery found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveredCommit {
    /// Which transaction ([`Transaction::id`](super::Transaction::id)).
    pub id: Uuid,
    /// Whether it had been carried out and was never confirmed
    /// ([`Transaction::commit_confirmed`](super::Transaction::commit_confirmed)); otherwise it was cut off.
    pub unconfirmed: bool,
}

impl Recovery {
    pub(super) fn of(recovered: Recovered) -> Result<Self> {
        let (commits, found) = match recovered {
            Recovered::NoJournal => return Ok(Recovery::NoJournal),
            Recovered::Nothing => return Ok(Recovery::NothingToDo),
            Recovered::Undone { commits, found } => (commits, found),
        };
        let told = |one: &Undone| RecoveredCommit { id: one.id, unconfirmed: one.unconfirmed };
        let told: Vec<_> = commits.iter().map(told).collect();
        // The first that could not be undone names the cause; what is left of all of them is told.
        let (mut torn, mut left, mut last) = (None, Vec::new(), found.clone());
        let mut besides = Vec::new();
        for one in commits {
            match one.outcome {
                Outcome::Torn { cause, residue, untold, snapshot } => {
                    torn.get_or_insert(cause);
                    left.extend(residue);
                    besides.extend(untold);
                    last = snapshot;
                }
                Outcome::RolledBack { untold, snapshot, .. } => {
                    besides.extend(untold);
                    last = snapshot;
                }
                Outcome::Committed { snapshot, .. } => last = snapshot,
            }
        }
        match torn {
            Some(cause) => Err(Error::torn(cause, left, besides, last)),
            None => {
                let undone = found.diff(&last);
                Ok(Recovery::RolledBack { commits: told, undone, untold: besides, snapshot: last })
            }
        }
    }

    /// Whether a commit was rolled back.
    pub fn is_rolled_back(&self) -> bool {
        matches!(self, Recovery::RolledBack { .. })
    }
}

/// What was done, each change on a line.
impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recovery::NoJournal => f.write_str("nothing to recover: there is no journal"),
            Recovery::NothingToDo => {
                f.write_str("nothing to recover: every commit in the journal has ended")
            }
            Recovery::RolledBack { commits, undone, untold, .. } => {
                for (at, one) in commits.iter().enumerate() {
                    let how = if one.unconfirmed { "was never confirmed" } else { "was cut off" };
                    let separator = if at == 0 { "" } else { ";\n" };
                    write!(f, "{separator}commit {} {how}, and is rolled back", one.id)?;
                }
                if !untold.is_empty() {
                    write!(f, ", but for {}", untold.join(", "))?;
                }
                if undone.is_empty() {
                    return f.write_str(": nothing was left to undo");
                }
                f.write_str(":")?;
                undone.changes().iter().try_for_each(|change| write!(f, "\n{change}"))
            }
        }
    }
}
