//! A connection over TLS, with certificates on both sides.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rdd_core::ErrorCode;
use rdd_plugin::{EngineDialer, EngineEndpoint, TlsFiles};
use rdd_plugin_contract::{EngineConnection, EngineTransport};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes the three files under the names that the docker CLI uses.
fn write_files(dir: &Path, authority: &Authority, trusted: &Authority) -> TlsFiles {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    let files = TlsFiles::in_dir(dir);
    fs::create_dir_all(dir).unwrap();
    fs::write(&files.ca, trusted.pem()).unwrap();
    fs::write(&files.cert, cert.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

/// Runs an engine that requires a client certificate, reads to the end, and then
/// responds. Returns what it read, or `None` if the handshake failed.
fn engine(listener: TcpListener, files: &TlsFiles) -> tokio::task::JoinHandle<Option<Vec<u8>>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.ca).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&files.cert).unwrap()],
            PrivateKeyDer::from_pem_file(&files.key).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        let mut stream = acceptor.accept(stream).await.ok()?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        stream.shutdown().await.unwrap();
        Some(received)
    })
}

async fn dialer(listener: &TcpListener, files: TlsFiles) -> EngineDialer {
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let endpoint = EngineEndpoint::parse(&endpoint).unwrap();
    EngineDialer::new(endpoint.with_tls(files).unwrap()).unwrap()
}

#[tokio::test]
async fn both_sides_authenticate_and_half_close() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority();
    let engine_files = write_files(&dir.path().join("engine"), &authority, &authority);
    let client_files = write_files(&dir.path().join("client"), &authority, &authority);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialer = dialer(&listener, client_files).await;
    let engine = engine(listener, &engine_files);
    let EngineConnection {
        mut reader,
        mut writer,
    } = in_time(dialer.connect()).await.unwrap();
    writer.write_all(b"question").await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    let mut response = Vec::new();
    in_time(reader.read_to_end(&mut response)).await.unwrap();
    assert_eq!(response, b"answer");
    assert_eq!(in_time(engine).await.unwrap().unwrap(), b"question");
}

#[tokio::test]
async fn an_engine_with_an_untrusted_certificate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, untrusted) = (authority(), self::authority());
    let engine_files = write_files(&dir.path().join("engine"), &untrusted, &authority);
    let client_files = write_files(&dir.path().join("client"), &authority, &authority);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialer = dialer(&listener, client_files).await;
    let engine = engine(listener, &engine_files);
    let Err(error) = in_time(dialer.connect()).await else {
        panic!("the connection was accepted");
    };
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("certificate"), "{error}");
    assert_eq!(in_time(engine).await.unwrap(), None);
}
