"""A WebSocket client (RFC 6455) that sends any frame, also an invalid one.

Written by hand: a library refuses to send what these tests are about.
"""

import asyncio
import base64
import hashlib
import os
import socket
import ssl
import struct
from typing import NamedTuple

from testbed.daemon import Daemon
from testbed.http import Response, close, read_head

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = bytes(range(1, 5))
# What ends a connection without a close frame
LOST = (OSError, ssl.SSLError, asyncio.IncompleteReadError)


class Frame(NamedTuple):
    is_last: bool
    opcode: int
    payload: bytes


class RefusedError(Exception):
    """A response other than an upgrade."""

    def __init__(self, response: Response):
        super().__init__(f"{response.status} {response.body.decode(errors='replace').strip()}")
        self.response = response


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes = b"", is_last=True, reserved=0, is_masked=True, announced=None) -> bytes:
    """Encodes a frame. `reserved` are the three reserved bits, `announced` is the
    length in the header, if it is not that of the payload."""
    length = len(payload) if announced is None else announced
    head = bytes([is_last << 7 | reserved << 4 | opcode])
    mask_bit = is_masked << 7
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 2**16:
        head += struct.pack(">BH", mask_bit | 126, length)
    else:
        head += struct.pack(">BQ", mask_bit | 127, length)
    return head + (MASK + masked(payload) if is_masked else payload)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason)


class WebSocket:
    """An open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subprotocol):
        self.reader, self.writer, self.subprotocol = reader, writer, subprotocol

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Frame:
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
        return Frame(first >= 128, first & 15, await self.reader.readexactly(length))

    async def message(self) -> Frame:
        """Returns the next frame that is no ping, and answers pings."""
        while True:
            received = await self.receive()
            if received.opcode != PING:
                return received
            await self.send(frame(PONG, received.payload))

    async def close_code(self):
        """Reads until the connection ends. Returns the code of the close frame, or
        what ended the connection instead."""
        try:
            while True:
                received = await self.receive()
                if received.opcode == CLOSE:
                    return struct.unpack(">H", received.payload[:2])[0] if received.payload else 1005
        except LOST as error:
            return type(error).__name__

    async def close(self) -> None:
        """Closes the connection without a closing handshake."""
        await close(self.writer)

    def reset(self) -> None:
        """Resets the connection, unless it has ended."""
        raw = self.writer.get_extra_info("socket")
        if raw is None or raw.fileno() < 0:
            return
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def connect(daemon: Daemon, path: str, subprotocol=None, tls=None) -> WebSocket:
    """Opens a WebSocket with the token, or with the client certificate of `tls`."""
    reader, writer = await daemon.open(tls)
    key = base64.b64encode(os.urandom(16))
    head = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    head += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key.decode()}"]
    head += [f"Sec-WebSocket-Protocol: {subprotocol}"] * bool(subprotocol)
    head += [daemon.credentials] * (tls is None)
    try:
        writer.write("\r\n".join([*head, "", ""]).encode())
        response = await read_head(reader)
        if response.status != 101:
            length = int(response.headers.get("content-length", 0))
            raise RefusedError(response._replace(body=await reader.readexactly(length)))
    except BaseException:
        writer.transport.abort()
        raise
    expected = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
    if response.headers["sec-websocket-accept"] != expected:
        raise RefusedError(response)
    return WebSocket(reader, writer, response.headers.get("sec-websocket-protocol"))
