"""The kinds of slow clients, and the run of one of them."""

import asyncio
import functools
import itertools
import ssl
import time
from typing import Callable, NamedTuple

from flood import http2
from flood.websocket import LOST

# The documented limits in seconds
HANDSHAKE_LIMIT = 10.0
REQUEST_LIMIT = 10.0


class Target(NamedTuple):
    """Where a daemon listens, and the file of its authority."""

    host: str
    port: int
    authority: str

    def tls_context(self, *protocols: str) -> ssl.SSLContext:
        tls = ssl.create_default_context(cafile=self.authority)
        tls.set_alpn_protocols(protocols)
        return tls


class SlowKind(NamedTuple):
    """What a slow client sends: the beginning at once, the rest byte by byte."""

    name: str
    protocol: str | None  # of TLS; none if the client does not finish the handshake
    begin: Callable[[], bytes]
    drip: bytes | None  # repeated; none if nothing follows
    limit: float
    is_early: bool = False  # it may be disconnected before the limit, by an answer or another limit


def no_bytes() -> bytes:
    return b""


@functools.cache
def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def text(content: str) -> Callable[[], bytes]:
    return lambda: content.encode()


def frames(*parts: bytes) -> Callable[[], bytes]:
    return lambda: b"".join((http2.START, *parts))


GET = http2.headers(http2.METHOD_GET)
POST = http2.headers(http2.METHOD_POST)
PATH = "/api/v1/namespaces"
BODY = "Host: localhost\r\nContent-Length: 1000000\r\n\r\n"
KINDS = [
    SlowKind("TCP, then nothing", None, no_bytes, None, HANDSHAKE_LIMIT),
    SlowKind("TLS ClientHello", None, no_bytes, b"", HANDSHAKE_LIMIT),
    SlowKind("TLS, then nothing", "http/1.1", no_bytes, None, REQUEST_LIMIT),
    SlowKind("HTTP/1.1 request line", "http/1.1", text("GET /"), b"x", REQUEST_LIMIT),
    SlowKind(
        "HTTP/1.1 headers", "http/1.1", text(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nX: "), b"x", REQUEST_LIMIT
    ),
    SlowKind("HTTP/2 preface in part", "h2", lambda: http2.PREFACE[:10], None, REQUEST_LIMIT),
    SlowKind("HTTP/2 preface, then nothing", "h2", frames(), None, REQUEST_LIMIT),
    SlowKind(
        "HTTP/2 CONTINUATION of a byte each",
        "h2",
        frames(http2.frame(http2.HEADERS, 1, GET + http2.ENDLESS_FIELD)),
        http2.frame(http2.CONTINUATION, 1, b"x"),
        REQUEST_LIMIT,
        # The HTTP/2 library allows few of them.
        True,
    ),
    SlowKind(
        "HTTP/2 HEADERS in one frame",
        "h2",
        lambda: http2.START + http2.frame(http2.HEADERS, 1, (GET + http2.ENDLESS_FIELD).ljust(2**14, b"x"))[:64],
        b"x",
        REQUEST_LIMIT,
    ),
    SlowKind("HTTP/1.1 body", "http/1.1", text(f"POST {PATH} HTTP/1.1\r\n{BODY}"), b"x", REQUEST_LIMIT, True),
    SlowKind(
        "HTTP/2 body",
        "h2",
        frames(http2.frame(http2.HEADERS, 1, POST, http2.END_HEADERS)),
        http2.frame(http2.DATA, 1, b"x"),
        REQUEST_LIMIT,
        True,
    ),
]


async def drip(writer: asyncio.StreamWriter, kind: SlowKind, pause: float) -> None:
    if kind.drip is None:
        return
    if not kind.drip:
        # The handshake is sent in pieces itself.
        pieces = (bytes([byte]) for byte in client_hello()[:-1])
    else:
        pieces = itertools.repeat(kind.drip)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def live(target: Target, kind: SlowKind, contexts: dict, pause: float) -> float:
    """Runs one client; returns the seconds until it was disconnected. `contexts` are
    those of TLS by protocol."""
    tls = contexts.get(kind.protocol)
    # Before the connection: the daemon counts while this process waits for its turn.
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
    dripping = None
    try:
        writer.write(kind.begin())
        dripping = asyncio.create_task(drip(writer, kind, pause))
        while await reader.read(2**16):
            pass
    except LOST:
        pass
    finally:
        if dripping:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
        writer.transport.abort()
    return time.monotonic() - begun
