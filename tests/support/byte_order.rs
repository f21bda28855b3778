//! The captures of little-endian kernels as a big-endian kernel would have said the same.
//!
//! By a table of its own, from the kernel's headers: what the crate's tables say does not count here. Lengths, types and
//! numbers are turned; texts, addresses and what is in network byte order are not. An attribute of which nothing is said
//! is a number when it has the length of one.
#![allow(clippy::little_endian_bytes)]

/// How an attribute's payload is turned.
enum Turn {
    /// A number in the order of the machine, of 1, 2, 4 or 8 bytes; anything else is left.
    Number,
    /// Text, addresses, network byte order.
    Not,
    /// Numbers of so many bytes, one behind the other.
    Numbers(usize),
    /// Fields of these lengths; what is behind them is left.
    Fields(&'static [usize]),
    /// Structs of such fields, one behind the other.
    Structs(&'static [usize]),
    /// Attributes of which this says how they are turned.
    Nest(fn(u16) -> Turn),
    /// `struct rtnexthop`, each with attributes of the route.
    Hops,
}

use Turn::{Fields, Hops, Nest, Not, Number, Numbers, Structs};

/// Turns a whole capture.
pub fn big_endian(capture: &[u8]) -> Vec<u8> {
    let mut bytes = capture.to_vec();
    let mut rest = &mut bytes[..];
    while rest.len() >= 16 {
        let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let (message, behind) = rest.split_at_mut(length.next_multiple_of(4).min(rest.len()));
        turn_message(&mut message[..length]);
        rest = behind;
    }
    bytes
}

fn turn_message(message: &mut [u8]) {
    let (header, payload) = message.split_at_mut(16);
    let kind = u16::from_le_bytes([header[4], header[5]]);
    turn_fields(header, &[4, 2, 2, 4, 4]);
    let family = payload[0];
    let (fields, turn): (&[usize], fn(u16) -> Turn) = match kind {
        // struct ifinfomsg
        16 if family == 7 => (&[1, 1, 2, 4, 4, 4], bridge_link),
        16 => (&[1, 1, 2, 4, 4, 4], link),
        // struct ifaddrmsg
        20 => (&[1, 1, 1, 1, 4], address),
        // struct rtmsg
        24 => (&[1, 1, 1, 1, 1, 1, 1, 1, 4], route),
        // struct ndmsg
        28 => (&[1, 1, 2, 4, 2, 1, 1], neighbour),
        // struct fib_rule_hdr
        32 => (&[1, 1, 1, 1, 1, 1, 1, 1, 4], rule),
        // struct nhmsg
        104 => (&[1, 1, 1, 1, 4], nexthop),
        // struct br_vlan_msg
        112 | 113 => (&[1, 1, 2, 4], bridge_vlans),
        other => panic!("a message of type {other}"),
    };
    let (fixed, attributes) = payload.split_at_mut(fields.iter().sum());
    turn_fields(fixed, fields);
    match kind {
        16 => turn_link(attributes, turn),
        24 => turn_route(attributes, turn),
        _ => turn_attributes(attributes, turn),
    }
}

fn turn_fields(mut bytes: &mut [u8], lengths: &[usize]) {
    for length in lengths {
        let (field, rest) = bytes.split_at_mut(*length);
        field.reverse();
        bytes = rest;
    }
}

/// The number and the place of each attribute.
fn places(bytes: &[u8]) -> Vec<(u16, std::ops::Range<usize>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + 4 <= bytes.len() {
        let length = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let number = u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]) & 0x3fff;
        assert!(length >= 4 && at + length <= bytes.len());
        found.push((number, at..at + length));
        at += length.next_multiple_of(4);
    }
    found
}

fn turn_attributes(bytes: &mut [u8], how: fn(u16) -> Turn) {
    for (number, place) in places(bytes) {
        let (header, payload) = bytes[place].split_at_mut(4);
        turn_fields(header, &[2, 2]);
        turn(payload, how(number));
    }
}

fn turn(payload: &mut [u8], how: Turn) {
    match how {
        Number if matches!(payload.len(), 2 | 4 | 8) => payload.reverse(),
        Number | Not => {}
        Numbers(length) => payload.chunks_exact_mut(length).for_each(<[u8]>::reverse),
        Fields(lengths) => turn_fields(payload, lengths),
        Structs(lengths) => {
            payload.chunks_exact_mut(lengths.iter().sum()).for_each(|one| turn_fields(one, lengths))
        }
        Nest(how) => turn_attributes(payload, how),
        Hops => turn_hops(payload),
    }
}

/// What IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA hold is said by the kinds beside them.
fn turn_link(bytes: &mut [u8], how: fn(u16) -> Turn) {
    for (number, place) in places(bytes) {
        let (header, payload) = bytes[place].split_at_mut(4);
        turn_fields(header, &[2, 2]);
        if number != 18 {
            turn(payload, how(number));
            continue;
        }
        let inside = places(payload);
        let kind = |wanted: u16| {
            let found = inside.iter().find(|(number, _)| *number == wanted);
            let name = found.map(|(_, place)| &payload[place.start + 4..place.end]);
            name.unwrap_or_default().strip_suffix(&[0]).unwrap_or_default().to_vec()
        };
        let (own, of_port) = (kind(1), kind(4));
        for (number, place) in inside {
            let (header, payload) = payload[place].split_at_mut(4);
            turn_fields(header, &[2, 2]);
            match number {
                2 => turn_attributes(payload, options(&own)),
                5 if of_port == b"bridge" => turn_attributes(payload, bridge_port),
                5 => turn_attributes(payload, |_| Number),
                _ => {}
            }
        }
    }
}

/// What RTA_ENCAP holds is said by RTA_ENCAP_TYPE beside it.
fn turn_route(bytes: &mut [u8], how: fn(u16) -> Turn) {
    let all = places(bytes);
    let place = |wanted| all.iter().find(|(number, _)| *number == wanted).map(|(_, p)| p.clone());
    let kind = place(21).map(|place| bytes[place.start + 4]);
    if let Some(place) = place(22) {
        turn_attributes(&mut bytes[place.start + 4..place.end], encap(kind));
    }
    turn_attributes(bytes, how);
}

fn turn_hops(mut bytes: &mut [u8]) {
    while bytes.len() >= 8 {
        let length = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        let (hop, rest) = bytes.split_at_mut(length.next_multiple_of(4));
        let (header, attributes) = hop.split_at_mut(8);
        turn_fields(header, &[2, 1, 1, 4]);
        turn_route(attributes, route);
        bytes = rest;
    }
}

fn link(number: u16) -> Turn {
    match number {
        // ADDRESS, BROADCAST, IFNAME, QDISC, IFALIAS, PERM_ADDRESS
        1 | 2 | 3 | 6 | 20 | 54 => Not,
        // struct rtnl_link_stats, rtnl_link_ifmap, rtnl_link_stats64
        7 => Numbers(4),
        14 => Fields(&[8, 8, 8, 2, 1, 1]),
        23 => Numbers(8),
        26 => Nest(family),
        // XDP
        43 => Nest(|_| Number),
        // PROP_LIST: ALT_IFNAME
        52 => Nest(|_| Not),
        _ => Number,
    }
}

fn bridge_link(number: u16) -> Turn {
    if number == 12 { Nest(bridge_port) } else { link(number) }
}

/// IFLA_AF_SPEC
fn family(number: u16) -> Turn {
    match number {
        // IFLA_INET_CONF
        2 => Nest(|_| Numbers(4)),
        10 => Nest(|number| match number {
            // CONF, CACHEINFO
            2 | 5 => Numbers(4),
            // STATS, ICMP6STATS
            3 | 6 => Numbers(8),
            // TOKEN
            7 => Not,
            _ => Number,
        }),
        _ => Not,
    }
}

fn options(kind: &[u8]) -> fn(u16) -> Turn {
    match kind {
        b"bond" => |number| match number {
            // ARP_IP_TARGET, NS_IP6_TARGET
            8 | 31 => Nest(|_| Not),
            // AD_INFO with PARTNER_MAC
            23 => Nest(|_| Number),
            _ => Number,
        },
        b"bridge" => |number| match number {
            // VLAN_PROTOCOL, ROOT_ID, BRIDGE_ID
            8 | 10 | 11 => Not,
            // struct br_boolopt_multi
            46 => Numbers(4),
            // MCAST_QUERIER_STATE
            47 => Nest(|number| if matches!(number, 1 | 5) { Not } else { Number }),
            _ => Number,
        },
        b"macvlan" | b"macvtap" => |number| if number == 5 { Nest(|_| Not) } else { Number },
        b"vlan" => |number| match number {
            // struct ifla_vlan_flags
            2 => Numbers(4),
            // struct ifla_vlan_qos_mapping
            3 | 4 => Nest(|_| Numbers(4)),
            5 => Not,
            _ => Number,
        },
        // SCI
        b"macsec" => |number| if number == 1 { Not } else { Number },
        // GROUP, LOCAL, PORT_RANGE, PORT, LABEL, struct vxlanhdr
        b"vxlan" => |number| match number {
            2 | 4 | 10 | 15 | 26 | 33 => Not,
            _ => Number,
        },
        // REMOTE, PORT, LABEL
        b"geneve" => |number| if matches!(number, 2 | 5 | 11) { Not } else { Number },
        // IFLAGS, OFLAGS, IKEY, OKEY, LOCAL, REMOTE, FLOWINFO, ENCAP_SPORT, ENCAP_DPORT
        b"gre" | b"gretap" | b"erspan" | b"ip6gre" | b"ip6gretap" | b"ip6erspan" => {
            |number| if matches!(number, 2..=7 | 12 | 16 | 17) { Not } else { Number }
        }
        // LOCAL, REMOTE, FLOWINFO, 6RD_PREFIX, 6RD_RELAY_PREFIX, ENCAP_SPORT, ENCAP_DPORT
        b"ipip" | b"sit" | b"ip6tnl" => {
            |number| if matches!(number, 2 | 3 | 7 | 11 | 12 | 17 | 18) { Not } else { Number }
        }
        // IKEY, OKEY, LOCAL, REMOTE
        b"vti" | b"vti6" => |number| if matches!(number, 2..=5) { Not } else { Number },
        _ => |_| Number,
    }
}

fn bridge_port(number: u16) -> Turn {
    // ROOT_ID, BRIDGE_ID
    if matches!(number, 13 | 14) { Not } else { Number }
}

fn address(number: u16) -> Turn {
    match number {
        // ADDRESS, LOCAL, LABEL, BROADCAST
        1..=4 => Not,
        6 => Numbers(4),
        _ => Number,
    }
}

fn route(number: u16) -> Turn {
    match number {
        // DST, SRC, GATEWAY, PREFSRC; ENCAP, which is turned already
        1 | 2 | 5 | 7 | 22 => Not,
        // METRICS with CC_ALGO
        8 => Nest(|number| if number == 16 { Not } else { Number }),
        9 => Hops,
        // CACHEINFO
        12 => Numbers(4),
        // VIA
        18 => Fields(&[2]),
        _ => Number,
    }
}

fn encap(kind: Option<u8>) -> fn(u16) -> Turn {
    match kind {
        // MPLS
        Some(1) => |_| Not,
        // IP, IP6: ID, DST, SRC, FLAGS
        Some(2 | 4) => |_| Not,
        // SEG6: the mode, and a header as it is sent
        Some(5) => |_| Fields(&[4]),
        // XFRM
        Some(10) => |_| Number,
        other => panic!("an encapsulation of type {other:?}"),
    }
}

fn neighbour(number: u16) -> Turn {
    match number {
        // DST, LLADDR
        1 | 2 => Not,
        // CACHEINFO
        3 => Numbers(4),
        // PORT
        6 => Not,
        _ => Number,
    }
}

fn rule(number: u16) -> Turn {
    match number {
        // DST, SRC, IIFNAME, TUN_ID, OIFNAME
        1 | 2 | 3 | 12 | 17 => Not,
        // UID_RANGE
        20 => Numbers(4),
        // SPORT_RANGE, DPORT_RANGE
        23 | 24 => Numbers(2),
        _ => Number,
    }
}

/// `BRIDGE_VLANDB_*`: an entry, of a struct bridge_vlan_info, the end of its range, its tunnel and counters.
fn bridge_vlans(_: u16) -> Turn {
    fn numbers(_: u16) -> Turn {
        Number
    }
    fn entry(kind: u16) -> Turn {
        match kind {
            1 => Fields(&[2, 2]),
            // TUNNEL_INFO, STATS
            4 | 5 => Nest(numbers),
            _ => Number,
        }
    }
    Nest(entry)
}

fn nexthop(number: u16) -> Turn {
    match number {
        // GROUP: struct nexthop_grp
        2 => Structs(&[4, 1, 1, 2]),
        // GATEWAY
        6 => Not,
        // RES_GROUP
        12 => Nest(|_| Number),
        _ => Number,
    }
}
