//! Encodes the events of a watch as lines.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use rdd_apiserver_storage::{Clock, EventKind, StoreEvent, StoredRecord};
use serde_json::{Map, Value, json};

use crate::encode;
use crate::json;
use crate::meta;
use crate::negotiate::{MediaType, ObjectShape};
use crate::protobuf;
use crate::resource::ServedResource;
use crate::status::ApiError;
use crate::verbs::predicate::SelectionPredicate;

/// Annotation of the bookmark that follows the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The forms of an event that all its watches share: the objects, decoded once,
/// and the lines, encoded once.
#[derive(Default)]
struct CachedEncoding {
    /// The version in which the lines are encoded.
    api_version: String,
    object: OnceLock<Option<Value>>,
    previous: OnceLock<Option<Value>>,
    /// One line for each event type: added, modified, deleted.
    lines: [OnceLock<Bytes>; 3],
}

impl CachedEncoding {
    fn object(&self, resource: &ServedResource, event: &StoreEvent) -> Option<&Value> {
        let object = &self.object;
        object
            .get_or_init(|| decode(resource, &event.key, &event.value))
            .as_ref()
    }

    /// Returns the object before the event.
    fn previous(&self, resource: &ServedResource, event: &StoreEvent) -> Option<&Value> {
        let record = event.previous.as_ref()?;
        let previous = &self.previous;
        previous
            .get_or_init(|| decode(resource, &event.key, &record.value))
            .as_ref()
    }
}

fn decode(resource: &ServedResource, key: &str, stored: &[u8]) -> Option<Value> {
    match resource.load(stored) {
        Ok(object) => Some(object),
        Err(error) => {
            tracing::error!(key, %error, "cannot decode a stored object");
            None
        }
    }
}

fn event_type(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}

/// What a watch selects, and in which form it is sent.
pub(super) struct WatchEncoder {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) resource: Arc<ServedResource>,
    pub(super) predicate: SelectionPredicate,
    pub(super) shape: ObjectShape,
    pub(super) media: MediaType,
    pub(super) include_object: IncludeObjectPolicy,
    /// Whether the next table has column definitions; only the first one does.
    pub(super) send_columns: bool,
}

impl WatchEncoder {
    /// Returns the line of an event, or `None` if the predicate matches neither
    /// the old nor the new object.
    pub(super) fn event_line(&mut self, event: &StoreEvent) -> Option<Bytes> {
        let cached = self.cached_encoding(event);
        let kind = if self.predicate.is_empty() {
            event.kind
        } else {
            let object = cached.object(&self.resource, event)?;
            let matches_now = event.kind != EventKind::Deleted && self.matches(object);
            let previous = cached.previous(&self.resource, event);
            let matched_before = previous.is_some_and(|object| self.matches(object));
            match (matched_before, matches_now) {
                (false, false) => return None,
                (false, true) => EventKind::Added,
                (true, true) => EventKind::Modified,
                (true, false) => {
                    // The last object that matched, at the revision of the change.
                    let mut object = previous?.clone();
                    meta::set(&mut object, "resourceVersion", &event.revision.to_string());
                    return Some(self.object_line("DELETED", &object));
                }
            }
        };
        if !self.sends_stored_lines() {
            let object = cached.object(&self.resource, event)?;
            return Some(self.object_line(event_type(kind), object));
        }
        let [added, modified, deleted] = &cached.lines;
        let line = match kind {
            EventKind::Added => added,
            EventKind::Modified => modified,
            EventKind::Deleted => deleted,
        };
        let line = line.get_or_init(|| self.stored_line(event_type(kind), &event.value));
        Some(line.clone())
    }

    /// Returns what other watches have derived from an event, where they can have: an
    /// object that has to be converted depends on the version.
    fn cached_encoding(&self, event: &StoreEvent) -> Arc<CachedEncoding> {
        if !self.resource.is_verbatim() {
            return Arc::default();
        }
        let api_version = self.resource.kind.api_version();
        let cached = event.memo.get_or_init(|| CachedEncoding {
            api_version: api_version.clone(),
            ..CachedEncoding::default()
        });
        cached
            .filter(|cached| cached.api_version == api_version)
            .unwrap_or_default()
    }

    fn matches(&self, object: &Value) -> bool {
        self.predicate.matches(&self.resource, object)
    }

    /// Appends the line of an object from before the watch, if it matches.
    pub(super) fn append_initial(&mut self, out: &mut Vec<u8>, record: &StoredRecord) {
        if self.predicate.is_empty() && self.sends_stored_lines() {
            out.extend_from_slice(&self.stored_line("ADDED", &record.value));
        } else if let Some(object) = decode(&self.resource, &record.key, &record.value)
            && self.matches(&object)
        {
            out.extend_from_slice(&self.object_line("ADDED", &object));
        }
    }

    pub(super) fn bookmark_line(&self, revision: u64, ends_initial_events: bool) -> Bytes {
        let kind = &self.resource.kind;
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        if ends_initial_events {
            metadata.insert(
                "annotations".to_owned(),
                json!({INITIAL_EVENTS_END: "true"}),
            );
        }
        let object = json!({
            "kind": kind.kind,
            "apiVersion": kind.api_version(),
            "metadata": metadata,
        });
        let object = match self.shape {
            ObjectShape::Whole => object,
            ObjectShape::Table => self.resource.columns.table(
                [],
                json!({"resourceVersion": revision.to_string()}),
                self.include_object,
                self.clock.now(),
                false,
            ),
            ObjectShape::PartialMetadata | ObjectShape::PartialMetadataList => {
                table::partial_object_metadata(&object)
            }
        };
        self.encode("BOOKMARK", &object)
    }

    pub(super) fn error_line(&self, error: &ApiError) -> Bytes {
        self.encode("ERROR", &error.to_value())
    }

    /// Returns whether objects are sent as they are stored.
    fn sends_stored_lines(&self) -> bool {
        self.shape == ObjectShape::Whole
            && self.media == MediaType::Json
            && self.resource.is_verbatim()
    }

    fn stored_line(&self, kind: &str, stored: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(stored.len() + 128);
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        encode::append_with_type_meta(&mut out, &self.resource.type_meta_prefix, stored);
        out.extend_from_slice(b"}\n");
        out.into()
    }

    fn object_line(&mut self, kind: &str, object: &Value) -> Bytes {
        match self.shape {
            ObjectShape::Whole => self.encode(kind, object),
            ObjectShape::PartialMetadata | ObjectShape::PartialMetadataList => {
                self.encode(kind, &table::partial_object_metadata(object))
            }
            ObjectShape::Table => {
                let metadata = json!({"resourceVersion": meta::text(object, "resourceVersion")});
                let now = self.clock.now();
                let send_columns = std::mem::take(&mut self.send_columns);
                let table = self.resource.columns.table(
                    [object],
                    metadata,
                    self.include_object,
                    now,
                    send_columns,
                );
                self.encode(kind, &table)
            }
        }
    }

    fn encode(&self, kind: &str, object: &Value) -> Bytes {
        if self.media == MediaType::Protobuf {
            // All that is negotiated as protobuf has a message.
            return protobuf::encode_watch_event(kind, object)
                .unwrap_or_default()
                .into();
        }
        let mut out = Vec::with_capacity(1024);
        json::write(&mut out, &json!({"type": kind, "object": object}));
        out.push(b'\n');
        out.into()
    }
}
