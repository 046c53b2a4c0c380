//! The audit log: who asked for what, and what the response was, as lines of JSON
//! in the form of `audit.k8s.io/v1`.
//!
//! Requests hand their events to a queue with limits and never wait. A task writes
//! them to a file, which it rotates. Events that find the queue full, or that cannot
//! be written, are counted, and the log says how many there were.

mod event;
mod external_record;
mod file_writer;
mod pending_event;
mod queue;
mod request_id;
mod request_record;
mod task;

use std::path::PathBuf;

pub(crate) use event::AuditEvent;
pub use external_record::{ExternalRecord, ExternalRequest};
pub(crate) use pending_event::PendingEvent;
pub(crate) use queue::AuditQueue;
pub(crate) use request_id::{AUDIT_ID, audit_id};
pub(crate) use request_record::RequestRecord;
pub(crate) use task::{OpenAuditLog, start};

/// How much of each request the audit log contains. Tokens, and what Secrets and
/// token reviews contain, are never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditLevel {
    /// The user, the verb, the resource, the times, and the status code.
    Metadata,
    /// The body of the request as well.
    Request,
}

/// The options of an audit log.
///
/// ```
/// use rdd_apiserver::{AuditLevel, AuditOptions};
///
/// let options = AuditOptions::new("/var/log/rdd/audit.log", AuditLevel::Metadata);
/// assert_eq!(options.kept_files, 4);
/// ```
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// The file. Older ones have its name and a number, `.1` being the latest.
    pub file: PathBuf,
    /// How much of each request it contains.
    pub level: AuditLevel,
    /// The size in bytes at which the file is rotated. Each file is larger than that
    /// by at most what is written at once.
    pub max_file_bytes: u64,
    /// How many older files are kept.
    pub kept_files: u32,
}

impl AuditOptions {
    /// Returns the options of a log in `file`, of which five files of 64 MiB are
    /// kept: a few hundred thousand requests.
    pub fn new(file: impl Into<PathBuf>, level: AuditLevel) -> Self {
        Self {
            file: file.into(),
            level,
            max_file_bytes: 64 * 1024 * 1024,
            kept_files: 4,
        }
    }
}
