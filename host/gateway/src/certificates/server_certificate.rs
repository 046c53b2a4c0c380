//! The certificate of the listener. It can be replaced at any time: clients
//! trust the authority that signed it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _};
use rdd_core::write_private;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};

use super::authority::CertificateAuthority;
use super::pem_file::{PemFile, StoredCertificateError, check_certificate, parse_key};
use super::{CertificateError, set_validity};

/// The validity of the server certificate in days. Some clients reject a longer
/// one.
const SERVER_DAYS: i64 = 397;

/// The server certificate and its key, in PEM.
pub(super) struct ServerCertificate {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// Loads the server certificate in `dir`, or creates one for `names`.
pub(super) fn load_or_create(
    authority: &CertificateAuthority,
    dir: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<ServerCertificate, CertificateError> {
    let (certificate_path, key_path) = (dir.join("server.crt"), dir.join("server.key"));
    // The names have their own file: the certificate does not preserve their
    // order and spelling.
    let names_path = dir.join("server.names");
    let wanted = names.join("\n");
    let (certificate, key, stored_names) = (
        PemFile::read(&certificate_path)?,
        PemFile::read(&key_path)?,
        PemFile::read(&names_path)?,
    );
    match check_stored(authority, &certificate, &key, now) {
        Ok(stored) if stored_names.text() == Ok(wanted.as_str()) => return Ok(stored),
        Err(error) if error.is_damage() && !(certificate.is_missing() && key.is_missing()) => {
            certificate.set_aside(&certificate_path, now)?;
            key.set_aside(&key_path, now)?;
            tracing::warn!(
                %error,
                path = %certificate_path.display(),
                "the server certificate is unusable; creating a new one and renaming the old files"
            );
        }
        // It expires soon, has other names, or does not exist yet.
        _ => {}
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "rdd");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, SERVER_DAYS);
    let certificate_pem = params.signed_by(&key, &authority.issuer)?.pem();
    let key_pem = key.serialize_pem();
    write_private(&key_path, key_pem.as_bytes())?;
    write_private(&certificate_path, certificate_pem.as_bytes())?;
    write_private(&names_path, wanted.as_bytes())?;
    Ok(ServerCertificate {
        certificate_pem,
        key_pem,
    })
}

/// Returns the stored certificate and key if they belong together and clients
/// that trust `authority` accept them.
fn check_stored(
    authority: &CertificateAuthority,
    certificate: &PemFile,
    key: &PemFile,
    now: Timestamp,
) -> Result<ServerCertificate, StoredCertificateError> {
    let key_pair = parse_key(key)?;
    let certificate_pem = check_certificate(certificate, &key_pair.subject_public_key_info(), now)?;
    verify_as_client(authority, certificate_pem, now).map_err(StoredCertificateError::Rejected)?;
    Ok(ServerCertificate {
        certificate_pem: certificate_pem.to_owned(),
        key_pem: key
            .text()
            .map_err(StoredCertificateError::KeyFile)?
            .to_owned(),
    })
}

/// An error of [`verify_as_client`].
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientVerifyError {
    #[error(transparent)]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
    #[error(transparent)]
    Name(#[from] InvalidDnsNameError),
}

/// Verifies the certificate as a client does.
fn verify_as_client(
    authority: &CertificateAuthority,
    certificate_pem: &str,
    now: Timestamp,
) -> Result<(), ClientVerifyError> {
    let trust_anchor = CertificateDer::from_pem_slice(authority.pem.as_bytes())?;
    let leaf = CertificateDer::from_pem_slice(certificate_pem.as_bytes())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trust_anchor)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    let name = ServerName::try_from("localhost")?;
    let now =
        UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().max(0).unsigned_abs()));
    client.verify_server_cert(&leaf, &[], &name, &[], now)?;
    Ok(())
}
