//! Steps as bytes for a file of our own: see `plan::resume`.

use std::sync::Arc;

use super::journal::{Sent, nexthops_touched};
use super::{Causes, Content, Journal, Key, Op, Planned, Step, neighbour};
use crate::object::{Neighbour, Nexthop, Record, Rule};
use crate::state::{Bodies, BodyList, Held, NeighbourKey, Part, RuleKey, Snapshot};
use crate::wire::{Pack, Unpackable, pack_enum};

impl Journal {
    /// The bodies of its routes.
    pub(in crate::plan) fn bodies(&mut self) -> &mut Bodies {
        &mut self.bodies
    }

    /// How many steps were sent, or are about to be.
    pub(in crate::plan) fn sent_count(&self) -> usize {
        self.steps.len()
    }

    /// Whether a refusal is not noted yet.
    pub(in crate::plan) fn has_refusals(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Writes the steps since the first `noted` ones, what the kernel has refused since the last note, and what undoing
    /// is about to take away for a while, with what that leads to.
    pub(in crate::plan) fn note(&mut self, noted: usize, to: &mut Vec<u8>) {
        let kept = noted.min(self.steps.len());
        let new = &self.steps[kept..];
        (kept as u32).pack(to);
        pack_all(new, to);
        let doubtful = |at: usize| self.sent.get(at) == Some(&Sent::Doubtful);
        let refused = std::mem::take(&mut self.refused).into_iter();
        refused.map(|at| (at as u32, doubtful(at))).collect::<Vec<_>>().pack(to);
        let withdrawing = self.take_withdrawing();
        pack_all(&withdrawing, to);
        pack_all(&self.aims_of(&withdrawing), to);
    }

    /// Reads what [`Journal::note`] wrote.
    ///
    /// # Errors
    /// When something else is there.
    pub(in crate::plan) fn take_note(&mut self, from: &mut &[u8]) -> Result<(), Unpackable> {
        let kept = u32::unpack(from)? as usize;
        self.steps.truncate(kept);
        self.sent.truncate(kept);
        let new = unpack_all(from, &mut self.bodies)?;
        self.sent.resize(self.sent.len() + new.len(), Sent::Lost);
        self.steps.extend(new);
        for (at, doubtful) in Vec::<(u32, bool)>::unpack(from)? {
            if let Some(sent) = self.sent.get_mut(at as usize) {
                *sent = if doubtful { Sent::Doubtful } else { Sent::Refused };
            }
        }
        let withdrawn = unpack_all(from, &mut self.bodies)?;
        let aims = unpack_all(from, &mut self.bodies)?;
        self.note_withdrawn(withdrawn, aims);
        Ok(())
    }
}

/// What an undo of these steps, and of what is done to interfaces, can need of the state before.
pub(in crate::plan) fn scope<'a>(
    before: &Snapshot,
    mut causes: Causes,
    steps: impl Iterator<Item = &'a Planned>,
    mut part: Part,
) -> Part {
    for planned in steps {
        match planned.key() {
            // A table of a million that is loaded has nothing before.
            Some(Key::Route(key)) if before.routes_at(&key).is_empty() => {}
            Some(Key::Route(key)) => drop(part.routes.insert(key)),
            Some(Key::Rule(key)) => drop(part.rules.insert(key)),
            Some(Key::Neighbour(key)) => drop(part.neighbours.insert(*key)),
            Some(Key::Nexthop(id)) => {
                part.nexthops.insert(id);
                if matches!(planned.op(), Op::Delete | Op::Replace) {
                    causes.nexthops.insert(id);
                }
            }
            // Of an interface that is yet to be created.
            None => {}
        }
    }
    if causes.is_empty() {
        return part;
    }
    causes.nexthops = nexthops_touched(before, &causes);
    let by = before.neighbours_by_nexthop();
    let by = by.filter(|(_, entry)| entry.nh_id().is_some_and(|id| causes.nexthops.contains(&id)));
    let links = causes.neighbourless();
    let gone = before.neighbours_over(&links).chain(by);
    let kept = gone.filter(|(_, neighbour)| neighbour::is_kept(neighbour));
    part.neighbours.extend(kept.map(|(key, _)| *key));
    let taken = |held: &Arc<Held>| causes.takes(&Content::Route(held.clone()));
    part.routes.extend(before.route_keys(taken));
    part.nexthops.extend(&causes.nexthops);
    part
}

fn pack_all(all: &[Step], to: &mut Vec<u8>) {
    let mut bodies = BodyList::default();
    let mut steps = Vec::new();
    all.iter().for_each(|step| pack(step, &mut bodies, &mut steps));
    bodies.pack(to);
    (all.len() as u32).pack(to);
    to.extend(steps);
}

fn unpack_all(from: &mut &[u8], known: &mut Bodies) -> Result<Vec<Step>, Unpackable> {
    let bodies = BodyList::unpack(from, known)?;
    (0..u32::unpack(from)?).map(|_| unpack(from, &bodies)).collect()
}

fn pack(step: &Step, bodies: &mut BodyList, to: &mut Vec<u8>) {
    step.op.pack(to);
    match (&step.key, &step.content) {
        (Key::Route(key), Content::Route(held)) => {
            to.push(0);
            key.pack(to);
            bodies.number(held).pack(to);
        }
        (_, Content::Rule(rule)) => (1u8, rule.record().clone()).pack(to),
        (_, Content::Neighbour(neighbour)) => (2u8, neighbour.record().clone()).pack(to),
        (_, Content::Nexthop(nexthop)) => (3u8, nexthop.record().clone()).pack(to),
        // A key and a content are always made together: this is read as none.
        (_, Content::Route(_)) => to.push(u8::MAX),
    }
}

fn unpack(from: &mut &[u8], bodies: &[Arc<Held>]) -> Result<Step, Unpackable> {
    let op = Op::unpack(from)?;
    let (key, content) = match u8::unpack(from)? {
        0 => {
            let key = Pack::unpack(from)?;
            let body = bodies.get(u32::unpack(from)? as usize).ok_or(Unpackable("body"))?;
            (Key::Route(key), Content::Route(body.clone()))
        }
        1 => {
            let rule = Rule::of(Record::unpack(from)?);
            (Key::Rule(RuleKey::of(rule.record())), Content::Rule(Arc::new(rule)))
        }
        2 => {
            let neighbour = Neighbour::of(Record::unpack(from)?);
            let key = NeighbourKey::of(neighbour.record()).ok_or(Unpackable("neighbour"))?;
            (Key::Neighbour(Arc::new(key)), Content::Neighbour(Arc::new(neighbour)))
        }
        3 => {
            let nexthop = Nexthop::of(Record::unpack(from)?);
            (Key::Nexthop(nexthop.id()), Content::Nexthop(Arc::new(nexthop)))
        }
        _ => return Err(Unpackable("kind of step")),
    };
    Ok(Step { key, content, op })
}

pack_enum!(Op, "way of a step" {
    0 Add,
    1 Append,
    2 Prepend,
    3 Replace,
    4 Delete,
});
