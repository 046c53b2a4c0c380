//! The distribution protocol of OCI registries, as far as plugins need it.

mod authorization;
mod http_client;
mod push;
mod url;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use rdd_core::RegistryCredentialStore;

use crate::descriptor::{Descriptor, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE};
use crate::digest::{ContentDigest, DigestWriter};
use crate::reference::ArtifactReference;
use crate::registry_error::RegistryError;
use crate::source::{ArtifactDocument, ArtifactSource, MAX_MANIFEST_BYTES, SourceError};
use authorization::RegistryAuthorization;
use http_client::HttpClient;
pub use http_client::{ProxyIntercept, ProxyPolicy};
pub use url::is_loopback;

/// The maximum number of redirections that are followed. Registries redirect
/// once, to the storage of contents.
const MAX_REDIRECTS: usize = 5;

/// How a registry is reached.
#[derive(Clone)]
pub struct RegistryOptions {
    /// The user's credentials, which are queried only if the registry asks.
    pub credentials: Arc<dyn RegistryCredentialStore>,
    /// Whether a registry on another machine is used without encryption.
    pub plain_http: bool,
    /// The proxies for encrypted connections.
    pub proxy: ProxyPolicy,
    /// How long a server may take to accept a connection or to respond, and how
    /// long it may send nothing within a response.
    pub idle_timeout: Duration,
    /// How long the transfer of one content may take.
    pub transfer_timeout: Duration,
}

impl RegistryOptions {
    /// Returns options with these credentials and the default limits: 30 s
    /// without progress, and 15 min for one content.
    pub fn new(credentials: Arc<dyn RegistryCredentialStore>) -> Self {
        Self {
            credentials,
            plain_http: false,
            proxy: Arc::new(|_| Ok(None)),
            idle_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(15 * 60),
        }
    }
}

/// A client for one artifact in a registry.
pub struct RegistryClient {
    reference: ArtifactReference,
    /// `http` or `https`.
    scheme: &'static str,
    http: HttpClient,
    authorization: RegistryAuthorization,
    transfer_timeout: Duration,
}

/// A request before the credentials are added.
struct RequestParts<'a> {
    method: Method,
    url: Uri,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    body: Bytes,
    /// What the request does, for messages.
    action: &'a str,
    /// How long it may take until the response begins.
    timeout: Duration,
}

impl RegistryClient {
    /// Creates a client that reads or writes `reference`.
    ///
    /// # Errors
    ///
    /// Fails if the certificates of this machine cannot be used.
    pub fn new(
        reference: ArtifactReference,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        let RegistryOptions {
            credentials,
            plain_http,
            proxy,
            idle_timeout,
            transfer_timeout,
        } = options;
        // As in docker, a registry on this machine is not expected to have a
        // certificate.
        let scheme = match plain_http || is_loopback(reference.registry()) {
            true => "http",
            false => "https",
        };
        Ok(Self {
            authorization: RegistryAuthorization::new(&reference, credentials),
            http: HttpClient::new(proxy, idle_timeout)?,
            reference,
            scheme,
            transfer_timeout,
        })
    }

    async fn fetch_document(
        &self,
        name: &str,
        expected: Option<&ContentDigest>,
    ) -> Result<ArtifactDocument, RegistryError> {
        let accept = format!("{MANIFEST_MEDIA_TYPE}, {INDEX_MEDIA_TYPE}");
        let accept = HeaderValue::from_str(&accept)
            .map_err(|_| self.violation("a media type is not valid"))?;
        let response = self
            .fetch(RequestParts {
                headers: vec![(ACCEPT, accept)],
                ..self.get(&format!("manifests/{name}"), "read the manifest")?
            })
            .await?;
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_owned();
        let mut writer = DigestWriter::new(Vec::new());
        self.http
            .copy(response.into_body(), MAX_MANIFEST_BYTES, &mut writer)
            .await
            .map_err(|error| error.in_registry(&self.reference, "read the manifest"))?;
        let (content, digest) = writer.finish();
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(RegistryError::Digest {
                reference: self.reference.to_string(),
                expected: expected.clone(),
                actual: digest,
            });
        }
        Ok(ArtifactDocument {
            media_type,
            digest,
            content,
        })
    }

    async fn fetch_blob(
        &self,
        descriptor: &Descriptor,
        output: &mut (dyn Write + Send),
    ) -> Result<(), RegistryError> {
        let response = self
            .fetch(self.get(
                &format!("blobs/{}", descriptor.digest),
                "download the plugin",
            )?)
            .await?;
        let mut writer = DigestWriter::new(output);
        self.http
            .copy(response.into_body(), descriptor.size, &mut writer)
            .await
            .map_err(|error| error.in_registry(&self.reference, "download the plugin"))?;
        let bytes = writer.bytes();
        let (_, digest) = writer.finish();
        if bytes != descriptor.size {
            return Err(RegistryError::Incomplete {
                reference: self.reference.to_string(),
                expected: descriptor.size,
                actual: bytes,
            });
        }
        if digest != descriptor.digest {
            return Err(RegistryError::Digest {
                reference: self.reference.to_string(),
                expected: descriptor.digest.clone(),
                actual: digest,
            });
        }
        Ok(())
    }

    /// Sends a request for content, follows redirections, and requires success.
    async fn fetch(
        &self,
        mut parts: RequestParts<'_>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let action = parts.action;
        for _ in 0..=MAX_REDIRECTS {
            let url = parts.url.clone();
            let headers = parts.headers.clone();
            let response = self.send(parts).await?;
            if !response.status().is_redirection() {
                return self.expect(response, StatusCode::OK, action).await;
            }
            let target = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok())
                .and_then(|location| url::resolve(&url, location))
                .ok_or_else(|| self.violation("it returned an invalid redirection"))?;
            parts = RequestParts {
                method: Method::GET,
                url: target,
                headers,
                body: Bytes::new(),
                action,
                timeout: self.http.idle_timeout(),
            };
        }
        Err(self.violation("it redirects too often"))
    }

    /// Sends a request, with credentials if the registry asks for them.
    async fn send(&self, parts: RequestParts<'_>) -> Result<Response<Incoming>, RegistryError> {
        let RequestParts {
            method,
            url,
            headers,
            body,
            action,
            timeout,
        } = parts;
        // Neither contents nor requests for them leave an encrypted connection.
        if self.scheme == "https" && url.scheme_str() != Some("https") {
            return Err(self.violation("it redirects to a server without encryption"));
        }
        // Another server, such as the storage of contents, gets no credentials.
        let is_registry =
            url.authority().map(http::uri::Authority::as_str) == Some(self.authorization.host());
        let mut is_retry = false;
        loop {
            let authorization = match is_registry {
                true => self.authorization.header(),
                false => None,
            };
            let mut request = Request::builder().method(&method).uri(&url);
            for (name, value) in headers.iter().chain(
                authorization
                    .as_ref()
                    .map(|value| (http::header::AUTHORIZATION, value.clone()))
                    .as_ref(),
            ) {
                request = request.header(name, value);
            }
            let request = request
                .body(Full::new(body.clone()))
                .map_err(|_| self.violation("it returned an invalid address"))?;
            let response = self
                .http
                .send(request, timeout)
                .await
                .map_err(|error| error.in_registry(&self.reference, action))?;
            let is_unauthorized = response.status() == StatusCode::UNAUTHORIZED;
            if !is_unauthorized || !is_registry || is_retry {
                return Ok(response);
            }
            let write = !matches!(method, Method::GET | Method::HEAD);
            self.authorization
                .authorize(&self.http, &self.reference, response.headers(), write)
                .await?;
            is_retry = true;
        }
    }

    /// Returns a GET request for a path below the repository.
    fn get<'a>(&self, path: &str, action: &'a str) -> Result<RequestParts<'a>, RegistryError> {
        Ok(RequestParts {
            method: Method::GET,
            url: self.url(path)?,
            headers: Vec::new(),
            body: Bytes::new(),
            action,
            timeout: self.http.idle_timeout(),
        })
    }

    fn url(&self, path: &str) -> Result<Uri, RegistryError> {
        format!(
            "{}://{}/v2/{}/{path}",
            self.scheme,
            self.authorization.host(),
            self.reference.repository(),
        )
        .parse()
        .map_err(|_| self.violation("its address is not valid"))
    }

    async fn expect(
        &self,
        response: Response<Incoming>,
        expected: StatusCode,
        action: &str,
    ) -> Result<Response<Incoming>, RegistryError> {
        let status = response.status();
        if status == expected {
            return Ok(response);
        }
        // The message of the registry is only an addition to the status.
        let body = self.http.read_message(response.into_body()).await;
        Err(RegistryError::from_status(
            &self.reference,
            status,
            &body,
            action,
            self.authorization.has_credentials(),
        ))
    }

    fn violation(&self, problem: &'static str) -> RegistryError {
        RegistryError::Violation {
            registry: self.reference.registry().to_owned(),
            problem,
        }
    }
}

#[async_trait]
impl ArtifactSource for RegistryClient {
    async fn root(&self) -> Result<ArtifactDocument, SourceError> {
        let name = self.reference.tag_or_digest();
        Ok(self.fetch_document(&name, self.reference.digest()).await?)
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<ArtifactDocument, SourceError> {
        let digest = &descriptor.digest;
        Ok(self
            .fetch_document(&digest.to_string(), Some(digest))
            .await?)
    }

    async fn blob(
        &self,
        descriptor: &Descriptor,
        output: &mut (dyn Write + Send),
    ) -> Result<(), SourceError> {
        let transfer = self.fetch_blob(descriptor, output);
        match tokio::time::timeout(self.transfer_timeout, transfer).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(RegistryError::Timeout {
                registry: self.reference.registry().to_owned(),
                action: "download the plugin".to_owned(),
            }
            .into()),
        }
    }
}
