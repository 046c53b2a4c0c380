//! Merging an applied configuration into an object, and taking fields out of one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::path::PathElement;
use crate::set::FieldSet;
use crate::types::{ListAtom, MapAtom, ResolvedAtom, FieldType};
use crate::value;

/// Merges `applied` into `target`: applied leaves replace, nothing is removed, `set` and `map` lists get their new items
/// in the order of `applied`. Fails where items of the target's own list cannot be told apart, with the path and the reason.
pub(crate) fn merge(ty: &FieldType, target: &mut Value, applied: &Value) -> Result<(), String> {
    match ty.resolve(Some(applied)) {
        ResolvedAtom::Scalar(_) => target.clone_from(applied),
        ResolvedAtom::Map(map) => {
            let theirs = non_empty_map(Some(applied));
            let own_is_empty = non_empty_map(Some(target)).is_none();
            if map.is_atomic || own_is_empty {
                target.clone_from(applied);
            } else if let (Some(theirs), Value::Object(own)) = (theirs, target) {
                merge_fields(map, own, theirs)?;
            }
        }
        ResolvedAtom::List(list) => {
            let theirs = non_empty_list(Some(applied));
            let own_is_empty = non_empty_list(Some(target)).is_none();
            if list.is_atomic() || own_is_empty {
                target.clone_from(applied);
            } else if let (Some(theirs), Value::Array(own)) = (theirs, target) {
                *own = merge_items(list, std::mem::take(own), theirs)?;
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
    own: &mut Map<String, Value>,
    theirs: &Map<String, Value>,
) -> Result<(), String> {
    for (name, applied) in theirs {
        match own.get_mut(name) {
            Some(target) => merge(map.field_type(name).0, target, applied)
                .map_err(|why| at(&format!(".{name}"), &why))?,
            None => {
                own.insert(name.clone(), applied.clone());
            }
        }
    }
    Ok(())
}

fn at(step: &str, why: &str) -> String {
    if why.starts_with(['.', '[']) {
        format!("{step}{why}")
    } else {
        format!("{step}: {why}")
    }
}

fn elements(list: &ListAtom, items: &[Value]) -> Result<Vec<PathElement>, String> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            list.path_element(item)
                .map_err(|why| format!("element {index}: {why}"))
        })
        .collect()
}

/// Where the one item with this element is in a list, or that there are several.
#[derive(Clone, Copy)]
enum Place {
    One(usize),
    Several,
}

/// Both lists in one: shared items in the order of `theirs`, items of one list alone where they stand between shared ones.
fn merge_items(list: &ListAtom, own: Vec<Value>, theirs: &[Value]) -> Result<Vec<Value>, String> {
    let own_elements = elements(list, &own)?;
    let their_elements = elements(list, theirs)?;
    let mut own_places: BTreeMap<&PathElement, Place> = BTreeMap::new();
    for (i, element) in own_elements.iter().enumerate() {
        own_places
            .entry(element)
            .and_modify(|place| *place = Place::Several)
            .or_insert(Place::One(i));
    }
    let mut their_places: BTreeMap<&PathElement, usize> = BTreeMap::new();
    for (i, element) in their_elements.iter().enumerate() {
        their_places.entry(element).or_insert(i);
    }

    let mut shared = their_elements
        .iter()
        .filter(|element| own_places.contains_key(element));
    let mut next_shared = shared.next();
    let mut merged: Vec<bool> = vec![false; theirs.len()];
    let mut own_items: Vec<Option<Value>> = own.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(own_items.len().max(theirs.len()));
    let take_theirs = |j: usize,
                       own_items: &mut Vec<Option<Value>>,
                       out: &mut Vec<Value>|
     -> Result<(), String> {
        let (Some(element), Some(applied)) = (their_elements.get(j), theirs.get(j)) else {
            return Ok(());
        };
        let base = match own_places.get(element) {
            Some(Place::One(i)) => own_items.get_mut(*i).and_then(Option::take),
            // Of several there is none to merge with: the applied item replaces them all.
            Some(Place::Several) | None => None,
        };
        out.push(match base {
            Some(mut item) => {
                merge(&list.element, &mut item, applied)
                    .map_err(|why| at(&element.to_string(), &why))?;
                item
            }
            None => applied.clone(),
        });
        Ok(())
    };

    let (mut i, mut j) = (0, 0);
    loop {
        let (own_element, their_element) = (own_elements.get(i), their_elements.get(j));
        let in_theirs = own_element.and_then(|element| their_places.get(element).copied());
        match (own_element, their_element) {
            (None, None) => break,
            (Some(_), Some(_)) if in_theirs == Some(j) => {
                mark(&mut merged, j);
                take_theirs(j, &mut own_items, &mut out)?;
                i += 1;
                j += 1;
                next_shared = shared.next();
                continue;
            }
            // Shared, but another one is due first.
            (Some(own), Some(_))
                if in_theirs.is_some() && next_shared.is_some_and(|next| next != own) =>
            {
                i += 1;
                continue;
            }
            _ => {}
        }
        if own_element.is_some() {
            match in_theirs {
                None => {
                    out.extend(own_items.get_mut(i).and_then(Option::take));
                    i += 1;
                    continue;
                }
                Some(j) if merged.get(j).copied().unwrap_or(true) => i += 1,
                Some(_) => {}
            }
        }
        if let Some(element) = their_element {
            mark(&mut merged, j);
            take_theirs(j, &mut own_items, &mut out)?;
            j += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    Ok(out)
}

fn mark(merged: &mut [bool], j: usize) {
    if let Some(flag) = merged.get_mut(j) {
        *flag = true;
    }
}

/// Whether merging `applied` into `target` would change nothing. May say no where it would not: then the merge tells.
pub(crate) fn is_noop_merge(ty: &FieldType, target: &Value, applied: &Value) -> bool {
    match ty.resolve(Some(applied)) {
        ResolvedAtom::Map(map) if !map.is_atomic => match (target.as_object(), applied.as_object()) {
            (Some(own), Some(theirs)) if !own.is_empty() => theirs.iter().all(|(name, applied)| {
                own.get(name)
                    .is_some_and(|target| is_noop_merge(map.field_type(name).0, target, applied))
            }),
            _ => target == applied,
        },
        ResolvedAtom::List(list) if !list.is_atomic() => match (target.as_array(), applied.as_array()) {
            (Some(own), Some(theirs)) if !own.is_empty() => is_subsequence(list, own, theirs),
            _ => target == applied,
        },
        _ => value::is_equal(target, applied),
    }
}

fn is_subsequence(list: &ListAtom, own: &[Value], theirs: &[Value]) -> bool {
    let (Ok(own_elements), Ok(their_elements)) = (elements(list, own), elements(list, theirs))
    else {
        return false;
    };
    let mut seen = std::collections::BTreeSet::new();
    if !own_elements.iter().all(|element| seen.insert(element)) {
        return false;
    }
    let mut rest = own_elements.iter().zip(own);
    their_elements.iter().zip(theirs).all(|(element, applied)| {
        rest.by_ref()
            .find(|(own, _)| *own == element)
            .is_some_and(|(_, item)| is_noop_merge(&list.element, item, applied))
    })
}

/// Takes the members of the set out of the value. A map or list that loses all that it has stays, empty: who owns it beside
/// the one that gave its fields up has asked for no more than that.
pub(crate) fn remove_fields(ty: &FieldType, value: &mut Value, set: &FieldSet) {
    match (ty.resolve(Some(value)), value) {
        (ResolvedAtom::Map(map), Value::Object(fields)) if !map.is_atomic => {
            fields.retain(|name, inner| match set.get_field(name) {
                Some(node) if node.member => false,
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
                    Some(node) if node.member => false,
                    Some(node) => {
                        remove_fields(&list.element, item, &node.children);
                        true
                    }
                    None => true,
                }
            });
        }
        // One value has nothing in it that could be taken out.
        _ => {}
    }
}
