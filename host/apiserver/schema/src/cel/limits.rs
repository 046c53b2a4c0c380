//! Bounds on expressions that keep recursion within a thread's stack.

use cel::parser::Expression;

use super::visit::children;

/// The most characters of an expression, as upstream has it.
const MAX_CHARACTERS: usize = 100_000;
/// The most operators, dots and brackets of an expression, in texts too. People write fewer than a hundred; the
/// parser recurses for each.
const MAX_PUNCTUATION: usize = 2_000;
/// The most levels of a parsed expression, so that walking it needs no more than a part of a small stack.
const MAX_NESTING: usize = 200;
/// The stack on which schemas and their expressions are parsed: room for as much recursion as the bounds let through. Only what is used
/// of it takes memory.
const PARSER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Refuses a source that would be too much for the parser.
pub(super) fn check_source(source: &str) -> Result<(), String> {
    let characters = source.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(format!(
            "ERROR: <input>:-1:0: expression code point size exceeds limit: size: {characters}, limit {MAX_CHARACTERS}"
        ));
    }
    let punctuation = source.chars().filter(char::is_ascii_punctuation).count();
    if punctuation > MAX_PUNCTUATION {
        return Err(format!(
            "ERROR: <input>:-1:0: expression has more than {MAX_PUNCTUATION} operators and brackets"
        ));
    }
    Ok(())
}

/// Refuses an expression that is nested too deep.
pub(super) fn check_nesting(expression: &Expression) -> Result<(), String> {
    if nesting_depth(expression) > MAX_NESTING {
        return Err(format!(
            "ERROR: <input>:-1:0: expression is nested more than {MAX_NESTING} levels deep"
        ));
    }
    Ok(())
}

fn nesting_depth(expression: &Expression) -> usize {
    children(expression)
        .into_iter()
        .map(nesting_depth)
        .max()
        .unwrap_or(0)
        + 1
}

/// Runs what parses schemas where there is stack enough for it; waits for the result.
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
