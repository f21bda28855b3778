//! Facts: one thing that a transaction wants to be so, and how to see in a snapshot whether it is.

use super::{AddressSpec, bridge_vlans, ports, rings};
use crate::object::{LINK, Link, Row, Table, Value};
use crate::state::Snapshot;

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// That the interface is there.
    Exists,
    /// An attribute of the interface.
    Link(u16),
    /// One flag.
    Flag(u32),
    /// An option: in the row `DATA` (of its kind) or `PORT` (as a port), of this table, this row.
    Option(u16, &'static Table, u16),
    /// An alternative name.
    Altname(Box<str>),
    /// An address.
    Address(AddressSpec),
    /// The VLAN with this number: of a bridge itself, or of a port. Its value is how it is: `BRIDGE_VLAN_INFO_*`.
    Vlan(bool, u16),
    /// The tunnel by which the VLAN with this number of a port goes.
    Tunnel(u16),
}

/// One thing that is wanted to be so about the interface with an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The interface's index.
    pub index: u32,
    /// What it is about.
    pub field: Field,
    /// How it is to be; `None` is not there.
    pub want: Option<Value>,
}

impl Fact {
    /// How it is in a snapshot, in the form of `want`: `None` is not there.
    pub fn state(&self, now: &Snapshot) -> Option<Value> {
        let link = now.link_by_index(self.index)?;
        match &self.field {
            Field::Exists => Some(Value::Present),
            Field::Link(id) => link_value(link, *id),
            Field::Flag(bit) => Some(Value::Number(u64::from(link.flags().0 & bit != 0))),
            Field::Option(part, table, id) => {
                let options = link.record().value(*part)?.nested()?;
                (options.table() == *table).then(|| options.value(*id).cloned()).flatten()
            }
            Field::Altname(name) => {
                link.altnames().iter().any(|own| own == name).then_some(Value::Present)
            }
            Field::Vlan(..) | Field::Tunnel(_) => bridge_vlans::state(self.index, &self.field, now),
            Field::Address(spec) => {
                let address = now.address(&spec.key(self.index))?;
                Some(spec.lacks(address).map_or(Value::Present, |what| what.as_str().into()))
            }
        }
    }

    /// Whether it is so.
    pub fn holds(&self, now: &Snapshot) -> bool {
        self.agrees(self.state(now).as_ref())
    }

    /// Whether a state is the wanted one.
    pub fn agrees(&self, state: Option<&Value>) -> bool {
        match (&self.want, state) {
            (Some(Value::Number(want)), Some(Value::Number(have))) if self.is_rounded() => {
                want.abs_diff(*have) <= 1
            }
            (Some(want), Some(have)) => self.seen(want).as_ref().unwrap_or(want) == have,
            (None, None) => true,
            (None, Some(have)) => is_none(self.row(), have),
            (Some(_), None) if self.is_untold() => true,
            (Some(want), None) => is_none(self.row(), self.seen(want).as_ref().unwrap_or(want)),
        }
    }

    /// What is seen of it, where that is not all that a request says.
    fn seen(&self, want: &Value) -> Option<Value> {
        match self.field {
            Field::Option(_, table, id) => ports::seen(table, id, want),
            _ => None,
        }
    }

    fn is_untold(&self) -> bool {
        matches!(self.field, Field::Option(_, table, id) if rings::is_untold(table, id))
    }

    /// Times come back as the kernel's clock can tell them: 1/100 s through jiffies, up to one lost.
    fn is_rounded(&self) -> bool {
        self.row().is_some_and(|row| row.unit == "1/100 s")
    }

    fn row(&self) -> Option<&'static Row> {
        match self.field {
            Field::Link(id) => LINK.rows.get(usize::from(id)),
            Field::Option(_, table, id) => table.rows.get(usize::from(id)),
            _ => None,
        }
    }

    /// A state of it as a text for people.
    pub fn text(&self, state: Option<&Value>) -> String {
        match (self.row(), state) {
            (Some(row), Some(value)) => row.text(value),
            _ => text(state),
        }
    }

    /// What it is about, as a text: `mtu of eth0`.
    pub fn title(&self, names: &Snapshot) -> String {
        let name = super::rules::name(self.index, names);
        match &self.field {
            Field::Exists => format!("interface `{name}`"),
            Field::Flag(bit) => format!("flag {} of `{name}`", crate::object::LinkFlags(*bit)),
            Field::Altname(altname) => format!("altname `{altname}` of `{name}`"),
            Field::Address(spec) => format!("address {spec} of `{name}`"),
            Field::Vlan(..) | Field::Tunnel(_) => {
                format!("{} of `{name}`", bridge_vlans::title(&self.field))
            }
            Field::Link(_) | Field::Option(..) => {
                format!("{} of `{name}`", self.row().map_or("option", Row::title))
            }
        }
    }
}

/// An attribute's value; none where the kernel spells it by absence, and an absent number as none.
fn link_value(link: &Link, id: u16) -> Option<Value> {
    let value = link.record().value(id)?;
    let row = &LINK.rows[usize::from(id)];
    (!is_none(Some(row), value)).then(|| value.clone())
}

/// Whether a value is how a request spells "none" (K49): master 0, an empty alias.
fn is_none(row: Option<&Row>, value: &Value) -> bool {
    match value {
        Value::Number(n) => row.is_some_and(|row| row.none == Some(*n)),
        Value::Text(text) => text.is_empty(),
        Value::V4(address) => address.is_unspecified(),
        Value::V6(address) => address.is_unspecified(),
        Value::Hardwares(all) => all.is_empty(),
        Value::Ips(all) => all.is_empty(),
        Value::Records(all) => all.is_empty(),
        _ => false,
    }
}

/// A state as a text for people.
pub fn text(state: Option<&Value>) -> String {
    match state {
        None => "none".to_owned(),
        Some(Value::Present) => "there".to_owned(),
        Some(Value::Number(n)) => n.to_string(),
        Some(value) => value.to_string(),
    }
}
