//! Watches of a collection: events in revision order, each encoded once and
//! shared by all watches.

mod options;
mod watch_server;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use rdd_apiserver_storage::WatchError;
use tokio::time::Instant;

use self::options::WatchStart;
use self::watch_server::WatchServer;
use super::context::RequestContext;
use super::predicate::SelectionPredicate;
use crate::body::ResponseBody;
use crate::negotiate::{self, MediaType};
use crate::render;
use crate::status::ApiError;

/// Time between bookmarks, for clients that request them.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// `GET` of a collection with `watch=true`.
///
/// # Errors
/// Invalid options or selectors, an `Accept` header without JSON, or 503 while
/// the server shuts down. An unavailable revision is an event of the watch.
pub(crate) fn watch(ctx: &RequestContext) -> Result<Response<ResponseBody>, ApiError> {
    let predicate = SelectionPredicate::from_query(ctx)?;
    let options = options::parse_options(ctx)?;
    if ctx.format.media == MediaType::Yaml {
        return Err(negotiate::not_acceptable_stream());
    }
    let now = Instant::now();
    let mut bookmark_interval =
        tokio::time::interval_at(now + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
    bookmark_interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut watch_server = WatchServer {
        server: Arc::clone(&ctx.server),
        resource: Arc::clone(&ctx.resource),
        predicate,
        shape: ctx.format.shape,
        media: ctx.format.media,
        include_object: render::include_object(ctx)?,
        send_columns: true,
        initial_records: VecDeque::new(),
        pending_lines: VecDeque::new(),
        store_watch: None,
        sends_bookmarks: options.sends_bookmarks,
        last_bookmark: 0,
        bookmark_interval,
        deadline: now + options.timeout,
        shutdown: ctx.server.shutdown.clone(),
        registry_changes: ctx.server.registry_revision.subscribe(),
    };
    let prefix = ctx.resource.collection_prefix(ctx.namespace());
    let start_revision = match options.start {
        WatchStart::After(revision) => revision,
        WatchStart::InitialEvents => {
            let snapshot = ctx.server.store.snapshot();
            watch_server.initial_records = snapshot.range(&prefix, None).cloned().collect();
            if options.bookmarks_initial_events {
                let line = watch_server.bookmark_line(snapshot.revision(), true);
                watch_server.pending_lines.push_back(line);
            }
            snapshot.revision()
        }
    };
    watch_server.last_bookmark = start_revision;
    match ctx.server.store.watch(&prefix, start_revision) {
        Ok(store_watch) => watch_server.store_watch = Some(store_watch),
        Err(WatchError::Closed) => {
            return Err(ApiError::unavailable("the server is shutting down"));
        }
        Err(WatchError::Compacted { oldest }) => {
            watch_server.expire(&format!(
                "too old resource version: {start_revision} ({oldest})"
            ));
        }
        Err(WatchError::Future { current }) => {
            watch_server.expire(&format!(
                "Too large resource version: {start_revision}, current: {current}"
            ));
        }
    }
    let stream = futures::stream::unfold(watch_server, |mut watch_server| async move {
        watch_server
            .next_chunk()
            .await
            .map(|chunk| (chunk, watch_server))
    });
    let content_type = match ctx.format.media {
        MediaType::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        MediaType::Json | MediaType::Yaml => "application/json",
    };
    Ok(render::response(
        200,
        content_type,
        ResponseBody::from_stream(stream),
    ))
}
