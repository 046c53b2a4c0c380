//! The file of the audit log, and its rotation.
//!
//! Written by hand: crates that rotate files do so by time, or buffer what they are
//! given, and this is a rename.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::AuditOptions;

/// An open file that is rotated when it is large.
#[derive(Debug)]
pub(super) struct FileWriter {
    options: AuditOptions,
    file: File,
    bytes: u64,
}

impl FileWriter {
    /// Opens the file, which only its owner can read, and continues it if it exists.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn open(options: AuditOptions) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&options.file)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            options,
            file,
            bytes,
        })
    }

    /// Appends lines. Rotates the file first if it is large.
    ///
    /// # Errors
    /// The error of the operating system; a part of the lines may be written.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.bytes >= self.options.max_file_bytes {
            self.rotate()?;
        }
        let length = lines.len() as u64;
        self.file.write_all(lines.as_bytes())?;
        self.bytes += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.options.kept_files).rev() {
            match std::fs::rename(self.older_file(number), self.older_file(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.options.kept_files {
            0 => std::fs::remove_file(&self.options.file)?,
            _ => std::fs::rename(&self.options.file, self.older_file(1))?,
        }
        *self = Self::open(self.options.clone())?;
        Ok(())
    }

    fn older_file(&self, number: u32) -> PathBuf {
        let mut name = self.options.file.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::AuditLevel;
    use super::*;

    #[test]
    fn a_large_file_is_rotated_and_the_oldest_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut writer = FileWriter::open(AuditOptions {
            max_file_bytes: 4,
            kept_files: 2,
            ..AuditOptions::new(&path, AuditLevel::Metadata)
        })
        .unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            writer.append(line).unwrap();
        }
        let read = |suffix: &str| std::fs::read_to_string(dir.path().join(suffix)).ok();
        assert_eq!(read("audit.log").as_deref(), Some("four\n"));
        assert_eq!(read("audit.log.1").as_deref(), Some("three\n"));
        assert_eq!(read("audit.log.2").as_deref(), Some("two\n"));
        assert_eq!(read("audit.log.3"), None);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let options = AuditOptions::new(dir.path().join("audit.log"), AuditLevel::Metadata);
        for line in ["one\n", "two\n"] {
            let mut writer = FileWriter::open(options.clone()).unwrap();
            writer.append(line).unwrap();
        }
        let text = std::fs::read_to_string(&options.file).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }
}
