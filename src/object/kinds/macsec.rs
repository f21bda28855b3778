//! `macsec`: encryption of Ethernet frames (IEEE 802.1AE). Keys and channels are told by a generic netlink family of its own,
//! not by rtnetlink.

use super::super::shape::*;
use super::super::table::table;
use super::super::{LinkRef, Names, Record, Tree, Value};
use super::new::{NewLink, new_links, options};
use super::tunnel::Object;

new_links! {
    /// A MACsec interface to be created.
    Macsec;
}

impl Macsec {
    /// One of this name, 1 to 15 bytes, above `link`.
    pub fn new(name: &str, link: impl Into<LinkRef>) -> Self {
        Macsec(NewLink::with_kind(name, "macsec").dev(link))
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&MACSEC))
    }
}

options! {
    MACSEC;
    /// The options of a MACsec interface, as the kernel reports them.
    MacsecData;
    /// Options of a MACsec interface to be set.
    MacsecOptions;
}

names! {
    /// `IFLA_MACSEC_CIPHER_SUITE`. The kernel reports `GCM_AES_128` by the number of an earlier draft, and takes it too.
    enum MacsecCipher: u64 as U64 {
        GCM_AES_128 = 0x0080_0200_0100_0001 "GCM-AES-128",
        GCM_AES_256 = 0x0080_c200_0100_0002 "GCM-AES-256",
        GCM_AES_XPN_128 = 0x0080_c200_0100_0003 "GCM-AES-XPN-128",
        GCM_AES_XPN_256 = 0x0080_c200_0100_0004 "GCM-AES-XPN-256",
    }
}

names! {
    /// `IFLA_MACSEC_VALIDATION`: what is done with frames that are not protected as they should be.
    enum MacsecValidation: u8 as U8 {
        DISABLED = 0 "disabled",
        CHECK = 1 "check",
        STRICT = 2 "strict",
    }
}

names! {
    /// `IFLA_MACSEC_OFFLOAD`: who encrypts.
    enum MacsecOffload: u8 as U8 {
        OFF = 0 "off",
        PHY = 1 "phy",
        MAC = 2 "mac",
    }
}

table! {
    /// `IFLA_MACSEC_*` in `include/uapi/linux/if_link.h`.
    pub static MACSEC: "macsec", header 0;
    fields row;
    view ['a] MacsecData<'a>;
    setters [Macsec MacsecOptions];
    rows {
        /// The identifier of the secure channel: the hardware address, then the port.
        SCI sci: Be64 = Path(&[1]), "IFLA_MACSEC_SCI", Create, keyword: "sci", form: Custom(show_sci);
        /// The port, the last two bytes of the identifier; instead of `sci`, and only when the interface is created.
        PORT port: Be16 = Path(&[2]), "IFLA_MACSEC_PORT", Action, keyword: "port", form: Hidden;
        /// Whether frames sent are protected.
        PROTECT protect: Switch<U8> = Path(&[8]), "IFLA_MACSEC_PROTECT", Set, keyword: "protect", argument: OnOff, silent: WhileDown;
        /// The cipher.
        CIPHER_SUITE cipher_suite: OneOf<MacsecCipher> = Path(&[4]), "IFLA_MACSEC_CIPHER_SUITE", Create, keyword: "cipher", argument: By(cipher_words);
        /// The length of the integrity check value, 8 to 16 bytes.
        ICV_LEN icv_len: U8 = Path(&[3]), "IFLA_MACSEC_ICV_LEN", Create, keyword: "icvlen", unit: "bytes", range: 8..=16;
        /// The association that frames are sent with, 0 to 3.
        ENCODING_SA encoding_sa: U8 = Path(&[6]), "IFLA_MACSEC_ENCODING_SA", Set, keyword: "encodingsa", range: 0..=3, silent: WhileDown;
        /// What is done with frames that are not protected as they should be.
        VALIDATION validation: OneOf<MacsecValidation> = Path(&[13]), "IFLA_MACSEC_VALIDATION", Set, keyword: "validate", range: 0..=2, silent: WhileDown;
        /// Whether frames are encrypted, and not only protected.
        ENCRYPT encrypt: Switch<U8> = Path(&[7]), "IFLA_MACSEC_ENCRYPT", Set, keyword: "encrypt", argument: OnOff, silent: WhileDown;
        /// Whether frames carry the identifier of the channel; without `es` and `scb`.
        INC_SCI inc_sci: Switch<U8> = Path(&[9]), "IFLA_MACSEC_INC_SCI", Set, keyword: "send_sci", argument: OnOff, silent: WhileDown;
        /// Whether frames say that they come from an end station; without `inc_sci` and `scb`.
        ES es: Switch<U8> = Path(&[10]), "IFLA_MACSEC_ES", Set, keyword: "end_station", argument: OnOff, silent: WhileDown;
        /// Whether frames say that they are a broadcast on one copy; without `inc_sci` and `es`.
        SCB scb: Switch<U8> = Path(&[11]), "IFLA_MACSEC_SCB", Set, keyword: "scb", argument: OnOff, silent: WhileDown;
        /// Whether frames that are older than the window are dropped; on needs a `window`.
        REPLAY_PROTECT replay_protect: Switch<U8> = Path(&[12]), "IFLA_MACSEC_REPLAY_PROTECT", Set, keyword: "replay", argument: OnOff, silent: WhileDown;
        /// How many frames late one may be; absent without `replay_protect`.
        WINDOW window: U32 = Path(&[5]), "IFLA_MACSEC_WINDOW", Set, keyword: "window", unit: "frames", none: Some(0), silent: WhileDown;
        /// Who encrypts.
        OFFLOAD offload: OneOf<MacsecOffload> = Path(&[15]), "IFLA_MACSEC_OFFLOAD", Set, keyword: "offload", range: 0..=2, silent: WhileDown;
    }
}

fn show_sci(value: &Value, _: &Record, _: &dyn Names, object: Object<'_>) {
    object.push(("sci".to_owned(), Tree::Text(format!("{:016x}", value.number().unwrap_or(0)))));
}

fn cipher_words(value: &Value) -> String {
    let cipher = OneOf::<MacsecCipher>::read(value).unwrap_or_default();
    format!("cipher {}", cipher.to_string().to_lowercase())
}
