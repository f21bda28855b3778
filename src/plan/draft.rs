//! What the user named, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::object::kinds::macvlan::row as macvlan;
use crate::object::kinds::{NewLink, Place, master_of, table_for};
use crate::object::link::{LINK, LinkFlags, row};
use crate::object::port::row as port_row;
use crate::object::{Link, LinkRef, Record, Silent, Table, Value};
use crate::state::{AddressKey, Ask, Snapshot};

use super::action::Origin;
use super::bridge_vlans::Vlans;
use super::keyed::Edits;
use super::order::height;
use super::{AddressSpec, Conflicts, Refusal};
use super::{kinds, ports, rules};

/// An interface that a transaction edits: one that is there, or one that it creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One that is there, with its generation (K33).
    Live {
        /// Its index.
        index: u32,
        /// Its generation.
        generation: u64,
    },
    /// The one created by this transaction at this place.
    New(u64),
}

impl Target {
    /// The target that a link is.
    pub fn of(link: &Link) -> Self {
        Target::Live { index: link.index(), generation: link.generation() }
    }

    /// How it is named.
    pub(super) fn reference(self) -> LinkRef {
        match self {
            Target::Live { index, generation } => LinkRef::Handle { index, generation },
            Target::New(number) => LinkRef::New(number),
        }
    }

    /// What is named so, when it has been found.
    pub(super) fn named(which: &LinkRef) -> Option<Self> {
        match which {
            LinkRef::Handle { index, generation } => {
                Some(Target::Live { index: *index, generation: *generation })
            }
            LinkRef::New(number) => Some(Target::New(*number)),
            LinkRef::Name(_) | LinkRef::Index(_) => None,
        }
    }
}

/// Everything that a transaction is to change, and the state that its user saw when it began.
#[derive(Clone, Debug)]
pub struct Draft {
    base: Snapshot,
    links: Vec<LinkDraft>,
    next: u64,
    /// What is done where others have changed the same.
    pub(super) conflicts: Conflicts,
    /// What is named of routes.
    pub(super) keyed: Edits,
}

/// What is to change about one interface.
#[derive(Clone, Debug)]
pub struct LinkDraft {
    /// Which interface.
    pub(super) target: Target,
    /// How it comes to be, when it is new.
    pub(super) create: Option<Create>,
    /// Whether it is to be deleted.
    pub(super) remove: bool,
    /// The namespace that it goes to, and its name there.
    pub(super) away: Option<(Place, Box<str>)>,
    /// Whether it is to be as it was before it was gone: what of that it has by itself is not set.
    pub(super) as_it_was: bool,
    /// Link attributes to be set.
    pub(super) set: Record,
    /// Flags to be set or cleared.
    pub(super) flags: LinkFlags,
    /// Which flags are named.
    pub(super) mask: LinkFlags,
    /// Options of its kind.
    pub(super) data: Option<Record>,
    /// Options as a port.
    pub(super) port: Option<Record>,
    /// The master to be: `Some(None)` is none.
    pub(super) master: Option<Option<Target>>,
    /// Alternative names: `true` to be added.
    pub(super) altnames: Vec<(Box<str>, bool)>,
    /// Addresses, in the order of naming.
    pub(super) addresses: Addresses,
    /// VLANs, as a bridge or a port of one.
    pub(super) vlans: Vlans,
}

impl LinkDraft {
    /// Whether the kernel may take the proxies on the interface with it, or with its undoing (`pneigh_ifdown`): others may
    /// have made some, or taken some away, without a word.
    fn takes_proxies(&self) -> bool {
        let is_lowered = self.mask.contains(LinkFlags::UP) && !self.flags.contains(LinkFlags::UP);
        let goes = self.remove || self.away.is_some() || is_lowered || self.master.is_some();
        goes || self.set.value(row::MTU).is_some() || self.addresses.iter().next().is_some()
    }
}

/// The addresses that are named, found by what makes them these and no others.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    named: BTreeMap<u64, (AddressSpec, bool)>,
    added: BTreeMap<AddressKey, u64>,
    deleted: BTreeMap<AddressKey, u64>,
    next: u64,
}

impl Addresses {
    fn push(&mut self, spec: AddressSpec, add: bool) {
        let keys = if add { &mut self.added } else { &mut self.deleted };
        keys.insert(spec.key(0), self.next);
        self.named.insert(self.next, (spec, add));
        self.next += 1;
    }

    /// Takes an addition back.
    fn forget(&mut self, key: &AddressKey) -> bool {
        let number = self.added.remove(key);
        number.is_some_and(|number| self.named.remove(&number).is_some())
    }

    fn adds(&self, key: &AddressKey) -> bool {
        self.added.contains_key(key)
    }

    fn deletes(&self, key: &AddressKey) -> bool {
        self.deleted.contains_key(key)
    }

    /// Whether an address with this local part is deleted.
    pub(super) fn deletes_local(&self, local: IpAddr) -> bool {
        has_local(&self.deleted, local)
    }

    /// Whether an address with this local part is added.
    pub(super) fn adds_local(&self, local: IpAddr) -> bool {
        has_local(&self.added, local)
    }

    /// Each, and whether it is added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&AddressSpec, bool)> {
        self.named.values().map(|(spec, add)| (spec, *add))
    }
}

fn has_local(keys: &BTreeMap<AddressKey, u64>, local: IpAddr) -> bool {
    let from = AddressKey { index: 0, local, prefix_length: 0, network: 0 };
    keys.range(from..).next().is_some_and(|(key, _)| key.local == local)
}

/// How a new interface comes to be.
#[derive(Clone, Debug)]
pub(super) enum Create {
    /// By a request of its own, on top of another interface if it has one below.
    New(NewLink, Option<Target>),
    /// In another namespace, by a request of its own here.
    Abroad(Box<Abroad>),
    /// As the other end of a pair, together with the first: with this name, of this kind.
    Peer(Target, Box<str>, Box<str>),
    /// By what is asked for in another namespace.
    Arrival(Origin, Box<str>),
}

/// An interface that is made in another namespace.
#[derive(Clone, Debug)]
pub(super) struct Abroad {
    /// What it is to be there.
    pub(super) new: NewLink,
    /// The one below it, which is here.
    pub(super) lower: Option<Target>,
    /// Where.
    pub(super) to: Place,
    /// What it is called at first.
    pub(super) called: Box<str>,
}

/// What goes to another namespace, as it arrives there.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Which, here.
    pub target: Target,
    /// How it comes there.
    pub origin: Origin,
    /// What it is called there in the end.
    pub name: Box<str>,
}

impl Create {
    /// What it is made from here, wherever it is then, and on what.
    pub(super) fn made(&self) -> Option<(&NewLink, Option<Target>)> {
        match self {
            Create::New(new, lower) => Some((new, *lower)),
            Create::Abroad(abroad) => Some((&abroad.new, abroad.lower)),
            Create::Peer(..) | Create::Arrival(..) => None,
        }
    }

    /// Whether it is here when it is made.
    fn is_here(&self) -> bool {
        !matches!(self, Create::Abroad(_))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Create::New(new, _) => new.name(),
            Create::Abroad(abroad) => abroad.new.name(),
            Create::Peer(_, name, _) | Create::Arrival(_, name) => name,
        }
    }

    fn kind(&self) -> Option<&str> {
        match self {
            Create::New(new, _) => Some(new.kind()),
            Create::Abroad(abroad) => Some(abroad.new.kind()),
            Create::Peer(_, _, kind) => Some(kind),
            Create::Arrival(origin, _) => origin.kind(),
        }
    }
}

impl LinkDraft {
    fn new(target: Target) -> Self {
        LinkDraft {
            target,
            create: None,
            remove: false,
            away: None,
            as_it_was: false,
            set: Record::new(&LINK),
            flags: LinkFlags(0),
            mask: LinkFlags(0),
            data: None,
            port: None,
            master: None,
            altnames: Vec::new(),
            addresses: Addresses::default(),
            vlans: Vlans::default(),
        }
    }

    /// The options that it is made with or that are set, and the interfaces that they name.
    pub(super) fn named_links(&self) -> impl Iterator<Item = (&'static str, Target)> {
        let made = self.create.as_ref().and_then(Create::made);
        let made = made.and_then(|(new, _)| new.data.as_ref());
        [made, self.data.as_ref(), self.port.as_ref()].into_iter().flatten().flat_map(links_in)
    }

    /// Whether nothing but its flags is to change.
    pub(super) fn is_only_flagged(&self) -> bool {
        let flagged = LinkDraft { mask: LinkFlags(0), ..self.clone() };
        self.create.is_none() && !self.remove && !flagged.is_edited()
    }

    /// Whether anything is to change about it besides its being there.
    pub(super) fn is_edited(&self) -> bool {
        !self.set.is_empty()
            || self.mask.0 != 0
            || self.data.is_some()
            || self.port.is_some()
            || self.master.is_some()
            || !self.altnames.is_empty()
            || self.addresses.iter().next().is_some()
            || !self.vlans.is_empty()
    }
}

impl Draft {
    /// The interfaces of which it names something that others may have changed in silence (KERNEL 3I): what is so
    /// already, and what a rollback has to give back, is known only when they have been asked for.
    pub fn silent(&self) -> Vec<Ask> {
        let is_silent =
            |record: &Record| record.fields().any(|(_, row, _)| row.silent != Silent::Never);
        let names_some = |link: &&LinkDraft| {
            let records = [Some(&link.set), link.data.as_ref(), link.port.as_ref()];
            let in_silence = records.into_iter().flatten().any(is_silent);
            in_silence || link.master.is_some() || !link.altnames.is_empty()
        };
        let asked = |link: &LinkDraft| match link.target {
            Target::Live { index, .. } => Some(Ask::Link(index)),
            Target::New(_) => None,
        };
        let links = self.links.iter().filter(names_some).filter_map(asked);
        let proxies = self.links.iter().any(LinkDraft::takes_proxies).then_some(Ask::Proxies);
        links.chain(self.keyed.silent().or(proxies)).collect()
    }

    /// A draft that changes nothing, on the state that its user sees.
    ///
    /// `first` numbers the first interface that it creates. Numbers must not be shared between drafts: a
    /// [`LinkRef::New`] of another draft is then unknown here, and not another interface.
    pub fn new(base: Snapshot, first: u64) -> Self {
        Draft {
            base,
            links: Vec::new(),
            next: first,
            conflicts: Conflicts::default(),
            keyed: Edits::default(),
        }
    }

    /// What is done where others have changed the same.
    pub fn on_conflict(&mut self, conflicts: Conflicts) {
        self.conflicts = conflicts;
    }

    /// Is again as `earlier`, but for the numbers of new interfaces: one that is forgotten is never another one.
    pub fn go_back(&mut self, earlier: Draft) {
        let next = self.next;
        *self = Draft { next, ..earlier };
    }

    /// The state that its user saw.
    pub fn base(&self) -> &Snapshot {
        &self.base
    }

    /// What is named of what stands under a key.
    pub(super) fn keyed(&self) -> &Edits {
        &self.keyed
    }

    /// What is named, per interface, in the order of naming.
    pub(super) fn links(&self) -> &[LinkDraft] {
        &self.links
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.keyed.is_empty()
    }

    /// Finds an interface: one that this draft creates by its name or the index that it is to have, or one that is there.
    pub fn resolve(&self, which: &LinkRef) -> Result<Target, Refusal> {
        let created = self.links.iter().find(|draft| match (&draft.create, which) {
            (Some(create), _) if !create.is_here() => false,
            (Some(_), LinkRef::New(number)) => draft.target == Target::New(*number),
            (Some(create), LinkRef::Name(name)) => create.name() == &**name,
            (Some(Create::New(new, _)), LinkRef::Index(index)) => {
                new.record.number(row::INDEX) == u64::from(*index) && *index != 0
            }
            _ => false,
        });
        if let Some(draft) = created {
            return Ok(draft.target);
        }
        match (self.base.link(which.clone()), which) {
            (Some(link), _) => Ok(Target::of(link)),
            (None, LinkRef::Handle { index, .. }) => Err(rules::stale(*index, &self.base)),
            (None, which) => Err(Refusal::Unknown(which.to_string())),
        }
    }

    /// Options of an interface with the interfaces that they name found.
    pub(super) fn found(&self, options: &Record, of: &str) -> Result<Record, Refusal> {
        let mut all = options.clone();
        for (id, row, value) in options.fields() {
            let Value::Link(which) = value else { continue };
            let target = self.resolve(which).map_err(|why| Refusal::Named {
                option: row.title(),
                of: of.to_owned(),
                why: Box::new(why),
            })?;
            all.set(id, Value::Link(target.reference()));
        }
        Ok(all)
    }

    /// The interface's name, as this transaction will leave it.
    pub(super) fn name_of(&self, target: Target) -> String {
        let own = self.links.iter().find(|draft| draft.target == target);
        let renamed = own.and_then(|draft| draft.set.value(row::NAME)).and_then(Value::text);
        let created = own.and_then(|draft| draft.create.as_ref()).map(Create::name);
        match (renamed.or(created), target) {
            (Some(name), _) => name.to_owned(),
            (None, Target::Live { index, .. }) => rules::name(index, &self.base),
            (None, Target::New(number)) => format!("new interface {number}"),
        }
    }

    /// Whether it is to be deleted.
    pub(super) fn is_removed(&self, target: Target) -> bool {
        self.links.iter().any(|draft| draft.target == target && draft.remove)
    }

    /// The link that a target is in the base.
    pub(super) fn base_link(&self, target: Target) -> Option<&Link> {
        match target {
            Target::Live { index, generation } => {
                self.base.link(LinkRef::Handle { index, generation })
            }
            Target::New(_) => None,
        }
    }

    /// What is named about a target, begun if nothing was.
    pub(super) fn edit(&mut self, target: Target) -> &mut LinkDraft {
        let at = self.links.iter().position(|draft| draft.target == target).unwrap_or_else(|| {
            self.links.push(LinkDraft::new(target));
            self.links.len() - 1
        });
        &mut self.links[at]
    }

    /// Creates an interface.
    ///
    /// # Errors
    /// When the name cannot be a name or is taken, or the lower interface is unknown.
    pub fn create(&mut self, new: NewLink) -> Result<Target, Refusal> {
        let new = self.checked(new)?;
        if let Some(peer) = new.peer_name() {
            rules::check_name(peer)?;
            // One that is made elsewhere has its name there.
            if new.peer_place.is_none() {
                self.check_free(peer)?;
                if peer == new.name() {
                    return Err(Refusal::Exists { what: format!("interface `{peer}`") });
                }
            }
        }
        self.check_free(new.name())?;
        let lower = new.lower().map(|which| self.resolve(which)).transpose()?;
        let target = self.new_target();
        let peer = new.peer_name().filter(|_| new.peer_place.is_none()).map(Box::<str>::from);
        let kind = Box::<str>::from(new.kind());
        self.edit(target).create = Some(Create::New(new, lower));
        if let Some(peer) = peer {
            // The other end of a veth pair appears with the first; it can be edited like any new interface.
            let other = self.new_target();
            self.edit(other).create = Some(Create::Peer(target, peer, kind));
        }
        Ok(target)
    }

    /// Creates an interface in another namespace, on one of this.
    ///
    /// # Errors
    /// When the name cannot be a name, the interface below is unknown here, or it is of a kind that is not made so.
    pub fn create_in(&mut self, new: NewLink, to: Place) -> Result<Target, Refusal> {
        kinds::check_made_elsewhere(&new)?;
        let new = self.checked(new)?;
        let lower = new.lower().map(|which| self.resolve(which)).transpose()?;
        let target = self.new_target();
        let called = new.name().into();
        self.edit(target).create =
            Some(Create::Abroad(Box::new(Abroad { new, lower, to, called })));
        Ok(target)
    }

    /// Before Linux 6.15 the kernel looks for the name of a new interface here, also if it is made elsewhere: where someone has
    /// it, now or by this draft, it is made under another name first, made up from a `seed` that no one else has.
    pub fn evade_names(&mut self, now: &Snapshot, seed: u64) {
        let here = self.links.iter().filter_map(|link| {
            let created = link.create.as_ref().filter(|create| create.is_here());
            let renamed = link.set.value(row::NAME).and_then(Value::text);
            created.map(Create::name).or(renamed).map(str::to_owned)
        });
        let altnames = self.links.iter().flat_map(|link| &link.altnames);
        let here: BTreeSet<_> = here.chain(altnames.map(|(name, _)| name.to_string())).collect();
        for link in &mut self.links {
            let Some(Create::Abroad(abroad)) = &mut link.create else { continue };
            let name = abroad.new.name();
            let taken = here.contains(name) || now.link(LinkRef::from(name)).is_some();
            abroad.called = match (taken, link.target) {
                (true, Target::New(number)) => {
                    rules::passing_name(seed.wrapping_add(number), now).into()
                }
                _ => name.into(),
            };
        }
    }

    /// A new interface with options that it can have, and the interfaces found that those name.
    fn checked(&self, mut new: NewLink) -> Result<NewLink, Refusal> {
        rules::check_name(new.name())?;
        new.data = new.data.map(|options| kinds::with_sources(kinds::completed(options), None));
        if let Some(options) = &new.data {
            rules::check_settable(options)?;
            kinds::check(options, None)?;
        }
        ports::check_new(&new)?;
        if let Some(options) = &new.data {
            new.data = Some(self.found(options, new.name())?);
            ports::check_new(&new)?;
        }
        Ok(new)
    }

    /// The other end of a veth pair that this draft creates.
    pub fn peer_of(&self, target: Target) -> Option<Target> {
        let is_peer = |draft: &&LinkDraft| matches!(&draft.create, Some(Create::Peer(of, ..)) if *of == target);
        self.links.iter().find(is_peer).map(|draft| draft.target)
    }

    /// How many interfaces of other namespaces are below one that comes from there.
    pub(super) fn height_elsewhere(&self, target: Target) -> u8 {
        let own = self.links.iter().find(|link| link.target == target);
        match own.and_then(|link| link.create.as_ref()) {
            Some(Create::Arrival(Origin::Made { height, .. }, _)) => *height,
            _ => 0,
        }
    }

    fn new_target(&mut self) -> Target {
        self.next += 1;
        Target::New(self.next - 1)
    }

    /// A name is free when nobody has it, or who has it gives it up in this transaction.
    fn check_free(&self, name: &str) -> Result<(), Refusal> {
        let taken = || Err(Refusal::Exists { what: format!("interface `{name}`") });
        let is_new = |create: &Create| create.is_here() && create.name() == name;
        if self.links.iter().any(|draft| draft.create.as_ref().is_some_and(is_new)) {
            return taken();
        }
        match self.base.link_by_name(name) {
            Some(link) if !self.gives_up(Target::of(link), name) => taken(),
            _ => Ok(()),
        }
    }

    fn gives_up(&self, target: Target, name: &str) -> bool {
        self.links.iter().find(|draft| draft.target == target).is_some_and(|draft| {
            let renamed =
                draft.set.value(row::NAME).and_then(Value::text).is_some_and(|new| new != name);
            let dropped = draft.altnames.iter().any(|(own, add)| !add && &**own == name);
            draft.remove || renamed || dropped
        })
    }

    /// Deletes an interface. One that this draft creates is forgotten together with all that was named about it.
    ///
    /// # Errors
    /// When it is a device of its own, or comes from another namespace by what another draft asks for; when this draft creates
    /// it, and creates or edits something that needs it.
    pub fn remove(&mut self, target: Target) -> Result<(), Refusal> {
        if let Some(link) = self.base_link(target) {
            rules::check_removable(link)?;
        }
        let own = self.links.iter().find(|link| link.target == target);
        if own.is_some_and(|link| matches!(link.create, Some(Create::Arrival(..)))) {
            let used = "what it comes from in another namespace is not".to_owned();
            return Err(Refusal::Removed { name: self.name_of(target), used });
        }
        if matches!(target, Target::New(_)) {
            let pair = self.pair_of(target);
            self.check_unused(&pair)?;
            self.links.retain(|draft| !pair.contains(&draft.target));
        } else {
            self.edit(target).remove = true;
        }
        Ok(())
    }

    /// What is forgotten leaves nothing behind that needs it.
    fn check_unused(&self, forgotten: &[Target]) -> Result<(), Refusal> {
        let others = self.links.iter().filter(|draft| !forgotten.contains(&draft.target));
        for draft in others {
            let own = self.name_of(draft.target);
            let named = draft.named_links().find(|(_, named)| forgotten.contains(named));
            let lower = draft.create.as_ref().and_then(Create::made).and_then(|(_, lower)| lower);
            let (used, by) = match (lower, draft.master, named) {
                (Some(lower), ..) if forgotten.contains(&lower) => {
                    (lower, format!("`{own}` cannot be created on it"))
                }
                (_, Some(Some(master)), _) if forgotten.contains(&master) => {
                    (master, format!("`{own}` cannot become its port"))
                }
                (_, _, Some((option, named))) => (named, cannot_have(&own, option)),
                _ => continue,
            };
            return Err(Refusal::Removed { name: self.name_of(used), used: by });
        }
        match self.keyed.over(forgotten) {
            Some((used, what)) => Err(Refusal::Removed {
                name: self.name_of(used),
                used: format!("{what} goes out of it"),
            }),
            None => Ok(()),
        }
    }

    /// A new interface and, when it is one end of a veth pair, the other.
    fn pair_of(&self, target: Target) -> Vec<Target> {
        let first = self.links.iter().find_map(|draft| match &draft.create {
            Some(Create::Peer(of, ..)) if draft.target == target => Some(*of),
            _ => None,
        });
        let first = first.unwrap_or(target);
        [Some(first), self.peer_of(first)].into_iter().flatten().collect()
    }

    /// Moves an interface to another namespace, under a name that it has there.
    ///
    /// # Errors
    /// When the name cannot be a name, or the interface is one that this draft makes or moves already.
    pub fn move_away(
        &mut self,
        target: Target,
        to: Place,
        name: Option<&str>,
    ) -> Result<(), Refusal> {
        let own = self.name_of(target);
        let name = name.unwrap_or(&own);
        rules::check_name(name)?;
        if self.base_link(target).is_none() {
            let used = "what is made in a transaction is made where it is to be (`create_in`)";
            let used = used.to_owned();
            return Err(Refusal::Leaves { name: own, used });
        }
        let name = name.into();
        let away = &mut self.edit(target).away;
        if away.is_some() {
            return Err(Refusal::Leaves { name: own, used: "it moves already".to_owned() });
        }
        *away = Some((to, name));
        Ok(())
    }

    /// An interface that another draft, committed together with this one, makes in this namespace.
    ///
    /// # Errors
    /// When its name is taken.
    pub fn arrive(&mut self, origin: Origin, name: &str) -> Result<Target, Refusal> {
        self.check_free(name)?;
        let target = self.new_target();
        self.edit(target).create = Some(Create::Arrival(origin, name.into()));
        Ok(target)
    }

    /// What it sends to other namespaces, as it arrives there; `here` is how they name this one, which is as it is `now`.
    pub fn departures(&self, here: &Place, now: &Snapshot) -> Vec<Departure> {
        self.links.iter().filter_map(|link| self.departure(link, here, now)).collect()
    }

    fn departure(&self, link: &LinkDraft, here: &Place, now: &Snapshot) -> Option<Departure> {
        let target = link.target;
        let height = || height(self, target, now);
        let (origin, name) = match (&link.away, &link.create) {
            (Some((to, name)), _) => {
                let old = self.base_link(target)?;
                let origin = Origin::Moved {
                    to: to.clone(),
                    from: here.clone(),
                    index: old.index(),
                    name: old.name().into(),
                    kind: old.kind().map(Box::from),
                };
                (origin, name.clone())
            }
            (None, Some(Create::Abroad(abroad))) => {
                let (to, called) = (abroad.to.clone(), abroad.called.clone());
                let new = Box::new(abroad.new.clone());
                (Origin::Made { to, new, called, height: height() }, abroad.new.name().into())
            }
            (None, Some(Create::New(new, _))) => {
                let to = new.peer_place.clone()?;
                let new = Box::new(new.other_end()?);
                let called: Box<str> = new.name().into();
                (Origin::Made { to, new, called: called.clone(), height: height() }, called)
            }
            _ => return None,
        };
        Some(Departure { target, origin, name })
    }

    /// What departs elsewhere arrives here: as what is known to arrive and was not `received` yet, or as one that is not known.
    ///
    /// # Errors
    /// When its name is taken.
    pub fn receive(
        &mut self,
        departure: Departure,
        received: &mut BTreeSet<Target>,
    ) -> Result<(), Refusal> {
        let Departure { origin, name, .. } = departure;
        let mut awaited = self.links.iter_mut().filter(|link| !received.contains(&link.target));
        let known = awaited.find_map(|link| match &mut link.create {
            Some(Create::Arrival(own, called)) => {
                (own.to() == origin.to() && *called == name).then_some((link.target, own))
            }
            _ => None,
        });
        let target = match known {
            Some((target, own)) => {
                *own = origin;
                target
            }
            None => self.arrive(origin, &name)?,
        };
        received.insert(target);
        Ok(())
    }

    /// Refuses what is to arrive, and is not among those that were received.
    ///
    /// # Errors
    /// When there is one.
    pub fn check_arrivals(&self, received: &BTreeSet<Target>) -> Result<(), Refusal> {
        let stray = self.links.iter().find_map(|link| match &link.create {
            Some(Create::Arrival(_, name)) => (!received.contains(&link.target)).then_some(name),
            _ => None,
        });
        match stray {
            Some(name) => Err(Refusal::Missing {
                what: format!("what `{name}` comes from in another namespace"),
            }),
            None => Ok(()),
        }
    }

    /// Names a link attribute.
    ///
    /// # Errors
    /// When the value is outside the attribute's range.
    pub fn set(&mut self, target: Target, id: u16, value: Value) -> Result<(), Refusal> {
        rules::check_range(&LINK.rows[usize::from(id)], &value)?;
        self.edit(target).set.set(id, value);
        Ok(())
    }

    /// Renames an interface.
    ///
    /// # Errors
    /// When the name cannot be a name, or is taken.
    pub fn rename(&mut self, target: Target, name: &str) -> Result<(), Refusal> {
        rules::check_name(name)?;
        let own = self.base_link(target).is_some_and(|link| link.name() == name);
        if !own {
            self.check_free(name)?;
        }
        match &mut self.edit(target).create {
            Some(Create::New(new, _)) => new.rename(name, false),
            Some(Create::Peer(_, own, _)) => *own = name.into(),
            Some(Create::Abroad(_) | Create::Arrival(..)) => {
                let (what, value) = ("interface name", name.to_owned());
                let why = "it comes from another namespace, where its name is said".to_owned();
                return Err(Refusal::Invalid { what, value, why });
            }
            None => self.edit(target).set.set(row::NAME, name.into()),
        }
        Ok(())
    }

    /// Names the largest packet.
    ///
    /// # Errors
    /// When it is outside what the interface says it can.
    pub fn set_mtu(&mut self, target: Target, mtu: u32) -> Result<(), Refusal> {
        if let Some(link) = self.base_link(target) {
            rules::check_mtu(link, mtu)?;
        }
        self.set(target, row::MTU, Value::Number(mtu.into()))
    }

    /// Names flags to be set or cleared.
    pub fn set_flags(&mut self, target: Target, flags: LinkFlags, on: bool) {
        let draft = self.edit(target);
        draft.mask = draft.mask | flags;
        draft.flags = if on { draft.flags | flags } else { LinkFlags(draft.flags.0 & !flags.0) };
    }

    /// Names options of a kind.
    ///
    /// # Errors
    /// When the interface is of another kind.
    pub fn set_data(&mut self, target: Target, options: &Record) -> Result<(), Refusal> {
        rules::check_settable(options)?;
        let kind = self.kind_of(target);
        let table = table_for(kind.as_deref().unwrap_or_default(), options.table());
        let options = &options.clone().of_table(table);
        if kind.as_deref() != Some(options.table().name) {
            return Err(self.wrong_kind(target, "this option", options.table(), kind));
        }
        let options = &self.found(options, &self.name_of(target))?;
        let own = self.links.iter().find(|draft| draft.target == target);
        let mut named = own.and_then(|own| own.data.clone());
        let mut all = own.and_then(|own| match &own.create {
            Some(Create::New(new, _)) => new.data.clone(),
            Some(Create::Arrival(Origin::Made { new, .. }, _)) => new.data.clone(),
            _ => None,
        });
        let base = self.base_link(target);
        let present = base.and_then(|link| link.record().value(row::DATA)?.nested());
        let have = [named.as_ref(), all.as_ref(), present].into_iter().flatten();
        let have = have.filter(|record| rules::is_macvlan(record.table()));
        let have = have.filter_map(|record| record.value(macvlan::MACADDR_DATA)).next();
        let options = kinds::with_sources(kinds::completed(options.clone()), have);
        merge(&mut named, &options);
        if let Some(named) = &named {
            merge(&mut all, named);
        }
        let vlan = present.filter(|present| present.table().name == "vlan");
        vlan.map_or(Ok(()), |present| ports::check_fixed(&options, present))?;
        all.map_or(Ok(()), |all| kinds::check(&all, present))?;
        self.edit(target).data = named;
        Ok(())
    }

    /// Names options as a port of a bridge or bond.
    ///
    /// # Errors
    /// When the interface is not a port of one, and does not become one in this transaction.
    pub fn set_port(&mut self, target: Target, options: &Record) -> Result<(), Refusal> {
        rules::check_settable(options)?;
        let master = self.master_of(target);
        let kind = master.and_then(|master| self.kind_of(master));
        let needed = master_of(options.table());
        if kind.as_deref() != Some(needed) {
            let needs = if needed == "bond" { "port of a bond" } else { "port of a bridge" };
            let is = kind.map_or("no port".to_owned(), |kind| format!("a port of a {kind}"));
            let name = self.name_of(target);
            return Err(Refusal::WrongKind { what: "this option", needs, name, is });
        }
        let options = self.found(options, &self.name_of(target))?;
        // `nbp_backup_change`.
        let backup = match options.value(port_row::BACKUP_PORT) {
            Some(Value::Link(which)) if needed == "bridge" => Some(self.resolve(which)?),
            _ => None,
        };
        if backup == Some(target) {
            let (what, value) = ("backup_port", self.name_of(target));
            let why = "a port is not its own backup".to_owned();
            return Err(Refusal::Invalid { what, value, why });
        }
        merge(&mut self.edit(target).port, &options);
        Ok(())
    }

    fn wrong_kind(
        &self,
        target: Target,
        what: &'static str,
        table: &'static Table,
        is: Option<String>,
    ) -> Refusal {
        let is = is.map_or("of no kind".to_owned(), |kind| format!("a {kind}"));
        Refusal::WrongKind { what, needs: table.name, name: self.name_of(target), is }
    }

    pub(super) fn kind_of(&self, target: Target) -> Option<String> {
        let own = self.links.iter().find(|draft| draft.target == target);
        match own.and_then(|draft| draft.create.as_ref()) {
            Some(create) => create.kind().map(str::to_owned),
            None => self.base_link(target)?.kind().map(str::to_owned),
        }
    }

    /// The master that a target will have: the one named, else the one that it has.
    pub(super) fn master_of(&self, target: Target) -> Option<Target> {
        let named =
            self.links.iter().find(|draft| draft.target == target).and_then(|draft| draft.master);
        named.unwrap_or_else(|| {
            self.base.link_by_index(self.base_link(target)?.master()?).map(Target::of)
        })
    }

    /// Makes `port` a port of `master`.
    ///
    /// # Errors
    /// When it is its own master, the master takes no ports, or it is its port already.
    pub fn add_port(&mut self, master: Target, port: Target) -> Result<(), Refusal> {
        let name = self.name_of(port);
        if master == port {
            let why = "an interface cannot be its own master".to_owned();
            return Err(Refusal::Invalid { what: "port", value: name, why });
        }
        let kind = self.kind_of(master);
        if !kind.as_deref().is_some_and(rules::takes_ports) {
            let is = kind.map_or("of no kind".to_owned(), |kind| format!("a {kind}"));
            let needs = "bridge, bond, team or vrf";
            return Err(Refusal::WrongKind {
                what: "add_port",
                needs,
                name: self.name_of(master),
                is,
            });
        }
        if kind.as_deref() == Some("vrf") && self.kind_of(port).as_deref() == Some("vrf") {
            let why = "a VRF cannot be the port of a VRF".to_owned();
            return Err(Refusal::Invalid { what: "port", value: name, why });
        }
        if self.master_of(port) == Some(master) {
            return Err(Refusal::Exists {
                what: format!("port `{name}` of `{}`", self.name_of(master)),
            });
        }
        self.edit(port).master = Some(Some(master));
        Ok(())
    }

    /// Releases `port` from `master`.
    ///
    /// # Errors
    /// When it is not its port.
    pub fn del_port(&mut self, master: Target, port: Target) -> Result<(), Refusal> {
        if self.master_of(port) != Some(master) {
            let what = format!("port `{}` of `{}`", self.name_of(port), self.name_of(master));
            return Err(Refusal::Missing { what });
        }
        self.edit(port).master = Some(None);
        Ok(())
    }

    /// Adds or deletes an alternative name.
    ///
    /// # Errors
    /// When it cannot be one, is taken, or is not there.
    pub fn altname(&mut self, target: Target, name: &str, add: bool) -> Result<(), Refusal> {
        rules::check_altname(name)?;
        let here = self
            .base_link(target)
            .is_some_and(|link| link.altnames().iter().any(|own| &**own == name));
        let draft = self.edit(target);
        let before = draft.altnames.len();
        draft.altnames.retain(|(own, _)| &**own != name);
        let undone = before != draft.altnames.len();
        match (add, here || undone) {
            (true, false) => self.check_free(name)?,
            (true, true) if !undone => {
                return Err(Refusal::Exists { what: format!("altname `{name}`") });
            }
            (false, false) => return Err(Refusal::Missing { what: format!("altname `{name}`") }),
            _ => {}
        }
        if here != add {
            self.edit(target).altnames.push((name.into(), add));
        }
        Ok(())
    }

    /// Adds an address.
    ///
    /// # Errors
    /// When it is there already.
    pub fn add_ip(&mut self, target: Target, spec: AddressSpec) -> Result<(), Refusal> {
        let there = self.find_address(target, &spec).is_some();
        let key = spec.key(0);
        let named = &mut self.edit(target).addresses;
        // Deleted and added in one transaction: it is replaced.
        if named.adds(&key) || there && !named.deletes(&key) {
            return Err(self.address_exists(target, &spec));
        }
        named.push(spec, true);
        Ok(())
    }

    fn address_exists(&self, target: Target, spec: &AddressSpec) -> Refusal {
        Refusal::Exists { what: format!("address {spec} of `{}`", self.name_of(target)) }
    }

    /// Deletes an address.
    ///
    /// # Errors
    /// When it is not there.
    pub fn del_ip(&mut self, target: Target, spec: AddressSpec) -> Result<(), Refusal> {
        let here = self.find_address(target, &spec);
        let missing =
            Refusal::Missing { what: format!("address {spec} of `{}`", self.name_of(target)) };
        let named = &mut self.edit(target).addresses;
        if named.forget(&spec.key(0)) {
            return Ok(());
        }
        match here {
            Some(found) if !named.deletes(&found.key(0)) => named.push(found, false),
            _ => return Err(missing),
        }
        Ok(())
    }

    /// The address that the base has and that `spec` names: its local address and prefix length, and its peer if
    /// one is named.
    fn find_address(&self, target: Target, spec: &AddressSpec) -> Option<AddressSpec> {
        let link = self.base_link(target)?;
        let exact = self.base.address(&spec.key(link.index()));
        let named = exact.filter(|address| address.prefix_length() == spec.prefix_length());
        let by_local = || {
            let all = self.base.addresses_of(link.index()).into_iter();
            let plain = spec.far() == spec.local();
            all.filter(|address| plain && address.local() == spec.local())
                .find(|address| address.prefix_length() == spec.prefix_length())
        };
        AddressSpec::of(named.or_else(by_local)?)
    }
}

/// Why an interface that an option names cannot go.
pub(super) fn cannot_have(own: &str, option: &str) -> String {
    format!("`{own}` cannot have it as its {option}")
}

/// The interfaces that options name.
pub(super) fn links_in(options: &Record) -> impl Iterator<Item = (&'static str, Target)> {
    options.fields().filter_map(|(_, row, value)| match value {
        Value::Link(which) => Some((row.title(), Target::named(which)?)),
        _ => None,
    })
}

/// Puts options over those that are named already.
pub(super) fn merge(into: &mut Option<Record>, options: &Record) {
    let own = into.get_or_insert_with(|| Record::new(options.table()));
    for (id, _, value) in options.fields() {
        own.set(id, value.clone());
    }
}
