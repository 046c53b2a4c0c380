//! Writes a new project.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::archive::{self, ArchiveError, ArchiveFile};
use crate::spec::{PluginForm, ProjectLanguage, ProjectSpec};

/// The permissions of a new directory before the umask, which `tempfile` ignores.
const DIR_MODE: u32 = 0o755;

/// A project that cannot be written. The message is one sentence with the cause.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The directory has something in it that would be lost.
    #[error("{} exists and is not an empty directory; choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    /// The files in the program cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file or a directory cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Writes a new project to the directory of its name in `parent`, and returns its
/// path. Nothing stays behind if that fails.
///
/// # Errors
///
/// Fails if the directory exists and is not empty, or cannot be written.
pub fn create(parent: &Path, spec: &ProjectSpec) -> Result<PathBuf, CreateError> {
    let path = parent.join(&spec.name);
    let exists = match fs::read_dir(&path) {
        Ok(mut entries) => entries.next().is_some(),
        // A file, or a directory that cannot be read.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if exists {
        return Err(CreateError::Exists(path));
    }
    // Removed with everything in it if a step fails.
    let staged = tempfile::Builder::new()
        .prefix(&format!(".{}-", spec.name))
        .tempdir_in(parent)
        .map_err(|source| failed(parent, source))?;
    for ArchiveFile { path, content } in project_files(spec)? {
        let path = staged.path().join(path);
        let written = match path.parent() {
            Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(&path, content)),
            None => fs::write(&path, content),
        };
        written.map_err(|source| failed(&path, source))?;
    }
    fs::set_permissions(staged.path(), fs::Permissions::from_mode(DIR_MODE))
        .and_then(|()| fs::rename(staged.path(), &path))
        .map_err(|source| failed(&path, source))?;
    // The directory has its name now, so it is not removed.
    drop(staged.keep());
    Ok(path)
}

fn failed(path: &Path, source: io::Error) -> CreateError {
    CreateError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Returns the files of a project with their paths in it.
fn project_files(spec: &ProjectSpec) -> Result<Vec<ArchiveFile>, ArchiveError> {
    let example = format!("examples/{}/", spec.example());
    let mut files = Vec::new();
    for ArchiveFile { path, content } in archive::files()? {
        if let Some(path) = path.strip_prefix(&example) {
            files.push(ArchiveFile {
                path: path.to_owned(),
                content: rename(content, spec),
            });
        } else if is_carried(&path, spec) {
            files.push(ArchiveFile { path, content });
        }
    }
    files.push(ArchiveFile {
        path: "sdk/VERSION".to_owned(),
        content: format!(
            "rdd {}\ncontract {}\n",
            env!("CARGO_PKG_VERSION"),
            crate::manifest::INTERFACE
        )
        .into_bytes(),
    });
    Ok(files)
}

/// Whether a project in this language has this file of the SDK.
fn is_carried(path: &str, spec: &ProjectSpec) -> bool {
    let starts_with = |prefix: &str| path.starts_with(prefix);
    match spec.language {
        ProjectLanguage::Rust => starts_with("sdk/wit/") || starts_with("sdk/crates/"),
        ProjectLanguage::Python => starts_with("sdk/wit/"),
        ProjectLanguage::C => {
            starts_with("sdk/wit/")
                || starts_with("sdk/include/")
                || (starts_with("sdk/bindings/") && spec.form == PluginForm::Component)
        }
    }
}

/// Replaces the name of the example, and the form in its `plugin.toml`. A name is
/// part of texts only, never an identifier of a language, so that every name is
/// possible in each.
fn rename(content: Vec<u8>, spec: &ProjectSpec) -> Vec<u8> {
    match String::from_utf8(content) {
        Ok(text) => text
            .replace(&spec.example_name(), &spec.name)
            .replace(
                &format!("form = \"{}\"", PluginForm::Component),
                &format!("form = \"{}\"", spec.form),
            )
            .into_bytes(),
        Err(error) => error.into_bytes(),
    }
}

#[cfg(test)]
mod tests;
