//! `macvlan`: interfaces that share a lower one, each with its own address.

use super::super::shape::*;
use super::super::table::{Table, table};
use super::super::{LinkRef, Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use crate::wire::HardwareAddress;

new_links! {
    /// A macvlan to be created.
    ///
    /// The kernel's default mode is `VEPA`.
    Macvlan;
    /// A macvtap to be created: a macvlan whose frames a program reads and writes at `/dev/tap` and its index.
    Macvtap;
}

macro_rules! constructors {
    ($($name:ident $kind:literal $table:ident;)*) => {$(
        impl $name {
            #[doc = concat!("A ", $kind, " of this name, 1 to 15 bytes, above `link`.")]
            pub fn new(name: &str, link: impl Into<LinkRef>) -> Self {
                $name(NewLink::with_kind(name, $kind).dev(link))
            }

            fn record_mut(&mut self) -> &mut Record {
                self.0.data.get_or_insert_with(|| Record::new(&$table))
            }
        }
    )*};
}

constructors! { Macvlan "macvlan" MACVLAN; Macvtap "macvtap" MACVTAP; }

options! {
    MACVLAN;
    /// The options of a macvlan or macvtap, as the kernel reports them.
    MacvlanData;
    /// Options of a macvlan or macvtap to be set.
    MacvlanOptions;
}

macro_rules! sources {
    ($($name:ident)*) => {$(
        impl $name {
            /// In mode `SOURCE`: the addresses whose frames are received, instead of those there are.
            pub fn sources(self, addresses: &[HardwareAddress]) -> Self {
                let addresses: Box<[HardwareAddress]> = addresses.into();
                self.macaddr_mode(MacaddrMode::SET).macaddr_data(addresses)
            }
        }
    )*};
}

sources!(Macvlan Macvtap MacvlanOptions);

/// ```
/// use netlinkdb::MacvlanOptions;
/// # netlinkdb::NetNs::enter_private()?;
/// # let db = netlinkdb::Db::open()?;
/// # let mut tx = db.begin();
/// # tx.create(netlinkdb::Veth::new("eth0", "eth1"))?;
/// # tx.create(netlinkdb::Macvlan::new("mv0", "eth0").mode(netlinkdb::MacvlanMode::SOURCE))?;
/// # tx.commit()?;
///
/// let mv0 = db.interface("mv0")?;
/// mv0.macvlan(MacvlanOptions::new().add_sources(&[[2, 0, 0, 0, 0, 5].into(), [2, 0, 0, 0, 0, 6].into()]))?.commit()?;
/// mv0.macvlan(MacvlanOptions::new().del_sources(&[[2, 0, 0, 0, 0, 5].into()]))?.commit()?;
///
/// let now = db.snapshot();
/// let options = now.link("mv0").and_then(|mv0| mv0.macvlan());
/// let sources = options.as_ref().and_then(|options| options.macaddr_data());
/// assert_eq!(sources, Some(&[[2, 0, 0, 0, 0, 6].into()][..]));
/// # Ok::<(), netlinkdb::Error>(())
/// ```
impl MacvlanOptions {
    /// In mode `SOURCE`: more addresses whose frames are received. What is read back, and undone, is the whole list: another
    /// program's change of it since the transaction began is a conflict.
    pub fn add_sources(self, addresses: &[HardwareAddress]) -> Self {
        let addresses: Box<[HardwareAddress]> = addresses.into();
        self.macaddr_mode(MacaddrMode::ADD).macaddr_data(addresses)
    }

    /// In mode `SOURCE`: addresses whose frames are received no more; one that is not in the list changes nothing.
    pub fn del_sources(self, addresses: &[HardwareAddress]) -> Self {
        let addresses: Box<[HardwareAddress]> = addresses.into();
        self.macaddr_mode(MacaddrMode::DEL).macaddr_data(addresses)
    }
}

names! {
    /// `IFLA_MACVLAN_MODE`: who talks to whom.
    enum MacvlanMode: u32 as U32 {
        PRIVATE = 1 "private",
        VEPA = 2 "vepa",
        BRIDGE = 4 "bridge",
        PASSTHRU = 8 "passthru",
        SOURCE = 16 "source",
    }
}

names! {
    /// `IFLA_MACVLAN_FLAGS`.
    bits MacvlanFlags: u16 as U16 {
        NOPROMISC = 1 "nopromisc",
        NODST = 2 "nodst",
    }
}

names! {
    /// `IFLA_MACVLAN_MACADDR_MODE`: what a request does to the list of source addresses.
    enum MacaddrMode: u32 as U32 {
        ADD = 0 "add",
        DEL = 1 "del",
        FLUSH = 2 "flush",
        SET = 3 "set",
    }
}

table! {
    /// `IFLA_MACVLAN_*` in `include/uapi/linux/if_link.h`.
    pub static MACVLAN: "macvlan", header 0;
    fields row;
    view ['a] MacvlanData<'a>;
    setters [Macvlan Macvtap MacvlanOptions];
    rows {
        /// Who talks to whom; `PASSTHRU` cannot be left or entered later.
        MODE mode: OneOf<MacvlanMode> = Path(&[1]), "IFLA_MACVLAN_MODE", Set, keyword: "mode", silent: WhileDown;
        /// Flags: with `NOPROMISC` a passthru macvlan does not make the lower interface promiscuous, with `NODST` source mode skips the destination lookup.
        FLAGS flags: BitsOf<MacvlanFlags> = Path(&[2]), "IFLA_MACVLAN_FLAGS", Set, keyword: "flag", form: Custom(show_flags), argument: By(flag_words), silent: WhileDown;
        /// What is done to the list of source addresses with `macaddr` and `macaddr_data`; see [`MacvlanOptions::add_sources`].
        MACADDR_MODE macaddr_mode: OneOf<MacaddrMode> = Path(&[3]), "IFLA_MACVLAN_MACADDR_MODE", Action, keyword: "macaddr";
        /// The address that is added to or deleted from the list of source addresses.
        MACADDR macaddr: Hardware = Path(&[4]), "IFLA_MACVLAN_MACADDR", Action, argument: By(plain_words);
        /// How many packets wait at most to be copied to every macvlan of the lower interface, 0 to 4294967295; 1000 when not given.
        BC_QUEUE_LEN bc_queue_len: U32 = Path(&[7]), "IFLA_MACVLAN_BC_QUEUE_LEN", Set, name: "bcqueuelen", keyword: "bcqueuelen", unit: "packets", silent: WhileDown;
        /// The largest `bc_queue_len` among the macvlans of the lower interface, which is what counts.
        BC_QUEUE_LEN_USED bc_queue_len_used: U32 = Path(&[8]), "IFLA_MACVLAN_BC_QUEUE_LEN_USED", Status, name: "usedbcqueuelen", unit: "packets", silent: Always;
        /// From how many subscribers on a multicast packet is queued; -1 to queue none, 1 when not given (Linux 6.4).
        BC_CUTOFF bc_cutoff: I32 = Path(&[9]), "IFLA_MACVLAN_BC_CUTOFF", Set, name: "bccutoff", keyword: "bclim", silent: WhileDown;
        /// How many source addresses there are.
        MACADDR_COUNT macaddr_count: U32 = Path(&[6]), "IFLA_MACVLAN_MACADDR_COUNT", Status, form: Custom(show_count), silent: WhileDown;
        /// In mode `SOURCE`: the addresses whose frames are received. In a request it goes with `macaddr_mode` `SET`; absent when there are none.
        MACADDR_DATA macaddr_data: Hardwares<4> = Path(&[5]), "IFLA_MACVLAN_MACADDR_DATA", Set, form: Custom(show_sources), argument: By(plain_words), silent: WhileDown;
    }
}

/// The options of a macvtap: those of a macvlan.
pub static MACVTAP: Table =
    Table { name: "macvtap", header: 0, rows: MACVLAN.rows, index: MACVLAN.index };

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn show_flags(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    for name in MacvlanFlags(value.number().unwrap_or(0) as u16).names() {
        object.push((name.to_owned(), Tree::Bool(true)));
    }
}

fn is_source(record: &Record) -> bool {
    record.number(row::MODE) == u64::from(MacvlanMode::SOURCE.0)
}

fn show_count(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if is_source(record) {
        object.push(("macaddr_count".to_owned(), Tree::Number(value.number().unwrap_or(0))));
    }
}

fn show_sources(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    if let (true, Value::Hardwares(all)) = (is_source(record), value) {
        let all = all.iter().map(|address| Tree::Text(address.to_string())).collect();
        object.push(("macaddr_data".to_owned(), Tree::List(all)));
    }
}

/// `ip` takes one flag at a time.
fn flag_words(value: &Value) -> String {
    let flags = MacvlanFlags(value.number().unwrap_or(0) as u16);
    let words: Vec<_> = flags.names().map(|name| format!("flag {name}")).collect();
    if words.is_empty() { "flag null".to_owned() } else { words.join(" ") }
}

/// Behind `macaddr set`, `add` or `del`.
fn plain_words(value: &Value) -> String {
    value.to_string()
}
