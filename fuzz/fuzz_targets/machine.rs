//! A model of a kernel whose objects change while it is read, with a queue that overflows: whatever the order in which
//! notifications, dumps, answers and losses arrive, every state holds together, and the one after everything has
//! been said is that of the kernel (P1).
#![no_main]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use netlinkdb::internals::object::address::{AddressFlags, row as address_row};
use netlinkdb::internals::object::link::row as link_row;
use netlinkdb::internals::object::route::row as route_row;
use netlinkdb::internals::object::{Address, Link, LinkFlags, ROUTE, Record, Value};
use netlinkdb::internals::state::{AddressKey, Follower, Outlet, Snapshot, Transmit, Views};
use netlinkdb::internals::wire::{flags, kind};
use netlinkdb_fuzz::{address, answer, done, link, message, payload};

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let mut scene = Scene::new();
    for _ in 0..STEPS {
        if u.is_empty() || scene.step(&mut u).is_err() {
            break;
        }
        scene.look();
    }
    scene.finish();
});

/// More than these add time and nothing new.
const STEPS: usize = 300;

/// The follower, between the sockets of a kernel.
struct Scene {
    kernel: Kernel,
    follower: Follower,
    dump: Option<Dump>,
}

/// A dump goes on from the last key that was said, whatever has changed meanwhile.
struct Dump {
    seq: u32,
    request: u16,
    family: u8,
    after: Option<Key>,
    /// How many links or addresses had come and gone when it began (K14).
    generation: u32,
}

/// What a dump goes by: routes come in the order of their keys, links and addresses by their interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Link(u32),
    Address(AddressKey),
    Route(RouteKey),
}

type RouteKey = (Ipv4Addr, u32);

impl Scene {
    fn new() -> Self {
        Scene {
            kernel: Kernel::default(),
            follower: Follower::new(Views { addresses: true, routes: true, ..Views::NONE }),
            dump: None,
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0..=5 => self.kernel.change(u)?,
            6..=8 => self.read_event(),
            9..=11 => self.read_dump(u.int_in_range(0..=3)?),
            12..=13 => drop(self.transmit()),
            14 => self.read_all(),
            _ => match u.int_in_range(0..=3)? {
                // A datagram that was longer than the buffer.
                0 if self.kernel.receive().is_some() => self.follower.handle_truncated(),
                1 if self.dump.take().is_some() => self.follower.handle_dump_loss(),
                2 => self.follower.handle_foreign(),
                3 => self.follower.resync(),
                _ => {}
            },
        }
        Ok(())
    }

    /// One datagram of the event socket.
    fn read_event(&mut self) {
        if std::mem::take(&mut self.kernel.overrun) {
            return self.follower.handle_overrun();
        }
        match self.kernel.receive() {
            Some(datagram) => self.follower.handle_event(&datagram),
            None => self.follower.handle_drained(0),
        }
    }

    fn read_all(&mut self) {
        while self.kernel.overrun || !self.kernel.queue.is_empty() {
            self.read_event();
        }
        self.read_event();
    }

    /// Sends the next request, if there is one.
    fn transmit(&mut self) -> bool {
        let Some(transmit) = self.follower.poll_transmit() else { return false };
        match transmit.outlet {
            Outlet::Event => self.kernel.answer(&transmit),
            _ => self.dump = Some(Dump::new(&transmit, self.kernel.generation)),
        }
        true
    }

    /// Some objects of the dump that is running, and its end when there are no more.
    fn read_dump(&mut self, most: usize) {
        let Some(dump) = &mut self.dump else { return };
        let all = self.kernel.said(dump);
        let is_last = all.len() <= most;
        let interrupted =
            self.kernel.generation != dump.generation && dump.request != kind::RTM_GETROUTE;
        let marks = flags::MULTI | if interrupted { flags::DUMP_INTR } else { 0 };
        let mut bytes = Vec::new();
        for (key, kind, record) in all.into_iter().take(most) {
            dump.after = Some(key);
            bytes.extend(message(kind, marks, 0, dump.seq, &record));
        }
        if is_last {
            bytes.extend(done(dump.seq, marks));
            self.dump = None;
        }
        self.follower.handle_dump(&bytes);
    }

    fn look(&mut self) {
        if let Some(update) = self.follower.poll_update() {
            update.snapshot.check();
        }
    }

    /// Everything that is under way arrives, and nothing changes any more.
    fn finish(&mut self) {
        for _ in 0..1000 {
            self.read_all();
            self.read_dump(usize::MAX);
            let has_sent = self.transmit();
            self.look();
            if !has_sent && self.dump.is_none() && self.kernel.queue.is_empty() {
                break;
            }
        }
        assert!(self.follower.is_live(), "not live at the end");
        self.follower.handle_event(&answer(1, 0, kind::NLMSG_NOOP));
        let update = self.follower.poll_update().expect("the fence has passed");
        assert_eq!(update.passed, 1);
        update.snapshot.check();
        self.kernel.assert_is(&update.snapshot);
    }
}

impl Dump {
    fn new(transmit: &Transmit, generation: u32) -> Self {
        let (request, seq) = header(transmit);
        Dump { seq, request, family: transmit.bytes[16], after: None, generation }
    }
}

fn header(transmit: &Transmit) -> (u16, u32) {
    let bytes = &transmit.bytes;
    let seq = [bytes[8], bytes[9], bytes[10], bytes[11]];
    (u16::from_ne_bytes([bytes[4], bytes[5]]), u32::from_ne_bytes(seq))
}

/// How many datagrams the event socket holds.
const ROOM: usize = 12;

/// Objects, and what has been said of them and not been read.
#[derive(Default)]
struct Kernel {
    links: BTreeMap<u32, Record>,
    addresses: BTreeMap<AddressKey, Record>,
    /// By which interface they go.
    routes: BTreeMap<RouteKey, u32>,
    queue: VecDeque<Vec<u8>>,
    overrun: bool,
    congested: bool,
    generation: u32,
}

impl Kernel {
    /// To the event socket, if it hears (K1).
    fn say(&mut self, bytes: Vec<u8>) {
        if self.queue.len() >= ROOM && !self.congested {
            self.congested = true;
            self.overrun = true;
        }
        if !self.congested {
            self.queue.push_back(bytes);
        }
    }

    /// From the event socket, which hears again when it is empty.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let datagram = self.queue.pop_front();
        self.congested &= !self.queue.is_empty();
        datagram
    }

    fn say_link(&mut self, index: u32) {
        if let Some(link) = self.links.get(&index) {
            let bytes = message(kind::RTM_NEWLINK, 0, 0, 0, link);
            self.say(bytes);
        }
    }

    /// Something that a program or the kernel itself does.
    fn change(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let index = u.int_in_range(1..=4)?;
        if !self.links.contains_key(&index) {
            return self.add_link(u, index);
        }
        match u.int_in_range(0..=15)? {
            0 => self.delete_link(index),
            1..=2 => self.up(index),
            3..=4 => self.down(index, u.arbitrary()?),
            5 => self.set(index, link_row::MTU, u.int_in_range(1300..=1500)?),
            6 => self.master(u, index)?,
            7..=9 => self.add_address(u, index)?,
            10..=11 => {
                let own: Vec<_> = self.addresses.keys().filter(|key| key.index == index).collect();
                if !own.is_empty() {
                    let key = **u.choose(&own)?;
                    self.delete_address(key);
                }
            }
            12..=14 => self.add_route(u, index)?,
            _ => {
                let keys: Vec<_> = self.routes.keys().copied().collect();
                if !keys.is_empty() {
                    self.delete_route(*u.choose(&keys)?);
                }
            }
        }
        Ok(())
    }

    fn add_link(&mut self, u: &mut Unstructured<'_>, index: u32) -> Result<()> {
        let mut new = link(u, index)?;
        for id in [link_row::MASTER, link_row::LINK, link_row::ALTNAMES] {
            new.remove(id);
        }
        new.set(link_row::MTU, Value::Number(1500));
        self.links.insert(index, new);
        self.generation += 1;
        self.say_link(index);
        Ok(())
    }

    fn delete_link(&mut self, index: u32) {
        let ports: Vec<_> = self.ports_of(index);
        for port in ports {
            self.release(port);
        }
        self.down(index, false);
        let own: Vec<_> = self.addresses.keys().filter(|key| key.index == index).copied().collect();
        own.into_iter().for_each(|key| self.delete_address(key));
        self.generation += 1;
        if let Some(gone) = self.links.remove(&index) {
            self.say(message(kind::RTM_DELLINK, 0, 0, 0, &gone));
        }
    }

    fn ports_of(&self, master: u32) -> Vec<u32> {
        let is_port = |link: &Record| link.number(link_row::MASTER) == u64::from(master);
        self.links.iter().filter(|(_, link)| is_port(link)).map(|(index, _)| *index).collect()
    }

    fn is_up(&self, index: u32) -> bool {
        let up = u64::from(LinkFlags::UP.0);
        self.links.get(&index).is_some_and(|link| link.number(link_row::FLAGS) & up != 0)
    }

    fn up(&mut self, index: u32) {
        self.set(index, link_row::FLAGS, u64::from(LinkFlags::UP.0));
    }

    /// IPv4 routes go without a word (K4); IPv6 addresses go, or stay and become tentative without a word (K27).
    fn down(&mut self, index: u32, keeps: bool) {
        if !self.is_up(index) {
            return;
        }
        self.routes.retain(|_, oif| *oif != index);
        self.set(index, link_row::FLAGS, 0);
        let own = self.addresses.keys().filter(|key| key.index == index && key.local.is_ipv6());
        let own: Vec<_> = own.copied().collect();
        for key in own {
            match self.addresses.get_mut(&key) {
                Some(kept) if keeps => {
                    let flags = kept.number(address_row::FLAGS);
                    let tentative = u64::from(AddressFlags::TENTATIVE.0);
                    kept.set(address_row::FLAGS, Value::Number(flags | tentative));
                }
                _ => self.delete_address(key),
            }
        }
    }

    /// What is so already is not said (K3).
    fn set(&mut self, index: u32, id: u16, number: u64) {
        let Some(link) = self.links.get_mut(&index) else { return };
        if link.number(id) != number {
            link.set(id, Value::Number(number));
            self.say_link(index);
        }
    }

    fn master(&mut self, u: &mut Unstructured<'_>, index: u32) -> Result<()> {
        let master = u.int_in_range(1..=4)?;
        let is_bridge =
            |link: &Record| link.value(link_row::KIND).and_then(Value::text) == Some("bridge");
        self.release(index);
        if master != index && self.links.get(&master).is_some_and(is_bridge) {
            self.set(index, link_row::MASTER, master.into());
        }
        Ok(())
    }

    /// The first word is that it is no port any more (K29); the link itself says so after that (K30).
    fn release(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(&index) else { return };
        if link.number(link_row::MASTER) == 0 {
            return;
        }
        let mut part = message(kind::RTM_DELLINK, 0, 0, 0, link);
        part[16] = 7;
        link.remove(link_row::MASTER);
        self.say(part);
        self.say_link(index);
    }

    fn add_address(&mut self, u: &mut Unstructured<'_>, index: u32) -> Result<()> {
        let mut new = address(u, index)?;
        // Secondaries are for the real kernel.
        let flags = new.number(address_row::FLAGS) & !u64::from(AddressFlags::SECONDARY.0);
        new.set(address_row::FLAGS, Value::Number(flags));
        let Some(key) = AddressKey::of(&Address::new(new.clone())) else { return Ok(()) };
        let network = |key: &AddressKey| (key.index, key.prefix_length, key.network);
        let clashes = |own: &AddressKey| key.local.is_ipv4() && network(own) == network(&key);
        if self.addresses.contains_key(&key) || self.addresses.keys().any(clashes) {
            return Ok(());
        }
        self.say(message(kind::RTM_NEWADDR, 0, 0, 0, &new));
        self.addresses.insert(key, new);
        self.generation += 1;
        Ok(())
    }

    /// IPv4 routes go with the last IPv4 address, without a word (K5).
    fn delete_address(&mut self, key: AddressKey) {
        let Some(gone) = self.addresses.remove(&key) else { return };
        self.generation += 1;
        self.say(message(kind::RTM_DELADDR, 0, 0, 0, &gone));
        let is_v4 = |own: &AddressKey| own.index == key.index && own.local.is_ipv4();
        if key.local.is_ipv4() && !self.addresses.keys().any(is_v4) {
            self.routes.retain(|_, oif| *oif != key.index);
        }
    }

    fn add_route(&mut self, u: &mut Unstructured<'_>, oif: u32) -> Result<()> {
        let key = (Ipv4Addr::new(10, u.int_in_range(0..=3)?, 0, 0), u.int_in_range(0..=1)?);
        if self.is_up(oif) {
            let how = match self.routes.insert(key, oif) {
                // The same again is not said (K20).
                Some(old) if old == oif => return Ok(()),
                Some(_) => flags::CREATE | flags::REPLACE,
                None => flags::CREATE | flags::EXCL,
            };
            self.say(message(kind::RTM_NEWROUTE, how, 0, 0, &route(key, oif)));
        }
        Ok(())
    }

    fn delete_route(&mut self, key: RouteKey) {
        if let Some(oif) = self.routes.remove(&key) {
            self.say(message(kind::RTM_DELROUTE, 0, 0, 0, &route(key, oif)));
        }
    }

    /// What is asked for on the event socket is answered behind all that has been said.
    fn answer(&mut self, transmit: &Transmit) {
        let (request, seq) = header(transmit);
        match request {
            kind::RTM_GETLINK => {
                let index = u32::from_ne_bytes(transmit.bytes[20..24].try_into().unwrap());
                self.say(match self.links.get(&index) {
                    Some(link) => message(kind::RTM_NEWLINK, 0, 0, seq, link),
                    None => answer(seq, 19, request),
                });
            }
            kind::RTM_GETADDR => {
                let index = u32::from_ne_bytes(transmit.bytes[20..24].try_into().unwrap());
                let wanted = |key: &AddressKey| key.index == index && key.local.is_ipv6();
                let own = self.addresses.iter().filter(|(key, _)| wanted(key));
                let mut bytes: Vec<u8> = own
                    .flat_map(|(_, own)| message(kind::RTM_NEWADDR, flags::MULTI, 0, seq, own))
                    .collect();
                match self.links.contains_key(&index) {
                    true => bytes.extend(done(seq, flags::MULTI)),
                    false => bytes = answer(seq, 19, request),
                }
                self.say(bytes);
            }
            _ => self.say(answer(seq, 0, request)),
        }
    }

    /// What a dump has still to say.
    fn said(&self, dump: &Dump) -> Vec<(Key, u16, Record)> {
        let all: Vec<_> = match dump.request {
            kind::RTM_GETLINK => {
                let links = self.links.iter();
                links.map(|(key, own)| (Key::Link(*key), kind::RTM_NEWLINK, own.clone())).collect()
            }
            kind::RTM_GETADDR => {
                let all = self.addresses.iter();
                all.map(|(key, own)| (Key::Address(*key), kind::RTM_NEWADDR, own.clone())).collect()
            }
            _ if dump.family == 2 => {
                let all = self.routes.iter();
                all.map(|(key, oif)| (Key::Route(*key), kind::RTM_NEWROUTE, route(*key, *oif)))
                    .collect()
            }
            _ => Vec::new(),
        };
        all.into_iter().filter(|(key, ..)| dump.after.is_none_or(|after| *key > after)).collect()
    }

    fn assert_is(&self, now: &Snapshot) {
        let links: BTreeSet<_> = now.links().map(Link::index).collect();
        assert_eq!(links, self.links.keys().copied().collect());
        for link in now.links() {
            let own = &self.links[&link.index()];
            assert!(link.record().same(&read(own)), "{:?}\n{own:?}", link.record());
        }
        let addresses = now.addresses().filter_map(AddressKey::of).collect::<BTreeSet<_>>();
        assert_eq!(addresses, self.addresses.keys().copied().collect());
        for address in now.addresses() {
            let own = AddressKey::of(address).map(|key| &self.addresses[&key]);
            let same = own.is_some_and(|own| read(own).same(address.record()));
            assert!(same, "{:?}\n{own:?}", address.record());
        }
        let of = |route: &Record| match route.value(route_row::DST) {
            Some(Value::V4(destination)) => (
                (*destination, route.number(route_row::PRIORITY) as u32),
                route.number(route_row::OIF) as u32,
            ),
            other => panic!("{other:?}"),
        };
        let routes: Vec<_> = now.routes().all().iter().map(|route| of(route.record())).collect();
        let own: Vec<_> = self.routes.iter().map(|(key, oif)| (*key, *oif)).collect();
        let sorted = BTreeSet::from_iter(&routes);
        assert_eq!(sorted, BTreeSet::from_iter(&own));
        assert_eq!(routes.len(), own.len());
    }
}

/// A record as it is read: with all of its fixed struct.
fn read(record: &Record) -> Record {
    Record::decode(record.table(), &payload(record)).unwrap()
}

fn route((destination, priority): RouteKey, oif: u32) -> Record {
    let mut route = Record::new(&ROUTE);
    for (id, number) in [
        (route_row::FAMILY, 2),
        (route_row::DST_LEN, 16),
        (route_row::TABLE, 254),
        (route_row::TYPE, 1),
        (route_row::PROTOCOL, 4),
        (route_row::SCOPE, 253),
        (route_row::OIF, oif),
        (route_row::PRIORITY, priority),
    ] {
        if id != route_row::PRIORITY || number != 0 {
            route.set(id, Value::Number(number.into()));
        }
    }
    route.set(route_row::DST, Value::V4(destination));
    route
}
