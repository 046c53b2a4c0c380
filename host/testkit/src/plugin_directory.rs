//! Plugin directories with components that are made from a fixture.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The name in the scripted fixture. The name of a copy must have the same length.
const NAME: &[u8; 8] = b"scripted";

/// The name of the component's file in a directory that [`write_plugin`] writes.
pub const COMPONENT_FILE: &str = "it.wasm";

/// Returns a copy of the scripted fixture for a backend with another name of eight
/// bytes.
///
/// # Panics
///
/// Panics if the name has another length, or if the fixture is another one.
pub fn renamed_component(fixture: &[u8], name: &str) -> Vec<u8> {
    assert_eq!(name.len(), NAME.len(), "{name}");
    replaced(fixture, NAME, name.as_bytes())
}

/// Returns a copy with other bytes of the same length in each place.
///
/// # Panics
///
/// Panics if the lengths differ, or if there is nothing to replace.
pub fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "the replacement has another length");
    let mut copy = bytes.to_vec();
    let offsets: Vec<_> = bytes
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old)
        .map(|(offset, _)| offset)
        .collect();
    assert!(!offsets.is_empty(), "there is nothing to replace");
    for offset in offsets {
        let place = copy.iter_mut().skip(offset);
        place.zip(new).for_each(|(byte, new)| *byte = *new);
    }
    copy
}

/// Returns the SHA-256 of these bytes, as a manifest has it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Returns the manifest of a component with this name and SHA-256.
pub fn component_manifest(name: &str, sha256: &str) -> String {
    format!(
        "name = {name:?}\nversion = \"0.1.0\"\nkind = \"component\"\nfile = \"{COMPONENT_FILE}\"\nsha256 = {sha256:?}\ninterface = \"rancher-desktop:engine@0.1.0\"\n"
    )
}

/// Writes a plugin with this manifest and component to a directory of its name in
/// `dir`, with the permissions that plugins must have, and returns the directory.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn write_plugin(
    dir: &Path,
    name: &str,
    manifest: &str,
    component: &[u8],
) -> io::Result<PathBuf> {
    let path = dir.join(name);
    fs::create_dir_all(&path)?;
    // Whatever the umask is.
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    let files = [
        ("plugin.toml", manifest.as_bytes()),
        (COMPONENT_FILE, component),
    ];
    for (file, content) in files {
        let file = path.join(file);
        fs::write(&file, content)?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    }
    Ok(path)
}
