//! Counts the bytes between a backend and its engine.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use rdd_core::EngineError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{BackendMetrics, EngineConnection, EngineTransport};

/// A transport that counts its bytes.
pub struct MeteredTransport {
    transport: Arc<dyn EngineTransport>,
    metrics: Arc<BackendMetrics>,
}

impl MeteredTransport {
    /// Counts the bytes of `transport` in `metrics`.
    pub fn new(transport: Arc<dyn EngineTransport>, metrics: Arc<BackendMetrics>) -> Self {
        Self { transport, metrics }
    }
}

#[async_trait]
impl EngineTransport for MeteredTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let EngineConnection { reader, writer } = self.transport.connect().await?;
        Ok(EngineConnection {
            reader: Box::new(MeteredReader {
                reader,
                metrics: self.metrics.clone(),
            }),
            writer: Box::new(MeteredWriter {
                writer,
                metrics: self.metrics.clone(),
            }),
        })
    }
}

struct MeteredReader {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    metrics: Arc<BackendMetrics>,
}

impl AsyncRead for MeteredReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, buffer));
        let bytes = buffer.filled().len().saturating_sub(before);
        self.metrics.received_bytes.inc_by(bytes as u64);
        Poll::Ready(read)
    }
}

struct MeteredWriter {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    metrics: Arc<BackendMetrics>,
}

impl AsyncWrite for MeteredWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.writer).poll_write(cx, bytes));
        if let Ok(bytes) = written {
            self.metrics.sent_bytes.inc_by(bytes as u64);
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Duplex;

    #[async_trait]
    impl EngineTransport for Duplex {
        async fn connect(&self) -> Result<EngineConnection, EngineError> {
            let (client, mut engine) = tokio::io::duplex(64);
            tokio::spawn(async move {
                let mut request = [0; 5];
                engine.read_exact(&mut request).await.unwrap();
                engine.write_all(b"answered").await.unwrap();
            });
            let (reader, writer) = tokio::io::split(client);
            Ok(EngineConnection {
                reader: Box::new(reader),
                writer: Box::new(writer),
            })
        }
    }

    #[tokio::test]
    async fn bytes_are_counted_in_both_directions() {
        let metrics = Arc::new(BackendMetrics::default());
        let transport = MeteredTransport::new(Arc::new(Duplex), metrics.clone());
        let mut connection = transport.connect().await.unwrap();
        connection.writer.write_all(b"query").await.unwrap();
        let mut response = Vec::new();
        connection.reader.read_to_end(&mut response).await.unwrap();
        assert_eq!(response, b"answered");
        assert_eq!(metrics.sent_bytes.get(), 5);
        assert_eq!(metrics.received_bytes.get(), 8);
    }
}
