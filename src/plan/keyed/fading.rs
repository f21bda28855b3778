//! What is still there when undoing ends, and goes a moment later: the kernel looks at carriers when a second has passed
//! (`linkwatch_run_queue`), also at those that went and have not come back. A bridge with a spanning tree has none until a
//! port that has joined it again has learned (measured on 6.18).
//!
//! None of it can be kept: not even to have it made anew does the kernel allow then ("Carrier for nexthop device is down").

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Causes, Content, Key, neighbour, text};
use crate::object::{Link, LinkFlags, Nexthop};
use crate::plan::commit::Residue;
use crate::plan::rules;
use crate::state::{Held, Snapshot};

/// What goes with the carriers that are lost: nexthop objects, their places in groups, routes by either
/// (`nexthop_netdev_event`), and neighbours that are not permanent (`neigh_carrier_down`).
pub(in crate::plan) fn fading(before: &Snapshot, now: &Snapshot, causes: &Causes) -> Vec<Residue> {
    let starving = starving(before, now, causes);
    if starving.is_empty() {
        return Vec::new();
    }
    let over = |index: Option<u32>| index.is_some_and(|index| starving.contains(&index));
    let nexthops = now.nexthops();
    let single = nexthops.iter().filter(|own| over(own.oif())).map(|own| own.id());
    let mut going: BTreeSet<u32> = single.collect();
    let loses = |own: &&Nexthop| own.group().any(|(id, _)| going.contains(&id));
    let groups: Vec<_> = nexthops.iter().filter(loses).map(|own| own.id()).collect();
    going.extend(groups);
    let by = |held: &Arc<Held>| {
        held.body().and_then(|body| body.nexthop()).is_some_and(|id| going.contains(&id))
    };
    let routes = if going.is_empty() { Vec::new() } else { now.route_keys(by) };
    let neighbours = now.neighbours_over(&starving);
    let neighbours = neighbours.filter(|(_, own)| neighbour::goes_with_carrier(own));
    let keys = going.iter().map(|id| Key::Nexthop(*id));
    let keys = keys.chain(routes.into_iter().map(Key::Route));
    let keys = keys.chain(neighbours.map(|(key, _)| Key::Neighbour(Arc::new(*key))));
    let is_going = |one: &Content| match one {
        Content::Route(held) => by(held),
        _ => true,
    };
    let contents = keys.flat_map(|key| {
        let all = key.whole(now).into_iter().filter(is_going);
        all.map(|one| (key.clone(), one)).collect::<Vec<_>>()
    });
    contents.map(|(key, one)| residue(&key, &one, now)).collect()
}

/// Interfaces that are asked for whether they have their carrier again: that it comes back is told a second later too.
pub(in crate::plan) fn doubtful(before: &Snapshot, causes: &Causes) -> BTreeSet<u32> {
    let mut neighbours = before.neighbours_over(&causes.carriers);
    let is_over = |own: &Nexthop| own.oif().is_some_and(|index| causes.carriers.contains(&index));
    let any = before.nexthops().iter().any(is_over)
        || neighbours.any(|(_, own)| neighbour::goes_with_carrier(own));
    let had = |index: &&u32| before.link_by_index(**index).is_some_and(carries);
    causes.carriers.iter().filter(|index| any && had(index)).copied().collect()
}

fn residue(key: &Key, one: &Content, now: &Snapshot) -> Residue {
    Residue {
        what: format!("{} {}", key.noun(), text(key, one, now)),
        was: "there".to_owned(),
        is: "about to go or to change, with the carrier of an interface".to_owned(),
        failure: None,
    }
}

/// Interfaces that had a carrier, and have none, which the kernel has not seen yet (`RUNNING`), and those on top that had it
/// from them. What came when it had seen that stays.
fn starving(before: &Snapshot, now: &Snapshot, causes: &Causes) -> BTreeSet<u32> {
    let had = |index: u32| before.link_by_index(index).is_some_and(carries);
    let runs = |link: &&Link| link.is_up() && link.flags().contains(LinkFlags::RUNNING);
    let running = |index: u32| now.link_by_index(index).filter(runs).filter(|_| had(index));
    let is_starving = |index: &&u32| running(**index).is_some_and(|link| !carries(link));
    let lost: Vec<_> = causes.carriers.iter().filter(is_starving).copied().collect();
    let on_top = lost.iter().flat_map(|index| rules::stacked_on(*index, now));
    let follows = |index: &u32| running(*index).is_some_and(rules::has_carrier_of_lower);
    on_top.filter(follows).chain(lost.iter().copied()).collect()
}

fn carries(link: &Link) -> bool {
    link.is_up() && link.flags().contains(LinkFlags::LOWER_UP)
}
