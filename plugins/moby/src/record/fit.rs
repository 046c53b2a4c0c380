//! Records within the contract's limits.
//!
//! The host takes a larger record for an error of the backend; one container
//! with an absurd label must not cost the whole listing.

use rdd_sdk::types::{MAX_RECORD, MAX_STRING, Object};

/// What is left of [`MAX_RECORD`] for a record's texts, so that its other
/// fields and the length of each text have room.
const BUDGET: usize = MAX_RECORD / 2;

/// What an element of a list costs besides its text.
const ITEM: usize = 16;

/// Leaves out what is too long; true when something was.
pub(crate) fn fit(object: &mut Object) -> bool {
    let mut budget = Budget {
        left: BUDGET,
        cut: false,
    };
    match object {
        Object::Container(container) => {
            budget.text(&mut container.id);
            budget.text(&mut container.name);
            budget.text(&mut container.namespace);
            budget.text(&mut container.image_id);
            budget.text(&mut container.image_name);
            budget.text(&mut container.path);
            budget.text(&mut container.error);
            budget.list(&mut container.args, String::len);
            budget.list(&mut container.labels, pair);
            budget.list(&mut container.ports, |port| {
                let bindings = port.bindings.iter();
                port.name.len()
                    + bindings
                        .map(|b| b.host_ip.len() + b.host_port.len())
                        .sum::<usize>()
            });
        }
        Object::Image(image) => {
            budget.text(&mut image.id);
            budget.text(&mut image.architecture);
            budget.text(&mut image.os);
            budget.list(&mut image.repo_tags, String::len);
            budget.list(&mut image.repo_digests, String::len);
            budget.list(&mut image.labels, pair);
        }
        Object::Volume(volume) => {
            budget.text(&mut volume.name);
            budget.text(&mut volume.driver);
            budget.text(&mut volume.mountpoint);
            budget.text(&mut volume.scope);
            budget.list(&mut volume.labels, pair);
            budget.list(&mut volume.options, pair);
        }
        Object::Namespace(name) => budget.text(name),
    }
    budget.cut
}

fn pair((key, value): &(String, String)) -> usize {
    key.len() + value.len()
}

struct Budget {
    left: usize,
    cut: bool,
}

impl Budget {
    fn take(&mut self, length: usize) -> bool {
        if length > MAX_STRING || length > self.left {
            self.cut = true;
            return false;
        }
        self.left -= length;
        true
    }

    fn text(&mut self, text: &mut String) {
        if !self.take(text.len()) {
            text.clear();
        }
    }

    fn list<T>(&mut self, list: &mut Vec<T>, length: impl Fn(&T) -> usize) {
        list.retain(|item| self.take(length(item) + ITEM));
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
    fn only_what_is_too_long_goes() {
        let mut fine = volume(vec![("a".into(), "1".into())]);
        let before = fine.clone();
        assert!(!fit(&mut fine));
        assert_eq!(fine, before);

        let huge = "x".repeat(MAX_STRING + 1);
        let mut labels = vec![
            ("a".into(), "1".into()),
            ("b".into(), huge),
            ("c".into(), "3".into()),
        ];
        labels.extend((0..64).map(|n| (format!("many{n}"), "y".repeat(100_000))));
        let mut hostile = volume(labels);
        assert!(fit(&mut hostile));
        let Object::Volume(left) = hostile else {
            panic!()
        };
        assert!(left.labels.iter().any(|(key, _)| key == "a"));
        assert!(left.labels.iter().any(|(key, _)| key == "c"));
        assert!(left.labels.iter().all(|(key, _)| key != "b"));
        assert!(left.labels.iter().map(pair).sum::<usize>() <= BUDGET);
    }
}
