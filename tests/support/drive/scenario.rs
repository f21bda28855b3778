//! What a database is asked to do: a namespace that is furnished, a draft, and what it is to change.

use std::cell::OnceCell;

use netlinkdb::internals::object::link::row;
use netlinkdb::internals::object::{LinkFlags, LinkRef, Value};
use netlinkdb::internals::plan::{Draft, Op, Refusal, Target, Which};
use netlinkdb::{
    AddressSpec, Bridge, BridgeOptions, BridgePortOptions, Hop, Ifb, Macvlan, MacvlanMode,
    Neighbour, NeighbourSpec, NeighbourState, Nexthop, Route, RouteFilter, RouteProtocol,
    RouteSpec, Rule, Veth, Vxlan,
};

use super::{Driver, ROOMY};
use crate::sim::{Kernel, Op as Act};

/// A draft, and what comes of it when nothing fails.
pub struct Scenario {
    pub name: &'static str,
    /// net.ipv4.conf.all.promote_secondaries
    pub promote: bool,
    pub edit: fn(&mut Draft) -> Result<(), Refusal>,
    /// The differences, as the judge tells them.
    pub expect: &'static [&'static str],
}

/// The namespace in which every scenario begins:
///
/// - `br0`, up, with an address, and its port `p0`, up, with options of its own (the other end is `p0p`)
/// - `br1`, down, without ports, with an alias
/// - `v0`, up, a veth with two IPv4 networks, secondaries, IPv6 and an altname (the other end is `v0p`)
/// - `mv0`, up, a macvlan on `v0` with an address
/// - `d0`, `d1`, down, of kind ifb
/// - rules of both families, two of one priority; nexthops by `v0` and `br0`, and a group of two; permanent neighbours and
///   a proxy
/// - routes: by nexthop objects, by a gateway, by two, a list at one key, with a source, in another table, that drop packets; of both
///   families
///
/// It is made once for each thread, and copied.
pub fn furnished(seed: u64, promote: bool) -> Kernel {
    thread_local! {
        static MADE: [OnceCell<Kernel>; 2] = const { [OnceCell::new(), OnceCell::new()] };
    }
    MADE.with(|made| {
        let first = made[usize::from(promote)].get_or_init(|| {
            let mut kernel = Kernel::new(1);
            furnish(&mut kernel, promote);
            kernel
        });
        first.copy(seed)
    })
}

fn furnish(kernel: &mut Kernel, promote: bool) {
    kernel.sysctl().promote_secondaries = promote;
    let create = |name: &str, kind| Act::Create { name: name.to_owned(), kind };
    let name = |name: &str| name.to_owned();
    let add = |on: &str, local: &[u8], prefix| Act::AddAddress {
        name: on.to_owned(),
        local: local.to_vec(),
        prefix,
    };
    let six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let ops = [
        create("br0", "bridge"),
        create("br1", "bridge"),
        create("p0", "veth"),
        create("v0", "veth"),
        create("d0", "ifb"),
        create("d1", "ifb"),
        Act::SetMaster { name: name("p0"), master: Some(name("br0")) },
        Act::Up { name: name("p0p") },
        Act::Up { name: name("p0") },
        Act::Up { name: name("br0") },
        Act::Up { name: name("v0p") },
        Act::Up { name: name("v0") },
        Act::SetAlias { name: name("br1"), alias: name("spare") },
        Act::AddAltname { name: name("v0"), altname: name("uplink") },
        add("br0", &[10, 1, 0, 1], 24),
        add("v0", &[10, 0, 0, 1], 24),
        add("v0", &[10, 0, 0, 2], 24),
        add("v0", &[10, 0, 0, 3], 24),
        add("v0", &[10, 7, 0, 1], 16),
        add("v0", &six, 64),
    ];
    for op in &ops {
        kernel.perform(op).unwrap_or_else(|refusal| panic!("{op:?}: {refusal:?}"));
    }
    kernel.settle();
    // What `Op` does not know is made by a database, which is closed again.
    let mut driver = Driver::open(kernel, ROOMY);
    let mut draft = driver.draft();
    furnish_more(&mut draft).expect("a draft that is in order");
    let outcome = driver.commit(kernel, &draft).expect("no refusal");
    assert!(
        matches!(outcome, netlinkdb::internals::plan::Outcome::Committed { .. }),
        "{outcome:?}"
    );
    driver.close(kernel);
    kernel.settle();
    kernel.faults().reset();
}

fn furnish_more(draft: &mut Draft) -> Result<(), Refusal> {
    let mv0 = draft.create(Macvlan::new("mv0", "v0").mode(MacvlanMode::BRIDGE).into())?;
    draft.add_ip(mv0, spec("10.2.0.1/24"))?;
    draft.set_flags(mv0, LinkFlags::UP, true);
    let p0 = at(draft, "p0")?;
    draft.set_port(p0, BridgePortOptions::new().hairpin(true).priority(7u16).record())?;
    let routes = [
        (Op::Add, Route::to("10.20.0.0/16").via("10.0.0.254")),
        (Op::Add, both("10.21.0.0/16", "10.0.0.254", "10.1.0.254")),
        (Op::Add, Route::to("10.22.0.0/16").via("10.0.0.252")),
        (Op::Append, Route::to("10.22.0.0/16").via("10.0.0.253").protocol(RouteProtocol::BIRD)),
        (Op::Append, Route::to("10.22.0.0/16").via("10.1.0.253")),
        (Op::Add, Route::to("10.23.0.0/16").dev("v0").src("10.0.0.2").priority(50)),
        (Op::Add, Route::to("10.24.0.0/16").blackhole()),
        (Op::Add, Route::to("0.0.0.0/0").via("10.1.0.254").table(100)),
        (Op::Add, Route::to("2001:db8:20::/48").via("2001:db8::fe").mtu(1400)),
        (Op::Add, both("2001:db8:21::/48", "2001:db8::fe", "2001:db8::fd")),
        (Op::Add, Route::to("2001:db8:22::/48").dev("v0").priority(7)),
        (Op::Add, Route::to("2001:db8:24::/48").unreachable()),
    ];
    routes.into_iter().try_for_each(|(op, route)| draft.put_route(route, op))?;
    let rules = [
        Rule::new().priority(100).from("10.0.0.0/8").table(100),
        Rule::new().priority(200).to("10.5.0.0/16").table(100),
        Rule::new().priority(200).fwmark(7, 255).table(100),
        Rule::new().priority(300).iif("d0").blackhole(),
        Rule::new().priority(100).from("2001:db8::/32").table(100),
    ];
    rules.into_iter().try_for_each(|rule| draft.add_rule(rule))?;
    let nexthops = [
        Nexthop::new(1).via("10.0.0.254").dev("v0"),
        Nexthop::new(2).via("10.1.0.254").dev("br0"),
        Nexthop::new(3).via("2001:db8::fe").dev("v0"),
        Nexthop::new(10).member(1, 1).member(2, 3),
    ];
    nexthops.into_iter().try_for_each(|nexthop| draft.put_nexthop(nexthop, Op::Add))?;
    let routes = [
        Route::to("10.30.0.0/16").nexthop_id(1),
        Route::to("10.31.0.0/16").nexthop_id(10),
        Route::to("2001:db8:30::/48").nexthop_id(3),
    ];
    routes.into_iter().try_for_each(|route| draft.put_route(route, Op::Add))?;
    let neighbours = [
        permanent("10.0.0.254", "v0"),
        permanent("10.1.0.254", "br0"),
        permanent("2001:db8::fe", "v0").router(),
        Neighbour::new("10.0.0.77", "v0").proxy(),
    ];
    neighbours.into_iter().try_for_each(|neighbour| draft.put_neighbour(neighbour, Op::Add))
}

fn permanent(address: &str, dev: &str) -> NeighbourSpec {
    Neighbour::new(address, dev).lladdr("02:00:00:00:01:fe").state(NeighbourState::PERMANENT)
}

/// A route by two gateways.
fn both(to: &str, one: &str, other: &str) -> RouteSpec {
    Route::to(to).nexthop(Hop::via(one)).nexthop(Hop::via(other).weight(3))
}

pub fn at(draft: &Draft, name: &str) -> Result<Target, Refusal> {
    draft.resolve(&LinkRef::from(name))
}

pub fn spec(text: &str) -> AddressSpec {
    text.parse().expect("an address")
}

fn number(n: u64) -> Value {
    Value::Number(n)
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one field",
        promote: false,
        edit: |draft| draft.set_mtu(at(draft, "v0p")?, 1400),
        expect: &["v0p mtu 1500 -> 1400"],
    },
    Scenario {
        name: "fields of every sort",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.set(v0, row::TXQLEN, number(77))?;
            draft.set(v0, row::ALIAS, "to the world".into())?;
            draft.set(v0, row::GROUP, number(5))?;
            let mac = Value::Hardware([2, 0, 0, 0, 0, 9].into());
            draft.set(v0, row::ADDRESS, mac)?;
            draft.set_flags(v0, LinkFlags::PROMISC | LinkFlags::NOARP, true);
            draft.set_flags(v0, LinkFlags::MULTICAST, false);
            Ok(())
        },
        expect: &[
            "v0 alias - -> to the world",
            "v0 flag 0x100 - -> on",
            "v0 flag 0x1000 on -> -",
            "v0 flag 0x80 - -> on",
            "v0 group 0 -> 5",
            "v0 mac 82021590ff0b -> 020000000009",
            "v0 neighbour 10.0.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
            "v0 neighbour 2001:db8::fe lladdr 0200000001fe state 0x80 flags 0x80 proto 0 -> -",
            "v0 txqlen 1000 -> 77",
        ],
    },
    Scenario {
        name: "fields that change in silence",
        promote: false,
        edit: |draft| {
            let (d0, br1) = (at(draft, "d0")?, at(draft, "br1")?);
            draft.set(d0, row::ALIAS, "quiet".into())?;
            draft.set(d0, row::GROUP, number(9))?;
            draft.set(br1, row::ALIAS, "".into())?;
            let options = BridgeOptions::new().stp_state(true).ageing_time(10_000u32);
            draft.set_data(br1, options.priority(100u16).record())
        },
        expect: &[
            "br1 alias spare -> -",
            "br1 option 4 30750000 -> 10270000",
            "br1 option 5 00000000 -> 01000000",
            "br1 option 6 0080 -> 6400",
            "d0 alias - -> quiet",
            "d0 group 0 -> 9",
        ],
    },
    Scenario {
        name: "ten objects",
        promote: false,
        edit: ten_objects,
        expect: &[
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> -",
            "d0 txqlen 32 -> 100",
            "lan interface - -> there",
            "lan address 10.3.0.1/24 - -> flags 0x80 place 1",
            "lan address 2001:db8:3::1/64 - -> flags 0x80",
            "lan flag 0x1 - -> on",
            "lan kind - -> bridge",
            "lan mtu - -> 1400",
            "lan option 5 - -> 01000000",
            "a1 interface - -> there",
            "a1 kind - -> veth",
            "a1 lower - -> 13",
            "a0 interface - -> there",
            "a0 address 10.4.0.1/24 - -> flags 0x80 place 1",
            "a0 flag 0x1 - -> on",
            "a0 kind - -> veth",
            "a0 lower - -> 12",
            "b1 interface - -> there",
            "b1 kind - -> veth",
            "b1 lower - -> 15",
            "b0 interface - -> there",
            "b0 flag 0x1 - -> on",
            "b0 kind - -> veth",
            "b0 lower - -> 14",
            "b0 master - -> 11",
            "b0 port 2 - -> 0900",
            "b0 port 3 - -> 02000000",
            "vx0 interface - -> there",
            "vx0 flag 0x1 - -> on",
            "vx0 kind - -> vxlan",
            "vx0 master - -> 11",
            "vx0 mtu - -> 1400",
            "vx0 option 1 - -> 2a000000",
            "vx0 option 15 - -> 12b5",
            "i0 interface - -> there",
            "i0 alias - -> shaper",
            "i0 flag 0x1 - -> on",
            "i0 flag 0x80 - -> on",
            "i0 group - -> 3",
            "i0 kind - -> ifb",
            "m0 interface - -> there",
            "m0 altname the-macvlan - -> there",
            "m0 flag 0x1 - -> on",
            "m0 kind - -> macvlan",
            "m0 lower - -> 13",
            "m0 option 1 - -> 02000000",
        ],
    },
    Scenario {
        name: "down",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.set_flags(v0, LinkFlags::UP, false);
            Ok(())
        },
        expect: &[
            "nexthop 1 2 via 10.0.0.254 dev 7 proto 4 -> -",
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(2, 3)] proto 4",
            "nexthop 3 10 via 2001:db8::fe dev 7 proto 4 -> -",
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.1.0.253 dev 2",
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "route 10.30.0.0/16 table 254 via 10.0.0.254 dev 7 nhid 1 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.1.0.254 dev 2 hops 2 nhid 10",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:22::/48 table 254 metric 7 dev 7 -> -",
            "route 2001:db8:30::/48 table 254 metric 1024 via 2001:db8::fe dev 7 nhid 3 -> -",
            "v0 address 2001:db8::1/64 flags 0x80 -> -",
            "v0 flag 0x1 on -> -",
            "v0 neighbour 10.0.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
            "v0 neighbour 2001:db8::fe lladdr 0200000001fe state 0x80 flags 0x80 proto 0 -> -",
            "v0 proxy 10.0.0.77 flags 0x8 proto 0 -> -",
        ],
    },
    Scenario {
        name: "rename while up",
        promote: false,
        edit: |draft| draft.rename(at(draft, "v0")?, "wan"),
        expect: &[
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> flags 0x81 place 1 label wan:3",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x81 place 2 label wan:4",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 2 label wan:2",
            "v0 name v0 -> wan",
        ],
    },
    Scenario {
        name: "two names swapped",
        promote: false,
        edit: |draft| {
            let (v0, d0) = (at(draft, "v0")?, at(draft, "d0")?);
            draft.rename(d0, "between")?;
            draft.rename(v0, "d0")?;
            draft.rename(d0, "v0")
        },
        expect: &[
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> flags 0x81 place 1 label d0:3",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x81 place 2 label d0:4",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 2 label d0:2",
            "v0 name v0 -> d0",
            "d0 name d0 -> v0",
        ],
    },
    Scenario {
        name: "another kind in the place of a deleted one",
        promote: false,
        edit: |draft| {
            draft.remove(at(draft, "d0")?)?;
            let d0 = draft.create(Bridge::new("d0").into())?;
            draft.add_ip(d0, spec("10.5.0.1/24"))?;
            draft.set_flags(d0, LinkFlags::UP, true);
            Ok(())
        },
        expect: &[
            "d0 interface there -> -",
            "d0 interface - -> there",
            "d0 address 10.5.0.1/24 - -> flags 0x80 place 1",
            "d0 flag 0x1 - -> on",
            "d0 kind - -> bridge",
        ],
    },
    Scenario {
        name: "a bridge with a port goes",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "d1")?, 1300)?;
            draft.remove(at(draft, "br0")?)
        },
        expect: &[
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(1, 1)] proto 4",
            "nexthop 2 2 via 10.1.0.254 dev 2 proto 4 -> -",
            "route 0.0.0.0/0 table 100 via 10.1.0.254 dev 2 -> -",
            "route 10.21.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.0.0.254 dev 7 nhid 10",
            "br0 interface there -> -",
            "p0 master 2 -> -",
            "p0 port 2 0700 -> -",
            "p0 port 3 02000000 -> -",
            "p0 port 4 01 -> -",
            "d1 mtu 1500 -> 1300",
        ],
    },
    Scenario {
        name: "a veth with a macvlan on it goes",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "d1")?, 1300)?;
            draft.remove(at(draft, "v0")?)
        },
        expect: &[
            "nexthop 1 2 via 10.0.0.254 dev 7 proto 4 -> -",
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(2, 3)] proto 4",
            "nexthop 3 10 via 2001:db8::fe dev 7 proto 4 -> -",
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.21.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.1.0.253 dev 2",
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "route 10.30.0.0/16 table 254 via 10.0.0.254 dev 7 nhid 1 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.1.0.254 dev 2 hops 2 nhid 10",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:22::/48 table 254 metric 7 dev 7 -> -",
            "route 2001:db8:30::/48 table 254 metric 1024 via 2001:db8::fe dev 7 nhid 3 -> -",
            "v0p interface there -> -",
            "v0 interface there -> -",
            "d1 mtu 1500 -> 1300",
            "mv0 interface there -> -",
        ],
    },
    Scenario {
        name: "several go",
        promote: false,
        edit: |draft| {
            draft.remove(at(draft, "mv0")?)?;
            draft.remove(at(draft, "v0")?)?;
            draft.remove(at(draft, "d1")?)?;
            draft.remove(at(draft, "br0")?)
        },
        expect: &[
            "nexthop 1 2 via 10.0.0.254 dev 7 proto 4 -> -",
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> -",
            "nexthop 2 2 via 10.1.0.254 dev 2 proto 4 -> -",
            "nexthop 3 10 via 2001:db8::fe dev 7 proto 4 -> -",
            "route 0.0.0.0/0 table 100 via 10.1.0.254 dev 2 -> -",
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.21.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> -",
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "route 10.30.0.0/16 table 254 via 10.0.0.254 dev 7 nhid 1 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> -",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:22::/48 table 254 metric 7 dev 7 -> -",
            "route 2001:db8:30::/48 table 254 metric 1024 via 2001:db8::fe dev 7 nhid 3 -> -",
            "br0 interface there -> -",
            "p0 master 2 -> -",
            "p0 port 2 0700 -> -",
            "p0 port 3 02000000 -> -",
            "p0 port 4 01 -> -",
            "v0p interface there -> -",
            "v0 interface there -> -",
            "d1 interface there -> -",
            "mv0 interface there -> -",
        ],
    },
    Scenario {
        name: "a primary goes",
        promote: false,
        edit: |draft| draft.del_ip(at(draft, "v0")?, spec("10.0.0.1/24")),
        expect: &[
            "v0 address 10.0.0.1/24 flags 0x80 place 1 -> -",
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> flags 0x80 place 2",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x81 place 1",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 1",
        ],
    },
    Scenario {
        name: "a primary goes, a secondary is promoted",
        promote: true,
        edit: |draft| draft.del_ip(at(draft, "v0")?, spec("10.0.0.1/24")),
        expect: &[
            "v0 address 10.0.0.1/24 flags 0x80 place 1 -> -",
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> flags 0x80 place 2",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x81 place 1",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 1",
        ],
    },
    Scenario {
        name: "a primary and a secondary go, others come",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.del_ip(v0, spec("10.0.0.1/24"))?;
            draft.del_ip(v0, spec("10.0.0.2/24"))?;
            draft.add_ip(v0, spec("10.0.0.9/24"))?;
            draft.add_ip(v0, spec("10.9.0.1/16"))?;
            draft.add_ip(v0, spec("2001:db8::2/64"))
        },
        expect: &[
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "v0 address 10.0.0.1/24 flags 0x80 place 1 -> -",
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> -",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x80 place 3",
            "v0 address 10.0.0.9/24 - -> flags 0x81 place 1",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 1",
            "v0 address 10.9.0.1/16 - -> flags 0x80 place 2",
            "v0 address 2001:db8::2/64 - -> flags 0x80",
        ],
    },
    Scenario {
        name: "the same with promotion",
        promote: true,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.del_ip(v0, spec("10.0.0.1/24"))?;
            draft.del_ip(v0, spec("10.0.0.2/24"))?;
            draft.add_ip(v0, spec("10.0.0.9/24"))?;
            draft.del_ip(v0, spec("2001:db8::1/64"))
        },
        expect: &[
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "v0 address 10.0.0.1/24 flags 0x80 place 1 -> -",
            "v0 address 10.0.0.2/24 flags 0x81 place 1 -> -",
            "v0 address 10.0.0.3/24 flags 0x81 place 2 -> flags 0x80 place 2",
            "v0 address 10.0.0.9/24 - -> flags 0x81 place 1",
            "v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 1",
            "v0 address 2001:db8::1/64 flags 0x80 -> -",
        ],
    },
    Scenario {
        name: "an address comes back with another label",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.del_ip(v0, spec("10.7.0.1/16"))?;
            draft.add_ip(v0, spec("10.7.0.1/16").label("v0:new"))
        },
        expect: &["v0 address 10.7.0.1/16 flags 0x80 place 2 -> flags 0x80 place 2 label v0:new"],
    },
    Scenario {
        name: "what a macvlan is on gets smaller",
        promote: false,
        edit: |draft| draft.set_mtu(at(draft, "v0")?, 1310),
        expect: &[
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> metric 2=1310 via 2001:db8::fe dev 7",
            "v0 mtu 1500 -> 1310",
            "mv0 mtu 1500 -> 1310",
        ],
    },
    Scenario {
        name: "a macvlan and its lower get smaller",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "v0")?, 1300)?;
            draft.set_mtu(at(draft, "mv0")?, 1290)
        },
        // The route's own mtu follows, in silence (`rt6_mtu_change`).
        expect: &[
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> metric 2=1300 via 2001:db8::fe dev 7",
            "v0 mtu 1500 -> 1300",
            "mv0 mtu 1500 -> 1290",
        ],
    },
    Scenario {
        name: "a macvlan and its lower get larger",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "mv0")?, 1500)?;
            draft.set_mtu(at(draft, "v0")?, 2000)
        },
        expect: &["v0 mtu 1500 -> 2000"],
    },
    Scenario {
        name: "a port that its bridge follows",
        promote: false,
        edit: |draft| {
            let (br1, v0p) = (at(draft, "br1")?, at(draft, "v0p")?);
            draft.set_mtu(v0p, 1350)?;
            draft.add_port(br1, v0p)?;
            draft.set_port(v0p, BridgePortOptions::new().priority(3u16).isolated(true).record())
        },
        expect: &[
            "br1 mac 66ec8e65a18d -> bab501d1d854",
            "br1 mtu 1500 -> 1350",
            "v0p master - -> 3",
            "v0p mtu 1500 -> 1350",
            "v0p port 2 - -> 0300",
            "v0p port 3 - -> 02000000",
            "v0p port 33 - -> 01",
        ],
    },
    Scenario {
        name: "a port leaves",
        promote: false,
        edit: |draft| draft.del_port(at(draft, "br0")?, at(draft, "p0")?),
        expect: &[
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(1, 1)] proto 4",
            "nexthop 2 2 via 10.1.0.254 dev 2 proto 4 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.0.0.254 dev 7 nhid 10",
            "br0 mac 0ac942ee9086 -> 000000000000",
            "br0 neighbour 10.1.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
            "p0 master 2 -> -",
            "p0 port 2 0700 -> -",
            "p0 port 3 02000000 -> -",
            "p0 port 4 01 -> -",
        ],
    },
    Scenario {
        name: "a port changes bridges",
        promote: false,
        edit: |draft| {
            let (br1, p0) = (at(draft, "br1")?, at(draft, "p0")?);
            draft.set_flags(br1, LinkFlags::UP, true);
            draft.add_port(br1, p0)
        },
        expect: &[
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(1, 1)] proto 4",
            "nexthop 2 2 via 10.1.0.254 dev 2 proto 4 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.0.0.254 dev 7 nhid 10",
            "br0 mac 0ac942ee9086 -> 000000000000",
            "br0 neighbour 10.1.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
            "br1 flag 0x1 - -> on",
            "br1 mac 66ec8e65a18d -> 0ac942ee9086",
            "p0 master 2 -> 3",
            "p0 port 2 0700 -> 2000",
            "p0 port 4 01 -> 00",
        ],
    },
    Scenario {
        name: "altnames come, go and move",
        promote: false,
        edit: |draft| {
            let (v0, d0) = (at(draft, "v0")?, at(draft, "d0")?);
            draft.altname(v0, "uplink", false)?;
            draft.altname(v0, "a-name-longer-than-fifteen-bytes", true)?;
            draft.altname(d0, "spare-one", true)
        },
        expect: &[
            "v0 altname a-name-longer-than-fifteen-bytes - -> there",
            "v0 altname uplink there -> -",
            "d0 altname spare-one - -> there",
        ],
    },
    Scenario {
        name: "port and bridge options",
        promote: false,
        edit: |draft| {
            let (br0, p0) = (at(draft, "br0")?, at(draft, "p0")?);
            draft.set_data(
                br0,
                BridgeOptions::new().stp_state(true).mcast_snooping(false).record(),
            )?;
            let options = BridgePortOptions::new().hairpin(false).cost(55u32).learning(false);
            draft.set_port(p0, options.record())
        },
        expect: &[
            "br0 option 23 01 -> 00",
            "br0 option 5 00000000 -> 01000000",
            "p0 port 3 02000000 -> 37000000",
            "p0 port 4 01 -> 00",
            "p0 port 8 01 -> 00",
        ],
    },
    Scenario {
        name: "a pair of which both ends are edited",
        promote: false,
        edit: |draft| {
            let one = draft.create(Veth::new("a0", "a1").into())?;
            let two = draft.peer_of(one).ok_or_else(|| Refusal::Unknown("a1".to_owned()))?;
            draft.add_ip(one, spec("10.6.0.1/24"))?;
            draft.add_ip(two, spec("10.6.0.2/24"))?;
            draft.set_flags(one, LinkFlags::UP, true);
            draft.set_flags(two, LinkFlags::UP, true);
            draft.add_port(at(draft, "br0")?, two)
        },
        expect: &[
            "a1 interface - -> there",
            "a1 address 10.6.0.2/24 - -> flags 0x80 place 1",
            "a1 flag 0x1 - -> on",
            "a1 kind - -> veth",
            "a1 lower - -> 12",
            "a1 master - -> 2",
            "a1 port 3 - -> 02000000",
            "a0 interface - -> there",
            "a0 address 10.6.0.1/24 - -> flags 0x80 place 1",
            "a0 flag 0x1 - -> on",
            "a0 kind - -> veth",
            "a0 lower - -> 11",
        ],
    },
    Scenario {
        name: "routes come beside others",
        promote: false,
        edit: |draft| {
            let d0 = at(draft, "d0")?;
            draft.add_ip(d0, spec("10.40.0.1/24"))?;
            draft.set_flags(d0, LinkFlags::UP, true);
            draft.put_route(Route::to("10.41.0.0/16").via("10.40.0.2").mtu(1300), Op::Add)?;
            draft.put_route(both("10.42.0.0/16", "10.40.0.2", "10.0.0.254"), Op::Add)?;
            draft.put_route(Route::to("10.22.0.0/16").via("10.0.0.251"), Op::Prepend)?;
            draft.put_route(Route::to("10.20.0.0/16").via("10.40.0.3"), Op::Append)?;
            draft.put_route(
                Route::to("2001:db8:20::/48").via("2001:db8::fc").mtu(1400),
                Op::Append,
            )?;
            draft.put_route(Route::to("2001:db8:21::/48").via("2001:db8::fc"), Op::Append)?;
            draft.put_route(both("2001:db8:25::/48", "2001:db8::fe", "2001:db8::fc"), Op::Add)
        },
        expect: &[
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> via 10.0.0.254 dev 7; via 10.40.0.3 dev 8",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.0.0.251 dev 7; via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2",
            "route 10.41.0.0/16 table 254 - -> metric 2=1300 via 10.40.0.2 dev 8",
            "route 10.42.0.0/16 table 254 - -> via 10.40.0.2 dev 8 via 10.0.0.254 dev 7 hops 2",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> metric 2=1400 via 2001:db8::fc dev 7; metric 2=1400 via 2001:db8::fe dev 7",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> via 2001:db8::fc dev 7; via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7",
            "route 2001:db8:25::/48 table 254 metric 1024 - -> via 2001:db8::fc dev 7 hops 2; via 2001:db8::fe dev 7",
            "d0 address 10.40.0.1/24 - -> flags 0x80 place 1",
            "d0 flag 0x1 - -> on",
        ],
    },
    Scenario {
        name: "routes in the place of others",
        promote: false,
        edit: |draft| {
            draft.put_route(Route::to("10.20.0.0/16").via("10.1.0.9"), Op::Replace)?;
            draft.put_route(Route::to("10.22.0.0/16").via("10.1.0.9"), Op::Replace)?;
            draft.put_route(Route::to("10.24.0.0/16").via("10.1.0.9"), Op::Replace)?;
            draft.put_route(Route::to("2001:db8:21::/48").via("2001:db8::f0"), Op::Replace)?;
            draft.put_route(both("2001:db8:20::/48", "2001:db8::fe", "2001:db8::fc"), Op::Replace)
        },
        expect: &[
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> via 10.1.0.9 dev 2",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.1.0.9 dev 2; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2",
            "route 10.24.0.0/16 table 254 type 6 dev 0 -> via 10.1.0.9 dev 2",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> via 2001:db8::fc dev 7 hops 2; via 2001:db8::fe dev 7",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> via 2001:db8::f0 dev 7",
        ],
    },
    Scenario {
        name: "routes change",
        promote: false,
        edit: |draft| {
            let change = |spec: RouteSpec| spec.mtu(1234);
            draft.change_route(Route::to("10.20.0.0/16"), |spec| spec.priority(9))?;
            draft.change_route(Route::to("10.22.0.0/16").via("10.0.0.253"), change)?;
            draft.change_route(Route::to("10.21.0.0/16"), |spec| {
                spec.add_nexthop(Hop::via("10.1.0.252").dev("br0"))
            })?;
            draft.change_route(Route::to("2001:db8:20::/48"), change)?;
            let way = Hop::via("2001:db8::fd");
            draft.change_route(Route::to("2001:db8:21::/48"), |spec| spec.del_nexthop(way))?;
            draft.set_mtu(at(draft, "d0")?, 1400)
        },
        expect: &[
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.20.0.0/16 table 254 metric 9 - -> via 10.0.0.254 dev 7",
            "route 10.21.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 -> via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 via 10.1.0.252 dev 2",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.0.0.252 dev 7; via 10.1.0.253 dev 2; proto 12 metric 2=1234 via 10.0.0.253 dev 7",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> metric 2=1234 via 2001:db8::fe dev 7",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> via 2001:db8::fe dev 7",
            "d0 mtu 1500 -> 1400",
        ],
    },
    Scenario {
        name: "routes go, and an address that others need",
        promote: false,
        edit: |draft| {
            draft.take(&Which::Route(Route::to("10.20.0.0/16")))?;
            draft.take(&Which::Route(Route::to("10.22.0.0/16").via("10.0.0.252")))?;
            draft.take(&Which::Route(Route::to("2001:db8:21::/48").via("2001:db8::fe")))?;
            draft.take(&Which::Route(Route::to("2001:db8:24::/48")))?;
            draft.del_ip(at(draft, "br0")?, spec("10.1.0.1/24"))
        },
        expect: &[
            "route 0.0.0.0/0 table 100 via 10.1.0.254 dev 2 -> -",
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> proto 12 via 10.0.0.253 dev 7",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> via 2001:db8::fd dev 7",
            "route 2001:db8:24::/48 table 254 metric 1024 type 7 dev 1 -> -",
            "br0 address 10.1.0.1/24 flags 0x80 place 1 -> -",
            "br0 neighbour 10.1.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
        ],
    },
    Scenario {
        name: "whole tables",
        promote: false,
        edit: |draft| {
            let wanted = (0..9u8)
                .map(|n| Route::to(format!("10.{}.0.0/16", 50 + n)).via("10.0.0.254").table(100));
            draft.sync_routes(RouteFilter::table(100), wanted)?;
            let bird = RouteFilter::table(254).protocol(RouteProtocol::BIRD);
            let own = Route::to("10.70.0.0/16").via("10.0.0.254").protocol(RouteProtocol::BIRD);
            draft.sync_routes(bird, [own])
        },
        expect: &[
            "route 0.0.0.0/0 table 100 via 10.1.0.254 dev 2 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.0.0.252 dev 7; via 10.1.0.253 dev 2",
            "route 10.50.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.51.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.52.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.53.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.54.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.55.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.56.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.57.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.58.0.0/16 table 100 - -> via 10.0.0.254 dev 7",
            "route 10.70.0.0/16 table 254 - -> proto 12 via 10.0.0.254 dev 7",
        ],
    },
    Scenario {
        name: "routes over what is created",
        promote: false,
        edit: |draft| {
            let br = draft.create(Bridge::new("lan").into())?;
            draft.add_ip(br, spec("10.3.0.1/24"))?;
            draft.set_flags(br, LinkFlags::UP, true);
            draft.put_route(Route::to("10.80.0.0/16").dev("lan").src("10.3.0.1"), Op::Add)?;
            draft.put_route(Route::to("10.81.0.0/16").via("10.3.0.9"), Op::Add)?;
            draft.remove(at(draft, "mv0")?)
        },
        expect: &[
            "route 10.80.0.0/16 table 254 - -> scope 253 src 10.3.0.1 dev 11",
            "route 10.81.0.0/16 table 254 - -> via 10.3.0.9 dev 11",
            "mv0 interface there -> -",
            "lan interface - -> there",
            "lan address 10.3.0.1/24 - -> flags 0x80 place 1",
            "lan flag 0x1 - -> on",
            "lan kind - -> bridge",
        ],
    },
    Scenario {
        name: "rules come, change and go",
        promote: false,
        edit: |draft| {
            draft.add_rule(Rule::new().priority(200).from("10.6.0.0/16").table(100))?;
            draft.add_rule(Rule::new().priority(150).to("10.20.0.0/16").prohibit())?;
            draft.add_rule(Rule::new().priority(160).inet6().oif("v0").goto(100_000))?;
            draft.change_rule(Rule::new().priority(100).from("10.0.0.0/8"), |rule| {
                rule.table(254)
            })?;
            draft.take(&Which::Rule(Rule::new().priority(200).to("10.5.0.0/16")))
        },
        expect: &[
            "rule 4 100 from 0a000000/8 lookup 100 proto 4 -> from 0a000000/8 lookup 254 proto 4",
            "rule 4 150 - -> to 0a140000/16 action 8 proto 4",
            "rule 4 200 to 0a050000/16 lookup 100 proto 4; mark 0x7/0xff lookup 100 proto 4 -> mark 0x7/0xff lookup 100 proto 4; from 0a060000/16 lookup 100 proto 4",
            "rule 6 160 - -> oif v0 action 2 goto 100000 proto 4",
        ],
    },
    Scenario {
        name: "rules with what they lead to",
        promote: false,
        edit: |draft| {
            let d1 = at(draft, "d1")?;
            draft.add_ip(d1, spec("10.45.0.1/24"))?;
            draft.set_flags(d1, LinkFlags::UP, true);
            draft.put_route(Route::to("0.0.0.0/0").via("10.45.0.2").table(145), Op::Add)?;
            draft.add_rule(Rule::new().priority(145).from("10.45.0.0/24").iif("d1").table(145))?;
            draft.take(&Which::Rule(Rule::new().inet6().priority(100)))
        },
        expect: &[
            "route 0.0.0.0/0 table 145 - -> via 10.45.0.2 dev 9",
            "rule 4 145 - -> from 0a2d0000/24 iif d1 lookup 145 proto 4",
            "rule 6 100 from 20010db8000000000000000000000000/32 lookup 100 proto 4 -> -",
            "d1 address 10.45.0.1/24 - -> flags 0x80 place 1",
            "d1 flag 0x1 - -> on",
        ],
    },
    Scenario {
        name: "nexthops come, change and go",
        promote: false,
        edit: |draft| {
            draft.put_nexthop(Nexthop::new(4).via("10.0.0.250").dev("v0"), Op::Add)?;
            draft.put_nexthop(Nexthop::new(11).member(4, 2).member(2, 1), Op::Add)?;
            draft.put_nexthop(Nexthop::new(10).member(2, 1).member(4, 5), Op::Replace)?;
            draft.change_nexthop(3, |nexthop| nexthop.via("2001:db8::fd"))?;
            draft.put_route(Route::to("10.32.0.0/16").nexthop_id(11), Op::Add)?;
            draft.take(&Which::Route(Route::to("10.30.0.0/16")))?;
            draft.take(&Which::Nexthop(1))
        },
        expect: &[
            "nexthop 1 2 via 10.0.0.254 dev 7 proto 4 -> -",
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(2, 1), (4, 5)] proto 4",
            "nexthop 11 - -> group [(4, 2), (2, 1)] proto 4",
            "nexthop 3 10 via 2001:db8::fe dev 7 proto 4 -> 10 via 2001:db8::fd dev 7 proto 4",
            "nexthop 4 - -> 2 via 10.0.0.250 dev 7 proto 4",
            "route 10.30.0.0/16 table 254 via 10.0.0.254 dev 7 nhid 1 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.1.0.254 dev 2 via 10.0.0.250 dev 7 hops 4 nhid 10",
            "route 10.32.0.0/16 table 254 - -> via 10.0.0.250 dev 7 hops 1 via 10.1.0.254 dev 2 nhid 11",
            "route 2001:db8:30::/48 table 254 metric 1024 via 2001:db8::fe dev 7 nhid 3 -> via 2001:db8::fd dev 7 nhid 3",
        ],
    },
    Scenario {
        name: "nexthops over what is created",
        promote: false,
        edit: |draft| {
            let br = draft.create(Bridge::new("lan").into())?;
            draft.add_ip(br, spec("10.3.0.1/24"))?;
            draft.set_flags(br, LinkFlags::UP, true);
            draft.put_nexthop(Nexthop::new(5).via("10.3.0.9").dev("lan"), Op::Add)?;
            draft.put_route(Route::to("10.33.0.0/16").nexthop_id(5), Op::Add)?;
            draft.put_neighbour(permanent("10.3.0.9", "lan"), Op::Add)?;
            draft.add_rule(Rule::new().priority(33).iif("lan").table(100))
        },
        expect: &[
            "nexthop 5 - -> 2 via 10.3.0.9 dev 11 proto 4",
            "route 10.33.0.0/16 table 254 - -> via 10.3.0.9 dev 11 nhid 5",
            "rule 4 33 - -> iif lan lookup 100 proto 4",
            "lan interface - -> there",
            "lan address 10.3.0.1/24 - -> flags 0x80 place 1",
            "lan flag 0x1 - -> on",
            "lan kind - -> bridge",
            "lan neighbour 10.3.0.9 - -> lladdr 0200000001fe state 0x80 flags 0x0 proto 0",
        ],
    },
    Scenario {
        name: "neighbours and proxies come, change and go",
        promote: false,
        edit: |draft| {
            draft.put_neighbour(permanent("10.0.0.253", "v0"), Op::Add)?;
            draft.put_neighbour(permanent("2001:db8::fd", "v0"), Op::Add)?;
            let moved = permanent("10.0.0.254", "v0").lladdr("02:00:00:00:01:fd");
            draft.put_neighbour(moved, Op::Replace)?;
            draft.put_neighbour(Neighbour::new("10.0.0.78", "v0").proxy(), Op::Add)?;
            draft.take(&Which::Neighbour(Neighbour::new("10.0.0.77", "v0").proxy()))?;
            draft.take(&Which::Neighbour(Neighbour::new("2001:db8::fe", "v0")))
        },
        expect: &[
            "v0 neighbour 10.0.0.253 - -> lladdr 0200000001fe state 0x80 flags 0x0 proto 0",
            "v0 neighbour 10.0.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> lladdr 0200000001fd state 0x80 flags 0x0 proto 0",
            "v0 neighbour 2001:db8::fd - -> lladdr 0200000001fe state 0x80 flags 0x0 proto 0",
            "v0 neighbour 2001:db8::fe lladdr 0200000001fe state 0x80 flags 0x80 proto 0 -> -",
            "v0 proxy 10.0.0.77 flags 0x8 proto 0 -> -",
            "v0 proxy 10.0.0.78 - -> flags 0x8 proto 0",
        ],
    },
    Scenario {
        name: "what stands on a link goes down with it, and some of it comes anew",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.set_flags(v0, LinkFlags::UP, false);
            draft.add_rule(Rule::new().priority(77).oif("br0").table(100))?;
            draft.put_neighbour(permanent("10.1.0.9", "br0"), Op::Add)?;
            draft.set_mtu(at(draft, "d1")?, 1333)
        },
        expect: &[
            "nexthop 1 2 via 10.0.0.254 dev 7 proto 4 -> -",
            "nexthop 10 group [(1, 1), (2, 3)] proto 4 -> group [(2, 3)] proto 4",
            "nexthop 3 10 via 2001:db8::fe dev 7 proto 4 -> -",
            "route 10.20.0.0/16 table 254 via 10.0.0.254 dev 7 -> -",
            "route 10.22.0.0/16 table 254 via 10.0.0.252 dev 7; proto 12 via 10.0.0.253 dev 7; via 10.1.0.253 dev 2 -> via 10.1.0.253 dev 2",
            "route 10.23.0.0/16 table 254 metric 50 scope 253 src 10.0.0.2 dev 7 -> -",
            "route 10.30.0.0/16 table 254 via 10.0.0.254 dev 7 nhid 1 -> -",
            "route 10.31.0.0/16 table 254 via 10.0.0.254 dev 7 via 10.1.0.254 dev 2 hops 2 nhid 10 -> via 10.1.0.254 dev 2 hops 2 nhid 10",
            "route 2001:db8:20::/48 table 254 metric 1024 metric 2=1400 via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:21::/48 table 254 metric 1024 via 2001:db8::fd dev 7 hops 2; via 2001:db8::fe dev 7 -> -",
            "route 2001:db8:22::/48 table 254 metric 7 dev 7 -> -",
            "route 2001:db8:30::/48 table 254 metric 1024 via 2001:db8::fe dev 7 nhid 3 -> -",
            "rule 4 77 - -> oif br0 lookup 100 proto 4",
            "br0 neighbour 10.1.0.9 - -> lladdr 0200000001fe state 0x80 flags 0x0 proto 0",
            "v0 address 2001:db8::1/64 flags 0x80 -> -",
            "v0 flag 0x1 on -> -",
            "v0 neighbour 10.0.0.254 lladdr 0200000001fe state 0x80 flags 0x0 proto 0 -> -",
            "v0 neighbour 2001:db8::fe lladdr 0200000001fe state 0x80 flags 0x80 proto 0 -> -",
            "v0 proxy 10.0.0.77 flags 0x8 proto 0 -> -",
            "d1 mtu 1500 -> 1333",
        ],
    },
];

fn ten_objects(draft: &mut Draft) -> Result<(), Refusal> {
    let up = LinkFlags::UP;
    let br = draft.create(Bridge::new("lan").stp_state(true).into())?;
    let a0 = draft.create(Veth::new("a0", "a1").into())?;
    let b0 = draft.create(Veth::new("b0", "b1").into())?;
    let vx = draft.create(Vxlan::new("vx0", 42).port(4789u16).into())?;
    let mv = draft.create(Macvlan::new("m0", "a0").into())?;
    let ifb = draft.create(Ifb::new("i0").into())?;
    draft.add_port(br, b0)?;
    draft.add_port(br, vx)?;
    draft.set_port(b0, BridgePortOptions::new().priority(9u16).record())?;
    draft.add_ip(br, spec("10.3.0.1/24"))?;
    draft.add_ip(br, spec("2001:db8:3::1/64"))?;
    draft.add_ip(a0, spec("10.4.0.1/24"))?;
    draft.altname(mv, "the-macvlan", true)?;
    draft.set(ifb, row::ALIAS, "shaper".into())?;
    draft.set(ifb, row::GROUP, number(3))?;
    draft.set_mtu(vx, 1400)?;
    for target in [br, a0, b0, vx, mv, ifb] {
        draft.set_flags(target, up, true);
    }
    let d0 = at(draft, "d0")?;
    draft.set(d0, row::TXQLEN, number(100))?;
    let v0 = at(draft, "v0")?;
    draft.del_ip(v0, spec("10.7.0.1/16"))
}
