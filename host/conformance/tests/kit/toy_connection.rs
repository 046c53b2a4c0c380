//! A connection to the toy engine: lines, payloads, and objects.

use std::collections::BTreeMap;
use std::path::Path;

use rdd_core::*;
use rdd_toy_engine::protocol::{parse_line, put_line};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

pub(crate) type Fields = Vec<String>;

pub(crate) struct ToyConnection {
    reader: LineReader,
    writer: LineWriter,
}

pub(crate) struct LineReader(BufReader<OwnedReadHalf>);

pub(crate) struct LineWriter(OwnedWriteHalf);

fn lost(error: impl std::fmt::Display) -> EngineError {
    EngineError::new(
        ErrorCode::Unavailable,
        format!("the connection was lost: {error}"),
    )
}

fn put_fields(buffer: &mut bytes::BytesMut, fields: &[String]) {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| field as &dyn std::fmt::Display)
        .collect();
    put_line(buffer, &fields);
}

/// Sends a request and returns the fields of `ok`.
pub(crate) async fn request(
    path: &Path,
    lines: &[Fields],
) -> Result<(ToyConnection, Fields), EngineError> {
    let stream = UnixStream::connect(path).await.map_err(lost)?;
    let (reader, writer) = stream.into_split();
    let mut connection = ToyConnection {
        reader: LineReader(BufReader::new(reader)),
        writer: LineWriter(writer),
    };
    let mut block = bytes::BytesMut::new();
    for line in lines {
        put_fields(&mut block, line);
    }
    block.extend_from_slice(b"\n");
    connection.writer.0.write_all(&block).await.map_err(lost)?;
    let response = connection.line().await?;
    assert_eq!(response[0], "ok");
    Ok((connection, response))
}

impl LineReader {
    /// Returns the fields of the next line, or the error that it is.
    pub(crate) async fn line(&mut self) -> Result<Fields, EngineError> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.map_err(lost)?;
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(lost("it ended"));
        };
        let fields = parse_line(line).unwrap();
        if fields[0] != "error" || fields.len() < 3 {
            return Ok(fields);
        }
        let code = match fields[1].as_str() {
            "not-found" => ErrorCode::NotFound,
            "invalid-argument" => ErrorCode::InvalidArgument,
            "conflict" => ErrorCode::Conflict,
            "replaced" => ErrorCode::Replaced,
            "permission-denied" => ErrorCode::PermissionDenied,
            "unavailable" => ErrorCode::Unavailable,
            "unsupported" => ErrorCode::Unsupported,
            "timeout" => ErrorCode::Timeout,
            _ => ErrorCode::Internal,
        };
        Err(EngineError::new(code, &fields[2]))
    }

    pub(crate) async fn payload(&mut self, length: &str) -> Result<Vec<u8>, EngineError> {
        let mut bytes = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut bytes).await.map_err(lost)?;
        Ok(bytes)
    }
}

impl LineWriter {
    pub(crate) async fn line(&mut self, fields: &[String]) -> Result<(), EngineError> {
        let mut buffer = bytes::BytesMut::new();
        put_fields(&mut buffer, fields);
        self.0.write_all(&buffer).await.map_err(lost)
    }

    pub(crate) async fn payload(&mut self, word: &str, bytes: &[u8]) -> Result<(), EngineError> {
        for part in bytes.chunks(65_536) {
            self.line(&[word.to_owned(), part.len().to_string()])
                .await?;
            self.0.write_all(part).await.map_err(lost)?;
        }
        Ok(())
    }
}

impl ToyConnection {
    pub(crate) async fn line(&mut self) -> Result<Fields, EngineError> {
        self.reader.line().await
    }

    pub(crate) async fn payload(&mut self, length: &str) -> Result<Vec<u8>, EngineError> {
        self.reader.payload(length).await
    }

    pub(crate) fn split(self) -> (LineReader, LineWriter) {
        (self.reader, self.writer)
    }

    /// Returns the next event of a watch.
    pub(crate) async fn event(&mut self) -> Result<WatchEvent, EngineError> {
        let line = self.line().await?;
        Ok(match line[0].as_str() {
            "begin" => WatchEvent::InitBegin,
            "ready" => WatchEvent::InitDone,
            "removed" => {
                let kind = match line[1].as_str() {
                    "container" => ObjectKind::Container,
                    "image" => ObjectKind::Image,
                    "volume" => ObjectKind::Volume,
                    _ => ObjectKind::Namespace,
                };
                WatchEvent::Removed(ObjectRef::new(kind, &line[2], &line[3]))
            }
            _ => WatchEvent::Applied(Box::new(self.object(line).await?.0)),
        })
    }

    /// Reads the rest of an object whose first line was read, with its document.
    pub(crate) async fn object(
        &mut self,
        first: Fields,
    ) -> Result<(EngineObject, String), EngineError> {
        let mut properties: Vec<Fields> = Vec::new();
        loop {
            let line = self.line().await?;
            if line[0].is_empty() {
                break;
            }
            properties.push(line);
        }
        let all = |word: &str| -> Vec<&Fields> {
            properties.iter().filter(|line| line[0] == word).collect()
        };
        let text = |word: &str| {
            all(word)
                .first()
                .map_or(String::new(), |line| line[1].clone())
        };
        let is_set = |word: &str| !all(word).is_empty();
        let time = |word: &str| {
            let nanoseconds: Option<i64> = text(word).parse().ok();
            nanoseconds.map(|time| {
                let rest = u32::try_from(time.rem_euclid(1_000_000_000)).unwrap();
                Timestamp::new(time.div_euclid(1_000_000_000), rest).unwrap()
            })
        };
        let list = |word: &str| -> Vec<String> {
            all(word).into_iter().map(|line| line[1].clone()).collect()
        };
        let map = |word: &str| -> BTreeMap<String, String> {
            all(word)
                .into_iter()
                .map(|line| (line[1].clone(), line[2].clone()))
                .collect()
        };
        let object = match first[0].as_str() {
            "container" => EngineObject::Container(Container {
                id: text("id"),
                name: text("name"),
                namespace: text("namespace"),
                path: text("path"),
                args: list("arg"),
                image_id: text("image-id"),
                image_name: text("image"),
                labels: map("label"),
                state: serde_json::from_value(text("state").into()).unwrap(),
                pid: text("pid").parse().unwrap(),
                exit_code: text("exit-code").parse().unwrap(),
                error: text("error"),
                created_at: time("created"),
                started_at: time("started"),
                finished_at: time("finished"),
                ports: list("port")
                    .into_iter()
                    .map(|name| ExposedPort {
                        bindings: all("binding")
                            .into_iter()
                            .filter(|line| line[1] == name)
                            .map(|line| PortBinding {
                                host_ip: line[2].clone(),
                                host_port: line[3].clone(),
                            })
                            .collect(),
                        name,
                    })
                    .collect(),
                running: is_set("running"),
                paused: is_set("paused"),
                restarting: is_set("restarting"),
                oom_killed: is_set("oom-killed"),
                dead: is_set("dead"),
                tty: is_set("tty"),
            }),
            "image" => EngineObject::Image(Image {
                id: text("id"),
                namespace: text("namespace"),
                repo_tags: list("tag"),
                repo_digests: list("digest"),
                created_at: time("created"),
                architecture: text("architecture"),
                os: text("os"),
                size: text("size").parse().unwrap(),
                labels: map("label"),
            }),
            "volume" => EngineObject::Volume(Volume {
                name: text("name"),
                namespace: text("namespace"),
                created_at: time("created"),
                driver: text("driver"),
                mountpoint: text("mountpoint"),
                labels: map("label"),
                scope: text("scope"),
                options: map("option"),
            }),
            "namespace" => EngineObject::Namespace(text("name")),
            other => panic!("an unknown object {other}"),
        };
        Ok((object, text("raw")))
    }
}
