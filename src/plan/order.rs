//! Order: from a draft and the state now to waves of actions.
//!
//! A wave holds actions that do not depend on each other; they are sent together. The next wave starts when
//! every one has been acknowledged. The phases, top to bottom, are the dependencies that always hold.

use std::collections::{BTreeSet, VecDeque};

use super::action::{Action, Indexes, Origin};
use super::draft::{Abroad, Create, LinkDraft, cannot_have, links_in, merge};
use super::keyed::{Planned, Turn, steps};
use super::{
    AddressSpec, Conflicts, Draft, Fact, Refusal, Target, bridge_vlans, kinds, ports, rules,
};
use crate::object::kinds::{BOND, NewLink, gets_mtu_of_lower};
use crate::object::link::row;
use crate::object::{Link, LinkFlags, Record, Value};
use crate::state::{AddressKey, Snapshot};

/// When an action has its turn, also among those of other namespaces; equal ones go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A name that someone else in this transaction wants is given up.
    FreeName,
    Down,
    Release,
    /// To another namespace, and there.
    Move,
    Arrive,
    /// Lower before upper; what is made by that in another namespace comes between, and the mtu that the upper ones are made
    /// with or may have.
    Create(u8, Made),
    Rename,
    Attribute,
    /// Raising: lower before upper; lowering: upper before lower. A macvlan may not exceed what it stands on.
    Mtu(u8),
    Data,
    Master,
    /// Up or down again, of what a master has raised or lowered.
    Joined,
    Port,
    /// When ports have their bridge, and their options. A VLAN goes by another tunnel when it goes by none.
    Untunnel,
    AddVlan,
    Tunnel,
    /// An address that comes back with other attributes must go first.
    ReplaceAddress,
    /// Added before others are deleted (K5): the last address to go takes every route with it.
    AddAddress,
    /// Secondaries before primaries (K25).
    DeleteSecondary,
    DeletePrimary,
    /// Lower before upper.
    Up(u8),
    /// What the interface below has raised with itself.
    Lowered,
    /// Routes, when the addresses and interfaces that they need are there, and those that they do without still.
    Keyed(Turn),
    /// When those are there that frames may need, and the forwarding entries of it are gone: without its VLAN the kernel
    /// refuses to delete one (`__br_fdb_delete`, EINVAL).
    DeleteVlan,
    /// As above, where routes may have to move first (K5).
    LateSecondary,
    LatePrimary,
    /// As `Down`, where routes may have to move first (K4).
    LateDown,
    /// Upper before lower. What cannot be undone exactly comes last.
    Delete(u8),
    /// What the kernel took along and is put back.
    Mend,
}

/// In which namespace something is made, and then what must be said of it before something is made on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Made {
    Here,
    Elsewhere,
    Widened,
}

/// What is sent together.
#[derive(Clone, Debug)]
pub(super) enum Wave {
    /// Of interfaces and addresses.
    Actions(Vec<Action>),
    /// Of what stands under a key.
    Steps(VecDeque<Planned>),
}

impl Wave {
    /// How many requests it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Wave::Actions(actions) => actions.len(),
            Wave::Steps(steps) => steps.len(),
        }
    }
}

/// Turns a draft into waves: the delta against `now`, what already holds left out.
///
/// # Errors
/// When a handle is stale, a name is taken, another program has changed the same field, or what is removed is used
/// too (see [`Refusal`]).
pub(super) fn plan(draft: &Draft, now: &Snapshot) -> Result<Vec<(Phase, Wave)>, Refusal> {
    let mut planned = Vec::new();
    let removed = removed(draft, now);
    let below = below_new(draft, now);
    for link in draft.links() {
        check_removed(draft, link, &removed)?;
        if let Target::Live { index, generation } = link.target {
            rules::live(index, generation, now)?;
        }
        check_named(draft, link, now)?;
        plan_link(draft, link, (now, &below), &mut planned)?;
    }
    free_names(draft, now, &mut planned)?;
    let keyed = steps(draft, now)?;
    if !keyed.is_empty() {
        planned.iter_mut().for_each(|(phase, action)| *phase = later(*phase, action, draft));
    }
    planned.sort_by_key(|(phase, _)| *phase);
    let actions = planned.chunk_by(|a, b| a.0 == b.0).map(|same| {
        (same[0].0, Wave::Actions(same.iter().map(|(_, action)| action.clone()).collect()))
    });
    let mut waves: Vec<_> = actions.collect();
    for (turn, planned) in keyed {
        match waves.last_mut() {
            Some((phase, Wave::Steps(all))) if *phase == Phase::Keyed(turn) => {
                all.push_back(planned)
            }
            _ => waves.push((Phase::Keyed(turn), Wave::Steps([planned].into()))),
        }
    }
    waves.sort_by_key(|(phase, _)| *phase);
    Ok(waves)
}

/// Where routes change too, addresses go when the routes have moved, and so does an interface that is only taken down.
fn later(phase: Phase, action: &Action, draft: &Draft) -> Phase {
    let only_down = || {
        let link = draft.links().iter().find(|link| link.target == action.target());
        link.is_some_and(|link| link.is_only_flagged())
    };
    match phase {
        Phase::DeleteSecondary => Phase::LateSecondary,
        Phase::DeletePrimary => Phase::LatePrimary,
        Phase::Down if only_down() => Phase::LateDown,
        other => other,
    }
}

/// What goes: what is removed, and what goes with that.
fn removed(draft: &Draft, now: &Snapshot) -> BTreeSet<Target> {
    let named = draft.links().iter().filter(|link| link.remove).map(|link| link.target);
    let index = |target: Target| match target {
        Target::Live { index, .. } => Some(index),
        Target::New(_) => None,
    };
    let gone = rules::all_gone_with(named.clone().filter_map(index), now);
    let live = |index| now.link_by_index(index).map(Target::of);
    gone.into_iter().filter_map(live).chain(named).collect()
}

/// What is removed cannot be edited, nor carry, nor be the master of, anything: it goes last, and takes with it what
/// stands on it.
fn check_removed(
    draft: &Draft,
    link: &LinkDraft,
    removed: &BTreeSet<Target>,
) -> Result<(), Refusal> {
    let is_removed = |target: Target| removed.contains(&target);
    let own = draft.name_of(link.target);
    let refuse = |target, used| Err(Refusal::Removed { name: draft.name_of(target), used });
    check_leaving(draft, link)?;
    if is_removed(link.target) {
        return match link.is_edited() {
            true => refuse(link.target, "it cannot be edited too".to_owned()),
            false => Ok(()),
        };
    }
    if let Some(lower) = lower_named(link).filter(|lower| is_removed(*lower)) {
        return refuse(lower, format!("`{own}` cannot be created on it"));
    }
    if let Some((option, named)) = link.named_links().find(|(_, named)| is_removed(*named)) {
        return refuse(named, cannot_have(&own, option));
    }
    match draft.master_of(link.target).filter(|master| is_removed(*master)) {
        Some(master) if link.master.is_some() => {
            refuse(master, format!("`{own}` cannot become its port"))
        }
        Some(master) if link.port.is_some() => {
            refuse(master, format!("`{own}` has no options as its port"))
        }
        _ => Ok(()),
    }
}

/// The interfaces that options name are those that were found when they were named.
fn check_named(draft: &Draft, link: &LinkDraft, now: &Snapshot) -> Result<(), Refusal> {
    for (option, named) in link.named_links() {
        if let Target::Live { index, generation } = named {
            let of = || draft.name_of(link.target);
            let named = |why| Refusal::Named { option, of: of(), why: Box::new(why) };
            rules::live(index, generation, now).map_err(named)?;
        }
    }
    Ok(())
}

/// What goes to another namespace is edited there; nothing can be made on it, or be its port, here.
fn check_leaving(draft: &Draft, link: &LinkDraft) -> Result<(), Refusal> {
    let leaves = |target: Target| {
        draft.links().iter().any(|link| link.target == target && link.away.is_some())
    };
    let own = draft.name_of(link.target);
    let refuse = |target, used| Err(Refusal::Leaves { name: draft.name_of(target), used });
    if link.away.is_some() {
        return match (link.remove, link.is_edited()) {
            (true, _) => refuse(link.target, "it cannot be removed too".to_owned()),
            (_, true) => refuse(link.target, "it is edited there".to_owned()),
            _ => Ok(()),
        };
    }
    if let Some((option, named)) = link.named_links().find(|(_, named)| leaves(*named)) {
        return refuse(named, cannot_have(&own, option));
    }
    match (lower_named(link), link.master) {
        (Some(lower), _) if leaves(lower) => {
            refuse(lower, format!("`{own}` cannot be created on it"))
        }
        (_, Some(Some(master))) if leaves(master) => {
            refuse(master, format!("`{own}` cannot become its port"))
        }
        _ => Ok(()),
    }
}

/// What a new interface is made on.
fn lower_named(link: &LinkDraft) -> Option<Target> {
    link.create.as_ref().and_then(Create::made)?.1
}

/// `below` is what something new is made on.
fn plan_link(
    draft: &Draft,
    link: &LinkDraft,
    (now, below): (&Snapshot, &BTreeSet<Target>),
    to: &mut Vec<(Phase, Action)>,
) -> Result<(), Refusal> {
    if link.remove {
        let Target::Live { index, .. } = link.target else { return Ok(()) };
        let action = Action::Delete { target: link.target };
        to.push((Phase::Delete(u8::MAX - rules::height(index, now)), action));
        return Ok(());
    }
    if let (Some((place, name)), Target::Live { index, .. }) = (&link.away, link.target) {
        rules::check_movable(index, now)?;
        let (target, to_place, name) = (link.target, place.clone(), name.clone());
        to.push((Phase::Move, Action::Move { target, to: to_place, name }));
        return Ok(());
    }
    match &link.create {
        Some(Create::New(new, lower)) => {
            let (new, mtu) = rules::told_mtu_later(new, link.set.value(row::MTU));
            let (new, later) = kinds::set_later(new);
            let (new, active) = ports::without_active(new);
            let phase = Phase::Create(height(draft, link.target, now), Made::Here);
            to.push((phase, create(draft, link, &new, *lower)));
            let set = |id, value| Action::Set { target: link.target, id, value };
            let turn = |value: &Value| mtu_turn(draft, link.target, value, (now, below));
            to.extend(mtu.into_iter().map(|value| (turn(&value), set(row::MTU, value))));
            to.extend(later.into_iter().map(|(id, value)| (Phase::Attribute, set(id, value))));
            let data = |options| Action::Data { target: link.target, options };
            to.extend(active.map(|options| (Phase::Port, data(options))));
        }
        Some(Create::Abroad(abroad)) => {
            let Abroad { new, lower, to: place, called } = &**abroad;
            let (mut new, _) = made_and_told(new, None);
            new.rename(called, false);
            new.data = new.data.map(kinds::without_nothing);
            let (new, lower, target) = (Box::new(new), *lower, link.target);
            let phase = Phase::Create(height(draft, target, now), Made::Here);
            to.push((phase, Action::CreateIn { target, new, lower, to: place.clone() }));
        }
        Some(Create::Arrival(origin, name)) => {
            to.extend(arrival(draft, link, (origin, name), (now, below)));
        }
        Some(Create::Peer(..)) | None => {}
    }
    check_bond(draft, link, now)?;
    let mut wanted = Vec::new();
    edits(draft, link, (now, below), &mut wanted);
    wanted.extend(left_before(draft, link, now).map(|action| (Phase::Release, action)));
    wanted.extend(bridge_vlans::planned(draft, link, now)?);
    let mut own = Vec::new();
    for (phase, action) in wanted {
        own.extend(needed(draft, phase, action, now)?);
    }
    joining(draft, link, now, &mut own);
    staying_down(draft, link, now, &mut own);
    to.extend(own);
    Ok(())
}

/// A bond or team that goes takes its ports down, and gives them the mtu and address back that they had: what is said of those
/// besides is said when they have left it.
fn left_before(draft: &Draft, link: &LinkDraft, now: &Snapshot) -> Option<Action> {
    let Target::Live { index, .. } = link.target else { return None };
    let master = now.link_by_index(now.link_by_index(index)?.master()?)?;
    let goes = || draft.links().iter().any(|link| link.remove && link.target == Target::of(master));
    let is_moved = [row::MTU, row::ADDRESS].iter().any(|id| link.set.value(*id).is_some())
        || link.mask.contains(LinkFlags::UP);
    let leaves = is_moved && link.master.is_none() && ports::raises_ports(master.kind()) && goes();
    leaves.then_some(Action::Master { target: link.target, master: None })
}

/// What comes from another namespace, and what its creation there could not say of it.
fn arrival(
    draft: &Draft,
    link: &LinkDraft,
    (origin, name): (&Origin, &str),
    (now, below): (&Snapshot, &BTreeSet<Target>),
) -> Vec<(Phase, Action)> {
    let target = link.target;
    let arrive = |name: &str| {
        let (origin, name) = (origin.clone(), name.into());
        Action::Arrive { target, origin, name }
    };
    let Origin::Made { new, called, height, .. } = origin else {
        return vec![(Phase::Arrive, arrive(name))];
    };
    let renamed = (**called != *name).then(|| (row::NAME, Value::Text(name.into())));
    let (_, told) = made_and_told(new, link.set.value(row::MTU));
    let said = renamed.into_iter().chain(told).map(|(id, value)| {
        let phase = match id {
            row::MTU => mtu_turn(draft, target, &value, (now, below)),
            _ => Phase::Attribute,
        };
        (phase, Action::Set { target, id, value })
    });
    let made = (Phase::Create(*height, Made::Elsewhere), arrive(called));
    std::iter::once(made).chain(said).collect()
}

/// What the request says that makes an interface in another namespace, and what is said when it is there.
fn made_and_told(new: &NewLink, mtu: Option<&Value>) -> (NewLink, Vec<(u16, Value)>) {
    let (new, told) = rules::told_mtu_later(new, mtu);
    let (new, later) = kinds::set_later(new);
    (new, told.into_iter().map(|mtu| (row::MTU, mtu)).chain(later).collect())
}

/// What a bond refuses as it will be when it is told: without the ports that are released, down if it is taken down.
fn check_bond(draft: &Draft, link: &LinkDraft, now: &Snapshot) -> Result<(), Refusal> {
    // What comes back as it was names also what it has by itself, which is left out when it is there.
    let named = link.data.as_ref().filter(|named| named.table() == &BOND && !link.as_it_was);
    let Some(named) = named else { return Ok(()) };
    let Target::Live { index, .. } = link.target else {
        let made = match &link.create {
            Some(Create::New(new, _)) => new.data.as_ref(),
            _ => None,
        };
        return ports::check_bond(named, made, false, false);
    };
    let lowered = link.mask.contains(LinkFlags::UP) && !link.flags.contains(LinkFlags::UP);
    let present = now.link_by_index(index);
    let stays = |port: &Link| {
        let own = draft.links().iter().find(|own| own.target == Target::of(port));
        own.is_none_or(|own| own.master != Some(None))
    };
    let has_ports = now.ports_of(index).any(stays);
    let up = present.is_some_and(Link::is_up) && !lowered;
    let present = present.and_then(|link| link.record().value(row::DATA)?.nested());
    ports::check_bond(named, present, up, has_ports)
}

/// What is to be down is taken down when what is below has raised it, also when it was down.
fn staying_down(draft: &Draft, link: &LinkDraft, now: &Snapshot, to: &mut Vec<(Phase, Action)>) {
    let down = link.mask.contains(LinkFlags::UP) && !link.flags.contains(LinkFlags::UP);
    let known = to.iter().any(|(phase, _)| *phase == Phase::Lowered);
    if down && !known && is_raised_below(draft, link.target, now) {
        to.push((Phase::Lowered, ports::raised(link.target, false)));
    }
}

/// A port of a bond or team is taken down first, and comes up by joining; what leaves one goes down. Then it is as
/// it was named.
fn joining(draft: &Draft, link: &LinkDraft, now: &Snapshot, to: &mut Vec<(Phase, Action)>) {
    let target = link.target;
    let master = to.iter().find_map(|(_, action)| match action {
        Action::Master { master, .. } => Some(*master),
        _ => None,
    });
    let Some(master) = master else { return };
    let present = match target {
        Target::Live { index, .. } => now.link_by_index(index),
        Target::New(_) => None,
    };
    let former = present.and_then(Link::master).and_then(|master| now.link_by_index(master));
    let leaves = ports::raises_ports(former.and_then(Link::kind));
    let kind = master.and_then(|master| draft.kind_of(master));
    let joins = ports::raises_ports(kind.as_deref());
    if joins && present.is_some_and(Link::is_up) && !leaves {
        to.retain(|(phase, _)| *phase != Phase::Down);
        to.push((Phase::Down, ports::raised(target, false)));
    }
    let named = link.mask.contains(LinkFlags::UP).then(|| link.flags.contains(LinkFlags::UP));
    match (joins, named) {
        (true, up) => to.push((Phase::Joined, ports::raised(target, up.unwrap_or(true)))),
        (false, Some(true)) if leaves => to.push((Phase::Joined, ports::raised(target, true))),
        _ => {}
    }
}

/// What is named later of options that the kernel takes as a whole is said at once: there is nothing yet that a change
/// could send along.
fn create(draft: &Draft, link: &LinkDraft, new: &NewLink, lower: Option<Target>) -> Action {
    let (target, mut new) = (link.target, Box::new(new.clone()));
    if let Some(options) = link.data.as_ref().filter(|options| is_said_at_once(link, options)) {
        merge(&mut new.data, options);
    }
    new.data = new.data.map(kinds::without_nothing);
    let peer = draft.peer_of(target);
    if let Some(peer) = peer {
        new.rename(&draft.name_of(peer), true);
    }
    Action::Create { target, new, lower, peer }
}

fn is_said_at_once(link: &LinkDraft, options: &Record) -> bool {
    kinds::takes_whole(options.table()) && matches!(link.create, Some(Create::New(..)))
}

/// How many interfaces are below a target, new ones and those of other namespaces included, or are named by what it is made
/// with: those are made first.
pub(super) fn height(draft: &Draft, target: Target, now: &Snapshot) -> u8 {
    const HIGHEST: u8 = 32;
    let mut floor = BTreeSet::from([target]);
    let mut highest = 0;
    for height in 0..HIGHEST {
        let elsewhere = floor.iter().map(|target| draft.height_elsewhere(*target)).max();
        highest = highest.max(height.saturating_add(elsewhere.unwrap_or(0)));
        floor = floor.into_iter().flat_map(|target| lowers_of(draft, target, now)).collect();
        if floor.is_empty() {
            return highest.min(HIGHEST);
        }
    }
    HIGHEST
}

fn edits(
    draft: &Draft,
    link: &LinkDraft,
    (now, below): (&Snapshot, &BTreeSet<Target>),
    to: &mut Vec<(Phase, Action)>,
) {
    let target = link.target;
    let is_port = gets_from_master(draft, target);
    for (id, _, value) in link.set.fields() {
        let phase = match id {
            row::NAME => Phase::Rename,
            row::MTU | row::ADDRESS if is_port => Phase::Joined,
            row::MTU => mtu_turn(draft, target, value, (now, below)),
            _ => Phase::Attribute,
        };
        to.push((phase, Action::Set { target, id, value: value.clone() }));
    }
    flags(draft, link, now, to);
    if let Some(options) = link.data.as_ref().filter(|options| !is_said_at_once(link, options)) {
        // Where it moves the MTU, it comes before the MTU that is named.
        let phase = if kinds::moves_mtu(options) { Phase::Attribute } else { Phase::Data };
        let action = Action::Data { target, options: options.clone() };
        to.extend(action.requests().into_iter().map(|action| match ports::needs_ports(&action) {
            true => (Phase::Port, action),
            false => (phase, action),
        }));
    }
    if let Some(master) = link.master {
        let phase = if master.is_some() { Phase::Master } else { Phase::Release };
        to.push((phase, Action::Master { target, master }));
    }
    if let Some(options) = &link.port {
        to.push((Phase::Port, Action::Port { target, options: options.clone() }));
    }
    for (name, add) in &link.altnames {
        let phase = if *add { Phase::Master } else { Phase::Release };
        to.push((phase, Action::Altname { target, name: name.clone(), add: *add }));
    }
    addresses(link, now, to);
}

/// Whether it gets the mtu and address of its master, when it joins and when those change (`bond_enslave`,
/// `bond_change_mtu`): its own are set after that.
fn gets_from_master(draft: &Draft, target: Target) -> bool {
    let master = draft.master_of(target).and_then(|master| draft.kind_of(master));
    ports::raises_ports(master.as_deref())
}

/// What is made on another is made with its mtu, and may have no larger one (`vlan_newlink`, `macvlan_change_mtu`,
/// `vxlan_change_mtu`). One that gets a smaller one still gets it in its own turn: what stands on it already goes first.
fn mtu_turn(
    draft: &Draft,
    target: Target,
    value: &Value,
    (now, below): (&Snapshot, &BTreeSet<Target>),
) -> Phase {
    let height = height(draft, target, now);
    let present = match target {
        Target::Live { index, .. } => {
            now.link_by_index(index).map_or(0, |link| u64::from(link.mtu()))
        }
        Target::New(_) => 0,
    };
    // It gets that of the interface below with every change of it.
    if gets_mtu_of_lower(draft.kind_of(target).as_deref()) {
        return Phase::Data;
    }
    match value.number().unwrap_or(0) >= present {
        true if below.contains(&target) => Phase::Create(height, Made::Widened),
        true => Phase::Mtu(height),
        false => Phase::Mtu(u8::MAX - height),
    }
}

/// Interfaces on which this transaction makes something, and what they stand on.
fn below_new(draft: &Draft, now: &Snapshot) -> BTreeSet<Target> {
    let mut all = BTreeSet::new();
    let is_made = |link: &&LinkDraft| link.create.as_ref().is_some_and(|new| new.made().is_some());
    let made = draft.links().iter().filter(is_made);
    let mut next: Vec<_> = made.flat_map(|link| lowers_of(draft, link.target, now)).collect();
    while let Some(target) = next.pop() {
        if all.insert(target) {
            next.extend(lowers_of(draft, target, now));
        }
    }
    all
}

/// What an interface stands on, or is to be made on or with.
fn lowers_of(draft: &Draft, target: Target, now: &Snapshot) -> Vec<Target> {
    let own = draft.links().iter().find(|link| link.target == target);
    let create = own.and_then(|link| link.create.as_ref());
    if let Some((new, lower)) = create.and_then(Create::made) {
        let named = new.data.iter().flat_map(links_in).map(|(_, named)| named);
        return lower.into_iter().chain(named).collect();
    }
    match (create, target) {
        (Some(_), _) | (None, Target::New(_)) => Vec::new(),
        (None, Target::Live { index, .. }) => {
            let link = now.link_by_index(index).filter(|link| !kinds::is_pair(link.kind()));
            let lowers = link.into_iter().flat_map(rules::lowers_of);
            lowers.filter_map(|lower| now.link_by_index(lower)).map(Target::of).collect()
        }
    }
}

fn flags(draft: &Draft, link: &LinkDraft, now: &Snapshot, to: &mut Vec<(Phase, Action)>) {
    let target = link.target;
    let up = LinkFlags::UP;
    if link.mask.contains(up) {
        let raise = link.flags.contains(up);
        let phase = match raise {
            true => Phase::Up(height(draft, target, now)),
            false if is_raised_below(draft, target, now) => Phase::Lowered,
            false => Phase::Down,
        };
        to.push((phase, Action::Flags { target, flags: LinkFlags(link.flags.0 & up.0), mask: up }));
    }
    let others = LinkFlags(link.mask.0 & !up.0);
    if others.0 != 0 {
        let flags = LinkFlags(link.flags.0 & others.0);
        to.push((Phase::Attribute, Action::Flags { target, flags, mask: others }));
    }
}

/// Whether a target comes up with the interface below, which is raised.
fn is_raised_below(draft: &Draft, target: Target, now: &Snapshot) -> bool {
    let own = draft.links().iter().find(|link| link.target == target);
    let lower = match (own.and_then(|link| link.create.as_ref()), target) {
        (Some(Create::New(new, lower)), _) if new.kind() == "vlan" => *lower,
        (None, Target::Live { index, .. }) => now
            .link_by_index(index)
            .filter(|link| ports::rises_with_lower(link))
            .and_then(rules::lower_of)
            .and_then(|lower| now.link_by_index(lower))
            .map(Target::of),
        _ => None,
    };
    let raised =
        |link: &LinkDraft| Some(link.target) == lower && link.flags.contains(LinkFlags::UP);
    draft.links().iter().any(raised)
}

fn addresses(link: &LinkDraft, now: &Snapshot, to: &mut Vec<(Phase, Action)>) {
    let target = link.target;
    for (spec, add) in link.addresses.iter() {
        let spec = spec.clone();
        if add {
            to.push((Phase::AddAddress, Action::AddAddress { target, spec }));
            continue;
        }
        let Target::Live { index, .. } = target else { continue };
        let secondary =
            now.address(&spec.key(index)).is_some_and(crate::object::Address::is_secondary);
        let phase = match (link.addresses.adds_local(spec.local()), secondary) {
            (true, _) => Phase::ReplaceAddress,
            (false, true) => Phase::DeleteSecondary,
            (false, false) => Phase::DeletePrimary,
        };
        to.push((phase, Action::DelAddress { target, spec, secondary }));
    }
}

/// What there is to do of an action: nothing where what it wants is so already. Where another program has changed the
/// same field since the transaction began, to something else, the transaction says what is done.
fn needed(
    draft: &Draft,
    phase: Phase,
    action: Action,
    now: &Snapshot,
) -> Result<Vec<(Phase, Action)>, Refusal> {
    let is_new = matches!(action.target(), Target::New(_))
        || matches!(action, Action::Master { master: Some(Target::New(_)), .. })
        || bridge_vlans::is_on_fresh(draft, &action, now);
    if is_new {
        return Ok(vec![(phase, action)]);
    }
    let facts = action.facts(&Indexes::default());
    let mut moot = true;
    let mut contested = Vec::new();
    for fact in &facts {
        let (base, present) = (fact.state(draft.base()), fact.state(now));
        if fact.agrees(present.as_ref()) {
            continue;
        }
        let is_contested = base != present;
        match draft.conflicts {
            Conflicts::Refuse if is_contested => return Err(conflict(fact, base, present, now)),
            Conflicts::KeepTheirs if is_contested => contested.push(fact.clone()),
            _ => moot = false,
        }
    }
    // An address that is deleted and added in one transaction is not moot because it is there now.
    if moot && (!contested.is_empty() || !is_replacement(draft, &action)) {
        return Ok(Vec::new());
    }
    let action = match contested.is_empty() {
        true => Some(action),
        false => action.only(&Indexes::default(), |fact| !contested.contains(fact)),
    };
    let action = action.and_then(|action| match &action {
        Action::Data { options, .. } if ports::is_told_only_news(options.table()) => {
            action.lacking(now, &Indexes::default())
        }
        Action::Vlans { .. } => action.lacking(now, &Indexes::default()),
        _ => Some(action),
    });
    let action = action.map(|action| ports::whole_maps(action, now));
    let mut all: Vec<_> = action.into_iter().map(|action| (phase, action)).collect();
    if let Some((_, action)) = all.first() {
        all.extend(in_the_way(draft, action, now));
    }
    Ok(all)
}

/// The deletion of an address that another program has added meanwhile and that is to be otherwise.
fn in_the_way(draft: &Draft, action: &Action, now: &Snapshot) -> Option<(Phase, Action)> {
    let Action::AddAddress { target: target @ Target::Live { index, .. }, spec } = action else {
        return None;
    };
    let theirs = now.address(&spec.key(*index)).filter(|_| !is_replacement(draft, action))?;
    let secondary = theirs.is_secondary();
    let spec = AddressSpec::of(theirs)?;
    Some((Phase::ReplaceAddress, Action::DelAddress { target: *target, spec, secondary }))
}

fn is_replacement(draft: &Draft, action: &Action) -> bool {
    let Action::AddAddress { target, spec } = action else { return false };
    let link = draft.links().iter().find(|link| link.target == *target);
    link.is_some_and(|link| link.addresses.deletes_local(spec.local()))
}

fn conflict(fact: &Fact, base: Option<Value>, now: Option<Value>, names: &Snapshot) -> Refusal {
    Refusal::Conflict {
        what: fact.title(names),
        base: fact.text(base.as_ref()),
        now: fact.text(now.as_ref()),
        want: fact.text(fact.want.as_ref()),
    }
}

/// Names that are wanted: refused when someone outside the transaction has them now, given up first when someone
/// inside has them (a chain or a swap of names, or a new interface in the place of a deleted one).
fn free_names(
    draft: &Draft,
    now: &Snapshot,
    planned: &mut Vec<(Phase, Action)>,
) -> Result<(), Refusal> {
    let mut freed = Vec::new();
    for (wanter, name) in wanted_names(planned) {
        let Some(holder) = now.link_by_name(&name).filter(|holder| Target::of(holder) != wanter)
        else {
            continue;
        };
        let target = Target::of(holder);
        let leaves = draft.links().iter().find(|link| link.target == target).is_some_and(|link| {
            link.remove
                || link.set.value(row::NAME).is_some()
                || link.altnames.iter().any(|(own, add)| !add && **own == *name)
        });
        if !leaves {
            return Err(Refusal::Exists { what: format!("interface `{name}`") });
        }
        if holder.name() == name {
            freed.push((
                Phase::FreeName,
                Action::Set {
                    target,
                    id: row::NAME,
                    value: rules::parked_name(holder.index(), now),
                },
            ));
        }
    }
    planned.extend(freed);
    Ok(())
}

fn wanted_names(planned: &[(Phase, Action)]) -> Vec<(Target, String)> {
    let mut wanted = Vec::new();
    for (_, action) in planned {
        match action {
            Action::Create { target, new, peer, .. } => {
                wanted.push((*target, new.name().to_owned()));
                wanted.extend(peer.and_then(|peer| Some((peer, new.peer_name()?.to_owned()))));
            }
            Action::Arrive { target, name, .. } => wanted.push((*target, name.to_string())),
            Action::Set { target, id: row::NAME, value } => {
                wanted.push((*target, value.to_string()))
            }
            Action::Altname { target, name, add: true } => wanted.push((*target, name.to_string())),
            _ => {}
        }
    }
    wanted
}

/// The addresses that a list of actions deletes.
pub(super) fn deleted_addresses(actions: &[Action], indexes: &Indexes) -> Vec<AddressKey> {
    let key = |action: &Action| match action {
        Action::DelAddress { target, spec, .. } => Some(spec.key(indexes.of(*target)?)),
        _ => None,
    };
    actions.iter().filter_map(key).collect()
}
