//! Ensuring what stands under keys.

use super::edits::Edit;
use super::{Content, Key, Matcher, Op, Planned, Wish, rule};
use crate::plan::{Draft, Refusal};
use crate::state::Bodies;

impl Draft {
    /// Names what makes it be there: nothing where it stands, the place of another one only when that is asked for.
    pub(in crate::plan) fn ensure_keyed(&mut self, wish: Wish, adopt: bool) -> Result<(), Refusal> {
        if let Wish::Rule(spec) = wish {
            rule::check(&spec)?;
            let family =
                self.base().rules().family(crate::object::Rule::of(spec.record()).family());
            let there = family.iter().any(|one| spec.selects(one));
            return match there {
                true => Ok(()),
                false => self.add_rule(spec),
            };
        }
        let planned = self.planned(wish.clone(), Op::Append)?;
        let Planned::Ready(step) = planned else { return self.put(wish, Op::Append) };
        let mut bodies = Bodies::default();
        let there = step.key.elements(self.base(), &mut bodies);
        let mut matcher = Matcher::default();
        let parts = match (&step.key, &step.content) {
            (Key::Route(key), Content::Route(held)) => super::route::ways(key, held, &mut bodies),
            (_, content) => vec![content.clone()],
        };
        let stands = parts.iter().all(|part| there.iter().any(|own| matcher.agrees(part, own)));
        let alone = step.key.is_ordered() || parts.len() == there.len();
        match (stands && alone, there.is_empty()) {
            // It is to be there also when another program takes it away meanwhile.
            (true, _) => {
                self.check_followed(&step.key)?;
                self.keyed.push(Some(step.key.clone()), Edit::Put(Planned::Ready(step)));
                Ok(())
            }
            (false, true) => self.put(wish, Op::Add),
            (false, false) if adopt => self.put(wish, Op::Replace),
            (false, false) => self.put(wish, Op::Add),
        }
    }
}
