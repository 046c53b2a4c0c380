//! Merging an applied configuration into an object, and removing fields from an object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use crate::field_set::FieldSet;
use crate::path::{FieldPath, PathElement};
use crate::types::{FieldType, ListAtom, ListItemError, MapAtom, ResolvedAtom};
use crate::value;

/// A list of the live object or of the applied configuration has an item that cannot be identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeError {
    /// The path of the list.
    path: FieldPath,
    /// The index of the item.
    index: usize,
    problem: ListItemError,
}

impl MergeError {
    /// Prepends the element that the error occurred below.
    fn below(mut self, parent: PathElement) -> Self {
        self.path.0.insert(0, parent);
        self
    }
}

impl std::error::Error for MergeError {}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "element {}: {}", self.index, self.problem)
    }
}

/// Merges `applied` into `target`: applied leaves replace, nothing is removed, and `set` and `map`
/// lists get their new items in the order of `applied`.
///
/// # Errors
///
/// Fails if a list has items that cannot be identified.
pub(crate) fn merge(
    field_type: &FieldType,
    target: &mut Value,
    applied: &Value,
) -> Result<(), MergeError> {
    match field_type.resolve(Some(applied)) {
        ResolvedAtom::Scalar(_) => target.clone_from(applied),
        ResolvedAtom::Map(map) => {
            let applied_fields = non_empty_map(Some(applied));
            let is_target_empty = non_empty_map(Some(target)).is_none();
            if map.is_atomic || is_target_empty {
                target.clone_from(applied);
            } else if let (Some(applied), Value::Object(target)) = (applied_fields, target) {
                merge_fields(map, target, applied)?;
            }
        }
        ResolvedAtom::List(list) => {
            let applied_items = non_empty_list(Some(applied));
            let is_target_empty = non_empty_list(Some(target)).is_none();
            if list.is_atomic() || is_target_empty {
                target.clone_from(applied);
            } else if let (Some(applied), Value::Array(target)) = (applied_items, target) {
                *target = merge_items(list, std::mem::take(target), applied)?;
            }
        }
    }
    Ok(())
}

fn non_empty_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value?.as_object().filter(|map| !map.is_empty())
}

fn non_empty_list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value?.as_array().filter(|list| !list.is_empty())
}

fn merge_fields(
    map: &MapAtom,
    target: &mut Map<String, Value>,
    applied: &Map<String, Value>,
) -> Result<(), MergeError> {
    for (name, applied) in applied {
        match target.get_mut(name) {
            Some(target) => merge(map.field_type(name).0, target, applied)
                .map_err(|error| error.below(PathElement::Field(name.clone())))?,
            None => {
                target.insert(name.clone(), applied.clone());
            }
        }
    }
    Ok(())
}

fn path_elements(list: &ListAtom, items: &[Value]) -> Result<Vec<PathElement>, MergeError> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            list.path_element(item).map_err(|problem| MergeError {
                path: FieldPath::default(),
                index,
                problem,
            })
        })
        .collect()
}

/// The position of the only item with a given element, or that several items have it.
#[derive(Clone, Copy)]
enum ItemPosition {
    Unique(usize),
    Duplicate,
}

/// Merges two lists: shared items are in the order of `applied`, and items of one list only keep
/// their position between the shared ones.
fn merge_items(
    list: &ListAtom,
    target: Vec<Value>,
    applied: &[Value],
) -> Result<Vec<Value>, MergeError> {
    let target_elements = path_elements(list, &target)?;
    let applied_elements = path_elements(list, applied)?;
    let mut target_positions: BTreeMap<&PathElement, ItemPosition> = BTreeMap::new();
    for (i, element) in target_elements.iter().enumerate() {
        target_positions
            .entry(element)
            .and_modify(|position| *position = ItemPosition::Duplicate)
            .or_insert(ItemPosition::Unique(i));
    }
    let mut applied_positions: BTreeMap<&PathElement, usize> = BTreeMap::new();
    for (i, element) in applied_elements.iter().enumerate() {
        applied_positions.entry(element).or_insert(i);
    }

    let mut shared = applied_elements
        .iter()
        .filter(|element| target_positions.contains_key(element));
    let mut next_shared = shared.next();
    let mut is_merged: Vec<bool> = vec![false; applied.len()];
    let mut target_items: Vec<Option<Value>> = target.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(target_items.len().max(applied.len()));
    let push_applied = |j: usize,
                        target_items: &mut Vec<Option<Value>>,
                        out: &mut Vec<Value>|
     -> Result<(), MergeError> {
        let (Some(element), Some(applied)) = (applied_elements.get(j), applied.get(j)) else {
            return Ok(());
        };
        let base = match target_positions.get(element) {
            Some(ItemPosition::Unique(i)) => target_items.get_mut(*i).and_then(Option::take),
            // The applied item replaces all duplicates, since it cannot be merged with each.
            Some(ItemPosition::Duplicate) | None => None,
        };
        out.push(match base {
            Some(mut item) => {
                merge(&list.element, &mut item, applied)
                    .map_err(|error| error.below(element.clone()))?;
                item
            }
            None => applied.clone(),
        });
        Ok(())
    };

    let (mut i, mut j) = (0, 0);
    loop {
        let (target_element, applied_element) = (target_elements.get(i), applied_elements.get(j));
        let applied_position =
            target_element.and_then(|element| applied_positions.get(element).copied());
        match (target_element, applied_element) {
            (None, None) => break,
            (Some(_), Some(_)) if applied_position == Some(j) => {
                mark_merged(&mut is_merged, j);
                push_applied(j, &mut target_items, &mut out)?;
                i += 1;
                j += 1;
                next_shared = shared.next();
                continue;
            }
            // Shared, but another shared item comes first.
            (Some(element), Some(_))
                if applied_position.is_some()
                    && next_shared.is_some_and(|next| next != element) =>
            {
                i += 1;
                continue;
            }
            _ => {}
        }
        if target_element.is_some() {
            match applied_position {
                None => {
                    out.extend(target_items.get_mut(i).and_then(Option::take));
                    i += 1;
                    continue;
                }
                Some(j) if is_merged.get(j).copied().unwrap_or(true) => i += 1,
                Some(_) => {}
            }
        }
        if let Some(element) = applied_element {
            mark_merged(&mut is_merged, j);
            push_applied(j, &mut target_items, &mut out)?;
            j += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    Ok(out)
}

fn mark_merged(is_merged: &mut [bool], j: usize) {
    if let Some(flag) = is_merged.get_mut(j) {
        *flag = true;
    }
}

/// Returns whether merging `applied` into `target` would change nothing. May return false for such
/// a merge, which then has to be carried out.
pub(crate) fn is_noop_merge(field_type: &FieldType, target: &Value, applied: &Value) -> bool {
    match field_type.resolve(Some(applied)) {
        ResolvedAtom::Map(map) if !map.is_atomic => match (target.as_object(), applied.as_object())
        {
            (Some(target), Some(applied)) if !target.is_empty() => {
                applied.iter().all(|(name, applied)| {
                    target.get(name).is_some_and(|target| {
                        is_noop_merge(map.field_type(name).0, target, applied)
                    })
                })
            }
            _ => target == applied,
        },
        ResolvedAtom::List(list) if !list.is_atomic() => {
            match (target.as_array(), applied.as_array()) {
                (Some(target), Some(applied)) if !target.is_empty() => {
                    is_subsequence(list, target, applied)
                }
                _ => target == applied,
            }
        }
        _ => value::is_equal(target, applied),
    }
}

fn is_subsequence(list: &ListAtom, target: &[Value], applied: &[Value]) -> bool {
    let (Ok(target_elements), Ok(applied_elements)) =
        (path_elements(list, target), path_elements(list, applied))
    else {
        return false;
    };
    let mut seen = BTreeSet::new();
    if !target_elements.iter().all(|element| seen.insert(element)) {
        return false;
    }
    let mut rest = target_elements.iter().zip(target);
    applied_elements
        .iter()
        .zip(applied)
        .all(|(element, applied)| {
            rest.by_ref()
                .find(|(target, _)| *target == element)
                .is_some_and(|(_, item)| is_noop_merge(&list.element, item, applied))
        })
}

/// Removes the members of the set from the value. A map or list that loses its last field stays as
/// an empty one, because another manager may still own the map or list itself.
pub(crate) fn remove_fields(field_type: &FieldType, value: &mut Value, set: &FieldSet) {
    match (field_type.resolve(Some(value)), value) {
        (ResolvedAtom::Map(map), Value::Object(fields)) if !map.is_atomic => {
            fields.retain(|name, inner| match set.get_field(name) {
                Some(node) if node.is_member => false,
                Some(node) => {
                    remove_fields(map.field_type(name).0, inner, &node.children);
                    true
                }
                None => true,
            });
        }
        (ResolvedAtom::List(list), Value::Array(items)) if !list.is_atomic() => {
            items.retain_mut(|item| {
                let node = list
                    .path_element(item)
                    .ok()
                    .and_then(|element| set.get(&element));
                match node {
                    Some(node) if node.is_member => false,
                    Some(node) => {
                        remove_fields(&list.element, item, &node.children);
                        true
                    }
                    None => true,
                }
            });
        }
        // Scalars and atomic values have no fields to remove.
        _ => {}
    }
}
