//! Stored PEM files, and the checks that decide whether they can still be used.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rcgen::KeyPair;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::{PEMError, X509Error};
use x509_parser::nom;

use super::server_certificate::ClientVerifyError;
use super::{CertificateError, RENEW_BEFORE_DAYS};

/// The content of a PEM file.
pub(super) enum PemFile {
    Missing,
    /// Contains nothing that could be lost.
    Empty,
    Text(String),
}

/// A PEM file without text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemFileError {
    #[error("is missing")]
    Missing,
    #[error("is empty")]
    Empty,
}

/// Why a stored certificate or key is replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredCertificateError {
    /// The regular renewal.
    #[error("the certificate expires soon")]
    ExpiresSoon,
    #[error("the key {0}")]
    KeyFile(PemFileError),
    #[error("the certificate {0}")]
    CertificateFile(PemFileError),
    #[error("cannot parse the key: {0}")]
    Key(rcgen::Error),
    #[error("cannot parse the certificate: {0}")]
    Pem(nom::Err<PEMError>),
    #[error("cannot parse the certificate: {0}")]
    X509(nom::Err<X509Error>),
    #[error("the certificate belongs to another key")]
    OtherKey,
    #[error("clients reject the certificate: {0}")]
    Rejected(ClientVerifyError),
}

impl StoredCertificateError {
    /// Returns whether the file is damaged or missing, rather than about to
    /// expire.
    pub(super) fn is_damage(&self) -> bool {
        !matches!(self, Self::ExpiresSoon)
    }
}

impl PemFile {
    /// Reads `path`. A file that exists but cannot be read is an error rather
    /// than missing: a replacement could destroy valid content.
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

    /// Returns the text of the file.
    pub(super) fn text(&self) -> Result<&str, PemFileError> {
        match self {
            Self::Missing => Err(PemFileError::Missing),
            Self::Empty => Err(PemFileError::Empty),
            Self::Text(text) => Ok(text),
        }
    }

    /// Renames the file at `path`, from which this was read, unless it is
    /// missing or empty. Returns the new path.
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

/// Parses a stored private key.
pub(super) fn parse_key(file: &PemFile) -> Result<KeyPair, StoredCertificateError> {
    let pem = file.text().map_err(StoredCertificateError::KeyFile)?;
    KeyPair::from_pem(pem).map_err(StoredCertificateError::Key)
}

/// Checks that a stored certificate belongs to the key with the
/// SubjectPublicKeyInfo `public_key` and does not expire soon. Returns its PEM.
pub(super) fn check_certificate<'a>(
    file: &'a PemFile,
    public_key: &[u8],
    now: Timestamp,
) -> Result<&'a str, StoredCertificateError> {
    let text = file
        .text()
        .map_err(StoredCertificateError::CertificateFile)?;
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(StoredCertificateError::Pem)?;
    let certificate: X509Certificate<'_> =
        pem.parse_x509().map_err(StoredCertificateError::X509)?;
    if certificate.public_key().raw != public_key {
        return Err(StoredCertificateError::OtherKey);
    }
    let seconds_left = certificate.validity().not_after.timestamp() - now.as_second();
    if seconds_left < SignedDuration::from_hours(RENEW_BEFORE_DAYS * 24).as_secs() {
        return Err(StoredCertificateError::ExpiresSoon);
    }
    Ok(text)
}
