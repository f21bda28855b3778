//! Neighbours, proxies and forwarding entries under their keys.

use super::Op;
use crate::object::kinds::vxlan::row as vxlan;
use crate::object::link::row as link_row;
use crate::object::neighbour::row;
use crate::object::{
    NEIGHBOUR, Neighbour, NeighbourExtFlags, NeighbourFlags, NeighbourState, Record, Value,
};
use crate::state::{NeighbourKey, NeighbourTarget, Snapshot};
use crate::wire::{Builder, flags, kind};

/// Flags that say what an entry is, and that the kernel keeps.
const KEPT: u64 = (NeighbourFlags::ROUTER.0
    | NeighbourFlags::PROXY.0
    | NeighbourFlags::EXT_LEARNED.0
    | NeighbourFlags::STICKY.0) as u64;

/// States that stay: the kernel moves through the others by itself (K38).
const STAYS: u64 = (NeighbourState::PERMANENT.0 | NeighbourState::NOARP.0) as u64;

/// A request for a neighbour.
pub(super) fn encode(key: &NeighbourKey, neighbour: &Neighbour, op: Op) -> Vec<u8> {
    // Of some addresses a tunnel may have several entries (`vxlan_fdb_append`).
    let one_of_several = matches!(key.target, NeighbourTarget::Fdb { remote: Some(_), .. });
    let (kind, how) = match op {
        Op::Add | Op::Append | Op::Prepend | Op::Replace if one_of_several => {
            (kind::RTM_NEWNEIGH, flags::CREATE | flags::APPEND)
        }
        Op::Add => (kind::RTM_NEWNEIGH, flags::CREATE | flags::EXCL),
        Op::Append | Op::Prepend | Op::Replace => {
            (kind::RTM_NEWNEIGH, flags::CREATE | flags::REPLACE)
        }
        Op::Delete => (kind::RTM_DELNEIGH, 0),
    };
    let mut record = Record::new(&NEIGHBOUR);
    for (id, one, value) in neighbour.record().fields() {
        if one.settable()
            || matches!(id, row::FAMILY | row::DST | row::INDEX | row::VLAN | row::SRC_VNI)
        {
            record.set(id, value.clone());
        }
    }
    // Of a proxy the kernel does not say how it was made. One that is not permanent goes without a word when its interface
    // has no carrier (`pneigh_ifdown`, seen on 6.18), and nobody makes such: `ip neigh add proxy` asks for a permanent one.
    if key.is_proxy() && record.number(row::STATE) == 0 {
        record.set(row::STATE, Value::Number(NeighbourState::PERMANENT.0.into()));
    }
    // A forwarding entry of a bridge stands in the bridge, others in the interface itself.
    if key.is_fdb() {
        // A bridge's own stand in itself, and say that it is their master.
        let inside = neighbour.record().number(row::MASTER);
        let inside = inside != 0 && inside != record.number(row::INDEX);
        let asked = record.number(row::FLAGS);
        let where_it_stands = NeighbourFlags::MASTER.0 | NeighbourFlags::SELF.0;
        if asked & u64::from(where_it_stands) == 0 {
            let own = if inside { NeighbourFlags::MASTER } else { NeighbourFlags::SELF };
            record.set(row::FLAGS, Value::Number(asked | u64::from(own.0)));
        }
    }
    let offloaded = u64::from(NeighbourFlags::OFFLOADED.0);
    record.set(row::FLAGS, Value::Number(record.number(row::FLAGS) & !offloaded));
    let mut message =
        Builder::new(kind, flags::REQUEST | flags::ACK | how).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}

/// Whether what the kernel says is what was wished.
pub(super) fn agrees(wish: &Neighbour, have: &Neighbour) -> bool {
    let (wish, have) = (wish.record(), have.record());
    let compared = [row::LLADDR, row::DST, row::PORT, row::VNI, row::IFINDEX, row::NH_ID];
    let said = |id: &u16| wish.value(*id).is_none() || wish.value(*id) == have.value(*id);
    let flags = |record: &Record| record.number(row::FLAGS) & KEPT;
    let managed =
        |record: &Record| record.number(row::FLAGS_EXT) & u64::from(NeighbourExtFlags::MANAGED.0);
    // A proxy has no state, and what a control plane tells a bridge of a port is kept without one
    // (`br_fdb_external_learn_add`).
    let has = |flag: NeighbourFlags| flags(have) & u64::from(flag.0) != 0;
    let told = has(NeighbourFlags::EXT_LEARNED) && have.number(row::MASTER) != 0;
    let stays = if told || has(NeighbourFlags::PROXY) { 0 } else { STAYS };
    let state = |record: &Record| record.number(row::STATE) & stays;
    compared.iter().all(said)
        && flags(wish) == flags(have)
        && managed(wish) == managed(have)
        && state(wish) == state(have)
}

/// Whether nobody but a program makes and keeps it: what is learned comes and goes by itself.
pub(super) fn is_kept(neighbour: &Neighbour) -> bool {
    neighbour.record().number(row::STATE) & STAYS != 0
        || neighbour.record().number(row::FLAGS) & KEPT != 0
}

/// Whether one that is kept goes when its interface loses its carrier (`neigh_carrier_down`). Of a proxy nobody can tell.
pub(super) fn goes_with_carrier(neighbour: &Neighbour) -> bool {
    let permanent = u64::from(NeighbourState::PERMANENT.0);
    is_kept(neighbour)
        && !neighbour.is_fdb()
        && !neighbour.is_proxy()
        && neighbour.record().number(row::STATE) & permanent == 0
}

/// Whether the kernel has to look for it before it is known: `INCOMPLETE`, `DELAY` and `PROBE` it does not announce.
pub(super) fn is_looked_for(neighbour: &Neighbour) -> bool {
    let known = NeighbourState::REACHABLE.0 | NeighbourState::STALE.0;
    neighbour.record().number(row::STATE) & (STAYS | u64::from(known)) == 0
}

/// Whether the kernel makes an entry together with its interface, and no program needs to: the own address of a port or
/// a bridge (`br_fdb_change_mac_address`), and where a tunnel leads by default (`vxlan_dev_configure`).
pub(super) fn made_by_kernel(neighbour: &Neighbour, of: &Snapshot) -> bool {
    let Some(lladdr) = neighbour.lladdr().filter(|_| neighbour.is_fdb()) else { return false };
    let master = neighbour.record().number(row::MASTER) as u32;
    let index = neighbour.record().number(row::INDEX) as u32;
    let own = [index, master].into_iter().filter_map(|index| of.link_by_index(index));
    let is_own = own.filter_map(|link| link.address()).any(|own| own == lladdr);
    let is_tunnels = lladdr.as_bytes().iter().all(|byte| *byte == 0) && {
        let link = of.link_by_index(index);
        let options = link.and_then(|link| link.record().value(link_row::DATA)?.nested());
        let remote = options.and_then(|options| {
            options.value(vxlan::GROUP).or_else(|| options.value(vxlan::GROUP6))
        });
        remote.is_some() && remote == neighbour.record().value(row::DST)
    };
    is_own || is_tunnels
}
