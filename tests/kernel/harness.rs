//! That the tests of this binary are as alone as they believe.

use crate::support::{ip, ip_json, kind_available, namespaces, need_kind};
use netlinkdb::internals::sys::Namespace;
use std::path::Path;

crate::cases![
    every_test_has_a_namespace_of_its_own,
    iproute2_runs_in_the_namespace_of_its_test,
    a_link_kind_that_is_unknown_is_found_so,
];

fn every_test_has_a_namespace_of_its_own() {
    let here = Namespace::current().unwrap().identity();
    let process = Namespace::open(Path::new("/proc/self/ns/net")).unwrap().identity();
    let second = namespaces::elsewhere(|| Namespace::current().unwrap().identity());
    assert_ne!(here, process);
    assert_ne!(here, second);
    assert_eq!(here, Namespace::current().unwrap().identity());
}

fn iproute2_runs_in_the_namespace_of_its_test() {
    need_kind("veth");
    ip(&["link", "add", "left", "type", "veth", "peer", "name", "right"]);
    let names = || {
        let links = ip_json(&["link", "show"]);
        let links = links.as_array().unwrap().clone();
        links.iter().map(|link| link["ifname"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names().contains(&"left".to_owned()), "{:?}", names());
    let elsewhere = namespaces::elsewhere(names);
    assert!(!elsewhere.contains(&"left".to_owned()), "{elsewhere:?}");
}

fn a_link_kind_that_is_unknown_is_found_so() {
    assert!(!kind_available("nosuchkind"));
    for kind in ["veth", "bridge", "vxlan", "macvlan", "ifb", "dummy", "vlan", "bond"] {
        println!("link kind {kind}: {}", if kind_available(kind) { "there" } else { "missing" });
    }
}
