//! Stacks of interfaces of many kinds, with what stands on them, in one transaction: built, and refused at every step in
//! turn; removed, and brought back with the same indexes when the last step fails.
//!
//! Every kind of the first is on the kernels of tests/vm only; the second has what the development kernel has.

use crate::scene::{agrees, before, exactly_as_before};
use crate::support::{kind_available, need_kinds, scene};
use crate::witness::{is_as_before, is_the_kernel, quiet, refused_at_every_step};
use netlinkdb::{
    Bond, BondMode, BondOptions, Bridge, BridgePortOptions, CommitError, Db, Dummy, Gre, Link,
    LinkRef, Macvlan, MacvlanMode, Result, Route, Rule, Snapshot, Transaction, Veth, Vlan, Vrf,
    Vxlan,
};

use std::net::Ipv4Addr;

crate::cases![
    a_bond_a_vlan_a_bridge_a_macvlan_and_a_vrf_come_and_go_at_once,
    two_bridges_a_vxlan_and_a_macvlan_come_and_go_at_once,
    what_a_port_clips_two_floors_above_is_whole_again,
    the_first_address_that_is_taken_back_takes_no_route_along,
    what_a_port_that_leaves_again_has_clipped_is_whole_again,
    a_bridge_that_its_last_port_has_left_comes_back,
    what_was_clipped_before_it_went_comes_back_whole,
    a_bridge_that_followed_its_port_before_it_went_comes_back_as_it_was,
    what_a_port_has_taken_ipv6_from_has_its_settings_again,
    a_bond_whose_first_port_takes_no_address_is_as_before,
    a_bond_that_refuses_a_port_is_as_before,
    a_bond_that_refuses_its_own_master_leaves_its_ports_as_they_were,
    a_bond_of_tunnels_goes_with_its_last_port_and_comes_back,
    a_team_of_tunnels_comes_back_with_their_address,
    a_port_that_its_new_master_refuses_is_one_of_the_former,
    what_is_made_on_another_finds_the_mtu_that_was_named,
    what_a_new_one_stands_on_is_raised_first,
    a_vxlan_that_is_wider_than_what_it_stands_on_comes_back,
    what_a_tunnel_has_joined_and_left_is_of_ethernet_again,
    what_options_name_is_made_first,
    ports_that_a_bond_names_are_made_first,
    what_options_name_is_known_before_anything_is_sent,
    an_ipvlan_gets_the_mtu_of_what_it_stands_on,
    what_a_bond_that_goes_leaves_is_as_it_was_named,
    who_joins_a_vrf_while_down_has_its_local_routes_as_before,
    what_stands_on_a_port_of_a_narrower_master_is_whole_again,
];

/// Names, kinds, indexes, masters: what a stack is.
fn shape(now: &Snapshot) -> Vec<(String, u32, Option<u32>, Option<u32>)> {
    let of =
        |link: &netlinkdb::Link| (link.name().to_owned(), link.index(), link.master(), link.link());
    now.links().map(of).collect()
}

/// Builds it, refused everywhere; removes it, refused everywhere; and nothing is left.
#[track_caller]
pub fn comes_and_goes(
    build: impl Fn(&mut Transaction) -> Result<()>,
    remove: impl Fn(&mut Transaction) -> Result<()>,
    least: [u32; 2],
) {
    quiet();
    let db = Db::open().expect("a database");
    let nothing = before();
    let built = refused_at_every_step(&db, build);
    agrees(&db);
    let (all, there) = (before(), shape(&is_the_kernel(&db)));
    let removed = {
        let undone = db.on_commit(|_, _| Err::<(), _>("the last step"));
        let mut tx = db.begin();
        remove(&mut tx).expect("an edit");
        let error = tx.commit().expect_err("a hook");
        assert!(error.is_hook() && error.is_rolled_back(), "{error}");
        drop(undone);
        assert_eq!(shape(&is_the_kernel(&db)), there);
        exactly_as_before(&db, &all);
        refused_at_every_step(&db, remove)
    };
    exactly_as_before(&db, &nothing);
    assert!(built >= least[0] && removed >= least[1], "{built} and {removed} lots");
}

fn a_bond_a_vlan_a_bridge_a_macvlan_and_a_vrf_come_and_go_at_once() {
    need_kinds("dummy bond vlan bridge macvlan vrf");
    comes_and_goes(
        |tx| {
            // From the top, so that the order is not that of naming.
            let table = 10;
            tx.add_rule(Rule::new().priority(900).from("10.7.0.0/24").table(table))?;
            tx.add_rule(Rule::new().priority(901).inet6().iif("r0").table(table))?;
            tx.create(Vrf::new("r0", table))?;
            tx.create(Bridge::new("br0").stp_state(true))?;
            tx.create(Dummy::new("d0"))?;
            tx.create(Dummy::new("d1"))?;
            tx.create(Bond::new("b0").mode(BondMode::ACTIVE_BACKUP).miimon(100u32))?;
            tx.create(Vlan::new("b0.7", "b0", 7).gvrp(true))?;
            tx.create(Macvlan::new("m0", "br0").mode(MacvlanMode::BRIDGE))?;
            tx.add_route(Route::to("10.9.0.0/16").via("10.8.0.9").table(table))?;
            tx.add_route(Route::to("10.8.0.0/16").dev("m0").table(table))?;
            tx.interface("r0").add_port("m0")?.up();
            tx.interface("m0").add_ip("10.7.0.1/24")?.add_ip("10.7.0.2/24")?;
            tx.interface("m0").add_ip("fd07::1/64")?.set_mtu(1300).up();
            tx.interface("br0").add_port("b0.7")?.set_mtu(1400).up();
            tx.interface("b0.7").bridge_port(BridgePortOptions::new().cost(77u32))?.up();
            tx.interface("b0").add_port("d0")?.add_port("d1")?.up();
            tx.interface("d1").set_alias("the second").set_group(4);
            Ok(())
        },
        |tx| {
            tx.remove_rule(Rule::new().priority(900))?;
            tx.remove_rule(Rule::new().inet6().priority(901))?;
            ["r0", "br0", "m0", "b0", "b0.7", "d1", "d0"]
                .iter()
                .try_for_each(|name| tx.remove(*name))
        },
        [10, 3],
    );
}

fn two_bridges_a_vxlan_and_a_macvlan_come_and_go_at_once() {
    need_kinds("veth bridge vxlan macvlan");
    comes_and_goes(
        |tx| {
            let table = 10;
            tx.add_rule(Rule::new().priority(900).from("10.7.0.0/24").table(table))?;
            tx.add_rule(Rule::new().priority(901).inet6().iif("m0").table(table))?;
            tx.create(Bridge::new("br0").stp_state(true))?;
            tx.create(Veth::new("v0", "v1"))?;
            tx.create(Vxlan::new("x0", 7).dev("br0").port(4789u16))?;
            tx.create(Bridge::new("br1"))?;
            tx.create(Macvlan::new("m0", "br1").mode(MacvlanMode::BRIDGE))?;
            tx.add_route(Route::to("10.9.0.0/16").via("10.7.0.9").table(table))?;
            tx.add_route(Route::to("fd09::/64").via("fd07::9").table(table))?;
            tx.add_route(Route::to("10.8.0.0/16").dev("br0"))?;
            tx.interface("m0").add_ip("10.7.0.1/24")?.add_ip("10.7.0.2/24")?;
            tx.interface("m0").add_ip("fd07::1/64")?.set_mtu(1300).up();
            tx.interface("br1").add_port("x0")?.up();
            tx.interface("x0").bridge_port(BridgePortOptions::new().cost(77u32))?;
            // It keeps an mtu that is too large for the one below, but cannot be given it again (`vxlan_change_mtu`).
            tx.interface("x0").set_mtu(1300).up();
            tx.interface("br0").add_port("v0")?.set_mtu(1400).up();
            tx.interface("v0").set_alias("the first").set_group(4).up();
            tx.interface("v1").set_mtu(1350).up();
            Ok(())
        },
        |tx| {
            tx.remove_rule(Rule::new().priority(900))?;
            tx.remove_rule(Rule::new().inet6().priority(901))?;
            ["br0", "x0", "m0", "br1", "v1"].iter().try_for_each(|name| tx.remove(*name))
        },
        [10, 3],
    );
}

/// A quiet namespace with these in it, and an edit that the last step refuses: all is as before.
#[track_caller]
fn undone(lines: &str, edit: impl Fn(&mut Transaction) -> Result<()>) {
    need_kinds("veth bridge macvlan");
    let error = not_done(lines, edit);
    assert!(error.is_hook(), "{error}");
}

/// The same, also if the kernel refuses a step before the last.
#[track_caller]
pub fn not_done(lines: &str, edit: impl Fn(&mut Transaction) -> Result<()>) -> CommitError {
    quiet();
    scene(lines);
    let db = Db::open().expect("a database");
    let was = is_the_kernel(&db);
    let mut tx = db.begin();
    edit(&mut tx).expect("an edit");
    tx.on_commit(|_, _| Err::<(), _>("the last step"));
    let error = tx.commit().expect_err("a hook");
    assert!(error.is_rolled_back(), "{error}");
    is_as_before(&was);
    is_the_kernel(&db);
    error
}

/// Found by random stacks: a port with a smaller mtu had made that of its bridge smaller, and so that of a macvlan on the
/// bridge; it was told to be as before, and the macvlan was not.
fn what_a_port_clips_two_floors_above_is_whole_again() {
    undone(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link set v0 master br0
         link add m0 link br0 type macvlan mode bridge
         link add br1 type bridge
         link set m0 master br1
         link add m1 link br1 type macvlan mode bridge
         link set m1 up
         addr add fd01::1/64 dev m1",
        |tx| {
            tx.interface("v0").set_mtu(1200);
            Ok(())
        },
    );
}

/// The same of a port that joins: the bridge is no longer its master when the macvlan is to be looked at.
fn what_a_port_that_leaves_again_has_clipped_is_whole_again() {
    undone(
        "link add br0 type bridge
         link add m0 link br0 type macvlan mode bridge
         link add v0 mtu 1400 type veth peer name v1",
        |tx| tx.interface("br0").add_port("v0").map(drop),
    );
}

/// Found by random stacks: with the last IPv4 address of an interface the kernel drops every IPv4 route over it (K5), also
/// with one that a rollback takes back.
fn the_first_address_that_is_taken_back_takes_no_route_along() {
    undone(
        "link add v0 type veth peer name v1
         link set v1 up
         link set v0 up
         route add 10.51.0.0/16 dev v0 table 12
         route add 10.52.0.0/16 dev v0",
        |tx| tx.interface("v0").add_ip("10.0.0.7/24").map(drop),
    );
}

/// Found by random stacks: such a bridge has an address of zeros, which nothing can be given.
fn a_bridge_that_its_last_port_has_left_comes_back() {
    undone(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link set v0 master br0
         link set v0 nomaster
         link set br0 up
         addr add 10.0.0.1/24 dev br0",
        |tx| tx.remove("br0"),
    );
}

/// Found by random stacks: it was made again with the mtu that it had last, and not with the one before; the rollback gave it
/// the one and the other by turns, and was torn.
fn what_was_clipped_before_it_went_comes_back_whole() {
    undone(
        "link add v0 type veth peer name v1
         link add m0 link v0 type macvlan mode bridge
         link add m1 link v0 type macvlan mode bridge",
        |tx| {
            tx.interface("v0").set_mtu(1300);
            tx.remove("m0")
        },
    );
}

fn a_bridge_that_followed_its_port_before_it_went_comes_back_as_it_was() {
    undone(
        "link add br0 type bridge
         link add v0 address 02:00:00:00:00:05 type veth peer name v1
         link set v0 master br0
         link add m0 link br0 type macvlan mode bridge
         link set br0 up",
        |tx| {
            let address = netlinkdb::HardwareAddress::from([2, 0, 0, 0, 0, 7]);
            tx.interface("v0").set_mtu(1300).set_address(address);
            tx.remove("br0")
        },
    );
}

/// A port with less than 1280 bytes takes IPv6 from its bridge, and from what stands on that, which come back with the usual way
/// to make addresses by themselves (`addrconf_notify`); it was told to be as before.
fn what_a_port_has_taken_ipv6_from_has_its_settings_again() {
    const BRIDGE: &str = "link add br0 type bridge
         link add m0 link br0 type macvlan mode bridge
         link set br0 up
         link set br0 addrgenmode random
         link set m0 addrgenmode eui64
         route add fd51::/64 dev br0
         link add v0 mtu 1000 type veth peer name v1
         link add w0 type veth peer name w1
         link set w0 addrgenmode eui64
         link set w0 master br0";
    let edits: [fn(&mut Transaction) -> Result<()>; 3] = [
        |tx| tx.interface("br0").add_port("v0").map(drop),
        |tx| {
            tx.create(Veth::new("n0", "n1").mtu(1000))?;
            tx.interface("br0").add_port("n0").map(drop)
        },
        |tx| {
            tx.interface("w0").set_mtu(1000);
            Ok(())
        },
    ];
    for edit in edits {
        undone(BRIDGE, edit);
        scene("link del br0\n link del v0\n link del w0");
    }
}

/// Found by random stacks (seed 578): a bond had `fail_over_mac active` from its first port, which takes no address, and nobody
/// took it back; nor did the bond take its own address any more.
fn a_bond_whose_first_port_takes_no_address_is_as_before() {
    need_kinds("bond ifb");
    let error = not_done("link add b0 type bond mode active-backup\n link add p0 type ifb", |tx| {
        tx.interface("b0").add_port("p0").map(drop)
    });
    assert!(error.is_hook(), "{error}");
}

/// Found by random stacks (seed 50 of the rarer kinds): a bond or team gives its ports its mtu, and what stands on them keeps the
/// smaller one when they have theirs again.
fn what_stands_on_a_port_of_a_narrower_master_is_whole_again() {
    need_kinds("bond dummy vlan");
    for (kind, port) in [("bond", "dummy"), ("team", "dummy"), ("team", "netkit")] {
        if ![kind, port].into_iter().all(kind_available) {
            continue;
        }
        let lines = format!(
            "link add b0 type {kind}
             link add d0 type {port}
             link set d0 master b0
             link add v0 link d0 type vlan id 7
             link add v1 link v0 type vlan id 8
             link set b0 up"
        );
        let error = not_done(&lines, |tx| {
            tx.interface("b0").set_mtu(1450);
            Ok(())
        });
        assert!(error.is_hook(), "{error}");
        scene("link del v0\n link del d0\n link del b0");
    }
}

/// A bond without ports takes the kind, the address and the mtu of one that it then refuses, and is as a new one after that
/// (K31): down, with an address by chance and the usual mtu. It was told to be as before.
fn a_bond_that_refuses_a_port_is_as_before() {
    need_kinds("bond gre dummy");
    let error = not_done(
        "link add b0 mtu 1400 type bond
         link set b0 up
         addr add 10.0.0.1/24 dev b0
         addr add fd01::1/64 dev b0
         route add 10.51.0.0/16 dev b0
         link add g0 type gre local 10.99.1.1 remote 10.99.0.2 key 4",
        |tx| tx.interface("b0").add_port("g0").map(drop),
    );
    assert_eq!(error.step(), Some("ip link set dev g0 master b0"), "{error}");
}

/// Found by random stacks (seed 301): a bond that is to join another gets its mtu and address, and gives them to its own ports,
/// and again when it is refused. One of these was the other bond.
fn a_bond_that_refuses_its_own_master_leaves_its_ports_as_they_were() {
    need_kinds("bond");
    let error = not_done(
        "link add b0 type bond\n link add b1 type bond
         link set b1 master b0
         link set b1 mtu 1280
         link set b0 up",
        |tx| tx.interface("b1").add_port("b0").map(drop),
    );
    assert_eq!(error.step(), Some("ip link set dev b0 master b1"), "{error}");
}

/// Found by random stacks (seed 515 of the rarer kinds): the kernel takes a port from its master before the new one refuses it. It
/// was told to be as before.
fn a_port_that_its_new_master_refuses_is_one_of_the_former() {
    need_kinds("bond dummy ipvlan vrf");
    let error = not_done(
        "link add d0 type dummy
         link add i0 link d0 type ipvlan mode l2
         link add r0 type vrf table 10
         link set i0 master r0",
        |tx| {
            let b0 = tx.create(Bond::new("b0"))?;
            tx.interface(&b0).add_port("i0").map(drop)
        },
    );
    assert_eq!(error.step(), Some("ip link set dev i0 master b0"), "{error}");
}

/// Found by random stacks (seed 169 of the rarer kinds): the team was made again with the address that it had from a tunnel, which
/// is none of Ethernet, and so not at all.
fn a_team_of_tunnels_comes_back_with_their_address() {
    need_kinds("team gre");
    let error = not_done(
        "link add g0 type gre local 10.99.1.1 remote 10.99.0.2 key 4
         link add t0 type team
         link set g0 master t0
         link set t0 up
         addr add 10.0.0.1/24 dev t0",
        |tx| tx.remove("g0").and_then(|()| tx.remove("t0")),
    );
    assert!(error.is_hook(), "{error}");
}

/// Found by random stacks (seed 240): the bond went with its port, and nobody brought it back: that it was to go too, the kernel
/// answered, was so already.
fn a_bond_of_tunnels_goes_with_its_last_port_and_comes_back() {
    need_kinds("bond gre");
    const TUNNELS: &str = "link add g0 type gre local 10.99.1.1 remote 10.99.0.2 key 4
         link add b0 type bond mode active-backup
         link set g0 master b0
         link set b0 up
         addr add 10.0.0.1/24 dev b0";
    let removals: [&[&str]; 3] = [&["g0"], &["g0", "b0"], &["b0"]];
    for names in removals {
        let error = not_done(TUNNELS, |tx| names.iter().try_for_each(|name| tx.remove(*name)));
        assert!(error.is_hook(), "{error}");
        scene("link del g0");
    }
}

/// What an interface is made with depends on the mtu of the one below: its own default, and how much it may have.
fn what_is_made_on_another_finds_the_mtu_that_was_named() {
    need_kinds("veth bridge vxlan macvlan");
    comes_and_goes(
        |tx| {
            tx.create(Bridge::new("br0").mtu(1400))?;
            tx.create(Bridge::new("br1"))?;
            tx.create(Veth::new("v0", "v1"))?;
            let local = Ipv4Addr::new(10, 0, 0, 1);
            tx.create(Vxlan::new("x0", 7).dev("br0").local(local).port(4789u16))?;
            tx.create(Macvlan::new("m1", "br1").mtu(9000))?;
            tx.create(Macvlan::new("m2", "v0").mtu(4000))?;
            tx.interface("br1").set_mtu(9000);
            tx.interface("v0").set_mtu(4000);
            Ok(())
        },
        |tx| {
            assert_eq!(tx.base().link("x0").map(Link::mtu), Some(1350));
            ["br0", "br1", "v0"].iter().try_for_each(|name| tx.remove(*name))
        },
        [3, 1],
    );
}

fn what_a_new_one_stands_on_is_raised_first() {
    need_kinds("veth macvlan");
    scene("link add v0 type veth peer name v1\n link add m0 link v0 type macvlan mode bridge");
    let db = Db::open().expect("a database");
    let was = before();
    let mut tx = db.begin();
    tx.create(Macvlan::new("m1", "m0").mtu(9000)).expect("an edit");
    tx.interface("m0").set_mtu(9000);
    tx.interface("v0").set_mtu(9000);
    let mut refused = tx.clone();
    refused.on_commit(|_, _| Err::<(), _>("the last step"));
    let error = refused.commit().expect_err("a hook");
    assert!(error.is_rolled_back(), "{error}");
    exactly_as_before(&db, &was);
    tx.commit().expect("a commit");
    let now = is_the_kernel(&db);
    for name in ["v0", "m0", "m1"] {
        assert_eq!(now.link(name).map(Link::mtu), Some(9000), "{name}");
    }
}

/// It keeps its mtu when the one below gets a smaller one, and cannot be given it again while that has it.
fn a_vxlan_that_is_wider_than_what_it_stands_on_comes_back() {
    need_kinds("veth bridge vxlan macvlan");
    undone(
        "link add br0 type bridge
         link add x0 type vxlan id 7 dev br0 local 10.0.0.1 dstport 4789
         link add m0 link x0 type macvlan mode bridge
         link set br0 mtu 1400
         link add v0 type veth peer name v1
         link add y0 type vxlan id 8 dev v0 local fd00::1 dstport 4790
         link set v0 mtu 1300",
        |tx| ["br0", "v0"].iter().try_for_each(|name| tx.remove(*name)),
    );
}

/// Found by random stacks (seeds 756, 778, 862): a bond or team without ports becomes of the kind of the first that joins, and
/// stays so when that leaves. It is made anew.
fn what_a_tunnel_has_joined_and_left_is_of_ethernet_again() {
    need_kinds("bond team ipip dummy");
    for kind in ["bond mode active-backup miimon 100", "team"] {
        let lines = format!(
            "link add p0 type ipip local 10.99.1.1 remote 10.99.0.2
             link add d0 type dummy
             link add master0 type {kind}
             link set master0 txqueuelen 300 group 7 alias words
             addr add 10.0.0.1/24 dev master0
             addr add 10.0.0.2/24 dev master0
             link set master0 up
             route add 10.1.0.0/16 dev master0
             rule add iif master0 lookup 7"
        );
        let error = not_done(&lines, |tx| tx.interface("master0").add_port("p0").map(drop));
        assert!(error.is_hook(), "{error}");
        for name in ["p0", "d0", "master0"] {
            scene(&format!("link del {name}"));
        }
        scene("rule del iif master0 lookup 7");
        let error = not_done(&lines, |tx| {
            tx.interface("master0").set_txqlen(400).add_port("p0")?;
            tx.remove_route(Route::to("10.1.0.0/16").dev("master0"))?;
            tx.remove("d0")
        });
        assert!(error.is_hook(), "{error}");
        for name in ["p0", "d0", "master0"] {
            scene(&format!("link del {name}"));
        }
        scene("rule del iif master0 lookup 7");
    }
}

/// Found by random stacks (seed 1289): of that the kernel says nothing.
fn an_ipvlan_gets_the_mtu_of_what_it_stands_on() {
    const OWN: &str = "link add v0 type veth peer name v1
         link add i0 link v0 type ipvlan
         link set i0 mtu 1300";
    need_kinds("veth ipvlan");
    quiet();
    scene(OWN);
    let db = Db::open().expect("a database");
    for mtu in [1400, 1600] {
        scene(&format!("link set v0 mtu {mtu}"));
        db.sync().expect("a state");
        assert_eq!(db.snapshot().link("i0").map(Link::mtu), Some(mtu));
    }
    for [lower, own] in [[1500, 1400], [1300, 1290], [1400, 1350]] {
        let mut tx = db.begin();
        tx.interface("i0").set_mtu(own);
        tx.interface("v0").set_mtu(lower);
        tx.commit().expect("a commit");
        let now = is_the_kernel(&db);
        let mtu = |name: &str| now.link(name).map(Link::mtu);
        assert_eq!([mtu("v0"), mtu("i0")], [Some(lower), Some(own)]);
    }
    scene("link del v0");
    let error = not_done(OWN, |tx| {
        tx.interface("v0").set_mtu(1400);
        Ok(())
    });
    assert!(error.is_hook(), "{error}");
    scene("link del v0");
    let error = not_done(OWN, |tx| {
        tx.interface("v0").set_mtu(1400);
        tx.remove("i0")
    });
    assert!(error.is_hook(), "{error}");
}

/// Options named interfaces by an index only, which new ones do not have yet.
fn what_options_name_is_made_first() {
    need_kinds("veth bridge vxlan macvlan");
    comes_and_goes(
        |tx| {
            tx.create(Veth::new("v0", "v1"))?;
            let m0 = tx.create(Macvlan::new("m0", "v1").mode(MacvlanMode::BRIDGE))?;
            tx.create(Vxlan::new("x0", 7).port(4789u16).link(&m0))?;
            tx.create(Bridge::new("br0"))?;
            tx.create(Veth::new("v2", "v3"))?;
            tx.interface("br0").add_port("v0")?.add_port("v2")?;
            tx.interface("v0").bridge_port(BridgePortOptions::new().backup_port("v2"))?;
            Ok(())
        },
        |tx| ["br0", "x0", "v2", "v0"].iter().try_for_each(|name| tx.remove(*name)),
        [5, 2],
    );
}

fn ports_that_a_bond_names_are_made_first() {
    need_kinds("dummy bond gre");
    comes_and_goes(
        |tx| {
            tx.create(Dummy::new("d0"))?;
            let d1 = tx.create(Dummy::new("d1"))?;
            let bond = Bond::new("b0").mode(BondMode::ACTIVE_BACKUP).miimon(100u32);
            // The same: a moment later the bond uses its primary port.
            tx.create(bond.primary("d1").active_slave(&d1))?;
            tx.create(Bond::new("b1").mode(BondMode::ACTIVE_BACKUP).miimon(100u32))?;
            tx.create(Dummy::new("d2").index(777))?;
            tx.interface("b1").bond(BondOptions::new().primary(777u32))?.add_port("d2")?;
            tx.interface("b0").add_port("d0")?.add_port("d1")?.up();
            let remote = Ipv4Addr::new(10, 0, 0, 2);
            tx.create(Gre::new("g0").remote(remote).link("d2"))?;
            Ok(())
        },
        |tx| ["g0", "b1", "b0", "d0", "d1", "d2"].iter().try_for_each(|name| tx.remove(*name)),
        [5, 2],
    );
}

/// The kernel's word for such an index was a bare "No such device", or "No such file or directory".
fn what_options_name_is_known_before_anything_is_sent() {
    need_kinds("veth bridge");
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link set v0 master br0
         link set v2 master br0",
    );
    let db = Db::open().expect("a database");
    let backup = |which: LinkRef| {
        let mut tx = db.begin();
        let named = BridgePortOptions::new().backup_port(which);
        let error = tx.interface("v0").bridge_port(named).map(drop).expect_err("no such port");
        assert!(error.is_refused() && error.is_not_found(), "{error}");
        error.to_string()
    };
    for (which, word) in [(LinkRef::from(999u32), "999"), (LinkRef::from("nobody"), "nobody")] {
        let text = backup(which);
        let said = ["backup_port", "`v0`", word].iter().all(|word| text.contains(word));
        assert!(said, "{text}");
    }
    let remove = |name: &str| {
        let mut tx = db.begin();
        let named = BridgePortOptions::new().backup_port("v2");
        tx.interface("v0").bridge_port(named).map(drop).expect("a port");
        tx.remove(name).expect("an edit");
        tx.commit().expect_err("what goes cannot be named").to_string()
    };
    let text = remove("v2");
    assert!(text.contains("`v2` is removed") && text.contains("backup_port"), "{text}");
    // Gone since it was named, and another one in its place.
    let mut tx = db.begin();
    let named = BridgePortOptions::new().backup_port("v2");
    tx.interface("v0").bridge_port(named).map(drop).expect("a port");
    scene("link del v2\n link add v2 type veth peer name v3\n link set v2 master br0");
    db.sync().expect("a snapshot");
    let error = tx.commit().expect_err("it is another one");
    assert!(error.is_refused() && error.is_stale(), "{error}");
    assert!(error.to_string().contains("backup_port"), "{error}");
}

/// Found by random stacks (seed 1766): a bond that goes takes its ports down, and gives them their mtu back in silence.
fn what_a_bond_that_goes_leaves_is_as_it_was_named() {
    need_kinds("bond veth");
    let edit = |tx: &mut Transaction| {
        tx.interface("v0").set_mtu(1000).up();
        tx.interface("v1").set_mtu(1400);
        tx.remove("b0")
    };
    const BOND: &str = "link add v0 type veth peer name w0
         link add v1 type veth peer name w1
         link add b0 type bond mode active-backup
         link set v0 master b0
         link set v1 master b0
         link set b0 up";
    let error = not_done(BOND, edit);
    assert!(error.is_hook(), "{error}");
    scene("link del b0\n link del v0\n link del v1");
    // The same by name.
    let error = not_done(BOND, |tx| {
        tx.interface("b0").del_port("v0")?.del_port("v1")?;
        tx.remove("b0")
    });
    assert!(error.is_hook(), "{error}");
    let db = Db::open().expect("a database");
    let mut tx = db.begin();
    edit(&mut tx).expect("an edit");
    tx.commit().expect("a commit");
    let now = is_the_kernel(&db);
    let of = |name: &str| now.link(name).map(|link| (link.mtu(), link.is_up(), link.master()));
    assert_eq!([of("v0"), of("v1")], [Some((1000, true, None)), Some((1400, false, None))]);
}

/// Found by random stacks (seed 1246): the kernel makes local routes of addresses that are given to an interface that is down,
/// and takes them when it joins a VRF.
fn who_joins_a_vrf_while_down_has_its_local_routes_as_before() {
    need_kinds("vrf veth");
    let removals: [&[&str]; 3] = [&["v0"], &["r0"], &["r0", "v0"]];
    for names in removals {
        let error = not_done(
            "link add r0 type vrf table 15
             link set r0 up
             link add v0 type veth peer name v1
             addr add 10.1.0.6/24 dev v0
             link set v0 master r0
             addr add 10.1.0.5/24 dev v0",
            |tx| names.iter().try_for_each(|name| tx.remove(*name)),
        );
        assert!(error.is_hook(), "{error}");
        scene("link del r0\n link del v0");
    }
    // Seed 3041: one that has them, and is to join.
    const OWN: &str = "link add r0 type vrf table 15
         link set r0 up
         link add v0 type veth peer name v1
         addr add 10.1.0.6/24 dev v0
         addr add 10.1.0.5/24 dev v0";
    for goes in [true, false] {
        let error = not_done(OWN, |tx| {
            if goes {
                tx.interface("v0").del_ip("10.1.0.6/24")?;
            }
            tx.interface("r0").add_port("v0").map(drop)
        });
        assert!(error.is_hook(), "{error}");
        scene("link del r0\n link del v0");
    }
}
