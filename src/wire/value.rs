//! Values: numbers in the machine's and in network byte order, and hardware addresses.
//!
//! Netlink numbers are in the byte order of the machine, except where an attribute says otherwise. This is
//! the only module that may know which order that is.
#![allow(clippy::host_endian_bytes)]

use std::fmt;
use std::str::FromStr;

/// A `u16` in the machine's order at `offset`, if there are enough bytes.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_ne_bytes)
}

/// A `u32` in the machine's order at `offset`, if there are enough bytes.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_ne_bytes)
}

/// An `i32` in the machine's order at `offset`, if there are enough bytes.
pub fn i32_at(bytes: &[u8], offset: usize) -> Option<i32> {
    array(bytes, offset).map(i32::from_ne_bytes)
}

/// A payload that starts with a `u16` (a longer one is accepted).
pub fn ne_u16(bytes: &[u8]) -> Option<u16> {
    u16_at(bytes, 0)
}

/// Bytes that start with two `u16`, as each attribute does.
pub fn ne_u16s(bytes: &[u8]) -> Option<[u16; 2]> {
    let [a, b, c, d, ..] = *bytes else { return None };
    Some([u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])])
}

/// A payload that starts with a `u32`.
pub fn ne_u32(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, 0)
}

/// A payload that starts with a `u64`; the kernel aligns them to 4 bytes only.
pub fn ne_u64(bytes: &[u8]) -> Option<u64> {
    array(bytes, 0).map(u64::from_ne_bytes)
}

/// A payload that starts with an `i32`.
pub fn ne_i32(bytes: &[u8]) -> Option<i32> {
    i32_at(bytes, 0)
}

/// A payload that starts with a `u16` in network order.
pub fn be16(bytes: &[u8]) -> Option<u16> {
    array(bytes, 0).map(u16::from_be_bytes)
}

/// A payload that starts with a `u32` in network order.
pub fn be32(bytes: &[u8]) -> Option<u32> {
    array(bytes, 0).map(u32::from_be_bytes)
}

/// Appends in the machine's order.
pub fn put_ne_u16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_ne_bytes());
}

/// Appends in the machine's order.
pub fn put_ne_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_ne_bytes());
}

/// Appends in the machine's order.
pub fn put_ne_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_ne_bytes());
}

/// Appends in network order.
pub fn put_be16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_be_bytes());
}

/// Appends in network order.
pub fn put_be32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_be_bytes());
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// A link-layer address of 0 to 32 bytes (`MAX_ADDR_LEN`): six for Ethernet, four for an IPv4 tunnel,
/// twenty for InfiniBand.
///
/// ```
/// let mac: netlinkdb::HardwareAddress = "02:00:5E:10:00:01".parse()?;
/// assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
/// assert!("02:00:5e".parse::<netlinkdb::HardwareAddress>().is_ok());
/// assert!("02:00:5g".parse::<netlinkdb::HardwareAddress>().is_err());
/// # Ok::<(), netlinkdb::ParseHardwareAddressError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HardwareAddress {
    length: u8,
    bytes: [u8; 32],
}

impl HardwareAddress {
    /// From its bytes; `None` when there are more than 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut own = [0; 32];
        own.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(HardwareAddress { length: bytes.len() as u8, bytes: own })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl From<[u8; 6]> for HardwareAddress {
    fn from(mac: [u8; 6]) -> Self {
        let mut bytes = [0; 32];
        bytes[..6].copy_from_slice(&mac);
        HardwareAddress { length: 6, bytes }
    }
}

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no hardware address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hardware address: 1 to 32 pairs of hexadecimal digits with colons between")]
pub struct ParseHardwareAddressError(pub(crate) String);

impl FromStr for HardwareAddress {
    type Err = ParseHardwareAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseHardwareAddressError(text.to_owned());
        let byte = |pair: &str| {
            let digits = matches!(pair.len(), 1 | 2) && pair.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten().ok_or_else(bad)
        };
        let bytes = text.split([':', '-']).map(byte).collect::<Result<Vec<_>, _>>()?;
        HardwareAddress::new(&bytes).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_payloads_are_none() {
        assert_eq!(ne_u32(&[1, 2, 3]), None);
        assert_eq!(u16_at(&[0; 4], usize::MAX), None);
        assert_eq!(be16(&[1, 2, 3]), Some(0x0102));
    }

    #[test]
    fn hardware_addresses_of_every_length() {
        for length in 0..=32 {
            let address = HardwareAddress::new(&vec![0xab; length]).unwrap();
            assert_eq!(address.as_bytes().len(), length);
            if length > 0 {
                assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
        assert_eq!(HardwareAddress::new(&[0; 33]), None);
    }
}
