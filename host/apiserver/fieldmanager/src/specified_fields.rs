//! The set of fields that an object specifies.

use serde_json::Value;

use crate::field_set::{FieldSet, SetNode};
use crate::path::PathElement;
use crate::types::{FieldType, ResolvedAtom};

/// Returns the set of fields that an object specifies: its leaves, the items of its `set` and `map`
/// lists, the undeclared keys of its maps, and fields that are explicitly empty or null.
pub(crate) fn specified_fields(field_type: &FieldType, object: &Value) -> FieldSet {
    let mut root = SetNode::default();
    collect_fields(field_type, object, &mut root);
    root.children
}

fn collect_fields(field_type: &FieldType, value: &Value, node: &mut SetNode) {
    match (field_type.resolve(Some(value)), value) {
        (ResolvedAtom::Scalar(_), _) => node.is_member = true,
        (resolved, _) if resolved.is_atomic() => node.is_member = true,
        (ResolvedAtom::Map(map), Value::Object(fields)) => {
            for (name, value) in fields {
                let (field_type, is_declared) = map.field_type(name);
                let mut child = SetNode::default();
                collect_fields(field_type, value, &mut child);
                let is_empty = match value {
                    Value::Null => true,
                    Value::Object(inner) => inner.is_empty(),
                    _ => false,
                };
                child.is_member |= is_empty || !is_declared;
                node.children
                    .insert_node(PathElement::Field(name.clone()), child);
            }
        }
        (ResolvedAtom::List(list), Value::Array(items)) => {
            let mut elements: Vec<(PathElement, &Value)> = items
                .iter()
                .filter_map(|item| Some((list.path_element(item).ok()?, item)))
                .collect();
            elements.sort_by(|(l, _), (r, _)| l.cmp(r));
            for duplicates in elements.chunk_by(|(l, _), (r, _)| l == r) {
                let Some((element, item)) = duplicates.first() else {
                    continue;
                };
                let mut child = SetNode::leaf();
                // Duplicate items are owned together, as one field.
                if duplicates.len() == 1 {
                    collect_fields(&list.element, item, &mut child);
                }
                node.children.insert_node(element.clone(), child);
            }
        }
        (ResolvedAtom::Map(_) | ResolvedAtom::List(_), _) => {}
    }
}

/// Adds the declared parent fields of all members to the set, so that giving up all fields of a
/// struct gives up the struct. Keys of maps and items of lists are not added.
pub(crate) fn with_declared_parents(field_type: &FieldType, set: &FieldSet) -> FieldSet {
    let atom = field_type.atom();
    let mut out = FieldSet::default();
    for (element, node) in set.nodes() {
        let (child, is_declared) = match (element, &atom.map, &atom.list) {
            (PathElement::Field(name), Some(map), _) => {
                let is_declared = map.fields.contains_key(name);
                (map.field_type(name).0, is_declared)
            }
            (PathElement::Key(_), _, Some(list)) => (&list.element, false),
            _ => (&FieldType::Opaque, false),
        };
        out.insert_node(
            element.clone(),
            SetNode {
                is_member: node.is_member || (is_declared && !node.children.is_empty()),
                children: with_declared_parents(child, &node.children),
            },
        );
    }
    out
}
