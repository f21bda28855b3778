//! Neighbours: `RTM_NEWNEIGH` with `struct ndmsg`. Three kinds share it: neighbours of IPv4 and IPv6, proxies
//! (`NTF_PROXY`), and forwarding entries of bridges and VXLAN tunnels (family `AF_BRIDGE`, K38).

use std::fmt;
use std::net::IpAddr;

use super::route::RouteProtocol;
use super::shape::*;
use super::show::{debug_as_display, link_name, printed};
use super::spec::{Draft, Places, SpecError, family_of};
use super::table::table;
use super::{Family, LinkRef, Named, Names, Record, Tree, Value};
use crate::wire::HardwareAddress;

/// One neighbour, proxy or forwarding entry, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Neighbour {
    record: Record,
}

/// `AF_BRIDGE`.
const AF_BRIDGE: u64 = 7;

impl Neighbour {
    /// From what the kernel said.
    #[doc(hidden)]
    pub fn of(record: Record) -> Self {
        Neighbour { record }
    }

    /// A neighbour to be added: its address and the interface behind which it is.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(address: impl fmt::Display, dev: impl Into<LinkRef>) -> NeighbourSpec {
        let mut draft = Draft::new(&NEIGHBOUR);
        if let Some(address) = draft.address(row::DST, &address.to_string()) {
            draft.number(row::FAMILY, family_of(address));
        }
        draft.number(row::STATE, NeighbourState::PERMANENT.0);
        draft.number(row::TYPE, 0u8);
        NeighbourSpec { draft, dev: dev.into(), via: None, flags: NeighbourFlags(0) }
    }

    /// A forwarding entry to be added: the address, and the port of the bridge or the tunnel behind which it is.
    pub fn fdb(address: impl fmt::Display, dev: impl Into<LinkRef>) -> NeighbourSpec {
        let mut draft = Draft::new(&NEIGHBOUR);
        draft.number(row::FAMILY, AF_BRIDGE);
        draft.number(row::STATE, NeighbourState::PERMANENT.0);
        draft.number(row::TYPE, 0u8);
        let spec = NeighbourSpec { draft, dev: dev.into(), via: None, flags: NeighbourFlags(0) };
        spec.lladdr(address)
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The address family; `AF_BRIDGE`, 7, for a forwarding entry.
    pub fn family(&self) -> Family {
        match self.family_number() {
            2 => Family::Inet,
            10 => Family::Inet6,
            other => Family::Other(other),
        }
    }

    /// Whether it is a forwarding entry of a bridge or a tunnel.
    pub fn is_fdb(&self) -> bool {
        u64::from(self.family_number()) == AF_BRIDGE
    }

    /// Whether the machine answers for it (proxy ARP, proxy NDP).
    pub fn is_proxy(&self) -> bool {
        self.flags().contains(NeighbourFlags::PROXY)
    }

    /// What `ip -json neigh show` prints of it, `bridge -json fdb show` for a forwarding entry.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        match self.is_fdb() {
            true => Tree::Map(fdb_tree(&self.record, names)),
            false => Tree::Map(self.record.tree(names)),
        }
    }

    /// The line that `ip neigh show` prints of it, `bridge fdb show` for a forwarding entry.
    pub fn line(&self, names: &dyn Names) -> String {
        let Tree::Map(entries) = self.tree(names) else { return String::new() };
        let line: Vec<_> = entries.iter().filter_map(|(key, tree)| word(key, tree)).collect();
        let line = line.join(" ");
        line.strip_prefix("dst ").unwrap_or(&line).to_owned()
    }

    /// What `ip neigh add` takes, `bridge fdb add` of a forwarding entry; `dev` is what its interface is called.
    pub(crate) fn arguments(&self, dev: Option<&str>, names: &dyn Names) -> String {
        let text = |id| self.record.value(id).map(ToString::to_string);
        let flag = |flag, word: &str| self.flags().contains(flag).then(|| word.to_owned());
        let managed = self.flags_ext().contains(NeighbourExtFlags::MANAGED);
        let start = [flag(NeighbourFlags::PROXY, "proxy"), text(row::DST)];
        let dev = dev.map(|dev| format!("dev {dev}"));
        let all = match self.is_fdb() {
            true => [vec![text(row::LLADDR), dev], fdb_arguments(&self.record, names)].concat(),
            false => [
                start.to_vec(),
                vec![
                    dev,
                    text(row::LLADDR).map(|lladdr| format!("lladdr {lladdr}")),
                    nud(self.state()).filter(|_| !self.is_proxy()),
                    flag(NeighbourFlags::ROUTER, "router"),
                    managed.then(|| "managed".to_owned()),
                    flag(NeighbourFlags::EXT_LEARNED, "extern_learn"),
                    self.protocol().map(|protocol| format!("protocol {protocol}")),
                ],
            ]
            .concat(),
        };
        all.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn nud(state: NeighbourState) -> Option<String> {
    state.names().next().map(|name| format!("nud {}", name.to_lowercase()))
}

fn fdb_arguments(record: &Record, names: &dyn Names) -> Vec<Option<String>> {
    let pair = |key: &str, id| record.value(id).map(|value| format!("{key} {value}"));
    let via = Some(record.number(row::IFINDEX) as u32).filter(|index| *index != 0);
    let flags = NeighbourFlags::from_number(record.number(row::FLAGS));
    // Of one that is there the kernel says its bridge, and not always in which table it stands.
    let inside = record.number(row::MASTER);
    let inside = inside != 0 && inside != record.number(row::INDEX);
    let is_said = flags.0 & (NeighbourFlags::SELF.0 | NeighbourFlags::MASTER.0) != 0;
    let own = if inside { "master" } else { "self" };
    let listed = flags.names().filter(|name| !matches!(*name, "proxy" | "offload" | "router"));
    let state = record.number(row::STATE);
    let state = match (state & 0x80 != 0, state & 0x40 != 0) {
        (true, _) => "permanent",
        (_, true) => "static",
        _ => "dynamic",
    };
    let mut all = vec![
        pair("dst", row::DST),
        pair("vlan", row::VLAN),
        pair("port", row::PORT),
        pair("vni", row::VNI),
        pair("src_vni", row::SRC_VNI),
        via.map(|index| format!("via {}", link_name(index, names))),
        pair("nhid", row::NH_ID),
        (!is_said).then(|| own.to_owned()),
    ];
    all.extend(listed.map(|name| Some(name.to_owned())));
    all.push(Some(state.to_owned()));
    all
}

printed!(Neighbour);

names! {
    /// `ndm_state`: how sure the kernel is of the neighbour.
    bits NeighbourState: u16 as U16 {
        INCOMPLETE = 0x1 "INCOMPLETE",
        REACHABLE = 0x2 "REACHABLE",
        STALE = 0x4 "STALE",
        DELAY = 0x8 "DELAY",
        PROBE = 0x10 "PROBE",
        FAILED = 0x20 "FAILED",
        NOARP = 0x40 "NOARP",
        PERMANENT = 0x80 "PERMANENT",
    }
}

names! {
    /// `ndm_flags`.
    bits NeighbourFlags: u8 as U8 {
        USE = 0x1 "use",
        SELF = 0x2 "self",
        MASTER = 0x4 "master",
        ROUTER = 0x80 "router",
        PROXY = 0x8 "proxy",
        EXT_LEARNED = 0x10 "extern_learn",
        OFFLOADED = 0x20 "offload",
        STICKY = 0x40 "sticky",
    }
}

names! {
    /// `NDA_FLAGS_EXT`: flags for which `ndm_flags` has no room.
    bits NeighbourExtFlags: u32 as U32 {
        MANAGED = 0x1 "managed",
        LOCKED = 0x2 "locked",
        EXT_VALIDATED = 0x4 "extern_valid",
    }
}

records! {
    /// Times.
    NeighbourCacheInfoOf: Struct NEIGHBOUR_CACHE_INFO, NeighbourCacheInfo;
}

table! {
    /// `struct ndmsg` and `NDA_*` in `include/uapi/linux/neighbour.h`.
    pub static NEIGHBOUR: "neighbour", header 12;
    fields row;
    view [] Neighbour;
    setters [];
    rows {
        /// The address family: 2 for IPv4, 10 for IPv6, 7 (`AF_BRIDGE`) for a forwarding entry.
        FAMILY family_number or 0: U8 = Header(0), "ndm_family", Identity, name: "family", form: Hidden;
        /// The address; of a forwarding entry of a tunnel, where the tunnel leads.
        DST dst: Ip = Path(&[1]), "NDA_DST", Identity, keyword: "to";
        /// The interface behind which it is.
        INDEX index: Index = Header(4), "ndm_ifindex", Identity, name: "dev", keyword: "dev";
        /// The link-layer address.
        LLADDR lladdr: Hardware = Path(&[2]), "NDA_LLADDR", Set, keyword: "lladdr";
        /// The flags.
        FLAGS flags or (NeighbourFlags(0)): BitsOf<NeighbourFlags> = Header(10), "ndm_flags", Set, volatile: OFFLOADED, form: Custom(show_flags);
        /// Flags for which there is no room in the others (Linux 5.16).
        FLAGS_EXT flags_ext or (NeighbourExtFlags(0)): BitsOf<NeighbourExtFlags> = Path(&[15]), "NDA_FLAGS_EXT", Set, form: Custom(show_flags_ext);
        /// The state; it runs through `REACHABLE`, `STALE`, `DELAY`, `PROBE` by itself (K38).
        STATE state or (NeighbourState(0)): BitsOf<NeighbourState> = Header(8), "ndm_state", Set, keyword: "nud", form: Custom(show_state);
        /// The type of the address, `RTN_*`: unicast, multicast, broadcast.
        TYPE kind or 0: U8 = Header(11), "ndm_type", Status, form: Hidden;
        /// Times; [`NeighbourCacheInfo`] reads them.
        CACHEINFO cache_info: NeighbourCacheInfoOf = Path(&[3]), "NDA_CACHEINFO", Statistic, form: Hidden;
        /// How often it was asked for.
        PROBES probes: U32 = Path(&[4]), "NDA_PROBES", Statistic, form: Hidden;
        /// Of a forwarding entry: the VLAN, 1 to 4094.
        VLAN vlan: U16 = Path(&[5]), "NDA_VLAN", Identity, keyword: "vlan";
        /// Of a tunnel's entry: the UDP port, where it is not the tunnel's own.
        PORT port: Be16 = Path(&[6]), "NDA_PORT", Set, keyword: "port";
        /// Of a tunnel's entry: the network identifier, where it is not the tunnel's own.
        VNI vni: U32 = Path(&[7]), "NDA_VNI", Set, keyword: "vni";
        /// Of a tunnel's entry: the network identifier that packets come from.
        SRC_VNI src_vni: U32 = Path(&[11]), "NDA_SRC_VNI", Identity, keyword: "src_vni";
        /// Of a tunnel's entry: the interface by which it is reached.
        IFINDEX via: Index = Path(&[8]), "NDA_IFINDEX", Set, name: "viaIf", keyword: "via";
        /// Of a forwarding entry: the nexthop group that says where it leads.
        NH_ID nh_id: U32 = Path(&[13]), "NDA_NH_ID", Set, name: "nhid", keyword: "nhid";
        /// Of a forwarding entry: the bridge.
        MASTER master: Index = Path(&[9]), "NDA_MASTER", Status;
        /// Of a tunnel's entry: the namespace in which the tunnel ends.
        LINK_NETNSID link_netnsid: I32 = Path(&[10]), "NDA_LINK_NETNSID", Status, name: "linkNetNsId";
        /// Who made it.
        PROTOCOL protocol: OneOf<RouteProtocol> = Path(&[12]), "NDA_PROTOCOL", Set, keyword: "proto", form: Words(RouteProtocol::NAMES);
        /// Of a forwarding entry: whether it tells of activity, and more.
        FDB_EXT_ATTRS fdb_attributes: Bytes = Path(&[14]), "NDA_FDB_EXT_ATTRS", Set, form: Hidden;
        /// In a flush: which states are meant.
        STATE_MASK state_mask: U16 = Path(&[16]), "NDA_NDM_STATE_MASK", Action, form: Hidden;
        /// In a flush: which flags are meant.
        FLAGS_MASK flags_mask: U8 = Path(&[17]), "NDA_NDM_FLAGS_MASK", Action, form: Hidden;
    }
}

/// `NTF_OFFLOADED`: the hardware's doing.
const OFFLOADED: u64 = 0x20;

/// Times of a neighbour.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourCacheInfo<'a>(pub(crate) &'a Record);

impl NeighbourCacheInfo<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct nda_cacheinfo`.
    pub static NEIGHBOUR_CACHE_INFO: "cacheinfo", header 16;
    fields cache_row;
    view ['a] NeighbourCacheInfo<'a>;
    setters [];
    rows {
        /// How long ago it was confirmed, in 1/100 s.
        CONFIRMED confirmed or 0: U32 = Header(0), "ndm_confirmed", Statistic, unit: "1/100 s";
        /// How long ago it was used, in 1/100 s.
        USED used or 0: U32 = Header(4), "ndm_used", Statistic, unit: "1/100 s";
        /// How long ago it was changed, in 1/100 s.
        UPDATED updated or 0: U32 = Header(8), "ndm_updated", Statistic, unit: "1/100 s";
        /// How many use it.
        REFCNT references or 0: U32 = Header(12), "ndm_refcnt", Statistic;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn push(object: Object<'_>, key: &str, tree: impl Into<Tree>) {
    object.push((key.to_owned(), tree.into()));
}

fn number(value: &Value) -> u64 {
    value.number().unwrap_or(0)
}

/// Those that `ip neigh` prints, each as a key of its own.
fn show_flags(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    for (bit, name) in NeighbourFlags::NAMES {
        let shown = matches!(*name, "router" | "proxy" | "extern_learn" | "offload");
        if shown && number(value) & bit != 0 {
            push(object, name, Tree::Null);
        }
    }
}

fn show_flags_ext(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    for name in NeighbourExtFlags::from_number(number(value)).names() {
        // `ip` has it before the flag that follows it in the other set.
        let at = object.iter().position(|(key, _)| key == "extern_learn" || key == "offload");
        object.insert(at.unwrap_or(object.len()), (name.to_owned(), Tree::Null));
    }
}

fn show_state(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    if number(value) != 0 {
        let names = NeighbourState::from_number(number(value)).names();
        push(object, "state", Tree::List(names.map(Tree::from).collect()));
    }
}

/// The keys that `bridge fdb` prints, which are not those of `ip neigh`.
fn fdb_tree(record: &Record, names: &dyn Names) -> Vec<(String, Tree)> {
    let mut object = Vec::new();
    let link = |id| Some(record.number(id) as u32).filter(|index| *index != 0);
    let text = |id| record.value(id).map(|value| Tree::Text(value.to_string()));
    let count = |id| record.value(id).and_then(Value::number).map(Tree::Number);
    let flags = NeighbourFlags::from_number(record.number(row::FLAGS));
    let listed = flags.names().filter(|name| !matches!(*name, "use" | "proxy"));
    let ext = NeighbourExtFlags::from_number(record.number(row::FLAGS_EXT));
    let listed = listed.chain(ext.names().filter(|name| *name == "locked"));
    let entries = [
        ("mac", text(row::LLADDR)),
        ("ifname", link(row::INDEX).map(|index| link_name(index, names))),
        ("dst", text(row::DST)),
        ("vlan", count(row::VLAN)),
        ("port", count(row::PORT)),
        ("vni", count(row::VNI)),
        ("src_vni", count(row::SRC_VNI)),
        ("viaIf", link(row::IFINDEX).map(|index| link_name(index, names))),
        ("nhid", count(row::NH_ID)),
        ("linkNetNsId", text(row::LINK_NETNSID)),
        ("flags", Some(Tree::List(listed.map(Tree::from).collect()))),
        ("master", link(row::MASTER).map(|index| link_name(index, names))),
        ("state", Some(Tree::Text(fdb_state(record.number(row::STATE))))),
    ];
    for (key, tree) in entries {
        object.extend(tree.map(|tree| (key.to_owned(), tree)));
    }
    object
}

fn fdb_state(state: u64) -> String {
    if state & 0x80 != 0 {
        "permanent".to_owned()
    } else if state & 0x40 != 0 {
        "static".to_owned()
    } else if state & 0x4 != 0 {
        "stale".to_owned()
    } else if state & 0x2 != 0 {
        String::new()
    } else {
        format!("state={state:#x}")
    }
}

fn word(key: &str, tree: &Tree) -> Option<String> {
    let text = tree.to_string();
    Some(match (key, tree) {
        (_, Tree::Null) => key.to_owned(),
        ("flags" | "state", _) if text.is_empty() => return None,
        ("flags" | "state", _) => text.replace(',', " "),
        ("mac", _) => text,
        ("ifname", _) => format!("dev {text}"),
        ("viaIf", _) => format!("via {text}"),
        ("protocol", _) => format!("proto {text}"),
        _ => format!("{key} {text}"),
    })
}

/// A neighbour, proxy or forwarding entry to be added or removed.
///
/// ```text
/// Neighbour::new("10.0.0.2", "eth0").lladdr("02:00:00:00:00:02")
/// Neighbour::fdb("02:00:00:00:00:09", "vx0").dst("10.0.0.9")
/// ```
///
/// Texts are read at once; what is wrong with them is said by [`NeighbourSpec::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct NeighbourSpec {
    draft: Draft,
    dev: LinkRef,
    via: Option<LinkRef>,
    flags: NeighbourFlags,
}

impl NeighbourSpec {
    /// The link-layer address.
    pub fn lladdr(mut self, address: impl fmt::Display) -> Self {
        let text = address.to_string();
        let parsed = text.parse::<HardwareAddress>();
        let parsed = parsed.map_err(|_| SpecError::new(&text, "no link-layer address"));
        if let Some(address) = self.draft.accept(parsed) {
            self.draft.record.set(row::LLADDR, Value::Hardware(address));
        }
        self
    }

    /// The state; [`NeighbourState::PERMANENT`] when it is not given.
    pub fn state(mut self, state: NeighbourState) -> Self {
        self.draft.number(row::STATE, state.0);
        self
    }

    /// The machine answers for it: no link-layer address is needed.
    pub fn proxy(self) -> Self {
        self.flag(NeighbourFlags::PROXY)
    }

    /// It is a router (IPv6).
    pub fn router(self) -> Self {
        self.flag(NeighbourFlags::ROUTER)
    }

    /// A control plane knows it: the kernel does not forget it.
    pub fn extern_learn(self) -> Self {
        self.flag(NeighbourFlags::EXT_LEARNED)
    }

    /// Of a forwarding entry: it stays with its port.
    pub fn sticky(self) -> Self {
        self.flag(NeighbourFlags::STICKY)
    }

    /// Of a forwarding entry: it stands in the bridge that the interface is a port of, not in the interface itself.
    pub fn master(self) -> Self {
        self.flag(NeighbourFlags::MASTER)
    }

    /// Of a forwarding entry of a tunnel that is a port of a bridge: one stands in the tunnel itself, and one in the bridge
    /// (`self master` of bridge(8)). They are two entries, of which each can be removed alone.
    pub fn self_and_master(self) -> Self {
        self.flag(NeighbourFlags::SELF).master()
    }

    /// The one in the interface itself and the one in its bridge, where both are meant.
    pub(crate) fn each(self) -> Vec<Self> {
        let both = NeighbourFlags::SELF | NeighbourFlags::MASTER;
        if !self.flags.contains(both) {
            return vec![self];
        }
        let other = NeighbourFlags(self.flags.0 & !both.0);
        let mut inside = self.clone();
        inside.flags = other | NeighbourFlags::MASTER;
        // Where a tunnel leads a bridge does not know.
        for id in [row::DST, row::PORT, row::VNI, row::SRC_VNI, row::NH_ID] {
            inside.draft.record.remove(id);
        }
        inside.via = None;
        vec![NeighbourSpec { flags: other | NeighbourFlags::SELF, ..self }, inside]
    }

    /// Of a tunnel's forwarding entry: the interface by which its other end is reached, by name, index or handle. When that
    /// is gone the entry stays, and the kernel does not delete it any more ("Device not found"): it is removed before.
    pub fn via(mut self, link: impl Into<LinkRef>) -> Self {
        self.via = Some(link.into());
        self
    }

    /// The kernel keeps it fresh by itself (Linux 5.16).
    pub fn managed(mut self) -> Self {
        self.draft.number(row::FLAGS_EXT, NeighbourExtFlags::MANAGED.0);
        self
    }

    /// Whether it is a forwarding entry of a bridge or a tunnel.
    pub fn is_fdb(&self) -> bool {
        self.draft.record.number(row::FAMILY) == AF_BRIDGE
    }

    /// Whether a nexthop group says where it leads.
    pub fn is_by_nexthop(&self) -> bool {
        self.draft.record.value(row::NH_ID).is_some()
    }

    /// Whether the kernel is to keep it fresh by itself.
    pub fn is_managed(&self) -> bool {
        let managed = u64::from(NeighbourExtFlags::MANAGED.0);
        self.draft.record.number(row::FLAGS_EXT) & managed != 0
    }

    /// Who makes it.
    pub fn protocol(mut self, protocol: RouteProtocol) -> Self {
        self.draft.number(row::PROTOCOL, protocol.0);
        self
    }

    /// Of a tunnel's forwarding entry: where it leads.
    pub fn dst(mut self, address: impl fmt::Display) -> Self {
        self.draft.address(row::DST, &address.to_string());
        self
    }

    /// Of a forwarding entry: the VLAN, 1 to 4094.
    pub fn vlan(mut self, vlan: u16) -> Self {
        if !(1..=4094).contains(&vlan) {
            self.draft.fail(SpecError::new(format!("vlan {vlan}"), "1 to 4094"));
        }
        self.draft.number(row::VLAN, vlan);
        self
    }

    /// Of a tunnel's forwarding entry: the network identifier, 0 to 16777215.
    pub fn vni(mut self, vni: u32) -> Self {
        if vni > 0xff_ffff {
            self.draft.fail(SpecError::new(format!("vni {vni}"), "at most 16777215"));
        }
        self.draft.number(row::VNI, vni);
        self
    }

    /// Of a tunnel's forwarding entry: the network identifier that packets come from.
    pub fn src_vni(mut self, vni: u32) -> Self {
        if vni > 0xff_ffff {
            self.draft.fail(SpecError::new(format!("src_vni {vni}"), "at most 16777215"));
        }
        self.draft.number(row::SRC_VNI, vni);
        self
    }

    /// Of a tunnel's forwarding entry: the UDP port.
    pub fn port(mut self, port: u16) -> Self {
        self.draft.number(row::PORT, port);
        self
    }

    /// Of a forwarding entry: the nexthop group that says where it leads.
    pub fn nexthop_id(mut self, id: u32) -> Self {
        self.draft.number(row::NH_ID, id);
        self
    }

    /// Whether all that was said can be.
    ///
    /// # Errors
    /// When a text is no address, the address of a neighbour is unspecified or multicast, or a number is out of its
    /// range.
    pub fn check(&self) -> Result<(), SpecError> {
        self.draft.check()?;
        let fdb = self.draft.record.number(row::FAMILY) == AF_BRIDGE;
        let address = self.draft.record.value(row::DST).and_then(Ip::read);
        let nobody = |a: &IpAddr| a.is_unspecified() || a.is_multicast();
        match address.filter(nobody) {
            Some(address) if !fdb => Err(SpecError::new(address, "no neighbour has this address")),
            _ => Ok(()),
        }
    }

    /// The interface behind which it is.
    pub fn link(&self) -> &LinkRef {
        &self.dev
    }

    /// The interfaces that it names: its own, then that of [`via`](NeighbourSpec::via).
    pub fn links(&self) -> impl Iterator<Item = &LinkRef> {
        std::iter::once(&self.dev).chain(&self.via)
    }

    /// The entry as a request carries it, with the indexes of the interfaces that it names; `None` when `index` knows one
    /// of them not.
    pub fn record(&self, index: impl Fn(&LinkRef) -> Option<u32>) -> Option<Record> {
        let mut record = self.draft.record.clone();
        let fdb = record.number(row::FAMILY) == AF_BRIDGE;
        let chosen = self.flags.0 & (NeighbourFlags::MASTER.0 | NeighbourFlags::SELF.0) != 0;
        let own = if fdb && !chosen { NeighbourFlags::SELF } else { NeighbourFlags(0) };
        record.set(row::FLAGS, Value::Number((self.flags | own).0.into()));
        record.set(row::INDEX, Value::Number(index(&self.dev)?.into()));
        if let Some(via) = &self.via {
            record.set(row::IFINDEX, Value::Number(index(via)?.into()));
        }
        Some(record)
    }

    fn flag(mut self, flag: NeighbourFlags) -> Self {
        self.flags = self.flags | flag;
        self
    }

    /// In the words of `ip neigh`, the interface by the name that `name` knows.
    pub(crate) fn text(&self, name: impl Fn(&LinkRef) -> String) -> String {
        let (mut entry, names) = self.placed(&name);
        entry.record.remove(row::INDEX);
        format!("{} dev {}", entry.line(&names), name(&self.dev))
    }

    /// What `ip neigh add` or `bridge fdb add` takes.
    pub(crate) fn arguments(&self, name: impl Fn(&LinkRef) -> String) -> String {
        let (entry, names) = self.placed(&name);
        entry.arguments(Some(&name(&self.dev)), &names)
    }

    /// With the places of its interfaces as their indexes.
    fn placed(&self, name: impl Fn(&LinkRef) -> String) -> (Neighbour, Places) {
        let links: Vec<_> = self.links().collect();
        let record = self.record(|link| Places::place(&links, &link));
        let names = Places(links.into_iter().map(name).collect());
        (Neighbour::of(record.unwrap_or_else(|| self.draft.record.clone())), names)
    }
}

/// In the words of `ip neigh`, the interface as the user named it.
impl fmt::Display for NeighbourSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(ToString::to_string))
    }
}

debug_as_display!(NeighbourSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_reads_as_ip_prints_it() {
        let spec = Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00:00:00:02").router();
        spec.check().unwrap();
        let line = Neighbour::of(spec.record(|_| Some(7)).unwrap()).to_string();
        assert_eq!(line, "10.0.0.2 dev if7 lladdr 02:00:00:00:00:02 router PERMANENT");
        assert_eq!(spec.to_string(), "10.0.0.2 lladdr 02:00:00:00:00:02 router PERMANENT dev v0");
        let fdb = Neighbour::fdb("02:00:00:00:00:09", "vx0").dst("10.0.0.9").vni(7).via("u0");
        let index = |link: &LinkRef| Some(if *link == "u0".into() { 8 } else { 7 });
        let line = Neighbour::of(fdb.record(index).unwrap()).to_string();
        assert_eq!(line, "02:00:00:00:00:09 dev if7 dst 10.0.0.9 vni 7 via if8 self permanent");
        let line = "02:00:00:00:00:09 dst 10.0.0.9 vni 7 via u0 self permanent dev vx0";
        assert_eq!(fdb.to_string(), line);
        assert_eq!(fdb.record(|link| Some(7).filter(|_| *link == "vx0".into())), None);
    }

    #[test]
    fn what_cannot_be_is_said_when_asked() {
        for (spec, why) in [
            (Neighbour::new("10.0.0", "v0"), "no IP address"),
            (Neighbour::new("224.0.0.1", "v0"), "no neighbour has this address"),
            (Neighbour::new("10.0.0.1", "v0").lladdr("x"), "no link-layer address"),
            (Neighbour::fdb("02:00:00:00:00:09", "v0").vlan(4095), "1 to 4094"),
            (Neighbour::fdb("02:00:00:00:00:09", "v0").vni(1 << 24), "at most"),
        ] {
            let error = spec.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
