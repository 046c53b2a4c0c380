//! Walks over one object: the fields that it mentions, and what is wrong with it as an applied configuration.

use serde_json::Value;

use crate::path::PathElement;
use crate::set::{FieldSet, SetNode};
use crate::types::{ScalarAtom, ResolvedAtom, FieldType};

/// The set of fields that an object mentions: its leaves, the items of its `set` and `map` lists, undeclared keys of its
/// maps, and what it says to be empty or null.
pub(crate) fn specified_fields(ty: &FieldType, object: &Value) -> FieldSet {
    let mut root = SetNode::default();
    collect_fields(ty, object, &mut root);
    root.children
}

fn collect_fields(ty: &FieldType, value: &Value, node: &mut SetNode) {
    match (ty.resolve(Some(value)), value) {
        (ResolvedAtom::Scalar(_), _) => node.is_member = true,
        (ResolvedAtom::Map(map), _) if map.is_atomic => node.is_member = true,
        (ResolvedAtom::List(list), _) if list.is_atomic() => node.is_member = true,
        (ResolvedAtom::Map(map), Value::Object(fields)) => {
            for (name, value) in fields {
                let (ty, declared) = map.field_type(name);
                let mut child = SetNode::default();
                collect_fields(ty, value, &mut child);
                let empty = match value {
                    Value::Null => true,
                    Value::Object(inner) => inner.is_empty(),
                    _ => false,
                };
                child.is_member |= empty || !declared;
                node.children.insert_node(PathElement::Field(name.clone()), child);
            }
        }
        (ResolvedAtom::List(list), Value::Array(items)) => {
            let mut elements: Vec<(PathElement, &Value)> = items
                .iter()
                .filter_map(|item| Some((list.path_element(item).ok()?, item)))
                .collect();
            elements.sort_by(|(l, _), (r, _)| l.cmp(r));
            for same in elements.chunk_by(|(l, _), (r, _)| l == r) {
                let Some((element, item)) = same.first() else {
                    continue;
                };
                let mut child = SetNode {
                    is_member: true,
                    ..SetNode::default()
                };
                // Items that are there twice are owned together, as one.
                if same.len() == 1 {
                    collect_fields(&list.element, item, &mut child);
                }
                node.children.insert_node(element.clone(), child);
            }
        }
        (ResolvedAtom::Map(_) | ResolvedAtom::List(_), _) => {}
    }
}

/// Everything in an applied configuration that its types do not allow, in the words of Kubernetes: undeclared fields,
/// values of a wrong form, list items without keys, list items that are there twice.
pub(crate) fn validate(ty: &FieldType, applied: &Value) -> Vec<String> {
    let mut out = Vec::new();
    validate_value(ty, applied, &mut String::new(), &mut out);
    out
}

fn validate_value(ty: &FieldType, value: &Value, path: &mut String, out: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let mut wrong = |path: &str, expected: &str| {
        let at = if path.is_empty() {
            String::new()
        } else {
            format!("{path}: ")
        };
        out.push(format!("{at}expected {expected}, got {value}"));
    };
    match (ty.resolve(Some(value)), value) {
        (ResolvedAtom::Map(map), Value::Object(fields)) => {
            for (name, value) in fields {
                let depth = path.len();
                path.push('.');
                path.push_str(name);
                match (map.fields.get(name), &map.additional) {
                    (Some(ty), _) | (None, Some(ty)) => validate_value(ty, value, path, out),
                    (None, None) => out.push(format!("{path}: field not declared in schema")),
                }
                path.truncate(depth);
            }
        }
        (ResolvedAtom::Map(_), _) => wrong(path, "map"),
        (ResolvedAtom::List(list), Value::Array(items)) => {
            let mut seen = std::collections::BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let element = if list.is_atomic() {
                    PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))
                } else {
                    match list.path_element(item) {
                        Ok(element) => element,
                        Err(problem) => {
                            out.push(format!("{path}: element {index}: {problem}"));
                            return;
                        }
                    }
                };
                let depth = path.len();
                path.push_str(&element.to_string());
                validate_value(&list.element, item, path, out);
                path.truncate(depth);
                if !list.is_atomic() {
                    let name = element.to_string();
                    if !seen.insert(element) {
                        out.push(format!("{path}: duplicate entries for key {name}"));
                    }
                }
            }
        }
        (ResolvedAtom::List(_), _) => wrong(path, "list"),
        (ResolvedAtom::Scalar(scalar), value) => {
            let (fits, expected) = match scalar {
                ScalarAtom::Number => (value.is_number(), "numeric (int or float)"),
                ScalarAtom::String => (value.is_string(), "string"),
                ScalarAtom::Bool => (value.is_boolean(), "boolean"),
                ScalarAtom::Any => (!value.is_object() && !value.is_array(), "any scalar"),
            };
            if !fits {
                wrong(path, expected);
            }
        }
    }
}

/// The set with all declared fields on the way to its members added: giving up all of a struct gives up the struct.
/// Keys of maps and items of lists are not added.
pub(crate) fn with_declared_parents(ty: &FieldType, set: &FieldSet) -> FieldSet {
    let atom = ty.atom();
    let mut out = FieldSet::default();
    for (element, node) in set.nodes() {
        let (child, declared) = match (element, &atom.map, &atom.list) {
            (PathElement::Field(name), Some(map), _) => {
                let declared = map.fields.contains_key(name);
                (map.field(name).0, declared)
            }
            (PathElement::Key(_), _, Some(list)) => (&list.element, false),
            _ => (&FieldType::Opaque, false),
        };
        out.add(
            element.clone(),
            SetNode {
                is_member: node.is_member || (declared && !node.children.is_empty()),
                children: with_declared_parents(child, &node.children),
            },
        );
    }
    out
}

/// The set as it must be for types that have changed since it was written: what has become atomic is owned as a whole.
/// None where nothing changes.
pub(crate) fn reconcile_set(ty: &FieldType, set: &FieldSet) -> Option<FieldSet> {
    // Types change rarely: looking first spares the copy.
    reaches_into_atomic(ty, set).then(|| reconcile(ty, set))
}

/// The type of what is below an element of the set, if there is something and the type says what it is. The form of the
/// type counts, not that of a value: as for a value of which nothing is known.
fn type_below<'a>(ty: &'a FieldType, element: &PathElement, node: &SetNode) -> Option<&'a FieldType> {
    if node.children.is_empty() {
        return None;
    }
    match (ty.resolve(None), element) {
        // Deduced types say nothing about what is atomic.
        (ResolvedAtom::Map(map), _)
            if map.fields.is_empty() && matches!(map.rest, Some(Type::Deduced)) =>
        {
            None
        }
        (ResolvedAtom::Map(map), PathElement::Field(name)) => map.fields.get(name).or(map.additional.as_ref()),
        (ResolvedAtom::List(list), _) => Some(&list.element),
        _ => None,
    }
}

fn reaches_into_atomic(ty: &FieldType, set: &FieldSet) -> bool {
    set.nodes().iter().any(|(element, node)| {
        type_below(ty, element, node)
            .is_some_and(|ty| is_atomic(ty.shape(None)) || reaches_into_atomic(ty, &node.children))
    })
}

fn reconcile(ty: &FieldType, set: &FieldSet) -> FieldSet {
    let mut out = FieldSet::default();
    for (element, node) in set.nodes() {
        let node = match type_below(ty, element, node) {
            None => node.clone(),
            Some(ty) if is_atomic(ty.shape(None)) => SetNode {
                is_member: true,
                children: FieldSet::default(),
            },
            Some(ty) => SetNode {
                is_member: node.is_member,
                children: reconcile(ty, &node.children),
            },
        };
        out.add(element.clone(), node);
    }
    out
}

fn is_atomic(shape: ResolvedAtom<'_>) -> bool {
    match shape {
        ResolvedAtom::Map(map) => map.is_atomic,
        ResolvedAtom::List(list) => list.is_atomic(),
        ResolvedAtom::Scalar(_) => false,
    }
}
