//! The object tables from outside: what is written is read back, the numbers are the kernel's, another codec
//! agrees, and real messages read as the golden text says.

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlinkdb::internals::object::bridge_vlan::{self, VLAN_ENTRY, VLAN_INFO, VLAN_MESSAGE};
use netlinkdb::internals::object::encap::ENCAPS;
use netlinkdb::internals::object::kinds::{self, KINDS, PORT_KINDS};
use netlinkdb::internals::object::link::{LINK, STATISTICS, row};
use netlinkdb::internals::object::{
    ADDRESS, Address, BRIDGE_PORT, BridgeOptions, HOP, Link, METRICS, NEIGHBOUR, NEXTHOP, Names,
    Neighbour, Nexthop, Place, ROUTE, RULE, Record, Route, Row, Rule, Shape, TABLES, Table, Value,
    address, nexthop, route,
};
use netlinkdb::internals::wire::{Attributes, Builder, HEADER, Messages, Pack, flags, kind};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[path = "support/byte_order.rs"]
mod byte_order;
#[path = "support/oracle.rs"]
#[allow(dead_code, unreachable_pub)]
mod oracle;

fn tables() -> Vec<&'static Table> {
    let kinds = KINDS.iter().chain(PORT_KINDS).map(|(_, table)| *table);
    let encaps = ENCAPS.iter().map(|(_, table)| *table);
    let own = [&LINK, &ADDRESS, &STATISTICS, &ROUTE, &HOP, &METRICS, &RULE, &NEIGHBOUR, &NEXTHOP];
    let vlans = [&VLAN_MESSAGE, &VLAN_ENTRY, &VLAN_INFO];
    own.into_iter().chain(vlans).chain(kinds).chain(encaps).collect()
}

/// Random bytes, zeros when they are used up: what proptest shrinks.
struct Source(std::vec::IntoIter<u8>);

impl Source {
    fn number(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |n, _| n << 8 | u64::from(self.0.next().unwrap_or(0)))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.number(2) % limit
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.number(1) as u8).collect()
    }

    fn text(&mut self) -> Box<str> {
        self.bytes(15).iter().map(|b| char::from(b'a' + b % 26)).collect()
    }

    fn hardware(&mut self, exactly: Option<usize>) -> netlinkdb::HardwareAddress {
        let bytes = match exactly {
            Some(n) => self.number(n).to_be_bytes()[8 - n..].to_vec(),
            None => self.bytes(32),
        };
        netlinkdb::HardwareAddress::new(&bytes).unwrap()
    }

    /// Any record that a message could have been read as.
    fn record(&mut self, table: &'static Table) -> Record {
        let mut record = Record::new(table);
        for (id, row) in table.rows.iter().enumerate() {
            let fixed = matches!(row.place, Place::Header(_)) || row.narrow.is_some();
            // Those that share a number are all there when one is.
            let path = |row: &Row| match row.place {
                Place::Path(path) if matches!(row.shape, Shape::Part(..)) => Some(path),
                _ => None,
            };
            let of_one = |other: usize| path(&table.rows[other]) == path(row);
            let first = path(row).and_then(|_| (0..id).find(|other| of_one(*other)));
            let is_in = match first {
                Some(first) => record.value(first as u16).is_some(),
                None => fixed || self.below(2) == 1,
            };
            if is_in {
                let value = self.value(row.shape, &record, table);
                value.into_iter().for_each(|value| record.set(id as u16, value));
            }
        }
        record
    }

    fn value(&mut self, shape: Shape, so_far: &Record, table: &'static Table) -> Option<Value> {
        let nested = |record| Some(Value::Nested(Box::new(record)));
        Some(match shape {
            Shape::U8 => Value::Number(self.number(1)),
            Shape::U16 | Shape::Be16 => Value::Number(self.number(2)),
            Shape::U32 | Shape::Be32 => Value::Number(self.number(4)),
            Shape::U64 | Shape::Be64 | Shape::Uint => Value::Number(self.number(8)),
            Shape::I32 => Value::Signed((self.number(4) as i32).into()),
            Shape::Option(_) => Value::Number(self.below(2)),
            Shape::Part(mask, _) => {
                let number = self.number(4) as u32 & mask;
                Value::Number((number >> mask.trailing_zeros()).into())
            }
            Shape::Present => Value::Present,
            Shape::Flag => Value::Number(1),
            Shape::Text => Value::Text(self.text()),
            Shape::Hardware => Value::Hardware(self.hardware(None)),
            Shape::Mac => Value::Hardware(self.hardware(Some(6))),
            Shape::Ip if self.below(2) == 0 => Value::V4(Ipv4Addr::from(self.number(4) as u32)),
            Shape::Ip4 => Value::V4(Ipv4Addr::from(self.number(4) as u32)),
            Shape::Ip | Shape::Ip6 => Value::V6(Ipv6Addr::from(u128::from(self.number(8)))),
            Shape::Bytes => Value::Bytes(self.bytes(40).into()),
            Shape::U32s => {
                Value::Numbers((0..self.below(9)).map(|_| self.number(4) as u32).collect())
            }
            Shape::Labels => {
                Value::Numbers((0..self.below(5)).map(|_| self.number(4) as u32 >> 12).collect())
            }
            Shape::Via if self.below(4) == 0 => Value::Bytes([17, 0, 2, 0, 0, 0, 0, 1].into()),
            Shape::Via => return self.value(Shape::Ip, so_far, table),
            Shape::Array(table) | Shape::Structs(table) => {
                Value::Records((0..self.below(4)).map(|_| self.record(table)).collect())
            }
            Shape::ByNumber { kind, tables } => {
                let number = so_far.fields().find(
                    |(_, row, _)| matches!(row.place, Place::Path(p) if p.ends_with(&[kind])),
                );
                let number = number.and_then(|(_, _, value)| value.number());
                match tables.iter().find(|(own, _)| Some(*own) == number) {
                    Some((_, table)) => return nested(self.record(table)),
                    None => Value::Bytes(self.bytes(40).into()),
                }
            }
            Shape::Ips => Value::Ips(
                (0..self.below(4))
                    .map(|_| match self.below(2) {
                        0 => Ipv4Addr::from(self.number(4) as u32).into(),
                        _ => Ipv6Addr::from(u128::from(self.number(8))).into(),
                    })
                    .collect(),
            ),
            Shape::Elements(_, table) => {
                let mut all: Vec<_> = (0..self.below(4)).map(|_| self.record(table)).collect();
                let numbers = |one: &Record| -> Vec<u64> {
                    one.fields().filter_map(|(_, _, value)| value.number()).collect()
                };
                all.sort_by_key(numbers);
                Value::Records(all.into())
            }
            Shape::Texts(_) => Value::Texts((0..self.below(4)).map(|_| self.text()).collect()),
            Shape::Hardwares(_) => {
                let mut all: Vec<_> = (0..self.below(4)).map(|_| self.hardware(None)).collect();
                all.sort();
                Value::Hardwares(all.into())
            }
            Shape::Struct(table) | Shape::Nest(table) => return nested(self.record(table)),
            Shape::Message(table) if self.below(4) == 0 => return nested(self.record(table())),
            Shape::Message(_) => return None,
            Shape::ByKind { kind, tables } => {
                let named = |id: usize| matches!(table.rows[id].place, Place::Path(p) if p.ends_with(&[kind]));
                let name = so_far.fields().find(|(id, ..)| named(usize::from(*id)));
                let name = name.and_then(|(_, _, value)| value.text());
                match tables.iter().find(|(own, _)| Some(*own) == name) {
                    Some((_, table)) => return nested(self.record(table)),
                    None => Value::Bytes(self.bytes(40).into()),
                }
            }
        })
    }
}

/// A record of a table that is not in the list could be packed and not unpacked.
#[test]
fn every_table_can_be_packed() {
    let mut declared = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/object")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let is_table = |line: &&str| {
                let line = line.trim_start();
                line.starts_with("pub static") && line.contains(": \"") && line.contains("header")
            };
            // Tunnels are declared by a mould.
            let is_moulded = |line: &&str| line.contains("Options \"") && !line.contains('$');
            declared += text.lines().filter(is_table).count();
            declared += text.lines().filter(is_moulded).count();
        }
    }
    // The counters of an interface are declared by a macro of their own; macvtap and ipvtap have the rows of others.
    assert_eq!(TABLES.len(), declared + 2 + 2);
    for table in tables() {
        assert!(TABLES.iter().any(|own| std::ptr::eq(*own, table)), "{}", table.name);
    }
}

fn encode(record: &Record, kind: u16) -> Vec<u8> {
    let mut message = Builder::new(kind, flags::REQUEST).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}

fn read_back(record: &Record) -> Record {
    let bytes = encode(record, kind::RTM_NEWLINK);
    Record::decode(record.table(), &bytes[HEADER..]).unwrap()
}

/// Under an interpreter a few: each takes all tables.
const CASES: u32 = if cfg!(miri) { 2 } else { 300 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let mut source = Source(bytes.into_iter());
        for table in tables() {
            let record = source.record(table);
            prop_assert_eq!(read_back(&record), record);
        }
        // Kind and options go together.
        for (name, table) in KINDS {
            let mut record = Record::new(&LINK);
            record.set(row::KIND, (*name).into());
            record.set(row::DATA, Value::Nested(Box::new(source.record(table))));
            prop_assert_eq!(read_back(&record).value(row::DATA).cloned(), record.value(row::DATA).cloned());
        }
    }

    #[test]
    fn what_is_packed_is_unpacked(bytes in proptest::collection::vec(any::<u8>(), 0..3000), cut in any::<prop::sample::Index>()) {
        let mut source = Source(bytes.into_iter());
        for table in TABLES.iter().copied() {
            let record = source.record(table);
            let packed = record.packed();
            prop_assert_eq!(Record::whole(&packed), Ok(record));
            prop_assert!(Record::whole(&packed[..cut.index(packed.len())]).is_err());
        }
    }

    #[test]
    fn any_bytes_can_be_unpacked(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let record = Record::whole(&bytes);
        let again = record.as_ref().map(Record::packed);
        prop_assert!(again.is_err() || again == Ok(bytes));
    }

    #[test]
    fn any_bytes_can_be_read_and_shown(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        show_everything(&bytes);
    }

    #[test]
    fn a_real_message_can_be_damaged_anywhere(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), by in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (_, messages) = which.get(&CAPTURES);
        for message in messages {
            let mut message = message.clone();
            let place = at.index(message.len());
            message[place] = by;
            message.truncate(cut.index(message.len()) + 1);
            show_everything(&message[HEADER.min(message.len())..]);
        }
    }
}

static CAPTURES: LazyLock<Vec<(PathBuf, Vec<Vec<u8>>)>> = LazyLock::new(captures);

fn show_everything(payload: &[u8]) {
    for table in tables() {
        let inside = Record::decode_attributes(table, payload);
        let _ = format!("{inside} {inside:?} {:?}", inside.words(&()));
        let Ok(record) = Record::decode(table, payload) else { continue };
        let _ = format!("{record} {record:?} {:?}", record.changes(&inside));
        // Short structs are written whole: written once, a record stays as it is.
        let once = read_back(&record);
        assert_eq!(read_back(&once), once);
    }
    if let Ok(record) = Record::decode(&LINK, payload) {
        let link = Link::new(record, 0);
        let _ = format!("{link} {link:?} {:?} {:?}", link.bridge_port(), link.statistics());
    }
    if let Ok((_, vlans)) = bridge_vlan::decode(payload) {
        assert!(
            bridge_vlan::ranges(vlans.iter().copied())
                .into_iter()
                .flat_map(|one| one.each(vlans[0].index()))
                .eq(vlans.clone())
        );
    }
    if let Ok(record) = Record::decode(&ADDRESS, payload) {
        let address = Address::new(record);
        let _ = format!("{address} {address:?} {} {:?}", address.net(), address.valid_lifetime());
    }
    if let Ok(record) = Record::decode(&ROUTE, payload) {
        let route = Route::new(record);
        let _ = format!("{route} {route:?} {} {:?}", route.tree(&()), route.key());
        let _ = (route.destination(), route.source(), route.label(), route.expires());
        split_agrees(payload, &route);
    }
    if let Ok(record) = Record::decode(&RULE, payload) {
        let rule = Rule::of(record);
        let _ = format!("{rule} {rule:?} {:?} {:?} {:?}", rule.identity(), rule.from(), rule.to());
    }
    if let Ok(record) = Record::decode(&NEIGHBOUR, payload) {
        let neighbour = Neighbour::of(record);
        let _ = format!("{neighbour} {neighbour:?}");
    }
    if let Ok(record) = Record::decode(&NEXTHOP, payload) {
        let nexthop = Nexthop::of(record);
        let _ = format!("{nexthop} {nexthop:?} {:?}", nexthop.group().collect::<Vec<_>>());
    }
}

/// Whatever the bytes are: what is cut in two is what is read whole, where every attribute can be read.
fn split_agrees(payload: &[u8], route: &Route) {
    let mut body = vec![7; 9];
    let Some(key) = route::split(payload, &mut body) else { return };
    let again = key.record(&body);
    let _ = format!("{again:?}");
    let whole = route.record().unknown().all(|(path, _)| path[0] > 31);
    let plain = route.key() == Some(key);
    if whole && plain && (route.record().value(route::row::DST).is_some() == (route.dst_len() > 0))
    {
        let ours: Vec<_> = again.fields().filter(|(id, ..)| compared_in_bodies(*id)).collect();
        let fields = route.record().fields();
        let theirs: Vec<_> = fields.filter(|(id, ..)| compared_in_bodies(*id)).collect();
        let ids = |all: &[(u16, _, &Value)]| all.iter().map(|(id, ..)| *id).collect::<Vec<_>>();
        assert_eq!(ids(&ours), ids(&theirs), "{again:?}\n{route:?}");
    }
}

/// `cargo test --release --test object split_costs_little -- --nocapture` prints what one costs.
#[test]
fn split_costs_little() {
    let spec = Route::to("10.2.0.0/16").via("10.0.0.2").dev(7).priority(9);
    let record = spec.record(|_| Some(7)).unwrap();
    let bytes = encode(&record, kind::RTM_NEWROUTE).split_off(HEADER);
    let rounds = if cfg!(miri) { 3 } else { 300_000 };
    let (mut body, start) = (Vec::new(), std::time::Instant::now());
    for _ in 0..rounds {
        assert!(route::split(std::hint::black_box(&bytes), &mut body).is_some());
    }
    let nanoseconds = start.elapsed().as_nanos() / rounds;
    println!("split: {nanoseconds} ns");
    // Far above what it is, for machines that do other things too.
    assert!(cfg!(any(debug_assertions, miri)) || nanoseconds < 1500, "{nanoseconds} ns");
}

/// A priority of 0 may be there or not; flags, legs and cache information are masked.
fn compared_in_bodies(id: u16) -> bool {
    use route::row;
    ![row::PRIORITY, row::CACHEINFO, row::MULTIPATH, row::FLAGS].contains(&id)
}

/// Enumerators and `#define`s of the UAPI headers that are installed.
fn constants() -> HashMap<String, u64> {
    let mut found = HashMap::new();
    for file in [
        "if.h",
        "if_link.h",
        "if_addr.h",
        "if_bridge.h",
        "if_tunnel.h",
        "veth.h",
        "rtnetlink.h",
        "fib_rules.h",
        "neighbour.h",
        "nexthop.h",
        "lwtunnel.h",
        "mpls_iptunnel.h",
        "seg6_iptunnel.h",
    ] {
        match fs::read_to_string(Path::new("/usr/include/linux").join(file)) {
            Ok(text) => parse_header(&text, &mut found),
            Err(error) => eprintln!("skipped: /usr/include/linux/{file}: {error}"),
        }
    }
    found
}

fn parse_header(text: &str, found: &mut HashMap<String, u64>) {
    let text = without_comments(text);
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("#define")) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(value), None) = (words.next(), words.next(), words.next()) {
            found.extend(number(value, found).map(|n| (name.to_owned(), n)));
        }
    }
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    for block in code.split("enum ").chain(code.split("enum\t")).skip(1) {
        let Some((_, rest)) = block.split_once('{') else { continue };
        let Some((body, _)) = rest.split_once('}') else { continue };
        let mut next = 0;
        for item in body.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let value = number(value.trim(), found).unwrap_or(next);
            found.insert(name.trim().to_owned(), value);
            next = value + 1;
        }
    }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once("*/").map_or("", |(_, code)| code))
}

fn number(text: &str, found: &HashMap<String, u64>) -> Option<u64> {
    if let Some((one, shift)) = text.split_once("<<") {
        return Some(number(one.trim(), found)? << number(shift.trim(), found)?);
    }
    let hexadecimal =
        text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    hexadecimal.or_else(|| text.parse().ok()).or_else(|| found.get(text).copied())
}

#[test]
fn attribute_numbers_are_those_of_the_headers() {
    let constants = constants();
    if !constants.contains_key("IFLA_IFNAME") {
        eprintln!("skipped: attribute_numbers_are_those_of_the_headers: no UAPI headers installed");
        return;
    }
    let (mut checked, mut unknown) = (0, Vec::new());
    let mut all = tables();
    all.push(&kinds::bridge::QUERIER);
    all.extend([&nexthop::RESILIENT, &nexthop::MEMBER]);
    for (table, row) in all.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)))
    {
        let Place::Path(path) = row.place else { continue };
        match constants.get(row.constant) {
            Some(number) => {
                assert_eq!(path.last().map(|n| u64::from(*n)), Some(*number), "{}", row.constant);
                checked += 1;
            }
            None => unknown.push(format!("{}: {}", table.name, row.constant)),
        }
    }
    eprintln!("not in the headers installed here: {}", unknown.join(", "));
    assert!(checked > 150, "{checked}");
}

#[test]
fn flags_and_modes_are_those_of_the_headers() {
    use netlinkdb::internals::object::{
        AddressFlags, EncapType, LinkFlags, MacvlanMode, Named, NeighbourState, PortState,
        RouteProtocol, RouteType, RuleAction,
    };
    let constants = constants();
    let check = |prefix: &str, names: &[(u64, &str)]| {
        for (number, name) in names {
            let constant = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
            match constants.get(&constant) {
                Some(theirs) => assert_eq!(theirs, number, "{constant}"),
                None => eprintln!("skipped: {constant} is not in the headers installed here"),
            }
        }
    };
    check("IFF_", LinkFlags::NAMES);
    check("IFA_F_", AddressFlags::NAMES);
    check("MACVLAN_MODE_", MacvlanMode::NAMES);
    check("BR_STATE_", PortState::NAMES);
    check("RTN_", &RouteType::NAMES[1..]);
    check("RTPROT_", RouteProtocol::NAMES);
    check("NUD_", NeighbourState::NAMES);
    check("FR_ACT_", RuleAction::NAMES);
    check("LWTUNNEL_ENCAP_", EncapType::NAMES);
}

/// What another codec reads from bytes, in its words.
fn independent(bytes: &[u8]) -> String {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
    match message.payload {
        NetlinkPayload::InnerMessage(inner) => format!("{inner:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_codec_reads_our_links() {
    let options = BridgeOptions::new()
        .forward_delay(1600u32)
        .hello_time(300u32)
        .priority(4096u16)
        .ageing_time(1000u32)
        .mcast_query_intvl(10_000u64)
        .group_fwd_mask(0x4008u16)
        .vlan_default_pvid(7u16);
    let mut link = Record::new(&LINK);
    link.set(row::INDEX, 77.into());
    link.set(row::NAME, "br0".into());
    link.set(row::MTU, 1400.into());
    link.set(row::GROUP, 5.into());
    link.set(row::MASTER, 9.into());
    link.set(row::ALIAS, "words".into());
    link.set(row::ADDRESS, Value::Hardware([2, 0, 0, 0, 0, 1].into()));
    link.set(row::KIND, "bridge".into());
    link.set(row::DATA, Value::Nested(Box::new(options.record().clone())));
    let text = independent(&encode(&link, kind::RTM_NEWLINK));
    for word in [
        "index: 77",
        "IfName(\"br0\")",
        "Mtu(1400)",
        "Group(5)",
        "Controller(9)",
        "IfAlias(\"words\")",
        "Address([2, 0, 0, 0, 0, 1])",
        "Kind(Bridge)",
        "ForwardDelay(1600)",
        "HelloTime(300)",
        "Priority(4096)",
        "AgeingTime(1000)",
        "MulticastQueryInterval(10000)",
        "GroupFwdMask(16392)",
        "VlanDefaultPvid(7)",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn another_codec_reads_our_addresses() {
    let mut record = Record::new(&ADDRESS);
    record.set(address::row::FAMILY, 2.into());
    record.set(address::row::INDEX, 5.into());
    record.set(address::row::PREFIX_LENGTH, 24.into());
    record.set(address::row::LOCAL, Value::V4([10, 0, 0, 1].into()));
    record.set(address::row::ADDRESS, Value::V4([10, 0, 0, 1].into()));
    record.set(address::row::BROADCAST, Value::V4([10, 0, 0, 255].into()));
    record.set(address::row::LABEL, "v0:x".into());
    record.set(address::row::FLAGS, 0x280.into());
    let text = independent(&encode(&record, kind::RTM_NEWADDR));
    for word in [
        "family: Inet,",
        "prefix_len: 24",
        "index: 5",
        "Local(10.0.0.1)",
        "Address(10.0.0.1)",
        "Broadcast(10.0.0.255)",
        "Label(\"v0:x\")",
        "Permanent",
        "Noprefixroute",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn another_codec_reads_our_routes() {
    use netlinkdb::internals::object::{Hop, LinkRef};
    let read = |spec: netlinkdb::internals::object::RouteSpec| {
        spec.check().unwrap();
        let record = spec.record(|_: &LinkRef| Some(7)).unwrap();
        independent(&encode(&record, kind::RTM_NEWROUTE))
    };
    let plain = Route::to("10.2.0.0/16")
        .via("10.0.0.2")
        .dev("eth0")
        .table(70_000)
        .priority(50)
        .mtu(1400)
        .src("10.0.0.1")
        .tos(0x10)
        .onlink();
    let legs = Route::to("10.3.0.0/16")
        .nexthop(Hop::via("10.0.0.2").weight(10).dev(7))
        .nexthop(Hop::via("fd00::2").dev(7));
    for (text, words) in [
        (
            read(plain),
            &[
                "destination_prefix_length: 16",
                "tos: 16",
                "Destination(Inet(10.2.0.0))",
                "Gateway(Inet(10.0.0.2))",
                "Oif(7)",
                "Table(70000)",
                "Priority(50)",
                "Mtu(1400)",
                "PrefSource(Inet(10.0.0.1))",
                "protocol: Static",
                "Onlink",
            ][..],
        ),
        (
            read(legs),
            &["hops: 9", "interface_index: 7", "Gateway(Inet(10.0.0.2))", "Via(Inet6(fd00::2))"][..],
        ),
    ] {
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
}

#[test]
fn another_codec_reads_our_rules_and_neighbours() {
    let rule = Rule::new()
        .priority(100)
        .from("10.0.0.0/8")
        .iif("v0")
        .fwmark(1, 0xff)
        .sport(100..=200)
        .ip_proto(6)
        .suppress_prefixlength(3)
        .table(70_000);
    let neighbour = Neighbour::new("10.0.0.2", 7).lladdr("02:00:00:00:00:02").router();
    for (text, words) in [
        (
            independent(&encode(&rule.record(), kind::RTM_NEWRULE)),
            &[
                "src_len: 8",
                "Source(10.0.0.0)",
                "Iifname(\"v0\")",
                "FwMark(1)",
                "FwMask(255)",
                "Priority(100)",
                "Table(70000)",
                "start: 100, end: 200",
                "IpProtocol(Tcp)",
            ][..],
        ),
        (
            independent(&encode(
                &neighbour.record(|_| Some(7)).expect("a neighbour"),
                kind::RTM_NEWNEIGH,
            )),
            &["ifindex: 7", "Permanent", "Router", "LinkLocalAddress([2, 0, 0, 0, 0, 2])"][..],
        ),
    ] {
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
}

/// The captures that `NETLINKDB_TEST_CAPTURES=vlan,routes` names: for interpreters, which take seconds for each.
fn chosen() -> Option<Vec<String>> {
    let names = std::env::var("NETLINKDB_TEST_CAPTURES").ok()?;
    Some(names.split(',').map(str::to_owned).collect())
}

/// The messages of each file in tests/captures, as a kernel in the byte order of this machine would say them.
fn captures() -> Vec<(PathBuf, Vec<Vec<u8>>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hex"));
    let is_chosen = |file: &PathBuf| match (chosen(), file.file_stem()) {
        (Some(names), Some(stem)) => names.iter().any(|name| stem == name.as_str()),
        _ => true,
    };
    files.retain(is_chosen);
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let digit = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(digit).collect();
        let turned = cfg!(target_endian = "big").then(|| byte_order::big_endian(&bytes));
        (file, split(&turned.unwrap_or(bytes)))
    };
    files.into_iter().map(read).collect()
}

fn kind_of(message: &[u8]) -> u16 {
    Messages::new(message).next().unwrap().unwrap().kind
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = |message: &netlinkdb::internals::wire::Message<'_>| {
        let mut own = Builder::new(message.kind, message.flags).finish();
        own.extend_from_slice(message.payload);
        own
    };
    Messages::new(bytes).map(|message| whole(&message.unwrap())).collect()
}

/// `BLESS=1` writes the golden texts anew.
#[test]
fn captures_read_as_the_golden_text_says() {
    for (file, messages) in captures() {
        let text: String = messages.iter().map(|message| describe(message)).collect();
        let golden = file.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let wanted = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(in_any_byte_order(&text), in_any_byte_order(&wanted), "{}", golden.display());
    }
}

/// The texts are of little-endian kernels: elsewhere without what is kept, and shown, as the kernel's own bytes.
fn in_any_byte_order(text: &str) -> String {
    let raw = [
        "inet6_cacheinfo: ",
        "inet6_statistics: ",
        "inet6_icmp_statistics: ",
        "protinfo: ",
        "encap: seg6 ",
    ];
    let is_raw = |line: &str| raw.iter().any(|name| line.trim_start().starts_with(name));
    let lines = text.lines().filter(|line| cfg!(target_endian = "little") || !is_raw(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What a kernel said of the options of a kind, or of a port, is what a request that says the same would carry: the same
/// attributes with the same bytes, in any order. (The kernel says of the flags of a VLAN that it means all 32; a flag that is
/// off is told, and left out of a request.)
#[test]
fn captured_options_are_written_as_they_were_read() {
    let mut seen = Vec::new();
    for (file, messages) in captures() {
        for message in messages.iter().filter(|m| kind_of(m) == kind::RTM_NEWLINK) {
            let record = Record::decode(&LINK, &message[HEADER..]).unwrap();
            for (id, part) in [(row::DATA, 2), (row::PORT, 5)] {
                let Some(options) = record.value(id).and_then(Value::nested) else { continue };
                let theirs = inside(inside(&message[HEADER + LINK.header..], 18), part);
                let ours = encode(options, kind::RTM_NEWLINK);
                assert_eq!(
                    plain(options.table().name, &ours[HEADER..]),
                    plain(options.table().name, theirs),
                    "{} of {}",
                    options.table().name,
                    file.display()
                );
                assert_eq!(options.unknown().count(), 0, "{}", file.display());
                seen.push(options.table().name);
            }
        }
    }
    // A veth says nothing of itself; bareudp is not in Debian's kernels (5.10, 6.1 and 6.12 are built without CONFIG_BAREUDP).
    let unseen = ["veth", "bareudp"];
    let kinds = KINDS.iter().map(|(kind, _)| *kind).filter(|kind| !unseen.contains(kind));
    for kind in kinds.chain(["bridge_port", "bond_port", "vrf_port"]) {
        assert!(chosen().is_some() || seen.contains(&kind), "no capture of a {kind}");
    }
}

/// The payload of an attribute.
fn inside(bytes: &[u8], number: u16) -> &[u8] {
    let found = Attributes::new(bytes).map(|a| a.unwrap()).find(|a| a.kind == number);
    found.map(|a| a.payload).unwrap_or_default()
}

/// Attributes by their number; those that hold others in the order of their bytes.
fn plain(table: &str, bytes: &[u8]) -> Vec<(u16, Vec<Vec<u8>>)> {
    let attribute = |a: Result<netlinkdb::internals::wire::Attribute<'_>, _>| {
        let a = a.unwrap();
        let mut parts = match (table, a.kind) {
            ("vlan", 2) => vec![a.payload[..4].to_vec()],
            ("vlan", 3 | 4) | ("macvlan" | "macvtap", 5) => {
                Attributes::new(a.payload).map(|a| a.unwrap().payload.to_vec()).collect()
            }
            _ => vec![a.payload.to_vec()],
        };
        parts.sort();
        (a.kind, parts)
    };
    let mut all: Vec<_> = Attributes::new(bytes).map(attribute).collect();
    all.retain(|(kind, parts)| !(table == "vxlan" && *kind == 28 && *parts == [vec![0]]));
    all.sort();
    all
}

/// The interface below each of the captured ones is `v0`, and down.
struct V0;

impl Names for V0 {
    fn name_of(&self, _: u32) -> Option<&str> {
        Some("v0")
    }

    fn is_up(&self, _: u32) -> Option<bool> {
        Some(false)
    }
}

/// Beside some captures stands what `ip -json -details link show` printed in the same moment.
#[test]
fn captures_read_as_iproute2_printed_them() {
    let mut compared = 0;
    for (file, messages) in captures() {
        let Ok(text) = fs::read_to_string(file.with_extension("json")) else { continue };
        let theirs: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(theirs.len(), messages.len(), "{}", file.display());
        for (message, their) in messages.iter().zip(&theirs) {
            let link = Link::new(Record::decode(&LINK, &message[HEADER..]).unwrap(), 0);
            let ours = oracle::to_json(&link.tree(&V0));
            let found = oracle::compare_links(&[ours], std::slice::from_ref(their));
            assert!(found.is_empty(), "{}: {}", file.display(), found.join("\n"));
            compared += 1;
        }
    }
    assert!(chosen().is_some() || compared > 25, "{compared}");
}

/// VLANs of bridges are no rows of one record: each entry, with the same attributes in any order.
#[test]
fn captured_vlans_are_written_as_they_were_read() {
    let mut read = 0;
    for (_, messages) in captures() {
        for message in messages.iter().filter(|message| is_of_vlans(message)) {
            let payload = &message[HEADER..];
            let header = Record::decode(&VLAN_MESSAGE, payload).unwrap();
            assert_eq!(header.encode_header(), payload[..VLAN_MESSAGE.header]);
            let theirs = Attributes::new(&payload[VLAN_MESSAGE.header..]).map(|a| a.unwrap());
            for (entry, their) in bridge_vlan::entries(payload).zip(theirs) {
                let ours = encode(&entry, kind::RTM_NEWVLAN);
                assert_eq!(
                    plain("vlan entry", &ours[HEADER..]),
                    plain("vlan entry", their.payload)
                );
                assert_eq!(entry.unknown().count(), 0);
                read += 1;
            }
        }
    }
    assert!(chosen().is_some() || read > 6, "{read}");
}

fn is_of_vlans(message: &[u8]) -> bool {
    matches!(kind_of(message), kind::RTM_NEWVLAN | kind::RTM_DELVLAN)
}

fn describe_vlans(message: &[u8]) -> String {
    let (index, vlans) = bridge_vlan::decode(&message[HEADER..]).unwrap();
    let gone = if kind_of(message) == kind::RTM_DELVLAN { "gone " } else { "" };
    let ranges = bridge_vlan::ranges(vlans).into_iter();
    let mut text: String = ranges.map(|range| format!("{gone}{range} dev if{index}\n")).collect();
    let entries = bridge_vlan::entries(&message[HEADER..]);
    entries.for_each(|entry| text += &format!("{entry:#?}\n"));
    text + "\n"
}

/// The line, then every row, one a line, then what no row knows.
fn describe(message: &[u8]) -> String {
    if is_of_vlans(message) {
        return describe_vlans(message);
    }
    let table = match kind_of(message) {
        kind::RTM_NEWLINK => &LINK,
        kind::RTM_NEWADDR => &ADDRESS,
        kind::RTM_NEWROUTE => &ROUTE,
        kind::RTM_NEWRULE => &RULE,
        kind::RTM_NEWNEIGH => &NEIGHBOUR,
        kind::RTM_NEWNEXTHOP => &NEXTHOP,
        other => panic!("a message of type {other}"),
    };
    let record = Record::decode(table, &message[HEADER..]).unwrap();
    let own = record.clone();
    let line = match table.name {
        "link" => Link::new(own, 0).to_string(),
        "address" => Address::new(own).to_string(),
        "route" => Route::new(own).to_string(),
        "rule" => Rule::of(own).to_string(),
        "neighbour" => Neighbour::of(own).to_string(),
        _ => Nexthop::of(own).to_string(),
    };
    let mut text = format!("{line}\n{record:#?}\n");
    let is_link = table == &LINK;
    if let Some(Value::Bytes(bytes)) = record.value(row::PROTINFO).filter(|_| is_link) {
        text += &format!("{:#?}\n", Record::decode_attributes(&BRIDGE_PORT, bytes));
    }
    record.unknown().for_each(|(path, bytes)| text += &format!("unknown {path:?} {bytes:?}\n"));
    text + "\n"
}
