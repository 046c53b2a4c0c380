//! The bearer token of an instance.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdd_core::{PrivateFileError, write_private};
use ring::rand::SecureRandom as _;
use subtle::ConstantTimeEq as _;

/// As many random bits as the key of a 256-bit cipher: beyond guessing.
const TOKEN_BYTES: usize = 32;

/// A token could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for a token")]
    Random,
    /// The file is there and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold a token.
    #[error("{path} does not hold a token; delete it, and the daemon makes a new one")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] PrivateFileError),
}

/// A secret that proves its bearer. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token in `path`, made on first use and stable from then on.
    /// Deleting the file and starting anew gives another one.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match std::fs::read(path) {
            Ok(bytes) if bytes.iter().all(|byte| matches!(byte, 0 | b'\n')) => {
                tracing::error!(
                    path = %path.display(),
                    "the file of the token is empty; a new token is made, and the kubeconfig is written anew: copies of the old one stop working"
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

    fn create(path: &Path) -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TokenError::Random)?;
        let token = Self(URL_SAFE_NO_PAD.encode(bytes));
        write_private(path, token.0.as_bytes())?;
        Ok(token)
    }

    /// The secret itself, for a kubeconfig.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in time that does not depend on where the two differ.
    pub fn matches(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stable_private_and_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Token::load_or_create(&path).unwrap();
        let second = Token::load_or_create(&path).unwrap();
        assert!(first.matches(second.reveal()));
        assert!(!first.matches("x") && !first.matches(""));
        assert!(!format!("{first:?}").contains(first.reveal()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn an_empty_token_file_gets_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for content in [&b""[..], b"\n", &[0; 43]] {
            std::fs::write(&path, content).unwrap();
            let made = Token::load_or_create(&path).unwrap();
            assert!(Token::load_or_create(&path).unwrap().matches(made.reveal()));
        }
    }

    #[test]
    fn a_damaged_token_file_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for content in [&b"short"[..], &[0xff; 43]] {
            std::fs::write(&path, content).unwrap();
            let error = Token::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("delete it"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content, "it is left alone");
        }
    }
}
