//! What a [`MuxClient`](super::MuxClient) reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;

use super::credit_ledger::CreditLedger;
use super::messages::{LogEntry, LogSelection};
use super::subscription::LogId;

/// What happened to the logs of a client.
#[derive(Debug)]
pub(crate) enum LogEvent {
    /// The log of a container begins, or continues after an interruption.
    Joined {
        log: LogId,
        name: String,
        labels: BTreeMap<String, String>,
    },
    /// Entries of a log. They are credited to the subscription when they are
    /// printed.
    Entries {
        log: LogId,
        subscription: SubscriptionRef,
        entries: Vec<LogEntry>,
    },
    /// Entries are missing here.
    Gap {
        log: LogId,
        after: Option<String>,
        before: Option<String>,
        reason: String,
    },
    /// The container stopped, and its log is still followed.
    Stopped { log: LogId, exit_code: Option<i32> },
    /// The container started.
    Started { log: LogId },
    /// The log of a container ended.
    Left { log: LogId, reason: String },
    /// A subscription failed.
    Failed {
        selection: LogSelection,
        failure: SubscriptionFailure,
    },
    /// The connection was lost, and attempts to resume begin.
    Interrupted { reason: String },
}

/// A subscription to credit.
#[derive(Clone)]
pub(crate) struct SubscriptionRef {
    id: u32,
    ledger: Arc<CreditLedger>,
}

impl SubscriptionRef {
    pub(crate) fn new(id: u32, ledger: Arc<CreditLedger>) -> Self {
        Self { id, ledger }
    }

    /// Records that entries were printed.
    pub(crate) fn settle(&self, bytes: usize) {
        self.ledger.settle(self.id, bytes);
    }
}

impl std::fmt::Debug for SubscriptionRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SubscriptionRef({})", self.id)
    }
}

/// The error that ended a subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message} ({})", if *has_begun { "the log was interrupted: " } else { "" }, display_code(*code))]
pub(crate) struct SubscriptionFailure {
    /// As an HTTP status.
    pub(crate) code: u16,
    pub(crate) message: String,
    /// Whether the log had begun.
    pub(crate) has_begun: bool,
}

pub(super) fn display_code(code: u16) -> String {
    StatusCode::from_u16(code).map_or_else(|_| code.to_string(), |status| status.to_string())
}
