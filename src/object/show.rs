//! How rows are shown: as `ip -json -details` shows them, and as an `ip link` command line says them.

use super::shape::bit_names;
use super::{Argument, Form, LinkRef, Names, Record, Row, Tree, Value};

/// What `ip` prints as a line is a line, interfaces by their index; what it prints as JSON is serialized; debugging shows the
/// rows.
macro_rules! printed {
    ($object:ident) => {
        /// The line that `ip` prints of it, interfaces by their index.
        impl std::fmt::Display for $object {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.line(&()))
            }
        }

        impl std::fmt::Debug for $object {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.record, f)
            }
        }

        $crate::object::show::serialized!($object, (&()));
    };
}

/// A list of them is a line for each, interfaces by their names, and a list in JSON.
macro_rules! printed_list {
    ($(#[$meta:meta])* $list:ident of $iter:ident) => {
        $(#[$meta])*
        impl std::fmt::Display for $list<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.$iter().try_for_each(|one| writeln!(f, "{}", one.line(self.snapshot)))
            }
        }

        $crate::object::show::serialized!($list<'_>, ());
    };
}

/// What `tree` gives is what is serialized.
macro_rules! serialized {
    ($object:ty, ($($names:tt)*)) => {
        #[cfg(feature = "serde")]
        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.tree($($names)*).serialize(to)
            }
        }
    };
}

/// A specification reads the same where it is debugged.
macro_rules! debug_as_display {
    ($object:ident) => {
        impl std::fmt::Debug for $object {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use {debug_as_display, printed, printed_list, serialized};

/// Adds what `ip -json` shows of one value to an object.
pub fn show(
    row: &Row,
    value: &Value,
    record: &Record,
    names: &dyn Names,
    object: &mut Vec<(String, Tree)>,
) {
    let number = value.number().unwrap_or(0);
    let tree = match row.form {
        Form::Hidden => return,
        Form::Custom(function) => return function(value, record, names, object),
        Form::Member(name) => return show_member(row.name, name, number != 0, object),
        Form::OnlyTrue | Form::NotZero if number == 0 => return,
        Form::OnlyTrue => Tree::Bool(true),
        Form::Bool => Tree::Bool(is_on(value)),
        // As C's `%#x` does.
        Form::Hex if number == 0 => Tree::from("0"),
        Form::Hex => Tree::Text(format!("{number:#x}")),
        Form::Hundredths => Tree::Decimal(number as f64 / 100.0),
        Form::Link if matches!(value, Value::Link(_)) => match value {
            Value::Link(LinkRef::Index(index) | LinkRef::Handle { index, .. }) => {
                link_name(*index, names)
            }
            other => Tree::Text(other.to_string()),
        },
        Form::Link if number == 0 => return,
        Form::Link => link_name(number as u32, names),
        Form::Names(table) => match table.iter().find(|(n, _)| *n == number) {
            Some((_, name)) => Tree::from(*name),
            None => Tree::Number(number),
        },
        Form::Words(table) => match table.iter().find(|(n, _)| *n == number) {
            Some((_, name)) => Tree::from(*name),
            None => Tree::Text(number.to_string()),
        },
        Form::Bits(table) => {
            let text = bit_names(number, table);
            Tree::List(text.split(',').filter(|s| !s.is_empty()).map(Tree::from).collect())
        }
        Form::Plain | Form::NotZero => plain(value, names),
    };
    object.push((row.name.to_owned(), tree));
}

/// One name of the list under a key, if it is on; the list is there also when it is empty.
fn show_member(key: &str, name: &str, on: bool, object: &mut Vec<(String, Tree)>) {
    let member = on.then(|| Tree::from(name));
    match object.iter_mut().find(|(own, _)| own == key) {
        Some((_, Tree::List(all))) => all.extend(member),
        _ => object.push((key.to_owned(), Tree::List(member.into_iter().collect()))),
    }
}

/// Whether a switch is on.
fn is_on(value: &Value) -> bool {
    matches!(value, Value::Present) || value.number().unwrap_or(0) != 0
}

/// An interface by name, as `ip` spells one that it does not know.
pub fn link_name(index: u32, names: &dyn Names) -> Tree {
    match names.name_of(index) {
        Some(name) => Tree::from(name),
        None => Tree::Text(format!("if{index}")),
    }
}

fn plain(value: &Value, names: &dyn Names) -> Tree {
    match value {
        Value::Number(n) => Tree::Number(*n),
        Value::Signed(n) => u64::try_from(*n).map_or(Tree::Signed(*n), Tree::Number),
        Value::Nested(record) => Tree::Map(record.tree(names)),
        Value::Numbers(numbers) => {
            Tree::List(numbers.iter().map(|n| Tree::Number((*n).into())).collect())
        }
        Value::Records(all) => {
            Tree::List(all.iter().map(|record| Tree::Map(record.tree(names))).collect())
        }
        Value::Hardwares(all) => {
            Tree::List(all.iter().map(|a| Tree::Text(a.to_string())).collect())
        }
        Value::Ips(all) => Tree::List(all.iter().map(|a| Tree::Text(a.to_string())).collect()),
        Value::Texts(texts) => Tree::List(texts.iter().map(|text| Tree::from(&**text)).collect()),
        Value::Present => Tree::Bool(true),
        other => Tree::Text(other.to_string()),
    }
}

/// Keyword and value as an `ip link` command line has them; empty when the row has no keyword.
pub fn words(row: &Row, value: &Value, record: &Record, names: &dyn Names) -> String {
    let on = is_on(value);
    let keyword = row.keyword;
    match row.argument {
        Argument::By(function) => function(value),
        _ if keyword.is_empty() => String::new(),
        Argument::NoWord => format!("{}{keyword}", if on { "" } else { "no" }),
        Argument::OnOff => format!("{keyword} {}", if on { "on" } else { "off" }),
        Argument::ZeroOne => format!("{keyword} {}", u8::from(on)),
        Argument::Number => format!("{keyword} {}", value.number().unwrap_or(0)),
        Argument::Shown => format!("{keyword} {}", shown(row, value, record, names)),
    }
}

/// The value alone, as JSON has it; as it is where JSON leaves it out. Where JSON shows several things for one attribute, it
/// is what stands under the attribute's own key, or else comes first.
fn shown(row: &Row, value: &Value, record: &Record, names: &dyn Names) -> String {
    let mut object = Vec::new();
    show(row, value, record, names, &mut object);
    let own = object.iter().position(|(key, _)| key == row.name).unwrap_or(0);
    object.get(own).map_or_else(|| value.to_string(), |(_, tree)| tree.to_string())
}
