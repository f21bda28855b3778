//! What transactions do, by the public interface and iproute2 as the witness.

use crate::scene::{
    Count, Ear, agrees, before, exactly_as_before, open, refused, rolled_back, scene, sysctl,
};
use crate::support::{ip, ip_json, namespaces, try_ip};
use ipnet::IpNet;
use netlinkdb::internals::object::kinds::bridge::BRIDGE;
use netlinkdb::internals::object::kinds::{MACVLAN, VXLAN};
use netlinkdb::internals::object::{BRIDGE_PORT, Record, Role, Table, Value};
use netlinkdb::{
    AddressFlags, AddressSpec, Bridge, BridgeOptions, BridgePortOptions, Db, Error,
    HardwareAddress, Ifb, Lifetime, LinkFlags, LinkRef, MacaddrMode, Macvlan, MacvlanMode,
    MacvlanOptions, Scope, Sign, Veth, Vxlan, VxlanOptions,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::thread;

crate::cases![
    a_new_bridge_keeps_its_mtu_against_its_ports,
    four_threads_commit_to_interfaces_of_their_own,
    four_threads_on_one_interface_take_turns_and_conflicts_are_named,
    names_move_along_a_chain_and_in_a_circle,
    a_new_interface_takes_the_place_of_a_deleted_one,
    a_rename_while_up_keeps_it_up,
    an_address_in_every_form,
    an_address_with_everything_about_it,
    an_address_for_ever_that_is_not_preferred_for_ever,
    a_hardware_address_in_upper_lower_and_mixed_case,
    every_option_of_a_bridge_can_be_set,
    every_option_of_a_bridge_port_can_be_set,
    options_of_a_vxlan_and_a_macvlan_can_be_set,
    every_kind_is_created_with_its_options,
    single_sources_of_a_macvlan_come_and_go,
    the_commands_of_a_review_lead_to_the_same_state,
    a_review_shows_the_delta_as_sets,
    what_is_so_already_is_a_success_that_sends_nothing,
    silent_fields_of_a_link_that_is_down_are_read_back,
    what_others_changed_in_silence_is_not_taken_for_so_already,
    a_rollback_gives_back_what_others_set_in_silence,
    several_transactions_are_open_at_once,
    dropping_forgets_and_an_error_in_with_leaves_nothing,
    an_explicit_database_wants_a_transaction_to_be_begun,
    a_failed_creation_stays_in_its_transaction_and_is_mended,
    flags_are_set_and_cleared,
    a_port_that_leaves_is_no_more_a_backup,
];

fn mac(text: &str) -> HardwareAddress {
    text.parse().expect("a hardware address")
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

fn four_threads_commit_to_interfaces_of_their_own() {
    let db = open();
    thread::scope(|scope| {
        for n in 0..4 {
            let db = db.clone();
            scope.spawn(move || {
                for round in 0..5 {
                    let mut tx = db.begin();
                    let bridge = tx.create(Bridge::new(&format!("br{n}"))).expect("a bridge");
                    let pair = Veth::new(&format!("a{n}"), &format!("b{n}"));
                    let veth = tx.create(pair).expect("a pair");
                    let mut editor = tx.interface(&bridge);
                    editor.add_port(&veth).expect("a port").up();
                    editor.add_ip(format!("10.{n}.{round}.1/24")).expect("an address");
                    let done = tx.commit().expect("a commit");
                    let bridge = done.interface(&bridge).expect("the bridge");
                    assert_eq!(bridge.ports().expect("ports").len(), 1);
                    let mut tx = db.begin();
                    tx.remove(&bridge).expect("the bridge");
                    tx.remove(done.interface(&veth).expect("the pair")).expect("the pair");
                    tx.commit().expect("a second commit");
                }
            });
        }
    });
    assert_eq!(db.sync().expect("a snapshot").link_count(), 1);
    agrees(&db);
}

fn four_threads_on_one_interface_take_turns_and_conflicts_are_named() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let barrier = std::sync::Barrier::new(4);
    let ended = thread::scope(|scope| {
        let commit = |n: u32| {
            let (db, barrier) = (db.clone(), &barrier);
            scope.spawn(move || {
                let tx = db.interface("v0").expect("v0").set_mtu(1300 + n);
                let tx = tx.add_ip(format!("10.0.{n}.1/24")).expect("an address");
                barrier.wait();
                tx.commit()
            })
        };
        let threads: Vec<_> = (0..4).map(commit).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect::<Vec<_>>()
    });
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
    for error in ended.into_iter().filter_map(Result::err) {
        assert!(error.is_conflict() && error.is_refused(), "{error}");
        assert!(error.to_string().contains("mtu of `v0` was 1500"), "{error}");
    }
    assert_eq!(db.snapshot().address_count(), 1);
    agrees(&db);
}

fn names_move_along_a_chain_and_in_a_circle() {
    let db = open();
    scene("link add a0 type veth peer name b0\n link add c0 type bridge");
    db.sync().expect("a snapshot");
    let [a, b, c] = ["a0", "b0", "c0"].map(|name| db.interface(name).expect("an interface"));
    let rename = |names: [&str; 3]| {
        let mut tx = db.begin();
        // In the order in which each later one frees the name of an earlier one.
        for (handle, name) in [&c, &b, &a].into_iter().zip(names.into_iter().rev()) {
            tx.interface(handle).set_name(name).expect("a name");
        }
        tx.commit().expect("renames");
        for (handle, name) in [&a, &b, &c].into_iter().zip(names) {
            assert_eq!(handle.name().expect("an interface"), name);
            assert_eq!(ip_json(&["link", "show", name])[0]["ifindex"], handle.index());
        }
    };
    rename(["b0", "c0", "d0"]);
    // A circle: every name is another's.
    let mut tx = db.begin();
    tx.interface(&a).set_name("x0").expect("a name");
    tx.interface(&c).set_name("b0").expect("a name");
    tx.interface(&b).set_name("d0").expect("a name");
    tx.interface(&a).set_name("c0").expect("a name");
    tx.commit().expect("a circle");
    assert_eq!([&a, &b, &c].map(|handle| handle.name().expect("an interface")), ["c0", "d0", "b0"]);
    agrees(&db);
}

fn a_new_interface_takes_the_place_of_a_deleted_one() {
    let db = open();
    scene("link add v0 type veth peer name v1\n addr add 10.0.0.1/24 dev v0");
    db.sync().expect("a snapshot");
    let old = db.interface("v0").expect("v0");
    let mut tx = db.begin();
    tx.remove(&old).expect("v0");
    let new = tx.create(Bridge::new("v0")).expect("a bridge of that name");
    tx.interface(&new).add_ip("10.0.0.1/24").expect("its address").up();
    let done = tx.commit().expect("a commit");
    assert!(old.is_stale());
    let error = old.set_mtu(1400).commit().expect_err("a stale handle");
    assert!(error.is_stale(), "{error}");
    assert_eq!(done.interface(&new).expect("v0").link().expect("v0").kind(), Some("bridge"));
    assert!(db.interface("v1").is_err());
    agrees(&db);
}

fn a_rename_while_up_keeps_it_up() {
    let db = open();
    scene(
        "link add v0 type veth peer name v1\n link set v0 up\n link set v1 up\n addr add 10.0.0.1/24 dev v0",
    );
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    if let Err(error) = v0.set_name("w0").expect("a name").commit() {
        // Kernels before 6.2 (K55): refused, said so, and nothing is left.
        assert!(error.is_rolled_back() && error.errno() == Some(libc::EBUSY), "{error}");
        assert_eq!(v0.name().expect("v0"), "v0");
        return agrees(&db);
    }
    assert!(v0.link().expect("w0").is_up());
    assert_eq!(v0.ipv4().expect("w0")[0].label(), Some("w0"));
    agrees(&db);
}

fn an_address_in_every_form() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let net: IpNet = "10.0.6.1/24".parse().expect("a network");
    let spec: AddressSpec = "10.0.7.1/24".parse().expect("a spec");
    let tx = v0
        .add_ip("10.0.0.1/24")
        .expect("a text")
        .add_ip(String::from("10.0.1.1/255.255.255.0"))
        .expect("a mask")
        .add_ip(("10.0.2.1", 24))
        .expect("a pair")
        .add_ip(("10.0.3.1", "255.255.255.0"))
        .expect("a pair with a mask")
        .add_ip((IpAddr::from(v4("10.0.4.1")), 24))
        .expect("an address")
        .add_ip((v4("10.0.5.1"), 24))
        .expect("an IPv4 address")
        .add_ip(net)
        .expect("a network")
        .add_ip(spec)
        .expect("a spec")
        .add_ip("10.0.8.1")
        .expect("a host")
        .add_ip("0100:0100::1/64")
        .expect("a long form")
        .add_ip("fd00::2/ffff:ffff:ffff:ffff::")
        .expect("an IPv6 mask")
        .add_ip((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3), 128))
        .expect("an IPv6 address");
    tx.commit().expect("a commit");
    let mut found: Vec<_> =
        v0.addresses().expect("v0").iter().map(|a| a.net().to_string()).collect();
    let mut wanted: Vec<String> = (0..8).map(|n| format!("10.0.{n}.1/24")).collect();
    wanted.extend(["10.0.8.1/32", "100:100::1/64", "fd00::2/64", "fd00::3/128"].map(String::from));
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    agrees(&db);
    let tx = v0
        .del_ip("10.0.0.1/255.255.255.0")
        .expect("a mask")
        .del_ip("100:100:0::1/64")
        .expect("another form");
    tx.commit().expect("a commit");
    assert_eq!(v0.addresses().expect("v0").len(), 10);
    agrees(&db);
}

fn an_address_with_everything_about_it() {
    let db = open();
    scene("link add v0 type veth peer name v1\n link set v0 up\n link set v1 up");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let spec = |text: &str, length| {
        AddressSpec::new(text.parse().expect("an address"), length).expect("a spec")
    };
    let mut full = spec("10.0.0.1", 24)
        .broadcast(v4("10.0.0.200"))
        .label("v0:vpn")
        .scope(Scope::LINK)
        .priority(77)
        .lifetimes(1000, 2000)
        .flags(AddressFlags::NOPREFIXROUTE);
    let peer = spec("10.1.0.1", 32).peer("10.1.0.2".parse().expect("an address")).expect("a peer");
    let six = spec("fd00::1", 64)
        .flags(AddressFlags::NODAD | AddressFlags::NOPREFIXROUTE)
        .lifetimes(500, u32::MAX)
        .priority(9);
    // Linux 5.18 knows who made an address.
    match v0.add_ip(spec("10.9.0.1", 32).proto(55)).expect("a spec").commit() {
        Ok(_) => full = full.proto(55),
        Err(error) => {
            let words = error.to_string();
            assert!(error.is_rolled_back() && words.contains("protocol none"), "{error}");
            println!("skipped: the protocol of an address: this kernel does not support it");
        }
    }
    let tx = v0
        .add_ip(full)
        .expect("a spec")
        .add_ip(peer.clone())
        .expect("a spec")
        .add_ip(six)
        .expect("a spec");
    tx.commit().expect("a commit");
    agrees(&db);
    let now = v0.addresses().expect("v0");
    let find = |text: &str| now.iter().find(|a| a.local().to_string() == text).expect("an address");
    let full = find("10.0.0.1");
    assert_eq!(
        (full.label(), full.scope(), full.priority()),
        (Some("v0:vpn"), Scope::LINK, Some(77))
    );
    assert!(
        matches!(full.valid_lifetime(), Lifetime::Seconds(1990..=2000)),
        "{:?}",
        full.valid_lifetime()
    );
    assert!(full.flags().contains(AddressFlags::NOPREFIXROUTE));
    assert_eq!(find("10.1.0.1").peer(), Some(v4("10.1.0.2").into()));
    assert!(find("fd00::1").flags().contains(AddressFlags::NODAD));
    assert_eq!(find("fd00::1").valid_lifetime(), Lifetime::Forever);

    // The same local address with another peer is another address.
    let other = spec("10.1.0.1", 32).peer("10.1.0.3".parse().expect("an address")).expect("a peer");
    v0.add_ip(other).expect("a spec").commit().expect("a commit");
    v0.del_ip(peer).expect("a spec").commit().expect("a commit");
    let left: Vec<_> = v0.ipv4().expect("v0").iter().filter_map(|address| address.peer()).collect();
    assert_eq!(left, [IpAddr::from(v4("10.1.0.3"))]);
    agrees(&db);
}

/// The kernel says of an IPv4 address that is valid for ever that it is preferred for ever, whatever was asked for.
fn an_address_for_ever_that_is_not_preferred_for_ever() {
    let db = open();
    scene("link add bb type bridge\n link set bb up");
    db.sync().expect("a snapshot");
    let bb = db.interface("bb").expect("bb");
    let forever = u32::MAX;
    let specs = [
        ("10.0.0.1", 24, 0),
        ("10.0.1.1", 24, 1000),
        ("10.0.2.1", 24, forever),
        ("fd00::1", 64, 0),
        ("fd00::2", 64, 1000),
        ("fd00::3", 64, forever),
    ];
    let spec = |(text, length, preferred): (&str, u8, u32)| {
        let spec = AddressSpec::new(text.parse().expect("an address"), length).expect("a spec");
        spec.lifetimes(preferred, forever)
    };
    let mut tx = db.begin();
    for one in specs {
        tx.interface("bb").add_ip(spec(one)).expect("an address");
    }
    tx.commit().expect("a commit");
    agrees(&db);
    let all = bb.addresses().expect("bb");
    for (text, _, preferred) in specs {
        let own = all.iter().find(|own| own.local().to_string() == text).expect("an address");
        assert_eq!(own.flags().contains(AddressFlags::DEPRECATED), preferred == 0, "{own}");
        assert!(own.flags().contains(AddressFlags::PERMANENT), "{own}");
    }
}

fn a_hardware_address_in_upper_lower_and_mixed_case() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    for text in ["02:00:5e:aa:bb:01", "02:00:5E:AA:BB:02", "02:00:5e:Aa:bB:03"] {
        v0.set_address(mac(text)).commit().expect("a commit");
        assert_eq!(v0.link().expect("v0").address(), Some(mac(text)));
        assert_eq!(ip_json(&["link", "show", "v0"])[0]["address"], text.to_lowercase());
    }
}

/// Options by the accessor of their row: each is set alone, read back, and compared with iproute2.
#[allow(clippy::too_many_arguments)] // A table of what differs between the kinds.
fn each_option<O: Clone>(
    db: &Db,
    name: &str,
    table: &'static Table,
    options: Vec<(&str, O)>,
    record: impl Fn(&O) -> &Record,
    read: impl Fn(&Db) -> Record,
    set: impl Fn(O) -> netlinkdb::Result<netlinkdb::InterfaceTransaction>,
    elsewhere: &[&str],
) {
    for (row, option) in &options {
        let named = record(option).clone();
        let before = read(db);
        let ended = set(option.clone()).expect("a value in its range").commit();
        if let Err(error) = &ended {
            // An older kernel, or one that was built without VLANs in bridges.
            let vlan = row.contains("vlan") && error.is_rolled_back();
            let unknown =
                error.is_rolled_back() && named.fields().all(|(id, ..)| before.value(id).is_none());
            let refused = error.errno() == Some(libc::EOPNOTSUPP);
            assert!(refused || vlan || unknown, "{name} {row}: {error}");
            println!("skipped: {name} {row}: this kernel does not support it");
            continue;
        }
        let now = read(db);
        for (id, own, value) in named.fields().filter(|(_, own, _)| own.compared()) {
            let same = match (value, now.value(id)) {
                (Value::Number(want), Some(Value::Number(have))) => want.abs_diff(*have) <= 1,
                (Value::Link(want), Some(Value::Number(have))) => {
                    *want == LinkRef::Index(*have as u32)
                }
                (want, have) => have == Some(want),
            };
            assert!(same, "{name} {}: {:?} instead of {value:?}", own.name, now.value(id));
        }
        agrees(db);
    }
    let known: Vec<_> =
        options.iter().map(|(row, _)| *row).chain(elsewhere.iter().copied()).collect();
    for row in table.rows.iter().filter(|row| row.role == Role::Set) {
        assert!(known.contains(&row.accessor), "{name}: the option {} is not tested", row.accessor);
    }
}

macro_rules! options {
    ($type:ident: $($row:ident $value:expr),* $(,)?) => {
        vec![$((stringify!($row), $type::new().$row($value))),*]
    };
}

fn every_option_of_a_bridge_can_be_set() {
    let db = open();
    scene("link add bb type bridge");
    db.sync().expect("a snapshot");
    let bb = db.interface("bb").expect("bb");
    let options = options![BridgeOptions:
        forward_delay 1700u32, hello_time 300u32, max_age 2100u32, ageing_time 12300u32, stp_state true, stp_state false,
        priority 4096u16, vlan_protocol netlinkdb::VlanProtocol::AD,
        fdb_max_learned 99u32, vlan_filtering true, vlan_default_pvid 7u16, vlan_stats_enabled true, vlan_stats_per_port true,
        group_fwd_mask 0x4008u16, group_addr mac("01:80:c2:00:00:05"), mcast_snooping false, no_linklocal_learn true,
        mst_enabled true, mdb_offload_fail_notification true, fdb_local_vlan_0 true, mcast_vlan_snooping true,
        mcast_router 2u8, mcast_query_use_ifaddr true, mcast_querier true, mcast_hash_elasticity 16u32, mcast_hash_max 512u32,
        mcast_last_member_cnt 3u32, mcast_startup_query_cnt 4u32, mcast_last_member_intvl 200u64, mcast_membership_intvl 20000u64,
        mcast_querier_intvl 20100u64, mcast_query_intvl 10100u64, mcast_query_response_intvl 900u64,
        mcast_startup_query_intvl 3000u64, mcast_stats_enabled true, mcast_igmp_version 3u8, mcast_mld_version 2u8,
        nf_call_iptables true, nf_call_ip6tables true, nf_call_arptables true,
    ];
    let read = |db: &Db| {
        db.snapshot()
            .link_by_name("bb")
            .and_then(|bb| bb.bridge().map(|b| b.record().clone()))
            .expect("bb")
    };
    each_option(
        &db,
        "bridge",
        &BRIDGE,
        options,
        BridgeOptions::record,
        read,
        |options| bb.bridge(options),
        &[],
    );
}

fn every_option_of_a_bridge_port_can_be_set() {
    let db = open();
    scene(
        "link add bb type bridge\n link add v0 type veth peer name v1\n link add v2 type veth peer name v3
         link set v0 master bb\n link set v2 master bb\n link set v1 up\n link set v0 up\n link set bb up",
    );
    let up = |now: &netlinkdb::Snapshot| {
        now.link_by_name("v0").is_some_and(|v0| v0.flags().contains(LinkFlags::LOWER_UP))
    };
    db.wait_until(std::time::Duration::from_secs(5), up).expect("a snapshot").expect("a carrier");
    let v0 = db.interface("v0").expect("v0");
    let backup = db.interface("v2").expect("v2").index();
    let options = options![BridgePortOptions:
        priority 5u16, cost 77u32, hairpin true, guard true, root_block true,
        fastleave true, learning false, flood false, proxy_arp true, proxy_arp_wifi true,
        multicast_router 2u8, mcast_flood false, bcast_flood false, mcast_to_unicast true, neigh_suppress true,
        neigh_vlan_suppress true, group_fwd_mask 0x400cu16, vlan_tunnel true, isolated true, locked true,
        backup_port backup, mcast_eht_hosts_limit 99u32, mcast_max_groups 33u32,
    ];
    // Those that want another to be set: an FDB nexthop, a port that learns and is locked. The state is the
    // kernel's own to decide, with the spanning tree protocol and without.
    // Nobody but a switch learns by itself.
    let elsewhere = ["backup_nhid", "mab", "state", "learning_sync"];
    let read = |db: &Db| {
        db.snapshot()
            .link_by_name("v0")
            .and_then(|v0| v0.bridge_port().map(|p| p.record().clone()))
            .expect("v0")
    };
    let set = |options| v0.bridge_port(options);
    each_option(
        &db,
        "port",
        &BRIDGE_PORT,
        options,
        BridgePortOptions::record,
        read,
        set,
        &elsewhere,
    );
    let mab = v0.bridge_port(BridgePortOptions::new().learning(true).mab(true)).expect("options");
    match mab.commit() {
        Ok(_) => {}
        // A kernel that has it says whether it is on.
        Err(error) => {
            let told = v0.link().expect("v0").bridge_port().and_then(|port| port.mab());
            assert!(error.is_rolled_back() && told.is_none(), "MAB: {error}");
            println!("skipped: port mab: this kernel does not support it");
        }
    }
    v0.bridge_port(BridgePortOptions::new().backup_port(0u32))
        .expect("an option")
        .commit()
        .expect("no backup");
    assert_eq!(v0.link().expect("v0").bridge_port().and_then(|port| port.backup_port()), None);
    agrees(&db);
}

fn options_of_a_vxlan_and_a_macvlan_can_be_set() {
    let db = open();
    scene(
        "link add v0 type veth peer name v1\n link add x4 type vxlan id 4 dev v0 dstport 4789
         link add x6 type vxlan id 6 dev v0 dstport 4790 remote fd00::9
         link add m0 link v1 type macvlan mode private\n link add m1 link v1 type macvlan mode source",
    );
    db.sync().expect("a snapshot");
    let v1 = db.interface("v1").expect("v1").index();
    let options = options![VxlanOptions:
        group v4("239.1.1.1"), group v4("10.0.0.9"), local v4("10.0.0.1"), link v1, learning false, tos 8u8, ttl 9u8,
        df netlinkdb::VxlanDf::SET, label 0u32, ageing 77u32, localbypass false, label_policy 0u32,
    ];
    let data = |name: &'static str| {
        move |db: &Db| {
            let now = db.snapshot();
            let link = now.link_by_name(name).expect("a link");
            let data = link.vxlan().map(|data| data.record().clone());
            data.or_else(|| link.macvlan().map(|data| data.record().clone())).expect("options")
        }
    };
    let x4 = db.interface("x4").expect("x4");
    let elsewhere = ["group6", "local6", "mc_route"];
    each_option(
        &db,
        "vxlan",
        &VXLAN,
        options,
        VxlanOptions::record,
        data("x4"),
        |o| x4.vxlan(o),
        &elsewhere,
    );
    let x6 = db.interface("x6").expect("x6");
    let options = options![VxlanOptions: group6 "fd00::8".parse::<Ipv6Addr>().expect("an address"), local6 "fd00::1".parse::<Ipv6Addr>().expect("an address"), label 0x12345u32];
    let elsewhere: Vec<_> = VXLAN.rows.iter().map(|row| row.accessor).collect();
    each_option(
        &db,
        "vxlan",
        &VXLAN,
        options,
        VxlanOptions::record,
        data("x6"),
        |o| x6.vxlan(o),
        &elsewhere,
    );

    let m0 = db.interface("m0").expect("m0");
    let nodst = netlinkdb::MacvlanFlags::NODST;
    let mut options = options![MacvlanOptions: mode MacvlanMode::BRIDGE, mode MacvlanMode::VEPA, bc_queue_len 77u32,
        bc_cutoff 5i32, flags nodst];
    options.retain(|(row, _)| *row != "flags" || knows_nodst());
    each_option(
        &db,
        "macvlan",
        &MACVLAN,
        options,
        MacvlanOptions::record,
        data("m0"),
        |o| m0.macvlan(o),
        &["macaddr_data", "flags"],
    );
    let m1 = db.interface("m1").expect("m1");
    let sources = [mac("02:00:00:00:00:05"), mac("02:00:00:00:00:06")];
    m1.macvlan(MacvlanOptions::new().sources(&sources))
        .expect("sources")
        .commit()
        .expect("a commit");
    let now = db.snapshot();
    assert_eq!(now.link_by_name("m1").and_then(|m1| m1.macvlan()?.macaddr_count()), Some(2));
    agrees(&db);
}

/// `MacaddrMode` could not be named, and an order to add one address alone was not sent.
fn single_sources_of_a_macvlan_come_and_go() {
    let db = open();
    scene("link add v0 type veth peer name v1\n link add m0 link v0 type macvlan mode source");
    db.sync().expect("a snapshot");
    let [a, b, c] = [5, 6, 7].map(|last| HardwareAddress::from([2, 0, 0, 0, 0, last]));
    let m0 = db.interface("m0").expect("m0");
    let sources_of = |name: &str| {
        let now = db.snapshot();
        let options = now.link_by_name(name).and_then(|link| link.macvlan());
        let own = options.as_ref().and_then(|options| options.macaddr_data());
        own.map(<[_]>::to_vec).unwrap_or_default()
    };
    let sources = || sources_of("m0");
    let edit = |options: MacvlanOptions| {
        m0.macvlan(options).expect("sources").commit().expect("a commit");
        agrees(&db);
        sources()
    };
    assert_eq!(edit(MacvlanOptions::new().macaddr_mode(MacaddrMode::ADD).macaddr(b)), [b]);
    assert_eq!(edit(MacvlanOptions::new().add_sources(&[c, a, b])), [a, b, c]);
    assert_eq!(edit(MacvlanOptions::new().macaddr_mode(MacaddrMode::DEL).macaddr(c)), [a, b]);

    let mut tx = db.begin();
    tx.interface("m0").macvlan(MacvlanOptions::new().del_sources(&[a])).expect("one less");
    tx.interface("m0").macvlan(MacvlanOptions::new().add_sources(&[c])).expect("one more");
    let review = tx.review();
    let command = "ip link set dev m0 type macvlan macaddr set 02:00:00:00:00:06 02:00:00:00:00:07";
    assert_eq!(review.commands(), [command]);
    tx.on_commit(|_, _| Err("no"));
    let error = tx.commit().expect_err("a hook refuses");
    assert!(error.is_rolled_back(), "{error}");
    assert_eq!(sources(), [a, b]);

    let none: [HardwareAddress; 0] = [];
    assert_eq!(edit(MacvlanOptions::new().macaddr_mode(MacaddrMode::FLUSH)), none);
    let mut tx = db.begin();
    let m2 = Macvlan::new("m2", "v1").mode(MacvlanMode::SOURCE);
    tx.create(m2.macaddr_mode(MacaddrMode::ADD).macaddr(a)).expect("m2");
    tx.commit().expect("a commit");
    assert_eq!(sources_of("m2"), [a]);
    agrees(&db);
}

fn every_kind_is_created_with_its_options() {
    let db = open();
    scene("link add v0 type veth peer name v1\n link add w0 type veth peer name w1");
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    tx.create(
        Bridge::new("b0")
            .index(70)
            .address(mac("02:00:00:00:00:70"))
            .mtu(1400)
            .txqlen(7)
            .stp_state(true)
            .priority(9u16),
    )
    .expect("b0");
    tx.create(
        Veth::new("e0", "e1")
            .index(71)
            .peer_index(72)
            .address(mac("02:00:00:00:00:71"))
            .peer_address(mac("02:00:00:00:00:72"))
            .mtu(2000)
            .peer_mtu(1900)
            .num_tx_queues(3)
            .num_rx_queues(2),
    )
    .expect("e0");
    tx.create(Ifb::new("i0").index(73).num_tx_queues(3).num_rx_queues(2)).expect("i0");
    let m0 =
        Macvlan::new("m0", "v0").mode(MacvlanMode::SOURCE).sources(&[mac("02:00:00:00:00:05")]);
    tx.create(if knows_bc_queue_len() { m0.bc_queue_len(55u32) } else { m0 }).expect("m0");
    tx.create(
        Macvlan::new("m1", "v1")
            .mode(MacvlanMode::PASSTHRU)
            .flags(netlinkdb::MacvlanFlags::NOPROMISC),
    )
    .expect("m1");
    let remote: Ipv6Addr = "fd00::2".parse().expect("an address");
    tx.create(
        Vxlan::new("x0", 100)
            .dev("w0")
            .port(4789u16)
            .remote(v4("239.1.1.1"))
            .source(v4("10.0.0.1"))
            .ttl(9u8)
            .tos(4u8)
            .learning(false)
            .port_range(1000..=2000)
            .ageing(70u32)
            .limit(80u32)
            .l2miss(true)
            .l3miss(true)
            .proxy(true)
            .rsc(true)
            .udp_csum(false)
            .gbp(true)
            .df(netlinkdb::VxlanDf::INHERIT),
    )
    .expect("x0");
    tx.create(
        Vxlan::new("x1", 101)
            .port(4790u16)
            .remote(remote)
            .label(5u32)
            .udp_zero_csum6_tx(true)
            .udp_zero_csum6_rx(true)
            .remcsum_tx(true)
            .remcsum_rx(true)
            .remcsum_nopartial(true)
            .ttl_inherit(true),
    )
    .expect("x1");
    let x2 = Vxlan::new("x2", 0).port(4791u16).external(true);
    tx.create(if knows_vnifilter() { x2.vnifilter(true) } else { x2 }).expect("x2");
    tx.create(Vxlan::new("x3", 0).port(4792u16).gpe(true).external(true).learning(false))
        .map(drop)
        .expect("x3");
    let ended = tx.commit();
    let done = ended.expect("every kind");
    let now = done.snapshot();
    assert_eq!(now.link_by_name("e1").map(|e1| (e1.index(), e1.mtu())), Some((72, 1900)));
    assert_eq!(now.link_by_name("i0").map(|i0| i0.index()), Some(73));
    let x1 = now.link_by_name("x1").expect("x1");
    assert_eq!(x1.vxlan().and_then(|vxlan| vxlan.ttl_inherit()), Some(true));
    agrees(&db);
}

/// Whether the kernel says of a VXLAN whether it has a filter (Linux 5.18).
fn knows_vnifilter() -> bool {
    let told = namespaces::elsewhere(|| {
        ip(&["link", "add", "x0", "type", "vxlan", "external", "dstport", "4789", "vnifilter"]);
        ip_json(&["-details", "link", "show", "x0"])
    });
    let known = told[0]["linkinfo"]["info_data"].get("vnifilter").is_some();
    if !known {
        println!("skipped: vxlan vnifilter: this kernel does not support it");
    }
    known
}

/// Whether the kernel says of a macvlan how long its queue is (Linux 5.11).
fn knows_bc_queue_len() -> bool {
    let told = namespaces::elsewhere(|| {
        ip(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
        ip(&["link", "add", "m0", "link", "v0", "type", "macvlan", "mode", "source"]);
        ip_json(&["-details", "link", "show", "m0"])
    });
    let known = told[0]["linkinfo"]["info_data"].get("bcqueuelen").is_some();
    if !known {
        println!("skipped: macvlan bcqueuelen: this kernel does not support it");
    }
    known
}

/// Whether the kernel has the flag of a macvlan in mode source (Linux 5.11).
fn knows_nodst() -> bool {
    let known = namespaces::elsewhere(|| {
        ip(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
        let add = "link add m0 link v0 type macvlan mode source flag nodst";
        try_ip(&add.split(' ').collect::<Vec<_>>()).status.success()
    });
    if !known {
        println!("skipped: macvlan nodst: this kernel does not support it");
    }
    known
}

/// Runs a command as a shell would.
fn shell(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

fn the_commands_of_a_review_lead_to_the_same_state() {
    let scene_lines = "link add old address 02:00:00:00:00:01 type bridge
         link add v0 address 02:00:00:00:00:02 type veth peer name v1 address 02:00:00:00:00:03
         link set v0 master old\n link add gone address 02:00:00:00:00:04 type ifb
         addr add 10.0.0.1/24 dev v1\n addr add 10.0.0.2/24 dev v1\n link property add dev v1 altname other\n link set v1 up";
    let fill = |db: &Db| {
        let mut tx = db.begin();
        let br0 = tx
            .create(
                Bridge::new("br0")
                    .address(mac("02:00:00:00:00:05"))
                    .stp_state(true)
                    .mcast_snooping(false),
            )
            .expect("br0");
        let pair = Veth::new("a0", "a1")
            .address(mac("02:00:00:00:00:06"))
            .peer_address(mac("02:00:00:00:00:07"))
            .peer_mtu(1400)
            .mtu(1300);
        let a = tx.create(pair).expect("a0");
        let a1 = a.peer().expect("a pair");
        tx.create(
            Macvlan::new("m0", &a1).mode(MacvlanMode::BRIDGE).address(mac("02:00:00:00:00:08")),
        )
        .expect("m0");
        tx.create(
            Vxlan::new("x0", 7)
                .dev("v1")
                .port(4789u16)
                .learning(false)
                .ttl(3u8)
                .address(mac("02:00:00:00:00:09")),
        )
        .expect("x0");
        tx.create(Ifb::new("i0").address(mac("02:00:00:00:00:0a")).num_tx_queues(2)).expect("i0");
        tx.interface("old")
            .del_port("v0")
            .expect("a port")
            .bridge(BridgeOptions::new().priority(7u16).ageing_time(500u32))
            .expect("options");
        tx.interface(&br0)
            .add_port("v0")
            .expect("a port")
            .add_port(&a)
            .expect("a port")
            .add_ip("10.9.0.1/24")
            .expect("an address")
            .up();
        tx.interface("v0")
            .bridge_port(BridgePortOptions::new().cost(9u32).isolated(true))
            .expect("options")
            .set_alias("it's a port; $HOME")
            .up();
        tx.interface("v1")
            .set_name("w1")
            .expect("a name")
            .set_mtu(1400)
            .set_txqlen(55)
            .set_group(4)
            .arp(false)
            .multicast(false);
        tx.interface("v1")
            .del_altname("other")
            .expect("an altname")
            .add_altname("new")
            .expect("an altname");
        tx.interface("v1").set_addr_gen_mode(netlinkdb::AddrGenMode::NONE);
        let spec = AddressSpec::new("10.8.0.1".parse().expect("an address"), 32)
            .expect("a spec")
            .peer("10.8.0.2".parse().expect("an address"))
            .expect("a peer")
            .scope(Scope::LINK)
            .priority(5)
            .flags(AddressFlags::NOPREFIXROUTE);
        tx.interface("v1")
            .del_ip("10.0.0.1/24")
            .expect("an address")
            .add_ip(spec)
            .expect("a spec")
            .add_ip("fd00::1/64")
            .expect("IPv6");
        tx.interface(&a1)
            .add_ip("10.7.0.1/24")
            .expect("an address")
            .set_broadcast(mac("ff:ff:ff:ff:ff:fe"))
            .promisc(true)
            .allmulti(true);
        tx.remove("gone").expect("an interface");
        tx
    };
    let stage = || {
        sysctl("ipv6/conf/default/accept_dad", "0");
        // Otherwise the commit gives back a secondary that fell with its primary, which only the kernel's answer tells.
        sysctl("ipv4/conf/all/promote_secondaries", "1");
    };
    stage();
    scene(scene_lines);
    let db = open();
    let tx = fill(&db);
    let commands = tx.review().commands().to_vec();
    if let Err(error) = tx.commit() {
        assert_eq!(error.errno(), Some(libc::EBUSY), "{error}");
        crate::support::skip("this kernel renames no interface that is up (K55)");
    }
    let ours = before();
    namespaces::elsewhere(|| {
        stage();
        scene(scene_lines);
        let witness = open();
        commands.iter().for_each(|command| shell(command));
        exactly_as_before(&witness, &ours);
    });
}

fn a_review_shows_the_delta_as_sets() {
    let db = open();
    scene("link add v0 type veth peer name v1\n addr add 10.0.0.1/24 dev v0");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    assert!(v0.begin().review().is_empty());
    assert_eq!(v0.begin().review().to_string(), "nothing to change");
    let tx = v0
        .set_mtu(1400)
        .up()
        .add_ip("10.0.1.1/24")
        .expect("an address")
        .del_ip("10.0.0.1/24")
        .expect("an address");
    let review = tx.review();
    let lines: Vec<_> = review.lines().iter().map(|line| format!("{} {line}", line.on)).collect();
    let wanted = [
        "v0 ~ mtu 1500 -> 1400",
        "v0 + address 10.0.1.1/24",
        "v0 - address 10.0.0.1/24 label v0 scope global",
        "v0 ~ UP off -> on",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(review.lines()[1].sign, Sign::Plus);
    let commands = [
        "ip link set dev v0 mtu 1400",
        "ip addr add 10.0.1.1/24 dev v0",
        "ip addr del 10.0.0.1/24 dev v0",
        "ip link set dev v0 up",
    ];
    assert_eq!(review.commands(), commands);
    // What became so meanwhile is left out.
    ip(&["link", "set", "v0", "mtu", "1400"]);
    db.sync().expect("a snapshot");
    assert_eq!(tx.review().lines().len(), 3);
}

/// Faults 5 and 23: setting what is so already timed out.
fn what_is_so_already_is_a_success_that_sends_nothing() {
    let db = open();
    scene(
        "link add bb type bridge stp_state 1\n link set bb alias text group 7 mtu 1400
         link add v0 type veth peer name v1\n link set v0 up\n link set v0 master bb\n addr add 10.0.0.1/24 dev v0",
    );
    db.sync().expect("a snapshot");
    let (bb, v0) = (db.interface("bb").expect("bb"), db.interface("v0").expect("v0"));
    // Carrier and operational state are announced later.
    before();
    let mut count = Count::new(&db);
    let ear = Ear::new();
    bb.down().set_mtu(1400).set_alias("text").set_group(7).commit().expect("down, as it is");
    bb.bridge(BridgeOptions::new().stp_state(true).hello_time(200u32))
        .expect("options")
        .commit()
        .expect("as they are");
    v0.up().arp(true).multicast(true).set_txqlen(1000).commit().expect("up, as it is");
    v0.set_name("v0").expect("its own name").commit().expect("its own name");
    v0.bridge_port(BridgePortOptions::new().cost(2u32))
        .expect("an option")
        .commit()
        .expect("as it is");
    let own = v0.link().expect("v0").address().expect("an address");
    v0.set_address(own).commit().expect("its own address");
    v0.begin().commit().expect("nothing at all");
    // Named and taken back.
    v0.set_mtu(1300).set_mtu(1500).commit().expect("as it is");
    v0.add_ip("10.0.1.1/24")
        .expect("an address")
        .del_ip("10.0.1.1/24")
        .expect("it")
        .commit()
        .expect("nothing");
    assert_eq!(ear.heard(), [""; 0]);
    assert_eq!(count.sent(), 0);
}

/// Fault 5: the kernel announces none of these while the link is down; the ancestor waited for it, and failed.
fn silent_fields_of_a_link_that_is_down_are_read_back() {
    let db = open();
    scene("link add bb type bridge");
    db.sync().expect("a snapshot");
    let bb = db.interface("bb").expect("bb");
    let tx = bb.set_alias("quiet").set_group(9).add_altname("another-name").expect("an altname");
    let tx = tx
        .bridge(BridgeOptions::new().stp_state(true).hello_time(300u32).ageing_time(1000u32))
        .expect("options");
    let done = tx.set_addr_gen_mode(netlinkdb::AddrGenMode::NONE).commit().expect("a commit");
    let now = done.snapshot().link_by_name("another-name").expect("its other name");
    assert_eq!((now.alias(), now.group()), (Some("quiet"), 9));
    assert_eq!(now.bridge().and_then(|bridge| bridge.hello_time()), Some(300));
    agrees(&db);
    bb.set_alias("").set_group(0).commit().expect("back");
    assert_eq!(bb.link().expect("bb").alias(), None);
    agrees(&db);
}

/// Another program had switched the spanning tree on while the bridge was down, which the kernel announces to nobody;
/// switching it off was taken for so already, and the commit held without a request. It is a conflict.
fn what_others_changed_in_silence_is_not_taken_for_so_already() {
    let db = open();
    scene("link add bb type bridge");
    db.sync().expect("a snapshot");
    let off = || {
        let b = db.interface("bb").expect("bb");
        b.bridge(BridgeOptions::new().stp_state(false)).expect("an option").set_alias("")
    };
    scene("link set bb type bridge stp_state 1\n link set bb alias theirs");
    let error = refused(off().commit());
    assert!(error.is_conflict(), "{error}");
    // By then it is known.
    off().commit().expect("a commit");
    let link = db.interface("bb").expect("bb").link().expect("bb");
    assert_eq!(link.bridge().and_then(|bridge| bridge.stp_state()), Some(false));
    assert_eq!(link.alias(), None);
    agrees(&db);
}

/// What a rollback gave back was from before another program's change in silence.
fn a_rollback_gives_back_what_others_set_in_silence() {
    let db = open();
    scene("link add bb type bridge\n link set bb type bridge hello_time 300");
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    let options = BridgeOptions::new().hello_time(500u32).mcast_hash_elasticity(20u32);
    tx.interface("bb").bridge(options.clone()).expect("options");
    scene("link set bb type bridge hello_time 400");
    let before = before();
    assert!(refused(tx.commit()).is_conflict());
    let mut tx = db.begin();
    tx.interface("bb").bridge(options).expect("options");
    rolled_back(tx.commit());
    exactly_as_before(&db, &before);
}

fn several_transactions_are_open_at_once() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let (mut first, mut second, third) = (db.begin(), db.begin(), v0.set_mtu(1300));
    assert_ne!(first.id(), second.id());
    first.create(Ifb::new("same")).expect("a draft");
    let bridge = second.create(Bridge::new("same")).expect("another draft");
    second.interface(&v0).set_alias("second");
    let done = second.commit().expect("the second");
    assert!(done.interface(&bridge).is_ok());
    let error = refused(first.commit());
    assert!(error.is_exists() && error.to_string().contains("`same`"), "{error}");
    // A transaction knows only what it created itself.
    let mut other = db.begin();
    let foreign = other.create(Ifb::new("other")).expect("a draft");
    assert!(done.interface(&foreign).is_err());
    third.commit().expect("the third, on another field");
    let link = v0.link().expect("v0");
    assert_eq!((link.mtu(), link.alias()), (1300, Some("second")));
    agrees(&db);
}

/// Fault 21: after an exception in its body a transaction stayed open, and its changes leaked into the next commit.
fn dropping_forgets_and_an_error_in_with_leaves_nothing() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let mut count = Count::new(&db);
    drop(v0.set_mtu(1300));
    let error = v0.with(|tx| {
        tx.set_mtu(1200).up();
        Err(Error::other("I changed my mind"))
    });
    let error = refused(error);
    assert!(error.to_string().contains("I changed my mind"), "{error}");
    let error = v0.with(|tx| tx.set_mtu(1200).add_ip("nonsense").map(drop));
    assert!(refused(error).to_string().contains("nonsense"));
    assert_eq!(count.sent(), 0);
    v0.with(|tx| {
        tx.set_alias("only this");
        Ok(())
    })
    .expect("a commit");
    assert_eq!(count.sent(), 1);
    let link = v0.link().expect("v0");
    assert_eq!((link.mtu(), link.is_up(), link.alias()), (1500, false, Some("only this")));
}

fn an_explicit_database_wants_a_transaction_to_be_begun() {
    scene("link add v0 type veth peer name v1");
    let db = Db::builder().explicit().open().expect("a database");
    let v0 = db.interface("v0").expect("v0");
    let mut count = Count::new(&db);
    let error = refused(v0.set_mtu(1400).commit());
    assert!(error.to_string().contains("explicit"), "{error}");
    assert_eq!(count.sent(), 0);
    v0.begin().set_mtu(1400).commit().expect("begun");
    v0.with(|tx| tx.add_ip("10.0.0.1/24").map(drop)).expect("with begins");
    let mut tx = db.begin();
    tx.interface(&v0).set_mtu(1300);
    tx.commit().expect("begun");
    assert_eq!(v0.link().expect("v0").mtu(), 1300);
}

/// Fault 18: what could not be created stayed in the database, as an object among real ones.
fn a_failed_creation_stays_in_its_transaction_and_is_mended() {
    let db = open();
    scene(
        "link add v0 type veth peer name v1\n link add taken type vxlan id 5 dev v0 dstport 4789",
    );
    let watched = db.sync().expect("a snapshot");
    let mut tx = db.begin();
    let new = tx.create(Vxlan::new("new", 5).dev("v0").port(4789u16)).expect("a draft");
    tx.interface(&new).set_alias("kept").add_ip("10.0.0.1/24").expect("an address");
    assert!(db.interface("new").is_err());
    let error = rolled_back(tx.commit());
    assert!(db.sync().expect("a snapshot").link_by_name("new").is_none());
    assert!(watched.diff(&db.snapshot()).is_empty());
    let mut tx = error.into_transaction();
    tx.remove("taken").expect("what was in the way");
    // Deletions come last: still in the way.
    let mut tx = rolled_back(tx.commit()).into_transaction();
    ip(&["link", "del", "taken"]);
    db.sync().expect("a snapshot");
    let error = refused(tx.clone().commit());
    assert!(error.is_stale(), "{error}");
    tx = db.begin();
    let new = tx.create(Vxlan::new("new", 5).dev("v0").port(4789u16)).expect("a draft");
    let tx = rolled_back({
        tx.interface(&new).set_address(mac("01:00:00:00:00:01"));
        tx.commit()
    });
    let mut tx = tx.into_transaction();
    tx.interface(&new).set_address(mac("02:00:00:00:00:01"));
    let done = tx.commit().expect("mended");
    assert_eq!(
        done.interface(&new).expect("new").link().expect("new").address(),
        Some(mac("02:00:00:00:00:01"))
    );
    agrees(&db);
}

/// Fault 24: that a flag was to be cleared was never checked.
fn flags_are_set_and_cleared() {
    let db = open();
    scene("link add v0 type veth peer name v1");
    db.sync().expect("a snapshot");
    let v0 = db.interface("v0").expect("v0");
    let flags = || v0.link().expect("v0").flags();
    v0.up()
        .arp(false)
        .multicast(false)
        .allmulti(true)
        .promisc(true)
        .dynamic(true)
        .commit()
        .expect("set");
    for flag in [
        LinkFlags::UP,
        LinkFlags::NOARP,
        LinkFlags::ALLMULTI,
        LinkFlags::PROMISC,
        LinkFlags::DYNAMIC,
    ] {
        assert!(flags().contains(flag), "{flag} in {}", flags());
    }
    assert!(!flags().contains(LinkFlags::MULTICAST));
    agrees(&db);
    v0.down()
        .arp(true)
        .multicast(true)
        .allmulti(false)
        .promisc(false)
        .dynamic(false)
        .commit()
        .expect("cleared");
    for flag in [
        LinkFlags::UP,
        LinkFlags::NOARP,
        LinkFlags::ALLMULTI,
        LinkFlags::PROMISC,
        LinkFlags::DYNAMIC,
    ] {
        assert!(!flags().contains(flag), "{flag} in {}", flags());
    }
    agrees(&db);
}

/// The kernel takes the backup from the ports that stay, and the offload limits from the bridge, without a word.
fn a_port_that_leaves_is_no_more_a_backup() {
    let db = open();
    scene(
        "link add bb type bridge\n link add v0 type veth peer name v1\n link add v2 type veth peer name v3
         link set v0 up\n link set v1 up\n link set bb up\n link set v0 master bb",
    );
    let backup = || {
        let now = db.sync().expect("a snapshot");
        now.link_by_name("v0").and_then(|v0| v0.bridge_port()?.backup_port())
    };
    let leaves: [fn(&Db); 3] = [
        |db| {
            drop(
                db.interface("bb")
                    .expect("bb")
                    .del_port("v2")
                    .expect("a port")
                    .commit()
                    .expect("a release"),
            )
        },
        |_| scene("link set v2 nomaster"),
        |_| scene("link del v2"),
    ];
    for leave in leaves {
        scene("link set v2 master bb\n link set v0 type bridge_slave backup_port v2");
        assert!(backup().is_some());
        leave(&db);
        assert_eq!(backup(), None);
        agrees(&db);
    }
}

/// A bridge that was made with an mtu followed its first port all the same, and the commit was rolled back.
fn a_new_bridge_keeps_its_mtu_against_its_ports() {
    let db = open();
    scene("link add v0 type veth peer name v1\nlink add w0 mtu 1400 type veth peer name w1");
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    for (name, mtu, port) in [("br0", 1400, "v0"), ("br1", 9000, "v1"), ("br2", 1500, "w0")] {
        let bridge = tx.create(Bridge::new(name).mtu(mtu)).expect("a bridge");
        tx.interface(&bridge).add_port(port).expect("a port").up();
    }
    let set = tx.create(Bridge::new("br3").mtu(1280)).expect("a bridge");
    tx.interface(&set).add_port("w1").expect("a port").set_mtu(1500);
    let now = tx.commit().expect("a commit").snapshot().clone();
    let mtu = |name: &str| now.link(name).map(|link| link.mtu());
    let all = ["br0", "br1", "br2", "br3"].map(mtu);
    assert_eq!(all, [Some(1400), Some(9000), Some(1500), Some(1500)]);
    // It stays its own when a port changes.
    scene("link set v0 mtu 1300\nlink set w0 mtu 1350");
    let now = db.sync().expect("a snapshot");
    assert_eq!(now.link("br0").map(|link| link.mtu()), Some(1400));
    assert_eq!(now.link("br2").map(|link| link.mtu()), Some(1500));
    agrees(&db);
}
