//! Why a transaction is refused before anything is sent.

/// Why a transaction, or an edit of it, is refused. Nothing has been sent then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such interface.
    #[error("there is no interface `{0}`")]
    Unknown(String),
    /// An option names an interface that it cannot.
    #[error("{option} of `{of}`: {why}")]
    Named {
        /// Which option.
        option: &'static str,
        /// Of which interface.
        of: String,
        /// Why it cannot.
        why: Box<Refusal>,
    },
    /// It is so in this one of several namespaces.
    #[error("in namespace {namespace}: {why}")]
    There {
        /// Which one.
        namespace: String,
        /// Why it is refused there.
        why: Box<Refusal>,
    },
    /// The handle's interface is gone, or another one has its index now.
    #[error("the interface with index {index} that this handle means is gone{}", replaced(.by))]
    Stale {
        /// The index.
        index: u32,
        /// Who has the index now.
        by: Option<String>,
    },
    /// What the handle means is gone.
    #[error("{what} that this handle means is gone")]
    Gone {
        /// What.
        what: String,
    },
    /// A bad value.
    #[error("{what} `{value}`: {why}")]
    Invalid {
        /// What it was to be.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// To be added, but there.
    #[error("{what} is there already")]
    Exists {
        /// What.
        what: String,
    },
    /// To be removed, but not there.
    #[error("{what} is not there")]
    Missing {
        /// What.
        what: String,
    },
    /// To be removed, and the kernel would take what uses it along.
    #[error("{what} is used by {by}, which the kernel would take along in silence")]
    InUse {
        /// What is to be removed.
        what: String,
        /// What uses it.
        by: String,
    },
    /// Several fit the words.
    #[error("{what} could be {}: say more", .found.join(", or "))]
    Ambiguous {
        /// The words.
        what: String,
        /// What fits them.
        found: Vec<String>,
    },
    /// The database does not follow it, and cannot tell what a change of it would come to.
    #[error("this database does not follow {what}: it was opened without")]
    NotFollowed {
        /// What.
        what: String,
    },
    /// Someone else changed the same field meanwhile.
    #[error(
        "{what} was {base} when the transaction began and is {now}: changed by another program; it was to be {want}"
    )]
    Conflict {
        /// Which field of what.
        what: String,
        /// At the beginning.
        base: String,
        /// Now.
        now: String,
        /// What the transaction wants.
        want: String,
    },
    /// The transaction removes the interface, and wants something of it too.
    #[error("`{name}` is removed in this transaction: {used}")]
    Removed {
        /// The interface.
        name: String,
        /// What else is wanted of it.
        used: String,
    },
    /// The transaction moves the interface to another namespace, and wants something of it too.
    #[error("`{name}` goes to another namespace in this transaction: {used}")]
    Leaves {
        /// The interface.
        name: String,
        /// What else is wanted of it.
        used: String,
    },
    /// What reaches into another namespace is not kept in a journal.
    #[error(
        "a commit in more than one namespace cannot be kept in a journal, and this database was opened with one"
    )]
    NotJournalled,
    /// It can be taken back only within one namespace.
    #[error("a commit in more than one namespace cannot wait to be confirmed")]
    NotConfirmed,
    /// The interface is of another kind.
    #[error("{what} is for a {needs}, and `{name}` is {is}")]
    WrongKind {
        /// What was asked for.
        what: &'static str,
        /// What it is for.
        needs: &'static str,
        /// The interface.
        name: String,
        /// What it is.
        is: String,
    },
    /// The database was opened in explicit mode, and no transaction was begun.
    #[error("the database is in explicit mode: begin a transaction before editing")]
    Explicit,
}

impl Refusal {
    /// Without what says of what, and where, it is.
    pub fn root(&self) -> &Refusal {
        match self {
            Refusal::Named { why, .. } | Refusal::There { why, .. } => why.root(),
            own => own,
        }
    }

    /// The same, said of a namespace.
    pub(crate) fn in_namespace(self, namespace: &str) -> Refusal {
        Refusal::There { namespace: namespace.to_owned(), why: Box::new(self) }
    }
}

fn replaced(by: &Option<String>) -> String {
    by.as_ref().map(|name| format!("; `{name}` has that index now")).unwrap_or_default()
}
