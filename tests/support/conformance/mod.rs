//! Plays one script of requests against the simulated and the real kernel, and compares all that they say.

#![allow(unreachable_pub)] // A part of one test crate.
#![allow(clippy::host_endian_bytes)] // Netlink is in host order.

pub mod real;
pub mod script;
pub mod words;

use super::sim::wire::uapi::*;
use super::sim::wire::{self, IfAddr, IfInfo};
use super::sim::{Kernel, Receive, SocketId};
use real::Real;
use script::Script;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const GROUPS: [u32; 9] = [
    RTNLGRP_LINK,
    RTNLGRP_NEXTHOP,
    RTNLGRP_NEIGH,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_RULE,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE,
];

/// Plays the script in both kernels and panics at the first step at which they differ; `Err` says why the real
/// one could not be had.
///
/// That link_watch is done only time can tell, and on a busy machine its timer is late: what it says then comes between
/// the answers of a later step. So a difference counts when it is there with ten times the patience too.
pub fn conform(script: &str) -> Result<(), String> {
    for patience in [1, 4, 10] {
        let told = catch_unwind(AssertUnwindSafe(|| play(script, patience)));
        match told {
            Ok(done) => return done,
            Err(difference) if patience == 10 => resume_unwind(difference),
            Err(_) => println!("once more, with more patience"),
        }
    }
    Ok(())
}

fn play(script: &str, patience: u32) -> Result<(), String> {
    let mut real = Real::new(&GROUPS, patience)?;
    let mut sim = Simulated::new();
    let script = Script::parse(script);
    if script.promotes_secondaries {
        real.promote_secondaries()?;
        sim.kernel.sysctl().promote_secondaries = true;
    }
    for (step, line) in script.lines.iter().enumerate() {
        let requests = script::requests(&sim.kernel, line, step as u32 + 1);
        let count = wire::messages(&requests).len();

        let mut expected = words::without_unknown(real.exchange(&requests, count));
        let mut got = sim.exchange(&requests);
        let (mut later, slow) = sim.later();
        let early = take_early(&script, &mut expected, &got, &later);
        sort_walks(&mut expected);
        sort_walks(&mut got);
        compare(&script, line, "while asked", &expected, &got);

        let mut expected = early;
        expected.extend(words::without_unknown(real.later(slow, later.len() - expected.len())));
        sort(&mut later);
        sort(&mut expected);
        compare(&script, line, "afterwards", &expected, &later);

        for request in [
            dump(RTM_GETLINK, &IfInfo::default().emit()),
            dump(RTM_GETADDR, &IfAddr::default().emit()),
        ] {
            compare(&script, line, "dumped", &real.dump(&request), &sim.exchange(&request));
        }
        let request = dump(RTM_GETNEXTHOP, &[0; 8]);
        compare(&script, line, "dumped nexthops", &real.dump(&request), &sim.exchange(&request));
        for proxies in [0, NTF_PROXY] {
            let mut head = [0; 12];
            head[10] = proxies;
            let request = dump(RTM_GETNEIGH, &head);
            // The real tables are hashed.
            let told = |messages: Vec<Vec<u8>>| {
                let mut messages = words::without_unknown(messages);
                messages.sort();
                messages
            };
            let (expected, got) = (told(real.dump(&request)), told(sim.exchange(&request)));
            compare(&script, line, "dumped neighbours", &expected, &got);
        }
        for family in [AF_INET, AF_INET6] {
            let mut head = [0; 12];
            head[0] = family;
            let request = dump(RTM_GETRULE, &head);
            let (expected, got) = (real.dump(&request), sim.exchange(&request));
            compare(&script, line, "dumped rules", &expected, &got);
        }
        for family in [AF_INET, AF_INET6] {
            let mut head = [0; 12];
            head[0] = family;
            let request = dump(RTM_GETROUTE, &head);
            let (mut expected, mut got) = (real.dump(&request), sim.exchange(&request));
            // The real tables are hashed; within a key the order counts.
            expected.sort_by_cached_key(|message| words::route_key(message));
            got.sort_by_cached_key(|message| words::route_key(message));
            compare(&script, line, "dumped routes", &expected, &got);
        }
    }
    Ok(())
}

fn dump(kind: u16, body: &[u8]) -> Vec<u8> {
    wire::message(kind, NLM_F_REQUEST | NLM_F_DUMP, 9, 0, body)
}

/// What comes by itself can come before the last ACK: the kernel gives up its lock (`rtnl_unlock`, and with links that go
/// a grace period in `netdev_run_todo`) before it sends the ACK, and link_watch may run between. Taken out of what came
/// `while asked`, where it stands beside what is expected there.
fn take_early(
    script: &Script,
    asked: &mut Vec<Vec<u8>>,
    expected: &[Vec<u8>],
    later: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let tell = |message: &Vec<u8>| words::tell(message, script);
    let mut later: Vec<String> = later.iter().map(tell).collect();
    let mut expected = expected.iter().map(tell).peekable();
    let (mut early, mut rest) = (Vec::new(), Vec::new());
    for message in asked.drain(..) {
        let told = tell(&message);
        match later.iter().position(|other| *other == told) {
            Some(at) if expected.peek() != Some(&told) => {
                later.swap_remove(at);
                early.push(message);
            }
            _ => {
                expected.next();
                rest.push(message);
            }
        }
    }
    *asked = rest;
    early
}

/// What goes when a link goes is told in the order of a walk over hashed tables: runs of such messages are put in the
/// order of their keys.
fn sort_walks(messages: &mut [Vec<u8>]) {
    let gone = |message: &Vec<u8>| wire::u16_at(message, 4) == RTM_DELROUTE;
    for run in messages.chunk_by_mut(|one, other| gone(one) && gone(other)) {
        if gone(&run[0]) {
            run.sort_by_cached_key(|message| words::route_key(message));
        }
    }
}

/// A carrier change, DAD and timers of several links come in no particular order.
fn sort(messages: &mut [Vec<u8>]) {
    for message in messages.iter_mut().filter(|message| wire::u16_at(message, 4) == RTM_NEWROUTE) {
        // The first of several links to have a route to the same prefix is said to be the first.
        let flags = wire::u16_at(message, 6) & !NLM_F_EXCL;
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
    }
    messages.sort_by_key(|message| words::key(message));
}

fn compare(script: &Script, line: &str, when: &str, real: &[Vec<u8>], sim: &[Vec<u8>]) {
    let tell = |messages: &[Vec<u8>]| -> Vec<String> {
        messages.iter().map(|message| words::tell(message, script)).collect()
    };
    let (real, sim) = (tell(real), tell(sim));
    if real == sim {
        return;
    }
    let mut report = format!("the simulation differs at `{line}`, {when}:\n");
    let differs =
        (0..real.len().max(sim.len())).find(|&at| real.get(at) != sim.get(at)).unwrap_or(0);
    for at in 0..real.len().max(sim.len()) {
        let shorten = |text: Option<&String>| {
            text.map_or("-".to_owned(), |text| text.lines().next().unwrap_or("").to_owned())
        };
        report +=
            &format!("{} real {}\n", if at == differs { ">" } else { " " }, shorten(real.get(at)));
        report += &format!("   sim {}\n", shorten(sim.get(at)));
    }
    if let (Some(real), Some(sim)) = (real.get(differs), sim.get(differs)) {
        let ids = |text: &str| {
            text.lines()
                .skip(1)
                .filter_map(|line| Some(line.strip_prefix("    ")?.split(' ').next()?.to_owned()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        if ids(real) != ids(sim) {
            report += &format!("  real {}\n   sim {}\n", ids(real), ids(sim));
        }
        for line in real.lines().filter(|line| !sim.lines().any(|other| other == *line)) {
            report += &format!("  real{line}\n");
        }
        for line in sim.lines().filter(|line| !real.lines().any(|other| other == *line)) {
            report += &format!("   sim{line}\n");
        }
    }
    panic!("{report}");
}

/// The simulation behind one socket that both asks and listens.
struct Simulated {
    kernel: Kernel,
    socket: SocketId,
}

impl Simulated {
    fn new() -> Simulated {
        let mut kernel = Kernel::new(1);
        let socket = kernel.socket(&GROUPS, 64 << 20);
        Simulated { kernel, socket }
    }

    fn exchange(&mut self, requests: &[u8]) -> Vec<Vec<u8>> {
        self.kernel.send(self.socket, requests);
        self.drain()
    }

    /// What comes by itself, and whether link_watch takes its time.
    fn later(&mut self) -> (Vec<Vec<u8>>, bool) {
        let mut slow = self.kernel.watches_slowly();
        while self.kernel.tick() {
            slow |= self.kernel.watches_slowly();
        }
        (self.drain(), slow)
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            match self.kernel.receive(self.socket) {
                Receive::Datagram(datagram) => messages.extend(split(&datagram)),
                Receive::Empty => return messages,
                other => panic!("the socket is large enough, and yet {other:?}"),
            }
        }
    }
}

/// One byte string for each message of a datagram.
fn split(datagram: &[u8]) -> Vec<Vec<u8>> {
    wire::messages(datagram)
        .iter()
        .map(|message| [message.header, message.payload].concat())
        .collect()
}
