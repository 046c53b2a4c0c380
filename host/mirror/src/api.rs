//! The mirrored kinds on the wire: reading objects without trusting them, and
//! writing no more than is ours.

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

use crate::desired::Status;
use crate::entry::{Object, Version};
use crate::key::{Key, Kind};

/// A mirrored kind.
pub(crate) trait Mirrored:
    Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static
{
    const KIND: Kind;
    type Status: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static;
    fn status(status: Self::Status) -> Option<Status>;
}

macro_rules! mirrored {
    ($kind:ident, $status:ty, $into:expr) => {
        impl Mirrored for rdd_api::$kind {
            const KIND: Kind = mirrored!(@kind $kind);
            type Status = $status;
            fn status(status: Self::Status) -> Option<Status> {
                $into(status)
            }
        }
    };
    (@kind ContainerNamespace) => {
        Kind::Namespace
    };
    (@kind $kind:ident) => {
        Kind::$kind
    };
}

mirrored!(Container, rdd_api::ContainerStatus, |status| Some(
    Status::Container(status)
));
mirrored!(Image, rdd_api::ImageStatus, |status| Some(Status::Image(
    status
)));
mirrored!(Volume, rdd_api::VolumeStatus, |status| Some(
    Status::Volume(status)
));
mirrored!(ContainerNamespace, IgnoredAny, |_| None);

/// An object as the watch reads it. A status that does not parse reads as
/// none, and is written anew: one bad object must not blind us to the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Watched<K: Mirrored> {
    metadata: ObjectMeta,
    #[serde(default, deserialize_with = "lenient::<K, _>")]
    status: Option<K::Status>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<S> {
    Good(S),
    Bad(IgnoredAny),
}

fn lenient<'de, K: Mirrored, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<K::Status>, D::Error> {
    Ok(
        match Option::<Lenient<K::Status>>::deserialize(deserializer)? {
            Some(Lenient::Good(status)) => Some(status),
            Some(Lenient::Bad(IgnoredAny)) | None => None,
        },
    )
}

impl<K: Mirrored> Resource for Watched<K> {
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

impl<K: Mirrored> Watched<K> {
    /// `None` for what has no name or no uid, which no server sends.
    pub(crate) fn into_object(self) -> Option<Object> {
        let meta = self.metadata;
        let mut labels = meta.labels.unwrap_or_default();
        let mut annotations = meta.annotations.unwrap_or_default();
        Some(Object {
            key: Key {
                kind: K::KIND,
                namespace: Arc::from(meta.namespace?),
                name: Arc::from(meta.name?),
            },
            uid: Arc::from(meta.uid?),
            version: Version(meta.resource_version?.into()),
            terminating: meta.deletion_timestamp.is_some(),
            finalizer: our_finalizer(meta.finalizers.as_deref().unwrap_or_default()),
            backend: labels.remove(BACKEND_LABEL).map(Into::into),
            instance: labels.remove(INSTANCE_LABEL).map(Into::into),
            action: annotations.remove(ACTION_ANNOTATION).map(Into::into),
            claim: annotations.remove(ACTION_CLAIM_ANNOTATION).map(Into::into),
            status: self.status.and_then(K::status),
        })
    }
}

/// What is read of an answer to a write.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    metadata: AnswerMeta,
    #[serde(default)]
    status: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerMeta {
    uid: String,
    resource_version: String,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    finalizers: Vec<String>,
    #[serde(default)]
    labels: Known,
    #[serde(default)]
    annotations: Known,
}

/// The labels and annotations that are ours.
#[derive(Debug, Default, Deserialize)]
struct Known {
    #[serde(rename = "engine.rancherdesktop.io/backend")]
    backend: Option<String>,
    #[serde(rename = "engine.rancherdesktop.io/instance")]
    instance: Option<String>,
    #[serde(rename = "containers.rancherdesktop.io/action")]
    action: Option<String>,
    #[serde(rename = "engine.rancherdesktop.io/action-claim")]
    claim: Option<String>,
}

/// What is read of an answer to a delete: the object as it was or, held by
/// finalizers, still is; or only that it went well.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Deleted {
    Object(Box<Answer>),
    Status(IgnoredAny),
}

impl Answer {
    pub(crate) fn version(&self) -> Version {
        Version(self.metadata.resource_version.as_str().into())
    }

    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Whether the status is this one, and nothing besides.
    pub(crate) fn has_status(&self, status: &Value) -> bool {
        self.status == *status
    }

    /// Whether finalizers of somebody else hold the object.
    pub(crate) fn is_held(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() && !self.metadata.finalizers.is_empty()
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The object as it was answered.
    pub(crate) fn into_object<K: Mirrored>(mut self, key: &Key) -> Object {
        // As in a watch: a status that somebody spoilt is none, and written anew.
        let status = serde_json::from_value(self.status.take()).ok();
        self.with_status(key, status.and_then(K::status))
    }

    /// The object with the status that was written.
    pub(crate) fn with_status(self, key: &Key, status: Option<Status>) -> Object {
        let meta = self.metadata;
        Object {
            key: key.clone(),
            uid: Arc::from(meta.uid),
            version: Version(meta.resource_version.into()),
            terminating: meta.deletion_timestamp.is_some(),
            finalizer: our_finalizer(&meta.finalizers),
            backend: meta.labels.backend.map(Into::into),
            instance: meta.labels.instance.map(Into::into),
            action: meta.annotations.action.map(Into::into),
            claim: meta.annotations.claim.map(Into::into),
            status,
        }
    }
}

fn our_finalizer(finalizers: &[String]) -> Option<usize> {
    finalizers.iter().position(|name| name == MIRROR_FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Object {
        serde_json::from_value::<Watched<rdd_api::Container>>(value)
            .expect("it reads")
            .into_object()
            .expect("it is an object")
    }

    #[test]
    fn reads_what_matters_of_an_object() {
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
        assert!(matches!(object.status, Some(Status::Container(status)) if status.name == "web"));
    }

    #[test]
    fn a_status_that_does_not_parse_reads_as_none() {
        let object = read(json!({
            "metadata": {"name": "abc", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
            "status": {"name": ["not", "a", "string"]},
        }));
        assert_eq!(object.status, None);
    }

    #[test]
    fn the_labels_and_annotations_are_those_of_the_api() {
        let answer: Answer = serde_json::from_value(json!({
            "metadata": {
                "uid": "u", "resourceVersion": "7",
                "labels": {BACKEND_LABEL: "moby", INSTANCE_LABEL: "me"},
                "annotations": {ACTION_ANNOTATION: "stop", ACTION_CLAIM_ANNOTATION: "me"},
            },
            "status": {"name": "web"},
        }))
        .expect("it reads");
        let key = Key {
            kind: Kind::Container,
            namespace: "ns".into(),
            name: "abc".into(),
        };
        let object = answer.into_object::<rdd_api::Container>(&key);
        assert_eq!(object.backend.as_deref(), Some("moby"));
        assert_eq!(object.instance.as_deref(), Some("me"));
        assert_eq!(object.action.as_deref(), Some("stop"));
        assert_eq!(object.claim.as_deref(), Some("me"));
        assert!(matches!(object.status, Some(Status::Container(status)) if status.name == "web"));
    }
}
