//! Another program that does anything: random `ip -batch` lines from a seed.

use super::try_batch;

/// Names that interfaces are given; few, so that they meet.
const NAMES: u64 = 14;

/// A source of lines for `ip -batch -force`; many of them fail, which is part of it.
pub struct Churn {
    state: u64,
    lines: usize,
    /// A second namespace that interfaces are sent to now and then.
    pub elsewhere: Option<String>,
}

impl Churn {
    /// The same seed gives the same lines.
    pub fn new(seed: u64) -> Churn {
        Churn { state: seed, lines: 0, elsewhere: None }
    }

    /// Runs so many lines, a few dozen in each `ip`: it remembers indexes of names, and must not remember too long.
    #[track_caller]
    pub fn run(&mut self, lines: usize) {
        for _ in 0..lines.div_ceil(40) {
            let text: Vec<_> = (0..40).map(|_| self.line()).collect();
            try_batch(&text.join("\n"));
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
