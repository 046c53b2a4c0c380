//! Requests to the engine: version, status and failure.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures::stream::{self, Stream};
use rdd_sdk::Host;
use rdd_sdk::http::{Body, Call, Client, Head, Method, Response, StatusCode};
use rdd_sdk::types::{Error, ErrorCode, Timestamp};
use serde::de::DeserializeOwned;

use crate::elements::Elements;
use crate::{model, time};

/// The oldest API that has what this backend needs: Docker 20.10.
const OLDEST: Version = Version {
    major: 1,
    minor: 41,
};

/// The newest API that this backend was written for: Docker 29. A newer
/// engine is asked to speak this one, or its own oldest if that is newer.
const NEWEST: Version = Version {
    major: 1,
    minor: 52,
};

/// A ping takes no time; one that takes longer than a busy engine does comes
/// from an engine that hangs.
const PING_LIMIT: Duration = Duration::from_secs(30);

/// How long a listing that has begun may stand still. Until then the engine
/// asks every volume plugin and reads every image, for as long as that takes.
const LISTING_PAUSE: Duration = Duration::from_secs(60);

/// Bytes of a listing that are taken at once.
const LISTING_BATCH: usize = 64 * 1024;

/// How much of a failure's body is read.
const MAX_FAILURE: usize = 64 * 1024;

/// How much of a failure's body is shown where it is no JSON.
const MAX_EXCERPT: usize = 200;

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.trim().split_once('.').ok_or(())?;
        Ok(Self {
            major: major.parse().map_err(|_| ())?,
            minor: minor.parse().map_err(|_| ())?,
        })
    }
}

/// What a ping tells.
pub(crate) struct Ping {
    version: Version,
    /// The engine's clock, to the second below.
    pub(crate) now: Option<Timestamp>,
}

/// The engine's API at one version.
pub(crate) struct Api {
    host: Host,
    client: Client,
    version: Cell<Option<Version>>,
}

impl Api {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            client: Client::new(host.clone()),
            host,
            version: Cell::new(None),
        }
    }

    /// Agrees with the engine on a version, again even if that was done.
    pub(crate) async fn negotiate(&self) -> Result<Ping, Error> {
        let ping = self.ping(PING_LIMIT).await?;
        let version = if ping.version > NEWEST {
            match self.oldest_of_engine().await? {
                Some(oldest) if oldest > NEWEST => oldest,
                _ => NEWEST,
            }
        } else {
            ping.version
        };
        self.version.set(Some(version));
        Ok(ping)
    }

    /// Closes idle connections but so many.
    pub(crate) fn trim(&self, keep: usize) {
        self.client.trim(keep);
    }

    /// Sends a request made for a path under the version, and reads its
    /// answer whole. An answer that is no success is the engine's error.
    pub(crate) async fn send(
        &self,
        path: &str,
        make: impl FnOnce(String) -> Call,
    ) -> Result<Response, Error> {
        let call = make(self.path(path).await?);
        let response = self.client.send(call).await?;
        if response.head.status.is_success() || response.head.status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        Err(self.failure(response.head.status, &response.body))
    }

    /// `POST` to this path, whose answer says nothing but that it was done.
    pub(crate) async fn post(&self, path: &str) -> Result<(), Error> {
        self.send(path, |path| Call::new(Method::POST, path))
            .await?;
        Ok(())
    }

    /// `GET` of this path, read as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        max_body: usize,
    ) -> Result<T, Error> {
        let response = self
            .send(path, |path| Call::get(path).max_body(max_body))
            .await?;
        parse(&response.body)
    }

    /// `GET` of this path, read as a list, element by element: it may take as
    /// long as the engine goes on sending. `key` names the list where it is not
    /// the whole answer.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &'static str,
        key: Option<&'static str>,
    ) -> Result<Listing<'_, T>, Error> {
        let (_, body) = self.open(path).await?;
        Ok(Listing {
            api: self,
            path,
            body: Some(body),
            elements: Elements::new(key),
        })
    }

    /// `GET` of this path, whose answer goes on and on.
    pub(crate) async fn open(&self, path: &str) -> Result<(Head, Body), Error> {
        let call = Call::get(self.path(path).await?);
        let (head, mut body) = self.client.open(call).await?;
        if head.status.is_success() {
            return Ok((head, body));
        }
        let mut text = Vec::new();
        while text.len() < MAX_FAILURE
            && body
                .read_batch(MAX_FAILURE, |bytes| text.extend_from_slice(&bytes))
                .await?
        {}
        Err(self.failure(head.status, &text))
    }

    async fn path(&self, path: &str) -> Result<String, Error> {
        if self.version.get().is_none() {
            self.negotiate().await?;
        }
        let version = self.version.get().unwrap_or(OLDEST);
        Ok(format!("/v{version}{path}"))
    }

    /// Asks the engine whether it is there, and which API it speaks.
    pub(crate) async fn ping(&self, limit: Duration) -> Result<Ping, Error> {
        let response = self.client.send(Call::get("/_ping").timeout(limit)).await?;
        let Head { status, headers } = &response.head;
        if !status.is_success() {
            return Err(self.failure(*status, &response.body));
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(text) = header("api-version") else {
            return Err(Error::unsupported(
                "what answers on the engine's socket is no Docker engine: its ping names no API version",
            ));
        };
        let version = text.parse().map_err(|()| {
            Error::unsupported(format!(
                "the engine's API version {text:?} is not understood"
            ))
        })?;
        if version < OLDEST {
            return Err(Error::unsupported(format!(
                "the engine speaks API {version} and this backend needs {OLDEST} (Docker 20.10) or newer; update the engine"
            )));
        }
        Ok(Ping {
            version,
            now: header("date").and_then(time::parse_http_date),
        })
    }

    /// The oldest version that a newer engine still speaks.
    async fn oldest_of_engine(&self) -> Result<Option<Version>, Error> {
        let response = self.client.send(Call::get("/version")).await?;
        if !response.head.status.is_success() {
            return Err(self.failure(response.head.status, &response.body));
        }
        let about: model::Version = parse(&response.body)?;
        Ok(about.min_api_version.parse().ok())
    }

    /// The contract's error for an answer that is no success.
    fn failure(&self, status: StatusCode, body: &[u8]) -> Error {
        let message = words(status, body);
        let code = match status {
            StatusCode::BAD_REQUEST if message.contains("client version") => {
                // Another engine than the one that the version was agreed with.
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

/// A list, as its elements come.
pub(crate) struct Listing<'a, T> {
    api: &'a Api,
    path: &'static str,
    /// Gone once it has ended.
    body: Option<Body>,
    elements: Elements<T>,
}

impl<'a, T: DeserializeOwned + 'a> Listing<'a, T> {
    /// The next element.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(element) = self.elements.next()? {
                return Ok(Some(element));
            }
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let elements = &mut self.elements;
            let reading = body.read_batch(LISTING_BATCH, |bytes| elements.push(&bytes));
            let what = format!("more of {}", self.path);
            let more = self.api.host.timeout(LISTING_PAUSE, &what, reading).await?;
            if !more {
                self.elements.end();
                if let Some(body) = self.body.take() {
                    self.api.client.reuse(body).await;
                }
            }
        }
    }

    /// All elements. A failure is the last one.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<T, Error>> + 'a {
        stream::try_unfold(self, |mut listing| async {
            let element = listing.next().await?;
            Ok(element.map(|element| (element, listing)))
        })
    }
}

/// Reads an answer as JSON.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::internal(format!("the engine's answer is not understood: {error}")))
}

/// The engine's sentence about a failure.
fn words(status: StatusCode, body: &[u8]) -> String {
    let failure: model::Failure = serde_json::from_slice(body).unwrap_or_default();
    let message = failure.message.trim();
    if !message.is_empty() {
        return message.to_owned();
    }
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(MAX_EXCERPT).collect();
    if text.is_empty() {
        format!("the engine answered {status}")
    } else {
        format!("the engine answered {status}: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("1.9") < version("1.41"));
        assert!(version("2.0") > version("1.52"));
        for text in ["", "1", "1.x", "v1.41", "-1.2"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_engines_own_words_are_kept() {
        let status = StatusCode::CONFLICT;
        assert_eq!(
            words(status, br#"{"message":"conflict: in use\n"}"#),
            "conflict: in use"
        );
        assert_eq!(
            words(status, b"plain"),
            "the engine answered 409 Conflict: plain"
        );
        assert_eq!(words(status, b""), "the engine answered 409 Conflict");
        assert_eq!(
            words(status, br#"{"message":5}"#),
            "the engine answered 409 Conflict: {\"message\":5}"
        );
    }
}
