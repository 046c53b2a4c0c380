//! The messages of a process, in each subprotocol.
//!
//! Written by hand: kube's types for these channels are the client's side, for
//! pods, and private.

use bytes::Bytes;
use rdd_core::{OutputChunk, OutputSource, TerminalSize};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::Message;

use super::protocol::ExecProtocol;

/// Kubernetes' channels.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// A message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InputMessage {
    /// Bytes for the standard input.
    Stdin(Bytes),
    /// The standard input ends.
    StdinEnd,
    /// The new size of the terminal.
    Resize(TerminalSize),
    /// A message that has no meaning: an empty one, a size of zero, or one on a
    /// channel that a client does not write to. kubelet discards these, too.
    Discarded,
}

/// A message on the channel of the terminal's size that is no size.
#[derive(Debug, thiserror::Error)]
#[error("a terminal size has the form {{\"Width\":80,\"Height\":24}}")]
pub(super) struct ResizeError;

/// The size of a terminal as Kubernetes' clients send it. Go reads names in any
/// case, and clients rely on it.
#[derive(Deserialize)]
struct WindowSize {
    #[serde(rename = "Width", alias = "width")]
    width: u16,
    #[serde(rename = "Height", alias = "height")]
    height: u16,
}

/// Parses the content of a binary or text message of the client.
pub(super) fn parse_input(
    protocol: ExecProtocol,
    mut message: Bytes,
) -> Result<InputMessage, ResizeError> {
    if message.is_empty() {
        return Ok(InputMessage::Discarded);
    }
    if !protocol.has_channels() {
        return Ok(InputMessage::Stdin(message));
    }
    let channel = message.split_to(1);
    Ok(match (channel.first().copied(), &*message) {
        (Some(STDIN), [_, ..]) => InputMessage::Stdin(message),
        (Some(RESIZE), size) => {
            // serde also takes an array for an object.
            if !size.trim_ascii_start().starts_with(b"{") {
                return Err(ResizeError);
            }
            let WindowSize { width, height } =
                serde_json::from_slice(size).map_err(|_| ResizeError)?;
            if width == 0 || height == 0 {
                InputMessage::Discarded
            } else {
                InputMessage::Resize(TerminalSize {
                    columns: width,
                    rows: height,
                })
            }
        }
        (Some(CLOSE), [STDIN]) if protocol == ExecProtocol::ChannelV5 => InputMessage::StdinEnd,
        _ => InputMessage::Discarded,
    })
}

/// Encodes a chunk of output.
pub(super) fn encode_output(protocol: ExecProtocol, chunk: OutputChunk) -> Message {
    if !protocol.has_channels() {
        return Message::Binary(chunk.bytes);
    }
    let channel = match chunk.source {
        OutputSource::Stdout => STDOUT,
        OutputSource::Stderr => STDERR,
    };
    on_channel(channel, &chunk.bytes)
}

/// Returns the message that kubelet sends first, so that a client sees that the
/// process runs: an empty one on the lowest channel. `None` without channels.
pub(super) fn encode_start(protocol: ExecProtocol, stdout: bool, stderr: bool) -> Option<Message> {
    let channel = match (stdout, stderr) {
        (true, _) => STDOUT,
        (false, true) => STDERR,
        (false, false) => ERROR,
    };
    protocol.has_channels().then(|| on_channel(channel, b""))
}

/// Encodes how the process ended, a `Status` in JSON. `None` without channels.
pub(super) fn encode_status(protocol: ExecProtocol, status: &str) -> Option<Message> {
    protocol
        .has_channels()
        .then(|| on_channel(ERROR, status.as_bytes()))
}

fn on_channel(channel: u8, bytes: &[u8]) -> Message {
    let mut message = Vec::with_capacity(1 + bytes.len());
    message.push(channel);
    message.extend_from_slice(bytes);
    Message::Binary(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(protocol: ExecProtocol, message: &'static [u8]) -> InputMessage {
        parse_input(protocol, Bytes::from_static(message)).unwrap()
    }

    #[test]
    fn the_first_byte_selects_the_channel() {
        use ExecProtocol::{ChannelV4, ChannelV5};
        let stdin = |text: &'static str| InputMessage::Stdin(text.into());
        let resize = |columns, rows| InputMessage::Resize(TerminalSize { columns, rows });
        for protocol in [ChannelV4, ChannelV5] {
            for (message, expected) in [
                (&b"\0ls\n"[..], stdin("ls\n")),
                (b"\0\0", stdin("\0")),
                (b"\x04{\"Width\":80,\"Height\":24}", resize(80, 24)),
                (b"\x04 {\"height\":2,\"width\":1,\"X\":0}\n", resize(1, 2)),
                (b"\x04{\"Width\":0,\"Height\":24}", InputMessage::Discarded),
                (b"\x04{\"Width\":80,\"Height\":0}", InputMessage::Discarded),
                (b"", InputMessage::Discarded),
                (b"\0", InputMessage::Discarded),
                (b"\x01x", InputMessage::Discarded),
                (b"\x03x", InputMessage::Discarded),
                (b"\x07x", InputMessage::Discarded),
                (b"\xff\x01", InputMessage::Discarded),
                (b"\xff", InputMessage::Discarded),
                (b"\xff\0\0", InputMessage::Discarded),
            ] {
                assert_eq!(parse(protocol, message), expected, "{message:?}");
            }
        }
        assert_eq!(parse(ChannelV5, b"\xff\0"), InputMessage::StdinEnd);
        assert_eq!(parse(ChannelV4, b"\xff\0"), InputMessage::Discarded);
    }

    #[test]
    fn without_a_subprotocol_every_byte_is_input() {
        for message in [&b"\0ls"[..], b"\xff\0", b"\x04{}"] {
            let expected = InputMessage::Stdin(message.into());
            assert_eq!(parse(ExecProtocol::Raw, message), expected);
        }
    }

    #[test]
    fn a_size_that_is_no_size_is_an_error() {
        for size in [
            "",
            "{}",
            "80x24",
            "[80,24]",
            "{\"Width\":80}",
            "{\"Width\":70000,\"Height\":1}",
        ] {
            let message = [b"\x04", size.as_bytes()].concat();
            assert!(
                parse_input(ExecProtocol::ChannelV5, message.into()).is_err(),
                "{size}"
            );
        }
    }

    #[test]
    fn output_is_sent_on_the_channel_of_its_source() {
        let chunk = |source| OutputChunk {
            source,
            bytes: Bytes::from_static(b"x"),
        };
        for protocol in [ExecProtocol::ChannelV4, ExecProtocol::ChannelV5] {
            let encode = |source| encode_output(protocol, chunk(source));
            assert_eq!(encode(OutputSource::Stdout), Message::binary(&b"\x01x"[..]));
            assert_eq!(encode(OutputSource::Stderr), Message::binary(&b"\x02x"[..]));
            let start = |stdout, stderr| encode_start(protocol, stdout, stderr);
            assert_eq!(start(true, true), Some(Message::binary(&b"\x01"[..])));
            assert_eq!(start(false, true), Some(Message::binary(&b"\x02"[..])));
            assert_eq!(start(false, false), Some(Message::binary(&b"\x03"[..])));
            let status = encode_status(protocol, "{}");
            assert_eq!(status, Some(Message::binary(&b"\x03{}"[..])));
        }
        let raw = |source| encode_output(ExecProtocol::Raw, chunk(source));
        assert_eq!(raw(OutputSource::Stdout), Message::binary(&b"x"[..]));
        assert_eq!(raw(OutputSource::Stderr), Message::binary(&b"x"[..]));
        assert_eq!(encode_start(ExecProtocol::Raw, true, true), None);
        assert_eq!(encode_status(ExecProtocol::Raw, "{}"), None);
    }
}
