//! What the tests of transactions share: scenes made with `ip`, the whole namespace before and after, a second
//! socket that hears what was done, and a count of the requests that a database has sent.

use crate::support::judge::plain_vlans;
use crate::support::oracle::{compare_addresses, compare_links, to_json};
use crate::support::{bridge_json, ip, ip_json, need_kind};
use netlinkdb::internals::object::{ADDRESS, Address, LINK, Link, Record};
use netlinkdb::internals::sys::{self, Batch, Datagram, Options, Received, Socket};
use netlinkdb::internals::wire::{Message, Messages, kind};
use netlinkdb::{CommitError, Committed, Db, Ending, Snapshot};
use serde_json::Value;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Runs each line as arguments of `ip`.
#[track_caller]
pub fn scene(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        ip(&line.split_whitespace().collect::<Vec<_>>());
    }
}

/// The database of this test's namespace, which has every kind that these tests create.
pub fn open() -> Db {
    ["bridge", "veth", "vxlan", "macvlan", "ifb"].into_iter().for_each(need_kind);
    Db::open().expect("a database")
}

/// Sets a sysctl of this namespace, below `/proc/sys/net`.
pub fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Every interface and address of the namespace, as iproute2 tells it.
#[derive(Clone, Debug)]
pub struct Before {
    links: Vec<Value>,
    addresses: Vec<Value>,
    /// Of bridges and their ports, and the tunnels by which they go.
    vlans: [Value; 2],
}

/// The namespace now, when what the kernel does later (carrier, operational state, duplicate detection) has settled.
pub fn before() -> Before {
    let mut last = look();
    let deadline = Instant::now() + PATIENCE;
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let now = look();
        let is_settled = !now.is_tentative() && !now.awaits_carrier() && !now.lacks_local_routes();
        if is_settled && now.differences(&last).is_empty() || Instant::now() > deadline {
            return now;
        }
        last = now;
    }
}

fn look() -> Before {
    let list = |value: Value| value.as_array().cloned().unwrap_or_default();
    let links = list(ip_json(&["link", "show"]));
    let has_bridges = links.iter().any(|link| link["linkinfo"]["info_kind"] == "bridge");
    let vlans = ["show", "tunnelshow"].map(|show| {
        let all = has_bridges.then(|| bridge_json(&["vlan", show])).flatten();
        plain_vlans(&all.unwrap_or_default())
    });
    Before { links, addresses: list(ip_json(&["addr", "show"])), vlans }
}

/// The kernel looks at the carrier once a second, and for duplicates of an address for two.
const PATIENCE: Duration = Duration::from_secs(6);

/// Keys that tell nothing of what a transaction did: who has been up once has another queueing discipline, and the
/// kernel looks at the carrier when it has time. The identifier of a bridge follows its address.
/// A bridge takes the least of some offload limits from its ports, and nobody can give it back. The permanent address of an
/// interface that is made again is another one, by chance.
const VOLATILE: &[&str] = &[
    "qdisc",
    "operstate",
    "permaddr",
    "tso_max_size",
    "tso_max_segs",
    "gso_max_size",
    "gso_max_segs",
];
const DERIVED: &[&str] = &["bridge_id", "root_id", "designated_bridge", "designated_root"];
/// What bonds find out with LACP, by timers.
const LACP: &[&str] = &[
    "ad_info",
    "ad_aggregator_id",
    "ad_actor_oper_port_state",
    "ad_actor_oper_port_state_str",
    "ad_partner_oper_port_state",
    "ad_partner_oper_port_state_str",
];
const CARRIER: &[&str] = &["LOWER_UP", "NO-CARRIER"];

impl Before {
    /// The same, if interfaces of these names had the indexes that they have now.
    pub fn with_indexes_of_now(mut self, names: &[&str]) -> Before {
        let now = look();
        for link in self.links.iter_mut().chain(&mut self.addresses) {
            let is_it = |new: &&Value| new["ifname"] == link["ifname"];
            let new = now
                .links
                .iter()
                .find(is_it)
                .filter(|new| names.iter().any(|n| new["ifname"] == **n));
            if let Some(new) = new {
                link["ifindex"] = new["ifindex"].clone();
            }
        }
        self
    }

    fn is_tentative(&self) -> bool {
        infos(&self.addresses).any(|info| info.get("tentative").is_some())
    }

    /// Whether an IPv6 address that is not to be checked has no local route yet: a work queue makes it.
    fn lacks_local_routes(&self) -> bool {
        let unchecked = self.addresses.iter().filter(|link| has(link, "UP")).flat_map(addresses);
        let mut unchecked = unchecked.filter(|info| info.get("nodad").is_some()).peekable();
        if unchecked.peek().is_none() {
            return false;
        }
        let routes = ip_json(&["-6", "route", "show", "table", "local"]);
        let routes = routes.as_array().cloned().unwrap_or_default();
        unchecked.any(|info| routes.iter().all(|route| route["dst"] != info["local"]))
    }

    /// Whether link_watch has yet to look at a carrier that came or went: until then a port of a bridge stays as it was. `ip`
    /// prints `LOWER_UP` of the carrier as it is and `NO-CARRIER` of the one that was looked at.
    fn awaits_carrier(&self) -> bool {
        let pending = |link: &Value| has(link, "LOWER_UP") == has(link, "NO-CARRIER");
        self.links.iter().any(|link| has(link, "UP") && pending(link))
    }

    /// Every difference, both ways.
    fn differences(&self, other: &Before) -> Vec<String> {
        let stable = |links: &[Value]| -> Vec<Value> { links.iter().map(stable).collect() };
        let (own, others) = (stable(&self.links), stable(&other.links));
        let mut found = compare_links(&own, &others);
        if found.is_empty() {
            found = compare_links(&others, &own);
        }
        for link in &self.addresses {
            // The kernel makes a link-local address when there is a carrier, and that comes when it comes: of a team that
            // was just set up within a second (`linkwatch_schedule_work`).
            let has_no_carrier = |link: &Value| has(link, "NO-CARRIER");
            let theirs = other.addresses.iter().find(|that| that["ifindex"] == link["ifindex"]);
            let (mut here, mut there) =
                (addresses(link), theirs.map(addresses).unwrap_or_default());
            if has_no_carrier(link) || theirs.is_some_and(has_no_carrier) {
                let own =
                    |info: &Value| !info["local"].as_str().is_some_and(|a| a.starts_with("fe80:"));
                [&mut here, &mut there].into_iter().for_each(|all| all.retain(own));
            }
            [&mut here, &mut there].into_iter().for_each(|all| all.iter_mut().for_each(timeless));
            found.extend(compare_addresses(&here, &there));
        }
        for (own, other) in self.vlans.iter().zip(&other.vlans).filter(|(own, other)| own != other)
        {
            found.push(format!("VLANs: {own}, and {other}"));
        }
        found
    }
}

fn without(mut link: Value, keys: &[&str]) -> Value {
    if let Some(link) = link.as_object_mut() {
        keys.iter().for_each(|key| drop(link.remove(*key)));
    }
    link
}

fn stable(link: &Value) -> Value {
    let mut link = without(link.clone(), VOLATILE);
    for part in ["info_data", "info_slave_data"] {
        if let Some(options) = link["linkinfo"][part].as_object_mut() {
            DERIVED.iter().chain(LACP).for_each(|key| drop(options.remove(*key)));
        }
    }
    if let Some(flags) = link["flags"].as_array_mut() {
        flags.retain(|flag| !flag.as_str().is_some_and(|flag| CARRIER.contains(&flag)));
    }
    link
}

fn has(link: &Value, flag: &str) -> bool {
    link["flags"].as_array().is_some_and(|flags| flags.contains(&flag.into()))
}

fn infos(addresses: &[Value]) -> impl Iterator<Item = &Value> {
    addresses.iter().filter_map(|link| link["addr_info"].as_array()).flatten()
}

fn addresses(link: &Value) -> Vec<Value> {
    let all = link["addr_info"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|info| info.get("local").is_some()).collect()
}

/// Who is the primary of its network counts, and is compared as a flag; the order beyond that could be given back
/// only by taking addresses away that nobody named. Whether duplicate detection has run is no state of ours.
fn timeless(info: &mut Value) {
    if let Some(info) = info.as_object_mut() {
        drop(info.remove("tentative"));
    }
}

/// The whole namespace is what it was, and the database knows it.
#[track_caller]
pub fn exactly_as_before(db: &Db, before: &Before) {
    let found = settle(|| look().differences(before));
    assert!(found.is_empty(), "not as before:\n{}", found.join("\n"));
    agrees(db);
}

/// The snapshot is what iproute2 says, when what the kernel never announces (`Silent::Always`) has been asked for.
#[track_caller]
pub fn agrees(db: &Db) {
    let ask = || {
        let now = db.sync().expect("a snapshot");
        // One may go between the two.
        db.refresh(now.links().map(|link| link.index())).unwrap_or(now)
    };
    let found = settle(|| disagreements(&ask()));
    assert!(found.is_empty(), "the snapshot is not the kernel:\n{}", found.join("\n"));
}

/// The snapshot is what iproute2 says, and nobody asked for anything.
#[track_caller]
pub fn agrees_unasked(db: &Db) {
    let found = settle(|| disagreements(&db.sync().expect("a snapshot")));
    assert!(found.is_empty(), "the snapshot is not the kernel:\n{}", found.join("\n"));
}

fn disagreements(now: &Snapshot) -> Vec<String> {
    let theirs = look();
    let ours = to_json(&now.tree());
    let ours = ours.as_array().cloned().unwrap_or_default();
    let links: Vec<_> = ours.iter().cloned().map(|link| without(link, &["addr_info"])).collect();
    let mut found = compare_links(&links, &theirs.links);
    let vlans = [now.vlans_tree(), now.tunnels_tree()].map(|tree| plain_vlans(&to_json(&tree)));
    for (own, their) in vlans.iter().zip(&theirs.vlans).filter(|(own, their)| own != their) {
        found.push(format!("VLANs: ours {own}, theirs {their}"));
    }
    for link in &theirs.addresses {
        let own = ours.iter().find(|own| own["ifindex"] == link["ifindex"]);
        found.extend(compare_addresses(&own.map(addresses).unwrap_or_default(), &addresses(link)));
    }
    found
}

/// What is wrong, if it is still wrong when everything that comes later has come.
pub fn settle(mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = look();
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A socket of its own that hears of interfaces and addresses.
pub struct Ear {
    socket: Socket,
}

impl Ear {
    pub fn new() -> Ear {
        let (link, inet, inet6) = (1, 5, 9);
        let groups = vec![link, inet, inet6];
        let options = Options { groups, receive_buffer: Some(4 << 20), ..Options::default() };
        Ear { socket: Socket::open(&options).expect("a netlink socket") }
    }

    /// What was announced since the last call: the kernel has queued it before it acknowledges (K2).
    pub fn heard(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.each(|message| all.push(describe(message)));
        all
    }

    fn each(&self, mut hear: impl FnMut(&Message<'_>)) {
        let mut batch = Batch::with_slots(16, 64 * 1024);
        while sys::wait([self.socket.as_fd()], Some(Duration::ZERO)).expect("poll") == [true] {
            assert_ne!(self.socket.receive(&mut batch).expect("recvmmsg"), Received::Overrun);
            for datagram in batch.iter() {
                let Datagram::Data(bytes) = datagram else { panic!("{datagram:?}") };
                Messages::new(bytes).for_each(|message| hear(&message.expect("a message")));
            }
        }
    }
}

fn describe(message: &Message<'_>) -> String {
    let address = || Record::decode(&ADDRESS, message.payload).map(Address::new);
    match message.kind {
        kind::RTM_NEWADDR => format!("+ {}", address().expect("an address")),
        kind::RTM_DELADDR => format!("- {}", address().expect("an address")),
        other => {
            let link = Record::decode(&LINK, message.payload).expect("a link");
            let sign = if other == kind::RTM_DELLINK { '-' } else { '+' };
            let link = Link::new(link, 0);
            format!("{sign} interface {} {}", link.name(), link.flags())
        }
    }
}

/// Counts the requests that a database sends for its commits.
///
/// The sequence number of a request rises by one, and the kernel shows it in the notification of an IPv4 address
/// (K11): so the distance between two addresses that are added for this alone is the number of requests.
pub struct Count<'a> {
    db: &'a Db,
    ear: Ear,
    last: u32,
}

impl<'a> Count<'a> {
    pub fn new(db: &'a Db) -> Count<'a> {
        let mut count = Count { db, ear: Ear::new(), last: 0 };
        count.last = count.probe();
        count
    }

    /// How many were sent since the last call.
    pub fn sent(&mut self) -> u32 {
        let before = self.last;
        self.last = self.probe();
        // The probe's own: the addition, and the deletion of the one before.
        self.last - before - 2
    }

    fn probe(&self) -> u32 {
        const PROBE: &str = "127.99.99.99/32";
        self.ear.heard();
        let change = |add: bool| {
            let lo = self.db.interface("lo").expect("lo");
            let tx = if add { lo.begin().add_ip(PROBE) } else { lo.begin().del_ip(PROBE) };
            tx.expect("an address").commit().expect("a commit");
        };
        change(true);
        change(false);
        let mut seq = None;
        self.ear.each(|message| {
            if message.kind == kind::RTM_DELADDR {
                seq = Some(message.seq);
            }
        });
        seq.expect("the notification of the probe")
    }
}

/// The commit was rolled back; its error.
#[track_caller]
pub fn rolled_back(ended: Result<Committed, CommitError>) -> CommitError {
    let error = ended.expect_err("a refused commit");
    assert!(matches!(error.ending(), Ending::RolledBack { .. }), "{error}");
    assert!(error.is_rolled_back() && !error.is_refused() && !error.is_torn());
    error
}

/// The commit was refused; its error.
#[track_caller]
pub fn refused(ended: Result<Committed, CommitError>) -> CommitError {
    let error = ended.expect_err("a refusal");
    assert!(matches!(error.ending(), Ending::Refused), "{error}");
    error
}
