//! Any draft on any state, against a kernel that refuses, forgets to answer and is interfered with as it likes: a
//! commit ends within a bound, and tells the truth: committed only when nothing is left to change, rolled back
//! only when everything is as before.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use netlinkdb::internals::object::address::{
    AddressFlags, CACHE_INFO, cache_row as lifetime, row as address_row,
};
use netlinkdb::internals::object::link::row;
use netlinkdb::internals::object::{
    ADDRESS, Address, Bridge, BridgeOptions, Ifb, LINK, LinkFlags, LinkRef, Macvlan, NewLink,
    Record, Value, Veth, Vxlan,
};
use netlinkdb::internals::plan::{
    AddressSpec, Answer, Commit, Draft, Outcome, Poll, Review, Target,
};
use netlinkdb::internals::state::{AddressKey, Ask, Follower, Outlet, Snapshot, Views};
use netlinkdb::internals::wire::{Ack, Messages, flags, kind};
use netlinkdb_fuzz::{address, answer, done, link, message};

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let mut kernel = Kernel::new(u)?;
    let base = kernel.snapshot();
    let mut draft = Draft::new(base.clone(), 0);
    let mut edits = Edits::default();
    for _ in 0..u.int_in_range(1..=8)? {
        edits.edit(u, &mut draft)?;
    }
    let between = u.ratio(1, 8)?;
    if between {
        kernel.interfere(u)?;
    }
    let before = kernel.snapshot();
    let review = Review::new(&draft, &before);
    let Ok(mut commit) = Commit::new(&draft, before.clone()) else {
        assert!(review.is_err(), "a review is refused when the commit is");
        return Ok(());
    };
    let _ = format!("{}", review.expect("a commit is refused when the review is"));
    kernel.hostile = u.ratio(1, 2)?;
    let mut polls = 0;
    let outcome = loop {
        polls += 1;
        assert!(polls < 2000, "no end: {commit:?}");
        match commit.poll() {
            Poll::Send(wave) => {
                let answers = kernel.exchange(u, &wave)?;
                commit.handle_answers(&answers);
            }
            Poll::Observe { refresh, .. } => {
                refresh.into_iter().for_each(|ask: Ask| drop(ask.request()));
                let now = kernel.snapshot();
                commit.handle_snapshot(now, &BTreeMap::new());
            }
            Poll::Verified(_) => commit.accept(),
            Poll::Finished(outcome) => break outcome,
        }
    };
    let honest = !kernel.interfered;
    match outcome {
        Outcome::Committed { snapshot, created } => {
            assert!(created.values().all(|index| snapshot.link_by_index(*index).is_some()));
            // Nothing is left to do: what is so already is not sent.
            if honest && edits.are_idempotent() && !between {
                let mut again =
                    Commit::new(&draft, snapshot).expect("the same again is no conflict");
                let poll = again.poll();
                assert!(matches!(poll, Poll::Verified(_)), "{draft:?}\n{poll:?}");
            }
        }
        Outcome::RolledBack { cause, snapshot, .. } => {
            let _ = format!("{cause}");
            if honest {
                // As the engine does: handles on what has been brought back hold.
                let restored = commit.restored().iter();
                restored.for_each(|(index, generation)| kernel.follower.adopt(*index, *generation));
                let adopted = kernel.follower.poll_update().map(|update| update.snapshot);
                let diff = before.diff(&adopted.unwrap_or(snapshot));
                let left: Vec<_> = diff.changes().iter().map(|c| c.to_string()).collect();
                assert!(diff.is_empty(), "{draft:?}\n{left:#?}");
            }
        }
        Outcome::Torn { cause, residue, .. } => {
            let _ = format!("{cause} {residue:?}");
            assert!(!residue.is_empty());
            assert!(
                kernel.hostile || kernel.interfered,
                "torn without a reason: {cause} {residue:?}"
            );
        }
    }
    Ok(())
}

/// What a draft asks for.
#[derive(Default)]
struct Edits {
    /// Whether it makes or removes an interface.
    shape: bool,
    added: BTreeSet<IpAddr>,
    deleted: BTreeSet<IpAddr>,
}

impl Edits {
    /// Whether nothing is left to do when it is done: an address that is deleted and added is replaced each time.
    fn are_idempotent(&self) -> bool {
        !self.shape && self.added.is_disjoint(&self.deleted)
    }

    fn edit(&mut self, u: &mut Unstructured<'_>, draft: &mut Draft) -> Result<()> {
        const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "n0", "n1", "n2"];
        let name = *u.choose(&NAMES)?;
        let other = *u.choose(&NAMES)?;
        if u.ratio(1, 5)? {
            let new: NewLink = match u.int_in_range(0..=5)? {
                0 => Bridge::new(name).into(),
                1 => Veth::new(name, other).into(),
                2 => Vxlan::new(name, u.int_in_range(1..=3)?).into(),
                3 => Macvlan::new(name, other).into(),
                4 => Ifb::new(name).into(),
                _ => NewLink::with_kind(name, "dummy"),
            };
            self.shape |= draft.create(new).is_ok();
            return Ok(());
        }
        let (Ok(target), Ok(second)) =
            (draft.resolve(&LinkRef::from(name)), draft.resolve(&LinkRef::from(other)))
        else {
            return Ok(());
        };
        // What is refused at once is not in the draft.
        let _ = match u.int_in_range(0..=10)? {
            0 => draft.remove(target).map(|()| self.shape = true),
            1 => draft.rename(target, other),
            2 => draft.set_mtu(target, u.int_in_range(60..=2000)?),
            3 => {
                let flag = *u.choose(&[LinkFlags::UP, LinkFlags::PROMISC, LinkFlags::NOARP])?;
                draft.set_flags(target, flag, u.arbitrary()?);
                Ok(())
            }
            4 => draft.add_port(target, second),
            5 => draft.del_port(target, second),
            6 => draft.altname(target, other, u.arbitrary()?),
            7 => {
                let spec = spec(u)?;
                self.added.insert(spec.local());
                draft.add_ip(target, spec)
            }
            8 => {
                let spec = spec(u)?;
                self.deleted.insert(spec.local());
                draft.del_ip(target, spec)
            }
            9 => draft.set(target, row::GROUP, Value::Number(u.int_in_range(0..=3)?)),
            _ => draft
                .set_data(target, BridgeOptions::new().stp_state(u.arbitrary::<bool>()?).record()),
        };
        let _: Target = target;
        Ok(())
    }
}

fn spec(u: &mut Unstructured<'_>) -> Result<AddressSpec> {
    let last: u8 = u.int_in_range(0..=7)?;
    let text = match u.arbitrary()? {
        true => format!("10.0.{}.{last}/{}", last & 1, u.int_in_range(0..=32)?),
        false => format!("fd00::{last:x}/{}", u.int_in_range(0..=128)?),
    };
    Ok(text.parse().unwrap_or_else(|_| "10.0.0.1/24".parse().unwrap()))
}

/// A kernel of plain maps: requests do what they say and nothing else.
struct Kernel {
    links: BTreeMap<u32, Record>,
    addresses: Vec<(u32, Record)>,
    /// Refuses and forgets answers.
    hostile: bool,
    interfered: bool,
    seq: u32,
    follower: Follower,
}

impl Kernel {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let follower = Follower::new(Views { addresses: true, ..Views::NONE });
        let mut kernel = Kernel {
            links: BTreeMap::new(),
            addresses: Vec::new(),
            hostile: false,
            interfered: false,
            seq: 0,
            follower,
        };
        for index in 1..=u.int_in_range(0..=5)? {
            kernel.put(u, index)?;
        }
        Ok(kernel)
    }

    /// A link under an index, with addresses; its name is its own.
    fn put(&mut self, u: &mut Unstructured<'_>, index: u32) -> Result<()> {
        const NAMES: [&str; 7] = ["z", "a", "b", "c", "d", "e", "f"];
        let mut record = link(u, index)?;
        record.set(row::NAME, NAMES[index as usize % 7].into());
        record.remove(row::ALTNAMES);
        defaults(&mut record);
        // Those that are there hold together.
        if record.value(row::KIND).and_then(Value::text) != Some("macvlan") {
            record.remove(row::LINK);
        }
        for id in [row::MASTER, row::LINK] {
            if !self.links.contains_key(&(record.number(id) as u32)) {
                record.remove(id);
            }
        }
        self.links.insert(index, record);
        for _ in 0..u.int_in_range(0..=2)? {
            let mut new = address(u, index)?;
            let forever = u32::MAX;
            let lifetimes =
                [(forever, forever), (0, forever), (100, forever), (0, 200), (100, 200)];
            set_lifetimes(&mut new, *u.choose(&lifetimes)?);
            self.add(index, new);
        }
        Ok(())
    }

    /// An address, with what the kernel says of it; the errno.
    fn add(&mut self, index: u32, mut record: Record) -> i32 {
        let Some(key) = key(&record) else { return 22 };
        if !self.links.contains_key(&index) {
            return 19;
        }
        if self.addresses.iter().any(|(_, own)| self::key(own) == Some(key)) {
            return 17;
        }
        if !own_words(&mut record) {
            return 22;
        }
        // `__inet_insert_ifa`: the first of a network is its primary; primaries are before secondaries.
        let primary = |own: &Record| is_v4(own) && flags_of(own) & AddressFlags::SECONDARY.0 == 0;
        let of_link = |own: u32, record: &Record| own == index && primary(record);
        let has_primary = self.addresses.iter().any(|(own, other)| {
            of_link(*own, other)
                && self::key(other).is_some_and(|other| is_same_network(&other, &key))
        });
        let mut at = self.addresses.len();
        if is_v4(&record) && has_primary {
            let flags = flags_of(&record) | AddressFlags::SECONDARY.0;
            record.set(address_row::FLAGS, Value::Number(flags.into()));
        } else if is_v4(&record) {
            let last = self.addresses.iter().rposition(|(own, other)| of_link(*own, other));
            at = last.map_or(0, |last| last + 1);
        }
        self.addresses.insert(at, (index, record));
        0
    }

    /// `inet_del_ifa`: the secondaries of a primary go with it (K25).
    fn remove_address(&mut self, record: &Record) -> i32 {
        let Some(gone) = key(record) else { return 22 };
        let Some(at) = self.addresses.iter().position(|(_, own)| key(own) == Some(gone)) else {
            return 99;
        };
        let (_, old) = self.addresses.remove(at);
        if is_v4(&old) && flags_of(&old) & AddressFlags::SECONDARY.0 == 0 {
            let with = |own: &Record| key(own).is_some_and(|own| is_same_network(&own, &gone));
            self.addresses.retain(|(_, own)| !with(own));
        }
        0
    }

    /// What others do between two steps.
    fn interfere(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.interfered = true;
        let index = u.int_in_range(1..=6)?;
        match u.arbitrary()? {
            true => self.put(u, index)?,
            false => self.delete(index),
        }
        Ok(())
    }

    /// What cannot be without it goes too: the other end of a veth, macvlans.
    fn delete(&mut self, index: u32) {
        let Some(gone) = self.links.remove(&index) else { return };
        let kind = |link: &Record| link.value(row::KIND).and_then(Value::text).map(str::to_owned);
        let below = |link: &Record| link.number(row::LINK) as u32;
        if kind(&gone).as_deref() == Some("veth") {
            self.delete(below(&gone));
        }
        let upper = |(upper, link): (&u32, &Record)| {
            (below(link) == index && kind(link).as_deref() == Some("macvlan")).then_some(*upper)
        };
        let uppers: Vec<_> = self.links.iter().filter_map(upper).collect();
        uppers.into_iter().for_each(|upper| self.delete(upper));
        self.addresses.retain(|(own, _)| *own != index);
        for link in self.links.values_mut() {
            for id in [row::MASTER, row::LINK] {
                if link.number(id) == u64::from(index) {
                    link.remove(id);
                }
            }
        }
    }

    /// Everything, read by a new dump.
    fn snapshot(&mut self) -> Snapshot {
        self.follower.resync();
        self.follower.handle_drained(0);
        for _ in 0..10 {
            while let Some(transmit) = self.follower.poll_transmit() {
                let seq = u32::from_ne_bytes(transmit.bytes[8..12].try_into().unwrap());
                let request = u16::from_ne_bytes([transmit.bytes[4], transmit.bytes[5]]);
                let mut bytes = Vec::new();
                match request {
                    kind::RTM_GETLINK => {
                        bytes.extend(self.links.values().flat_map(|link| {
                            message(kind::RTM_NEWLINK, flags::MULTI, 0, seq, link)
                        }))
                    }
                    kind::RTM_GETADDR => bytes.extend(
                        self.addresses
                            .iter()
                            .flat_map(|(_, a)| message(kind::RTM_NEWADDR, flags::MULTI, 0, seq, a)),
                    ),
                    _ => {}
                }
                match transmit.outlet {
                    Outlet::Event => self.follower.handle_event(&answer(seq, 0, request)),
                    _ => {
                        bytes.extend(done(seq, 0));
                        self.follower.handle_dump(&bytes);
                    }
                }
            }
        }
        self.follower.poll_update().expect("live after a dump").snapshot
    }

    fn exchange(&mut self, u: &mut Unstructured<'_>, wave: &[Vec<u8>]) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        for request in wave {
            self.seq += 1;
            let mut answer = Answer { seq: self.seq, ..Answer::default() };
            let refused = self.hostile && u.ratio(1, 6)?;
            let errno = match refused {
                true => *u.choose(&[1, 16, 17, 19, 22, 99])?,
                false => self.carry_out(request, &mut answer),
            };
            if !(self.hostile && u.ratio(1, 12)?) {
                answer.ack = Some(Ack { errno, ..Ack::default() });
            } else {
                answer.created = None;
            }
            if self.hostile && u.ratio(1, 12)? {
                self.interfere(u)?;
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Does what a request says; the errno.
    fn carry_out(&mut self, request: &[u8], answer: &mut Answer) -> i32 {
        let Some(Ok(message)) = Messages::new(request).next() else { return 22 };
        let read = |table| Record::decode(table, message.payload).unwrap();
        match message.kind {
            kind::RTM_NEWLINK if message.flags & flags::CREATE != 0 => {
                self.create(read(&LINK), answer)
            }
            kind::RTM_NEWLINK => self.change(read(&LINK)),
            kind::RTM_DELLINK => {
                let index = read(&LINK).number(row::INDEX) as u32;
                if !self.links.contains_key(&index) {
                    return 19;
                }
                self.delete(index);
                0
            }
            kind::RTM_NEWLINKPROP | kind::RTM_DELLINKPROP => {
                self.altname(read(&LINK), message.kind == kind::RTM_NEWLINKPROP)
            }
            kind::RTM_NEWADDR => {
                let new = read(&ADDRESS);
                self.add(new.number(address_row::INDEX) as u32, new)
            }
            kind::RTM_DELADDR => self.remove_address(&read(&ADDRESS)),
            _ => 95,
        }
    }

    fn has_name(&self, name: &str) -> bool {
        self.links.values().any(|link| {
            let altnames = link.value(row::ALTNAMES);
            link.value(row::NAME).and_then(Value::text) == Some(name)
                || matches!(altnames, Some(Value::Texts(all)) if all.iter().any(|own| &**own == name))
        })
    }

    fn create(&mut self, mut new: Record, answer: &mut Answer) -> i32 {
        use netlinkdb::internals::object::kinds::veth;
        let data = new.remove(row::DATA);
        let peer = data
            .as_ref()
            .and_then(Value::nested)
            .and_then(|data| data.value(veth::row::PEER)?.nested());
        let names = [Some(&new), peer]
            .map(|link| link.and_then(|link| link.value(row::NAME)?.text()).map(str::to_owned));
        if names.iter().flatten().any(|name| self.has_name(name))
            || names[0].is_some() && names[0] == names[1]
        {
            return 17;
        }
        let fresh = |links: &BTreeMap<u32, Record>, wanted: u64| match wanted {
            0 => links.keys().max().map_or(10, |last| last.max(&9) + 1),
            wanted => wanted as u32,
        };
        let index = fresh(&self.links, new.number(row::INDEX));
        if self.links.contains_key(&index) {
            return 17;
        }
        let is_veth = peer.is_some();
        let other = peer.map(|peer| (peer.number(row::INDEX), peer.clone()));
        new.set(row::INDEX, Value::Number(index.into()));
        if let (Some(data), false) = (data, is_veth) {
            new.set(row::DATA, data);
        }
        new.remove(row::MASTER);
        defaults(&mut new);
        self.links.insert(index, new);
        answer.created = Some((index, None));
        if let Some((wanted, mut peer)) = other {
            let second = fresh(&self.links, wanted);
            if self.links.contains_key(&second) {
                self.links.remove(&index);
                answer.created = None;
                return 17;
            }
            peer.set(row::INDEX, Value::Number(second.into()));
            peer.set(row::KIND, "veth".into());
            defaults(&mut peer);
            peer.set(row::LINK, Value::Number(index.into()));
            self.links.insert(second, peer);
            if let Some(link) = self.links.get_mut(&index) {
                link.set(row::LINK, Value::Number(second.into()));
            }
            answer.created = Some((index, Some(second)));
        }
        0
    }

    fn change(&mut self, request: Record) -> i32 {
        let index = request.number(row::INDEX) as u32;
        let name = request.value(row::NAME).and_then(Value::text).map(str::to_owned);
        if name.is_some_and(|name| self.has_name(&name)) {
            return 17;
        }
        let Some(link) = self.links.get_mut(&index) else { return 19 };
        for (id, _, value) in request.fields() {
            match id {
                row::INDEX
                | row::FAMILY
                | row::TYPE
                | row::FLAGS
                | row::CHANGE
                | row::KIND
                | row::PORT_KIND => {}
                row::MASTER | row::LINK if value.number() == Some(0) => drop(link.remove(id)),
                row::ALIAS if value.text() == Some("") => drop(link.remove(id)),
                row::DATA | row::PORT => {
                    let Some(options) = value.nested() else { continue };
                    let own = link.value(id).and_then(Value::nested);
                    let mut own = own.cloned().unwrap_or_else(|| Record::new(options.table()));
                    options.fields().for_each(|(id, _, value)| own.set(id, value.clone()));
                    link.set(id, Value::Nested(Box::new(own)));
                }
                _ => link.set(id, value.clone()),
            }
        }
        let (old, new) = (link.number(row::FLAGS), request.number(row::FLAGS));
        let mask = request.number(row::CHANGE);
        link.set(row::FLAGS, Value::Number(old & !mask | new & mask));
        0
    }

    fn altname(&mut self, request: Record, add: bool) -> i32 {
        let index = request.number(row::INDEX) as u32;
        let Some(Value::Texts(names)) = request.value(row::ALTNAMES).cloned() else { return 22 };
        if add && names.iter().any(|name| self.has_name(name)) {
            return 17;
        }
        let Some(link) = self.links.get_mut(&index) else { return 19 };
        let mut own = match link.value(row::ALTNAMES) {
            Some(Value::Texts(own)) => own.to_vec(),
            _ => Vec::new(),
        };
        match add {
            true => own.extend(names.iter().cloned()),
            false => own.retain(|own| !names.contains(own)),
        }
        match own.is_empty() {
            true => drop(link.remove(row::ALTNAMES)),
            false => link.set(row::ALTNAMES, Value::Texts(own.into())),
        }
        0
    }
}

fn key(address: &Record) -> Option<AddressKey> {
    AddressKey::of(&Address::new(address.clone()))
}

fn is_same_network(one: &AddressKey, other: &AddressKey) -> bool {
    let of = |key: &AddressKey| (key.index, key.prefix_length, key.network);
    one.local.is_ipv4() && other.local.is_ipv4() && of(one) == of(other)
}

fn is_v4(address: &Record) -> bool {
    address.number(address_row::FAMILY) == 2
}

fn flags_of(address: &Record) -> u32 {
    address.number(address_row::FLAGS) as u32
}

/// Flags that no request can set on an IPv4 address: the kernel's own, and those of IPv6 (`IPV6ONLY_FLAGS`).
const NOT_OF_IPV4: u32 = OWN_FLAGS
    | AddressFlags::NODAD.0
    | AddressFlags::OPTIMISTIC.0
    | AddressFlags::DADFAILED.0
    | AddressFlags::HOMEADDRESS.0
    | AddressFlags::TENTATIVE.0
    | AddressFlags::MANAGETEMPADDR.0
    | AddressFlags::STABLE_PRIVACY.0;
/// Flags that no request can set on an IPv6 address (`inet6_rtm_newaddr`). Nobody looks for duplicates here.
const NOT_OF_IPV6: u32 = OWN_FLAGS
    | AddressFlags::DADFAILED.0
    | AddressFlags::TENTATIVE.0
    | AddressFlags::STABLE_PRIVACY.0;
const OWN_FLAGS: u32 =
    AddressFlags::SECONDARY.0 | AddressFlags::PERMANENT.0 | AddressFlags::DEPRECATED.0;

/// What the kernel makes of the flags and lifetimes that a request says; whether it takes them.
fn own_words(address: &mut Record) -> bool {
    let info = address.value(address_row::CACHEINFO).and_then(Value::nested);
    let seconds = |id| info.map_or(u32::MAX, |info| info.number(id) as u32);
    let (mut preferred, valid) = (seconds(lifetime::PREFERRED), seconds(lifetime::VALID));
    if valid == 0 || preferred > valid {
        return false;
    }
    let mut flags = flags_of(address) & !if is_v4(address) { NOT_OF_IPV4 } else { NOT_OF_IPV6 };
    if valid == u32::MAX {
        flags |= AddressFlags::PERMANENT.0;
    }
    if preferred == 0 {
        flags |= AddressFlags::DEPRECATED.0;
    }
    // `inet_fill_ifaddr`
    if is_v4(address) && valid == u32::MAX {
        preferred = u32::MAX;
    }
    address.set(address_row::FLAGS, Value::Number(flags.into()));
    set_lifetimes(address, (preferred, valid));
    true
}

fn set_lifetimes(address: &mut Record, (preferred, valid): (u32, u32)) {
    let mut info = Record::new(&CACHE_INFO);
    info.set(lifetime::PREFERRED, Value::Number(preferred.into()));
    info.set(lifetime::VALID, Value::Number(valid.into()));
    address.set(address_row::CACHEINFO, Value::Nested(Box::new(info)));
}

/// What the kernel says of every link.
fn defaults(link: &mut Record) {
    for (id, number) in [(row::GROUP, 0), (row::MTU, 1500), (row::FLAGS, 0)] {
        if link.value(id).is_none() {
            link.set(id, Value::Number(number));
        }
    }
    let options = BridgeOptions::new().stp_state(false);
    if link.value(row::KIND).and_then(Value::text) == Some("bridge")
        && link.value(row::DATA).is_none()
    {
        link.set(row::DATA, Value::Nested(Box::new(options.record().clone())));
    }
}
