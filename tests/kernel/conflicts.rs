//! Savepoints, and what is done where another program has changed the same since a transaction began.

use crate::scene::{agrees, open, refused, scene};
use crate::support::ip;
use netlinkdb::{
    AddressSpec, Bridge, BridgeOptions, Conflicts, Db, LinkRef, Nexthop, Route, Rule, Snapshot,
    Transaction,
};

crate::cases![
    a_savepoint_forgets_what_came_after,
    a_savepoint_of_another_transaction_is_refused,
    a_new_interface_that_was_forgotten_is_never_another_one,
    the_same_attribute_is_a_conflict_in_three_ways,
    another_field_is_nobodys_business,
    an_option_that_is_kept_does_not_keep_the_others,
    an_address_that_both_want_otherwise,
    a_route_that_both_want_otherwise,
    a_route_that_is_changed_by_both,
    a_rule_that_is_changed_by_both,
    a_nexthop_that_has_become_another_is_not_said_to_be_gone,
];

/// Commits what `edit` names, after another program has done `theirs`.
fn contest(
    how: Conflicts,
    before: &str,
    edit: impl Fn(&mut Transaction),
    theirs: &str,
) -> Result<(Db, Snapshot), String> {
    let db = open();
    scene(before);
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    edit(&mut tx);
    tx.on_conflict(how);
    scene(theirs);
    db.sync().expect("a snapshot");
    let review = tx.review();
    let ended = match tx.commit() {
        Ok(done) => Ok((db.clone(), done.snapshot().clone())),
        Err(error) => {
            assert_eq!(review.refusal().map(ToString::to_string).is_some(), error.is_refused());
            assert!(error.is_conflict(), "{error}");
            Err(error.to_string())
        }
    };
    agrees(&db);
    scene("link del d0");
    ended
}

fn a_savepoint_forgets_what_came_after() {
    let db = open();
    scene("link add d0 type bridge");
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.interface("d0").set_mtu(1400);
    tx.on_commit(|_, _| Ok::<(), String>(()));
    let first = tx.savepoint();
    tx.interface("d0").set_mtu(1300).add_ip("10.0.0.1/24").expect("an address").up();
    tx.add_route(Route::to("10.9.0.0/16").blackhole()).expect("a route");
    tx.on_commit(|_, _| Err::<(), _>("forgotten"));
    tx.interface("nobody").up();
    let second = tx.savepoint();
    tx.rollback_to(&first).expect("of this one");
    tx.rollback_to(&second).expect("of this one, and later");
    assert!(tx.review().refusal().is_some());
    tx.rollback_to(&first).expect("more than once");
    assert_eq!(tx.review().lines().len(), 1, "{}", tx.review());
    let now = tx.commit().expect("a commit").snapshot().clone();
    let d0 = now.link("d0").expect("it");
    assert_eq!((d0.mtu(), d0.is_up()), (1400, false));
    assert!(now.routes().get("10.9.0.0/16".parse().expect("a prefix")).is_empty());
}

fn a_savepoint_of_another_transaction_is_refused() {
    let db = open();
    let (mut tx, other) = (db.begin(), db.begin());
    tx.interface("lo").up();
    let error = tx.rollback_to(&other.savepoint()).expect_err("of another one");
    assert!(error.is_refused() && error.to_string().contains(&other.id().to_string()), "{error}");
    assert!(!tx.review().is_empty());
}

fn a_new_interface_that_was_forgotten_is_never_another_one() {
    let db = open();
    let mut tx = db.begin();
    let start = tx.savepoint();
    let old = tx.create(Bridge::new("d0")).expect("a bridge");
    tx.rollback_to(&start).expect("of this one");
    let new = tx.create(Bridge::new("d1")).expect("a bridge");
    assert_ne!(LinkRef::from(&old), LinkRef::from(&new));
    assert!(tx.clone().interface(&old).add_ip("10.0.0.1/24").is_err());
    let done = tx.commit().expect("a commit");
    assert!(done.interface(&old).is_err());
    assert_eq!(done.interface(&new).expect("it").name().expect("a name"), "d1");
}

fn the_same_attribute_is_a_conflict_in_three_ways() {
    let contest = |how| {
        let edit = |tx: &mut Transaction| {
            tx.interface("d0").set_mtu(1400).up();
        };
        contest(how, "link add d0 type bridge", edit, "link set d0 mtu 1300")
    };
    let refused = contest(Conflicts::Refuse).expect_err("a conflict");
    assert!(refused.contains("mtu of `d0` was 1500") && refused.contains("is 1300"), "{refused}");
    for (how, mtu) in [(Conflicts::Overwrite, 1400), (Conflicts::KeepTheirs, 1300)] {
        let (_, now) = contest(how).expect("a commit");
        let d0 = now.link("d0").expect("it");
        assert_eq!((d0.mtu(), d0.is_up()), (mtu, true));
    }
}

fn another_field_is_nobodys_business() {
    let edit = |tx: &mut Transaction| {
        tx.interface("d0").set_mtu(1400);
    };
    let theirs = "link set d0 txqueuelen 7\naddress add 10.0.0.1/24 dev d0";
    let ended = contest(Conflicts::Refuse, "link add d0 type bridge", edit, theirs);
    let (_, now) = ended.expect("a commit");
    let d0 = now.link("d0").expect("it");
    assert_eq!((d0.mtu(), d0.txqlen()), (1400, 7));
}

fn an_option_that_is_kept_does_not_keep_the_others() {
    let edit = |tx: &mut Transaction| {
        let options = BridgeOptions::new().ageing_time(5000u32).priority(100u16);
        tx.interface("d0").bridge(options).expect("options").up();
    };
    let (_, now) = contest(
        Conflicts::KeepTheirs,
        "link add d0 type bridge",
        edit,
        "link set d0 type bridge ageing_time 7000",
    )
    .expect("a commit");
    let bridge = now.link("d0").and_then(|d0| d0.bridge()).expect("a bridge");
    assert_eq!((bridge.ageing_time(), bridge.priority()), (Some(7000), Some(100)));
}

fn an_address_that_both_want_otherwise() {
    let contest = |how| {
        let edit = |tx: &mut Transaction| {
            let spec: AddressSpec = "10.0.0.1/24".parse().expect("an address");
            tx.interface("d0").add_ip(spec.priority(500)).expect("new");
        };
        contest(how, "link add d0 type bridge", edit, "address add 10.0.0.1/24 metric 700 dev d0")
    };
    contest(Conflicts::Refuse).expect_err("a conflict");
    for (how, metric) in [(Conflicts::Overwrite, 500), (Conflicts::KeepTheirs, 700)] {
        let (_, now) = contest(how).expect("a commit");
        let d0 = now.link("d0").expect("it").index();
        let all = now.addresses_of(d0);
        assert_eq!((all.len(), all[0].priority()), (1, Some(metric)));
    }
}

fn a_route_that_both_want_otherwise() {
    let scene = "link add d0 type bridge\nlink set d0 up\naddress add 10.0.0.1/24 dev d0";
    let contest = |how| {
        let edit = |tx: &mut Transaction| {
            tx.add_route(Route::to("10.9.0.0/16").via("10.0.0.2")).expect("a route");
        };
        contest(how, scene, edit, "route add 10.9.0.0/16 via 10.0.0.3")
    };
    contest(Conflicts::Refuse).expect_err("a conflict");
    for (how, via) in [(Conflicts::Overwrite, "10.0.0.2"), (Conflicts::KeepTheirs, "10.0.0.3")] {
        let (_, now) = contest(how).expect("a commit");
        let routes = now.routes().get("10.9.0.0/16".parse().expect("a prefix"));
        let gateways: Vec<_> = routes.iter().filter_map(|route| route.gateway()).collect();
        assert_eq!(gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), [via]);
    }
}

fn a_route_that_is_changed_by_both() {
    let scene = "link add d0 type bridge\nlink set d0 up\naddress add 10.0.0.1/24 dev d0
        route add 10.9.0.0/16 via 10.0.0.4";
    for theirs in ["route replace 10.9.0.0/16 via 10.0.0.3", "route del 10.9.0.0/16"] {
        let contest = |how| {
            let edit = |tx: &mut Transaction| {
                let which = Route::to("10.9.0.0/16");
                tx.change_route(which, |route| route.via("10.0.0.2")).expect("a route");
            };
            contest(how, scene, edit, theirs)
        };
        contest(Conflicts::Refuse).expect_err("a conflict");
        let left = if theirs.contains("replace") { vec!["10.0.0.3".to_owned()] } else { vec![] };
        let wanted = vec!["10.0.0.2".to_owned()];
        for (how, via) in [(Conflicts::Overwrite, wanted), (Conflicts::KeepTheirs, left)] {
            let (_, now) = contest(how).expect("a commit");
            let routes = now.routes().get("10.9.0.0/16".parse().expect("a prefix"));
            let gateways: Vec<_> = routes.iter().filter_map(|route| route.gateway()).collect();
            assert_eq!(gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), via);
        }
    }
}

fn a_rule_that_is_changed_by_both() {
    let contest = |how| {
        let edit = |tx: &mut Transaction| {
            tx.change_rule(Rule::new().priority(500), |rule| rule.table(200)).expect("a rule");
        };
        let theirs = "rule del pref 500\nrule add pref 500 table 300";
        let ended =
            contest(how, "link add d0 type bridge\nrule add pref 500 table 100", edit, theirs);
        while crate::support::try_ip(&["rule", "del", "pref", "500"]).status.success() {}
        ended
    };
    contest(Conflicts::Refuse).expect_err("a conflict");
    for (how, tables) in
        [(Conflicts::Overwrite, vec![300, 200]), (Conflicts::KeepTheirs, vec![300])]
    {
        let (_, now) = contest(how).expect("a commit");
        assert_eq!(now.rules().at(500).iter().map(|rule| rule.table()).collect::<Vec<_>>(), tables);
    }
}

fn a_nexthop_that_has_become_another_is_not_said_to_be_gone() {
    // A transaction that was to delete it said it had, and it was there.
    let db = open();
    ip(&["link", "set", "lo", "up"]);
    for how in [Conflicts::Refuse, Conflicts::Overwrite, Conflicts::KeepTheirs] {
        ip(&["nexthop", "replace", "id", "7", "blackhole"]);
        db.sync().expect("a snapshot");
        assert!(db.snapshot().nexthops().get(7).is_some_and(Nexthop::is_blackhole));
        let mut tx = db.begin();
        tx.remove_nexthop(7).expect("it is there");
        tx.on_conflict(how);
        ip(&["nexthop", "replace", "id", "7", "dev", "lo"]);
        db.sync().expect("a snapshot");
        let is_there = match how {
            Conflicts::Refuse => {
                assert!(refused(tx.commit()).is_conflict());
                true
            }
            _ => tx.commit().expect("a commit").snapshot().nexthops().get(7).is_some(),
        };
        assert_eq!(is_there, how != Conflicts::Overwrite);
    }
}
