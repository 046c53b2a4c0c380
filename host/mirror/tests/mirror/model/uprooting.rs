//! What mirrors lie in is deleted.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use rdd_api::App;
use rdd_mirror::AppOptions;
use rdd_testkit::eventually;
use serde_json::json;

use super::Run;
use super::api_user::{HOLD, ignore_missing};
use super::expected::KINDS;
use crate::world::NAMESPACE;

impl Run {
    /// Every mirror may go and come again from now on.
    pub(super) fn uproot_all(&mut self) {
        self.uprooted.extend(KINDS);
    }

    /// Deletes a definition, a namespace, the App or the Lease.
    pub(super) async fn uproot(&mut self) {
        match self.rng.u8(..10) {
            which @ 0..4 => {
                let (kind, plural) = [
                    ("Container", "containers"),
                    ("Image", "images"),
                    ("Volume", "volumes"),
                    ("ContainerNamespace", "containernamespaces"),
                ][usize::from(which)];
                self.uprooted.insert(kind);
                let name = format!("{plural}.{}", rdd_api::CONTAINERS_GROUP);
                self.delete_definition(&name).await;
            }
            4 => {
                let name = format!("apps.{}", rdd_api::APP_GROUP);
                self.delete_definition(&name).await;
            }
            5 | 6 => {
                self.uproot_all();
                self.delete_namespace(NAMESPACE).await;
            }
            7 => {
                if self.rival.is_some() {
                    self.uproot_all();
                }
                self.delete_namespace(rdd_api::SYSTEM_NAMESPACE).await;
            }
            8 => {
                self.uproot_all();
                self.may_repeat_actions();
                self.note("delete the App");
                let apps: Api<App> = Api::all(self.world.client.clone());
                ignore_missing(apps.delete("app", &DeleteParams::default()).await);
            }
            _ => {
                if self.rival.is_some() {
                    self.uproot_all();
                }
                self.delete_lease().await;
            }
        }
        self.is_uprooted = true;
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
        Api::all(self.world.client.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.world.client.clone())
    }

    /// Runs or stops the App, if there is one.
    pub(super) async fn run_app(&self, running: bool) {
        let apps: Api<App> = Api::all(self.world.client.clone());
        let patch = Patch::Merge(json!({"spec": {"running": running}}));
        ignore_missing(apps.patch("app", &PatchParams::default(), &patch).await);
    }

    /// Waits until what was deleted is there again. An App that a user deleted
    /// comes by a user.
    pub(super) async fn replant(&mut self) {
        if !std::mem::take(&mut self.is_uprooted) {
            return;
        }
        let log = self.log.join("\n  ");
        let this = &*self;
        eventually(&format!("surroundings again after\n  {log}\n"), || async {
            this.release().await;
            for definition in rdd_api::crds() {
                let name = definition.name_any();
                let found = this.definitions().get_opt(&name).await.unwrap();
                if found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
                    return Err(name);
                }
            }
            // Without an App, nobody needs the namespace that it names.
            let made = rdd_mirror::ensure_app(&this.world.client, &AppOptions::default()).await;
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

    /// Takes somebody else's finalizer off what would hold up a definition or a
    /// namespace.
    async fn release(&self) {
        for kind in &self.uprooted {
            let api = self.objects(kind);
            // The kind may not be served now.
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
