//! Rules on what a component says, beyond what the types of the contract
//! enforce.

use rdd_core::{IdFormat, text};

/// Bytes of one string, by the contract.
const MAX_STRING: usize = 1024 * 1024;
/// Bytes of one record, by the contract.
const MAX_RECORD: usize = 4 * 1024 * 1024;
/// What an element of a list costs beyond its text. Bounds lists of empty
/// strings, too.
const ELEMENT_COST: usize = 32;
/// Bytes of a name or an ID: the longest that file systems and registries
/// know is 255 for each of its parts.
const MAX_NAME: usize = 4 * 1024;
/// Bytes of the name of an engine's namespace: what containerd allows.
const MAX_NAMESPACE: usize = 76;

/// A component broke a rule of the contract. The text ends a sentence that
/// begins with the backend's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broke the contract: {0}")]
pub(crate) struct Violation(pub(crate) String);

/// Makes a [`Violation`] of a format string.
macro_rules! violation {
    ($($text:tt)*) => { $crate::check::Violation(format!($($text)*)) };
}
pub(crate) use violation;

/// Adds up what a record holds, and refuses what is too large.
#[derive(Default)]
pub(crate) struct Scale {
    bytes: usize,
}

impl Scale {
    /// Weighs a string of the field `what`.
    pub(crate) fn text(&mut self, what: &str, text: &str) -> Result<(), Violation> {
        if text.len() > MAX_STRING {
            return Err(violation!(
                "{what} is {} bytes long; {MAX_STRING} are allowed",
                text.len()
            ));
        }
        self.bytes += text.len() + ELEMENT_COST;
        if self.bytes > MAX_RECORD {
            return Err(violation!(
                "a record is larger than {MAX_RECORD} bytes at its field {what}"
            ));
        }
        Ok(())
    }

    /// Weighs each string of a list.
    pub(crate) fn texts(&mut self, what: &str, texts: &[String]) -> Result<(), Violation> {
        texts.iter().try_for_each(|text| self.text(what, text))
    }

    /// Bytes weighed so far.
    pub(crate) fn total(&self) -> usize {
        self.bytes
    }
}

/// Whether a container's ID has the backend's form.
pub(crate) fn container_id(form: IdFormat, id: &str) -> Result<(), Violation> {
    if form.matches(id) {
        Ok(())
    } else {
        Err(violation!("the container ID {} is not {form}", shown(id)))
    }
}

/// Whether the name or ID of an image or a volume can be one.
pub(crate) fn name(what: &str, name: &str) -> Result<(), Violation> {
    if name.is_empty() {
        Err(violation!("the {what} is empty"))
    } else if name.len() > MAX_NAME {
        Err(violation!(
            "the {what} is {} bytes long; {MAX_NAME} are allowed",
            name.len()
        ))
    } else if name.chars().any(char::is_control) {
        Err(violation!(
            "the {what} {} holds a control character",
            shown(name)
        ))
    } else {
        Ok(())
    }
}

/// Whether this can be the name of a namespace of an engine.
pub(crate) fn namespace(name: &str) -> Result<(), Violation> {
    if text::is_identifier(name, MAX_NAMESPACE) {
        Ok(())
    } else {
        Err(violation!(
            "the namespace {} is not a letter or digit, then letters, digits, '_', '.' or '-', at most {MAX_NAMESPACE} in all",
            shown(name)
        ))
    }
}

/// Whether this can be a backend's name, and that of its directory.
pub fn is_backend_name(name: &str) -> bool {
    text::is_dns_label(name)
}

/// A text that a component sent, fit to stand in an error message.
pub(crate) fn shown(value: &str) -> String {
    /// Longer texts say nothing more.
    const MAX: usize = 80;
    text::quote(value, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_names() {
        for good in ["moby", "a", "k3s-containerd", "0"] {
            assert!(is_backend_name(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "../a",
            "a/b",
            "é",
            &"a".repeat(64),
        ] {
            assert!(!is_backend_name(bad), "{bad}");
        }
    }

    #[test]
    fn names_hold_something_printable() {
        assert!(name("volume's name", "data").is_ok());
        assert!(name("volume's name", "").is_err());
        assert!(name("volume's name", "a\nb").is_err());
        assert!(name("volume's name", &"a".repeat(MAX_NAME + 1)).is_err());
    }

    #[test]
    fn namespaces_are_those_of_engines() {
        for good in ["moby", "k8s.io", "default", "a_b-c"] {
            assert!(namespace(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a b", "a/b", &"a".repeat(77)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strings_and_records_have_a_size() {
        let mut scale = Scale::default();
        assert!(scale.text("name", &"x".repeat(MAX_STRING)).is_ok());
        assert!(scale.text("name", &"x".repeat(MAX_STRING + 1)).is_err());
        let mut scale = Scale::default();
        let many = vec![String::new(); MAX_RECORD / ELEMENT_COST + 1];
        assert!(scale.texts("args", &many).is_err());
    }

    #[test]
    fn hostile_texts_are_shown_short_and_escaped() {
        assert_eq!(shown("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
        assert!(shown(&"x".repeat(1_000)).len() < 100);
    }
}
