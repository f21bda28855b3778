//! The options of vxlan links, one row each: `drivers/net/vxlan/vxlan_core.c`.

use std::collections::BTreeMap;

use super::wire::{Answer, Attributes, Refusal, Writer};

#[derive(Clone, Debug, Default)]
pub struct Vxlan {
    pub lower: Option<i32>,
    /// IFLA_VXLAN_* as given.
    pub options: BTreeMap<u16, Vec<u8>>,
}

pub const VXLAN_ID: u16 = 1;
const VXLAN_LINK: u16 = 3;
pub const VXLAN_PORT: u16 = 15;

/// Number and default in the order in which the kernel tells them; an empty default is told only when set.
const VXLAN: &[(u16, &[u8])] = &[
    (VXLAN_ID, &[0; 4]),
    (2, &[]),  // GROUP (remote)
    (16, &[]), // GROUP6
    (VXLAN_LINK, &[]),
    (4, &[]),                                       // LOCAL
    (17, &[]),                                      // LOCAL6
    (5, &[0]),                                      // TTL
    (28, &[0]),                                     // TTL_INHERIT
    (6, &[0]),                                      // TOS
    (29, &[0]),                                     // DF
    (26, &[0; 4]),                                  // LABEL
    (32, &[0; 4]),                                  // LABEL_POLICY
    (7, &[1]),                                      // LEARNING
    (11, &[0]),                                     // PROXY
    (12, &[0]),                                     // RSC
    (13, &[0]),                                     // L2MISS
    (14, &[0]),                                     // L3MISS
    (25, &[0]),                                     // COLLECT_METADATA
    (8, &[44, 1, 0, 0]),                            // AGEING: 300 s
    (9, &[0; 4]),                                   // LIMIT
    (VXLAN_PORT, &[0x21, 0x18]),                    // PORT: 8472, in network order
    (18, &[1]),                                     // UDP_CSUM
    (19, &[0]),                                     // UDP_ZERO_CSUM6_TX
    (20, &[0]),                                     // UDP_ZERO_CSUM6_RX
    (21, &[0]),                                     // REMCSUM_TX
    (22, &[0]),                                     // REMCSUM_RX
    (31, &[1]),                                     // LOCALBYPASS
    (10, &[0; 4]),                                  // PORT_RANGE
    (33, &[0xf7, 0xff, 0xff, 0xff, 0, 0, 0, 0xff]), // RESERVED_BITS
];

impl Vxlan {
    pub fn option(&self, id: u16) -> &[u8] {
        let default = VXLAN.iter().find(|row| row.0 == id).map_or(&[][..], |row| row.1);
        self.options.get(&id).map_or(default, |value| value.as_slice())
    }

    pub fn overhead(&self) -> u32 {
        if self.options.contains_key(&16) || self.options.contains_key(&17) { 70 } else { 50 }
    }

    pub fn write(&self, to: &mut Writer) {
        for (id, _) in VXLAN {
            let value = self.option(*id);
            if !value.is_empty() {
                to.bytes(*id, value);
            }
        }
    }

    /// `vxlan_nl2conf`
    pub fn configure(&mut self, data: &Attributes<'_>, change: bool) -> Answer {
        for (id, default) in VXLAN {
            let Some(attribute) = data.get(*id) else {
                continue;
            };
            if attribute.value.len() < default.len() {
                return Err(attribute.too_short());
            }
            let value = if default.is_empty() {
                attribute.value
            } else {
                &attribute.value[..default.len()]
            };
            if change && value != self.option(*id) {
                match *id {
                    VXLAN_ID => return Err(Refusal::said(libc::EOPNOTSUPP, "Cannot change VNI")),
                    VXLAN_PORT => {
                        return Err(Refusal::said(libc::EOPNOTSUPP, "Cannot change port"));
                    }
                    10..=14 | 18..=22 | 25 | 28 | 31 | 33 => return Err(libc::EOPNOTSUPP.into()),
                    _ => {}
                }
            }
            if *id == VXLAN_LINK {
                self.lower = Some(attribute.u32()? as i32).filter(|&index| index != 0);
            }
            self.options.insert(*id, value.to_vec());
        }
        Ok(())
    }
}

pub fn no_lower() -> Refusal {
    Refusal::said(libc::ENODEV, "Invalid local interface, device not found")
}
