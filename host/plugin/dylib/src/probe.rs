//! The task that probes an engine's liveness.

use std::sync::Arc;

use rdd_plugin_contract::liveness::{LivenessProbe, ProbeOutcome};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::backend_context::BackendContext;
use crate::control::{CallCounter, ControlCall, ControlRequest};

/// Pings the engine whenever it is idle while something waits for it. Never
/// returns.
pub(crate) async fn run(
    context: Arc<BackendContext>,
    calls: CallCounter,
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
        let has_streams = !permits.is_idle();
        if calls.get() == 0 && !has_streams {
            tokio::time::sleep(probe.idle_timeout).await;
            continue;
        }
        let ping = async {
            // The previous ping may still be running.
            let permit = ping_permit.clone().acquire_owned().await.ok()?;
            let (sender, reply) = oneshot::channel();
            let call = ControlCall::Single {
                name: "ping",
                function: context.library.functions().ping,
                parameters: "{}".to_owned(),
                complete: Box::new(move |result| {
                    // The probe may have stopped waiting.
                    sender.send(result).ok();
                    Ok(())
                }),
            };
            let request = ControlRequest {
                call,
                stop: CancellationToken::new(),
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
