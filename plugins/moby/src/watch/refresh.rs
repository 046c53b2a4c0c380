//! Following changes: stale objects are read concurrently and reported to the
//! host. Reads that fail are repeated with back-off.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::pin::pin;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, LocalBoxStream, StreamExt};
use rdd_sdk::types::{
    ContainerState, Error, ErrorCode, Event, LogLevel, Object, ObjectKind, ObjectRef,
};

use super::image_cache::ListedImage;
use super::{BATCH_SIZE, CONCURRENCY, EngineWatch, KEPT_CONNECTIONS, image_cache, listing};
use crate::backend::MobyBackend;
use crate::record::{self, NAMESPACE};
use crate::stale_set::{StaleEntry, StaleKey, wait_until_due};
use crate::{model, objects, url};

/// The delay before the first retry of a read.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The maximum delay before a retry of a read.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// The delays before the retries of one key.
type RetryDelays = <ExponentialBuilder as BackoffBuilder>::Backoff;

/// The images of a listing that were not read yet.
type ImageBatches<'a> = LocalBoxStream<'a, Vec<Result<ListedImage, Error>>>;

/// The outcome of reading a stale key.
enum ReadOutcome<'a> {
    Container(Object),
    Volume(model::Volume),
    /// The object does not exist (anymore).
    NotFound(ObjectRef),
    Containers(HashSet<String>),
    /// The containers that are half removed.
    HalfRemoved(HashMap<String, ContainerState>),
    /// A batch of images, and the rest of the listing, or `None` at its end.
    Images(Vec<ListedImage>, Option<ImageBatches<'a>>),
    Volumes(Vec<model::Volume>),
    Nothing,
}

type ReadFuture<'a> = LocalBoxFuture<'a, (StaleEntry, Result<ReadOutcome<'a>, Error>)>;

impl EngineWatch<'_> {
    /// Reads stale objects until a new listing is needed.
    pub(super) async fn follow(&mut self) -> Result<(), Error> {
        let moby = self.moby;
        let stale = self.stale;
        let images = self.images;
        let mut reads: FuturesUnordered<ReadFuture<'_>> = FuturesUnordered::new();
        let mut delays: FuturesUnordered<LocalBoxFuture<'_, StaleKey>> = FuturesUnordered::new();
        let mut in_progress: HashSet<StaleKey> = HashSet::new();
        // The keys in `delays`, and whether their objects were removed. A key has
        // one delay, even if it is read again and fails in the meantime.
        let mut delayed: HashMap<StaleKey, bool> = HashMap::new();
        let mut backoffs: HashMap<StaleKey, RetryDelays> = HashMap::new();
        loop {
            if stale.borrow().needs_listing() {
                return Ok(());
            }
            let can_read = reads.len() < CONCURRENCY;
            if can_read && let Some(mut entry) = stale.borrow_mut().take_next(&in_progress) {
                if let Some(was_removed) = delayed.get_mut(&entry.key) {
                    entry.was_removed |= std::mem::take(was_removed);
                }
                in_progress.insert(entry.key.clone());
                reads.push(match entry.key {
                    StaleKey::Images => {
                        images.borrow_mut().begin_listing();
                        let batches = image_cache::list(moby, images).ready_chunks(BATCH_SIZE);
                        read_image_batch(entry, batches.boxed_local()).boxed_local()
                    }
                    _ => read(moby, entry).boxed_local(),
                });
                continue;
            }
            let completed = {
                let due = async {
                    if can_read {
                        wait_until_due(stale, &in_progress).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                };
                let due = pin!(due);
                let read = pin!(next_of(&mut reads));
                let retry = pin!(next_of(&mut delays));
                match select(read, select(due, retry)).await {
                    Either::Left((read, _)) => Some(read),
                    Either::Right((Either::Left(_), _)) => None,
                    Either::Right((Either::Right((key, _)), _)) => {
                        let was_removed = delayed.remove(&key).unwrap_or_default();
                        stale.borrow_mut().insert(key, was_removed);
                        None
                    }
                }
            };
            let Some((entry, result)) = completed else {
                continue;
            };
            match result {
                // The key remains in progress until the end of the listing.
                Ok(ReadOutcome::Images(batch, Some(rest))) => {
                    self.report(&entry, ReadOutcome::Images(batch, None))
                        .await?;
                    reads.push(read_image_batch(entry, rest).boxed_local());
                }
                Ok(outcome) => {
                    in_progress.remove(&entry.key);
                    backoffs.remove(&entry.key);
                    if entry.key == StaleKey::Images {
                        self.report_removed_images().await?;
                    }
                    self.report(&entry, outcome).await?;
                }
                Err(error) => {
                    in_progress.remove(&entry.key);
                    let backoff = backoffs.entry(entry.key.clone());
                    let backoff = backoff.or_insert_with(retry_delays);
                    let delay = backoff.next().unwrap_or(MAX_RETRY_DELAY);
                    moby.host.log(
                        LogLevel::Warn,
                        &format!(
                            "cannot read {:?}, retrying in {} s: {}",
                            entry.key,
                            delay.as_secs(),
                            error.message
                        ),
                    );
                    let key = entry.key;
                    match delayed.entry(key.clone()) {
                        Entry::Occupied(mut delayed) => *delayed.get_mut() |= entry.was_removed,
                        Entry::Vacant(delayed) => {
                            delayed.insert(entry.was_removed);
                            delays.push(
                                async move {
                                    moby.host.sleep(delay).await;
                                    key
                                }
                                .boxed_local(),
                            );
                        }
                    }
                }
            }
        }
    }

    /// Reports the outcome of a read to the host, or marks further objects as
    /// stale.
    async fn report(&mut self, entry: &StaleEntry, outcome: ReadOutcome<'_>) -> Result<(), Error> {
        let mut removed: Vec<Event> = Vec::new();
        let mut applied: Vec<Object> = Vec::new();
        // The volume was removed, so one that was read now is a new one.
        if entry.was_removed
            && let StaleKey::Volume(name) = &entry.key
        {
            self.moby.volume_times.borrow_mut().remove(name);
            removed.push(removed_event(ObjectKind::Volume, name));
        }
        match outcome {
            ReadOutcome::Container(container) => applied.push(container),
            ReadOutcome::Volume(volume) => {
                applied.push(listing::volume_object(self.moby, volume));
            }
            ReadOutcome::NotFound(object) => {
                let event = removed_event(object.kind, &object.id);
                match object.kind {
                    ObjectKind::Volume => self.moby.volume_times.borrow_mut().remove(&object.id),
                    _ => {
                        self.reported.containers.remove(&object.id);
                    }
                }
                if !removed.contains(&event) {
                    removed.push(event);
                }
            }
            ReadOutcome::Containers(ids) => {
                let mut stale = self.stale.borrow_mut();
                for id in self.reported.containers.keys() {
                    if !ids.contains(id) {
                        stale.insert(StaleKey::Container(id.clone()), true);
                    }
                }
                for id in ids {
                    if !self.reported.containers.contains_key(&id) {
                        stale.insert(StaleKey::Container(id), false);
                    }
                }
            }
            ReadOutcome::HalfRemoved(states) => {
                let mut stale = self.stale.borrow_mut();
                for (id, reported) in &self.reported.containers {
                    let is_stale = match states.get(id) {
                        Some(state) => state != reported,
                        None => {
                            matches!(reported, ContainerState::Dead | ContainerState::Removing)
                        }
                    };
                    if is_stale {
                        stale.insert(StaleKey::Container(id.clone()), false);
                    }
                }
                // A burst of changes may have opened more connections.
                self.moby.client.close_idle(KEPT_CONNECTIONS);
            }
            ReadOutcome::Images(batch, _) => {
                let mut images = self.images.borrow_mut();
                applied.extend(
                    batch
                        .into_iter()
                        .filter(|listed| images.update(listed))
                        .map(|listed| Object::Image(listed.image)),
                );
            }
            ReadOutcome::Volumes(volumes) => {
                let listed: HashSet<&str> = volumes.iter().map(|v| v.name.as_str()).collect();
                let names = self
                    .moby
                    .volume_times
                    .borrow_mut()
                    .retain(|name| listed.contains(name));
                removed.extend(
                    names
                        .iter()
                        .map(|name| removed_event(ObjectKind::Volume, name)),
                );
                applied.extend(
                    volumes
                        .into_iter()
                        .map(|volume| listing::volume_object(self.moby, volume)),
                );
            }
            ReadOutcome::Nothing => {}
        }
        self.send_removed(removed).await?;
        self.send_applied(applied).await
    }

    /// Reports the images that are not in the completed listing as removed.
    async fn report_removed_images(&mut self) -> Result<(), Error> {
        let ids = self.images.borrow_mut().finish_listing();
        let removed = ids.iter().map(|id| removed_event(ObjectKind::Image, id));
        self.send_removed(removed.collect()).await
    }

    async fn send_removed(&mut self, mut removed: Vec<Event>) -> Result<(), Error> {
        while !removed.is_empty() {
            let rest = removed.split_off(removed.len().min(BATCH_SIZE));
            let batch = std::mem::replace(&mut removed, rest);
            self.sink.send(batch).await?;
        }
        Ok(())
    }
}

/// Returns the output of the next future to complete. Waits forever while there
/// are none.
async fn next_of<T: Future>(futures: &mut FuturesUnordered<T>) -> T::Output {
    match futures.next().await {
        Some(output) => output,
        None => std::future::pending().await,
    }
}

async fn read(
    moby: &MobyBackend,
    entry: StaleEntry,
) -> (StaleEntry, Result<ReadOutcome<'_>, Error>) {
    let result = read_key(moby, &entry).await;
    (entry, result)
}

/// Reads the next batch of images. An error ends the listing, and its images are
/// read again.
async fn read_image_batch(
    entry: StaleEntry,
    mut batches: ImageBatches<'_>,
) -> (StaleEntry, Result<ReadOutcome<'_>, Error>) {
    let result = match batches.next().await {
        Some(batch) => {
            let batch: Result<Vec<ListedImage>, Error> = batch.into_iter().collect();
            batch.map(|batch| ReadOutcome::Images(batch, Some(batches)))
        }
        None => Ok(ReadOutcome::Images(Vec::new(), None)),
    };
    (entry, result)
}

async fn read_key<'a>(moby: &'a MobyBackend, entry: &StaleEntry) -> Result<ReadOutcome<'a>, Error> {
    let client = &moby.client;
    match &entry.key {
        // A container's ID is never reused, so there is nothing to read.
        StaleKey::Container(id) if entry.was_removed => Ok(not_found(ObjectKind::Container, id)),
        // The events of a removed container may have an invalid ID.
        StaleKey::Container(id) if url::container_id(id).is_err() => Ok(ReadOutcome::Nothing),
        StaleKey::Container(id) => match objects::inspect_container(client, id).await {
            Ok((container, _)) => {
                let container = record::container_from_inspect(container);
                Ok(ReadOutcome::Container(Object::Container(container)))
            }
            Err(error) if error.code == ErrorCode::NotFound => {
                Ok(not_found(ObjectKind::Container, id))
            }
            Err(error) => Err(error),
        },
        // The name cannot be part of a URL, but the list of volumes contains it.
        StaleKey::Volume(name) if url::volume_name(name).is_err() => read_volumes(moby).await,
        StaleKey::Volume(name) => match objects::inspect_volume(client, name).await {
            Ok((volume, _)) => Ok(ReadOutcome::Volume(volume)),
            Err(error) if error.code == ErrorCode::NotFound => {
                Ok(not_found(ObjectKind::Volume, name))
            }
            Err(error) => Err(error),
        },
        StaleKey::Containers => {
            let mut listing = objects::list_containers(client).await?;
            let mut ids = HashSet::new();
            while let Some(container) = listing.next().await? {
                ids.insert(container.id);
            }
            Ok(ReadOutcome::Containers(ids))
        }
        StaleKey::HalfRemoved => {
            let mut listing = match objects::list_half_removed(client).await {
                Ok(listing) => listing,
                // An engine with the API that does not support these states.
                Err(error) if error.code == ErrorCode::InvalidArgument => {
                    return Ok(ReadOutcome::Nothing);
                }
                Err(error) => return Err(error),
            };
            let mut states = HashMap::new();
            while let Some(container) = listing.next().await? {
                let container = record::container_from_summary(container);
                states.insert(container.id, container.state);
            }
            Ok(ReadOutcome::HalfRemoved(states))
        }
        // Images are read by `read_image_batch`.
        StaleKey::Images => Ok(ReadOutcome::Nothing),
        StaleKey::Volumes => read_volumes(moby).await,
    }
}

async fn read_volumes(moby: &MobyBackend) -> Result<ReadOutcome<'_>, Error> {
    let mut listing = objects::list_volumes(&moby.client).await?;
    let mut volumes = Vec::new();
    while let Some(volume) = listing.next().await? {
        volumes.push(volume);
    }
    Ok(ReadOutcome::Volumes(volumes))
}

fn not_found<'a>(kind: ObjectKind, id: &str) -> ReadOutcome<'a> {
    ReadOutcome::NotFound(reference(kind, id))
}

fn removed_event(kind: ObjectKind, id: &str) -> Event {
    Event::Removed(reference(kind, id))
}

fn reference(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef {
        kind,
        namespace: NAMESPACE.to_owned(),
        id: id.to_owned(),
    }
}

fn retry_delays() -> RetryDelays {
    ExponentialBuilder::new()
        .with_min_delay(MIN_RETRY_DELAY)
        .with_max_delay(MAX_RETRY_DELAY)
        .without_max_times()
        .build()
}
