//! What the tests of routes in transactions share: two links, the kernel's routes as iproute2 tells them, and endings.

use crate::scene;
use crate::support::{has_mpls, ip, ip_json, quiesce_and_compare};
use netlinkdb::{CommitError, Committed, Db, Ending, Result, Transaction};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The kernel makes IPv6 routes when it has looked at the carrier (once a second) and for duplicates (for two).
const PATIENCE: Duration = Duration::from_secs(6);

/// Two veth pairs, up, with addresses of both families: 10.0.0.1/24 and fd00::1/64 on `va`, 10.0.1.1/24 and fd01::1/64 on
/// `vb`. They make no link-local addresses, so that nothing comes late.
pub fn two_links() -> Db {
    let db = scene::open();
    scene::scene(
        "link set lo up
         link add va type veth peer name va1
         link add vb type veth peer name vb1
         link set va addrgenmode none
         link set vb addrgenmode none
         link set va1 addrgenmode none
         link set vb1 addrgenmode none
         link set va1 up
         link set vb1 up
         link set va up
         link set vb up
         addr add 10.0.0.1/24 dev va
         addr add 10.0.1.1/24 dev vb
         addr add fd00::1/64 dev va nodad
         addr add fd01::1/64 dev vb nodad",
    );
    kernel_at_rest();
    db.sync().expect("a snapshot");
    db
}

/// Every route of every table, as `ip -json route show table all` tells it, sorted by prefix: IPv4 lists in the kernel's
/// order, IPv6 routes and legs in none. Without what comes and goes with the carrier, and timers.
#[track_caller]
pub fn kernel() -> Vec<String> {
    let list = |family: &str| -> Vec<Value> {
        let all = ip_json(&[family, "route", "show", "table", "all"]);
        all.as_array().cloned().unwrap_or_default().into_iter().map(stable).collect()
    };
    let (mut inet, mut inet6) = (list("-4"), list("-6"));
    // Stable: what shares a key stays in its order.
    inet.sort_by_cached_key(|route| {
        ["table", "dst", "tos", "metric"].map(|key| route[key].to_string())
    });
    inet6.sort_by_cached_key(Value::to_string);
    let labels = match has_mpls() {
        true => ip_json(&["-f", "mpls", "route", "show"]).as_array().cloned().unwrap_or_default(),
        false => Vec::new(),
    };
    let labels: Vec<_> = labels.into_iter().map(stable).collect();
    inet.iter().chain(&inet6).chain(&labels).map(Value::to_string).collect()
}

/// The same, when it does not change any more: IPv6 makes routes of its own when link_watch has looked at a carrier.
pub fn kernel_at_rest() -> Vec<String> {
    drop(crate::scene::before());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = kernel();
        std::thread::sleep(Duration::from_millis(30));
        if kernel() == before || Instant::now() > deadline {
            return before;
        }
    }
}

fn stable(mut route: Value) -> Value {
    const CARRIER: [&str; 2] = ["linkdown", "dead"];
    let parts = route.get_mut("nexthops").and_then(Value::as_array_mut);
    if let Some(hops) = parts {
        hops.iter_mut().for_each(|hop| strip(hop, &CARRIER));
        if is_inet6(hops) {
            hops.sort_by_cached_key(Value::to_string);
        }
    }
    strip(&mut route, &CARRIER);
    if let Some(route) = route.as_object_mut() {
        if let Some(expires) = route.get_mut("expires") {
            *expires = Value::from("soon");
        }
    }
    route
}

fn is_inet6(hops: &[Value]) -> bool {
    hops.iter().any(|hop| hop["gateway"].as_str().is_some_and(|gateway| gateway.contains(':')))
}

fn strip(part: &mut Value, flags: &[&str]) {
    if let Some(all) = part["flags"].as_array_mut() {
        all.retain(|flag| !flag.as_str().is_some_and(|flag| flags.contains(&flag)));
    }
}

/// Lines of routes without the time that is left to them, which passes.
pub fn without_expiry(text: &str) -> String {
    let plain = |line: &str| match line.split_once(" expires ") {
        Some((before, after)) => {
            format!("{before} {}", after.split_once(' ').map_or("", |(_, rest)| rest))
        }
        None => line.to_owned(),
    };
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// What `ip route show` prints, line by line, without blanks at the ends; legs on the line of their route.
#[track_caller]
pub fn shown(arguments: &str) -> Vec<String> {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let (family, rest) = match words.split_first() {
        Some((&"-6", rest)) => ("-6", rest),
        _ => ("-4", &words[..]),
    };
    let output = ip(&[&[family, "-o", "route", "show"], rest].concat());
    let text = String::from_utf8_lossy(&output.stdout).replace('\\', " ");
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect()
}

/// Runs lines of `ip`.
#[track_caller]
pub fn scene(lines: &str) {
    scene::scene(lines);
}

/// Fills a transaction and commits it; afterwards the database is the kernel.
#[track_caller]
pub fn commit(db: &Db, fill: impl FnOnce(&mut Transaction) -> Result<()>) -> Committed {
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    fill(&mut tx).expect("a transaction");
    let done = tx.commit().expect("a commit");
    quiesce_and_compare(db);
    done
}

/// Fills a transaction whose hook says no; it is rolled back, and every route, address and link is as before.
#[track_caller]
pub fn undone(db: &Db, fill: impl FnOnce(&mut Transaction) -> Result<()>) {
    undone_after(db, fill, || {});
}

/// The same; the hook does something else before it says no.
#[track_caller]
pub fn undone_after(
    db: &Db,
    fill: impl FnOnce(&mut Transaction) -> Result<()>,
    meanwhile: impl Fn() + Send + Sync + 'static,
) {
    let whole = scene::before();
    let before = kernel_at_rest();
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    fill(&mut tx).expect("a transaction");
    tx.on_commit(move |_, _| {
        meanwhile();
        Err::<(), _>("no")
    });
    let review = tx.review().to_string();
    let error = tx.commit().expect_err("a hook that says no");
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}\n{review}");
    assert!(error.is_hook(), "{error}\n{review}");
    routes_are(&before, &review);
    scene::exactly_as_before(db, &whole);
    quiesce_and_compare(db);
}

/// The kernel has these routes, as soon as it has come to rest.
#[track_caller]
pub fn routes_are(before: &[String], words: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = kernel();
        if now == before {
            return;
        }
        if Instant::now() > deadline {
            let missing: Vec<_> = before.iter().filter(|one| !now.contains(one)).collect();
            let more: Vec<_> = now.iter().filter(|one| !before.contains(one)).collect();
            panic!(
                "the routes are not as before\nmissing: {missing:#?}\nmore: {more:#?}\n{words}\nnow: {now:#?}"
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The commit was rolled back, everything is as it was, and the error.
#[track_caller]
pub fn rolled_back(db: &Db, fill: impl FnOnce(&mut Transaction) -> Result<()>) -> CommitError {
    let whole = scene::before();
    let before = kernel_at_rest();
    db.sync().expect("a snapshot");
    let mut tx = db.begin();
    fill(&mut tx).expect("a transaction");
    let review = tx.review().to_string();
    let error = scene::rolled_back(tx.commit());
    routes_are(&before, &format!("{error}\n{review}"));
    scene::exactly_as_before(db, &whole);
    quiesce_and_compare(db);
    error
}
