//! Interfaces or addresses of the network namespace that it runs in, read only.
//!
//! `cargo run --features serde --example show -- link --json` prints what `ip -json -details link` prints.

use std::io::Write;
use std::process::ExitCode;

use netlinkdb::{Db, Result, Snapshot};

const USAGE: &str = "usage: show [link|addr] [--json]";

fn main() -> ExitCode {
    let (mut with_addresses, mut json) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "link" => with_addresses = false,
            "addr" => with_addresses = true,
            "--json" => json = true,
            other => {
                eprintln!("show: unknown argument `{other}`\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match shown(with_addresses, json) {
        Ok(text) => print(&text),
        Err(error) => {
            eprintln!("show: {error}");
            ExitCode::FAILURE
        }
    }
}

fn shown(with_addresses: bool, json: bool) -> Result<String> {
    let now = Db::open()?.read_only().snapshot();
    match json {
        true => to_json(&now, with_addresses),
        false if with_addresses => Ok(now.to_string()),
        false => Ok(now.links().map(|link| link.line(&now) + "\n").collect()),
    }
}

#[cfg(feature = "serde")]
fn to_json(now: &Snapshot, with_addresses: bool) -> Result<String> {
    let tree = match with_addresses {
        true => now.tree(),
        false => netlinkdb::Tree::List(now.links().map(|link| link.tree(now)).collect()),
    };
    serde_json::to_string(&tree).map(|text| text + "\n").map_err(netlinkdb::Error::other)
}

#[cfg(not(feature = "serde"))]
fn to_json(_: &Snapshot, _: bool) -> Result<String> {
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
