//! `dummy`: interfaces that drop what they are given, without options.

use super::new::{NewLink, new_links};

new_links! {
    /// A dummy to be created: an interface that is always there and drops what it is given.
    Dummy;
}

impl Dummy {
    /// A dummy of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Dummy(NewLink::with_kind(name, "dummy"))
    }
}
