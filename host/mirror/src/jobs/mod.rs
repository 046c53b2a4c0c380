//! Carrying out a job: one to three requests about one object.

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

use crate::api::{Answer, Deleted, Mirrored, Watched};
use crate::desired::Status;
use crate::entry::{Object, Version};
use crate::install;
use crate::instance::InstanceId;
use crate::key::{Key, Kind};
use crate::lease::LeaseHandle;
use crate::plan::Job;
use crate::state::Outcome;

/// Why a request failed, as far as the next step depends on it.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// The object, or the namespace for it, is not there.
    #[error("{0}")]
    NotFound(String),
    /// The object is not what we took it for, or a patch's test did not hold.
    #[error("{0}")]
    Mistaken(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let message = format!("{} (HTTP status {})", status.message, status.code);
                match status.code {
                    404 => Self::NotFound(message),
                    409 | 422 => Self::Mistaken(message),
                    _ => Self::Other(message),
                }
            }
            other => Self::Other(other.to_string()),
        }
    }
}

/// What writes mirrors.
#[derive(Clone)]
pub(crate) struct MirrorWriter {
    pub(crate) client: Client,
    pub(crate) instance: InstanceId,
    /// Whether it may still write; `None` while there is nothing to write.
    pub(crate) lease: Option<LeaseHandle>,
}

impl MirrorWriter {
    /// Carries `job` out.
    pub(crate) async fn perform(&self, key: &Key, job: Job) -> Outcome {
        match key.kind {
            Kind::Container => run::<rdd_api::Container>(self, key, job).await,
            Kind::Image => run::<rdd_api::Image>(self, key, job).await,
            Kind::Volume => run::<rdd_api::Volume>(self, key, job).await,
            Kind::Namespace => run::<rdd_api::ContainerNamespace>(self, key, job).await,
        }
    }

    /// Fails when the Lease was lost since the job was planned.
    fn may_write(&self) -> Result<(), RequestError> {
        match &self.lease {
            Some(lease) if lease.is_held() => Ok(()),
            _ => Err(RequestError::Other("the Lease is not held".to_owned())),
        }
    }
}

async fn run<K: Mirrored>(writer: &MirrorWriter, key: &Key, job: Job) -> Outcome {
    let target = Target::<K>::new(writer, key);
    let result = match job {
        Job::Write {
            backend,
            metadata,
            status,
            over,
        } => {
            let status = status.map(|status| *status);
            target.write(&backend, metadata, status, over).await
        }
        Job::Discard {
            uid,
            version,
            finalizer,
            delete,
        } => target.discard(&uid, version, finalizer, delete).await,
        Job::DropAction { uid, value } => target.drop_action(&uid, value.as_deref()).await,
    };
    match result {
        Ok(outcome) => outcome,
        Err(RequestError::Other(message)) => Outcome::Failed(message),
        // What we knew may be old: the next step needs the truth.
        Err(RequestError::NotFound(message) | RequestError::Mistaken(message)) => {
            match target.get().await {
                Ok(object) => Outcome::Refreshed { object, message },
                Err(error) => Outcome::Failed(error.to_string()),
            }
        }
    }
}

/// One object of one kind.
struct Target<'a, K> {
    writer: &'a MirrorWriter,
    key: &'a Key,
    requests: Request,
    kind: PhantomData<K>,
}

impl<'a, K: Mirrored> Target<'a, K> {
    fn new(writer: &'a MirrorWriter, key: &'a Key) -> Self {
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
    ) -> Result<T, RequestError> {
        let request = request.map_err(|error| RequestError::Other(error.to_string()))?;
        Ok(self.writer.client.request(request).await?)
    }

    async fn get(&self) -> Result<Option<Object>, RequestError> {
        let request = self.requests.get(&self.key.name, &GetParams::default());
        match self.send::<Watched<K>>(request).await {
            Ok(object) => Ok(object.into_object()),
            Err(RequestError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Metadata first: the finalizer has to be on before anybody can read a
    /// status and delete what it shows.
    async fn write(
        &self,
        backend: &str,
        metadata: bool,
        status: Option<Status>,
        over: Option<Version>,
    ) -> Result<Outcome, RequestError> {
        let mut object = None;
        if metadata {
            let body = self.metadata(backend);
            let answer = match self.apply(&body).await {
                // Nothing but the namespace can be missing for an apply.
                Err(RequestError::NotFound(_)) => {
                    install::ensure_namespace(&self.writer.client, &self.key.namespace).await?;
                    self.apply(&body).await?
                }
                other => other?,
            };
            object = Some(answer.into_object::<K>(self.key));
        }
        if let Some(status) = status {
            let answer = self.apply_status(&status, over).await?;
            object = Some(answer.with_status(self.key, Some(status)));
        }
        object
            .map(Outcome::Written)
            .ok_or_else(|| RequestError::Other("nothing to write".to_owned()))
    }

    fn metadata(&self, backend: &str) -> Value {
        let mut metadata = json!({
            "name": &*self.key.name,
            "namespace": &*self.key.namespace,
            "labels": {
                BACKEND_LABEL: backend,
                INSTANCE_LABEL: self.writer.instance.as_str(),
            },
        });
        if self.key.kind != Kind::Namespace {
            metadata["finalizers"] = json!([MIRROR_FINALIZER]);
        }
        json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": metadata,
        })
    }

    async fn apply(&self, body: &Value) -> Result<Answer, RequestError> {
        self.writer.may_write()?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.send(
            self.requests
                .patch(&self.key.name, &params, &Patch::Apply(body)),
        )
        .await
    }

    async fn apply_status(
        &self,
        status: &Status,
        over: Option<Version>,
    ) -> Result<Answer, RequestError> {
        self.writer.may_write()?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let status =
            serde_json::to_value(status).map_err(|error| RequestError::Other(error.to_string()))?;
        let mut body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": &*self.key.name, "namespace": &*self.key.namespace},
            "status": status,
        });
        if let Some(version) = over {
            body["metadata"]["resourceVersion"] = json!(version.0);
        }
        let patch = Patch::Apply(&body);
        let answer: Answer = self
            .send(
                self.requests
                    .patch_subresource("status", &self.key.name, &params, &patch),
            )
            .await?;
        if answer.has_status(&status) {
            return Ok(answer);
        }
        // An apply leaves alone what somebody else has added; but all of the
        // status is ours to say.
        let patch = json_patch(json!([
            {"op": "test", "path": "/metadata/uid", "value": answer.uid()},
            {"op": "test", "path": "/metadata/resourceVersion", "value": answer.version().0},
            {"op": "replace", "path": "/status", "value": status},
        ]))?;
        self.send(
            self.requests
                .patch_subresource("status", &self.key.name, &as_manager(), &patch),
        )
        .await
    }

    /// The finalizer goes first: see `plan` for why.
    async fn discard(
        &self,
        uid: &str,
        mut version: Version,
        finalizer: Option<usize>,
        delete: bool,
    ) -> Result<Outcome, RequestError> {
        if let Some(index) = finalizer {
            let path = format!("/metadata/finalizers/{index}");
            let answer = self
                .patch(json!([
                    {"op": "test", "path": "/metadata/uid", "value": uid},
                    {"op": "test", "path": "/metadata/resourceVersion", "value": version.0},
                    {"op": "test", "path": path, "value": MIRROR_FINALIZER},
                    {"op": "remove", "path": path},
                ]))
                .await?;
            if answer.is_held() {
                return self.held(uid, &answer).await;
            }
            if answer.is_terminating() {
                return Ok(discarded(uid, answer.version()));
            }
            version = answer.version();
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
            if let Deleted::Object(answer) = self.send(request).await?
                && answer.is_held()
            {
                return self.held(uid, &answer).await;
            }
        }
        Ok(discarded(uid, version))
    }

    /// Somebody else's finalizer holds it; ours is off.
    async fn held(&self, uid: &str, answer: &Answer) -> Result<Outcome, RequestError> {
        Ok(match self.get().await? {
            Some(object) => Outcome::Written(object),
            None => discarded(uid, answer.version()),
        })
    }

    async fn drop_action(&self, uid: &str, value: Option<&str>) -> Result<Outcome, RequestError> {
        self.writer.may_write()?;
        let claim = annotation_path(ACTION_CLAIM_ANNOTATION);
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid})];
        match value {
            Some(value) => {
                let action = annotation_path(ACTION_ANNOTATION);
                operations.extend([
                    json!({"op": "test", "path": action, "value": value}),
                    json!({"op": "remove", "path": action}),
                    // It need not be there, and what is not cannot be removed.
                    json!({"op": "add", "path": claim, "value": ""}),
                ]);
            }
            None => {
                let ours = self.writer.instance.as_str();
                operations.push(json!({"op": "test", "path": claim, "value": ours}));
            }
        }
        operations.push(json!({"op": "remove", "path": claim}));
        let answer = self.patch(operations.into()).await?;
        Ok(Outcome::Written(answer.into_object::<K>(self.key)))
    }

    async fn patch(&self, operations: Value) -> Result<Answer, RequestError> {
        let patch = json_patch(operations)?;
        self.send(self.requests.patch(&self.key.name, &as_manager(), &patch))
            .await
    }
}

/// A JSON pointer writes `/` as `~1`.
fn annotation_path(name: &str) -> String {
    format!("/metadata/annotations/{}", name.replace('/', "~1"))
}

fn json_patch(operations: Value) -> Result<Patch<()>, RequestError> {
    serde_json::from_value(operations)
        .map(Patch::Json)
        .map_err(|error| RequestError::Other(error.to_string()))
}

fn as_manager() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn discarded(uid: &str, version: Version) -> Outcome {
    Outcome::Discarded {
        uid: uid.into(),
        version,
    }
}

#[cfg(test)]
mod tests;
