//! The tests that every example must pass.

/// Defines the tests that every example must pass.
macro_rules! tests_of_example {
    ($folder:literal, $name:literal, inspections: $inspections:literal) => {
        async fn example(limits: BackendLimits) -> support::Example {
            support::Example::start($folder, $name, limits).await
        }

        #[tokio::test]
        async fn it_watches() {
            support::watches(&example(BackendLimits::default()).await).await;
        }

        #[tokio::test]
        async fn it_inspects() {
            support::inspects(&example(BackendLimits::default()).await).await;
        }

        #[tokio::test]
        async fn it_leaves_nothing_behind() {
            support::repeats(&example(BackendLimits::default()).await, $inspections).await;
        }

        #[tokio::test]
        async fn it_gives_up_on_an_engine_that_does_not_answer() {
            support::gives_up(&example(BackendLimits::default()).await).await;
        }

        #[tokio::test]
        async fn it_pings() {
            support::pings(&example(support::impatient()).await).await;
        }

        #[tokio::test]
        async fn it_reads_entries() {
            support::reads_entries(&example(BackendLimits::default()).await).await;
        }

        #[tokio::test]
        async fn it_follows_entries() {
            support::follows_entries(&example(BackendLimits::default()).await).await;
        }

        #[tokio::test]
        async fn it_yields_while_there_is_something_to_read() {
            support::reads_without_a_pause(&example(support::restless()).await).await;
        }

        #[tokio::test]
        async fn it_stops_a_flood() {
            support::leaves_a_flood(&example(BackendLimits::default()).await).await;
        }
    };
}
pub(crate) use tests_of_example;
