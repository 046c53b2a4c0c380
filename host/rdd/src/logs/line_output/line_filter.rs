//! The selection of lines by regular expressions.

use regex::bytes::{Regex, RegexSet};

/// Which lines are printed, and what is highlighted in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineFilter {
    include: Option<RegexSet>,
    exclude: Option<RegexSet>,
    highlight: Option<Regex>,
}

impl LineFilter {
    /// Creates the filter. A line is printed if it matches one of `include`, or
    /// there is none, and none of `exclude`.
    ///
    /// # Errors
    ///
    /// Fails for an expression that is not valid, and for several that are too
    /// large together.
    pub(crate) fn new(
        include: &[String],
        exclude: &[String],
        highlight: &[String],
    ) -> Result<Self, regex::Error> {
        let set = |patterns: &[String]| {
            (!patterns.is_empty())
                .then(|| RegexSet::new(patterns))
                .transpose()
        };
        // One expression, so that none matches in what another one inserts.
        let alternatives: Vec<_> = highlight.iter().map(|it| format!("(?:{it})")).collect();
        Ok(Self {
            include: set(include)?,
            exclude: set(exclude)?,
            highlight: (!alternatives.is_empty())
                .then(|| Regex::new(&alternatives.join("|")))
                .transpose()?,
        })
    }

    /// Returns whether every line is printed.
    pub(crate) fn is_empty(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Returns the expression whose matches are highlighted.
    pub(crate) fn highlight(&self) -> Option<&Regex> {
        self.highlight.as_ref()
    }

    /// Returns whether a line is printed.
    pub(super) fn accepts(&self, line: &[u8]) -> bool {
        // So that `$` matches at the end of a line of a terminal, too.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.include.as_ref().is_none_or(|set| set.is_match(line))
            && !self.exclude.as_ref().is_some_and(|set| set.is_match(line))
    }
}

/// Checks an expression on the command line.
pub(crate) fn parse_pattern(text: &str) -> Result<String, regex::Error> {
    Regex::new(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> LineFilter {
        let owned = |patterns: &[&str]| -> Vec<String> {
            patterns.iter().map(|&it| it.to_owned()).collect()
        };
        LineFilter::new(&owned(include), &owned(exclude), &[]).unwrap()
    }

    #[test]
    fn a_line_matches_one_included_and_no_excluded_expression() {
        let lines: [&[u8]; 4] = [b"GET /a", b"GET /health", b"POST /b\r", b"\xff bytes"];
        let accepted = |filter: &LineFilter| -> Vec<usize> {
            (0..lines.len())
                .filter(|&number| filter.accepts(lines[number]))
                .collect()
        };
        assert_eq!(accepted(&filter(&[], &[])), [0, 1, 2, 3]);
        assert_eq!(accepted(&filter(&["^GET", "b$"], &[])), [0, 1, 2]);
        assert_eq!(accepted(&filter(&["^GET"], &["health", "x"])), [0]);
        assert_eq!(accepted(&filter(&[], &["^[A-Z]"])), [3]);
        assert_eq!(accepted(&filter(&[r"(?-u)\xff"], &[])), [3]);
    }

    #[test]
    fn an_invalid_expression_is_an_error() {
        assert!(parse_pattern("a(").unwrap_err().to_string().contains("a("));
        assert_eq!(parse_pattern("a|b").unwrap(), "a|b");
    }
}
