//! iproute2: sets the scene, and bears witness that shares no code with this crate.

use super::skip;
use std::process::{Command, Output};
use std::sync::LazyLock;

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
    output
}

/// Runs `ip ARGUMENTS`, whether it succeeds or not.
#[track_caller]
pub fn try_ip(arguments: &[&str]) -> Output {
    if !ip_available() {
        skip("iproute2 (the command `ip`) is not installed");
    }
    Command::new("ip").args(arguments).output().expect("starting ip")
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
