//! The responses to `list` and `watch`.

use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use rdd_core::EngineObject;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::connection_input::ConnectionError;
use crate::object_lines::put_object;
use crate::protocol::{kind_word, put_line};
use crate::state::{ObjectChange, SharedEngine};

/// The number of objects or changes that are encoded at once.
const STEP: usize = 256;

/// Sends every object.
pub(crate) async fn list<W: AsyncWrite + Unpin>(
    shared: &SharedEngine,
    writer: &mut W,
) -> Result<(), ConnectionError> {
    let objects: Vec<_> = shared.lock().objects.values().cloned().collect();
    put_objects(&objects, writer).await
}

/// Sends a listing, then each change, without an end.
pub(crate) async fn watch<W: AsyncWrite + Unpin>(
    shared: &SharedEngine,
    writer: &mut W,
) -> Result<(), ConnectionError> {
    loop {
        let (objects, mut next) = {
            let state = shared.lock();
            let objects: Vec<_> = state.objects.values().cloned().collect();
            (objects, state.change_count())
        };
        writer.write_all(b"begin\n").await?;
        put_objects(&objects, writer).await?;
        drop(objects);
        writer.write_all(b"ready\n").await?;
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            let changes = shared.lock().changes_from(next, STEP);
            let Some(changes) = changes else {
                // Changes were lost for this reader: begin again.
                break;
            };
            if changes.is_empty() {
                changed.await;
                continue;
            }
            next += changes.len() as u64;
            writer.write_all(&encode(&changes)).await?;
        }
    }
}

async fn put_objects<W: AsyncWrite + Unpin>(
    objects: &[Arc<EngineObject>],
    writer: &mut W,
) -> Result<(), ConnectionError> {
    for objects in objects.chunks(STEP) {
        let mut buffer = BytesMut::new();
        for object in objects {
            put_object(&mut buffer, object);
        }
        writer.write_all(&buffer).await?;
    }
    Ok(())
}

fn encode(changes: &[ObjectChange]) -> BytesMut {
    let mut buffer = BytesMut::new();
    for change in changes {
        match change {
            ObjectChange::Applied(object) => put_object(&mut buffer, object),
            ObjectChange::Removed(reference) => put_line(
                &mut buffer,
                &[
                    &"removed",
                    &kind_word(reference.kind),
                    &reference.namespace,
                    &reference.id,
                ],
            ),
        }
    }
    buffer
}
