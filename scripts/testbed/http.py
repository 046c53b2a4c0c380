"""One HTTP/1.1 request on a connection of its own."""

import asyncio
import contextlib
import json
import ssl
from typing import NamedTuple


class Response(NamedTuple):
    """A response, with the names of its headers in lower case."""

    status: int
    headers: dict
    body: bytes


class HttpError(Exception):
    """An error response."""

    def __init__(self, method: str, path: str, response: Response):
        super().__init__(f"{method} {path}: {response.status} {response.body.decode(errors='replace').strip()}")
        self.response = response


async def request(opening, method: str, path: str, headers=(), body=None) -> Response:
    """Sends one request on the connection that `opening` returns."""
    reader, writer = await opening()
    try:
        payload = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(payload)}"]
        head += ["Content-Type: application/json", *headers, "", ""]
        writer.write("\r\n".join(head).encode() + payload)
        await writer.drain()
        response = await read_head(reader)
        rest = await reader.read()
    finally:
        await close(writer)
    if response.headers.get("transfer-encoding") == "chunked":
        rest = join_chunks(rest)
    return response._replace(body=rest)


async def call(opening, method: str, path: str, headers=(), body=None) -> bytes:
    """Sends one request; returns the body. An error response is an exception."""
    response = await request(opening, method, path, headers, body)
    if response.status >= 400:
        raise HttpError(method, path, response)
    return response.body


async def read_head(reader: asyncio.StreamReader) -> Response:
    """Reads the status and the headers of a response."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
    return Response(int(lines[0].split(" ", 2)[1]), {name.lower(): value.strip() for name, value in pairs}, b"")


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


def join_chunks(content: bytes) -> bytes:
    whole, at = [], 0
    while at < len(content):
        end = content.index(b"\r\n", at)
        size = int(content[at:end].split(b";")[0], 16)
        if size == 0:
            break
        whole.append(content[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(whole)
