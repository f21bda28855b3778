//! Rules in transactions.

use super::handles::Follow;
use super::{Result, RuleRef, Transaction};
use crate::object::RuleSpec;
use crate::plan::Which;

impl Transaction {
    /// Adds a rule; it comes after those of its priority. Where it says no priority it gets the one that the kernel
    /// would choose: just below the least that is not 0.
    ///
    /// Rules come last, when the table that they lead to is filled, and go first.
    ///
    /// # Errors
    /// When it cannot be, or one that the kernel takes for the same is there.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Db, Route, Rule};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.interface("lo").up();
    /// tx.add_route(Route::to("default").blackhole().table(100))?;
    /// tx.add_rule(Rule::new().priority(500).from("10.0.0.0/8").table(100))?;
    /// let done = tx.commit()?;
    /// let rules = done.snapshot().rules().at(500);
    /// assert_eq!(rules[0].line(done.snapshot()), "500:\tfrom 10.0.0.0/8 lookup 100 proto static");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn add_rule(&mut self, rule: impl Into<RuleSpec>) -> Result<&mut Self> {
        self.draft().add_rule(rule.into())?;
        Ok(self)
    }

    /// Takes away the rule that the words mean: what they do not name does not count. A [`Rule`](crate::Rule) or a handle
    /// means itself and no other.
    ///
    /// # Errors
    /// When there is none, or several fit.
    pub fn remove_rule(&mut self, which: impl Into<RuleRef>) -> Result<&mut Self> {
        let which = which.into().spec(self.base())?;
        self.draft().take(&Which::Rule(which))?;
        Ok(self)
    }

    /// Changes the rule that the words mean: `change` gets it as it is. No request changes a rule: the new one is added
    /// before the old one is deleted, so that there is no moment without either.
    ///
    /// # Errors
    /// When there is none, or several fit; when what it becomes cannot be, or is there already.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// # let db = netlinkdb::Db::open()?;
    /// # use netlinkdb::Rule;
    /// let mut tx = db.begin();
    /// tx.add_rule(Rule::new().priority(500).from("10.0.0.0/8").table(100))?;
    /// tx.commit()?;
    /// let mut tx = db.begin();
    /// tx.change_rule(Rule::new().priority(500), |rule| rule.table(200))?;
    /// let now = tx.commit()?.snapshot().clone();
    /// let tables: Vec<_> = now.rules().at(500).iter().map(|rule| rule.table()).collect();
    /// assert_eq!(tables, [200]);
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn change_rule(
        &mut self,
        which: impl Into<RuleRef>,
        change: impl FnOnce(RuleSpec) -> RuleSpec,
    ) -> Result<&mut Self> {
        let which = which.into();
        let spec = which.spec(self.base())?;
        let wish = self.draft().change_rule(spec, change)?;
        if let RuleRef::Handle(handle) = which {
            self.follow(Follow::Rule(handle, wish));
        }
        Ok(self)
    }
}
