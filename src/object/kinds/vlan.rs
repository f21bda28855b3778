//! `vlan`: what a lower interface sends and receives with one VLAN tag.

use super::super::shape::*;
use super::super::table::table;
use super::super::{LinkRef, Record, Value};
use super::bridge::VlanProtocol;
use super::new::{NewLink, new_links, options};

new_links! {
    /// A VLAN to be created.
    ///
    /// The kernel's default protocol is 802.1Q; `reorder_hdr` is on, the other flags are off.
    Vlan;
}

impl Vlan {
    /// A VLAN of this name, 1 to 15 bytes, above `link`, with this identifier, 0 to 4094.
    pub fn new(name: &str, link: impl Into<LinkRef>, id: u16) -> Self {
        Vlan(NewLink::with_kind(name, "vlan").dev(link)).id(id)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&VLAN))
    }
}

options! {
    VLAN;
    /// The options of a VLAN, as the kernel reports them.
    VlanData;
    /// Options of a VLAN to be set.
    VlanOptions;
}

impl VlanData<'_> {
    /// Which VLAN priority, 0 to 7, becomes which packet priority; the others become 0. The lowest first.
    pub fn ingress_qos_map(&self) -> Vec<(u32, u32)> {
        pairs(self.ingress_qos())
    }

    /// Which packet priority becomes which VLAN priority, 0 to 7; the others become 0. The lowest first.
    pub fn egress_qos_map(&self) -> Vec<(u32, u32)> {
        pairs(self.egress_qos())
    }
}

fn pairs(map: Option<&[Record]>) -> Vec<(u32, u32)> {
    let pair = |record: &Record| {
        let mapping = QosMapping(record);
        (mapping.from(), mapping.to())
    };
    map.unwrap_or_default().iter().map(pair).collect()
}

fn mappings(pairs: impl IntoIterator<Item = (u32, u32)>) -> Box<[Record]> {
    pairs.into_iter().map(|(from, to)| mapping(from, to)).collect()
}

/// One entry of a QoS map.
pub(crate) fn mapping(from: u32, to: u32) -> Record {
    let mut record = Record::new(&QOS_MAPPING);
    record.set(qos_row::FROM, Value::Number(from.into()));
    record.set(qos_row::TO, Value::Number(to.into()));
    record
}

macro_rules! qos_maps {
    ($($name:ident)*) => {$(
        impl $name {
            /// Which VLAN priority, 0 to 7, becomes which packet priority, instead of the entries that there are; the
            /// others become 0.
            pub fn ingress_qos_map(self, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
                self.ingress_qos(mappings(pairs))
            }

            /// Which packet priority becomes which VLAN priority, 0 to 7, instead of the entries that there are; the
            /// others become 0.
            pub fn egress_qos_map(self, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
                self.egress_qos(mappings(pairs))
            }
        }
    )*};
}

qos_maps!(Vlan VlanOptions);

/// One entry of a QoS map.
#[derive(Clone, Copy, Debug)]
pub struct QosMapping<'a>(pub(crate) &'a Record);

impl QosMapping<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct ifla_vlan_qos_mapping`.
    pub static QOS_MAPPING: "qos_mapping", header 8;
    fields qos_row;
    view ['a] QosMapping<'a>;
    setters [];
    rows {
        /// What it is.
        FROM from or 0: U32 = Header(0), "ifla_vlan_qos_mapping.from", Set;
        /// What it becomes; 0 is as if there were no entry.
        TO to or 0: U32 = Header(4), "ifla_vlan_qos_mapping.to", Set;
    }
}

/// A QoS map: a set of entries, the lowest first.
#[derive(Debug)]
pub struct QosMap;

impl Typed for QosMap {
    type Out<'a> = &'a [Record];
    type In = Box<[Record]>;
    const SHAPE: Shape = Shape::Elements(1, &QOS_MAPPING);
    fn read(value: &Value) -> Option<&[Record]> {
        Some(value.records())
    }
    fn write(value: Box<[Record]>) -> Value {
        elements(value)
    }
}

table! {
    /// `IFLA_VLAN_*` in `include/uapi/linux/if_link.h`.
    pub static VLAN: "vlan", header 0;
    fields row;
    view ['a] VlanData<'a>;
    setters [Vlan VlanOptions];
    rows {
        /// The Ethernet type of the tag.
        PROTOCOL protocol: OneOf<VlanProtocol> = Path(&[5]), "IFLA_VLAN_PROTOCOL", Create, keyword: "protocol";
        /// The identifier, 0 to 4094.
        ID id: U16 = Path(&[1]), "IFLA_VLAN_ID", Create, keyword: "id", range: 0..=4094;
        /// Whether what arrives is given without its tag.
        REORDER_HDR reorder_hdr: OptionBit<0> = Path(&[2]), "IFLA_VLAN_FLAGS", Set, name: "flags", form: Member("REORDER_HDR"), keyword: "reorder_hdr", argument: OnOff, silent: WhileDown;
        /// Whether the VLAN is announced to the switch by GVRP; not with protocol 802.1ad.
        GVRP gvrp: OptionBit<1> = Path(&[2]), "IFLA_VLAN_FLAGS", Set, name: "flags", form: Member("GVRP"), keyword: "gvrp", argument: OnOff, silent: WhileDown;
        /// Whether the VLAN is announced to the switch by MVRP.
        MVRP mvrp: OptionBit<3> = Path(&[2]), "IFLA_VLAN_FLAGS", Set, name: "flags", form: Member("MVRP"), keyword: "mvrp", argument: OnOff, silent: WhileDown;
        /// Whether it stays up when the lower interface goes down.
        LOOSE_BINDING loose_binding: OptionBit<2> = Path(&[2]), "IFLA_VLAN_FLAGS", Set, name: "flags", form: Member("LOOSE_BINDING"), keyword: "loose_binding", argument: OnOff, silent: WhileDown;
        /// On a bridge with VLAN filtering: whether its carrier follows the ports that are in its VLAN.
        BRIDGE_BINDING bridge_binding: OptionBit<4> = Path(&[2]), "IFLA_VLAN_FLAGS", Set, name: "flags", form: Member("BRIDGE_BINDING"), keyword: "bridge_binding", argument: OnOff, silent: WhileDown;
        /// Which VLAN priority becomes which packet priority; [`VlanData::ingress_qos_map`] reads it.
        INGRESS_QOS ingress_qos: QosMap = Path(&[4]), "IFLA_VLAN_INGRESS_QOS", Set, keyword: "ingress-qos-map", argument: By(ingress_words), silent: WhileDown;
        /// Which packet priority becomes which VLAN priority; [`VlanData::egress_qos_map`] reads it.
        EGRESS_QOS egress_qos: QosMap = Path(&[3]), "IFLA_VLAN_EGRESS_QOS", Set, keyword: "egress-qos-map", argument: By(egress_words), silent: WhileDown;
    }
}

fn ingress_words(value: &Value) -> String {
    map_words("ingress-qos-map", value)
}

fn egress_words(value: &Value) -> String {
    map_words("egress-qos-map", value)
}

fn map_words(keyword: &str, value: &Value) -> String {
    let entries = pairs(Some(value.records())).into_iter();
    let words: Vec<_> = entries.map(|(from, to)| format!(" {from}:{to}")).collect();
    if words.is_empty() { String::new() } else { format!("{keyword}{}", words.concat()) }
}
