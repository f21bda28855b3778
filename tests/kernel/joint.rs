//! Transactions over several namespaces: what is moved, what is made across, and the three endings in all of them.

use crate::scene::{Before, agrees, before, exactly_as_before, open, rolled_back, scene, settle};
use crate::support::namespaces::{
    Elsewhere, elsewhere, receive_one, with_capabilities, with_own_run,
};
use crate::support::{Request, ip, ip_json, skip, sysctl};
use netlinkdb::internals::sys::{Options, Socket};
use netlinkdb::{
    Bridge, CommitError, Db, Ending, JointTransaction, JointlyCommitted, NetNs, Route, Veth, Vxlan,
};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

crate::cases![
    a_review_over_all_namespaces,
    a_pair_with_an_end_in_each_namespace,
    the_review_says_what_goes_where,
    an_interface_is_moved_and_edited_there,
    an_index_that_is_taken_there_becomes_another_one,
    an_interface_is_moved_under_another_name,
    refused_at_every_step_in_turn_nothing_is_left_in_either,
    refused_by_the_kernel_at_the_last_step_everything_comes_back,
    the_hooks_of_all_are_asked_and_each_may_refuse,
    what_others_changed_there_survives,
    what_cannot_come_back_is_said,
    a_plain_transaction_sends_to_another_namespace,
    a_plain_transaction_takes_back_what_it_sent,
    a_stolen_name_there_is_found_before_anything_is_sent,
    what_cannot_be_moved_is_refused,
    a_transaction_that_is_wrong_is_mended,
    databases_named_in_any_order_do_not_wait_for_each_other,
    a_hook_cannot_commit_on_any_of_them,
    what_reaches_elsewhere_is_in_no_journal,
    create_peer_attrs,
    interface_veth,
    netns_create,
    netns_create_from_path,
    move_ns_fd,
];

/// Two namespaces as they were.
pub struct Was {
    namespaces: [Before; 2],
    routes: [Vec<String>; 2],
}

fn differences(now: &[String], was: &[String]) -> Vec<String> {
    let new = now.iter().filter(|line| !was.contains(line)).map(|line| format!("+ {line}"));
    let gone = was.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
    new.chain(gone).collect()
}

/// Every route of this namespace, without what the carrier makes of it: the kernel adds those to multicast groups by itself
/// when there is one.
fn routes() -> Vec<String> {
    let of = |family: &str| {
        let told = ip(&[family, "route", "show", "table", "all"]);
        String::from_utf8_lossy(&told.stdout).into_owned()
    };
    let text = of("-4") + &of("-6");
    let is_state = |word: &&str| !matches!(*word, "linkdown" | "dead");
    let words = |line: &str| line.split_whitespace().filter(is_state).collect::<Vec<_>>().join(" ");
    let lines = text.lines().filter(|line| !line.starts_with("multicast"));
    let mut lines: Vec<_> = lines.map(words).collect();
    lines.sort();
    lines
}

/// Two namespaces, this thread's and another, without anything that happens later.
pub struct Two {
    pub here: Db,
    pub there: Db,
    pub elsewhere: Elsewhere,
}

impl Two {
    pub fn new() -> Two {
        let elsewhere = Elsewhere::new();
        let quiet = || {
            sysctl("ipv6.conf.default.accept_dad", 0);
            sysctl("ipv6.conf.all.accept_dad", 0);
            sysctl("ipv6.conf.default.addr_gen_mode", 1);
        };
        quiet();
        elsewhere.run(quiet);
        let there = NetNs::from_path(&elsewhere.path).expect("a namespace");
        let there = Db::builder().netns(&there).open().expect("a database");
        Two { here: open(), there, elsewhere }
    }

    pub fn before(&self) -> Was {
        let [here, there] = [before(), self.elsewhere.run(before)];
        Was { namespaces: [here, there], routes: [routes(), self.elsewhere.run(routes)] }
    }

    #[track_caller]
    pub fn exactly_as(&self, was: &Was) {
        let [here, there] = was.namespaces.clone();
        exactly_as_before(&self.here, &numbered(here));
        self.elsewhere.run(|| exactly_as_before(&self.there, &numbered(there)));
        let differences = || {
            let now = [routes(), self.elsewhere.run(routes)];
            now.iter().zip(&was.routes).flat_map(|(now, was)| differences(now, was)).collect()
        };
        let found = settle(differences);
        assert!(found.is_empty(), "not as before:\n{}", found.join("\n"));
        for db in [&self.here, &self.there] {
            let fresh = Db::builder().netns(&db.netns().expect("a namespace")).open();
            let fresh = fresh.expect("a database");
            let count = |db: &Db| db.sync().expect("a snapshot").routes().len();
            let differ = || {
                let (ours, theirs) = (count(db), count(&fresh));
                if ours == theirs { Vec::new() } else { vec![format!("{ours} of {theirs}")] }
            };
            let found = settle(differ);
            assert!(found.is_empty(), "routes that the database knows: {found:?}");
        }
    }

    #[track_caller]
    pub fn agree(&self) {
        agrees(&self.here);
        self.elsewhere.run(|| agrees(&self.there));
    }

    pub fn begin(&self) -> JointTransaction {
        Db::transaction_over([&self.here, &self.there]).expect("a transaction")
    }
}

/// Where an interface that moves gets no index of choice, those that have moved and come back may have other ones.
fn numbered(was: Before) -> Before {
    const MOVED: &[&str] = &["v1", "x1"];
    if gives_indexes() { was } else { was.with_indexes_of_now(MOVED) }
}

pub fn jointly_rolled_back(
    ended: Result<JointlyCommitted, CommitError<JointTransaction>>,
) -> CommitError<JointTransaction> {
    let error = ended.expect_err("a refused commit");
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}");
    error
}

fn a_review_over_all_namespaces() {
    let two = Two::new();
    let mut tx = two.begin();
    assert!(tx.review().expect("a review").is_empty());
    let (near, far) =
        tx.create_pair(&two.here, Veth::new("near", "far"), &two.there).expect("a pair");
    tx.at(&two.here).expect("here").interface(&near).set_mtu(1400);
    tx.at(&two.there).expect("there").interface(&far).add_ip("10.0.0.2/24").expect("an address");
    let review = tx.review().expect("a review");
    assert!(!review.is_empty() && review.refusal().is_none());
    let titles = [&two.here, &two.there].map(|db| db.netns().expect("a namespace").to_string());
    let reviewed: Vec<_> = review.reviews().map(|(title, _)| title.to_owned()).collect();
    assert_eq!(reviewed, titles);
    let text = review.to_string();
    let (here, there) =
        text.split_once(&format!("\nin namespace {}", titles[1])).expect("two parts");
    assert!(here.starts_with(&format!("in namespace {}\n", titles[0])), "{text}");
    assert!(
        here.contains("ip link add") && there.contains("ip addr add 10.0.0.2/24 dev far"),
        "{text}"
    );
}

fn a_pair_with_an_end_in_each_namespace() {
    let two = Two::new();
    let mut tx = two.begin();
    // One that is named for its own sake is no other's.
    tx.at(&two.here).expect("here").interface("lo").up();
    let (host, guest) =
        tx.create_pair(&two.here, Veth::new("host", "eth0"), &two.there).expect("a pair");
    let br0 = tx.at(&two.here).expect("here").create(Bridge::new("br0")).expect("a bridge");
    let own = tx.at(&two.here).expect("here");
    own.interface(&br0).add_port(&host).expect("a port").add_ip("10.0.0.1/24").expect("ip").up();
    own.interface(&host).set_mtu(1400).up();
    let other = tx.at(&two.there).expect("there");
    other.interface(&guest).set_mtu(1400).add_ip("10.0.0.2/24").expect("an address").up();
    other.interface("lo").up();
    other.add_route(Route::to("10.9.0.0/16").via("10.0.0.1")).expect("a route");
    let done = tx.commit().expect("a commit");

    let eth0 = done.at(&two.there).expect("there").interface(&guest).expect("eth0");
    assert_eq!(
        (eth0.name().expect("a name"), eth0.link().expect("eth0").mtu()),
        ("eth0".into(), 1400)
    );
    let port = done.at(&two.here).expect("here").interface(&host).expect("host");
    assert!(port.link().expect("host").master().is_some());
    two.elsewhere.run(|| {
        let told = &ip_json(&["addr", "show", "dev", "eth0"])[0];
        assert_eq!(told["addr_info"][0]["local"], "10.0.0.2");
        assert_eq!(told["mtu"], 1400);
        ip(&["route", "get", "10.9.0.1"]);
    });
    assert!(two.here.snapshot().link("eth0").is_none());
    two.agree();
}

fn the_review_says_what_goes_where() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1");
    two.here.sync().expect("a snapshot");
    let title = two.there.netns().expect("a namespace").to_string();
    let mut tx = two.begin();
    tx.create_pair(&two.here, Veth::new("host", "eth0"), &two.there).expect("a pair");
    let v1 = tx.move_as(&two.here, "v1", &two.there, "w1").expect("a move");
    tx.at(&two.there).expect("there").interface(&v1).up();
    let here = tx.at(&two.here).expect("here").review();
    assert_eq!(
        here.commands(),
        [
            format!("ip link set dev v1 name w1 netns {title}"),
            format!("ip link add name host type veth peer name eth0 netns {title}"),
        ]
    );
    assert!(here.to_string().contains("goes to namespace"), "{here}");
    let there = tx.at(&two.there).expect("there").review();
    assert_eq!(there.commands(), ["ip link set dev w1 up"]);
    assert!(there.to_string().contains("+ interface v1 of namespace"), "{there}");
}

/// An interface with everything on it that the kernel takes from one that moves.
fn laden() {
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link set v1 master br0
         link set v1 mtu 1400
         link set v1 alias mine
         link property add dev v1 altname mine1
         link set br0 up
         link set v0 up
         link set v1 up
         addr add 10.1.0.1/24 dev v1
         addr add 10.1.0.2/24 dev v1
         addr add 2001:db8::1/64 dev v1
         route add 10.2.0.0/16 via 10.1.0.9 dev v1
         route add 2001:db8:1::/48 via 2001:db8::9 dev v1",
    );
}

fn an_interface_is_moved_and_edited_there() {
    let two = Two::new();
    laden();
    two.here.sync().expect("a snapshot");
    let old = two.here.interface("v1").expect("v1");
    let index = old.index();
    let mut tx = two.begin();
    let v1 = tx.move_to(&two.here, "v1", &two.there).expect("a move");
    tx.at(&two.there)
        .expect("there")
        .interface(&v1)
        .add_ip("10.3.0.1/24")
        .expect("an address")
        .up();
    tx.at(&two.there).expect("there").add_route(Route::to("10.4.0.0/16").via("10.3.0.9")).unwrap();
    tx.at(&two.here).expect("here").interface("v0").set_mtu(1300);
    let done = tx.commit().expect("a commit");
    let link = done.at(&two.there).expect("there").interface(&v1).expect("v1");
    let link = link.link().expect("v1");
    assert_eq!((link.index(), link.mtu(), link.alias()), (index, 1400, Some("mine")));
    assert!(two.here.snapshot().link("v1").is_none());
    assert!(old.link().expect_err("gone").is_stale());
    assert_eq!(two.here.snapshot().link("v0").map(|v0| v0.mtu()), Some(1300));
    two.agree();
}

fn an_index_that_is_taken_there_becomes_another_one() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1\n addr add 10.0.0.1/24 dev v1\n link set v1 up");
    let index = two.here.sync().expect("a snapshot").link("v1").expect("v1").index();
    let taken = format!("link add thief index {index} type ifb");
    two.elsewhere.run(|| scene(&taken));
    two.there.sync().expect("a snapshot");
    let before = two.before();
    let mut tx = two.begin();
    let v1 = tx.move_to(&two.here, "v1", &two.there).expect("a move");
    tx.at(&two.there).expect("there").interface(&v1).set_mtu(1300).up();
    let mut again = tx.clone();
    let check = move |now: &netlinkdb::Snapshot, _: &netlinkdb::Diff| {
        assert_ne!(now.link("v1").expect("v1").index(), index);
        Err("not content")
    };
    again.at(&two.there).expect("there").on_commit(check);
    let error = again.commit().expect_err("a hook that is not content");
    assert!(error.is_hook() && error.is_rolled_back(), "{error}");
    two.exactly_as(&before);
    if !gives_indexes() {
        // It is back with the index that it had there, and the transaction speaks of the one with its own.
        assert_ne!(two.here.interface("v1").expect("v1").index(), index);
        let error = tx.commit().expect_err("another index");
        assert!(error.is_refused() && error.is_stale(), "{error}");
        return two.agree();
    }
    let done = tx.commit().expect("a commit");
    assert_ne!(done.at(&two.there).unwrap().interface(&v1).expect("v1").index(), index);
    two.agree();
}

/// Whether an interface that moves to another namespace can be given its index there (`IFLA_NEW_IFINDEX`, Linux 5.13).
fn gives_indexes() -> bool {
    const IFLA_NEW_IFINDEX: u16 = 49;
    const INDEX: u32 = 77;
    static KNOWN: LazyLock<bool> = LazyLock::new(|| {
        elsewhere(|| {
            ip(&["link", "add", "p0", "type", "veth", "peer", "name", "p1"]);
            let p1 = ip_json(&["link", "show", "p1"])[0]["ifindex"].as_i64().expect("an index");
            let there = Elsewhere::new();
            let netns = File::open(&there.path).expect("a namespace");
            let request = Request::new(libc::RTM_NEWLINK, 0)
                .interface(p1 as i32, 0, 0)
                .number(libc::IFLA_NET_NS_FD, netns.as_raw_fd() as u32)
                .number(IFLA_NEW_IFINDEX, INDEX);
            let socket = Socket::open(&Options::default()).expect("a netlink socket");
            socket.send(&request.finish()).expect("a request");
            receive_one(&socket);
            there.run(|| ip_json(&["link", "show", "p1"])[0]["ifindex"] == INDEX)
        })
    });
    *KNOWN
}

fn an_interface_is_moved_under_another_name() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1");
    two.elsewhere.run(|| scene("link add v1 type ifb"));
    two.here.sync().expect("a snapshot");
    two.there.sync().expect("a snapshot");
    let before = two.before();
    let mut tx = two.begin();
    let error = tx.move_to(&two.here, "v1", &two.there).expect_err("taken");
    assert!(error.is_exists(), "{error}");
    let w1 = tx.move_as(&two.here, "v1", &two.there, "w1").expect("a move");
    tx.at(&two.there).expect("there").interface("w1").up();
    let mut refused = tx.clone();
    refused.at(&two.here).expect("here").on_commit(|_, _| Err("not content"));
    jointly_rolled_back(refused.commit());
    two.exactly_as(&before);
    if !gives_indexes() {
        assert!(tx.commit().expect_err("another index").is_stale());
        skip("this kernel gives an interface that moves no index of choice (IFLA_NEW_IFINDEX)");
    }
    let done = tx.commit().expect("a commit");
    let w1 = done.at(&two.there).expect("there").interface(&w1).expect("w1");
    assert!(w1.link().expect("w1").is_up());
    two.agree();
}

/// Everything at once: a pair across, a move there, a move here, and edits of all of it.
fn everything(two: &Two) -> JointTransaction {
    let mut tx = two.begin();
    let (host, guest) =
        tx.create_pair(&two.here, Veth::new("host", "eth0"), &two.there).expect("a pair");
    let v1 = tx.move_as(&two.here, "v1", &two.there, "w1").expect("a move");
    let x1 = tx.move_to(&two.there, "x1", &two.here).expect("a move");
    let here = tx.at(&two.here).expect("here");
    here.interface("br0").add_port(&x1).expect("a port").set_mtu(1300);
    here.interface(&host).add_ip("10.5.0.1/24").expect("an address").up();
    here.interface(&x1).up();
    here.interface("v0").set_mtu(1350);
    here.add_route(Route::to("10.6.0.0/16").via("10.5.0.2")).expect("a route");
    let there = tx.at(&two.there).expect("there");
    there.interface(&guest).set_mtu(1450).add_ip("10.5.0.2/24").expect("an address").up();
    there.interface(&v1).set_mtu(1380).add_ip("10.7.0.1/24").expect("an address").up();
    there.add_route(Route::to("10.8.0.0/16").via("10.7.0.2")).expect("a route");
    there.interface("x0").set_mtu(1390);
    tx
}

fn everything_is_there(two: &Two) {
    laden();
    two.elsewhere.run(|| {
        scene(
            "link add x0 type veth peer name x1
             link set x0 up
             link set x1 up
             addr add 10.10.0.1/24 dev x1
             route add 10.11.0.0/16 via 10.10.0.2 dev x1",
        );
    });
    two.here.sync().expect("a snapshot");
    two.there.sync().expect("a snapshot");
}

/// Refuses each lot of requests of such a transaction in turn, and looks whether all is as it was, until it holds. Gives how
/// many that were.
#[track_caller]
pub fn refused_at_every_step(
    two: &Two,
    before: &Was,
    build: impl Fn(&Two) -> JointTransaction,
    look: impl Fn(u32, &CommitError<JointTransaction>),
) -> u32 {
    let mut step = 0;
    loop {
        let mut tx = build(two);
        let answered = Arc::new(AtomicU32::new(0));
        // On this thread: without its capabilities the requests of one lot are refused, and the next ones are not.
        let count = move |_| {
            let now = answered.fetch_add(1, Ordering::Relaxed) + 1;
            with_capabilities(now != step);
        };
        tx.at(&two.here).expect("here").on_progress(count);
        with_capabilities(step != 0);
        let ended = tx.commit();
        with_capabilities(true);
        let Err(error) = ended else { return step };
        assert!(error.is_rolled_back(), "step {step}: {error}");
        assert!(error.is_permission(), "step {step}: {error}");
        println!("step {step}: {error}");
        two.exactly_as(before);
        look(step, &error);
        step += 1;
    }
}

fn refused_at_every_step_in_turn_nothing_is_left_in_either() {
    let two = Two::new();
    everything_is_there(&two);
    let before = two.before();
    let handle = two.here.interface("v1").expect("v1");
    let steps = refused_at_every_step(&two, &before, everything, |step, _| {
        if gives_indexes() {
            assert_eq!(handle.name().expect("the same interface"), "v1", "step {step}");
        }
    });
    assert!(steps >= 12, "{steps}");
    two.agree();
}

fn refused_by_the_kernel_at_the_last_step_everything_comes_back() {
    let two = Two::new();
    everything_is_there(&two);
    let before = two.before();
    let mut tx = everything(&two);
    tx.at(&two.there).unwrap().add_route(Route::to("10.99.0.0/16").via("172.16.0.1")).unwrap();
    let error = jointly_rolled_back(tx.commit());
    assert_eq!(error.errno(), Some(libc::ENETUNREACH), "{error}");
    let title = two.there.netns().expect("a namespace").to_string();
    assert!(error.step().is_some_and(|step| step.contains(&title)), "{error}");
    two.exactly_as(&before);
}

fn the_hooks_of_all_are_asked_and_each_may_refuse() {
    let two = Two::new();
    everything_is_there(&two);
    let before = two.before();
    for refusing in 0..4 {
        let mut tx = everything(&two);
        let asked = Arc::new(AtomicU32::new(0));
        let hook = |own: u32| {
            let asked = asked.clone();
            move |now: &netlinkdb::Snapshot, delta: &netlinkdb::Diff| {
                assert_eq!(asked.fetch_add(1, Ordering::Relaxed), own);
                assert!(!delta.is_empty() && now.link_count() > 2);
                if own == refusing { Err(format!("hook {own}")) } else { Ok(()) }
            }
        };
        let _first = two.here.on_commit(hook(0));
        tx.at(&two.here).expect("here").on_commit(hook(1));
        let _second = two.there.on_commit(hook(2));
        tx.at(&two.there).expect("there").on_commit(hook(3));
        let error = jointly_rolled_back(tx.commit());
        assert!(error.is_hook() && error.to_string().contains(&format!("hook {refusing}")));
        assert_eq!(asked.load(Ordering::Relaxed), refusing + 1);
        two.exactly_as(&before);
    }
}

fn what_others_changed_there_survives() {
    let two = Two::new();
    everything_is_there(&two);
    let mut tx = everything(&two);
    let path = two.elsewhere.path.clone();
    tx.at(&two.here).expect("here").on_commit(move |_, _| {
        scene("link set br0 alias theirs\n addr add 10.77.0.1/24 dev br0");
        let there = NetNs::from_path(&path).expect("a namespace");
        there.run(|| scene("link set x0 alias theirs\n link add new type ifb")).expect("a run");
        Err("not content")
    });
    jointly_rolled_back(tx.commit());
    let br0 = two.here.sync().expect("a snapshot").link("br0").expect("br0").clone();
    assert_eq!(br0.alias(), Some("theirs"));
    assert!(
        two.here
            .snapshot()
            .addresses_of(br0.index())
            .iter()
            .any(|a| a.to_string().contains("10.77.0.1/24"))
    );
    let there = two.there.sync().expect("a snapshot");
    assert_eq!(there.link("x0").and_then(|x0| x0.alias()), Some("theirs"));
    assert!(there.link("new").is_some() && there.link("x1").is_some());
    two.agree();
}

/// Another program takes the name of what was moved away: it cannot come back.
fn what_cannot_come_back_is_said() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1\n link set v1 up");
    two.here.sync().expect("a snapshot");
    let mut tx = two.begin();
    tx.move_to(&two.here, "v1", &two.there).expect("a move");
    tx.at(&two.here).expect("here").interface("v0").set_mtu(1300);
    tx.at(&two.here).expect("here").on_commit(|_, _| {
        scene("link add v1 type ifb");
        Err("not content")
    });
    let error = tx.commit().expect_err("a hook that is not content");
    assert!(error.is_torn() && error.is_hook(), "{error}");
    let residue: Vec<_> = error.residue().iter().map(ToString::to_string).collect();
    assert!(residue.iter().any(|left| left.contains("interface `v1` in namespace")), "{residue:?}");
    assert!(error.residue().iter().any(|left| left.failure.is_some()), "{residue:?}");
    // The rest is as it was.
    assert_eq!(two.here.sync().expect("a snapshot").link("v0").map(|v0| v0.mtu()), Some(1500));
    assert!(two.there.sync().expect("a snapshot").link("v1").is_some());
    two.agree();
}

fn a_plain_transaction_sends_to_another_namespace() {
    let two = Two::new();
    laden();
    two.here.sync().expect("a snapshot");
    let netns = two.there.netns().expect("a namespace");
    let mut tx = two.here.begin();
    tx.move_to("v1", &netns).expect("a move");
    let host = tx.create_with_peer_in(Veth::new("host", "eth0"), &netns).expect("a pair");
    tx.interface(&host).up();
    let done = tx.commit().expect("a commit");
    assert!(done.interface(&host).expect("host").link().expect("host").is_up());
    let there = two.there.sync().expect("a snapshot");
    assert!(there.link("v1").is_some() && there.link("eth0").is_some());
    two.agree();
}

fn a_plain_transaction_takes_back_what_it_sent() {
    let two = Two::new();
    laden();
    two.here.sync().expect("a snapshot");
    let before = two.before();
    let netns = two.there.netns().expect("a namespace");
    let v1 = two.here.interface("v1").expect("v1");
    let mut tx = two.here.begin();
    tx.move_to("v1", &netns).expect("a move");
    tx.create_with_peer_in(Veth::new("host", "eth0"), &netns).expect("a pair");
    tx.add_route(Route::to("10.99.0.0/16").via("172.16.0.1")).expect("a route");
    let error = rolled_back(tx.commit());
    assert_eq!(error.errno(), Some(libc::ENETUNREACH), "{error}");
    two.exactly_as(&before);
    assert_eq!(v1.link().expect("the same interface").name(), "v1");
}

fn a_stolen_name_there_is_found_before_anything_is_sent() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1");
    two.here.sync().expect("a snapshot");
    let mut tx = two.begin();
    tx.move_to(&two.here, "v1", &two.there).expect("a move");
    tx.at(&two.here).expect("here").interface("v0").set_mtu(1300);
    two.elsewhere.run(|| scene("link add v1 type ifb"));
    let error = tx.commit().expect_err("a stolen name");
    assert!(error.is_refused() && error.is_exists(), "{error}");
    assert_eq!(two.here.sync().expect("a snapshot").link("v0").map(|v0| v0.mtu()), Some(1500));
}

fn what_cannot_be_moved_is_refused() {
    let two = Two::new();
    scene("link add v0 type veth peer name v1\n link add x0 type vxlan id 7 dstport 4789 dev v0");
    two.here.sync().expect("a snapshot");
    let before = two.before();
    let netns = two.there.netns().expect("a namespace");
    // The kernel's own words.
    let mut tx = two.here.begin();
    tx.move_as("lo", &netns, "lo2").expect("a move");
    let error = rolled_back(tx.commit());
    assert_eq!(error.errno(), Some(libc::EINVAL), "{error}");
    // To where it is, what is made in the same transaction, what is edited too, a bad name.
    let own = two.here.netns().expect("a namespace");
    let mut tx = two.here.begin();
    assert!(tx.move_to("v1", &own).expect_err("here").is_refused());
    assert!(tx.move_as("v1", &netns, "a/b").expect_err("no name").is_refused());
    tx.create(Bridge::new("br0")).expect("a bridge");
    assert!(tx.move_to("br0", &netns).expect_err("new").is_refused());
    assert!(tx.move_to("nobody", &netns).expect_err("unknown").is_not_found());
    tx.move_to("v1", &netns).expect("a move");
    assert!(tx.move_as("v1", &netns, "w1").expect_err("twice").is_refused());
    tx.interface("v1").set_mtu(1300);
    let error = tx.commit().expect_err("edited here");
    assert!(error.is_refused() && error.to_string().contains("`v1`"), "{error}");
    let mut tx = two.here.begin();
    tx.move_to("v1", &netns).expect("a move");
    tx.remove("v1").expect("a removal");
    assert!(tx.commit().expect_err("removed").is_refused());
    let mut tx = two.here.begin();
    tx.move_to("v1", &netns).expect("a move");
    tx.create(Vxlan::new("x1", 9).port(4790u16).dev("v1")).expect("a vxlan");
    assert!(tx.commit().expect_err("stands on it").is_refused());
    // A VXLAN would go with it.
    let mut tx = two.here.begin();
    tx.move_to("v0", &netns).expect("a move");
    let error = tx.commit().expect_err("a vxlan");
    assert!(error.is_refused() && error.to_string().contains("`x0`"), "{error}");
    // A gone namespace cannot be had, two databases of one namespace neither.
    assert!(Db::transaction_over([&two.here, &open()]).expect_err("one namespace").is_refused());
    let mut tx = Db::transaction_over([&two.here]).expect("a transaction");
    assert!(tx.at(&two.there).expect_err("not over it").is_refused());
    two.exactly_as(&before);
}

fn a_transaction_that_is_wrong_is_mended() {
    let two = Two::new();
    everything_is_there(&two);
    let mut tx = everything(&two);
    let wrong = Route::to("10.99.0.0/16").via("172.16.0.1");
    tx.at(&two.there).expect("there").add_route(wrong.clone()).expect("a route");
    let mut tx = jointly_rolled_back(tx.commit()).into_transaction();
    if !gives_indexes() {
        assert!(tx.commit().expect_err("other indexes").is_stale());
        skip("this kernel gives an interface that moves no index of choice (IFLA_NEW_IFINDEX)");
    }
    let lacking = tx.at(&two.there).expect("there");
    lacking.interface("w1").add_ip("172.16.0.2/24").expect("an address");
    tx.commit().expect("a commit");
    two.agree();
}

fn databases_named_in_any_order_do_not_wait_for_each_other() {
    let two = Two::new();
    let both = [[&two.here, &two.there], [&two.there, &two.here]];
    std::thread::scope(|scope| {
        for (at, order) in both.into_iter().enumerate() {
            scope.spawn(move || {
                for n in 0..20 {
                    let mut tx = Db::transaction_over(order).expect("a transaction");
                    let veth = Veth::new(&format!("h{at}x{n}"), &format!("g{at}x{n}"));
                    let (own, other) = tx.create_pair(order[0], veth, order[1]).expect("a pair");
                    tx.at(order[0]).expect("one").interface(&own).up();
                    tx.at(order[1]).expect("the other").interface(&other).up();
                    tx.commit().expect("a commit");
                }
            });
        }
    });
    assert_eq!(two.here.sync().expect("a snapshot").link_count(), 41);
    assert_eq!(two.there.sync().expect("a snapshot").link_count(), 41);
}

fn a_hook_cannot_commit_on_any_of_them() {
    let two = Two::new();
    let mut tx = two.begin();
    tx.create_pair(&two.here, Veth::new("host", "eth0"), &two.there).expect("a pair");
    let dbs = [two.here.clone(), two.there.clone()];
    tx.at(&two.there).expect("there").on_commit(move |_, _| {
        for db in &dbs {
            let error = db.interface("lo").unwrap().up().commit().expect_err("from a hook");
            assert!(error.is_refused(), "{error}");
        }
        Ok::<(), String>(())
    });
    tx.commit().expect("a commit");
    two.agree();
}

fn what_reaches_elsewhere_is_in_no_journal() {
    let two = Two::new();
    let path = std::env::temp_dir().join(format!("joint-{}.journal", std::process::id()));
    let db = Db::builder().journal(&path).open().expect("a database");
    let netns = two.there.netns().expect("a namespace");
    let mut tx = db.begin();
    tx.create_with_peer_in(Veth::new("host", "eth0"), &netns).expect("a pair");
    let error = tx.clone().commit().expect_err("a journal");
    assert!(error.is_refused() && error.to_string().contains("journal"), "{error}");
    let error = tx.commit_confirmed(std::time::Duration::from_secs(5)).expect_err("not confirmed");
    assert!(error.is_refused(), "{error}");
    std::fs::remove_file(&path).expect("the journal");
    assert!(db.sync().expect("a snapshot").link("host").is_none());
}

/// The ancestor's: a pair is born across, with an address of the far end; one end takes the other with it.
fn create_peer_attrs() {
    let two = Two::new();
    let hardware: netlinkdb::HardwareAddress = "06:00:00:00:02:03".parse().expect("an address");
    let mut tx = two.here.begin();
    let veth = Veth::new("near", "far").peer_address(hardware);
    tx.create_with_peer_in(veth, &two.there.netns().expect("a namespace")).expect("a pair");
    let near = tx.commit().expect("a commit");
    let far = two.there.sync().expect("a snapshot").link("far").expect("far").clone();
    assert_eq!(far.address(), Some(hardware));
    assert!(near.snapshot().link("far").is_none());
    let mut tx = two.here.begin();
    tx.remove("near").expect("a removal");
    tx.commit().expect("a commit");
    assert!(two.there.sync().expect("a snapshot").link("far").is_none());
    two.agree();
}

/// The ancestor's: one end of a pair is moved away.
fn interface_veth() {
    let two = Two::new();
    let mut tx = two.here.begin();
    tx.create(Veth::new("near", "far")).expect("a pair");
    tx.commit().expect("a commit");
    let mut tx = two.here.begin();
    tx.move_to("far", &two.there.netns().expect("a namespace")).expect("a move");
    let now = tx.commit().expect("a commit").snapshot().clone();
    assert!(now.link("far").is_none());
    assert!(two.there.sync().expect("a snapshot").link("far").is_some());
    two.agree();
}

/// The ancestor's: a pair with its ends in two namespaces, which know each other afterwards.
fn netns_create() {
    with_own_run(|| {
        let db = open();
        let name = NetNs::create("guest").expect("a namespace");
        wired(&db, &name);
        NetNs::remove("guest").expect("a removal");
    });
}

fn netns_create_from_path() {
    let elsewhere = Elsewhere::new();
    wired(&open(), &NetNs::from_path(&elsewhere.path).expect("a namespace"));
}

fn wired(db: &Db, netns: &NetNs) {
    let guest = Db::builder().netns(netns).neighbours(true).open().expect("a database");
    let mut tx = Db::transaction_over([db, &guest]).expect("a transaction");
    let (near, far) = tx.create_pair(db, Veth::new("near", "far"), &guest).expect("a pair");
    tx.at(db).expect("here").interface(&near).add_ip("172.16.200.1/24").expect("ip").up();
    tx.at(&guest).expect("there").interface(&far).add_ip("172.16.200.2/24").expect("ip").up();
    tx.commit().expect("a commit");
    // It asks who has the address, and hears.
    let ask = || drop(std::net::TcpStream::connect("172.16.200.1:9"));
    netns.run(ask).expect("a run");
    let known = |now: &netlinkdb::Snapshot| {
        now.neighbours().iter().any(|one| one.to_string().contains("172.16.200.1"))
    };
    let found = guest.wait_until(std::time::Duration::from_secs(10), known).expect("a wait");
    assert!(found.is_some(), "no neighbour");
}

/// The ancestor did what else was in the transaction before the move, which lost it.
fn move_ns_fd() {
    let two = Two::new();
    scene("link add near type veth peer name far");
    two.here.sync().expect("a snapshot");
    let mut tx = two.begin();
    let far = tx.move_to(&two.here, "far", &two.there).expect("a move");
    let there = tx.at(&two.there).expect("there");
    there.interface(&far).add_ip("172.16.200.2/24").expect("an address").up();
    let done = tx.commit().expect("a commit");
    let far = done.at(&two.there).expect("there").interface(&far).expect("far");
    assert_eq!(far.ipv4().expect("far").len(), 1);
    two.agree();
}
