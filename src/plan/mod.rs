//! What a transaction sends, in which order, how it is judged and how it is undone.
//!
//! A [`Draft`] holds what the user named and nothing else. [`Commit::new`] turns it into facts, drops those that
//! already hold, finds conflicts, orders the rest into waves of [`Action`]s; the [`Commit`] machine then says what
//! to send (`poll`) and takes what came back (`handle_*`), until one of three endings is known. The kernel's
//! manners live in `rules`, one named function each. Pure: no socket, thread or clock.

mod action;
mod bridge_vlans;
mod commit;
mod conflict;
mod draft;
mod ensure;
mod export;
pub(crate) mod fact;
mod failure;
mod focus;
mod group;
mod hold;
mod keyed;
mod kinds;
mod load;
mod load_keyed;
mod order;
mod ports;
mod refusal;
mod resume;
mod revert;
mod review;
mod rings;
mod rules;
mod selection;
mod spec;
mod undo;

pub use action::{Action, Origin};
pub use bridge_vlans::VlanEdit;
pub use commit::{Answer, Commit, Outcome, Poll, Progress, Residue};
pub use conflict::Conflicts;
pub use draft::{Departure, Draft, LinkDraft, Target};
pub use ensure::Ensure;
pub use fact::{Fact, Field};
pub use failure::{Failure, Hint, Why};
pub use group::{Group, Joint};
pub use hold::{CALM, FIRST_PAUSE, FREE, Holds, LONGEST_PAUSE, Round, Trouble, Undone, Way, Word};
pub use keyed::{Op, Which};
pub(crate) use kinds::untold_of;
pub use refusal::Refusal;
pub use review::{Review, ReviewLine, Sign};
pub use selection::Selection;
pub use spec::{AddressSpec, ParseAddressError};
