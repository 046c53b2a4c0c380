//! Whether anything is under way on a connection, and since when not.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::limits::ConnectionLimits;
use crate::reply::Body;

/// Requests under way on one connection. The request path touches atomics
/// only; [`Activity::idle`] looks at them when a time has passed.
#[derive(Clone)]
pub(crate) struct Activity(Arc<ActivityState>);

struct ActivityState {
    began: Instant,
    under_way: AtomicUsize,
    /// When the last request began or ended, since `began`.
    last_millis: AtomicU64,
    authenticated: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(ActivityState {
            began: Instant::now(),
            under_way: AtomicUsize::new(0),
            last_millis: AtomicU64::new(0),
            authenticated: AtomicBool::new(false),
        }))
    }

    fn touch(&self) {
        let millis = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_millis.store(millis, Ordering::Relaxed);
    }

    /// A request begins; it is under way until the guard is dropped.
    pub(crate) fn begin(&self) -> RequestGuard {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.touch();
        RequestGuard(self.clone())
    }

    /// Whether a request on the connection has shown good credentials.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.authenticated.load(Ordering::Relaxed)
    }

    /// Answers whether this is the first request with good credentials.
    pub(crate) fn authenticate(&self) -> bool {
        !self.0.authenticated.swap(true, Ordering::SeqCst)
    }

    /// Takes [`Activity::authenticate`] back.
    pub(crate) fn forget(&self) {
        self.0.authenticated.store(false, Ordering::SeqCst);
    }

    /// Returns when nothing was under way for as long as `limits` allow.
    pub(crate) async fn idle(&self, limits: &ConnectionLimits) {
        self.idle_for(|activity| {
            if activity.is_authenticated() {
                limits.idle
            } else {
                limits.anonymous_idle
            }
        })
        .await;
    }

    /// Returns when nothing is under way, and was not for `duration`, counted
    /// from now at the earliest.
    pub(crate) async fn rest(&self, duration: Duration) {
        self.touch();
        self.idle_for(|_| duration).await;
    }

    async fn idle_for(&self, limit: impl Fn(&Self) -> Duration) {
        loop {
            let limit = limit(self);
            let last = Duration::from_millis(self.0.last_millis.load(Ordering::Relaxed));
            let now = Instant::now();
            let mut due = self.0.began + last + limit;
            if self.0.under_way.load(Ordering::SeqCst) > 0 {
                due = due.max(now + limit);
            } else if due <= now {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// One request that is under way.
pub(crate) struct RequestGuard(Activity);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body whose request is under way until the body is sent or given up.
pub(crate) struct TrackedBody {
    pub(crate) body: Body,
    /// None for an answer to an anonymous request: one that its client does
    /// not read must not keep the connection open.
    pub(crate) _guard: Option<RequestGuard>,
}

impl http_body::Body for TrackedBody {
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
    async fn an_anonymous_connection_is_idle_sooner() {
        let began = Instant::now();
        Activity::new().idle(&LIMITS()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(10));

        let known = Activity::new();
        assert!(known.authenticate() && !known.authenticate());
        let began = Instant::now();
        known.idle(&LIMITS()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_end_of_the_last_request() {
        let activity = Activity::new();
        let began = Instant::now();
        let limits = LIMITS();
        tokio::join!(activity.idle(&limits), async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            let first = activity.begin();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let second = activity.begin();
            drop(first);
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(second);
        });
        let busy = Duration::from_secs(9 + 3600 + 100);
        let idle = began.elapsed().checked_sub(busy).unwrap();
        // Looked at when a time has passed, so up to one more.
        assert!(
            idle >= Duration::from_secs(10) && idle <= Duration::from_secs(20),
            "{idle:?}"
        );
    }
}
