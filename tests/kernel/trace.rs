//! What the feature `tracing` tells.

use std::io::Write;
use std::sync::{Arc, Mutex};

use netlinkdb::{Db, Route};

crate::cases![a_commit_is_a_span_with_its_uuid, a_rollback_is_told_with_its_cause];

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is told on this thread while `act` runs.
fn told(act: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn a_commit_is_a_span_with_its_uuid() {
    let db = Db::open().unwrap();
    let mut tx = db.begin();
    tx.interface("lo").up().set_mtu(1400);
    let id = tx.id().to_string();
    let told = told(|| drop(tx.commit().unwrap()));
    let in_span = told.lines().filter(|line| line.contains(&format!("transaction={id}")));
    assert_eq!(in_span.count(), told.lines().count(), "{told}");
    assert!(
        told.contains("sends requests=1") && told.contains("INFO") && told.contains("committed"),
        "{told}"
    );
}

fn a_rollback_is_told_with_its_cause() {
    let db = Db::open().unwrap();
    db.interface("lo").unwrap().up().commit().unwrap();
    let mut tx = db.begin();
    tx.add_route(Route::to("192.0.2.0/24").via("203.0.113.1")).unwrap();
    let told = told(|| assert!(tx.commit().unwrap_err().is_rolled_back()));
    let line = told.lines().last().unwrap();
    assert!(
        line.contains("WARN") && line.contains("rolled back") && line.contains("invalid gateway"),
        "{told}"
    );
}
