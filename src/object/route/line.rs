//! A route as a line of `ip route show`.

use super::super::encap::encap_line;
use super::super::show::show;
use super::super::{Names, Record, Tree, Value};
use super::show::is_mpls;
use super::{METRICS, hop_row, metric_row};

/// Every row in the words of `ip`; what `ip` leaves out without `-details` is left out.
pub fn line(record: &Record, names: &dyn Names) -> String {
    let mut words = Vec::new();
    for (_, row, value) in record.fields() {
        match row.constant {
            "RTA_ENCAP" => words.push(encap_line(encap_kind(record), value, names)),
            "RTA_METRICS" => words.extend(metrics(value)),
            "RTA_MULTIPATH" => words.extend(legs(value, is_mpls(record), names)),
            // Only asked for: the kernel tells it as cache information.
            "RTA_EXPIRES" => {
                words.extend(value.number().map(|seconds| format!("expires {seconds}sec")))
            }
            _ => {
                let mut object = Vec::new();
                show(row, value, record, names, &mut object);
                words.extend(object.iter().filter_map(|(key, tree)| word(key, tree)));
            }
        }
    }
    words.join(" ").replace(" \n", "\n")
}

/// The number in the row beside the tunnel's, in whichever table.
fn encap_kind(record: &Record) -> u64 {
    let kind = record.fields().find(|(_, row, _)| row.constant == "RTA_ENCAP_TYPE");
    kind.and_then(|(_, _, value)| value.number()).unwrap_or(0)
}

fn word(key: &str, tree: &Tree) -> Option<String> {
    let text = tree.to_string();
    Some(match (key, text.as_str()) {
        ("type", "unicast") | ("table", "main") | ("protocol", "boot") | ("scope", "global") => {
            return None;
        }
        ("flags", "") => return None,
        ("type" | "dst", _) => text,
        ("flags", _) => text.replace(',', " "),
        ("to", _) => format!("as to {text}"),
        ("gateway", _) => format!("via {text}"),
        ("via", _) => format!("via {} {}", key_of(tree, "family"), key_of(tree, "host")),
        ("protocol", _) => format!("proto {text}"),
        ("prefsrc", _) => format!("src {text}"),
        ("flow", _) => realms(tree),
        ("expires", _) => format!("expires {text}sec"),
        ("ttl-propogate", "true") => "ttl-propogate enabled".to_owned(),
        ("ttl-propogate", _) => "ttl-propogate disabled".to_owned(),
        _ => format!("{key} {text}"),
    })
}

fn key_of(tree: &Tree, key: &str) -> String {
    tree.key(key).map(Tree::to_string).unwrap_or_default()
}

fn realms(tree: &Tree) -> String {
    match tree.key("from") {
        Some(from) => format!("realms {from}/{}", key_of(tree, "to")),
        None => format!("realm {}", key_of(tree, "to")),
    }
}

/// The legs of an MPLS route have no weights.
fn legs(value: &Value, is_mpls: bool, names: &dyn Names) -> Vec<String> {
    let leg = |hop: &Record| match is_mpls {
        true => {
            let mut hop = hop.clone();
            hop.remove(hop_row::HOPS);
            line(&hop, names)
        }
        false => line(hop, names),
    };
    value.records().iter().map(|hop| format!("\n\tnexthop {}", leg(hop))).collect()
}

fn metrics(value: &Value) -> Vec<String> {
    let Some(record) = value.nested().filter(|inner| inner.table() == &METRICS) else {
        return Vec::new();
    };
    let lock = record.number(metric_row::LOCK);
    let shown = record.fields().filter(|(id, ..)| *id != metric_row::LOCK);
    shown
        .filter_map(|(id, row, value)| {
            let number = value.number().unwrap_or(0);
            let text = match id {
                metric_row::HOPLIMIT if number == u64::from(u32::MAX) => return None,
                metric_row::RTT => time(number / 8),
                metric_row::RTTVAR => time(number / 4),
                metric_row::RTO_MIN => time(number),
                metric_row::FEATURES => features(number),
                _ => value.to_string(),
            };
            // The rows stand in the order of their numbers, which begin with 1.
            let locked = lock.checked_shr(u32::from(id) + 1).unwrap_or(0) & 1 == 1;
            Some(format!("{} {}{text}", row.keyword, if locked { "lock " } else { "" }))
        })
        .collect()
}

fn time(milliseconds: u64) -> String {
    match milliseconds {
        1000.. => format!("{}s", milliseconds as f64 / 1000.0),
        _ => format!("{milliseconds}ms"),
    }
}

fn features(all: u64) -> String {
    let ecn = (all & 1 != 0).then(|| "ecn".to_owned());
    let rest = (all & !1 != 0).then(|| format!("{all:#x}"));
    [ecn, rest].into_iter().flatten().collect::<Vec<_>>().join(" ")
}
