//! Reading what `ip -json -details` shows: the tables backwards.
//!
//! A value is read by finding the one that would be shown so: what shows it and what reads it cannot disagree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::shape::elements;
use super::show::show;
use super::{Form, Names, Record, Row, Shape, Table, Tree, Value};
use crate::wire::HardwareAddress;

/// A key that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Who knows the indexes of interfaces by their names.
pub type Indexes<'a> = &'a dyn Fn(&str) -> Option<u32>;

/// Reads one key of an object into a record. What only the kernel sets is passed over.
///
/// # Errors
/// When no row shows such a key, or no value of it would be shown so.
pub fn read(
    table: &'static Table,
    key: &str,
    tree: &Tree,
    names: &dyn Names,
    indexes: Indexes<'_>,
    to: &mut Record,
) -> Result<(), Unread> {
    if let Tree::Map(entries) = tree {
        // What stands in an object of its own is read part by part.
        let is_part =
            |row: &Row| row.name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        if entries.len() > 1 && table.rows.iter().any(is_part) {
            return entries.iter().try_for_each(|entry| {
                let part = Tree::Map(vec![entry.clone()]);
                read(table, key, &part, names, indexes, to)
            });
        }
    }
    let unread = |why: &str| Unread { key: key.to_owned(), why: why.to_owned() };
    if read_members(table, key, tree, to) {
        return Ok(());
    }
    let mut known = table.row(key).is_some();
    for (id, row) in table.rows.iter().enumerate().filter(|(_, row)| row.settable()) {
        let fitting = candidates(row, tree, indexes);
        for value in fitting.into_iter().filter(|value| fits(row.shape, value)) {
            let mut object = Vec::new();
            let mut record = to.clone();
            record.set(id as u16, value.clone());
            show(row, &value, &record, names, &mut object);
            known |= object.iter().any(|(own, _)| own == key);
            if object.iter().any(|(own, shown)| own == key && same(shown, tree)) {
                to.set(id as u16, value);
                return Ok(());
            }
        }
    }
    match table.row(key).map(|(_, row)| row.settable()) {
        Some(false) => Ok(()),
        _ if known => Err(unread(&format!("`{tree}` is none of its values"))),
        _ => Err(unread(&format!("no such key of a {}", table.name))),
    }
}

/// Reads a list that several rows share: each is on when its name is in it. `false` where it is none.
fn read_members(table: &'static Table, key: &str, tree: &Tree, to: &mut Record) -> bool {
    let Tree::List(items) = tree else { return false };
    let of = |row: &Row| match row.form {
        Form::Member(name) if row.name == key => Some(name),
        _ => None,
    };
    let names: Vec<_> = table.rows.iter().filter_map(of).collect();
    let known = |item: &Tree| names.iter().any(|name| *item == Tree::from(*name));
    if names.is_empty() || !items.iter().all(known) {
        return false;
    }
    for (id, row) in table.rows.iter().enumerate() {
        if let Some(name) = of(row) {
            let on = items.contains(&Tree::from(name));
            to.set(id as u16, Value::Number(on.into()));
        }
    }
    true
}

/// Whether a row of this shape can have such a value.
fn fits(shape: Shape, value: &Value) -> bool {
    match value {
        Value::Text(_) => matches!(shape, Shape::Text),
        Value::Texts(_) => matches!(shape, Shape::Texts(_)),
        Value::Hardware(_) => matches!(shape, Shape::Hardware | Shape::Mac),
        Value::Hardwares(_) => matches!(shape, Shape::Hardwares(_)),
        Value::V4(_) => matches!(shape, Shape::Ip | Shape::Ip4 | Shape::Via),
        Value::V6(_) => matches!(shape, Shape::Ip | Shape::Ip6 | Shape::Via),
        Value::Ips(_) => matches!(shape, Shape::Ips),
        Value::Link(_) => false,
        Value::Records(_) => matches!(shape, Shape::Elements(..)),
        Value::Present => matches!(shape, Shape::Present),
        Value::Nested(_) => matches!(shape, Shape::Struct(_) | Shape::Nest(_)),
        Value::Number(_) | Value::Signed(_) => !matches!(
            shape,
            Shape::Text
                | Shape::Texts(_)
                | Shape::Hardware
                | Shape::Mac
                | Shape::Hardwares(_)
                | Shape::Ips
                | Shape::Elements(..)
                | Shape::Ip
                | Shape::Ip4
                | Shape::Ip6
                | Shape::Via
                | Shape::Present
                | Shape::Struct(_)
                | Shape::Nest(_)
        ),
        _ => false,
    }
}

/// The keys of an object have no order.
fn same(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Map(a), Tree::Map(b)) => {
            let found = |(key, one): &(String, Tree)| {
                b.iter().any(|(own, other)| own == key && same(one, other))
            };
            a.len() == b.len() && a.iter().all(found)
        }
        _ => a == b,
    }
}

fn candidates(row: &Row, tree: &Tree, indexes: Indexes<'_>) -> Vec<Value> {
    let by_number = matches!(row.form, Form::Custom(_));
    let named = |text: &str| match row.form {
        Form::Names(names) | Form::Words(names) | Form::Bits(names) => {
            names.iter().find(|(_, name)| *name == text).map(|(number, _)| *number)
        }
        _ => None,
    };
    match tree {
        Tree::Null => vec![Value::Present, Value::Number(0), Value::Number(1)],
        Tree::Bool(on) => {
            let number = Value::Number((*on).into());
            if *on { vec![number, Value::Present] } else { vec![number] }
        }
        // A signed number that is not negative is shown as any other.
        Tree::Number(number) if matches!(row.shape, Shape::I32) => {
            i64::try_from(*number).ok().map(Value::Signed).into_iter().collect()
        }
        Tree::Number(number) => vec![Value::Number(*number)],
        Tree::Signed(number) => vec![Value::Signed(*number)],
        Tree::Decimal(number) => vec![Value::Number((number * 100.0).round() as u64)],
        Tree::Text(text) => {
            let hex = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let numbers = named(text).or(hex).or_else(|| text.parse().ok());
            let index = matches!(row.form, Form::Link).then(|| indexes(text)).flatten();
            let small = (0..=255u64).filter(|_| by_number);
            let all = numbers.into_iter().chain(index.map(u64::from)).chain(small);
            let mut values: Vec<_> = all.map(Value::Number).collect();
            values.extend(text.parse::<HardwareAddress>().ok().map(Value::Hardware));
            values.extend(text.parse().ok().map(Value::V4));
            values.extend(text.parse().ok().map(Value::V6));
            // A key of a tunnel is shown as an address, and no address as `any`.
            let key = text.parse::<Ipv4Addr>().ok().map(|key| u32::from(key).into());
            values.extend(key.map(Value::Number));
            if text == "any" {
                values.push(Value::V4(Ipv4Addr::UNSPECIFIED));
                values.push(Value::V6(Ipv6Addr::UNSPECIFIED));
            }
            values.push(Value::Text(text.as_str().into()));
            values
        }
        Tree::List(items) => {
            let texts: Vec<&str> = items
                .iter()
                .filter_map(|item| match item {
                    Tree::Text(text) => Some(&**text),
                    _ => None,
                })
                .collect();
            let bits = texts.iter().map(|text| named(text)).collect::<Option<Vec<u64>>>();
            let bits = bits.map(|bits| Value::Number(bits.iter().fold(0, |all, bit| all | bit)));
            let addresses: Result<Vec<HardwareAddress>, _> =
                texts.iter().map(|text| text.parse()).collect();
            let mut values: Vec<_> = bits.into_iter().collect();
            values.extend(addresses.ok().map(|all| Value::Hardwares(all.into())));
            let ips: Result<Vec<IpAddr>, _> = texts.iter().map(|text| text.parse()).collect();
            values.extend(ips.ok().map(|all| Value::Ips(all.into())));
            values.push(Value::Texts(texts.into_iter().map(Into::into).collect()));
            if let Shape::Elements(_, table) = row.shape {
                let element = |item: &Tree| struct_of(table, item, indexes);
                let all: Option<Vec<_>> = items.iter().map(element).collect();
                values.extend(all.map(|all| elements(all.into())));
            }
            values
        }
        Tree::Map(entries) => match row.shape {
            Shape::Struct(table) | Shape::Nest(table) => {
                let inner = entries_of(table, entries, indexes);
                inner.map(|inner| Value::Nested(Box::new(inner))).into_iter().collect()
            }
            _ => match entries.as_slice() {
                [(_, part)] => candidates(row, part, indexes),
                _ => Vec::new(),
            },
        },
    }
}

fn struct_of(table: &'static Table, tree: &Tree, indexes: Indexes<'_>) -> Option<Record> {
    match tree {
        Tree::Map(entries) => entries_of(table, entries, indexes),
        _ => None,
    }
}

/// The record that an object shows; `None` when one of its keys is no row's.
fn entries_of(
    table: &'static Table,
    entries: &[(String, Tree)],
    indexes: Indexes<'_>,
) -> Option<Record> {
    let mut inner = Record::new(table);
    let read = |(key, tree): &(String, Tree)| {
        let rows = table.rows.iter().enumerate();
        let found = rows.filter(|(_, row)| row.name == *key).find_map(|(id, row)| {
            let mut all = candidates(row, tree, indexes).into_iter();
            all.find(|value| fits(row.shape, value)).map(|value| (id, value))
        });
        found.map(|(id, value)| inner.set(id as u16, value)).is_some()
    };
    entries.iter().all(read).then_some(inner)
}
