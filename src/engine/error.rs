//! What can go wrong between the pure floors and the kernel.

use std::path::Path;
use std::time::Duration;

use super::Unusable;
use crate::sys;
use crate::wire::Ack;

/// What can go wrong between the pure floors and the kernel.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{doing}: {error}")]
    System {
        /// What it was for.
        doing: &'static str,
        /// Which call, and why.
        error: sys::Error,
    },
    /// The kernel refused to be read.
    #[error("the kernel refused to list interfaces, addresses and routes: {}{}", std::io::Error::from_raw_os_error(.0.errno), words(.0))]
    Unreadable(Ack),
    /// A thread could not be started.
    #[error("the reader thread could not be started: {0}")]
    Thread(String),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The reader thread has ended; the reason.
    #[error("the database can no longer follow the kernel: {0}")]
    Broken(Box<Error>),
    /// What was waited for did not come in time.
    #[error("{what} did not come within {} s", .within.as_secs_f32())]
    Late {
        /// What.
        what: &'static str,
        /// How long it was waited for.
        within: Duration,
    },
    /// A journal is not taken.
    #[error("the journal `{}` {why}", .path.display())]
    Journal {
        /// Where.
        path: Box<Path>,
        /// Why not.
        why: Unusable,
    },
    /// A commit, or a wait for a state, on the thread that would have to make it.
    #[error(
        "a callback that runs on the reader thread can neither commit nor wait: it would wait for itself"
    )]
    FromReader,
    /// A commit from a hook of a commit on the same database.
    #[error("a commit from a commit hook, on the same database, would wait for itself")]
    FromHook,
}

fn words(ack: &Ack) -> String {
    ack.message.as_ref().map(|message| format!("; the kernel says: {message}")).unwrap_or_default()
}

impl Error {
    /// Binds a system error to what it was for.
    pub(super) fn system(doing: &'static str) -> impl FnOnce(sys::Error) -> Error {
        move |error| Error::System { doing, error }
    }

    /// The errno, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::System { error, .. } => Some(error.errno()),
            Error::Unreadable(ack) => Some(ack.errno),
            Error::Broken(error) => error.errno(),
            _ => None,
        }
    }
}
