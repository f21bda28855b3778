//! Another program that does anything: random `ip -batch` lines from a seed.

use super::try_batch;

/// Names that interfaces are given; few, so that they meet.
const NAMES: u64 = 14;

/// A source of lines for `ip -batch -force`; many of them fail, which is part of it.
pub struct Churn {
    state: u64,
    /// Lines so far, and how many of them failed.
    pub lines: usize,
    pub failed: usize,
    /// A second namespace that interfaces are sent to now and then.
    pub elsewhere: Option<String>,
}

impl Churn {
    /// The same seed gives the same lines.
    pub fn new(seed: u64) -> Churn {
        Churn { state: seed, lines: 0, failed: 0, elsewhere: None }
    }

    /// Runs so many lines, a few dozen in each `ip`: it remembers indexes of names, and must not remember too long.
    #[track_caller]
    pub fn run(&mut self, lines: usize) {
        for _ in 0..lines.div_ceil(40) {
            let text: Vec<_> = (0..40).map(|_| self.line()).collect();
            self.failed += try_batch(&text.join("\n"));
            self.lines += 40;
        }
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn name(&mut self) -> String {
        format!("n{}", self.below(NAMES))
    }

    fn on_off(&mut self) -> &'static str {
        ["on", "off"][self.below(2) as usize]
    }

    fn line(&mut self) -> String {
        let (x, y, n) = (self.name(), self.name(), self.below(6) + 1);
        match self.below(40) {
            0..=5 => self.creation(&x, &y),
            6 => format!("link del {x}"),
            7 => format!("link set {x} name {y}"),
            8..=12 => format!("link set {x} up"),
            13 | 14 => format!("link set {x} down"),
            15 => format!("link set {x} mtu {}", [1200, 1280, 1300, 1400, 1500][n as usize % 5]),
            16..=19 => format!("link set {x} master {y}"),
            20 | 21 => format!("link set {x} nomaster"),
            22 => format!("link set {x} alias words-{n}"),
            23 => format!("link property add dev {x} altname other{n}"),
            24 => format!("link property del dev {x} altname other{n}"),
            25 => format!("link set {x} group {n}"),
            26 => format!("link set {x} address 02:00:00:00:00:0{n}"),
            27 => format!("link set {x} txqueuelen {n}00"),
            28 => {
                let flag = ["promisc", "allmulticast", "arp", "multicast"][n as usize % 4];
                format!("link set {x} {flag} {}", self.on_off())
            }
            29 => format!("link set {x} type bridge ageing_time {n}00"),
            30 => format!("link set {x} type bridge_slave cost {n}"),
            31..=33 => format!("address add 10.0.{}.{n}/{} dev {x}", n % 2, 24 + n % 2),
            34 => format!("address add fd00::{n}/64 dev {x}"),
            35 => format!("address del 10.0.{}.{n}/{} dev {x}", n % 2, 24 + n % 2),
            36 => format!("address del fd00::{n}/64 dev {x}"),
            37 => format!(
                "address add 10.1.0.1 peer 10.1.{n}.2/{} dev {x} valid_lft 1000 preferred_lft 500",
                23 + n
            ),
            38 => format!(
                "address replace 10.0.{}.{n}/{} dev {x} valid_lft 1000 preferred_lft {n}00",
                n % 2,
                24 + n % 2
            ),
            _ => match &self.elsewhere {
                Some(path) if n == 1 => format!("link set {x} netns {path}"),
                _ => format!("address flush dev {x}"),
            },
        }
    }

    /// A line about rules, nexthop objects, neighbours and routes, and the interfaces `ra0` and `ra1` below them.
    pub fn policy_line(&mut self) -> String {
        let (net, n, id) = (self.below(2), self.below(4) + 1, self.below(4) + 1);
        let verb = ["add", "del", "replace"][self.below(3) as usize];
        match self.below(24) {
            0..=4 => {
                let verb = ["add", "add", "del"][self.below(3) as usize];
                let what =
                    ["from 10.0.0.0/8", "to 10.0.0.0/9", "iif ra0", "fwmark 1"][n as usize - 1];
                let family = ["", "-6 "][self.below(8) as usize / 7];
                let what = if family.is_empty() { what } else { "from fd00::/8" };
                format!("{family}rule {verb} pref 10{id} {what} lookup 10{n}")
            }
            5 => format!("rule add pref 10{id} goto {}", 105 + n),
            6 => format!("rule del pref 10{n}"),
            7..=13 if verb == "del" => format!(
                "nexthop del id {}",
                [id, id + 4, 10 + n, 20 + n][net as usize * 2 + n as usize % 2]
            ),
            7..=9 => format!("nexthop {verb} id {id} via 10.{net}.0.{} dev ra{net}", n + 1),
            10 => format!("nexthop {verb} id {} via fd0{net}::{} dev ra{net}", id + 4, n + 1),
            11 | 12 => format!("nexthop {verb} id 1{n} group {id}/{}", id % 4 + 1),
            13 => format!("nexthop {verb} id 2{n} group {}", id + 4),
            14 => format!("route {verb} 10.5{n}.0.0/16 nhid 1{id}"),
            15 => format!("route {verb} 10.6{n}.0.0/16 nhid {id}"),
            16 => format!("-6 route {verb} fd5{n}::/64 nhid 2{id}"),
            17..=19 => {
                let state = ["permanent", "reachable", "stale", "noarp"][id as usize - 1];
                let lladdr = format!("lladdr 02:00:00:00:00:0{n} nud {state}");
                let lladdr = if verb == "del" { "" } else { &lladdr };
                format!("neigh {verb} 10.{net}.0.{} {lladdr} dev ra{net}", 4 + n)
            }
            20 => format!("link set ra{net} {}", ["up", "down"][self.below(2) as usize]),
            21 => format!("link set rb{net} {}", ["up", "up", "down", "up"][n as usize - 1]),
            // With a name that no other line has, `ip` ends at the next one that names the interface.
            22 => format!("link set ra{net} name rx{net}"),
            _ => format!("link set rx{net} name ra{net}"),
        }
    }

    fn creation(&mut self, x: &str, y: &str) -> String {
        // Now and then an index that was just free.
        let index = match self.below(3) {
            0 => format!("index {}", 20 + self.below(8)),
            _ => String::new(),
        };
        match self.below(6) {
            0 | 1 => format!("link add {x} {index} type veth peer name {y}"),
            2 => format!("link add {x} {index} type bridge"),
            3 => {
                format!("link add {x} {index} type vxlan id {} dev {y} dstport 4789", self.below(3))
            }
            4 => format!("link add {x} {index} link {y} type macvlan mode bridge"),
            _ => format!("link add {x} {index} type ifb"),
        }
    }
}
