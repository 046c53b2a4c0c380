//! Access tokens, and where credentials are sent.

use std::sync::Arc;

use rdd_core::RegistryCredentials;
use rdd_distribution::{ArtifactReference, ArtifactSource as _};

use crate::scripted_server::{ScriptedResponse, ScriptedServer};
use crate::support::*;

/// A token service that accepts everyone.
async fn token_service() -> ScriptedServer {
    ScriptedServer::start(|_| ScriptedResponse::new("200 OK", "", br#"{"token":"access"}"#)).await
}

/// A registry that requires the token of a service.
async fn registry(service: &ScriptedServer) -> ScriptedServer {
    let realm = format!("http://{}/token", service.address);
    ScriptedServer::start(
        move |request| match request.header("authorization").as_deref() {
            Some("Bearer access") => ScriptedResponse::new("200 OK", "", b"{}"),
            _ => ScriptedResponse::new(
                "401 Unauthorized",
                &format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"here\"\r\n"),
                b"",
            ),
        },
    )
    .await
}

#[tokio::test]
async fn a_token_is_exchanged_for_the_users_credentials() {
    for credentials in [
        None,
        Some(password("me", "word")),
        Some(RegistryCredentials::IdentityToken("refresh".to_owned())),
    ] {
        let service = token_service().await;
        let registry = registry(&service).await;
        let reference = ArtifactReference::parse(&format!("{}/a/b:1", registry.address)).unwrap();
        let document = client(&reference, credentials.clone())
            .root()
            .await
            .unwrap();
        assert_eq!(document.content, b"{}");
        let requests = service.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        let request = &requests[0];
        let authorization = request.header("authorization");
        match credentials {
            Some(RegistryCredentials::IdentityToken(_)) => {
                assert_eq!(request.line, "POST /token");
                assert!(
                    request.body.contains("refresh_token=refresh"),
                    "{request:?}"
                );
                assert!(
                    request.body.contains("scope=repository%3Aa%2Fb%3Apull"),
                    "{request:?}"
                );
            }
            credentials => {
                let scope = "scope=repository%3Aa%2Fb%3Apull&service=here";
                assert_eq!(request.line, format!("GET /token?{scope}"));
                let is_sent = authorization.as_deref() == Some("Basic bWU6d29yZA==");
                assert_eq!(is_sent, credentials.is_some());
            }
        }
        // The credentials themselves are not for the registry.
        for request in registry.requests() {
            let sent = request.header("authorization");
            assert!(
                sent.is_none() || sent.as_deref() == Some("Bearer access"),
                "{sent:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_token_with_control_characters_is_an_error() {
    let service =
        ScriptedServer::start(|_| ScriptedResponse::new("200 OK", "", b"{\"token\":\"a\\nb\"}"))
            .await;
    let registry = registry(&service).await;
    let reference = ArtifactReference::parse(&format!("{}/a:1", registry.address)).unwrap();
    let error = client(&reference, None)
        .root()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not allowed"), "{error}");
}

#[tokio::test]
async fn another_server_gets_no_credentials() {
    let storage =
        Arc::new(ScriptedServer::start(|_| ScriptedResponse::new("200 OK", "", b"{}")).await);
    let target = format!("http://{}/content", storage.address);
    let registry = ScriptedServer::start(move |request| match request.header("authorization") {
        Some(_) => ScriptedResponse::new(
            "307 Temporary Redirect",
            &format!("Location: {target}\r\n"),
            b"",
        ),
        None => ScriptedResponse::new(
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
            b"",
        ),
    })
    .await;
    let reference = ArtifactReference::parse(&format!("{}/a:1", registry.address)).unwrap();
    let source = client(&reference, Some(password("me", "word")));
    assert_eq!(source.root().await.unwrap().content, b"{}");
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
}
