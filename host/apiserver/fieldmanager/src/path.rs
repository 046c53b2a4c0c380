//! Paths into an object, and the elements that they consist of.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use crate::value;

/// One element of a path: a field, an item of a `map` list by its keys, an item of a `set` list by
/// its value, or an index.
#[derive(Clone, Debug)]
pub enum PathElement {
    /// A field of a map, `f:name` in `fieldsV1`.
    Field(String),
    /// The item of a `map` list that has these key fields (sorted by name), `k:{"name":"x"}` in
    /// `fieldsV1`.
    Key(Vec<(String, Value)>),
    /// The item of a `set` list that has this value, `v:"x"` in `fieldsV1`.
    Value(Value),
    /// The item of a list at this index, `i:0` in `fieldsV1`. This crate never creates them; those
    /// that other writers created are preserved.
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

    /// Compares this element with the field `name` without allocating an element for it.
    pub(crate) fn cmp_field(&self, name: &str) -> Ordering {
        match self {
            Self::Field(field) => field.as_str().cmp(name),
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

/// Formats the element as Kubernetes does in messages: `.name`, `[name="x",proto="TCP"]`,
/// `[="x"]`, `[0]`.
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

/// A path from the root of an object. Its `Display` is the form used in conflicts:
/// `.spec.list[name="x"].value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<PathElement>);

impl FieldPath {
    /// Returns the path of nested fields.
    ///
    /// ```
    /// # use rdd_apiserver_fieldmanager::FieldPath;
    /// let path = FieldPath::from_fields(&["spec", "replicas"]);
    /// assert_eq!(path.to_string(), ".spec.replicas");
    /// ```
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

/// Returns the fields that a write cannot set and therefore cannot own
/// ([`crate::TrackingRequest::reset_fields`]): a write to a kind with a `/status` subresource does not
/// change `status`, and a write to `/status` does not change `metadata` and `spec`.
pub fn reset_fields(subresource: Option<&str>, has_status: bool) -> Vec<FieldPath> {
    match subresource {
        Some("status") => vec![
            FieldPath::from_fields(&["metadata"]),
            FieldPath::from_fields(&["spec"]),
        ],
        None if has_status => vec![FieldPath::from_fields(&["status"])],
        _ => Vec::new(),
    }
}
