//! The input of a process: what its client sends, until the process takes it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rdd_core::{ExecOptions, TerminalSize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::PollSender;

use super::channel_message::{self, InputMessage, ResizeError};
use super::protocol::ExecProtocol;
use crate::limits;

/// The standard input of a process and the size of its terminal.
///
/// At most one message waits here. It is passed on in pieces, so that the queue of
/// the process, which counts pieces, is small.
pub(super) struct ProcessInput {
    protocol: ExecProtocol,
    /// `None` if the process has no standard input, or no longer.
    stdin: Option<PollSender<Bytes>>,
    /// What of the last message was not passed on yet.
    rest: Bytes,
    /// Whether the standard input ends after `rest`.
    is_last: bool,
    resizes: watch::Sender<Option<TerminalSize>>,
}

impl ProcessInput {
    pub(super) fn new(
        protocol: ExecProtocol,
        options: &ExecOptions,
        stdin: mpsc::Sender<Bytes>,
        resizes: watch::Sender<Option<TerminalSize>>,
    ) -> Self {
        Self {
            protocol,
            stdin: options.stdin.then(|| PollSender::new(stdin)),
            rest: Bytes::new(),
            is_last: false,
            resizes,
        }
    }

    /// Accepts the next message. May be called only after
    /// [`ProcessInput::poll_pass_on`] was ready.
    pub(super) fn accept(&mut self, message: Bytes) -> Result<(), ResizeError> {
        match channel_message::parse_input(self.protocol, message)? {
            InputMessage::Stdin(bytes) => self.rest = bytes,
            InputMessage::StdinEnd => self.is_last = true,
            InputMessage::Resize(size) => {
                self.resizes.send_replace(Some(size));
            }
            InputMessage::Discarded => {}
        }
        Ok(())
    }

    /// Passes the last message on to the process. Pending while the process does
    /// not read.
    pub(super) fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(stdin) = &mut self.stdin {
            if self.rest.is_empty() {
                if self.is_last {
                    self.stdin = None;
                }
                return Poll::Ready(());
            }
            let is_closed = match ready!(stdin.poll_reserve(cx)) {
                Ok(()) => {
                    let len = self.rest.len().min(limits::EXEC_INPUT_CHUNK);
                    stdin.send_item(self.rest.split_to(len)).is_err()
                }
                Err(_) => true,
            };
            // The process accepts no more input, and goes on.
            if is_closed {
                self.stdin = None;
            }
        }
        self.rest.clear();
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    struct Fixture {
        input: ProcessInput,
        stdin: mpsc::Receiver<Bytes>,
        resizes: watch::Receiver<Option<TerminalSize>>,
    }

    fn fixture(has_stdin: bool) -> Fixture {
        let options = ExecOptions {
            stdin: has_stdin,
            ..ExecOptions::default()
        };
        let (sender, stdin) = mpsc::channel(2);
        let (sizes, resizes) = watch::channel(None);
        Fixture {
            input: ProcessInput::new(ExecProtocol::ChannelV5, &options, sender, sizes),
            stdin,
            resizes,
        }
    }

    impl Fixture {
        fn is_passed_on(&mut self) -> bool {
            std::future::poll_fn(|cx| self.input.poll_pass_on(cx))
                .now_or_never()
                .is_some()
        }

        fn accept(&mut self, message: &[u8]) {
            assert!(self.is_passed_on());
            self.input.accept(message.to_vec().into()).unwrap();
        }
    }

    #[tokio::test]
    async fn a_message_waits_until_the_process_has_read_the_ones_before() {
        let mut fixture = fixture(true);
        let large = [b"\0", &[b'x'; limits::EXEC_INPUT_CHUNK * 3 + 1][..]].concat();
        fixture.accept(&large);
        assert!(!fixture.is_passed_on(), "the queue has two places");
        for expected in [65536, 65536, 65536, 1] {
            assert_eq!(fixture.stdin.recv().await.unwrap().len(), expected);
            fixture.is_passed_on();
        }
        assert!(fixture.is_passed_on());
    }

    #[tokio::test]
    async fn the_input_ends_after_what_was_sent_before() {
        let mut fixture = fixture(true);
        fixture.accept(b"\0last");
        fixture.accept(b"\xff\0");
        assert!(fixture.is_passed_on());
        assert_eq!(fixture.stdin.recv().await.unwrap(), "last");
        assert_eq!(fixture.stdin.recv().await, None);
        // What comes later is discarded.
        fixture.accept(b"\0more");
        fixture.accept(b"\x04{\"Width\":80,\"Height\":24}");
        assert!(fixture.resizes.borrow().is_some());
    }

    #[tokio::test]
    async fn a_process_that_closed_its_input_gets_sizes_and_no_bytes() {
        let mut fixture = fixture(true);
        fixture.stdin.close();
        fixture.accept(b"\0x");
        fixture.accept(b"\0y");
        fixture.accept(b"\x04{\"Width\":80,\"Height\":24}");
        let size = TerminalSize {
            columns: 80,
            rows: 24,
        };
        assert_eq!(*fixture.resizes.borrow(), Some(size));
    }

    #[tokio::test]
    async fn without_standard_input_it_ends_at_once() {
        let mut fixture = fixture(false);
        assert_eq!(fixture.stdin.recv().await, None);
        fixture.accept(b"\0x");
        assert!(fixture.is_passed_on());
    }
}
