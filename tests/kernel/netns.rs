//! Network namespaces by name, as `ip netns` keeps them, and what runs in them. Each test has a `/run` of its own.

use crate::support::namespaces::{Elsewhere, drop_capabilities, with_own_run};
use crate::support::{ip, ip_available, skip};
use netlinkdb::{Db, NetNs};
use std::fs;

crate::cases![
    a_namespace_is_made_found_listed_and_removed,
    what_ip_makes_is_found_and_the_other_way_round,
    a_bad_or_taken_name_is_refused_and_nothing_is_left,
    without_privilege_nothing_is_left,
    a_name_that_was_cut_off_can_be_removed,
    a_program_runs_in_the_namespace,
    what_runs_there_gives_its_result_and_its_panic_back,
    what_is_no_namespace_is_refused_by_its_path_or_process,
];

/// `/etc/passwd` was taken, and found to be none by whoever entered it.
fn what_is_no_namespace_is_refused_by_its_path_or_process() {
    for (path, why) in [
        ("/etc/passwd", "no namespace"),
        ("/proc/self/ns/mnt", "not of networks"),
        ("/no/such", "No such file"),
    ] {
        let error = NetNs::from_path(path).expect_err("no network namespace").to_string();
        assert!(error.contains(path) && error.contains(why), "{error}");
    }
    let error = NetNs::of_pid(0x7fff_fff0).expect_err("no such process").to_string();
    assert!(error.contains("process 2147483632"), "{error}");
    assert!(NetNs::of_pid(std::process::id()).is_ok());
}

fn inode() -> String {
    fs::read_link("/proc/thread-self/ns/net").expect("/proc").display().to_string()
}

fn a_namespace_is_made_found_listed_and_removed() {
    with_own_run(|| {
        assert_eq!(NetNs::list().expect("a list"), [""; 0]);
        let here = inode();
        let red = NetNs::create("red").expect("a namespace");
        let blue = NetNs::create("blue").expect("a namespace");
        assert_eq!(inode(), here, "this thread has stayed where it was");
        assert_eq!(NetNs::list().expect("a list"), ["blue", "red"]);
        assert_eq!(NetNs::named("red").expect("red"), red);
        assert_ne!(red, blue);
        assert_eq!(red.to_string(), "red");
        let db = Db::builder().netns(&red).open().expect("a database");
        let lo = db.snapshot().link("lo").expect("lo").clone();
        assert!(!lo.is_up() && db.snapshot().link_count() == 1);
        NetNs::remove("red").expect("a removal");
        assert_eq!(NetNs::list().expect("a list"), ["blue"]);
        // It lives on in the database.
        db.interface("lo").expect("lo").up().commit().expect("a commit");
        assert!(NetNs::named("red").expect_err("gone").to_string().contains("`red`"));
        NetNs::remove("blue").expect("a removal");
        assert_eq!(NetNs::list().expect("a list"), [""; 0]);
    });
}

fn what_ip_makes_is_found_and_the_other_way_round() {
    if !ip_available() {
        skip("there is no ip here");
    }
    with_own_run(|| {
        let ours = NetNs::create("ours").expect("a namespace");
        ip(&["netns", "add", "theirs"]);
        assert_eq!(NetNs::list().expect("a list"), ["ours", "theirs"]);
        let theirs = NetNs::named("theirs").expect("theirs");
        assert_ne!(ours, theirs);
        ip(&["-n", "ours", "link", "set", "lo", "up"]);
        let db = Db::builder().netns(&ours).open().expect("a database");
        assert!(db.snapshot().link("lo").is_some_and(|lo| lo.is_up()));
        let listed = ip(&["netns", "list"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert_eq!(listed.split_whitespace().filter(|word| word.ends_with('s')).count(), 2);
        ip(&["netns", "del", "ours"]);
        NetNs::remove("theirs").expect("a removal");
        assert_eq!(NetNs::list().expect("a list"), [""; 0]);
    });
}

fn a_bad_or_taken_name_is_refused_and_nothing_is_left() {
    with_own_run(|| {
        for name in ["", ".", "..", "a/b", "/etc", "a\0b"] {
            let error = NetNs::create(name).expect_err("no name");
            assert_eq!(error.errno(), Some(libc::EINVAL), "{error}");
            let error = NetNs::remove(name).expect_err("no name");
            assert_eq!(error.errno(), Some(libc::EINVAL), "{error}");
        }
        let first = NetNs::create("one").expect("a namespace");
        let error = NetNs::create("one").expect_err("taken");
        assert!(error.is_exists(), "{error}");
        assert_eq!(NetNs::named("one").expect("as before"), first);
        assert_eq!(NetNs::list().expect("a list"), ["one"]);
        NetNs::remove("one").expect("a removal");
        assert_eq!(NetNs::remove("one").expect_err("gone").errno(), Some(libc::ENOENT));
    });
}

fn without_privilege_nothing_is_left() {
    with_own_run(|| {
        let there = NetNs::create("there").expect("a namespace");
        drop_capabilities();
        let error = NetNs::create("new").expect_err("no privilege");
        assert!(error.is_permission() && error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
        assert!(error.to_string().contains("there is no new namespace"), "{error}");
        let error = NetNs::remove("there").expect_err("no privilege");
        assert!(error.is_permission() && error.to_string().contains("as before"), "{error}");
        assert_eq!(NetNs::list().expect("a list"), ["there"]);
        assert!(there.run(inode).expect_err("no privilege").is_permission());
        let error = there.command("true").status().expect_err("no privilege");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        // In its own a thread may be as it is.
        let own = NetNs::current().expect("a namespace");
        assert_eq!(own.run(inode).expect("no setns"), inode());
        assert!(own.command("true").status().expect("no setns").success());
    });
}

/// Killed between the file and the mount, `ip netns add` leaves a name without a namespace.
fn a_name_that_was_cut_off_can_be_removed() {
    with_own_run(|| {
        drop(NetNs::create("first").expect("a namespace"));
        fs::write("/run/netns/left", "").expect("a file");
        assert_eq!(NetNs::list().expect("a list"), ["first", "left"]);
        NetNs::remove("left").expect("a removal");
        assert_eq!(NetNs::list().expect("a list"), ["first"]);
    });
}

fn a_program_runs_in_the_namespace() {
    let other = Elsewhere::new();
    let there = NetNs::from_path(&other.path).expect("a namespace");
    let of = |ns: &NetNs| {
        let output = ns.command("readlink").arg("/proc/self/ns/net").output().expect("readlink");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(of(&there), other.run(inode));
    assert_eq!(of(&NetNs::current().expect("a namespace")), inode());
    // The command holds the namespace.
    let mut command = there.command("readlink");
    drop((there, other));
    let output = command.arg("/proc/self/ns/net").output().expect("readlink");
    assert!(output.stdout.starts_with(b"net:["));
}

fn what_runs_there_gives_its_result_and_its_panic_back() {
    let other = Elsewhere::new();
    let there = NetNs::from_path(&other.path).expect("a namespace");
    let here = inode();
    let mut seen = String::new();
    let look = || {
        seen = inode();
        7
    };
    assert_eq!(there.run(look).expect("a run"), 7);
    assert!(seen != here && inode() == here);
    let caught = std::panic::catch_unwind(|| there.run(|| panic!("from there")));
    let payload = caught.expect_err("a panic");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"from there"));
    assert_eq!(inode(), here);
}
