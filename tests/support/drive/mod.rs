//! A whole database on the simulated kernel, step by step: what `engine` does with threads, sockets and a clock,
//! done by one thread with none of them. So every interleaving is said and can be said again.
//!
//! [`Driver`] is one database: its event socket, dump sockets and request socket, and the pure machines between
//! them. `judge` compares the simulated kernel's own truth before and after, and shares no code with the crate.
#![allow(dead_code, unreachable_pub)] // Each integration test uses its own part of it.

pub mod announced;
pub mod callers;
pub mod judge;
pub mod scenario;

use std::collections::{BTreeMap, BTreeSet};

use netlinkdb::Address;
use netlinkdb::internals::object::link::{LINK, row};
use netlinkdb::internals::object::{ADDRESS, ROUTE, Record, Value, route::RouteKey};
use netlinkdb::internals::plan::{Answer, Commit, Draft, Failure, Outcome, Poll, Refusal, Why};
use netlinkdb::internals::state::{
    AddressKey, Ask, Change, Follower, Object, ObjectKey, Outlet, Silence, Snapshot, Update, Views,
    fence_request, is_later, next_fence,
};
use netlinkdb::internals::wire::{Ack, Builder, Messages, flags, kind};

use callers::Callers;

use crate::sim::wire::uapi::{
    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP,
};
use crate::sim::{Kernel, Receive, SocketId};

const GROUPS: &[u32] = &[
    RTNLGRP_LINK,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_RULE,
    RTNLGRP_NEIGH,
    RTNLGRP_NEXTHOP,
];

/// Receive buffer of a database that is not to overrun.
pub const ROOMY: usize = 16 << 20;

/// A database does not need more steps than this for anything: more is a livelock.
const PATIENCE: usize = 200_000;

/// What another program does between two requests.
type Between = Box<dyn FnMut(&mut Kernel)>;

/// One database.
pub struct Driver {
    event: SocketId,
    request: SocketId,
    dump: Option<SocketId>,
    follower: Follower,
    snapshot: Snapshot,
    /// The state at which the commit has begun.
    base: Snapshot,
    passed: u32,
    fence: u32,
    created: Vec<(u32, u32, u32)>,
    /// Routes and addresses of which a notification has spoken since a state was shown; how often everything had been
    /// read anew then.
    told: BTreeSet<ObjectKey>,
    resyncs: u64,
    /// Changes that were concluded, so far.
    pub concluded: usize,
    seq: u32,
    drafts: u64,
    /// Requests in one datagram, at most.
    pub together: usize,
    /// Datagrams that the reader takes between two datagrams of requests.
    pub pace: usize,
    /// Whether the commit hook refuses.
    pub hook_fails: bool,
    /// Other hooks, and callbacks.
    pub callers: Callers,
    /// What others do between two datagrams of requests.
    pub between: Option<Between>,
}

/// When a process is killed, and what it has noted until then.
struct Crash {
    requests: usize,
    notes: Vec<Vec<u8>>,
}

/// More requests than any scenario has.
const MANY: usize = 1 << 32;

impl Crash {
    fn keep(&mut self, commit: &mut Commit) {
        self.notes.extend(commit.note());
    }
}

/// What a process that was killed has kept.
pub struct Kept {
    testament: Vec<u8>,
    notes: Vec<Vec<u8>>,
}

impl Kept {
    /// The commit that was cut off, to be undone.
    fn commit(&self) -> Commit {
        let notes: Vec<_> = self.notes.iter().map(Vec::as_slice).collect();
        let cause = Failure { step: "it".to_owned(), why: Why::CutOff };
        Commit::resume(&self.testament, &notes, cause).expect("what was kept")
    }
}

impl Driver {
    /// Opens a database and waits for its first snapshot. `capacity` is the event socket's receive buffer.
    pub fn open(kernel: &mut Kernel, capacity: usize) -> Driver {
        Driver::open_with(kernel, capacity, Callers::default())
    }

    /// Likewise, with callbacks from the beginning.
    pub fn open_with(kernel: &mut Kernel, capacity: usize, callers: Callers) -> Driver {
        let mut driver = Driver {
            event: kernel.socket(GROUPS, capacity),
            request: kernel.socket(&[], 212_992),
            dump: None,
            follower: Follower::new(Views::ALL),
            snapshot: Snapshot::default(),
            base: Snapshot::default(),
            passed: 0,
            fence: 0,
            created: Vec::new(),
            told: BTreeSet::new(),
            resyncs: 0,
            concluded: 0,
            seq: 0,
            drafts: 0,
            together: 32,
            pace: 1,
            hook_fails: false,
            callers,
            between: None,
        };
        driver.quiesce(kernel);
        driver
    }

    /// Closes every socket.
    pub fn close(mut self, kernel: &mut Kernel) {
        self.close_dump(kernel);
        kernel.close(self.event);
        kernel.close(self.request);
    }

    /// The socket whose requests change things.
    pub fn request_socket(&self) -> SocketId {
        self.request
    }

    /// The socket that hears notifications.
    pub fn event_socket(&self) -> SocketId {
        self.event
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// A draft on what this database shows now.
    pub fn draft(&mut self) -> Draft {
        self.drafts += 1_000;
        Draft::new(self.snapshot.clone(), self.drafts)
    }

    /// One turn of the reader; false when it would sleep.
    pub fn step(&mut self, kernel: &mut Kernel) -> bool {
        if self.follower.is_draining() {
            self.drain(kernel);
        }
        let mut busy = false;
        while let Some(transmit) = self.follower.poll_transmit() {
            busy = true;
            if transmit.outlet == Outlet::FreshDump {
                self.close_dump(kernel);
                self.dump = Some(kernel.socket(&[], 212_992));
            }
            let socket = match transmit.outlet {
                Outlet::Event => self.event,
                _ => self.dump.expect("a dump socket was asked for before it is used"),
            };
            kernel.send(socket, &transmit.bytes);
        }
        assert!(self.follower.failure().is_none(), "refused: {:?}", self.follower.failure());
        if !self.follower.is_dumping() {
            self.close_dump(kernel);
        }
        self.publish();
        busy |= self.receive_event(kernel);
        busy | self.receive_dump(kernel) || self.follower.is_draining()
    }

    /// Lets the reader run until it sleeps.
    pub fn quiesce(&mut self, kernel: &mut Kernel) {
        for _ in 0..PATIENCE {
            if !self.step(kernel) {
                self.publish();
                assert!(self.follower.is_live(), "asleep without a state to show");
                return;
            }
        }
        panic!("the reader never sleeps");
    }

    fn drain(&mut self, kernel: &mut Kernel) {
        for _ in 0..PATIENCE {
            match kernel.receive(self.event) {
                Receive::Empty => return self.follower.handle_drained(self.fence),
                Receive::Overrun => {}
                Receive::Datagram(bytes) => self.follower.handle_event(&bytes),
                Receive::Truncated(_) => self.follower.handle_truncated(),
            }
        }
        panic!("the event socket is never empty");
    }

    fn receive_event(&mut self, kernel: &mut Kernel) -> bool {
        match kernel.receive(self.event) {
            Receive::Empty => return false,
            Receive::Overrun => self.follower.handle_overrun(),
            Receive::Datagram(bytes) => {
                self.told.extend(Messages::new(&bytes).filter_map(|message| told(&message.ok()?)));
                let bytes =
                    if self.follower.is_draining() { bytes } else { self.callers.sift(bytes) };
                self.follower.handle_event(&bytes);
            }
            Receive::Truncated(_) => self.follower.handle_truncated(),
        }
        true
    }

    fn receive_dump(&mut self, kernel: &mut Kernel) -> bool {
        let Some(socket) = self.dump else { return false };
        match kernel.receive(socket) {
            Receive::Empty => return false,
            Receive::Overrun | Receive::Truncated(_) => self.follower.handle_dump_loss(),
            Receive::Datagram(bytes) => self.follower.handle_dump(&self.callers.sift(bytes)),
        }
        true
    }

    fn close_dump(&mut self, kernel: &mut Kernel) {
        if let Some(socket) = self.dump.take() {
            kernel.close(socket);
        }
    }

    fn publish(&mut self) {
        if let Some(Update { snapshot, passed, created, silence }) = self.follower.poll_update() {
            assert!(snapshot.revision() >= self.snapshot.revision(), "revisions only grow");
            self.judge_silence(&snapshot, &silence);
            self.callers.show(&snapshot, &silence);
            self.snapshot = snapshot;
            self.passed = passed;
            self.created.extend(created);
        }
    }

    /// What was not told, and not found by reading everything anew, was concluded, and is called so.
    fn judge_silence(&mut self, now: &Snapshot, silence: &Silence) {
        let told = std::mem::take(&mut self.told);
        let resyncs = self.follower.losses().resyncs;
        if std::mem::replace(&mut self.resyncs, resyncs) != resyncs {
            return;
        }
        let silent = silence.between(&self.snapshot, now);
        let diff = self.snapshot.diff(now);
        // With an interface that is another one now all its addresses are.
        let is_link = |change: &Change| matches!(change.key(), Some(ObjectKey::Link(_)));
        let came_or_went = |change: &Change| change.before().is_none() || change.after().is_none();
        let replaced = diff.changes().iter().any(|change| is_link(change) && came_or_went(change));
        for change in diff.changes() {
            let key = change.key();
            let is_silent = silent.has(change);
            self.concluded += usize::from(is_silent);
            let counts = match change.after().or(change.before()) {
                Some(Object::Route(_)) => true,
                Some(Object::Address(..)) => !replaced,
                _ => false,
            };
            let was_told = key.is_some_and(|key| told.contains(&key));
            assert!(!counts || is_silent || was_told, "nobody has told: {change}");
        }
    }

    /// Waits until the snapshot holds everything that the kernel has done so far, and these interfaces' silent
    /// changes too.
    pub fn observe(&mut self, kernel: &mut Kernel, refresh: &[Ask]) -> Snapshot {
        if refresh.contains(&Ask::Proxies) {
            self.follower.ask_proxies();
        }
        for some in refresh.chunks(64) {
            let bytes: Vec<u8> = some.iter().filter_map(|ask| ask.request()).flatten().collect();
            kernel.send(self.event, &bytes);
        }
        self.fence = next_fence(self.fence);
        kernel.send(self.event, &fence_request(self.fence));
        for _ in 0..PATIENCE {
            if self.follower.is_live() && !is_later(self.fence, self.passed) {
                return self.snapshot.clone();
            }
            let busy = self.step(kernel);
            self.publish();
            assert!(busy || !is_later(self.fence, self.passed), "the fence never comes back");
        }
        panic!("the fence is never passed");
    }

    /// Reads everything anew.
    pub fn resync(&mut self, kernel: &mut Kernel) {
        self.follower.resync();
        self.quiesce(kernel);
    }

    /// Commits a draft, as `engine::commit` does.
    pub fn commit(&mut self, kernel: &mut Kernel, draft: &Draft) -> Result<Outcome, Refusal> {
        let now = self.observe(kernel, &draft.silent());
        let mut commit = Commit::new(draft, now.clone())?;
        self.base = now;
        let mut never = Crash { requests: usize::MAX, notes: Vec::new() };
        Ok(self.drive(kernel, &mut commit, &mut never).expect("an end"))
    }

    /// Commits a draft and is killed after so many requests, or when they are all sent and everything is found as
    /// wanted: what it leaves. `None` when it ended before.
    pub fn commit_and_die(
        &mut self,
        kernel: &mut Kernel,
        draft: &Draft,
        requests: usize,
    ) -> Result<Option<Kept>, Refusal> {
        let now = self.observe(kernel, &draft.silent());
        let mut commit = Commit::new(draft, now)?;
        if !commit.sends() {
            return Ok(None);
        }
        let testament = commit.testament();
        let mut crash = Crash { requests, notes: Vec::new() };
        let ended = self.drive(kernel, &mut commit, &mut crash);
        Ok(ended.is_none().then_some(Kept { testament, notes: crash.notes }))
    }

    /// Undoes what another database has left that was killed.
    pub fn recover(&mut self, kernel: &mut Kernel, kept: &Kept) -> Outcome {
        let mut commit = kept.commit();
        let mut never = Crash { requests: usize::MAX, notes: Vec::new() };
        self.drive(kernel, &mut commit, &mut never).expect("an end")
    }

    /// Likewise, and is killed itself after so many requests, if it has not ended. What it has noted is kept too.
    pub fn recover_and_die(&mut self, kernel: &mut Kernel, kept: &mut Kept, requests: usize) {
        let mut commit = kept.commit();
        let mut crash = Crash { requests, notes: Vec::new() };
        drop(self.drive(kernel, &mut commit, &mut crash));
        kept.notes.extend(crash.notes);
    }

    /// Links that were brought back have the generations that they had.
    pub fn adopt(&mut self, kernel: &mut Kernel, back: &[(u32, u64)]) {
        for (index, generation) in back {
            self.follower.adopt(*index, *generation);
        }
        self.observe(kernel, &[]);
    }

    /// `None` when it was killed.
    fn drive(
        &mut self,
        kernel: &mut Kernel,
        commit: &mut Commit,
        crash: &mut Crash,
    ) -> Option<Outcome> {
        for _ in 0..1_000 {
            match commit.poll() {
                Poll::Send(mut wave) => {
                    crash.keep(commit);
                    if wave.len() > crash.requests {
                        wave.truncate(crash.requests);
                        self.exchange(kernel, wave);
                        return None;
                    }
                    crash.requests -= wave.len();
                    let answers = self.exchange(kernel, wave);
                    commit.handle_answers(&answers);
                    crash.keep(commit);
                }
                Poll::Observe { refresh, resync } => {
                    if resync {
                        self.resync(kernel);
                    }
                    let snapshot = self.observe(kernel, &refresh);
                    let port = kernel.port(self.request);
                    let own = self.created.iter().filter(|(own, ..)| *own == port);
                    let created: BTreeMap<_, _> = own.map(|(_, seq, at)| (*seq, *at)).collect();
                    commit.handle_snapshot(snapshot, &created);
                }
                Poll::Verified(_) if crash.requests < MANY => return None,
                Poll::Verified(_) if self.hook_fails => commit.fail(judge::hook_failure()),
                Poll::Verified(found) => match self.callers.ask(&self.base, &found) {
                    Ok(()) => commit.accept(),
                    Err(failure) => commit.fail(failure),
                },
                Poll::Finished(outcome) => return Some(self.finish(kernel, commit, outcome)),
            }
        }
        panic!("the commit never ends");
    }

    fn finish(&mut self, kernel: &mut Kernel, commit: &Commit, mut outcome: Outcome) -> Outcome {
        if !commit.restored().is_empty() {
            for (index, generation) in commit.restored() {
                self.follower.adopt(*index, *generation);
            }
            let now = self.observe(kernel, &[]);
            if let Outcome::RolledBack { snapshot, .. } | Outcome::Torn { snapshot, .. } =
                &mut outcome
            {
                *snapshot = now;
            }
        }
        outcome
    }

    fn exchange(&mut self, kernel: &mut Kernel, mut requests: Vec<Vec<u8>>) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::new();
        for some in requests.chunks_mut(self.together) {
            if let Some(between) = &mut self.between {
                between(kernel);
            }
            let first = answers.len();
            for request in &mut *some {
                assert!(!request.is_empty(), "an empty request");
                self.seq += 1;
                Builder::stamp(request, self.seq);
                answers.push(Answer { seq: self.seq, ..Answer::default() });
            }
            kernel.send(self.request, &some.concat());
            self.collect(kernel, &mut answers[first..]);
            for _ in 0..self.pace {
                self.step(kernel);
            }
            if answers.iter().any(|answer| answer.ack.as_ref().is_some_and(|ack| !ack.is_ok())) {
                break;
            }
        }
        answers
    }

    /// Reads what is there: the simulated kernel has answered before `send` returns, so that what is not there
    /// is lost.
    fn collect(&mut self, kernel: &mut Kernel, answers: &mut [Answer]) {
        loop {
            match kernel.receive(self.request) {
                Receive::Empty => return,
                Receive::Overrun | Receive::Truncated(_) => {}
                Receive::Datagram(bytes) => read(&bytes, answers),
            }
        }
    }
}

/// What a notification speaks of, if it is a route or an address.
fn told(message: &netlinkdb::internals::wire::Message<'_>) -> Option<ObjectKey> {
    match message.kind {
        kind::RTM_NEWROUTE | kind::RTM_DELROUTE => {
            let record = Record::decode(&ROUTE, message.payload).ok()?;
            Some(ObjectKey::Route(RouteKey::of(&record)?))
        }
        kind::RTM_NEWADDR | kind::RTM_DELADDR => {
            let record = Record::decode(&ADDRESS, message.payload).ok()?;
            Some(ObjectKey::Address(AddressKey::of(&Address::new(record))?))
        }
        _ => None,
    }
}

fn read(bytes: &[u8], answers: &mut [Answer]) {
    for message in Messages::new(bytes).map_while(Result::ok) {
        let Some(answer) = answers.iter_mut().find(|answer| answer.seq == message.seq) else {
            continue;
        };
        if let Some(Ok(ack)) = Ack::parse(&message) {
            answer.ack = Some(ack);
        } else if message.kind == kind::RTM_NEWLINK && message.flags & flags::MULTI == 0 {
            let link = Record::decode(&LINK, message.payload).expect("an echo of a creation");
            let below = link.value(row::LINK).and_then(Value::number).map(|index| index as u32);
            let here = link.value(row::LINK_NETNSID).is_none();
            answer.created = Some((link.number(row::INDEX) as u32, below.filter(|_| here)));
        }
    }
}
