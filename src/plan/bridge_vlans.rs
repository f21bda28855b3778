//! VLANs of bridge ports and of bridges themselves: what is named of them, how it is sent, and the kernel's manners with
//! them.
//!
//! They are told by `RTM_SETLINK`, which takes a VLAN with all that it is: who says nothing of `pvid` takes it away. One
//! VLAN of an interface is that of untagged frames; making another one it takes it from the former without a word, so
//! that the former is named too.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::draft::{Create, LinkDraft};
use super::fact::{Fact, Field};
use super::load::{Wrong, items, text};
use super::order::Phase;
use super::review::Line;
use super::{Draft, Refusal, Sign, Target};
use crate::object::bridge_vlan::{self, Said};
use crate::object::kinds::BRIDGE;
use crate::object::kinds::bridge::row as bridge;
use crate::object::link::row;
use crate::object::port::row as port_row;
use crate::object::{BridgeVlan, BridgeVlanSpec, Link, Record, SpecError, Tree, Value};
use crate::state::Snapshot;
use crate::wire::{Builder, kind};

/// What is done to VLANs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanEdit {
    /// They are added, or changed.
    Add,
    /// They are deleted, and the tunnels by which they go.
    Delete,
    /// They are given tunnels.
    AddTunnels,
    /// The tunnels by which they go are taken from them.
    DeleteTunnels,
}

/// What is named of the VLANs of an interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Vlans {
    /// Whether others than those that are named go.
    replaced: bool,
    /// By number: how it is to be; `None` is gone.
    named: BTreeMap<u16, Option<Wanted>>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    vlan: BridgeVlan,
    /// Whether it is named by which tunnel it goes, or that it goes by none.
    tunnel: bool,
}

impl Vlans {
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && !self.replaced
    }
}

impl Draft {
    /// Adds VLANs, or changes those that are there.
    ///
    /// # Errors
    /// When there cannot be such, or the interface is neither a bridge nor a port of one.
    pub fn add_vlan(&mut self, target: Target, spec: BridgeVlanSpec) -> Result<(), Refusal> {
        self.check_vlan(target, &spec)?;
        let tunnel = spec.tunnel_id().is_some();
        for vlan in spec.each(0) {
            self.edit(target).vlans.named.insert(vlan.vid(), Some(Wanted { vlan, tunnel }));
        }
        Ok(())
    }

    /// Deletes VLANs.
    ///
    /// # Errors
    /// When none of them is there.
    pub fn del_vlan(&mut self, target: Target, spec: BridgeVlanSpec) -> Result<(), Refusal> {
        self.check_vlan(target, &spec)?;
        let index = self.base_link(target).map(Link::index);
        let is_fresh = self.has_fresh_vlans(target, self.base());
        let is_there = |draft: &Draft, vid| {
            index.is_some_and(|index| draft.base().vlan(index, vid).is_some()) || is_fresh
        };
        let mut found = false;
        for vid in spec.vids() {
            let there = is_there(self, vid);
            let named = &mut self.edit(target).vlans.named;
            let taken_back = matches!(named.get(&vid), Some(Some(_)));
            if there {
                found |= !matches!(named.get(&vid), Some(None));
                named.insert(vid, None);
            } else if taken_back {
                found = true;
                named.remove(&vid);
            }
        }
        match found {
            true => Ok(()),
            false => {
                Err(Refusal::Missing { what: format!("VLAN {spec} of `{}`", self.name_of(target)) })
            }
        }
    }

    /// Has an interface have these VLANs and no others.
    ///
    /// # Errors
    /// When there cannot be such, or the interface is neither a bridge nor a port of one.
    pub fn set_vlans(&mut self, target: Target, all: &[BridgeVlanSpec]) -> Result<(), Refusal> {
        let former = self.edit(target).vlans.clone();
        self.edit(target).vlans = Vlans { replaced: true, named: BTreeMap::new() };
        let checked = self.check_holder(target).and_then(|()| {
            all.iter().try_for_each(|spec| {
                self.check_vlan(target, spec)?;
                spec.each(0).for_each(|vlan| self.name_vlan(target, vlan.vid(), Some(vlan)));
                Ok(())
            })
        });
        if checked.is_err() {
            self.edit(target).vlans = former;
        }
        checked
    }

    /// Names a VLAN with all that it is to be; `None` is gone.
    pub(super) fn name_vlan(&mut self, target: Target, vid: u16, vlan: Option<BridgeVlan>) {
        let wanted = vlan.map(|vlan| Wanted { vlan: vlan.on(0), tunnel: true });
        self.edit(target).vlans.named.insert(vid, wanted);
    }

    /// What an interface has been given by itself since it became a port goes.
    pub(super) fn replace_vlans(&mut self, target: Target) {
        self.edit(target).vlans.replaced = true;
    }

    fn check_vlan(&mut self, target: Target, spec: &BridgeVlanSpec) -> Result<(), Refusal> {
        let refuse = |error: SpecError| {
            Err(Refusal::Invalid { what: "VLAN", value: error.text, why: error.why })
        };
        spec.check().or_else(refuse)?;
        self.check_holder(target)?;
        let invalid = |why: &str| {
            Err(Refusal::Invalid { what: "VLAN", value: spec.to_string(), why: why.to_owned() })
        };
        if spec.tunnel_id().is_some() && self.is_bridge(target) {
            return invalid("only those of ports go by tunnels");
        }
        let named = &self.edit(target).vlans.named;
        let other =
            |wanted: &&Wanted| wanted.vlan.is_pvid() && !spec.vids().contains(&wanted.vlan.vid());
        match named.values().flatten().find(other).filter(|_| spec.is_pvid()) {
            Some(other) => invalid(&format!(
                "untagged frames are of one VLAN, and {} is named for that already",
                other.vlan.vid()
            )),
            None => Ok(()),
        }
    }

    /// Only bridges and their ports have VLANs, where the kernel has them: it says so of a bridge.
    pub(super) fn check_holder(&self, target: Target) -> Result<(), Refusal> {
        let name = self.name_of(target);
        let bridge = if self.is_bridge(target) { Some(target) } else { self.master_of(target) };
        let Some(bridge) = bridge.filter(|bridge| self.is_bridge(*bridge)) else {
            let kind = self.master_of(target).and_then(|master| self.kind_of(master));
            let is = kind.map_or("no port".to_owned(), |kind| format!("a port of a {kind}"));
            return Err(Refusal::WrongKind {
                what: "a VLAN",
                needs: "bridge or port of a bridge",
                name,
                is,
            });
        };
        match self.base_link(bridge).and_then(options_of) {
            Some(options) if options.value(bridge::VLAN_DEFAULT_PVID).is_none() => {
                let why = format!("this kernel has no {FEATURE}");
                Err(Refusal::Invalid { what: "VLANs of", value: name, why })
            }
            _ => Ok(()),
        }
    }

    fn is_bridge(&self, target: Target) -> bool {
        self.kind_of(target).as_deref() == Some("bridge")
    }

    /// Whether an interface is given VLANs by the kernel in this transaction: because it is new, becomes a port, or the
    /// default changes.
    pub(super) fn has_fresh_vlans(&self, target: Target, now: &Snapshot) -> bool {
        let own = self.links().iter().find(|link| link.target == target);
        let master = self.master_of(target);
        let bridge = if self.is_bridge(target) { Some(target) } else { master };
        let Target::Live { index, .. } = target else { return true };
        let present = now.link_by_index(index).and_then(Link::master);
        let joins = own.is_some_and(|own| own.master.is_some())
            && master != present.and_then(|index| now.link_by_index(index)).map(Target::of);
        joins || bridge.is_some_and(|bridge| self.default_named(bridge).is_some())
    }

    /// The default VLAN of a bridge, where this transaction says it.
    fn default_named(&self, bridge: Target) -> Option<u16> {
        let own = self.links().iter().find(|link| link.target == bridge)?;
        let named = own.data.as_ref().filter(|options| options.table() == &BRIDGE)?;
        Some(named.value(bridge::VLAN_DEFAULT_PVID)?.number()? as u16)
    }

    /// The numbers that the kernel may give an interface by itself.
    fn defaults(&self, target: Target, now: &Snapshot) -> Vec<u16> {
        const USUAL: u16 = 1;
        let bridge = if self.is_bridge(target) { Some(target) } else { self.master_of(target) };
        let Some(bridge) = bridge else { return Vec::new() };
        let present = match bridge {
            Target::Live { index, .. } => default_of(index, now),
            Target::New(_) => self.default_made(bridge).or(Some(USUAL)),
        };
        let all = self.default_named(bridge).into_iter().chain(present);
        all.filter(|vid| *vid != 0).collect()
    }

    fn default_made(&self, bridge: Target) -> Option<u16> {
        let own = self.links().iter().find(|link| link.target == bridge)?;
        let Some(Create::New(new, _)) = &own.create else { return None };
        let options = new.data.as_ref()?;
        Some(options.value(bridge::VLAN_DEFAULT_PVID)?.number()? as u16)
    }
}

/// What a kernel lacks whose bridges have no VLANs.
pub(super) const FEATURE: &str = "VLANs for bridges (CONFIG_BRIDGE_VLAN_FILTERING)";

fn options_of(link: &Link) -> Option<&Record> {
    link.record().value(row::DATA)?.nested()
}

/// The VLAN that ports of a bridge are given when they join; 0 for none. `None` of what is no bridge.
fn default_of(bridge: u32, of: &Snapshot) -> Option<u16> {
    let options = options_of(of.link_by_index(bridge)?).filter(|own| own.table() == &BRIDGE)?;
    Some(options.value(bridge::VLAN_DEFAULT_PVID)?.number()? as u16)
}

/// What there is to do about the VLANs that are named of an interface.
///
/// # Errors
/// When it is no bridge and no port of one any more, or has no tunnels.
pub(super) fn planned(
    draft: &Draft,
    link: &LinkDraft,
    now: &Snapshot,
) -> Result<Vec<(Phase, Action)>, Refusal> {
    if link.vlans.is_empty() {
        return Ok(Vec::new());
    }
    draft.check_holder(link.target)?;
    let (target, own) = (link.target, draft.is_bridge(link.target));
    let present = present(draft, link, now);
    let wanted = wanted(draft, link, &present, now);
    let tunnel_of = |vid: &u16| present.get(vid).and_then(BridgeVlan::tunnel_id);
    let has_tunnels = has_tunnels(link, now);
    let (mut add, mut gone, mut tunnels, mut untunnelled) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (vid, one) in &wanted {
        let Some(Wanted { vlan, tunnel }) = one else {
            gone.push(BridgeVlan::of_flags(0, *vid, 0));
            // Its tunnel goes with it: named, it comes back with it.
            let by = present.get(vid).filter(|own| own.tunnel_id().is_some() && has_tunnels);
            untunnelled.extend(by.copied());
            continue;
        };
        add.push(*vlan);
        let (is, want) = (tunnel_of(vid), vlan.tunnel_id());
        if *tunnel && is != want && has_tunnels {
            untunnelled.extend(is.map(|_| *vlan));
        }
        if let Some(id) = want.filter(|_| *tunnel) {
            if !has_tunnels {
                let why = format!("`{}` has no tunnels (`vlan_tunnel`)", draft.name_of(target));
                let (what, value) = ("tunnel", id.to_string());
                return Err(Refusal::Invalid { what, value, why });
            }
            tunnels.push(*vlan);
        }
    }
    let all = [
        (Phase::Untunnel, VlanEdit::DeleteTunnels, untunnelled),
        (Phase::AddVlan, VlanEdit::Add, add),
        (Phase::Tunnel, VlanEdit::AddTunnels, tunnels),
        (Phase::DeleteVlan, VlanEdit::Delete, gone),
    ];
    let all = all.into_iter().filter(|(.., vlans)| !vlans.is_empty());
    Ok(all
        .flat_map(|(phase, edit, vlans)| {
            let action = Action::Vlans { target, own, edit, vlans };
            action.requests().into_iter().map(move |action| (phase, action))
        })
        .collect())
}

/// The VLANs that an interface has; none where it is still to become a port.
fn present(draft: &Draft, link: &LinkDraft, now: &Snapshot) -> BTreeMap<u16, BridgeVlan> {
    let Target::Live { index, .. } = link.target else { return BTreeMap::new() };
    let joins = link.master.is_some() && draft.has_fresh_vlans(link.target, now);
    let vlans = now.vlans_of(index).filter(|_| !joins || draft.is_bridge(link.target));
    vlans.map(|vlan| (vlan.vid(), *vlan)).collect()
}

/// What is named, and what goes with it: all others where they are replaced, and the former VLAN of untagged frames.
fn wanted(
    draft: &Draft,
    link: &LinkDraft,
    present: &BTreeMap<u16, BridgeVlan>,
    now: &Snapshot,
) -> BTreeMap<u16, Option<Wanted>> {
    let mut wanted = link.vlans.named.clone();
    if link.vlans.replaced {
        let fresh = draft.has_fresh_vlans(link.target, now);
        let given = if fresh { draft.defaults(link.target, now) } else { Vec::new() };
        for vid in present.keys().copied().chain(given) {
            wanted.entry(vid).or_insert(None);
        }
    }
    if wanted.values().flatten().any(|one| one.vlan.is_pvid()) {
        for former in present.values().filter(|vlan| vlan.is_pvid()) {
            let vlan = former.on(0).with_pvid(false);
            wanted.entry(former.vid()).or_insert(Some(Wanted { vlan, tunnel: false }));
        }
    }
    wanted
}

/// Whether a port will have tunnels for VLANs.
fn has_tunnels(link: &LinkDraft, now: &Snapshot) -> bool {
    let is_on = |options: Option<&Record>| {
        options.and_then(|options| options.value(port_row::VLAN_TUNNEL)?.number())
    };
    let present = || match link.target {
        Target::Live { index, .. } => {
            is_on(now.link_by_index(index)?.record().value(row::PORT)?.nested())
        }
        Target::New(_) => None,
    };
    is_on(link.port.as_ref()).or_else(present) == Some(1)
}

/// The request of an edit.
pub(super) fn encode(
    mut message: Builder,
    own: bool,
    edit: VlanEdit,
    vlans: &[BridgeVlan],
) -> Vec<u8> {
    // What does not count here is not to keep them apart.
    let plain = |vlan: &BridgeVlan| match edit {
        VlanEdit::Add => vlan.with_tunnel(None),
        VlanEdit::AddTunnels => {
            BridgeVlan::of_flags(0, vlan.vid(), 0).with_tunnel(vlan.tunnel_id())
        }
        VlanEdit::Delete | VlanEdit::DeleteTunnels => BridgeVlan::of_flags(0, vlan.vid(), 0),
    };
    let said = match edit {
        VlanEdit::Add | VlanEdit::Delete => Said::Vlans,
        VlanEdit::AddTunnels | VlanEdit::DeleteTunnels => Said::Tunnels,
    };
    bridge_vlan::encode(&mut message, own, said, &bridge_vlan::ranges(vlans.iter().map(plain)));
    message.finish()
}

impl VlanEdit {
    /// The type of its request.
    pub(super) fn kind(self) -> u16 {
        match self {
            VlanEdit::Add | VlanEdit::AddTunnels => kind::RTM_SETLINK,
            VlanEdit::Delete | VlanEdit::DeleteTunnels => kind::RTM_DELLINK,
        }
    }
}

/// So many VLANs are told in one request: an attribute holds 65,535 bytes, and a tunnel takes 28.
pub(super) const AT_ONCE: usize = 1024;

/// What an edit is to make so.
pub(super) fn facts(index: u32, own: bool, edit: VlanEdit, vlans: &[BridgeVlan]) -> Vec<Fact> {
    let fact = |vlan: &BridgeVlan| {
        let (field, want) = match edit {
            VlanEdit::Add => (Field::Vlan(own, vlan.vid()), Some(u32::from(vlan.flags()))),
            VlanEdit::Delete => (Field::Vlan(own, vlan.vid()), None),
            VlanEdit::AddTunnels => (Field::Tunnel(vlan.vid()), vlan.tunnel_id()),
            VlanEdit::DeleteTunnels => (Field::Tunnel(vlan.vid()), None),
        };
        Fact { index, field, want: want.map(|number| Value::Number(number.into())) }
    };
    vlans.iter().map(fact).collect()
}

/// The edit that makes a fact about a VLAN or its tunnel so.
pub(super) fn for_fact(fact: &Fact) -> Option<Action> {
    let target = Target::Live { index: fact.index, generation: 0 };
    let number = fact.want.as_ref().and_then(Value::number);
    let (own, edit, vlan) = match (&fact.field, number) {
        (Field::Vlan(own, vid), Some(flags)) => {
            (*own, VlanEdit::Add, BridgeVlan::of_flags(0, *vid, flags as u16))
        }
        (Field::Vlan(own, vid), None) => (*own, VlanEdit::Delete, BridgeVlan::of_flags(0, *vid, 0)),
        (Field::Tunnel(vid), id) => {
            let edit = if id.is_some() { VlanEdit::AddTunnels } else { VlanEdit::DeleteTunnels };
            let vlan = BridgeVlan::of_flags(0, *vid, 0);
            (false, edit, vlan.with_tunnel(id.map(|id| id as u32)))
        }
        _ => return None,
    };
    Some(Action::Vlans { target, own, edit, vlans: vec![vlan] })
}

/// How a VLAN or its tunnel is.
pub(super) fn state(index: u32, field: &Field, now: &Snapshot) -> Option<Value> {
    let number = match field {
        Field::Vlan(_, vid) => u64::from(now.vlan(index, *vid)?.flags()),
        Field::Tunnel(vid) => u64::from(now.vlan(index, *vid)?.tunnel_id()?),
        _ => return None,
    };
    Some(Value::Number(number))
}

const PVID: u64 = 0x2;

/// Which VLAN is that of untagged frames.
fn pvid_of(index: u32, of: &Snapshot) -> Option<u16> {
    of.vlans_of(index).find(|vlan| vlan.is_pvid()).map(BridgeVlan::vid)
}

/// Whether a VLAN is as it was made but for `pvid`, which another program has given to another since: it is ours all the
/// same.
pub(super) fn has_lost_pvid(fact: &Fact, is: Option<&Value>, now: &Snapshot) -> bool {
    let Field::Vlan(_, vid) = fact.field else { return false };
    let (want, is) = (fact.want.as_ref().and_then(Value::number), is.and_then(Value::number));
    let elsewhere = pvid_of(fact.index, now).is_some_and(|pvid| pvid != vid);
    elsewhere && want.is_some_and(|want| want & PVID != 0 && is == Some(want & !PVID))
}

/// How a VLAN goes back: not as that of untagged frames where another program has made another one that, none of `own`.
pub(super) fn back(mut fact: Fact, own: &[Fact], now: &Snapshot) -> Fact {
    let (Field::Vlan(_, vid), Some(Value::Number(flags))) = (&fact.field, &mut fact.want) else {
        return fact;
    };
    if *flags & PVID == 0 {
        return fact;
    }
    let index = fact.index;
    let given = |pvid: u16| {
        own.iter().any(|one| {
            let gives = one.want.as_ref().and_then(Value::number).is_some_and(|f| f & PVID != 0);
            matches!(one.field, Field::Vlan(_, own) if own == pvid) && one.index == index && gives
        })
    };
    let foreign = pvid_of(index, now).is_some_and(|pvid| pvid != *vid && !given(pvid));
    if foreign {
        *flags &= !PVID;
    }
    fact
}

/// How the VLANs of an interface were, where it has lost them by leaving its bridge and coming back, or by being made
/// again: those that are missing or otherwise, and those that it was given by itself and had not. Only when what gives
/// them has gone back: the master, and the default.
pub(super) fn lost(index: u32, before: &Snapshot, now: &Snapshot) -> Vec<Fact> {
    let (Some(old), Some(new)) = (before.link_by_index(index), now.link_by_index(index)) else {
        return Vec::new();
    };
    let own = old.kind() == Some("bridge");
    let bridge = if own { Some(index) } else { old.master() };
    let Some(bridge) = bridge.filter(|_| own || old.master() == new.master()) else {
        return Vec::new();
    };
    let default = default_of(bridge, before);
    if default.is_none() || default != default_of(bridge, now) {
        return Vec::new();
    }
    let given = now.vlans_of(index).map(BridgeVlan::vid).filter(|vid| Some(*vid) == default);
    let vids = before.vlans_of(index).map(BridgeVlan::vid).chain(given);
    as_before(index, own, vids, before, now)
}

/// How these VLANs were, where they are not so.
fn as_before(
    index: u32,
    own: bool,
    vids: impl Iterator<Item = u16>,
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<Fact> {
    let has_tunnels = now
        .link_by_index(index)
        .and_then(|link| link.record().value(row::PORT)?.nested()?.value(port_row::VLAN_TUNNEL))
        .and_then(Value::number)
        == Some(1);
    let (mut vlans, mut tunnels) = (Vec::new(), Vec::new());
    for vid in vids {
        let fact = |field: Field| Fact { index, want: state(index, &field, before), field };
        let (vlan, tunnel) = (fact(Field::Vlan(own, vid)), fact(Field::Tunnel(vid)));
        if has_tunnels && tunnel.want.is_some() && !tunnel.holds(now) {
            tunnels.push(tunnel);
        }
        if !vlan.holds(now) {
            vlans.push(vlan);
        }
    }
    vlans.extend(tunnels);
    vlans
}

/// A bridge that is told another default moves the VLANs of itself and its ports that were the former one
/// (`__br_vlan_set_default_pvid`). How they were, when the default is the former one again.
pub(super) fn shifted(index: u32, named: &Record, before: &Snapshot, now: &Snapshot) -> Vec<Fact> {
    let told = named.value(bridge::VLAN_DEFAULT_PVID).filter(|_| named.table() == &BRIDGE);
    let (Some(told), Some(former)) = (told.and_then(Value::number), default_of(index, before))
    else {
        return Vec::new();
    };
    if default_of(index, now) != Some(former) {
        return Vec::new();
    }
    let ports = before.ports_of(index).filter(|port| {
        now.link_by_index(port.index()).is_some_and(|now| now.master() == Some(index))
    });
    let all = ports.map(|port| (port.index(), false)).chain([(index, true)]);
    let vids = || [told as u16, former].into_iter().filter(|vid| *vid != 0);
    all.flat_map(|(index, own)| as_before(index, own, vids(), before, now)).collect()
}

/// A port that has its tunnels switched off loses them (`nbp_vlan_tunnel_info_flush`). Which those were, when it is
/// switched on again.
pub(super) fn unswitched(
    index: u32,
    named: &Record,
    before: &Snapshot,
    now: &Snapshot,
) -> Vec<Fact> {
    if named.value(port_row::VLAN_TUNNEL).is_none() || named.table() == &BRIDGE {
        return Vec::new();
    }
    let by = before.vlans_of(index).filter(|vlan| vlan.tunnel_id().is_some());
    let mut facts = as_before(index, false, by.map(BridgeVlan::vid), before, now);
    facts.retain(|fact| matches!(fact.field, Field::Tunnel(_)));
    facts
}

/// The tunnel that is there must go before another is there (EEXIST).
pub(super) fn in_the_way(fact: &Fact, was: Option<&Value>, is: Option<&Value>) -> Option<Action> {
    let changes = matches!(fact.field, Field::Tunnel(_)) && was.is_some() && is.is_some();
    changes.then(|| for_fact(&Fact { want: None, ..fact.clone() })).flatten()
}

/// `bridge vlan add ...`, one command for each range.
pub(super) fn commands(dev: &str, own: bool, edit: VlanEdit, vlans: &[BridgeVlan]) -> String {
    let itself = if own { " self" } else { "" };
    let verb = match edit {
        VlanEdit::Add | VlanEdit::AddTunnels => "add",
        VlanEdit::Delete | VlanEdit::DeleteTunnels => "del",
    };
    let command = |range: BridgeVlanSpec| {
        let (first, last) = (*range.vids().start(), *range.vids().end());
        let span = |first: u32, more: u32| match more {
            0 => first.to_string(),
            more => format!("{first}-{}", first + more),
        };
        let more = u32::from(last - first);
        let mut text = format!("bridge vlan {verb} dev {dev} vid {}", span(first.into(), more));
        if edit == VlanEdit::Add {
            text += if range.is_pvid() { " pvid" } else { "" };
            text += if range.is_untagged() { " untagged" } else { "" };
        }
        let tunnels = matches!(edit, VlanEdit::AddTunnels | VlanEdit::DeleteTunnels);
        if let Some(id) = range.tunnel_id().filter(|_| tunnels) {
            text += &format!(" tunnel_info id {}", span(id, more));
        }
        text + itself
    };
    let told = |vlan: &BridgeVlan| match edit {
        VlanEdit::Add => vlan.with_tunnel(None),
        VlanEdit::Delete => BridgeVlan::of_flags(0, vlan.vid(), 0),
        _ => BridgeVlan::of_flags(0, vlan.vid(), 0).with_tunnel(vlan.tunnel_id()),
    };
    let all = bridge_vlan::ranges(vlans.iter().map(told));
    all.into_iter().map(command).collect::<Vec<_>>().join(" && ")
}

/// What a review says of an edit: ranges that come or go, and what changes, one by one.
pub(super) fn lines(
    action: &Action,
    edit: VlanEdit,
    vlans: &[BridgeVlan],
    now: &Snapshot,
) -> Vec<Line> {
    let index = match action.target() {
        Target::Live { index, .. } => Some(index),
        Target::New(_) => None,
    };
    let there = |vid| index.and_then(|index| now.vlan(index, vid)).copied();
    let range = |sign: Sign| move |one: BridgeVlanSpec| (sign, format!("vlan {one}"), [None, None]);
    let (known, new): (Vec<&BridgeVlan>, Vec<&BridgeVlan>) =
        vlans.iter().partition(|vlan| there(vlan.vid()).is_some());
    let changed = |vlan: &&BridgeVlan| {
        let fact = facts(0, false, edit, &[**vlan]).into_iter().next()?;
        let is = there(vlan.vid()).and_then(|_| state(index?, &fact.field, now));
        let texts = [show(&fact.field, is.as_ref()), show(&fact.field, fact.want.as_ref())];
        Some((Sign::Change, title(&fact.field), texts.map(Some)))
    };
    match edit {
        VlanEdit::Add => {
            let new = new.iter().map(|vlan| vlan.with_tunnel(None));
            let come = bridge_vlan::ranges(new).into_iter().map(range(Sign::Plus));
            come.chain(known.iter().filter_map(changed)).collect()
        }
        VlanEdit::Delete => {
            let plain = vlans.iter().map(|vlan| BridgeVlan::of_flags(0, vlan.vid(), 0));
            bridge_vlan::ranges(plain).into_iter().map(range(Sign::Minus)).collect()
        }
        _ => vlans.iter().collect::<Vec<_>>().iter().filter_map(changed).collect(),
    }
}

/// A state of a VLAN or a tunnel as a text for people.
pub(super) fn show(field: &Field, state: Option<&Value>) -> String {
    let Some(number) = state.and_then(Value::number) else { return "none".to_owned() };
    match field {
        Field::Vlan(..) => {
            let vlan = BridgeVlan::of_flags(0, 0, number as u16).to_string();
            let words = vlan.trim_start_matches('0').trim();
            if words.is_empty() { "tagged".to_owned() } else { words.to_owned() }
        }
        _ => number.to_string(),
    }
}

/// Whether an interface is one that has VLANs, if only an empty set of them.
pub(super) fn has_some(link: &Link, of: &Snapshot) -> bool {
    let own = link.kind() == Some("bridge");
    let bridge = if own { Some(link.index()) } else { link.master() };
    bridge.is_some_and(|bridge| default_of(bridge, of).is_some())
}

/// The VLANs of an interface for a file.
pub(super) fn tree(index: u32, of: &Snapshot) -> Tree {
    let range = |spec: BridgeVlanSpec| {
        let (first, last) = (*spec.vids().start(), *spec.vids().end());
        let mut entries = vec![("vlan", Tree::Number(first.into()))];
        entries.extend((first != last).then(|| ("vlanEnd", Tree::Number(last.into()))));
        let flags = [(spec.is_pvid(), "PVID"), (spec.is_untagged(), "Egress Untagged")];
        let flags = flags.into_iter().filter(|(on, _)| *on).map(|(_, word)| Tree::from(word));
        entries.push(("flags", Tree::List(flags.collect())));
        entries.extend(spec.tunnel_id().map(|id| ("tunid", Tree::Number(id.into()))));
        Tree::Map(entries.into_iter().map(|(key, tree)| (key.to_owned(), tree)).collect())
    };
    let all = bridge_vlan::ranges(of.vlans_of(index).copied());
    Tree::List(all.into_iter().map(range).collect())
}

/// Reads what [`tree`] has made, or `bridge -json vlan show`.
pub(super) fn read(tree: &Tree) -> Result<Vec<BridgeVlanSpec>, Wrong> {
    let wrong = |why: &str| Wrong::new("vlans", why);
    let Tree::List(all) = tree else { return Err(wrong("a list is expected")) };
    let number = |tree: &Tree| match tree {
        Tree::Number(number) => Ok(*number),
        _ => Err(wrong("a number is expected")),
    };
    let vid = |tree: &Tree| {
        let vid = u16::try_from(number(tree)?);
        vid.map_err(|_| wrong("a VLAN is 1 to 4094"))
    };
    let one = |tree: &Tree| {
        let Tree::Map(entries) = tree else { return Err(wrong("an object is expected")) };
        let first = tree.key("vlan").ok_or_else(|| wrong("`vlan` is missing"));
        let first = vid(first?)?;
        let last = tree.key("vlanEnd").map_or(Ok(first), vid)?;
        let mut spec = BridgeVlan::range(first..=last);
        for (key, tree) in entries {
            match key.as_str() {
                "vlan" | "vlanEnd" | "tunidEnd" => {}
                "tunid" => {
                    let id = u32::try_from(number(tree)?);
                    spec = spec.tunnel(id.unwrap_or(u32::MAX));
                }
                "flags" => {
                    for flag in items(tree) {
                        spec = match text(Some(flag)) {
                            Some("PVID") => spec.pvid(),
                            Some("Egress Untagged") => spec.untagged(),
                            _ => return Err(wrong("a flag is `PVID` or `Egress Untagged`")),
                        };
                    }
                }
                other => return Err(wrong(&format!("`{other}` is not known of a VLAN"))),
            }
        }
        Ok(spec)
    };
    all.iter().map(one).collect()
}

impl Action {
    /// The same on VLANs in several requests, where there are too many for one.
    pub(super) fn vlan_requests(self) -> Vec<Action> {
        match self {
            Action::Vlans { target, own, edit, mut vlans } => {
                vlans.sort_by_key(BridgeVlan::vid);
                let chunks = vlans.chunks(AT_ONCE);
                chunks
                    .map(|some| Action::Vlans { target, own, edit, vlans: some.to_vec() })
                    .collect()
            }
            one => vec![one],
        }
    }
}

/// Whether all that an edit says is said of an interface that the kernel gives VLANs in this transaction: what it has
/// now is not what it will have.
pub(super) fn is_on_fresh(draft: &Draft, action: &Action, now: &Snapshot) -> bool {
    matches!(action, Action::Vlans { target, .. } if draft.has_fresh_vlans(*target, now))
}

/// The VLANs of which a list of facts speaks.
pub(super) fn only(vlans: &mut Vec<BridgeVlan>, facts: &[Fact]) {
    let vid = |fact: &Fact| match fact.field {
        Field::Vlan(_, vid) | Field::Tunnel(vid) => Some(vid),
        _ => None,
    };
    let vids: BTreeSet<u16> = facts.iter().filter_map(vid).collect();
    vlans.retain(|vlan| vids.contains(&vlan.vid()));
}

/// What a fact about a VLAN is about.
pub(super) fn title(field: &Field) -> String {
    match field {
        Field::Tunnel(vid) => format!("tunnel of vlan {vid}"),
        Field::Vlan(_, vid) => format!("vlan {vid}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::link::LINK;
    use crate::state::{Event, LinkEvent};

    /// `v0` with these VLANs and flags.
    fn state_of(vlans: &[(u16, u16)]) -> Snapshot {
        let mut record = Record::new(&LINK);
        record.set(row::INDEX, Value::Number(2));
        record.set(row::NAME, "v0".into());
        let now = Snapshot::default().saying(Event::Link(2, LinkEvent::Is(Box::new(record))));
        let all = vlans.iter().map(|(vid, flags)| BridgeVlan::of_flags(2, *vid, *flags)).collect();
        now.saying(Event::VlansNew(2, all))
    }

    fn fact(vid: u16, flags: u64) -> Fact {
        Fact { index: 2, field: Field::Vlan(false, vid), want: Some(Value::Number(flags)) }
    }

    #[test]
    fn what_another_program_has_made_that_of_untagged_frames_stays_so() {
        // Ours was 10, theirs is 33; before both it was 1.
        let own = [fact(1, 4), fact(10, 6)];
        let now = state_of(&[(1, 4), (10, 4), (33, 2)]);
        assert!(has_lost_pvid(&own[1], Some(&Value::Number(4)), &now));
        assert_eq!(back(fact(1, 6), &own, &now), fact(1, 4));
        // Where it is ours, it goes back.
        let now = state_of(&[(1, 4), (10, 6)]);
        assert!(!has_lost_pvid(&own[1], Some(&Value::Number(6)), &now));
        assert_eq!(back(fact(1, 6), &own, &now), fact(1, 6));
    }

    #[test]
    fn commands_and_facts_say_the_same() {
        let vlans: Vec<_> = BridgeVlan::range(10..=12).untagged().tunnel(7).each(0).collect();
        let check = |edit, expect: &str| {
            assert_eq!(commands("v0", false, edit, &vlans), expect);
            let again = facts(2, false, edit, &vlans).iter().filter_map(for_fact).count();
            assert_eq!(again, 3);
        };
        check(VlanEdit::Add, "bridge vlan add dev v0 vid 10-12 untagged");
        check(VlanEdit::Delete, "bridge vlan del dev v0 vid 10-12");
        check(VlanEdit::AddTunnels, "bridge vlan add dev v0 vid 10-12 tunnel_info id 7-9");
        check(VlanEdit::DeleteTunnels, "bridge vlan del dev v0 vid 10-12 tunnel_info id 7-9");
        assert_eq!(
            commands("br0", true, VlanEdit::Add, &[BridgeVlan::of_flags(0, 1, 6)]),
            "bridge vlan add dev br0 vid 1 pvid untagged self"
        );
    }

    #[test]
    fn too_many_for_one_request_are_several() {
        let vlans = BridgeVlan::range(1..=4094).each(0).collect();
        let target = Target::New(0);
        let all = Action::Vlans { target, own: false, edit: VlanEdit::Add, vlans }.vlan_requests();
        assert_eq!(all.len(), 4);
    }
}
