//! `GET` of a collection: whole or in pages, at the current or an earlier revision.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use rdd_apiserver_kinds::table;
use rdd_apiserver_storage::{SnapshotError, StoreSnapshot, StoredRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::handler_response;
use super::predicate::SelectionPredicate;
use crate::body::ResponseBody;
use crate::encode;
use crate::json;
use crate::limits;
use crate::negotiate::{ObjectShape, ResponseFormat};
use crate::render;
use crate::request_context::RequestContext;
use crate::revision::{self, RevisionPolicy};
use crate::status::ApiError;

/// Bytes of a list in one chunk of the body.
const CHUNK_BYTES: usize = 256 * 1024;

/// A continue token: where the next page starts.
#[derive(Debug, Serialize, Deserialize)]
struct ContinueToken {
    v: String,
    /// The revision of all pages; 0 for a token that continues at the current
    /// revision.
    rv: u64,
    /// The last key of the page, without the collection's prefix.
    start: String,
}

/// The version of the token's format, as kube-apiserver encodes it.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

impl ContinueToken {
    fn new(rv: u64, start: &str) -> Self {
        Self {
            v: TOKEN_VERSION.to_owned(),
            rv,
            start: start.to_owned(),
        }
    }

    fn encode(&self) -> String {
        let text = json!({"v": self.v, "rv": self.rv, "start": self.start}).to_string();
        URL_SAFE_NO_PAD.encode(text)
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid = |reason: String| {
            ApiError::bad_request(format!(
                "invalid continue token: continue key is not valid: {reason}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| invalid(error.to_string()))?;
        let token: Self =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if token.v != TOKEN_VERSION {
            return Err(invalid(format!(
                "server does not recognize this encoded version {:?}",
                token.v
            )));
        }
        Ok(token)
    }
}

/// One page of a collection.
pub(crate) struct ListPage {
    pub(crate) records: Vec<Arc<StoredRecord>>,
    /// The revision that the list shows.
    pub(crate) revision: u64,
    /// Where the next page starts; `None` for the last page.
    pub(crate) continue_token: Option<String>,
    /// Number of objects after this page, where it is known.
    pub(crate) remaining_items: Option<usize>,
}

/// Parses `limit`; `None` for a list without pages.
fn parse_limit(ctx: &RequestContext) -> Result<Option<usize>, ApiError> {
    let Some(text) = ctx.query.get("limit") else {
        return Ok(None);
    };
    let limit: i64 = text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })?;
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0))
}

fn expired_continue_token(start: &str) -> ApiError {
    ApiError::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
        .with_continue(ContinueToken::new(0, start).encode())
}

/// Returns the snapshot to list, and the key after which the page starts.
///
/// # Errors
/// 400 for an invalid token or revision, 410 for a compacted revision, 504 for a
/// future one.
fn list_snapshot(ctx: &RequestContext) -> Result<(StoreSnapshot, Option<String>), ApiError> {
    let store = &ctx.server.store;
    let age = revision::for_list(&ctx.query)?;
    if let Some(text) = ctx.query.get("continue") {
        let token = ContinueToken::decode(text)?;
        let snapshot = if token.rv == 0 {
            store.snapshot()
        } else {
            store
                .snapshot_at(token.rv)
                .map_err(|_| expired_continue_token(&token.start))?
        };
        return Ok((snapshot, Some(token.start)));
    }
    let snapshot = match age {
        RevisionPolicy::Latest => store.snapshot(),
        RevisionPolicy::NotOlderThan(requested) => {
            let snapshot = store.snapshot();
            if requested > snapshot.revision() {
                return Err(ApiError::too_large_resource_version(requested, snapshot.revision()));
            }
            snapshot
        }
        RevisionPolicy::Exact(requested) => store.snapshot_at(requested).map_err(|error| match error {
            SnapshotError::Compacted { oldest } => ApiError::expired(format!(
                "The resourceVersion for the provided list is too old. (too old resource version: {requested} ({oldest}))"
            )),
            SnapshotError::Future { current } => {
                ApiError::too_large_resource_version(requested, current)
            }
        })?,
    };
    Ok((snapshot, None))
}

/// Selects one page of the matching records.
///
/// # Errors
/// 400 for an invalid `limit`, and the errors of the revision.
pub(crate) fn select_page(
    ctx: &RequestContext,
    predicate: &SelectionPredicate,
) -> Result<ListPage, ApiError> {
    let limit = parse_limit(ctx)?;
    let (snapshot, after) = list_snapshot(ctx)?;
    let revision = snapshot.revision();
    let prefix = ctx.resource.collection_prefix(ctx.namespace());
    let after = after.map(|after| format!("{prefix}{after}"));
    if predicate.is_empty() {
        let mut range = snapshot.range(&prefix, after.as_deref());
        let Some(limit) = limit else {
            return Ok(ListPage {
                records: range.cloned().collect(),
                revision,
                continue_token: None,
                remaining_items: None,
            });
        };
        let records: Vec<Arc<StoredRecord>> = range.by_ref().take(limit).cloned().collect();
        let remaining = range.count();
        let continue_token = next_token(&records, remaining > 0, revision, &prefix);
        return Ok(ListPage {
            records,
            revision,
            continue_token,
            remaining_items: (remaining > 0).then_some(remaining),
        });
    }
    let mut records = Vec::new();
    let mut has_more = false;
    for record in snapshot.range(&prefix, after.as_deref()) {
        if let Some(name) = predicate.single_name()
            && record.key.rsplit('/').next() != Some(name)
        {
            continue;
        }
        if !predicate.matches(&ctx.resource, &ctx.load(record)?) {
            continue;
        }
        if limit.is_some_and(|limit| records.len() == limit) {
            has_more = true;
            break;
        }
        records.push(record.clone());
    }
    let continue_token = next_token(&records, has_more, revision, &prefix);
    Ok(ListPage {
        records,
        revision,
        continue_token,
        remaining_items: None,
    })
}

/// Returns the token of the page after these records.
fn next_token(
    records: &[Arc<StoredRecord>],
    has_more: bool,
    revision: u64,
    prefix: &str,
) -> Option<String> {
    let last = records.last().filter(|_| has_more)?;
    let start = last.key.strip_prefix(prefix).unwrap_or(&last.key);
    Some(ContinueToken::new(revision, start).encode())
}

/// Returns whether a collection is large. A page of a large collection is large
/// too: to select it, all objects may have to be decoded.
pub(crate) fn is_large(ctx: &RequestContext) -> bool {
    let prefix = ctx.resource.collection_prefix(ctx.namespace());
    let mut bytes = 0;
    ctx.server
        .store
        .snapshot()
        .range(&prefix, None)
        .any(|record| {
            bytes += record.value.len();
            bytes > limits::LARGE_LIST_BYTES
        })
}

/// `GET` of a collection.
///
/// # Errors
/// 400 for invalid selectors, and the errors of [`select_page`].
pub(crate) fn list(ctx: &RequestContext) -> Result<Response<ResponseBody>, ApiError> {
    let predicate = SelectionPredicate::from_query(ctx)?;
    let page = select_page(ctx, &predicate)?;
    render_page(ctx, &page)
}

/// Returns the `metadata` of a list.
fn list_metadata(ctx: &RequestContext, page: &ListPage) -> Value {
    let mut metadata = Map::new();
    metadata.insert(
        "resourceVersion".to_owned(),
        page.revision.to_string().into(),
    );
    match &page.continue_token {
        Some(token) => {
            metadata.insert("continue".to_owned(), token.as_str().into());
        }
        // kube-apiserver sends an empty token with the last page of custom resources.
        None if !ctx.resource.is_builtin() && ctx.format.shape == ObjectShape::Whole => {
            metadata.insert("continue".to_owned(), "".into());
        }
        None => {}
    }
    if let Some(remaining) = page.remaining_items {
        metadata.insert("remainingItemCount".to_owned(), remaining.into());
    }
    Value::Object(metadata)
}

/// Encodes a page in the negotiated format.
pub(crate) fn render_page(
    ctx: &RequestContext,
    page: &ListPage,
) -> Result<Response<ResponseBody>, ApiError> {
    if ctx.format == ResponseFormat::JSON && ctx.resource.is_verbatim() {
        return Ok(render::response(
            200,
            "application/json",
            concatenate_stored(ctx, page),
        ));
    }
    let mut objects = Vec::with_capacity(page.records.len());
    for record in &page.records {
        objects.push(ctx.load(record)?);
    }
    let value = list_value(ctx, page, objects)?;
    Ok(render::value(200, &value, ctx.format))
}

/// Returns the list of the objects in the negotiated shape.
///
/// # Errors
/// 406 if the shape is that of a single object.
pub(crate) fn list_value(
    ctx: &RequestContext,
    page: &ListPage,
    mut objects: Vec<Value>,
) -> Result<Value, ApiError> {
    let kind = &ctx.resource.kind;
    let metadata = list_metadata(ctx, page);
    Ok(match ctx.format.shape {
        ObjectShape::Whole => {
            if ctx.resource.is_builtin() {
                for object in &mut objects {
                    if let Some(root) = object.as_object_mut() {
                        root.remove("apiVersion");
                        root.remove("kind");
                    }
                }
            }
            json!({
                "kind": kind.list_kind,
                "apiVersion": kind.api_version(),
                "metadata": metadata,
                "items": objects,
            })
        }
        ObjectShape::Table => {
            let now = ctx.server.clock.now();
            ctx.resource.columns.table(
                &objects,
                metadata,
                handler_response::include_object(ctx)?,
                now,
                true,
            )
        }
        ObjectShape::PartialMetadataList => table::partial_object_metadata_list(&objects, metadata),
        ObjectShape::PartialMetadata => {
            return Err(ApiError::not_acceptable(
                "you requested PartialObjectMetadata, but the requested object is a list (PartialObjectMetadataList)",
            ));
        }
    })
}

/// Concatenates stored bytes without decoding them.
fn concatenate_stored(ctx: &RequestContext, page: &ListPage) -> ResponseBody {
    let kind = &ctx.resource.kind;
    // Items of built-in lists have neither `apiVersion` nor `kind`.
    let prefix: &[u8] = if ctx.resource.is_builtin() {
        b"{"
    } else {
        &ctx.resource.type_meta_prefix
    };
    let mut chunks = VecDeque::new();
    let mut chunk = encode::type_meta_prefix(&kind.api_version(), &kind.list_kind);
    chunk.extend_from_slice(b"\"metadata\":");
    json::write(&mut chunk, &list_metadata(ctx, page));
    chunk.extend_from_slice(b",\"items\":[");
    for (index, record) in page.records.iter().enumerate() {
        if index > 0 {
            chunk.push(b',');
        }
        encode::append_with_type_meta(&mut chunk, prefix, &record.value);
        if chunk.len() >= CHUNK_BYTES {
            chunks.push_back(Bytes::from(std::mem::take(&mut chunk)));
        }
    }
    chunk.extend_from_slice(b"]}\n");
    chunks.push_back(chunk.into());
    ResponseBody::from_chunks(chunks)
}
