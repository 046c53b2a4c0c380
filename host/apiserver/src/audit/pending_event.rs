//! The event of a request that is being served.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use rdd_apiserver_storage::Clock;

use super::{AuditEvent, AuditLevel, AuditQueue, RequestRecord};
use crate::query::QueryParams;

/// What is learned about a request, and its event if there is an audit log. The event
/// is queued in any case: if the value is dropped because the client disconnects or
/// the request panics, the event says so.
pub(crate) struct PendingEvent {
    clock: Arc<dyn Clock>,
    record: RequestRecord,
    event: Option<(AuditQueue, AuditEvent)>,
}

impl PendingEvent {
    /// Begins with the arrival of a request.
    pub(crate) fn new(
        queue: Option<&AuditQueue>,
        clock: &Arc<dyn Clock>,
        parts: &Parts,
        query: &QueryParams,
        audit_id: &str,
    ) -> Self {
        let keeps_body = queue.is_some_and(|queue| queue.level == AuditLevel::Request);
        let event = queue.map(|queue| {
            let event = AuditEvent::of_request(parts, query, audit_id, queue.level, clock.now());
            (queue.clone(), event)
        });
        Self {
            clock: Arc::clone(clock),
            record: RequestRecord::new(keeps_body),
            event,
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
        if let Some((queue, event)) = self.event.take() {
            let record = std::mem::take(&mut self.record);
            queue.push(event.with_response(record, status, self.clock.now()));
        }
    }
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        self.push(None);
    }
}
