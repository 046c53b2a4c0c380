//! A power loss, or a kill, at any call loses nothing that anybody has seen.

use std::env;

use super::client_session::{ClientSession, WriteSpec};
use super::disk_call::InterruptionKind;
use super::random_source::RandomSource;

/// The variable for the number of random histories; five thousand take some minutes. It
/// also multiplies the runs of the tests with errors by ten.
pub(super) const HISTORIES_VARIABLE: &str = "RDD_STORAGE_POWER_LOSSES";
const DEFAULT_HISTORIES: u64 = 200;

/// The interruptions of one history.
const INTERRUPTIONS: usize = 5;
const MAX_GROUPS: usize = 12;

/// The calls up to an interruption, at most: during recovery, soon, or late.
const CALLS: [usize; 4] = [6, 40, 150, 1_000];

fn interruption(random: &mut RandomSource) -> InterruptionKind {
    if random.one_in(3) {
        InterruptionKind::Kill
    } else {
        InterruptionKind::PowerLoss
    }
}

async fn run_until_interrupted(session: &mut ClientSession, random: &mut RandomSource) {
    let disk = session.disk.clone();
    disk.interrupt_at(1 + random.below(CALLS[random.clone().below(CALLS.len())]) as u64);
    if let Err(error) = session.open().await {
        assert!(disk.is_interrupted(), "{error}");
        return;
    }
    for _ in 0..random.below(MAX_GROUPS) {
        if disk.is_interrupted() {
            return;
        }
        if random.one_in(8) {
            session.close().await;
            if let Err(error) = session.open().await {
                assert!(disk.is_interrupted(), "{error}");
                return;
            }
        }
        session.write(&WriteSpec::random_group(random)).await;
    }
}

async fn finish(session: &mut ClientSession, random: &mut RandomSource) {
    session.open().await.unwrap();
    session.write(&WriteSpec::random_group(random)).await;
    session.close().await;
    session.open().await.unwrap();
    session.close().await;
}

#[tokio::test]
async fn interruptions_at_random_lose_nothing_that_was_seen() {
    let histories =
        env::var(HISTORIES_VARIABLE).map_or(DEFAULT_HISTORIES, |count| count.parse().unwrap());
    for seed in 0..histories {
        println!("seed {seed}");
        let mut random = RandomSource::new(seed);
        let mut session = ClientSession::new(&format!("random-{seed}"), RandomSource::new(!seed));
        for _ in 0..INTERRUPTIONS {
            run_until_interrupted(&mut session, &mut random).await;
            session.interrupt(interruption(&mut random)).await;
        }
        finish(&mut session, &mut random).await;
    }
}

/// The groups of [`script`].
const GROUPS: usize = 7;

/// Creates a database, writes, opens it again, and writes more.
async fn script(session: &mut ClientSession) {
    let mut random = RandomSource::new(7);
    for index in 0..GROUPS {
        if index % 3 == 0 {
            session.close().await;
            if let Err(error) = session.open().await {
                assert!(session.disk.is_interrupted(), "{error}");
                return;
            }
        }
        session.write(&WriteSpec::random_group(&mut random)).await;
        if session.disk.is_interrupted() {
            return;
        }
    }
    session.close().await;
}

#[tokio::test]
async fn an_interruption_at_each_call_loses_nothing_that_was_seen() {
    let mut session = ClientSession::new("counted", RandomSource::new(0));
    script(&mut session).await;
    let calls = session.disk.changes();
    assert!(calls > 100, "{calls} calls");
    for call in 1..=calls {
        for (index, kind) in [InterruptionKind::PowerLoss, InterruptionKind::Kill]
            .into_iter()
            .enumerate()
        {
            println!("call {call} of {calls}, {kind:?}");
            let seed = call * 2 + index as u64;
            let mut session = ClientSession::new(&format!("each-{seed}"), RandomSource::new(seed));
            session.disk.interrupt_at(call);
            script(&mut session).await;
            assert!(session.disk.is_interrupted(), "the script is repeatable");
            session.interrupt(kind).await;
            session.open().await.unwrap();
            // What was read now must survive as well.
            session.interrupt(InterruptionKind::PowerLoss).await;
            finish(&mut session, &mut RandomSource::new(seed)).await;
        }
    }
}
