//! Asks an engine for signs of life.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::activity::Activity;
use crate::backend::Shared;
use crate::control::{Call, Request};
use crate::liveness::{Outcome, Probe};

/// Looks for signs of life of the engine, as long as anybody waits for it.
pub(crate) async fn run(
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    requests: mpsc::WeakSender<Request>,
) {
    let Shared {
        limits,
        grants,
        log_slots,
        ..
    } = &*shared;
    let probe = Probe {
        silence: limits.silence,
        answer: limits.answer,
    };
    let place = Arc::new(Semaphore::new(1));
    loop {
        probe.silent(&grants.liveness).await;
        if activity.len() == 0 && log_slots.available_permits() == limits.log_streams {
            tokio::time::sleep(probe.silence).await;
            continue;
        }
        let ping = async {
            // The last ping may still be running.
            let permit = place.clone().acquire_owned().await.ok()?;
            let (reply, answer) = oneshot::channel();
            let request = Request {
                call: Call::Ping { reply },
                permit,
            };
            requests.upgrade()?.send(request).await.ok()?;
            answer.await.ok()
        };
        if probe.ask(&grants.liveness, ping).await == Outcome::Lost {
            tracing::warn!(
                backend = grants.name,
                "the engine has sent nothing for {:?}, not even the answer to a ping; its connections are closed",
                probe.silence + probe.answer
            );
        }
    }
}
