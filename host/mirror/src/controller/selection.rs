//! The backend that the App selects, its state, and the session with its
//! engine.

use std::sync::Arc;

use rdd_api::App;
use rdd_core::{
    BackendInfo, BackendState, ContainerEngine, EngineError, ErrorCode, ReadOnlyEngine, WatchEvent,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, info_span, warn};

use super::MirrorController;
use crate::app::EnginePhase;
use crate::engine_event::EngineEvent;
use crate::engine_watcher;
use crate::lease::LeaseScope;
use crate::view::EngineView;

/// What the App selects.
#[derive(PartialEq, Eq)]
pub(super) struct BackendSelection {
    pub(super) scope: LeaseScope,
    pub(super) running: bool,
}

impl BackendSelection {
    /// Returns the selection of an App. Without an App, nothing is selected.
    fn from_app(app: Option<&App>) -> Self {
        let Some(app) = app else {
            return Self {
                scope: LeaseScope::default(),
                running: false,
            };
        };
        Self {
            scope: LeaseScope {
                namespace: Arc::from(app.spec.namespace.as_str()),
                backend: Arc::from(app.spec.container_engine.name.as_str()),
            },
            running: app.spec.running,
        }
    }
}

/// The session with the engine that is being watched.
pub(super) struct EngineSession {
    /// Generation of the loaded backend.
    generation: u64,
    pub(super) engine: Arc<dyn ContainerEngine>,
    events: mpsc::Receiver<EngineEvent>,
    /// Requests a new listing from the engine watcher.
    pub(super) relist: Arc<Notify>,
    /// Stops the engine watcher when it is dropped.
    _task: JoinSet<()>,
}

/// Waits for an event of the engine watcher, or forever if there is no session.
pub(super) async fn next_event(session: &mut Option<EngineSession>) -> Option<EngineEvent> {
    match session {
        Some(session) => session.events.recv().await,
        None => std::future::pending().await,
    }
}

impl MirrorController {
    /// Handles the current App; `None` if there is none.
    pub(super) fn on_app(&mut self, app: Option<Box<App>>) {
        self.app_read = true;
        self.installation.app_needs_restore = false;
        if let (Some(known), Some(new)) = (&self.app, &app)
            && is_older(new, known)
        {
            // The event is older than the response to our write of the status.
            return;
        }
        let selection = BackendSelection::from_app(app.as_deref());
        self.app = app;
        if self.selection.as_ref() != Some(&selection) {
            self.selection = Some(selection);
            self.apply_selection();
        }
    }

    fn apply_selection(&mut self) {
        self.selection_generation += 1;
        self.pruned = false;
        self.session = None;
        self.info = None;
        self.phase = EnginePhase::Connecting;
        let Some(selection) = &self.selection else {
            return;
        };
        let scope = selection.scope.clone();
        info!(
            backend = &*scope.backend,
            namespace = &*scope.namespace,
            running = selection.running,
            "backend selected"
        );
        let view = selection.running.then(|| {
            let info = match self.options.backends.state(&scope.backend) {
                BackendState::Loaded(loaded) => loaded.engine.info().clone(),
                _ => placeholder_info(&scope.backend),
            };
            EngineView::new(Arc::clone(&scope.namespace), info)
        });
        self.installation
            .namespace
            .send_replace(Arc::clone(&scope.namespace));
        self.acquire_lease(&scope);
        self.state.select_backend(scope, view);
        self.on_backends_changed();
    }

    /// Handles a possible change of the selected backend's state.
    pub(super) fn on_backends_changed(&mut self) {
        let Some(selection) = &self.selection else {
            return;
        };
        match self.options.backends.state(&selection.scope.backend) {
            BackendState::Loaded(loaded) => {
                let info = loaded.engine.info().clone();
                let known = self.session.as_ref().map(|session| session.generation);
                self.info = Some(info.clone());
                if !selection.running || known == Some(loaded.generation) {
                    return;
                }
                let engine: Arc<dyn ContainerEngine> = if self.options.read_only {
                    Arc::new(ReadOnlyEngine::new(loaded.engine))
                } else {
                    loaded.engine
                };
                let (sender, events) = engine_watcher::channel(&self.options.metrics);
                let relist = Arc::new(Notify::new());
                let watcher = engine_watcher::run(
                    Arc::clone(&engine),
                    self.options.timing,
                    Arc::clone(&relist),
                    sender,
                );
                let mut task = JoinSet::new();
                task.spawn(watcher.instrument(info_span!("engine_watcher", backend = info.name)));
                self.session = Some(EngineSession {
                    generation: loaded.generation,
                    engine,
                    events,
                    relist,
                    _task: task,
                });
                self.state.set_backend_info(info);
                self.state.on_watch_ended();
                self.state.set_callable(true);
                self.phase = EnginePhase::Connecting;
            }
            BackendState::Restarting { reason } => {
                self.end_session();
                self.phase = EnginePhase::Restarting { reason };
            }
            BackendState::NotInstalled { reason } => {
                self.end_session();
                self.info = None;
                self.phase = EnginePhase::NotInstalled { reason };
            }
        }
    }

    fn end_session(&mut self) {
        self.session = None;
        self.state.on_watch_ended();
        self.state.set_callable(false);
    }

    pub(super) fn on_engine_event(&mut self, event: Option<EngineEvent>) {
        match event {
            Some(EngineEvent::Watch(event)) => {
                if event == WatchEvent::InitBegin && self.phase != EnginePhase::Synced {
                    self.phase = EnginePhase::Syncing;
                }
                if let Err(error) = self.state.on_watch_event(event) {
                    self.restart_watch(format!("the backend violated the watch protocol: {error}"));
                }
            }
            Some(EngineEvent::Relisting) => self.state.on_watch_ended(),
            Some(EngineEvent::Disconnected(error)) => self.on_disconnected(&error),
            // The engine watcher ends only with its session, or if the backend
            // panics.
            None => self.restart_watch("the backend panicked in its watch".to_owned()),
        }
    }

    fn on_disconnected(&mut self, error: &EngineError) {
        if !matches!(self.phase, EnginePhase::Disconnected { .. }) {
            warn!(%error, "lost the connection to the engine, retrying");
        }
        self.state.on_watch_ended();
        self.phase = EnginePhase::Disconnected {
            reason: error.message.clone(),
            is_plugin_failure: error.code == ErrorCode::PluginFailed,
        };
    }

    /// Replaces the engine watcher after a failure of the backend.
    fn restart_watch(&mut self, message: String) {
        self.on_disconnected(&EngineError::new(ErrorCode::PluginFailed, message));
        let Some(session) = &mut self.session else {
            return;
        };
        let (sender, events) = engine_watcher::channel(&self.options.metrics);
        let engine = Arc::clone(&session.engine);
        let relist = Arc::clone(&session.relist);
        let timing = self.options.timing;
        let span = info_span!("engine_watcher", backend = engine.info().name);
        let watcher = async move {
            // Without a delay, a faulty backend would fail again immediately.
            tokio::time::sleep(timing.reconnect_delay_max).await;
            engine_watcher::run(engine, timing, relist, sender).await;
        };
        let mut task = JoinSet::new();
        task.spawn(watcher.instrument(span));
        session.events = events;
        session._task = task;
    }
}

/// Returns placeholder information about a backend that is not loaded yet. It
/// is replaced before the first event.
fn placeholder_info(name: &str) -> BackendInfo {
    BackendInfo {
        name: name.to_owned(),
        version: String::new(),
        engine: String::new(),
        id_format: rdd_core::IdFormat::Identifier(0),
        namespaces: Vec::new(),
        capabilities: rdd_core::Capabilities::default(),
    }
}

/// Returns whether `new` is an older version of the same App than `known`.
fn is_older(new: &App, known: &App) -> bool {
    let version = |app: &App| {
        app.metadata
            .resource_version
            .as_ref()
            .and_then(|version| version.parse::<u64>().ok())
    };
    new.metadata.uid == known.metadata.uid
        && matches!((version(new), version(known)), (Some(new), Some(known)) if new < known)
}
