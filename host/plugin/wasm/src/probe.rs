//! The task that probes an engine's liveness.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::backend_context::BackendContext;
use crate::call_tracker::CallTracker;
use crate::control_request::{ControlRequest, GuestCall};
use crate::liveness::{LivenessProbe, ProbeOutcome};

/// Pings the engine whenever it is idle while a call or a stream waits for it. Never returns.
pub(crate) async fn run(
    context: Arc<BackendContext>,
    calls: Arc<CallTracker>,
    requests: mpsc::WeakSender<ControlRequest>,
) {
    let BackendContext {
        limits,
        host,
        permits,
        ..
    } = &*context;
    let probe = LivenessProbe {
        idle_timeout: limits.idle_before_ping,
        ping_timeout: limits.ping_timeout,
    };
    let ping_permit = Arc::new(Semaphore::new(1));
    loop {
        probe.wait_until_idle(&host.liveness).await;
        if calls.len() == 0 && permits.is_idle() {
            tokio::time::sleep(probe.idle_timeout).await;
            continue;
        }
        let ping = async {
            // The previous ping may still be running.
            let permit = ping_permit.clone().acquire_owned().await.ok()?;
            let (sender, reply) = oneshot::channel();
            let request = ControlRequest {
                call: GuestCall::Ping { reply: sender },
                permit,
            };
            requests.upgrade()?.send(request).await.ok()?;
            reply.await.ok()
        };
        if probe.ping(&host.liveness, ping).await == ProbeOutcome::Lost {
            tracing::warn!(
                idle = ?(probe.idle_timeout + probe.ping_timeout),
                "engine does not respond, not even to a ping; closing its connections"
            );
        }
    }
}
