//! netlink as bytes: messages, attributes, values and acknowledgements.
//!
//! Pure: bytes in, values out, and the reverse. What a number *means* (which attribute it is, how it is
//! shown) is not known here; that is `object`. Nothing here panics on any bytes: what does not parse is a
//! [`Malformed`] value, and what parsed before it has been handed out already.

mod ack;
mod attribute;
mod message;
mod pack;
mod value;

pub use ack::{Ack, locate};
pub use attribute::{Attribute, Attributes};
pub use message::{Builder, HEADER, Malformed, Message, Messages, flags, kind};
pub use pack::{Pack, Unpackable, crc32, take};
pub(crate) use pack::{pack_enum, pack_struct};
pub use value::{
    HardwareAddress, ParseHardwareAddressError, be16, be32, i32_at, ne_i32, ne_u16, ne_u32, ne_u64,
    put_be16, put_be32, put_ne_u16, put_ne_u32, put_ne_u64, u16_at, u32_at,
};
