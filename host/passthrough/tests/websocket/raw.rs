//! A client that writes raw frames, including ones that no library allows.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::common::TestServer;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;
/// The last frame of its message.
pub(crate) const FIN: u8 = 0x80;
/// The three reserved bits.
pub(crate) const RESERVED: [u8; 3] = [0x40, 0x20, 0x10];

/// The masking key of client frames: any four bytes (RFC 6455).
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// Returns a masked client frame. `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Returns a frame without the mask that clients have to use.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

fn head(first: u8, len: usize, masked: u8) -> Vec<u8> {
    let mut head = vec![first];
    match len {
        0..126 => head.push(masked | u8::try_from(len).unwrap()),
        126..=0xffff => {
            head.push(masked | 126);
            head.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        _ => {
            head.push(masked | 127);
            head.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    head
}

/// Returns a close frame.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A WebSocket on which raw bytes are sent.
pub(crate) struct RawWebSocket(pub(crate) TcpStream);

/// What the server sent.
#[derive(Default)]
pub(crate) struct ReceivedFrames {
    /// The number of bytes in data frames.
    pub(crate) data: usize,
    pub(crate) pongs: usize,
    /// The payload of each close frame.
    pub(crate) closes: Vec<Vec<u8>>,
    /// The error that ended the connection, if any.
    pub(crate) error: Option<std::io::Error>,
}

impl ReceivedFrames {
    /// Returns the code of the only close frame. `None` if it has no body.
    pub(crate) fn code(&self, what: &str) -> Option<u16> {
        assert_eq!(self.closes.len(), 1, "{what}: {:?}", self.closes);
        let payload = self.closes[0].get(..2)?;
        Some(u16::from_be_bytes(payload.try_into().unwrap()))
    }
}

impl RawWebSocket {
    /// Opens the stream at `path`.
    pub(crate) async fn open(server: &TestServer, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{path}");
        Self(stream)
    }

    /// Sends raw bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn read_to_end(&mut self) -> ReceivedFrames {
        self.read(false).await
    }

    /// Reads until the server closes the connection, and answers its close frame.
    pub(crate) async fn read_and_answer(&mut self) -> ReceivedFrames {
        self.read(true).await
    }

    async fn read(&mut self, answer: bool) -> ReceivedFrames {
        let mut sent = ReceivedFrames::default();
        loop {
            match self.read_frame().await {
                Ok(Some((first, payload))) => match first & 0x0f {
                    CLOSE => {
                        if answer {
                            self.send(&frame(FIN | CLOSE, &payload)).await;
                        }
                        sent.closes.push(payload);
                    }
                    PONG => sent.pongs += 1,
                    BINARY => sent.data += payload.len(),
                    _ => {}
                },
                Ok(None) => return sent,
                Err(error) => {
                    sent.error = Some(error);
                    return sent;
                }
            }
        }
    }

    async fn read_frame(&mut self) -> std::io::Result<Option<(u8, Vec<u8>)>> {
        let first = match self.0.read_u8().await {
            Ok(first) => first,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = match self.0.read_u8().await? {
            126 => self.0.read_u16().await?.into(),
            127 => self.0.read_u64().await?,
            len => len.into(),
        };
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.0.read_exact(&mut payload).await?;
        Ok(Some((first, payload)))
    }
}
