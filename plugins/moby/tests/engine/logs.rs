//! Tests of logs, compared with those that bollard reads.

use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::StreamExt;
use rdd_sdk::testing;
use rdd_sdk::types::{ErrorCode, LogOptions, Timestamp};

use crate::fixture::{self, EngineFixture, PATIENCE, container_ref, read, whole_log};

/// Reads the same log with bollard.
async fn reference(fixture: &EngineFixture, id: &str) -> (Vec<u8>, Vec<u8>) {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let mut log = fixture.docker.logs(id, Some(options));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = log.next().await {
        match piece.unwrap() {
            LogOutput::StdOut { message } | LogOutput::Console { message } => out.extend(message),
            LogOutput::StdErr { message } => err.extend(message),
            LogOutput::StdIn { .. } => panic!("standard input in a log"),
        }
    }
    (out, err)
}

/// Writes lines to both streams, bytes that are not UTF-8, an empty line, a line
/// of 100 KB, and a last line without a newline.
const SCRIPT: &str = r#"i=0; while [ $i -lt 300 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done
printf '\377\376\n\n'; head -c 100000 /dev/zero | tr '\0' x; echo; printf 'no newline'"#;

#[test]
fn a_multiplexed_log_has_the_same_bytes_as_with_bollard() {
    fixture::run("mux", |fixture| async move {
        let id = fixture.run_to_exit("a", SCRIPT, false).await;
        let ours = read(fixture.logs(&id, whole_log()).await).await;
        let theirs = reference(&fixture, &id).await;
        assert!(ours.0.len() > 100_000 && ours.1.len() > 2_000);
        assert!(
            ours == theirs,
            "{} and {} bytes",
            ours.0.len(),
            theirs.0.len()
        );
    });
}

#[test]
fn the_log_of_a_terminal_has_the_same_bytes_as_with_bollard() {
    fixture::run("tty", |fixture| async move {
        let id = fixture.run_to_exit("a", SCRIPT, true).await;
        let ours = read(fixture.logs(&id, whole_log()).await).await;
        let theirs = reference(&fixture, &id).await;
        assert!(ours.0.len() > 100_000 && ours.1.is_empty());
        assert!(
            ours == theirs,
            "{} and {} bytes",
            ours.0.len(),
            theirs.0.len()
        );
    });
}

fn timestamp(time: jiff::Timestamp) -> Timestamp {
    let nanoseconds = time.as_nanosecond();
    Timestamp {
        seconds: nanoseconds.div_euclid(1_000_000_000) as i64,
        nanoseconds: nanoseconds.rem_euclid(1_000_000_000) as u32,
    }
}

fn later(time: Timestamp) -> Timestamp {
    let nanoseconds = (time.nanoseconds + 1) % 1_000_000_000;
    Timestamp {
        seconds: time.seconds + i64::from(nanoseconds == 0),
        nanoseconds,
    }
}

#[test]
fn options_select_a_part_of_the_log() {
    fixture::run("part", |fixture| async move {
        let script = "for i in 1 2 3; do echo $i; echo e$i >&2; sleep 1.1; done";
        let id = fixture.run_to_exit("a", script, false).await;
        let part = async |options: LogOptions| {
            let (out, err) = read(fixture.logs(&id, options).await).await;
            (
                String::from_utf8(out).unwrap(),
                String::from_utf8(err).unwrap(),
            )
        };
        let stdout = LogOptions {
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(stdout).await, ("1\n2\n3\n".into(), String::new()));
        let stderr = LogOptions {
            stdout: false,
            ..whole_log()
        };
        assert_eq!(part(stderr).await, (String::new(), "e1\ne2\ne3\n".into()));
        // The engine counts the lines of both streams, selected or not.
        let tail = LogOptions {
            tail: Some(2),
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(tail).await.0, "3\n");
        let nothing = LogOptions {
            tail: Some(0),
            ..whole_log()
        };
        assert_eq!(part(nothing).await, (String::new(), String::new()));

        let timestamps = LogOptions {
            timestamps: true,
            stderr: false,
            ..whole_log()
        };
        let (stamped, _) = part(timestamps).await;
        let times: Vec<Timestamp> = stamped
            .lines()
            .map(|line| {
                let (time, rest) = line.split_once(' ').unwrap();
                assert_eq!(rest.len(), 1);
                let time: jiff::Timestamp = time.parse().unwrap();
                timestamp(time)
            })
            .collect();
        assert_eq!(times.len(), 3);
        // `since` is inclusive, and `until` is exclusive.
        let since = LogOptions {
            since: Some(times[1]),
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(since).await.0, "2\n3\n");
        let after = LogOptions {
            since: Some(later(times[1])),
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(after).await.0, "3\n");
        let until = LogOptions {
            until: Some(times[1]),
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(until).await.0, "1\n");
        let with = LogOptions {
            until: Some(later(times[1])),
            stderr: false,
            ..whole_log()
        };
        assert_eq!(part(with).await.0, "1\n2\n");
    });
}

#[test]
fn a_followed_log_is_sent_as_it_is_written_and_ends_with_the_container() {
    fixture::run("follow", |fixture| async move {
        let id = fixture
            .create("a", "echo first; exec sleep 600", false)
            .await;
        fixture.start(&id).await;
        let follow = LogOptions {
            follow: true,
            ..whole_log()
        };
        let mut log = fixture.logs(&id, follow).await;
        let first = tokio::time::timeout(PATIENCE, log.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first[0].bytes, b"first\n");
        fixture.docker.kill_container(&id, None).await.unwrap();
        let (out, _) = tokio::time::timeout(PATIENCE, read(log)).await.unwrap();
        assert!(out.is_empty());
    });
}

#[test]
fn a_followed_log_that_is_idle_ends_at_until() {
    fixture::run("until", |fixture| async move {
        let id = fixture.create("a", "echo one; exec sleep 600", false).await;
        fixture.start(&id).await;
        let follow = LogOptions {
            follow: true,
            ..whole_log()
        };
        let written = tokio::time::timeout(PATIENCE, fixture.logs(&id, follow).await.next()).await;
        assert_eq!(written.unwrap().unwrap()[0].bytes, b"one\n");
        let options = LogOptions {
            follow: true,
            until: Some(timestamp(
                jiff::Timestamp::now() + Duration::from_millis(500),
            )),
            ..whole_log()
        };
        let started = Instant::now();
        let (out, _) = tokio::time::timeout(PATIENCE, read(fixture.logs(&id, options).await))
            .await
            .unwrap();
        assert_eq!(out, b"one\n");
        assert!(started.elapsed() > Duration::from_millis(500));
    });
}

#[test]
fn errors_of_the_engine_fail_the_call() {
    fixture::run("fail", |fixture| async move {
        let missing = "0123456789abcdef".repeat(4);
        for (id, options, code) in [
            (missing.as_str(), whole_log(), ErrorCode::NotFound),
            ("nonsense", whole_log(), ErrorCode::InvalidArgument),
            (
                missing.as_str(),
                LogOptions {
                    stdout: false,
                    stderr: false,
                    ..whole_log()
                },
                ErrorCode::InvalidArgument,
            ),
        ] {
            let result = testing::get_logs(&fixture.moby, container_ref(id), options).await;
            assert_eq!(result.err().unwrap().code, code);
        }
    });
}

#[test]
fn a_reader_that_pauses_gets_all_bytes() {
    fixture::run("slow", |fixture| async move {
        let id = fixture.run_to_exit("a", "seq 1 200000", false).await;
        let mut log = fixture.logs(&id, whole_log()).await;
        let first = log.next().await.unwrap();
        // Pauses until another reader has read the whole log.
        let (other, _) = read(fixture.logs(&id, whole_log()).await).await;
        let mut bytes: Vec<u8> = first.into_iter().flat_map(|chunk| chunk.bytes).collect();
        let (rest, _) = read(log).await;
        bytes.extend(rest);
        let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
        for bytes in [bytes, other] {
            assert!(
                bytes == expected.as_bytes(),
                "{} of {} bytes",
                bytes.len(),
                expected.len()
            );
        }
    });
}

#[test]
fn times_of_any_year_select_the_same_lines_as_with_docker_logs() {
    /// The zero time, and times outside the range of 64-bit nanoseconds since the
    /// Unix epoch.
    const ZERO: i64 = -62_135_596_800;
    const YEAR_1066: i64 = -28_502_722_800;
    const YEAR_9999: i64 = 253_402_300_799;
    fixture::run("years", |fixture| async move {
        let id = fixture.run_to_exit("a", "echo 1", false).await;
        let at = |seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        };
        // Verified with `docker logs` 20.10.
        for (since, until, printed) in [
            (Some(ZERO), None, "1\n"),
            (Some(YEAR_1066), None, "1\n"),
            (Some(-5), None, "1\n"),
            (Some(YEAR_9999), None, ""),
            (Some(99_999_999_999_999), None, ""),
            (None, Some(ZERO), "1\n"),
            (None, Some(YEAR_1066), ""),
            (None, Some(-5), ""),
            (None, Some(0), ""),
            (None, Some(YEAR_9999), "1\n"),
            (None, Some(99_999_999_999_999), "1\n"),
        ] {
            let options = LogOptions {
                since: since.map(at),
                until: until.map(at),
                ..whole_log()
            };
            let (out, _) = read(fixture.logs(&id, options).await).await;
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out, printed, "since {since:?} until {until:?}");
        }
    });
}
