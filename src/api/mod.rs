//! What users name: the database, interfaces, transactions, errors.
//!
//! Nothing is decided here that a lower floor could decide: an edit goes into a draft (`plan`), a commit to the
//! engine, a read to a snapshot (`state`).

mod confirm;
mod db;
mod edit;
mod error;
mod events;
mod freeze;
mod handles;
mod interface;
mod joint;
mod neighbours;
mod netns;
mod nexthops;
mod recovery;
mod routes;
mod rules;
mod savepoint;
#[cfg(all(test, shuttle))]
mod schedules;
mod transaction;
mod wait;

pub use confirm::Unconfirmed;
pub use db::{Db, DbBuilder, ReadOnlyDb};
pub use edit::{Editor, InterfaceTransaction};
pub use error::{CommitError, Ending, Error, Result};
pub use events::EventQueue;
pub use freeze::{Contest, FreezeReport, Frozen, Reversion, Thawed};
pub use handles::{RouteHandle, RouteRef, RuleHandle, RuleRef};
pub use interface::{Edit, Interface, ReadOnly};
pub use joint::{JointReview, JointTransaction, JointlyCommitted};
pub use netns::NetNs;
pub use recovery::{RecoveredCommit, Recovery};
pub use savepoint::Savepoint;
pub use transaction::{Committed, NewInterface, Transaction};

// Handles, transactions and snapshots may be moved and shared between threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Db>();
    shared::<Interface>();
    shared::<RuleHandle>();
    shared::<RouteHandle>();
    shared::<Transaction>();
    shared::<JointTransaction>();
    shared::<crate::state::Snapshot>();
    shared::<Error>();
    shared::<EventQueue>();
    shared::<Frozen>();
};
