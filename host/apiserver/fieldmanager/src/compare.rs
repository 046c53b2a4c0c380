//! What differs between two objects, field by field as their types divide them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::path::PathElement;
use crate::set::{FieldSet, Node};
use crate::types::{ListType, MapType, Shape, Type};
use crate::value;

/// The fields that only the old object has, those that both have with another value, and those that only the new one has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

impl Comparison {
    /// Compares two objects of one type.
    pub(crate) fn of(ty: &Type, old: &Value, new: &Value) -> Self {
        let mut change = Change::default();
        compare(ty, Some(old), Some(new), &mut change);
        Self {
            removed: change.removed.children,
            modified: change.modified.children,
            added: change.added.children,
        }
    }

    /// The comparison without these fields and all below them.
    pub(crate) fn without(self, fields: &FieldSet) -> Self {
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
struct Change {
    removed: Node,
    modified: Node,
    added: Node,
}

impl Change {
    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.added.member = true,
            (_, None) => self.removed.member = true,
            (Some(old), Some(new)) => self.modified.member |= !value::equal(old, new),
        }
    }

    fn add_child(&mut self, element: impl Fn() -> PathElement, child: Self) {
        for (own, child) in [
            (&mut self.removed, child.removed),
            (&mut self.modified, child.modified),
            (&mut self.added, child.added),
        ] {
            if !child.is_empty() {
                own.children.add(element(), child);
            }
        }
    }
}

fn compare(ty: &Type, old: Option<&Value>, new: Option<&Value>, change: &mut Change) {
    let leaf = match (old, new) {
        (None, None) => return,
        (Some(old), None) => compare_as(ty.shape(Some(old)), Some(old), None, change),
        (None, Some(new)) => compare_as(ty.shape(Some(new)), None, Some(new), change),
        (Some(l), Some(r)) => {
            let (left, right) = (ty.shape(Some(l)), ty.shape(Some(r)));
            if std::mem::discriminant(&left) != std::mem::discriminant(&right) {
                // The form has changed: what the old one held below is gone.
                compare_as(left, old, new, change);
            }
            compare_as(right, old, new, change)
        }
    };
    if !leaf {
        change.added.member |= old.is_none();
        change.removed.member |= new.is_none();
    }
}

/// Returns whether the values were compared as one.
fn compare_as(
    shape: Shape<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    change: &mut Change,
) -> bool {
    match shape {
        Shape::Scalar(_) => {
            change.leaf(old, new);
            true
        }
        Shape::Map(map) => {
            let (l, r) = (
                old.and_then(Value::as_object),
                new.and_then(Value::as_object),
            );
            let empty = l.is_none_or(Map::is_empty) && r.is_none_or(Map::is_empty);
            if map.atomic || empty {
                change.leaf(old, new);
                return true;
            }
            compare_fields(map, l, r, change);
            false
        }
        Shape::List(list) => {
            let items =
                |v: Option<&'_ Value>| -> usize { v.and_then(Value::as_array).map_or(0, Vec::len) };
            if list.is_atomic() || (items(old) == 0 && items(new) == 0) {
                change.leaf(old, new);
                return true;
            }
            compare_items(list, by_element(list, old), by_element(list, new), change);
            false
        }
    }
}

fn compare_fields(
    map: &MapType,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    change: &mut Change,
) {
    let mut field = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        let mut child = Change::default();
        compare(map.field(name).0, old, new, &mut child);
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

type Items<'a> = BTreeMap<PathElement, Vec<&'a Value>>;

fn by_element<'a>(list: &ListType, value: Option<&'a Value>) -> Items<'a> {
    let mut out = Items::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        // An item that nothing tells apart is nobody's: validation refuses it, and nothing can be said about it here.
        if let Ok(element) = list.element_of(item) {
            out.entry(element).or_default().push(item);
        }
    }
    out
}

fn compare_items(list: &ListType, old: Items<'_>, new: Items<'_>, change: &mut Change) {
    let none = Vec::new();
    let elements = old
        .keys()
        .chain(new.keys().filter(|element| !old.contains_key(*element)));
    for element in elements {
        let (l, r) = (
            old.get(element).unwrap_or(&none),
            new.get(element).unwrap_or(&none),
        );
        let mut child = Change::default();
        match (l.as_slice(), r.as_slice()) {
            ([] | [_], [] | [_]) => compare(
                &list.element,
                l.first().copied(),
                r.first().copied(),
                &mut child,
            ),
            // Items that are there twice count together, as one.
            ([_, _, ..], [_, _, ..]) => {
                let same = l.len() == r.len() && l.iter().zip(r).all(|(l, r)| value::equal(l, r));
                child.modified.member = !same;
            }
            ([_, _, ..], one) => {
                compare(&list.element, None, one.first().copied(), &mut child);
                child.removed.member = true;
            }
            (one, _) => {
                compare(&list.element, one.first().copied(), None, &mut child);
                child.added.member = true;
            }
        }
        change.add_child(|| element.clone(), child);
    }
}
