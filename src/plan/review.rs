//! The review: what a transaction would change, as sets and as iproute2 commands.

use std::collections::BTreeMap;
use std::fmt;

use super::action::{Action, Indexes, Origin};
use super::fact::{Fact, Field};
use super::keyed::{Op, Planned};
use super::order::{Wave, plan};
use super::{Draft, Refusal, Target, bridge_vlans, rules};
use crate::object::kinds::NewLink;
use crate::object::link::{LINK, LinkFlags, row};
use crate::object::{Value, kinds};
use crate::state::Snapshot;

/// Whether a fact comes, goes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It comes.
    Plus,
    /// It goes.
    Minus,
    /// It changes.
    Change,
}

/// One fact that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewLine {
    /// Comes, goes or changes.
    pub sign: Sign,
    /// The interface, by the name that it will have; `routes` for a route.
    pub on: String,
    /// What: `address 10.0.0.1/24`, `mtu`, `master` (of a port).
    pub what: String,
    /// How it is now, for a change.
    pub before: Option<String>,
    /// How it will be, for a change.
    pub after: Option<String>,
}

/// What a transaction would change if it were committed now: the delta as sets, and the same as iproute2 commands
/// in the order in which it would be sent.
///
/// `Display` prints both, the commands as comments of the sets.
#[derive(Clone, Debug, Default)]
pub struct Review {
    lines: Vec<ReviewLine>,
    commands: Vec<String>,
    refusal: Option<Refusal>,
}

impl Review {
    /// The review of what would be refused.
    pub fn refused(refusal: Refusal) -> Self {
        Review { refusal: Some(refusal), ..Review::default() }
    }

    /// Why a commit would be refused, if it would be.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Reviews `draft` on the state `now`.
    ///
    /// # Errors
    /// What a commit would refuse, a review refuses.
    #[doc(hidden)]
    pub fn new(draft: &Draft, now: &Snapshot) -> Result<Self, Refusal> {
        let mut review = Review::default();
        let mut renamed = BTreeMap::new();
        for (_, wave) in plan(draft, now)? {
            match wave {
                Wave::Actions(actions) => review.actions(&actions, draft, now, &mut renamed),
                Wave::Steps(steps) => steps.iter().for_each(|step| review.step(step, now)),
            }
        }
        Ok(review)
    }

    fn actions(
        &mut self,
        actions: &[Action],
        draft: &Draft,
        now: &Snapshot,
        renamed: &mut BTreeMap<Target, String>,
    ) {
        let name = |target| draft.name_of(target);
        for action in actions {
            let current = |target| match renamed.get(&target) {
                Some(name) => String::clone(name),
                None => current_name(draft, now)(target),
            };
            // What comes from elsewhere is asked for there.
            if !matches!(action, Action::Arrive { .. }) {
                self.commands.push(command(action, &current));
            }
            self.add(action, now, &name);
            // Later commands find it by the name that it has by then.
            if let Action::Set { target, id: row::NAME, value } = action {
                renamed.insert(*target, value.to_string());
            }
        }
    }

    /// What stands under a key comes or goes whole.
    fn step(&mut self, step: &Planned, now: &Snapshot) {
        let sign = match step.op() {
            Op::Delete => Sign::Minus,
            Op::Replace => Sign::Change,
            Op::Add | Op::Append | Op::Prepend => Sign::Plus,
        };
        let before = (sign == Sign::Change).then(|| step.replaced(now)).flatten();
        let sign = if before.is_none() && sign == Sign::Change { Sign::Plus } else { sign };
        let after = before.is_some().then(|| step.text(now));
        let noun = step.noun();
        let what = match before {
            None => step.text(now),
            Some(_) => noun.to_owned(),
        };
        self.lines.push(ReviewLine { sign, on: format!("{noun}s"), what, before, after });
        self.commands.push(step.command(now));
    }

    /// The facts that would change.
    pub fn lines(&self) -> &[ReviewLine] {
        &self.lines
    }

    /// The same as iproute2 commands, in the order of sending.
    pub fn commands(&self) -> &[String] {
        &self.commands
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn add(&mut self, action: &Action, now: &Snapshot, name: &dyn Fn(Target) -> String) {
        let on = name(action.target());
        let lines = lines(action, now, name).into_iter();
        self.lines.extend(lines.map(|(sign, what, [before, after])| ReviewLine {
            sign,
            on: on.clone(),
            what,
            before,
            after,
        }));
    }
}

/// One line of a review: what comes, goes or changes, and what it was and is to be.
pub(super) type Line = (Sign, String, [Option<String>; 2]);

fn plain(sign: Sign, what: String) -> Line {
    (sign, what, [None, None])
}

fn lines(action: &Action, now: &Snapshot, name: &dyn Fn(Target) -> String) -> Vec<Line> {
    let action = &with_names(action, name);
    match action {
        Action::Create { new, peer, .. } => {
            let interface = format!("interface, {}{}", new.kind(), with_peer(new, *peer, name));
            let all = [interface].into_iter().chain(options(new));
            all.map(|what| plain(Sign::Plus, what)).collect()
        }
        Action::CreateIn { new, to, .. } => {
            let interface = format!("interface, {}, in namespace {}", new.kind(), to.title);
            let all = [interface].into_iter().chain(options(new));
            all.map(|what| plain(Sign::Plus, what)).collect()
        }
        Action::Delete { target: Target::Live { index, .. } } => {
            // What no rollback can give back is said before it is gone.
            let besides = |index| now.link_by_index(index).and_then(super::kinds::untold);
            let besides = |index| match besides(index) {
                Some(what) => format!(", and its {what}, which no rollback gives back"),
                None => String::new(),
            };
            let along = |other| {
                let name = rules::name(other, now);
                format!("interface {name}, which goes with it{}", besides(other))
            };
            let others = rules::goes_with(*index, now).into_iter().map(along);
            let own = format!("interface{}", besides(*index));
            let all = [own].into_iter().chain(others);
            all.map(|what| plain(Sign::Minus, what)).collect()
        }
        Action::Move { to, name, .. } => {
            let what = format!("interface, which goes to namespace {} as {name}", to.title);
            vec![plain(Sign::Minus, what)]
        }
        Action::Arrive { origin: Origin::Made { .. }, .. } => {
            vec![plain(Sign::Plus, "interface, made in another namespace".to_owned())]
        }
        Action::Arrive { origin: Origin::Moved { from, name, .. }, .. } => {
            vec![plain(Sign::Plus, format!("interface {name} of namespace {}", from.title))]
        }
        Action::AddAddress { spec, .. } => vec![plain(Sign::Plus, format!("address {spec}"))],
        Action::DelAddress { spec, .. } => vec![plain(Sign::Minus, format!("address {spec}"))],
        Action::Vlans { edit, vlans, .. } => bridge_vlans::lines(action, *edit, vlans, now),
        Action::Altname { name, add, .. } => {
            let sign = if *add { Sign::Plus } else { Sign::Minus };
            vec![plain(sign, format!("altname {name}"))]
        }
        Action::Master { target, master } => {
            let (before, after) =
                (master_name(*target, now), master.map_or("none".to_owned(), name));
            vec![(Sign::Change, "master".to_owned(), [Some(before), Some(after)])]
        }
        _ => changed(action, now),
    }
}

/// Fact by fact, as it is and as it is to be.
fn changed(action: &Action, now: &Snapshot) -> Vec<Line> {
    let facts = action.facts(&Indexes::default());
    if facts.is_empty() {
        return vec![plain(Sign::Plus, words(action))];
    }
    let line = |fact: &Fact| {
        let shown = |state: Option<&Value>| Some(show(fact, state));
        let states = [shown(fact.state(now).as_ref()), shown(fact.want.as_ref())];
        (Sign::Change, field_name(&fact.field), states)
    };
    facts.iter().map(line).collect()
}

fn with_peer(new: &NewLink, peer: Option<Target>, name: &dyn Fn(Target) -> String) -> String {
    match (peer, &new.peer_place) {
        (Some(peer), _) => format!(" and its peer {}", name(peer)),
        (None, Some(place)) => {
            let peer = new.peer_name().unwrap_or_default();
            format!(" and its peer {peer} in namespace {}", place.title)
        }
        (None, None) => String::new(),
    }
}

/// The master that a target has now.
fn master_name(target: Target, now: &Snapshot) -> String {
    let master = match target {
        Target::Live { index, .. } => now.link_by_index(index).and_then(|link| link.master()),
        Target::New(_) => None,
    };
    master.map_or("none".to_owned(), |master| rules::name(master, now))
}

fn current_name<'a>(draft: &'a Draft, now: &'a Snapshot) -> impl Fn(Target) -> String + 'a {
    |target| match target {
        Target::Live { index, .. } => rules::name(index, now),
        Target::New(_) => draft.name_of(target),
    }
}

fn field_name(field: &Field) -> String {
    match field {
        Field::Link(id) => LINK.rows[usize::from(*id)].name.to_owned(),
        Field::Flag(bit) => LinkFlags(*bit).to_string(),
        Field::Option(_, table, id) => table.rows[usize::from(*id)].title().to_owned(),
        Field::Exists => "interface".to_owned(),
        Field::Altname(name) => format!("altname {name}"),
        Field::Address(spec) => format!("address {spec}"),
        Field::Vlan(..) | Field::Tunnel(_) => bridge_vlans::title(field),
    }
}

fn show(fact: &Fact, state: Option<&Value>) -> String {
    match (&fact.field, state.and_then(Value::number)) {
        (Field::Flag(_), Some(0)) => "off".to_owned(),
        (Field::Flag(_), Some(_)) => "on".to_owned(),
        _ => fact.text(state),
    }
}

/// `+`, `-` and `~` lines grouped by interface, then the commands.
impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refusal) = &self.refusal {
            return write!(f, "would be refused: {refusal}");
        }
        if self.is_empty() {
            return f.write_str("nothing to change");
        }
        let mut seen: Vec<&str> = Vec::new();
        for line in &self.lines {
            if !seen.contains(&&*line.on) {
                seen.push(&line.on);
            }
        }
        for on in seen {
            writeln!(f, "{on}")?;
            for line in self.lines.iter().filter(|line| line.on == on) {
                writeln!(f, "  {line}")?;
            }
        }
        f.write_str("as iproute2 commands")?;
        self.commands.iter().try_for_each(|command| write!(f, "\n  {command}"))
    }
}

impl fmt::Display for ReviewLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.sign {
            Sign::Plus => '+',
            Sign::Minus => '-',
            Sign::Change => '~',
        };
        write!(f, "{sign} {}", self.what)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, " {before} -> {after}"),
            _ => Ok(()),
        }
    }
}

/// The iproute2 command that does the same as an action.
pub(super) fn command(action: &Action, name: &dyn Fn(Target) -> String) -> String {
    let action = &with_names(action, name);
    let dev = name(action.target());
    match action {
        Action::Create { new, lower, peer, .. } => create_command(new, *lower, *peer, (&dev, name)),
        Action::CreateIn { new, lower, to, .. } => {
            let own = format!("{} netns {}", new.name(), to.title);
            create_command(new, *lower, None, (&own, name))
        }
        Action::Delete { .. } => format!("ip link del dev {dev}"),
        Action::Master { master: None, .. } => format!("ip link set dev {dev} nomaster"),
        Action::Master { master: Some(master), .. } => {
            format!("ip link set dev {dev} master {}", name(*master))
        }
        Action::Altname { name, add, .. } => {
            format!(
                "ip link property {} dev {dev} altname {name}",
                if *add { "add" } else { "del" }
            )
        }
        Action::AddAddress { spec, .. } => format!("ip addr add {} dev {dev}", spec.arguments()),
        Action::DelAddress { spec, .. } => format!("ip addr del {} dev {dev}", spec.prefix()),
        Action::Data { options, .. } => {
            format!("ip link set dev {dev} type {} {}", options.table().name, words(action))
        }
        Action::Port { options, .. } => {
            let master = kinds::master_of(options.table());
            format!("ip link set dev {dev} type {master}_slave {}", words(action))
        }
        Action::Set { .. } | Action::Flags { .. } => {
            format!("ip link set dev {dev} {}", words(action))
        }
        Action::Move { to, name: new, .. } | Action::Return { to, name: new, .. } => {
            let renamed = if **new == *dev { String::new() } else { format!(" name {new}") };
            format!("ip link set dev {dev}{renamed} netns {}", to.title)
        }
        Action::Arrive { name, .. } => format!("ip link show dev {name}"),
        Action::Vlans { own, edit, vlans, .. } => bridge_vlans::commands(&dev, *own, *edit, vlans),
    }
}

/// The same with the names of the interfaces that options name.
fn with_names(action: &Action, name: &dyn Fn(Target) -> String) -> Action {
    let mut named = action.clone();
    let options = match &mut named {
        Action::Create { new, .. } | Action::CreateIn { new, .. } => new.data.as_mut(),
        Action::Data { options, .. } | Action::Port { options, .. } => Some(options),
        _ => None,
    };
    let Some(options) = options else { return named };
    for (id, _, value) in options.clone().fields() {
        if let Value::Link(which) = value {
            let target = Target::named(which).map(name);
            target.into_iter().for_each(|name| options.set(id, Value::Link(name.into())));
        }
    }
    named
}

/// The arguments that say what an action sets.
fn words(action: &Action) -> String {
    match action {
        Action::Set { id: row::ALIAS, value, .. } => {
            // As a shell wants it: nothing is special between single quotes but the quote itself.
            format!("alias '{}'", value.to_string().replace('\'', r"'\''"))
        }
        Action::Set { id, value, .. } => {
            let mut record = crate::object::Record::new(&LINK);
            record.set(*id, value.clone());
            record.words(&()).join(" ")
        }
        Action::Data { options, .. } | Action::Port { options, .. } => options.words(&()).join(" "),
        Action::Flags { flags, mask, .. } => flag_words(*flags, *mask),
        _ => String::new(),
    }
}

/// `ip link set` names some flags by what they forbid.
fn flag_words(flags: LinkFlags, mask: LinkFlags) -> String {
    let mut words = Vec::new();
    if mask.contains(LinkFlags::UP) {
        words.push(if flags.contains(LinkFlags::UP) { "up".to_owned() } else { "down".to_owned() });
    }
    let named = [
        (LinkFlags::NOARP, "arp", true),
        (LinkFlags::MULTICAST, "multicast", false),
        (LinkFlags::ALLMULTI, "allmulticast", false),
        (LinkFlags::PROMISC, "promisc", false),
        (LinkFlags::DYNAMIC, "dynamic", false),
        (LinkFlags::NOTRAILERS, "trailers", true),
    ];
    for (flag, word, inverted) in named {
        if mask.contains(flag) {
            let on = flags.contains(flag) != inverted;
            words.push(format!("{word} {}", if on { "on" } else { "off" }));
        }
    }
    words.join(" ")
}

fn options(new: &NewLink) -> Vec<String> {
    new.data.as_ref().map(|options| options.words(&())).unwrap_or_default()
}

/// `own` is what it is called, and where.
fn create_command(
    new: &NewLink,
    lower: Option<Target>,
    peer: Option<Target>,
    (own, name): (&str, &dyn Fn(Target) -> String),
) -> String {
    let own_dev = new.data.as_ref().is_some_and(|options| options.table().row("link").is_some());
    let lower = lower.map(name);
    let link = lower
        .as_ref()
        .filter(|_| !own_dev)
        .map(|lower| format!("link {lower} "))
        .unwrap_or_default();
    let mut attributes = new.record.clone();
    for id in [row::NAME, row::KIND, row::DATA] {
        attributes.remove(id);
    }
    // `ip link` makes none: it is a call on a device.
    if new.kind() == "tun" {
        let words = [vec![format!("ip tuntap add dev {own}")], options(new)];
        return words.concat().join(" ");
    }
    let mut parts = vec![format!("ip link add {link}name {own}")];
    parts.extend(attributes.words(&()));
    parts.push(format!("type {}", new.kind()));
    parts.extend(lower.filter(|_| own_dev).map(|lower| format!("dev {lower}")));
    parts.extend(options(new));
    parts.extend(peer.map(|peer| format!("peer name {}", name(peer))));
    if let Some(place) = &new.peer_place {
        let peer = new.peer_name().unwrap_or_default();
        parts.push(format!("peer name {peer} netns {}", place.title));
    }
    if let Some(mut other) = new.peer.clone() {
        other.remove(row::NAME);
        other.remove(row::KIND);
        parts.extend(other.words(&()));
    }
    parts.join(" ")
}
