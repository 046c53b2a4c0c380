//! SSH, by the `ssh` program and the `docker` program over there.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_wasm::Connection;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Bytes that are kept of what `ssh` says about a failure.
const MAX_COMPLAINT: usize = 4 * 1024;

/// How soon `ssh` asks the other side whether it is there, and how often in
/// vain before it gives up: 45 s in all, as for TCP.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const ALIVE_COUNT: u64 = 3;

pub(super) fn connect(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Result<Connection, EngineError> {
    start(Path::new("ssh"), user, host, port, socket, timeout)
}

fn start(
    program: &Path,
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Result<Connection, EngineError> {
    let started = Command::new(program)
        .args(arguments(user, host, port, socket, timeout))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let failed = |problem: String| EngineError::new(ErrorCode::Unavailable, problem);
    let mut child = started.map_err(|error| {
        failed(format!(
            "cannot start the program ssh: {error}; install an OpenSSH client"
        ))
    })?;
    let (Some(writer), Some(output), Some(complaints)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("the program ssh has no input or output".to_owned()));
    };
    Ok(Connection {
        reader: Box::new(Reader {
            output,
            complaints: Some(complaints),
            complaint: Vec::new(),
            answered: false,
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
        ("ServerAliveCountMax", ALIVE_COUNT),
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
        // The other side's shell reads this.
        let quoted = socket.replace('\'', r"'\''");
        arguments.extend(["--host".to_owned(), format!("'unix://{quoted}'")]);
    }
    arguments.extend(["system", "dial-stdio"].map(str::to_owned));
    arguments
}

/// What comes from the engine; or, when nothing ever did, what `ssh` says
/// about that.
struct Reader {
    output: ChildStdout,
    complaints: Option<ChildStderr>,
    complaint: Vec<u8>,
    answered: bool,
    host: String,
    /// Killed when the reader goes.
    _child: Child,
}

impl Reader {
    /// Takes in what `ssh` says, until it says no more; of much, the beginning
    /// is kept.
    fn poll_complaints(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(complaints) = &mut self.complaints {
            let mut bytes = [0; 512];
            let mut part = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(complaints).poll_read(cx, &mut part));
            if read.is_err() || part.filled().is_empty() {
                self.complaints = None;
            }
            let room = MAX_COMPLAINT.saturating_sub(self.complaint.len());
            let kept = part.filled().iter().take(room);
            self.complaint.extend(kept);
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.output).poll_read(cx, buffer)?;
        // Always: an ssh whose standard error is full passes nothing on.
        let told = this.poll_complaints(cx);
        ready!(read);
        if buffer.filled().len() > before || buffer.capacity() == before {
            this.answered = true;
            return Poll::Ready(Ok(()));
        }
        if this.answered {
            return Poll::Ready(Ok(()));
        }
        ready!(told);
        Poll::Ready(Err(io::Error::other(format!(
            "ssh to {} gave no connection: {}",
            this.host,
            String::from_utf8_lossy(&this.complaint).trim()
        ))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn calls_ssh_without_room_for_injection() {
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

    /// A connection by a program that stands for `ssh`.
    #[cfg(unix)]
    fn by(dir: &tempfile::TempDir, script: &str) -> Connection {
        use std::os::unix::fs::PermissionsExt as _;

        let program = dir.path().join("ssh");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        loop {
            let limit = Duration::from_secs(1);
            match start(&program, Some("me"), "there", None, None, limit) {
                Ok(connection) => return connection,
                // A child of another test still holds the file open.
                Err(error) if error.message.contains("busy") => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_failure_is_told_in_the_words_of_ssh() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo 'me@there: Permission denied (publickey).' >&2; exit 255";
        let mut connection = by(&dir, script);
        let error = connection.reader.read(&mut [0]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ssh to there gave no connection: me@there: Permission denied (publickey)."
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_said_beside_an_answer_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = by(&dir, "echo 'a banner' >&2; cat");
        connection.writer.write_all(b"question").await.unwrap();
        connection.writer.flush().await.unwrap();
        drop(connection.writer);
        let mut answer = Vec::new();
        connection.reader.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"question");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn much_that_is_said_beside_an_answer_does_not_hold_it_up() {
        let dir = tempfile::tempdir().unwrap();
        // More than a pipe holds.
        let script = "head -c 1000000 /dev/zero >&2; echo answer; exec cat";
        let mut connection = by(&dir, script);
        let mut answer = [0; 7];
        let read = connection.reader.read_exact(&mut answer);
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, read).await.unwrap().unwrap();
        assert_eq!(&answer, b"answer\n");
    }
}
