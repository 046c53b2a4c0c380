//! Running the table.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use regex::Regex;
use tokio::time::{Instant, timeout};

use crate::case::{CaseContext, CaseFailure, CaseResult, ConformanceCase};
use crate::cases;
use crate::environment::TestEnvironment;
use crate::report::{CaseOutcome, CaseRecord, ConformanceReport};
use crate::target::BackendTarget;

/// The time for starting an instance of the backend.
const LAUNCH_LIMIT: Duration = Duration::from_secs(60);

/// A filter for the names of cases: `*` stands for any text, `?` for any
/// character, and `!` at the beginning for all other names.
///
/// ```
/// let filter: rdd_conformance::NameFilter = "watch/*".parse()?;
/// assert!(filter.matches("watch/begins-with-a-listing"));
/// assert!(!filter.matches("logs/tail"));
/// # Ok::<(), rdd_conformance::FilterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NameFilter {
    pattern: Regex,
    is_negated: bool,
}

/// A filter that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the filter {0:?} is too long")]
pub struct FilterError(String);

impl std::str::FromStr for NameFilter {
    type Err = FilterError;

    fn from_str(glob: &str) -> Result<Self, FilterError> {
        let (is_negated, names) = match glob.strip_prefix('!') {
            Some(names) => (true, names),
            None => (false, glob),
        };
        let pattern = regex::escape(names)
            .replace(r"\*", ".*")
            .replace(r"\?", ".");
        Regex::new(&format!("^{pattern}$"))
            .map(|pattern| Self {
                pattern,
                is_negated,
            })
            .map_err(|_| FilterError(rdd_core::text::truncate(glob, 80).to_owned()))
    }
}

impl NameFilter {
    /// Returns whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.pattern.is_match(name) != self.is_negated
    }
}

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct SuiteOptions {
    /// Only the cases whose name matches; all if `None`.
    pub filter: Option<NameFilter>,
    /// Whether cases that watch a trend take ten minutes instead of seconds.
    pub is_long: bool,
}

/// The table with the backend and the engine to run it on.
pub struct ConformanceSuite {
    target: Arc<dyn BackendTarget>,
    environment: Arc<dyn TestEnvironment>,
    options: SuiteOptions,
}

impl std::fmt::Debug for ConformanceSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConformanceSuite")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl ConformanceSuite {
    /// Creates a suite.
    pub fn new(
        target: Arc<dyn BackendTarget>,
        environment: Arc<dyn TestEnvironment>,
        options: SuiteOptions,
    ) -> Self {
        Self {
            target,
            environment,
            options,
        }
    }

    /// Runs the cases one after another, each with a fresh instance of the
    /// backend, and removes what they created. `progress` gets each result as it
    /// is known.
    pub async fn run(&self, mut progress: impl FnMut(&CaseRecord)) -> ConformanceReport {
        let mut report = ConformanceReport::default();
        for case in cases::table() {
            let filter = self.options.filter.as_ref();
            if filter.is_some_and(|filter| !filter.matches(case.name)) {
                continue;
            }
            let started = Instant::now();
            let mut result = Ok(());
            for _ in 0..case.attempts {
                let leftovers;
                (result, leftovers) = self.run_case(&case).await;
                report.leftovers.extend(leftovers);
                if !matches!(result, Err(CaseFailure::Fault { .. })) {
                    break;
                }
            }
            let record = CaseRecord {
                name: case.name.to_owned(),
                outcome: match result {
                    Ok(()) => CaseOutcome::Passed,
                    Err(CaseFailure::Skipped(reason)) => CaseOutcome::Skipped { reason },
                    Err(failure) => CaseOutcome::Failed {
                        message: failure.to_string(),
                    },
                },
                seconds: started.elapsed().as_secs_f64(),
            };
            progress(&record);
            report.cases.push(record);
        }
        report
    }

    async fn run_case(&self, case: &ConformanceCase) -> (CaseResult, Vec<String>) {
        let engine = match timeout(LAUNCH_LIMIT, self.target.launch()).await {
            Ok(Ok(engine)) => engine,
            Ok(Err(error)) => {
                let message = format!("the backend cannot be started: {error}");
                return (Err(CaseFailure::Broken(message)), Vec::new());
            }
            Err(_) => {
                let message = format!("the backend did not start within {LAUNCH_LIMIT:?}");
                return (Err(CaseFailure::Broken(message)), Vec::new());
            }
        };
        let context = CaseContext {
            target: Arc::clone(&self.target),
            environment: Arc::clone(&self.environment),
            engine: Arc::clone(&engine),
            is_long: self.options.is_long,
        };
        let run = std::panic::AssertUnwindSafe((case.run)(context)).catch_unwind();
        let result = match timeout(case.limit, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CaseFailure::Broken(
                "the case or the backend panicked".to_owned(),
            )),
            Err(_) => Err(CaseFailure::Broken(format!(
                "the case did not end within {:?}",
                case.limit
            ))),
        };
        // A case that failed may have left the engine disturbed.
        let answer = crate::EngineDisturbance::Answer;
        self.environment.disturb(&*engine, answer).await.ok();
        let clean_up = self.environment.clean_up(&*engine);
        let leftovers = match timeout(LAUNCH_LIMIT, clean_up).await {
            Ok(leftovers) => leftovers,
            Err(_) => vec![format!(
                "what {} created could not be removed within {LAUNCH_LIMIT:?}",
                case.name
            )],
        };
        (result, leftovers)
    }
}
