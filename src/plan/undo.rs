//! Undoing: what a commit has changed and nobody else changed since, newest first.
//!
//! It is found by looking, not by remembering: for each fact of each request that was, or may have been, carried
//! out, the state now is compared with the state before and with what the request wanted. As before: nothing to
//! do. As wanted: it is ours, and goes back. Anything else: another program has set it since, and it stays (P4).

use std::collections::BTreeSet;

use super::action::{Action, Indexes};
use super::commit::Residue;
use super::fact::{Fact, Field};
use super::{AddressSpec, Failure, Target, rules};
use crate::object::kinds::bridge::row::FORWARD_DELAY;
use crate::object::kinds::{BRIDGE, NewLink};
use crate::object::link::{LinkFlags, row};
use crate::object::{Link, Record, Role, Value};
use crate::state::Snapshot;

/// A request of a commit, and what came of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) action: Action,
    pub(super) request: Vec<u8>,
    pub(super) seq: u32,
    pub(super) sent: Outcome,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The kernel has acknowledged it, or it is seen to be so.
    Done,
    /// The kernel has refused it because it may be so already: it is not ours (K44).
    Doubtful(Failure),
    /// The kernel has refused it.
    Refused,
    /// No answer arrived.
    Lost,
}

/// What is left to undo.
pub(super) struct Undo {
    /// What can be done, in order.
    pub(super) actions: Vec<Action>,
    /// What cannot be.
    pub(super) residue: Vec<Residue>,
}

/// Compares and says what is left to undo. Collateral changes are judged from the second round on, when what caused
/// them has been undone.
pub(super) fn undo(
    journal: &[Entry],
    before: &Snapshot,
    now: &Snapshot,
    indexes: &Indexes,
    round: u32,
) -> Undo {
    let mut undo = Undo { actions: Vec::new(), residue: Vec::new() };
    let mut restored = BTreeSet::new();
    for entry in journal.iter().rev() {
        match (&entry.action, &entry.sent) {
            (_, Outcome::Doubtful(_)) => {}
            (Action::Create { .. }, sent) => {
                undo_create(entry, sent, before, now, indexes, &mut undo)
            }
            (Action::Delete { target }, Outcome::Done | Outcome::Lost) => {
                let index = indexes.of(*target).unwrap_or(0);
                restore(index, before, now, &mut restored, &mut undo);
            }
            (Action::Delete { .. }, _) => {}
            (action, Outcome::Refused) if !is_group(action) => {}
            (action, _) => undo_facts(&action.facts(indexes), before, now, &mut undo),
        }
    }
    if undo.actions.is_empty() && round > 0 {
        collateral(journal, before, now, indexes, &mut undo);
    }
    undo
}

/// Requests that carry several attributes may have taken effect in part although they were refused (K31).
fn is_group(action: &Action) -> bool {
    matches!(action, Action::Data { .. } | Action::Port { .. } | Action::Flags { .. })
}

fn undo_create(
    entry: &Entry,
    sent: &Outcome,
    before: &Snapshot,
    now: &Snapshot,
    indexes: &Indexes,
    undo: &mut Undo,
) {
    let Action::Create { target, new, .. } = &entry.action else { return };
    match (sent, indexes.of(*target)) {
        (Outcome::Refused | Outcome::Doubtful(_), _) => {}
        (_, Some(index)) => {
            if now.link_by_index(index).is_some() {
                undo.actions.push(Action::Delete { target: Target::Live { index, generation: 0 } });
            }
        }
        (_, None) => {
            // Neither the acknowledgement nor the echo arrived. An interface of this name may be ours or another
            // program's: it is left alone, and said so.
            let name = new.name();
            let new =
                now.link_by_name(name).filter(|link| before.link_by_index(link.index()).is_none());
            undo.residue.extend(new.map(|_| Residue {
                what: format!("interface `{name}`, which may be ours or another program's"),
                was: "none".to_owned(),
                is: "there".to_owned(),
                failure: None,
            }));
        }
    }
}

fn undo_facts(facts: &[Fact], before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let mut group: Vec<Action> = Vec::new();
    for fact in facts {
        if now.link_by_index(fact.index).is_none() {
            continue;
        }
        let (was, is) = (fact.state(before), fact.state(now));
        let back = Fact { want: was.clone(), ..fact.clone() };
        if back.agrees(is.as_ref()) || !fact.agrees(is.as_ref()) {
            continue;
        }
        match (before.link_by_index(fact.index), Action::for_fact(&exact(&back, before))) {
            // What was set on an interface that this commit created goes with it.
            (None, _) => {}
            (Some(_), Some(action)) => join(&mut group, action),
            (Some(_), None) => undo.residue.push(Residue {
                what: fact.title(before),
                was: super::fact::text(was.as_ref()),
                is: super::fact::text(is.as_ref()),
                failure: None,
            }),
        }
    }
    undo.actions.extend(group.into_iter().flat_map(Action::requests));
}

/// Puts flags and options that go back together into one request.
fn join(group: &mut Vec<Action>, action: Action) {
    match (group.last_mut(), &action) {
        (Some(last), action) if last.target() != action.target() => group.push(action.clone()),
        (Some(Action::Flags { flags, mask, .. }), Action::Flags { flags: f, mask: m, .. }) => {
            *flags = LinkFlags(flags.0 | f.0);
            *mask = LinkFlags(mask.0 | m.0);
        }
        (Some(Action::Data { options, .. }), Action::Data { options: more, .. })
        | (Some(Action::Port { options, .. }), Action::Port { options: more, .. }) => {
            for (id, _, value) in more.fields() {
                options.set(id, value.clone());
            }
        }
        _ => group.push(action),
    }
}

/// An address goes back with everything that it was, not only with what was named.
fn exact(fact: &Fact, before: &Snapshot) -> Fact {
    let Field::Address(spec) = &fact.field else { return fact.clone() };
    let whole = before.address(&spec.key(fact.index)).and_then(AddressSpec::of);
    let there = whole.is_some();
    let want = if fact.want.is_some() || there { there.then_some(Value::Present) } else { None };
    Fact { index: fact.index, field: Field::Address(whole.unwrap_or_else(|| spec.clone())), want }
}

/// Brings back a deleted interface, with its index (K50), and what went with it.
fn restore(
    index: u32,
    before: &Snapshot,
    now: &Snapshot,
    done: &mut BTreeSet<u32>,
    undo: &mut Undo,
) {
    let mut with = rules::goes_with(index, before);
    with.push(index);
    // Lower before upper: the reverse of the order in which they went.
    for index in with.into_iter().rev().collect::<Vec<_>>() {
        let Some(old) = before.link_by_index(index).filter(|_| done.insert(index)) else {
            continue;
        };
        match now.link_by_index(index) {
            Some(new) if new.kind() != old.kind() => undo.residue.push(Residue {
                what: format!("interface `{}` with index {index}", old.name()),
                was: "there".to_owned(),
                is: format!("`{}` has that index", new.name()),
                failure: None,
            }),
            Some(new) => undo.actions.extend(differences(old, new, before, now)),
            None => {
                let peer = (old.kind() == Some("veth"))
                    .then(|| before.link_by_index(old.link()?))
                    .flatten();
                done.extend(peer.map(Link::index));
                undo.actions.push(recreate(old, peer));
            }
        }
    }
}

fn recreate(old: &Link, peer: Option<&Link>) -> Action {
    let mut new = NewLink::with_kind(old.name(), old.kind().unwrap_or_default());
    new.record = creation(old);
    new.peer = peer.map(creation);
    match old.record().value(row::DATA) {
        Some(Value::Nested(options)) if peer.is_none() => {
            new.data = Some(rules::needed_at_creation(options))
        }
        Some(raw @ Value::Bytes(_)) => new.record.set(row::DATA, raw.clone()),
        _ => {}
    }
    let live = |index| Target::Live { index, generation: 0 };
    let lower = rules::lower_of(old).filter(|_| peer.is_none()).map(live);
    Action::Create {
        target: live(old.index()),
        new: Box::new(new),
        lower,
        peer: peer.map(|peer| live(peer.index())),
    }
}

/// What a creation can say of an interface at once.
fn creation(old: &Link) -> Record {
    let mut record = Record::new(&crate::object::LINK);
    let kept = [
        row::INDEX,
        row::NAME,
        row::KIND,
        row::MTU,
        row::ADDRESS,
        row::NUM_TX_QUEUES,
        row::NUM_RX_QUEUES,
    ];
    for id in kept {
        if let Some(value) = old.record().value(id) {
            record.set(id, value.clone());
        }
    }
    record
}

/// Everything settable in which a restored interface still differs from what it was, in the order in which it can
/// be set.
fn differences(old: &Link, new: &Link, before: &Snapshot, now: &Snapshot) -> Vec<Action> {
    let index = old.index();
    let mut facts = Vec::new();
    for (id, row, value) in old.record().fields() {
        let later =
            [row::MASTER, row::FLAGS, row::DATA, row::PORT, row::ALTNAMES, row::LINK].contains(&id);
        if row.role == Role::Set && !later {
            facts.push(Fact { index, field: Field::Link(id), want: Some(value.clone()) });
        }
    }
    let names = old.altnames().iter();
    facts.extend(names.map(|name| Fact {
        index,
        field: Field::Altname(name.clone()),
        want: Some(Value::Present),
    }));
    facts.extend(rules::option_facts(old, row::DATA));
    facts.push(Fact {
        index,
        field: Field::Link(row::MASTER),
        want: old.record().value(row::MASTER).cloned(),
    });
    for port in before.ports_of(index) {
        let want = Some(Value::Number(index.into()));
        facts.push(Fact { index: port.index(), field: Field::Link(row::MASTER), want });
        facts.extend(rules::port_options(port, before));
    }
    if new.master().is_some() {
        facts.extend(rules::forgotten_by_ports(index, before));
    }
    for address in
        before.addresses_of(index).into_iter().filter(|address| !rules::made_by_kernel(address))
    {
        let field = AddressSpec::of(address).map(Field::Address);
        facts.extend(field.map(|field| Fact { index, field, want: Some(Value::Present) }));
    }
    const FLAGS: u32 = LinkFlags::NOARP.0
        | LinkFlags::PROMISC.0
        | LinkFlags::ALLMULTI.0
        | LinkFlags::MULTICAST.0
        | LinkFlags::DYNAMIC.0
        | LinkFlags::UP.0;
    facts.extend((0..32).map(|bit| 1 << bit).filter(|bit| FLAGS & bit != 0).map(|bit| Fact {
        index,
        field: Field::Flag(bit),
        want: Some(Value::Number(u64::from(old.flags().0 & bit != 0))),
    }));
    let differs =
        facts.iter().filter(|fact| now.link_by_index(fact.index).is_some() && !fact.holds(now));
    joined(differs)
}

/// The actions that make facts so, those of one kind in one request.
fn joined<'a>(facts: impl Iterator<Item = &'a Fact>) -> Vec<Action> {
    let mut group = Vec::new();
    facts.filter_map(Action::for_fact).for_each(|action| join(&mut group, action));
    group.into_iter().flat_map(Action::requests).collect()
}

/// What the kernel changed along with what this commit asked for, and did not change back with it.
fn collateral(
    journal: &[Entry],
    before: &Snapshot,
    now: &Snapshot,
    indexes: &Indexes,
    undo: &mut Undo,
) {
    let mut touched = BTreeSet::new();
    let mut readdressed = BTreeSet::new();
    let mut followed = BTreeSet::new();
    for entry in journal.iter().filter(|entry| matches!(entry.sent, Outcome::Done | Outcome::Lost))
    {
        let Some(index) = indexes.of(entry.action.target()) else { continue };
        along(index, &entry.action, before, now, undo);
        match &entry.action {
            Action::Flags { mask, .. } if mask.contains(LinkFlags::UP) => touched.insert(index),
            Action::Master { master, .. } => {
                followed.extend(master.and_then(|master| indexes.of(master)));
                touched.insert(index)
            }
            Action::Set { id: row::MTU | row::ADDRESS, .. } | Action::Delete { .. } => {
                touched.insert(index)
            }
            Action::AddAddress { .. }
            | Action::DelAddress { .. }
            | Action::Set { id: row::NAME, .. } => readdressed.insert(index),
            _ => false,
        };
    }
    for index in touched {
        fell(index, before, now, undo);
        masters(index, before, undo, now);
    }
    for index in followed {
        master(index, before, now, undo);
    }
    for index in readdressed {
        fell(index, before, now, undo);
        undo.actions.extend(rules::misplaced(index, before, now));
    }
}

/// What the kernel forgot or moved in silence with one action.
fn along(index: u32, action: &Action, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let master = |snapshot: &Snapshot| snapshot.link_by_index(index).and_then(Link::master);
    let facts = match action {
        Action::Master { .. } if master(before) == master(now) => {
            rules::forgotten_by_ports(index, before)
        }
        Action::Data { options, .. } => {
            stp_delay(index, options, before, now).into_iter().collect()
        }
        _ => return,
    };
    let there = |fact: &&Fact| now.link_by_index(fact.index).is_some() && !fact.holds(now);
    undo.actions.extend(joined(facts.iter().filter(there)));
}

fn stp_delay(index: u32, named: &Record, before: &Snapshot, now: &Snapshot) -> Option<Fact> {
    let field = Field::Option(row::DATA, &BRIDGE, FORWARD_DELAY);
    let fact = Fact { index, field, want: None };
    let (was, is) = (fact.state(before)?, fact.state(now)?);
    rules::stp_moved_delay(named, was.number()?, is.number()?)
        .then_some(Fact { want: Some(was), ..fact })
}

fn fell(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    if now.link_by_index(index).is_none() {
        return;
    }
    let target = Target::Live { index, generation: 0 };
    let specs = rules::ipv6_that_fell(index, before, now)
        .into_iter()
        .chain(rules::ipv4_that_fell(index, before, now));
    undo.actions.extend(specs.map(|spec| Action::AddAddress { target, spec }));
}

/// The masters of a port that this commit touched: those that take something from their ports get back what they
/// had, where the kernel and nobody else has set it.
fn masters(port: u32, before: &Snapshot, undo: &mut Undo, now: &Snapshot) {
    let of = |snapshot: &Snapshot| snapshot.link_by_index(port).and_then(Link::master);
    for index in [of(before), of(now), Some(port)].into_iter().flatten().collect::<BTreeSet<_>>() {
        master(index, before, now, undo);
    }
}

fn master(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let (Some(old), Some(new)) = (before.link_by_index(index), now.link_by_index(index)) else {
        return;
    };
    if !rules::follows_ports(old) {
        return;
    }
    for id in rules::FOLLOWS_PORTS {
        let want = old.record().value(id).cloned();
        let fact = Fact { index, field: Field::Link(id), want };
        if !fact.holds(now) && rules::kernel_chose(new, id, now) {
            undo.actions.extend(Action::for_fact(&fact));
        }
    }
}
