//! The bearer token of an instance.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdd_core::{PrivateFileError, write_private};
use ring::rand::SecureRandom as _;
use subtle::ConstantTimeEq as _;

/// The number of random bytes of a token: as many as the key of a 256-bit
/// cipher.
const TOKEN_BYTES: usize = 32;

/// An error of [`BearerToken::load_or_create`].
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes for a token")]
    Random,
    /// The file exists but cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold a token.
    #[error("{path} does not hold a token; delete it and start the daemon to create a new one")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] PrivateFileError),
}

/// The bearer token of an instance. Its `Debug` output does not contain the
/// secret.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// Reads the token in `path`, or creates it if the file is missing or empty.
    /// To replace a token, delete the file and restart the daemon.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or written, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match std::fs::read(path) {
            Ok(bytes) if bytes.iter().all(|byte| matches!(byte, 0 | b'\n')) => {
                tracing::error!(
                    path = %path.display(),
                    "the token file is empty; creating a new token and kubeconfig: copies of the old kubeconfig stop working"
                );
                Self::create(path)
            }
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let text = text.trim();
                let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
                if bytes.len() < TOKEN_BYTES {
                    return Err(TokenError::Malformed {
                        path: path.display().to_string(),
                    });
                }
                Ok(Self(text.to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(TokenError::Read {
                path: path.display().to_string(),
                source,
            }),
        }
    }

    /// Returns a new token.
    ///
    /// # Errors
    ///
    /// Fails if the operating system returns no random bytes.
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TokenError::Random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn create(path: &Path) -> Result<Self, TokenError> {
        let token = Self::random()?;
        write_private(path, token.0.as_bytes())?;
        Ok(token)
    }

    /// Returns the secret, for a kubeconfig.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares the token with `presented` in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_stable_private_and_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = BearerToken::load_or_create(&path).unwrap();
        let second = BearerToken::load_or_create(&path).unwrap();
        assert!(first.matches(second.reveal()));
        assert!(!first.matches("x") && !first.matches(""));
        assert!(!format!("{first:?}").contains(first.reveal()));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn an_empty_token_file_is_filled_with_a_new_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for content in [&b""[..], b"\n", &[0; 43]] {
            std::fs::write(&path, content).unwrap();
            let created = BearerToken::load_or_create(&path).unwrap();
            assert!(
                BearerToken::load_or_create(&path)
                    .unwrap()
                    .matches(created.reveal())
            );
        }
    }

    #[test]
    fn a_damaged_token_file_is_rejected_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for content in [&b"short"[..], &[0xff; 43]] {
            std::fs::write(&path, content).unwrap();
            let error = BearerToken::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("delete it"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content, "it is left alone");
        }
    }
}
