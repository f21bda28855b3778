//! Dumps that may have passed over something, and are to be repeated (K14).
//!
//! The kernel gives a dump in parts, and what changes between two parts moves the place where it goes on. The walk
//! through an IPv6 table begins anew when the table has grown, and passes over as many nodes as it had shown: when some
//! of these have gone since, as many that were not shown yet (`fib6_dump_table`). Neighbours are counted off in their
//! buckets (`neigh_dump_table`), forwarding entries in their list (`br_fdb_dump`), the IPv4 routes to one address in
//! theirs (`fn_trie_dump_leaf`). Nothing is marked (`NLM_F_DUMP_INTR`) in these.
//!
//! What two dumps show is joined: what was passed over is somewhere else in the second one. What has gone meanwhile was
//! announced, and goes in the replay.
//!
//! Not here: interfaces, addresses and nexthop objects, whose dumps the kernel marks; rules, which are asked for anew.

use std::collections::BTreeSet;

use super::Event;
use crate::object::route::{RouteKey, RouteKey4};

/// How often in all dumps are repeated because of what changes while they run. Each passes over a part of what the ones
/// before have passed over.
const REPEATS: u32 = 5;

/// What a dump shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// IPv4 routes.
    Routes4,
    /// IPv6 routes.
    Routes6,
    /// Neighbours, proxies or forwarding entries.
    Neighbours,
}

/// A dump, and how often what it shows had changed when it began.
#[derive(Clone, Copy, Debug)]
struct Span<D> {
    dump: D,
    sort: Sort,
    begun: u64,
    parts: u32,
}

/// Watches dumps.
#[derive(Debug)]
pub(super) struct Holes<D> {
    routes6: u64,
    neighbours: u64,
    running: Option<Span<D>>,
    /// Those that came in several parts.
    doubtful: Vec<Span<D>>,
    /// The IPv4 route that was shown last, and those behind which a part has ended.
    last: Option<RouteKey4>,
    edges: BTreeSet<(u32, u32)>,
    repeats: u32,
    again: Vec<D>,
}

impl<D> Default for Holes<D> {
    fn default() -> Self {
        Holes {
            routes6: 0,
            neighbours: 0,
            running: None,
            doubtful: Vec::new(),
            last: None,
            edges: BTreeSet::new(),
            repeats: 0,
            again: Vec::new(),
        }
    }
}

impl<D: Copy> Holes<D> {
    /// A dump begins.
    pub(super) fn begin(&mut self, dump: D, sort: Option<Sort>) {
        let begun = sort.map_or(0, |sort| self.changes(sort));
        self.running = sort.map(|sort| Span { dump, sort, begun, parts: 0 });
        self.last = None;
    }

    /// A part of it comes.
    pub(super) fn part(&mut self) {
        if let Some(running) = &mut self.running {
            running.parts += 1;
        }
        self.edges.extend(self.last.take().map(|key| (key.table, key.dst)));
    }

    /// A route of it.
    pub(super) fn shows(&mut self, key: &RouteKey) {
        if let RouteKey::V4(key) = key {
            self.last = Some(*key);
        }
    }

    /// It is at its end. What came in one part is of one moment.
    pub(super) fn end(&mut self) {
        self.doubtful.extend(self.running.take().filter(|dump| dump.parts > 1));
    }

    /// Something is announced while everything is read.
    pub(super) fn stir(&mut self, sort: Sort) {
        match sort {
            Sort::Routes4 => {}
            Sort::Routes6 => self.routes6 += 1,
            Sort::Neighbours => self.neighbours += 1,
        }
    }

    fn changes(&self, sort: Sort) -> u64 {
        match sort {
            Sort::Routes4 => 0,
            Sort::Routes6 => self.routes6,
            Sort::Neighbours => self.neighbours,
        }
    }

    /// All has been dumped and all that was announced meanwhile has been heard. The first dump that is to be repeated, if
    /// any is.
    pub(super) fn repeat(&mut self) -> Option<D> {
        let doubtful = std::mem::take(&mut self.doubtful);
        if self.repeats == REPEATS {
            return None;
        }
        let is_disturbed = |dump: &Span<D>| self.changes(dump.sort) != dump.begun;
        self.again = doubtful.into_iter().filter(is_disturbed).map(|dump| dump.dump).collect();
        self.repeats += u32::from(!self.again.is_empty());
        self.again.pop()
    }

    /// Whether dumps are being repeated, and the next one of them.
    pub(super) fn next(&mut self) -> Option<Option<D>> {
        (self.repeats > 0).then(|| self.again.pop())
    }

    /// Whether an IPv4 route has gone that shared its address with one behind which a part has ended.
    pub(super) fn is_beside_an_edge(&self, events: &[Event]) -> bool {
        let is_edge = |event: &Event| match event {
            Event::Route { key: RouteKey::V4(key), gone: true, .. } => {
                self.edges.contains(&(key.table, key.dst))
            }
            _ => false,
        };
        !self.edges.is_empty() && events.iter().any(is_edge)
    }
}
