//! What is done where another program has changed the same.

/// What a commit does where another program has changed, since the transaction began, what the transaction names too:
/// the same attribute, flag, option, address, route, neighbour or nexthop object. What others change elsewhere is nobody's
/// business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflicts {
    /// The commit is refused, and says what it was, is and was to be.
    #[default]
    Refuse,
    /// What the transaction wants, holds.
    Overwrite,
    /// What the other program wants, stays; the rest of the transaction is carried out.
    KeepTheirs,
}
