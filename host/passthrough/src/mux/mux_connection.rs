//! The subscriptions of a connection, and what is sent for them.

use std::collections::{BTreeMap, HashMap};

use bytes::{BufMut as _, BytesMut};
use futures::stream::SelectAll;
use futures::{FutureExt as _, Sink, SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use rdd_core::{EngineError, ErrorCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::client_message::{ClientMessage, InvalidMessage, SubscribeRequest};
use super::server_message::ServerMessage;
use super::source_stream::{SourceItem, SourceStream};
use super::subscription::{JoiningSource, SourceContext, Subscription, SubscriptionError};
use super::waiting_cursors::WaitingCursors;
use super::{MuxSession, ReceivedMessage};
use crate::limits;
use crate::log_format::messages::MessageTime;
use crate::log_format::{put_cursor, put_entries, to_json};
use crate::log_hub::LogOpenError;
use crate::log_reader::{LogItem, LogStart};
use crate::request_error::StreamRequestError;
use crate::session::close_reason::CloseReason;

/// The subscriptions of a connection.
pub(super) struct MuxConnection {
    session: MuxSession,
    messages: mpsc::Receiver<ReceivedMessage>,
    subscriptions: HashMap<u32, Subscription>,
    waiting_cursors: WaitingCursors,
    sources: SelectAll<SourceStream>,
    next_source: u32,
    outbox: Vec<Message>,
}

impl MuxConnection {
    pub(super) fn new(session: MuxSession, messages: mpsc::Receiver<ReceivedMessage>) -> Self {
        Self {
            session,
            messages,
            subscriptions: HashMap::new(),
            waiting_cursors: WaitingCursors::default(),
            sources: SelectAll::new(),
            next_source: 1,
            outbox: Vec::new(),
        }
    }

    /// Answers messages and forwards entries until the connection is lost.
    pub(super) async fn forward<S>(&mut self, sink: &mut S) -> CloseReason
    where
        S: Sink<Message, Error = Error> + Unpin,
    {
        let mut ping = Instant::now() + limits::PING_INTERVAL;
        let mut containers = self.session.containers.clone();
        let mut serving = self.session.serving.clone();
        // A subscription reads the current state when it begins.
        containers.mark_unchanged();
        serving.mark_unchanged();
        let mut retry = Instant::now() + limits::LOST_SOURCE_INTERVAL;
        loop {
            let has_lost = self
                .subscriptions
                .values()
                .any(Subscription::has_lost_sources);
            tokio::select! {
                biased;
                () = sleep_until(ping) => {
                    ping = Instant::now() + limits::PING_INTERVAL;
                    self.outbox.push(Message::Ping(Bytes::new()));
                }
                message = self.messages.recv() => match message {
                    Some(message) => self.receive(message),
                    // The reading half ends, and says why.
                    None => std::future::pending().await,
                },
                Ok(()) = containers.changed() => self.join_all(),
                Ok(()) = serving.changed() => self.join_all(),
                () = sleep_until(retry), if has_lost => {
                    retry = Instant::now() + limits::LOST_SOURCE_INTERVAL;
                    self.join_all();
                }
                Some(item) = self.sources.next() => self.forward_item(item),
            }
            // Gather what is ready, then flush.
            let mut gathered = 0;
            loop {
                for message in self.outbox.drain(..) {
                    if let Err(error) = sink.feed(message).await {
                        return CloseReason::PeerLost(error);
                    }
                }
                gathered += 1;
                if gathered == limits::MAX_GATHERED_ITEMS {
                    break;
                }
                match self.sources.next().now_or_never() {
                    Some(Some(item)) => self.forward_item(item),
                    _ => break,
                }
            }
            if let Err(error) = sink.flush().await {
                return CloseReason::PeerLost(error);
            }
        }
    }

    fn receive(&mut self, message: ReceivedMessage) {
        match message {
            Ok(ClientMessage::Subscribe(request)) => self.subscribe(*request),
            Ok(ClientMessage::Credit { id, bytes }) => {
                // Credit may cross the end of its subscription.
                if let Some(subscription) = self.subscriptions.get(&id) {
                    subscription.add_credit(bytes);
                }
            }
            Ok(ClientMessage::Cursors { id, cursors }) => {
                let added = if self.subscriptions.contains_key(&id) {
                    Err(SubscriptionError::id_in_use())
                } else {
                    self.waiting_cursors.add(id, cursors)
                };
                if let Err(error) = added {
                    self.send_error(id, &error);
                }
            }
            Ok(ClientMessage::Unsubscribe { id }) => {
                self.waiting_cursors.take(id);
                if let Some(subscription) = self.subscriptions.remove(&id) {
                    subscription.close();
                    self.send(&ServerMessage::End { id });
                }
            }
            Err(InvalidMessage { id, reason }) => {
                let id = id.filter(|id| !self.subscriptions.contains_key(id));
                self.send(&ServerMessage::Error {
                    id,
                    code: 400,
                    message: &reason,
                });
            }
        }
    }

    fn subscribe(&mut self, mut request: SubscribeRequest) {
        let id = request.id;
        let created = if self.subscriptions.contains_key(&id) {
            Err(SubscriptionError::id_in_use())
        } else if self.subscriptions.len() == limits::MAX_MUX_SUBSCRIPTIONS {
            self.waiting_cursors.take(id);
            Err(SubscriptionError::too_many_subscriptions())
        } else {
            request.add_cursors(self.waiting_cursors.take(id));
            let now = Timestamp::now().into();
            Subscription::new(request, self.session.parse_selector, now)
        };
        match created {
            Ok(subscription) => {
                self.subscriptions.insert(id, subscription);
                let begin = self.outbox.len();
                self.join(id);
                if self.subscriptions.contains_key(&id) {
                    let message = Message::text(to_json(&ServerMessage::Subscribed { id }));
                    self.outbox.insert(begin, message);
                    self.end_if_empty(id);
                }
            }
            Err(error) => self.send_error(id, &error),
        }
    }

    fn join_all(&mut self) {
        let ids: Vec<u32> = self.subscriptions.keys().copied().collect();
        for id in ids {
            self.join(id);
        }
    }

    /// Joins the containers that a subscription selects by now.
    fn join(&mut self, id: u32) {
        let others: usize = self
            .subscriptions
            .iter()
            .filter(|(other, _)| **other != id)
            .map(|(_, subscription)| subscription.joined.len())
            .sum();
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let context = SourceContext {
            serving: &self.session.serving,
            containers: &self.session.containers,
            hub: &self.session.hub,
        };
        let max_sources = limits::MAX_MUX_SOURCES.saturating_sub(others);
        match subscription.join_selected(&context, self.next_source, max_sources) {
            Ok(joining) => {
                for joined in joining {
                    self.next_source = joined.source.saturating_add(1);
                    self.send_joined(id, &joined);
                    self.sources.push(joined.stream);
                }
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn send_joined(&mut self, id: u32, joined: &JoiningSource) {
        let container = &joined.indexed.container;
        let none = BTreeMap::new();
        let lengths = container.labels.iter();
        let bytes: usize = lengths.map(|(key, value)| key.len() + value.len()).sum();
        let is_short = bytes <= limits::MAX_JOINED_LABELS;
        self.send(&ServerMessage::Joined {
            id,
            source: joined.source,
            container: &joined.indexed.mirror_name,
            name: &container.name,
            labels: if is_short { &container.labels } else { &none },
        });
    }

    fn forward_item(&mut self, item: SourceItem) {
        let SourceItem { id, source, item } = item;
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let Some(log) = subscription.joined.get_mut(&source) else {
            return;
        };
        let item = match item {
            Ok(item) => item,
            Err(error) => return self.source_failed(id, source, error),
        };
        match item {
            LogItem::Entries(selection) => {
                let position = selection.end();
                log.position = LogStart::After(position);
                // Entries of the other source are skipped with the next ones.
                if selection.last_time().is_some() {
                    log.encoder.record(&selection);
                    let cursor = log.scope.encode(position.as_ref());
                    let data = data_message(id, source, |bytes| {
                        put_entries(bytes, &cursor, &selection);
                    });
                    self.outbox.push(data);
                }
            }
            LogItem::Position(position) => {
                log.position = LogStart::After(position);
                let cursor = log.scope.encode(position.as_ref());
                let data = data_message(id, source, |bytes| {
                    put_cursor(bytes, &cursor);
                });
                self.outbox.push(data);
            }
            LogItem::Gap { reason, before } => {
                let gap = log.encoder.describe_gap(reason, before);
                self.send(&ServerMessage::Gap { id, source, gap });
            }
            LogItem::Stopped(run) => self.send(&ServerMessage::Stopped {
                id,
                source,
                time: run.time.map(MessageTime),
                exit_code: run.exit_code,
            }),
            LogItem::Started(run) => self.send(&ServerMessage::Started {
                id,
                source,
                time: run.time.map(MessageTime),
            }),
            LogItem::End(reason) => self.source_left(id, source, &reason, false),
        }
    }

    fn source_left(&mut self, id: u32, source: u32, reason: &str, is_lost: bool) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.leave(source, is_lost);
            self.send(&ServerMessage::Left { id, source, reason });
            self.end_if_empty(id);
            // It may have been started again meanwhile.
            self.join(id);
        }
    }

    fn source_failed(&mut self, id: u32, source: u32, error: LogOpenError) {
        let Some(subscription) = self.subscriptions.get(&id) else {
            return;
        };
        if subscription.is_single() {
            let container = subscription.joined.get(&source);
            let container = container.map_or("", |log| &log.container.id);
            let error =
                StreamRequestError::from_open_error(&self.session.backend, container, error);
            self.fail(id, &error.into());
            return;
        }
        let error = EngineError::from(error);
        let is_lost = error.is_retryable() || error.code == ErrorCode::StreamFailed;
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.leave(source, is_lost);
            self.send(&ServerMessage::Left {
                id,
                source,
                reason: &error.message,
            });
            self.end_if_empty(id);
        }
    }

    /// Ends a subscription with its last source, unless more may join.
    fn end_if_empty(&mut self, id: u32) {
        let is_over = self.subscriptions.get(&id).is_some_and(|subscription| {
            subscription.joined.is_empty() && subscription.ends_with_sources()
        });
        if is_over {
            self.subscriptions.remove(&id);
            self.send(&ServerMessage::End { id });
        }
    }

    fn fail(&mut self, id: u32, error: &SubscriptionError) {
        if let Some(subscription) = self.subscriptions.remove(&id) {
            subscription.close();
        }
        self.send_error(id, error);
    }

    fn send_error(&mut self, id: u32, error: &SubscriptionError) {
        self.send(&ServerMessage::Error {
            id: Some(id),
            code: error.code,
            message: &error.message,
        });
    }

    fn send(&mut self, message: &ServerMessage<'_>) {
        self.outbox.push(Message::text(to_json(message)));
    }
}

fn data_message(id: u32, source: u32, put: impl FnOnce(&mut BytesMut)) -> Message {
    let mut bytes = BytesMut::new();
    bytes.put_u32(id);
    bytes.put_u32(source);
    put(&mut bytes);
    Message::Binary(bytes.freeze())
}
