//! Conflicts between the names of kinds within a group.

use std::collections::HashSet;

use rdd_apiserver_kinds::ResourceKind;
use serde_json::Value;

use crate::meta;

/// Conflicts of a definition's names with those of other kinds.
#[derive(Debug)]
pub(super) struct NameConflict {
    /// The reason of the condition `NamesAccepted`.
    pub(super) reason: &'static str,
    /// The message of the condition.
    pub(super) message: String,
    /// The fields of `spec.names` whose names are taken.
    pub(super) fields: Vec<&'static str>,
}

/// Returns the conflicts of a definition's names with the kinds in `taken`. As
/// upstream, the condition is about the last one.
pub(super) fn find<'k>(
    definition: &Value,
    taken: impl Iterator<Item = &'k ResourceKind>,
) -> Option<NameConflict> {
    let spec = &definition["spec"];
    let group = spec["group"].as_str().unwrap_or_default();
    let (mut resources, mut kinds) = (HashSet::new(), HashSet::new());
    for kind in taken.filter(|kind| kind.group == group) {
        resources.extend([kind.plural.as_str(), kind.singular.as_str()]);
        resources.extend(kind.short_names.iter().map(String::as_str));
        kinds.extend([kind.kind.as_str(), kind.list_kind.as_str()]);
    }
    let names = &spec["names"];
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    let is_taken = |name: &str| !name.is_empty() && resources.contains(name);
    let mut conflicts = Vec::new();
    for (field, reason) in [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
    ] {
        if is_taken(text(field)) {
            conflicts.push((
                field,
                reason,
                format!("{:?} is already in use", text(field)),
            ));
        }
    }
    let short: Vec<String> = meta::validate::string_items(names.get("shortNames"))
        .into_iter()
        .filter(|name| is_taken(name))
        .map(|name| format!("{name:?} is already in use"))
        .collect();
    match short.as_slice() {
        [] => {}
        [only] => conflicts.push(("shortNames", "ShortNamesConflict", only.clone())),
        several => {
            let message = format!("[{}]", several.join(", "));
            conflicts.push(("shortNames", "ShortNamesConflict", message));
        }
    }
    for (field, reason) in [("kind", "KindConflict"), ("listKind", "ListKindConflict")] {
        if kinds.contains(text(field)) {
            conflicts.push((
                field,
                reason,
                format!("{:?} is already in use", text(field)),
            ));
        }
    }
    let fields = conflicts.iter().map(|(field, ..)| *field).collect();
    let (_, reason, message) = conflicts.pop()?;
    Some(NameConflict {
        reason,
        message,
        fields,
    })
}
