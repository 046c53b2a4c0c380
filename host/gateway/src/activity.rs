//! Tracks whether requests are in flight on a connection, and for how long it
//! has been idle.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::limits::ConnectionLimits;
use crate::response::GatewayBody;

/// The requests in flight on one connection. The request path writes atomics
/// only; [`ConnectionActivity::until_idle`] polls them at each timeout.
#[derive(Clone)]
pub(crate) struct ConnectionActivity(Arc<ActivityState>);

struct ActivityState {
    started_at: Instant,
    in_flight: AtomicUsize,
    /// When the last request began or ended, in milliseconds since `started_at`.
    last_change_millis: AtomicU64,
    authenticated: AtomicBool,
}

impl ConnectionActivity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(ActivityState {
            started_at: Instant::now(),
            in_flight: AtomicUsize::new(0),
            last_change_millis: AtomicU64::new(0),
            authenticated: AtomicBool::new(false),
        }))
    }

    fn touch(&self) {
        let millis = u64::try_from(self.0.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_change_millis.store(millis, Ordering::Relaxed);
    }

    /// Begins a request, which is in flight until the guard is dropped.
    pub(crate) fn begin_request(&self) -> RequestGuard {
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        self.touch();
        RequestGuard(self.clone())
    }

    /// Returns whether a request on the connection was authenticated.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.authenticated.load(Ordering::Relaxed)
    }

    /// Marks the connection as authenticated. Returns whether it was not before.
    pub(crate) fn mark_authenticated(&self) -> bool {
        !self.0.authenticated.swap(true, Ordering::SeqCst)
    }

    /// Reverts [`ConnectionActivity::mark_authenticated`].
    pub(crate) fn clear_authenticated(&self) {
        self.0.authenticated.store(false, Ordering::SeqCst);
    }

    /// Waits until the connection has been idle for as long as `limits` allow.
    pub(crate) async fn until_idle(&self, limits: &ConnectionLimits) {
        self.until_idle_for(|activity| {
            if activity.is_authenticated() {
                limits.idle
            } else {
                limits.anonymous_idle
            }
        })
        .await;
    }

    /// Waits until the connection has been idle for `duration`, counted from
    /// now at the earliest.
    pub(crate) async fn until_quiet_for(&self, duration: Duration) {
        self.touch();
        self.until_idle_for(|_| duration).await;
    }

    async fn until_idle_for(&self, limit: impl Fn(&Self) -> Duration) {
        loop {
            let limit = limit(self);
            let last = Duration::from_millis(self.0.last_change_millis.load(Ordering::Relaxed));
            let now = Instant::now();
            let mut due = self.0.started_at + last + limit;
            if self.0.in_flight.load(Ordering::SeqCst) > 0 {
                due = due.max(now + limit);
            } else if due <= now {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// One request in flight.
pub(crate) struct RequestGuard(ConnectionActivity);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A response body whose request is in flight until the body is sent or
/// dropped.
pub(crate) struct InFlightBody {
    pub(crate) body: GatewayBody,
    /// `None` for the response to an anonymous request: a client that does not
    /// read it must not keep the connection open.
    pub(crate) _guard: Option<RequestGuard>,
}

impl http_body::Body for InFlightBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> ConnectionLimits = || ConnectionLimits {
        anonymous_idle: Duration::from_secs(10),
        idle: Duration::from_secs(90),
        ..ConnectionLimits::default()
    };

    #[tokio::test(start_paused = true)]
    async fn an_anonymous_connection_times_out_sooner() {
        let began = Instant::now();
        ConnectionActivity::new().until_idle(&LIMITS()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(10));

        let authenticated = ConnectionActivity::new();
        assert!(authenticated.mark_authenticated() && !authenticated.mark_authenticated());
        let began = Instant::now();
        authenticated.until_idle(&LIMITS()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_time_starts_at_the_end_of_the_last_request() {
        let activity = ConnectionActivity::new();
        let began = Instant::now();
        let limits = LIMITS();
        tokio::join!(activity.until_idle(&limits), async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            let first = activity.begin_request();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let second = activity.begin_request();
            drop(first);
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(second);
        });
        let busy = Duration::from_secs(9 + 3600 + 100);
        let idle = began.elapsed().checked_sub(busy).unwrap();
        // The state is polled once per timeout, so it may take up to two.
        assert!(
            idle >= Duration::from_secs(10) && idle <= Duration::from_secs(20),
            "{idle:?}"
        );
    }
}
