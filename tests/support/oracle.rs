//! The judge: what this crate says of an object against what `ip -json -details` says of it.

use netlinkdb::internals::object::Tree;
use serde_json::{Map, Value, json};

/// Where the two may differ, and why. The path is that of keys from the object down, `*` for any one key.
const ALLOWED: &[(&[&str], &str)] = &[
    (&["linkinfo", "info_data", "hello_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_data", "tcn_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_data", "topology_change_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_data", "gc_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_slave_data", "hold_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_slave_data", "message_age_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_slave_data", "forward_delay_timer"], "runs between the two dumps"),
    (&["linkinfo", "info_slave_data", "mii_status"], "the bond looks at its ports by a timer"),
    (&["linkinfo", "info_slave_data", "link_failure_count"], "a counter"),
    (&["linkinfo", "info_data", "seq_nr"], "the number of the next frame"),
    (&["valid_life_time"], "runs between the two dumps"),
    (&["preferred_life_time"], "runs between the two dumps"),
    (&["addr_info"], "compared address by address"),
    (&["link_type"], "iproute2 has many more names of link layers than this crate"),
    (&["linkinfo", "info_data", "user"], "iproute2 looks the name of the user up"),
    (&["vfinfo_list"], "virtual functions are kept as bytes"),
    (&["xdp"], "an attached XDP program is not shown"),
    (&["prog"], "an attached XDP program is not shown"),
];

/// Keys that this crate prints and an older iproute2 does not know (6.1 is the oldest that is compared with).
const NEWER: &[&str] = &[
    "gso_ipv4_max_size",
    "gro_ipv4_max_size",
    "netns-immutable",
    "protocol",
    "fdb_n_learned",
    "fdb_max_learned",
    "mst_enabled",
    "mdb_offload_fail_notification",
    "fdb_local_vlan_0",
    "bccutoff",
    "localbypass",
    "reserved_bits",
    "mcroute",
    "mab",
    "neigh_vlan_suppress",
    "backup_nhid",
    "mcast_n_groups",
    "mcast_max_groups",
    "coupled_control",
    "broadcast_neighbor",
    "actor_port_prio",
    "offload",
];

/// Lists whose order says nothing: the kernel's is that of a hash table.
const SETS: &[&str] = &["macaddr_data", "ingress_qos", "egress_qos"];

/// Every difference between two lists of interfaces, paired by `ifindex`.
pub fn compare_links(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    compare_lists(ours, theirs, |link| link["ifindex"].to_string())
}

/// Every difference between two lists of addresses of one interface, paired by family, address and peer.
pub fn compare_addresses(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    let key =
        |a: &Value| format!("{} {} {} {}", a["family"], a["local"], a["address"], a["prefixlen"]);
    compare_lists(ours, theirs, key)
}

/// Every difference between two lists of rules of one family, paired by their place.
pub fn compare_rules(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for (our, their) in ours.iter().zip(theirs) {
        compare(&format!("rule {their}"), &mut Vec::new(), our, their, &mut found);
    }
    if ours.len() != theirs.len() {
        found.push(format!("{} rules, they have {}", ours.len(), theirs.len()));
    }
    found
}

/// Every difference between two lists of nexthop objects, paired by their number.
pub fn compare_nexthops(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    compare_lists(ours, theirs, |nexthop| format!("nexthop {}", nexthop["id"]))
}

/// Every difference between two lists of neighbours or forwarding entries, without what the kernel does in silence:
/// receive filters of devices, neighbours that nobody has answered for yet, how sure it is of one.
pub fn compare_neighbours(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    let is_announced = |one: &&Value| {
        let bare = ["master", "dst", "nhid"].iter().all(|key| one[*key].is_null());
        let filter = one["mac"].is_string() && bare;
        !filter && one["state"] != json!(["INCOMPLETE"])
    };
    let steady = |all: &[Value]| -> Vec<Value> {
        all.iter().filter(is_announced).map(without_silent_state).collect()
    };
    let key = |one: &Value| {
        let keys = ["dst", "dev", "mac", "ifname", "vlan", "vni", "port"];
        keys.iter().map(|key| one[*key].to_string()).collect::<Vec<_>>().join(" ")
    };
    compare_lists(&steady(ours), &steady(theirs), key)
}

fn without_silent_state(neighbour: &Value) -> Value {
    let mut neighbour = neighbour.clone();
    match &neighbour["state"] {
        Value::Array(states) if states.iter().any(|state| state == "DELAY") => {
            // It was reachable, or stale, and nobody says when that ends.
            neighbour["state"] = json!(["STALE"]);
        }
        Value::String(state) if state == "stale" => neighbour["state"] = json!(""),
        _ => {}
    }
    neighbour
}

fn compare_lists(ours: &[Value], theirs: &[Value], key: impl Fn(&Value) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for their in theirs.iter().filter(|their| their.as_object().is_some_and(|o| !o.is_empty())) {
        match ours.iter().find(|our| key(our) == key(their)) {
            Some(our) => compare(&key(their), &mut Vec::new(), our, their, &mut found),
            None => found.push(format!("{}: we do not have it", key(their))),
        }
    }
    for our in ours.iter().filter(|our| !theirs.iter().any(|their| key(our) == key(their))) {
        found.push(format!("{}: only we have it", key(our)));
    }
    found
}

fn compare(
    name: &str,
    path: &mut Vec<String>,
    our: &Value,
    their: &Value,
    found: &mut Vec<String>,
) {
    let set = path.last().is_some_and(|key| SETS.contains(&key.as_str()));
    if allowed(path) || our == their || set && sorted(our) == sorted(their) {
        return;
    }
    // iproute2 looks up the name of a tap's group.
    if path.ends_with(&["info_data".to_owned(), "group".to_owned()]) && our.is_u64() {
        return;
    }
    let (Value::Object(our), Value::Object(their)) = (our, their) else {
        return found.push(format!("{name}: {}: ours {our}, theirs {their}", path.join(".")));
    };
    for (key, value) in their {
        path.push(key.clone());
        match our.get(key) {
            Some(own) => compare(name, path, own, value, found),
            None if allowed(path) => {}
            // What it prints of a port that an HSR interface has lost; here it has none.
            None if value.is_null() && ["slave1", "slave2"].contains(&key.as_str()) => {}
            None => found.push(format!("{name}: {}: ours nothing, theirs {value}", path.join("."))),
        }
        path.pop();
    }
    for (key, value) in our.iter().filter(|(key, _)| !their.contains_key(*key)) {
        // An iproute2 that does not know a kind prints no options of it.
        let is_new = key == "info_data" && their.get("info_kind") == Some(&json!("netkit"));
        if !is_new && !NEWER.contains(&key.as_str()) {
            found.push(format!("{name}: {}.{key}: ours {value}, theirs nothing", path.join(".")));
        }
    }
}

fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<_> = list.as_array().into_iter().flatten().map(Value::to_string).collect();
    all.sort();
    all
}

fn allowed(path: &[String]) -> bool {
    let fits = |pattern: &[&str]| {
        pattern.len() == path.len()
            && pattern.iter().zip(path).all(|(want, key)| *want == "*" || want == key)
    };
    ALLOWED.iter().any(|(pattern, _)| fits(pattern))
}

/// A tree as JSON.
pub fn to_json(tree: &Tree) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Bool(b) => json!(b),
        Tree::Number(n) => json!(n),
        Tree::Signed(n) => json!(n),
        Tree::Decimal(n) => json!(n),
        Tree::Text(text) => json!(text),
        Tree::List(all) => Value::Array(all.iter().map(to_json).collect()),
        Tree::Map(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect::<Map<_, _>>(),
        ),
    }
}

#[test]
fn a_difference_is_found_and_an_allowed_one_is_not() {
    let ours = json!({"ifindex": 1, "mtu": 1500, "gso_ipv4_max_size": 7, "valid_life_time": 3});
    let theirs = json!({"ifindex": 1, "mtu": 1500, "valid_life_time": 4});
    assert_eq!(compare_links(std::slice::from_ref(&ours), &[theirs]), [""; 0]);
    let theirs = json!({"ifindex": 1, "mtu": 1400, "x": {"y": 1}});
    assert_eq!(compare_links(&[ours], &[theirs]).len(), 3);
}
