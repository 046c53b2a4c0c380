//! The event of a request that is being served.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use super::{AuditEvent, AuditLevel, RequestRecord};
use crate::query::QueryParams;
use crate::server::ServerState;

/// What is learned about a request, and its event if there is an audit log. The event
/// is queued in any case: if the value is dropped because the client disconnects or
/// the request panics, the event says so.
pub(crate) struct PendingEvent {
    server: Arc<ServerState>,
    record: RequestRecord,
    event: Option<AuditEvent>,
}

impl PendingEvent {
    /// Begins with the arrival of a request.
    pub(crate) fn new(
        server: &Arc<ServerState>,
        parts: &Parts,
        query: &QueryParams,
        audit_id: &str,
    ) -> Self {
        let level = server.audit.as_ref().map(|queue| queue.level);
        let now = server.clock.now();
        Self {
            server: Arc::clone(server),
            record: RequestRecord::new(level == Some(AuditLevel::Request)),
            event: level.map(|level| AuditEvent::of_request(parts, query, audit_id, level, now)),
        }
    }

    /// Returns what is learned about the request.
    pub(crate) fn record(&self) -> &RequestRecord {
        &self.record
    }

    /// Queues the event, with the status code of the response.
    pub(crate) fn finish(mut self, status: StatusCode) {
        self.push(Some(status));
    }

    fn push(&mut self, status: Option<StatusCode>) {
        if let (Some(queue), Some(event)) = (&self.server.audit, self.event.take()) {
            let record = std::mem::take(&mut self.record);
            queue.push(event.with_response(record, status, self.server.clock.now()));
        }
    }
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        self.push(None);
    }
}
