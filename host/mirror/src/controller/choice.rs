//! What the App chose, the backend's state, and the engine's feed.

use std::sync::Arc;

use rdd_api::App;
use rdd_core::{
    BackendInfo, BackendState, ContainerEngine, EngineError, ErrorCode, ReadOnlyEngine, WatchEvent,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::Controller;
use crate::app::Phase;
use crate::feed::{self, Feed};
use crate::lease::LeaseScope;
use crate::view::View;

/// What the App asks for.
#[derive(PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) scope: LeaseScope,
    pub(super) running: bool,
}

impl Chosen {
    /// Without an App, nothing is wanted.
    fn by(app: Option<&App>) -> Self {
        let Some(app) = app else {
            return Self {
                scope: LeaseScope::default(),
                running: false,
            };
        };
        let (backend, namespace) = (&app.spec.container_engine.name, &app.spec.namespace);
        let running = app.spec.running;
        Self {
            scope: LeaseScope {
                namespace: Arc::from(namespace.as_str()),
                backend: Arc::from(backend.as_str()),
            },
            running,
        }
    }
}

/// The engine that is being watched.
pub(super) struct Session {
    /// The backend's generation.
    generation: u64,
    pub(super) engine: Arc<dyn ContainerEngine>,
    events: mpsc::Receiver<Feed>,
    /// Asks the feed for a new listing.
    pub(super) renew: Arc<Notify>,
    /// Ends the feed when it is dropped.
    _task: JoinSet<()>,
}

/// Waits for the feed, or for ever when there is none.
pub(super) async fn next_event(session: &mut Option<Session>) -> Option<Feed> {
    match session {
        Some(session) => session.events.recv().await,
        None => std::future::pending().await,
    }
}

impl Controller {
    /// Takes in the App as it is, or that there is none.
    pub(super) fn on_app(&mut self, app: Option<Box<App>>) {
        self.app_read = true;
        self.surroundings.app_lost = false;
        if let (Some(known), Some(news)) = (&self.app, &app)
            && older(news, known)
        {
            // From before our own write of the status, whose answer told more.
            return;
        }
        let chosen = Chosen::by(app.as_deref());
        self.app = app;
        if self.chosen.as_ref() != Some(&chosen) {
            self.chosen = Some(chosen);
            self.choose();
        }
    }

    fn choose(&mut self) {
        self.choice += 1;
        self.swept = false;
        self.session = None;
        self.info = None;
        self.phase = Phase::Connecting;
        let Some(chosen) = &self.chosen else {
            return;
        };
        let scope = chosen.scope.clone();
        info!(
            backend = &*scope.backend,
            running = chosen.running,
            "the App has chosen"
        );
        let view = chosen.running.then(|| {
            let info = match self.options.backends.state(&scope.backend) {
                BackendState::Loaded(loaded) => loaded.engine.info().clone(),
                _ => placeholder(&scope.backend),
            };
            View::new(Arc::clone(&scope.namespace), info)
        });
        self.surroundings
            .namespace
            .send_replace(Arc::clone(&scope.namespace));
        self.hold_lease(&scope);
        self.state.choose(scope, view);
        self.on_backends();
    }

    /// A backend's state may have moved.
    pub(super) fn on_backends(&mut self) {
        let Some(chosen) = &self.chosen else {
            return;
        };
        match self.options.backends.state(&chosen.scope.backend) {
            BackendState::Loaded(loaded) => {
                let info = loaded.engine.info().clone();
                let known = self.session.as_ref().map(|session| session.generation);
                self.info = Some(info.clone());
                if !chosen.running || known == Some(loaded.generation) {
                    return;
                }
                let engine: Arc<dyn ContainerEngine> = if self.options.read_only {
                    Arc::new(ReadOnlyEngine::new(loaded.engine))
                } else {
                    loaded.engine
                };
                let (sender, events) = feed::channel();
                let renew = Arc::new(Notify::new());
                let mut task = JoinSet::new();
                task.spawn(feed::run(
                    Arc::clone(&engine),
                    self.options.timing,
                    Arc::clone(&renew),
                    sender,
                ));
                self.session = Some(Session {
                    generation: loaded.generation,
                    engine,
                    events,
                    renew,
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

    pub(super) fn on_feed(&mut self, event: Option<Feed>) {
        match event {
            Some(Feed::Event(event)) => {
                if event == WatchEvent::InitBegin && self.phase != Phase::Synced {
                    self.phase = Phase::Reading;
                }
                if let Err(broken) = self.state.on_engine(event) {
                    self.broken(format!(
                        "the backend broke the rules of its watch: {broken}"
                    ));
                }
            }
            Some(Feed::Renewing) => self.state.interrupted(),
            Some(Feed::Lost(error)) => self.lost(&error),
            // A feed ends only with its session, or by a panic of the backend.
            None => self.broken("the backend broke its watch".to_owned()),
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

    fn broken(&mut self, message: String) {
        self.lost(&EngineError::new(ErrorCode::PluginFailed, message));
        let Some(session) = &mut self.session else {
            return;
        };
        let (sender, events) = feed::channel();
        let mut task = JoinSet::new();
        let engine = Arc::clone(&session.engine);
        let renew = Arc::clone(&session.renew);
        let timing = self.options.timing;
        task.spawn(async move {
            // A backend that breaks its watch would do so again at once.
            tokio::time::sleep(timing.reconnect_max).await;
            feed::run(engine, timing, renew, sender).await;
        });
        session.events = events;
        session._task = task;
    }
}

/// What is known of a backend before it is loaded: nothing but its name. No
/// event comes before the real one is known.
fn placeholder(name: &str) -> BackendInfo {
    BackendInfo {
        name: name.to_owned(),
        version: String::new(),
        engine: String::new(),
        id_format: rdd_core::IdFormat::Identifier(0),
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
