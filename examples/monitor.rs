//! Changes of interfaces, addresses and routes as they come, like `ip monitor`, but each as before and after.
//!
//! `cargo run --example monitor` watches the namespace that it runs in, until it is stopped or nobody reads its
//! output any more. With `--private` it demonstrates itself in a namespace of its own.

use std::io::{ErrorKind, Write};

use std::process::ExitCode;

use netlinkdb::{Db, Error, Event, NetNs, Result, Veth};

fn main() -> ExitCode {
    let private = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [one] if one == "--private" => true,
        _ => {
            eprintln!("usage: monitor [--private]");
            return ExitCode::from(2);
        }
    };
    match if private { demonstrate() } else { watch() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("monitor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints changes until the output is closed.
fn watch() -> Result<()> {
    let db = Db::open()?;
    let queue = db.events()?;
    eprintln!("{} interfaces; waiting for changes", queue.snapshot().link_count());
    for event in queue {
        if !print(&event?)? {
            break;
        }
    }
    Ok(())
}

/// Some changes in a private namespace, each printed as a watcher sees it.
fn demonstrate() -> Result<()> {
    NetNs::enter_private()?;
    let db = Db::open()?;
    let mut queue = db.events()?;
    let script: [fn(&Db) -> Result<()>; 4] = [
        |db| {
            let mut tx = db.begin();
            tx.create(Veth::new("veth0", "veth1"))?;
            Ok(tx.commit().map(drop)?)
        },
        |db| Ok(db.interface("veth0")?.set_mtu(1400).add_ip("10.0.0.1/24")?.commit().map(drop)?),
        |db| Ok(db.interface("veth0")?.set_name("lan0")?.commit().map(drop)?),
        |db| Ok(db.interface("lan0")?.remove().commit().map(drop)?),
    ];
    for step in script {
        step(&db)?;
        // What a commit did is in the database when it returns; this waits for nothing.
        while let Some(event) = queue.try_next()? {
            if !print(&event)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A change on a line; `false` when nobody reads any more.
fn print(event: &Event) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{event}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::other(error)),
    }
}
