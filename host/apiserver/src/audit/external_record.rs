//! The events of a request that is served beside the API, such as a log or a process
//! in a container, which may last.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, StatusCode};
use rdd_apiserver_storage::Clock;

use super::{AuditEvent, AuditQueue};
use crate::rbac::{AccessOutcome, ResourceAccessRequest};
use crate::user::UserInfo;

/// A request that is served beside the API, but authorized by its roles.
#[derive(Debug, Clone, Copy)]
pub struct ExternalRequest<'a> {
    /// The user.
    pub user: &'a UserInfo,
    /// What the request is about to do, with the object that it is about.
    pub access: ResourceAccessRequest<'a>,
    /// The version of the API group.
    pub version: &'a str,
    /// The decision of the roles.
    pub outcome: &'a AccessOutcome,
    /// The path and the query, without anything secret.
    pub uri: &'a str,
    /// The headers. Of them, `User-Agent` and `Audit-Id` are used.
    pub headers: &'a HeaderMap,
}

/// The audit events of a request that is served beside the API. Dropping it means
/// that everything which the request opened has ended.
///
/// A connection that changes its protocol (101) has two events, as in Kubernetes: when
/// it begins (`ResponseStarted`), and when it ends. Any other request has one. One that
/// is dropped without a response has one that says so.
#[derive(Debug)]
pub struct ExternalRecord {
    queue: AuditQueue,
    clock: Arc<dyn Clock>,
    event: AuditEvent,
    status: OnceLock<StatusCode>,
}

impl ExternalRecord {
    pub(crate) fn new(
        queue: &AuditQueue,
        clock: &Arc<dyn Clock>,
        request: &ExternalRequest<'_>,
        audit_id: &str,
    ) -> Self {
        Self {
            queue: queue.clone(),
            clock: Arc::clone(clock),
            event: AuditEvent::of_external(request, audit_id, queue.level, clock.now()),
            status: OnceLock::new(),
        }
    }

    /// Records the response. Later calls change nothing.
    pub fn respond(&self, status: StatusCode) {
        if self.status.set(status).is_err() {
            return;
        }
        let stage = match is_lasting(status) {
            true => "ResponseStarted",
            false => "ResponseComplete",
        };
        self.push(stage, Some(status));
    }

    fn push(&self, stage: &str, status: Option<StatusCode>) {
        let event = self.event.clone();
        self.queue
            .push(event.at_stage(stage, status, self.clock.now()));
    }
}

fn is_lasting(status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
}

impl Drop for ExternalRecord {
    fn drop(&mut self) {
        match self.status.get() {
            Some(status) if !is_lasting(*status) => {}
            status => self.push("ResponseComplete", status.copied()),
        }
    }
}
