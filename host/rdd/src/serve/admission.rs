//! The admission policies of the embedded API server: they deny deletions of the
//! namespaces and kinds that the daemon requires, and with `--read-only` every
//! request to change the engine. With an external cluster nothing can be denied;
//! there the mirror restores what was deleted.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use rdd_api::{ACTION_ANNOTATION, CONTAINERS_GROUP, DEFAULT_NAMESPACE, SYSTEM_NAMESPACE};
use rdd_apiserver::{AdmissionError, AdmissionOperation, AdmissionPolicy, AdmissionRequest};
use rdd_gateway::ADMIN_GROUP;
use serde_json::Value;

use super::cluster::DAEMON_USER;
use crate::token_record::TOKEN_SECRET_TYPE;

const CRD_GROUP: &str = "apiextensions.k8s.io";
/// The resources whose deletion removes something from the engine.
const MIRROR_RESOURCES: [&str; 3] = ["containers", "images", "volumes"];

/// Denies the deletion of the namespaces and kinds that the daemon requires.
#[derive(Debug)]
pub(crate) struct ProtectedObjectsPolicy {
    /// The names of the daemon's definitions.
    definitions: HashSet<String>,
    /// The namespace of the mirrors, set once the App was read.
    namespace: Arc<OnceLock<String>>,
}

impl ProtectedObjectsPolicy {
    /// Protects the default namespace, and the one in `namespace` once it is set.
    pub(crate) fn new(namespace: Arc<OnceLock<String>>) -> Self {
        let definitions = rdd_api::crds()
            .into_iter()
            .filter_map(|definition| definition.metadata.name)
            .collect();
        Self {
            definitions,
            namespace,
        }
    }
}

/// A request that is denied. The message is for the client and names the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum AdmissionDenial {
    #[error(
        "rdd publishes its own state here; delete single objects, which it creates again, or stop the daemon to remove {SYSTEM_NAMESPACE}"
    )]
    SystemNamespace,
    #[error(
        "rdd keeps the mirrors of the engine here; to remove the mirrors without changing the engine, set spec.running of the App to false (kubectl edit app app); to remove something from the engine, delete its own object"
    )]
    MirrorNamespace,
    #[error(
        "rdd serves this kind as long as it runs; to remove the mirrors without changing the engine, set spec.running of the App to false (kubectl edit app app)"
    )]
    Definition,
    #[error(
        "a Secret of this type is a token of rdd, which only administrators may write; use 'rdd token create' with the token of the instance"
    )]
    Token,
    #[error(
        "rdd runs with --read-only and removes nothing from the engine; start it without --read-only, or use the engine's own tools"
    )]
    ReadOnlyRemoval,
    #[error(
        "rdd runs with --read-only and performs no action; start it without --read-only, use the engine's own tools, or omit the annotation {ACTION_ANNOTATION}"
    )]
    ReadOnlyAction,
}

impl ProtectedObjectsPolicy {
    fn check(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionDenial> {
        if is_daemon(request) {
            return Ok(());
        }
        // Whoever may write Secrets must not become an administrator by it.
        let is_token = request
            .object
            .is_some_and(|o| o["type"] == TOKEN_SECRET_TYPE);
        if is_token && request.group.is_empty() && !is_administrator(request) {
            return Err(AdmissionDenial::Token);
        }
        if request.operation != AdmissionOperation::Delete {
            return Ok(());
        }
        match (request.group, request.resource) {
            ("", "namespaces") if request.name == SYSTEM_NAMESPACE => {
                Err(AdmissionDenial::SystemNamespace)
            }
            ("", "namespaces")
                if request.name == DEFAULT_NAMESPACE
                    || self.namespace.get().is_some_and(|own| own == request.name) =>
            {
                Err(AdmissionDenial::MirrorNamespace)
            }
            (CRD_GROUP, "customresourcedefinitions") if self.definitions.contains(request.name) => {
                Err(AdmissionDenial::Definition)
            }
            _ => Ok(()),
        }
    }
}

impl AdmissionPolicy for ProtectedObjectsPolicy {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError> {
        self.check(request)
            .map_err(|denial| AdmissionError::new(denial.to_string()))
    }
}

/// Denies requests to change an engine that the daemon may only read.
#[derive(Debug)]
pub(crate) struct ReadOnlyPolicy;

impl ReadOnlyPolicy {
    fn check(request: &AdmissionRequest<'_>) -> Result<(), AdmissionDenial> {
        if request.group != CONTAINERS_GROUP || is_daemon(request) {
            return Ok(());
        }
        let is_mirror = MIRROR_RESOURCES.contains(&request.resource);
        if request.operation == AdmissionOperation::Delete && is_mirror {
            return Err(AdmissionDenial::ReadOnlyRemoval);
        }
        let requested = requested_action(request.object);
        if requested.is_some() && requested != requested_action(request.old_object) {
            return Err(AdmissionDenial::ReadOnlyAction);
        }
        Ok(())
    }
}

impl AdmissionPolicy for ReadOnlyPolicy {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError> {
        Self::check(request).map_err(|denial| AdmissionError::new(denial.to_string()))
    }
}

fn is_administrator(request: &AdmissionRequest<'_>) -> bool {
    let mut groups = request.user.groups.iter();
    groups.any(|group| group == ADMIN_GROUP)
}

/// Returns whether the request is the daemon's own. The gateway never assigns
/// this user name to an external client, and nobody can impersonate it.
fn is_daemon(request: &AdmissionRequest<'_>) -> bool {
    request.user.name == DAEMON_USER
}

fn requested_action(object: Option<&Value>) -> Option<&Value> {
    object?
        .get("metadata")?
        .get("annotations")?
        .get(ACTION_ANNOTATION)
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use http_body_util::{BodyExt as _, Full};
    use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;

    const OURS: &str = "mine";
    const MIRRORS: &str = "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/mine/containers";

    async fn server(read_only: bool) -> ApiServer {
        let namespace = Arc::new(OnceLock::from(OURS.to_owned()));
        let mut admission: Vec<Arc<dyn AdmissionPolicy>> =
            vec![Arc::new(ProtectedObjectsPolicy::new(namespace))];
        if read_only {
            admission.push(Arc::new(ReadOnlyPolicy));
        }
        let server = ApiServer::open(ApiServerOptions {
            admission,
            ..ApiServerOptions::in_memory()
        })
        .await
        .unwrap();
        for definition in rdd_api::crds() {
            let body = serde_json::to_value(&definition).unwrap();
            send(&server, "rdd-admin", "POST", CRDS, "", Some(body)).await;
        }
        for name in [OURS, DEFAULT_NAMESPACE, SYSTEM_NAMESPACE, "other"] {
            let body = json!({"metadata": {"name": name}});
            send(
                &server,
                "rdd-admin",
                "POST",
                "/api/v1/namespaces",
                "",
                Some(body),
            )
            .await;
        }
        let body = container("a", json!({}));
        let (code, text) = send(&server, DAEMON_USER, "POST", MIRRORS, "", Some(body)).await;
        assert_eq!(code, 201, "{text}");
        server
    }

    fn container(name: &str, annotations: Value) -> Value {
        json!({"apiVersion": "containers.rancherdesktop.io/v1alpha1", "kind": "Container",
            "metadata": {"name": name, "annotations": annotations}})
    }

    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

    async fn send(
        server: &ApiServer,
        user: &str,
        method: &str,
        path: &str,
        media: &str,
        body: Option<Value>,
    ) -> (StatusCode, String) {
        let media = if media.is_empty() {
            "application/json"
        } else {
            media
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .extension(UserInfo {
                name: user.to_owned(),
                groups: vec![ADMIN_GROUP.to_owned()],
                ..UserInfo::default()
            })
            .body(Full::from(body))
            .unwrap();
        let response = server.clone().oneshot(request).await.unwrap();
        let code = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_the_daemon_requires_cannot_be_deleted() {
        let server = server(false).await;
        let container_crd = format!("{CRDS}/containers.containers.rancherdesktop.io");
        let namespace = |name: &str| format!("/api/v1/namespaces/{name}");
        for (path, remedy) in [
            (namespace(OURS), "spec.running"),
            (namespace(DEFAULT_NAMESPACE), "spec.running"),
            (namespace(SYSTEM_NAMESPACE), "stop the daemon"),
            (container_crd.clone(), "spec.running"),
            (CRDS.to_owned(), "spec.running"),
        ] {
            for query in [
                "",
                "?dryRun=All",
                "?propagationPolicy=Foreground",
                "?propagationPolicy=Orphan",
            ] {
                let path = format!("{path}{query}");
                let (code, text) = send(&server, "rdd-admin", "DELETE", &path, "", None).await;
                assert_eq!(code, 403, "{path}: {text}");
                assert!(text.contains(remedy), "{path}: {text}");
            }
            let (code, text) = send(&server, "rdd-admin", "GET", &path, "", None).await;
            assert!(
                code == 200 && !text.contains("deletionTimestamp"),
                "{path}: {text}"
            );
        }
        let (code, _) = send(
            &server,
            "rdd-admin",
            "DELETE",
            &namespace("other"),
            "",
            None,
        )
        .await;
        assert_eq!(code, 200);
        let mirror = format!("{MIRRORS}/a");
        let (code, text) = send(&server, "rdd-admin", "DELETE", &mirror, "", None).await;
        assert_eq!(code, 200, "{text}");
        let (code, _) = send(&server, DAEMON_USER, "DELETE", &container_crd, "", None).await;
        assert_eq!(code, 200);
    }

    #[tokio::test]
    async fn a_foreign_definition_can_be_deleted() {
        let server = server(true).await;
        let body = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "containers.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "containers", "kind": "Container"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
        let (code, text) = send(&server, "rdd-admin", "POST", CRDS, "", Some(body)).await;
        assert_eq!(code, 201, "{text}");
        let path = "/apis/example.com/v1/namespaces/other/containers";
        let body =
            json!({"apiVersion": "example.com/v1", "kind": "Container", "metadata": {"name": "c"}});
        send(&server, "rdd-admin", "POST", path, "", Some(body)).await;
        for path in [
            format!("{path}/c"),
            format!("{CRDS}/containers.example.com"),
        ] {
            let (code, text) = send(&server, "rdd-admin", "DELETE", &path, "", None).await;
            assert_eq!(code, 200, "{text}");
        }
    }

    #[tokio::test]
    async fn read_only_denies_deletions_and_actions() {
        let server = server(true).await;
        let mirror = format!("{MIRRORS}/a");
        for resource in ["containers", "images", "volumes"] {
            let collection =
                format!("/apis/containers.rancherdesktop.io/v1alpha1/namespaces/mine/{resource}");
            for query in ["", "?dryRun=All"] {
                let path = format!("{collection}{query}");
                let (code, text) = send(&server, "rdd-admin", "DELETE", &path, "", None).await;
                assert_eq!(code, 403, "{path}: {text}");
                assert!(text.contains("--read-only"), "{text}");
            }
        }
        let (code, _) = send(&server, "rdd-admin", "DELETE", &mirror, "", None).await;
        assert_eq!(code, 403);
        let requested = json!({ACTION_ANNOTATION: "stop"});
        let patch = json!({"metadata": {"annotations": requested}});
        let pointer = ACTION_ANNOTATION.replace('/', "~1");
        let json_patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {}},
            {"op": "add", "path": format!("/metadata/annotations/{pointer}"), "value": "stop"}]);
        let apply = format!("{mirror}?fieldManager=m&force=true");
        for (method, path, media, body) in [
            ("POST", MIRRORS, "", container("b", requested.clone())),
            ("PATCH", &mirror, "application/merge-patch+json", patch),
            ("PATCH", &mirror, "application/json-patch+json", json_patch),
            (
                "PATCH",
                &apply,
                "application/apply-patch+yaml",
                container("a", requested.clone()),
            ),
        ] {
            let (code, text) = send(&server, "rdd-admin", method, path, media, Some(body)).await;
            assert_eq!(code, 403, "{method} {media}: {text}");
            assert!(
                text.contains("--read-only") && text.contains(ACTION_ANNOTATION),
                "{text}"
            );
        }
        let (_, text) = send(&server, "rdd-admin", "GET", &mirror, "", None).await;
        let mut object: Value = serde_json::from_str(&text).unwrap();
        object["metadata"]["annotations"] = requested;
        let (code, text) = send(&server, "rdd-admin", "PUT", &mirror, "", Some(object)).await;
        assert_eq!(code, 403, "{text}");
        // Other annotations and labels do not change the engine.
        let patch =
            json!({"metadata": {"annotations": {"example.com/note": "x"}, "labels": {"a": "b"}}});
        let (code, text) = send(
            &server,
            "rdd-admin",
            "PATCH",
            &mirror,
            "application/merge-patch+json",
            Some(patch),
        )
        .await;
        assert_eq!(code, 200, "{text}");
        // An existing action annotation is not a new request.
        let body = container("old", json!({ACTION_ANNOTATION: "stop"}));
        let (code, text) = send(&server, DAEMON_USER, "POST", MIRRORS, "", Some(body)).await;
        assert_eq!(code, 201, "{text}");
        for (annotations, allowed) in [
            (json!({"example.com/note": "x"}), true),
            (json!({ACTION_ANNOTATION: "start"}), false),
            (json!({ACTION_ANNOTATION: null}), true),
            (json!({ACTION_ANNOTATION: "stop"}), false),
        ] {
            let patch = json!({"metadata": {"annotations": annotations}});
            let path = format!("{MIRRORS}/old");
            let media = "application/merge-patch+json";
            let (code, text) = send(&server, "rdd-admin", "PATCH", &path, media, Some(patch)).await;
            assert_eq!(code, if allowed { 200 } else { 403 }, "{text}");
        }
        // The mirror prunes its own objects.
        let (code, text) = send(&server, DAEMON_USER, "DELETE", &mirror, "", None).await;
        assert_eq!(code, 200, "{text}");
    }
}
