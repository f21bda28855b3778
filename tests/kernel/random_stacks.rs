//! Random stacks of every kind that this kernel has, from a seed: built, changed, removed, each in a transaction in which
//! some step is refused.
//!
//! - P1: after every transaction the snapshot is what a new database reads.
//! - P2: what is rolled back has left nothing behind and taken nothing along; what is committed has the interfaces, and the
//!   masters, that it named. None is torn.
//! - P3: what is refused has sent nothing.
//!
//! `NETLINKDB_SEEDS=n` plays so many seeds, `NETLINKDB_SEEDS=m..n` those, `NETLINKDB_SEED=x` that one alone, and tells what it does.

use crate::support::kind_available;
use crate::support::namespaces::elsewhere;
use crate::tunnels::may_open_tun;
use crate::witness::{self, commit_refused_at, is_as_before, is_the_kernel};
use netlinkdb::{
    Bareudp, Bond, BondMode, BondOptions, BondPortOptions, Bridge, BridgeOptions,
    BridgePortOptions, CommitError, Db, Dummy, Ending, Erspan, Geneve, Gre, Gretap,
    HardwareAddress, Hsr, Ifb, Ip6gre, Ip6gretap, Ip6tnl, Ipip, Ipvlan, IpvlanMode, IpvlanOptions,
    Link, LinkType, Macsec, Macvlan, MacvlanMode, MacvlanOptions, Netkit, NewLink, Nlmon, Result,
    Route, RouteProtocol, Rule, Sit, Snapshot, Team, Transaction, Tun, Veth, Vlan, VlanOptions,
    Vrf, Vti, Vti6, Vxlan, VxlanOptions, Wireguard, Xfrm,
};
use rng::Rng;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[allow(dead_code, clippy::host_endian_bytes)] // Other tests take other parts of it.
#[path = "../support/sim/rng.rs"]
mod rng;

crate::cases![
    a_refused_step_leaves_nothing_behind,
    a_refused_step_of_rarer_kinds_leaves_nothing_behind,
];

/// Seeds that are played unless something else is said.
const SEEDS: u64 = 20;

/// So many seeds that fail are enough to look at.
const ENOUGH: usize = 12;

/// Names that interfaces are given; few, so that they come again.
const NAMES: usize = 12;

/// Kinds that are made, with how often. The seeds are of this list: what comes new goes into the other one.
const KINDS: &[&str] = &[
    "veth",
    "veth",
    "ifb",
    "dummy",
    "dummy",
    "bridge",
    "bridge",
    "bond",
    "vrf",
    "team",
    "vlan",
    "vlan",
    "macvlan",
    "macvlan",
    "macvtap",
    "ipvlan",
    "vxlan",
    "macsec",
    "gre",
    "ipip",
    "geneve",
    "xfrm",
    "nlmon",
    "wireguard",
];

/// Rarer ones, among some to stand on and to be ports of.
const RARER: &[&str] = &[
    "veth",
    "dummy",
    "dummy",
    "bridge",
    "bond",
    "vrf",
    "team",
    "vlan",
    "macvlan",
    "ipvtap",
    "sit",
    "vti",
    "vti6",
    "ip6tnl",
    "gretap",
    "erspan",
    "ip6gre",
    "ip6gretap",
    "tun",
    "tap",
    "bareudp",
    "hsr",
    "hsr",
    "netkit",
    "netkit",
];

fn a_refused_step_leaves_nothing_behind() {
    play_all(KINDS);
}

fn a_refused_step_of_rarer_kinds_leaves_nothing_behind() {
    play_all(RARER);
}

fn play_all(kinds: &[&'static str]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    // Both are `tun` to `ip link`, which makes neither.
    let is_there = |kind: &&str| match *kind {
        "tun" | "tap" => may_open_tun(),
        kind => kind_available(kind),
    };
    let (kinds, mut lacks): (Vec<_>, Vec<_>) = kinds.iter().copied().partition(is_there);
    lacks.dedup();
    println!("without {lacks:?}, which this kernel lacks");
    let mut seen = Seen::default();
    if let Some(seed) = number("NETLINKDB_SEED") {
        play(seed, &kinds, &mut seen);
        println!("{seen:?}");
        return;
    }
    let range = seeds();
    let seeds = range.end - range.start;
    let mut failed = Vec::new();
    for seed in range {
        // Each in a namespace of its own: one that fails may leave its own full.
        let played = catch_unwind(AssertUnwindSafe(|| elsewhere(|| play(seed, &kinds, &mut seen))));
        failed.extend(played.is_err().then_some(seed));
        assert!(failed.len() < ENOUGH, "seeds {failed:?} fail");
    }
    assert!(failed.is_empty(), "seeds {failed:?} fail");
    println!("{seeds} seeds: {seen:?}");
    // A judge before whom nothing is brought proves nothing.
    if seeds >= SEEDS {
        let least = |what: &str| seen.0.get(what).copied().unwrap_or(0) * 8 >= seeds;
        assert!(
            ["committed", "rolled back", "refused lot"].iter().all(|what| least(what)),
            "{seen:?}"
        );
    }
}

/// `n` are so many from 0 on, `m..n` are those from `m` on.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("NETLINKDB_SEEDS") else { return 0..SEEDS };
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("NETLINKDB_SEEDS={text}"));
    number(first)..number(end)
}

fn play(seed: u64, kinds: &[&'static str], seen: &mut Seen) {
    witness::quiet();
    let db = Db::open().expect("a database");
    Game::new(seed, &db, kinds).play(seen);
}

/// How often what has happened.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// What has been done, for the one who reads of a failure.
struct Story {
    seed: u64,
    lines: Vec<String>,
    aloud: bool,
}

impl Story {
    fn tell(&mut self, line: impl std::fmt::Display) {
        if self.aloud {
            println!("{line}");
        }
        self.lines.push(line.to_string());
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.aloud {
            eprintln!("NETLINKDB_SEED={} fails:\n{}", self.seed, self.lines.join("\n"));
        }
    }
}

/// What is to refuse a transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Every request of the lot after so many answers.
    Lot(u32),
    /// Something in it that the kernel refuses.
    Poison(usize),
    /// A hook, at its end.
    Hook,
}

/// One seed.
struct Game<'a> {
    story: Story,
    rng: Rng,
    db: &'a Db,
    kinds: &'a [&'static str],
    /// Whether something could not be brought back, as nobody could.
    torn: bool,
}

/// What a transaction will have made of the interfaces: name, kind, and the master where it named one.
#[derive(Clone, Default)]
struct Wanted {
    kinds: BTreeMap<String, String>,
    masters: BTreeMap<String, Option<String>>,
    /// New and with their own names of before: what was named in this transaction by another name.
    renamed: Vec<String>,
}

impl<'a> Game<'a> {
    fn new(seed: u64, db: &'a Db, kinds: &'a [&'static str]) -> Game<'a> {
        let aloud = std::env::var_os("NETLINKDB_SEED").is_some();
        let story = Story { seed, lines: Vec::new(), aloud };
        Game {
            story,
            rng: Rng::new(seed.wrapping_mul(0x9e37).wrapping_add(11)),
            db,
            kinds,
            torn: false,
        }
    }

    fn play(mut self, seen: &mut Seen) {
        let nothing = is_the_kernel(self.db);
        self.round(seen, "build", |game, tx, wanted| game.build(tx, wanted));
        for _ in 0..1 + self.rng.below(3) {
            self.round(seen, "change", |game, tx, wanted| game.change(tx, wanted));
        }
        self.round(seen, "remove", |game, tx, wanted| game.remove(tx, wanted));
        self.round(seen, "remove all", |_, tx, wanted| remove_all(tx, wanted));
        if !self.torn {
            is_as_before(&nothing);
        }
        self.story.lines.clear();
    }

    fn below(&mut self, below: usize) -> usize {
        self.rng.below(below)
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.rng.below(all.len())].clone())
    }

    /// One transaction: first with something that refuses it, then without.
    fn round(
        &mut self,
        seen: &mut Seen,
        title: &str,
        fill: impl Fn(&mut Game<'_>, &mut Transaction, &mut Wanted),
    ) {
        let was = is_the_kernel(self.db);
        if self.torn {
            return;
        }
        let mut tx = self.db.begin();
        let mut wanted = Wanted::default();
        for link in was.links() {
            wanted.kinds.insert(link.name().to_owned(), link.kind().unwrap_or("").to_owned());
        }
        self.story.tell(format_args!("{title}:"));
        fill(self, &mut tx, &mut wanted);
        let fault = match self.below(4) {
            0 => Fault::Poison(self.below(5)),
            1 => Fault::Hook,
            _ => Fault::Lot(self.below(9) as u32),
        };
        let mut bad = tx.clone();
        self.story.tell(format_args!("with {fault:?}"));
        if let Fault::Poison(which) = fault {
            self.poison(&mut bad, which, &wanted);
        }
        if !matches!(fault, Fault::Lot(_)) {
            bad.on_commit(|_, _| Err::<(), _>("the last step"));
        }
        let ended = self.commit(seen, bad, fault, &was, &wanted);
        if ended || self.torn {
            return;
        }
        self.story.tell("without");
        self.commit(seen, tx, Fault::Hook, &was, &wanted);
    }

    /// Whether it holds.
    fn commit(
        &mut self,
        seen: &mut Seen,
        tx: Transaction,
        fault: Fault,
        was: &Snapshot,
        wanted: &Wanted,
    ) -> bool {
        let mut tx = tx;
        let sent = Arc::new(AtomicU32::new(0));
        let ended = match fault {
            Fault::Lot(lot) => commit_refused_at(self.db, tx, Some(lot)),
            _ => {
                let sent = sent.clone();
                tx.on_progress(move |progress| {
                    sent.fetch_add(progress.done as u32, Ordering::Relaxed);
                });
                tx.commit()
            }
        };
        let ended = ended.map(drop).map_err(|error| self.failed(seen, fault, &error, &sent, was));
        if ended.is_err() && !self.torn {
            is_as_before(was);
        }
        let now = is_the_kernel(self.db);
        if ended.is_ok() {
            seen.note("committed");
            self.story.tell("  committed");
            is_wanted(&now, wanted);
        }
        ended.is_ok()
    }

    fn failed(
        &mut self,
        seen: &mut Seen,
        fault: Fault,
        error: &CommitError,
        sent: &AtomicU32,
        was: &Snapshot,
    ) {
        self.story.tell(format_args!("  {error}"));
        match error.ending() {
            Ending::Refused => {
                assert_eq!(sent.load(Ordering::Relaxed), 0, "{error}");
                seen.note("refused");
            }
            Ending::RolledBack { .. }
                if matches!(fault, Fault::Lot(_)) && error.is_permission() =>
            {
                seen.note("refused lot")
            }
            Ending::RolledBack { .. } if error.is_hook() => seen.note("refused by a hook"),
            Ending::RolledBack { .. } => seen.note("rolled back"),
            _ => {
                let lost = error.residue().iter().map(|left| &left.what);
                let too_large: Vec<_> =
                    was.links().filter(|link| is_too_large(link, was)).collect();
                let is_of = |what: &str, link: &Link| what.ends_with(&format!("`{}`", link.name()));
                let odd = |link: &&Link| is_small_with_ipv6(link) || is_wide_without_ipv6(link);
                let odd: Vec<_> = was.links().filter(odd).collect();
                let is_inet6 =
                    |what: &str| what.starts_with("inet6_") || what.starts_with("address fd");
                // One that has lost a port is made again by nobody (`hsr_newlink`).
                let broken = was.links().filter(|link| {
                    link.hsr().is_some_and(|hsr| hsr.slave1().is_none() || hsr.slave2().is_none())
                });
                let broken: Vec<_> = broken.map(|link| link.name().to_owned()).collect();
                let broken = uppers(was, &broken);
                // No request changes the label of an address, which the kernel has made anew with the name.
                let known = |what: &String| {
                    what.starts_with("label of address")
                        || too_large.iter().any(|link| is_of(what, link))
                        || broken.iter().any(|name| what.ends_with(&format!("`{name}`")))
                        || is_inet6(what) && odd.iter().any(|link| is_of(what, link))
                };
                assert!(lost.into_iter().all(known), "{error}");
                seen.note("torn");
                self.torn = true;
            }
        }
    }

    fn build(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        for _ in 0..3 + self.below(6) {
            self.create(tx, wanted);
        }
        for _ in 0..4 + self.below(14) {
            self.edit(tx, wanted);
        }
    }

    fn change(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        for _ in 0..1 + self.below(10) {
            match self.below(10) {
                0 => self.create(tx, wanted),
                1 => self.remove_one(tx, wanted),
                _ => self.edit(tx, wanted),
            }
        }
    }

    fn remove(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        for _ in 0..1 + self.below(4) {
            self.remove_one(tx, wanted);
        }
        for _ in 0..self.below(3) {
            self.edit(tx, wanted);
        }
    }

    /// What an edit that is refused would have changed is not changed.
    fn tell(&mut self, words: String, ended: Result<()>) -> bool {
        match &ended {
            Ok(()) => self.story.tell(format_args!("  {words}")),
            Err(error) => {
                assert!(error.is_refused(), "{words}: {error}");
                self.story.tell(format_args!("  ({words}: {error})"));
            }
        }
        ended.is_ok()
    }

    fn name(&mut self, wanted: &Wanted) -> Option<String> {
        let all: Vec<_> = wanted.kinds.keys().filter(|name| *name != "lo").cloned().collect();
        self.pick(&all)
    }

    fn name_of(&mut self, wanted: &Wanted, kinds: &[&str]) -> Option<String> {
        let fits = |kind: &String| kinds.contains(&&**kind);
        let all: Vec<_> = wanted
            .kinds
            .iter()
            .filter(|(_, kind)| fits(kind))
            .map(|(name, _)| name.clone())
            .collect();
        self.pick(&all)
    }

    fn free_name(&mut self, wanted: &Wanted) -> Option<String> {
        let free: Vec<_> = (0..NAMES)
            .map(|n| format!("s{n}"))
            .filter(|name| !wanted.kinds.contains_key(name) && !wanted.renamed.contains(name))
            .collect();
        self.pick(&free)
    }

    fn create(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        let (Some(kind), Some(name)) = (self.pick(self.kinds), self.free_name(wanted)) else {
            return;
        };
        let lower = self.name(wanted);
        let n = self.below(6) as u32 + 1;
        let second = match kind {
            "hsr" => self.name(wanted),
            _ => None,
        };
        let lowers = [lower.as_deref(), second.as_deref()];
        let Some(new) = self.new_link(kind, &name, lowers, n) else { return };
        let ended = tx.create(new).map(drop);
        let words = format!("create {name} type {kind} {n} on {lower:?}");
        if self.tell(words, ended) {
            let kind = if kind == "tap" { "tun" } else { kind };
            wanted.kinds.insert(name.clone(), kind.to_owned());
            if matches!(kind, "veth" | "netkit") {
                wanted.kinds.insert(format!("{name}p"), kind.to_owned());
            }
        }
    }

    fn new_link(
        &mut self,
        kind: &str,
        name: &str,
        [lower, second]: [Option<&str>; 2],
        n: u32,
    ) -> Option<NewLink> {
        let there = Ipv4Addr::new(10, 99, 0, n as u8);
        let (here6, there6) = ("fd99::1:1", format!("fd99::{n}"));
        let here = Ipv4Addr::new(10, 99, 1, 1);
        let on = |lower: Option<&str>| lower.map(str::to_owned);
        Some(match kind {
            "veth" => Veth::new(name, &format!("{name}p")).into(),
            "ifb" => Ifb::new(name).into(),
            "dummy" => Dummy::new(name).into(),
            "bridge" if n > 4 => Bridge::new(name).stp_state(true).mtu(1400).into(),
            "bridge" => Bridge::new(name).into(),
            "bond" => {
                let mode = [BondMode::ACTIVE_BACKUP, BondMode::BALANCE_RR, BondMode::AD];
                Bond::new(name).mode(mode[n as usize % 3]).miimon(100u32).into()
            }
            "vrf" => Vrf::new(name, 10 + n).into(),
            "team" => Team::new(name).into(),
            "vlan" => Vlan::new(name, on(lower)?, n as u16).gvrp(n > 4).into(),
            "macvlan" => Macvlan::new(name, on(lower)?).mode(macvlan_mode(n)).into(),
            "macvtap" => netlinkdb::Macvtap::new(name, on(lower)?).mode(macvlan_mode(n)).into(),
            "ipvlan" => Ipvlan::new(name, on(lower)?).mode(IpvlanMode::L2).into(),
            "vxlan" if n > 3 => Vxlan::new(name, n).port(4789u16).into(),
            "vxlan" => Vxlan::new(name, n).dev(on(lower)?).port(4789u16).into(),
            "macsec" => Macsec::new(name, on(lower)?).into(),
            "gre" => Gre::new(name).local(here).remote(there).key(n).into(),
            "ipip" => Ipip::new(name).local(here).remote(there).into(),
            "geneve" => Geneve::new(name, n).remote(there).into(),
            "ipvtap" => netlinkdb::Ipvtap::new(name, on(lower)?).mode(IpvlanMode::L2).into(),
            "sit" => Sit::new(name).local(here).remote(there).into(),
            "vti" => Vti::new(name).local(here).remote(there).into(),
            "vti6" => Vti6::new(name).local(inet6(here6)).remote(inet6(&there6)).into(),
            "ip6tnl" => Ip6tnl::new(name).local(inet6(here6)).remote(inet6(&there6)).into(),
            "gretap" => Gretap::new(name).local(here).remote(there).key(n).into(),
            "erspan" => Erspan::new(name).local(here).remote(there).key(n).erspan_ver(1).into(),
            "ip6gre" => Ip6gre::new(name).local(inet6(here6)).remote(inet6(&there6)).into(),
            "ip6gretap" => Ip6gretap::new(name).local(inet6(here6)).remote(inet6(&there6)).into(),
            "tun" => Tun::new(name).into(),
            "tap" => Tun::tap(name).into(),
            "bareudp" => Bareudp::new(name, 6000 + n as u16, 0x0800).into(),
            "hsr" => Hsr::new(name, on(lower)?, on(second)?).into(),
            "netkit" => Netkit::new(name, &format!("{name}p")).into(),
            "xfrm" => Xfrm::new(name, n).into(),
            "nlmon" => Nlmon::new(name).into(),
            _ => Wireguard::new(name).into(),
        })
    }

    fn remove_one(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        let Some(name) = self.name(wanted) else { return };
        let ended = tx.remove(&*name);
        if self.tell(format!("remove {name}"), ended) {
            // What stands on it goes with it, and who knows what that is: nothing is expected of names any more.
            // One that was never made is forgotten, and its other end.
            let other = match name.strip_suffix('p') {
                Some(first) => first.to_owned(),
                None => format!("{name}p"),
            };
            if tx.base().link(&*name).is_none() {
                wanted.kinds.remove(&other);
            }
            wanted.renamed.push(name);
            wanted.gone(tx.base());
        }
    }

    fn edit(&mut self, tx: &mut Transaction, wanted: &mut Wanted) {
        let Some(name) = self.name(wanted) else { return };
        let n = self.below(4) as u8 + 1;
        match self.below(24) {
            0..=3 => {
                let up = self.below(4) > 0;
                let words = format!("{name} {}", if up { "up" } else { "down" });
                let mut link = tx.interface(&*name);
                if up {
                    link.up()
                } else {
                    link.down()
                };
                self.tell(words, Ok(()));
            }
            4 | 5 => {
                let mtu = [1000, 1280, 1300, 1400, 1450, 1500, 1600][self.below(7)];
                tx.interface(&*name).set_mtu(mtu);
                self.tell(format!("{name} mtu {mtu}"), Ok(()));
            }
            6 => {
                let address = HardwareAddress::from([2, 0, 0, 0, 9, n]);
                tx.interface(&*name).set_address(address);
                self.tell(format!("{name} address 02:00:00:00:09:0{n}"), Ok(()));
            }
            7..=9 => {
                let net = self.below(3);
                let text = match self.below(3) {
                    0 => format!("fd0{net}::{n}/64"),
                    1 => format!("10.{net}.0.{n}/24"),
                    _ => format!("10.{net}.0.{}/24", n + 4),
                };
                let ended = tx.interface(&*name).add_ip(&*text).map(drop);
                self.tell(format!("{name} + {text}"), ended);
            }
            10 => {
                let base = tx.base();
                let of = base.link(&*name).map(|link| base.addresses_of(link.index()));
                let own = |a: &&netlinkdb::Address| !a.is_link_local();
                let all = of.into_iter().flatten().filter(own).map(|a| a.net().to_string());
                let all: Vec<_> = all.collect();
                let Some(text) = self.pick(&all) else { return };
                let ended = tx.interface(&*name).del_ip(&*text).map(drop);
                self.tell(format!("{name} - {text}"), ended);
            }
            11..=14 => self.port(tx, wanted, &name),
            15 | 16 => self.options(tx, wanted, &name, n),
            17 => self.port_options(tx, wanted, &name, n),
            18 => {
                let words = ["alias", "txqueuelen", "group", "altname"][self.below(4)];
                let mut link = tx.interface(&*name);
                let ended = match words {
                    "alias" => Ok(link.set_alias(&format!("words {n}"))),
                    "txqueuelen" => Ok(link.set_txqlen(u32::from(n) * 100)),
                    "group" => Ok(link.set_group(n.into())),
                    _ => link.add_altname(&format!("other{n}")),
                };
                let ended = ended.map(drop);
                self.tell(format!("{name} {words} {n}"), ended);
            }
            19 => self.rename(tx, wanted, &name),
            20 | 21 => self.route(tx, &name, n),
            22 => self.rule(tx, n),
            _ => self.take_away(tx),
        }
    }

    fn port(&mut self, tx: &mut Transaction, wanted: &mut Wanted, name: &str) {
        let base = tx.base();
        let now = match wanted.masters.get(name) {
            Some(master) => master.clone(),
            None => base.link(name).and_then(|link| {
                base.link_by_index(link.master()?).map(|master| master.name().to_owned())
            }),
        };
        if let Some(master) = now.filter(|_| self.rng.below(3) == 0) {
            let ended = tx.interface(&*master).del_port(name).map(drop);
            if self.tell(format!("{master} - port {name}"), ended) {
                wanted.masters.insert(name.to_owned(), None);
            }
            return;
        }
        let Some(master) = self.name_of(wanted, &["bridge", "bond", "team", "vrf"]) else { return };
        let ended = tx.interface(&*master).add_port(name).map(drop);
        if self.tell(format!("{master} + port {name}"), ended) {
            wanted.masters.insert(name.to_owned(), Some(master));
        }
    }

    fn options(&mut self, tx: &mut Transaction, wanted: &Wanted, name: &str, n: u8) {
        let kind = wanted.kinds.get(name).cloned().unwrap_or_default();
        let some = self.below(3);
        let mut link = tx.interface(name);
        let ended = match &*kind {
            "bridge" => {
                let options = BridgeOptions::new();
                let options = match some {
                    0 => options.stp_state(n % 2 == 0),
                    1 => options.ageing_time(u64::from(n) as u32 * 1000),
                    _ => options.vlan_filtering(n % 2 == 0).mcast_snooping(n > 2),
                };
                link.bridge(options).map(drop)
            }
            "bond" => {
                let options = match some {
                    0 => BondOptions::new().miimon(u32::from(n) * 50),
                    1 => BondOptions::new()
                        .mode([BondMode::BALANCE_XOR, BondMode::AD][n as usize % 2]),
                    _ => BondOptions::new().min_links(n),
                };
                link.bond(options).map(drop)
            }
            "vlan" => {
                let options = match some {
                    0 => VlanOptions::new().gvrp(n % 2 == 0),
                    1 => VlanOptions::new().loose_binding(n % 2 == 0),
                    _ => VlanOptions::new().egress_qos_map([(u32::from(n), 3)]),
                };
                link.vlan(options).map(drop)
            }
            "vxlan" => link.vxlan(VxlanOptions::new().ttl(n).ageing(u32::from(n) * 60)).map(drop),
            "macvlan" | "macvtap" => {
                link.macvlan(MacvlanOptions::new().mode(macvlan_mode(n.into()))).map(drop)
            }
            "ipvlan" => {
                let mode = [IpvlanMode::L2, IpvlanMode::L3][n as usize % 2];
                link.ipvlan(IpvlanOptions::new().mode(mode)).map(drop)
            }
            _ => return,
        };
        self.tell(format!("{name} type {kind} options {some} {n}"), ended);
    }

    fn port_options(&mut self, tx: &mut Transaction, wanted: &Wanted, name: &str, n: u8) {
        let master = wanted.masters.get(name).cloned().flatten();
        let kind = master.and_then(|master| wanted.kinds.get(&master)).cloned();
        let mut link = tx.interface(name);
        let ended = match kind.as_deref() {
            Some("bond") => link.bond_port(BondPortOptions::new().queue_id(n)).map(drop),
            _ => {
                let options = BridgePortOptions::new().cost(u32::from(n) * 10).isolated(n % 2 == 0);
                link.bridge_port(options.priority(n)).map(drop)
            }
        };
        self.tell(format!("{name} port options {n}"), ended);
    }

    fn rename(&mut self, tx: &mut Transaction, wanted: &mut Wanted, name: &str) {
        // A new one is named by its name in this transaction, which a new name would make another one's.
        let Some(new) = self.free_name(wanted).filter(|_| tx.base().link(name).is_some()) else {
            return;
        };
        if wanted.renamed.iter().any(|own| own == name) {
            return;
        }
        let ended = tx.interface(name).set_name(&new).map(drop);
        if self.tell(format!("{name} name {new}"), ended) {
            // In this transaction the old name means it still.
            wanted.renamed.extend([name.to_owned(), new]);
        }
    }

    fn route(&mut self, tx: &mut Transaction, name: &str, n: u8) {
        let net = self.below(3);
        let table = [254, 254, 11, 12][self.below(4)];
        let route = match self.below(4) {
            0 => Route::to(format!("10.5{n}.0.0/16")).dev(name),
            1 => Route::to(format!("10.6{n}.0.0/16")).via(format!("10.{net}.0.77")),
            2 => Route::to(format!("fd5{n}::/64")).dev(name),
            _ => Route::to(format!("10.7{n}.0.0/16")).unreachable(),
        };
        let ended = tx.add_route(route.table(table)).map(drop);
        self.tell(format!("+ route {n} {net} dev {name} table {table}"), ended);
    }

    fn rule(&mut self, tx: &mut Transaction, n: u8) {
        let rule = Rule::new().priority(1000 + u32::from(n));
        let rule =
            if self.below(2) == 0 { rule.from(format!("10.{n}.0.0/16")) } else { rule.inet6() };
        let ended = tx.add_rule(rule.table(11)).map(drop);
        self.tell(format!("+ rule {n}"), ended);
    }

    fn take_away(&mut self, tx: &mut Transaction) {
        let (routes, rules) = added(tx.base());
        if self.below(2) == 0 {
            let Some(route) = self.pick(&routes) else { return };
            let text = route.line(tx.base());
            let ended = tx.remove_route(route).map(drop);
            self.tell(format!("- route {text}"), ended);
        } else {
            let Some(rule) = self.pick(&rules) else { return };
            let text = rule.line(tx.base());
            let ended = tx.remove_rule(rule).map(drop);
            self.tell(format!("- rule {text}"), ended);
        }
    }

    /// Something that the kernel refuses, as far as this crate cannot know.
    fn poison(&mut self, tx: &mut Transaction, which: usize, wanted: &Wanted) {
        let Some(name) = self.name(wanted) else { return };
        let ended = match which {
            0 => {
                let group = HardwareAddress::from([1, 0, 0, 0, 0, 1]);
                tx.interface(&*name).set_address(group);
                Ok(())
            }
            1 => tx.add_route(Route::to("10.98.0.0/16").via("172.31.0.1")).map(drop),
            2 => {
                let twin = |name| Vxlan::new(name, 77).port(4789u16);
                tx.create(twin("z0")).and_then(|_| tx.create(twin("z1"))).map(drop)
            }
            3 => tx.interface(&*name).add_altname("a").map(drop).and_then(|()| {
                tx.create(Macvlan::new("z0", &*name).mode(MacvlanMode::PASSTHRU)).map(drop)?;
                tx.create(Macvlan::new("z1", &*name).mode(MacvlanMode::BRIDGE)).map(drop)
            }),
            _ => tx.create(Macvlan::new("z0", &*name).mtu(9000)).map(drop),
        };
        self.tell(format!("poison {which} {name}"), ended);
    }
}

/// A VXLAN keeps its mtu when the interface below gets a smaller one, and is not given it again (`vxlan_change_mtu`).
fn is_too_large(link: &Link, was: &Snapshot) -> bool {
    const HEADROOM: u32 = 70;
    let lower = link.vxlan().and_then(|vxlan| was.link_by_index(vxlan.link()?));
    lower.is_some_and(|lower| link.mtu() + HEADROOM > lower.mtu())
}

/// An IPVLAN is given the mtu of the interface below without a word, and keeps IPv6 with less than 1280 bytes
/// (`ipvlan_adjust_mtu`), so is HSR (`hsr_netdev_notify`); one that is made with so little has no IPv6, and gets it with no smaller mtu (`addrconf_notify`).
fn is_small_with_ipv6(link: &Link) -> bool {
    matches!(link.kind(), Some("ipvlan" | "ipvtap" | "hsr"))
        && link.mtu() < 1280
        && link.addr_gen_mode().is_some()
}

/// What a bond with less than 1280 bytes has had as a port, and has given its mtu back without a word (`__bond_release_one`),
/// has no IPv6; made anew it has.
fn is_wide_without_ipv6(link: &Link) -> bool {
    link.mtu() >= 1280 && link.addr_gen_mode().is_none()
}

fn inet6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn macvlan_mode(n: u32) -> MacvlanMode {
    [MacvlanMode::BRIDGE, MacvlanMode::VEPA, MacvlanMode::PRIVATE][n as usize % 3]
}

impl Wanted {
    /// After a removal: what goes with it is not followed here.
    fn gone(&mut self, base: &Snapshot) {
        let lost = |name: &String| !self.renamed.contains(name);
        let kept = self.kinds.clone().into_iter().filter(|(name, _)| lost(name));
        let mut standing: Vec<String> = uppers(base, &self.renamed);
        // A bond of tunnels goes with its last port (`bond_release_and_destroy`), and what stands on it with the bond.
        let falls = |bond: &&Link| {
            let mut ports = base.ports_of(bond.index()).peekable();
            bond.bond().is_some()
                && bond.link_type() != LinkType::ETHER
                && ports.peek().is_some()
                && ports.all(|port| standing.iter().any(|name| name == port.name()))
        };
        let fallen: Vec<_> =
            base.links().filter(falls).map(|bond| bond.name().to_owned()).collect();
        standing.extend(uppers(base, &fallen));
        self.kinds = kept.filter(|(name, _)| !standing.contains(name)).collect();
        self.masters.clear();
    }
}

/// The interfaces that stand on some of these, or on what stands on them; the other end of a pair too.
fn uppers(base: &Snapshot, names: &[String]) -> Vec<String> {
    let mut gone: Vec<u32> =
        names.iter().filter_map(|name| base.link(&**name)).map(Link::index).collect();
    let mut at = 0;
    while let Some(index) = gone.get(at).copied() {
        let on = |link: &&Link| {
            let options = link.vxlan().and_then(|vxlan| vxlan.link());
            // It goes with the last of them.
            let is_port = link.hsr().is_some_and(|hsr| hsr.ports().any(|port| port == index));
            link.link() == Some(index) || options == Some(index) || is_port
        };
        let new: Vec<_> = base.links().filter(on).map(Link::index).collect();
        gone.extend(new.into_iter().filter(|index| !gone.contains(index)).collect::<Vec<_>>());
        at += 1;
    }
    gone.iter()
        .filter_map(|index| base.link_by_index(*index))
        .map(|l| l.name().to_owned())
        .collect()
}

/// Routes and rules that a transaction has added.
fn added(now: &Snapshot) -> (Vec<Route>, Vec<Rule>) {
    let ours = |route: &Route| route.protocol() != RouteProtocol::KERNEL;
    let routes = now.routes().all().iter().filter(ours).collect();
    let rules = now.rules().iter().filter(|rule| (1001..=1010).contains(&rule.priority()));
    (routes, rules.cloned().collect())
}

fn remove_all(tx: &mut Transaction, wanted: &mut Wanted) {
    let base = tx.base().clone();
    let (routes, rules) = added(&base);
    for route in routes {
        tx.remove_route(route).expect("a route");
    }
    for rule in rules {
        tx.remove_rule(rule).expect("a rule");
    }
    for link in base.links().filter(|link| link.kind().is_some()) {
        tx.remove(link.index()).unwrap_or_else(|error| panic!("{error}"));
    }
    *wanted = Wanted::default();
}

/// The interfaces and masters that were named are there, and no others of these names.
#[track_caller]
fn is_wanted(now: &Snapshot, wanted: &Wanted) {
    for (name, kind) in wanted.kinds.iter().filter(|(name, _)| !wanted.renamed.contains(name)) {
        let link = now.link(&**name);
        assert_eq!(link.map(|link| link.kind().unwrap_or("")), Some(&**kind), "{name}");
    }
    for (port, master) in wanted.masters.iter().filter(|(name, _)| !wanted.renamed.contains(name)) {
        let found = now.link(&**port).and_then(Link::master);
        let found = found.and_then(|index| now.link_by_index(index)).map(|link| link.name());
        // A master that has been renamed is another's name.
        if master.as_ref().is_none_or(|master| !wanted.renamed.contains(master)) {
            assert_eq!(found, master.as_deref(), "master of {port}");
        }
    }
}
