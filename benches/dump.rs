//! Reading 1,000 interfaces: a dump decoded, and a database opened, against a dump that is only drained.
//!
//! `cargo bench --bench dump`; a private namespace, no root.

mod support;

use std::os::fd::AsFd;

use netlinkdb::internals::object::{LINK, Record};
use netlinkdb::internals::sys::{Batch, Datagram, Options, Received, Socket, wait};
use netlinkdb::internals::wire::{Builder, Messages, flags, kind};
use netlinkdb::{Db, NetNs, Result};
use support::{Table, in_turns};

fn main() -> Result<()> {
    NetNs::enter_private()?;
    support::fill(1000)?;
    let mut table = Table::new();
    let mut count = 0;
    let [drained, decoded] = in_turns(
        || dump(|_| {}),
        || {
            count = 0;
            dump(|payload| count += Record::decode(&LINK, payload).iter().count());
        },
    );
    assert_eq!(count, 1000);
    table.row("dump of 1,000 interfaces, drained", drained * 1e3, "ms", None);
    table.row("dump of 1,000 interfaces, decoded", decoded * 1e3, "ms", Some(decoded / drained));
    let [drained, opened] = in_turns(|| dump(|_| {}), || drop(Db::open().unwrap()));
    table.row("the same dump again, drained", drained * 1e3, "ms", None);
    table.row("database opened and closed", opened * 1e3, "ms", Some(opened / drained));
    table.print();
    Ok(())
}

/// Dumps the links and shows the payload of each to `see`.
fn dump(mut see: impl FnMut(&[u8])) {
    let socket = Socket::open(&Options { strict: true, ..Options::default() }).unwrap();
    let request = Builder::new(kind::RTM_GETLINK, flags::REQUEST | flags::DUMP).fixed(&[0; 16]);
    socket.send(&request.finish()).unwrap();
    let mut batch = Batch::with_slots(4, 1 << 16);
    loop {
        if socket.receive(&mut batch).unwrap() != Received::Datagrams {
            wait([socket.as_fd()], None).unwrap();
            continue;
        }
        for datagram in batch.iter() {
            let Datagram::Data(bytes) = datagram else { panic!("truncated") };
            for message in Messages::new(bytes).map_while(std::result::Result::ok) {
                match message.kind {
                    kind::NLMSG_DONE => return,
                    _ => see(message.payload),
                }
            }
        }
    }
}
