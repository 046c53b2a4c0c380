//! Reading what is stale, side by side, and telling the host.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, StreamExt};
use rdd_sdk::types::{Error, ErrorCode, Event, Image, LogLevel, Object, ObjectKind, ObjectRef};

use super::stale::{Item, Key, due};
use super::{BATCH, CONCURRENCY, Known, Watch, images, listing};
use crate::backend::Moby;
use crate::{model, name, objects, record};

/// The first wait before an object is read again that could not be read.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest such wait.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Waits double until this many, which is beyond the longest.
const MAX_DOUBLINGS: u32 = 6;

/// What reading a stale key brought.
enum Read {
    Container(Object),
    Volume(model::Volume),
    /// It is not there (any more).
    Gone(ObjectRef),
    Containers(Vec<model::ContainerSummary>),
    Images(Vec<Image>),
    Volumes(Vec<model::Volume>),
    Nothing,
}

type Reading<'a> = LocalBoxFuture<'a, (Item, Result<Read, Error>)>;

impl Watch<'_> {
    /// Reads what becomes stale, until a new listing is due.
    pub(super) async fn follow(&mut self) -> Result<(), Error> {
        let moby = self.moby;
        let stale = self.stale;
        let mut reading: FuturesUnordered<Reading<'_>> = FuturesUnordered::new();
        let mut waiting: FuturesUnordered<LocalBoxFuture<'_, Key>> = FuturesUnordered::new();
        let mut busy: HashSet<Key> = HashSet::new();
        let mut failures: HashMap<Key, u32> = HashMap::new();
        loop {
            if stale.borrow().is_everything() {
                return Ok(());
            }
            let free = reading.len() < CONCURRENCY;
            if free && let Some(item) = stale.borrow_mut().take(&busy) {
                busy.insert(item.key.clone());
                // Images are compared with what is known at this moment; as
                // their key is busy, nobody else changes that meanwhile.
                let known = match item.key {
                    Key::Images => Known {
                        images: self.known.images.clone(),
                        ..Known::default()
                    },
                    _ => Known::default(),
                };
                reading.push(read(moby, known, item).boxed_local());
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
                        stale.borrow_mut().insert(key, false);
                        None
                    }
                }
            };
            let Some((item, result)) = next else { continue };
            busy.remove(&item.key);
            match result {
                Ok(read) => {
                    failures.remove(&item.key);
                    self.tell(&item, read).await?;
                }
                Err(error) => {
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
                    if item.gone {
                        stale.borrow_mut().insert(item.key.clone(), true);
                    }
                    let key = item.key;
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

    /// Tells the host what reading a key brought.
    async fn tell(&mut self, item: &Item, read: Read) -> Result<(), Error> {
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
            Read::Containers(listed) => {
                let ids: HashSet<&str> = listed.iter().map(|c| c.id.as_str()).collect();
                let mut stale = self.stale.borrow_mut();
                for id in &self.known.containers {
                    if !ids.contains(id.as_str()) {
                        stale.insert(Key::Container(id.clone()), true);
                    }
                }
                for id in ids {
                    if !self.known.containers.contains(id) {
                        stale.insert(Key::Container(id.to_owned()), false);
                    }
                }
            }
            Read::Images(images) => {
                (applied, gone) = images::difference(&self.known, images);
                for event in &gone {
                    if let Event::Removed(object) = event {
                        self.known.images.remove(&object.id);
                    }
                }
            }
            Read::Volumes(volumes) => {
                let there: HashSet<&str> = volumes.iter().map(|volume| &*volume.name).collect();
                let names = self
                    .moby
                    .volume_times
                    .borrow_mut()
                    .retain(|name| there.contains(name));
                gone.extend(names.iter().map(|name| removed(ObjectKind::Volume, name)));
                applied.extend(volumes.into_iter().map(|v| listing::observe(self.moby, v)));
            }
            Read::Nothing => {}
        }
        let mut gone = gone.into_iter();
        while gone.len() > 0 {
            self.sink.send(gone.by_ref().take(BATCH).collect()).await?;
        }
        self.send(applied).await
    }
}

/// The next of these, or never while there are none.
async fn next_of<T: Future>(set: &mut FuturesUnordered<T>) -> T::Output {
    match set.next().await {
        Some(output) => output,
        None => std::future::pending().await,
    }
}

async fn read(moby: &Moby, known: Known, item: Item) -> (Item, Result<Read, Error>) {
    let result = read_key(moby, &known, &item).await;
    (item, result)
}

async fn read_key(moby: &Moby, known: &Known, item: &Item) -> Result<Read, Error> {
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
        Key::Volume(name) if name::volume(name).is_err() => {
            objects::volumes(&moby.api).await.map(Read::Volumes)
        }
        Key::Volume(name) => match objects::volume(&moby.api, name).await {
            Ok((volume, _)) => Ok(Read::Volume(volume)),
            Err(error) if error.code == ErrorCode::NotFound => Ok(gone(ObjectKind::Volume, name)),
            Err(error) => Err(error),
        },
        Key::Containers => objects::containers(&moby.api).await.map(Read::Containers),
        Key::Images => images::read(moby, known).await.map(Read::Images),
        Key::Volumes => objects::volumes(&moby.api).await.map(Read::Volumes),
    }
}

fn gone(kind: ObjectKind, id: &str) -> Read {
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
