//! Where the pure floors meet threads, sockets and clocks.
//!
//! One reader thread per database owns the [`Follower`](crate::state::Follower) and is the only one that makes
//! snapshots; committers send requests from their own threads, one at a time, and wait for the reader to pass
//! their fences. Swap, then notify: a snapshot is in place before anybody is woken for it.
//!
//! What users bring along runs where it holds up nobody else: commit hooks on a thread of their commit (`hooks`),
//! callbacks after a change on one of their own (`callbacks`), event queues on the thread that reads them (`events`, from
//! the states that `log` keeps). Only callbacks before a message is applied run on the reader thread (`sieve`). No lock
//! is held while any of them is called, but the one that keeps commits apart while hooks are asked.
//!
//! Not here: what a message means, what to send, in which order.

mod callbacks;
mod commit;
mod error;
mod events;
mod freeze;
mod hooks;
mod journal;
mod log;
mod reader;
mod records;
mod registry;
mod requests;
mod shared;
mod sieve;
mod trace;
mod waiting;

pub use commit::{Provisional, Recovered, Start, Terms, Undone};
pub use error::Error;
pub use events::{Event, EventOptions, Filter, Subscription};
pub use freeze::{Hold, Note, Tally, Trouble};
pub use hooks::Hook;
pub use journal::Unusable;
pub use log::{Cause, History};
pub use registry::Registration;
pub use shared::{Config, Engine};
pub use sieve::{NotChangeable, Notification};
