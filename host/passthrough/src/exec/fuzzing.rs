//! The messages of the client of a process. [`crate::fuzzing`] has the other
//! properties.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::noop_waker_ref;
use rdd_core::{ExecOptions, TerminalSize};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};

use super::channel_message::{InputMessage, parse_input};
use super::process_input::ProcessInput;
use super::protocol::ExecProtocol;
use crate::limits;

/// The channels of the client, as the documentation numbers them.
const STDIN: u8 = 0;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// How often the content of a message is repeated to make a long one.
const REPETITIONS: usize = 16_400;

/// The first byte has the subprotocol, whether there is standard input, and whether
/// messages are long. Each message follows the number of its bytes.
///
/// - Standard input arrives unchanged and in order, in pieces of limited size, and
///   ends where the client ends it.
/// - The last size arrives. What is not a size in the documented form is an error.
/// - No message of another channel has an effect.
pub fn exec_messages(data: &[u8]) {
    let Some((control, rest)) = data.split_first() else {
        return;
    };
    let protocol = match control & 3 {
        0 => ExecProtocol::Raw,
        1 => ExecProtocol::ChannelV4,
        _ => ExecProtocol::ChannelV5,
    };
    let options = ExecOptions {
        stdin: control & 4 != 0,
        ..ExecOptions::default()
    };
    let (sender, receiver) = mpsc::channel(2);
    let (sizes, resizes) = watch::channel(None);
    let mut input = ProcessInput::new(protocol, &options, sender, sizes);
    let mut process = TestProcess {
        stdin: receiver,
        received: Vec::new(),
    };
    let mut sent = Vec::new();
    let (mut has_ended, mut size) = (!options.stdin, None);
    for message in messages(rest, control & 0x18 == 0x18) {
        let message = Bytes::from(message);
        let parsed = parse_input(protocol, message.clone()).ok();
        check_message(protocol, &message, parsed.as_ref());
        process.read_all(&mut input);
        assert_eq!(input.accept(message).is_ok(), parsed.is_some());
        match parsed {
            None => break,
            Some(InputMessage::Stdin(bytes)) if !has_ended => sent.extend_from_slice(&bytes),
            Some(InputMessage::StdinEnd) => has_ended = true,
            Some(InputMessage::Resize(to)) => size = Some(to),
            Some(InputMessage::Stdin(_) | InputMessage::Discarded) => {}
        }
    }
    process.read_all(&mut input);
    assert!(process.received == sent, "standard input was changed");
    let end = match has_ended {
        true => TryRecvError::Disconnected,
        false => TryRecvError::Empty,
    };
    assert_eq!(process.stdin.try_recv(), Err(end));
    assert_eq!(*resizes.borrow(), size);
}

/// A process that reads its standard input.
struct TestProcess {
    stdin: mpsc::Receiver<Bytes>,
    received: Vec<u8>,
}

impl TestProcess {
    /// Reads until nothing waits any more.
    fn read_all(&mut self, input: &mut ProcessInput) {
        let mut cx = Context::from_waker(noop_waker_ref());
        loop {
            let passed_on = input.poll_pass_on(&mut cx);
            while let Ok(piece) = self.stdin.try_recv() {
                assert!(!piece.is_empty() && piece.len() <= limits::EXEC_INPUT_CHUNK);
                self.received.extend_from_slice(&piece);
            }
            if passed_on == Poll::Ready(()) {
                return;
            }
        }
    }
}

fn messages(mut data: &[u8], is_long: bool) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (message, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        let mut message = message.to_vec();
        if is_long && let Some(content) = message.get(1..).map(<[u8]>::to_vec) {
            // Eight bytes become more than two pieces.
            message.extend(
                content
                    .iter()
                    .take(8)
                    .copied()
                    .cycle()
                    .take(content.len().min(8) * REPETITIONS),
            );
        }
        Some(message)
    })
}

/// Compares a parsed message with the documentation; `None` is an error.
fn check_message(protocol: ExecProtocol, message: &Bytes, parsed: Option<&InputMessage>) {
    let expected = match (protocol, message.split_first()) {
        (_, None) => Some(InputMessage::Discarded),
        (ExecProtocol::Raw, Some(_)) => Some(InputMessage::Stdin(message.clone())),
        (_, Some((&STDIN, [_, ..]))) => Some(InputMessage::Stdin(message.slice(1..))),
        (ExecProtocol::ChannelV5, Some((&CLOSE, [STDIN]))) => Some(InputMessage::StdinEnd),
        (_, Some((&RESIZE, size))) => return check_resize(protocol, size, parsed),
        _ => Some(InputMessage::Discarded),
    };
    assert_eq!(parsed, expected.as_ref());
}

fn check_resize(protocol: ExecProtocol, size: &[u8], parsed: Option<&InputMessage>) {
    let encode = |columns: u16, rows: u16| {
        let size = json!({"Width": columns, "Height": rows}).to_string();
        parse_input(protocol, [&[RESIZE], size.as_bytes()].concat().into()).unwrap()
    };
    let members = serde_json::from_slice::<Value>(size).ok();
    let is_object = members.as_ref().is_some_and(Value::is_object);
    let member = |name| {
        let value = members.as_ref()?.get(name)?.as_u64()?;
        u16::try_from(value).ok()
    };
    match parsed {
        Some(InputMessage::Resize(parsed)) => {
            assert!(is_object, "{} is no size", size.escape_ascii());
            let TerminalSize { columns, rows } = *parsed;
            assert!(columns > 0 && rows > 0);
            assert_eq!(encode(columns, rows), InputMessage::Resize(*parsed));
        }
        Some(InputMessage::Discarded) => {
            assert!(is_object, "{} is no size", size.escape_ascii());
        }
        Some(message) => panic!("{message:?} is no size"),
        None => {
            // Twice the same member is an error, too.
            let (columns, rows) = (member("Width"), member("Height"));
            let canonical = members.as_ref().map(Value::to_string);
            let is_canonical = canonical.is_some_and(|it| it.as_bytes() == size);
            let is_size = columns.is_some() && rows.is_some() && is_canonical;
            let has_alias = member("width").or(member("height")).is_some();
            assert!(!is_size || has_alias, "{}", size.escape_ascii());
        }
    }
}
