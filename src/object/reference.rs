//! References: how a user says which interface is meant.

use std::fmt;

/// Which interface is meant: by name (or alternative name), by index, by handle, or one that the same
/// transaction creates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkRef {
    /// A name or an alternative name.
    Name(Box<str>),
    /// An index.
    Index(u32),
    /// An index together with the generation of the interface that had it (K33): never another interface.
    Handle {
        /// The index.
        index: u32,
        /// The generation.
        generation: u64,
    },
    /// The interface that this transaction creates, by its place among those it creates.
    New(u64),
}

impl From<&str> for LinkRef {
    fn from(name: &str) -> Self {
        LinkRef::Name(name.into())
    }
}

impl From<String> for LinkRef {
    fn from(name: String) -> Self {
        LinkRef::Name(name.into())
    }
}

impl From<&String> for LinkRef {
    fn from(name: &String) -> Self {
        LinkRef::Name(name.as_str().into())
    }
}

impl From<u32> for LinkRef {
    fn from(index: u32) -> Self {
        LinkRef::Index(index)
    }
}

impl fmt::Display for LinkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkRef::Name(name) => f.write_str(name),
            LinkRef::Index(index) | LinkRef::Handle { index, .. } => write!(f, "index {index}"),
            LinkRef::New(number) => write!(f, "new interface {number}"),
        }
    }
}
