//! `plugin.toml` of a project: what the author writes of the manifest of a plugin,
//! and the table `[build]`.
//!
//! ```toml
//! name = "demo"
//! version = "0.1.0"
//! publisher = "Example"           # as all other keys of a manifest, optional
//!
//! [build]
//! language = "rust"               # rust, python, or c
//! form = "component"              # component or library; the default is component
//! ```
//!
//! The keys that are computed are not in it: `kind`, `file`, `sha256`, `interface`,
//! and `[[libraries]]`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::spec::{PluginForm, ProjectLanguage, SpecError, check_form};

/// The name of the file, which is that of a plugin's manifest, too.
pub const PROJECT_FILE: &str = "plugin.toml";

/// The directory of a project with the finished plugin in a directory of its name,
/// so that it can be used as a plugin directory.
const OUTPUT_DIR: &str = "out";

/// The directory of a project for everything else that a build writes. A plugin
/// directory may have hidden ones.
const WORK_DIR: &str = "out/.build";

/// The version of the contract in the SDK. A test compares it with the contract.
pub(crate) const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// The maximum size of the file in bytes, as of a manifest.
const MAX_BYTES: u64 = 64 * 1024;

/// The keys of a manifest that a build computes.
const COMPUTED: [&str; 5] = ["kind", "file", "sha256", "interface", "libraries"];

/// A `plugin.toml` that is not one of a project. The message is one sentence with
/// the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is larger than the maximum, or not UTF-8.
    #[error("{} is not a text of at most 64 KiB; correct it", .0.display())]
    Text(PathBuf),
    /// The file is not TOML, or its table `[build]` is not valid.
    #[error("{} is not valid: {message}; correct it", .path.display())]
    Syntax {
        /// The path.
        path: PathBuf,
        /// The message of the parser.
        message: String,
    },
    /// A key that is computed.
    #[error("plugin.toml has the key {0}, which 'rdd plugin build' computes; remove it")]
    Computed(&'static str),
    /// A key that is missing, or not a text.
    #[error("plugin.toml has no text for the key {0}; add it")]
    Missing(&'static str),
    /// A form that the language does not have.
    #[error("plugin.toml has [build] form: {0}")]
    Form(#[from] SpecError),
    /// The plugin was not built yet.
    #[error("the plugin is not built yet; run 'rdd plugin build{argument}' first")]
    NotBuilt {
        /// The argument of the command, with a space before it.
        argument: String,
    },
}

/// The table `[build]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildTable {
    language: ProjectLanguage,
    #[serde(default)]
    form: PluginForm,
}

/// The `plugin.toml` of a project.
#[derive(Clone, Debug)]
pub struct ProjectManifest {
    build: BuildTable,
    name: String,
    version: String,
    /// Everything but `[build]`.
    plugin: Table,
}

impl ProjectManifest {
    /// Reads the file in a directory. Returns `None` if there is none, or if it has no
    /// table `[build]` and is therefore that of a plugin.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is not TOML, or not one of a project.
    pub fn read(dir: &Path) -> Result<Option<Self>, ProjectError> {
        let path = dir.join(PROJECT_FILE);
        let mut bytes = Vec::new();
        let read =
            File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ProjectError::Read { path, source }),
            Ok(length) if length as u64 > MAX_BYTES => return Err(ProjectError::Text(path)),
            Ok(_) => {}
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(ProjectError::Text(path));
        };
        let invalid = |error: &toml::de::Error| ProjectError::Syntax {
            path: path.clone(),
            message: error.message().replace('\n', ", "),
        };
        let mut plugin: Table = text.parse().map_err(|error| invalid(&error))?;
        let Some(build) = plugin.remove("build") else {
            return Ok(None);
        };
        let build: BuildTable = build.try_into().map_err(|error| invalid(&error))?;
        check_form(build.language, build.form)?;
        if let Some(key) = COMPUTED.into_iter().find(|key| plugin.contains_key(*key)) {
            return Err(ProjectError::Computed(key));
        }
        let value = |key: &'static str| {
            let value = plugin.get(key).and_then(Value::as_str);
            value.map(str::to_owned).ok_or(ProjectError::Missing(key))
        };
        Ok(Some(Self {
            build,
            name: value("name")?,
            version: value("version")?,
            plugin,
        }))
    }

    /// Returns the name of the backend, which is not validated.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version of the plugin, which is not validated.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the language.
    pub fn language(&self) -> ProjectLanguage {
        self.build.language
    }

    /// Returns the form.
    pub fn form(&self) -> PluginForm {
        self.build.form
    }

    /// Returns the keys that are those of the plugin's manifest.
    pub fn plugin(&self) -> &Table {
        &self.plugin
    }

    /// Returns the directory of finished plugins in the project at `dir`.
    pub fn output_dir(dir: &Path) -> PathBuf {
        dir.join(OUTPUT_DIR)
    }

    /// Returns the directory for the intermediate files of a build.
    pub(crate) fn work_dir(dir: &Path) -> PathBuf {
        dir.join(WORK_DIR)
    }

    /// Returns the directory of the finished plugin where `path` is a project, and
    /// `path` itself otherwise.
    ///
    /// # Errors
    ///
    /// Fails if `path` is a project that is not valid, or not built yet.
    pub fn resolve(path: &Path) -> Result<PathBuf, ProjectError> {
        let dir = match path.file_name() {
            Some(name) if name == PROJECT_FILE => path.parent().unwrap_or(Path::new("")),
            _ => path,
        };
        if path.is_file() && dir == path {
            return Ok(path.to_owned());
        }
        let Some(manifest) = Self::read(dir)? else {
            return Ok(path.to_owned());
        };
        let output = Self::output_dir(dir).join(&manifest.name);
        if output.join(PROJECT_FILE).is_file() {
            return Ok(output);
        }
        let argument = match dir.to_str() {
            Some("" | ".") => String::new(),
            _ => format!(" {}", dir.display()),
        };
        Err(ProjectError::NotBuilt { argument })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<ProjectManifest>, ProjectError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(PROJECT_FILE), text).unwrap();
        ProjectManifest::read(dir.path())
    }

    #[test]
    fn the_version_of_the_contract_is_that_of_the_wit_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let text = std::fs::read_to_string(root.join("wit/world.wit")).unwrap();
        assert!(text.starts_with(&format!("package {INTERFACE};")));
    }

    #[test]
    fn a_plugin_is_no_project() {
        assert!(read("name = \"a\"\nsha256 = \"\"").unwrap().is_none());
        let dir = tempfile::tempdir().unwrap();
        assert!(ProjectManifest::read(dir.path()).unwrap().is_none());
        assert_eq!(ProjectManifest::resolve(dir.path()).unwrap(), dir.path());
    }

    #[test]
    fn a_project_that_is_not_valid_is_rejected_with_the_remedy() {
        let start = "name = \"a\"\nversion = \"1.0.0\"\n";
        for (text, problem) in [
            ("[build]\nlanguage = \"c\"", "no text for the key name"),
            ("name = \"a\"\n[build]\nlanguage = \"c\"", "the key version"),
            ("name =", "is not valid"),
            (
                &format!("{start}sha256 = \"\"\n[build]\nlanguage = \"c\""),
                "remove it",
            ),
            (
                &format!("{start}[build]\nlanguage = \"go\""),
                "is not valid: ",
            ),
            (
                &format!("{start}[build]\nlanguage = \"c\"\nflags = 1"),
                "unknown field",
            ),
            (&format!("{start}[build]\nform = \"library\""), "language"),
            (
                &format!("{start}[build]\nlanguage = \"python\"\nform = \"library\""),
                "component",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn a_project_stands_for_its_plugin_once_it_is_built() {
        let dir = tempfile::tempdir().unwrap();
        let text = "name = \"a\"\nversion = \"1.0.0\"\n[build]\nlanguage = \"c\"";
        std::fs::write(dir.path().join(PROJECT_FILE), text).unwrap();
        for path in [dir.path().to_owned(), dir.path().join(PROJECT_FILE)] {
            let error = ProjectManifest::resolve(&path).unwrap_err().to_string();
            assert!(error.contains("run 'rdd plugin build"), "{error}");
        }
        let output = dir.path().join("out/a");
        std::fs::create_dir_all(&output).unwrap();
        std::fs::write(output.join(PROJECT_FILE), "").unwrap();
        for path in [dir.path().to_owned(), dir.path().join(PROJECT_FILE)] {
            assert_eq!(ProjectManifest::resolve(&path).unwrap(), output);
        }
    }
}
