//! `bareudp`: packets of one protocol in UDP, without any header between.

use super::super::shape::*;
use super::super::table::table;
use super::super::{Names, Record, Tree, Value};
use super::new::{NewLink, new_links};
use super::tunnel::Object;

new_links! {
    /// A bare UDP tunnel to be created. The kernel changes nothing of one later.
    Bareudp;
}

impl Bareudp {
    /// A tunnel of this name, 1 to 15 bytes, to this UDP port, for packets of this Ethernet type: 0x0800 IPv4, 0x86dd IPv6, 0x8847
    /// MPLS.
    pub fn new(name: &str, port: u16, ethertype: u16) -> Self {
        Bareudp(NewLink::with_kind(name, "bareudp")).port(port).ethertype(ethertype)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&BAREUDP))
    }
}

/// The options of a bare UDP tunnel, as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct BareudpData<'a>(pub(crate) &'a Record);

impl BareudpData<'_> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &Record {
        self.0
    }
}

table! {
    /// `IFLA_BAREUDP_*` in `include/uapi/linux/if_link.h`.
    pub static BAREUDP: "bareudp", header 0;
    fields row;
    view ['a] BareudpData<'a>;
    setters [Bareudp];
    rows {
        /// The UDP destination port, 1 to 65535.
        PORT port: Be16 = Path(&[1]), "IFLA_BAREUDP_PORT", Create, name: "dstport", keyword: "dstport", range: 1..=65_535;
        /// The Ethernet type of the packets inside.
        ETHERTYPE ethertype: Be16 = Path(&[2]), "IFLA_BAREUDP_ETHERTYPE", Create, keyword: "ethertype", form: Custom(show_ethertype), argument: By(ethertype_words);
        /// The lowest UDP source port; 0 for any.
        SRCPORT_MIN srcport_min: U16 = Path(&[3]), "IFLA_BAREUDP_SRCPORT_MIN", Create, name: "srcportmin", keyword: "srcportmin";
        /// Whether IPv6 goes with IPv4, and multicast MPLS with unicast MPLS.
        MULTIPROTO_MODE multiproto: Present = Path(&[4]), "IFLA_BAREUDP_MULTIPROTO_MODE", Create, keyword: "multiproto", argument: NoWord;
    }
}

const ETHERTYPES: [(u64, &str); 4] =
    [(0x0800, "ip"), (0x86dd, "ipv6"), (0x8847, "mpls_uc"), (0x8848, "mpls_mc")];

fn ethertype_name(value: &Value) -> Option<&'static str> {
    let number = value.number().unwrap_or(0);
    ETHERTYPES.iter().find(|(own, _)| *own == number).map(|(_, name)| *name)
}

/// What `ip` prints of one that has no name, it does not read.
fn ethertype_words(value: &Value) -> String {
    match ethertype_name(value) {
        Some(name) => format!("ethertype {name}"),
        None => format!("ethertype {:#06x}", value.number().unwrap_or(0)),
    }
}

fn show_ethertype(value: &Value, record: &Record, _: &dyn Names, object: Object<'_>) {
    let number = || format!("[{}]", value.number().unwrap_or(0));
    let text = ethertype_name(value).map_or_else(number, str::to_owned);
    object.push(("ethertype".to_owned(), Tree::Text(text)));
    if record.value(row::MULTIPROTO_MODE).is_none() {
        object.push(("multiproto".to_owned(), Tree::Bool(false)));
    }
}
