//! A second instance of the daemon on the same API: both want the same Lease.

use std::mem::swap;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::json;

use super::Run;
use super::api_user::ignore_missing;
use super::misfortune::Broken;
use super::truth::Truth;
use crate::world::{NAMESPACE, World};

/// Where the IDs of the second engine begin: no two engines have a container of
/// the same ID.
const IDS_FROM: u64 = 1 << 32;

/// The instance that does not act just now.
pub(super) struct Rival {
    pub(super) world: World,
    engine: FakeEngine,
    truth: Truth,
    broken: Broken,
    /// Both are for one engine: then there is one truth, too, and the rival's
    /// is not used.
    pub(super) shares: bool,
}

/// What tells two terms of the Lease apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) holder: String,
    uid: Option<String>,
    transitions: Option<i32>,
}

impl Rival {
    pub(super) fn of(world: &World, engine: &FakeEngine, shares: bool) -> Self {
        let engine = if shares {
            engine.clone()
        } else {
            FakeEngine::default().with_ids_from(IDS_FROM)
        };
        Self {
            world: world.join("second", &engine),
            engine,
            truth: Truth::default(),
            broken: Broken::default(),
            shares,
        }
    }

    /// Takes in what has gone from its engine.
    pub(super) fn absorb(&mut self) -> Result<(), String> {
        if self.shares {
            return Ok(());
        }
        self.truth.absorb(&self.engine)
    }

    /// It has been on standby: what was to be removed from its engine is not
    /// to be removed any more.
    pub(super) fn forget_wishes(&mut self) {
        self.truth.doomed.clear();
        self.truth.excused.clear();
    }
}

impl Run {
    /// Changes places with the rival: whatever is done next is about that one.
    pub(super) fn switch(&mut self) {
        let Some(rival) = &mut self.rival else {
            return;
        };
        swap(&mut self.world, &mut rival.world);
        swap(&mut self.broken, &mut rival.broken);
        if !rival.shares {
            swap(&mut self.engine, &mut rival.engine);
            swap(&mut self.truth, &mut rival.truth);
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.world.client.clone(), rdd_api::SYSTEM_NAMESPACE)
    }

    /// The Lease as it is.
    pub(super) async fn term(&self) -> Result<Term, String> {
        let name = rdd_mirror::lease_name(NAMESPACE, "moby");
        let lease = self.leases().get(&name).await;
        let lease = lease.map_err(|error| error.to_string())?;
        let uid = lease.uid();
        let spec = lease.spec.unwrap_or_default();
        Ok(Term {
            holder: spec.holder_identity.unwrap_or_default(),
            uid,
            transitions: spec.lease_transitions,
        })
    }

    /// Somebody deletes the Lease.
    pub(super) async fn delete_lease(&mut self) {
        self.note("delete the Lease");
        let name = rdd_mirror::lease_name(NAMESPACE, "moby");
        let params = DeleteParams::default();
        ignore_missing(self.leases().delete(&name, &params).await);
    }

    /// A blow to the order between the two.
    pub(super) async fn contest(&mut self) {
        self.uproot_all();
        let name = self.world.instance.to_string();
        match self.rng.u8(..5) {
            0 | 1 if self.broken.down => self.start(),
            0 | 1 => {
                self.note(format!("the {name} instance is killed"));
                self.world.tasks.shutdown().await;
                self.broken.down = true;
            }
            2 => self.delete_lease().await,
            3 => {
                // A newcomer does not know of a holder, who goes on for a while.
                self.world.tasks.shutdown().await;
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

    /// A new process of this instance.
    pub(super) fn start(&mut self) {
        self.note(format!("the {} instance starts", self.world.instance));
        self.may_repeat_actions();
        self.broken.down = false;
        self.world.start();
    }

    /// Waits until this instance holds the Lease.
    pub(super) async fn takes_over(&self) {
        eventually("a takeover", || async {
            let term = self.term().await?;
            if *term.holder == *self.world.instance.to_string() {
                Ok(())
            } else {
                Err(format!("{term:?}"))
            }
        })
        .await;
    }
}
