//! The manners of HSR and PRP interfaces, which stand on two or three ports that they are made with: when one of these goes they
//! lose it, with the last one they go, and none can be given to them later (`hsr_netdev_notify`, seen on 6.12). Their ports do
//! not have them for masters.

use std::collections::BTreeSet;

use crate::object::kinds::HSR;
use crate::object::kinds::hsr::row as hsr;
use crate::object::{Link, Table};
use crate::state::Snapshot;

use super::Target;
use super::action::Action;
use super::commit::Residue;
use super::rules;

/// The indexes of its ports, if it is one.
pub(super) fn ports_of(link: &Link) -> impl Iterator<Item = u32> {
    link.hsr().into_iter().flat_map(|hsr| hsr.ports())
}

/// Whether it goes with this port, when all that is in `going` goes.
pub(super) fn falls_with(link: &Link, port: u32, going: &BTreeSet<u32>) -> bool {
    ports_of(link).any(|own| own == port) && ports_of(link).all(|own| going.contains(&own))
}

/// Those that lose a port when all of these are `gone`, and are not gone themselves.
pub(super) fn over(gone: &BTreeSet<u32>, now: &Snapshot) -> Vec<u32> {
    let loses = |link: &&Link| ports_of(link).any(|own| gone.contains(&own));
    let left = now.links().filter(loses).map(Link::index);
    left.filter(|index| !gone.contains(index)).collect()
}

/// Those that have gone because this commit has `taken` their ports: they come back as if their deletion had been asked for.
pub(super) fn fallen<'a>(
    taken: &BTreeSet<u32>,
    seen: &'a Snapshot,
    now: &Snapshot,
) -> Vec<&'a Link> {
    let fell = |link: &&Link| {
        ports_of(link).next().is_some() && ports_of(link).all(|own| taken.contains(&own))
    };
    let gone = |link: &&Link| now.link_by_index(link.index()).is_none();
    seen.links().filter(fell).filter(gone).collect()
}

/// Those that have lost ports because this commit has `taken` them, where these are there again: they can only be made anew.
pub(super) fn to_remake(taken: &BTreeSet<u32>, before: &Snapshot, now: &Snapshot) -> Vec<Action> {
    let is_back =
        |port: u32| now.link_by_index(port).is_some() && !rules::is_replaced(port, before, now);
    let torn = torn(taken, before, now).filter(|(old, _)| ports_of(old).all(is_back));
    torn.map(|(old, _)| Action::Delete { target: Target::of(old) }).collect()
}

/// Those that cannot be made anew, because a port has not come back.
pub(super) fn left(taken: &BTreeSet<u32>, before: &Snapshot, now: &Snapshot) -> Vec<Residue> {
    let names = |link: &Link, of: &Snapshot| {
        let names: Vec<_> = ports_of(link).map(|port| rules::name(port, of)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let torn = torn(taken, before, now).map(|(old, new)| Residue {
        what: format!("ports of `{}`", old.name()),
        was: names(old, before),
        is: names(new, now),
        failure: None,
    });
    torn.collect()
}

/// As they were and as they are.
fn torn<'a>(
    taken: &'a BTreeSet<u32>,
    before: &'a Snapshot,
    now: &'a Snapshot,
) -> impl Iterator<Item = (&'a Link, &'a Link)> {
    let ours = before.links().filter(|old| ports_of(old).any(|port| taken.contains(&port)));
    ours.filter_map(|old| {
        let new = now.link_by_index(old.index())?;
        let differs = old.generation() == new.generation() && ports_of(old).ne(ports_of(new));
        differs.then_some((old, new))
    })
}

/// What no kernel up to 6.12 tells, although it takes it: `hsr_fill_info` has two ports.
pub(super) fn is_untold(table: &Table, id: u16) -> bool {
    table == &HSR && id == hsr::INTERLINK
}
