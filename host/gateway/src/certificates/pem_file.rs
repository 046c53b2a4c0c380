//! A PEM file as a start finds it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use x509_parser::certificate::X509Certificate;

use super::{CertificateError, RENEW_BEFORE_DAYS};

/// What stands at the place of a file.
pub(super) enum PemFile {
    Missing,
    /// Nothing is lost with it.
    Empty,
    Text(String),
}

impl PemFile {
    /// Reads `path`. A file that is there and cannot be read is an error, not
    /// a missing one: replacing it could destroy what is still good.
    pub(super) fn read(path: &Path) -> Result<Self, CertificateError> {
        match std::fs::read(path) {
            // A file system that lost its last writes may leave zeros.
            Ok(bytes) if bytes.iter().all(|byte| matches!(byte, 0 | b'\n')) => Ok(Self::Empty),
            Ok(bytes) => Ok(Self::Text(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Missing),
            Err(source) => Err(CertificateError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The text, or why there is none.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Missing => Err("it is missing".to_owned()),
            Self::Empty => Err("it is empty".to_owned()),
            Self::Text(text) => Ok(text),
        }
    }

    /// Renames the file that this was read from, if something is in it.
    /// Answers the new name.
    pub(super) fn set_aside(
        &self,
        path: &Path,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, CertificateError> {
        if !matches!(self, Self::Text(_)) {
            return Ok(None);
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".replaced-{}", now.as_second()));
        let aside = PathBuf::from(name);
        match std::fs::rename(path, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(source) => Err(CertificateError::SetAside {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

/// Checks that the certificate in `pem` belongs to the key whose
/// SubjectPublicKeyInfo is `public_key`, and does not end soon.
pub(super) fn check_certificate(
    pem: &str,
    public_key: &[u8],
    now: Timestamp,
) -> Result<(), CertificateProblem> {
    let damaged = |error: String| CertificateProblem::Damaged(error);
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| damaged(error.to_string()))?;
    let certificate: X509Certificate<'_> = pem
        .parse_x509()
        .map_err(|error| damaged(error.to_string()))?;
    if certificate.public_key().raw != public_key {
        return Err(damaged("it belongs to another key".to_owned()));
    }
    let left = certificate.validity().not_after.timestamp() - now.as_second();
    if left < SignedDuration::from_hours(RENEW_BEFORE_DAYS * 24).as_secs() {
        return Err(CertificateProblem::EndsSoon);
    }
    Ok(())
}

/// Why a certificate is made anew.
pub(super) enum CertificateProblem {
    /// In the course of things.
    EndsSoon,
    /// Something went wrong.
    Damaged(String),
}
