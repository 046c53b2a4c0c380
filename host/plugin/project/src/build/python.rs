//! Projects in Python: componentize-py, which puts an interpreter and the program
//! into one component.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BuildContext, BuildError, tool};

/// The version of componentize-py that the example is written for. Others have
/// other bindings.
const VERSION: &str = "0.25.1";

/// The oldest Python that this version supports.
const MIN_PYTHON: (u32, u32) = (3, 10);

pub(super) fn component(context: &BuildContext) -> Result<Vec<u8>, BuildError> {
    let componentize = match find_componentize()? {
        Some(path) => path,
        None => install(context)?,
    };
    let output = context.work.join("component.wasm");
    let mut tool = Command::new(componentize);
    tool.current_dir(&context.dir)
        .args(["--quiet", "--wit-path", "sdk/wit", "--wit-path", "wit"])
        .args(["--world", "example:plugin/backend", "componentize"])
        .args(["--python-path", "src", "--output"])
        .arg(&output)
        .arg("backend");
    context.log.run(&mut tool)?;
    super::read(&output)
}

/// Whether a program is the right version.
fn is_usable(program: &Path) -> Result<bool, BuildError> {
    let output = tool::ask(Command::new(program).arg("--version"))?;
    Ok(output.is_some_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("componentize-py {VERSION}")
    }))
}

/// Returns the machine's componentize-py if it is the right version.
fn find_componentize() -> Result<Option<PathBuf>, BuildError> {
    let program = PathBuf::from("componentize-py");
    Ok(is_usable(&program)?.then_some(program))
}

/// Installs componentize-py into a virtual environment of the project, unless it is
/// there.
fn install(context: &BuildContext) -> Result<PathBuf, BuildError> {
    let environment = context.work.join("python");
    let program = environment.join("bin/componentize-py");
    if program.exists() && is_usable(&program)? {
        return Ok(program);
    }
    let python = tool::named("PYTHON", "python3").get_program().to_owned();
    check_python(&python)?;
    // An environment whose Python is gone is made anew.
    context.log.run(
        Command::new(&python)
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .arg(format!("componentize-py=={VERSION}"));
    match context.log.run(&mut pip) {
        Ok(()) => Ok(program),
        Err(BuildError::Failed { output, log, .. }) => Err(BuildError::Tool {
            what: format!(
                "pip cannot install componentize-py {VERSION} ({}; all of its output is in {})",
                cause(&output),
                log.display()
            ),
            remedy: format!(
                "connect to PyPI, name another index in PIP_INDEX_URL, or put componentize-py {VERSION} on PATH"
            ),
        }),
        Err(error) => Err(error),
    }
}

/// Returns the first error that pip printed, or else its last line.
fn cause(output: &str) -> &str {
    let lines = || {
        output
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    lines()
        .find(|line| line.starts_with("ERROR"))
        .or_else(|| lines().next_back())
        .unwrap_or("it printed nothing")
}

fn check_python(python: &std::ffi::OsStr) -> Result<(), BuildError> {
    let script = "import sys, ensurepip, venv; print(*sys.version_info[:2])";
    let (major, minor) = MIN_PYTHON;
    let missing = |what: String, package: &str| BuildError::Tool {
        what,
        remedy: format!(
            "install Python {major}.{minor} or newer with its module venv (Debian: 'apt-get install {package}'), or name one in PYTHON"
        ),
    };
    let name = python.to_string_lossy();
    let Some(output) = tool::ask(Command::new(python).args(["-c", script]))? else {
        return Err(missing(
            format!("{name} is not installed"),
            "python3 python3-venv",
        ));
    };
    if !output.status.success() {
        return Err(missing(
            format!("{name} cannot make a virtual environment"),
            "python3-venv",
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= MIN_PYTHON => Ok(()),
        _ => Err(missing(
            format!("{name} is Python {}", text.trim().replace(' ', ".")),
            "python3 python3-venv",
        )),
    }
}
