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

    /// Calls it. A panic is an answer like another.
    ///
    /// # Errors
    /// Why the commit may not hold.
    pub fn ask(&self, now: &Snapshot, delta: &Diff) -> Result<(), String> {
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
pub struct Hooks {
    /// Those of the database.
    pub database: Vec<Hook>,
    /// Those of the transaction.
    pub own: Vec<Hook>,
    /// What each of them may take.
    pub deadline: Duration,
}

/// What came of asking a hook.
#[derive(Debug)]
pub enum Answer {
    /// It has ended, and said this.
    Said(Result<(), String>),
    /// It did not end within what it may take.
    Late,
    /// Its thread has ended without a word.
    Ended,
    /// It could not be asked: there was no thread for it.
    Unasked,
}

/// Which hook is to be asked next, and what an answer makes of the commit. Whoever drives it calls the hooks, and has the
/// clock.
pub struct Asking {
    left: std::vec::IntoIter<(String, Hook)>,
    step: String,
    deadline: Duration,
}

impl Asking {
    /// The next hook; `None` when all have been content.
    pub fn poll(&mut self) -> Option<Hook> {
        let (step, hook) = self.left.next()?;
        self.step = step;
        Some(hook)
    }

    /// Takes in what came of the hook that was given last.
    ///
    /// # Errors
    /// That it is not content, and why: none is asked after it.
    pub fn handle(&mut self, answer: Answer) -> Result<(), Failure> {
        let words = match answer {
            Answer::Said(Ok(())) => return Ok(()),
            Answer::Said(Err(words)) => words,
            Answer::Late => {
                let deadline = self.deadline.as_secs_f32();
                format!("it did not end within {deadline} s, and may still run")
            }
            Answer::Ended => "its thread ended".to_owned(),
            Answer::Unasked => "no thread could be had for it".to_owned(),
        };
        Err(Failure { step: std::mem::take(&mut self.step), why: Why::Hook(words) })
    }
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

    /// All of them, to be asked one after the other.
    pub fn asking(self) -> Asking {
        let deadline = self.deadline;
        Asking { left: self.named().collect::<Vec<_>>().into_iter(), step: String::new(), deadline }
    }

    /// Asks one after the other, on a thread of their own; the first that is not content is the last.
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
        let mut asking = self.asking();
        while let Some(hook) = asking.poll() {
            let asked = thread.is_ok() && to_hooks.send(hook).is_ok();
            asking.handle(match answers.recv_timeout(deadline) {
                Ok(said) => Answer::Said(said),
                Err(RecvTimeoutError::Timeout) => Answer::Late,
                Err(RecvTimeoutError::Disconnected) if asked => Answer::Ended,
                Err(RecvTimeoutError::Disconnected) => Answer::Unasked,
            })?;
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
