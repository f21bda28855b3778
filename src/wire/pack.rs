//! Values as bytes for a file of our own, and back: not netlink, but as careful with what does not parse.
//!
//! Big-endian numbers, lengths before lists, a number before each variant. What is written is read back the same;
//! anything else is an error, never a panic, and never costs more memory than there are bytes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::HardwareAddress;

/// Bytes that are not what was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {0} can be read from it")]
pub struct Unpackable(pub &'static str);

/// What can be packed and unpacked.
pub trait Pack: Sized {
    /// Writes it behind what is there.
    fn pack(&self, to: &mut Vec<u8>);

    /// Reads it from the front, and leaves what is behind it.
    ///
    /// # Errors
    /// When it is not there.
    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable>;

    /// The bytes of this alone.
    fn packed(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.pack(&mut bytes);
        bytes
    }

    /// Reads it, and nothing must be left.
    ///
    /// # Errors
    /// When it is not there, or more is.
    fn whole(mut bytes: &[u8]) -> Result<Self, Unpackable> {
        let value = Self::unpack(&mut bytes)?;
        if bytes.is_empty() { Ok(value) } else { Err(Unpackable("end")) }
    }
}

/// So many bytes from the front.
///
/// # Errors
/// When there are fewer.
pub fn take<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], Unpackable> {
    let (taken, rest) = from.split_at_checked(length).ok_or(Unpackable("more bytes"))?;
    *from = rest;
    Ok(taken)
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Pack for $number {
            fn pack(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }

            fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
                let (bytes, rest) = from.split_first_chunk().ok_or(Unpackable("number"))?;
                *from = rest;
                Ok(<$number>::from_be_bytes(*bytes))
            }
        }
    )*};
}
numbers!(u8 u16 u32 u64 i64);

/// Packs a struct: its fields, in this order.
macro_rules! pack_struct {
    ($($type:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::wire::Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                $(self.$field.pack(to);)*
            }

            fn unpack(from: &mut &[u8]) -> Result<Self, $crate::wire::Unpackable> {
                $(let $field = $crate::wire::Pack::unpack(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}
pub(crate) use pack_struct;

/// Packs an enum: the number of the variant, then what is in it.
macro_rules! pack_enum {
    ($type:ty, $name:literal { $($number:literal $variant:ident $({ $($field:ident),* })? $(($($place:ident),*))?,)* }) => {
        impl $crate::wire::Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                match self {$(
                    Self::$variant $({ $($field),* })? $(($($place),*))? => {
                        to.push($number);
                        $($($field.pack(to);)*)?
                        $($($place.pack(to);)*)?
                    }
                )*}
            }

            fn unpack(from: &mut &[u8]) -> Result<Self, $crate::wire::Unpackable> {
                match u8::unpack(from)? {
                    $($number => {
                        $($(let $field = $crate::wire::Pack::unpack(from)?;)*)?
                        $($(let $place = $crate::wire::Pack::unpack(from)?;)*)?
                        Ok(Self::$variant $({ $($field),* })? $(($($place),*))?)
                    })*
                    _ => Err($crate::wire::Unpackable($name)),
                }
            }
        }
    };
}
pub(crate) use pack_enum;

impl Pack for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push((*self).into());
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        match u8::unpack(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unpackable("yes or no")),
        }
    }
}

/// The length of a list.
fn length(from: &mut &[u8]) -> Result<usize, Unpackable> {
    let length = u32::unpack(from)? as usize;
    // No element is packed into nothing, so that a list is never longer than what is left.
    if length <= from.len() { Ok(length) } else { Err(Unpackable("list")) }
}

impl Pack for Box<[u8]> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u32).pack(to);
        to.extend_from_slice(self);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let length = length(from)?;
        Ok(take(from, length)?.into())
    }
}

impl Pack for Box<str> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u32).pack(to);
        to.extend_from_slice(self.as_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let length = length(from)?;
        let text = std::str::from_utf8(take(from, length)?);
        text.map(Into::into).map_err(|_| Unpackable("text"))
    }
}

impl Pack for String {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u32).pack(to);
        to.extend_from_slice(self.as_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        Box::<str>::unpack(from).map(String::from)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u32).pack(to);
        self.iter().for_each(|one| one.pack(to));
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let length = length(from)?;
        (0..length).map(|_| T::unpack(from)).collect()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        self.iter().for_each(|one| one.pack(to));
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        Ok(if bool::unpack(from)? { Some(T::unpack(from)?) } else { None })
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        T::pack(self, to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        T::unpack(from).map(Box::new)
    }
}

impl<T: Pack> Pack for Arc<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        T::pack(self, to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        T::unpack(from).map(Arc::new)
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        Ok((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<K: Pack + Ord, V: Pack> Pack for BTreeMap<K, V> {
    fn pack(&self, to: &mut Vec<u8>) {
        (self.len() as u32).pack(to);
        for (key, value) in self {
            key.pack(to);
            value.pack(to);
        }
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let length = length(from)?;
        (0..length).map(|_| Ok((K::unpack(from)?, V::unpack(from)?))).collect()
    }
}

impl<const N: usize> Pack for [u8; N] {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let (bytes, rest) = from.split_first_chunk().ok_or(Unpackable("more bytes"))?;
        *from = rest;
        Ok(*bytes)
    }
}

impl Pack for Ipv4Addr {
    fn pack(&self, to: &mut Vec<u8>) {
        self.octets().pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        <[u8; 4]>::unpack(from).map(Ipv4Addr::from)
    }
}

impl Pack for Ipv6Addr {
    fn pack(&self, to: &mut Vec<u8>) {
        self.octets().pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        <[u8; 16]>::unpack(from).map(Ipv6Addr::from)
    }
}

pack_enum!(IpAddr, "address family" {
    4 V4(address),
    6 V6(address),
});

impl Pack for HardwareAddress {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(self.as_bytes().len() as u8);
        to.extend_from_slice(self.as_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Result<Self, Unpackable> {
        let length = u8::unpack(from)?;
        HardwareAddress::new(take(from, length.into())?).ok_or(Unpackable("hardware address"))
    }
}

/// CRC-32 as in Ethernet and gzip: finds every change of up to four bytes in a row, and of others all but one in four
/// billion.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| CRC[usize::from(crc as u8 ^ byte)] ^ crc >> 8;
    !bytes.iter().fold(u32::MAX, step)
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Pack + PartialEq + std::fmt::Debug>(value: T) {
        let bytes = value.packed();
        assert_eq!(T::whole(&bytes).as_ref(), Ok(&value));
        for short in 0..bytes.len() {
            assert!(T::whole(&bytes[..short]).is_err(), "{value:?} from {short} bytes");
        }
        assert!(T::whole(&[&bytes[..], &[0]].concat()).is_err(), "{value:?} and one byte");
    }

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        check((7u8, 0x0102_0304_0506_0708u64));
        check((-5i64, Some(false)));
        check(vec![Some("eth0".to_owned()), None]);
        check(BTreeMap::from([(1u16, "a".to_owned()), (2, String::new())]));
        check((IpAddr::from([10, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)));
        check(HardwareAddress::from([2, 0, 0, 0, 0, 1]));
        check((Box::<[u8]>::from([1, 2, 3]), [9u8; 4]));
    }

    #[test]
    fn a_length_that_lies_costs_nothing() {
        assert!(Vec::<u64>::whole(&[0xff; 12]).is_err());
        assert!(String::whole(&[0, 0, 0, 2, 0xff, 0xff]).is_err());
    }

    /// The check value of the algorithm's catalogue entry.
    #[test]
    fn the_checksum_is_the_one_that_everybody_means() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
