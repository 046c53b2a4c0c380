"""Oversized, fragmented, and invalid messages on each WebSocket endpoint: the close
code of RFC 6455, the end of the engine's stream, and bounded memory.
"""

import asyncio
import json
import struct
import time
from typing import NamedTuple

from flood.context import FloodContext, mirrored, until
from flood.report import percentile
from flood.websocket import BINARY, CLOSE, CONTINUATION, LOST, PING, PONG, TEXT, WebSocket, connect, frame
from testbed.daemon import EXEC, LOGS, Daemon

KIB = 1024
# The documented limits of messages in bytes
LOG_MESSAGE, EXEC_MESSAGE = 4 * KIB, 1024 * KIB
ENGINE_CLOSE_SECONDS = 1.0  # documented
ENGINE_CLOSE_SLACK = 3.0  # of a busy machine, for the slowest one
ATTEMPTS = 3  # of a busy machine, which may exceed that once
CLOSE_SECONDS = 10.0  # for a close frame that is sent at once
CLOSE_LIMIT = 65.0  # for the close frame of a client: documented, and checked every 5 s
TOO_BIG, PROTOCOL, NOT_UTF8, NORMAL = 1009, 1002, 1007, 1000
NO_CLOSE = None  # the connection stays open

ENDLESS_SECONDS = 5.0
ENDLESS_AT_ONCE = 20
FRAMES_AT_ONCE = 1000
MEMORY_KIB = 32 * KIB  # the messages that may wait, and what the allocator keeps


class Endpoint(NamedTuple):
    """A WebSocket endpoint, with an engine stream of its own for each client."""

    name: str
    path: str
    subprotocol: str | None
    max_message: int
    container: str
    metric: str

    async def open(self, daemon: Daemon) -> WebSocket:
        """Opens the WebSocket and an engine stream."""
        socket = await connect(daemon, self.path, self.subprotocol)
        if self.subprotocol:
            # With `until`, the engine's stream is not shared.
            subscription = {"op": "subscribe", "id": 1, "container": self.container, "tail": 1}
            await socket.send(frame(TEXT, json.dumps({**subscription, "until": "-1h", "credit": 1}).encode()))
        return socket

    async def is_reading(self, daemon: Daemon) -> bool:
        return await daemon.metric(self.metric) > 0

    async def is_released(self, daemon: Daemon) -> bool:
        return await daemon.metric(self.metric) == 0


class InvalidInput(NamedTuple):
    """What a client sends, and the code that it is closed with."""

    name: str
    data: bytes
    code: int | None


def fragments(opcode: int, sizes: list) -> bytes:
    """A message in pieces."""
    pieces = [
        frame(opcode if at == 0 else CONTINUATION, b"x" * size, at == len(sizes) - 1) for at, size in enumerate(sizes)
    ]
    return b"".join(pieces)


def inputs(limit: int) -> list:
    """What is sent to an endpoint whose messages have at most `limit` bytes."""
    piece = limit // 4
    found = [
        InvalidInput("text of the limit", frame(TEXT, b"x" * limit), NO_CLOSE),
        InvalidInput("text above the limit", frame(TEXT, b"x" * (limit + 1)), TOO_BIG),
        InvalidInput("binary above the limit", frame(BINARY, b"x" * (limit + 1)), TOO_BIG),
        InvalidInput("a header that announces 2^40 bytes", frame(BINARY, announced=2**40), TOO_BIG),
        InvalidInput("a header that announces 2^63 - 1 bytes", frame(TEXT, announced=2**63 - 1), TOO_BIG),
        InvalidInput("fragments of the limit together", fragments(BINARY, [piece] * 4), NO_CLOSE),
        InvalidInput("fragments above the limit together", fragments(BINARY, [piece] * 4 + [1]), TOO_BIG),
        InvalidInput("unfinished fragments above the limit", fragments(TEXT, [piece] * 4 + [1, 0])[:-6], TOO_BIG),
        InvalidInput("a ping of 126 bytes", frame(PING, b"x" * 126), PROTOCOL),
        InvalidInput("a pong of 126 bytes", frame(PONG, b"x" * 126), PROTOCOL),
        InvalidInput("a close frame of 126 bytes", frame(CLOSE, struct.pack(">H", NORMAL) + b"x" * 124), PROTOCOL),
        InvalidInput("a ping in fragments", frame(PING, b"x", is_last=False), PROTOCOL),
        InvalidInput("a close frame of one byte", frame(CLOSE, b"x"), PROTOCOL),
        InvalidInput("an unmasked text", frame(TEXT, b"x", is_masked=False), PROTOCOL),
        InvalidInput("an unmasked ping", frame(PING, is_masked=False), PROTOCOL),
        InvalidInput("a continuation of nothing", frame(CONTINUATION, b"x"), PROTOCOL),
        InvalidInput("a text within a text", frame(TEXT, b"x", is_last=False) + frame(TEXT, b"x"), PROTOCOL),
        InvalidInput("text that is not UTF-8", frame(TEXT, b"x\xff"), NOT_UTF8),
        InvalidInput("text that ends within a character", frame(TEXT, "ü".encode()[:1]), NOT_UTF8),
        InvalidInput(
            "text that is not UTF-8 in its second fragment",
            frame(TEXT, b"x", is_last=False) + frame(CONTINUATION, b"\xed\xa0\x80"),
            NOT_UTF8,
        ),
    ]
    found += [
        InvalidInput(f"reserved bits {bits:03b}", frame(TEXT, b"x", reserved=bits), PROTOCOL) for bits in (1, 2, 4, 7)
    ]
    found += [InvalidInput(f"opcode {code}", frame(code, b""), PROTOCOL) for code in (3, 7, 11, 15)]
    return found


async def send_invalid(daemon: Daemon, endpoint: Endpoint, invalid: InvalidInput) -> tuple:
    """Returns the code that the client is closed with, and how many seconds later
    the engine's stream was closed."""
    socket = await endpoint.open(daemon)
    try:
        await until(lambda: endpoint.is_reading(daemon))
        await socket.send(invalid.data)
        if invalid.code == NO_CLOSE:
            # What comes before a pong has been read.
            await socket.send(frame(PING, b"end"))
            return await asyncio.wait_for(wait_for_pong(socket), CLOSE_SECONDS), 0.0
        code = await asyncio.wait_for(socket.close_code(), CLOSE_SECONDS)
        released, took = await until(lambda: endpoint.is_released(daemon))
        return code, took if released else float("inf")
    except asyncio.TimeoutError:
        return "no close frame", 0.0
    except LOST as error:
        return type(error).__name__, 0.0
    finally:
        socket.reset()
        await until(lambda: endpoint.is_released(daemon))


async def wait_for_pong(socket: WebSocket):
    """Returns none when the pong to `end` arrives, or the code of a close frame."""
    while True:
        received = await socket.message()
        if received.opcode == PONG and received.payload == b"end":
            return NO_CLOSE
        if received.opcode == CLOSE:
            return struct.unpack(">H", received.payload[:2])[0]


async def check_codes(context: FloodContext, endpoint: Endpoint) -> None:
    report, seconds = context.report, []
    wrong = []
    found = inputs(endpoint.max_message)
    for invalid in found:
        for _ in range(ATTEMPTS):
            code, took = await send_invalid(context.daemon, endpoint, invalid)
            if code != invalid.code or took <= ENGINE_CLOSE_SLACK:
                break
        if code != invalid.code:
            wrong.append(f"{invalid.name}: {code}, not {invalid.code}")
        if invalid.code != NO_CLOSE:
            seconds.append(took)
    report.equal(f"{endpoint.name}: wrong close codes, of {len(found)}", len(wrong), 0)
    for line in wrong:
        report.add(f"  {line}", "", "", False)
    report.at_most(
        f"{endpoint.name}: the engine's stream ended, median", percentile(seconds, 0.5), ENGINE_CLOSE_SECONDS, " s"
    )
    report.at_most(f"{endpoint.name}: the engine's stream ended, slowest", max(seconds), ENGINE_CLOSE_SLACK, " s")


async def send_endlessly(context: FloodContext, endpoint: Endpoint, name: str, begin: bytes, data: bytes) -> None:
    """Sends frames without an end on many sockets, and reads nothing on them. The
    daemon's memory is bounded, and it serves others meanwhile."""
    daemon = context.daemon
    sockets = [await endpoint.open(daemon) for _ in range(ENDLESS_AT_ONCE)]
    before, sent, lost, peak = daemon.memory_kib(), 0, 0, 0
    end = time.monotonic() + ENDLESS_SECONDS

    async def flood(socket: WebSocket) -> None:
        nonlocal sent, lost
        try:
            await socket.send(begin)
            while time.monotonic() < end:
                # A daemon that does not read any more applies backpressure.
                await asyncio.wait_for(socket.send(data * FRAMES_AT_ONCE), max(0.1, end - time.monotonic()))
                sent += FRAMES_AT_ONCE
        except asyncio.TimeoutError:
            pass
        except LOST:
            lost += 1

    floods = [asyncio.create_task(flood(socket)) for socket in sockets]
    slowest = 0.0
    while not all(task.done() for task in floods):
        asked = time.monotonic()
        await daemon.mirrors()
        slowest = max(slowest, time.monotonic() - asked)
        peak = max(peak, daemon.memory_kib())
        await asyncio.sleep(0.1)
    await asyncio.gather(*floods)
    for socket in sockets:
        socket.reset()
    released, _ = await until(lambda: endpoint.is_released(daemon))
    context.report.add(f"{endpoint.name}: {name}: frames sent, sockets closed", f"{sent} {lost}", "", sent > 0)
    context.report.at_most(f"{endpoint.name}: {name}: memory grown", peak - before, MEMORY_KIB, " KiB")
    context.report.at_most(f"{endpoint.name}: {name}: slowest list meanwhile", slowest, CLOSE_SECONDS, " s")
    context.report.equal(f"{endpoint.name}: {name}: streams that stay", not released, False)


async def ignore_close_frame(context: FloodContext) -> None:
    """Sends pongs and no close frame after the log has ended: the client is
    disconnected nevertheless."""
    daemon = context.daemon
    container = await context.docker.run("exec sleep 5")
    await mirrored(context, [container])
    socket = await connect(daemon, f"{LOGS}/{container}")
    code, begun = await socket.close_code(), time.monotonic()

    async def pongs() -> None:
        while True:
            await socket.send(frame(PONG))
            await asyncio.sleep(1)

    sending = asyncio.create_task(pongs())
    try:
        await asyncio.wait_for(socket.close_code(), CLOSE_LIMIT + CLOSE_SECONDS)
    except asyncio.TimeoutError:
        pass
    took = time.monotonic() - begun
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    socket.reset()
    context.report.equal("code at the end of a log", code, NORMAL)
    context.report.at_most("a client that sends no close frame: disconnected after", took, CLOSE_LIMIT, " s")


async def run(context: FloodContext) -> None:
    talker = await context.docker.run("echo hello; exec sleep 100000")
    await mirrored(context, [talker])
    log, process = 'rdd_plugin_streams{plugin="moby",kind="log"}', 'rdd_plugin_streams{plugin="moby",kind="exec"}'
    endpoints = [
        # With timestamps, the engine's stream is not shared.
        Endpoint("log", f"{LOGS}/{talker}?timestamps=true", None, LOG_MESSAGE, talker, log),
        Endpoint("mux", LOGS, "rdd.logs-mux.v1", LOG_MESSAGE, talker, log),
        Endpoint("exec", f"{EXEC}/{talker}?command=cat&stdin=true&stdout=true", None, EXEC_MESSAGE, talker, process),
    ]
    for endpoint in endpoints:
        await check_codes(context, endpoint)
    for endpoint in endpoints:
        begin = frame(TEXT, b"x", is_last=False)
        await send_endlessly(context, endpoint, "empty continuations", begin, frame(CONTINUATION, is_last=False))
        await send_endlessly(context, endpoint, "pings", b"", frame(PING, b"x" * 125))
        await send_endlessly(context, endpoint, "empty messages", b"", frame(TEXT))
    if not context.is_short:
        await ignore_close_frame(context)
