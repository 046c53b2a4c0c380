//! The client of the engine's API: versions, status codes, and errors.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use futures::stream::{self, Stream};
use rdd_sdk::Host;
use rdd_sdk::http::{
    HttpClient, HttpRequest, HttpResponse, Method, ResponseBody, ResponseHead, StatusCode,
    UpgradeResponse, UpgradedReader, UpgradedWriter,
};
use rdd_sdk::types::{Error, ErrorCode, Timestamp};
use serde::de::DeserializeOwned;

use crate::element_reader::ElementReader;
use crate::{model, time};

/// The oldest API version with everything that this backend needs: Docker
/// 20.10.
const OLDEST: ApiVersion = ApiVersion {
    major: 1,
    minor: 41,
};

/// The newest API version that this backend was written for: Docker 29. With a
/// newer engine, this version is used, or the engine's oldest if that is newer.
const NEWEST: ApiVersion = ApiVersion {
    major: 1,
    minor: 52,
};

/// The time limit of the ping that negotiates the version. Even a busy engine
/// responds sooner, unless it hangs.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum time between two parts of a list response. Before its first
/// part, the engine queries each volume plugin and reads each image, which may
/// take any time.
const LIST_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The minimum size of a batch of a list response.
const LIST_BATCH_BYTES: usize = 64 * 1024;

/// The maximum size of an error response that is read.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// The maximum length of the excerpt of an error response that is not JSON.
const MAX_EXCERPT_CHARS: usize = 200;

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The response of a ping.
pub(crate) struct PingResponse {
    version: ApiVersion,
    /// The engine's clock, rounded down to the second.
    pub(crate) now: Option<Timestamp>,
}

/// A client of the engine's API at one version.
pub(crate) struct DockerClient {
    host: Host,
    http: HttpClient,
    version: Cell<Option<ApiVersion>>,
}

impl DockerClient {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            http: HttpClient::new(host.clone()),
            host,
            version: Cell::new(None),
        }
    }

    /// Negotiates the version with the engine, replacing an earlier one.
    pub(crate) async fn negotiate(&self) -> Result<PingResponse, Error> {
        let ping = self.ping(NEGOTIATION_TIMEOUT).await?;
        let version = if ping.version > NEWEST {
            match self.oldest_engine_version().await? {
                Some(oldest) if oldest > NEWEST => oldest,
                _ => NEWEST,
            }
        } else {
            ping.version
        };
        self.version.set(Some(version));
        Ok(ping)
    }

    /// Closes idle connections until at most `max_idle` are left.
    pub(crate) fn close_idle(&self, max_idle: usize) {
        self.http.close_idle(max_idle);
    }

    /// Sends the request that `build` creates for the versioned path, and reads
    /// the whole response. A status other than success or 304 is an error with
    /// the engine's message.
    pub(crate) async fn send(
        &self,
        path: &str,
        build: impl FnOnce(String) -> HttpRequest,
    ) -> Result<HttpResponse, Error> {
        let request = build(self.versioned_path(path).await?);
        let response = self.http.send(request).await?;
        let status = response.head.status;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        Err(self.response_error(status, &response.body))
    }

    /// Sends a `POST` request whose response has no content of interest.
    pub(crate) async fn post(&self, path: &str) -> Result<(), Error> {
        self.send(path, |path| HttpRequest::new(Method::POST, path))
            .await?;
        Ok(())
    }

    /// Sends a `GET` request and parses the JSON response.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        max_body_bytes: usize,
    ) -> Result<T, Error> {
        let response = self
            .send(path, |path| {
                HttpRequest::get(path).max_body_bytes(max_body_bytes)
            })
            .await?;
        parse(&response.body)
    }

    /// Sends a `GET` request and reads the response as a list, element by
    /// element. It may take any time, as long as the engine continues to send.
    /// `key` is the field with the list, or `None` if the response is the list.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&'static str>,
    ) -> Result<ListResponse<'_, T>, Error> {
        let (_, body) = self.stream(path).await?;
        Ok(ListResponse {
            client: self,
            path: path.to_owned(),
            body: Some(body),
            elements: ElementReader::new(key),
        })
    }

    /// Sends a `GET` request and returns the response with a body that may be
    /// endless.
    pub(crate) async fn stream(&self, path: &str) -> Result<(ResponseHead, ResponseBody), Error> {
        self.stream_request(path, HttpRequest::get).await
    }

    /// Sends the request that `build` creates for the versioned path. Otherwise
    /// like [`stream`](Self::stream).
    pub(crate) async fn stream_request(
        &self,
        path: &str,
        build: impl FnOnce(String) -> HttpRequest,
    ) -> Result<(ResponseHead, ResponseBody), Error> {
        let request = build(self.versioned_path(path).await?);
        let (head, mut body) = self.http.stream(request).await?;
        if head.status.is_success() {
            return Ok((head, body));
        }
        let mut text = Vec::new();
        while text.len() < MAX_ERROR_BODY_BYTES
            && body
                .read_batch(MAX_ERROR_BODY_BYTES, |bytes| text.extend_from_slice(&bytes))
                .await?
        {}
        Err(self.response_error(head.status, &text))
    }

    /// Sends the `POST` request that `build` creates for the versioned path, to
    /// switch the connection to raw bytes. A response other than that is the
    /// engine's error, with its status.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        build: impl FnOnce(HttpRequest) -> HttpRequest,
    ) -> Result<(UpgradedReader, UpgradedWriter), (Option<StatusCode>, Error)> {
        let path = self
            .versioned_path(path)
            .await
            .map_err(|error| (None, error))?;
        let request = build(HttpRequest::new(Method::POST, path));
        match self.http.upgrade(request, "tcp").await {
            Ok(UpgradeResponse::Upgraded { reader, writer, .. }) => Ok((reader, writer)),
            Ok(UpgradeResponse::Refused(response)) => {
                let status = response.head.status;
                let error = if status.is_success() {
                    Error::unsupported("the engine does not switch the connection to raw bytes")
                } else {
                    self.response_error(status, &response.body)
                };
                Err((Some(status), error))
            }
            Err(error) => Err((None, error)),
        }
    }

    async fn versioned_path(&self, path: &str) -> Result<String, Error> {
        if self.version.get().is_none() {
            self.negotiate().await?;
        }
        let version = self.version.get().unwrap_or(OLDEST);
        Ok(format!("/v{version}{path}"))
    }

    /// Checks that the engine responds, and returns its newest API version.
    pub(crate) async fn ping(&self, timeout: Duration) -> Result<PingResponse, Error> {
        let request = HttpRequest::get("/_ping").timeout(timeout);
        let response = self.http.send(request).await?;
        let ResponseHead { status, headers } = &response.head;
        if !status.is_success() {
            return Err(self.response_error(*status, &response.body));
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(text) = header("api-version") else {
            return Err(Error::unsupported(
                "the server at the engine's address is not a Docker engine: its ping response has no Api-Version header",
            ));
        };
        let Some(version) = ApiVersion::parse(text) else {
            return Err(Error::unsupported(format!(
                "the engine returned the invalid API version {text:?}"
            )));
        };
        if version < OLDEST {
            return Err(Error::unsupported(format!(
                "the engine supports API version {version}, but this backend needs {OLDEST} (Docker 20.10) or newer; update the engine"
            )));
        }
        Ok(PingResponse {
            version,
            now: header("date").and_then(time::parse_http_date),
        })
    }

    /// Returns the oldest version that a newer engine still supports.
    async fn oldest_engine_version(&self) -> Result<Option<ApiVersion>, Error> {
        let response = self.http.send(HttpRequest::get("/version")).await?;
        if !response.head.status.is_success() {
            return Err(self.response_error(response.head.status, &response.body));
        }
        let version: model::SystemVersion = parse(&response.body)?;
        Ok(ApiVersion::parse(&version.min_api_version))
    }

    /// Converts an error response of the engine to the contract's error.
    fn response_error(&self, status: StatusCode, body: &[u8]) -> Error {
        let message = error_message(status, body);
        let code = match status {
            StatusCode::BAD_REQUEST if message.contains("client version") => {
                // Not the engine that the version was negotiated with.
                self.version.set(None);
                ErrorCode::Unsupported
            }
            StatusCode::BAD_REQUEST => ErrorCode::InvalidArgument,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorCode::PermissionDenied,
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::CONFLICT => ErrorCode::Conflict,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => ErrorCode::Unsupported,
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS => ErrorCode::Unavailable,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorCode::Timeout,
            _ => ErrorCode::Internal,
        };
        Error::new(code, message)
    }
}

/// A list response, read element by element.
pub(crate) struct ListResponse<'a, T> {
    client: &'a DockerClient,
    path: String,
    /// `None` once it was read to its end.
    body: Option<ResponseBody>,
    elements: ElementReader<T>,
}

impl<'a, T: DeserializeOwned + 'a> ListResponse<'a, T> {
    /// Returns the next element, or `None` at the end of the list.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(element) = self.elements.next()? {
                return Ok(Some(element));
            }
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let elements = &mut self.elements;
            let read = body.read_batch(LIST_BATCH_BYTES, |bytes| elements.push(&bytes));
            let what = format!("more of {}", self.path);
            let host = &self.client.host;
            if !host.timeout(LIST_IDLE_TIMEOUT, &what, read).await? {
                self.elements.finish();
                if let Some(body) = self.body.take() {
                    self.client.http.reuse(body).await;
                }
            }
        }
    }

    /// Returns the elements as a stream, which ends after its first error.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<T, Error>> + 'a {
        stream::try_unfold(self, |mut list| async {
            let element = list.next().await?;
            Ok(element.map(|element| (element, list)))
        })
    }
}

/// Parses a JSON response.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::internal(format!("cannot parse the engine's response: {error}")))
}

/// Returns the engine's message of an error response.
fn error_message(status: StatusCode, body: &[u8]) -> String {
    let error: model::ErrorResponse = serde_json::from_slice(body).unwrap_or_default();
    let message = error.message.trim();
    if !message.is_empty() {
        return message.to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(MAX_EXCERPT_CHARS).collect();
    if text.is_empty() {
        format!("the engine returned {status}")
    } else {
        format!("the engine returned {status}: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_numerically() {
        let version = |text: &str| ApiVersion::parse(text).unwrap();
        assert!(version("1.9") < version("1.41"));
        assert!(version("2.0") > version("1.52"));
        for text in ["", "1", "1.x", "v1.41", "-1.2"] {
            assert_eq!(ApiVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_engines_message_is_kept() {
        let status = StatusCode::CONFLICT;
        assert_eq!(
            error_message(status, br#"{"message":"conflict: in use\n"}"#),
            "conflict: in use"
        );
        assert_eq!(
            error_message(status, b"plain"),
            "the engine returned 409 Conflict: plain"
        );
        assert_eq!(
            error_message(status, b""),
            "the engine returned 409 Conflict"
        );
        assert_eq!(
            error_message(status, br#"{"message":5}"#),
            "the engine returned 409 Conflict: {\"message\":5}"
        );
    }
}
