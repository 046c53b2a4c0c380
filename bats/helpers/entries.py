"""A client of log entries that shares no code with rdd. It writes each entry's bytes
to standard output or standard error, with a newline unless the entry is partial,
breaks the connection after random numbers of messages, and resumes at the cursor.
Other messages go as JSON, one line each, to the file of --events.

With --mux it subscribes with that JSON object instead, at the endpoint of many
containers, and writes entries with the container's name in front.
"""

import argparse
import asyncio
import base64
import json
import random
import ssl
import struct
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

CREDIT = 10_000


def write(stderr: bool, data: bytes, partial: bool, name: str = "") -> None:
    stream = sys.stderr.buffer if stderr else sys.stdout.buffer
    stream.write((name + " " if name else "").encode() + data + (b"" if partial else b"\n"))
    stream.flush()


def parse_binary(message: bytes) -> tuple[str, list]:
    """Parses a cursor and the entries after it."""
    end = 1 + message[0]
    cursor, entries = message[1:end].decode(), []
    while end < len(message):
        _, flags, length = struct.unpack_from(">qBI", message, end)
        end += 13
        entries.append((bool(flags & 1), message[end : end + length], bool(flags & 2)))
        end += length
    return cursor, entries


def parse_json(message: dict) -> tuple[str, list]:
    def data(entry: dict) -> bytes:
        return entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])

    entries = message["entries"]
    parsed = [(e["stream"] == "stderr", data(e), e.get("partial", False)) for e in entries]
    return message["cursor"], parsed


class Client:
    def __init__(self) -> None:
        options = argparse.ArgumentParser(description=__doc__)
        options.add_argument("url")
        options.add_argument("--token-file", required=True)
        options.add_argument("--ca", required=True)
        options.add_argument("--subprotocol", action="append")
        options.add_argument("--cuts", type=int, default=0)
        options.add_argument("--events", default="/dev/null")
        options.add_argument("--mux")
        options.add_argument("--save-cursor", default="/dev/null", help="file for the last cursor")
        options.add_argument("--until-lines", type=int, help="stop after this number of lines")
        self.options = options.parse_args()
        self.lines = 0
        with open(self.options.token_file) as file:
            self.token = file.read().strip()
        self.events = open(self.options.events, "a")

    def connect(self, subprotocol: str, cursor: str | None):
        url = self.options.url + (f"&cursor={cursor}" if cursor else "")
        return connect(
            url,
            ssl=ssl.create_default_context(cafile=self.options.ca),
            additional_headers={"Authorization": f"Bearer {self.token}"},
            subprotocols=[subprotocol],
            compression=None,
        )

    def event(self, event: dict) -> None:
        self.events.write(json.dumps(event) + "\n")
        self.events.flush()

    def entries(self, entries: list, name: str = "") -> bool:
        for stderr, data, partial in entries:
            write(stderr, data, partial, name)
            self.lines += not partial
        return self.options.until_lines is not None and self.lines >= self.options.until_lines

    async def follow(self) -> None:
        cursor, cuts = None, self.options.cuts
        while True:
            subprotocol = random.choice(self.options.subprotocol)
            left = random.randrange(1, 6) if cuts else None
            async with self.connect(subprotocol, cursor) as socket:
                async for message in socket:
                    if isinstance(message, bytes) and message[0] == 1:
                        cursor, entries = parse_binary(message[1:])
                    else:
                        event = json.loads(message[1:] if isinstance(message, bytes) else message)
                        if event["type"] != "entries":
                            self.event(event)
                            continue
                        cursor, entries = parse_json(event)
                    with open(self.options.save_cursor, "w") as file:
                        file.write(cursor)
                    if self.entries(entries):
                        return
                    if left is not None:
                        left -= 1
                        if left == 0:
                            socket.transport.abort()
                            break
                else:
                    return
            cuts -= 1

    async def multiplex(self) -> None:
        names: dict[int, str] = {}
        async with self.connect("rdd.logs-mux.v1", None) as socket:
            await socket.send(json.dumps({"op": "subscribe", "id": 1, "credit": CREDIT} | json.loads(self.options.mux)))
            async for message in socket:
                if isinstance(message, str):
                    event = json.loads(message)
                    self.event(event)
                    if event["type"] == "joined":
                        names[event["source"]] = event["name"]
                    elif event["type"] in ("end", "error"):
                        return
                    continue
                _, source = struct.unpack_from(">II", message)
                _, entries = parse_binary(message[8:])
                if self.entries(entries, names[source]):
                    return
                spent = sum(max(1, len(data)) for _, data, _ in entries)
                if spent:
                    await socket.send(json.dumps({"op": "credit", "id": 1, "bytes": spent}))


def main() -> None:
    client = Client()
    try:
        asyncio.run(client.multiplex() if client.options.mux else client.follow())
    except ConnectionClosed as error:
        sys.exit(f"the connection was closed: {error}")


if __name__ == "__main__":
    main()
