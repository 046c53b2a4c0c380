//! Waiting for what must come true, without a guess at how long it takes.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits before it gives up: far longer than anything takes on
/// a loaded machine, since a passing test never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at: short against a person's patience, long
/// against the cost of a look.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `probe` gives `Ok`, and returns what it gave.
///
/// # Panics
/// After [`PATIENCE`], with `what` and the last `Err`.
pub async fn eventually<T, P, F>(what: &str, probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    eventually_within(PATIENCE, what, probe).await
}

/// [`eventually`] with a limit of the caller's own, where the limit is what is
/// being tested.
///
/// # Panics
/// After `limit`, with `what` and the last `Err`.
#[expect(
    clippy::panic,
    reason = "a test helper's way to fail the test that called it"
)]
pub async fn eventually_within<T, P, F>(limit: Duration, what: &str, mut probe: P) -> T
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    loop {
        let last = match probe().await {
            Ok(value) => return value,
            Err(last) => last,
        };
        if begun.elapsed() > limit {
            panic!("{what}: not within {limit:?}; last seen: {last}");
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_first_success() {
        let mut looks = 0;
        let seen = eventually("three looks", || {
            looks += 1;
            let now = looks;
            async move {
                if now < 3 {
                    Err(format!("look {now}"))
                } else {
                    Ok(now)
                }
            }
        })
        .await;
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: still no")]
    async fn says_what_it_saw_last() {
        eventually_within(Duration::from_millis(20), "never", || async {
            Err::<(), _>("still no".to_owned())
        })
        .await;
    }
}
