//! The mirrored kinds as API resources: tolerant parsing of objects and
//! responses. kube's `DeserializeGuard` rejects a whole object; here only the
//! status may be invalid.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use rdd_api::{
    ACTION_ANNOTATION, ACTION_CLAIM_ANNOTATION, BACKEND_LABEL, INSTANCE_LABEL, MIRROR_FINALIZER,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::desired_state::MirrorStatus;
use crate::entry::{MirrorObject, ResourceVersion};
use crate::key::{MirrorKey, MirrorKind};

/// A mirrored kind as an API resource.
pub(crate) trait MirrorResource:
    Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static
{
    const KIND: MirrorKind;
    type Status: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static;
    fn status(status: Self::Status) -> Option<MirrorStatus>;
}

macro_rules! mirrored {
    ($kind:ident, $status:ty, $into:expr) => {
        impl MirrorResource for rdd_api::$kind {
            const KIND: MirrorKind = mirrored!(@kind $kind);
            type Status = $status;
            fn status(status: Self::Status) -> Option<MirrorStatus> {
                $into(status)
            }
        }
    };
    (@kind ContainerNamespace) => {
        MirrorKind::Namespace
    };
    (@kind $kind:ident) => {
        MirrorKind::$kind
    };
}

mirrored!(Container, rdd_api::ContainerStatus, |status| Some(
    MirrorStatus::Container(status)
));
mirrored!(Image, rdd_api::ImageStatus, |status| Some(
    MirrorStatus::Image(status)
));
mirrored!(Volume, rdd_api::VolumeStatus, |status| Some(
    MirrorStatus::Volume(status)
));
mirrored!(ContainerNamespace, IgnoredAny, |_| None);

/// An object as the watch parses it. A status that does not parse is read as
/// missing and then rewritten: one invalid object must not break the watch of
/// all others.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub(crate) struct WatchedMirror<K: MirrorResource> {
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "parse_or_none::<K, _>")]
    status: Option<K::Status>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ParseOrIgnore<S> {
    Parsed(S),
    Ignored(IgnoredAny),
}

fn parse_or_none<'de, K: MirrorResource, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<K::Status>, D::Error> {
    Ok(
        match Option::<ParseOrIgnore<K::Status>>::deserialize(deserializer)? {
            Some(ParseOrIgnore::Parsed(status)) => Some(status),
            Some(ParseOrIgnore::Ignored(IgnoredAny)) | None => None,
        },
    )
}

impl<K: MirrorResource> Resource for WatchedMirror<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind(dt: &()) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &()) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &()) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &()) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<K: MirrorResource> WatchedMirror<K> {
    /// Returns `None` for an object without a name or UID, which no server
    /// sends.
    pub(crate) fn into_object(self) -> Option<MirrorObject> {
        let meta = self.metadata;
        let mut labels = meta.labels.unwrap_or_default();
        let mut annotations = meta.annotations.unwrap_or_default();
        Some(MirrorObject {
            key: MirrorKey {
                kind: K::KIND,
                namespace: Arc::from(meta.namespace?),
                name: Arc::from(meta.name?),
            },
            uid: Arc::from(meta.uid?),
            version: ResourceVersion(meta.resource_version?.into()),
            terminating: meta.deletion_timestamp.is_some(),
            finalizer: finalizer_index(meta.finalizers.as_deref().unwrap_or_default()),
            backend: labels.remove(BACKEND_LABEL).map(Into::into),
            instance: labels.remove(INSTANCE_LABEL).map(Into::into),
            action: annotations.remove(ACTION_ANNOTATION).map(Into::into),
            claim: annotations.remove(ACTION_CLAIM_ANNOTATION).map(Into::into),
            status: self.status.and_then(K::status),
        })
    }
}

/// The parts of a response to a write that are used.
#[derive(Debug, Deserialize)]
pub(crate) struct WriteResponse {
    metadata: ResponseMeta,
    #[serde(default)]
    status: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseMeta {
    uid: String,
    resource_version: String,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    finalizers: Vec<String>,
    #[serde(default)]
    labels: OwnKeys,
    #[serde(default)]
    annotations: OwnKeys,
}

/// The labels and annotations of this project.
#[derive(Debug, Default, Deserialize)]
struct OwnKeys {
    #[serde(rename = "engine.rancherdesktop.io/backend")]
    backend: Option<String>,
    #[serde(rename = "engine.rancherdesktop.io/instance")]
    instance: Option<String>,
    #[serde(rename = "containers.rancherdesktop.io/action")]
    action: Option<String>,
    #[serde(rename = "engine.rancherdesktop.io/action-claim")]
    claim: Option<String>,
}

/// The response to a delete: the object that was deleted or is held by
/// finalizers, or a `Status` that only reports success.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum DeleteResponse {
    Object(Box<WriteResponse>),
    Status(IgnoredAny),
}

impl WriteResponse {
    pub(crate) fn version(&self) -> ResourceVersion {
        ResourceVersion(self.metadata.resource_version.as_str().into())
    }

    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Returns whether the status is exactly this one.
    pub(crate) fn has_status(&self, status: &Value) -> bool {
        self.status == *status
    }

    /// Returns whether the object is terminating and held by finalizers.
    pub(crate) fn is_held_by_finalizer(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() && !self.metadata.finalizers.is_empty()
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Returns the object in the response.
    pub(crate) fn into_object<K: MirrorResource>(mut self, key: &MirrorKey) -> MirrorObject {
        // As in a watch, an invalid status is read as missing.
        let status = serde_json::from_value(self.status.take()).ok();
        self.with_status(key, status.and_then(K::status))
    }

    /// Returns the object in the response with the given status.
    pub(crate) fn with_status(self, key: &MirrorKey, status: Option<MirrorStatus>) -> MirrorObject {
        let meta = self.metadata;
        MirrorObject {
            key: key.clone(),
            uid: Arc::from(meta.uid),
            version: ResourceVersion(meta.resource_version.into()),
            terminating: meta.deletion_timestamp.is_some(),
            finalizer: finalizer_index(&meta.finalizers),
            backend: meta.labels.backend.map(Into::into),
            instance: meta.labels.instance.map(Into::into),
            action: meta.annotations.action.map(Into::into),
            claim: meta.annotations.claim.map(Into::into),
            status,
        }
    }
}

fn finalizer_index(finalizers: &[String]) -> Option<usize> {
    finalizers.iter().position(|name| name == MIRROR_FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> MirrorObject {
        serde_json::from_value::<WatchedMirror<rdd_api::Container>>(value)
            .expect("the object must parse")
            .into_object()
            .expect("the object must be complete")
    }

    #[test]
    fn labels_annotations_finalizer_and_status_are_parsed() {
        let object = read(json!({
            "metadata": {
                "name": "abc", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "finalizers": ["other/one", "engine.rancherdesktop.io/mirror"],
                "labels": {
                    "engine.rancherdesktop.io/backend": "moby",
                    "engine.rancherdesktop.io/instance": "me",
                },
                "annotations": {
                    "containers.rancherdesktop.io/action": "stop",
                    "engine.rancherdesktop.io/action-claim": "me",
                },
            },
            "status": {"name": "web"},
        }));
        assert_eq!(object.finalizer, Some(1));
        assert_eq!(object.backend.as_deref(), Some("moby"));
        assert_eq!(object.instance.as_deref(), Some("me"));
        assert_eq!(object.action.as_deref(), Some("stop"));
        assert_eq!(object.claim.as_deref(), Some("me"));
        assert!(object.terminating);
        assert_eq!(object.version.number(), Some(7));
        assert!(
            matches!(object.status, Some(MirrorStatus::Container(status)) if status.name == "web")
        );
    }

    #[test]
    fn an_invalid_status_is_read_as_missing() {
        let object = read(json!({
            "metadata": {"name": "abc", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
            "status": {"name": ["not", "a", "string"]},
        }));
        assert_eq!(object.status, None);
    }

    #[test]
    fn responses_use_the_label_and_annotation_names_of_the_api() {
        let response: WriteResponse = serde_json::from_value(json!({
            "metadata": {
                "uid": "u", "resourceVersion": "7",
                "labels": {BACKEND_LABEL: "moby", INSTANCE_LABEL: "me"},
                "annotations": {ACTION_ANNOTATION: "stop", ACTION_CLAIM_ANNOTATION: "me"},
            },
            "status": {"name": "web"},
        }))
        .expect("the object must parse");
        let key = MirrorKey {
            kind: MirrorKind::Container,
            namespace: "ns".into(),
            name: "abc".into(),
        };
        let object = response.into_object::<rdd_api::Container>(&key);
        assert_eq!(object.backend.as_deref(), Some("moby"));
        assert_eq!(object.instance.as_deref(), Some("me"));
        assert_eq!(object.action.as_deref(), Some("stop"));
        assert_eq!(object.claim.as_deref(), Some("me"));
        assert!(
            matches!(object.status, Some(MirrorStatus::Container(status)) if status.name == "web")
        );
    }
}
