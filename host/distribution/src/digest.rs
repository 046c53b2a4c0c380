//! Digests of content: SHA-256, the algorithm that every registry supports.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use rdd_core::text::is_lower_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The prefix of a digest as text.
const PREFIX: &str = "sha256:";

/// The SHA-256 of some content, written as `sha256:` and 64 lower-case
/// hexadecimal digits.
///
/// ```
/// use rdd_distribution::ContentDigest;
///
/// let digest = ContentDigest::of(b"");
/// assert!(digest.to_string().starts_with("sha256:e3b0c442"));
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest(String);

/// A text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest; use 'sha256:' and 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl ContentDigest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// Returns the 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix(PREFIX)
            .filter(|hex| is_lower_hex(hex, 64))
            .map(|hex| Self(hex.to_owned()))
            .ok_or_else(|| DigestError(rdd_core::text::truncate(text, 80).to_owned()))
    }
}

impl TryFrom<String> for ContentDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<ContentDigest> for String {
    fn from(digest: ContentDigest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

/// Writes to another writer, and computes the digest and the number of bytes.
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Creates a writer in front of `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// Returns the number of bytes that were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the inner writer and the digest of everything that was written.
    pub fn finish(self) -> (W, ContentDigest) {
        let digest = ContentDigest(format!("{:x}", self.hasher.finalize()));
        (self.inner, digest)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(buffer.get(..written).unwrap_or(buffer));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_lower_case_sha256_is_a_digest() {
        let valid = ContentDigest::of(b"x").to_string();
        assert_eq!(valid.parse::<ContentDigest>().unwrap().to_string(), valid);
        for invalid in [
            "",
            "sha256:",
            &valid[7..],
            &valid.to_uppercase(),
            &valid[..valid.len() - 1],
            &valid.replacen("sha256", "sha512", 1),
            "sha256:../../../../../../etc/passwd",
        ] {
            let error = invalid.parse::<ContentDigest>().unwrap_err().to_string();
            assert!(error.contains("is not a digest"), "{error}");
        }
    }

    #[test]
    fn a_digest_writer_hashes_what_was_written() {
        let mut writer = DigestWriter::new(Vec::new());
        writer.write_all(b"one ").unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(writer.bytes(), 7);
        let (written, digest) = writer.finish();
        assert_eq!(written, b"one two");
        assert_eq!(digest, ContentDigest::of(b"one two"));
    }
}
