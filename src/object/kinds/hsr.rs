//! `hsr`: two rings or networks that carry every frame twice (HSR and PRP, IEC 62439-3).

use super::super::shape::*;
use super::super::table::table;
use super::super::{LinkRef, Record, Value};
use super::new::{NewLink, new_links};

new_links! {
    /// An HSR or PRP interface to be created. Its ports are given with it, and none can be added later.
    Hsr;
}

impl Hsr {
    /// An interface of this name, 1 to 15 bytes, over these two interfaces, each by name, index or handle.
    pub fn new(name: &str, slave1: impl Into<LinkRef>, slave2: impl Into<LinkRef>) -> Self {
        Hsr(NewLink::with_kind(name, "hsr")).slave1(slave1).slave2(slave2)
    }

    fn record_mut(&mut self) -> &mut Record {
        self.0.data.get_or_insert_with(|| Record::new(&HSR))
    }
}

/// The options of an HSR or PRP interface, as the kernel reports them. None can be changed later.
#[derive(Clone, Copy, Debug)]
pub struct HsrData<'a>(pub(crate) &'a Record);

impl<'a> HsrData<'a> {
    /// Everything that the kernel said of them.
    pub fn record(&self) -> &'a Record {
        self.0
    }

    /// The indexes of its ports: those that it was made with and that are still there. (Up to Linux 6.12 the kernel does not
    /// tell of an `interlink`.)
    pub fn ports(&self) -> impl Iterator<Item = u32> + use<'a> {
        let record = self.0;
        let ports = [row::SLAVE1, row::SLAVE2, row::INTERLINK].into_iter();
        ports.filter_map(|id| Index::read(record.value(id)?))
    }
}

/// The options of an interface that has lost a port, which the kernel does not announce.
pub(crate) fn without_port(options: &Record, port: u32) -> Record {
    let mut left = options.clone();
    for id in [row::SLAVE1, row::SLAVE2, row::INTERLINK] {
        if options.value(id) == Some(&Value::Number(port.into())) {
            left.remove(id);
        }
    }
    left
}

names! {
    /// `IFLA_HSR_PROTOCOL`: the redundancy protocol.
    enum HsrProtocol: u8 as U8 {
        HSR = 0 "hsr",
        PRP = 1 "prp",
    }
}

table! {
    /// `IFLA_HSR_*` in `include/uapi/linux/if_link.h`.
    pub static HSR: "hsr", header 0;
    fields row;
    view ['a] HsrData<'a>;
    setters [Hsr];
    rows {
        /// The first port, by its index.
        SLAVE1 slave1: Interface = Path(&[1]), "IFLA_HSR_SLAVE1", Create, keyword: "slave1", silent: Always;
        /// The second port, by its index.
        SLAVE2 slave2: Interface = Path(&[2]), "IFLA_HSR_SLAVE2", Create, keyword: "slave2", silent: Always;
        /// The port that connects two rings, by its index (Linux 6.10). Up to Linux 6.12 the kernel does not tell it.
        INTERLINK interlink: Interface = Path(&[8]), "IFLA_HSR_INTERLINK", Create, keyword: "interlink", silent: Always;
        /// The last byte of the address of supervision frames, 0 to 255; `supervision_addr` shows it.
        MULTICAST_SPEC multicast_spec: U8 = Path(&[3]), "IFLA_HSR_MULTICAST_SPEC", Action, keyword: "supervision";
        /// The address of supervision frames.
        SUPERVISION_ADDR supervision_addr: Hardware = Path(&[4]), "IFLA_HSR_SUPERVISION_ADDR", Status;
        /// The number of the next frame.
        SEQ_NR seq_nr: U16 = Path(&[5]), "IFLA_HSR_SEQ_NR", Statistic;
        /// The version of HSR, 0 or 1. The kernel does not tell it: one that is made again, where its removal is undone, has 0.
        VERSION version: U8 = Path(&[6]), "IFLA_HSR_VERSION", Action, keyword: "version", range: 0..=1;
        /// The redundancy protocol.
        PROTOCOL protocol: OneOf<HsrProtocol> = Path(&[7]), "IFLA_HSR_PROTOCOL", Create, name: "proto", form: Plain, keyword: "proto", argument: Argument::Number;
    }
}

/// What a creation says so that supervision frames have the same address.
pub(crate) fn with_supervision(mut options: Record, was: &Record) -> Record {
    if let Some(Value::Hardware(address)) = was.value(row::SUPERVISION_ADDR) {
        let last = address.as_bytes().last().copied().unwrap_or(0);
        options.set(row::MULTICAST_SPEC, Value::Number(last.into()));
    }
    options
}
