//! What netlinkdb is, in one command: `cargo run --example quickstart`, as an ordinary user.
//!
//! Everything happens in a private network namespace; nothing of the machine is touched.

use std::fmt::Display;
use std::io::IsTerminal;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use netlinkdb::{
    AddressFlags, AddressSpec, Bridge, Change, Db, Ending, Error, NetNs, Object, OperState, Result,
    Scope, Snapshot, Veth,
};

fn main() -> ExitCode {
    let start = Instant::now();
    if let Err(error) = NetNs::enter_private() {
        return no_namespace(&error);
    }
    match tour() {
        Ok(summary) => {
            let time = start.elapsed().as_millis();
            println!("\n{}", ink(BOLD, format!("{summary}, in {time} ms")));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour() -> Result<String> {
    let db = Db::open()?;
    heading("An empty network namespace of our own");
    let names: Vec<_> = db.interfaces().iter().map(ToString::to_string).collect();
    println!("  the database is open; interfaces: {}", names.join(", "));

    heading("One transaction: a bridge with two ports, and addresses");
    let mut tx = db.begin();
    let br0 = tx.create(Bridge::new("br0"))?;
    for (port, peer) in [("port0", "host0"), ("port1", "host1")] {
        let pair = tx.create(Veth::new(port, peer))?;
        tx.interface(&br0).add_port(&pair)?;
        tx.interface(port).up();
        tx.interface(peer).up();
    }
    // Without duplicate address detection: that takes a second, and this is over sooner.
    let fd00 = "fd00::1/64".parse::<AddressSpec>()?.flags(AddressFlags::NODAD);
    tx.interface(&br0).add_ip("10.0.0.1/24")?.add_ip(fd00)?.set_alias("uplink").up();
    tx.interface("host0").add_ip("10.0.0.10/24")?;
    tx.interface("host1").add_ip("10.0.0.11/24")?;
    review(&tx.review());
    let built = tx.commit()?;
    let requests = format!(
        "committed, and read back from the kernel: revision {}",
        built.snapshot().revision()
    );
    println!("  {}", ink(GREEN, requests));

    heading("The snapshot");
    // The kernel looks at carriers by itself, a moment later.
    let settled = db.wait_until(Duration::from_millis(300), is_settled)?;
    table(&settled.unwrap_or_else(|| db.snapshot()));

    heading("A transaction that the kernel refuses in its middle");
    let before = db.resync()?;
    let mut tx = db.begin();
    tx.interface("br0").set_alias("never seen").set_group(4).add_ip("10.9.9.9/16")?;
    tx.interface("host0").set_address("01:00:5e:00:00:01".parse()?);
    tx.interface("port0").set_mtu(1300);
    review(&tx.review());
    let refused = match tx.commit() {
        Err(error) => error,
        Ok(_) => return Err(Error::other("the kernel took a multicast address for an interface")),
    };
    for part in refused.error().to_string().split("; ") {
        println!("  {}", ink(RED, part));
    }
    if !matches!(refused.ending(), Ending::RolledBack { .. }) {
        return Err(refused.into());
    }
    let difference = before.diff(&db.resync()?);
    let (own, ours): (Vec<_>, Vec<_>) = difference.changes().iter().partition(|c| is_link_local(c));
    for change in own {
        println!("  {}", ink(DIM, format!("meanwhile, by the kernel itself: {change}")));
    }
    if !ours.is_empty() {
        ours.iter().for_each(|change| println!("  {change}"));
        return Err(Error::other("the namespace is not as it was before"));
    }
    println!("  {}", ink(GREEN, "all read anew and compared with the state before: no difference"));

    heading("What others change");
    let mut watch = db.events()?;
    let other = change_from_outside()?;
    println!("  {}", ink(DIM, format!("{other} host1 now has mtu 1400 and another address")));
    let mut seen = 0;
    while seen < 2 {
        let Some(diff) = watch.diff_within(Duration::from_secs(1))? else {
            return Err(Error::other("the foreign change did not arrive"));
        };
        for change in diff.changes().iter().filter(|change| !is_link_local(change)) {
            marked(&change.to_string());
            seen += 1;
        }
    }
    let (now, losses) = (db.snapshot(), db.losses());
    Ok(format!(
        "{} interfaces and {} addresses, 1 transaction committed, 1 rolled back, {seen} foreign changes seen, {} lost",
        now.link_count(),
        now.address_count(),
        losses.overruns + losses.truncated + losses.malformed
    ))
}

/// Whether the carrier of every interface that has been built is seen as up.
fn is_settled(now: &Snapshot) -> bool {
    let mut built = now.links().filter(|link| link.name() != "lo");
    built.all(|link| link.operstate() == Some(OperState::UP))
}

/// Whether a link-local address has appeared: the kernel makes one for each interface, up to a second after its
/// carrier, and tells nobody when.
fn is_link_local(change: &Change) -> bool {
    match (change.before(), change.after()) {
        (None, Some(Object::Address(address, _))) => address.scope() == Scope::LINK,
        _ => false,
    }
}

/// Changes `host1` as another program would: `ip`, or where there is none a second database. Says which.
fn change_from_outside() -> Result<&'static str> {
    let script = "ip link set host1 mtu 1400 && ip addr add 10.0.0.12/24 dev host1";
    let run = Command::new("sh").args(["-c", script]).output();
    if run.is_ok_and(|run| run.status.success()) {
        return Ok("ip:");
    }
    let second = Db::open()?;
    second.interface("host1")?.set_mtu(1400).add_ip("10.0.0.12/24")?.commit()?;
    Ok("there is no `ip` here, so a second database did it:")
}

fn no_namespace(error: &Error) -> ExitCode {
    eprintln!("quickstart: {error}");
    eprintln!(
        "It builds its interfaces in a user and network namespace of its own, which is forbidden here. Usual reasons:"
    );
    eprintln!("  sysctl user.max_user_namespaces                        0 forbids them");
    eprintln!("  sysctl kernel.unprivileged_userns_clone                0 forbids them (Debian)");
    eprintln!("  sysctl kernel.apparmor_restrict_unprivileged_userns    1 forbids them (Ubuntu)");
    eprintln!("  a container whose seccomp profile forbids unshare(2)");
    ExitCode::FAILURE
}

fn heading(text: &str) {
    println!("\n{}", ink(BOLD, text));
}

/// The sets by interface, then the commands: `+` green, `-` red, `~` yellow.
fn review(review: &netlinkdb::Review) {
    let width = review.lines().iter().map(|line| line.on.len()).max().unwrap_or(0);
    let mut interfaces: Vec<&str> = Vec::new();
    for line in review.lines() {
        if !interfaces.contains(&&*line.on) {
            interfaces.push(&line.on);
        }
    }
    for on in interfaces {
        let lines = review.lines().iter().filter(|line| line.on == on);
        for (number, line) in lines.enumerate() {
            marked(&format!("{:width$}  {line}", if number == 0 { on } else { "" }));
        }
    }
    println!(
        "  {}",
        ink(DIM, format!("the same in {} iproute2 commands:", review.commands().len()))
    );
    for command in review.commands() {
        println!("    {}", ink(DIM, command));
    }
}

fn marked(line: &str) {
    let sign = line.split_whitespace().find(|word| matches!(*word, "+" | "-" | "~"));
    let color = match sign {
        Some("+") => GREEN,
        Some("-") => RED,
        _ => YELLOW,
    };
    println!("  {}", ink(color, line));
}

/// Interfaces and addresses, in columns.
fn table(now: &Snapshot) {
    let head = ["interface", "kind", "state", "mtu", "master", "addresses"].map(String::from);
    let rows = now.links().map(|link| {
        let master = link.master().and_then(|index| now.link_by_index(index));
        let addresses = now.addresses_of(link.index()).into_iter();
        // The kernel's own link-local ones are long and say little.
        let chosen = addresses.filter(|address| !address.prefix().to_string().starts_with("fe80:"));
        [
            link.name().to_owned(),
            link.kind().unwrap_or("loopback").to_owned(),
            link.operstate().map(|state| state.to_string().to_lowercase()).unwrap_or_default(),
            link.mtu().to_string(),
            master.map_or("", |master| master.name()).to_owned(),
            chosen.map(|address| address.prefix().to_string()).collect::<Vec<_>>().join("  "),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    for (number, row) in rows.iter().enumerate() {
        let cells =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
        let line = cells.collect::<Vec<_>>().join("  ");
        println!("  {}", ink(if number == 0 { DIM } else { "" }, line.trim_end()));
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Colours only for a terminal whose user wants them (https://no-color.org).
fn ink(code: &str, text: impl Display) -> String {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match !code.is_empty() && wanted && std::io::stdout().is_terminal() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_string(),
    }
}
