//! The certificate authority of an instance: a key and a self-signed
//! certificate.

use std::path::Path;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rdd_core::write_private;

use super::pem_file::{PemFile, check_certificate, parse_key};
use super::{CertificateError, set_validity};

/// The validity of the authority in days. Longer than the lifetime of an
/// installation, since a replacement invalidates every kubeconfig.
const CA_DAYS: i64 = 3650;

/// The signing key, and the certificate that clients trust.
pub(super) struct CertificateAuthority {
    pub(super) pem: String,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// Loads the authority in `dir`, or creates it.
    ///
    /// The key is written before the certificate, so a crash in between leaves
    /// only the key. As long as the key is valid, nothing is lost: clients that
    /// trust the old certificate also accept a new one for the same key.
    pub(super) fn load_or_create(dir: &Path, now: Timestamp) -> Result<Self, CertificateError> {
        let (certificate_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        let stored_key = PemFile::read(&key_path)?;
        let stored_certificate = PemFile::read(&certificate_path)?;
        let key = match parse_key(&stored_key) {
            Ok(key) => key,
            Err(error) => {
                if !(stored_key.is_missing() && stored_certificate.is_missing()) {
                    let aside = stored_key.set_aside(&key_path, now)?;
                    tracing::error!(
                        %error,
                        path = %key_path.display(),
                        set_aside_as = aside.map(|path| path.display().to_string()),
                        "the key of the certificate authority is unusable; creating a new authority and kubeconfig: copies of the old kubeconfig and client certificates stop working"
                    );
                }
                let key = KeyPair::generate()?;
                write_private(&key_path, key.serialize_pem().as_bytes())?;
                key
            }
        };
        let stored_pem =
            check_certificate(&stored_certificate, &key.subject_public_key_info(), now);
        let pem = match stored_pem {
            Ok(pem) => pem.to_owned(),
            Err(error) => {
                let aside = stored_certificate.set_aside(&certificate_path, now)?;
                if error.is_damage()
                    && !(stored_certificate.is_missing() && stored_key.is_missing())
                {
                    tracing::warn!(
                        %error,
                        path = %certificate_path.display(),
                        set_aside_as = aside.map(|path| path.display().to_string()),
                        "the certificate of the authority is unusable; creating a new one from its key, and a new kubeconfig"
                    );
                }
                let pem = self_signed_certificate(&key, now)?;
                write_private(&certificate_path, pem.as_bytes())?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self { pem, issuer })
    }
}

/// Returns a self-signed certificate for `key`, in PEM.
fn self_signed_certificate(key: &KeyPair, now: Timestamp) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "rdd local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_DAYS);
    Ok(params.self_signed(key)?.pem())
}
