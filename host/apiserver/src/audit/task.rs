//! The task that writes the audit log.

use std::sync::Arc;

use rdd_apiserver_storage::Clock;
use tokio_util::sync::CancellationToken;

use super::event::AuditEvent;
use super::file_writer::FileWriter;
use super::queue::{AuditReceiver, QueuedEvent};
use super::{AuditOptions, AuditQueue};
use crate::blocking_work::run_blocking;
use crate::open_error::OpenError;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};

/// The maximum number of events that are written at once.
const MAX_BATCH: usize = 256;

/// An audit log whose task does not run yet.
#[derive(Debug)]
pub(crate) struct OpenAuditLog {
    receiver: AuditReceiver,
    writer: FileWriter,
}

impl OpenAuditLog {
    /// Opens the file, and returns the queue for events.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(options: AuditOptions) -> Result<(AuditQueue, Self), OpenError> {
        let (queue, receiver) = AuditQueue::new(options.level);
        let file = options.file.clone();
        match FileWriter::open(options) {
            Ok(writer) => Ok((queue, Self { receiver, writer })),
            Err(source) => Err(OpenError::Audit { file, source }),
        }
    }
}

/// Starts the task, which writes what is queued before it exits.
pub(crate) fn start(
    log: OpenAuditLog,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> ControllerHandle {
    spawn_controller(ServerTask::AuditLog, async move {
        run(log, clock, shutdown).await;
        Ok(())
    })
}

async fn run(log: OpenAuditLog, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let OpenAuditLog {
        mut receiver,
        mut writer,
    } = log;
    let (mut failures, mut losses): (u64, u64) = (0, 0);
    loop {
        let mut batch = Vec::new();
        let is_last = tokio::select! {
            biased;
            // Zero events: nobody can send any more.
            count = receiver.events.recv_many(&mut batch, MAX_BATCH) => count == 0,
            () = shutdown.cancelled() => true,
        };
        let lost = receiver.take_lost();
        let loss = (lost > 0).then(|| AuditEvent::of_loss(lost, clock.now()));
        let count = batch.len() as u64;
        let outcome;
        (writer, outcome) = run_blocking(move || {
            let lines = render(batch, loss);
            let outcome = writer.append(&lines);
            (writer, outcome)
        })
        .await;
        match outcome {
            Ok(()) => {
                failures = 0;
                losses += u64::from(lost > 0);
                if lost > 0 && losses.is_power_of_two() {
                    tracing::warn!(
                        lost,
                        losses,
                        "events are missing in the audit log: its queue was full, or it could not be written"
                    );
                }
            }
            Err(error) => {
                failures += 1;
                receiver.add_lost(lost + count);
                if failures.is_power_of_two() {
                    tracing::error!(%error, failures, "cannot write the audit log");
                }
            }
        }
        if is_last {
            return;
        }
    }
}

fn render(batch: Vec<QueuedEvent>, loss: Option<AuditEvent>) -> String {
    let mut lines = loss.map(AuditEvent::render).unwrap_or_default();
    for queued in batch {
        lines.push_str(&queued.event.render());
    }
    lines
}
