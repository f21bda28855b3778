//! Messages: the 16-byte header, walking a datagram, and building a request.

use super::attribute::align;
use super::value::{put_ne_u16, put_ne_u32, u16_at, u32_at};

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = 16;

/// Message types that every netlink family shares, and rtnetlink's.
#[allow(missing_docs)]
pub mod kind {
    pub const NLMSG_NOOP: u16 = 1;
    pub const NLMSG_ERROR: u16 = 2;
    pub const NLMSG_DONE: u16 = 3;
    pub const NLMSG_OVERRUN: u16 = 4;
    pub const RTM_NEWLINK: u16 = 16;
    pub const RTM_DELLINK: u16 = 17;
    pub const RTM_GETLINK: u16 = 18;
    pub const RTM_SETLINK: u16 = 19;
    pub const RTM_NEWADDR: u16 = 20;
    pub const RTM_DELADDR: u16 = 21;
    pub const RTM_GETADDR: u16 = 22;
    pub const RTM_NEWROUTE: u16 = 24;
    pub const RTM_DELROUTE: u16 = 25;
    pub const RTM_GETROUTE: u16 = 26;
    pub const RTM_NEWNEIGH: u16 = 28;
    pub const RTM_DELNEIGH: u16 = 29;
    pub const RTM_GETNEIGH: u16 = 30;
    pub const RTM_NEWRULE: u16 = 32;
    pub const RTM_DELRULE: u16 = 33;
    pub const RTM_GETRULE: u16 = 34;
    pub const RTM_NEWNSID: u16 = 88;
    pub const RTM_DELNSID: u16 = 89;
    pub const RTM_NEWNEXTHOP: u16 = 104;
    pub const RTM_DELNEXTHOP: u16 = 105;
    pub const RTM_GETNEXTHOP: u16 = 106;
    pub const RTM_NEWLINKPROP: u16 = 108;
    pub const RTM_DELLINKPROP: u16 = 109;
    pub const RTM_NEWVLAN: u16 = 112;
    pub const RTM_DELVLAN: u16 = 113;
    pub const RTM_GETVLAN: u16 = 114;
}

/// `nlmsg_flags`. `CREATE` and `EXCL` must never go on a delete: 0x200 means `NLM_F_BULK` there (KERNEL 3I).
#[allow(missing_docs)]
pub mod flags {
    pub const REQUEST: u16 = 0x1;
    pub const MULTI: u16 = 0x2;
    pub const ACK: u16 = 0x4;
    pub const ECHO: u16 = 0x8;
    pub const DUMP_INTR: u16 = 0x10;
    pub const DUMP_FILTERED: u16 = 0x20;
    pub const DUMP: u16 = 0x300;
    pub const REPLACE: u16 = 0x100;
    pub const EXCL: u16 = 0x200;
    pub const CREATE: u16 = 0x400;
    pub const APPEND: u16 = 0x800;
    /// On an ACK: the request is not repeated in it beyond its header (`NLM_F_CAPPED`).
    pub const CAPPED: u16 = 0x100;
    /// On an ACK and on DONE: extended-ACK attributes follow (`NLM_F_ACK_TLVS`).
    pub const ACK_TLVS: u16 = 0x200;
}

/// One netlink message, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: of the request that this answers, or that caused it where the kernel says so (K11).
    pub seq: u32,
    /// `nlmsg_pid`: the port of the socket whose request caused it, 0 where the kernel does not say.
    pub port: u32,
    /// What follows the header, without padding.
    pub payload: &'a [u8],
}

/// Bytes that are no netlink message: what was wrong, and where in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} of {total}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Where it was found.
    pub offset: usize,
    /// How long the bytes are.
    pub total: usize,
}

/// The messages of one datagram. After the first [`Malformed`] there is no more: a bad length leaves no
/// way to find the next message (K19).
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    /// Walks `datagram`.
    pub fn new(datagram: &'a [u8]) -> Self {
        Messages { bytes: datagram, at: 0 }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        match split(rest) {
            Ok((message, length)) => {
                self.at = self.at.saturating_add(align(length));
                Some(Ok(message))
            }
            Err(what) => {
                let bad = Malformed { what, offset: self.at, total: self.bytes.len() };
                self.at = self.bytes.len();
                Some(Err(bad))
            }
        }
    }
}

fn split(bytes: &[u8]) -> Result<(Message<'_>, usize), &'static str> {
    const SHORT: &str = "truncated nlmsghdr";
    let length = u32_at(bytes, 0).ok_or(SHORT)? as usize;
    let message = Message {
        kind: u16_at(bytes, 4).ok_or(SHORT)?,
        flags: u16_at(bytes, 6).ok_or(SHORT)?,
        seq: u32_at(bytes, 8).ok_or(SHORT)?,
        port: u32_at(bytes, 12).ok_or(SHORT)?,
        payload: bytes.get(HEADER..length).ok_or("nlmsg_len outside the datagram")?,
    };
    Ok((message, length))
}

/// Builds one request: header, fixed struct, attributes, nests. The length is patched by [`Builder::finish`].
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    nests: Vec<usize>,
}

/// `NLA_F_NESTED`, required by strict checking on nests.
const NESTED: u16 = 0x8000;

impl Builder {
    /// Starts a message of type `kind` with `flags`; sequence 0 until [`Builder::stamp`].
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(128);
        put_ne_u32(&mut bytes, 0);
        put_ne_u16(&mut bytes, kind);
        put_ne_u16(&mut bytes, flags);
        put_ne_u32(&mut bytes, 0);
        put_ne_u32(&mut bytes, 0);
        Builder { bytes, nests: Vec::new() }
    }

    /// Appends the fixed struct of the message type, padded.
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute with this payload.
    pub fn attribute(&mut self, kind: u16, payload: &[u8]) {
        put_ne_u16(&mut self.bytes, attribute_length(payload.len()));
        put_ne_u16(&mut self.bytes, kind);
        self.bytes.extend_from_slice(payload);
        self.pad();
    }

    /// Appends an attribute with a number of 32 bits in the machine's own order.
    pub fn number(&mut self, kind: u16, number: u32) {
        put_ne_u16(&mut self.bytes, attribute_length(4));
        put_ne_u16(&mut self.bytes, kind);
        put_ne_u32(&mut self.bytes, number);
    }

    /// Opens a nest; every attribute until [`Builder::close`] is inside.
    pub fn open(&mut self, kind: u16) {
        self.nests.push(self.bytes.len());
        put_ne_u16(&mut self.bytes, 0);
        put_ne_u16(&mut self.bytes, kind | NESTED);
    }

    /// Closes the innermost nest; without one, nothing happens.
    pub fn close(&mut self) {
        if let Some(at) = self.nests.pop() {
            let mut length = Vec::with_capacity(2);
            put_ne_u16(&mut length, attribute_length(self.bytes.len() - at - 4));
            self.bytes[at..at + 2].copy_from_slice(&length);
        }
    }

    /// The message, all nests closed and the length set.
    pub fn finish(mut self) -> Vec<u8> {
        while !self.nests.is_empty() {
            self.close();
        }
        let mut length = Vec::with_capacity(4);
        put_ne_u32(&mut length, self.bytes.len() as u32);
        self.bytes[..4].copy_from_slice(&length);
        self.bytes
    }

    /// Writes the sequence number into a finished message.
    pub fn stamp(message: &mut [u8], seq: u32) {
        let mut number = Vec::with_capacity(4);
        put_ne_u32(&mut number, seq);
        if let Some(place) = message.get_mut(8..12) {
            place.copy_from_slice(&number);
        }
    }

    /// Takes a flag out of a finished message.
    pub fn clear(message: &mut [u8], flag: u16) {
        if let Some([a, b]) = message.get_mut(6..8) {
            let mut number = Vec::with_capacity(2);
            put_ne_u16(&mut number, !flag);
            (*a, *b) = (*a & number[0], *b & number[1]);
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// `nla_len` for a payload. It has 16 bits: what is longer saturates, and the kernel refuses it (the values
/// that we send are bounded far below when they are parsed).
fn attribute_length(payload: usize) -> u16 {
    u16::try_from(payload + 4).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_message_is_read_back() {
        let mut b = Builder::new(kind::RTM_NEWLINK, flags::REQUEST).fixed(&[7; 16]);
        b.attribute(3, b"eth0\0");
        b.open(18);
        b.attribute(1, b"bridge\0");
        let mut bytes = b.finish();
        Builder::stamp(&mut bytes, 99);
        bytes.extend_from_within(..);
        let all: Vec<_> = Messages::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].kind, all[1].seq, all[1].payload.len()), (16, 99, 16 + 12 + 4 + 12));
    }

    #[test]
    fn a_bad_length_ends_the_datagram_with_its_place() {
        let good = Builder::new(1, 0).finish();
        for length in [0u32, 15, 17, u32::MAX] {
            let mut bytes = good.clone();
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&{
                let mut b = Vec::new();
                put_ne_u32(&mut b, length);
                b
            });
            bytes.extend_from_slice(&bad);
            let all: Vec<_> = Messages::new(&bytes).collect();
            assert!(all[0].is_ok());
            assert_eq!(all[1].unwrap_err().offset, 16, "{length}");
            assert_eq!(all.len(), 2);
        }
    }
}
