//! Truncation of records to the contract's limits.
//!
//! The host treats a larger record as an error of the backend. This way, one
//! container with a huge label does not fail the whole listing.

use rdd_sdk::types::{MAX_RECORD_BYTES, MAX_STRING_BYTES, Object};

/// The maximum total size of a record's strings. The rest of
/// [`MAX_RECORD_BYTES`] is for the other fields and the length of each string.
const TEXT_BUDGET_BYTES: usize = MAX_RECORD_BYTES / 2;

/// The size of a list element besides its strings.
const ELEMENT_OVERHEAD_BYTES: usize = 16;

/// Removes the strings and list elements that exceed the limits. Returns whether
/// any were removed.
pub(crate) fn fit_to_limits(object: &mut Object) -> bool {
    let mut budget = RecordBudget {
        left: TEXT_BUDGET_BYTES,
        was_truncated: false,
    };
    match object {
        Object::Container(container) => {
            budget.limit_text(&mut container.id);
            budget.limit_text(&mut container.name);
            budget.limit_text(&mut container.namespace);
            budget.limit_text(&mut container.image_id);
            budget.limit_text(&mut container.image_name);
            budget.limit_text(&mut container.path);
            budget.limit_text(&mut container.error);
            budget.limit_list(&mut container.args, String::len);
            budget.limit_list(&mut container.labels, pair_bytes);
            budget.limit_list(&mut container.ports, |port| {
                let bindings = port.bindings.iter();
                port.name.len()
                    + bindings
                        .map(|b| b.host_ip.len() + b.host_port.len())
                        .sum::<usize>()
            });
        }
        Object::Image(image) => {
            budget.limit_text(&mut image.id);
            budget.limit_text(&mut image.architecture);
            budget.limit_text(&mut image.os);
            budget.limit_list(&mut image.repo_tags, String::len);
            budget.limit_list(&mut image.repo_digests, String::len);
            budget.limit_list(&mut image.labels, pair_bytes);
        }
        Object::Volume(volume) => {
            budget.limit_text(&mut volume.name);
            budget.limit_text(&mut volume.driver);
            budget.limit_text(&mut volume.mountpoint);
            budget.limit_text(&mut volume.scope);
            budget.limit_list(&mut volume.labels, pair_bytes);
            budget.limit_list(&mut volume.options, pair_bytes);
        }
        Object::Namespace(name) => budget.limit_text(name),
    }
    budget.was_truncated
}

fn pair_bytes((key, value): &(String, String)) -> usize {
    key.len() + value.len()
}

struct RecordBudget {
    left: usize,
    was_truncated: bool,
}

impl RecordBudget {
    fn take(&mut self, length: usize) -> bool {
        if length > MAX_STRING_BYTES || length > self.left {
            self.was_truncated = true;
            return false;
        }
        self.left -= length;
        true
    }

    fn limit_text(&mut self, text: &mut String) {
        if !self.take(text.len()) {
            text.clear();
        }
    }

    fn limit_list<T>(&mut self, list: &mut Vec<T>, length: impl Fn(&T) -> usize) {
        list.retain(|item| self.take(length(item) + ELEMENT_OVERHEAD_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use rdd_sdk::types::Volume;

    use super::*;

    fn volume(labels: Vec<(String, String)>) -> Object {
        Object::Volume(Volume {
            name: "v".into(),
            namespace: "moby".into(),
            created_at: None,
            driver: "local".into(),
            mountpoint: String::new(),
            labels,
            scope: String::new(),
            options: Vec::new(),
        })
    }

    #[test]
    fn only_what_exceeds_the_limits_is_removed() {
        let mut fine = volume(vec![("a".into(), "1".into())]);
        let before = fine.clone();
        assert!(!fit_to_limits(&mut fine));
        assert_eq!(fine, before);

        let huge = "x".repeat(MAX_STRING_BYTES + 1);
        let mut labels = vec![
            ("a".into(), "1".into()),
            ("b".into(), huge),
            ("c".into(), "3".into()),
        ];
        labels.extend((0..64).map(|n| (format!("many{n}"), "y".repeat(100_000))));
        let mut hostile = volume(labels);
        assert!(fit_to_limits(&mut hostile));
        let Object::Volume(left) = hostile else {
            panic!()
        };
        assert!(left.labels.iter().any(|(key, _)| key == "a"));
        assert!(left.labels.iter().any(|(key, _)| key == "c"));
        assert!(left.labels.iter().all(|(key, _)| key != "b"));
        assert!(left.labels.iter().map(pair_bytes).sum::<usize>() <= TEXT_BUDGET_BYTES);
    }
}
