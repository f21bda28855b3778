//! Nexthop objects by their number, and their reading.
//!
//! The kernel takes those of a link that goes down, loses its carrier or goes away without a word, and with them what
//! they are in: groups lose a member, and the last member takes the group along (K7, measured on 6.18). So does
//! `Nexthops::remove`. Never here: a group with a member that is not there; a nexthop out of an interface that is not
//! there or not up; the buckets of resilient groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use im::OrdMap;

use super::Snapshot;
use super::filter::{UnknownAttribute, filter};
use crate::object::nexthop::{member_row, row};
use crate::object::show::printed_list;
use crate::object::{NEXTHOP, Names, Nexthop, Tree, Value};

/// Every nexthop object of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Nexthops {
    /// Whether they are followed at all.
    pub(super) followed: bool,
    pub(super) map: OrdMap<u32, Arc<Nexthop>>,
}

/// What has gone with nexthops: their own numbers and those of groups that were left empty; and the groups that have
/// lost a member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) gone: BTreeSet<u32>,
    pub(super) shrunk: BTreeSet<u32>,
}

impl Nexthops {
    /// A nexthop is there. `false` when it was, with the same attributes.
    pub(super) fn put(&mut self, nexthop: Nexthop) -> bool {
        let known = self.map.get(&nexthop.id());
        let changed = known.is_none_or(|old| !old.record().same(nexthop.record()));
        if changed {
            self.map.insert(nexthop.id(), Arc::new(nexthop));
        }
        changed
    }

    /// Those that leave by this interface.
    pub(super) fn over(&self, index: u32) -> BTreeSet<u32> {
        let over = self.map.iter().filter(|(_, nexthop)| nexthop.oif() == Some(index));
        over.map(|(id, _)| *id).collect()
    }

    /// Takes nexthops out, and out of their groups, and groups that are left empty (`remove_nexthop`). What is in
    /// `gone` need not have been known.
    pub(super) fn remove(&mut self, gone: BTreeSet<u32>) -> Lost {
        let mut lost = Lost { gone, shrunk: BTreeSet::new() };
        lost.gone.iter().for_each(|id| drop(self.map.remove(id)));
        let of_group = |nexthop: &Nexthop| nexthop.group().any(|(id, _)| lost.gone.contains(&id));
        let groups = self.map.iter().filter(|(_, nexthop)| of_group(nexthop));
        let groups: Vec<_> = groups.map(|(id, nexthop)| (*id, nexthop.clone())).collect();
        for (id, group) in groups {
            match without(&group, &lost.gone) {
                Some(left) => {
                    self.map.insert(id, Arc::new(left));
                    lost.shrunk.insert(id);
                }
                None => {
                    self.map.remove(&id);
                    lost.gone.insert(id);
                }
            }
        }
        lost
    }
}

impl Nexthops {
    /// Panics unless all that is referred to is there. For tests and fuzzing.
    pub(super) fn check(&self, is_link: impl Fn(u32) -> bool) {
        for (id, nexthop) in &self.map {
            assert_eq!(nexthop.id(), *id);
            assert!(nexthop.oif().is_none_or(&is_link), "nexthop without interface: {nexthop:?}");
            let mut members = nexthop.group().map(|(member, _)| member);
            assert!(members.all(|id| self.map.contains_key(&id)), "without a member: {nexthop:?}");
        }
    }
}

/// A group without these members; `None` when none is left. A group is in no group.
fn without(group: &Nexthop, gone: &BTreeSet<u32>) -> Option<Nexthop> {
    let mut record = group.record().clone();
    let members = record.value(row::GROUP).map(Value::records).unwrap_or_default();
    let stays =
        |member: &crate::object::Record| !gone.contains(&(member.number(member_row::ID) as u32));
    let left: Vec<_> = members.iter().filter(|member| stays(member)).cloned().collect();
    if left.is_empty() {
        return None;
    }
    record.set(row::GROUP, Value::Records(left.into()));
    Some(Nexthop::of(record))
}

impl Snapshot {
    /// The nexthop objects. None where they are not followed, see [`Snapshot::follows_nexthops`].
    pub fn nexthops(&self) -> NexthopList<'_> {
        NexthopList { snapshot: self }
    }

    /// Whether nexthop objects are followed: a database may leave them out (`Db::builder().nexthops(false)`).
    pub fn follows_nexthops(&self) -> bool {
        self.nexthops.followed
    }

    /// The nexthop object with this number.
    pub fn nexthop(&self, id: u32) -> Option<&Arc<Nexthop>> {
        self.nexthops.map.get(&id)
    }
}

/// The nexthop objects of one namespace at one moment, by their numbers; from [`Snapshot::nexthops`].
///
/// ```
/// use netlinkdb::{Db, NetNs};
///
/// NetNs::enter_private()?;
/// let now = Db::open()?.snapshot();
/// assert!(now.nexthops().is_empty() && now.nexthops().get(7).is_none());
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NexthopList<'a> {
    snapshot: &'a Snapshot,
}

impl<'a> NexthopList<'a> {
    /// The nexthop objects by their numbers, 1 to 4294967295.
    pub fn iter(self) -> impl Iterator<Item = &'a Nexthop> + use<'a> {
        self.snapshot.nexthops.map.values().map(|nexthop| &**nexthop)
    }

    /// The one with this number.
    pub fn get(self, id: u32) -> Option<&'a Nexthop> {
        self.snapshot.nexthop(id).map(|nexthop| &**nexthop)
    }

    /// Those whose attribute has this value, as in `ip -json -details nexthop`: `("dev", "eth0")`,
    /// `("gateway", "10.0.0.2")`.
    ///
    /// # Errors
    /// When no attribute of nexthop objects has this name.
    pub fn filter(
        self,
        attribute: &str,
        value: &str,
    ) -> Result<impl Iterator<Item = &'a Nexthop> + use<'a>, UnknownAttribute> {
        let names = self.snapshot;
        filter(self.iter(), &NEXTHOP, &["type"], attribute, value, |one| one.tree(names))
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.snapshot.nexthops.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What `ip -json -details nexthop show` prints.
    pub fn tree(self) -> Tree {
        let names: &dyn Names = self.snapshot;
        Tree::List(self.iter().map(|nexthop| nexthop.tree(names)).collect())
    }
}

printed_list! {
    /// As `ip nexthop show` reads: a line for each.
    NexthopList of iter
}
