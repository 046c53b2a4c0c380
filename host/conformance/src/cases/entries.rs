//! Logs as entries.

use jiff::SignedDuration;
use rdd_core::{ContainerRef, EntryBatch, EntryOptions, ErrorCode, OutputSource, Timestamp};

use super::inspect::unknown_id;
use super::logs::odd_output;
use super::watch::open_connections;
use crate::case::{CaseContext, CaseResult, STOP_LIMIT, check, check_eq};
use crate::reading::{EntryList, whole_entries, whole_log};
use crate::rules::{self, ContractRule};

/// Writes lines to both sources in turn, each some time after the one before.
pub(super) async fn alternating(context: &CaseContext, count: usize) -> CaseResult<ContainerRef> {
    context.require(&["entries"])?;
    let container = context.container().await?;
    for number in 0..count {
        let source = if number % 2 == 0 {
            OutputSource::Stdout
        } else {
            OutputSource::Stderr
        };
        context
            .write(&container, source, format!("{number}\n"))
            .await?;
        // Longer than the resolution of the engine's clock.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    wait_for_lines(context, &container, count).await?;
    Ok(container)
}

/// Waits until a log has this number of lines.
pub(super) async fn wait_for_lines(
    context: &CaseContext,
    container: &ContainerRef,
    count: usize,
) -> CaseResult {
    let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let output = context
        .wait_for_output(container, |output| {
            newlines(&output.stdout) + newlines(&output.stderr) >= count
        })
        .await?;
    let seen = newlines(&output.stdout) + newlines(&output.stderr);
    check(
        rules::LOG_END,
        seen >= count,
        format_args!("the {count} lines that were written"),
        format_args!("{seen} lines"),
    )
}

/// Reads a log and compares the texts of its entries.
pub(super) async fn check_texts(
    context: &CaseContext,
    rule: ContractRule,
    what: &str,
    container: &ContainerRef,
    options: &EntryOptions,
    expected: &[&str],
) -> CaseResult {
    let entries = context.read_entries(rule, container, options).await?;
    let expected: Vec<_> = expected.iter().map(|&text| text.to_owned()).collect();
    check_eq(rule, what, &expected, &entries.texts())
}

/// The bytes of both forms of one log.
async fn compare_forms(context: &CaseContext, container: &ContainerRef) -> CaseResult {
    let log = context
        .read_log(rules::BOTH_FORMS, container, &whole_log())
        .await?;
    let entries = context
        .read_entries(rules::BOTH_FORMS, container, &whole_entries())
        .await?;
    let output = entries.output();
    let what = "the bytes of the entries";
    check_eq(rules::BOTH_FORMS, what, &log.text(), &output.text())?;
    check(
        rules::BOTH_FORMS,
        log == output,
        "entries with exactly the bytes of the log",
        "bytes that differ where they are not UTF-8",
    )
}

pub(super) async fn same_bytes(context: CaseContext) -> CaseResult {
    context.require(&["logs", "entries"])?;
    let container = alternating(&context, 20).await?;
    compare_forms(&context, &container).await
}

pub(super) async fn odd_bytes(context: CaseContext) -> CaseResult {
    context.require(&["entries"])?;
    let container = context.container().await?;
    let written = odd_output(&context);
    context
        .write(&container, OutputSource::Stdout, &written)
        .await?;
    context.stop(&container).await?;
    context
        .wait_for_output(&container, |output| output.stdout == written)
        .await?;
    let entries = context
        .read_entries(rules::OUTPUT_BYTES, &container, &whole_entries())
        .await?;
    check(
        rules::OUTPUT_BYTES,
        entries.output().stdout == written,
        format_args!("the bytes {:?}", String::from_utf8_lossy(&written)),
        format_args!("{:?}", entries.output().text().0),
    )?;
    let last_is_partial = entries.entries.last().map(|entry| entry.is_partial);
    check_eq(
        rules::BOTH_FORMS,
        "whether the last entry, which has no newline, is partial",
        &Some(true),
        &last_is_partial,
    )
}

pub(super) async fn order_of_sources(context: CaseContext) -> CaseResult {
    context.require(&["entry-times"])?;
    let container = alternating(&context, 20).await?;
    let entries = context
        .read_entries(rules::ENTRY_ORDER, &container, &whole_entries())
        .await?;
    let expected: Vec<_> = (0..20).map(|number: usize| number.to_string()).collect();
    check_eq(
        rules::ENTRY_ORDER,
        "the entries of both sources",
        &expected,
        &entries.texts(),
    )
}

pub(super) async fn long_line(context: CaseContext) -> CaseResult {
    context.require(&["entries"])?;
    let container = context.container().await?;
    let line = "x".repeat(200_000);
    context
        .write(&container, OutputSource::Stdout, format!("{line}\nshort\n"))
        .await?;
    wait_for_lines(&context, &container, 2).await?;
    let list = context
        .read_entries(rules::ENTRY_LENGTH, &container, &whole_entries())
        .await?;
    let Some((short, parts)) = list.entries.split_last() else {
        return check(rules::ENTRY_LENGTH, false, "two lines", "an empty log");
    };
    let Some((rest, full)) = parts.split_last() else {
        return check(rules::ENTRY_LENGTH, false, "two lines", "one entry");
    };
    // The engine may cut a line shorter, but always alike.
    let length = full.first().map_or(0, |part| part.bytes.len());
    check(
        rules::ENTRY_LENGTH,
        length <= EntryBatch::MAX_BYTES
            && full
                .iter()
                .all(|part| part.is_partial && part.bytes.len() == length)
            && !rest.is_partial
            && !short.is_partial,
        "parts of one length, all but the last of a line partial",
        format_args!(
            "{:?}",
            list.entries
                .iter()
                .map(|part| (part.bytes.len(), part.is_partial))
                .collect::<Vec<_>>()
        ),
    )?;
    check(
        rules::ENTRY_LENGTH,
        list.output().stdout == format!("{line}\nshort\n").into_bytes(),
        "all bytes of a line of 200,000 bytes",
        format_args!("{} bytes", list.output().stdout.len()),
    )
}

pub(super) async fn have_times(context: CaseContext) -> CaseResult {
    let container = alternating(&context, 4).await?;
    let list = context
        .read_entries(rules::ENTRY_TIMES, &container, &whole_entries())
        .await?;
    let times: Vec<_> = list.entries.iter().map(|entry| entry.time).collect();
    if context.info().capabilities.entry_times {
        check(
            rules::ENTRY_TIMES,
            times.windows(2).all(|pair| pair.first() < pair.last()) && !times.contains(&0),
            "increasing times of lines that were written one after another",
            format_args!("{times:?}"),
        )
    } else {
        check_eq(rules::ENTRY_TIMES, "the times", &vec![0; 4], &times)
    }
}

pub(super) async fn tail(context: CaseContext) -> CaseResult {
    let container = alternating(&context, 6).await?;
    let all = ["0", "1", "2", "3", "4", "5"];
    for (tail, expected) in [
        (0, &all[6..]),
        (1, &all[5..]),
        (4, &all[2..]),
        (6, &all),
        (99, &all),
    ] {
        let options = EntryOptions {
            tail: Some(tail),
            ..whole_entries()
        };
        let what = format!("the entries with tail {tail}");
        check_texts(
            &context,
            rules::ENTRY_TAIL,
            &what,
            &container,
            &options,
            expected,
        )
        .await?;
    }
    Ok(())
}

/// Converts the time of an entry.
fn timestamp(time: i64) -> Timestamp {
    Timestamp::from_seconds(0).saturating_add(SignedDuration::from_nanos(time))
}

pub(super) async fn since_and_until(context: CaseContext) -> CaseResult {
    context.require(&["entry-times"])?;
    let container = alternating(&context, 6).await?;
    let list = context
        .read_entries(rules::ENTRY_SINCE, &container, &whole_entries())
        .await?;
    let time = |index: usize| list.entries.get(index).map(|entry| timestamp(entry.time));
    let nanosecond = SignedDuration::from_nanos(1);
    let options = EntryOptions {
        since: time(2),
        ..whole_entries()
    };
    let what = "the entries since the time of \"2\"";
    let expected = ["2", "3", "4", "5"];
    check_texts(
        &context,
        rules::ENTRY_SINCE,
        what,
        &container,
        &options,
        &expected,
    )
    .await?;
    let options = EntryOptions {
        until: time(3).map(|time| time.saturating_add(nanosecond)),
        ..whole_entries()
    };
    let what = "the entries until a nanosecond after \"3\"";
    let expected = ["0", "1", "2", "3"];
    check_texts(
        &context,
        rules::ENTRY_UNTIL,
        what,
        &container,
        &options,
        &expected,
    )
    .await
}

pub(super) async fn sources(context: CaseContext) -> CaseResult {
    let container = alternating(&context, 6).await?;
    let options = EntryOptions {
        stderr: false,
        ..whole_entries()
    };
    let what = "the entries of stdout";
    check_texts(
        &context,
        rules::LOG_STDOUT,
        what,
        &container,
        &options,
        &["0", "2", "4"],
    )
    .await?;
    let options = EntryOptions {
        stdout: false,
        ..whole_entries()
    };
    let what = "the entries of stderr";
    check_texts(
        &context,
        rules::LOG_STDERR,
        what,
        &container,
        &options,
        &["1", "3", "5"],
    )
    .await
}

pub(super) async fn follow(context: CaseContext) -> CaseResult {
    let container = alternating(&context, 2).await?;
    let options = EntryOptions::default();
    let mut log = context
        .open_entries(rules::ENTRY_PROMPT, &container, &options)
        .await?;
    let mut list = EntryList::default();
    for line in ["1", "first", "second"] {
        if line != "1" {
            context
                .write(&container, OutputSource::Stdout, format!("{line}\n"))
                .await?;
        }
        log.until(
            &format!("the entry {line:?} of the followed log"),
            |batch| {
                list.push(batch);
                list.texts().last().is_some_and(|last| last == line)
            },
        )
        .await?;
    }
    context.stop(&container).await?;
    log.drain(|batch| list.push(batch)).await?;
    let expected = ["0", "1", "first", "second"].map(str::to_owned).to_vec();
    check_eq(
        rules::LOG_FOLLOW,
        "the followed log",
        &expected,
        &list.texts(),
    )
}

pub(super) async fn unknown_container(context: CaseContext) -> CaseResult {
    context.require(&["entries"])?;
    let container = ContainerRef::new(context.environment.namespace(), unknown_id(&context));
    let options = EntryOptions::default();
    context
        .fails(
            rules::LOG_ERRORS,
            "get-entries of an unknown container",
            ErrorCode::NotFound,
            context.engine.get_entries(&container, &options),
        )
        .await
}

pub(super) async fn ends_within_a_second(context: CaseContext) -> CaseResult {
    let container = alternating(&context, 1).await?;
    let before = open_connections(&context).await?;
    let mut log = context
        .open_entries(rules::STOP, &container, &EntryOptions::default())
        .await?;
    log.until("the first entry", |_| true).await?;
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
