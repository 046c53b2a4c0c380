//! A direct client of the toy engine, as a reference implementation.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use rdd_conformance::{BackendTarget, ResourceUsage, TargetError};
use rdd_core::*;
use tokio::sync::{mpsc, oneshot, watch};

use crate::toy_connection::{self, Fields, ToyConnection};

/// An engine that is reached over its socket, one connection for each call.
pub(crate) struct ToyClient {
    info: BackendInfo,
    path: PathBuf,
}

/// The client as a backend whose instances need no start.
pub(crate) struct ToyTarget(pub(crate) PathBuf);

#[async_trait]
impl BackendTarget for ToyTarget {
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError> {
        Ok(Arc::new(ToyClient::new(self.0.clone())))
    }

    fn usage(&self) -> ResourceUsage {
        ResourceUsage {
            memory_bytes: Some(0),
            ..ResourceUsage::default()
        }
    }
}

impl ToyClient {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            info: BackendInfo {
                name: "toy".to_owned(),
                version: "1.0.0".to_owned(),
                engine: "Toy Engine".to_owned(),
                id_format: IdFormat::Identifier(64),
                namespaces: vec!["main".to_owned(), "other".to_owned()],
                capabilities: Capabilities::ALL,
            },
            path,
        }
    }

    async fn request(&self, lines: &[Vec<String>]) -> Result<(ToyConnection, Fields), EngineError> {
        toy_connection::request(&self.path, lines).await
    }

    /// Sends a request whose response is one line.
    async fn short(&self, lines: &[Vec<String>]) -> Result<Fields, EngineError> {
        Ok(self.request(lines).await?.1)
    }

    /// Rejects what the host rejects before it reaches a backend.
    fn check_id(&self, id: &str) -> Result<(), EngineError> {
        if self.info.id_format.matches(id) {
            return Ok(());
        }
        Err(EngineError::new(ErrorCode::InvalidArgument, "not an ID"))
    }

    async fn transfer(&self, lines: &[Vec<String>]) -> Result<TransferStream, EngineError> {
        let (connection, _) = self.request(lines).await?;
        Ok(stream::unfold(Some(connection), |connection| async move {
            let mut connection = connection?;
            match connection.line().await {
                Ok(line) if line[0] == "done" => None,
                Ok(line) => Some((Ok(progress(&line)), Some(connection))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }
}

fn progress(line: &[String]) -> TransferProgress {
    TransferProgress {
        layer: line[1].clone(),
        phase: serde_json::from_value(line[2].clone().into()).unwrap(),
        bytes_done: line[3].parse().unwrap(),
        bytes_total: line[4].parse().ok(),
    }
}

/// Returns a line of these fields.
macro_rules! line {
    ($($field:expr),*) => { vec![$($field.to_string()),*] };
}

fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Namespace => "namespace",
    }
}

fn nanoseconds(time: Timestamp) -> i64 {
    time.seconds() * 1_000_000_000 + i64::from(time.nanoseconds())
}

/// One batch of entries, or `None` at the end.
async fn next_batch(connection: &mut ToyConnection) -> Result<Option<EntryBatch>, EngineError> {
    let (mut gap, mut headers, mut bytes) = (None, Vec::new(), Vec::new());
    let line = connection.line().await?;
    match line[0].as_str() {
        "done" => return Ok(None),
        "gap" => {
            gap = Some(match line[1].as_str() {
                "rotated" => GapReason::Rotated,
                "replaced" => GapReason::Replaced,
                "lagged" => GapReason::Lagged,
                _ => GapReason::Unknown,
            });
        }
        "entry" => {
            bytes = connection.payload(&line[4]).await?;
            headers.push(EntryHeader {
                time: line[1].parse().unwrap(),
                length: u32::try_from(bytes.len()).unwrap(),
                source: source(&line[2]),
                is_partial: line[3] == "part",
            });
        }
        other => panic!("an unknown line {other}"),
    }
    Ok(Some(EntryBatch::new(gap, headers, bytes.into()).unwrap()))
}

fn source(word: &str) -> OutputSource {
    match word {
        "stderr" => OutputSource::Stderr,
        _ => OutputSource::Stdout,
    }
}

#[async_trait]
impl ContainerEngine for ToyClient {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let (connection, _) = self.request(&[line!["watch"]]).await?;
        Ok(stream::unfold(Some(connection), |connection| async move {
            let mut connection = connection?;
            match connection.event().await {
                Ok(event) => Some((Ok(event), Some(connection))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        if object.kind == ObjectKind::Container {
            self.check_id(&object.id)?;
        }
        let request = line![
            "inspect",
            kind_word(object.kind),
            object.namespace,
            object.id
        ];
        let (mut connection, _) = self.request(&[request]).await?;
        let first = connection.line().await?;
        let (object, raw) = connection.object(first).await?;
        Ok(InspectResponse { object, raw })
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        let entries = EntryOptions {
            follow: options.follow,
            tail: options.tail,
            since: options.since,
            until: options.until,
            after: None,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let timestamps = options.timestamps;
        let entries = self.get_entries(container, &entries).await?;
        Ok(entries
            .map(move |batch| {
                let batch = batch?;
                let mut chunks = Vec::new();
                for entry in batch.entries() {
                    let mut bytes = Vec::new();
                    if timestamps {
                        let second = 1_000_000_000;
                        let time = Timestamp::new(
                            entry.header.time.div_euclid(second),
                            u32::try_from(entry.header.time.rem_euclid(second)).unwrap(),
                        )
                        .unwrap();
                        bytes.extend_from_slice(format!("{time:.9} ").as_bytes());
                    }
                    bytes.extend_from_slice(entry.bytes);
                    if !entry.header.is_partial {
                        bytes.push(b'\n');
                    }
                    for part in bytes.chunks(OutputChunk::MAX_LEN) {
                        chunks.push(OutputChunk {
                            source: entry.header.source,
                            bytes: Bytes::copy_from_slice(part),
                        });
                    }
                }
                Ok(chunks)
            })
            .flat_map(|chunks: Result<Vec<_>, EngineError>| match chunks {
                Ok(chunks) => stream::iter(chunks.into_iter().map(Ok)).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let mut lines = vec![line!["logs", container.namespace, container.id]];
        let mut flag = |word: &str, is_set| {
            if is_set {
                lines.push(line![word]);
            }
        };
        flag("follow", options.follow);
        flag("stdout", options.stdout);
        flag("stderr", options.stderr);
        lines.extend(options.tail.map(|tail| line!["tail", tail]));
        lines.extend(options.since.map(|time| line!["since", nanoseconds(time)]));
        lines.extend(options.until.map(|time| line!["until", nanoseconds(time)]));
        let after = options.after;
        lines.extend(after.map(|after| line!["after", after.time, after.index]));
        let (connection, _) = self.request(&lines).await?;
        Ok(stream::unfold(Some(connection), |connection| async move {
            let mut connection = connection?;
            match next_batch(&mut connection).await {
                Ok(Some(batch)) => Some((Ok(batch), Some(connection))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        let action = format!("{action:?}").to_lowercase();
        let request = line!["act", container.namespace, container.id, action];
        self.short(&[request]).await.map(drop)
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        let namespace = &request.namespace;
        let request = match &request.target {
            RemoveTarget::Container { id } => line!["remove", "container", namespace, id],
            RemoveTarget::Image { id } => line!["remove", "image", namespace, id],
            RemoveTarget::ImageTag { tag, image_id } => {
                line!["remove", "tag", namespace, tag, image_id]
            }
            RemoveTarget::Volume { name, created_at } => {
                let created = created_at.map(|time| nanoseconds(time).to_string());
                line![
                    "remove",
                    "volume",
                    namespace,
                    name,
                    created.unwrap_or_default()
                ]
            }
        };
        self.short(&[request]).await.map(drop)
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let mut lines = vec![
            line!["create", "container", spec.namespace],
            line!["image", spec.image],
        ];
        lines.extend(spec.name.iter().map(|name| line!["name", name]));
        lines.extend(spec.command.iter().map(|word| line!["command", word]));
        lines.extend(spec.args.iter().map(|word| line!["arg", word]));
        lines.extend(
            spec.env
                .iter()
                .map(|(name, value)| line!["env", name, value]),
        );
        lines.extend(
            spec.labels
                .iter()
                .map(|(key, value)| line!["label", key, value]),
        );
        for port in &spec.ports {
            lines.push(line!["port", port.name]);
            let bindings = port.bindings.iter();
            lines
                .extend(bindings.map(|binding| {
                    line!["binding", port.name, binding.host_ip, binding.host_port]
                }));
        }
        lines.extend(spec.mounts.iter().map(|mount| {
            let kind = format!("{:?}", mount.kind).to_lowercase();
            let mode = if mount.read_only { "ro" } else { "rw" };
            line!["mount", kind, mount.source, mount.target, mode]
        }));
        lines.extend(spec.working_dir.iter().map(|dir| line!["working-dir", dir]));
        lines.extend(spec.user.iter().map(|user| line!["user", user]));
        lines.extend(spec.tty.then(|| line!["tty"]));
        Ok(self.short(&lines).await?[1].clone())
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        let mut lines = vec![line!["create", "volume", spec.namespace]];
        lines.extend(spec.name.iter().map(|name| line!["name", name]));
        lines.extend(spec.driver.iter().map(|driver| line!["driver", driver]));
        lines.extend(
            spec.labels
                .iter()
                .map(|(key, value)| line!["label", key, value]),
        );
        lines.extend(
            spec.options
                .iter()
                .map(|(key, value)| line!["option", key, value]),
        );
        Ok(self.short(&lines).await?[1].clone())
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        let mut lines = vec![line!["exec", container.namespace, container.id]];
        lines.extend(options.command.iter().map(|word| line!["command", word]));
        lines.extend(
            options
                .env
                .iter()
                .map(|(name, value)| line!["env", name, value]),
        );
        lines.extend(
            options
                .working_dir
                .iter()
                .map(|dir| line!["working-dir", dir]),
        );
        lines.extend(options.user.iter().map(|user| line!["user", user]));
        for (word, is_set) in [
            ("tty", options.tty),
            ("stdin", options.stdin),
            ("stdout", options.stdout),
            ("stderr", options.stderr),
        ] {
            lines.extend(is_set.then(|| line![word]));
        }
        let (connection, _) = self.request(&lines).await?;
        let (mut reader, mut writer) = connection.split();
        let (stdin, mut stdin_receiver) = mpsc::channel::<Bytes>(4);
        let (resizes, mut resize_receiver) = watch::channel(None::<TerminalSize>);
        let (output, mut chunks) = mpsc::channel(4);
        let (exit_sender, exit) = oneshot::channel();
        let input = async move {
            let mut is_open = true;
            loop {
                let sent = tokio::select! {
                    bytes = stdin_receiver.recv(), if is_open => match bytes {
                        Some(bytes) => writer.payload("input", &bytes).await,
                        None => {
                            is_open = false;
                            writer.line(&line!["input-end"]).await
                        }
                    },
                    changed = resize_receiver.changed() => {
                        if changed.is_err() {
                            resize_receiver = watch::channel(None).1;
                            std::future::pending::<()>().await;
                        }
                        let size = *resize_receiver.borrow_and_update();
                        match size {
                            Some(size) => {
                                writer.line(&line!["resize", size.columns, size.rows]).await
                            }
                            None => Ok(()),
                        }
                    }
                };
                if sent.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let closed = output.clone();
        let lines = async move {
            loop {
                let line = reader.line().await?;
                match line[0].as_str() {
                    "output" => {
                        let bytes = reader.payload(&line[2]).await?.into();
                        let source = source(&line[1]);
                        output.send(OutputChunk { source, bytes }).await.ok();
                    }
                    "exit" => return Ok(line[1].parse().unwrap()),
                    _ => {}
                }
            }
        };
        tokio::spawn(async move {
            let end = tokio::select! {
                end = lines => end,
                () = closed.closed() => {
                    Err(EngineError::new(ErrorCode::Cancelled, "the session was stopped"))
                }
                () = input => unreachable!(),
            };
            exit_sender.send(end).ok();
        });
        Ok(ExecSession {
            stdin,
            resizes,
            output: stream::poll_fn(move |context| chunks.poll_recv(context))
                .map(Ok)
                .boxed(),
            exit: exit.map(|end| end.unwrap()).boxed(),
        })
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        let mut lines = vec![line!["pull", spec.namespace, spec.image]];
        lines.extend(spec.platform.iter().map(|name| line!["platform", name]));
        self.transfer(&lines).await
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.transfer(&[line!["push", spec.namespace, spec.image]])
            .await
    }
}
