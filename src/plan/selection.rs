//! What is spoken of: a set of objects of all kinds, whether they are there or not.

use crate::object::{Link, LinkRef, NeighbourSpec, RouteSpec, RuleSpec};
use crate::state::RouteFilter;

/// A set of objects: what is brought back, saved, or held fast.
///
/// It names objects, not states: an interface that is gone is spoken of as well. Of the attributes only those count
/// that a program can set, and of the objects only those that programs make: never the addresses, routes and
/// forwarding entries that the kernel makes by itself or learns.
///
/// What the other state does not have stays as it is, unless [`exactly`](Selection::exactly) is said.
///
/// ```
/// use netlinkdb::{RouteFilter, Selection};
/// let all = Selection::everything();
/// let some = Selection::interface("br0").and_interface("eth0").and_routes(RouteFilter::table(100)).exactly();
/// # drop((all, some));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub(super) all_links: bool,
    pub(super) links: Vec<(LinkRef, Parts)>,
    pub(super) all_routes: bool,
    pub(super) routes: Vec<RouteFilter>,
    pub(super) single_routes: Vec<RouteSpec>,
    pub(super) all_rules: bool,
    pub(super) rules: Vec<RuleSpec>,
    pub(super) all_nexthops: bool,
    pub(super) nexthops: Vec<u32>,
    pub(super) all_neighbours: bool,
    pub(super) neighbours_of: Vec<LinkRef>,
    pub(super) neighbours: Vec<NeighbourSpec>,
    pub(super) exactly: bool,
}

/// What of an interface is spoken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// That it is there, its attributes, flags, options, master, ports and VLANs.
    pub(super) link: bool,
    /// Its addresses.
    pub(super) addresses: bool,
}

impl Parts {
    pub(super) const ALL: Parts = Parts { link: true, addresses: true };

    pub(super) fn or(self, other: Parts) -> Parts {
        Parts { link: self.link || other.link, addresses: self.addresses || other.addresses }
    }
}

impl Selection {
    /// Everything that the database follows: interfaces, addresses, routes, rules, nexthop objects, neighbours.
    pub fn everything() -> Self {
        Selection {
            all_links: true,
            all_routes: true,
            all_rules: true,
            all_nexthops: true,
            all_neighbours: true,
            ..Selection::default()
        }
    }

    /// Nothing, to begin with.
    pub fn nothing() -> Self {
        Selection::default()
    }

    /// An interface: that it is there, its attributes, flags, options, master, ports, VLANs and addresses.
    pub fn interface(which: impl Into<LinkRef>) -> Self {
        Selection::default().and_interface(which)
    }

    /// Those routes.
    pub fn routes(filter: RouteFilter) -> Self {
        Selection::default().and_routes(filter)
    }

    /// All rules.
    pub fn rules() -> Self {
        Selection::default().and_rules()
    }

    /// And an interface: see [`Selection::interface`].
    pub fn and_interface(self, which: impl Into<LinkRef>) -> Self {
        self.and_parts(which.into(), Parts::ALL)
    }

    /// And all interfaces.
    pub fn and_interfaces(self) -> Self {
        Selection { all_links: true, ..self }
    }

    /// And an interface without its addresses.
    pub fn and_link(self, which: impl Into<LinkRef>) -> Self {
        self.and_parts(which.into(), Parts { link: true, addresses: false })
    }

    /// And the addresses of an interface, nothing else of it.
    pub fn and_addresses_of(self, which: impl Into<LinkRef>) -> Self {
        self.and_parts(which.into(), Parts { link: false, addresses: true })
    }

    fn and_parts(mut self, which: LinkRef, parts: Parts) -> Self {
        self.links.push((which, parts));
        self
    }

    /// And those routes.
    pub fn and_routes(mut self, filter: RouteFilter) -> Self {
        self.routes.push(filter);
        self
    }

    /// And the routes of all tables, and those of MPLS.
    pub fn and_all_routes(self) -> Self {
        Selection { all_routes: true, ..self }
    }

    /// And the routes that the words mean, with all that shares their key: prefix, table, priority, TOS, or label.
    pub fn and_route(mut self, which: impl Into<RouteSpec>) -> Self {
        self.single_routes.push(which.into());
        self
    }

    /// And all rules.
    pub fn and_rules(self) -> Self {
        Selection { all_rules: true, ..self }
    }

    /// And the rules that the words mean: what they do not name does not count.
    pub fn and_rule(mut self, which: impl Into<RuleSpec>) -> Self {
        self.rules.push(which.into());
        self
    }

    /// And all nexthop objects.
    pub fn and_nexthops(self) -> Self {
        Selection { all_nexthops: true, ..self }
    }

    /// And the nexthop object with this number.
    pub fn and_nexthop(mut self, id: u32) -> Self {
        self.nexthops.push(id);
        self
    }

    /// And all neighbours, proxies and forwarding entries that a program has made.
    pub fn and_neighbours(self) -> Self {
        Selection { all_neighbours: true, ..self }
    }

    /// And those of an interface.
    pub fn and_neighbours_of(mut self, which: impl Into<LinkRef>) -> Self {
        self.neighbours_of.push(which.into());
        self
    }

    /// And the one with this address behind this interface.
    pub fn and_neighbour(mut self, which: impl Into<NeighbourSpec>) -> Self {
        self.neighbours.push(which.into());
        self
    }

    /// What the other state does not have goes: interfaces, addresses, alternative names, ports, routes, rules.
    /// Hardware stays.
    pub fn exactly(self) -> Self {
        Selection { exactly: true, ..self }
    }

    /// What of an interface is spoken of, under any of its names.
    pub(super) fn parts_of(&self, link: &Link) -> Parts {
        let all = if self.all_links { Parts::ALL } else { Parts::default() };
        let means = |which: &LinkRef| match which {
            LinkRef::Name(name) => {
                link.name() == &**name || link.altnames().iter().any(|own| own == name)
            }
            LinkRef::Index(index) => link.index() == *index,
            LinkRef::Handle { index, generation } => {
                (link.index(), link.generation()) == (*index, *generation)
            }
            LinkRef::New(_) => false,
        };
        let named = self.links.iter().filter(|(which, _)| means(which));
        named.fold(all, |parts, (_, more)| parts.or(*more))
    }
}

impl From<RouteFilter> for Selection {
    fn from(filter: RouteFilter) -> Self {
        Selection::routes(filter)
    }
}

impl<L: Into<LinkRef>> From<L> for Selection {
    fn from(which: L) -> Self {
        Selection::interface(which)
    }
}
