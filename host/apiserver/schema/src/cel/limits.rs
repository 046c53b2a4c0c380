//! Limits on expressions, which keep the recursion of the parser and the type checker within a thread's stack.

use cel::parser::Expression;

use super::visit::children;

/// The maximum number of characters in an expression: upstream's limit.
const MAX_CHARACTERS: usize = 100_000;
/// The maximum number of punctuation characters in an expression, those in string literals included. The parser
/// recurses for each operator, dot, and bracket; expressions in practice have fewer than a hundred.
const MAX_PUNCTUATION: usize = 2_000;
/// The maximum nesting of a parsed expression: walking it uses only a part of a small stack.
const MAX_NESTING: usize = 200;
/// The stack size of the thread that parses schemas and their expressions, in bytes: enough for the deepest recursion
/// that the other limits allow. Only the pages that are used take memory.
const PARSER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// An expression that exceeds a limit. The texts have the form of the errors of upstream's compiler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExpressionLimitError {
    #[error(
        "ERROR: <input>:-1:0: expression code point size exceeds limit: size: {characters}, limit {}",
        MAX_CHARACTERS
    )]
    Length { characters: usize },
    #[error(
        "ERROR: <input>:-1:0: expression has more than {} operators and brackets",
        MAX_PUNCTUATION
    )]
    Punctuation,
    #[error(
        "ERROR: <input>:-1:0: expression is nested more than {} levels deep",
        MAX_NESTING
    )]
    Nesting,
}

/// Rejects a source text that could overflow the parser's stack.
pub(super) fn check_source(source: &str) -> Result<(), ExpressionLimitError> {
    let characters = source.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(ExpressionLimitError::Length { characters });
    }
    if source.chars().filter(char::is_ascii_punctuation).count() > MAX_PUNCTUATION {
        return Err(ExpressionLimitError::Punctuation);
    }
    Ok(())
}

/// Rejects an expression that is nested too deeply. Returns its depth.
pub(super) fn check_nesting(expression: &Expression) -> Result<usize, ExpressionLimitError> {
    check_depth(nesting_depth(expression))
}

/// Rejects a depth that would take too much of a stack. Returns it otherwise.
pub(super) fn check_depth(depth: usize) -> Result<usize, ExpressionLimitError> {
    if depth > MAX_NESTING {
        return Err(ExpressionLimitError::Nesting);
    }
    Ok(depth)
}

fn nesting_depth(expression: &Expression) -> usize {
    children(expression)
        .into_iter()
        .map(nesting_depth)
        .max()
        .unwrap_or(0)
        + 1
}

/// Runs `work` on a thread whose stack is large enough for parsing any schema, and waits for its result.
///
/// The outer error means that the thread could not be started, the inner one that `work` panicked.
pub(crate) fn run_on_parser_stack<T: Send>(
    work: impl FnOnce() -> T + Send,
) -> std::io::Result<std::thread::Result<T>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("schema-parser".to_owned())
            .stack_size(PARSER_STACK_BYTES);
        Ok(thread.spawn_scoped(scope, work)?.join())
    })
}
