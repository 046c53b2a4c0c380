//! The certificate authority of an instance: a key and a certificate over it.

use std::path::Path;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rdd_core::write_private;

use super::pem_file::{CertificateProblem, PemFile, check_certificate};
use super::{CertificateError, set_validity};

/// The authority outlives any installation: replacing it would break every kubeconfig.
const CA_DAYS: i64 = 3650;

/// A key that signs, and the certificate that clients trust.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The key is written before the certificate, so a crash in between leaves
    /// a key alone. As long as the key is good, nothing is lost: a certificate
    /// made anew over it is as good to everybody who trusts the old one.
    pub(super) fn load_or_create(dir: &Path, now: Timestamp) -> Result<Self, CertificateError> {
        let (certificate_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        let stored_key = PemFile::read(&key_path)?;
        let stored_certificate = PemFile::read(&certificate_path)?;
        let loaded = stored_key
            .text()
            .and_then(|pem| KeyPair::from_pem(pem).map_err(|error| error.to_string()));
        let key = match loaded {
            Ok(key) => key,
            Err(problem) => {
                if !(stored_key.is_missing() && stored_certificate.is_missing()) {
                    let aside = stored_key.set_aside(&key_path, now)?;
                    tracing::error!(
                        path = %key_path.display(),
                        problem,
                        set_aside_as = aside.map(|path| path.display().to_string()),
                        "the key of the certificate authority cannot be used; a new authority is made and the kubeconfig is written anew: copies of the old kubeconfig and client certificates stop working"
                    );
                }
                let key = KeyPair::generate()?;
                write_private(&key_path, key.serialize_pem().as_bytes())?;
                key
            }
        };
        let usable = stored_certificate
            .text()
            .map_err(CertificateProblem::Damaged)
            .and_then(|pem| {
                check_certificate(pem, &key.subject_public_key_info(), now).map(|()| pem.to_owned())
            });
        let pem = match usable {
            Ok(pem) => pem,
            Err(problem) => {
                let aside = stored_certificate.set_aside(&certificate_path, now)?;
                if let CertificateProblem::Damaged(problem) = problem
                    && !(stored_certificate.is_missing() && stored_key.is_missing())
                {
                    tracing::warn!(
                        path = %certificate_path.display(),
                        problem,
                        set_aside_as = aside.map(|path| path.display().to_string()),
                        "the certificate of the authority cannot be used; a new one is made from its key, and the kubeconfig is written anew"
                    );
                }
                let pem = certificate(&key, now)?;
                write_private(&certificate_path, pem.as_bytes())?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self { pem, issuer })
    }
}

/// A self-signed certificate over `key`.
fn certificate(key: &KeyPair, now: Timestamp) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "rdd local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_DAYS);
    Ok(params.self_signed(key)?.pem())
}
