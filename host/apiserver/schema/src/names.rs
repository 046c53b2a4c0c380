//! The syntax of names, labels and keys, with the messages in which
//! Kubernetes says what is wrong. Every check answers with its complaints:
//! none means that the text is well formed.

use std::sync::LazyLock;

use regex::Regex;

/// Longest DNS label, label value and name part of a qualified name.
const MAX_LABEL_LENGTH: usize = 63;
/// Longest DNS subdomain and longest key of a ConfigMap or Secret.
const MAX_SUBDOMAIN_LENGTH: usize = 253;

/// The bytes of all annotations of an object together, keys and values.
pub const ANNOTATIONS_MAX: usize = 256 * 1024;

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035_PATTERN: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_NAME_PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_PATTERN: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const CONFIG_KEY_PATTERN: &str = "[-._a-zA-Z0-9]+";

/// What the name of an object may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS subdomain: what most kinds take.
    Subdomain,
    /// A DNS label: Namespaces.
    Label,
    /// Anything that is one segment of a path: Events.
    PathSegment,
}

impl NameRule {
    /// What is wrong with a name.
    pub fn check(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => dns_subdomain(name),
            Self::Label => dns_label(name),
            Self::PathSegment => path_segment(name),
        }
    }
}

/// A whole-text match of `pattern`.
fn is_match(pattern: &'static LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// The patterns are constants; that each compiles is tested.
fn compile_anchored(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

static LABEL_REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| compile_anchored(LABEL_PATTERN));
static LABEL_1035_REGEX: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile_anchored(LABEL_1035_PATTERN));
static SUBDOMAIN_REGEX: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile_anchored(SUBDOMAIN_PATTERN));
static QUALIFIED_NAME_REGEX: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile_anchored(QUALIFIED_NAME_PATTERN));
static LABEL_VALUE_REGEX: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile_anchored(LABEL_VALUE_PATTERN));
static CONFIG_KEY_REGEX: LazyLock<Option<Regex>> =
    LazyLock::new(|| compile_anchored(CONFIG_KEY_PATTERN));

/// `what`, some examples and the pattern, as every syntax message ends.
fn syntax_message(what: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}'")).collect();
    format!(
        "{what} (e.g. {}, regex used for validation is '{pattern}')",
        examples.join(",  or ")
    )
}

/// A DNS label (RFC 1123): at most 63 of `a-z0-9-`.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        complaints.push(format!(
            "must be no more than {MAX_LABEL_LENGTH} characters"
        ));
    }
    if !is_match(&LABEL_REGEX, text) {
        complaints.push(if is_match(&SUBDOMAIN_REGEX, text) {
            "must not contain dots".into()
        } else {
            syntax_message(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL_PATTERN,
                &["my-name", "123-abc"],
            )
        });
    }
    complaints
}

/// A DNS label that starts with a letter (RFC 1035).
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        complaints.push(format!(
            "must be no more than {MAX_LABEL_LENGTH} characters"
        ));
    }
    if !is_match(&LABEL_1035_REGEX, text) {
        complaints.push(syntax_message(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            LABEL_1035_PATTERN,
            &["my-name", "abc-123"],
        ));
    }
    complaints
}

/// A DNS subdomain (RFC 1123): labels joined by dots, at most 253 characters.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.len() > MAX_SUBDOMAIN_LENGTH {
        complaints.push(format!(
            "must be no more than {MAX_SUBDOMAIN_LENGTH} characters"
        ));
    }
    if !is_match(&SUBDOMAIN_REGEX, text) {
        complaints.push(syntax_message(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_PATTERN,
            &["example.com"],
        ));
    }
    complaints
}

/// One segment of a path: neither `.` nor `..`, without `/` and `%`.
pub fn path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|c| text.contains(*c))
        .map(|c| format!("may not contain '{c}'"))
        .collect()
}

/// A qualified name, the key of a label or annotation: `name` or
/// `prefix/name`, where the prefix is a DNS subdomain.
pub fn qualified_name(text: &str) -> Vec<String> {
    const WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];
    let mut complaints = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        ["", name] => {
            complaints.push("prefix part must be non-empty".into());
            name
        }
        [prefix, name] => {
            complaints.extend(
                dns_subdomain(prefix)
                    .into_iter()
                    .map(|c| format!("prefix part {c}")),
            );
            name
        }
        _ => {
            let what = syntax_message(
                &format!("a qualified name {WORDS}"),
                QUALIFIED_NAME_PATTERN,
                &EXAMPLES,
            );
            return vec![format!(
                "{what} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".into());
    } else if name.len() > MAX_LABEL_LENGTH {
        complaints.push(format!(
            "name part must be no more than {MAX_LABEL_LENGTH} bytes"
        ));
    }
    if !is_match(&QUALIFIED_NAME_REGEX, name) {
        complaints.push(syntax_message(
            &format!("name part {WORDS}"),
            QUALIFIED_NAME_PATTERN,
            &EXAMPLES,
        ));
    }
    complaints
}

/// The value of a label: at most 63 of `A-Za-z0-9-_.`, or empty.
pub fn label_value(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        complaints.push(format!("must be no more than {MAX_LABEL_LENGTH} bytes"));
    }
    if !is_match(&LABEL_VALUE_REGEX, text) {
        complaints.push(syntax_message(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            LABEL_VALUE_PATTERN,
            &["MyValue", "my_value", "12345"],
        ));
    }
    complaints
}

/// A key of a ConfigMap's or Secret's data: what can be a file's name.
pub fn config_key(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if text.len() > MAX_SUBDOMAIN_LENGTH {
        complaints.push(format!("must be no more than {MAX_SUBDOMAIN_LENGTH} bytes"));
    }
    if !is_match(&CONFIG_KEY_REGEX, text) {
        complaints.push(syntax_message(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            CONFIG_KEY_PATTERN,
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." => complaints.push("must not be '.'".into()),
        ".." => complaints.push("must not be '..'".into()),
        _ if text.starts_with("..") => complaints.push("must not start with '..'".into()),
        _ => {}
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [
            &LABEL_REGEX,
            &LABEL_1035_REGEX,
            &SUBDOMAIN_REGEX,
            &QUALIFIED_NAME_REGEX,
            &LABEL_VALUE_REGEX,
            &CONFIG_KEY_REGEX,
        ] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn well_formed_texts_pass() {
        for (check, texts) in [
            (dns_label as fn(&str) -> Vec<String>, &["a", "a-1", "0"][..]),
            (dns_1035_label, &["a", "a-1"]),
            (dns_subdomain, &["a", "a.b-c.d", "1.2"]),
            (path_segment, &["a b", "A:B", "..."]),
            (qualified_name, &["A", "a_b.c", "example.com/My.Name"]),
            (label_value, &["", "A_b.1"]),
            (config_key, &["a", ".hidden", "A_b-c.d"]),
        ] {
            for text in texts {
                assert_eq!(check(text), Vec::<String>::new(), "{text:?}");
            }
        }
    }

    #[test]
    fn malformed_texts_are_told_what_is_wrong() {
        let long = "x".repeat(254);
        for (check, text, parts) in [
            (
                dns_label as fn(&str) -> Vec<String>,
                "a.b",
                &["must not contain dots"][..],
            ),
            (dns_label, "A", &["RFC 1123 label"]),
            (dns_label, "-", &["RFC 1123 label"]),
            (dns_label, &long, &["no more than 63 characters"]),
            (dns_1035_label, "1a", &["DNS-1035"]),
            (dns_subdomain, "a..b", &["RFC 1123 subdomain"]),
            (dns_subdomain, &long, &["no more than 253 characters"]),
            (
                path_segment,
                "a/b%",
                &["may not contain '/'", "may not contain '%'"],
            ),
            (path_segment, "..", &["may not be '..'"]),
            (
                qualified_name,
                "",
                &["name part must be non-empty", "name part must consist"],
            ),
            (qualified_name, "/a", &["prefix part must be non-empty"]),
            (
                qualified_name,
                "A/b",
                &["prefix part a lowercase RFC 1123 subdomain"],
            ),
            (qualified_name, "a/b/c", &["optional DNS subdomain prefix"]),
            (label_value, "a b", &["a valid label"]),
            (config_key, "a/b", &["a valid config key"]),
            (config_key, "..", &["must not be '..'"]),
            (config_key, "..a", &["must not start with '..'"]),
        ] {
            let complaints = check(text);
            assert_eq!(complaints.len(), parts.len(), "{text:?}: {complaints:?}");
            for (complaint, part) in complaints.iter().zip(parts) {
                assert!(complaint.contains(part), "{complaint}");
            }
        }
    }
}
