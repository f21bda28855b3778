//! `tun`: interfaces whose packets a program sends and receives through `/dev/net/tun`.
//!
//! The kernel creates none by rtnetlink (`tun_validate`): the engine makes the creation of this kind into calls on that device.

use super::super::shape::*;
use super::super::table::table;
use super::super::{Record, Value};
use super::new::{NewLink, new_links};

new_links! {
    /// A persistent tun or tap interface to be created: it stays when no program has it open.
    ///
    /// It needs `/dev/net/tun`, and the right to administer the namespace's network.
    Tun;
}

impl Tun {
    /// An interface of this name, 1 to 15 bytes, for IP packets.
    pub fn new(name: &str) -> Self {
        Tun(NewLink::with_kind(name, "tun")).mode(TunMode::TUN)
    }

    /// An interface of this name, 1 to 15 bytes, for Ethernet frames.
    pub fn tap(name: &str) -> Self {
        Tun(NewLink::with_kind(name, "tun")).mode(TunMode::TAP)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&TUN))
    }
}

/// The options of a tun or tap interface, as the kernel reports them.
#[derive(Clone, Copy, Debug)]
pub struct TunData<'a>(pub(crate) &'a Record);

impl TunData<'_> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &Record {
        self.0
    }
}

names! {
    /// `IFLA_TUN_TYPE`: what a program sends and receives.
    enum TunMode: u8 as U8 {
        TUN = 1 "tun",
        TAP = 2 "tap",
    }
}

table! {
    /// `IFLA_TUN_*` in `include/uapi/linux/if_link.h`.
    pub static TUN: "tun", header 0;
    fields row;
    view ['a] TunData<'a>;
    setters [Tun];
    rows {
        /// What a program sends and receives: IP packets or Ethernet frames.
        TYPE mode: OneOf<TunMode> = Path(&[3]), "IFLA_TUN_TYPE", Create, name: "type", keyword: "mode", range: 1..=2;
        /// Whether each packet has its protocol before it.
        PI pi: Switch<U8> = Path(&[4]), "IFLA_TUN_PI", Create, keyword: "pi", argument: By(pi_words);
        /// Whether each packet has a header of `virtio_net` before it.
        VNET_HDR vnet_hdr: Switch<U8> = Path(&[5]), "IFLA_TUN_VNET_HDR", Create, keyword: "vnet_hdr", argument: By(vnet_words);
        /// Whether several queues may be open.
        MULTI_QUEUE multi_queue: Switch<U8> = Path(&[7]), "IFLA_TUN_MULTI_QUEUE", Create, keyword: "multi_queue", argument: By(queue_words);
        /// How many queues are open; only with `multi_queue`.
        NUM_QUEUES num_queues: U32 = Path(&[8]), "IFLA_TUN_NUM_QUEUES", Status, name: "numqueues", silent: Always;
        /// How many open queues are disabled; only with `multi_queue`.
        NUM_DISABLED_QUEUES num_disabled_queues: U32 = Path(&[9]), "IFLA_TUN_NUM_DISABLED_QUEUES", Status, name: "numdisabled", silent: Always;
        /// Whether it stays when no program has it open.
        PERSIST persist: Switch<U8> = Path(&[6]), "IFLA_TUN_PERSIST", Status, silent: Always;
        /// The user who may open it, by number; otherwise who may administer the network.
        OWNER owner: U32 = Path(&[1]), "IFLA_TUN_OWNER", Create, name: "user", keyword: "user", silent: Always;
        /// The group whose members may open it, by number.
        GROUP group: U32 = Path(&[2]), "IFLA_TUN_GROUP", Create, keyword: "group", silent: Always;
    }
}

fn when_on(value: &Value, word: &str) -> String {
    if value.number() == Some(0) { String::new() } else { word.to_owned() }
}

fn pi_words(value: &Value) -> String {
    when_on(value, "pi")
}

fn vnet_words(value: &Value) -> String {
    when_on(value, "vnet_hdr")
}

fn queue_words(value: &Value) -> String {
    when_on(value, "multi_queue")
}
