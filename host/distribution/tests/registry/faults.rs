//! Registries that fail, lie, or never end.

use std::time::Duration;

use rdd_distribution::{
    ArtifactReference, ArtifactSource as _, ContentDigest, Descriptor, RegistryClient,
    RegistryOptions,
};

use crate::scripted_server::{ScriptedResponse, ScriptedServer};
use crate::support::*;

/// Downloads a content of nine bytes from a server that sends `response`.
async fn download(response: impl Fn() -> ScriptedResponse + Send + Sync + 'static) -> String {
    download_with(options(None), response).await
}

/// Downloads from a server that is given up soon.
async fn download_impatiently(
    response: impl Fn() -> ScriptedResponse + Send + Sync + 'static,
) -> String {
    let options = RegistryOptions {
        idle_timeout: Duration::from_secs(1),
        ..options(None)
    };
    download_with(options, response).await
}

async fn download_with(
    options: RegistryOptions,
    response: impl Fn() -> ScriptedResponse + Send + Sync + 'static,
) -> String {
    let server = ScriptedServer::start(move |_| response()).await;
    let reference = ArtifactReference::parse(&format!("{}/a:1", server.address)).unwrap();
    let descriptor = Descriptor::of("application/wasm", b"the bytes");
    let mut output = Vec::new();
    let client = RegistryClient::new(reference, options).unwrap();
    match client.blob(&descriptor, &mut output).await {
        Ok(()) => {
            assert_eq!(output, b"the bytes");
            String::new()
        }
        Err(error) => {
            let error = chain(&error);
            assert!(!error.contains('\u{1b}'), "{error}");
            error
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn ok(body: &'static [u8]) -> impl Fn() -> ScriptedResponse {
    move || ScriptedResponse::new("200 OK", "", body)
}

#[tokio::test]
async fn only_the_expected_content_is_accepted() {
    assert_eq!(download(ok(b"the bytes")).await, "");
    assert!(download(ok(b"the bytez")).await.contains("has the digest"));
    assert!(
        download(ok(b"the b"))
            .await
            .contains("ended after 5 of 9 bytes")
    );
    let larger = download(ok(b"the bytes and more")).await;
    assert!(larger.contains("larger than 9 bytes"), "{larger}");
}

#[tokio::test]
async fn a_download_that_breaks_or_stalls_is_an_error() {
    let broken = |hang| {
        move || {
            let mut response = ScriptedResponse::new("200 OK", "", b"the bytes");
            response.bytes.truncate(response.bytes.len() - 3);
            response.hang = hang;
            response
        }
    };
    let error = download(broken(false)).await;
    assert!(error.contains("cannot download the plugin"), "{error}");
    let error = download_impatiently(broken(true)).await;
    assert!(error.contains("does not respond"), "{error}");
    let silent = || ScriptedResponse {
        bytes: Vec::new(),
        hang: true,
    };
    let error = download_impatiently(silent).await;
    assert!(error.contains("does not respond"), "{error}");
}

#[tokio::test]
async fn an_endless_response_is_cut_off() {
    let endless = |_: &crate::scripted_server::ReceivedRequest| {
        let mut response = ScriptedResponse::new("200 OK", "", &vec![b'x'; 6 * 1024 * 1024]);
        response.hang = true;
        response
    };
    let server = ScriptedServer::start(endless).await;
    let reference = ArtifactReference::parse(&format!("{}/a:1", server.address)).unwrap();
    let error = client(&reference, None)
        .root()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("larger than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn an_error_of_the_registry_is_shown_without_control_characters() {
    let error = download(|| {
        let body = br#"{"errors":[{"code":"X","message":"too many \u001b[31mrequests"}]}"#;
        ScriptedResponse::new("429 Too Many Requests", "", body)
    })
    .await;
    assert!(
        error.contains("status 429 (too many  [31mrequests)"),
        "{error}"
    );
    let error = download(|| ScriptedResponse::new("500 Oh", "", &[b'x'; 200_000])).await;
    assert!(error.contains("status 500"), "{error}");
}

#[tokio::test]
async fn redirections_are_limited_and_stay_with_http() {
    let to = |location: &'static str| {
        move || {
            let headers = format!("Location: {location}\r\n");
            ScriptedResponse::new("302 Found", &headers, b"")
        }
    };
    let error = download(to("/again")).await;
    assert!(error.contains("redirects too often"), "{error}");
    for location in ["file:///etc/passwd", "relative", "http://me@127.0.0.1/"] {
        let error = download(to(location)).await;
        assert!(error.contains("invalid redirection"), "{location}: {error}");
    }
}

#[tokio::test]
async fn a_manifest_is_compared_with_the_digest_in_its_reference() {
    let server = ScriptedServer::start(|_| ScriptedResponse::new("200 OK", "", b"other")).await;
    let digest = ContentDigest::of(b"wanted");
    let reference = format!("{}/a@{digest}", server.address);
    let reference = ArtifactReference::parse(&reference).unwrap();
    let error = client(&reference, None)
        .root()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&digest.to_string()), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // A port that was just free.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let reference = ArtifactReference::parse(&format!("{address}/a:1")).unwrap();
    let error = client(&reference, None)
        .root()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("{address} cannot be reached")),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_elsewhere_is_not_used_without_encryption() {
    let plain = ScriptedServer::start(|_| ScriptedResponse::new("200 OK", "", b"{}")).await;
    let port = plain.address.rsplit(':').next().unwrap();
    // A name of this machine that does not say so.
    let reference = ArtifactReference::parse(&format!("0.0.0.0:{port}/a:1")).unwrap();
    client(&reference, None).root().await.unwrap_err();
    // What arrived is the beginning of a TLS handshake, which is no request.
    assert!(
        plain
            .requests()
            .iter()
            .all(|request| !request.line.contains("/v2/"))
    );
    let mut options = options(None);
    options.plain_http = true;
    let plain_client = rdd_distribution::RegistryClient::new(reference, options).unwrap();
    assert_eq!(plain_client.root().await.unwrap().content, b"{}");
}
