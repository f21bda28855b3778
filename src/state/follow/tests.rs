use std::net::Ipv6Addr;
use std::slice;

use super::*;
use crate::object::address::{ADDRESS, row as address_row};
use crate::object::link::{LINK, row as link_row};
use crate::object::neighbour::{NEIGHBOUR_CACHE_INFO, row as neighbour_row};
use crate::object::route::{ROUTE, hop_row, row};
use crate::object::rule::row as rule_row;
use crate::object::{AddressFlags, NEIGHBOUR, RULE, Record, Value};
use crate::state::view::AF_MPLS;
use crate::wire::put_ne_u32;

/// A message of the kernel's own, or an answer to `seq`.
fn message(kind: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Builder::new(kind, 0).fixed(payload).finish();
    Builder::stamp(&mut bytes, seq);
    bytes
}

fn ack(errno: i32, seq: u32, request: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    put_ne_u32(&mut payload, errno.wrapping_neg() as u32);
    payload.extend(&request[..16]);
    message(kind::NLMSG_ERROR, seq, &payload)
}

fn link(index: u32, up: bool, below: u32) -> Vec<u8> {
    link_with(index, up, below, |_| ())
}

fn link_with(index: u32, up: bool, below: u32, more: impl Fn(&mut Record)) -> Vec<u8> {
    let mut record = Record::new(&LINK);
    record.set(link_row::INDEX, Value::Number(index.into()));
    record.set(link_row::FLAGS, Value::Number(up.into()));
    record.set(link_row::NAME, format!("if{index}").as_str().into());
    record.set(link_row::LINK, Value::Number(below.into()));
    more(&mut record);
    let mut builder = Builder::new(kind::RTM_NEWLINK, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

fn address(index: u32) -> Vec<u8> {
    let mut record = Record::new(&ADDRESS);
    record.set(address_row::FAMILY, Value::Number(10));
    record.set(address_row::INDEX, Value::Number(index.into()));
    record.set(address_row::ADDRESS, Value::V6(Ipv6Addr::LOCALHOST));
    let mut builder = Builder::new(kind::RTM_NEWADDR, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

fn neighbour(family: u64, index: u32, more: impl Fn(&mut Record)) -> Vec<u8> {
    let mut record = Record::new(&NEIGHBOUR);
    record.set(neighbour_row::FAMILY, Value::Number(family));
    record.set(neighbour_row::INDEX, Value::Number(index.into()));
    let times = Record::new(&NEIGHBOUR_CACHE_INFO);
    record.set(neighbour_row::CACHEINFO, Value::Nested(Box::new(times)));
    more(&mut record);
    let mut builder = Builder::new(kind::RTM_NEWNEIGH, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

/// A follower that has dumped nothing and is live.
fn live() -> Follower {
    live_with(Views { addresses: true, routes: true, ..Views::NONE })
}

fn live_with(views: Views) -> Follower {
    let mut follower = Follower::new(views);
    follower.handle_drained(0);
    while let Some(transmit) = follower.poll_transmit() {
        let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
        match transmit.outlet {
            Outlet::Event => follower.handle_event(&ack(0, sent.seq, &transmit.bytes)),
            _ => follower.handle_dump(&message(kind::NLMSG_DONE, sent.seq, &[0; 4])),
        }
    }
    assert!(follower.is_live());
    follower
}

/// The next question on the event socket: its message.
fn question(follower: &mut Follower) -> Option<Vec<u8>> {
    follower.poll_transmit().map(|transmit| transmit.bytes)
}

fn answer(follower: &mut Follower, errno: i32) {
    let question = question(follower).expect("a question");
    let seq = Messages::new(&question).next().unwrap().unwrap().seq;
    follower.handle_event(&ack(errno, seq, &question));
}

/// Kept IPv6 addresses are asked for when a link goes down. It was gone when the question came, and everything
/// was read anew for it.
#[test]
fn a_link_that_is_gone_when_it_is_asked_for_is_no_reason_to_read_everything() {
    let mut follower = live();
    follower.handle_event(&link(7, true, 0));
    answer(&mut follower, 0);
    follower.handle_event(&address(7));
    follower.handle_event(&link(7, false, 0));
    answer(&mut follower, libc::ENODEV);
    assert!(follower.is_live());
    assert_eq!(question(&mut follower), None);
    assert_eq!(follower.losses().resyncs, 1);
}

/// An interface of which the kernel has said something while it was made, and which it then could not make: no word of its
/// end comes. It stood in the snapshot for ever.
#[test]
fn a_link_that_was_never_made_is_not_there() {
    let mut follower = live();
    follower.handle_event(&link(7, false, 0));
    answer(&mut follower, libc::ENODEV);
    assert!(follower.last().link_by_index(7).is_none());
    assert_eq!(question(&mut follower), None);
    // What is announced after the question is newer than the answer may be.
    follower.handle_event(&link(8, false, 0));
    let asked = question(&mut follower).expect("a question");
    follower.handle_event(&link(8, true, 0));
    let seq = Messages::new(&asked).next().unwrap().unwrap().seq;
    follower.handle_event(&ack(libc::ENODEV, seq, &asked));
    assert!(follower.last().link_by_index(8).is_some());
    answer(&mut follower, 0);
    assert!(follower.last().link_by_index(8).is_some());
}

fn route(oif: u32) -> Vec<u8> {
    let mut record = Record::new(&ROUTE);
    let numbers = [(row::FAMILY, 2), (row::DST_LEN, 8), (row::TABLE, 254), (row::TYPE, 1)];
    numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
    record.set(row::OIF, Value::Number(oif.into()));
    record.set(row::DST, Value::V4([10, 0, 0, 0].into()));
    let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

fn address4(kind: u16, index: u32, last: u8) -> Vec<u8> {
    let mut record = Record::new(&ADDRESS);
    record.set(address_row::FAMILY, Value::Number(2));
    record.set(address_row::INDEX, Value::Number(index.into()));
    record.set(address_row::PREFIX_LENGTH, Value::Number(32));
    record.set(address_row::LOCAL, Value::V4([10, 0, 0, last].into()));
    let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

/// The state after everything was read anew: `events` came while it was, and the dumps say what was so after them.
fn read_anew(events: &[Vec<u8>], dumps: &[Vec<u8>]) -> Snapshot {
    let views = Views { addresses: true, routes: true, neighbours: true, ..Views::NONE };
    let mut follower = live_with(views);
    follower.resync();
    follower.handle_drained(0);
    events.iter().for_each(|event| follower.handle_event(event));
    while let Some(transmit) = follower.poll_transmit() {
        let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
        if transmit.outlet == Outlet::Event {
            follower.handle_event(&ack(0, sent.seq, &transmit.bytes));
            continue;
        }
        for dump in dumps.iter().filter(|dump| dump[4] == (sent.kind - 2) as u8) {
            let mut dump = dump.clone();
            Builder::stamp(&mut dump, sent.seq);
            follower.handle_dump(&dump);
        }
        follower.handle_dump(&message(kind::NLMSG_DONE, sent.seq, &[0; 4]));
    }
    if follower.is_draining() {
        return read_anew(&[], dumps);
    }
    assert!(follower.is_live());
    follower.poll_update().unwrap().snapshot
}

/// While everything was read anew a route was made, and its interface went down, or lost its last address: the
/// kernel took the route away without a word (K4, K5). The dump knew all of that, so the replay saw no change of
/// the interface, and the announcement of the route stood.
#[test]
fn routes_that_went_in_silence_while_everything_was_read_anew() {
    let (up, down) = (link(7, true, 0), link(7, false, 0));
    let now = read_anew(&[route(7), down.clone()], &[down]);
    assert_eq!(now.routes().all().len(), 0);
    let now = read_anew(&[route(7), address4(kind::RTM_DELADDR, 7, 1)], std::slice::from_ref(&up));
    assert_eq!(now.routes().all().len(), 0);
    // Another address came after that, which only another look can tell from one that was there.
    let (last, next) = (address4(kind::RTM_DELADDR, 7, 1), address4(kind::RTM_NEWADDR, 7, 2));
    let now = read_anew(&[route(7), last, next.clone()], &[up.clone(), next]);
    assert_eq!(now.routes().all().len(), 0);
    // What was made after that stays.
    let last = address4(kind::RTM_DELADDR, 7, 1);
    let now = read_anew(&[link(7, false, 0), up.clone(), last, route(7)], &[up, route(7)]);
    assert_eq!(now.routes().all().len(), 1);
}

fn route6(kind: u16, oif: u32) -> Vec<u8> {
    let mut record = Record::new(&ROUTE);
    let numbers = [(row::FAMILY, 10), (row::DST_LEN, 128), (row::TABLE, 255), (row::TYPE, 2)];
    numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
    record.set(row::OIF, Value::Number(oif.into()));
    record.set(row::DST, Value::V6(Ipv6Addr::from_bits(0xfd << 120 | 1)));
    let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

/// Deleted before the kernel had made its local route, an address was taken for one that goes with its interface: other
/// interfaces' routes kept it as their source in the snapshot.
#[test]
fn why_an_address_goes_that_is_still_checked_is_left_to_the_kernel() {
    let own = Ipv6Addr::from_bits(0xfd << 120 | 5);
    let address = |kind: u16, flags: u64| {
        let mut record = Record::new(&ADDRESS);
        record.set(address_row::FAMILY, Value::Number(10));
        record.set(address_row::INDEX, Value::Number(7));
        record.set(address_row::FLAGS, Value::Number(flags));
        record.set(address_row::ADDRESS, Value::V6(own));
        let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
        record.encode(&mut builder);
        builder.finish()
    };
    let mut record = Record::new(&ROUTE);
    let numbers = [(row::FAMILY, 10), (row::TABLE, 254), (row::TYPE, 1), (row::OIF, 8)];
    numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
    record.set(row::PREFSRC, Value::V6(own));
    let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    let route = builder.finish();
    for (flags, is_live) in [(AddressFlags::TENTATIVE.0, false), (AddressFlags::PERMANENT.0, true)]
    {
        let mut follower = live();
        let new = address(kind::RTM_NEWADDR, flags.into());
        let gone = address(kind::RTM_DELADDR, flags.into());
        for event in [link(7, true, 0), link(8, true, 0), new, route.clone(), gone] {
            assert!(follower.is_live());
            follower.handle_event(&event);
        }
        assert_eq!(follower.is_live(), is_live, "{flags:#x}");
    }
}

/// An interface that is down can be given IPv6 addresses, and has their routes. It was changed while everything was
/// read anew, which says again that it is down, and its routes were taken for gone.
#[test]
fn routes_of_an_interface_that_is_down_stay_when_it_is_announced_again() {
    let (up, down) = (link(7, true, 0), link(7, false, 0));
    let (comes, goes) = (route6(kind::RTM_NEWROUTE, 7), route6(kind::RTM_DELROUTE, 7));
    let count =
        |events: &[Vec<u8>], dumps: &[Vec<u8>]| read_anew(events, dumps).routes().all().len();
    assert_eq!(count(slice::from_ref(&down), &[down.clone(), comes.clone()]), 1);
    // Up since: whether it had been up before, only another look can tell.
    let since = [down.clone(), up.clone()];
    assert_eq!(count(&since, &[up.clone(), comes.clone()]), 1);
    // Announced, and gone in silence before the dump.
    assert_eq!(count(&[comes.clone(), down.clone()], slice::from_ref(&down)), 0);
    // Gone since, in silence or not.
    let since = [up.clone(), down.clone()];
    assert_eq!(count(&since, &[up.clone(), comes.clone()]), 0);
    assert_eq!(count(&[down, goes], &[up, comes]), 0);
}

fn rule(kind: u16, seq: u32) -> Vec<u8> {
    let mut record = Record::new(&RULE);
    let numbers = [(rule_row::FAMILY, 2), (rule_row::PRIORITY, 100), (rule_row::ACTION, 1)];
    numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
    let mut builder = Builder::new(kind, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    let mut bytes = builder.finish();
    Builder::stamp(&mut bytes, seq);
    bytes
}

/// A kernel before 5.3 knows no nexthop objects, one without IPv6 no rules of it; neither is a reason not to follow
/// the rest.
#[test]
fn what_the_kernel_does_not_have_is_nothing_to_follow() {
    let mut follower = Follower::new(Views::ALL);
    follower.handle_drained(0);
    let mut refused = 0;
    while let Some(transmit) = follower.poll_transmit() {
        let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
        let errno = match (sent.kind, sent.payload.first()) {
            (kind::RTM_GETNEXTHOP, _) => libc::EOPNOTSUPP,
            (kind::RTM_GETRULE, Some(&AF_INET6)) => libc::EAFNOSUPPORT,
            _ => 0,
        };
        refused += u32::from(errno != 0);
        let answer = ack(errno, sent.seq, &transmit.bytes);
        match transmit.outlet {
            Outlet::Event => follower.handle_event(&answer),
            _ => follower.handle_dump(&answer),
        }
    }
    assert_eq!(refused, 2);
    assert!(follower.is_live() && follower.failure().is_none());
}

/// A kernel without MPLS answers the question for its routes with those of all families, a million of IPv4 again:
/// they are not waited for.
#[test]
fn an_answer_with_routes_of_other_families_says_that_there_is_no_mpls() {
    let mut follower = Follower::new(Views::ALL);
    follower.handle_drained(0);
    let (mut asked, mut strayed) = (Vec::new(), false);
    while let Some(transmit) = follower.poll_transmit() {
        let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
        if transmit.outlet == Outlet::Event {
            follower.handle_event(&ack(0, sent.seq, &transmit.bytes));
            continue;
        }
        asked.push((sent.kind, sent.payload[0], transmit.outlet));
        let mut answer = message(kind::NLMSG_DONE, sent.seq, &[0; 4]);
        let family = sent.payload[0];
        if sent.kind == kind::RTM_GETROUTE && family != AF_INET6 {
            let mut one = route(7);
            Builder::stamp(&mut one, sent.seq);
            strayed |= family == AF_MPLS;
            // Of what is not asked for no end comes.
            answer = if family == AF_MPLS { one } else { [one, answer].concat() };
        }
        follower.handle_dump(&answer);
    }
    assert!(strayed && follower.is_live());
    let behind = asked.iter().position(|(_, family, _)| *family == AF_MPLS).unwrap() + 1;
    // Its socket is busy.
    assert_eq!(asked[behind], (kind::RTM_GETRULE, AF_INET, Outlet::FreshDump));
    let now = follower.poll_update().unwrap().snapshot;
    assert_eq!((now.routes().len(), now.routes().mpls().len()), (1, 0));
}

fn label(legs: &[u32]) -> Vec<u8> {
    let mut record = Record::new(&ROUTE);
    let numbers = [(row::FAMILY, 28), (row::DST_LEN, 20), (row::TABLE, 254), (row::TYPE, 1)];
    numbers.into_iter().for_each(|(id, number)| record.set(id, Value::Number(number)));
    record.set(row::DST, Value::V4((100 << 12 | 1 << 8).into()));
    let leg = |oif: &u32| {
        let mut leg = Record::new(&crate::object::HOP);
        let numbers = [(hop_row::OIF, *oif), (hop_row::HOPS, 0), (hop_row::FLAGS, 0)];
        numbers.into_iter().for_each(|(id, number)| leg.set(id, Value::Number(number.into())));
        leg
    };
    record.set(row::MULTIPATH, Value::Records(legs.iter().map(leg).collect()));
    let mut builder = Builder::new(kind::RTM_NEWROUTE, 0).fixed(&record.encode_header());
    record.encode(&mut builder);
    builder.finish()
}

/// Before Linux 5.13 nobody says that a label has lost a leg; a later kernel says it before it says that the
/// interface is gone, and both must come to the same.
#[test]
fn a_label_loses_its_legs_with_their_interfaces() {
    let legs = |follower: &mut Follower| -> Option<Vec<u32>> {
        let now = follower.last();
        Some(now.routes().mpls().label(100)?.hops().filter_map(|hop| hop.oif()).collect())
    };
    for announced in [false, true] {
        let mut follower = live();
        for index in [7, 8] {
            follower.handle_event(&link(index, true, 0));
            answer(&mut follower, 0);
        }
        follower.handle_event(&label(&[7, 8]));
        follower.handle_event(&link(7, false, 0));
        assert_eq!(legs(&mut follower), Some(vec![7, 8]));
        if announced {
            follower.handle_event(&label(&[8]));
        }
        let mut gone = link(7, false, 0);
        gone[4] = kind::RTM_DELLINK as u8;
        follower.handle_event(&gone);
        assert_eq!(legs(&mut follower), Some(vec![8]));
        let known = follower.last();
        follower.handle_event(&label(&[8]));
        assert!(known.diff(&follower.last()).is_empty());
        let mut gone = link(8, true, 0);
        gone[4] = kind::RTM_DELLINK as u8;
        follower.handle_event(&gone);
        assert_eq!(legs(&mut follower), None);
    }
}

/// Of rules that are alike, an announcement that came during the dump may be of one that the dump had, or of
/// another one (K37): only the kernel knows.
#[test]
fn rules_announced_while_they_were_read_are_counted_by_the_kernel() {
    for count in 1..=2 {
        let mut follower = Follower::new(Views { rules: true, ..Views::NONE });
        follower.handle_drained(0);
        follower.handle_event(&rule(kind::RTM_NEWRULE, 0));
        let mut asked = 0;
        while let Some(transmit) = follower.poll_transmit() {
            let sent = Messages::new(&transmit.bytes).next().unwrap().unwrap();
            let is_mine = sent.kind == kind::RTM_GETRULE && sent.payload[0] == AF_INET;
            let answers = match (transmit.outlet, is_mine) {
                (Outlet::Event, true) => count,
                (_, mine) => usize::from(mine),
            };
            let rules: Vec<u8> =
                (0..answers).flat_map(|_| rule(kind::RTM_NEWRULE, sent.seq)).collect();
            let end = ack(0, sent.seq, &transmit.bytes);
            match transmit.outlet {
                Outlet::Event => {
                    asked += usize::from(is_mine);
                    follower.handle_event(&rules);
                    // Meanwhile one is deleted and made again: the answer may be older, and is asked for anew.
                    if asked == 1 && is_mine {
                        follower.handle_event(&rule(kind::RTM_DELRULE, 0));
                        follower.handle_event(&rule(kind::RTM_NEWRULE, 0));
                    }
                    follower.handle_event(&end);
                }
                _ => {
                    follower.handle_dump(&rules);
                    follower.handle_dump(&end);
                }
            }
        }
        assert_eq!(asked, 2);
        assert_eq!(follower.poll_update().unwrap().snapshot.rules().len(), count);
    }
}

/// The end of a veth that stays is told neither that the other one has left nor that it is back (K32): it said
/// for ever that its other end was elsewhere.
#[test]
fn an_end_of_a_veth_that_comes_back_makes_the_other_one_be_asked_for() {
    let mut follower = live();
    let elsewhere = |record: &mut Record| record.set(link_row::LINK_NETNSID, Value::Signed(0));
    follower.handle_event(&link_with(7, true, 8, elsewhere));
    answer(&mut follower, 0);
    assert_eq!(question(&mut follower), None);
    follower.handle_event(&link(8, true, 7));
    answer(&mut follower, 0);
    let bytes = question(&mut follower).expect("a question");
    let asked = Messages::new(&bytes).next().unwrap().unwrap();
    let asked = Record::decode(&LINK, asked.payload).unwrap();
    assert_eq!(asked.number(link_row::INDEX), 7);
}

/// The bridge had the address of a port that left it: the entry for that was the bridge's from then on, without a word,
/// and deleted as such. It stood at the port for ever.
#[test]
fn a_port_that_leaves_has_no_entry_of_the_bridge_any_more() {
    let mut follower = live_with(Views { neighbours: true, ..Views::NONE });
    let own = Value::Hardware([2, 0, 0, 0, 0, 1].into());
    let port = |master: Option<u64>| {
        link_with(7, false, 0, |record| {
            record.set(link_row::ADDRESS, own.clone());
            master.into_iter().for_each(|master| {
                record.set(link_row::MASTER, Value::Number(master));
            });
        })
    };
    let entry = neighbour(u64::from(AF_BRIDGE), 7, |entry| {
        entry.set(neighbour_row::STATE, Value::Number(0x80));
        entry.set(neighbour_row::MASTER, Value::Number(8));
        entry.set(neighbour_row::LLADDR, own.clone());
    });
    let bridge = link_with(8, false, 0, |record| record.set(link_row::KIND, "bridge".into()));
    for event in [bridge, port(Some(8)), entry] {
        follower.handle_event(&event);
    }
    assert_eq!(follower.last().neighbours().fdb().len(), 1);
    follower.handle_event(&port(None));
    assert_eq!(follower.last().neighbours().fdb().len(), 0);
}

/// The dump knew that the interface was down, and was made before its proxies had gone: they stood for ever.
#[test]
fn proxies_that_a_dump_was_too_early_for_are_asked_for() {
    let down = link(7, false, 0);
    let proxy = neighbour(2, 7, |record| {
        record.set(neighbour_row::FLAGS, Value::Number(8));
        record.set(neighbour_row::DST, Value::V4([10, 0, 0, 7].into()));
    });
    let dumps = [down.clone(), proxy];
    assert_eq!(read_anew(&[], &dumps).neighbours().proxies().len(), 1);
    assert_eq!(read_anew(&[down], &dumps).neighbours().proxies().len(), 0);
}

/// They stood for ever: a rollback that took addresses away to put them in order did not see that proxies had gone with the last
/// one.
#[test]
fn proxies_go_with_the_last_address_of_ipv4_and_with_ipv6() {
    let mut follower = live_with(Views { addresses: true, neighbours: true, ..Views::NONE });
    let mtu =
        |mtu: u64| link_with(7, true, 0, |record| record.set(link_row::MTU, Value::Number(mtu)));
    let proxy = |family: u64, to: Value| {
        neighbour(family, 7, |record| {
            record.set(neighbour_row::FLAGS, Value::Number(8));
            record.set(neighbour_row::DST, to.clone());
        })
    };
    let four = proxy(2, Value::V4([10, 0, 0, 7].into()));
    let six = proxy(10, Value::V6(Ipv6Addr::LOCALHOST));
    let new = |last| address4(kind::RTM_NEWADDR, 7, last);
    let gone = |last| address4(kind::RTM_DELADDR, 7, last);
    for event in [mtu(1500), new(1), new(2), four, six, gone(1)] {
        follower.handle_event(&event);
    }
    let mut proxies = |event: &[u8]| {
        follower.handle_event(event);
        follower.last().neighbours().proxies().len()
    };
    assert_eq!([proxies(&mtu(1300)), proxies(&gone(2)), proxies(&mtu(1200))], [2, 1, 0]);
}
