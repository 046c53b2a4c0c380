//! Calls to the engine, with the time that they may take.

use rdd_core::{EngineError, ErrorCode};

use crate::limits;

/// Bounds a call to the engine by [`limits::ENGINE_TIMEOUT`].
pub(crate) async fn with_timeout<T, E>(call: impl Future<Output = Result<T, E>>) -> Result<T, E>
where
    E: From<EngineError>,
{
    let limit = limits::ENGINE_TIMEOUT;
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", limit.as_secs());
        Err(EngineError::new(ErrorCode::Timeout, message).into())
    })
}
