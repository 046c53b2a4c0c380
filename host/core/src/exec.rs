//! Processes in containers.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use crate::{EngineError, LogStream};

/// A process to run in a container.
///
/// ```
/// use rdd_core::ExecOptions;
///
/// // `docker exec CONTAINER ls /`
/// let options = ExecOptions {
///     command: vec!["ls".to_owned(), "/".to_owned()],
///     ..ExecOptions::default()
/// };
/// assert!(options.stdout && options.stderr && !options.stdin && !options.tty);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOptions {
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
    /// Environment variables by name, in addition to those of the container.
    pub env: Vec<(String, String)>,
    /// The working directory, an absolute path; that of the container if `None`.
    pub working_dir: Option<String>,
    /// The user, as a name or number with an optional group; that of the
    /// container if `None`.
    pub user: Option<String>,
    /// Whether the process has a terminal. Its whole output is then standard
    /// output.
    pub tty: bool,
    /// Whether the process has standard input.
    pub stdin: bool,
    /// Whether to return the standard output.
    pub stdout: bool,
    /// Whether to return the standard error. Always false with `tty`.
    pub stderr: bool,
}

impl Default for ExecOptions {
    /// Runs nothing yet: without a terminal and input, with both outputs.
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            user: None,
            tty: false,
            stdin: false,
            stdout: true,
            stderr: true,
        }
    }
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// The number of columns.
    pub columns: u16,
    /// The number of rows.
    pub rows: u16,
}

/// A process that runs in a container. When `output` is dropped, the connection
/// to the process is closed; the process may continue to run.
///
/// Input, output, and sizes are independent of each other.
pub struct ExecSession {
    /// The standard input. Dropping the sender half-closes it: the process
    /// reads the end of its input. The channel is closed once the process
    /// accepts no more input, which does not end the session.
    pub stdin: mpsc::Sender<Bytes>,
    /// The size of the terminal. Only the last value matters.
    pub resizes: watch::Sender<Option<TerminalSize>>,
    /// The output of the process, in the order in which the engine sends it.
    pub output: LogStream,
    /// The exit code of the process: 128 plus the number of the signal that
    /// ended it, 126 or 127 if the command cannot be run. It may resolve long
    /// after `output` has ended.
    pub exit: BoxFuture<'static, Result<i32, EngineError>>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}
