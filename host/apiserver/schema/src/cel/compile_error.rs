//! The error of compiling an expression, in the form of the messages of upstream's compiler.

use super::limits::ExpressionLimitError;
use crate::pattern::PatternError;

/// An expression that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The expression is too long or nested too deeply.
    #[error(transparent)]
    Limit(#[from] ExpressionLimitError),
    /// The parser failed without a message.
    #[error("ERROR: <input>:1:1: Syntax error: the expression cannot be parsed")]
    Unparsable,
    /// The parser or the type checker rejected the expression. There is at least one error.
    #[error("{}", join(.0))]
    Source(Vec<SourceError>),
    /// A regular expression in a string literal is malformed.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

fn join(errors: &[SourceError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

/// One error with its position, followed by the line of the source in which the column is marked.
#[derive(Debug, thiserror::Error)]
#[error("ERROR: <input>:{line}:{column}: {message}\n | {source_line}\n | {dots}^")]
pub(crate) struct SourceError {
    /// The line, from one.
    line: isize,
    /// The column, from one.
    column: isize,
    message: String,
    source_line: String,
    dots: String,
}

impl SourceError {
    /// Creates an error at a line and a column of `source`, both from one.
    pub(super) fn new(source: &str, (line, column): (isize, isize), message: &str) -> Self {
        let source_line = usize::try_from(line - 1)
            .ok()
            .and_then(|line| source.lines().nth(line))
            .unwrap_or_default();
        Self {
            line,
            column,
            message: message.to_owned(),
            source_line: source_line.to_owned(),
            dots: ".".repeat(usize::try_from(column - 1).unwrap_or_default()),
        }
    }
}
