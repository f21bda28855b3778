//! A neutral tree: what `ip -json` would print, before it is JSON or text.

use std::fmt;

/// A value of JSON's shapes, with keys in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `true` or `false`.
    Bool(bool),
    /// An unsigned number.
    Number(u64),
    /// A negative number.
    Signed(i64),
    /// A number with decimals.
    Decimal(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// An object.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The value of a key, when this is an object that has it.
    pub fn key(&self, key: &str) -> Option<&Tree> {
        match self {
            Tree::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Tree::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Self {
        Tree::Text(text)
    }
}

/// As in a line of `ip`: scalars bare, lists with commas, objects as `key value`.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Bool(b) => write!(f, "{b}"),
            Tree::Number(n) => write!(f, "{n}"),
            Tree::Signed(n) => write!(f, "{n}"),
            Tree::Decimal(n) => write!(f, "{n:.2}"),
            Tree::Text(text) => f.write_str(text),
            Tree::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Tree::Map(entries) => {
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key} {value}", if i == 0 { "" } else { " " })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Bool(b) => to.serialize_bool(*b),
            Tree::Number(n) => to.serialize_u64(*n),
            Tree::Signed(n) => to.serialize_i64(*n),
            Tree::Decimal(n) => to.serialize_f64(*n),
            Tree::Text(text) => to.serialize_str(text),
            Tree::List(items) => to.collect_seq(items),
            Tree::Map(entries) => to.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}
