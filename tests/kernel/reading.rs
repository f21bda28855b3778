//! Opening and reading a database: namespaces, privileges, lookups, views, what is printed.

use crate::support::judge::quiesce_and_compare_links;
use crate::support::namespaces::Elsewhere;
use crate::support::{PATIENCE, ip, need_kinds, quiesce_and_compare, scene, skip, sysctl};
use netlinkdb::{Db, Interface, Link, NetNs, ReadOnly};

crate::cases![
    a_database_is_that_of_the_thread_that_opens_it,
    a_database_of_another_namespace_is_opened_and_committed_to,
    a_namespace_lives_as_long_as_its_database,
    a_namespace_that_is_not_there_is_named_in_the_error,
    reading_needs_no_privilege_and_a_commit_says_which_one_is_missing,
    an_interface_is_found_by_name_altname_index_and_attribute,
    what_is_unknown_is_named_in_the_error,
    interfaces_come_in_the_order_of_their_indexes,
    addresses_of_an_interface_and_ports_of_a_master,
    everything_prints_readably,
    the_receive_buffer_wanted_and_the_one_had,
    a_view_without_addresses,
    a_snapshot_never_changes,
    a_name_may_be_in_any_script,
    handles_are_equal_when_they_mean_the_same_interface,
    a_read_only_database_reads_all_the_same,
];

fn names(db: &Db) -> Vec<String> {
    db.snapshot().links().map(|link| link.name().to_owned()).collect()
}

fn a_database_is_that_of_the_thread_that_opens_it() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1");
    let db = Db::open().unwrap();
    assert_eq!(names(&db).iter().filter(|name| name.starts_with('v')).count(), 2);
    quiesce_and_compare(&db);
    // What happens here is not seen there, and the other way round.
    let other = Elsewhere::new();
    let there = other.run(|| Db::open().unwrap());
    assert!(!names(&there).contains(&"v0".to_owned()));
    ip(&["link", "set", "v0", "alias", "here"]);
    ip(&["link", "set", "v0", "up"]);
    other.run(|| ip(&["link", "set", "lo", "up"]));
    assert!(there.sync().unwrap().link("lo").unwrap().is_up());
    assert!(!db.sync().unwrap().link("lo").unwrap().is_up());
    quiesce_and_compare(&db);
    other.run(|| quiesce_and_compare(&there));
}

fn a_database_of_another_namespace_is_opened_and_committed_to() {
    need_kinds("veth");
    let other = Elsewhere::new();
    let before = NetNs::current().unwrap();
    let there = NetNs::from_path(&other.path).unwrap();
    let db = Db::builder().netns(&there).open().unwrap();
    other.run(|| scene("link add far type veth peer name farther"));
    assert!(db.sync().unwrap().link("far").is_some());
    db.interface("far")
        .unwrap()
        .add_ip("192.0.2.1/24")
        .unwrap()
        .set_mtu(1400)
        .up()
        .commit()
        .unwrap();
    other.run(|| {
        let link = &crate::support::ip_json(&["address", "show", "dev", "far"])[0];
        assert_eq!(
            (link["mtu"].as_u64(), link["addr_info"][0]["local"].as_str()),
            (Some(1400), Some("192.0.2.1"))
        );
        quiesce_and_compare(&db)
    });
    // This thread is where it was.
    let ids = [before, NetNs::current().unwrap()];
    let same =
        ids.map(|ns| ns.run(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap());
    assert_eq!(same[0], same[1]);
    assert_eq!(same[0], std::fs::read_link("/proc/thread-self/ns/net").unwrap());
    assert!(Db::open().unwrap().snapshot().link("far").is_none());
}

fn a_namespace_lives_as_long_as_its_database() {
    need_kinds("ifb");
    let other = Elsewhere::new();
    let there = NetNs::from_path(&other.path).unwrap();
    let db = Db::builder().netns(&there).open().unwrap();
    other.run(|| scene("link add kept type ifb"));
    drop(other);
    drop(there);
    assert!(db.sync().unwrap().link("kept").is_some());
    assert!(db.resync().unwrap().link("kept").is_some());
    db.interface("kept").unwrap().up().commit().unwrap();
    assert!(db.sync().unwrap().link("kept").unwrap().is_up());
}

fn a_namespace_that_is_not_there_is_named_in_the_error() {
    let error = NetNs::named("no-such-namespace").unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
    let error = NetNs::of_pid(u32::MAX >> 1).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
    let error = NetNs::from_path("/proc/self/status").unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL), "{error}");
    assert!(error.to_string().contains("network namespace"), "{error}");
}

fn reading_needs_no_privilege_and_a_commit_says_which_one_is_missing() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n link set v0 up\n link set v1 up");
    scene("address add 10.0.0.1/24 dev v0");
    crate::support::namespaces::drop_capabilities();
    if ip_link_up_works() {
        skip("this thread keeps its privileges");
    }
    let db = Db::open().unwrap();
    let now = quiesce_and_compare(&db);
    let v0 = db.interface("v0").unwrap();
    let error = v0.set_mtu(1400).add_ip("10.0.0.2/24").unwrap().commit().unwrap_err();
    assert!(error.error().is_permission(), "{error}");
    assert_eq!(error.error().errno(), Some(libc::EPERM));
    let text = error.to_string();
    assert!(text.contains("CAP_NET_ADMIN") && text.contains("v0"), "{text}");
    let after = quiesce_and_compare(&db);
    assert!(now.diff(&after).is_empty());
    // The same of a creation.
    let mut tx = db.begin();
    tx.create(netlinkdb::Veth::new("v2", "v3")).unwrap();
    let error = tx.commit().unwrap_err();
    assert!(
        error.error().is_permission() && error.to_string().contains("CAP_NET_ADMIN"),
        "{error}"
    );
}

fn ip_link_up_works() -> bool {
    crate::support::iproute2::try_ip(&["link", "set", "lo", "up"]).status.success()
}

fn an_interface_is_found_by_name_altname_index_and_attribute() {
    need_kinds("veth bridge ifb");
    scene(
        "link add br0 type bridge
         link add v0 index 77 type veth peer name v1 index 78
         link property add dev v0 altname a-name-that-is-longer-than-fifteen altname second
         link set v0 master br0
         link set v1 mtu 1400 alias words
         link set v1 group 7
         link set v0 up
         link add ifb0 type ifb",
    );
    let db = Db::open().unwrap();
    for which in ["v0", "second", "a-name-that-is-longer-than-fifteen"] {
        assert_eq!(db.interface(which).unwrap().index(), 77, "{which}");
        assert_eq!(db.snapshot().link(which).unwrap().name(), "v0");
    }
    assert_eq!(db.interface(78).unwrap().name().unwrap(), "v1");
    let handle = db.interface(77).unwrap();
    assert_eq!(db.interface(&handle).unwrap(), handle);
    let now = db.snapshot();
    let lookup = |attribute, value| -> Vec<&str> {
        now.lookup(attribute, value).unwrap().map(Link::name).collect()
    };
    assert_eq!(lookup("info_kind", "veth"), ["v0", "v1"]);
    assert_eq!(lookup("info_kind", "bridge"), ["br0"]);
    assert_eq!(lookup("info_slave_kind", "bridge"), ["v0"]);
    assert_eq!(lookup("mtu", "1400"), ["v1"]);
    assert_eq!(lookup("ifalias", "words"), ["v1"]);
    assert_eq!(lookup("group", "7"), ["v1"]);
    assert_eq!(lookup("master", "br0"), ["v0"]);
    assert_eq!(lookup("altnames", "second"), ["v0"]);
    assert_eq!(lookup("ifindex", "77"), ["v0"]);
    assert_eq!(lookup("ifname", "ifb0"), ["ifb0"]);
    assert_eq!(lookup("flags", "UP"), ["v0"]);
    assert_eq!(lookup("flags", "LOOPBACK"), ["lo"]);
    // Not v0's: the bridge has taken that one.
    let mac = now.link("v1").unwrap().address().unwrap().to_string();
    assert_eq!(lookup("address", &mac), ["v1"]);
    assert_eq!(lookup("mtu", "1"), [""; 0]);
    assert_eq!(now.lookup("no_such", "1").err().unwrap().name, "no_such");
}

fn what_is_unknown_is_named_in_the_error() {
    let db = Db::open().unwrap();
    for (error, word) in [
        (db.interface("nosuch0").unwrap_err(), "nosuch0"),
        (db.interface(4711).unwrap_err(), "4711"),
        (db.refresh(["nosuch1"]).unwrap_err(), "nosuch1"),
    ] {
        assert!(error.is_not_found() && error.to_string().contains(word), "{error}");
    }
}

fn interfaces_come_in_the_order_of_their_indexes() {
    need_kinds("ifb");
    for index in [500, 20, 300, 40, 100_000] {
        scene(&format!("link add i{index} index {index} type ifb"));
    }
    let db = Db::open().unwrap();
    scene("link add i30 index 30 type ifb\n link set i20 name z20");
    let now = quiesce_and_compare(&db);
    let indexes: Vec<u32> = now.links().map(Link::index).collect();
    assert!(
        indexes.is_sorted() && indexes.ends_with(&[20, 30, 40, 300, 500, 100_000]),
        "{indexes:?}"
    );
    assert_eq!(db.interfaces().iter().map(Interface::index).collect::<Vec<_>>(), indexes);
    assert_eq!(now.link_count(), indexes.len());
}

fn addresses_of_an_interface_and_ports_of_a_master() {
    need_kinds("veth bridge");
    sysctl("ipv6.conf.default.accept_dad", 0);
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link set v2 master br0
         link set v0 master br0
         link set br0 up addrgenmode none
         address add fd00::2/64 dev br0
         address add 10.0.0.9/24 dev br0
         address add 10.0.0.1/24 dev br0
         address add fd00::1/64 dev br0
         address add 10.1.0.1 peer 10.1.0.2/30 dev v1",
    );
    let db = Db::open().unwrap();
    let now = quiesce_and_compare(&db);
    let br0 = db.interface("br0").unwrap();
    let text = |all: Vec<netlinkdb::Address>| all.iter().map(|a| a.prefix()).collect::<Vec<_>>();
    assert_eq!(text(br0.ipv4().unwrap()), ["10.0.0.9/24", "10.0.0.1/24"]);
    assert_eq!(text(br0.ipv6().unwrap()), ["fd00::1/64", "fd00::2/64"]);
    assert_eq!(br0.addresses().unwrap().len(), 4);
    assert_eq!(now.address_count(), 5);
    let v1 = db.interface("v1").unwrap();
    assert_eq!(text(v1.addresses().unwrap()), ["10.1.0.1 peer 10.1.0.2/30"]);
    assert!(v1.ipv6().unwrap().is_empty() && v1.ports().unwrap().is_empty());
    let ports =
        |i: &Interface| i.ports().unwrap().iter().map(|p| p.name().unwrap()).collect::<Vec<_>>();
    let mut expect: Vec<_> = ["v0", "v2"].map(|n| (db.interface(n).unwrap().index(), n)).into();
    expect.sort();
    assert_eq!(ports(&br0), expect.iter().map(|(_, name)| *name).collect::<Vec<_>>());
    let v0 = db.interface("v0").unwrap();
    assert_eq!(v0.master().unwrap(), Some(br0.clone()));
    assert!(v1.master().unwrap().is_none());
    assert_eq!(v0.link().unwrap().port_kind(), Some("bridge"));
    scene("link set v0 nomaster");
    quiesce_and_compare(&db);
    assert_eq!(ports(&br0), ["v2"]);
    assert!(v0.master().unwrap().is_none());
}

fn everything_prints_readably() {
    need_kinds("veth bridge");
    sysctl("ipv6.conf.default.accept_dad", 0);
    scene(
        "link add br0 index 50 address 02:00:00:00:00:50 type bridge
         link add v0 index 51 address 02:00:00:00:00:51 type veth peer name v1 index 52
         link set v0 master br0
         link set br0 addrgenmode none
         link set br0 up
         address add 10.0.0.1/24 brd + dev br0 label br0:x
         address add fd00::1/64 dev br0 nodad",
    );
    let db = Db::open().unwrap();
    let now = quiesce_and_compare(&db);
    let text = now.to_string();
    let line = |start: &str| {
        let found = text.lines().find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in\n{text}")).to_owned()
    };
    assert_eq!(
        line("51:"),
        "51: v0@v1: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop master br0 state DOWN group default qlen 1000 link/ether 02:00:00:00:00:51 veth"
    );
    assert!(line("50:").starts_with("50: br0: <"), "{text}");
    assert_eq!(line("inet 10"), "    inet 10.0.0.1/24 brd 10.0.0.255 scope global br0:x");
    assert_eq!(line("inet6 fd"), "    inet6 fd00::1/64 scope global nodad");
    assert_eq!(db.interface("v0").unwrap().to_string(), "v0");
    let debug = format!("{:?}", db.interface("v0").unwrap());
    assert!(debug.starts_with("Interface(v0, index 51, generation "), "{debug}");
    let debug = format!("{db:?}");
    assert!(
        debug.starts_with("Db {") && debug.contains("\"br0\"") && debug.len() < 1000,
        "{debug}"
    );
    let v0 = db.interface("v0").unwrap();
    scene("link del v0");
    db.sync().unwrap();
    assert_eq!(v0.to_string(), "if51 (gone)");
    assert!(v0.is_stale());
}

fn the_receive_buffer_wanted_and_the_one_had() {
    let had = |bytes| Db::builder().receive_buffer(bytes).open().unwrap().receive_buffer();
    assert_eq!(had(64 << 10), 128 << 10);
    assert_eq!(had(1 << 20), 2 << 20);
    // Beyond the limit, what the system gives.
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max");
    let limit: usize = limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let largest = had(512 << 20);
    assert!(largest == 2 * limit || largest == 1 << 30, "{largest}");
    // The smallest that the kernel gives still works.
    let db = Db::builder().receive_buffer(0).open().unwrap();
    scene("link set lo up");
    assert!(db.sync().unwrap().link("lo").unwrap().is_up());
    quiesce_and_compare(&db);
}

fn a_view_without_addresses() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n address add 10.0.0.1/24 dev v0");
    let db = Db::builder().addresses(false).open().unwrap();
    scene(
        "link set v0 up
         link set v1 up
         address add 10.0.0.2/24 dev v0
         link set v0 down
         link set v0 name w0
         link del w0",
    );
    scene("link add v0 type veth peer name v1\n address add 10.0.0.1/24 dev v0");
    let now = quiesce_and_compare_links(&db);
    assert_eq!(now.address_count(), 0);
    assert!(db.interface("v0").unwrap().addresses().unwrap().is_empty());
    let now = db.resync().unwrap();
    assert_eq!((now.address_count(), now.link("v1").is_some()), (0, true));
    quiesce_and_compare_links(&db);
}

fn a_snapshot_never_changes() {
    need_kinds("veth bridge");
    scene("link add v0 type veth peer name v1\n address add 10.0.0.1/24 dev v0");
    let db = Db::builder().routes(false).open().unwrap();
    let before = db.snapshot();
    let (text, revision) = (before.to_string(), before.revision());
    scene(
        "link add br0 type bridge
         link set v0 master br0
         link set v0 name w0
         address add 10.0.0.2/24 dev w0
         link set w0 up
         link del w0",
    );
    let after = quiesce_and_compare(&db);
    assert_eq!((before.to_string(), before.revision()), (text, revision));
    assert!(before.link("v0").is_some() && after.link("v0").is_none());
    assert!(after.revision() > revision);
    before.check();
    let v0 = db.interface("br0").unwrap();
    assert!(v0.link_in(&before).is_err() && v0.link_in(&after).is_ok());
    let mut diff: Vec<_> = before.diff(&after).changes().iter().map(|c| c.to_string()).collect();
    // Where bridges have VLANs, this one has the default one.
    diff.retain(|line| !line.starts_with("+ vlan 1 "));
    assert_eq!(diff.len(), 4, "{diff:#?}");
}

fn a_name_may_be_in_any_script() {
    need_kinds("ifb");
    let db = Db::open().unwrap();
    scene(
        "link add ༀ type ifb\n link property add dev ༀ altname имя-интерфейса\n address add 10.0.0.1/24 dev ༀ",
    );
    quiesce_and_compare(&db);
    // While it is down nobody hears of an alternative name.
    db.refresh(["ༀ"]).unwrap();
    let handle = db.interface("ༀ").unwrap();
    assert_eq!(handle, db.interface("имя-интерфейса").unwrap());
    assert_eq!(handle.addresses().unwrap()[0].label(), Some("ༀ"));
    assert!(db.snapshot().to_string().contains(": ༀ: <"));
    scene("link set ༀ name ༁༂");
    db.sync().unwrap();
    assert_eq!(handle.name().unwrap(), "༁༂");
    assert!(db.interface("ༀ").is_err());
    quiesce_and_compare(&db);
}

fn handles_are_equal_when_they_mean_the_same_interface() {
    need_kinds("ifb");
    scene("link add i0 index 90 type ifb");
    let db = Db::open().unwrap();
    let first = db.interface("i0").unwrap();
    assert_eq!(first, db.interface(90).unwrap());
    assert_eq!(first, first.clone());
    assert_ne!(first, db.interface("lo").unwrap());
    scene("link del i0\n link add i0 index 90 type ifb");
    db.wait_until(PATIENCE, |now| now.link("i0").is_some()).unwrap().unwrap();
    db.sync().unwrap();
    assert_ne!(first, db.interface("i0").unwrap());
    assert!(first.is_stale());
}

fn a_read_only_database_reads_all_the_same() {
    need_kinds("ifb");
    let db = Db::open().unwrap();
    let view = db.read_only();
    scene("link add i0 type ifb\n address add 10.0.0.1/24 dev i0");
    view.sync().unwrap();
    let i0: Interface<ReadOnly> = view.interface("i0").unwrap();
    assert_eq!(i0.addresses().unwrap().len(), 1);
    // It holds the database open.
    drop(db);
    scene("link set i0 up");
    assert!(view.sync().unwrap().link("i0").unwrap().is_up());
    assert_eq!(view.losses().resyncs, 1);
}
