//! Kinds that only some kernels have: dummy, VLAN, bond, VRF, team, ipvlan, macvtap, nlmon. What they are is what
//! iproute2 prints, what a transaction does to them is what was asked for, and what it undoes is as before.
//!
//! The development kernel has none of them; tests/vm runs these on kernels that do.

use crate::export::{is_so, json, load, on, tree};
use crate::scene::{
    agrees, agrees_unasked, before, exactly_as_before, open, refused, rolled_back, scene,
};
use crate::support::namespaces::elsewhere;
use crate::support::{ip, ip_json, kind_available, need_kinds, skip, try_ip};
use netlinkdb::{
    ArpAllTargets, ArpValidate, Bond, BondMode, BondOptions, BondPortOptions, Bridge, CommitError,
    Committed, Db, Dummy, FailOverMac, Hsr, Ipvlan, IpvlanFlags, IpvlanMode, IpvlanOptions, Ipvtap,
    LacpRate, Link, LinkFlags, Macvlan, MacvlanMode, MacvlanOptions, Macvtap, NetNs, NewLink,
    Nlmon, Result, Selection, Team, Transaction, Veth, Vlan, VlanOptions, VlanProtocol, Vrf,
    XmitHashPolicy,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

crate::cases![
    options_of_more_kinds_read_as_iproute2_prints_them,
    more_kinds_are_created_as_they_are_asked_for,
    a_vlan_has_the_maps_and_flags_that_it_is_given,
    a_vlan_goes_up_and_down_with_what_is_below_and_comes_back,
    a_bond_takes_ports_that_are_up,
    a_bond_gives_its_ports_back_as_they_were,
    a_bond_gives_its_mtu_to_ports_that_are_told_none,
    a_bond_that_was_deleted_has_its_ports_and_options_again,
    options_of_a_bond_change_and_come_back_with_what_moved_along,
    a_port_may_have_an_address_of_its_own,
    what_a_bond_would_refuse_is_refused_before_it_is_sent,
    the_active_port_is_chosen_when_it_is_a_port,
    a_vrf_takes_its_ports_and_their_addresses_stay,
    a_vrf_that_was_deleted_has_its_ports_again,
    a_team_takes_ports_that_are_up,
    a_bond_that_goes_gives_its_ports_their_mtu_back,
    ports_move_from_one_kind_of_master_to_another,
    options_of_ipvlans_and_macvtaps_change_and_come_back,
    a_stack_of_kinds_comes_and_goes_in_one_transaction,
    kinds_that_were_exported_are_loaded_again,
    bad_values_of_more_kinds_are_refused,
    what_only_the_kernel_knows_is_told_in_its_words,
    the_rules_of_the_first_vrf_stay,
    vlan_flags_str,
    vlan_flags_list_str,
    vlan_flags_dict,
    dummy0_unloaded,
];

fn never(tx: &mut Transaction) {
    tx.on_commit(|_, _| Err::<(), _>("never"));
}

fn dummies(count: u8) {
    for number in 0..count {
        scene(&format!("link add d{number} address 02:00:00:00:00:0{number} type dummy"));
    }
}

#[track_caller]
fn link(db: &Db, name: &str) -> Link {
    db.sync().expect("a snapshot").link(name).unwrap_or_else(|| panic!("{name} is there")).clone()
}

#[track_caller]
fn undone(tx: Transaction) -> CommitError {
    let mut tx = tx;
    never(&mut tx);
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    error
}

#[track_caller]
fn done(tx: Transaction) -> Committed {
    tx.commit().unwrap_or_else(|error| panic!("{error}"))
}

/// Does, fails at the end, looks whether all is as before; then does it.
#[track_caller]
fn undone_and_done(db: &Db, edit: impl Fn(&mut Transaction) -> Result<()>) {
    db.sync().expect("a snapshot");
    let was = before();
    let begin = || {
        let mut tx = db.begin();
        edit(&mut tx).expect("an edit");
        tx
    };
    undone(begin());
    exactly_as_before(db, &was);
    done(begin());
    agrees(db);
}

fn options_of_more_kinds_read_as_iproute2_prints_them() {
    need_kinds("dummy vlan bond vrf team ipvlan ipvtap macvtap nlmon");
    let db = open();
    dummies(6);
    scene(
        "link add v0 link d0 type vlan id 0
         link add v9 link d0 type vlan id 9 reorder_hdr off gvrp on mvrp on loose_binding on bridge_binding on ingress-qos-map 1:2 3:4 egress-qos-map 5:6 0:7 20:1
         link add q7 link d0 type vlan id 4094 protocol 802.1ad
         link add b0 type bond mode active-backup arp_interval 100 arp_ip_target 10.0.0.1,10.0.0.2 arp_validate all arp_all_targets all fail_over_mac active primary_reselect better resend_igmp 3 num_grat_arp 5 min_links 1
         link add b1 type bond mode active-backup miimon 100 updelay 200 downdelay 300 peer_notify_delay 100
         link add b2 type bond mode 802.3ad lacp_rate fast ad_select bandwidth ad_user_port_key 5 ad_actor_sys_prio 7 ad_actor_system 02:00:00:00:00:aa xmit_hash_policy layer2+3
         link add b3 type bond mode balance-rr packets_per_slave 0 use_carrier 0 all_slaves_active 1 xmit_hash_policy encap3+4
         link add b4 type bond mode balance-alb tlb_dynamic_lb 1 lp_interval 7
         link set d1 master b1
         link set d2 master b1
         link set d3 master b2
         link set b1 type bond primary d2
         link set d1 type bond_slave queue_id 3
         link set b1 up
         link set b2 up
         link add r0 type vrf table 10
         link set d4 master r0
         link add t0 type team
         link set d5 master t0
         link add e0 type dummy
         link add e1 type dummy
         link add e2 type dummy
         link add e3 type dummy
         link add e4 type dummy
         link add i0 link e0 type ipvlan mode l2
         link add i1 link e1 type ipvlan mode l3 private
         link add i2 link e2 type ipvtap mode l3s vepa
         link add m0 link e3 type macvtap mode source macaddr set 02:00:00:00:00:05 02:00:00:00:00:04
         link add m1 link e4 type macvtap mode passthru
         link add n0 type nlmon",
    );
    agrees(&db);
    let now = db.snapshot();
    let b1 = now.link("b1").expect("b1");
    let port = |name: &str| now.link(name).map(|link| link.index());
    let bond = b1.bond().expect("a bond");
    assert_eq!(bond.primary(), port("d2"));
    assert_eq!(now.link("d1").and_then(|d1| d1.bond_port()?.queue_id()), Some(3));
    assert_eq!(now.link("d4").and_then(|d4| d4.vrf_port()?.table()), Some(10));
    assert_eq!(now.link("r0").and_then(|r0| r0.vrf()?.table()), Some(10));
    assert_eq!(now.link("m0").and_then(|m0| m0.macvlan()?.mode()), Some(MacvlanMode::SOURCE));
    let v9 = now.link("v9").and_then(Link::vlan).expect("a VLAN");
    assert_eq!(v9.egress_qos_map(), [(0, 7), (5, 6), (20, 1)]);
}

fn more_kinds_are_created_as_they_are_asked_for() {
    need_kinds("dummy vlan bond vrf team ipvlan ipvtap macvtap nlmon");
    let db = open();
    let targets: Vec<IpAddr> = vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    undone_and_done(&db, |tx| {
        let mut all: Vec<NewLink> = Vec::new();
        for name in ["d0", "d1", "d2", "d3"] {
            all.push(Dummy::new(name).into());
        }
        let maps =
            |vlan: Vlan| vlan.ingress_qos_map([(3, 4), (1, 2)]).egress_qos_map([(20, 1), (0, 7)]);
        all.push(maps(Vlan::new("v9", "d0", 9).gvrp(true).reorder_hdr(false)).into());
        all.push(Vlan::new("q0", "d0", 0).protocol(VlanProtocol::AD).loose_binding(true).into());
        all.push(
            Bond::new("b0")
                .mode(BondMode::ACTIVE_BACKUP)
                .arp_interval(100u32)
                .arp_ip_target(targets.clone())
                .arp_validate(ArpValidate::ALL)
                .arp_all_targets(ArpAllTargets::ALL)
                .fail_over_mac(FailOverMac::ACTIVE)
                .into(),
        );
        let rate = Bond::new("b1").mode(BondMode::AD).ad_lacp_rate(LacpRate::FAST);
        all.push(if tells_lacp() { rate.lacp(5) } else { rate }.into());
        all.push(Vrf::new("r0", 4_294_967_295).into());
        all.push(Team::new("t0").into());
        all.push(Ipvlan::new("i0", "d1").mode(IpvlanMode::L3S).flags(IpvlanFlags::PRIVATE).into());
        all.push(Ipvtap::new("i1", "d2").mode(IpvlanMode::L2).flags(IpvlanFlags::VEPA).into());
        let sources = [[2, 0, 0, 0, 0, 5].into(), [2, 0, 0, 0, 0, 4].into()];
        all.push(Macvtap::new("m0", "d3").mode(MacvlanMode::SOURCE).sources(&sources).into());
        all.push(Nlmon::new("n0").into());
        all.into_iter().try_for_each(|new| tx.create(new).map(drop))
    });
    let now = db.snapshot();
    let bond = now.link("b0").and_then(Link::bond).expect("a bond");
    assert_eq!(bond.arp_ip_target(), Some(&targets[..]));
    let b1 = now.link("b1").and_then(Link::bond).expect("a bond");
    let key = tells_lacp().then_some(5);
    assert_eq!((b1.ad_user_port_key(), b1.ad_lacp_rate()), (key, Some(LacpRate::FAST)));
    if !tells_lacp() {
        let mut tx = db.begin();
        tx.create(Bond::new("b2").mode(BondMode::AD).lacp(5)).expect("a bond");
        let error = rolled_back(tx.commit());
        assert!(error.to_string().contains("initial user namespace"), "{error}");
    }
    // And everything goes, and comes back with its index when that fails.
    undone_and_done(&db, |tx| {
        for name in ["d0", "d1", "d2", "d3", "b0", "b1", "r0", "t0", "n0"] {
            tx.interface(name).remove();
        }
        Ok(())
    });
    assert_eq!(db.snapshot().links().count(), 1);
}

/// Whether bonds tell their numbers of LACP: only who has CAP_NET_ADMIN in the initial user namespace hears them.
fn tells_lacp() -> bool {
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        elsewhere(|| {
            ip(&["link", "add", "b0", "type", "bond", "mode", "802.3ad"]);
            let told = ip_json(&["-details", "link", "show", "b0"]);
            told[0]["linkinfo"]["info_data"].get("ad_user_port_key").is_some()
        })
    });
    *KNOWN
}

trait Lacp {
    fn lacp(self, key: u16) -> Self;
}

impl Lacp for Bond {
    fn lacp(self, key: u16) -> Self {
        self.ad_user_port_key(key).ad_actor_sys_prio(7u16)
    }
}

fn a_vlan_has_the_maps_and_flags_that_it_is_given() {
    need_kinds("dummy vlan");
    let db = open();
    dummies(1);
    scene(
        "link add v9 link d0 type vlan id 9 gvrp on ingress-qos-map 1:2 3:4 egress-qos-map 5:6 0:7",
    );
    undone_and_done(&db, |tx| {
        let options = VlanOptions::new().gvrp(false).mvrp(true);
        let options = options.ingress_qos_map([(3, 5), (7, 9)]).egress_qos_map([(5, 6), (9, 3)]);
        tx.interface("v9").vlan(options).map(drop)
    });
    let v9 = link(&db, "v9");
    let vlan = v9.vlan().expect("a VLAN");
    assert_eq!(vlan.ingress_qos_map(), [(3, 5), (7, 9)]);
    assert_eq!(vlan.egress_qos_map(), [(5, 6), (9, 3)]);
    assert_eq!(
        (vlan.gvrp(), vlan.mvrp(), vlan.reorder_hdr()),
        (Some(false), Some(true), Some(true))
    );
    undone_and_done(&db, |tx| {
        let none = VlanOptions::new().ingress_qos_map([]).egress_qos_map([]);
        tx.interface("v9").vlan(none).map(drop)
    });
    assert_eq!(link(&db, "v9").vlan().map(|vlan| vlan.egress_qos_map()), Some(Vec::new()));
    // From none to some, and back to none.
    undone_and_done(&db, |tx| {
        tx.interface("v9").vlan(VlanOptions::new().egress_qos_map([(1, 1)])).map(drop)
    });
}

fn a_vlan_goes_up_and_down_with_what_is_below_and_comes_back() {
    need_kinds("dummy vlan");
    let db = open();
    dummies(1);
    scene(
        "link add v1 link d0 type vlan id 1
         link add v2 link d0 type vlan id 2
         link add v3 link d0 type vlan id 3 loose_binding on
         link set d0 up
         link set v2 down",
    );
    // Down with it, and up with it, also the one that was down.
    undone_and_done(&db, |tx| {
        tx.interface("d0").down().set_mtu(1400);
        Ok(())
    });
    assert_eq!((link(&db, "v1").is_up(), link(&db, "v1").mtu()), (false, 1400));
    undone_and_done(&db, |tx| {
        tx.interface("d0").up();
        tx.interface("v2").down();
        tx.create(Vlan::new("v4", "d0", 4))?;
        tx.interface("v4").down();
        Ok(())
    });
    let up = |name| link(&db, name).is_up();
    assert_eq!([up("v1"), up("v2"), up("v3"), up("v4")], [true, false, false, false]);
}

fn a_bond_takes_ports_that_are_up() {
    need_kinds("dummy bond");
    let db = open();
    dummies(4);
    scene(
        "link add b0 type bond mode active-backup miimon 100
         link set d0 up
         link set d0 mtu 1400
         addr add 10.1.0.1/24 dev d0
         link set d1 up
         link set d2 up",
    );
    undone_and_done(&db, |tx| {
        tx.interface("b0").add_port("d0")?.add_port("d1")?.add_port("d2")?.add_port("d3")?.up();
        tx.interface("d1").up();
        tx.interface("d2").down();
        tx.interface("d0").bond_port(BondPortOptions::new().queue_id(3u16))?;
        tx.interface("b0").bond(BondOptions::new().min_links(2u32)).map(drop)
    });
    let up = |name| link(&db, name).is_up();
    assert_eq!([up("d0"), up("d1"), up("d2"), up("d3")], [true, true, false, true]);
    let d0 = link(&db, "d0");
    assert_eq!((d0.mtu(), d0.flags().contains(LinkFlags::SLAVE)), (1500, true));
    assert_eq!(d0.bond_port().and_then(|port| port.queue_id()), Some(3));
    // And out again.
    undone_and_done(&db, |tx| {
        tx.interface("b0").del_port("d0")?.del_port("d2")?;
        tx.interface("d0").up();
        Ok(())
    });
    let d0 = link(&db, "d0");
    assert_eq!((d0.mtu(), d0.is_up(), d0.master()), (1400, true, None));
    assert!(!link(&db, "d2").is_up());
}

fn a_bond_gives_its_ports_back_as_they_were() {
    need_kinds("dummy bond");
    let db = open();
    dummies(3);
    scene(
        "link add b0 type bond
         link set b0 mtu 1450
         link set d0 master b0
         link set d1 master b0
         link set d1 mtu 1300
         link set d1 address 02:00:00:00:00:77
         link set d1 down
         link set d0 type bond_slave queue_id 2
         link set b0 up",
    );
    undone_and_done(&db, |tx| {
        tx.interface("b0").del_port("d0")?.del_port("d1")?.add_port("d2")?.set_mtu(1400);
        Ok(())
    });
    assert_eq!(
        link(&db, "d0").address().map(|a| a.to_string()).as_deref(),
        Some("02:00:00:00:00:00")
    );
}

/// `bond_change_mtu`: what its ports were told themselves was forgotten by a rollback, and overwritten by a commit that named
/// both.
fn a_bond_gives_its_mtu_to_ports_that_are_told_none() {
    need_kinds("dummy bond");
    let db = open();
    dummies(3);
    scene(
        "link add b0 type bond
         link set d0 master b0
         link set d1 master b0
         link set d1 mtu 1300
         link set d1 address 02:00:00:00:00:77
         link set b0 up",
    );
    undone_and_done(&db, |tx| {
        tx.interface("b0").set_mtu(1400);
        Ok(())
    });
    assert_eq!((link(&db, "d0").mtu(), link(&db, "d1").mtu()), (1400, 1400));
    undone_and_done(&db, |tx| {
        tx.interface("d0").set_mtu(1350);
        tx.interface("d2").set_mtu(1320);
        tx.interface("b0").add_port("d2")?.set_mtu(1450);
        Ok(())
    });
    let mtu = |name| link(&db, name).mtu();
    assert_eq!([mtu("b0"), mtu("d0"), mtu("d1"), mtu("d2")], [1450, 1350, 1450, 1320]);
}

fn a_bond_that_was_deleted_has_its_ports_and_options_again() {
    need_kinds("dummy bond vlan");
    let db = open();
    dummies(2);
    scene(
        "link add b0 type bond mode 802.3ad lacp_rate fast ad_select bandwidth ad_user_port_key 5 xmit_hash_policy layer2+3 miimon 50 updelay 150
         link set d0 up
         link set d0 down
         link set d0 master b0
         link set d1 master b0
         link set d1 type bond_slave queue_id 2
         link add v4 link b0 type vlan id 4 egress-qos-map 1:2
         link set b0 up
         link set v4 up
         addr add 10.4.0.1/24 dev v4",
    );
    undone_and_done(&db, |tx| {
        tx.interface("b0").remove();
        Ok(())
    });
    assert!(!link(&db, "d0").is_up());
}

fn options_of_a_bond_change_and_come_back_with_what_moved_along() {
    need_kinds("dummy bond");
    let db = open();
    scene("link add b0 type bond mode active-backup miimon 100 updelay 200 downdelay 400");
    let set = |options: fn() -> BondOptions| {
        undone_and_done(&db, |tx| tx.interface("b0").bond(options()).map(drop));
    };
    set(|| BondOptions::new().miimon(50u32));
    set(|| {
        let targets: Vec<IpAddr> = vec![[10, 0, 0, 3].into(), [10, 0, 0, 1].into()];
        let arp = BondOptions::new().arp_interval(100u32).arp_ip_target(targets);
        arp.arp_validate(ArpValidate::BACKUP)
    });
    set(|| {
        let targets: Vec<IpAddr> = vec![Ipv4Addr::new(10, 0, 0, 9).into()];
        BondOptions::new().arp_ip_target(targets)
    });
    set(|| BondOptions::new().arp_interval(0u32).arp_ip_target(Vec::<IpAddr>::new()));
    set(|| BondOptions::new().mode(BondMode::AD).ad_lacp_rate(LacpRate::FAST).miimon(60u32));
    set(|| {
        BondOptions::new().mode(BondMode::BALANCE_XOR).xmit_hash_policy(XmitHashPolicy::LAYER34)
    });
    set(|| {
        BondOptions::new().mode(BondMode::BALANCE_RR).packets_per_slave(9u32).use_carrier(false)
    });
}

/// The kernel takes an address of a port, and so does this crate.
fn a_port_may_have_an_address_of_its_own() {
    need_kinds("veth bridge");
    scene(
        "link add v0 type veth peer name v1
         link add b0 type bridge
         link set v0 up
         addr add 10.0.0.1/24 dev v0",
    );
    let db = open();
    undone_and_done(&db, |tx| {
        tx.interface("b0").add_port("v0")?;
        tx.interface("v0").add_ip("10.0.1.1/24").map(drop)
    });
    let now = db.snapshot();
    let v0 = now.link("v0").expect("v0");
    assert!(v0.master().is_some());
    assert_eq!(now.addresses_of(v0.index()).iter().filter(|a| a.local().is_ipv4()).count(), 2);
}

fn what_a_bond_would_refuse_is_refused_before_it_is_sent() {
    need_kinds("dummy bond");
    let db = open();
    dummies(1);
    scene(
        // Without the link-local addresses, which come when the carrier is looked at.
        "link add b0 type bond
         link set b0 addrgenmode none
         link set d0 addrgenmode none
         link set d0 master b0
         link set b0 up
         link add b1 type bond mode active-backup
         link set b1 addrgenmode none
         link set b1 up",
    );
    db.sync().expect("a snapshot");
    let was = before();
    let check = |name: &str, options: BondOptions, words: &[&str]| {
        let mut tx = db.begin();
        let named = tx.interface(name).bond(options).map(drop);
        let error = match named {
            Ok(()) => refused(tx.commit()).to_string(),
            Err(error) => error.to_string(),
        };
        words.iter().for_each(|word| assert!(error.contains(word), "{error} says not {word}"));
    };
    let mode = |mode| BondOptions::new().mode(mode);
    check("b0", mode(BondMode::AD), &["mode", "has no ports"]);
    check("b1", mode(BondMode::AD), &["mode", "while it is down"]);
    check("b0", BondOptions::new().fail_over_mac(FailOverMac::ACTIVE), &["fail_over_mac", "ports"]);
    check("b0", BondOptions::new().ad_lacp_rate(LacpRate::FAST), &["ad_lacp_rate", "802.3ad"]);
    check("b0", BondOptions::new().active_slave(2u32), &["active_slave", "active-backup"]);
    check("b1", BondOptions::new().updelay(100u32), &["updelay", "without miimon"]);
    check("b1", BondOptions::new().miimon(100u32).updelay(150u32), &["updelay", "a multiple"]);
    let both = BondOptions::new().miimon(100u32).arp_interval(100u32);
    check("b1", both, &["arp_interval", "cannot be used"]);
    let target: Vec<IpAddr> = vec!["fd00::1".parse().expect("an address")];
    check("b1", BondOptions::new().arp_ip_target(target), &["arp_ip_target", "IPv4"]);
    let group = netlinkdb::HardwareAddress::from([1, 0, 0, 0, 0, 1]);
    check("b1", BondOptions::new().ad_actor_system(group), &["ad_actor_system", "group"]);
    check("b1", BondOptions::new().resend_igmp(256u32), &["resend_igmp", "0 to 255"]);
    check("b1", BondOptions::new().lp_interval(0u32), &["lp_interval", "1 to"]);
    // What it is told anew and is so already is no reason to refuse.
    let mut tx = db.begin();
    tx.interface("b0").bond(mode(BondMode::BALANCE_RR).min_links(0u32)).expect("options");
    done(tx);
    exactly_as_before(&db, &was);
    // With the ports gone and the bond down it can be told.
    undone_and_done(&db, |tx| {
        tx.interface("b0").del_port("d0")?.down().bond(mode(BondMode::AD)).map(drop)
    });
    assert_eq!(link(&db, "b0").bond().and_then(|bond| bond.mode()), Some(BondMode::AD));
}

fn the_active_port_is_chosen_when_it_is_a_port() {
    need_kinds("dummy bond");
    let db = open();
    dummies(2);
    scene("link add b0 type bond mode active-backup miimon 100\n link set b0 up");
    db.sync().expect("a snapshot");
    let d1 = link(&db, "d1").index();
    undone_and_done(&db, |tx| {
        tx.interface("b0").add_port("d0")?.add_port("d1")?;
        tx.interface("b0").bond(BondOptions::new().active_slave(d1)).map(drop)
    });
    assert_eq!(link(&db, "b0").bond().and_then(|bond| bond.active_slave()), Some(d1));
    undone_and_done(&db, |tx| tx.interface("b0").bond(BondOptions::new().primary(d1)).map(drop));
    assert_eq!(link(&db, "b0").bond().and_then(|bond| bond.primary()), Some(d1));
}

fn a_vrf_takes_its_ports_and_their_addresses_stay() {
    need_kinds("dummy vrf");
    let db = open();
    dummies(2);
    scene(
        "link add r0 type vrf table 10
         link add r1 type vrf table 11
         link set r0 up
         link set d0 up
         addr add 10.0.0.1/24 dev d0
         addr add fd00::1/64 dev d0 nodad
         addr add fd00::2/64 dev d0 nodad
         route add 10.9.0.0/16 via 10.0.0.2",
    );
    undone_and_done(&db, |tx| {
        tx.interface("r0").add_port("d0")?.add_port("d1")?;
        tx.interface("d0").del_ip("fd00::2/64")?.add_ip("fd00::3/64").map(drop)
    });
    let now = db.sync().expect("a snapshot");
    let d0 = now.link("d0").expect("d0");
    assert_eq!(d0.vrf_port().and_then(|port| port.table()), Some(10));
    let all: Vec<_> = now.addresses_of(d0.index()).iter().map(|a| a.prefix().to_string()).collect();
    for (address, there) in [("10.0.0.1/24", true), ("fd00::1/64", true), ("fd00::2/64", false)] {
        assert_eq!(all.iter().any(|own| own == address), there, "{address} in {all:?}");
    }
    undone_and_done(&db, |tx| tx.interface("r1").add_port("d0").map(drop));
    undone_and_done(&db, |tx| tx.interface("r1").del_port("d0").map(drop));
    let d0 = link(&db, "d0");
    assert_eq!((d0.is_up(), d0.master()), (true, None));
    let main = ip_json(&["-4", "route", "show"]);
    assert_eq!(main.as_array().map(Vec::len), Some(1), "{main}");
}

fn a_vrf_that_was_deleted_has_its_ports_again() {
    need_kinds("dummy vrf");
    let db = open();
    dummies(1);
    scene(
        "link add r0 type vrf table 10
         link set d0 up
         link set d0 master r0
         addr add 10.0.0.1/24 dev d0
         addr add fd00::1/64 dev d0 nodad
         link set r0 up
         route add 10.9.0.0/16 via 10.0.0.2 vrf r0",
    );
    undone_and_done(&db, |tx| {
        tx.interface("r0").remove();
        Ok(())
    });
    ip(&["link", "show", "d0"]);
}

fn a_team_takes_ports_that_are_up() {
    need_kinds("dummy team");
    let db = open();
    dummies(2);
    scene("link add t0 type team\n link set d0 up\n link set d0 mtu 1400");
    undone_and_done(&db, |tx| {
        tx.interface("t0").add_port("d0")?.add_port("d1")?.up();
        Ok(())
    });
    assert_eq!((link(&db, "d0").is_up(), link(&db, "d1").is_up()), (true, true));
    undone_and_done(&db, |tx| {
        tx.interface("t0").del_port("d0")?;
        Ok(())
    });
    assert_eq!((link(&db, "d0").is_up(), link(&db, "d0").mtu()), (false, 1400));
}

/// In silence, and after the last that is told of a port that was down and has no hardware address.
fn a_bond_that_goes_gives_its_ports_their_mtu_back() {
    need_kinds("bond nlmon");
    let db = open();
    scene("link add n0 type nlmon\n link add b0 type bond mode active-backup");
    let own = link(&db, "n0").mtu();
    if !try_ip(&["link", "set", "n0", "master", "b0"]).status.success() {
        skip("this kernel's bonds take no port without a hardware address");
    }
    db.sync().expect("a snapshot");
    let taken = link(&db, "n0").mtu();
    assert_ne!(own, taken);
    ip(&["link", "del", "b0"]);
    assert_eq!(link(&db, "n0").mtu(), own);
    agrees_unasked(&db);
}

fn ports_move_from_one_kind_of_master_to_another() {
    need_kinds("dummy bond vrf bridge");
    let db = open();
    dummies(2);
    scene(
        "link add b0 type bond
         link add b1 type bond mode active-backup
         link add br0 type bridge
         link add r0 type vrf table 10
         link set d0 master br0
         link set d0 type bridge_slave cost 77
         link set d0 up
         link set d1 master b0",
    );
    let moves = [("b0", "d0"), ("b1", "d0"), ("r0", "d0"), ("b1", "d1"), ("br0", "d1")];
    for (master, port) in moves {
        undone_and_done(&db, |tx| {
            tx.interface(master).add_port(port)?;
            tx.interface(port).up();
            Ok(())
        });
        assert_eq!(link(&db, port).master(), Some(link(&db, master).index()));
        assert!(link(&db, port).is_up());
    }
}

fn options_of_ipvlans_and_macvtaps_change_and_come_back() {
    need_kinds("dummy ipvlan ipvtap macvtap");
    let db = open();
    dummies(3);
    scene(
        "link add i0 link d0 type ipvlan mode l2
         link add i1 link d1 type ipvtap mode l3
         link add m0 link d2 type macvtap mode vepa",
    );
    undone_and_done(&db, |tx| {
        let options = IpvlanOptions::new().mode(IpvlanMode::L3).flags(IpvlanFlags::PRIVATE);
        tx.interface("i0").ipvlan(options.clone())?;
        tx.interface("i1").ipvlan(IpvlanOptions::new().flags(IpvlanFlags::VEPA))?;
        tx.interface("m0").macvlan(MacvlanOptions::new().mode(MacvlanMode::PRIVATE)).map(drop)
    });
    assert_eq!(link(&db, "i1").ipvlan().and_then(|i1| i1.flags()), Some(IpvlanFlags::VEPA));
    assert_eq!(link(&db, "m0").macvlan().and_then(|m0| m0.mode()), Some(MacvlanMode::PRIVATE));
}

fn a_stack_of_kinds_comes_and_goes_in_one_transaction() {
    need_kinds("dummy bond vlan vrf bridge macvlan");
    let db = open();
    dummies(2);
    scene("link set d0 up\n link set d1 up\n addr add fd00::9/64 dev d0 nodad");
    undone_and_done(&db, |tx| {
        tx.create(Bond::new("b0").mode(BondMode::ACTIVE_BACKUP).miimon(100u32))?;
        tx.create(Vlan::new("b0.7", "b0", 7))?;
        tx.create(Bridge::new("br0"))?;
        tx.create(Macvlan::new("m0", "br0").mode(MacvlanMode::BRIDGE))?;
        tx.create(Vrf::new("r0", 10))?;
        tx.interface("b0").add_port("d0")?.add_port("d1")?.up();
        tx.interface("br0").add_port("b0.7")?.up();
        tx.interface("b0.7").up();
        tx.interface("r0").add_port("m0")?.up();
        tx.interface("m0").add_ip("10.7.0.1/24")?.add_ip("fd07::1/64")?.up();
        Ok(())
    });
    undone_and_done(&db, |tx| {
        for name in ["r0", "br0", "b0"] {
            tx.interface(name).remove();
        }
        Ok(())
    });
}

fn kinds_that_were_exported_are_loaded_again() {
    need_kinds("dummy vlan bond vrf ipvlan macvtap");
    let db = on("link add d0 address 02:00:00:00:00:10 type dummy
        link add d1 address 02:00:00:00:00:11 type dummy
        link add d2 address 02:00:00:00:00:12 type dummy
        link add d3 address 02:00:00:00:00:13 type dummy
        link add v9 link d0 type vlan id 9 reorder_hdr off gvrp on ingress-qos-map 1:2 3:4 egress-qos-map 5:6 0:7
        link add v0 link d0 type vlan id 0 protocol 802.1ad
        link add b0 address 02:00:00:00:00:20 type bond mode active-backup arp_interval 100 arp_ip_target 10.0.0.1,10.0.0.2 arp_validate all
        link add b1 address 02:00:00:00:00:21 type bond mode 802.3ad lacp_rate fast ad_user_port_key 5 miimon 60 updelay 120
        link set d1 master b0
        link set d1 type bond_slave queue_id 3
        link set b0 up
        link add r0 address 02:00:00:00:00:22 type vrf table 10
        link set d2 up
        link set d2 master r0
        link add i0 link d3 type ipvlan mode l3s private
        address add 10.9.0.1/24 dev v9");
    let was = before();
    let saved = Selection::everything().export(&db.snapshot());
    is_so(&db, &tree(&json(&saved)));
    for name in ["b0", "b1", "r0", "i0", "v0", "v9"] {
        ip(&["link", "del", name]);
    }
    db.resync().expect("a snapshot");
    load(&db, &tree(&json(&saved)));
    exactly_as_before(&db, &was);
    // Options of what is there go back too.
    scene(
        "link set v9 type vlan gvrp off mvrp on egress-qos-map 0:0 2:2\nlink set b0 type bond arp_ip_target 10.0.0.9",
    );
    db.resync().expect("a snapshot");
    load(&db, &saved);
    exactly_as_before(&db, &was);
    is_so(&db, &saved);
}

fn bad_values_of_more_kinds_are_refused() {
    let db = Db::open().expect("a database");
    need_kinds("veth");
    done({
        let mut tx = db.begin();
        tx.create(Veth::new("v0", "v1")).expect("a pair");
        tx
    });
    let check = |new: NewLink, words: &[&str]| {
        let mut tx = db.begin();
        let error = match tx.create(new) {
            Ok(_) => refused(tx.commit()).to_string(),
            Err(error) => error.to_string(),
        };
        words.iter().for_each(|word| assert!(error.contains(word), "{error} says not {word}"));
    };
    check(Vlan::new("v9", "v0", 4095).into(), &["id", "4095", "0 to 4094"]);
    check(Vlan::new("v9", "nobody", 9).into(), &["nobody"]);
    check(NewLink::with_kind("v9", "vlan"), &["v9", "stands on another interface"]);
    check(NewLink::with_kind("v9", "vlan").dev("v0"), &["identifier"]);
    check(NewLink::with_kind("i0", "ipvlan"), &["stands on another interface"]);
    check(NewLink::with_kind("r0", "vrf"), &["table"]);
    check(Vrf::new("r0", 0).into(), &["table", "1 to 4294967295"]);
    check(Vlan::new("v9", "v0", 9).egress_qos_map([(1, 8)]).into(), &["egress_qos", "0 to 7"]);
    check(Vlan::new("v9", "v0", 9).ingress_qos_map([(8, 1)]).into(), &["ingress_qos", "0 to 7"]);
    let both = IpvlanFlags::PRIVATE | IpvlanFlags::VEPA;
    check(Ipvlan::new("i0", "v0").flags(both).into(), &["exclude each other"]);
    check(Hsr::new("h0", 7u32, 7u32).into(), &["two different interfaces"]);
    check(NewLink::with_kind("h0", "hsr"), &["slave2", "two ports"]);
    check(NewLink::with_kind("m0", "macsec"), &["m0", "stands on another interface"]);
    check(NewLink::with_kind("x0", "vxlan"), &["id", "x0", "network identifier"]);
    check(NewLink::with_kind("g0", "geneve"), &["id", "g0", "network identifier"]);
    check(
        NewLink::with_kind("u0", "bareudp"),
        &["dstport", "u0", "a UDP port and an Ethernet type"],
    );
    check(NewLink::with_kind("x0", "xfrm"), &["if_id", "x0", "identifier"]);
    check(
        Bond::new("b0").mode(BondMode::AD).arp_interval(9u32).into(),
        &["arp_interval", "802.3ad"],
    );
    check(Bond::new("b0").active_slave(7u32).into(), &["active_slave", "active-backup"]);
    check(Bond::new("b0").updelay(7u32).into(), &["updelay", "without miimon"]);
}

/// What cannot be known before it is sent: the kernel's words, and the attribute that they are about.
fn what_only_the_kernel_knows_is_told_in_its_words() {
    need_kinds("veth bridge");
    scene("link add v0 type veth peer name v1\n link add b0 type bridge\n link add b1 type bridge");
    let db = open();
    let was = before();
    let check = |fill: &dyn Fn(&mut Transaction) -> Result<()>, errno: i32, words: &[&str]| {
        let mut tx = db.begin();
        fill(&mut tx).expect("an edit");
        let error = rolled_back(tx.commit());
        assert_eq!(error.errno(), Some(errno), "{error}");
        let text = error.to_string();
        words.iter().for_each(|word| assert!(text.contains(word), "{text} says not {word}"));
        exactly_as_before(&db, &was);
    };
    let lacking = NewLink::with_kind("k0", "nosuchkind");
    check(
        &|tx| tx.create(lacking.clone()).map(drop),
        libc::EOPNOTSUPP,
        &["k0 type nosuchkind", "Unknown device type"],
    );
    // A bridge is no port of a bridge (`br_add_if`).
    check(
        &|tx| tx.interface("b0").add_port("b1").map(drop),
        libc::ELOOP,
        &["b1 master b0", "Can not enslave a bridge to a bridge"],
    );
    let group = netlinkdb::HardwareAddress::from([1, 0, 0, 0, 0, 1]);
    check(
        &|tx| {
            tx.interface("v0").set_address(group);
            Ok(())
        },
        libc::EADDRNOTAVAIL,
        &["v0 address 01:00:00:00:00:01"],
    );
    if kind_available("vlan") {
        let twice = |tx: &mut Transaction| {
            tx.create(Vlan::new("v0.7", "v0", 7))?;
            tx.create(Vlan::new("v0.8", "v0", 7)).map(drop)
        };
        check(&twice, libc::EEXIST, &["type vlan", "VLAN device already exists"]);
    }
}

/// The kernel makes them once for a namespace, and without them no VRF works: a rollback leaves them alone.
fn the_rules_of_the_first_vrf_stay() {
    need_kinds("dummy vrf");
    let db = open();
    dummies(1);
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.create(Vrf::new("r0", 10)).expect("a VRF");
    tx.interface("r0").add_port("d0").expect("a port");
    undone(tx);
    let now = db.sync().expect("a snapshot");
    assert!(now.link("r0").is_none());
    let rules = |now: &netlinkdb::Snapshot| -> Vec<String> {
        now.rules().at(1000).iter().map(|rule| rule.line(now)).collect()
    };
    assert_eq!(rules(&now).len(), 2, "{:?}", rules(&now));
    agrees(&db);
}

fn vlan_101(options: fn(Vlan) -> Vlan) -> (Db, Vlan) {
    need_kinds("dummy vlan");
    let db = open();
    dummies(1);
    db.sync().expect("a snapshot");
    (db, options(Vlan::new("v101", "d0", 101)))
}

#[track_caller]
fn vlan_flags_are(vlan: (Db, Vlan), expected: &[&str]) {
    let (db, vlan) = vlan;
    undone_and_done(&db, |tx| tx.create(vlan.clone()).map(drop));
    let told = &ip_json(&["-details", "link", "show", "v101"])[0]["linkinfo"]["info_data"]["flags"];
    assert_eq!(*told, serde_json::json!(expected));
}

/// The ancestor's, of one name: the flag beside the one that the kernel sets.
fn vlan_flags_str() {
    vlan_flags_are(vlan_101(|vlan| vlan.gvrp(true)), &["REORDER_HDR", "GVRP"]);
}

/// The ancestor's, of two names.
fn vlan_flags_list_str() {
    vlan_flags_are(vlan_101(|vlan| vlan.gvrp(true).mvrp(true)), &["REORDER_HDR", "GVRP", "MVRP"]);
}

/// The ancestor's, of flags and a mask: what is named is set or cleared, and nothing else.
fn vlan_flags_dict() {
    let (db, vlan) = vlan_101(|vlan| vlan.reorder_hdr(false).mvrp(true));
    vlan_flags_are((db.clone(), vlan), &["MVRP"]);
    undone_and_done(&db, |tx| {
        tx.interface("v101").vlan(VlanOptions::new().gvrp(true).mvrp(false)).map(drop)
    });
    let vlan = link(&db, "v101");
    let vlan = vlan.vlan().expect("a VLAN");
    let flags = (vlan.gvrp(), vlan.mvrp(), vlan.reorder_hdr());
    assert_eq!(flags, (Some(true), Some(false), Some(false)));
}

/// The ancestor's: a module makes `dummy0` by itself as it is loaded, in the initial namespace only. That is lent by a machine
/// that is the tests' own, and once: while none of the tests has had the module loaded.
fn dummy0_unloaded() {
    if std::env::var_os("NETLINKDB_TEST_MACHINE").is_none_or(|machine| machine != "own") {
        skip("this machine is not the tests' own (NETLINKDB_TEST_MACHINE=own)");
    }
    if std::path::Path::new("/sys/module/dummy").exists() {
        skip("the module `dummy` is loaded already");
    }
    let modprobe = |arguments: &[&str]| {
        let ended = std::process::Command::new("modprobe").args(arguments).status();
        assert!(ended.expect("modprobe").success(), "modprobe {arguments:?}");
    };
    let initial = NetNs::from_path("/proc/1/ns/net").expect("the initial namespace");
    let ended = initial.run(|| {
        let db = Db::open().expect("a database");
        assert!(db.interface("dummy0").is_err());
        modprobe(&["dummy", "numdummies=1"]);
        let dummy0 =
            db.sync().expect("a snapshot").link("dummy0").map(|link| link.kind().map(String::from));
        assert_eq!(dummy0, Some(Some("dummy".to_owned())));
        let handle = db.interface("dummy0").expect("dummy0");
        let error = db.begin().create(Dummy::new("dummy0")).expect_err("a name that is taken");
        assert!(error.is_exists() && error.is_refused(), "{error}");
        agrees(&db);
        modprobe(&["-r", "dummy"]);
        assert!(db.sync().expect("a snapshot").link("dummy0").is_none());
        assert!(handle.link().expect_err("gone").is_stale());
        // The kernel loads the module when the first one is asked for.
        let mut tx = db.begin();
        tx.create(Dummy::new("dummy1")).expect("a dummy");
        let dummy1 = done(tx);
        assert!(dummy1.snapshot().link("dummy1").is_some());
        agrees(&db);
        modprobe(&["-r", "dummy"]);
        assert!(db.sync().expect("a snapshot").link("dummy1").is_none());
        // The module that the request has the kernel load makes the first one: that is not this transaction's, and is said.
        let loader = "/proc/sys/kernel/modprobe";
        let (was, ours) = (std::fs::read(loader).expect(loader), "/run/load-dummy");
        std::fs::write(ours, "#!/bin/sh\nmodprobe -q dummy numdummies=1\n").expect(ours);
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(ours, executable).expect(ours);
        std::fs::write(loader, ours).expect(loader);
        let mut tx = db.begin();
        tx.create(Dummy::new("dummy0")).expect("a dummy");
        let error = rolled_back(tx.commit());
        std::fs::write(loader, was).expect(loader);
        assert!(error.is_exists(), "{error}");
        assert!(db.interface("dummy0").is_ok());
        agrees(&db);
        modprobe(&["-r", "dummy"]);
    });
    ended.expect("to enter it");
}
