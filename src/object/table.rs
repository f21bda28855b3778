//! Tables: what a row says, and the macro that turns rows into a table, accessors and setters.

use std::ops::RangeInclusive;

use super::{Record, Shape, Tree, Value};

/// The table of one object kind, or of the attributes inside one attribute.
#[derive(Debug)]
pub struct Table {
    /// What it describes: `link`, `bridge`.
    pub name: &'static str,
    /// Bytes of the fixed struct before the attributes (`struct ifinfomsg`: 16).
    pub header: usize,
    /// The rows, in the order in which `ip` shows them.
    pub rows: &'static [Row],
    /// For each attribute type below its length: what `rows` know of it.
    pub index: [Lookup; 128],
}

/// One attribute: everything there is to say about it.
#[derive(Debug)]
pub struct Row {
    /// The accessor's name.
    pub accessor: &'static str,
    /// The key in `ip -json`.
    pub name: &'static str,
    /// The kernel's constant.
    pub constant: &'static str,
    /// Where it stands.
    pub place: Place,
    /// How its bytes are read.
    pub shape: Shape,
    /// Who may change it.
    pub role: Role,
    /// How JSON and text show it.
    pub form: Form,
    /// The word before its value in `ip link set`, or inside `type KIND` on creation; empty where there is none.
    pub keyword: &'static str,
    /// The unit of the number.
    pub unit: &'static str,
    /// How that command writes the value, where it differs from JSON's way.
    pub argument: Argument,
    /// When the kernel changes it without a notification.
    pub silent: Silent,
    /// Where the fixed struct holds the low eight bits of it for old programs; the attribute overrides them.
    pub narrow: Option<usize>,
    /// Bits that the kernel flips by itself, often without a word: never compared, never sent (K8).
    pub volatile: u64,
    /// The values that the kernel takes; outside, a request is refused before it is sent.
    pub range: RangeInclusive<u64>,
    /// The number by which a *request* says "none", where an absent attribute in a notification says it (K49).
    pub none: Option<u64>,
    /// What it is.
    pub doc: &'static str,
}

impl Row {
    /// What a row says when it does not say otherwise.
    pub const DEFAULT: Row = Row {
        accessor: "",
        name: "",
        constant: "",
        place: Place::Header(0),
        shape: Shape::Bytes,
        role: Role::Status,
        form: Form::Plain,
        keyword: "",
        unit: "",
        argument: Argument::Shown,
        silent: Silent::Never,
        narrow: None,
        volatile: 0,
        range: 0..=u64::MAX,
        none: None,
        doc: "",
    };

    /// Whether a difference in it makes two records different.
    pub fn compared(&self) -> bool {
        !matches!(self.role, Role::Statistic | Role::Action)
    }

    /// Its name by itself: the key in `ip -json`, unless several share that.
    pub fn title(&self) -> &'static str {
        if matches!(self.form, Form::Member(_)) { self.accessor } else { self.name }
    }

    /// A value of it by its name, where it has one.
    pub fn text(&self, value: &Value) -> String {
        let named = match self.form {
            Form::Names(names) | Form::Words(names) => {
                names.iter().find(|(number, _)| value.number() == Some(*number))
            }
            _ => None,
        };
        named.map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
    }

    /// Whether a request may carry it.
    pub fn settable(&self) -> bool {
        matches!(self.role, Role::Set | Role::Create | Role::Action)
    }
}

/// Where an attribute stands in the message.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the fixed struct, at this offset.
    Header(usize),
    /// In an attribute: the types from the outermost to itself.
    Path(&'static [u16]),
}

/// Who may change an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It says which object this is.
    Identity,
    /// It can be changed at any time.
    Set,
    /// It can be given when the object is created, not later.
    Create,
    /// The kernel decides.
    Status,
    /// A counter or timer: readable, never compared.
    Statistic,
    /// It does something when a request carries it; the kernel never reports it.
    Action,
}

/// How an `ip link` command line writes a value.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// As JSON shows it.
    Shown,
    /// The number.
    Number,
    /// `on` or `off`.
    OnOff,
    /// `1` or `0`.
    ZeroOne,
    /// The word alone when on, the word with `no` before it when off.
    NoWord,
    /// By a function, which gives the row's keyword too.
    By(fn(&Value) -> String),
}

/// When the kernel changes an attribute without a notification (KERNEL 3I, K51).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// Every change is announced.
    Never,
    /// Not announced while the link is down.
    WhileDown,
    /// Never announced.
    Always,
}

/// How JSON and text show a value.
#[derive(Clone, Copy)]
pub enum Form {
    /// As its shape is: a number, a text, an address.
    Plain,
    /// By name; a number that has none as a number.
    Names(&'static [(u64, &'static str)]),
    /// By name; a number that has none as a text of digits.
    Words(&'static [(u64, &'static str)]),
    /// The names of its bits, as a list.
    Bits(&'static [(u64, &'static str)]),
    /// `true` or `false`.
    Bool,
    /// `true`, or left out when zero.
    OnlyTrue,
    /// A number, left out when zero.
    NotZero,
    /// Hexadecimal text with `0x`.
    Hex,
    /// Hundredths of a second as a number of seconds with two decimals.
    Hundredths,
    /// An interface index, by the name of the interface; `if7` where nobody knows the name.
    Link,
    /// This name in a list that several rows share, when it is on.
    Member(&'static str),
    /// Not shown.
    Hidden,
    /// Shown by a function, which adds what it wants to the object.
    Custom(Show),
}

/// Shows one value: the value, the whole record, and names for indexes; adds keys to the object.
pub type Show = fn(&Value, &Record, &dyn Names, &mut Vec<(String, Tree)>);

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Form::Plain => "Plain",
            Form::Names(_) => "Names",
            Form::Words(_) => "Words",
            Form::Bits(_) => "Bits",
            Form::Bool => "Bool",
            Form::OnlyTrue => "OnlyTrue",
            Form::NotZero => "NotZero",
            Form::Hex => "Hex",
            Form::Hundredths => "Hundredths",
            Form::Link => "Link",
            Form::Member(_) => "Member",
            Form::Hidden => "Hidden",
            Form::Custom(_) => "Custom",
        })
    }
}

/// Who knows the names of interface indexes: a snapshot.
pub trait Names {
    /// The name of the interface with this index.
    fn name_of(&self, index: u32) -> Option<&str>;

    /// Whether the interface with this index is up.
    fn is_up(&self, index: u32) -> Option<bool> {
        let _ = index;
        None
    }
}

/// Nobody knows any name.
impl Names for () {
    fn name_of(&self, _: u32) -> Option<&str> {
        None
    }
}

/// A table is known by its name.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Table {}

/// What a table knows of an attribute type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing.
    Unknown,
    /// It is the row at this position.
    Row(u16),
    /// Rows stand inside it.
    Inside,
    /// Several rows stand in it, some bits each.
    Options,
}

impl Table {
    /// What this table knows of the attribute type `number` inside `path`.
    pub fn lookup(&self, path: &[u16], number: u16) -> Lookup {
        if path.is_empty() {
            return self.index.get(usize::from(number)).copied().unwrap_or(Lookup::Unknown);
        }
        let mut found = Lookup::Unknown;
        for (id, row) in self.rows.iter().enumerate() {
            let Place::Path(own) = row.place else { continue };
            // Most rows stand somewhere else, and say so by their first number.
            if own[0] != path[0] {
                continue;
            }
            let Some(rest) = own.strip_prefix(path) else { continue };
            match rest {
                [last] if *last == number && row.shape.is_shared() => {
                    return Lookup::Options;
                }
                [last] if *last == number => return Lookup::Row(id as u16),
                [first, _, ..] if *first == number => found = Lookup::Inside,
                _ => {}
            }
        }
        found
    }

    /// The row with this key or accessor name.
    pub fn row(&self, name: &str) -> Option<(u16, &'static Row)> {
        let id = self.rows.iter().position(|row| row.accessor == name || row.name == name)?;
        Some((id as u16, &self.rows[id]))
    }

    /// The kernel's names for a path of attribute types, for an error that the kernel located (K43).
    pub fn name_path(&self, path: &[u16]) -> Option<&'static str> {
        self.rows
            .iter()
            .find(
                |row| matches!(row.place, Place::Path(own) if path.starts_with(own) || own == path),
            )
            .map(|row| row.constant)
    }

    #[doc(hidden)]
    pub const fn index(rows: &[Row]) -> [Lookup; 128] {
        let mut index = [Lookup::Unknown; 128];
        let mut i = 0;
        while i < rows.len() {
            if let Place::Path(path) = rows[i].place {
                let number = path[0] as usize;
                index[number] = match (path.len(), rows[i].shape) {
                    (1, shape) if shape.is_shared() => Lookup::Options,
                    (1, _) => Lookup::Row(i as u16),
                    _ => Lookup::Inside,
                };
            }
            i += 1;
        }
        index
    }
}

/// Declares a table: its rows, a field number for each, accessors on `$view`, and setters on each `$setter`.
///
/// ```text
/// table! {
///     /// What it describes.
///     pub static LINK: "link", header 16;
///     fields row;                        // module of field numbers
///     view [] Link;                      // accessors go here; needs `fn record(&self) -> &Record`
///     setters [Bridge BridgeOptions];    // by-value setters go here; each needs `fn record_mut(&mut self)`
///     rows {
///         /// Doc, with units.
///         MTU mtu or 0: U32 = Path(&[4]), "IFLA_MTU", Set, keyword: "mtu", unit: "bytes";
///     }
/// }
/// ```
///
/// An accessor gives an `Option`, or with `or DEFAULT` behind its name the bare value.
macro_rules! table {
    (
        $(#[$meta:meta])* pub static $table:ident: $name:literal, header $header:expr;
        fields $fields:ident;
        view [$($life:lifetime)?] $view:ty;
        setters [$($setter:ident)*];
        rows { $($(#[doc = $doc:literal])+ $field:ident $accessor:ident $(or $default:tt)?: $shape:ty = $place:expr, $constant:literal, $role:ident $(, $key:ident: $value:expr)*;)* }
    ) => {
        $(#[$meta])*
        pub static $table: $crate::object::Table = {
            #[allow(unused_imports)]
            use $crate::object::{Argument, Argument::{By, NoWord, OnOff, ZeroOne}, Form::*, Place::*, Silent::*};
            use $crate::object::{Role, Row, Table, Typed};
            #[allow(unused_imports)]
            use $crate::object::shape::*;
            const ROWS: &[Row] = &[$(Row {
                $($key: $value,)*
                ..Row {
                    accessor: stringify!($accessor),
                    name: stringify!($accessor),
                    constant: $constant,
                    place: $place,
                    shape: <$shape as Typed>::SHAPE,
                    form: <$shape as Typed>::FORM,
                    role: Role::$role,
                    doc: concat!($($doc),+),
                    ..Row::DEFAULT
                }
            }),*];
            Table { name: $name, header: $header, rows: ROWS, index: Table::index(ROWS) }
        };

        /// The number of each row.
        #[allow(missing_docs, dead_code)]
        pub mod $fields {
            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            enum Number { $($field),* }
            $(pub const $field: u16 = Number::$field as u16;)*
        }

        impl $(<$life>)? $view {
            $($crate::object::table::table!(
                @accessor $fields $field $accessor [$shape] [$($default)?] $constant $($doc)+
            );)*
        }

        $crate::object::table::table!(@setters [$($setter)*] $fields { $($(#[doc = $doc])+ $field $accessor $shape, $role;)* });
    };
    (@accessor $fields:ident $field:ident $accessor:ident [$shape:ty] [] $constant:literal $($doc:literal)+) => {
        $(#[doc = $doc])+
        #[doc = ""]
        #[doc = concat!("`None` when the kernel does not say. Source: `", $constant, "`.")]
        #[doc(alias = $constant)]
        pub fn $accessor(&self) -> Option<<$shape as $crate::object::Typed>::Out<'_>> {
            <$shape as $crate::object::Typed>::read(self.record().value($fields::$field)?)
        }
    };
    (@accessor $fields:ident $field:ident $accessor:ident [$shape:ty] [$default:tt] $constant:literal $($doc:literal)+) => {
        $(#[doc = $doc])+
        #[doc = ""]
        #[doc = concat!("Source: `", $constant, "`.")]
        #[doc(alias = $constant)]
        pub fn $accessor(&self) -> <$shape as $crate::object::Typed>::Out<'_> {
            let value = self.record().value($fields::$field);
            value.and_then(<$shape as $crate::object::Typed>::read).unwrap_or($default)
        }
    };
    (@setters [] $fields:ident $rows:tt) => {};
    (@setters [$first:ident $($rest:ident)*] $fields:ident { $($(#[doc = $doc:literal])+ $field:ident $accessor:ident $shape:ty, $role:ident;)* }) => {
        $($crate::object::table::table!(@setter $role $first $fields $field $accessor [$shape] $($doc)+);)*
        $crate::object::table::table!(@setters [$($rest)*] $fields { $($(#[doc = $doc])+ $field $accessor $shape, $role;)* });
    };
    (@setter Set $on:ident $fields:ident $field:ident $accessor:ident [$shape:ty] $($doc:literal)+) => {
        impl $on {
            $(#[doc = $doc])+
            pub fn $accessor(mut self, value: impl Into<<$shape as $crate::object::Typed>::In>) -> Self {
                <$shape as $crate::object::Typed>::store(value.into(), self.record_mut(), $fields::$field);
                self
            }
        }
    };
    (@setter Create $on:ident $fields:ident $field:ident $accessor:ident [$shape:ty] $($doc:literal)+) => {
        $crate::object::table::table!(@setter Set $on $fields $field $accessor [$shape] $($doc)+ "\n\nOnly when the interface is created.");
    };
    (@setter Action $on:ident $fields:ident $field:ident $accessor:ident [$shape:ty] $($doc:literal)+) => {
        $crate::object::table::table!(@setter Set $on $fields $field $accessor [$shape] $($doc)+);
    };
    (@setter $role:ident $on:ident $fields:ident $field:ident $accessor:ident [$shape:ty] $($doc:literal)+) => {};
}
pub(crate) use table;
