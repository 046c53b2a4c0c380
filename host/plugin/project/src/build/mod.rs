//! Makes the file of a plugin from a project, with the tools of its language.

mod c;
mod python;
mod rust;
mod tool;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::component::ComponentError;
use crate::manifest::ProjectManifest;
use crate::spec::{PluginForm, ProjectLanguage};

use tool::ToolLog;

/// How a project is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The directory of the project.
    pub dir: PathBuf,
    /// The platform of this machine, as a manifest names it.
    pub platform: String,
    /// Whether the output of the tools is shown while they run.
    pub is_verbose: bool,
}

/// The file of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltArtifact {
    /// The name of the file.
    pub file: String,
    /// What the file is.
    pub form: PluginForm,
    /// The platform, if it is a library.
    pub platform: String,
    /// The content.
    pub content: Vec<u8>,
}

/// A project that cannot be built. The message names the tool and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A tool is not installed, or lacks a part.
    #[error("{what}; {remedy}")]
    Tool {
        /// What is missing.
        what: String,
        /// How it is installed.
        remedy: String,
    },
    /// A tool cannot be started.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A tool failed. Its output, or the end of it, is in the message.
    #[error("{program} failed ({status}); its output is in {}:\n{output}", .log.display())]
    Failed {
        /// The program.
        program: String,
        /// The exit code or signal.
        status: String,
        /// The file with the complete output.
        log: PathBuf,
        /// The end of the output.
        output: String,
    },
    /// A file of the project, or of the build, cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The project lacks something that its language needs.
    #[error("{0}")]
    Project(&'static str),
    /// What was compiled is no component.
    #[error("what was compiled is no component: {0}")]
    Component(#[from] ComponentError),
}

/// Builds the project and returns the file of its plugin. What is written is in the
/// directories `out` and, for Rust, `target` of the project.
///
/// # Errors
///
/// Fails if a tool is missing or fails.
pub fn build(
    manifest: &ProjectManifest,
    options: &BuildOptions,
) -> Result<BuiltArtifact, BuildError> {
    // Tools run in the directory of the project, so that they find its settings.
    let dir = std::path::absolute(&options.dir).map_err(|source| file(&options.dir, source))?;
    let work = ProjectManifest::work_dir(&dir);
    fs::create_dir_all(&work).map_err(|source| file(&work, source))?;
    let log = ToolLog::new(work.join("log"), options.is_verbose);
    let context = BuildContext { dir, work, log };
    let name = manifest.name();
    let form = manifest.form();
    let content = match (manifest.language(), form) {
        (ProjectLanguage::Rust, PluginForm::Component) => rust::component(&context)?,
        (ProjectLanguage::Rust, PluginForm::Library) => rust::library(&context)?,
        (ProjectLanguage::Python, _) => python::component(&context)?,
        (ProjectLanguage::C, PluginForm::Component) => c::component(&context)?,
        (ProjectLanguage::C, PluginForm::Library) => c::library(&context)?,
    };
    Ok(BuiltArtifact {
        file: match form {
            PluginForm::Component => format!("{name}.wasm"),
            PluginForm::Library => format!(
                "{}{}{}",
                std::env::consts::DLL_PREFIX,
                name,
                std::env::consts::DLL_SUFFIX
            ),
        },
        form,
        platform: options.platform.clone(),
        content,
    })
}

/// Where a build runs.
struct BuildContext {
    /// The directory of the project.
    dir: PathBuf,
    /// The directory for intermediate files.
    work: PathBuf,
    log: ToolLog,
}

fn file(path: &Path, source: io::Error) -> BuildError {
    BuildError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|source| file(path, source))
}
