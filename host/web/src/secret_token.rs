//! Random secrets: the codes and the tokens of sessions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom as _;
use subtle::ConstantTimeEq as _;

/// The operating system returned no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system returned no random bytes")]
pub struct RandomError;

/// A random secret of `BYTES` bytes. Its `Debug` output does not contain it.
#[derive(Clone)]
pub(crate) struct SecretToken<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> SecretToken<BYTES> {
    pub(crate) fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; BYTES];
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// Returns the secret as text.
    pub(crate) fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Compares the secret with `presented` in constant time.
    pub(crate) fn matches(&self, presented: &str) -> bool {
        self.reveal().as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl<const BYTES: usize> std::fmt::Debug for SecretToken<BYTES> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretToken(…)")
    }
}
