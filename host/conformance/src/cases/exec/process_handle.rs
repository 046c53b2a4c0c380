//! A process that a case starts, and its input and output.

use bytes::Bytes;
use futures::future::BoxFuture;
use rdd_core::{ContainerRef, EngineError, ExecOptions, ExecSession, OutputChunk, TerminalSize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::case::{CALL_LIMIT, CaseContext, CaseFailure, CaseResult, fault};
use crate::environment::ExecScript;
use crate::reading::{LimitedStream, OutputRecord};
use crate::rules::ContractRule;

/// A process that runs.
pub(super) struct ProcessHandle {
    pub(super) stdin: Option<mpsc::Sender<Bytes>>,
    pub(super) resizes: watch::Sender<Option<TerminalSize>>,
    pub(super) output: LimitedStream<OutputChunk>,
    pub(super) exit: BoxFuture<'static, Result<i32, EngineError>>,
    rule: ContractRule,
}

/// Starts a process. `edit` modifies its options.
pub(super) async fn start(
    context: &CaseContext,
    container: &ContainerRef,
    rule: ContractRule,
    script: &ExecScript,
    edit: impl FnOnce(&mut ExecOptions),
) -> CaseResult<ProcessHandle> {
    let mut options = ExecOptions {
        command: context.command(script)?,
        ..ExecOptions::default()
    };
    edit(&mut options);
    let call = context.engine.exec(container, &options);
    let ExecSession {
        stdin,
        resizes,
        output,
        exit,
    } = context.ok(rule, "exec", call).await?;
    Ok(ProcessHandle {
        stdin: options.stdin.then_some(stdin),
        resizes,
        output: LimitedStream::new(output, rule, "the output"),
        exit,
        rule,
    })
}

impl ProcessHandle {
    /// Sends input to the process.
    pub(super) async fn send(&mut self, bytes: impl Into<Bytes>) -> CaseResult {
        let Some(stdin) = &self.stdin else {
            return Err(CaseFailure::Broken("the process has no input".to_owned()));
        };
        match timeout(CALL_LIMIT, stdin.send(bytes.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(fault(
                self.rule,
                "the input to be accepted",
                "that it was closed",
            )),
            Err(_) => Err(fault(
                self.rule,
                "the input to be accepted",
                "that it is not read",
            )),
        }
    }

    /// Reads the output to its end, and returns it with the exit code.
    pub(super) async fn finish(mut self) -> CaseResult<(OutputRecord, i32)> {
        let mut output = OutputRecord::default();
        self.output.drain(|chunk| output.push(chunk)).await?;
        let code = exit_code(self.rule, self.exit).await?;
        Ok((output, code))
    }
}

/// Waits for the exit code.
pub(super) async fn exit_code(
    rule: ContractRule,
    exit: BoxFuture<'static, Result<i32, EngineError>>,
) -> CaseResult<i32> {
    match timeout(CALL_LIMIT, exit).await {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => Err(fault(
            rule,
            "an exit code",
            format_args!("the error {:?} ({})", error.message, error.code),
        )),
        Err(_) => Err(fault(
            rule,
            "an exit code after the end of the output",
            "none",
        )),
    }
}

/// Runs a process to its end.
pub(super) async fn run(
    context: &CaseContext,
    rule: ContractRule,
    script: &ExecScript,
    edit: impl FnOnce(&mut ExecOptions),
) -> CaseResult<(OutputRecord, i32)> {
    context.require(&["exec"])?;
    let container = context.container().await?;
    let session = start(context, &container, rule, script, edit).await?;
    session.finish().await
}
