//! Neighbours, proxies and forwarding entries in transactions, on the kernel.

use crate::scene::{refused, rolled_back, scene};
use crate::support::{bridge_json, need_kind, skip, try_ip};
use crate::tables::{knows, open_all, printed, tables, two_links, whole};
use netlinkdb::{
    Db, HardwareAddress, Neighbour, NeighbourSpec, NeighbourState, Nexthop, RouteProtocol,
    Transaction, Veth,
};
use std::process::Command;

crate::cases![
    permanent_ones_go_there_and_back,
    states_that_the_kernel_moves_on,
    flags_of_neighbours,
    proxies_that_the_kernel_does_not_announce,
    entries_of_a_bridge,
    entries_of_a_tunnel,
    a_tunnel_in_a_bridge_has_entries_in_both,
    the_commands_of_a_review_do_the_same,
    an_entry_by_a_nexthop_group,
    a_neighbour_is_replaced,
    a_downed_link_gets_its_neighbours_back,
    a_readdressed_link_gets_its_neighbours_back,
    a_bridge_gets_its_entries_back,
    what_another_program_did_meanwhile,
    what_cannot_be_is_refused,
    a_database_without_neighbours_says_so,
];

#[track_caller]
fn commit(db: &Db, edit: impl FnOnce(&mut Transaction) -> netlinkdb::Result<()>) {
    let mut tx = db.begin();
    edit(&mut tx).expect("an edit");
    tx.commit().unwrap_or_else(|error| panic!("{error}"));
    knows(db);
}

/// What `bridge fdb show` prints, line by line.
fn entries(dev: &str) -> Vec<String> {
    if bridge_json(&["fdb", "show"]).is_none() {
        skip("the command `bridge` is not installed");
    }
    let output = Command::new("bridge").args(["fdb", "show"]).output().expect("bridge");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = format!("dev {dev}");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| format!("{line} ").contains(&format!("{own} "))).collect()
}

/// Added, seen by iproute2, removed, a removal rolled back, an addition rolled back.
#[track_caller]
fn there_and_back(db: &Db, spec: &NeighbourSpec, words: &[&str]) {
    let before = tables();
    let mut tx = db.begin();
    tx.add_neighbour(spec.clone()).unwrap_or_else(|error| panic!("{spec}: {error}"));
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook(), "{spec}");
    knows(db);
    assert_eq!(tables(), before, "{spec}");
    commit(db, |tx| tx.add_neighbour(spec.clone()).map(drop));
    let after = tables();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    let said = |line: &&&String| words.iter().all(|word| line.contains(word));
    assert!(new.iter().any(|line| said(&line)), "{spec}: {new:?}");
    assert!(db.begin().add_neighbour(spec.clone()).unwrap_err().is_exists(), "{spec}");
    let mut tx = db.begin();
    tx.remove_neighbour(spec.clone()).expect("the neighbour");
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook(), "{spec}");
    knows(db);
    assert_eq!(tables(), after, "{spec}");
    commit(db, |tx| tx.remove_neighbour(spec.clone()).map(drop));
    assert_eq!(tables(), before, "{spec}");
}

fn permanent_ones_go_there_and_back() {
    two_links();
    let db = open_all();
    let mac = "02:00:00:00:00:02";
    for (spec, words) in [
        (Neighbour::new("10.0.0.2", "v0").lladdr(mac), ["10.0.0.2 dev v0", mac, "PERMANENT"]),
        (Neighbour::new("fd00::2", "v0").lladdr(mac), ["fd00::2 dev v0", mac, "PERMANENT"]),
        (
            Neighbour::new("10.0.0.2", "v0").lladdr(mac).protocol(RouteProtocol::BIRD),
            ["10.0.0.2 dev v0", mac, "proto bird"],
        ),
        (
            Neighbour::new("fd00::2", "v0").lladdr(mac).router(),
            ["fd00::2 dev v0", "router", "PERMANENT"],
        ),
    ] {
        there_and_back(&db, &spec, &words);
    }
}

/// K38: the kernel moves `REACHABLE` on to `STALE` by itself; the commit is content with what it has come to.
fn states_that_the_kernel_moves_on() {
    two_links();
    let db = open_all();
    for state in [NeighbourState::REACHABLE, NeighbourState::STALE] {
        for address in ["10.0.0.2", "fd00::2"] {
            let spec = Neighbour::new(address, "v0").lladdr("02:00:00:00:00:02").state(state);
            commit(&db, |tx| tx.add_neighbour(spec.clone()).map(drop));
            let own = printed(&format!("neigh show {address}"));
            assert!(own[0].contains("02:00:00:00:00:02"), "{own:?}");
            let mut tx = db.begin();
            tx.replace_neighbour(spec.clone().lladdr("02:00:00:00:00:03")).expect("a neighbour");
            tx.on_commit(|_, _| Err("no"));
            let error = rolled_back(tx.commit());
            assert!(error.is_hook(), "{error}");
            assert!(printed(&format!("neigh show {address}"))[0].contains("02:00:00:00:00:02"));
            commit(&db, |tx| tx.remove_neighbour(spec.clone()).map(drop));
        }
    }
    // `NOARP` is what `ip neigh show` leaves out, and so does the database.
    let spec = Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00:00:00:02");
    let mut tx = db.begin();
    let ended = tx.add_neighbour(spec.state(NeighbourState::NOARP)).map(drop);
    let error = ended.expect_err("a state that cannot be read back");
    assert!(error.is_refused() && error.to_string().contains("NOARP"), "{error}");
}

fn flags_of_neighbours() {
    two_links();
    let db = open_all();
    let own = || Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00:00:00:02");
    there_and_back(&db, &own().extern_learn().state(NeighbourState::STALE), &["extern_learn"]);
    // The kernel looks for it, and does not say so before it has found it or not.
    let before = tables();
    let managed = Neighbour::new("10.0.0.3", "v0").managed().state(NeighbourState(0));
    let mut tx = db.begin();
    tx.add_neighbour(managed.clone()).expect("a neighbour");
    tx.on_commit(|_, _| Err("no"));
    let error = rolled_back(tx.commit());
    assert_eq!(tables(), before);
    if !error.is_hook() {
        skip(format!("this kernel manages no neighbours: {error}"));
    }
    commit(&db, |tx| tx.add_neighbour(managed.clone()).map(drop));
    assert!(printed("neigh show 10.0.0.3")[0].contains("managed"));
    commit(&db, |tx| tx.remove_neighbour(managed).map(drop));
    assert_eq!(tables(), before);
}

fn proxies_that_the_kernel_does_not_announce() {
    two_links();
    let db = open_all();
    for address in ["10.0.0.9", "fd00::9"] {
        let proxy = Neighbour::new(address, "v0").proxy();
        there_and_back(&db, &proxy, &[address, "dev v0", "proxy"]);
        // What another program does in silence between begin and commit is asked for.
        let mut tx = db.begin();
        tx.add_neighbour(proxy.clone()).expect("a proxy");
        scene(&format!("neigh add proxy {address} dev v0"));
        tx.commit().expect("it is so");
        knows(&db);
        let mut tx = db.begin();
        tx.remove_neighbour(proxy.clone()).expect("a proxy");
        scene(&format!("neigh del proxy {address} dev v0"));
        tx.commit().expect("nothing is left to do");
        knows(&db);
    }
    // A neighbour and a proxy with one address are two.
    commit(&db, |tx| {
        tx.add_neighbour(Neighbour::new("10.0.0.9", "v0").proxy())?;
        tx.add_neighbour(Neighbour::new("10.0.0.9", "v0").lladdr("02:00:00:00:00:09")).map(drop)
    });
    let index = db.snapshot().link("v0").unwrap().index();
    commit(&db, |tx| tx.remove_neighbour(Neighbour::new("10.0.0.9", "v0")).map(drop));
    let now = db.snapshot();
    assert!(now.neighbours().get(index, "10.0.0.9".parse().unwrap()).is_none());
    assert!(now.neighbours().proxies().get(index, "10.0.0.9".parse().unwrap()).is_some());
}

fn entries_of_a_bridge() {
    need_kind("bridge");
    two_links();
    let vlans = try_ip(&["link", "add", "br0", "type", "bridge", "vlan_filtering", "1"]);
    if !vlans.status.success() {
        eprintln!("skipped: a forwarding entry of a VLAN: this kernel's bridges have none");
        scene("link add br0 type bridge");
    }
    scene("link set v0 master br0\n link set br0 up");
    let db = open_all();
    let mac = "02:00:00:00:00:09";
    let of = || Neighbour::fdb(mac, "v0");
    for (spec, words) in [
        (of().master(), vec!["dev v0", "master br0", "permanent"]),
        (of().master().state(NeighbourState::NOARP), vec!["dev v0", "master br0", "static"]),
        (
            of().master().sticky().state(NeighbourState::NOARP),
            vec!["dev v0", "sticky", "master br0"],
        ),
        (Neighbour::fdb(mac, "br0"), vec!["dev br0", "master br0", "permanent"]),
    ] {
        there_and_back(&db, &spec, &words);
    }
    if vlans.status.success() {
        there_and_back(&db, &of().master().vlan(1), &["dev v0", "vlan 1", "master br0"]);
    }
    // Of what a control plane tells of a port the kernel keeps no state.
    let told = || of().master().extern_learn();
    let is_told =
        || entries("v0").iter().any(|one| one.contains(mac) && one.contains("extern_learn"));
    commit(&db, |tx| tx.add_neighbour(told()).map(drop));
    assert!(is_told(), "{:?}", entries("v0"));
    let mut tx = db.begin();
    tx.remove_neighbour(told()).expect("the entry");
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook());
    assert!(is_told(), "{:?}", entries("v0"));
    commit(&db, |tx| tx.remove_neighbour(told()).map(drop));
    assert!(!entries("v0").iter().any(|one| one.contains(mac)), "{:?}", entries("v0"));
    // Moved to another port.
    scene("link set v1 master br0");
    commit(&db, |tx| tx.add_neighbour(of().master().state(NeighbourState::NOARP)).map(drop));
    // With VLANs the kernel makes one for each.
    assert!(entries("v0").iter().any(|line| line.contains(mac)));
    let whole = whole();
    let mut tx = db.begin();
    tx.remove_neighbour(of().master()).expect("the entry");
    tx.add_neighbour(Neighbour::fdb(mac, "v1").master().state(NeighbourState::NOARP))
        .expect("an entry");
    let ended = tx.commit();
    if let Err(error) = &ended {
        panic!("{error}");
    }
    assert!(entries("v1").iter().any(|line| line.contains(mac)));
    assert!(!entries("v0").iter().any(|line| line.contains(mac)));
    commit(&db, |tx| {
        tx.remove_neighbour(Neighbour::fdb(mac, "v1").master())?;
        tx.add_neighbour(of().master().state(NeighbourState::NOARP)).map(drop)
    });
    whole.again(&db);
}

fn entries_of_a_tunnel() {
    need_kind("vxlan");
    two_links();
    scene("link add x0 type vxlan id 5 dstport 4789 dev v0\n link set x0 up");
    let db = open_all();
    let (mac, any) = ("02:00:00:00:00:09", "00:00:00:00:00:00");
    let of = |mac: &str, dst: &str| Neighbour::fdb(mac, "x0").dst(dst);
    for (spec, words) in [
        (of(mac, "10.0.0.9"), vec![mac, "dst 10.0.0.9", "self permanent"]),
        (of(mac, "10.0.0.9").port(4790).vni(7), vec!["dst 10.0.0.9", "port 4790", "vni 7"]),
        (of(any, "10.0.0.9"), vec![any, "dst 10.0.0.9"]),
        (of(mac, "10.0.0.9").extern_learn(), vec!["dst 10.0.0.9", "self extern_learn"]),
        (of(mac, "10.0.0.9").via("v1"), vec!["dst 10.0.0.9", "via v1"]),
    ] {
        there_and_back(&db, &spec, &words);
    }
    // By what the same transaction makes.
    let mut tx = db.begin();
    let new = tx.create(Veth::new("n0", "n1")).expect("a pair");
    tx.add_neighbour(of(mac, "10.0.0.9").via(&new)).expect("an entry");
    let review = tx.review().to_string();
    let command = format!("bridge fdb add {mac} dev x0 dst 10.0.0.9 via n0 self permanent");
    assert!(review.contains(&command), "{review}");
    tx.commit().unwrap_or_else(|error| panic!("{error}"));
    assert!(entries("x0").iter().any(|line| line.contains("dst 10.0.0.9 via n0")));
    let after = whole();
    let mut tx = db.begin();
    tx.remove_neighbour(of(mac, "10.0.0.9")).expect("the entry");
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook());
    after.again(&db);
    commit(&db, |tx| tx.remove_neighbour(of(mac, "10.0.0.9")).map(drop));
    commit(&db, |tx| tx.remove("n0"));
    let nowhere = of(mac, "10.0.0.9").via("nosuch");
    let error = db.begin().add_neighbour(nowhere).map(drop).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("nosuch"), "{error}");
    // One tunnel for several networks: of one address an entry for each.
    scene("link add x1 type vxlan external dstport 4790\n link set x1 up");
    db.sync().expect("a snapshot");
    let from = |vni: u32| Neighbour::fdb(mac, "x1").dst("10.0.0.9").src_vni(vni).vni(vni + 100);
    there_and_back(&db, &from(7), &["dst 10.0.0.9", "src_vni 7", "vni 107"]);
    commit(&db, |tx| tx.add_neighbour(from(7)).map(drop));
    there_and_back(&db, &from(8), &["dst 10.0.0.9", "src_vni 8", "vni 108"]);
    let both = whole();
    let mut tx = db.begin();
    tx.remove("x1").expect("an interface");
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook());
    both.again(&db);
    // Several remotes of one address: each for itself.
    commit(&db, |tx| {
        ["10.0.0.8", "10.0.0.9"].iter().try_for_each(|dst| tx.add_neighbour(of(any, dst)).map(drop))
    });
    there_and_back(&db, &of(any, "10.0.0.10").port(4790), &["dst 10.0.0.10", "port 4790"]);
    commit(&db, |tx| tx.remove_neighbour(of(any, "10.0.0.8")).map(drop));
    assert!(entries("x0").iter().any(|line| line.contains("dst 10.0.0.9")));
    // Of any other address the one remote is replaced.
    commit(&db, |tx| tx.add_neighbour(of(mac, "10.0.0.8")).map(drop));
    let whole = whole();
    let mut tx = db.begin();
    tx.replace_neighbour(of(mac, "10.0.0.7")).expect("an entry");
    tx.on_commit(|_, _| Err("no"));
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    whole.again(&db);
    commit(&db, |tx| tx.replace_neighbour(of(mac, "10.0.0.7")).map(drop));
    assert_eq!(entries("x0").iter().filter(|line| line.contains(mac)).count(), 1);
}

/// Of an address that a tunnel and its bridge both know the database knew one entry, whichever was told last.
fn a_tunnel_in_a_bridge_has_entries_in_both() {
    for kind in ["vxlan", "bridge"] {
        need_kind(kind);
    }
    two_links();
    // With VLANs an entry that names none is one of each.
    if !try_ip(&["link", "add", "br0", "type", "bridge", "vlan_default_pvid", "0"]).status.success()
    {
        scene("link add br0 type bridge");
    }
    scene(
        "link add x0 type vxlan id 5 dstport 4789 dev v0\n link set x0 master br0
         link set x0 up\n link set br0 up",
    );
    let db = open_all();
    let mac = "02:00:00:00:00:09";
    let in_tunnel = || Neighbour::fdb(mac, "x0").dst("10.0.0.9");
    let in_bridge = || Neighbour::fdb(mac, "x0").master();
    let known = || {
        let now = db.snapshot();
        let all = now.neighbours().fdb().iter().filter(|one| one.to_string().starts_with(mac));
        all.count()
    };
    there_and_back(&db, &in_tunnel(), &["dst 10.0.0.9", "self"]);
    there_and_back(&db, &in_bridge(), &["dev x0", "master br0"]);
    commit(&db, |tx| tx.add_neighbour(in_bridge()).map(drop));
    there_and_back(&db, &in_tunnel(), &["dst 10.0.0.9", "self"]);
    commit(&db, |tx| tx.remove_neighbour(in_bridge()).map(drop));

    let before = tables();
    let both = || in_tunnel().self_and_master();
    commit(&db, |tx| tx.add_neighbour(both()).map(drop));
    assert_eq!(entries("x0").iter().filter(|line| line.starts_with(mac)).count(), 2);
    assert_eq!(known(), 2);
    let there = whole();
    let mut tx = db.begin();
    tx.remove_neighbour(both()).expect("both");
    assert_eq!(tx.review().commands().len(), 2, "{}", tx.review());
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook());
    there.again(&db);
    let mut tx = db.begin();
    tx.remove("x0").expect("an interface");
    tx.on_commit(|_, _| Err("no"));
    assert!(rolled_back(tx.commit()).is_hook());
    there.again(&db);
    commit(&db, |tx| tx.remove_neighbour(in_tunnel()).map(drop));
    assert_eq!(known(), 1);
    // Another program's, one after the other.
    run(&format!("bridge fdb add {mac} dev x0 self dst 10.0.0.8"));
    knows(&db);
    assert_eq!(known(), 2);
    run(&format!("bridge fdb del {mac} dev x0 master"));
    knows(&db);
    assert_eq!(known(), 1);
    commit(&db, |tx| tx.remove_neighbour(in_tunnel()).map(drop));
    assert_eq!(tables(), before);
}

/// They were no commands: `PERMANENT` is no word of `ip neigh`, and an interface that is still to be made was
/// `new interface 2`.
fn the_commands_of_a_review_do_the_same() {
    for kind in ["vxlan", "bridge"] {
        need_kind(kind);
    }
    two_links();
    scene(
        "link add br0 type bridge\n link set v0 master br0\n link add x0 type vxlan id 5 dstport 4789 dev v1",
    );
    let db = open_all();
    let mac = "02:00:00:00:00:09";
    for spec in [
        Neighbour::new("10.0.0.2", "v1").lladdr(mac),
        Neighbour::new("fd00::2", "v1").lladdr(mac).router().protocol(RouteProtocol::BIRD),
        Neighbour::new("10.0.0.2", "v1").lladdr(mac).state(NeighbourState::STALE).extern_learn(),
        Neighbour::new("10.0.0.3", "v1").proxy(),
        Neighbour::fdb(mac, "v0").master().sticky().state(NeighbourState::NOARP),
        Neighbour::fdb(mac, "br0"),
        Neighbour::fdb(mac, "x0").dst("10.0.0.9").port(4790).vni(7),
    ] {
        let before = tables();
        let mut tx = db.begin();
        tx.add_neighbour(spec.clone()).expect("a neighbour");
        let add = tx.review();
        tx.commit().unwrap_or_else(|error| panic!("{error}"));
        let after = tables();
        let mut tx = db.begin();
        tx.remove_neighbour(spec.clone()).expect("a neighbour");
        let remove = tx.review();
        tx.commit().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(tables(), before, "{spec}");
        // Of a proxy that is there already the kernel does not say that it is permanent.
        for (review, wanted) in [(add, &after), (remove, &before)] {
            review.commands().iter().for_each(|command| run(command));
            assert_eq!(tables(), *wanted, "{review}");
        }
        db.resync().expect("a snapshot");
    }
    let mut tx = db.begin();
    let new = tx.create(netlinkdb::Veth::new("n0", "n1")).expect("a pair");
    tx.interface(&new).add_ip("10.7.0.1/24").expect("an address").up();
    tx.add_neighbour(Neighbour::new("10.7.0.2", &new).lladdr(mac)).expect("a neighbour");
    tx.add_neighbour(Neighbour::new("10.7.0.3", &new).proxy()).expect("a proxy");
    let review = tx.review();
    let said = |command: &str| review.commands().iter().any(|one| one == command);
    assert!(
        said("ip neigh add 10.7.0.2 dev n0 lladdr 02:00:00:00:00:09 nud permanent"),
        "{review}"
    );
    assert!(said("ip neigh add proxy 10.7.0.3 dev n0"), "{review}");
    assert!(!review.to_string().contains("new interface"), "{review}");
    review.commands().iter().for_each(|command| run(command));
}

/// A command as a review prints it.
#[track_caller]
fn run(command: &str) {
    if command.starts_with("bridge") && bridge_json(&["fdb", "show"]).is_none() {
        skip("the command `bridge` is not installed");
    }
    let status = Command::new("sh").args(["-c", command]).status().expect("a shell");
    assert!(status.success(), "{command}");
}

fn an_entry_by_a_nexthop_group() {
    need_kind("vxlan");
    two_links();
    scene("link add x0 type vxlan id 5 dstport 4789 dev v0\n link set x0 up");
    let db = open_all();
    let whole = whole();
    commit(&db, |tx| {
        tx.add_nexthop(Nexthop::new(1).via("10.0.0.9").fdb())?;
        tx.add_nexthop(Nexthop::new(2).member(1, 1).fdb())?;
        tx.add_neighbour(Neighbour::fdb("02:00:00:00:00:09", "x0").nexthop_id(2)).map(drop)
    });
    assert!(entries("x0").iter().any(|line| line.contains("nhid 2")));
    // The group is in use: with it the entry would go, without a word.
    let mut tx = db.begin();
    tx.remove_nexthop(2).expect("the group");
    let error = refused(tx.commit());
    assert!(error.to_string().contains("02:00:00:00:00:09"), "{error}");
    let used = self::whole();
    let away = |tx: &mut Transaction| -> netlinkdb::Result<()> {
        tx.remove_neighbour(Neighbour::fdb("02:00:00:00:00:09", "x0"))?;
        tx.remove_nexthop(2)?;
        tx.remove_nexthop(1).map(drop)
    };
    let mut tx = db.begin();
    away(&mut tx).expect("removals");
    tx.on_commit(|_, _| Err("no"));
    let error = rolled_back(tx.commit());
    assert!(error.is_hook(), "{error}");
    used.again(&db);
    commit(&db, away);
    whole.again(&db);
}

fn a_neighbour_is_replaced() {
    two_links();
    let db = open_all();
    let of = |last: u8| Neighbour::new("10.0.0.2", "v0").lladdr(format!("02:00:00:00:00:0{last}"));
    commit(&db, |tx| tx.replace_neighbour(of(2)).map(drop));
    let whole = whole();
    let mut tx = db.begin();
    tx.replace_neighbour(of(3)).expect("a neighbour");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    whole.again(&db);
    let mut tx = db.begin();
    tx.replace_neighbour(of(2)).expect("a neighbour");
    assert!(tx.review().commands().is_empty(), "{}", tx.review());
    commit(&db, |tx| tx.replace_neighbour(of(3)).map(drop));
    assert!(printed("neigh show 10.0.0.2")[0].contains("02:00:00:00:00:03"));
    // Away and there in one transaction.
    commit(&db, |tx| {
        tx.remove_neighbour(of(3))?;
        tx.add_neighbour(of(4)).map(drop)
    });
    assert!(printed("neigh show 10.0.0.2")[0].contains("02:00:00:00:00:04"));
    assert!(
        db.begin().remove_neighbour(Neighbour::new("10.0.0.99", "v0")).unwrap_err().is_not_found()
    );
}

/// With an interface that goes down go its neighbours, permanent ones too, and its proxies.
fn a_downed_link_gets_its_neighbours_back() {
    two_links();
    let db = open_all();
    scene(
        "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0\n neigh add fd00::2 lladdr 02:00:00:00:00:02 dev v0
         neigh add proxy 10.0.0.9 dev v0\n neigh add proxy fd00::9 dev v0
         neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev v1",
    );
    db.resync().expect("a snapshot");
    let whole = whole();
    for remove in [false, true] {
        let mut tx = db.begin();
        match remove {
            true => tx.remove("v0").expect("an interface"),
            false => drop(tx.interface("v0").down()),
        }
        tx.on_commit(|_, _| Err("no"));
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        whole.again(&db);
    }
}

/// An interface that gets another hardware address or another `NOARP` loses all its neighbours, permanent ones too
/// (`neigh_changeaddr`), which a rollback did not bring back.
fn a_readdressed_link_gets_its_neighbours_back() {
    two_links();
    let db = open_all();
    scene(
        "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0\n neigh add fd00::2 lladdr 02:00:00:00:00:02 dev v0
         neigh add proxy 10.0.0.9 dev v0",
    );
    db.resync().expect("a snapshot");
    let whole = whole();
    let other: HardwareAddress = "02:00:00:00:00:77".parse().expect("an address");
    for address in [true, false] {
        let mut tx = db.begin();
        match address {
            true => drop(tx.interface("v0").set_address(other)),
            false => drop(tx.interface("v0").arp(false)),
        }
        tx.on_commit(|_, _| Err("no"));
        let error = rolled_back(tx.commit());
        assert!(error.is_hook(), "{error}");
        whole.again(&db);
    }
}

/// A bridge that was made again had the address of its first port before that had joined, and so the entry for it, which stood
/// at the port; and kept that address against its ports.
fn a_bridge_gets_its_entries_back() {
    const OWN: &str = "02:00:00:00:00:11";
    need_kind("bridge");
    two_links();
    let made = [
        // By its ports.
        format!("link add br0 type bridge\n link set v0 address {OWN}"),
        // The same, told it when it had it.
        format!(
            "link add br0 type bridge\n link set br0 address {OWN}\n link set v0 address {OWN}"
        ),
        // With one of its own.
        "link add br0 type bridge\n link set br0 address 02:00:00:00:00:77".to_owned(),
    ];
    for lines in made {
        scene(&format!(
            "{lines}
             link set v0 master br0
             link set v1 master br0
             link set br0 up
             addr add 10.7.0.1/24 dev br0"
        ));
        let db = open_all();
        let whole = whole();
        for _ in 0..2 {
            let mut tx = db.begin();
            tx.remove("br0").expect("an edit");
            tx.on_commit(|_, _| Err("no"));
            let error = rolled_back(tx.commit());
            assert!(error.is_hook(), "{error}");
            whole.again(&db);
        }
        scene("link del br0");
    }
    // The first still follows its ports.
    scene(
        "link set v0 address 02:00:00:00:00:11
         link set v1 address 02:00:00:00:00:12
         link add br0 type bridge
         link set v1 master br0",
    );
    let db = open_all();
    let mut tx = db.begin();
    tx.remove("br0").expect("an edit");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    scene("link set v0 master br0");
    let bridge = db.sync().expect("a snapshot").link("br0").and_then(|br0| br0.address());
    assert_eq!(bridge.map(|own| own.to_string()).as_deref(), Some(OWN));
}

fn what_another_program_did_meanwhile() {
    two_links();
    let db = open_all();
    let of = |last: u8| Neighbour::new("10.0.0.2", "v0").lladdr(format!("02:00:00:00:00:0{last}"));
    // Added by both: moot; otherwise: a conflict.
    let mut tx = db.begin();
    tx.add_neighbour(of(2)).expect("a neighbour");
    scene("neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev v0");
    tx.commit().expect("it is so");
    let mut tx = db.begin();
    tx.replace_neighbour(of(3)).expect("a neighbour");
    scene("neigh replace 10.0.0.2 lladdr 02:00:00:00:00:04 dev v0");
    assert!(refused(tx.commit()).is_conflict());
    // Removed by both: moot; changed there: a conflict.
    let mut tx = db.begin();
    tx.remove_neighbour(of(4)).expect("a neighbour");
    scene("neigh replace 10.0.0.2 lladdr 02:00:00:00:00:05 dev v0");
    assert!(refused(tx.commit()).is_conflict());
    let mut tx = db.begin();
    tx.remove_neighbour(of(5)).expect("a neighbour");
    scene("neigh del 10.0.0.2 dev v0");
    tx.commit().expect("nothing is left to do");
    knows(&db);
}

fn what_cannot_be_is_refused() {
    two_links();
    let db = open_all();
    let error =
        db.begin().add_neighbour(Neighbour::new("10.0.0.2", "nosuch")).map(drop).unwrap_err();
    assert!(error.is_not_found() || error.to_string().contains("nosuch"), "{error}");
    // `arp_constructor` makes it the neighbour of 0.0.0.0, whoever is named.
    let own = Neighbour::new("10.0.0.2", "lo").lladdr("02:00:00:00:00:02");
    let error = db.begin().add_neighbour(own).map(drop).unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("one neighbour"), "{error}");
    // A receive filter of the interface.
    let error = db.begin().add_neighbour(Neighbour::fdb("02:00:00:00:00:09", "v0")).map(drop);
    assert!(error.unwrap_err().to_string().contains("receive filter"));
    // `vxlan_fdb_add`, which is not said where it leads: a bare EINVAL.
    if try_ip(&["link", "add", "x0", "type", "vxlan", "id", "5", "dstport", "4789"])
        .status
        .success()
    {
        db.sync().expect("a snapshot");
        let nowhere = Neighbour::fdb("02:00:00:00:00:09", "x0");
        let error = db.begin().add_neighbour(nowhere).map(drop).unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("`dst`"), "{error}");
    }
    let whole = whole();
    let mut tx = db.begin();
    tx.add_neighbour(Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00")).expect("a neighbour");
    let error = rolled_back(tx.commit());
    assert!(error.to_string().contains("neigh add 10.0.0.2"), "{error}");
    whole.again(&db);
}

fn a_database_without_neighbours_says_so() {
    two_links();
    let db = Db::open().expect("a database");
    let own = || Neighbour::new("10.0.0.2", "v0").lladdr("02:00:00:00:00:02");
    for error in [
        db.begin().add_neighbour(own()).map(drop).unwrap_err(),
        db.begin().replace_neighbour(own()).map(drop).unwrap_err(),
        db.begin().remove_neighbour(own()).map(drop).unwrap_err(),
        db.begin().add_neighbour(own().proxy()).map(drop).unwrap_err(),
    ] {
        assert!(error.is_refused() && error.to_string().contains("does not follow"), "{error}");
    }
    // Also of an interface that is still to be made.
    let mut tx = db.begin();
    let new = tx.create(netlinkdb::Veth::new("n0", "n1")).expect("an interface");
    let error = tx.add_neighbour(Neighbour::new("10.0.0.2", &new)).map(drop).unwrap_err();
    assert!(error.to_string().contains("does not follow"), "{error}");
}
