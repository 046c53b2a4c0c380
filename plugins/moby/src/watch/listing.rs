//! The listing at the beginning of a watch, and after lost events.

use std::collections::HashSet;
use std::pin::pin;

use futures::stream::StreamExt;
use rdd_sdk::types::{Error, ErrorCode, Event, LogLevel, Object};

use super::{BATCH_SIZE, CONCURRENCY, EngineWatch, ReportedSet, image_cache};
use crate::backend::MobyBackend;
use crate::stale_set::StaleKey;
use crate::{model, objects, record, time};

impl EngineWatch<'_> {
    /// Lists all objects and reports them to the host.
    pub(super) async fn list(&mut self) -> Result<(), Error> {
        // The listing below reads all objects that are stale now. Objects that
        // become stale from now on are read after it.
        self.stale.borrow_mut().clear();
        self.sink.send(vec![Event::InitBegin]).await?;
        self.list_volumes().await?;
        self.list_images().await?;
        self.list_containers().await?;
        self.sink.send(vec![Event::InitDone]).await
    }

    async fn list_volumes(&mut self) -> Result<(), Error> {
        let mut listing = objects::list_volumes(&self.moby.client).await?;
        let mut names = HashSet::new();
        let mut objects = Vec::with_capacity(BATCH_SIZE);
        while let Some(volume) = listing.next().await? {
            names.insert(volume.name.clone());
            objects.push(volume_object(self.moby, volume));
            if objects.len() >= BATCH_SIZE {
                self.send_applied(std::mem::take(&mut objects)).await?;
            }
        }
        self.moby
            .volume_times
            .borrow_mut()
            .retain(|name| names.contains(name));
        self.send_applied(objects).await
    }

    async fn list_images(&mut self) -> Result<(), Error> {
        self.images.borrow_mut().begin_listing();
        let images = image_cache::list(self.moby, self.images).ready_chunks(BATCH_SIZE);
        let mut images = pin!(images);
        while let Some(batch) = images.next().await {
            let mut objects = Vec::with_capacity(batch.len());
            for listed in batch {
                let listed = listed?;
                self.images.borrow_mut().update(&listed);
                objects.push(Object::Image(listed.image));
            }
            self.send_applied(objects).await?;
        }
        self.images.borrow_mut().finish_listing();
        Ok(())
    }

    async fn list_containers(&mut self) -> Result<(), Error> {
        let listing = objects::list_containers(&self.moby.client).await?;
        self.reported = ReportedSet::default();
        let moby = self.moby;
        let containers = listing
            .into_stream()
            .map(|summary| async move { inspect_listed(moby, summary?).await })
            .buffer_unordered(CONCURRENCY)
            .ready_chunks(BATCH_SIZE);
        let mut containers = pin!(containers);
        while let Some(batch) = containers.next().await {
            let mut objects = Vec::with_capacity(batch.len());
            for container in batch {
                match container? {
                    InspectOutcome::Complete(object) => objects.push(object),
                    InspectOutcome::Partial(object, key) => {
                        objects.push(object);
                        self.stale.borrow_mut().insert(key, false);
                    }
                    InspectOutcome::NotFound => {}
                }
            }
            self.send_applied(objects).await?;
        }
        Ok(())
    }

    /// Reports objects to the host.
    pub(super) async fn send_applied(&mut self, objects: Vec<Object>) -> Result<(), Error> {
        let mut events = Vec::with_capacity(objects.len().min(BATCH_SIZE));
        for object in objects {
            events.push(self.applied_event(object));
            if events.len() >= BATCH_SIZE {
                self.sink.send(std::mem::take(&mut events)).await?;
            }
        }
        self.sink.send(events).await
    }
}

/// Converts a volume that may have been replaced to the object to report.
pub(super) fn volume_object(moby: &MobyBackend, volume: model::Volume) -> Object {
    let created = moby
        .volume_times
        .borrow_mut()
        .observe(&volume.name, time::parse(&volume.created_at));
    Object::Volume(record::volume_from_model(volume, created))
}

/// The outcome of the inspection of a listed container.
enum InspectOutcome {
    /// The container.
    Complete(Object),
    /// The inspection failed: the fields from the list response, and the key to
    /// read again.
    Partial(Object, StaleKey),
    /// The container was removed after it was listed.
    NotFound,
}

async fn inspect_listed(
    moby: &MobyBackend,
    summary: model::ContainerSummary,
) -> Result<InspectOutcome, Error> {
    match objects::inspect_container(&moby.client, &summary.id).await {
        Ok((container, _)) => {
            let container = record::container_from_inspect(container);
            Ok(InspectOutcome::Complete(Object::Container(container)))
        }
        Err(error) => match error.code {
            ErrorCode::NotFound => Ok(InspectOutcome::NotFound),
            ErrorCode::Unavailable | ErrorCode::PermissionDenied => Err(error),
            _ => {
                moby.host.log(
                    LogLevel::Warn,
                    &format!("cannot inspect container {}: {}", summary.id, error.message),
                );
                let key = StaleKey::Container(summary.id.clone());
                let container = record::container_from_summary(summary);
                Ok(InspectOutcome::Partial(Object::Container(container), key))
            }
        },
    }
}
