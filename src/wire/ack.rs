//! Acknowledgements: `NLMSG_ERROR` and `NLMSG_DONE`, with the extended ACK behind either (K43).

use super::message::{HEADER, Malformed, Message, flags, kind};
use super::value::{i32_at, ne_u32};
use super::{Attributes, Messages};

/// The kernel's answer to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// 0 for success, otherwise the positive errno.
    pub errno: i32,
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`); a warning when `errno` is 0.
    pub message: Option<String>,
    /// Where in the request the refused attribute stands (`NLMSGERR_ATTR_OFFS`), counted from its `nlmsghdr`.
    pub offset: Option<u32>,
    /// The type of an attribute that the request lacks (`NLMSGERR_ATTR_MISS_TYPE`).
    pub missing: Option<u32>,
}

const ATTR_MSG: u16 = 1;
const ATTR_OFFS: u16 = 2;
const ATTR_MISS_TYPE: u16 = 5;

impl Ack {
    /// Reads an `NLMSG_ERROR` or `NLMSG_DONE` message; `None` for any other type.
    #[doc(hidden)]
    pub fn parse(message: &Message<'_>) -> Option<Result<Ack, Malformed>> {
        let skip = match message.kind {
            kind::NLMSG_ERROR => Self::repeated_request(message),
            kind::NLMSG_DONE => 4,
            _ => return None,
        };
        // An empty DONE is legal: old kernels end some dumps without a code.
        if message.kind == kind::NLMSG_DONE && message.payload.is_empty() {
            return Some(Ok(Ack::default()));
        }
        let Some(code) = i32_at(message.payload, 0) else {
            let what = "truncated nlmsgerr";
            return Some(Err(Malformed {
                what,
                offset: HEADER,
                total: HEADER + message.payload.len(),
            }));
        };
        let mut ack = Ack { errno: code.saturating_neg().max(0), ..Ack::default() };
        if message.flags & flags::ACK_TLVS != 0 {
            ack.read_attributes(message.payload.get(skip..).unwrap_or_default());
        }
        Some(Ok(ack))
    }

    /// Whether the request was carried out.
    pub fn is_ok(&self) -> bool {
        self.errno == 0
    }

    /// Bytes before the attributes of an `NLMSG_ERROR`: the code, and the request, whole or its header only.
    fn repeated_request(message: &Message<'_>) -> usize {
        let inner = message.payload.get(4..).unwrap_or_default();
        let whole = ne_u32(inner).map_or(HEADER, |length| length as usize);
        let repeated = if message.flags & flags::CAPPED != 0 { HEADER } else { whole };
        4usize.saturating_add(super::attribute::align(repeated))
    }

    fn read_attributes(&mut self, bytes: &[u8]) {
        for attribute in Attributes::new(bytes).map_while(Result::ok) {
            match attribute.kind {
                ATTR_MSG => {
                    let text = attribute.payload.split(|b| *b == 0).next().unwrap_or_default();
                    self.message = Some(String::from_utf8_lossy(text).into_owned());
                }
                ATTR_OFFS => self.offset = ne_u32(attribute.payload),
                ATTR_MISS_TYPE => self.missing = ne_u32(attribute.payload),
                _ => {}
            }
        }
    }
}

/// The attribute types on the way to `offset` in `request`, outermost first; empty when it points at no
/// attribute. `fixed` is the length of the struct behind the header.
pub fn locate(request: &[u8], fixed: usize, offset: u32) -> Vec<u16> {
    let Some(Ok(message)) = Messages::new(request).next() else { return Vec::new() };
    let start = HEADER + fixed;
    let Some(target) = (offset as usize).checked_sub(start) else { return Vec::new() };
    let mut path = Vec::new();
    descend(message.payload.get(fixed..).unwrap_or_default(), target, &mut path);
    path
}

fn descend(bytes: &[u8], target: usize, path: &mut Vec<u16>) {
    let mut walk = Attributes::new(bytes);
    loop {
        let start = walk.position();
        let Some(Ok(attribute)) = walk.next() else { return };
        let inside = start + 4..start + 4 + attribute.payload.len();
        if target == start {
            return path.push(attribute.kind);
        }
        if inside.contains(&target) {
            path.push(attribute.kind);
            return descend(attribute.payload, target - start - 4, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, put_ne_u32};
    use super::*;

    fn error(code: i32, request: &[u8], capped: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        put_ne_u32(&mut payload, code as u32);
        payload.extend_from_slice(if capped { &request[..HEADER] } else { request });
        let flags = flags::ACK_TLVS | if capped { flags::CAPPED } else { 0 };
        let mut b = Builder::new(kind::NLMSG_ERROR, flags).fixed(&payload);
        b.attribute(ATTR_MSG, b"mtu less than device minimum\0");
        b.attribute(ATTR_OFFS, &{
            let mut offset = Vec::new();
            put_ne_u32(&mut offset, 36);
            offset
        });
        b.finish()
    }

    #[test]
    fn extended_ack_behind_a_whole_and_a_capped_request() {
        let mut b = Builder::new(kind::RTM_NEWLINK, 0).fixed(&[0; 16]);
        b.open(18);
        b.attribute(4, &[0; 4]);
        let request = b.finish();
        for capped in [false, true] {
            let bytes = error(-22, &request, capped);
            let message = Messages::new(&bytes).next().unwrap().unwrap();
            let ack = Ack::parse(&message).unwrap().unwrap();
            assert_eq!((ack.errno, ack.offset), (22, Some(36)));
            assert_eq!(ack.message.as_deref(), Some("mtu less than device minimum"));
            assert_eq!(locate(&request, 16, ack.offset.unwrap()), [18, 4]);
        }
        assert_eq!(locate(&request, 16, 3), []);
        assert_eq!(locate(&request, 16, 4000), []);
    }

    #[test]
    fn done_carries_a_code_and_words_too() {
        let mut payload = Vec::new();
        put_ne_u32(&mut payload, -2i32 as u32);
        let mut b = Builder::new(kind::NLMSG_DONE, flags::ACK_TLVS).fixed(&payload);
        b.attribute(ATTR_MSG, b"ipv4: FIB table does not exist\0");
        let bytes = b.finish();
        let ack = Ack::parse(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap().unwrap();
        assert_eq!(
            (ack.errno, ack.message.as_deref()),
            (2, Some("ipv4: FIB table does not exist"))
        );
    }
}
