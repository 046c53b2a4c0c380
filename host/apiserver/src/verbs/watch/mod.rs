//! Follows a collection: events in revision order, each written out once and
//! shared among all who watch.

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
use crate::negotiate::MediaType;
use crate::render;
use crate::status::ApiError;

/// Time between bookmarks for those who asked for them.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// Starts a watch.
pub(crate) fn watch(call: &RequestContext) -> Result<Response<ResponseBody>, ApiError> {
    let selection = SelectionPredicate::from_query(call)?;
    let options = options::parse_options(call)?;
    if call.format.media == MediaType::Yaml {
        return Err(ApiError::not_acceptable(
            "only the following media types are accepted: application/json, application/json;stream=watch",
        ));
    }
    let now = Instant::now();
    let mut tick = tokio::time::interval_at(now + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut follower = WatchServer {
        server: Arc::clone(&call.server),
        resource: Arc::clone(&call.resource),
        selection,
        shape: call.format.shape,
        include_object: render::include_object(call)?,
        send_columns: true,
        initial_records: VecDeque::new(),
        pending_lines: VecDeque::new(),
        store_watch: None,
        sends_bookmarks: options.sends_bookmarks,
        last_bookmark: 0,
        bookmark_interval: tick,
        deadline: now + options.timeout,
        shutdown: call.server.closing.subscribe(),
        registry_changes: call.server.reflected.subscribe(),
    };
    let prefix = call.resource.collection(call.namespace());
    let after = match options.start {
        WatchStart::After(revision) => revision,
        WatchStart::InitialEvents => {
            let snapshot = call.server.store.snapshot();
            follower.initial_records = snapshot.range(&prefix, None).cloned().collect();
            if options.bookmarks_initial_events {
                let line = follower.bookmark_line(snapshot.revision(), true);
                follower.pending_lines.push_back(line);
            }
            snapshot.revision()
        }
    };
    follower.last_bookmark = after;
    match call.server.store.watch(&prefix, after) {
        Ok(source) => follower.store_watch = Some(source),
        Err(WatchError::Closed) => {
            return Err(ApiError::unavailable("the server is shutting down"));
        }
        Err(WatchError::Compacted { oldest }) => {
            follower.expire(&format!("too old resource version: {after} ({oldest})"));
        }
        Err(WatchError::Future { current }) => {
            follower.expire(&format!(
                "Too large resource version: {after}, current: {current}"
            ));
        }
    }
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        follower.next_chunk().await.map(|line| (line, follower))
    });
    Ok(render::response(
        200,
        "application/json",
        ResponseBody::from_stream(stream),
    ))
}
