//! The API server over HTTPS, for kubectl and conformance tests:
//! `cargo run -p rdd-apiserver --example apiserver -- STATE-DIR [PORT]`.
//!
//! It writes `STATE-DIR/kubeconfig` with a token of the group
//! `system:masters`. Each start creates new keys and a new token.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use http::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tower::ServiceExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(
        arguments
            .next()
            .context("usage: apiserver STATE-DIR [PORT]")?,
    );
    let port: u16 = match arguments.next() {
        Some(port) => port.parse().context("the port must be a number")?,
        None => 0,
    };
    std::fs::create_dir_all(&directory)?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let address = listener.local_addr()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names)?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    std::fs::write(
        directory.join("kubeconfig"),
        kubeconfig(&address, &certified.cert.pem(), &token),
    )?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
        certified.signing_key.serialize_der(),
    ));
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));

    let mut options = ApiServerOptions::file(directory.join("apiserver.db"));
    options.address = address.to_string();
    let server = ApiServer::open(options).await?;
    tracing::info!(%address, kubeconfig = %directory.join("kubeconfig").display(), "serving");
    let bearer: Arc<str> = format!("Bearer {token}").into();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let (acceptor, server, bearer) = (acceptor.clone(), server.clone(), Arc::clone(&bearer));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                        let is_authenticated = request
                            .headers()
                            .get(AUTHORIZATION)
                            .is_some_and(|sent| sent.as_bytes() == bearer.as_bytes());
                        if is_authenticated {
                            request.extensions_mut().insert(admin());
                        }
                        let server = server.clone();
                        async move {
                            let response = match server.oneshot(request).await {
                                Ok(response) => response,
                                Err(never) => match never {},
                            };
                            Ok::<_, Infallible>(response)
                        }
                    });
                    if let Err(error) = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                    {
                        tracing::debug!(%error, "a connection ended");
                    }
                });
            }
            signal = tokio::signal::ctrl_c() => {
                signal?;
                break;
            }
        }
    }
    server.close().await;
    Ok(())
}

fn admin() -> UserInfo {
    UserInfo {
        name: "admin".to_owned(),
        groups: vec![
            "system:masters".to_owned(),
            "system:authenticated".to_owned(),
        ],
        ..UserInfo::default()
    }
}

fn kubeconfig(address: &SocketAddr, ca: &str, token: &str) -> String {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rdd", "cluster": {"server": format!("https://{address}"), "certificate-authority-data": ca}}],
        "users": [{"name": "rdd", "user": {"token": token}}],
        "contexts": [{"name": "rdd", "context": {"cluster": "rdd", "user": "rdd"}}],
        "current-context": "rdd",
    })
    .to_string()
}
