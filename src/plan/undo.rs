//! Undoing: what a commit has changed and nobody else changed since, newest first.
//!
//! It is found by looking, not by remembering: for each fact of each request that was, or may have been, carried
//! out, the state now is compared with the state before and with what the request wanted. As before: nothing to
//! do. As wanted: it is ours, and goes back. Anything else: another program has set it since, and it stays (P4).

use std::collections::BTreeSet;

use super::action::{Action, Indexes, Origin};
use super::commit::Residue;
use super::fact::{Fact, Field};
use super::keyed::Causes;
use super::{AddressSpec, Failure, Target, bridge_vlans, kinds, ports, rings, rules};
use crate::object::kinds::bridge::row::FORWARD_DELAY;
use crate::object::kinds::{BRIDGE, NewLink, gets_mtu_of_lower};
use crate::object::link::{LinkFlags, row};
use crate::object::{Address, Link, Record, Role, Value};
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
    /// Whether an interface is still in another namespace, from where it may be sent back.
    pub(super) abroad: bool,
}

/// An address that undoing takes away for a while: the index of its interface, and as what it comes back.
pub(super) type Withdrawn = (u32, AddressSpec);

/// Compares and says what is left to undo. Deleted interfaces come back as they were `last_seen`, and addresses that were
/// `withdrawn`. Collateral changes are judged when what caused them has been undone, or in the `last` round, when it could
/// not be.
pub(super) fn undo(
    journal: &[Entry],
    before: &Snapshot,
    last_seen: &Snapshot,
    now: &Snapshot,
    (indexes, withdrawn): (&Indexes, &[Withdrawn]),
    last: bool,
) -> Undo {
    let mut undo = Undo { actions: Vec::new(), residue: Vec::new(), abroad: false };
    let own: Vec<Fact> = journal
        .iter()
        .filter(|entry| !is_about_existence(&entry.action))
        .flat_map(|entry| entry.action.facts(indexes))
        .collect();
    let mut restore = Restore { before, last_seen, now, own: &own, done: BTreeSet::new(), last };
    for entry in journal.iter().rev() {
        match (&entry.action, &entry.sent) {
            // What is made in another namespace is undone there.
            (_, Outcome::Doubtful(_)) | (Action::CreateIn { .. }, _) => {}
            (Action::Create { .. }, sent) => {
                undo_create(entry, sent, before, now, indexes, &mut undo)
            }
            (Action::Delete { target }, Outcome::Done | Outcome::Lost) => {
                let index = indexes.of(*target).unwrap_or(0);
                restore.bring_back(index, &mut undo);
            }
            (Action::Delete { .. }, _) => {}
            // Of a refused one part may have taken effect (K31): it is gone, and not called as it was to be.
            (Action::Move { target, .. }, _) => {
                restore.have_returned(indexes.of(*target).unwrap_or(0), &mut undo)
            }
            (Action::Arrive { target, origin, .. }, _) => {
                send_back(indexes.of(*target), origin, now, &mut undo)
            }
            // It has left its former master before the new one refuses it (`do_set_master`).
            (Action::Master { target, .. }, Outcome::Refused) => {
                let left = indexes.of(*target).map(|index| Fact {
                    index,
                    field: Field::Link(row::MASTER),
                    want: Some(Value::Number(0)),
                });
                undo_facts(left.as_slice(), &own, before, now, &mut undo);
            }
            (action, Outcome::Refused) if !is_group(action) => {}
            (action, _) => undo_facts(&action.facts(indexes), &own, before, now, &mut undo),
        }
    }
    return_withdrawn(withdrawn, indexes, &mut undo);
    // What has just come back takes its options, such as the mode of a bond, before it has ports.
    undo.actions.retain(|action| last || !joins_what_is_not_there(action, now));
    join_in_order(&mut undo.actions);
    let actions = ports::options_before_ports(std::mem::take(&mut undo.actions)).into_iter();
    let whole = actions.map(|action| ports::whole_maps(action, now));
    undo.actions = whole.flat_map(|action| ports::lowered(action, now)).collect();
    park_names(&mut undo.actions, now);
    if !undo.actions.is_empty() && !last {
        return undo;
    }
    let taken = all_taken(journal, before, indexes);
    if !last {
        undo.actions = remakes(journal, (before, now), indexes, &taken);
    }
    if undo.actions.is_empty() || last {
        undo.residue.extend(other_types(journal, before, now, indexes));
        undo.residue.extend(rings::left(&taken, before, now));
        collateral(journal, (before, now), indexes, taken, &mut undo);
    }
    undo
}

/// Ports join again by their indexes, most likely as they did: the first is the one that a bond uses.
fn join_in_order(actions: &mut [Action]) {
    let joins = |action: &Action| matches!(action, Action::Master { master: Some(_), .. });
    let places: Vec<_> = (0..actions.len()).filter(|at| joins(&actions[*at])).collect();
    let mut joining: Vec<_> = places.iter().map(|at| actions[*at].clone()).collect();
    joining.sort_by_key(Action::target);
    places.into_iter().zip(joining).for_each(|(at, action)| actions[at] = action);
}

fn joins_what_is_not_there(action: &Action, now: &Snapshot) -> bool {
    match action {
        Action::Master { master: Some(Target::Live { index, .. }), .. } => {
            now.link_by_index(*index).is_none()
        }
        _ => false,
    }
}

/// Bonds and teams, HSR and PRP interfaces, that can be as before only when they are made anew: they are deleted, which is undone
/// in its turn.
fn remakes(
    journal: &[Entry],
    (before, now): (&Snapshot, &Snapshot),
    indexes: &Indexes,
    taken: &BTreeSet<u32>,
) -> Vec<Action> {
    let lost = masters(journal, before, indexes)
        .filter(|old| ports::has_lost_its_type(old, before, now))
        .map(|old| Action::Delete { target: Target::of(old) });
    lost.chain(rings::to_remake(taken, before, now)).collect()
}

/// Those that have stayed of another kind than they were, which no request changes.
fn other_types(
    journal: &[Entry],
    before: &Snapshot,
    now: &Snapshot,
    indexes: &Indexes,
) -> Vec<Residue> {
    let both = |old: &'_ Link| {
        let new = now.link_by_index(old.index())?;
        let differs = old.kind() == new.kind() && old.link_type() != new.link_type();
        differs.then(|| Residue {
            what: format!("link type of `{}`", old.name()),
            was: format!("{}", old.link_type()),
            is: format!("{}", new.link_type()),
            failure: None,
        })
    };
    masters(journal, before, indexes).filter_map(both).collect()
}

/// What something was to become a port of, and may have.
fn masters<'a>(
    journal: &'a [Entry],
    before: &'a Snapshot,
    indexes: &'a Indexes,
) -> impl Iterator<Item = &'a Link> {
    let named = journal.iter().filter_map(|entry| match &entry.action {
        Action::Master { master: Some(master), .. } => indexes.of(*master),
        _ => None,
    });
    let named: BTreeSet<u32> = named.collect();
    named.into_iter().filter_map(|index| before.link_by_index(index))
}

/// The addresses that such actions take away and bring back.
pub(super) fn withdrawn_by(actions: &[Action], indexes: &Indexes) -> Vec<Withdrawn> {
    let gone: BTreeSet<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::DelAddress { target, spec, .. } => Some(spec.key(indexes.of(*target)?)),
            _ => None,
        })
        .collect();
    let added = actions.iter().filter_map(|action| added(action, indexes));
    added.filter(|(index, spec)| gone.contains(&spec.key(*index))).collect()
}

/// The address that an action adds.
pub(super) fn added(action: &Action, indexes: &Indexes) -> Option<Withdrawn> {
    match action {
        Action::AddAddress { target, spec } => Some((indexes.of(*target)?, spec.clone())),
        _ => None,
    }
}

/// What was taken away for a while, and is still away, comes back where nothing else brings it back.
fn return_withdrawn(withdrawn: &[Withdrawn], indexes: &Indexes, undo: &mut Undo) {
    let named = undo.actions.iter().filter_map(|action| added(action, indexes));
    let named: BTreeSet<_> = named.map(|(index, spec)| spec.key(index)).collect();
    let left = withdrawn.iter().filter(|(index, spec)| !named.contains(&spec.key(*index)));
    undo.actions.extend(left.map(|(index, spec)| Action::AddAddress {
        target: Target::Live { index: *index, generation: 0 },
        spec: spec.clone(),
    }));
}

/// What this commit has done to interfaces with which routes go in silence.
pub(super) fn causes(journal: &[Entry], before: &Snapshot, indexes: &Indexes) -> Causes {
    let mut causes = causes_of(carried_out(journal), before, indexes);
    for [port, master] in refused_ports(journal, before, indexes) {
        causes.links.extend(falls_with(port, before));
        causes.links.extend(falls_with(master, before));
    }
    causes
}

/// What was to become a port of a bond or team, and was refused when much of it was done (K31): the port, and the master.
fn refused_ports<'a>(
    journal: &'a [Entry],
    before: &'a Snapshot,
    indexes: &'a Indexes,
) -> impl Iterator<Item = [u32; 2]> + 'a {
    journal.iter().filter_map(|entry| match (&entry.action, &entry.sent) {
        (Action::Master { target, master: Some(master) }, Outcome::Refused) => {
            let master = indexes.of(*master)?;
            let link = before.link_by_index(master)?;
            let both = [indexes.of(*target).unwrap_or(0), master];
            ports::raises_ports(link.kind()).then_some(both)
        }
        _ => None,
    })
}

/// What the kernel has done, or may have done.
fn carried_out(journal: &[Entry]) -> impl Iterator<Item = &Action> {
    // A port that its new master refuses has left the former one.
    let is_ours = |entry: &&Entry| match entry.sent {
        Outcome::Done | Outcome::Lost => true,
        Outcome::Refused => matches!(entry.action, Action::Master { .. }),
        Outcome::Doubtful(_) => false,
    };
    journal.iter().filter(is_ours).map(|entry| &entry.action)
}

/// The same, each with the index of its interface.
fn carried_out_on<'a>(
    journal: &'a [Entry],
    indexes: &'a Indexes,
) -> impl Iterator<Item = (u32, &'a Action)> {
    carried_out(journal).filter_map(|action| Some((indexes.of(action.target())?, action)))
}

/// The interfaces that such actions delete or move away. One that moves is taken down, and may take down what stands on it.
pub(super) fn taken<'a>(
    actions: impl Iterator<Item = &'a Action>,
    indexes: &Indexes,
) -> impl Iterator<Item = u32> {
    actions.filter_map(|action| match action {
        Action::Delete { target } | Action::Move { target, .. } => indexes.of(*target),
        _ => None,
    })
}

/// Those of a commit, and what went with them.
pub(super) fn all_taken(journal: &[Entry], before: &Snapshot, indexes: &Indexes) -> BTreeSet<u32> {
    rules::all_gone_with(taken(carried_out(journal), indexes), before)
}

/// What such actions do to them.
pub(super) fn causes_of<'a>(
    actions: impl Iterator<Item = &'a Action>,
    before: &Snapshot,
    indexes: &Indexes,
) -> Causes {
    let actions: Vec<_> = actions.collect();
    let mut causes = Causes::default();
    causes.links = without_ipv6(&actions, before, indexes);
    let mut fallen = BTreeSet::new();
    let gone = rules::all_gone_with(taken(actions.iter().copied(), indexes), before);
    causes.links.extend(&gone);
    fallen.extend(gone);
    for action in actions {
        let index = indexes.of(action.target());
        readdressed(action, index, before, indexes, &mut causes.readdressed);
        let Some(index) = index else { continue };
        match action {
            Action::Flags { flags, mask, .. }
                if mask.contains(LinkFlags::UP) && !flags.contains(LinkFlags::UP) =>
            {
                causes.links.extend(falls_with(index, before));
                fallen.insert(index);
            }
            Action::Master { .. } => {
                causes.links.extend(falls_with(index, before));
                fallen.insert(index);
            }
            Action::Set { id: row::MTU, .. } => {
                causes.links.insert(index);
            }
            // Undone, it is the last one to go, and takes with it every route over the interface (K5).
            Action::AddAddress { spec, .. } if is_first_ipv4(index, spec, before) => {
                causes.links.insert(index);
            }
            Action::DelAddress { spec, .. } => {
                causes.links.insert(index);
                causes.sources.insert(spec.local());
            }
            Action::Delete { .. } => {
                causes.links.extend(before.ports_of(index).map(Link::index));
            }
            _ => {}
        }
    }
    causes.carriers = starved_by(fallen, before);
    let local = |index: &u32| before.addresses_of(*index).into_iter().map(|own| own.local());
    let gone: Vec<_> = causes.links.iter().flat_map(local).collect();
    causes.sources.extend(gone);
    causes
}

/// Interfaces that may have lost their carrier with these: their masters, the other ends of pairs, and what is stacked on
/// any of them.
fn starved_by(fallen: BTreeSet<u32>, before: &Snapshot) -> BTreeSet<u32> {
    let mut starved = fallen;
    loop {
        let masters = starved.iter().filter_map(|index| before.link_by_index(*index)?.master());
        let masters: Vec<_> = masters.collect();
        let over = |link: &&Link| {
            let below = rules::lower_of(link).or(link.link()).into_iter();
            below.chain(rings::ports_of(link)).any(|below| starved.contains(&below))
        };
        let over: Vec<_> = before.links().filter(over).map(Link::index).collect();
        let many = starved.len();
        starved.extend(masters.into_iter().chain(over));
        if starved.len() == many {
            return starved;
        }
    }
}

/// Interfaces that such an action gives another hardware address, or another `NOARP`. A bridge without an address of its own
/// has one of its ports' (`br_stp_recalculate_bridge_id`): also of one that was new, and has gone again with its index.
fn readdressed(
    action: &Action,
    index: Option<u32>,
    before: &Snapshot,
    indexes: &Indexes,
    to: &mut BTreeSet<u32>,
) {
    let master = |index: u32| before.link_by_index(index).and_then(Link::master);
    match action {
        Action::Flags { mask, .. } if mask.contains(LinkFlags::NOARP) => to.extend(index),
        Action::Set { id: row::ADDRESS | row::BROADCAST, .. } => {
            to.extend(index.and_then(master).into_iter().chain(index));
        }
        Action::Master { master: new, .. } => {
            let new = new.and_then(|new| indexes.of(new));
            to.extend(index.and_then(master).into_iter().chain(new));
        }
        Action::Delete { .. } | Action::Move { .. } => {
            let gone = index.map(|index| rules::gone_with(index, before));
            to.extend(gone.into_iter().flatten().filter_map(master));
        }
        _ => {}
    }
}

/// An interface, and the VLANs that go down with it.
fn falls_with(index: u32, before: &Snapshot) -> BTreeSet<u32> {
    let uppers = rules::stacked_on(index, before).into_iter();
    let falls = |index: &u32| before.link_by_index(*index).is_some_and(ports::rises_with_lower);
    uppers.filter(falls).chain([index]).collect()
}

fn is_first_ipv4(index: u32, spec: &AddressSpec, before: &Snapshot) -> bool {
    let is_ipv4 = |own: &&Address| own.local().is_ipv4();
    spec.local().is_ipv4() && !before.addresses_of(index).iter().any(is_ipv4)
}

/// Names that go back but are still held by another interface whose name goes back too: that one lets go first.
fn park_names(actions: &mut Vec<Action>, now: &Snapshot) {
    let renamed = |action: &Action| match action {
        Action::Set { target: Target::Live { index, .. }, id: row::NAME, value } => {
            Some((*index, value.to_string()))
        }
        _ => None,
    };
    let renames: Vec<_> = actions.iter().filter_map(renamed).collect();
    let holders: BTreeSet<u32> = renames
        .iter()
        .filter_map(|(index, name)| {
            now.link_by_name(name).map(Link::index).filter(|holder| holder != index)
        })
        .filter(|holder| renames.iter().any(|(index, _)| index == holder))
        .collect();
    let parked = holders.into_iter().map(|index| Action::Set {
        target: Target::Live { index, generation: 0 },
        id: row::NAME,
        value: rules::parked_name(index, now),
    });
    actions.splice(0..0, parked);
}

fn is_about_existence(action: &Action) -> bool {
    matches!(
        action,
        Action::Create { .. }
            | Action::CreateIn { .. }
            | Action::Delete { .. }
            | Action::Move { .. }
            | Action::Arrive { .. }
    )
}

/// What came from another namespace goes back there; what was made from there goes.
fn send_back(index: Option<u32>, origin: &Origin, now: &Snapshot, undo: &mut Undo) {
    let Some(index) = index.filter(|index| now.link_by_index(*index).is_some()) else { return };
    let target = Target::Live { index, generation: 0 };
    undo.actions.push(match origin.clone() {
        Origin::Made { .. } => Action::Delete { target },
        Origin::Moved { from: to, index, name, .. } => Action::Return { target, to, index, name },
    });
}

/// Requests that carry several attributes may have taken effect in part although they were refused (K31).
fn is_group(action: &Action) -> bool {
    matches!(
        action,
        Action::Data { .. } | Action::Port { .. } | Action::Flags { .. } | Action::Vlans { .. }
    )
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
        _ if indexes.is_gone(*target) => {}
        (_, Some(index)) => {
            // Another program may have deleted it and made its own with its index.
            if now.link_by_index(index).is_some_and(|link| link.kind() == Some(new.kind())) {
                undo.actions.push(Action::Delete { target: Target::Live { index, generation: 0 } });
            }
        }
        (_, None) => {
            // Neither the acknowledgement nor the echo arrived. An interface of this name may be ours or another
            // program's: it is left alone, and said so.
            let peer = new.peer_name().filter(|_| new.peer_place.is_none());
            for name in [Some(new.name()), peer].into_iter().flatten() {
                let link = now.link_by_name(name);
                let new = link.filter(|link| before.link_by_index(link.index()).is_none());
                undo.residue.extend(new.map(|_| Residue {
                    what: format!("interface `{name}`, which may be ours or another program's"),
                    was: "none".to_owned(),
                    is: "there".to_owned(),
                    failure: None,
                }));
            }
        }
    }
}

/// `own` are all facts of this commit.
fn undo_facts(facts: &[Fact], own: &[Fact], before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let mut group: Vec<Action> = Vec::new();
    for fact in facts {
        if rules::is_replaced(fact.index, before, now) {
            continue;
        }
        let (was, is) = (fact.state(before), fact.state(now));
        let back = Fact { want: was.clone(), ..fact.clone() };
        let back = bridge_vlans::back(back, own, now);
        let ours = fact.agrees(is.as_ref())
            || rules::is_parked(fact, is.as_ref())
            || bridge_vlans::has_lost_pvid(fact, is.as_ref(), now);
        if back.agrees(is.as_ref()) || !ours {
            continue;
        }
        // An address that is there cannot be added with other attributes.
        if let (Field::Address(spec), Some(_), Some(_)) = (&fact.field, &was, &is) {
            let target = Target::Live { index: fact.index, generation: 0 };
            let now = now.address(&spec.key(fact.index));
            undo.actions.extend(now.and_then(AddressSpec::of).map(|spec| Action::DelAddress {
                target,
                spec,
                secondary: false,
            }));
        }
        group.extend(bridge_vlans::in_the_way(fact, was.as_ref(), is.as_ref()));
        match (before.link_by_index(fact.index), Action::for_fact(&exact(&back, before))) {
            // What was set on an interface that this commit created goes with it.
            (None, _) => {}
            (Some(_), Some(action)) => join(&mut group, action),
            (Some(_), None) => undo.residue.push(Residue {
                what: fact.title(before),
                was: fact.text(was.as_ref()),
                is: fact.text(is.as_ref()),
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
        (Some(Action::Vlans { edit, vlans, .. }), Action::Vlans { edit: own, vlans: more, .. })
            if edit == own =>
        {
            vlans.extend(more)
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

/// Brings back deleted interfaces.
struct Restore<'a> {
    before: &'a Snapshot,
    /// Just before the first deletion: with what other programs have changed until then (P4).
    last_seen: &'a Snapshot,
    now: &'a Snapshot,
    /// What this commit has set itself: that goes back by its own facts.
    own: &'a [Fact],
    done: BTreeSet<u32>,
    /// Whether nothing is tried after this.
    last: bool,
}

impl Restore<'_> {
    /// Brings back an interface with its index (K50), and what went with it.
    fn bring_back(&mut self, index: u32, undo: &mut Undo) {
        let mut with = rules::goes_with(index, self.last_seen);
        with.push(index);
        // Lower before upper: the reverse of the order in which they went.
        for index in with.into_iter().rev() {
            let old = self.last_seen.link_by_index(index).filter(|_| self.done.insert(index));
            match (old, self.now.link_by_index(index)) {
                (None, _) => {}
                (Some(old), Some(new)) if rules::is_brought_back(old, new) => {
                    self.give_back(old, new, undo)
                }
                (Some(_), Some(thief)) => self.is_stolen(index, thief, undo),
                (Some(old), None)
                    if self.stands_on_another(old) || self.is_alone(old) || self.waits(old) =>
                {
                    self.is_missing(index, undo)
                }
                (Some(old), None) => {
                    let peer = kinds::is_pair(old.kind())
                        .then(|| self.last_seen.link_by_index(old.link()?))
                        .flatten();
                    self.done.extend(peer.map(Link::index));
                    undo.actions.push(recreate(old, peer, self.last_seen));
                }
            }
        }
    }

    /// An interface that went to another namespace is sent back from there, and then gets back what the kernel took from it.
    fn have_returned(&mut self, index: u32, undo: &mut Undo) {
        let old = self.last_seen.link_by_index(index).filter(|_| self.done.insert(index));
        match (old, self.now.link_by_index(index)) {
            (None, _) => {}
            (Some(old), Some(new)) if old.generation() == new.generation() => {}
            (Some(old), Some(new)) if rules::is_brought_back(old, new) => {
                self.give_back(old, new, undo)
            }
            (Some(_), Some(thief)) => self.is_stolen(index, thief, undo),
            (Some(_), None) => {
                undo.abroad = true;
                self.is_missing(index, undo);
            }
        }
    }

    /// Everything that an interface had, and has no more now that it is there again.
    fn give_back(&self, old: &Link, new: &Link, undo: &mut Undo) {
        let differences = differences(old, new, self.last_seen, self.now);
        let left = differences.into_iter().filter(|fact| !self.is_own(fact));
        // A new name gives addresses new labels: they come when the name is the old one again.
        let ready = self.last || new.name() == rules::name(old.index(), self.before);
        let left = left.filter(|fact| ready || !matches!(fact.field, Field::Address(_)));
        let left = left.filter(|fact| !self.comes_with_ports(fact, old));
        let left = left.map(|fact| self.relabel(fact, old));
        let left: Vec<_> = left.filter(|fact| !fact.holds(self.now)).collect();
        undo.actions.extend(joined(left.iter()));
    }

    /// Of a bridge that is to have its address from its ports, what waits until they have joined: the address, and being up,
    /// with which IPv6 makes an address of that.
    fn comes_with_ports(&self, fact: &Fact, old: &Link) -> bool {
        let waits = match fact.field {
            Field::Link(row::ADDRESS) => true,
            Field::Flag(flag) => flag == LinkFlags::UP.0,
            _ => false,
        };
        waits
            && fact.index == old.index()
            && !self.last
            && rules::has_address_of_ports(old, self.last_seen)
            && rules::lacks_ports(old, self.last_seen, self.now)
    }

    fn is_stolen(&self, index: u32, thief: &Link, undo: &mut Undo) {
        let name = rules::name(index, self.before);
        undo.residue.push(Residue {
            what: format!("interface `{name}` with index {index}"),
            was: "there".to_owned(),
            is: format!("`{}` has that index", thief.name()),
            failure: None,
        });
        undo.residue.extend(orphans(index, self.before, self.now));
    }

    fn is_missing(&self, index: u32, undo: &mut Undo) {
        undo.residue.push(Residue {
            what: format!("interface `{}`", rules::name(index, self.before)),
            was: "there".to_owned(),
            is: "none".to_owned(),
            failure: None,
        });
    }

    /// Whether another program has taken the index of the interface below one that is to come back.
    fn stands_on_another(&self, old: &Link) -> bool {
        rules::lowers_of(old).any(|lower| {
            self.now.link_by_index(lower).is_some()
                && rules::is_replaced(lower, self.last_seen, self.now)
        })
    }

    /// Whether a port is still to come back that one is to be made with: no later one can be given to it.
    fn waits(&self, old: &Link) -> bool {
        let is_coming = |port| self.now.link_by_index(port).is_some() || self.done.contains(&port);
        !rings::ports_of(old).all(is_coming)
    }

    /// Whether it is one end of a veth pair whose other end is in another namespace (K32): the pair cannot be made
    /// again from here.
    fn is_alone(&self, old: &Link) -> bool {
        let peer = || self.last_seen.link_by_index(old.link()?);
        kinds::is_pair(old.kind())
            && (old.record().value(row::LINK_NETNSID).is_some() || peer().is_none())
    }

    /// An interface that was between two names when it was last seen had labels after that.
    fn relabel(&self, mut fact: Fact, old: &Link) -> Fact {
        let name = rules::name(fact.index, self.before);
        if let Field::Address(spec) = &mut fact.field {
            let key = spec.key(fact.index);
            let label = self.last_seen.address(&key).and_then(|address| address.label());
            if let (true, Some(was)) = (name != old.name(), self.before.address(&key)) {
                *spec = AddressSpec::of(was).unwrap_or_else(|| spec.clone());
            } else if name != old.name() && label == Some(old.name()) {
                *spec = spec.clone().label(&name);
            }
        }
        fact
    }

    fn is_own(&self, fact: &Fact) -> bool {
        self.own.iter().any(|own| match (&own.field, &fact.field) {
            _ if own.index != fact.index => false,
            (Field::Address(own), Field::Address(spec)) => own.key(0) == spec.key(0),
            (own, field) => own == field,
        })
    }
}

/// The ports of a master that is not brought back, which are there without it.
pub(super) fn orphans(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<Residue> {
    let left = before.ports_of(index).filter(|port| {
        now.link_by_index(port.index()).is_some_and(|now| now.master() != port.master())
    });
    let residue = left.map(|port| Residue {
        what: format!("master of `{}`", port.name()),
        was: rules::name(index, before),
        is: now
            .link_by_index(port.index())
            .and_then(Link::master)
            .map_or("none".to_owned(), |master| rules::name(master, now)),
        failure: None,
    });
    residue.collect()
}

fn recreate(old: &Link, peer: Option<&Link>, of: &Snapshot) -> Action {
    let (old, peer) = kinds::primary_first(old, peer);
    let live = |index| Target::Live { index, generation: 0 };
    let lower = rules::lower_of(old).filter(|_| peer.is_none()).map(live);
    let mut new = blueprint(old, peer);
    if rules::has_address_of_ports(old, of) {
        new.record.remove(row::ADDRESS);
    }
    for (end, record) in [(Some(old), Some(&mut new.record)), (peer, new.peer.as_mut())] {
        if let (Some(mtu), Some(record)) = (end.and_then(|end| mtu_for_vxlans(end, of)), record) {
            record.set(row::MTU, Value::Number(mtu.into()));
        }
    }
    Action::Create {
        target: live(old.index()),
        new: Box::new(new),
        lower,
        peer: peer.map(|peer| live(peer.index())),
    }
}

/// With what mtu an interface is made again, where VXLANs stand on it that are wider than it allows: they have kept theirs when
/// it got a smaller one, and are not given them again while it has that (`vxlan_change_mtu`). Its own it gets after them.
fn mtu_for_vxlans(old: &Link, of: &Snapshot) -> Option<u32> {
    const OUTER: u32 = 14 + 40 + 8 + 8; // Ethernet, IPv6, UDP and VXLAN (`vxlan_headroom`)
    let uppers = of.links().filter(|link| rules::lower_of(link) == Some(old.index()));
    let vxlans = uppers.filter(|link| link.kind() == Some("vxlan"));
    let wanted = vxlans.map(|vxlan| vxlan.mtu() + OUTER).max()?;
    let below = rules::lower_of(old).and_then(|lower| Some(of.link_by_index(lower)?.mtu()));
    let most = old.max_mtu().filter(|most| *most != 0).into_iter().chain(below).min();
    Some(wanted.min(most.unwrap_or(u32::MAX))).filter(|mtu| *mtu > old.mtu())
}

/// What an interface is made from again; with the other end, if it is one end of a pair.
pub(super) fn blueprint(old: &Link, peer: Option<&Link>) -> NewLink {
    let mut new = NewLink::with_kind(old.name(), old.kind().unwrap_or_default());
    new.record = creation(old);
    new.peer = peer.map(creation);
    match old.record().value(row::DATA) {
        Some(Value::Nested(options)) if peer.is_none() || !options.is_empty() => {
            new.data = Some(rules::needed_at_creation(options))
        }
        Some(raw @ Value::Bytes(_)) => new.record.set(row::DATA, raw.clone()),
        _ => {}
    }
    new
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
        let joining = if id == row::ADDRESS { ports::address_at_joining(old) } else { None };
        let value = joining.or_else(|| old.record().value(id).cloned());
        let of_ports = id == row::ADDRESS && ports::is_of_its_ports(old);
        if let Some(value) = value.filter(|value| !is_zeros(value) && !of_ports) {
            record.set(id, value);
        }
    }
    record
}

/// Nothing can be made with a hardware address of zeros, or be told one (`is_valid_ether_addr`): who has one was not told
/// any. A bridge has it when its last port has left, and gets one by chance when it is made again, as every new one; the
/// next port gives it another.
fn is_zeros(value: &Value) -> bool {
    matches!(value, Value::Hardware(address) if address.as_bytes().iter().all(|byte| *byte == 0))
}

/// Everything settable in which a restored interface still differs from what it was, in the order in which it can
/// be set.
fn differences(old: &Link, new: &Link, before: &Snapshot, now: &Snapshot) -> Vec<Fact> {
    let index = old.index();
    let (mut facts, flags): (Vec<_>, Vec<_>) =
        wanted(old).into_iter().partition(|fact| !matches!(fact.field, Field::Flag(_)));
    let names = old.altnames().iter();
    let names = names.map(|name| Fact {
        index,
        field: Field::Altname(name.clone()),
        want: Some(Value::Present),
    });
    facts.extend(names);
    facts.push(Fact {
        index,
        field: Field::Link(row::MASTER),
        want: old.record().value(row::MASTER).cloned(),
    });
    for port in before.ports_of(index) {
        let want = Some(Value::Number(index.into()));
        facts.push(Fact { index: port.index(), field: Field::Link(row::MASTER), want });
        facts.extend(rules::option_facts(port, row::PORT));
    }
    if new.master().is_some() {
        facts.extend(rules::forgotten_by_ports(index, before));
    }
    let ports = before.ports_of(index).map(Link::index);
    facts.extend(ports.chain([index]).flat_map(|index| bridge_vlans::lost(index, before, now)));
    for address in
        before.addresses_of(index).into_iter().filter(|address| !rules::made_by_kernel(address))
    {
        let field = AddressSpec::of(address).map(Field::Address);
        facts.extend(field.map(|field| Fact { index, field, want: Some(Value::Present) }));
    }
    facts.extend(flags);
    facts.retain(|fact| now.link_by_index(fact.index).is_some() && !fact.holds(now));
    let is_alone = before.ports_of(index).next().is_none();
    if ports::is_of_its_ports(old) && old.link_type() != new.link_type() && !is_alone {
        // It has an address of that kind when its port has joined, and that one's.
        facts.retain(|fact| fact.index != index || fact.field != Field::Link(row::ADDRESS));
    }
    if old.master() != new.master() && ports::address_at_joining(old).is_some() {
        // It joins with the one that it was made with, and is then given the bond's.
        facts.retain(|fact| fact.index != index || fact.field != Field::Link(row::ADDRESS));
    }
    facts
}

/// The attributes, the options of its kind and the flags of an interface, as far as a request can set them at any time.
pub(super) fn wanted(old: &Link) -> Vec<Fact> {
    let index = old.index();
    let mut facts = Vec::new();
    for (id, row, value) in old.record().fields() {
        let later =
            [row::MASTER, row::FLAGS, row::DATA, row::PORT, row::ALTNAMES, row::LINK].contains(&id);
        if row.role == Role::Set && !later && !(id == row::ADDRESS && is_zeros(value)) {
            facts.push(Fact { index, field: Field::Link(id), want: Some(value.clone()) });
        }
    }
    facts.extend(rules::option_facts(old, row::DATA));
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
    facts
}

/// The actions that make facts so, those of one kind in one request.
fn joined<'a>(facts: impl Iterator<Item = &'a Fact>) -> Vec<Action> {
    let mut group = Vec::new();
    facts.filter_map(Action::for_fact).for_each(|action| join(&mut group, action));
    group.into_iter().flat_map(Action::requests).collect()
}

/// Interfaces by what the requests of a commit may have done to them or to what belongs to them.
#[derive(Default)]
struct Moved {
    touched: BTreeSet<u32>,
    readdressed: BTreeSet<u32>,
    renamed: BTreeSet<u32>,
    /// Masters, which take things from their ports.
    followers: BTreeSet<u32>,
    /// Ports, which get things anew when they join.
    rejoined: BTreeSet<u32>,
    /// Ports of what raises those that join, takes down those that leave, and gives all of them its mtu and address
    /// (`bond_change_mtu`, `bond_set_mac_address`).
    raised: BTreeSet<u32>,
    bonds: BTreeSet<u32>,
}

impl Moved {
    /// By one more request, for this interface.
    fn note(
        &mut self,
        index: u32,
        action: &Action,
        before: &Snapshot,
        now: &Snapshot,
        indexes: &Indexes,
    ) {
        let link = |index: u32| before.link_by_index(index).or_else(|| now.link_by_index(index));
        let raises =
            |master: Option<u32>| ports::raises_ports(master.and_then(link).and_then(Link::kind));
        self.bonds.insert(index);
        match action {
            Action::Flags { mask, .. } if mask.contains(LinkFlags::UP) => {
                self.touched.insert(index);
            }
            Action::Set { id: row::MTU | row::ADDRESS, .. } => {
                self.touched.insert(index);
                // A bond gives its ports its mtu, and what stands on them has no larger one.
                if raises(Some(index)) {
                    let ports: Vec<_> = before.ports_of(index).map(Link::index).collect();
                    self.touched.extend(&ports);
                    self.raised.extend(ports);
                }
            }
            Action::Master { master, .. } => {
                let master = master.and_then(|master| indexes.of(master));
                let former = before.link_by_index(index).and_then(Link::master);
                self.touched.insert(index);
                self.rejoined.insert(index);
                self.followers.extend([master, former].into_iter().flatten());
                self.raised.extend((raises(master) || raises(former)).then_some(index));
                self.bonds.extend([master, former].into_iter().flatten());
            }
            Action::Delete { .. } => {
                let gone = rules::gone_with(index, before);
                let ports: Vec<_> = before.ports_of(index).map(Link::index).collect();
                self.touched.extend(gone.iter().chain(&ports));
                self.raised.extend(ports.iter().filter(|_| raises(Some(index))));
                self.rejoined.extend(ports);
                self.readdressed.extend(gone);
            }
            Action::Move { .. } => {
                self.touched.insert(index);
                self.readdressed.insert(index);
                self.rejoined.extend(before.ports_of(index).map(Link::index));
            }
            Action::AddAddress { .. } | Action::DelAddress { .. } => {
                self.readdressed.insert(index);
            }
            Action::Set { id: row::NAME, .. } => {
                self.readdressed.insert(index);
                self.renamed.insert(index);
            }
            _ => {}
        }
    }

    /// By a request for a new interface that has gone again: what it was a port of has had something of it.
    fn note_gone(&mut self, action: &Action, indexes: &Indexes) {
        if let Action::Master { master: Some(master), .. } = action {
            let master = indexes.of(*master);
            self.followers.extend(master);
            self.bonds.extend(master);
        }
    }

    /// By a bond or team that has refused a port: the port has had its mtu, its address and its flags, and given them to
    /// its own ports.
    fn note_refused(&mut self, [port, master]: [u32; 2], before: &Snapshot) {
        self.touched.extend([port, master]);
        self.readdressed.insert(master);
        self.bonds.insert(master);
        self.raised.extend(before.ports_of(port).map(Link::index).chain([port]));
    }

    /// Without those whose index is another one's by now.
    fn still_there(mut self, before: &Snapshot, now: &Snapshot) -> Self {
        let sets = [
            &mut self.touched,
            &mut self.readdressed,
            &mut self.renamed,
            &mut self.followers,
            &mut self.rejoined,
            &mut self.raised,
        ];
        for set in sets {
            set.retain(|index| !rules::is_replaced(*index, before, now));
        }
        self
    }
}

/// A state before something is deleted, with what the kernel has changed of interfaces along with what this commit asked
/// for as it was before: so they come back, and not as they were seen last.
pub(super) fn without_collateral(
    journal: &[Entry],
    before: &Snapshot,
    seen: Snapshot,
    indexes: &Indexes,
) -> Snapshot {
    let mut moved = Moved::default();
    for (index, action) in carried_out_on(journal, indexes) {
        moved.note(index, action, before, &seen, indexes);
    }
    let all = reached(&moved.touched | &moved.followers, before, &seen).into_iter();
    let whole = all.filter_map(|index| {
        let (old, new) = (before.link_by_index(index)?, seen.link_by_index(index)?);
        let record = unclipped(old, new);
        (!record.same(new.record())).then(|| Link::new(record, new.generation()))
    });
    let whole: Vec<_> = whole.collect();
    seen.with_links(whole)
}

/// An interface with the mtu that what is below it has made smaller, up if that has taken it down, and with what it takes
/// from its ports, as before.
fn unclipped(old: &Link, new: &Link) -> Record {
    let mut record = new.record().clone();
    let follows = rules::follows_ports(old) || ports::takes_address(old);
    let follows_mtu =
        rules::follows_ports(old) || gets_mtu_of_lower(old.kind()) || old.hsr().is_some();
    let mtu = (new.mtu() < old.mtu() || follows_mtu).then_some(row::MTU);
    let address = follows.then_some(row::ADDRESS);
    for id in [mtu, address].into_iter().flatten() {
        match old.record().value(id) {
            Some(value) => record.set(id, value.clone()),
            None => drop(record.remove(id)),
        }
    }
    if ports::rises_with_lower(old) && old.is_up() {
        record.set(row::FLAGS, Value::Number((new.flags().0 | LinkFlags::UP.0).into()));
    }
    record
}

/// What the kernel changed along with what this commit asked for, and did not change back with it.
fn collateral(
    journal: &[Entry],
    (before, now): (&Snapshot, &Snapshot),
    indexes: &Indexes,
    taken: BTreeSet<u32>,
    undo: &mut Undo,
) {
    let mut moved = Moved { touched: taken, ..Moved::default() };
    for action in carried_out(journal) {
        let Some(index) = indexes.of(action.target()) else {
            moved.note_gone(action, indexes);
            continue;
        };
        along(index, action, before, now, undo);
        moved.note(index, action, before, now, indexes);
    }
    for index in without_ipv6(&carried_out(journal).collect::<Vec<_>>(), before, indexes) {
        made_anew(index, before, now, undo);
    }
    for both in refused_ports(journal, before, indexes) {
        undo.actions.extend(joined(ports::refused_facts(both, before, now).iter()));
        moved.note_refused(both, before);
    }
    let Moved { touched, readdressed, renamed, mut followers, rejoined, raised, bonds } =
        moved.still_there(before, now);
    for index in reached(&touched | &followers, before, now) {
        fell(index, before, now, undo);
        undo.actions.extend(joined(ports::upper_facts(index, before, now).iter()));
        let of = |snapshot: &Snapshot| snapshot.link_by_index(index).and_then(Link::master);
        let masters = [of(before), of(now), Some(index)].into_iter().flatten();
        followers.extend(masters.filter(|index| !rules::is_replaced(*index, before, now)));
    }
    for index in rejoined {
        forgotten(index, before, now, undo);
    }
    for index in bonds.into_iter().filter(|index| !rules::is_replaced(*index, before, now)) {
        let facts =
            [ports::active_fact, ports::fail_over_fact].map(|fact| fact(index, before, now));
        undo.actions.extend(facts.iter().flatten().filter_map(Action::for_fact));
    }
    for index in raised {
        undo.actions.extend(joined(ports::port_facts(index, before, now).iter()));
    }
    followers.into_iter().for_each(|index| follower(index, before, now, undo));
    for index in readdressed {
        fell(index, before, now, undo);
        misplaced(index, before, now, undo);
        undo.residue.extend(unwanted_ipv6(index, before, now));
    }
    renamed.into_iter().for_each(|index| relabelled(index, before, now, undo));
}

/// Those, what stands on them, and the masters that follow them, up to the top: a port with a smaller mtu makes that of its
/// bridge smaller, and so that of a macvlan on the bridge.
pub(super) fn reached(touched: BTreeSet<u32>, before: &Snapshot, now: &Snapshot) -> BTreeSet<u32> {
    let mut next: Vec<_> = touched.into_iter().collect();
    let mut all = BTreeSet::new();
    while let Some(index) = next.pop() {
        if rules::is_replaced(index, before, now) || !all.insert(index) {
            continue;
        }
        let master = |of: &Snapshot| {
            let master = of.link_by_index(index).and_then(Link::master);
            master.filter(|index| of.link_by_index(*index).is_some_and(rules::follows_ports))
        };
        next.extend([before, now].into_iter().filter_map(master));
        next.extend(rules::stacked_on(index, before));
    }
    all
}

/// Addresses that are there, but not in the order in which they were.
fn misplaced(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    undo.actions.extend(rules::misplaced(index, before, now));
    undo.residue.extend(rules::order_lost(index, before, now).map(|[was, is]| Residue {
        what: format!("order of the addresses of `{}`", rules::name(index, before)),
        was,
        is,
        failure: None,
    }));
}

/// Addresses that have another label since their interface was renamed.
fn relabelled(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let name = rules::name(index, before);
    let labels = rules::labels_lost(index, before, now).into_iter();
    undo.residue.extend(labels.map(|[address, was, is]| Residue {
        what: format!("label of address {address} of `{name}`"),
        was,
        is,
        failure: None,
    }));
}

/// A loopback interface that comes up gets an address. A bridge that gets or loses its spanning tree keeps its forward delay within bounds (`br_stp_set_enabled`). A bond
/// changes options that go with its mode and its way to look after ports; a tunnel whose options change gets another MTU.
fn along(index: u32, action: &Action, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    if let Action::Data { options, .. } | Action::Port { options, .. } = action {
        let moved = match action {
            Action::Data { .. } => bridge_vlans::shifted(index, options, before, now),
            _ => bridge_vlans::unswitched(index, options, before, now),
        };
        let there = |fact: &&Fact| !rules::is_replaced(fact.index, before, now);
        undo.actions.extend(joined(moved.iter().filter(there)));
    }
    if matches!(action, Action::Flags { mask, .. } if mask.contains(LinkFlags::UP)) {
        undo.actions.extend(rules::got_by_loopback(index, before, now));
    }
    let Action::Data { options, .. } = action else { return };
    let fact = stp_delay(index, options, before, now).or_else(|| mtu_of(index, options, before));
    let fact = fact.filter(|fact| !fact.holds(now) && now.link_by_index(index).is_some());
    undo.actions.extend(joined(fact.iter()));
    let moved = ports::moved_along(index, options, before);
    undo.actions.extend(joined(moved.iter().filter(|fact| !fact.holds(now))));
}

/// The MTU that a tunnel had before its options were changed.
fn mtu_of(index: u32, named: &Record, before: &Snapshot) -> Option<Fact> {
    let old = before.link_by_index(index).filter(|_| kinds::moves_mtu(named))?;
    let want = old.record().value(row::MTU).cloned();
    Some(Fact { index, field: Field::Link(row::MTU), want })
}

/// A bond that goes gives its ports their mtu back in silence (`__bond_release_one`), and so not IPv6, which comes with an
/// announced change to 1280 bytes or more.
fn told_mtu_again(index: u32, now: &Snapshot) -> Vec<Action> {
    let mtu = now.link_by_index(index).map_or(0, |link| u64::from(link.mtu()));
    if is_below_ipv6(&Value::Number(mtu)) {
        return Vec::new();
    }
    let other = if is_below_ipv6(&Value::Number(mtu - 1)) { mtu + 1 } else { mtu - 1 };
    let target = Target::Live { index, generation: 0 };
    let set = |mtu| Action::Set { target, id: row::MTU, value: Value::Number(mtu) };
    vec![set(other), set(mtu)]
}

/// Below 1280 bytes the kernel takes IPv6 from an interface, and gives it back as to a new one (`addrconf_notify`): with
/// the usual way to make addresses by itself.
fn made_anew(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let fact = Fact { index, field: Field::Link(row::ADDR_GEN_MODE), want: None };
    if rules::is_replaced(index, before, now) {
        return;
    }
    match (fact.state(before), fact.state(now)) {
        (None, _) => {}
        (Some(_), None) => undo.actions.extend(told_mtu_again(index, now)),
        (want, Some(_)) => {
            let fact = Fact { want, ..fact };
            undo.actions.extend(Action::for_fact(&fact).filter(|_| !fact.holds(now)));
        }
    }
}

/// What a bond has given its mtu back has no IPv6 (see [`told_mtu_again`]), and made again it has: nothing takes that away.
fn unwanted_ipv6(index: u32, before: &Snapshot, now: &Snapshot) -> Option<Residue> {
    let (old, new) = (before.link_by_index(index)?, now.link_by_index(index)?);
    let fact = Fact { index, field: Field::Link(row::ADDR_GEN_MODE), want: None };
    let (was, is) = (fact.state(before), fact.state(now));
    let has_more = was.is_none() && is.is_some() && old.mtu() == new.mtu();
    (has_more && rules::is_brought_back(old, new)).then(|| Residue {
        what: fact.title(before),
        was: super::fact::text(was.as_ref()),
        is: super::fact::text(is.as_ref()),
        failure: None,
    })
}

/// Interfaces that such actions have taken below 1280 bytes: what they were told, what has got a port that has less, and what
/// stands on any of them.
fn without_ipv6(actions: &[&Action], before: &Snapshot, indexes: &Indexes) -> BTreeSet<u32> {
    let link = |target: Target| before.link_by_index(indexes.of(target)?);
    let is_small = |target: Target| {
        link(target).is_some_and(|link| is_below_ipv6(&Value::Number(link.mtu().into())))
    };
    let small: Vec<_> = actions.iter().flat_map(|action| small_ends(action, is_small)).collect();
    let joined = actions.iter().filter_map(|action| match action {
        Action::Master { target, master: Some(master) } => {
            let bridge = link(*master).filter(|link| rules::follows_ports(link))?;
            (small.contains(target) || is_small(*target)).then_some(bridge.index())
        }
        _ => None,
    });
    let small = small.iter().filter_map(|target| indexes.of(*target));
    let small: BTreeSet<_> = small.chain(joined).collect();
    if small.is_empty() { small } else { reached(small, before, before) }
}

/// What such an action makes or leaves with less than 1280 bytes; a new interface has no more than what it stands on.
fn small_ends(action: &Action, is_small: impl Fn(Target) -> bool) -> Vec<Target> {
    let below = |record: &Record| record.value(row::MTU).is_some_and(is_below_ipv6);
    match action {
        Action::Set { target, id: row::MTU, value } if is_below_ipv6(value) => vec![*target],
        Action::Create { target, new, lower, peer } => {
            let own = below(&new.record) || lower.is_some_and(is_small);
            let other = new.peer.as_ref().is_some_and(below);
            own.then_some(*target).into_iter().chain(peer.filter(|_| other)).collect()
        }
        _ => Vec::new(),
    }
}

fn is_below_ipv6(mtu: &Value) -> bool {
    const IPV6_MIN_MTU: u64 = 1280;
    mtu.number().is_some_and(|mtu| mtu < IPV6_MIN_MTU)
}

fn stp_delay(index: u32, named: &Record, before: &Snapshot, now: &Snapshot) -> Option<Fact> {
    let field = Field::Option(row::DATA, &BRIDGE, FORWARD_DELAY);
    let fact = Fact { index, field, want: None };
    let (was, is) = (fact.state(before)?, fact.state(now)?);
    rules::stp_moved_delay(named, was.number()?, is.number()?)
        .then_some(Fact { want: Some(was), ..fact })
}

fn fell(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let target = Target::Live { index, generation: 0 };
    let specs = rules::ipv6_that_fell(index, before, now)
        .into_iter()
        .chain(rules::ipv4_that_fell(index, before, now));
    undo.actions.extend(specs.map(|spec| Action::AddAddress { target, spec }));
}

/// A port that has left and come back has every option anew: it gets back those that it had.
fn forgotten(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let master = |snapshot: &Snapshot| snapshot.link_by_index(index).and_then(Link::master);
    if now.link_by_index(index).is_some() && master(before) == master(now) {
        let facts = rules::forgotten_by_ports(index, before);
        let there = |fact: &&Fact| now.link_by_index(fact.index).is_some() && !fact.holds(now);
        undo.actions.extend(joined(facts.iter().filter(there)));
        undo.actions.extend(joined(bridge_vlans::lost(index, before, now).iter()));
    }
}

/// A master of a port that this commit touched: one that takes something from its ports gets back what it had, where
/// the kernel and nobody else has set it.
fn follower(index: u32, before: &Snapshot, now: &Snapshot, undo: &mut Undo) {
    let (Some(old), Some(new)) = (before.link_by_index(index), now.link_by_index(index)) else {
        return;
    };
    if !rules::follows_ports(old) && !ports::takes_address(old) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::LINK;
    use crate::object::kinds::BOND_PORT;
    use crate::object::kinds::bond::port_row;

    fn hardware(last: u8) -> Value {
        Value::Hardware([2, 0, 0, 0, 0, last].into())
    }

    fn link(index: u32, address: u8, port_of: Option<(u32, u8)>) -> Link {
        let mut record = Record::new(&LINK);
        record.set(row::INDEX, Value::Number(index.into()));
        record.set(row::NAME, format!("d{index}").as_str().into());
        record.set(row::KIND, "dummy".into());
        record.set(row::ADDRESS, hardware(address));
        if let Some((bond, joined_with)) = port_of {
            let mut port = Record::new(&BOND_PORT);
            port.set(port_row::PERM_HWADDR, hardware(joined_with));
            record.set(row::MASTER, Value::Number(bond.into()));
            record.set(row::PORT_KIND, "bond".into());
            record.set(row::PORT, Value::Nested(Box::new(port)));
        }
        Link::new(record, 1)
    }

    /// A port that was deleted and brought back had the address of its bond as its own: it had it also when it left.
    #[test]
    fn a_port_of_a_bond_comes_back_with_the_address_with_which_it_had_joined() {
        let (bond, old) = (link(8, 1, None), link(7, 1, Some((8, 2))));
        assert_eq!(creation(&old).value(row::ADDRESS), Some(&hardware(2)));
        let before = Snapshot::default().with_links(vec![bond.clone(), old.clone()]);
        let fields = |new: Link| -> Vec<Field> {
            let now = Snapshot::default().with_links(vec![bond.clone(), new.clone()]);
            differences(&old, &new, &before, &now).into_iter().map(|fact| fact.field).collect()
        };
        assert_eq!(fields(link(7, 2, None)), [Field::Link(row::MASTER)]);
        // It has joined, and another address than the bond's was its own.
        assert_eq!(fields(link(7, 3, Some((8, 2)))), [Field::Link(row::ADDRESS)]);
        // Without a bond it is as ever.
        assert_eq!(creation(&link(7, 1, None)).value(row::ADDRESS), Some(&hardware(1)));
    }
}
