//! Locks, threads, channels and the clock, as the engine and the API use them.
//!
//! In tests under `--cfg shuttle` they are the checker's, which runs one thread at a time and chooses at each of these
//! operations who is next: the engine's own code runs in as many orders as there is patience for. Time stands almost
//! still there, and no wait ends by the clock: one that only its deadline would end is told as a deadlock.

#[cfg(not(all(test, shuttle)))]
pub(crate) use real::*;

#[cfg(all(test, shuttle))]
pub(crate) use checked::*;

#[cfg(not(all(test, shuttle)))]
mod real {
    pub(crate) use crossbeam_channel::{RecvTimeoutError, bounded};
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;
    pub(crate) use std::thread_local;
    use std::time::Instant;

    /// What time it is.
    pub(crate) fn clock() -> Instant {
        Instant::now()
    }
}

/// The checker's, in the manner of those above.
#[cfg(all(test, shuttle))]
mod checked {
    use std::cell::Cell;
    use std::fmt;
    use std::ops::{Deref, DerefMut};
    use std::sync::{OnceLock, PoisonError, TryLockError};
    use std::time::{Duration, Instant};

    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::sync::mpsc::{RecvTimeoutError, sync_channel as bounded};
    pub(crate) use shuttle::thread_local;

    std::thread_local! {
        static LOOKS: Cell<u32> = const { Cell::new(0) };
    }

    /// A clock that moves on by 8 us whenever somebody looks at it.
    pub(crate) fn clock() -> Instant {
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        let beginning = *BEGINNING.get_or_init(Instant::now);
        beginning + Duration::from_micros(8) * LOOKS.replace(LOOKS.get() + 1)
    }

    /// Sets the clock back, so that a schedule is the same each time that it is run.
    pub(crate) fn reset_clock() {
        LOOKS.set(0);
    }

    #[derive(Default)]
    pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(shuttle::sync::Mutex::new(value))
        }
    }

    impl<T: ?Sized> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { mutex: self, guard: Some(guard) }
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            let guard = match self.0.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            Some(MutexGuard { mutex: self, guard: Some(guard) })
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Mutex")
        }
    }

    /// There is a guard in it, but while somebody waits or is unlocked with it.
    pub(crate) struct MutexGuard<'a, T: ?Sized> {
        mutex: &'a Mutex<T>,
        guard: Option<shuttle::sync::MutexGuard<'a, T>>,
    }

    impl<T: ?Sized> MutexGuard<'_, T> {
        pub(crate) fn unlocked<U>(this: &mut Self, call: impl FnOnce() -> U) -> U {
            this.guard = None;
            let result = call();
            this.guard = this.mutex.lock().guard.take();
            result
        }
    }

    impl<T: ?Sized> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.guard.as_ref().expect("locked")
        }
    }

    impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.guard.as_mut().expect("locked")
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.guard.take().expect("locked");
            guard.guard = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
        }

        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> NotLate {
            self.wait(guard);
            NotLate
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// How a wait with a deadline has ended.
    pub(crate) struct NotLate;

    impl NotLate {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    pub(crate) mod thread {
        use std::io;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};

        pub(crate) use shuttle::thread::{Result, Thread, ThreadId, current, panicking, yield_now};

        #[derive(Debug)]
        pub(crate) struct Builder(shuttle::thread::Builder);

        impl Builder {
            pub(crate) fn new() -> Self {
                Builder(shuttle::thread::Builder::new())
            }

            pub(crate) fn name(self, name: String) -> Self {
                Builder(self.0.name(name))
            }

            pub(crate) fn spawn<T: Send + 'static>(
                self,
                body: impl FnOnce() -> T + Send + 'static,
            ) -> io::Result<JoinHandle<T>> {
                let has_ended = Arc::new(AtomicBool::new(false));
                let ended = Ended(Arc::clone(&has_ended));
                let handle = self.0.spawn(move || {
                    let _ended = ended;
                    body()
                })?;
                Ok(JoinHandle { handle, has_ended })
            }
        }

        /// Tells also of a panic.
        struct Ended(Arc<AtomicBool>);

        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        #[derive(Debug)]
        pub(crate) struct JoinHandle<T> {
            handle: shuttle::thread::JoinHandle<T>,
            has_ended: Arc<AtomicBool>,
        }

        impl<T> JoinHandle<T> {
            pub(crate) fn join(self) -> Result<T> {
                self.handle.join()
            }

            pub(crate) fn thread(&self) -> &Thread {
                self.handle.thread()
            }

            pub(crate) fn is_finished(&self) -> bool {
                self.has_ended.load(Ordering::SeqCst)
            }
        }
    }
}
