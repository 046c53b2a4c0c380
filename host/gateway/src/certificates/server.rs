//! The certificate that the listener shows. Making it anew harms nobody:
//! clients trust the authority that signed it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _};
use rdd_core::write_private;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::authority::Authority;
use super::pem_file::{CertificateProblem, PemFile, check_certificate};
use super::{CertificateError, set_validity};

/// Some clients refuse server certificates that live longer than this.
const SERVER_DAYS: i64 = 397;

/// PEM of the server certificate and of its key.
pub(super) struct ServerCertificate {
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// Loads the server certificate in `dir` if it is good for `names`.
pub(super) fn load_or_create(
    authority: &Authority,
    dir: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<ServerCertificate, CertificateError> {
    let (certificate_path, key_path) = (dir.join("server.crt"), dir.join("server.key"));
    // The names are kept beside the certificate: reading them back out of
    // it would lose the order and the spelling that they were given in.
    let names_path = dir.join("server.names");
    let wanted = names.join("\n");
    let (certificate, key, kept) = (
        PemFile::read(&certificate_path)?,
        PemFile::read(&key_path)?,
        PemFile::read(&names_path)?,
    );
    match usable(authority, &certificate, &key, now) {
        Ok(found) if kept.text() == Ok(wanted.as_str()) => return Ok(found),
        Err(CertificateProblem::Damaged(problem))
            if !(certificate.is_missing() && key.is_missing()) =>
        {
            certificate.set_aside(&certificate_path, now)?;
            key.set_aside(&key_path, now)?;
            tracing::warn!(
                path = %certificate_path.display(),
                problem,
                "the server certificate cannot be used; a new one is made, and what was there is kept beside it"
            );
        }
        // It ends soon, is to hold other names, or there is none yet.
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

/// The stored pair, if it belongs together and a client that trusts
/// `authority` takes it.
fn usable(
    authority: &Authority,
    certificate: &PemFile,
    key: &PemFile,
    now: Timestamp,
) -> Result<ServerCertificate, CertificateProblem> {
    let damaged = |part: &'static str| {
        move |problem: String| CertificateProblem::Damaged(format!("{part}: {problem}"))
    };
    let key_pem = key.text().map_err(damaged("the key"))?;
    let key_pair =
        KeyPair::from_pem(key_pem).map_err(|error| damaged("the key")(error.to_string()))?;
    let certificate_pem = certificate.text().map_err(damaged("the certificate"))?;
    check_certificate(certificate_pem, &key_pair.subject_public_key_info(), now)?;
    verify(authority, certificate_pem, now).map_err(damaged("the certificate"))?;
    Ok(ServerCertificate {
        certificate_pem: certificate_pem.to_owned(),
        key_pem: key_pem.to_owned(),
    })
}

/// Looks at the certificate as a client does.
fn verify(authority: &Authority, certificate_pem: &str, now: Timestamp) -> Result<(), String> {
    let anchor = CertificateDer::from_pem_slice(authority.pem.as_bytes())
        .map_err(|error| error.to_string())?;
    let leaf = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(anchor).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let now =
        UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().max(0).unsigned_abs()));
    client
        .verify_server_cert(&leaf, &[], &name, &[], now)
        .map(|_| ())
        .map_err(|error| error.to_string())
}
