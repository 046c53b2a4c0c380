//! The listing that a watch begins with, and begins again with.

use std::collections::HashSet;
use std::pin::pin;

use futures::stream::StreamExt;
use rdd_sdk::types::{Error, ErrorCode, Event, LogLevel, Object};

use super::stale::Key;
use super::{BATCH, CONCURRENCY, Known, Watch, images};
use crate::backend::Moby;
use crate::{model, objects, record, time};

impl Watch<'_> {
    /// Tells the host everything there is.
    pub(super) async fn list(&mut self) -> Result<(), Error> {
        // What was stale until now is read below; what becomes stale from now
        // on is read again.
        self.stale.borrow_mut().clear();
        self.sink.send(vec![Event::InitBegin]).await?;
        self.list_volumes().await?;
        self.list_images().await?;
        self.list_containers().await?;
        self.sink.send(vec![Event::InitDone]).await
    }

    async fn list_volumes(&mut self) -> Result<(), Error> {
        let mut listing = objects::volumes(&self.moby.api).await?;
        let mut names = HashSet::new();
        let mut objects = Vec::with_capacity(BATCH);
        while let Some(volume) = listing.next().await? {
            names.insert(volume.name.clone());
            objects.push(observe(self.moby, volume));
            if objects.len() >= BATCH {
                self.send(std::mem::take(&mut objects)).await?;
            }
        }
        self.moby
            .volume_times
            .borrow_mut()
            .retain(|name| names.contains(name));
        self.send(objects).await
    }

    async fn list_images(&mut self) -> Result<(), Error> {
        self.images.borrow_mut().begin();
        let mut images = pin!(images::read(self.moby, self.images).ready_chunks(BATCH));
        while let Some(found) = images.next().await {
            let mut objects = Vec::with_capacity(found.len());
            for listed in found {
                let listed = listed?;
                self.images.borrow_mut().note(&listed);
                objects.push(Object::Image(listed.image));
            }
            self.send(objects).await?;
        }
        self.images.borrow_mut().end();
        Ok(())
    }

    async fn list_containers(&mut self) -> Result<(), Error> {
        let listing = objects::containers(&self.moby.api).await?;
        self.known = Known::default();
        let moby = self.moby;
        let containers = listing
            .into_stream()
            .map(|summary| async move { one(moby, summary?).await })
            .buffer_unordered(CONCURRENCY)
            .ready_chunks(BATCH);
        let mut containers = pin!(containers);
        while let Some(found) = containers.next().await {
            let mut objects = Vec::with_capacity(found.len());
            for container in found {
                match container? {
                    Found::Whole(object) => objects.push(object),
                    Found::Part(object, key) => {
                        objects.push(object);
                        self.stale.borrow_mut().insert(key, false);
                    }
                    Found::Gone => {}
                }
            }
            self.send(objects).await?;
        }
        Ok(())
    }

    /// Tells the host of these objects.
    pub(super) async fn send(&mut self, objects: Vec<Object>) -> Result<(), Error> {
        let mut events = Vec::with_capacity(objects.len().min(BATCH));
        for object in objects {
            events.extend(self.applied(object));
            if events.len() >= BATCH {
                self.sink.send(std::mem::take(&mut events)).await?;
            }
        }
        self.sink.send(events).await
    }
}

/// The volume as it is told to the host.
pub(super) fn observe(moby: &Moby, volume: model::Volume) -> Object {
    let created = moby
        .volume_times
        .borrow_mut()
        .observe(&volume.name, time::parse(&volume.created_at));
    Object::Volume(record::volume(volume, created))
}

/// A listed container.
enum Found {
    Whole(Object),
    /// The engine cannot inspect it now: what the listing said of it, and
    /// what to read again.
    Part(Object, Key),
    /// It went since it was listed.
    Gone,
}

async fn one(moby: &Moby, summary: model::ContainerSummary) -> Result<Found, Error> {
    match objects::container(&moby.api, &summary.id).await {
        Ok((container, _)) => Ok(Found::Whole(Object::Container(record::container(
            container,
        )))),
        Err(error) => match error.code {
            ErrorCode::NotFound => Ok(Found::Gone),
            ErrorCode::Unavailable | ErrorCode::PermissionDenied => Err(error),
            _ => {
                moby.host.log(
                    LogLevel::Warn,
                    &format!(
                        "container {} cannot be inspected: {}",
                        summary.id, error.message
                    ),
                );
                let key = Key::Container(summary.id.clone());
                let object = Object::Container(record::container_of_summary(summary));
                Ok(Found::Part(object, key))
            }
        },
    }
}
