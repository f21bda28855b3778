//! Links: `RTM_NEWLINK` with `struct ifinfomsg`, which iproute2 and users call interfaces.

use super::kinds::{KINDS, PORT_KINDS};
use super::shape::*;
use super::table::table;
use super::{Record, Shape, Value};

/// One interface, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    record: Record,
    generation: u64,
}

impl Link {
    fn record(&self) -> &Record {
        &self.record
    }
}

names! {
    /// `ifi_flags`: the flags of an interface.
    bits LinkFlags: u32 as U32 {
        LOOPBACK = 0x8 "LOOPBACK",
        UP = 0x1 "UP",
    }
}

names! {
    /// `IFLA_OPERSTATE`: the operational state of RFC 2863.
    enum OperState: u8 as U8 {
        UNKNOWN = 0 "UNKNOWN",
        UP = 6 "UP",
    }
}

/// The kind data row's type: a nested table chosen by the kind's name.
#[derive(Debug)]
pub struct KindData;

impl Typed for KindData {
    type Out<'a> = &'a Value;
    type In = Record;
    const SHAPE: Shape = Shape::ByKind { kind: 1, tables: KINDS };
    fn read(value: &Value) -> Option<&Value> {
        Some(value)
    }
    fn write(value: Record) -> Value {
        Value::Nested(Box::new(value))
    }
}

/// The port data row's type: a nested table chosen by the master's kind.
#[derive(Debug)]
pub struct PortData;

impl Typed for PortData {
    type Out<'a> = &'a Value;
    type In = Record;
    const SHAPE: Shape = Shape::ByKind { kind: 4, tables: PORT_KINDS };
    fn read(value: &Value) -> Option<&Value> {
        Some(value)
    }
    fn write(value: Record) -> Value {
        Value::Nested(Box::new(value))
    }
}

table! {
    /// `struct ifinfomsg` and `IFLA_*` in `include/uapi/linux/if_link.h`.
    pub static LINK: "link", header 16;
    fields row;
    view [] Link;
    setters [];
    rows {
        /// The index, unique in the namespace, 1 and up.
        INDEX index_row: U32 = Header(4), "ifi_index", Identity, name: "ifindex";
        /// The name, 1 to 15 bytes.
        NAME ifname: Text = Path(&[3]), "IFLA_IFNAME", Set, name: "ifname", keyword: "name";
        /// The flags.
        FLAGS flags_row: BitsOf<LinkFlags> = Header(8), "ifi_flags", Status, name: "flags";
        /// The largest packet, without the link-layer header.
        MTU mtu: U32 = Path(&[4]), "IFLA_MTU", Set, keyword: "mtu", unit: "bytes";
        /// The kind of a virtual interface.
        KIND kind: Text = Path(&[18, 1]), "IFLA_INFO_KIND", Create, form: Hidden;
        /// Options of the kind.
        DATA info_data: KindData = Path(&[18, 2]), "IFLA_INFO_DATA", Set, form: Hidden;
        /// Options as a port of its master.
        PORT info_slave_data: PortData = Path(&[18, 5]), "IFLA_INFO_SLAVE_DATA", Set, form: Hidden;
        /// Alternative names.
        ALTNAMES altnames: Texts<53> = Path(&[52]), "IFLA_PROP_LIST", Set;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn sketch() {
        let mut r = Record::new(&LINK);
        r.set(row::MTU, Value::Number(1500));
        r.set(row::ALTNAMES, Value::Texts(Box::new(["a".into(), "b".into()])));
        r.set(row::KIND, "bridge".into());
        let b = Bridge { name: "x".into(), data: Record::new(&super::super::kinds::BRIDGE) }
            .stp_state(1u32);
        r.set(row::DATA, Value::Nested(Box::new(b.data)));
        let mut m = crate::wire::Builder::new(16, 0).fixed(&r.encode_header());
        r.encode(&mut m);
        let m = m.finish();
        let mut back = Record::decode(&LINK, &m[16..]).unwrap();
        back.remove(row::INDEX);
        back.remove(row::FLAGS);
        assert!(back.same(&r), "{back:?} {r:?}");
        panic!("{back:?} {back}");
    }
    use super::super::kinds::Bridge;
}
