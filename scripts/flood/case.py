"""One case of the WebSocket protocol: what a client sends, and what it must receive."""

import asyncio
import json
from typing import NamedTuple

from flood.websocket import BINARY, CLOSE, LOST, PING, PONG, TEXT, Frame, WebSocket, close_frame

SECONDS = 15.0  # for a step, on a busy machine
PAUSE = 0.05  # between pieces, so that they arrive separately
NORMAL = 1000


class Send(NamedTuple):
    """Bytes to send: at once, or in pieces of this size."""

    data: bytes
    piece: int = 0
    pause: float = 0.0


class Echo(NamedTuple):
    """The answer to a message, with this text in it."""

    text: str = ""


class PossibleEcho(NamedTuple):
    """An answer that may be lost, since what follows the message ends the connection
    at once."""

    text: str


class Bytes(NamedTuple):
    """Bytes that come back, in messages of any size."""

    data: bytes


class Pong(NamedTuple):
    payload: bytes


class Pongs(NamedTuple):
    """Pongs to pings, in order. As RFC 6455 allows, only the last one is required."""

    payloads: list


class Closed(NamedTuple):
    """The connection is closed with one of these codes; nothing else comes before."""

    codes: tuple


class Case(NamedTuple):
    """A case. Unless its last step is an end, it ends with a closing handshake."""

    number: str
    name: str
    steps: list


class CaseError(Exception):
    """Something else than a case expects."""


def code_of(received: Frame) -> int:
    return int.from_bytes(received.payload[:2], "big") if received.payload else 1005


async def next_frame(socket: WebSocket) -> Frame:
    """Returns the next frame that is no ping of the daemon."""
    while True:
        received = await asyncio.wait_for(socket.receive(), SECONDS)
        if received.opcode != PING:
            return received


async def expect_echo(socket: WebSocket, text: str) -> None:
    check_echo(await next_frame(socket), text)


def check_echo(received: Frame, text: str) -> None:
    if received.opcode != TEXT:
        raise CaseError(f"{describe(received)} in place of an answer")
    answer = json.loads(received.payload)
    if (answer["type"], answer["code"], answer["id"]) != ("error", 400, None) or text not in answer["message"]:
        raise CaseError(f"the answer is {answer}, without {text!r}")


async def expect_bytes(socket: WebSocket, expected: bytes) -> None:
    found = b""
    while len(found) < len(expected):
        received = await next_frame(socket)
        if received.opcode != BINARY:
            raise CaseError(f"{describe(received)} in place of bytes")
        found += received.payload
    if found != expected:
        raise CaseError("other bytes came back")


async def expect_pongs(socket: WebSocket, payloads: list) -> None:
    at = -1
    while at < len(payloads) - 1:
        received = await next_frame(socket)
        if received.opcode != PONG or received.payload not in payloads[at + 1 :]:
            raise CaseError(f"{describe(received)} in place of a pong")
        at = payloads.index(received.payload)


async def expect_close(socket: WebSocket, codes: tuple, possible: str | None = None) -> None:
    received = await next_frame(socket)
    if possible is not None and received.opcode == TEXT:
        check_echo(received, possible)
        received = await next_frame(socket)
    if received.opcode != CLOSE or code_of(received) not in codes:
        raise CaseError(f"{describe(received)} in place of a close frame with {codes}")
    try:
        more = await next_frame(socket)
    except LOST:
        return
    raise CaseError(f"{describe(more)} after the close frame")


def describe(received: Frame) -> str:
    if received.opcode == CLOSE:
        return f"a close frame with {code_of(received)}"
    return f"a frame with opcode {received.opcode} and {received.payload[:60]!r}"


async def send(socket: WebSocket, step: Send) -> None:
    """Sends bytes, as far as the daemon has not closed the connection. What it sent
    before is received by the next steps."""
    piece = step.piece or len(step.data)
    try:
        for at in range(0, len(step.data), piece):
            await socket.send(step.data[at : at + piece])
            await asyncio.sleep(step.pause)
    except LOST:
        pass


async def run_case(socket: WebSocket, case: Case) -> None:
    """Runs a case on a connection of its own."""
    possible = None
    for step in case.steps:
        match step:
            case Send():
                await send(socket, step)
            case Echo(text):
                await expect_echo(socket, text)
            case PossibleEcho(text):
                possible = text
            case Bytes(data):
                await expect_bytes(socket, data)
            case Pong(payload):
                await expect_pongs(socket, [payload])
            case Pongs(payloads):
                await expect_pongs(socket, payloads)
            case Closed(codes):
                await expect_close(socket, codes, possible)
                return
    await socket.send(close_frame(NORMAL))
    await expect_close(socket, (NORMAL,))
