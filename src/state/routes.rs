//! Routes: what each key holds, in the order in which the kernel holds it.
//!
//! The kernel looks an IPv4 route up by table, prefix, TOS and priority, and keeps a *list* for each such key (K9);
//! for IPv6 it keeps single routes and groups of legs side by side (K10), for MPLS one route a label. What is not key (gateway, device,
//! metrics ...) is a [`Body`], shared by all routes that have the same: an internet table has a million keys and a
//! handful of bodies, and a route costs a key and a pointer.
//!
//! Never here: the volatile marks of a leg (dead, linkdown, offload; K8), which are not state; a key that holds
//! nothing; routes of other families than IPv4, IPv6 and MPLS.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use im::OrdMap;
use im::ordmap::DiffItem;

use super::{RouteView, Snapshot};
use crate::object::route::{
    HOP, LEG_ROWS, Route, RouteKey, RouteKey4, RouteKey6, RouteProtocol, RouteScope, TABLE_MAIN,
    body, hop_row, metric_row, row,
};
use crate::object::{Record, Value};
use crate::wire::{Builder, HEADER, flags, put_ne_u32};

/// What a route is besides its key, decoded once for all routes that share it.
#[derive(Debug)]
pub struct Body {
    /// As the kernel sent it, without what is volatile; equal bytes are the same body.
    bytes: Box<[u8]>,
    /// The same, decoded.
    record: Record,
    /// The interfaces of its legs; none for a route that drops packets.
    links: Box<[u32]>,
    family: u8,
}

/// What a key holds.
#[derive(Debug)]
pub enum Held {
    /// One route; this is what is shared.
    One(Body),
    /// Several, in the kernel's order: of IPv4 routes the first is the one that is used.
    Several(Vec<Arc<Held>>),
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_MPLS: u8 = 28;

impl PartialEq for Held {
    /// The same routes in the same order.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Held::One(a), Held::One(b)) => {
                a.family == b.family && (a.bytes == b.bytes || a.record.same(&b.record))
            }
            (Held::Several(a), Held::Several(b)) => a == b,
            _ => false,
        }
    }
}

impl Held {
    pub(super) fn body_of(held: &Arc<Held>) -> Option<&Body> {
        held.body()
    }

    /// What the route is besides its key; `None` for several routes.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Held::One(body) => Some(body),
            Held::Several(_) => None,
        }
    }
}

/// The routes at a key, in the kernel's order.
pub(super) fn each(held: &Arc<Held>) -> &[Arc<Held>] {
    match &**held {
        Held::One(_) => std::slice::from_ref(held),
        Held::Several(all) => all,
    }
}

/// Every route of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Whether they are followed at all.
    pub(super) followed: bool,
    /// Which of them.
    pub(super) view: Arc<RouteView>,
    pub(super) v4: OrdMap<RouteKey4, Arc<Held>>,
    pub(super) v6: OrdMap<RouteKey6, Arc<Held>>,
    /// By their labels.
    pub(super) mpls: OrdMap<u32, Arc<Held>>,
}

/// The bodies that are in use, by their bytes.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    v4: HashMap<Box<[u8]>, Arc<Held>, BuildHasherDefault<Words>>,
    v6: HashMap<Box<[u8]>, Arc<Held>, BuildHasherDefault<Words>>,
    mpls: HashMap<Box<[u8]>, Arc<Held>, BuildHasherDefault<Words>>,
    /// The bodies that prefer a source address, but for the kernel's own, whose going is announced.
    sources: HashMap<IpAddr, Vec<Box<[u8]>>>,
    sweep_at: usize,
}

/// Hashes a body word by word, as FxHash does. Bodies come from the kernel, and there are few: nobody gains by making
/// them collide.
#[derive(Default)]
struct Words(u64);

impl Words {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            self.add(u64::from_be_bytes(whole));
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.add(length as u64);
    }

    /// The table takes its place from the low bits, and a product's best bits are the high ones.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

impl Bodies {
    /// The body with these bytes, decoded only when it is new.
    pub fn intern(&mut self, family: u8, bytes: &[u8]) -> Arc<Held> {
        let known = match family {
            AF_INET => &mut self.v4,
            AF_INET6 => &mut self.v6,
            _ => &mut self.mpls,
        };
        if let Some(known) = known.get(bytes) {
            return known.clone();
        }
        if known.len() >= self.sweep_at {
            known.retain(|_, held| Arc::strong_count(held) > 1);
            self.sources.retain(|source, all| {
                // Those of the other family stay.
                all.retain(|bytes| {
                    source.is_ipv4() != (family == AF_INET) || known.contains_key(bytes)
                });
                !all.is_empty()
            });
            self.sweep_at = (2 * known.len()).max(1024);
        }
        let mut record = body(bytes, family);
        if family == AF_INET6 {
            sort_legs(&mut record);
        }
        let links = legs(&record)
            .iter()
            .filter_map(|leg| leg.value(hop_row::OIF)?.number())
            .map(|n| n as u32)
            .collect();
        let body = Body { bytes: bytes.into(), record, links, family };
        if let Some(source) = body.prefsrc().filter(|_| !body.is_kernels()) {
            self.sources.entry(source).or_default().push(bytes.into());
        }
        let held = Arc::new(Held::One(body));
        known.insert(bytes.into(), held.clone());
        held
    }

    /// The bodies in use that prefer a source address, by their address.
    fn with_source(&self, source: IpAddr) -> HashSet<*const Held> {
        let all = self.sources.get(&source).into_iter().flatten();
        let known = if source.is_ipv4() { &self.v4 } else { &self.v6 };
        let held = all.filter_map(|bytes| known.get(bytes));
        held.filter(|held| Arc::strong_count(held) > 1).map(Arc::as_ptr).collect()
    }

    /// Whether a body in use prefers a source address.
    pub(super) fn any_with_source(&self, source: IpAddr) -> bool {
        !self.with_source(source).is_empty()
    }

    /// Whether something holds for a body in use.
    pub(super) fn any(&self, holds: impl Fn(&Body) -> bool) -> bool {
        !self.which(holds).is_empty()
    }

    /// The bodies in use for which `dead` holds, by their address.
    fn which(&self, dead: impl Fn(&Body) -> bool) -> HashSet<*const Held> {
        let all = self.v4.values().chain(self.v6.values()).chain(self.mpls.values());
        let used = all.filter(|held| Arc::strong_count(held) > 1);
        used.filter(|held| held.body().is_some_and(&dead)).map(Arc::as_ptr).collect()
    }
}

impl Routes {
    /// How many IPv4 and IPv6 routes there are: a key may hold several.
    pub fn count(&self) -> usize {
        let all = self.v4.values().chain(self.v6.values());
        all.map(|held| each(held).len()).sum()
    }

    /// A route is there. `how` are the flags of the message: they say where in the list it stands (K20).
    pub(super) fn put(&mut self, key: RouteKey, held: Arc<Held>, how: u16, bodies: &mut Bodies) {
        match key {
            RouteKey::V4(key) => put(&mut self.v4, key, held, |old, new| join_v4(old, new, how)),
            RouteKey::V6(key) => {
                put(&mut self.v6, key, held, |old, new| join_v6(old, new, how, bodies));
            }
            RouteKey::Mpls(label) => put(&mut self.mpls, label, held, join_one),
        }
    }

    /// A route is gone; if none like it was known, nothing is. Whether it is sure what is left at its key: of an IPv6
    /// group that has lost its first leg only the kernel knows what the next one says besides its way.
    pub(super) fn take(&mut self, key: RouteKey, held: &Arc<Held>, bodies: &mut Bodies) -> bool {
        match key {
            RouteKey::V4(key) => {
                if let Some(old) = self.v4.get(&key).cloned() {
                    keep(&mut self.v4, key, without(each(&old), held));
                }
                true
            }
            RouteKey::V6(key) => {
                let old = self.v6.get(&key).cloned();
                let left = old.and_then(|old| without_v6(each(&old), held, bodies));
                let Some((left, is_sure)) = left else { return true };
                keep(&mut self.v6, key, left);
                is_sure
            }
            // There is but one, whatever has become of its legs (`mpls_ifdown`).
            RouteKey::Mpls(label) => {
                self.mpls.remove(&label);
                true
            }
        }
    }

    /// The IPv6 routes at a key are these. Whether that is something else.
    pub(super) fn replace(&mut self, key: RouteKey6, all: Vec<Arc<Held>>) -> bool {
        let changed = self.v6.get(&key).map(each).unwrap_or_default() != all;
        if changed {
            keep(&mut self.v6, key, all);
        }
        changed
    }

    /// Takes out every route whose body is dead; `false` when there was none.
    pub(super) fn evict(&mut self, bodies: &Bodies, dead: impl Fn(&Body) -> bool) -> bool {
        let dead = bodies.which(dead);
        if dead.is_empty() {
            return false;
        }
        evict_from(&mut self.v4, &dead, |_| true)
            | evict_from(&mut self.v6, &dead, |_| true)
            | evict_from(&mut self.mpls, &dead, |_| true)
    }

    /// MPLS routes lose the legs over an interface that is gone, and go with the last of them (`mpls_ifdown`). Before
    /// Linux 5.13 only their going is announced. Whether any has.
    pub(super) fn evict_legs(&mut self, index: u32, bodies: &mut Bodies) -> bool {
        let over = |held: &&Arc<Held>| held.body().is_some_and(|body| body.is_over(index));
        let all = self.mpls.iter().filter(|(_, held)| over(held));
        let all: Vec<_> = all.map(|(label, held)| (*label, held.clone())).collect();
        for (label, held) in &all {
            let left = held.body().and_then(|body| body.without_legs_over(index, bodies));
            keep(&mut self.mpls, *label, left.into_iter().collect());
        }
        !all.is_empty()
    }

    /// IPv6 routes that the kernel has changed without a word: those with a body of which `change` makes another one.
    pub(super) fn alter(&mut self, bodies: &mut Bodies, change: impl Fn(&Body) -> Option<Record>) {
        let used = bodies.v6.values().filter(|held| Arc::strong_count(held) > 1);
        let changed = used.filter_map(|held| Some((Arc::as_ptr(held), change(held.body()?)?)));
        let changed: Vec<_> = changed.collect();
        let new = changed.iter().map(|(old, record)| (*old, of_record(AF_INET6, record, bodies)));
        let new: HashMap<_, _> = new.collect();
        let altered = |one: &Arc<Held>| new.get(&Arc::as_ptr(one)).cloned();
        let hit = |held: &Arc<Held>| each(held).iter().any(|one| altered(one).is_some());
        let keys = self.v6.iter().filter(|(_, held)| !new.is_empty() && hit(held));
        for key in keys.map(|(key, _)| *key).collect::<Vec<_>>() {
            let all = self.v6.get(&key).map(each).unwrap_or_default();
            let all = all.iter().map(|one| altered(one).unwrap_or_else(|| one.clone())).collect();
            keep(&mut self.v6, key, all);
        }
    }

    /// Takes out the IPv4 routes of the main table that prefer a source address which is gone (`fib_sync_down_addr`,
    /// K6).
    pub(super) fn evict_source(&mut self, bodies: &Bodies, address: IpAddr) {
        let dead = bodies.with_source(address);
        if !dead.is_empty() {
            evict_from(&mut self.v4, &dead, |key| key.table == TABLE_MAIN);
        }
    }
}

/// Routes of a dump on their way into the table.
///
/// A dump is nearly in the order of the keys. Put so, each node of the tree would be split when it is full and stay
/// half empty for good. So the keys go in by turns: first every other one, which leaves nodes that are half full, then
/// those between them, which fill these up.
#[derive(Debug, Default)]
pub(super) struct Load(Vec<(RouteKey, Arc<Held>)>);

/// Routes that are held back at once: enough that the ends of such a run, where nodes do not fill, do not count.
const RUN: usize = 4096;

impl Load {
    /// The next route of the dump.
    pub(super) fn push(
        &mut self,
        key: RouteKey,
        held: Arc<Held>,
        to: &mut Routes,
        bodies: &mut Bodies,
    ) {
        self.0.push((key, held));
        if self.0.len() >= RUN {
            self.finish(to, bodies);
        }
    }

    /// Puts what is held back. The kernel dumps the routes of a key in their order, and so they are put.
    pub(super) fn finish(&mut self, to: &mut Routes, bodies: &mut Bodies) {
        self.0.sort_by_key(|(key, _)| *key);
        for turn in [true, false] {
            let (mut last, mut mine) = (None, !turn);
            for (key, held) in &self.0 {
                mine ^= last.replace(*key) != Some(*key);
                if mine {
                    to.put(*key, held.clone(), flags::APPEND, bodies);
                }
            }
        }
        self.0.clear();
    }
}

fn evict_from<K: Ord + Clone>(
    map: &mut OrdMap<K, Arc<Held>>,
    dead: &HashSet<*const Held>,
    within: impl Fn(&K) -> bool,
) -> bool {
    let hit = |held: &Arc<Held>| each(held).iter().any(|one| dead.contains(&Arc::as_ptr(one)));
    let keys: Vec<K> = map
        .iter()
        .filter(|(key, held)| within(key) && hit(held))
        .map(|(key, _)| key.clone())
        .collect();
    let left = |held: &Arc<Held>| {
        let alive = each(held).iter().filter(|one| !dead.contains(&Arc::as_ptr(one)));
        several(alive.cloned().collect())
    };
    // When a link goes that most routes leave by, few are left: these make a new tree at less cost.
    if keys.len() > map.len() / 2 {
        let rest = map.iter().filter_map(|(key, held)| match within(key) && hit(held) {
            true => Some((key.clone(), left(held)?)),
            false => Some((key.clone(), held.clone())),
        });
        *map = rest.collect();
        return true;
    }
    for key in &keys {
        match map.get(key).and_then(left) {
            Some(held) => drop(map.insert(key.clone(), held)),
            None => drop(map.remove(key)),
        }
    }
    !keys.is_empty()
}

/// Most keys hold nothing before: then this is the only walk down the tree.
fn put<K: Ord + Copy>(
    map: &mut OrdMap<K, Arc<Held>>,
    key: K,
    held: Arc<Held>,
    join: impl FnOnce(&Arc<Held>, Arc<Held>) -> Arc<Held>,
) {
    let Some(old) = map.insert(key, held.clone()) else { return };
    let joined = join(&old, held.clone());
    if !Arc::ptr_eq(&joined, &held) {
        map.insert(key, joined);
    }
}

/// Puts what is left at a key.
fn keep<K: Ord + Clone>(map: &mut OrdMap<K, Arc<Held>>, key: K, left: Vec<Arc<Held>>) {
    match several(left) {
        Some(held) => drop(map.insert(key, held)),
        None => drop(map.remove(&key)),
    }
}

pub(super) fn several(mut all: Vec<Arc<Held>>) -> Option<Arc<Held>> {
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Arc::new(Held::Several(all))),
    }
}

/// Whether two bodies are the same, but for what is not compared.
pub fn is_same(a: &Arc<Held>, b: &Arc<Held>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn without(all: &[Arc<Held>], gone: &Arc<Held>) -> Vec<Arc<Held>> {
    let mut left = all.to_vec();
    if let Some(at) = left.iter().position(|one| is_same(one, gone)) {
        left.remove(at);
    }
    left
}

/// `fib_table_insert` (K20): REPLACE takes the place of the first, APPEND goes behind, a plain creation before. One
/// that is there already stays where it is: then this is a repetition, or a change of a volatile mark (K46).
fn join_v4(old: &Arc<Held>, new: Arc<Held>, how: u16) -> Arc<Held> {
    let mut all = each(old).to_vec();
    let present = all.iter().position(|one| is_same(one, &new));
    match (how & flags::REPLACE != 0, present) {
        (true, Some(0)) | (false, Some(_)) => return old.clone(),
        (true, Some(at)) => {
            all.remove(at);
            all[0] = new.clone();
        }
        (true, None) => all[0] = new.clone(),
        (false, None) if how & flags::APPEND != 0 => all.push(new.clone()),
        (false, None) => all.insert(0, new.clone()),
    }
    several(all).unwrap_or(new)
}

/// `mpls_route_update`: what comes takes the place of what was there.
fn join_one(old: &Arc<Held>, new: Arc<Held>) -> Arc<Held> {
    if is_same(old, &new) { old.clone() } else { new }
}

/// `fib6_add_rt2node` (K10): routes by a gateway are one group, and a message shows all of it; others stay side by
/// side. REPLACE takes the place of the group, or of the first.
fn join_v6(old: &Arc<Held>, new: Arc<Held>, how: u16, bodies: &mut Bodies) -> Arc<Held> {
    let mut all = each(old).to_vec();
    if all.iter().any(|one| is_same(one, &new)) && how & flags::REPLACE == 0 {
        return old.clone();
    }
    all.retain(|one| !is_same(one, &new));
    let group =
        all.iter().position(|one| is_group(one) && is_group(&new) && same_source(one, &new));
    let replaces = how & flags::REPLACE != 0;
    match group.or((replaces && !all.is_empty()).then_some(0)) {
        Some(at) if replaces => all[at] = new.clone(),
        Some(at) => all[at] = grown(&all[at], &new, bodies),
        None => all.push(new.clone()),
    }
    several(all).unwrap_or(new)
}

/// What the kernel keeps for each leg of an IPv6 group and says of one only (`rt6_fill_node`).
const OF_ONE_LEG: [u16; 6] =
    [row::TYPE, row::PROTOCOL, row::PREFSRC, row::METRICS, row::PREF, row::CACHEINFO];

/// A group with one leg more or changed. The message begins with the leg that it is about and says what that one says; a
/// dump begins with the first leg of the group, and so does what is kept here. New legs are the last.
fn grown(old: &Arc<Held>, new: &Arc<Held>, bodies: &mut Bodies) -> Arc<Held> {
    let (Some(had), Some(has)) = (old.body(), new.body()) else { return new.clone() };
    let mut legs = has.legs_in_order();
    let first = had.legs_in_order().into_iter().next();
    let at = first.and_then(|first| legs.iter().position(|leg| same_leg(leg, &first)));
    let Some(at) = at.filter(|_| legs.len() > 1) else { return new.clone() };
    let is_said = |id: &u16| had.record.value(*id) == has.record.value(*id);
    if at == 0 && OF_ONE_LEG.iter().all(is_said) {
        return new.clone();
    }
    legs.rotate_left(at);
    let mut record = has.record.clone();
    for id in OF_ONE_LEG {
        match had.record.value(id) {
            Some(value) => record.set(id, value.clone()),
            None => drop(record.remove(id)),
        }
    }
    record.set(row::MULTIPATH, Value::Records(legs.into()));
    of_record(has.family, &record, bodies)
}

/// `rt6_qualify_for_ecmp`: by a gateway, not by a nexthop object, not learned from a router.
fn is_group(held: &Arc<Held>) -> bool {
    const RTPROT_RA: u64 = 9;
    held.body().is_some_and(|body| {
        let by_gateway = legs(&body.record).iter().any(|leg| leg.value(hop_row::GATEWAY).is_some());
        by_gateway
            && body.record.value(row::NH_ID).is_none()
            && body.record.number(row::PROTOCOL) != RTPROT_RA
    })
}

fn same_source(a: &Arc<Held>, b: &Arc<Held>) -> bool {
    let source = |held: &Arc<Held>| {
        held.body()
            .map(|body| (body.record.value(row::SRC).cloned(), body.record.number(row::SRC_LEN)))
    };
    source(a) == source(b)
}

/// A deletion names the whole route, or one leg of a group (K10): what is left, and whether that is sure. `None` when
/// nothing like it is there.
fn without_v6(
    all: &[Arc<Held>],
    gone: &Arc<Held>,
    bodies: &mut Bodies,
) -> Option<(Vec<Arc<Held>>, bool)> {
    if all.iter().any(|one| is_same(one, gone)) {
        return Some((without(all, gone), true));
    }
    let lost = legs(&gone.body()?.record);
    let is_lost = |leg: &Record| lost.iter().any(|other| same_leg(leg, other));
    let (at, own) = all.iter().enumerate().find_map(|(at, one)| {
        let own = one.body()?.legs_in_order();
        own.iter().any(is_lost).then_some((at, own))
    })?;
    let left: Vec<_> = own.iter().filter(|leg| !is_lost(leg)).cloned().collect();
    let mut next = all.to_vec();
    match left.is_empty() {
        true => drop(next.remove(at)),
        false => next[at] = rebuilt(next[at].body()?, &left, bodies),
    }
    Some((next, left.is_empty() || !own.first().is_some_and(is_lost)))
}

/// The ways of a route, each as a leg: those of a multipath route, or its single one.
pub fn legs(record: &Record) -> Vec<Record> {
    if let Some(Value::Records(all)) = record.value(row::MULTIPATH) {
        return all.to_vec();
    }
    let mut leg = Record::new(&HOP);
    for (own, of_leg) in LEG_ROWS {
        if let Some(value) = record.value(own) {
            leg.set(of_leg, value.clone());
        }
    }
    if leg.is_empty() { Vec::new() } else { vec![leg] }
}

/// The legs of an IPv6 group have no order: a message begins with the leg that it is about, a dump with another.
fn sort_legs(record: &mut Record) {
    let Some(Value::Records(all)) = record.value(row::MULTIPATH) else { return };
    let mut all = all.to_vec();
    let way = |leg: &Record| {
        let gateway = leg.value(hop_row::GATEWAY).map(Value::to_string);
        (leg.number(hop_row::OIF), gateway, leg.number(hop_row::HOPS))
    };
    all.sort_by_cached_key(way);
    record.set(row::MULTIPATH, Value::Records(all.into()));
}

/// Weights and flags do not tell legs apart (libnl 382).
fn same_leg(a: &Record, b: &Record) -> bool {
    [hop_row::OIF, hop_row::GATEWAY, hop_row::VIA, hop_row::ENCAP]
        .iter()
        .all(|id| a.value(*id) == b.value(*id))
}

/// A body with these legs instead of its own.
fn rebuilt(body: &Body, legs: &[Record], bodies: &mut Bodies) -> Arc<Held> {
    let mut record = body.record.clone();
    record.remove(row::MULTIPATH);
    LEG_ROWS.iter().for_each(|(own, _)| drop(record.remove(*own)));
    match legs {
        [leg] => {
            for (own, of_leg) in LEG_ROWS {
                if let Some(value) = leg.value(of_leg) {
                    record.set(own, value.clone());
                }
            }
            record.set(row::FLAGS, Value::Number(leg.number(hop_row::FLAGS)));
        }
        legs => record.set(row::MULTIPATH, Value::Records(legs.into())),
    }
    of_record(body.family, &record, bodies)
}

/// The body that a decoded one is.
fn of_record(family: u8, record: &Record, bodies: &mut Bodies) -> Arc<Held> {
    let number = |id| record.number(id) as u8;
    let mut bytes =
        vec![number(row::PROTOCOL), number(row::SCOPE), number(row::TYPE), number(row::SRC_LEN)];
    put_ne_u32(&mut bytes, record.number(row::FLAGS) as u32);
    let mut attributes = Builder::new(0, 0);
    record.encode(&mut attributes);
    bytes.extend_from_slice(&attributes.finish()[HEADER..]);
    bodies.intern(family, &bytes)
}

impl Snapshot {
    /// The routes at a key, in the kernel's order; none where there is none.
    #[doc(hidden)]
    pub fn routes_at(&self, key: &RouteKey) -> &[Arc<Held>] {
        let held = match key {
            RouteKey::V4(key) => self.routes.v4.get(key),
            RouteKey::V6(key) => self.routes.v6.get(key),
            RouteKey::Mpls(label) => self.routes.mpls.get(label),
        };
        held.map(each).unwrap_or_default()
    }

    /// The keys of a table with what they hold, IPv4 before IPv6, in their order; behind those of the main table the
    /// labels, which the kernel says to be in it.
    #[doc(hidden)]
    pub fn keyed_routes(&self, table: u32) -> impl Iterator<Item = (RouteKey, &[Arc<Held>])> {
        let v4 = self.routes.v4.range(RouteKey4 { table, ..RouteKey4::default() }..);
        let v4 = v4.take_while(move |(key, _)| key.table == table);
        let v6 = self.routes.v6.range(RouteKey6 { table, ..RouteKey6::default() }..);
        let v6 = v6.take_while(move |(key, _)| key.table == table);
        let v4 = v4.map(|(key, held)| (RouteKey::V4(*key), each(held)));
        let ip = v4.chain(v6.map(|(key, held)| (RouteKey::V6(*key), each(held))));
        let labels = self.keyed_labels().filter(move |(key, _)| key.table() == table);
        ip.chain(labels)
    }

    /// The keys of every table with what they hold, IPv4 before IPv6 before MPLS.
    #[doc(hidden)]
    pub fn all_keyed_routes(&self) -> impl Iterator<Item = (RouteKey, &[Arc<Held>])> {
        let v4 = self.routes.v4.iter().map(|(key, held)| (RouteKey::V4(*key), each(held)));
        let v6 = self.routes.v6.iter().map(|(key, held)| (RouteKey::V6(*key), each(held)));
        v4.chain(v6).chain(self.keyed_labels())
    }

    /// The labels of MPLS routes with what they hold.
    #[doc(hidden)]
    pub fn keyed_labels(&self) -> impl Iterator<Item = (RouteKey, &[Arc<Held>])> {
        self.routes.mpls.iter().map(|(label, held)| (RouteKey::Mpls(*label), each(held)))
    }

    /// The keys of exactly the prefix and table that this is the first key of, every TOS and priority of it, with what
    /// they hold.
    #[doc(hidden)]
    pub fn keyed_routes_to(
        &self,
        first: RouteKey,
    ) -> impl Iterator<Item = (RouteKey, &[Arc<Held>])> {
        let (mut first4, mut first6) = (None, None);
        match first {
            RouteKey::V4(key) => first4 = Some(key),
            RouteKey::V6(key) => first6 = Some(key),
            RouteKey::Mpls(_) => {}
        }
        let label = self.routes_at(&first);
        let is_label = matches!(first, RouteKey::Mpls(_)) && !label.is_empty();
        let v4 = first4.into_iter().flat_map(|first| {
            let of = move |key: &RouteKey4| {
                (key.table, key.dst, key.len) == (first.table, first.dst, first.len)
            };
            self.routes.v4.range(first..).take_while(move |(key, _)| of(key))
        });
        let v6 = first6.into_iter().flat_map(|first| {
            let of = move |key: &RouteKey6| {
                (key.table, key.dst, key.len) == (first.table, first.dst, first.len)
            };
            self.routes.v6.range(first..).take_while(move |(key, _)| of(key))
        });
        let v4 = v4.map(|(key, held)| (RouteKey::V4(*key), each(held)));
        let ip = v4.chain(v6.map(|(key, held)| (RouteKey::V6(*key), each(held))));
        ip.chain(is_label.then_some((first, label)))
    }

    /// The keys that hold something else in `later`, with what they hold here. Costs what has changed.
    #[doc(hidden)]
    pub fn routes_changed<'a>(
        &'a self,
        later: &'a Snapshot,
    ) -> impl Iterator<Item = (RouteKey, &'a [Arc<Held>])> {
        let v4 = self.routes.v4.diff(&later.routes.v4).filter_map(earlier);
        let v6 = self.routes.v6.diff(&later.routes.v6).filter_map(earlier);
        let mpls = self.routes.mpls.diff(&later.routes.mpls).filter_map(earlier);
        let v4 = v4.map(|(key, held)| (RouteKey::V4(*key), each(held)));
        let v6 = v6.map(|(key, held)| (RouteKey::V6(*key), each(held)));
        v4.chain(v6).chain(mpls.map(|(label, held)| (RouteKey::Mpls(*label), each(held))))
    }
}

fn earlier<'a, K>(item: DiffItem<'a, 'a, K, Arc<Held>>) -> Option<(&'a K, &'a Arc<Held>)> {
    match item {
        DiffItem::Add(..) => None,
        DiffItem::Remove(key, held) | DiffItem::Update { old: (key, held), .. } => {
            Some((key, held))
        }
    }
}

impl Body {
    /// As the kernel sent it, without what is volatile: see [`split`](crate::object::route::split).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, decoded.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its ways one by one: the legs of an IPv6 group each as a route of its own (K10). `None` when it has one way.
    pub fn ways(&self, bodies: &mut Bodies) -> Option<Vec<Arc<Held>>> {
        self.record.value(row::MULTIPATH)?;
        let all = legs(&self.record);
        let mut alone = |leg: &Record| match leg.number(hop_row::HOPS) {
            0 => rebuilt(self, std::slice::from_ref(leg), bodies),
            // A weight can be said of a leg only.
            _ => {
                let mut record = self.record.clone();
                record.set(row::MULTIPATH, Value::Records([leg.clone()].into()));
                of_record(self.family, &record, bodies)
            }
        };
        Some(all.iter().map(&mut alone).collect())
    }

    /// The ways of the route, each as a leg, in the order in which the kernel has said them.
    fn legs_in_order(&self) -> Vec<Record> {
        legs(&body(&self.bytes, self.family))
    }

    /// The same without the legs over an interface; `None` when none is left. The kernel shows the last one as a list
    /// of one (`mpls_dump_route`).
    fn without_legs_over(&self, index: u32, bodies: &mut Bodies) -> Option<Arc<Held>> {
        let Some(Value::Records(all)) = self.record.value(row::MULTIPATH) else { return None };
        let is_left = |leg: &&Record| leg.number(hop_row::OIF) != u64::from(index);
        let left: Box<[Record]> = all.iter().filter(is_left).cloned().collect();
        if left.is_empty() {
            return None;
        }
        let mut record = self.record.clone();
        record.set(row::MULTIPATH, Value::Records(left));
        Some(of_record(self.family, &record, bodies))
    }

    /// The interfaces that its ways leave by.
    pub fn links(&self) -> &[u32] {
        &self.links
    }

    /// Whether it is of IPv4.
    pub fn is_v4(&self) -> bool {
        self.family == AF_INET
    }

    /// Whether it is of IPv6.
    pub fn is_v6(&self) -> bool {
        self.family == AF_INET6
    }

    /// Whether it is of MPLS.
    pub(super) fn is_mpls(&self) -> bool {
        self.family == AF_MPLS
    }

    /// `AF_INET` 2, `AF_INET6` 10 or `AF_MPLS` 28.
    pub fn family(&self) -> u8 {
        self.family
    }

    /// Whether one of its ways leaves by this interface.
    pub(super) fn is_over(&self, index: u32) -> bool {
        self.links.contains(&index)
    }

    /// Whether it is an IPv4 route of scope host, to an address of this machine: such outlive the link's going down
    /// (K4).
    pub(super) fn is_host(&self) -> bool {
        self.is_v4() && self.record.number(row::SCOPE) == u64::from(RouteScope::HOST.0)
    }

    /// Whether it stays when its interface loses its last IPv4 address: a nexthop object does, and so do the routes by it
    /// (`fib_sync_down_dev` asks for nexthops of the routes' own, seen on 6.18).
    pub(super) fn outlives_addresses(&self) -> bool {
        self.nexthop().is_some()
    }

    /// The source address that it prefers.
    pub fn prefsrc(&self) -> Option<IpAddr> {
        match self.record.value(row::PREFSRC)? {
            Value::V4(address) => Some((*address).into()),
            Value::V6(address) => Some((*address).into()),
            _ => None,
        }
    }

    /// The mtu that is said of it.
    pub fn mtu(&self) -> Option<u32> {
        let metrics = self.record.value(row::METRICS)?.nested()?;
        Some(metrics.value(metric_row::MTU)?.number()? as u32)
    }

    /// Whether the kernel made it by itself.
    fn is_kernels(&self) -> bool {
        self.protocol() == RouteProtocol::KERNEL
    }

    /// Who made it.
    pub(super) fn protocol(&self) -> RouteProtocol {
        RouteProtocol(self.record.number(row::PROTOCOL) as u8)
    }

    /// The nexthop object that it goes by.
    pub fn nexthop(&self) -> Option<u32> {
        Some(self.record.value(row::NH_ID)?.number()? as u32)
    }

    /// The whole route at a key.
    pub fn at(&self, key: RouteKey) -> Route {
        Route::new(key.complete(self.record.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dump brings the routes of a key one after the other, and longer prefixes first.
    #[test]
    fn a_loaded_table_is_that_of_single_puts() {
        let (of_24, of_16) = if cfg!(miri) { (100, 34) } else { (10_000, 3334) };
        let mut bodies = Bodies::default();
        let (mut one, mut other, mut load) =
            (Routes::default(), Routes::default(), Load::default());
        for number in 0..of_24 {
            for (len, protocol) in [(24, 4), (16, 4), (16, 3), (16, 2)] {
                if len == 16 && number % 3 != 0 {
                    continue;
                }
                let key = RouteKey4 { table: 254, dst: number << 16, len, ..RouteKey4::default() };
                let held = bodies.intern(AF_INET, &[protocol, 0, 1, 0, 0, 0, 0, 0]);
                one.put(RouteKey::V4(key), held.clone(), flags::APPEND, &mut bodies);
                load.push(RouteKey::V4(key), held, &mut other, &mut bodies);
            }
        }
        load.finish(&mut other, &mut bodies);
        assert_eq!(one.v4.len(), (of_24 + of_16) as usize);
        assert_eq!(one.count(), (of_24 + 3 * of_16) as usize);
        assert!(one.v4 == other.v4);
    }
}
