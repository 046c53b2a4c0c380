//! The watch: a listing, then every change.
//!
//! No change is missed. The watch first subscribes to the engine's events, from
//! a time before the subscription by the engine's own clock, and then lists the
//! objects. An event does not carry state; it only marks an object as stale, and
//! a stale object is read again. So events may be repeated, late, or batched.
//!
//! If the event stream ends, the watch ends with `unavailable`: the engine
//! stopped or restarted. The host reports this and starts the watch again. If
//! events may have been lost on an open stream (the engine silently drops them
//! for slow readers), the watch starts over with a new listing.

mod event_stream;
mod listing;
mod refresh;

mod image_cache;

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use rdd_sdk::Host;
use rdd_sdk::types::{ContainerState, Error, Event, LogLevel, Object};
use rdd_sdk::{WatchResponder, WatchSink};

use crate::backend::MobyBackend;
use crate::record;
use crate::stale_set::{StaleKey, StaleSet};
use event_stream::EventStream;
use image_cache::ImageCache;

/// The maximum number of objects that are read concurrently. More did not make
/// the first listing faster.
const CONCURRENCY: usize = 12;

/// The number of idle connections to keep after a listing, so that changes are
/// read without delay.
const KEPT_CONNECTIONS: usize = 2;

/// The maximum number of objects or events in a batch.
const BATCH_SIZE: usize = 64;

/// The interval at which half-removed containers are listed. The engine sends no
/// event when a removal fails and leaves a container `dead`.
const HALF_REMOVED_INTERVAL: Duration = Duration::from_secs(10);

/// Watches the engine until the watch fails or is stopped.
pub(crate) async fn run(moby: &MobyBackend, responder: WatchResponder) -> Result<(), Error> {
    let events = EventStream::open(moby).await?;
    let images = RefCell::default();
    let mut watch = EngineWatch {
        moby,
        stale: &moby.stale,
        sink: responder.accept(),
        reported: ReportedSet::default(),
        images: &images,
    };
    // Events are read even while the host is busy, since the engine drops them
    // for slow readers.
    let events = pin!(events.run(&moby.host, &moby.stale));
    let poll = pin!(poll_half_removed(&moby.host, &moby.stale));
    let watch = pin!(watch.run());
    match select(events, select(watch, poll)).await {
        Either::Left((error, _)) | Either::Right((Either::Left((error, _)), _)) => Err(error),
        Either::Right((Either::Right((never, _)), _)) => match never {},
    }
}

/// Marks the list of half-removed containers as stale at intervals.
async fn poll_half_removed(host: &Host, stale: &RefCell<StaleSet>) -> Infallible {
    loop {
        host.sleep(HALF_REMOVED_INTERVAL).await;
        stale.borrow_mut().insert(StaleKey::HalfRemoved, false);
    }
}

/// The part of a watch that reads stale objects and reports them to the host.
struct EngineWatch<'a> {
    moby: &'a MobyBackend,
    /// Never borrowed across an await.
    stale: &'a RefCell<StaleSet>,
    sink: WatchSink,
    reported: ReportedSet,
    /// Never borrowed across an await. Kept for a new listing, since the details
    /// of an image never change.
    images: &'a RefCell<ImageCache>,
}

/// The objects that were reported to the host, except images.
#[derive(Default)]
struct ReportedSet {
    containers: HashMap<String, ContainerState>,
}

impl EngineWatch<'_> {
    /// Lists the objects and follows their changes. Returns the error that ended
    /// the watch.
    async fn run(&mut self) -> Error {
        loop {
            if let Err(error) = self.list().await {
                return error;
            }
            self.moby.client.close_idle(KEPT_CONNECTIONS);
            if let Err(error) = self.follow().await {
                return error;
            }
            self.moby.host.log(
                LogLevel::Info,
                "events may have been lost; listing all objects again",
            );
        }
    }

    /// Converts an object within the contract's limits to an event.
    fn applied_event(&mut self, mut object: Object) -> Event {
        if record::fit_to_limits(&mut object) {
            self.moby.host.log(
                LogLevel::Warn,
                "an object of the engine is too large; reporting it without some of its fields",
            );
        }
        if let Object::Container(container) = &object {
            self.reported
                .containers
                .insert(container.id.clone(), container.state);
        }
        Event::Applied(object)
    }
}
