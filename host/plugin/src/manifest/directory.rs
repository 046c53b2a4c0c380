//! The directories of this machine that a plugin asks to read.

use std::path::{Component, Path, PathBuf};

use rdd_core::text::is_identifier;
use serde::{Deserialize, Serialize};

use super::ManifestError;
use super::schema::one_line;

/// The maximum number of directories of one plugin.
const MAX_DIRECTORIES: usize = 16;
/// The maximum length of the reason for a directory in bytes.
const MAX_REASON_BYTES: usize = 200;
/// The maximum length of the name of a directory in bytes.
const MAX_NAME_BYTES: usize = 63;
/// The maximum length of a path in bytes, as on Linux.
const MAX_PATH_BYTES: usize = 4_096;

/// A directory that a plugin asks to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryRequest {
    /// The name by which the plugin sees it, below its root.
    pub name: String,
    /// The path on this machine: absolute, or below one of
    /// [`PlaceholderDirs::NAMES`].
    pub path: String,
    /// Why the plugin needs it, in the publisher's words.
    pub reason: String,
}

/// A directory that the user granted to a plugin, for reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectoryGrant {
    /// The name by which the plugin sees it.
    pub name: String,
    /// The path that the request named.
    pub requested: String,
    /// The path at the time of the grant.
    pub path: PathBuf,
}

/// A directory before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DirectoryTable {
    name: String,
    path: String,
    reason: String,
}

/// The values of the placeholders with which a path may begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceholderDirs {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`, or its default below the home directory.
    pub data: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, or its default below the home directory.
    pub state: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
}

impl PlaceholderDirs {
    /// The placeholders.
    pub const NAMES: [&str; 4] = [
        "$HOME",
        "$XDG_DATA_HOME",
        "$XDG_STATE_HOME",
        "$XDG_RUNTIME_DIR",
    ];

    /// Reads the environment.
    pub fn read() -> Self {
        let home = std::env::home_dir();
        let var = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let below_home = |path: &str| Some(home.as_ref()?.join(path));
        Self {
            data: var("XDG_DATA_HOME").or_else(|| below_home(".local/share")),
            state: var("XDG_STATE_HOME").or_else(|| below_home(".local/state")),
            runtime: var("XDG_RUNTIME_DIR"),
            home,
        }
    }

    fn value(&self, name: &str) -> Option<&PathBuf> {
        match name {
            "$HOME" => self.home.as_ref(),
            "$XDG_DATA_HOME" => self.data.as_ref(),
            "$XDG_STATE_HOME" => self.state.as_ref(),
            "$XDG_RUNTIME_DIR" => self.runtime.as_ref(),
            _ => None,
        }
    }
}

impl DirectoryRequest {
    pub(super) fn validate_all(tables: Vec<DirectoryTable>) -> Result<Vec<Self>, ManifestError> {
        let mut requests: Vec<Self> = Vec::new();
        for DirectoryTable { name, path, reason } in tables {
            let invalid = |problem: &str| ManifestError::Directory {
                name: rdd_core::text::truncate(&name, MAX_NAME_BYTES).to_owned(),
                problem: problem.to_owned(),
            };
            if requests.len() == MAX_DIRECTORIES {
                return Err(invalid("is one too many; ask for at most 16"));
            }
            if !is_identifier(&name, MAX_NAME_BYTES) {
                return Err(invalid(
                    "has an invalid name; use letters, digits, '.', '_', and '-', at most 63 characters",
                ));
            }
            if requests.iter().any(|request| request.name == name) {
                return Err(invalid("is listed twice; remove one"));
            }
            let (start, rest) = split_placeholder(&path);
            let has_start = start.is_none_or(|start| PlaceholderDirs::NAMES.contains(&start));
            if !has_start
                || path.len() > MAX_PATH_BYTES
                || !is_plain(Path::new(rest), start.is_some())
            {
                return Err(invalid(
                    "has an invalid path; use an absolute path without '..', or one that begins with $HOME/, $XDG_DATA_HOME/, $XDG_STATE_HOME/, or $XDG_RUNTIME_DIR/",
                ));
            }
            let path = one_line("path of a directory", path.clone(), MAX_PATH_BYTES)?;
            let reason = one_line("reason for a directory", reason, MAX_REASON_BYTES)?;
            requests.push(Self { name, path, reason });
        }
        Ok(requests)
    }

    /// Returns the grant of this directory with these values of placeholders.
    /// `None` if the placeholder has no value.
    pub fn grant(&self, dirs: &PlaceholderDirs) -> Option<DirectoryGrant> {
        let (start, rest) = split_placeholder(&self.path);
        let path = match start {
            None => PathBuf::from(rest),
            Some(name) => dirs.value(name)?.join(rest),
        };
        Some(DirectoryGrant {
            name: self.name.clone(),
            requested: self.path.clone(),
            path,
        })
    }
}

/// Splits a path into its placeholder, if it begins with one, and the rest.
fn split_placeholder(path: &str) -> (Option<&str>, &str) {
    if !path.starts_with('$') {
        return (None, path);
    }
    match path.split_once('/') {
        Some((start, rest)) => (Some(start), rest),
        None => (Some(path), ""),
    }
}

/// Whether a path has only plain parts, and is absolute unless it follows a
/// placeholder. A placeholder alone is too much: it would be the whole home
/// directory.
fn is_plain(path: &Path, is_relative: bool) -> bool {
    let mut parts = 0;
    for component in path.components() {
        match component {
            Component::RootDir if !is_relative => {}
            Component::Normal(_) => parts += 1,
            _ => return false,
        }
    }
    parts > 0 && path.is_absolute() != is_relative
}
