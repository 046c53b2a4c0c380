//! The one task that owns all state. Watches, the engine's feed and every
//! request run in tasks of their own and report to it; nothing is shared.

mod choice;
mod report;
mod restore;
mod standby;
mod work;

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

use crate::app::Phase;
use crate::installation::{self, Installation};
use crate::lease::LeaseTask;
use crate::operations::Slots;
use crate::options::{MirrorOptions, MirrorTiming};
use crate::state::{State, Timer};
use crate::watches::{self, Heard};
use choice::{Chosen, Session, next_event};
use standby::lease_changed;
use work::{Done, Task};

/// Mirrors the chosen engine until `shutdown`. Failures of the engine, of a
/// backend or of the API are waited out; they show in the App's conditions and
/// in the log. It returns earlier only when it cannot go on.
pub async fn run(options: MirrorOptions, shutdown: CancellationToken) {
    let mut watch_tasks = JoinSet::new();
    let (relist, relists) = watch::channel(0);
    let heard = watches::start(&options.client, &relists, &mut watch_tasks);
    let (namespace, namespaces) = watch::channel(Arc::from(""));
    let (sender, installation) = watch::channel(Installation::complete());
    watch_tasks.spawn(installation::maintain(
        options.client.clone(),
        namespaces,
        sender,
    ));
    let backends = options.backends.changes();
    let surroundings = Surroundings {
        namespace,
        relist,
        installation,
        app_lost: false,
    };
    let controller = Controller::new(options, surroundings);
    let ended = async {
        tokio::select! {
            () = controller.run(heard, backends) => {}
            // The others would go on and see a part of the changes only.
            Some(watch) = watch_tasks.join_next() => match watch {
                Ok(()) => tracing::error!("a watch of the mirror ended on its own"),
                Err(error) => tracing::error!(%error, "a watch of the mirror failed"),
            },
        }
    };
    shutdown.run_until_cancelled(ended).await;
}

/// What a reminder is about.
enum Due {
    Mirror(Timer),
    App,
    Sweep,
    /// The App may be made again.
    RestoreApp,
}

/// What mirrors lie in, and who looks after it.
struct Surroundings {
    /// The namespace that has to be there.
    namespace: watch::Sender<Arc<str>>,
    /// Has the mirrors listed anew.
    relist: watch::Sender<u64>,
    installation: watch::Receiver<Installation>,
    /// The App went with its definition, and has to be made again.
    app_lost: bool,
}

struct Controller {
    options: MirrorOptions,
    surroundings: Surroundings,
    state: State,
    /// The newest App that was read or written; `None` when there is none.
    app: Option<Box<App>>,
    app_read: bool,
    app_writing: bool,
    app_failures: u32,
    app_backing_off: bool,
    chosen: Option<Chosen>,
    session: Option<Session>,
    /// The Lease of what is chosen; `None` when nothing is.
    lease: Option<LeaseTask>,
    /// Why nothing is mirrored although it could, as it was last said.
    standby: Option<Arc<str>>,
    info: Option<BackendInfo>,
    phase: Phase,
    /// Moves with every choice, so that an older list proves nothing.
    choice: u64,
    swept: bool,
    sweep_checking: bool,
    tasks: JoinSet<Done>,
    /// What each task is at, for the case that it panics.
    running: HashMap<Id, Task>,
    timers: DelayQueue<Due>,
    actions: Slots,
    removals: Slots,
}

impl Controller {
    fn new(options: MirrorOptions, surroundings: Surroundings) -> Self {
        let MirrorTiming {
            concurrent_actions,
            concurrent_removals,
            ..
        } = options.timing;
        let state = State::new(options.instance.shared(), options.read_only);
        Self {
            options,
            surroundings,
            state,
            app: None,
            app_read: false,
            app_writing: false,
            app_failures: 0,
            app_backing_off: false,
            chosen: None,
            session: None,
            lease: None,
            standby: None,
            info: None,
            phase: Phase::Connecting,
            choice: 0,
            swept: false,
            sweep_checking: false,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            timers: DelayQueue::new(),
            actions: Arc::new(Semaphore::new(concurrent_actions)),
            removals: Arc::new(Semaphore::new(concurrent_removals)),
        }
    }

    async fn run(mut self, mut heard: mpsc::Receiver<Heard>, mut backends: watch::Receiver<u64>) {
        loop {
            self.dispatch();
            self.decide();
            tokio::select! {
                Some(news) = heard.recv() => match news {
                    Heard::Mirror(news) => self.state.on_news(*news),
                    Heard::App(app) => self.on_app(app),
                    Heard::AppLost => self.on_app_lost(),
                },
                event = next_event(&mut self.session) => self.on_feed(event),
                is_kept = lease_changed(&mut self.lease) => {
                    if !is_kept {
                        tracing::error!("nobody holds the Lease any more");
                        return;
                    }
                    self.on_lease();
                }
                Ok(()) = self.surroundings.installation.changed() => self.on_installation(),
                Some(done) = self.tasks.join_next_with_id() => self.on_done(done),
                Some(due) = self.timers.next(), if !self.timers.is_empty() => {
                    self.on_due(due.into_inner());
                }
                changed = backends.changed() => {
                    if changed.is_err() {
                        // The host of backends is gone: the daemon is going away.
                        return;
                    }
                    self.on_backends();
                }
                else => return,
            }
        }
    }

    fn now(&self) -> jiff::Timestamp {
        (self.options.clock)()
    }

    fn on_due(&mut self, due: Due) {
        match due {
            Due::Mirror(timer) => self.state.on_timer(timer),
            Due::App => self.app_backing_off = false,
            Due::Sweep => self.sweep_checking = false,
            Due::RestoreApp => self.restore_app(),
        }
    }
}

/// The wait after so many failures in a row.
fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    /// The exponent need not grow for ever: the longest wait is reached long before.
    const STEPS: u32 = 16;
    let nth = failures.saturating_sub(1).min(STEPS) as usize;
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
    fn waits_double_up_to_the_longest_and_are_jittered() {
        let (min, max) = (Duration::from_millis(250), Duration::from_secs(60));
        for (failures, least) in [(1, min), (2, 2 * min), (3, 4 * min), (u32::MAX, max)] {
            let wait = backoff(min, max, failures);
            // Jitter adds up to the shortest wait.
            assert!(
                wait >= least && wait <= least + min.max(least),
                "{failures}: {wait:?}"
            );
        }
        let waits: std::collections::BTreeSet<_> = (0..8).map(|_| backoff(min, max, 1)).collect();
        assert!(waits.len() > 1, "{waits:?}");
    }
}
