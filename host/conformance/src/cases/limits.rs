//! Many calls at once, and many one after another.

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use rdd_core::{
    ContainerRef, EngineError, EntryOptions, ErrorCode, LogOptions, ObjectRef, OutputSource,
};
use tokio::time::{Duration, Instant};

use super::watch::open_connections;
use crate::case::{CaseContext, CaseFailure, CaseResult, STOP_LIMIT, check, fault};
use crate::reading::{EntryList, LimitedStream};
use crate::rules;

/// The number of logs that are read at once.
const LOGS: usize = 1_000;

/// The number of logs that have to be possible even where files are limited.
const MIN_LOGS: usize = 16;

/// How long a trend is watched in a long run and in a short one.
const DURATIONS: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(3));

/// The growth of the memory that is tolerated, in bytes.
const TOLERATED_BYTES: u64 = 8 * 1024 * 1024;

/// Opens a followed log in the form that the backend has, as bytes.
async fn open_log(
    context: &CaseContext,
    container: &ContainerRef,
) -> Result<BoxStream<'static, Result<Vec<u8>, EngineError>>, EngineError> {
    if context.info().capabilities.logs {
        let options = LogOptions::default();
        let log = context.engine.get_logs(container, &options).await?;
        return Ok(log.map(|chunk| Ok(chunk?.bytes.to_vec())).boxed());
    }
    let options = EntryOptions::default();
    let log = context.engine.get_entries(container, &options).await?;
    Ok(log
        .map(|batch| {
            let mut list = EntryList::default();
            list.push(&batch?);
            Ok(list.output().stdout)
        })
        .boxed())
}

pub(super) async fn thousand_logs(context: CaseContext) -> CaseResult {
    if !context.info().capabilities.entries {
        context.require(&["logs"])?;
    }
    let container = context.container().await?;
    let opened = join_all((0..LOGS).map(|_| open_log(&context, &container))).await;
    let mut logs = Vec::new();
    for log in opened {
        match log {
            Ok(log) => logs.push(LimitedStream::new(log, rules::LOG_FOLLOW, "each log")),
            // The host's limit of open streams, with a remedy for the user.
            Err(error)
                if matches!(error.code, ErrorCode::Unavailable | ErrorCode::LimitReached) => {}
            Err(error) => {
                return Err(fault(
                    rules::CONCURRENT,
                    format_args!("{LOGS} logs at once, or \"unavailable\" beyond a limit"),
                    format_args!("the error {:?} ({})", error.message, error.code),
                ));
            }
        }
    }
    check(
        rules::CONCURRENT,
        logs.len() >= MIN_LOGS,
        format_args!("at least {MIN_LOGS} logs at once"),
        format_args!("{} of them", logs.len()),
    )?;
    context
        .write(&container, OutputSource::Stdout, "to all\n")
        .await?;
    for log in &mut logs {
        let mut bytes = Vec::new();
        log.until("the line in each of the followed logs", |part| {
            bytes.extend_from_slice(part);
            bytes == b"to all\n"
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn nothing_stays_open(context: CaseContext) -> CaseResult {
    let container = context.container().await?;
    let before = open_connections(&context).await?;
    let reference = ObjectRef::from(container);
    for _ in 0..50 {
        let call = context.engine.inspect(&reference);
        context.ok(rules::INSPECT, "inspect", call).await?;
    }
    // A backend may keep a few connections for later calls.
    let kept = before + 16;
    context
        .eventually(
            rules::STOP,
            "the connections of calls that have returned to be closed or reused",
            STOP_LIMIT,
            || {
                let open = context.environment.connections()?;
                (open > kept).then(|| format!("{} more than before", open - before))
            },
        )
        .await
}

pub(super) async fn memory(context: CaseContext) -> CaseResult {
    let Some(_) = context.target.usage().memory_bytes else {
        return Err(CaseFailure::Skipped(
            "this form of backend does not tell how much memory it uses".to_owned(),
        ));
    };
    let container = context.container().await?;
    let reference = ObjectRef::from(container.clone());
    let (long, short) = DURATIONS;
    let duration = if context.is_long { long } else { short };
    let started = Instant::now();
    let mut highest = [0_u64; 2];
    // That of the time at which a round begins: the first round is in the first half
    // however long it takes, and the last one in the second.
    let mut half = 0;
    loop {
        for _ in 0..20 {
            let call = context.engine.inspect(&reference);
            context.ok(rules::INSPECT, "inspect", call).await?;
        }
        if context.info().capabilities.logs {
            let options = crate::reading::whole_log();
            context
                .read_log(rules::LOG_END, &container, &options)
                .await?;
        }
        let memory = context.target.usage().memory_bytes.unwrap_or(0);
        if let Some(highest) = highest.get_mut(half) {
            *highest = memory.max(*highest);
        }
        let elapsed = started.elapsed();
        if half == 1 && elapsed >= duration {
            break;
        }
        half = usize::from(elapsed > duration / 2);
    }
    let [first, second] = highest;
    check(
        rules::STOP,
        second <= first + TOLERATED_BYTES,
        format_args!("no more memory in the second half of {duration:?} than in the first"),
        format_args!("{second} bytes after {first} bytes"),
    )
}
