//! Projects in C. A component is compiled by clang with the C library of WASI, of
//! which only what imports nothing can be used; a library by the machine's compiler.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BuildContext, BuildError, file, tool};
use crate::component::encode_component;

/// The target, and a module that has no `main`.
const TARGET: [&str; 2] = ["--target=wasm32-wasi", "-mexec-model=reactor"];

/// Every warning that is about the program.
const FLAGS: [&str; 3] = ["-O2", "-Wall", "-Wextra"];

/// C17 without extensions of a compiler, as a library that exports nothing but what
/// the header says.
const LIBRARY_FLAGS: [&str; 4] = ["-std=c17", "-fPIC", "-fvisibility=hidden", "-shared"];

/// A program that needs the compiler, the linker, and the C library.
const PROBE: &str = "#include <stdlib.h>\nvoid *f(void);\nvoid *f(void) { return malloc(1); }\n";

pub(super) fn component(context: &BuildContext) -> Result<Vec<u8>, BuildError> {
    let compiler = tool::named("CC", "clang").get_program().to_owned();
    check_compiler(context, &compiler)?;
    let bindings = context.dir.join("sdk/bindings");
    let output = context.work.join("module.wasm");
    let mut clang = Command::new(&compiler);
    clang
        .current_dir(&context.dir)
        .args(TARGET)
        .args(FLAGS)
        .args(["-std=gnu17", "-Wl,--strip-all", "-I"])
        .arg(&bindings)
        .arg("-o")
        .arg(&output)
        .args(files(&context.dir.join("src"), "c")?)
        .args(files(&bindings, "c")?)
        .args(files(&bindings, "o")?);
    context.log.run(&mut clang)?;
    Ok(encode_component(&super::read(&output)?)?)
}

pub(super) fn library(context: &BuildContext) -> Result<Vec<u8>, BuildError> {
    let compiler = tool::named("CC", "cc").get_program().to_owned();
    if tool::ask(Command::new(&compiler).arg("--version"))?.is_none() {
        return Err(BuildError::Tool {
            what: format!("{} is not installed", compiler.to_string_lossy()),
            remedy:
                "install a C compiler (Debian: 'apt-get install gcc libc6-dev'), or name one in CC"
                    .to_owned(),
        });
    }
    let output = context.work.join("library");
    let mut cc = Command::new(&compiler);
    cc.current_dir(&context.dir)
        .args(FLAGS)
        .args(LIBRARY_FLAGS)
        .args(["-I", "sdk/include", "-o"])
        .arg(&output)
        .args(files(&context.dir.join("src"), "c")?);
    context.log.run(&mut cc)?;
    super::read(&output)
}

/// Compiles a small program, so that the error names what is missing.
fn check_compiler(context: &BuildContext, compiler: &OsStr) -> Result<(), BuildError> {
    let name = compiler.to_string_lossy();
    let remedy = "install clang and lld with the C library of WASI (Debian: 'apt-get install clang lld wasi-libc libclang-rt-dev-wasm32'; elsewhere wasi-sdk, with CC naming its clang)";
    if tool::ask(Command::new(compiler).arg("--version"))?.is_none() {
        return Err(BuildError::Tool {
            what: format!("{name} is not installed"),
            remedy: remedy.to_owned(),
        });
    }
    let source = context.work.join("probe.c");
    fs::write(&source, PROBE).map_err(|error| file(&source, error))?;
    let mut probe = Command::new(compiler);
    probe
        .args(TARGET)
        .arg("-o")
        .arg(context.work.join("probe.wasm"))
        .arg(&source);
    match context.log.run(&mut probe) {
        Err(BuildError::Failed { output, .. }) => Err(BuildError::Tool {
            what: format!(
                "{name} cannot compile for WebAssembly ({})",
                output.lines().next().unwrap_or("it printed nothing")
            ),
            remedy: remedy.to_owned(),
        }),
        other => other,
    }
}

/// Returns the files in a directory with an extension, sorted by their names.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, BuildError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|source| file(directory, source))? {
        let path = entry.map_err(|source| file(directory, source))?.path();
        if path.extension() == Some(OsStr::new(extension)) {
            found.push(path);
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(BuildError::Project(
            "the project has no C files in src, or no bindings in sdk/bindings; restore them",
        )),
        false => Ok(found),
    }
}
