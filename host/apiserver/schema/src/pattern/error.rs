//! The error of compiling a pattern, in the form of Go's `regexp/syntax.Error`.

/// A pattern that RE2 or the `regex` crate rejects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{expression}`")]
pub(crate) struct PatternError {
    pub(super) kind: PatternErrorKind,
    /// The offending part of the pattern.
    pub(super) expression: String,
}

impl PatternError {
    pub(super) fn new(kind: PatternErrorKind, expression: impl Into<String>) -> Self {
        Self {
            kind,
            expression: expression.into(),
        }
    }
}

/// The kinds of errors, with Go's texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternErrorKind {
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("invalid escape sequence")]
    InvalidEscape,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParenthesis,
    #[error("unexpected )")]
    UnexpectedParenthesis,
    #[error("invalid repeat count")]
    InvalidRepeatCount,
    #[error("invalid or unsupported Perl syntax")]
    InvalidPerlSyntax,
    /// Anything else, with the reason that the `regex` crate gives.
    #[error("{0}")]
    Other(String),
}
