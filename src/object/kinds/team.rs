//! `team`: interfaces that a program makes one of several, without options.

use super::new::{NewLink, new_links};

new_links! {
    /// A team to be created: ports that act as one, in the way that a program (`teamd`) tells the kernel.
    ///
    /// A port has no options. The team's mode is not set by rtnetlink: without a program it sends nothing.
    Team;
}

impl Team {
    /// A team of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Team(NewLink::with_kind(name, "team"))
    }
}
