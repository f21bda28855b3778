//! Bad input: refused before anything is sent, with the offending value in the message.
//!
//! That nothing is sent is not inferred from silence: the requests of the database are counted (see `Count`).

use crate::scene::{Count, Ear, before, exactly_as_before, open, refused, scene};
use netlinkdb::{
    AddressSpec, Bridge, BridgeOptions, BridgePortOptions, Db, Ifb, InterfaceTransaction, LinkRef,
    Macvlan, MacvlanOptions, Result, Route, Transaction, Veth, Vxlan, VxlanOptions,
};

crate::cases![
    edits_that_cannot_be_are_refused_with_the_value,
    creations_that_cannot_be_are_refused_with_the_value,
    texts_that_are_no_addresses_are_refused_with_the_text,
    an_unknown_interface_is_refused_by_name_and_by_index,
    what_is_removed_cannot_be_used_in_the_same_transaction,
    what_is_wrong_in_an_edit_without_a_result_is_told_by_the_commit_and_the_review,
    without_privilege_reading_works_and_a_commit_says_what_is_missing,
];

/// `lo`, a bridge with a port, a veth pair.
fn machine() -> Db {
    let db = open();
    scene(
        "link add b0 type bridge\n link add v0 type veth peer name v1\n link set v0 master b0
         link add w0 type veth peer name w1\n link property add dev v1 altname other
         link add m9 link w1 type macvlan mode bridge
         addr add 10.0.0.1/24 dev v1\n addr add 10.0.0.1 peer 10.5.0.2/32 dev w1",
    );
    // An alternative name of an interface that is down comes in silence.
    db.resync().expect("a snapshot");
    db
}

type Edit = (&'static str, fn(&mut Transaction) -> Result<()>);

#[track_caller]
fn all_refused(db: &Db, edits: &[Edit]) {
    let before = before();
    let mut count = Count::new(db);
    let ear = Ear::new();
    for (value, edit) in edits {
        let mut tx = db.begin();
        let error = match edit(&mut tx) {
            Err(error) => error,
            Ok(()) => refused(tx.commit()).error().clone(),
        };
        assert!(error.is_refused(), "{value}: {error}");
        assert!(error.to_string().contains(value), "{value:?} is not in {:?}", error.to_string());
    }
    assert_eq!(ear.heard(), [""; 0]);
    assert_eq!(count.sent(), 0);
    exactly_as_before(db, &before);
}

fn edits_that_cannot_be_are_refused_with_the_value() {
    let db = machine();
    all_refused(
        &db,
        &[
            ("a-name-that-is-much-too-long", |tx| {
                tx.interface("v1").set_name("a-name-that-is-much-too-long").map(drop)
            }),
            ("with/slash", |tx| tx.interface("v1").set_name("with/slash").map(drop)),
            ("with blank", |tx| tx.interface("v1").set_name("with blank").map(drop)),
            ("with:colon", |tx| tx.interface("v1").set_name("with:colon").map(drop)),
            ("eth%d", |tx| tx.interface("v1").set_name("eth%d").map(drop)),
            ("`..`", |tx| tx.interface("v1").set_name("..").map(drop)),
            ("``", |tx| tx.interface("v1").set_name("").map(drop)),
            ("`v0` is there already", |tx| tx.interface("v1").set_name("v0").map(drop)),
            ("`other` is there already", |tx| tx.interface("v0").set_name("other").map(drop)),
            ("`b0` is there already", |tx| tx.interface("v0").add_altname("b0").map(drop)),
            ("al/tname", |tx| tx.interface("v0").add_altname("al/tname").map(drop)),
            ("altname `other` is there already", |tx| {
                tx.interface("v1").add_altname("other").map(drop)
            }),
            ("altname `none` is not there", |tx| tx.interface("v1").del_altname("none").map(drop)),
            ("mtu `67`", |tx| {
                tx.interface("v1").set_mtu(67);
                Ok(())
            }),
            ("68 to 65535", |tx| {
                tx.interface("v1").set_mtu(70_000);
                Ok(())
            }),
            ("port `b0`", |tx| tx.interface("b0").add_port("b0").map(drop)),
            ("port `v0` of `b0` is there already", |tx| {
                tx.interface("b0").add_port("v0").map(drop)
            }),
            ("port `v1` of `b0` is not there", |tx| tx.interface("b0").del_port("v1").map(drop)),
            ("`w0` is a veth", |tx| tx.interface("w0").add_port("w1").map(drop)),
            ("interface `nobody`", |tx| tx.interface("b0").add_port("nobody").map(drop)),
            ("10.0.0.1/24", |tx| tx.interface("v1").add_ip("10.0.0.1/24").map(drop)),
            ("10.0.0.2/24", |tx| tx.interface("v1").del_ip("10.0.0.2/24").map(drop)),
            ("10.0.0.1/25", |tx| tx.interface("v1").del_ip("10.0.0.1/25").map(drop)),
            ("fd00::1/64", |tx| tx.interface("v1").del_ip("fd00::1/64").map(drop)),
            ("10.5.0.2", |tx| {
                let spec = AddressSpec::new("10.0.0.1".parse().expect("an address"), 32)?;
                tx.interface("w1")
                    .add_ip(spec.peer("10.5.0.2".parse().expect("an address"))?)
                    .map(drop)
            }),
            ("`99`", |tx| {
                tx.interface("b0").bridge(BridgeOptions::new().hello_time(99u32)).map(drop)
            }),
            ("`4095`", |tx| {
                tx.interface("b0").bridge(BridgeOptions::new().vlan_default_pvid(4095u16)).map(drop)
            }),
            ("`50`", |tx| {
                tx.interface("b0").bridge(BridgeOptions::new().mcast_query_intvl(50u64)).map(drop)
            }),
            (
                "macaddr_data `02:00:00:00:00:05`: a macvlan has sources in mode `source` only",
                |tx| {
                    let sources = MacvlanOptions::new().add_sources(&[[2, 0, 0, 0, 0, 5].into()]);
                    tx.interface("m9").macvlan(sources).map(drop)
                },
            ),
            ("group_fwd_mask `4`: bits 0 to 2", |tx| {
                tx.interface("b0").bridge(BridgeOptions::new().group_fwd_mask(4u16)).map(drop)
            }),
            ("group_fwd_mask `3`: bit 1", |tx| {
                let options = BridgePortOptions::new().group_fwd_mask(3u16);
                tx.interface("v0").bridge_port(options).map(drop)
            }),
            ("backup_port `v0`: a port is not its own backup", |tx| {
                let v0 = tx.base().link("v0").map_or(0, |v0| v0.index());
                let options = BridgePortOptions::new().backup_port(v0);
                tx.interface("v0").bridge_port(options).map(drop)
            }),
            ("port `0`: it takes 1 to 65535", |tx| {
                tx.create(Vxlan::new("x1", 7).port(0u16)).map(drop)
            }),
            ("port_range `low 9 high 8`: the lowest port comes first", |tx| {
                tx.create(Vxlan::new("x1", 7).port(4789u16).port_range((9, 8))).map(drop)
            }),
            ("`64`", |tx| {
                tx.interface("v0").bridge_port(BridgePortOptions::new().priority(64u16)).map(drop)
            }),
            ("`v1` is no port", |tx| {
                tx.interface("v1").bridge_port(BridgePortOptions::new().cost(6u32)).map(drop)
            }),
            ("`v1` is a veth", |tx| {
                tx.interface("v1").bridge(BridgeOptions::new().stp_state(true)).map(drop)
            }),
            ("`b0` is a bridge", |tx| {
                tx.interface("b0").vxlan(VxlanOptions::new().ttl(1u8)).map(drop)
            }),
            ("`b0` is a bridge", |tx| {
                tx.interface("b0").macvlan(MacvlanOptions::new().bc_queue_len(1u32)).map(drop)
            }),
            ("`lo` is a device of its own", |tx| tx.remove("lo")),
        ],
    );
}

fn creations_that_cannot_be_are_refused_with_the_value() {
    let db = machine();
    all_refused(
        &db,
        &[
            ("`v0` is there already", |tx| tx.create(Ifb::new("v0")).map(drop)),
            ("`other` is there already", |tx| tx.create(Ifb::new("other")).map(drop)),
            ("`v1` is there already", |tx| tx.create(Veth::new("new", "v1")).map(drop)),
            ("`twice` is there already", |tx| {
                tx.create(Ifb::new("twice"))?;
                tx.create(Ifb::new("twice")).map(drop)
            }),
            ("`same` is there already", |tx| tx.create(Veth::new("same", "same")).map(drop)),
            ("a/b", |tx| tx.create(Bridge::new("a/b")).map(drop)),
            ("a b", |tx| tx.create(Veth::new("new", "a b")).map(drop)),
            ("veth%d", |tx| tx.create(Veth::new("veth%d", "other1")).map(drop)),
            ("sixteen-letters!", |tx| tx.create(Ifb::new("sixteen-letters!")).map(drop)),
            ("`nobody`", |tx| tx.create(Macvlan::new("m0", "nobody")).map(drop)),
            ("`nobody`", |tx| tx.create(Vxlan::new("x0", 7).dev("nobody")).map(drop)),
            ("16777216", |tx| tx.create(Vxlan::new("x0", 1 << 24)).map(drop)),
            ("`9999`", |tx| tx.create(Bridge::new("b1").hello_time(9999u32)).map(drop)),
        ],
    );
}

fn texts_that_are_no_addresses_are_refused_with_the_text() {
    let db = machine();
    let mut count = Count::new(&db);
    let v1 = db.interface("v1").expect("v1");
    let texts = [
        "",
        "/",
        "10.0.0",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/255.0.255.0",
        "fd00::1/129",
        "fd00::g/64",
        "123.456.789.1024/153",
        "10.0.0.1/24/24",
        "10.0.0.1 /24",
        "0.0.0.0/0",
        "224.0.0.1/4",
        "ff02::1/128",
        "::/64",
        "eth0",
        "10.0.0.1/+8",
        "1.2.3.4/ffff::",
        "fd00::1/255.255.0.0",
    ];
    for text in texts {
        let error = v1.add_ip(text).expect_err(text);
        assert!(error.to_string().contains(&format!("`{text}`")), "{text:?}: {error}");
        assert!(error.is_refused(), "{error}");
        v1.del_ip(text).expect_err(text);
    }
    let mixed = AddressSpec::new("10.0.0.9".parse().expect("an address"), 32).expect("an address");
    let error = mixed.peer("fd00::1".parse().expect("an address")).expect_err("two families");
    assert!(error.to_string().contains("fd00::1"), "{error}");
    assert_eq!(count.sent(), 0);
}

/// Found by fuzzing: what stands on an interface that goes, goes with it, and a commit that created it failed at its
/// end; edits of what was removed were forgotten in silence.
fn what_is_removed_cannot_be_used_in_the_same_transaction() {
    let db = machine();
    let created = "`b0` is removed in this transaction: `m0` cannot be created on it";
    let port = "`b0` is removed in this transaction: `w0` cannot become its port";
    let options = "`b0` is removed in this transaction: `v0` has no options as its port";
    let edited = "`b0` is removed in this transaction: it cannot be edited too";
    all_refused(
        &db,
        &[
            (created, |tx| tx.remove("b0").and(tx.create(Macvlan::new("m0", "b0")).map(drop))),
            (created, |tx| tx.create(Macvlan::new("m0", "b0")).and(tx.remove("b0"))),
            (port, |tx| tx.interface("b0").add_port("w0").map(drop).and(tx.remove("b0"))),
            (port, |tx| tx.remove("b0").and(tx.interface("b0").add_port("w0").map(drop))),
            (options, |tx| {
                let options = BridgePortOptions::new().cost(7u32);
                tx.interface("v0").bridge_port(options)?;
                tx.remove("b0")
            }),
            (edited, |tx| {
                tx.interface("b0").set_mtu(1400);
                tx.remove("b0")
            }),
            (edited, |tx| tx.remove("b0").and(tx.interface("b0").add_ip("10.9.0.1/24").map(drop))),
            // What goes with it is removed too: this was found out by the commit, which was torn then.
            ("`v1` is removed in this transaction: it cannot be edited too", |tx| {
                tx.interface("v1").set_mtu(1400);
                tx.remove("v0")
            }),
            ("`v1` is removed in this transaction: `m0` cannot be created on it", |tx| {
                tx.create(Macvlan::new("m0", "v1"))?;
                tx.remove("v0")
            }),
            // One that was to be made is forgotten, and what was to stand on it would never be made, in silence.
            ("`n0` is removed in this transaction: `m0` cannot be created on it", |tx| {
                tx.create(Ifb::new("n0"))?;
                tx.create(Macvlan::new("m0", "n0"))?;
                tx.remove("n0")
            }),
            ("`n1` is removed in this transaction: `w0` cannot become its port", |tx| {
                tx.create(Bridge::new("n1"))?;
                tx.interface("n1").add_port("w0")?;
                tx.remove("n1")
            }),
            ("`n0` is removed in this transaction: route 10.9.0.0/16 dev n0", |tx| {
                tx.create(Ifb::new("n0"))?;
                tx.add_route(Route::to("10.9.0.0/16").dev("n0"))?;
                tx.remove("n0")
            }),
        ],
    );
    // Its port may be edited, and its name be taken, in the same breath.
    let mut tx = db.begin();
    tx.remove("b0").expect("a bridge");
    tx.interface("v0").set_mtu(1400);
    let new = tx.create(Bridge::new("b0")).expect("a free name");
    tx.interface(&new).add_port("v0").expect("a port");
    tx.commit().expect("a commit");
    let ports = db.interface("b0").and_then(|b0| b0.ports()).expect("ports");
    assert_eq!(ports.len(), 1);
}

fn an_unknown_interface_is_refused_by_name_and_by_index() {
    let db = machine();
    let mut count = Count::new(&db);
    for which in
        [LinkRef::from("nobody"), LinkRef::from(4711u32), LinkRef::from(0u32), LinkRef::from("")]
    {
        let error = db.interface(which.clone()).expect_err("nobody");
        assert!(error.is_not_found() && error.to_string().contains(&which.to_string()), "{error}");
        let mut tx = db.begin();
        tx.interface(which.clone()).up();
        assert!(tx.review().refusal().is_some());
        assert!(refused(tx.commit()).to_string().contains(&which.to_string()));
        assert!(db.begin().remove(which).is_err());
    }
    assert_eq!(count.sent(), 0);
}

fn what_is_wrong_in_an_edit_without_a_result_is_told_by_the_commit_and_the_review() {
    let db = machine();
    let mut count = Count::new(&db);
    let tx: InterfaceTransaction =
        db.interface("v1").expect("v1").up().set_mtu(10).set_alias("fine");
    assert!(tx.review().to_string().contains("mtu `10`"), "{}", tx.review());
    let error = refused(tx.commit());
    assert!(error.to_string().contains("mtu `10`"), "{error}");
    assert_eq!(count.sent(), 0);
}

/// Fault 30: the ancestor needed root even to read; fault 29: a missing permission looked like a timeout.
fn without_privilege_reading_works_and_a_commit_says_what_is_missing() {
    drop(machine());
    let powerless = std::thread::spawn(|| {
        give_up_capabilities();
        let db = Db::open().expect("reading needs no privilege");
        assert_eq!(
            db.interface("v0").expect("v0").master().expect("v0").expect("b0").name().expect("b0"),
            "b0"
        );
        let mut tx = db.begin();
        tx.create(Ifb::new("new")).expect("a draft needs no privilege");
        assert!(!tx.review().is_empty());
        let error = tx.commit().expect_err("a commit needs one");
        assert!(error.is_permission(), "{error}");
        assert_eq!(error.errno(), Some(libc::EPERM));
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        assert!(error.is_rolled_back(), "{error}");
    });
    powerless.join().expect("the thread without privilege");
}

/// Takes every capability from this thread, for ever.
#[allow(unsafe_code)]
fn give_up_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header { version: 0x2008_0522, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: the kernel reads a header and two sets of three numbers, which outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    assert_eq!(done, 0, "capset: {}", std::io::Error::last_os_error());
}
