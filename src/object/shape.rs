//! Shapes: how the bytes of an attribute are read and written, and which Rust type the accessor gives.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Form, LinkRef, Record, Table, Value};
use crate::wire::{
    Attribute, Attributes, HardwareAddress, be16, be32, ne_i32, ne_u16, ne_u32, ne_u64, put_be16,
    put_be32, put_ne_u16, put_ne_u32, put_ne_u64, u32_at,
};

/// How the payload of an attribute is read.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// One byte.
    U8,
    /// Two bytes in the machine's order.
    U16,
    /// Four bytes in the machine's order.
    U32,
    /// Eight bytes in the machine's order.
    U64,
    /// Four or eight bytes in the machine's order, as the number needs (`nla_put_uint`).
    Uint,
    /// Four signed bytes in the machine's order.
    I32,
    /// Two bytes in network order.
    Be16,
    /// Four bytes in network order.
    Be32,
    /// Eight bytes in network order.
    Be64,
    /// No payload: the attribute is there or it is not.
    Present,
    /// A byte of zero or one when the kernel tells it, no payload in a request: there is none for zero.
    Flag,
    /// A text, ended by NUL or by the payload.
    Text,
    /// A link-layer address; its length is the payload's.
    Hardware,
    /// An IP address; its family is the payload's length.
    Ip,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// Kept as it is.
    Bytes,
    /// Six bytes of a link-layer address inside a struct.
    Mac,
    /// Numbers of four bytes, as many as there are.
    U32s,
    /// Texts in attributes of this type inside this one.
    Texts(u16),
    /// Link-layer addresses in attributes of this type inside this one.
    Hardwares(u16),
    /// IP addresses of either family in attributes inside this one, numbered from 0.
    Ips,
    /// C structs in attributes of this type inside this one: a set, so kept in order.
    Elements(u16, &'static Table),
    /// A C struct: the rows of its table stand at offsets. Shorter and longer ones than ours are accepted.
    Struct(&'static Table),
    /// Attributes of another table inside this one.
    Nest(&'static Table),
    /// A message of another table inside this one: its fixed struct, then attributes. The table is behind a
    /// function because it may lead back here (a veth's peer is a link).
    Message(fn() -> &'static Table),
    /// One bit of `struct br_boolopt_multi`, a value and a mask of four bytes each. Several rows stand in
    /// the same attribute; each is there when the mask says so.
    Option(u8),
    /// The bits of this mask in a number of this width. Several rows stand in the same attribute; a request says all of it,
    /// zero for the bits that are not named.
    Part(u32, Width),
    /// An address family of two bytes and an address of it (`struct rtvia`); bytes where it is no IP address.
    Via,
    /// MPLS labels, four bytes each, the last one marked as the bottom of the stack.
    Labels,
    /// C structs one after the other, as many as there are; the rows of their table stand at offsets.
    Array(&'static Table),
    /// C structs one after the other, each with its own length in its first two bytes and attributes behind it
    /// (`struct rtnexthop`).
    Structs(&'static Table),
    /// A table that the number in the sibling attribute of type `kind` (two bytes) chooses; bytes where it chooses
    /// none of them.
    ByNumber {
        /// The type of the sibling that holds the number.
        kind: u16,
        /// Number and table.
        tables: &'static [(u64, &'static Table)],
    },
    /// A table that the sibling attribute of type `kind` chooses by name; bytes where it names none of them.
    ByKind {
        /// The type of the sibling that holds the name.
        kind: u16,
        /// Name and table.
        tables: &'static [(&'static str, &'static Table)],
    },
}

/// The number that parts stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two bytes in the machine's order.
    U16,
    /// Four bytes in the machine's order.
    U32,
    /// Two bytes in network order.
    Be16,
    /// Four bytes in network order.
    Be32,
}

impl Width {
    const fn of(shape: Shape) -> Width {
        match shape {
            Shape::U16 => Width::U16,
            Shape::Be16 => Width::Be16,
            Shape::Be32 => Width::Be32,
            _ => Width::U32,
        }
    }

    fn shape(self) -> Shape {
        match self {
            Width::U16 => Shape::U16,
            Width::U32 => Shape::U32,
            Width::Be16 => Shape::Be16,
            Width::Be32 => Shape::Be32,
        }
    }

    /// The number as bytes.
    pub fn payload(self, number: u32) -> Vec<u8> {
        let mut payload = Vec::with_capacity(4);
        self.shape().write(&Value::Number(number.into()), &mut payload);
        payload
    }
}

impl Shape {
    /// Whether several rows may stand in one attribute.
    pub const fn is_shared(self) -> bool {
        matches!(self, Shape::Option(_) | Shape::Part(..))
    }

    /// Reads a payload. Longer payloads than ours are accepted (newer kernels); too short ones are `None`.
    pub fn read(self, payload: &[u8], siblings: &Attributes<'_>) -> Option<Value> {
        let number = |n: u64| Some(Value::Number(n));
        match self {
            Shape::U8 => number((*payload.first()?).into()),
            Shape::U16 => number(ne_u16(payload)?.into()),
            Shape::U32 => number(ne_u32(payload)?.into()),
            Shape::U64 => number(ne_u64(payload)?),
            Shape::Uint if payload.len() < 8 => number(ne_u32(payload)?.into()),
            Shape::Uint => number(ne_u64(payload)?),
            Shape::I32 => Some(Value::Signed(ne_i32(payload)?.into())),
            Shape::Be16 => number(be16(payload)?.into()),
            Shape::Be32 => number(be32(payload)?.into()),
            Shape::Be64 => {
                let (high, low) = (be32(payload)?, be32(payload.get(4..)?)?);
                number(u64::from(high) << 32 | u64::from(low))
            }
            Shape::Present => Some(Value::Present),
            Shape::Flag => number(payload.first().is_none_or(|byte| *byte != 0).into()),
            Shape::Text => Some(Value::Text(text(payload))),
            Shape::Hardware => HardwareAddress::new(payload).map(Value::Hardware),
            Shape::Ip => ip_value(payload),
            Shape::Ip4 => ip_value(payload).filter(|value| matches!(value, Value::V4(_))),
            Shape::Ip6 => ip_value(payload).filter(|value| matches!(value, Value::V6(_))),
            Shape::Mac => HardwareAddress::new(payload.get(..6)?).map(Value::Hardware),
            Shape::U32s => {
                Some(Value::Numbers(payload.chunks_exact(4).filter_map(ne_u32).collect()))
            }
            Shape::Bytes => Some(Value::Bytes(payload.into())),
            Shape::Struct(table) => nested(Record::decode_struct(table, payload)),
            Shape::Nest(table) => nested(Record::decode_attributes(table, payload)),
            Shape::Message(table) if payload.len() <= LONGEST_INNER_MESSAGE => {
                nested(Record::decode(table(), payload).ok()?)
            }
            Shape::Message(_) => None,
            Shape::Option(bit) => option(bit, payload),
            Shape::Part(mask, width) => {
                let whole = width.shape().read(payload, siblings)?.number()? as u32;
                number(((whole & mask) >> mask.trailing_zeros()).into())
            }
            Shape::Hardwares(inner) => {
                let all = Attributes::new(payload).map_while(Result::ok);
                let all = all.filter(|a| a.kind == inner);
                let mut all: Vec<_> = all.filter_map(|a| HardwareAddress::new(a.payload)).collect();
                all.sort();
                Some(Value::Hardwares(all.into()))
            }
            Shape::Ips => {
                let all = Attributes::new(payload).map_while(Result::ok);
                let address = |a: Attribute<'_>| Ip::read(&ip_value(a.payload)?);
                Some(Value::Ips(all.filter_map(address).collect()))
            }
            Shape::Elements(inner, table) => {
                let all = Attributes::new(payload).map_while(Result::ok);
                let all = all.filter(|a| a.kind == inner);
                let element = |a: Attribute<'_>| Record::decode_struct(table, a.payload);
                Some(Value::Records(ordered(all.map(element).collect())))
            }
            Shape::Texts(inner) => {
                let all = Attributes::new(payload).map_while(Result::ok);
                Some(Value::Texts(
                    all.filter(|a| a.kind == inner).map(|a| text(a.payload)).collect(),
                ))
            }
            Shape::Via => via_value(payload),
            Shape::Labels => Some(Value::Numbers(labels(payload))),
            Shape::Array(table) => Some(Value::Records(array(table, payload))),
            Shape::Structs(table) => Some(Value::Records(structs(table, payload))),
            Shape::ByNumber { kind, tables } => {
                let mut all = siblings.clone().map_while(Result::ok).filter(|a| a.kind == kind);
                let number = all.find_map(|a| ne_u16(a.payload));
                let known = tables.iter().find(|(n, _)| Some(*n) == number.map(u64::from));
                Some(match known {
                    Some((_, table)) => {
                        Value::Nested(Box::new(Record::decode_attributes(table, payload)))
                    }
                    None => Value::Bytes(payload.into()),
                })
            }
            Shape::ByKind { kind, tables } => {
                let name = siblings.clone().find(kind).map(|a| text(a.payload));
                let known = tables.iter().find(|(n, _)| Some(*n) == name.as_deref());
                Some(match known {
                    Some((_, table)) => {
                        Value::Nested(Box::new(Record::decode_attributes(table, payload)))
                    }
                    None => Value::Bytes(payload.into()),
                })
            }
        }
    }

    /// Writes a payload; a value of another kind than the shape's writes nothing.
    pub fn write(self, value: &Value, to: &mut Vec<u8>) {
        match (self, value) {
            (Shape::U8, Value::Number(n)) => to.push(*n as u8),
            (Shape::U16, Value::Number(n)) => put_ne_u16(to, *n as u16),
            (Shape::U32, Value::Number(n)) => put_ne_u32(to, *n as u32),
            (Shape::U64, Value::Number(n)) => put_ne_u64(to, *n),
            (Shape::Uint, Value::Number(n)) => match u32::try_from(*n) {
                Ok(n) => put_ne_u32(to, n),
                Err(_) => put_ne_u64(to, *n),
            },
            (Shape::I32, Value::Signed(n)) => put_ne_u32(to, *n as i32 as u32),
            (Shape::Be16, Value::Number(n)) => put_be16(to, *n as u16),
            (Shape::Be32, Value::Number(n)) => put_be32(to, *n as u32),
            (Shape::Be64, Value::Number(n)) => {
                put_be32(to, (n >> 32) as u32);
                put_be32(to, *n as u32);
            }
            (Shape::Text, Value::Text(text)) => {
                to.extend_from_slice(text.as_bytes());
                to.push(0);
            }
            (Shape::U32s, Value::Numbers(all)) => all.iter().for_each(|n| put_ne_u32(to, *n)),
            (Shape::Hardware | Shape::Mac, Value::Hardware(address)) => {
                to.extend_from_slice(address.as_bytes())
            }
            (Shape::Ip | Shape::Ip4, Value::V4(address)) => to.extend_from_slice(&address.octets()),
            (Shape::Ip | Shape::Ip6, Value::V6(address)) => to.extend_from_slice(&address.octets()),
            (Shape::Via, Value::V4(address)) => {
                put_ne_u16(to, AF_INET);
                to.extend_from_slice(&address.octets());
            }
            (Shape::Via, Value::V6(address)) => {
                put_ne_u16(to, AF_INET6);
                to.extend_from_slice(&address.octets());
            }
            (Shape::Labels, Value::Numbers(all)) => put_labels(to, all),
            (
                Shape::Bytes | Shape::Via | Shape::ByKind { .. } | Shape::ByNumber { .. },
                Value::Bytes(bytes),
            ) => to.extend_from_slice(bytes),
            _ => {}
        }
    }
}

/// Bytes of a message inside an attribute. Ours have some hundred; without a bound, bytes that nest such
/// messages in each other a thousand deep would exhaust the stack.
const LONGEST_INNER_MESSAGE: usize = 2048;

fn text(payload: &[u8]) -> Box<str> {
    let own = payload.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(own).into()
}

fn nested(record: Record) -> Option<Value> {
    Some(Value::Nested(Box::new(record)))
}

fn option(bit: u8, payload: &[u8]) -> Option<Value> {
    let (value, mask) = (u32_at(payload, 0)?, u32_at(payload, 4)?);
    let bit = 1u32.checked_shl(bit.into())?;
    (mask & bit != 0).then_some(Value::Number((value & bit != 0).into()))
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `struct rtvia`.
fn via_value(payload: &[u8]) -> Option<Value> {
    match (ne_u16(payload)?, ip_value(&payload[2..])) {
        (AF_INET, Some(address @ Value::V4(_))) => Some(address),
        (AF_INET6, Some(address @ Value::V6(_))) => Some(address),
        _ => Some(Value::Bytes(payload.into())),
    }
}

/// Bit 8 of an entry says that it is the last. Traffic class and time to live are zero in a route.
fn labels(payload: &[u8]) -> Box<[u32]> {
    payload.chunks_exact(4).filter_map(be32).map(|entry| entry >> 12).collect()
}

fn put_labels(to: &mut Vec<u8>, labels: &[u32]) {
    for (i, label) in labels.iter().enumerate() {
        let bottom = u32::from(i + 1 == labels.len());
        put_be32(to, (label << 12) | (bottom << 8));
    }
}

fn array(table: &'static Table, payload: &[u8]) -> Box<[Record]> {
    payload
        .chunks_exact(table.header.max(1))
        .map(|bytes| Record::decode_struct(table, bytes))
        .collect()
}

/// By their first number, then by the next ones.
fn ordered(mut all: Vec<Record>) -> Box<[Record]> {
    let numbers = |record: &Record| -> Vec<u64> {
        record.fields().filter_map(|(_, _, value)| value.number()).collect()
    };
    all.sort_by_cached_key(numbers);
    all.into()
}

fn structs(table: &'static Table, payload: &[u8]) -> Box<[Record]> {
    let (mut rest, mut all) = (payload, Vec::new());
    while let Some(length) = ne_u16(rest).map(usize::from) {
        let Some(own) = rest.get(..length).filter(|own| own.len() >= table.header.max(2)) else {
            break;
        };
        all.extend(Record::decode(table, own));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all.into()
}

/// An IP address whose family is its length.
pub fn ip_value(payload: &[u8]) -> Option<Value> {
    match payload.len() {
        4 => Some(Value::V4(Ipv4Addr::from(<[u8; 4]>::try_from(payload).ok()?))),
        16 => Some(Value::V6(Ipv6Addr::from(<[u8; 16]>::try_from(payload).ok()?))),
        _ => None,
    }
}

/// A shape together with the Rust type that its accessor gives and its setter takes.
pub trait Typed {
    /// What the accessor gives.
    type Out<'a>;
    /// What the setter takes.
    type In;
    /// How its bytes are read.
    #[doc(hidden)]
    const SHAPE: Shape;
    /// How `ip -json` shows it unless the row says otherwise.
    #[doc(hidden)]
    const FORM: Form = Form::Plain;
    /// The accessor's value.
    fn read(value: &Value) -> Option<Self::Out<'_>>;
    /// The value that the setter stores.
    fn write(value: Self::In) -> Value;
    /// What the setter does.
    fn store(value: Self::In, record: &mut Record, id: u16) {
        record.set(id, Self::write(value));
    }
}

macro_rules! numbers {
    ($($name:ident $type:ty;)*) => {$(
        #[doc = concat!("A number, `", stringify!($type), "`.")]
        #[derive(Debug)]
        pub struct $name;
        impl Typed for $name {
            type Out<'a> = $type;
            type In = $type;
            const SHAPE: Shape = Shape::$name;
            fn read(value: &Value) -> Option<$type> {
                value.number().and_then(|n| <$type>::try_from(n).ok())
            }
            fn write(value: $type) -> Value {
                Value::Number(value.into())
            }
        }
    )*};
}

numbers! { U8 u8; U16 u16; U32 u32; U64 u64; Be16 u16; Be32 u32; Be64 u64; Uint u64; }

/// A signed number.
#[derive(Debug)]
pub struct I32;

impl Typed for I32 {
    type Out<'a> = i32;
    type In = i32;
    const SHAPE: Shape = Shape::I32;
    fn read(value: &Value) -> Option<i32> {
        match value {
            Value::Signed(n) => i32::try_from(*n).ok(),
            _ => None,
        }
    }
    fn write(value: i32) -> Value {
        Value::Signed(value.into())
    }
}

/// A number of shape `S` of which only zero and not zero count.
#[derive(Debug)]
pub struct Switch<S>(PhantomData<S>);

impl<S: Typed> Typed for Switch<S> {
    type Out<'a> = bool;
    type In = bool;
    const SHAPE: Shape = S::SHAPE;
    const FORM: Form = Form::Bool;
    fn read(value: &Value) -> Option<bool> {
        value.number().map(|n| n != 0)
    }
    fn write(value: bool) -> Value {
        Value::Number(value.into())
    }
}

/// A byte of zero or one when the kernel tells it; in a request its presence is all it says.
#[derive(Debug)]
pub struct Flag;

impl Typed for Flag {
    type Out<'a> = u64;
    type In = u64;
    const SHAPE: Shape = Shape::Flag;
    fn read(value: &Value) -> Option<u64> {
        value.number()
    }
    fn write(value: u64) -> Value {
        Value::Number(value)
    }
}

/// An attribute whose presence is all it says.
#[derive(Debug)]
pub struct Present;

impl Typed for Present {
    type Out<'a> = bool;
    type In = bool;
    const SHAPE: Shape = Shape::Present;
    const FORM: Form = Form::Bool;
    fn read(_: &Value) -> Option<bool> {
        Some(true)
    }
    fn write(_: bool) -> Value {
        Value::Present
    }
    fn store(value: bool, record: &mut Record, id: u16) {
        if value {
            record.set(id, Value::Present);
        } else {
            record.remove(id);
        }
    }
}

/// An interface index; 0 means none.
#[derive(Debug)]
pub struct Index;

impl Typed for Index {
    type Out<'a> = u32;
    type In = u32;
    const SHAPE: Shape = Shape::U32;
    const FORM: Form = Form::Link;
    fn read(value: &Value) -> Option<u32> {
        U32::read(value).filter(|index| *index != 0)
    }
    fn write(value: u32) -> Value {
        Value::Number(value.into())
    }
}

/// An interface: read by its index, 0 means none, and set by any way to name one.
#[derive(Debug)]
pub struct Interface;

impl Typed for Interface {
    type Out<'a> = u32;
    type In = LinkRef;
    const SHAPE: Shape = Index::SHAPE;
    const FORM: Form = Index::FORM;
    fn read(value: &Value) -> Option<u32> {
        Index::read(value)
    }
    fn write(value: LinkRef) -> Value {
        match value {
            LinkRef::Index(0) => Value::Number(0),
            which => Value::Link(which),
        }
    }
}

/// A text.
#[derive(Debug)]
pub struct Text;

impl Typed for Text {
    type Out<'a> = &'a str;
    type In = Box<str>;
    const SHAPE: Shape = Shape::Text;
    fn read(value: &Value) -> Option<&str> {
        value.text()
    }
    fn write(value: Box<str>) -> Value {
        Value::Text(value)
    }
}

/// A link-layer address.
#[derive(Debug)]
pub struct Hardware;

impl Typed for Hardware {
    type Out<'a> = HardwareAddress;
    type In = HardwareAddress;
    const SHAPE: Shape = Shape::Hardware;
    fn read(value: &Value) -> Option<HardwareAddress> {
        match value {
            Value::Hardware(address) => Some(*address),
            _ => None,
        }
    }
    fn write(value: HardwareAddress) -> Value {
        Value::Hardware(value)
    }
}

/// A link-layer address of six bytes inside a struct.
#[derive(Debug)]
pub struct Mac;

impl Typed for Mac {
    type Out<'a> = HardwareAddress;
    type In = HardwareAddress;
    const SHAPE: Shape = Shape::Mac;
    fn read(value: &Value) -> Option<HardwareAddress> {
        Hardware::read(value)
    }
    fn write(value: HardwareAddress) -> Value {
        Value::Hardware(value)
    }
}

/// An IP address of either family.
#[derive(Debug)]
pub struct Ip;

impl Typed for Ip {
    type Out<'a> = IpAddr;
    type In = IpAddr;
    const SHAPE: Shape = Shape::Ip;
    fn read(value: &Value) -> Option<IpAddr> {
        match value {
            Value::V4(address) => Some((*address).into()),
            Value::V6(address) => Some((*address).into()),
            _ => None,
        }
    }
    fn write(value: IpAddr) -> Value {
        match value {
            IpAddr::V4(address) => Value::V4(address),
            IpAddr::V6(address) => Value::V6(address),
        }
    }
}

macro_rules! one_family {
    ($($name:ident $variant:ident $address:ident;)*) => {$(
        #[doc = concat!("An IP address, `", stringify!($address), "`.")]
        #[derive(Debug)]
        pub struct $name;
        impl Typed for $name {
            type Out<'a> = $address;
            type In = $address;
            const SHAPE: Shape = Shape::$name;
            fn read(value: &Value) -> Option<$address> {
                match value {
                    Value::$variant(address) => Some(*address),
                    _ => None,
                }
            }
            fn write(value: $address) -> Value {
                Value::$variant(value)
            }
        }
    )*};
}

one_family! { Ip4 V4 Ipv4Addr; Ip6 V6 Ipv6Addr; }

/// Bytes kept as they are.
#[derive(Debug)]
pub struct Bytes;

impl Typed for Bytes {
    type Out<'a> = &'a [u8];
    type In = Box<[u8]>;
    const SHAPE: Shape = Shape::Bytes;
    fn read(value: &Value) -> Option<&[u8]> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
    fn write(value: Box<[u8]>) -> Value {
        Value::Bytes(value)
    }
}

/// Texts in attributes of type `INNER` inside this one.
#[derive(Debug)]
pub struct Texts<const INNER: u16>;

impl<const INNER: u16> Typed for Texts<INNER> {
    type Out<'a> = &'a [Box<str>];
    type In = Box<[Box<str>]>;
    const SHAPE: Shape = Shape::Texts(INNER);
    fn read(value: &Value) -> Option<&[Box<str>]> {
        match value {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }
    fn write(value: Box<[Box<str>]>) -> Value {
        Value::Texts(value)
    }
}

/// Link-layer addresses in attributes of type `INNER` inside this one: a set, so kept in order.
#[derive(Debug)]
pub struct Hardwares<const INNER: u16>;

impl<const INNER: u16> Typed for Hardwares<INNER> {
    type Out<'a> = &'a [HardwareAddress];
    type In = Box<[HardwareAddress]>;
    const SHAPE: Shape = Shape::Hardwares(INNER);
    fn read(value: &Value) -> Option<&[HardwareAddress]> {
        match value {
            Value::Hardwares(all) => Some(all),
            _ => None,
        }
    }
    fn write(mut value: Box<[HardwareAddress]>) -> Value {
        value.sort();
        Value::Hardwares(value)
    }
}

/// IP addresses of either family, in their order.
#[derive(Debug)]
pub struct Ips;

impl Typed for Ips {
    type Out<'a> = &'a [IpAddr];
    type In = Box<[IpAddr]>;
    const SHAPE: Shape = Shape::Ips;
    fn read(value: &Value) -> Option<&[IpAddr]> {
        match value {
            Value::Ips(all) => Some(all),
            _ => None,
        }
    }
    fn write(value: Box<[IpAddr]>) -> Value {
        Value::Ips(value)
    }
}

/// Structs in attributes of type `INNER` inside this one: a set, kept in order.
pub(crate) fn elements(all: Box<[Record]>) -> Value {
    Value::Records(ordered(all.into_vec()))
}

/// An array of numbers, one from each four bytes.
#[derive(Debug)]
pub struct U32s;

impl Typed for U32s {
    type Out<'a> = &'a [u32];
    type In = Box<[u32]>;
    const SHAPE: Shape = Shape::U32s;
    fn read(value: &Value) -> Option<&[u32]> {
        match value {
            Value::Numbers(all) => Some(all),
            _ => None,
        }
    }
    fn write(value: Box<[u32]>) -> Value {
        Value::Numbers(value)
    }
}

/// An IP address of any family, with the family said (`struct rtvia`).
#[derive(Debug)]
pub struct Via;

impl Typed for Via {
    type Out<'a> = IpAddr;
    type In = IpAddr;
    const SHAPE: Shape = Shape::Via;
    fn read(value: &Value) -> Option<IpAddr> {
        Ip::read(value)
    }
    fn write(value: IpAddr) -> Value {
        Ip::write(value)
    }
}

/// MPLS labels, 0 to 1048575 each, the outermost first.
#[derive(Debug)]
pub struct Labels;

impl Typed for Labels {
    type Out<'a> = &'a [u32];
    type In = Box<[u32]>;
    const SHAPE: Shape = Shape::Labels;
    fn read(value: &Value) -> Option<&[u32]> {
        U32s::read(value)
    }
    fn write(value: Box<[u32]>) -> Value {
        Value::Numbers(value)
    }
}

/// Declares a type for rows whose values are lists of records: `Array` or `Structs` of a table.
macro_rules! lists {
    ($($(#[$meta:meta])* $name:ident: $shape:ident $table:path;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;
        impl $crate::object::Typed for $name {
            type Out<'a> = &'a [$crate::object::Record];
            type In = Box<[$crate::object::Record]>;
            const SHAPE: $crate::object::Shape = $crate::object::Shape::$shape(&$table);
            fn read(value: &$crate::object::Value) -> Option<&[$crate::object::Record]> {
                match value {
                    $crate::object::Value::Records(all) => Some(all),
                    _ => None,
                }
            }
            fn write(value: Box<[$crate::object::Record]>) -> $crate::object::Value {
                $crate::object::Value::Records(value)
            }
        }
    )*};
}
pub(crate) use lists;

/// Declares a type for rows whose values are records: `Struct` or `Nest` of a table, read as a view.
macro_rules! records {
    ($($(#[$meta:meta])* $name:ident: $shape:ident $table:path, $view:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;
        impl $crate::object::Typed for $name {
            type Out<'a> = $view<'a>;
            type In = $crate::object::Record;
            const SHAPE: $crate::object::Shape = $crate::object::Shape::$shape(&$table);
            fn read(value: &$crate::object::Value) -> Option<$view<'_>> {
                value.nested().map($view)
            }
            fn write(value: $crate::object::Record) -> $crate::object::Value {
                $crate::object::Value::Nested(Box::new(value))
            }
        }
    )*};
}
pub(crate) use records;

/// One bit of a `struct br_boolopt_multi`.
#[derive(Debug)]
pub struct OptionBit<const BIT: u8>;

impl<const BIT: u8> Typed for OptionBit<BIT> {
    type Out<'a> = bool;
    type In = bool;
    const SHAPE: Shape = Shape::Option(BIT);
    fn read(value: &Value) -> Option<bool> {
        value.number().map(|n| n != 0)
    }
    fn write(value: bool) -> Value {
        Value::Number(value.into())
    }
}

/// The bits of `MASK` in a number of shape `S`.
#[derive(Debug)]
pub struct Part<const MASK: u32, S>(PhantomData<S>);

impl<const MASK: u32, S: Typed> Typed for Part<MASK, S> {
    type Out<'a> = u32;
    type In = u32;
    const SHAPE: Shape = Shape::Part(MASK, Width::of(S::SHAPE));
    fn read(value: &Value) -> Option<u32> {
        U32::read(value)
    }
    fn write(value: u32) -> Value {
        Value::Number(value.into())
    }
}

/// One bit of a number of shape `S`.
#[derive(Debug)]
pub struct Bit<const MASK: u32, S>(PhantomData<S>);

impl<const MASK: u32, S: Typed> Typed for Bit<MASK, S> {
    type Out<'a> = bool;
    type In = bool;
    const SHAPE: Shape = Shape::Part(MASK, Width::of(S::SHAPE));
    const FORM: Form = Form::OnlyTrue;
    fn read(value: &Value) -> Option<bool> {
        value.number().map(|n| n != 0)
    }
    fn write(value: bool) -> Value {
        Value::Number(value.into())
    }
}

/// A type of numbers that have names: the kernel's constants, with unknown numbers kept.
pub trait Named: Copy {
    /// How the number is stored.
    type Number: Typed;
    /// Number and the name that `ip` prints.
    const NAMES: &'static [(u64, &'static str)];
    /// From any number.
    fn from_number(number: u64) -> Self;
    /// The number.
    fn number(self) -> u64;
}

/// A number that has a name.
#[derive(Debug)]
pub struct OneOf<N>(PhantomData<N>);

impl<N: Named> Typed for OneOf<N> {
    type Out<'a> = N;
    type In = N;
    const SHAPE: Shape = N::Number::SHAPE;
    const FORM: Form = Form::Names(N::NAMES);
    fn read(value: &Value) -> Option<N> {
        value.number().map(N::from_number)
    }
    fn write(value: N) -> Value {
        Value::Number(value.number())
    }
}

/// A number whose bits have names.
#[derive(Debug)]
pub struct BitsOf<N>(PhantomData<N>);

impl<N: Named> Typed for BitsOf<N> {
    type Out<'a> = N;
    type In = N;
    const SHAPE: Shape = N::Number::SHAPE;
    const FORM: Form = Form::Bits(N::NAMES);
    fn read(value: &Value) -> Option<N> {
        value.number().map(N::from_number)
    }
    fn write(value: N) -> Value {
        Value::Number(value.number())
    }
}

/// Declares an open enumeration (`enum`) or a set of bits (`bits`): a number type whose known values have
/// names, those that `ip` prints. Unknown numbers and bits are kept and shown as numbers.
macro_rules! names {
    ($(#[$meta:meta])* $how:ident $name:ident: $repr:ident as $shape:ident { $($constant:ident = $number:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $(#[doc = concat!("`", $text, "`, ", stringify!($number), ".")] pub const $constant: Self = Self($number);)*
        }

        impl $crate::object::Named for $name {
            type Number = $crate::object::shape::$shape;
            const NAMES: &'static [(u64, &'static str)] = &[$(($number, $text)),*];
            fn from_number(number: u64) -> Self {
                Self(number as $repr)
            }
            fn number(self) -> u64 {
                self.0.into()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        $crate::object::shape::names!(@$how $name $repr);
    };
    (@enum $name:ident $repr:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let names = <Self as $crate::object::Named>::NAMES;
                match names.iter().find(|(n, _)| *n == u64::from(self.0)) {
                    Some((_, name)) => f.pad(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::object::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let names = <Self as $crate::object::Named>::NAMES;
                match names.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
                    Some((n, _)) => Ok(Self(*n as $repr)),
                    None => text.parse().map(Self).map_err(|_| $crate::object::UnknownName {
                        text: text.to_owned(),
                        of: stringify!($name),
                    }),
                }
            }
        }
    };
    (@bits $name:ident $repr:ident) => {
        impl $name {
            /// Whether every bit of `other` is set here.
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The names of the bits that are set, in the order that `ip` prints; what has no name is left out.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                let names = <Self as $crate::object::Named>::NAMES;
                names.iter().filter(move |(bit, _)| u64::from(self.0) & bit == *bit).map(|(_, name)| *name)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::object::shape::bit_names(
                    self.0.into(),
                    <Self as $crate::object::Named>::NAMES,
                ))
            }
        }
    };
}
pub(crate) use names;

/// The names of the bits with commas between; bits that have none as one hexadecimal number at the end.
pub fn bit_names(number: u64, names: &[(u64, &str)]) -> String {
    let mut parts: Vec<_> = names
        .iter()
        .filter(|(bit, _)| number & bit == *bit)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let rest = names.iter().fold(number, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        parts.push(format!("{rest:#x}"));
    }
    parts.join(",")
}

/// A text that names no value of an open enumeration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {of}")]
pub struct UnknownName {
    /// The text.
    pub text: String,
    /// The enumeration.
    pub of: &'static str,
}
