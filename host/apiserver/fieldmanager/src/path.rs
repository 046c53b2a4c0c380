//! One step into an object, and the path that several steps make.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use crate::value;

/// One step of a path: a field, an item of a `map` list by its keys, an item of a `set` list by its value, or an index.
#[derive(Clone, Debug)]
pub enum PathElement {
    /// A field of a map, printed `f:name`.
    Field(String),
    /// The item of a list of type `map` with these key fields (sorted by name), printed `k:{"name":"x"}`.
    Key(Vec<(String, Value)>),
    /// The item of a list of type `set` with this value, printed `v:"x"`.
    Value(Value),
    /// The item of a list at this place, printed `i:0`. Only other writers make them; they are kept as they came.
    Index(i64),
}

impl PathElement {
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }

    /// The order between this element and a field of that name, without making an element of it.
    pub(crate) fn cmp_field(&self, name: &str) -> Ordering {
        match self {
            Self::Field(own) => own.as_str().cmp(name),
            _ => Ordering::Greater,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(l), Self::Field(r)) => l.cmp(r),
            (Self::Key(l), Self::Key(r)) => {
                for ((lk, lv), (rk, rv)) in l.iter().zip(r) {
                    match lk.cmp(rk).then_with(|| value::compare(lv, rv)) {
                        Ordering::Equal => {}
                        order => return order,
                    }
                }
                l.len().cmp(&r.len())
            }
            (Self::Value(l), Self::Value(r)) => value::compare(l, r),
            (Self::Index(l), Self::Index(r)) => l.cmp(r),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PathElement {}

/// As Kubernetes writes it in messages: `.name`, `[name="x",proto="TCP"]`, `[="x"]`, `[0]`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path from the root of an object, printed as in conflicts: `.spec.list[name="x"].value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<PathElement>);

impl FieldPath {
    /// The path of nested fields: `FieldPath::of(&["spec", "replicas"])` is `.spec.replicas`.
    pub fn from_fields(names: &[&str]) -> Self {
        Self(
            names
                .iter()
                .map(|name| PathElement::Field((*name).to_owned()))
                .collect(),
        )
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}

/// The fields that a write may not set, and so may not own ([`crate::TrackingRequest::ignored`]): a write to a kind that has a
/// `/status` leaves `status` alone, one to `/status` leaves `metadata` and `spec` alone.
pub fn reset_fields(subresource: Option<&str>, has_status: bool) -> Vec<FieldPath> {
    match subresource {
        Some("status") => vec![FieldPath::of(&["metadata"]), FieldPath::of(&["spec"])],
        None if has_status => vec![FieldPath::of(&["status"])],
        _ => Vec::new(),
    }
}
