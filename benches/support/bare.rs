//! The least that can tell that a change holds: request, ACK, and a fence on a socket that hears the notifications.

use std::os::fd::AsFd;

use netlinkdb::Route;
use netlinkdb::internals::object::link::row as link_row;
use netlinkdb::internals::object::{ADDRESS, LINK, Record, Value, address::row as address_row};
use netlinkdb::internals::state::fence_request;
use netlinkdb::internals::sys::{Batch, Datagram, Options, Received, Socket, wait};
use netlinkdb::internals::wire::{Ack, Builder, Messages, flags, kind};

/// The least: two sockets, one thread.
pub struct Bare {
    event: Socket,
    request: Socket,
    batch: Batch,
    seq: u32,
}

impl Bare {
    pub fn new() -> Self {
        let listening =
            Options { groups: vec![1, 5, 7, 9, 11], strict: true, ..Options::default() };
        Bare {
            event: Socket::open(&listening).unwrap(),
            request: Socket::open(&Options { strict: true, ..Options::default() }).unwrap(),
            batch: Batch::new(),
            seq: 0,
        }
    }

    /// A request, its answer, and a fence behind its notifications.
    pub fn carry_out(&mut self, mut request: Vec<u8>) {
        self.seq += 1;
        Builder::stamp(&mut request, self.seq);
        self.request.send(&request).unwrap();
        await_ack(&self.request, &mut self.batch, self.seq);
        self.event.send(&fence_request(self.seq)).unwrap();
        await_ack(&self.event, &mut self.batch, self.seq);
    }
}

impl Bare {
    /// Waits until notifications have said, one after the other, that an interface has each of these mtus.
    pub fn hear_mtus(&mut self, index: u32, all: &[u32]) {
        let mut left = all.iter().copied().peekable();
        while left.peek().is_some() {
            match self.event.receive(&mut self.batch).unwrap() {
                Received::Datagrams => {}
                _ => {
                    wait([self.event.as_fd()], None).unwrap();
                    continue;
                }
            }
            for datagram in self.batch.iter() {
                let Datagram::Data(data) = datagram else { continue };
                for message in Messages::new(data).map_while(std::result::Result::ok) {
                    let Ok(link) = Record::decode(&LINK, message.payload) else { continue };
                    let is = |id| link.number(id) as u32;
                    let about = message.kind == kind::RTM_NEWLINK && is(link_row::INDEX) == index;
                    left.next_if(|bytes| about && is(link_row::MTU) == *bytes);
                }
            }
        }
    }

    /// A request and its answer; what it causes stays to be heard.
    pub fn send(&mut self, mut request: Vec<u8>) {
        self.seq += 1;
        Builder::stamp(&mut request, self.seq);
        self.request.send(&request).unwrap();
        await_ack(&self.request, &mut self.batch, self.seq);
    }
}

fn await_ack(socket: &Socket, batch: &mut Batch, seq: u32) {
    loop {
        match socket.receive(batch).unwrap() {
            Received::Datagrams => {}
            _ => {
                wait([socket.as_fd()], None).unwrap();
                continue;
            }
        }
        for datagram in batch.iter() {
            let Datagram::Data(bytes) = datagram else { continue };
            for message in Messages::new(bytes).map_while(std::result::Result::ok) {
                if let (true, Some(Ok(ack))) = (message.seq == seq, Ack::parse(&message)) {
                    assert!(ack.is_ok(), "{ack:?}");
                    return;
                }
            }
        }
    }
}

pub fn mtu(index: u32, bytes: u32) -> Vec<u8> {
    let mut link = Record::new(&LINK);
    link.set(link_row::INDEX, Value::Number(index.into()));
    link.set(link_row::MTU, Value::Number(bytes.into()));
    request(kind::RTM_NEWLINK, 0, &link)
}

pub fn address(index: u32, kind: u16) -> Vec<u8> {
    let mut address = Record::new(&ADDRESS);
    address.set(address_row::INDEX, Value::Number(index.into()));
    address.set(address_row::FAMILY, Value::Number(2));
    address.set(address_row::PREFIX_LENGTH, Value::Number(24));
    address.set(address_row::LOCAL, Value::V4([10, 1, 0, 1].into()));
    let more = if kind == kind::RTM_NEWADDR { flags::CREATE | flags::EXCL } else { 0 };
    request(kind, more, &address)
}

pub fn route(kind: u16) -> Vec<u8> {
    let spec = Route::to("10.9.0.0/16").blackhole();
    let more = if kind == kind::RTM_NEWROUTE { flags::CREATE | flags::EXCL } else { 0 };
    request(kind, more, &spec.record(|_| None).unwrap())
}

fn request(kind: u16, more: u16, record: &Record) -> Vec<u8> {
    let header = record.encode_header();
    let mut message = Builder::new(kind, flags::REQUEST | flags::ACK | more).fixed(&header);
    record.encode(&mut message);
    message.finish()
}
