//! What the fuzz targets share: records, messages and states out of arbitrary bytes.

use arbitrary::{Result, Unstructured};
use netlinkdb::HardwareAddress;
use netlinkdb::internals::object::link::row as link_row;
use netlinkdb::internals::object::{
    Family, LINK, LinkFlags, Place, Record, Row, Shape, Table, Value, address::row as address_row,
};
use netlinkdb::internals::wire::{Builder, kind};

/// A payload: the fixed struct and the attributes of a record.
pub fn payload(record: &Record) -> Vec<u8> {
    let mut message = Builder::new(0, 0).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish().split_off(16)
}

/// A whole message.
pub fn message(kind: u16, flags: u16, port: u32, seq: u32, record: &Record) -> Vec<u8> {
    let mut message = Builder::new(kind, flags).fixed(&record.encode_header());
    record.encode(&mut message);
    let mut message = message.finish();
    Builder::stamp(&mut message, seq);
    message[12..16].copy_from_slice(&port.to_ne_bytes());
    message
}

/// The answer to a request: its errno, and the request's header.
pub fn answer(seq: u32, errno: i32, request_kind: u16) -> Vec<u8> {
    let mut header = (-errno).to_ne_bytes().to_vec();
    header.extend(16u32.to_ne_bytes());
    header.extend(request_kind.to_ne_bytes());
    header.extend([0; 10]);
    let mut message = Builder::new(kind::NLMSG_ERROR, 0).fixed(&header).finish();
    Builder::stamp(&mut message, seq);
    message
}

/// The end of a dump.
pub fn done(seq: u32, flags: u16) -> Vec<u8> {
    let mut message = Builder::new(kind::NLMSG_DONE, flags).fixed(&[0; 4]).finish();
    Builder::stamp(&mut message, seq);
    message
}

/// Any record of a table: rows by their shape.
pub fn record(u: &mut Unstructured<'_>, table: &'static Table, depth: u32) -> Result<Record> {
    let mut record = Record::new(table);
    for (id, row) in table.rows.iter().enumerate() {
        // A fixed struct is always there as a whole.
        let fixed = matches!(row.place, Place::Header(_)) || row.narrow.is_some();
        let is_in = match first_part(table, id) {
            Some(first) if first < id => record.value(first as u16).is_some(),
            _ => fixed || u.ratio(1, 4)?,
        };
        if !is_in {
            continue;
        }
        if let Some(value) = value(u, row, &record, depth)? {
            record.set(id as u16, value);
        }
    }
    // What an attribute's type is chosen by comes later in some tables: such rows are filled last.
    for (id, row) in table.rows.iter().enumerate() {
        if matches!(row.shape, Shape::ByKind { .. } | Shape::ByNumber { .. }) {
            record.remove(id as u16);
            if let Some(value) = value(u, row, &record, depth)? {
                record.set(id as u16, value);
            }
        }
    }
    Ok(record)
}

/// The first of the rows that share a number with this one: all of them are there when one is.
fn first_part(table: &Table, id: usize) -> Option<usize> {
    let path = |row: &Row| match row.place {
        Place::Path(path) if matches!(row.shape, Shape::Part(..)) => Some(path),
        _ => None,
    };
    let own = path(&table.rows[id])?;
    table.rows.iter().position(|row| path(row) == Some(own))
}

fn value(
    u: &mut Unstructured<'_>,
    row: &Row,
    record: &Record,
    depth: u32,
) -> Result<Option<Value>> {
    Ok(Some(match row.shape {
        Shape::U8 => Value::Number(u.arbitrary::<u8>()?.into()),
        Shape::U16 | Shape::Be16 => Value::Number(u.arbitrary::<u16>()?.into()),
        Shape::U32 | Shape::Be32 => Value::Number(u.arbitrary::<u32>()?.into()),
        Shape::U64 | Shape::Be64 | Shape::Uint => Value::Number(u.arbitrary()?),
        Shape::Flag => Value::Number(1),
        Shape::I32 => Value::Signed(u.arbitrary::<i32>()?.into()),
        Shape::Present => Value::Present,
        Shape::Text => Value::Text(text(u)?),
        Shape::Hardware => Value::Hardware(hardware(u)?),
        Shape::Mac => Value::Hardware(u.arbitrary::<[u8; 6]>()?.into()),
        Shape::Ip => match u.arbitrary()? {
            std::net::IpAddr::V4(ip) => Value::V4(ip),
            std::net::IpAddr::V6(ip) => Value::V6(ip),
        },
        Shape::Ip4 => Value::V4(u.arbitrary()?),
        Shape::Ip6 => Value::V6(u.arbitrary()?),
        Shape::Part(mask, _) => {
            Value::Number(((u.arbitrary::<u32>()? & mask) >> mask.trailing_zeros()).into())
        }
        Shape::Bytes => Value::Bytes(few(u, |u| u.arbitrary())?),
        Shape::Via => match u.arbitrary()? {
            std::net::IpAddr::V4(ip) => Value::V4(ip),
            std::net::IpAddr::V6(ip) => Value::V6(ip),
        },
        Shape::Labels => Value::Numbers(few(u, |u| u.int_in_range(0..=0xf_ffff))?),
        Shape::U32s => Value::Numbers(few(u, |u| u.arbitrary())?),
        Shape::Ips => Value::Ips(few(u, |u| u.arbitrary())?),
        Shape::Elements(_, table) => {
            let mut all: Box<[Record]> = few(u, |u| self::record(u, table, 0))?;
            all.sort_by_key(|one| -> Vec<u64> {
                one.fields().filter_map(|(_, _, value)| value.number()).collect()
            });
            Value::Records(all)
        }
        Shape::Texts(_) => Value::Texts(few(u, text)?),
        Shape::Hardwares(_) => {
            let mut all = few(u, hardware)?;
            all.sort();
            Value::Hardwares(all)
        }
        Shape::Option(_) => Value::Number(u.int_in_range(0..=1)?),
        Shape::Struct(table) => nested(self::record(u, table, 0)?),
        _ if depth == 0 => return Ok(None),
        Shape::Array(table) | Shape::Structs(table) => {
            Value::Records(few(u, |u| self::record(u, table, 0))?)
        }
        Shape::ByNumber { kind, tables } => {
            let chooser = record.fields().find(|(_, own, _)| sibling(row, own, kind));
            let number = chooser.and_then(|(_, _, value)| value.number());
            match tables.iter().find(|(own, _)| Some(*own) == number) {
                Some((_, table)) => nested(self::record(u, table, depth - 1)?),
                None => Value::Bytes(few(u, |u| u.arbitrary())?),
            }
        }
        Shape::Nest(table) => nested(self::record(u, table, depth - 1)?),
        Shape::Message(table) => nested(self::record(u, table(), depth - 1)?),
        Shape::ByKind { kind, tables } => {
            let chooser = record.fields().find(|(_, own, _)| sibling(row, own, kind));
            let name = chooser.and_then(|(_, _, value)| value.text());
            match tables.iter().find(|(own, _)| Some(*own) == name) {
                Some((_, table)) => nested(self::record(u, table, depth - 1)?),
                None => Value::Bytes(few(u, |u| u.arbitrary())?),
            }
        }
    }))
}

/// Whether `own` stands beside `row` under this number.
fn sibling(row: &Row, own: &Row, number: u16) -> bool {
    match (row.place, own.place) {
        (Place::Path(path), Place::Path(own)) => {
            let (nest, last) = (&path[..path.len() - 1], own.last());
            own[..own.len() - 1] == *nest && last == Some(&number)
        }
        _ => false,
    }
}

fn nested(record: Record) -> Value {
    Value::Nested(Box::new(record))
}

fn few<T>(
    u: &mut Unstructured<'_>,
    one: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Box<[T]>> {
    let count = u.int_in_range(0..=3)?;
    (0..count).map(|_| one(u)).collect()
}

fn text(u: &mut Unstructured<'_>) -> Result<Box<str>> {
    let known = ["bridge", "veth", "vxlan", "macvlan", "ifb", "eth0", "br0"];
    match u.ratio(1, 2)? {
        true => Ok((*u.choose(&known)?).into()),
        false => Ok(u.arbitrary::<&str>()?.replace('\0', "").chars().take(20).collect()),
    }
}

fn hardware(u: &mut Unstructured<'_>) -> Result<HardwareAddress> {
    let bytes: Box<[u8]> = few(u, |u| u.arbitrary())?;
    Ok(HardwareAddress::new(&bytes).unwrap_or_else(|| [0; 6].into()))
}

/// A link of a small world, so that links meet: six indexes, six names, masters among them.
pub fn link(u: &mut Unstructured<'_>, index: u32) -> Result<Record> {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let mut link = Record::new(&LINK);
    link.set(link_row::INDEX, Value::Number(index.into()));
    link.set(link_row::NAME, (*u.choose(&NAMES)?).into());
    let kind = *u.choose(&["bridge", "veth", "macvlan", "vxlan", "ifb", ""])?;
    if !kind.is_empty() {
        link.set(link_row::KIND, kind.into());
    }
    let flags = if u.arbitrary()? { LinkFlags::UP.0 } else { 0 };
    link.set(link_row::FLAGS, Value::Number(flags.into()));
    link.set(link_row::MTU, Value::Number(u.int_in_range(68..=2000)?));
    link.set(link_row::ADDRESS, Value::Hardware([2, 0, 0, 0, 0, u.arbitrary()?].into()));
    if u.ratio(1, 3)? {
        link.set(link_row::MASTER, Value::Number(u.int_in_range(0..=6)?));
    }
    if u.ratio(1, 4)? {
        link.set(link_row::LINK, Value::Number(u.int_in_range(0..=6)?));
    }
    if u.ratio(1, 4)? {
        link.set(link_row::ALTNAMES, Value::Texts(few(u, |u| Ok((*u.choose(&NAMES)?).into()))?));
    }
    Ok(link)
}

/// An address of a small world.
pub fn address(u: &mut Unstructured<'_>, index: u32) -> Result<Record> {
    let mut address = Record::new(&netlinkdb::internals::object::ADDRESS);
    address.set(address_row::INDEX, Value::Number(index.into()));
    let last: u8 = u.int_in_range(0..=7)?;
    let (family, ip, longest) = match u.arbitrary()? {
        true => (Family::Inet, Value::V4([10, 0, last & 1, last].into()), 32),
        false => (Family::Inet6, Value::V6([0xfd00, 0, 0, 0, 0, 0, 0, last.into()].into()), 128),
    };
    let family: u64 = if family == Family::Inet { 2 } else { 10 };
    address.set(address_row::FAMILY, Value::Number(family));
    address.set(address_row::PREFIX_LENGTH, Value::Number(u.int_in_range(0..=longest)?));
    // The kernel says IFA_LOCAL of an IPv6 address only when it has a peer.
    if family == 2 {
        address.set(address_row::LOCAL, ip.clone());
    }
    address.set(address_row::ADDRESS, ip);
    if u.ratio(1, 4)? {
        address.set(address_row::FLAGS, Value::Number(u.int_in_range(0..=0xfff)?));
    }
    Ok(address)
}
