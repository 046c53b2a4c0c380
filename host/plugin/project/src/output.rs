//! Writes a finished plugin: its file, and the manifest with the digest.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::build::BuiltArtifact;
use crate::manifest::{INTERFACE, PROJECT_FILE};
use crate::spec::PluginForm;

/// A plugin that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The manifest cannot be printed.
    #[error("cannot write the manifest of the plugin")]
    Manifest(#[from] toml::ser::Error),
    /// A file or directory cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Writes a finished plugin to the directory of its name in `plugins`, and returns
/// that directory. `keys` are those of its manifest that are not computed. Files
/// that are the same are not written.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn write_output(
    plugins: &Path,
    name: &str,
    keys: &Table,
    artifact: &BuiltArtifact,
) -> Result<PathBuf, OutputError> {
    let output = plugins.join(name);
    fs::create_dir_all(&output).map_err(|source| failed(&output, source))?;
    let text = toml::to_string(&finished(keys, artifact))?;
    let (file, manifest_file) = (output.join(&artifact.file), output.join(PROJECT_FILE));
    write_if_changed(&file, &artifact.content)?;
    write_if_changed(&manifest_file, text.as_bytes())?;
    // Where the umask lets the group write, the host would refuse the plugin.
    for (path, mode) in [
        (plugins, 0o755),
        (&output, 0o755),
        (&file, 0o644),
        (&manifest_file, 0o644),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|source| failed(path, source))?;
    }
    Ok(output)
}

/// Returns the manifest of the finished plugin.
fn finished(keys: &Table, artifact: &BuiltArtifact) -> Table {
    let mut manifest = keys.clone();
    let mut file = Table::from_iter([
        ("file".to_owned(), Value::from(artifact.file.clone())),
        ("sha256".to_owned(), artifact.sha256().into()),
    ]);
    match artifact.form {
        PluginForm::Component => manifest.extend(file),
        PluginForm::Library => {
            file.insert("platform".to_owned(), artifact.platform.clone().into());
            let libraries = Value::Array(vec![Value::Table(file)]);
            manifest.insert("libraries".to_owned(), libraries);
        }
    }
    manifest.insert("kind".to_owned(), artifact.form.word().into());
    manifest.insert("interface".to_owned(), INTERFACE.into());
    manifest
}

impl BuiltArtifact {
    /// Returns the SHA-256 of the content in hexadecimal.
    pub fn sha256(&self) -> String {
        format!("{:x}", Sha256::digest(&self.content))
    }
}

fn failed(path: &Path, source: io::Error) -> OutputError {
    OutputError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Writes a file unless its content is the same.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    // A reader sees either the old file or the new one.
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|source| failed(path, source))
}
