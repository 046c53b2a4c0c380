//! Regular expressions with the syntax of Go's RE2, compiled by the `regex` crate.
//!
//! The two syntaxes differ in details: `\d` matches ten digits in RE2 and hundreds in `regex`, and `[[]` matches a
//! bracket in RE2 but is an unclosed class in `regex`. Each pattern is therefore translated first; a pattern that
//! cannot be translated is rejected. No maintained crate does this translation.

mod error;
mod translate;

use regex::Regex;

pub(crate) use self::error::PatternError;
use self::error::PatternErrorKind;

/// Compiles a pattern; returns `None` for an empty one.
pub(crate) fn compile_optional(pattern: &str) -> Result<Option<Regex>, PatternError> {
    if pattern.is_empty() {
        return Ok(None);
    }
    compile(pattern).map(Some)
}

/// Compiles a pattern, which may be empty.
pub(crate) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let translated = translate::translate(pattern)?;
    Regex::new(&translated).map_err(|error| convert_error(pattern, &error))
}

/// Converts an error of the `regex` crate: the most common ones get Go's text.
fn convert_error(pattern: &str, error: &regex::Error) -> PatternError {
    let text = error.to_string();
    let kind = if text.contains("unclosed group") {
        PatternErrorKind::MissingParenthesis
    } else if text.contains("unopened group") {
        PatternErrorKind::UnexpectedParenthesis
    } else {
        let reason = text.lines().last().unwrap_or_default();
        PatternErrorKind::Other(reason.trim_start_matches("error: ").to_owned())
    };
    PatternError::new(kind, pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_matches(pattern: &str, matching: &[&str], other: &[&str]) {
        let regex = compile(pattern).unwrap();
        for text in matching {
            assert!(
                regex.is_match(text),
                "{pattern} should match {text:?}, as {regex}"
            );
        }
        for text in other {
            assert!(
                !regex.is_match(text),
                "{pattern} should not match {text:?}, as {regex}"
            );
        }
    }

    #[test]
    fn perl_classes_match_ascii_only() {
        assert_matches(r"^\d+$", &["019"], &["٣", "a", "5\n"]);
        assert_matches(r"^\D+$", &["٣", "a"], &["1"]);
        assert_matches(r"^\w+$", &["aZ_9"], &["ä", "-"]);
        assert_matches(r"^[^\w]+$", &["ä", "-"], &["a"]);
        assert_matches(r"^\s+$", &[" \t\n\r"], &["\u{a0}", "\u{b}", "a"]);
        assert_matches(r"^[\d\s-]+$", &["1 2-3"], &["a", "٣"]);
        assert_matches(r"^[\D]+$", &["a٣"], &["1"]);
        assert_matches(r"a\b", &["a b", "aä"], &["ab"]);
        assert_matches(r"^\S\W\B", &[], &["ab"]);
    }

    #[test]
    fn brackets_and_operators_in_classes_are_literal() {
        assert_matches("^[[]$", &["["], &["x"]);
        assert_matches("^[[ab]]$", &["[]", "a]"], &["a", "b"]);
        assert_matches("^[]a]$", &["]", "a"], &["b"]);
        assert_matches("^[^]a]$", &["b"], &["]"]);
        assert_matches("^[a&&b]+$", &["&", "a", "b"], &["c"]);
        assert_matches("^[a~~b]+$", &["~"], &["c"]);
        assert_matches("^[+--]+$", &["+", ",", "-"], &["a"]);
        assert_matches("^[a-]+$", &["a-"], &["b"]);
        assert_matches("^[[:alpha:][:digit:]_-]+$", &["a1_-"], &["ä", "["]);
        assert_matches(r"^[\]\\]+$", &[r"]\"], &["a"]);
    }

    #[test]
    fn escapes_braces_and_quotes_have_the_meaning_of_re2() {
        assert_matches(r"\<x\>", &["<x>"], &["x"]);
        assert_matches(r"^a{,2}$", &["a{,2}"], &["aa", ""]);
        assert_matches(r"^{a}$", &["{a}"], &["a"]);
        assert_matches(r"^a{2,3}b{1}c{0,}$", &["aab", "aaabcc"], &["ab"]);
        assert_matches(r"^\Qa.b[\E$", &["a.b["], &["axb["]);
        assert_matches(r"^\Q\E$", &[""], &["Q"]);
        assert_matches(r"^\101\x41\x{e4}$", &["AAä"], &["1AA"]);
        assert_matches("(?i)ÄB", &["äb"], &["ab"]);
        assert_matches("^a$", &["a"], &["a\n"]);
        assert_matches(r"^\pL+\p{Greek}$", &["äα"], &["1"]);
    }

    #[test]
    fn syntax_that_go_does_not_support_is_rejected() {
        for pattern in [
            "(?x)a b", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"\Z", r"\h", r"(a)\1", "(?u)a",
            "a{1001}", "[b-a]", "(", ")", "[a", "*", r"\",
        ] {
            let error = compile(pattern).unwrap_err().to_string();
            assert!(
                error.starts_with("error parsing regexp: "),
                "{pattern}: {error}"
            );
        }
        assert_eq!(
            compile("^(?=a)").unwrap_err().to_string(),
            "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
        );
        assert_eq!(
            compile("(").unwrap_err().to_string(),
            "error parsing regexp: missing closing ): `(`"
        );
    }
}
