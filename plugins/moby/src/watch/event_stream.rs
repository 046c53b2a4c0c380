//! The engine's event stream. It is read without delay, since the engine drops
//! events for slow readers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use rdd_sdk::Host;
use rdd_sdk::http::ResponseBody;
use rdd_sdk::types::Error;

use crate::backend::MobyBackend;
use crate::event::{EventDecoder, events_path, watch_filters};
use crate::stale_set::StaleSet;
use crate::time;

/// The resolution of the engine's clock. Events of this period before the
/// subscription are replayed, so that none are lost in between.
const CLOCK_RESOLUTION_SECONDS: i64 = 1;

/// The minimum size of a batch of events.
const BATCH_BYTES: usize = 256 * 1024;

/// The size of a batch from which on the engine may have sent events faster than
/// they were read. It queues about 1,000 events for a reader and silently drops
/// further ones.
const BURST_BYTES: usize = 64 * 1024;

/// The pause after which a burst is over.
const BURST_END_PAUSE: Duration = Duration::from_secs(1);

/// The number of batches after which a burst counts as over, since some engines
/// send without a pause.
const MAX_BURST_BATCHES: u32 = 1_000;

/// A subscription to the engine's events.
pub(super) struct EventStream(ResponseBody);

impl EventStream {
    /// Subscribes to events, from shortly before now.
    pub(super) async fn open(moby: &MobyBackend) -> Result<Self, Error> {
        let ping = moby.client.negotiate().await?;
        let since = ping
            .now
            .map(|now| time::add_seconds(now, -CLOCK_RESOLUTION_SECONDS));
        let path = events_path(&watch_filters(), since, None);
        let (_, body) = moby.client.stream(&path).await?;
        Ok(Self(body))
    }

    /// Records the change of each event until the stream ends, and returns the
    /// reason for the end.
    pub(super) async fn run(self, host: &Host, stale: &RefCell<StaleSet>) -> Error {
        let Err(error) = self.read(host, stale).await;
        error
    }

    async fn read(self, host: &Host, stale: &RefCell<StaleSet>) -> Result<Infallible, Error> {
        let Self(mut body) = self;
        let mut decoder = EventDecoder::default();
        // The number of batches since the beginning of the burst.
        let mut burst: Option<u32> = None;
        loop {
            let mut received = 0;
            let take = |bytes: Bytes| {
                received += bytes.len();
                decoder.push(&bytes, |change| stale.borrow_mut().record_change(change));
            };
            let more = {
                let batch = pin!(body.read_batch(BATCH_BYTES, take));
                match burst {
                    None => Some(batch.await?),
                    Some(_) => match select(batch, pin!(host.sleep(BURST_END_PAUSE))).await {
                        Either::Left((more, _)) => Some(more?),
                        Either::Right(((), _)) => None,
                    },
                }
            };
            if more == Some(false) {
                return Err(Error::unavailable("the engine closed the event stream"));
            }
            burst = match burst {
                Some(batches) if more.is_none() || batches >= MAX_BURST_BATCHES => {
                    stale.borrow_mut().mark_everything();
                    None
                }
                Some(batches) => Some(batches + 1),
                None => (received >= BURST_BYTES).then_some(0),
            };
        }
    }
}
