//! Room for many datagrams, filled by one system call and used again and again.

use super::error::{Error, retry};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{mem, ptr};

/// The datagrams of one [`receive`](super::Socket::receive).
///
/// The room is mapped once and not cleared between calls: pages that no datagram reached stay untouched.
pub struct Batch {
    /// `slots` pieces of `slot_bytes` each.
    bytes: Vec<u8>,
    slot_bytes: usize,
    /// The largest datagram that was cut short; the slots grow to it before the next call.
    wanted: usize,
    filled: usize,
    senders: Vec<libc::sockaddr_nl>,
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers in `vectors` and `messages` are written by `fill` immediately before the kernel reads
// them and are never followed afterwards, so that where and on which thread the batch lives does not matter.
unsafe impl Send for Batch {}
// SAFETY: as above; through a shared reference only lengths and flags are read.
unsafe impl Sync for Batch {}

/// One datagram of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// What the kernel sent.
    Data(&'a [u8]),
    /// The kernel sent `real` bytes and there was room for `had`: the datagram is lost (K18). The slots grow so
    /// that the next one of that size fits.
    Truncated {
        /// Bytes that were received, and are not to be had: the last message in them may be incomplete.
        had: usize,
        /// Bytes that were sent.
        real: usize,
    },
    /// Another program's socket sent this, not the kernel: not to be believed (K19).
    Foreign {
        /// That socket's port (nl_pid).
        port: u32,
    },
}

impl Batch {
    /// Under the checker a few datagrams are a flood.
    const SLOTS: usize = if cfg!(all(test, shuttle)) { 4 } else { 32 };

    /// 32 slots of 64 KiB: the kernel packs up to 32 KiB of a dump in one datagram, and more when a single
    /// object needs it (K18).
    pub fn new() -> Batch {
        Batch::with_slots(Batch::SLOTS, 64 * 1024)
    }

    /// `slots` slots of `bytes` bytes each; at least one of each.
    pub fn with_slots(slots: usize, bytes: usize) -> Batch {
        let (slots, slot_bytes) = (slots.max(1), bytes.max(1));
        // SAFETY: these are plain C structs of numbers and pointers, for which all zeroes is valid.
        let (sender, vector, message) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Batch {
            bytes: vec![0; slots * slot_bytes],
            slot_bytes,
            wanted: 0,
            filled: 0,
            senders: vec![sender; slots],
            vectors: vec![vector; slots],
            messages: vec![message; slots],
        }
    }

    /// What the last receive brought, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        (0..self.filled).map(|slot| self.datagram(slot))
    }

    /// Whether every slot was filled, so that there may be more to receive at once. Otherwise the queue was
    /// empty, or an error ended the batch, which the next receive reports and for which poll wakes.
    pub fn is_full(&self) -> bool {
        self.filled == self.messages.len()
    }

    /// The number of bytes in a slot; grows after a truncation.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// One recvmmsg(2), without waiting: fills the slots from the front and forgets what they held.
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>) -> Result<(), Error> {
        self.filled = 0;
        self.grow();
        self.aim();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: `aim` made every header point to a sender and a vector of this batch, and every vector to its
        // own slot; all of them stay where they are until the call returns. A null timeout is none.
        let receive = || unsafe {
            let (messages, count) = (self.messages.as_mut_ptr(), self.messages.len() as u32);
            libc::recvmmsg(socket.as_raw_fd(), messages, count, flags as _, ptr::null_mut())
                as isize
        };
        // When an error comes after the first datagram, the kernel returns the datagrams and keeps the error in
        // the socket, from where the next call reports it before anything else (net/socket.c, do_recvmmsg).
        self.filled = retry("recvmmsg", receive)?;
        let cut_short = |datagram| match datagram {
            Datagram::Truncated { real, .. } => real,
            _ => 0,
        };
        self.wanted = self.iter().map(cut_short).max().unwrap_or(0);
        Ok(())
    }

    /// As `fill`, with datagrams of a kernel that is none, and what they were before they were cut short.
    #[cfg(all(test, shuttle))]
    pub(super) fn fill_with(&mut self, mut next: impl FnMut() -> Option<(Vec<u8>, usize)>) {
        self.filled = 0;
        self.grow();
        self.aim();
        while !self.is_full() {
            let Some((bytes, real)) = next() else { return };
            let start = self.filled * self.slot_bytes;
            let had = bytes.len().min(self.slot_bytes);
            self.bytes[start..start + had].copy_from_slice(&bytes[..had]);
            self.messages[self.filled].msg_len = real as u32;
            self.messages[self.filled].msg_hdr.msg_flags =
                if real > had { libc::MSG_TRUNC } else { 0 };
            self.senders[self.filled].nl_pid = 0;
            self.filled += 1;
        }
    }

    fn datagram(&self, slot: usize) -> Datagram<'_> {
        let message = &self.messages[slot];
        // With MSG_TRUNC asked for, this is what was sent, which may be more than what was received.
        let real = message.msg_len as usize;
        let had = real.min(self.slot_bytes);
        let port = self.senders[slot].nl_pid;
        if port != 0 {
            Datagram::Foreign { port }
        } else if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 || real > had {
            Datagram::Truncated { had, real }
        } else {
            let start = slot * self.slot_bytes;
            Datagram::Data(&self.bytes[start..start + had])
        }
    }

    /// Makes the slots as large as the largest datagram that did not fit.
    fn grow(&mut self) {
        if self.wanted > self.slot_bytes {
            self.slot_bytes = self.wanted.next_power_of_two();
            // New room rather than a resize: nothing in the old one is worth a copy.
            self.bytes = vec![0; self.messages.len() * self.slot_bytes];
        }
        self.wanted = 0;
    }

    /// Points the headers to the slots; the kernel overwrites lengths and flags, so this precedes every call.
    fn aim(&mut self) {
        let slots = self.bytes.chunks_exact_mut(self.slot_bytes);
        let rest = self.messages.iter_mut().zip(&mut self.vectors).zip(&mut self.senders);
        for (slot, ((message, vector), sender)) in slots.zip(rest) {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            // Not the kernel's number, so that a sender that was not filled in is not taken for the kernel.
            sender.nl_pid = u32::MAX;
            let header = &mut message.msg_hdr;
            header.msg_name = ptr::from_mut(sender).cast();
            header.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            message.msg_len = 0;
        }
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
