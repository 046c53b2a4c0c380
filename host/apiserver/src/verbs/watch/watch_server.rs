//! An open watch: sends what has happened, and waits for more.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdd_apiserver_storage::{StoreWatch, StoredRecord, WatchEndReason};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::options::WatchOptions;
use super::watch_encoder::WatchEncoder;
use crate::resource::ServedResource;
use crate::server_state::ServerState;
use crate::status::ApiError;

/// Time between bookmarks, for clients that request them.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes of objects or events in one chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Events that are looked at for one chunk, so that a watch that selects few of them
/// lets other tasks run.
const CHUNK_EVENTS: usize = 256;

/// The state of an open watch.
pub(super) struct WatchServer {
    encoder: WatchEncoder,
    /// Objects from before the watch that have not been sent yet.
    initial_records: VecDeque<Arc<StoredRecord>>,
    /// Encoded lines that are sent before the next event.
    pending_lines: VecDeque<Bytes>,
    /// `None` once the watch has ended.
    store_watch: Option<StoreWatch>,
    /// When the next bookmark is due; `None` for clients that request none.
    next_bookmark: Option<Instant>,
    /// The revision of the latest bookmark.
    last_bookmark: u64,
    deadline: Instant,
    /// Ends when the next bookmark or the deadline is due. Like `removal`, it lives as
    /// long as the watch: registering it for each event would cost more than the event.
    timer: Pin<Box<Sleep>>,
    /// Ends when the server shuts down, or no longer serves the resource.
    removal: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_removed: bool,
    shutdown: CancellationToken,
}

impl WatchServer {
    pub(super) fn new(
        server: &Arc<ServerState>,
        encoder: WatchEncoder,
        options: &WatchOptions,
    ) -> Self {
        let now = Instant::now();
        let next_bookmark = options.sends_bookmarks.then(|| now + BOOKMARK_INTERVAL);
        let deadline = now + options.timeout;
        let removal = until_removed(Arc::clone(server), Arc::clone(&encoder.resource));
        Self {
            encoder,
            initial_records: VecDeque::new(),
            pending_lines: VecDeque::new(),
            store_watch: None,
            next_bookmark,
            last_bookmark: 0,
            deadline,
            timer: Box::pin(tokio::time::sleep_until(first_of(deadline, next_bookmark))),
            removal: Box::pin(removal),
            shutdown: server.shutdown.clone(),
            is_removed: false,
        }
    }

    /// Sends these objects first. `bookmark` is the revision of the bookmark behind them.
    pub(super) fn send_initial(
        &mut self,
        records: impl Iterator<Item = Arc<StoredRecord>>,
        bookmark: Option<u64>,
    ) {
        self.initial_records.extend(records);
        let line = bookmark.map(|revision| self.encoder.bookmark_line(revision, true));
        self.pending_lines.extend(line);
    }

    /// Sends the events after a revision.
    pub(super) fn follow(&mut self, store_watch: StoreWatch, after: u64) {
        self.store_watch = Some(store_watch);
        self.last_bookmark = after;
    }

    /// Ends the watch with an event upon which the client lists again.
    pub(super) fn expire(&mut self, message: &str) {
        let line = self.encoder.error_line(&ApiError::expired(message));
        self.pending_lines.push_back(line);
        self.store_watch = None;
    }

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
            if self.shutdown.is_cancelled() {
                return None;
            }
            // Before the events: a busy stream must not exceed its timeout.
            if let Some(line) = self.on_timer() {
                return Some(line);
            }
            let (chunk, is_last) = self.event_chunk();
            if chunk.is_some() {
                return chunk;
            }
            if !is_last {
                tokio::task::yield_now().await;
                continue;
            }
            if !self.pending_lines.is_empty() {
                continue;
            }
            // After the events: those of a removed resource are still sent.
            if self.is_removed {
                return None;
            }
            let store_watch = self.store_watch.as_mut()?;
            tokio::select! {
                () = self.removal.as_mut() => self.is_removed = true,
                () = self.timer.as_mut() => {}
                () = store_watch.changed() => {}
            }
        }
    }

    /// Does what the timer is for, once it is due: returns a bookmark if the watch has
    /// progressed since the latest one, and ends the watch at its deadline.
    fn on_timer(&mut self) -> Option<Bytes> {
        let now = Instant::now();
        if now < first_of(self.deadline, self.next_bookmark) {
            return None;
        }
        let line = match &mut self.next_bookmark {
            Some(next) => {
                *next = now + BOOKMARK_INTERVAL;
                self.progress_bookmark()
            }
            None => None,
        };
        if now >= self.deadline {
            self.store_watch = None;
        } else {
            let next = first_of(self.deadline, self.next_bookmark);
            self.timer.as_mut().reset(next);
        }
        line
    }

    fn progress_bookmark(&mut self) -> Option<Bytes> {
        let progress = self.store_watch.as_ref()?.progress();
        if progress <= self.last_bookmark {
            return None;
        }
        self.last_bookmark = progress;
        Some(self.encoder.bookmark_line(progress, false))
    }

    /// Returns the next initial objects, many in one chunk: clients wait for all
    /// of them, not for a single one.
    fn initial_chunk(&mut self) -> Option<Bytes> {
        let (mut out, mut bytes_read) = (Vec::new(), 0);
        while out.len() < CHUNK_BYTES
            && bytes_read < CHUNK_BYTES
            && let Some(record) = self.initial_records.pop_front()
        {
            bytes_read += record.value.len();
            self.encoder.append_initial(&mut out, &record);
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Returns the events that have arrived as one chunk, and whether they were all: a
    /// watch that has fallen behind catches up with few writes.
    fn event_chunk(&mut self) -> (Option<Bytes>, bool) {
        let (mut lines, mut bytes, mut is_last) = (Vec::new(), 0, false);
        for _ in 0..CHUNK_EVENTS {
            let next = self.store_watch.as_mut().map(StoreWatch::try_next);
            match next.transpose().map(Option::flatten) {
                Ok(Some(event)) => {
                    let line = self.encoder.event_line(&event);
                    bytes += line.as_ref().map_or(0, Bytes::len);
                    lines.extend(line);
                }
                Ok(None) => is_last = true,
                Err(WatchEndReason::Lagged) => {
                    self.expire("too old resource version: the watcher fell behind");
                    is_last = true;
                }
                Err(WatchEndReason::Closed) => {
                    self.store_watch = None;
                    is_last = true;
                }
            }
            if is_last || bytes >= CHUNK_BYTES {
                break;
            }
        }
        // A single line is the one that all watches share.
        let chunk = match lines.len() {
            0 | 1 => lines.pop(),
            _ => Some(lines.concat().into()),
        };
        (chunk, is_last)
    }
}

fn first_of(deadline: Instant, other: Option<Instant>) -> Instant {
    other.map_or(deadline, |other| other.min(deadline))
}

/// Waits until the server shuts down, or no longer serves the same resource: a changed
/// or removed definition ends its watches, and clients then start new ones.
async fn until_removed(server: Arc<ServerState>, resource: Arc<ServedResource>) {
    let mut registry_changes = server.registry_revision.subscribe();
    let kind = &resource.kind;
    let is_served = || {
        let registry = server.registry.load();
        let current = registry.get(&kind.group, &kind.version, &kind.plural);
        current.is_some_and(|current| Arc::ptr_eq(current, &resource))
    };
    let change = async { while is_served() && registry_changes.changed().await.is_ok() {} };
    tokio::select! {
        () = server.shutdown.cancelled() => {}
        () = change => {}
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::builtin_resources;
    use crate::registry::ResourceRegistry;
    use crate::server::ApiServer;
    use crate::server_options::ApiServerOptions;

    fn config_maps() -> Arc<ServedResource> {
        let mut resources = builtin_resources::resources().into_iter();
        let found = resources.find(|resource| resource.kind.plural == "configmaps");
        found.unwrap()
    }

    #[tokio::test]
    async fn a_watch_ends_although_its_resource_was_replaced_before_it_began() {
        let server = ApiServer::open(ApiServerOptions::in_memory())
            .await
            .unwrap();
        let [old, new] = [config_maps(), config_maps()];
        let serve = |resource: &Arc<ServedResource>| {
            let registry = ResourceRegistry::new(vec![Arc::clone(resource)], Vec::new());
            server.0.registry.store(Arc::new(registry));
        };
        serve(&old);
        let routed = until_removed(Arc::clone(&server.0), Arc::clone(&old));
        serve(&new);
        assert_eq!(routed.now_or_never(), Some(()));
        let current = until_removed(Arc::clone(&server.0), Arc::clone(&new));
        assert_eq!(current.now_or_never(), None);
        server.close().await;
    }
}
