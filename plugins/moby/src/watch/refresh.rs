//! Reading what is stale, side by side, and telling the host.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, LocalBoxStream, StreamExt};
use rdd_sdk::types::{
    ContainerState, Error, ErrorCode, Event, LogLevel, Object, ObjectKind, ObjectRef,
};

use super::images::Listed;
use super::stale::{Item, Key, due};
use super::{BATCH, CONCURRENCY, KEPT_CONNECTIONS, Watch, images, listing};
use crate::backend::Moby;
use crate::{model, name, objects, record};

/// The first wait before an object is read again that could not be read.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Waits double until this many, which is beyond the longest.
const MAX_DOUBLINGS: u32 = 6;

/// Images that were read, and those that are still to be read.
type Images<'a> = LocalBoxStream<'a, Vec<Result<Listed, Error>>>;

/// What reading a stale key brought.
enum Read<'a> {
    Container(Object),
    Volume(model::Volume),
    /// It is not there (any more).
    Gone(ObjectRef),
    Containers(HashSet<String>),
    /// The containers that are half removed.
    HalfRemoved(HashMap<String, ContainerState>),
    /// Some of the images; the rest follows, unless that was all.
    Images(Vec<Listed>, Option<Images<'a>>),
    Volumes(Vec<model::Volume>),
    Nothing,
}

type Reading<'a> = LocalBoxFuture<'a, (Item, Result<Read<'a>, Error>)>;

impl Watch<'_> {
    /// Reads what becomes stale, until a new listing is due.
    pub(super) async fn follow(&mut self) -> Result<(), Error> {
        let moby = self.moby;
        let stale = self.stale;
        let images = self.images;
        let mut reading: FuturesUnordered<Reading<'_>> = FuturesUnordered::new();
        let mut waiting: FuturesUnordered<LocalBoxFuture<'_, Key>> = FuturesUnordered::new();
        let mut busy: HashSet<Key> = HashSet::new();
        // Those that wait, and whether they went: one wait for each, however
        // often it fails meanwhile.
        let mut retrying: HashMap<Key, bool> = HashMap::new();
        let mut failures: HashMap<Key, u32> = HashMap::new();
        loop {
            if stale.borrow().is_everything() {
                return Ok(());
            }
            let free = reading.len() < CONCURRENCY;
            if free && let Some(mut item) = stale.borrow_mut().take(&busy) {
                if let Some(gone) = retrying.get_mut(&item.key) {
                    item.gone |= std::mem::take(gone);
                }
                busy.insert(item.key.clone());
                reading.push(match item.key {
                    Key::Images => {
                        images.borrow_mut().begin();
                        let all = images::read(moby, images).ready_chunks(BATCH);
                        read_images(item, all.boxed_local()).boxed_local()
                    }
                    _ => read(moby, item).boxed_local(),
                });
                continue;
            }
            let next = {
                let is_due = async {
                    if free {
                        due(stale, &busy).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                };
                let is_due = pin!(is_due);
                let read = pin!(next_of(&mut reading));
                let retry = pin!(next_of(&mut waiting));
                match select(read, select(is_due, retry)).await {
                    Either::Left((read, _)) => Some(read),
                    Either::Right((Either::Left(_), _)) => None,
                    Either::Right((Either::Right((key, _)), _)) => {
                        let gone = retrying.remove(&key).unwrap_or_default();
                        stale.borrow_mut().insert(key, gone);
                        None
                    }
                }
            };
            let Some((item, result)) = next else { continue };
            match result {
                // The key stays busy: nobody else reads images meanwhile.
                Ok(Read::Images(found, Some(rest))) => {
                    self.tell(&item, Read::Images(found, None)).await?;
                    reading.push(read_images(item, rest).boxed_local());
                }
                Ok(read) => {
                    busy.remove(&item.key);
                    failures.remove(&item.key);
                    if item.key == Key::Images {
                        self.forget_images().await?;
                    }
                    self.tell(&item, read).await?;
                }
                Err(error) => {
                    busy.remove(&item.key);
                    let count = failures.entry(item.key.clone()).or_default();
                    let wait = retry_after(*count);
                    *count = count.saturating_add(1);
                    moby.host.log(
                        LogLevel::Warn,
                        &format!(
                            "{:?} cannot be read, next try in {} s: {}",
                            item.key,
                            wait.as_secs(),
                            error.message
                        ),
                    );
                    let key = item.key;
                    match retrying.entry(key.clone()) {
                        Entry::Occupied(mut waits) => *waits.get_mut() |= item.gone,
                        Entry::Vacant(waits) => {
                            waits.insert(item.gone);
                            waiting.push(
                                async move {
                                    moby.host.sleep(wait).await;
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

    /// Tells the host what reading a key brought.
    async fn tell(&mut self, item: &Item, read: Read<'_>) -> Result<(), Error> {
        let mut gone: Vec<Event> = Vec::new();
        let mut applied: Vec<Object> = Vec::new();
        // It went, and what was read is another of its name.
        if item.gone
            && let Key::Volume(name) = &item.key
        {
            self.moby.volume_times.borrow_mut().forget(name);
            gone.push(removed(ObjectKind::Volume, name));
        }
        match read {
            Read::Container(container) => applied.push(container),
            Read::Volume(volume) => applied.push(listing::observe(self.moby, volume)),
            Read::Gone(object) => {
                let event = removed(object.kind, &object.id);
                match object.kind {
                    ObjectKind::Volume => self.moby.volume_times.borrow_mut().forget(&object.id),
                    _ => {
                        self.known.containers.remove(&object.id);
                    }
                }
                if !gone.contains(&event) {
                    gone.push(event);
                }
            }
            Read::Containers(ids) => {
                let mut stale = self.stale.borrow_mut();
                for id in self.known.containers.keys() {
                    if !ids.contains(id) {
                        stale.insert(Key::Container(id.clone()), true);
                    }
                }
                for id in ids {
                    if !self.known.containers.contains_key(&id) {
                        stale.insert(Key::Container(id), false);
                    }
                }
            }
            Read::HalfRemoved(now) => {
                let mut stale = self.stale.borrow_mut();
                for (id, known) in &self.known.containers {
                    let half = matches!(known, ContainerState::Dead | ContainerState::Removing);
                    let now = now.get(id);
                    if now.is_none() && half || now.is_some_and(|now| now != known) {
                        stale.insert(Key::Container(id.clone()), false);
                    }
                }
                // A burst has opened more.
                self.moby.api.trim(KEPT_CONNECTIONS);
            }
            Read::Images(found, _) => {
                let mut images = self.images.borrow_mut();
                applied.extend(
                    found
                        .into_iter()
                        .filter(|listed| images.note(listed))
                        .map(|listed| Object::Image(listed.image)),
                );
            }
            Read::Volumes(volumes) => {
                let listed: HashSet<&str> = volumes.iter().map(|v| v.name.as_str()).collect();
                let names = self
                    .moby
                    .volume_times
                    .borrow_mut()
                    .retain(|name| listed.contains(name));
                gone.extend(names.iter().map(|name| removed(ObjectKind::Volume, name)));
                applied.extend(volumes.into_iter().map(|v| listing::observe(self.moby, v)));
            }
            Read::Nothing => {}
        }
        self.send_gone(gone).await?;
        self.send(applied).await
    }

    /// Tells the host which images are gone, once all are listed.
    async fn forget_images(&mut self) -> Result<(), Error> {
        let gone = self.images.borrow_mut().end();
        let gone = gone.iter().map(|id| removed(ObjectKind::Image, id));
        self.send_gone(gone.collect()).await
    }

    async fn send_gone(&mut self, mut gone: Vec<Event>) -> Result<(), Error> {
        while !gone.is_empty() {
            let later = gone.split_off(gone.len().min(BATCH));
            self.sink.send(std::mem::replace(&mut gone, later)).await?;
        }
        Ok(())
    }
}

/// The next of these, or never while there are none.
async fn next_of<T: Future>(set: &mut FuturesUnordered<T>) -> T::Output {
    match set.next().await {
        Some(output) => output,
        None => std::future::pending().await,
    }
}

async fn read(moby: &Moby, item: Item) -> (Item, Result<Read<'_>, Error>) {
    let result = read_key(moby, &item).await;
    (item, result)
}

/// The next images of a listing. One that fails ends it: what was read before
/// it is read again.
async fn read_images(item: Item, mut images: Images<'_>) -> (Item, Result<Read<'_>, Error>) {
    let result = match images.next().await {
        Some(found) => {
            let found: Result<Vec<Listed>, Error> = found.into_iter().collect();
            found.map(|found| Read::Images(found, Some(images)))
        }
        None => Ok(Read::Images(Vec::new(), None)),
    };
    (item, result)
}

async fn read_key<'a>(moby: &'a Moby, item: &Item) -> Result<Read<'a>, Error> {
    match &item.key {
        // An ID is never used again: no need to look.
        Key::Container(id) if item.gone => Ok(gone(ObjectKind::Container, id)),
        // A container that was just removed may name itself oddly in its events.
        Key::Container(id) if name::container(id).is_err() => Ok(Read::Nothing),
        Key::Container(id) => match objects::container(&moby.api, id).await {
            Ok((container, _)) => Ok(Read::Container(Object::Container(record::container(
                container,
            )))),
            Err(error) if error.code == ErrorCode::NotFound => Ok(gone(ObjectKind::Container, id)),
            Err(error) => Err(error),
        },
        // A name that no URL can carry: the listing knows it.
        Key::Volume(name) if name::volume(name).is_err() => read_volumes(moby).await,
        Key::Volume(name) => match objects::volume(&moby.api, name).await {
            Ok((volume, _)) => Ok(Read::Volume(volume)),
            Err(error) if error.code == ErrorCode::NotFound => Ok(gone(ObjectKind::Volume, name)),
            Err(error) => Err(error),
        },
        Key::Containers => {
            let mut listing = objects::containers(&moby.api).await?;
            let mut ids = HashSet::new();
            while let Some(container) = listing.next().await? {
                ids.insert(container.id);
            }
            Ok(Read::Containers(ids))
        }
        Key::HalfRemoved => {
            let mut listing = match objects::half_removed(&moby.api).await {
                Ok(listing) => listing,
                // An engine that speaks the API and does not know the states.
                Err(error) if error.code == ErrorCode::InvalidArgument => {
                    return Ok(Read::Nothing);
                }
                Err(error) => return Err(error),
            };
            let mut found = HashMap::new();
            while let Some(container) = listing.next().await? {
                let container = record::container_of_summary(container);
                found.insert(container.id, container.state);
            }
            Ok(Read::HalfRemoved(found))
        }
        // They are read by `read_images`.
        Key::Images => Ok(Read::Nothing),
        Key::Volumes => read_volumes(moby).await,
    }
}

async fn read_volumes(moby: &Moby) -> Result<Read<'_>, Error> {
    let mut listing = objects::volumes(&moby.api).await?;
    let mut volumes = Vec::new();
    while let Some(volume) = listing.next().await? {
        volumes.push(volume);
    }
    Ok(Read::Volumes(volumes))
}

fn gone<'a>(kind: ObjectKind, id: &str) -> Read<'a> {
    Read::Gone(ObjectRef {
        kind,
        id: id.to_owned(),
    })
}

fn removed(kind: ObjectKind, id: &str) -> Event {
    Event::Removed(ObjectRef {
        kind,
        id: id.to_owned(),
    })
}

fn retry_after(failures: u32) -> Duration {
    let wait = FIRST_RETRY.saturating_mul(1 << failures.min(MAX_DOUBLINGS));
    wait.min(LAST_RETRY)
}
