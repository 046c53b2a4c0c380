//! The loop of every controller: events of the store as they come, everything
//! anew when some were missed, and now and then a look at what waits.

use std::future::Future;
use std::time::Duration;

use rdd_apiserver_storage::{StoreEvent, StoreWatch, WatchEndReason};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Time between looks at what waits without an event to come: finalizers that
/// others take off, a write that failed. Short enough for whoever waits for a
/// deletion.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// What follows the events of the store.
pub(crate) trait StoreController: Send {
    /// Ends the sentence that nothing can be followed any more.
    const WATCHED: &'static str;

    /// Learns everything anew, and watches from there.
    fn relist(&mut self) -> impl Future<Output = Result<StoreWatch, String>> + Send;

    /// Takes in one event.
    fn handle_event(&mut self, event: &StoreEvent) -> impl Future<Output = ()> + Send;

    /// Whether anything is to be looked at again without an event.
    fn has_pending_work(&self) -> bool;

    /// Looks at what waits.
    fn retry_pending(&mut self) -> impl Future<Output = ()> + Send;
}

/// Follows `watch` until `stop`; the error says why that cannot go on.
pub(crate) async fn run_controller<F: StoreController>(
    mut follower: F,
    mut watch: StoreWatch,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut again = tokio::time::interval(RETRY_INTERVAL);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            next = watch.next() => match next {
                Ok(event) => follower.handle_event(&event).await,
                Err(WatchEndReason::Closed) => return Err("the store has closed".to_owned()),
                Err(WatchEndReason::Lagged) => match follower.relist().await {
                    Ok(from_here) => watch = from_here,
                    Err(error) => {
                        return Err(format!("{} cannot be followed any more: {error}", F::WATCHED));
                    }
                },
            },
            _ = again.tick(), if follower.has_pending_work() => follower.retry_pending().await,
        }
    }
}
