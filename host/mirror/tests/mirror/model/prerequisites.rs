//! Deletes and restores the prerequisites of mirrors.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use rdd_api::App;
use rdd_mirror::AppOptions;
use rdd_testkit::eventually;
use serde_json::json;

use super::ModelRun;
use super::api_user::{HOLD, ignore_missing};
use super::expected::KINDS;
use crate::test_mirror::NAMESPACE;

impl ModelRun {
    /// Allows every mirror to be recreated.
    pub(super) fn all_may_be_recreated(&mut self) {
        self.recreated_kinds.extend(KINDS);
    }

    /// Deletes a definition, a namespace, the App, or the Lease.
    pub(super) async fn delete_prerequisite(&mut self) {
        match self.rng.u8(..10) {
            which @ 0..4 => {
                let (kind, plural) = [
                    ("Container", "containers"),
                    ("Image", "images"),
                    ("Volume", "volumes"),
                    ("ContainerNamespace", "containernamespaces"),
                ][usize::from(which)];
                self.recreated_kinds.insert(kind);
                let name = format!("{plural}.{}", rdd_api::CONTAINERS_GROUP);
                self.delete_definition(&name).await;
            }
            4 => {
                let name = format!("apps.{}", rdd_api::APP_GROUP);
                self.delete_definition(&name).await;
            }
            5 | 6 => {
                self.all_may_be_recreated();
                self.delete_namespace(NAMESPACE).await;
            }
            7 => {
                if self.peer.is_some() {
                    self.all_may_be_recreated();
                }
                self.delete_namespace(rdd_api::SYSTEM_NAMESPACE).await;
            }
            8 => {
                self.all_may_be_recreated();
                self.may_repeat_actions();
                self.note("delete the App");
                let apps: Api<App> = Api::all(self.mirror.client.clone());
                ignore_missing(apps.delete("app", &DeleteParams::default()).await);
            }
            _ => {
                if self.peer.is_some() {
                    self.all_may_be_recreated();
                }
                self.delete_lease().await;
            }
        }
        self.prerequisite_is_deleted = true;
    }

    async fn delete_definition(&mut self, name: &str) {
        self.note(format!("delete the definition {name}"));
        ignore_missing(
            self.definitions()
                .delete(name, &DeleteParams::default())
                .await,
        );
    }

    async fn delete_namespace(&mut self, name: &str) {
        self.note(format!("delete the namespace {name}"));
        ignore_missing(
            self.namespaces()
                .delete(name, &DeleteParams::default())
                .await,
        );
    }

    fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.mirror.client.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.mirror.client.clone())
    }

    /// Starts or stops the App, if there is one.
    pub(super) async fn set_app_running(&self, running: bool) {
        let apps: Api<App> = Api::all(self.mirror.client.clone());
        let patch = Patch::Merge(json!({"spec": {"running": running}}));
        ignore_missing(apps.patch("app", &PatchParams::default(), &patch).await);
    }

    /// Waits until deleted prerequisites exist again. An App that a user
    /// deleted is recreated by a user.
    pub(super) async fn restore_prerequisites(&mut self) {
        if !std::mem::take(&mut self.prerequisite_is_deleted) {
            return;
        }
        let log = self.log.join("\n  ");
        let this = &*self;
        eventually(&format!("surroundings again after\n  {log}\n"), || async {
            this.remove_foreign_finalizers().await;
            for definition in rdd_api::crds() {
                let name = definition.name_any();
                let found = this.definitions().get_opt(&name).await.unwrap();
                if found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
                    return Err(name);
                }
            }
            // Without an App, its namespace is not recreated.
            let made = rdd_mirror::ensure_app(&this.mirror.client, &AppOptions::default()).await;
            made.map_err(|error| error.to_string())?;
            for name in [NAMESPACE, rdd_api::SYSTEM_NAMESPACE] {
                let found = this.namespaces().get_opt(name).await.unwrap();
                if found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
                    return Err(name.to_owned());
                }
            }
            Ok(())
        })
        .await;
    }

    /// Removes foreign finalizers that would block the deletion of a definition
    /// or a namespace.
    async fn remove_foreign_finalizers(&self) {
        for kind in &self.recreated_kinds {
            let api = self.objects(kind);
            // The kind may not be served at the moment.
            let list = api.list(&ListParams::default()).await;
            for object in list.map(|list| list.items).unwrap_or_default() {
                let mut finalizers = object.finalizers().to_vec();
                if !finalizers.iter().any(|name| name == HOLD) {
                    continue;
                }
                finalizers.retain(|name| name != HOLD);
                let version = object.resource_version();
                let metadata = json!({"finalizers": finalizers, "resourceVersion": version});
                let patch = Patch::Merge(json!({"metadata": metadata}));
                let params = PatchParams::default();
                ignore_missing(api.patch(&object.name_any(), &params, &patch).await);
            }
        }
    }
}
