//! Processes in containers: a few built-in commands.
//!
//! | command | what it does |
//! |---|---|
//! | `echo WORD…`, `err WORD…` | prints a line to standard output or error |
//! | `cat` | copies its input |
//! | `yes WORD` | prints without end, and does not read |
//! | `sleep` | waits for the end of its input, or for ever without one |
//! | `exit CODE`, `kill SIGNAL` | exits |
//! | `crash` | fails with its backend |
//! | `close-input` | closes its input |
//! | `close-output` | closes its output, then waits for the end of its input |
//! | `size` | prints each size of its terminal until its input ends |
//! | `env`, `pwd`, `id` | prints an option of the call |
//! | `/fake/data` | cannot be run (126); any other command is not found (127) |

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt};
use rdd_core::{
    ContainerRef, EngineError, ErrorCode, ExecOptions, ExecSession, OutputChunk, OutputSource,
    TerminalSize,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{FakeEngine, SharedEngine};

/// The number of chunks that wait in each direction.
const QUEUE: usize = 8;

/// A process: its options and its ends of the session.
struct FakeProcess {
    options: ExecOptions,
    stdin: mpsc::Receiver<Bytes>,
    resizes: watch::Receiver<Option<TerminalSize>>,
    /// `None` once the process closed its output.
    output: Option<mpsc::Sender<OutputChunk>>,
}

/// Counts a process as long as it runs.
struct ProcessGuard(Arc<SharedEngine>);

impl ProcessGuard {
    fn new(shared: &Arc<SharedEngine>) -> Self {
        shared.processes.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        self.0.processes.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeEngine {
    /// Returns the number of processes that were started by
    /// [`exec`](rdd_core::ContainerEngine::exec) and are connected.
    pub fn process_count(&self) -> usize {
        self.shared.processes.load(Ordering::SeqCst)
    }
}

pub(super) fn start(
    shared: &Arc<SharedEngine>,
    container: &ContainerRef,
    options: &ExecOptions,
) -> Result<ExecSession, EngineError> {
    let conflict = |what: String| EngineError::new(ErrorCode::Conflict, what);
    {
        let found = shared.lock().container(container)?;
        if found.paused {
            return Err(conflict(format!("container {} is paused", container.id)));
        }
        if !found.running {
            return Err(conflict(format!(
                "container {} is not running",
                container.id
            )));
        }
    }
    if options.command.is_empty() {
        return Err(EngineError::new(
            ErrorCode::InvalidArgument,
            "no exec command specified",
        ));
    }
    let (stdin, stdin_receiver) = mpsc::channel(QUEUE);
    let (resizes, resize_receiver) = watch::channel(None);
    let (output, mut chunks) = mpsc::channel(QUEUE);
    let (mut exit_sender, exit) = oneshot::channel();
    // Resolves with an error if the caller drops the output before its end.
    let (ended, output_end) = oneshot::channel::<()>();
    let mut ended = Some(ended);
    let mut process = FakeProcess {
        options: options.clone(),
        stdin: stdin_receiver,
        resizes: resize_receiver,
        output: Some(output),
    };
    if !options.stdin {
        process.stdin.close();
    }
    let guard = ProcessGuard::new(shared);
    let (shared, container) = (Arc::clone(shared), container.clone());
    tokio::spawn(async move {
        let _guard = guard;
        let dropped = async {
            if output_end.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let stopped = || EngineError::new(ErrorCode::Cancelled, "the session was stopped");
        let end = tokio::select! {
            end = process.run() => end,
            end = container_end(&shared, &container) => end,
            () = dropped => Err(stopped()),
            () = exit_sender.closed() => Err(stopped()),
        };
        drop(process);
        // A caller that is gone needs no exit code.
        exit_sender.send(end).ok();
    });
    Ok(ExecSession {
        stdin,
        resizes,
        output: stream::poll_fn(move |context| {
            let next = chunks.poll_recv(context);
            if matches!(next, Poll::Ready(None))
                && let Some(ended) = ended.take()
            {
                // A process that is gone does not need to know.
                ended.send(()).ok();
            }
            next
        })
        .map(Ok)
        .boxed(),
        exit: exit
            .map(|end| {
                end.unwrap_or_else(|_| {
                    let message = "the fake process panicked";
                    Err(EngineError::new(ErrorCode::Internal, message))
                })
            })
            .boxed(),
    })
}

/// Waits until the container ends, which kills its processes, or until the
/// engine cannot be reached.
async fn container_end(
    shared: &SharedEngine,
    container: &ContainerRef,
) -> Result<i32, EngineError> {
    loop {
        let mut changed = pin!(shared.changed.notified());
        changed.as_mut().enable();
        {
            let state = shared.lock();
            if let Some(error) = state.script.offline() {
                return Err(error.clone());
            }
            if !state.container(container).is_ok_and(|found| found.running) {
                return Ok(137);
            }
        }
        changed.await;
    }
}

impl FakeProcess {
    /// Runs the command and returns its exit code.
    async fn run(&mut self) -> Result<i32, EngineError> {
        let command = self.options.command.clone();
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            ["crash"] => {
                let message = "the fake backend crashed";
                return Err(EngineError::new(ErrorCode::PluginFailed, message));
            }
            ["yes", word] => loop {
                let line = format!("{word}\n").repeat(1024);
                self.write(OutputSource::Stdout, line.into()).await;
            },
            ["close-output"] => {
                self.output = None;
                while self.stdin.recv().await.is_some() {}
                0
            }
            ["echo", words @ ..] => self.line(OutputSource::Stdout, &words.join(" ")).await,
            ["err", words @ ..] => self.line(OutputSource::Stderr, &words.join(" ")).await,
            ["cat"] => {
                while let Some(bytes) = self.stdin.recv().await {
                    self.write(OutputSource::Stdout, bytes).await;
                }
                0
            }
            ["exit", code] => code.parse().unwrap_or(2),
            ["kill", signal] => 128 + signal.parse().unwrap_or(9),
            ["size"] => self.print_sizes().await,
            ["env"] => {
                for (name, value) in self.options.env.clone() {
                    self.line(OutputSource::Stdout, &format!("{name}={value}"))
                        .await;
                }
                0
            }
            ["pwd"] => {
                let dir = self.options.working_dir.clone();
                let dir = dir.unwrap_or_else(|| "/".to_owned());
                self.line(OutputSource::Stdout, &dir).await
            }
            ["id"] => {
                let user = self.options.user.clone();
                let user = user.unwrap_or_else(|| "root".to_owned());
                self.line(OutputSource::Stdout, &user).await
            }
            ["close-input"] => {
                self.stdin.close();
                self.line(OutputSource::Stdout, "closed").await
            }
            ["sleep"] => {
                if self.options.stdin {
                    while self.stdin.recv().await.is_some() {}
                    0
                } else {
                    std::future::pending().await
                }
            }
            ["/fake/data", ..] => {
                let message = "exec: \"/fake/data\": permission denied";
                self.line(OutputSource::Stderr, message).await;
                126
            }
            _ => {
                let program = command.first().map_or("", String::as_str);
                let message = format!("exec: {program:?}: executable file not found in $PATH");
                self.line(OutputSource::Stderr, &message).await;
                127
            }
        })
    }

    /// Prints each size of the terminal until the input ends.
    async fn print_sizes(&mut self) -> i32 {
        if !self.options.tty {
            self.line(OutputSource::Stderr, "size: not a tty").await;
            return 1;
        }
        loop {
            let size = *self.resizes.borrow_and_update();
            if let Some(TerminalSize { columns, rows }) = size {
                self.line(OutputSource::Stdout, &format!("{rows} {columns}"))
                    .await;
            }
            tokio::select! {
                biased;
                changed = self.resizes.changed() => {
                    if changed.is_err() {
                        return 0;
                    }
                }
                input = self.stdin.recv(), if self.options.stdin => {
                    if input.is_none() {
                        return 0;
                    }
                }
            }
        }
    }

    async fn line(&self, source: OutputSource, text: &str) -> i32 {
        let end = if self.options.tty { "\r\n" } else { "\n" };
        self.write(source, format!("{text}{end}").into()).await;
        0
    }

    /// Writes to a source if the caller asked for it.
    async fn write(&self, source: OutputSource, mut bytes: Bytes) {
        let source = if self.options.tty {
            OutputSource::Stdout
        } else {
            source
        };
        let is_wanted = match source {
            OutputSource::Stdout => self.options.stdout,
            OutputSource::Stderr => self.options.stderr,
        };
        while is_wanted && !bytes.is_empty() {
            let len = bytes.len().min(OutputChunk::MAX_LEN);
            let chunk = OutputChunk {
                source,
                bytes: bytes.split_to(len),
            };
            if let Some(output) = &self.output
                && output.send(chunk).await.is_err()
            {
                // The caller is gone, for which the session is stopped. A process
                // that writes without end must not keep the thread busy until then.
                std::future::pending::<()>().await;
            }
        }
    }
}
