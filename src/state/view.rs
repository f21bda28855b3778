//! Which routes a database follows.

use crate::object::Family;
use crate::object::route::{RouteProtocol, TABLE_MAIN};
use crate::wire::{Attributes, ne_u32};

/// Which routes a database follows: by table, protocol and family. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteView {
    /// `None` is all.
    pub only_tables: Option<Vec<u32>>,
    /// These are left out.
    pub without_tables: Vec<u32>,
    /// `None` is all.
    pub only_protocols: Option<Vec<RouteProtocol>>,
    /// These are left out.
    pub without_protocols: Vec<RouteProtocol>,
    /// `None` is all.
    pub family: Option<Family>,
}

impl RouteView {
    /// Whether all routes are followed.
    pub fn is_all(&self) -> bool {
        *self == RouteView::default()
    }

    /// Whether routes of this family are followed.
    pub fn has_family(&self, family: Family) -> bool {
        self.family.is_none_or(|own| own == family)
    }

    /// Whether routes of this table are followed.
    pub fn has_table(&self, table: u32) -> bool {
        self.only_tables.as_ref().is_none_or(|only| only.contains(&table))
            && !self.without_tables.contains(&table)
    }

    /// Whether routes of this protocol are followed.
    pub fn has_protocol(&self, protocol: RouteProtocol) -> bool {
        self.only_protocols.as_ref().is_none_or(|only| only.contains(&protocol))
            && !self.without_protocols.contains(&protocol)
    }

    /// Whether some protocol is left out.
    pub fn cuts_protocols(&self) -> bool {
        self.only_protocols.is_some() || !self.without_protocols.is_empty()
    }

    /// Whether every route of this table is followed.
    pub fn is_whole(&self, table: u32) -> bool {
        self.family.is_none() && !self.cuts_protocols() && self.has_table(table)
    }

    /// Whether every MPLS route is followed.
    pub fn has_all_mpls(&self) -> bool {
        self.has_family(Family::MPLS) && !self.cuts_protocols() && self.has_table(TABLE_MAIN)
    }

    /// What the kernel is asked for: family and table, where 0 is every table. MPLS has but one.
    ///
    /// Not by protocol, which it could do too: routes of several protocols may share a key, and who replaces the first of
    /// them must be known (K20).
    pub(super) fn dumps(&self) -> Vec<(u8, u32)> {
        let every = [0];
        let tables = self.only_tables.as_deref().unwrap_or(&every);
        let tables =
            || tables.iter().copied().filter(|table| self.has_table(*table) || *table == 0);
        let families = [(AF_INET, Family::Inet), (AF_INET6, Family::Inet6)];
        let families = families.into_iter().filter(|(_, family)| self.has_family(*family));
        let ip = families.flat_map(|(number, _)| tables().map(move |table| (number, table)));
        let has_mpls = self.has_family(Family::MPLS) && self.has_table(TABLE_MAIN);
        ip.chain(has_mpls.then_some((AF_MPLS, 0))).collect()
    }

    /// Whether the payload of a message is of a route that is followed, without decoding it.
    pub(super) fn judge(&self, payload: &[u8]) -> Judged {
        let Some(fixed) = payload.first_chunk::<RTMSG>() else { return Judged::Elsewhere };
        let in_family = match fixed[0] {
            AF_INET => self.has_family(Family::Inet),
            AF_INET6 => self.has_family(Family::Inet6),
            AF_MPLS => self.has_family(Family::MPLS),
            _ => false,
        };
        if !in_family || !self.has_table(table_of(fixed, payload)) {
            return Judged::Elsewhere;
        }
        match self.has_protocol(RouteProtocol(fixed[5])) {
            true => Judged::Followed,
            false => Judged::Beside,
        }
    }
}

/// What a [`RouteView`] says of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is followed.
    Followed,
    /// Its protocol is left out, and it may share its key with a route that is followed.
    Beside,
    /// It is left out, and so is everything that shares its key.
    Elsewhere,
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
pub(super) const AF_MPLS: u8 = 28;
const RTMSG: usize = 12;
const RTA_TABLE: u16 = 15;

/// What `rtm_table` says of a table whose number has more than 8 bits.
const RT_TABLE_COMPAT: u8 = 252;

fn table_of(fixed: &[u8; RTMSG], payload: &[u8]) -> u32 {
    match fixed[4] {
        0 | RT_TABLE_COMPAT => {
            let table = Attributes::new(&payload[RTMSG..]).find(RTA_TABLE);
            table.and_then(|table| ne_u32(table.payload)).unwrap_or(fixed[4].into())
        }
        table => table.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Builder, HEADER, put_ne_u32};

    fn payload(family: u8, table: u32, protocol: u8) -> Vec<u8> {
        let short = u8::try_from(table).unwrap_or(RT_TABLE_COMPAT);
        let fixed = [family, 8, 0, 0, short, protocol, 0, 1, 0, 0, 0, 0];
        let mut message = Builder::new(24, 0).fixed(&fixed);
        let mut bytes = Vec::new();
        put_ne_u32(&mut bytes, table);
        message.attribute(RTA_TABLE, &bytes);
        message.finish().split_off(HEADER)
    }

    #[test]
    fn what_is_left_out_is_seen_without_decoding() {
        let view = RouteView {
            only_tables: Some(vec![254, 1000, 255]),
            without_tables: vec![255],
            without_protocols: vec![RouteProtocol(186)],
            family: Some(Family::Inet),
            ..RouteView::default()
        };
        let judged = |family, table, protocol| view.judge(&payload(family, table, protocol));
        assert_eq!(judged(2, 254, 3), Judged::Followed);
        assert_eq!(judged(2, 1000, 3), Judged::Followed);
        assert_eq!(judged(2, 1000, 186), Judged::Beside);
        for (family, table) in [(2, 255), (2, 252), (2, 1001), (10, 254), (28, 254)] {
            assert_eq!(judged(family, table, 3), Judged::Elsewhere, "{family} {table}");
        }
        assert_eq!(view.judge(&[2]), Judged::Elsewhere);
        assert_eq!(view.dumps(), [(2, 254), (2, 1000)]);
        assert!(!view.is_all() && !view.is_whole(254));
    }

    #[test]
    fn the_default_is_everything() {
        let all = RouteView::default();
        assert_eq!(all.dumps(), [(2, 0), (10, 0), (28, 0)]);
        assert!(all.is_all() && all.is_whole(7));
        assert_eq!(all.judge(&payload(10, 70_000, 2)), Judged::Followed);
        assert_eq!(all.judge(&payload(28, 254, 2)), Judged::Followed);
        assert!(all.has_all_mpls());
    }

    /// The kernel says of MPLS routes that they are in the main table; it has no other.
    #[test]
    fn labels_are_where_the_main_table_is() {
        let only =
            |tables: &[u32]| RouteView { only_tables: Some(tables.into()), ..RouteView::default() };
        assert_eq!(only(&[100]).dumps(), [(2, 100), (10, 100)]);
        assert_eq!(only(&[100]).judge(&payload(28, 254, 2)), Judged::Elsewhere);
        assert_eq!(only(&[254]).dumps(), [(2, 254), (10, 254), (28, 0)]);
        assert!(only(&[254]).has_all_mpls() && !only(&[100]).has_all_mpls());
        let alone = RouteView { family: Some(Family::MPLS), ..RouteView::default() };
        assert_eq!(alone.dumps(), [(28, 0)]);
        assert!(alone.has_all_mpls() && !alone.is_whole(254));
    }
}
