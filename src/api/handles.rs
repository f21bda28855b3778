//! Handles on rules and routes.

use std::fmt;
use std::sync::Arc;

use super::{CommitError, Committed, Db, Result, Transaction};
use crate::object::route::{Route, RouteKey, RouteSpec};
use crate::object::{Rule, RuleSpec};
use crate::plan::Refusal;
use crate::state::{RuleKey, Snapshot};
use crate::sys::sync::Mutex;

/// A handle on one rule: what the kernel tells it apart by, and where to look.
///
/// No request changes a rule: another one takes its place. When a transaction does that through the handle
/// ([`RuleHandle::change`], or [`Transaction::change_rule`] with the handle), the handle and its clones mean the new one
/// from the moment on in which the transaction holds; when it is rolled back they mean the old one as before. When
/// another program takes the rule away the handle is stale, until one like it is there again.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, Rule};
///
/// let db = Db::open()?;
/// let mut tx = db.begin();
/// tx.add_rule(Rule::new().priority(500).from("10.0.0.0/8").table(100))?;
/// tx.commit()?;
///
/// let rule = db.rule(Rule::new().priority(500))?;
/// rule.change(|rule| rule.priority(400).table(200))?.commit()?;
/// assert_eq!((rule.rule()?.priority(), rule.rule()?.table()), (400, 200));
/// rule.remove()?.commit()?;
/// assert!(rule.rule().unwrap_err().is_stale());
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
pub struct RuleHandle {
    db: Db,
    own: Arc<Mutex<Arc<Rule>>>,
}

/// A handle on one route: its table, prefix, TOS and priority, and where to look.
///
/// It means the route that stands there, also when another program has changed its way. When a transaction gives the
/// route another place through the handle ([`RouteHandle::change`], or [`Transaction::change_route`] with the handle),
/// the handle and its clones follow it from the moment on in which the transaction holds; when it is rolled back they
/// stay. Where several routes share a place, it is the one that the handle was made for.
///
/// ```
/// # netlinkdb::NetNs::enter_private()?;
/// use netlinkdb::{Db, Route};
///
/// let db = Db::open()?;
/// let mut tx = db.begin();
/// tx.interface("lo").up();
/// tx.add_route(Route::to("10.2.0.0/16").blackhole().priority(10))?;
/// tx.commit()?;
///
/// let route = db.route(Route::to("10.2.0.0/16"))?;
/// route.change(|route| route.priority(20))?.commit()?;
/// assert_eq!(route.route()?.priority(), 20);
/// route.remove()?.commit()?;
/// assert!(route.is_stale());
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone)]
pub struct RouteHandle {
    db: Db,
    own: Arc<Mutex<Route>>,
}

/// Writes what both kinds of handles have.
macro_rules! handles {
    ($($handle:ident $change:ident $remove:ident $object:ident $spec:ident $get:ident;)*) => {$(
        impl $handle {
            pub(super) fn db(&self) -> &Db {
                &self.db
            }

            /// Whether it is gone.
            pub fn is_stale(&self) -> bool {
                self.$get().is_err()
            }

            /// Begins a transaction. What is changed in it through this handle is followed.
            pub fn begin(&self) -> Transaction {
                self.db.begin()
            }

            /// Begins a transaction that changes it: `change` gets it as it is.
            ///
            /// # Errors
            /// When it is gone, what it becomes cannot be, or another one is there.
            pub fn change(&self, change: impl FnOnce($spec) -> $spec) -> Result<Transaction> {
                let mut tx = self.begin_implicit();
                tx.$change(self, change)?;
                Ok(tx)
            }

            /// Begins a transaction that changes it, and commits.
            ///
            /// # Errors
            /// As [`Self::change`], and the commit's.
            pub fn with(
                &self,
                change: impl FnOnce($spec) -> $spec,
            ) -> Result<Committed, CommitError> {
                let mut tx = self.db.begin();
                match tx.$change(self, change).map(drop) {
                    Ok(()) => tx.commit(),
                    Err(error) => Err(CommitError(Box::new((error, tx)))),
                }
            }

            /// Begins a transaction that takes it away.
            ///
            /// # Errors
            /// When it is gone.
            pub fn remove(&self) -> Result<Transaction> {
                let mut tx = self.begin_implicit();
                tx.$remove(self)?;
                Ok(tx)
            }

            /// A transaction that an edit begins, which an explicit database refuses.
            fn begin_implicit(&self) -> Transaction {
                let mut tx = self.db.begin();
                if self.db.is_explicit() {
                    tx.refuse(Refusal::Explicit);
                }
                tx
            }
        }

        /// As it was when it was last known, and whether it is gone.
        impl fmt::Display for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let now = self.db.snapshot();
                match self.find(&now) {
                    Some(own) => f.write_str(&own.line(&now)),
                    None => write!(f, "{} (gone)", self.own.lock().line(&now)),
                }
            }
        }

        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($handle))
            }
        }
    )*};
}

handles! {
    RuleHandle change_rule remove_rule Rule RuleSpec rule;
    RouteHandle change_route remove_route Route RouteSpec route;
}

impl RuleHandle {
    pub(super) fn new(db: Db, rule: Arc<Rule>) -> Self {
        RuleHandle { db, own: Arc::new(Mutex::new(rule)) }
    }

    /// The rule, as of now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn rule(&self) -> Result<Arc<Rule>> {
        self.rule_in(&self.db.snapshot())
    }

    /// The rule, as of a snapshot of the same database.
    ///
    /// # Errors
    /// When it is not there.
    pub fn rule_in(&self, snapshot: &Snapshot) -> Result<Arc<Rule>> {
        let gone =
            || Refusal::Gone { what: format!("the rule {}", self.own.lock().line(snapshot)) };
        Ok(self.find(snapshot).ok_or_else(gone)?)
    }

    fn find(&self, now: &Snapshot) -> Option<Arc<Rule>> {
        let own: RuleSpec = (&**self.own.lock()).into();
        let all = now.rules_at(&RuleKey::of(&own.record()));
        all.iter().find(|rule| own.selects(rule)).cloned()
    }
}

impl RouteHandle {
    pub(super) fn new(db: Db, route: Route) -> Self {
        RouteHandle { db, own: Arc::new(Mutex::new(route)) }
    }

    /// The route, as of now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn route(&self) -> Result<Route> {
        self.route_in(&self.db.snapshot())
    }

    /// The route, as of a snapshot of the same database.
    ///
    /// # Errors
    /// When it is not there.
    pub fn route_in(&self, snapshot: &Snapshot) -> Result<Route> {
        let gone =
            || Refusal::Gone { what: format!("the route {}", self.own.lock().line(snapshot)) };
        Ok(self.find(snapshot).ok_or_else(gone)?)
    }

    fn find(&self, now: &Snapshot) -> Option<Route> {
        let own = self.own.lock().clone();
        let all = routes_at(RouteKey::of(own.record())?, now);
        let same = all.iter().find(|route| route.record().same(own.record()));
        // Where there is but one it is this one, whatever has become of it.
        same.or(all.first().filter(|_| all.len() == 1)).cloned()
    }
}

fn routes_at(key: RouteKey, now: &Snapshot) -> Vec<Route> {
    let all = now.routes_at(&key).iter();
    all.filter_map(|held| Some(held.body()?.at(key))).collect()
}

/// Which rule is meant: by words, by a rule that is there, or by a handle.
#[derive(Clone, Debug)]
pub enum RuleRef {
    /// The rule that the words mean.
    Spec(Box<RuleSpec>),
    /// The rule of a handle.
    Handle(RuleHandle),
}

/// Which route is meant: by words, by a route that is there, or by a handle.
#[derive(Clone, Debug)]
pub enum RouteRef {
    /// The route that the words mean.
    Spec(Box<RouteSpec>),
    /// The route of a handle.
    Handle(RouteHandle),
}

macro_rules! references {
    ($($reference:ident $spec:ident $object:ident $handle:ident;)*) => {$(
        impl From<$spec> for $reference {
            fn from(spec: $spec) -> Self {
                $reference::Spec(Box::new(spec))
            }
        }

        impl From<$object> for $reference {
            fn from(object: $object) -> Self {
                $reference::Spec(Box::new((&object).into()))
            }
        }

        impl From<&$object> for $reference {
            fn from(object: &$object) -> Self {
                $reference::Spec(Box::new(object.into()))
            }
        }

        impl From<&$handle> for $reference {
            fn from(handle: &$handle) -> Self {
                $reference::Handle(handle.clone())
            }
        }
    )*};
}

references! {
    RuleRef RuleSpec Rule RuleHandle;
    RouteRef RouteSpec Route RouteHandle;
}

impl RuleRef {
    pub(super) fn spec(&self, base: &Snapshot) -> Result<RuleSpec> {
        match self {
            RuleRef::Spec(spec) => Ok((**spec).clone()),
            RuleRef::Handle(handle) => Ok((&*handle.rule_in(base)?).into()),
        }
    }
}

impl RouteRef {
    pub(super) fn spec(&self, base: &Snapshot) -> Result<RouteSpec> {
        match self {
            RouteRef::Spec(spec) => Ok((**spec).clone()),
            RouteRef::Handle(handle) => Ok((&handle.route_in(base)?).into()),
        }
    }
}

/// A handle, and what its rule or route is to become.
#[derive(Clone, Debug)]
pub(super) enum Follow {
    Rule(RuleHandle, RuleSpec),
    Route(RouteHandle, RouteSpec),
}

impl Follow {
    /// The transaction holds: the handle means what is there now.
    pub(super) fn committed(&self, now: &Snapshot) {
        match self {
            Follow::Rule(handle, wish) => {
                let identity = wish.identity();
                let all = now.rules_at(&RuleKey::of(&wish.record()));
                if let Some(new) = all.iter().find(|rule| *rule.identity() == *identity) {
                    *handle.own.lock() = new.clone();
                }
            }
            Follow::Route(handle, wish) => {
                let all = wish.key().map(|key| routes_at(key, now)).unwrap_or_default();
                let index =
                    |link: &crate::object::LinkRef| now.link(link.clone()).map(|link| link.index());
                let meant = all.iter().find(|route| wish.selects(route, index));
                if let Some(new) = meant.or(all.first()) {
                    *handle.own.lock() = new.clone();
                }
            }
        }
    }
}
