//! Records: the attributes of one object, by the rows of its table.

use std::fmt;

use super::shape::bit_names;
use super::table::Lookup;
use super::{Form, Names, Place, Row, Table, Tree, Value};
use crate::wire::{Attribute, Attributes, Builder, Malformed};

/// The attributes that one object has, in the order of its table's rows, and those that no row knows.
///
/// Never in it: two values for one row; a value for a row that the kernel did not send.
#[derive(Clone)]
pub struct Record {
    table: &'static Table,
    fields: Vec<(u16, Value)>,
    unknown: Vec<(Box<[u16]>, Box<[u8]>)>,
}

/// One attribute that differs between two records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The table that knows the attribute; inside kind data it is not the object's own.
    pub table: &'static str,
    /// The key in `ip -json`.
    pub name: &'static str,
    /// What it was, as text.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

impl Record {
    /// Without any attribute.
    pub fn new(table: &'static Table) -> Self {
        Record { table, fields: Vec::new(), unknown: Vec::new() }
    }

    /// Reads a message's payload: fixed struct, then attributes.
    pub fn decode(table: &'static Table, payload: &[u8]) -> Result<Self, Malformed> {
        let Some((fixed, attributes)) = payload.split_at_checked(table.header) else {
            let what = "message shorter than its fixed struct";
            return Err(Malformed { what, offset: payload.len(), total: payload.len() });
        };
        let mut record = Record::new(table);
        record.fields.reserve(table.rows.len());
        for (id, row) in table.rows.iter().enumerate() {
            let Place::Header(offset) = row.place else { continue };
            let bytes = fixed.get(offset..).unwrap_or_default();
            if let Some(value) = row.shape.read(bytes, &Attributes::new(&[])) {
                record.fields.push((id as u16, value));
            }
        }
        record.read(&[], Attributes::new(attributes));
        record.fields.sort_by_key(|(id, _)| *id);
        Ok(record)
    }

    /// Reads attributes alone. What does not parse ends the reading; what came before it is kept.
    pub fn decode_attributes(table: &'static Table, bytes: &[u8]) -> Self {
        let mut record = Record::new(table);
        record.read(&[], Attributes::new(bytes));
        record.fields.sort_by_key(|(id, _)| *id);
        record
    }

    fn read(&mut self, path: &[u16], attributes: Attributes<'_>) {
        for attribute in attributes.clone().map_while(Result::ok) {
            match self.table.lookup(path, attribute.kind) {
                Lookup::Row(id) => self.read_row(path, id, &attribute, &attributes),
                Lookup::Inside if path.len() < 4 => {
                    self.read(&[path, &[attribute.kind]].concat(), attribute.nested());
                }
                _ => self.keep(path, &attribute),
            }
        }
    }

    fn read_row(
        &mut self,
        path: &[u16],
        id: u16,
        attribute: &Attribute<'_>,
        siblings: &Attributes<'_>,
    ) {
        match self.table.rows[usize::from(id)].shape.read(attribute.payload, siblings) {
            Some(value) if !self.fields.iter().any(|(own, _)| *own == id) => {
                self.fields.push((id, value))
            }
            Some(_) => {}
            None => self.keep(path, attribute),
        }
    }

    fn keep(&mut self, path: &[u16], attribute: &Attribute<'_>) {
        let path = [path, &[attribute.kind]].concat();
        self.unknown.push((path.into(), attribute.payload.into()));
    }

    /// The table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The value of a row.
    pub fn value(&self, id: u16) -> Option<&Value> {
        let at = self.fields.binary_search_by_key(&id, |(own, _)| *own).ok()?;
        Some(&self.fields[at].1)
    }

    /// The number in a row, 0 where the kernel said nothing.
    pub fn number(&self, id: u16) -> u64 {
        self.value(id).and_then(Value::number).unwrap_or(0)
    }

    /// Sets the value of a row.
    pub fn set(&mut self, id: u16, value: Value) {
        match self.fields.binary_search_by_key(&id, |(own, _)| *own) {
            Ok(at) => self.fields[at].1 = value,
            Err(at) => self.fields.insert(at, (id, value)),
        }
    }

    /// Takes the value of a row out.
    pub fn remove(&mut self, id: u16) -> Option<Value> {
        let at = self.fields.binary_search_by_key(&id, |(own, _)| *own).ok()?;
        Some(self.fields.remove(at).1)
    }

    /// Row numbers and values, in the order of the rows.
    pub fn fields(&self) -> impl Iterator<Item = (u16, &'static Row, &Value)> {
        self.fields.iter().map(|(id, value)| (*id, &self.table.rows[usize::from(*id)], value))
    }

    /// Attributes that no row knows: path of types, payload.
    pub fn unknown(&self) -> impl Iterator<Item = (&[u16], &[u8])> {
        self.unknown.iter().map(|(path, payload)| (&**path, &**payload))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether both say the same in every row that is compared (statistics and unknown attributes are not).
    pub fn same(&self, other: &Record) -> bool {
        let mut ours = self.fields().filter(|(_, row, _)| row.compared());
        let mut theirs = other.fields().filter(|(_, row, _)| row.compared());
        loop {
            return match (ours.next(), theirs.next()) {
                (None, None) => true,
                (Some((a, _, x)), Some((b, _, y))) if a == b && same_value(x, y) => continue,
                _ => false,
            };
        }
    }

    /// What differs from here to `after`, row by row, nested tables included.
    pub fn changes(&self, after: &Record) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        for (id, row) in self.table.rows.iter().enumerate().filter(|(_, row)| row.compared()) {
            let (old, new) = (self.value(id as u16), after.value(id as u16));
            match (old, new) {
                (Some(Value::Nested(a)), Some(Value::Nested(b)))
                    if std::ptr::eq(a.table, b.table) =>
                {
                    changes.extend(a.changes(b));
                }
                (a, b) if a == b => {}
                (a, b) => changes.push(FieldChange {
                    table: self.table.name,
                    name: row.name,
                    before: a.cloned(),
                    after: b.cloned(),
                }),
            }
        }
        changes
    }

    /// Writes every row that stands in an attribute, nests shared.
    pub fn encode(&self, to: &mut Builder) {
        let mut rows: Vec<_> =
            self.fields().filter_map(|(_, row, value)| Some((path(row)?, row, value))).collect();
        rows.sort_by_key(|(path, ..)| *path);
        let mut open: &[u16] = &[];
        for (path, row, value) in rows {
            let (last, nest) = path.split_last().unwrap_or((&0, &[]));
            let shared = open.iter().zip(nest).take_while(|(a, b)| a == b).count();
            (shared..open.len()).for_each(|_| to.close());
            nest[shared..].iter().for_each(|number| to.open(*number));
            open = nest;
            write_value(*last, row, value, to);
        }
        open.iter().for_each(|_| to.close());
    }

    /// Writes the fixed struct: the rows that stand in it, zero elsewhere.
    pub fn encode_header(&self) -> Vec<u8> {
        let mut header = vec![0; self.table.header];
        for (_, row, value) in self.fields() {
            let Place::Header(offset) = row.place else { continue };
            let mut bytes = Vec::with_capacity(4);
            row.shape.write(value, &mut bytes);
            if let Some(place) = header.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(&bytes);
            }
        }
        header
    }

    /// What `ip -json -details` prints of this, key by key.
    pub fn tree(&self, names: &dyn Names) -> Vec<(String, Tree)> {
        let mut object = Vec::new();
        for (_, row, value) in self.fields() {
            show(row, value, self, names, &mut object);
        }
        object
    }
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nested(a), Value::Nested(b)) => a.same(b),
        _ => a == b,
    }
}

fn path(row: &'static Row) -> Option<&'static [u16]> {
    match row.place {
        Place::Path(path) => Some(path),
        Place::Header(_) => None,
    }
}

fn write_value(number: u16, row: &Row, value: &Value, to: &mut Builder) {
    match (value, row.shape) {
        (Value::Nested(record), _) => {
            to.open(number);
            record.encode(to);
            to.close();
        }
        (Value::Texts(texts), super::Shape::Texts(inner)) => {
            to.open(number);
            for text in texts {
                let mut payload = text.as_bytes().to_vec();
                payload.push(0);
                to.attribute(inner, &payload);
            }
            to.close();
        }
        _ => {
            let mut payload = Vec::with_capacity(16);
            row.shape.write(value, &mut payload);
            to.attribute(number, &payload);
        }
    }
}

fn show(
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
        Form::OnlyTrue | Form::NotZero if number == 0 => return,
        Form::OnlyTrue => Tree::Bool(true),
        Form::Bool => Tree::Bool(matches!(value, Value::Present) || number != 0),
        Form::Hex => Tree::Text(format!("{number:#x}")),
        Form::Hundredths => Tree::Decimal(number as f64 / 100.0),
        Form::Names(table) => match table.iter().find(|(n, _)| *n == number) {
            Some((_, name)) => Tree::from(*name),
            None => Tree::Number(number),
        },
        Form::Bits(table) => {
            let text = bit_names(number, table);
            Tree::List(text.split(',').filter(|s| !s.is_empty()).map(Tree::from).collect())
        }
        Form::Plain | Form::NotZero => plain(value, names),
    };
    object.push((row.name.to_owned(), tree));
}

fn plain(value: &Value, names: &dyn Names) -> Tree {
    match value {
        Value::Number(n) => Tree::Number(*n),
        Value::Signed(n) => u64::try_from(*n).map_or(Tree::Signed(*n), Tree::Number),
        Value::Nested(record) => Tree::Map(record.tree(names)),
        Value::Texts(texts) => Tree::List(texts.iter().map(|text| Tree::from(&**text)).collect()),
        Value::Present => Tree::Bool(true),
        other => Tree::Text(other.to_string()),
    }
}

impl PartialEq for Record {
    /// Every row alike, statistics included; unknown attributes are not compared.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.table, other.table) && self.fields == other.fields
    }
}

impl Eq for Record {}

/// `name value` for each attribute, in the order of the rows.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Tree::Map(self.tree(&())).fmt(f)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_struct(self.table.name);
        for (_, row, value) in self.fields() {
            map.field(row.accessor, value);
        }
        map.finish()
    }
}
