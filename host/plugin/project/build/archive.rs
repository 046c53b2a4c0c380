//! The writer of the archive: for each file the length of its path and of its
//! content, 32 bits in little-endian order, and both; then compressed.
//!
//! No crate serves: the archive holds names and bytes of a hundred files, and a
//! format such as tar would add an implementation of everything else that it has.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The files of the archive by their paths.
#[derive(Default)]
pub(crate) struct ArchiveBuilder(BTreeMap<String, Vec<u8>>);

impl ArchiveBuilder {
    /// Adds a file, or replaces the one with the same path.
    pub(crate) fn add(&mut self, path: &str, content: Vec<u8>) {
        self.0.insert(path.to_owned(), content);
    }

    /// Adds the files below a directory whose names, and those of whose
    /// directories, are accepted.
    pub(crate) fn add_dir(
        &mut self,
        directory: &Path,
        target: &str,
        is_accepted: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let entries = fs::read_dir(directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let target = format!("{target}/{name}");
            let is_dir = entry.file_type()?.is_dir();
            if is_dir && is_accepted(&name) {
                self.add_dir(&entry.path(), &target, is_accepted)?;
            } else if !is_dir && is_accepted(&name) {
                self.add(&target, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    /// Returns the compressed archive.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (path, content) in self.0 {
            for part in [path.as_bytes(), &content] {
                // No file has 4 GiB.
                bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            }
            bytes.extend_from_slice(path.as_bytes());
            bytes.extend_from_slice(&content);
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        Ok(encoder.finish()?)
    }
}
