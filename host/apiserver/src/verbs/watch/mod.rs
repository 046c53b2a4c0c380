//! Follows a collection: events in revision order, each written out once and
//! shared among all who watch.

mod follower;
mod options;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use rdd_apiserver_storage::WatchError;
use tokio::time::Instant;

use self::follower::Follower;
use self::options::Start;
use super::call::Call;
use super::select::Selection;
use crate::body::ResponseBody;
use crate::negotiate::Media;
use crate::render;
use crate::status::ApiError;

/// Time between bookmarks for those who asked for them.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);

/// Starts a watch.
pub(crate) fn watch(call: &Call) -> Result<Response<ResponseBody>, ApiError> {
    let selection = Selection::read(call)?;
    let options = options::read(call)?;
    if call.format.media == Media::Yaml {
        return Err(ApiError::not_acceptable(
            "only the following media types are accepted: application/json, application/json;stream=watch",
        ));
    }
    let now = Instant::now();
    let mut tick = tokio::time::interval_at(now + BOOKMARK_EVERY, BOOKMARK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut follower = Follower {
        server: Arc::clone(&call.server),
        resource: Arc::clone(&call.resource),
        selection,
        shape: call.format.shape,
        include: render::include(call)?,
        headers: true,
        existing: VecDeque::new(),
        pending: VecDeque::new(),
        source: None,
        bookmarks: options.bookmarks,
        bookmarked: 0,
        tick,
        deadline: now + options.lifetime,
        shutdown: call.server.shutdown.clone(),
        reflected: call.server.registry_revision.subscribe(),
    };
    let prefix = call.resource.collection_prefix(call.namespace());
    let after = match options.start {
        Start::After(revision) => revision,
        Start::Existing => {
            let snapshot = call.server.store.snapshot();
            follower.existing = snapshot.range(&prefix, None).cloned().collect();
            if options.mark_initial {
                let line = follower.bookmark(snapshot.revision(), true);
                follower.pending.push_back(line);
            }
            snapshot.revision()
        }
    };
    follower.bookmarked = after;
    match call.server.store.watch(&prefix, after) {
        Ok(source) => follower.source = Some(source),
        Err(WatchError::Closed) => {
            return Err(ApiError::unavailable("the server is shutting down"));
        }
        Err(WatchError::Compacted { oldest }) => {
            follower.fail(&format!("too old resource version: {after} ({oldest})"));
        }
        Err(WatchError::Future { current }) => {
            follower.fail(&format!(
                "Too large resource version: {after}, current: {current}"
            ));
        }
    }
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        follower.next().await.map(|line| (line, follower))
    });
    Ok(render::response(
        200,
        "application/json",
        ResponseBody::stream(stream),
    ))
}
