//! Follows the engine: a listing, then every change.
//!
//! Without gaps: the engine's events are subscribed first, from a moment by
//! its own clock that lies before the subscription, and only then is anything
//! listed. An event carries no state, it only makes an object stale, and what
//! is stale is read again; so events may come twice, late or in a bundle.
//!
//! An event stream that ends, ends the watch with `unavailable`: the engine is
//! gone or restarts, and the host, which shows that, connects again. Where
//! events may have been lost on a stream that lives (the engine drops them for
//! a reader that is slow, and says nothing), a whole new listing follows.

mod feed;
mod images;
mod listing;
mod refresh;
mod stale;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use rdd_sdk::Host;
use rdd_sdk::types::{ContainerState, Error, Event, LogLevel, Object};
use rdd_sdk::{WatchResponder, WatchSink};

use crate::backend::Moby;
use crate::record;
use feed::Feed;
use images::Images;
use stale::Key;
pub(crate) use stale::Stale;

/// Objects that are read side by side. More made the first listing no faster.
const CONCURRENCY: usize = 12;

/// Connections that stay open after a listing: a change is read at once.
const KEPT_CONNECTIONS: usize = 2;

/// Events that cross to the host at once.
const BATCH: usize = 64;

/// How often the engine is asked for what it has no event for: a removal that
/// failed half-way leaves a container `dead` without a word.
const HALF_REMOVED: Duration = Duration::from_secs(10);

/// Answers `watch`.
pub(crate) async fn run(moby: &Moby, responder: WatchResponder) -> Result<(), Error> {
    let feed = Feed::open(moby).await?;
    let images = RefCell::default();
    let mut watch = Watch {
        moby,
        stale: &moby.stale,
        sink: responder.accept(),
        known: Known::default(),
        images: &images,
    };
    // The feed is read whatever else goes on, even while the host is busy:
    // the engine drops events for a reader that lags.
    let reading = pin!(feed.read(&moby.host, &moby.stale));
    let asking = pin!(ask(&moby.host, &moby.stale));
    let working = pin!(watch.run());
    match select(reading, select(working, asking)).await {
        Either::Left((error, _)) | Either::Right((Either::Left((error, _)), _)) => Err(error),
        Either::Right((Either::Right((never, _)), _)) => match never {},
    }
}

/// Has the engine asked, now and then, for what it has no event for.
async fn ask(host: &Host, stale: &RefCell<Stale>) -> std::convert::Infallible {
    loop {
        host.sleep(HALF_REMOVED).await;
        stale.borrow_mut().insert(Key::HalfRemoved, false);
    }
}

/// The working half of a watch: reads what is stale and tells the host.
struct Watch<'a> {
    moby: &'a Moby,
    /// Never borrowed across an await.
    stale: &'a RefCell<Stale>,
    sink: WatchSink,
    known: Known,
    /// Never borrowed across an await. Kept over a new listing: what an image
    /// is never changes.
    images: &'a RefCell<Images>,
}

/// What the host was told of, but images.
#[derive(Default)]
struct Known {
    containers: HashMap<String, ContainerState>,
    /// But moby's own, which always exists.
    namespaces: HashSet<String>,
}

impl Watch<'_> {
    /// Lists, then follows; returns why that ended.
    async fn run(&mut self) -> Error {
        loop {
            if let Err(error) = self.list().await {
                return error;
            }
            self.moby.api.trim(KEPT_CONNECTIONS);
            if let Err(error) = self.follow().await {
                return error;
            }
            self.moby.host.log(
                LogLevel::Info,
                "events may have been lost: listing everything again",
            );
        }
    }

    /// Makes events of objects: namespaces before what lies in them, and all
    /// within the contract's limits.
    fn applied(&mut self, mut object: Object) -> impl Iterator<Item = Event> + use<> {
        if record::fit(&mut object) {
            self.moby.host.log(
                LogLevel::Warn,
                "an object of the engine is too large: parts of it are left out",
            );
        }
        let mut namespace = None;
        match &object {
            Object::Container(container) => {
                self.known
                    .containers
                    .insert(container.id.clone(), container.state);
                if container.namespace != record::NAMESPACE
                    && self.known.namespaces.insert(container.namespace.clone())
                {
                    namespace = Some(Object::Namespace(container.namespace.clone()));
                }
            }
            Object::Image(_) | Object::Volume(_) | Object::Namespace(_) => {}
        }
        namespace.into_iter().chain([object]).map(Event::Applied)
    }
}
