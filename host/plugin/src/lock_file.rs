//! `plugins.lock`: what the user installed and allowed.
//!
//! It pins each plugin that `rdd plugin install` put into the user's plugin
//! directory: a file that was changed afterward is refused. For plugins of other
//! directories, such as those beside the program, it records only what the user
//! decided: disabled, or allowed to be native code.

use std::path::{Path, PathBuf};

use rdd_core::text::is_lower_hex;
use rdd_plugin_contract::is_backend_name;
use serde::{Deserialize, Serialize};

use crate::manifest::{DirectoryGrant, ManifestLimits};
use crate::trusted_file::{self, PluginFileError};

/// The name of the file.
pub const LOCK_FILE: &str = "plugins.lock";
/// The version of the format.
const FORMAT_VERSION: u32 = 1;
/// The maximum size of the file in bytes: a thousand plugins.
const MAX_BYTES: u64 = 1024 * 1024;
/// What the file says to people who open it.
const HEADER: &str =
    "# Written by 'rdd plugin'. Only the tables [plugins.limits] are meant to be edited.\n";

/// The content of the lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockFile {
    version: u32,
    /// The installed plugins. While one is upgraded, there are two entries with
    /// its name; the one that matches the manifest on disk applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<LockEntry>,
    /// The user's decisions about plugins of other directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OverrideEntry>,
}

/// One installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockEntry {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Where it came from: a path or a reference.
    pub source: String,
    /// The SHA-256 of the file that is loaded, in hexadecimal.
    pub digest: String,
    /// The SHA-256 of `plugin.toml`, in hexadecimal.
    pub manifest_digest: String,
    /// Whether it is loaded.
    pub enabled: bool,
    /// Whether the file with this digest may be loaded as native code.
    pub allow_native: bool,
    /// The directories that the user granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<DirectoryGrant>,
    /// The highest limits that the user allows, where they differ from the
    /// defaults.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: ManifestLimits,
}

/// The user's decisions about a plugin of another directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OverrideEntry {
    /// The name.
    pub name: String,
    /// Whether it is loaded.
    pub enabled: bool,
    /// The SHA-256 of the file that may be loaded as native code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_native: Option<String>,
}

fn is_default(limits: &ManifestLimits) -> bool {
    *limits == ManifestLimits::default()
}

/// A lock file that cannot be used. The message is one sentence with the cause
/// and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LockFileError {
    /// The file cannot be read, or others can write to it.
    #[error("in {}: {error}", dir.display())]
    File {
        /// The directory of the file.
        dir: PathBuf,
        /// The cause and the remedy.
        error: PluginFileError,
    },
    /// The content is not valid.
    #[error("{} is not valid: {problem}; restore it, or delete it and install the plugins again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why it is not valid.
        problem: String,
    },
    /// A newer program wrote the file.
    #[error("{} has the format {version}, which this rdd does not support; upgrade rdd, or delete the file and install the plugins again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        version: u32,
    },
}

impl Default for LockFile {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            plugins: Vec::new(),
            others: Vec::new(),
        }
    }
}

impl LockFile {
    /// Reads the lock file of a directory; empty if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, is not valid, or could have been
    /// changed by other users.
    pub fn read(dir: &Path) -> Result<Self, LockFileError> {
        let path = dir.join(LOCK_FILE);
        let bytes = match trusted_file::read(&path, LOCK_FILE, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(PluginFileError::Missing(_)) => return Ok(Self::default()),
            Err(error) => {
                return Err(LockFileError::File {
                    dir: dir.to_owned(),
                    error,
                });
            }
        };
        let invalid = |problem: String| LockFileError::Content {
            path: path.clone(),
            problem,
        };
        let text = String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
        Self::parse(&text).map_err(|error| match error {
            ParseError::Version(version) => LockFileError::Version {
                path: path.clone(),
                version,
            },
            ParseError::Content(problem) => invalid(problem),
        })
    }

    fn parse(text: &str) -> Result<Self, ParseError> {
        /// Read first: another version may have other keys.
        #[derive(Deserialize)]
        struct Probe {
            version: u32,
        }
        let content = |error: toml::de::Error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map_or(1, |before| before.matches('\n').count() + 1);
            let message = error.message().replace('\n', ", ");
            ParseError::Content(format!("line {line}: {message}"))
        };
        let Probe { version } = toml::from_str(text).map_err(content)?;
        if version != FORMAT_VERSION {
            return Err(ParseError::Version(version));
        }
        let lock: Self = toml::from_str(text).map_err(content)?;
        lock.validate().map_err(ParseError::Content)?;
        Ok(lock)
    }

    fn validate(&self) -> Result<(), String> {
        for LockEntry {
            name,
            digest,
            manifest_digest,
            directories,
            limits,
            ..
        } in &self.plugins
        {
            if !is_backend_name(name) {
                return Err(format!("{name:?} is not a plugin name"));
            }
            if !is_lower_hex(digest, 64) || !is_lower_hex(manifest_digest, 64) {
                return Err(format!("a digest of {name} is not a SHA-256"));
            }
            if let Some(grant) = directories.iter().find(|grant| !grant.path.is_absolute()) {
                let path = grant.path.display();
                return Err(format!("the directory {path} of {name} is not absolute"));
            }
            limits.validate().map_err(|error| {
                let text = error.to_string();
                format!(
                    "the limits of {name}: {}",
                    text.replace("plugin.toml has ", "")
                )
            })?;
        }
        Ok(())
    }

    /// Returns the content of the file.
    pub(crate) fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEADER}{}", toml::to_string(self)?))
    }

    /// Returns the entries of an installed plugin: one, or two while it is
    /// upgraded.
    pub fn entries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a LockEntry> {
        self.plugins.iter().filter(move |entry| entry.name == name)
    }

    /// Returns the decisions about a plugin of another directory.
    pub fn other(&self, name: &str) -> Option<&OverrideEntry> {
        self.others.iter().find(|entry| entry.name == name)
    }
}

/// A text that is no lock file.
#[derive(Debug)]
enum ParseError {
    Version(u32),
    Content(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> LockEntry {
        LockEntry {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: "r.example/a:1".to_owned(),
            digest: "0".repeat(64),
            manifest_digest: "1".repeat(64),
            enabled: true,
            allow_native: false,
            directories: vec![DirectoryGrant {
                name: "logs".to_owned(),
                requested: "$HOME/logs".to_owned(),
                path: "/home/me/logs".into(),
            }],
            limits: ManifestLimits {
                log_streams: Some(2_000),
                ..ManifestLimits::default()
            },
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lock = LockFile {
            plugins: vec![entry("a"), entry("b")],
            others: vec![OverrideEntry {
                name: "moby".to_owned(),
                enabled: false,
                allow_native: None,
            }],
            ..LockFile::default()
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LockFile::read(dir.path()).unwrap(), LockFile::default());
        let path = dir.path().join(LOCK_FILE);
        rdd_core::write_private(&path, lock.to_text().unwrap().as_bytes()).unwrap();
        assert_eq!(LockFile::read(dir.path()).unwrap(), lock);
        assert_eq!(lock.entries("b").count(), 1);
        assert!(!lock.other("moby").unwrap().enabled);
    }

    #[test]
    fn a_damaged_file_is_rejected_with_its_line_and_the_remedy() {
        let valid = LockFile {
            plugins: vec![entry("a")],
            ..LockFile::default()
        }
        .to_text()
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (from, to, expected) in [
            ("version = 1", "version = 2", "format 2"),
            ("enabled = true", "enabled = maybe", "is not valid: line"),
            ("version = 1", "", "missing field `version`"),
            (
                "enabled = true",
                "enabled = true\nsurprise = 1",
                "unknown field",
            ),
            ("name = \"a\"", "name = \"../a\"", "not a plugin name"),
            (&"0".repeat(64), "00", "not a SHA-256"),
            ("\"/home/me/logs\"", "\"logs\"", "not absolute"),
            (
                "log-streams = 2000",
                "log-streams = 0",
                "limits.log-streams = 0",
            ),
        ] {
            let text = valid.replacen(from, to, 1);
            assert_ne!(text, valid, "{from}");
            rdd_core::write_private(&dir.path().join(LOCK_FILE), text.as_bytes()).unwrap();
            let error = LockFile::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected:?} is not in {error:?}");
            assert!(error.contains("delete"), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_can_write_to_is_rejected() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK_FILE);
        std::fs::write(&path, "version = 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        let error = LockFile::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("writable by its group"), "{error}");
    }
}
