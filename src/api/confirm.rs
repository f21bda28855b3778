//! Commits that hold only when they are confirmed in time, as on routers: whoever has cut off their own way in does not
//! confirm, and gets it back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CommitError, Committed, Db, Error, Result, Transaction};
use crate::engine::Provisional;
use crate::plan::{Failure, Refusal, Why};
use crate::sys::sync::thread::{Builder, JoinHandle};
use crate::sys::sync::{Condvar, Mutex, bounded, clock};

/// A commit that is yet to be confirmed. Dropped without a word, it takes the commit back at once, and waits for that.
#[must_use = "dropped, it takes the commit back"]
#[derive(Debug)]
pub struct Unconfirmed {
    committed: Committed,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Debug)]
enum State {
    /// Neither confirmed nor given up.
    Open,
    /// It holds.
    Confirmed,
    /// It is to be taken back, and why.
    GivenUp(String),
    /// It has been taken back: how that ended.
    TakenBack(Error),
}

impl Transaction {
    /// As [`Transaction::commit`], but what was committed holds only when [`Unconfirmed::confirm`] is called `within` that
    /// time: otherwise it is taken back, read back and found so, as when a hook is not content. What other programs and
    /// other transactions have changed since stays.
    ///
    /// The time is watched by a thread of its own: it comes to an end also when this program hangs meanwhile. A process
    /// that dies takes that thread along: then the next [`Db::recover`] takes the commit back, where there is a journal
    /// ([`DbBuilder::journal`](super::DbBuilder::journal)), which holds it until it is confirmed.
    ///
    /// Meanwhile others may be committed, also such as wait for a word themselves. What one of them has set again is
    /// its own and stays when this one is taken back; what stands on something new of this one goes with it. A recovery
    /// takes back those without a word from the newest to the oldest, so that all is as before the oldest of them, but for
    /// what was committed for good.
    ///
    /// # Errors
    /// As there. What becomes of it later [`Unconfirmed`] tells.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::Db;
    /// use std::time::Duration;
    ///
    /// let db = Db::open()?;
    /// let lo = db.interface("lo")?;
    /// let pending = lo.set_mtu(1400).into_transaction().commit_confirmed(Duration::from_secs(60))?;
    /// assert_eq!(lo.link()?.mtu(), 1400);
    /// drop(pending);
    /// assert_eq!(lo.link()?.mtu(), 65536);
    ///
    /// let pending = lo.set_mtu(1400).into_transaction().commit_confirmed(Duration::from_secs(60))?;
    /// pending.confirm()?;
    /// assert_eq!(lo.link()?.mtu(), 1400);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn commit_confirmed(self, within: Duration) -> Result<Unconfirmed, CommitError> {
        match self.begin_confirmed(within) {
            Ok(unconfirmed) => Ok(unconfirmed),
            Err(error) => Err(CommitError(Box::new((error, self)))),
        }
    }

    fn begin_confirmed(&self, within: Duration) -> Result<Unconfirmed> {
        if let Some(refusal) = &self.wrong {
            return Err(refusal.clone().into());
        }
        if !self.abroad.is_empty() {
            return Err(Refusal::NotConfirmed.into());
        }
        let shared = Arc::new(Shared { state: Mutex::new(State::Open), changed: Condvar::new() });
        // The thread is there before anything is sent: without it nothing would be taken back.
        let (give, take) = bounded::<(Provisional, Instant)>(1);
        let (db, seen) = (self.db.clone(), shared.clone());
        let watch = move || {
            if let Ok((provisional, deadline)) = take.recv() {
                seen.watch(&db, provisional, deadline, within);
            }
        };
        let thread = Builder::new().name("netlinkdb-confirm".to_owned()).spawn(watch);
        let thread = thread.map_err(|error| Error::other(format!("no thread: {error}")))?;
        let (outcome, provisional) =
            self.db.engine().commit_provisionally(&self.draft, &self.terms())?;
        let (snapshot, created) = Transaction::ended(outcome)?;
        let now = clock();
        let never = Duration::from_secs(u32::MAX.into());
        let deadline = now.checked_add(within).unwrap_or(now + never);
        // It waits for this, so that it takes it.
        drop(give.send((provisional, deadline)));
        self.follows.iter().for_each(|follow| follow.committed(&snapshot));
        let committed = Committed { db: self.db.clone(), id: self.id, snapshot, created };
        Ok(Unconfirmed { committed, shared, thread: Some(thread) })
    }
}

impl Unconfirmed {
    /// What was committed, and may be taken back.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }

    /// It holds from now on.
    ///
    /// # Errors
    /// When it is too late, or a journal cannot be written: the commit was taken back ([`Error::is_rolled_back`], [`Error::is_unconfirmed`]), or could not
    /// be altogether ([`Error::is_torn`]).
    pub fn confirm(self) -> Result<Committed> {
        let (engine, id) = (self.committed.db.engine(), self.committed.id);
        self.shared.close_with(|| match engine.confirm(id) {
            Ok(()) => State::Confirmed,
            // The next recovery would undo it: better now than at a time that nobody expects.
            Err(error) => State::GivenUp(error.to_string()),
        });
        match self.shared.wait(None) {
            Some(State::TakenBack(error)) => Err(error),
            _ => Ok(self.committed.clone()),
        }
    }

    /// Takes it back now, and waits until that is done.
    ///
    /// Gives how that ended: [`Error::is_rolled_back`], or [`Error::is_torn`] when something could not be undone.
    pub fn roll_back(self) -> Error {
        self.shared.close(State::GivenUp("it was taken back".to_owned()));
        match self.shared.wait(None) {
            Some(State::TakenBack(error)) => error,
            // It was open, and is given up: nothing else can come of it.
            _ => Error::other("it is not known whether the commit was taken back"),
        }
    }

    /// Why and how the commit was taken back; `None` as long as it was not.
    pub fn taken_back(&self) -> Option<Error> {
        match &*self.shared.state.lock() {
            State::TakenBack(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// As [`Unconfirmed::taken_back`], and waits for it at most that long.
    pub fn wait_taken_back(&self, at_most: Duration) -> Option<Error> {
        match self.shared.wait(clock().checked_add(at_most)) {
            Some(State::TakenBack(error)) => Some(error),
            _ => None,
        }
    }
}

impl Drop for Unconfirmed {
    fn drop(&mut self) {
        self.shared.close(State::GivenUp("it was dropped".to_owned()));
        // A hook of a commit that waits for this thread would wait for itself.
        let waits_for_us = self.committed.db.engine().bars_commit().is_some();
        if let Some(thread) = self.thread.take().filter(|_| !waits_for_us) {
            // It ends by itself; a panic in it has been told on its own.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// Decides, if nothing was decided yet.
    fn close(&self, how: State) {
        self.close_with(|| how);
    }

    fn close_with(&self, how: impl FnOnce() -> State) {
        let mut state = self.state.lock();
        if let State::Open = &*state {
            *state = how();
            self.changed.notify_all();
        }
    }

    /// Waits until it is confirmed or taken back; `None` when the time is over first.
    fn wait(&self, deadline: Option<Instant>) -> Option<State> {
        let mut state = self.state.lock();
        while let State::Open | State::GivenUp(_) = &*state {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) if clock() >= deadline => return None,
                Some(deadline) => drop(self.changed.wait_until(&mut state, deadline)),
            }
        }
        Some(state.clone())
    }

    /// Waits for the end of the time, or for a word before it; takes back what was not confirmed.
    fn watch(&self, db: &Db, provisional: Provisional, deadline: Instant, within: Duration) {
        let mut state = self.state.lock();
        while let State::Open = &*state {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                if let State::Open = &*state {
                    let seconds = within.as_secs_f32();
                    *state = State::GivenUp(format!("{seconds} s were given for it"));
                }
            }
        }
        let State::GivenUp(words) = state.clone() else { return };
        drop(state);
        let why = Failure { step: "commit".to_owned(), why: Why::Unconfirmed(words) };
        let ended = match db.engine().take_back(provisional, why) {
            Ok(outcome) => Transaction::ended(outcome).map(drop),
            Err(error) => Err(Error::cut_off(error)),
        };
        let error = ended.err().unwrap_or_else(|| Error::other("the commit was not taken back"));
        *self.state.lock() = State::TakenBack(error);
        self.changed.notify_all();
    }
}
