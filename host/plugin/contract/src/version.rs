//! The versions of the contract that this host supports.

use semver::Version;

/// The name of the WIT package of the contract.
pub const PACKAGE: &str = "rancher-desktop:engine";

/// The package with the version that new backends are built for, as a manifest
/// names it.
pub const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// The supported versions in ascending order. Each has its bindings and its
/// conversion to the types of [`rdd_core`].
pub const CONTRACT_VERSIONS: &[Version] = &[CURRENT_VERSION];

/// The version that new backends are built for.
pub const CURRENT_VERSION: Version = Version::new(0, 1, 0);

/// A backend that was built for a version that this host does not support.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The version is newer than all supported ones.
    #[error(
        "the backend is built for version {version} of the contract {PACKAGE}, and this rdd supports {}; upgrade rdd, or install a version of the plugin that is built for {CURRENT_VERSION}",
        supported()
    )]
    TooNew {
        /// The version that the backend is built for.
        version: Version,
    },
    /// The version is older than all supported ones, or one that was skipped.
    #[error(
        "the backend is built for version {version} of the contract {PACKAGE}, and this rdd supports {}; install a version of the plugin that is built for one of them",
        supported()
    )]
    TooOld {
        /// The version that the backend is built for.
        version: Version,
    },
}

/// Describes the supported versions, such as `0.1.0` or `0.1.0 to 0.3.0`.
fn supported() -> String {
    match CONTRACT_VERSIONS {
        [] => CURRENT_VERSION.to_string(),
        [only] => only.to_string(),
        [first, .., last] => format!("{first} to {last}"),
    }
}

/// Checks that this host supports a version of the contract.
///
/// ```
/// use rdd_plugin_contract::{CURRENT_VERSION, check_version};
/// use semver::Version;
///
/// assert!(check_version(&CURRENT_VERSION).is_ok());
/// let error = check_version(&Version::new(0, 9, 0)).unwrap_err();
/// assert!(error.to_string().contains("upgrade rdd"));
/// ```
///
/// # Errors
///
/// Fails if it does not. The message names both sides and the remedy.
pub fn check_version(version: &Version) -> Result<(), VersionError> {
    if CONTRACT_VERSIONS.contains(version) {
        return Ok(());
    }
    let version = version.clone();
    Err(if version > CURRENT_VERSION {
        VersionError::TooNew { version }
    } else {
        VersionError::TooOld { version }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_names_both_versions_and_the_remedy() {
        let error = check_version(&Version::new(0, 2, 0))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0.2.0") && error.contains("0.1.0"),
            "{error}"
        );
        assert!(error.contains("upgrade rdd"), "{error}");
        let error = check_version(&Version::new(0, 0, 9))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0.0.9") && error.contains("0.1.0"),
            "{error}"
        );
        assert!(error.contains("install a version of the plugin"), "{error}");
        assert!(!error.contains("upgrade rdd"), "{error}");
    }

    #[test]
    fn supported_versions_ascend_and_end_with_the_current_one() {
        assert!(CONTRACT_VERSIONS.is_sorted());
        assert_eq!(CONTRACT_VERSIONS.last(), Some(&CURRENT_VERSION));
        assert_eq!(INTERFACE, format!("{PACKAGE}@{CURRENT_VERSION}"));
    }
}
