//! What differs between two objects, field by field as their types divide them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::path::PathElement;
use crate::set::{FieldSet, SetNode};
use crate::types::{ListAtom, MapAtom, ResolvedAtom, FieldType};
use crate::value;

/// The fields that only the old object has, those that both have with another value, and those that only the new one has.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectComparison {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

impl ObjectComparison {
    /// Compares two objects of one type.
    pub(crate) fn between(ty: &FieldType, old: &Value, new: &Value) -> Self {
        let mut change = NodeComparison::default();
        compare_values(ty, Some(old), Some(new), &mut change);
        Self {
            removed: change.removed.children,
            modified: change.modified.children,
            added: change.added.children,
        }
    }

    /// The comparison without these fields and all below them.
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

/// The three sets while they grow, at one place of the object.
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
        for (own, child) in [
            (&mut self.removed, child.removed),
            (&mut self.modified, child.modified),
            (&mut self.added, child.added),
        ] {
            if !child.is_empty() {
                own.children.insert_node(element(), child);
            }
        }
    }
}

fn compare_values(ty: &FieldType, old: Option<&Value>, new: Option<&Value>, change: &mut NodeComparison) {
    let leaf = match (old, new) {
        (None, None) => return,
        (Some(old), None) => compare_resolved(ty.resolve(Some(old)), Some(old), None, change),
        (None, Some(new)) => compare_resolved(ty.resolve(Some(new)), None, Some(new), change),
        (Some(l), Some(r)) => {
            let (left, right) = (ty.resolve(Some(l)), ty.resolve(Some(r)));
            if std::mem::discriminant(&left) != std::mem::discriminant(&right) {
                // The form has changed: what the old one held below is gone.
                compare_resolved(left, old, new, change);
            }
            compare_resolved(right, old, new, change)
        }
    };
    if !leaf {
        change.added.is_member |= old.is_none();
        change.removed.is_member |= new.is_none();
    }
}

/// Returns whether the values were compared as one.
fn compare_resolved(
    shape: ResolvedAtom<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    change: &mut NodeComparison,
) -> bool {
    match shape {
        ResolvedAtom::Scalar(_) => {
            change.compare_leaf(old, new);
            true
        }
        ResolvedAtom::Map(map) => {
            let (l, r) = (
                old.and_then(Value::as_object),
                new.and_then(Value::as_object),
            );
            let empty = l.is_none_or(Map::is_empty) && r.is_none_or(Map::is_empty);
            if map.is_atomic || empty {
                change.compare_leaf(old, new);
                return true;
            }
            compare_fields(map, l, r, change);
            false
        }
        ResolvedAtom::List(list) => {
            let items =
                |v: Option<&'_ Value>| -> usize { v.and_then(Value::as_array).map_or(0, Vec::len) };
            if list.is_atomic() || (items(old) == 0 && items(new) == 0) {
                change.compare_leaf(old, new);
                return true;
            }
            compare_items(list, group_by_element(list, old), group_by_element(list, new), change);
            false
        }
    }
}

fn compare_fields(
    map: &MapAtom,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    change: &mut NodeComparison,
) {
    let mut field = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        let mut child = NodeComparison::default();
        compare_values(map.field_type(name).0, old, new, &mut child);
        change.add_child(|| PathElement::Field(name.clone()), child);
    };
    for (name, old) in old.into_iter().flatten() {
        match new.and_then(|new| new.get(name)) {
            // Most of an object stays as it is; equality is much cheaper than the walk.
            Some(new) if old == new => {}
            new => field(name, Some(old), new),
        }
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            field(name, None, Some(value));
        }
    }
}

type ItemsByElement<'a> = BTreeMap<PathElement, Vec<&'a Value>>;

fn group_by_element<'a>(list: &ListAtom, value: Option<&'a Value>) -> ItemsByElement<'a> {
    let mut out = ItemsByElement::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        // An item that nothing tells apart is nobody's: validation refuses it, and nothing can be said about it here.
        if let Ok(element) = list.path_element(item) {
            out.entry(element).or_default().push(item);
        }
    }
    out
}

fn compare_items(list: &ListAtom, old: ItemsByElement<'_>, new: ItemsByElement<'_>, change: &mut NodeComparison) {
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
            // Items that are there twice count together, as one.
            ([_, _, ..], [_, _, ..]) => {
                let same = l.len() == r.len() && l.iter().zip(r).all(|(l, r)| value::is_equal(l, r));
                child.modified.is_member = !same;
            }
            ([_, _, ..], one) => {
                compare_values(&list.element, None, one.first().copied(), &mut child);
                child.removed.is_member = true;
            }
            (one, _) => {
                compare_values(&list.element, one.first().copied(), None, &mut child);
                child.added.is_member = true;
            }
        }
        change.add_child(|| element.clone(), child);
    }
}
