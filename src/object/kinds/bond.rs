//! `bond`: several interfaces that act as one, and what each of them is as its port (a slave, in the kernel's word).

use super::super::shape::*;
use super::super::table::table;
use super::super::{Named, Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use crate::wire::HardwareAddress;

new_links! {
    /// A bond to be created.
    ///
    /// The kernel's default mode is `BALANCE_RR`. Nobody looks at the carriers of the ports unless `miimon` or
    /// `arp_interval` is set.
    Bond;
}

impl Bond {
    /// A bond of this name, 1 to 15 bytes.
    pub fn new(name: &str) -> Self {
        Bond(NewLink::with_kind(name, "bond"))
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&BOND))
    }
}

options! {
    BOND;
    /// The options of a bond, as the kernel reports them.
    BondData;
    /// Options of a bond to be set.
    BondOptions;
}

options! {
    BOND_PORT;
    /// What an interface is as the port of a bond, as the kernel reports it.
    BondPortData;
    /// Options of a port of a bond to be set.
    BondPortOptions;
}

names! {
    /// `IFLA_BOND_MODE`: which port sends what.
    enum BondMode: u8 as U8 {
        BALANCE_RR = 0 "balance-rr",
        ACTIVE_BACKUP = 1 "active-backup",
        BALANCE_XOR = 2 "balance-xor",
        BROADCAST = 3 "broadcast",
        AD = 4 "802.3ad",
        BALANCE_TLB = 5 "balance-tlb",
        BALANCE_ALB = 6 "balance-alb",
    }
}

names! {
    /// `IFLA_BOND_ARP_VALIDATE`: on which ports ARP answers are looked into, or everything else is ignored.
    enum ArpValidate: u32 as U32 {
        NONE = 0 "none",
        ACTIVE = 1 "active",
        BACKUP = 2 "backup",
        ALL = 3 "all",
        FILTER = 4 "filter",
        FILTER_ACTIVE = 5 "filter_active",
        FILTER_BACKUP = 6 "filter_backup",
    }
}

names! {
    /// `IFLA_BOND_ARP_ALL_TARGETS`: how many targets must answer.
    enum ArpAllTargets: u32 as U32 {
        ANY = 0 "any",
        ALL = 1 "all",
    }
}

names! {
    /// `IFLA_BOND_PRIMARY_RESELECT`: when the primary becomes the active port again.
    enum PrimaryReselect: u8 as U8 {
        ALWAYS = 0 "always",
        BETTER = 1 "better",
        FAILURE = 2 "failure",
    }
}

names! {
    /// `IFLA_BOND_FAIL_OVER_MAC`: whose hardware address is whose in mode `ACTIVE_BACKUP`.
    enum FailOverMac: u8 as U8 {
        NONE = 0 "none",
        ACTIVE = 1 "active",
        FOLLOW = 2 "follow",
    }
}

names! {
    /// `IFLA_BOND_XMIT_HASH_POLICY`: by what the port for a packet is chosen.
    enum XmitHashPolicy: u8 as U8 {
        LAYER2 = 0 "layer2",
        LAYER34 = 1 "layer3+4",
        LAYER23 = 2 "layer2+3",
        ENCAP23 = 3 "encap2+3",
        ENCAP34 = 4 "encap3+4",
        VLAN_SRCMAC = 5 "vlan+srcmac",
    }
}

names! {
    /// `IFLA_BOND_AD_LACP_RATE`: how often the partner is asked to send.
    enum LacpRate: u8 as U8 {
        SLOW = 0 "slow",
        FAST = 1 "fast",
    }
}

names! {
    /// `IFLA_BOND_AD_LACP_ACTIVE`: whether LACP is spoken without being asked.
    enum LacpActive: u8 as U8 {
        OFF = 0 "off",
        ON = 1 "on",
    }
}

names! {
    /// `IFLA_BOND_AD_SELECT`: when another aggregator is chosen.
    enum AdSelect: u8 as U8 {
        STABLE = 0 "stable",
        BANDWIDTH = 1 "bandwidth",
        COUNT = 2 "count",
    }
}

/// The aggregator of a bond in mode 802.3ad.
#[derive(Clone, Copy, Debug)]
pub struct AdInfo<'a>(pub(crate) &'a Record);

impl AdInfo<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

records! {
    /// The aggregator of a bond in mode 802.3ad.
    AdInfoOf: Nest AD_INFO, AdInfo;
}

table! {
    /// `IFLA_BOND_AD_INFO_*` in `include/uapi/linux/if_link.h`.
    pub static AD_INFO: "ad_info", header 0;
    fields ad_info_row;
    view ['a] AdInfo<'a>;
    setters [];
    rows {
        /// Its number.
        AGGREGATOR aggregator: U16 = Path(&[1]), "IFLA_BOND_AD_INFO_AGGREGATOR", Status, silent: Always;
        /// How many ports it has.
        NUM_PORTS num_ports: U16 = Path(&[2]), "IFLA_BOND_AD_INFO_NUM_PORTS", Status, silent: Always;
        /// The key of this end.
        ACTOR_KEY actor_key: U16 = Path(&[3]), "IFLA_BOND_AD_INFO_ACTOR_KEY", Status, silent: Always;
        /// The key of the other end.
        PARTNER_KEY partner_key: U16 = Path(&[4]), "IFLA_BOND_AD_INFO_PARTNER_KEY", Status, silent: Always;
        /// The system of the other end.
        PARTNER_MAC partner_mac: Hardware = Path(&[5]), "IFLA_BOND_AD_INFO_PARTNER_MAC", Status, silent: Always;
    }
}

const INT_MAX: u64 = 2_147_483_647;

table! {
    /// `IFLA_BOND_*` in `include/uapi/linux/if_link.h`.
    pub static BOND: "bond", header 0;
    fields row;
    view ['a] BondData<'a>;
    setters [Bond BondOptions];
    rows {
        /// Which port sends what; only while the bond is down and has no ports.
        MODE mode: OneOf<BondMode> = Path(&[1]), "IFLA_BOND_MODE", Set, keyword: "mode", silent: WhileDown;
        /// The port that is used, by its index; in modes `ACTIVE_BACKUP`, `BALANCE_TLB` and `BALANCE_ALB`. The kernel takes another one when that fails.
        ACTIVE_SLAVE active_slave: Interface = Path(&[2]), "IFLA_BOND_ACTIVE_SLAVE", Set, keyword: "active_slave", none: Some(0), silent: Always;
        /// Time between looks at the carriers, 0 to 2147483647 ms; 0 for none. Ends looking by ARP.
        MIIMON miimon: U32 = Path(&[3]), "IFLA_BOND_MIIMON", Set, keyword: "miimon", unit: "ms", range: 0..=INT_MAX, silent: WhileDown;
        /// How long a carrier must be there before the port is used, 0 to 2147483647 ms; a multiple of `miimon`, without which there is none.
        UPDELAY updelay: U32 = Path(&[4]), "IFLA_BOND_UPDELAY", Set, keyword: "updelay", unit: "ms", range: 0..=INT_MAX, silent: WhileDown;
        /// How long a carrier must be gone before the port is not used, 0 to 2147483647 ms; a multiple of `miimon`, without which there is none.
        DOWNDELAY downdelay: U32 = Path(&[5]), "IFLA_BOND_DOWNDELAY", Set, keyword: "downdelay", unit: "ms", range: 0..=INT_MAX, silent: WhileDown;
        /// Time between announcements after the port in use has changed, 0 to 300000 ms; a multiple of `miimon`, without which there is none.
        PEER_NOTIF_DELAY peer_notif_delay: U32 = Path(&[28]), "IFLA_BOND_PEER_NOTIF_DELAY", Set, name: "peer_notify_delay", keyword: "peer_notify_delay", unit: "ms", range: 0..=300_000, silent: WhileDown;
        /// Whether `miimon` looks at what the driver says of the carrier; always since Linux 6.18.
        USE_CARRIER use_carrier: Switch<U8> = Path(&[6]), "IFLA_BOND_USE_CARRIER", Set, keyword: "use_carrier", form: Plain, silent: WhileDown;
        /// Time between ARP requests to the targets, 0 to 2147483647 ms; 0 for none. Not in modes `AD`, `BALANCE_TLB` and `BALANCE_ALB`; ends looking at the carriers.
        ARP_INTERVAL arp_interval: U32 = Path(&[7]), "IFLA_BOND_ARP_INTERVAL", Set, keyword: "arp_interval", unit: "ms", range: 0..=INT_MAX, silent: WhileDown;
        /// How many ARP requests may stay without an answer, 1 to 255 (Linux 5.17).
        MISSED_MAX arp_missed_max: U8 = Path(&[30]), "IFLA_BOND_MISSED_MAX", Set, keyword: "arp_missed_max", range: 1..=255, silent: WhileDown;
        /// Who is asked by ARP: up to 16 IPv4 addresses, in their order, instead of those that there are. Absent when there are none.
        ARP_IP_TARGET arp_ip_target: Ips = Path(&[8]), "IFLA_BOND_ARP_IP_TARGET", Set, keyword: "arp_ip_target", silent: WhileDown;
        /// Who is asked by neighbour discovery: up to 16 IPv6 addresses, in their order, instead of those that there are. Absent when there are none (Linux 5.18).
        NS_IP6_TARGET ns_ip6_target: Ips = Path(&[31]), "IFLA_BOND_NS_IP6_TARGET", Set, keyword: "ns_ip6_target", silent: WhileDown;
        /// On which ports ARP answers are looked into; not in modes `AD`, `BALANCE_TLB` and `BALANCE_ALB`.
        ARP_VALIDATE arp_validate: OneOf<ArpValidate> = Path(&[9]), "IFLA_BOND_ARP_VALIDATE", Set, keyword: "arp_validate", form: Custom(show_validate), argument: By(validate_words), silent: WhileDown;
        /// How many targets must answer.
        ARP_ALL_TARGETS arp_all_targets: OneOf<ArpAllTargets> = Path(&[10]), "IFLA_BOND_ARP_ALL_TARGETS", Set, keyword: "arp_all_targets", silent: WhileDown;
        /// The port that is used while it can be, by its index; in modes `ACTIVE_BACKUP`, `BALANCE_TLB` and `BALANCE_ALB`. The kernel tells it while it is a port.
        PRIMARY primary: Interface = Path(&[11]), "IFLA_BOND_PRIMARY", Set, keyword: "primary", none: Some(0), silent: WhileDown;
        /// When the primary becomes the active port again.
        PRIMARY_RESELECT primary_reselect: OneOf<PrimaryReselect> = Path(&[12]), "IFLA_BOND_PRIMARY_RESELECT", Set, keyword: "primary_reselect", silent: WhileDown;
        /// Whose hardware address is whose; only while the bond has no ports.
        FAIL_OVER_MAC fail_over_mac: OneOf<FailOverMac> = Path(&[13]), "IFLA_BOND_FAIL_OVER_MAC", Set, keyword: "fail_over_mac", silent: WhileDown;
        /// By what the port for a packet is chosen.
        XMIT_HASH_POLICY xmit_hash_policy: OneOf<XmitHashPolicy> = Path(&[14]), "IFLA_BOND_XMIT_HASH_POLICY", Set, keyword: "xmit_hash_policy", silent: WhileDown;
        /// How many IGMP reports are sent after the port in use has changed, 0 to 255.
        RESEND_IGMP resend_igmp: U32 = Path(&[15]), "IFLA_BOND_RESEND_IGMP", Set, keyword: "resend_igmp", range: 0..=255, silent: WhileDown;
        /// How many announcements are sent after the port in use has changed, 0 to 255.
        NUM_PEER_NOTIF num_peer_notif: U8 = Path(&[16]), "IFLA_BOND_NUM_PEER_NOTIF", Set, keyword: "num_grat_arp", silent: WhileDown;
        /// Whether frames are received from ports that are not in use.
        ALL_SLAVES_ACTIVE all_slaves_active: Switch<U8> = Path(&[17]), "IFLA_BOND_ALL_SLAVES_ACTIVE", Set, keyword: "all_slaves_active", form: Plain, silent: WhileDown;
        /// How many ports must be there for the bond to have a carrier, 0 to 2147483647.
        MIN_LINKS min_links: U32 = Path(&[18]), "IFLA_BOND_MIN_LINKS", Set, keyword: "min_links", range: 0..=INT_MAX, silent: WhileDown;
        /// Time between learning packets, 1 to 2147483647 s.
        LP_INTERVAL lp_interval: U32 = Path(&[19]), "IFLA_BOND_LP_INTERVAL", Set, keyword: "lp_interval", unit: "s", range: 1..=INT_MAX, silent: WhileDown;
        /// Packets before the next port has its turn, 0 to 65535; 0 for a random port. Only in mode `BALANCE_RR`.
        PACKETS_PER_SLAVE packets_per_slave: U32 = Path(&[20]), "IFLA_BOND_PACKETS_PER_SLAVE", Set, keyword: "packets_per_slave", unit: "packets", range: 0..=65535, silent: WhileDown;
        /// Whether LACP is spoken without being asked; only in mode `AD`, while the bond is down (Linux 5.14).
        AD_LACP_ACTIVE ad_lacp_active: OneOf<LacpActive> = Path(&[29]), "IFLA_BOND_AD_LACP_ACTIVE", Set, keyword: "lacp_active", silent: WhileDown;
        /// How often the partner is asked to send; only in mode `AD`, while the bond is down.
        AD_LACP_RATE ad_lacp_rate: OneOf<LacpRate> = Path(&[21]), "IFLA_BOND_AD_LACP_RATE", Set, keyword: "lacp_rate", silent: WhileDown;
        /// When another aggregator is chosen; only while the bond is down.
        AD_SELECT ad_select: OneOf<AdSelect> = Path(&[22]), "IFLA_BOND_AD_SELECT", Set, keyword: "ad_select", silent: WhileDown;
        /// The aggregator in use, in mode `AD`.
        AD_INFO ad_info: AdInfoOf = Path(&[23]), "IFLA_BOND_AD_INFO", Status, silent: Always;
        /// The priority of this system, 1 to 65535; only in mode `AD`.
        AD_ACTOR_SYS_PRIO ad_actor_sys_prio: U16 = Path(&[24]), "IFLA_BOND_AD_ACTOR_SYS_PRIO", Set, keyword: "ad_actor_sys_prio", range: 1..=65535, silent: WhileDown;
        /// The user's part of the ports' keys, 0 to 1023; only in mode `AD`, while the bond is down.
        AD_USER_PORT_KEY ad_user_port_key: U16 = Path(&[25]), "IFLA_BOND_AD_USER_PORT_KEY", Set, keyword: "ad_user_port_key", range: 0..=1023, silent: WhileDown;
        /// The address of this system, no group address; only in mode `AD`. 00:00:00:00:00:00 is the bond's own.
        AD_ACTOR_SYSTEM ad_actor_system: Hardware = Path(&[26]), "IFLA_BOND_AD_ACTOR_SYSTEM", Set, keyword: "ad_actor_system", silent: WhileDown;
        /// Whether the load decides on the port; in modes `BALANCE_TLB` and `BALANCE_ALB`, while the bond is down.
        TLB_DYNAMIC_LB tlb_dynamic_lb: Switch<U8> = Path(&[27]), "IFLA_BOND_TLB_DYNAMIC_LB", Set, keyword: "tlb_dynamic_lb", form: Plain, argument: ZeroOne, silent: WhileDown;
        /// Whether a port collects and distributes at the same time; only in mode `AD`, while the bond is down (Linux 6.9).
        COUPLED_CONTROL coupled_control: Switch<U8> = Path(&[32]), "IFLA_BOND_COUPLED_CONTROL", Set, keyword: "coupled_control", argument: OnOff, silent: WhileDown;
        /// Whether ARP and neighbour discovery are sent by every port; only in mode `AD` (Linux 6.17).
        BROADCAST_NEIGH broadcast_neighbor: Switch<U8> = Path(&[33]), "IFLA_BOND_BROADCAST_NEIGH", Set, keyword: "broadcast_neighbor", argument: OnOff, silent: WhileDown;
    }
}

names! {
    /// `IFLA_BOND_SLAVE_STATE`: whether the port is used.
    enum BondPortState: u8 as U8 {
        ACTIVE = 0 "ACTIVE",
        BACKUP = 1 "BACKUP",
    }
}

names! {
    /// `IFLA_BOND_SLAVE_MII_STATUS`: what the bond thinks of the port's carrier.
    enum MiiStatus: u8 as U8 {
        UP = 0 "UP",
        GOING_DOWN = 1 "GOING_DOWN",
        DOWN = 2 "DOWN",
        GOING_BACK = 3 "GOING_BACK",
    }
}

names! {
    /// `IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE` and the partner's: the state of a port in LACP.
    bits LacpState: u16 as U16 {
        ACTIVE = 0x01 "active",
        SHORT_TIMEOUT = 0x02 "short_timeout",
        AGGREGATING = 0x04 "aggregating",
        IN_SYNC = 0x08 "in_sync",
        COLLECTING = 0x10 "collecting",
        DISTRIBUTING = 0x20 "distributing",
        DEFAULTED = 0x40 "defaulted",
        EXPIRED = 0x80 "expired",
    }
}

table! {
    /// `IFLA_BOND_SLAVE_*` in `include/uapi/linux/if_link.h`.
    pub static BOND_PORT: "bond_port", header 0;
    fields port_row;
    view ['a] BondPortData<'a>;
    setters [BondPortOptions];
    rows {
        /// Whether the port is used.
        STATE state: OneOf<BondPortState> = Path(&[1]), "IFLA_BOND_SLAVE_STATE", Status, silent: Always;
        /// What the bond thinks of the port's carrier.
        MII_STATUS mii_status: OneOf<MiiStatus> = Path(&[2]), "IFLA_BOND_SLAVE_MII_STATUS", Status, silent: Always;
        /// How often its carrier was lost.
        LINK_FAILURE_COUNT link_failure_count: U32 = Path(&[3]), "IFLA_BOND_SLAVE_LINK_FAILURE_COUNT", Statistic;
        /// The hardware address that it had before, and gets back.
        PERM_HWADDR perm_hwaddr: Hardware = Path(&[4]), "IFLA_BOND_SLAVE_PERM_HWADDR", Status;
        /// The transmit queue that is the port's, 0 to the bond's last one; 0 for none.
        QUEUE_ID queue_id: U16 = Path(&[5]), "IFLA_BOND_SLAVE_QUEUE_ID", Set, keyword: "queue_id", silent: WhileDown;
        /// The priority among ports that could be used, -2147483648 to 2147483647; the highest wins (Linux 6.0).
        PRIO prio: I32 = Path(&[9]), "IFLA_BOND_SLAVE_PRIO", Set, keyword: "prio", silent: WhileDown;
        /// The number of its aggregator, in mode 802.3ad.
        AD_AGGREGATOR_ID ad_aggregator_id: U16 = Path(&[6]), "IFLA_BOND_SLAVE_AD_AGGREGATOR_ID", Status, silent: Always;
        /// Its state in LACP at this end: the bits of [`LacpState`].
        AD_ACTOR_OPER_PORT_STATE ad_actor_oper_port_state: U8 = Path(&[7]), "IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE", Status, form: Custom(show_actor), silent: Always;
        /// Its state in LACP at the other end.
        AD_PARTNER_OPER_PORT_STATE ad_partner_oper_port_state: BitsOf<LacpState> = Path(&[8]), "IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE", Status, form: Custom(show_partner), silent: Always;
        /// Its priority in LACP, 0 to 65535; the lowest wins (Linux 6.18).
        ACTOR_PORT_PRIO actor_port_prio: U16 = Path(&[10]), "IFLA_BOND_SLAVE_ACTOR_PORT_PRIO", Set, keyword: "actor_port_prio", silent: WhileDown;
        /// Whether this end has been found out of step: 0 not yet, 1 yes, 2 no (Linux 6.19).
        AD_CHURN_ACTOR_STATE ad_churn_actor_state: U8 = Path(&[11]), "IFLA_BOND_SLAVE_AD_CHURN_ACTOR_STATE", Status, form: Hidden, silent: Always;
        /// Whether the other end has been found out of step: 0 not yet, 1 yes, 2 no (Linux 6.19).
        AD_CHURN_PARTNER_STATE ad_churn_partner_state: U8 = Path(&[12]), "IFLA_BOND_SLAVE_AD_CHURN_PARTNER_STATE", Status, form: Hidden, silent: Always;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn validate(value: &Value) -> String {
    ArpValidate::from_number(value.number().unwrap_or(0)).to_string()
}

/// None as null.
fn show_validate(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let tree = if value.number() == Some(0) { Tree::Null } else { Tree::Text(validate(value)) };
    object.push(("arp_validate".to_owned(), tree));
}

fn validate_words(value: &Value) -> String {
    format!("arp_validate {}", validate(value))
}

/// As a number, and as the names of its bits.
fn show_lacp(key: &str, value: &Value, object: Object<'_>) {
    let number = value.number().unwrap_or(0);
    let names = LacpState(number as u16).names().map(Tree::from).collect();
    object.push((key.to_owned(), Tree::Number(number)));
    object.push((format!("{key}_str"), Tree::List(names)));
}

fn show_actor(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_lacp("ad_actor_oper_port_state", value, object);
}

fn show_partner(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    show_lacp("ad_partner_oper_port_state", value, object);
}

/// The system address that is the bond's own.
pub(crate) const OWN_SYSTEM: [u8; 6] = [0; 6];

impl BondData<'_> {
    /// The address of this system, in mode 802.3ad: one of its own, or else the bond's.
    pub fn own_actor_system(&self) -> Option<HardwareAddress> {
        self.ad_actor_system().filter(|address| address.as_bytes() != OWN_SYSTEM)
    }
}
