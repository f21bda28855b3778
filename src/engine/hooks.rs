//! Commit hooks: asked once each when everything was found as wanted, and before the commit holds.
//!
//! They run on a thread of their own, so that one that does not end holds up its commit until its deadline and no
//! longer. What a hook may not do is to commit on the database whose commit waits for it; its thread is known, and so
//! are those of hooks that it sets off on other databases. A commit on a thread that the hook has started by itself is
//! not told from anybody else's: it waits for its turn, which comes when the hook has ended or its deadline is over.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::{Failure, Why};
use crate::state::{Diff, Snapshot};
use crate::sys::sync::thread::Builder;
use crate::sys::sync::{RecvTimeoutError, bounded, thread_local};

/// What a hook does: it is shown the state and what the commit has changed, and says why that may not hold.
type Check = dyn Fn(&Snapshot, &Diff) -> Result<(), String> + Send + Sync;

/// A commit hook, and where it was written.
#[derive(Clone)]
pub struct Hook {
    check: Arc<Check>,
    place: &'static Location<'static>,
}

impl Hook {
    /// From what it does and the place in the source by which it is known in errors.
    pub fn new(
        place: &'static Location<'static>,
        check: impl Fn(&Snapshot, &Diff) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Hook { check: Arc::new(check), place }
    }

    /// A panic is an answer like another.
    fn ask(&self, now: &Snapshot, delta: &Diff) -> Result<(), String> {
        let asked = catch_unwind(AssertUnwindSafe(|| (self.check)(now, delta)));
        asked.unwrap_or_else(|payload| Err(format!("it panicked: {}", panic_text(&*payload))))
    }
}

/// The words of a panic.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

/// The hooks of a commit: those of its database first, then its own, each in the order of registration.
pub(super) struct Hooks {
    pub(super) database: Vec<Hook>,
    pub(super) own: Vec<Hook>,
    /// What each of them may take.
    pub(super) deadline: Duration,
}

thread_local! {
    /// The databases whose commits wait for this thread.
    static AWAITED_BY: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Whether a commit on this database waits for what this thread does.
pub(super) fn is_awaited_by(database: u64) -> bool {
    AWAITED_BY.with(|awaited_by| awaited_by.borrow().contains(&database))
}

impl Hooks {
    pub(super) fn is_empty(&self) -> bool {
        self.database.is_empty() && self.own.is_empty()
    }

    /// Asks one after the other; the first that is not content is the last.
    ///
    /// # Errors
    /// Which hook is not content, and why.
    pub(super) fn ask(self, databases: &[u64], now: Snapshot, delta: Diff) -> Result<(), Failure> {
        let deadline = self.deadline;
        let (to_hooks, questions) = bounded::<Hook>(1);
        let (answer, answers) = bounded(1);
        let mut awaited_by = AWAITED_BY.with(|awaited_by| awaited_by.borrow().clone());
        awaited_by.extend(databases);
        let body = move || {
            AWAITED_BY.with(|own| own.replace(awaited_by));
            // Ends when the commit gives no further hook, also because one has taken too long.
            for hook in questions {
                if answer.send(hook.ask(&now, &delta)).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("netlinkdb-hooks".to_owned()).spawn(body);
        for (step, hook) in self.named() {
            let asked = thread.is_ok() && to_hooks.send(hook).is_ok();
            let words = match answers.recv_timeout(deadline) {
                Ok(Ok(())) => continue,
                Ok(Err(words)) => words,
                Err(RecvTimeoutError::Timeout) => {
                    format!("it did not end within {} s, and may still run", deadline.as_secs_f32())
                }
                Err(RecvTimeoutError::Disconnected) if asked => "its thread ended".to_owned(),
                Err(RecvTimeoutError::Disconnected) => "no thread could be had for it".to_owned(),
            };
            return Err(Failure { step, why: Why::Hook(words) });
        }
        drop(to_hooks);
        if let Ok(thread) = thread {
            // It has nothing left to do; a panic in a hook was caught.
            drop(thread.join());
        }
        Ok(())
    }

    fn named(self) -> impl Iterator<Item = (String, Hook)> {
        let named = |whose: &'static str| {
            move |(at, hook): (usize, Hook)| {
                (format!("commit hook {} of the {whose} ({})", at + 1, hook.place), hook)
            }
        };
        let database = self.database.into_iter().enumerate().map(named("database"));
        database.chain(self.own.into_iter().enumerate().map(named("transaction")))
    }
}
