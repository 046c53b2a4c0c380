//! Watches of a collection: events in revision order, each encoded once and
//! shared by all watches.

mod options;
mod watch_encoder;
mod watch_server;

use std::sync::Arc;

use http::Response;
use rdd_apiserver_storage::WatchError;

use self::options::WatchStart;
use self::watch_encoder::WatchEncoder;
use self::watch_server::WatchServer;
use super::handler_response;
use super::predicate::SelectionPredicate;
use crate::body::ResponseBody;
use crate::negotiate::{self, MediaType};
use crate::render;
use crate::request_context::RequestContext;
use crate::status::ApiError;

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
    let encoder = WatchEncoder {
        clock: Arc::clone(&ctx.server.clock),
        resource: Arc::clone(&ctx.resource),
        predicate,
        shape: ctx.format.shape,
        media: ctx.format.media,
        include_object: handler_response::include_object(ctx)?,
        send_columns: true,
    };
    let mut watch_server = WatchServer::new(&ctx.server, encoder, &options);
    let prefix = ctx.resource.collection_prefix(ctx.namespace());
    let start_revision = match options.start {
        WatchStart::After(revision) => revision,
        WatchStart::InitialEvents => {
            let snapshot = ctx.server.store.snapshot();
            let revision = snapshot.revision();
            let bookmark = options.bookmarks_initial_events.then_some(revision);
            watch_server.send_initial(snapshot.range(&prefix, None).cloned(), bookmark);
            revision
        }
    };
    match ctx.server.store.watch(&prefix, start_revision) {
        Ok(store_watch) => watch_server.follow(store_watch, start_revision),
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
