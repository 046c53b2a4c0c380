//! The files in the program that projects are made of. `build/archive.rs` defines
//! the format.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

/// The archive that the build script wrote.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/archive.bin"));

/// The maximum size of all files in bytes: ten times the present size.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The archive in the program cannot be read, which is a fault of its build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the files in this program are damaged; install rdd again")]
pub struct ArchiveError;

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The path in the archive, such as `sdk/wit/engine.wit`.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

/// Returns all files of the archive in the order of their paths.
///
/// # Errors
///
/// Fails if the program is damaged.
pub fn files() -> Result<Vec<ArchiveFile>, ArchiveError> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(ARCHIVE)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|_| ArchiveError)?;
    let mut rest = &bytes[..];
    let mut files = Vec::new();
    while !rest.is_empty() {
        let path_length = take_length(&mut rest)?;
        let content_length = take_length(&mut rest)?;
        let path = take(&mut rest, path_length)?;
        let content = take(&mut rest, content_length)?;
        files.push(ArchiveFile {
            path: String::from_utf8(path.to_vec()).map_err(|_| ArchiveError)?,
            content: content.to_vec(),
        });
    }
    Ok(files)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ArchiveError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(ArchiveError)?;
    *rest = left;
    Ok(taken)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, ArchiveError> {
    let (bytes, left) = rest.split_first_chunk().ok_or(ArchiveError)?;
    *rest = left;
    Ok(u32::from_le_bytes(*bytes) as usize)
}

/// The size of the archive in the program, for the test that limits it.
#[cfg(test)]
pub(crate) fn compressed_bytes() -> usize {
    ARCHIVE.len()
}
