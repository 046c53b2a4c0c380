//! Carries out writes of mirrors: one to three requests about one object.

mod error;
mod outcome;

use std::marker::PhantomData;

use kube::Client;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use rdd_api::{
    ACTION_ANNOTATION, ACTION_CLAIM_ANNOTATION, BACKEND_LABEL, FIELD_MANAGER, INSTANCE_LABEL,
    MIRROR_FINALIZER,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use error::WriteError;
pub(crate) use outcome::WriteOutcome;

use crate::desired_state::MirrorStatus;
use crate::entry::{MirrorObject, ResourceVersion};
use crate::install;
use crate::instance::InstanceId;
use crate::key::{MirrorKey, MirrorKind};
use crate::lease::LeaseHandle;
use crate::mirror_resource::{DeleteResponse, MirrorResource, WatchedMirror, WriteResponse};
use crate::plan::WriteRequest;

/// Writes mirrors.
#[derive(Clone)]
pub(crate) struct MirrorWriter {
    pub(crate) client: Client,
    pub(crate) instance: InstanceId,
    /// The Lease that permits writing; `None` if no backend is selected.
    pub(crate) lease: Option<LeaseHandle>,
}

impl MirrorWriter {
    /// Carries out a write.
    pub(crate) async fn perform(&self, key: &MirrorKey, request: WriteRequest) -> WriteOutcome {
        match key.kind {
            MirrorKind::Container => run::<rdd_api::Container>(self, key, request).await,
            MirrorKind::Image => run::<rdd_api::Image>(self, key, request).await,
            MirrorKind::Volume => run::<rdd_api::Volume>(self, key, request).await,
            MirrorKind::Namespace => run::<rdd_api::ContainerNamespace>(self, key, request).await,
        }
    }

    /// Fails if the Lease was lost after the write was planned.
    fn ensure_lease_held(&self) -> Result<(), WriteError> {
        match &self.lease {
            Some(lease) if lease.is_held() => Ok(()),
            _ => Err(WriteError::LeaseNotHeld),
        }
    }
}

async fn run<K: MirrorResource>(
    writer: &MirrorWriter,
    key: &MirrorKey,
    request: WriteRequest,
) -> WriteOutcome {
    let object = ObjectWriter::<K>::new(writer, key);
    let result = match request {
        WriteRequest::Apply {
            backend,
            metadata,
            status,
            expected_version,
        } => {
            let status = status.map(|status| *status);
            object
                .write(&backend, metadata, status, expected_version)
                .await
        }
        WriteRequest::Prune {
            uid,
            version,
            finalizer,
            delete,
        } => object.prune(&uid, version, finalizer, delete).await,
        WriteRequest::ClearAction { uid, value } => {
            object.clear_action(&uid, value.as_deref()).await
        }
    };
    match result {
        Ok(outcome) => outcome,
        // The next step needs the current object.
        Err(error) if error.is_stale() => match object.get().await {
            Ok(object) => WriteOutcome::Refreshed { object, error },
            Err(error) => WriteOutcome::Failed(error),
        },
        Err(error) => WriteOutcome::Failed(error),
    }
}

/// Writes one object of one kind.
struct ObjectWriter<'a, K> {
    writer: &'a MirrorWriter,
    key: &'a MirrorKey,
    requests: Request,
    kind: PhantomData<K>,
}

impl<'a, K: MirrorResource> ObjectWriter<'a, K> {
    fn new(writer: &'a MirrorWriter, key: &'a MirrorKey) -> Self {
        Self {
            writer,
            key,
            requests: Request::new(K::url_path(&(), Some(&key.namespace))),
            kind: PhantomData,
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, WriteError> {
        Ok(self.writer.client.request(request?).await?)
    }

    async fn get(&self) -> Result<Option<MirrorObject>, WriteError> {
        let request = self.requests.get(&self.key.name, &GetParams::default());
        match self.send::<WatchedMirror<K>>(request).await {
            Ok(object) => Ok(object.into_object()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes metadata, then status: the finalizer must be set before anybody
    /// can read the status and delete the object that it describes.
    async fn write(
        &self,
        backend: &str,
        metadata: bool,
        status: Option<MirrorStatus>,
        expected_version: Option<ResourceVersion>,
    ) -> Result<WriteOutcome, WriteError> {
        let mut object = None;
        if metadata {
            let body = self.metadata_body(backend);
            let response = match self.apply(&body).await {
                // An apply creates the object, so only its namespace can be
                // missing.
                Err(error) if error.is_not_found() => {
                    install::ensure_namespace(&self.writer.client, &self.key.namespace).await?;
                    self.apply(&body).await?
                }
                other => other?,
            };
            object = Some(response.into_object::<K>(self.key));
        }
        if let Some(status) = status {
            let response = self.apply_status(&status, expected_version).await?;
            object = Some(response.with_status(self.key, Some(status)));
        }
        object
            .map(WriteOutcome::Written)
            .ok_or(WriteError::NothingToWrite)
    }

    fn metadata_body(&self, backend: &str) -> Value {
        let mut metadata = json!({
            "name": &*self.key.name,
            "namespace": &*self.key.namespace,
            "labels": {
                BACKEND_LABEL: backend,
                INSTANCE_LABEL: self.writer.instance.as_str(),
            },
        });
        if self.key.kind != MirrorKind::Namespace {
            metadata["finalizers"] = json!([MIRROR_FINALIZER]);
        }
        json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": metadata,
        })
    }

    async fn apply(&self, body: &Value) -> Result<WriteResponse, WriteError> {
        self.writer.ensure_lease_held()?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.send(
            self.requests
                .patch(&self.key.name, &params, &Patch::Apply(body)),
        )
        .await
    }

    async fn apply_status(
        &self,
        status: &MirrorStatus,
        expected_version: Option<ResourceVersion>,
    ) -> Result<WriteResponse, WriteError> {
        self.writer.ensure_lease_held()?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let status = serde_json::to_value(status)?;
        let mut body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": &*self.key.name, "namespace": &*self.key.namespace},
            "status": status,
        });
        if let Some(version) = expected_version {
            body["metadata"]["resourceVersion"] = json!(version.0);
        }
        let patch = Patch::Apply(&body);
        let response: WriteResponse = self
            .send(
                self.requests
                    .patch_subresource("status", &self.key.name, &params, &patch),
            )
            .await?;
        if response.has_status(&status) {
            return Ok(response);
        }
        // An apply keeps fields that others have added, but the whole status is
        // ours.
        let patch = json_patch(json!([
            {"op": "test", "path": "/metadata/uid", "value": response.uid()},
            {"op": "test", "path": "/metadata/resourceVersion", "value": response.version().0},
            {"op": "replace", "path": "/status", "value": status},
        ]))?;
        self.send(self.requests.patch_subresource(
            "status",
            &self.key.name,
            &patch_params(),
            &patch,
        ))
        .await
    }

    /// Removes the finalizer, then the object. For the reasons, see `plan`.
    async fn prune(
        &self,
        uid: &str,
        mut version: ResourceVersion,
        finalizer: Option<usize>,
        delete: bool,
    ) -> Result<WriteOutcome, WriteError> {
        if let Some(index) = finalizer {
            let path = format!("/metadata/finalizers/{index}");
            let response = self
                .patch(json!([
                    {"op": "test", "path": "/metadata/uid", "value": uid},
                    {"op": "test", "path": "/metadata/resourceVersion", "value": version.0},
                    {"op": "test", "path": path, "value": MIRROR_FINALIZER},
                    {"op": "remove", "path": path},
                ]))
                .await?;
            if response.is_held_by_finalizer() {
                return self.read_held(uid, &response).await;
            }
            if response.is_terminating() {
                return Ok(pruned(uid, response.version()));
            }
            version = response.version();
        }
        if delete {
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(uid.to_owned()),
                    resource_version: Some(version.0.to_string()),
                }),
                ..DeleteParams::default()
            };
            let request = self.requests.delete(&self.key.name, &params);
            if let DeleteResponse::Object(response) = self.send(request).await?
                && response.is_held_by_finalizer()
            {
                return self.read_held(uid, &response).await;
            }
        }
        Ok(pruned(uid, version))
    }

    /// Reads an object that no longer has our finalizer, but another one.
    async fn read_held(
        &self,
        uid: &str,
        response: &WriteResponse,
    ) -> Result<WriteOutcome, WriteError> {
        Ok(match self.get().await? {
            Some(object) => WriteOutcome::Written(object),
            None => pruned(uid, response.version()),
        })
    }

    async fn clear_action(
        &self,
        uid: &str,
        value: Option<&str>,
    ) -> Result<WriteOutcome, WriteError> {
        self.writer.ensure_lease_held()?;
        let claim = annotation_path(ACTION_CLAIM_ANNOTATION);
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid})];
        match value {
            Some(value) => {
                let action = annotation_path(ACTION_ANNOTATION);
                operations.extend([
                    json!({"op": "test", "path": action, "value": value}),
                    json!({"op": "remove", "path": action}),
                    // The claim may be missing, and removing a missing value
                    // fails.
                    json!({"op": "add", "path": claim, "value": ""}),
                ]);
            }
            None => {
                let instance = self.writer.instance.as_str();
                operations.push(json!({"op": "test", "path": claim, "value": instance}));
            }
        }
        operations.push(json!({"op": "remove", "path": claim}));
        let response = self.patch(operations.into()).await?;
        Ok(WriteOutcome::Written(response.into_object::<K>(self.key)))
    }

    async fn patch(&self, operations: Value) -> Result<WriteResponse, WriteError> {
        let patch = json_patch(operations)?;
        self.send(self.requests.patch(&self.key.name, &patch_params(), &patch))
            .await
    }
}

/// Returns the JSON pointer of an annotation, in which `/` is written `~1`.
fn annotation_path(name: &str) -> String {
    format!("/metadata/annotations/{}", name.replace('/', "~1"))
}

fn json_patch(operations: Value) -> Result<Patch<()>, WriteError> {
    Ok(Patch::Json(serde_json::from_value(operations)?))
}

fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn pruned(uid: &str, version: ResourceVersion) -> WriteOutcome {
    WriteOutcome::Pruned {
        uid: uid.into(),
        version,
    }
}

#[cfg(test)]
mod tests;
