//! Lightweight tunnels: what a route or a nexthop wraps around a packet (`RTA_ENCAP`, `NHA_ENCAP`). The number in
//! the attribute beside it says which table reads it; what has no table here is kept as bytes.

use std::net::Ipv6Addr;

use super::shape::*;
use super::table::table;
use super::{Named, Names, Record, Shape, Tree, Value};

names! {
    /// `RTA_ENCAP_TYPE`: the kind of a lightweight tunnel.
    enum EncapType: u16 as U16 {
        NONE = 0 "none",
        MPLS = 1 "mpls",
        IP = 2 "ip",
        ILA = 3 "ila",
        IP6 = 4 "ip6",
        SEG6 = 5 "seg6",
        BPF = 6 "bpf",
        SEG6_LOCAL = 7 "seg6local",
        RPL = 8 "rpl",
        IOAM6 = 9 "ioam6",
        XFRM = 10 "xfrm",
    }
}

/// `LWTUNNEL_ENCAP_*` and the table of its attributes.
pub static ENCAPS: &[(u64, &super::Table)] =
    &[(1, &ENCAP_MPLS), (2, &ENCAP_IP), (4, &ENCAP_IP6), (5, &ENCAP_SEG6)];

/// What a lightweight tunnel adds: attributes of a table chosen by the sibling of type `KIND`, bytes where that
/// names none.
#[derive(Debug)]
pub struct EncapOf<const KIND: u16>;

impl<const KIND: u16> Typed for EncapOf<KIND> {
    type Out<'a> = &'a Value;
    type In = Record;
    const SHAPE: Shape = Shape::ByNumber { kind: KIND, tables: ENCAPS };
    fn read(value: &Value) -> Option<&Value> {
        Some(value)
    }
    fn write(value: Record) -> Value {
        Value::Nested(Box::new(value))
    }
}

/// MPLS labels pushed on a packet.
#[derive(Clone, Copy, Debug)]
pub struct MplsEncap<'a>(pub(crate) &'a Record);

/// An IPv4 tunnel's header.
#[derive(Clone, Copy, Debug)]
pub struct IpEncap<'a>(pub(crate) &'a Record);

/// An IPv6 tunnel's header.
#[derive(Clone, Copy, Debug)]
pub struct Ip6Encap<'a>(pub(crate) &'a Record);

/// A segment routing header.
#[derive(Clone, Copy, Debug)]
pub struct Seg6Encap<'a>(pub(crate) &'a Record);

macro_rules! views {
    ($($view:ident)*) => {$(
        impl $view<'_> {
            /// Everything that the kernel said of it.
            pub fn record(&self) -> &Record {
                self.0
            }
        }
    )*};
}

views! { MplsEncap IpEncap Ip6Encap Seg6Encap }

table! {
    /// `MPLS_IPTUNNEL_*` in `include/uapi/linux/mpls_iptunnel.h`.
    pub static ENCAP_MPLS: "mpls", header 0;
    fields mpls_row;
    view ['a] MplsEncap<'a>;
    setters [];
    rows {
        /// The labels, the outermost first.
        DST labels or (&[]): Labels = Path(&[1]), "MPLS_IPTUNNEL_DST", Set, name: "dst", form: Custom(show_labels);
        /// The time to live in the labels; the packet's own when there is none.
        TTL ttl: U8 = Path(&[2]), "MPLS_IPTUNNEL_TTL", Set, keyword: "ttl";
    }
}

table! {
    /// `LWTUNNEL_IP_*` in `include/uapi/linux/lwtunnel.h`.
    pub static ENCAP_IP: "ip", header 0;
    fields ip_row;
    view ['a] IpEncap<'a>;
    setters [];
    rows {
        /// The tunnel's key or network identifier.
        ID id: Be64 = Path(&[1]), "LWTUNNEL_IP_ID", Set, keyword: "id";
        /// The source address of the outer header.
        SRC src: Ip = Path(&[3]), "LWTUNNEL_IP_SRC", Set, keyword: "src";
        /// The destination address of the outer header.
        DST dst: Ip = Path(&[2]), "LWTUNNEL_IP_DST", Set, keyword: "dst";
        /// The time to live of the outer header.
        TTL ttl: U8 = Path(&[4]), "LWTUNNEL_IP_TTL", Set, keyword: "ttl";
        /// The type of service of the outer header.
        TOS tos: U8 = Path(&[5]), "LWTUNNEL_IP_TOS", Set, keyword: "tos";
        /// Flags: 1 a checksum, 4 a key, 8 a sequence number.
        FLAGS flags: Be16 = Path(&[6]), "LWTUNNEL_IP_FLAGS", Set, form: Custom(show_tunnel_flags);
        /// Options of Geneve, VXLAN or ERSPAN.
        OPTS opts: Bytes = Path(&[8]), "LWTUNNEL_IP_OPTS", Set, form: Hidden;
    }
}

table! {
    /// `LWTUNNEL_IP6_*` in `include/uapi/linux/lwtunnel.h`.
    pub static ENCAP_IP6: "ip6", header 0;
    fields ip6_row;
    view ['a] Ip6Encap<'a>;
    setters [];
    rows {
        /// The tunnel's key or network identifier.
        ID id: Be64 = Path(&[1]), "LWTUNNEL_IP6_ID", Set, keyword: "id";
        /// The source address of the outer header.
        SRC src: Ip = Path(&[3]), "LWTUNNEL_IP6_SRC", Set, keyword: "src";
        /// The destination address of the outer header.
        DST dst: Ip = Path(&[2]), "LWTUNNEL_IP6_DST", Set, keyword: "dst";
        /// The hop limit of the outer header.
        HOPLIMIT hoplimit: U8 = Path(&[4]), "LWTUNNEL_IP6_HOPLIMIT", Set, keyword: "hoplimit";
        /// The traffic class of the outer header.
        TC tc: U8 = Path(&[5]), "LWTUNNEL_IP6_TC", Set, keyword: "tc";
        /// Flags: 1 a checksum, 4 a key, 8 a sequence number.
        FLAGS flags: Be16 = Path(&[6]), "LWTUNNEL_IP6_FLAGS", Set, form: Custom(show_tunnel_flags);
        /// Options of Geneve, VXLAN or ERSPAN.
        OPTS opts: Bytes = Path(&[8]), "LWTUNNEL_IP6_OPTS", Set, form: Hidden;
    }
}

table! {
    /// `SEG6_IPTUNNEL_*` in `include/uapi/linux/seg6_iptunnel.h`.
    pub static ENCAP_SEG6: "seg6", header 0;
    fields seg6_row;
    view ['a] Seg6Encap<'a>;
    setters [];
    rows {
        /// The mode, four bytes (`SEG6_IPTUN_MODE_*`), and the segment routing header.
        SRH header: Bytes = Path(&[1]), "SEG6_IPTUNNEL_SRH", Set, form: Custom(show_segments);
    }
}

/// `SEG6_IPTUN_MODE_*`, as `ip` names them.
const SEG6_MODES: &[&str] = &["inline", "encap", "l2encap", "encap.red", "l2encap.red"];

impl Seg6Encap<'_> {
    /// How the header is added: `inline`, `encap`, `l2encap`, `encap.red` or `l2encap.red`.
    pub fn mode(&self) -> Option<&'static str> {
        let mode = crate::wire::ne_u32(self.header()?)?;
        SEG6_MODES.get(mode as usize).copied()
    }

    /// The segments, in the order in which they are visited.
    pub fn segments(&self) -> Vec<Ipv6Addr> {
        let all = self.header().and_then(|bytes| bytes.get(4 + 8..)).unwrap_or_default();
        let count = self
            .header()
            .and_then(|bytes| bytes.get(4 + 4))
            .map_or(0, |last| usize::from(*last) + 1);
        let segment = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from);
        let mut found: Vec<_> = all.chunks_exact(16).take(count).filter_map(segment).collect();
        found.reverse();
        found
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

/// Labels as `ip` writes them: `100/200`.
pub(super) fn labels_text(labels: &[u32]) -> String {
    labels.iter().map(u32::to_string).collect::<Vec<_>>().join("/")
}

fn show_labels(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let text = labels_text(Labels::read(value).unwrap_or_default());
    object.push(("dst".to_owned(), Tree::Text(text)));
}

/// `TUNNEL_*`, as far as `ip` names them.
pub(crate) const TUNNEL_FLAGS: &[(u64, &str)] = &[(4, "key"), (1, "csum"), (8, "seq")];

fn show_tunnel_flags(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let flags = value.number().unwrap_or(0);
    for (bit, name) in TUNNEL_FLAGS {
        if flags & bit != 0 {
            object.push(((*name).to_owned(), Tree::Bool(true)));
        }
    }
}

fn show_segments(_: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let view = Seg6Encap(record);
    let segments = view.segments().iter().map(|s| Tree::Text(s.to_string())).collect();
    object.push(("mode".to_owned(), Tree::from(view.mode().unwrap_or("unknown"))));
    object.push(("segs".to_owned(), Tree::List(segments)));
}

/// Shows a tunnel as `ip` does: its kind under `encap`, then what it adds beside it.
pub(super) fn show_encap(kind: u64, value: &Value, names: &dyn Names, object: Object<'_>) {
    let kind = EncapType::from_number(kind);
    object.push(("encap".to_owned(), Tree::Text(kind.to_string())));
    object.extend(value.nested().map(|inner| inner.tree(names)).unwrap_or_default());
}

/// A lightweight tunnel to be set on a route or a nexthop.
///
/// ```text
/// Encap::mpls(&[100, 200]), Encap::ip("192.0.2.1".parse()?).id(42).ttl(64)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encap {
    pub(super) kind: EncapType,
    pub(super) value: Value,
}

impl Encap {
    /// Pushes MPLS labels, 0 to 1048575 each, the outermost first.
    pub fn mpls(labels: &[u32]) -> Self {
        let mut record = Record::new(&ENCAP_MPLS);
        record.set(mpls_row::DST, Value::Numbers(labels.into()));
        Encap::of(EncapType::MPLS, record)
    }

    /// Adds an IPv4 or IPv6 tunnel's header with this destination.
    pub fn ip(dst: std::net::IpAddr) -> Self {
        let v4 = dst.is_ipv4();
        let (kind, table) =
            if v4 { (EncapType::IP, &ENCAP_IP) } else { (EncapType::IP6, &ENCAP_IP6) };
        let mut record = Record::new(table);
        record.set(if v4 { ip_row::DST } else { ip6_row::DST }, Ip::write(dst));
        Encap::of(kind, record)
    }

    /// Any kind, its attributes as bytes.
    pub fn raw(kind: EncapType, attributes: &[u8]) -> Self {
        Encap { kind, value: Value::Bytes(attributes.into()) }
    }

    /// The tunnel's key or network identifier.
    pub fn id(self, id: u64) -> Self {
        self.set("id", Value::Number(id))
    }

    /// The source address of the outer header.
    pub fn src(self, src: std::net::IpAddr) -> Self {
        self.set("src", Ip::write(src))
    }

    /// The time to live, or hop limit, of the outer header; of the labels for MPLS.
    pub fn ttl(self, ttl: u8) -> Self {
        let name = if self.kind == EncapType::IP6 { "hoplimit" } else { "ttl" };
        self.set(name, Value::Number(ttl.into()))
    }

    /// The type of service, or traffic class, of the outer header.
    pub fn tos(self, tos: u8) -> Self {
        let name = if self.kind == EncapType::IP6 { "tc" } else { "tos" };
        self.set(name, Value::Number(tos.into()))
    }

    /// Of what was read, with the flags of a tunnel's header.
    pub(crate) fn known(kind: EncapType, record: Record, flags: u64) -> Self {
        let mut own = Encap::of(kind, record);
        if let (Value::Nested(record), true) = (&mut own.value, flags != 0) {
            let id = if kind == EncapType::IP6 { ip6_row::FLAGS } else { ip_row::FLAGS };
            record.set(id, Value::Number(flags));
        }
        own
    }

    fn of(kind: EncapType, record: Record) -> Self {
        Encap { kind, value: Value::Nested(Box::new(record)) }
    }

    /// Sets the row of that name, where the kind has one.
    fn set(mut self, name: &str, value: Value) -> Self {
        if let Value::Nested(record) = &mut self.value {
            if let Some((id, _)) = record.table().row(name) {
                record.set(id, value);
            }
        }
        self
    }
}

/// A tunnel in the words of an `ip` command.
pub(super) fn encap_line(kind: u64, value: &Value, names: &dyn Names) -> String {
    let mut words = vec!["encap".to_owned(), EncapType::from_number(kind).to_string()];
    for (key, tree) in value.nested().map(|inner| inner.tree(names)).unwrap_or_default() {
        words.push(match (key.as_str(), &tree) {
            ("dst", _) if kind == u64::from(EncapType::MPLS.0) => tree.to_string(),
            (_, Tree::Bool(_)) => key,
            (_, Tree::List(all)) => {
                let list: Vec<_> = all.iter().map(Tree::to_string).collect();
                format!("{key} {} [ {} ]", list.len(), list.join(" "))
            }
            _ => format!("{key} {tree}"),
        });
    }
    words.join(" ")
}
