//! The kernel's state as a value, and how it follows what the kernel says.
//!
//! [`Snapshot`] is immutable; `apply` makes the next one from one [`Event`]; [`Follower`] is the machine
//! around both: it knows when to dump, when to replay, what the kernel changes without a word, and when a
//! state may be shown. Routes have their own storage (`routes`: a key and a shared body each) and their own reading
//! (`table`); rules, nexthop objects and neighbours have a module each for both. Pure: bytes and facts come in by `handle_*`, bytes to be sent and snapshots go out by
//! `poll_*`. No socket, thread or clock here; those are `engine`.

mod altered;
mod apply;
mod copy;
mod diff;
mod event;
mod filter;
mod follow;
mod holes;
mod neighbours;
mod nexthops;
mod pack;
mod routes;
mod rules;
mod scope;
mod silence;
mod snapshot;
mod table;
mod view;
mod vlans;

pub use copy::{Fields, ObjectKey};
pub use diff::{Change, Diff, Object, ObjectKind};
pub use event::{Event, LinkEvent, decode};
pub use filter::UnknownAttribute;
pub use follow::{
    Ask, Follower, Losses, Outlet, Transmit, Update, Views, fence_request, is_brief, is_later,
    next_fence,
};
pub use neighbours::{NeighbourKey, NeighbourList, NeighbourTarget, Remote, is_shown};
pub use nexthops::NexthopList;
pub use pack::{BodyList, Part};
pub use routes::{Bodies, Body, Held, Routes, is_same, legs};
pub use rules::{RuleKey, RuleList};
pub use scope::RouteFilter;
pub use silence::{Silence, Silent};
pub use snapshot::{AddressKey, Snapshot};
pub use table::RouteTable;
pub use view::RouteView;
