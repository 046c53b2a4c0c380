//! `get-logs`, byte by byte against bollard.

use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::StreamExt;
use rdd_sdk::Backend;
use rdd_sdk::native::Running;
use rdd_sdk::types::{ErrorCode, LogOptions, Timestamp};

use crate::fixture::{self, Fixture, PATIENCE, everything, read};

/// What bollard reads of the same log.
async fn reference(fixture: &Fixture, id: &str) -> (Vec<u8>, Vec<u8>) {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let mut log = fixture.docker.logs(id, Some(options));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = log.next().await {
        match piece.unwrap() {
            LogOutput::StdOut { message } | LogOutput::Console { message } => out.extend(message),
            LogOutput::StdErr { message } => err.extend(message),
            LogOutput::StdIn { .. } => panic!("a log has no input"),
        }
    }
    (out, err)
}

/// Lines of both streams, bytes that are no UTF-8, an empty line, a line of
/// 100 KB, and an end without a newline.
const SCRIPT: &str = r#"i=0; while [ $i -lt 300 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done
printf '\377\376\n\n'; head -c 100000 /dev/zero | tr '\0' x; echo; printf 'no newline'"#;

#[test]
fn a_multiplexed_log_is_the_engines_byte_by_byte() {
    fixture::run("mux", |fixture| async move {
        let id = fixture.finished("a", SCRIPT, false).await;
        let ours = read(fixture.logs(&id, everything()).await).await;
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
fn a_terminals_log_is_the_engines_byte_by_byte() {
    fixture::run("tty", |fixture| async move {
        let id = fixture.finished("a", SCRIPT, true).await;
        let ours = read(fixture.logs(&id, everything()).await).await;
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
fn options_choose_the_part() {
    fixture::run("part", |fixture| async move {
        let script = "for i in 1 2 3; do echo $i; echo e$i >&2; sleep 1.1; done";
        let id = fixture.finished("a", script, false).await;
        let part = async |options: LogOptions| {
            let (out, err) = read(fixture.logs(&id, options).await).await;
            (
                String::from_utf8(out).unwrap(),
                String::from_utf8(err).unwrap(),
            )
        };
        let stdout = LogOptions {
            stderr: false,
            ..everything()
        };
        assert_eq!(part(stdout).await, ("1\n2\n3\n".into(), String::new()));
        let stderr = LogOptions {
            stdout: false,
            ..everything()
        };
        assert_eq!(part(stderr).await, (String::new(), "e1\ne2\ne3\n".into()));
        // The engine counts lines of both streams, wanted or not.
        let tail = LogOptions {
            tail: Some(2),
            stderr: false,
            ..everything()
        };
        assert_eq!(part(tail).await.0, "3\n");
        let nothing = LogOptions {
            tail: Some(0),
            ..everything()
        };
        assert_eq!(part(nothing).await, (String::new(), String::new()));

        let timestamps = LogOptions {
            timestamps: true,
            stderr: false,
            ..everything()
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
        // From a line on, that line counted; and up to a line, that one not.
        let since = LogOptions {
            since: Some(times[1]),
            stderr: false,
            ..everything()
        };
        assert_eq!(part(since).await.0, "2\n3\n");
        let after = LogOptions {
            since: Some(later(times[1])),
            stderr: false,
            ..everything()
        };
        assert_eq!(part(after).await.0, "3\n");
        let until = LogOptions {
            until: Some(times[1]),
            stderr: false,
            ..everything()
        };
        assert_eq!(part(until).await.0, "1\n");
        let with = LogOptions {
            until: Some(later(times[1])),
            stderr: false,
            ..everything()
        };
        assert_eq!(part(with).await.0, "1\n2\n");
    });
}

#[test]
fn a_followed_log_comes_as_it_is_written_and_ends_with_the_container() {
    fixture::run("follow", |fixture| async move {
        let id = fixture
            .create("a", "echo first; exec sleep 600", false)
            .await;
        fixture.start(&id).await;
        let follow = LogOptions {
            follow: true,
            ..everything()
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
        let options = LogOptions {
            follow: true,
            until: Some(timestamp(
                jiff::Timestamp::now() + Duration::from_millis(500),
            )),
            ..everything()
        };
        let begun = Instant::now();
        let (out, _) = tokio::time::timeout(PATIENCE, read(fixture.logs(&id, options).await))
            .await
            .unwrap();
        assert_eq!(out, b"one\n");
        assert!(begun.elapsed() > Duration::from_millis(500));
    });
}

#[test]
fn failures_are_failures_of_the_call() {
    fixture::run("fail", |fixture| async move {
        let missing = "0123456789abcdef".repeat(4);
        for (id, options, code) in [
            (missing.as_str(), everything(), ErrorCode::NotFound),
            ("nonsense", everything(), ErrorCode::InvalidArgument),
            (
                missing.as_str(),
                LogOptions {
                    stdout: false,
                    stderr: false,
                    ..everything()
                },
                ErrorCode::InvalidArgument,
            ),
        ] {
            let moby = fixture.moby.clone();
            let id = id.to_owned();
            let result =
                Running::start(|to| async move { moby.get_logs(id, options, to).await }).await;
            assert_eq!(result.err().unwrap().code, code);
        }
    });
}

#[test]
fn a_reader_that_pauses_loses_nothing() {
    fixture::run("slow", |fixture| async move {
        let id = fixture.finished("a", "seq 1 200000", false).await;
        let mut log = fixture.logs(&id, everything()).await;
        let first = log.next().await.unwrap();
        // A pause as long as it takes another reader to come to the end.
        let (other, _) = read(fixture.logs(&id, everything()).await).await;
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
fn times_of_any_year_choose_what_docker_logs_prints_for_them() {
    /// Go's zero time, the first and the last year of RFC 3339, and what 64
    /// bits of nanoseconds since 1970 do not reach.
    const ZERO: i64 = -62_135_596_800;
    const YEAR_1066: i64 = -28_502_722_800;
    const YEAR_9999: i64 = 253_402_300_799;
    fixture::run("years", |fixture| async move {
        let id = fixture.finished("a", "echo 1", false).await;
        let at = |seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        };
        // Each was tried with `docker logs` of 20.10.
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
                ..everything()
            };
            let (out, _) = read(fixture.logs(&id, options).await).await;
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out, printed, "since {since:?} until {until:?}");
        }
    });
}
