//! Errors of the disk at any call are reported, and nothing that was acknowledged is
//! lost.

use std::env;

use rdd_apiserver_storage::StoreOpenError;

use super::client_session::{ClientSession, GroupOutcome, WriteSpec};
use super::disk_call::{CallKind, DiskError, DiskFault, InterruptionKind};
use super::power_loss::HISTORIES_VARIABLE;
use super::random_source::RandomSource;

/// What happens after the script.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// The disk works again, and so must the store.
    Repair,
    /// The power is lost while the disk fails.
    PowerLoss,
    /// The process is killed while the disk fails.
    Kill,
}

const ENDINGS: [Ending; 3] = [Ending::Repair, Ending::PowerLoss, Ending::Kill];

const GROUPS: usize = 9;

/// Opens the store. An error of the disk is never taken for a damaged database, which
/// would be set aside.
async fn open(session: &mut ClientSession) -> bool {
    match session.open().await {
        Ok(()) => true,
        Err(StoreOpenError::Io { .. } | StoreOpenError::Database { .. }) => false,
        Err(error) => panic!("unexpected error: {error}"),
    }
}

/// Returns whether all writes were acknowledged.
async fn script(session: &mut ClientSession) -> bool {
    let mut random = RandomSource::new(7);
    let mut is_complete = true;
    let mut is_open = false;
    for index in 0..GROUPS {
        if index % 4 == 0 {
            session.close().await;
            is_open = open(session).await;
        }
        let mut group = WriteSpec::random_group(&mut random);
        if session.is_size_limited() && index % 4 == 1 {
            group = vec![WriteSpec::huge()];
        }
        is_complete &= is_open && session.write(&group).await == GroupOutcome::Acknowledged;
    }
    is_complete
}

async fn run(session: &mut ClientSession, fault: DiskFault, ending: Ending) {
    session.disk.inject(fault);
    script(session).await;
    match ending {
        Ending::Repair => session.disk.repair(),
        Ending::PowerLoss => {
            session.interrupt(InterruptionKind::PowerLoss).await;
            session.disk.repair();
        }
        Ending::Kill => {
            session.interrupt(InterruptionKind::Kill).await;
            session.disk.repair();
        }
    }
    if !matches!(ending, Ending::Repair) || !session.is_open() {
        session.open().await.unwrap();
    }
    let mut random = RandomSource::new(1);
    let outcome = session.write(&WriteSpec::random_group(&mut random)).await;
    assert!(
        outcome == GroupOutcome::Acknowledged || session.is_size_limited(),
        "the store recovers"
    );
    assert!(session.store().writer_failure().is_none());
    session.interrupt(InterruptionKind::PowerLoss).await;
    session.open().await.unwrap();
    session.close().await;
}

/// The runs for each call and duration of its error. Each has other random decisions, and
/// the endings take turns.
fn runs(default: u64) -> u64 {
    match env::var(HISTORIES_VARIABLE) {
        Ok(_) => 10 * default,
        Err(_) => default,
    }
}

/// Runs the script for each of these calls, which fails once or from then on.
async fn each_call_fails(
    name: &str,
    calls: &'static [CallKind],
    error: DiskError,
    runs: u64,
    size_limit: Option<u64>,
) {
    let session = |directory: &str, seed| {
        let mut session = ClientSession::new(directory, RandomSource::new(seed));
        if let Some(bytes) = size_limit {
            session.limit_size(bytes);
        }
        session
    };
    let fault = |after, is_lasting| DiskFault {
        calls,
        after,
        error,
        is_lasting,
    };
    let mut counted = session(&format!("{name}-counted"), 0);
    counted.disk.inject(fault(u64::MAX - 1, false));
    let is_complete = script(&mut counted).await;
    assert_eq!(is_complete, size_limit.is_none());
    let count = counted.disk.matching_calls();
    assert!(count > 0);
    for after in 0..count {
        for seed in 0..2 * runs {
            let is_lasting = seed % 2 == 1;
            let ending = ENDINGS[(after + seed / 2) as usize % ENDINGS.len()];
            println!("{calls:?} {after} of {count}, seed {seed}, then {ending:?}");
            let directory = format!("{name}-{after}-{seed}");
            let mut session = session(&directory, after << 32 | seed);
            run(&mut session, fault(after, is_lasting), ending).await;
        }
    }
}

#[tokio::test]
async fn no_write_is_lost_when_a_write_fails() {
    const CALLS: &[CallKind] = &[CallKind::Write, CallKind::Growth];
    each_call_fails("write", CALLS, DiskError::Io, runs(1), None).await;
}

#[tokio::test]
async fn no_write_is_lost_when_the_disk_is_full() {
    const CALLS: &[CallKind] = &[CallKind::Growth, CallKind::Create];
    each_call_fails("full", CALLS, DiskError::Full, runs(1), None).await;
}

#[tokio::test]
async fn no_write_is_lost_when_a_sync_fails() {
    const CALLS: &[CallKind] = &[CallKind::Sync, CallKind::SyncDirectory];
    each_call_fails("sync", CALLS, DiskError::Io, runs(6), None).await;
}

#[tokio::test]
async fn no_write_is_lost_when_a_read_fails() {
    each_call_fails("read", &[CallKind::Read], DiskError::Io, runs(1), None).await;
}

#[tokio::test]
async fn no_write_is_lost_when_a_file_cannot_be_opened() {
    const CALLS: &[CallKind] = &[CallKind::Open, CallKind::Lookup];
    each_call_fails("open", CALLS, DiskError::Io, runs(1), None).await;
}

#[tokio::test]
async fn no_write_is_lost_when_a_file_cannot_be_changed() {
    const CALLS: &[CallKind] = &[
        CallKind::Truncate,
        CallKind::Remove,
        CallKind::Create,
        CallKind::Rename,
    ];
    each_call_fails("change", CALLS, DiskError::Io, runs(3), None).await;
}

/// Less than the script writes, so that the history is shortened, groups with deletions
/// use the reserve, and a huge write is refused.
const SMALL_SIZE: u64 = 12 << 10;

#[tokio::test]
async fn no_write_is_lost_when_the_database_is_full_and_the_disk_fails() {
    const CALLS: &[CallKind] = &[CallKind::Growth, CallKind::Sync];
    each_call_fails("small", CALLS, DiskError::Io, runs(1), Some(SMALL_SIZE)).await;
}
