//! A watch that is under way: what is read from the store becomes lines.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use rdd_apiserver_storage::{EventKind, StoreEvent, StoreWatch, StoredRecord, WatchEnd};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::encode;
use crate::meta;
use crate::negotiate::Shape;
use crate::resource::Resource;
use crate::server::Inner;
use crate::status::ApiError;
use crate::verbs::select::Selection;

/// Bytes of existing objects that are sent in one piece.
const PIECE: usize = 64 * 1024;
/// Marks the bookmark after the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// What all watchers of an event share: its object, read once, and its line,
/// written once.
#[derive(Default)]
struct Shared {
    api_version: String,
    object: OnceLock<Option<Value>>,
    lines: [OnceLock<Bytes>; 3],
}

/// Everything that a running watch needs.
pub(super) struct Follower {
    pub(super) server: Arc<Inner>,
    pub(super) resource: Arc<Resource>,
    pub(super) selection: Selection,
    pub(super) shape: Shape,
    pub(super) include: IncludeObjectPolicy,
    /// Column definitions are sent with the first event only.
    pub(super) headers: bool,
    /// Objects from before the watch that are still to be sent.
    pub(super) existing: VecDeque<Arc<StoredRecord>>,
    pub(super) pending: VecDeque<Bytes>,
    pub(super) source: Option<StoreWatch>,
    pub(super) bookmarks: bool,
    pub(super) bookmarked: u64,
    pub(super) tick: tokio::time::Interval,
    pub(super) deadline: Instant,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) reflected: watch::Receiver<u64>,
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    encode::write(&mut out, &json!({"type": kind, "object": object}));
    out.push(b'\n');
    out.into()
}

fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}

/// Returns when the server ends its watches, at once if it already has.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the server is gone.
    closing.wait_for(|closing| *closing).await.ok();
}

impl Follower {
    /// The next line, or nothing at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(lines) = self.backlog() {
                return Some(lines);
            }
            if !self.existing.is_empty() {
                // Nothing of this turn matched: others have theirs before the next.
                tokio::task::yield_now().await;
                continue;
            }
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            let source = self.source.as_mut()?;
            tokio::select! {
                biased;
                () = closed(&mut self.closing) => return None,
                // Before the events: a busy stream must not outlive its time.
                _ = self.tick.tick(), if self.bookmarks => {
                    if let Some(line) = self.progress() {
                        return Some(line);
                    }
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    let last = if self.bookmarks { self.progress() } else { None };
                    self.source = None;
                    return last;
                }
                next = source.next() => match next {
                    Ok(event) => {
                        if let Some(line) = self.event(&event) {
                            return Some(line);
                        }
                    }
                    Err(WatchEnd::Lagged) => self.fail("too old resource version: the watcher fell behind"),
                    Err(WatchEnd::Closed) => return None,
                },
                // After the events: those of a vanishing resource are still sent.
                _ = self.reflected.changed() => {
                    if !self.still_served() {
                        return None;
                    }
                }
            }
        }
    }

    /// A definition that changed or went away ends its watches: clients start
    /// anew with what is served then.
    fn still_served(&self) -> bool {
        let kind = &self.resource.kind;
        self.server
            .registry
            .load()
            .get(&kind.group, &kind.version, &kind.plural)
            .is_some_and(|now| Arc::ptr_eq(now, &self.resource))
    }

    fn progress(&mut self) -> Option<Bytes> {
        let progress = self.source.as_ref()?.progress();
        if progress <= self.bookmarked {
            return None;
        }
        self.bookmarked = progress;
        Some(self.bookmark(progress, false))
    }

    pub(super) fn bookmark(&self, revision: u64, initial_end: bool) -> Bytes {
        let kind = &self.resource.kind;
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        if initial_end {
            metadata.insert("annotations".to_owned(), json!({INITIAL_END: "true"}));
        }
        let object = json!({
            "kind": kind.kind,
            "apiVersion": kind.api_version(),
            "metadata": metadata,
        });
        let object = match self.shape {
            Shape::Whole => object,
            Shape::Table => self.resource.columns.table(
                [],
                json!({"resourceVersion": revision.to_string()}),
                self.include,
                (self.server.clock)(),
                false,
            ),
            Shape::Partial | Shape::PartialList => table::partial_object_metadata(&object),
        };
        line("BOOKMARK", &object)
    }

    /// The last event: the client must list again.
    pub(super) fn fail(&mut self, message: &str) {
        let status = ApiError::expired(message).to_value();
        self.pending.push_back(line("ERROR", &status));
        self.source = None;
    }

    /// Some of the objects that existed before the watch, many in one piece:
    /// nobody waits for a single one of them.
    fn backlog(&mut self) -> Option<Bytes> {
        let (mut out, mut read) = (Vec::new(), 0);
        let plain =
            self.selection.is_empty() && self.shape == Shape::Whole && self.resource.verbatim();
        while out.len() < PIECE
            && read < PIECE
            && let Some(record) = self.existing.pop_front()
        {
            read += record.value.len();
            if plain {
                out.extend_from_slice(&self.raw("ADDED", &record.value));
                continue;
            }
            if let Some(object) = self.load(&record.value, &record.key)
                && self.selection.matches(&self.resource, &object)
            {
                let line = self.shaped("ADDED", object);
                out.extend_from_slice(&line);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    fn raw(&self, kind: &str, stored: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(stored.len() + 128);
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"object\":");
        encode::append_typed(&mut out, &self.resource.typed, stored);
        out.extend_from_slice(b"}\n");
        out.into()
    }

    fn shaped(&mut self, kind: &str, object: Value) -> Bytes {
        let object = match self.shape {
            Shape::Whole => object,
            Shape::Partial | Shape::PartialList => table::partial_object_metadata(&object),
            Shape::Table => {
                let metadata = json!({"resourceVersion": meta::text(&object, "resourceVersion")});
                let now = (self.server.clock)();
                let headers = std::mem::take(&mut self.headers);
                self.resource
                    .columns
                    .table([&object], metadata, self.include, now, headers)
            }
        };
        line(kind, &object)
    }

    fn load(&self, stored: &[u8], key: &str) -> Option<Value> {
        match self.resource.load(stored) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::error!(key, %error, "a stored object cannot be read");
                None
            }
        }
    }

    /// The line of an event, or nothing when the selection has no interest.
    fn event(&mut self, event: &StoreEvent) -> Option<Bytes> {
        let shared = self.resource.verbatim().then(|| {
            event.memo.get_or_init(|| Shared {
                api_version: self.resource.kind.api_version(),
                ..Shared::default()
            })
        });
        let shared = shared
            .flatten()
            .filter(|shared| shared.api_version == self.resource.kind.api_version());
        let mut kind = event.kind;
        if !self.selection.is_empty() {
            let own: Option<Value>;
            let object = match &shared {
                Some(shared) => shared
                    .object
                    .get_or_init(|| self.load(&event.value, &event.key)),
                None => {
                    own = self.load(&event.value, &event.key);
                    &own
                }
            }
            .as_ref()?;
            let now = kind != EventKind::Deleted && self.selection.matches(&self.resource, object);
            let previous = event
                .previous
                .as_ref()
                .and_then(|record| self.load(&record.value, &event.key));
            let before = previous
                .as_ref()
                .is_some_and(|object| self.selection.matches(&self.resource, object));
            kind = match (before, now) {
                (false, false) => return None,
                (false, true) => EventKind::Added,
                (true, true) => EventKind::Modified,
                (true, false) => {
                    // The last form that matched, at the revision that ended it.
                    let mut object = previous?;
                    meta::set(&mut object, "resourceVersion", &event.revision.to_string());
                    return Some(self.shaped("DELETED", object));
                }
            };
        }
        if self.shape != Shape::Whole || !self.resource.verbatim() {
            let object = self.load(&event.value, &event.key)?;
            return Some(self.shaped(name(kind), object));
        }
        let slot = match kind {
            EventKind::Added => 0,
            EventKind::Modified => 1,
            EventKind::Deleted => 2,
        };
        match shared.as_ref().and_then(|shared| shared.lines.get(slot)) {
            Some(slot) => Some(
                slot.get_or_init(|| self.raw(name(kind), &event.value))
                    .clone(),
            ),
            None => Some(self.raw(name(kind), &event.value)),
        }
    }
}
