//! Regular expressions: Go's RE2 syntax, as far as it is also that of the `regex` crate.

use regex::Regex;

/// Compiles a pattern; an empty one is none.
pub(crate) fn compile(pattern: &str) -> Result<Option<Regex>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    Regex::new(pattern)
        .map(Some)
        .map_err(|error| explain(pattern, &error))
}

/// Go's words for the most common mistakes; the library's own for the rest.
fn explain(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let prefix = "error parsing regexp:";
    if let Some(construct) = ["(?=", "(?!", "(?<=", "(?<!"]
        .into_iter()
        .find(|construct| pattern.contains(construct))
    {
        // RE2 names what it read so far: `(?<` alone is a group's name to it.
        let shown = construct.get(..3).unwrap_or(construct);
        return format!("{prefix} invalid or unsupported Perl syntax: `{shown}`");
    }
    if text.contains("unclosed group") {
        return format!("{prefix} missing closing ): `{pattern}`");
    }
    if text.contains("unopened group") {
        return format!("{prefix} unexpected ): `{pattern}`");
    }
    let reason = text
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    format!("{prefix} {reason}: `{pattern}`")
}
