//! The conditions of a terminating namespace.

use serde_json::{Value, json};

use super::content::RemainingContent;

/// One condition: type, whether it is true, reason, and message.
type ConditionEntry = (&'static str, bool, &'static str, String);

fn counted<'r>(counts: impl Iterator<Item = (&'r String, &'r usize)>, word: &str) -> String {
    counts
        .map(|(name, count)| format!("{name} {word} {count} resource instances"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn conditions(remaining: &RemainingContent) -> [ConditionEntry; 5] {
    let content = if remaining.failures.is_empty() {
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        )
    } else {
        (
            "NamespaceDeletionContentFailure",
            true,
            "ContentDeletionFailed",
            format!(
                "Failed to delete all resource types, {} remaining: {}",
                remaining.objects.len(),
                remaining.failures.join(", ")
            ),
        )
    };
    let objects = if remaining.objects.is_empty() {
        (
            "NamespaceContentRemaining",
            false,
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        )
    } else {
        (
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!(
                "Some resources are remaining: {}",
                counted(remaining.objects.iter(), "has")
            ),
        )
    };
    let finalizers = if remaining.finalizers.is_empty() {
        (
            "NamespaceFinalizersRemaining",
            false,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        (
            "NamespaceFinalizersRemaining",
            true,
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                counted(remaining.finalizers.iter(), "in")
            ),
        )
    };
    [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        content,
        objects,
        finalizers,
    ]
}

/// Updates the conditions of a namespace. The transition time of a condition
/// changes only with its status.
pub(super) fn update(namespace: &mut Value, remaining: &RemainingContent, now: &str) {
    let before: Vec<Value> = namespace
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let ours = conditions(remaining);
    let others = before
        .iter()
        .filter(|old| ours.iter().all(|(name, ..)| old["type"] != *name))
        .cloned();
    let own = ours.iter().map(|(name, is_true, reason, message)| {
        let status = if *is_true { "True" } else { "False" };
        let since = before
            .iter()
            .find(|old| old["type"] == *name && old["status"] == status)
            .and_then(|old| old["lastTransitionTime"].as_str())
            .unwrap_or(now);
        json!({
            "type": name,
            "status": status,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        })
    });
    let all: Vec<Value> = others.chain(own).collect();
    let Some(root) = namespace.as_object_mut() else {
        return;
    };
    let status = root.entry("status").or_insert_with(|| json!({}));
    if let Some(status) = status.as_object_mut() {
        status.insert("phase".to_owned(), "Terminating".into());
        status.insert("conditions".to_owned(), all.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_report_remaining_content_and_keep_their_times() {
        let mut namespace = json!({"status": {"phase": "Active", "conditions": [{"type": "Mine", "status": "True"}]}});
        let mut remaining = RemainingContent::default();
        remaining.objects.insert("configmaps.".to_owned(), 2);
        remaining.finalizers.insert("example.com/f".to_owned(), 1);
        update(&mut namespace, &remaining, "2024-01-01T00:00:00Z");
        update(&mut namespace, &remaining, "2024-01-02T00:00:00Z");
        assert_eq!(namespace["status"]["phase"], "Terminating");
        let list = namespace["status"]["conditions"].as_array().unwrap();
        assert_eq!(list.len(), 6);
        assert_eq!(list[0]["type"], "Mine");
        assert_eq!(
            list[4]["message"],
            "Some resources are remaining: configmaps. has 2 resource instances"
        );
        assert_eq!(
            list[5],
            json!({"type": "NamespaceFinalizersRemaining", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z",
                "reason": "SomeFinalizersRemain",
                "message": "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances"})
        );
        update(
            &mut namespace,
            &RemainingContent::default(),
            "2024-01-03T00:00:00Z",
        );
        let last = &namespace["status"]["conditions"][5];
        assert_eq!(last["status"], "False");
        assert_eq!(last["lastTransitionTime"], "2024-01-03T00:00:00Z");
    }
}
