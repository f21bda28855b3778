//! What is encoded reads the same; what is read from any bytes and encoded again is stable.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use netlinkdb::internals::object::{ADDRESS, LINK, Record, Table};
use netlinkdb_fuzz::{payload, record};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let table: &'static Table = if choice & 1 == 0 { &LINK } else { &ADDRESS };
    if choice & 2 == 0 {
        let Ok(first) = record(&mut Unstructured::new(bytes), table, 2) else { return };
        let bytes = payload(&first);
        // Longer attributes do not exist: their length has 16 bits.
        if bytes.len() < 2000 {
            let second = Record::decode(table, &bytes).unwrap();
            assert_same(&first, &second);
        }
    } else if let Ok(first) = Record::decode(table, bytes) {
        let second = payload(&first);
        let again = Record::decode(table, &second).unwrap();
        assert_eq!(payload(&again), second, "{first:?}\n{again:?}");
    }
});

fn assert_same(first: &Record, second: &Record) {
    let (one, two): (Vec<_>, Vec<_>) = (first.fields().collect(), second.fields().collect());
    for (id, row, value) in &one {
        assert_eq!(second.value(*id), Some(*value), "{}: {first:?}\n{second:?}", row.constant);
    }
    assert_eq!(one.len(), two.len(), "{first:?}\n{second:?}");
}
