//! The instance's own certificate authority and the server certificate that it
//! signed. Both are made on first use and kept, so that a kubeconfig stays
//! good across restarts.
//!
//! Invariant: whatever subset of the files a crash or a careless hand leaves,
//! the next start has certificates that belong together, or names the file
//! that it cannot read. What is replaced is kept beside under another name.

mod authority;
mod pem_file;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::CertificateParams;
use rdd_core::{PrivateFileError, create_private_dir};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use authority::Authority;

/// Names and addresses that the server certificate always holds.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// A certificate is replaced this long before its end.
const RENEW_BEFORE_DAYS: i64 = 30;
/// Tolerates a client whose clock is behind.
const BACKDATE_HOURS: i64 = 24;

/// Certificates could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is there and cannot be read: what it holds is unknown, so it is
    /// not replaced.
    #[error("cannot read {}; make it readable for the daemon, or delete it, and the daemon makes a new one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A damaged file cannot be set aside.
    #[error("{} cannot be used, and cannot be renamed; delete it, and the daemon makes a new one", path.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Generate(#[from] rcgen::Error),
    /// The TLS library refused the certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The TLS library cannot read a certificate that was just made.
    #[error("cannot set up TLS")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] PrivateFileError),
}

/// The certificates of an instance.
pub struct Certificates {
    /// PEM of the authority and the server certificate: what a client trusts.
    /// The leaf is in it, too, for clients that pin it.
    pub bundle_pem: String,
    /// Ready for a listener.
    pub server: Arc<rustls::ServerConfig>,
}

impl Certificates {
    /// Loads the certificates in `dir`, making what is missing, damaged,
    /// outdated or lacks one of `extra_names` (DNS names or IP addresses).
    pub fn load_or_create(
        dir: &Path,
        extra_names: &[String],
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        create_private_dir(dir)?;
        let authority = Authority::load_or_create(dir, now)?;
        let names: Vec<String> = LOOPBACK_NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(extra_names.iter().cloned())
            .collect();
        let leaf = server::load_or_create(&authority, dir, &names, now)?;

        let anchor = CertificateDer::from_pem_slice(authority.pem.as_bytes())?;
        let chain = vec![
            CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes())?,
            anchor.clone(),
        ];
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes())?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(anchor)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider.clone(),
        )
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(clients)
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
