//! Adaptation of a stored set to types that have changed since it was written.

use crate::field_set::{FieldSet, SetNode};
use crate::path::PathElement;
use crate::types::{FieldType, ResolvedAtom};

/// Returns the set adapted to its current types: a field that has become atomic is owned as a
/// whole. Returns `None` if nothing changes.
pub(crate) fn reconcile_set(field_type: &FieldType, set: &FieldSet) -> Option<FieldSet> {
    // Types rarely change, and checking first avoids the copy.
    reaches_into_atomic(field_type, set).then(|| rebuild(field_type, set))
}

/// Returns the type of the fields below an element of the set, if there are any and if the type
/// declares them. There is no value to resolve the type with, so the type is resolved as for an
/// absent one.
fn type_below<'a>(
    field_type: &'a FieldType,
    element: &PathElement,
    node: &SetNode,
) -> Option<&'a FieldType> {
    if node.children.is_empty() {
        return None;
    }
    match (field_type.resolve(None), element) {
        // Deduced types do not declare what is atomic.
        (ResolvedAtom::Map(map), _)
            if map.fields.is_empty() && matches!(map.additional, Some(FieldType::Deduced)) =>
        {
            None
        }
        (ResolvedAtom::Map(map), PathElement::Field(name)) => {
            map.fields.get(name).or(map.additional.as_ref())
        }
        (ResolvedAtom::List(list), _) => Some(&list.element),
        _ => None,
    }
}

fn reaches_into_atomic(field_type: &FieldType, set: &FieldSet) -> bool {
    set.nodes().iter().any(|(element, node)| {
        type_below(field_type, element, node).is_some_and(|below| {
            below.resolve(None).is_atomic() || reaches_into_atomic(below, &node.children)
        })
    })
}

fn rebuild(field_type: &FieldType, set: &FieldSet) -> FieldSet {
    let mut out = FieldSet::default();
    for (element, node) in set.nodes() {
        let node = match type_below(field_type, element, node) {
            None => node.clone(),
            Some(below) if below.resolve(None).is_atomic() => SetNode::leaf(),
            Some(below) => SetNode {
                is_member: node.is_member,
                children: rebuild(below, &node.children),
            },
        };
        out.insert_node(element.clone(), node);
    }
    out
}
