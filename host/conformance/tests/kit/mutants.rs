//! Backends with one fault each.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::pending;
use futures::{FutureExt, Stream, StreamExt, stream};
use jiff::SignedDuration;
use rdd_conformance::{
    BackendTarget, ConformanceSuite, ResourceUsage, SuiteOptions, TargetError, ToyEnvironment,
};
use rdd_core::*;
use rdd_toy_engine::ToyEngine;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::mutation::Mutation::*;
use crate::mutation::{MUTATIONS, Mutation, WITHOUT_MUTATION};
use crate::toy_client::ToyClient;

/// The number of faults that are simulated at once: most cases wait.
const PARALLEL: usize = 8;

/// The number of connections that one instance leaks: more than the case needs.
const MAX_LEAKED_CONNECTIONS: usize = 100;

/// The number of logs that one instance reads at once: fewer than the case needs.
const MAX_OPEN_LOGS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_fails_the_cases_that_are_meant_for_it_and_no_others() {
    let mut faults = MUTATIONS.iter();
    let mut running = JoinSet::new();
    let mut unexpected = Vec::new();
    loop {
        while running.len() < PARALLEL {
            let Some((mutation, expected)) = faults.next() else {
                break;
            };
            running.spawn(async move {
                let checked = check(*mutation, expected).await;
                checked.map(|_| (*mutation, *expected))
            });
        }
        let Some(checked) = running.join_next().await else {
            break;
        };
        unexpected.extend(checked.unwrap());
    }
    // Many suites at once may exceed the time limits of cases, so the result of a
    // fault counts when it is the only one.
    let mut wrong = Vec::new();
    for (mutation, expected) in unexpected {
        wrong.extend(check(mutation, expected).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_case_has_a_fault_that_fails_it() {
    let found: BTreeSet<_> = MUTATIONS.iter().flat_map(|(_, cases)| *cases).collect();
    for case in rdd_conformance::table() {
        let is_listed = WITHOUT_MUTATION.contains(&case.name);
        assert_eq!(found.contains(&case.name), !is_listed, "{}", case.name);
    }
}

async fn check(mutation: Mutation, expected: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.sock");
    let engine = ToyEngine::new();
    let server = engine.listen(&path).unwrap();
    let target = MutantTarget {
        client: Arc::new(ToyClient::new(path)),
        mutation,
        launches: AtomicUsize::new(0),
        memory: AtomicUsize::new(0),
    };
    // A thousand logs for each fault would take minutes.
    let is_limit = expected.iter().any(|case| case.starts_with("limits/"));
    let filter = (!is_limit).then(|| "!limits/*".parse().unwrap());
    let options = SuiteOptions {
        filter,
        is_long: false,
    };
    let environment = ToyEnvironment::new(engine);
    let suite = ConformanceSuite::new(Arc::new(target), Arc::new(environment), options);
    let report = suite.run(|_| {}).await;
    server.shutdown().await;
    let failed: BTreeSet<_> = report.failed().into_iter().collect();
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    println!("{mutation:?}: {failed:?}");
    (failed != expected).then(|| {
        format!(
            "{mutation:?} fails {failed:?} instead of {expected:?}:\n{}",
            report
                .cases
                .iter()
                .filter(|case| failed.contains(case.name.as_str()))
                .map(rdd_conformance::CaseRecord::to_text)
                .collect::<String>()
        )
    })
}

struct MutantTarget {
    client: Arc<ToyClient>,
    mutation: Mutation,
    launches: AtomicUsize,
    memory: AtomicUsize,
}

#[async_trait]
impl BackendTarget for MutantTarget {
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError> {
        let mut info = self.client.info().clone();
        let launches = self.launches.fetch_add(1, Ordering::Relaxed);
        match self.mutation {
            DescribesAVersionThatIsNone => info.version = "latest".to_owned(),
            DescribesItselfDifferently => info.version = format!("1.0.{launches}"),
            PushesWithoutTheCapability => info.capabilities.push = false,
            HasTimesWithoutTheCapability => info.capabilities.entry_times = false,
            ClaimsHexadecimalIds => info.id_format = IdFormat::LowerHex(64),
            _ => {}
        }
        Ok(Arc::new(MutantEngine {
            inner: self.client.clone(),
            info,
            mutation: self.mutation,
            calls: AtomicUsize::new(0),
            inspecting: Arc::default(),
            open_logs: Arc::new(Semaphore::new(MAX_OPEN_LOGS)),
        }))
    }

    fn usage(&self) -> ResourceUsage {
        let leaked = match self.mutation {
            LeaksMemory => self.memory.fetch_add(16 * 1024 * 1024, Ordering::Relaxed),
            _ => 0,
        };
        ResourceUsage {
            memory_bytes: Some(leaked as u64),
            ..ResourceUsage::default()
        }
    }
}

struct MutantEngine {
    inner: Arc<ToyClient>,
    info: BackendInfo,
    mutation: Mutation,
    calls: AtomicUsize,
    inspecting: Arc<tokio::sync::Mutex<()>>,
    /// Logs are counted while they are open, since a fast machine reads more of them
    /// one after another.
    open_logs: Arc<Semaphore>,
}

fn error(code: ErrorCode) -> EngineError {
    EngineError::new(code, "simulated")
}

/// Returns `code` in place of one code.
fn instead<T>(
    result: Result<T, EngineError>,
    of: &ErrorCode,
    code: ErrorCode,
) -> Result<T, EngineError> {
    result.map_err(|found| {
        if found.code == *of {
            error(code)
        } else {
            found
        }
    })
}

/// Reads a stream to its end although nobody wants it any more.
fn keep_open<T: Send + 'static>(
    stream: impl Stream<Item = T> + Send + Unpin + 'static,
) -> stream::BoxStream<'static, T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut stream = stream;
        while let Some(item) = stream.next().await {
            sender.send(item).ok();
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

/// Repeats the last item at the end.
fn double_last<T: Clone + Send + 'static>(
    stream: stream::BoxStream<'static, Result<T, EngineError>>,
) -> stream::BoxStream<'static, Result<T, EngineError>> {
    let state = (stream, None::<T>, false);
    stream::unfold(state, |(mut stream, last, ended)| async move {
        if ended {
            return None;
        }
        match stream.next().await {
            Some(Ok(item)) => Some((Ok(item.clone()), (stream, Some(item), false))),
            Some(Err(error)) => Some((Err(error), (stream, None, true))),
            None => last.map(|item| (Ok(item), (stream, None, true))),
        }
    })
    .boxed()
}

fn edit_container(object: &mut EngineObject, mutation: Mutation, is_inspected: bool) {
    let EngineObject::Container(container) = object else {
        return;
    };
    match mutation {
        KnowsNoCreationTimes => container.created_at = None,
        InspectsAnotherProcess if is_inspected && container.labels.is_empty() => container.pid += 1,
        TrimsNames => container.name = container.name.trim_matches('/').to_owned(),
        _ => {}
    }
}

/// Passes each entry through `f`, in a batch of its own.
fn map_entries(
    stream: EntryStream,
    mut f: impl FnMut(EntryHeader, Bytes) -> Vec<(EntryHeader, Bytes)> + Send + 'static,
) -> EntryStream {
    stream
        .flat_map(move |batch| {
            let batches: Vec<Result<EntryBatch, EngineError>> = match batch {
                Err(error) => vec![Err(error)],
                Ok(batch) if batch.headers().is_empty() => vec![Ok(batch)],
                Ok(batch) => batch
                    .entries()
                    .flat_map(|entry| f(entry.header, Bytes::copy_from_slice(entry.bytes)))
                    .map(|(header, bytes)| {
                        let length = u32::try_from(bytes.len()).unwrap();
                        let header = EntryHeader { length, ..header };
                        Ok(EntryBatch::new(None, vec![header], bytes).unwrap())
                    })
                    .collect(),
            };
            stream::iter(batches)
        })
        .boxed()
}

impl MutantEngine {
    /// Decides which events of a watch are sent.
    fn watch_events(&self, stream: WatchStream) -> WatchStream {
        let mutation = self.mutation;
        let (mut is_listing, mut containers, mut held) = (true, 0, None::<WatchEvent>);
        stream
            .flat_map(move |event| {
                let mut events = Vec::new();
                match event {
                    Err(_) if mutation == EndsACutWatchWithInternal => {
                        events.push(Err(error(ErrorCode::Internal)));
                    }
                    Err(_) if mutation == EndsACutWatchWithoutAnError => {}
                    Err(error) => events.push(Err(error)),
                    Ok(mut event) => {
                        if let WatchEvent::Applied(object) = &mut event {
                            edit_container(object, mutation, false);
                        }
                        match &event {
                            WatchEvent::InitBegin => (is_listing, containers) = (true, 0),
                            WatchEvent::InitDone => is_listing = false,
                            _ => {}
                        }
                        let container = match &event {
                            WatchEvent::Applied(object) => match &**object {
                                EngineObject::Container(container) => Some(container.clone()),
                                _ => None,
                            },
                            _ => None,
                        };
                        if container.is_some() && is_listing {
                            containers += 1;
                        }
                        let kind = match &event {
                            WatchEvent::Applied(object) => Some(object.reference().kind),
                            WatchEvent::Removed(reference) => Some(reference.kind),
                            _ => None,
                        };
                        let in_other = matches!(&event, WatchEvent::Applied(object)
                            if object.namespace() == "other");
                        let is_removal = matches!(event, WatchEvent::Removed(_));
                        let label = container.as_ref().and_then(|c| c.labels.get("burst"));
                        let is_dropped = match mutation {
                            OmitsTheThirdContainer => {
                                is_listing && container.is_some() && containers == 3
                            }
                            OmitsTheOtherNamespace => is_listing && in_other,
                            DropsRemovals => is_removal && kind == Some(ObjectKind::Container),
                            DropsNamespaces => kind == Some(ObjectKind::Namespace),
                            LosesTheEndOfABurst => label.is_some_and(|label| label == "9999"),
                            _ => false,
                        };
                        let runs = container.is_some_and(|c| {
                            c.state == ContainerState::Running && c.labels.is_empty()
                        });
                        let is_twice =
                            mutation == ListsAnObjectTwice && is_listing && kind.is_some();
                        if mutation == HoldsBackThatAContainerRuns && runs && !is_listing {
                            held = Some(event);
                        } else if !is_dropped {
                            events.push(Ok(event.clone()));
                            events.extend(held.take().map(Ok));
                            events.extend(is_twice.then_some(Ok(event)));
                        }
                    }
                }
                stream::iter(events)
            })
            .boxed()
    }
}

#[async_trait]
impl ContainerEngine for MutantEngine {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let watch = self.watch_events(self.inner.watch().await?);
        Ok(match self.mutation {
            WatchesOnAfterStop => keep_open(watch),
            _ => watch,
        })
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        let inspect = self.inner.inspect(object);
        let mut response = match self.mutation {
            InspectsTheDefaultNamespace => {
                let reference = ObjectRef::new(object.kind, "main", &object.id);
                self.inner.inspect(&reference).await
            }
            HasNoVolumesButInternalErrors if object.kind == ObjectKind::Volume => {
                instead(inspect.await, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            AcceptsMalformedIds => instead(
                inspect.await,
                &ErrorCode::InvalidArgument,
                ErrorCode::NotFound,
            ),
            HangsAfterAStoppedInspect => {
                let lock = Arc::clone(&self.inspecting).lock_owned().await;
                // Unlocked by a call that ends, and never by one whose caller leaves.
                let lock = ManuallyDrop::new(lock);
                let answer = inspect.await;
                drop(ManuallyDrop::into_inner(lock));
                answer
            }
            LeaksAConnection => {
                // Not more, since the engine would refuse connections at some number.
                if self.calls.fetch_add(1, Ordering::Relaxed) < MAX_LEAKED_CONNECTIONS {
                    let watch = self.inner.watch().await?;
                    drop(keep_open(watch));
                }
                inspect.await
            }
            _ => inspect.await,
        }?;
        edit_container(&mut response.object, self.mutation, true);
        if self.mutation == ShowsSecrets {
            response.raw = r#"{"Env":["PASSWORD=rdd-conformance-secret"]}"#.to_owned();
        }
        Ok(response)
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        let mut wanted = options.clone();
        let is_plain = options.tail.is_none() && options.since.is_none() && options.until.is_none();
        match self.mutation {
            CountsTheTailWrong if options.tail == Some(3) => wanted.tail = Some(4),
            ExcludesSince => {
                let nanosecond = SignedDuration::from_nanos(1);
                wanted.since = options.since.map(|time| time.saturating_add(nanosecond));
            }
            IgnoresUntil
                if !options.follow
                    && options.since.is_none()
                    && options.stdout
                    && options.stderr =>
            {
                wanted.until = None;
            }
            FollowsBeyondUntil if options.follow => wanted.until = None,
            MixesSources if is_plain && !options.timestamps => {
                (wanted.stdout, wanted.stderr) = (true, true);
            }
            IgnoresSinceWithTail if options.tail.is_some() => wanted.since = None,
            _ => {}
        }
        let permit = match self.mutation {
            LimitsLogsWithInternal => {
                let permit = Arc::clone(&self.open_logs).try_acquire_owned();
                Some(permit.map_err(|_| error(ErrorCode::Internal))?)
            }
            _ => None,
        };
        let log = self.inner.get_logs(container, &wanted).await;
        let log = match self.mutation {
            FailsUnknownLogsWithInternal => instead(log, &ErrorCode::NotFound, ErrorCode::Internal),
            _ => log,
        }?;
        let mutation = self.mutation;
        Ok(match mutation {
            LimitsLogsWithInternal => log
                .inspect(move |_| {
                    let _held = &permit;
                })
                .boxed(),
            DoublesTheLastLineOfAFollowedLog if options.follow => double_last(log),
            FollowsAfterStop if options.follow => keep_open(log),
            EndsACutLogSilently => log
                .take_while(|chunk| std::future::ready(chunk.is_ok()))
                .boxed(),
            JoinsChunks if !options.follow => {
                let chunks: Vec<_> = log.collect().await;
                let mut joined: Vec<Result<OutputChunk, EngineError>> = Vec::new();
                for chunk in chunks {
                    match (joined.last_mut(), chunk) {
                        (Some(Ok(last)), Ok(chunk)) if last.source == chunk.source => {
                            last.bytes = [last.bytes.clone(), chunk.bytes].concat().into();
                        }
                        (_, chunk) => joined.push(chunk),
                    }
                }
                stream::iter(joined).boxed()
            }
            LosesALine
            | ReplacesInvalidBytes
            | DelaysOutput
            | SplitsATerminal
            | WritesOtherTimestamps => {
                let timestamps = options.timestamps;
                log.filter_map(move |chunk| async move {
                    let Ok(mut chunk) = chunk else {
                        return Some(chunk);
                    };
                    let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
                    match mutation {
                        LosesALine if text == "19 49\n" => return None,
                        ReplacesInvalidBytes => chunk.bytes = text.into(),
                        DelaysOutput if text == "x\n" => {
                            // Longer than output may take to arrive.
                            tokio::time::sleep(Duration::from_secs(8)).await;
                        }
                        SplitsATerminal if text.starts_with("second line") => {
                            chunk.source = OutputSource::Stderr;
                        }
                        WritesOtherTimestamps if timestamps => {
                            chunk.bytes = text.replace('T', " ").into();
                        }
                        _ => {}
                    }
                    Some(Ok(chunk))
                })
                .boxed()
            }
            _ => log,
        })
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let mut wanted = options.clone();
        match self.mutation {
            CountsTheTailOfEntriesWrong if options.tail == Some(4) => wanted.tail = Some(5),
            ExcludesSinceInEntries => {
                let nanosecond = SignedDuration::from_nanos(1);
                wanted.since = options.since.map(|time| time.saturating_add(nanosecond));
            }
            MixesSourcesOfEntries if options.after.is_none() => {
                (wanted.stdout, wanted.stderr) = (true, true);
            }
            CountsPositionsAmongAllSources => (wanted.stdout, wanted.stderr) = (true, true),
            DoesNotFollowOnResume if options.after.is_some() => wanted.follow = false,
            _ => {}
        }
        let log = self.inner.get_entries(container, &wanted).await;
        let log = match self.mutation {
            FailsUnknownEntriesWithInternal => {
                instead(log, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            _ => log,
        }?;
        let swaps = self.calls.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let (mutation, options) = (self.mutation, options.clone());
        let mut held: Option<(EntryHeader, Bytes)> = None;
        Ok(match mutation {
            DoublesTheLastEntryOfAFollowedLog if options.follow => double_last(log),
            FollowsEntriesAfterStop if options.follow => keep_open(log),
            HidesGaps => log
                .map(|batch| {
                    let batch = batch?;
                    let headers = batch.headers().to_vec();
                    Ok(EntryBatch::new(None, headers, batch.bytes().clone()).unwrap())
                })
                .boxed(),
            _ => map_entries(log, move |mut header, mut bytes| {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let mut entries = Vec::new();
                match mutation {
                    MarksAnEntryPartial if text == "13" => header.is_partial = true,
                    ReplacesInvalidBytesInEntries => bytes = text.clone().into(),
                    ForgetsThatPartsArePartial if bytes.len() == 65_536 => {
                        header.is_partial = false
                    }
                    DoublesAnEntryOnResume if options.after.is_some() && text == "5 5" => {
                        entries.push((header, bytes.clone()));
                    }
                    SkipsEarlierTimesOnResume
                        if options.after.is_some_and(|after| header.time < after.time) =>
                    {
                        return entries;
                    }
                    CountsPositionsAmongAllSources => {
                        let is_wanted = match header.source {
                            OutputSource::Stdout => options.stdout,
                            OutputSource::Stderr => options.stderr,
                        };
                        if !is_wanted {
                            return entries;
                        }
                    }
                    ReordersTheSourcesOfEntries if text == "17" => {
                        held = Some((header, bytes));
                        return entries;
                    }
                    ReadsInAnotherOrderEachTime if swaps && text == "3 3" => {
                        held = Some((header, bytes));
                        return entries;
                    }
                    _ => {}
                }
                entries.push((header, bytes));
                entries.extend(held.take());
                entries
            }),
        })
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        let call = self.inner.act(container, action);
        match (self.mutation, action) {
            (ReturnsBeforeARestart, ContainerAction::Restart) => Ok(()),
            (DoesNotUnpause, ContainerAction::Unpause) => Ok(()),
            (RefusesToPauseTwice, ContainerAction::Pause) => {
                let reference = ObjectRef::from(container.clone());
                match self.inner.inspect(&reference).await?.object {
                    EngineObject::Container(found) if found.paused => {
                        Err(error(ErrorCode::Conflict))
                    }
                    _ => call.await,
                }
            }
            (PausesWhatIsStopped, ContainerAction::Pause) => {
                instead(call.await, &ErrorCode::Conflict, ErrorCode::Internal)
            }
            (ActsOnUnknownContainersWithConflict, _) => {
                instead(call.await, &ErrorCode::NotFound, ErrorCode::Conflict)
            }
            _ => call.await,
        }
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        let mut wanted = request.clone();
        match (self.mutation, &mut wanted.target) {
            (RemovesInTheDefaultNamespace, _) => wanted.namespace = "main".to_owned(),
            (IgnoresTheTimeOfAVolume, RemoveTarget::Volume { created_at, .. }) => {
                *created_at = None
            }
            _ => {}
        }
        let result = self.inner.remove(&wanted).await;
        let code = result.as_ref().err().map(|error| error.code.clone());
        match (self.mutation, &request.target, code) {
            (RemovesTwice, RemoveTarget::Container { id }, Some(ErrorCode::NotFound))
                if !id.starts_with("none") =>
            {
                Ok(())
            }
            (RemovesUnknownVolumes, RemoveTarget::Volume { .. }, Some(ErrorCode::NotFound)) => {
                Ok(())
            }
            (IgnoresTheImageOfATag, RemoveTarget::ImageTag { .. }, Some(ErrorCode::Replaced)) => {
                Ok(())
            }
            (FailsOnWhatIsInUseWithInternal, _, Some(ErrorCode::Conflict)) => {
                Err(error(ErrorCode::Internal))
            }
            _ => result,
        }
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let mut wanted = spec.clone();
        if self.mutation == GeneratesOneName && spec.name.is_none() {
            wanted.name = Some("generated".to_owned());
        }
        let result = self.inner.create_container(&wanted).await;
        match self.mutation {
            StartsWhatItCreates => {
                let id = result?;
                let container = ContainerRef::new(&spec.namespace, &id);
                self.inner.act(&container, ContainerAction::Start).await?;
                Ok(id)
            }
            FailsOnUsedNamesWithInvalidArgument => {
                instead(result, &ErrorCode::Conflict, ErrorCode::InvalidArgument)
            }
            FailsOnUnknownImagesWithUnavailable => {
                instead(result, &ErrorCode::NotFound, ErrorCode::Unavailable)
            }
            _ => result,
        }
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        let mut wanted = spec.clone();
        if self.mutation == DropsLabelsOfVolumes {
            wanted.labels.clear();
        }
        match self.inner.create_volume(&wanted).await {
            Err(_) if self.mutation == ReturnsVolumesThatExist => {
                Ok(spec.name.clone().unwrap_or_default())
            }
            result => result,
        }
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        let mut wanted = options.clone();
        match self.mutation {
            ReturnsBothSourcesAlways if !options.tty => {
                (wanted.stdout, wanted.stderr) = (true, true)
            }
            DropsTheEnvironment => wanted.env.clear(),
            FailsWhenACommandCannotRun if options.command == ["no-such-program"] => {
                return Err(error(ErrorCode::NotFound));
            }
            _ => {}
        }
        let session = self.inner.exec(container, &wanted).await;
        let mut session = match self.mutation {
            ExecsInUnknownContainersWithInternal => {
                instead(session, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            ExecsInStoppedContainersWithInternal => {
                instead(session, &ErrorCode::Conflict, ErrorCode::Internal)
            }
            _ => session,
        }?;
        let mutation = self.mutation;
        session.exit = session
            .exit
            .then(move |exit| async move {
                match (mutation, exit) {
                    (ChangesExitCodes, Ok(7)) => Ok(1),
                    (ReturnsSignalsAsTheyAre, Ok(code)) if code > 128 && code < 160 => {
                        Ok(code - 128)
                    }
                    (NeverResolvesTheExit, Err(_)) => pending().await,
                    (_, exit) => exit,
                }
            })
            .boxed();
        match self.mutation {
            WritesErrorsToStdout => {
                session.output = session
                    .output
                    .map(|chunk| {
                        let mut chunk = chunk?;
                        if chunk.bytes == "to stderr\n" {
                            chunk.source = OutputSource::Stdout;
                        }
                        Ok(chunk)
                    })
                    .boxed();
            }
            KeepsTheInputOpen if options.stdin => {
                let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
                let stdin = std::mem::replace(&mut session.stdin, sender);
                tokio::spawn(async move {
                    while let Some(bytes) = receiver.recv().await {
                        stdin.send(bytes).await.ok();
                    }
                    // Until the process has ended.
                    stdin.closed().await;
                });
            }
            ResizesOnce => {
                let (sender, mut receiver) = tokio::sync::watch::channel(None);
                let resizes = std::mem::replace(&mut session.resizes, sender);
                tokio::spawn(async move {
                    if receiver.changed().await.is_ok() {
                        let size = *receiver.borrow_and_update();
                        resizes.send(size).ok();
                    }
                    resizes.closed().await;
                });
            }
            _ => {}
        }
        Ok(session)
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        let transfer = self.inner.pull(spec).await;
        Ok(match self.mutation {
            NeverCompletesALayer => transfer?
                .filter(|progress| {
                    let is_complete = progress
                        .as_ref()
                        .is_ok_and(|progress| progress.phase.is_complete());
                    std::future::ready(!is_complete)
                })
                .boxed(),
            PullsUnknownImagesWithUnavailable => {
                instead(transfer, &ErrorCode::NotFound, ErrorCode::Unavailable)?
            }
            PullsAfterStop => keep_open(transfer?),
            _ => transfer?,
        })
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        let transfer = self.inner.push(spec).await;
        Ok(match self.mutation {
            PushesWithoutProgress => {
                drop(transfer?.collect::<Vec<_>>().await);
                stream::empty().boxed()
            }
            PushesUnknownTagsWithInternal => {
                instead(transfer, &ErrorCode::NotFound, ErrorCode::Internal)?
            }
            _ => transfer?,
        })
    }
}
