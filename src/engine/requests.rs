//! The request socket: requests out, one answer each back.
//!
//! Of many routes only the last asks for an acknowledgement: the kernel works them off in order, answers every one that
//! it refuses unasked (K40), and says when it has dropped an answer (K12). Each acknowledgement costs a quarter of what
//! adding the route does. What has none when the last one's is there was done.

use std::os::fd::AsFd;
use std::time::Duration;

use super::Error;
use crate::object::kinds::{TUN, tun};
use crate::object::link::{LINK, row};
use crate::object::{Record, Value};
use crate::plan::Answer;
use crate::sys::sync::clock;
use crate::sys::{Batch, Datagram, Namespace, NewTun, Received, Socket, wait};
use crate::wire::{Ack, Builder, Message, Messages, flags, kind};

/// Requests in one system call, at most: their answers must fit the socket's receive buffer (K40), of which each
/// takes less than 1 KiB plus, for a creation, an echo of about 5 KiB.
const TOGETHER: usize = 32;

/// The same of routes, of which each refusal takes some 1.2 KiB of the 208 KiB that a socket has by default.
const ROUTES_TOGETHER: usize = 128;

/// Bytes in one system call, at most, unless one request alone is longer.
const TOGETHER_BYTES: usize = 32 << 10;

/// The request socket of a database.
pub(super) struct Requests {
    socket: Socket,
    batch: Batch,
    seq: u32,
    patience: Duration,
    /// Where what rtnetlink does not make is made.
    namespace: Namespace,
}

impl Requests {
    pub(super) fn new(socket: Socket, patience: Duration, namespace: Namespace) -> Self {
        Requests { socket, batch: Batch::with_slots(16, 1 << 15), seq: 0, patience, namespace }
    }

    /// The port by which the kernel knows these requests.
    pub(super) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Sends requests in order, many a system call, and gives the answers in the same order. After a refusal no
    /// further ones are sent: then there are fewer answers than requests.
    pub(super) fn exchange(&mut self, mut requests: Vec<Vec<u8>>) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = &mut requests[..];
        let mut refused = false;
        while !rest.is_empty() && !refused {
            let count = fitting(rest);
            let (some, later) = std::mem::take(&mut rest).split_at_mut(count);
            rest = later;
            refused = match new_tun(&some[0]) {
                Some(new) => self.make(&new, &mut answers),
                None => self.exchange_some(some, &mut answers)?,
            };
        }
        Ok(answers)
    }

    /// A tun or tap interface is made by calls on a device, which answer as the kernel would.
    fn make(&mut self, new: &NewTun, answers: &mut Vec<Answer>) -> bool {
        self.seq = self.seq.wrapping_add(1).max(1);
        let ack = match new.create(&self.namespace) {
            Ok(()) => Ack::default(),
            Err(error) => {
                Ack { errno: error.errno(), message: Some(error.to_string()), ..Ack::default() }
            }
        };
        let refused = !ack.is_ok();
        answers.push(Answer { seq: self.seq, ack: Some(ack), created: None });
        refused
    }

    fn exchange_some(
        &mut self,
        some: &mut [Vec<u8>],
        answers: &mut Vec<Answer>,
    ) -> Result<bool, Error> {
        let first = answers.len();
        for request in &mut *some {
            self.seq = self.seq.wrapping_add(1).max(1);
            Builder::stamp(request, self.seq);
            answers.push(Answer { seq: self.seq, ..Answer::default() });
        }
        // With each its own warnings come too, if there are few.
        let quiet = some.len() > TOGETHER / 2 && some.iter().all(|request| is_route(request));
        if let (true, [all @ .., _]) = (quiet, &mut *some) {
            all.iter_mut().for_each(|request| Builder::clear(request, flags::ACK));
        }
        if let Err(error) = self.socket.send(&some.concat()) {
            // Nothing of it has reached the kernel: the first one is refused, the others were not sent.
            answers.truncate(first + 1);
            let message = Some(format!("{error}: nothing was sent"));
            answers[first].ack = Some(Ack { errno: error.errno(), message, ..Ack::default() });
            return Ok(true);
        }
        let all = self.collect(&mut answers[first..], quiet)?;
        if all && quiet {
            for answer in &mut answers[first..] {
                answer.ack.get_or_insert_default();
            }
        }
        let refused = |answer: &Answer| answer.ack.as_ref().is_some_and(|ack| !ack.is_ok());
        Ok(answers[first..].iter().any(refused))
    }

    /// Reads until every answer is there, or where only refusals and the last one are answered, that one; whether nothing
    /// was lost. One that is lost with an overrun, or does not come in time, stays without an acknowledgement.
    fn collect(&mut self, answers: &mut [Answer], quiet: bool) -> Result<bool, Error> {
        let deadline = clock() + self.patience;
        let lacks = |answer: &Answer| answer.ack.is_none();
        loop {
            let waits = match quiet {
                true => answers.last().is_some_and(lacks),
                false => answers.iter().any(lacks),
            };
            if !waits {
                return Ok(true);
            }
            match self
                .socket
                .receive(&mut self.batch)
                .map_err(Error::system("read acknowledgements"))?
            {
                Received::Datagrams => read(&self.batch, answers),
                Received::Overrun => return self.drain(answers).map(|()| false),
                Received::Empty => {
                    let left = deadline.saturating_duration_since(clock());
                    let waited = wait([self.socket.as_fd()], Some(left));
                    let [ready] = waited.map_err(Error::system("wait for acknowledgements"))?;
                    if !ready {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// After an overrun the socket is deaf until it is empty (K1).
    fn drain(&mut self, answers: &mut [Answer]) -> Result<(), Error> {
        loop {
            match self
                .socket
                .receive(&mut self.batch)
                .map_err(Error::system("read acknowledgements"))?
            {
                Received::Datagrams => read(&self.batch, answers),
                Received::Overrun => {}
                Received::Empty => return Ok(()),
            }
        }
    }
}

/// How many of these requests go together in one system call: one at least.
fn fitting(requests: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fits = |request: &&Vec<u8>| {
        bytes += request.len();
        bytes <= TOGETHER_BYTES && new_tun(request).is_none()
    };
    let routes = requests.iter().take(ROUTES_TOGETHER).take_while(|request| is_route(request));
    let most = routes.count().max(TOGETHER);
    requests.iter().take(most).take_while(fits).count().max(1)
}

/// Whether a request changes a route: then nothing comes back but whether it was done.
fn is_route(request: &[u8]) -> bool {
    let kind = Messages::new(request).next().and_then(Result::ok).map(|message| message.kind);
    matches!(kind, Some(kind::RTM_NEWROUTE | kind::RTM_DELROUTE))
}

/// What the creation of a tun or tap interface asks for; `None` for every other request.
fn new_tun(request: &[u8]) -> Option<NewTun> {
    let message = Messages::new(request).next()?.ok()?;
    if message.kind != kind::RTM_NEWLINK || message.flags & flags::CREATE == 0 {
        return None;
    }
    let link = Record::decode(&LINK, message.payload).ok()?;
    let options = link.value(row::DATA).and_then(Value::nested);
    let options = options.filter(|options| options.table() == &TUN)?;
    let on = |id: u16, flag: u16| if options.number(id) == 0 { 0 } else { flag };
    let number = |id: u16| options.value(id).and_then(Value::number).map(|number| number as u32);
    const IFF_NO_PI: u16 = 0x1000;
    Some(NewTun {
        name: link.value(row::NAME).and_then(Value::text).unwrap_or_default().to_owned(),
        index: link.number(row::INDEX) as u32,
        flags: options.number(tun::row::TYPE) as u16
            | (IFF_NO_PI ^ on(tun::row::PI, IFF_NO_PI))
            | on(tun::row::VNET_HDR, 0x4000)
            | on(tun::row::MULTI_QUEUE, 0x100),
        owner: number(tun::row::OWNER),
        group: number(tun::row::GROUP),
    })
}

fn read(batch: &Batch, answers: &mut [Answer]) {
    for datagram in batch.iter() {
        let Datagram::Data(bytes) = datagram else { continue };
        for message in Messages::new(bytes).map_while(Result::ok) {
            if let Some(answer) = answers.iter_mut().find(|answer| answer.seq == message.seq) {
                take(&message, answer);
            }
        }
    }
}

fn take(message: &Message<'_>, answer: &mut Answer) {
    if let Some(Ok(ack)) = Ack::parse(message) {
        answer.ack = Some(ack);
    } else if message.kind == kind::RTM_NEWLINK && message.flags & flags::MULTI == 0 {
        let Ok(link) = Record::decode(&LINK, message.payload) else { return };
        let below = link.value(row::LINK).and_then(Value::number).map(|index| index as u32);
        let here = link.value(row::LINK_NETNSID).is_none();
        answer.created = Some((link.number(row::INDEX) as u32, below.filter(|_| here)));
    }
}
