//! What is told to `tracing`, where the feature of that name is on; nothing where it is not.
//!
//! A span `commit` with the transaction's UUID around all that a commit does, and events of the target `netlinkdb`: what
//! is sent and looked at (`TRACE`, `DEBUG`), how it ended (`INFO`, `WARN`), what the reader lost and read anew (`WARN`,
//! `INFO`).

use uuid::Uuid;

/// An event, `tracing`'s macro of this level.
macro_rules! tell {
    ($level:ident, $($rest:tt)+) => {
        #[cfg(feature = "tracing")]
        ::tracing::$level!(target: "netlinkdb", $($rest)+);
    };
}
pub(super) use tell;

/// The span of a commit, until it is dropped.
pub(super) struct Span {
    #[cfg(feature = "tracing")]
    _entered: tracing::span::EnteredSpan,
}

impl Span {
    pub(super) fn commit(id: Uuid) -> Self {
        #[cfg(feature = "tracing")]
        let span = Span {
            _entered: tracing::info_span!(target: "netlinkdb", "commit", transaction = %id)
                .entered(),
        };
        #[cfg(not(feature = "tracing"))]
        let span = {
            let _ = id;
            Span {}
        };
        span
    }
}
