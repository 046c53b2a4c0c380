//! The listing that a watch begins with, and begins again with.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
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
        let volumes = objects::volumes(&self.moby.api).await?;
        let names: HashSet<&str> = volumes.iter().map(|volume| &*volume.name).collect();
        self.moby
            .volume_times
            .borrow_mut()
            .retain(|name| names.contains(name));
        let objects = volumes
            .into_iter()
            .map(|volume| observe(self.moby, volume))
            .collect();
        self.send(objects).await
    }

    async fn list_images(&mut self) -> Result<(), Error> {
        let images = images::read(self.moby, &self.known).await?;
        self.known.images.clear();
        self.send(images.into_iter().map(Object::Image).collect())
            .await
    }

    async fn list_containers(&mut self) -> Result<(), Error> {
        let listed = objects::containers(&self.moby.api).await?;
        self.known = Known {
            images: std::mem::take(&mut self.known.images),
            ..Known::default()
        };
        let moby = self.moby;
        let mut containers = stream::iter(listed)
            .map(|summary| one(moby, summary))
            .buffer_unordered(CONCURRENCY)
            .ready_chunks(BATCH);
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
