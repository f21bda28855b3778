//! What the specifications of routes, rules, neighbours and nexthops have in common: values given as text are read at
//! once, what is wrong is remembered, and said when the specification is used.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::shape::{Ip, Typed};
use super::{Names, Record, Value};

/// What a specification says that cannot be: the words, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub struct SpecError {
    /// The words.
    pub text: String,
    /// Why they cannot be.
    pub why: String,
}

impl SpecError {
    pub(super) fn new(text: impl fmt::Display, why: impl Into<String>) -> Self {
        SpecError { text: text.to_string(), why: why.into() }
    }
}

/// A record in the making, and the first thing that was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) record: Record,
    pub(super) error: Option<SpecError>,
}

impl Draft {
    pub(super) fn new(table: &'static super::Table) -> Self {
        Draft { record: Record::new(table), error: None }
    }

    pub(super) fn number(&mut self, id: u16, number: impl Into<u64>) {
        self.record.set(id, Value::Number(number.into()));
    }

    pub(super) fn fail(&mut self, error: SpecError) {
        self.error.get_or_insert(error);
    }

    /// The value, unless there is none; then the error is remembered.
    pub(super) fn accept<T>(&mut self, result: Result<T, SpecError>) -> Option<T> {
        result.map_err(|error| self.fail(error)).ok()
    }

    pub(super) fn address(&mut self, id: u16, text: &str) -> Option<IpAddr> {
        let address = self.accept(address(text))?;
        self.record.set(id, Ip::write(address));
        Some(address)
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

/// An IP address.
pub(super) fn address(text: &str) -> Result<IpAddr, SpecError> {
    text.parse().map_err(|_| SpecError::new(text, "no IP address"))
}

/// A prefix, or an address for the prefix of all its bits. Bits of the host must not be set.
pub(super) fn prefix(text: &str) -> Result<IpNet, SpecError> {
    let net: IpNet = match text.contains('/') {
        true => text.parse().map_err(|_| SpecError::new(text, "no prefix: address/length"))?,
        false => address(text)?.into(),
    };
    if net.trunc() != net {
        let why = format!("bits of the host are set; the prefix is {}", net.trunc());
        return Err(SpecError::new(text, why));
    }
    Ok(net)
}

/// `AF_INET` 2 or `AF_INET6` 10.
pub(super) fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 2 } else { 10 }
}

/// Names of interfaces that a specification speaks of, by their places from 1.
pub(super) struct Places(pub(super) Vec<String>);

impl Places {
    /// Where one of them is.
    pub(super) fn place<T: PartialEq>(all: &[T], one: &T) -> Option<u32> {
        let place = all.iter().position(|own| own == one)?;
        u32::try_from(place + 1).ok()
    }
}

impl Names for Places {
    fn name_of(&self, index: u32) -> Option<&str> {
        let place = usize::try_from(index).ok()?.checked_sub(1)?;
        self.0.get(place).map(String::as_str)
    }
}
