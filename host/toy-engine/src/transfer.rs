//! Pulls and pushes. The registries exist in memory only.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rdd_core::{
    EngineError, ErrorCode, PullSpec, PushSpec, RegistryCredentials, TransferPhase,
    TransferProgress,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use crate::connection_input::ConnectionError;
use crate::creation::tagged;
use crate::protocol::{phase_word, put_line};
use crate::state::{SharedEngine, not_found};

/// The layers of each image.
const LAYERS: [&str; 2] = ["a3ed95caeb02", "7b2a7e9f3f4c"];

/// The number of bytes of a layer, and of those between two reports.
const LAYER_BYTES: (u64, u64) = (65_536, 16_384);

/// The time between two reports, of an ordinary image and of a slow one.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3));

/// The platforms for which the registries have images.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// The user name, password, and token that the registries accept.
const SECRET: &str = "toy";

/// The direction of a transfer with what it depends on.
pub(crate) enum TransferPlan {
    Pull { spec: PullSpec, is_present: bool },
    Push { spec: PushSpec },
}

impl TransferPlan {
    /// Checks a pull against the registry.
    pub(crate) fn pull(
        shared: &SharedEngine,
        spec: PullSpec,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Self, EngineError> {
        let state = shared.lock();
        if !state.has_namespace(&spec.namespace) {
            return Err(not_found("namespace", &spec.namespace));
        }
        check_registry(&spec.image, credentials)?;
        if spec.image.contains("missing") {
            return Err(not_found("image in the registry", &spec.image));
        }
        if let Some(platform) = &spec.platform
            && !PLATFORMS.contains(&platform.as_str())
        {
            return Err(not_found("image for the platform", platform));
        }
        let is_present = state.image(&spec.namespace, &tagged(&spec.image)).is_some();
        Ok(Self::Pull { spec, is_present })
    }

    /// Checks a push against the engine's images and the registry.
    pub(crate) fn push(
        shared: &SharedEngine,
        spec: PushSpec,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Self, EngineError> {
        let state = shared.lock();
        state
            .image(&spec.namespace, &tagged(&spec.image))
            .ok_or_else(|| not_found("image", &spec.image))?;
        check_registry(&spec.image, credentials)?;
        Ok(Self::Push { spec })
    }

    /// Carries out the transfer and sends its progress.
    pub(crate) async fn run<W: AsyncWrite + Unpin>(
        self,
        shared: &Arc<SharedEngine>,
        writer: &mut W,
    ) -> Result<(), ConnectionError> {
        let image = match &self {
            Self::Pull { spec, .. } => &spec.image,
            Self::Push { spec } => &spec.image,
        };
        let is_slow = image.split([':', '/']).any(|part| part == "slow");
        let (ordinary, slow) = INTERVALS;
        let interval = if is_slow { slow } else { ordinary };
        for progress in self.progress() {
            let mut line = BytesMut::new();
            let total = progress.bytes_total.map(|total| total.to_string());
            put_line(
                &mut line,
                &[
                    &"progress",
                    &progress.layer,
                    &phase_word(progress.phase),
                    &progress.bytes_done,
                    &total.unwrap_or_default(),
                ],
            );
            writer.write_all(&line).await?;
            sleep(interval).await;
        }
        if let Self::Pull {
            spec,
            is_present: false,
        } = self
        {
            add_image(shared, &spec);
        }
        Ok(())
    }

    fn progress(&self) -> Vec<TransferProgress> {
        use TransferPhase::{
            Complete, Downloaded, Downloading, Exists, Extracting, Uploading, Verifying, Waiting,
        };
        let phases: &[TransferPhase] = match self {
            Self::Pull {
                is_present: true, ..
            } => &[Exists],
            Self::Pull { .. } => &[
                Waiting,
                Downloading,
                Verifying,
                Downloaded,
                Extracting,
                Complete,
            ],
            Self::Push { .. } => &[Waiting, Uploading, Complete],
        };
        let (total, step) = LAYER_BYTES;
        let mut progress = Vec::new();
        for &phase in phases {
            let has_bytes = matches!(phase, Downloading | Extracting | Uploading);
            let mut done = if has_bytes { step } else { 0 };
            loop {
                progress.extend(LAYERS.map(|layer| TransferProgress {
                    layer: layer.to_owned(),
                    phase,
                    bytes_done: done,
                    bytes_total: has_bytes.then_some(total),
                }));
                done += step;
                if !has_bytes || done > total {
                    break;
                }
            }
        }
        progress
    }
}

fn check_registry(
    image: &str,
    credentials: Option<&RegistryCredentials>,
) -> Result<(), EngineError> {
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(crate::state::invalid(format!(
            "{image:?} is no reference to an image"
        )));
    }
    if image.starts_with("down.example") {
        return Err(EngineError::new(
            ErrorCode::Unavailable,
            "the registry down.example does not respond",
        ));
    }
    let is_accepted = match credentials {
        Some(RegistryCredentials::Password { username, password }) => {
            username == SECRET && password == SECRET
        }
        Some(
            RegistryCredentials::IdentityToken(token) | RegistryCredentials::RegistryToken(token),
        ) => token == SECRET,
        None => !image.split('/').any(|part| part == "private"),
    };
    if is_accepted {
        Ok(())
    } else {
        Err(EngineError::new(
            ErrorCode::PermissionDenied,
            format!("the registry denied access to {image}"),
        ))
    }
}

fn add_image(shared: &SharedEngine, spec: &PullSpec) {
    shared.change(|state| {
        let reference = tagged(&spec.image);
        // Another pull may have added it meanwhile.
        if state.image(&spec.namespace, &reference).is_some() {
            return;
        }
        let (tags, digests) = if reference.contains('@') {
            (vec![], vec![reference])
        } else {
            (vec![reference], vec![])
        };
        let id = format!("sha256:{:064x}", state.next_serial());
        let platform = spec.platform.as_deref().unwrap_or("linux/amd64");
        let platform = platform.split_once('/').unwrap_or((platform, ""));
        state.add_image(&spec.namespace, id, &tags, &digests, platform);
    });
}
