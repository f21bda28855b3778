//! The simulated kernel by itself: sockets and their losses, dumps, faults, other programs.
//! That it says what the real one says is in `sim_conformance.rs`.
#![allow(clippy::host_endian_bytes)] // Netlink is in host order.

#[path = "support/sim/mod.rs"]
mod sim;

use sim::op;
use sim::wire::uapi::*;
use sim::wire::{self, IfAddr, IfInfo};
use sim::{Kernel, Op, Receive, SocketId};

const GROUPS: &[u32] = &[RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];

fn create(name: &str, kind: &'static str) -> Op {
    Op::Create { name: name.to_owned(), kind }
}

fn mtu(name: &str, mtu: u32) -> Op {
    Op::SetMtu { name: name.to_owned(), mtu }
}

/// A kernel with a bridge `br0` and a veth pair `v0`, `v0p`.
fn furnished() -> Kernel {
    let mut kernel = Kernel::new(7);
    kernel.perform(&create("br0", "bridge")).unwrap();
    kernel.perform(&create("v0", "veth")).unwrap();
    kernel.settle();
    kernel
}

fn ask(kernel: &mut Kernel, socket: SocketId, op: &Op) {
    let request = op.request(kernel).expect("the link is there");
    kernel.send(socket, &request);
}

/// Types of all messages read until the queue is empty, `Overrun` as 0.
fn drain(kernel: &mut Kernel, socket: SocketId) -> Vec<u16> {
    let mut kinds = Vec::new();
    loop {
        match kernel.receive(socket) {
            Receive::Empty => return kinds,
            Receive::Overrun => kinds.push(0),
            Receive::Datagram(bytes) => {
                kinds.extend(wire::messages(&bytes).iter().map(|message| message.kind))
            }
            Receive::Truncated(_) => kinds.push(1),
        }
    }
}

/// The errno of each answer read.
fn errnos(kernel: &mut Kernel, socket: SocketId) -> Vec<i32> {
    let mut found = Vec::new();
    while let Receive::Datagram(bytes) = kernel.receive(socket) {
        let errors =
            wire::messages(&bytes).into_iter().filter(|message| message.kind == NLMSG_ERROR);
        found.extend(errors.map(|message| -(wire::u32_at(message.payload, 0) as i32)));
    }
    found
}

fn dump(kind: u16) -> Vec<u8> {
    let body =
        if kind == RTM_GETLINK { IfInfo::default().emit() } else { IfAddr::default().emit() };
    wire::message(kind, NLM_F_REQUEST | NLM_F_DUMP, 5, 0, &body)
}

#[test]
fn notifications_come_before_the_ack() {
    let mut kernel = furnished();
    let socket = kernel.socket(GROUPS, 1 << 20);
    ask(&mut kernel, socket, &mtu("v0", 1400));
    assert_eq!(drain(&mut kernel, socket), [RTM_NEWLINK, NLMSG_ERROR]);
    ask(&mut kernel, socket, &mtu("v0", 1400));
    assert_eq!(drain(&mut kernel, socket), [NLMSG_ERROR], "nothing changes, nothing is said (K51)");
}

#[test]
fn an_overrun_socket_is_told_once_and_deaf_until_empty() {
    let mut kernel = furnished();
    let socket = kernel.socket(GROUPS, 5_000);
    for size in 0..5 {
        kernel.perform(&mtu("v0", 1300 + size)).unwrap();
    }
    assert_eq!(kernel.receive(socket), Receive::Overrun);
    // Two were queued before the overrun. While one is left, what happens is lost without a word (K1).
    assert!(matches!(kernel.receive(socket), Receive::Datagram(_)));
    kernel.perform(&mtu("v0", 1400)).unwrap();
    assert_eq!(drain(&mut kernel, socket), [RTM_NEWLINK]);
    kernel.perform(&mtu("v0", 1401)).unwrap();
    assert_eq!(drain(&mut kernel, socket), [RTM_NEWLINK], "it hears again");
}

#[test]
fn a_fence_queues_behind_notifications() {
    let mut kernel = furnished();
    let events = kernel.socket(GROUPS, 1 << 20);
    kernel.perform(&mtu("v0", 1400)).unwrap();
    kernel.send(events, &wire::message(NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, 9, 0, &[]));
    assert_eq!(drain(&mut kernel, events), [RTM_NEWLINK, NLMSG_ERROR]);
}

#[test]
fn a_dump_is_made_while_it_is_read() {
    let mut kernel = furnished();
    kernel.faults().dump_chunk = 100;
    let socket = kernel.socket(&[], 1 << 20);
    kernel.send(socket, &dump(RTM_GETLINK));
    kernel.send(socket, &dump(RTM_GETLINK));
    let mut flags = Vec::new();
    let mut deleted = false;
    loop {
        let Receive::Datagram(bytes) = kernel.receive(socket) else {
            panic!("the dump ends with DONE")
        };
        for message in wire::messages(&bytes) {
            if message.kind == NLMSG_ERROR {
                assert_eq!(-(wire::u32_at(message.payload, 0) as i32), libc::EBUSY, "K13");
            } else {
                flags.push((message.kind, message.flags));
            }
        }
        if !std::mem::replace(&mut deleted, true) {
            kernel.perform(&Op::Delete { name: "v0".to_owned() }).unwrap();
        }
        if flags.last().is_some_and(|(kind, _)| *kind == NLMSG_DONE) {
            break;
        }
    }
    assert!(flags.last().is_some_and(|(_, flags)| flags & NLM_F_DUMP_INTR != 0), "K14: {flags:x?}");
    assert!(flags.len() < 5, "the deleted pair is not all there: {flags:x?}");
}

#[test]
fn dumps_can_be_filtered() {
    let mut kernel = furnished();
    kernel
        .perform(&Op::AddAddress { name: "v0".to_owned(), local: vec![10, 0, 0, 1], prefix: 24 })
        .unwrap();
    kernel
        .perform(&Op::AddAddress { name: "br0".to_owned(), local: vec![10, 0, 1, 1], prefix: 24 })
        .unwrap();
    let socket = kernel.socket(&[], 1 << 20);
    let index = kernel.link_named("br0").unwrap().index;
    let body = IfAddr { index, ..IfAddr::default() }.emit();
    kernel.send(socket, &wire::message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, &body));
    assert_eq!(drain(&mut kernel, socket), [RTM_NEWADDR, NLMSG_DONE]);
    let body = [IfInfo::default().emit(), {
        let mut to = wire::Writer::default();
        to.u32(IFLA_MASTER, 99);
        to.0
    }]
    .concat();
    kernel.send(socket, &wire::message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, &body));
    assert_eq!(drain(&mut kernel, socket), [NLMSG_DONE]);
}

#[test]
fn the_nth_request_is_refused_and_does_nothing() {
    for nth in 1..=3 {
        let mut kernel = furnished();
        let socket = kernel.socket(&[], 1 << 20);
        kernel.faults().refuse(nth, libc::ENOMEM);
        let batch: Vec<u8> = ["v0", "v0p", "br0"]
            .iter()
            .flat_map(|name| mtu(name, 1300).request(&kernel).unwrap())
            .collect();
        kernel.send(socket, &batch);
        let mut expected = vec![0; 3];
        expected[nth - 1] = libc::ENOMEM;
        assert_eq!(errnos(&mut kernel, socket), expected, "the others are done (K40)");
        let unchanged = kernel.links().iter().filter(|link| link.mtu == 1500).count();
        assert_eq!(unchanged, 1);
    }
}

#[test]
fn a_lost_ack_is_not_a_lost_change() {
    let mut kernel = furnished();
    let socket = kernel.socket(&[], 1 << 20);
    kernel.faults().lose_ack(1);
    ask(&mut kernel, socket, &mtu("v0", 1300));
    assert_eq!(drain(&mut kernel, socket), [0], "K12");
    assert_eq!(kernel.link_named("v0").unwrap().mtu, 1300);
}

#[test]
fn a_request_cut_short_leaves_its_first_fields() {
    let mut kernel = furnished();
    let socket = kernel.socket(&[], 1 << 20);
    kernel.faults().cut_short(1, 1, libc::EIO);
    let index = kernel.link_named("v0").unwrap().index;
    let request = op::link(RTM_NEWLINK, 0, IfInfo { index, ..IfInfo::default() }, |to| {
        to.u32(IFLA_MTU, 1300).u32(IFLA_GROUP, 5);
    });
    kernel.send(socket, &request);
    assert_eq!(errnos(&mut kernel, socket), [libc::EIO]);
    let link = kernel.link_named("v0").unwrap();
    assert_eq!((link.mtu, link.group), (1300, 0), "K31");
}

#[test]
fn losses_of_one_socket_leave_the_others_alone() {
    let mut kernel = furnished();
    let (one, other) = (kernel.socket(GROUPS, 1 << 20), kernel.socket(GROUPS, 1 << 20));
    kernel.faults().reset();
    kernel.faults().lose_notification_on(one, 2);
    kernel.faults().truncate(2);
    for size in 0..3 {
        kernel.perform(&mtu("v0", 1300 + size)).unwrap();
    }
    assert_eq!(drain(&mut kernel, one), [0, RTM_NEWLINK]);
    assert_eq!(drain(&mut kernel, other), [1, RTM_NEWLINK, RTM_NEWLINK]);
}

#[test]
fn others_interfere_between_two_requests() {
    let mut kernel = furnished();
    let socket = kernel.socket(&[], 1 << 20);
    kernel.faults().reset();
    kernel.faults().before(2, |kernel| {
        kernel.perform(&Op::Rename { name: "v0".to_owned(), to: "w0".to_owned() }).unwrap();
    });
    ask(&mut kernel, socket, &mtu("v0", 1300));
    ask(&mut kernel, socket, &mtu("v0", 1301));
    assert_eq!(kernel.link_named("w0").map(|link| link.mtu), Some(1301));
}

#[test]
fn an_index_and_a_name_can_be_reused() {
    let mut kernel = furnished();
    let index = kernel.link_named("br0").unwrap().index;
    kernel.perform(&Op::Delete { name: "br0".to_owned() }).unwrap();
    let socket = kernel.socket(GROUPS, 1 << 20);
    let request = op::link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        IfInfo { index, ..IfInfo::default() },
        |to| {
            to.text(IFLA_IFNAME, "other").nest(IFLA_LINKINFO, |to| {
                to.text(IFLA_INFO_KIND, "ifb");
            });
        },
    );
    kernel.send(socket, &request);
    assert_eq!(drain(&mut kernel, socket), [RTM_NEWLINK, NLMSG_ERROR]);
    assert_eq!(kernel.link_named("other").unwrap().index, index, "K33, K50");
}

#[test]
fn a_link_that_moves_away_says_where() {
    let mut kernel = furnished();
    let socket = kernel.socket(GROUPS, 1 << 20);
    kernel.perform(&Op::MoveOut { name: "v0".to_owned() }).unwrap();
    let Receive::Datagram(bytes) = kernel.receive(socket) else { panic!("RTM_DELLINK") };
    let message = wire::messages(&bytes)[0];
    let tb = wire::Attributes::parse(&message.payload[16..], 0);
    assert_eq!(message.kind, RTM_DELLINK);
    assert!(tb.get(IFLA_NEW_IFINDEX).is_some() && tb.get(IFLA_NEW_NETNSID).is_some(), "K32");
    assert_eq!(drain(&mut kernel, socket), [], "the peer stays, in silence");
    assert!(kernel.link_named("v0p").is_some());
}

#[test]
fn duplicate_address_detection_can_fail() {
    let mut kernel = furnished();
    let local: [u8; 16] = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets();
    kernel.faults().fail_dad(local);
    kernel.perform(&Op::Up { name: "v0".to_owned() }).unwrap();
    kernel.perform(&Op::Up { name: "v0p".to_owned() }).unwrap();
    kernel.settle();
    kernel
        .perform(&Op::AddAddress { name: "v0".to_owned(), local: local.to_vec(), prefix: 64 })
        .unwrap();
    kernel.settle();
    let found = kernel
        .addresses()
        .into_iter()
        .find(|address| address.local == std::net::IpAddr::from(local))
        .unwrap();
    assert_eq!(
        found.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED),
        IFA_F_TENTATIVE | IFA_F_DADFAILED
    );
}

/// One seed, one history.
#[test]
fn the_same_seed_makes_the_same_world() {
    let world = |seed: u64| {
        let mut kernel = Kernel::new(seed);
        for _ in 0..400 {
            let op = Op::random(&mut kernel);
            let _ = kernel.perform(&op);
        }
        kernel.settle();
        kernel.text()
    };
    for seed in 0..20 {
        assert_eq!(world(seed), world(seed));
    }
    assert_ne!(world(1), world(2));
}

/// What was said adds up to what is, except the fields that are silent on a link that is down (3I).
#[test]
fn messages_add_up_to_the_truth() {
    use std::collections::BTreeMap;
    for seed in 0..30 {
        let mut kernel = Kernel::new(seed);
        let socket = kernel.socket(GROUPS, usize::MAX / 4);
        for _ in 0..200 {
            let op = Op::random(&mut kernel);
            let _ = kernel.perform(&op);
        }
        kernel.settle();
        let mut links: BTreeMap<i32, (String, u32, u32, Option<u32>)> = BTreeMap::new();
        while let Receive::Datagram(bytes) = kernel.receive(socket) {
            for message in wire::messages(&bytes)
                .into_iter()
                .filter(|m| m.kind <= RTM_DELLINK && m.payload[0] == 0)
            {
                let info = IfInfo::parse(message.payload).unwrap();
                let tb = wire::Attributes::parse(&message.payload[16..], 0);
                if message.kind == RTM_DELLINK {
                    links.remove(&info.index);
                    continue;
                }
                let name = tb.get(IFLA_IFNAME).unwrap().text();
                let mtu = tb.u32(IFLA_MTU).unwrap().unwrap();
                links.insert(info.index, (name, info.flags, mtu, tb.u32(IFLA_MASTER).unwrap()));
            }
        }
        for link in kernel.links().into_iter().filter(|link| link.index != 1) {
            let truth = (link.name, link.flags, link.mtu, link.master.map(|master| master as u32));
            assert_eq!(links.remove(&link.index), Some(truth), "seed {seed}, link {}", link.index);
        }
        links.remove(&1);
        assert_eq!(links, BTreeMap::new(), "seed {seed}: nothing else was left over");
    }
}

/// Any bytes are answered or passed over, never a panic.
#[test]
fn garbage_is_refused() {
    for seed in 0..200u64 {
        let mut kernel = Kernel::new(seed);
        let socket = kernel.socket(GROUPS, 1 << 20);
        let mut noise = sim::rng::Rng::new(seed);
        for _ in 0..100 {
            let op = Op::random(&mut kernel);
            let Some(mut request) = op.request(&kernel) else {
                continue;
            };
            for _ in 0..noise.below(4) {
                let at = 16 + noise.below(request.len() - 16);
                request[at] = noise.next() as u8;
            }
            kernel.send(socket, &request);
            kernel.send(socket, &dump(if noise.below(2) == 0 { RTM_GETLINK } else { RTM_GETADDR }));
            drain(&mut kernel, socket);
            if noise.below(8) == 0 {
                kernel.settle();
            }
        }
    }
}
