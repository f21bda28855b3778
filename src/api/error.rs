//! The one error type of the crate, and the three endings of a commit.

use std::fmt;
use std::time::Duration;

use super::Transaction;
use crate::engine::{self, Start, Unusable};
use crate::object::UnknownName;
use crate::plan::{Failure, ParseAddressError, Refusal, Residue, Why};
use crate::state::{Snapshot, UnknownAttribute};
use crate::sys;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: what was tried on what, why it failed, and what state things are in.
///
/// Opaque, so that more can be told later: ask with the `is_` methods, print it for people.
#[derive(Clone)]
pub struct Error(Box<Kind>);

#[derive(Clone, Debug)]
enum Kind {
    Refused(Refusal),
    Address(ParseAddressError),
    Engine(engine::Error),
    CutOff(engine::Error),
    RolledBack {
        cause: Failure,
        untold: Vec<String>,
        snapshot: Snapshot,
    },
    Torn {
        cause: Failure,
        residue: Vec<Residue>,
        untold: Vec<String>,
        snapshot: Snapshot,
    },
    System {
        doing: &'static str,
        error: sys::Error,
    },
    /// What was tried, and what there is to be said besides: what it takes, what is left.
    Namespace {
        doing: String,
        error: sys::Error,
        left: String,
    },
    /// What was waited for, how it was instead, how long.
    Vain {
        what: String,
        instead: String,
        within: Duration,
    },
    Duplicate(String),
    Other(String),
}

impl Kind {
    fn is_refused(&self) -> bool {
        match self {
            Kind::Refused(_) | Kind::Address(_) | Kind::Other(_) => true,
            Kind::Engine(error) => {
                matches!(
                    error,
                    engine::Error::FromReader
                        | engine::Error::FromHook
                        | engine::Error::Journal { .. }
                )
            }
            _ => false,
        }
    }
}

impl Error {
    /// An error of the caller's own, to end a [`with`](super::Interface::with) closure.
    pub fn other(why: impl fmt::Display) -> Self {
        Error(Box::new(Kind::Other(why.to_string())))
    }

    pub(super) fn vain(what: String, instead: String, within: Duration) -> Self {
        Error(Box::new(Kind::Vain { what, instead, within }))
    }

    pub(super) fn duplicate(what: String) -> Self {
        Error(Box::new(Kind::Duplicate(what)))
    }

    pub(super) fn system(doing: &'static str, error: sys::Error) -> Self {
        Error(Box::new(Kind::System { doing, error }))
    }

    pub(super) fn namespace(doing: String, error: sys::Error, left: String) -> Self {
        Error(Box::new(Kind::Namespace { doing, error, left }))
    }

    pub(super) fn rolled_back(cause: Failure, untold: Vec<String>, snapshot: Snapshot) -> Self {
        Error(Box::new(Kind::RolledBack { cause, untold, snapshot }))
    }

    pub(super) fn cut_off(error: engine::Error) -> Self {
        Error(Box::new(Kind::CutOff(error)))
    }

    pub(super) fn torn(
        cause: Failure,
        residue: Vec<Residue>,
        untold: Vec<String>,
        snapshot: Snapshot,
    ) -> Self {
        Error(Box::new(Kind::Torn { cause, residue, untold, snapshot }))
    }

    /// Whether nothing was sent to the kernel, because of what was asked for.
    pub fn is_refused(&self) -> bool {
        self.0.is_refused()
    }

    /// Whether a commit hook was not content: it gave an error, panicked, or took too long.
    pub fn is_hook(&self) -> bool {
        self.cause().is_some_and(|cause| matches!(cause.why, Why::Hook(_)))
    }

    /// Whether a commit that was to be confirmed was not, and was taken back.
    pub fn is_unconfirmed(&self) -> bool {
        self.cause().is_some_and(|cause| matches!(cause.why, Why::Unconfirmed(_)))
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &*self.0 {
            Kind::Refused(refusal) => Some(refusal.root()),
            _ => None,
        }
    }

    /// Whether an interface, address, port or name is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Unknown(_) | Refusal::Missing { .. }))
    }

    /// Whether the interface that a handle means is gone.
    pub fn is_stale(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Stale { .. } | Refusal::Gone { .. }))
    }

    /// Whether a journal cannot be used: in use, truncated, corrupt, of another version, from another boot, about
    /// another namespace, or with a commit in it that has not ended.
    pub fn is_journal(&self) -> bool {
        self.unusable().is_some()
    }

    /// Whether a journal holds a commit that was cut off or never confirmed: [`Db::recover`](super::Db::recover) undoes it.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.unusable(), Some(Unusable::Unfinished(_)))
    }

    fn unusable(&self) -> Option<&Unusable> {
        match &*self.0 {
            Kind::Engine(engine::Error::Journal { why, .. }) => Some(why),
            _ => None,
        }
    }

    /// Whether something is there already.
    pub fn is_exists(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Exists { .. })) || self.errno() == Some(libc::EEXIST)
    }

    /// Whether another program changed the same field since the transaction began.
    pub fn is_conflict(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Conflict { .. }))
    }

    /// Whether a privilege is missing.
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// Whether what was waited for did not come in time.
    pub fn is_timeout(&self) -> bool {
        matches!(
            *self.0,
            Kind::Engine(engine::Error::Late { .. })
                | Kind::CutOff(engine::Error::Late { .. })
                | Kind::Vain { .. }
        )
    }

    /// Whether an address cannot be used because another host has it: duplicate address detection has failed.
    pub fn is_duplicate(&self) -> bool {
        matches!(*self.0, Kind::Duplicate(_))
    }

    /// Whether a commit failed and everything that it had changed is as before, read back and found so.
    pub fn is_rolled_back(&self) -> bool {
        matches!(*self.0, Kind::RolledBack { .. })
    }

    /// Whether a commit failed and could not undo everything, or it is not known whether it could.
    pub fn is_torn(&self) -> bool {
        matches!(*self.0, Kind::Torn { .. } | Kind::CutOff(_))
    }

    /// The kernel's error number, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        match &*self.0 {
            Kind::RolledBack { cause, .. } | Kind::Torn { cause, .. } => cause.errno(),
            Kind::Engine(error) | Kind::CutOff(error) => error.errno(),
            Kind::System { error, .. } | Kind::Namespace { error, .. } => Some(error.errno()),
            _ => None,
        }
    }

    /// The kernel's own words (extended ACK), where it gave some.
    pub fn kernel_message(&self) -> Option<&str> {
        match &self.cause()?.why {
            Why::Refused { ack, .. } => ack.message.as_deref(),
            _ => None,
        }
    }

    /// The attribute that the kernel refused, by the kernel's name (`IFLA_MTU`), where it pointed at one.
    pub fn attribute(&self) -> Option<&'static str> {
        match self.cause()?.why {
            Why::Refused { attribute, .. } => attribute,
            _ => None,
        }
    }

    /// The step of a commit that failed, as an iproute2 command; or which commit hook, and where it was written.
    pub fn step(&self) -> Option<&str> {
        self.cause().map(|cause| cause.step.as_str())
    }

    /// What a torn commit could not undo.
    pub fn residue(&self) -> &[Residue] {
        match &*self.0 {
            Kind::Torn { residue, .. } => residue,
            _ => &[],
        }
    }

    /// What interfaces had that a rollback has made anew, and that it can neither give back nor look at, as rtnetlink does not
    /// tell of it: keys and peers of a WireGuard interface. See [`Transaction::remove`].
    pub fn untold(&self) -> &[String] {
        match &*self.0 {
            Kind::RolledBack { untold, .. } | Kind::Torn { untold, .. } => untold,
            _ => &[],
        }
    }

    fn cause(&self) -> Option<&Failure> {
        match &*self.0 {
            Kind::RolledBack { cause, .. } | Kind::Torn { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Refused(refusal) => write!(f, "{refusal}"),
            Kind::Address(error) => write!(f, "{error}"),
            Kind::Engine(error) => write!(f, "{error}"),
            Kind::CutOff(error) => write!(
                f,
                "{error}; this was in the middle of a commit: what it had changed may or may not be in effect"
            ),
            Kind::RolledBack { cause, .. } => {
                write!(f, "{cause}{}", self.hint())?;
                f.write_str("; rolled back: everything that this transaction had changed is as it was before")?;
                self.write_untold(f)
            }
            Kind::Torn { cause, residue, .. } => {
                write!(f, "{cause}{}; the rollback could not undo everything:", self.hint())?;
                residue.iter().try_for_each(|left| write!(f, " {left};"))?;
                f.write_str(" the rest is as it was before")?;
                self.write_untold(f)
            }
            Kind::System { doing, error } => write!(f, "could not {doing}: {error}"),
            Kind::Namespace { doing, error, left } => write!(f, "could not {doing}: {error}{left}"),
            Kind::Vain { what, instead, within } => {
                write!(f, "{what} did not come within {} s", within.as_secs_f32())?;
                if instead.is_empty() { Ok(()) } else { write!(f, ": {instead}") }
            }
            Kind::Duplicate(what) => {
                write!(f, "{what} is a duplicate: another host on the link has that address")
            }
            Kind::Other(text) => f.write_str(text),
        }
    }
}

impl Error {
    fn write_untold(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.untold() {
            [] => Ok(()),
            all => write!(
                f,
                ", but for what is not known of interfaces that were made anew: {}",
                all.join(", ")
            ),
        }
    }

    fn hint(&self) -> &'static str {
        match self.is_permission() {
            true => {
                " (it takes CAP_NET_ADMIN in the user namespace that owns the network namespace)"
            }
            false => "",
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error(Box::new(Kind::Refused(refusal)))
    }
}

impl From<ParseAddressError> for Error {
    fn from(error: ParseAddressError) -> Self {
        Error(Box::new(Kind::Address(error)))
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Error(Box::new(Kind::Engine(error)))
    }
}

impl From<Start> for Error {
    fn from(start: Start) -> Self {
        match start {
            Start::Refused(refusal) => refusal.into(),
            Start::Unreached(error) => error.into(),
            Start::CutOff(error) => Error(Box::new(Kind::CutOff(error))),
        }
    }
}

impl From<UnknownAttribute> for Error {
    fn from(error: UnknownAttribute) -> Self {
        Error::other(error)
    }
}

impl From<engine::NotChangeable> for Error {
    fn from(error: engine::NotChangeable) -> Self {
        Error::other(error)
    }
}

impl From<UnknownName> for Error {
    fn from(error: UnknownName) -> Self {
        Error::other(error)
    }
}

impl From<crate::wire::ParseHardwareAddressError> for Error {
    fn from(error: crate::wire::ParseHardwareAddressError) -> Self {
        Error::other(error)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl<T> From<CommitError<T>> for Error {
    fn from(error: CommitError<T>) -> Self {
        error.0.0
    }
}

/// A commit that did not hold: how it ended, and the transaction, to be mended and committed again.
#[derive(Clone)]
pub struct CommitError<T = Transaction>(pub(super) Box<(Error, T)>);

/// What has an id by which errors call it.
pub trait Identified {
    /// Which one it is.
    fn id(&self) -> uuid::Uuid;
}

impl Identified for Transaction {
    fn id(&self) -> uuid::Uuid {
        Transaction::id(self)
    }
}

/// How a commit ended that did not hold.
#[derive(Debug)]
pub enum Ending<'a> {
    /// It was refused: nothing was sent.
    Refused,
    /// It failed, and everything that it had changed is as before: read back and found so, as far as rtnetlink tells of it. What
    /// more an interface had that was removed and has been made anew is [`Error::untold`].
    RolledBack {
        /// The state in which it was found so.
        snapshot: &'a Snapshot,
    },
    /// It failed, and some of it could not be undone.
    Torn {
        /// What is left.
        residue: &'a [Residue],
        /// The state now.
        snapshot: &'a Snapshot,
    },
    /// The kernel could not be reached any more; if that was in the middle, what it had changed is not known.
    Unreachable,
}

impl<T> CommitError<T> {
    /// How it ended.
    pub fn ending(&self) -> Ending<'_> {
        match &*self.0.0.0 {
            kind if kind.is_refused() => Ending::Refused,
            Kind::RolledBack { snapshot, .. } => Ending::RolledBack { snapshot },
            Kind::Torn { residue, snapshot, .. } => Ending::Torn { residue, snapshot },
            _ => Ending::Unreachable,
        }
    }

    /// What went wrong.
    pub fn error(&self) -> &Error {
        &self.0.0
    }

    /// The transaction as it was, to be mended and committed again. Its base is still the state at its beginning.
    pub fn into_transaction(self) -> T {
        self.0.1
    }
}

impl<T> std::ops::Deref for CommitError<T> {
    type Target = Error;
    fn deref(&self) -> &Error {
        &self.0.0
    }
}

impl<T: Identified> fmt::Display for CommitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {}: {}", self.0.1.id(), self.0.0)
    }
}

impl<T: Identified> fmt::Debug for CommitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: Identified> std::error::Error for CommitError<T> {}
