//! The value of one attribute.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{LinkRef, Record};
use crate::wire::HardwareAddress;

/// The value of one attribute, whatever its width and byte order on the wire.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Any unsigned number.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// A text without its NUL.
    Text(Box<str>),
    /// A link-layer address.
    Hardware(HardwareAddress),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// Bytes kept as they came.
    Bytes(Box<[u8]>),
    /// An attribute whose presence is all it says.
    Present,
    /// Attributes inside an attribute.
    Nested(Box<Record>),
    /// The same attribute several times (alternative names).
    Texts(Box<[Box<str>]>),
    /// The same attribute several times, each a link-layer address.
    Hardwares(Box<[HardwareAddress]>),
    /// IP addresses in attributes inside one attribute.
    Ips(Box<[IpAddr]>),
    /// An array of numbers.
    Numbers(Box<[u32]>),
    /// A list of structs, in the kernel's order.
    Records(Box<[Record]>),
    /// An interface that a request names; the kernel is told its index.
    Link(LinkRef),
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Number(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The records inside, if it is a list of them.
    pub fn records(&self) -> &[Record] {
        match self {
            Value::Records(all) => all,
            _ => &[],
        }
    }

    /// The record inside, if it is one.
    pub fn nested(&self) -> Option<&Record> {
        match self {
            Value::Nested(record) => Some(record),
            _ => None,
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(n) => write!(f, "{n}"),
            Value::Signed(n) => write!(f, "{n}"),
            Value::Text(text) => f.write_str(text),
            Value::Hardware(address) => write!(f, "{address}"),
            Value::V4(address) => write!(f, "{address}"),
            Value::V6(address) => write!(f, "{address}"),
            Value::Bytes(bytes) => bytes.iter().try_for_each(|b| write!(f, "{b:02x}")),
            Value::Present => f.write_str("on"),
            Value::Nested(record) => write!(f, "{record}"),
            Value::Texts(texts) => f.write_str(&texts.join(" ")),
            Value::Hardwares(all) => words(all, f),
            Value::Ips(all) => words(all, f),
            Value::Numbers(all) => words(all, f),
            Value::Records(all) => words(all, f),
            Value::Link(which) => write!(f, "{which}"),
        }
    }
}

fn words<T: fmt::Display>(all: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, one) in all.iter().enumerate() {
        write!(f, "{}{one}", if i == 0 { "" } else { " " })?;
    }
    Ok(())
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Nested(record) => write!(f, "{record:?}"),
            Value::Records(all) => f.debug_list().entries(all).finish(),
            other => write!(f, "{other}"),
        }
    }
}
