//! VLANs of bridge ports and of bridges themselves: `RTM_NEWVLAN` with `struct br_vlan_msg` (Linux 5.6), and as a request
//! `RTM_SETLINK` of family `AF_BRIDGE`, which leaves other programs' notifications as they expect them: for a VLAN that is
//! deleted by `RTM_DELVLAN` the kernel tells them what it tells of a port that leaves (`br_vlan_rtm_process_one`).
//!
//! Never here: what else a VLAN has by port (its state in the spanning tree, its multicast options) and by bridge
//! (`bridge vlan global`), and its counters.

use std::fmt;
use std::ops::RangeInclusive;

use super::shape::*;
use super::spec::SpecError;
use super::table::table;
use super::{Record, Tree, Value};
use crate::wire::{Attributes, Builder, HEADER, Malformed, flags, kind, put_ne_u16};

/// One VLAN of a bridge port, or of a bridge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeVlan {
    index: u32,
    vid: u16,
    pvid: bool,
    untagged: bool,
    tunnel: Option<u32>,
}

impl BridgeVlan {
    /// The VLANs with these numbers, 1 to 4094, to be added: tagged, and not that of untagged frames.
    ///
    /// ```
    /// use netlinkdb::BridgeVlan;
    /// assert_eq!(BridgeVlan::new(10).pvid().untagged().to_string(), "10 PVID Egress Untagged");
    /// assert_eq!(BridgeVlan::range(20..=25).to_string(), "20-25");
    /// assert_eq!(BridgeVlan::new(4095).check().unwrap_err().to_string(), "`4095`: a VLAN is 1 to 4094");
    /// ```
    pub fn range(vids: RangeInclusive<u16>) -> BridgeVlanSpec {
        BridgeVlanSpec {
            first: *vids.start(),
            last: *vids.end(),
            pvid: false,
            untagged: false,
            tunnel: None,
        }
    }

    /// The VLAN with this number, 1 to 4094, to be added: tagged, and not that of untagged frames.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(vid: u16) -> BridgeVlanSpec {
        BridgeVlan::range(vid..=vid)
    }

    /// The index of the port, or of the bridge itself.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The number, 1 to 4094.
    #[doc(alias = "BRIDGE_VLANDB_ENTRY_INFO")]
    pub fn vid(&self) -> u16 {
        self.vid
    }

    /// Whether untagged frames that come in are of this VLAN: at most one of an interface is it.
    #[doc(alias = "BRIDGE_VLAN_INFO_PVID")]
    pub fn is_pvid(&self) -> bool {
        self.pvid
    }

    /// Whether its frames go out untagged.
    #[doc(alias = "BRIDGE_VLAN_INFO_UNTAGGED")]
    pub fn is_untagged(&self) -> bool {
        self.untagged
    }

    /// The number of the tunnel that it goes by, 0 to 16777215; `None` for none. Of ports with `vlan_tunnel` only.
    #[doc(alias = "BRIDGE_VLANDB_TINFO_ID")]
    pub fn tunnel_id(&self) -> Option<u32> {
        self.tunnel
    }

    /// The same on another interface.
    pub fn on(self, index: u32) -> Self {
        BridgeVlan { index, ..self }
    }

    /// The same, as that of untagged frames or not.
    pub fn with_pvid(self, pvid: bool) -> Self {
        BridgeVlan { pvid, ..self }
    }

    /// The same by another tunnel, or by none.
    pub fn with_tunnel(self, tunnel: Option<u32>) -> Self {
        BridgeVlan { tunnel, ..self }
    }

    /// As a request says whether it is pvid and untagged: `BRIDGE_VLAN_INFO_*`.
    pub fn flags(&self) -> u16 {
        info_flags(self.pvid, self.untagged)
    }

    /// From its number and what a request says of it.
    pub fn of_flags(index: u32, vid: u16, flags: u16) -> Self {
        let (pvid, untagged) = (flags & PVID != 0, flags & UNTAGGED != 0);
        BridgeVlan { index, vid, pvid, untagged, tunnel: None }
    }

    /// Everything that the kernel said, by rows.
    pub fn record(&self) -> Record {
        let mut record = Record::new(&BRIDGE_VLAN);
        record.set(row::INDEX, Value::Number(self.index.into()));
        record.set(row::VID, Value::Number(self.vid.into()));
        record.set(row::FLAGS, Value::Number(self.flags().into()));
        if let Some(tunnel) = self.tunnel {
            record.set(row::TUNNEL, Value::Number(tunnel.into()));
        }
        record
    }

    /// From its rows.
    pub fn of(record: &Record) -> Self {
        let kept = Kept(record);
        BridgeVlan::of_flags(kept.index().unwrap_or(0), kept.vid(), kept.flags())
            .with_tunnel(kept.tunnel())
    }

    /// What `bridge -json vlan show` prints of it.
    pub fn tree(&self) -> Tree {
        let mut entries = vec![("vlan".to_owned(), Tree::Number(self.vid.into()))];
        let words: Vec<_> = words(self.pvid, self.untagged).map(Tree::from).collect();
        if !words.is_empty() {
            entries.push(("flags".to_owned(), Tree::List(words)));
        }
        Tree::Map(entries)
    }
}

/// `10 PVID Egress Untagged`, and its tunnel: `10 tunnel 1000`.
impl fmt::Display for BridgeVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BridgeVlanSpec::of(*self).fmt(f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for BridgeVlan {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.tree().serialize(to)
    }
}

/// VLANs of a bridge port or of a bridge to be added: one, or those with numbers that follow each other.
///
/// What is wrong with them is said by [`BridgeVlanSpec::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BridgeVlanSpec {
    first: u16,
    last: u16,
    pvid: bool,
    untagged: bool,
    tunnel: Option<u32>,
}

impl BridgeVlanSpec {
    /// One that is there.
    pub fn of(vlan: BridgeVlan) -> Self {
        let BridgeVlan { vid, pvid, untagged, tunnel, .. } = vlan;
        BridgeVlanSpec { first: vid, last: vid, pvid, untagged, tunnel }
    }

    /// Untagged frames that come in are of this VLAN, and no more of another.
    pub fn pvid(self) -> Self {
        BridgeVlanSpec { pvid: true, ..self }
    }

    /// Its frames go out untagged.
    pub fn untagged(self) -> Self {
        BridgeVlanSpec { untagged: true, ..self }
    }

    /// It goes by the tunnel with this number, 0 to 16777215; of several VLANs the first, and the others by those that
    /// follow. Of a port only, with `vlan_tunnel` on.
    pub fn tunnel(self, id: u32) -> Self {
        BridgeVlanSpec { tunnel: Some(id), ..self }
    }

    /// The numbers.
    pub fn vids(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// The tunnel of the first.
    pub fn tunnel_id(&self) -> Option<u32> {
        self.tunnel
    }

    /// Whether it is to be that of untagged frames.
    pub fn is_pvid(&self) -> bool {
        self.pvid
    }

    /// Whether its frames are to go out untagged.
    pub fn is_untagged(&self) -> bool {
        self.untagged
    }

    /// Each as it will be on an interface.
    pub fn each(self, index: u32) -> impl Iterator<Item = BridgeVlan> {
        self.vids().map(move |vid| BridgeVlan {
            index,
            vid,
            pvid: self.pvid,
            untagged: self.untagged,
            tunnel: self.tunnel.map(|id| id.saturating_add(u32::from(vid - self.first))),
        })
    }

    /// Whether there can be such.
    ///
    /// # Errors
    /// When a number is outside 1 to 4094, the last is before the first, several are to be that of untagged frames, or a
    /// tunnel's number is above 16777215.
    pub fn check(&self) -> Result<(), SpecError> {
        let range = match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        };
        let refuse = |why: &'static str| Err(SpecError::new(&range, why));
        let vids = BridgeVlan::VIDS;
        if !vids.contains(&self.first) || !vids.contains(&self.last) {
            return refuse("a VLAN is 1 to 4094");
        }
        if self.last < self.first {
            return refuse("the last VLAN is before the first");
        }
        if self.pvid && self.first != self.last {
            return refuse("one VLAN only can be that of untagged frames");
        }
        let most = |id: u32| id.saturating_add(u32::from(self.last - self.first));
        match self.tunnel.map(most) {
            Some(16_777_216..) => refuse("the number of a tunnel is 0 to 16777215"),
            _ => Ok(()),
        }
    }
}

impl BridgeVlan {
    /// The numbers that a VLAN can have.
    pub const VIDS: RangeInclusive<u16> = 1..=4094;
}

/// `10 PVID Egress Untagged`, `20-25 tunnel 1000-1005`.
impl fmt::Display for BridgeVlanSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, first: u32, more: u32| match more {
            0 => write!(f, "{first}"),
            more => write!(f, "{first}-{}", first.saturating_add(more)),
        };
        let more = u32::from(self.last.saturating_sub(self.first));
        range(f, self.first.into(), more)?;
        words(self.pvid, self.untagged).try_for_each(|word| write!(f, " {word}"))?;
        self.tunnel.map_or(Ok(()), |id| f.write_str(" tunnel ").and_then(|()| range(f, id, more)))
    }
}

impl From<u16> for BridgeVlanSpec {
    fn from(vid: u16) -> Self {
        BridgeVlan::new(vid)
    }
}

impl From<RangeInclusive<u16>> for BridgeVlanSpec {
    fn from(vids: RangeInclusive<u16>) -> Self {
        BridgeVlan::range(vids)
    }
}

const PVID: u16 = 0x2;
const UNTAGGED: u16 = 0x4;

fn info_flags(pvid: bool, untagged: bool) -> u16 {
    let bit = |on: bool, bit: u16| if on { bit } else { 0 };
    bit(pvid, PVID) | bit(untagged, UNTAGGED)
}

/// As `bridge vlan show` says it.
fn words(pvid: bool, untagged: bool) -> impl Iterator<Item = &'static str> {
    let words = [(pvid, "PVID"), (untagged, "Egress Untagged")];
    words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word)
}

/// VLANs that follow each other and are alike but for their numbers, each range once: as the kernel tells them
/// (`br_vlan_can_enter_range`).
pub fn ranges(vlans: impl IntoIterator<Item = BridgeVlan>) -> Vec<BridgeVlanSpec> {
    let mut ranges: Vec<BridgeVlanSpec> = Vec::new();
    for vlan in vlans {
        let one = BridgeVlanSpec::of(vlan);
        let follows = |last: &&mut BridgeVlanSpec| {
            let more = u32::from(last.last - last.first) + 1;
            !last.pvid
                && !one.pvid
                && last.untagged == one.untagged
                && last.last.checked_add(1) == Some(one.first)
                && last.tunnel.map(|id| id.saturating_add(more)) == one.tunnel
        };
        match ranges.last_mut().filter(follows) {
            Some(last) => last.last = one.last,
            None => ranges.push(one),
        }
    }
    ranges
}

table! {
    /// A VLAN by itself: what is kept of an entry, and on which interface.
    pub static BRIDGE_VLAN: "bridge_vlan", header 0;
    fields row;
    view ['a] Kept<'a>;
    setters [];
    rows {
        /// The interface.
        INDEX index: Index = Path(&[1]), "br_vlan_msg.ifindex", Identity, name: "dev", form: Link;
        /// The number, 1 to 4094.
        VID vid or 0: U16 = Path(&[2]), "bridge_vlan_info.vid", Identity, name: "vlan";
        /// Whether it is that of untagged frames, and whether its own go out untagged.
        FLAGS flags or 0: U16 = Path(&[3]), "bridge_vlan_info.flags", Set, form: Bits(FLAGS);
        /// The tunnel by which it goes.
        TUNNEL tunnel: U32 = Path(&[4]), "BRIDGE_VLANDB_TINFO_ID", Set, name: "tunnel";
    }
}

/// The flags that are kept.
const FLAGS: &[(u64, &str)] = &[(0x2, "PVID"), (0x4, "Egress Untagged")];

/// A VLAN by its rows.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a>(&'a Record);

impl Kept<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct bridge_vlan_info` in `include/uapi/linux/if_bridge.h`.
    pub static VLAN_INFO: "bridge_vlan_info", header 4;
    fields info_row;
    view ['a] VlanInfo<'a>;
    setters [];
    rows {
        /// `BRIDGE_VLAN_INFO_*`.
        FLAGS flags or 0: U16 = Header(0), "bridge_vlan_info.flags", Set, form: Hex;
        /// The number.
        VID vid or 0: U16 = Header(2), "bridge_vlan_info.vid", Identity;
    }
}

/// Number and flags of a VLAN.
#[derive(Clone, Copy, Debug)]
pub struct VlanInfo<'a>(pub(crate) &'a Record);

impl VlanInfo<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

records! {
    /// Number and flags.
    VlanInfoOf: Struct VLAN_INFO, VlanInfo;
}

table! {
    /// `BRIDGE_VLANDB_ENTRY_*` in `include/uapi/linux/if_bridge.h`: one VLAN, or several that are alike.
    pub static VLAN_ENTRY: "bridge_vlan_entry", header 0;
    fields entry_row;
    view ['a] VlanEntry<'a>;
    setters [];
    rows {
        /// Number and flags.
        INFO info: VlanInfoOf = Path(&[1]), "BRIDGE_VLANDB_ENTRY_INFO", Identity;
        /// The last of several.
        RANGE range: U16 = Path(&[2]), "BRIDGE_VLANDB_ENTRY_RANGE", Identity;
        /// The state in the spanning tree protocol.
        STATE state: U8 = Path(&[3]), "BRIDGE_VLANDB_ENTRY_STATE", Status;
        /// The tunnel; of several VLANs that of the first.
        TUNNEL tunnel: U32 = Path(&[4, 1]), "BRIDGE_VLANDB_TINFO_ID", Set;
        /// Frames counted.
        STATS statistics: Bytes = Path(&[5]), "BRIDGE_VLANDB_ENTRY_STATS", Statistic;
        /// Whether multicast routers are looked for.
        MCAST_ROUTER mcast_router: U8 = Path(&[6]), "BRIDGE_VLANDB_ENTRY_MCAST_ROUTER", Status;
        /// How many multicast groups have members.
        MCAST_N_GROUPS mcast_n_groups: U32 = Path(&[7]), "BRIDGE_VLANDB_ENTRY_MCAST_N_GROUPS", Statistic;
        /// How many multicast groups may have members.
        MCAST_MAX_GROUPS mcast_max_groups: U32 = Path(&[8]), "BRIDGE_VLANDB_ENTRY_MCAST_MAX_GROUPS", Status;
        /// Whether the bridge answers for neighbours.
        NEIGH_SUPPRESS neigh_suppress: U8 = Path(&[9]), "BRIDGE_VLANDB_ENTRY_NEIGH_SUPPRESS", Status;
    }
}

/// One entry of a message.
#[derive(Clone, Copy, Debug)]
pub struct VlanEntry<'a>(&'a Record);

impl VlanEntry<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct br_vlan_msg` in `include/uapi/linux/if_bridge.h`. The entries behind it come several times under one
    /// number, so that they are no rows: see [`entries`].
    pub static VLAN_MESSAGE: "bridge_vlan_message", header 8;
    fields message_row;
    view ['a] VlanMessage<'a>;
    setters [];
    rows {
        /// The address family, 7 (`AF_BRIDGE`).
        FAMILY family or 0: U8 = Header(0), "br_vlan_msg.family", Identity;
        /// The port, or the bridge itself.
        INDEX index: Index = Header(4), "br_vlan_msg.ifindex", Identity;
    }
}

/// What stands before the entries.
#[derive(Clone, Copy, Debug)]
pub struct VlanMessage<'a>(&'a Record);

impl VlanMessage<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

const BRIDGE_VLANDB_ENTRY: u16 = 1;
const BRIDGE_VLANDB_ENTRY_INFO: u16 = 1;
const BRIDGE_VLANDB_ENTRY_TUNNEL_INFO: u16 = 4;
const BRIDGE_VLANDB_TINFO_ID: u16 = 1;

/// The entries of a message of the types `RTM_NEWVLAN` and `RTM_DELVLAN`; what else it tells (`bridge vlan global`) is
/// passed over.
pub fn entries(payload: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let all = Attributes::new(payload.get(VLAN_MESSAGE.header..).unwrap_or_default());
    let entries = all.map_while(Result::ok).filter(|one| one.kind == BRIDGE_VLANDB_ENTRY);
    entries.map(|entry| Record::decode_attributes(&VLAN_ENTRY, entry.payload))
}

/// The interface that a message is about, and the VLANs that it tells, each once, in their order.
///
/// # Errors
/// When it is shorter than its fixed struct.
pub fn decode(payload: &[u8]) -> Result<(u32, Vec<BridgeVlan>), Malformed> {
    let message = Record::decode(&VLAN_MESSAGE, payload)?;
    let index = VlanMessage(&message).index().unwrap_or(0);
    // By number: however often a message repeats itself, there are no more than 4094.
    let mut told: Vec<Option<BridgeVlan>> = vec![None; usize::from(*BridgeVlan::VIDS.end()) + 1];
    for entry in entries(payload) {
        let entry = VlanEntry(&entry);
        let Some(info) = entry.info() else { continue };
        let (first, last) = (info.vid(), entry.range().unwrap_or(info.vid()));
        for (vid, place) in told.iter_mut().enumerate() {
            let vid = vid as u16;
            if BridgeVlan::VIDS.contains(&vid) && (first..=last).contains(&vid) {
                let tunnel = entry.tunnel().map(|id| id.saturating_add(u32::from(vid - first)));
                *place = Some(BridgeVlan::of_flags(index, vid, info.flags()).with_tunnel(tunnel));
            }
        }
    }
    Ok((index, told.into_iter().flatten().collect()))
}

/// The payload of a message that tells of these VLANs, each by itself, in the place of those that it tells of; what else it
/// has stays as it is.
pub fn retold(payload: &[u8], vlans: &[BridgeVlan]) -> Vec<u8> {
    let (header, rest) = payload.split_at(VLAN_MESSAGE.header.min(payload.len()));
    let mut told = Builder::new(kind::RTM_NEWVLAN, 0).fixed(header);
    let others = Attributes::new(rest).map_while(Result::ok);
    for other in others.filter(|one| one.kind != BRIDGE_VLANDB_ENTRY) {
        told.attribute(other.kind, other.payload);
    }
    for vlan in vlans {
        told.open(BRIDGE_VLANDB_ENTRY);
        told.attribute(BRIDGE_VLANDB_ENTRY_INFO, &bytes(&[vlan.flags(), vlan.vid]));
        if let Some(id) = vlan.tunnel {
            told.open(BRIDGE_VLANDB_ENTRY_TUNNEL_INFO);
            told.number(BRIDGE_VLANDB_TINFO_ID, id);
            told.close();
        }
        told.close();
    }
    told.finish().split_off(HEADER)
}

/// The request for the VLANs of one interface, or of all (0): the fixed struct, and that counters are wanted. Without those
/// the kernel puts VLANs that are alike into ranges, also that of untagged frames with the next ones, and tells of such a
/// range the first VLAN only (`br_vlan_dump_dev`, `br_vlan_fill_vids`; 5.10 to 6.12).
pub fn dump_request(index: u32) -> Builder {
    const BRIDGE_VLANDB_DUMP_FLAGS: u16 = 1;
    const BRIDGE_VLANDB_DUMPF_STATS: u32 = 1;
    let request = Builder::new(kind::RTM_GETVLAN, flags::REQUEST | flags::DUMP);
    let mut request = request.fixed(&message_header(index));
    request.number(BRIDGE_VLANDB_DUMP_FLAGS, BRIDGE_VLANDB_DUMPF_STATS);
    request
}

fn message_header(index: u32) -> Vec<u8> {
    let mut header = Record::new(&VLAN_MESSAGE);
    header.set(message_row::FAMILY, Value::Number(AF_BRIDGE.into()));
    header.set(message_row::INDEX, Value::Number(index.into()));
    header.encode_header()
}

const AF_BRIDGE: u8 = 7;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const IFLA_BRIDGE_VLAN_TUNNEL_INFO: u16 = 3;
const BRIDGE_FLAGS_SELF: u16 = 2;
const RANGE_BEGIN: u16 = 0x8;
const RANGE_END: u16 = 0x10;

/// What of VLANs a request speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// That they are there, and how.
    Vlans,
    /// The tunnels by which they go.
    Tunnels,
}

/// Writes VLANs as `RTM_SETLINK` and `RTM_DELLINK` take them (`br_afspec`); `own` when they are the bridge's own.
pub fn encode(to: &mut Builder, own: bool, said: Said, vlans: &[BridgeVlanSpec]) {
    to.open(IFLA_AF_SPEC);
    if own {
        to.attribute(IFLA_BRIDGE_FLAGS, &bytes(&[BRIDGE_FLAGS_SELF]));
    }
    for vlan in vlans {
        let several = vlan.first != vlan.last;
        let ends = [(vlan.first, 0, RANGE_BEGIN), (vlan.last, vlan.last - vlan.first, RANGE_END)];
        for (vid, more, end) in ends.into_iter().take(if several { 2 } else { 1 }) {
            let end = if several { end } else { 0 };
            match said {
                Said::Vlans => {
                    let flags = info_flags(vlan.pvid, vlan.untagged) | end;
                    let info = bytes(&[flags, vid]);
                    to.attribute(IFLA_BRIDGE_VLAN_INFO, &info);
                }
                Said::Tunnels => {
                    let id = vlan.tunnel.unwrap_or(0).saturating_add(more.into());
                    to.open(IFLA_BRIDGE_VLAN_TUNNEL_INFO);
                    to.number(1, id);
                    to.attribute(2, &bytes(&[vid]));
                    to.attribute(3, &bytes(&[end]));
                    to.close();
                }
            }
        }
    }
    to.close();
}

fn bytes(numbers: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.iter().for_each(|number| put_ne_u16(&mut bytes, *number));
    bytes
}

/// What `bridge -json vlan show` prints of an interface.
pub fn vlans_tree(name: &str, vlans: &[BridgeVlan]) -> Tree {
    let all = vlans.iter().map(BridgeVlan::tree).collect();
    Tree::Map(vec![
        ("ifname".to_owned(), name.to_owned().into()),
        ("vlans".to_owned(), Tree::List(all)),
    ])
}

/// What `bridge -json vlan tunnelshow` prints of an interface; `None` where no VLAN goes by a tunnel.
pub fn tunnels_tree(name: &str, vlans: &[BridgeVlan]) -> Option<Tree> {
    let tunnels = vlans.iter().filter(|vlan| vlan.tunnel.is_some());
    let plain = |vlan: &BridgeVlan| BridgeVlan { pvid: false, untagged: false, ..*vlan };
    let all: Vec<_> = ranges(tunnels.map(plain)).into_iter().map(tunnel_tree).collect();
    (!all.is_empty()).then(|| {
        Tree::Map(vec![
            ("ifname".to_owned(), name.to_owned().into()),
            ("tunnels".to_owned(), Tree::List(all)),
        ])
    })
}

fn tunnel_tree(range: BridgeVlanSpec) -> Tree {
    let mut entries = Vec::new();
    let mut number = |key: &str, number: u32| {
        entries.push((key.to_owned(), Tree::Number(number.into())));
    };
    let more = u32::from(range.last - range.first);
    let tunnel = range.tunnel.unwrap_or(0);
    let both = [("vlan", u32::from(range.first)), ("tunid", tunnel)];
    let ends = [("vlanEnd", u32::from(range.last)), ("tunidEnd", tunnel.saturating_add(more))];
    for (start, end) in both.into_iter().zip(ends) {
        number(start.0, start.1);
        if more > 0 {
            number(end.0, end.1);
        }
    }
    Tree::Map(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan(vid: u16, flags: u16, tunnel: Option<u32>) -> BridgeVlan {
        BridgeVlan::of_flags(7, vid, flags).with_tunnel(tunnel)
    }

    #[test]
    fn ranges_are_put_together_where_all_but_the_number_is_alike() {
        let all = [vlan(1, 6, None), vlan(2, 4, None), vlan(3, 4, None), vlan(5, 4, None)];
        let words = |all: Vec<BridgeVlanSpec>| all.iter().map(|one| one.to_string()).collect();
        let told: Vec<String> = words(ranges(all));
        assert_eq!(told, ["1 PVID Egress Untagged", "2-3 Egress Untagged", "5 Egress Untagged"]);
        let tunnels = [vlan(10, 0, Some(7)), vlan(11, 0, Some(8)), vlan(12, 0, Some(10))];
        let told: Vec<String> = words(ranges(tunnels));
        assert_eq!(told, ["10-11 tunnel 7-8", "12 tunnel 10"]);
        assert!(ranges(all).into_iter().flat_map(|one| one.each(7)).eq(all));
    }

    #[test]
    fn what_there_cannot_be_is_refused() {
        let check = |spec: BridgeVlanSpec, expect: &str| {
            assert_eq!(spec.check().unwrap_err().to_string(), expect);
        };
        check(BridgeVlan::new(0), "`0`: a VLAN is 1 to 4094");
        check(BridgeVlan::range(4000..=4095), "`4000-4095`: a VLAN is 1 to 4094");
        let backwards = std::ops::RangeInclusive::new(20, 10);
        check(BridgeVlan::range(backwards), "`20-10`: the last VLAN is before the first");
        let two = BridgeVlan::range(20..=21).pvid();
        check(two, "`20-21`: one VLAN only can be that of untagged frames");
        let far = BridgeVlan::range(20..=21).tunnel(16_777_215);
        check(far, "`20-21`: the number of a tunnel is 0 to 16777215");
        assert!(BridgeVlan::range(1..=4094).tunnel(16_773_122).check().is_ok());
    }

    /// A callback has changed some: what the message says besides stays.
    #[test]
    fn what_is_told_again_reads_as_it_was_told() {
        const BRIDGE_VLANDB_GLOBAL_OPTIONS: u16 = 2;
        let mut message = Builder::new(kind::RTM_NEWVLAN, 0).fixed(&message_header(7));
        message.attribute(BRIDGE_VLANDB_GLOBAL_OPTIONS, &[1, 2, 3, 4]);
        let payload = message.finish().split_off(HEADER);
        let all = [vlan(1, 6, None), vlan(2, 4, None), vlan(3, 4, Some(9)), vlan(4094, 0, Some(0))];
        let told = retold(&payload, &all);
        assert_eq!(decode(&told).unwrap(), (7, all.to_vec()));
        let fewer = retold(&told, &all[1..2]);
        assert_eq!(decode(&fewer).unwrap(), (7, all[1..2].to_vec()));
        assert!(fewer.starts_with(&payload));
        assert_eq!(retold(&fewer, &[]), payload);
    }

    #[test]
    fn rows_and_value_say_the_same() {
        for one in [vlan(1, 6, None), vlan(4094, 0, Some(0)), vlan(2, 2, Some(16_777_215))] {
            assert_eq!(BridgeVlan::of(&one.record()), one);
        }
    }
}
