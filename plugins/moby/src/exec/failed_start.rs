//! A command that cannot be run. Engines report it in several ways, and this is
//! where they become the exit codes of a shell.

use rdd_sdk::http::StatusCode;
use rdd_sdk::types::{Error, OutputChunk};

/// The exit codes of a command that cannot be run, as in a shell.
pub(super) const NOT_EXECUTABLE: i32 = 126;
pub(super) const NOT_FOUND: i32 = 127;

/// The begin of an engine's message about a process that it cannot start, and its
/// maximum length.
const MESSAGE_PREFIX: &[u8] = b"OCI runtime exec failed";
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// Returns the exit code for a start that the engine refused because the command
/// cannot be run. Engines before version 24 report this as output.
pub(super) fn code_of_refused_start(status: Option<StatusCode>, error: &Error) -> Option<i32> {
    let status = status?;
    let message = &error.message;
    if status != StatusCode::BAD_REQUEST && status != StatusCode::INTERNAL_SERVER_ERROR {
        return None;
    }
    if message.contains("executable file not found") || message.contains("no such file") {
        Some(NOT_FOUND)
    } else if message.contains("permission denied") || message.contains("is a directory") {
        Some(NOT_EXECUTABLE)
    } else {
        None
    }
}

/// Returns the exit code of a process that could not be started, which an engine
/// reports as output. Some report 126 also for a program that they do not find.
pub(super) fn code_of_failed_start(code: i32, output: &[u8]) -> i32 {
    let output = String::from_utf8_lossy(output);
    let is_not_found = output.as_bytes().starts_with(MESSAGE_PREFIX)
        && (output.contains("executable file not found") || output.contains("no such file"));
    match code {
        NOT_EXECUTABLE if is_not_found => NOT_FOUND,
        code => code,
    }
}

pub(super) fn concat(chunks: &[OutputChunk]) -> Vec<u8> {
    chunks
        .iter()
        .flat_map(|chunk| &chunk.bytes)
        .copied()
        .collect()
}

/// Returns whether an output that begins like this may be a message of the engine.
pub(super) fn is_message_so_far(chunks: &[OutputChunk]) -> bool {
    let begin = concat(chunks);
    let common = begin.len().min(MESSAGE_PREFIX.len());
    begin.len() <= MAX_MESSAGE_BYTES && begin.get(..common) == MESSAGE_PREFIX.get(..common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_run_has_an_exit_code() {
        let code = |status, message: &str| {
            code_of_refused_start(Some(status), &Error::invalid_argument(message))
        };
        let bad = StatusCode::BAD_REQUEST;
        assert_eq!(
            code(bad, "exec: \"x\": executable file not found in $PATH"),
            Some(127)
        );
        assert_eq!(code(bad, "exec /x: no such file or directory"), Some(127));
        assert_eq!(code(bad, "exec: \"/x\": permission denied"), Some(126));
        assert_eq!(code(bad, "something else"), None);
        assert_eq!(
            code(StatusCode::NOT_FOUND, "no such file or directory"),
            None
        );
    }

    #[test]
    fn a_program_that_is_not_found_has_the_exit_code_of_a_shell() {
        let message = b"OCI runtime exec failed: exec: \"x\": executable file not found in $PATH";
        assert_eq!(code_of_failed_start(126, message), 127);
        assert_eq!(code_of_failed_start(127, message), 127);
        assert_eq!(
            code_of_failed_start(126, b"x: executable file not found"),
            126
        );
        assert_eq!(code_of_failed_start(0, message), 0);
    }
}
