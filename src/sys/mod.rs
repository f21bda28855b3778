//! Every system call of the crate and all of its `unsafe`.
//!
//! Sockets that carry netlink datagrams, a poll that can be woken, network namespaces, the clock, and the
//! one capability that decides whether a change is allowed. Nothing here looks inside a datagram: what the
//! bytes mean is the business of `wire`, and what to do about a loss that is reported here (an overrun, a
//! truncation) is the business of the engine. No thread outlives a call.

mod batch;
mod error;
mod file;
#[cfg(all(test, shuttle))]
pub(crate) mod model;
pub mod netns;
#[cfg(not(all(test, shuttle)))]
mod poll;
mod process;
#[cfg(not(all(test, shuttle)))]
mod socket;
pub(crate) mod sync;
mod tun;

pub use batch::{Batch, Datagram};
pub use error::Error;
pub use file::{HeldFile, boot_id};
pub use netns::{Namespace, enter_private, unshare_network};
pub use process::{has_net_admin, monotonic};
pub use tun::NewTun;

#[cfg(all(test, shuttle))]
pub(crate) use model::{Options, Received, Socket, Waker, wait};
#[cfg(not(all(test, shuttle)))]
pub use poll::{Waker, wait};
#[cfg(not(all(test, shuttle)))]
pub use socket::{Options, Received, Socket};
