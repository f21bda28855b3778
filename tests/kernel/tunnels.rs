//! Tunnels and other kinds that come with options of their own: read, created, changed, taken back. The kernel of most
//! machines lacks some of them: which were tried is printed.

use crate::export::{is_so, json, load, on, tree};
use crate::scene::{agrees, before, exactly_as_before, rolled_back};
use crate::support::{ip, kind_available, need_kinds, scene, skip};
use netlinkdb::internals::object::link::row;
use netlinkdb::internals::object::{Record, Role, Value};
use netlinkdb::{
    Bareudp, Db, Erspan, ErspanDirection, Geneve, GeneveDf, GeneveOptions, Gre, GreOptions, Gretap,
    Ip6TunnelProtocol, Ip6erspan, Ip6gre, Ip6gretap, Ip6tnl, Ip6tnlOptions, Ipip, IpipOptions,
    Macsec, MacsecOptions, MacsecValidation, Netkit, NetkitMode, NetkitOptions, NetkitPolicy,
    NewLink, Selection, Sit, Snapshot, Transaction, Tun, TunnelProtocol, Veth, Vti, Vti6,
    VtiOptions, Wireguard, Xfrm, XfrmOptions,
};
use std::net::{Ipv4Addr, Ipv6Addr};

crate::cases![
    every_kind_is_created_with_what_was_said,
    every_kind_reads_as_iproute2_prints_it,
    a_change_of_one_option_leaves_the_others,
    a_change_that_is_taken_back_leaves_nothing,
    what_is_removed_comes_back_with_its_options,
    a_tunnel_stays_when_what_is_below_it_goes,
    what_the_kernel_would_refuse_is_said_before,
    tun_and_tap_are_created_and_taken_back,
    a_time_to_live_ends_inheriting_it,
    a_replay_window_goes_and_comes_with_its_protection,
    tunnels_that_were_exported_are_loaded_again,
];

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn six(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)
}

/// One of each kind with as much said as can be said together, above `v0`. Those that this kernel has.
fn samples() -> Vec<NewLink> {
    let all: Vec<NewLink> = vec![
        Gre::new("gre1")
            .dev("v0")
            .local(LOCAL)
            .remote(REMOTE)
            .ttl(64u8)
            .tos(16u8)
            .ikey(1u32)
            .okey(2u32)
            .iseq(true)
            .ocsum(true)
            .fwmark(32u32)
            .into(),
        Gre::new("gre2").local(LOCAL).pmtudisc(false).ignore_df(true).into(),
        Gre::new("gre3").external(true).into(),
        Gretap::new("gretap1").local(LOCAL).remote(REMOTE).ttl(5u8).key(7).into(),
        Gretap::new("gretap2").local(LOCAL).key(8).into(),
        Erspan::new("erspan1")
            .local(LOCAL)
            .remote(REMOTE)
            .key(100)
            .iseq(true)
            .oseq(true)
            .erspan_ver(1u8)
            .erspan_index(123u32)
            .into(),
        Erspan::new("erspan2")
            .local(LOCAL)
            .remote(REMOTE)
            .key(101)
            .iseq(true)
            .oseq(true)
            .erspan_ver(2u8)
            .erspan_dir(ErspanDirection::EGRESS)
            .erspan_hwid(17u16)
            .into(),
        Ip6gre::new("ip6gre1")
            .dev("v0")
            .local(six(1))
            .remote(six(2))
            .ttl(64u8)
            .encap_limit(3u8)
            .tclass(0x20u32)
            .flowlabel(0x12345u32)
            .key(9)
            .icsum(true)
            .fwmark(7u32)
            .into(),
        Ip6gre::new("ip6gre2")
            .local(six(1))
            .remote(six(3))
            .ign_encap_limit(true)
            .use_orig_tclass(true)
            .use_orig_flowlabel(true)
            .rcv_dscp_copy(true)
            .use_orig_fwmark(true)
            .into(),
        Ip6gretap::new("ip6gretap1").local(six(1)).remote(six(2)).ttl(4u8).key(7).into(),
        Ip6erspan::new("ip6erspan1")
            .local(six(1))
            .remote(six(2))
            .ttl(9u8)
            .key(100)
            .iseq(true)
            .oseq(true)
            .erspan_ver(2u8)
            .erspan_dir(ErspanDirection::INGRESS)
            .erspan_hwid(7u16)
            .into(),
        Ipip::new("ipip1")
            .dev("v0")
            .local(LOCAL)
            .remote(REMOTE)
            .ttl(5u8)
            .tos(16u8)
            .proto(TunnelProtocol::ANY)
            .fwmark(5u32)
            .into(),
        Ipip::new("ipip2").local(LOCAL).pmtudisc(false).into(),
        Sit::new("sit1")
            .local(LOCAL)
            .remote(REMOTE)
            .ttl(64u8)
            .proto(TunnelProtocol::ANY)
            .sixrd(
                "2001:db8::/32".parse().expect("a prefix"),
                "10.0.0.0/8".parse().expect("a prefix"),
            )
            .into(),
        Sit::new("sit2").local(LOCAL).proto(TunnelProtocol::ANY).isatap(true).into(),
        Ip6tnl::new("ip6tnl1")
            .dev("v0")
            .local(six(1))
            .remote(six(2))
            .ttl(33u8)
            .proto(Ip6TunnelProtocol::ANY)
            .encap_limit(2u8)
            .tclass(0x10u32)
            .flowlabel(0x54321u32)
            .fwmark(9u32)
            .into(),
        Ip6tnl::new("ip6tnl2")
            .local(six(1))
            .remote(six(3))
            .proto(Ip6TunnelProtocol::IPIP6)
            .ign_encap_limit(true)
            .allow_local_remote(true)
            .into(),
        Vti::new("vti1").local(LOCAL).remote(REMOTE).ikey(5u32).okey(6u32).fwmark(7u32).into(),
        Vti6::new("vti61").local(six(1)).remote(six(2)).ikey(5u32).okey(6u32).fwmark(7u32).into(),
        Geneve::new("geneve1", 42)
            .remote(REMOTE)
            .ttl(5u8)
            .tos(16u8)
            .df(GeneveDf::SET)
            .port(6082u16)
            .udp_csum(false)
            .into(),
        Geneve::new("geneve2", 16_777_215)
            .remote(six(2))
            .ttl_inherit(true)
            .label(0x12345u32)
            .df(GeneveDf::INHERIT)
            .udp_zero_csum6_tx(true)
            .udp_zero_csum6_rx(true)
            .into(),
        Xfrm::new("xfrm1", 0x42).dev("v0").into(),
        Bareudp::new("bareudp1", 6635, 0x8847).srcport_min(40_000u16).multiproto(true).into(),
        Wireguard::new("wireguard1").into(),
        Macsec::new("macsec1", "v1").encrypt(true).replay_protect(true).window(77u32).into(),
        Netkit::new("netkit1", "netkit2")
            .mode(NetkitMode::L2)
            .policy(NetkitPolicy::BLACKHOLE)
            .into(),
    ];
    let (there, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|new| kind_available(new.kind()));
    for new in missing {
        eprintln!("skipped: this kernel has no {}", new.kind());
    }
    there
}

/// A database in a namespace with `v0` and `v1`, and the samples in it.
fn with_samples() -> (Db, Vec<String>) {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n link set v1 up");
    let samples = samples();
    if samples.is_empty() {
        skip("this kernel has none of the kinds");
    }
    let db = Db::open().expect("a database");
    let names = samples.iter().map(|new| new.name().to_owned()).collect();
    let mut tx = db.begin();
    for new in samples {
        let name = new.name().to_owned();
        tx.create(new).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    tx.commit().expect("a commit");
    (db, names)
}

fn options(now: &Snapshot, name: &str) -> Record {
    let link = now.link_by_name(name).unwrap_or_else(|| panic!("{name}"));
    match link.record().value(row::DATA) {
        Some(Value::Nested(options)) => (**options).clone(),
        _ => Record::new(&netlinkdb::internals::object::kinds::VETH),
    }
}

fn every_kind_is_created_with_what_was_said() {
    // The commit has verified what was said; this is what else is so.
    let (db, names) = with_samples();
    agrees(&db);
    eprintln!("created: {}", names.join(" "));
    db.resync().expect("a snapshot");
    agrees(&db);
}

fn every_kind_reads_as_iproute2_prints_it() {
    need_kinds("veth");
    scene("link add v0 type veth peer name v1\n link set v1 up");
    let lines = "gre0x type gre remote 10.0.0.2|gre1 type gre external|gre2 type gre local 10.0.0.1 nopmtudisc ignore-df|
        gretap1 type gretap local 10.0.0.1 remote 10.0.0.2 tos inherit key 1.2.3.4 seq csum|
        erspan1 type erspan seq key 100 local 10.0.0.1 remote 10.0.0.2 erspan_ver 1 erspan 123|
        erspan2 type erspan seq key 100 local 10.0.0.1 remote 10.0.0.3 erspan_ver 2 erspan_dir egress erspan_hwid 17|
        ip6gre1 type ip6gre local fd00::1 remote fd00::2 hoplimit 64 encaplimit 3 tclass 0x20 flowlabel 0x12345 ikey 1 okey 2 icsum oseq fwmark 7 dev v0|
        ip6gre2 type ip6gre external|ip6gretap1 type ip6gretap local fd00::1 remote fd00::2 key 7 hoplimit 0|
        ip6erspan1 type ip6erspan seq key 100 local fd00::1 remote fd00::2 erspan_ver 1 erspan 123|
        ipip1 type ipip local 10.0.0.1 remote 10.0.0.2 ttl 5 mode any dev v0 fwmark 5|ipip2 type ipip external|
        sit1 type sit local 10.0.0.1 remote 10.0.0.2 mode any 6rd-prefix 2001:db8::/32 6rd-relay_prefix 10.0.0.0/8|
        sit2 type sit local 10.0.0.1 isatap|ip6tnl1 type ip6tnl mode any local fd00::1 remote fd00::2|ip6tnl2 type ip6tnl external|
        ip6tnl3 type ip6tnl mode ipip6 local fd00::1|vti1 type vti local 10.0.0.1|vti61 type vti6 local fd00::1|
        geneve1 type geneve id 42 remote 10.0.0.2 ttl 5 df set noudpcsum|geneve2 type geneve external dstport 6083|
        wireguard1 type wireguard|xfrm1 type xfrm dev v0 if_id 0x42|
        bareudp1 type bareudp dstport 6635 ethertype mpls_uc|bareudp2 type bareudp dstport 6636 ethertype ipv4 srcportmin 40000 multiproto";
    let mut tried = 0;
    for line in lines.split('|').map(str::trim) {
        let kind = line.split_whitespace().nth(2).expect("a kind");
        if kind_available(kind) {
            scene(&format!("link add name {line}"));
            tried += 1;
        } else {
            eprintln!("skipped: this kernel has no {kind}");
        }
    }
    if kind_available("macsec") {
        scene(
            "link add link v0 name macsec1 type macsec
             link add link v0 name macsec2 type macsec port 11 encrypt on cipher gcm-aes-256 icvlen 12 encodingsa 2 validate check protect off replay on window 77 send_sci off end_station on",
        );
        tried += 1;
    }
    if may_open_tun() {
        scene(
            "tuntap add name tun1 mode tun user 0 group 0
             tuntap add name tap1 mode tap multi_queue vnet_hdr pi",
        );
        tried += 1;
    }
    if tried == 0 {
        skip("this kernel has none of the kinds");
    }
    agrees(&Db::open().expect("a database"));
}

/// The options of each kind that this changes: the name, and a change of one of them.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("gre1", |tx, name| set(tx, name, |e| e.gre(GreOptions::new().ttl(9u8)).map(drop))),
        ("gre2", |tx, name| set(tx, name, |e| e.gre(GreOptions::new().tos(4u8)).map(drop))),
        ("ipip1", |tx, name| set(tx, name, |e| e.ipip(IpipOptions::new().ttl(9u8)).map(drop))),
        ("ip6tnl1", |tx, name| {
            set(tx, name, |e| e.ip6tnl(Ip6tnlOptions::new().flowlabel(5u32)).map(drop))
        }),
        ("vti1", |tx, name| set(tx, name, |e| e.vti(VtiOptions::new().okey(9u32)).map(drop))),
        ("xfrm1", |tx, name| set(tx, name, |e| e.xfrm(XfrmOptions::new().if_id(9u32)).map(drop))),
        ("geneve1", |tx, name| {
            set(tx, name, |e| e.geneve(GeneveOptions::new().tos(8u8)).map(drop))
        }),
        ("macsec1", |tx, name| {
            let options = MacsecOptions::new().validation(MacsecValidation::CHECK);
            set(tx, name, |e| e.macsec(options).map(drop))
        }),
        ("netkit1", |tx, name| {
            let options = NetkitOptions::new().peer_policy(NetkitPolicy::BLACKHOLE);
            set(tx, name, |e| e.netkit(options).map(drop))
        }),
        ("gretap1", |tx, name| {
            let options = netlinkdb::GretapOptions::new().tos(8u8);
            set(tx, name, |e| e.gretap(options).map(drop))
        }),
        ("gretap2", |tx, name| {
            let options = netlinkdb::GretapOptions::new().tos(8u8);
            set(tx, name, |e| e.gretap(options).map(drop))
        }),
        ("erspan2", |tx, name| {
            let options = netlinkdb::ErspanOptions::new().erspan_hwid(3u16);
            set(tx, name, |e| e.erspan(options).map(drop))
        }),
        ("ip6gre1", |tx, name| {
            let options = netlinkdb::Ip6greOptions::new().tclass(0x40u32);
            set(tx, name, |e| e.ip6gre(options).map(drop))
        }),
        ("ip6gre2", |tx, name| {
            let options = netlinkdb::Ip6greOptions::new().ttl(7u8);
            set(tx, name, |e| e.ip6gre(options).map(drop))
        }),
        ("ip6gretap1", |tx, name| {
            let options = netlinkdb::Ip6gretapOptions::new().ttl(7u8);
            set(tx, name, |e| e.ip6gretap(options).map(drop))
        }),
        ("ip6erspan1", |tx, name| {
            let options = netlinkdb::Ip6erspanOptions::new().ttl(7u8);
            set(tx, name, |e| e.ip6erspan(options).map(drop))
        }),
        ("sit1", |tx, name| {
            let options = netlinkdb::SitOptions::new().ttl(7u8);
            set(tx, name, |e| e.sit(options).map(drop))
        }),
        ("sit2", |tx, name| {
            let options = netlinkdb::SitOptions::new().tos(4u8);
            set(tx, name, |e| e.sit(options).map(drop))
        }),
        ("vti61", |tx, name| {
            let options = netlinkdb::Vti6Options::new().okey(9u32);
            set(tx, name, |e| e.vti6(options).map(drop))
        }),
    ]
}

type Change = fn(&mut Transaction, &str);

fn set(
    tx: &mut Transaction,
    name: &str,
    edit: impl FnOnce(&mut netlinkdb::Editor<'_>) -> netlinkdb::Result<()>,
) {
    edit(&mut tx.interface(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// The kernel takes the options of a tunnel as a whole: a request that named the time to live only once took away its key, its
/// addresses and everything else (`ipgre_netlink_parms`).
fn a_change_of_one_option_leaves_the_others() {
    let (db, names) = with_samples();
    for (name, change) in changes() {
        if !names.iter().any(|own| own == name) {
            continue;
        }
        let was = options(&db.snapshot(), name);
        let mut tx = db.begin();
        change(&mut tx, name);
        tx.commit().unwrap_or_else(|error| panic!("{name}: {error}"));
        let now = db.refresh(db.snapshot().link_by_name(name).map(|link| link.index()));
        let found = was.changes(&options(&now.expect("a snapshot"), name));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
    }
    agrees(&db);
}

/// With an MTU of their own, which the kernel computes anew when it changes options of some.
fn a_change_that_is_taken_back_leaves_nothing() {
    let (db, names) = with_samples();
    for name in names.iter().filter(|name| !name.starts_with("netkit")) {
        ip(&["link", "set", name, "mtu", "1300"]);
    }
    db.sync().expect("a snapshot");
    let was = before();
    let mut tx = db.begin();
    for (name, change) in changes() {
        if names.iter().any(|own| own == name) {
            change(&mut tx, name);
        }
    }
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    exactly_as_before(&db, &was);
}

fn what_is_removed_comes_back_with_its_options() {
    let (db, names) = with_samples();
    let was = before();
    for name in names {
        let old = options(&db.snapshot(), &name);
        let index = db.interface(&*name).expect("an interface").index();
        let mut tx = db.begin();
        tx.remove(&*name).expect("it can be removed");
        tx.on_commit(|_, _| Err("no"));
        rolled_back(tx.commit());
        let now = db.sync().expect("a snapshot");
        let back = now.link_by_name(&name).unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(back.index(), index, "{name}");
        let kept = |change: &netlinkdb::FieldChange| {
            let table = old.table();
            table.row(change.name).is_some_and(|(_, row)| row.role != Role::Status)
        };
        let found: Vec<_> = old.changes(&options(&now, &name)).into_iter().filter(kept).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
    }
    exactly_as_before(&db, &was);
}

/// Deleting `v0` once was said to delete the tunnels over it.
fn a_tunnel_stays_when_what_is_below_it_goes() {
    need_kinds("veth gre");
    scene("link add v0 type veth peer name v1");
    let db = Db::open().expect("a database");
    let mut tx = db.begin();
    tx.create(Gre::new("t0").dev("v0").local(LOCAL).remote(REMOTE).key(3)).expect("a tunnel");
    tx.commit().expect("a commit");
    let mut tx = db.begin();
    tx.remove("v0").expect("v0");
    let review = tx.review().to_string();
    assert!(!review.contains("t0"), "{review}");
    tx.commit().expect("a commit");
    let now = db.sync().expect("a snapshot");
    assert!(now.link_by_name("v1").is_none() && now.link_by_name("t0").is_some());
    agrees(&db);
    // Its options can be changed still.
    let mut tx = db.begin();
    set(&mut tx, "t0", |e| e.gre(GreOptions::new().ttl(4u8)).map(drop));
    tx.commit().expect("a commit");
    assert_eq!(db.snapshot().link_by_name("t0").and_then(|t0| t0.gre()?.ikey()), Some(3));
}

fn what_the_kernel_would_refuse_is_said_before() {
    need_kinds("veth");
    let db = Db::open().expect("a database");
    let refused = |new: NewLink, what: &str| {
        let error = db.begin().create(new).expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(Gre::new("t0").remote(Ipv4Addr::new(239, 0, 0, 1)).into(), "multicast group");
    refused(Gre::new("t0").ignore_df(true).into(), "pmtudisc");
    refused(Erspan::new("t0").remote(REMOTE).oseq(true).into(), "key");
    refused(Erspan::new("t0").remote(REMOTE).key(1).into(), "numbers its packets");
    refused(Erspan::new("t0").remote(REMOTE).oseq(true).key(1024).into(), "1023");
    refused(Ipip::new("t0").ttl(4u8).pmtudisc(false).into(), "ttl");
    refused(Sit::new("t0").prefix(six(0)).prefixlen(33u16).into(), "longer than 64");
    refused(Geneve::new("t0", 1 << 24).into(), "16777215");
    refused(Geneve::new("t0", 1).remote4(REMOTE).remote6(six(1)).into(), "one remote");
    refused(Geneve::new("t0", 1).remote(REMOTE).label(1u32).into(), "IPv6");
    refused(Xfrm::new("t0", 0).into(), "4294967295");
    refused(Macsec::new("t0", "lo").replay_protect(true).into(), "goes with one");
    refused(Macsec::new("t0", "lo").es(true).scb(true).into(), "one of");
    if !kind_available("gre") {
        skip("the rest needs a kernel with gre");
    }
    let mut tx = db.begin();
    tx.create(Gre::new("t0").local(LOCAL).remote(REMOTE)).expect("a tunnel");
    tx.commit().expect("a commit");
    let mut tx = db.begin();
    let none = GreOptions::new().remote(Ipv4Addr::UNSPECIFIED);
    let error = tx.interface("t0").gre(none).map(drop).expect_err("a refusal").to_string();
    assert!(error.contains("keeps one"), "{error}");
    // A second one with the same ends: the kernel's own words.
    let mut tx = db.begin();
    tx.create(Gre::new("t1").local(LOCAL).remote(REMOTE)).expect("a tunnel");
    rolled_back(tx.commit());
    agrees(&db);
}

/// A device of the machine's, which may be only for its root.
pub fn may_open_tun() -> bool {
    let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    device.is_ok() && kind_available("tun")
}

fn tun_and_tap_are_created_and_taken_back() {
    if !may_open_tun() {
        skip("/dev/net/tun is not there, or is not for this user to open");
    }
    need_kinds("veth");
    scene("link add v0 type veth peer name v1");
    let db = Db::open().expect("a database");
    let was = before();
    let samples = || -> [NewLink; 3] {
        [
            Tun::new("tun0").owner(0u32).group(0u32).index(77).mtu(1400).into(),
            Tun::tap("tap0").multi_queue(true).vnet_hdr(true).pi(true).into(),
            Tun::tap("tap1")
                .address(
                    "02:00:00:00:00:07".parse::<netlinkdb::HardwareAddress>().expect("an address"),
                )
                .into(),
        ]
    };
    let all = |tx: &mut Transaction| {
        for new in samples() {
            tx.create(new).expect("one");
        }
    };
    let mut tx = db.begin();
    all(&mut tx);
    let review = tx.review();
    // `ip link add ... type tun` is no command.
    let command = "ip tuntap add dev tap0 mode tap pi vnet_hdr multi_queue";
    assert!(review.commands().iter().any(|one| one == command), "{review}");
    tx.create(Veth::new("v2", "v3")).expect("a pair");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    exactly_as_before(&db, &was);

    let mut tx = db.begin();
    all(&mut tx);
    tx.interface("tap0").up();
    let now = tx.commit().expect("a commit").snapshot().clone();
    let tun0 = now.link_by_name("tun0").expect("tun0");
    let data = tun0.tun().expect("its options");
    assert_eq!(
        (tun0.index(), tun0.mtu(), data.owner(), data.group()),
        (77, 1400, Some(0), Some(0))
    );
    assert_eq!((data.persist(), data.pi()), (Some(true), Some(false)));
    agrees(&db);

    let there = before();
    let mut tx = db.begin();
    tx.remove("tun0").expect("tun0");
    tx.remove("tap0").expect("tap0");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    exactly_as_before(&db, &there);

    let mut tx = db.begin();
    ["tun0", "tap0", "tap1"].into_iter().for_each(|name| tx.remove(name).expect("it is there"));
    tx.commit().expect("a commit");
    exactly_as_before(&db, &was);
    let error = db.begin().create(Tun::new("v0")).expect_err("a name that is taken");
    assert!(error.to_string().contains("v0"), "{error}");
}

fn a_time_to_live_ends_inheriting_it() {
    need_kinds("geneve");
    let db = Db::open().expect("a database");
    let mut tx = db.begin();
    tx.create(Geneve::new("g0", 1).remote(REMOTE).ttl_inherit(true)).expect("a tunnel");
    tx.commit().expect("a commit");
    let was = before();
    let mut tx = db.begin();
    let options = GeneveOptions::new().ttl(9u8).ttl_inherit(false);
    set(&mut tx, "g0", |e| e.geneve(options.clone()).map(drop));
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    exactly_as_before(&db, &was);
    let mut tx = db.begin();
    set(&mut tx, "g0", |e| e.geneve(options).map(drop));
    tx.commit().expect("a commit");
    let now = db.snapshot();
    let data = now.link_by_name("g0").and_then(|g0| g0.geneve()).expect("its options");
    assert_eq!((data.ttl(), data.ttl_inherit()), (Some(9), Some(false)));
    agrees(&db);
}

fn a_replay_window_goes_and_comes_with_its_protection() {
    need_kinds("veth macsec");
    scene("link add v0 type veth peer name v1");
    let db = Db::open().expect("a database");
    let mut tx = db.begin();
    tx.create(Macsec::new("m0", "v0").replay_protect(true).window(77u32)).expect("an interface");
    tx.commit().expect("a commit");
    let was = before();
    let mut tx = db.begin();
    set(&mut tx, "m0", |e| e.macsec(MacsecOptions::new().replay_protect(false)).map(drop));
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    exactly_as_before(&db, &was);
}

/// `ip` prints the link-layer address of a tunnel as the IP address that it is, of one without a local end as 0.0.0.0: what
/// was saved so could not be loaded.
fn tunnels_that_were_exported_are_loaded_again() {
    need_kinds("gre ipip sit ip6tnl");
    let db = on("link add g0 type gre local 10.0.0.1 remote 10.0.0.2 key 7
        link add g1 type gre external
        link add i0 type ipip local 10.0.0.1 remote 10.0.0.3
        link add s0 type sit remote 10.0.0.4
        link add t0 type ip6tnl local fd00::1 remote fd00::2");
    let was = before();
    let saved = Selection::everything().export(&db.snapshot());
    is_so(&db, &tree(&json(&saved)));
    for name in ["g0", "g1", "i0", "s0", "t0"] {
        ip(&["link", "del", name]);
    }
    db.resync().expect("a snapshot");
    load(&db, &tree(&json(&saved)));
    exactly_as_before(&db, &was);
    // It is no address that can be anything else.
    let mut tx = db.begin();
    let wrong = serde_json::json!([{ "ifname": "d0", "address": "10.0.0.1" }]);
    let error = tx.load(&tree(&wrong)).expect_err("no hardware address");
    assert!(error.to_string().contains("address"), "{error}");
}
