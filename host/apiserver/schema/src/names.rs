//! The syntax of names, labels, and keys, with Kubernetes' error messages.
//!
//! Each function returns the problems of a text; an empty list means that the text is valid.

use std::sync::LazyLock;

use regex::Regex;

/// The maximum length of a DNS label, of a label's value, and of the name part of a qualified name, in bytes.
const MAX_LABEL_LENGTH: usize = 63;
/// The maximum length of a DNS subdomain and of a key of a ConfigMap or Secret, in bytes.
const MAX_SUBDOMAIN_LENGTH: usize = 253;

/// The maximum size of all annotations of an object together, keys and values, in bytes.
pub const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035_PATTERN: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_NAME_PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_PATTERN: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const CONFIG_KEY_PATTERN: &str = "[-._a-zA-Z0-9]+";

/// The syntax of the names of a kind's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameValidator {
    /// A DNS subdomain: most kinds.
    Subdomain,
    /// A DNS label: Namespaces.
    Label,
    /// Any segment of a URL path: Events.
    PathSegment,
}

impl NameValidator {
    /// Returns the problems of a name.
    pub fn validate(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => validate_dns_subdomain(name),
            Self::Label => validate_dns_label(name),
            Self::PathSegment => validate_path_segment(name),
        }
    }
}

/// Whether a pattern matches the whole text.
fn is_match(pattern: &'static LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// Compiles a pattern that matches whole texts. The patterns are constants, and a test compiles each.
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

/// Returns a syntax message: the requirement, followed by examples and the pattern.
fn syntax_message(requirement: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}'")).collect();
    format!(
        "{requirement} (e.g. {}, regex used for validation is '{pattern}')",
        examples.join(",  or ")
    )
}

/// Checks a DNS label (RFC 1123): at most 63 characters of `a-z0-9-`.
pub fn validate_dns_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        problems.push(format!(
            "must be no more than {MAX_LABEL_LENGTH} characters"
        ));
    }
    if !is_match(&LABEL_REGEX, text) {
        problems.push(if is_match(&SUBDOMAIN_REGEX, text) {
            "must not contain dots".into()
        } else {
            syntax_message(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL_PATTERN,
                &["my-name", "123-abc"],
            )
        });
    }
    problems
}

/// Checks a DNS label that starts with a letter (RFC 1035).
pub fn validate_dns_1035_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        problems.push(format!(
            "must be no more than {MAX_LABEL_LENGTH} characters"
        ));
    }
    if !is_match(&LABEL_1035_REGEX, text) {
        problems.push(syntax_message(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            LABEL_1035_PATTERN,
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// Checks a DNS subdomain (RFC 1123): labels joined by dots, at most 253 characters.
pub fn validate_dns_subdomain(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > MAX_SUBDOMAIN_LENGTH {
        problems.push(format!(
            "must be no more than {MAX_SUBDOMAIN_LENGTH} characters"
        ));
    }
    if !is_match(&SUBDOMAIN_REGEX, text) {
        problems.push(syntax_message(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_PATTERN,
            &["example.com"],
        ));
    }
    problems
}

/// Checks a segment of a URL path: neither `.` nor `..`, without `/` and `%`.
pub fn validate_path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|c| text.contains(*c))
        .map(|c| format!("may not contain '{c}'"))
        .collect()
}

/// Checks a qualified name, the key of a label or annotation: `name` or `prefix/name`, where the prefix is a DNS
/// subdomain.
pub fn validate_qualified_name(text: &str) -> Vec<String> {
    const REQUIREMENT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];
    let mut problems = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        ["", name] => {
            problems.push("prefix part must be non-empty".into());
            name
        }
        [prefix, name] => {
            problems.extend(
                validate_dns_subdomain(prefix)
                    .into_iter()
                    .map(|c| format!("prefix part {c}")),
            );
            name
        }
        _ => {
            let message = syntax_message(
                &format!("a valid label key {REQUIREMENT}"),
                QUALIFIED_NAME_PATTERN,
                &EXAMPLES,
            );
            return vec![format!(
                "{message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if name.len() > MAX_LABEL_LENGTH {
        problems.push(format!(
            "name part must be no more than {MAX_LABEL_LENGTH} bytes"
        ));
    }
    if !is_match(&QUALIFIED_NAME_REGEX, name) {
        problems.push(syntax_message(
            &format!("name part {REQUIREMENT}"),
            QUALIFIED_NAME_PATTERN,
            &EXAMPLES,
        ));
    }
    problems
}

/// Checks that a finalizer has a domain or is one of Kubernetes' own. Its other syntax is that of a qualified name.
pub fn validate_finalizer_domain(finalizer: &str) -> Option<&'static str> {
    const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    (!finalizer.contains('/') && !STANDARD.contains(&finalizer))
        .then_some("name is neither a standard finalizer name nor is it fully qualified")
}

/// Checks the value of a label: at most 63 characters of `A-Za-z0-9-_.`, or empty.
pub fn validate_label_value(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > MAX_LABEL_LENGTH {
        problems.push(format!("must be no more than {MAX_LABEL_LENGTH} bytes"));
    }
    if !is_match(&LABEL_VALUE_REGEX, text) {
        problems.push(syntax_message(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            LABEL_VALUE_PATTERN,
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

/// Checks a key of the data of a ConfigMap or Secret, which must be usable as a file name.
pub fn validate_config_key(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > MAX_SUBDOMAIN_LENGTH {
        problems.push(format!("must be no more than {MAX_SUBDOMAIN_LENGTH} bytes"));
    }
    if !is_match(&CONFIG_KEY_REGEX, text) {
        problems.push(syntax_message(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            CONFIG_KEY_PATTERN,
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." => problems.push("must not be '.'".into()),
        ".." => problems.push("must not be '..'".into()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".into()),
        _ => {}
    }
    problems
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
    fn valid_texts_have_no_problems() {
        for (validate, texts) in [
            (
                validate_dns_label as fn(&str) -> Vec<String>,
                &["a", "a-1", "0"][..],
            ),
            (validate_dns_1035_label, &["a", "a-1"]),
            (validate_dns_subdomain, &["a", "a.b-c.d", "1.2"]),
            (validate_path_segment, &["a b", "A:B", "..."]),
            (
                validate_qualified_name,
                &["A", "a_b.c", "example.com/My.Name"],
            ),
            (validate_label_value, &["", "A_b.1"]),
            (validate_config_key, &["a", ".hidden", "A_b-c.d"]),
        ] {
            for text in texts {
                assert_eq!(validate(text), Vec::<String>::new(), "{text:?}");
            }
        }
    }

    #[test]
    fn every_problem_of_an_invalid_text_is_reported() {
        let long = "x".repeat(254);
        for (validate, text, parts) in [
            (
                validate_dns_label as fn(&str) -> Vec<String>,
                "a.b",
                &["must not contain dots"][..],
            ),
            (validate_dns_label, "A", &["RFC 1123 label"]),
            (validate_dns_label, "-", &["RFC 1123 label"]),
            (validate_dns_label, &long, &["no more than 63 characters"]),
            (validate_dns_1035_label, "1a", &["DNS-1035"]),
            (validate_dns_subdomain, "a..b", &["RFC 1123 subdomain"]),
            (
                validate_dns_subdomain,
                &long,
                &["no more than 253 characters"],
            ),
            (
                validate_path_segment,
                "a/b%",
                &["may not contain '/'", "may not contain '%'"],
            ),
            (validate_path_segment, "..", &["may not be '..'"]),
            (
                validate_qualified_name,
                "",
                &["name part must be non-empty", "name part must consist"],
            ),
            (
                validate_qualified_name,
                "/a",
                &["prefix part must be non-empty"],
            ),
            (
                validate_qualified_name,
                "A/b",
                &["prefix part a lowercase RFC 1123 subdomain"],
            ),
            (
                validate_qualified_name,
                "a/b/c",
                &["a valid label key must consist of"],
            ),
            (validate_label_value, "a b", &["a valid label"]),
            (validate_config_key, "a/b", &["a valid config key"]),
            (validate_config_key, "..", &["must not be '..'"]),
            (validate_config_key, "..a", &["must not start with '..'"]),
        ] {
            let problems = validate(text);
            assert_eq!(problems.len(), parts.len(), "{text:?}: {problems:?}");
            for (problem, part) in problems.iter().zip(parts) {
                assert!(problem.contains(part), "{problem}");
            }
        }
    }
}
