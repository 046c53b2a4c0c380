//! Why a YAML document cannot be decoded, in the words of go-yaml.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use crate::limits;

/// A YAML document that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum YamlError {
    /// It is not UTF-8.
    #[error("yaml: invalid UTF-8")]
    Encoding,
    /// It is not YAML.
    #[error("yaml: {}{message}", line_prefix(*.line))]
    Syntax {
        /// `None` for an error in the first line, as go-yaml counts.
        line: Option<usize>,
        message: String,
    },
    /// It ends within a value.
    #[error("yaml: unexpected end of the document")]
    UnexpectedEnd,
    /// The parser returns an event where a value must begin.
    #[error("yaml: line {line}: unexpected {event}")]
    UnexpectedEvent { line: usize, event: String },
    /// It exceeds a limit of size or depth.
    #[error("yaml: {0}")]
    Limit(String),
    /// An alias without its anchor.
    #[error("yaml: unknown anchor")]
    UnknownAnchor,
    /// Its anchors and aliases copy more than is allowed.
    #[error(
        "yaml: document contains excessive aliasing: its aliases stand for more than {} bytes or {} values",
        limits::MAX_COPIED_BYTES,
        limits::MAX_NODES
    )]
    Aliasing,
    /// The value of a merge key (`<<`) is not a mapping.
    #[error("yaml: line {line}: map merge requires map or sequence of maps as the value")]
    MergeValue { line: usize },
    /// A key is a sequence or a mapping.
    #[error("yaml: line {line}: a key must be a scalar")]
    Key { line: usize },
    /// An infinite number or not a number.
    #[error("yaml: json: unsupported value: {0}")]
    Number(String),
}

fn line_prefix(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

/// Where the parser stopped.
#[derive(Clone, Copy)]
pub(super) struct ErrorPlace<'a> {
    pub(super) text: &'a str,
    /// The line, counted from one, at which the innermost open sequence or mapping
    /// begins.
    pub(super) collection_line: Option<usize>,
}

/// The part of go-yaml that reports an error. They count lines differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorSource {
    Scanner,
    Parser,
}

impl ErrorSource {
    /// Returns the number that go-yaml writes for a line, which is counted from zero.
    fn shown_line(self, line: usize) -> Option<usize> {
        match self {
            _ if line == 0 => None,
            Self::Scanner => Some(line + 1),
            Self::Parser => Some(line),
        }
    }
}

impl YamlError {
    /// Converts an error of the parser.
    pub(super) fn from_parser(error: &ScanError, place: ErrorPlace<'_>) -> Self {
        let line = error.marker().line().saturating_sub(1);
        let collection_line = place.collection_line.unwrap_or_default().saturating_sub(1);
        // The line of what encloses the error, unless that is the first line.
        let enclosing = |line: usize| match collection_line {
            0 => line,
            collection => collection,
        };
        let (source, line, message): (_, _, Cow<'static, str>) = match error.kind() {
            ErrorKind::ExpectedNodeContent => (
                ErrorSource::Parser,
                line,
                "did not find expected node content".into(),
            ),
            ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => (
                ErrorSource::Parser,
                enclosing(line),
                "did not find expected key".into(),
            ),
            ErrorKind::ExpectedBlockSequenceEntry => (
                ErrorSource::Parser,
                enclosing(line),
                "did not find expected '-' indicator".into(),
            ),
            ErrorKind::ExpectedFlowMappingSeparator => (
                ErrorSource::Parser,
                enclosing(line),
                "did not find expected ',' or '}'".into(),
            ),
            ErrorKind::ExpectedFlowSequenceSeparator => (
                ErrorSource::Parser,
                enclosing(line),
                "did not find expected ',' or ']'".into(),
            ),
            ErrorKind::UnclosedFlowCollection { open } => unclosed(place.text, *open, line),
            ErrorKind::UnexpectedEofFlowSequence => unclosed(place.text, '[', line),
            ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
                unclosed(place.text, '{', line)
            }
            ErrorKind::ExpectedDocumentStart => (
                ErrorSource::Parser,
                line,
                "did not find expected <document start>".into(),
            ),
            ErrorKind::UnexpectedCharacter { .. }
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation => (
                ErrorSource::Scanner,
                line,
                "found character that cannot start any token".into(),
            ),
            ErrorKind::MappingValueNotAllowed => (
                ErrorSource::Scanner,
                line,
                "mapping values are not allowed in this context".into(),
            ),
            ErrorKind::MappingKeyNotAllowed => (
                ErrorSource::Scanner,
                line,
                "mapping keys are not allowed in this context".into(),
            ),
            ErrorKind::BlockSequenceEntryNotAllowed => (
                ErrorSource::Scanner,
                line,
                "block sequence entries are not allowed in this context".into(),
            ),
            ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
                ErrorSource::Scanner,
                line,
                "could not find expected ':'".into(),
            ),
            ErrorKind::UnclosedQuotedScalar => {
                let end = place.text.matches('\n').count();
                let line = if line == 0 { end } else { line };
                (
                    ErrorSource::Scanner,
                    line,
                    "found unexpected end of stream".into(),
                )
            }
            ErrorKind::UnknownQuotedScalarEscape => (
                ErrorSource::Scanner,
                line,
                "found unknown escape character".into(),
            ),
            ErrorKind::MissingAnchorOrAliasName => (
                ErrorSource::Scanner,
                line,
                "did not find expected alphabetic or numeric character".into(),
            ),
            _ => (ErrorSource::Scanner, line, error.info().into()),
        };
        Self::Syntax {
            line: source.shown_line(line),
            message: message.into_owned(),
        }
    }
}

/// Returns the error of a flow collection that is open at the end of the text: what
/// is expected there depends on what was last. `open_line` is that of its bracket.
fn unclosed(text: &str, open: char, open_line: usize) -> (ErrorSource, usize, Cow<'static, str>) {
    let last = text.trim_end().chars().next_back();
    let lines = text.lines().count();
    // The end of the text is on a line of its own.
    match (last, open) {
        (Some('[' | '{' | ',' | ':'), _) => (
            ErrorSource::Parser,
            lines,
            "did not find expected node content".into(),
        ),
        (_, open) => {
            let close = if open == '{' { '}' } else { ']' };
            let line = if open_line == 0 { lines } else { open_line };
            (
                ErrorSource::Parser,
                line,
                format!("did not find expected ',' or '{close}'").into(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn a_syntax_error_has_the_words_and_lines_of_go_yaml() {
        for (text, expected) in [
            ("a: [", "yaml: line 1: did not find expected node content"),
            (
                "a:\n  b: [1\n",
                "yaml: line 1: did not find expected ',' or ']'",
            ),
            ("a: {b: c", "yaml: line 1: did not find expected ',' or '}'"),
            ("a: @", "yaml: found character that cannot start any token"),
            (
                "a: 1\nb: @",
                "yaml: line 2: found character that cannot start any token",
            ),
            (
                "a: b: c",
                "yaml: mapping values are not allowed in this context",
            ),
            (
                "x: 1\na: b: c",
                "yaml: line 2: mapping values are not allowed in this context",
            ),
            ("a: 1\nb", "yaml: line 2: could not find expected ':'"),
            ("a: \"x", "yaml: found unexpected end of stream"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text:?}");
        }
    }
}
