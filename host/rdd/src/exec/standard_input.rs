//! Reads standard input on a thread of its own, since a read from a terminal or a
//! pipe cannot be cancelled.

use std::io::{self, Read as _};

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Bytes;

/// How many bytes are read at once, as kubectl does.
const READ_BYTES: usize = 32 * 1024;

/// The number of pieces that wait to be sent. The reader waits for a connection
/// that is slower.
const QUEUE_CAPACITY: usize = 4;

/// The pieces of standard input. The channel closes at its end.
pub(super) type InputReceiver = mpsc::Receiver<io::Result<Bytes>>;

/// Starts to read. The thread is left behind when the command ends.
pub(super) fn read() -> InputReceiver {
    let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let piece = match io::stdin().read(&mut buffer) {
                Ok(0) => return,
                Ok(len) => Ok(Bytes::copy_from_slice(
                    buffer.get(..len).unwrap_or_default(),
                )),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if sender.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}
