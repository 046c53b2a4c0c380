//! A case of the table, and what it checks with.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rdd_core::{BackendInfo, ContainerEngine, ContainerRef, EngineError, ErrorCode, OutputSource};
use tokio::time::timeout;

use crate::environment::{
    EngineDisturbance, ExecScript, SetupError, TestContainerSpec, TestEnvironment,
};
use crate::rules::ContractRule;
use crate::target::BackendTarget;

/// The time for one call that the engine answers at once.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The time for one action: a stop gives the processes of a container the engine's
/// grace period, which is ten seconds for most engines, and a restart does, too.
pub(crate) const ACTION_LIMIT: Duration = Duration::from_secs(30);

/// The time in which a backend has to end a call, with some tolerance for a busy
/// machine.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The reason why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseFailure {
    /// The backend violates the contract.
    #[error("expected {expected}, but saw {seen}; the contract says ({}): \"{}\"", rule.place, rule.sentence)]
    Fault {
        /// What the contract demands in this case.
        expected: String,
        /// What the backend did.
        seen: String,
        /// The sentence that it violates.
        rule: ContractRule,
    },
    /// The case cannot be set up here.
    #[error("{0}")]
    Skipped(String),
    /// Something else than the backend failed.
    #[error("{0}")]
    Broken(String),
}

impl From<SetupError> for CaseFailure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Impossible(reason) => Self::Skipped(reason),
            SetupError::Failed(_) => Self::Broken(error.to_string()),
        }
    }
}

pub(crate) type CaseResult<T = ()> = Result<T, CaseFailure>;

/// A named check of one property.
#[derive(Clone, Copy)]
pub struct ConformanceCase {
    /// The name: a group, `/`, and what holds when the case passes.
    pub name: &'static str,
    /// The time after which it has failed.
    pub limit: Duration,
    /// How often it is run before it has failed. A case that measures a time has
    /// several: a busy machine may exceed it once, a backend that takes longer does
    /// each time.
    pub attempts: usize,
    pub(crate) run: fn(CaseContext) -> BoxFuture<'static, CaseResult>,
}

impl Debug for ConformanceCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ConformanceCase").field(&self.name).finish()
    }
}

/// What a case works with: a fresh instance of the backend.
#[derive(Clone)]
pub(crate) struct CaseContext {
    pub(crate) target: Arc<dyn BackendTarget>,
    pub(crate) environment: Arc<dyn TestEnvironment>,
    pub(crate) engine: Arc<dyn ContainerEngine>,
    pub(crate) is_long: bool,
}

/// Returns the failure of a backend that violates `rule`.
pub(crate) fn fault(rule: ContractRule, expected: impl Display, seen: impl Display) -> CaseFailure {
    CaseFailure::Fault {
        expected: expected.to_string(),
        seen: seen.to_string(),
        rule,
    }
}

/// Fails unless the condition holds.
pub(crate) fn check(
    rule: ContractRule,
    holds: bool,
    expected: impl Display,
    seen: impl Display,
) -> CaseResult {
    if holds {
        Ok(())
    } else {
        Err(fault(rule, expected, seen))
    }
}

/// Fails unless both values are equal. `what` names them.
pub(crate) fn check_eq<T: PartialEq + Debug>(
    rule: ContractRule,
    what: &str,
    expected: &T,
    seen: &T,
) -> CaseResult {
    check(
        rule,
        expected == seen,
        format_args!("{what} to be {}", shorten(&format!("{expected:?}"))),
        shorten(&format!("{seen:?}")),
    )
}

/// Cuts a long text for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 300;
    let prefix = rdd_core::text::truncate(text, MAX);
    if prefix.len() < text.len() {
        format!("{prefix}… ({} bytes)", text.len())
    } else {
        text.to_owned()
    }
}

fn describe(error: &EngineError) -> String {
    format!("the error {:?} ({})", error.message, error.code)
}

impl CaseContext {
    pub(crate) fn info(&self) -> &BackendInfo {
        self.engine.info()
    }

    /// Skips the case if the backend lacks one of these capabilities.
    pub(crate) fn require(&self, capabilities: &[&str]) -> CaseResult {
        let named = self.info().capabilities.named();
        for capability in capabilities {
            if !named.contains(&(capability, true)) {
                return Err(CaseFailure::Skipped(format!(
                    "the backend does not have the capability {capability}"
                )));
            }
        }
        Ok(())
    }

    /// Waits for a call to succeed. `what` names it.
    pub(crate) async fn ok<T>(
        &self,
        rule: ContractRule,
        what: &str,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> CaseResult<T> {
        self.ok_within(CALL_LIMIT, rule, what, call).await
    }

    /// Waits for a call to succeed that may take longer than others.
    pub(crate) async fn ok_within<T>(
        &self,
        limit: Duration,
        rule: ContractRule,
        what: &str,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> CaseResult<T> {
        match timeout(limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(fault(
                rule,
                format_args!("{what} to succeed"),
                describe(&error),
            )),
            Err(_) => Err(no_response(rule, what, limit)),
        }
    }

    /// Waits for a call to fail with this code. `what` names it.
    pub(crate) async fn fails<T>(
        &self,
        rule: ContractRule,
        what: &str,
        code: ErrorCode,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> CaseResult {
        let expected = format!("{what} to fail with {:?}", code.to_string());
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(_)) => Err(fault(rule, expected, "that it succeeded")),
            Ok(Err(error)) if error.code == code => Ok(()),
            Ok(Err(error)) => Err(fault(rule, expected, describe(&error))),
            Err(_) => Err(no_response(rule, what, CALL_LIMIT)),
        }
    }

    /// Runs a container.
    pub(crate) async fn container(&self) -> CaseResult<ContainerRef> {
        self.container_with(&TestContainerSpec::default()).await
    }

    pub(crate) async fn container_with(
        &self,
        spec: &TestContainerSpec,
    ) -> CaseResult<ContainerRef> {
        Ok(self.environment.run(&*self.engine, spec).await?)
    }

    /// Lets a container write.
    pub(crate) async fn write(
        &self,
        container: &ContainerRef,
        source: OutputSource,
        bytes: impl AsRef<[u8]>,
    ) -> CaseResult {
        let bytes = bytes.as_ref();
        let write = self
            .environment
            .write(&*self.engine, container, source, bytes);
        Ok(write.await?)
    }

    pub(crate) async fn stop(&self, container: &ContainerRef) -> CaseResult {
        Ok(self.environment.stop(&*self.engine, container).await?)
    }

    pub(crate) async fn disturb(&self, disturbance: EngineDisturbance) -> CaseResult {
        let disturb = self.environment.disturb(&*self.engine, disturbance);
        Ok(disturb.await?)
    }

    /// Returns the command for a process, or skips the case.
    pub(crate) fn command(&self, script: &ExecScript) -> CaseResult<Vec<String>> {
        self.environment.command(script).ok_or_else(|| {
            CaseFailure::Skipped(format!("containers of this engine cannot do {script:?}"))
        })
    }

    /// Waits until `probe` returns `None`; it returns what it saw otherwise.
    pub(crate) async fn eventually(
        &self,
        rule: ContractRule,
        expected: impl Display,
        limit: Duration,
        mut probe: impl FnMut() -> Option<String>,
    ) -> CaseResult {
        let started = tokio::time::Instant::now();
        loop {
            let Some(seen) = probe() else { return Ok(()) };
            if started.elapsed() > limit {
                return Err(fault(rule, expected, seen));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn no_response(rule: ContractRule, what: &str, limit: Duration) -> CaseFailure {
    fault(
        rule,
        format_args!("{what} to return"),
        format_args!("no response within {} s", limit.as_secs()),
    )
}
