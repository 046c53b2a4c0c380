//! Kubernetes' rules for names, with its own words.

/// The bytes of all annotations together.
pub(crate) const ANNOTATIONS_LIMIT: usize = 256 * 1024;

const LABEL_LIMIT: usize = 63;
const SUBDOMAIN_LIMIT: usize = 253;

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(|byte| is_lower_alphanumeric(*byte)))
        && bytes
            .iter()
            .all(|byte| is_lower_alphanumeric(*byte) || *byte == b'-')
}

fn too_long(text: &str, limit: usize) -> Option<String> {
    (text.len() > limit).then(|| format!("must be no more than {limit} bytes"))
}

/// What keeps a text from being a DNS label of RFC 1035.
pub(crate) fn dns1035_label(text: &str) -> Vec<String> {
    let valid = is_dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    let wrong = (!valid).then(|| {
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
         character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation \
         is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            .to_owned()
    });
    too_long(text, LABEL_LIMIT)
        .into_iter()
        .chain(wrong)
        .collect()
}

/// What keeps a text from being a DNS label of RFC 1123.
pub(crate) fn dns1123_label(text: &str) -> Vec<String> {
    let wrong = (!is_dns_label(text)).then(|| {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
         with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            .to_owned()
    });
    too_long(text, LABEL_LIMIT)
        .into_iter()
        .chain(wrong)
        .collect()
}

fn dns1123_subdomain(text: &str) -> Vec<String> {
    let wrong = (!text.split('.').all(is_dns_label)).then(|| {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
         and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .to_owned()
    });
    too_long(text, SUBDOMAIN_LIMIT)
        .into_iter()
        .chain(wrong)
        .collect()
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// What keeps a text from being the key of a label: a name, with or without a DNS prefix.
pub(crate) fn qualified_name(text: &str) -> Vec<String> {
    const WRONG: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut problems = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(
                    dns1123_subdomain(prefix)
                        .into_iter()
                        .map(|problem| format!("prefix part {problem}")),
                );
            }
            name
        }
        Some(_) => {
            let and = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a qualified name {WRONG} {and}")];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else {
        problems.extend(too_long(name, LABEL_LIMIT).map(|problem| format!("name part {problem}")));
    }
    if !is_name_part(name) {
        problems.push(format!("name part {WRONG}"));
    }
    problems
}

/// What keeps a text from being the value of a label.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    let wrong = (!text.is_empty() && !is_name_part(text)).then(|| {
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
         and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
         validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            .to_owned()
    });
    too_long(text, LABEL_LIMIT)
        .into_iter()
        .chain(wrong)
        .collect()
}

/// What keeps a text from being one segment of a path.
pub(crate) fn path_segment(text: &str) -> impl Iterator<Item = String> {
    let whole = [".", ".."]
        .into_iter()
        .filter(move |name| *name == text)
        .map(|name| format!("may not be '{name}'"));
    let parts = ["/", "%"]
        .into_iter()
        .filter(move |part| text.contains(part))
        .map(|part| format!("may not contain '{part}'"));
    whole.chain(parts)
}
