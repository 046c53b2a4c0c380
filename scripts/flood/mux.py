"""A client of the logs of many containers (`rdd.logs-mux.v1`)."""

import json
import struct

from flood.websocket import BINARY, CLOSE, TEXT, WebSocket, connect, frame
from testbed.daemon import LOGS, Daemon

SUBPROTOCOL = "rdd.logs-mux.v1"
MAX_SUBSCRIPTIONS, MAX_SOURCES = 64, 512  # of a connection
CREDIT = 2**31


def parse_entries(message: bytes) -> tuple:
    """Returns the subscription, the source, and the bytes of each entry."""
    subscription, source, length = struct.unpack_from(">IIB", message)
    at, entries = 9 + length, []
    while at < len(message):
        (length,) = struct.unpack_from(">I", message, at + 9)
        at += 13
        entries.append(message[at : at + length])
        at += length
    return subscription, source, entries


class MuxClient:
    """One connection, its sources by number, and the lines that it has received."""

    def __init__(self, socket: WebSocket):
        self.socket = socket
        self.sources, self.errors, self.begun, self.lines = {}, [], set(), 0

    @classmethod
    async def open(cls, daemon: Daemon, tls=None) -> "MuxClient":
        return cls(await connect(daemon, LOGS, SUBPROTOCOL, tls))

    async def subscribe(self, number: int, **members) -> None:
        message = {"op": "subscribe", "id": number, "credit": CREDIT, **members}
        await self.socket.send(frame(TEXT, json.dumps(message).encode()))

    async def entries(self) -> tuple:
        """Returns the next source and its entries. Other messages are recorded; a
        position, which has no entries, says that the source has begun."""
        while True:
            received = await self.socket.message()
            if received.opcode == CLOSE:
                raise ConnectionError(f"closed: {received.payload!r}")
            if received.opcode == TEXT:
                event = json.loads(received.payload)
                if event["type"] == "joined":
                    self.sources[event["source"]] = event["container"]
                elif event["type"] in ("error", "left", "end", "gap"):
                    self.errors.append(event)
                    return None, []
            elif received.opcode == BINARY:
                _, source, entries = parse_entries(received.payload)
                self.begun.add(source)
                self.lines += len(entries)
                return source, entries

    async def wait_for_sources(self, count: int) -> None:
        """Reads until this number of sources has begun, or one has failed."""
        while len(self.begun) < count and not self.errors:
            await self.entries()

    async def wait_for_lines(self, count: int) -> None:
        """Reads until this number of lines has arrived, or a source has failed."""
        while self.lines < count and not self.errors:
            await self.entries()
