//! Backends with one fault each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rdd_conformance::{
    BackendTarget, ConformanceSuite, ResourceUsage, SuiteOptions, TargetError, ToyEnvironment,
};
use rdd_core::*;
use rdd_toy_engine::ToyEngine;
use tokio::task::JoinSet;

use crate::mutant_engine::MutantEngine;
use crate::mutation::Mutation::*;
use crate::mutation::{MUTATIONS, Mutation, WITHOUT_MUTATION};
use crate::toy_client::ToyClient;

/// The number of faults that are simulated at once: most cases wait.
const PARALLEL: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_fails_the_cases_that_are_meant_for_it_and_no_others() {
    let mut faults = MUTATIONS.iter();
    let mut running = JoinSet::new();
    let mut unexpected = Vec::new();
    loop {
        while running.len() < PARALLEL {
            let Some((mutation, expected)) = faults.next() else {
                break;
            };
            running.spawn(async move {
                let checked = check(*mutation, expected).await;
                checked.map(|_| (*mutation, *expected))
            });
        }
        let Some(checked) = running.join_next().await else {
            break;
        };
        unexpected.extend(checked.unwrap());
    }
    // Many suites at once may exceed the time limits of cases, so the result of a
    // fault counts when it is the only one.
    let mut wrong = Vec::new();
    for (mutation, expected) in unexpected {
        wrong.extend(check(mutation, expected).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_case_has_a_fault_that_fails_it() {
    let found: BTreeSet<_> = MUTATIONS.iter().flat_map(|(_, cases)| *cases).collect();
    for case in rdd_conformance::table() {
        let is_listed = WITHOUT_MUTATION.contains(&case.name);
        assert_eq!(found.contains(&case.name), !is_listed, "{}", case.name);
    }
}

async fn check(mutation: Mutation, expected: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.sock");
    let engine = ToyEngine::new();
    let server = engine.listen(&path).unwrap();
    let target = MutantTarget {
        client: Arc::new(ToyClient::new(path)),
        mutation,
        launches: AtomicUsize::new(0),
        memory: AtomicUsize::new(0),
    };
    // A thousand logs for each fault would take minutes.
    let is_limit = expected.iter().any(|case| case.starts_with("limits/"));
    let filter = (!is_limit).then(|| "!limits/*".parse().unwrap());
    let options = SuiteOptions {
        filter,
        is_long: false,
    };
    let environment = ToyEnvironment::new(engine);
    let suite = ConformanceSuite::new(Arc::new(target), Arc::new(environment), options);
    let report = suite.run(|_| {}).await;
    server.shutdown().await;
    let failed: BTreeSet<_> = report.failed().into_iter().collect();
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    println!("{mutation:?}: {failed:?}");
    (failed != expected).then(|| {
        format!(
            "{mutation:?} fails {failed:?} instead of {expected:?}:\n{}",
            report
                .cases
                .iter()
                .filter(|case| failed.contains(case.name.as_str()))
                .map(rdd_conformance::CaseRecord::to_text)
                .collect::<String>()
        )
    })
}

struct MutantTarget {
    client: Arc<ToyClient>,
    mutation: Mutation,
    launches: AtomicUsize,
    memory: AtomicUsize,
}

#[async_trait]
impl BackendTarget for MutantTarget {
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError> {
        let mut info = self.client.info().clone();
        let launches = self.launches.fetch_add(1, Ordering::Relaxed);
        match self.mutation {
            DescribesAVersionThatIsNone => info.version = "latest".to_owned(),
            DescribesItselfDifferently => info.version = format!("1.0.{launches}"),
            PushesWithoutTheCapability => info.capabilities.push = false,
            HasTimesWithoutTheCapability => info.capabilities.entry_times = false,
            ClaimsHexadecimalIds => info.id_format = IdFormat::LowerHex(64),
            _ => {}
        }
        Ok(Arc::new(MutantEngine::new(
            self.client.clone(),
            info,
            self.mutation,
        )))
    }

    fn usage(&self) -> ResourceUsage {
        let leaked = match self.mutation {
            LeaksMemory => self.memory.fetch_add(16 * 1024 * 1024, Ordering::Relaxed),
            _ => 0,
        };
        ResourceUsage {
            memory_bytes: Some(leaked as u64),
            ..ResourceUsage::default()
        }
    }
}
