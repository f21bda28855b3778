//! Undoing what a process that has ended had begun.

use std::fmt;

use uuid::Uuid;

use super::{Error, Result};
use crate::engine::Recovered;
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
    /// A commit that was cut off has been rolled back: everything that it had changed is as before, read back and found
    /// so.
    RolledBack {
        /// Which transaction ([`Transaction::id`](super::Transaction::id)).
        id: Uuid,
        /// What the recovery has changed, and what others have meanwhile; empty when nothing was left to undo.
        undone: Diff,
        /// The state in which everything was found as before.
        snapshot: Snapshot,
    },
}

impl Recovery {
    pub(super) fn of(recovered: Recovered) -> Result<Self> {
        match recovered {
            Recovered::NoJournal => Ok(Recovery::NoJournal),
            Recovered::Nothing => Ok(Recovery::NothingToDo),
            Recovered::Undone { id, found, outcome } => match outcome {
                Outcome::Torn { cause, residue, snapshot } => {
                    Err(Error::torn(cause, residue, snapshot))
                }
                Outcome::RolledBack { snapshot, .. } | Outcome::Committed { snapshot, .. } => {
                    Ok(Recovery::RolledBack { id, undone: found.diff(&snapshot), snapshot })
                }
            },
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
            Recovery::RolledBack { id, undone, .. } => {
                write!(f, "commit {id} was cut off, and is rolled back:")?;
                if undone.is_empty() {
                    return f.write_str(" nothing was left to undo");
                }
                undone.changes().iter().try_for_each(|change| write!(f, "\n{change}"))
            }
        }
    }
}
