//! One subscription: what it selects, and its sources.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt as _;
use rdd_core::{
    ContainerEngine, ContainerIndex, ContainerRef, IndexedContainer, ServingSnapshot, ServingState,
    Timestamp,
};
use tokio::sync::watch;

use super::client_message::{FollowValue, RestartWord, SubscribeRequest, TailNumber};
use super::container_selection::ContainerSelection;
use super::source_stream::{CreditCounter, SourceHandle, SourceStream};
use crate::entries::cursor::{CursorScope, ParsedCursor, SourceSet};
use crate::limits;
use crate::log_format::{FrameFormat, LogEncoder};
use crate::log_hub::LogHub;
use crate::log_reader::{FollowMode, LogStart, LogView};
use crate::query::{self, ParameterError};
use crate::request_error::StreamRequestError;

/// An error that ends a subscription.
#[derive(Debug)]
pub(super) struct SubscriptionError {
    /// As an HTTP status.
    pub(super) code: u16,
    pub(super) message: String,
}

impl SubscriptionError {
    pub(super) fn id_in_use() -> Self {
        Self {
            code: 409,
            message: "a subscription with this id exists; choose another id".to_owned(),
        }
    }

    pub(super) fn too_many_subscriptions() -> Self {
        Self {
            code: 429,
            message: format!(
                "a connection has at most {} subscriptions; end one, or open another connection",
                limits::MAX_MUX_SUBSCRIPTIONS
            ),
        }
    }
}

impl From<StreamRequestError> for SubscriptionError {
    fn from(error: StreamRequestError) -> Self {
        Self {
            code: error.status().as_u16(),
            message: error.to_string(),
        }
    }
}

impl From<ParameterError> for SubscriptionError {
    fn from(error: ParameterError) -> Self {
        StreamRequestError::from(error).into()
    }
}

/// A source of a subscription: the log of one container.
pub(super) struct LogSource {
    pub(super) container: ContainerRef,
    pub(super) encoder: LogEncoder,
    pub(super) scope: CursorScope,
    handle: Arc<SourceHandle>,
    /// When the run began that the source was joined for.
    started_at: Option<Timestamp>,
    /// After the last entry that was sent.
    pub(super) position: LogStart,
}

/// A container whose log has ended, which may join again.
struct FormerSource {
    started_at: Option<Timestamp>,
    position: LogStart,
    /// Whether it is tried again without a new run, since the engine failed.
    is_lost: bool,
}

/// What the sources of a connection are made of.
pub(super) struct SourceContext<'a> {
    pub(super) serving: &'a watch::Receiver<ServingSnapshot>,
    pub(super) containers: &'a watch::Receiver<ContainerIndex>,
    pub(super) hub: &'a LogHub,
}

/// A subscription of a connection.
pub(super) struct Subscription {
    id: u32,
    selection: ContainerSelection,
    tail: Option<u64>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    pub(super) follow: FollowMode,
    sources: SourceSet,
    cursors: BTreeMap<String, ParsedCursor>,
    credit: Arc<CreditCounter>,
    pub(super) joined: HashMap<u32, LogSource>,
    former: HashMap<ContainerRef, FormerSource>,
    /// Whether the containers that were there at first have joined.
    is_begun: bool,
}

/// A container that joins a subscription.
pub(super) struct JoiningSource {
    pub(super) source: u32,
    pub(super) indexed: IndexedContainer,
    pub(super) stream: SourceStream,
}

impl Subscription {
    /// Creates a subscription without sources.
    pub(super) fn new(
        request: SubscribeRequest,
        parse_selector: rdd_core::SelectorParser,
        now: Timestamp,
    ) -> Result<Self, SubscriptionError> {
        let invalid = |message: String| SubscriptionError { code: 400, message };
        let SubscribeRequest {
            id,
            container,
            selector,
            project,
            tail,
            since,
            until,
            follow,
            stdout,
            stderr,
            cursors,
            credit,
        } = request;
        let selection = match (container, selector, project) {
            (Some(container), None, None) => ContainerSelection::One(container),
            (None, Some(selector), None) => ContainerSelection::Labels(
                parse_selector(&selector).map_err(|error| invalid(error.to_string()))?,
            ),
            (None, None, Some(project)) => ContainerSelection::Project(project),
            _ => {
                return Err(invalid(
                    "a subscription has exactly one of container, selector, and project".to_owned(),
                ));
            }
        };
        let sources = SourceSet { stdout, stderr };
        if !stdout && !stderr {
            return Err(ParameterError::NoStreamSelected.into());
        }
        let parse_cursor = |(container, text): (String, String)| {
            let cursor = ParsedCursor::parse(&text, sources);
            let cursor = cursor.map_err(|reason| ParameterError::InvalidCursor {
                value: text,
                reason,
            })?;
            Ok::<_, ParameterError>((container, cursor))
        };
        let balance = CreditCounter::default();
        balance.add(credit);
        Ok(Self {
            id,
            selection,
            tail: match tail {
                None => None,
                Some(TailNumber::Lines(lines)) => Some(lines),
                Some(TailNumber::Text(text)) => query::parse_tail(&text)?,
            },
            since: match since {
                None => None,
                Some(text) => Some(query::parse_time("since", &text, now)?),
            },
            until: match until {
                None => None,
                Some(text) => query::parse_until("until", &text, now)?,
            },
            follow: match follow {
                FollowValue::Boolean(true) => FollowMode::Yes,
                FollowValue::Boolean(false) => FollowMode::No,
                FollowValue::Text(RestartWord::Restart) => FollowMode::Restart,
            },
            sources,
            cursors: cursors
                .into_iter()
                .map(parse_cursor)
                .collect::<Result<_, _>>()?,
            credit: Arc::new(balance),
            joined: HashMap::new(),
            former: HashMap::new(),
            is_begun: false,
        })
    }

    /// Returns the same options as of one log.
    #[cfg(any(test, fuzzing))]
    pub(super) fn options(&self) -> rdd_core::LogOptions {
        rdd_core::LogOptions {
            follow: self.follow != FollowMode::No,
            tail: self.tail,
            since: self.since,
            until: self.until,
            timestamps: false,
            stdout: self.sources.stdout,
            stderr: self.sources.stderr,
        }
    }

    /// Adds credit, and has the sources polled again.
    pub(super) fn add_credit(&self, bytes: u64) {
        self.credit.add(bytes);
        for source in self.joined.values() {
            source.handle.wake();
        }
    }

    /// Ends all sources.
    pub(super) fn close(&self) {
        for source in self.joined.values() {
            source.handle.close();
        }
    }

    /// Returns whether it ends with its last source.
    pub(super) fn ends_with_sources(&self) -> bool {
        self.follow == FollowMode::No || matches!(self.selection, ContainerSelection::One(_))
    }

    /// Returns whether it names a single container.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.selection, ContainerSelection::One(_))
    }

    /// Removes a source whose log has ended. `is_lost` says that the engine failed,
    /// so that the source joins again when the engine is back.
    pub(super) fn leave(&mut self, source: u32, is_lost: bool) {
        if let Some(left) = self.joined.remove(&source) {
            let former = FormerSource {
                started_at: left.started_at,
                position: left.position,
                is_lost,
            };
            self.former.insert(left.container, former);
        }
    }

    /// Returns whether a source waits for the engine.
    pub(super) fn has_lost_sources(&self) -> bool {
        self.former.values().any(|former| former.is_lost)
    }

    /// Joins the containers that the subscription selects and does not have yet.
    /// `next_source` is the number of the first one.
    pub(super) fn join_selected(
        &mut self,
        context: &SourceContext<'_>,
        next_source: u32,
        max_sources: usize,
    ) -> Result<Vec<JoiningSource>, SubscriptionError> {
        let snapshot = context.serving.borrow().clone();
        let engine = match snapshot.serving {
            ServingState::Ready(engine) => engine,
            ServingState::Unavailable(_) if self.is_begun => return Ok(Vec::new()),
            ServingState::Unavailable(reason) => {
                return Err(
                    StreamRequestError::from_unavailable(&snapshot.backend, &reason).into(),
                );
            }
        };
        let capabilities = engine.info().capabilities;
        if !capabilities.entry_times {
            let backend = engine.info().name.clone();
            return Err(if capabilities.has_any_log() {
                StreamRequestError::EntriesUnsupported { backend }.into()
            } else {
                StreamRequestError::LogsUnsupported { backend }.into()
            });
        }
        let index = context.containers.borrow().clone();
        let joined: HashSet<_> = self
            .joined
            .values()
            .map(|it| it.container.clone())
            .collect();
        let is_first = !self.is_begun;
        self.is_begun = true;
        let selected = self.selection.find(&*engine, &index, is_first)?;
        self.former
            .retain(|container, _| index.by_reference(container).is_some());
        let mut joining = Vec::new();
        for indexed in selected {
            let container = indexed.reference();
            if joined.contains(&container) {
                continue;
            }
            let started_at = indexed.container.started_at;
            let start = match self.former.get(&container) {
                Some(former) if !former.is_lost && former.started_at == started_at => continue,
                Some(former) => former.position,
                None if is_first => LogStart::Selected {
                    tail: self.tail,
                    since: self.since,
                },
                // The whole log of a container that was created later.
                None => LogStart::Selected {
                    tail: None,
                    since: None,
                },
            };
            if self.joined.len() + 1 > max_sources {
                return Err(SubscriptionError {
                    code: 429,
                    message: format!(
                        "a connection has at most {} sources; narrow the selection, or open another connection",
                        limits::MAX_MUX_SOURCES
                    ),
                });
            }
            let count = u32::try_from(joining.len()).unwrap_or(u32::MAX);
            let source = next_source.saturating_add(count);
            let stream = self.join(&engine, context, &indexed, source, start)?;
            self.former.remove(&container);
            joining.push(JoiningSource {
                source,
                indexed,
                stream,
            });
        }
        Ok(joining)
    }

    fn join(
        &mut self,
        engine: &Arc<dyn ContainerEngine>,
        context: &SourceContext<'_>,
        indexed: &IndexedContainer,
        source: u32,
        mut start: LogStart,
    ) -> Result<SourceStream, SubscriptionError> {
        let container = indexed.reference();
        let scope = CursorScope::new(&container, indexed.container.created_at, self.sources);
        let mut is_replaced = false;
        // A container is named as in the path: by its object, or by its ID.
        let names = [&*indexed.mirror_name, &*container.id];
        let cursor = names.into_iter().find_map(|name| self.cursors.remove(name));
        if let Some(cursor) = cursor
            && matches!(start, LogStart::Selected { .. })
        {
            let cursor = scope
                .accept(&cursor)
                .map_err(|reason| ParameterError::OtherCursor { reason })?;
            is_replaced = cursor.is_replaced;
            start = LogStart::After(cursor.position.filter(|_| !is_replaced));
        }
        let view = LogView {
            engine: Arc::clone(engine),
            container: container.clone(),
            containers: context.containers.clone(),
            start,
            is_replaced,
            until: self.until,
            follow: self.follow,
            sources: self.sources,
        };
        let hub = context.hub.clone();
        let opening = async move { view.open(&hub).await }.boxed();
        let handle = Arc::new(SourceHandle::default());
        let stream = SourceStream::new(
            (self.id, source),
            opening,
            Arc::clone(&self.credit),
            Arc::clone(&handle),
        );
        let joined = LogSource {
            container,
            encoder: LogEncoder::new(FrameFormat::Binary, scope, start.last_time()),
            scope,
            handle,
            started_at: indexed.container.started_at,
            position: start,
        };
        self.joined.insert(source, joined);
        Ok(stream)
    }
}
