//! Going back: fills a draft with what makes the state of its base into another one, where a selection says so.
//!
//! Sets are compared, not histories; it does not matter who changed what. Only what a program can set is named, and of
//! the objects only those that programs make. The commit of such a draft is one like any other.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Fact, Field};
use super::focus::Focus;
use super::selection::{Parts, Selection};
use super::undo::{blueprint, wanted};
use super::{AddressSpec, Draft, Refusal, Target, kinds, ports, rules};
use crate::object::kinds::NewLink;
use crate::object::link::{LINK, LinkFlags, row};
use crate::object::{BridgeVlan, Form, Link, LinkRef, Record, Role, Value};
use crate::state::{ObjectKey, Snapshot};

impl Draft {
    /// Names what makes the base into `target`, as far as `selection` speaks of it. Gives what cannot be brought back;
    /// everything else is named all the same.
    pub fn revert_to(&mut self, target: &Snapshot, selection: &Selection) -> Vec<Refusal> {
        self.revert(target, selection, Focus(None))
    }

    /// As [`Draft::revert_to`], of these objects only.
    pub fn revert_these(
        &mut self,
        target: &Snapshot,
        selection: &Selection,
        only: &BTreeSet<ObjectKey>,
    ) -> Vec<Refusal> {
        self.revert(target, selection, Focus(Some(only)))
    }

    fn revert(
        &mut self,
        target: &Snapshot,
        selection: &Selection,
        focus: Focus<'_>,
    ) -> Vec<Refusal> {
        let now = self.base().clone();
        let mut revert = Revert {
            target,
            now: &now,
            selection,
            focus,
            draft: self,
            places: BTreeMap::new(),
            left: Vec::new(),
        };
        revert.links();
        let Revert { places, mut left, .. } = revert;
        self.revert_keyed(target, selection, focus, &|index| future(&places, index), &mut left);
        left
    }
}

/// Where an interface of the target state is, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is there, perhaps under another index.
    There(Target),
    /// It is to be created, and to have the index that it had, if nobody else has it.
    New(Target, Option<u32>),
    /// It is not there, and does not come back.
    Gone,
}

impl Place {
    fn target(self) -> Option<Target> {
        match self {
            Place::There(target) | Place::New(target, _) => Some(target),
            Place::Gone => None,
        }
    }
}

/// The index that an interface of the target state will have.
fn future(places: &BTreeMap<u32, Place>, index: u32) -> Option<u32> {
    match places.get(&index)? {
        Place::There(Target::Live { index, .. }) => Some(*index),
        Place::New(_, index) => *index,
        _ => None,
    }
}

struct Revert<'a> {
    target: &'a Snapshot,
    now: &'a Snapshot,
    selection: &'a Selection,
    focus: Focus<'a>,
    draft: &'a mut Draft,
    /// Of each interface of the target state.
    places: BTreeMap<u32, Place>,
    left: Vec<Refusal>,
}

impl<'a> Revert<'a> {
    fn links(&mut self) {
        self.find_places();
        self.report_unknown();
        if self.selection.exactly {
            self.remove_extra();
        }
        let selected: Vec<(u32, Parts)> = self.selected().collect();
        self.rename(&selected);
        self.create(&selected);
        // A master is named before the options that its ports have.
        for part in [Self::master, Self::attributes, Self::ports, Self::addresses] {
            for (index, parts) in &selected {
                let place = self.places.get(index).copied().unwrap_or(Place::Gone);
                if let Some(link) = self.target.link_by_index(*index) {
                    part(self, link, place, *parts);
                }
            }
        }
        self.all_vlans();
    }

    /// What of the target state is spoken of. Both ends of a veth come back together.
    fn selected(&self) -> impl Iterator<Item = (u32, Parts)> + use<'_> {
        self.target.links().filter_map(|link| {
            let own = self.parts_of(link);
            let peer = || peer(link, self.target).map(|peer| self.parts_of(peer));
            let is_gone = self.places.get(&link.index()) == Some(&Place::Gone);
            let with_peer = is_gone && peer().is_some_and(|parts| parts.link);
            let parts = if with_peer { Parts::ALL } else { own };
            (parts != Parts::default()).then_some((link.index(), parts))
        })
    }

    /// What of an interface of the target state is spoken of, as far as this goes.
    fn parts_of(&self, link: &Link) -> Parts {
        let parts = self.selection.parts_of(link);
        Parts { link: parts.link && self.focus.link(link.index()), ..parts }
    }

    fn find_places(&mut self) {
        for link in self.target.links() {
            let same = self
                .now
                .link(LinkRef::Handle { index: link.index(), generation: link.generation() });
            let heir = || heir(link, self.target, self.now);
            let place = match same.or_else(heir) {
                Some(there) => Place::There(Target::of(there)),
                None => Place::Gone,
            };
            self.places.insert(link.index(), place);
        }
    }

    fn report_unknown(&mut self) {
        for (which, _) in &self.selection.links {
            if self.target.link(which.clone()).is_none() && self.now.link(which.clone()).is_none() {
                self.left.push(Refusal::Unknown(which.to_string()));
            }
        }
    }

    /// Interfaces that the target state does not have go, but for hardware.
    fn remove_extra(&mut self) {
        let known: BTreeSet<Target> =
            self.places.values().filter_map(|place| place.target()).collect();
        for link in self.now.links() {
            let target = Target::of(link);
            let is_spoken_of = self.selection.parts_of(link).link && self.focus.link(link.index());
            if is_spoken_of && link.kind().is_some() && !known.contains(&target) {
                let removed = self.draft.remove(target);
                self.left.extend(removed.err());
            }
        }
    }

    /// Names first, all at once: they may go in a circle.
    fn rename(&mut self, selected: &[(u32, Parts)]) {
        for (index, _) in selected.iter().filter(|(_, parts)| parts.link) {
            let (Some(old), Some(place)) =
                (self.target.link_by_index(*index), self.places.get(index).copied())
            else {
                continue;
            };
            let renamed = self.present(place).is_some_and(|new| new.name() != old.name());
            if let Some(target) = place.target().filter(|_| renamed) {
                self.draft.edit(target).set.set(row::NAME, old.name().into());
            }
        }
    }

    /// What is gone comes back, lower before upper.
    fn create(&mut self, selected: &[(u32, Parts)]) {
        let mut gone: Vec<u32> = selected
            .iter()
            .filter(|(index, parts)| parts.link && self.places.get(index) == Some(&Place::Gone))
            .map(|(index, _)| *index)
            .collect();
        gone.sort_by_key(|index| rules::height(*index, self.target));
        for index in gone {
            // The other end of a pair has come with the first.
            if self.places.get(&index) != Some(&Place::Gone) {
                continue;
            }
            if let Some(link) = self.target.link_by_index(index) {
                if let Err(refusal) = self.create_one(link) {
                    self.left.push(refusal);
                }
            }
        }
    }

    fn create_one(&mut self, link: &Link) -> Result<(), Refusal> {
        let peer = peer(link, self.target);
        let cannot = link.kind().is_none() || kinds::is_pair(link.kind()) && peer.is_none();
        if cannot {
            return Err(Refusal::Unknown(link.name().to_owned()));
        }
        let (link, peer) = kinds::primary_first(link, peer);
        let mut new = remade(link, peer);
        let index = self.free_index(link, &mut new.record);
        let peer_index = peer.and_then(|peer| self.free_index(peer, new.peer.as_mut()?));
        if let Some(lower) = rules::lower_of(link).filter(|_| peer.is_none()) {
            self.put_on(&mut new, lower)?;
        }
        let created = self.draft.create(new)?;
        self.draft.edit(created).as_it_was = true;
        self.places.insert(link.index(), Place::New(created, index));
        if let (Some(peer), Some(end)) = (peer, self.draft.peer_of(created)) {
            self.draft.edit(end).as_it_was = true;
            self.places.insert(peer.index(), Place::New(end, peer_index));
        }
        Ok(())
    }

    /// An interface gets the index that it had, unless another one has it now.
    fn free_index(&self, link: &Link, new: &mut Record) -> Option<u32> {
        let is_free = self.now.link_by_index(link.index()).is_none();
        if !is_free {
            new.remove(row::INDEX);
        }
        is_free.then_some(link.index())
    }

    fn put_on(&self, new: &mut NewLink, lower: u32) -> Result<(), Refusal> {
        let place = self.places.get(&lower).and_then(|place| place.target());
        let target = place.ok_or_else(|| Refusal::Unknown(rules::name(lower, self.target)))?;
        new.link = Some(match target {
            Target::Live { index, generation } => LinkRef::Handle { index, generation },
            Target::New(number) => LinkRef::New(number),
        });
        Ok(())
    }

    fn attributes(&mut self, old: &Link, place: Place, parts: Parts) {
        let Some(at) = place.target().filter(|_| parts.link) else { return };
        let present = self.present(place);
        let mut facts = wanted(old);
        facts.extend(present.into_iter().flat_map(|new| surplus(old, new)));
        facts.extend(rules::option_facts(old, row::PORT));
        // What the kernel chose it chooses again.
        let chosen = present.is_none()
            && rules::follows_ports(old)
            && rules::kernel_chose(old, row::MTU, self.target);
        facts.retain(|fact| !(chosen && fact.field == Field::Link(row::MTU)));
        // Its name it has by now, and what its creation says.
        let said = present.is_none().then(|| remade(old, None));
        facts.retain(|fact| match (&fact.field, &said) {
            (Field::Link(row::NAME), _) => false,
            // It comes down into the world.
            (Field::Flag(bit), Some(_)) if *bit == LinkFlags::UP.0 => old.is_up(),
            (Field::Link(id), Some(said)) => said.record.value(*id).is_none(),
            (Field::Option(row::DATA, _, id), Some(said)) => {
                said.data.as_ref().is_none_or(|data| data.value(*id).is_none())
            }
            _ => true,
        });
        // What its master gives it when it joins is not set before: it would be what it gets back when it leaves.
        if present.and_then(Link::master) != old.master() {
            facts.retain(|fact| !ports::given_by_master(old, fact, self.target));
        }
        // Below 1280 bytes there is no IPv6 on it that this could be said to (EAFNOSUPPORT); with the mtu it comes back.
        if present.is_some_and(|new| new.mtu() < 1280) {
            facts.retain(|fact| fact.field != Field::Link(row::ADDR_GEN_MODE));
        }
        for fact in facts {
            let differs = self.differs(&fact, place);
            match self.translated(fact) {
                Ok(fact) if differs => self.name_fact(at, &fact),
                Err(refusal) if differs => self.left.push(refusal),
                _ => {}
            }
        }
        self.altnames(old, present, at);
    }

    /// The interface as it is now.
    fn present(&self, place: Place) -> Option<&'a Link> {
        match place {
            Place::There(Target::Live { index, .. }) => self.now.link_by_index(index),
            _ => None,
        }
    }

    /// Whether what is to be is not so yet. Of what is yet to be created that is found out when it is there.
    fn differs(&self, fact: &Fact, place: Place) -> bool {
        let Some(new) = self.present(place) else { return !fact.agrees(None) };
        let here = Fact { index: new.index(), ..fact.clone() };
        match self.translated(here) {
            Ok(here) => !here.holds(self.now),
            Err(_) => true,
        }
    }

    /// The same fact with the indexes that other interfaces have now or will have.
    fn translated(&self, mut fact: Fact) -> Result<Fact, Refusal> {
        let Field::Option(_, table, id) = fact.field else { return Ok(fact) };
        let is_link =
            table.rows.get(usize::from(id)).is_some_and(|row| matches!(row.form, Form::Link));
        if let Some(Value::Number(index)) = fact.want.as_mut().filter(|_| is_link) {
            if *index != 0 {
                let old = *index as u32;
                let new = future(&self.places, old);
                *index = new.ok_or_else(|| Refusal::Unknown(rules::name(old, self.target)))?.into();
            }
        }
        Ok(fact)
    }

    fn name_fact(&mut self, at: Target, fact: &Fact) {
        let named = match &fact.field {
            Field::Link(id) => {
                let none = || LINK.rows[usize::from(*id)].none.map_or("".into(), Value::Number);
                self.draft.set(at, *id, fact.want.clone().unwrap_or_else(none))
            }
            Field::Flag(bit) => {
                let on = fact.want.as_ref().and_then(Value::number).is_some_and(|n| n != 0);
                self.draft.set_flags(at, LinkFlags(*bit), on);
                Ok(())
            }
            Field::Option(part, table, id) => {
                let Some(value) = fact.want.clone().or_else(|| rules::none(table, *id)) else {
                    return;
                };
                let mut options = Record::new(table);
                options.set(*id, value);
                match *part {
                    row::DATA => self.draft.set_data(at, &rules::with_order(options)),
                    _ => self.draft.set_port(at, &options),
                }
            }
            Field::Exists
            | Field::Altname(_)
            | Field::Address(_)
            | Field::Vlan(..)
            | Field::Tunnel(_) => Ok(()),
        };
        self.left.extend(named.err());
    }

    fn altnames(&mut self, old: &Link, new: Option<&Link>, at: Target) {
        let here = new.map(|new| new.altnames()).unwrap_or_default();
        for name in old.altnames().iter().filter(|name| !here.contains(name)) {
            let added = self.draft.altname(at, name, true);
            self.left.extend(added.err());
        }
        let extra =
            here.iter().filter(|name| self.selection.exactly && !old.altnames().contains(name));
        let extra: Vec<_> = extra.cloned().collect();
        for name in extra {
            let removed = self.draft.altname(at, &name, false);
            self.left.extend(removed.err());
        }
    }

    fn master(&mut self, old: &Link, place: Place, parts: Parts) {
        let Some(at) = place.target().filter(|_| parts.link) else { return };
        self.enslave(old, place, at);
    }

    /// Gives an interface the master that it had.
    fn enslave(&mut self, old: &Link, place: Place, at: Target) {
        let present = self.present(place).and_then(Link::master);
        let wanted = old.master().map(|master| (master, self.places.get(&master)));
        let named = match wanted {
            None if present.is_some() => None,
            None => return,
            Some((master, place)) => match place.and_then(|place| place.target()) {
                Some(Target::Live { index, .. }) if present == Some(index) => return,
                Some(target) => Some(target),
                None => {
                    let name = rules::name(master, self.target);
                    return self.left.push(Refusal::Unknown(name));
                }
            },
        };
        self.draft.edit(at).master = Some(named);
    }

    /// A master has the ports that it had.
    fn ports(&mut self, old: &Link, place: Place, parts: Parts) {
        if place.target().is_none() || !parts.link {
            return;
        }
        for port in self.target.ports_of(old.index()) {
            // Those that are spoken of themselves have their turn.
            let there = self.places.get(&port.index()).copied().unwrap_or(Place::Gone);
            let Some(at) = there.target().filter(|_| !self.selection.parts_of(port).link) else {
                continue;
            };
            let before = self.present(there).and_then(Link::master);
            self.enslave(port, there, at);
            let again =
                before.is_none_or(|master| Some(master) != future(&self.places, old.index()));
            let options = rules::option_facts(port, row::PORT).into_iter().filter(|_| again);
            for fact in options {
                match self.translated(fact) {
                    Ok(fact) => self.name_fact(at, &fact),
                    Err(refusal) => self.left.push(refusal),
                }
            }
        }
        let Some(new) = self.present(place).filter(|_| self.selection.exactly) else { return };
        for port in self.now.ports_of(new.index()) {
            let target = Target::of(port);
            let was = self.places.iter().find(|(_, place)| place.target() == Some(target));
            let is_port = was.and_then(|(index, _)| self.target.link_by_index(*index)?.master());
            let is_removed = self.draft.is_removed(target);
            if is_port != Some(old.index())
                && !is_removed
                && self.draft.edit(target).master.is_none()
            {
                self.draft.edit(target).master = Some(None);
            }
        }
    }

    /// Of what is spoken of, and of the ports of bridges that are.
    fn all_vlans(&mut self) {
        let target = self.target;
        for link in target.links() {
            let own = self.selection.parts_of(link).link;
            let master = link.master().and_then(|master| target.link_by_index(master));
            let of_bridge = master.is_some_and(|master| self.parts_of(master).link);
            let place = self.places.get(&link.index()).copied().unwrap_or(Place::Gone);
            if own || of_bridge {
                self.vlans(link, place);
            }
        }
    }

    /// Those that it had come back; others that it has been given with its bridge go, and where exactly that state is
    /// wanted, all others.
    fn vlans(&mut self, old: &Link, place: Place) {
        // What does not come back to its bridge has no VLANs, and that is said where its master is.
        let holds = |at: &Target| self.draft.check_holder(*at).is_ok();
        let Some(at) = place.target().filter(holds) else { return };
        let present = self.present(place);
        let is_fresh = self.draft.has_fresh_vlans(at, self.now);
        let indexes = [Some(old.index()), present.map(Link::index)];
        let is = |vid| present.and_then(|new| self.now.vlan(new.index(), vid));
        let same = |vlan: &&BridgeVlan| {
            !is_fresh && is(vlan.vid()).is_some_and(|own| own.on(vlan.index()) == **vlan)
        };
        let target = self.target;
        let was = target.vlans_of(old.index());
        let back: Vec<BridgeVlan> = was
            .filter(|vlan| !same(vlan) && (is_fresh || self.focus.vlan(vlan.vid(), indexes)))
            .copied()
            .collect();
        let extra: Vec<u16> = present
            .into_iter()
            .flat_map(|new| self.now.vlans_of(new.index()))
            .map(BridgeVlan::vid)
            .filter(|vid| target.vlan(old.index(), *vid).is_none())
            .filter(|vid| self.selection.exactly && self.focus.vlan(*vid, indexes))
            .collect();
        for vlan in back {
            self.draft.name_vlan(at, vlan.vid(), Some(vlan));
        }
        for vid in extra {
            self.draft.name_vlan(at, vid, None);
        }
        if is_fresh && target.vlans_of(old.index()).next().is_some() {
            self.draft.replace_vlans(at);
        }
    }

    fn addresses(&mut self, old: &Link, place: Place, parts: Parts) {
        let Some(at) = place.target().filter(|_| parts.addresses) else { return };
        let present = self.present(place);
        let programs = |snapshot: &Snapshot, index| -> Vec<AddressSpec> {
            let all = snapshot.addresses_of(index).into_iter();
            all.filter(|own| !rules::made_by_kernel(own)).filter_map(AddressSpec::of).collect()
        };
        let was = programs(self.target, old.index());
        let is = present.map(|new| programs(self.now, new.index())).unwrap_or_default();
        let focus = self.focus;
        let indexes = [Some(old.index()), present.map(Link::index)];
        let is_meant = |spec: &&AddressSpec| focus.address(spec.key(0), indexes);
        for spec in was.iter().filter(is_meant) {
            let there = is.iter().find(|own| own.key(0) == spec.key(0));
            if present.is_some_and(|new| self.is_as_it_was(spec, old, new)) {
                continue;
            }
            let replaced = there.map(|own| self.draft.del_ip(at, own.clone()));
            self.left.extend(replaced.and_then(Result::err));
            let added = self.draft.add_ip(at, spec.clone());
            self.left.extend(added.err());
        }
        if self.selection.exactly {
            let extra =
                is.into_iter().filter(|own| !was.iter().any(|spec| spec.key(0) == own.key(0)));
            for spec in extra.filter(|spec| focus.address(spec.key(0), indexes)) {
                let removed = self.draft.del_ip(at, spec);
                self.left.extend(removed.err());
            }
        }
    }

    /// Whether an address is there as it was. With the name of its interface the kernel gives it another label, and
    /// with the old name the old one again (`inetdev_changename`).
    fn is_as_it_was(&self, spec: &AddressSpec, old: &Link, new: &Link) -> bool {
        let Some(address) = self.now.address(&spec.key(new.index())) else { return false };
        match address
            .label()
            .filter(|label| old.name() != new.name() && label.starts_with(new.name()))
        {
            Some(label) => spec.clone().label(label).lacks(address).is_none(),
            None => spec.lacks(address).is_none(),
        }
    }
}

/// What an interface is made from again. What stands on another one may not be wider than that is when it is made.
fn remade(link: &Link, peer: Option<&Link>) -> NewLink {
    let mut new = blueprint(link, peer);
    let stands = !kinds::is_pair(link.kind()) && rules::lower_of(link).is_some();
    // A bridge keeps an mtu against its ports only when it is set, not when it is made with it.
    if stands || rules::follows_ports(link) {
        new.record.remove(row::MTU);
    }
    new
}

/// The other end of a veth pair, where both are in this namespace.
fn peer<'a>(link: &Link, of: &'a Snapshot) -> Option<&'a Link> {
    let is_here = kinds::is_pair(link.kind()) && link.record().value(row::LINK_NETNSID).is_none();
    of.link_by_index(link.link()?).filter(|_| is_here)
}

/// Who has the name of an interface that is gone, and can be made into it.
pub(super) fn heir<'a>(old: &Link, target: &Snapshot, now: &'a Snapshot) -> Option<&'a Link> {
    let handle =
        |link: &Link| LinkRef::Handle { index: link.index(), generation: link.generation() };
    let is_gone = now.link(handle(old)).is_none();
    let heir = now.link_by_name(old.name()).filter(|heir| is_gone && heir.name() == old.name());
    heir.filter(|heir| target.link(handle(heir)).is_none() && is_alike(old, heir))
}

/// Whether an interface that has the name of one that is gone can be made into it: nothing about it differs that only
/// its creation could have said.
fn is_alike(old: &Link, new: &Link) -> bool {
    let data = |link: &Link| -> Vec<(u16, Value)> {
        let options = link.record().value(row::DATA).and_then(Value::nested);
        let fields = options.into_iter().flat_map(|options| options.fields());
        let fixed = fields.filter(|(_, row, _)| row.role == Role::Create);
        fixed.map(|(id, _, value)| (id, value.clone())).collect()
    };
    let peer_or_lower = |link: &Link| !kinds::is_pair(link.kind()) && link.link().is_some();
    old.kind().is_some() == new.kind().is_some()
        && old.kind() == new.kind()
        && data(old) == data(new)
        && peer_or_lower(old) == peer_or_lower(new)
}

/// What is said of an interface now and was not said then, and can be taken back.
fn surplus(old: &Link, new: &Link) -> Vec<Fact> {
    let index = old.index();
    let told =
        |id: u16| [row::MASTER, row::FLAGS, row::DATA, row::PORT, row::ALTNAMES].contains(&id);
    let own = new.record().fields().filter(|(id, row, value)| {
        let can_go = row.none.is_some() || matches!(value, Value::Text(_));
        row.role == Role::Set && can_go && !told(*id) && old.record().value(*id).is_none()
    });
    let mut facts: Vec<Fact> =
        own.map(|(id, ..)| Fact { index, field: Field::Link(id), want: None }).collect();
    let same_master = old.master() == new.master();
    for part in [row::DATA, row::PORT].into_iter().filter(|part| *part == row::DATA || same_master)
    {
        let was = rules::option_facts(old, part);
        let is = rules::option_facts(new, part).into_iter();
        let gone = is.filter(|fact| !was.iter().any(|own| own.field == fact.field));
        facts.extend(gone.map(|fact| Fact { index, want: None, ..fact }));
    }
    facts
}
