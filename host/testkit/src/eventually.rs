//! Waiting for a condition without a guess at how long it takes.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time after which a test fails: far longer than anything takes on a busy
/// machine. A passing test never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The interval between two checks of a condition: too short to slow a test down,
/// much longer than a check takes.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Calls `probe` until it returns `Ok`, and returns the value. `what` names the
/// condition.
///
/// # Panics
///
/// Panics after [`PATIENCE`], with `what` and the last `Err`.
pub async fn eventually<T, P, F>(what: &str, probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    eventually_within(PATIENCE, what, probe).await
}

/// [`eventually`] with another limit, for tests of that limit.
///
/// # Panics
///
/// Panics after `limit`, with `what` and the last `Err`.
#[expect(clippy::panic, reason = "a test helper fails its test by panicking")]
pub async fn eventually_within<T, P, F>(limit: Duration, what: &str, mut probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let started_at = Instant::now();
    loop {
        let last = match probe().await {
            Ok(value) => return value,
            Err(last) => last,
        };
        if started_at.elapsed() > limit {
            panic!("{what}: not within {limit:?}; last error: {last}");
        }
        sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_success_is_returned() {
        let mut checks = 0;
        let value = eventually("three checks", || {
            checks += 1;
            let check = checks;
            async move {
                if check < 3 {
                    Err(format!("check {check}"))
                } else {
                    Ok(check)
                }
            }
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last error: not yet")]
    async fn the_last_error_is_part_of_the_panic() {
        eventually_within(Duration::from_millis(20), "never", || async {
            Err::<(), _>("not yet".to_owned())
        })
        .await;
    }
}
