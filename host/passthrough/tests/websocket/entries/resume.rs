//! Resumed logs: nothing is lost, nothing comes twice.

use std::time::Duration;

use rdd_core::{OutputSource, Timestamp};
use rdd_testkit::FakeEngine;
use serde_json::{Value, json};

use super::viewer::{EntryFormat, LogViewer, ReceivedEntry, ReceivedMessage, texts};
use crate::common::{TestServer, ready};

const OUT: OutputSource = OutputSource::Stdout;
const ERR: OutputSource = OutputSource::Stderr;

/// A writer of a log whose times are equal or run backward, with long lines whose
/// parts cross those of the other source.
struct LogWriter {
    engine: FakeEngine,
    id: String,
    random: fastrand::Rng,
    seconds: i64,
    nanoseconds: u32,
    /// The time of the incomplete line of each source.
    open: [Option<Timestamp>; 2],
    written: Vec<ReceivedEntry>,
}

impl LogWriter {
    fn new(engine: &FakeEngine, id: &str, seed: u64) -> Self {
        Self {
            engine: engine.clone(),
            id: id.to_owned(),
            random: fastrand::Rng::with_seed(seed),
            seconds: 1_700_000_000,
            nanoseconds: 0,
            open: [None; 2],
            written: Vec::new(),
        }
    }

    /// Returns the number of entries of these sources.
    fn count(&self, stdout: bool, stderr: bool) -> usize {
        let is_selected = |entry: &&ReceivedEntry| if entry.is_stderr { stderr } else { stdout };
        self.written.iter().filter(is_selected).count()
    }

    fn write(&mut self) {
        let is_stderr = self.random.bool();
        match self.random.u8(..16) {
            // Equal times.
            0..4 => {}
            // The clock is set back.
            4 => {
                self.seconds -= 1;
                self.nanoseconds += 1;
            }
            _ => self.nanoseconds += 1,
        }
        let now = Timestamp::new(self.seconds, self.nanoseconds).unwrap();
        let open = &mut self.open[usize::from(is_stderr)];
        // The rest of a line has the time of its beginning.
        let at = open.unwrap_or(now);
        let is_partial = self.random.u8(..4) == 0;
        *open = is_partial.then_some(at);
        // Equal lines are common.
        let text = format!("line {}", self.random.u8(..3));
        let newline = if is_partial { "" } else { "\n" };
        let source = if is_stderr { ERR } else { OUT };
        self.engine
            .write_log_at(&self.id, at, source, format!("{text}{newline}"));
        self.written.push(ReceivedEntry {
            time: at.seconds() * 1_000_000_000 + i64::from(at.nanoseconds()),
            is_stderr,
            bytes: text.into_bytes(),
            is_partial,
        });
    }
}

/// Follows the log while it is written, cuts the connection at random places, and
/// resumes it in another format.
async fn follow_with_cuts(seed: u64, is_resumed_by_new_engine: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut writer = LogWriter::new(&server.engine, &id, seed);
    for _ in 0..random.usize(..700) {
        writer.write();
    }
    let (stdout, stderr) = random
        .choice([(true, true), (true, false), (false, true)])
        .unwrap();
    let selection = format!("stdout={stdout}&stderr={stderr}");
    let (mut received, mut cursor) = (Vec::new(), None::<String>);
    let cuts = random.usize(1..8);
    for cut in 0..=cuts {
        let format = random
            .choice([EntryFormat::Json, EntryFormat::Binary])
            .unwrap();
        let start = cursor.iter().map(|cursor| format!("&cursor={cursor}"));
        let path = format!(
            "/passthrough/engine/logs/{id}?{selection}{}",
            start.collect::<String>()
        );
        if is_resumed_by_new_engine {
            // Another shared stream begins in the middle of the log.
            server.serving.send_replace(ready(&server.engine));
        }
        let mut viewer = LogViewer::open(&server, &path, format).await;
        if cut == cuts {
            for _ in 0..random.usize(..100) {
                writer.write();
            }
            server.engine.end_log(&id);
            let (entries, _) = viewer.read_to_end().await;
            received.extend(entries);
            break;
        }
        for _ in 0..random.usize(..4) {
            for _ in 0..random.usize(1..40) {
                writer.write();
            }
            if received.len() < writer.count(stdout, stderr) || cursor.is_none() {
                let (entries, next) = viewer.entries().await;
                received.extend(entries);
                cursor = Some(next);
            }
        }
    }
    let is_selected = |entry: &&ReceivedEntry| if entry.is_stderr { stderr } else { stdout };
    let expected: Vec<_> = writer.written.iter().filter(is_selected).cloned().collect();
    assert_eq!(
        received.len(),
        expected.len(),
        "seed {seed}: number of entries"
    );
    for (index, (received, expected)) in received.iter().zip(&expected).enumerate() {
        assert_eq!(received, expected, "seed {seed}: entry {index}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_random_cuts_lose_and_repeat_nothing() {
    for seed in 0..40 {
        let run = follow_with_cuts(seed, seed % 2 == 0);
        tokio::time::timeout(Duration::from_secs(60), run)
            .await
            .unwrap_or_else(|_| panic!("seed {seed} does not end"));
    }
}

#[tokio::test]
async fn a_viewer_that_fell_behind_loses_nothing() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let path = format!("/passthrough/engine/logs/{id}");
    let mut viewer = LogViewer::open(&server, &path, EntryFormat::Binary).await;
    let mut fast = LogViewer::open(&server, &path, EntryFormat::Binary).await;
    let line = "x".repeat(2_000);
    let mut fast_count = 0;
    // Much more than all buffers of the viewer and the shared stream have.
    for number in 0..20_000 {
        server
            .engine
            .write_log(&id, OUT, format!("{number} {line}\n"));
        while number % 50 == 0 && fast_count < number {
            fast_count += fast.entries().await.0.len();
        }
    }
    server.engine.end_log(&id);
    let (entries, _) = viewer.read_to_end().await;
    assert_eq!(entries.len(), 20_000);
    for (number, entry) in entries.iter().enumerate() {
        let expected = format!("{number} ");
        assert!(
            entry.bytes.starts_with(expected.as_bytes()),
            "entry {number}"
        );
    }
}

#[tokio::test]
async fn a_rotated_log_has_a_gap() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let path = format!("/passthrough/engine/logs/{id}");
    for number in 0..10 {
        server.engine.write_log(&id, OUT, format!("{number}\n"));
    }
    let mut viewer = LogViewer::open(&server, &format!("{path}?tail=1"), EntryFormat::Json).await;
    let (entries, cursor) = viewer.entries().await;
    drop(viewer);
    for number in 10..20 {
        server.engine.write_log(&id, OUT, format!("{number}\n"));
    }
    server.engine.rotate_log(&id, 3);
    for follow in ["false", "true"] {
        // A stream that is shared no longer, since it has what was discarded.
        server.serving.send_replace(ready(&server.engine));
        let resumed = format!("{path}?follow={follow}&cursor={cursor}");
        let mut viewer = LogViewer::open(&server, &resumed, EntryFormat::Json).await;
        let gap = viewer.other("gap").await;
        assert_eq!(gap["reason"], "rotated");
        let time = |value: &Value| -> jiff::Timestamp { value.as_str().unwrap().parse().unwrap() };
        let nanoseconds = |value: &Value| i64::try_from(time(value).as_nanosecond()).unwrap();
        assert_eq!(nanoseconds(&gap["after"]), entries[0].time);
        let (left, _) = viewer.entries().await;
        assert_eq!(texts(&left), ["17", "18", "19"]);
        assert_eq!(nanoseconds(&gap["before"]), left[0].time);
    }
}

#[tokio::test]
async fn a_cursor_of_a_container_that_was_made_anew_begins_with_a_gap() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    server.engine.write_log(&id, OUT, &b"old\n"[..]);
    let path = format!("/passthrough/engine/logs/{id}");
    let mut viewer = LogViewer::open(&server, &path, EntryFormat::Json).await;
    let (_, cursor) = viewer.entries().await;
    drop(viewer);
    let mut container = server.engine.container(&id).unwrap();
    container.created_at = Some(Timestamp::from_seconds(1_900_000_000));
    server.index_container(&id, container);
    let resumed = format!("{path}?cursor={cursor}&follow=false");
    let mut viewer = LogViewer::open(&server, &resumed, EntryFormat::Json).await;
    assert_eq!(viewer.other("gap").await["reason"], "replaced");
    let (entries, _) = viewer.entries().await;
    assert_eq!(texts(&entries), ["old"], "the whole log of the new one");
}

#[tokio::test]
async fn a_log_is_followed_over_restarts_of_its_container() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    server.engine.write_log(&id, OUT, &b"first\n"[..]);
    let path = format!("/passthrough/engine/logs/{id}?follow=restart");
    let mut viewer = LogViewer::open(&server, &path, EntryFormat::Json).await;
    let (entries, _) = viewer.entries().await;
    assert_eq!(texts(&entries), ["first"]);

    server.stop_indexed(&id);
    let stopped = viewer.other("stopped").await;
    assert!(stopped["time"].is_string(), "{stopped}");
    assert!(stopped["exitCode"].is_i64(), "{stopped}");

    server.start_indexed(&id);
    let started = viewer.other("started").await;
    assert!(started["time"].is_string(), "{started}");
    server.engine.write_log(&id, OUT, &b"second\n"[..]);
    let (entries, cursor) = viewer.entries().await;
    assert_eq!(texts(&entries), ["second"]);

    server.engine.remove_container(&id);
    let end = viewer.other("end").await;
    assert_eq!(end, json!({"reason": "the container was removed"}));
    assert!(matches!(
        viewer.next().await,
        ReceivedMessage::Close(1000, _)
    ));
    assert!(!cursor.is_empty());
}

#[tokio::test]
async fn a_log_is_resumed_where_a_read_met_the_shared_stream_within_a_line() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let write = |nanoseconds, source, text: &str| {
        let at = Timestamp::new(1_700_000_000, nanoseconds).unwrap();
        server.engine.write_log_at(&id, at, source, text.to_owned());
    };
    // The line of standard output goes on after all those of standard error. Its
    // first part is not among the lines that the viewer selects.
    write(100, OUT, "one ");
    write(100, OUT, "two ");
    for number in 1..=800 {
        write(100 + number, ERR, &format!("{number}\n"));
    }
    write(100, OUT, "three\n");
    write(1_000, ERR, "end\n");
    let path = format!("/passthrough/engine/logs/{id}");
    let first = format!("{path}?tail=803");
    let mut viewer = LogViewer::open(&server, &first, EntryFormat::Binary).await;
    let (mut lines, cursor) = viewer.entries().await;
    drop(viewer);
    server.engine.end_log(&id);
    let resumed = format!("{path}?cursor={cursor}");
    let mut viewer = LogViewer::open(&server, &resumed, EntryFormat::Binary).await;
    lines.extend(viewer.read_to_end().await.0);
    let numbers = (1..=800).map(|number| number.to_string());
    let expected: Vec<_> = ["two ".to_owned()]
        .into_iter()
        .chain(numbers)
        .chain(["three".to_owned(), "end".to_owned()])
        .collect();
    assert_eq!(texts(&lines), expected);
}
