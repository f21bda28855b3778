//! Routes in transactions that hold: alone, in lists and legs, of every type, with interfaces and addresses, and whole
//! tables.

use crate::route_scene::{commit, kernel, scene, shown, two_links, undone, without_expiry};
use crate::scene::{refused, sysctl};
use crate::support::{ip, quiesce_and_compare, try_ip};
use netlinkdb::{
    Bridge, Db, Encap, Family, Hop, Preference, Route, RouteFilter, RouteProtocol, RouteScope,
    RouteSpec, RouteType, Sign, Transaction, Veth,
};

crate::cases![
    fault_9_a_duplicate_is_refused_and_orphans_nothing,
    fault_9_the_same_ipv6_prefix_on_two_links_is_two_routes,
    fault_9_tos_priority_and_table_tell_routes_apart,
    fault_10_one_ipv6_leg_less_leaves_the_others,
    an_ipv4_list_has_the_order_of_naming,
    replacing_takes_the_first_of_a_list,
    removing_from_a_list_takes_the_one_that_is_meant,
    every_type_comes_and_goes,
    every_metric_comes_and_changes,
    all_that_a_route_can_say,
    a_gateway_of_the_other_family,
    a_route_by_a_nexthop_object,
    tunnels_of_routes,
    an_ipv6_route_that_expires,
    a_plain_route_becomes_a_multipath_one_and_back,
    legs_are_named_by_their_interface,
    of_ipv6_legs_that_fit_the_words_none_is_guessed,
    words_about_metrics_count,
    no_priority_of_ipv6_is_1024,
    everything_of_a_route_can_be_changed,
    a_type_changes_with_its_way,
    a_route_straight_out_gets_a_gateway,
    one_leg_of_an_ipv6_route_is_changed,
    an_ipv6_leg_that_is_appended_has_its_weight,
    an_ipv6_route_straight_out_is_removed_beside_legs_by_the_same_link,
    one_ipv6_leg_with_attributes_of_its_own_is_removed,
    a_route_that_was_drafted_is_changed_and_removed,
    what_is_replaced_and_removed_is_gone,
    a_removal_before_a_replacement_stands,
    a_bridge_with_everything_in_one_transaction,
    a_route_by_a_gateway_that_the_same_transaction_reaches,
    addresses_and_their_routes_go_together,
    routes_move_to_another_link_as_theirs_goes_down,
    routes_move_to_another_link_as_theirs_is_edited_and_goes_down,
    the_second_of_a_list_is_nobodys_when_the_first_goes_down,
    routes_move_to_another_link_as_theirs_is_deleted,
    a_table_moves,
    a_primary_goes_and_routes_by_its_secondaries_stay,
    routes_as_they_are_select_themselves,
    a_conflict_at_the_same_key_is_refused,
    the_same_by_another_program_is_moot,
    other_keys_are_nobodys_business,
    a_review_is_the_commit,
    a_table_of_all_kinds_as_it_is_needs_nothing,
    a_scope_leaves_everything_else_alone,
    a_table_over_a_link_that_is_created,
    a_table_with_lists_legs_and_doubles,
    an_empty_set_empties_its_scope,
    twenty_thousand_routes,
    default_route_notation,
    norm_route_ipv6,
];

/// Issue 3, IPDB fault 9: an `add` that met a route overwrote its record, and the reference to it was orphaned.
fn fault_9_a_duplicate_is_refused_and_orphans_nothing() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2")).map(drop));
    let before = kernel();
    let mut tx = db.begin();
    for same in [
        Route::to("10.2.0.0/16").via("10.0.0.2"),
        Route::to("10.2.0.0/16").via("10.0.1.2"),
        Route::to("10.2.0.0/16").blackhole(),
    ] {
        let error = tx.add_route(same).unwrap_err();
        assert!(error.is_exists() && error.is_refused(), "{error}");
    }
    assert!(tx.review().is_empty());
    tx.add_route(Route::to("10.3.0.0/16").via("10.0.0.2")).unwrap();
    let error = tx.add_route(Route::to("10.3.0.0/16").via("10.0.0.3")).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let error = tx.append_route(Route::to("10.2.0.0/16").via("10.0.0.2")).unwrap_err();
    assert!(error.is_exists(), "{error}");
    drop(tx);
    assert_eq!(kernel(), before);
    quiesce_and_compare(&db);
}

/// Issue 3, IPDB fault 9: `fe80::/64` of every link was one record.
fn fault_9_the_same_ipv6_prefix_on_two_links_is_two_routes() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("fd77::/64").dev("va"))?;
        tx.append_route(Route::to("fd77::/64").dev("vb")).map(drop)
    });
    let of = |dev: &str| format!("fd77::/64 dev {dev} proto static metric 1024 pref medium");
    let mut now = shown("-6 fd77::/64");
    now.sort();
    assert_eq!(now, [of("va"), of("vb")]);
    let error = db.begin().remove_route(Route::to("fd77::/64")).unwrap_err();
    assert!(error.to_string().contains("say more"), "{error}");
    commit(&db, |tx| tx.remove_route(Route::to("fd77::/64").dev("va")).map(drop));
    assert_eq!(shown("-6 fd77::/64"), [of("vb")]);
}

fn fault_9_tos_priority_and_table_tell_routes_apart() {
    let db = two_links();
    commit(&db, |tx| {
        for (priority, tos, table) in
            [(0, 0, 254), (7, 0, 254), (0, 8, 254), (0, 0, 100), (0, 0, 70_000)]
        {
            let route = Route::to("10.2.0.0/16").via("10.0.0.2").priority(priority);
            tx.add_route(route.tos(tos).table(table))?;
        }
        tx.add_route(Route::to("fd02::/16").via("fd00::2"))?;
        tx.add_route(Route::to("fd02::/16").via("fd00::2").priority(7)).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16").len(), 3);
    assert_eq!(shown("table all 10.2.0.0/16").len(), 5);
    assert_eq!(shown("-6 fd02::/16").len(), 2);
    commit(&db, |tx| {
        tx.remove_route(Route::to("10.2.0.0/16").table(70_000))?;
        tx.remove_route(Route::to("10.2.0.0/16").tos(8))?;
        tx.remove_route(Route::to("fd02::/16").priority(7)).map(drop)
    });
    assert_eq!(
        shown("-6 fd02::/16"),
        ["fd02::/16 via fd00::2 dev va proto static metric 1024 pref medium"]
    );
    let mut left = shown("table all 10.2.0.0/16");
    left.sort();
    let text = "10.2.0.0/16 via 10.0.0.2 dev va";
    assert_eq!(
        left,
        [
            format!("{text} proto static"),
            format!("{text} proto static metric 7"),
            format!("{text} table 100 proto static"),
        ]
    );
}

/// Issue 3, IPDB fault 10: the notification of one leg's end has the key of the whole route, and all of it was dropped.
fn fault_10_one_ipv6_leg_less_leaves_the_others() {
    let db = two_links();
    commit(&db, |tx| {
        let legs = Route::to("fd02::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("fd00::3"));
        tx.add_route(legs.nexthop(Hop::via("fd01::2").weight(3))).map(drop)
    });
    let now = commit(&db, |tx| tx.remove_route(Route::to("fd02::/16").via("fd00::3")).map(drop));
    let routes = now.snapshot().routes().get("fd02::/16".parse().unwrap());
    assert_eq!((routes.len(), routes[0].hops().len()), (1, 2));
    let line = shown("-6 fd02::/16").concat();
    assert!(
        line.contains("fd00::2") && line.contains("weight 3") && !line.contains("fd00::3"),
        "{line}"
    );
    commit(&db, |tx| tx.remove_route(Route::to("fd02::/16").dev("vb")).map(drop));
    assert_eq!(
        shown("-6 fd02::/16"),
        ["fd02::/16 via fd00::2 dev va proto static metric 1024 pref medium"]
    );
}

/// The gateways, in the kernel's order, of 10.2.0.0/16; `dev` where there is none.
fn list() -> Vec<String> {
    let last = |line: &String| match line.split_once("via 10.") {
        Some((_, rest)) => rest.split(' ').next().unwrap_or_default().to_owned(),
        None => line.split("dev ").nth(1).map_or("none", |dev| &dev[..2]).to_owned(),
    };
    shown("10.2.0.0/16").iter().map(last).collect()
}

fn to(gateway: &str) -> RouteSpec {
    Route::to("10.2.0.0/16").via(format!("10.{gateway}"))
}

fn an_ipv4_list_has_the_order_of_naming() {
    let db = two_links();
    commit(&db, |tx| {
        tx.append_route(to("0.0.2"))?.append_route(Route::to("10.2.0.0/16").dev("vb"))?;
        tx.append_route(to("0.0.3")).map(drop)
    });
    assert_eq!(list(), ["0.0.2", "vb", "0.0.3"]);
    commit(&db, |tx| tx.prepend_route(to("0.0.4"))?.append_route(to("0.0.5")).map(drop));
    assert_eq!(list(), ["0.0.4", "0.0.2", "vb", "0.0.3", "0.0.5"]);
}

fn replacing_takes_the_first_of_a_list() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n route append 10.2.0.0/16 via 10.0.0.3");
    commit(&db, |tx| tx.replace_route(to("0.0.4")).map(drop));
    assert_eq!(list(), ["0.0.4", "0.0.3"]);
    commit(&db, |tx| tx.replace_route(Route::to("10.3.0.0/16").via("10.0.0.2")).map(drop));
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 via 10.0.0.2 dev va proto static"]);
    // What stands there already further back comes to the front, and nothing else goes.
    commit(&db, |tx| tx.append_route(to("0.0.5")).map(drop));
    assert_eq!(list(), ["0.0.4", "0.0.3", "0.0.5"]);
}

fn removing_from_a_list_takes_the_one_that_is_meant() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2 metric 5 mtu 1400
           route append 10.2.0.0/16 via 10.0.0.2 metric 5 mtu 1300
           route append 10.2.0.0/16 via 10.0.0.2 metric 5 proto bird
           route append 10.2.0.0/16 dev va metric 5
           route append blackhole 10.2.0.0/16 metric 5",
    );
    let lines = shown("10.2.0.0/16");
    assert_eq!(lines.len(), 5, "{lines:?}");
    commit(&db, |tx| {
        tx.remove_route(Route::to("10.2.0.0/16").protocol(RouteProtocol::BIRD))?;
        tx.remove_route(Route::to("10.2.0.0/16").blackhole()).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), [&lines[0..2], &lines[3..4]].concat());
    commit(&db, |tx| tx.remove_route(Route::to("10.2.0.0/16").via("10.0.0.2").mtu(1300)).map(drop));
    assert_eq!(shown("10.2.0.0/16"), [&lines[..1], &lines[3..4]].concat());
}

fn every_type_comes_and_goes() {
    let db = two_links();
    let types =
        [RouteType::BLACKHOLE, RouteType::UNREACHABLE, RouteType::PROHIBIT, RouteType::THROW];
    let fill = |tx: &mut Transaction, remove: bool| {
        for (at, kind) in types.into_iter().enumerate() {
            for route in [
                Route::to(format!("10.{}.0.0/16", at + 20)),
                Route::to(format!("fd{}::/16", at + 20)),
            ] {
                let route = route.kind(kind).table(2020);
                if remove {
                    tx.remove_route(route)?
                } else {
                    tx.add_route(route)?
                };
            }
        }
        for route in [
            Route::to("10.30.0.1").kind(RouteType::LOCAL).dev("va").table(255),
            Route::to("10.30.0.255").kind(RouteType::BROADCAST).dev("va").table(255),
            Route::to("fd30::1").kind(RouteType::LOCAL).dev("va").table(255),
            Route::to("10.31.0.0/16").dev("va").scope(RouteScope::LINK).table(2020),
        ] {
            if remove {
                tx.remove_route(route)?
            } else {
                tx.add_route(route)?
            };
        }
        Ok(())
    };
    let before = kernel();
    commit(&db, |tx| fill(tx, false));
    let four = shown("table 2020");
    assert_eq!(
        four,
        [
            "blackhole 10.20.0.0/16 proto static",
            "unreachable 10.21.0.0/16 proto static",
            "prohibit 10.22.0.0/16 proto static",
            "throw 10.23.0.0/16 proto static",
            "10.31.0.0/16 dev va proto static scope link",
        ]
    );
    let six = shown("-6 table 2020");
    assert_eq!(six.len(), 4, "{six:?}");
    assert!(six[0].starts_with("blackhole fd20::/16 dev lo proto static"), "{six:?}");
    let local = shown("table local proto static");
    assert_eq!(
        local,
        ["local 10.30.0.1 dev va scope host", "broadcast 10.30.0.255 dev va scope link"]
    );
    assert_eq!(shown("-6 table local proto static").len(), 1);
    commit(&db, |tx| fill(tx, true));
    assert_eq!(kernel(), before);
}

fn metrics(route: RouteSpec, less: u32) -> RouteSpec {
    let route = route.mtu(1400 - less).window(3000 - less).rtt(80 - less).rttvar(40 - less);
    let route = route.ssthresh(30 - less).cwnd(20 - less).advmss(1200 - less).reordering(9 - less);
    let route = route.hoplimit(64 - less).initcwnd(12 - less).features(1).rto_min(300 - less);
    let route = route.initrwnd(14 - less).quickack(1 - less).fastopen_no_cookie(1 - less);
    route.lock(1 << 2 | 1 << 7)
}

fn every_metric_comes_and_changes() {
    let db = two_links();
    let congestion = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    let congestion = congestion.unwrap_or_else(|_| "cubic".to_owned());
    commit(&db, |tx| {
        for to in ["10.2.0.0/16", "fd02::/16"] {
            let via = if to.starts_with('f') { "fd00::2" } else { "10.0.0.2" };
            let route = Route::to(to).via(via).congestion_control(congestion.trim());
            tx.add_route(metrics(route, 0))?;
        }
        Ok(())
    });
    for line in [shown("10.2.0.0/16").concat(), shown("-6 fd02::/16").concat()] {
        for part in [
            "mtu lock 1400",
            "window 3000",
            "ssthresh 30",
            "cwnd lock 20",
            "advmss 1200",
            "reordering 9",
            "hoplimit 64",
            "initcwnd 12",
            "initrwnd 14",
            "rto_min",
            "quickack 1",
            "fastopen_no_cookie 1",
            "congctl",
            "features ecn",
        ] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |route| metrics(route, 1))?;
        tx.change_route(Route::to("fd02::/16"), |route| metrics(route, 1)).map(drop)
    });
    for line in [shown("10.2.0.0/16"), shown("-6 fd02::/16")] {
        assert_eq!(line.len(), 1);
        for part in ["mtu lock 1399", "window 2999", "initcwnd 11", "hoplimit 63", "advmss 1199"] {
            assert!(line[0].contains(part), "no {part} in {line:?}");
        }
    }
}

fn all_that_a_route_can_say() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("10.9.9.9").dev("va").onlink().src("10.0.1.1"))?;
        tx.add_route(
            Route::to("10.3.0.0/16")
                .via("10.0.0.2")
                .protocol(RouteProtocol::BIRD)
                .priority(9)
                .tos(0x10),
        )?;
        tx.add_route(Route::to("default").via("10.0.1.2").table(1_000_000))?;
        tx.add_route(Route::to("default").via("fd01::2").pref(Preference::HIGH))?;
        tx.add_route(Route::to("fd03::/16").via("fd09::9").dev("va").onlink().src("fd00::1"))?;
        tx.add_route(
            Route::to("10.4.0.0/16")
                .nexthop(Hop::via("10.0.0.2").weight(20))
                .nexthop(Hop::via("10.8.8.8").dev("vb").onlink().weight(256)),
        )?;
        tx.add_route(
            Route::to("10.5.0.0/16")
                .nexthop(Hop::direct("va"))
                .nexthop(Hop::direct("vb").weight(2)),
        )
        .map(drop)
    });
    assert_eq!(
        shown("proto bird"),
        ["10.3.0.0/16 tos lowdelay via 10.0.0.2 dev va metric 9"].map(|line| {
            // Older versions name the type of service by a number.
            if shown("proto bird")[0].contains("0x10") {
                line.replace("lowdelay", "0x10")
            } else {
                line.to_owned()
            }
        })
    );
    assert_eq!(
        shown("10.2.0.0/16"),
        ["10.2.0.0/16 via 10.9.9.9 dev va proto static src 10.0.1.1 onlink"]
    );
    assert_eq!(shown("table 1000000"), ["default via 10.0.1.2 dev vb proto static"]);
    assert_eq!(
        shown("-6 default"),
        ["default via fd01::2 dev vb proto static metric 1024 pref high"]
    );
    assert_eq!(
        shown("-6 fd03::/16"),
        ["fd03::/16 via fd09::9 dev va proto static src fd00::1 metric 1024 onlink pref medium"]
    );
    assert_eq!(
        shown("10.4.0.0/16"),
        [
            "10.4.0.0/16 proto static nexthop via 10.0.0.2 dev va weight 20 nexthop via 10.8.8.8 dev vb weight 256 onlink"
        ]
    );
    assert_eq!(
        shown("10.5.0.0/16"),
        ["10.5.0.0/16 proto static scope link nexthop dev va weight 1 nexthop dev vb weight 2"]
    );
}

fn a_gateway_of_the_other_family() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("fd00::2").dev("va"))?;
        let legs = Route::to("10.3.0.0/16").nexthop(Hop::via("fd00::2").dev("va"));
        tx.add_route(legs.nexthop(Hop::via("10.0.1.2"))).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via inet6 fd00::2 dev va proto static"]);
    assert_eq!(
        shown("10.3.0.0/16"),
        [
            "10.3.0.0/16 proto static nexthop via inet6 fd00::2 dev va weight 1 nexthop via 10.0.1.2 dev vb weight 1"
        ]
    );
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |route| route.via("10.0.0.2")).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.0.0.2 dev va proto static"]);
}

fn a_route_by_a_nexthop_object() {
    let db = two_links();
    scene(
        "nexthop add id 7 via 10.0.0.2 dev va\n nexthop add id 8 via fd00::2 dev va\n nexthop add id 9 via 10.0.1.2 dev vb\n nexthop add id 10 group 7/9",
    );
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").nexthop_id(7))?;
        tx.add_route(Route::to("10.3.0.0/16").nexthop_id(10))?;
        tx.add_route(Route::to("fd02::/16").nexthop_id(8)).map(drop)
    });
    assert!(shown("10.2.0.0/16")[0].contains("nhid 7 via 10.0.0.2 dev va"), "{:?}", shown(""));
    assert!(shown("-6 fd02::/16")[0].contains("nhid 8 via fd00::2 dev va"), "{:?}", shown("-6"));
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |route| route.nexthop_id(9).mtu(1400))?;
        tx.remove_route(Route::to("fd02::/16"))?;
        tx.remove_route(Route::to("10.3.0.0/16").nexthop_id(10)).map(drop)
    });
    let line = shown("10.2.0.0/16").concat();
    assert!(line.contains("nhid 9 via 10.0.1.2 dev vb") && line.contains("mtu 1400"), "{line}");
    assert!(shown("-6 fd02::/16").is_empty() && shown("10.3.0.0/16").is_empty());
}

fn tunnels_of_routes() {
    let db = two_links();
    let ip4 = Encap::ip("192.0.2.1".parse().unwrap()).id(42).ttl(64);
    let ip6 = Encap::ip("2001:db8::1".parse().unwrap()).id(43);
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").dev("va").encap(ip4.clone()))?;
        tx.add_route(Route::to("10.3.0.0/16").dev("va").encap(ip6))?;
        tx.add_route(
            Route::to("10.4.0.0/16")
                .nexthop(Hop::direct("va").encap(ip4))
                .nexthop(Hop::direct("vb")),
        )
        .map(drop)
    });
    assert!(
        shown("10.2.0.0/16")[0].contains("encap ip id 42 src 0.0.0.0 dst 192.0.2.1 ttl 64"),
        "{:?}",
        shown("")
    );
    assert!(shown("10.3.0.0/16")[0].contains("encap ip6 id 43"), "{:?}", shown(""));
    assert!(shown("10.4.0.0/16")[0].contains("encap ip"), "{:?}", shown(""));
    for (kind, words) in [
        ("mpls", "encap mpls 200/300 dev va"),
        ("seg6", "encap seg6 mode inline segs fd00::9 dev va"),
    ] {
        let route = ["-6", "route", "add", "fd44::/16"]
            .into_iter()
            .chain(words.split(' '))
            .collect::<Vec<_>>();
        if !try_ip(&route).status.success() {
            eprintln!("skipped: routes with the tunnel {kind}: this kernel has none");
            continue;
        }
        db.sync().unwrap();
        let there = db.snapshot().routes().get("fd44::/16".parse().unwrap()).remove(0);
        let before = shown("-6 fd44::/16");
        commit(&db, |tx| tx.remove_route(Route::to("fd44::/16")).map(drop));
        commit(&db, |tx| tx.add_route(&there).map(drop));
        assert_eq!(shown("-6 fd44::/16"), before);
        ip(&["-6", "route", "del", "fd44::/16"]);
    }
}

fn an_ipv6_route_that_expires() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("fd02::/16").via("fd00::2").expires(300)).map(drop));
    let line = shown("-6 fd02::/16").concat();
    assert!(line.contains("expires 2") || line.contains("expires 300"), "{line}");
    commit(&db, |tx| {
        tx.change_route(Route::to("fd02::/16"), |route| route.via("fd00::3")).map(drop)
    });
    let line = shown("-6 fd02::/16").concat();
    assert!(line.contains("fd00::3") && line.contains("expires 2"), "{line}");
    commit(&db, |tx| tx.remove_route(Route::to("fd02::/16")).map(drop));
    assert!(shown("-6 fd02::/16").is_empty());
}

fn a_plain_route_becomes_a_multipath_one_and_back() {
    let db = two_links();
    for (to, one, two, three, four) in [
        ("10.2.0.0/16", "10.0.0.2", "10.0.1.2", "10.0.0.3", "10.0.1.4"),
        ("fd02::/16", "fd00::2", "fd01::2", "fd00::3", "fd01::4"),
    ] {
        let family = if to.starts_with('f') { "-6 " } else { "" };
        let look = || shown(&format!("{family}{to}")).concat();
        commit(&db, |tx| tx.add_route(Route::to(to).via(one).mtu(1400)).map(drop));
        let plain = look();
        commit(&db, |tx| {
            tx.change_route(Route::to(to), |route| {
                route.add_nexthop(Hop::via(two).weight(5)).add_nexthop(Hop::via(three))
            })
            .map(drop)
        });
        let line = look();
        assert!(line.contains(&format!("nexthop via {one} dev va weight 1")), "{line}");
        assert!(line.contains(&format!("nexthop via {two} dev vb weight 5")), "{line}");
        assert!(line.contains(&format!("nexthop via {three} dev va weight 1")), "{line}");
        assert!(line.contains("mtu 1400"), "{line}");
        commit(&db, |tx| {
            tx.change_route(Route::to(to), |route| {
                route.del_nexthop(Hop::via(one)).add_nexthop(Hop::via(four).dev("vb"))
            })
            .map(drop)
        });
        let line = look();
        assert!(
            !line.contains(&format!("via {one} ")) && line.contains(&format!("via {four} dev vb")),
            "{line}"
        );
        commit(&db, |tx| {
            let plain = |route: RouteSpec| {
                route
                    .add_nexthop(Hop::via(one))
                    .del_nexthop(Hop::via(two))
                    .del_nexthop(Hop::via(three))
            };
            tx.change_route(Route::to(to), |route| {
                plain(route).del_nexthop(Hop::direct("vb").weight(1))
            })
            .map(drop)
        });
        assert_eq!(look(), plain);
    }
}

/// The legs of a route come with the indexes of their interfaces, and were not found by a name.
fn legs_are_named_by_their_interface() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(
            Route::to("10.2.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::direct("vb")),
        )?;
        tx.add_route(
            Route::to("10.3.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::via("10.0.1.2")),
        )?;
        tx.add_route(
            Route::to("10.4.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::via("10.0.1.2")),
        )
        .map(drop)
    });
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |route| route.del_nexthop(Hop::direct("vb")))?;
        tx.change_route(Route::to("10.3.0.0/16"), |route| {
            route.del_nexthop(Hop::via("10.0.1.2").dev("vb"))
        })?;
        tx.remove_route(
            Route::to("10.4.0.0/16")
                .nexthop(Hop::via("10.0.0.2").dev("va"))
                .nexthop(Hop::direct("vb")),
        )
        .map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.0.0.2 dev va proto static"]);
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 via 10.0.0.2 dev va proto static"]);
    assert!(shown("10.4.0.0/16").is_empty());
    let mut tx = db.begin();
    let error = tx.change_route(Route::to("10.3.0.0/16"), |route| {
        route.add_nexthop(Hop::via("10.0.0.2").dev("va"))
    });
    assert!(error.unwrap_err().to_string().contains("already"));
}

/// Of two legs out of one interface the first one went.
fn of_ipv6_legs_that_fit_the_words_none_is_guessed() {
    let db = two_links();
    commit(&db, |tx| {
        let legs = Route::to("fd02::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("fd00::3"));
        tx.add_route(legs.nexthop(Hop::via("fd01::2"))).map(drop)
    });
    let error = db.begin().remove_route(Route::to("fd02::/16").dev("va")).unwrap_err();
    assert!(error.to_string().contains("say more"), "{error}");
    assert!(
        error.to_string().contains("fd00::2") && error.to_string().contains("fd00::3"),
        "{error}"
    );
}

fn words_about_metrics_count() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2 mtu 1400");
    db.sync().unwrap();
    let error = db.begin().remove_route(Route::to("10.2.0.0/16").mtu(1300)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    commit(&db, |tx| tx.remove_route(Route::to("10.2.0.0/16").mtu(1400)).map(drop));
}

/// The priority that is not said was not found by the priority 0 that means the same.
fn no_priority_of_ipv6_is_1024() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("fd02::/16").via("fd00::2").priority(0)).map(drop));
    commit(&db, |tx| tx.remove_route(Route::to("fd02::/16").priority(0)).map(drop));
    assert!(shown("-6 fd02::/16").is_empty());
}

/// One route afterwards, whatever is changed (IPDB's test_routes_set_priority).
fn everything_of_a_route_can_be_changed() {
    let db = two_links();
    for (to, via, new, elsewhere) in [
        ("10.2.0.0/16", "10.0.0.2", "10.0.1.2", "10.3.0.0/16"),
        ("fd02::/16", "fd00::2", "fd01::2", "fd03::/16"),
    ] {
        let family = if to.starts_with('f') { "-6 " } else { "" };
        let look = || shown(&format!("{family}table all proto static"));
        let change = |which: &RouteSpec, change: fn(RouteSpec) -> RouteSpec| {
            commit(&db, |tx| tx.change_route(which.clone(), change).map(drop));
            let now = look();
            assert_eq!(now.len(), 1, "{now:?}");
            now.concat()
        };
        commit(&db, |tx| tx.add_route(Route::to(to).via(via).priority(100)).map(drop));
        let route = Route::to(to);
        assert!(change(&route, |route| route.priority(287)).contains("metric 287"));
        assert!(change(&route, |route| route.mtu(1280)).contains("mtu 1280"));
        commit(&db, |tx| tx.change_route(route.clone(), |route| route.via(new)).map(drop));
        assert!(look().concat().contains(&format!("via {new} dev vb")), "{:?}", look());
        assert!(change(&route, |route| route.table(4000)).contains("table 4000"));
        let route = Route::to(to).table(4000);
        commit(&db, |tx| {
            tx.change_route(route.clone(), |_| {
                Route::to(elsewhere).via(via).table(4000).protocol(RouteProtocol::STATIC)
            })
            .map(drop)
        });
        assert!(
            look().concat().starts_with(&format!("{elsewhere} via {via} dev va table 4000")),
            "{:?}",
            look()
        );
        let route = Route::to(elsewhere).table(4000);
        commit(&db, |tx| {
            tx.change_route(route.clone(), |route| route.protocol(RouteProtocol::BIRD)).map(drop)
        });
        assert!(look().is_empty());
        commit(&db, |tx| tx.remove_route(route).map(drop));
    }
}

/// A route that the kernel told kept its gateway, and no type that drops packets could be given to it.
fn a_type_changes_with_its_way() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2"))?;
        tx.add_route(Route::to("10.3.0.0/16").dev("va"))?;
        tx.add_route(
            Route::to("10.4.0.0/16").nexthop(Hop::via("10.0.0.2")).nexthop(Hop::via("10.0.1.2")),
        )?;
        tx.add_route(Route::to("fd02::/16").via("fd00::2")).map(drop)
    });
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), RouteSpec::blackhole)?;
        tx.change_route(Route::to("10.3.0.0/16"), RouteSpec::unreachable)?;
        tx.change_route(Route::to("10.4.0.0/16"), RouteSpec::prohibit)?;
        tx.change_route(Route::to("fd02::/16"), RouteSpec::throw).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["blackhole 10.2.0.0/16 proto static"]);
    assert_eq!(shown("10.3.0.0/16"), ["unreachable 10.3.0.0/16 proto static"]);
    assert_eq!(shown("10.4.0.0/16"), ["prohibit 10.4.0.0/16 proto static"]);
    assert!(shown("-6 fd02::/16")[0].starts_with("throw fd02::/16 dev lo"));
    commit(&db, |tx| {
        let unicast = |route: RouteSpec| route.kind(RouteType::UNICAST);
        tx.change_route(Route::to("10.2.0.0/16"), |route| unicast(route).via("10.0.0.2"))?;
        tx.change_route(Route::to("10.3.0.0/16"), |route| unicast(route).dev("vb"))?;
        tx.change_route(Route::to("fd02::/16"), |route| unicast(route).via("fd01::2")).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.0.0.2 dev va proto static"]);
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 dev vb proto static scope link"]);
    assert_eq!(
        shown("-6 fd02::/16"),
        ["fd02::/16 via fd01::2 dev vb proto static metric 1024 pref medium"]
    );
}

/// The scope of a route without a gateway stayed, and the kernel takes no gateway in it.
fn a_route_straight_out_gets_a_gateway() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("10.2.0.0/16").dev("va")).map(drop));
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |route| route.via("10.0.0.2")).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.0.0.2 dev va proto static"]);
    commit(&db, |tx| {
        tx.change_route(Route::to("10.2.0.0/16"), |_| Route::to("10.2.0.0/16").dev("vb")).map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 dev vb proto static scope link"]);
}

/// A leg whose weight or metrics changed was added beside itself, which the kernel refuses, and then deleted.
fn one_leg_of_an_ipv6_route_is_changed() {
    let db = two_links();
    commit(&db, |tx| {
        let legs = Route::to("fd02::/16").nexthop(Hop::via("fd00::2")).nexthop(Hop::via("fd00::3"));
        tx.add_route(legs.nexthop(Hop::via("fd01::2"))).map(drop)
    });
    commit(&db, |tx| {
        tx.change_route(Route::to("fd02::/16").via("fd00::3"), |route| {
            route.via("fd01::3").dev("vb")
        })
        .map(drop)
    });
    let line = shown("-6 fd02::/16").concat();
    assert!(line.matches("nexthop").count() == 3 && line.contains("fd01::3 dev vb"), "{line}");
    // What the kernel keeps for each leg and tells of one for all cannot be changed of one.
    let error = db
        .begin()
        .change_route(Route::to("fd02::/16").via("fd01::3"), |route| route.mtu(1400))
        .unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("way"), "{error}");
    let routes = db.sync().unwrap().routes().get("fd02::/16".parse().unwrap());
    let hops: usize = routes.iter().map(|route| route.hops().len().max(1)).sum();
    assert_eq!(hops, 3, "{:?}", shown("-6 fd02::/16"));
    commit(&db, |tx| {
        tx.change_route(Route::to("fd02::/16"), |_| {
            Route::to("fd02::/16")
                .nexthop(Hop::via("fd00::7"))
                .nexthop(Hop::via("fd01::7").weight(9))
        })
        .map(drop)
    });
    let line = shown("-6 fd02::/16").concat();
    assert!(
        line.matches("nexthop").count() == 2 && line.contains("fd01::7 dev vb weight 9"),
        "{line}"
    );
}

/// A single leg was sent as a plain route, which has no weight.
fn an_ipv6_leg_that_is_appended_has_its_weight() {
    let db = two_links();
    let leg =
        |gateway: &str, weight| Route::to("fd02::/16").nexthop(Hop::via(gateway).weight(weight));
    commit(&db, |tx| tx.append_route(leg("fd00::2", 7)).map(drop));
    // The kernel keeps the weight of one that is alone, and does not say it.
    assert_eq!(
        shown("-6 fd02::/16"),
        ["fd02::/16 via fd00::2 dev va proto static metric 1024 pref medium"]
    );
    undone(&db, |tx| tx.append_route(leg("fd01::2", 9)).map(drop));
    commit(&db, |tx| tx.append_route(leg("fd01::2", 9)).map(drop));
    let line = shown("-6 fd02::/16").concat();
    for leg in ["fd00::2 dev va weight 7", "fd01::2 dev vb weight 9"] {
        assert!(line.contains(leg), "{line}");
    }
    undone(&db, |tx| {
        tx.add_route(Route::to("fd03::/16").nexthop(Hop::via("fd01::2").weight(9))).map(drop)
    });
    commit(&db, |tx| {
        let to = |gateway: &str, weight| {
            Route::to("fd03::/16").nexthop(Hop::via(gateway).weight(weight))
        };
        tx.add_route(to("fd00::2", 3))?;
        tx.append_route(to("fd01::2", 5)).map(drop)
    });
    let line = shown("-6 fd03::/16").concat();
    for leg in ["fd00::2 dev va weight 3", "fd01::2 dev vb weight 5"] {
        assert!(line.contains(leg), "{line}");
    }
}

/// The kernel takes the first route that fits: a removal of the one without a gateway took the leg before it that leaves
/// by the same interface, and with it its whole group.
fn an_ipv6_route_straight_out_is_removed_beside_legs_by_the_same_link() {
    let db = two_links();
    let to = || Route::to("fd02::/16");
    for legs in [&["fd00::2"][..], &["fd01::2", "fd00::2"]] {
        for gateway in legs {
            commit(&db, |tx| tx.append_route(to().via(gateway)).map(drop));
        }
        let before = shown("-6 fd02::/16");
        undone(&db, |tx| tx.append_route(to().dev("va")).map(drop));
        commit(&db, |tx| tx.append_route(to().dev("va")).map(drop));
        let straight = |route: &Route| {
            route.gateway().is_none() && route.hops().len() == 0 && route.dst_len() == 16
        };
        let route = db.snapshot().routes().all().iter().find(straight).expect("the route");
        commit(&db, |tx| tx.remove_route(&route).map(drop));
        assert_eq!(shown("-6 fd02::/16"), before);
        scene("-6 route flush fd02::/16");
    }
}

/// The kernel shows the protocol of the first leg for all: the others were not found by it.
fn one_ipv6_leg_with_attributes_of_its_own_is_removed() {
    let db = two_links();
    let legs = "-6 route add fd02::/16 via fd00::2 proto static
         -6 route append fd02::/16 via fd01::2 proto bird mtu 1300
         -6 route append fd02::/16 via fd01::3 proto babel";
    scene(legs);
    let to = || Route::to("fd02::/16");
    undone(&db, |tx| tx.remove_route(to().via("fd01::2")).map(drop));
    commit(&db, |tx| tx.remove_route(to().via("fd01::2")).map(drop));
    commit(&db, |tx| tx.remove_route(to().via("fd00::2")).map(drop));
    let line = shown("-6 fd02::/16").concat();
    assert!(line.contains("fd01::3"), "{line}");
    scene("-6 route flush fd02::/16");
    scene(legs);
    commit(&db, |tx| tx.remove_route(to()).map(drop));
    assert_eq!(shown("-6 fd02::/16"), Vec::<String>::new());
}

/// What the same transaction adds or changes could be neither changed nor removed.
fn a_route_that_was_drafted_is_changed_and_removed() {
    let db = two_links();
    scene("route add 10.9.0.0/16 via 10.0.0.2 proto static");
    commit(&db, |tx| {
        tx.add_route(to("0.0.2").priority(7))?;
        tx.change_route(Route::to("10.2.0.0/16"), |route| route.mtu(1400))?;
        tx.add_route(Route::to("10.3.0.0/16").via("10.0.0.2").priority(3))?;
        tx.remove_route(Route::to("10.3.0.0/16"))?;
        tx.change_route(Route::to("10.9.0.0/16"), |route| route.mtu(1400))?;
        tx.change_route(Route::to("10.9.0.0/16"), |route| route.via("10.0.1.2")).map(drop)
    });
    assert_eq!(
        shown("10.2.0.0/16"),
        ["10.2.0.0/16 via 10.0.0.2 dev va proto static metric 7 mtu 1400"]
    );
    assert!(shown("10.3.0.0/16").is_empty());
    assert_eq!(shown("10.9.0.0/16"), ["10.9.0.0/16 via 10.0.1.2 dev vb proto static mtu 1400"]);
    commit(&db, |tx| {
        tx.change_route(Route::to("10.9.0.0/16"), |route| route.mtu(1300))?;
        tx.remove_route(Route::to("10.9.0.0/16")).map(drop)
    });
    assert!(shown("10.9.0.0/16").is_empty());
}

/// The replacement was forgotten by the removal, and the route from before stayed.
fn what_is_replaced_and_removed_is_gone() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2");
    commit(&db, |tx| {
        tx.replace_route(to("0.1.2"))?;
        tx.remove_route(to("0.1.2")).map(drop)
    });
    assert!(shown("10.2.0.0/16").is_empty(), "{:?}", shown("10.2.0.0/16"));
}

/// The replacement of the first in a list forgot that another one was to go.
fn a_removal_before_a_replacement_stands() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n route append 10.2.0.0/16 via 10.0.0.3");
    commit(&db, |tx| {
        tx.remove_route(to("0.0.3"))?;
        tx.replace_route(to("0.0.4")).map(drop)
    });
    assert_eq!(list(), ["0.0.4"]);
}

fn a_bridge_with_everything_in_one_transaction() {
    let db = two_links();
    commit(&db, |tx| {
        let br0 = tx.create(Bridge::new("br0"))?;
        let v0 = tx.create(Veth::new("v0", "v1"))?;
        // Routes first: the order comes from what depends on what (IPDB fault 25).
        tx.add_route(Route::to("default").via("10.5.0.2"))?;
        tx.add_route(Route::to("default").via("fd05::2"))?;
        tx.add_route(Route::to("10.6.0.0/16").via("10.5.0.2").dev(&br0).mtu(1400).src("10.5.0.1"))?;
        tx.add_route(
            Route::to("10.7.0.0/16").nexthop(Hop::via("10.5.0.3")).nexthop(Hop::via("10.0.0.2")),
        )?;
        tx.add_route(Route::to("10.8.0.0/16").dev(&br0))?;
        tx.add_route(Route::to("fd08::/16").dev(&br0).expires(500))?;
        tx.interface(&br0).add_port(&v0)?.add_ip("10.5.0.1/24")?.add_ip("fd05::1/64")?.up();
        tx.interface(&v0).up();
        tx.interface("v1").up();
        Ok(())
    });
    assert_eq!(shown("default"), ["default via 10.5.0.2 dev br0 proto static"]);
    assert!(
        shown("-6 default")[0].starts_with("default via fd05::2 dev br0 proto static metric 1024")
    );
    assert_eq!(
        shown("10.6.0.0/16"),
        ["10.6.0.0/16 via 10.5.0.2 dev br0 proto static src 10.5.0.1 mtu 1400"]
    );
    assert!(shown("10.7.0.0/16")[0].contains("via 10.5.0.3 dev br0"));
    assert_eq!(shown("10.8.0.0/16"), ["10.8.0.0/16 dev br0 proto static scope link"]);
    assert!(shown("-6 fd08::/16")[0].contains("expires"), "{:?}", shown("-6 fd08::/16"));
}

fn a_route_by_a_gateway_that_the_same_transaction_reaches() {
    let db = two_links();
    commit(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("10.77.0.2"))?;
        tx.add_route(Route::to("10.77.0.0/24").dev("va"))?;
        tx.add_route(Route::to("10.3.0.0/16").via("10.78.0.2"))?;
        tx.interface("vb").add_ip("10.78.0.1/24").map(drop)
    });
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.77.0.2 dev va proto static"]);
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 via 10.78.0.2 dev vb proto static"]);
}

fn addresses_and_their_routes_go_together() {
    let db = two_links();
    scene(
        "addr add 10.5.0.1/24 dev va
           addr add 10.5.0.2/24 dev va
           route add 10.2.0.0/16 via 10.5.0.9
           route add 10.3.0.0/16 via 10.0.0.2 src 10.5.0.1
           route add 10.4.0.0/16 via 10.0.0.2 proto static",
    );
    commit(&db, |tx| {
        tx.interface("va").del_ip("10.5.0.1/24")?.del_ip("10.5.0.2/24")?.del_ip("10.0.0.1/24")?;
        tx.remove_route(Route::to("10.2.0.0/16"))?;
        tx.remove_route(Route::to("10.3.0.0/16"))?;
        tx.change_route(Route::to("10.4.0.0/16"), |route| route.via("10.0.1.2")).map(drop)
    });
    assert_eq!(shown("dev va"), [""; 0]);
    assert_eq!(shown("10.4.0.0/16"), ["10.4.0.0/16 via 10.0.1.2 dev vb proto static"]);
}

const MOVING: &str = "route add 10.2.0.0/16 via 10.0.0.2 proto static
    route add default via 10.0.0.2 proto static
    route append default via 10.0.0.3 proto static
    route add 10.3.0.0/16 proto static nexthop via 10.0.0.2 nexthop via 10.0.1.3
    -6 route add fd02::/16 via fd00::2 proto static
    -6 route add fd03::/16 proto static nexthop via fd00::2 nexthop via fd01::3";

fn moved(tx: &mut Transaction) -> netlinkdb::Result<()> {
    tx.change_route(Route::to("10.2.0.0/16"), |route| route.via("10.0.1.2"))?;
    tx.change_route(Route::to("default").via("10.0.0.2"), |route| route.via("10.0.1.2"))?;
    tx.change_route(Route::to("default").via("10.0.0.3"), |route| route.via("10.0.1.3"))?;
    tx.change_route(Route::to("10.3.0.0/16"), |route| route.del_nexthop(Hop::via("10.0.0.2")))?;
    tx.change_route(Route::to("fd02::/16"), |route| route.via("fd01::2"))?;
    tx.remove_route(Route::to("fd03::/16").via("fd00::2")).map(drop)
}

#[track_caller]
fn have_moved() {
    assert_eq!(shown("10.2.0.0/16"), ["10.2.0.0/16 via 10.0.1.2 dev vb proto static"]);
    let mut default = shown("default");
    default.sort();
    assert_eq!(
        default,
        ["default via 10.0.1.2 dev vb proto static", "default via 10.0.1.3 dev vb proto static"]
    );
    assert_eq!(shown("10.3.0.0/16"), ["10.3.0.0/16 via 10.0.1.3 dev vb proto static"]);
    assert_eq!(
        shown("-6 fd02::/16"),
        ["fd02::/16 via fd01::2 dev vb proto static metric 1024 pref medium"]
    );
    assert_eq!(
        shown("-6 fd03::/16"),
        ["fd03::/16 via fd01::3 dev vb proto static metric 1024 pref medium"]
    );
}

fn routes_move_to_another_link_as_theirs_goes_down() {
    let db = two_links();
    scene(MOVING);
    commit(&db, |tx| {
        tx.interface("va").down();
        moved(tx)
    });
    have_moved();
}

/// What is changed of a link while it is down is changed first, and the routes are gone before they move.
fn routes_move_to_another_link_as_theirs_is_edited_and_goes_down() {
    let db = two_links();
    scene(MOVING);
    commit(&db, |tx| {
        tx.interface("va").down().set_mtu(1400);
        tx.interface("va").del_ip("10.0.0.1/24")?;
        moved(tx)
    });
    have_moved();
}

/// The first of a list was gone with its link, and its replacement took the place of the second.
fn the_second_of_a_list_is_nobodys_when_the_first_goes_down() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2\n route append 10.2.0.0/16 via 10.0.1.9");
    scene("route add 10.4.0.0/16 via 10.0.0.2\n route append 10.4.0.0/16 via 10.0.1.9");
    commit(&db, |tx| {
        tx.interface("va").down().set_mtu(1400);
        tx.replace_route(Route::to("10.4.0.0/16").via("10.0.1.2"))?;
        tx.change_route(to("0.0.2"), |route| route.via("10.0.1.2")).map(drop)
    });
    assert_eq!(list(), ["0.1.2", "0.1.9"]);
    assert_eq!(shown("10.4.0.0/16").len(), 2, "{:?}", shown("10.4.0.0/16"));
}

fn routes_move_to_another_link_as_theirs_is_deleted() {
    let db = two_links();
    scene(MOVING);
    commit(&db, |tx| {
        tx.remove("va")?;
        moved(tx)
    });
    have_moved();
}

fn a_table_moves() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2 table 100
           route add default via 10.0.1.2 table 100 metric 3 proto bird
           route add blackhole 10.3.0.0/16 table 100
           -6 route add fd02::/16 table 100 nexthop via fd00::2 nexthop via fd01::2",
    );
    let before = [shown("table 100"), shown("-6 table 100")];
    commit(&db, |tx| {
        for route in db.snapshot().routes().table(100).iter() {
            tx.change_route(route, |route| route.table(70_000))?;
        }
        Ok(())
    });
    assert_eq!([shown("table 70000"), shown("-6 table 70000")], before);
    assert_eq!([shown("table 100"), shown("-6 table 100")], [[""; 0], [""; 0]]);
}

/// A secondary that falls with its primary is put back, and with it the routes that fell too: nobody named them.
fn a_primary_goes_and_routes_by_its_secondaries_stay() {
    for promote in ["0", "1"] {
        let db = two_links();
        sysctl("ipv4/conf/all/promote_secondaries", promote);
        scene(
            "addr add 10.0.0.7/24 dev va
               route add 10.2.0.0/16 via 10.0.0.2
               route add 10.3.0.0/16 dev va
               route add 10.4.0.0/16 via 10.0.0.2 src 10.0.0.7",
        );
        let before = shown("proto boot");
        commit(&db, |tx| tx.interface("va").del_ip("10.0.0.1/24").map(drop));
        assert_eq!(shown("proto boot"), before, "promote_secondaries {promote}");
        commit(&db, |tx| {
            tx.add_route(Route::to("10.5.0.0/16").via("10.0.0.2"))?;
            tx.interface("va").add_ip("10.0.0.8/24")?.del_ip("10.0.0.7/24").map(drop)
        });
        assert_eq!(shown("10.5.0.0/16"), ["10.5.0.0/16 via 10.0.0.2 dev va proto static"]);
        scene("link del va\n link del vb");
    }
}

/// Every kind of route that there can be, made from outside.
const ZOO: &str = "nexthop add id 7 via 10.0.0.2 dev va
    route add 10.2.0.0/16 via 10.0.0.2 mtu 1400 initcwnd 20 realms 3
    route append 10.2.0.0/16 via 10.0.0.3
    route append 10.2.0.0/16 dev vb
    route add 10.3.0.0/16 proto bird metric 9 nexthop via 10.0.0.2 weight 5 nexthop via 10.9.9.9 dev vb onlink
    route add 10.4.0.0/16 via inet6 fd00::2 dev va
    route add 10.5.0.0/16 nhid 7
    route add 10.6.0.0/16 dev va encap ip id 42 dst 192.0.2.1
    route add 10.7.0.0/16 via 10.0.0.2 src 10.0.1.1 tos 8
    route add blackhole 10.8.0.0/16
    route add throw 10.9.0.0/16
    route add local 10.10.0.0/16 dev lo table main
    route add default via 10.0.0.2 mtu lock 1300 congctl reno
    -6 route add fd02::/16 nexthop via fd00::2 nexthop via fd00::3 weight 7 nexthop via fd01::2
    -6 route add fd03::/16 dev va
    -6 route append fd03::/16 dev vb
    -6 route add fd04::/16 via fd00::2 expires 500
    -6 route add fd05::/16 via fd00::2 pref high hoplimit 9 mtu 1400
    -6 route add unreachable fd06::/16
    -6 route add default via fd00::2 src fd00::1 proto bird";

fn routes_as_they_are_select_themselves() {
    let db = two_links();
    let empty = kernel();
    scene(ZOO);
    commit(&db, |tx| {
        let ours = db
            .snapshot()
            .routes()
            .iter()
            .filter(|route| route.protocol() != RouteProtocol::KERNEL)
            .collect::<Vec<_>>();
        assert!(ours.len() > 18, "{}", ours.len());
        ours.into_iter().try_for_each(|route| tx.remove_route(&route).map(drop))
    });
    assert_eq!(kernel(), empty);
}

fn a_conflict_at_the_same_key_is_refused() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2\n route add 10.3.0.0/16 via 10.0.0.2\n -6 route add fd02::/16 via fd00::2",
    );
    db.sync().unwrap();
    type Fill = fn(&mut Transaction) -> netlinkdb::Result<()>;
    let cases: [(Fill, &str); 5] = [
        (
            |tx| tx.add_route(Route::to("10.5.0.0/16").via("10.0.0.2")).map(drop),
            "route add 10.5.0.0/16 via 10.0.0.9",
        ),
        (|tx| tx.replace_route(to("0.0.3")).map(drop), "route replace 10.2.0.0/16 via 10.0.0.9"),
        (
            |tx| tx.change_route(Route::to("10.3.0.0/16"), |r| r.mtu(1400)).map(drop),
            "route replace 10.3.0.0/16 via 10.0.0.9",
        ),
        (
            |tx| tx.change_route(Route::to("10.2.0.0/16"), |r| r.mtu(1400)).map(drop),
            "route del 10.2.0.0/16",
        ),
        (
            |tx| tx.change_route(Route::to("fd02::/16"), |r| r.mtu(1400)).map(drop),
            "-6 route replace fd02::/16 via fd01::2",
        ),
    ];
    for (fill, command) in cases {
        db.sync().unwrap();
        let mut tx = db.begin();
        tx.interface("vb").set_alias("never");
        fill(&mut tx).unwrap();
        scene(command);
        let before = kernel();
        let error = refused(tx.commit());
        assert!(error.is_conflict(), "{error}");
        assert_eq!(kernel(), before);
        assert_eq!(db.sync().unwrap().link("vb").unwrap().alias(), None);
    }
    quiesce_and_compare(&db);
}

fn the_same_by_another_program_is_moot() {
    let db = two_links();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2 proto static\n route add 10.3.0.0/16 via 10.0.0.2 proto static",
    );
    scene("-6 route add fd02::/16 via fd00::2 proto static");
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.add_route(Route::to("10.5.0.0/16").via("10.0.0.2")).unwrap();
    tx.add_route(Route::to("fd05::/16").via("fd00::2")).unwrap();
    tx.change_route(Route::to("10.2.0.0/16"), |route| route.via("10.0.1.2").priority(5)).unwrap();
    tx.remove_route(Route::to("10.3.0.0/16")).unwrap();
    tx.replace_route(Route::to("fd02::/16").via("fd01::2")).unwrap();
    scene(
        "route add 10.5.0.0/16 via 10.0.0.2 proto static
           -6 route add fd05::/16 via fd00::2 proto static
           route add 10.2.0.0/16 via 10.0.1.2 metric 5 proto static
           route del 10.2.0.0/16 via 10.0.0.2
           route del 10.3.0.0/16
           -6 route replace fd02::/16 via fd01::2 proto static",
    );
    db.sync().unwrap();
    assert!(tx.review().is_empty(), "{}", tx.review());
    tx.commit().unwrap();
    quiesce_and_compare(&db);
}

fn other_keys_are_nobodys_business() {
    let db = two_links();
    scene("route add 10.2.0.0/16 via 10.0.0.2 proto static");
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.change_route(Route::to("10.2.0.0/16"), |route| route.mtu(1400)).unwrap();
    tx.add_route(Route::to("10.3.0.0/16").via("10.0.0.2")).unwrap();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.3 metric 5\n route add 10.3.0.0/16 via 10.0.0.3 table 7\n route add 10.4.0.0/16 via 10.0.0.3",
    );
    tx.commit().unwrap();
    quiesce_and_compare(&db);
    assert_eq!(
        shown("table all 10.2.0.0/16").len()
            + shown("table all 10.3.0.0/16").len()
            + shown("10.4.0.0/16").len(),
        5
    );
}

/// What the review says as commands, given to `ip`, ends in the same state.
fn a_review_is_the_commit() {
    let fill = |tx: &mut Transaction| -> netlinkdb::Result<()> {
        let br0 = tx.create(Bridge::new("br0"))?;
        tx.interface(&br0).add_ip("10.5.0.1/24")?.up();
        tx.add_route(Route::to("10.6.0.0/16").via("10.5.0.2").mtu(1400).priority(5))?;
        tx.add_route(Route::to("10.66.0.0/16").dev(&br0))?;
        tx.add_route(
            Route::to("10.61.0.0/16")
                .nexthop(Hop::via("10.0.0.2").weight(4))
                .nexthop(Hop::via("10.0.1.2").dev("vb").onlink()),
        )?;
        tx.add_route(Route::to("10.62.0.0/16").blackhole().table(70_000))?;
        tx.add_route(
            Route::to("10.63.0.0/16")
                .dev("va")
                .src("10.0.1.1")
                .encap(Encap::ip("192.0.2.1".parse().unwrap()).id(42)),
        )?;
        tx.add_route(metrics(Route::to("10.64.0.0/16").via("fd00::2").dev("va"), 0))?;
        tx.add_route(
            Route::to("fd16::/16")
                .nexthop(Hop::via("fd00::2").weight(4))
                .nexthop(Hop::via("fd01::2")),
        )?;
        tx.add_route(Route::to("fd07::/16").via("fd00::2").pref(Preference::LOW).expires(500))?;
        tx.append_route(Route::to("10.2.0.0/16").via("10.0.0.9"))?;
        tx.prepend_route(Route::to("10.2.0.0/16").via("10.0.0.8"))?;
        tx.replace_route(Route::to("10.7.0.0/16").via("10.0.1.2"))?;
        tx.change_route(Route::to("10.5.0.0/16").nexthop_id(7), |route| route.mtu(1300))?;
        tx.change_route(Route::to("10.3.0.0/16").priority(9), |route| route.priority(10))?;
        tx.change_route(Route::to("fd02::/16").via("fd00::3"), |route| route.via("fd00::4"))?;
        tx.remove_route(Route::to("10.8.0.0/16"))?;
        tx.remove_route(Route::to("fd03::/16").dev("va")).map(drop)
    };
    let db = two_links();
    scene(ZOO);
    let before = kernel();
    db.sync().unwrap();
    let mut tx = db.begin();
    fill(&mut tx).unwrap();
    let review = tx.review();
    assert!(
        review.lines().iter().any(|line| line.sign == Sign::Plus && line.on == "routes"),
        "{review}"
    );
    assert!(
        review.lines().iter().any(|line| line.sign == Sign::Minus && line.on == "routes"),
        "{review}"
    );
    tx.commit().unwrap();
    quiesce_and_compare(&db);
    let mut ours = kernel();
    crate::support::namespaces::elsewhere(|| {
        let db = two_links();
        scene(ZOO);
        assert_eq!(kernel(), before);
        let lines: Vec<_> =
            review.commands().iter().filter_map(|line| line.strip_prefix("ip ")).collect();
        // `ip -batch` takes no `-6`.
        scene(&lines.join("\n"));
        let mut theirs = kernel();
        // The bridge has another hardware address, and hence another link-local one.
        let own = |route: &String| !route.contains("fe80::") && !route.contains("ff00::");
        theirs.retain(own);
        ours.retain(own);
        assert_eq!(ours, theirs, "{review}");
        drop(db);
    });
}

fn specs(db: &Db, filter: impl Fn(&Route) -> bool) -> Vec<RouteSpec> {
    db.sync().unwrap().routes().iter().filter(filter).map(|route| (&route).into()).collect()
}

/// Every route that the kernel does not make by itself goes.
fn flush() {
    // `ip route flush` cannot delete what goes by a nexthop object.
    drop(try_ip(&["route", "del", "10.5.0.0/16"]));
    for family in ["-4", "-6"] {
        for protocol in ["boot", "bird"] {
            drop(try_ip(&[family, "route", "flush", "table", "main", "proto", protocol]));
        }
    }
}

fn a_table_of_all_kinds_as_it_is_needs_nothing() {
    let db = two_links();
    scene(ZOO);
    let own = |route: &Route| route.protocol() != RouteProtocol::KERNEL;
    let mut tx = db.begin();
    tx.replace_table(254, specs(&db, own)).unwrap();
    assert!(tx.review().is_empty(), "{}", tx.review());
    let before = kernel();
    tx.commit().unwrap();
    assert_eq!(kernel(), before);
    // And all of it from nothing.
    flush();
    let mut all = specs(&db, own);
    assert!(all.is_empty(), "{all:?}");
    scene(ZOO.split_once('\n').unwrap().1);
    all = specs(&db, own);
    flush();
    commit(&db, |tx| tx.replace_table(254, all).map(drop));
    assert_eq!(kernel(), before);
}

fn a_scope_leaves_everything_else_alone() {
    let db = two_links();
    scene(ZOO);
    scene(
        "route append 10.2.0.0/16 via 10.0.0.7 proto zebra\n -6 route append fd02::/16 via fd01::7 proto zebra metric 77\n route add 10.77.0.0/16 via 10.0.0.7 proto zebra",
    );
    let others = |all: Vec<String>| -> Vec<String> {
        all.into_iter()
            .filter(|route| !route.contains("zebra") && !route.contains("fd02::"))
            .collect()
    };
    let before = others(kernel());
    commit(&db, |tx| {
        let zebra = RouteFilter::table(254).protocol(RouteProtocol::ZEBRA);
        let own = |route: RouteSpec| route.protocol(RouteProtocol::ZEBRA);
        tx.sync_routes(
            zebra,
            [
                own(to("0.0.8")),
                own(Route::to("10.78.0.0/16").via("10.0.0.8")),
                own(Route::to("fd09::/16").via("fd00::9")),
            ],
        )
        .map(drop)
    });
    assert_eq!(others(kernel()).len(), before.len(), "{:#?}", others(kernel()));
    assert!(before.iter().all(|route| kernel().contains(route)));
    assert_eq!(
        shown("proto zebra"),
        ["10.2.0.0/16 via 10.0.0.8 dev va", "10.78.0.0/16 via 10.0.0.8 dev va"]
    );
    assert_eq!(shown("-6 proto zebra").len(), 1);
    let legs = shown("-6 fd02::/16").concat();
    assert!(legs.matches("nexthop").count() == 3 && !legs.contains("fd01::7"), "{legs}");
    // One family only.
    let six = || shown("-6 table main").iter().map(|line| without_expiry(line)).collect::<Vec<_>>();
    let before = six();
    commit(&db, |tx| {
        tx.sync_routes(RouteFilter::table(254).family(Family::Inet), [to("0.0.8")]).map(drop)
    });
    assert_eq!(six(), before);
    let left: Vec<_> =
        shown("table main").into_iter().filter(|line| !line.contains("proto kernel")).collect();
    assert_eq!(left, ["10.2.0.0/16 via 10.0.0.8 dev va proto static"]);
}

fn a_table_over_a_link_that_is_created() {
    let db = two_links();
    scene(
        "route add 10.90.0.0/16 via 10.0.0.2 table 100\n route add 10.91.0.0/16 via 10.0.0.2 table 100",
    );
    commit(&db, |tx| {
        let br0 = tx.create(Bridge::new("br0"))?;
        tx.interface(&br0).add_ip("10.5.0.1/24")?.up();
        let mut routes: Vec<_> = (0..2000u32)
            .map(|at| {
                Route::to(format!("10.{}.{}.0/24", 100 + at / 256, at % 256))
                    .via("10.5.0.2")
                    .dev(&br0)
                    .table(100)
            })
            .collect();
        routes.push(Route::to("10.90.0.0/16").via("10.5.0.2").dev(&br0).table(100));
        // A list of which one waits for the interface and one does not.
        routes.push(Route::to("10.92.0.0/16").via("10.0.0.2").table(100));
        routes.push(Route::to("10.92.0.0/16").dev(&br0).table(100));
        tx.replace_table(100, routes).map(drop)
    });
    assert_eq!(shown("table 100").len(), 2003);
    assert_eq!(shown("table 100 10.90.0.0/16"), ["10.90.0.0/16 via 10.5.0.2 dev br0 proto static"]);
    assert!(shown("table 100 10.91.0.0/16").is_empty());
    assert_eq!(
        shown("table 100 10.92.0.0/16"),
        [
            "10.92.0.0/16 via 10.0.0.2 dev va proto static",
            "10.92.0.0/16 dev br0 proto static scope link"
        ]
    );
    // Out of the scope, also where the interface is still to be created.
    let mut tx = db.begin();
    let br1 = tx.create(Bridge::new("br1")).unwrap();
    let error = tx.replace_table(100, [Route::to("10.90.0.0/16").dev(&br1)]).unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("scope"), "{error}");
}

fn a_table_with_lists_legs_and_doubles() {
    let db = two_links();
    let wanted = || {
        let to = |gateway: &str| to(gateway).table(100);
        let six = |gateway: &str| Route::to("fd02::/16").via(gateway).table(100);
        [
            to("0.0.2"),
            to("0.0.3"),
            to("0.1.2"),
            to("0.0.2"),
            six("fd00::2"),
            six("fd01::2"),
            six("fd00::2"),
        ]
    };
    commit(&db, |tx| tx.replace_table(100, wanted()).map(drop));
    let gateways = |lines: Vec<String>| {
        lines.iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(gateways(shown("table 100")), ["10.0.0.2", "10.0.0.3", "10.0.1.2"]);
    assert_eq!(shown("-6 table 100").concat().matches("nexthop").count(), 2);
    let mut tx = db.begin();
    tx.replace_table(100, wanted()).unwrap();
    assert!(tx.review().is_empty(), "{}", tx.review());
    // The order changes, one goes, one comes.
    for list in [
        vec!["0.0.3", "0.0.2", "0.1.2"],
        vec!["0.1.2"],
        vec!["0.0.9", "0.1.2", "0.0.8"],
        vec!["0.1.2", "0.0.9", "0.0.7", "0.0.8"],
    ] {
        let routes: Vec<_> = list.iter().map(|gateway| to(gateway).table(100)).collect();
        commit(&db, |tx| tx.replace_table(100, routes).map(drop));
        assert_eq!(
            gateways(shown("table 100")),
            list.iter().map(|gateway| format!("10.{gateway}")).collect::<Vec<_>>()
        );
        assert!(shown("-6 table 100").is_empty());
    }
}

fn an_empty_set_empties_its_scope() {
    let db = two_links();
    let empty = kernel();
    scene(ZOO);
    scene("route add 10.2.0.0/16 via 10.0.0.2 table 100");
    commit(&db, |tx| {
        tx.replace_table(254, Vec::<RouteSpec>::new())?;
        tx.replace_table(100, Vec::<RouteSpec>::new()).map(drop)
    });
    assert_eq!(kernel(), empty);
}

fn many(count: u32) -> Vec<RouteSpec> {
    let to = |at: u32| format!("{}.{}.{}.0/24", 20 + at / 65_536, at / 256 % 256, at % 256);
    (0..count)
        .map(|at| Route::to(to(at)).via(["10.0.0.2", "10.0.1.2"][(at % 2) as usize]))
        .collect()
}

fn twenty_thousand_routes() {
    const COUNT: u32 = 20_000;
    let db = two_links();
    let empty = kernel();
    scene(
        "route add 10.2.0.0/16 via 10.0.0.2 proto boot\n route add 10.2.0.0/16 via 10.0.0.2 table 100",
    );
    let ours = RouteFilter::table(254).protocol(RouteProtocol::STATIC);
    commit(&db, |tx| tx.sync_routes(ours, many(COUNT)).map(drop));
    assert_eq!(shown("proto static").len(), COUNT as usize);
    let mut tx = db.begin();
    tx.sync_routes(ours, many(COUNT)).unwrap();
    assert!(tx.review().is_empty(), "{}", tx.review().commands().len());
    let mut one = many(COUNT);
    one[15_000] = one[15_000].clone().mtu(1400);
    let mut tx = db.begin();
    tx.sync_routes(ours, one).unwrap();
    assert_eq!(tx.review().commands().len(), 1, "{}", tx.review());
    tx.commit().unwrap();
    assert_eq!(shown("proto static").iter().filter(|line| line.contains("mtu 1400")).count(), 1);
    // One that cannot be, in the middle of a wholly different table.
    let before = kernel();
    let mut other: Vec<_> = many(COUNT).into_iter().map(|route| route.mtu(1300)).collect();
    other[15_000] = Route::to("99.0.0.0/8").via("172.31.0.1");
    db.sync().unwrap();
    let mut tx = db.begin();
    tx.sync_routes(ours, other).unwrap();
    let error = crate::scene::rolled_back(tx.commit());
    assert!(error.step().unwrap().contains("99.0.0.0/8"), "{error}");
    assert_eq!(kernel(), before);
    quiesce_and_compare(&db);
    commit(&db, |tx| {
        tx.sync_routes(ours, Vec::<RouteSpec>::new())?;
        tx.remove_route(Route::to("10.2.0.0/16"))?;
        tx.remove_route(Route::to("10.2.0.0/16").table(100)).map(drop)
    });
    assert_eq!(kernel(), empty);
}

/// IPDB's test_default_route_notation.
fn default_route_notation() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("0.0.0.0/0").via("10.0.0.2").table(180)).map(drop));
    assert_eq!(shown("table 180"), ["default via 10.0.0.2 dev va proto static"]);
    commit(&db, |tx| tx.remove_route(Route::to("default").table(180)).map(drop));
    assert_eq!(shown("table 180"), [""; 0]);
}

/// IPDB's test_norm_route_ipv6.
fn norm_route_ipv6() {
    let db = two_links();
    commit(&db, |tx| tx.add_route(Route::to("0fd2:0200::/64").via("fd00:0000::0002")).map(drop));
    let line = "fd2:200::/64 via fd00::2 dev va proto static metric 1024 pref medium";
    assert_eq!(shown("-6 fd2:200::/64"), [line]);
}
