//! The object tables against the real kernel: what they read from a dump is what iproute2 reads from it.

use crate::scene::settle;
use crate::support::namespaces::receive_one;
use crate::support::oracle::{compare_addresses, compare_links, to_json};
use crate::support::{Request, ip_json, kind_available, need_kind, need_kinds, scene, try_ip};
use netlinkdb::internals::object::link::row;
use netlinkdb::internals::object::{
    ADDRESS, Address, BRIDGE_PORT, Bridge, Ifb, LINK, Link, Macvlan, MacvlanMode, Names, NewLink,
    Record, Silent, TABLES, Veth, Vxlan,
};
use netlinkdb::internals::sys::{self, Batch, Datagram, Options, Socket};
use netlinkdb::internals::wire::{Ack, Builder, Messages, flags, kind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

crate::cases![
    every_kind_reads_as_iproute2_prints_it,
    every_option_of_a_bridge_reads_as_iproute2_prints_it,
    every_option_of_a_bridge_port_reads_as_iproute2_prints_it,
    every_option_of_a_vxlan_reads_as_iproute2_prints_it,
    every_option_of_a_macvlan_reads_as_iproute2_prints_it,
    what_every_link_has_reads_as_iproute2_prints_it,
    addresses_read_as_iproute2_prints_them,
    what_is_to_be_created_is_created_so,
    what_changes_in_silence_is_marked_so,
    what_changes_in_silence_of_more_kinds_is_marked_so,
];

fn every_kind_reads_as_iproute2_prints_it() {
    ["bridge", "veth", "vxlan", "macvlan", "ifb"].into_iter().for_each(need_kind);
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link set v0 master br0
         link add vx0 type vxlan id 42 dev br0 dstport 4789 group 239.1.1.1
         link add mv0 link v1 type macvlan mode bridge
         link add ifb0 numtxqueues 3 numrxqueues 2 type ifb
         link set lo up
         link set v0 up",
    );
    check_links();
    scene(
        "link set v1 up\n link set br0 up\n link set vx0 up\n link set mv0 up\n link set ifb0 up",
    );
    check_links();
    scene("link set v1 down\n link set br0 promisc on\n link set br0 allmulticast on");
    check_links();
}

fn every_option_of_a_bridge_reads_as_iproute2_prints_it() {
    need_kind("bridge");
    scene("link add br0 address 02:00:5e:10:00:01 type bridge");
    let options = "forward_delay 1600|hello_time 300|max_age 2100|ageing_time 0|stp_state 1|priority 4096|
         group_fwd_mask 0x4008|group_address 01:80:c2:00:00:05|no_linklocal_learn 1|mcast_snooping 0|
         mcast_router 2|mcast_query_use_ifaddr 1|mcast_querier 1|mcast_hash_max 512|
         mcast_last_member_count 3|mcast_startup_query_count 4|mcast_last_member_interval 200|
         mcast_membership_interval 20000|mcast_querier_interval 20001|mcast_query_interval 10001|
         mcast_query_response_interval 999|mcast_startup_query_interval 3000|mcast_stats_enabled 1|
         mcast_igmp_version 3|mcast_mld_version 2|nf_call_iptables 1|nf_call_ip6tables 1|nf_call_arptables 1";
    each_option("br0", "bridge", options);
    scene("link set br0 up");
    check_links();
}

fn every_option_of_a_bridge_port_reads_as_iproute2_prints_it() {
    ["bridge", "veth"].into_iter().for_each(need_kind);
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link set v0 master br0
         link set v2 master br0
         link set v1 up
         link set v0 up
         link set br0 up",
    );
    let options = "state 0|state 1|state 2|state 3|state 4|priority 5|cost 77|guard on|hairpin on|fastleave on|root_block on|
         learning off|flood off|proxy_arp on|proxy_arp_wifi on|mcast_router 2|mcast_flood off|
         bcast_flood off|mcast_to_unicast on|group_fwd_mask 0x400c|neigh_suppress on|isolated on|
         locked on|backup_port v2";
    each_option("v0", "bridge_slave", options);
}

fn every_option_of_a_vxlan_reads_as_iproute2_prints_it() {
    ["vxlan", "veth"].into_iter().for_each(need_kind);
    scene("link add v0 type veth peer name v1");
    let options = "external gpe nolearning dstport 4788|id 16777215 dstport 4787|external dstport 4789 vnifilter|
         id 1 dstport 4789 remote 10.0.0.2 local 10.0.0.1 ttl 5 tos 0x10 df set dev v0|
         id 2 dstport 4790 remote fd00::2 local fd00::1 ttl inherit flowlabel 0x12345 df inherit|
         id 3 dstport 4791 group ff05::5 dev v1 tos inherit udp6zerocsumtx udp6zerocsumrx|
         id 4 dstport 4792 srcport 1000 2000 nolearning proxy rsc l2miss l3miss ageing 0 maxaddress 9|
         id 5 dstport 4793 noudpcsum remcsumtx remcsumrx gbp|id 6 dstport 4794 ttl 0 ageing 17";
    for (i, words) in options.split('|').enumerate() {
        scene(&format!("link add vx{i} type vxlan {}", words.trim()));
        check_links();
    }
}

fn every_option_of_a_macvlan_reads_as_iproute2_prints_it() {
    ["macvlan", "veth"].into_iter().for_each(need_kind);
    scene("link add v0 type veth peer name v1");
    let options = "mode private|mode vepa|mode bridge bcqueuelen 77|mode source macaddr add 02:00:00:00:00:05|
         mode source macaddr set 02:00:00:00:00:07 02:00:00:00:00:06";
    for (i, words) in options.split('|').enumerate() {
        scene(&format!("link add mv{i} link v0 type macvlan {}", words.trim()));
        check_links();
    }
    let nodst = "link add mv8 link v0 type macvlan mode source flag nodst";
    match try_ip(&nodst.split_whitespace().collect::<Vec<_>>()).status.success() {
        true => check_links(),
        // Linux 5.11 has it.
        false => eprintln!("skipped: macvlan nodst: this kernel does not support it"),
    }
    scene("link set mv0 protodown on");
    check_links();
    scene("link set mv0 protodown_reason 3 on");
    check_links();
    scene("link add mv9 link v1 type macvlan mode passthru flag nopromisc");
    check_links();
}

fn what_every_link_has_reads_as_iproute2_prints_it() {
    need_kind("veth");
    scene("link add v0 numtxqueues 4 numrxqueues 3 type veth peer name v1");
    let changes =
        "up|alias some-words|group 7|txqueuelen 0|txqueuelen 77|mtu 1400|address 02:00:00:00:00:01|
         broadcast ff:ff:ff:ff:ff:fe|addrgenmode none|addrgenmode random|mode dormant|
         gso_max_size 32768|gso_max_segs 100|gro_max_size 32768|arp off|multicast off|dynamic on|
         trailers off|promisc on|allmulticast on|down";
    for words in changes.split('|') {
        scene(&format!("link set v0 {}", words.trim()));
        check_links();
    }
    scene(
        "link property add dev v0 altname another altname a-third-name-that-is-longer-than-fifteen",
    );
    check_links();
    if kind_available("ipip") {
        scene("link add t0 type ipip local 10.0.0.1 remote 10.0.0.2");
        check_links();
    }
}

fn addresses_read_as_iproute2_prints_them() {
    need_kind("veth");
    scene(
        "link add v0 type veth peer name v1
         link set v0 up
         link set v1 up
         address add 10.0.0.1/24 dev v0
         address add 10.0.0.2/24 brd + dev v0 label v0:x
         address add 10.1.0.1 peer 10.1.0.2/30 dev v0 scope link
         address add 10.2.0.1/32 dev v0 valid_lft 1000 preferred_lft 500 metric 77 noprefixroute
         address add 224.1.1.1/32 dev v0 autojoin
         address add 10.4.0.1/24 dev v0 valid_lft 1000 preferred_lft 0 scope 100
         address add fd00::1/64 dev v0 nodad home mngtmpaddr
         address add fd00::2 peer fd00::3 dev v0
         address add fd00::4/64 dev v0 valid_lft 1000 preferred_lft 0",
    );
    check_addresses();
}

/// What a specification says stands in the new link; names and numbers given are those it has.
fn what_is_to_be_created_is_created_so() {
    ["bridge", "veth", "vxlan", "macvlan", "ifb"].into_iter().for_each(need_kind);
    create(Veth::new("v0", "v1").index(11).peer_index(12).num_tx_queues(2).peer_mtu(1400), None);
    create(
        Bridge::new("br0")
            .index(10)
            .forward_delay(1600u32)
            .stp_state(true)
            .no_linklocal_learn(true),
        None,
    );
    create(
        Vxlan::new("vx0", 42)
            .dev(11)
            .remote(std::net::Ipv4Addr::new(10, 0, 0, 2))
            .port_range(1000..=2000)
            .port(4789u16)
            .gbp(true)
            .label(0u32),
        Some(11),
    );
    let sources = [[2, 0, 0, 0, 0, 7].into(), [2, 0, 0, 0, 0, 6].into()];
    create(Macvlan::new("mv0", 12).mode(MacvlanMode::SOURCE).sources(&sources), Some(12));
    create(Ifb::new("ifb0").num_rx_queues(3).mtu(9000), None);
    check_links();
}

fn create(new: impl Into<NewLink>, below: Option<u32>) {
    let wanted = new.into().request(below);
    let mut message =
        Builder::new(kind::RTM_NEWLINK, flags::REQUEST | flags::ACK | flags::CREATE | flags::EXCL)
            .fixed(&wanted.encode_header());
    wanted.encode(&mut message);
    let socket = Socket::open(&Options::default()).expect("a netlink socket");
    socket.send(&message.finish()).expect("sending a request");
    let answer = receive_one(&socket);
    let ack = Messages::new(&answer).next().map(|message| Ack::parse(&message.expect("a message")));
    let ack = ack.flatten().expect("an ACK").expect("a whole ACK");
    assert!(ack.is_ok(), "{wanted}: {ack:?}");
    let links = Links::dump();
    let name = wanted.value(row::NAME);
    let found =
        links.0.iter().find(|link| link.record().value(row::NAME) == name).expect("the link");
    for (id, field, value) in wanted.fields().filter(|(_, field, _)| field.compared()) {
        match (value.nested(), found.record().value(id).and_then(|value| value.nested())) {
            (Some(wanted), Some(found)) => {
                for (id, field, value) in wanted.fields().filter(|(_, field, _)| field.compared()) {
                    assert_eq!(found.value(id), Some(value), "{}", field.constant);
                }
            }
            (Some(_), None) => assert_eq!(found.kind(), Some("veth")),
            _ if field.constant == "ifi_index" && value.number() == Some(0) => {}
            _ => assert_eq!(found.record().value(id), Some(value), "{}", field.constant),
        }
    }
}

/// Sets each option by itself, and compares after each.
fn each_option(name: &str, kind: &str, options: &str) {
    for words in options.split('|') {
        scene(&format!("link set {name} type {kind} {}", words.trim()));
        check_links();
    }
}

/// Between the two the kernel may look at a carrier.
#[track_caller]
fn check_links() {
    let differences = settle(|| {
        let theirs = ip_json(&["link", "show"]);
        let links = Links::dump();
        let ours: Vec<Value> = links.0.iter().map(|link| to_json(&link.tree(&links))).collect();
        compare_links(&ours, theirs.as_array().expect("a list"))
    });
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Between the two the kernel may end the check for duplicates of an address (K26).
#[track_caller]
fn check_addresses() {
    let differences = settle(address_differences);
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

fn address_differences() -> Vec<String> {
    let theirs = ip_json(&["address", "show"]);
    let links = Links::dump();
    let all: Vec<Address> = dump(kind::RTM_GETADDR, 8, &ADDRESS, kind::RTM_NEWADDR)
        .into_iter()
        .map(Address::new)
        .collect();
    let (mut compared, mut found) = (0, Vec::new());
    for link in theirs.as_array().expect("a list") {
        let own =
            all.iter().filter(|address| Some(address.index().into()) == link["ifindex"].as_u64());
        let ours: Vec<Value> = own.map(|address| to_json(&address.tree(&links))).collect();
        let theirs = link["addr_info"].as_array().expect("a list");
        found.extend(compare_addresses(&ours, theirs));
        compared += theirs.len();
    }
    if compared != all.len() {
        found.push(format!("{} addresses, {compared} compared", all.len()));
    }
    found
}

pub(super) struct Links(Vec<Link>);

impl Links {
    pub(super) fn dump() -> Links {
        let records = dump(kind::RTM_GETLINK, 16, &LINK, kind::RTM_NEWLINK);
        Links(records.into_iter().map(|record| Link::new(record, 0)).collect())
    }

    fn link(&self, index: u32) -> Option<&Link> {
        self.0.iter().find(|link| link.index() == index)
    }
}

impl Names for Links {
    fn name_of(&self, index: u32) -> Option<&str> {
        self.link(index).map(Link::name)
    }

    fn is_up(&self, index: u32) -> Option<bool> {
        self.link(index).map(Link::is_up)
    }
}

pub(super) fn dump(
    request: u16,
    fixed: usize,
    table: &'static netlinkdb::internals::object::Table,
    answer: u16,
) -> Vec<Record> {
    dump_with(request, &vec![0; fixed], table, answer)
}

/// With what is in the fixed struct of the request.
pub(super) fn dump_with(
    request: u16,
    fixed: &[u8],
    table: &'static netlinkdb::internals::object::Table,
    answer: u16,
) -> Vec<Record> {
    let socket = Socket::open(&Options::default()).expect("a netlink socket");
    let request = Request::new(request, libc::NLM_F_DUMP).bytes(fixed);
    socket.send(&request.finish()).expect("sending a request");
    let mut records = Vec::new();
    let mut batch = Batch::with_slots(4, 256 * 1024);
    loop {
        let ready = sys::wait([socket.as_fd()], Some(Duration::from_secs(10))).expect("poll");
        assert_eq!(ready, [true], "no answer from the kernel");
        socket.receive(&mut batch).expect("recvmmsg");
        for datagram in batch.iter() {
            let Datagram::Data(bytes) = datagram else { panic!("{datagram:?}") };
            for message in Messages::new(bytes) {
                let message = message.expect("a message");
                if message.kind == kind::NLMSG_DONE {
                    return records;
                }
                assert_eq!(message.kind, answer);
                records.push(Record::decode(table, message.payload).expect("an object"));
            }
        }
    }
}

/// Every change that no notification tells is one that a row's `silent` warns of (the list in the head of
/// `object/link.rs`).
fn what_changes_in_silence_is_marked_so() {
    ["bridge", "veth", "vxlan", "macvlan", "ifb"].into_iter().for_each(need_kind);
    scene(
        "link add br0 type bridge
         link add v0 type veth peer name v1
         link add v2 type veth peer name v3
         link set v0 master br0
         link set v2 master br0
         link add vx0 type vxlan id 42 dev v3 dstport 4789 local 10.0.0.1
         link add mv0 link v3 type macvlan mode bridge
         link add mv1 link v3 type macvlan mode source
         link add ifb0 type ifb",
    );
    let mut mirror = Mirror::new();
    let steps = |number: u32| {
        let common = format!(
            "alias a{number}|group {number}|mtu {}|txqueuelen {number}|addrgenmode random|addrgenmode eui64|
             mode dormant|mode default|gso_max_size 3{number}000|gso_max_segs 1{number}|
             gro_max_size 3{number}001|arp off|arp on|promisc on|promisc off|allmulticast on|allmulticast off",
            1400 + number
        );
        let options = "br0 bridge forward_delay 160N|br0 bridge ageing_time 100N|br0 bridge priority 40N|
             br0 bridge group_fwd_mask 0x4N0|br0 bridge mcast_snooping 0|br0 bridge mcast_snooping 1|
             br0 bridge mcast_querier 1|br0 bridge mcast_querier 0|br0 bridge mcast_startup_query_count N|
             br0 bridge no_linklocal_learn 1|br0 bridge no_linklocal_learn 0|
             v0 bridge_slave priority N|v0 bridge_slave cost N|v0 bridge_slave hairpin on|
             v0 bridge_slave hairpin off|v0 bridge_slave isolated on|v0 bridge_slave isolated off|
             v0 bridge_slave backup_port v2|v0 bridge_slave nobackup_port|
             vx0 vxlan ttl N|vx0 vxlan ageing 10N|vx0 vxlan df set|vx0 vxlan df unset|vx0 vxlan dev v1|
             mv0 macvlan mode private|mv0 macvlan bcqueuelen 500N|mv0 macvlan mode bridge|
             mv1 macvlan mode source macaddr add 02:00:00:00:00:0N|mv1 macvlan mode source macaddr flush";
        let options = options.replace('N', &number.to_string());
        let each = |dev: &'static str| {
            common
                .split('|')
                .map(move |words| format!("{dev} {}", words.trim()))
                .collect::<Vec<_>>()
        };
        let typed =
            options.split('|').map(|words| words.trim().replacen(' ', " type ", 1)).collect();
        [each("br0"), each("v0"), each("vx0"), each("mv0"), each("ifb0"), typed].concat()
    };
    let run = |mirror: &mut Mirror, words: &str| {
        scene(&format!("link set {words}"));
        mirror.check(words);
    };
    steps(6).iter().for_each(|words| run(&mut mirror, words));
    scene("link set v1 up\n link set v3 up\n link set v0 up\n link set v2 up\n link set br0 up");
    scene("link set vx0 up\n link set mv0 up\n link set mv1 up\n link set ifb0 up");
    // The carrier is looked at once a second.
    std::thread::sleep(Duration::from_millis(1500));
    mirror.events();
    mirror.links = Mirror::dump();
    steps(7).iter().for_each(|words| run(&mut mirror, words));
}

fn what_changes_in_silence_of_more_kinds_is_marked_so() {
    need_kinds("dummy vlan bond vrf team ipvlan macvtap");
    scene(
        "link add d0 type dummy
         link add d1 type dummy
         link add d2 type dummy
         link add d3 type dummy
         link add d4 type dummy
         link add d5 type dummy
         link add v0 link d0 type vlan id 7
         link add b0 type bond mode active-backup miimon 100
         link set d1 master b0
         link set d2 master b0
         link add r0 type vrf table 10
         link add i0 link d4 type ipvlan mode l2
         link add i1 link d4 type ipvlan
         link add m0 link d5 type macvtap mode vepa",
    );
    let mut mirror = Mirror::new();
    let run = |mirror: &mut Mirror, words: &str| {
        scene(&format!("link set {words}"));
        mirror.check(words);
    };
    let steps = |number: u32| -> Vec<String> {
        let all = "v0 type vlan gvrp on|v0 type vlan gvrp off|v0 type vlan mvrp on|v0 type vlan loose_binding on|
             v0 type vlan loose_binding off|v0 type vlan egress-qos-map 1:N|v0 type vlan ingress-qos-map 1:N|
             b0 type bond miimon N0|b0 type bond updelay N0|b0 type bond downdelay N0|
             b0 type bond arp_interval N0 arp_ip_target 10.0.0.N|b0 type bond arp_validate all|
             b0 type bond arp_all_targets all|b0 type bond arp_ip_target 10.0.1.N|b0 type bond miimon N0|
             b0 type bond primary d2|b0 type bond active_slave d1|b0 type bond active_slave d2|
             b0 type bond primary_reselect failure|b0 type bond primary_reselect better|
             b0 type bond xmit_hash_policy layer3+4|b0 type bond xmit_hash_policy layer2|
             b0 type bond resend_igmp N|b0 type bond num_grat_arp N|b0 type bond min_links N|b0 type bond min_links 0|
             b0 type bond lp_interval N|b0 type bond all_slaves_active 1|b0 type bond all_slaves_active 0|
             b0 type bond use_carrier 0|b0 type bond use_carrier 1|d1 type bond_slave queue_id N|
             d1 mtu 140N|b0 mtu 141N|b0 address 02:00:00:00:00:0N|d3 master r0|d3 nomaster|
             i0 type ipvlan mode l3|i0 type ipvlan private|i0 type ipvlan mode l2 vepa|
             m0 type macvtap mode private|m0 type macvtap mode vepa|d0 mtu 120N|d0 address 02:00:00:00:01:0N";
        all.split('|').map(|words| words.trim().replace('N', &number.to_string())).collect()
    };
    steps(6).iter().for_each(|words| run(&mut mirror, words));
    for name in ["d0", "v0", "b0", "r0", "d3", "d4", "i0", "i1", "d5", "m0"] {
        scene(&format!("link set {name} up"));
    }
    // The carrier is looked at once a second.
    std::thread::sleep(Duration::from_millis(2500));
    mirror.events();
    mirror.links = Mirror::dump();
    steps(7).iter().for_each(|words| run(&mut mirror, words));
}

/// Links as the notifications tell them.
struct Mirror {
    socket: Socket,
    links: BTreeMap<u32, Record>,
}

impl Mirror {
    fn new() -> Mirror {
        let options = Options { groups: vec![1], ..Options::default() };
        Mirror { socket: Socket::open(&options).expect("a netlink socket"), links: Mirror::dump() }
    }

    fn dump() -> BTreeMap<u32, Record> {
        let all = Links::dump().0.into_iter();
        all.map(|link| (link.index(), link.record().clone())).collect()
    }

    fn events(&mut self) {
        let mut batch = Batch::with_slots(16, 64 * 1024);
        while sys::wait([self.socket.as_fd()], Some(Duration::ZERO)).expect("poll") == [true] {
            self.socket.receive(&mut batch).expect("recvmmsg");
            for datagram in batch.iter() {
                let Datagram::Data(bytes) = datagram else { panic!("{datagram:?}") };
                for message in Messages::new(bytes).map(|message| message.expect("a message")) {
                    let record = Record::decode(&LINK, message.payload).expect("a link");
                    self.event(record);
                }
            }
        }
    }

    fn event(&mut self, record: Record) {
        let index = record.number(row::INDEX) as u32;
        if record.number(row::FAMILY) == 0 {
            self.links.insert(index, record);
            return;
        }
        // AF_BRIDGE: what it is as a port, and nothing else (K29).
        let Some(link) = self.links.get_mut(&index) else { return };
        if let (Some(bytes), Some(_)) = (record.value(row::PROTINFO), link.value(row::PORT)) {
            let netlinkdb::internals::object::Value::Bytes(bytes) = bytes else { return };
            let port = Record::decode_attributes(&BRIDGE_PORT, bytes);
            link.set(row::PORT, netlinkdb::internals::object::Value::Nested(Box::new(port)));
        }
    }

    #[track_caller]
    fn check(&mut self, what: &str) {
        self.events();
        let now = Mirror::dump();
        for (index, record) in &now {
            let up = record.number(row::FLAGS) & 1 == 1;
            for change in self.links[index].changes(record) {
                let table = TABLES.iter().find(|table| table.name == change.table);
                let (_, field) = table.and_then(|table| table.row(change.name)).expect("a row");
                let marked = match field.silent {
                    Silent::Always => true,
                    Silent::WhileDown => !up,
                    Silent::Never => false,
                };
                assert!(marked, "{what}: interface {index}: {change} without a notification");
            }
        }
        self.links = now;
    }
}
