//! Watching changes, as differences between snapshots.

use std::time::Duration;

use super::{Db, Result};
use crate::state::{Diff, Snapshot};

/// Changes as they come, each as the difference between the snapshot seen last and the newest.
///
/// Nothing is lost: who looks late sees what changed since, in one piece. What changed and changed back is not seen.
#[derive(Clone, Debug)]
pub struct Watch {
    db: Db,
    seen: Snapshot,
}

impl Watch {
    pub(super) fn new(db: Db) -> Self {
        let seen = db.snapshot();
        Watch { db, seen }
    }

    /// The snapshot seen last: the one that the next difference starts from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.seen
    }

    /// The next difference; `None` when nothing changes in this time.
    ///
    /// # Errors
    /// When the reader has ended.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Diff>> {
        let seen = self.seen.clone();
        let mut looked_at = seen.revision();
        // Statistics alone make a new revision and no difference.
        let changed = |now: &Snapshot| {
            now.revision() > looked_at && {
                looked_at = now.revision();
                !seen.diff(now).is_empty()
            }
        };
        let Some(now) = self.db.wait_until(time, changed)? else { return Ok(None) };
        let diff = self.seen.diff(&now);
        self.seen = now;
        Ok(Some(diff))
    }
}

/// Differences for ever; ends with an error when the reader has ended.
impl Iterator for Watch {
    type Item = Result<Diff>;

    fn next(&mut self) -> Option<Result<Diff>> {
        self.next_within(Duration::MAX).transpose()
    }
}
