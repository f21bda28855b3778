//! What a database is asked to do: a namespace that is furnished, a draft, and what it is to change.

use netlinkdb::internals::object::link::row;
use netlinkdb::internals::object::{LinkFlags, LinkRef, Value};
use netlinkdb::internals::plan::{Draft, Refusal, Target};
use netlinkdb::{
    AddressSpec, Bridge, BridgeOptions, BridgePortOptions, Ifb, Macvlan, MacvlanMode, Veth, Vxlan,
};

use super::{Driver, ROOMY};
use crate::sim::{Kernel, Op};

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
pub fn furnish(kernel: &mut Kernel, promote: bool) {
    kernel.sysctl().promote_secondaries = promote;
    let create = |name: &str, kind| Op::Create { name: name.to_owned(), kind };
    let name = |name: &str| name.to_owned();
    let add = |on: &str, local: &[u8], prefix| Op::AddAddress {
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
        Op::SetMaster { name: name("p0"), master: Some(name("br0")) },
        Op::Up { name: name("p0p") },
        Op::Up { name: name("p0") },
        Op::Up { name: name("br0") },
        Op::Up { name: name("v0p") },
        Op::Up { name: name("v0") },
        Op::SetAlias { name: name("br1"), alias: name("spare") },
        Op::AddAltname { name: name("v0"), altname: name("uplink") },
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
    draft.set_port(p0, BridgePortOptions::new().hairpin(true).priority(7u16).record())
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
        expect: &[],
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
        expect: &[],
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
        expect: &[],
    },
    Scenario { name: "ten objects", promote: false, edit: ten_objects, expect: &[] },
    Scenario {
        name: "down",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.set_flags(v0, LinkFlags::UP, false);
            Ok(())
        },
        expect: &[],
    },
    Scenario {
        name: "rename while up",
        promote: false,
        edit: |draft| draft.rename(at(draft, "v0")?, "wan"),
        expect: &[],
    },
    Scenario {
        name: "two names swapped",
        promote: false,
        edit: |draft| {
            let (v0, d0) = (at(draft, "v0")?, at(draft, "d0")?);
            draft.rename(v0, "d0")?;
            draft.rename(d0, "v0")
        },
        expect: &[],
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
        expect: &[],
    },
    Scenario {
        name: "a bridge with a port goes",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "d1")?, 1300)?;
            draft.remove(at(draft, "br0")?)
        },
        expect: &[],
    },
    Scenario {
        name: "a veth with a macvlan on it goes",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "d1")?, 1300)?;
            draft.remove(at(draft, "v0")?)
        },
        expect: &[],
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
        expect: &[],
    },
    Scenario {
        name: "a primary goes",
        promote: false,
        edit: |draft| draft.del_ip(at(draft, "v0")?, spec("10.0.0.1/24")),
        expect: &[],
    },
    Scenario {
        name: "a primary goes, a secondary is promoted",
        promote: true,
        edit: |draft| draft.del_ip(at(draft, "v0")?, spec("10.0.0.1/24")),
        expect: &[],
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
        expect: &[],
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
        expect: &[],
    },
    Scenario {
        name: "an address comes back with another label",
        promote: false,
        edit: |draft| {
            let v0 = at(draft, "v0")?;
            draft.del_ip(v0, spec("10.7.0.1/16"))?;
            draft.add_ip(v0, spec("10.7.0.1/16").label("v0:new"))
        },
        expect: &[],
    },
    Scenario {
        name: "a macvlan and its lower get smaller",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "v0")?, 1300)?;
            draft.set_mtu(at(draft, "mv0")?, 1290)
        },
        expect: &[],
    },
    Scenario {
        name: "a macvlan and its lower get larger",
        promote: false,
        edit: |draft| {
            draft.set_mtu(at(draft, "mv0")?, 1500)?;
            draft.set_mtu(at(draft, "v0")?, 2000)
        },
        expect: &[],
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
        expect: &[],
    },
    Scenario {
        name: "a port leaves",
        promote: false,
        edit: |draft| draft.del_port(at(draft, "br0")?, at(draft, "p0")?),
        expect: &[],
    },
    Scenario {
        name: "a port changes bridges",
        promote: false,
        edit: |draft| {
            let (br1, p0) = (at(draft, "br1")?, at(draft, "p0")?);
            draft.set_flags(br1, LinkFlags::UP, true);
            draft.add_port(br1, p0)
        },
        expect: &[],
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
        expect: &[],
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
        expect: &[],
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
        expect: &[],
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
