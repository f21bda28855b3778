//! The options of bridges and bridge ports: one row each, in the order in which the kernel tells them, and
//! setting them in the order in which `br_changelink` and `br_setport` do.

use std::collections::BTreeMap;

use super::Kernel;
use super::bridge::{Bridge, Port, State};
use super::wire::{Answer, Attributes, Policy, Refusal, Writer};

pub const FORWARD_DELAY: u16 = 1;
pub const HELLO_TIME: u16 = 2;
pub const MAX_AGE: u16 = 3;
pub const AGEING_TIME: u16 = 4;
pub const STP_STATE: u16 = 5;
pub const PRIORITY: u16 = 6;
pub const VLAN_FILTERING: u16 = 7;
pub const GROUP_FWD_MASK: u16 = 9;
pub const ROOT_ID: u16 = 10;
pub const BRIDGE_ID: u16 = 11;
pub const GROUP_ADDR: u16 = 20;
pub const MCAST_SNOOPING: u16 = 23;
pub const MCAST_QUERIER: u16 = 25;
pub const MCAST_IGMP_VERSION: u16 = 43;
pub const MULTI_BOOLOPT: u16 = 46;

pub const BRPORT_STATE: u16 = 1;
pub const BRPORT_PRIORITY: u16 = 2;
pub const BRPORT_COST: u16 = 3;

/// Number, width in bytes, default, what may be written.
type Row = (u16, usize, u64, Write);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// Told only; a request that names it is not looked at.
    Never,
    Any,
    /// Everything but 0 is 1.
    Flag,
    /// In 1/100 s, kept in jiffies of 4 ms: what is read back may be 1 less (HZ=250).
    Time,
    /// Likewise, and ERANGE outside.
    TimeWithin(u64, u64),
    /// ERANGE outside.
    Within(u64, u64),
    /// EINVAL outside.
    Valid(u64, u64),
    /// EINVAL when one of these bits is set.
    Without(u64),
    /// Has a line of its own.
    Special,
}
use Write::*;

const BRIDGE: &[Row] = &[
    (16, 8, 0, Never), // HELLO_TIMER
    (17, 8, 0, Never), // TCN_TIMER
    (18, 8, 0, Never), // TOPOLOGY_CHANGE_TIMER
    (19, 8, 0, Never), // GC_TIMER
    (FORWARD_DELAY, 4, 1500, Special),
    (HELLO_TIME, 4, 200, TimeWithin(100, 1000)),
    (MAX_AGE, 4, 2000, TimeWithin(600, 4000)),
    (AGEING_TIME, 4, 30000, Time),
    (STP_STATE, 4, 0, Special),
    (PRIORITY, 2, 32768, Any),
    (VLAN_FILTERING, 1, 0, Special),
    (GROUP_FWD_MASK, 2, 0, Without(0x7)),
    (BRIDGE_ID, 8, 0, Never),
    (ROOT_ID, 8, 0, Never),
    (12, 2, 0, Never), // ROOT_PORT
    (13, 4, 0, Never), // ROOT_PATH_COST
    (14, 1, 0, Never), // TOPOLOGY_CHANGE
    (15, 1, 0, Never), // TOPOLOGY_CHANGE_DETECTED
    (GROUP_ADDR, 6, 0, Special),
    (MULTI_BOOLOPT, 8, 0, Special),
    (48, 4, 0, Never),                       // FDB_N_LEARNED
    (49, 4, 0, Any),                         // FDB_MAX_LEARNED
    (22, 1, 1, Valid(0, 2)),                 // MCAST_ROUTER
    (MCAST_SNOOPING, 1, 1, Flag),            // MCAST_SNOOPING
    (24, 1, 0, Flag),                        // MCAST_QUERY_USE_IFADDR
    (MCAST_QUERIER, 1, 0, Flag),             // MCAST_QUERIER
    (42, 1, 0, Flag),                        // MCAST_STATS_ENABLED
    (26, 4, 16, Never),                      // MCAST_HASH_ELASTICITY, fixed since 5.0
    (27, 4, 4096, Any),                      // MCAST_HASH_MAX
    (28, 4, 2, Any),                         // MCAST_LAST_MEMBER_CNT
    (29, 4, 2, Any),                         // MCAST_STARTUP_QUERY_CNT
    (MCAST_IGMP_VERSION, 1, 2, Valid(2, 3)), // MCAST_IGMP_VERSION
    (44, 1, 1, Valid(1, 2)),                 // MCAST_MLD_VERSION
    (30, 8, 100, Time),                      // MCAST_LAST_MEMBER_INTVL
    (31, 8, 26000, Time),                    // MCAST_MEMBERSHIP_INTVL
    (32, 8, 25500, Time),                    // MCAST_QUERIER_INTVL
    (33, 8, 12500, Time),                    // MCAST_QUERY_INTVL
    (34, 8, 1000, Time),                     // MCAST_QUERY_RESPONSE_INTVL
    (35, 8, 3124, Time),                     // MCAST_STARTUP_QUERY_INTVL
    (36, 1, 0, Flag),                        // NF_CALL_IPTABLES
    (37, 1, 0, Flag),                        // NF_CALL_IP6TABLES
    (38, 1, 0, Flag),                        // NF_CALL_ARPTABLES
];

const PORT: &[Row] = &[
    (BRPORT_STATE, 1, 0, Special),
    (BRPORT_PRIORITY, 2, 32, Within(0, 63)),
    (BRPORT_COST, 4, 100, Within(1, 65535)),
    (4, 1, 0, Flag),          // MODE (hairpin)
    (5, 1, 0, Flag),          // GUARD
    (6, 1, 0, Flag),          // PROTECT (root block)
    (7, 1, 0, Flag),          // FAST_LEAVE
    (28, 1, 0, Flag),         // MCAST_TO_UCAST
    (8, 1, 1, Flag),          // LEARNING
    (9, 1, 1, Flag),          // UNICAST_FLOOD
    (27, 1, 1, Flag),         // MCAST_FLOOD
    (30, 1, 1, Flag),         // BCAST_FLOOD
    (10, 1, 0, Flag),         // PROXYARP
    (12, 1, 0, Flag),         // PROXYARP_WIFI
    (13, 8, 0, Never),        // ROOT_ID
    (14, 8, 0, Never),        // BRIDGE_ID
    (15, 2, 0, Never),        // DESIGNATED_PORT
    (16, 2, 0, Never),        // DESIGNATED_COST
    (17, 2, 0, Never),        // ID
    (18, 2, 0, Never),        // NO
    (19, 1, 0, Never),        // TOPOLOGY_CHANGE_ACK
    (20, 1, 0, Never),        // CONFIG_PENDING
    (29, 1, 0, Flag),         // VLAN_TUNNEL
    (31, 2, 0, Without(0x2)), // GROUP_FWD_MASK
    (32, 1, 0, Flag),         // NEIGH_SUPPRESS
    (35, 1, 0, Never),        // MRP_RING_OPEN
    (36, 1, 0, Never),        // MRP_IN_OPEN
    (33, 1, 0, Flag),         // ISOLATED
    (39, 1, 0, Flag),         // LOCKED
    (40, 1, 0, Flag),         // MAB
    (43, 1, 0, Flag),         // NEIGH_VLAN_SUPPRESS
    (21, 8, 0, Never),        // MESSAGE_AGE_TIMER
    (22, 8, 0, Never),        // FORWARD_DELAY_TIMER
    (23, 8, 0, Never),        // HOLD_TIMER
    (25, 1, 1, Valid(0, 3)),  // MULTICAST_ROUTER
    (37, 4, 512, Any),        // MCAST_EHT_HOSTS_LIMIT
    (38, 4, 0, Never),        // MCAST_EHT_HOSTS_CNT
    (41, 4, 0, Never),        // MCAST_N_GROUPS
    (42, 4, 0, Any),          // MCAST_MAX_GROUPS
];

pub fn bridge_default(id: u16) -> u64 {
    BRIDGE.iter().find(|row| row.0 == id).map_or(0, |row| row.2)
}

pub fn port_default(id: u16) -> u64 {
    PORT.iter().find(|row| row.0 == id).map_or(0, |row| row.2)
}

/// IFLA_INFO_DATA of a bridge.
pub fn write_bridge(bridge: &Bridge, to: &mut Writer) {
    for &(id, width, ..) in BRIDGE {
        match id {
            BRIDGE_ID | ROOT_ID => to.bytes(id, &bridge.bridge_id()),
            GROUP_ADDR => to.bytes(id, &bridge.group_address.unwrap_or([1, 0x80, 0xc2, 0, 0, 0])),
            MULTI_BOOLOPT => to.bytes(id, &(bridge.option(id) | 0x1f_0000_0000).to_le_bytes()),
            _ => to.bytes(id, &bridge.option(id).to_le_bytes()[..width]),
        };
        if id == MCAST_IGMP_VERSION
            && bridge.option(MCAST_SNOOPING) != 0
            && bridge.option(MCAST_QUERIER) != 0
        {
            // MCAST_QUERIER_STATE: nobody else asks, and the addresses are still to be chosen.
            to.nest(47 | 0x8000, |to| {
                to.bytes(1, &[0; 4]).bytes(5, &[0; 16]);
            });
        }
    }
}

/// IFLA_INFO_SLAVE_DATA of a port, and IFLA_PROTINFO of its AF_BRIDGE messages.
pub fn write_port(bridge: &Bridge, port: &Port, to: &mut Writer) {
    for &(id, width, ..) in PORT {
        match id {
            BRPORT_STATE => to.u8(id, port.state as u8),
            13 | 14 => to.bytes(id, &bridge.bridge_id()),
            15 | 17 => to.u16(id, port.id()),
            18 => to.u16(id, port.number),
            _ => to.bytes(id, &port.option(id).to_le_bytes()[..width]),
        };
    }
}

impl Kernel {
    /// `br_changelink`: stops at the first that is refused; what came before it stays (K31).
    pub(super) fn set_bridge_options(&mut self, index: i32, data: &Attributes<'_>) -> Answer {
        check_widths(BRIDGE, data)?;
        for id in BRIDGE_ORDER {
            let Some(attribute) = data.get(*id) else {
                continue;
            };
            let Some(row) = BRIDGE.iter().find(|row| row.0 == *id) else {
                continue;
            };
            let Some(bridge) = self.link_mut(index).bridge_mut() else {
                return Err(libc::EOPNOTSUPP.into());
            };
            match *id {
                FORWARD_DELAY => {
                    let value = in_jiffies(number(attribute.value));
                    if bridge.has_stp() && !(200..=3000).contains(&value) {
                        return Err(libc::ERANGE.into());
                    }
                    bridge.options.insert(*id, value);
                }
                STP_STATE => {
                    let on = number(attribute.value) != 0;
                    if on != bridge.has_stp() {
                        if on {
                            let delay = bridge.option(FORWARD_DELAY).clamp(200, 3000);
                            bridge.options.insert(FORWARD_DELAY, delay);
                        }
                        bridge.options.insert(*id, u64::from(on));
                        self.select_states(index);
                    }
                }
                VLAN_FILTERING => return Err(libc::EOPNOTSUPP.into()),
                GROUP_ADDR => {
                    let address: [u8; 6] = attribute.array()?;
                    if address[..5] != [1, 0x80, 0xc2, 0, 0]
                        || address[5] & 0xf0 != 0
                        || matches!(address[5], 1..=3)
                    {
                        return Err(libc::EINVAL.into());
                    }
                    bridge.group_address = Some(address);
                }
                MULTI_BOOLOPT => {
                    let pair: [u8; 8] = attribute.array()?;
                    let value = u32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]);
                    let mask = u32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]]);
                    let old = bridge.option(*id) as u32;
                    bridge.options.insert(*id, u64::from((old & !mask) | (value & mask)));
                }
                _ => set(&mut bridge.options, row, number(attribute.value))?,
            }
        }
        Ok(())
    }

    /// `br_setport`
    pub(super) fn set_port_options(&mut self, index: i32, data: &Attributes<'_>) -> Answer {
        check_widths(PORT, data)?;
        let Some(master) = self.link(index).master else {
            return Err(libc::EOPNOTSUPP.into());
        };
        let stp = self.link(master).bridge().is_some_and(Bridge::has_stp);
        for row in PORT
            .iter()
            .filter(|row| row.0 > BRPORT_COST)
            .chain(PORT.iter().filter(|row| row.0 <= BRPORT_COST).rev())
        {
            let Some(attribute) = data.get(row.0) else {
                continue;
            };
            let link = self.link_mut(index);
            let (runs, oper_up) = (link.is_up(), link.oper_up());
            let Some(port) = link.port.as_mut() else {
                return Err(libc::EOPNOTSUPP.into());
            };
            if row.0 != BRPORT_STATE {
                set(&mut port.options, row, number(attribute.value))?;
                continue;
            }
            let wanted = match number(attribute.value) {
                0 => State::Disabled,
                1 => State::Listening,
                2 => State::Learning,
                3 => State::Forwarding,
                4 => State::Blocking,
                _ => return Err(libc::EINVAL.into()),
            };
            if stp {
                return Err(libc::EBUSY.into());
            }
            if !runs || (!oper_up && wanted != State::Disabled) {
                return Err(libc::ENETDOWN.into());
            }
            port.state = wanted;
            self.select_states(master);
        }
        Ok(())
    }
}

/// In which `br_changelink` looks at them.
const BRIDGE_ORDER: &[u16] = &[
    1, 2, 3, 4, 5, 6, 7, 9, 20, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 34, 35, 42, 43, 44, 36,
    37, 38, 46, 49,
];

fn set(options: &mut BTreeMap<u16, u64>, row: &Row, value: u64) -> Answer {
    let kept = match row.3 {
        Never | Special => return Ok(()),
        Any => value,
        Flag => u64::from(value != 0),
        Time => in_jiffies(value),
        TimeWithin(least, most) if (least..=most).contains(&value) => in_jiffies(value),
        Within(least, most) | Valid(least, most) if (least..=most).contains(&value) => value,
        Without(bits) if value & bits == 0 => value,
        TimeWithin(..) | Within(..) => return Err(libc::ERANGE.into()),
        Valid(..) | Without(_) => return Err(libc::EINVAL.into()),
    };
    options.insert(row.0, kept);
    Ok(())
}

fn check_widths(rows: &[Row], data: &Attributes<'_>) -> Answer<()> {
    let policy: Vec<(u16, Policy)> =
        rows.iter().map(|row| (row.0, Policy::AtLeast(row.1))).collect();
    data.check(&policy)
        .map_err(|refusal| Refusal { words: Some("Attribute failed policy validation"), ..refusal })
}

/// From 1/100 s to jiffies and back.
fn in_jiffies(value: u64) -> u64 {
    value * 250 / 100 * 4 / 10
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
}
