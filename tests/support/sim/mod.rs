//! A simulated kernel: links, addresses and routes of one network namespace behind netlink bytes.
//!
//! For tests of the pure floors and of the engine without root: it is fed request datagrams and gives back the
//! datagrams that Linux 6.18 would, in the same order, down to the silent fields, the enslaving storms and the
//! half-done requests. It shares no code with the crate, so that what judges a commit is not what made it.
//! Deterministic: no thread, no clock, no system call; what is random (MAC addresses, foreign programs) comes
//! from the seed. What the real kernel does later by itself (carrier, DAD, STP timers) waits as a job until
//! [`Kernel::tick`] or [`Kernel::settle`].
//!
//! `tests/sim_kernel.rs` plays the same bytes against the real kernel and compares every message.
//!
//! How it is built: as the kernel is, as a small machine of devices that tell a chain of listeners what befalls
//! them (`device`), of which the messages are one (`show`), IPv4 and IPv6 two more (`inet`, `inet6`, and their routes
//! `fib4`, `fib6`), bridges (`bridge`), macvlan and vxlan the rest. Requests (`request`, `address`, `route`, `rules`)
//! only push that machine. So an order of messages that nobody wrote down still comes out right.
//!
//! Not in it: forwarding entries of bridges, routes by encapsulation or by a gateway of the other family, VLAN
//! filtering (as in the kernel of the development machine), permissions (the caller is always root), time: a
//! lifetime is stored and told as it was given and does not run down; counters are zero.
//!
//! Known to differ, and not to matter: IFLA_HEADROOM (bridges hand it around), numbers of queues, what is inside
//! IFLA_AF_SPEC beyond its lengths, what a spanning tree's topology change does to a bridge for some seconds
//! (ageing time and two flags), link_watch taking up to a second at random (here: 0 or 0.9 s of the time that only
//! `tick` moves), `dev->features` (only whether a bridge's own change when ports come and go). A namespace that a
//! link moves to is not there: it is gone, its index in the other one is said to be the same.
#![allow(dead_code, unused_imports)] // Each integration test uses its own part of it.
#![allow(unreachable_pub)] // Likewise: a module shared by several test crates.
#![allow(clippy::collapsible_match)] // A guard that changes something would hide it.
#![allow(clippy::host_endian_bytes, clippy::little_endian_bytes)] // Netlink is in host order; tests run on such hosts.

pub mod address;
pub mod bridge;
pub mod bridge_options;
pub mod device;
pub mod dump;
pub mod faults;
pub mod fib4;
pub mod fib6;
pub mod inet;
pub mod inet6;
pub mod kind;
pub mod link;
pub mod neigh;
pub mod nexthop;
pub mod op;
pub mod request;
pub mod rng;
pub mod route;
pub mod rules;
pub mod show;
pub mod socket;
pub mod truth;
pub mod vxlan;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};

pub use faults::Faults;
pub use link::Link;
pub use op::Op;
pub use socket::{Receive, SocketId};
pub use truth::{AddressTruth, LinkTruth, NeighbourTruth, RouteTruth, RuleTruth};

use rng::Rng;
use socket::Socket;
use wire::uapi::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_ECHO, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_MIN_TYPE,
};
use wire::uapi::{NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS};
use wire::{Answer, Message, Refusal, Writer};

/// One network namespace and the sockets in it.
pub struct Kernel {
    links: BTreeMap<i32, Link>,
    sockets: Vec<Socket>,
    faults: Faults,
    rng: Rng,
    jobs: VecDeque<Job>,
    /// Milliseconds, moved on by `tick` alone.
    now: u64,
    current: Option<Current>,
    last_index: i32,
    /// `dev_base_seq`, `dev_addr_genid`: what makes a dump inconsistent (K14).
    links_generation: u32,
    addresses_generation: u32,
    fib4: fib4::Fib4,
    fib6: fib6::Fib6,
    rules: rules::Rules,
    neighbours: neigh::Neighbours,
    nexthops: nexthop::Nexthops,
    /// Whether IFF_NOARP is among the flags whose change is being told.
    noarp_changes: bool,
    sysctl: Sysctl,
    foreign: Option<SocketId>,
    prompt: bool,
}

/// Settings under /proc/sys/net that change what messages come.
#[derive(Clone, Debug, Default)]
pub struct Sysctl {
    /// net.ipv4.conf.all.promote_secondaries
    pub promote_secondaries: bool,
    /// net.ipv6.conf.*.keep_addr_on_down
    pub keep_addr_on_down: bool,
    /// net.ipv6.route.skip_notify_on_dev_down
    pub skip_notify_on_dev_down: bool,
}

/// The request being worked on: some messages carry its sequence number and port (K11).
#[derive(Clone, Copy, Debug)]
struct Current {
    socket: SocketId,
    port: u32,
    seq: u32,
    echo: bool,
}

/// What the kernel does by itself some time later.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    due: u64,
    what: Work,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// link_watch: carrier becomes operstate.
    LinkWatch(i32),
    DadStart(i32, [u8; 16]),
    DadDone(i32, [u8; 16]),
    /// The forward delay timer of a bridge port under STP.
    Forward(i32),
}

impl Kernel {
    /// A new namespace: only `lo`, down, index 1.
    pub fn new(seed: u64) -> Kernel {
        let mut kernel = Kernel {
            links: BTreeMap::new(),
            sockets: Vec::new(),
            faults: Faults::default(),
            rng: Rng::new(seed),
            jobs: VecDeque::new(),
            now: 0,
            current: None,
            last_index: 1,
            links_generation: 1,
            addresses_generation: 1,
            fib4: fib4::Fib4 { tables: vec![254, 255], ..Default::default() },
            fib6: fib6::Fib6 { tables: vec![254, 255], ..Default::default() },
            rules: rules::Rules::default(),
            neighbours: neigh::Neighbours::default(),
            nexthops: nexthop::Nexthops::default(),
            noarp_changes: false,
            sysctl: Sysctl::default(),
            foreign: None,
            prompt: false,
        };
        kernel.links.insert(1, Link::loopback());
        kernel
    }

    /// The same namespace once more, without its sockets and with no fault to come; what is random in it comes from
    /// this seed.
    pub fn copy(&self, seed: u64) -> Kernel {
        Kernel {
            links: self.links.clone(),
            sockets: Vec::new(),
            faults: Faults::default(),
            rng: Rng::new(seed),
            jobs: self.jobs.clone(),
            current: None,
            fib4: self.fib4.clone(),
            fib6: self.fib6.clone(),
            rules: self.rules.clone(),
            neighbours: self.neighbours.clone(),
            nexthops: self.nexthops.clone(),
            sysctl: self.sysctl.clone(),
            foreign: None,
            ..*self
        }
    }

    /// Likewise, but what is random goes on alike in both: a new port's hardware address says whether its bridge takes it.
    pub fn twin(&self) -> Kernel {
        Kernel { rng: self.rng.clone(), ..self.copy(0) }
    }

    /// Faults still to come, and the hooks between requests.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    pub fn sysctl(&mut self) -> &mut Sysctl {
        &mut self.sysctl
    }

    /// Whether everything that would come later comes right after each request instead.
    pub fn set_prompt(&mut self, prompt: bool) {
        self.prompt = prompt;
    }

    /// One datagram with any number of requests, worked off in order; what is refused does not stop what is
    /// behind it (K40). All notifications of a request are queued before its ACK (K2).
    pub fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        for message in wire::messages(bytes) {
            self.handle(socket, message);
            if self.prompt {
                self.settle();
            }
        }
    }

    fn handle(&mut self, socket: SocketId, message: Message<'_>) {
        let mut answer = Ok(Done::Ack);
        let mut lose_ack = false;
        if message.flags & NLM_F_REQUEST != 0 && message.kind >= NLMSG_MIN_TYPE {
            let nth = self.faults.count_request(socket);
            self.run_hooks(nth);
            lose_ack = self.faults.loses_ack(nth, socket);
            answer = match self.faults.refuses(nth, socket) {
                Some(errno) => Err(Refusal::from(errno)),
                None => self.handle_request(socket, message),
            };
        }
        let wanted = message.flags & NLM_F_ACK != 0;
        match answer {
            Ok(Done::Quiet) => {}
            Ok(Done::Ack) if !wanted => {}
            _ if lose_ack => self.force_overrun(socket),
            Ok(Done::Ack) => self.acknowledge(socket, message, Ok(())),
            Err(refusal) => self.acknowledge(socket, message, Err(refusal)),
        }
    }

    fn handle_request(&mut self, socket: SocketId, message: Message<'_>) -> Answer<Done> {
        self.current = Some(Current {
            socket,
            port: self.port(socket),
            seq: message.seq,
            echo: message.flags & NLM_F_ECHO != 0,
        });
        let answer = self.dispatch(socket, message);
        self.current = None;
        answer
    }

    /// NLMSG_ERROR: CAP_ACK and EXT_ACK are always on, so only the header is quoted and the words follow.
    fn acknowledge(&mut self, socket: SocketId, message: Message<'_>, answer: Answer) {
        let errno = answer.as_ref().err().map_or(0, |refusal| refusal.errno);
        let mut body = (-errno).to_ne_bytes().to_vec();
        body.extend_from_slice(message.header);
        let mut flags = NLM_F_CAPPED;
        let mut words = Writer::default();
        if let Err(refusal) = answer {
            if let Some(text) = refusal.words {
                words.text(NLMSGERR_ATTR_MSG, text);
            }
            if let Some(offset) = refusal.offset {
                words.u32(NLMSGERR_ATTR_OFFS, offset);
            }
        }
        if !words.0.is_empty() {
            flags |= NLM_F_ACK_TLVS;
            body.extend_from_slice(&words.0);
        }
        let port = self.port(socket);
        self.unicast(socket, wire::message(NLMSG_ERROR, flags, message.seq, port, &body));
    }

    /// Does the next thing that the kernel would do by itself; false when there is none.
    pub fn tick(&mut self) -> bool {
        let Some(next) = (0..self.jobs.len()).min_by_key(|&at| self.jobs[at].due) else {
            return false;
        };
        let Some(job) = self.jobs.remove(next) else {
            return false;
        };
        self.now = self.now.max(job.due);
        match job.what {
            Work::LinkWatch(index) => self.watch_link(index),
            Work::DadStart(index, address) => self.start_dad(index, address),
            Work::DadDone(index, address) => self.finish_dad(index, address),
            Work::Forward(index) => self.forward_delay_over(index),
        }
        true
    }

    /// Lets everything that is pending happen; ends, because no job renews itself without bound.
    pub fn settle(&mut self) {
        while self.tick() {}
    }

    /// Whether link_watch takes its time, which the real one may not show: up to a second.
    pub fn watches_slowly(&self) -> bool {
        self.jobs.iter().any(|job| matches!(job.what, Work::LinkWatch(_)) && job.due > self.now)
    }

    /// Whether something is still to come by itself.
    pub fn is_settled(&self) -> bool {
        self.jobs.is_empty()
    }

    fn later(&mut self, milliseconds: u64, what: Work) {
        if !self.jobs.iter().any(|job| job.what == what) {
            self.jobs.push_back(Job { due: self.now + milliseconds, what });
        }
    }

    fn forget_jobs(&mut self, unwanted: impl Fn(&Work) -> bool) {
        self.jobs.retain(|job| !unwanted(&job.what));
    }
}

/// How a request that was not refused ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// With an ACK if one was asked for.
    Ack,
    /// A dump answers with NLMSG_DONE instead.
    Quiet,
}
