//! Loading what stands under a key: routes, rules, nexthop objects, neighbours, in the words of `ip -json -details` and,
//! for forwarding entries, of `bridge -json fdb`.

use super::load::{Entries, Wrong, items, text};
use crate::object::encap::{ENCAPS, EncapType, TUNNEL_FLAGS};
use crate::object::parse::read;
use crate::object::route::show::DSFIELDS;
use crate::object::route::{
    Hop, Preference, Route, RouteProtocol, RouteScope, RouteSpec, RouteType,
};
use crate::object::rule::IP_PROTOCOLS;
use crate::object::{
    Encap, Named, Neighbour, NeighbourSpec, NeighbourState, Nexthop, NexthopSpec, Record, Rule,
    RuleSpec, Tree, Value,
};
use crate::wire::HardwareAddress;

fn number_of(names: &[(u64, &str)], tree: &Tree) -> Option<u64> {
    match tree {
        Tree::Number(number) => Some(*number),
        Tree::Text(text) => {
            let named = names.iter().find(|(_, name)| name == text).map(|(number, _)| *number);
            named.or_else(|| text.parse().ok())
        }
        _ => None,
    }
}

const TABLES: &[(u64, &str)] = &[(255, "local"), (254, "main"), (253, "default")];

/// The key by itself: it stands where no other word tells the family.
fn is_inet6(tree: &Tree) -> bool {
    text(tree.key("family")) == Some("inet6")
}

pub(super) fn route(entries: &Entries) -> Result<RouteSpec, Wrong> {
    let (entries, encap) = without_tunnel(entries)?;
    let entries = entries.as_slice();
    let tree = Tree::Map(entries.to_vec());
    let dst = text(tree.key("dst")).ok_or_else(|| Wrong::new("dst", "it is expected"))?;
    let inet6 = |text: &str| text.contains(':');
    let is_v6 = is_inet6(&tree)
        || entries.iter().any(|(_, tree)| matches!(tree, Tree::Text(text) if inet6(text)));
    let mut spec = match dst.parse() {
        Ok(label) => Route::mpls(label),
        Err(_) => Route::to(if dst == "default" && is_v6 { "::/0" } else { dst }),
    };
    for (key, value) in entries {
        let wrong = || Wrong::new(key, format!("`{value}` is none of its values"));
        let number = || match value {
            Tree::Number(number) => u32::try_from(*number).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let word = || text(Some(value)).ok_or_else(wrong);
        let by = |names| number_of(names, value).ok_or_else(wrong);
        spec = match key.as_str() {
            "dst" | "family" => spec,
            "from" => spec.from(word()?),
            "type" => spec.kind(RouteType(by(RouteType::NAMES)? as u8)),
            "gateway" => spec.via(word()?),
            "via" => match link_of(value).ok_or_else(wrong)? {
                Ok(address) => spec.via_link(address),
                Err(host) => spec.via(host),
            },
            "to" => spec.newdst(&labels(value).ok_or_else(wrong)?),
            "ttl-propogate" => spec.ttl_propagate(*value == Tree::Bool(true)),
            "dev" => spec.dev(word()?),
            "table" => spec.table(by(TABLES)? as u32),
            "protocol" => spec.protocol(RouteProtocol(by(RouteProtocol::NAMES)? as u8)),
            "scope" => spec.scope(RouteScope(by(RouteScope::NAMES)? as u8)),
            "metric" => spec.priority(number()?),
            "tos" => spec.tos(tos(value).ok_or_else(wrong)?),
            "flow" => {
                let (from, to) = realms(value).ok_or_else(wrong)?;
                spec.realms(from, to)
            }
            "prefsrc" => spec.src(word()?),
            "nhid" => spec.nexthop_id(number()?),
            "pref" => spec.pref(Preference(by(Preference::NAMES)? as u8)),
            // What is left of its time; none where that is over.
            "expires" => match value {
                Tree::Signed(_) => spec,
                _ => spec.expires(number()?),
            },
            // What the kernel keeps of it, and where it has it from.
            "cache" | "users" | "used" | "age" | "error" | "id" | "ts" | "tsage" | "nhid_info" => {
                spec
            }
            "flags" if has_word(value, "onlink") => spec.onlink(),
            "flags" => spec,
            "metrics" => metrics(spec, value)?,
            "nexthops" => {
                let mut with = spec;
                for leg in items(value) {
                    with = with.nexthop(hop(leg)?);
                }
                with
            }
            _ => return Err(Wrong::new(key, "no such key of a route is read")),
        };
    }
    Ok(encap.into_iter().fold(spec, RouteSpec::encap))
}

fn metrics(mut spec: RouteSpec, list: &Tree) -> Result<RouteSpec, Wrong> {
    for one in items(list) {
        let Tree::Map(entries) = one else { continue };
        // Other features than this one are shown beside it, with it.
        let features = text(list_key(entries, "features"));
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("ecn", _) if features.is_none() => spec = spec.features(1),
                ("ecn", _) => {}
                ("features", _) => {
                    let bits = features.and_then(hex);
                    spec = spec.features(
                        bits.ok_or_else(|| Wrong::new(key, "a number like 0x3 is expected"))?,
                    );
                }
                ("congestion", Tree::Text(name)) => spec = spec.congestion_control(name),
                // Of milliseconds; the kernel has parts of them.
                ("rtt", Tree::Decimal(time)) => spec = spec.rtt((time * 8.0).round() as u32),
                ("rttvar", Tree::Decimal(time)) => spec = spec.rttvar((time * 4.0).round() as u32),
                _ => {}
            }
            let read = matches!(key.as_str(), "ecn" | "features" | "congestion")
                || matches!(value, Tree::Decimal(_));
            if read {
                continue;
            }
            let Tree::Number(number) = value else {
                return Err(Wrong::new(key, "a number is expected"));
            };
            let number = u32::try_from(*number)
                .map_err(|_| Wrong::new(key, "a number below 2^32 is expected"))?;
            spec = match key.as_str() {
                "mtu" => spec.mtu(number),
                "lock" => spec.lock(number),
                "advmss" => spec.advmss(number),
                "window" => spec.window(number),
                "hoplimit" => spec.hoplimit(number),
                // Shown in milliseconds.
                "rtt" => spec.rtt(number.saturating_mul(8)),
                "rttvar" => spec.rttvar(number.saturating_mul(4)),
                "ssthresh" => spec.ssthresh(number),
                "cwnd" => spec.cwnd(number),
                "reordering" => spec.reordering(number),
                "initcwnd" => spec.initcwnd(number),
                "rto_min" => spec.rto_min(number),
                "initrwnd" => spec.initrwnd(number),
                "quickack" => spec.quickack(number),
                "fastopen_no_cookie" => spec.fastopen_no_cookie(number),
                _ => return Err(Wrong::new(key, "no such metric is read")),
            };
        }
    }
    Ok(spec)
}

fn list_key<'a>(entries: &'a Entries, key: &str) -> Option<&'a Tree> {
    entries.iter().find(|(own, _)| own == key).map(|(_, tree)| tree)
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn tos(value: &Tree) -> Option<u8> {
    let named = number_of(DSFIELDS, value);
    let number = named.or_else(|| text(Some(value)).and_then(hex).map(u64::from));
    number.and_then(|number| u8::try_from(number).ok())
}

fn realm(value: &Tree) -> Option<u16> {
    u16::try_from(number_of(&[(0, "cosmos")], value)?).ok()
}

fn realms(value: &Tree) -> Option<(u16, u16)> {
    let of = |key: &str| value.key(key).map_or(Some(0), realm);
    Some((of("from")?, of("to")?))
}

/// The entries of a way, and the tunnel that it goes by.
type Tunnelled = (Vec<(String, Tree)>, Option<Encap>);

/// The entries without those of the tunnel, which follow its kind, and some of which have the names of others.
fn without_tunnel(entries: &Entries) -> Result<Tunnelled, Wrong> {
    let Some(at) = entries.iter().position(|(key, _)| key == "encap") else {
        return Ok((entries.to_vec(), None));
    };
    let kind = number_of(EncapType::NAMES, &entries[at].1);
    let table = ENCAPS.iter().find(|(own, _)| Some(*own) == kind).map(|(_, table)| *table);
    let (Some(kind), Some(table)) = (kind, table) else {
        return Err(Wrong::new("encap", "tunnels of this kind are not read"));
    };
    let (mut record, mut flags) = (Record::new(table), 0);
    let mut end = at + 1;
    while let Some((key, tree)) = entries.get(end) {
        let flag = TUNNEL_FLAGS.iter().find(|(_, name)| name == key && table.row("id").is_some());
        match (table.row(key), flag) {
            (_, Some((bit, _))) => flags |= bit,
            (Some((id, _)), _) if key == "dst" && kind == u64::from(EncapType::MPLS.0) => {
                let labels = text(Some(tree)).unwrap_or_default().split('/');
                let labels: Result<Vec<u32>, _> = labels.map(str::parse).collect();
                let labels = labels.map_err(|_| Wrong::new(key, "labels are expected"))?;
                record.set(id, Value::Numbers(labels.into()));
            }
            (Some(_), _) => read(table, key, tree, &(), &|_| None, &mut record).map_err(Wrong)?,
            _ => break,
        }
        end += 1;
    }
    let rest = entries[..at].iter().chain(&entries[end..]).cloned().collect();
    Ok((rest, Some(Encap::known(EncapType(kind as u16), record, flags))))
}

fn hop(leg: &Tree) -> Result<Hop, Wrong> {
    let Tree::Map(entries) = leg else {
        return Err(Wrong::new("nexthops", "objects are expected"));
    };
    let (entries, encap) = without_tunnel(entries)?;
    let leg = &Tree::Map(entries.clone());
    let wrong = || Wrong::new("nexthops", "`via` is no address");
    let link = match leg.key("via") {
        Some(via) => link_of(via).ok_or_else(wrong)?.ok(),
        None => None,
    };
    let via = text(leg.key("gateway")).or_else(|| text(leg.key("via")?.key("host")));
    let dev = text(leg.key("dev"));
    let mut hop = match (link, via, dev) {
        (Some(link), _, Some(dev)) => Hop::via_link(link, dev),
        (_, Some(via), Some(dev)) => Hop::via(via).dev(dev),
        (_, Some(via), None) => Hop::via(via),
        (_, None, Some(dev)) => Hop::direct(dev),
        (_, None, None) => return Err(Wrong::new("nexthops", "`gateway` or `dev` is expected")),
    };
    for (key, value) in &entries {
        match (key.as_str(), value) {
            ("flags", _) if has_word(value, "onlink") => hop = hop.onlink(),
            ("gateway" | "via" | "dev" | "flags", _) => {}
            ("flow", _) => {
                let why = || Wrong::new(key, "realms are expected");
                let (from, to) = realms(value).ok_or_else(why)?;
                hop = hop.realms(from, to);
            }
            ("weight", Tree::Number(weight)) => hop = hop.weight(*weight as u16),
            ("to", _) => {
                let why = || Wrong::new(key, format!("`{value}` is none of its values"));
                hop = hop.newdst(&labels(value).ok_or_else(why)?);
            }
            _ => return Err(Wrong::new(key, "no such key of a nexthop is read")),
        }
    }
    Ok(encap.into_iter().fold(hop, Hop::encap))
}

/// A gateway that is a hardware address, or any other by its text.
fn link_of(via: &Tree) -> Option<Result<HardwareAddress, &str>> {
    let host = text(via.key("host"))?;
    match text(via.key("family")) {
        Some("link") => Some(Ok(host.parse().ok()?)),
        _ => Some(Err(host)),
    }
}

/// `200/300`, or a single one as a number.
fn labels(tree: &Tree) -> Option<Vec<u32>> {
    tree.to_string().split('/').map(|label| label.parse().ok()).collect()
}

fn has_word(list: &Tree, word: &str) -> bool {
    items(list).iter().any(|own| text(Some(own)) == Some(word))
}

pub(super) fn rule(entries: &Entries) -> Result<RuleSpec, Wrong> {
    let tree = Tree::Map(entries.to_vec());
    let is_v6 = entries.iter().any(|(key, tree)| {
        matches!(key.as_str(), "src" | "dst") && text(Some(tree)).is_some_and(|t| t.contains(':'))
    });
    let mut spec: RuleSpec = Rule::new();
    if is_v6 || text(tree.key("family")) == Some("inet6") {
        spec = spec.inet6();
    }
    let prefix = |address: &str, length: &str| match tree.key(length) {
        Some(Tree::Number(bits)) => format!("{address}/{bits}"),
        _ => address.to_owned(),
    };
    for (key, value) in entries {
        let wrong = || Wrong::new(key, format!("`{value}` is none of its values"));
        let word = || text(Some(value)).ok_or_else(wrong);
        let by = |names| number_of(names, value).ok_or_else(wrong);
        spec = match key.as_str() {
            "family" | "srclen" | "dstlen" => spec,
            "src" | "dst" if text(Some(value)) == Some("all") => spec,
            "src" => spec.from(prefix(word()?, "srclen")),
            "dst" => spec.to(prefix(word()?, "dstlen")),
            "priority" => spec.priority(by(&[])? as u32),
            "table" => spec.table(by(TABLES)? as u32),
            "protocol" => spec.protocol(RouteProtocol(by(RouteProtocol::NAMES)? as u8)),
            "iif" => spec.iif(word()?),
            "oif" => spec.oif(word()?),
            "fwmark" => {
                let hex = |tree: Option<&Tree>| match text(tree)? {
                    "0" => Some(0),
                    text => hex(text),
                };
                let mask = hex(tree.key("fwmask")).unwrap_or(u32::MAX);
                spec.fwmark(hex(Some(value)).ok_or_else(wrong)?, mask)
            }
            "fwmask" | "iif_detached" | "oif_detached" => spec,
            "tos" => spec.tos(tos(value).ok_or_else(wrong)?),
            "tun_id" => spec.tun_id(by(&[])?),
            "l3mdev" => spec.l3mdev(),
            "ipproto" => {
                let named = number_of(IP_PROTOCOLS, value);
                let number = || word().ok()?.strip_prefix("ipproto-")?.parse().ok();
                spec.ip_proto(named.or_else(number).ok_or_else(wrong)? as u8)
            }
            "sport" => spec.sport(range(value, value).ok_or_else(wrong)?),
            "dport" => spec.dport(range(value, value).ok_or_else(wrong)?),
            "sport_start" => spec
                .sport(tree.key("sport_end").and_then(|end| range(value, end)).ok_or_else(wrong)?),
            "dport_start" => spec
                .dport(tree.key("dport_end").and_then(|end| range(value, end)).ok_or_else(wrong)?),
            "uid_start" => {
                let end = tree.key("uid_end").and_then(|end| number_of(&[], end));
                spec.uidrange(by(&[])? as u32..=end.ok_or_else(wrong)? as u32)
            }
            "sport_end" | "dport_end" | "uid_end" => spec,
            "suppress_prefixlen" => spec.suppress_prefixlength(by(&[])? as u8),
            "suppress_ifgroup" => spec.suppress_ifgroup(by(&[(0, "default")])? as i32),
            "flow_to" => {
                let from = tree.key("flow_from").map_or(Some(0), realm);
                let (from, to) = from.zip(realm(value)).ok_or_else(wrong)?;
                spec.realms(from, to)
            }
            "flow_from" | "unresolved" => spec,
            "nop" => spec.nop(),
            "goto" => spec.goto(by(&[])? as u32),
            "not" => spec.not(true),
            "action" => match word()? {
                "blackhole" => spec.blackhole(),
                "unreachable" => spec.unreachable(),
                "prohibit" => spec.prohibit(),
                "nop" => spec.nop(),
                _ => return Err(wrong()),
            },
            _ => return Err(Wrong::new(key, "no such key of a rule is read")),
        };
    }
    Ok(spec)
}

fn range(from: &Tree, to: &Tree) -> Option<std::ops::RangeInclusive<u16>> {
    let port = |tree| u16::try_from(number_of(&[], tree)?).ok();
    Some(port(from)?..=port(to)?)
}

pub(super) fn nexthop(entries: &Entries) -> Result<NexthopSpec, Wrong> {
    let (entries, encap) = without_tunnel(entries)?;
    let tree = Tree::Map(entries.clone());
    let number = |tree: Option<&Tree>| u32::try_from(number_of(&[], tree?)?).ok();
    let id = number(tree.key("id")).ok_or_else(|| Wrong::new("id", "a number is expected"))?;
    let mut spec = Nexthop::new(id);
    if is_inet6(&tree) {
        spec = spec.inet6();
    }
    for (key, value) in &entries {
        let wrong = || Wrong::new(key, format!("`{value}` is none of its values"));
        let word = || text(Some(value)).ok_or_else(wrong);
        spec = match key.as_str() {
            "id" | "family" | "scope" => spec,
            // A resilient one is told by its settings.
            "type" if matches!(word()?, "mpath" | "resilient") => spec,
            "group" => {
                let mut with = spec;
                for member in items(value) {
                    let id = number(member.key("id")).ok_or_else(wrong)?;
                    let weight = member.key("weight").map_or(Some(1), |own| number(Some(own)));
                    with = with.member(id, weight.ok_or_else(wrong)?);
                }
                with
            }
            "resilient_args" => {
                let hundredths = |key: &str| match value.key(key) {
                    Some(Tree::Number(seconds)) => u32::try_from(seconds * 100).ok(),
                    Some(Tree::Decimal(seconds)) => Some((seconds * 100.0).round() as u32),
                    _ => None,
                };
                let buckets = number(value.key("buckets")).and_then(|own| u16::try_from(own).ok());
                let timers = (hundredths("idle_timer"), hundredths("unbalanced_timer"));
                let (Some(buckets), (Some(idle), Some(unbalanced))) = (buckets, timers) else {
                    return Err(wrong());
                };
                spec.resilient(buckets, idle, unbalanced)
            }
            "gateway" => spec.via(word()?),
            "via" => spec.via(text(value.key("host")).ok_or_else(wrong)?),
            "dev" => spec.dev(word()?),
            "blackhole" => spec.blackhole(),
            "fdb" => spec.fdb(),
            "protocol" => {
                let number = number_of(RouteProtocol::NAMES, value).ok_or_else(wrong)?;
                spec.protocol(RouteProtocol(number as u8))
            }
            "flags" if has_word(value, "onlink") => spec.onlink(),
            "flags" => spec,
            _ => return Err(Wrong::new(key, "no such key of a nexthop object is read")),
        };
    }
    Ok(encap.into_iter().fold(spec, NexthopSpec::encap))
}

/// `None` for what the kernel has learned: it comes and goes by itself.
pub(super) fn neighbour(entries: &Entries) -> Result<Option<NeighbourSpec>, Wrong> {
    let tree = Tree::Map(entries.to_vec());
    let fdb = text(tree.key("mac"));
    let dev = text(tree.key(if fdb.is_some() { "ifname" } else { "dev" }));
    let dev = dev.ok_or_else(|| Wrong::new("dev", "the name of an interface is expected"))?;
    let mut spec = match (fdb, text(tree.key("dst"))) {
        (Some(mac), _) => Neighbour::fdb(mac, dev),
        (None, Some(dst)) => Neighbour::new(dst, dev),
        (None, None) => return Err(Wrong::new("dst", "an address is expected")),
    };
    let mut kept = tree.key("proxy").is_some();
    for (key, value) in entries {
        let wrong = || Wrong::new(key, format!("`{value}` is none of its values"));
        let word = || text(Some(value)).ok_or_else(wrong);
        let number =
            || number_of(&[], value).and_then(|own| u32::try_from(own).ok()).ok_or_else(wrong);
        spec = match key.as_str() {
            "mac" | "ifname" | "dev" | "linkNetNsId" | "used" | "confirmed" | "updated"
            | "refcnt" | "probes" => spec,
            "dst" if fdb.is_none() => spec,
            "dst" => spec.dst(word()?),
            "lladdr" => spec.lladdr(word()?),
            "vlan" => spec.vlan(number()? as u16),
            "port" => spec.port(number()? as u16),
            "vni" => spec.vni(number()?),
            "src_vni" => spec.src_vni(number()?),
            "nhid" => spec.nexthop_id(number()?),
            "viaIf" => spec.via(word()?),
            // The bridge in which it stands: that of its port.
            "master" if text(Some(value)) == Some(dev) => spec,
            "master" => spec.master(),
            "protocol" => {
                let number = number_of(RouteProtocol::NAMES, value).ok_or_else(wrong)?;
                spec.protocol(RouteProtocol(number as u8))
            }
            "router" | "proxy" | "extern_learn" | "managed" | "offload" | "extern_valid" => {
                kept |= matches!(key.as_str(), "extern_learn" | "managed");
                flagged(spec, key)
            }
            "flags" => {
                let words = items(value).into_iter().filter_map(|own| text(Some(own)));
                kept |= has_word(value, "extern_learn");
                words.fold(spec, flagged)
            }
            "state" => {
                let state = state(value).ok_or_else(wrong)?;
                kept |= state.0 & (NeighbourState::PERMANENT | NeighbourState::NOARP).0 != 0;
                spec.state(state)
            }
            _ => return Err(Wrong::new(key, "no such key of a neighbour is read")),
        };
    }
    Ok(kept.then_some(spec))
}

fn flagged(spec: NeighbourSpec, word: &str) -> NeighbourSpec {
    match word {
        "router" => spec.router(),
        "proxy" => spec.proxy(),
        "extern_learn" => spec.extern_learn(),
        "managed" => spec.managed(),
        "sticky" => spec.sticky(),
        // The rest is the kernel's word; `self` and `master` go by where it stands.
        _ => spec,
    }
}

/// A list of `NUD_*`, or the word of `bridge fdb`.
fn state(value: &Tree) -> Option<NeighbourState> {
    let named = |own: &&Tree| number_of(NeighbourState::NAMES, own);
    let number = match value {
        Tree::List(all) => all.iter().map(|own| named(&own)).sum::<Option<u64>>()?,
        Tree::Text(word) => match word.as_str() {
            "permanent" => NeighbourState::PERMANENT.0.into(),
            "static" => NeighbourState::NOARP.0.into(),
            "stale" => NeighbourState::STALE.0.into(),
            "" => NeighbourState::REACHABLE.0.into(),
            word => u64::from(hex(word.strip_prefix("state=")?)?),
        },
        _ => return None,
    };
    u16::try_from(number).ok().map(NeighbourState)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::LinkRef;

    /// What a route is shown as is read as that route.
    #[track_caller]
    fn is_read_again(spec: RouteSpec) {
        let record = |spec: &RouteSpec| spec.record(|_: &LinkRef| Some(7)).expect("a route");
        let shown = Route::new(record(&spec)).tree(&());
        let Tree::Map(entries) = &shown else { panic!("{shown}") };
        let read = route(entries).unwrap_or_else(|wrong| panic!("{}: {shown}", wrong.0.why));
        assert_eq!(Route::new(record(&read)).tree(&()).to_string(), shown.to_string());
        assert_eq!(record(&read), record(&spec), "{shown}");
    }

    #[test]
    fn tunnels_are_read_with_keys_that_others_have_too() {
        let to = |destination: &str| Route::to(destination).dev("if7");
        let outer = "192.0.2.1".parse().unwrap();
        is_read_again(to("10.1.0.0/16").encap(Encap::mpls(&[100, 200]).ttl(9)));
        is_read_again(to("10.1.0.0/16").encap(Encap::ip(outer).id(42).ttl(64).tos(8)).priority(5));
        let six = Encap::ip("2001:db8::1".parse().unwrap()).src("2001:db8::2".parse().unwrap());
        is_read_again(to("fd01::/32").from("fd02::/32").encap(six.id(7)));
        let leg = |gateway: &str| Hop::via(gateway).dev("if7").encap(Encap::ip(outer).id(1));
        is_read_again(
            Route::to("10.2.0.0/16").nexthop(leg("10.0.0.2").weight(3)).nexthop(leg("10.0.0.3")),
        );
    }

    #[test]
    fn a_tunnel_of_an_unknown_kind_is_said() {
        let entries = [("dst".to_owned(), "10.0.0.0/8".into()), ("encap".to_owned(), "bpf".into())];
        let wrong = route(&entries).unwrap_err();
        assert_eq!((wrong.0.key.as_str(), wrong.0.why.contains("not read")), ("encap", true));
    }
}
