//! Addresses as a user names them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::object::address::{
    ADDRESS, AddressFlags, CACHE_INFO, Scope, cache_row as lifetime, row,
};
use crate::object::{Address, Record, Value};
use crate::state::AddressKey;

/// An address to be added or deleted: at least `local/prefix length`, and what else the user names.
///
/// What is not named is not compared either: an address that the kernel gave a label of its own still is the one
/// that was asked for.
///
/// ```
/// use netlinkdb::AddressSpec;
/// let plain: AddressSpec = "10.0.0.1/24".parse()?;
/// let full = AddressSpec::new("10.0.0.1".parse().unwrap(), 32)?.peer("10.0.0.2".parse().unwrap())?.label("eth0:vpn");
/// assert_eq!(plain.to_string(), "10.0.0.1/24");
/// assert_eq!(full.to_string(), "10.0.0.1 peer 10.0.0.2/32 label eth0:vpn");
/// assert!("10.0.0.1/33".parse::<AddressSpec>().is_err());
/// # Ok::<(), netlinkdb::ParseAddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AddressSpec(Record);

/// Flags that a request may set; the others are the kernel's own.
const SETTABLE_FLAGS: u32 = AddressFlags::NODAD.0
    | AddressFlags::OPTIMISTIC.0
    | AddressFlags::HOMEADDRESS.0
    | AddressFlags::MANAGETEMPADDR.0
    | AddressFlags::NOPREFIXROUTE.0
    | AddressFlags::MCAUTOJOIN.0;

/// A lifetime without an end.
const FOREVER: u32 = u32::MAX;

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;

impl AddressSpec {
    /// An address with the length of its prefix: 0 to 32 for IPv4, 0 to 128 for IPv6.
    ///
    /// # Errors
    /// When the length is larger than that.
    pub fn new(local: IpAddr, prefix_length: u8) -> Result<Self, ParseAddressError> {
        let most = if local.is_ipv4() { 32 } else { 128 };
        if prefix_length > most {
            return Err(ParseAddressError::new(
                format!("{local}/{prefix_length}"),
                "the prefix is longer than the address",
            ));
        }
        if local.is_unspecified() || local.is_multicast() {
            return Err(ParseAddressError::new(
                format!("{local}/{prefix_length}"),
                "no interface can have this address",
            ));
        }
        let mut record = Record::new(&ADDRESS);
        let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
        record.set(row::FAMILY, Value::Number(family));
        record.set(row::PREFIX_LENGTH, Value::Number(prefix_length.into()));
        record.set(row::LOCAL, ip(local));
        record.set(row::ADDRESS, ip(local));
        Ok(AddressSpec(record))
    }

    /// The address of the other end of a point-to-point link; the prefix length is the peer's then.
    ///
    /// # Errors
    /// When it is of the other family.
    pub fn peer(mut self, peer: IpAddr) -> Result<Self, ParseAddressError> {
        if peer.is_ipv4() != self.local().is_ipv4() {
            return Err(ParseAddressError::new(
                peer.to_string(),
                "the peer is of the other family",
            ));
        }
        self.0.set(row::ADDRESS, ip(peer));
        Ok(self)
    }

    /// The broadcast address, IPv4 only; without it there is none.
    pub fn broadcast(mut self, address: Ipv4Addr) -> Self {
        self.0.set(row::BROADCAST, Value::V4(address));
        self
    }

    /// The label, IPv4 only: up to 15 bytes, by custom the interface's name, a colon and a word.
    pub fn label(mut self, label: &str) -> Self {
        self.0.set(row::LABEL, label.into());
        self
    }

    /// The scope.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.0.set(row::SCOPE, Value::Number(scope.0.into()));
        self
    }

    /// Flags; the kernel's own ones (`permanent`, `secondary`, `tentative` ...) are left out.
    pub fn flags(mut self, flags: AddressFlags) -> Self {
        self.0.set(row::FLAGS, Value::Number((flags.0 & SETTABLE_FLAGS).into()));
        self
    }

    /// How long the address is preferred and valid, in seconds from now; `u32::MAX` is for ever.
    pub fn lifetimes(mut self, preferred: u32, valid: u32) -> Self {
        let mut info = Record::new(&CACHE_INFO);
        info.set(lifetime::PREFERRED, Value::Number(preferred.into()));
        info.set(lifetime::VALID, Value::Number(valid.into()));
        self.0.set(row::CACHEINFO, Value::Nested(Box::new(info)));
        self
    }

    /// Who made it (`IFA_PROTO`): 0 to 255, 1 to 3 are the kernel's. Kernels before 5.18 do not know it.
    pub fn proto(mut self, proto: u8) -> Self {
        self.0.set(row::PROTO, Value::Number(proto.into()));
        self
    }

    /// The metric of the route to its network (`IFA_RT_PRIORITY`).
    pub fn priority(mut self, metric: u32) -> Self {
        self.0.set(row::PRIORITY, Value::Number(metric.into()));
        self
    }

    /// The local address.
    pub fn local(&self) -> IpAddr {
        value_ip(self.0.value(row::LOCAL)).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The length of the prefix.
    pub fn prefix_length(&self) -> u8 {
        self.0.number(row::PREFIX_LENGTH) as u8
    }

    /// The far end, or the address itself.
    pub(super) fn far(&self) -> IpAddr {
        value_ip(self.0.value(row::ADDRESS)).unwrap_or_else(|| self.local())
    }

    /// What it is as an address of the interface `index`.
    pub(super) fn key(&self, index: u32) -> AddressKey {
        AddressKey::new(index, self.local(), self.prefix_length(), self.far())
    }

    /// The address, when its notification does not precede the ACK: without duplicate address detection, or
    /// optimistically, an IPv6 address is announced by the work queue that begins with it (`inet6_addr_add`, seen on
    /// 6.18), and K2 does not hold.
    pub(super) fn announced_late(&self) -> Option<Ipv6Addr> {
        let flags = AddressFlags(self.0.number(row::FLAGS) as u32);
        let late = flags.contains(AddressFlags::NODAD) || flags.contains(AddressFlags::OPTIMISTIC);
        match self.local() {
            IpAddr::V6(address) if late => Some(address),
            _ => None,
        }
    }

    /// The same address, with everything about it that a request may say: to make it again.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let mut spec = AddressSpec::new(address.local(), address.prefix_length()).ok()?;
        for (id, _, value) in address.record().fields() {
            let kept =
                [row::ADDRESS, row::BROADCAST, row::LABEL, row::SCOPE, row::PROTO, row::PRIORITY];
            if kept.contains(&id) {
                spec.0.set(id, value.clone());
            }
        }
        spec = spec.flags(address.flags());
        match lifetimes_of(address) {
            // As without a word about them.
            (FOREVER, FOREVER) => Some(spec),
            (preferred, valid) => Some(spec.lifetimes(preferred, valid)),
        }
    }

    /// What is named of it.
    pub(super) fn named(&self) -> &Record {
        &self.0
    }

    /// From what was named; `None` when that is no address.
    pub(super) fn from_named(record: Record) -> Option<Self> {
        let is_ip = value_ip(record.value(row::LOCAL)).is_some();
        (is_ip && std::ptr::eq(record.table(), &ADDRESS)).then_some(AddressSpec(record))
    }

    /// The record to be sent for the interface `index`.
    pub(super) fn record(&self, index: u32) -> Record {
        let mut record = self.0.clone();
        record.set(row::INDEX, Value::Number(index.into()));
        if self.local().is_ipv6() && self.far() == self.local() {
            record.remove(row::LOCAL);
        }
        record
    }

    /// What says which address of the interface `index` it is, and no more: the kernel looks for one that has all
    /// that a deletion names, and a label follows the interface when that is renamed.
    pub(super) fn identity(&self, index: u32) -> Record {
        let mut record = self.record(index);
        let named: Vec<_> = record.fields().map(|(id, ..)| id).collect();
        let kept = [row::FAMILY, row::INDEX, row::PREFIX_LENGTH, row::LOCAL, row::ADDRESS];
        for id in named.into_iter().filter(|id| !kept.contains(id)) {
            record.remove(id);
        }
        record
    }

    /// `local/length` or `local peer far/length`.
    pub(super) fn prefix(&self) -> String {
        match (self.far(), self.local()) {
            (far, local) if far == local => format!("{local}/{}", self.prefix_length()),
            (far, local) => format!("{local} peer {far}/{}", self.prefix_length()),
        }
    }

    /// What `address` lacks to be this one, as a text; `None` when it is.
    pub(super) fn lacks(&self, address: &Address) -> Option<String> {
        if address.prefix_length() != self.prefix_length() {
            return Some(format!("prefix length {}", address.prefix_length()));
        }
        let differs = |id: u16| {
            let (want, have) = (self.0.value(id)?, address.record().value(id));
            let same = match id {
                // Optimism ends with the detection, which may be over, or never have begun (`optimistic_dad`).
                row::FLAGS => {
                    let passing = AddressFlags::OPTIMISTIC.0;
                    want.number()? & !u64::from(address.flags().0 | passing) == 0
                }
                row::CACHEINFO => lives(want.nested()?, address),
                row::ADDRESS => self.far() == address.peer().unwrap_or(address.local()),
                _ => have == Some(want),
            };
            (!same).then(|| {
                let have = have.map_or_else(|| "none".to_owned(), Value::to_string);
                format!("{} {have} instead of {want}", ADDRESS.rows[usize::from(id)].name)
            })
        };
        const NAMED: &[u16] = &[
            row::ADDRESS,
            row::BROADCAST,
            row::LABEL,
            row::SCOPE,
            row::FLAGS,
            row::CACHEINFO,
            row::PROTO,
            row::PRIORITY,
        ];
        NAMED.iter().find_map(|id| differs(*id))
    }

    /// The arguments of `ip addr add`.
    pub(super) fn arguments(&self) -> String {
        let mut text = self.to_string();
        if let Some(flags) = self.0.value(row::FLAGS).and_then(Value::number) {
            for name in AddressFlags(flags as u32).names() {
                text += &format!(" {name}");
            }
        }
        if let Some(info) = self.0.value(row::CACHEINFO).and_then(Value::nested) {
            let time = |id| match info.number(id) {
                0xffff_ffff => "forever".to_owned(),
                seconds => seconds.to_string(),
            };
            text += &format!(
                " valid_lft {} preferred_lft {}",
                time(lifetime::VALID),
                time(lifetime::PREFERRED)
            );
        }
        text
    }
}

/// For how many seconds an address is preferred and valid. Of an IPv4 address that is valid for ever the kernel says
/// that it is preferred for ever too (`inet_fill_ifaddr`, seen on 6.18): that it is deprecated its flag tells.
fn lifetimes_of(address: &Address) -> (u32, u32) {
    let info = address.record().value(row::CACHEINFO).and_then(Value::nested);
    let seconds = |id| info.map_or(FOREVER, |info| info.number(id) as u32);
    match address.flags().contains(AddressFlags::DEPRECATED) {
        true => (0, seconds(lifetime::VALID)),
        false => (seconds(lifetime::PREFERRED), seconds(lifetime::VALID)),
    }
}

/// Whether the lifetimes of an address, which count down, can be those that were asked for.
fn lives(want: &Record, address: &Address) -> bool {
    let (preferred, valid) = lifetimes_of(address);
    let can_be = |want, have| want == have || (want != FOREVER && have < want);
    let want_preferred = want.number(lifetime::PREFERRED) as u32;
    // The kernel keeps it and does not tell it.
    let is_hidden = address.local().is_ipv4() && (preferred, valid) == (FOREVER, FOREVER);
    can_be(want.number(lifetime::VALID) as u32, valid)
        && (can_be(want_preferred, preferred) || is_hidden && want_preferred != 0)
}

fn ip(address: IpAddr) -> Value {
    match address {
        IpAddr::V4(address) => Value::V4(address),
        IpAddr::V6(address) => Value::V6(address),
    }
}

fn value_ip(value: Option<&Value>) -> Option<IpAddr> {
    match value? {
        Value::V4(address) => Some((*address).into()),
        Value::V6(address) => Some((*address).into()),
        _ => None,
    }
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix())?;
        for (id, word) in [
            (row::BROADCAST, "brd"),
            (row::LABEL, "label"),
            (row::PROTO, "proto"),
            (row::PRIORITY, "metric"),
        ] {
            if let Some(value) = self.0.value(id) {
                write!(f, " {word} {value}")?;
            }
        }
        match self.0.value(row::SCOPE).and_then(Value::number) {
            Some(scope) => write!(f, " scope {}", Scope(scope as u8)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arguments())
    }
}

/// A text that is no interface address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no interface address: {why}")]
pub struct ParseAddressError {
    text: String,
    why: &'static str,
}

impl ParseAddressError {
    fn new(text: String, why: &'static str) -> Self {
        ParseAddressError { text, why }
    }
}

impl From<std::convert::Infallible> for ParseAddressError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// `address`, `address/length` or `address/mask`; without a length, that of a host (32 or 128).
impl FromStr for AddressSpec {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let bad = |why| ParseAddressError::new(text.to_owned(), why);
        let local: IpAddr = address.parse().map_err(|_| bad("expected an IPv4 or IPv6 address"))?;
        let length = match length {
            None => {
                if local.is_ipv4() {
                    32
                } else {
                    128
                }
            }
            Some(length) => prefix_length(local, length)
                .ok_or_else(|| bad("expected a prefix length or a mask"))?,
        };
        AddressSpec::new(local, length).map_err(|error| bad(error.why))
    }
}

fn prefix_length(local: IpAddr, text: &str) -> Option<u8> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    match local {
        IpAddr::V4(_) => ipnet::ipv4_mask_to_prefix(text.parse().ok()?).ok(),
        IpAddr::V6(_) => ipnet::ipv6_mask_to_prefix(text.parse().ok()?).ok(),
    }
}

impl TryFrom<&str> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(text: &str) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl TryFrom<String> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(text: String) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(text: &String) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl TryFrom<(&str, u8)> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from((address, length): (&str, u8)) -> Result<Self, ParseAddressError> {
        format!("{address}/{length}").parse()
    }
}

/// An address and a mask.
impl TryFrom<(&str, &str)> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from((address, mask): (&str, &str)) -> Result<Self, ParseAddressError> {
        format!("{address}/{mask}").parse()
    }
}

impl TryFrom<(IpAddr, u8)> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from((address, length): (IpAddr, u8)) -> Result<Self, ParseAddressError> {
        AddressSpec::new(address, length)
    }
}

impl TryFrom<(Ipv4Addr, u8)> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from((address, length): (Ipv4Addr, u8)) -> Result<Self, ParseAddressError> {
        AddressSpec::new(address.into(), length)
    }
}

impl TryFrom<(Ipv6Addr, u8)> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from((address, length): (Ipv6Addr, u8)) -> Result<Self, ParseAddressError> {
        AddressSpec::new(address.into(), length)
    }
}

impl TryFrom<IpNet> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(net: IpNet) -> Result<Self, ParseAddressError> {
        AddressSpec::new(net.addr(), net.prefix_len())
    }
}

impl TryFrom<Ipv4Net> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(net: Ipv4Net) -> Result<Self, ParseAddressError> {
        IpNet::from(net).try_into()
    }
}

impl TryFrom<Ipv6Net> for AddressSpec {
    type Error = ParseAddressError;
    fn try_from(net: Ipv6Net) -> Result<Self, ParseAddressError> {
        IpNet::from(net).try_into()
    }
}
