//! Routes under their keys: what stands there, what is asked for, and whether one is the other.

use std::sync::Arc;

use super::{Content, Op};
use crate::object::route::{
    METRICS, Preference, ROUTE, RouteKey, RouteProtocol, RouteSpec, RouteType, hop_row, metric_row,
    request, row, split,
};
use crate::object::{LinkRef, Names, Record, Value};
use crate::state::{Bodies, Body, Held, Snapshot, is_same, legs};
use crate::wire::{Builder, HEADER, flags, kind};

/// What stands at a key, one by one: of IPv6 the legs, since the kernel adds and deletes them so (K10).
pub(super) fn elements(key: &RouteKey, now: &Snapshot, bodies: &mut Bodies) -> Vec<Content> {
    let all = now.routes_at(key).iter();
    all.flat_map(|held| ways(key, held, bodies)).collect()
}

/// A route as the kernel keeps it: IPv6 legs one by one.
pub(super) fn ways(key: &RouteKey, held: &Arc<Held>, bodies: &mut Bodies) -> Vec<Content> {
    let legs = match key {
        RouteKey::V4(_) | RouteKey::Mpls(_) => None,
        RouteKey::V6(_) => held.body().and_then(|body| body.ways(bodies)),
    };
    let all = legs.unwrap_or_else(|| vec![held.clone()]);
    all.into_iter().map(Content::Route).collect()
}

/// The key and the body of what a user names.
pub(super) fn content(
    spec: &RouteSpec,
    index: impl Fn(&LinkRef) -> Option<u32>,
    bodies: &mut Bodies,
) -> Option<(RouteKey, Arc<Held>)> {
    let record = spec.record(index)?;
    let mut message = Builder::new(0, 0).fixed(&record.encode_header());
    record.encode(&mut message);
    let mut body = Vec::new();
    let key = split(&message.finish()[HEADER..], &mut body)?;
    Some((key, bodies.intern(key.family(), &body)))
}

/// A request for a route.
pub(super) fn encode(key: &RouteKey, held: &Arc<Held>, op: Op) -> Vec<u8> {
    let (kind, how) = match op {
        Op::Add => (kind::RTM_NEWROUTE, flags::CREATE | flags::EXCL),
        // A label has one route, beside which the kernel puts none (`mpls_route_add`).
        Op::Append | Op::Prepend if matches!(key, RouteKey::Mpls(_)) => {
            (kind::RTM_NEWROUTE, flags::CREATE | flags::EXCL)
        }
        Op::Append => (kind::RTM_NEWROUTE, flags::CREATE | flags::APPEND),
        Op::Prepend => (kind::RTM_NEWROUTE, flags::CREATE),
        Op::Replace => (kind::RTM_NEWROUTE, flags::CREATE | flags::REPLACE),
        Op::Delete => (kind::RTM_DELROUTE, 0),
    };
    let body = held.body().map(|body| body.bytes()).unwrap_or_default();
    request(kind, flags::REQUEST | flags::ACK | how, key, body)
}

/// As `ip route show` prints it, on one line.
pub(super) fn text(key: &RouteKey, held: &Arc<Held>, names: &dyn Names) -> String {
    let route = held.body().map(|body| body.at(*key));
    route.map(|route| route.line(names).replace("\n\t", " ")).unwrap_or_default()
}

/// What `ip` prints as `expires 500sec` it reads as `expires 500`, and as `ttl-propagate` what it prints misspelled.
pub(super) fn asked(text: &str) -> String {
    let mut words: Vec<_> = text.split(' ').collect();
    for at in 1..words.len() {
        if words[at - 1] == "expires" {
            words[at] = words[at].strip_suffix("sec").unwrap_or(words[at]);
        }
        if words[at] == "ttl-propogate" {
            words[at] = "ttl-propagate";
        }
    }
    words.join(" ")
}

/// Whether a route has gateways, that another route must lead to.
pub(super) fn has_gateway(held: &Held) -> bool {
    let of = |record: &Record| {
        record.value(row::NH_ID).is_some()
            || legs(record).iter().any(|leg| {
                leg.value(hop_row::GATEWAY).is_some() || leg.value(hop_row::VIA).is_some()
            })
    };
    held.body().is_some_and(|body| of(body.record()))
}

/// Whether the kernel, or a router by its advertisements, makes the route and makes it again.
pub(super) fn is_kernels(held: &Held) -> bool {
    let own = [RouteProtocol::KERNEL, RouteProtocol::RA, RouteProtocol::REDIRECT];
    held.body().is_some_and(|body| {
        let protocol = body.record().number(row::PROTOCOL);
        own.iter().any(|own| u64::from(own.0) == protocol)
    })
}

/// Of IPv6 legs that leave by the same interface to the same gateway only one can be at a key.
pub(super) fn is_same_way(a: &Arc<Held>, b: &Arc<Held>) -> bool {
    let way = |held: &Arc<Held>| {
        let leg =
            held.body().map(|body| legs(body.record())).and_then(|legs| legs.first().cloned());
        leg.map(|leg| {
            [hop_row::OIF, hop_row::GATEWAY, hop_row::VIA].map(|id| leg.value(id).cloned())
        })
    };
    way(a) == way(b)
}

/// Whether an IPv6 route is what the kernel has made in silence of another one: without its preferred source, or with the
/// mtu of an interface (`fib6_remove_prefsrc`, `rt6_mtu_change_route`).
pub(super) fn is_left_of(own: &Arc<Held>, other: &Arc<Held>) -> bool {
    let (Some(own), Some(other)) = (own.body(), other.body()) else { return false };
    let rest = |body: &Body| {
        let mut record = body.record().clone();
        record.remove(row::PREFSRC);
        let metrics = record.value(row::METRICS).and_then(Value::nested).cloned();
        if let Some(mut metrics) = metrics {
            metrics.remove(metric_row::MTU);
            record.set(row::METRICS, Value::Nested(Box::new(metrics)));
        }
        record
    };
    let has_mtu = |body: &Body| body.mtu().is_some();
    let kept = own.prefsrc().is_none() || own.prefsrc() == other.prefsrc();
    !own.is_v4()
        && !other.is_v4()
        && kept
        && has_mtu(own) == has_mtu(other)
        && rest(own) == rest(other)
}

/// Whether a route is what another one was, but for legs that it has no more.
pub(super) fn is_rest_of(left: &Held, before: &Held) -> bool {
    let legs = |held: &Held| held.body().map(|body| legs(body.record())).unwrap_or_default();
    let had = legs(before);
    legs(left).iter().all(|leg| had.iter().any(|own| same_leg(leg, own)))
        && agree_but_for_ways(left, before)
}

/// Whether it says its ways as legs: so a single one with a weight is said.
pub(super) fn is_multipath(held: &Held) -> bool {
    held.body().is_some_and(|body| body.record().value(row::MULTIPATH).is_some())
}

/// Whether a leg leaves by the gateway of the one that was wished, whose interface need not have been said: at a key only
/// one does.
pub(super) fn leads_as(wish: &Arc<Held>, there: &Arc<Held>) -> bool {
    let leg =
        |held: &Arc<Held>| held.body().and_then(|body| legs(body.record()).into_iter().next());
    let (Some(wish), Some(there)) = (leg(wish), leg(there)) else { return false };
    let dev = wish.number(hop_row::OIF);
    let gateway = wish.value(hop_row::GATEWAY);
    (dev == 0 || dev == there.number(hop_row::OIF))
        && gateway.is_some()
        && gateway == there.value(hop_row::GATEWAY)
}

/// Whether what the kernel says is what was wished: nothing that was said is otherwise, and nothing is there that was
/// not said, but for what the kernel fills in.
pub(super) fn agrees(wish: &Arc<Held>, have: &Arc<Held>) -> bool {
    if is_same(wish, have) {
        return true;
    }
    let (Some(wish), Some(have)) = (wish.body(), have.body()) else { return false };
    if wish.family() != have.family() {
        return false;
    }
    let (record, is_ordered) = (wish.record(), !wish.is_v6());
    let by_object = record.value(row::NH_ID).is_some();
    let drops = (u64::from(RouteType::BLACKHOLE.0)..=u64::from(RouteType::THROW.0))
        .contains(&record.number(row::TYPE));
    let ways = by_object || drops || same_legs(&legs(record), &legs(have.record()), is_ordered);
    ways && agree_in_rest(wish, have)
}

/// The same of a single IPv6 leg, whatever its weight is.
pub(super) fn agrees_but_for_weight(wish: &Arc<Held>, have: &Arc<Held>) -> bool {
    let (Some(wish), Some(have)) = (wish.body(), have.body()) else { return false };
    if !wish.is_v6() || !have.is_v6() || wish.record().value(row::MULTIPATH).is_none() {
        return false;
    }
    let (mut leg, there) = (legs(wish.record()), legs(have.record()));
    leg.iter_mut().for_each(|leg| leg.set(hop_row::HOPS, Value::Number(0)));
    leg.len() == 1 && same_legs(&leg, &there, false) && agree_in_rest(wish, have)
}

/// The same, whatever their ways are.
pub(super) fn agree_but_for_ways(wish: &Held, have: &Held) -> bool {
    match (wish.body(), have.body()) {
        (Some(wish), Some(have)) => agree_in_rest(wish, have),
        _ => false,
    }
}

fn agree_in_rest(wish: &Body, have: &Body) -> bool {
    let (wish, have, v6) = (wish.record(), have.record(), wish.is_v6());
    ROUTE.rows.iter().enumerate().all(|(id, one)| {
        let id = id as u16;
        let (wish, have) = (wish.value(id), have.value(id));
        match id {
            // IPv6 has no scopes.
            row::SCOPE if v6 => true,
            row::METRICS => same_metrics(wish, have),
            // Nothing is what the sysctl says.
            row::TTL_PROPAGATE => wish == have,
            row::PREF => number(wish) == number(have) || wish.is_none() && is_medium(have),
            row::OIF
            | row::GATEWAY
            | row::VIA
            | row::MULTIPATH
            | row::ENCAP_TYPE
            | row::ENCAP
            | row::FLOW
            | row::NEWDST => true,
            _ if !one.compared() => true,
            _ => {
                wish == have
                    || number(wish) & !one.volatile == number(have) & !one.volatile
                        && is_number(wish)
                        && is_number(have)
            }
        }
    })
}

fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::number).unwrap_or(0)
}

/// A number, or nothing, which says 0.
fn is_number(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.number().is_some())
}

fn is_medium(value: Option<&Value>) -> bool {
    number(value) == u64::from(Preference::MEDIUM.0)
}

fn same_metrics(wish: Option<&Value>, have: Option<&Value>) -> bool {
    let all = |value: Option<&Value>| match value {
        // The kernel keeps no difference between 0 and nothing.
        Some(Value::Nested(metrics)) if metrics.table() == &METRICS => metrics
            .fields()
            .filter(|(_, _, value)| value.number() != Some(0))
            .map(|(id, _, value)| (id, value.clone()))
            .collect(),
        _ => Vec::new(),
    };
    all(wish) == all(have)
}

/// IPv4 and MPLS legs are in an order, IPv6 legs in none.
fn same_legs(wish: &[Record], have: &[Record], is_ordered: bool) -> bool {
    let same = |(wish, have): (&Record, &Record)| same_leg(wish, have);
    wish.len() == have.len()
        && match is_ordered {
            true => wish.iter().zip(have).all(same),
            false => wish.iter().all(|leg| have.iter().any(|other| same_leg(leg, other))),
        }
}

/// The interface of a gateway need not be said.
fn same_leg(wish: &Record, have: &Record) -> bool {
    let ids = [hop_row::GATEWAY, hop_row::VIA, hop_row::NEWDST, hop_row::FLOW];
    let weight = |leg: &Record| leg.number(hop_row::HOPS);
    let dev = wish.number(hop_row::OIF);
    (dev == 0 || dev == have.number(hop_row::OIF))
        && weight(wish) == weight(have)
        && same_encap(wish.value(hop_row::ENCAP), have.value(hop_row::ENCAP))
        && ids.iter().all(|id| {
            let (wish, have) = (wish.value(*id), have.value(*id));
            wish == have || is_number(wish) && is_number(have) && number(wish) == number(have)
        })
}

/// What is not said of a tunnel the kernel says as zero.
fn same_encap(wish: Option<&Value>, have: Option<&Value>) -> bool {
    let (Some(Value::Nested(wish)), Some(Value::Nested(have))) = (wish, have) else {
        return wish == have;
    };
    let is_zero = |value: &Value| match value {
        Value::Number(number) => *number == 0,
        Value::V4(address) => address.is_unspecified(),
        Value::V6(address) => address.is_unspecified(),
        _ => false,
    };
    wish.table() == have.table()
        && wish.fields().all(|(id, row, value)| !row.compared() || have.value(id) == Some(value))
        && have.fields().all(|(id, _, value)| wish.value(id).is_some() || is_zero(value))
}
