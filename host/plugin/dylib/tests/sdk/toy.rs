//! A toy backend.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use hyper::rt::{Read as _, Write as _};
use rdd_core as core;
use rdd_sdk::types::{
    Action, BackendInfo, Capabilities, Container, ContainerRef, ContainerSpec, ContainerState,
    Credentials, EntryBatch, EntryHeader, EntryOptions, Error, ErrorCode, Event, ExecOptions,
    IdForm, Inspection, LogOptions, Object, ObjectRef, OutputChunk, OutputSource, Port,
    PortBinding, PushSpec, Removal, RemovalTarget, Timestamp, TransferPhase, TransferProgress,
};
use rdd_sdk::{
    Backend, EntryResponder, ExecInput, Host, LogResponder, OutputResponder, TransferResponder,
    WatchResponder,
};

/// Longer than the buffers of the engine.
const REQUEST: &str = "a request that is longer than any buffer of the engine, so that writing it has to wait for reading";

struct Toy {
    host: Host,
}

rdd_sdk::export_backend!(Toy);

fn container(id: &str) -> Container {
    Container {
        id: id.to_owned(),
        name: "näme \"x\"".to_owned(),
        namespace: "default".to_owned(),
        path: "/bin/toy".to_owned(),
        args: vec!["-v".to_owned()],
        image_id: "sha256:1".to_owned(),
        image_name: "toy".to_owned(),
        labels: vec![("a".to_owned(), "1".to_owned())],
        state: ContainerState::Restarting,
        pid: 42,
        exit_code: -1,
        error: "line\nbreak".to_owned(),
        created_at: Some(Timestamp {
            seconds: -5,
            nanoseconds: 7,
        }),
        started_at: None,
        finished_at: None,
        ports: vec![Port {
            name: "80/tcp".to_owned(),
            bindings: vec![PortBinding {
                host_ip: "::1".to_owned(),
                host_port: "8080".to_owned(),
            }],
        }],
        running: true,
        paused: false,
        restarting: true,
        oom_killed: true,
        dead: false,
        tty: true,
    }
}

/// The same container as a type of the host.
pub(crate) fn core_container(id: &str) -> core::Container {
    core::Container {
        id: id.to_owned(),
        name: "näme \"x\"".to_owned(),
        namespace: "default".to_owned(),
        path: "/bin/toy".to_owned(),
        args: vec!["-v".to_owned()],
        image_id: "sha256:1".to_owned(),
        image_name: "toy".to_owned(),
        labels: [("a".to_owned(), "1".to_owned())].into(),
        state: core::ContainerState::Restarting,
        pid: 42,
        exit_code: -1,
        error: "line\nbreak".to_owned(),
        created_at: core::Timestamp::new(-5, 7),
        started_at: None,
        finished_at: None,
        ports: vec![core::ExposedPort {
            name: "80/tcp".to_owned(),
            bindings: vec![core::PortBinding {
                host_ip: "::1".to_owned(),
                host_port: "8080".to_owned(),
            }],
        }],
        running: true,
        paused: false,
        restarting: true,
        oom_killed: true,
        dead: false,
        tty: true,
    }
}

fn chunk(text: &str) -> OutputChunk {
    OutputChunk {
        source: OutputSource::Stdout,
        bytes: text.as_bytes().to_vec(),
    }
}

impl Toy {
    /// Sends a request, half-closes, and returns the response.
    async fn echo(&self) -> Result<String, Error> {
        let io = |error: std::io::Error| Error::unavailable(error.to_string());
        let mut connection = self.host.connect().await?;
        let mut rest = REQUEST.as_bytes();
        let mut received = Vec::new();
        loop {
            let mut buffer = [0; 16];
            let mut read = hyper::rt::ReadBuf::new(&mut buffer);
            // Both directions at once: the buffers of the engine are small.
            let has_ended = poll_fn(|cx| {
                use std::task::Poll;
                let mut progress = false;
                if !rest.is_empty() {
                    if let Poll::Ready(written) = Pin::new(&mut connection).poll_write(cx, rest) {
                        rest = rest.get(written.map_err(io)?..).unwrap_or_default();
                        progress = true;
                    }
                } else if let Poll::Ready(ended) = Pin::new(&mut connection).poll_shutdown(cx) {
                    ended.map_err(io)?;
                }
                match Pin::new(&mut connection).poll_read(cx, read.unfilled()) {
                    Poll::Ready(result) => Poll::Ready(result.map(|()| true).map_err(io)),
                    Poll::Pending if progress => Poll::Ready(Ok(false)),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await?;
            received.extend_from_slice(read.filled());
            if has_ended && read.filled().is_empty() {
                return Ok(String::from_utf8_lossy(&received).into_owned());
            }
        }
    }
}

impl Backend for Toy {
    fn new(host: Host) -> Self {
        Self { host }
    }

    fn describe() -> BackendInfo {
        BackendInfo {
            name: "toy".to_owned(),
            version: "1.0.0".to_owned(),
            engine: "Toy".to_owned(),
            id_form: IdForm::Identifier(64),
            namespaces: vec!["default".to_owned()],
            capabilities: Capabilities::all(),
        }
    }

    async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
        let mut sink = responder.accept();
        let applied = Event::Applied(Object::Container(container("abc")));
        sink.send(vec![Event::InitBegin, applied]).await?;
        sink.send(vec![Event::InitDone]).await?;
        pending().await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.echo().await.map(drop)
    }

    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error> {
        let raw = match object.id.as_str() {
            "echo" => self.echo().await?,
            "missing" => return Err(Error::not_found("no such container")),
            "other-code" => {
                let code = ErrorCode::Other("quota".to_owned());
                return Err(Error::new(code, "too many"));
            }
            "panics" => panic!("a bug of the toy"),
            _ => String::new(),
        };
        Ok(Inspection {
            object: Object::Container(container(&object.id)),
            raw,
        })
    }

    async fn get_logs(
        &self,
        reference: ContainerRef,
        _: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        if reference.id == "missing" {
            return Err(Error::not_found("no such container"));
        }
        let mut sink = responder.accept();
        match reference.id.as_str() {
            "lines" => {
                sink.send(vec![chunk("one\n"), chunk("two\n")]).await?;
                self.host.sleep(Duration::from_millis(1)).await;
                sink.send(vec![chunk("three\n")]).await
            }
            "fails" => {
                sink.send(vec![chunk("first\n")]).await?;
                Err(Error::unavailable("the connection was lost"))
            }
            "panics" => {
                sink.send(vec![chunk("first\n")]).await?;
                panic!("a bug of the {}", "toy")
            }
            _ => loop {
                self.host.sleep(Duration::from_millis(1)).await;
                sink.send(vec![chunk("tick\n")]).await?;
            },
        }
    }

    async fn get_entries(
        &self,
        _: ContainerRef,
        _: EntryOptions,
        responder: EntryResponder,
    ) -> Result<(), Error> {
        let mut sink = responder.accept();
        let header = |time| EntryHeader {
            time,
            length: 3,
            attributes: 0,
        };
        let batch = EntryBatch {
            gap: None,
            headers: vec![header(1), header(2)],
            bytes: b"onetwo".to_vec(),
        };
        sink.send(vec![batch]).await
    }

    async fn act(&self, container: ContainerRef, action: Action) -> Result<(), Error> {
        let ContainerRef { namespace, id } = container;
        let action = format!("{action:?}").to_lowercase();
        let action = action.rsplit(':').next().unwrap_or_default().to_owned();
        Err(Error::conflict(format!("{action} of {id} in {namespace}")))
    }

    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        match removal.target {
            RemovalTarget::Volume((name, Some(time))) => Err(Error::conflict(format!(
                "{name} created at {}.{}",
                time.seconds, time.nanoseconds
            ))),
            _ => Ok(()),
        }
    }

    async fn create_container(&self, spec: ContainerSpec) -> Result<String, Error> {
        let (key, value) = spec.labels.into_iter().next().unwrap_or_default();
        Ok(format!("{}-{key}-{value}", spec.name.unwrap_or_default()))
    }

    /// Prints the first size and then its input. Exits with the number of bytes.
    async fn exec(
        &self,
        _: ContainerRef,
        _: ExecOptions,
        mut input: ExecInput,
        responder: OutputResponder,
    ) -> Result<i32, Error> {
        let mut sink = responder.accept();
        if let Some(size) = input.resizes.next().await {
            let text = format!("{}x{}\n", size.columns, size.rows);
            sink.send(vec![chunk(&text)]).await?;
        }
        let mut count = 0;
        while let Some(bytes) = input.stdin.next().await {
            let bytes: Bytes = bytes;
            count += i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            let chunk = OutputChunk {
                source: OutputSource::Stdout,
                bytes: bytes.to_vec(),
            };
            sink.send(vec![chunk]).await?;
        }
        // The output ends before the process exits.
        drop(sink);
        self.host.sleep(Duration::from_millis(1)).await;
        Ok(count)
    }

    async fn push(&self, spec: PushSpec, responder: TransferResponder) -> Result<(), Error> {
        let registry = spec.image.split('/').next().unwrap_or_default();
        let layer = match self.host.credentials(registry).await? {
            Some(Credentials::Password(password)) => password.username,
            _ => "nobody".to_owned(),
        };
        let progress = TransferProgress {
            layer,
            phase: TransferPhase::Complete,
            bytes_done: 1,
            bytes_total: None,
        };
        responder.accept().send(vec![progress]).await
    }
}
