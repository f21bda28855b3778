//! Routes in transactions.

use super::handles::Follow;
use super::{Result, RouteRef, Transaction};
use crate::object::route::RouteSpec;
use crate::plan::{Op, Which};
use crate::state::RouteFilter;

impl Transaction {
    /// Adds a route where none is: of the same table, prefix, TOS and priority, or of the same label
    /// ([`Route::mpls`](crate::Route::mpls)).
    ///
    /// It may go out of an interface, or by a gateway on a network, that the same transaction creates: routes come after
    /// interfaces and addresses, those by a gateway after those that lead to it.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or a route is there.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// use netlinkdb::{Bridge, Db, Route};
    ///
    /// let db = Db::open()?;
    /// let mut tx = db.begin();
    /// let br0 = tx.create(Bridge::new("br0"))?;
    /// tx.interface(&br0).add_ip("10.0.0.1/24")?.up();
    /// tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2").mtu(1400))?;
    /// let done = tx.commit()?;
    /// let route = done.snapshot().routes().lookup("10.2.3.4".parse().unwrap()).unwrap();
    /// assert_eq!(route.line(done.snapshot()), "10.2.0.0/16 via 10.0.0.2 dev br0 proto static mtu 1400");
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn add_route(&mut self, route: impl Into<RouteSpec>) -> Result<&mut Self> {
        self.put_route(route, Op::Add)
    }

    /// Adds a route behind those of the same table, prefix, TOS and priority, if there are any. An IPv6 route by a
    /// gateway joins them as one more leg. Beside an MPLS route there is no other of its label.
    ///
    /// # Errors
    /// When it cannot be, names an unknown interface, or is there already.
    pub fn append_route(&mut self, route: impl Into<RouteSpec>) -> Result<&mut Self> {
        self.put_route(route, Op::Append)
    }

    /// Adds a route before those of the same table, prefix, TOS and priority, if there are any: it is the one that is
    /// used. As [`Transaction::append_route`] for IPv6.
    ///
    /// # Errors
    /// As there.
    pub fn prepend_route(&mut self, route: impl Into<RouteSpec>) -> Result<&mut Self> {
        self.put_route(route, Op::Prepend)
    }

    /// Puts a route in the place of the first one of the same table, prefix, TOS and priority, and of all legs of an
    /// IPv6 route; adds it where there is none.
    ///
    /// # Errors
    /// When it cannot be, or names an unknown interface.
    pub fn replace_route(&mut self, route: impl Into<RouteSpec>) -> Result<&mut Self> {
        self.put_route(route, Op::Replace)
    }

    fn put_route(&mut self, route: impl Into<RouteSpec>, op: Op) -> Result<&mut Self> {
        self.draft().put_route(route.into(), op)?;
        Ok(self)
    }

    /// Takes away the route that the words mean: what they do not name does not count, but for the table, which is the
    /// main one. Of an IPv6 route with several legs, one that is named by its gateway or interface goes alone.
    ///
    /// # Errors
    /// When there is none, or several fit.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// # let db = netlinkdb::Db::open()?;
    /// # use netlinkdb::Route;
    /// let mut tx = db.begin();
    /// tx.interface("lo").up();
    /// tx.add_route(Route::to("10.2.0.0/16").blackhole())?;
    /// tx.commit()?;
    /// let mut tx = db.begin();
    /// tx.remove_route(Route::to("10.2.0.0/16"))?;
    /// assert!(tx.commit()?.snapshot().routes().is_empty());
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn remove_route(&mut self, which: impl Into<RouteRef>) -> Result<&mut Self> {
        let which = which.into().spec(self.base())?;
        self.draft().take(&Which::Route(which))?;
        Ok(self)
    }

    /// Changes the route that the words mean, as in [`Transaction::remove_route`]: `change` gets it as it is. In one
    /// request where the kernel can; where its prefix, table, TOS or priority becomes another, the new one is added
    /// before the old one is deleted.
    ///
    /// # Errors
    /// When there is none, or several fit; when what it becomes cannot be, or another route is there.
    ///
    /// ```
    /// # netlinkdb::NetNs::enter_private()?;
    /// # let db = netlinkdb::Db::open()?;
    /// # use netlinkdb::{Hop, Route};
    /// let mut tx = db.begin();
    /// tx.interface("lo").up().add_ip("10.0.0.1/24")?;
    /// tx.add_route(Route::to("10.2.0.0/16").via("10.0.0.2"))?;
    /// tx.commit()?;
    /// let mut tx = db.begin();
    /// tx.change_route(Route::to("10.2.0.0/16"), |route| route.add_nexthop(Hop::via("10.0.0.3").weight(2)).priority(7))?;
    /// let now = tx.commit()?.snapshot().clone();
    /// let routes = now.routes().get("10.2.0.0/16".parse().unwrap());
    /// assert_eq!((routes.len(), routes[0].hops().len(), routes[0].priority()), (1, 2, 7));
    /// # Ok::<(), netlinkdb::Error>(())
    /// ```
    pub fn change_route(
        &mut self,
        which: impl Into<RouteRef>,
        change: impl FnOnce(RouteSpec) -> RouteSpec,
    ) -> Result<&mut Self> {
        let which = which.into();
        let spec = which.spec(self.base())?;
        let wish = self.draft().change_route(spec, change)?;
        if let RouteRef::Handle(handle) = which {
            self.follow(Follow::Route(handle, wish));
        }
        Ok(self)
    }

    /// Brings a whole table in line: what is not among `routes` goes, what is missing or different comes, what is as
    /// wanted is not touched. Routes that the kernel and routers' advertisements make by themselves (the protocols
    /// `kernel`, `redirect` and `ra`) are left alone, and so are those of MPLS, which are a scope of their own
    /// ([`RouteFilter::mpls`]).
    ///
    /// # Errors
    /// When a route cannot be, names an unknown interface, or is of another table.
    pub fn replace_table(
        &mut self,
        table: u32,
        routes: impl IntoIterator<Item: Into<RouteSpec>>,
    ) -> Result<&mut Self> {
        self.sync_routes(RouteFilter::table(table), routes)
    }

    /// As [`Transaction::replace_table`], for the routes of a narrower scope: those of one protocol, of one family.
    /// Routes outside of it are not touched.
    ///
    /// # Errors
    /// When a route cannot be, names an unknown interface, or is outside of the scope.
    pub fn sync_routes(
        &mut self,
        scope: RouteFilter,
        routes: impl IntoIterator<Item: Into<RouteSpec>>,
    ) -> Result<&mut Self> {
        self.draft().sync_routes(scope, routes.into_iter().map(Into::into))?;
        Ok(self)
    }
}
