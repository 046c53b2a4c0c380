//! Leader election: the Lease that lets one daemon mirror a backend into a
//! namespace, while all others stand by.
//!
//! Written by hand: kube has no leader election, and the crates that add one
//! compare the clocks of two machines. This module follows client-go: a holder
//! stops before its Lease can be taken over, and a candidate relies only on its
//! own clock.
//!
//! No removal depends on the Lease alone, because a Lease may be deleted and a
//! process may be suspended: see `plan` and `deletion_check`. The Lease keeps
//! two daemons from undoing each other's writes.

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
use tracing::{Instrument as _, info_span, warn};

use crate::install;
use crate::instance::InstanceId;
use crate::options::{LeaseTiming, WallClock};
use observer::{LeaseAction, LeaseObserver, LeaseRecord};

/// A backend and the namespace that it is mirrored into. Each has its own
/// Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseScope {
    /// Namespace of the mirrors.
    pub(crate) namespace: Arc<str>,
    pub(crate) backend: Arc<str>,
}

impl LeaseScope {
    pub(crate) fn lease_name(&self) -> String {
        lease_name(&self.namespace, &self.backend)
    }
}

/// Returns the name of the Lease that lets an instance mirror `backend` into
/// `namespace`. Its holder is the [`InstanceId`].
///
/// The Lease is in the daemon's own namespace, [`SYSTEM_NAMESPACE`], and not
/// with the mirrors: while their namespace is being deleted, an instance must
/// hold the Lease to release them.
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
    /// Not known yet, or the Lease cannot be acquired for this reason.
    Unknown { reason: Option<Arc<str>> },
    /// This daemon holds the Lease at least until then.
    Held { until: Instant },
    /// Another instance holds the Lease.
    HeldBy { holder: Arc<str> },
}

/// A handle that shows whether a Lease is held. Clones refer to the same Lease.
#[derive(Clone)]
pub(crate) struct LeaseHandle(watch::Receiver<LeaseState>);

impl LeaseHandle {
    /// Returns whether this daemon may write now.
    pub(crate) fn is_held(&self) -> bool {
        matches!(*self.0.borrow(), LeaseState::Held { until } if Instant::now() < until)
    }

    pub(crate) fn state(&self) -> LeaseState {
        self.0.borrow().clone()
    }

    /// Waits until the state changes. Returns false if the task that renews the
    /// Lease has ended, which only happens if it panics.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Returns a handle of a Lease that is held for the duration of a test.
    #[cfg(test)]
    pub(crate) fn held() -> Self {
        let until = Instant::now() + Duration::from_secs(60 * 60);
        Self(watch::Sender::new(LeaseState::Held { until }).subscribe())
    }

    /// Returns a handle of a Lease whose renew deadline has passed.
    #[cfg(test)]
    pub(crate) fn lost() -> Self {
        let until = Instant::now();
        Self(watch::Sender::new(LeaseState::Held { until }).subscribe())
    }
}

/// The task that acquires and renews a Lease until it is dropped.
pub(crate) struct LeaseTask {
    pub(crate) scope: LeaseScope,
    pub(crate) handle: LeaseHandle,
    _task: JoinSet<()>,
}

impl LeaseTask {
    /// Starts acquiring the Lease of `scope`.
    pub(crate) fn start(
        client: Client,
        scope: LeaseScope,
        identity: &InstanceId,
        timing: LeaseTiming,
        clock: WallClock,
    ) -> Self {
        let (sender, receiver) = watch::channel(LeaseState::Unknown { reason: None });
        let elector = LeaderElector {
            api: Api::namespaced(client.clone(), SYSTEM_NAMESPACE),
            client,
            name: scope.lease_name(),
            identity: identity.shared(),
            observer: LeaseObserver::new(identity.shared()),
            timing,
            clock,
        };
        let mut task = JoinSet::new();
        let span = info_span!("lease", name = scope.lease_name());
        task.spawn(elector.run(sender).instrument(span));
        Self {
            scope,
            handle: LeaseHandle(receiver),
            _task: task,
        }
    }
}

/// Acquires and renews one Lease.
struct LeaderElector {
    client: Client,
    api: Api<Lease>,
    name: String,
    identity: Arc<str>,
    observer: LeaseObserver,
    timing: LeaseTiming,
    clock: WallClock,
}

impl LeaderElector {
    async fn run(mut self, sender: watch::Sender<LeaseState>) {
        let mut held_until: Option<Instant> = None;
        let mut failures = 0_u32;
        // Error of the previous attempt.
        let mut cause: Option<String> = None;
        loop {
            // Taken before the request: the lease duration counts from the
            // write.
            let started = Instant::now();
            let limit = held_until.unwrap_or(started + self.timing.renew_deadline);
            let attempt = timeout_at(limit, self.acquire_or_renew()).await;
            let (state, delay) = match attempt {
                Ok(Ok(None)) => {
                    let until = started + self.timing.renew_deadline;
                    (LeaseState::Held { until }, self.timing.renew_interval)
                }
                Ok(Ok(Some(holder))) => (LeaseState::HeldBy { holder }, self.timing.renew_interval),
                failure => {
                    let reason = match failure {
                        Ok(Err(error)) => Some(error.to_string()),
                        // The deadline left no time for this attempt.
                        _ if limit <= started => cause.take(),
                        _ => None,
                    };
                    let reason =
                        reason.unwrap_or_else(|| "the API does not respond in time".to_owned());
                    cause = Some(reason.clone());
                    failures = failures.saturating_add(1);
                    // Logged less and less often while it keeps failing.
                    if failures.is_power_of_two() {
                        warn!(error = %reason, "cannot acquire or renew the Lease");
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
                let is_changed = *known != state;
                *known = state;
                is_changed
            });
            if sender.is_closed() {
                return;
            }
            sleep(delay).await;
        }
    }

    /// Reads the Lease, then creates or updates it if possible. Returns the
    /// holder if another instance holds it.
    async fn acquire_or_renew(&mut self) -> Result<Option<Arc<str>>, kube::Error> {
        let current = self.api.get_opt(&self.name).await?;
        let record = current.as_ref().map(record);
        match self.observer.decide(record, Instant::now()) {
            LeaseAction::Wait { holder } => return Ok(Some(holder)),
            LeaseAction::Create => {
                let lease = self.next_lease(None, 0);
                let params = PostParams::default();
                match self.api.create(&params, &lease).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {
                        install::ensure_namespace(&self.client, SYSTEM_NAMESPACE).await?;
                        self.api.create(&params, &lease).await?
                    }
                    other => other?,
                }
            }
            LeaseAction::Write { transitions } => {
                let lease = self.next_lease(current, transitions);
                self.api
                    .replace(&self.name, &PostParams::default(), &lease)
                    .await?
            }
        };
        Ok(None)
    }

    /// Returns the Lease to write over `current`.
    fn next_lease(&self, current: Option<Lease>, transitions: i32) -> Lease {
        let now = MicroTime((self.clock)());
        let mut lease = current.unwrap_or_default();
        let previous = lease.spec.take().unwrap_or_default();
        let is_ours = previous.holder_identity.as_deref() == Some(&*self.identity);
        lease.metadata.name = Some(self.name.clone());
        lease.metadata.managed_fields = None;
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.to_string()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs().max(1)).ok(),
            acquire_time: previous
                .acquire_time
                .filter(|_| is_ours)
                .or(Some(now.clone())),
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
