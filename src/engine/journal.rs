//! The journal: a file from which a commit can be undone when the process that carried it out has ended.
//!
//! ```text
//! 0   "nldbjrnl"
//! 8   how many bytes hold, and the same with every bit the other way round: 0 when no commit is open
//! 24  the version of what follows
//! 28  the header: tables, boot, namespace, the first transaction; its checksum
//! 92  pieces, each behind its length and its checksum: a word, the transaction, and what the word is about
//! ```
//!
//! The pieces of a commit are its record: the testament, then one for each note, and one that says that it holds until
//! it is confirmed. One commit is carried out at a time, but any number of them can wait for a word, and so the records
//! of several are open at once, and their pieces lie among each other.
//!
//! All of a piece is in the file before the number at 8 counts it, so that a process that is killed at any moment leaves
//! either no open record or whole ones: anything else was done by others, and is refused. A piece is on its way
//! before the requests are sent that it speaks of.
//!
//! Only the first piece is waited for until it is on disk. What a killed process has written the kernel still has, and
//! when the kernel is gone, so is the network that a journal could bring back.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Error;
use super::records::{Cut, Records};
use crate::object::fingerprint;
use crate::state::{RouteView, Views};
use crate::sys::{self, HeldFile, Namespace, Options, Socket};
use crate::wire::{Pack, Unpackable, crc32, pack_enum, pack_struct};

const MAGIC: &[u8; 8] = b"nldbjrnl";
const VERSION: u32 = 7;

const LENGTH: usize = 8;
const HEADER: usize = 24;
const CHECKSUM: usize = 88;
const PIECES: usize = 92;

/// Why a journal is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Something else is in the file.
    #[error("is no journal: it does not begin as one")]
    Foreign,
    /// There is less in it than was written.
    #[error("is truncated: it has {has} bytes of {needs}")]
    Truncated {
        /// Bytes that are there.
        has: u64,
        /// Bytes that were.
        needs: u64,
    },
    /// Something else is in it than was written.
    #[error("is corrupt: {0}")]
    Corrupt(String),
    /// Another build has written it.
    #[error(
        "was written by another version of this program or library, which alone can recover from it (format {found}, here {VERSION})"
    )]
    Version {
        /// The version of its format.
        found: u32,
    },
    /// This machine has been booted since.
    #[error(
        "is from another boot of this machine: what commit {0} had changed is gone with it; the file may be deleted"
    )]
    OtherBoot(Uuid),
    /// It is about another network namespace.
    #[error("is about another network namespace than this one (commit {0})")]
    OtherNamespace(Uuid),
    /// Another process has it, or another database of this one.
    #[error("is in use by another database: its commits are still being carried out")]
    InUse,
    /// A commit has not ended.
    #[error("holds commit {0}, which was cut off or never confirmed: recover it first")]
    Unfinished(Uuid),
    /// The file has been deleted, or another put in its place.
    #[error("has been deleted or replaced while the database was open")]
    Moved,
}

/// Where and when a commit was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    tables: u32,
    boot: [u8; 16],
    device: u64,
    inode: u64,
    /// Tells a namespace from a later one with the same number (`SO_NETNS_COOKIE`, from 5.14); 0 where there is none.
    cookie: u64,
    transaction: [u8; 16],
}

pack_struct! {
    Header { tables, boot, device, inode, cookie, transaction }
}

/// What a piece says of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It is about to be carried out: what can undo it.
    Begun,
    /// What is known of it since.
    Noted,
    /// It is as wanted, and waits for a confirmation.
    Held,
    /// It has ended, and others have not.
    Ended,
}

pack_enum!(Word, "word" {
    0 Begun,
    1 Noted,
    2 Held,
    3 Ended,
});

/// The journal of an open database.
pub(super) struct Journal {
    file: HeldFile,
    header: Header,
    records: Records,
}

/// A commit that has not ended.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) id: Uuid,
    pub(super) views: Views,
    pub(super) routes: RouteView,
    pub(super) testament: Vec<u8>,
    pub(super) notes: Vec<Vec<u8>>,
    /// Whether it was as wanted, and waited for a confirmation.
    pub(super) held: bool,
}

/// What was found where a journal was looked for.
pub(super) enum Found {
    NoJournal,
    /// Every commit has ended.
    Ended,
    /// Some have not; in the order in which they were begun.
    Unfinished(Box<(Journal, Vec<Unfinished>)>),
}

impl Journal {
    /// Opens the journal of a database, or begins one.
    ///
    /// # Errors
    /// When it cannot be had, is none, or holds a commit that has not ended.
    pub(super) fn open(path: &Path, namespace: Option<&Namespace>) -> Result<Self, Error> {
        let file = HeldFile::make(path).map_err(|error| unheld(path, error))?;
        let mut journal = Journal { file, header: here(namespace)?, records: Records::default() };
        match journal.read()?.last() {
            None => Ok(journal),
            Some(unfinished) => Err(journal.unusable(Unusable::Unfinished(unfinished.id))),
        }
    }

    /// Looks for commits that have not ended.
    ///
    /// # Errors
    /// When the file cannot be had, is no journal, or one that cannot be used here.
    pub(super) fn find(path: &Path, namespace: Option<&Namespace>) -> Result<Found, Error> {
        let Some(file) = HeldFile::open(path).map_err(|error| unheld(path, error))? else {
            return Ok(Found::NoJournal);
        };
        let mut journal = Journal { file, header: here(namespace)?, records: Records::default() };
        let unfinished = journal.read()?;
        Ok(match unfinished.is_empty() {
            true => Found::Ended,
            false => Found::Unfinished(Box::new((journal, unfinished))),
        })
    }

    fn read(&mut self) -> Result<Vec<Unfinished>, Error> {
        let bytes = self.file.read().map_err(Error::system("read the journal"))?;
        let (records, unfinished) = read(&bytes, &self.header).map_err(|why| self.unusable(why))?;
        self.records = records;
        Ok(unfinished)
    }

    /// Before the first request of a commit: what can undo it, on disk.
    ///
    /// # Errors
    /// When that cannot be written, or when an earlier commit was cut off. Then there is no such commit in it.
    pub(super) fn begin(
        &mut self,
        id: Uuid,
        views: &Views,
        routes: &RouteView,
        testament: &[u8],
    ) -> Result<(), Error> {
        if let Some(cut_off) = self.records.cut_off() {
            return Err(self.unusable(Unusable::Unfinished(cut_off)));
        }
        if !self.file.is_in_place() {
            return Err(self.unusable(Unusable::Moved));
        }
        let mut first = Vec::with_capacity(testament.len() + 64);
        views.pack(&mut first);
        routes.pack(&mut first);
        first.extend_from_slice(testament);
        let mut bytes = piece(Word::Begun, id, &first);
        let at = self.records.end();
        if at == 0 {
            self.header.transaction = id.into_bytes();
            bytes.splice(0..0, head(&self.header));
        }
        let end = at + bytes.len() as u64;
        let write = || {
            self.file.set_length(at)?;
            self.file.write(&bytes, at)?;
            self.file.write(&mark(end), LENGTH as u64)?;
            self.file.sync()
        };
        match write() {
            Ok(()) => {
                self.records.begun(id, end);
                Ok(())
            }
            Err(error) => {
                // Nothing is sent, and nothing is to be undone. Where not even this can be written, what is there is
                // whole and undoes nothing.
                self.file.write(&mark(at), LENGTH as u64).ok();
                Err(Error::system("write the journal")(error))
            }
        }
    }

    /// Before the requests of a wave: what is known since.
    ///
    /// # Errors
    /// When it cannot be written. What was written before still holds.
    pub(super) fn note(&mut self, id: Uuid, note: &[u8]) -> Result<(), Error> {
        let end = self.append(Word::Noted, id, note)?;
        self.records.noted(id, end);
        Ok(())
    }

    /// The commit is as wanted, and its record stays open until it is confirmed or taken back.
    ///
    /// # Errors
    /// When it cannot be written. What was written before still holds.
    pub(super) fn hold(&mut self, id: Uuid) -> Result<(), Error> {
        // Of one that has sent nothing there is none.
        if self.records.is_open(id) {
            let end = self.append(Word::Held, id, &[])?;
            self.records.held(id, end);
        }
        Ok(())
    }

    /// What was held is being taken back: if that is cut off, no other commit is begun.
    pub(super) fn taking_back(&mut self, id: Uuid) {
        self.records.taking_back(id);
    }

    /// The commit has ended, in whatever way.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn end(&mut self, id: Uuid) -> Result<(), Error> {
        match self.records.cut(id) {
            Cut::Nothing => {}
            Cut::To(end) => {
                let told = Error::system("write into the journal that the commit has ended");
                self.file.write(&mark(end), LENGTH as u64).map_err(told)?;
                self.records.cut_to(id, end);
            }
            Cut::Say => {
                let end = self.append(Word::Ended, id, &[])?;
                self.records.said_ended(id, end);
            }
        }
        Ok(())
    }

    /// Writes a piece, and gives where it ends.
    fn append(&self, word: Word, id: Uuid, about: &[u8]) -> Result<u64, Error> {
        let bytes = piece(word, id, about);
        let at = self.records.end();
        let end = at + bytes.len() as u64;
        let write = || {
            self.file.write(&bytes, at)?;
            self.file.write(&mark(end), LENGTH as u64)
        };
        write().map_err(Error::system("write the journal"))?;
        Ok(end)
    }

    pub(super) fn unusable(&self, why: Unusable) -> Error {
        unusable(self.file.path(), why)
    }
}

fn unusable(path: &Path, why: Unusable) -> Error {
    Error::Journal { path: PathBuf::from(path).into(), why }
}

fn unheld(path: &Path, error: sys::Error) -> Error {
    match error.errno() {
        libc::EWOULDBLOCK => unusable(path, Unusable::InUse),
        _ => Error::System { doing: "open the journal", error },
    }
}

/// This boot and this namespace.
fn here(namespace: Option<&Namespace>) -> Result<Header, Error> {
    let namespace = match namespace {
        Some(namespace) => namespace.clone(),
        None => Namespace::current().map_err(Error::system("find the network namespace"))?,
    };
    let cookie = || Socket::open(&Options::default())?.namespace_cookie();
    let cookie = namespace.run(cookie).map_err(Error::system("enter the network namespace"))?;
    let cookie = cookie.map_err(Error::system("ask for the cookie of the network namespace"))?;
    let boot = sys::boot_id().map_err(Error::system("tell this boot from others"))?;
    let (device, inode) = namespace.identity();
    Ok(Header {
        tables: fingerprint(),
        boot: Uuid::parse_str(&boot).unwrap_or_default().into_bytes(),
        device,
        inode,
        cookie: cookie.unwrap_or(0),
        transaction: [0; 16],
    })
}

fn mark(length: u64) -> Vec<u8> {
    (length, !length).packed()
}

fn head(header: &Header) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &mark(0)].concat();
    VERSION.pack(&mut bytes);
    header.pack(&mut bytes);
    crc32(&bytes[HEADER..]).pack(&mut bytes);
    bytes
}

fn piece(word: Word, id: Uuid, about: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(about.len() + 17);
    word.pack(&mut payload);
    payload.extend_from_slice(id.as_bytes());
    payload.extend_from_slice(about);
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    (payload.len() as u32, crc32(&payload)).pack(&mut bytes);
    bytes.append(&mut payload);
    bytes
}

/// What is in a journal: the commits that have not ended, and where their records lie.
fn read(bytes: &[u8], here: &Header) -> Result<(Records, Vec<Unfinished>), Unusable> {
    // One that was made, and in which no commit has begun.
    if bytes.is_empty() {
        return Ok(Default::default());
    }
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(Unusable::Foreign);
    }
    let has = bytes.len() as u64;
    let part = |from: usize, to: usize| {
        bytes.get(from..to).ok_or(Unusable::Truncated { has, needs: PIECES as u64 })
    };
    let corrupt = |what: &str| Unusable::Corrupt(what.to_owned());
    let unreadable = |what: Unpackable| Unusable::Corrupt(what.to_string());
    let (length, inverse) = <(u64, u64)>::whole(part(LENGTH, HEADER)?).map_err(unreadable)?;
    if length != !inverse {
        return Err(corrupt("its length is not what it was"));
    }
    if length == 0 {
        return Ok(Default::default());
    }
    let found = u32::whole(part(HEADER, HEADER + 4)?).map_err(unreadable)?;
    if found != VERSION {
        return Err(Unusable::Version { found });
    }
    let checksum = u32::whole(part(CHECKSUM, PIECES)?).map_err(unreadable)?;
    if checksum != crc32(part(HEADER, CHECKSUM)?) {
        return Err(corrupt("the checksum of its header is another"));
    }
    let header = Header::whole(part(HEADER + 4, CHECKSUM)?).map_err(unreadable)?;
    let id = Uuid::from_bytes(header.transaction);
    if header.boot != here.boot {
        return Err(Unusable::OtherBoot(id));
    }
    if header.tables != here.tables {
        return Err(Unusable::Version { found });
    }
    if (header.device, header.inode, header.cookie) != (here.device, here.inode, here.cookie) {
        return Err(Unusable::OtherNamespace(id));
    }
    let held = usize::try_from(length).ok().and_then(|length| bytes.get(PIECES..length));
    let mut held = held.ok_or(Unusable::Truncated { has, needs: length })?;
    let (mut records, mut unfinished) = (Records::default(), Vec::new());
    let mut count = 0;
    while !held.is_empty() {
        count += 1;
        let (size, checksum) = <(u32, u32)>::unpack(&mut held).map_err(unreadable)?;
        let payload = crate::wire::take(&mut held, size as usize).map_err(unreadable)?;
        if crc32(payload) != checksum {
            return Err(corrupt(&format!("the checksum of piece {count} is another")));
        }
        let end = length - held.len() as u64;
        take_piece(payload, end, &mut records, &mut unfinished).map_err(unreadable)?;
    }
    if unfinished.is_empty() {
        return Err(corrupt("it has no piece"));
    }
    Ok((records, unfinished))
}

/// What a piece that ends there says.
fn take_piece(
    payload: &[u8],
    end: u64,
    records: &mut Records,
    unfinished: &mut Vec<Unfinished>,
) -> Result<(), Unpackable> {
    let from = &mut &*payload;
    let (word, id) = (Word::unpack(from)?, Uuid::from_bytes(Pack::unpack(from)?));
    if word == Word::Begun {
        let (views, routes) = (Pack::unpack(from)?, Pack::unpack(from)?);
        let (testament, notes) = (from.to_vec(), Vec::new());
        unfinished.push(Unfinished { id, views, routes, testament, notes, held: false });
        records.begun(id, end);
        return Ok(());
    }
    let known = unfinished.iter_mut().rfind(|one| one.id == id);
    let known = known.ok_or(Unpackable("transaction"))?;
    match word {
        Word::Begun | Word::Noted => {
            known.notes.push(from.to_vec());
            records.noted(id, end);
        }
        Word::Held => {
            known.held = true;
            records.held(id, end);
        }
        Word::Ended => {
            unfinished.retain(|one| one.id != id);
            records.said_ended(id, end);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_bytes([9; 16]);
    const OTHER: Uuid = Uuid::from_bytes([8; 16]);

    fn here() -> Header {
        Header { tables: 7, boot: [1; 16], device: 4, inode: 5, cookie: 6, transaction: [9; 16] }
    }

    fn running() -> Vec<u8> {
        let mut first = Vec::new();
        Views::ALL.pack(&mut first);
        RouteView::default().pack(&mut first);
        first.extend(b"testament");
        whole(vec![piece(Word::Begun, ID, &first), piece(Word::Noted, ID, b"note")])
    }

    fn whole(pieces: Vec<Vec<u8>>) -> Vec<u8> {
        let mut bytes = [head(&here()), pieces.concat()].concat();
        let length = mark(bytes.len() as u64);
        bytes[LENGTH..HEADER].copy_from_slice(&length);
        bytes
    }

    fn begun(id: Uuid) -> Vec<u8> {
        let mut first = Views::ALL.packed();
        RouteView::default().pack(&mut first);
        piece(Word::Begun, id, &first)
    }

    fn unfinished(bytes: &[u8]) -> Vec<Unfinished> {
        read(bytes, &here()).unwrap().1
    }

    fn refusal(bytes: &[u8], here: &Header) -> Unusable {
        match read(bytes, here) {
            Err(why) => why,
            Ok((_, unfinished)) => panic!("taken: {unfinished:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let unfinished = unfinished(&running());
        let [one] = unfinished.as_slice() else { panic!("{unfinished:?}") };
        assert_eq!((one.id, one.held), (ID, false));
        assert_eq!((one.testament.as_slice(), one.notes.len()), (&b"testament"[..], 1));
        assert_eq!(one.notes[0], b"note");
        assert_eq!((one.views, one.routes.clone()), (Views::ALL, RouteView::default()));
    }

    #[test]
    fn no_commit_is_running_in_a_new_one_or_when_it_has_ended() {
        assert!(unfinished(&[]).is_empty());
        let mut ended = running();
        ended[LENGTH..HEADER].copy_from_slice(&mark(0));
        assert!(unfinished(&ended).is_empty());
        assert!(unfinished(&ended[..30]).is_empty());
    }

    /// What a process had begun to write when it was killed does not count.
    #[test]
    fn what_is_behind_the_end_does_not_count() {
        let more = [running(), vec![0xff; 100]].concat();
        assert_eq!(unfinished(&more)[0].notes.len(), 1);
    }

    #[test]
    fn records_lie_among_each_other() {
        let pieces = |last| {
            let held = piece(Word::Held, ID, &[]);
            let late = piece(Word::Noted, ID, b"late");
            whole(vec![begun(ID), held, begun(OTHER), late, piece(last, OTHER, &[])])
        };
        let both = unfinished(&pieces(Word::Noted));
        let ids: Vec<_> = both.iter().map(|one| (one.id, one.held, one.notes.len())).collect();
        assert_eq!(ids, [(ID, true, 1), (OTHER, false, 1)]);
        let first = unfinished(&pieces(Word::Ended));
        assert_eq!(first.iter().map(|one| one.id).collect::<Vec<_>>(), [ID]);
    }

    #[test]
    fn a_piece_of_no_commit_is_corrupt() {
        let stray = whole(vec![begun(ID), piece(Word::Noted, OTHER, b"note")]);
        assert!(matches!(refusal(&stray, &here()), Unusable::Corrupt(_)));
    }

    #[test]
    fn one_that_is_shorter_is_truncated_at_every_length() {
        let whole = running();
        for length in 1..whole.len() {
            let why = refusal(&whole[..length], &here());
            assert!(matches!(why, Unusable::Truncated { .. }), "{length}: {why}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let whole = running();
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let why = refusal(&bytes, &here());
            let expected = match bit / 8 {
                0..8 => matches!(why, Unusable::Foreign),
                HEADER..28 => matches!(why, Unusable::Version { .. }),
                _ => matches!(why, Unusable::Corrupt(_)),
            };
            assert!(expected, "bit {bit}: {why}");
        }
    }

    #[test]
    fn another_boot_build_or_namespace_is_told_from_this_one() {
        let refused = |change: fn(&mut Header)| {
            let mut other = here();
            change(&mut other);
            refusal(&running(), &other)
        };
        let id = Uuid::from_bytes([9; 16]);
        assert_eq!(refused(|header| header.boot[3] = 0), Unusable::OtherBoot(id));
        assert_eq!(refused(|header| header.tables = 0), Unusable::Version { found: VERSION });
        let namespaces: [fn(&mut Header); 3] =
            [|header| header.inode = 0, |header| header.device = 0, |header| header.cookie = 0];
        for change in namespaces {
            assert_eq!(refused(change), Unusable::OtherNamespace(id));
        }
    }
}
