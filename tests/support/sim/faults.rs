//! What goes wrong, and when: said beforehand, counted while it runs.
//!
//! Requests, datagrams and notifications are counted from 1. Foreign programs' requests are not counted.

use super::socket::SocketId;
use super::wire::{Answer, Message, Refusal};
use super::{Done, Kernel, Op, wire};

type Hook = Box<dyn FnMut(&mut Kernel)>;

/// The plan of faults of one [`Kernel`].
pub struct Faults {
    requests: usize,
    requests_of: Vec<usize>,
    datagrams: usize,
    notifications: usize,
    planned: Vec<Fault>,
    hooks: Vec<(Option<usize>, Hook)>,
    dad_failures: Vec<[u8; 16]>,
    interruptions: usize,
    fields_left: Option<(usize, i32)>,
    /// One foreign operation before about one in so many requests; 0 for none.
    disturb: usize,
    /// Bytes of one piece of a dump, 8 KiB unless told; small ones make dumps of many pieces.
    pub dump_chunk: usize,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    nth: usize,
    socket: Option<SocketId>,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Refuse(i32),
    LoseAck,
    CutShort(usize, i32),
    LoseNotification,
    Truncate,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            requests: 0,
            requests_of: Vec::new(),
            datagrams: 0,
            notifications: 0,
            planned: Vec::new(),
            hooks: Vec::new(),
            dad_failures: Vec::new(),
            interruptions: 0,
            fields_left: None,
            disturb: 0,
            dump_chunk: 8192,
        }
    }
}

impl Faults {
    /// Refuses the `nth` request of all with `errno` before it acts.
    pub fn refuse(&mut self, nth: usize, errno: i32) {
        self.plan(nth, None, What::Refuse(errno));
    }

    /// Likewise, counting the requests of one socket only.
    pub fn refuse_on(&mut self, socket: SocketId, nth: usize, errno: i32) {
        self.plan(nth, Some(socket), What::Refuse(errno));
    }

    /// Does the `nth` request, but its ACK is lost and its socket overrun (K12).
    pub fn lose_ack(&mut self, nth: usize) {
        self.plan(nth, None, What::LoseAck);
    }

    pub fn lose_ack_on(&mut self, socket: SocketId, nth: usize) {
        self.plan(nth, Some(socket), What::LoseAck);
    }

    /// Lets the `nth` request set that many fields of a link and then refuses it (K31).
    pub fn cut_short(&mut self, nth: usize, fields: usize, errno: i32) {
        self.plan(nth, None, What::CutShort(fields, errno));
    }

    /// The `nth` notification is lost: every socket that should have had it is overrun (K1).
    pub fn lose_notification(&mut self, nth: usize) {
        self.plan(nth, None, What::LoseNotification);
    }

    /// Likewise for one socket alone.
    pub fn lose_notification_on(&mut self, socket: SocketId, nth: usize) {
        self.plan(nth, Some(socket), What::LoseNotification);
    }

    /// The `nth` datagram that is queued anywhere is read truncated.
    pub fn truncate(&mut self, nth: usize) {
        self.plan(nth, None, What::Truncate);
    }

    /// Sets NLM_F_DUMP_INTR in the next `times` pieces of dumps.
    pub fn interrupt_dumps(&mut self, times: usize) {
        self.interruptions = times;
    }

    /// Duplicate address detection will find this address taken.
    pub fn fail_dad(&mut self, address: [u8; 16]) {
        self.dad_failures.push(address);
    }

    /// Runs before the `nth` request: another program's doing, in between.
    pub fn before(&mut self, nth: usize, hook: impl FnMut(&mut Kernel) + 'static) {
        self.hooks.push((Some(nth), Box::new(hook)));
    }

    /// Runs before every request.
    pub fn before_each(&mut self, hook: impl FnMut(&mut Kernel) + 'static) {
        self.hooks.push((None, Box::new(hook)));
    }

    /// A random foreign operation before about one in `one_in` requests.
    pub fn disturb(&mut self, one_in: usize) {
        self.disturb = one_in;
    }

    /// How many requests there have been: to fail the n-th for every n.
    pub fn requests(&self) -> usize {
        self.requests
    }

    pub fn requests_on(&self, socket: SocketId) -> usize {
        self.requests_of.get(socket.0).copied().unwrap_or(0)
    }

    pub fn notifications(&self) -> usize {
        self.notifications
    }

    pub fn datagrams(&self) -> usize {
        self.datagrams
    }

    /// Forgets what is planned and counts from 1 again.
    pub fn reset(&mut self) {
        *self = Faults { dump_chunk: self.dump_chunk, ..Faults::default() };
    }

    fn plan(&mut self, nth: usize, socket: Option<SocketId>, what: What) {
        self.planned.push(Fault { nth, socket, what });
    }

    pub(super) fn count_request(&mut self, socket: SocketId) -> usize {
        self.requests += 1;
        if self.requests_of.len() <= socket.0 {
            self.requests_of.resize(socket.0 + 1, 0);
        }
        self.requests_of[socket.0] += 1;
        let cut = self.planned_for(self.requests, socket).find_map(|what| match what {
            What::CutShort(fields, errno) => Some((fields, errno)),
            _ => None,
        });
        self.fields_left = cut;
        self.requests
    }

    fn planned_for(&self, nth: usize, socket: SocketId) -> impl Iterator<Item = What> + '_ {
        let own = self.requests_on(socket);
        self.planned
            .iter()
            .filter(move |fault| match fault.socket {
                None => fault.nth == nth,
                Some(only) => only == socket && fault.nth == own,
            })
            .map(|fault| fault.what)
    }

    pub(super) fn refuses(&self, nth: usize, socket: SocketId) -> Option<i32> {
        self.planned_for(nth, socket)
            .find_map(|what| if let What::Refuse(errno) = what { Some(errno) } else { None })
    }

    pub(super) fn loses_ack(&self, nth: usize, socket: SocketId) -> bool {
        self.planned_for(nth, socket).any(|what| matches!(what, What::LoseAck))
    }

    pub(super) fn spend_field(&mut self) -> Answer {
        match &mut self.fields_left {
            Some((0, errno)) => Err(Refusal::from(*errno)),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn count_notification(&mut self) -> usize {
        self.notifications += 1;
        self.notifications
    }

    pub(super) fn loses(&self, nth: usize, socket: SocketId) -> bool {
        self.planned.iter().any(|fault| {
            matches!(fault.what, What::LoseNotification)
                && fault.nth == nth
                && fault.socket.is_none_or(|only| only == socket)
        })
    }

    pub(super) fn count_datagram(&mut self) -> bool {
        self.datagrams += 1;
        self.planned
            .iter()
            .any(|fault| matches!(fault.what, What::Truncate) && fault.nth == self.datagrams)
    }

    pub(super) fn interrupts_dump(&mut self) -> bool {
        let interrupts = self.interruptions > 0;
        self.interruptions -= usize::from(interrupts);
        interrupts
    }

    pub(super) fn dad_fails(&self, address: &[u8; 16]) -> bool {
        self.dad_failures.contains(address)
    }
}

impl Kernel {
    /// Lets others in before the `nth` request.
    pub(super) fn run_hooks(&mut self, nth: usize) {
        let mut hooks = std::mem::take(&mut self.faults.hooks);
        for (when, hook) in &mut hooks {
            if when.is_none_or(|when| when == nth) {
                hook(self);
            }
        }
        hooks.append(&mut self.faults.hooks);
        self.faults.hooks = hooks;
        let one_in = self.faults.disturb;
        if one_in > 0 && self.rng.below(one_in) == 0 {
            let op = Op::random(self);
            // A foreign program may be refused; that is its own business.
            let _ = self.perform(&op);
        }
    }

    /// Another program's datagram, from a socket of its own; gives the answer of each request.
    pub fn foreign(&mut self, bytes: &[u8]) -> Vec<Answer> {
        let socket = match self.foreign {
            Some(socket) => socket,
            None => {
                let socket = self.socket(&[], usize::MAX / 4);
                self.foreign = Some(socket);
                socket
            }
        };
        let outer = self.current.take();
        let fields = self.faults.fields_left.take();
        let handle = |message: Message<'_>| self.handle_request(socket, message).map(|_: Done| ());
        let answers = wire::messages(bytes).into_iter().map(handle).collect();
        self.faults.fields_left = fields;
        self.current = outer;
        answers
    }
}
