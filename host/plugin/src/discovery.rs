//! Looks for plugins in the plugin directories.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rdd_plugin_wasm::is_backend_name;

use crate::manifest::Manifest;

const MANIFEST: &str = "plugin.toml";
/// Bytes of a manifest: a hundred times a usual one.
const MAX_MANIFEST: u64 = 64 * 1024;
/// Bytes of a component: thirty times the default backend.
const MAX_COMPONENT: u64 = 64 * 1024 * 1024;
/// Plugins in one directory. More are no collection but an accident.
const MAX_PLUGINS: usize = 256;

/// A plugin as it was found. An error is one sentence: the cause and the
/// remedy.
#[derive(Debug)]
pub(crate) struct Found {
    /// The directory's name; the plugin's name, if that is one.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) manifest: Result<Manifest, String>,
}

/// What the plugin directories hold.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    /// By name: what is used, if it is good.
    pub(crate) first: BTreeMap<String, Found>,
    /// What can never be used, sorted by name and path: other plugins of the
    /// same name, and what has no name.
    pub(crate) rest: Vec<Found>,
}

/// Looks into each of `dirs`; of two plugins of one name the first wins, even
/// when it is refused: a broken plugin is never replaced in silence.
pub(crate) fn discover(dirs: &[PathBuf]) -> Discovered {
    let mut discovered = Discovered::default();
    for dir in dirs {
        for found in look_into(dir) {
            match discovered.first.get(&found.name) {
                Some(first) => {
                    let why = format!(
                        "another plugin of this name comes first, in {}: remove one of them",
                        first.path.display()
                    );
                    discovered.rest.push(Found {
                        manifest: Err(why),
                        ..found
                    });
                }
                None if is_backend_name(&found.name) => {
                    discovered.first.insert(found.name.clone(), found);
                }
                None => discovered.rest.push(found),
            }
        }
    }
    discovered
        .rest
        .sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    discovered
}

fn look_into(dir: &Path) -> Vec<Found> {
    let unreadable = |error: std::io::Error| {
        vec![Found {
            name: dir.display().to_string(),
            path: dir.to_owned(),
            manifest: Err(format!(
                "the plugin directory cannot be read: {error}; give the daemon's user access to it"
            )),
        }]
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::debug!(dir = %dir.display(), "there is no such plugin directory");
            return Vec::new();
        }
        Err(error) => return unreadable(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return unreadable(error),
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        // A file beside the plugins (a readme) is no plugin, and neither is
        // what is hidden; a link is what somebody meant to be one.
        let plain_file = fs::symlink_metadata(&path).is_ok_and(|it| it.is_file());
        if plain_file || name.starts_with('.') {
            continue;
        }
        if found.len() == MAX_PLUGINS {
            tracing::error!(dir = %dir.display(), "the plugin directory holds more than {MAX_PLUGINS} plugins; the rest is left out");
            break;
        }
        found.push(Found {
            manifest: read_manifest(&name, &path),
            name,
            path,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn read_manifest(name: &str, path: &Path) -> Result<Manifest, String> {
    if !is_backend_name(name) {
        return Err(format!(
            "{name:?} is no name of a plugin: use lower-case letters, digits and '-' between them, at most 63"
        ));
    }
    require_private(path, "directory", fs::Metadata::is_dir)?;
    let text = read(&path.join(MANIFEST), MANIFEST, MAX_MANIFEST)?;
    let text =
        String::from_utf8(text).map_err(|_| format!("{MANIFEST} is not UTF-8: write it anew"))?;
    Manifest::parse(&text, name)
}

/// Reads the component of a plugin, and checks that it is what the manifest
/// says.
pub(crate) fn read_component(path: &Path, manifest: &Manifest) -> Result<Vec<u8>, String> {
    let Manifest { file, sha256, .. } = manifest;
    let bytes = read(&path.join(file), file, MAX_COMPONENT)?;
    let digest = hex(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
    if digest != *sha256 {
        return Err(format!(
            "the SHA-256 of {file} is {digest} and {MANIFEST} says {sha256}: install the plugin again"
        ));
    }
    Ok(bytes)
}

fn read(path: &Path, what: &str, max: u64) -> Result<Vec<u8>, String> {
    require_private(path, what, fs::Metadata::is_file)?;
    let unreadable =
        |error| format!("{what} cannot be read: {error}; give the daemon's user access to it");
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed tells a file that is too large.
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > max {
        return Err(format!(
            "{what} is larger than {max} bytes, the most that is read"
        ));
    }
    Ok(bytes)
}

/// Refuses links, and what anybody could change.
fn require_private(
    path: &Path,
    what: &str,
    is_kind: impl Fn(&fs::Metadata) -> bool,
) -> Result<(), String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("there is no {what}: install the plugin again, or remove its directory")
        }
        _ => format!("{what} cannot be read: {error}; give the daemon's user access to it"),
    })?;
    if metadata.is_symlink() {
        return Err(format!(
            "{what} is a symbolic link, which is not followed: put the real one in its place"
        ));
    }
    if !is_kind(&metadata) {
        return Err(format!(
            "{what} is of the wrong kind: install the plugin again"
        ));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        /// Write access of everybody.
        const OTHERS_WRITE: u32 = 0o002;
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(format!(
                "everybody may write to the {what}: check it, then run chmod o-w on it"
            ));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
