//! Compiles backends in a process of its own: this program, called with
//! [`COMMAND`]. A compiler leaves tens of megabytes behind that its process
//! keeps for as long as it runs, and a daemon runs for long.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rdd_plugin::{CompilerError, ComponentCache, ComponentCompiler};

/// The command that the daemon calls itself with; not for people.
pub(crate) const COMMAND: &str = "compile-backend";

/// Calls this program.
#[derive(Debug)]
struct ChildCompiler {
    program: PathBuf,
    cache_dir: PathBuf,
}

/// A compiler that fills the cache in `cache_dir`; none where this program
/// cannot tell where it is.
pub(crate) fn compiler(cache_dir: PathBuf) -> Option<Arc<dyn ComponentCompiler>> {
    match std::env::current_exe() {
        Ok(program) => Some(Arc::new(ChildCompiler { program, cache_dir })),
        Err(error) => {
            tracing::warn!(%error, "backends are compiled in the daemon itself, which costs memory");
            None
        }
    }
}

impl ComponentCompiler for ChildCompiler {
    fn compile(&self, bytes: &[u8], digest: &str) -> Result<(), CompilerError> {
        let failed = |error: std::io::Error| {
            CompilerError::from(format!("{}: {error}", self.program.display()))
        };
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(&self.cache_dir)
            .arg(digest)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        // It reads everything before it does anything else, and its standard
        // error is a line: neither waits for the other.
        let sent = child.stdin.take().map(|mut input| input.write_all(bytes));
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}", output.status, words.trim()).into());
        }
        sent.transpose().map(drop).map_err(failed)
    }
}

/// Compiles the component on standard input.
pub(crate) fn run(cache_dir: &Path, digest: &str) -> Result<ExitCode> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .context("cannot read the component from standard input")?;
    rdd_plugin::compile(&ComponentCache::open(cache_dir)?, &bytes, digest)?;
    Ok(ExitCode::SUCCESS)
}
