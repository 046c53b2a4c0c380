//! Tests of logs as entries.

use rdd_sdk::testing::{self, CallHandle};
use rdd_sdk::types::{
    ENTRY_PARTIAL, ENTRY_STDERR, EntryBatch, EntryOptions, EntryPosition, Error, ErrorCode,
    GapReason, LogOptions,
};

use crate::fixture::{self, EngineFixture, container_ref, read, whole_log};

fn whole() -> EntryOptions {
    EntryOptions {
        follow: false,
        tail: None,
        since: None,
        until: None,
        after: None,
        stdout: true,
        stderr: true,
    }
}

/// An entry: time, attributes, bytes.
type Entry = (i64, u32, Vec<u8>);

async fn open(
    fixture: &EngineFixture,
    id: &str,
    options: EntryOptions,
) -> Result<CallHandle<EntryBatch>, Error> {
    testing::get_entries(&fixture.moby, container_ref(id), options).await
}

/// Returns the entries of a log that ends, and the gap before the first one.
async fn entries(
    fixture: &EngineFixture,
    id: &str,
    options: EntryOptions,
) -> (Vec<Entry>, Option<GapReason>) {
    let mut log = open(fixture, id, options).await.unwrap();
    let (mut entries, mut gap) = (Vec::new(), None);
    while let Some(batches) = log.next().await {
        for batch in batches {
            gap = gap.or(batch.gap);
            let mut rest = &batch.bytes[..];
            for header in &batch.headers {
                let (bytes, next) = rest.split_at(header.length as usize);
                entries.push((header.time, header.attributes, bytes.to_vec()));
                rest = next;
            }
            assert!(rest.is_empty());
        }
    }
    log.result().await.unwrap();
    (entries, gap)
}

/// Returns the bytes of one source as `get-logs` sends them.
fn joined(entries: &[Entry], source: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (_, attributes, entry) in entries {
        if attributes & ENTRY_STDERR == source {
            bytes.extend(entry);
            if attributes & ENTRY_PARTIAL == 0 {
                bytes.push(b'\n');
            }
        }
    }
    bytes
}

const SCRIPT: &str = "echo one; echo two >&2; echo; printf 'bytes \\377\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end";

#[test]
fn entries_and_bytes_of_a_log_are_equal() {
    fixture::run("entries", |fixture| async move {
        for tty in [false, true] {
            let id = fixture
                .run_to_exit(if tty { "tty" } else { "a" }, SCRIPT, tty)
                .await;
            let (entries, gap) = entries(&fixture, &id, whole()).await;
            assert_eq!(gap, None);
            let raw = LogOptions {
                follow: false,
                ..whole_log()
            };
            let (out, err) = read(fixture.logs(&id, raw).await).await;
            assert_eq!(joined(&entries, ENTRY_STDERR), err, "tty: {tty}");
            if tty {
                // The parts of a line that the engine cut have times within it.
                assert!(out.starts_with(b"one\r\ntwo\r\n"));
                assert!(joined(&entries, 0).starts_with(b"one\r\ntwo\r\n"));
            } else {
                assert_eq!(joined(&entries, 0), out);
                // The engine cuts lines at 16 KiB.
                assert!(
                    entries
                        .iter()
                        .any(|it| it.1 == ENTRY_PARTIAL && it.2.len() == 16_384)
                );
            }
            assert!(entries.iter().all(|it| it.0 > 1_700_000_000_000_000_000));
            let last = entries.last().unwrap();
            assert_eq!((last.1, &last.2[..]), (ENTRY_PARTIAL, &b"end"[..]));
        }
    });
}

#[test]
fn a_log_continues_after_any_position_without_loss() {
    fixture::run("resume", |fixture| async move {
        let script = "for i in $(seq 1 200); do echo out $i; echo err $i >&2; done";
        let id = fixture.run_to_exit("a", script, false).await;
        for (stdout, stderr) in [(true, true), (true, false)] {
            let all = EntryOptions {
                stdout,
                stderr,
                ..whole()
            };
            let (entries, _) = self::entries(&fixture, &id, all).await;
            assert_eq!(entries.len(), if stderr { 400 } else { 200 });
            for at in [0, 1, 7, 99, entries.len() - 2, entries.len() - 1] {
                let time = entries[at].0;
                let index = entries[..at].iter().filter(|it| it.0 == time).count();
                let after = EntryOptions {
                    after: Some(EntryPosition {
                        time,
                        index: u32::try_from(index).unwrap(),
                    }),
                    ..all
                };
                let (rest, gap) = self::entries(&fixture, &id, after).await;
                assert_eq!(gap, None, "{at}");
                assert_eq!(rest, entries[at + 1..], "{at}");
            }
        }
    });
}

#[test]
fn a_position_that_the_log_does_not_have_is_a_gap() {
    fixture::run("gap", |fixture| async move {
        let id = fixture.run_to_exit("a", "echo one; echo two", false).await;
        let (entries, _) = self::entries(&fixture, &id, whole()).await;
        for (position, reason) in [
            // Before everything that the log has.
            (
                EntryPosition {
                    time: entries[0].0 - 1,
                    index: 0,
                },
                GapReason::Rotated,
            ),
            // After everything, and a later entry of a known time.
            (
                EntryPosition {
                    time: entries[1].0 + 1,
                    index: 0,
                },
                GapReason::Unknown,
            ),
            (
                EntryPosition {
                    time: entries[1].0,
                    index: 5,
                },
                GapReason::Unknown,
            ),
        ] {
            let after = EntryOptions {
                after: Some(position),
                ..whole()
            };
            let (all, gap) = self::entries(&fixture, &id, after).await;
            assert_eq!(gap, Some(reason));
            assert_eq!(all, entries);
        }
    });
}

#[test]
fn a_followed_log_continues_after_a_position() {
    fixture::run("follow", |fixture| async move {
        let script = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.02; done";
        let id = fixture.create("a", script, false).await;
        fixture.start(&id).await;
        let mut position: Option<EntryPosition> = None;
        let mut seen = Vec::new();
        for _ in 0..5 {
            let options = EntryOptions {
                follow: true,
                after: position,
                ..whole()
            };
            let mut log = open(&fixture, &id, options).await.unwrap();
            let until = seen.len() + 5;
            'cut: while let Some(batches) = log.next().await {
                for batch in batches {
                    assert_eq!(batch.gap, None);
                    let mut rest = &batch.bytes[..];
                    for header in &batch.headers {
                        let (bytes, next) = rest.split_at(header.length as usize);
                        seen.push(String::from_utf8(bytes.to_vec()).unwrap());
                        rest = next;
                        // Times of this script differ.
                        position = Some(EntryPosition {
                            time: header.time,
                            index: 0,
                        });
                        if seen.len() == until {
                            break 'cut;
                        }
                    }
                }
            }
        }
        let expected: Vec<_> = (1..=25).map(|n| format!("line {n}")).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn options_select_entries() {
    fixture::run("select", |fixture| async move {
        let id = fixture.run_to_exit("a", "seq 1 5; echo e >&2", false).await;
        let options = EntryOptions {
            tail: Some(2),
            stderr: false,
            ..whole()
        };
        let (entries, _) = self::entries(&fixture, &id, options).await;
        let lines: Vec<_> = entries.iter().map(|it| it.2.clone()).collect();
        assert!(
            lines.last() == Some(&b"5".to_vec()) || lines.is_empty(),
            "{lines:?}"
        );
        let nothing = EntryOptions {
            stdout: false,
            stderr: false,
            ..whole()
        };
        let error = open(&fixture, &id, nothing).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        let missing = "ab".repeat(32);
        let error = open(&fixture, &missing, whole()).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::NotFound);
    });
}
