//! The ancestor's own tests, each under its name: what it promised of interfaces, addresses and transactions holds
//! here too. tests/README.md has the whole list, with what comes later and what is different on purpose.
//!
//! `dummy` is an ifb or a veth here, which every kernel has that runs these tests.

use crate::scene::{agrees, open, refused, rolled_back, scene};
use crate::support::{ip_json, need_kind};
use ipnet::IpNet;
use netlinkdb::{
    Address, AddressFlags, AddressSpec, Bridge, BridgeOptions, BridgePortOptions, Db, Error,
    HardwareAddress, Ifb, Interface, LinkFlags, Macvlan, MacvlanMode, NewLink, Scope, Snapshot,
    Veth, Vxlan,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

crate::cases![
    dummy0_loaded,
    simple,
    empty_transaction,
    attr_same_value,
    idx_len,
    idx_set,
    idx_types,
    norm_addr_ipv6,
    addr_mask_ipv6,
    addr_ipv6zero,
    addr_attributes,
    addr_loaded,
    addr_ordering,
    reprs,
    review,
    global_review_interface,
    review_new,
    rename,
    wait_ip_exact,
    wait_ip_net,
    wait_ip_exact_fail,
    wait_ip_net_fail,
    wait_ipv6,
    updown,
    fail_ipaddr,
    ipaddr_views,
    ipv4_dummy,
    ipv4_bridge,
    ipv6_dummy,
    ipv6_bridge,
    create_ip_up,
    bridge_port_options,
    global_create,
    global_priorities,
    veth_peer_attrs,
    create_veth,
    create_macaddr,
    create_fail,
    create_dqn,
    create_double_reuse,
    create_double_dummy,
    create_double_bridge,
    create_plain,
    create_and_remove,
    dqn_mask,
    create_bridge,
    create_macvtap_vepa,
    create_macvtap_bridge,
    create_macvlan_vepa,
    create_macvlan_bridge,
    create_utf_name,
    create_vxlan,
    chain,
    global_only_interfaces,
    read_only_cm,
    context_manager,
    context_exception_in_code,
    ipaddr_format,
    bridge_vlans,
    bridge_vlans_self,
    modes,
    interface_dummy,
    interface_bridge,
];

/// A veth pair `v0` and `v1`, and a database that knows it.
fn pair() -> (Db, Interface) {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    (db, v0)
}

/// Commits one creation.
#[track_caller]
fn create(db: &Db, new: impl Into<NewLink>) -> Interface {
    let mut tx = db.begin();
    let new = tx.create(new).expect("a creation");
    tx.commit().expect("a commit").interface(&new).expect("the interface")
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|address| address.net().to_string()).collect()
}

fn mac(text: &str) -> HardwareAddress {
    text.parse().expect("a hardware address")
}

fn names(now: &Snapshot) -> Vec<&str> {
    now.links().map(|link| link.name()).collect()
}

/// Whether an address inside of the network is there within the time.
fn wait_ip(db: &Db, net: &str, within: Duration) -> bool {
    let net: IpNet = net.parse().expect("a network");
    match db.wait_ip(net, within) {
        Ok(address) => net.contains(&address.local()),
        Err(error) => !error.is_timeout(),
    }
}

/// Adds to an interface that is down and new, and finds the same in the database.
#[track_caller]
fn one_address(new: impl Into<NewLink>, address: &str) {
    let db = open();
    let new = create(&db, new);
    new.add_ip(address).expect("an address").commit().expect("a commit");
    assert_eq!(texts(&new.addresses().expect("the interface")), [address]);
    assert!(!new.link().expect("the interface").is_up());
    agrees(&db);
}

/// A name that is taken is refused before any commit.
#[track_caller]
fn create_double(new: impl Into<NewLink> + Clone) {
    let db = open();
    create(&db, new.clone());
    let error = db.begin().create(new).expect_err("a name that is taken");
    assert!(error.is_exists() && error.is_refused(), "{error}");
    agrees(&db);
}

fn dummy0_loaded() {
    let db = open();
    scene("link add dummy0 type ifb");
    db.sync().expect("a snapshot");
    let error = db.begin().create(Ifb::new("dummy0")).expect_err("a name that is taken");
    assert!(error.is_exists() && error.is_refused(), "{error}");
}

fn simple() {
    let db = open();
    assert!(db.snapshot().link_count() > 0 && !db.interfaces().is_empty());
}

fn empty_transaction() {
    let (db, v0) = pair();
    let before = db.snapshot();
    v0.with(|_| Ok(())).expect("a commit of nothing");
    db.begin().commit().expect("a commit of nothing");
    assert!(before.diff(&db.sync().expect("a snapshot")).is_empty());
}

fn attr_same_value() {
    let (_db, v0) = pair();
    let mtu = v0.link().expect("v0").mtu();
    v0.set_mtu(mtu).commit().expect("a commit of what is so already");
    assert_eq!(v0.link().expect("v0").mtu(), mtu);
}

fn idx_len() {
    let (db, _) = pair();
    let now = db.snapshot();
    let by_name = now.links().filter(|link| now.link_by_name(link.name()).is_some());
    let by_index = now.links().filter(|link| now.link_by_index(link.index()).is_some());
    assert_eq!((by_name.count(), by_index.count()), (3, 3));
}

fn idx_set() {
    let (db, _) = pair();
    for interface in db.interfaces() {
        let name = interface.name().expect("a name");
        assert_eq!(db.interface(name.as_str()).expect("by name"), interface);
        assert_eq!(db.interface(interface.index()).expect("by index"), interface);
    }
}

fn idx_types() {
    let db = open();
    let error = |which| db.interface(which).expect_err("no interface");
    assert_eq!(db.interface("lo").expect("a text").index(), 1);
    assert_eq!(db.interface(1u32).expect("a number").name().expect("lo"), "lo");
    assert!(error("1").is_not_found(), "a text is never an index");
}

fn norm_addr_ipv6() {
    let (_db, v0) = pair();
    v0.add_ip("0100:0100::1/64").expect("an address").up().commit().expect("a commit");
    assert!(texts(&v0.ipv6().expect("v0")).contains(&"100:100::1/64".to_owned()));
}

fn addr_mask_ipv6() {
    let (_db, v0) = pair();
    let spec = ("1001:1001:0:0::1", "ffff:ffff:ffff:ffff::");
    v0.add_ip(spec).expect("an address").commit().expect("a commit");
    assert_eq!(texts(&v0.ipv6().expect("v0")), ["1001:1001::1/64"]);
}

fn addr_ipv6zero() {
    let (_db, v0) = pair();
    v0.add_ip("0100::1/64").expect("an address").commit().expect("a commit");
    assert_eq!(texts(&v0.ipv6().expect("v0")), ["100::1/64"]);
}

fn addr_attributes() {
    let (db, v0) = pair();
    let v1 = db.interface("v1").expect("v1");
    let spec = |text: &str| text.parse::<AddressSpec>().expect("an address");
    let broadcast: Ipv4Addr = "172.16.103.128".parse().expect("an address");
    let mut tx = db.begin();
    tx.interface(&v0).add_ip(spec("172.16.102.1/24").scope(Scope::HOST)).expect("an address");
    tx.interface(&v1).add_ip(spec("172.16.103.1/24").broadcast(broadcast)).expect("an address");
    tx.commit().expect("a commit");
    let (first, second) = (&v0.ipv4().expect("v0")[0], &v1.ipv4().expect("v1")[0]);
    assert_eq!((first.scope(), first.broadcast()), (Scope::HOST, None));
    assert_eq!((second.scope(), second.broadcast()), (Scope::GLOBAL, Some(broadcast.into())));
    assert!(first.flags().contains(AddressFlags::PERMANENT));
    agrees(&db);
}

fn addr_loaded() {
    scene("link add v0 type veth peer name v1\n link set lo up\n addr add 10.0.0.1/24 dev v0");
    scene("addr add 10.0.0.2/24 dev v0\n addr add fd00::1/64 dev v1 nodad");
    let db = open();
    for link in ip_json(&["addr", "show"]).as_array().expect("a list") {
        let index = link["ifindex"].as_u64().expect("an index") as u32;
        let theirs = link["addr_info"].as_array().map_or(0, Vec::len);
        assert_eq!(db.snapshot().addresses_of(index).len(), theirs, "{link}");
    }
}

fn addr_ordering() {
    let (db, v0) = pair();
    let mut tx = v0.begin();
    for net in 1..=5 {
        for host in 1..=3 {
            for mask in [24, 25] {
                tx = tx.add_ip(format!("172.16.{net}.{host}/{mask}")).expect("an address");
            }
        }
    }
    tx.commit().expect("a commit");
    db.resync().expect("a snapshot");
    let secondary: Vec<_> = v0.ipv4().expect("v0").iter().map(Address::is_secondary).collect();
    assert_eq!(secondary, [vec![false; 10], vec![true; 20]].concat());
    let theirs = ip_json(&["-4", "addr", "show", "dev", "v0"]);
    let theirs = theirs[0]["addr_info"].as_array().expect("a list");
    let theirs: Vec<_> =
        theirs.iter().map(|a| format!("{}/{}", a["local"], a["prefixlen"])).collect();
    let theirs: Vec<_> = theirs.iter().map(|text| text.replace('"', "")).collect();
    assert_eq!(texts(&v0.ipv4().expect("v0")), theirs);
}

fn reprs() {
    let db = open();
    scene("link set lo up");
    db.wait_until(PATIENCE, |now| now.address_count() > 0).expect("a state").expect("an address");
    let lo = db.interface("lo").expect("lo");
    assert_eq!(lo.to_string(), "lo");
    assert!(format!("{lo:?}").contains("lo") && format!("{db:?}").contains("Db"));
    assert!(lo.link().expect("lo").to_string().contains("lo"));
    assert!(lo.addresses().expect("lo")[0].to_string().contains("127.0.0.1/8"));
}

/// Six sets of differences, of which one has one member.
fn review() {
    let (_db, v0) = pair();
    assert!(v0.begin().review().is_empty());
    let tx = v0.add_ip("172.16.21.1/24").expect("an address");
    let lines: Vec<_> = tx.review().lines().iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["+ address 172.16.21.1/24"]);
    drop(tx);
    assert!(v0.begin().review().is_empty() && v0.addresses().expect("v0").is_empty());
}

fn global_review_interface() {
    let (db, v0) = pair();
    let mut tx = db.begin();
    tx.interface(&v0).add_ip("172.16.21.1/24").expect("an address");
    let review = tx.review();
    let lines: Vec<_> = review.lines().iter().map(|line| format!("{} {line}", line.on)).collect();
    assert_eq!(lines, ["v0 + address 172.16.21.1/24"]);
    drop(tx);
    assert!(db.begin().review().is_empty());
}

/// The ancestor shows a port as `+ports` of its master; here it is the port that changes, as for the kernel.
fn review_new() {
    let (db, _) = pair();
    let mut tx = db.begin();
    let new = tx.create(Bridge::new("bala")).expect("a bridge");
    let mut bala = tx.interface(&new);
    bala.add_ip("172.16.21.1/24").expect("an address");
    bala.add_ip("172.16.21.2/24").expect("an address").add_port("v0").expect("a port");
    let review = tx.review();
    let lines: Vec<_> = review.lines().iter().map(|line| format!("{} {line}", line.on)).collect();
    let wanted = [
        "bala + interface, bridge",
        "v0 ~ master none -> bala",
        "bala + address 172.16.21.1/24",
        "bala + address 172.16.21.2/24",
    ];
    assert_eq!(lines, wanted);
    drop(tx);
    assert!(db.sync().expect("a snapshot").link_by_name("bala").is_none());
}

fn rename() {
    let (db, v0) = pair();
    for (from, to) in [("v0", "bala"), ("bala", "v0")] {
        v0.set_name(to).expect("a name").commit().expect("a commit");
        assert_eq!(db.interface(to).expect("the new name"), v0);
        assert!(db.interface(from).expect_err("the old name").is_not_found());
    }
    agrees(&db);
}

/// Long enough for any kernel that this runs on.
const PATIENCE: Duration = Duration::from_secs(10);
/// The ancestor waited for 2 s in vain.
const VAIN: Duration = Duration::from_millis(100);

fn wait_ip_exact() {
    let db = open();
    scene("link set lo up");
    assert!(wait_ip(&db, "127.0.0.1/32", PATIENCE));
}

fn wait_ip_net() {
    let db = open();
    scene("link set lo up");
    assert!(wait_ip(&db, "127.0.0.0/8", PATIENCE));
}

fn wait_ip_exact_fail() {
    let db = open();
    scene("link set lo up");
    assert!(!wait_ip(&db, "1.1.1.1/32", VAIN));
}

fn wait_ip_net_fail() {
    let db = open();
    scene("link set lo up");
    assert!(!wait_ip(&db, "172.6.0.0/24", VAIN));
}

fn wait_ipv6() {
    let (db, v0) = pair();
    v0.add_ip("2001:21:21:21::1/64").expect("an address").up().commit().expect("a commit");
    assert!(wait_ip(&db, "2001:21:21:21::/64", PATIENCE));
    assert!(!wait_ip(&db, "2001:22:22:22::/64", VAIN));
}

fn updown() {
    let (db, v0) = pair();
    let is_up = || v0.link().expect("v0").flags().contains(LinkFlags::UP);
    v0.up().commit().expect("a commit");
    assert!(is_up());
    v0.down().commit().expect("a commit");
    assert!(!is_up());
    agrees(&db);
}

fn fail_ipaddr() {
    let (db, v0) = pair();
    let error = v0.add_ip("123.456.789.1024/153").expect_err("no address");
    assert!(error.is_refused() && error.to_string().contains("123.456.789.1024"), "{error}");
    assert!(v0.addresses().expect("v0").is_empty());
    v0.remove().commit().expect("a removal");
    assert_eq!(names(&db.snapshot()), ["lo"]);
}

fn ipaddr_views() {
    let (_db, v0) = pair();
    let tx = v0.add_ip("172.16.40.1/24").and_then(|tx| tx.add_ip("fd00::1/64"));
    tx.expect("addresses").commit().expect("a commit");
    let (four, six) = (v0.ipv4().expect("v0"), v0.ipv6().expect("v0"));
    assert_eq!(
        (texts(&four), texts(&six)),
        (vec!["172.16.40.1/24".into()], vec!["fd00::1/64".into()])
    );
    assert_eq!(v0.addresses().expect("v0").len(), four.len() + six.len());
}

fn ipv4_dummy() {
    one_address(Ifb::new("i0"), "172.16.0.1/24");
}

fn ipv4_bridge() {
    one_address(Bridge::new("b0"), "172.16.0.1/24");
}

fn ipv6_dummy() {
    one_address(Ifb::new("i0"), "fd00:1::1/64");
}

fn ipv6_bridge() {
    one_address(Bridge::new("b0"), "fd00:1::1/64");
}

fn create_ip_up() {
    let db = open();
    let mut tx = db.begin();
    let new = tx.create(Ifb::new("i0")).expect("an ifb");
    tx.interface(&new).up().add_ip("172.16.0.1/24").expect("an address");
    let i0 = tx.commit().expect("a commit").interface(&new).expect("i0");
    assert!(i0.link().expect("i0").is_up());
    assert_eq!(texts(&i0.ipv4().expect("i0")), ["172.16.0.1/24"]);
    agrees(&db);
}

fn bridge_port_options() {
    let (db, v0) = pair();
    let b0 = create(&db, Bridge::new("b0"));
    let mut tx = db.begin();
    tx.interface(&b0).add_port(&v0).expect("a port");
    tx.interface(&v0)
        .bridge_port(BridgePortOptions::new().flood(false).cost(500u32))
        .expect("options");
    tx.commit().expect("a commit");
    let link = v0.link().expect("v0");
    let port = link.bridge_port().expect("a port");
    assert_eq!((port.flood(), port.cost()), (Some(false), Some(500)));
    assert_eq!(v0.master().expect("v0"), Some(b0));
    agrees(&db);
}

fn global_create() {
    let db = open();
    let mut tx = db.begin();
    tx.create(Ifb::new("i0")).expect("an ifb");
    tx.create(Bridge::new("b0")).expect("a bridge");
    tx.commit().expect("a commit");
    assert_eq!(names(&db.snapshot()), ["lo", "i0", "b0"]);
}

/// The ancestor left `b` and `c` in its database as things to be created. Here they stay where they were named: in
/// the transaction, which is mended and committed.
fn global_priorities() {
    let (db, v0) = pair();
    let before = v0.link().expect("v0").address();
    let mut tx = db.begin();
    tx.create(Ifb::new("b")).expect("an ifb");
    tx.interface(&v0).set_address(mac("01:00:00:00:00:11"));
    tx.create(Ifb::new("c")).expect("an ifb");
    let error = rolled_back(tx.commit());
    assert_eq!(names(&db.snapshot()), ["lo", "v1", "v0"]);
    assert_eq!(v0.link().expect("v0").address(), before);
    let mut tx = error.into_transaction();
    tx.interface(&v0).set_address(mac("02:00:00:00:00:11"));
    tx.commit().expect("the mended transaction");
    assert_eq!(db.snapshot().link_count(), 5);
    agrees(&db);
}

/// The peer's namespace comes with `namespaces`.
fn veth_peer_attrs() {
    let db = open();
    let (own, peers) = (mac("06:00:00:00:02:01"), mac("06:00:00:00:02:02"));
    let v0 = create(&db, Veth::new("v0", "v1").address(own).peer_address(peers));
    let v1 = db.interface("v1").expect("v1");
    assert_eq!(v0.link().expect("v0").address(), Some(own));
    assert_eq!(v1.link().expect("v1").address(), Some(peers));
    agrees(&db);
}

fn create_veth() {
    let db = open();
    let mut tx = db.begin();
    let new = tx.create(Veth::new("v0", "v1")).expect("a pair");
    let done = tx.commit().expect("a commit");
    let peer = done.interface(&new.peer().expect("a peer")).expect("v1");
    assert_eq!(peer, db.interface("v1").expect("v1"));
    assert_eq!(peer.link().expect("v1").link(), Some(done.interface(&new).expect("v0").index()));
}

fn create_macaddr() {
    let db = open();
    for (number, text) in
        ["06:00:00:00:ab:0c", "06:00:00:00:AB:1C", "06:00:00:00:aB:2c"].into_iter().enumerate()
    {
        let new = Veth::new(&format!("v{number}"), &format!("w{number}")).address(mac(text));
        let link = create(&db, new).link().expect("the interface");
        assert_eq!(link.address().expect("an address").to_string(), text.to_lowercase());
    }
    agrees(&db);
}

/// The ancestor kept the interface that could not be created among those that are there.
fn create_fail() {
    let db = open();
    let mut tx = db.begin();
    tx.create(NewLink::with_kind("bala", "fail")).expect("a kind that the kernel may know");
    let error = rolled_back(tx.commit());
    assert!(error.to_string().contains("bala"), "{error}");
    assert!(db.sync().expect("a snapshot").link_by_name("bala").is_none());
    let mut tx = error.into_transaction();
    tx.remove("bala").expect("what it was to create");
    tx.commit().expect("a commit of nothing");
    assert_eq!(names(&db.snapshot()), ["lo"]);
}

fn create_dqn() {
    let db = open();
    let i0 = create(&db, Ifb::new("i0"));
    i0.add_ip("172.16.0.1/255.255.255.0").expect("an address").commit().expect("a commit");
    assert_eq!(texts(&i0.ipv4().expect("i0")), ["172.16.0.1/24"]);
}

/// Instead of `reuse`: a handle on what is there.
fn create_double_reuse() {
    let db = open();
    let i0 = create(&db, Ifb::new("i0"));
    assert!(db.begin().create(Ifb::new("i0")).expect_err("a name that is taken").is_exists());
    assert_eq!(db.interface("i0").expect("what is there"), i0);
    let mut tx = db.begin();
    tx.create(Ifb::new("i1")).expect("an ifb");
    assert!(tx.create(Ifb::new("i1")).expect_err("a name that is taken").is_exists());
}

fn create_double_dummy() {
    create_double(Ifb::new("i0"));
}

fn create_double_bridge() {
    create_double(Bridge::new("b0"));
}

fn create_plain() {
    let db = open();
    let mut tx = db.begin();
    let new = tx.create(Ifb::new("i0")).expect("an ifb");
    tx.interface(&new).add_ip("172.16.0.1/24").expect("an address");
    let i0 = tx.commit().expect("a commit").interface(&new).expect("i0");
    assert_eq!(texts(&i0.ipv4().expect("i0")), ["172.16.0.1/24"]);
    let theirs = ip_json(&["addr", "show", "dev", "i0"]);
    assert_eq!(theirs[0]["addr_info"][0]["local"], "172.16.0.1");
}

fn create_and_remove() {
    let db = open();
    let i0 = create(&db, Ifb::new("i0"));
    i0.add_ip("172.16.0.1/24").expect("an address").commit().expect("a commit");
    i0.remove().commit().expect("a removal");
    assert!(i0.is_stale());
    assert_eq!((db.snapshot().link_count(), db.snapshot().address_count()), (1, 0));
    agrees(&db);
}

fn dqn_mask() {
    let (_db, v0) = pair();
    let tx = v0.add_ip("172.16.0.1/24").expect("a length");
    let tx = tx.add_ip("172.16.0.2/255.255.255.0").expect("a mask");
    let tx = tx.add_ip(("172.16.0.3", 24)).expect("a pair");
    let tx = tx.add_ip(("172.16.0.4", "255.255.255.0")).expect("a pair with a mask");
    tx.commit().expect("a commit");
    let wanted: Vec<_> = (1..=4).map(|host| format!("172.16.0.{host}/24")).collect();
    assert_eq!(texts(&v0.ipv4().expect("v0")), wanted);
}

fn create_bridge() {
    let db = open();
    let mut tx = db.begin();
    let new = tx.create(Bridge::new("b0")).expect("a bridge");
    let first = tx.create(Veth::new("v0", "v1")).expect("a pair");
    tx.create(Veth::new("w0", "w1")).expect("a pair");
    tx.interface(&new)
        .add_port(&first)
        .expect("a port")
        .add_ip("172.16.0.1/24")
        .expect("an address");
    let b0 = tx.commit().expect("a commit").interface(&new).expect("b0");
    let tx = b0.add_port("w0").and_then(|tx| tx.add_ip("172.16.0.2/24"));
    tx.expect("a port and an address").commit().expect("a second commit");
    assert_eq!((b0.ports().expect("b0").len(), b0.ipv4().expect("b0").len()), (2, 2));
    agrees(&db);
    let mut tx = db.begin();
    ["b0", "v0", "w0"].into_iter().for_each(|name| tx.remove(name).expect("an interface"));
    tx.commit().expect("a removal");
    assert_eq!(names(&db.snapshot()), ["lo"]);
}

/// Options can be given as bytes, also of a kind that has a table here; iproute2 reads them.
fn create_macvtap(mode: u8, name: &str) {
    need_kind("macvtap");
    let (db, v0) = pair();
    let (length, attribute, mode) = (8u16, 1u16, u32::from(mode));
    #[allow(clippy::host_endian_bytes)] // The kernel's own byte order.
    let mode = [&length.to_ne_bytes()[..], &attribute.to_ne_bytes(), &mode.to_ne_bytes()].concat();
    let m0 = create(&db, NewLink::with_kind("m0", "macvtap").dev(&v0).raw_data(&mode));
    let second = Db::open().expect("a second database").interface("m0").expect("m0");
    let link = second.link().expect("m0");
    assert_eq!(
        (link.index(), link.kind(), link.link()),
        (m0.index(), Some("macvtap"), Some(v0.index()))
    );
    let theirs = ip_json(&["link", "show", "dev", "m0"]);
    assert_eq!(theirs[0]["linkinfo"]["info_data"]["mode"], name);
}

fn create_macvtap_vepa() {
    create_macvtap(2, "vepa");
}

fn create_macvtap_bridge() {
    create_macvtap(4, "bridge");
}

fn create_macvlan(mode: MacvlanMode) {
    let (db, v0) = pair();
    create(&db, Macvlan::new("m0", &v0).mode(mode));
    let second = Db::open().expect("a second database").interface("m0").expect("m0");
    let link = second.link().expect("m0");
    assert_eq!((link.kind(), link.link()), (Some("macvlan"), Some(v0.index())));
    assert_eq!(link.macvlan().and_then(|macvlan| macvlan.mode()), Some(mode));
    agrees(&db);
}

fn create_macvlan_vepa() {
    create_macvlan(MacvlanMode::VEPA);
}

fn create_macvlan_bridge() {
    create_macvlan(MacvlanMode::BRIDGE);
}

fn create_utf_name() {
    let db = open();
    let new = create(&db, Ifb::new("ༀ"));
    new.add_ip("172.16.0.1/24").expect("an address").up().commit().expect("a commit");
    assert_eq!(db.interface("ༀ").expect("its name"), new);
    assert_eq!(texts(&new.ipv4().expect("its addresses")), ["172.16.0.1/24"]);
    agrees(&db);
}

fn create_vxlan() {
    let (db, v0) = pair();
    let group: IpAddr = "239.1.1.1".parse().expect("an address");
    create(&db, Vxlan::new("x0", 101).dev(&v0).remote(group));
    let second = Db::open().expect("a second database").interface("x0").expect("x0");
    let link = second.link().expect("x0");
    let vxlan = link.vxlan().expect("a vxlan");
    assert_eq!(
        (vxlan.id(), vxlan.remote(), vxlan.link()),
        (Some(101), Some(group), Some(v0.index()))
    );
    agrees(&db);
}

fn chain() {
    let db = open();
    let i0 = create(&db, Ifb::new("i0"));
    i0.up().commit().expect("a commit");
    i0.add_ip("172.16.0.1/24").expect("an address").down().commit().expect("a commit");
    assert_eq!(texts(&i0.ipv4().expect("i0")), ["172.16.0.1/24"]);
    assert!(!i0.link().expect("i0").is_up());
    i0.remove().commit().expect("a removal");
    assert_eq!(names(&db.snapshot()), ["lo"]);
}

fn global_only_interfaces() {
    let db = Db::builder().addresses(false).routes(false).open().expect("a database");
    let mut tx = db.begin();
    tx.create(Ifb::new("i0")).expect("an ifb");
    tx.commit().expect("a commit");
    assert_eq!(names(&db.snapshot()), ["lo", "i0"]);
}

/// That it cannot edit is told by the compiler.
fn read_only_cm() {
    let lo = open().read_only().interface("lo").expect("lo");
    assert_eq!(lo.index(), 1);
    assert!(lo.addresses().expect("lo").is_empty());
}

fn context_manager() {
    let index = {
        let db = open();
        db.interface("lo").expect("lo").index()
    };
    assert_eq!(index, 1);
}

/// The ancestor kept the transaction open, for the next commit to find.
fn context_exception_in_code() {
    let (db, v0) = pair();
    let ended = v0.with(|tx| {
        tx.set_mtu(1400).add_ip("172.16.0.1/24")?;
        Err(Error::other("the caller's own"))
    });
    let error = ended.expect_err("the caller's error");
    assert!(error.to_string().contains("the caller's own"), "{error}");
    v0.set_txqlen(7).commit().expect("the next commit");
    assert_eq!((v0.link().expect("v0").mtu(), v0.addresses().expect("v0").len()), (1500, 0));
    agrees(&db);
}

fn ipaddr_format() {
    let (_db, v0) = pair();
    v0.add_ip("172.16.0.1/24").expect("an address").commit().expect("a commit");
    let address = &v0.ipv4().expect("v0")[0];
    let local: IpAddr = "172.16.0.1".parse().expect("an address");
    assert_eq!((address.local(), address.prefix_length()), (local, 24));
}

/// A port has VLAN 1 by itself; 3 comes, 1 goes; leaving the bridge clears all.
fn bridge_vlans() {
    crate::bridge_vlans::need_vlans();
    let (db, v0) = pair();
    let mut tx = db.begin();
    let new = tx.create(Bridge::new("b0").vlan_filtering(true)).expect("a bridge");
    tx.interface(&new).add_port("v0").expect("a port");
    let b0 = tx.commit().expect("a commit").interface(&new).expect("b0");
    let vlans = || -> Vec<u16> {
        db.sync().expect("a snapshot").vlans_of(v0.index()).map(|vlan| vlan.vid()).collect()
    };
    assert_eq!(vlans(), [1]);
    v0.add_vlan(3).and_then(|tx| tx.del_vlan(1)).expect("VLANs").commit().expect("a commit");
    assert_eq!(vlans(), [3]);
    b0.del_port("v0").expect("a port").commit().expect("a commit");
    assert_eq!(vlans(), [0; 0]);
    agrees(&db);
}

fn bridge_vlans_self() {
    crate::bridge_vlans::need_vlans();
    let (db, v0) = pair();
    let mut tx = db.begin();
    let new = tx.create(Bridge::new("b0").vlan_filtering(true)).expect("a bridge");
    tx.interface(&new).add_port("v0").expect("a port").set_vlans([303, 305]).expect("VLANs");
    tx.interface("v0").set_vlans([302, 304]).expect("VLANs");
    let b0 = tx.commit().expect("a commit").interface(&new).expect("b0");
    let vlans = |index| -> Vec<u16> {
        db.sync().expect("a snapshot").vlans_of(index).map(|vlan| vlan.vid()).collect()
    };
    assert_eq!((vlans(v0.index()), vlans(b0.index())), (vec![302, 304], vec![303, 305]));
    agrees(&db);
}

fn modes() {
    let (_implicit, v0) = pair();
    v0.set_mtu(1400).commit().expect("an edit begins a transaction");
    let explicit = Db::builder().explicit().open().expect("a database");
    let v0 = explicit.interface("v0").expect("v0");
    refused(v0.set_mtu(1500).commit());
    v0.begin().set_mtu(1500).commit().expect("a transaction that was begun");
    assert_eq!(v0.link().expect("v0").mtu(), 1500);
}

fn interface_dummy() {
    let db = open();
    let other = Db::open().expect("a second database");
    let i0 = create(&db, Ifb::new("i0"));
    i0.up().add_ip("172.16.0.1/24").expect("an address").commit().expect("a commit");
    let seen = other.sync().expect("a snapshot");
    assert!(seen.link_by_name("i0").is_some_and(|link| link.is_up()) && seen.address_count() > 0);
    i0.del_ip("172.16.0.1/24").expect("an address").commit().expect("a commit");
    let left = other.sync().expect("a snapshot");
    assert!(left.addresses().all(|address| address.local().is_ipv6()));
}

fn interface_bridge() {
    let db = open();
    let other = Db::open().expect("a second database");
    let own = mac("00:11:22:33:44:55");
    let mut tx = db.begin();
    let new = tx.create(Bridge::new("b0").address(own)).expect("a bridge");
    let options = BridgeOptions::new().stp_state(true).forward_delay(1000u32);
    tx.interface(&new).bridge(options).expect("options").up();
    tx.commit().expect("a commit");
    let seen = other.sync().expect("a snapshot");
    let link = seen.link_by_name("b0").expect("b0");
    let bridge = link.bridge().expect("a bridge");
    assert_eq!((link.address(), link.is_up()), (Some(own), true));
    assert_eq!((bridge.stp_state(), bridge.forward_delay()), (Some(true), Some(1000)));
    agrees(&db);
}
