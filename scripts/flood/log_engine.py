"""A Docker Engine API on a Unix socket whose containers write lines at a fixed rate:

    python log_engine.py SOCKET CONTAINERS

It has containers and their logs, always with timestamps, and nothing else.
`POST /flood?lines=N&pause=S` lets each container write N lines, one every S seconds,
and returns at their end. Each line is its number and the time when it was written,
in nanoseconds of the monotonic clock. Runs until it is killed.
"""

import asyncio
import json
import re
import sys
import time
from urllib.parse import parse_qs, urlsplit

TICK_SECONDS = 0.05  # between writes, each with the lines that are due
HEAD = 8  # bytes of a frame's header
STAMP = len("2026-01-01T00:00:00.000000000Z")
EPOCH = time.time_ns() - time.monotonic_ns()
# The lines of each container, as the engine sends them
LOGS = {f"{number + 1:064x}": [] for number in range(int(sys.argv[2]))}


class Ticker:
    """Wakes those who wait for the next lines."""

    def __init__(self):
        self.next = asyncio.get_running_loop().create_future()

    def tick(self) -> None:
        self.next.set_result(None)
        self.next = asyncio.get_running_loop().create_future()


def stamp(nanoseconds: int) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9))
    return f"{seconds}.{nanoseconds % 10**9:09}Z"


def write(log: list, count: int) -> None:
    for _ in range(count):
        now = time.monotonic_ns()
        line = f"{stamp(EPOCH + now)} {len(log)} {now}\n".encode()
        log.append(b"\x01\0\0\0" + len(line).to_bytes(4, "big") + line)


async def flood(ticker: Ticker, lines: int, pause: float) -> None:
    begun, written = time.monotonic(), 0
    while written < lines:
        await asyncio.sleep(TICK_SECONDS)
        due = min(lines, int((time.monotonic() - begun) / pause))
        for log in LOGS.values():
            write(log, due - written)
        written = due
        ticker.tick()


def begin(log: list, query: dict) -> int:
    """Returns the number of the first line that a request is for."""
    since = query.get("since")
    first = 0
    if since:
        seconds, _, rest = since.partition(".")
        oldest = stamp(int(seconds) * 10**9 + int(f"{rest:0<9}"))
        first = next((at for at, line in enumerate(log) if line[HEAD : HEAD + STAMP].decode() >= oldest), len(log))
    tail = query.get("tail", "all")
    return first if tail == "all" else max(first, len(log) - int(tail))


async def send_log(log: list, query: dict, ticker: Ticker, reader, writer) -> None:
    """Sends a log in chunks, and follows it until the reader goes away."""
    at = begin(log, query)
    gone = asyncio.ensure_future(reader.read())
    while True:
        ticked = ticker.next
        lines, at = log[at:], len(log)
        if lines:
            data = b"".join(lines)
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        elif query.get("follow") != "1":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            break
        else:
            await asyncio.wait([ticked, gone], return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                break
    gone.cancel()


def name(container: str) -> str:
    return f"/c{int(container, 16)}"


def labels(container: str) -> dict:
    return {"flood": "yes", "number": str(int(container, 16))}


def summary(container: str) -> dict:
    names = [name(container)]
    return {"Id": container, "Names": names, "ImageID": "sha256:0", "State": "running", "Labels": labels(container)}


def details(container: str) -> dict:
    return {
        "Id": container,
        "Name": name(container),
        "Created": "2026-01-01T00:00:00Z",
        "Image": "sha256:0",
        "State": {"Status": "running", "Running": True, "Pid": 1, "StartedAt": "2026-01-01T00:00:00Z"},
        "Config": {"Tty": False, "Image": "i", "Labels": labels(container)},
        "HostConfig": {"LogConfig": {"Type": "json-file"}},
        "NetworkSettings": {"Ports": {}},
    }


FIXED = {
    "/_ping": lambda: "OK",
    "/version": lambda: {"ApiVersion": "1.41", "MinAPIVersion": "1.24", "Version": "20.10.0"},
    "/info": dict,
    "/images/json": list,
    "/containers/json": lambda: [summary(container) for container in LOGS],
    "/volumes": lambda: {"Volumes": []},
}


def answer(path: str):
    """Returns the status and the resource at a path."""
    if path in FIXED:
        return "200 OK", FIXED[path]()
    named = re.fullmatch(r"/containers/([0-9a-f]+)/json", path)
    if named and named[1] in LOGS:
        return "200 OK", details(named[1])
    return "404 Not Found", {"message": f"there is no {path}"}


async def serve(ticker: Ticker, reader, writer) -> None:
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            url = urlsplit(request.split(b" ", 2)[1].decode())
            path = re.sub(r"^/v1\.[0-9]+", "", url.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            log = re.fullmatch(r"/containers/([0-9a-f]+)/logs", path)
            if log and log[1] in LOGS:
                writer.write(head.encode())
                await send_log(LOGS[log[1]], query, ticker, reader, writer)
                return
            if path == "/events":
                writer.write(head.encode())
                await reader.read()
                return
            if path == "/flood":
                await flood(ticker, int(query["lines"]), float(query["pause"]))
                path = "/_ping"
            status, body = answer(path)
            content = json.dumps(body).encode()
            head = f"HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
            if b"connection: close" in request.lower():
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the daemon has closed the connection
    finally:
        writer.close()


async def main() -> None:
    ticker = Ticker()
    server = await asyncio.start_unix_server(
        lambda reader, writer: serve(ticker, reader, writer), sys.argv[1], backlog=1024
    )
    async with server:
        await server.serve_forever()


asyncio.run(main())
