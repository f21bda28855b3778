//! iproute2: sets the scene, and bears witness that shares no code with this crate.

use super::skip;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Runs `ip ARGUMENTS` in the namespace of this thread; panics with its own words when it fails, and skips the
/// test when iproute2 is missing.
#[track_caller]
pub fn ip(arguments: &[&str]) -> Output {
    let output = try_ip(arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ip {}: {} ({})",
        arguments.join(" "),
        words.trim(),
        output.status
    );
    if arguments.contains(&"nodad") {
        arguments.iter().filter(|word| word.contains(':')).for_each(|own| await_local_route(own));
    }
    output
}

/// An IPv6 address that is not checked has its local route when a work queue has made it: what a test looks at next is not to
/// depend on that. On an interface that is down it gets none.
fn await_local_route(address: &str) {
    let address = address.split('/').next().unwrap_or(address);
    let deadline = Instant::now() + Duration::from_secs(6);
    let is_there = || {
        let links = ip_json(&["-6", "addr", "show", "to", address, "up"]);
        let routes = ip_json(&["-6", "route", "show", "table", "all", "type", "local"]);
        let is_up = links
            .as_array()
            .is_some_and(|links| links.iter().any(|link| !link["ifname"].is_null()));
        let routes = routes.as_array().cloned().unwrap_or_default();
        !is_up || routes.iter().any(|route| route["dst"] == address)
    };
    while !is_there() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `ip ARGUMENTS`, whether it succeeds or not.
#[track_caller]
pub fn try_ip(arguments: &[&str]) -> Output {
    if !ip_available() {
        skip("iproute2 (the command `ip`) is not installed");
    }
    Command::new("ip").args(arguments).output().expect("starting ip")
}

/// Runs each line as arguments of an `ip` of its own.
#[track_caller]
pub fn scene(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        ip(&line.split_whitespace().collect::<Vec<_>>());
    }
}

/// Runs all lines in one `ip -batch`, which remembers the index of each name that it has used.
#[track_caller]
pub fn batch(lines: &str) {
    let output = run_batch(&["-batch", "-"], lines);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip -batch: {} ({})", words.trim(), output.status);
}

/// Runs all lines, whether they succeed or not, and counts those that failed.
#[track_caller]
pub fn try_batch(lines: &str) -> usize {
    let output = run_batch(&["-force", "-batch", "-"], lines);
    let words = String::from_utf8_lossy(&output.stderr);
    words.lines().filter(|line| line.starts_with("Command failed")).count()
}

#[track_caller]
fn run_batch(arguments: &[&str], lines: &str) -> Output {
    if !ip_available() {
        skip("iproute2 (the command `ip`) is not installed");
    }
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting ip");
    let mut input = child.stdin.take().expect("a pipe");
    let text = lines.lines().map(str::trim).collect::<Vec<_>>().join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("waiting for ip");
    // A batch that ends at its first error does not read the rest.
    drop(writer.join().expect("the writer"));
    output
}

/// What `ip -json -details ARGUMENTS` prints.
#[track_caller]
pub fn ip_json(arguments: &[&str]) -> serde_json::Value {
    let output = ip(&[&["-json", "-details"], arguments].concat());
    // Some versions print nothing at all for an empty list.
    if output.stdout.trim_ascii().is_empty() {
        return serde_json::Value::Array(Vec::new());
    }
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("ip -json {}: {error}", arguments.join(" ")))
}

/// Whether the command `ip` is there.
pub fn ip_available() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        Command::new("ip").arg("-Version").output().is_ok_and(|output| output.status.success())
    });
    *FOUND
}

/// What `bridge -json ARGUMENTS` prints; `None` where the command is not installed.
#[track_caller]
pub fn bridge_json(arguments: &[&str]) -> Option<serde_json::Value> {
    let output = Command::new("bridge").arg("-json").args(arguments).output().ok()?;
    assert!(output.status.success(), "bridge -json {}", arguments.join(" "));
    if output.stdout.trim_ascii().is_empty() {
        return Some(serde_json::Value::Array(Vec::new()));
    }
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Runs `bridge ARGUMENTS`; panics with its own words when it fails.
#[track_caller]
pub fn bridge(arguments: &[&str]) {
    let output = Command::new("bridge").args(arguments).output().expect("starting bridge");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bridge {}: {}", arguments.join(" "), words.trim());
}
