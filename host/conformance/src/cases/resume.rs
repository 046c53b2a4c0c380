//! Resuming a log at the position of an entry.

use rdd_core::{ContainerRef, EntryOptions, EntryPosition, OutputSource};

use super::entries::{check_texts, wait_for_lines};
use crate::case::{CaseContext, CaseResult, check, check_eq};
use crate::environment::EngineDisturbance;
use crate::reading::{EntryList, whole_entries};
use crate::rules;

/// A time at which the entries of these cases are written: 2026-01-01, in
/// nanoseconds since the Unix epoch.
const TIME: i64 = 1_767_225_600_000_000_000;

/// Writes lines with these times, those with odd numbers to standard error.
async fn log_with_times(context: &CaseContext, times: &[i64]) -> CaseResult<ContainerRef> {
    context.require(&["entries", "entry-times"])?;
    let container = context.container().await?;
    for (number, time) in times.iter().enumerate() {
        let source = if number % 2 == 0 {
            OutputSource::Stdout
        } else {
            OutputSource::Stderr
        };
        let line = format!("{number}\n");
        let write = context
            .environment
            .write_at(&container, *time, source, line.as_bytes());
        write.await?;
    }
    wait_for_lines(context, &container, times.len()).await?;
    Ok(container)
}

/// Writes many lines, a few at a time, so that equal times are likely in an engine
/// whose times cannot be chosen.
async fn log_of_any_engine(context: &CaseContext) -> CaseResult<ContainerRef> {
    context.require(&["entries", "entry-times"])?;
    let container = context.container().await?;
    for block in 0..10 {
        let lines: String = (0..10).map(|line| format!("{block} {line}\n")).collect();
        let source = if block % 2 == 0 {
            OutputSource::Stdout
        } else {
            OutputSource::Stderr
        };
        context.write(&container, source, lines).await?;
    }
    wait_for_lines(context, &container, 100).await?;
    Ok(container)
}

fn after(position: EntryPosition) -> EntryOptions {
    EntryOptions {
        after: Some(position),
        ..whole_entries()
    }
}

pub(super) async fn stable_order(context: CaseContext) -> CaseResult {
    let container = log_of_any_engine(&context).await?;
    let first = context
        .read_entries(rules::ENTRY_ORDER, &container, &whole_entries())
        .await?;
    for _ in 0..5 {
        let again = context
            .read_entries(rules::ENTRY_ORDER, &container, &whole_entries())
            .await?;
        check_eq(
            rules::ENTRY_ORDER,
            "the entries of another read",
            &first.texts(),
            &again.texts(),
        )?;
        check(
            rules::ENTRY_ORDER,
            first == again,
            "the same times and sources in another read",
            "others",
        )?;
    }
    Ok(())
}

pub(super) async fn loses_and_doubles_nothing(context: CaseContext) -> CaseResult {
    let container = log_of_any_engine(&context).await?;
    let whole = context
        .read_entries(rules::ENTRY_AFTER, &container, &whole_entries())
        .await?;
    let texts = whole.texts();
    for (index, position) in whole.positions().into_iter().enumerate() {
        let rest = context
            .read_entries(rules::ENTRY_AFTER, &container, &after(position))
            .await?;
        let expected = texts.get(index + 1..).unwrap_or_default().to_vec();
        let what = format!("what follows entry {index} of {}", texts.len());
        check_eq(rules::ENTRY_AFTER, &what, &expected, &rest.texts())?;
        check_eq(
            rules::ENTRY_GAP,
            "the gaps of a resumed log",
            &vec![],
            &rest.gaps,
        )?;
    }
    Ok(())
}

pub(super) async fn selected_sources(context: CaseContext) -> CaseResult {
    let container = log_with_times(&context, &[TIME; 8]).await?;
    // Of equal times, "1" is the first on standard error, "3" the second.
    let options = EntryOptions {
        stdout: false,
        ..after(EntryPosition {
            time: TIME,
            index: 1,
        })
    };
    let what = "what follows the second entry of stderr of this time";
    check_texts(
        &context,
        rules::ENTRY_INDEX,
        what,
        &container,
        &options,
        &["5", "7"],
    )
    .await
}

pub(super) async fn earlier_times(context: CaseContext) -> CaseResult {
    // The engine's clock is set back by ten minutes.
    let back = TIME - 600_000_000_000;
    let container = log_with_times(&context, &[TIME, TIME, back, back, TIME]).await?;
    let options = after(EntryPosition {
        time: TIME,
        index: 1,
    });
    let what = "what follows the last entry before the clock was set back";
    check_texts(
        &context,
        rules::ENTRY_AFTER,
        what,
        &container,
        &options,
        &["2", "3", "4"],
    )
    .await
}

pub(super) async fn follows(context: CaseContext) -> CaseResult {
    let container = log_with_times(&context, &[TIME, TIME, TIME]).await?;
    let options = EntryOptions {
        follow: true,
        ..after(EntryPosition {
            time: TIME,
            index: 1,
        })
    };
    let mut log = context
        .open_entries(rules::ENTRY_AFTER, &container, &options)
        .await?;
    context
        .write(&container, OutputSource::Stdout, "later\n")
        .await?;
    let mut list = EntryList::default();
    log.until(
        "an entry that is written after the log was resumed",
        |batch| {
            list.push(batch);
            list.texts().last().is_some_and(|last| last == "later")
        },
    )
    .await?;
    let expected = ["2", "later"].map(str::to_owned).to_vec();
    check_eq(
        rules::ENTRY_AFTER,
        "the resumed log",
        &expected,
        &list.texts(),
    )
}

pub(super) async fn lost_position(context: CaseContext) -> CaseResult {
    let times: Vec<_> = (0..6).map(|number| TIME + number).collect();
    let container = log_with_times(&context, &times).await?;
    context
        .disturb(EngineDisturbance::Rotate {
            container: container.clone(),
            kept: 3,
        })
        .await?;
    let options = after(EntryPosition {
        time: TIME + 1,
        index: 0,
    });
    let list = context
        .read_entries(rules::ENTRY_GAP, &container, &options)
        .await?;
    check(
        rules::ENTRY_GAP,
        matches!(list.gaps.as_slice(), [(0, _)]),
        "a gap at the beginning, since the entry is no longer there",
        format_args!("gaps {:?}", list.gaps),
    )?;
    let expected = ["3", "4", "5"].map(str::to_owned).to_vec();
    check_eq(
        rules::ENTRY_GAP,
        "the entries after the gap",
        &expected,
        &list.texts(),
    )
}
