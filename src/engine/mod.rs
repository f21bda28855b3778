//! Where the pure floors meet threads, sockets and clocks.
//!
//! One reader thread per database owns the [`Follower`](crate::state::Follower) and is the only one that makes
//! snapshots; committers send requests from their own threads, one at a time, and wait for the reader to pass
//! their fences. Swap, then notify: a snapshot is in place before anybody is woken for it.
//!
//! Not here: what a message means, what to send, in which order.

mod commit;
mod error;
mod hooks;
mod reader;
mod registry;
mod requests;
mod shared;
mod waiting;

pub use commit::Start;
pub use error::Error;
pub use hooks::Hook;
pub use registry::Registration;
pub use shared::{Config, Engine};
