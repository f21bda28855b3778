//! Ensuring: what is to be there, whether it is there already or not.

use super::keyed::Wish;
use super::{AddressSpec, Draft, Refusal, Target, rules};
use crate::object::kinds::NewLink;
use crate::object::link::row;
use crate::object::{
    LINK, Link, LinkRef, NeighbourSpec, NexthopSpec, Record, Role, RouteSpec, RuleSpec, Table,
    Value,
};

/// Something that is to be there: created where it is not. Where it is there otherwise it is brought to this state only
/// when that was asked for ([`adopt`](Ensure::adopt)); an interface of another kind never is.
///
/// ```
/// use netlinkdb::{Bridge, Ensure, Route};
/// let bridge = Ensure::from(Bridge::new("br0").stp_state(true)).adopt();
/// let route = Ensure::from(Route::to("10.2.0.0/16").via("10.0.0.2"));
/// let address = Ensure::address("br0", "10.0.0.1/24".parse()?);
/// # Ok::<(), netlinkdb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ensure {
    what: What,
    adopt: bool,
}

#[derive(Clone, Debug)]
enum What {
    Link(Box<NewLink>),
    Address(LinkRef, Box<AddressSpec>),
    Keyed(Box<Wish>),
}

impl Ensure {
    fn new(what: What) -> Self {
        Ensure { what, adopt: false }
    }

    /// An address of an interface.
    pub fn address(which: impl Into<LinkRef>, address: AddressSpec) -> Self {
        Ensure::new(What::Address(which.into(), Box::new(address)))
    }

    /// What is there already, and otherwise, is changed.
    pub fn adopt(self) -> Self {
        Ensure { adopt: true, ..self }
    }
}

impl<T: Into<NewLink>> From<T> for Ensure {
    fn from(new: T) -> Self {
        Ensure::new(What::Link(Box::new(new.into())))
    }
}

impl From<RouteSpec> for Ensure {
    fn from(route: RouteSpec) -> Self {
        Ensure::new(What::Keyed(Box::new(Wish::Route(route))))
    }
}

impl From<RuleSpec> for Ensure {
    fn from(rule: RuleSpec) -> Self {
        Ensure::new(What::Keyed(Box::new(Wish::Rule(rule))))
    }
}

impl From<NeighbourSpec> for Ensure {
    fn from(neighbour: NeighbourSpec) -> Self {
        Ensure::new(What::Keyed(Box::new(Wish::Neighbour(neighbour))))
    }
}

impl From<NexthopSpec> for Ensure {
    fn from(nexthop: NexthopSpec) -> Self {
        Ensure::new(What::Keyed(Box::new(Wish::Nexthop(nexthop))))
    }
}

impl Draft {
    /// Names what makes it be there.
    ///
    /// # Errors
    /// When it cannot be; when it is there otherwise and is not to be adopted; when an interface is of another kind, or
    /// differs in what only its creation can say.
    pub fn ensure(&mut self, ensure: Ensure) -> Result<(), Refusal> {
        match ensure.what {
            What::Link(new) => self.ensure_link(*new, ensure.adopt),
            What::Address(which, spec) => self.ensure_address(&which, *spec, ensure.adopt),
            What::Keyed(wish) => self.ensure_keyed(*wish, ensure.adopt),
        }
    }

    fn ensure_link(&mut self, new: NewLink, adopt: bool) -> Result<(), Refusal> {
        rules::check_name(new.name())?;
        let there = self.resolve(&LinkRef::from(new.name())).ok();
        let Some((target, link)) =
            there.and_then(|target| Some((target, self.base_link(target)?.clone())))
        else {
            return self.create(new).map(drop);
        };
        if self.is_removed(target) {
            return self.create(new).map(drop);
        }
        let kind =
            |kind: Option<&str>| kind.map_or("of no kind".to_owned(), |kind| format!("a {kind}"));
        if link.kind() != Some(new.kind()) {
            let why = format!(
                "it is {}, and {} is to be there",
                kind(link.kind()),
                kind(Some(new.kind()))
            );
            return Err(Refusal::Invalid { what: "interface", value: new.name().to_owned(), why });
        }
        self.check_made_so(&link, &new)?;
        let set = lacking(&LINK, &new.record, Some(link.record()), &link)?;
        let options = link.record().value(row::DATA).and_then(Value::nested);
        let data = match &new.data {
            Some(data) => lacking(data.table(), &self.numbered(data, &link)?, options, &link)?,
            None => Record::new(&LINK),
        };
        if set.is_empty() && data.is_empty() {
            return Ok(());
        }
        if !adopt {
            return Err(Refusal::Exists {
                what: format!("interface `{}`, otherwise,", link.name()),
            });
        }
        for (id, _, value) in set.fields() {
            match id {
                row::MTU => self.set_mtu(target, value.number().unwrap_or(0) as u32)?,
                _ => self.set(target, id, value.clone())?,
            }
        }
        match data.is_empty() {
            true => Ok(()),
            false => self.set_data(target, &rules::with_order(data)),
        }
    }

    /// Options with the indexes of the interfaces that they name, where these are there already.
    fn numbered(&self, options: &Record, link: &Link) -> Result<Record, Refusal> {
        let mut all = self.found(options, link.name())?;
        for (id, _, value) in options.fields() {
            if let (Value::Link(_), Some(Value::Link(LinkRef::Handle { index, .. }))) =
                (value, all.value(id))
            {
                let index = *index;
                all.set(id, Value::Number(index.into()));
            }
        }
        Ok(all)
    }

    /// What it stands on, and its other end, only its creation can say.
    fn check_made_so(&self, link: &Link, new: &NewLink) -> Result<(), Refusal> {
        let name = |index: Option<u32>| {
            index.map_or("none".to_owned(), |index| rules::name(index, self.base()))
        };
        if let Some(lower) = new.lower() {
            let wanted = self.resolve(lower)?;
            let is = rules::lower_of(link).and_then(|index| self.base().link_by_index(index));
            if is.map(Target::of) != Some(wanted) {
                return Err(fixed("link", self.name_of(wanted), name(is.map(Link::index)), link));
            }
        }
        if let Some(peer) = new.peer_name() {
            let is = name(link.link());
            if is != peer {
                return Err(fixed("peer", peer.to_owned(), is, link));
            }
        }
        Ok(())
    }

    fn ensure_address(
        &mut self,
        which: &LinkRef,
        spec: AddressSpec,
        adopt: bool,
    ) -> Result<(), Refusal> {
        let target = self.resolve(which)?;
        let there = self.base_link(target).and_then(|link| {
            let address = self.base().address(&spec.key(link.index()))?;
            Some((spec.lacks(address).is_none(), AddressSpec::of(address)?))
        });
        match there {
            Some((true, _)) => Ok(()),
            Some((false, own)) if adopt => {
                self.del_ip(target, own)?;
                self.add_ip(target, spec)
            }
            _ => self.add_ip(target, spec),
        }
    }
}

/// What of the wanted attributes is not so.
///
/// # Errors
/// When it can only be said at creation.
fn lacking(
    table: &'static Table,
    wanted: &Record,
    is: Option<&Record>,
    link: &Link,
) -> Result<Record, Refusal> {
    let mut lacking = Record::new(table);
    for (id, row, value) in wanted.fields() {
        let have = is.and_then(|is| is.value(id));
        let none = |value: Option<&Value>| value.and_then(Value::number).unwrap_or(0) == 0;
        let same =
            have == Some(value) || have.is_none() && value.number().is_some() && none(Some(value));
        let rounded = row.unit == "1/100 s"
            && have
                .and_then(Value::number)
                .is_some_and(|have| value.number().is_some_and(|want| want.abs_diff(have) <= 1));
        if same || rounded || row.role == Role::Action && row.name.is_empty() {
            continue;
        }
        if matches!(row.role, Role::Create | Role::Identity) {
            let is = have.map_or("none".to_owned(), |have| row.text(have));
            return Err(fixed(row.name, row.text(value), is, link));
        }
        lacking.set(id, value.clone());
    }
    Ok(lacking)
}

fn fixed(what: &'static str, value: String, is: String, link: &Link) -> Refusal {
    let why = format!("`{}` has {is}, and only its creation can say it", link.name());
    Refusal::Invalid { what, value, why }
}
