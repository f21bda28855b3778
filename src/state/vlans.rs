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
