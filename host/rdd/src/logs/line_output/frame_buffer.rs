//! Output that waits to be printed, in frames of one stream each.

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Bytes;

use crate::logs::print::FrameStream;

/// The bytes after which a frame is complete.
const FRAME_BYTES: usize = 64 * 1024;

/// Output in the order in which it is printed.
#[derive(Default)]
pub(super) struct FrameBuffer {
    frames: Vec<Bytes>,
    current: Vec<u8>,
    bytes: usize,
}

/// The printing thread has ended.
#[derive(Debug)]
pub(super) struct PrinterGone;

impl FrameBuffer {
    /// Returns the buffer to which output of a stream is appended.
    pub(super) fn stream(&mut self, stream: FrameStream) -> &mut Vec<u8> {
        if self.current.first() != Some(&stream.first_byte()) || self.current.len() >= FRAME_BYTES {
            self.complete();
            self.current.push(stream.first_byte());
        }
        &mut self.current
    }

    /// Returns whether there is as much as one frame.
    pub(super) fn is_full(&self) -> bool {
        self.bytes + self.current.len() >= FRAME_BYTES
    }

    /// Hands everything to the printing thread.
    pub(super) async fn flush(&mut self, queue: &mpsc::Sender<Bytes>) -> Result<(), PrinterGone> {
        self.complete();
        self.bytes = 0;
        for frame in self.frames.drain(..) {
            queue.send(frame).await.map_err(|_| PrinterGone)?;
        }
        Ok(())
    }

    fn complete(&mut self) {
        if !self.current.is_empty() {
            self.bytes += self.current.len();
            self.frames.push(std::mem::take(&mut self.current).into());
        }
    }
}
