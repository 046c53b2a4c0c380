//! The instance's own certificate authority and the server certificate that it
//! signed. Both are made on first use and kept, so that a kubeconfig stays
//! good across restarts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::private_file::{PrivateFileError, create_private_dir, write_private};

/// Names and addresses that the server certificate always holds.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The authority outlives any installation: replacing it would break every kubeconfig.
const CA_DAYS: i64 = 3650;
/// Some clients refuse server certificates that live longer than this.
const SERVER_DAYS: i64 = 397;
/// A server certificate is replaced this long before its end.
const RENEW_BEFORE_DAYS: i64 = 30;
/// Tolerates a client whose clock is behind.
const BACKDATE_HOURS: i64 = 24;

/// Certificates could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is there and cannot be used.
    #[error("{} cannot be used: {reason}; delete the directory {}, and the daemon makes new certificates (the kubeconfig is then written anew)", path.display(), path.parent().unwrap_or(Path::new(".")).display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The TLS library refused the certificates.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
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
    /// Loads the certificates in `dir`, making what is missing, outdated or
    /// lacks one of `extra_names` (DNS names or IP addresses).
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
        let (server_pem, server_key) = authority.server_certificate(dir, &names, now)?;

        let unusable =
            |file: &str, error: rustls::pki_types::pem::Error| CertificateError::Unusable {
                path: dir.join(file),
                reason: error.to_string(),
            };
        let chain: Vec<_> = [server_pem.as_bytes(), authority.pem.as_bytes()]
            .iter()
            .map(|pem| CertificateDer::from_pem_slice(pem))
            .collect::<Result<_, _>>()
            .map_err(|error| unusable("server.crt", error))?;
        let key = PrivateKeyDer::from_pem_slice(server_key.as_bytes())
            .map_err(|error| unusable("server.key", error))?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in chain.iter().skip(1) {
            roots.add(certificate.clone())?;
        }
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
            bundle_pem: format!("{}{}", authority.pem, server_pem),
            server: Arc::new(server),
        })
    }
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn load_or_create(dir: &Path, now: Timestamp) -> Result<Self, CertificateError> {
        let (certificate_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        if !certificate_path.exists() && !key_path.exists() {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::CommonName, "rdd local authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            set_validity(&mut params, now, CA_DAYS);
            let pem = params.self_signed(&key)?.pem();
            write_private(&key_path, key.serialize_pem().as_bytes())?;
            write_private(&certificate_path, pem.as_bytes())?;
        }
        let pem = read(&certificate_path)?;
        let key =
            KeyPair::from_pem(&read(&key_path)?).map_err(|error| CertificateError::Unusable {
                path: key_path,
                reason: error.to_string(),
            })?;
        let issuer =
            Issuer::from_ca_cert_pem(&pem, key).map_err(|error| CertificateError::Unusable {
                path: certificate_path,
                reason: error.to_string(),
            })?;
        Ok(Self { pem, issuer })
    }

    /// PEM of the server certificate and of its key.
    fn server_certificate(
        &self,
        dir: &Path,
        names: &[String],
        now: Timestamp,
    ) -> Result<(String, String), CertificateError> {
        let (certificate_path, key_path) = (dir.join("server.crt"), dir.join("server.key"));
        // The names are kept beside the certificate: reading them back out of
        // it would lose the order and the spelling that they were given in.
        let names_path = dir.join("server.names");
        let wanted = names.join("\n");
        if certificate_path.exists() && key_path.exists() && names_path.exists() {
            let pem = read(&certificate_path)?;
            if read(&names_path)? == wanted && !ends_soon(&certificate_path, &pem, now)? {
                return Ok((pem, read(&key_path)?));
            }
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "rdd");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, SERVER_DAYS);
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        let key_pem = key.serialize_pem();
        write_private(&key_path, key_pem.as_bytes())?;
        write_private(&certificate_path, pem.as_bytes())?;
        write_private(&names_path, wanted.as_bytes())?;
        Ok((pem, key_pem))
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

fn ends_soon(path: &Path, pem: &str, now: Timestamp) -> Result<bool, CertificateError> {
    let unusable = |reason: String| CertificateError::Unusable {
        path: path.to_owned(),
        reason,
    };
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| unusable(error.to_string()))?;
    let certificate = pem
        .parse_x509()
        .map_err(|error| unusable(error.to_string()))?;
    let left = certificate.validity().not_after.timestamp() - now.as_second();
    Ok(left < SignedDuration::from_hours(RENEW_BEFORE_DAYS * 24).as_secs())
}

fn read(path: &Path) -> Result<String, CertificateError> {
    std::fs::read_to_string(path).map_err(|error| CertificateError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_stable_until_they_end_or_a_name_is_added() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let load = |names: &[String], now| {
            Certificates::load_or_create(dir.path(), names, now)
                .unwrap()
                .bundle_pem
        };
        let first = load(&[], now);
        assert_eq!(first, load(&[], now));
        let near_the_end =
            now + SignedDuration::from_hours(24 * (SERVER_DAYS - RENEW_BEFORE_DAYS + 1));
        let renewed = load(&[], near_the_end);
        assert_ne!(first, renewed);
        assert_ne!(renewed, load(&["host.example".to_owned()], near_the_end));
        let authority = |bundle: &str| bundle.split("-----END").next().unwrap().to_owned();
        assert_eq!(
            authority(&first),
            authority(&renewed),
            "the authority stays"
        );
    }

    #[test]
    fn a_damaged_certificate_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        Certificates::load_or_create(dir.path(), &[], Timestamp::now()).unwrap();
        std::fs::write(dir.path().join("ca.crt"), "nonsense").unwrap();
        let Err(error) = Certificates::load_or_create(dir.path(), &[], Timestamp::now()) else {
            panic!("accepted nonsense")
        };
        let error = error.to_string();
        assert!(
            error.contains("ca.crt") && error.contains("delete the directory"),
            "{error}"
        );
    }
}
