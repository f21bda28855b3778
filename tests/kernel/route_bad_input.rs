//! Routes that cannot be: a clear word, before anything is sent where it can be known, and nothing left behind.

use crate::route_scene::{commit, kernel, rolled_back, scene, shown, two_links};
use crate::scene::refused;
use crate::support::try_ip;
use netlinkdb::{
    Bridge, Db, Encap, EncapType, Error, Hop, Result, Route, RouteProtocol, RouteSpec, RouteType,
    Transaction,
};

crate::cases![
    what_no_route_can_be_is_refused_at_once,
    what_only_the_kernel_knows_is_rolled_back,
    metrics_out_of_range,
    multipath_that_cannot_be,
    words_that_fit_none_or_several,
    an_interface_that_is_not_there,
    a_removed_interface_carries_no_route,
    an_interface_that_is_down_carries_no_route,
    a_database_without_routes_changes_none,
    an_edit_that_fails_leaves_the_transaction_as_it_was,
    a_name_of_nothing_can_be_shown,
];

#[track_caller]
fn at_once(db: &Db, edit: impl FnOnce(&mut Transaction) -> Result<()>, words: &str) -> Error {
    let before = kernel();
    let mut tx = db.begin();
    let error = edit(&mut tx).expect_err("a refusal");
    assert!(error.is_refused(), "{error}");
    assert!(error.to_string().contains(words), "no `{words}` in: {error}");
    assert!(tx.review().is_empty(), "{}", tx.review());
    tx.commit().expect("an empty transaction");
    assert_eq!(kernel(), before);
    error
}

fn what_no_route_can_be_is_refused_at_once() {
    let db = two_links();
    let cases: Vec<(RouteSpec, &str)> = vec![
        (Route::to("10.2.0.1/16").via("10.0.0.2"), "the prefix is 10.2.0.0/16"),
        (Route::to("fd02::1/64").via("fd00::2"), "the prefix is fd02::/64"),
        (Route::to("10.2.0.0/33").dev("va"), "no prefix"),
        (Route::to("10.2.0.0/-1").dev("va"), "no prefix"),
        (Route::to("").dev("va"), "no IP address"),
        (Route::to("10.2.0/16").dev("va"), "no"),
        (Route::to("10.2.0.0/16").via("10.0.0"), "no IP address"),
        (Route::to("10.2.0.0/16").via("10.0.0.2").table(0), "no table 0"),
        (Route::to("fd02::/16").via("10.0.0.2"), "no IPv4 gateway"),
        (Route::to("fd02::/16").via("fd00::2").tos(4), "no type of service"),
        (Route::to("10.2.0.0/16").dev("va").src("fd00::1"), "another family"),
        (Route::to("10.2.0.0/16").blackhole().via("10.0.0.2"), "no gateway"),
        (Route::to("10.2.0.0/16").blackhole().nexthop(Hop::via("10.0.0.2")), "no gateway"),
        (Route::to("10.2.0.0/16").via("10.0.0.2").nexthop(Hop::via("10.0.0.2")), "in its legs"),
        (Route::to("10.2.0.0/16").nexthop(Hop::via("10.0.0.2").weight(0)), "1 to 256"),
        (Route::to("10.2.0.0/16").nexthop(Hop::via("10.0.0.2").weight(257)), "1 to 256"),
        (
            Route::to("fd02::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("10.0.0.2")),
            "no IPv4 gateway",
        ),
        (Route::to("10.2.0.0/16").via("10.0.0.2").hoplimit(256), "at most 255"),
    ];
    for (spec, words) in cases {
        at_once(&db, |tx| tx.add_route(spec.clone()).map(drop), words);
        at_once(&db, |tx| tx.append_route(spec.clone()).map(drop), words);
        at_once(&db, |tx| tx.replace_route(spec.clone()).map(drop), words);
        at_once(&db, |tx| tx.remove_route(spec.clone()).map(drop), words);
        at_once(&db, |tx| tx.change_route(spec.clone(), |route| route).map(drop), words);
        at_once(&db, |tx| tx.replace_table(254, [spec]).map(drop), words);
    }
    at_once(&db, |tx| tx.replace_table(0, Vec::<RouteSpec>::new()).map(drop), "no table 0");
    at_once(&db, |tx| tx.replace_table(7, [Route::to("10.2.0.0/16").dev("va")]).map(drop), "scope");
    at_once(
        &db,
        |tx| {
            tx.replace_table(
                254,
                [Route::to("10.2.0.0/16").dev("va").protocol(RouteProtocol::KERNEL)],
            )
            .map(drop)
        },
        "scope",
    );
}

fn what_only_the_kernel_knows_is_rolled_back() {
    let db = two_links();
    for (spec, errno) in [
        (Route::to("10.2.0.0/16").via("172.31.0.1"), libc::ENETUNREACH),
        (Route::to("fd02::/16").via("fdff::1"), libc::EHOSTUNREACH),
        (Route::to("10.2.0.0/16").dev("va").src("10.99.0.1"), libc::EINVAL),
        (Route::to("fd02::/16").dev("va").src("fd99::1"), libc::EINVAL),
        (Route::to("10.2.0.0/16").nexthop_id(77), libc::EINVAL),
        (Route::to("10.2.0.0/16").via("10.0.0.2").tos(3), libc::EINVAL),
        (Route::to("10.2.0.0/16").via("10.0.0.2").features(1 << 20), libc::EINVAL),
        (Route::to("10.2.0.0/16").via("10.0.0.2").congestion_control("nosuch"), libc::EINVAL),
        (Route::to("10.2.0.0/16").via("10.0.0.2").kind(RouteType(99)), libc::EINVAL),
        (Route::to("10.2.0.0/16"), libc::EINVAL),
    ] {
        let words = spec.to_string();
        if words.contains(" tos ") && takes_ecn() {
            println!("skipped: {words}: this kernel takes the bits of ECN in the TOS of a route");
            continue;
        }
        let error = rolled_back(&db, |tx| {
            tx.interface("vb").add_ip("10.88.0.1/24")?;
            tx.add_route(Route::to("10.89.0.0/16").via("10.88.0.2"))?;
            tx.add_route(spec).map(drop)
        });
        assert!(error.errno().is_some(), "{words}: {error}");
        let same = error.errno() == Some(errno)
            || errno == libc::EINVAL && error.errno() == Some(libc::ENODEV);
        assert!(
            same || errno == libc::EINVAL && error.errno() == Some(libc::ENOENT)
                || words.contains("type 99"),
            "{words}: {error}"
        );
        assert!(error.step().is_some_and(|step| step.starts_with("ip ")), "{error}");
    }
}

/// Before Linux 5.17 the two low bits, those of ECN, are a part of the TOS of a route like the others; since then
/// `rtm_to_fib_config` refuses them.
fn takes_ecn() -> bool {
    let route = ["10.3.0.0/16", "dev", "va", "tos", "3"];
    let done = |verb| try_ip(&[&["route", verb], &route[..]].concat()).status.success();
    done("add") && done("del")
}

/// The kernel takes what is too large and sets the largest that it knows (K41).
fn metrics_out_of_range() {
    let db = two_links();
    let spec = || Route::to("10.2.0.0/16").via("10.0.0.2");
    at_once(&db, |tx| tx.add_route(spec().mtu(65_536)).map(drop), "mtu");
    at_once(&db, |tx| tx.add_route(spec().advmss(65_536)).map(drop), "advmss");
    at_once(&db, |tx| tx.add_route(spec().hoplimit(256)).map(drop), "hop limit");
    commit(&db, |tx| tx.add_route(spec().mtu(65_520).advmss(65_495).hoplimit(255)).map(drop));
    assert!(
        shown("10.2.0.0/16")[0].contains("mtu 65520 advmss 65495"),
        "{:?}",
        shown("10.2.0.0/16")
    );
}

fn multipath_that_cannot_be() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(
            Route::to("10.2.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::via("10.0.1.2")),
        )?;
        // A single leg is a plain route.
        tx.add_route(Route::to("10.3.0.0/16").nexthop(Hop::via("10.0.0.2")))?;
        tx.add_route(Route::to("fd03::/16").nexthop(Hop::via("fd00::2"))).map(drop)
    });
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 via 10.0.0.2 dev va proto static"]);
    at_once(
        &db,
        |tx| {
            tx.change_route(Route::to("10.2.0.0/16"), |r| r.del_nexthop(Hop::via("10.0.0.9")))
                .map(drop)
        },
        "no such leg",
    );
    // IPDB's test_routes_del_nh_fail.
    at_once(
        &db,
        |tx| {
            tx.change_route(Route::to("10.3.0.0/16"), |r| r.del_nexthop(Hop::via("10.0.0.9")))
                .map(drop)
        },
        "no such leg",
    );
    at_once(
        &db,
        |tx| {
            tx.change_route(Route::to("10.3.0.0/16"), |r| r.del_nexthop(Hop::via("10.0.0.2")))
                .map(drop)
        },
        "",
    );
    at_once(
        &db,
        |tx| {
            tx.change_route(Route::to("10.2.0.0/16"), |r| r.add_nexthop(Hop::via("10.0.0.2")))
                .map(drop)
        },
        "already",
    );
    at_once(
        &db,
        |tx| {
            tx.change_route(Route::to("fd03::/16"), |r| r.add_nexthop(Hop::via("10.0.0.2")))
                .map(drop)
        },
        "no IPv4 gateway",
    );
    rolled_back(&db, |tx| {
        tx.add_route(
            Route::to("10.4.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::via("172.31.0.1")),
        )
        .map(drop)
    });
    rolled_back(&db, |tx| {
        tx.add_route(
            Route::to("fd04::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("fdff::1")),
        )
        .map(drop)
    });
    rolled_back(&db, |tx| {
        tx.replace_route(
            Route::to("fd03::/16").nexthop(Hop::via("fd00::7")).nexthop(Hop::via("fdff::1")),
        )
        .map(drop)
    });
}

fn words_that_fit_none_or_several() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2\n route append 10.2.0.0/16 via 10.0.0.3\n route add 10.2.0.0/16 via 10.0.0.2 metric 5",
    );
    scene("route add 10.3.0.0/16 via 10.0.0.2 table 100");
    db.sync().unwrap();
    for which in [
        Route::to("10.2.0.0/16"),
        Route::to("10.2.0.0/16").priority(0),
        Route::to("10.2.0.0/16").via("10.0.0.2"),
    ] {
        at_once(&db, |tx| tx.remove_route(which.clone()).map(drop), "say more");
        at_once(&db, |tx| tx.change_route(which, |route| route.mtu(1400)).map(drop), "say more");
    }
    for which in [
        Route::to("10.2.0.0/15"),
        Route::to("10.3.0.0/16"),
        Route::to("10.2.0.0/16").via("10.0.0.9"),
        Route::to("10.2.0.0/16").dev("vb"),
        Route::to("10.2.0.0/16").blackhole(),
        Route::to("10.2.0.0/16").priority(6),
        Route::to("default"),
    ] {
        let error = at_once(&db, |tx| tx.remove_route(which.clone()).map(drop), "is not there");
        assert!(error.is_not_found(), "{error}");
        at_once(
            &db,
            |tx| tx.change_route(which, |route| route.mtu(1400)).map(drop),
            "is not there",
        );
    }
    let mut tx = db.begin();
    tx.remove_route(Route::to("10.2.0.0/16").priority(5)).unwrap();
    let error = tx.remove_route(Route::to("10.2.0.0/16").priority(5)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

fn an_interface_that_is_not_there() {
    let db = two_links();
    for spec in [
        Route::to("10.2.0.0/16").dev("nosuch"),
        Route::to("10.2.0.0/16").via("10.0.0.2").dev(4711),
        Route::to("10.2.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::direct("nosuch")),
    ] {
        let error = at_once(&db, |tx| tx.add_route(spec.clone()).map(drop), "no interface");
        assert!(error.is_not_found(), "{error}");
        at_once(&db, |tx| tx.remove_route(spec.clone()).map(drop), "no interface");
        at_once(&db, |tx| tx.replace_table(254, [spec]).map(drop), "no interface");
    }
    // It goes between the edit and the commit, by another program.
    let mut tx = db.begin();
    tx.add_route(Route::to("10.2.0.0/16").dev("va")).unwrap();
    tx.interface("vb").set_alias("never");
    scene("link del va");
    let before = kernel();
    let error = refused(tx.commit());
    assert!(error.is_stale() || error.is_not_found(), "{error}");
    assert_eq!(kernel(), before);
    assert_eq!(db.sync().unwrap().link("vb").unwrap().alias(), None);
    // And another one has its index now.
    let index = db.interface("vb").unwrap().index().to_string();
    let mut tx = db.begin();
    tx.add_route(Route::to("10.2.0.0/16").dev("vb")).unwrap();
    scene(&format!("link del vb\n link add c index {index} type bridge\n link set c up"));
    let error = refused(tx.commit());
    assert!(error.is_stale(), "{error}");
    assert!(shown("10.2.0.0/16").is_empty());
}

fn a_removed_interface_carries_no_route() {
    let db = two_links();
    scene("route add 10.3.0.0/16 via 10.0.1.2");
    db.sync().unwrap();
    let before = kernel();
    let fills: [fn(&mut Transaction) -> Result<()>; 4] = [
        |tx| tx.add_route(Route::to("10.2.0.0/16").dev("va")).map(drop),
        |tx| {
            tx.add_route(
                Route::to("10.2.0.0/16").nexthop(Hop::direct("vb")).nexthop(Hop::direct("va")),
            )
            .map(drop)
        },
        |tx| {
            tx.change_route(Route::to("10.3.0.0/16"), |route| route.via("10.0.0.2").dev("va"))
                .map(drop)
        },
        |tx| tx.replace_table(100, [Route::to("10.2.0.0/16").dev("va").table(100)]).map(drop),
    ];
    for fill in fills {
        for first in [true, false] {
            let mut tx = db.begin();
            let filled = match first {
                true => tx.remove("va").and_then(|()| fill(&mut tx)),
                false => fill(&mut tx).and_then(|()| tx.remove("va")),
            };
            let error = match filled {
                Err(error) => error,
                Ok(()) => {
                    let error = refused(tx.commit());
                    assert_eq!(kernel(), before);
                    error.into()
                }
            };
            assert!(error.is_refused() && error.to_string().contains("`va`"), "{error}");
        }
    }
}

fn an_interface_that_is_down_carries_no_route() {
    let db = two_links();
    scene("link add br0 type bridge");
    db.sync().unwrap();
    let error = rolled_back(&db, |tx| tx.add_route(Route::to("10.2.0.0/16").dev("br0")).map(drop));
    assert!(error.to_string().contains("down"), "{error}");
    rolled_back(&db, |tx| {
        let br1 = tx.create(Bridge::new("br1"))?;
        tx.add_route(Route::to("10.2.0.0/16").dev(&br1)).map(drop)
    });
    rolled_back(&db, |tx| {
        tx.interface("va").down();
        tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2")).map(drop)
    });
}

fn a_database_without_routes_changes_none() {
    drop(two_links());
    scene("route add 10.2.0.0/16 via 10.0.0.2");
    for db in [
        Db::builder().routes(false).open().unwrap(),
        Db::builder().addresses(false).open().unwrap(),
    ] {
        at_once(
            &db,
            |tx| tx.add_route(Route::to("10.3.0.0/16").via("10.0.0.2")).map(drop),
            "does not follow",
        );
        at_once(
            &db,
            |tx| tx.append_route(Route::to("fd03::/16").via("fd00::2")).map(drop),
            "does not follow",
        );
        at_once(&db, |tx| tx.remove_route(Route::to("10.2.0.0/16")).map(drop), "does not follow");
        at_once(
            &db,
            |tx| tx.change_route(Route::to("10.2.0.0/16"), |route| route.mtu(1400)).map(drop),
            "does not follow",
        );
        at_once(
            &db,
            |tx| tx.replace_table(254, [Route::to("10.3.0.0/16").dev("va")]).map(drop),
            "does not follow",
        );
        at_once(
            &db,
            |tx| tx.replace_table(100, Vec::<RouteSpec>::new()).map(drop),
            "does not follow",
        );
        // Interfaces are committed all the same, and what routes they lose is not known.
        let mut tx = db.begin();
        tx.interface("vb").down();
        tx.commit().unwrap();
        scene("link set vb up");
    }
}

fn an_edit_that_fails_leaves_the_transaction_as_it_was() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2"))?;
        tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.3")).unwrap_err();
        tx.add_route(Route::to("10.3.0.1/16").via("10.0.0.3")).unwrap_err();
        let wanted = [Route::to("10.4.0.0/16").dev("va"), Route::to("10.5.0.0/16").dev("nosuch")];
        tx.replace_table(254, wanted).unwrap_err();
        tx.change_route(Route::to("10.9.0.0/16"), |route| route).unwrap_err();
        Ok(())
    });
    assert_eq!(shown("proto static"), ["10.2.0.0/16 via 10.0.0.2 dev va"]);
}

/// A specification that is wrong, or names nothing that is there, prints; errors and reviews show it.
fn a_name_of_nothing_can_be_shown() {
    for spec in [
        Route::to("nowhere"),
        Route::to("default"),
        Route::to("10.2.0.0/16").dev("nosuch").table(0),
        Route::to("10.2.0.0/16").encap(Encap::raw(EncapType(250), &[1, 2, 3])),
        Route::to("10.2.0.0/16").nexthop(Hop::via("x").dev("nosuch")),
    ] {
        assert!(!spec.to_string().is_empty() && !format!("{spec:?}").is_empty());
    }
}
