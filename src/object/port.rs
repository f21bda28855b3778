//! Bridge ports: `IFLA_INFO_SLAVE_DATA` of an interface whose master is a bridge, and `IFLA_PROTINFO` of a
//! message of family `AF_BRIDGE`, which holds the same attributes (K29).

use super::kinds::bridge::{BridgeIdOf, bridge_id_text};
use super::kinds::new::options;
use super::shape::*;
use super::table::table;
use super::{Named, Names, Record, Tree, Value};

options! {
    BRIDGE_PORT;
    /// The options of a bridge port, as the kernel reports them.
    BridgePortData;
    /// Options of a bridge port to be set.
    BridgePortOptions;
}

names! {
    /// `IFLA_BRPORT_STATE`: the state in the spanning tree protocol.
    enum PortState: u8 as U8 {
        DISABLED = 0 "disabled",
        LISTENING = 1 "listening",
        LEARNING = 2 "learning",
        FORWARDING = 3 "forwarding",
        BLOCKING = 4 "blocking",
    }
}

table! {
    /// `IFLA_BRPORT_*` in `include/uapi/linux/if_link.h`.
    pub static BRIDGE_PORT: "bridge_port", header 0;
    fields row;
    view ['a] BridgePortData<'a>;
    setters [BridgePortOptions];
    rows {
        /// The state in the spanning tree protocol; it can be set only while the kernel's own protocol does not run.
        STATE state: OneOf<PortState> = Path(&[1]), "IFLA_BRPORT_STATE", Set, keyword: "state", argument: Argument::Number, form: Custom(show_state), silent: WhileDown;
        /// The priority in the spanning tree protocol, 0 to 63.
        PRIORITY priority: U16 = Path(&[2]), "IFLA_BRPORT_PRIORITY", Set, keyword: "priority", range: 0..=63, silent: WhileDown;
        /// The cost in the spanning tree protocol, 1 to 65535; the kernel's choice follows the speed until it is set.
        COST cost: U32 = Path(&[3]), "IFLA_BRPORT_COST", Set, keyword: "cost", range: 1..=65535, silent: WhileDown;
        /// Whether a frame may leave by the port it came from.
        MODE hairpin: Switch<U8> = Path(&[4]), "IFLA_BRPORT_MODE", Set, keyword: "hairpin", argument: OnOff, silent: WhileDown;
        /// Whether a spanning tree message received here disables the port.
        GUARD guard: Switch<U8> = Path(&[5]), "IFLA_BRPORT_GUARD", Set, keyword: "guard", argument: OnOff, silent: WhileDown;
        /// Whether the port may never lead to the root.
        PROTECT root_block: Switch<U8> = Path(&[6]), "IFLA_BRPORT_PROTECT", Set, keyword: "root_block", argument: OnOff, silent: WhileDown;
        /// Whether a leave message ends multicast to the port at once.
        FAST_LEAVE fastleave: Switch<U8> = Path(&[7]), "IFLA_BRPORT_FAST_LEAVE", Set, keyword: "fastleave", argument: OnOff, silent: WhileDown;
        /// Whether source addresses are learned.
        LEARNING learning: Switch<U8> = Path(&[8]), "IFLA_BRPORT_LEARNING", Set, keyword: "learning", argument: OnOff, silent: WhileDown;
        /// Whether frames for unknown addresses are sent here.
        UNICAST_FLOOD flood: Switch<U8> = Path(&[9]), "IFLA_BRPORT_UNICAST_FLOOD", Set, keyword: "flood", argument: OnOff, silent: WhileDown;
        /// Priority and number in one, as the spanning tree protocol has it.
        ID id: U16 = Path(&[17]), "IFLA_BRPORT_ID", Status, form: Hex, silent: WhileDown;
        /// The number in the bridge, 1 to 1023.
        NO no: U16 = Path(&[18]), "IFLA_BRPORT_NO", Status, form: Hex;
        /// The designated port of the link.
        DESIGNATED_PORT designated_port: U16 = Path(&[15]), "IFLA_BRPORT_DESIGNATED_PORT", Status, silent: Always;
        /// The cost of the designated way.
        DESIGNATED_COST designated_cost: U16 = Path(&[16]), "IFLA_BRPORT_DESIGNATED_COST", Status, silent: Always;
        /// The designated bridge of the link.
        BRIDGE_ID bridge_id: BridgeIdOf = Path(&[14]), "IFLA_BRPORT_BRIDGE_ID", Status, form: Custom(show_bridge_id), silent: Always;
        /// The root as seen from here.
        ROOT_ID root_id: BridgeIdOf = Path(&[13]), "IFLA_BRPORT_ROOT_ID", Status, form: Custom(show_root_id), silent: Always;
        /// How long no message may be sent, in 1/100 s.
        HOLD_TIMER hold_timer: U64 = Path(&[23]), "IFLA_BRPORT_HOLD_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// How long the last message still counts, in 1/100 s.
        MESSAGE_AGE_TIMER message_age_timer: U64 = Path(&[21]), "IFLA_BRPORT_MESSAGE_AGE_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// Time to the next state, in 1/100 s.
        FORWARD_DELAY_TIMER forward_delay_timer: U64 = Path(&[22]), "IFLA_BRPORT_FORWARD_DELAY_TIMER", Statistic, unit: "1/100 s", form: Hundredths;
        /// Whether the next message acknowledges a changed topology.
        TOPOLOGY_CHANGE_ACK topology_change_ack: Switch<U8> = Path(&[19]), "IFLA_BRPORT_TOPOLOGY_CHANGE_ACK", Status, form: Plain, silent: Always;
        /// Whether a message waits to be sent.
        CONFIG_PENDING config_pending: Switch<U8> = Path(&[20]), "IFLA_BRPORT_CONFIG_PENDING", Status, form: Plain, silent: Always;
        /// Whether ARP requests are answered for machines behind other ports.
        PROXYARP proxy_arp: Switch<U8> = Path(&[10]), "IFLA_BRPORT_PROXYARP", Set, keyword: "proxy_arp", argument: OnOff, silent: WhileDown;
        /// The same, in the way that wireless access points need.
        PROXYARP_WIFI proxy_arp_wifi: Switch<U8> = Path(&[12]), "IFLA_BRPORT_PROXYARP_WIFI", Set, keyword: "proxy_arp_wifi", argument: OnOff, silent: WhileDown;
        /// Whether addresses learned by the hardware are taken over.
        LEARNING_SYNC learning_sync: Switch<U8> = Path(&[11]), "IFLA_BRPORT_LEARNING_SYNC", Set, form: Hidden, silent: WhileDown;
        /// Whether a multicast router is behind the port: 0 never, 1 found out, 2 always, 3 found out, for a while.
        MULTICAST_ROUTER multicast_router: U8 = Path(&[25]), "IFLA_BRPORT_MULTICAST_ROUTER", Set, keyword: "mcast_router", range: 0..=3, silent: WhileDown;
        /// Forgets every address learned from the port.
        FLUSH fdb_flush: Present = Path(&[24]), "IFLA_BRPORT_FLUSH", Action, keyword: "fdb_flush", argument: NoWord;
        /// Whether multicast for unknown groups is sent here.
        MCAST_FLOOD mcast_flood: Switch<U8> = Path(&[27]), "IFLA_BRPORT_MCAST_FLOOD", Set, keyword: "mcast_flood", argument: OnOff, silent: WhileDown;
        /// Whether broadcast is sent here.
        BCAST_FLOOD bcast_flood: Switch<U8> = Path(&[30]), "IFLA_BRPORT_BCAST_FLOOD", Set, keyword: "bcast_flood", argument: OnOff, silent: WhileDown;
        /// Whether multicast is sent as unicast to each member.
        MCAST_TO_UCAST mcast_to_unicast: Switch<U8> = Path(&[28]), "IFLA_BRPORT_MCAST_TO_UCAST", Set, keyword: "mcast_to_unicast", argument: OnOff, silent: WhileDown;
        /// Whether ARP and neighbour solicitations are not sent here when the bridge knows the answer.
        NEIGH_SUPPRESS neigh_suppress: Switch<U8> = Path(&[32]), "IFLA_BRPORT_NEIGH_SUPPRESS", Set, keyword: "neigh_suppress", argument: OnOff, silent: WhileDown;
        /// The same, VLAN by VLAN (Linux 6.4).
        NEIGH_VLAN_SUPPRESS neigh_vlan_suppress: Switch<U8> = Path(&[43]), "IFLA_BRPORT_NEIGH_VLAN_SUPPRESS", Set, keyword: "neigh_vlan_suppress", argument: OnOff, silent: WhileDown;
        /// Which frames to the reserved addresses `01:80:c2:00:00:00` to `0f` are forwarded, a bit for each.
        GROUP_FWD_MASK group_fwd_mask: U16 = Path(&[31]), "IFLA_BRPORT_GROUP_FWD_MASK", Set, keyword: "group_fwd_mask", argument: Argument::Number, form: Custom(show_forward_mask), silent: WhileDown;
        /// Whether VLANs are mapped to tunnels.
        VLAN_TUNNEL vlan_tunnel: Switch<U8> = Path(&[29]), "IFLA_BRPORT_VLAN_TUNNEL", Set, keyword: "vlan_tunnel", argument: OnOff, silent: WhileDown;
        /// Whether frames from here are not sent to other isolated ports.
        ISOLATED isolated: Switch<U8> = Path(&[33]), "IFLA_BRPORT_ISOLATED", Set, keyword: "isolated", argument: OnOff, silent: WhileDown;
        /// Whether only frames from known addresses are taken (Linux 5.18).
        LOCKED locked: Switch<U8> = Path(&[39]), "IFLA_BRPORT_LOCKED", Set, keyword: "locked", argument: OnOff, silent: WhileDown;
        /// On a locked port: whether unknown addresses are announced as locked entries (Linux 6.2).
        MAB mab: Switch<U8> = Path(&[40]), "IFLA_BRPORT_MAB", Set, keyword: "mab", argument: OnOff, silent: WhileDown;
        /// The port that takes over while this one is down, by the interface's index.
        BACKUP_PORT backup_port: Interface = Path(&[34]), "IFLA_BRPORT_BACKUP_PORT", Set, keyword: "backup_port", none: Some(0), silent: WhileDown;
        /// The next hop that frames sent to the backup port take (Linux 6.6); 0 for none.
        BACKUP_NHID backup_nhid: U32 = Path(&[44]), "IFLA_BRPORT_BACKUP_NHID", Set, form: NotZero, keyword: "backup_nhid", silent: WhileDown;
        /// Whether the MRP ring is open here.
        MRP_RING_OPEN mrp_ring_open: Switch<U8> = Path(&[35]), "IFLA_BRPORT_MRP_RING_OPEN", Status, form: Hidden;
        /// Whether the MRP interconnection is open here.
        MRP_IN_OPEN mrp_in_open: Switch<U8> = Path(&[36]), "IFLA_BRPORT_MRP_IN_OPEN", Status, form: Hidden;
        /// How many multicast hosts are tracked at most.
        MCAST_EHT_HOSTS_LIMIT mcast_eht_hosts_limit: U32 = Path(&[37]), "IFLA_BRPORT_MCAST_EHT_HOSTS_LIMIT", Set, form: Hidden, silent: WhileDown;
        /// How many multicast hosts are tracked.
        MCAST_EHT_HOSTS_CNT mcast_eht_hosts_cnt: U32 = Path(&[38]), "IFLA_BRPORT_MCAST_EHT_HOSTS_CNT", Statistic, form: Hidden;
        /// How many multicast groups have members here (Linux 6.3).
        MCAST_N_GROUPS mcast_n_groups: U32 = Path(&[41]), "IFLA_BRPORT_MCAST_N_GROUPS", Statistic;
        /// How many multicast groups may have members here; 0 for any number (Linux 6.3).
        MCAST_MAX_GROUPS mcast_max_groups: U32 = Path(&[42]), "IFLA_BRPORT_MCAST_MAX_GROUPS", Set, keyword: "mcast_max_groups", silent: WhileDown;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn show_state(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    object.push(match PortState::NAMES.iter().find(|(n, _)| *n == number) {
        Some((_, name)) => ("state".to_owned(), Tree::from(*name)),
        None => ("state_index".to_owned(), Tree::Number(number)),
    });
}

fn show_bridge_id(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("bridge_id".to_owned(), Tree::Text(bridge_id_text(value))));
}

fn show_root_id(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("root_id".to_owned(), Tree::Text(bridge_id_text(value))));
}

/// As a number, and as the names of the protocols.
fn show_forward_mask(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let mask = value.number().unwrap_or(0);
    let number = if mask == 0 { "0".to_owned() } else { format!("{mask:#x}") };
    object.push(("group_fwd_mask".to_owned(), Tree::Text(number)));
    let bit = |i: u32| match i {
        0 => "stp".to_owned(),
        2 => "lacp".to_owned(),
        14 => "lldp".to_owned(),
        _ => format!("{:#x}", 1u32 << i),
    };
    let bits: Vec<_> = (0..16).filter(|i| mask & (1 << i) != 0).map(bit).collect();
    let text = if bits.is_empty() { "0x0".to_owned() } else { bits.join(",") };
    object.push(("group_fwd_mask_str".to_owned(), Tree::Text(text)));
}
