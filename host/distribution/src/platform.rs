//! Platforms of dynamic libraries, with the names that OCI uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system and an architecture, such as `linux/amd64`.
///
/// ```
/// use rdd_distribution::Platform;
///
/// let platform: Platform = "linux/arm64".parse()?;
/// assert_eq!((platform.os(), platform.architecture()), ("linux", "arm64"));
/// # Ok::<(), rdd_distribution::PlatformError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    architecture: String,
}

/// A text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a platform; use the operating system and the architecture, such as linux/amd64 or darwin/arm64"
)]
pub struct PlatformError(String);

impl Platform {
    /// Returns the platform of this program.
    pub fn current() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        };
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            architecture => architecture,
        };
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
        }
    }

    /// Returns the operating system, such as `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the architecture, such as `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        /// Longer than every name that is in use.
        const MAX_BYTES: usize = 32;
        let is_word = |word: &str| {
            !word.is_empty()
                && word.len() <= MAX_BYTES
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        match text.split_once('/') {
            Some((os, architecture)) if is_word(os) && is_word(architecture) => Ok(Self {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
            }),
            _ => Err(PlatformError(rdd_core::text::truncate(text, 80).to_owned())),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = PlatformError;

    fn try_from(text: String) -> Result<Self, PlatformError> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_an_operating_system_and_an_architecture() {
        let current = Platform::current();
        assert_eq!(current.to_string().parse(), Ok(current));
        for invalid in [
            "linux",
            "linux/",
            "/amd64",
            "linux/amd64/v8",
            "Linux/amd64",
            "../x",
        ] {
            assert!(invalid.parse::<Platform>().is_err(), "{invalid}");
        }
    }
}
