//! Interfaces, addresses, routes, rules, neighbours or nexthop objects of the network namespace that it runs in, read
//! only.
//!
//! `cargo run --features serde --example show -- link --json` prints what `ip -json -details link` prints; `show route`
//! prints the lines of `ip route show` and those of `ip -6 route show`, and so does `show rule`; `show route mpls` those of
//! `ip -f mpls route show`.

use std::io::Write;
use std::process::ExitCode;

use netlinkdb::{Db, Result, RouteTable, Snapshot};

const USAGE: &str = "usage: show [link | addr | route [table NUMBER|all | mpls] | rule | neigh [proxy] | fdb | nexthop] [--json]";

/// What is to be shown.
enum What {
    Links,
    Addresses,
    /// The routes of a table, or of all.
    Routes(Option<u32>),
    Labels,
    Rules,
    Neighbours,
    Proxies,
    Fdb,
    Nexthops,
}

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--json");
    let json = arguments.len() < before;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(what) = parse(&words) else {
        eprintln!("show: cannot read `{}`\n{USAGE}", words.join(" "));
        return ExitCode::from(2);
    };
    match shown(&what, json) {
        Ok(text) => print(&text),
        Err(error) => {
            eprintln!("show: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[&str]) -> Option<What> {
    Some(match words {
        [] | ["link"] => What::Links,
        ["addr"] => What::Addresses,
        ["route"] => What::Routes(Some(MAIN)),
        ["route", "mpls"] => What::Labels,
        ["route", "table", "all"] => What::Routes(None),
        ["route", "table", "main"] => What::Routes(Some(MAIN)),
        ["route", "table", "local"] => What::Routes(Some(255)),
        ["route", "table", number] => What::Routes(Some(number.parse().ok()?)),
        ["rule"] => What::Rules,
        ["neigh"] => What::Neighbours,
        ["neigh", "proxy"] => What::Proxies,
        ["fdb"] => What::Fdb,
        ["nexthop"] => What::Nexthops,
        _ => return None,
    })
}

fn shown(what: &What, json: bool) -> Result<String> {
    let routes = matches!(what, What::Routes(_) | What::Labels);
    let neighbours = matches!(what, What::Neighbours | What::Proxies | What::Fdb);
    let db = Db::builder().routes(routes).neighbours(neighbours).open()?;
    let now = db.read_only().snapshot();
    if json {
        return to_json(&now, what);
    }
    Ok(match what {
        What::Links => now.links().map(|link| link.line(&now) + "\n").collect(),
        What::Addresses => now.to_string(),
        What::Routes(table) => routes_of(&now, *table).to_string(),
        What::Labels => now.routes().mpls().to_string(),
        What::Rules => now.rules().to_string(),
        What::Neighbours => now.neighbours().to_string(),
        What::Proxies => now.neighbours().proxies().to_string(),
        What::Fdb => now.neighbours().fdb().to_string(),
        What::Nexthops => now.nexthops().to_string(),
    })
}

fn routes_of(now: &Snapshot, table: Option<u32>) -> RouteTable<'_> {
    table.map_or(now.routes().all(), |table| now.routes().table(table))
}

#[cfg(feature = "serde")]
fn to_json(now: &Snapshot, what: &What) -> Result<String> {
    let tree = match what {
        What::Links => netlinkdb::Tree::List(now.links().map(|link| link.tree(now)).collect()),
        What::Addresses => now.tree(),
        What::Routes(table) => routes_of(now, *table).tree(),
        What::Labels => now.routes().mpls().tree(),
        What::Rules => now.rules().tree(),
        What::Neighbours => now.neighbours().tree(),
        What::Proxies => now.neighbours().proxies().tree(),
        What::Fdb => now.neighbours().fdb().tree(),
        What::Nexthops => now.nexthops().tree(),
    };
    serde_json::to_string(&tree).map(|text| text + "\n").map_err(netlinkdb::Error::other)
}

#[cfg(not(feature = "serde"))]
fn to_json(_: &Snapshot, _: &What) -> Result<String> {
    let why = "--json needs the feature `serde`: cargo run --features serde --example show -- link --json";
    Err(netlinkdb::Error::other(why))
}

/// A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("show: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
