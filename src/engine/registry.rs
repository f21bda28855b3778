//! What is registered and taken out again: hooks and callbacks, in the order of their registration.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};

/// Things in the order in which they were registered.
pub struct Registry<T> {
    entries: Arc<Mutex<Entries<T>>>,
    count: Arc<AtomicUsize>,
}

struct Entries<T> {
    next: u64,
    of: Vec<(u64, T)>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        let entries = Arc::new(Mutex::new(Entries { next: 0, of: Vec::new() }));
        Registry { entries, count: Arc::default() }
    }
}

impl<T: Clone + Send + 'static> Registry<T> {
    /// Holds until the registration is dropped.
    pub fn add(&self, thing: T) -> Registration {
        let mut entries = self.entries.lock();
        let id = entries.next;
        entries.next += 1;
        entries.of.push((id, thing));
        self.count.store(entries.of.len(), Ordering::SeqCst);
        let (registry, count) = (Arc::downgrade(&self.entries), Arc::clone(&self.count));
        Registration(Some(Box::new(move || take_out(&registry, &count, id))))
    }

    /// Whether there is none, without a lock.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// All that are registered now. They are called after the lock is given back: one may take itself out.
    pub fn all(&self) -> Vec<T> {
        self.entries.lock().of.iter().map(|(_, thing)| thing.clone()).collect()
    }
}

fn take_out<T>(registry: &Weak<Mutex<Entries<T>>>, count: &AtomicUsize, id: u64) {
    let Some(registry) = registry.upgrade() else { return };
    let mut entries = registry.lock();
    let at = entries.of.iter().position(|(own, _)| *own == id);
    let taken = at.map(|at| entries.of.remove(at));
    count.store(entries.of.len(), Ordering::SeqCst);
    // What it has captured may do anything when it is dropped, also register and take out.
    drop(entries);
    drop(taken);
}

/// A hook or a callback that is registered: dropping this takes it out, also from inside of itself.
///
/// It does not wait for a call that is running. After the database has gone it does nothing.
#[must_use = "what is registered is taken out again when this is dropped"]
pub struct Registration(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Registration {
    /// Leaves it registered as long as the database lives.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(take_out) = self.0.take() {
            take_out();
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}
