//! The options of the mirror controller, and the progress that it reports.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use rdd_core::{BackendRegistry, ContainerIndex, ServingSnapshot};
use tokio::sync::watch;

use crate::instance::InstanceId;
use crate::metrics::MirrorMetrics;

/// The wall clock of the mirror controller: conditions, actions, and Leases get
/// their timestamps from it. Timeouts use tokio's clock.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The options of [`run`](crate::run).
pub struct MirrorOptions {
    /// Client of the Kubernetes API, embedded or external. The CRDs of
    /// `rdd-api` must be installed: see [`apply_crds`](crate::apply_crds).
    pub client: Client,
    /// The ID of this daemon among those that write to the same API.
    pub instance: InstanceId,
    /// Every loaded backend, and why the others are not loaded.
    pub backends: Arc<dyn BackendRegistry>,
    /// The snapshot that request handlers read, from
    /// [`ServingSnapshot::channel`]. It must have no other writer.
    pub serving: watch::Sender<ServingSnapshot>,
    /// The containers of the selected backend, from
    /// [`ContainerIndex::channel`]. It must have no other writer.
    pub containers: watch::Sender<ContainerIndex>,
    /// The progress of the mirror controller, for a caller that displays it or
    /// waits for it.
    pub progress: watch::Sender<MirrorProgress>,
    /// What is measured about the controller.
    pub metrics: MirrorMetrics,
    /// Whether every change of the engine is refused.
    pub read_only: bool,
    /// Intervals and limits.
    pub timing: MirrorTiming,
    /// The wall clock, for conditions and actions.
    pub clock: WallClock,
}

impl MirrorOptions {
    /// Returns options with the default intervals and the system clock,
    /// together with the receivers of the serving snapshot and of the progress.
    /// Readers of the containers subscribe to the sender.
    pub fn new(
        client: Client,
        backends: Arc<dyn BackendRegistry>,
        instance: InstanceId,
    ) -> (
        Self,
        watch::Receiver<ServingSnapshot>,
        watch::Receiver<MirrorProgress>,
    ) {
        let (serving, serving_receiver) = ServingSnapshot::channel();
        let (progress, progress_receiver) = watch::channel(MirrorProgress::default());
        let options = Self {
            client,
            instance,
            backends,
            serving,
            containers: ContainerIndex::channel().0,
            progress,
            metrics: MirrorMetrics::default(),
            read_only: false,
            timing: MirrorTiming::default(),
            clock: Arc::new(Timestamp::now),
        };
        (options, serving_receiver, progress_receiver)
    }
}

/// The progress of the mirror controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorProgress {
    /// Whether the first list of every watch is complete, the App has been
    /// read, and the Lease has been decided: whether this instance mirrors or
    /// stands by. The daemon's readiness may depend on it.
    pub ready: bool,
    /// Whether every object of the newest complete listing of the engine has
    /// been written, or its write has been attempted.
    pub synced: bool,
    /// Number of mirrors that are up to date.
    pub done: usize,
    /// Number of mirrors that should exist, as far as the engine has been
    /// listed.
    pub total: usize,
    /// Why this instance mirrors nothing, as one sentence: another instance
    /// holds the Lease, or the Lease cannot be acquired. Logs are still served.
    pub standby: Option<Arc<str>>,
}

/// Intervals and limits of the mirror controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorTiming {
    /// Interval between resyncs, which list the whole engine because engines
    /// drop events for slow readers. Jittered by up to 10 %.
    pub resync_interval: Duration,
    /// Initial delay before reconnecting to the engine.
    pub reconnect_delay_min: Duration,
    /// Maximum delay before reconnecting, before jitter, which at most doubles
    /// it: mirrors must be correct within two seconds of the engine's return.
    pub reconnect_delay_max: Duration,
    /// Initial delay after a failed write of a mirror.
    pub write_retry_min: Duration,
    /// Maximum delay after failed writes of a mirror.
    pub write_retry_max: Duration,
    /// Initial delay after the engine refused a removal.
    pub removal_retry_min: Duration,
    /// Maximum delay after refused removals.
    pub removal_retry_max: Duration,
    /// Initial cool-down after a refused removal. During it, the removal of
    /// objects that may have blocked it triggers no retry, so that a burst of
    /// removals triggers one retry instead of many.
    pub removal_cooldown_min: Duration,
    /// Maximum cool-down, after repeated refusals: how long a removal may take
    /// to be retried after the last removal of a burst.
    pub removal_cooldown_max: Duration,
    /// How long the engine may take to report a removal that it carried out for
    /// us, before its events count as lost.
    pub removal_event_timeout: Duration,
    /// How long a volume must have been known before it may be removed. Longer
    /// than the one-second resolution of creation times, with time for events
    /// about another volume created in the same second.
    pub volume_settle_time: Duration,
    /// Timing of the Lease.
    pub lease: LeaseTiming,
    /// Interval between checks whether orphans are left to prune.
    pub prune_check_interval: Duration,
    /// Maximum number of concurrent writes: enough to fill the group commits of
    /// the embedded API server, and few enough not to load an external one.
    pub max_concurrent_writes: usize,
    /// Maximum number of concurrent actions. Each is a call that mostly waits.
    pub max_concurrent_actions: usize,
    /// Maximum number of concurrent removals. Engines serialize them anyway.
    pub max_concurrent_removals: usize,
}

impl Default for MirrorTiming {
    fn default() -> Self {
        Self {
            resync_interval: Duration::from_secs(300),
            reconnect_delay_min: Duration::from_millis(100),
            reconnect_delay_max: Duration::from_millis(700),
            write_retry_min: Duration::from_millis(250),
            write_retry_max: Duration::from_secs(60),
            removal_retry_min: Duration::from_secs(1),
            removal_retry_max: Duration::from_secs(300),
            removal_cooldown_min: Duration::from_secs(1),
            removal_cooldown_max: Duration::from_secs(8),
            removal_event_timeout: Duration::from_secs(5),
            volume_settle_time: Duration::from_secs(2),
            lease: LeaseTiming::default(),
            prune_check_interval: Duration::from_secs(1),
            max_concurrent_writes: 48,
            max_concurrent_actions: 256,
            max_concurrent_removals: 16,
        }
    }
}

/// Timing of a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long after its last renewal another instance may take the Lease
    /// over. Whole seconds.
    pub duration: Duration,
    /// How long a holder may write after its last renewal. Shorter than
    /// `duration`, so that it has stopped writing before another one starts.
    pub renew_deadline: Duration,
    /// Interval between renewals by the holder, and between checks by others.
    pub renew_interval: Duration,
    /// Delay before a failed request is retried.
    pub retry_interval: Duration,
}

impl Default for LeaseTiming {
    /// Three renewals per duration: one may be late and one lost.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            renew_deadline: Duration::from_secs(20),
            renew_interval: Duration::from_secs(10),
            retry_interval: Duration::from_secs(2),
        }
    }
}
