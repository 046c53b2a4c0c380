//! The instance's certificate authority and the server certificate that it
//! signs. Both are created on first use and kept, so that a kubeconfig stays
//! valid across restarts.
//!
//! Invariant: whatever subset of the files remains after a crash or a manual
//! deletion, the next start has matching certificates, or fails with the name
//! of the file that it cannot read. A replaced file is renamed, not deleted.

mod authority;
mod pem_file;
mod server_certificate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::CertificateParams;
use rdd_core::{PrivateFileError, create_private_dir};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use authority::CertificateAuthority;

/// The names and addresses that every server certificate contains.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How many days before its expiry a certificate is replaced.
const RENEW_BEFORE_DAYS: i64 = 30;
/// How many hours a certificate is backdated, for clients whose clock is behind.
const BACKDATE_HOURS: i64 = 24;

/// An error of [`CertificateSet::load_or_create`].
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file exists but cannot be read. Its content is unknown, so it is not
    /// replaced.
    #[error("cannot read {}; make it readable for the daemon, or delete it and start the daemon to create a new one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A damaged file cannot be renamed.
    #[error("{} is damaged and cannot be renamed; delete it and start the daemon to create a new one", path.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A certificate cannot be generated.
    #[error("cannot generate a certificate")]
    Generate(#[from] rcgen::Error),
    /// The TLS library rejected the certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The TLS library cannot read a generated certificate.
    #[error("cannot set up TLS")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] PrivateFileError),
}

/// The certificates of an instance, ready for use.
pub struct CertificateSet {
    /// The authority and the server certificate in PEM, for a client to trust.
    /// It includes the leaf for clients that pin it.
    pub bundle_pem: String,
    /// The TLS configuration of the listener.
    pub server: Arc<rustls::ServerConfig>,
}

impl CertificateSet {
    /// Loads the certificates in `dir`. Creates those that are missing, damaged,
    /// about to expire, or without one of `extra_names` (DNS names or IP
    /// addresses).
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or written, or a certificate cannot be
    /// generated.
    pub fn load_or_create(
        dir: &Path,
        extra_names: &[String],
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        create_private_dir(dir)?;
        let authority = CertificateAuthority::load_or_create(dir, now)?;
        let names: Vec<String> = LOOPBACK_NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(extra_names.iter().cloned())
            .collect();
        let leaf = server_certificate::load_or_create(&authority, dir, &names, now)?;

        let trust_anchor = CertificateDer::from_pem_slice(authority.pem.as_bytes())?;
        let chain = vec![
            CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes())?,
            trust_anchor.clone(),
        ];
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes())?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trust_anchor)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client_verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider.clone(),
        )
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(client_verifier)
            .with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            bundle_pem: format!("{}{}", authority.pem, leaf.certificate_pem),
            server: Arc::new(server),
        })
    }
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let at = |timestamp: Timestamp| {
        rcgen::date_time_ymd(1970, 1, 1)
            + std::time::Duration::from_secs(timestamp.as_second().max(0).unsigned_abs())
    };
    params.not_before = at(now
        .saturating_add(SignedDuration::from_hours(-BACKDATE_HOURS))
        .unwrap_or(now));
    params.not_after = at(now
        .saturating_add(SignedDuration::from_hours(days * 24))
        .unwrap_or(now));
}

#[cfg(test)]
mod tests;
