//! An open watch: encodes the events of the store as lines.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use rdd_apiserver_storage::{EventKind, StoreEvent, StoreWatch, StoredRecord, WatchEndReason};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::encode;
use crate::meta;
use crate::negotiate::{MediaType, ObjectShape};
use crate::protobuf;
use crate::resource::ServedResource;
use crate::server::ServerState;
use crate::status::ApiError;
use crate::verbs::predicate::SelectionPredicate;

/// Bytes of initial objects in one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Annotation of the bookmark that follows the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The forms of an event that all its watches share: the object, decoded once,
/// and the lines, encoded once.
#[derive(Default)]
struct CachedEncoding {
    /// The version in which the lines are encoded.
    api_version: String,
    object: OnceLock<Option<Value>>,
    /// One line for each event type: added, modified, deleted.
    lines: [OnceLock<Bytes>; 3],
}

/// The state of an open watch.
pub(super) struct WatchServer {
    pub(super) server: Arc<ServerState>,
    pub(super) resource: Arc<ServedResource>,
    pub(super) predicate: SelectionPredicate,
    pub(super) shape: ObjectShape,
    pub(super) media: MediaType,
    pub(super) include_object: IncludeObjectPolicy,
    /// Whether the next table has column definitions; only the first one does.
    pub(super) send_columns: bool,
    /// Objects from before the watch that have not been sent yet.
    pub(super) initial_records: VecDeque<Arc<StoredRecord>>,
    /// Encoded lines that are sent before the next event.
    pub(super) pending_lines: VecDeque<Bytes>,
    /// `None` once the watch has ended.
    pub(super) store_watch: Option<StoreWatch>,
    pub(super) sends_bookmarks: bool,
    /// The revision of the latest bookmark.
    pub(super) last_bookmark: u64,
    pub(super) bookmark_interval: tokio::time::Interval,
    pub(super) deadline: Instant,
    pub(super) shutdown: CancellationToken,
    pub(super) registry_changes: watch::Receiver<u64>,
}

fn encode_event(media: MediaType, kind: &str, object: &Value) -> Bytes {
    if media == MediaType::Protobuf {
        // All that is negotiated as protobuf has a message.
        return protobuf::encode_watch_event(kind, object)
            .unwrap_or_default()
            .into();
    }
    let mut out = Vec::with_capacity(1024);
    encode::write(&mut out, &json!({"type": kind, "object": object}));
    out.push(b'\n');
    out.into()
}

fn event_type(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}

impl WatchServer {
    /// Returns the next lines, or `None` at the end of the watch.
    pub(super) async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if let Some(lines) = self.initial_chunk() {
                return Some(lines);
            }
            if !self.initial_records.is_empty() {
                // Nothing in this chunk matched: let other tasks run before the next.
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(line) = self.pending_lines.pop_front() {
                return Some(line);
            }
            let store_watch = self.store_watch.as_mut()?;
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                // Before the events: a busy stream must not exceed its timeout.
                _ = self.bookmark_interval.tick(), if self.sends_bookmarks => {
                    if let Some(line) = self.progress_bookmark() {
                        return Some(line);
                    }
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    let last = if self.sends_bookmarks { self.progress_bookmark() } else { None };
                    self.store_watch = None;
                    return last;
                }
                next = store_watch.next() => match next {
                    Ok(event) => {
                        if let Some(line) = self.event_line(&event) {
                            return Some(line);
                        }
                    }
                    Err(WatchEndReason::Lagged) => self.expire("too old resource version: the watcher fell behind"),
                    Err(WatchEndReason::Closed) => return None,
                },
                // After the events: those of a removed resource are still sent.
                _ = self.registry_changes.changed() => {
                    if !self.is_still_served() {
                        return None;
                    }
                }
            }
        }
    }

    /// Returns whether the registry still serves the same resource. A changed or
    /// removed definition ends its watches; clients then start a new one.
    fn is_still_served(&self) -> bool {
        let kind = &self.resource.kind;
        self.server
            .registry
            .load()
            .get(&kind.group, &kind.version, &kind.plural)
            .is_some_and(|current| Arc::ptr_eq(current, &self.resource))
    }

    /// Returns a bookmark if the watch has progressed since the latest one.
    fn progress_bookmark(&mut self) -> Option<Bytes> {
        let progress = self.store_watch.as_ref()?.progress();
        if progress <= self.last_bookmark {
            return None;
        }
        self.last_bookmark = progress;
        Some(self.bookmark_line(progress, false))
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
                self.server.clock.now(),
                false,
            ),
            ObjectShape::PartialMetadata | ObjectShape::PartialMetadataList => {
                table::partial_object_metadata(&object)
            }
        };
        encode_event(self.media, "BOOKMARK", &object)
    }

    /// Ends the watch with an event upon which the client lists again.
    pub(super) fn expire(&mut self, message: &str) {
        let status = ApiError::expired(message).to_value();
        self.pending_lines
            .push_back(encode_event(self.media, "ERROR", &status));
        self.store_watch = None;
    }

    /// Returns the next initial objects, many in one chunk: clients wait for all
    /// of them, not for a single one.
    fn initial_chunk(&mut self) -> Option<Bytes> {
        let (mut out, mut bytes_read) = (Vec::new(), 0);
        let is_verbatim = self.predicate.is_empty() && self.sends_stored_lines();
        while out.len() < CHUNK_BYTES
            && bytes_read < CHUNK_BYTES
            && let Some(record) = self.initial_records.pop_front()
        {
            bytes_read += record.value.len();
            if is_verbatim {
                out.extend_from_slice(&self.stored_line("ADDED", &record.value));
                continue;
            }
            if let Some(object) = self.decode_object(&record.value, &record.key)
                && self.predicate.matches(&self.resource, &object)
            {
                let line = self.object_line("ADDED", object);
                out.extend_from_slice(&line);
            }
        }
        (!out.is_empty()).then(|| out.into())
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

    fn object_line(&mut self, kind: &str, object: Value) -> Bytes {
        let object = match self.shape {
            ObjectShape::Whole => object,
            ObjectShape::PartialMetadata | ObjectShape::PartialMetadataList => {
                table::partial_object_metadata(&object)
            }
            ObjectShape::Table => {
                let metadata = json!({"resourceVersion": meta::text(&object, "resourceVersion")});
                let now = self.server.clock.now();
                let send_columns = std::mem::take(&mut self.send_columns);
                self.resource.columns.table(
                    [&object],
                    metadata,
                    self.include_object,
                    now,
                    send_columns,
                )
            }
        };
        encode_event(self.media, kind, &object)
    }

    fn decode_object(&self, stored: &[u8], key: &str) -> Option<Value> {
        match self.resource.load(stored) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::error!(key, %error, "cannot decode a stored object");
                None
            }
        }
    }

    /// Returns the line of an event, or `None` if the predicate matches neither
    /// the old nor the new object.
    fn event_line(&mut self, event: &StoreEvent) -> Option<Bytes> {
        let cached = self.resource.is_verbatim().then(|| {
            event.memo.get_or_init(|| CachedEncoding {
                api_version: self.resource.kind.api_version(),
                ..CachedEncoding::default()
            })
        });
        let cached = cached
            .flatten()
            .filter(|cached| cached.api_version == self.resource.kind.api_version());
        let mut kind = event.kind;
        if !self.predicate.is_empty() {
            let decoded: Option<Value>;
            let object = match &cached {
                Some(cached) => cached
                    .object
                    .get_or_init(|| self.decode_object(&event.value, &event.key)),
                None => {
                    decoded = self.decode_object(&event.value, &event.key);
                    &decoded
                }
            }
            .as_ref()?;
            let matches_now =
                kind != EventKind::Deleted && self.predicate.matches(&self.resource, object);
            let previous = event
                .previous
                .as_ref()
                .and_then(|record| self.decode_object(&record.value, &event.key));
            let matched_before = previous
                .as_ref()
                .is_some_and(|object| self.predicate.matches(&self.resource, object));
            kind = match (matched_before, matches_now) {
                (false, false) => return None,
                (false, true) => EventKind::Added,
                (true, true) => EventKind::Modified,
                (true, false) => {
                    // The last object that matched, at the revision of the change.
                    let mut object = previous?;
                    meta::set(&mut object, "resourceVersion", &event.revision.to_string());
                    return Some(self.object_line("DELETED", object));
                }
            };
        }
        if !self.sends_stored_lines() {
            let object = self.decode_object(&event.value, &event.key)?;
            return Some(self.object_line(event_type(kind), object));
        }
        let slot = match kind {
            EventKind::Added => 0,
            EventKind::Modified => 1,
            EventKind::Deleted => 2,
        };
        match cached.as_ref().and_then(|cached| cached.lines.get(slot)) {
            Some(slot) => Some(
                slot.get_or_init(|| self.stored_line(event_type(kind), &event.value))
                    .clone(),
            ),
            None => Some(self.stored_line(event_type(kind), &event.value)),
        }
    }
}
