//! Nexthop objects and their groups in transactions, on the kernel; and transactions that hold everything, which fail
//! at every place.

use crate::scene::{refused, rolled_back, scene};
use crate::tables::{knows, open_all, printed, tables, two_links, whole};
use netlinkdb::{
    Db, Encap, Neighbour, Nexthop, NexthopSpec, Route, RouteProtocol, Rule, Transaction, Veth,
};

crate::cases![
    every_kind_goes_there_and_back,
    a_nexthop_is_replaced_and_changed_in_its_place,
    one_that_is_used_is_not_removed,
    one_that_is_used_is_removed_with_its_users,
    members_come_before_groups_and_groups_before_routes,
    a_change_that_fails_leaves_every_nexthop,
    what_a_downed_link_took_along_comes_back,
    a_member_that_is_deleted_comes_back_to_its_group,
    what_another_program_did_meanwhile,
    everything_at_once_is_undone_wherever_it_fails,
    everything_that_is_taken_away_comes_back_wherever_it_fails,
];

type Edit = fn(&mut Transaction) -> netlinkdb::Result<()>;

#[track_caller]
fn commit(db: &Db, edit: impl FnOnce(&mut Transaction) -> netlinkdb::Result<()>) {
    let mut tx = db.begin();
    edit(&mut tx).expect("an edit");
    tx.commit().unwrap_or_else(|error| panic!("{error}"));
    knows(db);
}

fn open() -> Db {
    two_links();
    scene("link set lo up");
    open_all()
}

/// The line of `ip nexthop`, without what the kernel adds.
fn shown(id: u32) -> Option<String> {
    let own = format!("id {id} ");
    printed("nexthop show").into_iter().find(|line| format!("{line} ").starts_with(&own))
}

fn every_kind_goes_there_and_back() {
    let db = open();
    scene(
        "nexthop add id 1 via 10.0.0.2 dev v0\n nexthop add id 2 via 10.1.0.2 dev v1
         nexthop add id 3 via 10.0.0.9 fdb\n nexthop add id 4 via fd00::2 dev v0",
    );
    db.sync().expect("a snapshot");
    let before = tables();
    for (spec, line) in [
        (Nexthop::new(10).via("10.0.0.2").dev("v0"), "via 10.0.0.2 dev v0 scope link"),
        (Nexthop::new(10).via("fd00::2").dev("v0"), "via fd00::2 dev v0"),
        (Nexthop::new(10).dev("v0"), "dev v0"),
        (Nexthop::new(10).dev("v0").inet6(), "dev v0"),
        (Nexthop::new(10).via("192.0.2.1").dev("v0").onlink(), "via 192.0.2.1 dev v0 scope link"),
        // The kernel gives it the loopback.
        (Nexthop::new(10).blackhole(), "blackhole"),
        (Nexthop::new(10).blackhole().inet6(), "blackhole"),
        (Nexthop::new(10).via("10.0.0.7").fdb(), "via 10.0.0.7 scope link"),
        (Nexthop::new(10).via("fd00::7").fdb(), "via fd00::7"),
        (Nexthop::new(10).via("10.0.0.2").dev("v0").protocol(RouteProtocol::BIRD), "proto bird"),
        (Nexthop::new(10).member(1, 1).member(2, 3), "group 1/2,3"),
        (Nexthop::new(10).member(1, 1).member(4, 255), "group 1/4,255"),
        (Nexthop::new(10).member(3, 1).fdb(), "group 3"),
    ] {
        there_and_back(&db, spec, line, &before);
    }
    let weighty = |weight| Nexthop::new(10).member(1, 1).member(4, weight);
    for (spec, line, named) in [
        // iproute2 6.1 shows eight bits of a weight.
        (weighty(256), "group 1/4", "weight"),
        (weighty(65_535), "group 1/4", "weight"),
        (
            Nexthop::new(10).member(1, 1).member(2, 1).resilient(32, 6000, 30_000),
            "type resilient buckets 32 idle_timer 60 unbalanced_timer 300",
            "type resilient",
        ),
        (
            Nexthop::new(10).via("10.0.0.2").dev("v0").encap(Encap::mpls(&[100, 200])),
            "encap mpls 100/200",
            "encap mpls",
        ),
    ] {
        there_and_back_where_known(&db, spec, (line, named), &before);
    }
}

/// What not every kernel knows: one that does not refuses it, and the error names it.
#[track_caller]
fn there_and_back_where_known(
    db: &Db,
    spec: NexthopSpec,
    (line, named): (&str, &str),
    before: &[String],
) {
    let mut tx = db.begin();
    tx.add_nexthop(spec.clone()).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let ended = tx.commit();
    if ended.is_ok() {
        commit(db, |tx| tx.remove_nexthop(10).map(drop));
        return there_and_back(db, spec, line, before);
    }
    let error = rolled_back(ended);
    assert!(error.to_string().contains(named), "{error}");
    assert_eq!(tables(), before, "{spec}");
    knows(db);
    eprintln!("skipped: {spec}: {error}");
}

#[track_caller]
fn there_and_back(db: &Db, spec: NexthopSpec, line: &str, before: &[String]) {
    let mut tx = db.begin();
    tx.add_nexthop(spec.clone()).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let done = tx.commit().unwrap_or_else(|error| panic!("{spec}: {error}"));
    knows(db);
    let theirs = shown(10).expect("the nexthop");
    assert!(theirs.contains(line), "{spec}: {theirs}");
    // Once more: nothing to do, and it is there.
    assert!(db.begin().add_nexthop(spec.clone()).unwrap_err().is_exists());
    let mut tx = db.begin();
    tx.replace_nexthop(spec.clone()).expect("a way");
    assert!(tx.review().commands().is_empty(), "{}", tx.review());
    // As it is, away and back.
    let after = tables();
    let own = done.snapshot().nexthop(10).expect("the nexthop").clone();
    commit(db, |tx| tx.remove_nexthop(10).map(drop));
    assert_eq!(tables(), before, "{spec}");
    commit(db, |tx| tx.add_nexthop(&*own).map(drop));
    assert_eq!(tables(), after, "{spec}");
    // A removal that is rolled back.
    let mut tx = db.begin();
    tx.remove_nexthop(10).expect("the nexthop");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    assert_eq!(tables(), after, "{spec}");
    commit(db, |tx| tx.remove_nexthop(10).map(drop));
    assert_eq!(tables(), before, "{spec}");
}

/// Two members, a group, routes by each of both families.
fn in_use(db: &Db) {
    commit(db, |tx| {
        tx.add_nexthop(Nexthop::new(1).via("10.0.0.2").dev("v0"))?;
        tx.add_nexthop(Nexthop::new(2).via("10.1.0.2").dev("v1"))?;
        tx.add_nexthop(Nexthop::new(3).via("fd00::2").dev("v0"))?;
        tx.add_nexthop(Nexthop::new(10).member(1, 1).member(2, 3))?;
        tx.add_route(Route::to("172.16.0.0/16").nexthop_id(1))?;
        tx.add_route(Route::to("172.17.0.0/16").nexthop_id(10))?;
        tx.add_route(Route::to("fd17::/64").nexthop_id(3)).map(drop)
    });
}

fn a_nexthop_is_replaced_and_changed_in_its_place() {
    let db = open();
    in_use(&db);
    let whole = whole();
    let edits: [Edit; 6] = [
        |tx| tx.change_nexthop(1, |own| own.via("10.0.0.3")).map(drop),
        |tx| tx.change_nexthop(10, |own| own.without_member(2)).map(drop),
        |tx| tx.replace_nexthop(Nexthop::new(10).member(2, 7)).map(drop),
        |tx| tx.replace_nexthop(Nexthop::new(1).via("10.1.0.3").dev("v1")).map(drop),
        |tx| tx.replace_nexthop(Nexthop::new(20).blackhole()).map(drop),
        |tx| {
            tx.add_nexthop(Nexthop::new(4).via("10.0.0.4").dev("v0"))?;
            tx.change_nexthop(10, |own| own.member(4, 1)).map(drop)
        },
    ];
    for edit in edits {
        let mut tx = db.begin();
        edit(&mut tx).expect("an edit");
        tx.on_commit(|_, _| Err("no"));
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        whole.again(&db);
    }
    commit(&db, edits[0]);
    assert!(shown(1).unwrap().contains("via 10.0.0.3"));
    // The route stays, and goes by what its object has become.
    assert_eq!(printed("route show 172.16.0.0/16").len(), 1);
    commit(&db, edits[5]);
    assert!(shown(10).unwrap().contains("group 1/2,3/4"));
    let error = db.begin().change_nexthop(99, |own| own).map(drop).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = db.begin().add_nexthop(Nexthop::new(30).member(98, 1)).map(drop).unwrap_err();
    assert!(error.to_string().contains("98"), "{error}");
}

fn one_that_is_used_is_not_removed() {
    let db = open();
    in_use(&db);
    let whole = whole();
    let by: [(u32, &str); 3] = [(1, "group 10"), (10, "172.17.0.0/16"), (3, "fd17::/64")];
    for (id, user) in by {
        let mut tx = db.begin();
        tx.remove_nexthop(id).expect("the nexthop");
        let error = refused(tx.commit());
        assert!(error.to_string().contains(user), "{error}");
        whole.again(&db);
    }
}

fn one_that_is_used_is_removed_with_its_users() {
    let db = open();
    let whole = whole();
    in_use(&db);
    let used = self::whole();
    let edits: [Edit; 4] = [
        |tx| {
            tx.remove_nexthop(3)?;
            tx.remove_route(Route::to("fd17::/64")).map(drop)
        },
        |tx| {
            tx.remove_nexthop(1)?;
            tx.remove_route(Route::to("172.16.0.0/16"))?;
            tx.change_nexthop(10, |own| own.without_member(1)).map(drop)
        },
        |tx| {
            tx.remove_nexthop(10)?;
            tx.change_route(Route::to("172.17.0.0/16"), |route| route.nexthop_id(1)).map(drop)
        },
        |tx| {
            [1, 2, 3, 10].into_iter().try_for_each(|id| tx.remove_nexthop(id).map(drop))?;
            tx.remove_route(Route::to("172.16.0.0/16"))?;
            tx.remove_route(Route::to("172.17.0.0/16"))?;
            tx.remove_route(Route::to("fd17::/64")).map(drop)
        },
    ];
    for edit in edits {
        let mut tx = db.begin();
        edit(&mut tx).expect("edits");
        tx.on_commit(|_, _| Err("no"));
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        used.again(&db);
    }
    commit(&db, edits[2]);
    assert!(printed("route show 172.17.0.0/16")[0].contains("nhid 1 "));
    commit(&db, |tx| {
        [1, 2, 3].into_iter().try_for_each(|id| tx.remove_nexthop(id).map(drop))?;
        tx.remove_route(Route::to("172.16.0.0/16"))?;
        tx.remove_route(Route::to("172.17.0.0/16"))?;
        tx.remove_route(Route::to("fd17::/64")).map(drop)
    });
    whole.again(&db);
}

fn members_come_before_groups_and_groups_before_routes() {
    let db = open_all();
    let whole = whole();
    let edit: Edit = |tx| {
        let veth = tx.create(Veth::new("v0", "w0"))?;
        tx.interface("w0").up();
        tx.add_rule(Rule::new().priority(500).table(100))?;
        tx.add_nexthop(Nexthop::new(1).via("10.0.0.2").dev(&veth))?;
        tx.add_nexthop(Nexthop::new(2).via("10.0.0.3").dev(&veth))?;
        tx.add_nexthop(Nexthop::new(10).member(1, 1).member(2, 2))?;
        tx.add_route(Route::to("172.17.0.0/16").nexthop_id(10).table(100))?;
        tx.interface(&veth).add_ip("10.0.0.1/24")?.up();
        Ok(())
    };
    let mut tx = db.begin();
    edit(&mut tx).expect("edits");
    tx.on_commit(|now, _| if now.nexthops().len() == 3 { Err("seen") } else { Ok(()) });
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    whole.again(&db);
    let mut tx = db.begin();
    edit(&mut tx).expect("edits");
    tx.commit().unwrap_or_else(|error| panic!("{error}"));
    knows(&db);
    commit(&db, |tx| {
        tx.remove_rule(Rule::new().priority(500))?;
        tx.remove_route(Route::to("172.17.0.0/16").table(100))?;
        [1, 2, 10].into_iter().try_for_each(|id| tx.remove_nexthop(id).map(drop))?;
        tx.remove("v0")
    });
    whole.again(&db);
}

/// What the kernel refuses, of each kind, named first, in the middle, and last.
fn a_change_that_fails_leaves_every_nexthop() {
    let db = open();
    in_use(&db);
    let whole = whole();
    let good: [Edit; 4] = [
        |tx| tx.add_nexthop(Nexthop::new(5).via("10.0.0.5").dev("v0")).map(drop),
        |tx| tx.change_nexthop(1, |own| own.via("10.0.0.3")).map(drop),
        |tx| tx.change_nexthop(10, |own| own.without_member(2)).map(drop),
        |tx| {
            tx.remove_route(Route::to("fd17::/64"))?;
            tx.remove_nexthop(3).map(drop)
        },
    ];
    let bad: [Edit; 3] = [
        |tx| tx.add_nexthop(Nexthop::new(6).via("192.0.2.1").dev("v0")).map(drop),
        |tx| tx.add_nexthop(Nexthop::new(7).member(10, 1)).map(drop),
        |tx| tx.add_route(Route::to("fd18::/64").nexthop_id(1)).map(drop),
    ];
    for bad in bad {
        for at in 0..=good.len() {
            let mut tx = db.begin();
            good[..at].iter().for_each(|edit| edit(&mut tx).expect("an edit"));
            bad(&mut tx).expect("an edit");
            good[at..].iter().for_each(|edit| edit(&mut tx).expect("an edit"));
            let error = rolled_back(tx.commit());
            assert!(!error.is_hook(), "{error}");
            whole.again(&db);
        }
    }
}

/// K7: with an interface that goes down go its nexthop objects, its share of groups, groups of nothing, and the routes
/// by all of them, without a word.
fn what_a_downed_link_took_along_comes_back() {
    let db = open();
    in_use(&db);
    scene(
        "nexthop add id 21 via 10.0.0.8 dev v0 proto bird\n nexthop add id 22 group 21
         route add 172.20.0.0/16 nhid 22 proto bird\n route add 172.21.0.0/16 via 10.0.0.9 proto bird
         -6 route add fd20::/64 via fd00::9 proto bird",
    );
    db.sync().expect("a snapshot");
    let whole = whole();
    for name in ["v0", "v1"] {
        let mut tx = db.begin();
        tx.interface(name).down();
        tx.on_commit(|now, _| if now.nexthops().len() < 6 { Err("seen") } else { Ok(()) });
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        whole.again(&db);
        let mut tx = db.begin();
        tx.remove(name).expect("an interface");
        tx.add_nexthop(Nexthop::new(30).blackhole()).expect("a nexthop");
        tx.on_commit(|_, _| Err("no"));
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        whole.again(&db);
    }
}

fn a_member_that_is_deleted_comes_back_to_its_group() {
    let db = open();
    in_use(&db);
    // A group of another program shrinks too.
    scene("nexthop add id 40 group 1,5/2 proto bird\n route add 172.40.0.0/16 nhid 40 proto bird");
    db.sync().expect("a snapshot");
    let whole = whole();
    // A group that is not named: refused.
    let mut tx = db.begin();
    tx.remove_nexthop(2).expect("the nexthop");
    tx.change_nexthop(10, |own| own.without_member(2)).expect("the group");
    let error = refused(tx.commit());
    assert!(error.to_string().contains("group 40"), "{error}");
    let mut tx = db.begin();
    tx.remove_nexthop(2).expect("the nexthop");
    tx.change_nexthop(10, |own| own.without_member(2)).expect("the group");
    tx.change_nexthop(40, |own| own.without_member(2)).expect("the group");
    tx.on_commit(|_, _| Err("no"));
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    whole.again(&db);
}

fn what_another_program_did_meanwhile() {
    let db = open();
    let one = || Nexthop::new(1).via("10.0.0.2").dev("v0");
    commit(&db, |tx| tx.add_nexthop(one()).map(drop));
    // Removed by both: moot.
    let mut tx = db.begin();
    tx.remove_nexthop(1).expect("the nexthop");
    scene("nexthop del id 1");
    tx.commit().expect("nothing is left to do");
    knows(&db);
    // Removed there, changed here.
    commit(&db, |tx| tx.add_nexthop(one()).map(drop));
    let mut tx = db.begin();
    tx.change_nexthop(1, |own| own.via("10.0.0.3")).expect("the nexthop");
    scene("nexthop del id 1");
    assert!(refused(tx.commit()).is_conflict());
    knows(&db);
    // Changed there and here.
    commit(&db, |tx| tx.add_nexthop(one()).map(drop));
    let mut tx = db.begin();
    tx.change_nexthop(1, |own| own.via("10.0.0.3")).expect("the nexthop");
    scene("nexthop replace id 1 via 10.0.0.4 dev v0");
    assert!(refused(tx.commit()).is_conflict());
    assert!(shown(1).unwrap().contains("10.0.0.4"));
    // Added by both, otherwise: a conflict; the same: moot.
    let mut tx = db.begin();
    tx.add_nexthop(Nexthop::new(2).via("10.0.0.2").dev("v0")).expect("a nexthop");
    scene("nexthop add id 2 via 10.0.0.9 dev v0");
    assert!(refused(tx.commit()).is_conflict());
    let mut tx = db.begin();
    tx.add_nexthop(Nexthop::new(3).via("10.0.0.2").dev("v0")).expect("a nexthop");
    scene("nexthop add id 3 via 10.0.0.2 dev v0 proto static");
    tx.commit().expect("it is so");
    knows(&db);
    // Removed here, changed there: what was to go is not what is there.
    let mut tx = db.begin();
    tx.remove_nexthop(3).expect("the nexthop");
    scene("nexthop replace id 3 via 10.0.0.9 dev v0");
    let ended = tx.commit();
    let left = shown(3);
    assert!(
        ended.as_ref().is_err_and(|error| error.is_conflict()) && left.is_some(),
        "{:?} {left:?}",
        ended.map(drop)
    );
}

/// What everything of [`everything`] and of others stands on.
fn foreign() {
    scene(
        "nexthop add id 51 via 10.0.0.8 dev v0 proto bird\n nexthop add id 52 group 51 proto bird
         route add 172.50.0.0/16 nhid 52 proto bird\n rule add pref 500 from 10.50.0.0/16 lookup 50
         rule add pref 500 lookup 51\n neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev v0
         neigh add proxy 10.0.0.51 dev v0\n route add 172.51.0.0/16 via 10.1.0.9 proto bird",
    );
}

/// Every kind of change, one after the other.
const EVERYTHING: [Edit; 11] = [
    |tx| tx.create(Veth::new("n0", "n1")).map(drop),
    |tx| {
        tx.interface("n0").add_ip("10.9.0.1/24")?.up();
        tx.interface("n1").up();
        Ok(())
    },
    |tx| {
        tx.interface("v0").add_ip("10.0.0.77/24")?.set_mtu(1400);
        Ok(())
    },
    |tx| tx.add_neighbour(Neighbour::new("10.0.0.60", "v0").lladdr("02:00:00:00:00:60")).map(drop),
    |tx| tx.add_neighbour(Neighbour::new("10.0.0.61", "v0").proxy()).map(drop),
    |tx| tx.add_nexthop(Nexthop::new(61).via("10.9.0.2").dev("n0")).map(drop),
    |tx| tx.add_nexthop(Nexthop::new(62).member(51, 1)).map(drop),
    |tx| tx.add_route(Route::to("172.60.0.0/16").via("10.0.0.2").table(60)).map(drop),
    |tx| tx.add_route(Route::to("172.61.0.0/16").nexthop_id(62)).map(drop),
    |tx| tx.add_rule(Rule::new().priority(500).from("10.60.0.0/16").table(60)).map(drop),
    |tx| tx.change_nexthop(51, |own| own.via("10.0.0.7")).map(drop),
];

/// One of each kind that the kernel refuses, and not before it is asked.
const REFUSED: [Edit; 4] = [
    |tx| tx.add_neighbour(Neighbour::new("10.0.0.66", "v0").lladdr("02:00:00:00")).map(drop),
    |tx| tx.add_nexthop(Nexthop::new(66).via("192.0.2.1").dev("v0")).map(drop),
    |tx| tx.add_route(Route::to("172.66.0.0/16").via("192.0.2.1")).map(drop),
    |tx| tx.add_rule(Rule::new().priority(500).tos(3).table(60)).map(drop),
];

fn fails_everywhere(db: &Db, edits: &[Edit]) {
    let whole = whole();
    for count in 1..=edits.len() {
        // Not all can be without those before them.
        let begin = || {
            let mut tx = db.begin();
            edits[..count].iter().for_each(|edit| edit(&mut tx).expect("an edit"));
            tx
        };
        let mut tx = begin();
        tx.on_commit(|_, _| Err("no"));
        assert!(rolled_back(tx.commit()).is_hook(), "{count}");
        whole.again(db);
        for (at, refused) in REFUSED.iter().enumerate() {
            let mut tx = begin();
            refused(&mut tx).expect("an edit");
            let error = rolled_back(tx.commit());
            assert!(!error.is_hook(), "{count}, {at}: {error}");
            whole.again(db);
        }
    }
}

fn everything_at_once_is_undone_wherever_it_fails() {
    two_links();
    foreign();
    let db = open_all();
    fails_everywhere(&db, &EVERYTHING);
}

const NOTHING: [Edit; 8] = [
    |tx| tx.remove_rule(Rule::new().priority(500).from("10.60.0.0/16")).map(drop),
    |tx| tx.remove_route(Route::to("172.61.0.0/16")).map(drop),
    |tx| tx.remove_route(Route::to("172.60.0.0/16").table(60)).map(drop),
    |tx| tx.remove_nexthop(62).map(drop),
    |tx| tx.remove_neighbour(Neighbour::new("10.0.0.61", "v0").proxy()).map(drop),
    |tx| tx.remove_neighbour(Neighbour::new("10.0.0.60", "v0")).map(drop),
    |tx| tx.remove_nexthop(61).map(drop),
    |tx| {
        tx.interface("v0").down();
        Ok(())
    },
];

fn everything_that_is_taken_away_comes_back_wherever_it_fails() {
    two_links();
    foreign();
    let db = open_all();
    let mut tx = db.begin();
    EVERYTHING.iter().for_each(|edit| edit(&mut tx).expect("an edit"));
    tx.commit().unwrap_or_else(|error| panic!("{error}"));
    scene("rule add pref 500 lookup 52");
    db.sync().expect("a snapshot");
    fails_everywhere(&db, &NOTHING);
}
