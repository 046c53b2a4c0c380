//! Runs the tools of a language.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use super::BuildError;

/// How much of the output of a tool that failed is shown.
const MAX_SHOWN_BYTES: u64 = 16 * 1024;

/// The file for the output of the tools, of which the latest stays.
pub(super) struct ToolLog {
    path: PathBuf,
    is_verbose: bool,
}

impl ToolLog {
    pub(super) fn new(path: PathBuf, is_verbose: bool) -> Self {
        Self { path, is_verbose }
    }

    /// Runs a tool. Its output is in the log, and in the error if it fails.
    pub(super) fn run(&self, tool: &mut Command) -> Result<(), BuildError> {
        let output = self.open()?;
        tool.stdout(self.stdio(&output)?);
        self.wait(tool, output)
    }

    /// Runs a tool whose standard output is for the caller, in a file.
    pub(super) fn run_to(&self, tool: &mut Command, stdout: &Path) -> Result<(), BuildError> {
        let output = self.open()?;
        let file = File::create(stdout).map_err(|source| super::file(stdout, source))?;
        tool.stdout(file);
        self.wait(tool, output)
    }

    fn wait(&self, tool: &mut Command, mut output: File) -> Result<(), BuildError> {
        tool.stdin(Stdio::null()).stderr(self.stdio(&output)?);
        let status = tool.status().map_err(|error| start_error(tool, error))?;
        if status.success() {
            return Ok(());
        }
        let shown = match self.is_verbose {
            true => "(shown above)".to_owned(),
            false => end_of(&mut output).map_err(|source| super::file(&self.path, source))?,
        };
        Err(BuildError::Failed {
            program: name(tool),
            status: describe(status),
            log: self.path.clone(),
            output: shown,
        })
    }

    fn open(&self) -> Result<File, BuildError> {
        // Read at its end; a tool appends to what the one before it wrote.
        fs::OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&self.path)
            .and_then(|file| file.set_len(0).map(|()| file))
            .map_err(|source| super::file(&self.path, source))
    }

    fn stdio(&self, output: &File) -> Result<Stdio, BuildError> {
        if self.is_verbose {
            // Standard output of the command has its own result.
            return Ok(Stdio::from(io::stderr()));
        }
        let output = output.try_clone();
        output
            .map(Stdio::from)
            .map_err(|source| super::file(&self.path, source))
    }
}

/// Runs a tool that tells something about itself. Returns `None` if it is not
/// installed.
pub(super) fn ask(tool: &mut Command) -> Result<Option<Output>, BuildError> {
    match tool.stdin(Stdio::null()).output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(start_error(tool, error)),
    }
}

/// Returns a tool with the name in an environment variable, or else this one.
pub(super) fn named(variable: &str, default: &str) -> Command {
    let name = std::env::var_os(variable).filter(|name| !name.is_empty());
    Command::new(name.as_deref().unwrap_or(OsStr::new(default)))
}

fn name(tool: &Command) -> String {
    tool.get_program().to_string_lossy().into_owned()
}

fn start_error(tool: &Command, source: io::Error) -> BuildError {
    BuildError::Start {
        program: name(tool),
        source,
    }
}

fn describe(status: ExitStatus) -> String {
    // "exit status: 1", or "signal: 9 (SIGKILL)".
    status.to_string()
}

/// Returns the end of a file, from the beginning of a line.
fn end_of(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(MAX_SHOWN_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MAX_SHOWN_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match text.split_once('\n') {
        Some((_, rest)) if skipped > 0 => rest,
        _ => &text,
    };
    // What a tool prints must not control the terminal.
    Ok(text
        .trim_end()
        .chars()
        .filter(|character| !character.is_control() || *character == '\n' || *character == '\t')
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut tool = Command::new("sh");
        tool.args(["-c", script]);
        tool
    }

    #[test]
    fn the_end_of_the_output_of_a_tool_that_failed_is_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let log = ToolLog::new(dir.path().join("log"), false);
        log.run(&mut shell("echo before")).unwrap();
        let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf 'the \\033[1mcause' >&2; exit 3";
        let error = log.run(&mut shell(script)).unwrap_err();
        let BuildError::Failed { status, output, .. } = error else {
            panic!("{error}");
        };
        assert!(status.contains('3'), "{status}");
        assert!(output.ends_with("line 4999\nthe [1mcause"), "{output}");
        assert!(output.starts_with("line ") && output.len() < 17_000);
        let all = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(all.starts_with("line 0\n"), "{all}");
    }

    #[test]
    fn the_output_for_the_caller_is_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = ToolLog::new(dir.path().join("log"), false);
        let output = dir.path().join("output");
        log.run_to(&mut shell("echo result; echo note >&2"), &output)
            .unwrap();
        assert_eq!(std::fs::read_to_string(output).unwrap(), "result\n");
    }

    #[test]
    fn a_tool_that_is_not_installed_has_no_answer() {
        assert!(
            ask(&mut Command::new("rdd-no-such-tool"))
                .unwrap()
                .is_none()
        );
        let error = ToolLog::new(tempfile::tempdir().unwrap().path().join("x"), true);
        error.run(&mut shell("true")).unwrap_err();
    }
}
