//! Regular expressions as Go's RE2 has them, on the `regex` crate.
//!
//! The two syntaxes are alike enough to mislead: `\d` is ten digits there and hundreds here, `[[]` a bracket there and
//! an open class here. A pattern is therefore translated first; what cannot be is refused.

mod translate;

use regex::Regex;

/// How Go begins its complaints.
const PREFIX: &str = "error parsing regexp:";

/// Compiles a pattern; an empty one is none.
pub(crate) fn compile_optional(pattern: &str) -> Result<Option<Regex>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    compile(pattern).map(Some)
}

/// Compiles a pattern, an empty one too.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated =
        translate::translate(pattern).map_err(|problem| format!("{PREFIX} {problem}"))?;
    Regex::new(&translated).map_err(|error| explain(pattern, &error))
}

/// Go's words for the most common mistakes; the library's own for the rest.
fn explain(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    if text.contains("unclosed group") {
        return format!("{PREFIX} missing closing ): `{pattern}`");
    }
    if text.contains("unopened group") {
        return format!("{PREFIX} unexpected ): `{pattern}`");
    }
    let reason = text
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    format!("{PREFIX} {reason}: `{pattern}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, yes: &[&str], no: &[&str]) {
        let regex = compile(pattern).unwrap();
        for text in yes {
            assert!(
                regex.is_match(text),
                "{pattern} should match {text:?}, as {regex}"
            );
        }
        for text in no {
            assert!(
                !regex.is_match(text),
                "{pattern} should not match {text:?}, as {regex}"
            );
        }
    }

    #[test]
    fn classes_are_those_of_ascii() {
        matches(r"^\d+$", &["019"], &["٣", "a", "5\n"]);
        matches(r"^\D+$", &["٣", "a"], &["1"]);
        matches(r"^\w+$", &["aZ_9"], &["ä", "-"]);
        matches(r"^[^\w]+$", &["ä", "-"], &["a"]);
        matches(r"^\s+$", &[" \t\n\r"], &["\u{a0}", "\u{b}", "a"]);
        matches(r"^[\d\s-]+$", &["1 2-3"], &["a", "٣"]);
        matches(r"^[\D]+$", &["a٣"], &["1"]);
        matches(r"a\b", &["a b", "aä"], &["ab"]);
        matches(r"^\S\W\B", &[], &["ab"]);
    }

    #[test]
    fn brackets_in_classes_are_brackets() {
        matches("^[[]$", &["["], &["x"]);
        matches("^[[ab]]$", &["[]", "a]"], &["a", "b"]);
        matches("^[]a]$", &["]", "a"], &["b"]);
        matches("^[^]a]$", &["b"], &["]"]);
        matches("^[a&&b]+$", &["&", "a", "b"], &["c"]);
        matches("^[a~~b]+$", &["~"], &["c"]);
        matches("^[+--]+$", &["+", ",", "-"], &["a"]);
        matches("^[a-]+$", &["a-"], &["b"]);
        matches("^[[:alpha:][:digit:]_-]+$", &["a1_-"], &["ä", "["]);
        matches(r"^[\]\\]+$", &[r"]\"], &["a"]);
    }

    #[test]
    fn what_looks_special_but_is_not() {
        matches(r"\<x\>", &["<x>"], &["x"]);
        matches(r"^a{,2}$", &["a{,2}"], &["aa", ""]);
        matches(r"^{a}$", &["{a}"], &["a"]);
        matches(r"^a{2,3}b{1}c{0,}$", &["aab", "aaabcc"], &["ab"]);
        matches(r"^\Qa.b[\E$", &["a.b["], &["axb["]);
        matches(r"^\Q\E$", &[""], &["Q"]);
        matches(r"^\101\x41\x{e4}$", &["AAä"], &["1AA"]);
        matches("(?i)ÄB", &["äb"], &["ab"]);
        matches("^a$", &["a"], &["a\n"]);
        matches(r"^\pL+\p{Greek}$", &["äα"], &["1"]);
    }

    #[test]
    fn what_go_does_not_have_is_refused() {
        for pattern in [
            "(?x)a b", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"\Z", r"\h", r"(a)\1", "(?u)a",
            "a{1001}", "[b-a]", "(", ")", "[a", "*", r"\",
        ] {
            let problem = compile(pattern).unwrap_err();
            assert!(problem.starts_with(PREFIX), "{pattern}: {problem}");
        }
        assert_eq!(
            compile("^(?=a)").unwrap_err(),
            "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
        );
        assert_eq!(
            compile("(").unwrap_err(),
            "error parsing regexp: missing closing ): `(`"
        );
    }
}
