//! Conflicts between the names of kinds within a group.

use rdd_apiserver_kinds::ResourceKind;
use serde_json::Value;

use crate::meta;

/// A conflict of a definition's names with those of another kind.
#[derive(Debug)]
pub(super) struct NameConflict {
    /// The reason of the condition `NamesAccepted`.
    pub(super) reason: &'static str,
    /// The message of the condition.
    pub(super) message: String,
}

impl NameConflict {
    fn new(reason: &'static str, name: &str) -> Self {
        Self {
            reason,
            message: format!("{name:?} is already in use"),
        }
    }
}

/// Returns the first conflict of a definition's names with the kinds in
/// `taken`.
pub(super) fn find<'k>(
    definition: &Value,
    taken: impl Iterator<Item = &'k ResourceKind>,
) -> Option<NameConflict> {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let spec_names = &definition["spec"]["names"];
    let text = |field: &str| spec_names[field].as_str().unwrap_or_default();
    let (plural, singular) = (text("plural"), text("singular"));
    let short: Vec<&str> = meta::validate::string_items(spec_names.get("shortNames"));
    for kind in taken.filter(|kind| kind.group == group) {
        let names = [&kind.plural, &kind.singular];
        let has = |name: &str| {
            !name.is_empty()
                && (names.iter().any(|n| *n == name) || kind.short_names.iter().any(|n| n == name))
        };
        if has(plural) {
            return Some(NameConflict::new("PluralConflict", plural));
        }
        if has(singular) {
            return Some(NameConflict::new("SingularConflict", singular));
        }
        if let Some(name) = short.iter().find(|name| has(name)) {
            return Some(NameConflict::new("ShortNamesConflict", name));
        }
        if [&kind.kind, &kind.list_kind]
            .iter()
            .any(|k| *k == text("kind"))
        {
            return Some(NameConflict::new("KindConflict", text("kind")));
        }
        if [&kind.kind, &kind.list_kind]
            .iter()
            .any(|k| *k == text("listKind"))
        {
            return Some(NameConflict::new("ListKindConflict", text("listKind")));
        }
    }
    None
}
