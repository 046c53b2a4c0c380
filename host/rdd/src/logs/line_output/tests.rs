use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Bytes;

use super::*;
use crate::logs::mux_client::{CreditLedger, SubscriptionFailure};

fn options(order: LineOrder, logs: &[&str]) -> PrinterOptions {
    PrinterOptions {
        format: LineFormat {
            form: LineForm::Default,
            has_prefix: order != LineOrder::Arrival,
            has_timestamps: false,
            use_color: [false; 2],
            highlight: None,
        },
        filter: LineFilter::default(),
        order,
        is_single: order == LineOrder::Arrival,
        max_logs: 2,
        names: logs
            .iter()
            .map(|log| (LogId::from(*log), (*log).to_owned()))
            .collect(),
    }
}

fn joined(log: &str) -> LogEvent {
    LogEvent::Joined {
        log: log.into(),
        name: log.to_owned(),
        labels: BTreeMap::new(),
    }
}

fn entries(log: &str, subscription: &SubscriptionRef, entries: &[(i64, bool, &str)]) -> LogEvent {
    LogEvent::Entries {
        log: log.into(),
        subscription: subscription.clone(),
        entries: entries
            .iter()
            .map(|&(time, is_partial, text)| LogEntry {
                time,
                is_stderr: false,
                is_partial,
                bytes: Bytes::copy_from_slice(text.as_bytes()),
            })
            .collect(),
    }
}

/// Prints events. Returns the result, and the frames.
async fn print(
    options: PrinterOptions,
    events: impl IntoIterator<Item = LogEvent>,
) -> (Result<bool>, Vec<String>) {
    let (queue, mut frames) = mpsc::channel(100);
    let (sender, receiver) = mpsc::channel(100);
    for event in events {
        sender.send(event).await.unwrap();
    }
    drop(sender);
    let result = LogPrinter::new(options, queue).run(receiver).await;
    let mut printed = Vec::new();
    while let Some(frame) = frames.recv().await {
        printed.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    (result, printed)
}

fn subscription() -> (SubscriptionRef, Arc<CreditLedger>) {
    let ledger = Arc::<CreditLedger>::default();
    (SubscriptionRef::new(1, Arc::clone(&ledger)), ledger)
}

#[tokio::test]
async fn logs_that_end_are_merged_although_one_arrives_later() {
    let (credit, _) = subscription();
    let events = [
        joined("a"),
        entries("a", &credit, &[(1, false, "a1"), (4, false, "a4")]),
        LogEvent::Left {
            log: "a".into(),
            reason: "the log ended".to_owned(),
        },
        joined("b"),
        entries(
            "b",
            &credit,
            &[(2, false, "b2"), (3, true, "b"), (9, false, "3")],
        ),
    ];
    let (result, printed) = print(options(LineOrder::Time, &["a", "b"]), events).await;
    assert!(result.unwrap());
    assert_eq!(
        printed.concat().replace('\u{1}', ""),
        "a | a1\nb | b2\nb | b3\na | a4\n"
    );
}

#[tokio::test(start_paused = true)]
async fn followed_lines_are_merged_within_a_window() {
    let (credit, _) = subscription();
    let (queue, mut frames) = mpsc::channel(100);
    let (sender, receiver) = mpsc::channel(100);
    let printer = LogPrinter::new(options(LineOrder::TimeWindow, &[]), queue);
    let task = tokio::spawn(printer.run(receiver));
    for event in [
        joined("a"),
        joined("b"),
        entries("a", &credit, &[(2, false, "a2")]),
        entries("b", &credit, &[(1, false, "b1")]),
    ] {
        sender.send(event).await.unwrap();
    }
    let begun = Instant::now();
    assert_eq!(
        frames.recv().await.unwrap(),
        "\u{1}b | b1\na | a2\n".as_bytes()
    );
    assert!(begun.elapsed() <= 2 * MERGE_WINDOW, "{:?}", begun.elapsed());
    drop(sender);
    assert!(task.await.unwrap().unwrap());
}

#[tokio::test]
async fn one_log_is_printed_byte_for_byte() {
    let (credit, _) = subscription();
    let events = [
        joined("a"),
        entries(
            "a",
            &credit,
            &[(1, true, "no "), (2, false, "end"), (3, true, "…")],
        ),
    ];
    let mut options = options(LineOrder::Arrival, &["a"]);
    options.format.has_timestamps = true;
    let (_, printed) = print(options, events).await;
    let times = [1, 3].map(line_format::display_time);
    assert_eq!(
        printed,
        [format!("\u{1}{} no end\n{} …", times[0], times[1])]
    );
}

#[tokio::test]
async fn all_credit_returns_also_of_lines_that_are_not_printed() {
    let (credit, ledger) = subscription();
    let mut options = options(LineOrder::Time, &["a"]);
    options.filter = LineFilter::new(&["keep".to_owned()], &["never".to_owned()], &[]).unwrap();
    let sent = [
        (1, false, "keep"),
        (2, true, "part"),
        (3, false, ""),
        (4, false, "drop"),
    ];
    let cost = sent.iter().map(|(_, _, text)| text.len().max(1)).sum();
    ledger.begin(1);
    ledger.receive(1, cost);
    let (_, printed) = print(options, [joined("a"), entries("a", &credit, &sent)]).await;
    assert_eq!(printed, ["\u{1}a | keep\n"]);
    assert_eq!(ledger.held(1), 0);
}

#[tokio::test]
async fn too_many_logs_and_failed_ones_fail_the_command() {
    let (result, _) = print(
        options(LineOrder::TimeWindow, &[]),
        ["a", "b", "c"].map(joined),
    )
    .await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("--max-log-requests"), "{error}");

    let failed = || LogEvent::Failed {
        selection: LogSelection::Container("a".to_owned()),
        failure: SubscriptionFailure {
            code: 404,
            message: "no such container".to_owned(),
            has_begun: false,
        },
    };
    let (result, printed) = print(options(LineOrder::Time, &["a", "b"]), [failed()]).await;
    assert!(!result.unwrap());
    assert_eq!(
        printed,
        ["\u{3}error: a: no such container (404 Not Found)\n"]
    );
    let (result, printed) = print(options(LineOrder::Arrival, &["a"]), [failed()]).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "no such container (404 Not Found)"
    );
    assert!(printed.is_empty());
}
