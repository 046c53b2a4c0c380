//! SSH, by the `ssh` program and the `docker` program over there.

use std::io;
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

pub(super) fn connect(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    socket: Option<&str>,
    timeout: Duration,
) -> Result<Connection, EngineError> {
    let started = Command::new("ssh")
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

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.output).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.capacity() == before {
            this.answered = true;
            return Poll::Ready(Ok(()));
        }
        if this.answered {
            return Poll::Ready(Ok(()));
        }
        while let Some(complaints) = &mut this.complaints {
            let mut bytes = [0; 512];
            let mut part = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(complaints).poll_read(cx, &mut part));
            this.complaint.extend_from_slice(part.filled());
            if read.is_err() || part.filled().is_empty() || this.complaint.len() >= MAX_COMPLAINT {
                this.complaints = None;
            }
        }
        Poll::Ready(Err(io::Error::other(format!(
            "ssh to {} gave no connection: {}",
            this.host,
            String::from_utf8_lossy(&this.complaint).trim()
        ))))
    }
}

#[cfg(test)]
mod tests {
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
}
