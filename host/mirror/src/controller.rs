//! The one task that owns all state. Watches, the engine's feed and every
//! request run in tasks of their own and report to it; nothing is shared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use rdd_api::{APP_NAME, App, AppStatus, BACKEND_LABEL, Condition, FIELD_MANAGER, LastAction};
use rdd_core::{
    BackendInfo, BackendState, ContainerEngine, EngineError, ErrorCode, NotServing, ReadOnly,
    Serving, ServingSnapshot, WatchEvent,
};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tracing::{debug, error, info, warn};

use crate::app::{self, Facts, Phase};
use crate::feed::{self, Feed};
use crate::jobs;
use crate::key::Key;
use crate::operations::{self, Slots};
use crate::options::{Options, Progress, Timing};
use crate::plan::Operation;
use crate::state::{Outcome, Requests, State, Timer};
use crate::view::View;
use crate::watches::{self, Heard};

/// Mirrors the chosen engine until `shutdown`. Failures of the engine, of a
/// backend or of the API are waited out; they show in the App's conditions and
/// in the log.
pub async fn run(options: Options, shutdown: CancellationToken) {
    let mut watch_tasks = JoinSet::new();
    let heard = watches::start(&options.client, &mut watch_tasks);
    let backends = options.backends.changes();
    let controller = Controller::new(options);
    shutdown
        .run_until_cancelled(controller.run(heard, backends))
        .await;
}

/// What a task reports.
enum Done {
    Job(Key, Outcome),
    Removed(Key, Arc<str>, Result<(), EngineError>),
    Acted(Key, Box<str>, LastAction),
    /// The App's status was written, or not.
    App(Result<App, kube::Error>),
    /// Whether a list showed no mirror that must go.
    Swept(u64, Result<bool, kube::Error>),
}

/// What a reminder is about.
enum Due {
    Mirror(Timer),
    App,
    Sweep,
}

/// The chosen backend.
struct Chosen {
    backend: Arc<str>,
    namespace: Arc<str>,
    running: bool,
}

/// The engine that is being watched.
struct Session {
    /// The backend's generation.
    generation: u64,
    engine: Arc<dyn ContainerEngine>,
    events: mpsc::Receiver<Feed>,
    /// Ends the feed when it is dropped.
    _task: JoinSet<()>,
}

struct Controller {
    options: Options,
    state: State,
    app: Option<Box<App>>,
    app_read: bool,
    app_writing: bool,
    app_failures: u32,
    app_backing_off: bool,
    chosen: Option<Chosen>,
    session: Option<Session>,
    info: Option<BackendInfo>,
    phase: Phase,
    /// Moves with every choice, so that an older list proves nothing.
    choice: u64,
    swept: bool,
    sweep_checking: bool,
    tasks: JoinSet<Done>,
    /// Jobs by task, for the case that one panics.
    jobs: HashMap<Id, Key>,
    timers: DelayQueue<Due>,
    requests: Requests,
    actions: Slots,
    removals: Slots,
}

/// Waits for the feed, or for ever when there is none.
async fn next_event(session: &mut Option<Session>) -> Option<Feed> {
    match session {
        Some(session) => session.events.recv().await,
        None => std::future::pending().await,
    }
}

impl Controller {
    fn new(options: Options) -> Self {
        let Timing {
            concurrent_actions,
            concurrent_removals,
            ..
        } = options.timing;
        Self {
            options,
            state: State::new(),
            app: None,
            app_read: false,
            app_writing: false,
            app_failures: 0,
            app_backing_off: false,
            chosen: None,
            session: None,
            info: None,
            phase: Phase::Connecting,
            choice: 0,
            swept: false,
            sweep_checking: false,
            tasks: JoinSet::new(),
            jobs: HashMap::new(),
            timers: DelayQueue::new(),
            requests: Requests::default(),
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
                },
                event = next_event(&mut self.session) => self.on_feed(event),
                Some(done) = self.tasks.join_next_with_id() => match done {
                    Ok((id, done)) => {
                        self.jobs.remove(&id);
                        self.on_done(done);
                    }
                    Err(failure) => self.on_panic(&failure),
                },
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

    // ---- The App and its backend ------------------------------------------

    fn on_app(&mut self, app: Option<Box<App>>) {
        self.app_read = true;
        let wish = app.as_ref().map(|app| {
            (
                app.spec.container_engine.name.clone(),
                app.spec.namespace.clone(),
                app.spec.running,
            )
        });
        let same = match (&self.chosen, &wish) {
            (Some(chosen), Some((backend, namespace, running))) => {
                *chosen.backend == **backend
                    && *chosen.namespace == **namespace
                    && chosen.running == *running
            }
            _ => false,
        };
        // An event that is older than our own write of the status says nothing
        // new about the status.
        let stale = match (&self.app, &app) {
            (Some(known), Some(news)) => older(news, known),
            _ => false,
        };
        if !stale {
            self.app = app;
        }
        if same || stale {
            return;
        }
        // No App: nothing is wanted.
        self.chosen = Some(match wish {
            Some((backend, namespace, running)) => Chosen {
                backend: Arc::from(backend),
                namespace: Arc::from(namespace),
                running,
            },
            None => Chosen {
                backend: Arc::from(""),
                namespace: Arc::from(""),
                running: false,
            },
        });
        self.choose();
    }

    fn choose(&mut self) {
        self.choice += 1;
        self.swept = false;
        self.session = None;
        self.info = None;
        let Some(chosen) = &self.chosen else {
            return;
        };
        info!(
            backend = &*chosen.backend,
            running = chosen.running,
            "the App has chosen"
        );
        if !chosen.running {
            self.state.choose(Arc::clone(&chosen.namespace), None);
            self.on_backends();
            return;
        }
        let info = match self.options.backends.state(&chosen.backend) {
            BackendState::Loaded(loaded) => loaded.engine.info().clone(),
            _ => placeholder(&chosen.backend),
        };
        let view = View::new(Arc::clone(&chosen.namespace), info);
        self.state.choose(
            Arc::clone(&chosen.namespace),
            Some((Arc::clone(&chosen.backend), view)),
        );
        self.on_backends();
    }

    /// A backend's state may have moved.
    fn on_backends(&mut self) {
        let Some(chosen) = &self.chosen else {
            return;
        };
        match self.options.backends.state(&chosen.backend) {
            BackendState::Loaded(loaded) => {
                let info = loaded.engine.info().clone();
                let known = self.session.as_ref().map(|session| session.generation);
                self.info = Some(info.clone());
                if !chosen.running || known == Some(loaded.generation) {
                    return;
                }
                let engine: Arc<dyn ContainerEngine> = if self.options.read_only {
                    Arc::new(ReadOnly::new(loaded.engine))
                } else {
                    loaded.engine
                };
                let (sender, events) = feed::channel();
                let mut task = JoinSet::new();
                task.spawn(feed::run(Arc::clone(&engine), self.options.timing, sender));
                self.session = Some(Session {
                    generation: loaded.generation,
                    engine,
                    events,
                    _task: task,
                });
                self.state.set_info(info);
                self.state.interrupted();
                self.state.set_callable(true);
                self.phase = Phase::Connecting;
            }
            BackendState::Restarting { reason } => {
                self.end_session();
                self.phase = Phase::Restarting { reason };
            }
            BackendState::NotInstalled { reason } => {
                self.end_session();
                self.info = None;
                self.phase = Phase::NotInstalled { reason };
            }
        }
    }

    fn end_session(&mut self) {
        self.session = None;
        self.state.interrupted();
        self.state.set_callable(false);
    }

    fn on_feed(&mut self, event: Option<Feed>) {
        match event {
            Some(Feed::Event(event)) => {
                if event == WatchEvent::InitBegin && self.phase != Phase::Synced {
                    self.phase = Phase::Reading;
                }
                if let Err(broken) = self.state.on_engine(event) {
                    warn!("the backend broke the rules of its watch: {broken}");
                    self.lost(&EngineError::new(
                        ErrorCode::PluginFailed,
                        broken.to_string(),
                    ));
                    self.restart_feed();
                }
            }
            Some(Feed::Renewing) => self.state.interrupted(),
            Some(Feed::Lost(error)) => self.lost(&error),
            // A feed ends only with its session, or by a panic of the backend.
            None => self.restart_feed(),
        }
    }

    fn lost(&mut self, error: &EngineError) {
        if !matches!(self.phase, Phase::Lost { .. }) {
            warn!("the engine is lost, trying again: {error}");
        }
        self.state.interrupted();
        self.phase = Phase::Lost {
            reason: error.message.clone(),
            plugin: error.code == ErrorCode::PluginFailed,
        };
    }

    fn restart_feed(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let (sender, events) = feed::channel();
        let mut task = JoinSet::new();
        let engine = Arc::clone(&session.engine);
        let timing = self.options.timing;
        task.spawn(async move {
            // A backend that breaks its watch would do so again at once.
            tokio::time::sleep(timing.reconnect_max).await;
            feed::run(engine, timing, sender).await;
        });
        session.events = events;
        session._task = task;
    }

    // ---- Decisions ---------------------------------------------------------

    /// Brings the App's status, the serving snapshot and the progress up to
    /// what is known. Cheap when nothing moved.
    fn decide(&mut self) {
        if self.phase == Phase::Reading && self.state.is_synced() {
            self.phase = Phase::Synced;
            info!("every object of the engine is mirrored");
        }
        self.check_sweep();
        self.publish();
        self.write_app();
        let (total, waiting) = self.state.backlog();
        let progress = Progress {
            ready: self.app_read && self.state.is_listed(),
            synced: self.phase == Phase::Synced,
            done: total.saturating_sub(waiting),
            total,
        };
        self.options.progress.send_if_modified(|known| {
            let moved = *known != progress;
            *known = progress;
            moved
        });
    }

    fn publish(&self) {
        let Some(chosen) = &self.chosen else {
            return;
        };
        let not = app::not_serving(&chosen.backend, chosen.running, &self.phase);
        let session = self.session.as_ref();
        let serving = match (not, session) {
            (Some(why), _) => Serving::Not(why),
            (None, Some(session)) => Serving::Ready(Arc::clone(&session.engine)),
            (None, None) => Serving::Not(NotServing::Starting),
        };
        self.options.serving.send_if_modified(|known| {
            let same = known.backend == *chosen.backend
                && known.info == self.info
                && match (&known.serving, &serving) {
                    (Serving::Ready(was), Serving::Ready(is)) => Arc::ptr_eq(was, is),
                    (Serving::Not(was), Serving::Not(is)) => was == is,
                    _ => false,
                };
            if !same {
                *known = ServingSnapshot {
                    backend: chosen.backend.to_string(),
                    info: self.info.clone(),
                    serving,
                };
            }
            !same
        });
    }

    fn write_app(&mut self) {
        if self.app_writing || self.app_backing_off || !self.state.is_listed() {
            return;
        }
        let Some(app) = &self.app else {
            return;
        };
        let facts = Facts {
            phase: &self.phase,
            swept: self.swept,
        };
        let wanted = app::conditions(app, facts, self.now());
        let known = app
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        if known.is_some_and(|known| same_conditions(known, &wanted)) {
            return;
        }
        self.app_writing = true;
        let client = self.options.client.clone();
        let uid = app.metadata.uid.clone();
        self.tasks.spawn(async move {
            let api: Api<App> = Api::all(client);
            let body = json!({
                "apiVersion": format!("{}/{}", rdd_api::APP_GROUP, rdd_api::VERSION),
                "kind": "App",
                "metadata": {"name": APP_NAME, "uid": uid},
                "status": AppStatus { conditions: wanted },
            });
            let params = PatchParams::apply(FIELD_MANAGER).force();
            Done::App(
                api.patch_status(APP_NAME, &params, &Patch::Apply(body))
                    .await,
            )
        });
    }

    /// A sweep is over when neither we nor the API know of a stray.
    fn check_sweep(&mut self) {
        if self.swept || self.sweep_checking || self.chosen.is_none() || !self.state.is_listed() {
            return;
        }
        if self.state.has_strays() {
            return;
        }
        let Some(chosen) = &self.chosen else {
            return;
        };
        self.sweep_checking = true;
        let client = self.options.client.clone();
        let choice = self.choice;
        let selector = if chosen.running {
            format!("{BACKEND_LABEL},{BACKEND_LABEL}!={}", chosen.backend)
        } else {
            BACKEND_LABEL.to_owned()
        };
        self.tasks.spawn(async move {
            let result = none_left(&client, &selector).await;
            Done::Swept(choice, result)
        });
    }

    // ---- Jobs and operations -----------------------------------------------

    fn dispatch(&mut self) {
        let now = self.now();
        while self.state.jobs() < self.options.timing.concurrent_writes {
            let Some((key, job)) = self.state.next_job(now, &mut self.requests) else {
                break;
            };
            let was = self.state.status(&key);
            let client = self.options.client.clone();
            let task_key = key.clone();
            let handle = self.tasks.spawn(async move {
                let outcome = jobs::perform(&client, &task_key, job, was).await;
                Done::Job(task_key, outcome)
            });
            self.jobs.insert(handle.id(), key);
        }
        for (key, operation) in std::mem::take(&mut self.requests.operations) {
            self.operate(key, operation);
        }
        for timer in std::mem::take(&mut self.requests.timers) {
            let delay = self.delay(&timer);
            self.timers.insert(Due::Mirror(timer), delay);
        }
    }

    fn operate(&mut self, key: Key, operation: Operation) {
        let Some(session) = &self.session else {
            // The plan was made while the engine could be called.
            let error = EngineError::new(ErrorCode::Unavailable, "the engine is away");
            if let Operation::Remove { uid, .. } = operation {
                self.state
                    .on_removed(&key, &uid, Err(error), &mut self.requests);
            } else if let Operation::Act { value, .. } = operation {
                self.state.forget_action(&key, &value);
            }
            return;
        };
        let engine = Arc::clone(&session.engine);
        match operation {
            Operation::Remove { uid, target } => {
                let slots = Arc::clone(&self.removals);
                self.tasks.spawn(async move {
                    // The semaphore is never closed.
                    let _slot = slots.acquire().await;
                    debug!(mirror = %key, "removing from the engine");
                    let result = engine.remove(&target).await;
                    Done::Removed(key, uid, result)
                });
            }
            Operation::Act {
                value,
                action,
                container,
            } => {
                let slots = Arc::clone(&self.actions);
                let clock = Arc::clone(&self.options.clock);
                let observed_at = self.now();
                self.tasks.spawn(async move {
                    // The semaphore is never closed.
                    let _slot = slots.acquire().await;
                    let last =
                        operations::act(engine.as_ref(), &container, action, observed_at, &clock)
                            .await;
                    Done::Acted(key, value, last)
                });
            }
        }
    }

    fn delay(&self, timer: &Timer) -> Duration {
        let timing = &self.options.timing;
        match timer {
            Timer::Job(_, failures) => {
                backoff(timing.write_retry_min, timing.write_retry_max, *failures)
            }
            Timer::Removal(_, attempts) => backoff(
                timing.removal_retry_min,
                timing.removal_retry_max,
                *attempts,
            ),
            Timer::Removed(..) => timing.removal_echo,
        }
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Job(key, outcome) => self.state.on_outcome(&key, outcome, &mut self.requests),
            Done::Removed(key, uid, result) => {
                self.state
                    .on_removed(&key, &uid, result, &mut self.requests);
            }
            Done::Acted(key, value, last) => self.state.on_acted(&key, &value, last),
            Done::App(Ok(app)) => {
                self.app_writing = false;
                self.app_failures = 0;
                self.on_app(Some(Box::new(app)));
            }
            Done::App(Err(failure)) => {
                self.app_writing = false;
                self.app_failures = self.app_failures.saturating_add(1);
                self.app_backing_off = true;
                if self.app_failures.is_power_of_two() {
                    warn!("cannot write the status of the App: {failure}");
                }
                let timing = &self.options.timing;
                let delay = backoff(
                    timing.write_retry_min,
                    timing.write_retry_max,
                    self.app_failures,
                );
                self.timers.insert(Due::App, delay);
            }
            Done::Swept(choice, result) => {
                if choice != self.choice {
                    self.sweep_checking = false;
                    return;
                }
                match result {
                    Ok(true) => {
                        self.swept = true;
                        self.sweep_checking = false;
                    }
                    Ok(false) | Err(_) => {
                        if let Err(failure) = result {
                            warn!("cannot list mirrors: {failure}");
                        }
                        self.timers
                            .insert(Due::Sweep, self.options.timing.sweep_check);
                    }
                }
            }
        }
    }

    fn on_panic(&mut self, failure: &tokio::task::JoinError) {
        error!("a task of the mirror broke: {failure}");
        if let Some(key) = self.jobs.remove(&failure.id()) {
            let outcome = Outcome::Failed(failure.to_string());
            self.state.on_outcome(&key, outcome, &mut self.requests);
        }
    }

    fn on_due(&mut self, due: Due) {
        match due {
            Due::Mirror(timer) => self.state.on_timer(timer),
            Due::App => self.app_backing_off = false,
            Due::Sweep => self.sweep_checking = false,
        }
    }
}

/// Whether no object of any mirrored kind matches.
async fn none_left(client: &Client, selector: &str) -> Result<bool, kube::Error> {
    async fn none<K>(client: &Client, params: &ListParams) -> Result<bool, kube::Error>
    where
        K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::all(client.clone());
        Ok(api.list_metadata(params).await?.items.is_empty())
    }
    let params = ListParams::default().labels(selector).limit(1);
    Ok(none::<rdd_api::Container>(client, &params).await?
        && none::<rdd_api::Image>(client, &params).await?
        && none::<rdd_api::Volume>(client, &params).await?
        && none::<rdd_api::ContainerNamespace>(client, &params).await?)
}

/// What is known of a backend before it is loaded: nothing but its name. No
/// event comes before the real one is known.
fn placeholder(name: &str) -> BackendInfo {
    BackendInfo {
        name: name.to_owned(),
        version: String::new(),
        engine: String::new(),
        id_form: rdd_core::IdForm::Identifier(0),
        namespaces: Vec::new(),
        capabilities: rdd_core::Capabilities::default(),
    }
}

/// Whether `news` tells of an older version than `known` of the same App.
fn older(news: &App, known: &App) -> bool {
    let version = |app: &App| {
        app.metadata
            .resource_version
            .as_ref()
            .and_then(|version| version.parse::<u64>().ok())
    };
    news.metadata.uid == known.metadata.uid
        && matches!((version(news), version(known)), (Some(news), Some(known)) if news < known)
}

/// Equal as sets: the server may keep another order.
fn same_conditions(a: &[Condition], b: &[Condition]) -> bool {
    a.len() == b.len() && a.iter().all(|condition| b.contains(condition))
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
