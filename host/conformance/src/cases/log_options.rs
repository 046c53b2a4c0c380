//! The options of logs as bytes, one by one and in pairs.

use jiff::SignedDuration;
use rdd_core::{ContainerRef, LogOptions, OutputSource, Timestamp};

use crate::case::{CaseContext, CaseResult, check, check_eq};
use crate::reading::whole_log;
use crate::rules::{self, ContractRule};

/// A log of ten lines, the odd ones on standard error, with their times.
struct NumberedLog {
    container: ContainerRef,
    times: Vec<Timestamp>,
}

/// Returns the text of these lines.
fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers
        .into_iter()
        .map(|number| format!("line {number}\n"))
        .collect()
}

/// Writes ten lines, each some time after the one before.
async fn numbered_log(context: &CaseContext) -> CaseResult<NumberedLog> {
    context.require(&["logs"])?;
    let container = context.container().await?;
    for number in 0..10 {
        let source = if number % 2 == 0 {
            OutputSource::Stdout
        } else {
            OutputSource::Stderr
        };
        context.write(&container, source, lines([number])).await?;
        // Longer than the resolution of the engine's clock.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let length = lines((0..10).step_by(2)).len();
    context
        .wait_for_output(&container, |output| {
            output.stdout.len() >= length && output.stderr.len() >= length
        })
        .await?;
    let options = LogOptions {
        timestamps: true,
        ..whole_log()
    };
    let output = context
        .read_log(rules::LOG_TIMESTAMPS, &container, &options)
        .await?;
    let (stdout, stderr) = output.text();
    let mut stamped = stdout
        .lines()
        .chain(stderr.lines())
        .map(parse_stamped)
        .collect::<CaseResult<Vec<_>>>()?;
    stamped.sort_by(|a, b| a.1.cmp(&b.1));
    check_eq(
        rules::LOG_TIMESTAMPS,
        "the lines after their timestamps",
        &lines(0..10),
        &stamped
            .iter()
            .map(|(_, line)| format!("{line}\n"))
            .collect(),
    )?;
    let times = stamped.into_iter().map(|(time, _)| time).collect();
    Ok(NumberedLog { container, times })
}

fn parse_stamped(line: &str) -> CaseResult<(Timestamp, String)> {
    let parsed = line
        .split_once(' ')
        .and_then(|(time, line)| Some((time.parse().ok()?, line.to_owned())));
    parsed.ok_or_else(|| {
        crate::case::fault(
            rules::LOG_TIMESTAMPS,
            "an RFC 3339 timestamp and a space before each line",
            format_args!("{line:?}"),
        )
    })
}

impl NumberedLog {
    fn time(&self, line: usize) -> Timestamp {
        self.times.get(line).copied().unwrap_or(Timestamp::MAX)
    }

    /// Reads with these options and compares the lines, regardless of the source.
    async fn check(
        &self,
        context: &CaseContext,
        rule: ContractRule,
        what: &str,
        options: &LogOptions,
        expected: &[usize],
    ) -> CaseResult {
        let output = context.read_log(rule, &self.container, options).await?;
        let (stdout, stderr) = output.text();
        let of = |parity| {
            let selected = expected.iter().copied();
            lines(selected.filter(|number| number % 2 == parity))
        };
        check_eq(
            rule,
            &format!("stdout and stderr of a log with {what}"),
            &(of(0), of(1)),
            &(stdout, stderr),
        )
    }
}

pub(super) async fn tail(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    for (tail, expected) in [
        (0, 10..10),
        (1, 9..10),
        (3, 7..10),
        (10, 0..10),
        (99, 0..10),
    ] {
        let options = LogOptions {
            tail: Some(tail),
            ..whole_log()
        };
        let expected: Vec<_> = expected.collect();
        log.check(
            &context,
            rules::LOG_TAIL,
            &format!("tail {tail}"),
            &options,
            &expected,
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn since(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let since = |time| LogOptions {
        since: Some(time),
        ..whole_log()
    };
    let what = "since the time of line 4";
    let options = since(log.time(4));
    log.check(
        &context,
        rules::LOG_SINCE,
        what,
        &options,
        &[4, 5, 6, 7, 8, 9],
    )
    .await?;
    let what = "since a nanosecond after line 4";
    let options = since(log.time(4).saturating_add(SignedDuration::from_nanos(1)));
    log.check(&context, rules::LOG_SINCE, what, &options, &[5, 6, 7, 8, 9])
        .await
}

pub(super) async fn until(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let until = |time| LogOptions {
        until: Some(time),
        ..whole_log()
    };
    // Engines differ in whether they include a line of exactly this time.
    let what = "until a nanosecond after line 4";
    let options = until(log.time(4).saturating_add(SignedDuration::from_nanos(1)));
    log.check(&context, rules::LOG_UNTIL, what, &options, &[0, 1, 2, 3, 4])
        .await?;
    let what = "until a nanosecond before line 5";
    let options = until(log.time(5).saturating_sub(SignedDuration::from_nanos(1)));
    log.check(&context, rules::LOG_UNTIL, what, &options, &[0, 1, 2, 3, 4])
        .await
}

pub(super) async fn until_ends_a_followed_log(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let options = LogOptions {
        until: Some(log.time(9).saturating_add(SignedDuration::from_secs(1))),
        ..LogOptions::default()
    };
    let mut followed = context
        .open_log(rules::LOG_UNTIL, &log.container, &options)
        .await?;
    // Some engines look at the clock only when something is written.
    context
        .write(&log.container, OutputSource::Stdout, "later\n")
        .await?;
    followed.drain(|_| {}).await
}

pub(super) async fn timestamps(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let ordered = log.times.is_sorted();
    check(
        rules::LOG_TIMESTAMPS,
        ordered,
        "times in the order in which the lines were written",
        format_args!(
            "{:?}",
            log.times
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        ),
    )
}

pub(super) async fn sources(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let options = LogOptions {
        stderr: false,
        ..whole_log()
    };
    log.check(
        &context,
        rules::LOG_STDOUT,
        "stdout only",
        &options,
        &[0, 2, 4, 6, 8],
    )
    .await?;
    let options = LogOptions {
        stdout: false,
        ..whole_log()
    };
    log.check(
        &context,
        rules::LOG_STDERR,
        "stderr only",
        &options,
        &[1, 3, 5, 7, 9],
    )
    .await
}

pub(super) async fn pairs(context: CaseContext) -> CaseResult {
    let log = numbered_log(&context).await?;
    let since = Some(log.time(4));
    let until = Some(log.time(7).saturating_add(SignedDuration::from_nanos(1)));
    let (tail, base) = (Some(2), whole_log());
    let cases: [(&str, LogOptions, &[usize]); 7] = [
        (
            "since and until",
            LogOptions {
                since,
                until,
                ..base.clone()
            },
            &[4, 5, 6, 7],
        ),
        (
            "tail 8 and since",
            LogOptions {
                tail: Some(8),
                since,
                ..base.clone()
            },
            &[4, 5, 6, 7, 8, 9],
        ),
        (
            "tail 2 and since",
            LogOptions {
                tail,
                since,
                ..base.clone()
            },
            &[8, 9],
        ),
        (
            "since and stderr only",
            LogOptions {
                since,
                stdout: false,
                ..base.clone()
            },
            &[5, 7, 9],
        ),
        (
            "until and stdout only",
            LogOptions {
                until,
                stderr: false,
                ..base.clone()
            },
            &[0, 2, 4, 6],
        ),
        (
            "since, until, and stdout only",
            LogOptions {
                since,
                until,
                stderr: false,
                ..base.clone()
            },
            &[4, 6],
        ),
        (
            "a tail of 20 and stderr only",
            LogOptions {
                tail: Some(20),
                stdout: false,
                ..base
            },
            &[1, 3, 5, 7, 9],
        ),
    ];
    for (what, options, expected) in cases {
        log.check(&context, rules::LOG_SINCE, what, &options, expected)
            .await?;
    }
    let options = LogOptions {
        tail,
        timestamps: true,
        ..whole_log()
    };
    let output = context
        .read_log(rules::LOG_TIMESTAMPS, &log.container, &options)
        .await?;
    let (stdout, stderr) = output.text();
    let stamped = [
        parse_stamped(stdout.trim_end())?,
        parse_stamped(stderr.trim_end())?,
    ];
    check_eq(
        rules::LOG_TIMESTAMPS,
        "the last lines with their timestamps",
        &[
            (log.time(8), "line 8".to_owned()),
            (log.time(9), "line 9".to_owned()),
        ],
        &stamped,
    )
}
