//! `GET /passthrough/engine/logs/{container}`: validates the request, in the
//! documented order, and opens the engine's stream.

use std::sync::Arc;

use async_stream::stream;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use rdd_core::{ContainerEngine, ContainerIndex, ContainerRef, EngineError, LogOptions};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::container_target::{ContainerTarget, ready_engine};
use crate::entries::cursor::CursorScope;
use crate::entries::engine_call::with_timeout;
use crate::log_format::{FrameFormat, LogEncoder, encode_chunk};
use crate::log_hub::{LogHub, LogOpenError};
use crate::log_reader::{FollowMode, LogItem, LogItemStream, LogStart, LogView};
use crate::query::{self, LogRequest, ParameterError};
use crate::request_error::StreamRequestError;

/// The messages of a log, in the format that the client selected.
pub(crate) type MessageStream = BoxStream<'static, Result<Message, EngineError>>;

/// How a client reads a log.
pub(crate) struct LogParams<'a> {
    pub(crate) query: &'a str,
    pub(crate) format: FrameFormat,
    /// Whether only the checks are run, without reading any content.
    pub(crate) is_probe: bool,
    pub(crate) now: Timestamp,
}

/// Validates the request and opens the log.
pub(crate) async fn open_log(
    target: &ContainerTarget<'_>,
    reading: LogParams<'_>,
    index: &watch::Receiver<ContainerIndex>,
    hub: &LogHub,
) -> Result<MessageStream, StreamRequestError> {
    let LogParams {
        query,
        format,
        is_probe,
        now,
    } = reading;
    let ContainerTarget {
        snapshot,
        container,
        ..
    } = target;
    let id_format = target.check_form()?;
    let mut request = query::parse_log_request(query, now.into())?;
    request.check_format(format)?;
    if is_probe {
        request = LogRequest {
            options: LogOptions {
                follow: false,
                tail: Some(0),
                ..request.options
            },
            follow: FollowMode::No,
            ..request
        };
    }
    // 501 takes precedence over 503: waiting does not install a backend.
    if let Some(info) = &snapshot.info
        && !info.capabilities.has_any_log()
    {
        return Err(StreamRequestError::LogsUnsupported {
            backend: info.name.clone(),
        });
    }
    let engine = ready_engine(snapshot)?;
    let capabilities = engine.info().capabilities;
    if request.needs_entries(format) && !capabilities.entry_times {
        return Err(StreamRequestError::EntriesUnsupported {
            backend: engine.info().name.clone(),
        });
    }
    let namespace = request.namespace.clone();
    let reference = target.reference(id_format, namespace, engine.info().default_namespace())?;
    let indexed = target.containers.by_reference(&reference);
    let indexed = indexed.as_ref().map(|indexed| &*indexed.container);
    // Lines of a terminal cannot be told from its bytes in every engine.
    let has_lines = indexed.is_some_and(|container| !container.tty);
    let is_shareable = capabilities.entry_times && has_lines && request.is_shareable();
    let opened = if request.needs_entries(format) || is_shareable {
        let created_at = indexed.and_then(|container| container.created_at);
        let scope = CursorScope::new(&reference, created_at, request.sources());
        let view = request.view(engine, reference, index.clone(), &scope)?;
        let encoder = LogEncoder::new(format, scope, view.start.last_time());
        let opened = with_timeout(view.open(hub)).await;
        opened.map(|items| encode_items(items, encoder).boxed())
    } else {
        let log = with_timeout(engine.get_logs(&reference, &request.options)).await;
        let encode = move |chunk| encode_chunk(format, chunk);
        log.map(|chunks| chunks.map(move |chunk| chunk.map(encode)).boxed())
            .map_err(LogOpenError::Engine)
    };
    opened.map_err(|error| StreamRequestError::from_open_error(&snapshot.backend, container, error))
}

impl LogRequest {
    fn check_format(&self, format: FrameFormat) -> Result<(), ParameterError> {
        if self.options.timestamps && format.has_entries() {
            return Err(ParameterError::TimestampsOfEntries);
        }
        if self.options.timestamps && self.needs_entries(format) {
            return Err(ParameterError::TimestampsOfResumable);
        }
        Ok(())
    }

    /// Returns whether the log has to be read as entries.
    fn needs_entries(&self, format: FrameFormat) -> bool {
        format.has_entries() || self.cursor.is_some() || self.follow == FollowMode::Restart
    }

    /// Returns whether the bytes of the log can come from a shared engine stream.
    fn is_shareable(&self) -> bool {
        self.follow == FollowMode::Yes && self.options.until.is_none() && !self.options.timestamps
    }

    fn view(
        &self,
        engine: &Arc<dyn ContainerEngine>,
        container: ContainerRef,
        containers: watch::Receiver<ContainerIndex>,
        scope: &CursorScope,
    ) -> Result<LogView, ParameterError> {
        let LogOptions {
            tail, since, until, ..
        } = self.options;
        let mut start = LogStart::Selected { tail, since };
        let mut is_replaced = false;
        if let Some(cursor) = &self.cursor {
            let cursor = scope
                .accept(cursor)
                .map_err(|reason| ParameterError::OtherCursor { reason })?;
            is_replaced = cursor.is_replaced;
            start = LogStart::After(cursor.position.filter(|_| !is_replaced));
        }
        Ok(LogView {
            engine: Arc::clone(engine),
            container,
            containers,
            start,
            is_replaced,
            until,
            follow: self.follow,
            sources: self.sources(),
        })
    }
}

/// Encodes the items of a log. If it fails, a last message with the reason comes
/// before the error.
fn encode_items(
    mut items: LogItemStream,
    mut encoder: LogEncoder,
) -> impl Stream<Item = Result<Message, EngineError>> + Send {
    stream! {
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => {
                    for message in encoder.encode(&item) {
                        yield Ok(message);
                    }
                }
                Err(error) => {
                    let reason = LogItem::End(error.message.clone().into());
                    for message in encoder.encode(&reason) {
                        yield Ok(message);
                    }
                    yield Err(error);
                    return;
                }
            }
        }
    }
}
