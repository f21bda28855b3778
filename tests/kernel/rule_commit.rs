//! Rules in transactions, on the kernel.

use crate::scene::{refused, rolled_back, scene};
use crate::support::{ip, skip, try_ip};
use crate::tables::{knows, open_all, printed, two_links, whole};
use netlinkdb::internals::object::{RULE, Record};
use netlinkdb::internals::sys::{self, Batch, Datagram, Options, Received, Socket};
use netlinkdb::internals::wire::{Messages, kind};
use netlinkdb::{Bridge, Db, Family, Route, RouteProtocol, Rule, RuleSpec};
use std::os::fd::AsFd;
use std::time::Duration;

crate::cases![
    every_selector_and_action_goes_there_and_back,
    selectors_of_newer_kernels,
    rules_that_differ_only_in_dst_are_two,
    the_new_rule_comes_before_the_old_one_goes,
    a_rule_is_changed_to_what_the_kernel_refuses_beside_it,
    a_rule_that_fits_more_is_removed_and_no_other,
    a_rolled_back_change_leaves_the_order,
    duplicates_of_others_are_removed_and_come_back,
    without_a_priority_it_gets_the_kernels,
    a_rule_of_priority_0,
    a_rule_commits_and_rolls_back_with_an_interface,
    a_table_moves_with_its_rule,
    what_another_program_did_meanwhile,
    nat_is_refused_by_the_kernel,
    what_several_rules_fit_is_refused,
    a_rule_by_itself_means_no_other,
    l3mdev_is_for_a_vrf,
    a_handle_follows_its_rule,
    a_handle_whose_rule_is_gone_says_so,
    a_route_handle_follows_its_priority,
    rules_without_number,
];

fn v4(now: &netlinkdb::Snapshot, priority: u32) -> Vec<String> {
    let all = now.rules().family(Family::Inet).at(priority);
    all.iter().map(|rule| rule.line(now).replace('\t', " ")).collect()
}

fn ip_rules(family: &str, priority: u32) -> Vec<String> {
    let all = printed(&format!("-d {family} rule show").replace("  ", " "));
    let own = format!("{priority}:");
    all.into_iter().filter(|line| line.starts_with(&own)).collect()
}

fn commit(db: &Db, edit: impl FnOnce(&mut netlinkdb::Transaction) -> netlinkdb::Result<()>) {
    let mut tx = db.begin();
    edit(&mut tx).expect("an edit");
    tx.commit().expect("a commit");
    knows(db);
}

fn add(db: &Db, rules: &[RuleSpec]) {
    commit(db, |tx| rules.iter().try_for_each(|rule| tx.add_rule(rule.clone()).map(drop)));
}

/// The rules of both families, and nothing else: each program that is started takes its time where the kernel is emulated.
fn rules() -> Vec<String> {
    ["-4", "-6"].iter().flat_map(|family| printed(&format!("-d {family} rule show"))).collect()
}

/// Added, read by iproute2 and by a second database, removed by its words, added again, removed by itself.
#[track_caller]
fn there_and_back(db: &Db, spec: RuleSpec) {
    let before = rules();
    let mut tx = db.begin();
    tx.add_rule(spec.clone()).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let done = tx.commit().unwrap_or_else(|error| panic!("{spec}: {error}"));
    knows(db);
    let now = done.snapshot();
    let rule = now.rules().find(&spec).unwrap_or_else(|| panic!("{spec} is not there")).clone();
    let after = rules();
    assert_eq!(after.len(), before.len() + 1, "{spec}");
    let words = |line: &str| line.replace('\t', " ");
    let shown = after.iter().find(|line| !before.contains(line)).expect("a new line");
    // What iproute2 6.1 does not know it does not print.
    let newer = ["dscp", "flowlabel"].iter().any(|word| spec.to_string().contains(word));
    let plain = |line: &str| words(line).replace("[detached] ", "").replace(" [unresolved]", "");
    let ours = plain(&rule.line(now));
    if !newer {
        let theirs = plain(&shown.replace("table ", "lookup "));
        for word in ours.split(' ') {
            assert!(theirs.contains(word), "{word} of {ours} is not in {theirs}");
        }
    }
    assert_eq!(*rule.identity(), *spec.identity(), "{spec}");
    commit(db, |tx| tx.remove_rule(spec.clone()).map(drop));
    assert_eq!(rules(), before, "{spec}");
    commit(db, |tx| tx.add_rule(&rule).map(drop));
    assert_eq!(rules(), after, "{spec}");
    commit(db, |tx| tx.remove_rule(&rule).map(drop));
    assert_eq!(rules(), before, "{spec}");
}

fn every_selector_and_action_goes_there_and_back() {
    let db = open_all();
    scene("rule add pref 490 lookup 9\n -6 rule add pref 490 lookup 9");
    let v4 = || Rule::new().priority(500);
    let v6 = || Rule::new().inet6().priority(500);
    let both = |rule: fn(RuleSpec) -> RuleSpec| [rule(v4()), rule(v6())];
    let mut all = vec![
        v4().from("10.0.0.0/8").table(100),
        v4().to("10.0.0.1").table(100),
        v6().from("fd00::/8").table(100),
        v6().to("fd00::1").table(100),
        v4().from("10.0.0.0/8").realms(3, 4),
        v4().realms(0, 4).table(7),
    ];
    let shared: [fn(RuleSpec) -> RuleSpec; 23] = [
        |rule| rule.table(100),
        |rule| rule.table(1000),
        |rule| rule.iif("v0").table(100),
        |rule| rule.oif("nosuch0").table(100),
        |rule| rule.fwmark(1, u32::MAX).table(100),
        |rule| rule.fwmark(0x10, 0xff).table(100),
        |rule| rule.fwmark(0, 0xff).table(100),
        |rule| rule.tos(0x10).table(100),
        |rule| rule.not(true).fwmark(1, 1).table(100),
        |rule| rule.ip_proto(17).table(100),
        |rule| rule.ip_proto(6).sport(1..=65534).table(100),
        |rule| rule.ip_proto(6).dport(80..=80).table(100),
        |rule| rule.uidrange(0..=0).table(100),
        |rule| rule.tun_id(1 << 40).table(100),
        |rule| rule.suppress_prefixlength(0).table(100),
        |rule| rule.suppress_ifgroup(7).table(100),
        |rule| rule.protocol(RouteProtocol::BIRD).table(100),
        |rule| rule.goto(32766),
        |rule| rule.goto(777),
        RuleSpec::nop,
        RuleSpec::blackhole,
        RuleSpec::unreachable,
        RuleSpec::prohibit,
    ];
    all.extend(shared.into_iter().flat_map(both));
    all.into_iter().for_each(|spec| there_and_back(&db, spec));
}

/// Linux 6.14 knows code points and flow labels.
fn selectors_of_newer_kernels() {
    let db = open_all();
    for spec in [
        Rule::new().priority(500).dscp(10).table(100),
        Rule::new().inet6().priority(500).dscp(63).table(100),
    ] {
        let mut tx = db.begin();
        tx.add_rule(spec.clone()).expect("a rule");
        // A kernel that does not know it makes a rule without it, or refuses it: rolled back.
        if let Err(error) = tx.commit() {
            assert!(error.is_rolled_back(), "{error}");
            skip(format!("this kernel has no code points in rules: {error}"));
        }
        commit(&db, |tx| tx.remove_rule(spec.clone()).map(drop));
        there_and_back(&db, spec);
    }
}

/// The ancestor had one record for both, and deleted the first when the second was to go.
fn rules_that_differ_only_in_dst_are_two() {
    let db = open_all();
    let rule = |to: &str| Rule::new().priority(500).from("10.0.0.0/8").to(to).table(100);
    add(&db, &[rule("10.1.0.0/16"), rule("10.2.0.0/16"), rule("10.2.0.0/17")]);
    commit(&db, |tx| tx.remove_rule(rule("10.2.0.0/16")).map(drop));
    assert_eq!(
        v4(&db.snapshot(), 500),
        [
            "500: from 10.0.0.0/8 to 10.1.0.0/16 lookup 100 proto static",
            "500: from 10.0.0.0/8 to 10.2.0.0/17 lookup 100 proto static",
        ]
    );
    assert_eq!(ip_rules("", 500).len(), 2);
}

/// Hears of rules, in the kernel's order.
struct Ear(Socket);

impl Ear {
    fn new() -> Ear {
        let (v4, v6) = (8, 19);
        let options = Options { groups: vec![v4, v6], ..Options::default() };
        Ear(Socket::open(&options).expect("a socket"))
    }

    fn heard(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut batch = Batch::with_slots(16, 64 * 1024);
        while sys::wait([self.0.as_fd()], Some(Duration::ZERO)).expect("poll") == [true] {
            assert_ne!(self.0.receive(&mut batch).expect("recvmmsg"), Received::Overrun);
            for datagram in batch.iter() {
                let Datagram::Data(bytes) = datagram else { panic!("{datagram:?}") };
                for message in Messages::new(bytes) {
                    let message = message.expect("a message");
                    let rule = Rule::of(Record::decode(&RULE, message.payload).expect("a rule"));
                    let sign = if message.kind == kind::RTM_DELRULE { '-' } else { '+' };
                    all.push(format!("{sign} {}", rule.to_string().replace('\t', " ")));
                }
            }
        }
        all
    }
}

fn the_new_rule_comes_before_the_old_one_goes() {
    let db = open_all();
    for base in [Rule::new().from("10.0.0.0/8"), Rule::new().from("fd00::/8")] {
        add(&db, &[base.clone().priority(500).table(100)]);
        let ear = Ear::new();
        let which = || base.clone().priority(500);
        commit(&db, |tx| tx.change_rule(which(), |rule| rule.table(200)).map(drop));
        let heard = ear.heard();
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].starts_with('+') && heard[0].contains("lookup 200"), "{heard:?}");
        assert!(heard[1].starts_with('-') && heard[1].contains("lookup 100"), "{heard:?}");
        commit(&db, |tx| tx.change_rule(which(), |rule| rule.priority(400)).map(drop));
        let heard = ear.heard();
        assert!(heard[0].starts_with("+ 400:") && heard[1].starts_with("- 500:"), "{heard:?}");
        commit(&db, |tx| tx.remove_rule(base.clone().priority(400)).map(drop));
    }
}

/// K37: `NLM_F_EXCL` compares less than all in one direction.
fn a_rule_is_changed_to_what_the_kernel_refuses_beside_it() {
    let db = open_all();
    let whole = whole();
    let base = || Rule::new().priority(500).table(100);
    type Case = (RuleSpec, fn(RuleSpec) -> RuleSpec);
    let cases: [Case; 5] = [
        (base().from("10.0.0.0/8"), |_| Rule::new().priority(500).table(100)),
        (base().to("10.0.0.0/8"), |_| Rule::new().priority(500).table(100)),
        (base().tos(0x10), |rule| rule.tos(0)),
        (base(), |rule| rule.not(true)),
        (Rule::new().priority(500).goto(600), |rule| rule.goto(700)),
    ];
    for (first, change) in cases {
        add(&db, std::slice::from_ref(&first));
        let ear = Ear::new();
        commit(&db, |tx| tx.change_rule(first.clone(), change).map(drop));
        let heard = ear.heard();
        assert!(heard.len() == 2 && heard[0].starts_with('+'), "{first}: {heard:?}");
        let now = db.snapshot();
        let rule = now.rules().at(500)[0];
        assert_eq!(now.rules().at(500).len(), 1);
        let wish = change((&RuleSpecOf(&first).rule()).into());
        assert_eq!(rule.line(&now).replace(" [unresolved]", ""), wish.to_string());
        commit(&db, |tx| tx.remove_rule(rule).map(drop));
        // Both beside each other, one transaction and two.
        add(&db, &[base().from("10.0.0.0/8"), base()]);
        assert_eq!(db.snapshot().rules().at(500).len(), 2);
        commit(&db, |tx| {
            tx.remove_rule(base().from("10.0.0.0/8"))?;
            tx.remove_rule(base().from("all").to("all")).map(drop)
        });
        whole.again(&db);
    }
}

/// What a rule would be that is there.
struct RuleSpecOf<'a>(&'a RuleSpec);

impl RuleSpecOf<'_> {
    fn rule(&self) -> Rule {
        Rule::of(self.0.record())
    }
}

/// K37: a deletion takes the first rule that has what it says. `from all lookup 100` fits every rule before it.
fn a_rule_that_fits_more_is_removed_and_no_other() {
    let db = open_all();
    let narrow = |net: &str| Rule::new().priority(500).from(net).table(100);
    let wide = || Rule::new().priority(500).table(100);
    let all = [narrow("10.0.0.0/8"), narrow("11.0.0.0/8"), wide(), narrow("12.0.0.0/8")];
    add(&db, &all);
    let whole = whole();
    let rules = db.snapshot();
    let rule = rules.rules().at(500)[2].clone();
    // The trap is there: iproute2 falls into it.
    ip(&["rule", "del", "pref", "500", "lookup", "100"]);
    assert!(!ip_rules("", 500).iter().any(|line| line.contains("10.0.0.0")));
    scene("rule flush\n rule add pref 32766 lookup main\n rule add pref 32767 lookup default");
    db.sync().expect("a snapshot");
    commit(&db, |tx| {
        for old in db.snapshot().rules().family(Family::Inet).iter() {
            if old.priority() >= 32766 {
                tx.change_rule(old, |rule| rule.protocol(RouteProtocol::KERNEL))?;
            }
        }
        Ok(())
    });
    add(&db, &all);
    whole.again(&db);
    let ear = Ear::new();
    let mut left = db.snapshot().rules().at(500).len();
    commit(&db, |tx| tx.remove_rule(&rule).map(drop));
    let ways = |now: &netlinkdb::Snapshot| -> Vec<String> {
        now.rules()
            .at(500)
            .iter()
            .map(|rule| rule.from().map_or("all".into(), |net| net.to_string()))
            .collect()
    };
    assert_eq!(ways(&db.snapshot()), ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"]);
    // There was no moment without any of the others.
    for heard in ear.heard() {
        left = if heard.starts_with('+') { left + 1 } else { left - 1 };
        assert!(left >= 3, "{heard}");
    }
    // Back, and a removal that is rolled back.
    commit(&db, |tx| tx.remove_rule(narrow("12.0.0.0/8")).map(drop));
    add(&db, &all[2..]);
    whole.again(&db);
    for gone in [vec![2], vec![0, 2], vec![2, 3], vec![0, 1, 2, 3]] {
        let mut tx = db.begin();
        let now = db.snapshot();
        let rules = now.rules().at(500);
        for at in gone {
            tx.remove_rule(rules[at]).expect("a rule");
        }
        tx.on_commit(|_, _| Err("no"));
        rolled_back(tx.commit());
        whole.again(&db);
    }
}

fn a_rolled_back_change_leaves_the_order() {
    let db = open_all();
    let rule = |net: &str| Rule::new().priority(500).from(net).table(100);
    add(&db, &[rule("10.0.0.0/8"), rule("11.0.0.0/8"), rule("12.0.0.0/8")]);
    scene("rule add pref 500 from 13.0.0.0/8 lookup 7");
    db.sync().expect("a snapshot");
    let whole = whole();
    for at in ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"] {
        let mut tx = db.begin();
        tx.change_rule(rule(at), |rule| rule.table(200)).expect("a rule");
        tx.on_commit(|_, _| Err("no"));
        assert!(rolled_back(tx.commit()).is_hook());
        whole.again(&db);
        let mut tx = db.begin();
        tx.remove_rule(rule(at)).expect("a rule");
        tx.add_rule(rule("14.0.0.0/8")).expect("a rule");
        tx.on_commit(|_, _| Err("no"));
        rolled_back(tx.commit());
        whole.again(&db);
    }
}

/// `ip rule add pref 500 from 10.0.0.0/8 lookup 100` without `NLM_F_EXCL`.
fn duplicate() {
    let rule = Rule::new().priority(500).from("10.0.0.0/8").table(100);
    let record = Rule::of(rule.record());
    let mut message = netlinkdb::internals::wire::Builder::new(
        kind::RTM_NEWRULE,
        netlinkdb::internals::wire::flags::REQUEST
            | netlinkdb::internals::wire::flags::ACK
            | netlinkdb::internals::wire::flags::CREATE,
    )
    .fixed(&record.record().encode_header());
    record.record().encode(&mut message);
    let socket = Socket::open(&Options::default()).expect("a socket");
    socket.send(&message.finish()).expect("a request");
    let answer = crate::support::namespaces::receive_one(&socket);
    assert_eq!(crate::support::request::acknowledged(&answer), Some(0));
}

fn duplicates_of_others_are_removed_and_come_back() {
    let db = open_all();
    let rule = || Rule::new().priority(500).from("10.0.0.0/8").table(100);
    add(&db, &[rule()]);
    duplicate();
    add(&db, &[Rule::new().priority(500).table(7)]);
    duplicate();
    db.sync().expect("a snapshot");
    let whole = whole();
    assert_eq!(db.snapshot().rules().at(500).len(), 4);
    // It is there: not added once more.
    assert!(db.begin().add_rule(rule()).unwrap_err().is_exists());
    for change in [true, false] {
        let mut tx = db.begin();
        match change {
            true => tx.change_rule(rule(), |rule| rule.table(200)).map(drop),
            false => tx.remove_rule(rule()).map(drop),
        }
        .expect("an edit");
        tx.on_commit(|_, _| Err("no"));
        rolled_back(tx.commit());
        whole.again(&db);
    }
    commit(&db, |tx| tx.remove_rule(rule()).map(drop));
    assert_eq!(v4(&db.snapshot(), 500), ["500: from all lookup 7 proto static"]);
}

fn without_a_priority_it_gets_the_kernels() {
    let db = open_all();
    add(&db, &[Rule::new().table(100)]);
    assert_eq!(v4(&db.snapshot(), 32765).len(), 1);
    // As the kernel would: iproute2 lets it choose.
    ip(&["rule", "add", "lookup", "101"]);
    db.sync().expect("a snapshot");
    add(&db, &[Rule::new().table(102), Rule::new().table(103)]);
    assert_eq!(v4(&db.snapshot(), 32764), ["32764: from all lookup 101"]);
    assert_eq!(v4(&db.snapshot(), 32763).len() + v4(&db.snapshot(), 32762).len(), 2);
    add(&db, &[Rule::new().inet6().table(100)]);
    assert_eq!(ip_rules("-6", 32765).len(), 1);
}

/// The kernel leaves a priority of 0 out of what it says, and takes a request without one for "any".
fn a_rule_of_priority_0() {
    let db = open_all();
    let whole = whole();
    for family in [Rule::new(), Rule::new().inet6()] {
        let rule = family.clone().priority(0).table(100);
        add(&db, std::slice::from_ref(&rule));
        assert_eq!(db.snapshot().rules().at(0).len(), 3);
        commit(&db, |tx| tx.change_rule(rule.clone(), |rule| rule.table(200)).map(drop));
        let found = db.snapshot();
        let found = found.rules().find(&family.clone().priority(0).table(200)).expect("a rule");
        commit(&db, |tx| tx.remove_rule(found).map(drop));
        whole.again(&db);
    }
    // The rule of the local table too: away, and back.
    let local = db.snapshot().rules().at(0)[0].clone();
    let mut tx = db.begin();
    tx.remove_rule(&local).expect("a rule");
    tx.on_commit(|now, _| match now.rules().family(Family::Inet).at(0).len() {
        0 => Err("no"),
        _ => Ok(()),
    });
    assert!(rolled_back(tx.commit()).is_hook());
    whole.again(&db);
}

/// The ancestor's global commit forgot the rules.
fn a_rule_commits_and_rolls_back_with_an_interface() {
    let db = open_all();
    let whole = whole();
    let edit = |tx: &mut netlinkdb::Transaction| {
        let br0 = tx.create(Bridge::new("br0"))?;
        tx.interface(&br0).add_ip("10.0.0.1/24")?.up();
        tx.add_route(Route::to("default").via("10.0.0.2").table(100))?;
        tx.add_rule(Rule::new().priority(500).iif("br0").table(100)).map(drop)
    };
    let mut tx = db.begin();
    edit(&mut tx).expect("edits");
    tx.on_commit(|now, _| match now.rules().at(500).len() {
        1 => Err("seen"),
        _ => Ok(()),
    });
    assert!(rolled_back(tx.commit()).is_hook());
    whole.again(&db);
    // Refused by the kernel, after the interface was made: a table of addresses has no tos 3.
    let mut tx = db.begin();
    edit(&mut tx).expect("edits");
    tx.add_rule(Rule::new().priority(501).tos(3).table(100)).expect("a rule");
    let error = rolled_back(tx.commit());
    assert!(error.to_string().contains("rule add"), "{error}");
    whole.again(&db);
    commit(&db, edit);
    assert_eq!(v4(&db.snapshot(), 500), ["500: from all iif br0 lookup 100 proto static"]);
    commit(&db, |tx| {
        tx.remove("br0")?;
        tx.remove_rule(Rule::new().priority(500)).map(drop)
    });
    whole.again(&db);
}

/// The new table is filled before the rule leads there, and the old one emptied after.
fn a_table_moves_with_its_rule() {
    let db = open_all();
    scene("link set lo up");
    db.sync().expect("a snapshot");
    commit(&db, |tx| {
        tx.add_route(Route::to("10.0.0.0/8").blackhole().table(100))?;
        tx.add_rule(Rule::new().priority(500).table(100)).map(drop)
    });
    let whole = whole();
    let edit = |tx: &mut netlinkdb::Transaction| {
        tx.remove_route(Route::to("10.0.0.0/8").table(100))?;
        tx.change_rule(Rule::new().priority(500), |rule| rule.table(200))?;
        tx.add_route(Route::to("10.0.0.0/8").blackhole().table(200)).map(drop)
    };
    let mut tx = db.begin();
    edit(&mut tx).expect("edits");
    let review: Vec<_> = tx.review().commands().to_vec();
    let at = |words: &str| {
        let found = review.iter().position(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("{words} is not in {review:?}"))
    };
    assert!(at("route add") < at("rule add"), "{review:?}");
    assert!(at("rule add") < at("rule del") && at("rule del") < at("route del"), "{review:?}");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    whole.again(&db);
    commit(&db, edit);
    let tables: Vec<_> = db.snapshot().rules().at(500).iter().map(|rule| rule.table()).collect();
    assert_eq!(tables, [200]);
}

fn what_another_program_did_meanwhile() {
    let db = open_all();
    let rule = || Rule::new().priority(500).from("10.0.0.0/8").table(100);
    let del = "rule del pref 500 from 10.0.0.0/8 lookup 100";
    // Removed by both: moot.
    add(&db, &[rule()]);
    let mut tx = db.begin();
    tx.remove_rule(rule()).expect("a rule");
    scene(del);
    tx.commit().expect("nothing is left to do");
    // Changed here, removed there: a conflict that says so.
    add(&db, &[rule()]);
    let mut tx = db.begin();
    tx.change_rule(rule(), |rule| rule.table(200)).expect("a rule");
    scene(del);
    let error = refused(tx.commit());
    assert!(error.is_conflict(), "{error}");
    assert!(error.to_string().contains("from 10.0.0.0/8 lookup 100"), "{error}");
    assert!(db.sync().unwrap().rules().at(500).is_empty());
    // Changed here and there.
    add(&db, &[rule()]);
    let mut tx = db.begin();
    tx.change_rule(rule(), |rule| rule.table(200)).expect("a rule");
    scene(&format!("{del}\n rule add pref 500 from 10.0.0.0/8 lookup 300"));
    assert!(refused(tx.commit()).is_conflict());
    assert_eq!(v4(&db.sync().unwrap(), 500), ["500: from 10.0.0.0/8 lookup 300"]);
    // Added by both, the same: moot where the protocol is the same too.
    let mut tx = db.begin();
    tx.add_rule(Rule::new().priority(600).table(7)).expect("a rule");
    scene("rule add pref 600 lookup 7 proto static");
    tx.commit().expect("it is so");
    assert_eq!(db.sync().unwrap().rules().at(600).len(), 1);
    knows(&db);
    // A rule of another program at the same priority is no conflict.
    let mut tx = db.begin();
    tx.add_rule(Rule::new().priority(600).table(8)).expect("a rule");
    scene("rule add pref 600 lookup 9");
    tx.commit().expect("both");
    assert_eq!(db.sync().unwrap().rules().at(600).len(), 3);
    knows(&db);
}

/// No word of this crate makes one; what `ip` calls `nat` the kernel refuses or does not know.
fn nat_is_refused_by_the_kernel() {
    let made = try_ip(&["rule", "add", "pref", "500", "from", "10.0.0.1", "nat", "10.0.0.2"]);
    let db = open_all();
    assert_eq!(db.snapshot().rules().at(500).len(), usize::from(made.status.success()));
    knows(&db);
}

fn what_several_rules_fit_is_refused() {
    let db = open_all();
    let rule = |net: &str| Rule::new().priority(500).from(net).table(100);
    add(&db, &[rule("10.0.0.0/8"), rule("11.0.0.0/8")]);
    let error = db.begin().remove_rule(Rule::new().priority(500)).unwrap_err();
    let text = error.to_string();
    assert!(error.is_refused() && text.contains("from 10.0.0.0/8"), "{text}");
    assert!(text.contains("from 11.0.0.0/8") && text.contains("say more"), "{text}");
    assert!(db.rule(Rule::new().priority(500)).is_err());
    let error =
        db.begin().change_rule(Rule::new().priority(500), |rule| rule.table(7)).unwrap_err();
    assert!(error.to_string().contains("say more"));
    let error = db.begin().remove_rule(Rule::new().priority(501)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    knows(&db);
}

/// What a rule does not say is what it does not have: `from all` is no word for `iif v0`.
fn a_rule_by_itself_means_no_other() {
    let db = open_all();
    let wide = || Rule::new().priority(500).table(100);
    add(&db, &[wide().iif("v0"), wide(), wide().fwmark(1, 1)]);
    let now = db.snapshot();
    let rule = now.rules().find(&wide()).expect("a rule");
    assert!(db.begin().remove_rule(wide()).unwrap_err().to_string().contains("say more"));
    let handle = db.rule(rule).expect("a handle");
    assert_eq!(handle.rule().unwrap().line(&now), rule.line(&now));
    commit(&db, |tx| tx.remove_rule(rule).map(drop));
    let left = v4(&db.snapshot(), 500);
    assert!(
        left.len() == 2 && left[0].contains("iif v0") && left[1].contains("fwmark"),
        "{left:?}"
    );
}

fn l3mdev_is_for_a_vrf() {
    let db = open_all();
    let mut tx = db.begin();
    tx.add_rule(Rule::new().priority(500).l3mdev()).expect("a rule");
    if let Err(error) = tx.commit() {
        assert!(error.is_rolled_back(), "{error}");
        knows(&db);
        skip(format!("this kernel has no l3mdev: {error}"));
    }
    commit(&db, |tx| tx.remove_rule(Rule::new().priority(500)).map(drop));
    there_and_back(&db, Rule::new().priority(500).l3mdev());
    there_and_back(&db, Rule::new().inet6().priority(500).l3mdev());
}

fn a_handle_follows_its_rule() {
    let db = open_all();
    add(&db, &[Rule::new().priority(500).from("10.0.0.0/8").table(100)]);
    let rule = db.rule(Rule::new().priority(500)).expect("a handle");
    let other = rule.clone();
    // Rolled back: the old one.
    let mut tx = rule.change(|rule| rule.table(200)).expect("a change");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    assert_eq!(rule.rule().unwrap().table(), 100);
    // Dropped: the old one.
    drop(rule.change(|rule| rule.table(200)).expect("a change"));
    assert_eq!(rule.rule().unwrap().table(), 100);
    rule.change(|rule| rule.table(200).priority(400))
        .expect("a change")
        .commit()
        .expect("a commit");
    assert_eq!(rule.rule().unwrap().table(), 200);
    assert_eq!(other.rule().unwrap().priority(), 400);
    // With others, in one transaction.
    let mut tx = rule.begin();
    tx.interface("lo").up();
    tx.change_rule(&rule, |rule| rule.not(true)).expect("a change");
    tx.commit().expect("a commit");
    assert!(rule.rule().unwrap().is_inverted());
    rule.with(|rule| rule.not(false).fwmark(7, 7)).expect("a commit");
    assert_eq!(rule.rule().unwrap().fwmark(), Some(7));
    assert_eq!(rule.to_string(), "400:\tfrom 10.0.0.0/8 fwmark 0x7/0x7 lookup 200 proto static");
    rule.remove().expect("a removal").commit().expect("a commit");
    assert!(rule.is_stale() && other.is_stale());
    knows(&db);
}

fn a_handle_whose_rule_is_gone_says_so() {
    let db = open_all();
    add(&db, &[Rule::new().priority(500).from("10.0.0.0/8").table(100)]);
    let rule = db.rule(Rule::new().priority(500)).expect("a handle");
    scene(
        "rule del pref 500 from 10.0.0.0/8\n rule add pref 500 from 11.0.0.0/8 lookup 100 proto static",
    );
    db.sync().expect("a snapshot");
    for error in [
        rule.rule().map(drop).unwrap_err(),
        rule.change(|rule| rule).map(drop).unwrap_err(),
        rule.remove().map(drop).unwrap_err(),
        db.begin().remove_rule(&rule).map(drop).unwrap_err(),
    ] {
        assert!(error.is_stale(), "{error}");
        assert!(error.to_string().contains("from 10.0.0.0/8"), "{error}");
    }
    assert!(rule.to_string().ends_with("(gone)"));
    assert_eq!(v4(&db.snapshot(), 500).len(), 1);
    let explicit = Db::builder().explicit().open().expect("a database");
    let rule = explicit.rule(Rule::new().priority(500)).expect("a handle");
    assert!(refused(rule.remove().expect("a removal").commit()).to_string().contains("explicit"));
    rule.with(|rule| rule.table(7)).expect("an explicit transaction");
}

/// IPDB: `test_routes_set_priority`.
fn a_route_handle_follows_its_priority() {
    let db = open_all();
    two_links();
    db.sync().expect("a snapshot");
    for (net, via, other) in
        [("172.16.0.0/16", "10.0.0.2", "10.0.0.3"), ("fd16::/64", "fd00::2", "fd00::3")]
    {
        commit(&db, |tx| tx.add_route(Route::to(net).via(via).priority(100)).map(drop));
        let route = db.route(Route::to(net)).expect("a handle");
        let mut tx = route.change(|route| route.priority(200)).expect("a change");
        tx.on_commit(|_, _| Err("no"));
        rolled_back(tx.commit());
        assert_eq!(route.route().unwrap().priority(), 100);
        route.with(|route| route.priority(200)).expect("a commit");
        assert_eq!(route.route().unwrap().priority(), 200);
        route.with(|route| route.table(100)).expect("a commit");
        assert_eq!(route.route().unwrap().table(), 100);
        // Another program gives it another way: it is the route that stands there.
        ip(&["route", "replace", net, "via", other, "metric", "200", "table", "100"]);
        db.sync().expect("a snapshot");
        assert_eq!(route.route().unwrap().gateway().unwrap().to_string(), other);
        route.remove().expect("a removal").commit().expect("a commit");
        assert!(route.is_stale());
        assert!(route.route().unwrap_err().is_stale());
        knows(&db);
    }
}

fn rules_without_number() {
    let db = open_all();
    let whole = whole();
    let all = |range: std::ops::Range<u32>| {
        range.map(|at| Rule::new().priority(500).fwmark(at, u32::MAX).table(7))
    };
    commit(&db, |tx| all(1..500).try_for_each(|rule| tx.add_rule(rule).map(drop)));
    assert_eq!(db.snapshot().rules().at(500).len(), 499);
    let mut tx = db.begin();
    all(1..500).try_for_each(|rule| tx.remove_rule(rule).map(drop)).expect("rules");
    tx.on_commit(|_, _| Err("no"));
    rolled_back(tx.commit());
    assert_eq!(db.snapshot().rules().at(500).len(), 499);
    knows(&db);
    commit(&db, |tx| all(1..500).try_for_each(|rule| tx.remove_rule(rule).map(drop)));
    whole.again(&db);
}
