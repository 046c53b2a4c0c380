//! Logs as bytes.

use std::time::Duration;

use rdd_core::{ContainerRef, ErrorCode, LogOptions, OutputChunk, OutputSource};
use tokio::time::Instant;

use super::inspect::unknown_id;
use super::watch::open_connections;
use crate::case::{CaseContext, CaseResult, STOP_LIMIT, check, check_eq, shorten};
use crate::environment::{EngineDisturbance, TestContainerSpec};
use crate::reading::{OutputRecord, whole_log};
use crate::rules;

/// The time in which written output has to arrive.
const PROMPT: Duration = Duration::from_secs(2);

pub(super) async fn every_byte_in_order(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    let mut written = OutputRecord::default();
    for block in 0..20 {
        let (source, bytes) = if block % 4 == 3 {
            (OutputSource::Stderr, &mut written.stderr)
        } else {
            (OutputSource::Stdout, &mut written.stdout)
        };
        let lines: String = (0..50).map(|line| format!("{block} {line}\n")).collect();
        bytes.extend_from_slice(lines.as_bytes());
        context.write(&container, source, lines).await?;
    }
    let read = context
        .wait_for_output(&container, |output| output == &written)
        .await?;
    check(
        rules::LOG_END,
        read == written,
        format_args!(
            "the {} and {} bytes that were written to stdout and stderr",
            written.stdout.len(),
            written.stderr.len()
        ),
        difference(&written, &read),
    )
}

/// Describes where two outputs differ.
fn difference(expected: &OutputRecord, seen: &OutputRecord) -> String {
    for (source, expected, seen) in [
        ("stdout", &expected.stdout, &seen.stdout),
        ("stderr", &expected.stderr, &seen.stderr),
    ] {
        if expected == seen {
            continue;
        }
        let same = expected
            .iter()
            .zip(seen)
            .take_while(|(a, b)| a == b)
            .count();
        let at = |bytes: &[u8]| {
            let end = bytes.len().min(same + 20);
            String::from_utf8_lossy(bytes.get(same..end).unwrap_or_default()).into_owned()
        };
        return format!(
            "{} bytes of {source}, which differ from byte {same} on: {:?} instead of {:?}",
            seen.len(),
            at(seen),
            at(expected)
        );
    }
    "the same bytes".to_owned()
}

/// Returns output of each odd kind, without what the engine cannot record.
pub(super) fn odd_output(context: &CaseContext) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"\n\n");
    if context.environment.keeps_invalid_utf8() {
        bytes.extend_from_slice(b"not UTF-8: \xff\xfe\xc3\n");
        bytes.extend_from_slice("cut character: \u{6f22}".as_bytes());
        bytes.pop();
    }
    bytes.extend_from_slice("characters of several bytes: ü \u{6f22} \u{1f600}".as_bytes());
    bytes.extend_from_slice(b"\n\0nul\0\n\ttab\rreturn\r\n\x1b[31mcolor\x1b[0m\n");
    bytes.extend_from_slice(b"no newline at the end");
    bytes
}

pub(super) async fn odd_bytes(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    let written = odd_output(&context);
    context
        .write(&container, OutputSource::Stdout, &written)
        .await?;
    // Some engines record what has no newline only when the container stops.
    context.stop(&container).await?;
    let read = context
        .wait_for_output(&container, |output| output.stdout == written)
        .await?;
    check_eq(
        rules::OUTPUT_BYTES,
        "the bytes of the log",
        &String::from_utf8_lossy(&written).into_owned(),
        &read.text().0,
    )?;
    check(
        rules::OUTPUT_BYTES,
        read.stdout == written,
        "bytes that are not UTF-8 unchanged",
        "others in their place",
    )
}

pub(super) async fn chunk_is_bounded(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    let written = [vec![b'x'; 300_000], b"\n".to_vec()].concat();
    context
        .write(&container, OutputSource::Stdout, &written)
        .await?;
    context
        .wait_for_output(&container, |output| output.stdout == written)
        .await?;
    let mut log = context
        .open_log(rules::CHUNK, &container, &whole_log())
        .await?;
    let (mut longest, mut total) = (0, 0);
    log.drain(|chunk| {
        longest = longest.max(chunk.bytes.len());
        total += chunk.bytes.len();
    })
    .await?;
    check(
        rules::CHUNK,
        longest <= OutputChunk::MAX_LEN,
        "chunks of at most 64 KiB",
        format_args!("one of {longest} bytes"),
    )?;
    check_eq(
        rules::CHUNK,
        "the length of a line of 300,000 bytes with its newline",
        &written.len(),
        &total,
    )
}

pub(super) async fn follow(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    context
        .write(&container, OutputSource::Stdout, "before\n")
        .await?;
    context
        .wait_for_output(&container, |output| output.stdout == b"before\n")
        .await?;
    let options = LogOptions::default();
    let mut log = context
        .open_log(rules::LOG_FOLLOW, &container, &options)
        .await?;
    let mut output = OutputRecord::default();
    for line in ["before\n", "first\n", "second\n"] {
        if line != "before\n" {
            context
                .write(&container, OutputSource::Stdout, line)
                .await?;
        }
        log.until(&format!("{line:?} in the followed log"), |chunk| {
            output.push(chunk);
            output.stdout.ends_with(line.as_bytes())
        })
        .await?;
    }
    context.stop(&container).await?;
    log.drain(|chunk| output.push(chunk)).await?;
    check_eq(
        rules::LOG_FOLLOW,
        "the followed log",
        &"before\nfirst\nsecond\n".to_owned(),
        &output.text().0,
    )
}

pub(super) async fn not_delayed(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    let mut log = context
        .open_log(rules::CHUNK, &container, &LogOptions::default())
        .await?;
    context
        .write(&container, OutputSource::Stdout, "x\n")
        .await?;
    let written = Instant::now();
    log.until("a line of two bytes", |_| true).await?;
    let delay = written.elapsed();
    check(
        rules::CHUNK,
        delay < PROMPT,
        format_args!("a short line within {PROMPT:?}"),
        format_args!("it after {delay:?}"),
    )
}

pub(super) async fn terminal(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let spec = TestContainerSpec {
        tty: true,
        ..TestContainerSpec::default()
    };
    let container = context.container_with(&spec).await?;
    let written = "on a terminal\r\nsecond line\r\n";
    context
        .write(&container, OutputSource::Stdout, written)
        .await?;
    let read = context
        .wait_for_output(&container, |output| {
            output.stdout.ends_with(b"second line\r\n") || !output.stderr.is_empty()
        })
        .await?;
    let (stdout, stderr) = read.text();
    check_eq(
        rules::TERMINAL,
        "stderr of a terminal",
        &String::new(),
        &stderr,
    )?;
    // A terminal adds a carriage return to each newline, also to one that has one.
    let normal = stdout.replace("\r\r\n", "\r\n");
    check_eq(rules::TERMINAL, "the log", &written.to_owned(), &normal)?;
    let found = super::inspect::container(&context, &container).await?;
    check_eq(
        rules::INSPECT,
        "whether it has a terminal",
        &true,
        &found.tty,
    )
}

pub(super) async fn unknown_container(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = ContainerRef::new(context.environment.namespace(), unknown_id(&context));
    context
        .fails(
            rules::LOG_ERRORS,
            "get-logs of an unknown container",
            ErrorCode::NotFound,
            context.engine.get_logs(&container, &LogOptions::default()),
        )
        .await
}

pub(super) async fn cut_connection(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    context
        .write(&container, OutputSource::Stdout, "x\n")
        .await?;
    let mut log = context
        .open_log(rules::LOG_END, &container, &LogOptions::default())
        .await?;
    log.until("the first line", |_| true).await?;
    context.disturb(EngineDisturbance::CutConnections).await?;
    let error = log.error().await?;
    check(
        rules::LOG_END,
        error.code == ErrorCode::Unavailable,
        "the log to end with \"unavailable\" after its connection was cut",
        shorten(&format!("{:?} ({})", error.message, error.code)),
    )
}

pub(super) async fn ends_within_a_second(context: CaseContext) -> CaseResult {
    context.require(&["logs"])?;
    let container = context.container().await?;
    context
        .write(&container, OutputSource::Stdout, "x\n")
        .await?;
    let before = open_connections(&context).await?;
    let mut log = context
        .open_log(rules::STOP, &container, &LogOptions::default())
        .await?;
    log.until("the first line", |_| true).await?;
    drop(log);
    context
        .eventually(
            rules::STOP,
            "the log's connection to the engine to be closed",
            STOP_LIMIT,
            || {
                let open = context.environment.connections()?;
                (open > before).then(|| format!("{} of them open", open - before))
            },
        )
        .await
}
