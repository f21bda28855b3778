//! Attributes: `struct nlattr`, a length, a type, a payload, padded to 4 bytes.

use super::message::Malformed;
use super::value::ne_u16s;

/// One attribute, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// `nla_type` without the two flag bits.
    pub kind: u16,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The attributes inside this one.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.payload)
    }
}

/// Walks attributes; after the first [`Malformed`] there is no more.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    /// Walks `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Attributes { bytes, at: 0 }
    }

    /// Where the next attribute starts.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The first attribute of this type, if the bytes parse up to it.
    pub fn find(self, kind: u16) -> Option<Attribute<'a>> {
        self.map_while(Result::ok).find(|a| a.kind == kind)
    }
}

/// `NLA_F_NESTED | NLA_F_NET_BYTEORDER`.
const FLAG_BITS: u16 = 0xc000;

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let bad = |what| Malformed { what, offset: self.at, total: self.bytes.len() };
        let parsed = match ne_u16s(rest) {
            Some([length, kind]) => match rest.get(4..usize::from(length)) {
                Some(payload) => Ok((Attribute { kind: kind & !FLAG_BITS, payload }, length)),
                None => Err(bad("nla_len outside the message")),
            },
            None => Err(bad("truncated nlattr")),
        };
        match parsed {
            Ok((attribute, length)) => {
                self.at = self.at.saturating_add(align(usize::from(length)));
                Some(Ok(attribute))
            }
            Err(bad) => {
                self.at = self.bytes.len();
                Some(Err(bad))
            }
        }
    }
}

/// `NLMSG_ALIGN` and `NLA_ALIGN`: up to the next multiple of 4.
pub(super) fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_end() {
        for seed in 0..if cfg!(miri) { 100 } else { 2000u32 } {
            let bytes: Vec<u8> = (0..seed % 90)
                .map(|i| {
                    (seed.wrapping_mul(2_654_435_761).wrapping_add(i * i * 77) >> 11) as u8 % 12
                })
                .collect();
            let all: Vec<_> = Attributes::new(&bytes).collect();
            assert!(all.len() <= bytes.len() / 4 + 1);
        }
    }
}
