//! VLANs of bridge ports and of bridges themselves, by interface and number; and their reading.

use super::Snapshot;
use super::apply::Doubt;
use crate::object::bridge_vlan::{tunnels_tree, vlans_tree};
use crate::object::{BridgeVlan, Link, Tree};

impl Snapshot {
    /// The VLANs of a bridge port, or of a bridge itself, in the order of their numbers.
    ///
    /// None where the kernel was built without VLANs for bridges.
    ///
    /// ```
    /// use netlinkdb::{Bridge, Db, NetNs};
    ///
    /// NetNs::enter_private()?;
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.create(Bridge::new("br0"))?;
    /// let done = tx.commit()?;
    /// let br0 = done.snapshot().link("br0").unwrap().index();
    /// let vlans: Vec<_> = done.snapshot().vlans_of(br0).map(|vlan| vlan.to_string()).collect();
    /// if vlans.is_empty() {
    ///     println!("skipped: this kernel's bridges have no VLANs");
    ///     return Ok(());
    /// }
    /// assert_eq!(vlans, ["1 PVID Egress Untagged"]);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn vlans_of(&self, index: u32) -> impl Iterator<Item = &BridgeVlan> {
        self.vlans.range((index, 0)..=(index, u16::MAX)).map(|(_, vlan)| vlan)
    }

    /// The VLAN with this number of a bridge port, or of a bridge itself.
    pub fn vlan(&self, index: u32, vid: u16) -> Option<&BridgeVlan> {
        self.vlans.get(&(index, vid))
    }

    /// How many VLANs there are, each counted where it is.
    pub fn vlan_count(&self) -> usize {
        self.vlans.len()
    }

    /// What `bridge -json vlan show` prints: the interfaces that have VLANs, in the order of their indexes.
    pub fn vlans_tree(&self) -> Tree {
        let tree = |(link, vlans): (&Link, Vec<BridgeVlan>)| vlans_tree(link.name(), &vlans);
        Tree::List(self.by_link().map(tree).collect())
    }

    /// What `bridge -json vlan tunnelshow` prints: the interfaces that have VLANs which go by tunnels, in the order of
    /// their indexes.
    pub fn tunnels_tree(&self) -> Tree {
        let tree = |(link, vlans): (&Link, Vec<BridgeVlan>)| tunnels_tree(link.name(), &vlans);
        Tree::List(self.by_link().filter_map(tree).collect())
    }

    fn by_link(&self) -> impl Iterator<Item = (&Link, Vec<BridgeVlan>)> {
        let with = |link| (link, self.vlans_of(Link::index(link)).copied().collect::<Vec<_>>());
        self.links().map(with).filter(|(_, vlans)| !vlans.is_empty())
    }

    /// These are there now, others stay. The VLAN of untagged frames is one: another that was it is it no more.
    pub(super) fn vlans_are(&mut self, index: u32, all: &[BridgeVlan]) -> Doubt {
        if !self.links.contains_key(&index) {
            return Doubt::None;
        }
        let pvid = all.iter().rfind(|vlan| vlan.is_pvid()).map(BridgeVlan::vid);
        let other = |vlan: &&BridgeVlan| vlan.is_pvid() && Some(vlan.vid()) != pvid;
        let former = pvid.and_then(|_| self.vlans_of(index).find(other).copied());
        for vlan in all {
            let is_it = vlan.is_pvid() && Some(vlan.vid()) == pvid;
            self.vlans.insert((index, vlan.vid()), vlan.with_pvid(is_it));
        }
        let Some(former) = former.and_then(|former| self.vlan(index, former.vid()).copied()) else {
            return Doubt::None;
        };
        self.vlans.insert((index, former.vid()), former.with_pvid(false));
        // The default goes out untagged: what does not is somebody's own, and stays.
        if former.is_untagged() { Doubt::Repvid } else { Doubt::None }
    }

    pub(super) fn vlans_gone(&mut self, index: u32, all: &[BridgeVlan]) {
        for vlan in all {
            self.vlans.remove(&(index, vlan.vid()));
        }
    }

    /// Puts these in the place of all that an interface had; whether that changed something.
    pub(super) fn replace_vlans(&mut self, index: u32, all: &[BridgeVlan]) -> bool {
        if self.vlans_of(index).eq(all) || !self.links.contains_key(&index) {
            return false;
        }
        self.evict_vlans(index);
        self.vlans.extend(all.iter().map(|vlan| ((index, vlan.vid()), *vlan)));
        true
    }

    pub(super) fn evict_vlans(&mut self, index: u32) {
        let all: Vec<_> = self.vlans_of(index).copied().collect();
        self.vlans_gone(index, &all);
    }

    /// A port has no VLANs without its bridge; a bridge has its own, whatever it is a port of.
    pub(super) fn leave_bridge(&mut self, index: u32) {
        if self.link_by_index(index).and_then(Link::kind) != Some("bridge") {
            self.evict_vlans(index);
        }
    }

    /// A port that has tunnels for VLANs no more has lost all of them, in silence (`nbp_vlan_tunnel_info_flush`).
    /// Whether there were some.
    pub(super) fn forget_tunnels(&mut self, index: u32) -> bool {
        let by: Vec<_> = self.vlans_of(index).filter(|vlan| vlan.tunnel_id().is_some()).collect();
        let left: Vec<_> = by.into_iter().map(|vlan| vlan.with_tunnel(None)).collect();
        let some = !left.is_empty();
        self.vlans.extend(left.into_iter().map(|vlan| ((index, vlan.vid()), vlan)));
        some
    }

    pub(super) fn check_vlans(&self) {
        for ((index, vid), vlan) in &self.vlans {
            assert_eq!((vlan.index(), vlan.vid()), (*index, *vid));
            assert!(BridgeVlan::VIDS.contains(vid), "{vlan:?}");
            assert!(self.links.contains_key(index), "VLAN without interface: {vlan:?}");
        }
        for link in self.links() {
            let pvids = self.vlans_of(link.index()).filter(|vlan| vlan.is_pvid());
            assert!(pvids.count() <= 1, "VLANs of untagged frames of {link:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, LinkEvent};
    use super::*;
    use crate::object::link::{LINK, row};
    use crate::object::{Record, Value};

    fn link(index: u64, kind: &str, master: u64) -> Event {
        let mut record = Record::new(&LINK);
        record.set(row::INDEX, Value::Number(index));
        record.set(row::NAME, format!("if{index}").as_str().into());
        record.set(row::KIND, kind.into());
        if master != 0 {
            record.set(row::MASTER, Value::Number(master));
        }
        Event::Link(index as u32, LinkEvent::Is(Box::new(record)))
    }

    /// A bridge and a port of it, with VLAN 1 each.
    fn world() -> Snapshot {
        let mut world = Snapshot::default();
        world.apply(link(1, "bridge", 0), 1);
        world.apply(link(2, "veth", 1), 2);
        for index in [1, 2] {
            let default = BridgeVlan::of_flags(index, 1, 6);
            assert_eq!(world.apply(Event::VlansNew(index, vec![default]), 3), Doubt::None);
        }
        world
    }

    fn told(world: &Snapshot, index: u32) -> Vec<String> {
        world.check();
        world.vlans_of(index).map(BridgeVlan::to_string).collect()
    }

    #[test]
    fn one_vlan_is_that_of_untagged_frames_and_the_former_is_in_doubt() {
        let mut world = world();
        let new = |vid, flags| Event::VlansNew(2, vec![BridgeVlan::of_flags(2, vid, flags)]);
        assert_eq!(world.apply(new(7, 6), 4), Doubt::Repvid);
        assert_eq!(told(&world, 2), ["1 Egress Untagged", "7 PVID Egress Untagged"]);
        assert_eq!(world.apply(new(7, 2), 5), Doubt::None, "the same again, tagged");
        // The default is untagged: this one is somebody's own.
        assert_eq!(world.apply(new(8, 6), 6), Doubt::None);
        assert_eq!(told(&world, 2), ["1 Egress Untagged", "7", "8 PVID Egress Untagged"]);
    }

    #[test]
    fn vlans_go_with_the_bridge_of_a_port_and_a_bridge_keeps_its_own() {
        let mut world = world();
        world.apply(link(3, "vrf", 0), 4);
        world.apply(link(1, "bridge", 3), 5);
        world.apply(link(1, "bridge", 0), 6);
        assert_eq!(told(&world, 1), ["1 PVID Egress Untagged"]);
        // Told of a port that leaves, and of one of which a VLAN goes.
        assert_eq!(world.apply(Event::Link(2, LinkEvent::PortGone), 7), Doubt::Left);
        assert_eq!(told(&world, 2).len(), 1);
        world.apply(link(2, "veth", 0), 8);
        assert!(told(&world, 2).is_empty());
        world.apply(Event::Link(1, LinkEvent::Gone { moved: false }), 9);
        assert_eq!(world.vlan_count(), 0);
        // Told before its interface, and after it.
        world.apply(Event::VlansNew(1, vec![BridgeVlan::of_flags(1, 5, 0)]), 10);
        assert_eq!(world.vlan_count(), 0);
    }

    #[test]
    fn tunnels_are_forgotten_and_vlans_stay() {
        let mut world = world();
        let vlan = BridgeVlan::of_flags(2, 10, 0).with_tunnel(Some(1000));
        world.apply(Event::VlansNew(2, vec![vlan]), 4);
        assert!(world.forget_tunnels(2) && !world.forget_tunnels(2));
        assert_eq!(told(&world, 2), ["1 PVID Egress Untagged", "10"]);
        assert!(!world.replace_vlans(9, &[vlan]) && world.replace_vlans(2, &[vlan]));
        assert_eq!(told(&world, 2), ["10 tunnel 1000"]);
    }
}
