//! Nexthop objects under their numbers.

use super::Op;
use crate::object::nexthop::{RESILIENT, member_row, resilient_row, row};
use crate::object::{NEXTHOP, Nexthop, Record, Value};
use crate::wire::{Builder, flags, kind};

/// What only a dump's request may carry; of a group the kernel says what its counters are asked for by
/// (`NHA_OP_FLAGS`, Linux 6.9), and refuses to be told.
const ASKED: &[u16] = &[row::GROUPS, row::MASTER, row::OP_FLAGS, row::HW_STATS_ENABLE];

/// Flags that a request may carry (K8).
const SETTABLE: u64 = 0x4 | 0x2;

/// A request for a nexthop object. A deletion names the number and nothing else (`nh_valid_get_del_req`).
pub(super) fn encode(nexthop: &Nexthop, op: Op) -> Vec<u8> {
    let (kind, how) = match op {
        Op::Add => (kind::RTM_NEWNEXTHOP, flags::CREATE | flags::EXCL),
        Op::Append | Op::Prepend | Op::Replace => {
            (kind::RTM_NEWNEXTHOP, flags::CREATE | flags::REPLACE)
        }
        Op::Delete => (kind::RTM_DELNEXTHOP, 0),
    };
    let record = match op {
        Op::Delete => {
            let mut record = Record::new(&NEXTHOP);
            record.set(row::ID, Value::Number(nexthop.id().into()));
            record
        }
        _ => wished(nexthop.record()),
    };
    let mut message =
        Builder::new(kind, flags::REQUEST | flags::ACK | how).fixed(&record.encode_header());
    record.encode(&mut message);
    message.finish()
}

/// What of a record a program asks for.
fn wished(record: &Record) -> Record {
    let mut wished = Record::new(&NEXTHOP);
    let is_group = !record.value(row::GROUP).map(Value::records).unwrap_or_default().is_empty();
    for (id, one, value) in record.fields() {
        let kept = one.settable() || id == row::ID;
        // A group has no family; its type is said where it is not the plain one.
        let kept = kept && !(id == row::GROUP_TYPE && value.number() == Some(0));
        if kept && !ASKED.contains(&id) {
            wished.set(id, settings(value));
        }
    }
    let flags = record.number(row::FLAGS) & SETTABLE;
    wished.set(row::FLAGS, Value::Number(flags));
    if is_group {
        wished.set(row::FAMILY, Value::Number(0));
        wished.set(row::FLAGS, Value::Number(0));
    }
    wished
}

/// What a program says of the settings of a resilient group, and of any other value.
fn settings(value: &Value) -> Value {
    let Value::Nested(inner) = value else { return value.clone() };
    if inner.table() != &RESILIENT {
        return value.clone();
    }
    let mut said = Record::new(&RESILIENT);
    for (id, _, value) in inner.fields().filter(|(id, ..)| *id != resilient_row::UNBALANCED_TIME) {
        said.set(id, value.clone());
    }
    Value::Nested(Box::new(said))
}

/// What was said of a resilient group. The kernel keeps times in its own ticks, and gives them back rounded.
fn same_settings(wish: &Record, have: &Record) -> bool {
    let (Some(Value::Nested(wish)), have) =
        (wish.value(row::RES_GROUP), have.value(row::RES_GROUP))
    else {
        return true;
    };
    let Some(Value::Nested(have)) = have else { return false };
    wish.fields().all(|(id, _, value)| {
        let apart = have.number(id).abs_diff(value.number().unwrap_or(0));
        apart <= u64::from(id != resilient_row::BUCKETS)
    })
}

/// Whether what the kernel says is what was wished.
pub(super) fn agrees(wish: &Nexthop, have: &Nexthop) -> bool {
    let (wish, have) = (wished(wish.record()), wished(have.record()));
    let members = |record: &Record| -> Vec<[u64; 3]> {
        let all = record.value(row::GROUP).map(Value::records).unwrap_or_default().iter();
        let weight = [member_row::ID, member_row::WEIGHT, member_row::WEIGHT_HIGH];
        all.map(|member| weight.map(|id| member.number(id))).collect()
    };
    let compared = [
        row::GROUP_TYPE,
        row::ENCAP_TYPE,
        row::ENCAP,
        row::GATEWAY,
        row::BLACKHOLE,
        row::FLAGS,
        row::FDB,
        row::PROTOCOL,
    ];
    let oif = |record: &Record| record.number(row::OIF);
    members(&wish) == members(&have)
        && same_settings(&wish, &have)
        && (oif(&wish) == 0 || oif(&wish) == oif(&have))
        && compared.iter().all(|id| {
            let (wish, have) = (wish.value(*id), have.value(*id));
            let number = |value: Option<&Value>| value.map_or(Some(0), Value::number);
            wish == have || number(wish).is_some() && number(wish) == number(have)
        })
}

/// The members that a group lacks, when it is what is left of another one whose members went (K7).
pub(super) fn lost_members(left: &Nexthop, before: &Nexthop) -> Option<Vec<u32>> {
    let (there, lost): (Vec<_>, Vec<_>) =
        before.group().partition(|own| left.group().any(|member| member == *own));
    let is_rest = left.id() == before.id() && !lost.is_empty() && left.group().eq(there);
    is_rest.then(|| lost.into_iter().map(|(id, _)| id).collect())
}

/// Whether it is a group.
pub(super) fn is_group(nexthop: &Nexthop) -> bool {
    nexthop.group().next().is_some()
}
