//! Why a commit did not hold.

use std::fmt;

use crate::wire::Ack;

/// Why a commit did not hold: the step that failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tried, as an iproute2 command.
    pub step: String,
    /// How it failed.
    pub why: Why,
}

/// How a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The kernel refused it.
    Refused {
        /// The kernel's answer.
        ack: Ack,
        /// The attribute that the answer points at.
        attribute: Option<&'static str>,
        /// What the answer means, where that is known and it does not say it.
        hint: Option<Hint>,
    },
    /// The kernel acknowledged it, and it is not so (K41).
    Ignored {
        /// What is so instead.
        instead: String,
    },
    /// No acknowledgement arrived, and it is not so.
    Unanswered,
    /// A commit hook refused.
    Hook(String),
    /// It was to be confirmed, and was not: why not.
    Unconfirmed(String),
    /// The process that carried it out has ended.
    CutOff,
    /// What is about to be sent could not be written to the journal.
    Unwritten(String),
}

/// What a refusal means that does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The kernel has not this feature.
    Lacks(&'static str),
    /// A tunnel without ends would be what this one is, which the kernel has made by itself.
    Fallback(&'static str),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::Lacks(feature) => write!(f, "this kernel has no {feature}"),
            Hint::Fallback(name) => write!(
                f,
                "without `remote` and `local` it would be what the kernel's own `{name}` is, of which there is one"
            ),
        }
    }
}

impl Failure {
    /// The errno, where the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match &self.why {
            Why::Refused { ack, .. } => Some(ack.errno),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.step)?;
        match &self.why {
            Why::Refused { ack, attribute, hint } => {
                let words = std::io::Error::from_raw_os_error(ack.errno);
                write!(f, "was refused: {words}")?;
                if let Some(message) = &ack.message {
                    write!(f, "; the kernel says: {message}")?;
                }
                if let Some(attribute) = attribute {
                    write!(f, " (at {attribute})")?;
                }
                hint.iter().try_for_each(|hint| write!(f, ": {hint}"))
            }
            Why::Ignored { instead } => {
                write!(f, "was acknowledged but did not take effect: {instead}")
            }
            Why::Unanswered => write!(f, "was never acknowledged, and is not in effect"),
            Why::Hook(words) => write!(f, "failed: {words}"),
            Why::Unconfirmed(words) => write!(f, "was not confirmed: {words}"),
            Why::CutOff => write!(f, "was cut off: the process that carried it out has ended"),
            Why::Unwritten(words) => {
                write!(f, "was not sent, because it could not be written to the journal: {words}")
            }
        }
    }
}
