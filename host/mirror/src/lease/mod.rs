//! The Lease that lets one daemon mirror a backend into a namespace, and keeps
//! every other from it.
//!
//! Written by hand: kube has no leader election, and the crates that add one
//! compare the clocks of two machines. Client-go's rules are kept here: a
//! holder stops by itself before its Lease can be taken over, and who takes
//! over goes by its own clock.
//!
//! No removal rests on the Lease alone, since a Lease may be deleted, and a
//! process be suspended: see `plan` and `deletion_check`. It keeps two daemons
//! from undoing each other's work.

mod observer;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use rdd_api::SYSTEM_NAMESPACE;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::install;
use crate::instance::InstanceId;
use crate::options::{Clock, LeaseTiming};
use observer::{LeaseObserver, LeaseRecord, LeaseStep};

/// What is mirrored where: there is one Lease for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseScope {
    /// The namespace of the mirrors.
    pub(crate) namespace: Arc<str>,
    pub(crate) backend: Arc<str>,
}

impl LeaseScope {
    pub(crate) fn lease_name(&self) -> String {
        lease_name(&self.namespace, &self.backend)
    }
}

/// Name of the Lease that lets an instance mirror `backend` into `namespace`;
/// the holder is the [`InstanceId`].
///
/// It lies in the daemon's own namespace, [`SYSTEM_NAMESPACE`], and not with
/// the mirrors: while their namespace is being deleted, somebody has to hold
/// it to let them go.
///
/// ```
/// assert_eq!(rdd_mirror::lease_name("rancher-desktop", "moby"), "rancher-desktop.moby");
/// ```
pub fn lease_name(namespace: &str, backend: &str) -> String {
    format!("{namespace}.{backend}")
}

/// Whether this daemon holds a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// Not known, or not to be had, for this reason.
    Unknown { reason: Option<Arc<str>> },
    /// It does, until then at least.
    Held { until: Instant },
    /// Somebody else does.
    HeldBy { holder: Arc<str> },
}

/// Tells whether a Lease is held. Clones are about the same one.
#[derive(Clone)]
pub(crate) struct LeaseHandle(watch::Receiver<LeaseState>);

impl LeaseHandle {
    /// Whether this daemon may write now.
    pub(crate) fn is_held(&self) -> bool {
        matches!(*self.0.borrow(), LeaseState::Held { until } if Instant::now() < until)
    }

    pub(crate) fn state(&self) -> LeaseState {
        self.0.borrow().clone()
    }

    /// Waits for another state; false when the task that holds it has ended,
    /// which it does not do on its own.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// One that is held for as long as a test runs.
    #[cfg(test)]
    pub(crate) fn held() -> Self {
        let until = Instant::now() + Duration::from_secs(60 * 60);
        Self(watch::Sender::new(LeaseState::Held { until }).subscribe())
    }

    /// One whose time is over, which nobody has noticed yet.
    #[cfg(test)]
    pub(crate) fn lost() -> Self {
        let until = Instant::now();
        Self(watch::Sender::new(LeaseState::Held { until }).subscribe())
    }
}

/// A Lease that is being held, or waited for; until it is dropped.
pub(crate) struct LeaseTask {
    pub(crate) scope: LeaseScope,
    pub(crate) handle: LeaseHandle,
    _task: JoinSet<()>,
}

impl LeaseTask {
    /// Begins to hold the Lease of `scope`.
    pub(crate) fn start(
        client: Client,
        scope: LeaseScope,
        identity: &InstanceId,
        timing: LeaseTiming,
        clock: Clock,
    ) -> Self {
        let (sender, receiver) = watch::channel(LeaseState::Unknown { reason: None });
        let holder = LeaseHolder {
            api: Api::namespaced(client.clone(), SYSTEM_NAMESPACE),
            client,
            name: scope.lease_name(),
            identity: identity.shared(),
            observer: LeaseObserver::new(identity.shared()),
            timing,
            clock,
        };
        let mut task = JoinSet::new();
        task.spawn(holder.run(sender));
        Self {
            scope,
            handle: LeaseHandle(receiver),
            _task: task,
        }
    }
}

struct LeaseHolder {
    client: Client,
    api: Api<Lease>,
    name: String,
    identity: Arc<str>,
    observer: LeaseObserver,
    timing: LeaseTiming,
    clock: Clock,
}

impl LeaseHolder {
    async fn run(mut self, sender: watch::Sender<LeaseState>) {
        let mut held_until: Option<Instant> = None;
        let mut failures = 0_u32;
        // What the attempt before met with.
        let mut cause: Option<String> = None;
        loop {
            // From before the request: the server counts from when it writes.
            let begun = Instant::now();
            let limit = held_until.unwrap_or(begun + self.timing.renew_deadline);
            let attempt = timeout_at(limit, self.attempt()).await;
            let (state, pause) = match attempt {
                Ok(Ok(None)) => {
                    let until = begun + self.timing.renew_deadline;
                    (LeaseState::Held { until }, self.timing.renew_interval)
                }
                Ok(Ok(Some(holder))) => (LeaseState::HeldBy { holder }, self.timing.renew_interval),
                failure => {
                    let reason = match failure {
                        Ok(Err(error)) => Some(error.to_string()),
                        // The deadline left this attempt no time.
                        _ if limit <= begun => cause.take(),
                        _ => None,
                    };
                    let reason =
                        reason.unwrap_or_else(|| "the API does not answer in time".to_owned());
                    cause = Some(reason.clone());
                    failures = failures.saturating_add(1);
                    // Loud when it begins, then quieter and quieter.
                    if failures.is_power_of_two() {
                        warn!(lease = self.name, %reason, "cannot get or renew the Lease");
                    }
                    let state = match held_until {
                        Some(until) if Instant::now() < until => LeaseState::Held { until },
                        _ => LeaseState::Unknown {
                            reason: Some(reason.into()),
                        },
                    };
                    (state, self.timing.retry_interval)
                }
            };
            held_until = match &state {
                LeaseState::Held { until } => Some(*until),
                _ => None,
            };
            if matches!(state, LeaseState::HeldBy { .. })
                || held_until.is_some_and(|until| until > limit)
            {
                failures = 0;
                cause = None;
            }
            sender.send_if_modified(|known| {
                let moved = *known != state;
                *known = state;
                moved
            });
            if sender.is_closed() {
                return;
            }
            sleep(pause).await;
        }
    }

    /// Reads the Lease and does what it takes; returns its holder when that is
    /// somebody else.
    async fn attempt(&mut self) -> Result<Option<Arc<str>>, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        let record = found.as_ref().map(record);
        match self.observer.decide(record, Instant::now()) {
            LeaseStep::Wait { holder } => return Ok(Some(holder)),
            LeaseStep::Create => {
                let lease = self.lease(None, 0);
                let params = PostParams::default();
                match self.api.create(&params, &lease).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {
                        install::ensure_namespace(&self.client, SYSTEM_NAMESPACE).await?;
                        self.api.create(&params, &lease).await?
                    }
                    other => other?,
                }
            }
            LeaseStep::Write { transitions } => {
                let lease = self.lease(found, transitions);
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?
            }
        };
        Ok(None)
    }

    /// The Lease as its holder writes it, in the version that was `found`.
    fn lease(&self, found: Option<Lease>, transitions: i32) -> Lease {
        let now = MicroTime((self.clock)());
        let mut lease = found.unwrap_or_default();
        let was = lease.spec.take().unwrap_or_default();
        let is_ours = was.holder_identity.as_deref() == Some(&*self.identity);
        lease.metadata.name = Some(self.name.clone());
        lease.metadata.managed_fields = None;
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.to_string()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs().max(1)).ok(),
            acquire_time: was.acquire_time.filter(|_| is_ours).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        });
        lease
    }
}

fn record(lease: &Lease) -> LeaseRecord {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    LeaseRecord {
        holder: spec
            .holder_identity
            .filter(|holder| !holder.is_empty())
            .map(Into::into),
        version: lease.resource_version().unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
