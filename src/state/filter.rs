//! Objects by the value of an attribute, in the words of `ip -json`.

use crate::object::{Table, Tree};

/// A name that is no attribute of objects of some kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no attribute of a {of}")]
pub struct UnknownAttribute {
    /// The name.
    pub name: String,
    /// What has no such attribute: `link`, `route`, `rule`.
    pub of: &'static str,
}

/// Those of `all` whose tree has this value under a key. `derived` are keys that no row of the table bears.
pub(super) fn filter<T, I: Iterator<Item = T>, F: Fn(&T) -> Tree>(
    all: I,
    table: &'static Table,
    derived: &[&str],
    attribute: &str,
    value: &str,
    tree: F,
) -> Result<impl Iterator<Item = T> + use<T, I, F>, UnknownAttribute> {
    if table.row(attribute).is_none() && !derived.contains(&attribute) {
        return Err(UnknownAttribute { name: attribute.to_owned(), of: table.name });
    }
    let (attribute, value) = (attribute.to_owned(), value.to_owned());
    Ok(all.filter(move |one| shows(&tree(one), &attribute, &value)))
}

fn shows(tree: &Tree, attribute: &str, value: &str) -> bool {
    let found = tree.key(attribute).or_else(|| tree.key("linkinfo")?.key(attribute));
    match found {
        Some(Tree::List(items)) => items.iter().any(|item| item.to_string() == value),
        Some(one) => one.to_string() == value,
        None => false,
    }
}
