//! MPLS routes: followed, shown, in transactions. They need a kernel with `mpls_router`: Debian's have it as a module.

use crate::route_scene::{commit, kernel, rolled_back, scene, two_links, undone};
use crate::support::oracle::to_json;
use crate::support::{has_mpls, ip, ip_json, need_mpls, quiesce_and_compare, sysctl, try_ip};
use netlinkdb::{
    Bridge, Db, Ending, Family, Hop, Route, RouteFilter, RouteProtocol, Selection, Snapshot,
};
use serde_json::Value;

crate::cases![
    labels_read_as_ip_prints_them,
    labels_go_with_their_interfaces_and_the_limit,
    labels_are_followed_while_they_change,
    labels_in_transactions_come_and_go,
    a_label_that_is_there_is_not_added,
    labels_go_with_what_the_same_transaction_makes,
    failed_transactions_leave_labels_as_they_were,
    a_label_beyond_the_limit_is_refused_in_the_kernels_words,
    labels_are_brought_in_line_by_themselves,
    labels_go_back_to_an_earlier_state,
    labels_that_were_exported_are_loaded_again,
    labels_that_are_frozen_come_back,
    a_database_may_leave_labels_out,
    a_kernel_without_mpls_says_so,
];

/// Labels of all forms.
const LABELS: &str = "-f mpls route add 100 as to 200/300 via inet 10.0.0.2 dev va
    -f mpls route add 101 dev lo
    -f mpls route add 102 nexthop as 200 via inet 10.0.0.2 dev va nexthop as 201 via inet6 fd01::2 dev vb
    -f mpls route add 103 via link 02:00:00:00:00:01 dev va
    -f mpls route add 104 as 0 via inet 10.0.1.2 ttl-propagate disabled
    -f mpls route add 999 via inet6 fd00::2 dev va proto bgp ttl-propagate enabled";

fn two_links_with_labels() -> Db {
    need_mpls();
    sysctl("mpls.platform_labels", 1000);
    two_links()
}

/// Lines without the marks that are not kept (K8), and `ip`'s blanks at their ends.
fn lines(text: &str) -> Vec<String> {
    let plain = |line: &str| line.replace(" dead", "").replace(" linkdown", "");
    text.lines().map(|line| plain(line).trim_end().to_owned()).collect()
}

/// The snapshot's labels are what `ip` prints, as lines and as JSON, and those of a database that has just read them.
#[track_caller]
fn agrees(db: &Db) -> Vec<String> {
    let now = db.sync().unwrap();
    let text = ip(&["-f", "mpls", "route", "show"]).stdout;
    let ours = lines(&now.routes().mpls().to_string());
    // Who made it, `ip` says unless it is `boot`.
    assert_eq!(ours, lines(&String::from_utf8_lossy(&text)));
    let theirs = ip_json(&["-f", "mpls", "route", "show"]);
    let mut theirs = theirs.as_array().unwrap().clone();
    theirs.iter_mut().for_each(|route| {
        strip_marks(route);
        if let Some(legs) = route.get_mut("nexthops").and_then(Value::as_array_mut) {
            legs.iter_mut().for_each(strip_marks);
        }
    });
    assert_eq!(to_json(&now.routes().mpls().tree()), Value::Array(theirs));
    let fresh = Db::open().unwrap().snapshot();
    let all = |of: &Snapshot| of.routes().mpls().iter().collect::<Vec<_>>();
    assert_eq!(all(&now), all(&fresh));
    ours
}

fn strip_marks(of: &mut Value) {
    let marks = of.get_mut("flags").and_then(Value::as_array_mut);
    marks.into_iter().for_each(|all| all.retain(|one| one != "dead" && one != "linkdown"));
}

fn labels(now: &Snapshot) -> Vec<u32> {
    now.routes().mpls().iter().filter_map(|route| route.label()).collect()
}

fn labels_read_as_ip_prints_them() {
    let db = two_links_with_labels();
    scene(LABELS);
    assert_eq!(agrees(&db).len(), 8);
    db.resync().unwrap();
    agrees(&db);
    let now = db.snapshot();
    assert_eq!(labels(&now), [100, 101, 102, 103, 104, 999]);
    let swap = now.routes().mpls().label(100).unwrap();
    assert_eq!((swap.family(), swap.destination(), swap.table()), (Family::MPLS, None, 254));
    assert_eq!(swap.newdst(), Some(&[200, 300][..]));
    assert_eq!(swap.gateway(), Some("10.0.0.2".parse().unwrap()));
    let legs = now.routes().mpls().label(102).unwrap();
    let gateways: Vec<_> = legs.hops().map(|hop| hop.gateway().unwrap().to_string()).collect();
    assert_eq!(gateways, ["10.0.0.2", "fd01::2"]);
    assert_eq!(now.routes().mpls().label(104).unwrap().ttl_propagate(), Some(false));
    // They are in no other table.
    assert_eq!(now.routes().mpls().len(), 6);
    assert!(now.routes().iter().all(|route| route.label().is_none()));
    assert_eq!(now.routes().all().len(), now.routes().all().iter().count());
    assert!(now.routes().label(105).is_none() && now.routes().mpls().default().is_empty());
    // Found by words.
    let of = now.routes().mpls();
    assert_eq!(of.find(&Route::mpls(104).via("10.0.1.2")).unwrap().label(), Some(104));
    assert!(of.find(&Route::mpls(104).via("10.0.1.3")).is_none());
    assert!(now.routes().find(&Route::mpls(104)).is_none());
    assert!(of.filter("to", "200/300").unwrap().count() == 1);
}

fn labels_go_with_their_interfaces_and_the_limit() {
    let db = two_links_with_labels();
    scene(LABELS);
    let resyncs = db.losses().resyncs;
    // A link that is down takes none along.
    scene("link set va down");
    assert_eq!(labels(&db.sync().unwrap()).len(), 6);
    agrees(&db);
    scene("link set va up");
    agrees(&db);
    // One that goes takes its legs, and what has no other.
    scene("link del vb");
    assert_eq!(labels(&db.sync().unwrap()), [100, 101, 102, 103, 999]);
    let now = agrees(&db);
    assert!(now.contains(&"\tnexthop as to 200 via inet 10.0.0.2 dev va".to_owned()), "{now:?}");
    sysctl("mpls.platform_labels", 103);
    assert_eq!(labels(&db.sync().unwrap()), [100, 101, 102]);
    agrees(&db);
    scene("link del va");
    assert_eq!(labels(&db.sync().unwrap()), [101]);
    agrees(&db);
    assert_eq!(db.losses().resyncs, resyncs);
}

fn labels_are_followed_while_they_change() {
    let db = two_links_with_labels();
    scene(LABELS);
    let before = db.sync().unwrap();
    scene(
        "-f mpls route replace 100 as 400 via inet 10.0.1.2 dev vb
         -f mpls route change 101 via inet 10.0.1.2 dev vb
         -f mpls route del 103
         -f mpls route add 105 dev lo",
    );
    let now = db.sync().unwrap();
    let diff = now.diff(&before);
    assert_eq!(diff.len(), 4, "{diff:?}");
    let changes: Vec<String> =
        before.diff(&now).changes().iter().map(ToString::to_string).collect();
    assert!(
        changes[0].contains("route 100 as to 200/300") && changes[0].contains("-> 400"),
        "{changes:?}"
    );
    assert!(
        changes.contains(&"- route 103 via link 02:00:00:00:00:01 dev va".into()),
        "{changes:?}"
    );
    assert!(changes.contains(&"+ route 105 dev lo".into()), "{changes:?}");
    agrees(&db);
}

fn labels_in_transactions_come_and_go() {
    let db = two_links_with_labels();
    let done = commit(&db, |tx| {
        tx.add_route(Route::mpls(100).newdst(&[200, 300]).via("10.0.0.2"))?;
        tx.add_route(Route::mpls(101).dev("lo").protocol(RouteProtocol::BGP))?;
        tx.add_route(Route::mpls(102).via_link("02:00:00:00:00:01".parse().unwrap()).dev("va"))?;
        let review = tx.review().to_string();
        assert!(
            review.contains("ip -f mpls route add 100 as to 200/300 via inet 10.0.0.2"),
            "{review}"
        );
        Ok(())
    });
    assert_eq!(labels(done.snapshot()), [100, 101, 102]);
    let first = "100 as to 200/300 via inet 10.0.0.2 dev va proto static";
    assert_eq!(agrees(&db)[0], first);
    // What is so already is not asked for again.
    let mut tx = db.begin();
    tx.replace_route(Route::mpls(100).newdst(&[200, 300]).via("10.0.0.2")).unwrap();
    assert!(tx.review().is_empty(), "{}", tx.review());
    drop(tx);
    commit(&db, |tx| {
        tx.replace_route(Route::mpls(100).newdst(&[201]).via("fd00::2").dev("va"))?;
        tx.change_route(Route::mpls(101), |route| route.ttl_propagate(false))?;
        tx.change_route(Route::mpls(102), |route| {
            route.add_nexthop(Hop::via("10.0.1.2").newdst(&[500]))
        })?;
        Ok(())
    });
    let now = agrees(&db);
    assert_eq!(now[0], "100 as to 201 via inet6 fd00::2 dev va proto static");
    assert_eq!(now[1], "101 dev lo proto bgp ttl-propogate disabled");
    assert_eq!(
        now[3..],
        [
            "\tnexthop via link 02:00:00:00:00:01 dev va",
            "\tnexthop as to 500 via inet 10.0.1.2 dev vb",
        ]
    );
    commit(&db, |tx| {
        tx.change_route(Route::mpls(102), |route| route.del_nexthop(Hop::via("10.0.1.2")))?;
        // Another label is another place: the new one comes before the old one goes.
        tx.change_route(Route::mpls(101), |_| Route::mpls(900).dev("lo"))?;
        tx.remove_route(Route::mpls(100))?;
        Ok(())
    });
    let now = agrees(&db);
    assert_eq!(
        now,
        ["102 via link 02:00:00:00:00:01 dev va proto static", "900 dev lo proto static"]
    );
    let handle = db.route(Route::mpls(900)).unwrap();
    handle.change(|route| route.newdst(&[16])).unwrap().commit().unwrap();
    assert_eq!(handle.route().unwrap().newdst(), Some(&[16][..]));
    handle.remove().unwrap().commit().unwrap();
    assert!(handle.is_stale());
    assert_eq!(agrees(&db).len(), 1);
}

fn a_label_that_is_there_is_not_added() {
    let db = two_links_with_labels();
    scene("-f mpls route add 100 as 200 via inet 10.0.0.2 dev va");
    db.sync().unwrap();
    let mut tx = db.begin();
    for error in [
        tx.add_route(Route::mpls(100).dev("lo")).map(drop),
        tx.append_route(Route::mpls(100).dev("lo")).map(drop),
        tx.prepend_route(Route::mpls(100).dev("lo")).map(drop),
    ] {
        let error = error.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("is there already"), "{error}");
    }
    let error = tx.remove_route(Route::mpls(101)).map(drop).unwrap_err().to_string();
    assert!(error.contains("route 101 proto static is not there"), "{error}");
    assert!(tx.review().is_empty());
    // Where none is, each of them adds.
    commit(&db, |tx| {
        tx.append_route(Route::mpls(101).dev("lo"))?;
        tx.prepend_route(Route::mpls(102).dev("lo")).map(drop)
    });
    agrees(&db);
}

fn labels_go_with_what_the_same_transaction_makes() {
    let db = two_links_with_labels();
    commit(&db, |tx| {
        tx.add_route(Route::mpls(100).newdst(&[200]).via("10.7.0.2"))?;
        let br0 = tx.create(Bridge::new("br0"))?;
        tx.add_route(Route::mpls(101).newdst(&[200]).via("10.8.0.2").dev(&br0))?;
        tx.interface(&br0).add_ip("10.7.0.1/24")?.up();
        Ok(())
    });
    assert_eq!(agrees(&db).len(), 2);
    // Removed with the interface: the kernel takes them along, and nothing is asked twice.
    commit(&db, |tx| {
        tx.interface("br0").remove();
        Ok(())
    });
    assert!(agrees(&db).is_empty());
}

fn failed_transactions_leave_labels_as_they_were() {
    let db = two_links_with_labels();
    scene(LABELS);
    // What IPv6 makes of a bridge by itself comes late.
    sysctl("ipv6.conf.default.disable_ipv6", 1);
    scene("link add br0 type bridge\nlink set br0 up\naddr add 10.9.0.1/24 dev br0");
    scene("-f mpls route add 500 as 600 via inet 10.9.0.2 dev br0");
    scene(
        "-f mpls route add 501 nexthop via inet 10.9.0.2 dev br0 nexthop as 7 via inet 10.0.0.2 dev va",
    );
    let before = agrees(&db);
    assert!(kernel().iter().any(|route| route.contains("\"dst\":\"501\"")));
    undone(&db, |tx| {
        tx.add_route(Route::mpls(700).dev("lo"))?;
        tx.remove_route(Route::mpls(102))?;
        tx.replace_route(Route::mpls(100).dev("lo"))?;
        tx.change_route(Route::mpls(103), |_| Route::mpls(703).dev("lo")).map(drop)
    });
    assert_eq!(agrees(&db), before);
    // What goes along with an interface comes back with it.
    undone(&db, |tx| {
        tx.interface("br0").remove();
        Ok(())
    });
    assert_eq!(agrees(&db), before);
    undone(&db, |tx| {
        tx.interface("va").down();
        Ok(())
    });
    assert_eq!(agrees(&db), before);
    // What another program puts there meanwhile stays.
    undone_by_another(&db);
    let now = agrees(&db);
    let kept = |line: &&String| !line.starts_with("501") && !line.starts_with('\t');
    assert!(now.contains(&"501 dev lo".to_owned()), "{now:?}");
    assert_eq!(now.iter().filter(kept).count(), before.iter().filter(kept).count(), "{now:?}");
}

/// An interface is removed with its legs, the route is replaced by another program, the interface comes back.
fn undone_by_another(db: &Db) {
    let mut tx = db.begin();
    tx.interface("br0").remove();
    tx.on_commit(|_, _| {
        scene("-f mpls route replace 501 dev lo");
        Err::<(), _>("no")
    });
    let error = tx.commit().unwrap_err();
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}");
}

fn a_label_beyond_the_limit_is_refused_in_the_kernels_words() {
    let db = two_links_with_labels();
    let error = rolled_back(&db, |tx| {
        tx.add_route(Route::mpls(999).dev("lo"))?;
        tx.add_route(Route::mpls(1000).dev("lo")).map(drop)
    });
    assert!(error.to_string().contains("platform_labels"), "{error}");
    assert!(agrees(&db).is_empty());
}

fn labels_are_brought_in_line_by_themselves() {
    let db = two_links_with_labels();
    scene(LABELS);
    let before = agrees(&db);
    // The main table is IPv4's and IPv6's.
    let ip_routes = [Route::to("10.77.0.0/16").via("10.0.0.2")];
    commit(&db, |tx| tx.replace_table(254, ip_routes).map(drop));
    assert_eq!(agrees(&db), before);
    let wanted = || {
        [
            Route::mpls(100).newdst(&[200, 300]).via("10.0.0.2").protocol(RouteProtocol::BOOT),
            Route::mpls(103).newdst(&[17]).via("10.0.0.2").protocol(RouteProtocol::BOOT),
            Route::mpls(300).dev("lo").protocol(RouteProtocol::BOOT),
        ]
    };
    let ours = RouteFilter::mpls().protocol(RouteProtocol::BOOT);
    let mut tx = db.begin();
    tx.sync_routes(ours, wanted()).unwrap();
    // 101, 102 and 104 go, 103 changes, 300 comes; 100 and what another protocol made stay.
    assert_eq!(tx.review().commands().len(), 5, "{}", tx.review());
    drop(tx);
    commit(&db, |tx| tx.sync_routes(ours, wanted()).map(drop));
    assert_eq!(labels(&db.snapshot()), [100, 103, 300, 999]);
    agrees(&db);
    assert!(db.snapshot().routes().find(&Route::to("10.77.0.0/16")).is_some());
    let mut tx = db.begin();
    let stray = tx.sync_routes(RouteFilter::mpls(), [Route::to("10.1.0.0/16").dev("lo")]);
    assert!(stray.map(drop).unwrap_err().to_string().contains("not in the scope"));
    let stray = tx.replace_table(254, [Route::mpls(100).dev("lo")]);
    assert!(stray.map(drop).unwrap_err().to_string().contains("not in the scope"));
}

fn labels_go_back_to_an_earlier_state() {
    let db = two_links_with_labels();
    scene(LABELS);
    let good = db.sync().unwrap();
    let before = agrees(&db);
    let spoil = "-f mpls route replace 100 dev lo
        -f mpls route del 102
        -f mpls route add 500 dev lo";
    for selection in [
        Selection::everything().exactly(),
        Selection::routes(RouteFilter::mpls()).exactly(),
        Selection::nothing()
            .and_route(Route::mpls(100))
            .and_route(Route::mpls(102))
            .and_route(Route::mpls(500))
            .exactly(),
    ] {
        scene(spoil);
        db.sync().unwrap();
        // Another scope leaves them alone.
        let mut tx = db.begin();
        tx.revert_to(&good, Selection::routes(RouteFilter::table(254)).exactly()).unwrap();
        assert!(tx.review().is_empty(), "{}", tx.review());
        tx.revert_to(&good, selection).unwrap();
        tx.commit().unwrap();
        assert_eq!(agrees(&db), before);
    }
}

fn labels_that_were_exported_are_loaded_again() {
    let db = two_links_with_labels();
    scene(LABELS);
    let before = agrees(&db);
    let now = db.snapshot();
    let all = Selection::everything().export(&now);
    let own = Selection::routes(RouteFilter::mpls()).export(&now);
    assert_eq!(to_json(&own)["routes"].as_array().map(Vec::len), Some(6), "{own}");
    for saved in [all, own] {
        let mut tx = db.begin();
        tx.load(&saved).unwrap();
        assert!(tx.review().is_empty(), "{}", tx.review());
        drop(tx);
        for label in ["100", "101", "102", "103", "104", "999"] {
            ip(&["-f", "mpls", "route", "del", label]);
        }
        db.sync().unwrap();
        let mut tx = db.begin();
        tx.load(&saved).unwrap();
        tx.commit().unwrap();
        assert_eq!(agrees(&db), before);
    }
}

fn labels_that_are_frozen_come_back() {
    let db = two_links_with_labels();
    scene(LABELS);
    let before = agrees(&db);
    let frozen = db.freeze(Selection::routes(RouteFilter::mpls()).exactly()).unwrap();
    scene(
        "-f mpls route del 102
         -f mpls route replace 100 dev lo
         -f mpls route add 500 dev lo",
    );
    let is_back = |now: &Snapshot| lines(&now.routes().mpls().to_string()) == before;
    let patience = std::time::Duration::from_secs(20);
    let back = db.wait_until(patience, is_back).unwrap();
    assert!(back.is_some(), "{}", db.snapshot().routes().mpls());
    drop(frozen);
    assert_eq!(agrees(&db), before);
}

fn a_database_may_leave_labels_out() {
    let db = two_links_with_labels();
    let only = |family| Db::builder().route_family(family).open().unwrap();
    let others = [
        only(Family::Inet),
        Db::builder().only_tables([100]).open().unwrap(),
        Db::builder().routes(false).open().unwrap(),
    ];
    let alone = only(Family::MPLS);
    scene(LABELS);
    for other in others {
        assert!(other.sync().unwrap().routes().mpls().is_empty());
        other.resync().unwrap();
        assert!(other.snapshot().routes().mpls().is_empty() && !other.snapshot().follows_mpls());
        let error = other.begin().add_route(Route::mpls(700).dev("lo")).map(drop).unwrap_err();
        assert!(error.to_string().contains("does not follow every MPLS route"), "{error}");
    }
    let now = alone.sync().unwrap();
    assert!(now.follows_mpls() && now.routes().all().is_empty());
    assert_eq!(labels(&now), labels(&db.sync().unwrap()));
    alone.begin().add_route(Route::mpls(700).dev("lo")).unwrap();
}

/// Such a kernel answers the question for MPLS routes with those of all families.
fn a_kernel_without_mpls_says_so() {
    if has_mpls() {
        crate::support::skip("this kernel has MPLS routes");
    }
    let db = two_links();
    quiesce_and_compare(&db);
    let now = db.sync().unwrap();
    assert!(now.routes().mpls().is_empty() && !now.routes().is_empty() && now.follows_mpls());
    db.resync().unwrap();
    quiesce_and_compare(&db);
    assert!(!try_ip(&["-f", "mpls", "route", "add", "100", "dev", "lo"]).status.success());
    let error = rolled_back(&db, |tx| {
        tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2"))?;
        tx.add_route(Route::mpls(100).newdst(&[200]).via("10.0.0.2")).map(drop)
    });
    let words = "`ip -f mpls route add 100 as to 200 via inet 10.0.0.2 proto static` was refused: \
        Operation not supported (os error 95): this kernel has no MPLS routes (CONFIG_MPLS_ROUTING, the module mpls_router)";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.errno(), Some(95));
}
