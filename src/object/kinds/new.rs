//! Interfaces to be created: what every kind has in common.

use super::super::link::{LINK, row};
use super::super::{LinkRef, Record, Value};
use crate::wire::{put_ne_u16, put_ne_u32, put_ne_u64};

/// An interface to be created, of any kind.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// What it shall be, as a link: name, kind, perhaps index, queues, address, MTU.
    pub(crate) record: Record,
    /// Options of the kind.
    pub(crate) data: Option<Record>,
    /// The interface below.
    pub(crate) link: Option<LinkRef>,
    /// The other end of a pair, as a link.
    pub(crate) peer: Option<Record>,
    /// Where the other end is to be, if not where the first is.
    pub(crate) peer_place: Option<Place>,
}

/// Two interfaces, each of which receives what the other sends, to be created: a [`Veth`](crate::Veth) or a
/// [`Netkit`](crate::Netkit).
#[derive(Clone, Debug)]
pub struct Pair(NewLink);

impl From<super::Veth> for Pair {
    fn from(pair: super::Veth) -> Self {
        Pair(pair.0)
    }
}

impl From<super::Netkit> for Pair {
    fn from(pair: super::Netkit) -> Self {
        Pair(pair.0)
    }
}

impl Pair {
    /// With its other end in another namespace.
    pub(crate) fn with_peer_in(mut self, place: Place) -> NewLink {
        self.0.peer_place = Some(place);
        self.0
    }
}

/// Another network namespace, as a request names it: whoever sends the request holds it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its descriptor in this process.
    pub fd: u32,
    /// What `ip link set ... netns` calls it.
    pub title: Box<str>,
}

impl NewLink {
    /// An interface of a kind that this crate need not know: `dummy`, `vlan`, `wireguard`.
    ///
    /// The name has 1 to 15 bytes.
    pub fn with_kind(name: &str, kind: &str) -> Self {
        let mut record = Record::new(&LINK);
        record.set(row::NAME, name.into());
        record.set(row::KIND, kind.into());
        NewLink { record, data: None, link: None, peer: None, peer_place: None }
    }

    /// Options of the kind as the attributes inside `IFLA_INFO_DATA`, for a kind that this crate does not know: see
    /// [`RawAttributes`].
    pub fn raw_data(mut self, attributes: impl AsRef<[u8]>) -> Self {
        self.record.set(row::DATA, Value::Bytes(attributes.as_ref().into()));
        self
    }

    /// The interface below, by name, index or handle.
    pub fn dev(mut self, link: impl Into<LinkRef>) -> Self {
        self.link = Some(link.into());
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.record.value(row::NAME).and_then(Value::text).unwrap_or_default()
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        self.record.value(row::KIND).and_then(Value::text).unwrap_or_default()
    }

    /// The interface below, as the user named it.
    pub(crate) fn lower(&self) -> Option<&LinkRef> {
        self.link.as_ref()
    }

    /// The name of the other end of a pair.
    pub(crate) fn peer_name(&self) -> Option<&str> {
        self.peer.as_ref()?.value(row::NAME)?.text()
    }

    /// The other end of a pair, as if it were made by itself.
    pub(crate) fn other_end(&self) -> Option<NewLink> {
        let mut other = NewLink::with_kind(self.peer_name()?, self.kind());
        for (id, _, value) in self.peer.as_ref()?.fields() {
            other.record.set(id, value.clone());
        }
        Some(other)
    }

    /// Gives it, or the other end, another name.
    pub(crate) fn rename(&mut self, name: &str, other_end: bool) {
        let record = if other_end { self.peer.as_mut() } else { Some(&mut self.record) };
        if let Some(record) = record {
            record.set(row::NAME, name.into());
        }
    }

    /// What the request says: the whole `RTM_NEWLINK`, with the interface below at this index. Where that
    /// index belongs (`IFLA_LINK`, or the kind's own attribute) is known here.
    #[doc(hidden)]
    pub fn request(&self, link: Option<u32>) -> Record {
        let (mut record, mut data) = (self.record.clone(), self.data.clone());
        if let Some(index) = link {
            let index = Value::Number(index.into());
            match data.as_mut().and_then(|data| Some((data.table().row("link")?.0, data))) {
                Some((own, data)) => data.set(own, index),
                None => record.set(row::LINK, index),
            }
        }
        if let Some(peer) = &self.peer {
            let mut peer = peer.clone();
            if let Some(place) = &self.peer_place {
                peer.set(row::NET_NS_FD, Value::Number(place.fd.into()));
            }
            let (table, id) = match self.kind() {
                "netkit" => (&super::NETKIT, super::netkit::row::PEER_INFO),
                _ => (&super::VETH, super::veth::row::PEER),
            };
            let pair = data.get_or_insert_with(|| Record::new(table));
            pair.set(id, Value::Nested(Box::new(peer)));
        }
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            record.set(row::DATA, Value::Nested(Box::new(data)));
        }
        record
    }
}

/// Attributes as bytes, for the options of a kind that this crate does not know ([`NewLink::raw_data`]).
///
/// Each has a number of its own kind, from the kernel's header, and a payload of at most 65,531 bytes: of a longer one the
/// kernel refuses the whole.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, NewLink, RawAttributes};
///
/// let db = Db::open()?;
/// let mut tx = db.begin();
/// let options = RawAttributes::new().u32(1, 400).u8(22, 0); // IFLA_BR_FORWARD_DELAY, IFLA_BR_MCAST_ROUTER
/// tx.create(NewLink::with_kind("br0", "bridge").mtu(1400).raw_data(options))?;
/// let now = tx.commit()?.snapshot().clone();
/// let br0 = now.link("br0").unwrap();
/// assert_eq!((br0.mtu(), br0.bridge().unwrap().forward_delay()), (1400, Some(400)));
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawAttributes(Vec<u8>);

impl RawAttributes {
    /// None yet.
    pub fn new() -> Self {
        RawAttributes::default()
    }

    /// One whose presence is all it says.
    pub fn flag(self, number: u16) -> Self {
        self.bytes(number, &[])
    }

    /// One with a number of 8 bits.
    pub fn u8(self, number: u16, value: u8) -> Self {
        self.bytes(number, &[value])
    }

    /// One with a number of 16 bits, in the machine's order.
    pub fn u16(self, number: u16, value: u16) -> Self {
        self.with(number, |to| put_ne_u16(to, value))
    }

    /// One with a number of 32 bits, in the machine's order.
    pub fn u32(self, number: u16, value: u32) -> Self {
        self.with(number, |to| put_ne_u32(to, value))
    }

    /// One with a number of 64 bits, in the machine's order.
    pub fn u64(self, number: u16, value: u64) -> Self {
        self.with(number, |to| put_ne_u64(to, value))
    }

    /// One with a text, which a zero byte ends.
    pub fn text(self, number: u16, text: &str) -> Self {
        self.bytes(number, &[text.as_bytes(), &[0]].concat())
    }

    /// One with these bytes: an address, or a number in network order (`to_be_bytes`).
    pub fn bytes(mut self, number: u16, payload: &[u8]) -> Self {
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        put_ne_u16(&mut self.0, length);
        put_ne_u16(&mut self.0, number);
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// One with attributes inside, marked as such (`NLA_F_NESTED`).
    pub fn nested(self, number: u16, inside: RawAttributes) -> Self {
        const NESTED: u16 = 0x8000;
        self.bytes(number | NESTED, &inside.0)
    }

    fn with(self, number: u16, put: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut payload = Vec::with_capacity(8);
        put(&mut payload);
        self.bytes(number, &payload)
    }
}

impl AsRef<[u8]> for RawAttributes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Setters that every new link has, on itself or on what it is made of.
macro_rules! link_setters {
    ($name:ident [$($at:tt)*]) => {
        impl $name {
            /// The index, 1 to 2147483647; the kernel chooses when it is not given.
            pub fn index(mut self, index: u32) -> Self {
                self $($at)* .set_number($crate::object::link::row::INDEX, index);
                self
            }

            /// The link-layer address; the kernel makes one up when it is not given.
            pub fn address(mut self, address: impl Into<$crate::wire::HardwareAddress>) -> Self {
                let value = $crate::object::Value::Hardware(address.into());
                self $($at)* .record.set($crate::object::link::row::ADDRESS, value);
                self
            }

            /// The largest packet that is sent, without the link-layer header, in bytes. A bridge keeps it against its
            /// ports, whose least mtu it would have otherwise.
            pub fn mtu(mut self, bytes: u32) -> Self {
                self $($at)* .set_number($crate::object::link::row::MTU, bytes);
                self
            }

            /// The length of the transmit queue, in packets.
            pub fn txqlen(mut self, packets: u32) -> Self {
                self $($at)* .set_number($crate::object::link::row::TXQLEN, packets);
                self
            }

            /// Transmit queues, 1 to 4096.
            pub fn num_tx_queues(mut self, queues: u32) -> Self {
                self $($at)* .set_number($crate::object::link::row::NUM_TX_QUEUES, queues);
                self
            }

            /// Receive queues, 1 to 4096.
            pub fn num_rx_queues(mut self, queues: u32) -> Self {
                self $($at)* .set_number($crate::object::link::row::NUM_RX_QUEUES, queues);
                self
            }
        }
    };
}
pub(crate) use link_setters;

link_setters!(NewLink []);

/// Declares the type of a new link of one kind: a [`NewLink`] with that kind's setters.
macro_rules! new_links {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name(pub(crate) $crate::object::kinds::NewLink);

        $crate::object::kinds::new::link_setters!($name [.0]);

        impl From<$name> for $crate::object::kinds::NewLink {
            fn from(new: $name) -> Self {
                new.0
            }
        }
    )*};
}
pub(crate) use new_links;

impl NewLink {
    pub(crate) fn set_number(&mut self, id: u16, number: u32) {
        self.record.set(id, Value::Number(number.into()));
    }
}

/// Declares a view of options and a set of options to be sent, both records of one table.
macro_rules! options {
    ($table:path; $(#[$view_meta:meta])* $view:ident; $(#[$meta:meta])* $options:ident;) => {
        $(#[$view_meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $view<'a>(pub(crate) &'a $crate::object::Record);

        impl $view<'_> {
            /// Everything that the kernel said of them.
            pub fn record(&self) -> &$crate::object::Record {
                self.0
            }
        }

        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $options(pub(crate) $crate::object::Record);

        impl $options {
            /// Without any option.
            pub fn new() -> Self {
                $options($crate::object::Record::new(&$table))
            }

            /// What has been set.
            pub fn record(&self) -> &$crate::object::Record {
                &self.0
            }

            fn record_mut(&mut self) -> &mut $crate::object::Record {
                &mut self.0
            }
        }

        impl Default for $options {
            fn default() -> Self {
                $options::new()
            }
        }
    };
}
pub(crate) use options;

#[cfg(test)]
mod tests {
    use super::super::super::shape::{Shape, Typed};
    use super::super::super::table::Form;
    use super::super::*;
    use super::*;

    #[test]
    fn the_interface_below_stands_where_the_kind_wants_it() {
        let macvlan = NewLink::from(Macvlan::new("mv0", "eth0").mode(MacvlanMode::BRIDGE));
        assert_eq!(macvlan.link, Some(LinkRef::from("eth0")));
        assert_eq!(macvlan.request(Some(7)).number(row::LINK), 7);
        let vxlan = NewLink::from(Vxlan::new("vx0", 42).dev("eth0").index(9)).request(Some(7));
        assert_eq!((vxlan.number(row::LINK), vxlan.number(row::INDEX)), (0, 9));
        let data = vxlan.value(row::DATA).and_then(Value::nested);
        assert_eq!(data.map(|data| data.number(vxlan::row::LINK)), Some(7));
    }

    #[test]
    fn raw_attributes_are_what_the_tables_write() {
        let options = RawAttributes::new().u32(1, 400).u8(22, 1).u64(999, 1).u16(998, 1);
        let read = Record::decode_attributes(&BRIDGE, options.as_ref());
        let number = |name| read.get(name).and_then(Value::number);
        let read = ["forward_delay", "vlan_filtering", "mcast_router"].map(number);
        assert_eq!(read, [Some(400), None, Some(1)]);
        let mut message = crate::wire::Builder::new(0, 0);
        message.attribute(3, b"text\0");
        message.open(4);
        message.attribute(1, &[]);
        message.attribute(2, &[1, 2, 3]);
        message.close();
        let own = RawAttributes::new()
            .text(3, "text")
            .nested(4, RawAttributes::new().flag(1).bytes(2, &[1, 2, 3]));
        assert_eq!(own.as_ref(), &message.finish()[crate::wire::HEADER..]);
        let new = NewLink::with_kind("x0", "unheard-of").mtu(1400).index(7).raw_data(own);
        assert_eq!((new.record.number(row::MTU), new.record.number(row::INDEX)), (1400, 7));
    }

    #[test]
    fn a_pair_carries_its_peer_and_an_ifb_nothing() {
        let veth =
            NewLink::from(Veth::new("v0", "v1").peer_index(12).num_tx_queues(2)).request(None);
        let data = veth.value(row::DATA).and_then(Value::nested);
        let peer = data.and_then(|data| data.value(veth::row::PEER)).and_then(veth::PeerOf::read);
        assert_eq!(peer.map(|peer| peer.record().number(row::INDEX)), Some(12));
        assert_eq!(NewLink::from(Ifb::new("ifb0")).request(None).value(row::DATA), None);
    }

    /// What a command says of an attribute is about it alone, whatever else JSON shows for it.
    #[test]
    fn no_word_of_a_command_is_a_word_about_something_else() {
        let tables = super::super::KINDS.iter().chain(super::super::PORT_KINDS);
        for (kind, table) in tables {
            let own = |keyword: &str| table.rows.iter().any(|row| row.keyword == keyword);
            for (id, row) in table.rows.iter().enumerate() {
                let is_number =
                    matches!(row.shape, Shape::U8 | Shape::U16 | Shape::U32 | Shape::Be16);
                let is_switch = matches!(row.form, Form::Bool | Form::OnlyTrue | Form::Member(_));
                if !row.settable() || !is_number || is_switch || row.keyword.is_empty() {
                    continue;
                }
                let mut record = Record::new(table);
                record.set(id as u16, Value::Number(1));
                let words = record.words(&()).join(" ");
                let wrong = ["true", "false", "none"].iter().any(|word| words.ends_with(word));
                assert!(!wrong || own(&words), "{kind} {}: {words}", row.accessor);
            }
        }
    }

    #[test]
    fn options_read_as_words_of_a_command() {
        let words = |record: &Record| record.words(&()).join(" ");
        let bridge =
            BridgeOptions::new().stp_state(true).group_fwd_mask(0x4008u16).mst_enabled(false);
        assert_eq!(words(bridge.record()), "stp_state 1 group_fwd_mask 0x4008 mst_enabled 0");
        let port = super::super::super::BridgePortOptions::new()
            .hairpin(true)
            .state(super::super::super::PortState::FORWARDING);
        assert_eq!(words(port.record()), "state 3 hairpin on");
        let vxlan = VxlanOptions::new()
            .remote(std::net::Ipv4Addr::new(10, 0, 0, 2))
            .port_range(1000..=2000)
            .learning(false)
            .gbp(true)
            .ttl(0u8);
        assert_eq!(
            words(vxlan.record()),
            "remote 10.0.0.2 srcport 1000 2000 nolearning ttl auto gbp"
        );
        let macvlan =
            MacvlanOptions::new().mode(MacvlanMode::SOURCE).sources(&[[2, 0, 0, 0, 0, 5].into()]);
        assert_eq!(words(macvlan.record()), "mode source macaddr set 02:00:00:00:00:05");
        let vlan = VlanOptions::new().gvrp(true).reorder_hdr(false);
        let vlan = vlan.egress_qos_map([(5, 6), (0, 7)]);
        assert_eq!(words(vlan.record()), "reorder_hdr off gvrp on egress-qos-map 0:7 5:6");
        // It was `ethertype false`: JSON says `multiproto` behind it.
        let bareudp = |ethertype| {
            let new = NewLink::from(Bareudp::new("u0", 6635, ethertype));
            new.data.as_ref().map(words)
        };
        assert_eq!(bareudp(0x0800).as_deref(), Some("dstport 6635 ethertype ip"));
        assert_eq!(bareudp(0x0999).as_deref(), Some("dstport 6635 ethertype 0x0999"));
        let targets: Vec<std::net::IpAddr> = vec![[10, 0, 0, 2].into(), [10, 0, 0, 1].into()];
        let bond = BondOptions::new().mode(BondMode::ACTIVE_BACKUP).arp_ip_target(targets);
        let bond = bond.use_carrier(false).arp_validate(ArpValidate::NONE);
        assert_eq!(
            words(bond.record()),
            "mode active-backup use_carrier 0 arp_ip_target 10.0.0.2,10.0.0.1 arp_validate none"
        );
        let ipvlan = IpvlanOptions::new().mode(IpvlanMode::L3).flags(IpvlanFlags::PRIVATE);
        assert_eq!(words(ipvlan.record()), "mode l3 private");
        let hsr = NewLink::from(
            Hsr::new("h0", 7u32, "d8").multicast_spec(45u8).version(1u8).protocol(HsrProtocol::PRP),
        );
        assert_eq!(
            hsr.data.as_ref().map(words).as_deref(),
            Some("slave1 if7 slave2 d8 supervision 45 version 1 proto 1")
        );
    }
}
