//! Which routes are spoken of.

use crate::object::Family;
use crate::object::route::{RouteProtocol, TABLE_MAIN};

/// Which routes are spoken of, by table, and where it is said by protocol and family: of IPv4 and IPv6, unless it is
/// said that those of MPLS are meant.
///
/// ```
/// use netlinkdb::{Family, RouteFilter, RouteProtocol};
/// let ours = RouteFilter::table(254).protocol(RouteProtocol::BIRD).family(Family::Inet);
/// assert!(ours.matches(254, Family::Inet, RouteProtocol::BIRD));
/// assert!(!ours.matches(254, Family::Inet, RouteProtocol::STATIC));
/// assert_eq!(ours.to_string(), "table 254 proto bird inet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFilter {
    table: u32,
    protocol: Option<RouteProtocol>,
    family: Option<Family>,
}

impl RouteFilter {
    /// The routes of a table, 1 to 4294967295.
    pub fn table(table: u32) -> Self {
        RouteFilter { table, protocol: None, family: None }
    }

    /// The MPLS routes.
    pub fn mpls() -> Self {
        RouteFilter::table(TABLE_MAIN).family(Family::MPLS)
    }

    /// Of these, those that this protocol made.
    pub fn protocol(self, protocol: RouteProtocol) -> Self {
        RouteFilter { protocol: Some(protocol), ..self }
    }

    /// Of these, those of one family.
    pub fn family(self, family: Family) -> Self {
        RouteFilter { family: Some(family), ..self }
    }

    /// The number of the table.
    pub fn table_number(&self) -> u32 {
        self.table
    }

    /// Whether it speaks of MPLS routes.
    pub fn is_mpls(&self) -> bool {
        self.family == Some(Family::MPLS)
    }

    /// Whether a route is spoken of.
    pub fn matches(&self, table: u32, family: Family, protocol: RouteProtocol) -> bool {
        self.table == table
            && self.protocol.is_none_or(|own| own == protocol)
            && self.family.map_or(family != Family::MPLS, |own| own == family)
    }
}

/// `table 254 proto bird inet`.
impl std::fmt::Display for RouteFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {}", self.table)?;
        self.protocol.iter().try_for_each(|protocol| write!(f, " proto {protocol}"))?;
        match self.family {
            None => Ok(()),
            Some(Family::Inet) => f.write_str(" inet"),
            Some(Family::Inet6) => f.write_str(" inet6"),
            Some(Family::MPLS) => f.write_str(" mpls"),
            Some(Family::Other(number)) => write!(f, " family {number}"),
        }
    }
}
