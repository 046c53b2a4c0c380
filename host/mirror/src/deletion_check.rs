//! The last look before the engine is asked to remove something: was the
//! mirror deleted by somebody who meant it?
//!
//! An object also ends with its definition or its namespace, and looks the
//! same then: terminating, with our finalizer on. What tells them apart is an
//! order that API servers keep. A definition or a namespace gets its deletion
//! time *before* anything in it does, keeps it to its end, and does not end
//! before the last object in it has. So both are read here, freshly, *after*
//! the object's deletion was seen: when neither is terminating now, neither
//! was when the object was deleted, and so the deletion was its own.
//!
//! One case is left: somebody takes the finalizers off a definition or a
//! namespace by force, and it is made again before its old objects have gone.
//! Such an object is older than what it lies in, which no other object can be.
//!
//! Watches may be late, so none of this is taken from them. When anything
//! cannot be read, nothing is removed.

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

use crate::api::Mirrored;
use crate::instance::InstanceId;
use crate::key::{Key, Kind};
use crate::lease::LeaseScope;

/// What became of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeletionVerdict {
    /// A client deleted this very mirror.
    Confirmed,
    /// It is not to be carried out, for this reason; the mirror may go.
    Withdrawn(String),
}

/// Why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeletionCheckError {
    #[error("cannot tell whether the deletion was meant: {0}")]
    Request(#[from] kube::Error),
    #[error("another instance of the daemon mirrors here now")]
    LeaseLost,
}

/// Looks at the mirror, and at what it lies in.
pub(crate) async fn check(
    client: &Client,
    key: &Key,
    uid: &str,
    instance: &InstanceId,
    scope: &LeaseScope,
) -> Result<DeletionVerdict, DeletionCheckError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let lease = leases.get_opt(&scope.lease_name()).await?;
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    if holder.as_deref() != Some(instance.as_str()) {
        return Err(DeletionCheckError::LeaseLost);
    }
    let found = match key.kind {
        Kind::Container => read::<rdd_api::Container>(client, key).await?,
        Kind::Image => read::<rdd_api::Image>(client, key).await?,
        Kind::Volume => read::<rdd_api::Volume>(client, key).await?,
        Kind::Namespace => read::<rdd_api::ContainerNamespace>(client, key).await?,
    };
    Ok(judge(&found, uid, instance))
}

/// Metadata of a mirror and of what it lies in.
#[derive(Debug, Default)]
struct Surroundings {
    mirror: Option<ObjectMeta>,
    definition: Option<ObjectMeta>,
    namespace: Option<ObjectMeta>,
}

async fn read<K>(client: &Client, key: &Key) -> Result<Surroundings, kube::Error>
where
    K: Mirrored + Resource<Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let mirrors: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    Ok(Surroundings {
        mirror: metadata(&mirrors, &key.name).await?,
        definition: metadata(&definitions, &definition_name::<K>()).await?,
        namespace: metadata(&namespaces, &key.namespace).await?,
    })
}

async fn metadata<K>(api: &Api<K>, name: &str) -> Result<Option<ObjectMeta>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let found = api.get_metadata_opt(name).await?;
    Ok(found.map(|object| object.metadata))
}

/// Name of the definition of a kind.
fn definition_name<K: Mirrored>() -> String {
    format!("{}.{}", K::plural(&()), K::group(&()))
}

fn judge(found: &Surroundings, uid: &str, instance: &InstanceId) -> DeletionVerdict {
    let withdrawn = |reason: &str| DeletionVerdict::Withdrawn(reason.to_owned());
    let Some(mirror) = found
        .mirror
        .as_ref()
        .filter(|mirror| mirror.uid.as_deref() == Some(uid))
    else {
        return withdrawn("it is gone already");
    };
    let finalizers = mirror.finalizers.as_deref().unwrap_or_default();
    if mirror.deletion_timestamp.is_none()
        || !finalizers.iter().any(|name| name == MIRROR_FINALIZER)
    {
        return withdrawn("it is not being deleted any more");
    }
    let owner = mirror
        .labels
        .as_ref()
        .and_then(|labels| labels.get(INSTANCE_LABEL));
    if owner.is_some_and(|owner| *owner != instance.as_str()) {
        return withdrawn("it belongs to another instance");
    }
    for (what, place) in [
        ("definition", &found.definition),
        ("namespace", &found.namespace),
    ] {
        let Some(place) = place else {
            return DeletionVerdict::Withdrawn(format!("its {what} is gone"));
        };
        if place.deletion_timestamp.is_some() {
            return DeletionVerdict::Withdrawn(format!("its {what} is being deleted"));
        }
        if created(mirror) < created(place) {
            return DeletionVerdict::Withdrawn(format!(
                "it was deleted along with an earlier {what}"
            ));
        }
    }
    DeletionVerdict::Confirmed
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

    /// A mirror that somebody deleted, where all is well.
    fn deleted() -> Surroundings {
        Surroundings {
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

    fn after(change: impl FnOnce(&mut Surroundings)) -> String {
        let mut found = deleted();
        change(&mut found);
        let me = InstanceId::parse("me").expect("an ID");
        match judge(&found, "u1", &me) {
            DeletionVerdict::Confirmed => "confirmed".to_owned(),
            DeletionVerdict::Withdrawn(reason) => reason,
        }
    }

    fn mirror(found: &mut Surroundings) -> &mut ObjectMeta {
        found.mirror.as_mut().expect("a mirror")
    }

    #[test]
    fn a_clients_deletion_is_carried_out() {
        assert_eq!(after(|_| {}), "confirmed");
        // A label that somebody took off while we looked is no other owner.
        assert_eq!(after(|f| mirror(f).labels = None), "confirmed");
    }

    #[test]
    fn what_ends_with_its_definition_or_namespace_was_not_deleted_by_anybody() {
        let time = || Some(Time(at(8)));
        assert_eq!(
            after(|f| f.definition.as_mut().unwrap().deletion_timestamp = time()),
            "its definition is being deleted"
        );
        assert_eq!(
            after(|f| f.namespace.as_mut().unwrap().deletion_timestamp = time()),
            "its namespace is being deleted"
        );
        assert_eq!(after(|f| f.definition = None), "its definition is gone");
        assert_eq!(after(|f| f.namespace = None), "its namespace is gone");
        assert_eq!(
            after(|f| f.definition = Some(metadata(6))),
            "it was deleted along with an earlier definition"
        );
        assert_eq!(
            after(|f| f.namespace = Some(metadata(6))),
            "it was deleted along with an earlier namespace"
        );
    }

    #[test]
    fn what_is_not_as_it_was_seen_is_left_alone() {
        for change in [
            |f: &mut Surroundings| f.mirror = None,
            |f: &mut Surroundings| mirror(f).uid = Some("u2".to_owned()),
            |f: &mut Surroundings| mirror(f).deletion_timestamp = None,
            |f: &mut Surroundings| mirror(f).finalizers = None,
            |f: &mut Surroundings| {
                mirror(f).labels = Some([(INSTANCE_LABEL.to_owned(), "other".to_owned())].into());
            },
        ] {
            assert_ne!(after(change), "confirmed");
        }
    }
}
