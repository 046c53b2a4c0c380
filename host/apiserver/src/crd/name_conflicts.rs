//! Who may have which names within a group.

use rdd_apiserver_kinds::ResourceKind;
use serde_json::Value;

use crate::meta;

/// Why a definition cannot have the names that it wants, as reason and
/// message: one of `taken` has them.
pub(super) fn conflict<'k>(
    definition: &Value,
    taken: impl Iterator<Item = &'k ResourceKind>,
) -> Option<(&'static str, String)> {
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let wanted = &definition["spec"]["names"];
    let text = |field: &str| wanted[field].as_str().unwrap_or_default();
    let (plural, singular) = (text("plural"), text("singular"));
    let short: Vec<&str> = meta::validate::strings(wanted.get("shortNames"));
    for kind in taken.filter(|kind| kind.group == group) {
        let names = [&kind.plural, &kind.singular];
        let has = |name: &str| {
            !name.is_empty()
                && (names.iter().any(|n| *n == name) || kind.short_names.iter().any(|n| n == name))
        };
        if has(plural) {
            return Some(("PluralConflict", format!("{plural:?} is already in use")));
        }
        if has(singular) {
            return Some((
                "SingularConflict",
                format!("{singular:?} is already in use"),
            ));
        }
        if let Some(name) = short.iter().find(|name| has(name)) {
            return Some(("ShortNamesConflict", format!("{name:?} is already in use")));
        }
        if [&kind.kind, &kind.list_kind]
            .iter()
            .any(|k| *k == text("kind"))
        {
            return Some((
                "KindConflict",
                format!("{:?} is already in use", text("kind")),
            ));
        }
        if [&kind.kind, &kind.list_kind]
            .iter()
            .any(|k| *k == text("listKind"))
        {
            return Some((
                "ListKindConflict",
                format!("{:?} is already in use", text("listKind")),
            ));
        }
    }
    None
}
