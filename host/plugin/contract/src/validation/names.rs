//! The rules for names and for the sizes of records.

use rdd_core::{IdFormat, text};

use super::{ContractError, contract_error};

/// The maximum size of one string in bytes, from the contract.
const MAX_STRING_BYTES: usize = 1024 * 1024;
/// The maximum size of one record in bytes, from the contract.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// The size of a list element besides its text, in bytes. It also bounds lists
/// of empty strings.
const ELEMENT_BYTES: usize = 32;
/// The maximum size of a name or an ID in bytes. The longest parts that file
/// systems and registries accept have 255.
const MAX_NAME_BYTES: usize = 4 * 1024;
/// The maximum size of the name of an engine's namespace in bytes, as in
/// containerd.
const MAX_NAMESPACE_BYTES: usize = 76;

/// Counts the size of a record and rejects one that is too large.
#[derive(Debug, Default)]
pub struct SizeBudget {
    used_bytes: usize,
}

impl SizeBudget {
    /// Counts the string `value` of the field `field`.
    ///
    /// # Errors
    ///
    /// Fails if the string or the record is too large.
    pub fn add_text(&mut self, field: &str, value: &str) -> Result<(), ContractError> {
        if value.len() > MAX_STRING_BYTES {
            return Err(contract_error!(
                "{field} is {} bytes long; {MAX_STRING_BYTES} are allowed",
                value.len()
            ));
        }
        self.used_bytes += value.len() + ELEMENT_BYTES;
        if self.used_bytes > MAX_RECORD_BYTES {
            return Err(contract_error!(
                "a record exceeds {MAX_RECORD_BYTES} bytes at its field {field}"
            ));
        }
        Ok(())
    }

    /// Counts each string of the list `field`.
    ///
    /// # Errors
    ///
    /// Fails if a string or the record is too large.
    pub fn add_texts(&mut self, field: &str, values: &[String]) -> Result<(), ContractError> {
        values
            .iter()
            .try_for_each(|value| self.add_text(field, value))
    }

    /// Returns the number of bytes counted so far.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

/// Checks that a container's ID has the backend's format.
pub(super) fn check_container_id(format: IdFormat, id: &str) -> Result<(), ContractError> {
    if format.matches(id) {
        Ok(())
    } else {
        Err(contract_error!(
            "the container ID {} is not {format}",
            quote(id)
        ))
    }
}

/// Checks the name or ID of an image or a volume. `what` describes it.
///
/// # Errors
///
/// Fails if it is empty, too long, or has a control character.
pub fn check_name(what: &str, name: &str) -> Result<(), ContractError> {
    if name.is_empty() {
        Err(contract_error!("the {what} is empty"))
    } else if name.len() > MAX_NAME_BYTES {
        Err(contract_error!(
            "the {what} is {} bytes long; {MAX_NAME_BYTES} are allowed",
            name.len()
        ))
    } else if name.chars().any(char::is_control) {
        Err(contract_error!(
            "the {what} {} contains a control character",
            quote(name)
        ))
    } else {
        Ok(())
    }
}

/// Checks the name of an engine's namespace.
///
/// # Errors
///
/// Fails if it has another form than the contract allows.
pub fn check_namespace(name: &str) -> Result<(), ContractError> {
    if text::is_identifier(name, MAX_NAMESPACE_BYTES) {
        Ok(())
    } else {
        Err(contract_error!(
            "the namespace {} is not a letter or digit followed by letters, digits, '_', '.', or '-', at most {MAX_NAMESPACE_BYTES} in all",
            quote(name)
        ))
    }
}

/// Whether `name` is a valid name of a backend, and of its directory.
pub fn is_backend_name(name: &str) -> bool {
    text::is_dns_label(name)
}

/// Quotes a text from a backend for an error message.
pub fn quote(value: &str) -> String {
    /// Enough to recognize the value.
    const MAX_BYTES: usize = 80;
    text::quote(value, MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_names_are_dns_labels() {
        for valid in ["moby", "a", "k3s-containerd", "0"] {
            assert!(is_backend_name(valid), "{valid}");
        }
        for invalid in [
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
            assert!(!is_backend_name(invalid), "{invalid}");
        }
    }

    #[test]
    fn names_are_not_empty_and_have_no_control_characters() {
        assert!(check_name("volume's name", "data").is_ok());
        assert!(check_name("volume's name", "").is_err());
        assert!(check_name("volume's name", "a\nb").is_err());
        assert!(check_name("volume's name", &"a".repeat(MAX_NAME_BYTES + 1)).is_err());
    }

    #[test]
    fn namespaces_are_those_of_engines() {
        for valid in ["moby", "k8s.io", "default", "a_b-c"] {
            assert!(check_namespace(valid).is_ok(), "{valid}");
        }
        for invalid in ["", ".a", "a b", "a/b", &"a".repeat(77)] {
            assert!(check_namespace(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn the_size_of_strings_and_records_is_bounded() {
        let mut budget = SizeBudget::default();
        let long = "x".repeat(MAX_STRING_BYTES);
        assert!(budget.add_text("name", &long).is_ok());
        assert!(budget.add_text("name", &(long + "x")).is_err());
        let mut budget = SizeBudget::default();
        let many = vec![String::new(); MAX_RECORD_BYTES / ELEMENT_BYTES + 1];
        assert!(budget.add_texts("args", &many).is_err());
    }

    #[test]
    fn quoted_texts_are_short_and_escaped() {
        assert_eq!(quote("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
        assert!(quote(&"x".repeat(1_000)).len() < 100);
    }
}
