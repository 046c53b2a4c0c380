//! The calls of the contract, in terms of the engine.

use rdd_sdk::entries::EntryBatcher;
use rdd_sdk::types::{
    Action, BackendInfo, Capabilities, ContainerRef, EntryOptions, Error, Event, IdForm,
    Inspection, ObjectRef, Removal, RemovalTarget,
};
use rdd_sdk::{Backend, EntryResponder, Host, WatchResponder};

use crate::connection::ToyConnection;
use crate::request::EngineRequest;
use crate::{entries, objects};

/// The maximum number of events that are sent to the host at once.
const MAX_BATCH_EVENTS: usize = 256;

/// The backend. It keeps no state: each call has a connection of its own, which
/// closes when the call ends or the host stops it.
pub(crate) struct ToyBackend {
    host: Host,
}

impl ToyBackend {
    async fn send(&self, request: EngineRequest) -> Result<ToyConnection, Error> {
        ToyConnection::open(&self.host, request).await
    }
}

impl Backend for ToyBackend {
    fn new(host: Host) -> Self {
        Self { host }
    }

    fn describe() -> BackendInfo {
        BackendInfo {
            name: "toy-rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: "Toy Engine".to_owned(),
            id_form: IdForm::Identifier(64),
            namespaces: vec!["main".to_owned(), "other".to_owned()],
            // Exactly what is implemented. The host makes the bytes of a log from
            // its entries, so there is no `get_logs`.
            capabilities: Capabilities::ENTRIES
                | Capabilities::ENTRY_TIMES
                | Capabilities::ACTIONS
                | Capabilities::REMOVALS,
        }
    }

    async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
        // An error up to here fails the call, one from here on ends the stream.
        let mut connection = self.send(EngineRequest::new("watch", &[])).await?;
        let mut sink = responder.accept();
        let mut events = Vec::new();
        loop {
            events.push(next_event(&mut connection).await?);
            // As many events as there are without waiting for the engine.
            if events.len() == MAX_BATCH_EVENTS || !connection.has_line() {
                sink.send(std::mem::take(&mut events)).await?;
            }
        }
    }

    async fn ping(&self) -> Result<(), Error> {
        self.send(EngineRequest::new("ping", &[])).await.map(drop)
    }

    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error> {
        let kind = objects::kind_word(object.kind);
        let request = EngineRequest::new("inspect", &[kind, &object.namespace, &object.id]);
        let mut connection = self.send(request).await?;
        let first = connection.line().await?;
        let block = connection.block(first).await?;
        Ok(Inspection {
            object: objects::parse(&block)?,
            raw: block.text("raw"),
        })
    }

    async fn get_entries(
        &self,
        container: ContainerRef,
        options: EntryOptions,
        responder: EntryResponder,
    ) -> Result<(), Error> {
        let request = entries::request(&container, &options);
        let mut connection = self.send(request).await?;
        let mut sink = responder.accept();
        let mut batcher = EntryBatcher::new();
        while entries::read_next(&mut connection, &mut batcher).await? {
            if !connection.has_line() {
                sink.send(batcher.take_batches()).await?;
            }
        }
        sink.send(batcher.take_batches()).await
    }

    async fn act(&self, container: ContainerRef, action: Action) -> Result<(), Error> {
        let word = match action {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Restart => "restart",
            Action::Pause => "pause",
            Action::Unpause => "unpause",
        };
        let request = EngineRequest::new("act", &[&container.namespace, &container.id, word]);
        self.send(request).await.map(drop)
    }

    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        let namespace = &removal.namespace;
        let request = match &removal.target {
            RemovalTarget::Container(id) => {
                EngineRequest::new("remove", &["container", namespace, id])
            }
            RemovalTarget::ImageTag((tag, image_id)) => {
                EngineRequest::new("remove", &["tag", namespace, tag, image_id])
            }
            RemovalTarget::Image(id) => EngineRequest::new("remove", &["image", namespace, id]),
            RemovalTarget::Volume((name, created_at)) => {
                let created = created_at.as_ref().map(objects::nanoseconds);
                let created = created.map(|time| time.to_string()).unwrap_or_default();
                EngineRequest::new("remove", &["volume", namespace, name, &created])
            }
        };
        self.send(request).await.map(drop)
    }
}

/// Reads the next event of a watch.
async fn next_event(connection: &mut ToyConnection) -> Result<Event, Error> {
    let first = connection.line().await?;
    match first.words()[..] {
        ["begin"] => Ok(Event::InitBegin),
        ["ready"] => Ok(Event::InitDone),
        ["removed", kind, namespace, id] => Ok(Event::Removed(ObjectRef {
            kind: objects::parse_kind(kind)?,
            namespace: namespace.to_owned(),
            id: id.to_owned(),
        })),
        _ => {
            let block = connection.block(first).await?;
            objects::parse(&block).map(Event::Applied)
        }
    }
}
