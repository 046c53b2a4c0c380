//! The engine's event stream, read without pause.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use rdd_sdk::Host;
use rdd_sdk::http::Body;
use rdd_sdk::types::Error;

use super::stale::Stale;
use crate::backend::Moby;
use crate::event::{Decoder, path};
use crate::time;

/// The engine's clock is known to the second below: events that are so many
/// seconds older are asked for again.
const CLOCK_STEP: i64 = 1;

/// Events that are taken at once.
const BATCH: usize = 256 * 1024;

/// So many bytes at hand at once mean that the engine has sent faster than
/// they were read. It keeps some 1,000 events for a reader and drops what
/// comes after, without a word.
const BURST: usize = 64 * 1024;

/// A burst is over after a pause of this length ...
const CALM: Duration = Duration::from_secs(1);

/// ... or is dealt with after so many batches, as some engines never pause.
const MAX_BURST_BATCHES: u32 = 1_000;

/// A subscription to the engine's events.
pub(super) struct Feed(Body);

impl Feed {
    /// Subscribes, from a moment before now.
    pub(super) async fn open(moby: &Moby) -> Result<Self, Error> {
        let ping = moby.api.negotiate().await?;
        let since = ping.now.map(|now| time::shift(now, -CLOCK_STEP));
        let (_, body) = moby.api.open(&path(since)).await?;
        Ok(Self(body))
    }

    /// Notes what each event makes stale, until the stream ends.
    pub(super) async fn read(self, host: &Host, stale: &RefCell<Stale>) -> Error {
        let Err(error) = self.read_on(host, stale).await;
        error
    }

    async fn read_on(self, host: &Host, stale: &RefCell<Stale>) -> Result<Infallible, Error> {
        let Self(mut body) = self;
        let mut decoder = Decoder::default();
        let mut burst: Option<u32> = None;
        loop {
            let mut given = 0;
            let take = |bytes: Bytes| {
                given += bytes.len();
                decoder.push(&bytes, |change| stale.borrow_mut().note(change));
            };
            let more = {
                let batch = pin!(body.read_batch(BATCH, take));
                match burst {
                    None => Some(batch.await?),
                    Some(_) => match select(batch, pin!(host.sleep(CALM))).await {
                        Either::Left((more, _)) => Some(more?),
                        Either::Right(((), _)) => None,
                    },
                }
            };
            if more == Some(false) {
                return Err(Error::unavailable("the engine closed its event stream"));
            }
            burst = match burst {
                Some(batches) if more.is_none() || batches >= MAX_BURST_BATCHES => {
                    stale.borrow_mut().note_everything();
                    None
                }
                Some(batches) => Some(batches + 1),
                None => (given >= BURST).then_some(0),
            };
        }
    }
}
