//! Pulls and pushes of images, with scripted progress.

use std::sync::Arc;

use futures::{StreamExt, stream};
use rdd_core::{
    EngineError, EngineObject, Image, ObjectKind, ObjectRef, PullSpec, PushSpec, TransferPhase,
    TransferProgress, TransferStream,
};

use super::state::EngineState;
use super::{CallGate, FakeEngine, SharedEngine, not_found};

/// The course of a transfer.
#[derive(Clone, Debug, Default)]
pub struct TransferScript {
    /// The progress, in order.
    pub progress: Vec<TransferProgress>,
    /// What the transfer waits for after its progress.
    pub gate: Option<CallGate>,
    /// The error with which it ends.
    pub error: Option<EngineError>,
}

impl TransferScript {
    /// Returns a pull of two layers, which passes through all phases.
    pub fn pull() -> Self {
        use TransferPhase::{Complete, Downloaded, Downloading, Extracting, Verifying, Waiting};
        let phases = [
            (Waiting, 0, None),
            (Downloading, 512, Some(1_024)),
            (Downloading, 1_024, Some(1_024)),
            (Verifying, 0, None),
            (Downloaded, 0, None),
            (Extracting, 1_024, Some(1_024)),
            (Complete, 0, None),
        ];
        Self::of_layers(&phases)
    }

    /// Returns a push of two layers.
    pub fn push() -> Self {
        use TransferPhase::{Complete, Uploading, Waiting};
        let phases = [
            (Waiting, 0, None),
            (Uploading, 512, Some(1_024)),
            (Complete, 0, None),
        ];
        Self::of_layers(&phases)
    }

    fn existing() -> Self {
        Self::of_layers(&[(TransferPhase::Exists, 0, None)])
    }

    fn of_layers(phases: &[(TransferPhase, u64, Option<u64>)]) -> Self {
        let progress = ["a3ed95caeb02", "7b2a7e9f3f4c"]
            .into_iter()
            .flat_map(|layer| {
                phases
                    .iter()
                    .map(move |&(phase, bytes_done, bytes_total)| TransferProgress {
                        layer: layer.to_owned(),
                        phase,
                        bytes_done,
                        bytes_total,
                    })
            })
            .collect();
        Self {
            progress,
            ..Self::default()
        }
    }
}

/// What completes a transfer.
enum Completion {
    Pull(PullSpec),
    Nothing,
}

pub(super) fn pull(shared: &Arc<SharedEngine>, spec: &PullSpec) -> TransferStream {
    let script = {
        let state = shared.lock();
        match state.script.transfer(&spec.image) {
            Some(script) => script,
            None if state.image(&spec.namespace, &spec.image).is_some() => {
                TransferScript::existing()
            }
            None => TransferScript::pull(),
        }
    };
    run(Arc::clone(shared), script, Completion::Pull(spec.clone()))
}

pub(super) fn push(
    shared: &Arc<SharedEngine>,
    spec: &PushSpec,
) -> Result<TransferStream, EngineError> {
    let script = {
        let state = shared.lock();
        if state.image(&spec.namespace, &spec.image).is_none() {
            return Err(not_found("image", &spec.image));
        }
        state
            .script
            .transfer(&spec.image)
            .unwrap_or_else(TransferScript::push)
    };
    Ok(run(Arc::clone(shared), script, Completion::Nothing))
}

fn run(
    shared: Arc<SharedEngine>,
    script: TransferScript,
    completion: Completion,
) -> TransferStream {
    let TransferScript {
        progress,
        gate,
        error,
    } = script;
    let offline = Arc::clone(&shared);
    let progress = stream::iter(progress.into_iter().map(Ok));
    let end = stream::once(async move {
        if let Some(gate) = gate {
            gate.wait().await;
        }
        if let Some(error) = error {
            return Err(error);
        }
        {
            let mut state = shared.lock();
            if let Some(error) = state.script.offline() {
                return Err(error.clone());
            }
            if let Completion::Pull(spec) = completion {
                state.add_pulled_image(&spec);
            }
        }
        shared.changed.notify_waiters();
        Ok(None)
    });
    let end = end.filter_map(|end| async { end.transpose() });
    let mut failed = false;
    progress
        .chain(end)
        .map(move |item| {
            let error = offline.lock().script.offline().cloned();
            error.map_or(item, Err)
        })
        .take_while(move |item| {
            let ends = std::mem::replace(&mut failed, item.is_err());
            async move { !ends }
        })
        .boxed()
}

impl EngineState {
    /// Returns the image of this namespace with this tag, digest, or ID.
    pub(super) fn image(&self, namespace: &str, reference: &str) -> Option<&Image> {
        let tag = with_tag(reference);
        self.objects.values().find_map(|object| match object {
            EngineObject::Image(image)
                if image.namespace == namespace
                    && (image.id == reference
                        || image.repo_tags.contains(&tag)
                        || image.repo_digests.iter().any(|digest| digest == reference)) =>
            {
                Some(image)
            }
            _ => None,
        })
    }

    /// Adds the image, unless it was pulled before.
    fn add_pulled_image(&mut self, spec: &PullSpec) {
        if self.image(&spec.namespace, &spec.image).is_some() {
            return;
        }
        let (tags, digests) = if spec.image.contains('@') {
            (vec![], vec![spec.image.clone()])
        } else {
            (vec![with_tag(&spec.image)], vec![])
        };
        let platform = spec.platform.as_deref().unwrap_or("linux/amd64");
        let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
        let image = Image {
            id: format!("sha256:{}", self.next_id()),
            namespace: spec.namespace.clone(),
            repo_tags: tags,
            repo_digests: digests,
            created_at: Some(self.now()),
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            size: 2_048,
            labels: std::collections::BTreeMap::new(),
        };
        let reference = ObjectRef::new(ObjectKind::Image, &image.namespace, &image.id);
        debug_assert!(!self.objects.contains_key(&reference));
        self.apply(EngineObject::Image(image));
    }
}

/// Returns the reference with the tag `latest` if it has no tag and no digest.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// The methods that script transfers.
impl FakeEngine {
    /// Sets the course of each transfer of this image, as the caller names it.
    /// Without a script, a transfer passes through all phases and succeeds.
    pub fn script_transfer(&self, image: &str, script: TransferScript) {
        self.script(|state| state.set_transfer(image, script));
    }
}
