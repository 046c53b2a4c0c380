//! A client of `rdd.logs-mux.v1` that continues where it was when the connection
//! is lost.

mod credit_ledger;
mod log_event;
mod messages;
mod subscription;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

pub(crate) use self::credit_ledger::CreditLedger;
use self::log_event::display_code;
pub(crate) use self::log_event::{LogEvent, SubscriptionFailure, SubscriptionRef};
use self::messages::{ClientMessage, EntriesMessage, ServerMessage};
pub(crate) use self::messages::{FollowMode, LogEntry, LogRange, LogSelection};
pub(crate) use self::subscription::LogId;
use self::subscription::Subscription;
use super::receive::{CLOSE_TIMEOUT, PONG_INTERVAL};
use super::socket::{ConnectError, LogEndpoint, connect};
use crate::state_dir::StateDir;

const SUBPROTOCOL: &str = "rdd.logs-mux.v1";

/// The subscriptions of one connection.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 64;

/// How long a log that was interrupted is tried to be resumed: a daemon or an
/// engine that is updated is back by then.
const MAX_INTERRUPTION: Duration = Duration::from_secs(5 * 60);

/// The delays between attempts.
const MIN_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// A connection that lived this long has recovered.
const RECOVERY: Duration = Duration::from_secs(10);

/// Why a connection ended before its logs.
#[derive(Debug)]
struct Interruption(anyhow::Error);

/// The connection to the daemon for up to [`MAX_SUBSCRIPTIONS`] subscriptions.
pub(crate) struct MuxClient {
    state_dir: StateDir,
    subscriptions: Vec<Subscription>,
    ledger: Arc<CreditLedger>,
    events: mpsc::Sender<LogEvent>,
    /// The log of each source of the current connection, and its subscription.
    sources: HashMap<u32, LogId>,
    /// Whether entries have arrived on the current connection.
    has_progress: bool,
}

impl MuxClient {
    pub(crate) fn new(
        state_dir: StateDir,
        selections: impl IntoIterator<Item = LogSelection>,
        range: &LogRange,
        follow: FollowMode,
        events: mpsc::Sender<LogEvent>,
    ) -> Self {
        let subscriptions = (1..)
            .zip(selections)
            .map(|(id, selection)| Subscription::new(id, selection, range.clone(), follow));
        Self {
            state_dir,
            subscriptions: subscriptions.collect(),
            ledger: Arc::default(),
            events,
            sources: HashMap::new(),
            has_progress: false,
        }
    }

    /// Receives the logs until all have ended, or nobody receives the events.
    ///
    /// # Errors
    ///
    /// Fails if the daemon rejects the first connection, or if a later one is not
    /// possible for [`MAX_INTERRUPTION`].
    pub(crate) async fn run(mut self) -> Result<()> {
        let mut delays = None;
        loop {
            let begun = Instant::now();
            let Interruption(reason) = match self.connect_once().await {
                Ok(()) => return Ok(()),
                Err(interruption) => interruption,
            };
            let is_rejected = reason
                .downcast_ref()
                .is_some_and(|error: &ConnectError| !error.is_retryable());
            if is_rejected || !self.subscriptions.iter().any(|it| it.has_begun) {
                return Err(reason);
            }
            if self.has_progress || begun.elapsed() >= RECOVERY {
                delays = None;
            }
            if delays.is_none() {
                let reason = crate::output::format_error_chain(&reason);
                self.send(LogEvent::Interrupted { reason }).await;
            }
            let delays = delays.get_or_insert_with(|| {
                ExponentialBuilder::default()
                    .with_min_delay(MIN_DELAY)
                    .with_max_delay(MAX_DELAY)
                    .without_max_times()
                    .with_total_delay(Some(MAX_INTERRUPTION))
                    .build()
            });
            let Some(delay) = delays.next() else {
                return Err(reason.context(
                    "the log was interrupted, and could not be resumed within 5 minutes",
                ));
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.events.closed() => return Ok(()),
            }
        }
    }

    async fn connect_once(&mut self) -> Result<(), Interruption> {
        self.sources.clear();
        self.has_progress = false;
        // The daemon may have another address now.
        let endpoint = LogEndpoint::discover(&self.state_dir)
            .map_err(|error| Interruption(ConnectError::Unreachable(error).into()))?;
        let connecting = connect(&endpoint, "logs", "", SUBPROTOCOL);
        let mut socket = tokio::select! {
            socket = connecting => socket.map_err(|error| Interruption(error.into()))?,
            () = self.events.closed() => return Ok(()),
        };
        self.exchange(&mut socket).await?;
        // The logs have ended, and the daemon need not know why.
        let closing = async {
            socket.close(None).await.ok();
            while let Some(Ok(_)) = socket.next().await {}
        };
        timeout(CLOSE_TIMEOUT, closing).await.ok();
        Ok(())
    }

    /// Subscribes, and receives until all subscriptions have ended.
    async fn exchange<S>(&mut self, socket: &mut S) -> Result<(), Interruption>
    where
        S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
    {
        for subscription in self.subscriptions.iter().filter(|it| !it.is_over) {
            let credit = self.ledger.begin(subscription.id);
            for message in subscription.messages(credit) {
                send(socket, &message).await?;
            }
        }
        let events = self.events.clone();
        let ledger = Arc::clone(&self.ledger);
        let mut pong = interval(PONG_INTERVAL);
        pong.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut permit = None;
        while self.subscriptions.iter().any(|it| !it.is_over) {
            let message = tokio::select! {
                reserved = events.reserve(), if permit.is_none() => match reserved {
                    Ok(reserved) => {
                        permit = Some(reserved);
                        continue;
                    }
                    Err(_) => return Ok(()),
                },
                message = socket.next(), if permit.is_some() => message,
                () = events.closed() => return Ok(()),
                credits = ledger.due() => {
                    for (id, bytes) in credits {
                        send(socket, &ClientMessage::Credit { id, bytes }).await?;
                    }
                    continue;
                }
                _ = pong.tick() => {
                    // If the connection is lost, the next read reports it, after
                    // what has arrived.
                    socket.send(Message::Pong(Bytes::new())).await.ok();
                    continue;
                }
            };
            let event = match message {
                Some(Ok(Message::Binary(bytes))) => self.receive_entries(bytes)?,
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text);
                    self.receive(message.map_err(Interruption::new)?)?
                }
                Some(Ok(Message::Close(frame))) => {
                    // Reading to the end also sends the library's answer.
                    let end = async { while let Some(Ok(_)) = socket.next().await {} };
                    timeout(CLOSE_TIMEOUT, end).await.ok();
                    return Err(Interruption(close_error(frame)));
                }
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(Interruption(connection_lost(Some(error)))),
                None => return Err(Interruption(connection_lost(None))),
            };
            if let Some(event) = event
                && let Some(permit) = permit.take()
            {
                permit.send(event);
            }
        }
        Ok(())
    }

    fn receive_entries(&mut self, bytes: Bytes) -> Result<Option<LogEvent>, Interruption> {
        let message = EntriesMessage::decode(bytes).map_err(Interruption::new)?;
        let EntriesMessage {
            id,
            source,
            cursor,
            entries,
        } = message;
        let subscription = self.subscriptions.iter_mut().find(|it| it.id == id);
        let (Some(subscription), Some(log)) = (subscription, self.sources.get(&source)) else {
            return Ok(None);
        };
        self.has_progress |= !entries.is_empty();
        subscription.advance(Arc::clone(log), cursor, !entries.is_empty());
        if entries.is_empty() {
            return Ok(None);
        }
        self.ledger
            .receive(id, entries.iter().map(LogEntry::cost).sum());
        Ok(Some(LogEvent::Entries {
            log: Arc::clone(log),
            subscription: SubscriptionRef::new(id, Arc::clone(&self.ledger)),
            entries,
        }))
    }

    fn receive(&mut self, message: ServerMessage) -> Result<Option<LogEvent>, Interruption> {
        let log_of = |source: &u32| self.sources.get(source).map(Arc::clone);
        Ok(match message {
            ServerMessage::Subscribed { id } => {
                if let Some(subscription) = self.subscription(id) {
                    subscription.has_begun = true;
                }
                None
            }
            ServerMessage::Joined {
                source,
                container,
                name,
                labels,
            } => {
                let log = LogId::from(container);
                self.sources.insert(source, Arc::clone(&log));
                Some(LogEvent::Joined { log, name, labels })
            }
            ServerMessage::Left { source, reason } => {
                let log = self.sources.remove(&source);
                log.map(|log| LogEvent::Left { log, reason })
            }
            ServerMessage::Gap {
                source,
                after,
                before,
                reason,
            } => log_of(&source).map(|log| LogEvent::Gap {
                log,
                after,
                before,
                reason,
            }),
            ServerMessage::Stopped { source, exit_code } => {
                log_of(&source).map(|log| LogEvent::Stopped { log, exit_code })
            }
            ServerMessage::Started { source } => {
                log_of(&source).map(|log| LogEvent::Started { log })
            }
            ServerMessage::Error {
                id: None,
                code,
                message,
            } => return Err(Interruption(anyhow!("{message} ({})", display_code(code)))),
            ServerMessage::Error {
                id: Some(id),
                code,
                message,
            } => {
                let Some(subscription) = self.subscription(id) else {
                    return Ok(None);
                };
                if subscription.may_retry(code) {
                    return Err(Interruption(anyhow!(message)));
                }
                subscription.is_over = true;
                let failure = SubscriptionFailure {
                    code,
                    message,
                    has_begun: subscription.has_begun,
                };
                let selection = subscription.selection.clone();
                Some(LogEvent::Failed { selection, failure })
            }
            ServerMessage::End { id } => {
                if let Some(subscription) = self.subscription(id) {
                    subscription.is_over = true;
                }
                None
            }
            ServerMessage::Unknown => None,
        })
    }

    fn subscription(&mut self, id: u32) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|it| it.id == id)
    }

    async fn send(&self, event: LogEvent) {
        // Nobody receives events once nothing is printed any more.
        self.events.send(event).await.ok();
    }
}

impl Interruption {
    fn new(error: impl Into<anyhow::Error>) -> Self {
        Self(error.into())
    }
}

async fn send<S>(socket: &mut S, message: &ClientMessage<'_>) -> Result<(), Interruption>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let text = serde_json::to_string(message).map_err(Interruption::new)?;
    let sent = socket.send(Message::text(text)).await;
    sent.map_err(|error| Interruption(connection_lost(Some(error))))
}

/// Returns the error for a connection that ended without a close frame.
pub(super) fn connection_lost(error: Option<Error>) -> anyhow::Error {
    const TEXT: &str = "the connection to the daemon was lost";
    match error {
        Some(error) => anyhow!(error).context(TEXT),
        None => anyhow!(TEXT),
    }
}

/// Returns the error for a close frame that came before the end of the logs.
fn close_error(frame: Option<CloseFrame>) -> anyhow::Error {
    match frame {
        Some(CloseFrame { code, reason }) if code != CloseCode::Normal => {
            anyhow!("{reason} ({code})")
        }
        _ => connection_lost(None),
    }
}
