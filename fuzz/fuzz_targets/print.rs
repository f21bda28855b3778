//! Any bytes, as the kernel could send them: everything that can be printed is printed, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netlinkdb::internals::object::kinds::{BRIDGE, MACVLAN, VETH, VXLAN};
use netlinkdb::internals::object::{ADDRESS, Address, BRIDGE_PORT, LINK, Link, Record, Table};
use netlinkdb::internals::state::decode;
use netlinkdb::internals::wire::{Ack, Messages, locate};

fuzz_target!(|bytes: &[u8]| {
    for message in Messages::new(bytes) {
        let Ok(message) = message else { break };
        let _ = format!("{message:?} {:?} {:?}", decode(&message), Ack::parse(&message));
        for table in [&LINK, &ADDRESS] {
            if let Ok(record) = Record::decode(table, message.payload) {
                print(table, record);
            }
        }
        for table in [&BRIDGE, &VETH, &VXLAN, &MACVLAN, &BRIDGE_PORT] {
            let record = Record::decode_attributes(table, message.payload);
            let _ = format!("{record} {record:?} {:?}", record.words(&()));
        }
        let _ = locate(bytes, 16, message.seq);
    }
});

fn print(table: &'static Table, record: Record) {
    let _ = format!("{record} {record:?} {:?}", record.words(&()));
    let empty = Record::new(table);
    let _ = format!("{:?} {:?}", record.changes(&empty), empty.changes(&record));
    assert!(record.same(&record.clone()));
    assert!(record.changes(&record).is_empty());
    if table.name == "address" {
        let address = Address::new(record);
        let _ = format!("{address} {address:?} {:?}", address.peer());
        serde_json::to_string(&address).unwrap();
    } else {
        let link = Link::new(record, 1);
        let _ = format!("{link} {link:?} {:?}", link.statistics().map(|s| format!("{s:?}")));
        serde_json::to_string(&link).unwrap();
    }
}
