//! Actions: one request each, with what it is to make so.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Fact, Field};
use super::{AddressSpec, Target, VlanEdit, bridge_vlans, rules};
use crate::object::kinds::{NewLink, Place, master_of};
use crate::object::link::{LINK, LinkFlags, row};
use crate::object::{BridgeVlan, Record, Role, Value};
use crate::state::Snapshot;
use crate::wire::{Builder, flags, kind};

/// One request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Creates an interface.
    Create {
        /// Which.
        target: Target,
        /// What it is made from.
        new: Box<NewLink>,
        /// The interface below it.
        lower: Option<Target>,
        /// The other end of a veth pair.
        peer: Option<Target>,
    },
    /// Creates an interface in another namespace, on one of this if it has one below.
    CreateIn {
        /// Which.
        target: Target,
        /// What it is made from.
        new: Box<NewLink>,
        /// The interface below it.
        lower: Option<Target>,
        /// Where.
        to: Place,
    },
    /// Deletes an interface.
    Delete {
        /// Which.
        target: Target,
    },
    /// Sets one attribute.
    Set {
        /// Of which interface.
        target: Target,
        /// Which attribute.
        id: u16,
        /// To what.
        value: Value,
    },
    /// Sets and clears flags.
    Flags {
        /// Of which interface.
        target: Target,
        /// To what.
        flags: LinkFlags,
        /// Which ones.
        mask: LinkFlags,
    },
    /// Sets options of the kind.
    Data {
        /// Of which interface.
        target: Target,
        /// The options.
        options: Record,
    },
    /// Sets options as a port.
    Port {
        /// Of which interface.
        target: Target,
        /// The options.
        options: Record,
    },
    /// Makes an interface a port, or no port.
    Master {
        /// Which interface.
        target: Target,
        /// Of which.
        master: Option<Target>,
    },
    /// Adds or deletes an alternative name.
    Altname {
        /// Of which interface.
        target: Target,
        /// The name.
        name: Box<str>,
        /// Whether it is added.
        add: bool,
    },
    /// Adds an address.
    AddAddress {
        /// To which interface.
        target: Target,
        /// The address.
        spec: AddressSpec,
    },
    /// Deletes an address.
    DelAddress {
        /// From which interface.
        target: Target,
        /// The address, with all that it was.
        spec: AddressSpec,
        /// Whether it was a secondary.
        secondary: bool,
    },
    /// Changes VLANs.
    Vlans {
        /// Of which interface.
        target: Target,
        /// Whether they are the own ones of a bridge, and not those of a port.
        own: bool,
        /// What is done.
        edit: VlanEdit,
        /// To which, in the order of their numbers; the index counts for nothing.
        vlans: Vec<BridgeVlan>,
    },
    /// Moves an interface to another namespace (K32).
    Move {
        /// Which.
        target: Target,
        /// To where.
        to: Place,
        /// What it is called there.
        name: Box<str>,
    },
    /// No request: an interface comes from another namespace, by what is asked for there.
    Arrive {
        /// Which.
        target: Target,
        /// How it comes.
        origin: Origin,
        /// What it is called here.
        name: Box<str>,
    },
    /// Moves an interface back to where it came from.
    Return {
        /// Which.
        target: Target,
        /// To where.
        to: Place,
        /// The index that it had there.
        index: u32,
        /// What it was called there.
        name: Box<str>,
    },
}

/// How an interface comes from another namespace.
#[derive(Clone, Debug)]
pub enum Origin {
    /// It is made by a request there: the other end of a pair, or an interface on one of there.
    Made {
        /// This namespace, as the request there names it.
        to: Place,
        /// What it is to be.
        new: Box<NewLink>,
        /// What it is called at first.
        called: Box<str>,
        /// How many interfaces are below it.
        height: u8,
    },
    /// It was there.
    Moved {
        /// This namespace, as the request there names it.
        to: Place,
        /// Where.
        from: Place,
        /// Its index there.
        index: u32,
        /// What it is called there.
        name: Box<str>,
        /// What kind it is of.
        kind: Option<Box<str>>,
    },
}

impl Origin {
    /// This namespace, as the request there names it.
    pub fn to(&self) -> &Place {
        match self {
            Origin::Made { to, .. } | Origin::Moved { to, .. } => to,
        }
    }

    /// What kind it is of.
    pub(super) fn kind(&self) -> Option<&str> {
        match self {
            Origin::Made { new, .. } => Some(new.kind()),
            Origin::Moved { kind, .. } => kind.as_deref(),
        }
    }
}

/// The indexes of targets: those that are there have theirs, new ones get theirs when they are created.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    /// By the numbers of new ones.
    pub(super) known: BTreeMap<u64, u32>,
    /// New ones that were there and are gone.
    pub(super) gone: BTreeSet<u64>,
}

impl Indexes {
    /// The index of a target, if it has one yet.
    pub fn of(&self, target: Target) -> Option<u32> {
        match target {
            Target::Live { index, .. } => Some(index),
            Target::New(number) => self.known.get(&number).copied(),
        }
    }

    /// Whether it is a new one that was there and is gone: one of its name, or with its index, is another.
    pub(super) fn is_gone(&self, target: Target) -> bool {
        matches!(target, Target::New(number) if self.gone.contains(&number))
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.known.remove(&number);
        self.gone.insert(number);
    }
}

impl Action {
    /// Which interface it is about.
    pub fn target(&self) -> Target {
        match self {
            Action::Create { target, .. }
            | Action::CreateIn { target, .. }
            | Action::Delete { target }
            | Action::Set { target, .. }
            | Action::Flags { target, .. }
            | Action::Data { target, .. }
            | Action::Port { target, .. }
            | Action::Master { target, .. }
            | Action::Altname { target, .. }
            | Action::AddAddress { target, .. }
            | Action::DelAddress { target, .. }
            | Action::Vlans { target, .. }
            | Action::Move { target, .. }
            | Action::Arrive { target, .. }
            | Action::Return { target, .. } => *target,
        }
    }

    /// The request. `None` when an interface that it names has no index: its creation failed.
    pub fn encode(&self, indexes: &Indexes) -> Option<Vec<u8>> {
        if let Action::Create { new, lower, .. } | Action::CreateIn { new, lower, .. } = self {
            let lower = match lower {
                Some(lower) => Some(indexes.of(*lower)?),
                None => None,
            };
            let mut new = new.clone();
            new.data = match &new.data {
                Some(options) => Some(indexed(options, indexes)?),
                None => None,
            };
            let mut record = new.request(lower);
            return Some(match self {
                Action::CreateIn { to, .. } => {
                    record.set(row::NET_NS_FD, Value::Number(to.fd.into()));
                    create(&record, 0)
                }
                _ => create(&record, flags::ECHO),
            });
        }
        let index = indexes.of(self.target())?;
        Some(match self {
            Action::Create { .. } | Action::CreateIn { .. } | Action::Arrive { .. } => return None,
            Action::Move { to, name, .. } => travel(index, to, None, name),
            Action::Return { to, index: old, name, .. } => travel(index, to, Some(*old), name),
            Action::Delete { .. } => {
                link_message(kind::RTM_DELLINK, 0, index, LinkFlags(0), LinkFlags(0)).finish()
            }
            Action::Set { id, value, .. } => set(index, *id, value.clone()),
            Action::Flags { flags, mask, .. } => {
                link_message(kind::RTM_NEWLINK, 0, index, *flags, *mask).finish()
            }
            Action::Data { options, .. } => set_data(index, &indexed(options, indexes)?),
            Action::Port { options, .. } => set_port(index, &indexed(options, indexes)?),
            Action::Master { master: None, .. } => set(index, row::MASTER, Value::Number(0)),
            Action::Master { master: Some(master), .. } => {
                set(index, row::MASTER, Value::Number(indexes.of(*master)?.into()))
            }
            Action::Altname { name, add, .. } => altname(index, name, *add),
            Action::AddAddress { spec, .. } => {
                address(kind::RTM_NEWADDR, flags::CREATE | flags::EXCL, &spec.record(index))
            }
            Action::DelAddress { spec, .. } => address(kind::RTM_DELADDR, 0, &spec.identity(index)),
            Action::Vlans { own, edit, vlans, .. } => {
                let message = bridge_message(edit.kind(), index);
                bridge_vlans::encode(message, *own, *edit, vlans)
            }
        })
    }

    /// Whether it is what makes, or sends, an interface of this name to another namespace.
    pub(super) fn sends(&self, place: &Place, called: &str) -> bool {
        match self {
            Action::Move { to, name, .. } => to == place && **name == *called,
            Action::CreateIn { to, new, .. } => to == place && new.name() == called,
            Action::Create { new, .. } => {
                new.peer_place.as_ref() == Some(place) && new.peer_name() == Some(called)
            }
            _ => false,
        }
    }

    /// The length of the fixed struct in its request.
    pub fn header(&self) -> usize {
        match self {
            Action::AddAddress { .. } | Action::DelAddress { .. } => crate::object::ADDRESS.header,
            _ => LINK.header,
        }
    }

    /// The table that names the attributes in its request.
    pub fn attribute_name(&self, path: &[u16]) -> Option<&'static str> {
        const LINKINFO: u16 = 18;
        const AF_SPEC: u16 = 26;
        match (self, path) {
            (Action::AddAddress { .. } | Action::DelAddress { .. }, _) => {
                crate::object::ADDRESS.name_path(path)
            }
            (Action::Vlans { .. }, [AF_SPEC, 2, ..]) => Some("IFLA_BRIDGE_VLAN_INFO"),
            (Action::Vlans { .. }, [AF_SPEC, 3, ..]) => Some("IFLA_BRIDGE_VLAN_TUNNEL_INFO"),
            (
                Action::Data { options, .. } | Action::Port { options, .. },
                [LINKINFO, 2 | 5, inner @ ..],
            ) if !inner.is_empty() => options.table().name_path(inner),
            (
                Action::Create { new, .. } | Action::CreateIn { new, .. },
                [LINKINFO, 2, inner @ ..],
            ) if !inner.is_empty() => new.data.as_ref()?.table().name_path(inner),
            _ => LINK.name_path(path),
        }
    }

    /// What is to be so afterwards. Facts about interfaces that have no index yet are left out.
    pub fn facts(&self, indexes: &Indexes) -> Vec<Fact> {
        let mut facts = self.facts_named(indexes);
        for fact in &mut facts {
            if let Some(Value::Link(which)) = &fact.want {
                // An interface without an index is nowhere yet.
                let index = Target::named(which).and_then(|named| indexes.of(named));
                fact.want =
                    index.map_or(fact.want.take(), |index| Some(Value::Number(index.into())));
            }
        }
        facts
    }

    fn facts_named(&self, indexes: &Indexes) -> Vec<Fact> {
        let Some(index) = indexes.of(self.target()) else { return Vec::new() };
        let one = |field, want| vec![Fact { index, field, want }];
        match self {
            Action::Create { new, peer, .. } => {
                let mut facts = created(index, &new.record, new.data.as_ref());
                if let Some((index, record)) =
                    peer.and_then(|peer| Some((indexes.of(peer)?, new.peer.as_ref()?)))
                {
                    facts.extend(created(index, record, None));
                }
                facts
            }
            Action::Delete { .. } => one(Field::Exists, None),
            Action::Set { id, value, .. } => one(Field::Link(*id), Some(value.clone())),
            Action::Flags { flags, mask, .. } => flag_facts(index, *flags, *mask),
            Action::Data { options, .. } => option_facts(index, row::DATA, options),
            Action::Port { options, .. } => option_facts(index, row::PORT, options),
            Action::Master { master, .. } => {
                let master = master.and_then(|master| indexes.of(master));
                one(Field::Link(row::MASTER), Some(Value::Number(master.unwrap_or(0).into())))
            }
            Action::Altname { name, add, .. } => {
                one(Field::Altname(name.clone()), add.then_some(Value::Present))
            }
            Action::AddAddress { spec, .. } => {
                one(Field::Address(spec.clone()), Some(Value::Present))
            }
            Action::DelAddress { spec, .. } => one(Field::Address(spec.clone()), None),
            Action::Vlans { own, edit, vlans, .. } => {
                bridge_vlans::facts(index, *own, *edit, vlans)
            }
            Action::Move { .. } | Action::Return { .. } => one(Field::Exists, None),
            // It is seen where it is.
            Action::CreateIn { .. } => Vec::new(),
            Action::Arrive { origin: Origin::Made { new, .. }, .. } => arrived(index, new),
            Action::Arrive { .. } => one(Field::Exists, Some(Value::Present)),
        }
    }

    /// What of it is not so in a state; `None` when all of it is.
    pub(super) fn lacking(self, now: &Snapshot, indexes: &Indexes) -> Option<Action> {
        match self {
            Action::Create { .. }
            | Action::CreateIn { .. }
            | Action::Delete { .. }
            | Action::Move { .. }
            | Action::Arrive { .. }
            | Action::Return { .. } => Some(self),
            _ => self.only(indexes, |fact| !fact.holds(now)),
        }
    }

    /// The same for some of its facts only; `None` when none is left.
    pub(super) fn only(
        mut self,
        indexes: &Indexes,
        is_kept: impl Fn(&Fact) -> bool,
    ) -> Option<Action> {
        let mut facts = self.facts(indexes);
        facts.retain(is_kept);
        match &mut self {
            Action::Flags { flags, mask, .. } => {
                let left = facts.iter().fold(0, |bits, fact| match fact.field {
                    Field::Flag(bit) => bits | bit,
                    _ => bits,
                });
                (flags.0, mask.0) = (flags.0 & left, left);
            }
            Action::Data { options, .. } | Action::Port { options, .. } => {
                let lacks = |id: u16| {
                    facts
                        .iter()
                        .any(|fact| matches!(fact.field, Field::Option(_, _, own) if own == id))
                };
                let named: Vec<_> = options.fields().map(|(id, ..)| id).collect();
                // An order is no state: it goes with what it is for.
                let is_state =
                    |id: &u16| options.table().rows[usize::from(*id)].role != Role::Action;
                let held: Vec<_> =
                    named.into_iter().filter(|id| is_state(id) && !lacks(*id)).collect();
                held.into_iter().for_each(|id| drop(options.remove(id)));
            }
            Action::Vlans { vlans, .. } => bridge_vlans::only(vlans, &facts),
            _ => {}
        }
        (!facts.is_empty()).then_some(self)
    }

    /// The same as several requests, where the kernel does not take it in one.
    pub(super) fn requests(self) -> Vec<Action> {
        match self {
            Action::Data { target, options } => {
                let all = rules::requests(options).into_iter();
                all.map(|options| Action::Data { target, options }).collect()
            }
            one => one.vlan_requests(),
        }
    }

    /// The action that makes one fact so.
    pub fn for_fact(fact: &Fact) -> Option<Action> {
        let target = Target::Live { index: fact.index, generation: 0 };
        Some(match (&fact.field, &fact.want) {
            (Field::Exists, None) => Action::Delete { target },
            (Field::Exists, Some(_)) => return None,
            (Field::Link(row::MASTER), want) => {
                let master = want.as_ref().and_then(Value::number).filter(|index| *index != 0);
                Action::Master {
                    target,
                    master: master.map(|index| Target::Live { index: index as u32, generation: 0 }),
                }
            }
            (Field::Link(id), want) => {
                let row = &LINK.rows[usize::from(*id)];
                let none = || match row.none {
                    Some(number) => Value::Number(number),
                    None => "".into(),
                };
                Action::Set { target, id: *id, value: want.clone().unwrap_or_else(none) }
            }
            (Field::Flag(bit), want) => {
                let on = want.as_ref().and_then(Value::number).is_some_and(|n| n != 0);
                Action::Flags {
                    target,
                    flags: LinkFlags(if on { *bit } else { 0 }),
                    mask: LinkFlags(*bit),
                }
            }
            (Field::Option(part, table, id), want) => {
                let mut options = Record::new(table);
                options.set(*id, want.clone().or_else(|| rules::none(table, *id))?);
                match *part {
                    row::DATA => Action::Data { target, options: rules::with_order(options) },
                    _ => Action::Port { target, options },
                }
            }
            (Field::Altname(name), want) => {
                Action::Altname { target, name: name.clone(), add: want.is_some() }
            }
            (Field::Vlan(..) | Field::Tunnel(_), _) => return bridge_vlans::for_fact(fact),
            (Field::Address(spec), Some(_)) => Action::AddAddress { target, spec: spec.clone() },
            (Field::Address(spec), None) => {
                Action::DelAddress { target, spec: spec.clone(), secondary: false }
            }
        })
    }
}

/// What a creation is to have made: that the interface is there, and everything that was named of it.
fn created(index: u32, record: &Record, options: Option<&Record>) -> Vec<Fact> {
    let mut facts = vec![Fact { index, field: Field::Exists, want: Some(Value::Present) }];
    let named = record.fields().filter(|(id, row, value)| {
        *id != row::INDEX && row.compared() && !matches!(value, Value::Nested(_) | Value::Bytes(_))
    });
    facts.extend(named.map(|(id, _, value)| Fact {
        index,
        field: Field::Link(id),
        want: Some(value.clone()),
    }));
    facts.extend(options.into_iter().flat_map(|options| option_facts(index, row::DATA, options)));
    facts
}

/// The same of one that was asked for in another namespace. The interfaces that its options name are of there.
fn arrived(index: u32, new: &NewLink) -> Vec<Fact> {
    let mut facts = created(index, &new.record, new.data.as_ref());
    facts.retain(|fact| !matches!(fact.want, Some(Value::Link(_))));
    facts
}

fn option_facts(index: u32, part: u16, options: &Record) -> Vec<Fact> {
    let table = options.table();
    // Some options are orders ("flush the FDB"): nothing of them can be seen afterwards.
    let seen = options.fields().filter(|(_, row, _)| row.compared());
    seen.map(|(id, _, value)| Fact {
        index,
        field: Field::Option(part, table, id),
        want: Some(value.clone()),
    })
    .collect()
}

fn flag_facts(index: u32, flags: LinkFlags, mask: LinkFlags) -> Vec<Fact> {
    let bits = (0..32).map(|bit| 1u32 << bit).filter(|bit| mask.0 & bit != 0);
    bits.map(|bit| Fact {
        index,
        field: Field::Flag(bit),
        want: Some(Value::Number(u64::from(flags.0 & bit != 0))),
    })
    .collect()
}

/// Options with the indexes of the interfaces that they name; `None` while one has none.
fn indexed(options: &Record, indexes: &Indexes) -> Option<Record> {
    let mut all = options.clone();
    for (id, _, value) in options.fields() {
        if let Value::Link(which) = value {
            all.set(id, Value::Number(indexes.of(Target::named(which)?)?.into()));
        }
    }
    Some(all)
}

const REQUEST: u16 = flags::REQUEST | flags::ACK;

fn link_message(kind: u16, more: u16, index: u32, flags: LinkFlags, mask: LinkFlags) -> Builder {
    let mut header = Record::new(&LINK);
    header.set(row::INDEX, Value::Number(index.into()));
    header.set(row::FLAGS, Value::Number(flags.0.into()));
    header.set(row::CHANGE, Value::Number(mask.0.into()));
    Builder::new(kind, REQUEST | more).fixed(&header.encode_header())
}

/// About a bridge or a port of one.
fn bridge_message(kind: u16, index: u32) -> Builder {
    const AF_BRIDGE: u64 = 7;
    let mut header = Record::new(&LINK);
    header.set(row::FAMILY, Value::Number(AF_BRIDGE));
    header.set(row::INDEX, Value::Number(index.into()));
    Builder::new(kind, REQUEST).fixed(&header.encode_header())
}

/// The kernel's echo (K11) goes to the namespace that it is made in.
fn create(record: &Record, echo: u16) -> Vec<u8> {
    let more = flags::CREATE | flags::EXCL | echo;
    let mut message =
        Builder::new(kind::RTM_NEWLINK, REQUEST | more).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}

/// Moves an interface to another namespace, where it has this index if that is asked for (heard from Linux 5.13 on;
/// otherwise, and before, the one that it has where that is free), and this name.
fn travel(index: u32, to: &Place, new_index: Option<u32>, name: &str) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(row::NET_NS_FD, Value::Number(to.fd.into()));
    record.set(row::NAME, name.into());
    if let Some(index) = new_index.filter(|new| *new != index) {
        record.set(row::NEW_IFINDEX, Value::Number(index.into()));
    }
    let mut message = link_message(kind::RTM_NEWLINK, 0, index, LinkFlags(0), LinkFlags(0));
    record.encode(&mut message);
    message.finish()
}

fn set(index: u32, id: u16, value: Value) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(id, value);
    let mut message = link_message(kind::RTM_NEWLINK, 0, index, LinkFlags(0), LinkFlags(0));
    record.encode(&mut message);
    message.finish()
}

fn set_data(index: u32, options: &Record) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(row::KIND, options.table().name.into());
    record.set(row::DATA, Value::Nested(Box::new(options.clone())));
    let mut message = link_message(kind::RTM_NEWLINK, 0, index, LinkFlags(0), LinkFlags(0));
    record.encode(&mut message);
    message.finish()
}

fn set_port(index: u32, options: &Record) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(row::PORT_KIND, master_of(options.table()).into());
    record.set(row::PORT, Value::Nested(Box::new(options.clone())));
    let mut message = link_message(kind::RTM_NEWLINK, 0, index, LinkFlags(0), LinkFlags(0));
    record.encode(&mut message);
    message.finish()
}

fn altname(index: u32, name: &str, add: bool) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(row::ALTNAMES, Value::Texts(Box::new([name.into()])));
    // EXCL on the deletion would mean NLM_F_BULK (K35, KERNEL 3I).
    let (kind, more) = match add {
        true => (kind::RTM_NEWLINKPROP, flags::CREATE | flags::EXCL | flags::APPEND),
        false => (kind::RTM_DELLINKPROP, 0),
    };
    let mut message = link_message(kind, more, index, LinkFlags(0), LinkFlags(0));
    record.encode(&mut message);
    message.finish()
}

fn address(kind: u16, more: u16, record: &Record) -> Vec<u8> {
    let mut message = Builder::new(kind, REQUEST | more).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}
