//! Connections over SSH, through the local `ssh` program and the remote
//! `docker` program, as the docker CLI connects.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::EngineConnection;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// The maximum number of bytes of `ssh`'s standard error that are kept for an
/// error message.
const MAX_STDERR_BYTES: usize = 4 * 1024;

/// The interval of `ssh`'s keep-alive messages.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// The number of unanswered keep-alive messages after which `ssh` exits: 45 s
/// in all, as for TCP.
const ALIVE_COUNT_MAX: u64 = 3;

pub(super) fn connect(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Result<EngineConnection, EngineError> {
    spawn(Path::new("ssh"), user, host, port, socket, timeout)
}

fn spawn(
    program: &Path,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Result<EngineConnection, EngineError> {
    let spawned = Command::new(program)
        .args(arguments(user, host, port, socket, timeout))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let unavailable = |message: String| EngineError::new(ErrorCode::Unavailable, message);
    let mut child = spawned.map_err(|error| {
        unavailable(format!(
            "cannot start the program ssh: {error}; install an OpenSSH client"
        ))
    })?;
    let (Some(writer), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(unavailable(
            "the program ssh was started without pipes".to_owned(),
        ));
    };
    Ok(EngineConnection {
        reader: Box::new(SshReader {
            stdout,
            stderr: Some(stderr),
            stderr_bytes: Vec::new(),
            has_output: false,
            host: host.to_owned(),
            _child: child,
        }),
        writer: Box::new(writer),
    })
}

fn arguments(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Vec<String> {
    let mut arguments: Vec<String> = ["-T", "-o", "BatchMode=yes", "-o"]
        .map(str::to_owned)
        .into();
    arguments.push(format!("ConnectTimeout={}", timeout.as_secs()));
    for (option, value) in [
        ("ServerAliveInterval", ALIVE_INTERVAL.as_secs()),
        ("ServerAliveCountMax", ALIVE_COUNT_MAX),
    ] {
        arguments.extend(["-o".to_owned(), format!("{option}={value}")]);
    }
    if let Some(user) = user {
        arguments.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), host.to_owned(), "docker".to_owned()]);
    if let Some(socket) = socket {
        // The remote shell parses this argument.
        let quoted = socket.replace('\'', r"'\''");
        arguments.extend(["--host".to_owned(), format!("'unix://{quoted}'")]);
    }
    arguments.extend(["system", "dial-stdio"].map(str::to_owned));
    arguments
}

/// The receiving half of a connection. If the engine never sends anything, the
/// reader fails with the standard error of `ssh`.
struct SshReader {
    stdout: ChildStdout,
    /// `None` once it has been read to its end.
    stderr: Option<ChildStderr>,
    stderr_bytes: Vec<u8>,
    has_output: bool,
    host: String,
    /// Killed on drop.
    _child: Child,
}

impl SshReader {
    /// Reads standard error to its end and keeps the first
    /// [`MAX_STDERR_BYTES`].
    fn poll_stderr(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(stderr) = &mut self.stderr {
            let mut bytes = [0; 512];
            let mut part = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(stderr).poll_read(cx, &mut part));
            if read.is_err() || part.filled().is_empty() {
                self.stderr = None;
            }
            let capacity = MAX_STDERR_BYTES.saturating_sub(self.stderr_bytes.len());
            let kept = part.filled().iter().take(capacity);
            self.stderr_bytes.extend(kept);
        }
        Poll::Ready(())
    }
}

impl AsyncRead for SshReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stdout).poll_read(cx, buffer)?;
        // Polled in any case: `ssh` blocks once its standard error pipe is full.
        let stderr_end = this.poll_stderr(cx);
        ready!(read);
        if buffer.filled().len() > before || buffer.capacity() == before {
            this.has_output = true;
            return Poll::Ready(Ok(()));
        }
        if this.has_output {
            return Poll::Ready(Ok(()));
        }
        ready!(stderr_end);
        Poll::Ready(Err(io::Error::other(format!(
            "cannot connect to {} with ssh: {}",
            this.host,
            String::from_utf8_lossy(&this.stderr_bytes).trim()
        ))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn arguments_cannot_inject_options_or_commands() {
        let all = arguments(
            Some("me"),
            "there",
            Some(22),
            Some("/run/it's.sock"),
            Duration::from_secs(10),
        );
        let expected = [
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=15",
            "-o",
            "ServerAliveCountMax=3",
            "-l",
            "me",
            "-p",
            "22",
            "--",
            "there",
            "docker",
            "--host",
            r"'unix:///run/it'\''s.sock'",
            "system",
            "dial-stdio",
        ];
        assert_eq!(all, expected);
        let least = arguments(None, "there", None, None, Duration::from_secs(1));
        assert_eq!(least.last().map(String::as_str), Some("dial-stdio"));
        assert!(!least.contains(&"--host".to_owned()));
    }

    /// Connects through a shell script in place of `ssh`.
    fn connect_with(dir: &tempfile::TempDir, script: &str) -> EngineConnection {
        use std::os::unix::fs::PermissionsExt as _;

        let program = dir.path().join("ssh");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        loop {
            let limit = Duration::from_secs(1);
            match spawn(&program, Some("me"), "there", None, None, limit) {
                Ok(connection) => return connection,
                // ETXTBSY: a process forked by another test still has the script open.
                Err(error) if error.message.contains("busy") => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_failure_carries_the_message_of_ssh() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo 'me@there: Permission denied (publickey).' >&2; exit 255";
        let mut connection = connect_with(&dir, script);
        let error = connection.reader.read(&mut [0]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot connect to there with ssh: me@there: Permission denied (publickey)."
        );
    }

    #[tokio::test]
    async fn standard_error_beside_an_answer_is_not_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect_with(&dir, "echo 'a banner' >&2; cat");
        connection.writer.write_all(b"question").await.unwrap();
        connection.writer.flush().await.unwrap();
        drop(connection.writer);
        let mut answer = Vec::new();
        connection.reader.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"question");
    }

    #[tokio::test]
    async fn a_full_standard_error_does_not_delay_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        // More than a pipe buffers.
        let script = "head -c 1000000 /dev/zero >&2; echo answer; exec cat";
        let mut connection = connect_with(&dir, script);
        let mut answer = [0; 7];
        let read = connection.reader.read_exact(&mut answer);
        tokio::time::timeout(rdd_testkit::PATIENCE, read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"answer\n");
    }
}
