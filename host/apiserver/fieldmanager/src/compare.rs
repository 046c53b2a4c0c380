//! Comparison of two objects, field by field, at the granularity of their types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::field_set::{FieldSet, SetNode};
use crate::path::PathElement;
use crate::types::{FieldType, ListAtom, MapAtom, ResolvedAtom};
use crate::value;

/// The fields that only the old object has, those whose values differ, and those that only the new
/// object has.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectComparison {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

impl ObjectComparison {
    /// Compares two objects of one type.
    pub(crate) fn between(field_type: &FieldType, old: &Value, new: &Value) -> Self {
        let mut root = NodeComparison::default();
        compare_values(field_type, Some(old), Some(new), &mut root);
        Self {
            removed: root.removed.children,
            modified: root.modified.children,
            added: root.added.children,
        }
    }

    /// Removes these fields, and all fields below them, from the comparison.
    pub(crate) fn exclude_fields(self, fields: &FieldSet) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// The comparison of one field while it is built.
#[derive(Default)]
struct NodeComparison {
    removed: SetNode,
    modified: SetNode,
    added: SetNode,
}

impl NodeComparison {
    fn compare_leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.added.is_member = true,
            (_, None) => self.removed.is_member = true,
            (Some(old), Some(new)) => self.modified.is_member |= !value::is_equal(old, new),
        }
    }

    fn add_child(&mut self, element: impl Fn() -> PathElement, child: Self) {
        for (parent, child) in [
            (&mut self.removed, child.removed),
            (&mut self.modified, child.modified),
            (&mut self.added, child.added),
        ] {
            if !child.is_empty() {
                parent.children.insert_node(element(), child);
            }
        }
    }
}

fn compare_values(
    field_type: &FieldType,
    old: Option<&Value>,
    new: Option<&Value>,
    out: &mut NodeComparison,
) {
    let is_leaf = match (old, new) {
        (None, None) => return,
        (Some(old), None) => compare_resolved(field_type.resolve(Some(old)), Some(old), None, out),
        (None, Some(new)) => compare_resolved(field_type.resolve(Some(new)), None, Some(new), out),
        (Some(l), Some(r)) => {
            let (left, right) = (field_type.resolve(Some(l)), field_type.resolve(Some(r)));
            if std::mem::discriminant(&left) != std::mem::discriminant(&right) {
                // The value has changed between scalar, list, and map, so the fields below the old
                // value are removed.
                compare_resolved(left, old, new, out);
            }
            compare_resolved(right, old, new, out)
        }
    };
    if !is_leaf {
        out.added.is_member |= old.is_none();
        out.removed.is_member |= new.is_none();
    }
}

/// Compares two values of a resolved type. Returns whether they were compared as one leaf.
fn compare_resolved(
    resolved: ResolvedAtom<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    out: &mut NodeComparison,
) -> bool {
    match resolved {
        ResolvedAtom::Scalar(_) => {
            out.compare_leaf(old, new);
            true
        }
        ResolvedAtom::Map(map) => {
            let (l, r) = (
                old.and_then(Value::as_object),
                new.and_then(Value::as_object),
            );
            let is_empty = l.is_none_or(Map::is_empty) && r.is_none_or(Map::is_empty);
            if map.is_atomic || is_empty {
                out.compare_leaf(old, new);
                return true;
            }
            compare_fields(map, l, r, out);
            false
        }
        ResolvedAtom::List(list) => {
            let length =
                |v: Option<&'_ Value>| -> usize { v.and_then(Value::as_array).map_or(0, Vec::len) };
            if list.is_atomic() || (length(old) == 0 && length(new) == 0) {
                out.compare_leaf(old, new);
                return true;
            }
            compare_items(
                list,
                group_by_element(list, old),
                group_by_element(list, new),
                out,
            );
            false
        }
    }
}

fn compare_fields(
    map: &MapAtom,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    out: &mut NodeComparison,
) {
    let mut compare_field = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        let mut child = NodeComparison::default();
        compare_values(map.field_type(name).0, old, new, &mut child);
        out.add_child(|| PathElement::Field(name.clone()), child);
    };
    for (name, old) in old.into_iter().flatten() {
        match new.and_then(|new| new.get(name)) {
            // Most fields are unchanged, and an equality check is much cheaper than the walk.
            Some(new) if old == new => {}
            new => compare_field(name, Some(old), new),
        }
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            compare_field(name, None, Some(value));
        }
    }
}

type ItemsByElement<'a> = BTreeMap<PathElement, Vec<&'a Value>>;

fn group_by_element<'a>(list: &ListAtom, value: Option<&'a Value>) -> ItemsByElement<'a> {
    let mut out = ItemsByElement::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        // An item that cannot be identified has no owner. Validation rejects it.
        if let Ok(element) = list.path_element(item) {
            out.entry(element).or_default().push(item);
        }
    }
    out
}

fn compare_items(
    list: &ListAtom,
    old: ItemsByElement<'_>,
    new: ItemsByElement<'_>,
    out: &mut NodeComparison,
) {
    let none = Vec::new();
    let elements = old
        .keys()
        .chain(new.keys().filter(|element| !old.contains_key(*element)));
    for element in elements {
        let (l, r) = (
            old.get(element).unwrap_or(&none),
            new.get(element).unwrap_or(&none),
        );
        let mut child = NodeComparison::default();
        match (l.as_slice(), r.as_slice()) {
            ([] | [_], [] | [_]) => compare_values(
                &list.element,
                l.first().copied(),
                r.first().copied(),
                &mut child,
            ),
            // Duplicate items are compared together, as one field.
            ([_, _, ..], [_, _, ..]) => {
                let is_same =
                    l.len() == r.len() && l.iter().zip(r).all(|(l, r)| value::is_equal(l, r));
                child.modified.is_member = !is_same;
            }
            ([_, _, ..], single) => {
                compare_values(&list.element, None, single.first().copied(), &mut child);
                child.removed.is_member = true;
            }
            (single, _) => {
                compare_values(&list.element, single.first().copied(), None, &mut child);
                child.added.is_member = true;
            }
        }
        out.add_child(|| element.clone(), child);
    }
}
