//! Any sequence of what the kernel and the sockets can bring: the indexes of every snapshot hold together, a
//! difference applied to the old state gives the new one, and once all is answered the follower is live.
#![no_main]

use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use netlinkdb::internals::object::Record;
use netlinkdb::internals::state::{
    AddressKey, Follower, Object, Outlet, Snapshot, Transmit, Views,
};
use netlinkdb::internals::wire::{flags, kind};
use netlinkdb_fuzz::{address, answer, done, link, message};

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let mut world = World::new(u.ratio(7, 8).unwrap_or(true));
    while !u.is_empty() {
        if world.step(&mut u).is_err() {
            break;
        }
        world.look();
    }
    world.finish();
});

struct World {
    follower: Follower,
    asked: VecDeque<Transmit>,
    fence: u32,
    shown: Snapshot,
    model: Model,
}

impl World {
    fn new(addresses: bool) -> Self {
        World {
            follower: Follower::new(Views { addresses, routes: addresses, ..Views::NONE }),
            asked: VecDeque::new(),
            fence: 0,
            shown: Snapshot::default(),
            model: Model::default(),
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0..=5 => {
                let bytes = notification(u)?;
                self.follower.handle_event(&bytes);
            }
            6..=8 => self.answer(u)?,
            9 => {
                self.fence += 1;
                self.follower.handle_event(&answer(self.fence, 0, kind::NLMSG_NOOP));
            }
            10 => self.follower.handle_drained(self.fence),
            11 => match u.int_in_range(0..=4)? {
                0 => self.follower.handle_overrun(),
                1 => self.follower.handle_truncated(),
                2 => self.follower.handle_foreign(),
                3 => self.follower.handle_dump_loss(),
                _ => self.follower.resync(),
            },
            12 => self.follower.handle_event(u.arbitrary()?),
            13 => self.follower.handle_dump(u.arbitrary()?),
            14 => {
                let (seq, bytes) = (u.arbitrary()?, notification(u)?);
                self.follower.handle_event(&done(seq, 0));
                self.follower.handle_dump(&bytes);
            }
            _ => {
                let index = u.int_in_range(1..=6)?;
                self.follower.adopt(index, u.int_in_range(1..=9)?);
            }
        }
        Ok(())
    }

    /// Answers the oldest request, mostly as the kernel would.
    fn answer(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        while let Some(transmit) = self.follower.poll_transmit() {
            self.asked.push_back(transmit);
        }
        let Some(transmit) = self.asked.pop_front() else { return Ok(()) };
        let (request, seq) = (kind_of(&transmit), seq_of(&transmit));
        let mut bytes = Vec::new();
        for _ in 0..u.int_in_range(0..=4)? {
            let index = u.int_in_range(1..=6)?;
            bytes.extend(match request {
                kind::RTM_GETADDR => {
                    message(kind::RTM_NEWADDR, flags::MULTI, 0, seq, &address(u, index)?)
                }
                _ => message(kind::RTM_NEWLINK, flags::MULTI, 0, seq, &link(u, index)?),
            });
        }
        let interrupted = if u.ratio(1, 8)? { flags::DUMP_INTR } else { 0 };
        match u.int_in_range(0..=8)? {
            0 => bytes.extend(answer(seq, u.int_in_range(1..=110)?, request)),
            _ if request == kind::NLMSG_NOOP => bytes = answer(seq, 0, request),
            _ => bytes.extend(done(seq, interrupted)),
        }
        match transmit.outlet {
            Outlet::Event => self.follower.handle_event(&bytes),
            _ => self.follower.handle_dump(&bytes),
        }
        Ok(())
    }

    fn look(&mut self) {
        if let Some(update) = self.follower.poll_update() {
            update.snapshot.check();
            self.model.apply(&self.shown, &update.snapshot);
            self.shown = update.snapshot;
        }
    }

    /// Everything is answered by an empty kernel: then the follower comes to rest, alive.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            if self.follower.failure().is_some() {
                return;
            }
            if self.follower.is_draining() {
                self.follower.handle_drained(self.fence);
            }
            while let Some(transmit) = self.follower.poll_transmit() {
                self.asked.push_back(transmit);
            }
            let Some(transmit) = self.asked.pop_front() else { break };
            let (request, seq) = (kind_of(&transmit), seq_of(&transmit));
            let is_dump = u16::from_ne_bytes([transmit.bytes[6], transmit.bytes[7]]) & flags::DUMP
                == flags::DUMP;
            let bytes = match is_dump {
                true => done(seq, 0),
                false if request == kind::NLMSG_NOOP => answer(seq, 0, request),
                false => answer(seq, 19, request),
            };
            match transmit.outlet {
                Outlet::Event => self.follower.handle_event(&bytes),
                _ => self.follower.handle_dump(&bytes),
            }
            self.look();
        }
        assert!(self.follower.is_live(), "not live at the end");
        self.look();
    }
}

fn kind_of(transmit: &Transmit) -> u16 {
    u16::from_ne_bytes([transmit.bytes[4], transmit.bytes[5]])
}

fn seq_of(transmit: &Transmit) -> u32 {
    u32::from_ne_bytes(transmit.bytes[8..12].try_into().unwrap())
}

fn notification(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let index = u.int_in_range(0..=6)?;
    let (port, seq) = (u.int_in_range(0..=1)?, u.int_in_range(0..=3)?);
    Ok(match u.int_in_range(0..=9)? {
        0..=2 => message(kind::RTM_NEWLINK, 0, port, seq, &link(u, index)?),
        3 => message(kind::RTM_DELLINK, 0, port, seq, &link(u, index)?),
        4..=6 => message(kind::RTM_NEWADDR, 0, port, seq, &address(u, index)?),
        7 => message(kind::RTM_DELADDR, 0, port, seq, &address(u, index)?),
        8 => bridge_family(u, index, kind::RTM_NEWLINK)?,
        _ => bridge_family(u, index, kind::RTM_DELLINK)?,
    })
}

/// `AF_BRIDGE`: a part of a link, or that it left the bridge (K29).
fn bridge_family(u: &mut Unstructured<'_>, index: u32, kind: u16) -> Result<Vec<u8>> {
    let mut bytes = message(kind, 0, 0, 0, &link(u, index)?);
    bytes[16] = 7;
    // IFLA_PROTINFO with a port state.
    bytes.extend([12, 0, 12, 0x80, 5, 0, 1, 0, u.arbitrary()?, 0, 0, 0]);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    Ok(bytes)
}

/// The state as plain maps, changed by differences alone.
#[derive(Default)]
struct Model {
    links: BTreeMap<u32, (u64, Record)>,
    addresses: BTreeMap<AddressKey, Record>,
}

impl Model {
    fn apply(&mut self, old: &Snapshot, new: &Snapshot) {
        for change in &old.diff(new) {
            match change.before() {
                Some(Object::Link(link)) => {
                    let (generation, record) =
                        self.links.remove(&link.index()).expect("it was there");
                    assert!(generation == link.generation() && record.same(link.record()));
                    let stays = change.after().is_some();
                    assert!(stays || self.addresses.keys().all(|key| key.index != link.index()));
                }
                Some(Object::Address(address, _)) => {
                    let record = self.addresses.remove(&AddressKey::of(address).unwrap());
                    assert!(record.expect("it was there").same(address.record()));
                }
                _ => {}
            }
            match change.after() {
                Some(Object::Link(link)) => {
                    let entry = (link.generation(), link.record().clone());
                    assert!(self.links.insert(link.index(), entry).is_none());
                }
                Some(Object::Address(address, name)) => {
                    let key = AddressKey::of(address).unwrap();
                    assert!(self.links.contains_key(&key.index), "before its interface");
                    assert_eq!(new.link_by_index(key.index).map(|link| link.name()), Some(&**name));
                    assert!(self.addresses.insert(key, address.record().clone()).is_none());
                }
                _ => {}
            }
            assert!(change.before().is_some() || change.after().is_some());
        }
        assert_eq!(self.links.len(), new.link_count());
        assert_eq!(self.addresses.len(), new.address_count());
        for link in new.links() {
            let (generation, record) = &self.links[&link.index()];
            assert!(*generation == link.generation() && record.same(link.record()));
        }
        for address in new.addresses() {
            assert!(self.addresses[&AddressKey::of(address).unwrap()].same(address.record()));
        }
    }
}
