//! Addresses: `RTM_NEWADDR` with `struct ifaddrmsg`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::shape::*;
use super::show::serialized;

use super::table::table;
use super::{Named, Names, Record, Tree, Value};

/// One address of an interface, as the kernel last described it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    record: Record,
}

impl Address {
    /// From what the kernel said.
    #[doc(hidden)]
    pub fn new(record: Record) -> Self {
        Address { record }
    }

    /// Everything that the kernel said.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The address family.
    pub fn family(&self) -> Family {
        match self.family_number() {
            2 => Family::Inet,
            10 => Family::Inet6,
            other => Family::Other(other),
        }
    }

    /// The interface's own address: `IFA_LOCAL`, or `IFA_ADDRESS` where there is none (K28).
    /// `0.0.0.0` when the kernel gave neither.
    pub fn local(&self) -> IpAddr {
        let unspecified = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        self.local_attribute().or(self.address_attribute()).unwrap_or(unspecified)
    }

    /// The other end of a point-to-point link.
    pub fn peer(&self) -> Option<IpAddr> {
        self.local_attribute().and_then(|local| self.address_attribute().filter(|a| *a != local))
    }

    /// The address and the bits of its prefix: `10.0.0.1/24`. With a peer, the prefix is the peer's.
    pub fn net(&self) -> IpNet {
        let local = self.local();
        let most = if local.is_ipv4() { 32 } else { 128 };
        IpNet::new(local, self.prefix_length().min(most)).unwrap_or_else(|_| local.into())
    }

    /// The local address, the peer if there is one, and the prefix length, as `ip` writes them.
    pub fn prefix(&self) -> String {
        match self.peer() {
            Some(peer) => format!("{} peer {peer}/{}", self.local(), self.prefix_length()),
            None => format!("{}/{}", self.local(), self.prefix_length()),
        }
    }

    /// How long it is valid, as of the message that brought this description.
    pub fn valid_lifetime(&self) -> Lifetime {
        self.cache_info().map_or(Lifetime::Forever, |info| Lifetime::from_seconds(info.valid()))
    }

    /// How long it is preferred, as of the message that brought this description.
    pub fn preferred_lifetime(&self) -> Lifetime {
        self.cache_info().map_or(Lifetime::Forever, |info| Lifetime::from_seconds(info.preferred()))
    }

    /// IPv4: whether another address of the same prefix was there first (K25).
    pub fn is_secondary(&self) -> bool {
        self.family() == Family::Inet && self.flags().contains(AddressFlags::SECONDARY)
    }

    /// IPv6: whether duplicate address detection still runs, or failed (K26).
    pub fn is_tentative(&self) -> bool {
        self.flags().contains(AddressFlags::TENTATIVE)
    }

    /// IPv6: whether another machine has it (K26).
    pub fn is_duplicate(&self) -> bool {
        self.flags().contains(AddressFlags::DADFAILED)
    }

    /// Whether it is in `169.254.0.0/16` or `fe80::/10`.
    pub fn is_link_local(&self) -> bool {
        match self.local() {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }
}

impl Address {
    /// What `ip -json -details address show` prints of it inside `addr_info`.
    pub fn tree(&self, names: &dyn Names) -> Tree {
        Tree::Map(self.record.tree(names))
    }
}

/// One line, as `ip address` prints it under its interface.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = self.tree(&());
        let text = |key: &str| tree.key(key).map(Tree::to_string).unwrap_or_default();
        write!(f, "{} {}", text("family"), self.prefix())?;
        for (key, word) in [("metric", "metric"), ("broadcast", "brd"), ("scope", "scope")] {
            if let Some(value) = tree.key(key) {
                write!(f, " {word} {value}")?;
            }
        }
        for name in self.flags().names().filter(|name| *name != "permanent") {
            write!(f, " {name}")?;
        }
        self.label().map_or(Ok(()), |label| write!(f, " {label}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.record, f)
    }
}

serialized!(Address, (&()));

/// The address family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, 2.
    Inet,
    /// IPv6, 10.
    Inet6,
    /// Another, by its number.
    Other(u8),
}

impl Family {
    /// MPLS, 28: of routes only.
    pub const MPLS: Family = Family::Other(28);
}

/// How long an address lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// This many seconds, 0 to 4294967294.
    Seconds(u32),
    /// For ever.
    Forever,
}

impl Lifetime {
    /// The kernel's number, where 4294967295 is for ever.
    pub fn from_seconds(seconds: u32) -> Self {
        if seconds == u32::MAX { Lifetime::Forever } else { Lifetime::Seconds(seconds) }
    }

    /// The kernel's number.
    pub fn seconds(self) -> u32 {
        match self {
            Lifetime::Seconds(seconds) => seconds,
            Lifetime::Forever => u32::MAX,
        }
    }
}

names! {
    /// `IFA_FLAGS`: the flags of an address, in the order in which `ip` prints them.
    bits AddressFlags: u32 as U32 {
        SECONDARY = 0x1 "secondary",
        NODAD = 0x2 "nodad",
        OPTIMISTIC = 0x4 "optimistic",
        DADFAILED = 0x8 "dadfailed",
        HOMEADDRESS = 0x10 "home",
        DEPRECATED = 0x20 "deprecated",
        TENTATIVE = 0x40 "tentative",
        PERMANENT = 0x80 "permanent",
        MANAGETEMPADDR = 0x100 "mngtmpaddr",
        NOPREFIXROUTE = 0x200 "noprefixroute",
        MCAUTOJOIN = 0x400 "autojoin",
        STABLE_PRIVACY = 0x800 "stable-privacy",
    }
}

names! {
    /// `ifa_scope`: how far the address is valid.
    enum Scope: u8 as U8 {
        GLOBAL = 0 "global",
        SITE = 200 "site",
        LINK = 253 "link",
        HOST = 254 "host",
        NOWHERE = 255 "nowhere",
    }
}

names! {
    /// `IFA_PROTO`: who made the address (Linux 5.18).
    enum AddressProtocol: u8 as U8 {
        UNSPEC = 0 "unspec",
        KERNEL_LO = 1 "kernel_lo",
        KERNEL_RA = 2 "kernel_ra",
        KERNEL_LL = 3 "kernel_ll",
    }
}

records! {
    /// Lifetimes.
    CacheInfoOf: Struct CACHE_INFO, CacheInfo;
}

table! {
    /// `struct ifaddrmsg` and `IFA_*` in `include/uapi/linux/if_addr.h`.
    pub static ADDRESS: "address", header 8;
    fields row;
    view [] Address;
    setters [];
    rows {
        /// The address family: 2 for IPv4, 10 for IPv6.
        FAMILY family_number or 0: U8 = Header(0), "ifa_family", Identity, name: "family", form: Custom(show_family);
        /// The interface, by its index.
        INDEX index or 0: U32 = Header(4), "ifa_index", Identity, form: Hidden;
        /// The interface's own address; the kernel gives it for IPv6 only where the peer has another (K28).
        LOCAL local_attribute: Ip = Path(&[2]), "IFA_LOCAL", Identity, name: "local";
        /// The peer's address on a point-to-point link, elsewhere the interface's own (K28).
        ADDRESS address_attribute: Ip = Path(&[1]), "IFA_ADDRESS", Identity, name: "address", form: Custom(show_address), keyword: "peer";
        /// Bits of the prefix, 0 to 32 or 128.
        PREFIX_LENGTH prefix_length or 0: U8 = Header(1), "ifa_prefixlen", Identity, name: "prefixlen", unit: "bits";
        /// The metric of the prefix route; `None` for the kernel's own choice.
        PRIORITY priority: U32 = Path(&[9]), "IFA_RT_PRIORITY", Set, name: "metric", keyword: "metric";
        /// The broadcast address (IPv4).
        BROADCAST broadcast: Ip = Path(&[4]), "IFA_BROADCAST", Create, keyword: "broadcast";
        /// The anycast address (IPv6).
        ANYCAST anycast: Ip = Path(&[5]), "IFA_ANYCAST", Status;
        /// How far the address is valid.
        SCOPE scope or (Scope(0)): OneOf<Scope> = Header(3), "ifa_scope", Create, form: Custom(show_scope), keyword: "scope";
        /// The flags.
        FLAGS flags or (AddressFlags(0)): BitsOf<AddressFlags> = Path(&[8]), "IFA_FLAGS", Set, form: Custom(show_flags), narrow: Some(2);
        /// The label (IPv4): the interface's name, or that with a colon and more, at most 15 bytes.
        LABEL label: Text = Path(&[3]), "IFA_LABEL", Create, keyword: "label";
        /// Who made the address (Linux 5.18).
        PROTO proto: OneOf<AddressProtocol> = Path(&[11]), "IFA_PROTO", Set, name: "protocol", keyword: "proto";
        /// Lifetimes and time stamps; [`Address::valid_lifetime`] and its sibling read them.
        CACHEINFO cache_info: CacheInfoOf = Path(&[6]), "IFA_CACHEINFO", Set, form: Custom(show_lifetimes);
        /// The namespace that a request was about, by its number.
        TARGET_NETNSID target_netnsid: I32 = Path(&[10]), "IFA_TARGET_NETNSID", Statistic, form: Hidden;
    }
}

/// Lifetimes and time stamps of an address.
#[derive(Clone, Copy, Debug)]
pub struct CacheInfo<'a>(pub(crate) &'a Record);

impl CacheInfo<'_> {
    fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `struct ifa_cacheinfo`. All of it runs with time, so nothing of it is compared; that a lifetime is
    /// forever is compared as [`AddressFlags::PERMANENT`].
    pub static CACHE_INFO: "cacheinfo", header 16;
    fields cache_row;
    view ['a] CacheInfo<'a>;
    setters [];
    rows {
        /// Seconds for which it is preferred; 4294967295 for ever.
        PREFERRED preferred or 0: U32 = Header(0), "ifa_prefered", Statistic, name: "preferred_life_time", keyword: "preferred_lft", unit: "s";
        /// Seconds for which it is valid; 4294967295 for ever.
        VALID valid or 0: U32 = Header(4), "ifa_valid", Statistic, name: "valid_life_time", keyword: "valid_lft", unit: "s";
        /// When it was made, in 1/100 s since the machine started.
        CREATED created or 0: U32 = Header(8), "ifa_cacheinfo.cstamp", Statistic, unit: "1/100 s", form: Hidden;
        /// When it was changed, in 1/100 s since the machine started.
        UPDATED updated or 0: U32 = Header(12), "ifa_cacheinfo.tstamp", Statistic, unit: "1/100 s", form: Hidden;
    }
}

type Object<'a> = &'a mut Vec<(String, Tree)>;

fn show_family(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(match value.number() {
        Some(2) => ("family".to_owned(), Tree::from("inet")),
        Some(10) => ("family".to_owned(), Tree::from("inet6")),
        other => ("family_index".to_owned(), Tree::Number(other.unwrap_or(0))),
    });
}

/// The peer, or the only address there is.
fn show_address(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    match record.value(row::LOCAL) {
        Some(local) if local == value => {}
        Some(_) => object.push(("address".to_owned(), Tree::Text(value.to_string()))),
        None => object.push(("local".to_owned(), Tree::Text(value.to_string()))),
    }
}

fn show_scope(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    let scope = Scope(value.number().unwrap_or(0) as u8);
    object.push(("scope".to_owned(), Tree::Text(scope.to_string())));
}

/// Each flag under its own name; `dynamic` for what is not permanent.
fn show_flags(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let flags = AddressFlags(value.number().unwrap_or(0) as u32);
    let inet6 = record.number(row::FAMILY) == 10;
    for (bit, name) in AddressFlags::NAMES {
        let on = u64::from(flags.0) & bit != 0;
        let name = match *name {
            "permanent" if on => continue,
            "permanent" => "dynamic",
            _ if !on => continue,
            "secondary" if inet6 => "temporary",
            name => name,
        };
        object.push((name.to_owned(), Tree::Bool(true)));
    }
    let unknown = AddressFlags::NAMES.iter().fold(flags.0, |rest, (bit, _)| rest & !(*bit as u32));
    if unknown != 0 {
        object.push(("ifa_flags".to_owned(), Tree::Text(format!("{unknown:02x}"))));
    }
}

fn show_lifetimes(value: &Value, _: &Record, names: &dyn Names, object: Object<'_>) {
    object.extend(value.nested().map(|info| info.tree(names)).unwrap_or_default());
}
