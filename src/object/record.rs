//! Records: the attributes of one object, by the rows of its table.

use std::fmt;
use std::net::IpAddr;

use super::show::{show, words};
use super::table::Lookup;
use super::{Names, Place, Row, Shape, Table, Tree, Value, Width};
use crate::wire::{Attribute, Attributes, Builder, HEADER, Malformed, put_ne_u16, put_ne_u32};

/// The attributes that one object has, in the order of its table's rows, and those that no row knows.
///
/// Prints itself in the words of `ip -json`. What it says is read by the accessors of the object or view that gave it; by
/// name here, what has none.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, Value};
///
/// let lo = Db::open()?.snapshot().link("lo").cloned();
/// let record = lo.as_ref().map(|link| link.record());
/// assert_eq!(record.and_then(|record| record.get("mtu")), Some(&Value::Number(65536)));
/// # Ok::<(), netlinkdb::Error>(())
/// ```
///
/// Never in it: two values for one row; a value for a row that the kernel did not send.
#[derive(Clone)]
pub struct Record {
    pub(super) table: &'static Table,
    pub(super) fields: Vec<(u16, Value)>,
    pub(super) unknown: Vec<Unknown>,
}

/// Path of types, payload.
pub(super) type Unknown = (Box<[u16]>, Box<[u8]>);

/// One attribute that differs between two records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The table that knows the attribute; inside kind data it is not the object's own.
    pub table: &'static str,
    /// The key in `ip -json`.
    pub name: &'static str,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
    shown: (String, String),
}

/// `mtu 1500 -> 1400`.
impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.name, self.shown.0, self.shown.1)
    }
}

impl Record {
    /// Without any attribute.
    #[doc(hidden)]
    pub fn new(table: &'static Table) -> Self {
        Record { table, fields: Vec::new(), unknown: Vec::new() }
    }

    /// Reads a message's payload: fixed struct, then attributes.
    #[doc(hidden)]
    pub fn decode(table: &'static Table, payload: &[u8]) -> Result<Self, Malformed> {
        let Some((fixed, attributes)) = payload.split_at_checked(table.header) else {
            let what = "message shorter than its fixed struct";
            return Err(Malformed { what, offset: payload.len(), total: payload.len() });
        };
        let mut record = Record::new(table);
        record.fields.reserve(table.rows.len());
        record.read_header(fixed);
        record.read(&[], Attributes::new(attributes));
        record.read_narrow(fixed);
        record.fields.sort_by_key(|(id, _)| *id);
        Ok(record)
    }

    /// Reads a struct of `Place::Header` rows; a shorter one than ours lacks the rows at its end.
    #[doc(hidden)]
    pub fn decode_struct(table: &'static Table, bytes: &[u8]) -> Self {
        let mut record = Record::new(table);
        record.read_header(bytes);
        record
    }

    /// Reads attributes alone. What does not parse ends the reading; what came before it is kept.
    #[doc(hidden)]
    pub fn decode_attributes(table: &'static Table, bytes: &[u8]) -> Self {
        let mut record = Record::new(table);
        record.read(&[], Attributes::new(bytes));
        record.fields.sort_by_key(|(id, _)| *id);
        record
    }

    fn read_header(&mut self, fixed: &[u8]) {
        for (id, row) in self.table.rows.iter().enumerate() {
            let Place::Header(offset) = row.place else { continue };
            let bytes = fixed.get(offset..).unwrap_or_default();
            if let Some(value) = row.shape.read(bytes, &Attributes::new(&[])) {
                self.fields.push((id as u16, value));
            }
        }
    }

    /// What an old kernel says in the fixed struct only.
    fn read_narrow(&mut self, fixed: &[u8]) {
        for (id, row) in self.table.rows.iter().enumerate() {
            let Some(byte) = row.narrow.and_then(|offset| fixed.get(offset)) else { continue };
            if !self.fields.iter().any(|(own, _)| usize::from(*own) == id) {
                self.fields.push((id as u16, Value::Number((*byte).into())));
            }
        }
    }

    fn read(&mut self, path: &[u16], attributes: Attributes<'_>) {
        let mut entered: Vec<u16> = Vec::new();
        for attribute in attributes.clone().map_while(Result::ok) {
            match self.table.lookup(path, attribute.kind) {
                Lookup::Row(id) => self.read_row(path, id, &attribute, &attributes),
                Lookup::Options => self.read_options(path, &attribute, &attributes),
                // Of two nests of one number the first counts, as of two attributes: what one says of the kind of what
                // is beside it says nothing of the other's.
                Lookup::Inside if path.len() < 4 && !entered.contains(&attribute.kind) => {
                    entered.push(attribute.kind);
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

    /// Several rows in one attribute: those of which it speaks.
    fn read_options(&mut self, path: &[u16], attribute: &Attribute<'_>, siblings: &Attributes<'_>) {
        let own = [path, &[attribute.kind]].concat();
        for (id, row) in self.table.rows.iter().enumerate() {
            if !matches!(row.place, Place::Path(path) if path == own) {
                continue;
            }
            let known = self.fields.iter().any(|(own, _)| usize::from(*own) == id);
            let value = row.shape.read(attribute.payload, siblings).filter(|_| !known);
            self.fields.extend(value.map(|value| (id as u16, value)));
        }
    }

    fn keep(&mut self, path: &[u16], attribute: &Attribute<'_>) {
        let path = [path, &[attribute.kind]].concat();
        self.unknown.push((path.into(), attribute.payload.into()));
    }

    /// The same rows of another table that has the same ones.
    pub(crate) fn of_table(self, table: &'static Table) -> Self {
        Record { table, ..self }
    }

    /// The table.
    #[doc(hidden)]
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The value of a row.
    #[doc(hidden)]
    pub fn value(&self, id: u16) -> Option<&Value> {
        let at = self.fields.binary_search_by_key(&id, |(own, _)| *own).ok()?;
        Some(&self.fields[at].1)
    }

    /// The value of an attribute by its accessor's name or its key in `ip -json`; `None` when the kernel does not say.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.value(self.table.row(name)?.0)
    }

    /// The number in a row, 0 where the kernel said nothing.
    #[doc(hidden)]
    pub fn number(&self, id: u16) -> u64 {
        self.value(id).and_then(Value::number).unwrap_or(0)
    }

    /// Sets the value of a row.
    #[doc(hidden)]
    pub fn set(&mut self, id: u16, value: Value) {
        match self.fields.binary_search_by_key(&id, |(own, _)| *own) {
            Ok(at) => self.fields[at].1 = value,
            Err(at) => self.fields.insert(at, (id, value)),
        }
    }

    /// Takes the value of a row out.
    #[doc(hidden)]
    pub fn remove(&mut self, id: u16) -> Option<Value> {
        let at = self.fields.binary_search_by_key(&id, |(own, _)| *own).ok()?;
        Some(self.fields.remove(at).1)
    }

    /// Row numbers and values, in the order of the rows.
    #[doc(hidden)]
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
    #[doc(hidden)]
    pub fn same(&self, other: &Record) -> bool {
        let mut ours = self.fields().filter(|(_, row, _)| row.compared());
        let mut theirs = other.fields().filter(|(_, row, _)| row.compared());
        loop {
            return match (ours.next(), theirs.next()) {
                (None, None) => true,
                (Some((a, row, x)), Some((b, _, y))) if a == b && same_value(row, x, y) => continue,
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
                (Some(a), Some(b)) if same_value(row, a, b) => {}
                (a, b) => changes.push(FieldChange {
                    table: self.table.name,
                    name: row.name,
                    before: a.cloned(),
                    after: b.cloned(),
                    shown: differing(a, b)
                        .unwrap_or_else(|| (self.shown(row, a), after.shown(row, b))),
                }),
            }
        }
        changes
    }

    /// Writes every row that stands in an attribute, nests shared.
    #[doc(hidden)]
    pub fn encode(&self, to: &mut Builder) {
        let mut rows: Vec<_> =
            self.fields().filter_map(|(_, row, value)| Some((path(row)?, row, value))).collect();
        rows.sort_by_key(|(path, ..)| *path);
        let shared = shared_payloads(&rows);
        rows.dedup_by_key(|(path, ..)| *path);
        let mut open: &[u16] = &[];
        for (path, row, value) in rows {
            let (last, nest) = path.split_last().unwrap_or((&0, &[]));
            let common = open.iter().zip(nest).take_while(|(a, b)| a == b).count();
            (common..open.len()).for_each(|_| to.close());
            nest[common..].iter().for_each(|number| to.open(*number));
            open = nest;
            match shared.iter().find(|(own, _)| *own == path) {
                Some((_, payload)) => to.attribute(*last, payload),
                None => write_value(*last, row, value, to),
            }
        }
        open.iter().for_each(|_| to.close());
    }

    /// Writes the fixed struct: the rows that stand in it, zero elsewhere.
    #[doc(hidden)]
    pub fn encode_header(&self) -> Vec<u8> {
        let mut header = vec![0; self.table.header];
        for (_, row, value) in self.fields() {
            let mut bytes = Vec::with_capacity(8);
            let offset = match (row.place, row.narrow) {
                (Place::Header(offset), _) => {
                    row.shape.write(value, &mut bytes);
                    offset
                }
                (_, Some(offset)) => {
                    Shape::U8.write(value, &mut bytes);
                    offset
                }
                _ => continue,
            };
            if let Some(place) = header.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(&bytes);
            }
        }
        header
    }

    /// What `ip -json -details` prints of this, key by key.
    #[doc(hidden)]
    pub fn tree(&self, names: &dyn Names) -> Vec<(String, Tree)> {
        let mut object = Vec::new();
        for (_, row, value) in self.fields() {
            show(row, value, self, names, &mut object);
        }
        object
    }

    /// A value as `ip` shows it under the row's own key, or as it is; options that come or go together as their
    /// number.
    fn shown(&self, row: &Row, value: Option<&Value>) -> String {
        match value {
            None => "none".to_owned(),
            Some(Value::Nested(record)) => format!("({} attributes)", record.fields.len()),
            Some(value @ Value::Records(_)) if matches!(row.shape, Shape::Elements(..)) => {
                value.to_string()
            }
            Some(Value::Records(all)) => format!("({} entries)", all.len()),
            Some(value) => {
                let mut object = Vec::new();
                show(row, value, self, &(), &mut object);
                let own = object.into_iter().find(|(key, _)| key == row.name);
                own.map_or_else(|| value.to_string(), |(_, tree)| tree.to_string())
            }
        }
    }

    /// What an `ip link` command line says of this: for each row that has a keyword, keyword and value.
    #[doc(hidden)]
    pub fn words(&self, names: &dyn Names) -> Vec<String> {
        let rows = self.fields().filter(|(_, row, _)| row.settable());
        rows.map(|(_, row, value)| words(row, value, self, names))
            .filter(|w| !w.is_empty())
            .collect()
    }
}

fn same_value(row: &Row, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a & !row.volatile == b & !row.volatile,
        (Value::Records(a), Value::Records(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
        }
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

type Rows<'a> = [(&'static [u16], &'static Row, &'a Value)];

/// For each attribute in which several rows stand: its path and payload.
fn shared_payloads(rows: &Rows<'_>) -> Vec<(&'static [u16], Vec<u8>)> {
    let mut merged: Vec<(&'static [u16], Option<Width>, u32, u32)> = Vec::new();
    for (path, row, value) in rows {
        let (width, bits, mask) = match row.shape {
            Shape::Option(bit) => {
                let bit = 1u32.checked_shl(bit.into()).unwrap_or(0);
                (None, if value.number() == Some(0) { 0 } else { bit }, bit)
            }
            Shape::Part(mask, width) => {
                let number = value.number().unwrap_or(0) as u32;
                (Some(width), (number << mask.trailing_zeros()) & mask, mask)
            }
            _ => continue,
        };
        match merged.iter_mut().find(|(own, ..)| own == path) {
            Some((_, _, all, said)) => (*all, *said) = (*all | bits, *said | mask),
            None => merged.push((*path, width, bits, mask)),
        }
    }
    let payload = |width: Option<Width>, bits, mask| match width {
        Some(width) => width.payload(bits),
        None => option_payload(bits, mask),
    };
    merged.into_iter().map(|(path, width, bits, mask)| (path, payload(width, bits, mask))).collect()
}

fn option_payload(on: u32, mask: u32) -> Vec<u8> {
    let mut payload = Vec::with_capacity(8);
    put_ne_u32(&mut payload, on);
    put_ne_u32(&mut payload, mask);
    payload
}

fn write_value(number: u16, row: &Row, value: &Value, to: &mut Builder) {
    match (value, row.shape) {
        (Value::Number(0), Shape::Flag) => {}
        (Value::Nested(record), Shape::Struct(_)) => to.attribute(number, &record.encode_header()),
        (Value::Nested(record), Shape::Message(_)) => {
            to.attribute(number | NESTED, &message_payload(record));
        }
        (Value::Nested(record), _) => {
            to.open(number);
            record.encode(to);
            to.close();
        }
        (Value::Records(all), Shape::Array(_)) => {
            let payload: Vec<u8> = all.iter().flat_map(Record::encode_header).collect();
            to.attribute(number, &payload);
        }
        (Value::Records(all), Shape::Structs(_)) => {
            let payload: Vec<u8> = all.iter().flat_map(with_length).collect();
            to.attribute(number, &payload);
        }
        (Value::Hardwares(addresses), Shape::Hardwares(inner)) => {
            to.open(number);
            addresses.iter().for_each(|address| to.attribute(inner, address.as_bytes()));
            to.close();
        }
        (Value::Ips(all), Shape::Ips) => {
            to.open(number);
            all.iter().zip(0..).for_each(|(address, at)| match address {
                IpAddr::V4(address) => to.attribute(at, &address.octets()),
                IpAddr::V6(address) => to.attribute(at, &address.octets()),
            });
            to.close();
        }
        (Value::Records(all), Shape::Elements(inner, _)) => {
            to.open(number);
            all.iter().for_each(|one| to.attribute(inner, &one.encode_header()));
            to.close();
        }
        (Value::Texts(texts), Shape::Texts(inner)) => {
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

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// Fixed struct and attributes, as behind a message's header.
fn message_payload(record: &Record) -> Vec<u8> {
    let mut message = Builder::new(0, 0).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish().split_off(HEADER)
}

/// Fixed struct and attributes, with their length in the first two bytes.
fn with_length(record: &Record) -> Vec<u8> {
    let mut bytes = message_payload(record);
    let mut length = Vec::with_capacity(2);
    put_ne_u16(&mut length, u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    if let Some(place) = bytes.get_mut(..2) {
        place.copy_from_slice(&length);
    }
    bytes
}

impl PartialEq for Record {
    /// Every row alike, statistics included; unknown attributes are not compared.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.table, other.table) && self.fields == other.fields
    }
}

impl Eq for Record {}

/// Of two arrays, the places that differ: the kernel's have sixty numbers.
fn differing(before: Option<&Value>, after: Option<&Value>) -> Option<(String, String)> {
    let (Value::Numbers(a), Value::Numbers(b)) = (before?, after?) else { return None };
    let places = (0..a.len()).filter(|at| a.len() == b.len() && a[*at] != b[*at]);
    let text = |all: &[u32]| {
        let each = places.clone().map(|at| format!("[{at}]={}", all[at]));
        each.collect::<Vec<_>>().join(" ")
    };
    (a.len() == b.len()).then(|| (text(a), text(b)))
}

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

#[cfg(test)]
mod tests {
    use super::super::{ADDRESS, BridgeOptions, LINK, address, kinds, link};
    use super::*;

    #[test]
    fn the_attribute_overrides_what_the_fixed_struct_has_no_room_for() {
        let flags = |record: &Record| record.number(address::row::FLAGS);
        let old = Record::decode(&ADDRESS, &[2, 24, 0x81, 0, 1, 0, 0, 0]).unwrap();
        assert_eq!(flags(&old), 0x81);
        let mut new = old.clone();
        new.set(address::row::FLAGS, Value::Number(0x280));
        assert_eq!(new.encode_header()[2], 0x80);
        let bytes = message_payload(&new);
        assert_eq!(flags(&Record::decode(&ADDRESS, &bytes).unwrap()), 0x280);
    }

    #[test]
    fn options_share_an_attribute_and_say_only_what_was_said() {
        let options = BridgeOptions::new().mst_enabled(true).no_linklocal_learn(false);
        let mut message = Builder::new(0, 0);
        options.record().encode(&mut message);
        let mut expect = vec![46, 0];
        put_ne_u32(&mut expect, 4);
        put_ne_u32(&mut expect, 5);
        assert_eq!(message.finish()[HEADER + 2..], expect);
        // The kernel answers with all the bits it knows; the others are not in what was asked for.
        let said = Record::decode_attributes(&kinds::BRIDGE, &[&[12, 0][..], &expect].concat());
        assert!(said.same(options.record()), "{said:?}");
    }

    /// `ip link set mtu` once printed all sixty numbers of IPv6's settings, twice.
    #[test]
    fn of_an_array_only_what_differs_is_shown() {
        let link = |mtu| {
            let mut link = Record::new(&LINK);
            link.set(link::row::INET6_CONF, Value::Numbers([0, 64, mtu, 1].into()));
            link
        };
        let changes = link(1500).changes(&link(1400));
        assert_eq!(changes[0].to_string(), "inet6_conf [2]=1500 -> [2]=1400");
    }

    #[test]
    fn counters_are_no_difference_and_options_are_found_by_name() {
        let link = |data: BridgeOptions, changes: u64| {
            let mut link = Record::new(&LINK);
            link.set(link::row::CARRIER_CHANGES, Value::Number(changes));
            link.set(link::row::DATA, Value::Nested(Box::new(data.record().clone())));
            link
        };
        let before = link(BridgeOptions::new().stp_state(false), 1);
        assert!(before.same(&link(BridgeOptions::new().stp_state(false), 2)));
        let changes = before.changes(&link(BridgeOptions::new().stp_state(true), 2));
        let found: Vec<_> = changes.iter().map(|c| (c.table, c.name, &c.after)).collect();
        assert_eq!(found, [("bridge", "stp_state", &Some(Value::Number(1)))]);
    }

    /// Found by fuzzing: a second IFLA_LINKINFO once lent its kind's options to the first one's kind.
    #[test]
    fn of_two_nests_of_one_number_the_first_counts() {
        let mut message = Builder::new(0, 0).fixed(&[0; 16]);
        message.open(18);
        message.attribute(1, b"dummy\0");
        message.close();
        message.open(18);
        message.attribute(1, b"vrf\0");
        message.attribute(2, &[8, 0, 1, 0, 10, 0, 0, 0]);
        message.close();
        let record = Record::decode(&LINK, &message.finish()[HEADER..]).unwrap();
        assert_eq!(record.value(link::row::KIND).and_then(Value::text), Some("dummy"));
        assert_eq!(record.value(link::row::DATA), None);
    }

    /// A veth's peer is a link, which may be a veth ...: 1,600 of them fit in the largest attribute.
    #[test]
    fn bytes_that_nest_without_end_do_not_exhaust_the_stack() {
        let mut bytes = vec![0; 16];
        while bytes.len() < if cfg!(miri) { 2_000 } else { 65_000 } {
            let mut outer = Builder::new(0, 0).fixed(&[0; 16]);
            outer.open(18);
            outer.attribute(1, b"veth\0");
            outer.open(2);
            outer.attribute(1, &bytes);
            bytes = outer.finish().split_off(HEADER);
        }
        let record = Record::decode(&LINK, &bytes).unwrap();
        assert!(format!("{record:?}").len() < 1_000_000);
    }
}
