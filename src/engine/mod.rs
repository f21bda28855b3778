//! Where the pure floors meet threads, sockets and clocks.
//!
//! One reader thread per database drives the [`Follower`](crate::state::Follower), which makes the snapshots; committers
//! send requests from their own threads, one at a time, and wait for it to pass their fences. Whoever waits while the
//! reader sleeps takes in what there is himself, with the reader's lock held. Swap, then notify: a snapshot is in place
//! before anybody is woken for it.
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
mod group;
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

pub use callbacks::{Panics, Post};
pub use commit::{Provisional, Recovered, Start, Terms, Undone};
pub use error::Error;
pub use events::{Event, EventOptions, Filter, Reading, Subscription};
pub use freeze::{Hold, Note, Tally, Trouble};
pub use group::{Member, commit_together};
pub use hooks::{Answer, Asking, Hook, Hooks};
pub use journal::Unusable;
pub use log::{Cause, Entry, Gather, History, Log, Taken};
pub use registry::{Registration, Registry};
pub use shared::{Config, Engine};
pub use sieve::{NotChangeable, Notification, Sieve, sift};
