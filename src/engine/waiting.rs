//! Notifications that have been taken out of the kernel's buffer and are not applied yet.
//!
//! The kernel's buffer holds some 10,000 of them (K16), and what does not fit is lost; here 60 to 100 bytes each are
//! enough. So whoever falls behind takes out first and applies later. In the order of arrival, without gaps: answers on
//! the same socket are fences, and stay in their place.

use std::collections::VecDeque;

use crate::state::is_brief;

/// Datagrams in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pieces: VecDeque<Piece>,
    /// An emptied piece, to be filled again.
    spare: Piece,
}

/// Datagrams one behind the other, and where each ends.
#[derive(Debug, Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Whether one of them may take long.
    long: bool,
}

/// Bytes of a piece, unless a single datagram is longer: what is applied before the kernel's buffer is looked at again,
/// some 500 routes or half a millisecond.
const PIECE: usize = if cfg!(all(test, shuttle)) { 128 } else { 32 << 10 };

/// Pieces, at most: 64 MiB, or the notifications of about a million routes. What comes then waits in the kernel, and is
/// lost there when that is full too: an overrun like any other.
const MOST: usize = 2048;

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= MOST
    }

    /// Puts a copy of a datagram behind the others.
    pub(super) fn push(&mut self, datagram: &[u8]) {
        let fits = |last: &Piece| last.bytes.len() + datagram.len() <= PIECE;
        if !self.pieces.back().is_some_and(fits) {
            self.pieces.push_back(std::mem::take(&mut self.spare));
        }
        if let Some(last) = self.pieces.back_mut() {
            last.bytes.extend_from_slice(datagram);
            last.ends.push(last.bytes.len());
            last.long |= !is_brief(datagram);
        }
    }

    /// Takes the first datagrams out, some at a time.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Gives a piece back, to be used again.
    pub(super) fn recycle(&mut self, mut piece: Piece) {
        if piece.bytes.capacity() <= 2 * PIECE {
            piece.bytes.clear();
            piece.ends.clear();
            piece.long = false;
            self.spare = piece;
        }
    }
}

impl Piece {
    /// Whether each of them is applied in about a microsecond.
    pub(super) fn is_brief(&self) -> bool {
        !self.long
    }

    /// Its datagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_and_whole() {
        let mut waiting = Waiting::default();
        let datagrams: Vec<Vec<u8>> =
            (0..5000usize).map(|n| vec![n as u8; [16, 60, 0, 40_000][n % 4]]).collect();
        let mut out = Vec::new();
        for some in datagrams.chunks(1700) {
            some.iter().for_each(|datagram| waiting.push(datagram));
            for _ in 0..3 {
                let piece = waiting.pop().unwrap();
                out.extend(piece.iter().map(<[u8]>::to_vec));
                waiting.recycle(piece);
            }
        }
        while let Some(piece) = waiting.pop() {
            out.extend(piece.iter().map(<[u8]>::to_vec));
        }
        assert!(waiting.is_empty());
        assert!(out == datagrams);
    }

    #[test]
    fn it_is_bounded() {
        let mut waiting = Waiting::default();
        let mut bytes = 0;
        while !waiting.is_full() {
            waiting.push(&[0; 4096]);
            bytes += 4096;
        }
        assert!((60 << 20..=64 << 20).contains(&bytes), "{bytes}");
    }
}
