//! The last check before a removal is requested from the engine: did a client
//! delete the mirror itself?
//!
//! An object is also deleted together with its definition or its namespace, and
//! looks the same then: terminating, with our finalizer. The two cases differ
//! in an order that API servers guarantee. A definition or a namespace gets its
//! deletion timestamp *before* any object in it does, keeps it until the end,
//! and is not deleted before the last object in it. Therefore both are read
//! here *after* the object's deletion was seen: if neither is terminating now,
//! neither was when the object was deleted, and the deletion was of the object
//! itself.
//!
//! One case remains: the finalizers of a definition or a namespace are removed
//! by force, and it is recreated before its old objects are gone. Such an
//! object is older than its definition or namespace, which is impossible
//! otherwise.
//!
//! Watches may lag behind, so nothing here relies on them. If anything cannot
//! be read, nothing is removed.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use rdd_api::{INSTANCE_LABEL, MIRROR_FINALIZER, SYSTEM_NAMESPACE};
use serde::de::DeserializeOwned;

use crate::instance::InstanceId;
use crate::key::{MirrorKey, MirrorKind};
use crate::lease::LeaseScope;
use crate::mirror_resource::MirrorResource;

/// Whether a deletion leads to a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeletionOutcome {
    /// A client deleted the mirror itself.
    Confirmed,
    /// It does not, for this reason, and the mirror may be released.
    Dismissed(String),
}

/// Why the check failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeletionCheckError {
    #[error("cannot check whether a client deleted the mirror: {0}")]
    Request(kube::Error),
    #[error("this instance no longer holds the Lease; another one may mirror here")]
    LeaseLost,
}

/// Checks the Lease, the mirror, its definition, and its namespace.
///
/// # Errors
/// Fails if any of them cannot be read, or if another instance holds the Lease.
pub(crate) async fn check(
    client: &Client,
    key: &MirrorKey,
    uid: &str,
    instance: &InstanceId,
    scope: &LeaseScope,
) -> Result<DeletionOutcome, DeletionCheckError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let lease = leases
        .get_opt(&scope.lease_name())
        .await
        .map_err(DeletionCheckError::Request)?;
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    if holder.as_deref() != Some(instance.as_str()) {
        return Err(DeletionCheckError::LeaseLost);
    }
    let context = match key.kind {
        MirrorKind::Container => read::<rdd_api::Container>(client, key).await,
        MirrorKind::Image => read::<rdd_api::Image>(client, key).await,
        MirrorKind::Volume => read::<rdd_api::Volume>(client, key).await,
        MirrorKind::Namespace => read::<rdd_api::ContainerNamespace>(client, key).await,
    }
    .map_err(DeletionCheckError::Request)?;
    Ok(evaluate(&context, uid, instance))
}

/// The metadata of a mirror, its definition, and its namespace.
#[derive(Debug, Default)]
struct DeletionContext {
    mirror: Option<ObjectMeta>,
    definition: Option<ObjectMeta>,
    namespace: Option<ObjectMeta>,
}

async fn read<K>(client: &Client, key: &MirrorKey) -> Result<DeletionContext, kube::Error>
where
    K: MirrorResource + Resource<Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let mirrors: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    Ok(DeletionContext {
        mirror: metadata(&mirrors, &key.name).await?,
        definition: metadata(&definitions, &definition_name::<K>()).await?,
        namespace: metadata(&namespaces, &key.namespace).await?,
    })
}

/// Returns the metadata of an object as it is now; `None` if there is none.
pub(crate) async fn metadata<K>(api: &Api<K>, name: &str) -> Result<Option<ObjectMeta>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let found = api.get_metadata_opt(name).await?;
    Ok(found.map(|object| object.metadata))
}

/// Returns the name of the definition of a kind.
fn definition_name<K: MirrorResource>() -> String {
    format!("{}.{}", K::plural(&()), K::group(&()))
}

fn evaluate(context: &DeletionContext, uid: &str, instance: &InstanceId) -> DeletionOutcome {
    let dismissed = |reason: &str| DeletionOutcome::Dismissed(reason.to_owned());
    let Some(mirror) = context
        .mirror
        .as_ref()
        .filter(|mirror| mirror.uid.as_deref() == Some(uid))
    else {
        return dismissed("the mirror is already gone");
    };
    let finalizers = mirror.finalizers.as_deref().unwrap_or_default();
    if mirror.deletion_timestamp.is_none()
        || !finalizers.iter().any(|name| name == MIRROR_FINALIZER)
    {
        return dismissed("the mirror is no longer being deleted");
    }
    let owner = mirror
        .labels
        .as_ref()
        .and_then(|labels| labels.get(INSTANCE_LABEL));
    if owner.is_some_and(|owner| *owner != instance.as_str()) {
        return dismissed("the mirror belongs to another instance");
    }
    for (what, container) in [
        ("definition", &context.definition),
        ("namespace", &context.namespace),
    ] {
        let Some(container) = container else {
            return DeletionOutcome::Dismissed(format!("its {what} is missing"));
        };
        if container.deletion_timestamp.is_some() {
            return DeletionOutcome::Dismissed(format!("its {what} is being deleted"));
        }
        if created(mirror) < created(container) {
            return DeletionOutcome::Dismissed(format!(
                "it was deleted together with a previous {what}"
            ));
        }
    }
    DeletionOutcome::Confirmed
}

fn created(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::fixtures::at;

    fn metadata(created_at: i64) -> ObjectMeta {
        ObjectMeta {
            uid: Some("u1".to_owned()),
            creation_timestamp: Some(Time(at(created_at))),
            ..ObjectMeta::default()
        }
    }

    /// A mirror that a client deleted, in an intact definition and namespace.
    fn deleted() -> DeletionContext {
        DeletionContext {
            mirror: Some(ObjectMeta {
                deletion_timestamp: Some(Time(at(9))),
                finalizers: Some(vec![MIRROR_FINALIZER.to_owned()]),
                labels: Some([(INSTANCE_LABEL.to_owned(), "me".to_owned())].into()),
                ..metadata(5)
            }),
            definition: Some(metadata(5)),
            namespace: Some(metadata(5)),
        }
    }

    fn after(change: impl FnOnce(&mut DeletionContext)) -> String {
        let mut context = deleted();
        change(&mut context);
        let me = InstanceId::parse("me").expect("the ID must be valid");
        match evaluate(&context, "u1", &me) {
            DeletionOutcome::Confirmed => "confirmed".to_owned(),
            DeletionOutcome::Dismissed(reason) => reason,
        }
    }

    fn mirror(context: &mut DeletionContext) -> &mut ObjectMeta {
        context.mirror.as_mut().expect("the mirror must exist")
    }

    #[test]
    fn a_deletion_by_a_client_is_carried_out() {
        assert_eq!(after(|_| {}), "confirmed");
        // A missing label does not mean another owner.
        assert_eq!(after(|f| mirror(f).labels = None), "confirmed");
    }

    #[test]
    fn a_deletion_with_the_definition_or_namespace_is_dismissed() {
        let time = || Some(Time(at(8)));
        assert_eq!(
            after(|f| f.definition.as_mut().unwrap().deletion_timestamp = time()),
            "its definition is being deleted"
        );
        assert_eq!(
            after(|f| f.namespace.as_mut().unwrap().deletion_timestamp = time()),
            "its namespace is being deleted"
        );
        assert_eq!(after(|f| f.definition = None), "its definition is missing");
        assert_eq!(after(|f| f.namespace = None), "its namespace is missing");
        assert_eq!(
            after(|f| f.definition = Some(metadata(6))),
            "it was deleted together with a previous definition"
        );
        assert_eq!(
            after(|f| f.namespace = Some(metadata(6))),
            "it was deleted together with a previous namespace"
        );
    }

    #[test]
    fn a_deletion_of_a_changed_mirror_is_dismissed() {
        for change in [
            |f: &mut DeletionContext| f.mirror = None,
            |f: &mut DeletionContext| mirror(f).uid = Some("u2".to_owned()),
            |f: &mut DeletionContext| mirror(f).deletion_timestamp = None,
            |f: &mut DeletionContext| mirror(f).finalizers = None,
            |f: &mut DeletionContext| {
                mirror(f).labels = Some([(INSTANCE_LABEL.to_owned(), "other".to_owned())].into());
            },
        ] {
            assert_ne!(after(change), "confirmed");
        }
    }
}
