//! Pulls and pushes of images.
//!
//! The engine does the transfer and reports its progress as JSON documents, one
//! for each change of a layer. An error of the registry is the last one.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rdd_sdk::http::{HeaderName, HeaderValue, HttpRequest, Method};
use rdd_sdk::types::{
    Credentials, Error, PasswordCredentials, PullSpec, PushSpec, TransferPhase, TransferProgress,
};
use rdd_sdk::{TransferResponder, TransferSink};
use serde::Deserialize;
use serde_json::json;

use crate::backend::MobyBackend;
use crate::image_reference::{DOCKER_HUB, ImageReference};
use crate::registry_context::RegistryContext;
use crate::url;

/// The header with the credentials for the registry.
const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");
/// The name by which engines know Docker Hub in credentials.
const DOCKER_HUB_ADDRESS: &str = "https://index.docker.io/v1/";
/// The minimum time between two reports on a layer in the same phase.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum size of one document. A usual one has 200 bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// The maximum number of layers that are reported, from the contract.
const MAX_LAYERS: usize = 1_000;
const BATCH_BYTES: usize = 16 * 1024;

/// A document of the engine.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProgressDocument {
    #[serde(default)]
    status: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    progress_detail: ProgressDetail,
    error_detail: Option<ErrorDetail>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
struct ProgressDetail {
    #[serde(default)]
    current: i64,
    #[serde(default)]
    total: i64,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    message: String,
}

/// Pulls an image.
pub(crate) async fn pull(
    moby: &MobyBackend,
    spec: &PullSpec,
    responder: TransferResponder,
) -> Result<(), Error> {
    let image = ImageReference::parse(url::image_tag(&spec.image)?);
    let mut query = vec![
        ("fromImage", image.repository.to_owned()),
        ("tag", image.tag.to_owned()),
    ];
    if let Some(platform) = &spec.platform {
        query.push(("platform", platform.clone()));
    }
    let path = url::with_query("/images/create", query);
    transfer(moby, &image, &path, responder).await
}

/// Pushes an image.
pub(crate) async fn push(
    moby: &MobyBackend,
    spec: &PushSpec,
    responder: TransferResponder,
) -> Result<(), Error> {
    let image = ImageReference::parse(url::image_tag(&spec.image)?);
    let path = url::with_query(
        &format!("/images/{}/push", image.repository),
        [("tag", image.tag.to_owned())],
    );
    transfer(moby, &image, &path, responder).await
}

async fn transfer(
    moby: &MobyBackend,
    image: &ImageReference<'_>,
    path: &str,
    responder: TransferResponder,
) -> Result<(), Error> {
    let registry = image.registry();
    let credentials = moby.host.credentials(registry).await?;
    let context = RegistryContext {
        registry,
        has_credentials: credentials.is_some(),
    };
    let header = auth_header(registry, credentials)?;
    let build = |path| HttpRequest::new(Method::POST, path).header(REGISTRY_AUTH, header);
    let (_, mut body) = moby
        .client
        .stream_request(path, build)
        .await
        .map_err(|error| context.classify(error))?;
    let mut sink = responder.accept();
    let mut reporter = ProgressReporter::default();
    let mut pending = Vec::new();
    loop {
        let mut documents = Vec::new();
        let more = body
            .read_batch(BATCH_BYTES, |bytes| documents.extend_from_slice(&bytes))
            .await?;
        pending.extend_from_slice(&documents);
        let now = moby.host.monotonic_now();
        let complete = pending
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines: Vec<u8> = pending.drain(..complete).collect();
        let result = reporter.add(&lines, now);
        send(&mut sink, &mut reporter).await?;
        result.map_err(|error| context.classify(error))?;
        if pending.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::internal(format!(
                "the engine sent a progress document of more than {MAX_DOCUMENT_BYTES} bytes"
            )));
        }
        if !more {
            let result = reporter.add(&pending, now);
            reporter.flush();
            send(&mut sink, &mut reporter).await?;
            return result.map_err(|error| context.classify(error));
        }
    }
}

async fn send(sink: &mut TransferSink, reporter: &mut ProgressReporter) -> Result<(), Error> {
    sink.send(std::mem::take(&mut reporter.due)).await
}

/// Reduces the engine's documents to what the contract allows.
#[derive(Default)]
struct ProgressReporter {
    layers: HashMap<String, LayerState>,
    /// The values to report now.
    due: Vec<TransferProgress>,
}

struct LayerState {
    reported: TransferPhase,
    reported_at: Duration,
    /// The latest value, unless it was reported.
    latest: Option<TransferProgress>,
}

impl ProgressReporter {
    /// Adds documents, one on each line.
    ///
    /// # Errors
    ///
    /// Fails with the error of the transfer, if a document reports one.
    fn add(&mut self, documents: &[u8], now: Duration) -> Result<(), Error> {
        for line in documents.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            // A document that this version cannot read is no reason to fail.
            let Ok(document) = serde_json::from_slice::<ProgressDocument>(line) else {
                continue;
            };
            if let Some(error) = document.failure() {
                return Err(Error::internal(error));
            }
            if let Some(progress) = document.progress() {
                self.add_progress(progress, now);
            }
        }
        Ok(())
    }

    fn add_progress(&mut self, progress: TransferProgress, now: Duration) {
        let has_room = self.layers.len() < MAX_LAYERS;
        match self.layers.get_mut(&progress.layer) {
            Some(state) => {
                let is_due = state.reported != progress.phase
                    || now.saturating_sub(state.reported_at) >= REPORT_INTERVAL;
                if is_due {
                    state.reported = progress.phase;
                    state.reported_at = now;
                    state.latest = None;
                    self.due.push(progress);
                } else {
                    state.latest = Some(progress);
                }
            }
            None if has_room => {
                let state = LayerState {
                    reported: progress.phase,
                    reported_at: now,
                    latest: None,
                };
                self.layers.insert(progress.layer.clone(), state);
                self.due.push(progress);
            }
            None => {}
        }
    }

    /// Reports the latest value of each layer.
    fn flush(&mut self) {
        let latest = self.layers.values_mut().filter_map(|it| it.latest.take());
        self.due.extend(latest);
    }
}

impl ProgressDocument {
    fn failure(&self) -> Option<String> {
        match (&self.error_detail, &self.error) {
            (Some(detail), _) if !detail.message.is_empty() => Some(detail.message.clone()),
            (_, Some(error)) => Some(error.clone()),
            (Some(_), None) => Some("the engine reported an error without a message".to_owned()),
            (None, None) => None,
        }
    }

    fn progress(self) -> Option<TransferProgress> {
        let phase = match self.status.as_str() {
            "Pulling fs layer" | "Waiting" | "Preparing" => TransferPhase::Waiting,
            "Downloading" => TransferPhase::Downloading,
            "Verifying Checksum" => TransferPhase::Verifying,
            "Download complete" => TransferPhase::Downloaded,
            "Extracting" => TransferPhase::Extracting,
            "Pushing" => TransferPhase::Uploading,
            "Already exists" | "Layer already exists" => TransferPhase::Exists,
            "Pull complete" | "Pushed" => TransferPhase::Complete,
            status if status.starts_with("Mounted from ") => TransferPhase::Exists,
            status if status.starts_with("Retrying in ") => TransferPhase::Waiting,
            // Its ID is the tag.
            status if status.starts_with("Pulling from ") => return None,
            _ => TransferPhase::Unknown,
        };
        if self.id.is_empty() {
            return None;
        }
        let ProgressDetail { current, total } = self.progress_detail;
        let bytes_done = u64::try_from(current).unwrap_or(0);
        // For a push, the engine takes the size of the layer's files for the total, but
        // counts the bytes of its archive, which has headers and padding as well.
        let bytes_total = u64::try_from(total)
            .ok()
            .filter(|total| *total > 0 && *total >= bytes_done);
        Some(TransferProgress {
            layer: self.id,
            phase,
            bytes_done,
            bytes_total,
        })
    }
}

/// Returns the header with the credentials. Engines require it for a push even
/// without credentials.
fn auth_header(registry: &str, credentials: Option<Credentials>) -> Result<HeaderValue, Error> {
    let address = match registry {
        DOCKER_HUB => DOCKER_HUB_ADDRESS,
        registry => registry,
    };
    let document = match credentials {
        None => json!({}),
        Some(Credentials::Password(PasswordCredentials { username, password })) => {
            json!({"username": username, "password": password, "serveraddress": address})
        }
        Some(Credentials::IdentityToken(token)) => {
            json!({"identitytoken": token, "serveraddress": address})
        }
        Some(Credentials::RegistryToken(token)) => {
            json!({"registrytoken": token, "serveraddress": address})
        }
    };
    let mut value = HeaderValue::try_from(URL_SAFE.encode(document.to_string()))
        .map_err(|_| Error::internal("the credentials cannot be encoded as a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(lines: &[&str]) -> Vec<u8> {
        lines.join("\r\n").into_bytes()
    }

    #[test]
    fn a_total_that_is_exceeded_is_unknown() {
        let mut reporter = ProgressReporter::default();
        for (current, layer) in [(3_000_000, "a"), (3_010_560, "b")] {
            let line = format!(
                r#"{{"status":"Pushing","id":"{layer}","progressDetail":{{"current":{current},"total":3000000}}}}"#
            );
            reporter.add(line.as_bytes(), Duration::ZERO).unwrap();
        }
        let totals: Vec<_> = reporter.due.iter().map(|it| it.bytes_total).collect();
        assert_eq!(totals, [Some(3_000_000), None]);
    }

    #[test]
    fn the_progress_of_a_layer_is_thinned_but_not_its_phases() {
        let mut reporter = ProgressReporter::default();
        let downloading = |current: u32| {
            format!(
                r#"{{"status":"Downloading","id":"a","progressDetail":{{"current":{current},"total":99}}}}"#
            )
        };
        let lines = documents(&[
            r#"{"status":"Pulling from library/busybox","id":"latest"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"a"}"#,
            &downloading(1),
            &downloading(2),
            &downloading(3),
            r#"{"status":"Pull complete","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Digest: sha256:00"}"#,
            "not json",
        ]);
        reporter.add(&lines, Duration::ZERO).unwrap();
        let phases: Vec<_> = reporter.due.iter().map(|it| it.phase).collect();
        assert_eq!(
            phases,
            [
                TransferPhase::Waiting,
                TransferPhase::Downloading,
                TransferPhase::Complete
            ]
        );
        assert_eq!(reporter.due[1].bytes_total, Some(99));
        reporter.due.clear();
        reporter
            .add(downloading(4).as_bytes(), Duration::ZERO)
            .unwrap();
        reporter.due.clear();
        reporter
            .add(downloading(5).as_bytes(), REPORT_INTERVAL)
            .unwrap();
        assert_eq!(reporter.due[0].bytes_done, 5);
        reporter.due.clear();
        reporter
            .add(downloading(6).as_bytes(), REPORT_INTERVAL)
            .unwrap();
        assert!(reporter.due.is_empty());
        reporter.flush();
        assert_eq!(reporter.due[0].bytes_done, 6);
    }

    #[test]
    fn an_error_of_the_registry_ends_the_transfer_with_its_message() {
        for document in [
            r#"{"errorDetail":{"message":"no space left"},"error":"no space"}"#,
            r#"{"errorDetail":{},"error":"no space left"}"#,
        ] {
            let error = ProgressReporter::default()
                .add(document.as_bytes(), Duration::ZERO)
                .unwrap_err();
            assert_eq!(error.message, "no space left");
        }
    }

    #[test]
    fn credentials_are_encoded_and_never_printed() {
        let credentials = Credentials::Password(PasswordCredentials {
            username: "alice".to_owned(),
            password: "hunter2".to_owned(),
        });
        let header = auth_header("docker.io", Some(credentials)).unwrap();
        assert!(header.is_sensitive());
        assert_eq!(format!("{header:?}"), "Sensitive");
        let document = URL_SAFE.decode(header.as_bytes()).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["password"], "hunter2");
        assert_eq!(document["serveraddress"], DOCKER_HUB_ADDRESS);
        assert_eq!(auth_header("a.example", None).unwrap().as_bytes(), b"e30=");
    }
}
