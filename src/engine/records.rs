//! Where the records of commits lie in a journal that have not ended.
//!
//! The writer moves these places on as it writes, and the reader as it reads: after the same pieces both have the same.

use uuid::Uuid;

/// Where the records lie, in the order in which they were begun.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    open: Vec<Place>,
    /// The end of the last piece; 0 when no record is open.
    end: u64,
    /// Up to here the file cannot be cut: a piece that says of a record before it that it has ended ends here.
    floor: u64,
}

/// A record that is open.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    id: Uuid,
    start: u64,
    /// The end of its last piece.
    end: u64,
    /// Whether it waits for a word, and not for requests that are under way.
    held: bool,
}

/// How the file is told that a record has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// There is no such record.
    Nothing,
    /// The file ends there; 0 when no record is left.
    To(u64),
    /// There are pieces of others behind it: by a piece of its own.
    Say,
}

impl Records {
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn is_open(&self, id: Uuid) -> bool {
        self.open.iter().any(|own| own.id == id)
    }

    /// A commit that does not merely wait for a word.
    pub(super) fn cut_off(&self) -> Option<Uuid> {
        self.open.iter().find(|own| !own.held).map(|own| own.id)
    }

    /// Its first piece ends there.
    pub(super) fn begun(&mut self, id: Uuid, end: u64) {
        self.open.push(Place { id, start: self.end, end, held: false });
        self.end = end;
    }

    /// Another one of its pieces ends there.
    pub(super) fn noted(&mut self, id: Uuid, end: u64) {
        self.end = end;
        self.open.iter_mut().filter(|own| own.id == id).for_each(|own| own.end = end);
    }

    pub(super) fn held(&mut self, id: Uuid, end: u64) {
        self.noted(id, end);
        self.hold(id, true);
    }

    pub(super) fn taking_back(&mut self, id: Uuid) {
        self.hold(id, false);
    }

    fn hold(&mut self, id: Uuid, held: bool) {
        self.open.iter_mut().filter(|own| own.id == id).for_each(|own| own.held = held);
    }

    /// How the file is to be told that this one has ended.
    pub(super) fn cut(&self, id: Uuid) -> Cut {
        let Some(own) = self.open.iter().find(|own| own.id == id) else { return Cut::Nothing };
        let others = self.open.iter().filter(|other| other.id != id).map(|other| other.end);
        match others.max() {
            None => Cut::To(0),
            Some(others) if own.start >= others.max(self.floor) => Cut::To(own.start),
            Some(_) => Cut::Say,
        }
    }

    /// The file has been cut there.
    pub(super) fn cut_to(&mut self, id: Uuid, end: u64) {
        self.open.retain(|own| own.id != id);
        self.end = end;
        if self.open.is_empty() {
            self.floor = 0;
        }
    }

    /// A piece that says so ends there.
    pub(super) fn said_ended(&mut self, id: Uuid, end: u64) {
        self.cut_to(id, end);
        self.floor = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_bytes([1; 16]);
    const B: Uuid = Uuid::from_bytes([2; 16]);
    const C: Uuid = Uuid::from_bytes([3; 16]);

    #[test]
    fn the_last_one_leaves_nothing() {
        let mut records = Records::default();
        records.begun(A, 200);
        records.noted(A, 300);
        assert_eq!((records.cut(A), records.cut(B)), (Cut::To(0), Cut::Nothing));
        records.cut_to(A, 0);
        assert_eq!(records, Records::default());
    }

    #[test]
    fn what_comes_and_goes_behind_one_that_waits_takes_no_room() {
        let mut records = Records::default();
        records.begun(A, 200);
        records.held(A, 210);
        for _ in 0..3 {
            assert_eq!(records.cut_off(), None);
            records.begun(B, 300);
            assert_eq!((records.cut(B), records.cut_off()), (Cut::To(210), Some(B)));
            records.cut_to(B, 210);
            assert_eq!(records.end(), 210);
        }
    }

    /// Cut before the piece that says that A has ended, the file would hold it again.
    #[test]
    fn what_has_ended_by_a_piece_stays_so() {
        let mut records = Records::default();
        records.begun(A, 200);
        records.begun(B, 300);
        assert_eq!(records.cut(A), Cut::Say);
        records.said_ended(A, 310);
        records.begun(C, 400);
        assert_eq!(records.cut(C), Cut::To(310));
        records.noted(B, 410);
        assert_eq!(records.cut(C), Cut::Say, "a piece of another is behind it");
        assert_eq!(records.cut(B), Cut::Say);
        records.said_ended(B, 420);
        assert_eq!(records.cut(C), Cut::To(0));
    }

    #[test]
    fn one_that_is_being_taken_back_waits_no_more() {
        let mut records = Records::default();
        records.begun(A, 200);
        records.held(A, 210);
        records.taking_back(A);
        assert_eq!(records.cut_off(), Some(A));
    }
}
