//! Large requests, kept off the threads that serve all requests.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use crate::limits;
use crate::status::ApiError;

/// A limiter that runs a few CPU-intensive requests at a time.
#[derive(Debug)]
pub(crate) struct LargeRequestLimiter(Arc<Semaphore>);

impl Default for LargeRequestLimiter {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::MAX_LARGE_REQUESTS)))
    }
}

impl LargeRequestLimiter {
    /// Runs `work` on a blocking thread once there is a permit. After it has
    /// started it runs to its end, even if the client disconnects.
    ///
    /// # Errors
    /// 500 if `work` panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.0)
            .acquire_owned()
            .await
            .map_err(|_| ApiError::unavailable("the server is shutting down"))?;
        let runtime = tokio::runtime::Handle::current();
        let work = work.instrument(Span::current());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(work)
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "a large request panicked");
            ApiError::internal("the request failed in the server")
        })
    }
}
