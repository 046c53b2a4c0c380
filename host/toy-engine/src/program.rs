//! The programs that containers run.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rdd_core::{ContainerRef, ContainerRestartPolicy, ContainerState, EngineError, OutputSource};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::container_log::ContainerLog;
use crate::state::SharedEngine;

/// The number of lines that `flood` writes before it lets other tasks run.
const FLOOD_LINES: u64 = 500;

/// The delay before the first restart by a policy, which doubles up to the
/// maximum.
const RESTART_DELAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// One run of a program.
struct ProgramRun {
    log: Arc<ContainerLog>,
    words: Vec<String>,
    paused: watch::Receiver<bool>,
    tty: bool,
}

/// Starts the program of a container whose run has begun.
pub(crate) fn start(
    shared: &Arc<SharedEngine>,
    container: &ContainerRef,
) -> Result<(), EngineError> {
    let (run, stop) = {
        let state = shared.lock();
        let record = state.record(container)?;
        let run = ProgramRun {
            log: Arc::clone(&record.log),
            words: record.words.clone(),
            paused: record.paused.subscribe(),
            tty: state.container(container)?.tty,
        };
        (run, record.run.clone())
    };
    let (shared, container) = (Arc::clone(shared), container.clone());
    tokio::spawn(async move {
        let shutdown = shared.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = stop.cancelled() => {}
            code = run.execute() => finish(&shared, &container, &stop, code).await,
        }
    });
    Ok(())
}

/// Ends the run, and begins another one if the restart policy says so.
async fn finish(
    shared: &Arc<SharedEngine>,
    container: &ContainerRef,
    stop: &CancellationToken,
    code: i32,
) {
    let Some((restart, delay)) = shared.change(|state| {
        // The container was stopped or removed meanwhile.
        if stop.is_cancelled() {
            return None;
        }
        state.end(container, code).ok()?;
        let record = state.containers.get_mut(container)?;
        let restarts = match record.restart_policy {
            ContainerRestartPolicy::No => false,
            ContainerRestartPolicy::Always | ContainerRestartPolicy::UnlessStopped => true,
            ContainerRestartPolicy::OnFailure { max_retries } => {
                code != 0 && (max_retries == 0 || record.restarts < max_retries)
            }
        };
        if !restarts {
            return None;
        }
        let (first, max) = RESTART_DELAY;
        let delay = first.saturating_mul(1 << record.restarts.min(16)).min(max);
        // Stopping and removing the container cancel the restart.
        record.run = CancellationToken::new();
        let restart = record.run.clone();
        state
            .edit(container, |container| {
                container.restarting = true;
                container.state = ContainerState::Restarting;
            })
            .ok()?;
        Some((restart, delay))
    }) else {
        return;
    };
    tokio::select! {
        () = restart.cancelled() => return,
        () = shared.shutdown.cancelled() => return,
        () = sleep(delay) => {}
    }
    let began =
        shared.change(|state| !restart.is_cancelled() && state.begin(container, false).is_ok());
    if began {
        // Fails only if the container was removed since.
        start(shared, container).ok();
    }
}

impl ProgramRun {
    /// Runs the program and returns its exit code.
    async fn execute(mut self) -> i32 {
        let words = self.words.clone();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ticker"] => self.tick(1_000).await,
            ["ticker", milliseconds] => match milliseconds.parse() {
                Ok(milliseconds) if milliseconds > 0 => self.tick(milliseconds).await,
                _ => self.fail(&format!("ticker: no interval: {milliseconds}")),
            },
            ["echo", words @ ..] => {
                self.line(OutputSource::Stdout, words.join(" ").as_bytes());
                0
            }
            ["flood"] => self.flood(1_000_000).await,
            ["flood", lines] => match lines.parse() {
                Ok(lines) => self.flood(lines).await,
                Err(_) => self.fail(&format!("flood: no number: {lines}")),
            },
            ["mixed"] => self.mixed(),
            ["exit", code] => code.parse().unwrap_or(2),
            ["sleep", ..] => std::future::pending().await,
            _ => {
                let program = words.first().copied().unwrap_or_default();
                self.line(
                    OutputSource::Stderr,
                    format!("toy: no such program: {program}").as_bytes(),
                );
                127
            }
        }
    }

    async fn tick(&mut self, milliseconds: u64) -> i32 {
        let mut interval = interval(Duration::from_millis(milliseconds));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1_u64.. {
            interval.tick().await;
            self.run_again().await;
            let source = if number.is_multiple_of(5) {
                OutputSource::Stderr
            } else {
                OutputSource::Stdout
            };
            self.line(source, format!("tick {number}").as_bytes());
        }
        0
    }

    async fn flood(&mut self, lines: u64) -> i32 {
        let mut number = 0;
        while number < lines {
            self.run_again().await;
            let end = lines.min(number + FLOOD_LINES);
            let mut block = BytesMut::new();
            while number < end {
                number += 1;
                block.extend_from_slice(format!("{number:0>99}\n").as_bytes());
            }
            self.write(OutputSource::Stdout, block.freeze());
            tokio::task::yield_now().await;
        }
        0
    }

    /// Writes one line of each odd kind.
    fn mixed(&self) -> i32 {
        let long = vec![b'x'; 200_000];
        for line in [
            b"".as_slice(),
            b"not UTF-8: \xff\xfe\xc3",
            &long,
            b"carriage return\r",
            b"a\ttab and a \\ backslash",
            b"\x1b[31mcolor\x1b[0m",
            b"nul \0 byte",
        ] {
            self.line(OutputSource::Stdout, line);
        }
        self.line(OutputSource::Stderr, b"to standard error");
        self.write(
            OutputSource::Stdout,
            Bytes::from_static(b"no newline at the end"),
        );
        0
    }

    fn fail(&self, message: &str) -> i32 {
        self.line(OutputSource::Stderr, message.as_bytes());
        2
    }

    /// Waits while the container is paused.
    async fn run_again(&mut self) {
        // Fails only if the container was removed, which cancels the run.
        drop(self.paused.wait_for(|paused| !paused).await);
    }

    fn line(&self, source: OutputSource, line: &[u8]) {
        let mut bytes = BytesMut::from(line);
        bytes.extend_from_slice(if self.tty { b"\r\n" } else { b"\n" });
        self.write(source, bytes.freeze());
    }

    fn write(&self, source: OutputSource, bytes: Bytes) {
        let source = if self.tty {
            OutputSource::Stdout
        } else {
            source
        };
        self.log.write(clock::now(), source, &bytes);
    }
}
