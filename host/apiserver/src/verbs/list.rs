//! Reads a collection: whole or in pages, as it is or as it was.

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

use super::call::Call;
use super::select::Selection;
use crate::body::ResponseBody;
use crate::encode;
use crate::limits;
use crate::negotiate::{Format, Shape};
use crate::render;
use crate::revision::{self, Age};
use crate::status::ApiError;

/// Bytes of a list that are put together before they are handed on.
const PIECE: usize = 256 * 1024;

/// Where a list goes on: what a continue token says.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    /// Revision of the whole list; zero for a token that goes on with whatever
    /// there is now.
    rv: u64,
    /// The last key of the page, below the collection's prefix.
    start: String,
}

const TOKEN_VERSION: &str = "meta.k8s.io/v1";

impl Token {
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
        let bad = |why: String| ApiError::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|e| bad(e.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        if token.v != TOKEN_VERSION {
            return Err(bad(format!(
                "server does not recognize this encoded version {:?}",
                token.v
            )));
        }
        Ok(token)
    }
}

/// One page of a collection.
pub(crate) struct Page {
    pub(crate) records: Vec<Arc<StoredRecord>>,
    pub(crate) revision: u64,
    pub(crate) token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

fn limit(call: &Call) -> Result<Option<usize>, ApiError> {
    let Some(text) = call.query.get("limit") else {
        return Ok(None);
    };
    let limit: i64 = text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })?;
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0))
}

fn expired(start: &str) -> ApiError {
    ApiError::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
        .with_continue(Token::new(0, start).encode())
}

/// The state that a list shows, and the key after which it goes on.
fn state(call: &Call) -> Result<(StoreSnapshot, Option<String>), ApiError> {
    let store = &call.server.store;
    let age = revision::of_list(&call.query)?;
    if let Some(text) = call.query.get("continue") {
        let token = Token::decode(text)?;
        let snapshot = if token.rv == 0 {
            store.snapshot()
        } else {
            store
                .snapshot_at(token.rv)
                .map_err(|_| expired(&token.start))?
        };
        return Ok((snapshot, Some(token.start)));
    }
    let snapshot = match age {
        Age::Latest => store.snapshot(),
        Age::NotOlder(wanted) => {
            let snapshot = store.snapshot();
            if wanted > snapshot.revision() {
                return Err(ApiError::too_large_resource_version(wanted, snapshot.revision()));
            }
            snapshot
        }
        Age::Exact(wanted) => store.snapshot_at(wanted).map_err(|error| match error {
            SnapshotError::Compacted { oldest } => ApiError::expired(format!(
                "The resourceVersion for the provided list is too old. (too old resource version: {wanted} ({oldest}))"
            )),
            SnapshotError::Future { current } => {
                ApiError::too_large_resource_version(wanted, current)
            }
        })?,
    };
    Ok((snapshot, None))
}

/// Selects one page.
pub(crate) fn page(call: &Call, selection: &Selection) -> Result<Page, ApiError> {
    let limit = limit(call)?;
    let (snapshot, after) = state(call)?;
    let revision = snapshot.revision();
    let prefix = call.resource.collection(call.namespace());
    let after = after.map(|after| format!("{prefix}{after}"));
    if selection.is_empty() {
        let mut range = snapshot.range(&prefix, after.as_deref());
        let Some(limit) = limit else {
            return Ok(Page {
                records: range.cloned().collect(),
                revision,
                token: None,
                remaining: None,
            });
        };
        let records: Vec<Arc<StoredRecord>> = range.by_ref().take(limit).cloned().collect();
        let left = range.count();
        let token = token_after(&records, left > 0, revision, &prefix);
        return Ok(Page {
            records,
            revision,
            token,
            remaining: (left > 0).then_some(left),
        });
    }
    let mut records = Vec::new();
    let mut more = false;
    for record in snapshot.range(&prefix, after.as_deref()) {
        if let Some(name) = selection.name()
            && record.key.rsplit('/').next() != Some(name)
        {
            continue;
        }
        if !selection.matches(&call.resource, &call.load(record)?) {
            continue;
        }
        if limit.is_some_and(|limit| records.len() == limit) {
            more = true;
            break;
        }
        records.push(record.clone());
    }
    let token = token_after(&records, more, revision, &prefix);
    Ok(Page {
        records,
        revision,
        token,
        remaining: None,
    })
}

fn token_after(
    records: &[Arc<StoredRecord>],
    more: bool,
    revision: u64,
    prefix: &str,
) -> Option<String> {
    let last = records.last().filter(|_| more)?;
    let start = last.key.strip_prefix(prefix).unwrap_or(&last.key);
    Some(Token::new(revision, start).encode())
}

/// Whether a collection is large. So is then a page of it: which objects are
/// on the page may only be known once all were looked at.
pub(crate) fn is_large(call: &Call) -> bool {
    let prefix = call.resource.collection(call.namespace());
    let mut bytes = 0;
    call.server
        .store
        .snapshot()
        .range(&prefix, None)
        .any(|record| {
            bytes += record.value.len();
            bytes > limits::LARGE_LIST
        })
}

/// Lists.
pub(crate) fn list(call: &Call) -> Result<Response<ResponseBody>, ApiError> {
    let selection = Selection::read(call)?;
    let page = page(call, &selection)?;
    show(call, &page)
}

/// `metadata` of a list.
fn metadata(call: &Call, page: &Page) -> Value {
    let mut metadata = Map::new();
    metadata.insert(
        "resourceVersion".to_owned(),
        page.revision.to_string().into(),
    );
    match &page.token {
        Some(token) => {
            metadata.insert("continue".to_owned(), token.as_str().into());
        }
        // Lists of custom resources say that there is no more.
        None if !call.resource.is_builtin() && call.format.shape == Shape::Whole => {
            metadata.insert("continue".to_owned(), "".into());
        }
        None => {}
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".to_owned(), remaining.into());
    }
    Value::Object(metadata)
}

/// A page in the form that was asked for.
pub(crate) fn show(call: &Call, page: &Page) -> Result<Response<ResponseBody>, ApiError> {
    if call.format == Format::JSON && call.resource.verbatim() {
        return Ok(render::response(
            200,
            "application/json",
            pieces(call, page),
        ));
    }
    let mut objects = Vec::with_capacity(page.records.len());
    for record in &page.records {
        objects.push(call.load(record)?);
    }
    let value = shaped(call, page, objects)?;
    Ok(render::value(200, &value, call.format))
}

/// The list of some objects in the shape that was asked for.
pub(crate) fn shaped(call: &Call, page: &Page, mut objects: Vec<Value>) -> Result<Value, ApiError> {
    let kind = &call.resource.kind;
    let metadata = metadata(call, page);
    Ok(match call.format.shape {
        Shape::Whole => {
            if call.resource.is_builtin() {
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
        Shape::Table => {
            let now = (call.server.clock)();
            call.resource
                .columns
                .table(&objects, metadata, render::include(call)?, now, true)
        }
        Shape::PartialList => table::partial_object_metadata_list(&objects, metadata),
        Shape::Partial => {
            return Err(ApiError::not_acceptable(
                "you requested PartialObjectMetadata, but the requested object is a list (PartialObjectMetadataList)",
            ));
        }
    })
}

/// The fast way: stored bytes put behind one another, nothing parsed.
fn pieces(call: &Call, page: &Page) -> ResponseBody {
    let kind = &call.resource.kind;
    let untyped: &[u8] = b"{";
    let prefix: &[u8] = if call.resource.is_builtin() {
        untyped
    } else {
        &call.resource.typed
    };
    let mut out = VecDeque::new();
    let mut piece = encode::type_prefix(&kind.api_version(), &kind.list_kind);
    piece.extend_from_slice(b"\"metadata\":");
    encode::write(&mut piece, &metadata(call, page));
    piece.extend_from_slice(b",\"items\":[");
    for (index, record) in page.records.iter().enumerate() {
        if index > 0 {
            piece.push(b',');
        }
        encode::append_typed(&mut piece, prefix, &record.value);
        if piece.len() >= PIECE {
            out.push_back(Bytes::from(std::mem::take(&mut piece)));
        }
    }
    piece.extend_from_slice(b"]}\n");
    out.push_back(piece.into());
    ResponseBody::pieces(out)
}
