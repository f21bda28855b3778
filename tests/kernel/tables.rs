//! What the tests of rules, nexthop objects and neighbours in transactions share: all tables of the namespace as
//! iproute2 prints them, before and after, and what a second database has read.

use crate::scene::{Before, before, exactly_as_before};
use crate::support::{PATIENCE, ip};
use netlinkdb::{Db, Snapshot};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A database that follows neighbours too.
pub fn open_all() -> Db {
    Db::builder().neighbours(true).open().expect("a database")
}

/// Two veth pairs, up, with addresses of both families; and what else the tables of others hold.
pub fn two_links() {
    crate::support::need_kind("veth");
    for (pair, other, net) in [("v0", "w0", 0), ("v1", "w1", 1)] {
        crate::scene::scene(&format!(
            "link add {pair} type veth peer name {other}
             link set {pair} up
             link set {other} up
             addr add 10.{net}.0.1/24 dev {pair}
             addr add fd0{net}::1/64 dev {pair} nodad"
        ));
    }
    // The kernel makes their local routes when it has time.
    settle(|| {
        let local = lines("ip", "-6 route show table local");
        let lacks = |net: &&str| !local.iter().any(|line| line.contains(*net));
        ["local fd00::1", "local fd01::1"].into_iter().filter(lacks).map(str::to_owned).collect()
    });
}

/// Every table, line by line. Few programs: where the kernel is emulated, to start one is what takes the time.
pub fn tables() -> Vec<String> {
    let mut all = batch("-o -d", "rule show\nnexthop show\nroute show table all\n");
    all.extend(batch("-o -d -6", "rule show\nroute show table all\n"));
    all.retain(|line| is_made(line));
    let mut behind = batch("-o", "neigh show nud all\nneigh show proxy\n");
    behind.extend(lines("ip", "-6 neigh show proxy"));
    behind.retain(|line| {
        ["PERMANENT", "proxy", "extern_learn", "managed"].iter().any(|word| line.contains(word))
    });
    behind.extend(
        lines("bridge", "fdb show")
            .into_iter()
            .filter(|line| line.contains("static") || line.contains("permanent"))
            // Receive filters.
            .filter(|line| !line.starts_with("33:33:") && !line.starts_with("01:00:5e:")),
    );
    behind.sort();
    all.extend(behind);
    all
}

/// Not what the kernel makes for itself, as an interface goes up and down, in its own time.
fn is_made(line: &str) -> bool {
    !(line.contains("fe80::") || line.contains("ff00::/8") || line.contains("anycast"))
}

fn lines(program: &str, arguments: &str) -> Vec<String> {
    let output = Command::new(program).args(arguments.split(' ')).output().expect("a program");
    steady(&output.stdout)
}

/// What one `ip OPTIONS` prints that runs all of the commands, whether they succeed or not.
fn batch(options: &str, commands: &str) -> Vec<String> {
    let mut ip = Command::new("ip");
    ip.args(options.split(' ')).args(["-force", "-batch", "-"]);
    ip.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = ip.spawn().expect("a program");
    let mut input = child.stdin.take().expect("a pipe");
    // Less than a pipe holds.
    input.write_all(commands.as_bytes()).expect("a program that listens");
    drop(input);
    steady(&child.wait_with_output().expect("a program").stdout)
}

/// The lines of what a program has printed, without what changes by itself.
fn steady(printed: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(printed);
    let volatile = |word: &&str| !matches!(*word, "linkdown" | "dead");
    let calm = |line: &str| {
        let line = line.split(" unbalanced_time").next().unwrap_or(line);
        line.split_whitespace().filter(volatile).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(calm).filter(|line| !line.is_empty()).collect()
}

/// The namespace with its tables.
pub struct Whole {
    links: Before,
    tables: Vec<String>,
}

pub fn whole() -> Whole {
    Whole { links: before(), tables: tables() }
}

impl Whole {
    /// It is what it was, and the database knows it.
    #[track_caller]
    pub fn again(&self, db: &Db) {
        exactly_as_before(db, &self.links);
        let found = settle(|| {
            let now = tables();
            let gone =
                self.tables.iter().filter(|line| !now.contains(line)).map(|l| format!("- {l}"));
            let new =
                now.iter().filter(|line| !self.tables.contains(line)).map(|l| format!("+ {l}"));
            let mut found: Vec<_> = gone.chain(new).collect();
            if found.is_empty() && now != self.tables {
                found = vec![format!("another order: {now:#?} instead of {:#?}", self.tables)];
            }
            found
        });
        assert!(found.is_empty(), "not as before:\n{}", found.join("\n"));
        knows(db);
    }
}

/// The database is what a second one reads now.
#[track_caller]
pub fn knows(db: &Db) {
    let found = settle(|| {
        let now = db.sync().expect("a snapshot");
        now.check();
        let fresh = open_all().snapshot();
        let mut found = Vec::new();
        compare(&mut found, "rules", now.rules().to_string(), fresh.rules().to_string());
        compare(&mut found, "nexthops", now.nexthops().to_string(), fresh.nexthops().to_string());
        if now.follows_neighbours() {
            let proxies = |s: &Snapshot| s.neighbours().proxies().to_string();
            compare(&mut found, "proxies", proxies(&now), proxies(&fresh));
            let kept = |s: &Snapshot| {
                let all = s.neighbours().iter().chain(s.neighbours().fdb().iter());
                let all = all
                    .map(|one| one.line(s))
                    .filter(|line| line.to_lowercase().contains("permanent"));
                all.collect::<Vec<_>>().join("\n")
            };
            compare(&mut found, "neighbours", kept(&now), kept(&fresh));
        }
        let routes = |s: &Snapshot| {
            let all = s.routes().all().iter().map(|route| route.line(s)).collect::<Vec<_>>();
            all.into_iter().filter(|line| is_made(line)).collect::<Vec<_>>().join("\n")
        };
        compare(&mut found, "routes", routes(&now), routes(&fresh));
        found
    });
    assert!(found.is_empty(), "the database is not the kernel:\n{}", found.join("\n"));
}

fn compare(found: &mut Vec<String>, what: &str, ours: String, theirs: String) {
    if ours != theirs {
        found.push(format!("{what}:\n{ours}\nand not\n{theirs}"));
    }
}

/// What is wrong, if it is still wrong when everything that comes later has come.
fn settle(mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE / 6;
    loop {
        let found = look();
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What `ip ARGUMENTS` prints, line by line.
pub fn printed(arguments: &str) -> Vec<String> {
    let output = ip(&arguments.split(' ').collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
