//! The controller: one task that owns all state. Watches, the engine watcher,
//! and requests run in their own tasks and report to it; nothing is shared.

mod prune;
mod report;
mod restore;
mod selection;
mod standby;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use rdd_api::App;
use rdd_core::BackendInfo;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tracing::{Instrument as _, error, info_span};

use crate::api_watcher::{self, ApiEvent};
use crate::app::EnginePhase;
use crate::install_watcher::{self, InstallationState};
use crate::lease::LeaseTask;
use crate::options::{MirrorOptions, MirrorTiming};
use crate::state::{MirrorState, MirrorTimer};
use selection::{BackendSelection, EngineSession, next_event};
use standby::lease_changed;
use tasks::{TaskKind, TaskOutput};

/// Mirrors the engine that the App selects, until `shutdown` is cancelled.
///
/// Failures of the engine, of a backend, or of the API are retried. They appear
/// in the conditions of the App and in the log. The function returns earlier
/// only if one of its watches has ended.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use rdd_core::BackendRegistry;
/// use rdd_mirror::{AppOptions, InstanceId, MirrorOptions};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example(
/// #     client: kube::Client,
/// #     backends: Arc<dyn BackendRegistry>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// rdd_mirror::apply_crds(&client).await?;
/// rdd_mirror::ensure_app(&client, &AppOptions::default()).await?;
/// let instance = InstanceId::parse("4b6c1a52-0d2e-4f4e-9f5f-3a1c9d1e7b10")?;
/// let (options, serving, mut progress) = MirrorOptions::new(client, backends, instance);
/// let shutdown = CancellationToken::new();
/// let task = tokio::spawn(rdd_mirror::run(options, shutdown.clone()));
///
/// progress.wait_for(|progress| progress.synced).await?;
/// println!("serving from {:?}", serving.borrow().backend);
///
/// shutdown.cancel();
/// task.await?;
/// # Ok(())
/// # }
/// ```
pub async fn run(options: MirrorOptions, shutdown: CancellationToken) {
    let span = info_span!("mirror", instance = %options.instance);
    shutdown
        .run_until_cancelled(run_forever(options).instrument(span))
        .await;
}

async fn run_forever(options: MirrorOptions) {
    let mut watch_tasks = JoinSet::new();
    let (relist, relist_receiver) = watch::channel(0);
    let api_events = api_watcher::start(&options.client, &relist_receiver, &mut watch_tasks);
    let (namespace, namespace_receiver) = watch::channel(Arc::from(""));
    let (sender, state) = watch::channel(InstallationState::complete());
    let install_watcher = install_watcher::run(options.client.clone(), namespace_receiver, sender);
    watch_tasks.spawn(install_watcher.in_current_span());
    let backends = options.backends.changes();
    let installation = InstallationHandle {
        namespace,
        relist,
        state,
        app_needs_restore: false,
    };
    let controller = MirrorController::new(options, installation);
    tokio::select! {
        () = controller.run(api_events, backends) => {}
        // Without one of the watches, the controller would miss changes.
        Some(result) = watch_tasks.join_next() => match result {
            Ok(()) => error!("a watch ended unexpectedly"),
            Err(error) => error!(%error, "a watch panicked"),
        },
    }
}

/// What a timer of the controller is for.
enum ControllerTimer {
    Mirror(MirrorTimer),
    AppStatusWrite,
    PruneCheck,
    RestoreApp,
}

/// The connection to the task that watches and recreates the prerequisites of
/// mirrors.
struct InstallationHandle {
    /// The namespace of the mirrors, which must exist.
    namespace: watch::Sender<Arc<str>>,
    /// Each change lists all mirrors again.
    relist: watch::Sender<u64>,
    state: watch::Receiver<InstallationState>,
    /// Whether the App was deleted together with its definition and must be
    /// recreated.
    app_needs_restore: bool,
}

struct MirrorController {
    options: MirrorOptions,
    installation: InstallationHandle,
    state: MirrorState,
    /// The newest App that was read or written; `None` if there is none.
    app: Option<Box<App>>,
    app_read: bool,
    app_write_in_flight: bool,
    app_write_failures: u32,
    app_backing_off: bool,
    selection: Option<BackendSelection>,
    session: Option<EngineSession>,
    /// The Lease of the selected scope; `None` if no backend is selected.
    lease: Option<LeaseTask>,
    /// Why this instance stands by, as last logged.
    standby: Option<Arc<str>>,
    info: Option<BackendInfo>,
    phase: EnginePhase,
    /// Number of selections so far: a check that began before the last one
    /// proves nothing.
    selection_generation: u64,
    /// Whether all orphans are pruned.
    pruned: bool,
    prune_check_in_flight: bool,
    tasks: JoinSet<TaskOutput>,
    /// What each task does, in case it panics.
    task_kinds: HashMap<Id, TaskKind>,
    timers: DelayQueue<ControllerTimer>,
    action_permits: Arc<Semaphore>,
    removal_permits: Arc<Semaphore>,
}

impl MirrorController {
    fn new(options: MirrorOptions, installation: InstallationHandle) -> Self {
        let MirrorTiming {
            max_concurrent_actions,
            max_concurrent_removals,
            ..
        } = options.timing;
        let state = MirrorState::new(options.instance.shared(), options.read_only);
        Self {
            options,
            installation,
            state,
            app: None,
            app_read: false,
            app_write_in_flight: false,
            app_write_failures: 0,
            app_backing_off: false,
            selection: None,
            session: None,
            lease: None,
            standby: None,
            info: None,
            phase: EnginePhase::Connecting,
            selection_generation: 0,
            pruned: false,
            prune_check_in_flight: false,
            tasks: JoinSet::new(),
            task_kinds: HashMap::new(),
            timers: DelayQueue::new(),
            action_permits: Arc::new(Semaphore::new(max_concurrent_actions)),
            removal_permits: Arc::new(Semaphore::new(max_concurrent_removals)),
        }
    }

    async fn run(
        mut self,
        mut api_events: mpsc::Receiver<ApiEvent>,
        mut backends: watch::Receiver<u64>,
    ) {
        loop {
            self.dispatch();
            self.publish_status();
            tokio::select! {
                Some(event) = api_events.recv() => match event {
                    ApiEvent::Mirror(event) => self.state.on_mirror_event(*event),
                    ApiEvent::App(app) => self.on_app(app),
                    ApiEvent::AppLost => self.on_app_lost(),
                },
                event = next_event(&mut self.session) => self.on_engine_event(event),
                is_running = lease_changed(&mut self.lease) => {
                    if !is_running {
                        error!("the task that renews the Lease has ended");
                        return;
                    }
                    self.on_lease_changed();
                }
                Ok(()) = self.installation.state.changed() => self.on_installation_changed(),
                Some(result) = self.tasks.join_next_with_id() => self.on_task_finished(result),
                Some(timer) = self.timers.next(), if !self.timers.is_empty() => {
                    self.on_timer(timer.into_inner());
                }
                changed = backends.changed() => {
                    if changed.is_err() {
                        // The plugin host has been dropped: the daemon is
                        // shutting down.
                        return;
                    }
                    self.on_backends_changed();
                }
                else => return,
            }
        }
    }

    fn now(&self) -> jiff::Timestamp {
        (self.options.clock)()
    }

    fn on_timer(&mut self, timer: ControllerTimer) {
        match timer {
            ControllerTimer::Mirror(timer) => self.state.on_timer(timer),
            ControllerTimer::AppStatusWrite => self.app_backing_off = false,
            ControllerTimer::PruneCheck => self.prune_check_in_flight = false,
            ControllerTimer::RestoreApp => self.restore_app(),
        }
    }
}

/// Returns the back-off after this number of consecutive failures.
fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    /// Upper limit for the number of doublings. `max` is reached long before.
    const MAX_STEPS: u32 = 16;
    let nth = failures.saturating_sub(1).min(MAX_STEPS) as usize;
    ExponentialBuilder::new()
        .with_min_delay(min)
        .with_max_delay(max)
        .with_jitter()
        .without_max_times()
        .build()
        .nth(nth)
        .unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_the_maximum_with_jitter() {
        let (min, max) = (Duration::from_millis(250), Duration::from_secs(60));
        for (failures, least) in [(1, min), (2, 2 * min), (3, 4 * min), (u32::MAX, max)] {
            let delay = backoff(min, max, failures);
            // Jitter adds up to the initial delay.
            assert!(
                delay >= least && delay <= least + min.max(least),
                "{failures}: {delay:?}"
            );
        }
        let delays: std::collections::BTreeSet<_> = (0..8).map(|_| backoff(min, max, 1)).collect();
        assert!(delays.len() > 1, "{delays:?}");
    }
}
