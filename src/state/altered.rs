//! IPv6 routes that the kernel changes without a word: what becomes of one.
//!
//! When an address goes, routes that preferred it as their source stay without (`fib6_remove_prefsrc`). When the mtu of an
//! interface changes, the mtu that is said of a route over it follows (`rt6_mtu_change_route`). Of neither there is a
//! notification. IPv4 has neither: there a preferred source takes its routes along (K6), and their mtu stays.

use std::net::IpAddr;

use super::routes::{Body, legs};
use crate::object::route::{hop_row, metric_row, row};
use crate::object::{Record, Value};

/// Below this an interface has no IPv6, and what it had goes with a notification.
const LEAST_MTU: u32 = 1280;

/// `RTAX_MTU`, of which the bit in the lock says that it stays.
const RTAX_MTU: u64 = 2;

/// A route without its preferred source, if that is this address.
///
/// A route by a nexthop object keeps it. Up to Linux 6.4 only routes over the interface of the address lose it, and they
/// do also when another interface has that address too: what is so there is found when everything is read anew.
pub(super) fn without_source(body: &Body, source: IpAddr) -> Option<Record> {
    let lost = !body.is_v4() && body.nexthop().is_none() && body.prefsrc() == Some(source);
    lost.then(|| {
        let mut record = body.record().clone();
        record.remove(row::PREFSRC);
        record
    })
}

/// A route as it is when the mtu of an interface has changed, if that makes it another one.
///
/// Smaller than before, the interface takes what is larger along; larger, what was as large as it. Each leg of a group is
/// changed for itself, and the first one speaks for all.
pub(super) fn with_link_mtu(body: &Body, index: u32, (was, is): (u32, u32)) -> Option<Record> {
    let metrics = body.record().value(row::METRICS).and_then(Value::nested)?;
    let mtu = metrics.value(metric_row::MTU)?.number()?;
    let locked = metrics.number(metric_row::LOCK) & 1 << RTAX_MTU != 0;
    let follows = mtu >= is.into() || mtu == was.into();
    if body.is_v4() || locked || !follows || mtu == is.into() || is < LEAST_MTU {
        return None;
    }
    let first = || Some(legs(body.record()).first()?.value(hop_row::OIF)?.number()? as u32);
    let over = match body.nexthop() {
        Some(_) => body.is_over(index),
        None => first() == Some(index),
    };
    over.then(|| {
        let (mut record, mut metrics) = (body.record().clone(), metrics.clone());
        metrics.set(metric_row::MTU, Value::Number(is.into()));
        record.set(row::METRICS, Value::Nested(Box::new(metrics)));
        record
    })
}
