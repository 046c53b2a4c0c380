//! The loop that all controllers share: handle the events of the store, list
//! again after a gap, and retry pending work periodically.

use std::future::Future;
use std::time::Duration;

use rdd_apiserver_storage::{StoreEvent, StoreWatch, WatchEndReason, WatchError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::tasks::ControllerError;

/// The interval at which pending work is retried without an event: finalizers
/// that others remove, a write that failed. Short enough for a client that
/// waits for a deletion.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// A controller of stored objects.
pub(crate) trait StoreController: Send {
    /// The watched resources, for the error message.
    const WATCHED: &'static str;

    /// Rebuilds the state of the controller from a snapshot and returns the
    /// watch that continues from there.
    fn relist(&mut self) -> impl Future<Output = Result<StoreWatch, WatchError>> + Send;

    /// Handles one event.
    fn handle_event(&mut self, event: &StoreEvent) -> impl Future<Output = ()> + Send;

    /// Returns whether there is work to retry without an event.
    fn has_pending_work(&self) -> bool;

    /// Retries the pending work.
    fn retry_pending(&mut self) -> impl Future<Output = ()> + Send;
}

/// Runs a controller until `shutdown` is cancelled.
///
/// # Errors
/// The reason why the controller cannot continue.
pub(crate) async fn run_controller<C: StoreController>(
    mut controller: C,
    mut watch: StoreWatch,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    let mut retry = tokio::time::interval(RETRY_INTERVAL);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            next = watch.next() => match next {
                Ok(event) => controller.handle_event(&event).await,
                Err(WatchEndReason::Closed) => return Err(ControllerError::StoreClosed),
                Err(WatchEndReason::Lagged) => match controller.relist().await {
                    Ok(restarted) => watch = restarted,
                    Err(error) => {
                        return Err(ControllerError::Watch { watched: C::WATCHED, error });
                    }
                },
            },
            _ = retry.tick(), if controller.has_pending_work() => controller.retry_pending().await,
        }
    }
}
