//! A second instance of the daemon on the same API, which competes for the
//! Lease.

use std::mem::swap;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::json;

use super::ModelRun;
use super::api_user::ignore_missing;
use super::engine_model::EngineModel;
use super::fault_injection::ActiveFaults;
use crate::test_mirror::{NAMESPACE, TestMirror};

/// First container ID of the second engine: container IDs are unique across
/// engines.
const IDS_FROM: u64 = 1 << 32;

/// The instance that is not active now. Operations act on the active one.
pub(super) struct PeerInstance {
    pub(super) mirror: TestMirror,
    engine: FakeEngine,
    engine_model: EngineModel,
    active_faults: ActiveFaults,
    /// Whether both instances use the same engine. If so, there is one model,
    /// and that of the peer is not used.
    pub(super) shares_engine: bool,
}

/// The identity of one term of the Lease.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LeaseTerm {
    pub(super) holder: String,
    uid: Option<String>,
    transitions: Option<i32>,
}

impl PeerInstance {
    pub(super) fn start(mirror: &TestMirror, engine: &FakeEngine, shares_engine: bool) -> Self {
        let engine = if shares_engine {
            engine.clone()
        } else {
            FakeEngine::default().with_ids_from(IDS_FROM)
        };
        Self {
            mirror: mirror.join("second", &engine),
            engine,
            engine_model: EngineModel::default(),
            active_faults: ActiveFaults::default(),
            shares_engine,
        }
    }

    /// Updates the model of its engine.
    pub(super) fn sync_model(&mut self) -> Result<(), String> {
        if self.shares_engine {
            return Ok(());
        }
        self.engine_model.sync_with(&self.engine)
    }

    /// Drops deletions after it stood by: they are not carried out in its
    /// engine.
    pub(super) fn reset_deletions(&mut self) {
        self.engine_model.deleted.clear();
        self.engine_model.may_survive.clear();
    }
}

impl ModelRun {
    /// Makes the peer the active instance.
    pub(super) fn swap_instances(&mut self) {
        let Some(peer) = &mut self.peer else {
            return;
        };
        swap(&mut self.mirror, &mut peer.mirror);
        swap(&mut self.active_faults, &mut peer.active_faults);
        if !peer.shares_engine {
            swap(&mut self.engine, &mut peer.engine);
            swap(&mut self.engine_model, &mut peer.engine_model);
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.mirror.client.clone(), rdd_api::SYSTEM_NAMESPACE)
    }

    /// Returns the current term of the Lease.
    pub(super) async fn lease_term(&self) -> Result<LeaseTerm, String> {
        let name = rdd_mirror::lease_name(NAMESPACE, "moby");
        let lease = self.leases().get(&name).await;
        let lease = lease.map_err(|error| error.to_string())?;
        let uid = lease.uid();
        let spec = lease.spec.unwrap_or_default();
        Ok(LeaseTerm {
            holder: spec.holder_identity.unwrap_or_default(),
            uid,
            transitions: spec.lease_transitions,
        })
    }

    /// Deletes the Lease.
    pub(super) async fn delete_lease(&mut self) {
        self.note("delete the Lease");
        let name = rdd_mirror::lease_name(NAMESPACE, "moby");
        let params = DeleteParams::default();
        ignore_missing(self.leases().delete(&name, &params).await);
    }

    /// Disturbs leader election.
    pub(super) async fn disturb_lease(&mut self) {
        self.all_may_be_recreated();
        let name = self.mirror.instance.to_string();
        match self.rng.u8(..5) {
            0 | 1 if self.active_faults.down => self.start(),
            0 | 1 => {
                self.note(format!("the {name} instance is killed"));
                self.mirror.tasks.shutdown().await;
                self.active_faults.down = true;
            }
            2 => self.delete_lease().await,
            3 => {
                // A new process does not know the holder, which keeps writing
                // for a while.
                self.mirror.tasks.shutdown().await;
                self.delete_lease().await;
                self.start();
            }
            _ => {
                self.note(format!("give the Lease to the {name} instance"));
                let patch = Patch::Merge(json!({"spec": {"holderIdentity": name}}));
                let lease = rdd_mirror::lease_name(NAMESPACE, "moby");
                let params = PatchParams::default();
                ignore_missing(self.leases().patch(&lease, &params, &patch).await);
            }
        }
    }

    /// Starts a new process of the active instance.
    pub(super) fn start(&mut self) {
        self.note(format!("the {} instance starts", self.mirror.instance));
        self.may_repeat_actions();
        self.active_faults.down = false;
        self.mirror.start();
    }

    /// Waits until the active instance holds the Lease.
    pub(super) async fn wait_for_takeover(&self) {
        eventually("a takeover", || async {
            let term = self.lease_term().await?;
            if *term.holder == *self.mirror.instance.to_string() {
                Ok(())
            } else {
                Err(format!("{term:?}"))
            }
        })
        .await;
    }
}
