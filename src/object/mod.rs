//! One table per kind of object, one row per attribute.
//!
//! A row says everything about an attribute: its number, its bytes, who may change it, how the kernel spells
//! "none", how `ip` shows it, what it is. Decoding, encoding, comparing, JSON, review text and the typed
//! accessor all come from the row, so a new attribute is one row and a new link kind is one file and one line
//! in [`kinds::KINDS`]. Pure: what an object does *over time* is `state`.

pub mod kinds;
pub mod link;
mod record;
mod reference;
pub mod shape;
pub mod table;
mod tree;
mod value;

pub use link::{LINK, Link, LinkFlags, OperState};
pub use record::{FieldChange, Record};
pub use reference::LinkRef;
pub use shape::{Named, Shape, Typed, UnknownName};
pub use table::{Form, Names, Place, Role, Row, Silent, Table};
pub use tree::Tree;
pub use value::Value;
