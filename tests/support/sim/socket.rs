//! Sockets: a bounded receive queue, the deafness after an overrun (K1), and dumps made piece by piece.

use std::collections::VecDeque;

use super::Kernel;
use super::dump::Dump;

/// Which socket; the number is also an index, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub usize);

/// What one `recv` brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receive {
    Datagram(Vec<u8>),
    /// The buffer was too small (MSG_TRUNC): the rest is lost (K18).
    Truncated(Vec<u8>),
    /// EAGAIN.
    Empty,
    /// ENOBUFS, told once.
    Overrun,
}

#[derive(Debug)]
pub struct Socket {
    pub port: u32,
    pub groups: Vec<u32>,
    pub dump: Option<Dump>,
    queue: VecDeque<(Vec<u8>, bool)>,
    used: usize,
    capacity: usize,
    congested: bool,
    error: bool,
    closed: bool,
}

impl Socket {
    /// Queues a datagram, or overruns: `netlink_overrun` sets the error once and stays deaf until the queue has
    /// been empty (K1). An empty queue takes anything (6.16 and later).
    fn deliver(&mut self, datagram: Vec<u8>, truncate: bool) -> bool {
        if self.closed {
            return false;
        }
        let cost = truesize(datagram.len());
        if self.congested || (!self.queue.is_empty() && self.used + cost > self.capacity) {
            self.overrun();
            return false;
        }
        self.used += cost;
        self.queue.push_back((datagram, truncate));
        true
    }

    fn overrun(&mut self) {
        if !self.congested {
            self.congested = true;
            self.error = true;
        }
    }
}

impl Kernel {
    /// A new socket, member of `groups` (RTNLGRP numbers), with `capacity` bytes of receive buffer
    /// (what SO_RCVBUF reads back, so twice what was asked for).
    pub fn socket(&mut self, groups: &[u32], capacity: usize) -> SocketId {
        let id = SocketId(self.sockets.len());
        self.sockets.push(Socket {
            port: 4_000_000 + id.0 as u32,
            groups: groups.to_vec(),
            dump: None,
            queue: VecDeque::new(),
            used: 0,
            capacity,
            congested: false,
            error: false,
            closed: false,
        });
        id
    }

    pub fn port(&self, socket: SocketId) -> u32 {
        self.sockets[socket.0].port
    }

    /// Closes a socket; whatever it had queued, and its dump, are gone.
    pub fn close(&mut self, socket: SocketId) {
        let socket = &mut self.sockets[socket.0];
        socket.closed = true;
        socket.groups.clear();
        socket.queue.clear();
        socket.dump = None;
    }

    /// Sockets that somebody has not closed; another program's does not count.
    pub fn open_sockets(&self) -> usize {
        let open = self.sockets.iter().filter(|socket| !socket.closed).count();
        open - usize::from(self.foreign.is_some())
    }

    /// Datagrams waiting, for tests that want to act in between.
    pub fn waiting(&self, socket: SocketId) -> usize {
        self.sockets[socket.0].queue.len()
    }

    /// Whether `poll` would say that there is something to read, be it an error.
    pub fn is_readable(&self, socket: SocketId) -> bool {
        let socket = &self.sockets[socket.0];
        socket.error || !socket.queue.is_empty()
    }

    /// Whether it hears notifications.
    pub fn hears(&self, socket: SocketId) -> bool {
        !self.sockets[socket.0].groups.is_empty()
    }

    /// One non-blocking `recv`. Continues a running dump when the queue has room, as the kernel does.
    pub fn receive(&mut self, id: SocketId) -> Receive {
        let socket = &mut self.sockets[id.0];
        if std::mem::take(&mut socket.error) {
            // The error comes before what is queued; an empty queue ends the deafness at once.
            socket.congested &= !socket.queue.is_empty();
            return Receive::Overrun;
        }
        let Some((datagram, truncated)) = socket.queue.pop_front() else {
            socket.congested = false;
            return Receive::Empty;
        };
        socket.used -= truesize(datagram.len());
        if socket.dump.is_some() && socket.used <= socket.capacity / 2 {
            self.continue_dump(id);
        }
        let socket = &mut self.sockets[id.0];
        if socket.queue.is_empty() {
            socket.congested = false;
        }
        if truncated {
            let half = datagram.len() / 2;
            return Receive::Truncated(datagram[..half].to_vec());
        }
        Receive::Datagram(datagram)
    }

    /// To one socket: an answer, an ACK, an echo, a piece of a dump.
    pub(super) fn unicast(&mut self, id: SocketId, datagram: Vec<u8>) {
        let truncate = self.faults.count_datagram();
        self.sockets[id.0].deliver(datagram, truncate);
    }

    /// To every member of the group but `except`.
    pub(super) fn multicast(&mut self, group: u32, datagram: &[u8], except: Option<SocketId>) {
        let nth = self.faults.count_notification();
        for index in 0..self.sockets.len() {
            let id = SocketId(index);
            if except == Some(id) || !self.sockets[index].groups.contains(&group) {
                continue;
            }
            if self.faults.loses(nth, id) {
                self.sockets[index].overrun();
                continue;
            }
            let truncate = self.faults.count_datagram();
            self.sockets[index].deliver(datagram.to_vec(), truncate);
        }
    }

    /// Makes a socket overrun now, as if a burst had hit it.
    pub fn force_overrun(&mut self, id: SocketId) {
        self.sockets[id.0].overrun();
    }

    pub(super) fn socket_by_port(&self, port: u32) -> Option<SocketId> {
        self.sockets.iter().position(|socket| socket.port == port).map(SocketId)
    }
}

/// What a datagram costs of SO_RCVBUF (K16): a link message about 4,360 bytes, a small one 832.
fn truesize(length: usize) -> usize {
    const SHARED_INFO: usize = 320;
    const SK_BUFF: usize = 256;
    match length + SHARED_INFO {
        0..=576 => 576 + SK_BUFF,
        more => more.next_power_of_two() + SK_BUFF,
    }
}
