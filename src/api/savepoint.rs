//! Savepoints: a transaction as it was.

use std::time::Duration;

use uuid::Uuid;

use super::handles::Follow;
use super::{NetNs, Result, Transaction};
use crate::engine::Hook;
use crate::plan::{Draft, Refusal};

/// What a transaction held when [`Transaction::savepoint`] was asked.
#[derive(Clone)]
pub struct Savepoint {
    transaction: Uuid,
    draft: Draft,
    wrong: Option<Refusal>,
    hooks: Vec<Hook>,
    hook_deadline: Option<Duration>,
    follows: Vec<Follow>,
    abroad: Vec<NetNs>,
}

impl std::fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Savepoint of transaction {}", self.transaction)
    }
}

impl Transaction {
    /// What it holds now, to go back to: edits, hooks, and what is done about conflicts.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// tx.interface("lo").up();
    /// let only_up = tx.savepoint();
    /// tx.create(Bridge::new("br0"))?;
    /// tx.rollback_to(&only_up)?;
    /// let now = tx.commit()?.snapshot().clone();
    /// assert!(now.link("br0").is_none() && now.link("lo").is_some_and(|lo| lo.is_up()));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            transaction: self.id,
            draft: self.draft.clone(),
            wrong: self.wrong.clone(),
            hooks: self.hooks.clone(),
            hook_deadline: self.hook_deadline,
            follows: self.follows.clone(),
            abroad: self.abroad.clone(),
        }
    }

    /// Forgets what was done since the savepoint. An interface that was to be created since is unknown then, also to
    /// its [`NewInterface`](super::NewInterface). A savepoint holds as long as its transaction, and may be gone back to
    /// more than once.
    ///
    /// # Errors
    /// When it is of another transaction.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<&mut Self> {
        if savepoint.transaction != self.id {
            let why = format!("the transaction is {}", self.id);
            let value = savepoint.transaction.to_string();
            return Err(Refusal::Invalid { what: "savepoint of transaction", value, why }.into());
        }
        self.draft.go_back(savepoint.draft.clone());
        self.wrong = savepoint.wrong.clone();
        self.hooks = savepoint.hooks.clone();
        self.hook_deadline = savepoint.hook_deadline;
        self.follows = savepoint.follows.clone();
        self.abroad = savepoint.abroad.clone();
        Ok(self)
    }
}
