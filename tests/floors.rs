//! The floors of the crate, from its own sources: a module names only floors below its own, the pure floors name
//! nothing that waits, and `unsafe` stays in `sys`.
//!
//! Reads text, not syntax: comments and strings are blanked first, then every path that begins at the crate's root
//! (`crate::state`, `use crate::{wire, state::X}`, `super::super::state`) is an edge to that floor.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first.
const FLOORS: [&str; 7] = ["sys", "wire", "object", "state", "plan", "engine", "api"];

/// Values in, values out: no socket, no thread, no clock.
const PURE: [&str; 4] = ["wire", "object", "state", "plan"];

/// What a pure floor may not name, each as the path is written. `Duration` and `IpAddr` are values and welcome.
const IMPURE: [&str; 13] = [
    "std::thread",
    "std::fs",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::os::fd",
    "std::sync::mpsc",
    "crossbeam_channel",
];

#[test]
fn a_floor_names_only_floors_below_it() {
    let mut read = 0;
    let mut found = Vec::new();
    for floor in FLOORS {
        for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(floor)) {
            let text = fs::read_to_string(&file).unwrap();
            found.extend(check(floor, &file, &text));
            read += 1;
        }
    }
    let list: String = found.iter().map(|fault| format!("{fault}\n")).collect();
    assert!(found.is_empty(), "\n{list}");
    assert!(read > 0, "no sources found");
}

#[test]
fn every_source_is_on_a_floor() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(&src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "lib.rs" || FLOORS.contains(&name.as_str()), "src/{name} is on no floor");
    }
}

/// `Vxlan::df` could not be called once: `VxlanDf` was public, and nowhere to be found.
#[test]
fn what_accessors_give_and_setters_take_can_be_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = fs::read_to_string(root.join("lib.rs")).unwrap();
    let exported: Vec<_> = exported.split(|c: char| !c.is_alphanumeric()).collect();
    let mut declared = Vec::new();
    for file in sources(&root.join("object")) {
        declared.extend(types(&fs::read_to_string(&file).unwrap()));
    }
    // Read in here only: what a request says of a pair's other end, messages about VLANs, bits of bytes.
    let within = ["VethData", "VlanMessage", "VlanEntry", "VlanInfo", "VlanInfoOf", "Kept"];
    let is_hidden = |name: &&String| ![&exported[..], &within].concat().contains(&name.as_str());
    let missing: Vec<_> = declared.iter().filter(is_hidden).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}");
    let known = ["VxlanDf", "PortState", "MacaddrMode", "BridgeId", "Index", "QosMap"];
    assert!(known.iter().all(|known| declared.iter().any(|name| name == known)), "{declared:?}");
}

/// The types by which attributes are read and written: open enumerations, views of records, shapes.
fn types(text: &str) -> Vec<String> {
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        let named = ["enum ", "bits "].into_iter().find_map(|how| line.strip_prefix(how));
        let named = named.filter(|rest| rest.contains(" as ") && !rest.starts_with('$'));
        let view = line.strip_prefix("pub struct ").filter(|rest| rest.contains("&'a Record"));
        all.extend(named.or(view).and_then(word));
        let shape = line.strip_prefix("impl Typed for ").or_else(|| {
            line.starts_with("impl<")
                .then(|| line.split_once("> Typed for "))?
                .map(|(_, rest)| rest)
        });
        all.extend(shape.filter(|rest| !rest.starts_with('$')).and_then(word));
        let listed = line.split_once(": ").filter(|(name, rest)| {
            let kinds = ["Struct ", "Nest ", "Array ", "Structs "];
            name.ends_with("Of") && kinds.iter().any(|kind| rest.starts_with(kind))
        });
        all.extend(listed.and_then(|(name, _)| word(name)));
    }
    all.retain(|name| !name.is_empty());
    all
}

/// That the check above is able to fail: one sample of every fault, and what is none.
#[test]
fn the_check_finds_what_it_is_for() {
    let faults = |floor, depth: &str, text| -> Vec<String> {
        let file = Path::new("src").join(floor).join(depth);
        check(floor, &file, text).iter().map(ToString::to_string).collect()
    };
    let state = |text| faults("state", "sample.rs", text);

    assert_eq!(
        state("fn a() {}\nuse crate::engine::Reader;"),
        ["src/state/sample.rs:2: state names engine, above it"]
    );
    assert_eq!(
        state("use crate::{\n    wire::Ack,\n    plan::{Step, engine},\n};"),
        ["src/state/sample.rs:3: state names plan, above it"]
    );
    assert_eq!(
        state("fn a() { crate::api::Db::open() }"),
        ["src/state/sample.rs:1: state names api, above it"]
    );
    assert_eq!(
        state("use super::super::plan::Step;"),
        ["src/state/sample.rs:1: state names plan, above it"]
    );
    assert_eq!(
        faults("state", "mod.rs", "use super::plan::Step;"),
        ["src/state/mod.rs:1: state names plan, above it"]
    );
    assert_eq!(
        state("use crate::sys::Socket;"),
        ["src/state/sample.rs:1: state is pure and names sys"]
    );
    assert_eq!(
        state("use std::{\n  collections::BTreeMap,\n  time::{Duration, Instant},\n};"),
        ["src/state/sample.rs:3: state is pure and names std::time::Instant"]
    );
    assert_eq!(state("let t = std::time::Instant::now();").len(), 1);
    assert_eq!(
        state("use crate::*;"),
        ["src/state/sample.rs:1: state names everything (crate::*)"]
    );
    assert_eq!(
        state("fn a() { unsafe { b() } }"),
        ["src/state/sample.rs:1: unsafe outside of sys"]
    );
    assert_eq!(
        faults("sys", "socket.rs", "use crate::wire::Ack;"),
        ["src/sys/socket.rs:1: sys names wire, above it"]
    );

    assert_eq!(faults("sys", "socket.rs", "fn a() { unsafe { b() } }\nuse std::thread;"), [""; 0]);
    assert_eq!(
        state(
            "// use crate::engine\n/* unsafe /* crate::api */ */ let a = \"crate::api \\\" unsafe\";"
        ),
        [""; 0]
    );
    assert_eq!(
        state("let (a, b) = ('\"', r#\"crate::api \" unsafe\"#); fn c<'a>(d: &'a str) {}"),
        [""; 0]
    );
    assert_eq!(
        state(
            "use crate::{object, state::diff, wire};\nuse super::plan;\nuse std::time::Duration;"
        ),
        [""; 0]
    );
    assert_eq!(
        faults("engine", "a.rs", "use crate::{sys, wire, plan};\nuse std::time::Instant;"),
        [""; 0]
    );
}

#[derive(PartialEq)]
struct Fault {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

fn check(floor: &str, file: &Path, text: &str) -> Vec<Fault> {
    let code = blank(text);
    let pure = PURE.contains(&floor);
    let mut found = Vec::new();
    let mut fault = |line, what| found.push(Fault { file: file.to_owned(), line, what });
    for (line, path) in paths(&code) {
        if let Some(target) = floor_named(file, &path) {
            let rank = |name: &str| FLOORS.iter().position(|&floor| floor == name);
            if target == "*" {
                fault(line, format!("{floor} names everything (crate::*)"));
            } else if rank(target) > rank(floor) {
                fault(line, format!("{floor} names {target}, above it"));
            } else if pure && target == "sys" {
                fault(line, format!("{floor} is pure and names sys"));
            }
        }
        let names = |what: &&&str| path == ***what || path.starts_with(&format!("{what}::"));
        if let Some(what) = IMPURE.iter().find(names).filter(|_| pure) {
            fault(line, format!("{floor} is pure and names {what}"));
        }
        if path == "unsafe" && floor != "sys" {
            fault(line, "unsafe outside of sys".to_owned());
        }
    }
    found.dedup();
    found
}

/// The first name after the crate's root, if the path goes through it and the name is a floor or `*`.
fn floor_named<'a>(file: &Path, path: &'a str) -> Option<&'a str> {
    let mut names = path.split("::").peekable();
    match *names.peek()? {
        "crate" => drop(names.next()),
        "super" => {
            let ups = names.clone().take_while(|&name| name == "super").count();
            // src/FLOOR/mod.rs is one below the root, src/FLOOR/a.rs is two, src/FLOOR/a/b.rs three.
            let inside = file.iter().skip_while(|&part| part != "src").count() - 1;
            let depth = if file.ends_with("mod.rs") { inside - 1 } else { inside };
            // An inner module (`mod tests`) may go up once more; a floor's name reached too early is no floor.
            if ups < depth {
                return None;
            }
            names.by_ref().take(ups).for_each(drop);
        }
        _ => return None,
    }
    names.next().filter(|&name| name == "*" || FLOORS.contains(&name))
}

/// Every path in the code, with groups (`a::{b, c::d}`) spelled out, and the line of its last part.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // Prefixes of the groups that are open; "" for a brace that is not part of a path.
    let mut groups: Vec<String> = Vec::new();
    let mut path = String::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let word: usize =
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum();
        let step = if word > 0 || (first == '*' && path.ends_with("::")) {
            let step = word.max(1);
            if !path.ends_with("::") {
                path.clear();
            }
            if path.is_empty() {
                path = groups.last().cloned().unwrap_or_default();
            }
            path.push_str(&rest[..step]);
            // The end of a path, unless "::" follows.
            if !rest[step..].trim_start().starts_with("::") {
                found.push((line, std::mem::take(&mut path)));
            }
            step
        } else if rest.starts_with("::") {
            path.push_str("::");
            2
        } else {
            match first {
                '{' if path.ends_with("::") => groups.push(std::mem::take(&mut path)),
                '{' => groups.push(String::new()),
                '}' => drop(groups.pop()),
                _ if first.is_whitespace() => {}
                _ => path.clear(),
            }
            first.len_utf8()
        };
        line += rest[..step].matches('\n').count();
        rest = &rest[step..];
    }
    found
}

/// The text with comments, strings and characters replaced by spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skip(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the comment or literal at the start, 0 for code.
fn skip(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('r') && !in_word {
        let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len());
        }
    }
    // A character, not a lifetime: it is escaped, or closed right after one character.
    let mut chars = rest.chars();
    if chars.next() == Some('\'') && (chars.next() == Some('\\') || chars.next() == Some('\'')) {
        return quoted(rest, '\'');
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let (more, step) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += more;
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // A floor without sources yet is no fault.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
