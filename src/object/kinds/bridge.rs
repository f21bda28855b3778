//! `bridge`: Ethernet bridges.

use super::super::shape::*;
use super::super::table::table;
use super::super::{Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use crate::wire::HardwareAddress;

new_links! {
    /// A bridge to be created.
    Bridge;
}

impl Bridge {
    /// A bridge of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Bridge(NewLink::with_kind(name, "bridge"))
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&BRIDGE))
    }
}

options! {
    BRIDGE;
    /// The options of a bridge, as the kernel reports them.
    BridgeData;
    /// Options of a bridge to be set.
    BridgeOptions;
}

names! {
    /// `IFLA_BR_VLAN_PROTOCOL`: the Ethernet type of VLAN tags.
    enum VlanProtocol: u16 as Be16 {
        Q = 0x8100 "802.1Q",
        AD = 0x88a8 "802.1ad",
    }
}

/// The identifier of a bridge in the spanning tree protocol: a priority, then an address.
#[derive(Clone, Copy, Debug)]
pub struct BridgeId<'a>(pub(crate) &'a Record);

impl BridgeId<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

records! {
    /// The identifier of a bridge.
    BridgeIdOf: Struct BRIDGE_ID, BridgeId;
}

table! {
    /// `struct ifla_bridge_id`.
    pub static BRIDGE_ID: "bridge_id", header 8;
    fields id_row;
    view ['a] BridgeId<'a>;
    setters [];
    rows {
        /// The priority, 0 to 65535; the lowest becomes the root.
        PRIORITY priority or 0: Be16 = Header(0), "ifla_bridge_id.prio", Status, silent: Always;
        /// The address.
        ADDRESS address: Mac = Header(2), "ifla_bridge_id.addr", Status, silent: Always;
    }
}

/// The querier that a bridge elected.
#[derive(Clone, Copy, Debug)]
pub struct Querier<'a>(pub(crate) &'a Record);

impl Querier<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

records! {
    /// The multicast queriers.
    QuerierOf: Nest QUERIER, Querier;
}

table! {
    /// `BRIDGE_QUERIER_*` in `include/uapi/linux/if_bridge.h`: who asks which multicast groups are wanted.
    pub static QUERIER: "querier", header 0;
    fields querier_row;
    view ['a] Querier<'a>;
    setters [];
    rows {
        /// The IPv4 querier.
        IP_ADDRESS ip_address: Ip4 = Path(&[1]), "BRIDGE_QUERIER_IP_ADDRESS", Status, name: "mcast_querier_ipv4_addr", silent: Always;
        /// The port behind which it is, by the interface's index.
        IP_PORT ip_port: Index = Path(&[2]), "BRIDGE_QUERIER_IP_PORT", Status, name: "mcast_querier_ipv4_port", silent: Always;
        /// How long another IPv4 querier counts, in 1/100 s.
        IP_OTHER_TIMER ip_other_timer: U64 = Path(&[3]), "BRIDGE_QUERIER_IP_OTHER_TIMER", Statistic, name: "mcast_querier_ipv4_other_timer", unit: "1/100 s", form: Hundredths;
        /// The IPv6 querier.
        IPV6_ADDRESS ipv6_address: Ip6 = Path(&[5]), "BRIDGE_QUERIER_IPV6_ADDRESS", Status, name: "mcast_querier_ipv6_addr", silent: Always;
        /// The port behind which it is, by the interface's index.
        IPV6_PORT ipv6_port: Index = Path(&[6]), "BRIDGE_QUERIER_IPV6_PORT", Status, name: "mcast_querier_ipv6_port", silent: Always;
        /// How long another IPv6 querier counts, in 1/100 s.
        IPV6_OTHER_TIMER ipv6_other_timer: U64 = Path(&[7]), "BRIDGE_QUERIER_IPV6_OTHER_TIMER", Statistic, name: "mcast_querier_ipv6_other_timer", unit: "1/100 s", form: Hundredths;
    }
}

table! {
    /// `IFLA_BR_*` in `include/uapi/linux/if_link.h`.
    pub static BRIDGE: "bridge", header 0;
    fields row;
    view ['a] BridgeData<'a>;
    setters [Bridge BridgeOptions];
    rows {
        /// How long a port listens and then learns before it forwards, in 1/100 s: 200 to 3000 while the spanning tree protocol runs, otherwise any.
        FORWARD_DELAY forward_delay: U32 = Path(&[1]), "IFLA_BR_FORWARD_DELAY", Set, keyword: "forward_delay", unit: "1/100 s", silent: WhileDown;
        /// Time between hello messages, 100 to 1000 in 1/100 s.
        HELLO_TIME hello_time: U32 = Path(&[2]), "IFLA_BR_HELLO_TIME", Set, keyword: "hello_time", unit: "1/100 s", range: 100..=1000, silent: WhileDown;
        /// How old a spanning tree message may be, 600 to 4000 in 1/100 s.
        MAX_AGE max_age: U32 = Path(&[3]), "IFLA_BR_MAX_AGE", Set, keyword: "max_age", unit: "1/100 s", range: 600..=4000, silent: WhileDown;
        /// How long a learned address is kept, in 1/100 s; 0 for not at all.
        AGEING_TIME ageing_time: U32 = Path(&[4]), "IFLA_BR_AGEING_TIME", Set, keyword: "ageing_time", unit: "1/100 s", silent: Always;
        /// Whether the spanning tree protocol runs.
        STP_STATE stp_state: Switch<U32> = Path(&[5]), "IFLA_BR_STP_STATE", Set, keyword: "stp_state", form: Plain, silent: WhileDown;
        /// The priority in the spanning tree protocol, 0 to 65535; the lowest becomes the root.
        PRIORITY priority: U16 = Path(&[6]), "IFLA_BR_PRIORITY", Set, keyword: "priority", silent: WhileDown;
        /// Whether frames are sorted by VLAN.
        VLAN_FILTERING vlan_filtering: Switch<U8> = Path(&[7]), "IFLA_BR_VLAN_FILTERING", Set, keyword: "vlan_filtering", form: Plain, silent: WhileDown;
        /// The Ethernet type of VLAN tags.
        VLAN_PROTOCOL vlan_protocol: OneOf<VlanProtocol> = Path(&[8]), "IFLA_BR_VLAN_PROTOCOL", Set, keyword: "vlan_protocol", silent: WhileDown;
        /// Its identifier in the spanning tree protocol.
        BRIDGE_ID bridge_id: BridgeIdOf = Path(&[11]), "IFLA_BR_BRIDGE_ID", Status, form: Custom(show_bridge_id), silent: WhileDown;
        /// The root's identifier in the spanning tree protocol.
        ROOT_ID root_id: BridgeIdOf = Path(&[10]), "IFLA_BR_ROOT_ID", Status, form: Custom(show_root_id), silent: Always;
        /// The port towards the root, by its number in the bridge; 0 on the root itself.
        ROOT_PORT root_port: U16 = Path(&[12]), "IFLA_BR_ROOT_PORT", Status, silent: Always;
        /// The cost of the way to the root.
        ROOT_PATH_COST root_path_cost: U32 = Path(&[13]), "IFLA_BR_ROOT_PATH_COST", Status, silent: Always;
        /// Whether the topology has just changed.
        TOPOLOGY_CHANGE topology_change: Switch<U8> = Path(&[14]), "IFLA_BR_TOPOLOGY_CHANGE", Status, form: Plain, silent: Always;
        /// Whether this bridge has just seen the topology change.
        TOPOLOGY_CHANGE_DETECTED topology_change_detected: Switch<U8> = Path(&[15]), "IFLA_BR_TOPOLOGY_CHANGE_DETECTED", Status, form: Plain, silent: Always;
        /// Time to the next hello message, in 1/100 s.
        HELLO_TIMER hello_timer: U64 = Path(&[16]), "IFLA_BR_HELLO_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// Time to the next message about a changed topology, in 1/100 s.
        TCN_TIMER tcn_timer: U64 = Path(&[17]), "IFLA_BR_TCN_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// How long the topology still counts as changed, in 1/100 s.
        TOPOLOGY_CHANGE_TIMER topology_change_timer: U64 = Path(&[18]), "IFLA_BR_TOPOLOGY_CHANGE_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// Time to the next search for old addresses, in 1/100 s.
        GC_TIMER gc_timer: U64 = Path(&[19]), "IFLA_BR_GC_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// Addresses learned (Linux 6.7).
        FDB_N_LEARNED fdb_n_learned: U32 = Path(&[48]), "IFLA_BR_FDB_N_LEARNED", Statistic;
        /// How many addresses may be learned; 0 for any number (Linux 6.7).
        FDB_MAX_LEARNED fdb_max_learned: U32 = Path(&[49]), "IFLA_BR_FDB_MAX_LEARNED", Set, keyword: "fdb_max_learned", silent: WhileDown;
        /// The VLAN of untagged frames on new ports, 0 to 4094; 0 for none.
        VLAN_DEFAULT_PVID vlan_default_pvid: U16 = Path(&[39]), "IFLA_BR_VLAN_DEFAULT_PVID", Set, keyword: "vlan_default_pvid", range: 0..=4094, silent: WhileDown;
        /// Whether frames are counted by VLAN.
        VLAN_STATS_ENABLED vlan_stats_enabled: Switch<U8> = Path(&[41]), "IFLA_BR_VLAN_STATS_ENABLED", Set, keyword: "vlan_stats_enabled", form: Plain, silent: WhileDown;
        /// Whether frames are counted by VLAN and port; only while the bridge has no VLAN.
        VLAN_STATS_PER_PORT vlan_stats_per_port: Switch<U8> = Path(&[45]), "IFLA_BR_VLAN_STATS_PER_PORT", Set, keyword: "vlan_stats_per_port", form: Plain, silent: WhileDown;
        /// Which frames to the reserved addresses `01:80:c2:00:00:00` to `0f` are forwarded, a bit for each; bits 0 to 2 are refused.
        GROUP_FWD_MASK group_fwd_mask: U16 = Path(&[9]), "IFLA_BR_GROUP_FWD_MASK", Set, keyword: "group_fwd_mask", form: Hex, silent: WhileDown;
        /// The address of spanning tree messages, `01:80:c2:00:00:00` or `04` to `0f`.
        GROUP_ADDR group_addr: Hardware = Path(&[20]), "IFLA_BR_GROUP_ADDR", Set, keyword: "group_address", silent: WhileDown;
        /// Forgets every learned address.
        FDB_FLUSH fdb_flush: Present = Path(&[21]), "IFLA_BR_FDB_FLUSH", Action, keyword: "fdb_flush", argument: NoWord;
        /// Whether multicast is sent only where it is wanted.
        MCAST_SNOOPING mcast_snooping: Switch<U8> = Path(&[23]), "IFLA_BR_MCAST_SNOOPING", Set, keyword: "mcast_snooping", form: Plain, silent: WhileDown;
        /// Whether addresses are not learned from link-local frames.
        NO_LINKLOCAL_LEARN no_linklocal_learn: OptionBit<0> = Path(&[46]), "IFLA_BR_MULTI_BOOLOPT", Set, keyword: "no_linklocal_learn", silent: WhileDown;
        /// Whether multicast snooping works by VLAN (Linux 5.15).
        MCAST_VLAN_SNOOPING mcast_vlan_snooping: OptionBit<1> = Path(&[46]), "IFLA_BR_MULTI_BOOLOPT", Set, keyword: "mcast_vlan_snooping", silent: WhileDown;
        /// Whether several spanning trees are kept, one for a group of VLANs; only while there is no VLAN (Linux 5.18).
        MST_ENABLED mst_enabled: OptionBit<2> = Path(&[46]), "IFLA_BR_MULTI_BOOLOPT", Set, keyword: "mst_enabled", silent: WhileDown;
        /// Whether failures to hand multicast entries to the hardware are announced (Linux 6.16).
        MDB_OFFLOAD_FAIL_NOTIFICATION mdb_offload_fail_notification: OptionBit<3> = Path(&[46]), "IFLA_BR_MULTI_BOOLOPT", Set, keyword: "mdb_offload_fail_notification", silent: WhileDown;
        /// Whether the bridge's own addresses are kept in VLAN 0 only (Linux 6.18).
        FDB_LOCAL_VLAN_0 fdb_local_vlan_0: OptionBit<4> = Path(&[46]), "IFLA_BR_MULTI_BOOLOPT", Set, keyword: "fdb_local_vlan_0", silent: WhileDown;
        /// Whether the bridge itself gets all multicast: 0 never, 1 while there is a querier, 2 always.
        MCAST_ROUTER mcast_router: U8 = Path(&[22]), "IFLA_BR_MCAST_ROUTER", Set, keyword: "mcast_router", range: 0..=2, silent: WhileDown;
        /// Whether multicast queries carry the bridge's own IPv4 address.
        MCAST_QUERY_USE_IFADDR mcast_query_use_ifaddr: Switch<U8> = Path(&[24]), "IFLA_BR_MCAST_QUERY_USE_IFADDR", Set, keyword: "mcast_query_use_ifaddr", form: Plain, silent: WhileDown;
        /// Whether the bridge asks which multicast groups are wanted.
        MCAST_QUERIER mcast_querier: Switch<U8> = Path(&[25]), "IFLA_BR_MCAST_QUERIER", Set, keyword: "mcast_querier", form: Plain, silent: WhileDown;
        /// Who asks which multicast groups are wanted (Linux 5.15).
        MCAST_QUERIER_STATE mcast_querier_state: QuerierOf = Path(&[47]), "IFLA_BR_MCAST_QUERIER_STATE", Status, form: Custom(show_querier), silent: Always;
        /// Without effect since Linux 5.1: always 16.
        MCAST_HASH_ELASTICITY mcast_hash_elasticity: U32 = Path(&[26]), "IFLA_BR_MCAST_HASH_ELASTICITY", Set, keyword: "mcast_hash_elasticity", silent: WhileDown;
        /// How many multicast groups are kept, a power of 2.
        MCAST_HASH_MAX mcast_hash_max: U32 = Path(&[27]), "IFLA_BR_MCAST_HASH_MAX", Set, keyword: "mcast_hash_max", silent: WhileDown;
        /// Queries before a group counts as left.
        MCAST_LAST_MEMBER_CNT mcast_last_member_cnt: U32 = Path(&[28]), "IFLA_BR_MCAST_LAST_MEMBER_CNT", Set, keyword: "mcast_last_member_count", silent: WhileDown;
        /// Queries at the start.
        MCAST_STARTUP_QUERY_CNT mcast_startup_query_cnt: U32 = Path(&[29]), "IFLA_BR_MCAST_STARTUP_QUERY_CNT", Set, keyword: "mcast_startup_query_count", silent: WhileDown;
        /// Time between queries before a group counts as left, in 1/100 s.
        MCAST_LAST_MEMBER_INTVL mcast_last_member_intvl: U64 = Path(&[30]), "IFLA_BR_MCAST_LAST_MEMBER_INTVL", Set, keyword: "mcast_last_member_interval", unit: "1/100 s", silent: WhileDown;
        /// How long a member counts without a report, in 1/100 s.
        MCAST_MEMBERSHIP_INTVL mcast_membership_intvl: U64 = Path(&[31]), "IFLA_BR_MCAST_MEMBERSHIP_INTVL", Set, keyword: "mcast_membership_interval", unit: "1/100 s", silent: WhileDown;
        /// How long another querier counts without a query, in 1/100 s.
        MCAST_QUERIER_INTVL mcast_querier_intvl: U64 = Path(&[32]), "IFLA_BR_MCAST_QUERIER_INTVL", Set, keyword: "mcast_querier_interval", unit: "1/100 s", silent: WhileDown;
        /// Time between queries, 100 to 8640000 in 1/100 s; the kernel moves what is outside to the nearer end.
        MCAST_QUERY_INTVL mcast_query_intvl: U64 = Path(&[33]), "IFLA_BR_MCAST_QUERY_INTVL", Set, range: 100..=8_640_000, keyword: "mcast_query_interval", unit: "1/100 s", silent: WhileDown;
        /// How long members may take to answer, in 1/100 s.
        MCAST_QUERY_RESPONSE_INTVL mcast_query_response_intvl: U64 = Path(&[34]), "IFLA_BR_MCAST_QUERY_RESPONSE_INTVL", Set, keyword: "mcast_query_response_interval", unit: "1/100 s", silent: WhileDown;
        /// Time between queries at the start, 100 to 8640000 in 1/100 s; the kernel moves what is outside to the nearer end.
        MCAST_STARTUP_QUERY_INTVL mcast_startup_query_intvl: U64 = Path(&[35]), "IFLA_BR_MCAST_STARTUP_QUERY_INTVL", Set, range: 100..=8_640_000, keyword: "mcast_startup_query_interval", unit: "1/100 s", silent: WhileDown;
        /// Whether multicast is counted.
        MCAST_STATS_ENABLED mcast_stats_enabled: Switch<U8> = Path(&[42]), "IFLA_BR_MCAST_STATS_ENABLED", Set, keyword: "mcast_stats_enabled", form: Plain, silent: WhileDown;
        /// The IGMP version of queries, 2 or 3.
        MCAST_IGMP_VERSION mcast_igmp_version: U8 = Path(&[43]), "IFLA_BR_MCAST_IGMP_VERSION", Set, keyword: "mcast_igmp_version", range: 2..=3, silent: WhileDown;
        /// The MLD version of queries, 1 or 2.
        MCAST_MLD_VERSION mcast_mld_version: U8 = Path(&[44]), "IFLA_BR_MCAST_MLD_VERSION", Set, keyword: "mcast_mld_version", range: 1..=2, silent: WhileDown;
        /// Whether iptables sees bridged IPv4.
        NF_CALL_IPTABLES nf_call_iptables: Switch<U8> = Path(&[36]), "IFLA_BR_NF_CALL_IPTABLES", Set, keyword: "nf_call_iptables", form: Plain, silent: WhileDown;
        /// Whether ip6tables sees bridged IPv6.
        NF_CALL_IP6TABLES nf_call_ip6tables: Switch<U8> = Path(&[37]), "IFLA_BR_NF_CALL_IP6TABLES", Set, keyword: "nf_call_ip6tables", form: Plain, silent: WhileDown;
        /// Whether arptables sees bridged ARP.
        NF_CALL_ARPTABLES nf_call_arptables: Switch<U8> = Path(&[38]), "IFLA_BR_NF_CALL_ARPTABLES", Set, keyword: "nf_call_arptables", form: Plain, silent: WhileDown;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

/// As `8000.2:0:5e:10:0:1`: iproute2 writes the address without leading zeros.
pub(in super::super) fn bridge_id_text(value: &Value) -> String {
    let Some(id) = value.nested() else { return value.to_string() };
    let address = match id.value(id_row::ADDRESS) {
        Some(Value::Hardware(address)) => short(address),
        _ => String::new(),
    };
    format!("{:04x}.{address}", id.number(id_row::PRIORITY))
}

fn short(address: &HardwareAddress) -> String {
    let bytes: Vec<_> = address.as_bytes().iter().map(|byte| format!("{byte:x}")).collect();
    bytes.join(":")
}

fn show_bridge_id(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("bridge_id".to_owned(), Tree::Text(bridge_id_text(value))));
}

fn show_root_id(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("root_id".to_owned(), Tree::Text(bridge_id_text(value))));
}

/// Its rows one by one among the bridge's own.
fn show_querier(value: &Value, _: &Record, names: &dyn Names, object: Object<'_>) {
    object.extend(value.nested().map(|querier| querier.tree(names)).unwrap_or_default());
}
