//! Processes in containers: the response to `exec`, and the built-in commands.

use bytes::{BufMut, Bytes, BytesMut};
use rdd_core::{ContainerRef, EngineError, ExecOptions, OutputChunk, OutputSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::connection_input::{ConnectionError, hang_up, read_line};
use crate::protocol::{MAX_PAYLOAD_BYTES, parse_line, put_line, source_word};
use crate::state::{SharedEngine, conflict};

/// The number of chunks that wait in each direction.
const QUEUE: usize = 4;

/// The exit code of a process whose container was stopped: 128 + SIGKILL.
const KILLED: i32 = 137;

/// A process that is about to run.
pub(crate) struct ExecProcess {
    options: ExecOptions,
    /// The end of the container's run.
    end: CancellationToken,
}

/// The process's ends of the session.
struct ProcessStreams {
    stdin: mpsc::Receiver<Bytes>,
    resizes: watch::Receiver<Option<(u16, u16)>>,
    output: mpsc::Sender<OutputChunk>,
}

impl ExecProcess {
    /// Checks that the container runs, and adds its environment.
    pub(crate) fn new(
        shared: &SharedEngine,
        container: &ContainerRef,
        mut options: ExecOptions,
    ) -> Result<Self, EngineError> {
        let state = shared.lock();
        let found = state.container(container)?;
        if found.paused {
            return Err(conflict(format!("the container {} is paused", found.id)));
        }
        if !found.running {
            return Err(conflict(format!(
                "the container {} is not running",
                found.id
            )));
        }
        let record = state.record(container)?;
        let mut env = record.env.clone();
        env.retain(|(name, _)| options.env.iter().all(|(other, _)| other != name));
        env.append(&mut options.env);
        options.env = env;
        options.working_dir = options.working_dir.or_else(|| record.working_dir.clone());
        options.user = options.user.or_else(|| record.user.clone());
        Ok(Self {
            options,
            end: record.run.clone(),
        })
    }

    /// Runs the process until it exits. The input that the client sends is read
    /// from `reader`.
    pub(crate) async fn run(
        self,
        reader: &mut BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) -> Result<(), ConnectionError> {
        let Self { options, end } = self;
        let (stdin, stdin_receiver) = mpsc::channel(QUEUE);
        let (resizes, resize_receiver) = watch::channel(None);
        let (output, mut chunks) = mpsc::channel(QUEUE);
        let (closed_sender, mut closed) = watch::channel(false);
        let process = async move {
            let streams = ProcessStreams {
                stdin: stdin_receiver,
                resizes: resize_receiver,
                output,
            };
            tokio::select! {
                code = streams.execute(&options, &closed_sender) => code,
                () = end.cancelled() => KILLED,
            }
        };
        let input = read_input(reader, stdin, &resizes);
        let responses = async {
            let mut is_told = false;
            loop {
                let mut buffer = BytesMut::new();
                tokio::select! {
                    biased;
                    chunk = chunks.recv() => match chunk {
                        None => return Ok::<(), ConnectionError>(()),
                        Some(chunk) => {
                            let source = source_word(chunk.source);
                            put_line(&mut buffer, &[&"output", &source, &chunk.bytes.len()]);
                            buffer.put_slice(&chunk.bytes);
                        }
                    },
                    result = closed.wait_for(|closed| *closed), if !is_told => {
                        is_told = true;
                        if result.is_ok() {
                            put_line(&mut buffer, &[&"input-closed"]);
                        }
                    }
                }
                writer.write_all(&buffer).await?;
            }
        };
        let code = tokio::select! {
            (code, sent) = async { tokio::join!(process, responses) } => {
                sent?;
                code
            }
            // Ends only with an error: the end of the input is not the end.
            error = input => return Err(error),
        };
        let mut line = BytesMut::new();
        put_line(&mut line, &[&"exit", &code]);
        writer.write_all(&line).await?;
        Ok(())
    }
}

/// Reads what the client sends during the session. Returns only an error.
async fn read_input(
    reader: &mut BufReader<OwnedReadHalf>,
    stdin: mpsc::Sender<Bytes>,
    resizes: &watch::Sender<Option<(u16, u16)>>,
) -> ConnectionError {
    let mut stdin = Some(stdin);
    loop {
        let line = match read_line(reader).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                // The client half-closed the connection: the input ends.
                drop(stdin.take());
                return hang_up(reader).await;
            }
            Err(error) => return error,
        };
        let fields = match parse_line(&line) {
            Ok(fields) => fields,
            Err(error) => return ConnectionError::Input(error.to_string()),
        };
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["input", length] => {
                let length = length.parse().unwrap_or(usize::MAX);
                if length > MAX_PAYLOAD_BYTES {
                    return ConnectionError::Input("the input is too long".to_owned());
                }
                let mut bytes = vec![0; length];
                if let Err(error) = reader.read_exact(&mut bytes).await {
                    return error.into();
                }
                if let Some(stdin) = &stdin {
                    // Input that nobody reads is discarded.
                    stdin.send(bytes.into()).await.ok();
                }
            }
            ["input-end"] => drop(stdin.take()),
            ["resize", columns, rows] => match (columns.parse(), rows.parse()) {
                (Ok(columns), Ok(rows)) => {
                    resizes.send_replace(Some((columns, rows)));
                }
                _ => return ConnectionError::Input("no size of a terminal".to_owned()),
            },
            _ => return ConnectionError::Input("an unknown line during exec".to_owned()),
        }
    }
}

impl ProcessStreams {
    /// Runs the command and returns its exit code. `closed` is set when the
    /// process reads no more input.
    async fn execute(mut self, options: &ExecOptions, closed: &watch::Sender<bool>) -> i32 {
        let words: Vec<&str> = options.command.iter().map(String::as_str).collect();
        if !options.stdin {
            self.stdin.close();
        }
        let out = OutputSource::Stdout;
        match words.as_slice() {
            ["echo", words @ ..] => self.line(options, out, &words.join(" ")).await,
            ["err", words @ ..] => {
                self.line(options, OutputSource::Stderr, &words.join(" "))
                    .await
            }
            ["cat"] => {
                while let Some(bytes) = self.stdin.recv().await {
                    self.write(options, out, bytes).await;
                }
                0
            }
            ["exit", code] => code.parse().unwrap_or(2),
            ["kill", signal] => 128 + signal.parse().unwrap_or(9),
            ["size"] => self.print_sizes(options).await,
            ["env"] => {
                for (name, value) in &options.env {
                    self.line(options, out, &format!("{name}={value}")).await;
                }
                0
            }
            ["value", name] => {
                let value = options.env.iter().rfind(|(other, _)| other == name);
                let value = value.map_or("", |(_, value)| value);
                self.line(options, out, value).await
            }
            ["pwd"] => {
                let dir = options.working_dir.as_deref().unwrap_or("/");
                self.line(options, out, dir).await
            }
            ["id"] => {
                let user = options.user.as_deref().unwrap_or("root");
                self.line(options, out, user).await
            }
            ["close-input"] => {
                self.stdin.close();
                closed.send_replace(true);
                self.line(options, out, "closed").await;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                0
            }
            ["yes"] => loop {
                let block = Bytes::from_static(b"y\n").repeat(4_096);
                self.write(options, out, block.into()).await;
                tokio::task::yield_now().await;
            },
            ["sleep", ..] if options.stdin => {
                while self.stdin.recv().await.is_some() {}
                0
            }
            ["sleep", ..] => std::future::pending().await,
            ["/toy/data", ..] => {
                let message = "toy: /toy/data: permission denied";
                self.line(options, OutputSource::Stderr, message).await;
                126
            }
            _ => {
                let program = words.first().copied().unwrap_or_default();
                let message = format!("toy: {program}: not found");
                self.line(options, OutputSource::Stderr, &message).await;
                127
            }
        }
    }

    /// Prints each size of the terminal until the input ends.
    async fn print_sizes(&mut self, options: &ExecOptions) -> i32 {
        if !options.tty {
            self.line(options, OutputSource::Stderr, "size: not a terminal")
                .await;
            return 1;
        }
        loop {
            let size = *self.resizes.borrow_and_update();
            if let Some((columns, rows)) = size {
                let text = format!("{rows} {columns}");
                self.line(options, OutputSource::Stdout, &text).await;
            }
            tokio::select! {
                biased;
                changed = self.resizes.changed() => {
                    if changed.is_err() {
                        return 0;
                    }
                }
                input = self.stdin.recv(), if options.stdin => {
                    if input.is_none() {
                        return 0;
                    }
                }
            }
        }
    }

    async fn line(&self, options: &ExecOptions, source: OutputSource, text: &str) -> i32 {
        let end = if options.tty { "\r\n" } else { "\n" };
        self.write(options, source, format!("{text}{end}").into())
            .await;
        0
    }

    /// Writes to a source if the client asked for it.
    async fn write(&self, options: &ExecOptions, source: OutputSource, mut bytes: Bytes) {
        let source = if options.tty {
            OutputSource::Stdout
        } else {
            source
        };
        let is_wanted = match source {
            OutputSource::Stdout => options.stdout,
            OutputSource::Stderr => options.stderr,
        };
        while is_wanted && !bytes.is_empty() {
            let length = bytes.len().min(MAX_PAYLOAD_BYTES);
            let bytes = bytes.split_to(length);
            // The connection has ended; so does the process.
            self.output.send(OutputChunk { source, bytes }).await.ok();
        }
    }
}
