//! Hooks and callbacks of a database that is driven: called by the engine's own code, but on this thread, and by a clock
//! that nobody moves but they.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use netlinkdb::internals::engine::{
    Answer, Entry, Gather, Hook, Hooks, Log, Panics, Post, Reading, Registry, Sieve, Taken, sift,
};
use netlinkdb::internals::plan::Failure;
use netlinkdb::internals::state::Silence;
use netlinkdb::internals::sys::Waker;
use netlinkdb::{Cause, Diff, Event, Filter, Notification, Snapshot};

/// No schedule has more events at a time.
const MANY: usize = 100_000;

/// What users bring along.
pub struct Callers {
    /// Hooks that the next commit asks: the database's, then its own.
    pub database: Vec<Hook>,
    pub own: Vec<Hook>,
    /// What each of them may take.
    pub deadline: Duration,
    /// What time it is to them.
    pub clock: Arc<AtomicU64>,
    /// How often callbacks have panicked, as the engine counts.
    pub panics: Arc<AtomicU64>,
    /// The words of panics that were told.
    pub told: Vec<String>,
    sieves: Registry<Sieve>,
    /// Those of them that are to be trusted: what they leave is what is so.
    trusted: Vec<Sieve>,
    posts: Registry<Post>,
    queue: Option<Queue>,
}

/// A queue of events, as the thread of callbacks has one.
struct Queue {
    log: Log,
    id: u64,
    reading: Reading,
    given: u64,
}

impl Default for Callers {
    fn default() -> Callers {
        Callers {
            database: Vec::new(),
            own: Vec::new(),
            deadline: Duration::from_millis(500),
            clock: Arc::default(),
            panics: Arc::default(),
            told: Vec::new(),
            sieves: Registry::default(),
            trusted: Vec::new(),
            posts: Registry::default(),
            queue: None,
        }
    }
}

impl Callers {
    /// Calls this with each message before it is applied. One that is trusted is called by a new database too that is
    /// to show what is so.
    pub fn on_notification(
        &mut self,
        trusted: bool,
        call: impl FnMut(&mut Notification) + Send + 'static,
    ) {
        let sieve = Sieve::new(Filter::default(), call, Panics::new(&self.panics));
        if trusted {
            self.trusted.push(sieve.clone());
        }
        self.sieves.add(sieve).keep();
    }

    /// Calls this with each change of what is shown.
    pub fn on_event(&mut self, call: impl FnMut(&Event) + Send + 'static) {
        let post = Post::new(Filter::default(), 0, call, Panics::new(&self.panics));
        self.posts.add(post).keep();
        self.queue.get_or_insert_with(|| {
            let mut log = Log::new(None);
            let id = log.subscribe(8192, Arc::new(Waker::new().expect("an eventfd")));
            let reading = Reading::new(Snapshot::default(), Filter::default());
            Queue { log, id, reading, given: 0 }
        });
    }

    /// Those who would be there if nobody had panicked.
    pub fn of_the_trusted(&self) -> Callers {
        let mut callers = Callers::default();
        for sieve in &self.trusted {
            callers.sieves.add(sieve.clone()).keep();
            callers.trusted.push(sieve.clone());
        }
        callers
    }

    /// What is left of a datagram, before it is applied.
    pub fn sift(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        if self.sieves.is_empty() {
            return datagram;
        }
        let mut told = Vec::new();
        let left = sift(&self.sieves, &datagram, &mut told).into_owned();
        told.into_iter().for_each(|words| self.tell(words));
        left
    }

    /// As `Shared::tell_panic`.
    fn tell(&mut self, words: String) {
        if let Some(Queue { log, reading, .. }) = &mut self.queue {
            let note = Some(words.as_str().into());
            drop(
                log.push(|| Entry { note, ..Entry::new(reading.seen().clone(), Cause::Callback) }),
            );
        }
        self.told.push(words);
    }

    /// A state is shown: callbacks see what has changed, as on the thread that they have in the engine.
    pub fn show(&mut self, now: &Snapshot, silence: &Silence) {
        let Some(queue) = &mut self.queue else { return };
        let silence = silence.clone();
        drop(queue.log.push(|| Entry { silence, ..Entry::new(now.clone(), Cause::Foreign) }));
        self.call_posts();
    }

    /// How many events there were for each of them.
    pub fn given(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.given)
    }

    /// The state that the events have led to.
    pub fn seen(&self) -> Option<&Snapshot> {
        Some(self.queue.as_ref()?.reading.seen())
    }

    /// Until there is nothing to tell them.
    pub fn call_posts(&mut self) {
        for _ in 0..MANY {
            let Some(queue) = &mut self.queue else { return };
            let Some(event) = queue.reading.next() else {
                let (taken, _) = queue.log.take(queue.id, Gather::Each, std::time::Instant::now());
                if matches!(taken, Taken::Nothing) {
                    return;
                }
                queue.reading.read(taken);
                continue;
            };
            queue.given += 1;
            let posts = self.posts.all();
            let told = posts.iter().filter_map(|post| post.tell(&queue.reading, &event));
            let told: Vec<_> = told.collect();
            told.into_iter().for_each(|words| self.tell(words));
        }
        panic!("callbacks are called for ever");
    }

    /// As the engine asks, with this clock.
    pub fn ask(&self, before: &Snapshot, now: &Snapshot) -> Result<(), Failure> {
        let (database, own) = (self.database.clone(), self.own.clone());
        if database.is_empty() && own.is_empty() {
            return Ok(());
        }
        let delta: Diff = before.diff(now);
        let mut asking = Hooks { database, own, deadline: self.deadline }.asking();
        while let Some(hook) = asking.poll() {
            let begun = self.clock.load(Ordering::SeqCst);
            let said = hook.ask(now, &delta);
            let taken = self.clock.load(Ordering::SeqCst) - begun;
            let is_late = Duration::from_micros(taken) > self.deadline;
            asking.handle(if is_late { Answer::Late } else { Answer::Said(said) })?;
        }
        Ok(())
    }
}

/// Panics, without a word on the standard error: it is nobody's failure.
pub fn throw(what: &'static str) -> ! {
    resume_unwind(Box::new(what))
}
