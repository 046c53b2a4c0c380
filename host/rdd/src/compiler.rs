//! Compiles backends in a child process: this program, with [`COMMAND`]. The
//! compiler's memory, tens of megabytes, is not fully released before its
//! process exits, and the daemon runs for a long time.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rdd_plugin::{CompilerError, ComponentCache, ComponentCompiler};

/// The internal command of the child process.
pub(crate) const COMMAND: &str = "compile-backend";

/// Runs this program as the compiler.
#[derive(Debug)]
struct ChildProcessCompiler {
    program: PathBuf,
    cache_dir: PathBuf,
}

/// Returns a compiler that writes to the cache in `cache_dir`, or `None` if the
/// path of this program is unknown.
pub(crate) fn compiler(cache_dir: PathBuf) -> Option<Arc<dyn ComponentCompiler>> {
    match std::env::current_exe() {
        Ok(program) => Some(Arc::new(ChildProcessCompiler { program, cache_dir })),
        Err(error) => {
            tracing::warn!(%error, "compiling backends within the daemon, which uses more memory");
            None
        }
    }
}

/// An error of the child process.
#[derive(Debug, thiserror::Error)]
enum ChildProcessError {
    #[error("{}: {error}", program.display())]
    Io { program: PathBuf, error: io::Error },
    #[error("{status}: {stderr}")]
    Exit { status: ExitStatus, stderr: String },
}

impl ChildProcessCompiler {
    fn run(&self, bytes: &[u8], digest: &str) -> Result<(), ChildProcessError> {
        let io_error = |error| ChildProcessError::Io {
            program: self.program.clone(),
            error,
        };
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(&self.cache_dir)
            .arg(digest)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error)?;
        // This cannot deadlock: the child reads the component first, and its
        // standard error is one line. Its input stays open until it has ended: the
        // end of the input means that the daemon is gone.
        let mut input = child.stdin.take();
        let sent = input.as_mut().map(|input| {
            input.write_all(&(bytes.len() as u64).to_be_bytes())?;
            input.write_all(bytes)
        });
        let output = child.wait_with_output().map_err(io_error)?;
        drop(input);
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(ChildProcessError::Exit {
                status: output.status,
                stderr: stderr.trim().to_owned(),
            });
        }
        sent.transpose().map(drop).map_err(io_error)
    }
}

impl ComponentCompiler for ChildProcessCompiler {
    fn compile(&self, bytes: &[u8], digest: &str) -> Result<(), CompilerError> {
        self.run(bytes, digest)
            .map_err(|error| CompilerError::from(error.to_string()))
    }
}

/// Runs [`COMMAND`]: compiles the component on standard input, which begins with
/// its length. Exits early if the daemon is gone, so that compiling a large
/// component does not outlive it.
pub(crate) fn run(cache_dir: &Path, digest: &str) -> Result<ExitCode> {
    let unreadable = "cannot read the component from standard input";
    let mut input = io::stdin().lock();
    let mut length = [0; 8];
    input.read_exact(&mut length).context(unreadable)?;
    let length = u64::from_be_bytes(length);
    let mut bytes = Vec::new();
    input
        .by_ref()
        .take(length)
        .read_to_end(&mut bytes)
        .context(unreadable)?;
    anyhow::ensure!(
        bytes.len() as u64 == length,
        "{unreadable}: it is incomplete"
    );
    drop(input);
    std::thread::Builder::new()
        .name("daemon-watch".to_owned())
        .spawn(exit_with_daemon)
        .context("cannot start a thread")?;
    rdd_plugin::compile(&ComponentCache::open(cache_dir)?, &bytes, digest)?;
    Ok(ExitCode::SUCCESS)
}

/// Exits when standard input ends.
fn exit_with_daemon() {
    let mut byte = [0];
    // The daemon sends nothing more, so this returns only when it is gone.
    io::stdin().lock().read_exact(&mut byte).ok();
    std::process::exit(1);
}
