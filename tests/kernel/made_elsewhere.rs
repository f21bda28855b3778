//! What is made in another namespace on an interface of this one, and pairs across them.

use crate::joint::{Two, jointly_rolled_back, refused_at_every_step};
use crate::scene::{agrees, open, rolled_back, scene};
use crate::support::namespaces::{
    Elsewhere, kind_available, need_kind, need_kinds, with_capabilities, with_own_run,
};
use crate::support::{ip, ip_available, ip_json, skip, sysctl};
use netlinkdb::{
    AddressSpec, Bond, Bridge, Db, Dummy, Geneve, Gre, GreOptions, Hsr, Ifb, Ipip, Ipvlan, Ipvtap,
    JointTransaction, Link, Macsec, Macvlan, MacvlanMode, Macvtap, NetNs, Netkit, NetkitMode,
    NewLink, Route, Sit, Team, Tun, Veth, Vlan, Vrf, Vxlan, Wireguard,
};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

crate::cases![
    every_kind_is_made_there_and_taken_back,
    it_is_edited_there_in_the_same_transaction,
    what_it_stands_on_may_be_new_whichever_namespace_comes_first,
    what_stands_in_three_namespaces_is_made_from_below,
    a_name_of_here_may_be_one_of_there,
    a_name_that_is_taken_there_is_refused_and_its_namespace_named,
    refused_at_every_step_in_turn_nothing_of_it_is_left,
    what_is_refused_later_in_either_takes_it_back,
    what_others_do_there_survives,
    what_is_not_made_there_is_refused,
    what_the_kernel_refuses_is_told_with_its_words,
    what_cannot_be_taken_back_there_is_said,
    a_tunnel_made_there_keeps_what_it_was_made_with,
    a_savepoint_forgets_it,
    what_its_creation_cannot_say_is_said_there,
    the_review_can_be_typed,
    a_netkit_pair_has_an_end_in_each,
    a_netkit_that_fails_leaves_no_end,
];

/// An interface that something is made on.
fn ens3() {
    scene("link add ens3 type veth peer name ens4\n link set ens3 mtu 1400");
}

fn two() -> Two {
    let two = Two::new();
    ens3();
    two.here.sync().expect("a snapshot");
    two
}

/// One of every kind that is made so, and that this kernel has.
fn kinds() -> Vec<NewLink> {
    let (one, two) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let all: Vec<NewLink> = vec![
        Macvlan::new("eth0", "ens3").mode(MacvlanMode::BRIDGE).mtu(1300).into(),
        Macvtap::new("eth0", "ens3").mode(MacvlanMode::PRIVATE).into(),
        Ipvlan::new("eth0", "ens3").into(),
        Ipvtap::new("eth0", "ens3").into(),
        Vlan::new("eth0", "ens3", 7).mtu(1350).into(),
        Macsec::new("eth0", "ens3").into(),
        Vxlan::new("eth0", 7).port(4789u16).dev("ens3").into(),
        Vxlan::new("eth0", 7).port(4789u16).local(one).remote(two).into(),
        Geneve::new("eth0", 7).remote(two).into(),
        Gre::new("eth0").local(one).remote(two).dev("ens3").into(),
        Ipip::new("eth0").local(one).remote(two).into(),
        Sit::new("eth0").local(one).remote(two).into(),
        Dummy::new("eth0").into(),
        Ifb::new("eth0").txqlen(7).into(),
        Bridge::new("eth0").stp_state(true).into(),
        Bond::new("eth0").into(),
        Team::new("eth0").into(),
        Vrf::new("eth0", 77).into(),
        Wireguard::new("eth0").into(),
        Hsr::new("eth0", "ens3", "ens4").into(),
    ];
    all.into_iter().filter(|new| kind_available(new.kind())).collect()
}

fn every_kind_is_made_there_and_taken_back() {
    let two = two();
    let netns = two.there.netns().expect("a namespace");
    for new in kinds() {
        let kind = new.kind().to_owned();
        println!("{kind}");
        let before = two.before();
        let mut tx = two.here.begin();
        tx.create_in(new, &netns).expect("one that is made there");
        let mut refused = tx.clone();
        refused.on_commit(|now, _| {
            assert!(now.link("eth0").is_none(), "it is not here");
            Err("not content")
        });
        let error = rolled_back(refused.commit());
        assert!(error.is_hook(), "{kind}: {error}");
        two.exactly_as(&before);
        let done = tx.commit().unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(done.snapshot().link("eth0").is_none());
        let there = two.there.sync().expect("a snapshot");
        assert_eq!(there.link("eth0").and_then(Link::kind), Some(&*kind));
        two.agree();
        let mut tx = two.there.begin();
        tx.remove("eth0").expect("a removal");
        tx.commit().expect("a commit");
        two.exactly_as(&before);
    }
}

/// A container's interface, from nothing to its default route.
fn container(two: &Two) -> JointTransaction {
    let mut tx = two.begin();
    tx.at(&two.here).expect("here").interface("ens3").up();
    tx.at(&two.here).expect("here").interface("ens4").up();
    let new = Macvlan::new("eth0", "ens3").mode(MacvlanMode::BRIDGE);
    let eth0 = tx.create_in(&two.here, new, &two.there).expect("a macvlan");
    let there = tx.at(&two.there).expect("there");
    let mut eth0 = there.interface(&eth0);
    eth0.set_mtu(1300).add_ip("10.5.0.2/24").expect("an address").up();
    there.add_route(Route::to("default").via("10.5.0.1")).expect("a route");
    tx
}

fn it_is_edited_there_in_the_same_transaction() {
    need_kind("macvlan");
    let two = two();
    let tx = container(&two);
    let done = tx.commit().expect("a commit");
    let there = done.at(&two.there).expect("there").snapshot();
    let eth0 = there.link("eth0").expect("eth0");
    assert!(eth0.is_up() && eth0.mtu() == 1300 && eth0.kind() == Some("macvlan"));
    assert_eq!(eth0.macvlan().and_then(|data| data.mode()), Some(MacvlanMode::BRIDGE));
    assert!(two.here.snapshot().link("eth0").is_none());
    two.elsewhere.run(|| {
        let told = &ip_json(&["-details", "addr", "show", "dev", "eth0"])[0];
        assert_eq!(told["addr_info"][0]["local"], "10.5.0.2");
        assert_eq!(told["linkinfo"]["info_kind"], "macvlan");
        assert_eq!(ip_json(&["route", "show", "default"])[0]["gateway"], "10.5.0.1");
    });
    two.agree();
}

/// It is made when what is below it is, and raised after that, whoever is named first.
fn what_it_stands_on_may_be_new_whichever_namespace_comes_first() {
    need_kind("macvlan");
    let stacked = kind_available("vlan");
    for turned in [false, true] {
        let two = Two::new();
        let both = if turned { [&two.there, &two.here] } else { [&two.here, &two.there] };
        let before = two.before();
        let build = || {
            let mut tx = Db::transaction_over(both).expect("a transaction");
            let here = tx.at(&two.here).expect("here");
            here.create(Veth::new("ens3", "ens4")).expect("a pair");
            let lower = if stacked { "v9" } else { "ens3" };
            if stacked {
                here.create(Vlan::new("v9", "ens3", 9)).expect("a VLAN");
            }
            for name in ["ens3", "ens4", lower] {
                here.interface(name).up();
            }
            here.interface("ens3").set_mtu(1700);
            let eth0 = tx.create_in(&two.here, Macvlan::new("eth0", lower), &two.there);
            let eth0 = eth0.expect("a macvlan");
            let there = tx.at(&two.there).expect("there");
            there.interface(&eth0).set_mtu(if stacked { 1500 } else { 1600 }).up();
            if stacked {
                let q0 = there.create(Vlan::new("q0", "eth0", 8)).expect("a VLAN on it");
                there.interface(&q0).add_ip("10.5.0.2/24").expect("an address").up();
            } else {
                let m0 = there.create(Macvlan::new("m0", "eth0")).expect("one on it");
                there.interface(&m0).add_ip("10.5.0.2/24").expect("an address").up();
            }
            tx
        };
        let mut refused = build();
        refused.at(&two.there).expect("there").on_commit(|_, _| Err("not content"));
        let error = jointly_rolled_back(refused.commit());
        assert!(error.is_hook(), "{error}");
        two.exactly_as(&before);
        let done = build().commit().expect("a commit");
        let there = done.at(&two.there).expect("there").snapshot();
        assert!(there.link("eth0").is_some_and(|eth0| eth0.is_up()));
        two.agree();
        scene("link del ens3");
    }
}

/// Each on one that the transaction makes, in another namespace than the last; the uppermost is named first.
fn what_stands_in_three_namespaces_is_made_from_below() {
    need_kind("macvlan");
    let two = Two::new();
    let third = Elsewhere::new();
    let third = NetNs::from_path(&third.path).expect("a namespace");
    let top = Db::builder().netns(&third).open().expect("a database");
    let before = two.before();
    let upper = if kind_available("vlan") { "vlan" } else { "macvlan" };
    let build = || {
        let mut tx = Db::transaction_over([&top, &two.there, &two.here]).expect("a transaction");
        tx.at(&two.here).expect("here").create(Veth::new("ens3", "ens4")).expect("a pair");
        let m0 = Macvlan::new("m0", "ens3").mode(MacvlanMode::BRIDGE);
        let m0 = tx.create_in(&two.here, m0, &two.there).expect("a macvlan");
        let new = NewLink::from(Vlan::new("q0", &m0, 9));
        let new = if upper == "vlan" { new } else { Macvlan::new("q0", &m0).into() };
        let q0 = tx.create_in(&two.there, new, &top).expect("one on that");
        tx.at(&top).expect("on top").interface(&q0).add_ip("10.5.0.2/24").expect("ip").up();
        tx.at(&two.there).expect("there").interface(&m0).up();
        tx.at(&two.here).expect("here").interface("ens3").up();
        tx.at(&two.here).expect("here").interface("ens4").up();
        tx
    };
    let mut refused = build();
    refused.at(&two.here).expect("here").on_commit(|_, _| Err("not content"));
    assert!(jointly_rolled_back(refused.commit()).is_hook());
    two.exactly_as(&before);
    assert_eq!(top.sync().expect("a snapshot").link_count(), 1);
    let done = build().commit().expect("a commit");
    let q0 = done.at(&top).expect("on top").snapshot().link("q0").cloned().expect("q0");
    assert!(q0.is_up() && q0.kind() == Some(upper));
    two.agree();
    // One transaction of one database sends to both.
    let mut tx = two.here.begin();
    let there = two.there.netns().expect("a namespace");
    for (name, netns) in [("n0", &there), ("n1", &third), ("n2", &there)] {
        tx.create_in(Macvlan::new(name, "ens3"), netns).expect("a macvlan");
    }
    let mut refused = tx.clone();
    refused.on_commit(|_, _| Err("not content"));
    assert!(rolled_back(refused.commit()).is_hook());
    let names = |db: &Db| {
        let now = db.sync().expect("a snapshot");
        now.links().map(|link| link.name().to_owned()).collect::<Vec<_>>()
    };
    assert!(!names(&two.there).iter().chain(&names(&top)).any(|name| name.starts_with('n')));
    tx.commit().expect("a commit");
    let there = names(&two.there);
    assert!(["n0", "n2"].iter().all(|name| there.iter().any(|own| own == name)), "{there:?}");
    assert!(names(&top).iter().any(|own| own == "n1"));
    two.agree();
}

/// Before Linux 6.15 the kernel compared it with the names of here.
fn a_name_of_here_may_be_one_of_there() {
    need_kind("macvlan");
    let two = Two::new();
    let build = |name: &str| {
        let mut tx = two.begin();
        let new = Macvlan::new(name, "eth0").mode(MacvlanMode::BRIDGE).mtu(1300);
        let own = tx.create_in(&two.here, new, &two.there).expect("a macvlan");
        tx.at(&two.there).expect("there").interface(&own).add_ip("10.5.0.2/24").expect("ip").up();
        (tx, own)
    };
    scene(
        "link add eth0 type veth peer name eth1\n link set eth0 up\n link property add dev eth1 altname other",
    );
    two.here.sync().expect("a snapshot");
    for name in ["eth0", "other"] {
        let before = two.before();
        let (mut refused, _) = build(name);
        refused.at(&two.here).expect("here").on_commit(|_, _| Err("not content"));
        jointly_rolled_back(refused.commit());
        two.exactly_as(&before);
        let (tx, own) = build(name);
        let done = tx.commit().expect("a commit");
        let own = done.at(&two.there).expect("there").interface(&own).expect("eth0");
        assert_eq!((&*own.name().expect("a name"), own.link().expect("it").mtu()), (name, 1300));
    }
    // One that this transaction makes here, and one that gets the name.
    let netns = two.there.netns().expect("a namespace");
    let mut tx = two.here.begin();
    tx.create_in(Macvlan::new("x0", "eth0"), &netns).expect("a macvlan");
    tx.create_in(Macvlan::new("y0", "eth0"), &netns).expect("a macvlan");
    tx.create(Veth::new("x0", "x1")).expect("a pair");
    tx.interface("eth1").set_name("y0").expect("a name");
    tx.interface("eth1").up();
    let now = tx.commit().expect("a commit").snapshot().clone();
    let kind = |now: &netlinkdb::Snapshot, name: &str| now.link(name)?.kind().map(str::to_owned);
    assert_eq!(kind(&now, "x0").as_deref(), Some("veth"));
    let there = two.there.sync().expect("a snapshot");
    for name in ["x0", "y0"] {
        assert_eq!(kind(&there, name).as_deref(), Some("macvlan"), "{name}");
    }
    two.agree();
}

fn a_name_that_is_taken_there_is_refused_and_its_namespace_named() {
    need_kind("macvlan");
    let two = two();
    let netns = two.there.netns().expect("a namespace");
    let title = netns.to_string();
    let new = || Macvlan::new("eth0", "ens3");
    let mut late = two.begin();
    late.create_in(&two.here, new(), &two.there).expect("free as yet");
    let error = late.create_in(&two.here, new(), &two.there).expect_err("twice");
    assert!(error.is_exists() && error.to_string().contains(&title), "{error}");
    two.elsewhere.run(|| scene("link add eth0 type ifb"));
    two.there.sync().expect("a snapshot");
    let before = two.before();
    let check = |error: netlinkdb::Error| {
        assert!(error.is_refused() && error.is_exists(), "{error}");
        let text = error.to_string();
        assert!(text.contains(&title) && text.contains("`eth0`"), "{text}");
    };
    // At once, where the database of there is known; otherwise by the commit.
    let mut tx = two.begin();
    check(tx.create_in(&two.here, new(), &two.there).expect_err("taken"));
    assert!(tx.review().expect("a review").is_empty());
    check(late.commit().expect_err("taken since").into());
    let mut tx = two.here.begin();
    tx.create_in(new(), &netns).expect("not known yet");
    check(tx.commit().expect_err("taken").into());
    let mut tx = two.here.begin();
    tx.create_in(Macvlan::new("m0", "ens3"), &netns).expect("a macvlan");
    tx.create_in(Macvlan::new("m0", "ens3"), &netns).expect("not known yet");
    let error = tx.commit().expect_err("twice");
    assert!(error.is_exists() && error.to_string().contains("`m0`"), "{error}");
    two.exactly_as(&before);
    // Where the one that has it goes, it is free.
    let mut tx = two.begin();
    tx.at(&two.there).expect("there").remove("eth0").expect("a removal");
    tx.create_in(&two.here, new(), &two.there).expect("a macvlan");
    let mut refused = tx.clone();
    refused.at(&two.there).expect("there").on_commit(|_, _| Err("not content"));
    jointly_rolled_back(refused.commit());
    two.exactly_as(&before);
    let done = tx.commit().expect("a commit");
    let eth0 = done.at(&two.there).expect("there").snapshot().link("eth0").cloned();
    assert_eq!(eth0.as_ref().and_then(Link::kind), Some("macvlan"));
    two.agree();
}

fn refused_at_every_step_in_turn_nothing_of_it_is_left() {
    need_kind("macvlan");
    let two = two();
    // Renamed there, too.
    scene("link add eth0 type ifb");
    two.here.sync().expect("a snapshot");
    let before = two.before();
    let steps = refused_at_every_step(&two, &before, container, |step, error| {
        let renames = error.step().is_some_and(|step| step.contains(" name eth0 (in"));
        assert_eq!(renames, step == 1, "it is made, then it gets its name: {error}");
        assert!(!error.to_string().contains("dev eth0 name eth0"), "{error}");
    });
    assert!(steps >= 6, "{steps}");
    two.agree();
}

fn what_is_refused_later_in_either_takes_it_back() {
    need_kind("macvlan");
    let two = two();
    let before = two.before();
    for own in [&two.here, &two.there] {
        let mut tx = container(&two);
        let wrong = Route::to("10.99.0.0/16").via("172.16.0.1");
        tx.at(own).expect("a member").add_route(wrong).expect("a route");
        let error = jointly_rolled_back(tx.commit());
        assert_eq!(error.errno(), Some(libc::ENETUNREACH), "{error}");
        two.exactly_as(&before);
        let mut tx = error.into_transaction();
        let address: AddressSpec = "172.16.0.2/24".parse().expect("an address");
        let name = if own.netns().unwrap() == two.here.netns().unwrap() { "ens3" } else { "eth0" };
        tx.at(own).expect("a member").interface(name).add_ip(address).expect("an address");
        let mut mended = tx.clone();
        mended.at(own).expect("a member").on_commit(|_, _| Err("not content"));
        assert!(jointly_rolled_back(mended.commit()).is_hook());
        two.exactly_as(&before);
    }
    let mut tx = two.here.begin();
    tx.create_in(Macvlan::new("eth0", "ens3"), &two.there.netns().unwrap()).expect("a macvlan");
    tx.add_route(Route::to("10.99.0.0/16").via("172.16.0.1")).expect("a route");
    let error = rolled_back(tx.commit());
    assert_eq!(error.errno(), Some(libc::ENETUNREACH), "{error}");
    two.exactly_as(&before);
}

fn what_others_do_there_survives() {
    need_kind("macvlan");
    let two = two();
    let mut tx = container(&two);
    let path = two.elsewhere.path.clone();
    tx.at(&two.here).expect("here").on_commit(move |_, _| {
        let there = NetNs::from_path(&path).expect("a namespace");
        there.run(|| scene("link add theirs type ifb\n link set lo mtu 60000")).expect("a run");
        Err("not content")
    });
    jointly_rolled_back(tx.commit());
    let there = two.there.sync().expect("a snapshot");
    assert!(there.link("theirs").is_some() && there.link("eth0").is_none());
    assert_eq!(there.link("lo").map(Link::mtu), Some(60000));
    // Another program deletes it before it is taken back, and makes its own of that name.
    let path = two.elsewhere.path.clone();
    let mut tx = container(&two);
    tx.at(&two.here).expect("here").on_commit(move |_, _| {
        let there = NetNs::from_path(&path).expect("a namespace");
        there.run(|| scene("link del eth0\n link add eth0 type ifb")).expect("a run");
        Err("not content")
    });
    jointly_rolled_back(tx.commit());
    let there = two.there.sync().expect("a snapshot");
    assert_eq!(there.link("eth0").and_then(Link::kind), Some("ifb"));
    two.agree();
}

fn what_is_not_made_there_is_refused() {
    let two = two();
    let before = two.before();
    let netns = two.there.netns().expect("a namespace");
    let own = two.here.netns().expect("a namespace");
    let mut tx = two.here.begin();
    let mut refused = |new: NewLink, to: &NetNs, words: &str| {
        let error = tx.create_in(new, to).expect_err("refused");
        assert!(error.is_refused() && error.to_string().contains(words), "{error}");
    };
    refused(Macvlan::new("eth0", "ens3").into(), &own, "the one of this database");
    refused(Macvlan::new("eth0", "nobody").into(), &netns, "`nobody`");
    refused(Macvlan::new("a/b", "ens3").into(), &netns, "`a/b`");
    refused(Veth::new("eth0", "host").into(), &netns, "create_with_peer_in");
    refused(Netkit::new("eth0", "host").into(), &netns, "create_with_peer_in");
    refused(Tun::tap("eth0").into(), &netns, "calls on a device");
    let bond = Bond::new("eth0").mode(netlinkdb::BondMode::ACTIVE_BACKUP).active_slave("ens3");
    refused(bond.into(), &netns, "its ports");
    assert!(tx.review().is_empty());
    // What is there is none of here: it has no name, and what is below it cannot go.
    tx.create_in(Macvlan::new("eth0", "ens3"), &netns).expect("a macvlan");
    assert!(tx.move_to("eth0", &netns).expect_err("unknown").is_not_found());
    let mut removing = tx.clone();
    removing.remove("ens3").expect("a removal");
    let error = removing.commit().expect_err("removed");
    assert!(error.is_refused() && error.to_string().contains("`eth0`"), "{error}");
    let mut moving = tx.clone();
    moving.move_to("ens3", &netns).expect("a move");
    let error = moving.commit().expect_err("moved");
    assert!(error.is_refused() && error.to_string().contains("`eth0`"), "{error}");
    tx.create(Bridge::new("br0")).expect("a bridge");
    let mut on_new = tx.clone();
    on_new.create_in(Macvlan::new("m0", "br0"), &netns).expect("a macvlan");
    let error = on_new.remove("br0").expect_err("used");
    assert!(error.is_refused() && error.to_string().contains("`m0`"), "{error}");
    let error = tx.move_to("br0", &netns).expect_err("new");
    assert!(error.is_refused() && error.to_string().contains("`create_in`"), "{error}");
    // It is in no journal, and is not confirmed later.
    let error = tx.commit_confirmed(std::time::Duration::from_secs(5)).expect_err("confirmed");
    assert!(error.is_refused() && error.to_string().contains("confirmed"), "{error}");
    let path = std::env::temp_dir().join(format!("elsewhere-{}.journal", std::process::id()));
    let db = Db::builder().journal(&path).open().expect("a database");
    let mut tx = db.begin();
    tx.create_in(Macvlan::new("eth0", "ens3"), &netns).expect("a macvlan");
    let error = tx.commit().expect_err("a journal");
    std::fs::remove_file(&path).expect("the journal");
    assert!(error.is_refused() && error.to_string().contains("journal"), "{error}");
    two.exactly_as(&before);
}

fn what_the_kernel_refuses_is_told_with_its_words() {
    need_kind("macvlan");
    let two = two();
    let before = two.before();
    let netns = two.there.netns().expect("a namespace");
    let mut tx = two.here.begin();
    tx.create_in(NewLink::with_kind("k0", "nosuchkind"), &netns).expect("a kind");
    let error = rolled_back(tx.commit());
    assert_eq!(error.errno(), Some(libc::EOPNOTSUPP), "{error}");
    assert!(error.step().is_some_and(|step| step.contains("netns")), "{error}");
    // An index that is taken there.
    let mut tx = two.begin();
    tx.create_in(&two.here, Macvlan::new("eth0", "ens3").index(1), &two.there).expect("a macvlan");
    let error = jointly_rolled_back(tx.commit());
    assert!(error.errno().is_some(), "{error}");
    two.exactly_as(&before);
    // Without privilege nothing is made.
    let mut tx = two.begin();
    tx.create_in(&two.here, Macvlan::new("eth0", "ens3"), &two.there).expect("a macvlan");
    with_capabilities(false);
    let ended = tx.commit();
    with_capabilities(true);
    let error = jointly_rolled_back(ended);
    assert!(error.is_permission(), "{error}");
    two.exactly_as(&before);
}

/// All that is refused from the third lot on is refused to the rollback, too.
fn what_cannot_be_taken_back_there_is_said() {
    need_kind("macvlan");
    let two = two();
    let title = two.there.netns().expect("a namespace").to_string();
    let mut tx = container(&two);
    let answered = AtomicU32::new(0);
    tx.at(&two.here).expect("here").on_progress(move |_| {
        if answered.fetch_add(1, Ordering::Relaxed) == 1 {
            with_capabilities(false);
        }
    });
    let ended = tx.commit();
    with_capabilities(true);
    let error = ended.expect_err("no privilege");
    assert!(error.is_torn() && error.is_permission(), "{error}");
    let left = error.residue();
    let left: Vec<_> = left.iter().filter(|one| one.what.contains("`eth0`")).collect();
    let [eth0] = &left[..] else { panic!("{error}") };
    assert!(eth0.what.contains(&title) && eth0.failure.is_some(), "{eth0}");
    assert_eq!((&*eth0.was, &*eth0.is), ("none", "there"));
    assert!(two.there.sync().expect("a snapshot").link("eth0").is_some());
    two.agree();
}

/// The kernel takes the options of a tunnel as a whole: what is not said again is lost.
fn a_tunnel_made_there_keeps_what_it_was_made_with() {
    need_kind("gre");
    let two = two();
    let before = two.before();
    let (local, remote) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let mut tx = two.begin();
    let new = Gre::new("g0").local(local).remote(remote).key(7);
    let g0 = tx.create_in(&two.here, new, &two.there).expect("a tunnel");
    let there = tx.at(&two.there).expect("there");
    there.interface(&g0).gre(GreOptions::new().ttl(9u8)).expect("a ttl").up();
    let mut refused = tx.clone();
    refused.at(&two.here).expect("here").on_commit(|_, _| Err("not content"));
    assert!(jointly_rolled_back(refused.commit()).is_hook());
    two.exactly_as(&before);
    let done = tx.commit().expect("a commit");
    let g0 = done.at(&two.there).expect("there").interface(&g0).expect("g0");
    let g0 = g0.link().expect("g0");
    let data = g0.gre().expect("a tunnel");
    assert_eq!((data.ttl(), data.ikey(), data.remote()), (Some(9), Some(7), Some(remote)));
    two.agree();
}

fn a_savepoint_forgets_it() {
    need_kind("macvlan");
    let two = two();
    let netns = two.there.netns().expect("a namespace");
    let mut tx = two.here.begin();
    tx.interface("ens3").up();
    let only_up = tx.savepoint();
    tx.create_in(Macvlan::new("eth0", "ens3"), &netns).expect("a macvlan");
    let both = tx.savepoint();
    tx.rollback_to(&only_up).expect("a savepoint");
    // It reaches no other namespace any more, and so may wait to be confirmed.
    let pending = tx.clone().commit_confirmed(std::time::Duration::from_secs(60)).expect("here");
    pending.confirm().expect("a confirmation");
    assert!(two.there.sync().expect("a snapshot").link("eth0").is_none());
    let mut tx = two.here.begin();
    assert!(tx.rollback_to(&both).expect_err("another transaction").is_refused());
    let before_it = tx.savepoint();
    tx.create_in(Macvlan::new("eth0", "ens3"), &netns).expect("a macvlan");
    let with_it = tx.savepoint();
    tx.rollback_to(&before_it).expect("a savepoint");
    tx.rollback_to(&with_it).expect("a savepoint");
    tx.commit().expect("a commit");
    assert!(two.there.sync().expect("a snapshot").link("eth0").is_some());
    // Forgotten in one of two namespaces only: what is edited there is told to come from nowhere.
    let mut tx = two.begin();
    let without = [&two.here, &two.there].map(|db| tx.at(db).expect("a member").savepoint());
    let eth1 = tx.create_in(&two.here, Macvlan::new("eth1", "ens3"), &two.there).expect("one");
    let there = tx.at(&two.there).expect("there");
    there.interface(&eth1).up();
    let error = there.remove(&eth1).expect_err("it is still made");
    assert!(error.is_refused() && error.to_string().contains("`eth1`"), "{error}");
    let mut stray = tx.clone();
    stray.at(&two.here).expect("here").rollback_to(&without[0]).expect("a savepoint");
    let error = stray.commit().expect_err("from nowhere");
    assert!(error.is_refused() && error.to_string().contains("`eth1`"), "{error}");
    tx.at(&two.there).expect("there").rollback_to(&without[1]).expect("a savepoint");
    let done = tx.commit().expect("a commit");
    let eth1 = done.at(&two.there).expect("there").snapshot().link("eth1").cloned();
    assert!(eth1.is_some_and(|eth1| !eth1.is_up()));
    two.agree();
}

/// A bridge keeps an mtu of its own only when it is told it after it is made.
fn what_its_creation_cannot_say_is_said_there() {
    let two = Two::new();
    let netns = two.there.netns().expect("a namespace");
    for mtu in [1400, 1500] {
        let before = two.before();
        let mut tx = two.here.begin();
        tx.create_in(Bridge::new("br0").mtu(mtu).stp_state(true), &netns).expect("a bridge");
        let mut refused = tx.clone();
        refused.on_commit(|_, _| Err("not content"));
        rolled_back(refused.commit());
        two.exactly_as(&before);
        tx.commit().expect("a commit");
        two.elsewhere
            .run(|| scene("link add p0 type veth peer name p1\n link set p0 mtu 1300 master br0"));
        let there = two.there.sync().expect("a snapshot");
        assert_eq!(there.link("br0").map(Link::mtu), Some(mtu), "its own");
        two.agree();
        two.elsewhere.run(|| scene("link del br0\n link del p0"));
        two.there.sync().expect("a snapshot");
    }
}

fn the_review_can_be_typed() {
    need_kind("macvlan");
    if !ip_available() {
        skip("there is no ip here");
    }
    with_own_run(|| {
        let blue = NetNs::create("blue").expect("a namespace");
        sysctl("ipv6.conf.default.addr_gen_mode", 1);
        ens3();
        let db = open();
        let mut tx = db.begin();
        let new = Macvlan::new("eth0", "ens3").mode(MacvlanMode::PRIVATE).mtu(1300).txqlen(7);
        tx.create_in(new, &blue).expect("a macvlan");
        let review = tx.review();
        let [command] = review.commands() else { panic!("{review}") };
        assert_eq!(
            command,
            "ip link add link ens3 name eth0 netns blue mtu 1300 txqueuelen 7 type macvlan mode private"
        );
        assert!(review.to_string().contains("+ interface, macvlan, in namespace blue"), "{review}");
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        ip(&words);
        let guest = Db::builder().netns(&blue).open().expect("a database");
        let seen = |link: &Link| {
            let mode = link.macvlan().and_then(|data| data.mode());
            (link.kind().map(str::to_owned), link.mtu(), link.txqlen(), mode)
        };
        let typed = guest.interface("eth0").expect("eth0").link().map(|link| seen(&link));
        guest.interface("eth0").expect("eth0").remove().commit().expect("a removal");
        tx.commit().expect("a commit");
        let committed = guest.sync().expect("a snapshot").link("eth0").map(seen);
        assert_eq!(typed.ok(), committed);
        NetNs::remove("blue").expect("a removal");
    });
}

fn netkit() -> Netkit {
    Netkit::new("host", "eth0").mode(NetkitMode::L2).peer_mtu(1400)
}

fn a_netkit_pair_has_an_end_in_each() {
    need_kinds("netkit");
    let two = Two::new();
    let netns = two.there.netns().expect("a namespace");
    let mut tx = two.begin();
    let (host, eth0) = tx.create_pair(&two.here, netkit(), &two.there).expect("a pair");
    tx.at(&two.here).expect("here").interface(&host).add_ip("10.5.0.1/24").expect("ip").up();
    let there = tx.at(&two.there).expect("there");
    there.interface(&eth0).add_ip("10.5.0.2/24").expect("an address").up();
    there.add_route(Route::to("default").via("10.5.0.1")).expect("a route");
    let review = tx.review().expect("a review").to_string();
    assert!(review.contains("type netkit mode l2 peer name eth0 netns"), "{review}");
    let done = tx.commit().expect("a commit");
    let eth0 = done.at(&two.there).expect("there").interface(&eth0).expect("eth0");
    let eth0 = eth0.link().expect("eth0");
    assert_eq!((eth0.kind(), eth0.mtu(), eth0.is_up()), (Some("netkit"), 1400, true));
    assert_eq!(eth0.netkit().and_then(|data| data.primary()), Some(false));
    two.agree();
    let mut tx = two.here.begin();
    tx.remove("host").expect("a removal");
    tx.commit().expect("a commit");
    assert!(two.there.sync().expect("a snapshot").link("eth0").is_none());
    let mut tx = two.here.begin();
    let host = tx.create_with_peer_in(netkit(), &netns).expect("a pair");
    tx.interface(&host).up();
    let done = tx.commit().expect("a commit");
    assert!(done.interface(&host).expect("host").link().expect("host").is_up());
    assert!(two.there.sync().expect("a snapshot").link("eth0").is_some());
    two.agree();
}

fn a_netkit_that_fails_leaves_no_end() {
    need_kinds("netkit");
    let two = Two::new();
    let before = two.before();
    let mut tx = two.begin();
    let (host, eth0) = tx.create_pair(&two.here, netkit(), &two.there).expect("a pair");
    tx.at(&two.here).expect("here").interface(&host).up();
    tx.at(&two.there).expect("there").interface(&eth0).up();
    let mut refused = tx.clone();
    refused.at(&two.there).expect("there").on_commit(|_, _| Err("not content"));
    jointly_rolled_back(refused.commit());
    two.exactly_as(&before);
    let wrong = Route::to("10.99.0.0/16").via("172.16.0.1");
    tx.at(&two.there).expect("there").add_route(wrong).expect("a route");
    assert_eq!(jointly_rolled_back(tx.commit()).errno(), Some(libc::ENETUNREACH));
    two.exactly_as(&before);
    agrees(&two.here);
}
