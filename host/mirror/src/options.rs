//! What the mirror is run with, and what it tells its caller.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use rdd_core::{BackendRegistry, ServingSnapshot};
use tokio::sync::watch;

use crate::instance::InstanceId;

/// The time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What [`run`](crate::run) needs.
pub struct MirrorOptions {
    /// The way to the Kubernetes API, embedded or not. The definitions of
    /// `rdd-api` must be installed: [`apply_crds`](crate::apply_crds).
    pub client: Client,
    /// Which of the daemons that may write to this API this one is.
    pub instance: InstanceId,
    /// Every backend that is loaded, or why it is not.
    pub backends: Arc<dyn BackendRegistry>,
    /// What request handlers read; from [`ServingSnapshot::channel`]. Nobody
    /// else may write it.
    pub serving: watch::Sender<ServingSnapshot>,
    /// How far the mirror has come, for a caller that shows or awaits it.
    pub progress: watch::Sender<MirrorProgress>,
    /// Whether nothing that changes the engine may reach it.
    pub read_only: bool,
    /// Intervals and limits.
    pub timing: MirrorTiming,
    /// The time of day, for conditions and actions.
    pub clock: Clock,
}

impl MirrorOptions {
    /// Options with the usual intervals and the system's clock, and the
    /// receivers of what the mirror says.
    pub fn new(
        client: Client,
        backends: Arc<dyn BackendRegistry>,
        instance: InstanceId,
    ) -> (
        Self,
        watch::Receiver<ServingSnapshot>,
        watch::Receiver<MirrorProgress>,
    ) {
        let (serving, snapshots) = ServingSnapshot::channel();
        let (progress, steps) = watch::channel(MirrorProgress::default());
        let options = Self {
            client,
            instance,
            backends,
            serving,
            progress,
            read_only: false,
            timing: MirrorTiming::default(),
            clock: Arc::new(Timestamp::now),
        };
        (options, snapshots, steps)
    }
}

/// How far the mirror has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorProgress {
    /// The controllers have finished their first list and read the App, and it
    /// is known whether this instance mirrors or stands by: the daemon's
    /// readiness may count on them.
    pub ready: bool,
    /// Everything that the engine named in its newest whole listing is
    /// written, or was tried.
    pub synced: bool,
    /// Mirrors that are as they should be.
    pub done: usize,
    /// Mirrors that there should be, as far as is known.
    pub total: usize,
    /// Why this instance mirrors nothing although it could, as one sentence:
    /// another one holds the Lease, or it cannot be had. Logs are served all
    /// the same.
    pub standby: Option<Arc<str>>,
}

/// Intervals and limits of the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorTiming {
    /// How often everything is listed anew, since engines drop events for slow
    /// readers: a tenth more or less.
    pub resync_interval: Duration,
    /// First wait before the engine is tried again.
    pub reconnect_min: Duration,
    /// Longest wait, before jitter doubles it at most: mirrors have to be right
    /// again within two seconds of the engine's return.
    pub reconnect_max: Duration,
    /// First wait after a failed write of a mirror.
    pub write_retry_min: Duration,
    /// Longest wait after failed writes.
    pub write_retry_max: Duration,
    /// First wait after the engine refused to remove something.
    pub removal_retry_min: Duration,
    /// Longest wait after refusals.
    pub removal_retry_max: Duration,
    /// How long a refused removal is left alone at first, whatever goes that
    /// may have been in its way: a burst of removals wakes it once, not each
    /// time.
    pub removal_rest_min: Duration,
    /// The longest such rest, after refusals in a row: how long the last
    /// removal of a burst may go unanswered.
    pub removal_rest_max: Duration,
    /// How long the engine's own word on what we had it remove may take,
    /// before its events count as lost.
    pub removal_echo: Duration,
    /// How long a volume has to be known before it may be removed: longer than
    /// the second that its creation time names, with time for events that
    /// tell of another one made in that second.
    pub volume_youth: Duration,
    /// How the Lease is held.
    pub lease: LeaseTiming,
    /// How often a sweep looks again whether anything is left.
    pub sweep_check: Duration,
    /// Writes in flight at once: enough to fill the group commits of an
    /// embedded server, few enough to leave a real one in peace.
    pub concurrent_writes: usize,
    /// Actions at work at once. Each is a call that mostly waits.
    pub concurrent_actions: usize,
    /// Removals at work at once. Engines serialise them anyway.
    pub concurrent_removals: usize,
}

impl Default for MirrorTiming {
    fn default() -> Self {
        Self {
            resync_interval: Duration::from_secs(300),
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_millis(700),
            write_retry_min: Duration::from_millis(250),
            write_retry_max: Duration::from_secs(60),
            removal_retry_min: Duration::from_secs(1),
            removal_retry_max: Duration::from_secs(300),
            removal_rest_min: Duration::from_secs(1),
            removal_rest_max: Duration::from_secs(8),
            removal_echo: Duration::from_secs(5),
            volume_youth: Duration::from_secs(2),
            lease: LeaseTiming::default(),
            sweep_check: Duration::from_secs(1),
            concurrent_writes: 48,
            concurrent_actions: 256,
            concurrent_removals: 16,
        }
    }
}

/// How a Lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long a holder may be silent before another instance takes over, in
    /// whole seconds.
    pub duration: Duration,
    /// How long a holder goes on writing without a renewal. Shorter than
    /// `duration`, so that it has stopped when another one begins.
    pub renew_deadline: Duration,
    /// How often a holder renews it, and anybody else looks at it.
    pub renew_interval: Duration,
    /// How soon a request that failed is tried again.
    pub retry_interval: Duration,
}

impl Default for LeaseTiming {
    /// Three renewals in each duration: one may be late and one lost.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            renew_deadline: Duration::from_secs(20),
            renew_interval: Duration::from_secs(10),
            retry_interval: Duration::from_secs(2),
        }
    }
}
