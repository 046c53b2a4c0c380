//! Verifies that all orphans are pruned: the conditions of the App change only
//! when neither this process nor the API has any left.

use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use rdd_api::{BACKEND_LABEL, INSTANCE_LABEL};
use tracing::warn;

use super::tasks::{TaskError, TaskKind, TaskOutput};
use super::{ControllerTimer, MirrorController};
use crate::instance::InstanceId;
use crate::lease::LeaseScope;

impl MirrorController {
    /// Starts a check of the API when no known orphan is left.
    pub(super) fn check_pruned(&mut self) {
        if self.pruned
            || self.prune_check_in_flight
            || !self.state.is_api_listed()
            || !self.is_lease_held()
        {
            return;
        }
        if self.state.has_orphans() {
            return;
        }
        let Some(selection) = &self.selection else {
            return;
        };
        self.prune_check_in_flight = true;
        let client = self.options.client.clone();
        let generation = self.selection_generation;
        let query = OrphanQuery {
            instance: self.options.instance.clone(),
            scope: selection.scope.clone(),
            running: selection.running,
        };
        self.spawn(TaskKind::PruneCheck(generation), async move {
            let result = query.is_empty(&client).await;
            TaskOutput::PruneCheck(generation, result.map_err(TaskError::from))
        });
    }

    /// Handles the result of a check: whether no orphan is left.
    pub(super) fn on_prune_checked(&mut self, generation: u64, result: Result<bool, TaskError>) {
        if generation != self.selection_generation {
            // It checked for the orphans of a previous selection.
            self.prune_check_in_flight = false;
            return;
        }
        match result {
            Ok(true) => {
                self.pruned = true;
                self.prune_check_in_flight = false;
                return;
            }
            Ok(false) => {}
            Err(error) => warn!(%error, "cannot list mirrors"),
        }
        self.timers.insert(
            ControllerTimer::PruneCheck,
            self.options.timing.prune_check_interval,
        );
    }
}

/// A query for orphans in the API.
struct OrphanQuery {
    instance: InstanceId,
    scope: LeaseScope,
    running: bool,
}

impl OrphanQuery {
    /// Returns whether there are no orphans of any kind.
    async fn is_empty(&self, client: &Client) -> Result<bool, kube::Error> {
        let orphan = match self.running {
            true => format!("{BACKEND_LABEL},{BACKEND_LABEL}!={}", self.scope.backend),
            false => BACKEND_LABEL.to_owned(),
        };
        // Those of this instance, and those that name no instance.
        let mut queries = vec![
            (None, format!("{orphan},{INSTANCE_LABEL}={}", self.instance)),
            (None, format!("{orphan},!{INSTANCE_LABEL}")),
        ];
        if !self.running {
            let all = format!("{BACKEND_LABEL}={}", self.scope.backend);
            queries.push((Some(&*self.scope.namespace), all));
        }
        for (namespace, selector) in queries {
            let params = ListParams::default().labels(&selector).limit(1);
            let is_empty = has_no_match::<rdd_api::Container>(client, namespace, &params).await?
                && has_no_match::<rdd_api::Image>(client, namespace, &params).await?
                && has_no_match::<rdd_api::Volume>(client, namespace, &params).await?
                && has_no_match::<rdd_api::ContainerNamespace>(client, namespace, &params).await?;
            if !is_empty {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns whether no object of the kind matches, in one namespace or in all.
async fn has_no_match<K>(
    client: &Client,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<bool, kube::Error>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    Ok(api.list_metadata(params).await?.items.is_empty())
}
