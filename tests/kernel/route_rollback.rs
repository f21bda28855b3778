//! Commits of routes that fail: wherever they do, every route is afterwards exactly what it was, those too that the
//! kernel took away in silence.

use crate::route_scene::{kernel, rolled_back, scene, shown, two_links, undone, undone_after};
use crate::scene::{agrees_unasked, before, exactly_as_before, sysctl};
use crate::support::{ip, quiesce_and_compare};
use netlinkdb::{Bridge, Db, Ending, Hop, Result, Route, RouteFilter, Transaction, Veth};

crate::cases![
    what_was_added_changed_and_removed_goes_back,
    a_failure_after_every_step_leaves_nothing,
    an_unreachable_gateway_is_told_in_the_kernels_words,
    a_failed_transaction_is_mended,
    a_list_is_in_its_order_again,
    ipv6_legs_are_as_they_were,
    routes_of_a_link_that_went_down_come_back,
    routes_of_a_list_whose_other_one_was_changed_come_back_too,
    routes_of_a_deleted_link_come_back,
    routes_of_a_deleted_address_come_back,
    routes_come_back_when_a_secondary_was_promoted,
    routes_come_back_after_an_mtu_too_small_for_ipv6,
    routes_come_back_when_a_link_leaves_its_bridge,
    a_restored_route_carries_no_volatile_flag,
    a_restored_route_still_expires,
    every_kind_of_route_comes_back,
    routes_of_others_survive,
    what_another_program_replaced_meanwhile_stays,
    what_another_program_replaced_at_the_head_of_a_list_stays,
    what_another_program_added_meanwhile_stays,
    what_another_program_removed_meanwhile_stays_away,
    a_table_goes_back,
];

const MIXED: &str = "route add 10.2.0.0/16 via 10.0.0.2 mtu 1400
    route append 10.2.0.0/16 via 10.0.0.3
    route append 10.2.0.0/16 dev vb
    route append 10.2.0.0/16 via 10.0.1.4
    route add 10.3.0.0/16 nexthop via 10.0.0.2 weight 5 nexthop via 10.0.1.2
    route add 10.4.0.0/16 via 10.0.0.2 src 10.0.0.1
    route add 10.5.0.0/16 dev va metric 7
    route add default via 10.0.0.2
    route add blackhole 10.8.0.0/16
    -6 route add fd02::/16 nexthop via fd00::2 nexthop via fd00::3 weight 7 nexthop via fd01::2
    -6 route add fd03::/16 dev va
    -6 route append fd03::/16 dev vb
    -6 route add fd05::/16 via fd00::2 hoplimit 9
    -6 route add default via fd00::2";

type Step = fn(&mut Transaction) -> Result<()>;

/// One of each, none in the way of another.
const STEPS: &[Step] = &[
    |tx| tx.add_route(Route::to("10.20.0.0/16").via("10.0.0.2")).map(drop),
    |tx| tx.append_route(Route::to("10.2.0.0/16").via("10.0.0.9")).map(drop),
    |tx| tx.prepend_route(Route::to("10.5.0.0/16").dev("vb").priority(7)).map(drop),
    |tx| tx.remove_route(Route::to("10.2.0.0/16").via("10.0.0.3")).map(drop),
    |tx| tx.replace_route(Route::to("10.4.0.0/16").blackhole()).map(drop),
    |tx| {
        tx.change_route(Route::to("10.3.0.0/16"), |route| route.del_nexthop(Hop::via("10.0.0.2")))
            .map(drop)
    },
    |tx| tx.change_route(Route::to("default").via("10.0.0.2"), |route| route.priority(9)).map(drop),
    |tx| tx.remove_route(Route::to("10.8.0.0/16")).map(drop),
    |tx| tx.remove_route(Route::to("fd02::/16").via("fd00::3")).map(drop),
    |tx| {
        tx.change_route(Route::to("fd05::/16"), |route| route.via("fd01::2").hoplimit(7)).map(drop)
    },
    |tx| tx.remove_route(Route::to("fd03::/16").dev("va")).map(drop),
    |tx| {
        tx.add_route(
            Route::to("fd20::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("fd01::2")),
        )
        .map(drop)
    },
    |tx| tx.replace_route(Route::to("default").via("fd01::2")).map(drop),
    |tx| {
        let br0 = tx.create(Bridge::new("br0"))?;
        tx.interface(&br0).add_ip("10.9.0.1/24")?.up();
        tx.add_route(Route::to("10.21.0.0/16").via("10.9.0.2")).map(drop)
    },
    |tx| tx.interface("vb").add_ip("10.1.1.1/24").map(drop),
    |tx| {
        tx.sync_routes(
            RouteFilter::table(100),
            (0..50).map(|at| Route::to(format!("10.100.{at}.0/24")).via("10.0.0.2").table(100)),
        )
        .map(drop)
    },
];

fn what_was_added_changed_and_removed_goes_back() {
    let db = two_links();
    scene(MIXED);
    STEPS.iter().for_each(|step| undone(&db, step));
    undone(&db, |tx| STEPS.iter().try_for_each(|step| step(tx)));
}

/// The kernel refuses a route after the first, the first two and so on of all steps: it is planned in each turn.
fn a_failure_after_every_step_leaves_nothing() {
    let db = two_links();
    scene(MIXED);
    let poisons: [Step; 3] = [
        |tx| tx.add_route(Route::to("10.99.0.0/16").via("172.31.0.1")).map(drop),
        |tx| tx.add_route(Route::to("fd99::/16").via("fdff::1")).map(drop),
        |tx| {
            // The kernel refuses a source that is none of its addresses.
            tx.add_route(Route::to("10.99.0.0/16").dev("va").src("10.88.0.1")).map(drop)
        },
    ];
    for count in 0..=STEPS.len() {
        let poison = poisons[count % poisons.len()];
        rolled_back(&db, |tx| {
            STEPS[..count].iter().try_for_each(|step| step(tx))?;
            poison(tx)
        });
    }
}

fn an_unreachable_gateway_is_told_in_the_kernels_words() {
    let db = two_links();
    let error = rolled_back(&db, |tx| {
        tx.add_route(Route::to("10.20.0.0/16").via("10.0.0.2"))?;
        tx.add_route(Route::to("10.99.0.0/16").via("172.31.0.1").mtu(1400)).map(drop)
    });
    assert_eq!(
        error.step(),
        Some("ip route add 10.99.0.0/16 via 172.31.0.1 proto static mtu 1400")
    );
    assert_eq!(error.errno(), Some(libc::ENETUNREACH));
    assert_eq!(error.kernel_message(), Some("Nexthop has invalid gateway"));
    let error = rolled_back(&db, |tx| {
        tx.add_route(
            Route::to("10.99.0.0/16")
                .dev("va")
                .encap(netlinkdb::Encap::raw(netlinkdb::EncapType(250), &[])),
        )
        .map(drop)
    });
    assert!(error.kernel_message().is_some(), "{error}");
}

/// IPDB's test_global_routes_fail.
fn a_failed_transaction_is_mended() {
    let db = two_links();
    let mut tx = db.begin();
    tx.add_route(Route::to("10.20.0.0/16").via("10.0.0.2")).unwrap();
    tx.add_route(Route::to("10.99.0.0/16").via("172.31.0.1")).unwrap();
    let error = tx.commit().unwrap_err();
    assert!(error.is_rolled_back(), "{error}");
    let mut tx = error.into_transaction();
    tx.remove_route(Route::to("10.99.0.0/16")).unwrap();
    tx.add_route(Route::to("10.99.0.0/16").via("10.0.0.3")).unwrap();
    tx.commit().unwrap();
    quiesce_and_compare(&db);
    assert_eq!(shown("proto static").len(), 2);
}

/// What stood behind a removed route was taken away and put back before it was gone, and so went for good.
fn a_list_is_in_its_order_again() {
    let db = two_links();
    scene(MIXED);
    let each = ["10.0.0.2", "10.0.0.3", "vb", "10.0.1.4"];
    let which = |one: &str| match one {
        "vb" => Route::to("10.2.0.0/16").dev("vb").scope(netlinkdb::RouteScope::LINK),
        via => Route::to("10.2.0.0/16").via(via),
    };
    for one in each {
        undone(&db, |tx| tx.remove_route(which(one)).map(drop));
        undone(&db, |tx| tx.change_route(which(one), |route| route.mtu(1280)).map(drop));
        for other in each.into_iter().filter(|other| *other != one) {
            undone(&db, |tx| tx.remove_route(which(one))?.remove_route(which(other)).map(drop));
        }
    }
    undone(&db, |tx| {
        tx.remove_route(which("10.0.0.3"))?
            .append_route(Route::to("10.2.0.0/16").via("10.0.0.9"))?;
        tx.prepend_route(Route::to("10.2.0.0/16").dev("va")).map(drop)
    });
    undone(&db, |tx| each.into_iter().try_for_each(|one| tx.remove_route(which(one)).map(drop)));
}

fn ipv6_legs_are_as_they_were() {
    let db = two_links();
    scene(MIXED);
    let group = || Route::to("fd02::/16");
    undone(&db, |tx| tx.remove_route(group()).map(drop));
    for leg in ["fd00::2", "fd00::3", "fd01::2"] {
        undone(&db, |tx| tx.remove_route(group().via(leg)).map(drop));
        undone(&db, |tx| {
            tx.change_route(group().via(leg), |route| route.via("fd01::9").dev("vb")).map(drop)
        });
    }
    // The kernel tells the protocol of one leg for all: they have the same here.
    let leg = || group().via("fd01::9").protocol(netlinkdb::RouteProtocol::BOOT);
    undone(&db, |tx| tx.append_route(leg()).map(drop));
    undone(&db, |tx| tx.replace_route(group().via("fd01::9")).map(drop));
    undone(&db, |tx| tx.replace_route(Route::to("fd03::/16").via("fd01::9")).map(drop));
    undone(&db, |tx| {
        tx.change_route(group(), |route| {
            route.del_nexthop(Hop::via("fd00::2")).add_nexthop(Hop::via("fd01::7").weight(3))
        })
        .map(drop)
    });
    undone(&db, |tx| tx.change_route(group(), |route| route.priority(7)).map(drop));
}

fn routes_of_a_link_that_went_down_come_back() {
    for keep in ["0", "1"] {
        let db = two_links();
        sysctl("ipv6/conf/all/keep_addr_on_down", keep);
        sysctl("ipv6/conf/va/keep_addr_on_down", keep);
        scene(MIXED);
        undone(&db, |tx| {
            tx.interface("va").down();
            Ok(())
        });
        undone(&db, |tx| {
            tx.interface("va").down();
            tx.interface("vb").down();
            tx.interface("lo").down();
            Ok(())
        });
        undone(&db, |tx| {
            tx.interface("va").down().set_mtu(1400);
            tx.change_route(Route::to("10.5.0.0/16"), |route| route.dev("vb"))?;
            tx.change_route(Route::to("fd05::/16"), |route| route.via("fd01::2"))?;
            tx.remove_route(Route::to("10.4.0.0/16")).map(drop)
        });
        scene("link del va\n link del vb\n route flush table main");
    }
}

/// What was lost along was looked for only at keys that the transaction had not named.
fn routes_of_a_list_whose_other_one_was_changed_come_back_too() {
    let db = two_links();
    scene(MIXED);
    undone(&db, |tx| {
        tx.interface("va").down();
        tx.change_route(Route::to("10.2.0.0/16").via("10.0.1.4"), |route| route.mtu(1280))?;
        tx.append_route(Route::to("default").via("10.0.1.2"))?;
        tx.remove_route(Route::to("fd02::/16").via("fd01::2")).map(drop)
    });
    undone(&db, |tx| {
        tx.interface("va").down();
        tx.remove_route(Route::to("10.2.0.0/16").dev("vb").scope(netlinkdb::RouteScope::LINK))
            .map(drop)
    });
}

fn routes_of_a_deleted_link_come_back() {
    let db = two_links();
    scene(
        "link add br0 type bridge\n link set br0 addrgenmode none\n link set vb1 master br0\n link set br0 up\n addr add 10.5.5.1/24 dev br0\n addr add fd55::1/64 dev br0 nodad",
    );
    scene(MIXED);
    scene(
        "route add 10.50.0.0/16 via 10.5.5.2 src 10.5.5.1
           route add 10.51.0.0/16 nexthop via 10.5.5.2 nexthop via 10.0.0.2
           route append 10.2.0.0/16 via 10.5.5.9
           route add 10.52.0.0/16 via 10.0.0.2 src 10.5.5.1
           -6 route add fd50::/16 via fd55::2
           -6 route append fd02::/16 via fd55::2",
    );
    undone(&db, |tx| tx.remove("br0"));
    undone(&db, |tx| {
        tx.remove("br0")?;
        tx.remove("va")?;
        tx.remove_route(Route::to("10.51.0.0/16"))?;
        tx.change_route(Route::to("10.50.0.0/16"), |_| Route::to("10.50.0.0/16").via("10.0.1.2"))?;
        tx.add_route(Route::to("10.53.0.0/16").via("10.0.1.2")).map(drop)
    });
}

fn routes_of_a_deleted_address_come_back() {
    let db = two_links();
    scene(MIXED);
    undone(&db, |tx| tx.interface("va").del_ip("10.0.0.1/24").map(drop));
    undone(&db, |tx| tx.interface("va").del_ip("10.0.0.1/24")?.del_ip("fd00::1/64").map(drop));
    undone(&db, |tx| {
        tx.interface("va").del_ip("10.0.0.1/24")?.add_ip("10.0.0.77/24")?;
        tx.add_route(Route::to("10.20.0.0/16").via("10.0.0.2"))?;
        tx.remove_route(Route::to("default").via("10.0.0.2")).map(drop)
    });
}

fn routes_come_back_when_a_secondary_was_promoted() {
    for promote in ["0", "1"] {
        let db = two_links();
        sysctl("ipv4/conf/all/promote_secondaries", promote);
        scene("addr add 10.0.0.7/24 dev va\n addr add 10.0.0.8/24 dev va");
        scene(MIXED);
        scene("route add 10.40.0.0/16 via 10.0.0.2 src 10.0.0.7\n route del 10.8.0.0/16");
        undone(&db, |tx| tx.interface("va").del_ip("10.0.0.1/24").map(drop));
        undone(&db, |tx| tx.interface("va").del_ip("10.0.0.1/24")?.del_ip("10.0.0.7/24").map(drop));
        undone(&db, |tx| {
            tx.interface("va")
                .del_ip("10.0.0.1/24")?
                .del_ip("10.0.0.7/24")?
                .del_ip("10.0.0.8/24")?;
            tx.remove_route(Route::to("10.40.0.0/16")).map(drop)
        });
        scene("link del va\n link del vb\n route flush table main");
    }
}

/// Below 1280 bytes the kernel takes IPv6 from a link, with addresses and routes.
fn routes_come_back_after_an_mtu_too_small_for_ipv6() {
    let db = two_links();
    // The kernel forgets how it was to make addresses by itself.
    scene(
        "link set va addrgenmode eui64\n link set va down\n link set va up\n addr add fd00::1/64 dev va nodad",
    );
    scene(MIXED);
    undone(&db, |tx| {
        tx.interface("va").set_mtu(1200);
        Ok(())
    });
}

fn routes_come_back_when_a_link_leaves_its_bridge() {
    let db = two_links();
    scene("link add br0 type bridge\n link set br0 up\n link set va1 master br0");
    scene(MIXED);
    undone(&db, |tx| {
        tx.interface("br0").del_port("va1")?;
        tx.interface("br0").add_port("vb1").map(drop)
    });
}

/// Issue 3, IPDB fault 22: routes were put back with the flags of a link without carrier.
fn a_restored_route_carries_no_volatile_flag() {
    let db = two_links();
    scene(MIXED);
    // Without the other ends there is no carrier: every route is `linkdown`, and legs are `dead`.
    scene("link set va1 down\n link set vb1 down");
    db.sync().unwrap();
    undone(&db, |tx| {
        tx.interface("va").down();
        tx.interface("vb").del_ip("10.0.1.1/24").map(drop)
    });
    scene("link set va1 up\n link set vb1 up");
    quiesce_and_compare(&db);
    let flagged = |line: &String| line.contains("linkdown") || line.contains("dead");
    let all = || [shown("table all"), shown("-6 table all")].concat();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(6);
    while all().iter().any(flagged) && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(all().into_iter().filter(flagged).collect::<Vec<_>>(), [""; 0]);
}

/// A route that was to end came back for ever.
fn a_restored_route_still_expires() {
    let db = two_links();
    scene(
        "-6 route add fd04::/16 via fd00::2 expires 500\n -6 route add fd05::/16 via fd00::2 expires 500",
    );
    undone(&db, |tx| {
        tx.remove_route(Route::to("fd04::/16"))?;
        tx.interface("va").down();
        Ok(())
    });
    for to in ["fd04::/16", "fd05::/16"] {
        let line = shown(&format!("-6 {to}")).concat();
        assert!(line.contains("expires 4") || line.contains("expires 500"), "{line}");
    }
}

fn every_kind_of_route_comes_back() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2 mtu lock 1400 initcwnd 20 realms 3 congctl reno
           route add 10.3.0.0/16 proto bird metric 9 nexthop via 10.0.0.2 weight 5 nexthop via 10.9.9.9 dev vb onlink
           route add 10.4.0.0/16 via inet6 fd00::2 dev va
           route add 10.6.0.0/16 dev va encap ip id 42 dst 192.0.2.1
           route add 10.7.0.0/16 via 10.0.0.2 src 10.0.1.1 tos 8
           route add unreachable 10.9.0.0/16
           route add local 10.10.0.0/16 dev va table local
           route add broadcast 10.11.0.255 dev va table 70000
           -6 route add fd04::/16 via fd00::2 pref low mtu 1400
           -6 route add fd06::/16 dev va encap ip6 id 42 dst 2001:db8::1
           -6 route add fd07::/16 via fd09::9 dev va onlink
           -6 route add unreachable fd08::/16");
    undone(&db, |tx| {
        let others = |route: &Route| route.protocol() != netlinkdb::RouteProtocol::KERNEL;
        for route in db.snapshot().routes().all().iter().filter(others) {
            tx.remove_route(&route)?;
        }
        Ok(())
    });
    undone(&db, |tx| {
        tx.interface("va").down();
        tx.interface("vb").down();
        Ok(())
    });
    undone(&db, |tx| tx.replace_table(254, [Route::to("10.2.0.0/16").via("10.0.1.2")]).map(drop));
}

fn routes_of_others_survive() {
    let db = two_links();
    scene(MIXED);
    undone_but(
        &db,
        |tx| {
            tx.change_route(Route::to("10.2.0.0/16").via("10.0.1.4"), |route| route.mtu(1280))?;
            tx.remove_route(Route::to("fd02::/16").via("fd00::2"))?;
            tx.interface("va").down();
            Ok(())
        },
        &[
            "route append 10.2.0.0/16 via 10.0.1.77",
            "-6 route append fd02::/16 via fd01::77",
            "route add 10.77.0.0/16 via 10.0.1.2",
        ],
    );
}

/// The commit fails in its hook after these commands; everything is as the commands alone would have left it.
#[track_caller]
fn undone_but(
    db: &Db,
    fill: impl FnOnce(&mut Transaction) -> Result<()>,
    commands: &'static [&'static str],
) {
    db.sync().unwrap();
    let mut tx = db.begin();
    fill(&mut tx).unwrap();
    tx.on_commit(|_, _| {
        commands.iter().for_each(|command| drop(ip(&command.split(' ').collect::<Vec<_>>())));
        Err::<(), _>("no")
    });
    let before = crate::route_scene::kernel_at_rest();
    let error = tx.commit().unwrap_err();
    assert!(matches!(error.ending(), Ending::RolledBack { .. }) && error.is_hook(), "{error}");
    // What the commands say, on the state before.
    let now = quiesce_and_compare(db);
    drop(now);
    let ours = kernel();
    for command in commands.iter().rev() {
        let back = match command {
            command if command.contains(" append ") => command.replace(" append ", " del "),
            command => command.replace(" add ", " del "),
        };
        ip(&back.split(' ').collect::<Vec<_>>());
    }
    crate::route_scene::routes_are(&before, &format!("{ours:#?}"));
}

fn what_another_program_replaced_meanwhile_stays() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2\n route add 10.3.0.0/16 via 10.0.0.2\n -6 route add fd02::/16 via fd00::2\n -6 route add fd03::/16 nexthop via fd00::2 nexthop via fd01::2",
    );
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.replace_route(Route::to("10.2.0.0/16").via("10.0.0.3")).unwrap();
    tx.change_route(Route::to("10.3.0.0/16"), |route| route.mtu(1400)).unwrap();
    tx.add_route(Route::to("10.4.0.0/16").via("10.0.0.3")).unwrap();
    tx.replace_route(Route::to("fd02::/16").via("fd00::3")).unwrap();
    tx.change_route(Route::to("fd03::/16"), |route| route.del_nexthop(Hop::via("fd00::2")))
        .unwrap();
    tx.on_commit(|_, _| {
        scene(
            "route replace 10.2.0.0/16 via 10.0.1.9
               route replace 10.3.0.0/16 via 10.0.1.9
               route replace 10.4.0.0/16 via 10.0.1.9
               -6 route replace fd02::/16 via fd01::9
               -6 route replace fd03::/16 via fd01::9",
        );
        Err::<(), _>("no")
    });
    let error = tx.commit().unwrap_err();
    assert!(error.is_rolled_back() && error.is_hook(), "{error}");
    for to in ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"] {
        assert_eq!(shown(to), [format!("{to} via 10.0.1.9 dev vb")]);
    }
    for to in ["fd02::/16", "fd03::/16"] {
        assert_eq!(
            shown(&format!("-6 {to}")),
            [format!("{to} via fd01::9 dev vb metric 1024 pref medium")]
        );
    }
    quiesce_and_compare(&db);
}

/// The one from before was put in front of another program's.
fn what_another_program_replaced_at_the_head_of_a_list_stays() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n route append 10.2.0.0/16 via 10.0.0.3");
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.replace_route(Route::to("10.2.0.0/16").via("10.0.0.4")).unwrap();
    tx.on_commit(|_, _| {
        scene("route replace 10.2.0.0/16 via 10.0.1.9");
        Err::<(), _>("no")
    });
    let error = tx.commit().unwrap_err();
    assert!(error.is_rolled_back(), "{error}");
    assert_eq!(
        shown("10.2.0.0/16"),
        ["10.2.0.0/16 via 10.0.1.9 dev vb", "10.2.0.0/16 via 10.0.0.3 dev va"]
    );
    quiesce_and_compare(&db);
}

fn what_another_program_added_meanwhile_stays() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n -6 route add fd02::/16 via fd00::2");
    undone_but(
        &db,
        |tx| {
            tx.remove_route(Route::to("10.2.0.0/16"))?;
            tx.remove_route(Route::to("fd02::/16"))?;
            tx.append_route(Route::to("10.9.0.0/16").via("10.0.0.2")).map(drop)
        },
        &[
            "route append 10.2.0.0/16 via 10.0.1.9",
            "-6 route append fd02::/16 via fd01::9",
            "route append 10.9.0.0/16 via 10.0.1.9",
        ],
    );
}

fn what_another_program_removed_meanwhile_stays_away() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n route add 10.3.0.0/16 via 10.0.0.2");
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.add_route(Route::to("10.4.0.0/16").via("10.0.0.2")).unwrap();
    tx.remove_route(Route::to("10.2.0.0/16")).unwrap();
    tx.on_commit(|_, _| {
        scene("route del 10.4.0.0/16\n route del 10.3.0.0/16");
        Err::<(), _>("no")
    });
    let error = tx.commit().unwrap_err();
    assert!(error.is_rolled_back(), "{error}");
    assert_eq!(shown("proto boot"), ["10.2.0.0/16 via 10.0.0.2 dev va"]);
    agrees_unasked(&db);
}

fn a_table_goes_back() {
    let db = two_links();
    scene(MIXED);
    undone(&db, |tx| tx.replace_table(254, Vec::<netlinkdb::RouteSpec>::new()).map(drop));
    undone(&db, |tx| {
        let v0 = tx.create(Veth::new("v0", "v1"))?;
        tx.interface(&v0).add_ip("10.9.0.1/24")?.up();
        tx.interface("va").down();
        tx.replace_table(
            254,
            [
                Route::to("10.2.0.0/16").via("10.0.1.9"),
                Route::to("10.2.0.0/16").dev("vb"),
                Route::to("10.99.0.0/16").dev("vb"),
                Route::to("10.3.0.0/16").dev(&v0),
                Route::to("fd02::/16").via("fd01::9"),
            ],
        )
        .map(drop)
    });
    undone_after(
        &db,
        |tx| tx.replace_table(254, [Route::to("10.2.0.0/16").dev("vb")]).map(drop),
        || scene("route add 10.77.0.0/16 via 10.0.1.2 table 7\n route del 10.77.0.0/16 table 7"),
    );
    let whole = before();
    exactly_as_before(&db, &whole);
}
